//! The routes of this machine, as the kernel lists them in `/proc/net`. Only the main table: what rules choose others for is
//! not seen.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// A row of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KernelRoute {
    /// The first address of where it leads.
    pub to: IpAddr,
    /// How many of its bits count; 0: everything.
    pub prefix: u8,
    /// By whom; `None`: they are on the link.
    pub gateway: Option<IpAddr>,
    /// By which interface.
    pub interface: String,
}

/// `RTF_UP` and `RTF_REJECT` of `linux/route.h`.
const UP: u32 = 0x0001;
const REJECT: u32 = 0x0200;

/// All of both families that lead somewhere: neither those that are down or refuse, nor those to this machine itself.
pub fn of_this_machine() -> io::Result<Vec<KernelRoute>> {
    let folder = Path::new("/proc/thread-self/net");
    let v4 = std::fs::read_to_string(folder.join("route"))?;
    // Not there where IPv6 is switched off.
    let v6 = std::fs::read_to_string(folder.join("ipv6_route")).unwrap_or_default();
    let rows = v4.lines().skip(1).filter_map(row_v4).chain(v6.lines().filter_map(row_v6));
    Ok(rows.filter(|route| route.interface != "lo").collect())
}

/// Interface, destination, gateway, flags, three numbers, mask: words as this machine takes their bytes for.
fn row_v4(line: &str) -> Option<KernelRoute> {
    let columns: Vec<&str> = line.split_ascii_whitespace().collect();
    let address = |at: usize| {
        let word = u32::from_str_radix(columns.get(at)?, 16).ok()?;
        Some(Ipv4Addr::from(word.to_ne_bytes()))
    };
    let flags = u32::from_str_radix(columns.get(3)?, 16).ok()?;
    if flags & UP == 0 || flags & REJECT != 0 {
        return None;
    }
    Some(KernelRoute {
        to: address(1)?.into(),
        prefix: address(7)?.to_bits().count_ones() as u8,
        gateway: address(2).filter(|gateway| !gateway.is_unspecified()).map(IpAddr::from),
        interface: (*columns.first()?).to_owned(),
    })
}

/// Destination, its length, source, its length, gateway, three numbers, flags, interface.
fn row_v6(line: &str) -> Option<KernelRoute> {
    let columns: Vec<&str> = line.split_ascii_whitespace().collect();
    let address = |at: usize| Some(Ipv6Addr::from(u128::from_str_radix(columns.get(at)?, 16).ok()?));
    let flags = u32::from_str_radix(columns.get(8)?, 16).ok()?;
    if flags & UP == 0 || flags & REJECT != 0 {
        return None;
    }
    Some(KernelRoute {
        to: address(0)?.into(),
        prefix: u8::from_str_radix(columns.get(1)?, 16).ok()?,
        gateway: address(4).filter(|gateway| !gateway.is_unspecified()).map(IpAddr::from),
        interface: (*columns.get(9)?).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn rows_of_ipv4_are_read() {
        let default = "v1\t00000000\t0A01140A\t0003\t0\t0\t0\t00000000\t0\t0\t0";
        let network = "v2\t0002140A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";
        let refused = "*\t0000000A\t00000000\t0201\t0\t0\t0\t000000FF\t0\t0\t0";
        let route = |to: &str, prefix, gateway: Option<&str>, interface: &str| {
            let gateway = gateway.map(|gateway| gateway.parse().unwrap());
            Some(KernelRoute { to: to.parse().unwrap(), prefix, gateway, interface: interface.to_owned() })
        };
        assert_eq!(row_v4(default), route("0.0.0.0", 0, Some("10.20.1.10"), "v1"));
        assert_eq!(row_v4(network), route("10.20.2.0", 24, None, "v2"));
        assert_eq!((row_v4(refused), row_v4("")), (None, None));
    }

    #[test]
    fn rows_of_ipv6_are_read() {
        let none = "0".repeat(32);
        let default =
            format!("{none} 00 {none} 00 fe800000000000000000000000000001 00000400 1 0 00000003       v1");
        let found = row_v6(&default).unwrap();
        assert_eq!((found.prefix, found.interface.as_str()), (0, "v1"));
        assert_eq!(found.gateway, Some("fe80::1".parse().unwrap()));
        let refused = format!("{none} 00 {none} 00 {none} ffffffff 1 0 00200200       lo");
        assert_eq!(row_v6(&refused), None);
    }
}
