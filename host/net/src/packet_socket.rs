//! The packet socket of Linux (`packet(7)`): frames of an interface as the kernel sees them.
//!
//! All `unsafe` of live capture is here: calls with pointers to values that outlive them, nothing kept.

use std::ffi::CString;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use libc::{c_int, c_void, sockaddr_ll};

use crate::syscall::{ControlMessages, check, nanoseconds, set_option};

/// Frames taken from the kernel with one call.
const BATCH: usize = 64;
/// Room for the time stamp (16 bytes) and the auxiliary data (20), each with its header.
const CONTROL_LEN: usize = 128;

/// A packet socket; receives nothing until it is bound.
pub(crate) struct PacketSocket {
    fd: OwnedFd,
}

/// The memory that a batch of frames is received into.
pub(crate) struct Batch {
    snaplen: usize,
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Slot {
    control: [u8; CONTROL_LEN],
    control_len: usize,
    address: sockaddr_ll,
    /// On the wire; the capture may have cut it.
    len: usize,
}

/// A received frame.
pub(crate) struct Frame<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) original_len: u32,
    /// Nanoseconds since 1970, by the kernel's clock.
    pub(crate) time: i64,
    /// Tag that the kernel took out: its EtherType and content.
    pub(crate) vlan: Option<(u16, u16)>,
    /// Where it came from or goes to.
    pub(crate) address: &'a sockaddr_ll,
}

/// The number of an interface.
pub(crate) fn interface_index(name: &str) -> io::Result<c_int> {
    let name = CString::new(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: `name` ends with NUL and lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 { Err(io::Error::last_os_error()) } else { Ok(index as c_int) }
}

impl PacketSocket {
    /// `kind`: `SOCK_RAW` for frames with their link header, `SOCK_DGRAM` without.
    pub(crate) fn open(kind: c_int) -> io::Result<PacketSocket> {
        // SAFETY: no pointers; the descriptor is checked and owned by nobody else.
        let fd = unsafe {
            let fd =
                check(libc::socket(libc::AF_PACKET, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0))?;
            OwnedFd::from_raw_fd(fd)
        };
        Ok(PacketSocket { fd })
    }

    /// Binds to an interface, 0 for all. With protocol 0 still no frames come, but the address can be asked for.
    pub(crate) fn bind(&self, interface: c_int, protocol: c_int) -> io::Result<()> {
        let address = sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: (protocol as u16).to_be(),
            sll_ifindex: interface,
            ..no_address()
        };
        let len = size_of::<sockaddr_ll>() as libc::socklen_t;
        // SAFETY: `address` is a sockaddr_ll of that length.
        check(unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), len) })?;
        Ok(())
    }

    /// The hardware type (`ARPHRD_`) of the interface bound to.
    pub(crate) fn hardware_type(&self) -> io::Result<u16> {
        let mut address = no_address();
        let mut len = size_of::<sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `len` bytes into `address`.
        check(unsafe { libc::getsockname(self.fd.as_raw_fd(), (&raw mut address).cast(), &raw mut len) })?;
        Ok(address.sll_hatype)
    }

    /// Sets a socket option whose value is a `T` of C.
    pub(crate) fn set<T: Copy>(&self, level: c_int, name: c_int, value: T) -> io::Result<()> {
        set_option(&self.fd, level, name, value)
    }

    /// Frames the kernel dropped for want of room since the last time this was asked.
    pub(crate) fn take_drops(&self) -> io::Result<u64> {
        let mut stats = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        let (fd, value) = (self.fd.as_raw_fd(), (&raw mut stats).cast::<c_void>());
        // SAFETY: the kernel writes at most `len` bytes into `stats`.
        check(unsafe {
            libc::getsockopt(fd, libc::SOL_PACKET, libc::PACKET_STATISTICS, value, &raw mut len)
        })?;
        Ok(u64::from(stats.tp_drops))
    }

    /// Waits until there are frames, but not longer than this many milliseconds.
    pub(crate) fn wait(&self, milliseconds: c_int) -> io::Result<()> {
        let mut poll = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd.
        match check(unsafe { libc::poll(&raw mut poll, 1, milliseconds) }) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends a frame by the interface bound to.
    #[cfg(test)]
    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: `frame` is readable for its length.
        let sent = unsafe { libc::send(self.fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        check(sent as c_int).map(drop)
    }

    /// Receives the frames that are there, at most a batch; `WouldBlock` if there are none.
    #[allow(clippy::unnecessary_cast, reason = "on musl these fields have other types")]
    pub(crate) fn receive<'a>(&self, batch: &'a mut Batch) -> io::Result<impl Iterator<Item = Frame<'a>>> {
        let mut headers = batch.headers();
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        // SAFETY: `headers` point into `batch`, which is borrowed exclusively until the call is over.
        let count = check(unsafe {
            libc::recvmmsg(
                self.fd.as_raw_fd(),
                headers.0.as_mut_ptr(),
                BATCH as u32,
                flags as _,
                ptr::null_mut(),
            )
        })? as usize;
        for (slot, header) in batch.slots.iter_mut().zip(&headers.0).take(count) {
            slot.len = header.msg_len as usize;
            slot.control_len = header.msg_hdr.msg_controllen as usize;
        }
        let batch = &*batch;
        Ok(batch
            .slots
            .iter()
            .zip(batch.bytes.chunks(batch.snaplen))
            .take(count)
            .map(|(s, bytes)| s.frame(bytes)))
    }
}

/// What the kernel is told for one call, with what it points to.
struct Headers(
    Vec<libc::mmsghdr>,
    #[expect(dead_code, reason = "kept for the pointers into it")] Vec<libc::iovec>,
);

impl Batch {
    /// Room for frames cut at `snaplen` bytes.
    pub(crate) fn new(snaplen: usize) -> Batch {
        let slot = Slot { control: [0; CONTROL_LEN], control_len: 0, address: no_address(), len: 0 };
        Batch { snaplen, bytes: vec![0; snaplen * BATCH], slots: vec![slot; BATCH] }
    }

    fn headers(&mut self) -> Headers {
        let vector =
            |chunk: &mut [u8]| libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: chunk.len() };
        let mut vectors: Vec<_> = self.bytes.chunks_mut(self.snaplen).map(vector).collect();
        let header = |(slot, vector): (&mut Slot, &mut libc::iovec)| {
            // SAFETY: a C struct of numbers and pointers; all zeros is its empty value.
            let mut header: libc::mmsghdr = unsafe { zeroed() };
            header.msg_hdr.msg_name = (&raw mut slot.address).cast();
            header.msg_hdr.msg_namelen = size_of::<sockaddr_ll>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = slot.control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
            header
        };
        let headers = self.slots.iter_mut().zip(&mut vectors).map(header).collect();
        Headers(headers, vectors)
    }
}

impl Slot {
    fn frame<'a>(&'a self, bytes: &'a [u8]) -> Frame<'a> {
        let mut frame = Frame {
            bytes: bytes.get(..self.len).unwrap_or(bytes),
            original_len: u32::try_from(self.len).unwrap_or(u32::MAX),
            time: 0,
            vlan: None,
            address: &self.address,
        };
        for (level, kind, data) in ControlMessages(self.control.get(..self.control_len).unwrap_or_default()) {
            match (level, kind) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => frame.time = nanoseconds(data).unwrap_or(0),
                (libc::SOL_PACKET, libc::PACKET_AUXDATA) => frame.vlan = vlan(data),
                _ => {}
            }
        }
        frame
    }
}

/// From a `tpacket_auxdata`: the tag and its EtherType, which old drivers leave out.
fn vlan(data: &[u8]) -> Option<(u16, u16)> {
    let status = u32::from_ne_bytes(*data.first_chunk()?);
    let number = |at: usize| Some(u16::from_ne_bytes(*data.get(at..)?.first_chunk()?));
    let (tag, ethertype) = (number(16)?, number(18)?);
    let ethertype = if status & libc::TP_STATUS_VLAN_TPID_VALID != 0 { ethertype } else { 0x8100 };
    (status & libc::TP_STATUS_VLAN_VALID != 0).then_some((ethertype, tag))
}

fn no_address() -> sockaddr_ll {
    // SAFETY: a C struct of numbers; all zeros is its empty value.
    unsafe { zeroed() }
}
