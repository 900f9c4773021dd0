//! Faults on the way.

use std::net::SocketAddr;

use carillon_faults::carry::{Relay, Wrap, media_from, rtp_from};
use carillon_faults::packet::{media, rtp};
use carillon_faults::scene::{ALICE, BOB, BOB6, TO_V6, call, call6, phones, phones_with_relay, video_call};
use carillon_faults::{Capture, Link, Packet, Trial};
use carillon_qos::verify::cause::Cause;

const LATER: i64 = 800_000;

fn bleach(packet: &mut Packet) {
    packet.mark(0);
}

fn relay(wrap: Wrap) -> Relay {
    let server: SocketAddr = "10.20.1.1:3478".parse().unwrap();
    Relay { server, client: ALICE, port: |port| port + 100, wrap, outer: true }
}

#[test]
fn marks_removed_between_two_files_are_named() {
    let (before, after) = (call(), call().seen_on(0, LATER).strike(media, bleach));
    Trial::of_files(vec![before.pcap(), after.pcap()], &phones()).shows(Cause::RemarkedBetweenPoints);
}

#[test]
fn marks_changed_between_two_files_are_named_though_the_clocks_disagree() {
    let before = call6().without_sip();
    let after =
        call6().without_sip().seen_on(0, -40_000_000_000).strike(media_from(BOB6), |packet| packet.mark(40));
    let files = vec![before.pcap(), after.on(Link::Vlan(80)).pcap()];
    Trial::of_files(files, &phones()).shows(Cause::RemarkedBetweenPoints);
}

#[test]
fn marks_removed_between_two_interfaces_of_one_file_are_named() {
    let both = call().join_as_is(call().seen_on(1, LATER).strike(media, bleach));
    Trial::of_files(vec![both.pcapng(2)], &phones()).shows(Cause::RemarkedBetweenPoints);
}

#[test]
fn video_remarked_between_two_points_is_named_for_itself() {
    let video = |packet: &Packet| packet.dscp() == 34;
    let after = video_call().seen_on(0, LATER).strike(video, |packet| packet.mark(0));
    Trial::of_files(vec![video_call().pcap(), after.pcap()], &phones()).shows(Cause::RemarkedBetweenPoints);
}

#[test]
fn two_points_with_the_same_marks_are_clean() {
    Trial::of_files(vec![call().pcap(), call().seen_on(0, LATER).pcap()], &phones()).is_clean();
    let both = call().join_as_is(call().seen_on(1, LATER));
    Trial::of_files(vec![both.pcapng(2)], &phones()).is_clean();
}

#[test]
fn a_relay_that_drops_the_mark_of_channel_data_is_named() {
    let outer = |packet: &Packet| {
        packet.src == relay(Wrap::Channel).server.ip() && packet.dst == BOB && media(packet)
    };
    let capture = call().without_sip().relayed(relay(Wrap::Channel)).strike(outer, bleach);
    Trial::of(&capture, &phones_with_relay()).shows(Cause::RelayDropsMark);
}

#[test]
fn a_relay_that_drops_the_mark_of_indications_is_named() {
    let inner = |packet: &Packet| packet.dst == ALICE && packet.ports().is_some_and(|(src, _)| src == 3478);
    let carries_media = move |packet: &Packet| inner(packet) && packet.payload().len() > 100;
    let capture = call().without_sip().drop_some(carillon_faults::packet::rtcp, |_| true);
    let capture = capture.relayed(relay(Wrap::Indication)).strike(carries_media, bleach);
    Trial::of(&capture, &phones_with_relay()).shows(Cause::RelayDropsMark);
}

#[test]
fn a_relay_that_keeps_marks_is_clean() {
    for wrap in [Wrap::Channel, Wrap::Indication] {
        let capture = call().without_sip().relayed(relay(wrap));
        let report = Trial::of(&capture, &phones_with_relay()).is_clean();
        let inside = report.flows.iter().filter(|flow| flow.relayed.is_some() && flow.ssrc.is_some());
        assert_eq!(inside.count(), 2, "media was found inside its wrapping");
    }
}

#[test]
fn a_mark_that_changes_in_mid_flow_is_named() {
    let capture = call().strike_some(rtp_from(BOB), |n| n >= 120, bleach);
    Trial::of(&capture, &phones()).shows(Cause::MarkChangesMidFlow);
}

#[test]
fn a_mark_that_comes_and_goes_is_named_over_ipv6_without_signaling() {
    let capture = call6().without_sip().strike_some(rtp, |n| n % 40 < 3, |packet| packet.mark(8));
    Trial::of(&capture, &phones()).shows(Cause::MarkChangesMidFlow);
}

#[test]
fn a_mark_lost_inside_a_channel_is_named() {
    let relay = Relay { outer: false, ..relay(Wrap::Channel) };
    let capture = call().without_sip().strike_some(rtp_from(ALICE), |n| n >= 60, bleach).relayed(relay);
    Trial::of(&capture, &phones_with_relay()).shows(Cause::MarkChangesMidFlow);
}

#[test]
fn later_fragments_without_the_mark_are_named() {
    let capture = call().fragmented(rtp).strike(is_later_piece, bleach);
    Trial::of(&capture, &phones()).shows(Cause::FragmentsUnmarked);
}

#[test]
fn later_fragments_without_the_mark_are_named_over_ipv6() {
    let capture = call().over_v6(&TO_V6).fragmented(rtp).strike(is_later_piece, bleach);
    Trial::of(&capture, &phones()).shows(Cause::FragmentsUnmarked);
}

#[test]
fn later_fragments_of_large_pictures_without_the_mark_are_named_on_a_vlan() {
    let large = |packet: &Packet| rtp(packet) && packet.payload().len() > 1000;
    let capture = video_call().fragmented(large).strike(is_later_piece, bleach).on(Link::Vlan(30));
    Trial::of(&capture, &phones()).shows(Cause::FragmentsUnmarked);
}

fn is_later_piece(packet: &Packet) -> bool {
    matches!(packet.body, carillon_faults::Body::Piece { offset, .. } if offset > 0)
}

#[test]
fn a_capture_of_one_side_beside_the_whole_is_clean() {
    let half = call().drop_some(|packet: &Packet| packet.src == BOB, |_| true);
    Trial::of_files(vec![Capture::real("baresip-udp-v4").pcap(), half.pcap()], &phones()).is_clean();
}
