//! What ICMP says about what a UDP socket has sent (`IP_RECVERR` of `ip(7)`): type, code and who says so. That is heard
//! without any right, but the quoted header is not told.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};

use carillon_wire::icmp::{self, Reason};
use carillon_wire::ip::protocol;
use libc::c_int;

use crate::syscall::{ControlMessages, check, set_option};

/// `SO_EE_ORIGIN_ICMP` and `SO_EE_ORIGIN_ICMP6` of `linux/errqueue.h`.
const ORIGINS: [(u8, u8); 2] = [(2, protocol::ICMP), (3, protocol::ICMPV6)];

#[repr(C, align(8))]
struct Control([u8; 512]);

/// Lets errors be kept for [`next`].
pub(super) fn keep(socket: &impl AsFd, v6: bool) -> io::Result<()> {
    const ON: c_int = 1;
    if v6 {
        return set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, ON);
    }
    set_option(socket, libc::IPPROTO_IP, libc::IP_RECVERR, ON)
}

/// The next error: what it says, and who sent it. `None` if there is none.
pub(super) fn next(socket: &impl AsFd) -> Option<(Reason, Option<IpAddr>)> {
    let mut control = Control([0; 512]);
    let mut byte = [0u8; 1];
    let mut vector = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: byte.len() };
    // SAFETY: a C struct of numbers and pointers; all zeros is its empty value.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = size_of::<Control>() as _;
    let (fd, flags) = (socket.as_fd().as_raw_fd(), libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT);
    // SAFETY: `header` points to `vector` and `control`, which outlive the call; their lengths are theirs.
    let received = unsafe { libc::recvmsg(fd, &raw mut header, flags) };
    check(received.min(0) as c_int).ok()?;
    #[allow(clippy::unnecessary_cast, reason = "on musl this field has another type")]
    let filled = control.0.get(..header.msg_controllen as usize)?;
    ControlMessages(filled).find_map(|(level, kind, data)| match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => error(data),
        _ => None,
    })
}

/// A `sock_extended_err` with the address behind it: number, origin, type, code.
fn error(data: &[u8]) -> Option<(Reason, Option<IpAddr>)> {
    let [_, _, _, _, origin, kind, code, ..] = *data.first_chunk::<16>()?;
    let number = ORIGINS.iter().find(|(known, _)| *known == origin)?.1;
    let offender = data.get(16..).unwrap_or_default();
    let by = match number {
        protocol::ICMP => {
            offender.get(4..8).and_then(|four| four.first_chunk()).map(|four| Ipv4Addr::from(*four).into())
        }
        _ => offender
            .get(8..24)
            .and_then(|all| all.first_chunk())
            .map(|all: &[u8; 16]| Ipv6Addr::from(*all).into()),
    };
    Some((icmp::reason(number, kind, code)?, by))
}
