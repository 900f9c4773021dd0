//! Packets back into frames: lengths agree; checksums may be wrong, as offload leaves them.

use std::net::IpAddr;

use carillon_wire::ip::protocol;
use carillon_wire::link::LinkType;

use crate::packet::{Body, Packet};

/// The link layer that a capture shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// Plain Ethernet.
    Ethernet,
    /// One VLAN tag.
    Vlan(u16),
    /// A provider's tag and a VLAN tag.
    Stacked(u16, u16),
    /// Linux cooked, version 1.
    Cooked1,
    /// Linux cooked, version 2.
    Cooked2,
    /// IP without any link header.
    Raw,
}

impl Link {
    /// The number in the file.
    pub fn kind(self) -> LinkType {
        match self {
            Link::Ethernet | Link::Vlan(_) | Link::Stacked(..) => LinkType::Ethernet,
            Link::Cooked1 => LinkType::Cooked1,
            Link::Cooked2 => LinkType::Cooked2,
            Link::Raw => LinkType::RawIp,
        }
    }
}

/// The frame of a packet; `None` if it is no IP and the link can't say so. `sums` is false for captures of a
/// machine whose card fills the checksums in.
pub fn frame(packet: &Packet, link: Link, sums: bool) -> Option<Vec<u8>> {
    if let Body::Frame(bytes) = &packet.body {
        return (link == Link::Ethernet).then(|| bytes.clone());
    }
    let ethertype: u16 = if packet.src.is_ipv4() { 0x0800 } else { 0x86dd };
    let mut out = link_header(link, ethertype);
    let (number, body) = transport(&packet.body);
    match (packet.src, packet.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let addresses = [src.octets(), dst.octets()].concat();
            out.extend(ipv4(packet, number, body.len(), &addresses, sums));
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            out.extend(ipv6(packet, number, body.len(), &[src.octets(), dst.octets()].concat()));
        }
        _ => unreachable!("a packet between versions of IP"),
    }
    out.extend(body);
    Some(out)
}

fn link_header(link: Link, ethertype: u16) -> Vec<u8> {
    let ends = [2, 0, 0, 0, 0, 0x14, 2, 0, 0, 0, 0, 0x0a];
    let tag = |kind: u16, id: u16| words(&[kind, id]);
    let ethertype = words(&[ethertype]);
    match link {
        Link::Ethernet => [&ends[..], &ethertype].concat(),
        Link::Vlan(id) => [&ends[..], &tag(0x8100, id), &ethertype].concat(),
        Link::Stacked(outer, inner) => {
            [&ends[..], &tag(0x88a8, outer), &tag(0x8100, inner), &ethertype].concat()
        }
        Link::Cooked1 => [&words(&[0, 1, 6, 0x0200, 0, 0x000a, 0])[..], &ethertype].concat(),
        Link::Cooked2 => [&ethertype[..], &words(&[0, 0, 2, 1, 0x0006, 0x0200, 0, 0x000a, 0])].concat(),
        Link::Raw => Vec::new(),
    }
}

fn ipv4(packet: &Packet, number: u8, len: usize, addresses: &[u8], sums: bool) -> Vec<u8> {
    let (id, part) = match packet.body {
        Body::Piece { id, offset, more, .. } => (id as u16, u16::from(more) << 13 | (offset / 8) as u16),
        _ => (0, 0x4000),
    };
    let mut header = vec![0x45, packet.traffic_byte];
    header.extend(words(&[(20 + len) as u16, id, part]));
    header.extend([64, number, 0, 0]);
    header.extend(addresses);
    let sum = if sums { checksum(&header) } else { 0xdead };
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

fn ipv6(packet: &Packet, number: u8, len: usize, addresses: &[u8]) -> Vec<u8> {
    let extension = match packet.body {
        Body::Piece { id, offset, more, .. } => {
            [&[number, 0][..], &words(&[offset as u16 | u16::from(more)]), &id.to_be_bytes()].concat()
        }
        _ => Vec::new(),
    };
    let next = if extension.is_empty() { number } else { 44 };
    let first = 6u32 << 28 | u32::from(packet.traffic_byte) << 20;
    let mut header = first.to_be_bytes().to_vec();
    header.extend(words(&[(extension.len() + len) as u16]));
    header.extend([next, 64]);
    header.extend(addresses);
    header.extend(extension);
    header
}

/// Protocol number and bytes of what lies on IP.
pub fn transport(body: &Body) -> (u8, Vec<u8>) {
    match body {
        Body::Udp { src_port, dst_port, payload } => {
            let header = words(&[*src_port, *dst_port, (8 + payload.len()) as u16, 0]);
            (protocol::UDP, [&header[..], payload].concat())
        }
        Body::Tcp { src_port, dst_port, seq, flags, payload } => {
            let mut bytes = words(&[*src_port, *dst_port]);
            bytes.extend(seq.to_be_bytes());
            bytes.extend([0, 0, 0, 1, 0x50, *flags, 0xff, 0xff, 0, 0, 0, 0]);
            bytes.extend(payload);
            (protocol::TCP, bytes)
        }
        Body::Piece { protocol, bytes, .. } | Body::Ip { protocol, bytes } => (*protocol, bytes.clone()),
        Body::Frame(bytes) => (0, bytes.clone()),
    }
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}
