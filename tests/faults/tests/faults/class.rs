//! Faults that mix classes up.

use carillon_faults::carry::{media_from, rtp_from};
use carillon_faults::packet::{both, everything, from_ports, media, rtcp, rtp, sip};
use carillon_faults::scene::{ALICE, BOB, TO_V6, VIDEO, call, call6, office, phones, video_call};
use carillon_faults::video::Video;
use carillon_faults::{Capture, Link, Packet, Trial};
use carillon_qos::verify::cause::Cause;
use carillon_qos::verify::report::Evidence;

fn bleach(packet: &mut Packet) {
    packet.mark(0);
}

#[test]
fn video_with_the_audio_mark_is_named_by_its_description() {
    let capture = call().with_video(Video { dscp: 46, struck: true, ..VIDEO });
    let report = Trial::of(&capture, &phones()).shows(Cause::VideoInAudioClass);
    let flow = report.findings[0].flow.unwrap();
    assert_eq!(report.flows[flow].class_by, Some(Evidence::Sdp));
}

#[test]
fn video_with_the_audio_mark_is_named_by_its_port() {
    let capture = call().with_video(Video { dscp: 46, struck: true, ..VIDEO }).without_sip();
    Trial::of(&capture, &phones()).shows(Cause::VideoInAudioClass);
}

#[test]
fn video_from_audio_ports_with_the_audio_mark_is_named_by_its_shape() {
    let ports = [(ALICE, 50008), (BOB, 50018)];
    let capture = call().with_video(Video { ports, dscp: 46, told: false, struck: true }).without_sip();
    let report = Trial::of(&capture, &phones()).shows(Cause::VideoInAudioClass);
    assert!(report.findings[0].text.contains("by shape"), "{}", report.findings[0].text);
}

#[test]
fn video_from_audio_ports_with_its_own_mark_is_named_over_ipv6() {
    let ports = [(ALICE, 50008), (BOB, 50018)];
    let capture = call().with_video(Video { ports, dscp: 34, told: true, struck: true }).over_v6(&TO_V6);
    Trial::of(&capture, &phones()).shows(Cause::VideoInAudioClass);
}

#[test]
fn video_of_a_browser_with_the_audio_mark_is_named() {
    let video = |packet: &Packet| rtp(packet) && packet.dscp() == 34;
    let capture = Capture::real("chromium-bundle").strike(video, |packet| packet.mark(46));
    Trial::of(&capture, &carillon_faults::trial::plan("browser.toml", "")).shows(Cause::VideoInAudioClass);
}

#[test]
fn video_of_a_streamer_with_the_audio_mark_is_named_on_a_vlan() {
    let video = from_ports(50020, 50020);
    let capture = Capture::real("ffmpeg-stream").strike(video, |packet| packet.mark(46)).on(Link::Vlan(4));
    Trial::of(&capture, &phones()).shows(Cause::VideoInAudioClass);
}

#[test]
fn audio_with_the_video_mark_is_named() {
    let capture = call().strike(media_from(BOB), |packet| packet.mark(34));
    Trial::of(&capture, &phones()).shows(Cause::AudioInOtherClass);
}

#[test]
fn audio_with_the_signaling_mark_is_named_over_ipv6_without_signaling() {
    let capture = call6().without_sip().strike(media, |packet| packet.mark(24));
    Trial::of(&capture, &phones()).shows(Cause::AudioInOtherClass);
}

#[test]
fn the_first_port_after_the_range_is_one_too_many() {
    let capture = call().move_media(BOB, 50020).strike(rtp_from(BOB), |_| ());
    let report = Trial::of(&capture, &phones()).shows(Cause::RangeExceededByOne);
    assert!(report.findings[0].text.contains("50020"), "{}", report.findings[0].text);
}

#[test]
fn the_first_port_after_the_range_is_one_too_many_though_a_policy_left_it_unmarked() {
    let capture = office().move_media(BOB, 50020).strike(rtp_from(BOB), bleach);
    Trial::of(&capture, &phones()).shows(Cause::RangeExceededByOne);
}

#[test]
fn the_first_port_after_the_video_range_is_one_too_many_without_signaling() {
    let ports = [(ALICE, 50024), (BOB, 50040)];
    let capture = call().with_video(Video { ports, ..VIDEO }).without_sip();
    let capture = capture.strike(from_ports(50040, 50040), |_| ());
    Trial::of(&capture, &phones()).shows(Cause::RangeExceededByOne);
}

#[test]
fn unmarked_rtcp_beside_marked_rtp_is_named() {
    Trial::of(&call().strike(rtcp, bleach), &phones()).shows(Cause::RtcpUnmarked);
}

#[test]
fn unmarked_rtcp_is_named_over_ipv6_without_signaling() {
    Trial::of(&call6().without_sip().strike(rtcp, bleach), &phones()).shows(Cause::RtcpUnmarked);
}

#[test]
fn unmarked_rtcp_of_one_side_is_named_on_a_cooked_capture() {
    let own = both(rtcp, carillon_faults::packet::from(BOB));
    Trial::of(&call().strike(own, bleach).on(Link::Cooked1), &phones()).shows(Cause::RtcpUnmarked);
}

#[test]
fn unmarked_reports_of_a_browser_are_named() {
    let capture = Capture::real("chromium-reports-unmarked");
    let capture = capture.strike(|packet: &Packet| rtcp(packet) && packet.dscp() == 0, |_| ());
    Trial::of(&capture, &carillon_faults::trial::plan("browser.toml", "")).shows(Cause::RtcpUnmarked);
}

#[test]
fn unmarked_signaling_over_udp_is_named() {
    Trial::of(&call().strike(sip, bleach), &phones()).shows(Cause::SignalingUnmarked);
}

#[test]
fn unmarked_signaling_over_tcp_is_named() {
    Trial::of(&Capture::real("baresip-tcp").strike(sip, bleach), &phones()).shows(Cause::SignalingUnmarked);
}

#[test]
fn unmarked_signaling_over_ipv6_is_named_on_a_vlan() {
    Trial::of(&call6().strike(sip, bleach).on(Link::Vlan(7)), &phones()).shows(Cause::SignalingUnmarked);
}

#[test]
fn one_policy_for_a_whole_application_is_named_with_audio_alone() {
    // Signaling and audio are all there is; both carry the audio mark.
    let capture = call().strike(sip, |packet| packet.mark(46));
    Trial::of(&capture, &phones()).shows(Cause::OneMarkForAll);
}

#[test]
fn video_marked_as_planned_beside_audio_is_no_confusion() {
    Trial::of(&video_call(), &phones()).is_clean();
    Trial::of(&video_call().without_sip(), &phones()).is_clean();
    assert!(
        video_call().packets.iter().filter(|packet| everything(packet)).any(|packet| packet.dscp() == 34)
    );
}
