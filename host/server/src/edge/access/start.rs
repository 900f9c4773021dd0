//! From the configuration to an Access Edge that is ready for its first message.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use carillon_net::tls::asking_server_config;
use carillon_net::transports::{Limits, Server, Transports};
use carillon_qos::TrafficClass;
use carillon_signaling::access::{AccessEdge as Core, Config, Listener, NextHop, STRANGERS, Side};
use carillon_wire::ip::Dscp;
use carillon_wire::sip::{self, Transport};

use super::{AccessEdge, unnamed};
use crate::certificate::{self, CertificateError, Greeting, authorities, external, external_tls, internal};
use crate::certificate_facts::CertificateFacts;
use crate::clock::Clock;
use crate::config::{AccessConfig, EdgeConfig, Listening};
use crate::desk::{Desk, Health};
use crate::edge::start::{StartError, policy};
use crate::edge::unit::{Context, Opened, Unit};

/// Opens everything.
pub(in crate::edge) fn open(context: &Context) -> Result<Opened, StartError> {
    let (clock, config) = (Clock::start(), EdgeConfig::clone(&context.config.borrow()));
    let missing = || StartError::Certificate(CertificateError::Missing("access"));
    let access = config.access.as_ref().ok_or_else(missing)?;
    let policy = policy(&config.plan.plan);
    let mark = policy.mark(TrafficClass::Signaling);
    let mut transports = Transports::new(mark, Limits::default()).map_err(StartError::Kernel)?;
    let listeners = listen(&mut transports, &config, access)?;
    transports.set_servers(servers(&config).map_err(StartError::Certificate)?);
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(StartError::Random)?;
    let core = Core::new(core(&config, access, &listeners), seed, clock.now());
    let (desk, orders) = Desk::new(transports.waker(), Arc::new(Health::default()));
    let names = core.names().map(str::to_owned).collect();
    let by_name = unnamed(access);
    let context = context.clone();
    let edge = AccessEdge {
        transports,
        core,
        policy,
        config,
        context,
        listeners,
        clock,
        orders,
        names,
        by_name,
        directory: None,
        until: None,
        unmarkable: 0,
    };
    Ok(Opened { desk, run: Box::new(move || edge.run()) })
}

/// How the inside and the partners are connected to.
pub(super) fn servers(config: &EdgeConfig) -> Result<BTreeMap<SocketAddr, Server>, CertificateError> {
    let Some(access) = &config.access else { return Ok(BTreeMap::new()) };
    let (inside, trusted) = internal(config)?;
    let inside = certificate::servers(&inside, &trusted, &access.next_hop, &access.servers, None)?;
    let trusted = authorities(access.partner_authorities.iter())?;
    let mut all = certificate::partners(&external(config)?, &trusted, &access.partners, Some(Dscp::DEFAULT))?;
    // Nobody outside takes a place of the inside.
    all.extend(inside);
    Ok(all)
}

fn listen(
    transports: &mut Transports,
    config: &EdgeConfig,
    access: &AccessConfig,
) -> Result<Vec<(Listening, CertificateFacts)>, StartError> {
    let mut listeners = Vec::new();
    for wanted in config.listening(Unit::Access) {
        let Greeting { tls, facts } = greeting(config, access, &wanted).map_err(StartError::Certificate)?;
        let address = match side(&wanted) {
            Side::Inside => transports.listen(Transport::Tls, wanted.address, Some(tls)),
            Side::Outside => {
                transports.listen_marked(Transport::Tls, wanted.address, Some(tls), Dscp::DEFAULT)
            }
        };
        listeners.push((Listening { address: address.map_err(StartError::Bind)?, ..wanted }, facts));
    }
    Ok(listeners)
}

/// What is shown, and asked for, at a listener.
pub(super) fn greeting(
    config: &EdgeConfig,
    access: &AccessConfig,
    listening: &Listening,
) -> Result<Greeting, CertificateError> {
    match listening.key.1 {
        "internal" => {
            let (identity, trusted) = internal(config)?;
            Greeting::of(&identity, asking_server_config(&identity, &trusted))
        }
        "federation" if !access.partner_authorities.is_empty() => {
            let (identity, partners) = (external(config)?, authorities(access.partner_authorities.iter())?);
            Greeting::of(&identity, asking_server_config(&identity, &partners))
        }
        _ => external_tls(config),
    }
}

fn side(listening: &Listening) -> Side {
    if listening.key.1 == "internal" { Side::Inside } else { Side::Outside }
}

/// The core's part of the configuration.
fn core(config: &EdgeConfig, access: &AccessConfig, listeners: &[(Listening, CertificateFacts)]) -> Config {
    let listener = |(bound, _): &(Listening, CertificateFacts)| {
        let side = side(bound);
        let advertised = match (side, access.name.parse::<IpAddr>()) {
            (Side::Inside, _) => bound.address.to_string(),
            (Side::Outside, Ok(ip)) => SocketAddr::new(ip, bound.address.port()).to_string(),
            (Side::Outside, Err(_)) => format!("{}:{}", access.name, bound.address.port()),
        };
        Listener { side, transport: Transport::Tls, address: bound.address, advertised }
    };
    Config {
        name: config.name.clone(),
        domains: access.domains.clone(),
        listeners: listeners.iter().map(listener).collect(),
        next_hop: NextHop {
            name: access.next_hop.clone(),
            transport: Transport::Tls,
            addresses: access.servers.clone(),
        },
        partners: access.partners.clone(),
        probe: access.probe,
        strangers: STRANGERS,
        media: access.media,
        message: sip::Limits::default(),
    }
}
