//! What is known before judging: session descriptions, relays, roles, the plan's ranges; and so the class.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use carillon_wire::ip::Dscp;

use super::facts::{Facts, Format, MediaFact, RelayFact};
use super::report::{Content, Evidence};
use super::row::Row;
use crate::plan::{Phone, RolePolicy, Scope};
use crate::{Plan, PortRange, Role, TrafficClass};

/// Media classes, whose source ports the plan names.
pub(super) const MEDIA: [TrafficClass; 4] =
    [TrafficClass::Audio, TrafficClass::Video, TrafficClass::Sharing, TrafficClass::FileTransfer];
/// Ports of relays (RFC 8656; 3479 to 3481 name a class).
const RELAY_PORTS: [u16; 6] = [3478, 3479, 3480, 3481, 5349, 443];
/// A port in a wide range says nothing about packets that are no media: ephemeral ports lie there too.
const NARROW: u32 = 1000;

/// A network and the role of its hosts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoleAssignment {
    /// Any address of the network.
    pub network: IpAddr,
    /// Leading bits that count.
    pub prefix: u8,
    /// The role.
    pub role: Role,
}

impl RoleAssignment {
    fn holds(&self, address: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, true),
            IpAddr::V6(v6) => (u128::from(v6), false),
        };
        let ((a, a_v4), (b, b_v4)) = (bits(self.network), bits(address));
        let keep = u128::MAX.checked_shl(128 - u32::from(self.prefix.min(128))).unwrap_or(0);
        a_v4 == b_v4 && (a & keep) == (b & keep)
    }
}

/// The plan as verdicts need it: one policy per role.
#[derive(Debug)]
pub(super) struct Policies {
    by_role: Vec<RolePolicy>,
    signaling: Vec<PortRange>,
}

impl Policies {
    pub(super) fn new(plan: &Plan, scope: &Scope) -> Policies {
        Policies {
            by_role: Role::ALL.iter().map(|&role| plan.policy(role, scope)).collect(),
            signaling: plan.signaling_ports().to_vec(),
        }
    }

    pub(super) fn mark(&self, role: Role, class: TrafficClass) -> Dscp {
        self.of(role).map_or(Dscp::DEFAULT, |policy| policy.mark(class))
    }

    pub(super) fn range(&self, role: Role, class: TrafficClass) -> Option<PortRange> {
        self.of(role)?.ports(class)
    }

    pub(super) fn is_signaling(&self, port: u16) -> bool {
        self.signaling.iter().any(|range| range.contains(port))
    }

    /// The class whose range holds this port; `None` if none or several do.
    fn class_of(&self, role: Role, port: u16) -> Option<TrafficClass> {
        let mut classes = MEDIA.into_iter().filter(|&class| {
            self.range(role, class)
                .is_some_and(|range| range != PortRange::UNRESTRICTED && range.contains(port))
        });
        let class = classes.next()?;
        classes.next().is_none().then_some(class)
    }

    fn of(&self, role: Role) -> Option<&RolePolicy> {
        self.by_role.get(Role::ALL.iter().position(|&known| known == role)?)
    }
}

/// Everything that tells a class.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) policies: Option<Policies>,
    media: BTreeMap<(IpAddr, u16), Vec<MediaFact>>,
    /// Relayed address and the client it was given to.
    relayed: BTreeMap<SocketAddr, SocketAddr>,
    agents: BTreeMap<IpAddr, String>,
    assigned: Vec<RoleAssignment>,
    inferred: BTreeMap<IpAddr, Role>,
    /// Phone families of the plan.
    pub(super) phones: Vec<Phone>,
}

impl Ground {
    pub(super) fn new(
        plan: Option<(&Plan, &Scope)>,
        facts: Facts,
        assigned: &[RoleAssignment],
        rows: &[Row],
    ) -> Ground {
        let mut ground = Ground {
            policies: plan.map(|(plan, scope)| Policies::new(plan, scope)),
            media: BTreeMap::new(),
            relayed: BTreeMap::new(),
            agents: facts.agents.into_iter().collect(),
            assigned: assigned.to_vec(),
            inferred: BTreeMap::new(),
            phones: plan.map_or_else(Vec::new, |(plan, _)| plan.phones().to_vec()),
        };
        for fact in facts.media {
            ground.media.entry((fact.address, fact.port)).or_default().push(fact);
        }
        for fact in facts.relays {
            if let RelayFact::Allocated { client, relayed, .. } = fact {
                ground.relayed.insert(relayed, client);
            }
        }
        ground.infer_roles(rows);
        ground
    }

    /// The role of a sender: as told, or a relay's address, or the role whose ranges hold most of its media.
    pub(super) fn role(&self, address: IpAddr, port: u16) -> Role {
        if let Some(told) = self.assigned.iter().find(|told| told.holds(address)) {
            return told.role;
        }
        if self.relayed.contains_key(&SocketAddr::new(address, port)) {
            return Role::Edge;
        }
        self.inferred.get(&address).copied().unwrap_or(Role::Client)
    }

    /// What the device calls itself in SIP.
    pub(super) fn agent(&self, address: IpAddr) -> Option<&str> {
        self.agents.get(&address).map(String::as_str)
    }

    /// Whether the source of a row is a relay's service port, whose number says nothing about a class.
    pub(super) fn is_of_relay_service(&self, row: &Row) -> bool {
        RELAY_PORTS.contains(&row.out.src_port) && !RELAY_PORTS.contains(&row.out.dst_port)
    }

    /// The class of media, and how it is known.
    pub(super) fn media_class(&self, row: &Row) -> Option<(TrafficClass, Evidence)> {
        if let Some(fact) = self.described(row) {
            return Some((fact.class, Evidence::Sdp));
        }
        let by_port = self.class_by_port(row);
        match (by_port, row.shape) {
            // Video-based screen sharing is video in shape and sharing by its port.
            (Some(class), None) => Some((class, Evidence::Port)),
            (Some(class), Some(shape)) if fits(class, shape) => Some((class, Evidence::Port)),
            (_, Some(shape)) => Some((shape, Evidence::Shape)),
            (None, None) => None,
        }
    }

    /// The codec and clock rate that a session description gives to a row's payload type.
    pub(super) fn format(&self, row: &Row) -> Option<&Format> {
        let number = row.out.payload_type?;
        let facts = self.facts_at(row).into_iter().flatten();
        facts.flat_map(|fact| &fact.formats).find(|format| format.payload_type == number)
    }

    /// Whether a session description says that this media is encrypted.
    pub(super) fn is_encrypted(&self, row: &Row) -> bool {
        self.described(row).is_some_and(|fact| fact.encrypted)
    }

    /// A class by port for packets that are no RTP: only a narrow range between ordinary ports is evidence.
    pub(super) fn class_of_other(&self, row: &Row) -> Option<TrafficClass> {
        let policies = self.policies.as_ref()?;
        let role = self.role(row.out.src, row.out.src_port);
        let class = policies.class_of(role, row.out.src_port)?;
        let narrow = policies.range(role, class)?.count() <= NARROW;
        let transfer = matches!(class, TrafficClass::Sharing | TrafficClass::FileTransfer);
        (narrow && transfer && row.out.dst_port >= 1024).then_some(class)
    }

    fn class_by_port(&self, row: &Row) -> Option<TrafficClass> {
        let policies = self.policies.as_ref()?;
        let (src, dst) = (&row.out.src, &row.out.dst);
        if self.is_of_relay_service(row) {
            return policies.class_of(self.role(*dst, row.out.dst_port), row.out.dst_port);
        }
        let own = policies.class_of(self.role(*src, row.out.src_port), row.out.src_port);
        // A sender outside every range still talks to somebody inside one.
        own.or_else(|| policies.class_of(self.role(*dst, row.out.dst_port), row.out.dst_port))
    }

    /// The session description of the receiver, or of the sender (symmetric RTP, RFC 4961).
    fn described(&self, row: &Row) -> Option<&MediaFact> {
        let [receiver, sender] = self.facts_at(row);
        [receiver, sender].into_iter().flat_map(|facts| choose(facts, row)).next()
    }

    fn facts_at(&self, row: &Row) -> [&[MediaFact]; 2] {
        let at = |ip: IpAddr, port: u16| self.media.get(&(ip, port)).map_or(&[][..], Vec::as_slice);
        [at(row.out.dst, row.out.dst_port), at(row.out.src, row.out.src_port)]
    }

    fn infer_roles(&mut self, rows: &[Row]) {
        let Some(policies) = &self.policies else { return };
        let mut packets: BTreeMap<IpAddr, [u64; Role::ALL.len()]> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.out.content == Content::Rtp) {
            let counts = packets.entry(row.out.src).or_default();
            for (count, &role) in counts.iter_mut().zip(&Role::ALL) {
                let inside = role != Role::Edge && policies.class_of(role, row.out.src_port).is_some();
                *count += if inside { row.out.packets } else { 0 };
            }
        }
        for (address, counts) in packets {
            // The first of equals: a port that clients may use makes a client.
            let best = (0..counts.len()).max_by_key(|&n| (counts[n], std::cmp::Reverse(n)));
            if let Some(best) = best.filter(|&n| counts[n] > 0) {
                self.inferred.insert(address, Role::ALL[best]);
            }
        }
    }
}

/// Among several descriptions of one address: the one that names the SSRC, else the payload type, else the first.
fn choose<'a>(facts: &'a [MediaFact], row: &Row) -> Option<&'a MediaFact> {
    let by_ssrc = || facts.iter().find(|fact| row.out.ssrc.is_some_and(|ssrc| fact.ssrcs.contains(&ssrc)));
    let names = |fact: &&MediaFact| {
        row.out.payload_type.is_some_and(|number| fact.formats.iter().any(|f| f.payload_type == number))
    };
    by_ssrc().or_else(|| facts.iter().find(names)).or_else(|| facts.first())
}

fn fits(class: TrafficClass, shape: TrafficClass) -> bool {
    class == shape || (class == TrafficClass::Sharing && shape == TrafficClass::Video)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_hosts_only() {
        let told =
            RoleAssignment { network: "10.1.0.0".parse().unwrap(), prefix: 16, role: Role::Conferencing };
        assert!(told.holds("10.1.2.3".parse().unwrap()));
        assert!(!told.holds("10.2.2.3".parse().unwrap()));
        assert!(!told.holds("fd00::1".parse().unwrap()));
        let all = RoleAssignment { prefix: 0, ..told };
        assert!(all.holds("192.0.2.1".parse().unwrap()));
    }
}
