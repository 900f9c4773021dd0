//! What a stranger hears who knocks at the listeners of an Edge, and what it means: the test that is made with telnet, with what
//! telnet cannot tell.

use std::net::SocketAddr;

use serde::Serialize;

use super::outcome::Service;
use super::summary::Transport;
use crate::check::Side;
use crate::reference::SERVICES;

/// A place where an Edge listens, or where it must not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listener {
    /// The service, as administrators know it.
    pub service: &'static str,
    /// The word for it in commands; empty for what is several services'.
    pub word: &'static str,
    /// UDP or TCP.
    pub over: Transport,
    /// Its port, or the first of a range of which some are tried.
    pub first: u16,
    /// The last.
    pub last: u16,
    /// What a stranger hears if all is well.
    pub manner: Manner,
}

/// How a listener treats a stranger if all is well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// It takes the connection, says nothing until it is spoken to, and then speaks TLS.
    Tls,
    /// It speaks STUN.
    Stun,
    /// One of the two: the services of an Edge may have an address each, and all have this port there.
    Either,
    /// It says something by itself. Not every Edge has it.
    Talks,
    /// It is for servers inside: a stranger outside is refused.
    Inside,
    /// It is open for a call only, and for those whom the caller permits.
    Relayed,
}

/// What was heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// The host refuses: nobody waits there.
    Refused,
    /// Nothing at all.
    Nothing,
    /// A filter says that it may not pass.
    Prohibited,
    /// There is no way, says this machine or a router.
    NoWay(String),
    /// The connection was taken, nothing was said, and nothing was answered to TLS or STUN.
    Silent,
    /// The connection was taken, nothing was said until TLS was spoken, and then a certificate was shown.
    Tls,
    /// A Binding request was answered, with this as the address of whoever asked (RFC 8489, 14.2).
    Stun(SocketAddr),
    /// It says something without having been asked.
    Said(Service),
    /// The connection was taken and ended at once.
    HungUp,
    /// The connection was taken, and ended when TLS was spoken.
    CutOff,
    /// Nothing over TCP, though UDP to the same port reaches the host.
    OnlyUdp,
}

/// What it means.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Meaning {
    /// Whether it is as it should be; `None`: from here that can't be told.
    pub well: Option<bool>,
    /// What it means, in words.
    pub text: String,
    /// What to do; empty if nothing.
    pub fix: String,
    /// What does not work because of it; empty if all does.
    pub breaks: &'static str,
}

const fn at(
    port: u16,
    over: Transport,
    service: &'static str,
    word: &'static str,
    manner: Manner,
) -> Listener {
    Listener { service, word, over, first: port, last: port, manner }
}

const INSIDE: [Listener; 7] = [
    at(5061, Transport::Tcp, "Access Edge", "access", Manner::Tls),
    at(5062, Transport::Tcp, "A/V Authentication", "authentication", Manner::Tls),
    at(443, Transport::Tcp, "A/V Edge", "av", Manner::Stun),
    at(3478, Transport::Udp, "A/V Edge", "av", Manner::Stun),
    at(8057, Transport::Tcp, "Web Conferencing Edge", "web-conferencing", Manner::Talks),
    at(4443, Transport::Tcp, "Replica", "replica", Manner::Tls),
    RELAYED,
];
const OUTSIDE: [Listener; 8] = [
    at(5061, Transport::Tcp, "Access Edge", "access", Manner::Tls),
    at(443, Transport::Tcp, "Access, A/V or Web Conferencing Edge", "", Manner::Either),
    at(444, Transport::Tcp, "Web Conferencing Edge", "web-conferencing", Manner::Tls),
    at(3478, Transport::Udp, "A/V Edge", "av", Manner::Stun),
    at(5062, Transport::Tcp, "A/V Authentication", "authentication", Manner::Inside),
    at(8057, Transport::Tcp, "Web Conferencing Edge, inside", "web-conferencing", Manner::Inside),
    at(4443, Transport::Tcp, "Replica", "replica", Manner::Inside),
    RELAYED,
];
/// What is lost without TCP, which UDP has no stand-in for.
const SHARING: &str = "desktop sharing and files with partners, through their Edge and this one";
const RELAYED: Listener = Listener {
    service: "relayed ports",
    word: "av",
    over: Transport::Tcp,
    first: 50_000,
    last: 59_999,
    manner: Manner::Relayed,
};

/// The listeners of an Edge on one of its sides.
pub const fn listeners(side: Side) -> &'static [Listener] {
    match side {
        Side::Inside => &INSIDE,
        Side::Outside => &OUTSIDE,
    }
}

impl Listener {
    /// What was heard at one of its ports, explained.
    pub fn judge(&self, side: Side, port: u16, heard: &Heard) -> Meaning {
        let (well, text) = match self.manner {
            Manner::Inside => inside(heard),
            Manner::Relayed => relayed(heard),
            _ => self.of_service(heard),
        };
        let is_bad = well == Some(false);
        let fix = if is_bad { self.fix(port, heard) } else { String::new() };
        let breaks = match heard {
            Heard::OnlyUdp => SHARING,
            _ if is_bad => self.breaks(side, port),
            _ => "",
        };
        Meaning { well, text, fix, breaks }
    }

    fn of_service(&self, heard: &Heard) -> (Option<bool>, String) {
        let Listener { service, manner, .. } = self;
        match (heard, manner) {
            (Heard::Tls, Manner::Tls) => (
                Some(true),
                "takes the connection and says nothing until it is spoken to, where telnet shows an empty window; then it speaks TLS"
                    .to_owned(),
            ),
            (Heard::Tls, Manner::Either) => (
                Some(true),
                "speaks TLS: this is the address of the Access Edge or of the Web Conferencing Edge".to_owned(),
            ),
            (Heard::Tls | Heard::Said(_), Manner::Talks) => {
                (Some(true), "answers, as it should: telnet shows characters without a sense here".to_owned())
            }
            (Heard::Stun(seen), Manner::Stun | Manner::Either) => (Some(true), self.of_stun(*seen)),
            (Heard::Refused, Manner::Talks) => (
                None,
                "nobody waits: an Edge of Lync listens here, one of Carillon passes conferences on from outside only".to_owned(),
            ),
            (Heard::Silent, _) => (
                Some(false),
                format!("a connection is taken, but nobody answers: the {service} hangs, or another program has the port"),
            ),
            (Heard::HungUp, _) => {
                (Some(false), "the connection is taken and ended at once: a load balancer or firewall in front, with nobody behind it".to_owned())
            }
            (Heard::CutOff, _) => (
                Some(false),
                format!("takes the connection and hangs up before TLS is done: what answers has no {service} behind it"),
            ),
            (Heard::Tls, _) => (Some(false), format!("speaks TLS and not TURN: this is not the {service}")),
            (Heard::Stun(_), _) => (Some(false), format!("speaks STUN and not TLS: this is the A/V Edge and not the {service}")),
            (Heard::Said(what), _) => (Some(false), format!("{} answers, not the {service}", what.words())),
            _ => unreached(heard, self.over),
        }
    }

    fn of_stun(&self, seen: SocketAddr) -> String {
        match self.over {
            Transport::Udp => format!(
                "answers a Binding request, and sees this host as {seen}; telnet knows no UDP and could not have told"
            ),
            Transport::Tcp => {
                "speaks STUN, no HTTPS: checkers of certificates rightly see none here".to_owned()
            }
        }
    }

    fn fix(&self, port: u16, heard: &Heard) -> String {
        let over = self.over;
        match (self.manner, heard) {
            (Manner::Inside, _) => format!("close {over} {port} from outside: it is for servers inside"),
            (_, Heard::OnlyUdp) => {
                format!("open {over} {}-{} in the firewalls up to there, both ways", self.first, self.last)
            }
            (_, Heard::Refused) => {
                "see whether the service runs (`carillon status` there), and whether this is its address"
                    .to_owned()
            }
            (_, Heard::Nothing | Heard::Prohibited) => {
                format!("open {over} {port} in the firewalls up to there")
            }
            (_, Heard::CutOff) => {
                "see whether the service runs (`carillon status` there), and what is in front of it: a content scanner or load balancer \
                 ends what it can't pass on"
                    .to_owned()
            }
            (_, Heard::NoWay(_)) => "look at the routes of this host and of those on the way".to_owned(),
            _ => format!("see who holds the port there: `ss -lnp sport = :{port}`, or `carillon edge check`"),
        }
    }

    /// By the table of the field.
    pub(super) fn breaks(&self, side: Side, port: u16) -> &'static str {
        let at = if side == Side::Inside { "Edge, internal" } else { "Edge, external" };
        let rows =
            || SERVICES.iter().filter(|row| row.at.starts_with(at) && row.transport == self.over.name());
        // Where services share an address, all but one have another port than the table's.
        let by_port = || rows().find(|row| row.first == port);
        let by_name = || rows().find(|row| row.name.starts_with(self.service));
        match self.manner {
            Manner::Inside | Manner::Relayed => "",
            _ => by_port().or_else(by_name).map_or("", |row| row.closed),
        }
    }
}

/// What only servers inside may reach.
fn inside(heard: &Heard) -> (Option<bool>, String) {
    match heard {
        Heard::Refused | Heard::Nothing | Heard::Prohibited => {
            (Some(true), "is not reached from outside, as it should be".to_owned())
        }
        Heard::NoWay(_) => unreached(heard, Transport::Tcp),
        _ => (Some(false), "is reached from outside, and is for servers inside only".to_owned()),
    }
}

/// What is open for a call only.
fn relayed(heard: &Heard) -> (Option<bool>, String) {
    match heard {
        Heard::Refused => (
            Some(true),
            "is refused at once, as it should be: a relayed port is open for a call only, so that nothing is there for who scans"
                .to_owned(),
        ),
        Heard::HungUp => (
            Some(true),
            "is a call's right now, and ends the connection of whoever the caller has not permitted: no stranger gets a byte"
                .to_owned(),
        ),
        Heard::Nothing | Heard::Prohibited => (
            None,
            "a firewall keeps the range shut: media takes the detour through UDP 3478 and TCP 443, and calls still work".to_owned(),
        ),
        Heard::NoWay(_) => unreached(heard, Transport::Tcp),
        Heard::OnlyUdp => (
            Some(false),
            "TCP is kept back and UDP is not: calls work, sharing and files, which go over TCP, do not".to_owned(),
        ),
        _ => (Some(false), "somebody answers a stranger: another program has a port of the relay's range".to_owned()),
    }
}

fn unreached(heard: &Heard, over: Transport) -> (Option<bool>, String) {
    let text = match heard {
        Heard::Refused => {
            "the host is there and nobody waits: the service does not run, or has another address"
        }
        Heard::Prohibited => "a filter on the way says that it may not pass",
        Heard::NoWay(why) => return (Some(false), format!("there is no way to it: {why}")),
        _ if over == Transport::Udp => {
            "no answer to a Binding request: a firewall drops it or its answer, or the service does not run"
        }
        _ => "nothing comes back: a firewall drops it, or the host is off",
    };
    (Some(false), text.to_owned())
}

impl Heard {
    /// Stable kebab-case name.
    pub const fn name(&self) -> &'static str {
        match self {
            Heard::Refused => "refused",
            Heard::Nothing => "nothing",
            Heard::Prohibited => "prohibited",
            Heard::NoWay(_) => "no-way",
            Heard::Silent => "silent",
            Heard::Tls => "tls",
            Heard::Stun(_) => "stun",
            Heard::Said(_) => "said-something",
            Heard::HungUp => "hung-up",
            Heard::CutOff => "cut-off",
            Heard::OnlyUdp => "only-udp",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(side: Side, port: u16, over: Transport, heard: Heard) -> Meaning {
        let is_it =
            |listener: &&Listener| listener.over == over && (listener.first..=listener.last).contains(&port);
        listeners(side).iter().find(is_it).unwrap().judge(side, port, &heard)
    }

    fn seen() -> Heard {
        Heard::Stun("203.0.113.9:4000".parse().unwrap())
    }

    /// The four cases of the published test: silence is right at 5061, an answer at 8057, UDP needs another question, and relayed
    /// ports refuse.
    #[test]
    fn what_is_right_at_one_listener_is_wrong_at_another() {
        let (tcp, udp) = (Transport::Tcp, Transport::Udp);
        for (side, port, over, heard, well, words) in [
            (Side::Inside, 5061, tcp, Heard::Tls, Some(true), "an empty window"),
            (Side::Inside, 8057, tcp, Heard::Said(Service::Other), Some(true), "without a sense"),
            (Side::Inside, 8057, tcp, Heard::Refused, None, "one of Carillon"),
            (Side::Inside, 3478, udp, seen(), Some(true), "as 203.0.113.9:4000"),
            (Side::Outside, 54_321, tcp, Heard::Refused, Some(true), "for a call only"),
            (Side::Outside, 54_321, tcp, Heard::HungUp, Some(true), "no stranger gets a byte"),
            (Side::Outside, 54_321, tcp, Heard::Nothing, None, "the detour through UDP 3478"),
            (Side::Outside, 54_321, tcp, Heard::OnlyUdp, Some(false), "calls work, sharing and files"),
            (Side::Outside, 54_321, tcp, Heard::Said(Service::Http), Some(false), "another program"),
            (Side::Outside, 443, tcp, seen(), Some(true), "no HTTPS"),
            (Side::Outside, 443, tcp, Heard::Tls, Some(true), "Access Edge or"),
            (Side::Outside, 4443, tcp, Heard::Refused, Some(true), "not reached from outside"),
            (Side::Outside, 4443, tcp, Heard::Tls, Some(false), "for servers inside only"),
            (Side::Outside, 8057, tcp, Heard::Said(Service::Other), Some(false), "for servers inside only"),
            (Side::Inside, 5061, tcp, Heard::Silent, Some(false), "nobody answers"),
            (Side::Inside, 5061, tcp, Heard::Said(Service::Http), Some(false), "a web server answers"),
            (Side::Inside, 443, tcp, Heard::Tls, Some(false), "not TURN"),
            (Side::Inside, 5062, tcp, Heard::HungUp, Some(false), "ended at once"),
            (Side::Outside, 444, tcp, Heard::CutOff, Some(false), "hangs up before TLS is done"),
            (Side::Outside, 4443, tcp, Heard::CutOff, Some(false), "for servers inside only"),
        ] {
            let meaning = meaning(side, port, over, heard.clone());
            assert_eq!(meaning.well, well, "{port} {heard:?}: {meaning:?}");
            assert!(meaning.text.contains(words), "{port} {heard:?}: {meaning:?}");
            assert_eq!(meaning.fix.is_empty(), well != Some(false), "{meaning:?}");
        }
    }

    #[test]
    fn blocked_tcp_of_the_media_range_breaks_sharing_and_its_fix_is_the_whole_range() {
        let found = meaning(Side::Outside, 50_000, Transport::Tcp, Heard::OnlyUdp);
        assert!(found.breaks.contains("sharing and files"), "{found:?}");
        assert_eq!(found.fix, "open tcp 50000-59999 in the firewalls up to there, both ways");
    }

    #[test]
    fn what_is_not_reached_says_which_of_the_reasons_and_what_breaks() {
        for (heard, words, fix) in [
            (Heard::Refused, "nobody waits", "carillon status"),
            (Heard::Nothing, "a firewall drops it", "open tcp 5061"),
            (Heard::Prohibited, "a filter", "open tcp 5061"),
            (Heard::CutOff, "no Access Edge behind it", "content scanner"),
            (Heard::NoWay("unreachable".to_owned()), "no way to it: unreachable", "routes"),
        ] {
            let meaning = meaning(Side::Inside, 5061, Transport::Tcp, heard);
            assert!(meaning.text.contains(words) && meaning.fix.contains(fix), "{meaning:?}");
            assert_eq!(meaning.breaks, "nobody outside can sign in, no federation");
        }
        let udp = meaning(Side::Outside, 3478, Transport::Udp, Heard::Nothing);
        assert!(udp.text.contains("Binding request"), "{udp:?}");
        assert_eq!(udp.breaks, "media of people outside falls back to TCP 443");
    }
}
