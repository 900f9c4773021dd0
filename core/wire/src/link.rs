//! Link layers of captures: Ethernet with stacked VLAN tags, Linux cooked v1 and v2, raw IP, BSD loopback; and
//! what providers put between them and IP: PPPoE and MPLS. Tunnels inside of IP are not looked into.

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
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;

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
            _ => return Some((header, behind_encapsulation(ethertype, rest)?)),
        }
    }
}

#[cold]
fn behind_encapsulation(ethertype: u16, rest: &[u8]) -> Option<&[u8]> {
    match ethertype {
        0x8864 => behind_pppoe(rest),
        0x8847 | 0x8848 => behind_labels(rest),
        _ => None,
    }
}

/// A session packet (RFC 2516, 4): version, code and length are passed over, then PPP says what it carries.
fn behind_pppoe(rest: &[u8]) -> Option<&[u8]> {
    matches!(be16(rest, 6)?, PPP_IPV4 | PPP_IPV6).then(|| &rest[8..])
}

/// A label stack (RFC 3032, 2.1) says nothing about what it carries; only the version of IP does. A pseudowire's
/// control word starts with 0 (RFC 4928) and leads nowhere.
fn behind_labels(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (label, behind) = rest.split_first_chunk::<4>()?;
        rest = behind;
        if label[2] & 1 != 0 {
            return matches!(rest.first()? >> 4, 4 | 6).then_some(rest);
        }
    }
}

#[inline]
fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PACKET: [u8; 4] = [0x45, 1, 2, 3];

    fn ethernet(types: &[u8]) -> Vec<u8> {
        [&[0xaa; 12][..], types, &PACKET].concat()
    }

    #[test]
    fn numbers_of_link_layers_come_back() {
        for number in 0..=300 {
            let link = LinkType::from_number(number);
            assert_eq!(LinkType::from_number(link.number()), link, "{number}");
        }
    }

    #[test]
    fn ethernet_with_any_stack_of_tags_leads_to_ip() {
        let none = LinkHeader::default();
        let tagged = |id, priority| LinkHeader { vlan: Some((id, priority)), interface: None };
        let cases: [(&[u8], LinkHeader); 4] = [
            (&[0x08, 0x00], none),
            (&[0x86, 0xdd], none),
            (&[0x81, 0x00, 0xa0, 0x07, 0x08, 0x00], tagged(7, 5)),
            (&[0x88, 0xa8, 0x00, 0x64, 0x81, 0x00, 0xcf, 0xff, 0x08, 0x00], tagged(4095, 6)),
        ];
        for (types, header) in cases {
            assert_eq!(decode(LinkType::Ethernet, &ethernet(types)), Some((header, &PACKET[..])));
        }
        assert_eq!(decode(LinkType::Ethernet, &ethernet(&[0x08, 0x06])), None, "ARP");
    }

    #[test]
    fn pppoe_sessions_lead_to_ip_tagged_or_not() {
        let session = |protocol: [u8; 2]| [&[0x11, 0, 0, 1, 0, 6][..], &protocol].concat();
        for (protocol, carries_ip) in
            [([0x00, 0x21], true), ([0x00, 0x57], true), ([0xc0, 0x21], false), ([0x80, 0x21], false)]
        {
            let plain = ethernet(&[&[0x88, 0x64][..], &session(protocol)].concat());
            let found = decode(LinkType::Ethernet, &plain).map(|(_, ip)| ip);
            assert_eq!(found, carries_ip.then_some(&PACKET[..]), "{protocol:02x?}");
        }
        let tagged = ethernet(&[&[0x81, 0, 0xa0, 7, 0x88, 0x64][..], &session([0, 0x21])].concat());
        let header = LinkHeader { vlan: Some((7, 5)), interface: None };
        assert_eq!(decode(LinkType::Ethernet, &tagged), Some((header, &PACKET[..])));
        let discovery = ethernet(&[&[0x88, 0x63][..], &session([0, 0x21])].concat());
        assert_eq!(decode(LinkType::Ethernet, &discovery), None, "no session yet");
    }

    #[test]
    fn labels_lead_to_ip_behind_the_bottom_of_the_stack() {
        let (label, bottom) = ([0, 6, 0x4a, 64], [0, 6, 0x4b, 64]);
        for (ethertype, stack) in
            [([0x88, 0x47], bottom.to_vec()), ([0x88, 0x48], [label, label, bottom].concat())]
        {
            let frame = ethernet(&[&ethertype[..], &stack].concat());
            assert_eq!(decode(LinkType::Ethernet, &frame).map(|(_, ip)| ip), Some(&PACKET[..]), "{stack:?}");
        }
        let pseudowire = ethernet(&[&[0x88, 0x47][..], &bottom, &[0; 4]].concat());
        assert_eq!(decode(LinkType::Ethernet, &pseudowire), None, "a control word");
        let endless = ethernet(&[&[0x88, 0x47][..], &label.repeat(9)].concat());
        assert_eq!(decode(LinkType::Ethernet, &endless), None);
    }

    #[test]
    fn cooked_and_bare_frames_lead_to_ip() {
        let none = LinkHeader::default();
        let cooked1 = [&[0; 14][..], &[0x08, 0x00], &PACKET].concat();
        assert_eq!(decode(LinkType::Cooked1, &cooked1), Some((none, &PACKET[..])));
        let head = [0x81, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0];
        let cooked2 = [&head[..], &[0x60, 0x01, 0x86, 0xdd], &PACKET].concat();
        let header = LinkHeader { vlan: Some((1, 3)), interface: Some(9) };
        assert_eq!(decode(LinkType::Cooked2, &cooked2), Some((header, &PACKET[..])));
        assert_eq!(decode(LinkType::RawIp, &PACKET), Some((none, &PACKET[..])));
        let loopback = [&[2, 0, 0, 0], &PACKET[..]].concat();
        assert_eq!(decode(LinkType::Loopback, &loopback), Some((none, &PACKET[..])));
        assert_eq!(decode(LinkType::Other(147), &PACKET), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(number in 0u16..300, frame in prop::collection::vec(any::<u8>(), 0..60)) {
            decode(LinkType::from_number(number), &frame);
        }

        #[test]
        fn no_encapsulation_panics(
            ethertype in prop::sample::select(vec![0x8864u16, 0x8847, 0x8848]),
            rest in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let frame = [&[0xaa; 12][..], &ethertype.to_be_bytes(), &rest].concat();
            if let Some((_, ip)) = decode(LinkType::Ethernet, &frame) {
                prop_assert!(rest.ends_with(ip));
            }
        }

        #[test]
        fn no_stack_of_tags_panics(tags in 0usize..20, cut in 0usize..80) {
            let frame = ethernet(&[0x81, 0x00, 0x00, 0x01].repeat(tags));
            prop_assert_eq!(decode(LinkType::Ethernet, &frame[..cut.min(frame.len())]), None);
        }
    }
}
