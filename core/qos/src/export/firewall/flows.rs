//! What flows between which zones, and who says so: one table, and the plan's ports put into it.

use Ports::{Fixed, Media, Relay, Signaling};
use Reading::{Article, Both, Documentation};
use Zone::{Application, Client, Conferencing, Edge, EdgeExternal, Gateway, Internet, Mediation};

use super::super::{Order, Unfit};
use super::zone::Zone;
use crate::class::TrafficClass;
use crate::ports::PortRange;
use crate::role::Role;
use crate::rule::Protocol;

/// Which of the published readings has a flow. They differ in the Edge's relay ports only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reading {
    /// All of them.
    Both,
    /// The product's documentation: the relay's ports are opened outwards, for TCP.
    Documentation,
    /// The article on the Edge's ports: in both directions, for UDP and TCP, so that no better path is lost.
    Article,
}

impl Reading {
    /// Whether a rule set by this reading has that flow.
    pub(super) fn includes(self, other: Reading) -> bool {
        other == Both || other == self
    }

    /// The word in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Both => "all",
            Documentation => "documentation",
            Article => "article",
        }
    }

    /// The reading in words.
    pub(super) fn title(self) -> &'static str {
        match self {
            Both => "Every reading",
            Documentation => "By the product's documentation (relay ports outwards only)",
            Article => "By the article on the Edge's ports (relay ports in both directions)",
        }
    }

    /// The file of its rules.
    pub(super) fn file(self) -> &'static str {
        match self {
            Both | Documentation => "firewall.nft",
            Article => "firewall-relay-inbound.nft",
        }
    }
}

/// Ports of a row.
#[derive(Clone, Copy)]
enum Ports {
    /// The product's.
    Fixed(&'static [(u16, u16)]),
    /// Where SIP listens by the plan.
    Signaling,
    /// The plan's ranges of a role.
    Media(Role, &'static [TrafficClass]),
    /// From the Edge's relay ports, to any.
    FromRelay,
    /// To the Edge's relay ports.
    Relay,
}

/// One row: who begins, towards whom, and for what.
struct Flow {
    from: Zone,
    to: Zone,
    protocol: Protocol,
    ports: Ports,
    service: &'static str,
    source: &'static str,
    reading: Reading,
}

const INTERNAL: &str = "Lync Server 2013: Ports and protocols for internal servers";
const EDGE: &str = "Lync Server 2013: Port summary - Single consolidated edge";
const MEDIATION: &str = "Lync Server 2013: Port requirements for Mediation Servers";
const ARTICLE: &str = "Jeff Schertz: Understanding Lync Edge Server Ports";
const PLAN: &str = "the plan";

const AV: &[TrafficClass] = &[TrafficClass::Audio, TrafficClass::Video];
const AUDIO: &[TrafficClass] = &[TrafficClass::Audio];
const SHARING: &[TrafficClass] = &[TrafficClass::Sharing];
const DATA: &[TrafficClass] = &[TrafficClass::Sharing, TrafficClass::FileTransfer];
const STUN: &[(u16, u16)] = &[(3478, 3478)];
const HTTPS: &[(u16, u16)] = &[(443, 443)];

const fn row(
    (from, to): (Zone, Zone),
    protocol: Protocol,
    ports: Ports,
    service: &'static str,
    source: &'static str,
) -> Flow {
    Flow { from, to, protocol, ports, service, source, reading: Both }
}

/// Media that ICE sets up is listed for one direction only, that of the caller: both sides send their checks, and the
/// first that goes the listed way opens it for both.
const FLOWS: &[Flow] = &[
    row(
        (Client, Client),
        Protocol::Both,
        Media(Role::Client, AV),
        "audio and video from client to client",
        PLAN,
    ),
    row(
        (Client, Client),
        Protocol::Tcp,
        Media(Role::Client, DATA),
        "sharing and files from client to client",
        PLAN,
    ),
    row((Client, Conferencing), Protocol::Tcp, Signaling, "SIP", PLAN),
    row(
        (Client, Conferencing),
        Protocol::Both,
        Media(Role::Conferencing, AV),
        "conferences: audio and video",
        PLAN,
    ),
    row(
        (Client, Conferencing),
        Protocol::Both,
        Media(Role::Conferencing, SHARING),
        "conferences: sharing (UDP where it is sent as video)",
        PLAN,
    ),
    row(
        (Client, Conferencing),
        Protocol::Tcp,
        Fixed(&[(80, 80), (443, 443)]),
        "web services, address book, updates",
        INTERNAL,
    ),
    row((Client, Conferencing), Protocol::Tcp, Fixed(&[(8057, 8057)]), "web conferencing (PSOM)", INTERNAL),
    row(
        (Client, Application),
        Protocol::Both,
        Media(Role::Application, AV),
        "attendants and groups: audio and video",
        PLAN,
    ),
    row((Client, Application), Protocol::Both, Media(Role::Application, SHARING), "sharing", PLAN),
    row((Client, Mediation), Protocol::Both, Media(Role::Mediation, AUDIO), "calls to the PSTN", PLAN),
    row(
        (Client, Gateway),
        Protocol::Udp,
        Media(Role::Gateway, AUDIO),
        "calls to the PSTN that bypass Mediation",
        PLAN,
    ),
    row(
        (Gateway, Client),
        Protocol::Udp,
        Media(Role::Client, AUDIO),
        "calls to the PSTN that bypass Mediation",
        PLAN,
    ),
    row((Client, Edge), Protocol::Udp, Fixed(STUN), "relay (STUN, TURN)", EDGE),
    row(
        (Client, Edge),
        Protocol::Tcp,
        Fixed(HTTPS),
        "relay where UDP is blocked, for sharing and files",
        EDGE,
    ),
    row(
        (Conferencing, Application),
        Protocol::Tcp,
        Fixed(&[(5064, 5064), (5071, 5073), (5075, 5076)]),
        "SIP to attendants, announcements, groups, call park, audio test",
        INTERNAL,
    ),
    row((Conferencing, Mediation), Protocol::Tcp, Fixed(&[(5070, 5070)]), "SIP to Mediation", MEDIATION),
    row(
        (Conferencing, Mediation),
        Protocol::Both,
        Media(Role::Mediation, AUDIO),
        "PSTN callers in conferences",
        PLAN,
    ),
    row((Mediation, Conferencing), Protocol::Tcp, Signaling, "SIP", PLAN),
    row(
        (Mediation, Conferencing),
        Protocol::Tcp,
        Fixed(&[(444, 444)]),
        "branch appliances to their Front End",
        INTERNAL,
    ),
    row((Mediation, Conferencing), Protocol::Tcp, Fixed(&[(448, 448)]), "call admission control", INTERNAL),
    row((Mediation, Gateway), Protocol::Tcp, Signaling, "SIP to gateways", PLAN),
    row((Mediation, Gateway), Protocol::Udp, Media(Role::Gateway, AUDIO), "calls to the PSTN", PLAN),
    row((Gateway, Mediation), Protocol::Tcp, Fixed(&[(5067, 5068)]), "SIP from gateways", MEDIATION),
    row((Gateway, Mediation), Protocol::Udp, Media(Role::Mediation, AUDIO), "calls from the PSTN", PLAN),
    row((Conferencing, Edge), Protocol::Tcp, Fixed(&[(5061, 5061)]), "SIP to Access Edge", EDGE),
    row((Conferencing, Edge), Protocol::Tcp, Fixed(&[(5062, 5062)]), "credentials for the relay", EDGE),
    row((Conferencing, Edge), Protocol::Tcp, Fixed(&[(8057, 8057)]), "web conferencing (PSOM)", EDGE),
    row(
        (Conferencing, Edge),
        Protocol::Tcp,
        Fixed(&[(4443, 4443)]),
        "replication of the configuration",
        EDGE,
    ),
    row((Conferencing, Edge), Protocol::Tcp, Fixed(&[(23456, 23456)]), "XMPP", EDGE),
    row((Conferencing, Edge), Protocol::Tcp, Fixed(&[(50001, 50003)]), "central logging", EDGE),
    row((Conferencing, Edge), Protocol::Udp, Fixed(STUN), "relay (STUN, TURN)", EDGE),
    row((Conferencing, Edge), Protocol::Tcp, Fixed(HTTPS), "relay where UDP is blocked, for sharing", EDGE),
    row((Edge, Conferencing), Protocol::Tcp, Signaling, "SIP from Access Edge", EDGE),
    row((Application, Edge), Protocol::Udp, Fixed(STUN), "relay (STUN, TURN)", EDGE),
    row((Application, Edge), Protocol::Tcp, Fixed(HTTPS), "relay where UDP is blocked", EDGE),
    row((Mediation, Edge), Protocol::Tcp, Fixed(&[(5062, 5062)]), "credentials for the relay", EDGE),
    row((Mediation, Edge), Protocol::Udp, Fixed(STUN), "relay (STUN, TURN)", EDGE),
    row((Mediation, Edge), Protocol::Tcp, Fixed(HTTPS), "relay where UDP is blocked", EDGE),
    row(
        (Internet, EdgeExternal),
        Protocol::Tcp,
        Fixed(HTTPS),
        "SIP, web conferencing and relay of people outside",
        EDGE,
    ),
    row((Internet, EdgeExternal), Protocol::Tcp, Fixed(&[(5061, 5061)]), "SIP of federated partners", EDGE),
    row((Internet, EdgeExternal), Protocol::Tcp, Fixed(&[(5269, 5269)]), "XMPP of federated partners", EDGE),
    row((Internet, EdgeExternal), Protocol::Udp, Fixed(STUN), "relay (STUN, TURN)", EDGE),
    row((EdgeExternal, Internet), Protocol::Tcp, Fixed(&[(5061, 5061)]), "SIP to federated partners", EDGE),
    row((EdgeExternal, Internet), Protocol::Tcp, Fixed(&[(5269, 5269)]), "XMPP to federated partners", EDGE),
    row((EdgeExternal, Internet), Protocol::Udp, Fixed(STUN), "relay to relay", EDGE),
    row((EdgeExternal, Internet), Protocol::Tcp, Fixed(HTTPS), "relay to relay", EDGE),
    row((EdgeExternal, Internet), Protocol::Both, Fixed(&[(53, 53)]), "DNS", EDGE),
    row(
        (EdgeExternal, Internet),
        Protocol::Tcp,
        Fixed(&[(80, 80)]),
        "revocation lists of certificates",
        EDGE,
    ),
    Flow {
        reading: Documentation,
        ..row((EdgeExternal, Internet), Protocol::Tcp, Ports::FromRelay, "relayed media over TCP", EDGE)
    },
    Flow {
        reading: Article,
        ..row((EdgeExternal, Internet), Protocol::Both, Ports::FromRelay, "relayed media", ARTICLE)
    },
    Flow {
        reading: Article,
        ..row((Internet, EdgeExternal), Protocol::Both, Relay, "relayed media by the best path", ARTICLE)
    },
];

/// A flow with its ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Opening {
    pub(super) from: Zone,
    pub(super) to: Zone,
    pub(super) protocol: Protocol,
    /// Ports of who begins; `None` means any.
    pub(super) source_ports: Option<PortRange>,
    /// Ports of the other side, as few ranges as hold them; empty means any.
    pub(super) ports: Vec<PortRange>,
    pub(super) service: &'static str,
    pub(super) source: &'static str,
    pub(super) reading: Reading,
}

/// The flows of a plan. The product's own ports belong to a plan with an Edge; any other plan says only what is its own.
///
/// # Errors
/// A plan whose clients may use any port would open all of them.
pub(super) fn of_plan(order: &Order<'_>) -> Result<Vec<Opening>, Unfit> {
    let clients = client_ports(order);
    if clients.is_empty() || clients.iter().any(|range| range.covers(PortRange::UNRESTRICTED)) {
        return Err(Unfit(format!(
            "by plan `{}` clients use any port here, and a firewall would have to open all of them; give \
             `roles.client` ranges, and set `enabled = true`",
            order.plan.name()
        )));
    }
    Ok(FLOWS.iter().filter_map(|flow| opening(order, flow)).collect())
}

fn opening(order: &Order<'_>, flow: &Flow) -> Option<Opening> {
    let edge = order.plan.edge_ports();
    let ports = match flow.ports {
        Fixed(ports) => {
            edge.map(|_| ports.iter().filter_map(|(start, end)| PortRange::from_ends(*start, *end)).collect())
        }
        Signaling if flow.source == EDGE && edge.is_none() => None,
        Signaling => Some(order.plan.signaling_ports().to_vec()),
        Media(role, classes) => Some(media(order, role, classes)),
        Relay => edge.map(|range| vec![range]),
        Ports::FromRelay => edge.map(|_| Vec::new()),
    }?;
    let source_ports = edge.filter(|_| matches!(flow.ports, Ports::FromRelay));
    let ports = PortRange::merged(ports);
    (source_ports.is_some() || !ports.is_empty()).then_some(Opening {
        from: flow.from,
        to: flow.to,
        protocol: flow.protocol,
        source_ports,
        ports,
        service: flow.service,
        source: flow.source,
        reading: flow.reading,
    })
}

/// The ranges of a role's classes; among clients there are phones whose families have ranges of their own.
fn media(order: &Order<'_>, role: Role, classes: &[TrafficClass]) -> Vec<PortRange> {
    let mut ranges = Vec::new();
    let roles =
        if role == Role::Client { &[Role::Client, Role::Phone][..] } else { std::slice::from_ref(&role) };
    for class in classes {
        for role in roles {
            ranges.extend(order.plan.policy(*role, &order.scope).ports(*class));
        }
        if role == Role::Client {
            ranges.extend(order.plan.phones().iter().flat_map(|phone| phone.ranges(*class)));
        }
    }
    ranges
}

/// What has to be open between clients, in as few ranges as possible.
pub(super) fn client_ports(order: &Order<'_>) -> Vec<PortRange> {
    PortRange::merged(media(order, Role::Client, &TrafficClass::MEDIA))
}

/// How many ports, UDP and TCP counted apart, are open to whoever begins towards this zone from outside.
pub(super) fn ports_into(openings: &[&Opening], zone: Zone) -> u32 {
    let of = |protocol: Protocol| -> u32 {
        let inbound = openings.iter().filter(|opening| opening.to == zone && opening.from == Internet);
        let same =
            inbound.filter(|opening| opening.protocol == protocol || opening.protocol == Protocol::Both);
        let ranges = same.flat_map(|opening| opening.ports.iter().copied());
        PortRange::merged(ranges).iter().map(|range| range.count()).sum()
    };
    of(Protocol::Udp) + of(Protocol::Tcp)
}
