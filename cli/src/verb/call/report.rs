//! What became of a call: its numbers beside the plan's, and whether it was good.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;

use carillon_media::ice;
use carillon_media::leg::{Arrivals, Component};
use carillon_media::negotiate::{Agreed, Local};
use carillon_media::quality;
use carillon_net::lease::ClassPorts;
use carillon_net::route::source_toward;
use carillon_qos::PortRange;
use carillon_signaling::provisioning::Provisioned;
use carillon_signaling::records;
use carillon_wire::ip::Dscp;
use serde::Serialize;

use super::ending::stopped;
use super::homes::Homes;
use super::media::Ended;
use super::speech::Speech;
use crate::answer::Failure;
use crate::style::{BAD, GOOD, PLAIN, STRONG};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::words;

/// The least that speech must be like what was said (the codec costs some of it).
const ALIKE: f32 = 0.9;

/// What is known besides the media.
pub(super) struct Circumstances<'a> {
    pub(super) user: &'a str,
    pub(super) peer: &'a str,
    pub(super) call_id: &'a str,
    pub(super) ended: String,
    pub(super) seconds: f64,
    /// When the last packet came, in seconds from the answer on.
    pub(super) heard_until: Option<f64>,
    pub(super) local: Local,
    pub(super) homes: &'a Homes,
    pub(super) agreed: &'a Agreed,
    pub(super) planned: ClassPorts,
    pub(super) plan: Option<&'a Provisioned>,
    pub(super) expected: Option<&'a Speech>,
    /// Why the media ended before the call.
    pub(super) lost: Option<&'static str>,
}

/// A call that is over.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    user: String,
    peer: String,
    call_id: String,
    ended: String,
    seconds: f64,
    plan: Option<String>,
    plan_version: Option<u64>,
    codec: &'static str,
    codec_heard: Option<&'static str>,
    srtp: Option<&'static str>,
    ports: Ports,
    /// The ways that were chosen; none where the other side does not speak ICE.
    paths: Vec<Path>,
    marks: Marks,
    sent: Sent,
    received: Received,
    quality: Quality,
    remote: Option<Remote>,
    /// Keys that the other side pressed.
    keys: String,
    /// What somebody may want to know though it is no fault: `media-in-vpn`.
    flags: Vec<&'static str>,
    /// What was not as planned, in words.
    faults: Vec<String>,
    /// Nothing was.
    pub(super) good: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Ports {
    planned: Option<PortRange>,
    local: SocketAddr,
    /// `None` where RTP and RTCP share a port.
    local_rtcp: Option<u16>,
    remote: SocketAddr,
    remote_rtcp: SocketAddr,
    in_range: bool,
}

/// A way (RFC 8445), for RTP or RTCP.
#[derive(Clone, Debug, Serialize)]
struct Path {
    component: &'static str,
    local: End,
    remote: End,
    /// How our relay is spoken to, if media takes one of ours.
    relay: Option<&'static str>,
    /// The interface that leads into a VPN, if media takes one.
    vpn: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct End {
    kind: &'static str,
    address: SocketAddr,
}

/// Packets by mark; every packet is counted, RTP and RTCP.
#[derive(Clone, Debug, Serialize)]
struct Marks {
    planned: u8,
    sent: BTreeMap<u8, u64>,
    arrived: BTreeMap<u8, u64>,
}

#[derive(Clone, Debug, Serialize)]
struct Sent {
    packets: u64,
    reports: u64,
    refused: u64,
    ticks_late: u64,
    ticks_skipped: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Received {
    packets: u64,
    lost: u64,
    loss_percent: f64,
    /// Came after their turn.
    late: u64,
    duplicated: u64,
    reordered: u64,
    garbled: u64,
    /// Not RTP, or from a stranger, or with a wrong key, or heard before.
    unusable: u64,
    dropped_by_kernel: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Quality {
    jitter_ms: f64,
    jitter_max_ms: f64,
    round_trip_ms: Option<f64>,
    buffer_ms: u32,
    mos: Option<f64>,
    /// How like the expected speech the heard one is, 0 to 1.
    similarity: Option<f32>,
}

/// How the other side hears us, as it says.
#[derive(Clone, Debug, Serialize)]
struct Remote {
    lost: i32,
    loss_percent: f64,
    jitter_ms: f64,
    /// Of its VoIP metrics, if it sends any.
    mos: Option<f64>,
}

impl Report {
    pub(super) fn of(about: &Circumstances<'_>, media: &Ended) -> Report {
        let leg = media.leg.report();
        let source = about.plan.and_then(|plan| plan.source.as_ref());
        let mut report = Report {
            user: about.user.to_owned(),
            peer: about.peer.to_owned(),
            call_id: about.call_id.to_owned(),
            ended: about.ended.clone(),
            seconds: about.seconds,
            plan: source.map(|source| source.plan.clone()),
            plan_version: source.map(|source| source.version),
            codec: leg.codec.name(),
            codec_heard: leg.codec_heard.map(|codec| codec.name()),
            srtp: leg.suite,
            ports: Ports::of(about),
            paths: media.paths.iter().map(|path| Path::of(path, about.homes)).collect(),
            marks: Marks::of(about.planned.mark, &leg),
            sent: Sent {
                packets: leg.packets_sent,
                reports: leg.reports_sent,
                refused: media.refused,
                ticks_late: media.late,
                ticks_skipped: leg.ticks_skipped,
            },
            received: Received::of(&leg, media.dropped),
            quality: Quality::of(&leg, media, about.expected),
            remote: leg.remote.as_ref().map(Remote::of),
            keys: media.keys.clone(),
            flags: Vec::new(),
            faults: Vec::new(),
            good: false,
        };
        report.flags.extend(report.paths.iter().any(|path| path.vpn.is_some()).then_some("media-in-vpn"));
        report.faults = report.judge(about.agreed.receives());
        let stopped = about.heard_until.and_then(|until| stopped(until, about.seconds));
        report.faults.extend(stopped.or_else(|| about.lost.map(str::to_owned)));
        report.good = report.faults.is_empty();
        report
    }

    /// What the server is told of it.
    pub(super) fn reported(&self) -> records::Quality {
        let marks =
            |marks: &BTreeMap<u8, u64>| marks.iter().map(|(mark, packets)| (*mark, *packets)).collect();
        let received = &self.received;
        let expected = (received.packets + received.lost) as f64;
        let heard = received.packets > 0;
        let path = self
            .paths
            .first()
            .map_or(Some(records::Path::Host), |path| records::Path::named(path.local.kind));
        records::Quality {
            local: Some(self.ports.local),
            path,
            packets_sent: Some(self.sent.packets),
            packets_received: Some(received.packets),
            packets_lost: Some(received.lost),
            loss: heard.then_some(received.loss_percent),
            discarded: heard.then_some(received.late as f64 * 100.0 / expected),
            jitter: heard.then_some(self.quality.jitter_ms),
            round_trip: self.quality.round_trip_ms,
            mos_listening: None,
            mos_conversation: self.quality.mos,
            marks_sent: marks(&self.marks.sent),
            marks_received: marks(&self.marks.arrived),
        }
    }

    fn is_relayed(&self) -> bool {
        self.paths.iter().any(|path| path.relay.is_some())
    }

    /// What is not as planned.
    fn judge(&self, listens: bool) -> Vec<String> {
        let mut faults = Vec::new();
        if let (Some(range), false) = (self.ports.planned, self.ports.in_range) {
            faults.push(format!("port {} is outside of {range}", self.ports.local.port()));
        }
        // Towards the outside an Edge takes marks off, unless it is told otherwise.
        let arrived = Some(("arrived", &self.marks.arrived)).filter(|_| !self.is_relayed());
        for (what, marks) in [("sent", &self.marks.sent)].into_iter().chain(arrived) {
            let wrong: u64 =
                marks.iter().filter(|(mark, _)| **mark != self.marks.planned).map(|(_, n)| n).sum();
            if wrong > 0 {
                let packets = words::some(wrong, "packet", "packets");
                faults.push(format!("{packets} {what} without the mark {}", self.marks.planned_name()));
            }
        }
        if listens && self.received.packets == 0 {
            faults.push("nothing was heard".to_owned());
        }
        if self.quality.similarity.is_some_and(|similarity| similarity < ALIKE) {
            faults.push("what was heard is not what should have been said".to_owned());
        }
        faults
    }
}

impl Path {
    fn of(path: &ice::Path, homes: &Homes) -> Path {
        // What a relay is between leaves by the way that leads to the relay.
        let begins = path.port.map(|port| port.ip()).or_else(|| source_toward(path.local.address).ok());
        let end = |end: &ice::End| End { kind: end.kind.name(), address: end.address };
        Path {
            component: if path.component == Component::Rtp { "rtp" } else { "rtcp" },
            local: end(&path.local),
            remote: end(&path.remote),
            relay: path.relaying.map(|relaying| relaying.name()),
            vpn: begins.and_then(|address| homes.vpn(address)).map(str::to_owned),
        }
    }
}

impl Ports {
    fn of(about: &Circumstances<'_>) -> Ports {
        let rtcp = about.local.rtcp.filter(|_| !about.agreed.mux);
        let inside = |port| about.planned.range.is_none_or(|range| range.contains(port));
        Ports {
            planned: about.planned.range,
            local: about.local.rtp,
            local_rtcp: rtcp,
            remote: about.agreed.remote_rtp,
            remote_rtcp: about.agreed.remote_rtcp,
            in_range: inside(about.local.rtp.port()) && rtcp.is_none_or(inside),
        }
    }
}

impl Marks {
    fn of(planned: Dscp, leg: &quality::Report) -> Marks {
        let numbers =
            |marks: &BTreeMap<Dscp, u64>| marks.iter().map(|(mark, n)| (mark.value(), *n)).collect();
        let mut arrived: BTreeMap<u8, u64> = numbers(&leg.rtp.marks);
        for (mark, packets) in &leg.rtcp.marks {
            *arrived.entry(mark.value()).or_default() += packets;
        }
        Marks { planned: planned.value(), sent: numbers(&leg.marks_sent), arrived }
    }

    fn planned_name(&self) -> String {
        name(self.planned)
    }
}

impl Received {
    fn of(leg: &quality::Report, dropped: u64) -> Received {
        let unusable = |of: &Arrivals| {
            of.garbage + of.foreign + of.unauthentic + of.replayed + of.unexpected + of.looped + of.stray
        };
        Received {
            packets: leg.packets_received,
            lost: leg.packets_lost,
            loss_percent: leg.loss_percent,
            late: leg.packets_discarded,
            duplicated: leg.packets_duplicated,
            reordered: leg.packets_reordered,
            garbled: leg.packets_garbled,
            unusable: unusable(&leg.rtp) + unusable(&leg.rtcp),
            dropped_by_kernel: dropped,
        }
    }
}

impl Quality {
    fn of(leg: &quality::Report, media: &Ended, expected: Option<&Speech>) -> Quality {
        Quality {
            jitter_ms: leg.jitter_ms,
            jitter_max_ms: leg.jitter_max_ms,
            round_trip_ms: leg.round_trip_ms,
            buffer_ms: leg.buffer_ms,
            mos: leg.mos(),
            similarity: expected.map(|expected| expected.similarity(&media.heard)),
        }
    }
}

impl Remote {
    fn of(remote: &quality::Remote) -> Remote {
        // 127 means that there is none (RFC 3611, 4.7.5).
        let mos = remote.voip_metrics.map(|metrics| metrics.mos_conversation).filter(|mos| *mos < 127);
        Remote {
            lost: remote.lost,
            loss_percent: remote.loss_percent,
            jitter_ms: remote.jitter_ms,
            mos: mos.map(|mos| f64::from(mos) / 10.0),
        }
    }
}

/// The report for people.
pub(super) fn print(report: &Report, out: &mut dyn Write) -> Result<(), Failure> {
    let srtp = report.srtp.map_or("plain RTP".to_owned(), |suite| format!("SRTP {suite}"));
    let about = format!("{} \u{2194} {}", report.user, report.peer);
    writeln!(
        out,
        "\n{STRONG}{}{STRONG:#}  {:.1} s, {}, {srtp}; {}",
        words::clean(&about),
        report.seconds,
        report.codec,
        words::clean(&report.ended)
    )?;
    let mut table = Table::new([
        Column::left(""),
        Column::left("planned"),
        Column::left("here"),
        Column::left("from there"),
    ]);
    table.row(ports_row(&report.ports));
    if let Some(path) = report.paths.first() {
        table.row(path_row(path));
    }
    table.row(marks_row(&report.marks));
    for (what, sent, received) in numbers(report) {
        if !(sent.is_empty() && received.is_empty()) {
            table.row([what, "", &sent, &received].map(Cell::from));
        }
    }
    table.print(out, terminal_width())?;
    match report.faults.as_slice() {
        [] => writeln!(out, "{GOOD}GOOD{GOOD:#}  as planned")?,
        faults => {
            for fault in faults {
                writeln!(out, "{BAD}BAD{BAD:#}  {fault}")?;
            }
        }
    }
    Ok(())
}

fn ports_row(ports: &Ports) -> [Cell; 4] {
    let planned = ports.planned.map_or_else(|| "any".to_owned(), |range| range.to_string());
    let rtcp = ports.local_rtcp.map(|port| format!(", {port}")).unwrap_or_default();
    let style = if ports.in_range { PLAIN } else { BAD };
    [
        Cell::from("ports"),
        Cell::from(planned),
        Cell::styled(format!("{}{rtcp}", ports.local.port()), style),
        Cell::from(ports.remote.port().to_string()),
    ]
}

fn path_row(path: &Path) -> [Cell; 4] {
    let relay = path.relay.map(|relay| format!(" by {relay}")).unwrap_or_default();
    let vpn = path.vpn.as_ref().map(|name| format!(" in VPN {}", words::clean(name))).unwrap_or_default();
    let local = format!("{}{relay}{vpn}", path.local.kind);
    // Over a connection, what is lost delays everything behind it.
    let style = if matches!(path.relay, None | Some("UDP")) { PLAIN } else { BAD };
    [Cell::from("way"), Cell::from(""), Cell::styled(local, style), Cell::from(path.remote.kind)]
}

fn marks_row(marks: &Marks) -> [Cell; 4] {
    let cell = |found: &BTreeMap<u8, u64>| {
        let right = found.keys().all(|mark| *mark == marks.planned);
        let each = found.iter().map(|(mark, n)| format!("{} \u{d7}{}", name(*mark), words::count(*n)));
        Cell::styled(each.collect::<Vec<_>>().join(", "), if right { PLAIN } else { BAD })
    };
    [Cell::from("marks"), Cell::from(marks.planned_name()), cell(&marks.sent), cell(&marks.arrived)]
}

/// Rows that no plan speaks about: what, of what was sent as the other side says, of what was received.
fn numbers(report: &Report) -> Vec<(&'static str, String, String)> {
    let (received, quality) = (&report.received, &report.quality);
    let remote = |show: &dyn Fn(&Remote) -> String| report.remote.as_ref().map(show).unwrap_or_default();
    let mut rows = vec![
        ("packets", words::count(report.sent.packets), words::count(received.packets)),
        ("lost", remote(&|remote| remote.lost.to_string()), words::count(received.lost)),
        ("late", String::new(), words::count(received.late)),
        (
            "jitter",
            remote(&|remote| words::milliseconds(remote.jitter_ms)),
            words::milliseconds(quality.jitter_ms),
        ),
    ];
    let mos = |mos: Option<f64>| mos.map(|mos| format!("{mos:.1}")).unwrap_or_default();
    rows.push(("MOS", mos(report.remote.as_ref().and_then(|remote| remote.mos)), mos(quality.mos)));
    let round_trip = quality.round_trip_ms.map(words::milliseconds).unwrap_or_default();
    rows.push(("round trip", round_trip, String::new()));
    if let Some(similarity) = quality.similarity {
        rows.push(("heard as said", String::new(), format!("{similarity:.2}")));
    }
    if !report.keys.is_empty() {
        rows.push(("keys", String::new(), report.keys.clone()));
    }
    rows
}

fn name(mark: u8) -> String {
    Dscp::new(mark).map(words::mark).unwrap_or_default()
}
