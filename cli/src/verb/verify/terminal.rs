//! The verdict in the terminal: one line that says it, the findings, the worst flows, the totals.

use std::io::{self, Write};

use carillon_qos::verify::report::{Finding, FlowReport, PlanFit, Report, Totals, Verdict};

use crate::style::{self, BAD, FAINT, FIX, GOOD, NAME, PLAIN, STRONG};
use crate::table::{Cell, Column, Table};
use crate::words::{self, clean, count, endpoint, some};

/// Flows listed unless all are asked for.
const FLOWS: usize = 25;
/// Flows that are none of the plan's business, listed unless all are asked for.
const UNPLANNED: usize = 5;

/// How to print.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Width of the terminal; `None` if the output goes elsewhere.
    pub(super) width: Option<usize>,
    /// List every flow.
    pub(super) all: bool,
}

/// Prints the report.
pub(super) fn print(report: &Report, layout: Layout, out: &mut dyn Write) -> io::Result<()> {
    let colour = style::verdict(report.verdict);
    let headline = clean(&words::headline(report));
    writeln!(out, "{colour}{}{colour:#}  {STRONG}{headline}{STRONG:#}", words::verdict(report.verdict))?;
    for reason in &report.unjudged {
        paragraph(out, layout, "      ", &clean(reason), style::DOUBT)?;
    }
    for (at, found) in report.findings.iter().enumerate() {
        finding(report, at + 1, found, layout, out)?;
    }
    if report.plan.is_none() {
        fits(&report.fit, layout, out)?;
    }
    flows(report, layout, out)?;
    totals(&report.totals, out)
}

fn finding(
    report: &Report,
    number: usize,
    found: &Finding,
    layout: Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    let colour = style::severity(found.severity);
    let name = found.cause.info().name;
    write!(out, "\n{colour}{number:>2}. {}{colour:#}  {NAME}{name}{NAME:#}", found.cause.info().summary)?;
    writeln!(out)?;
    paragraph(out, layout, "    ", &clean(&found.text), PLAIN)?;
    paragraph(out, layout, "    ", &format!("Fix: {}", clean(&found.fix)), FIX)?;
    let mut places = Vec::new();
    if let Some(frame) = found.frame {
        places.push(format!("frame.number == {frame}"));
    }
    let flow = found.flow.and_then(|flow| report.flows.get(flow));
    if let Some(flow) = flow {
        places.push(words::wireshark_filter(flow));
    }
    let several_files = report.points.iter().any(|point| point.file != 0);
    let file = flow.and_then(|flow| report.points.get(flow.point)).filter(|_| several_files);
    if !places.is_empty() {
        let file = file.map_or(String::new(), |point| format!("  in {}", clean(&point.name)));
        writeln!(out, "    {FAINT}Wireshark: {}{file}{FAINT:#}", places.join("   "))?;
    }
    Ok(())
}

/// Words broken at the width of the terminal.
fn paragraph(
    out: &mut dyn Write,
    layout: Layout,
    indent: &str,
    text: &str,
    style: anstyle::Style,
) -> io::Result<()> {
    let width = layout.width.unwrap_or(100).clamp(40, 110) - indent.len();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            writeln!(out, "{indent}{style}{line}{style:#}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "{indent}{style}{line}{style:#}")
}

fn fits(fits: &[PlanFit], layout: Layout, out: &mut dyn Write) -> io::Result<()> {
    let Some(best) = fits.first().filter(|best| best.score > 0.0) else { return Ok(()) };
    writeln!(out)?;
    let mut table = Table::new([
        Column::left("PRESET"),
        Column::right("FITS"),
        Column::right("PORTS"),
        Column::right("MARKS"),
    ]);
    for fit in fits {
        let numbers = [fit.score, fit.ports, fit.marks].map(words::percent);
        let [score, ports, marks] = numbers.map(Cell::from);
        table.row([Cell::styled(&fit.plan, NAME), score, ports, marks]);
    }
    table.print(out, layout.width)?;
    writeln!(out, "To judge by it: {NAME}--plan {}{NAME:#}", clean(&best.plan))
}

fn flows(report: &Report, layout: Layout, out: &mut dyn Write) -> io::Result<()> {
    let mut listed: Vec<&FlowReport> = report.flows.iter().collect();
    if !layout.all {
        listed.sort_by_key(|flow| (rank(flow), std::cmp::Reverse(flow.packets), flow.id));
        let mut unplanned = 0;
        listed.retain(|flow| {
            unplanned += usize::from(rank(flow) == UNPLANNED_RANK);
            rank(flow) != UNPLANNED_RANK || unplanned <= UNPLANNED
        });
        listed.truncate(FLOWS);
    }
    if listed.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut table = Table::new(COLUMNS);
    listed.iter().for_each(|flow| table.row(row(flow, report.plan.is_some())));
    table.print(out, layout.width)?;
    let left = report.flows.len() - listed.len();
    if left > 0 {
        writeln!(out, "{FAINT}{} more; --all lists them{FAINT:#}", some(left as u64, "flow", "flows"))?;
    }
    Ok(())
}

const UNPLANNED_RANK: u8 = 3;

/// What breaks the plan comes first, what the plan says nothing about comes last.
fn rank(flow: &FlowReport) -> u8 {
    match (flow.verdict, flow.class) {
        (Verdict::Fail, _) => 0,
        (Verdict::Unjudged, Some(_)) => 1,
        (Verdict::Pass, Some(_)) => 2,
        (_, None) => UNPLANNED_RANK,
    }
}

const COLUMNS: [Column; 14] = [
    Column::left("VERDICT"),
    Column::right("FLOW").spare(9),
    Column::left("CLASS"),
    Column::left("TOLD").spare(7),
    Column::left("FROM"),
    Column::left("TO").spare(1),
    Column::left("PORTS").spare(3),
    Column::left("PLANNED"),
    Column::left("FOUND"),
    Column::right("PACKETS").spare(2),
    Column::right("LOSS").spare(4),
    Column::right("JITTER").spare(5),
    Column::left("CODEC").spare(8),
    Column::right("MOS").spare(6),
];

fn row(flow: &FlowReport, judged: bool) -> [Cell; 14] {
    let rtp = flow.rtp.as_ref();
    let wrong = |wrong: bool| if wrong { BAD } else { PLAIN };
    let verdict = match (flow.verdict, flow.expected) {
        _ if !judged => Cell::from(""),
        (Verdict::Pass | Verdict::Unjudged, None) => Cell::styled("\u{2013}", FAINT),
        (verdict, _) => Cell::styled(words::verdict(verdict), style::verdict(verdict)),
    };
    let outside = flow.in_range == Some(false);
    [
        verdict,
        flow.id.to_string().into(),
        words::class(flow).into(),
        flow.class_by.map_or("", words::evidence).trim_start_matches("by ").into(),
        Cell::styled(endpoint(flow.src, flow.src_port), wrong(outside)),
        endpoint(flow.dst, flow.dst_port).into(),
        Cell::styled(ports(flow), wrong(outside)),
        flow.expected.map_or(String::new(), words::mark).into(),
        Cell::styled(words::marks(&flow.marks), wrong(words::off_mark(flow))),
        count(flow.packets).into(),
        words::loss(rtp).into(),
        words::jitter(rtp).into(),
        flow.codec.as_deref().unwrap_or("").into(),
        words::mos(rtp).into(),
    ]
}

fn ports(flow: &FlowReport) -> String {
    match (flow.in_range, flow.range) {
        (Some(true), _) => "in range".to_owned(),
        (Some(false), Some(range)) => format!("not in {range}"),
        (Some(false), None) => "outside".to_owned(),
        (None, _) => String::new(),
    }
}

fn totals(totals: &Totals, out: &mut dyn Write) -> io::Result<()> {
    let long = totals.end_ns.saturating_sub(totals.start_ns);
    let frames = some(totals.frames, "frame", "frames");
    writeln!(out, "\n{frames} in {}, {} judged", words::duration(long), count(totals.judged))?;
    let judged =
        [(totals.wrong_mark, "with a wrong mark"), (totals.out_of_range, "from a port outside the range")];
    for (number, what) in judged.into_iter().filter(|_| totals.judged > 0) {
        let colour = if number == 0 { GOOD } else { BAD };
        let share = match words::share(number, totals.judged) {
            share if number > 0 => format!(" ({share})"),
            _ => String::new(),
        };
        writeln!(out, "  {colour}{}{colour:#} {what}{share}", count(number))?;
    }
    let rest = [
        (totals.unclassified, "like media, but of no class: not judged"),
        (totals.undecoded, "not decoded"),
        (totals.icmp, "ICMP errors, not judged"),
        (totals.beyond_limit, "of flows beyond the limit, only counted"),
    ];
    for (number, what) in rest.into_iter().filter(|(number, _)| *number > 0) {
        writeln!(out, "  {FAINT}{} {what}{FAINT:#}", count(number))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::sample;

    fn printed(report: &Report, layout: Layout) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        print(report, layout, &mut out).unwrap();
        String::from_utf8(out.into_inner()).unwrap()
    }

    const PIPE: Layout = Layout { width: None, all: false };

    #[test]
    fn the_verdict_comes_first_then_causes_then_flows_then_totals() {
        let text = printed(&sample::report(), PIPE);
        let places: Vec<_> = [
            "FAIL  2 of 4 judged flows break plan lync-kloud.",
            " 1. One direction is marked, the return path is not.  return-path-unmarked",
            "Fix: Configure the role",
            "frame.number == 14   rtp.ssrc == 0x1d0c77a1",
            "VERDICT",
            "not in 20000-20039",
            "98,240 frames in 2:05 min, 96,410 judged",
            "3,418 with a wrong mark (3.5 %)",
        ]
        .iter()
        .map(|part| text.find(part).unwrap_or_else(|| panic!("{part} in\n{text}")))
        .collect();
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn a_narrow_terminal_gets_no_line_longer_than_itself() {
        let text = printed(&sample::report(), Layout { width: Some(100), all: true });
        let widest =
            text.lines().filter(|line| !line.contains("Wireshark:")).map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{text}");
    }

    #[test]
    fn many_flows_are_listed_on_request_only() {
        let mut report = sample::report();
        report.flows = (0..200).map(sample::flow).collect();
        assert!(printed(&report, PIPE).contains("175 flows more; --all lists them"));
        assert_eq!(printed(&report, Layout { all: true, ..PIPE }).matches("PCMU").count(), 200);
    }

    #[test]
    fn text_from_a_capture_cannot_steer_the_terminal() {
        let mut report = sample::report();
        report.findings.iter_mut().for_each(|finding| finding.text = "\u{1b}]0;x\u{7}".into());
        report.flows.iter_mut().for_each(|flow| flow.codec = Some("\u{1b}[2J".into()));
        let mut raw = Vec::new();
        print(&report, PIPE, &mut raw).unwrap();
        let text = String::from_utf8(raw).unwrap();
        assert!(!text.contains("\u{1b}]0") && !text.contains("\u{1b}[2J"));
    }
}
