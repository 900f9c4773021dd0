//! Which protocol a payload is taken for, and above all which it is not.
#![allow(clippy::unwrap_used)]

use carillon_wire::payload::{Kind, StreamKind, classify, classify_stream};
use carillon_wire::rtp;
use carillon_wire::stun::{Builder, ChannelData, Class, Method, kind};
use proptest::prelude::*;

fn whole(payload: &[u8]) -> Kind {
    classify(payload, payload.len() as u32)
}

fn rtp_packet(payload_type: u8, payload: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = rtp::Builder { payload_type, sequence: 7, timestamp: 160, ssrc: 9, ..Default::default() };
    builder.write(&vec![0x55; payload], &mut bytes);
    bytes
}

fn binding() -> Vec<u8> {
    Builder::new(Class::Request, Method::Binding, [3; 12])
        .u32(kind::PRIORITY, 1)
        .fingerprint()
        .finish()
        .unwrap()
}

/// A record of 40 bytes.
fn dtls_record() -> Vec<u8> {
    let mut bytes = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 27];
    bytes.resize(40, 1);
    bytes
}

fn dns(id: u16, flags: u16) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend(flags.to_be_bytes());
    bytes.extend([0, 1, 0, if flags & 0x8000 == 0 { 0 } else { 2 }, 0, 0, 0, 1]);
    bytes.extend(b"\x03sip\x07example\x03com\0\0\x01\0\x01");
    bytes
}

#[test]
fn media_and_its_companions() {
    for payload_type in 0..128 {
        let expected = if (72..77).contains(&payload_type) { Kind::Other } else { Kind::Rtp };
        let mut packet = rtp_packet(payload_type, 160);
        assert_eq!(whole(&packet), expected, "payload type {payload_type}");
        packet[1] |= 0x80;
        // Read as RTCP's length, the sequence number must not fit by chance.
        packet[2..4].copy_from_slice(&[0xab, 0xcd]);
        assert_eq!(whole(&packet), expected, "payload type {payload_type} with the marker bit");
    }
    assert_eq!(whole(&[0x80, 201, 0, 1, 0, 0, 0, 1]), Kind::Rtcp);
    assert_eq!(whole(&[0x81, 201, 0, 1, 0, 0, 0, 1]), Kind::Other, "one report announced, none there");
    assert_eq!(whole(&[0x80, 201, 0, 2, 0, 0, 0, 1]), Kind::Other, "longer than the datagram");
    assert_eq!(whole(&binding()), Kind::Stun);
    assert_eq!(whole(&dtls_record()), Kind::Dtls);
    let mut frame = Vec::new();
    ChannelData::write(0x4000, &rtp_packet(0, 160), &mut frame).unwrap();
    assert_eq!(whole(&frame), Kind::ChannelData);
    let mut classic = vec![0, 1, 0, 0];
    classic.extend([0xab; 16]);
    assert_eq!(whole(&classic), Kind::ClassicStun);
}

#[test]
fn keep_alives_and_nothing() {
    assert_eq!(whole(b""), Kind::Empty);
    assert_eq!(classify(b"", 12), Kind::Other);
    for bytes in [&b"\r\n"[..], b"\r\n\r\n", b"\0", b"\0\0\0\0", b"\xff", b" "] {
        assert_eq!(whole(bytes), Kind::KeepAlive, "{bytes:?}");
    }
    assert_eq!(whole(b"\0\0\0\0\0"), Kind::Other);
    assert_eq!(classify(b"\0\0\0\0", 40), Kind::Other);
}

#[test]
fn a_quic_short_header_is_not_channel_data() {
    let mut taken = 0;
    for seed in 0..100_000u32 {
        let mut bytes: Vec<u8> =
            (0..60u32).map(|i| (seed.wrapping_mul(2_654_435_761) >> (i % 25)) as u8).collect();
        bytes[0] = 0x40 | bytes[0] & 0x3f;
        taken += u32::from(whole(&bytes) != Kind::Other);
    }
    assert!(taken <= 5, "{taken} of 100 000");
}

#[test]
fn quic_long_headers_by_version() {
    let initial = |version: u32| {
        let mut bytes = vec![0xc3];
        bytes.extend(version.to_be_bytes());
        bytes.extend([8, 1, 2, 3, 4, 5, 6, 7, 8, 0]);
        bytes.resize(1200, 0x77);
        whole(&bytes)
    };
    for version in [1, 0x6b33_43cf, 0xff00_001d, 0x5130_3433, 0x1a2a_3a4a] {
        assert_eq!(initial(version), Kind::Quic(version));
    }
    for version in [2, 0x6b33_43ce, 0x8000_0001] {
        assert_eq!(initial(version), Kind::Other);
    }
    assert_eq!(whole(&[0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), Kind::Quic(0));
}

#[test]
fn names_and_clocks_are_not_media() {
    for id in [0x0001, 0x1603, 0x4001, 0x8000, 0x8008, 0x9060, 0xa0c8, 0xbf00, 0xc001] {
        for flags in [0x0100, 0x0120, 0x8180, 0x8183, 0x8400] {
            assert_eq!(whole(&dns(id, flags)), Kind::Other, "{id:04x} {flags:04x}");
        }
    }
    for first in [0x1b, 0x1c, 0x23, 0x24, 0xe3, 0xdb] {
        let mut clock = vec![first, 2, 6, 0xe9, 0, 0, 4, 1];
        clock.resize(48, 0x31);
        assert_eq!(whole(&clock), Kind::Other, "{first:02x}");
        clock[1..].fill(0);
        assert_eq!(whole(&clock), Kind::Other, "{first:02x} and zeros");
    }
    assert_eq!(whole(b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\r\n"), Kind::Other);
    assert_eq!(whole(b"<30>Nov 21 11:00:00 host daemon: text"), Kind::Other);
}

#[test]
fn dtls_lengths_agree_or_another_record_follows() {
    let one = dtls_record();
    assert_eq!(whole(&[&one[..], &one].concat()), Kind::Dtls);
    assert_eq!(whole(&[&one[..], &[0; 13]].concat()), Kind::Other);
    assert_eq!(whole(&one[..39]), Kind::Other);
    assert_eq!(whole(&[&one[..], &[22]].concat()), Kind::Other);
    let mut unified = vec![0x2e, 0x12, 0x34, 0, 20];
    unified.resize(25, 9);
    assert_eq!(whole(&unified), Kind::Dtls);
    unified.push(9);
    assert_eq!(whole(&unified), Kind::Other);
    unified[0] = 0x3e;
    assert_eq!(whole(&unified), Kind::Other, "with a connection identifier nothing can be checked");
}

#[test]
fn a_cut_payload_is_known_by_its_header() {
    for (bytes, keep, kind) in [
        (rtp_packet(8, 160), 12, Kind::Rtp),
        (binding(), 8, Kind::Stun),
        (dtls_record(), 13, Kind::Dtls),
        (b"INVITE sip:bob@example.com SIP/2.0\r\n\r\n".to_vec(), 12, Kind::Sip),
    ] {
        for keep in keep..=bytes.len() {
            assert_eq!(classify(&bytes[..keep], bytes.len() as u32), kind, "{keep} bytes");
        }
    }
}

#[test]
fn start_lines_of_sip_and_of_others() {
    for line in [
        "SIP/2.0 200 OK\r\n",
        "INVITE sip:bob@example.com SIP/2.0\r\n",
        "\r\n\r\nOPTIONS SIPS:example.com SIP/2.0\r\n",
        "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI@example.com SIP/2.0\r\n",
        "BYE tel:+15550100;phone-context=x SIP/2.0\r\n",
        "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0\r\n",
        "MESSAGE soap.beep://192.0.2.103:3002 SIP/2.0\n",
    ] {
        assert_eq!(whole(line.as_bytes()), Kind::Sip, "{line}");
        assert_eq!(classify_stream(line.as_bytes()), StreamKind::Sip, "{line}");
    }
    for line in [
        " sip:a SIP/2.0\r\n",
        "IN(VITE sip:a SIP/2.0\r\n",
        "HELLO world\r\n",
        "DESCRIBE rtsp://a RTSP/1.0\r\n",
    ] {
        assert_eq!(whole(line.as_bytes()), Kind::Other, "{line}");
    }
}

#[test]
fn streams_by_their_first_bytes() {
    let framed = |inner: &[u8]| [&(inner.len() as u16).to_be_bytes()[..], inner].concat();
    for (bytes, kind) in [
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(), StreamKind::Tls),
        (b"GET /ws HTTP/1.1\r\n".to_vec(), StreamKind::Http),
        (b"OPTIONS * HTTP/1.1\r\n".to_vec(), StreamKind::Http),
        (b"PRI * HTTP/2.0\r\n".to_vec(), StreamKind::Http),
        (binding(), StreamKind::Stun),
        (framed(&rtp_packet(0, 160)), StreamKind::FramedRtp),
        (framed(&rtp_packet(0, 160))[..20].to_vec(), StreamKind::FramedRtp),
        (framed(&binding()), StreamKind::FramedRtp),
        (framed(&dtls_record()), StreamKind::FramedRtp),
        (b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0".to_vec(), StreamKind::Tpkt),
        (
            b"SSH-2.0-OpenSSH_9.6 and some more text, so that sixty-four bytes are there\r\n".to_vec(),
            StreamKind::Other,
        ),
        (framed(&dns(0x8000, 0x0100)), StreamKind::Other),
    ] {
        assert_eq!(classify_stream(&bytes), kind, "{bytes:02x?}");
    }
}

#[test]
fn a_stream_in_pieces_is_undecided_before_it_is_known() {
    for bytes in
        [b"REGISTER sip:example.com SIP/2.0\r\n".to_vec(), binding(), b"\x16\x03\x03\0\x40\x01".to_vec()]
    {
        let known = classify_stream(&bytes);
        let first =
            (0..bytes.len()).find(|len| classify_stream(&bytes[..*len]) != StreamKind::NeedMore).unwrap();
        assert!((first..bytes.len()).all(|len| classify_stream(&bytes[..len]) == known), "{bytes:02x?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_get_a_kind(bytes in prop::collection::vec(any::<u8>(), 0..80), declared in 0u32..2000) {
        classify(&bytes, declared);
        classify_stream(&bytes);
        if whole(&bytes) == Kind::Rtp {
            prop_assert!(rtp::Packet::parse(&bytes, bytes.len() as u32).is_some());
        }
    }
}
