//! Every packet is counted, once, and where it belongs.
#![allow(clippy::unwrap_used)]

mod support;

use carillon_qos::Role;
use carillon_qos::verify::report::{Content, Report, Verdict};
use support::{call, ip, tcp};

const PLAN: &str = "name = \"office\"\n[classes]\naudio = \"EF\"\n[roles.client]\naudio = \"6000-6024\"\n";

#[test]
fn an_outage_in_the_middle_of_a_call_is_loss() {
    let mut packets = long_call(6010, 6000);
    // Something else is heard meanwhile, so that time goes on.
    packets[1000..5000].fill(tcp(40000, 443, 0));
    let rtp = judged(&[packets]).flows[0].rtp.clone().unwrap();
    assert_eq!((rtp.expected, rtp.lost), (6000, 4000));
}

#[test]
fn a_stray_packet_of_the_same_sender_is_no_loss() {
    let mut packets = long_call(6010, 400);
    let mut stray = packets[7].clone();
    stray[30..36].copy_from_slice(&[0x40, 0x09, 0xde, 0xad, 0xbe, 0xef]);
    packets.insert(200, stray);
    let report = judged(&[packets]);
    let (flow, rtp) = (&report.flows[0], report.flows[0].rtp.clone().unwrap());
    assert_eq!((flow.packets, rtp.expected, rtp.lost), (401, 401, 0));
}

#[test]
fn a_sender_that_begins_anew_lost_nothing_and_shows_no_jitter() {
    let mut packets = long_call(6010, 200);
    for packet in &mut packets[100..] {
        packet[30] ^= 0x40;
        packet[32] ^= 0x50;
    }
    let rtp = judged(&[packets]).flows[0].rtp.clone().unwrap();
    assert_eq!((rtp.expected, rtp.lost), (200, 0));
    assert!(rtp.jitter_max_ms.unwrap() < 1.0, "{rtp:?}");
}

#[test]
fn payload_types_that_rtcp_would_collide_with_are_media_all_the_same() {
    for payload_type in [64, 71, 77, 80, 95] {
        let report = judged(&[call(6010, 0, payload_type)]);
        assert_eq!(report.flows[0].content, Content::Rtp, "{payload_type}");
        assert_eq!(report.totals.wrong_mark, 50, "{payload_type}");
    }
}

#[test]
fn questions_for_names_are_no_media_and_senders_with_small_numbers_are() {
    let at_port = |port: u16| {
        let mut packets = call(port, 46, 0);
        packets.iter_mut().for_each(|packet| packet[36..40].fill(0));
        packets
    };
    let report = judged(&[at_port(6010)]);
    assert_eq!((report.flows[0].content, report.flows[0].packets), (Content::Rtp, 50));
    for port in [53, 5353, 5355] {
        let report = judged(&[at_port(port)]);
        assert_eq!((report.flows.len(), report.flows[0].content), (1, Content::Other), "{port}");
    }
}

#[test]
fn every_fragment_counts_with_its_packet_confirmed_or_not() {
    // Two packets make a sender: the first was a candidate when its second piece came. The last one stays alone.
    let packets = call(6010, 46, 0);
    let mut alone = packets[0].clone();
    alone[36] ^= 1;
    let pieces = |(id, packet): (u8, &Vec<u8>)| fragments(id, packet);
    let frames = (0..).zip(packets[..2].iter().chain([&alone])).flat_map(pieces).collect();
    let report = judged(&[frames]);
    let told: Vec<_> = report.flows.iter().map(|flow| (flow.content, flow.packets, flow.frames)).collect();
    assert_eq!(told, [(Content::Rtp, 2, 4), (Content::Unconfirmed, 1, 2)]);
    let marks: Vec<_> = report.flows[0].marks.iter().map(|mark| (mark.dscp.value(), mark.packets)).collect();
    assert_eq!(marks, [(0, 2), (46, 2)]);
}

#[test]
fn tunnels_are_counted_whole_and_in_fragments() {
    let mut fragment = ip(47, 0, &[0; 80]);
    fragment[6] = 0x20;
    let frames = [4, 41, 47, 50, 51, 89].iter().map(|&number| ip(number, 0, &[0; 40])).chain([fragment]);
    let totals = judged(&[call(6010, 46, 0), frames.collect()]).totals;
    assert_eq!((totals.tunneled, totals.undecoded, totals.judged), (5, 0, 50));
}

#[test]
fn fragments_without_the_first_one_are_counted_and_many_leave_a_doubt() {
    let orphans = |count: u8| (0..count).map(|id| fragments(id, &call(6010, 46, 0)[0])[1].clone()).collect();
    let one = judged(&[long_call(6010, 200), orphans(1)]);
    assert_eq!((one.verdict, one.totals.orphan_fragments), (Verdict::Pass, 1));
    let many = judged(&[long_call(6010, 200), orphans(30)]);
    assert_eq!((many.verdict, many.totals.orphan_fragments), (Verdict::Unjudged, 30));
    assert!(many.unjudged[0].starts_with("30 fragments"), "{:?}", many.unjudged);
}

#[test]
fn a_segment_with_several_packets_counts_once() {
    // RFC 4571: ten packets in each of five segments.
    let packets: Vec<_> = call(6010, 46, 0).iter().map(|packet| packet[28..].to_vec()).collect();
    let mut seq = 1u32;
    let segment = |chunk: &[Vec<u8>]| {
        let framed =
            chunk.iter().flat_map(|packet| [&(packet.len() as u16).to_be_bytes()[..], packet].concat());
        let mut segment = tcp(6010, 443, 46);
        segment[24..28].copy_from_slice(&seq.to_be_bytes());
        segment.extend(framed);
        let total = (segment.len() as u16).to_be_bytes();
        segment[2..4].copy_from_slice(&total);
        seq += segment.len() as u32 - 40;
        segment
    };
    let report = judged(&[packets.chunks(10).map(segment).collect()]);
    let media = report.flows.iter().find(|flow| flow.content == Content::Rtp).unwrap();
    assert_eq!((media.packets, media.frames, media.bytes), (50, 5, 5 * (40 + 10 * 174)));
    assert_eq!((report.flows.len(), report.totals.ip, report.totals.judged), (1, 5, 5));
}

fn judged(calls: &[Vec<Vec<u8>>]) -> Report {
    support::judged(PLAN, Role::Client, calls)
}

/// Audio with this many packets; IP and UDP headers are 28 bytes long.
fn long_call(port: u16, packets: u16) -> Vec<Vec<u8>> {
    let first = call(port, 46, 0).remove(0);
    let packet = |seq: u16| {
        let mut packet = first.clone();
        packet[30..32].copy_from_slice(&seq.to_be_bytes());
        packet[32..36].copy_from_slice(&(u32::from(seq) * 160).to_be_bytes());
        packet
    };
    (0..packets).map(packet).collect()
}

/// A packet in two fragments, the second of which lost its mark.
fn fragments(id: u8, packet: &[u8]) -> [Vec<u8>; 2] {
    let piece = |dscp: u8, place: [u8; 2], bytes: &[u8]| {
        let mut piece = ip(17, dscp, bytes);
        piece[4..8].copy_from_slice(&[0, id, place[0], place[1]]);
        piece
    };
    [piece(46, [0x20, 0], &packet[20..100]), piece(0, [0, 10], &packet[100..])]
}
