//! Whom an allocation may reach. Deny by default: a relay that reaches what the Internet does not is a hole in the firewall.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use carillon_qos::plan::Scope;
use carillon_qos::{Plan, PortRange, Role, TrafficClass};

use crate::network::Network;

/// The rules about peers. What is not listed must be an address that the Internet reaches.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Peers {
    /// The managed networks: reached although they are private, and nowhere but on `ports`.
    pub inside: Vec<Network>,
    /// Where the plan has media: everything that there is inside for a relay to reach.
    pub ports: Vec<PortRange>,
    /// Networks that may be reached on every port.
    pub allowed: Vec<Network>,
    /// Networks that may not be reached, whatever else is said.
    pub denied: Vec<Network>,
    /// All addresses of the Edge's machine. Nothing is reached there.
    pub own: Vec<IpAddr>,
    /// But for the relayed ports that are open, where two clients of one Edge meet: the addresses that those have.
    pub relayed: Vec<IpAddr>,
}

/// Where the plan has media, of clients and servers, and the ports of relays: where there is something for a relay to reach.
pub fn planned_ports(plan: &Plan, scope: &Scope) -> Vec<PortRange> {
    let roles = [Role::Client, Role::Conferencing, Role::Application, Role::Mediation];
    let policies = roles.map(|role| plan.policy(role, scope));
    let of_classes = policies.iter().flat_map(|policy| {
        TrafficClass::MEDIA.map(|class| policy.ports(class).unwrap_or(PortRange::UNRESTRICTED))
    });
    let mut ports: Vec<PortRange> = of_classes.chain(plan.edge_ports()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Not for the Internet (IANA, special-purpose address registry).
const CLOSED_V4: [(Ipv4Addr, u8); 13] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
];

/// Of the global unicast addresses, 2000::/3, those that are none: protocol assignments with Teredo, 6to4, documentation. Both
/// translations would carry a packet to an IPv4 address that nobody looked at.
const CLOSED_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

impl Peers {
    /// Whether a permission for this address may be made; it holds for every port that [`Peers::reach`] allows.
    pub fn permit(&self, peer: IpAddr) -> bool {
        if is_never_a_peer(peer) || self.denied.iter().any(|network| network.contains(peer)) {
            return false;
        }
        if self.is_own(peer) {
            return self.relayed.contains(&peer);
        }
        [&self.inside, &self.allowed].into_iter().flatten().any(|network| network.contains(peer))
            || is_open(peer)
    }

    /// Whether packets may be sent there; on the Edge itself, if it is relayed.
    pub fn reach(&self, peer: SocketAddr) -> bool {
        let within = |networks: &[Network]| networks.iter().any(|network| network.contains(peer.ip()));
        let on_planned_port = || self.ports.iter().any(|range| range.contains(peer.port()));
        let is_bounded = within(&self.inside) && !within(&self.allowed) && !self.is_own(peer.ip());
        peer.port() != 0 && self.permit(peer.ip()) && (!is_bounded || on_planned_port())
    }

    /// Whether asking for a peer that may not be reached is no more than ICE at work: clients ask for every candidate of their
    /// peers, those in homes and other companies too.
    pub(crate) fn is_candidate(&self, peer: IpAddr) -> bool {
        let is_closed = self.is_own(peer) || self.denied.iter().any(|network| network.contains(peer));
        !is_closed && is_private(peer)
    }

    /// Whether this is the Edge itself.
    pub(crate) fn is_own(&self, peer: IpAddr) -> bool {
        self.own.contains(&peer) || self.relayed.contains(&peer)
    }
}

/// No list opens these: no host has them, they are many hosts at once, or they are an IPv4 address in other words, which a
/// socket for both families would send to.
fn is_never_a_peer(peer: IpAddr) -> bool {
    match peer {
        IpAddr::V4(ip) => ip.octets()[0] == 0 || ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => {
            let embeds_v4 =
                matches!(ip.segments(), [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..]);
            ip.is_multicast() || embeds_v4 && ip != Ipv6Addr::LOCALHOST
        }
    }
}

/// What hosts have that are behind a NAT. Not what they give themselves: services of a data centre are asked for there.
fn is_private(peer: IpAddr) -> bool {
    match peer {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_private() || first == 100 && second & 0xc0 == 64
        }
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

fn is_open(peer: IpAddr) -> bool {
    let within = |network: Option<Network>| network.is_some_and(|network| network.contains(peer));
    match peer {
        // 240.0.0.0/4 is reserved.
        IpAddr::V4(ip) => {
            ip.octets()[0] < 240
                && !CLOSED_V4.iter().any(|(ip, prefix)| within(Network::new((*ip).into(), *prefix)))
        }
        IpAddr::V6(ip) => {
            ip.segments()[0] >> 13 == 1
                && !CLOSED_V6.iter().any(|(ip, prefix)| within(Network::new((*ip).into(), *prefix)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn only_addresses_of_the_internet_are_open() {
        let peers = Peers::default();
        for open in [
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "223.255.255.255",
            "2a00::1",
            "2600::1",
        ] {
            assert!(peers.permit(open.parse().unwrap()), "{open}");
        }
        for closed in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.255.254",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "100::1",
        ] {
            assert!(!peers.permit(closed.parse().unwrap()), "{closed}");
        }
    }

    /// 127.0.0.1 and 10.0.0.1, spelt in every way that a host or a translator may understand.
    #[test]
    fn ipv4_in_other_words_is_no_way_around() {
        let peers = Peers { allowed: networks(&["10.0.0.0/8", "127.0.0.0/8", "::/0"]), ..Peers::default() };
        for disguised in ["::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1", "::ffff:10.0.0.1"] {
            assert!(!peers.permit(disguised.parse().unwrap()), "{disguised}");
        }
        let peers = Peers { allowed: networks(&["10.0.0.0/8", "127.0.0.0/8"]), ..Peers::default() };
        for translated in
            ["64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::1", "2001:0:7f00:1::80ff:fffe"]
        {
            assert!(!peers.permit(translated.parse().unwrap()), "{translated}");
        }
    }

    #[test]
    fn lists_open_and_close() {
        let peers = Peers {
            allowed: networks(&["10.0.0.0/8", "127.0.0.1", "0.0.0.0/0"]),
            denied: networks(&["10.9.0.0/16", "8.8.8.8"]),
            ..Peers::default()
        };
        for (peer, open) in [
            ("10.1.0.1", true),
            ("127.0.0.1", true),
            ("10.9.0.1", false),
            ("8.8.8.8", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(peers.permit(peer.parse().unwrap()), open, "{peer}");
        }
    }

    #[test]
    fn of_the_edge_itself_only_what_it_relays_on_is_a_peer() {
        let [own, relayed] = ["9.9.9.9", "9.9.9.8"].map(|text| vec![text.parse::<IpAddr>().unwrap()]);
        let peers = Peers { own, relayed, allowed: networks(&["9.9.9.0/24"]), ..Peers::default() };
        for (peer, open) in [("9.9.9.9", false), ("9.9.9.8", true), ("9.9.9.7", true)] {
            assert_eq!(peers.permit(peer.parse().unwrap()), open, "{peer}");
        }
    }

    /// A relay is no way around the firewall between the Edge and the inside.
    #[test]
    fn inside_only_planned_ports_are_reached() {
        let peers = Peers {
            inside: networks(&["10.0.0.0/8", "9.0.0.0/8"]),
            ports: vec![PortRange::parse("20000-20039").unwrap()],
            allowed: networks(&["10.7.0.0/16"]),
            denied: networks(&["10.9.0.0/16"]),
            ..Peers::default()
        };
        for (peer, open) in [
            ("10.0.0.1:20000", true),
            ("10.0.0.1:20039", true),
            ("10.0.0.1:22", false),
            ("10.0.0.1:20040", false),
            ("10.7.0.1:22", true),
            ("10.9.0.1:20000", false),
            // Addresses of the Internet that are inside are no different.
            ("9.0.0.1:22", false),
            ("8.8.8.8:22", true),
            ("8.8.8.8:0", false),
        ] {
            assert_eq!(peers.reach(peer.parse().unwrap()), open, "{peer}");
        }
    }
}
