//! A router that hides a site behind one address (RFC 4787): mappings, filters, and that they end.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How a mapping is chosen, and who may use it from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Behaviour {
    /// One outer port for an inner socket, and whoever knows it may send.
    EndpointIndependent,
    /// A new outer port for each peer, and only that peer may send ("symmetric").
    AddressAndPortDependent,
}

/// A NAT for UDP.
#[derive(Clone, Debug)]
pub struct Nat {
    outside: IpAddr,
    behaviour: Behaviour,
    /// A mapping ends when nothing went out for so long.
    lifetime: Duration,
    mappings: BTreeMap<(SocketAddr, Option<SocketAddr>), Mapping>,
    next_port: u16,
}

#[derive(Clone, Copy, Debug)]
struct Mapping {
    port: u16,
    used: Duration,
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
        let key = (inner, (self.behaviour == Behaviour::AddressAndPortDependent).then_some(peer));
        let fresh = self.next_port;
        let mapping = self.mappings.entry(key).or_insert(Mapping { port: fresh, used: now });
        mapping.used = now;
        if mapping.port == fresh {
            self.next_port = fresh.checked_add(1).unwrap_or(20_000);
        }
        SocketAddr::new(self.outside, mapping.port)
    }

    /// Whom a packet from `peer` to one of our outer ports reaches.
    pub fn inbound(&mut self, now: Duration, peer: SocketAddr, port: u16) -> Option<SocketAddr> {
        self.expire(now);
        let allows = |only: &Option<SocketAddr>| only.is_none_or(|only| only == peer);
        let found = self.mappings.iter().find(|((_, only), mapping)| mapping.port == port && allows(only));
        found.map(|((inner, _), _)| *inner)
    }

    /// Forgets every mapping, as a router does that was switched off and on.
    pub fn restart(&mut self) {
        self.mappings.clear();
        self.next_port = self.next_port.checked_add(1000).unwrap_or(20_000);
    }

    fn expire(&mut self, now: Duration) {
        let lifetime = self.lifetime;
        self.mappings.retain(|_, mapping| now.saturating_sub(mapping.used) < lifetime);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 0, 9)), 5060);

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::new([203, 0, 113, 1].into(), port)
    }

    fn nat(behaviour: Behaviour) -> Nat {
        Nat::new([198, 51, 100, 1].into(), behaviour, Duration::from_secs(30))
    }

    #[test]
    fn an_endpoint_independent_mapping_serves_every_peer_until_it_ends() {
        let mut nat = nat(Behaviour::EndpointIndependent);
        let outer = nat.outbound(Duration::ZERO, INNER, peer(1));
        assert_eq!(nat.outbound(Duration::ZERO, INNER, peer(2)), outer);
        let later = Duration::from_secs(29);
        assert_eq!(nat.inbound(later, peer(3), outer.port()), Some(INNER));
        assert_eq!(nat.inbound(Duration::from_secs(30), peer(1), outer.port()), None);
    }

    #[test]
    fn a_symmetric_mapping_serves_only_its_peer() {
        let mut nat = nat(Behaviour::AddressAndPortDependent);
        let outer = nat.outbound(Duration::ZERO, INNER, peer(1));
        assert_ne!(nat.outbound(Duration::ZERO, INNER, peer(2)), outer);
        assert_eq!(nat.inbound(Duration::ZERO, peer(2), outer.port()), None);
        assert_eq!(nat.inbound(Duration::ZERO, peer(1), outer.port()), Some(INNER));
    }

    #[test]
    fn a_restart_changes_the_outer_port() {
        let mut nat = nat(Behaviour::EndpointIndependent);
        let outer = nat.outbound(Duration::ZERO, INNER, peer(1));
        nat.restart();
        assert_ne!(nat.outbound(Duration::ZERO, INNER, peer(1)), outer);
    }
}
