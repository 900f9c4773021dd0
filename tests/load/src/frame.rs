//! Ethernet frames with UDP, TCP or a fragment inside. Headers only as far as a capture shows them: transport
//! checksums are zero, as with offload.

use std::net::{IpAddr, SocketAddr};

use carillon_wire::ip::{Dscp, Ecn, protocol};

/// From where to where, and how it is marked.
#[derive(Clone, Copy)]
pub(crate) struct Path {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) dscp: Dscp,
}

impl Path {
    pub(crate) fn back(self) -> Path {
        Path { from: self.to, to: self.from, ..self }
    }

    /// The same hosts with other ports.
    pub(crate) fn ports(self, from: u16, to: u16) -> Path {
        Path { from: SocketAddr::new(self.from.ip(), from), to: SocketAddr::new(self.to.ip(), to), ..self }
    }

    pub(crate) fn marked(self, dscp: Dscp) -> Path {
        Path { dscp, ..self }
    }

    /// Where the payload of a UDP frame starts.
    pub(crate) fn udp_payload_at(self) -> usize {
        14 + if self.from.is_ipv4() { 20 } else { 40 } + 8
    }
}

pub(crate) fn udp(path: Path, payload: &[u8]) -> Vec<u8> {
    let mut frame = ip(path, protocol::UDP, 8 + payload.len(), 0x4000, 0);
    push_words(&mut frame, &[path.from.port(), path.to.port(), (8 + payload.len()) as u16, 0]);
    frame.extend(payload);
    frame
}

pub(crate) fn tcp(path: Path, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = ip(path, protocol::TCP, 20 + payload.len(), 0x4000, 0);
    push_words(&mut frame, &[path.from.port(), path.to.port()]);
    frame.extend(sequence.to_be_bytes());
    // An acknowledgement of something, five words of header, PSH and ACK, a window.
    frame.extend([0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}

/// The first piece of a UDP datagram whose others never come.
pub(crate) fn first_fragment(path: Path, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = ip(path, protocol::UDP, 8 + payload.len(), 0x2000, id);
    push_words(&mut frame, &[path.from.port(), path.to.port(), 60_000, 0]);
    frame.extend(payload);
    frame
}

fn ip(path: Path, protocol: u8, len: usize, flags: u16, id: u16) -> Vec<u8> {
    let byte = path.dscp.traffic_byte(Ecn::NotCapable);
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    match (path.from.ip(), path.to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            frame.extend([8, 0, 0x45, byte]);
            push_words(&mut frame, &[(20 + len) as u16, id, flags]);
            frame.extend([64, protocol, 0, 0]);
            frame.extend([from.octets(), to.octets()].concat());
        }
        (from, to) => {
            frame.extend([0x86, 0xdd, 0x60 | byte >> 4, byte << 4, 0, 0]);
            push_words(&mut frame, &[len as u16]);
            frame.extend([protocol, 64]);
            frame.extend([octets(from), octets(to)].concat());
        }
    }
    frame
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn push_words(bytes: &mut Vec<u8>, words: &[u16]) {
    words.iter().for_each(|word| bytes.extend(word.to_be_bytes()));
}
