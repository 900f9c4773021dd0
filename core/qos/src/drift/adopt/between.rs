//! What switches and routers mark, as ranges of clients and of servers: rules that are tied to addresses are servers',
//! the addresses are theirs.

use crate::class::TrafficClass;
use crate::import::{Caveat, Deployed, Marker, Reach};
use crate::plan::Network;
use crate::role::Role;
use crate::rule::{MarkingRule, Protocol};

use super::super::rules_of;
use super::guess::Guess;

/// Roles of one side of a network, the likeliest first: a second range for the same class belongs to the next.
const CLIENTS: [Role; 2] = [Role::Client, Role::Phone];
const SERVERS: [Role; 4] = [Role::Conferencing, Role::Mediation, Role::Application, Role::Gateway];

/// Whether a file's rules look at others' packets.
pub(super) fn is_between(file: &Deployed) -> bool {
    let rules = rules_of(file);
    let passing = |caveats: &[Caveat]| caveats.iter().any(|caveat| caveat.reach == Reach::Passing);
    match file.marker {
        Marker::Host => false,
        Marker::Network => true,
        Marker::Linux => !rules.is_empty() && rules.iter().all(|rule| passing(rule.caveats)),
    }
}

/// Whose a rule is: who is told by addresses is a server, everybody else a client, unless a name says more.
pub(super) fn role(rule: &MarkingRule, caveats: &[Caveat], named: Option<Role>) -> Guess<Role> {
    let tied = caveats.iter().any(|caveat| is_own_end(rule, caveat.reach));
    match named {
        Some(role) if SERVERS.contains(&role) == tied => Guess { value: role, sure: true },
        _ if tied => Guess { value: Role::Conferencing, sure: true },
        _ => Guess { value: Role::Client, sure: named.is_some_and(|role| CLIENTS.contains(&role)) },
    }
}

/// The roles that may have a range of this class, from the one that is likeliest on.
pub(super) fn roles(first: Role, class: TrafficClass) -> Vec<Role> {
    let side = if SERVERS.contains(&first) { &SERVERS[..] } else { &CLIENTS[..] };
    let others = side.iter().copied().filter(|role| *role != first);
    let has = |role: &Role| *role != Role::Mediation || class == TrafficClass::Audio;
    std::iter::once(first).chain(others).filter(has).collect()
}

/// Whether a rule is about SIP, which listens over TCP.
pub(super) fn is_signaling(rule: &MarkingRule) -> bool {
    rule.protocol == Protocol::Tcp
}

/// The networks at the end that a rule looks at, and the names that stand for networks that are not in the file.
pub(super) fn networks(rule: &MarkingRule, caveats: &[Caveat]) -> (Vec<Network>, Vec<String>) {
    let own = caveats.iter().filter(|caveat| is_own_end(rule, caveat.reach));
    let texts = own.filter_map(|caveat| {
        caveat.text.strip_prefix("only from ").or_else(|| caveat.text.strip_prefix("only to "))
    });
    let (mut networks, mut names) = (Vec::new(), Vec::new());
    for text in texts.flat_map(|text| text.split(", ")) {
        match network(text) {
            Some(network) => networks.push(network),
            None => names.push(text.to_owned()),
        }
    }
    (networks, names)
}

/// Whether a caveat does not concern a plan: it says where a device marks, not what.
pub(super) fn is_elsewhere(rule: &MarkingRule, caveat: &Caveat) -> bool {
    matches!(caveat.reach, Reach::Interfaces | Reach::Passing | Reach::Unknown)
        || is_own_end(rule, caveat.reach)
}

fn is_own_end(rule: &MarkingRule, reach: Reach) -> bool {
    match reach {
        Reach::Sources => rule.source_ports.is_some() && rule.destination_ports.is_none(),
        Reach::Destinations => rule.destination_ports.is_some() && rule.source_ports.is_none(),
        _ => false,
    }
}

/// `10.1.0.0/24`, `10.1.0.0 0.0.0.255`, `10.1.0.0 255.255.255.0`.
fn network(text: &str) -> Option<Network> {
    let Some((address, mask)) = text.split_once(' ') else { return Network::parse(text).ok() };
    let mask: std::net::Ipv4Addr = mask.parse().ok()?;
    let bits = if mask.octets()[0] == 255 || mask.to_bits() == 0 { mask.to_bits() } else { !mask.to_bits() };
    let length = bits.leading_ones();
    (bits.count_ones() == length).then(|| Network::parse(&format!("{address}/{length}")).ok())?
}
