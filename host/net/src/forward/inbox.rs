//! Datagrams as they came, kept until they have left again: what is forwarded is not copied.
//!
//! Where the kernel has put datagrams of one sender together (UDP_GRO), they are shown one by one: it does so only if
//! their headers agree, mark and ECN included.

use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr;

use libc::c_int;

use super::sockets::SocketId;
use crate::syscall::{ControlMessages, check};
use crate::udp::{self, NAME_LEN, UdpPort};

/// Datagrams, or trains of them, that are kept at a time.
const SLOTS: usize = 256;
/// The longest train. Slots lie a little further apart: at a multiple of a page they would all share the same lines of
/// the processor's cache.
const LONGEST: usize = 65_536;
const STRIDE: usize = LONGEST + 576;
/// Room for the mark (24 bytes), our address (at most 40) and the size of segments (24).
const CONTROL_LEN: usize = 128;

/// Datagrams and what is known of each.
pub(super) struct Inbox {
    /// Memory is taken only where datagrams have really been.
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    filled: usize,
    /// Where showing goes on: the slot, and the byte in it.
    next: (usize, usize),
    head: Option<Head>,
}

/// A datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    /// What is known of it.
    pub(super) head: Head,
    /// Where its bytes lie.
    pub(super) range: Range<usize>,
}

/// What is known of a datagram besides its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    /// The socket that it came to; it may be closed by now, and its place taken.
    pub(super) socket: SocketId,
    /// Who sent it; never an IPv4-mapped address.
    pub(super) remote: SocketAddr,
    /// The address of ours that it was sent to, if the socket has several.
    pub(super) local: Option<IpAddr>,
    /// The traffic class byte, which is the TOS byte of IPv4.
    pub(super) traffic: u8,
    /// The length of every datagram of the train; the last may be shorter.
    size: usize,
}

/// What the kernel writes about a datagram.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Slot {
    control: [u8; CONTROL_LEN],
    control_len: usize,
    name: [u8; NAME_LEN],
    len: usize,
    socket: SocketId,
}

impl Inbox {
    pub(super) fn new() -> Inbox {
        let (control, name) = ([0; CONTROL_LEN], [0; NAME_LEN]);
        let slot = Slot { control, control_len: 0, name, len: 0, socket: SocketId::default() };
        let (bytes, slots) = (vec![0; STRIDE * SLOTS], vec![slot; SLOTS]);
        Inbox { bytes, slots, filled: 0, next: (0, 0), head: None }
    }

    /// All bytes; a [`Piece`] says which.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether so many datagrams have room.
    pub(super) fn has_room(&self, count: usize) -> bool {
        self.filled + count <= SLOTS
    }

    /// Forgets all datagrams.
    pub(super) fn clear(&mut self) {
        (self.filled, self.next, self.head) = (0, (0, 0), None);
    }

    /// Takes at most `N` datagrams from the kernel, behind those that are there. Says whether there may be more: as many
    /// came as there was room for.
    pub(super) fn receive<const N: usize>(&mut self, socket: SocketId, port: &UdpPort) -> io::Result<bool> {
        let (mut patience, room) = (N, N.min(SLOTS - self.filled));
        if room == 0 {
            return Ok(true);
        }
        loop {
            match self.call::<N>(socket, port.as_raw_fd()) {
                Ok(count) => return Ok(count == room),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                // Of what was sent before; there are no more of these than datagrams that were sent.
                Err(error) if patience > 0 && udp::is_complaint(&error) => patience -= 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The next datagram that was not shown yet.
    pub(super) fn next(&mut self) -> Option<Piece> {
        let (at, from) = self.next;
        let slot = self.slots.get(..self.filled)?.get(at)?;
        let head = *self.head.get_or_insert_with(|| slot.head());
        let to = (from + head.size).min(slot.len);
        if to >= slot.len {
            (self.next, self.head) = ((at + 1, 0), None);
        } else {
            self.next = (at, to);
        }
        Some(Piece { head, range: at * STRIDE + from..at * STRIDE + to })
    }

    #[allow(clippy::unnecessary_cast, reason = "on musl these fields have other types")]
    fn call<const N: usize>(&mut self, socket: SocketId, fd: c_int) -> io::Result<usize> {
        // SAFETY: C structs of numbers and pointers; all zeros is their empty value.
        let (mut vectors, mut headers): ([libc::iovec; N], [libc::mmsghdr; N]) = unsafe { zeroed() };
        let slots = self.slots.iter_mut().zip(self.bytes.chunks_mut(STRIDE)).skip(self.filled);
        let mut room = 0;
        for ((slot, bytes), (vector, header)) in slots.zip(vectors.iter_mut().zip(&mut headers)) {
            *vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len().min(LONGEST) };
            header.msg_hdr.msg_name = slot.name.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = NAME_LEN as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = slot.control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
            room += 1;
        }
        let (first, flags) = (headers.as_mut_ptr(), libc::MSG_DONTWAIT as _);
        // SAFETY: `room` headers point into `vectors` and into `self`, which is borrowed exclusively through the call.
        let count = check(unsafe { libc::recvmmsg(fd, first, room, flags, ptr::null_mut()) })? as usize;
        for (slot, header) in self.slots.iter_mut().skip(self.filled).zip(&headers).take(count) {
            slot.len = header.msg_len as usize;
            slot.control_len = header.msg_hdr.msg_controllen as usize;
            slot.socket = socket;
        }
        self.filled += count;
        Ok(count)
    }
}

impl Slot {
    fn head(&self) -> Head {
        let nobody = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let remote = udp::socket_address(&self.name).map_or(nobody, udp::canonical);
        let mut head = Head { socket: self.socket, remote, local: None, traffic: 0, size: self.len };
        for (level, kind, data) in ControlMessages(self.control.get(..self.control_len).unwrap_or_default()) {
            match (level, kind) {
                (libc::IPPROTO_IP, libc::IP_TOS) => head.traffic = data.first().copied().unwrap_or(0),
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => head.traffic = udp::number(data).unwrap_or(0),
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => head.local = udp::v4_destination(data),
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    head.local = udp::v6_destination(data).map(|address| address.to_canonical());
                }
                (libc::SOL_UDP, libc::UDP_GRO) => head.size = segment(data).unwrap_or(self.len),
                _ => {}
            }
        }
        head
    }
}

/// The size of segments: an `int` that is positive.
fn segment(data: &[u8]) -> Option<usize> {
    let size = c_int::from_ne_bytes(*data.first_chunk()?);
    usize::try_from(size).ok().filter(|size| *size > 0)
}
