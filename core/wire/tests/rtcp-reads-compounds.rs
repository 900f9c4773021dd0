//! Compounds as endpoints send them, written by hand from RFC 3550, 3611 and 4585; plain, cut and protected.
#![allow(clippy::unwrap_used)]

use carillon_wire::payload::{Kind, classify};
use carillon_wire::rtcp::{Content, Packet, VoipMetrics, is_compound, packet_type, packets, srtcp};
use proptest::prelude::*;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn packet(number: u8, count: u8, body: &[u8]) -> Vec<u8> {
    assert_eq!(body.len() % 4, 0);
    let mut bytes = vec![0x80 | count, number, 0, (body.len() / 4) as u8];
    bytes.extend(body);
    bytes
}

/// One report block: a quarter lost, three duplicates more than losses.
const BLOCK: [u32; 6] = [0xb0b, 0x40ff_fffd, 0x0001_0005, 33, 0x1111_2222, 65536];

fn sender_report() -> Vec<u8> {
    let info = [0xa11ce, 0xe000_0000, 0x8000_0000, 160, 10, 1600];
    packet(packet_type::SR, 1, &words(&[&info[..], &BLOCK].concat()))
}

fn description() -> Vec<u8> {
    let mut body = words(&[0xa11ce]);
    body.extend(b"\x01\x09alice@pbx\x06\x03abc\0\0\0");
    assert_eq!(body.len() % 4, 3);
    body.push(0);
    body.extend(words(&[0xb0b]));
    body.extend(b"\x01\x01b\0");
    packet(packet_type::SDES, 2, &body)
}

fn voip_metrics() -> Vec<u8> {
    let mut body = words(&[0xa11ce, 0x0400_0002, 1, 2, 0x0700_0008, 0xb0b]);
    body.extend([5, 6, 7, 8, 0, 9, 1, 0, 0, 40, 0, 60, 0xec, 0xba, 127, 16, 93, 127, 42, 41, 0xf0, 0]);
    body.extend([0, 20, 0, 40, 0, 80]);
    packet(packet_type::XR, 0, &body)
}

fn compound() -> Vec<u8> {
    let goodbye = packet(packet_type::BYE, 1, b"\0\x0a\x11\xce\x03end");
    let app = packet(packet_type::APP, 3, b"\0\0\0\x01qosQ\0\0\0\x02");
    let nack = packet(packet_type::RTPFB, 1, &words(&[1, 2, 0x0005_0003]));
    let picture_loss = packet(packet_type::PSFB, 1, &words(&[1, 2]));
    [sender_report(), description(), voip_metrics(), nack, picture_loss, app, goodbye].concat()
}

fn only(bytes: &[u8]) -> Packet<'_> {
    let mut all = packets(bytes, bytes.len() as u32);
    let first = all.next().unwrap();
    assert!(all.next().is_none());
    first
}

#[test]
fn sender_and_receiver_reports() {
    let bytes = sender_report();
    let Content::SenderReport(info, mut blocks) = only(&bytes).content() else { panic!("no sender report") };
    assert_eq!((info.ssrc, info.ntp, info.rtp_timestamp), (0xa11ce, 0xe000_0000_8000_0000, 160));
    assert_eq!((info.packets, info.octets), (10, 1600));
    let block = blocks.next().unwrap();
    assert_eq!((block.ssrc, block.fraction_lost, block.cumulative_lost), (0xb0b, 64, -3));
    assert_eq!((block.highest_sequence, block.jitter), (0x0001_0005, 33));
    assert_eq!((block.last_sr, block.delay_since_sr), (0x1111_2222, 65536));
    assert!(blocks.next().is_none());
    let bytes = packet(packet_type::RR, 2, &words(&[&[7][..], &BLOCK, &BLOCK].concat()));
    let Content::ReceiverReport(7, blocks) = only(&bytes).content() else { panic!("no receiver report") };
    assert_eq!(blocks.count(), 2);
}

#[test]
fn descriptions_of_several_sources() {
    let bytes = description();
    let Content::SourceDescription(chunks) = only(&bytes).content() else { panic!("no description") };
    let items: Vec<_> = chunks.map(|item| (item.ssrc, item.kind, item.value)).collect();
    assert_eq!(items, [(0xa11ce, 1, &b"alice@pbx"[..]), (0xa11ce, 6, b"abc"), (0xb0b, 1, b"b")]);
    assert_eq!(chunks.cname(), Some((0xa11ce, &b"alice@pbx"[..])));
}

#[test]
fn extended_reports_with_voip_metrics_after_another_block() {
    let bytes = voip_metrics();
    let Content::ExtendedReport(0xa11ce, mut blocks) = only(&bytes).content() else { panic!("no XR") };
    let first = blocks.next().unwrap();
    assert_eq!((first.block_type, first.body.len(), first.voip_metrics()), (4, 8, None));
    let expected = VoipMetrics {
        ssrc: 0xb0b,
        loss_rate: 5,
        discard_rate: 6,
        burst_density: 7,
        gap_density: 8,
        burst_duration: 9,
        gap_duration: 256,
        round_trip_delay: 40,
        end_system_delay: 60,
        signal_level: -20,
        noise_level: -70,
        echo_return_loss: 127,
        gmin: 16,
        r_factor: 93,
        external_r_factor: 127,
        mos_listening: 42,
        mos_conversation: 41,
        receiver_config: 0xf0,
        jitter_nominal: 20,
        jitter_maximum: 40,
        jitter_absolute_maximum: 80,
    };
    assert_eq!(blocks.next().unwrap().voip_metrics(), Some(expected));
    assert!(blocks.next().is_none());
}

#[test]
fn a_whole_compound_in_order() {
    let bytes = compound();
    let types: Vec<_> = packets(&bytes, bytes.len() as u32).map(|p| p.packet_type).collect();
    assert_eq!(types, [200, 202, 207, 205, 206, 204, 203]);
    assert!(is_compound(&bytes, bytes.len() as u32));
    assert_eq!(srtcp(&bytes, bytes.len() as u32), None);
    let contents: Vec<_> = packets(&bytes, bytes.len() as u32).map(|p| p.content()).collect();
    let Content::TransportFeedback(nack) = contents[3] else { panic!("no NACK") };
    assert_eq!((nack.format, nack.sender, nack.media, nack.fci), (1, 1, 2, &[0, 5, 0, 3][..]));
    assert!(matches!(contents[4], Content::PayloadFeedback(pli) if pli.fci.is_empty()));
    assert!(matches!(contents[5], Content::App(app) if app.name == *b"qosQ" && app.data == [0, 0, 0, 2]));
    let Content::Bye(bye) = contents[6] else { panic!("no goodbye") };
    assert_eq!((bye.sources().collect::<Vec<_>>(), bye.reason), (vec![0xa11ce], &b"end"[..]));
}

#[test]
fn feedback_alone_is_reduced_size_rtcp() {
    let bytes = packet(packet_type::PSFB, 1, &words(&[1, 2]));
    assert!(is_compound(&bytes, 12));
    assert_eq!(classify(&bytes, 12), Kind::Rtcp);
}

/// AES-CM's two tags, AES-GCM's tag in front of the index, and authentication without encryption.
#[test]
fn srtcp_shows_its_sender_and_index() {
    for (tag, encrypted) in [(10, true), (4, true), (0, true), (10, false), (4, false)] {
        let mut bytes = [sender_report(), description()].concat();
        if encrypted {
            bytes[8..].iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
        bytes.extend((u32::from(encrypted) << 31 | 77).to_be_bytes());
        bytes.extend(vec![0xc3; tag]);
        let len = bytes.len() as u32;
        let found = srtcp(&bytes, len).unwrap();
        assert_eq!((found.packet_type, found.ssrc), (200, 0xa11ce));
        assert_eq!((found.encrypted, found.index), (Some(encrypted), Some(77)), "tag {tag}");
        assert!(!is_compound(&bytes, len));
        assert_eq!(classify(&bytes, len), Kind::Rtcp);
        // Cut before the trailer, what is in the clear is no different from RTCP.
        let cut = srtcp(&bytes[..60], len);
        assert_eq!(cut.map(|found| (found.ssrc, found.index)), encrypted.then_some((0xa11ce, None)));
    }
}

#[test]
fn every_truncation_reads_what_is_there() {
    let whole = compound();
    for len in 0..whole.len() {
        for declared in [len, whole.len()] {
            let read = packets(&whole[..len], declared as u32).inspect(|p| drop(format!("{:?}", walk(p))));
            assert!(read.count() <= 7);
            assert_eq!(is_compound(&whole[..len], whole.len() as u32), len >= 4, "{len}");
            srtcp(&whole[..len], declared as u32);
        }
    }
}

/// Reads everything that a packet offers, and counts it.
fn walk(packet: &Packet<'_>) -> usize {
    match packet.content() {
        Content::SenderReport(_, blocks) | Content::ReceiverReport(_, blocks) => blocks.count(),
        Content::SourceDescription(chunks) => chunks.count(),
        Content::Bye(bye) => bye.sources().count() + bye.reason.len(),
        Content::App(app) => app.data.len(),
        Content::TransportFeedback(feedback) | Content::PayloadFeedback(feedback) => feedback.fci.len(),
        Content::ExtendedReport(_, blocks) => blocks.filter_map(|b| b.voip_metrics()).count(),
        Content::Other => 0,
    }
}

proptest! {
    #[test]
    fn any_body_of_any_type_does_no_harm(
        number in 192u8..224,
        count in 0u8..32,
        body in prop::collection::vec(any::<u32>(), 0..60),
        declared in 0u32..400,
    ) {
        let bytes = packet(number, count, &words(&body));
        for declared in [declared, bytes.len() as u32] {
            prop_assert!(packets(&bytes, declared).map(|p| walk(&p)).sum::<usize>() <= bytes.len());
            srtcp(&bytes, declared);
        }
    }
}
