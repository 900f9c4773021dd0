//! Datagrams that nobody may cut. The kernel takes that wish for a socket, not for a datagram (`IP_MTU_DISCOVER` in `ip(7)`; only
//! IPv6 has a control message), so it holds for as long as they are being sent.

use std::io;
use std::net::SocketAddr;

use libc::c_int;

use super::UdpPort;
use crate::syscall;

/// Sends with DF set. The kernel does not judge by what it knows of the way, which is its client's to find out; what does not
/// fit the first link is refused and told as a complaint.
pub(crate) fn kept_whole(port: &UdpPort, send: impl FnOnce()) -> io::Result<()> {
    let (level, name, probe) = match port.local() {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE),
    };
    let [before] = syscall::numbers(port, level, name)?;
    syscall::set_option(port, level, name, probe)?;
    send();
    syscall::set_option(port, level, name, before as c_int)
}
