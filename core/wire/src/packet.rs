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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ip::Dscp;
    use proptest::prelude::*;

    /// An IPv4 packet of this protocol that declares `declared` bytes behind its header.
    fn packet(protocol: u8, flags: u16, declared: usize, held: &[u8]) -> Vec<u8> {
        let total = (20 + declared) as u16;
        let mut bytes = vec![0x45, 184];
        bytes.extend([total, 1, flags].iter().flat_map(|word| word.to_be_bytes()));
        bytes.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        bytes.extend(held);
        bytes
    }

    fn udp_header(len: u16) -> Vec<u8> {
        [5004u16, 5006, len, 0].iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn udp_of(declared: usize, bytes: &[u8]) -> Option<(u32, usize)> {
        match decode(LinkType::RawIp, &packet(protocol::UDP, 0, declared, bytes))?.transport {
            Transport::Udp(udp) => {
                assert_eq!((udp.src_port, udp.dst_port), (5004, 5006));
                Some((udp.payload_len, udp.payload.len()))
            }
            _ => None,
        }
    }

    #[test]
    fn a_udp_datagram_is_read_down_to_its_payload() {
        let frame =
            [&[0; 12][..], &[8, 0], &packet(17, 0, 12, &[&udp_header(12)[..], b"abcd", &[0; 18]].concat())];
        let packet =
            decode(LinkType::Ethernet, &frame.concat()).map(|p| (p.ip.dscp(), format!("{:?}", p.transport)));
        let (dscp, transport) = packet.unwrap();
        assert_eq!(dscp, Dscp::EF);
        assert!(transport.contains("payload_len: 4, payload: [97, 98, 99, 100]"), "{transport}");
    }

    #[test]
    fn a_udp_length_counts_unless_it_can_not_be() {
        let bytes = |len| [udp_header(len), vec![7; 32]].concat();
        assert_eq!(udp_of(40, &bytes(40)), Some((32, 32)));
        assert_eq!(udp_of(40, &bytes(20)), Some((12, 12)), "trailing bytes are not the datagram's");
        assert_eq!(udp_of(40, &bytes(0)), Some((32, 32)), "from offload");
        assert_eq!(udp_of(40, &bytes(7)), Some((32, 32)));
        assert_eq!(udp_of(40, &bytes(999)), Some((32, 32)));
        assert_eq!(udp_of(1000, &bytes(1000)), Some((992, 32)), "cut by the capture");
        assert_eq!(udp_of(4, &bytes(4)), None, "no room for a header");
    }

    #[test]
    fn a_tcp_segment_is_read_behind_its_options() {
        let mut segment = [5060u16, 5061].iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        segment.extend([0, 0, 1, 0, 0, 0, 0, 0, 0x80, Tcp::SYN, 0, 0, 0, 0, 0, 0]);
        segment.extend([1; 12]);
        segment.extend(b"INVITE");
        let bytes = packet(protocol::TCP, 0, segment.len() + 10, &segment);
        let Transport::Tcp(tcp) = decode(LinkType::RawIp, &bytes).unwrap().transport else {
            panic!("no TCP")
        };
        let expected =
            Tcp { src_port: 5060, dst_port: 5061, seq: 256, flags: 2, payload_len: 16, payload: b"INVITE" };
        assert_eq!(tcp, expected);
        segment[12] = 0x40;
        let bytes = packet(protocol::TCP, 0, segment.len(), &segment);
        assert!(matches!(decode(LinkType::RawIp, &bytes).unwrap().transport, Transport::Other));
    }

    #[test]
    fn fragments_and_icmp_are_not_taken_for_datagrams() {
        let kind = |protocol, flags| {
            let bytes = packet(protocol, flags, 28, &[udp_header(28), vec![0; 20]].concat());
            format!("{:?}", decode(LinkType::RawIp, &bytes).unwrap().transport)
        };
        assert!(kind(protocol::UDP, 0x2000).starts_with("Fragment"));
        assert!(kind(protocol::UDP, 0x0001).starts_with("Fragment"));
        assert_eq!((kind(protocol::ICMP, 0), kind(47, 0)), ("Icmp".to_owned(), "Other".to_owned()));
    }

    proptest! {
        #[test]
        fn no_transport_panics(
            number in prop::sample::select(vec![protocol::UDP, protocol::TCP, protocol::ICMPV6]),
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            declared: u32,
        ) {
            match transport(number, &bytes, declared) {
                Transport::Udp(udp) => prop_assert!(udp.payload.len() <= udp.payload_len as usize),
                Transport::Tcp(tcp) => prop_assert!(tcp.payload_len <= declared),
                _ => {}
            }
        }
    }
}
