//! Faults of one sender or of one side.

use carillon_faults::carry::{Relay, Wrap, media_from, rtp_from};
use carillon_faults::packet::{Which, everything, from, media};
use carillon_faults::rewrite::address;
use carillon_faults::scene::{
    ALICE, ALICE6, BOB, BOB6, TO_V6, call, call6, host, office, phones, phones_with_relay, video_call,
};
use carillon_faults::{Capture, Link, Packet, Trial};
use carillon_qos::verify::cause::Cause;

fn bleach(packet: &mut Packet) {
    packet.mark(0);
}

/// A port far behind the range.
const AWAY: u16 = 61450;

#[test]
fn one_direction_without_marks_is_the_return_path() {
    Trial::of(&call().strike(media_from(BOB), bleach), &phones()).shows(Cause::ReturnPathUnmarked);
}

#[test]
fn the_other_direction_without_marks_is_the_return_path_too() {
    Trial::of(&call().strike(media_from(ALICE), bleach), &phones()).shows(Cause::ReturnPathUnmarked);
}

#[test]
fn the_return_path_is_named_on_every_link_layer_without_signaling() {
    for link in Capture::links() {
        let capture = call().without_sip().strike(media_from(BOB), bleach).on(link);
        Trial::of(&capture, &phones()).shows(Cause::ReturnPathUnmarked);
    }
}

#[test]
fn the_return_path_is_named_over_ipv6() {
    Trial::of(&call6().strike(media_from(BOB6), bleach), &phones()).shows(Cause::ReturnPathUnmarked);
}

#[test]
fn the_return_path_of_an_estate_is_named() {
    let answers = |packet: &Packet| [host(20), host(21), host(22)].contains(&packet.src) && media(packet);
    Trial::of(&office().strike(answers, bleach), &phones()).shows(Cause::ReturnPathUnmarked);
}

#[test]
fn the_return_path_of_encrypted_media_is_named() {
    let capture = Capture::real("aiortc").strike(from(BOB), bleach);
    Trial::of(&capture, &phones()).shows(Cause::ReturnPathUnmarked);
}

#[test]
fn the_return_path_with_the_signaling_of_that_side_is_still_the_return_path() {
    let capture = call().strike(from_with_ports(BOB), bleach);
    Trial::of(&capture, &phones()).shows(Cause::ReturnPathUnmarked);
}

#[test]
fn the_return_path_from_a_relay_is_named() {
    let relay = Relay {
        server: "10.20.1.1:3478".parse().unwrap(),
        client: ALICE,
        port: |port| port + 100,
        wrap: Wrap::Channel,
        outer: false,
    };
    let inward = |packet: &Packet| packet.src == relay.server.ip();
    let capture = call().without_sip().relayed(relay).strike(inward, bleach);
    Trial::of(&capture, &phones_with_relay()).shows(Cause::ReturnPathUnmarked);
}

#[test]
fn the_return_path_of_a_recorded_relay_is_named() {
    let relay = address("10.20.1.1");
    let capture = Capture::real("turn-relayed").strike(from_with_ports(relay), bleach);
    let plan = carillon_faults::trial::plan("relay.toml", "");
    Trial::of(&capture, &plan).shows(Cause::ReturnPathUnmarked);
}

#[test]
fn one_sender_of_many_without_marks_is_named() {
    let report =
        Trial::of(&office().strike(media_from(host(21)), bleach), &phones()).shows(Cause::SenderUnmarked);
    assert!(report.findings[0].text.contains("10.20.0.21"), "{}", report.findings[0].text);
}

#[test]
fn one_sender_of_many_is_named_on_a_trunk_without_signaling() {
    let capture = office().without_sip().strike(media_from(host(12)), bleach).on(Link::Stacked(5, 33));
    Trial::of(&capture, &phones()).shows(Cause::SenderUnmarked);
}

#[test]
fn one_sender_of_many_is_named_over_ipv6() {
    let other =
        Capture::real("linphone").over_v6(&[("10.20.0.10", "fd00:20::b"), ("10.20.0.20", "fd00:20::15")]);
    let capture = call6().join(other).strike(media_from(BOB6), bleach);
    Trial::of(&capture, &phones()).shows(Cause::SenderUnmarked);
}

#[test]
fn a_device_with_foreign_ports_and_no_marks_is_not_configured() {
    let phone = host(22);
    let capture = office().move_media(phone, AWAY).strike(media_from(phone), bleach);
    let report = Trial::of(&capture, &phones()).shows(Cause::EndpointNotConfigured);
    let text = &report.findings[0].text;
    assert!(text.contains("10.20.0.22") && text.contains("61450"), "{text}");
}

#[test]
fn a_device_that_is_not_configured_is_named_without_signaling() {
    let phone = host(21);
    let capture = office().move_media(phone, AWAY).without_sip().strike(media_from(phone), bleach);
    Trial::of(&capture, &phones()).shows(Cause::EndpointNotConfigured);
}

#[test]
fn in_a_single_call_foreign_ports_tell_a_device_from_a_return_path() {
    let capture = call().move_media(BOB, AWAY).strike(media_from(BOB), bleach);
    Trial::of(&capture, &phones()).shows(Cause::EndpointNotConfigured);
}

#[test]
fn a_device_that_is_not_configured_is_named_over_ipv6() {
    let capture =
        Capture::real("linphone").over_v6(&TO_V6).move_media(BOB6, AWAY).strike(media_from(BOB6), bleach);
    Trial::of(&capture, &phones()).shows(Cause::EndpointNotConfigured);
}

#[test]
fn a_device_with_foreign_ports_and_another_mark_is_not_configured() {
    let capture = call().move_media(BOB, AWAY).strike(media_from(BOB), |packet| packet.mark(26));
    Trial::of(&capture, &phones()).shows(Cause::EndpointNotConfigured);
}

#[test]
fn a_device_that_marks_right_from_foreign_ports_is_not_configured() {
    let capture = office().without_sip().move_media(host(22), AWAY).strike(rtp_from(host(22)), |_| ());
    Trial::of(&capture.on(Link::Cooked2), &phones()).shows(Cause::EndpointNotConfigured);
}

#[test]
fn right_marks_from_ports_that_nobody_planned_are_ports_outside_the_range() {
    let capture = call().move_media(BOB, AWAY).move_media(ALICE, 61004);
    Trial::of(&capture.strike(media, |_| ()), &phones()).shows(Cause::PortOutsideRange);
}

#[test]
fn ports_outside_the_range_are_seen_over_ipv6_without_signaling() {
    let capture = call6().move_media(BOB6, 59000).move_media(ALICE6, 59010).without_sip();
    Trial::of(&capture.strike(media, |_| ()), &phones()).shows(Cause::PortOutsideRange);
}

#[test]
fn a_mark_that_nothing_explains_is_a_wrong_mark() {
    let capture = call().strike(media, |packet| packet.mark(10));
    Trial::of(&capture, &phones()).shows(Cause::WrongMark);
}

#[test]
fn a_wrong_mark_is_seen_over_ipv6_on_raw_ip_without_signaling() {
    let capture = call6().without_sip().strike(media, |packet| packet.mark(44)).on(Link::Raw);
    Trial::of(&capture, &phones()).shows(Cause::WrongMark);
}

#[test]
fn a_wrong_mark_inside_a_channel_is_seen() {
    let relay = Relay {
        server: "10.20.1.1:3478".parse().unwrap(),
        client: ALICE,
        port: |port| port + 100,
        wrap: Wrap::Channel,
        outer: false,
    };
    let capture = call().without_sip().strike(media, |packet| packet.mark(12)).relayed(relay);
    Trial::of(&capture, &phones_with_relay()).shows(Cause::WrongMark);
}

#[test]
fn a_sender_of_video_that_marks_only_its_audio_is_named() {
    let video = |packet: &Packet| packet.src == BOB && packet.ports().is_some_and(|(src, _)| src == 50034);
    let capture = video_call().strike(video, bleach);
    Trial::of(&capture, &phones()).shows(Cause::WrongMark);
}

#[test]
fn the_top_finding_holds_for_half_a_call_picked_up_late() {
    let late = call().drop_some(|packet: &Packet| packet.ports().is_some(), |n| n < 200);
    let capture = late.strike(media_from(BOB), bleach);
    let report = Trial::of(&capture, &phones()).shows(Cause::ReturnPathUnmarked);
    assert_eq!(report.flows.iter().filter(|flow| flow.src == BOB && flow.ssrc.is_some()).count(), 1);
}

fn from_with_ports(host: std::net::IpAddr) -> impl Which {
    move |packet: &Packet| everything(packet) && packet.src == host
}
