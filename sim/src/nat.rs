//! A router that hides a site behind one address (RFC 4787): mappings, filters, hairpins, and that they end.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How much of a peer's address matters (RFC 4787, 4.1 and 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Dependence {
    /// Nothing of it: endpoint-independent.
    Independent,
    /// Where the peer is: address-dependent.
    Address,
    /// That and its port: address and port-dependent.
    AddressAndPort,
}

/// What RFC 4787 calls a NAT by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Behaviour {
    /// For which peers an inner socket has the same outer port (4.1).
    pub mapping: Dependence,
    /// Who may send to an outer port: those who are like somebody whom it has sent to (5).
    pub filtering: Dependence,
    /// Whether those behind it reach each other by their outer addresses, seen as these (6).
    pub hairpinning: bool,
}

/// A NAT for UDP.
#[derive(Clone, Debug)]
pub struct Nat {
    outside: IpAddr,
    behaviour: Behaviour,
    /// How long what goes out keeps the way back open.
    lifetime: Duration,
    mappings: BTreeMap<(SocketAddr, Part), Mapping>,
    next_port: u16,
}

/// What matters of a peer's address.
type Part = (Option<IpAddr>, Option<u16>);

#[derive(Clone, Debug)]
struct Mapping {
    port: u16,
    /// Peers, and when each was last sent something.
    peers: BTreeMap<SocketAddr, Duration>,
}

impl Dependence {
    /// All of them.
    pub const ALL: [Dependence; 3] =
        [Dependence::Independent, Dependence::Address, Dependence::AddressAndPort];

    fn part(self, peer: SocketAddr) -> Part {
        match self {
            Dependence::Independent => (None, None),
            Dependence::Address => (Some(peer.ip()), None),
            Dependence::AddressAndPort => (Some(peer.ip()), Some(peer.port())),
        }
    }
}

impl Behaviour {
    /// One outer port for an inner socket, and whoever knows it may send.
    pub const CONE: Behaviour =
        Behaviour { mapping: Dependence::Independent, filtering: Dependence::Independent, hairpinning: true };

    /// A new outer port for each peer, and only that peer may send.
    pub const SYMMETRIC: Behaviour = Behaviour {
        mapping: Dependence::AddressAndPort,
        filtering: Dependence::AddressAndPort,
        hairpinning: true,
    };
}

impl Nat {
    /// Hides behind `outside`.
    pub const fn new(outside: IpAddr, behaviour: Behaviour, lifetime: Duration) -> Nat {
        Nat { outside, behaviour, lifetime, mappings: BTreeMap::new(), next_port: 20_000 }
    }

    /// The address that the world sees.
    pub const fn outside(&self) -> IpAddr {
        self.outside
    }

    /// What a packet from `inner` to `peer` looks like outside.
    pub fn outbound(&mut self, now: Duration, inner: SocketAddr, peer: SocketAddr) -> SocketAddr {
        self.expire(now);
        let (key, fresh) = ((inner, self.behaviour.mapping.part(peer)), self.next_port);
        let mapping =
            self.mappings.entry(key).or_insert_with(|| Mapping { port: fresh, peers: BTreeMap::new() });
        mapping.peers.insert(peer, now);
        if mapping.port == fresh {
            self.next_port = fresh.checked_add(1).unwrap_or(20_000);
        }
        SocketAddr::new(self.outside, mapping.port)
    }

    /// Whom a packet from `peer` to one of our outer ports reaches.
    pub fn inbound(&mut self, now: Duration, peer: SocketAddr, port: u16) -> Option<SocketAddr> {
        self.expire(now);
        let Behaviour { filtering, hairpinning, .. } = self.behaviour;
        if peer.ip() == self.outside && !hairpinning {
            return None;
        }
        let allows = |mapping: &Mapping| {
            mapping.peers.keys().any(|sent| filtering.part(*sent) == filtering.part(peer))
        };
        let found = self.mappings.iter().find(|(_, mapping)| mapping.port == port && allows(mapping));
        found.map(|((inner, _), _)| *inner)
    }

    /// Forgets every mapping, as a router does that was switched off and on.
    pub fn restart(&mut self) {
        self.mappings.clear();
        self.next_port = self.next_port.checked_add(1000).unwrap_or(20_000);
    }

    fn expire(&mut self, now: Duration) {
        let lifetime = self.lifetime;
        for mapping in self.mappings.values_mut() {
            mapping.peers.retain(|_, sent| now.saturating_sub(*sent) < lifetime);
        }
        self.mappings.retain(|_, mapping| !mapping.peers.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_changes_the_outer_port() {
        let [inner, peer] = ["192.168.0.9:5060", "203.0.113.1:1"].map(|text| text.parse().unwrap());
        let mut nat = Nat::new([198, 51, 100, 1].into(), Behaviour::CONE, Duration::from_secs(30));
        let outer = nat.outbound(Duration::ZERO, inner, peer);
        assert_eq!(nat.inbound(Duration::ZERO, peer, outer.port()), Some(inner));
        nat.restart();
        assert_eq!(nat.inbound(Duration::ZERO, peer, outer.port()), None);
        assert_ne!(nat.outbound(Duration::ZERO, inner, peer), outer);
    }
}
