//! Faults of the whole estate.

use std::collections::BTreeSet;

use carillon_faults::carry::{media_from, rtp_from};
use carillon_faults::packet::{everything, media, rtp, v6};
use carillon_faults::scene::{ALICE, BOB, BOB6, TO_V6, call, call6, host, office, phones, video_call};
use carillon_faults::{Capture, Link, Packet, Trial};
use carillon_qos::verify::cause::Cause;

/// Media ports as unmanaged clients take them.
fn random_ports(capture: Capture) -> Capture {
    let senders: BTreeSet<_> =
        capture.packets.iter().filter(|packet| rtp(packet)).map(|packet| packet.src).collect();
    senders
        .into_iter()
        .zip([61022, 53748, 60010, 49152, 57344, 62180])
        .fold(capture, |capture, (host, port)| capture.move_media(host, port))
}

fn bleach(packet: &mut Packet) {
    packet.mark(0);
}

#[test]
fn random_ports_without_marks_mean_that_no_plan_is_in_force() {
    let capture = random_ports(office()).strike(everything, bleach);
    Trial::of(&capture, &phones()).shows(Cause::NoPlanInForce);
}

#[test]
fn no_plan_in_force_is_seen_without_signaling_over_ipv6_too() {
    let capture = random_ports(call6()).without_sip().strike(everything, bleach);
    Trial::of(&capture, &phones()).shows(Cause::NoPlanInForce);
}

#[test]
fn no_plan_in_force_is_seen_on_a_trunk_with_stacked_tags() {
    let capture = random_ports(call()).without_sip().strike(everything, bleach).on(Link::Stacked(9, 110));
    Trial::of(&capture, &phones()).shows(Cause::NoPlanInForce);
}

#[test]
fn planned_ports_without_any_mark_mean_that_marks_are_removed() {
    Trial::of(&office().strike(everything, bleach), &phones()).shows(Cause::PlanMarksRemoved);
}

#[test]
fn removed_marks_are_seen_on_every_link_layer() {
    for link in Capture::links() {
        let capture = call().without_sip().strike(everything, bleach).on(link);
        Trial::of(&capture, &phones()).shows(Cause::PlanMarksRemoved);
    }
}

#[test]
fn removed_marks_are_seen_over_ipv6() {
    Trial::of(&call6().strike(everything, bleach), &phones()).shows(Cause::PlanMarksRemoved);
}

#[test]
fn removed_marks_of_encrypted_media_are_seen() {
    let capture = Capture::real("aiortc").strike(everything, bleach);
    Trial::of(&capture, &phones()).shows(Cause::PlanMarksRemoved);
}

#[test]
fn dscp_46_written_as_the_whole_byte_is_unshifted() {
    let capture = call().strike(media_from(BOB), |packet| packet.traffic_byte = 46);
    Trial::of(&capture, &phones()).shows(Cause::Unshifted);
}

#[test]
fn an_unshifted_mark_is_seen_for_everybody_and_every_class_over_ipv6() {
    let capture = call6().strike(everything, |packet| packet.traffic_byte >>= 2);
    Trial::of(&capture, &phones()).shows(Cause::Unshifted);
}

#[test]
fn an_unshifted_mark_is_seen_without_signaling_on_a_cooked_capture() {
    let capture = call().without_sip().strike(media, |packet| packet.traffic_byte = 46).on(Link::Cooked2);
    Trial::of(&capture, &phones()).shows(Cause::Unshifted);
}

#[test]
fn phones_at_40_beside_clients_at_46_are_two_audio_marks() {
    let capture = office().strike(media_from(host(21)), |packet| packet.mark(40));
    Trial::of(&capture, &phones()).shows(Cause::TwoAudioMarks);
}

#[test]
fn two_audio_marks_are_seen_in_one_call_over_ipv6_without_signaling() {
    let capture = call6().without_sip().strike(media_from(BOB6), |packet| packet.mark(40));
    Trial::of(&capture, &phones()).shows(Cause::TwoAudioMarks);
}

#[test]
fn two_phones_at_40_are_two_audio_marks_on_a_vlan() {
    let phone = |packet: &Packet| [host(21), host(22)].contains(&packet.src) && media(packet);
    let capture = office().strike(phone, |packet| packet.mark(40)).on(Link::Vlan(120));
    Trial::of(&capture, &phones()).shows(Cause::TwoAudioMarks);
}

#[test]
fn two_phones_with_a_mark_of_their_own_are_two_audio_marks() {
    let phone = |packet: &Packet| [host(21), host(22)].contains(&packet.src) && media(packet);
    let capture = office().without_sip().strike(phone, |packet| packet.mark(32));
    let report = Trial::of(&capture, &phones()).shows(Cause::TwoAudioMarks);
    let text = &report.findings[0].text;
    assert!(text.starts_with("10.20.0.21, 10.20.0.22 marks audio CS4 (32), "), "{text}");
}

#[test]
fn every_mark_of_their_own_is_named() {
    let own = |packet: &mut Packet| packet.mark(if packet.src == host(20) { 10 } else { 32 });
    let phone = |packet: &Packet| [host(20), host(22)].contains(&packet.src) && media(packet);
    let report = Trial::of(&office().strike(phone, own), &phones()).shows(Cause::TwoAudioMarks);
    let text = &report.findings[0].text;
    assert!(text.contains("10.20.0.20 marks audio AF11 (10), 10.20.0.22 marks audio CS4 (32), "), "{text}");
}

#[test]
fn marks_with_only_their_precedence_left_are_remarked_to_the_neighbour() {
    let cut = |packet: &mut Packet| packet.mark(packet.dscp() & 0b11_1000);
    let drops_bits = |packet: &Packet| everything(packet) && [46, 34].contains(&packet.dscp());
    Trial::of(&video_call().strike(drops_bits, cut), &phones()).shows(Cause::NeighbourClass);
}

#[test]
fn audio_of_everybody_at_40_is_remarked_to_the_neighbour() {
    let capture = office().without_sip().strike(media, |packet| packet.mark(40)).on(Link::Cooked1);
    Trial::of(&capture, &phones()).shows(Cause::NeighbourClass);
}

#[test]
fn one_sender_with_both_classes_cut_is_remarked_to_the_neighbour_not_a_phone() {
    let own = |packet: &Packet| packet.src == BOB && [46, 34].contains(&packet.dscp());
    let capture = video_call().strike(own, |packet| packet.mark(packet.dscp() & 0b11_1000));
    Trial::of(&capture, &phones()).shows(Cause::NeighbourClass);
}

#[test]
fn a_browser_bundle_cut_to_precedence_is_remarked_to_the_neighbour() {
    let drops_bits = |packet: &Packet| everything(packet) && [46, 34].contains(&packet.dscp());
    let cut = |packet: &mut Packet| packet.mark(packet.dscp() & 0b11_1000);
    let capture = Capture::real("chromium-bundle").strike(drops_bits, cut);
    Trial::of(&capture, &carillon_faults::trial::plan("browser.toml", "")).shows(Cause::NeighbourClass);
}

#[test]
fn unmarked_ipv6_beside_marked_ipv4_is_named() {
    let capture = call().join(call6()).strike(v6_media, bleach);
    Trial::of(&capture, &phones()).shows(Cause::Ipv6Unmarked);
}

#[test]
fn unmarked_ipv6_is_named_with_its_signaling_too() {
    let all_v6 = |packet: &Packet| everything(packet) && v6(packet);
    Trial::of(&call().join(call6()).strike(all_v6, bleach), &phones()).shows(Cause::Ipv6Unmarked);
}

#[test]
fn unmarked_ipv6_is_named_without_signaling_on_a_cooked_capture() {
    let other = Capture::real("linphone").over_v6(&TO_V6);
    let capture = call().join(other).without_sip().strike(v6_media, bleach).on(Link::Cooked2);
    Trial::of(&capture, &phones()).shows(Cause::Ipv6Unmarked);
}

fn v6_media(packet: &Packet) -> bool {
    v6(packet) && media(packet)
}

#[test]
fn one_mark_for_signaling_audio_and_video_is_one_class_for_all() {
    let unlike = |packet: &Packet| everything(packet) && packet.src == ALICE && packet.dscp() != 46;
    let capture = video_call().strike(unlike, |packet| packet.mark(46));
    Trial::of(&capture, &phones()).shows(Cause::OneMarkForAll);
}

#[test]
fn one_foreign_mark_for_all_media_is_one_class_for_all() {
    let capture = video_call().strike(everything, |packet| packet.mark(26));
    Trial::of(&capture, &phones()).shows(Cause::OneMarkForAll);
}

#[test]
fn one_mark_for_all_is_seen_over_ipv6_by_shape() {
    let capture = video_call().over_v6(&TO_V6).without_sip().strike(rtp, |packet| packet.mark(26));
    let capture = capture.drop_some(carillon_faults::packet::rtcp, |_| true);
    Trial::of(&capture, &phones()).shows(Cause::OneMarkForAll);
}

#[test]
fn a_host_that_marks_nothing_at_all_is_no_class_for_all() {
    let capture = office().strike(rtp_from(host(11)), bleach);
    let capture = capture.strike(media_from(host(11)), bleach);
    Trial::of(&capture, &phones()).shows(Cause::SenderUnmarked);
}
