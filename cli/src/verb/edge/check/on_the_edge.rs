//! What is to be looked at where the Edge itself runs: its account of itself, the kernel's, and all of its doors.

use std::fs;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use carillon_media::ice::turn::Credential;
use carillon_net::tls::{CertificateDer, load_certificates};
use carillon_net::{addresses, open_sockets, routes};
use carillon_qos::check::{Machine, Route, Routing, Running, Service, Side, Socket, Transport};
use carillon_qos::plan::{Network, Scope};
use carillon_qos::{Role, TrafficClass};
use carillon_relay::issue;
use carillon_server::admin::{AnyStatus, Client};
use carillon_server::config::{EdgeConfig, Listening};
use carillon_server::edge::Unit;
use carillon_server::edge::status::{EdgeStatus, UnitRow, UnitState};

use super::ends::Ends;
use super::names::{is_name, look_up};
use super::target::{Expected, Target, View, Wanted, made_here};
use crate::answer::Failure;
use crate::args::EdgeCheck;

/// How long the credential of the check lasts.
const LIFETIME: Duration = Duration::from_secs(600);
/// Whose quota it counts on.
const USER: &str = "carillon-edge-check";

/// This machine.
pub(super) fn view(args: &EdgeCheck, file: &Path, config: &EdgeConfig) -> Result<View, Failure> {
    let doors: Vec<Wanted> = config.listeners().iter().map(|listening| wanted(config, listening)).collect();
    let (credential, by) = credential(config, file);
    let machine = Machine {
        pool: config.name.clone(),
        name: args.machine.clone().unwrap_or_else(host_name),
        running: Some(running(&config.admin_socket)),
        names: names(args, config),
        routing: Some(routing(config)),
        sockets: Some(sockets()),
        grants: credential.is_some().then(|| made_here(&by)).into_iter().collect(),
        ..Machine::default()
    };
    let policy = config.plan.plan.policy(Role::Edge, &Scope::default());
    let ends = match (&args.inside, &args.token) {
        (Some(host), Some(token)) => {
            let host = address(host, args.control)?;
            Ends::listener(host, token, &config.plan.plan, doors.len(), args.wait())?
        }
        _ => Ends::Relay,
    };
    let legacy = args.legacy_names.then(|| machine.name.clone());
    let target = Target { machine, doors, credential, legacy };
    let mark = policy.mark(TrafficClass::Management);
    Ok(View { seen_from: "the Edge itself", targets: vec![target], ends, mark })
}

fn address(host: &str, port: u16) -> Result<SocketAddr, Failure> {
    let unknown = |why: String| Failure::new(format!("cannot find `{host}`"), why);
    let mut found = (host, port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
    found.next().ok_or_else(|| unknown("it has no address".to_owned()))
}

fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Some(name.trim()).filter(|name| !name.is_empty()).unwrap_or("this machine").to_owned()
}

fn running(socket: &Path) -> Running {
    let status = Client::connect(socket).and_then(|mut client| client.any_status());
    match status {
        Ok(AnyStatus::Edge(status)) => Running::Yes(services(&status)),
        Ok(AnyStatus::FrontEnd(_)) => Running::No(format!("at {} a Front End answers", socket.display())),
        Err(error) => Running::No(error.to_string()),
    }
}

fn services(status: &EdgeStatus) -> Vec<Service> {
    let wanted = status.units.iter().filter(|row| row.state != UnitState::Off);
    let service = |row: &UnitRow| {
        let runs = matches!(row.state, UnitState::Running | UnitState::Impaired);
        let note = row.note.clone().unwrap_or_else(|| format!("{:?}", row.state).to_lowercase());
        let trouble = (row.state != UnitState::Running || row.note.is_some()).then_some(note);
        Service { name: row.service.clone(), trouble, runs }
    };
    wanted.map(service).collect()
}

/// Towards the inside by the name of the Edge; outside by that of the Access Edge, and by those that were asked for.
fn names(args: &EdgeCheck, config: &EdgeConfig) -> Vec<carillon_qos::check::Name> {
    let addresses = &config.addresses;
    let inside = addresses.internal.map_or_else(|| outside(config), |internal| vec![internal]);
    let mut names = vec![look_up(&config.name, Side::Inside, inside)];
    let access = config.access.as_ref().map(|access| access.name.clone());
    let outer = access.into_iter().filter(|name| *name != config.name).chain(args.external.iter().cloned());
    names.extend(
        outer.filter(|name| is_name(name)).map(|name| look_up(&name, Side::Outside, outside(config))),
    );
    names
}

/// Where those outside find it: the Access Edge, which is the first that they ask.
fn outside(config: &EdgeConfig) -> Vec<IpAddr> {
    let mut found = config.addresses.outside(Unit::Access);
    if found.contains(&config.addresses.external) {
        found.push(config.addresses.public);
    }
    found
}

fn routing(config: &EdgeConfig) -> Result<Routing, String> {
    let own = addresses::by_interface().map_err(|error| error.to_string())?;
    let interface = |address: IpAddr| {
        let found = own.iter().find(|(_, of)| *of == address).map(|(name, _)| name.clone());
        found.ok_or_else(|| format!("no interface has {address}"))
    };
    let addresses = &config.addresses;
    let inside = addresses.inside.iter().filter_map(|network| network_of(&network.to_string()));
    let rows = routes::of_this_machine().map_err(|error| error.to_string())?;
    let route = |row: routes::KernelRoute| Route {
        to: Network::of(row.to, row.prefix),
        gateway: row.gateway,
        v6: row.to.is_ipv6(),
        interface: row.interface,
    };
    Ok(Routing {
        external: interface(addresses.external)?,
        internal: addresses.internal.map(interface).transpose()?,
        addresses: [Some(addresses.external), addresses.external6].into_iter().flatten().collect(),
        inside: inside.collect(),
        routes: rows.into_iter().map(route).collect(),
    })
}

/// Bits behind the prefix don't count.
fn network_of(text: &str) -> Option<Network> {
    let (address, prefix) = text.split_once('/')?;
    Network::of(address.parse().ok()?, prefix.parse().ok()?)
}

fn sockets() -> Vec<Socket> {
    let of = |is_stream| {
        let all = open_sockets::of_all(is_stream).into_iter();
        all.filter(move |socket| !is_stream || socket.listens)
            .map(move |socket| Socket { is_stream, address: socket.local })
    };
    of(false).chain(of(true)).collect()
}

fn wanted(config: &EdgeConfig, listening: &Listening) -> Wanted {
    let transport = match listening.transport {
        carillon_relay::Transport::Udp => Transport::Udp,
        carillon_relay::Transport::Tcp => Transport::Tcp,
        carillon_relay::Transport::Tls => Transport::Tls,
    };
    let mut wanted = Wanted::new(listening.unit.name(), transport, listening.address);
    wanted.door.only_inside = matches!(listening.unit, Unit::Authentication | Unit::Replica);
    if listening.unit == Unit::Av {
        wanted = wanted.of_relay(listening.class);
    }
    match expected(config, listening) {
        Some(expected) if transport == Transport::Tls => wanted.shows(expected),
        _ => wanted,
    }
}

/// What a door must show: inside the name of the pool, outside that of the Access Edge.
fn expected(config: &EdgeConfig, listening: &Listening) -> Option<Expected> {
    let internal = Some(listening.address.ip()) == config.addresses.internal;
    let access = config.access.as_ref();
    let trusted = config.internal_tls.as_ref().map(|tls| &tls.trusted);
    let (side, name) = match listening.unit {
        Unit::Authentication | Unit::Replica => (Side::Inside, &config.name),
        Unit::Access if internal => (Side::Inside, &config.name),
        // The relay shows those inside what it shows those outside.
        _ => (Side::Outside, access.map_or(&config.name, |access| &access.name)),
    };
    let trusted = trusted.filter(|_| side == Side::Inside).and_then(|files| authorities(files));
    Some(Expected { side, name: name.clone(), trusted })
}

fn authorities(files: &[PathBuf]) -> Option<Vec<CertificateDer<'static>>> {
    let found = files.iter().map(|file| load_certificates(file)).collect::<Result<Vec<_>, _>>();
    found.ok().map(|found| found.concat())
}

/// By the secret, as a Front End would; by a user of the file where there is none.
fn credential(config: &EdgeConfig, file: &Path) -> (Option<Credential>, String) {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if let Some(secret) = config.secrets.first() {
        let made = issue(&secret.0, USER, None, super::now() + LIFETIME);
        let credential = Credential { username: made.username, password: made.password };
        return (Some(credential), format!("the secret of {name}"));
    }
    let user = config.users.first();
    let credential =
        user.map(|user| Credential { username: user.name.clone(), password: user.password.clone() });
    (credential, format!("the first of [[relay-users]] of {name}"))
}
