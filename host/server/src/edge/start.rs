//! From the configuration of an Edge to one that is ready for its first packet: plan, sockets, core.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use carillon_net::bind_error::BindError;
use carillon_net::forward::{Coalescing, Forwarder, Settings};
use carillon_net::lease::Leases;
use carillon_qos::plan::{RolePolicy, Scope};
use carillon_qos::{Plan, Role, TrafficClass};
use carillon_relay::{Access, Limits, Listener, Marking, Peers, Relay, Transport, User};
use carillon_wire::ip::Dscp;
use tokio::sync::watch;

use super::av::{AvEdge, Counts};
use super::places::Places;
use crate::certificate::{CertificateError, relay_tls};
use crate::clock::Clock;
use crate::config::{self, Addresses, EdgeConfig};
use crate::desk::{Desk, Health};

/// What an Edge was told to be, as it holds now.
pub(crate) struct Estate {
    pub(crate) config: EdgeConfig,
    /// Where it is read from again.
    pub(crate) file: Option<PathBuf>,
    /// In the order of the core's configuration.
    pub(crate) listeners: Vec<Bound>,
}

/// A listener that is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bound {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
    pub(crate) class: Option<TrafficClass>,
}

/// Where relay ports of a family are opened.
pub(crate) struct Side {
    pub(crate) address: IpAddr,
    /// What peers are told instead.
    pub(crate) told: IpAddr,
    pub(crate) leases: Leases,
}

/// Why an Edge does not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be had.
    Bind(BindError),
    /// There is no certificate.
    Certificate(CertificateError),
    /// The kernel refuses.
    Kernel(std::io::Error),
    /// There is no randomness.
    Random(getrandom::Error),
}

/// Opens everything. `file` is where the configuration is read from again on reload.
pub fn start(config: EdgeConfig, file: Option<PathBuf>) -> Result<(AvEdge, Desk<AvEdge>), StartError> {
    let clock = Clock::start();
    let policy = policy(&config.plan.plan);
    let mut forwarder = Forwarder::new(settings(&config.relay)).map_err(StartError::Kernel)?;
    let (mut places, mut listeners) = (Places::default(), Vec::new());
    let certificate = config.certificate.as_ref();
    let tls = certificate.map(|(certificate, key)| relay_tls(certificate, key)).transpose();
    let tls = tls.map_err(StartError::Certificate)?;
    for wanted in wanted(&config) {
        let id = match wanted.transport {
            Transport::Udp => forwarder.listen(wanted.address, Dscp::DEFAULT),
            Transport::Tcp => forwarder.listen_for_streams(wanted.address, None, Dscp::DEFAULT),
            Transport::Tls => forwarder.listen_for_streams(wanted.address, tls.clone(), Dscp::DEFAULT),
        };
        let id = id.map_err(StartError::Bind)?;
        let address = forwarder.listener(id).unwrap_or(wanted.address);
        places.add_listener(id, wanted.transport);
        listeners.push(Bound { address, ..wanted });
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(StartError::Random)?;
    let relay = Relay::new(core(&config, &listeners), seed, clock.now());
    let sides = sides(&config.addresses, &policy, clock.now());
    let (desk, orders) = Desk::new(forwarder.waker(), Arc::new(Health::default()));
    let management = watch::Sender::new(policy.mark(TrafficClass::Management));
    let edge = AvEdge {
        forwarder,
        relay,
        places,
        sides,
        policy,
        estate: Estate { config, file, listeners },
        management,
        clock,
        orders,
        counts: Counts::default(),
        measure_at: clock.now(),
        until: None,
    };
    Ok((edge, desk))
}

/// What the plan says of an Edge.
pub(crate) fn policy(plan: &Plan) -> RolePolicy {
    plan.policy(Role::Edge, &Scope::default())
}

/// The core's part of the configuration.
pub(crate) fn core(config: &EdgeConfig, listeners: &[Bound]) -> carillon_relay::Config {
    let (plan, addresses, relay) = (&config.plan.plan, &config.addresses, &config.relay);
    let secrets = config.secrets.iter().map(|secret| secret.0.clone()).collect();
    let users = config.users.iter();
    let users = users.map(|user| (user.name.clone(), User { password: user.password.clone(), class: None }));
    carillon_relay::Config {
        realm: config.realm.clone(),
        listeners: listeners.iter().map(|bound| Listener { class: bound.class }).collect(),
        access: Access { users: users.collect(), secrets, ..Access::default() },
        peers: Peers {
            allowed: addresses.inside.clone(),
            denied: Vec::new(),
            own: addresses.all(),
            relayed_ports: plan.edge_ports(),
        },
        marking: Marking::of(plan, &Scope::default(), addresses.inside.clone()),
        forbids_fragments: false,
        channels_of_rfc5766: true,
        limits: Limits {
            ports: relay.allocations,
            ports_per_user: relay.allocations_per_user,
            port_rate: Some(relay.bandwidth),
            user_rate: Some(relay.bandwidth_per_user),
            ..Limits::default()
        },
    }
}

fn settings(relay: &config::Relay) -> Settings {
    let coalescing = relay.coalesce.map(|pause| Coalescing { pause, ..Coalescing::default() });
    Settings { coalescing, ..Settings::default() }
}

/// Every port on both addresses, so that clients on either side find the same.
fn wanted(config: &EdgeConfig) -> impl Iterator<Item = Bound> + '_ {
    let Addresses { external, external6, internal, .. } = &config.addresses;
    let sides = [Some(*external), *external6, *internal];
    sides.into_iter().flatten().flat_map(|ip| {
        let bound =
            move |transport, port, class| Bound { transport, address: SocketAddr::new(ip, port), class };
        let udp = config.relay.udp.iter().map(move |(port, class)| bound(Transport::Udp, *port, *class));
        let tls = config.certificate.as_ref().map(|_| bound(Transport::Tls, config.relay.tls, None));
        udp.chain([bound(Transport::Tcp, config.relay.tcp, None)]).chain(tls)
    })
}

fn sides(addresses: &Addresses, policy: &RolePolicy, now: Duration) -> Vec<Side> {
    let seed = now.as_nanos() as u64;
    let side = |address, told| Side { address, told, leases: Leases::new(policy, address, seed) };
    let first = side(addresses.external, addresses.public);
    [Some(first), addresses.external6.map(|address| side(address, address))].into_iter().flatten().collect()
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Bind(error) => error.fmt(f),
            StartError::Certificate(error) => error.fmt(f),
            StartError::Kernel(error) => write!(f, "cannot wait for sockets: {error}"),
            StartError::Random(error) => write!(f, "cannot get randomness from the kernel: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Bind(error) => error.source(),
            _ => None,
        }
    }
}
