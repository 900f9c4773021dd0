//! What the network says of datagrams that a port has sent: errors of ICMP, as the kernel keeps them for whoever asks
//! (`IP_RECVERR` in `ip(7)`, `IPV6_RECVERR` in `ipv6(7)`).

use std::io;
use std::mem::zeroed;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use libc::c_int;
use socket2::Socket;

use super::{NAME_LEN, UdpPort, canonical, socket_address};
use crate::syscall::{self, ControlMessages, check};

/// An error of ICMP or, as the peer's family says, ICMPv6. That a datagram does not fit the first link is told as the first router
/// would tell it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Complaint {
    /// To whom the datagram was sent.
    pub peer: SocketAddr,
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The next hop's MTU, where the error is about that; else 0.
    pub mtu: u32,
}

impl Complaint {
    /// Whether a datagram was too long for its way. Old routers say so without an MTU (RFC 1191, 5).
    pub fn is_too_big(&self) -> bool {
        (self.kind, self.code) == too_big(self.peer)
    }
}

fn too_big(peer: SocketAddr) -> (u8, u8) {
    if peer.is_ipv4() { TOO_BIG } else { TOO_BIG_V6 }
}

/// Room for a `sock_extended_err` with the address of whoever complains.
const CONTROL_LEN: usize = 128;
/// The fields of a `sock_extended_err` (`linux/errqueue.h`): number, origin, type, code, unused, info, data.
const EXTENDED: usize = 16;
const FROM_US: u8 = 1;
const FROM_ICMP: [u8; 2] = [2, 3];
/// Type and code: fragmentation needed (RFC 792), packet too big (RFC 4443, 3.2).
const TOO_BIG: (u8, u8) = (3, 4);
const TOO_BIG_V6: (u8, u8) = (2, 0);

/// Has the kernel keep errors, of both families if the socket speaks both.
pub(super) fn ask_for_errors(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    const ON: c_int = 1;
    syscall::set_option(socket, libc::IPPROTO_IP, libc::IP_RECVERR, ON)?;
    match address {
        SocketAddr::V4(_) => Ok(()),
        SocketAddr::V6(_) => syscall::set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, ON),
    }
}

impl UdpPort {
    /// Has the kernel keep what the network says of what is sent from now on.
    pub fn keep_complaints(&self) -> io::Result<()> {
        ask_for_errors(&self.socket, self.local)
    }

    /// The next complaint that the kernel has kept; those that say nothing of the way are passed over.
    pub fn complaint(&self) -> Option<Complaint> {
        loop {
            if let Some(complaint) = next(self.as_raw_fd()).ok()? {
                return Some(complaint);
            }
        }
    }
}

#[allow(clippy::unnecessary_cast, reason = "on musl these fields have other types")]
fn next(fd: c_int) -> io::Result<Option<Complaint>> {
    let (mut name, mut control) = ([0u8; NAME_LEN], [0u64; CONTROL_LEN / 8]);
    // SAFETY: a C struct of numbers and pointers; all zeros is its empty value.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_name = name.as_mut_ptr().cast();
    header.msg_namelen = NAME_LEN as libc::socklen_t;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_LEN as _;
    // SAFETY: the header points to two arrays that live through the call; what was sent is not asked for.
    let read = unsafe { libc::recvmsg(fd, &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
    check(read as c_int)?;
    let (peer, len) = (socket_address(&name).map(canonical), header.msg_controllen as usize);
    let bytes: Vec<u8> = control.iter().flat_map(|word| word.to_ne_bytes()).take(len).collect();
    let is_error = |level: c_int, kind: c_int| {
        matches!(
            (level, kind),
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        )
    };
    let mut found = ControlMessages(&bytes).filter(|(level, kind, _)| is_error(*level, *kind));
    Ok(found.next().zip(peer).and_then(|((_, _, data), peer)| complaint(peer, data)))
}

fn complaint(peer: SocketAddr, data: &[u8]) -> Option<Complaint> {
    let extended: &[u8; EXTENDED] = data.first_chunk()?;
    let [e0, e1, e2, e3, origin, kind, code, _, i0, i1, i2, i3, ..] = *extended;
    let is_about_size = u32::from_ne_bytes([e0, e1, e2, e3]) == libc::EMSGSIZE as u32;
    let mtu = if is_about_size { u32::from_ne_bytes([i0, i1, i2, i3]) } else { 0 };
    let said = match origin {
        FROM_US if is_about_size => Some(too_big(peer)),
        _ => FROM_ICMP.contains(&origin).then_some((kind, code)),
    };
    said.map(|(kind, code)| Complaint { peer, kind, code, mtu })
}

/// Whether an error of a call may be a complaint about what was sent before, and not about this call.
pub(crate) fn is_complaint(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EMSGSIZE
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EACCES
                | libc::EOPNOTSUPP
                | libc::EHOSTDOWN
                | libc::ENONET
        )
    )
}
