//! Live capture on Linux, presented as the bytes of a pcapng file, so that whoever reads files reads this too.
//!
//! Needs the right CAP_NET_RAW. Frames look as on the wire: VLAN tags that the kernel took out are put back.

use std::borrow::Cow;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use carillon_wire::capture::{PcapngWriter, Resolution, USUAL_RECORD_LEN};
use carillon_wire::link::LinkType;
use libc::c_int;

use crate::packet_socket::{Batch, Frame, PacketSocket, interface_index};

/// An endless capture file. Reading blocks until there are frames, and ends once `stop` is set.
pub struct Live {
    interface: String,
    socket: PacketSocket,
    batch: Batch,
    link: LinkType,
    writer: PcapngWriter,
    /// Written, and read up to `read`.
    ready: Vec<u8>,
    read: usize,
    stop: Arc<AtomicBool>,
    /// When `stop` was noticed: frames up to then still belong to the capture.
    last: Option<i64>,
    dropped: Arc<AtomicU64>,
}

/// How long `stop` may go unnoticed.
const PATIENCE_MS: c_int = 100;
/// Rather than ask the kernel for still more frames, hand these out.
const ENOUGH: usize = 256 * 1024;
/// Holds 0.3 s of 100 000 packets/s: the kernel counts about 1 kB for a packet of 200 bytes.
const KERNEL_BUFFER: c_int = 32 * 1024 * 1024;

/// Starts to capture on `interface` (`any` for all of them), each frame cut at `snaplen` bytes.
/// `any`, and interfaces that are not like Ethernet, give Linux cooked frames (v2).
pub fn open(interface: &str, snaplen: u32, stop: Arc<AtomicBool>) -> io::Result<Live> {
    let (socket, link) = bound_socket(interface).map_err(|error| explain(interface, error))?;
    let snaplen = snaplen.clamp(64, USUAL_RECORD_LEN);
    let mut ready = Vec::with_capacity(2 * ENOUGH);
    let mut writer = PcapngWriter::begin(&mut ready);
    writer.interface(&mut ready, link, interface, snaplen, Resolution::Nanos);
    let (batch, dropped) = (Batch::new(snaplen as usize), Arc::default());
    Ok(Live {
        interface: interface.to_owned(),
        socket,
        batch,
        link,
        writer,
        ready,
        read: 0,
        stop,
        last: None,
        dropped,
    })
}

impl Live {
    /// The frames that the kernel had to drop so far because they were read too slowly; brought up to date
    /// whenever the reader waits, and at the end.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        self.dropped.clone()
    }

    /// The link layer of the frames.
    pub fn link(&self) -> LinkType {
        self.link
    }

    /// Waits for frames and writes them to `ready`; leaves it empty at the end.
    fn refill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.read = 0;
        while self.ready.len() < ENOUGH {
            if self.stop.load(Ordering::Relaxed) && self.last.is_none() {
                self.last = Some(now());
            }
            match self.receive() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if self.last.is_some() || !self.ready.is_empty() => break,
                Err(_) => {
                    self.count_drops()?;
                    self.socket.wait(PATIENCE_MS)?;
                }
            }
        }
        if self.ready.is_empty() { self.count_drops() } else { Ok(()) }
    }

    /// Writes a batch of frames; false after the last that belongs to the capture.
    fn receive(&mut self) -> io::Result<bool> {
        for frame in self.socket.receive(&mut self.batch)? {
            if self.last.is_some_and(|last| frame.time > last) {
                return Ok(false);
            }
            if !is_second_sight(&frame) {
                let wire = as_on_the_wire(self.link, &frame);
                let added = wire.len().saturating_sub(frame.bytes.len()) as u32;
                let original_len = frame.original_len.saturating_add(added);
                self.writer.record(&mut self.ready, 0, frame.time, original_len, &wire);
            }
        }
        Ok(true)
    }

    fn count_drops(&self) -> io::Result<()> {
        self.dropped.fetch_add(self.socket.take_drops()?, Ordering::Relaxed);
        Ok(())
    }
}

impl Read for Live {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.ready.len() && !buffer.is_empty() {
            self.refill().map_err(|error| explain(&self.interface, error))?;
        }
        let mut rest = self.ready.get(self.read..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

fn bound_socket(interface: &str) -> io::Result<(PacketSocket, LinkType)> {
    let index = if interface == "any" { 0 } else { interface_index(interface)? };
    let raw = PacketSocket::open(libc::SOCK_RAW)?;
    raw.bind(index, 0)?;
    let like_ethernet =
        index != 0 && matches!(raw.hardware_type()?, libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK);
    let (socket, link) = if like_ethernet {
        (raw, LinkType::Ethernet)
    } else {
        (PacketSocket::open(libc::SOCK_DGRAM)?, LinkType::Cooked2)
    };
    // More than the system's usual limit needs one more right; without it, what the limit allows.
    if socket.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, KERNEL_BUFFER).is_err() {
        socket.set(libc::SOL_SOCKET, libc::SO_RCVBUF, KERNEL_BUFFER)?;
    }
    socket.set::<c_int>(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    socket.set::<c_int>(libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
    if like_ethernet {
        // A mirror port of a switch delivers frames for other machines.
        let (mr_type, mr_alen, mr_address) = (libc::PACKET_MR_PROMISC as u16, 0, [0; 8]);
        let request = libc::packet_mreq { mr_ifindex: index, mr_type, mr_alen, mr_address };
        socket.set(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, request)?;
    }
    socket.bind(index, libc::ETH_P_ALL)?;
    Ok((socket, link))
}

fn explain(interface: &str, error: io::Error) -> io::Error {
    let reason = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "it needs the right CAP_NET_RAW (be root, or give the program that capability with setcap)"
                .to_owned()
        }
        Some(libc::ENODEV | libc::ENXIO) => "there is no such interface".to_owned(),
        _ => error.to_string(),
    };
    io::Error::new(error.kind(), format!("can't capture on {interface}: {reason}"))
}

/// The loopback interface shows every packet twice, going out and coming in.
fn is_second_sight(frame: &Frame<'_>) -> bool {
    frame.address.sll_hatype == libc::ARPHRD_LOOPBACK && frame.address.sll_pkttype == libc::PACKET_OUTGOING
}

/// The frame with the parts of its header that the kernel keeps elsewhere.
fn as_on_the_wire<'a>(link: LinkType, frame: &Frame<'a>) -> Cow<'a, [u8]> {
    match (link, frame.vlan) {
        (LinkType::Cooked2, _) => cooked(frame).into(),
        (_, None) => frame.bytes.into(),
        (_, Some((ethertype, tag))) => {
            let (addresses, rest) = frame.bytes.split_at(frame.bytes.len().min(12));
            [addresses, &ethertype.to_be_bytes(), &tag.to_be_bytes(), rest].concat().into()
        }
    }
}

/// Puts the Linux cooked header v2 in front; a VLAN tag follows it, its type standing in the header.
fn cooked(frame: &Frame<'_>) -> Vec<u8> {
    let address = frame.address;
    // Kept in network order already.
    let protocol = address.sll_protocol.to_ne_bytes();
    let mut wire = Vec::with_capacity(24 + frame.bytes.len());
    wire.extend(frame.vlan.map_or(protocol, |(ethertype, _)| ethertype.to_be_bytes()));
    wire.extend([0, 0]);
    wire.extend(address.sll_ifindex.to_be_bytes());
    wire.extend(address.sll_hatype.to_be_bytes());
    wire.extend([address.sll_pkttype, address.sll_halen]);
    wire.extend(address.sll_addr);
    if let Some((_, tag)) = frame.vlan {
        wire.extend(tag.to_be_bytes());
        wire.extend(protocol);
    }
    wire.extend_from_slice(frame.bytes);
    wire
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
