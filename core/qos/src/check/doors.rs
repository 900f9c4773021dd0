//! Whether services are reached, and if not, what of: the service, a firewall, routes and names are four different reasons.

use super::cause::Cause;
use super::found::{Found, Kind};
use super::observed::{Door, Knock, Machine, Socket, Transport};

pub(super) fn judge(machine: &Machine) -> Vec<Found> {
    let judged = |door: &Door| {
        let mut found = of(door, machine).of(&door.service).at(door.is_stream(), door.address);
        found.about.by_name = door.by_name;
        found
    };
    machine.doors.iter().map(judged).collect()
}

fn of(door: &Door, machine: &Machine) -> Found {
    let place = door.place();
    match &door.knock {
        Knock::Answered => Found::good(Kind::Door, place, answered(door)),
        Knock::NotTried(why) => Found::unknown(Kind::Door, place, format!("not tried: {why}"), ""),
        Knock::NoWay(why) => Found::bad(
            Kind::Door,
            place,
            Cause::NoRoute,
            format!("there is no way: {why}"),
            format!(
                "look at the routes of this machine and of those on the way:\nip route get {}",
                door.address.ip()
            ),
        ),
        Knock::Foreign(what) => Found::bad(
            Kind::Door,
            place,
            Cause::SomethingElse,
            format!("what answers is not the {}: {what}", door.service),
            format!("see who holds the port there:\nss -lnp sport = :{}", door.address.port()),
        ),
        Knock::Prohibited => {
            let text = "a filter says that it may not pass";
            Found::bad(Kind::Door, place, Cause::Firewall, text, opening(door))
        }
        Knock::Refused => refused(door, machine),
        Knock::Silent => silent(door, machine),
    }
}

fn answered(door: &Door) -> String {
    match door.transport {
        Transport::Tcp if door.is_relay && door.address.port() == 443 => {
            "answers; it speaks TURN and no HTTPS, so that checkers of certificates rightly see none"
                .to_owned()
        }
        _ => "answers".to_owned(),
    }
}

fn refused(door: &Door, machine: &Machine) -> Found {
    let place = door.place();
    if door.optional {
        return Found::good(Kind::Door, place, format!("no {} there, and none is needed", door.service));
    }
    if waits(door, machine.sockets.as_deref()) == Some(true) {
        let text = "it is refused, though a socket waits there: a firewall says so in its name";
        return Found::bad(Kind::Door, place, Cause::Firewall, text, opening(door));
    }
    let text = format!("the machine is there, and nobody waits: the {} does not run", door.service);
    let fix = "look there, and start it:\ncarillon status\ncarillon edge check";
    Found::bad(Kind::Door, place, Cause::ServiceDown, text, fix)
}

fn silent(door: &Door, machine: &Machine) -> Found {
    let place = door.place();
    let doors = machine.doors.iter().filter(|other| other.address.ip() == door.address.ip());
    let of_kind = |stream: bool| doors.clone().filter(move |other| other.is_stream() == stream);
    let all_silent = |stream: bool| {
        of_kind(stream).next().is_some() && of_kind(stream).all(|other| other.knock == Knock::Silent)
    };
    let some_answer = |stream: bool| of_kind(stream).any(|other| other.knock == Knock::Answered);
    let (cause, text) = match door.is_stream() {
        false if all_silent(false) && some_answer(true) => (
            Cause::UdpBlocked,
            "nothing comes back over UDP, over TCP it does: media takes the detour by TCP",
        ),
        true if all_silent(true) && some_answer(false) => (
            Cause::TcpBlocked,
            "nothing comes back over TCP, over UDP it does: calls work, sharing and files do not",
        ),
        _ if some_answer(false) || some_answer(true) => {
            (Cause::Firewall, "nothing comes back, from other ports of the address it does")
        }
        _ if waits(door, machine.sockets.as_deref()) == Some(true) => {
            (Cause::Firewall, "nothing comes back, though a socket waits there")
        }
        _ => (
            Cause::NothingAnswers,
            "nothing comes back from the address: it is off, or a firewall or the way back is missing",
        ),
    };
    let fix = match cause {
        Cause::NothingAnswers => {
            format!("see whether it is on, and how far packets come:\ncarillon trace {}", door.address.ip())
        }
        Cause::UdpBlocked | Cause::TcpBlocked => {
            let protocol = if door.is_stream() { "TCP" } else { "UDP" };
            format!("let {protocol} pass to these ports, and its answers back, in the firewalls between")
        }
        _ => opening(door),
    };
    Found::bad(Kind::Door, place, cause, text, fix)
}

fn opening(door: &Door) -> String {
    let protocol = if door.is_stream() { "tcp" } else { "udp" };
    format!(
        "open {} {} at {} in the firewalls up to there, and on the machine itself:\nnft list ruleset",
        protocol.to_uppercase(),
        door.address.port(),
        door.address.ip()
    )
}

/// `None`: the kernel's list was not seen.
fn waits(door: &Door, sockets: Option<&[Socket]>) -> Option<bool> {
    let here = Socket { is_stream: door.is_stream(), address: door.address };
    Some(sockets?.contains(&here))
}

impl Door {
    pub(super) fn is_stream(&self) -> bool {
        self.transport != Transport::Udp
    }

    /// As an administrator names it: `UDP 203.0.113.5:3478`.
    pub(super) fn place(&self) -> String {
        let transport = match self.transport {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
        };
        format!("{transport} {}", self.address)
    }
}
