//! Networks of hosts: an address, and how many of its leading bits count.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

/// A network, or one host. No bits are set behind those that count, and at least one counts: "everybody" is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}

impl Network {
    /// Reads `10.1.0.0/24`, `10.1.0.7`, `2001:db8::/64`.
    ///
    /// # Errors
    /// What is wrong with it, and what may have been meant.
    pub fn parse(text: &str) -> Result<Network, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let expected = || format!("{text:?} is no network; write 10.1.0.0/24, 10.1.0.7 or 2001:db8::/64");
        let address: IpAddr = address.parse().map_err(|_| expected())?;
        let longest = bits(address);
        let digits = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = match prefix {
            None => longest,
            Some(text) => text.parse().ok().filter(|_| digits(&text)).ok_or_else(expected)?,
        };
        if prefix == 0 || prefix > longest {
            return Err(format!("{text:?} has a length of {prefix}; from 1 to {longest} bits count"));
        }
        let network = Network { address: masked(address, prefix), prefix };
        match network.address == address {
            true => Ok(network),
            false => Err(format!("{text:?} has bits behind its length; the network is {network}")),
        }
    }

    /// The network of an address; `None` if no bit counts, or more than there are.
    pub fn of(address: IpAddr, prefix: u8) -> Option<Network> {
        let fits = (1..=bits(address)).contains(&prefix);
        fits.then(|| Network { address: masked(address, prefix), prefix })
    }

    /// Whether the address lies inside; one of the other family never does.
    pub fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }

    /// Whether all of the other lies inside.
    pub fn holds(self, other: Network) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }

    /// Its first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many leading bits count, at least 1.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether it is one host.
    pub fn is_host(self) -> bool {
        self.prefix == bits(self.address)
    }

    /// The bits that count as an IPv4 mask; `None` for IPv6.
    pub fn mask(self) -> Option<Ipv4Addr> {
        match masked(Ipv4Addr::BROADCAST.into(), self.prefix) {
            IpAddr::V4(mask) if self.address.is_ipv4() => Some(mask),
            _ => None,
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.is_host() {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.prefix),
        }
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let off = u32::from(bits(address).saturating_sub(prefix));
    match address {
        IpAddr::V4(v4) => {
            let keep = u32::MAX.checked_shl(off).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & keep).into()
        }
        IpAddr::V6(v6) => {
            let keep = u128::MAX.checked_shl(off).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & keep).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_printed_in_one_spelling() {
        for (text, printed) in [
            ("10.1.0.0/24", "10.1.0.0/24"),
            ("10.1.0.7/32", "10.1.0.7"),
            ("2001:DB8:0::/64", "2001:db8::/64"),
            ("2001:db8::7", "2001:db8::7"),
            ("128.0.0.0/1", "128.0.0.0/1"),
        ] {
            assert_eq!(Network::parse(text).unwrap().to_string(), printed);
        }
        assert_eq!(Network::parse("10.1.0.0/23").unwrap().mask(), Some(Ipv4Addr::new(255, 255, 254, 0)));
        assert_eq!(Network::parse("fd00::/8").unwrap().mask(), None);
    }

    #[test]
    fn everybody_and_what_is_no_network_are_refused() {
        for (text, says) in [
            ("0.0.0.0/0", "from 1 to 32"),
            ("::/0", "from 1 to 128"),
            ("10.1.0.0/33", "from 1 to 32"),
            ("10.1.0.7/24", "the network is 10.1.0.0/24"),
            ("any", "is no network"),
            ("10.1.0.0/+8", "is no network"),
            ("10.1.0.0/", "is no network"),
            ("10.1.0.0 any\n permit ip any any", "is no network"),
        ] {
            assert!(Network::parse(text).unwrap_err().contains(says), "{text}");
        }
    }
}
