//! What is to be looked at from a Front End: every machine of the pool that its name leads to, as servers and clients inside
//! see it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use carillon_media::ice::turn::Credential;
use carillon_net::tls::{CertificateDer, ClientConfig, Identity, load_certificates, mutual_client_config};
use carillon_qos::check::{Grant, Machine, Name, Side, Transport};
use carillon_qos::plan::Scope;
use carillon_qos::{Role, TrafficClass};
use carillon_relay::issue;
use carillon_server::config::{Certificate, Config};
use carillon_server::edge::Unit;
use carillon_wire::ip::Dscp;
use carillon_wire::stun::TurnTransport;

use super::ends::Ends;
use super::names::{is_name, look_up};
use super::service::{self, Asking};
use super::target::{Expected, Target, View, Wanted, made_here};
use crate::answer::Failure;
use crate::args::EdgeCheck;

/// Where the A/V Authentication service and the Replica listen unless they are told otherwise.
const AUTHENTICATION: u16 = 5062;
/// How long the credential of the check lasts.
const LIFETIME: Duration = Duration::from_secs(600);
/// Whose quota it counts on.
const USER: &str = "carillon-edge-check";

/// What a Front End knows of its Edges.
struct Inside<'a> {
    config: &'a Config,
    pool: String,
    /// Our own certificate, for those who want one.
    tls: Result<Arc<ClientConfig>, String>,
    trusted: Vec<CertificateDer<'static>>,
    mark: Dscp,
    wait: Duration,
    legacy: bool,
}

/// The machines of the pool.
pub(super) fn view(args: &EdgeCheck, config: &Config) -> Result<View, Failure> {
    let pool = args.pool.clone().or_else(|| pool(config)).ok_or_else(|| {
        let hint = "give its name with --pool, or name it in [edge], [[replicas]] or [relay]";
        Failure::new("no Edge is known by this configuration", hint)
    })?;
    let plan = &config.plan.plan;
    let policy = plan.policy(Role::Conferencing, &Scope::default());
    let trusted = trusted(config);
    let tls = own_tls(config, &trusted);
    let mark = policy.mark(TrafficClass::Signaling);
    let (wait, legacy) = (args.wait(), args.legacy_names);
    let inside = Inside { config, pool, tls, trusted, mark, wait, legacy };
    let targets = inside.targets();
    Ok(View { seen_from: "a Front End", targets, ends: Ends::ours(plan), mark })
}

/// The name by which the configuration knows it.
fn pool(config: &Config) -> Option<String> {
    let edge = config.edge.as_ref().map(|edge| edge.name.clone());
    let replica = || config.edges.first().map(|edge| edge.name.clone());
    let relay = || config.relays.as_ref()?.servers.first().map(|server| server.uri.host.clone());
    edge.or_else(replica).or_else(relay)
}

fn trusted(config: &Config) -> Vec<CertificateDer<'static>> {
    let own = match &config.certificate {
        Certificate::Authority(folder) => Some(folder.join("ca.pem")),
        Certificate::Files { .. } => None,
    };
    let files = own.iter().chain(&config.trusted);
    files.filter_map(|file: &PathBuf| load_certificates(file).ok()).flatten().collect()
}

fn own_tls(config: &Config, trusted: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, String> {
    let (certificate, key) = match &config.certificate {
        Certificate::Files { certificate, key } => (certificate.clone(), key.clone()),
        Certificate::Authority(folder) => (folder.join("server.pem"), folder.join("server.key")),
    };
    let identity = Identity::load(&certificate, &key).map_err(|error| error.to_string())?;
    mutual_client_config(&identity, trusted).map_err(|error| error.to_string())
}

impl Inside<'_> {
    /// One for every address of the pool's name, and of the configuration.
    fn targets(&self) -> Vec<Target> {
        let known = self.known();
        let name =
            is_name(&self.pool).then(|| look_up(&self.pool, Side::Inside, known.iter().copied().collect()));
        let found = name.as_ref().and_then(|name| name.found.clone().ok()).unwrap_or_default();
        let literal = self.pool.parse::<IpAddr>().ok();
        let addresses: BTreeSet<IpAddr> =
            found.iter().copied().chain(known.iter().copied()).chain(literal).collect();
        if addresses.is_empty() {
            let machine = Machine {
                pool: self.pool.clone(),
                name: self.pool.clone(),
                names: name.into_iter().collect(),
                ..Machine::default()
            };
            return vec![Target { machine, ..Target::default() }];
        }
        addresses.into_iter().map(|address| self.target(address, &known, name.as_ref())).collect()
    }

    /// Addresses of the pool towards the inside that the configuration names.
    fn known(&self) -> BTreeSet<IpAddr> {
        let edge = self.config.edge.iter().filter(|edge| edge.name == self.pool);
        let edge = edge.flat_map(|edge| edge.addresses.iter().map(SocketAddr::ip));
        let replicas = self.config.edges.iter().filter(|edge| edge.name == self.pool);
        edge.chain(replicas.map(|edge| edge.address.ip())).collect()
    }

    fn target(&self, address: IpAddr, known: &BTreeSet<IpAddr>, name: Option<&Name>) -> Target {
        let pool = self.pool.clone();
        // Whoever looks it up must find this machine; without an address in the configuration, any is as good.
        let of_machine = |name: &Name| match name.wanted.is_empty() {
            true => Name { wanted: name.found.clone().unwrap_or_default(), ..name.clone() },
            false => name.clone(),
        };
        let machine_name = address.to_string();
        let mut machine = Machine {
            pool,
            name: machine_name.clone(),
            names: name.map(of_machine).into_iter().collect(),
            ..Machine::default()
        };
        let by_name = !known.is_empty() && !known.contains(&address);
        let mut doors = self.doors(address);
        doors.iter_mut().for_each(|wanted| wanted.door.by_name = by_name);
        let credential = self.credential(address, &mut machine);
        let legacy = self.legacy.then_some(machine_name);
        Target { machine, doors, credential, legacy }
    }

    fn doors(&self, address: IpAddr) -> Vec<Wanted> {
        let shows = |wanted: Wanted| {
            let trusted = Some(self.trusted.clone()).filter(|trusted| !trusted.is_empty());
            wanted.shows(Expected { side: Side::Inside, name: self.pool.clone(), trusted })
        };
        let secured = |unit: Unit, place| shows(Wanted::new(unit.name(), Transport::Tls, place));
        let access = self.config.edge.iter().flat_map(|edge| edge.addresses.iter());
        let access = access.map(SocketAddr::port).next();
        let mut doors: Vec<Wanted> =
            access.map(|port| secured(Unit::Access, SocketAddr::new(address, port))).into_iter().collect();
        let replica = self.config.edges.iter().find(|edge| edge.address.ip() == address);
        doors.extend(replica.map(|edge| secured(Unit::Replica, edge.address)));
        // Who shares the secret with the Edge can do without.
        let mut authentication = secured(Unit::Authentication, SocketAddr::new(address, AUTHENTICATION));
        authentication.door.optional = self.config.relays.is_some();
        doors.push(authentication);
        doors.extend(self.relays(address));
        doors
    }

    /// The relay has the same ports on every side.
    fn relays(&self, address: IpAddr) -> Vec<Wanted> {
        let mut doors: Vec<Wanted> = Vec::new();
        for server in self.config.relays.iter().flat_map(|relays| &relays.servers) {
            let transport = match server.uri.transport {
                TurnTransport::Udp => Transport::Udp,
                TurnTransport::Tcp => Transport::Tcp,
                TurnTransport::Tls => Transport::Tls,
            };
            let place = SocketAddr::new(address, server.uri.port);
            let known = |door: &Wanted| (door.door.transport, door.door.address) == (transport, place);
            if !doors.iter().any(known) {
                doors.push(Wanted::new(Unit::Av.name(), transport, place).of_relay(server.class));
            }
        }
        doors
    }

    /// By the A/V Authentication service if it gives one, otherwise by the secret that the Edge must share.
    fn credential(&self, address: IpAddr, machine: &mut Machine) -> Option<Credential> {
        let to = SocketAddr::new(address, AUTHENTICATION);
        let given = self.tls.clone().and_then(|tls| {
            let domain = self.config.domains.first().map_or("", String::as_str);
            let (edge, own) = (self.pool.as_str(), self.config.name.as_str());
            service::ask(&Asking { to, edge, own, domain, tls, mark: self.mark, wait: self.wait })
        });
        let made = self.config.relays.as_ref().map(|relays| {
            let made = issue(&relays.secret.0, USER, None, super::now() + LIFETIME);
            Credential { username: made.username, password: made.password }
        });
        let is_wanted = given.is_ok() || made.is_none();
        if is_wanted {
            let by = Unit::Authentication.name().to_owned();
            let (shown, refused) = (made.is_none() && given.is_ok(), given.as_ref().err().cloned());
            machine.grants.push(Grant { by, door: Some(to), shown, refused });
        }
        machine.grants.extend(made.iter().map(|_| made_here("the secret of [relay]")));
        made.or(given.ok())
    }
}
