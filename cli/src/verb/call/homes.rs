//! The addresses that media is received at: which of the machine's, in which order, and which of them are in a VPN.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use carillon_net::addresses::Interface;

/// The most addresses that a peer is told.
const MOST: usize = 4;

/// The addresses of a phone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Homes {
    /// That which the server sees: what knows of no other is told this one.
    pub(super) main: IpAddr,
    /// All of them, the preferred one first.
    pub(super) all: Vec<IpAddr>,
    /// Names of the interfaces of those in a VPN.
    vpns: BTreeMap<IpAddr, String>,
}

impl Homes {
    /// Of its family, all that others may reach. Who is signed in on this very machine has no other.
    pub(super) fn of(main: IpAddr, interfaces: &[Interface]) -> Homes {
        let vpns: BTreeMap<IpAddr, String> = interfaces
            .iter()
            .filter(|interface| interface.tunnel)
            .map(|interface| (interface.address, interface.name.clone()))
            .collect();
        let others = interfaces.iter().map(|interface| interface.address);
        let fits =
            |address: &IpAddr| !main.is_loopback() && *address != main && address.is_ipv4() == main.is_ipv4();
        let mut all: Vec<IpAddr> = [main].into_iter().chain(others.filter(fits)).take(MOST).collect();
        // Media in a VPN is wrapped once more and goes a longer way: it is taken where there is no other.
        all.sort_by_key(|address| vpns.contains_key(address));
        Homes { main, all, vpns }
    }

    /// Where its sockets are bound.
    pub(super) fn bound(&self) -> IpAddr {
        match (self.all.len(), self.main) {
            (..=1, main) => main,
            (_, IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
            (_, IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    /// The interface, if this address is in a VPN.
    pub(super) fn vpn(&self, address: IpAddr) -> Option<&str> {
        self.vpns.get(&address).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, address: &str, tunnel: bool) -> Interface {
        Interface { name: name.to_owned(), address: address.parse().unwrap(), tunnel }
    }

    fn homes(main: &str, interfaces: &[Interface]) -> Homes {
        Homes::of(main.parse().unwrap(), interfaces)
    }

    fn listed(homes: &Homes) -> Vec<String> {
        homes.all.iter().map(IpAddr::to_string).collect()
    }

    #[test]
    fn what_the_server_sees_comes_first_and_vpns_come_last() {
        let interfaces = [
            interface("tun0", "10.99.0.1", true),
            interface("eth1", "192.0.2.9", false),
            interface("eth0", "192.0.2.1", false),
            interface("eth0", "2001:db8::1", false),
        ];
        let near = homes("192.0.2.1", &interfaces);
        assert_eq!(listed(&near), ["192.0.2.1", "192.0.2.9", "10.99.0.1"]);
        assert_eq!(near.bound().to_string(), "0.0.0.0");
        assert_eq!(near.vpn("10.99.0.1".parse().unwrap()), Some("tun0"));
        assert_eq!(near.vpn("192.0.2.9".parse().unwrap()), None);
        // The server is reached through the VPN, the peer perhaps without it.
        let far = homes("10.99.0.1", &interfaces);
        assert_eq!((listed(&far)[2].as_str(), far.main), ("10.99.0.1", "10.99.0.1".parse().unwrap()));
    }

    #[test]
    fn who_has_one_address_or_is_at_home_is_bound_to_it() {
        let eth0 = interface("eth0", "192.0.2.1", false);
        assert_eq!(homes("192.0.2.1", std::slice::from_ref(&eth0)).bound().to_string(), "192.0.2.1");
        let at_home = homes("127.0.0.1", &[eth0]);
        assert_eq!(
            (listed(&at_home).join(" "), at_home.bound().to_string()),
            ("127.0.0.1".into(), "127.0.0.1".into())
        );
    }

    #[test]
    fn no_more_than_four_are_told() {
        let many: Vec<_> = (1..9).map(|n| interface("eth0", &format!("192.0.2.{n}"), false)).collect();
        assert_eq!(listed(&homes("192.0.2.8", &many)), ["192.0.2.8", "192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    }
}
