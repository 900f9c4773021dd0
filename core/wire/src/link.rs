//! Link layers of captures: Ethernet with stacked VLAN tags, Linux cooked v1 and v2, raw IP, BSD loopback.

/// The link layer of a captured frame, by its number in capture files (tcpdump.org, LINKTYPE_ values).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum LinkType {
    /// 0 and 108: a four-byte address family, then IP.
    Loopback,
    /// 1: Ethernet.
    Ethernet,
    /// 12, 14, 101, 228, 229: no link header at all.
    RawIp,
    /// 113: Linux cooked capture, version 1 (`-i any` of old tcpdump).
    Cooked1,
    /// 276: Linux cooked capture, version 2; carries the interface index.
    Cooked2,
    /// Any other: its frames are counted, not decoded.
    Other(u16),
}

impl LinkType {
    /// From the number in a capture file.
    pub const fn from_number(number: u16) -> LinkType {
        match number {
            0 | 108 => LinkType::Loopback,
            1 => LinkType::Ethernet,
            12 | 14 | 101 | 228 | 229 => LinkType::RawIp,
            113 => LinkType::Cooked1,
            276 => LinkType::Cooked2,
            other => LinkType::Other(other),
        }
    }

    /// The number to write into a capture file.
    pub const fn number(self) -> u16 {
        match self {
            LinkType::Loopback => 0,
            LinkType::Ethernet => 1,
            LinkType::RawIp => 101,
            LinkType::Cooked1 => 113,
            LinkType::Cooked2 => 276,
            LinkType::Other(n) => n,
        }
    }
}

/// What the link header says about a frame that carries IP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkHeader {
    /// 802.1Q tag nearest to the IP header: VLAN number and priority (802.1p).
    pub vlan: Option<(u16, u8)>,
    /// Interface index, known to Linux cooked v2 only.
    pub interface: Option<u32>,
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// Strips the link header; `None` if the frame carries no IP or is cut inside the header.
#[inline]
pub fn decode(link: LinkType, frame: &[u8]) -> Option<(LinkHeader, &[u8])> {
    match link {
        LinkType::Ethernet => after_ethertype(be16(frame, 12)?, &frame[14..], LinkHeader::default()),
        LinkType::RawIp => Some((LinkHeader::default(), frame)),
        LinkType::Loopback => Some((LinkHeader::default(), frame.get(4..)?)),
        LinkType::Cooked1 => after_ethertype(be16(frame, 14)?, &frame[16..], LinkHeader::default()),
        LinkType::Cooked2 => {
            let head: &[u8; 20] = frame.first_chunk()?;
            let interface = Some(u32::from_be_bytes([head[4], head[5], head[6], head[7]]));
            let protocol = u16::from_be_bytes([head[0], head[1]]);
            after_ethertype(protocol, &frame[20..], LinkHeader { vlan: None, interface })
        }
        LinkType::Other(_) => None,
    }
}

/// VLAN tags may be stacked (802.1ad); the innermost counts.
#[inline]
fn after_ethertype(
    mut ethertype: u16,
    mut rest: &[u8],
    mut header: LinkHeader,
) -> Option<(LinkHeader, &[u8])> {
    loop {
        match ethertype {
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => return Some((header, rest)),
            0x8100 | 0x88a8 | 0x9100 => {
                let tag = be16(rest, 0)?;
                header.vlan = Some((tag & 0x0fff, (tag >> 13) as u8));
                ethertype = be16(rest, 2)?;
                rest = &rest[4..];
            }
            _ => return None,
        }
    }
}

#[inline]
fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
