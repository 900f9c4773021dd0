//! What the two hosts say to each other beside the ports under test: lines of words over one TCP connection.
//!
//! A line that is not understood ends the conversation. Every list is bounded.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use carillon_wire::ip::Dscp;

use super::outcome::Outcome;
use super::summary::Transport;
use super::token::{Nonce, Tag};
use crate::class::TrafficClass;
use crate::ports::PortRange;

/// As many ports are tested at once.
pub const MOST_PORTS: usize = 64;
/// Longer lines are nobody's.
const LONGEST: usize = 16 * 1024;

/// The first words of both sides, and their proofs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hello {
    /// Who it is, and the number that it has drawn.
    Greeting(Nonce),
    /// That it knows the token.
    Proof(Tag),
    /// That the other side does not.
    Refused,
}

/// What the sender wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// The listener's ports.
    Offer,
    /// Open these ports of a class and answer questions.
    Open(Transport, TrafficClass, Vec<u16>),
    /// Close them, and say with which marks questions arrived.
    Close,
    /// Ask these ports of the sender, with the mark of a class.
    Ask(Transport, TrafficClass, Vec<u16>),
}

/// What the listener says to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Ranges and marks by class.
    Offer(Vec<Offer>),
    /// They are open, but for those that other programs hold.
    Opened(Vec<u16>),
    /// The marks that questions arrived with, by port.
    Arrived(BTreeMap<u16, Option<Dscp>>),
    /// What became of each port.
    Found(BTreeMap<u16, Outcome>),
    /// It will not, for this reason.
    Refused(String),
}

/// A class of the listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer {
    /// The class.
    pub class: TrafficClass,
    /// Its ports.
    pub ports: PortRange,
    /// The mark of what it sends from there.
    pub mark: Dscp,
}

impl Hello {
    /// Reads a line.
    pub fn read(line: &str) -> Option<Hello> {
        match words(line)?[..] {
            ["carillon-probe", "1", nonce] => Some(Hello::Greeting(unhex(nonce)?)),
            ["proof", tag] => Some(Hello::Proof(unhex(tag)?)),
            ["refused"] => Some(Hello::Refused),
            _ => None,
        }
    }
}

impl Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hello::Greeting(nonce) => write!(f, "carillon-probe 1 {}", hex(nonce)),
            Hello::Proof(tag) => write!(f, "proof {}", hex(tag)),
            Hello::Refused => f.write_str("refused"),
        }
    }
}

impl Request {
    /// Reads a line.
    pub fn read(line: &str) -> Option<Request> {
        match words(line)?[..] {
            ["offer"] => Some(Request::Offer),
            ["close"] => Some(Request::Close),
            [verb @ ("open" | "ask"), transport, class, ref ports @ ..] => {
                let (transport, class) = (Transport::from_name(transport)?, TrafficClass::from_name(class)?);
                let ports = self::ports(ports)?;
                let make = if verb == "open" { Request::Open } else { Request::Ask };
                (!ports.is_empty()).then(|| make(transport, class, ports))
            }
            _ => None,
        }
    }
}

impl Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Offer => f.write_str("offer"),
            Request::Close => f.write_str("close"),
            Request::Open(transport, class, ports) => write!(f, "open {transport} {class}{}", listed(ports)),
            Request::Ask(transport, class, ports) => write!(f, "ask {transport} {class}{}", listed(ports)),
        }
    }
}

impl Reply {
    /// Reads a line.
    pub fn read(line: &str) -> Option<Reply> {
        let words = words(line)?;
        let (verb, rest) = words.split_first()?;
        if rest.len() > MOST_PORTS && *verb != "refused" {
            return None;
        }
        Some(match *verb {
            "offer" => Reply::Offer(rest.iter().map(|word| offer(word)).collect::<Option<_>>()?),
            "opened" => Reply::Opened(ports(rest)?),
            "arrived" => Reply::Arrived(rest.iter().map(|word| by_port(word, mark)).collect::<Option<_>>()?),
            "found" => {
                Reply::Found(rest.iter().map(|word| by_port(word, Outcome::read)).collect::<Option<_>>()?)
            }
            "refused" => Reply::Refused(rest.join(" ")),
            _ => return None,
        })
    }
}

impl Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Offer(offers) => {
                f.write_str("offer")?;
                offers.iter().try_for_each(|of| write!(f, " {}={},{}", of.class, of.ports, of.mark.value()))
            }
            Reply::Opened(taken) => write!(f, "opened{}", listed(taken)),
            Reply::Arrived(marks) => {
                f.write_str("arrived")?;
                marks.iter().try_for_each(|(port, mark)| write!(f, " {port}={}", mark_word(*mark)))
            }
            Reply::Found(outcomes) => {
                f.write_str("found")?;
                outcomes.iter().try_for_each(|(port, outcome)| write!(f, " {port}={}", outcome.word()))
            }
            Reply::Refused(reason) => write!(f, "refused {reason}"),
        }
    }
}

/// Words between single blanks, all printable.
fn words(line: &str) -> Option<Vec<&str>> {
    let sound = line.len() <= LONGEST && line.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    sound.then(|| line.split(' ').collect())
}

fn ports(words: &[&str]) -> Option<Vec<u16>> {
    if words.len() > MOST_PORTS {
        return None;
    }
    words.iter().map(|word| word.parse().ok().filter(|port| *port > 0)).collect()
}

fn listed(ports: &[u16]) -> String {
    ports.iter().map(|port| format!(" {port}")).collect()
}

fn offer(word: &str) -> Option<Offer> {
    let (class, rest) = word.split_once('=')?;
    let (ports, mark) = rest.split_once(',')?;
    let mark = Dscp::new(mark.parse().ok()?)?;
    Some(Offer { class: TrafficClass::from_name(class)?, ports: PortRange::parse(ports)?, mark })
}

fn by_port<T>(word: &str, read: impl Fn(&str) -> Option<T>) -> Option<(u16, T)> {
    let (port, rest) = word.split_once('=')?;
    Some((port.parse().ok().filter(|port| *port > 0)?, read(rest)?))
}

/// A mark, or `?` where it cannot be told.
pub(super) fn mark(word: &str) -> Option<Option<Dscp>> {
    match word {
        "?" => Some(None),
        number => Dscp::new(number.parse().ok()?).map(Some),
    }
}

pub(super) fn mark_word(mark: Option<Dscp>) -> String {
    mark.map_or("?".to_owned(), |mark| mark.value().to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let number = u128::from_str_radix(text, 16).ok()?;
    (text.len() == 32 && !text.starts_with('+')).then(|| number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Service;
    use super::*;

    #[test]
    fn every_line_is_read_as_it_was_written() {
        for hello in [Hello::Greeting([0xab; 16]), Hello::Proof([1; 16]), Hello::Refused] {
            assert_eq!(Hello::read(&hello.to_string()), Some(hello));
        }
        for request in [
            Request::Offer,
            Request::Close,
            Request::Open(Transport::Udp, TrafficClass::Audio, vec![20000, 20001]),
            Request::Ask(Transport::Tcp, TrafficClass::FileTransfer, vec![443]),
        ] {
            assert_eq!(Request::read(&request.to_string()), Some(request));
        }
        let ports = PortRange::from_ends(20000, 20039).unwrap();
        for reply in [
            Reply::Offer(vec![Offer { class: TrafficClass::Audio, ports, mark: Dscp::EF }]),
            Reply::Opened(vec![]),
            Reply::Opened(vec![20003]),
            Reply::Arrived(BTreeMap::from([(1, Some(Dscp::EF)), (2, None)])),
            Reply::Found(BTreeMap::from([
                (1, Outcome::Open { arrived: Some(Dscp::EF), returned: None }),
                (2, Outcome::Refused),
                (3, Outcome::Filtered { by: None }),
                (4, Outcome::Filtered { by: Some("fd00::1".parse().unwrap()) }),
                (5, Outcome::OneWay { arrived: Some(Dscp::DEFAULT) }),
                (6, Outcome::Foreign(Service::Http)),
                (7, Outcome::Untested),
            ])),
            Reply::Refused("no such class".to_owned()),
        ] {
            assert_eq!(Reply::read(&reply.to_string()), Some(reply));
        }
    }

    #[test]
    fn what_is_not_understood_or_too_much_is_none() {
        let many = format!("open udp audio{}", " 1".repeat(MOST_PORTS + 1));
        for line in
            ["", "open", "open udp audio", "open sctp audio 1", "open udp voice 1", "open udp audio 0", &many]
        {
            assert_eq!(Request::read(line), None, "{line}");
        }
        for line in [
            "",
            "arrived 1",
            "arrived 1=64",
            "found 1=maybe",
            "offer audio=1-2",
            "opened 65536",
            "open\u{7}ed",
        ] {
            assert_eq!(Reply::read(line), None, "{line}");
        }
        for line in [
            "HTTP/1.1 400 Bad Request",
            "carillon-probe 2 00",
            "proof +0000000000000000000000000000001",
            "proof x",
        ] {
            assert_eq!(Hello::read(line), None, "{line}");
        }
    }
}
