//! Errors of ICMP and ICMPv6 (RFC 792, 4443): what became of a packet, and the part of it that they quote.
//!
//! Echo and neighbour discovery are not read. A quote may be as short as a header and 8 bytes, longer, or followed by
//! extensions (RFC 4884), which are cut off.

use crate::ip::{self, IpHeader, protocol};

/// An error about a packet of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IcmpError<'a> {
    /// What became of the packet.
    pub reason: Reason,
    /// The start of the packet, as it was where the error was made; `None` if not even its IP header is whole.
    pub quote: Option<Quote<'a>>,
}

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// Its time to live ended on the way.
    TimeExceeded,
    /// It arrived, and nobody listens on its port.
    Port,
    /// A filter on the way refuses it and says so.
    Prohibited,
    /// Somebody on the way knows no route, or the host does not answer on its link.
    Route,
    /// It is longer than a link carries, and may not be cut.
    TooBig,
    /// Anything else: type and code.
    Other(u8, u8),
}

/// The start of the packet that an error is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quote<'a> {
    /// Its IP header, with the traffic byte that it had there.
    pub ip: IpHeader,
    /// Its ports and the length field of UDP, if 6 bytes behind the header are quoted and it is no later fragment.
    pub transport: Option<QuotedTransport>,
    /// What is quoted behind the IP header, transport header included.
    pub behind: &'a [u8],
}

/// The first bytes of a transport header. In TCP the length is the upper half of the sequence number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuotedTransport {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// What UDP says of its length: header and payload.
    pub length: u16,
}

/// Reads a message; `number` is [`protocol::ICMP`] or [`protocol::ICMPV6`]. `None` for what is no error, or too short.
pub fn decode(number: u8, message: &[u8]) -> Option<IcmpError<'_>> {
    let (head, rest) = message.split_first_chunk::<8>()?;
    let [kind, code, _, _, fifth, sixth, ..] = *head;
    // RFC 4884, 4: how long the quote is, in 32-bit words (ICMP) or 64-bit words (ICMPv6); 0 if it is all the rest.
    let length = if number == protocol::ICMP { usize::from(sixth) * 4 } else { usize::from(fifth) * 8 };
    let reason = reason(number, kind, code)?;
    // In these the same bytes say something else: the longest packet, a gateway, a pointer.
    let extensible = !matches!(reason, Reason::TooBig | Reason::Other(..));
    let quoted = if length == 0 || !extensible { rest } else { rest.get(..length).unwrap_or(rest) };
    Some(IcmpError { reason, quote: quote(number, quoted) })
}

/// What a type and code mean; `None` for what is no error.
pub fn reason(number: u8, kind: u8, code: u8) -> Option<Reason> {
    match number {
        protocol::ICMP => reason_v4(kind, code),
        protocol::ICMPV6 => reason_v6(kind, code),
        _ => None,
    }
}

/// RFC 792, 1122, 1812.
fn reason_v4(kind: u8, code: u8) -> Option<Reason> {
    Some(match (kind, code) {
        (11, 0) => Reason::TimeExceeded,
        (3, 3) => Reason::Port,
        (3, 9 | 10 | 13) => Reason::Prohibited,
        (3, 0 | 1 | 5 | 6 | 7 | 8 | 11 | 12) => Reason::Route,
        (3, 4) => Reason::TooBig,
        (3 | 4 | 5 | 11 | 12, _) => Reason::Other(kind, code),
        _ => return None,
    })
}

/// RFC 4443: errors are the types below 128.
fn reason_v6(kind: u8, code: u8) -> Option<Reason> {
    Some(match (kind, code) {
        (3, 0) => Reason::TimeExceeded,
        (1, 4) => Reason::Port,
        (1, 1 | 5 | 6) => Reason::Prohibited,
        (1, 0 | 2 | 3) => Reason::Route,
        (2, _) => Reason::TooBig,
        (1..128, _) => Reason::Other(kind, code),
        _ => return None,
    })
}

fn quote(number: u8, bytes: &[u8]) -> Option<Quote<'_>> {
    let (ip, behind) = ip::decode(bytes)?;
    if ip.src.is_ipv4() != (number == protocol::ICMP) {
        return None;
    }
    let starts = ip.fragment.is_none_or(|fragment| fragment.offset == 0);
    let transport = behind.first_chunk::<6>().filter(|_| starts).map(|first| QuotedTransport {
        src_port: u16::from_be_bytes([first[0], first[1]]),
        dst_port: u16::from_be_bytes([first[2], first[3]]),
        length: u16::from_be_bytes([first[4], first[5]]),
    });
    Some(Quote { ip, transport, behind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ip::Dscp;
    use proptest::prelude::*;

    /// What 192.0.2.1 sent to 198.51.100.2 with EF: UDP 50000 to 50019, 100 bytes long, all of it 120 bytes.
    fn sent_v4() -> Vec<u8> {
        let mut bytes = vec![0x45, 184, 0, 120, 0, 7, 0x40, 0, 1, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2];
        bytes.extend([0xc3, 0x50, 0xc3, 0x63, 0, 100, 0xab, 0xcd]);
        bytes.resize(120, b'x');
        bytes
    }

    fn sent_v6() -> Vec<u8> {
        let mut bytes = vec![0x6b, 0x80, 0, 0, 0, 100, 17, 1];
        bytes.extend([[0x20; 16], [0x30; 16]].concat());
        bytes.extend([0xc3, 0x50, 0xc3, 0x63, 0, 100, 0xab, 0xcd]);
        bytes.resize(140, b'x');
        bytes
    }

    fn message(kind: u8, code: u8, second: [u8; 4], quoted: &[u8]) -> Vec<u8> {
        [&[kind, code, 0, 0][..], &second, quoted].concat()
    }

    #[test]
    fn the_28_bytes_of_the_first_routers_are_enough_for_mark_ports_and_length() {
        let bytes = message(11, 0, [0; 4], &sent_v4()[..28]);
        let error = decode(protocol::ICMP, &bytes).unwrap();
        let quote = error.quote.unwrap();
        assert_eq!((error.reason, quote.ip.dscp(), quote.ip.ttl), (Reason::TimeExceeded, Dscp::EF, 1));
        let transport = quote.transport.unwrap();
        assert_eq!((transport.src_port, transport.dst_port, transport.length), (50000, 50019, 100));
        assert_eq!((quote.ip.dst.to_string().as_str(), quote.behind.len()), ("198.51.100.2", 8));
    }

    #[test]
    fn a_quote_that_ends_in_the_ip_header_is_none_and_one_that_ends_behind_it_has_no_ports() {
        let of = |len| {
            let bytes = message(11, 0, [0; 4], &sent_v4()[..len]);
            decode(protocol::ICMP, &bytes).unwrap().quote.map(|quote| quote.transport.is_some())
        };
        assert_eq!(
            [of(0), of(19), of(20), of(25), of(26)],
            [None, None, Some(false), Some(false), Some(true)]
        );
        assert_eq!(decode(protocol::ICMP, &[11, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn extensions_are_no_part_of_the_quote() {
        // RFC 4884, 5.5 and RFC 4950: 128 bytes of quote, padded, then a stack of MPLS labels.
        let labels = [0x20, 0, 0, 0, 0, 8, 1, 1, 0, 0x1e, 0xad, 1];
        let mut padded = sent_v4();
        padded.resize(128, 0);
        let bytes = message(11, 0, [0, 32, 0, 0], &[&padded[..], &labels].concat());
        assert_eq!(decode(protocol::ICMP, &bytes).unwrap().quote.unwrap().behind, &sent_v4()[20..]);
        // The extension stands right behind what was cut: without the length it would be taken for payload.
        let bytes = message(11, 0, [0, 16, 0, 0], &[&sent_v4()[..64], &labels].concat());
        assert_eq!(decode(protocol::ICMP, &bytes).unwrap().quote.unwrap().behind, &sent_v4()[20..64]);
        let mut padded = sent_v6();
        padded.resize(144, 0);
        let bytes = message(3, 0, [18, 0, 0, 0], &[&padded[..], &labels].concat());
        assert_eq!(decode(protocol::ICMPV6, &bytes).unwrap().quote.unwrap().behind, &sent_v6()[40..]);
        // A length beyond the message is not believed.
        let bytes = message(11, 0, [0, 255, 0, 0], &sent_v4());
        assert_eq!(decode(protocol::ICMP, &bytes).unwrap().quote.unwrap().behind, &sent_v4()[20..]);
    }

    #[test]
    fn the_same_byte_is_the_longest_packet_where_one_was_too_big() {
        let bytes = message(3, 4, [0, 1, 5, 0xdc], &sent_v4());
        let error = decode(protocol::ICMP, &bytes).unwrap();
        assert_eq!((error.reason, error.quote.unwrap().behind.len()), (Reason::TooBig, 100));
    }

    #[test]
    fn every_error_has_its_meaning_and_what_is_none_is_not_read() {
        let v4 = |kind, code| {
            decode(protocol::ICMP, &message(kind, code, [0; 4], &sent_v4())).map(|error| error.reason)
        };
        let v6 = |kind, code| {
            decode(protocol::ICMPV6, &message(kind, code, [0; 4], &sent_v6())).map(|error| error.reason)
        };
        assert_eq!((v4(3, 3), v6(1, 4)), (Some(Reason::Port), Some(Reason::Port)));
        assert_eq!((v4(3, 13), v6(1, 1)), (Some(Reason::Prohibited), Some(Reason::Prohibited)));
        assert_eq!((v4(3, 1), v6(1, 3)), (Some(Reason::Route), Some(Reason::Route)));
        assert_eq!((v4(11, 1), v6(3, 1)), (Some(Reason::Other(11, 1)), Some(Reason::Other(3, 1))));
        assert_eq!((v4(8, 0), v4(0, 0), v6(128, 0), v6(135, 0)), (None, None, None, None));
        assert_eq!(decode(protocol::UDP, &message(3, 3, [0; 4], &sent_v4())), None);
    }

    #[test]
    fn a_later_fragment_quotes_no_ports_and_the_other_version_is_no_quote() {
        let mut fragment = sent_v4();
        fragment[6..8].copy_from_slice(&[0, 5]);
        let bytes = message(11, 0, [0; 4], &fragment);
        assert_eq!(decode(protocol::ICMP, &bytes).unwrap().quote.unwrap().transport, None);
        assert_eq!(decode(protocol::ICMP, &message(11, 0, [0; 4], &sent_v6())).unwrap().quote, None);
    }

    proptest! {
        #[test]
        fn no_message_panics(
            number in prop::sample::select(vec![protocol::ICMP, protocol::ICMPV6]),
            kind in 0u8..13, code in 0u8..8, second: [u8; 4],
            changes in prop::collection::vec((0usize..60, any::<u8>()), 0..6), cut in 0usize..160,
        ) {
            let mut quoted = if number == protocol::ICMP { sent_v4() } else { sent_v6() };
            changes.into_iter().for_each(|(at, byte)| quoted[at] = byte);
            let bytes = message(kind, code, second, &quoted);
            let cut = &bytes[..cut.min(bytes.len())];
            if let Some(quote) = decode(number, cut).and_then(|error| error.quote) {
                prop_assert!(quote.behind.len() + 28 <= cut.len());
            }
        }
    }
}
