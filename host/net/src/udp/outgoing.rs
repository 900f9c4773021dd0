//! Datagrams handed to the kernel, many with one call, each with a mark of its own if it has one.

use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use carillon_wire::ip::{Dscp, Ecn};
use libc::c_int;
use socket2::SockAddr;

use super::{UdpPort, canonical, mapped};
use crate::syscall::{Control, check};

/// A datagram to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Datagram<'a> {
    /// To whom.
    pub to: SocketAddr,
    /// From which of our addresses, for answers; otherwise the kernel chooses. Of the other family: as `None`.
    pub from: Option<IpAddr>,
    /// The content.
    pub bytes: &'a [u8],
    /// Its own mark; `None` for that of the port.
    pub mark: Option<Dscp>,
}

/// Datagrams handed over with one call.
const BATCH: usize = 64;

/// Where a datagram goes and how, as the kernel wants it.
struct Envelope {
    name: SockAddr,
    vector: libc::iovec,
    control: Control,
}

/// Hands the first datagrams over, and says how many the kernel took. An error is about the first.
pub(super) fn send(port: &UdpPort, datagrams: &[Datagram<'_>]) -> io::Result<usize> {
    let v6 = port.local().is_ipv6();
    let mut envelopes: Vec<Envelope> = datagrams.iter().take(BATCH).map(|one| one.envelope(v6)).collect();
    let mut headers: Vec<libc::mmsghdr> = envelopes.iter_mut().map(Envelope::header).collect();
    let (fd, count) = (port.as_raw_fd(), headers.len() as u32);
    // SAFETY: `headers` point into `envelopes`, and those to bytes that `datagrams` borrow; all outlive the call,
    // which only reads them, except for the lengths in `headers`.
    let taken = check(unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _) })?;
    Ok(taken as usize)
}

impl Datagram<'_> {
    fn envelope(&self, v6: bool) -> Envelope {
        let to = canonical(self.to);
        let name = SockAddr::from(if v6 { mapped(to) } else { to });
        let vector =
            libc::iovec { iov_base: self.bytes.as_ptr().cast_mut().cast(), iov_len: self.bytes.len() };
        Envelope { name, vector, control: self.control(to) }
    }

    /// What goes to an IPv4-mapped address is IPv4 for the kernel: the options of IPv6 do nothing there.
    fn control(&self, to: SocketAddr) -> Control {
        let mut control = Control::new();
        let byte = self.mark.map(|mark| c_int::from(mark.traffic_byte(Ecn::NotCapable)).to_ne_bytes());
        let (level, kind) = match to {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
        };
        byte.iter().for_each(|byte| control.push(level, kind, byte));
        push_source(&mut control, to, self.from);
        control
    }
}

/// Says from which of our addresses a datagram to `to`, which is canonical, leaves.
pub(crate) fn push_source(control: &mut Control, to: SocketAddr, from: Option<IpAddr>) {
    match (to, from.map(|from| from.to_canonical()).filter(|from| !from.is_unspecified())) {
        (SocketAddr::V4(_), Some(IpAddr::V4(from))) => {
            // An `in_pktinfo`: any interface, our address, and one that is not read.
            let [a, b, c, d] = from.octets();
            control.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &[0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0]);
        }
        (SocketAddr::V6(_), Some(IpAddr::V6(from))) => {
            // An `in6_pktinfo`: our address, and any interface.
            let mut info = [0; 20];
            info.iter_mut().zip(from.octets()).for_each(|(to, octet)| *to = octet);
            control.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        }
        _ => {}
    }
}

impl Envelope {
    #[allow(clippy::unnecessary_cast, reason = "on musl these fields have other types")]
    fn header(&mut self) -> libc::mmsghdr {
        // SAFETY: a C struct of numbers and pointers; all zeros is its empty value.
        let mut header: libc::mmsghdr = unsafe { zeroed() };
        let control = self.control.bytes();
        header.msg_hdr.msg_name = self.name.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_namelen = self.name.len();
        header.msg_hdr.msg_iov = &raw mut self.vector;
        header.msg_hdr.msg_iovlen = 1;
        if !control.is_empty() {
            header.msg_hdr.msg_control = control.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_controllen = control.len() as _;
        }
        header
    }
}
