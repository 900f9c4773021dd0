//! Which way packets leave, as the kernel would send them now (`rtnetlink(7)`), and when that may have changed; and whether it would
//! encipher any (`linux/xfrm.h`).

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use super::layout::{Family, Way, octets};
use crate::syscall;

/// Questions to the kernel about routes and interfaces, and its news of them.
pub(super) struct Routes {
    asking: Socket,
    news: Socket,
    /// `None` of a kernel that knows no IPsec.
    policies: Option<Socket>,
}

const NOOP: u16 = 1;
const GET_LINK: u16 = 18;
const NEW_LINK: u16 = 16;
const GET_ROUTE: u16 = 26;
const NEW_ROUTE: u16 = 24;
const REQUEST: u16 = 1;
/// `ARPHRD_ETHER`.
const ETHERNET: u16 = 1;
/// `RTN_UNICAST`: neither of this machine nor refused.
const UNICAST: u8 = 1;
const DESTINATION: u16 = 1;
const SOURCE: u16 = 2;
const INTERFACE: u16 = 4;
const GATEWAY: u16 = 5;
/// A next hop of another family.
const VIA: u16 = 18;
/// What packets are wrapped in.
const ENCAPSULATION: u16 = 22;
/// `XFRM_MSG_NEWSPDINFO` and `_GETSPDINFO`, `XFRMA_SPD_INFO`, and where in that policies for what leaves are counted.
const NEW_POLICIES: u16 = 0x24;
const GET_POLICIES: u16 = 0x25;
const POLICIES: u16 = 1;
const OUTBOUND: usize = 4;
/// `nlmsghdr`, `rtmsg` and `ifinfomsg`, `rtattr`.
const HEADER: usize = 16;
const ROUTE: usize = 12;
const LINK: usize = 16;
const ATTRIBUTE: usize = 4;
/// `RTNLGRP_LINK`, and of IPv4 and IPv6 `_IFADDR`, `_ROUTE` and `_RULE`.
const GROUPS: [libc::c_int; 7] = [1, 5, 7, 8, 9, 11, 19];
const ADD_MEMBERSHIP: libc::c_int = 1;
/// RFC 1700, for a way that has none of its own.
const DEFAULT_HOPS: u8 = 64;

impl Routes {
    pub(super) fn open() -> io::Result<Routes> {
        let routes = |kind| socket(kind, libc::NETLINK_ROUTE);
        let (asking, news) = (routes(Type::RAW)?, routes(Type::RAW.nonblocking())?);
        for group in GROUPS {
            syscall::set_option(&news, libc::SOL_NETLINK, ADD_MEMBERSHIP, group)?;
        }
        // Without a word of ours it has no address, and gets no news.
        news.send(&message(NOOP, 0, &[]))?;
        let policies = match socket(Type::RAW, libc::NETLINK_XFRM) {
            Err(error) if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) => None,
            policies => Some(policies?),
        };
        Ok(Routes { asking, news, policies })
    }

    /// Whether this machine has policies of IPsec for what leaves. What the kernel does not say is taken for a yes.
    pub(super) fn have_ipsec(&self) -> bool {
        let Some(policies) = &self.policies else { return false };
        let answer = ask(policies, GET_POLICIES, NEW_POLICIES, &[0; 4]).ok().flatten();
        let outbound = answer.as_deref().and_then(|answer| {
            let (_, counts) = attributes(answer.get(4..)?).find(|(kind, _)| *kind == POLICIES)?;
            Some(u32::from_ne_bytes(*counts.get(OUTBOUND..)?.first_chunk()?))
        });
        outbound != Some(0)
    }

    /// Whether anything may be different since this was last asked.
    pub(super) fn have_changed(&self) -> bool {
        let (mut changed, mut bytes) = (false, [0; 8192]);
        loop {
            match (&self.news).read(&mut bytes) {
                Ok(_) => changed = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return changed,
                // There was more than it keeps.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => changed = true,
                Err(_) => return true,
            }
        }
    }

    /// The way from an address of ours to somebody else; `None` if there is none by a link with neighbours.
    pub(super) fn way(&self, from: IpAddr, to: IpAddr) -> io::Result<Option<Way>> {
        let (family, bits) = match Family::of(to) {
            Family::V4 => (libc::AF_INET as u8, 32),
            Family::V6 => (libc::AF_INET6 as u8, 128),
        };
        let mut request = vec![family, bits, bits, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for (kind, address) in [(DESTINATION, to), (SOURCE, from)] {
            let octets = octets(address);
            request.extend(((ATTRIBUTE + octets.len()) as u16).to_ne_bytes());
            request.extend(kind.to_ne_bytes());
            request.extend(octets);
        }
        let answer = ask(&self.asking, GET_ROUTE, NEW_ROUTE, &request)?;
        let Some((interface, next_hop)) = answer.and_then(|answer| leads(&answer, to)) else {
            return Ok(None);
        };
        if !self.is_ethernet(interface)? {
            return Ok(None);
        }
        let (mtu, hops) = limits(from, to)?;
        Ok(Some(Way { interface, next_hop, mtu, hops }))
    }

    /// Whether it has frames of Ethernet.
    pub(super) fn is_ethernet(&self, interface: u32) -> io::Result<bool> {
        let mut request = [0; LINK];
        request.iter_mut().skip(4).zip(interface.to_ne_bytes()).for_each(|(to, byte)| *to = byte);
        let answer = ask(&self.asking, GET_LINK, NEW_LINK, &request)?;
        Ok(answer.and_then(|answer| number(&answer, 2)) == Some(ETHERNET))
    }
}

/// What the kernel answers, without its header; `None` if it refuses.
fn ask(mut socket: &Socket, question: u16, answer: u16, body: &[u8]) -> io::Result<Option<Vec<u8>>> {
    socket.send(&message(question, REQUEST, body))?;
    let mut bytes = [0; 16_384];
    let len = socket.read(&mut bytes)?;
    let is_it = number(&bytes, 4) == Some(answer);
    Ok(bytes.get(HEADER..len).filter(|_| is_it).map(<[u8]>::to_vec))
}

fn socket(kind: Type, protocol: libc::c_int) -> io::Result<Socket> {
    Socket::new(Domain::from(libc::AF_NETLINK), kind, Some(Protocol::from(protocol)))
}

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let len = (HEADER + body.len()) as u32;
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(len.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// By which interface and next hop a route leads.
fn leads(answer: &[u8], to: IpAddr) -> Option<(u32, IpAddr)> {
    if answer.get(7) != Some(&UNICAST) {
        return None;
    }
    let (mut interface, mut next_hop) = (None, to);
    for (kind, value) in attributes(answer.get(ROUTE..)?) {
        match kind {
            INTERFACE => interface = Some(u32::from_ne_bytes(*value.first_chunk()?)),
            GATEWAY if to.is_ipv4() => next_hop = IpAddr::from(*value.first_chunk::<4>()?),
            GATEWAY => next_hop = IpAddr::from(*value.first_chunk::<16>()?),
            VIA | ENCAPSULATION => return None,
            _ => {}
        }
    }
    Some((interface?, next_hop))
}

/// Kinds and values; what is cut off is no attribute.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(number(rest, 0)?);
        let attribute = (number(rest, 2)?, rest.get(ATTRIBUTE..len)?);
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(attribute)
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The longest packet that passes whole, and how far one of ours may go, by what the kernel knows of the way. Nothing is sent.
fn limits(from: IpAddr, to: IpAddr) -> io::Result<(u32, u8)> {
    let socket = Socket::new(Domain::for_address(SocketAddr::new(to, 0)), Type::DGRAM, None)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    // Of a datagram socket, connecting only looks up the route.
    socket.connect(&SocketAddr::new(to, 9).into())?;
    let (level, mtu, hops) = match Family::of(to) {
        Family::V4 => (libc::IPPROTO_IP, libc::IP_MTU, libc::IP_TTL),
        Family::V6 => (libc::IPPROTO_IPV6, libc::IPV6_MTU, libc::IPV6_UNICAST_HOPS),
    };
    let ([mtu], [hops]) = (syscall::numbers(&socket, level, mtu)?, syscall::numbers(&socket, level, hops)?);
    Ok((mtu, u8::try_from(hops).unwrap_or(DEFAULT_HOPS)))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn what_is_of_this_machine_has_no_way_out() {
        let routes = Routes::open().unwrap();
        for own in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            assert_eq!(routes.way(own, own).unwrap(), None);
        }
        assert!(!routes.is_ethernet(1).unwrap(), "loopback");
    }

    #[test]
    fn a_route_is_read_with_its_next_hop() {
        let mut answer = vec![2, 32, 0, 0, 254, 0, 0, UNICAST, 0, 0, 0, 0];
        let to = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(leads(&answer, to), None, "no interface");
        answer.extend([8, 0, 4, 0]);
        answer.extend(7_u32.to_ne_bytes());
        assert_eq!(leads(&answer, to), Some((7, to)));
        answer.extend([8, 0, 5, 0, 10, 0, 0, 1]);
        assert_eq!(leads(&answer, to), Some((7, IpAddr::from([10, 0, 0, 1]))));
        let of_v6 = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]);
        assert_eq!(leads(&answer, of_v6), None, "a next hop that is too short");
        for len in 1..answer.len() {
            let _ = leads(&answer[..len], to);
        }
        let wrapped = [&answer[..], &[8, 0, 22, 0, 0, 0, 0, 0]].concat();
        assert_eq!(leads(&wrapped, to), None, "what leaves is to be wrapped");
        answer[7] = 2;
        assert_eq!(leads(&answer, to), None, "local");
    }
}
