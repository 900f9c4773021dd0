//! Frames down to their transport payload.

use carillon_wire::link::LinkType;
use carillon_wire::packet::{self, Packet, Transport};

const LINKS: [LinkType; 6] = [
    LinkType::Ethernet,
    LinkType::RawIp,
    LinkType::Loopback,
    LinkType::Cooked1,
    LinkType::Cooked2,
    LinkType::Other(147),
];

/// A captured frame: the first byte chooses the link layer. No payload is longer than the frame, nor than its
/// own length on the wire, and a frame cut by the capture gives the same header or none.
pub fn frame(data: &[u8]) {
    let Some((first, frame)) = data.split_first() else { return };
    let link = LINKS[usize::from(*first) % LINKS.len()];
    let Some(whole) = packet::decode(link, frame) else { return };
    let (held, declared) = payload_of(&whole);
    assert!(held <= frame.len());
    assert!(held <= declared as usize, "{held} bytes held, {declared} declared");
    if let Some(cut) = packet::decode(link, &frame[..frame.len() / 2]) {
        assert_eq!((cut.ip.src, cut.ip.dst), (whole.ip.src, whole.ip.dst));
        assert_eq!(cut.ip.dscp(), whole.ip.dscp());
        assert!(payload_of(&cut).0 <= held);
    }
}

fn payload_of(packet: &Packet<'_>) -> (usize, u32) {
    match packet.transport {
        Transport::Udp(udp) => (udp.payload.len(), udp.payload_len),
        Transport::Tcp(tcp) => (tcp.payload.len(), tcp.payload_len),
        Transport::Fragment(piece) => (piece.len(), packet.ip.payload_len),
        Transport::Icmp | Transport::Other => (0, 0),
    }
}
