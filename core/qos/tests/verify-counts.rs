//! Every packet is counted, once, and where it belongs.
#![allow(clippy::unwrap_used)]

mod support;

use carillon_qos::Role;
use carillon_qos::verify::report::{Content, Report};
use support::{call, tcp};

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
