//! Configurations of switches and routers, as far as they mark, and tables of queues.

mod access_list;
mod aruba;
mod aruba_switch;
mod behind;
mod bindings;
mod cisco;
mod junos;
mod junos_tree;
mod mls_qos;
mod policy_map;
mod queue_list;

use super::phone::{decimal_mark, has_line, note, outcome, port, text};
use std::collections::BTreeMap;

use super::{Caveat, Fact, Format, Note, Reach, Read, What};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};

/// Its lines name no addresses.
pub(super) const ARUBA_SWITCH: &str = "ArubaOS-Switch configuration";

pub(super) const FORMATS: &[Format] = &[
    Format { name: ARUBA_SWITCH, recognise: aruba_switch::recognise, read: aruba_switch::read },
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
    Fact::new(format!("line{plural} {}", texts.join(", ")), What::Rule(rule))
}

/// The same for some addresses, those of sources first; empty is any.
fn fact_for(lines: &[usize], rule: MarkingRule, from: &[String], to: &[String]) -> Fact {
    let ends = [(from, "from", Reach::Sources), (to, "to", Reach::Destinations)];
    let caveat = |(names, word, reach): (&[String], &str, Reach)| Caveat {
        reach,
        text: format!("only {word} {}", names.join(", ")),
        fix: format!("take the condition on {} away, or add what is missing", names.join(", ")),
    };
    let caveats = ends.into_iter().filter(|(names, ..)| !names.is_empty()).map(caveat).collect();
    Fact { caveats, ..fact(lines, rule) }
}

/// Rules in the order of a device, each once: devices say everything twice, for IPv4 and for IPv6.
#[derive(Default)]
struct Found {
    facts: Vec<Fact>,
    places: BTreeMap<MarkingRule, usize>,
}

impl Found {
    /// Adds a rule. One that is there for some addresses holds for those of both, or for all if either does.
    fn add(&mut self, fact: Fact) {
        let What::Rule(rule) = &fact.what else { return self.facts.push(fact) };
        let Some(known) = self.places.get(rule).and_then(|at| self.facts.get_mut(*at)) else {
            self.places.insert(rule.clone(), self.facts.len());
            return self.facts.push(fact);
        };
        // What is said of one half holds for both, whichever comes first.
        let tied = |caveat: &Caveat| matches!(caveat.reach, Reach::Sources | Reach::Destinations);
        let nothing = |fact: &Fact| fact.caveats.iter().any(|caveat| caveat.reach == Reach::Nothing);
        match (nothing(known), nothing(&fact)) {
            (_, true) => {}
            (true, false) => known.caveats = fact.caveats,
            (false, false) => {
                let (mut ends, mut others): (Vec<Caveat>, Vec<Caveat>) =
                    std::mem::take(&mut known.caveats).into_iter().partition(tied);
                let (new_ends, new_others): (Vec<Caveat>, Vec<Caveat>) =
                    fact.caveats.into_iter().partition(tied);
                others.extend(new_others.into_iter().filter(|new| !others.contains(new)).collect::<Vec<_>>());
                if new_ends.is_empty() {
                    ends.clear();
                } else {
                    join(&mut ends, new_ends);
                }
                known.caveats = ends.into_iter().chain(others).collect();
            }
        }
    }
}

/// Adds the addresses of one list of caveats to another of the same kinds.
fn join(known: &mut [Caveat], others: Vec<Caveat>) {
    if !known.iter().map(|caveat| caveat.reach).eq(others.iter().map(|caveat| caveat.reach)) {
        return;
    }
    for (known, other) in known.iter_mut().zip(others) {
        let names = other.text.strip_prefix("only from ").or(other.text.strip_prefix("only to "));
        if let Some(names) = names.filter(|names| !known.text.contains(*names)) {
            known.text = format!("{}, {names}", known.text);
        }
    }
}

/// Addresses by the name that a file gives them.
type Names = BTreeMap<String, Vec<String>>;

/// Addresses behind a name that a text spells out; more are told by their name alone.
const MAX_ADDRESSES: usize = 64;

/// The names with what the file says that they stand for.
fn spelt_out(names: &[String], known: &Names) -> Vec<String> {
    let of = |name: &String| match known.get(name) {
        Some(addresses) if (1..=MAX_ADDRESSES).contains(&addresses.len()) => addresses.clone(),
        _ => vec![name.clone()],
    };
    names.iter().flat_map(of).collect()
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
