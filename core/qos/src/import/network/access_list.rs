//! One line of a Cisco access list: which ports it lets match, and for which addresses.

use super::{protocol, range};
use crate::ports::PortRange;
use crate::rule::Protocol;

/// Packets that a line matches by protocol and ports; several where it lists ports one by one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) protocol: Protocol,
    pub(super) source: Vec<Option<PortRange>>,
    pub(super) destination: Vec<Option<PortRange>>,
    /// Source addresses; `None` is any.
    pub(super) from: Option<String>,
    /// Destination addresses.
    pub(super) to: Option<String>,
}

/// Why a line is no such entry.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Not {
    /// It matches more than ports, which a rule of the plan cannot say: a remark.
    Ports(String),
    /// It matches other protocols than UDP and TCP: a remark.
    Protocol(String),
    /// It cannot be read: an error.
    Readable(String),
}

impl Entry {
    /// Reads what follows `permit`: `udp any range 20000 20039 any`.
    pub(super) fn from_words(words: &[&str]) -> Result<Entry, Not> {
        let (first, rest) =
            words.split_first().ok_or_else(|| Not::Readable("a `permit` without anything".to_owned()))?;
        let protocol = protocol(first)
            .ok_or_else(|| Not::Protocol(format!("matches the protocol {first}, not UDP or TCP")))?;
        let (from, rest) = address(rest)?;
        let (source, rest) = ports(rest)?;
        let (to, rest) = address(rest)?;
        let (destination, rest) = ports(rest)?;
        match rest.first() {
            None | Some(&"log") => Ok(Entry { protocol, source, destination, from, to }),
            Some(word) => Err(Not::Ports(format!("asks for more than ports ({word})"))),
        }
    }
}

type End<'a> = (Vec<Option<PortRange>>, &'a [&'a str]);

/// An address or a name of several, `None` for any: `host 10.0.0.1`, `10.1.0.0 0.0.0.255`, `2001:db8::/64`.
fn address<'a>(words: &'a [&'a str]) -> Result<(Option<String>, &'a [&'a str]), Not> {
    let dotted = |word: &str| word.bytes().all(|b| b.is_ascii_digit() || b == b'.') && word.contains('.');
    match words {
        ["any" | "any4" | "any6", rest @ ..] => Ok((None, rest)),
        ["host" | "object-group" | "addrgroup", address, rest @ ..] => {
            Ok((Some((*address).to_owned()), rest))
        }
        [address, "0.0.0.0", rest @ ..] if dotted(address) => Ok((Some((*address).to_owned()), rest)),
        [address, wildcard, rest @ ..] if dotted(address) && dotted(wildcard) => {
            Ok((Some(format!("{address} {wildcard}")), rest))
        }
        [network, rest @ ..] if network.contains('/') => Ok((Some((*network).to_owned()), rest)),
        [] | ["host" | "object-group" | "addrgroup"] => {
            Err(Not::Readable("ends before both addresses are named".to_owned()))
        }
        [word, ..] => Err(Not::Ports(format!("holds for some addresses only ({word})"))),
    }
}

fn ports<'a>(words: &'a [&'a str]) -> Result<End<'a>, Not> {
    let readable = |result: Result<PortRange, String>| result.map_err(Not::Readable);
    match words {
        ["range", first, last, rest @ ..] => {
            Ok((vec![Some(readable(range(number(first)?, number(last)?))?)], rest))
        }
        ["gt", port, rest @ ..] => {
            let above = readable(range(number(port)?, "65535"))?;
            let above =
                PortRange::from_ends(above.start().saturating_add(1), 65535).filter(|_| above.count() > 1);
            Ok((vec![Some(above.ok_or_else(|| Not::Readable("no port is above 65535".to_owned()))?)], rest))
        }
        ["lt", port, rest @ ..] => {
            let below = readable(range("1", number(port)?))?;
            let below = PortRange::from_ends(1, below.end().saturating_sub(1));
            Ok((vec![Some(below.ok_or_else(|| Not::Readable("no port is below 1".to_owned()))?)], rest))
        }
        ["neq", ..] => Err(Not::Ports("asks for every port but one".to_owned())),
        ["range" | "gt" | "lt" | "eq"] | ["range", _] => {
            Err(Not::Readable("ends before its ports are named".to_owned()))
        }
        ["eq", ..] => listed(words),
        _ => Ok((vec![None], words)),
    }
}

/// Ports that IOS takes behind one `eq`.
const MAX_LISTED: usize = 10;

/// `eq` and its ports.
fn listed<'a>(words: &'a [&'a str]) -> Result<End<'a>, Not> {
    let mut rest = words.get(1..).unwrap_or(&[]);
    let mut ports = Vec::new();
    while let [word, more @ ..] = rest {
        let named = NAMES.iter().any(|(name, _)| name == word);
        if !named && !word.bytes().all(|b| b.is_ascii_digit()) {
            break;
        }
        if ports.len() == MAX_LISTED {
            return Err(Not::Readable(format!("lists more than {MAX_LISTED} ports")));
        }
        let port = number(word)?;
        ports.push(Some(range(port, port).map_err(Not::Readable)?));
        rest = more;
    }
    match ports.is_empty() {
        true => {
            Err(Not::Ports(format!("names a port that is not known here ({})", rest.first().unwrap_or(&""))))
        }
        false => Ok((ports, rest)),
    }
}

/// Ports that IOS prints by name and voice has to do with.
const NAMES: [(&str, &str); 6] =
    [("sip", "5060"), ("www", "80"), ("domain", "53"), ("ntp", "123"), ("syslog", "514"), ("tftp", "69")];

fn number(word: &str) -> Result<&str, Not> {
    if word.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(word);
    }
    let named = NAMES.iter().find(|(name, _)| *name == word);
    named
        .map(|(_, port)| *port)
        .ok_or_else(|| Not::Ports(format!("names a port that is not known here ({word})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Result<Entry, Not> {
        Entry::from_words(&text.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn ports_of_both_ends_are_read_in_every_spelling() {
        let ports = |text: &str| Some(PortRange::parse(text).unwrap());
        for (text, source, destination) in [
            ("udp any range 20000 20039 any", vec![ports("20000-20039")], vec![None]),
            ("udp any any range 20000 20039", vec![None], vec![ports("20000-20039")]),
            ("tcp any eq 5061 any log", vec![ports("5061")], vec![None]),
            ("tcp any any eq sip 5061", vec![None], vec![ports("5060"), ports("5061")]),
            ("udp any gt 65534 any lt 2", vec![ports("65535")], vec![ports("1")]),
        ] {
            let entry = entry(text).unwrap();
            assert_eq!((entry.source, entry.destination), (source, destination), "{text}");
        }
    }

    #[test]
    fn addresses_are_read_in_every_spelling() {
        for (text, from, to) in [
            ("udp host 10.0.0.1 eq 5 any", Some("10.0.0.1"), None),
            ("udp any object-group SERVERS range 5 9", None, Some("SERVERS")),
            (
                "tcp 10.1.0.0 0.0.0.255 range 5 9 10.2.0.7 0.0.0.0",
                Some("10.1.0.0 0.0.0.255"),
                Some("10.2.0.7"),
            ),
            ("udp 2001:db8::/64 range 5 9 any", Some("2001:db8::/64"), None),
        ] {
            let entry = entry(text).unwrap();
            assert_eq!((entry.from.as_deref(), entry.to.as_deref()), (from, to), "{text}");
        }
    }

    #[test]
    fn what_is_more_than_ports_and_what_is_broken_are_told_apart() {
        for text in [
            "icmp any any",
            "udp somewhere any",
            "udp any any dscp ef",
            "tcp any neq 5 any",
            "tcp any any eq h323",
        ] {
            assert!(matches!(entry(text), Err(Not::Ports(_) | Not::Protocol(_))), "{text}");
        }
        for text in [
            "udp",
            "udp any",
            "udp any range 5 4 any",
            "udp any any eq 65536",
            "udp any gt 65535 any",
            "udp any any range 1",
        ] {
            assert!(matches!(entry(text), Err(Not::Readable(_))), "{text}: {:?}", entry(text));
        }
    }
}
