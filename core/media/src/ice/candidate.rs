//! Where one end may be reached, and how much it likes that (RFC 8445, 5.1).

use std::net::SocketAddr;

use carillon_wire::sdp;

use crate::leg::Component;

/// What kind of address it is, the best one first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Of the host itself.
    Host,
    /// As the other end saw it: behind a NAT that nobody had seen before.
    PeerReflexive,
    /// As a server saw it: of a NAT.
    ServerReflexive,
    /// On a relay.
    Relayed,
}

/// How a relay is spoken to, the best one first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Relaying {
    /// From the port of the media itself.
    Udp,
    /// By a connection.
    Tcp,
    /// By TLS on a connection.
    Tls,
}

/// A candidate of either end. Its transport is UDP: what a relay is reached by is between it and its client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Of RTP or of RTCP.
    pub component: Component,
    /// Its kind.
    pub kind: Kind,
    /// Where it receives.
    pub address: SocketAddr,
    /// The address behind it: of a reflexive one that of the host, of a relayed one that which the relay sees.
    pub related: Option<SocketAddr>,
    /// The higher the better.
    pub priority: u32,
    /// Candidates of one kind, one base and one server have the same: what works for one works for others.
    pub foundation: u32,
}

/// Foundations of one address.
const KINDS: u32 = 6;

impl Kind {
    /// As descriptions and reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Host => "host",
            Kind::PeerReflexive => "prflx",
            Kind::ServerReflexive => "srflx",
            Kind::Relayed => "relay",
        }
    }

    /// RFC 8445, 5.1.2.2.
    fn preference(self) -> u32 {
        match self {
            Kind::Host => 126,
            Kind::PeerReflexive => 110,
            Kind::ServerReflexive => 100,
            Kind::Relayed => 0,
        }
    }
}

impl Relaying {
    /// As reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Relaying::Udp => "UDP",
            Relaying::Tcp => "TCP",
            Relaying::Tls => "TLS",
        }
    }

    /// Whether it is a stream of bytes.
    pub fn is_stream(self) -> bool {
        self != Relaying::Udp
    }
}

impl Candidate {
    /// That of an end with one address and one port, which nothing stands before.
    pub(crate) fn only(address: SocketAddr) -> Candidate {
        Candidate::own(Component::Rtp, Kind::Host, address, None, None, 0)
    }

    /// One of our own, of the address with this rank. `relaying` makes UDP better than TCP, and TCP better than TLS.
    pub(super) fn own(
        component: Component,
        kind: Kind,
        address: SocketAddr,
        related: Option<SocketAddr>,
        relaying: Option<Relaying>,
        rank: u16,
    ) -> Candidate {
        let of_kind = match (kind, relaying) {
            (Kind::Host, _) => 1,
            (Kind::ServerReflexive, _) => 2,
            (Kind::PeerReflexive, _) => 3,
            (Kind::Relayed, Some(Relaying::Tcp)) => 5,
            (Kind::Relayed, Some(Relaying::Tls)) => 6,
            (Kind::Relayed, _) => 4,
        };
        let preference = kind.preference() + relaying.map_or(0, liking);
        let priority = priority(preference, component, rank);
        let foundation = of_kind + KINDS * u32::from(rank);
        Candidate { component, kind, address, related, priority, foundation }
    }

    /// One of the peer's, as its description has it. `None` for what we cannot check: names, TCP, kinds to come.
    pub(crate) fn read(line: &sdp::Candidate<'_>) -> Option<Candidate> {
        let component = match line.component {
            1 => Component::Rtp,
            2 => Component::Rtcp,
            _ => return None,
        };
        let kind = match line.kind {
            sdp::CandidateKind::Host => Kind::Host,
            sdp::CandidateKind::ServerReflexive => Kind::ServerReflexive,
            sdp::CandidateKind::PeerReflexive => Kind::PeerReflexive,
            sdp::CandidateKind::Relayed => Kind::Relayed,
            sdp::CandidateKind::Other(_) => return None,
        };
        let usable = line.transport.eq_ignore_ascii_case("udp") && line.port != 0 && line.priority != 0;
        let address = SocketAddr::new(line.ip?.to_canonical(), line.port);
        let related = line.related.map(SocketAddr::from);
        let foundation = line
            .foundation
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        usable.then_some(Candidate { component, kind, address, related, priority: line.priority, foundation })
    }
}

/// What follows `a=` (RFC 8839, 5.1).
impl std::fmt::Display for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let component = number(self.component);
        let (ip, port) = (self.address.ip(), self.address.port());
        write!(f, "candidate:{} {component} UDP {} {ip} {port}", self.foundation, self.priority)?;
        write!(f, " typ {}", self.kind.name())?;
        match self.related {
            Some(related) => write!(f, " raddr {} rport {}", related.ip(), related.port()),
            None => Ok(()),
        }
    }
}

/// What a check says about who makes it: it would be a candidate of this priority (RFC 8445, 7.1.1).
pub(super) fn reflexive_priority(component: Component, rank: u16) -> u32 {
    priority(Kind::PeerReflexive.preference(), component, rank)
}

/// The number in descriptions.
fn number(component: Component) -> u32 {
    match component {
        Component::Rtp => 1,
        Component::Rtcp => 2,
    }
}

/// RFC 8445, 5.1.2.1: the local preference is another one for each of our addresses, the highest for the first.
fn priority(preference: u32, component: Component, rank: u16) -> u32 {
    preference << 24 | u32::from(u16::MAX - rank) << 8 | (256 - number(component))
}

fn liking(relaying: Relaying) -> u32 {
    match relaying {
        Relaying::Udp => 2,
        Relaying::Tcp => 1,
        Relaying::Tls => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_candidate_reads_as_it_is_written() {
        let (own, base) = (address("192.0.2.1:5000"), Some(address("10.0.0.1:20000")));
        let reflexive = Candidate::own(Component::Rtp, Kind::ServerReflexive, own, base, None, 0);
        let text = reflexive.to_string();
        assert_eq!(text, "candidate:2 1 UDP 1694498815 192.0.2.1 5000 typ srflx raddr 10.0.0.1 rport 20000");
        let sdp::Attribute::Candidate(line) = sdp::Attribute::parse(text.as_bytes()) else { panic!() };
        let read = Candidate::read(&line).unwrap();
        assert_eq!((read.address, read.related, read.kind), (own, base, Kind::ServerReflexive));
        assert_eq!(read.priority, reflexive.priority);
    }

    #[test]
    fn the_host_is_liked_best_and_a_relay_by_tls_least() {
        let own = |kind, relaying| {
            Candidate::own(Component::Rtp, kind, address("192.0.2.1:5000"), None, relaying, 0).priority
        };
        let likings = [
            own(Kind::Host, None),
            own(Kind::PeerReflexive, None),
            own(Kind::ServerReflexive, None),
            own(Kind::Relayed, Some(Relaying::Udp)),
            own(Kind::Relayed, Some(Relaying::Tcp)),
            own(Kind::Relayed, Some(Relaying::Tls)),
        ];
        assert!(likings.is_sorted_by(|one, next| one > next), "{likings:?}");
        let rtcp = Candidate::own(Component::Rtcp, Kind::Host, address("192.0.2.1:5001"), None, None, 0);
        assert_eq!(likings[0] - rtcp.priority, 1);
        assert_eq!(reflexive_priority(Component::Rtp, 0), likings[1]);
    }

    #[test]
    fn another_address_is_liked_less_than_the_first_and_more_than_any_nat() {
        let host = |rank| {
            let candidate =
                Candidate::own(Component::Rtp, Kind::Host, address("192.0.2.1:5000"), None, None, rank);
            (candidate.priority, candidate.foundation)
        };
        assert_eq!([host(0), host(1)], [(2_130_706_431, 1), (2_130_706_175, 7)]);
        assert!(host(u16::MAX).0 > reflexive_priority(Component::Rtp, 0));
    }

    #[test]
    fn names_tcp_and_other_components_are_no_candidates_of_ours() {
        let read = |text: &str| match sdp::Attribute::parse(text.as_bytes()) {
            sdp::Attribute::Candidate(line) => Candidate::read(&line),
            _ => None,
        };
        assert!(read("candidate:a 1 udp 5 192.0.2.1 5 typ host generation 0").is_some());
        for wrong in [
            "candidate:a 1 udp 5 x.local 5 typ host",
            "candidate:a 1 TCP 5 192.0.2.1 9 typ host tcptype active",
            "candidate:a 3 udp 5 192.0.2.1 5 typ host",
            "candidate:a 1 udp 5 192.0.2.1 0 typ host",
            "candidate:a 1 udp 5 192.0.2.1 5 typ quantum",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
