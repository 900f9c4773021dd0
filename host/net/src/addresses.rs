//! The addresses that this machine has, on all of its interfaces, as the kernel lists them (`getifaddrs(3)`).

use std::collections::BTreeSet;
use std::ffi::{CStr, c_int};
use std::net::IpAddr;
use std::path::Path;
use std::{fs, io, ptr};

use crate::syscall::check;

/// An address of an interface that is up and is not loopback.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Interface {
    /// As the system calls it, as `eth0`.
    pub name: String,
    /// One of its addresses.
    pub address: IpAddr,
    /// Whether it is the end of a tunnel: tun, WireGuard, PPP, IP in IP.
    pub tunnel: bool,
}

/// All of them, up or not, loopback too. A service that may open only some families needs AF_NETLINK among them.
pub fn of_this_machine() -> io::Result<BTreeSet<IpAddr>> {
    Ok(by_interface()?.into_iter().map(|(_, address)| address).collect())
}

/// The same, each with the name of the interface that has it.
pub fn by_interface() -> io::Result<Vec<(String, IpAddr)>> {
    let mut found = Vec::new();
    each(|name, _, address| found.push((name.to_owned(), address)))?;
    Ok(found)
}

/// Those that others may reach: of interfaces that are up, neither loopback nor link-local.
pub fn reachable() -> io::Result<Vec<Interface>> {
    let mut found = Vec::new();
    each(|name, flags, address| {
        let is_up = flags & libc::IFF_UP != 0 && flags & libc::IFF_LOOPBACK == 0;
        if is_up && !is_link_local(address) {
            let tunnel = is_tunnel(name);
            found.push(Interface { name: name.to_owned(), address, tunnel });
        }
    })?;
    Ok(found)
}

/// Shows each address with the name and flags of its interface.
fn each(mut see: impl FnMut(&str, c_int, IpAddr)) -> io::Result<()> {
    let mut first: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: the call writes the head of a list, which is freed below.
    check(unsafe { libc::getifaddrs(&raw mut first) })?;
    let mut next = first;
    // SAFETY: the list ends with null, and every entry lives until it is freed.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: the name ends with null and lives as long as its entry.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) }.to_string_lossy();
        // SAFETY: an address of an entry is null, or as long as its family says.
        if let Some(address) = unsafe { address(entry.ifa_addr) } {
            // Further addresses may have labels, as `eth0:1`.
            see(name.split(':').next().unwrap_or_default(), entry.ifa_flags as c_int, address);
        }
        next = entry.ifa_next;
    }
    // SAFETY: it came from `getifaddrs`, and nothing of it is held any more.
    unsafe { libc::freeifaddrs(first) };
    Ok(())
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// As the kernel describes it. What cannot be read is taken for none.
fn is_tunnel(name: &str) -> bool {
    let directory = Path::new("/sys/class/net").join(name);
    let kind = fs::read_to_string(directory.join("type")).ok().and_then(|text| text.trim().parse().ok());
    // tap looks like Ethernet, but for this.
    directory.join("tun_flags").exists() || kind.is_some_and(is_kind_of_tunnel)
}

/// PPP, IP in IP, IPv6 in IPv6, IPv6 in IPv4, GRE, and none (tun, WireGuard, IPsec): `if_arp.h`.
fn is_kind_of_tunnel(kind: u16) -> bool {
    matches!(kind, 512 | 768 | 769 | 776 | 778 | 65_534)
}

/// `None` if it is of another family, or null.
///
/// # Safety
/// `socket_address` is null or points to an address as long as its family says.
unsafe fn address(socket_address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: as the caller has promised; the reads need no alignment.
    unsafe {
        if socket_address.is_null() {
            return None;
        }
        match c_int::from(ptr::read_unaligned(&raw const (*socket_address).sa_family)) {
            libc::AF_INET => {
                let v4: libc::sockaddr_in = ptr::read_unaligned(socket_address.cast());
                Some(IpAddr::from(v4.sin_addr.s_addr.to_ne_bytes()))
            }
            libc::AF_INET6 => {
                let v6: libc::sockaddr_in6 = ptr::read_unaligned(socket_address.cast());
                Some(IpAddr::from(v6.sin6_addr.s6_addr))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_among_the_addresses_and_others_that_nobody_configured_are_not() {
        let found = of_this_machine().unwrap();
        assert!(found.contains(&"127.0.0.1".parse().unwrap()), "{found:?}");
        assert!(!found.contains(&"192.0.2.77".parse().unwrap()), "{found:?}");
    }
    #[test]
    fn what_others_may_reach_is_neither_loopback_nor_link_local() {
        let found = reachable().unwrap();
        assert!(found.iter().all(|one| !one.address.is_loopback() && one.name != "lo"), "{found:?}");
        assert!(is_link_local("169.254.1.1".parse().unwrap()) && is_link_local("fe80::1".parse().unwrap()));
        assert!(!is_link_local("10.0.0.1".parse().unwrap()) && !is_link_local("fd00::1".parse().unwrap()));
    }

    #[test]
    fn tunnels_are_told_from_ethernet_and_loopback() {
        for (kind, tunnel) in [(1, false), (772, false), (512, true), (778, true), (65_534, true)] {
            assert_eq!(is_kind_of_tunnel(kind), tunnel, "{kind}");
        }
        assert!(!is_tunnel("lo") && !is_tunnel("no-such-interface"));
    }
}
