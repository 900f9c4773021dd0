//! Desk phones whose family fixes ports or marks: the verdict expects of them what they can do.

use std::net::IpAddr;

use carillon_wire::ip::Dscp;

use super::ground::Ground;
use crate::plan::Phone;
use crate::{PortRange, Role, TrafficClass};

/// Words in a User-Agent that name a family, in small letters.
const NAMES: [(&str, &str); 8] = [
    ("vvx", "vvx"),
    ("soundpoint", "soundpoint"),
    ("soundstation", "soundstation"),
    ("soundstructure", "soundstructure"),
    ("ocphone", "lpe"),
    ("yealink", "yealink"),
    ("snom", "snom"),
    ("audiocodes", "audiocodes"),
];

impl Ground {
    /// The phone family of a sender: by what it calls itself, or, if it is told to be a phone and the plan
    /// knows one family only, that one.
    pub(super) fn phone(&self, address: IpAddr, role: Role) -> Option<&Phone> {
        let named = |name: &str| self.phones.iter().find(|phone| phone.family.name == name);
        let agent = self.agent(address).map(str::to_ascii_lowercase);
        let by_agent = agent.and_then(|agent| {
            let (_, family) = NAMES.iter().find(|(word, _)| agent.contains(word))?;
            named(family)
        });
        let only = || self.phones.first().filter(|_| self.phones.len() == 1 && role == Role::Phone);
        by_agent.or_else(only)
    }
}

/// The range that a phone keeps: of two readings of its fixed range (24 ports, or 24 even and 24 odd ones) the
/// smaller one that holds the port.
pub(super) fn range(phone: &Phone, class: TrafficClass, port: u16) -> Option<PortRange> {
    let readings = phone.ranges(class);
    readings.iter().copied().find(|range| range.contains(port)).or(readings.last().copied())
}

/// The mark to expect of a phone, where it is not the plan's: signaling that the family cannot mark, marks
/// that the plan configures on these phones. A mere factory default is no excuse.
pub(super) fn mark(phone: &Phone, class: TrafficClass) -> Option<Dscp> {
    let configured = phone.marks.contains_key(&class) || phone.marks.contains_key(&TrafficClass::Audio);
    match class {
        TrafficClass::Signaling => phone.mark(class),
        TrafficClass::Audio | TrafficClass::Video if configured => phone.mark(class),
        _ => None,
    }
}
