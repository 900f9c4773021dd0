//! What is no fault: clean captures, however they are carried.

use carillon_faults::packet::{everything, media, rtp};
use carillon_faults::rewrite::captures;
use carillon_faults::scene::{TO_V6, call, call6, office, phones};
use carillon_faults::trial::plan;
use carillon_faults::{Capture, Trial};

/// Name, plan, programs and whether it is clean, of every capture in the repository.
fn index() -> Vec<(String, String, Vec<String>, bool)> {
    let text = std::fs::read_to_string(captures().join("index.json")).unwrap();
    let entries: serde_json::Value = serde_json::from_str(&text).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let one = |entry: &serde_json::Value| {
        let programs = entry["programs"].as_array().unwrap().iter().map(|program| text(&program["name"]));
        (text(&entry["name"]), text(&entry["plan"]), programs.collect(), entry["clean"].as_bool().unwrap())
    };
    entries.as_array().unwrap().iter().map(one).collect()
}

#[test]
fn clean_captures_of_at_least_five_programs_have_no_finding() {
    let mut programs = std::collections::BTreeSet::new();
    for (name, under, made_by, _) in index().into_iter().filter(|(.., clean)| *clean) {
        println!("{name} under {under}");
        let bytes = std::fs::read(captures().join(format!("{name}.pcap"))).unwrap();
        let file = carillon_faults::rewrite::File { bytes, struck: Default::default() };
        Trial::of_files(vec![file], &plan(&under, "")).is_clean();
        programs.extend(made_by);
    }
    assert!(programs.len() >= 5, "{programs:?}");
}

#[test]
fn a_capture_written_anew_is_judged_as_before() {
    for (name, under, _, clean) in index() {
        let bytes = std::fs::read(captures().join(format!("{name}.pcap"))).unwrap();
        let file = carillon_faults::rewrite::File { bytes, struck: Default::default() };
        let (old, new) = (
            Trial::of_files(vec![file], &plan(&under, "")),
            Trial::of(&Capture::real(&name), &plan(&under, "")),
        );
        let causes =
            |trial: &Trial| trial.judged().findings.iter().map(|finding| finding.cause).collect::<Vec<_>>();
        assert_eq!(causes(&old), causes(&new), "{name}");
        assert_eq!(causes(&new).is_empty(), clean, "{name}");
    }
}

#[test]
fn a_clean_call_is_clean_on_every_link_layer() {
    for link in Capture::links() {
        Trial::of(&office().on(link), &phones()).is_clean();
        Trial::of(&call6().on(link), &phones()).is_clean();
    }
}

#[test]
fn a_clean_call_is_clean_without_signaling() {
    Trial::of(&office().without_sip(), &phones()).is_clean();
    Trial::of(&call6().without_sip(), &phones()).is_clean();
}

#[test]
fn a_clean_call_is_clean_when_carried_over_ipv6() {
    Trial::of(&call().over_v6(&TO_V6), &phones()).is_clean();
    Trial::of(&Capture::real("linphone").over_v6(&TO_V6), &phones()).is_clean();
}

#[test]
fn fragments_with_equal_marks_are_clean() {
    Trial::of(&call().fragmented(rtp), &phones()).is_clean();
    Trial::of(&call().over_v6(&TO_V6).fragmented(rtp), &phones()).is_clean();
}

#[test]
fn icmp_errors_that_quote_media_are_not_judged() {
    let report = Trial::of(&call().with_icmp_errors(), &phones()).is_clean();
    assert!(report.totals.icmp > 40);
    let report = Trial::of(&call6().with_icmp_errors(), &phones()).is_clean();
    assert!(report.totals.icmp > 30);
}

#[test]
fn icmp_errors_that_quote_wrong_marks_are_not_judged_either() {
    // The quoted packet was re-marked on its way, behind this capture point; only outer headers count.
    let capture = call().flat_map(|packet| {
        let mut bleached = Capture::empty();
        bleached.packets.push(packet.clone());
        let bleached = bleached.change(media, |packet| packet.mark(0)).with_one_icmp_error();
        [vec![packet], bleached].concat()
    });
    Trial::of(&capture, &phones()).is_clean();
}

#[test]
fn checksums_that_a_card_fills_in_later_are_no_fault() {
    let mut capture = office();
    capture.sums = false;
    Trial::of(&capture, &phones()).is_clean();
}

#[test]
fn a_snap_length_that_keeps_headers_only_is_no_fault() {
    let mut capture = call();
    capture.snap = 14 + 20 + 8 + 12;
    let report = Trial::of(&capture, &phones()).is_clean();
    assert_eq!(report.flows.iter().filter(|flow| flow.ssrc.is_some()).count(), 2);
}

#[test]
fn marked_foreign_traffic_of_another_class_is_no_fault() {
    let capture = call().with_stream("10.20.0.77:443", "10.20.0.10:61022", 8, false);
    Trial::of(&capture, &phones()).is_clean();
    let capture = call().with_stream("10.20.0.77:443", "10.20.0.10:61022", 0, false);
    Trial::of(&capture, &phones()).is_clean();
    assert!(capture.packets.iter().filter(|packet| everything(packet)).count() > 500);
}
