//! Faults of the capture, of the network, of foreign traffic.

use carillon_faults::carry::rtp_from;
use carillon_faults::packet::{both, everything, from, media, rtp};
use carillon_faults::scene::{ALICE, BOB, BOB6, TO_V6, call, call6, office, phones};
use carillon_faults::trial::told;
use carillon_faults::{Capture, Link, Packet, Trial};
use carillon_qos::verify::Limits;
use carillon_qos::verify::cause::Cause;
use carillon_qos::verify::report::Verdict;

#[test]
fn a_recorded_capture_from_before_segmentation_is_named() {
    let capture = Capture::real("gso").strike(rtp, |_| ());
    let report = Trial::of(&capture, &phones()).shows(Cause::CapturedBeforeSegmentation);
    assert!(report.findings[0].fix.contains("ethtool -K"), "{}", report.findings[0].fix);
    assert!(
        report
            .flows
            .iter()
            .filter_map(|flow| flow.rtp.as_ref())
            .all(|rtp| !rtp.loss_judged && rtp.mos.is_none())
    );
}

#[test]
fn packets_in_batches_of_two_are_before_segmentation_over_ipv6() {
    let capture = call6().without_sip().before_segmentation(rtp_from(BOB6), 2);
    Trial::of(&capture, &phones()).shows(Cause::CapturedBeforeSegmentation);
}

#[test]
fn large_batches_on_a_cooked_capture_are_before_segmentation() {
    let capture = call().before_segmentation(rtp, 12).on(Link::Cooked1);
    Trial::of(&capture, &phones()).shows(Cause::CapturedBeforeSegmentation);
}

#[test]
fn a_wrong_mark_fails_the_capture_though_loss_can_not_be_judged() {
    let capture = call().before_segmentation(rtp, 5).change(both(media, from(BOB)), |packet| packet.mark(0));
    let report = Trial::of(&capture, &phones()).judged();
    assert_eq!(report.verdict, Verdict::Fail, "{}", told(&report));
    let causes: Vec<_> = report.findings.iter().map(|finding| finding.cause).collect();
    assert_eq!(causes, [Cause::ReturnPathUnmarked, Cause::CapturedBeforeSegmentation], "{}", told(&report));
}

#[test]
fn foreign_traffic_with_the_audio_mark_is_named() {
    let capture = call().with_stream("10.20.0.77:443", "10.20.0.10:61022", 46, true);
    let report = Trial::of(&capture, &phones()).shows(Cause::RogueMarked);
    assert!(report.findings[0].text.contains("10.20.0.77"), "{}", report.findings[0].text);
}

#[test]
fn foreign_traffic_with_the_video_mark_is_named_over_ipv6_on_a_vlan() {
    let capture = call6().without_sip().with_stream("[fd00:20::99]:443", "[fd00:20::a]:55555", 34, true);
    Trial::of(&capture.on(Link::Vlan(2)), &phones()).shows(Cause::RogueMarked);
}

#[test]
fn fax_that_a_call_announces_is_ours() {
    let announced = call().text_from(ALICE, "m=audio ", "m=image 50300 udptl t38\r\nm=audio ");
    let fax = |capture: Capture| capture.with_stream("10.20.0.20:50302", "10.20.0.10:50300", 46, true);
    Trial::of(&fax(announced), &phones()).is_clean();
    Trial::of(&fax(call()), &phones()).shows(Cause::RogueMarked);
}

#[test]
fn congestion_bits_beside_packets_that_can_not_carry_them_are_abuse() {
    let capture = call().strike_some(rtp_from(BOB), |n| n % 3 == 0, |packet| packet.traffic_byte |= 3);
    Trial::of(&capture, &phones()).shows(Cause::EcnAbused);
}

#[test]
fn ect_1_on_all_media_is_abuse_over_ipv6() {
    let capture = call6().without_sip().strike(media, |packet| packet.traffic_byte |= 1);
    Trial::of(&capture, &phones()).shows(Cause::EcnAbused);
}

#[test]
fn ect_1_on_all_media_is_abuse_on_raw_ip() {
    let capture = call().strike(rtp, |packet| packet.traffic_byte |= 1).on(Link::Raw);
    Trial::of(&capture, &phones()).shows(Cause::EcnAbused);
}

#[test]
fn a_router_that_reports_congestion_on_capable_media_is_no_abuse() {
    let capture = call().change(rtp, |packet| packet.traffic_byte |= 2);
    let capture =
        capture.change(rtp_from(BOB), |packet| packet.traffic_byte |= u8::from(packet.time % 7 == 0));
    Trial::of(&capture, &phones()).is_clean();
}

#[test]
fn a_switch_map_with_audio_and_video_in_one_queue_is_named() {
    Trial::of(&call(), &phones()).with_queues("EF 1\nAF41 1\nCS3 2").shows(Cause::SharedQueue);
}

#[test]
fn a_switch_map_with_a_queue_per_class_is_clean() {
    Trial::of(&call(), &phones()).with_queues("EF 3\nAF41 2\nCS3 1").is_clean();
}

#[test]
fn loss_under_right_marks_is_not_blamed_on_marks() {
    let capture = call().drop_some(rtp_from(BOB), |n| n % 20 == 9).strike(rtp_from(BOB), |_| ());
    let missing = call().packets.len() - capture.packets.len();
    let report = Trial::of(&capture, &phones()).shows(Cause::LossWithoutMarkFault);
    assert_eq!(lost_of(&report, BOB), missing as i64);
}

#[test]
fn loss_under_right_marks_is_seen_over_ipv6_without_signaling() {
    let capture = call6().without_sip().drop_some(rtp, |n| n % 9 == 4).strike(rtp, |_| ());
    Trial::of(&capture, &phones()).shows(Cause::LossWithoutMarkFault);
}

#[test]
fn duplicates_and_reordering_hide_no_loss_and_make_none() {
    let mut capture = call();
    let places: Vec<usize> =
        (0..capture.packets.len()).filter(|&n| rtp_from(BOB)(&capture.packets[n])).collect();
    // Every tenth packet comes after its successor; every fifteenth comes twice.
    for pair in places.chunks(10).filter(|chunk| chunk.len() == 10) {
        let (a, b) = (pair[4], pair[5]);
        let times = (capture.packets[a].time, capture.packets[b].time);
        (capture.packets[a].time, capture.packets[b].time) = (times.1, times.0);
    }
    let mut n = 0;
    let capture = capture.in_time().flat_map(|packet| {
        n += usize::from(rtp_from(BOB)(&packet));
        let again = Packet { time: packet.time + 1000, ..packet.clone() };
        if rtp_from(BOB)(&packet) && n % 15 == 0 { vec![packet, again] } else { vec![packet] }
    });
    let report = Trial::of(&capture, &phones()).is_clean();
    let flow = report.flows.iter().find(|flow| flow.src == BOB && flow.ssrc.is_some()).unwrap();
    let rtp = flow.rtp.as_ref().unwrap();
    assert_eq!((rtp.lost, rtp.reordered, rtp.duplicates), (0, 25, 16));
}

#[test]
fn media_inside_tcp_is_a_fallback() {
    let capture = call().framed(media).strike(everything, |_| ());
    Trial::of(&capture, &phones()).shows(Cause::TcpFallback);
}

#[test]
fn media_inside_tcp_is_a_fallback_over_ipv6_without_signaling() {
    let capture = call().without_sip().over_v6(&TO_V6).framed(media).strike(everything, |_| ());
    Trial::of(&capture.on(Link::Cooked2), &phones()).shows(Cause::TcpFallback);
}

#[test]
fn media_inside_tcp_without_marks_is_judged_like_any_other() {
    let capture = call().without_sip().strike(both(media, from(BOB)), |packet| packet.mark(0)).framed(media);
    let report = Trial::of(&capture, &phones()).beside(Cause::TcpFallback).shows(Cause::ReturnPathUnmarked);
    assert_eq!(report.findings[1].cause, Cause::TcpFallback);
}

#[test]
fn a_file_that_ends_in_the_middle_of_a_packet_is_judged_until_there() {
    let mut file = call().pcap();
    file.bytes.truncate(file.bytes.len() - 100);
    let report = Trial::of_files(vec![file], &phones()).shows(Cause::CaptureTruncated);
    assert!(report.totals.judged > 400);
}

#[test]
fn a_cut_file_with_a_fault_still_names_the_fault_first() {
    let mut file = call().change(both(media, from(ALICE)), |packet| packet.mark(0)).pcapng(1);
    file.bytes.truncate(file.bytes.len() - 9);
    let trial = Trial::of_files(vec![file], &phones()).beside(Cause::CaptureTruncated);
    trial.shows(Cause::ReturnPathUnmarked);
}

#[test]
fn a_record_with_a_lying_length_ends_the_file_with_an_error() {
    let mut file = call().pcap();
    let lie = file.bytes.len();
    file.bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3]);
    let report = Trial::of_files(vec![file], &phones()).shows(Cause::CaptureTruncated);
    assert!(report.totals.judged > 400, "what lies before byte {lie} was judged");
}

#[test]
fn more_flows_than_are_kept_are_told() {
    let scan = (0..3000u16).fold(office(), |mut capture, n| {
        let ends = (std::net::SocketAddr::new(BOB, 2000 + n), "10.99.0.1:9".parse().unwrap());
        let time = capture.packets[usize::from(n) % 400].time;
        capture.packets.push(Packet::udp(time, ends.0, ends.1, 0, vec![7; 30]));
        capture
    });
    let trial = Trial::of(&scan.in_time(), &phones()).within(Limits { flows: 320, ..Limits::default() });
    let report = trial.shows(Cause::LimitReached);
    assert!(report.flows.len() <= 320 + 64 && report.totals.beyond_limit > 2000);
    assert_eq!(
        report.flows.iter().filter(|flow| flow.ssrc.is_some()).count(),
        6,
        "every call is still judged"
    );
}

fn lost_of(report: &carillon_qos::verify::report::Report, host: std::net::IpAddr) -> i64 {
    report.flows.iter().filter(|flow| flow.src == host).filter_map(|flow| Some(flow.rtp.as_ref()?.lost)).sum()
}
