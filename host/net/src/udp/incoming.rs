//! Datagrams as the kernel hands them over, many with one call: bytes, addresses, mark and time.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

use carillon_wire::ip::{Dscp, Ecn};

use super::{UdpPort, canonical};
use crate::syscall::{ControlMessages, check, nanoseconds};

/// A datagram that was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received<'a> {
    /// Who sent it; never an IPv4-mapped address.
    pub remote: SocketAddr,
    /// Where it was sent to: the address of ours that an answer has to come from, and the port.
    pub local: SocketAddr,
    /// Its content.
    pub bytes: &'a [u8],
    /// The mark that it arrived with.
    pub mark: Dscp,
    /// The ECN bits that it arrived with.
    pub ecn: Ecn,
    /// When it arrived, by the kernel's clock: since 1970.
    pub arrived: Duration,
}

/// The memory that datagrams are received into, used again and again. One serves any number of ports.
#[derive(Debug)]
pub struct Batch {
    longest: usize,
    /// Room for the longest datagram in every slot; memory is taken only where datagrams have really been.
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    filled: usize,
    local: SocketAddr,
    cut: u64,
}

/// What the kernel writes about a datagram.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
struct Slot {
    control: [u8; CONTROL_LEN],
    control_len: usize,
    name: [u8; NAME_LEN],
    len: usize,
    flags: libc::c_int,
}

/// Datagrams taken from the kernel with one call.
const BATCH: usize = 64;
/// Room for the time stamp (16 bytes), the mark (4) and our address (20), each with its header.
const CONTROL_LEN: usize = 128;
/// A `sockaddr_in6`; a `sockaddr_in` is shorter.
pub(crate) const NAME_LEN: usize = size_of::<libc::sockaddr_in6>();

impl Batch {
    /// The longest datagram that UDP carries (RFC 768).
    pub const LONGEST: usize = 65_535;

    /// Room for datagrams of at most `longest` bytes; longer ones are counted and left out.
    pub fn new(longest: usize) -> Batch {
        let (control, name) = ([0; CONTROL_LEN], [0; NAME_LEN]);
        let slot = Slot { control, control_len: 0, name, len: 0, flags: 0 };
        let local = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let longest = longest.clamp(1, Batch::LONGEST);
        Batch { longest, bytes: vec![0; longest * BATCH], slots: vec![slot; BATCH], filled: 0, local, cut: 0 }
    }

    /// What was received last, in order.
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        let slots = self.slots.iter().zip(self.bytes.chunks(self.longest)).take(self.filled);
        slots.filter(|(slot, _)| !slot.is_cut()).map(|(slot, bytes)| slot.received(bytes, self.local))
    }

    /// Datagrams so far that were longer than the room.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// Takes what is there from the kernel.
    pub(super) fn receive(&mut self, port: &UdpPort) -> io::Result<usize> {
        self.filled = 0;
        self.local = port.local();
        self.filled = self.call(port.as_raw_fd())?;
        self.cut += self.slots.iter().take(self.filled).filter(|slot| slot.is_cut()).count() as u64;
        Ok(self.filled)
    }

    #[allow(clippy::unnecessary_cast, reason = "on musl these fields have other types")]
    fn call(&mut self, fd: libc::c_int) -> io::Result<usize> {
        // SAFETY: C structs of numbers and pointers; all zeros is their empty value.
        let (mut vectors, mut headers): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) = unsafe { zeroed() };
        let slots = self.slots.iter_mut().zip(self.bytes.chunks_mut(self.longest));
        for ((slot, bytes), (vector, header)) in slots.zip(vectors.iter_mut().zip(&mut headers)) {
            *vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
            header.msg_hdr.msg_name = slot.name.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = NAME_LEN as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = slot.control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
        }
        let (first, flags) = (headers.as_mut_ptr(), libc::MSG_DONTWAIT as _);
        // SAFETY: `headers` point into `vectors` and into `self`, which is borrowed exclusively through the call.
        let count =
            check(unsafe { libc::recvmmsg(fd, first, BATCH as u32, flags, ptr::null_mut()) })? as usize;
        for (slot, header) in self.slots.iter_mut().zip(&headers).take(count) {
            slot.len = header.msg_len as usize;
            slot.control_len = header.msg_hdr.msg_controllen as usize;
            slot.flags = header.msg_hdr.msg_flags;
        }
        Ok(count)
    }
}

impl Slot {
    fn is_cut(&self) -> bool {
        self.flags & libc::MSG_TRUNC != 0
    }

    fn received<'a>(&self, bytes: &'a [u8], local: SocketAddr) -> Received<'a> {
        let mut received = Received {
            remote: socket_address(&self.name).map_or(local, canonical),
            local: canonical(local),
            bytes: bytes.get(..self.len).unwrap_or(bytes),
            mark: Dscp::DEFAULT,
            ecn: Ecn::NotCapable,
            arrived: Duration::ZERO,
        };
        for (level, kind, data) in ControlMessages(self.control.get(..self.control_len).unwrap_or_default()) {
            match (level, kind) {
                (libc::IPPROTO_IP, libc::IP_TOS) => received.note_traffic(data.first().copied()),
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => received.note_traffic(number(data)),
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => received.note_local(v4_destination(data)),
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => received.note_local(v6_destination(data)),
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => received.note_time(nanoseconds(data)),
                _ => {}
            }
        }
        received
    }
}

impl Received<'_> {
    fn note_traffic(&mut self, byte: Option<u8>) {
        let byte = byte.unwrap_or(0);
        (self.mark, self.ecn) = (Dscp::from_traffic_byte(byte), Ecn::from_traffic_byte(byte));
    }

    fn note_local(&mut self, address: Option<IpAddr>) {
        self.local.set_ip(address.unwrap_or(self.local.ip()).to_canonical());
    }

    fn note_time(&mut self, nanoseconds: Option<i64>) {
        self.arrived =
            Duration::from_nanos(nanoseconds.and_then(|time| u64::try_from(time).ok()).unwrap_or(0));
    }
}

/// A `sockaddr_in` or `sockaddr_in6`.
pub(crate) fn socket_address(name: &[u8; NAME_LEN]) -> Option<SocketAddr> {
    let [a, b, port_high, port_low, rest @ ..] = name;
    let port = u16::from_be_bytes([*port_high, *port_low]);
    match libc::c_int::from(u16::from_ne_bytes([*a, *b])) {
        libc::AF_INET => Some(SocketAddr::new(Ipv4Addr::from(*rest.first_chunk::<4>()?).into(), port)),
        libc::AF_INET6 => {
            let (address, scope) = rest.get(4..)?.split_first_chunk::<16>()?;
            let scope = u32::from_ne_bytes(*scope.first_chunk()?);
            Some(SocketAddrV6::new(Ipv6Addr::from(*address), port, 0, scope).into())
        }
        _ => None,
    }
}

/// A number of C that holds a traffic byte.
pub(crate) fn number(data: &[u8]) -> Option<u8> {
    u8::try_from(libc::c_int::from_ne_bytes(*data.first_chunk()?)).ok()
}

/// From an `in_pktinfo`: interface, the local address that answers come from, the destination in the header.
pub(crate) fn v4_destination(data: &[u8]) -> Option<IpAddr> {
    Some(Ipv4Addr::from(*data.get(4..)?.first_chunk::<4>()?).into())
}

/// From an `in6_pktinfo`: the destination, and the interface.
pub(crate) fn v6_destination(data: &[u8]) -> Option<IpAddr> {
    Some(Ipv6Addr::from(*data.first_chunk::<16>()?).into())
}
