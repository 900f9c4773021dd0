//! Configurations of switches and routers, as far as they mark, and tables of queues.

mod access_list;
mod aruba;
mod aruba_switch;
mod cisco;
mod junos;
mod queue_list;

use super::phone::{decimal_mark, has_line, note, outcome, port, text};
use super::{Fact, Format, Note, Read, What};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};

pub(super) const FORMATS: &[Format] = &[
    Format {
        name: "ArubaOS-Switch configuration",
        recognise: aruba_switch::recognise,
        read: aruba_switch::read,
    },
    Format { name: "ArubaOS controller configuration", recognise: aruba::recognise, read: aruba::read },
    Format { name: "Cisco IOS configuration", recognise: cisco::recognise, read: cisco::read },
    Format { name: "Junos configuration", recognise: junos::recognise, read: junos::read },
    Format { name: "list of marks and queues", recognise: queue_list::recognise, read: queue_list::read },
];

type Outcome = Result<Read, Vec<Note>>;

/// A rule of a device, with the lines that make it.
fn fact(lines: &[usize], rule: MarkingRule) -> Fact {
    let texts: Vec<String> = lines.iter().map(usize::to_string).collect();
    let plural = if texts.len() == 1 { "" } else { "s" };
    Fact { place: format!("line{plural} {}", texts.join(", ")), what: What::Rule(rule) }
}

/// Adds a rule unless it is there already: devices say everything twice, for IPv4 and for IPv6.
fn add(found: &mut Read, seen: &mut std::collections::BTreeSet<MarkingRule>, fact: Fact) {
    let new = match &fact.what {
        What::Rule(rule) => seen.insert(rule.clone()),
        _ => true,
    };
    if new {
        found.facts.push(fact);
    }
}

/// A range between two ports that are written down.
fn range(first: &str, last: &str) -> Result<PortRange, String> {
    let (start, end) = (port(first)?, port(last)?);
    PortRange::from_ends(start, end)
        .ok_or_else(|| format!("the last port, {end}, lies before the first, {start}"))
}

/// The protocols of a rule from its word: `udp`, `tcp`, or what means every protocol.
fn protocol(word: &str) -> Option<Protocol> {
    match word {
        "udp" | "17" => Some(Protocol::Udp),
        "tcp" | "6" => Some(Protocol::Tcp),
        "ip" | "ipv6" => Some(Protocol::Both),
        _ => None,
    }
}
