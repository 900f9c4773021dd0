//! IPv4 and IPv6 headers, and the traffic byte (RFC 791, 8200, 2474, 3168).
//!
//! The DSCP is the upper six bits of that byte: 46 is written 184. The one shift of the project is here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A differentiated services code point, 0 to 63 (RFC 2474).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Dscp(u8);

impl Dscp {
    /// Best effort, the mark of a packet nobody marked (CS0).
    pub const DEFAULT: Dscp = Dscp(0);
    /// Expedited forwarding (RFC 3246): voice.
    pub const EF: Dscp = Dscp(46);

    /// The code point with this value, unless it is over 63.
    pub const fn new(value: u8) -> Option<Dscp> {
        if value < 64 { Some(Dscp(value)) } else { None }
    }

    /// The code point inside a traffic byte (IPv4 TOS, IPv6 traffic class).
    pub const fn from_traffic_byte(byte: u8) -> Dscp {
        Dscp(byte >> 2)
    }

    /// The value, 0 to 63.
    pub const fn value(self) -> u8 {
        self.0
    }

    /// The traffic byte that carries this mark and these ECN bits: the only shift to the left in the project.
    pub const fn traffic_byte(self, ecn: Ecn) -> u8 {
        self.0 << 2 | ecn as u8
    }
}

impl fmt::Debug for Dscp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dscp({})", self.0)
    }
}

/// The two explicit congestion notification bits (RFC 3168).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Ecn {
    /// 00: the sender does not take part.
    #[default]
    NotCapable = 0,
    /// 01: ECT(1), also the L4S identifier (RFC 9331).
    Capable1 = 1,
    /// 10: ECT(0).
    Capable0 = 2,
    /// 11: congestion experienced.
    Congestion = 3,
}

impl Ecn {
    /// The lower two bits of a traffic byte.
    pub const fn from_traffic_byte(byte: u8) -> Ecn {
        match byte & 3 {
            0 => Ecn::NotCapable,
            1 => Ecn::Capable1,
            2 => Ecn::Capable0,
            _ => Ecn::Congestion,
        }
    }
}

/// Which piece of a fragmented datagram a packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FragmentPart {
    /// The identification field (16 bits in IPv4, 32 in IPv6).
    pub id: u32,
    /// Offset of this piece in the datagram, in bytes.
    pub offset: u32,
    /// Whether further pieces follow.
    pub more: bool,
}

/// What an IP header says, whichever version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpHeader {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// The traffic byte: DSCP and ECN.
    pub traffic_byte: u8,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Transport protocol, after IPv6 extension headers (of a fragment: after those that every piece repeats).
    pub protocol: u8,
    /// Bytes after the header as declared on the wire (a capture may hold fewer). Segmentation offload
    /// writes 0 here into captured frames; then it is what the capture holds.
    pub payload_len: u32,
    /// Set if the packet is a fragment.
    pub fragment: Option<FragmentPart>,
}

impl IpHeader {
    /// The mark.
    pub const fn dscp(&self) -> Dscp {
        Dscp::from_traffic_byte(self.traffic_byte)
    }

    /// The ECN bits.
    pub const fn ecn(&self) -> Ecn {
        Ecn::from_traffic_byte(self.traffic_byte)
    }
}

/// Protocol numbers (IANA).
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv4 in IP (RFC 2003), IPv6 in IP (RFC 4213), GRE (RFC 2784), ESP (RFC 4303): what they carry is not looked
    /// into.
    pub const TUNNELS: [u8; 4] = [4, 41, 47, 50];
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
}

/// Reads the IP header at the start of `bytes`; returns it with its payload, cut to the declared length.
/// `None` if this is no IP packet or the header itself was cut off.
#[inline]
pub fn decode(bytes: &[u8]) -> Option<(IpHeader, &[u8])> {
    match bytes.first()? >> 4 {
        4 => decode_v4(bytes),
        6 => decode_v6(bytes),
        _ => None,
    }
}

#[inline]
fn decode_v4(bytes: &[u8]) -> Option<(IpHeader, &[u8])> {
    let fixed: &[u8; 20] = bytes.first_chunk()?;
    let header_len = usize::from(fixed[0] & 0x0f) * 4;
    if header_len < 20 || header_len > bytes.len() {
        return None;
    }
    let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    let total = if total == 0 { bytes.len() } else { total };
    if total < header_len {
        return None;
    }
    let flags = u16::from_be_bytes([fixed[6], fixed[7]]);
    let (offset, more) = (u32::from(flags & 0x1fff) * 8, flags & 0x2000 != 0);
    let id = u32::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    let header = IpHeader {
        src: IpAddr::V4(Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15])),
        dst: IpAddr::V4(Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19])),
        traffic_byte: fixed[1],
        ttl: fixed[8],
        protocol: fixed[9],
        payload_len: (total - header_len) as u32,
        fragment: (more || offset != 0).then_some(FragmentPart { id, offset, more }),
    };
    Some((header, &bytes[header_len..total.min(bytes.len())]))
}

#[inline]
fn decode_v6(bytes: &[u8]) -> Option<(IpHeader, &[u8])> {
    let fixed: &[u8; 40] = bytes.first_chunk()?;
    let declared = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    let declared = if declared == 0 { bytes.len() - 40 } else { declared };
    let (src, dst) = (v6_address(&fixed[8..24])?, v6_address(&fixed[24..40])?);
    let held = &bytes[40..bytes.len().min(40 + declared)];
    let (protocol, skipped, fragment) = match fixed[6] {
        protocol @ (protocol::UDP | protocol::TCP) => (protocol, 0, None),
        first => walk_extensions(first, held)?,
    };
    let header = IpHeader {
        src: IpAddr::V6(src),
        dst: IpAddr::V6(dst),
        traffic_byte: fixed[0] << 4 | fixed[1] >> 4,
        ttl: fixed[7],
        protocol,
        payload_len: (declared - skipped) as u32,
        fragment,
    };
    Some((header, &held[skipped..]))
}

fn v6_address(bytes: &[u8]) -> Option<Ipv6Addr> {
    Some(Ipv6Addr::from(*bytes.first_chunk::<16>()?))
}

/// Follows the chain of extension headers (RFC 8200, 4): the upper protocol, the bytes skipped, the fragment.
pub(crate) fn walk_extensions(first: u8, bytes: &[u8]) -> Option<(u8, usize, Option<FragmentPart>)> {
    let (mut next, mut at, mut fragment) = (first, 0usize, None);
    loop {
        let len = match next {
            0 | 43 | 60 | 135 | 139 | 140 => (usize::from(*bytes.get(at + 1)?) + 1) * 8,
            51 => (usize::from(*bytes.get(at + 1)?) + 2) * 4,
            44 => {
                let f: &[u8; 8] = bytes.get(at..)?.first_chunk()?;
                let field = u16::from_be_bytes([f[2], f[3]]);
                let part = FragmentPart {
                    id: u32::from_be_bytes([f[4], f[5], f[6], f[7]]),
                    offset: u32::from(field & 0xfff8),
                    more: field & 1 != 0,
                };
                // An atomic fragment (RFC 6946) is a whole datagram.
                fragment = (part.more || part.offset != 0).then_some(part);
                8
            }
            _ => return Some((next, at, fragment)),
        };
        next = *bytes.get(at)?;
        at += len;
        if at > bytes.len() {
            return None;
        }
        // The rest, further extension headers included, is a piece of the datagram: offsets count from here.
        if fragment.is_some() {
            return Some((next, at, fragment));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An IPv4 header: DSCP 46 and ECT(0), UDP, with this fragment field and total length.
    fn v4(flags: u16, total: u16, options: usize) -> Vec<u8> {
        let mut bytes = vec![0x45 + (options / 4) as u8, 46 << 2 | 2];
        bytes.extend([total, 0xbeef, flags].iter().flat_map(|word| word.to_be_bytes()));
        bytes.extend([63, protocol::UDP, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2]);
        bytes.resize(20 + options, 1);
        bytes
    }

    /// An IPv6 header with traffic class 184 and this next header and payload.
    fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x6b, 0x81, 0x23, 0x45];
        bytes.extend((payload.len() as u16).to_be_bytes());
        bytes.extend([next, 61]);
        bytes.extend([[0x20; 16], [0x30; 16]].concat());
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn every_mark_goes_into_the_traffic_byte_and_comes_back() {
        for value in 0..64 {
            for ecn in [Ecn::NotCapable, Ecn::Capable1, Ecn::Capable0, Ecn::Congestion] {
                let byte = Dscp::new(value).unwrap().traffic_byte(ecn);
                assert_eq!(Dscp::from_traffic_byte(byte).value(), value);
                assert_eq!(Ecn::from_traffic_byte(byte), ecn);
            }
        }
        assert_eq!(Dscp::EF.traffic_byte(Ecn::NotCapable), 184);
        assert_eq!(Dscp::new(64), None);
    }

    #[test]
    fn ipv4_is_read_with_options_and_padding() {
        for options in [0, 4, 40] {
            let mut bytes = v4(0x4000, 20 + options + 5, usize::from(options));
            bytes.extend(b"hello and padding of Ethernet");
            let (ip, payload) = decode(&bytes).unwrap();
            assert_eq!(
                (ip.dscp(), ip.ecn(), ip.ttl, ip.protocol),
                (Dscp::EF, Ecn::Capable0, 63, protocol::UDP)
            );
            assert_eq!(
                (ip.src.to_string().as_str(), ip.dst.to_string().as_str()),
                ("192.0.2.1", "198.51.100.2")
            );
            assert_eq!((ip.payload_len, payload, ip.fragment), (5, &b"hello"[..], None));
        }
    }

    #[test]
    fn an_ipv4_length_of_zero_from_offload_means_what_was_captured() {
        let mut bytes = v4(0, 0, 0);
        bytes.extend([7; 5000]);
        let (ip, payload) = decode(&bytes).unwrap();
        assert_eq!((ip.payload_len, payload.len()), (5000, 5000));
    }

    #[test]
    fn a_cut_packet_keeps_its_declared_length() {
        let mut bytes = v4(0, 1500, 0);
        bytes.extend([7; 30]);
        let (ip, payload) = decode(&bytes).unwrap();
        assert_eq!((ip.payload_len, payload.len()), (1480, 30));
        let whole = v6(protocol::UDP, &[7; 100]);
        let (ip, payload) = decode(&whole[..60]).unwrap();
        assert_eq!((ip.payload_len, payload.len()), (100, 20));
    }

    #[test]
    fn impossible_ipv4_headers_are_none() {
        assert!(decode(&v4(0, 19, 0)).is_none());
        assert!(decode(&v4(0, 100, 0)[..19]).is_none());
        assert!(decode(&v4(0, 100, 8)[..27]).is_none());
        let mut short = v4(0, 100, 0);
        short[0] = 0x44;
        assert!(decode(&short).is_none());
        assert!(decode(&[]).is_none() && decode(&[0x50; 60]).is_none());
    }

    #[test]
    fn ipv4_fragments_are_recognised() {
        let part = |flags| decode(&v4(flags, 20, 0)).unwrap().0.fragment;
        assert_eq!(part(0x2000), Some(FragmentPart { id: 0xbeef, offset: 0, more: true }));
        assert_eq!(part(0x20b9), Some(FragmentPart { id: 0xbeef, offset: 1480, more: true }));
        assert_eq!(part(0x1fff), Some(FragmentPart { id: 0xbeef, offset: 65_528, more: false }));
        assert_eq!(part(0x4000), None);
    }

    #[test]
    fn ipv6_extension_headers_are_passed() {
        let options = [60, 0, 1, 4, 0, 0, 0, 0];
        let destination = [51, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let authentication = [protocol::UDP, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let bytes = v6(0, &[&options[..], &destination, &authentication, b"hello"].concat());
        let (ip, payload) = decode(&bytes).unwrap();
        assert_eq!((ip.traffic_byte, ip.ttl, ip.protocol), (184, 61, protocol::UDP));
        assert_eq!((ip.payload_len, payload, ip.fragment), (5, &b"hello"[..], None));
        assert!(decode(&bytes[..50]).is_none(), "cut inside an extension header");
    }

    #[test]
    fn ipv6_fragments_keep_what_stands_behind_their_header() {
        let fragment = |field: [u8; 2]| [60, 0, field[0], field[1], 0, 1, 0, 2];
        let behind = [17, 0, 1, 4, 0, 0, 0, 0];
        let first = v6(44, &[fragment([0, 1]), behind].concat());
        let (ip, payload) = decode(&first).unwrap();
        assert_eq!(ip.fragment, Some(FragmentPart { id: 0x1_0002, offset: 0, more: true }));
        assert_eq!((ip.protocol, ip.payload_len, payload), (60, 8, &behind[..]));
        let last = v6(44, &[fragment([5, 0xa8]), behind].concat());
        assert_eq!(
            decode(&last).unwrap().0.fragment,
            Some(FragmentPart { id: 0x1_0002, offset: 1448, more: false })
        );
        // RFC 6946: an atomic fragment is a whole datagram.
        let atomic = v6(44, &[fragment([0, 0]), behind].concat());
        let (ip, payload) = decode(&atomic).unwrap();
        assert_eq!((ip.fragment, ip.protocol, payload), (None, protocol::UDP, &b""[..]));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(version in prop::sample::select(vec![0x45u8, 0x4f, 0x60]), rest in prop::collection::vec(any::<u8>(), 0..120)) {
            let bytes = [&[version], &rest[..]].concat();
            if let Some((ip, payload)) = decode(&bytes) {
                prop_assert!(payload.len() <= ip.payload_len as usize);
            }
        }

        #[test]
        fn no_chain_of_extension_headers_panics(
            headers in prop::collection::vec((prop::sample::select(vec![0u8, 43, 44, 51, 60, 135]), 0u8..3), 0..12),
            cut in 0usize..200,
        ) {
            let mut chain = Vec::new();
            for (next, len) in &headers {
                chain.extend([*next, *len]);
                chain.resize(chain.len() + 6 + usize::from(*len) * 8, 0);
            }
            let bytes = v6(0, &chain);
            decode(&bytes[..bytes.len().min(40 + cut)]);
        }
    }
}
