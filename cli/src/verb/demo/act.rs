//! What an act was to show, and what was seen: rows of a table, findings with their fixes.

use std::net::{IpAddr, SocketAddr};

use carillon_qos::TrafficClass;
use carillon_qos::verify::cause::{Cause, Severity};
use carillon_qos::verify::report::{Content, FlowReport, Report, Verdict};
use carillon_wire::ip::Dscp;
use serde::Serialize;
use serde_json::Value;

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
    /// 1 is the same as what was said; `None` if this machine was too busy to play everything in time.
    pub(super) likeness: Option<f64>,
}

/// What is wrong, and what to do.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Diagnosis {
    pub(super) cause: String,
    pub(super) summary: String,
    pub(super) text: String,
    pub(super) fix: String,
}

impl Diagnosis {
    /// A call that found no port, as the phone says it.
    pub(super) fn exhausted(refusal: String) -> Diagnosis {
        Diagnosis {
            cause: "range-exhausted".to_owned(),
            summary: "The second call was refused; not one packet left from another port.".to_owned(),
            text: refusal,
            fix: "Give the class a larger range in the plan: 20 ports carry 10 calls, or 20 with rtcp-mux."
                .to_owned(),
        }
    }

    /// Whether the refusal says what ran out.
    pub(super) fn names_the_range(&self, range: &str) -> bool {
        self.text.contains("is left for audio") && self.text.contains(range)
    }
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
            row.heard = heard.iter().find(|heard| heard.way == row.way).and_then(|heard| heard.likeness);
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

impl Seen {
    /// From what both ends of calls report: what each sent, and the mark of every packet as the receiver read it.
    pub(super) fn in_reports(title: &'static str, expected: Expected, reports: &[Value]) -> Seen {
        let rows: Vec<Row> = reports.iter().map(reported).collect();
        let stray: Vec<&Row> = rows.iter().filter(|row| !row.in_range).collect();
        let unmarked = rows.iter().any(|row| !row.as_planned);
        let clear = rows.iter().all(|row| row.heard.is_none_or(|heard| heard > 0.9));
        let broken = unmarked || !stray.is_empty();
        let verdict = if broken { Verdict::Fail } else { Verdict::Pass };
        let diagnoses: Vec<Diagnosis> = stray
            .iter()
            .map(|row| {
                let info = Cause::PortOutsideRange.info();
                let text = format!("{} leaves from port {}, outside {}", row.way, row.port, row.range);
                Diagnosis {
                    cause: info.name.to_owned(),
                    summary: info.summary.to_owned(),
                    text,
                    fix: info.fix.to_owned(),
                }
            })
            .collect();
        let right = rows.len() >= 2
            && match expected {
                Expected::Green | Expected::Exhausted => !broken && clear,
                Expected::Red(_) => !unmarked && diagnoses.len() == 1,
            };
        Seen { title, verdict, rows, diagnoses, right }
    }
}

/// What one end says of the speech that it heard. The sender's port and the receiver's marks are what counts.
fn reported(report: &Value) -> Row {
    let text = |at: &str| report.pointer(at).and_then(Value::as_str).unwrap_or_default();
    let number = |at: &str| report.pointer(at).and_then(Value::as_f64);
    let whole = |at: &str| report.pointer(at).and_then(Value::as_u64).unwrap_or_default();
    let user = |at: &str| text(at).split('@').next().unwrap_or_default().to_owned();
    let remote: Option<SocketAddr> = text("/ports/remote").parse().ok();
    let port = remote.map_or(0, |remote| remote.port());
    let end = |key: &str| u16::try_from(whole(&format!("/ports/planned/{key}"))).unwrap_or_default();
    let (planned, marks) = (whole("/marks/planned"), report.pointer("/marks/arrived"));
    let marks: Vec<(u64, u64)> = marks
        .and_then(Value::as_object)
        .map(|marks| marks.iter().filter_map(|(mark, n)| Some((mark.parse().ok()?, n.as_u64()?))).collect())
        .unwrap_or_default();
    let arrived: Vec<String> = marks.iter().map(|(mark, _)| mark_name(*mark)).collect();
    Row {
        way: format!("{} → {}", user("/peer"), user("/user")),
        codec: text("/codec").to_owned(),
        packets: whole("/received/packets"),
        port,
        range: format!("{}-{}", end("start"), end("end")),
        in_range: (end("start")..=end("end")).contains(&port),
        planned: mark_name(planned),
        arrived: arrived.join(", "),
        as_planned: !marks.is_empty() && marks.iter().all(|(mark, _)| *mark == planned),
        loss: number("/received/loss_percent").map(words::percent).unwrap_or_default(),
        jitter: number("/quality/jitter_ms").map(words::milliseconds).unwrap_or_default(),
        mos: number("/quality/mos").map(|mos| format!("{mos:.2}")).unwrap_or_default(),
        heard: number("/quality/similarity"),
    }
}

fn mark_name(number: u64) -> String {
    u8::try_from(number).ok().and_then(Dscp::new).map(words::mark).unwrap_or_default()
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
