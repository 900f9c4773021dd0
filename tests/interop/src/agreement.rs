//! Does `carillon verify` agree with tshark, flow by flow?
//!
//! Ports, marks, packets and loss exactly; jitter within a millisecond where tshark knows the clock. Every
//! disagreement is listed, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::Result;
use crate::recording::{Description, captures_dir};
use crate::tshark::{self, Flow, Marks, Stream};
use crate::verdict::{self, FlowReport, Report};

/// How far two jitters may lie apart, in milliseconds.
const JITTER_TOLERANCE: f64 = 1.0;

/// Has both read a capture and returns everything on which they disagree, and carillon's report.
pub fn compare(capture: &Path, description: &Description) -> Result<(Vec<String>, Report)> {
    let report = verdict::verify(capture, &captures_dir().join("plans").join(&description.plan))?;
    let marks = tshark::marks(capture, &description.tshark)?;
    let streams = tshark::streams(capture, &description.tshark)?;
    Ok((disagreements(description, &marks, &streams, &report), report))
}

/// Everything on which the two disagree; empty if they agree.
pub fn disagreements(
    description: &Description,
    marks: &BTreeMap<Flow, Marks>,
    streams: &BTreeMap<(Flow, u32), Stream>,
    report: &Report,
) -> Vec<String> {
    let mut found = compare_marks(marks, report);
    if streams.len() < description.streams {
        found.push(format!("tshark sees {} RTP streams, not {}", streams.len(), description.streams));
    }
    found.extend(compare_streams(description, streams, report));
    found
}

fn compare_marks(expected: &BTreeMap<Flow, Marks>, report: &Report) -> Vec<String> {
    let mut told: BTreeMap<Flow, Marks> = BTreeMap::new();
    for flow in &report.flows {
        let marks = told.entry(flow.flow()).or_default();
        flow.marks.iter().for_each(|mark| *marks.entry(mark.dscp).or_default() += mark.packets);
    }
    let flows: BTreeSet<&Flow> = expected.keys().chain(told.keys()).collect();
    let differ = flows.into_iter().filter(|flow| expected.get(flow) != told.get(flow));
    let words =
        |flow: &Flow| format!("{}: marks {:?}, tshark {:?}", name(flow), told.get(flow), expected.get(flow));
    differ.map(words).collect()
}

fn compare_streams(
    description: &Description,
    expected: &BTreeMap<(Flow, u32), Stream>,
    report: &Report,
) -> Vec<String> {
    let with_ssrc = |flow: &'_ &FlowReport| flow.rtp.is_some() && flow.ssrc.is_some();
    let mut told: BTreeMap<(Flow, u32), &FlowReport> = BTreeMap::new();
    let mut found = Vec::new();
    for flow in report.flows.iter().filter(with_ssrc) {
        let key = (flow.flow(), flow.ssrc.unwrap_or_default());
        if told.insert(key, flow).is_some() {
            found.push(format!("{} ssrc {:#x}: told twice", name(&key.0), key.1));
        }
    }
    for (key, stream) in expected {
        let which = format!("{} ssrc {:#x}", name(&key.0), key.1);
        match told.remove(key) {
            Some(flow) => {
                found.extend(compare_stream(description, stream, flow).map(|text| format!("{which}: {text}")))
            }
            None => found.push(format!("{which}: only tshark sees it: {stream:?}")),
        }
    }
    found.extend(
        told.keys().map(|(flow, ssrc)| format!("{} ssrc {ssrc:#x}: tshark sees no such stream", name(flow))),
    );
    found
}

fn compare_stream<'a>(
    description: &Description,
    stream: &'a Stream,
    flow: &'a FlowReport,
) -> impl Iterator<Item = String> + use<'a> {
    let rtp = flow.rtp.as_ref();
    let lost = rtp.map(|rtp| rtp.lost);
    let jitter = |told: Option<f64>, expected: Option<f64>| match (told, expected) {
        (Some(told), Some(expected)) => (told - expected).abs() <= JITTER_TOLERANCE,
        (None, Some(_)) => false,
        (_, None) => true,
    };
    let (mean, max) = (rtp.and_then(|rtp| rtp.jitter_mean_ms), rtp.and_then(|rtp| rtp.jitter_max_ms));
    let judged = rtp.is_some_and(|rtp| rtp.loss_judged);
    // tshark takes a batch for one packet: there the only right answer is that loss cannot be judged.
    let checks = if description.segmented {
        vec![(!judged, format!("loss judged before segmentation: {rtp:?}"))]
    } else {
        vec![
            (judged, "loss not judged".to_owned()),
            (flow.packets == stream.packets, format!("{} packets, tshark {}", flow.packets, stream.packets)),
            (lost == Some(stream.lost), format!("{lost:?} lost, tshark {}", stream.lost)),
            (
                jitter(mean, stream.jitter_mean_ms),
                format!("mean jitter {mean:?}, tshark {:?}", stream.jitter_mean_ms),
            ),
            (
                jitter(max, stream.jitter_max_ms),
                format!("largest jitter {max:?}, tshark {:?}", stream.jitter_max_ms),
            ),
        ]
    };
    checks.into_iter().filter(|(agreed, _)| !agreed).map(|(_, text)| text)
}

fn name(flow: &Flow) -> String {
    format!("{} {} > {}", if flow.tcp { "tcp" } else { "udp" }, flow.source, flow.destination)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::recording::Point;

    fn description(segmented: bool) -> Description {
        Description {
            name: String::new(),
            about: String::new(),
            programs: Vec::new(),
            captured: Point::link("alice"),
            hosts: BTreeMap::new(),
            marks: Vec::new(),
            plan: String::new(),
            tshark: Vec::new(),
            streams: 1,
            encrypted: false,
            segmented,
            clean: true,
        }
    }

    fn report() -> Value {
        json!({ "verdict": "pass", "findings": [], "flows": [{
            "src": "10.20.0.10", "src_port": 50000, "dst": "10.20.0.20", "dst_port": 50010, "protocol": "udp",
            "ssrc": 7, "packets": 100, "marks": [{ "dscp": 46, "packets": 100 }],
            "rtp": { "lost": 2, "jitter_mean_ms": 1.5, "jitter_max_ms": 3.0, "loss_judged": true },
        }]})
    }

    /// What is found when tshark sees one EF stream of 100 packets and carillon tells this.
    fn found(told: Value, segmented: bool) -> usize {
        let socket = |text: &str| text.parse().unwrap();
        let flow =
            Flow { tcp: false, source: socket("10.20.0.10:50000"), destination: socket("10.20.0.20:50010") };
        let marks = BTreeMap::from([(flow, Marks::from([(46, 100)]))]);
        let stream = Stream { packets: 100, lost: 2, jitter_mean_ms: Some(1.0), jitter_max_ms: Some(3.9) };
        let streams = BTreeMap::from([((flow, 7), stream)]);
        disagreements(&description(segmented), &marks, &streams, &serde_json::from_value(told).unwrap()).len()
    }

    #[test]
    fn the_same_told_twice_is_agreement() {
        assert_eq!(found(report(), false), 0);
    }

    #[test]
    fn every_difference_is_found() {
        for (place, value, differences) in [
            ("/flows/0/dst_port", json!(50011), 4),
            ("/flows/0/protocol", json!("tcp"), 4),
            ("/flows/0/marks/0/dscp", json!(0), 1),
            ("/flows/0/marks/0/packets", json!(99), 1),
            ("/flows/0/ssrc", json!(8), 2),
            ("/flows/0/packets", json!(99), 1),
            ("/flows/0/rtp", json!(null), 1),
            ("/flows/0/rtp/lost", json!(1), 1),
            ("/flows/0/rtp/loss_judged", json!(false), 1),
            ("/flows/0/rtp/jitter_mean_ms", json!(2.1), 1),
            ("/flows/0/rtp/jitter_max_ms", json!(null), 1),
            ("/flows", json!([]), 2),
        ] {
            let mut told = report();
            *told.pointer_mut(place).unwrap() = value;
            assert_eq!(found(told, false), differences, "{place}");
        }
    }

    #[test]
    fn loss_judged_before_segmentation_is_found() {
        let mut told = report();
        assert_eq!(found(told.clone(), true), 1);
        *told.pointer_mut("/flows/0/rtp/loss_judged").unwrap() = json!(false);
        assert_eq!(found(told, true), 0);
    }
}
