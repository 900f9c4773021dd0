//! A raw socket that hears errors of ICMP and ICMPv6 about packets of this machine, with the headers that they quote.
//!
//! It sends nothing. Needs the right CAP_NET_RAW: what a UDP socket hears of an error without it (`IP_RECVERR`) lacks
//! the quoted IP header, and with it the mark. (The traffic byte told there is that of the error itself.)

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use carillon_wire::ip::{self, protocol};
use libc::c_int;
use socket2::{Domain, Protocol, Socket, Type};

use crate::syscall::set_option;

/// Hears errors of one family.
#[derive(Debug)]
pub struct IcmpSocket {
    socket: Socket,
    v6: bool,
    buffer: Vec<MaybeUninit<u8>>,
}

/// A message as it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// Who sent it.
    pub from: IpAddr,
    /// [`protocol::ICMP`] or [`protocol::ICMPV6`].
    pub protocol: u8,
    /// From its type on.
    pub bytes: &'a [u8],
}

/// Longer than any error may be (RFC 4443, 2.4; RFC 1812, 4.3.2.3 for IPv4), with its IP header.
const LONGEST: usize = 2048;
/// `ICMP_FILTER` of `linux/icmp.h` and `ICMP6_FILTER` of RFC 3542: a bit for each type that is not to be heard.
const FILTER: c_int = 1;

impl IcmpSocket {
    /// Hears the errors that come to this machine over IPv4 or IPv6.
    pub fn open(v6: bool) -> io::Result<IcmpSocket> {
        let (domain, number) =
            if v6 { (Domain::IPV6, Protocol::ICMPV6) } else { (Domain::IPV4, Protocol::ICMPV4) };
        let socket = Socket::new(domain, Type::RAW.nonblocking(), Some(number)).map_err(explain)?;
        if v6 {
            let mut deaf = [u32::MAX; 8];
            deaf[0] = !(1 << 1 | 1 << 3);
            set_option(&socket, libc::IPPROTO_ICMPV6, FILTER, deaf)?;
        } else {
            set_option(&socket, libc::SOL_RAW, FILTER, !(1u32 << 3 | 1 << 11))?;
        }
        Ok(IcmpSocket { socket, v6, buffer: vec![MaybeUninit::uninit(); LONGEST] })
    }

    /// The next message; `None` if there is none now.
    pub fn receive(&mut self) -> io::Result<Option<Message<'_>>> {
        let (len, from) = match self.socket.recv_from(&mut self.buffer) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        let filled = self.buffer.get(..len).unwrap_or_default();
        // SAFETY: the kernel has written these `len` bytes.
        let bytes = unsafe { &*(std::ptr::from_ref(filled) as *const [u8]) };
        let from = from.as_socket().map(|address: SocketAddr| address.ip());
        Ok(from.and_then(|from| message(self.v6, from, bytes)))
    }
}

/// Over IPv4 a raw socket gets the IP header too (`raw(7)`), over IPv6 never (RFC 3542, 3).
fn message(v6: bool, from: IpAddr, bytes: &[u8]) -> Option<Message<'_>> {
    if v6 {
        return Some(Message { from, protocol: protocol::ICMPV6, bytes });
    }
    let (header, bytes) = ip::decode(bytes)?;
    Some(Message { from: header.src, protocol: protocol::ICMP, bytes })
}

fn explain(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => io::Error::new(
            error.kind(),
            "hearing what routers say of a packet needs the right CAP_NET_RAW: run it with sudo, or give the program \
             that right once: sudo setcap cap_net_raw+ep \"$(command -v carillon)\"",
        ),
        _ => error,
    }
}

impl AsFd for IcmpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for IcmpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
