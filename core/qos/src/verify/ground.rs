//! What is known before judging: session descriptions, relays, roles, the plan's ranges; and so the class.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use carillon_wire::ip::Dscp;

use super::facts::{Facts, Format, MediaFact, RelayFact};
use super::report::{Content, Evidence};
use super::roles::{self, RoleAssignment};
use super::row::Row;
use super::stream::Wrap;
use crate::plan::{Phone, RolePolicy, Scope};
use crate::{Plan, PortRange, Role, TrafficClass};

/// Media classes, whose source ports the plan names.
pub(super) const MEDIA: [TrafficClass; 4] =
    [TrafficClass::Audio, TrafficClass::Video, TrafficClass::Sharing, TrafficClass::FileTransfer];
/// Ports of media relays on UDP (RFC 8656; 3479 to 3481 name a class).
const MEDIA_RELAY_PORTS: [u16; 4] = [3478, 3479, 3480, 3481];
/// TURN inside TLS (IANA).
const SEALED_RELAY_PORT: u16 = 5349;
/// Other ports that relays share with the rest of the world: wrapped media must be seen there.
const SHARED_RELAY_PORTS: [u16; 2] = [SEALED_RELAY_PORT, 443];
/// A port in a wide range says nothing about packets that are no media: ephemeral ports lie there too.
const NARROW: u32 = 1000;
/// Descriptions of one address that are looked at.
const MAX_FACTS: usize = 256;

/// The plan as verdicts need it: one policy per role.
#[derive(Debug)]
pub(super) struct Policies {
    by_role: Vec<RolePolicy>,
    signaling: Vec<PortRange>,
    /// Whether the plan says anything about relays.
    pub(super) has_edge: bool,
}

impl Policies {
    pub(super) fn new(plan: &Plan, scope: &Scope) -> Policies {
        Policies {
            by_role: Role::ALL.iter().map(|&role| plan.policy(role, scope)).collect(),
            signaling: plan.signaling_ports().to_vec(),
            has_edge: plan.edge_ports().is_some(),
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
    pub(super) fn class_of(&self, role: Role, port: u16) -> Option<TrafficClass> {
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
    /// Relayed address and the address that its owner has itself, where no NAT is between owner and relay.
    untranslated: BTreeMap<SocketAddr, SocketAddr>,
    /// Addresses that ends say they have themselves.
    hosts: BTreeSet<SocketAddr>,
    /// The peer of a client's channel.
    channels: BTreeMap<(SocketAddr, u16), SocketAddr>,
    /// Service addresses of relays: they answered an Allocate request, or carry wrapped media.
    relays: BTreeSet<SocketAddr>,
    others: BTreeSet<(IpAddr, u16)>,
    /// Facts for which there was no room.
    pub(super) facts_lost: u64,
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
            untranslated: BTreeMap::new(),
            hosts: BTreeSet::new(),
            channels: BTreeMap::new(),
            relays: BTreeSet::new(),
            others: facts.others,
            facts_lost: facts.lost,
            agents: facts.agents.into_iter().collect(),
            assigned: assigned.to_vec(),
            inferred: BTreeMap::new(),
            phones: plan.map_or_else(Vec::new, |(plan, _)| plan.phones().to_vec()),
        };
        for fact in facts.media {
            ground.media.entry((fact.address, fact.port)).or_default().push(fact);
        }
        for fact in facts.relays {
            ground.know(fact);
        }
        if let Some(policies) = &ground.policies {
            ground.inferred = roles::infer(rows, policies, &ground.agents);
        }
        ground.relays.extend(rows.iter().filter_map(relay_of));
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

    /// The ends of a row that a relay is between, by their own addresses, if no NAT is before either: then they could do
    /// without it.
    pub(super) fn direct_ends(&self, row: &Row) -> Option<(SocketAddr, SocketAddr)> {
        let src = SocketAddr::new(row.out.src, row.out.src_port);
        let dst = SocketAddr::new(row.out.dst, row.out.dst_port);
        let at_relay = |end: &SocketAddr| self.relays.contains(end) || self.untranslated.contains_key(end);
        let (client, relay) = if at_relay(&src) { (dst, src) } else { (src, dst) };
        let peer = match row.wrap {
            Wrap::Channel(number) => *self.channels.get(&(client, number))?,
            Wrap::Peer(peer) => peer,
            // A peer of somebody else's relay.
            Wrap::Bare => Some(relay).filter(|relay| self.untranslated.contains_key(relay))?,
            Wrap::Framed => return None,
        };
        let owned = |peer: &SocketAddr| self.untranslated.values().any(|host| host == peer);
        let itself = || Some(peer).filter(|peer| self.hosts.contains(peer) || owned(peer));
        let far = self.untranslated.get(&peer).copied().or_else(itself)?;
        let near = self.untranslated.values().find(|host| host.ip() == client.ip())?;
        (near.ip() != far.ip()).then_some((*near, far))
    }

    fn know(&mut self, fact: RelayFact) {
        match fact {
            RelayFact::Allocated { client, relayed, server } => {
                self.relayed.insert(relayed, client);
                self.relays.insert(server);
            }
            RelayFact::Channel { client, channel, peer, .. } => {
                self.channels.insert((client, channel), peer);
            }
            RelayFact::Host { address } => {
                self.hosts.insert(address);
            }
            RelayFact::Untranslated { relayed, host } => {
                self.untranslated.insert(relayed, host);
            }
        }
    }

    /// What the device calls itself in SIP.
    pub(super) fn agent(&self, address: IpAddr) -> Option<&str> {
        self.agents.get(&address).map(String::as_str)
    }

    /// Whether a row comes out of a relay's service port, whose number says nothing about a class.
    pub(super) fn is_of_relay_service(&self, row: &Row) -> bool {
        let src = SocketAddr::new(row.out.src, row.out.src_port);
        let by_port = row.out.protocol == "udp"
            && MEDIA_RELAY_PORTS.contains(&src.port())
            && !MEDIA_RELAY_PORTS.contains(&row.out.dst_port);
        row.out.class != Some(TrafficClass::Signaling) && (by_port || self.relays.contains(&src))
    }

    /// Whether it is TLS with a relay: media may be inside, and nobody can look. A relay is who is asked at the port for that, or
    /// was seen to lend addresses.
    pub(super) fn is_sealed_with_relay(&self, row: &Row) -> bool {
        let lends = |address: IpAddr| self.relays.iter().any(|relay| relay.ip() == address);
        let ends = [(row.out.src, row.out.src_port), (row.out.dst, row.out.dst_port)];
        let at_relay = |(address, port): (IpAddr, u16)| port == SEALED_RELAY_PORT || lends(address);
        row.out.content == Content::Tls && ends.into_iter().any(at_relay)
    }

    /// Whether a session description names an end of the row for media.
    pub(super) fn is_described(&self, row: &Row) -> bool {
        let ends = [(row.out.dst, row.out.dst_port), (row.out.src, row.out.src_port)];
        ends.iter().any(|end| self.media.contains_key(end))
    }

    /// Whether a session description names an end of the row, be it for something of no class, such as fax.
    pub(super) fn is_announced(&self, row: &Row) -> bool {
        let ends = [(row.out.dst, row.out.dst_port), (row.out.src, row.out.src_port)];
        self.is_described(row) || ends.iter().any(|end| self.others.contains(end))
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
        let mut facts = self.facts_at(row).into_iter().flatten();
        facts.find_map(|fact| fact.formats.iter().find(|format| format.payload_type == number))
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
        let narrow = self.is_narrow(role, class);
        let transfer = matches!(class, TrafficClass::Sharing | TrafficClass::FileTransfer);
        (narrow && transfer && row.out.dst_port >= 1024).then_some(class)
    }

    /// Whether a port in the role's range of this class says much, because few ports do.
    pub(super) fn is_narrow(&self, role: Role, class: TrafficClass) -> bool {
        let range = self.policies.as_ref().and_then(|policies| policies.range(role, class));
        range.is_some_and(|range| range.count() <= NARROW)
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
        self.facts_at(row).iter().find_map(|facts| choose(facts, row))
    }

    /// What is said of the receiver and of the sender, what holds longest first: ports are used again, so the
    /// latest description before the row counts most, then those that came later.
    fn facts_at(&self, row: &Row) -> [Vec<&MediaFact>; 2] {
        let at = |ip: IpAddr, port: u16| {
            let known = self.media.get(&(ip, port)).map_or(&[][..], Vec::as_slice);
            let before =
                known.partition_point(|fact| (fact.file, fact.frame) <= (row.key.file, row.out.first_frame));
            known[..before].iter().rev().chain(&known[before..]).take(MAX_FACTS).collect()
        };
        [at(row.out.dst, row.out.dst_port), at(row.out.src, row.out.src_port)]
    }
}

/// The service address of a relay that a wrapped row shows.
fn relay_of(row: &Row) -> Option<SocketAddr> {
    let wrapped = matches!(row.wrap, Wrap::Channel(_) | Wrap::Peer(_));
    let ends = [(row.out.src, row.out.src_port), (row.out.dst, row.out.dst_port)];
    let service = |port: &u16| MEDIA_RELAY_PORTS.contains(port) || SHARED_RELAY_PORTS.contains(port);
    let end = ends.into_iter().find(|(_, port)| wrapped && service(port))?;
    Some(SocketAddr::from(end))
}

/// Among several descriptions of one address: the one that names the SSRC, else the payload type, else the first.
fn choose<'a>(facts: &[&'a MediaFact], row: &Row) -> Option<&'a MediaFact> {
    let facts = || facts.iter().copied();
    let by_ssrc = || facts().find(|fact| row.out.ssrc.is_some_and(|ssrc| fact.ssrcs.contains(&ssrc)));
    let names = |fact: &&'a MediaFact| {
        row.out.payload_type.is_some_and(|number| fact.formats.iter().any(|f| f.payload_type == number))
    };
    by_ssrc().or_else(|| facts().find(names)).or_else(|| facts().next())
}

fn fits(class: TrafficClass, shape: TrafficClass) -> bool {
    class == shape || (class == TrafficClass::Sharing && shape == TrafficClass::Video)
}
