//! One captured frame down to its transport payload.

use crate::ip::{self, IpHeader, protocol};
use crate::link::{self, LinkHeader, LinkType};

/// A frame, decoded as far as UDP, TCP, or whatever lies on IP.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Link header facts.
    pub link: LinkHeader,
    /// The outer IP header: the one that routers judge.
    pub ip: IpHeader,
    /// What the IP packet carries.
    pub transport: Transport<'a>,
}

/// The transport layer of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Transport<'a> {
    /// A whole UDP datagram (its payload may be cut by the capture).
    Udp(Udp<'a>),
    /// A TCP segment.
    Tcp(Tcp<'a>),
    /// A fragment of a datagram: hand it to [`crate::fragment::Reassembler`].
    Fragment(&'a [u8]),
    /// ICMP or ICMPv6. What it quotes is not traffic.
    Icmp,
    /// Some other protocol, or a transport header cut by the capture.
    Other,
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp<'a> {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Payload length on the wire; `payload` may be shorter in a capture with a snap length.
    pub payload_len: u32,
    /// The payload as captured.
    pub payload: &'a [u8],
}

/// A TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp<'a> {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Flags: FIN 1, SYN 2, RST 4, PSH 8, ACK 16.
    pub flags: u8,
    /// Payload length on the wire; `payload` may be shorter in a capture with a snap length.
    pub payload_len: u32,
    /// The payload as captured.
    pub payload: &'a [u8],
}

impl Tcp<'_> {
    /// FIN, SYN, RST bits.
    pub const FIN: u8 = 1;
    /// See [`Tcp::FIN`].
    pub const SYN: u8 = 2;
    /// See [`Tcp::FIN`].
    pub const RST: u8 = 4;
}

/// Decodes a captured frame. `None`: not IP, or cut inside the IP header.
#[inline]
pub fn decode(link: LinkType, frame: &[u8]) -> Option<Packet<'_>> {
    let (link, bytes) = link::decode(link, frame)?;
    let (ip, payload) = ip::decode(bytes)?;
    let transport = match ip.fragment {
        Some(_) => Transport::Fragment(payload),
        None => transport(ip.protocol, payload, ip.payload_len),
    };
    Some(Packet { link, ip, transport })
}

/// Decodes what an IP packet (or a reassembled datagram) carries; `declared` is its length on the wire.
#[inline]
pub fn transport(number: u8, bytes: &[u8], declared: u32) -> Transport<'_> {
    match number {
        protocol::UDP => udp(bytes, declared).map_or(Transport::Other, Transport::Udp),
        protocol::TCP => tcp(bytes, declared).map_or(Transport::Other, Transport::Tcp),
        protocol::ICMP | protocol::ICMPV6 => Transport::Icmp,
        _ => Transport::Other,
    }
}

#[inline]
fn udp(bytes: &[u8], declared: u32) -> Option<Udp<'_>> {
    let head: &[u8; 8] = bytes.first_chunk()?;
    let len = u32::from(u16::from_be_bytes([head[4], head[5]]));
    // A length under 8 is a lie (or 0 from offload): the IP header's word counts then.
    let len = if len < 8 || len > declared { declared } else { len };
    let payload_len = len.saturating_sub(8);
    let held = bytes.len().min(8 + payload_len as usize);
    Some(Udp {
        src_port: u16::from_be_bytes([head[0], head[1]]),
        dst_port: u16::from_be_bytes([head[2], head[3]]),
        payload_len,
        payload: &bytes[8..held],
    })
}

#[inline]
fn tcp(bytes: &[u8], declared: u32) -> Option<Tcp<'_>> {
    let head: &[u8; 20] = bytes.first_chunk()?;
    let header_len = u32::from(head[12] >> 4) * 4;
    if header_len < 20 || header_len > declared {
        return None;
    }
    Some(Tcp {
        src_port: u16::from_be_bytes([head[0], head[1]]),
        dst_port: u16::from_be_bytes([head[2], head[3]]),
        seq: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        flags: head[13],
        payload_len: declared - header_len,
        payload: bytes.get(header_len as usize..).unwrap_or_default(),
    })
}
