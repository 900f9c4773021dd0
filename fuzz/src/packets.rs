//! Frames down to their transport payload, and errors of ICMP down to what they quote.

use std::net::SocketAddr;

use carillon_qos::path::{About, Flow};
use carillon_wire::icmp;
use carillon_wire::ip::protocol;
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

/// An error of ICMP or ICMPv6: the first byte chooses. What is quoted lies inside the message, a longer message says
/// the same of the mark, and only a quote with ports is about a probe by its number.
pub fn icmp(data: &[u8]) {
    let Some((first, message)) = data.split_first() else { return };
    let number = if first & 1 == 0 { protocol::ICMP } else { protocol::ICMPV6 };
    let Some(error) = icmp::decode(number, message) else { return };
    assert_eq!(Some(error.reason), icmp::reason(number, message[0], message[1]));
    let Some(quote) = error.quote else { return };
    assert!(quote.behind.len() + 28 <= message.len());
    let longer = [message, &[0; 64]].concat();
    let again = icmp::decode(number, &longer).and_then(|error| error.quote).map(|quote| quote.ip.dscp());
    assert_eq!(again, Some(quote.ip.dscp()));
    let ends = (SocketAddr::new(quote.ip.src, 50000), SocketAddr::new(quote.ip.dst, 50019));
    match (Flow { local: ends.0, remote: ends.1 }).about(&error) {
        About::Probe(_, quoted) => assert!(quote.transport.is_some() && quoted.mark == quote.ip.dscp()),
        About::OneOfOurs(_) => assert!(quote.transport.is_none()),
        About::Others => {}
    }
}
