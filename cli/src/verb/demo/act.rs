//! What an act was to show, and what was seen: rows of a table, findings with their fixes.

use std::net::IpAddr;

use carillon_qos::TrafficClass;
use carillon_qos::verify::cause::{Cause, Severity};
use carillon_qos::verify::report::{Content, FlowReport, Report, Verdict};
use serde::Serialize;

use super::network::{ALICE, BOB, CAROL};
use crate::words;

/// What must be seen for an act to be right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expected {
    /// Everything as planned.
    Green,
    /// The plan is broken, and this is named as the first cause.
    Red(Cause),
    /// A call is refused because the range is used up, and nothing leaves outside of it.
    Exhausted,
}

/// One direction of a call.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// Who speaks to whom.
    pub(super) way: String,
    pub(super) codec: String,
    pub(super) packets: u64,
    /// The port that was sent from, and the range planned for it.
    pub(super) port: u16,
    pub(super) range: String,
    pub(super) in_range: bool,
    /// The mark planned, and those that arrived.
    pub(super) planned: String,
    pub(super) arrived: String,
    pub(super) as_planned: bool,
    pub(super) loss: String,
    pub(super) jitter: String,
    pub(super) mos: String,
    /// How like the speech that was sent what was heard is: 1 is the same.
    pub(super) heard: Option<f64>,
}

/// What a phone says of the speech that it heard.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) way: String,
    /// 1 is the same as what was said.
    pub(super) likeness: f64,
}

/// What is wrong, and what to do.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Diagnosis {
    pub(super) cause: String,
    pub(super) summary: String,
    pub(super) text: String,
    pub(super) fix: String,
}

/// What was seen in an act.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Seen {
    pub(super) title: &'static str,
    pub(super) verdict: Verdict,
    pub(super) rows: Vec<Row>,
    pub(super) diagnoses: Vec<Diagnosis>,
    /// Whether that is what the act was to show.
    pub(super) right: bool,
}

impl Seen {
    /// From a capture of both sites.
    pub(super) fn in_capture(
        title: &'static str,
        expected: Expected,
        report: &Report,
        heard: &[Heard],
    ) -> Seen {
        let grave = report.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let diagnoses: Vec<Diagnosis> = grave
            .clone()
            .map(|finding| Diagnosis {
                cause: finding.cause.info().name.to_owned(),
                summary: finding.cause.info().summary.to_owned(),
                text: finding.text.clone(),
                fix: finding.fix.clone(),
            })
            .collect();
        let first = grave.map(|finding| finding.cause).next();
        let mut rows = rows(report);
        for row in &mut rows {
            row.heard = heard.iter().find(|heard| heard.way == row.way).map(|heard| heard.likeness);
        }
        let right = match expected {
            Expected::Green => {
                let clear = rows.iter().all(|row| row.heard.is_none_or(|heard| heard > 0.9));
                report.verdict == Verdict::Pass && !heard.is_empty() && rows.len() >= 2 && clear
            }
            Expected::Red(cause) => report.verdict == Verdict::Fail && first == Some(cause),
            // The refusal is told by the phone; the capture must show that nothing left outside.
            Expected::Exhausted => report.verdict == Verdict::Pass && report.totals.out_of_range == 0,
        };
        Seen { title, verdict: report.verdict, rows, diagnoses, right }
    }
}

/// Speech as it arrived at the site of whom it was for.
fn rows(report: &Report) -> Vec<Row> {
    let arrived = report.flows.iter().filter(|flow| {
        flow.content == Content::Rtp
            && flow.class == Some(TrafficClass::Audio)
            && report.points.get(flow.point).is_some_and(|point| point.interface == site_of(flow.dst))
    });
    arrived.map(row).collect()
}

fn row(flow: &FlowReport) -> Row {
    let planned = flow.expected.map(words::mark).unwrap_or_default();
    Row {
        way: format!("{} → {}", name(flow.src), name(flow.dst)),
        codec: flow.codec.clone().unwrap_or_default(),
        packets: flow.packets,
        port: flow.src_port,
        range: flow.range.map(|range| range.to_string()).unwrap_or_default(),
        in_range: flow.in_range.unwrap_or(true),
        as_planned: !words::off_mark(flow),
        planned,
        arrived: words::marks(&flow.marks),
        loss: words::loss(flow.rtp.as_ref()),
        jitter: words::jitter(flow.rtp.as_ref()),
        mos: words::mos(flow.rtp.as_ref()),
        heard: None,
    }
}

/// The interface of the capture that is at the site of a host.
fn site_of(address: IpAddr) -> u32 {
    u32::from(!is_at_first_site(address))
}

fn is_at_first_site(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.octets()[1] == 1)
}

fn name(address: IpAddr) -> String {
    let hosts = [ALICE, BOB, CAROL];
    let text = address.to_string();
    hosts.iter().find(|host| host.address == text).map_or(text, |host| host.name.to_owned())
}
