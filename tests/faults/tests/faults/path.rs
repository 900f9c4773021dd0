//! Faults on the way.

use std::net::SocketAddr;

use carillon_faults::carry::{Relay, Wrap, media_from, rtp_from};
use carillon_faults::packet::{everything, media, rtp};
use carillon_faults::rewrite::captures;
use carillon_faults::scene::{
    ALICE, BOB, BOB6, TO_V6, call, call6, host, phones, phones_with_relay, video_call,
};
use carillon_faults::trial::told;
use carillon_faults::{Capture, Link, Packet, Trial};
use carillon_qos::Plan;
use carillon_qos::verify::cause::Cause;
use carillon_wire::stun::{Builder, Class, Method, kind};

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

/// What a relay answers to a client that it sees at this address.
fn allocated(client: SocketAddr, seen: SocketAddr, relayed: u16) -> Packet {
    let server = relay(Wrap::Channel).server;
    let answer = Builder::new(Class::Success, Method::Allocate, [relayed as u8; 12])
        .xor_address(kind::XOR_RELAYED_ADDRESS, SocketAddr::new(server.ip(), relayed))
        .xor_address(kind::XOR_MAPPED_ADDRESS, seen);
    Packet::udp(call().packets[0].time, server, client, 46, answer.finish().unwrap())
}

/// A call over a relay that sees alice at her address, and bob at this one.
fn relayed_call(wrap: Wrap, bob: &str) -> Capture {
    let capture = call().without_sip();
    let (alice, own) = ((ALICE, capture.media_port(ALICE)), (BOB, capture.media_port(BOB)));
    let mut capture = capture.relayed(relay(wrap));
    let seen = SocketAddr::new(bob.parse().unwrap(), own.1);
    capture.packets.push(allocated(alice.into(), alice.into(), alice.1 + 100));
    capture.packets.push(allocated(own.into(), seen, 59_000));
    capture.in_time()
}

#[test]
fn media_over_a_relay_between_ends_without_a_nat_is_advised_against() {
    for wrap in [Wrap::Channel, Wrap::Indication] {
        let capture = relayed_call(wrap, &BOB.to_string()).strike(everything, |_| ());
        Trial::of(&capture, &phones_with_relay()).shows(Cause::AvoidableRelaying);
    }
}

#[test]
fn media_over_a_relay_for_a_nat_is_clean() {
    Trial::of(&relayed_call(Wrap::Channel, "198.51.100.9"), &phones_with_relay()).is_clean();
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

/// What a file of RTP looks like when it is played: one sender, and nothing else.
fn played() -> Capture {
    call().without_sip().drop_some(|packet: &Packet| !rtp_from(ALICE)(packet), |_| true)
}

/// As many calls at once play the same file.
fn played_by(calls: u16) -> Capture {
    let mut capture = Capture::empty();
    for call in 0..calls {
        let moved = played().change(rtp, |packet| {
            packet.time += i64::from(call) * 10_000;
            if let Some((src, dst)) = packet.ports_mut() {
                (*src, *dst) = (*src + 2 * call, *dst + 2 * call);
            }
        });
        capture = capture.join_as_is(moved);
    }
    capture
}

#[test]
fn two_calls_an_hour_apart_that_play_the_same_file_are_no_relay() {
    let onwards = played().strike(rtp, |packet| {
        (packet.src, packet.dst) = (BOB, host(30));
        packet.time += 3_600_000_000_000;
        packet.mark(0);
    });
    Trial::of(&played().join_as_is(onwards), &phones()).shows(Cause::SenderUnmarked);
}

#[test]
fn both_ends_playing_the_same_file_are_no_relay() {
    for calls in [1, 3] {
        let back = played_by(calls).strike(rtp, |packet| {
            (packet.src, packet.dst) = (BOB, ALICE);
            packet.time += 5_000_000;
            if let Some((src, dst)) = packet.ports_mut() {
                (*src, *dst) = (*dst, *src);
            }
            packet.mark(0);
        });
        Trial::of(&played_by(calls).join_as_is(back), &phones()).shows(Cause::ReturnPathUnmarked);
    }
}

#[test]
fn a_relay_of_calls_that_play_the_same_file_is_told_each_packet_once() {
    let onwards = played_by(3).strike(rtp, |packet| {
        (packet.src, packet.dst) = (BOB, host(30));
        packet.time += 1_000_000;
        packet.mark(0);
    });
    let sent = onwards.packets.len();
    let report = Trial::of(&played_by(3).join_as_is(onwards), &phones()).shows(Cause::RelayDropsMark);
    let text = &report.findings[0].text;
    assert!(text.contains(&format!(" {sent} packets of 3 flows ")), "{sent}: {text}");
}

#[test]
fn calls_that_play_the_same_file_are_told_apart_at_two_points_whose_clocks_disagree() {
    let sent = played_by(40);
    let after = played_by(40).seen_on(0, 7_000_000_000_000);
    let one = |packet: &Packet| packet.ports().is_some_and(|(src, _)| src.is_multiple_of(4));
    let after = after.strike(one, bleach);
    let report = Trial::of_files(vec![sent.pcap(), after.pcap()], &wide()).judged();
    let top = &report.findings[0];
    assert_eq!(top.cause, Cause::RemarkedBetweenPoints, "{}", told(&report));
    let struck = after.packets.iter().filter(|packet| packet.struck).count();
    assert!(top.text.contains(&format!(" {struck} packets of 20 flows ")), "{struck}: {}", top.text);
}

/// A plan with room for forty calls on one host.
fn wide() -> Plan {
    let text = std::fs::read_to_string(captures().join("plans/phones.toml")).unwrap();
    let text = text.replace("50000-50019", "50000-50199").replace("50020-50039", "50200-50239");
    Plan::from_toml(&text).unwrap()
}

#[test]
fn a_capture_that_shows_each_packet_before_and_behind_a_bridge_names_the_bridge() {
    let behind = |mut packet: Packet| {
        packet.time += 40_000;
        packet.mark(0);
        packet.struck = true;
        packet
    };
    let twice = |packet: Packet| match everything(&packet) {
        true => vec![packet.clone(), behind(packet)],
        false => vec![packet],
    };
    for link in [Link::Cooked1, Link::Ethernet] {
        let capture = call().flat_map(twice).in_time().on(link);
        let report = Trial::of(&capture, &phones()).shows(Cause::RemarkedBetweenPoints);
        let text = &report.findings[0].text;
        assert!(text.starts_with("each packet was seen twice at this point, once as "), "{text}");
    }
}

#[test]
fn a_capture_that_shows_each_packet_twice_with_one_mark_is_clean() {
    let again = |packet: Packet| vec![packet.clone(), Packet { time: packet.time + 40_000, ..packet }];
    let twice = |packet: Packet| if media(&packet) { again(packet) } else { vec![packet] };
    Trial::of(&call().flat_map(twice).in_time().on(Link::Cooked1), &phones()).is_clean();
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
