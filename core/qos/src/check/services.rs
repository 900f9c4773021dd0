//! Whether an Edge and its services run, and listen exactly where they should.

use super::cause::Cause;
use super::found::{Found, Kind, State};
use super::observed::{Door, Machine, Running, Service, Socket, Transport};

pub(super) fn judge(machine: &Machine) -> Vec<Found> {
    let mut found = match &machine.running {
        None => Vec::new(),
        Some(Running::No(why)) => vec![Found::bad(
            Kind::Edge,
            &machine.name,
            Cause::NotRunning,
            format!("it does not answer: {why}"),
            "start it:\nsystemctl start carillon-edge\nand look at its log:\njournalctl -u carillon-edge",
        )],
        Some(Running::Yes(services)) => {
            let runs = Found::good(Kind::Edge, &machine.name, "it runs");
            std::iter::once(runs).chain(services.iter().map(service)).collect()
        }
    };
    if let Some(sockets) = &machine.sockets {
        found.extend(machine.doors.iter().map(|door| listener(door, sockets)));
    }
    found
}

fn service(service: &Service) -> Found {
    let name = &service.name;
    let found = match (&service.trouble, service.runs) {
        (None, _) => Found::good(Kind::Service, name, "it runs"),
        (Some(why), true) => {
            Found::new(Kind::Service, name, State::Warning, None, why, "see `carillon status`")
        }
        (Some(why), false) => {
            let fix = "see `carillon status`; once its reason is mended it starts by itself";
            Found::bad(Kind::Service, name, Cause::ServiceDown, why, fix)
        }
    };
    found.of(name)
}

/// Exactly one socket at the place, and none elsewhere with the port of what only the inside may reach.
fn listener(door: &Door, sockets: &[Socket]) -> Found {
    let is_stream = door.transport != Transport::Udp;
    let of_kind = || sockets.iter().filter(move |socket| socket.is_stream == is_stream);
    let subject = door.place();
    let count = of_kind().filter(|socket| socket.address == door.address).count();
    let elsewhere = of_kind().map(|socket| socket.address);
    let elsewhere = elsewhere.filter(|address| {
        address.port() == door.address.port()
            && address.ip() != door.address.ip()
            && !address.ip().is_loopback()
    });
    let outside = elsewhere.map(|address| address.to_string()).next().filter(|_| door.only_inside);
    let found = match (count, outside) {
        (0, _) => Found::bad(
            Kind::Listener,
            subject,
            Cause::NotListening,
            format!("no socket of this machine waits there for the {}", door.service),
            "see `carillon status`; after a change of addresses or ports the service wants a restart",
        ),
        (1, None) => Found::good(Kind::Listener, subject, format!("one socket, of the {}", door.service)),
        (_, Some(other)) => Found::bad(
            Kind::Listener,
            subject,
            Cause::ListensOutside,
            format!("its port is open at {other} too: who is outside reaches it"),
            "leave it to the internal address alone, or drop it in the firewall outside",
        ),
        (more, None) => Found::bad(
            Kind::Listener,
            subject,
            Cause::ListensTwice,
            format!("{more} sockets wait there: they share what comes"),
            format!("see who else holds it:\nss -lnp sport = :{}", door.address.port()),
        ),
    };
    found.of(&door.service).at(is_stream, door.address)
}
