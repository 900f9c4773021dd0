//! What became of the ports: a row per class, transport and direction, then what is wrong and how to mend it.

use std::io::Write;

use carillon_qos::dscp::label;
use carillon_qos::probe::{Direction, Summary, Tested, summarize};
use carillon_wire::ip::Dscp;
use serde_json::json;

use crate::answer::{Answer, Failure};
use crate::style::{BAD, FIX, GOOD, PLAIN};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::verb::print_json;
use crate::words::mark;

/// The name of the sending side in sentences.
const HERE: &str = "this host";

/// Prints, and answers whether all ports pass with their marks.
pub(super) fn print(
    host: &str,
    tests: &[Tested],
    json: bool,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let summaries: Vec<Summary> = tests
        .iter()
        .map(|tested| match tested.direction {
            Direction::There => summarize(tested, HERE, host),
            Direction::Back => summarize(tested, host, HERE),
        })
        .collect();
    let pass = summaries.iter().all(|summary| summary.faults.is_empty());
    if json {
        let each: Vec<_> = tests
            .iter()
            .zip(&summaries)
            .map(|(tested, summary)| json!({ "tested": tested, "summary": summary }))
            .collect();
        print_json(&json!({ "host": host, "pass": pass, "tests": each }))?;
    } else {
        rows(host, tests, &summaries, out)?;
        verdict(host, tests, &summaries, pass, out)?;
    }
    Ok(if pass { Answer::Yes } else { Answer::No })
}

fn rows(host: &str, tests: &[Tested], summaries: &[Summary], out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = Table::new([
        Column::left("CLASS"),
        Column::left("OVER"),
        Column::left("TO"),
        Column::left("PORTS"),
        Column::right("ASKED"),
        Column::right("OPEN"),
        Column::right("REFUSED"),
        Column::right("FILTERED"),
        Column::right("OTHER"),
        Column::left("SENT AS").spare(1),
        Column::left("ARRIVED AS"),
    ]);
    for (tested, summary) in tests.iter().zip(summaries) {
        let style = if summary.faults.is_empty() { GOOD } else { BAD };
        let number = |count: usize| if count == 0 { String::new() } else { count.to_string() };
        let to = if tested.direction == Direction::There { host } else { HERE };
        let arrived: Vec<String> = summary.arrived.keys().filter_map(|of| Dscp::new(*of)).map(mark).collect();
        let sound = summary.arrived.keys().eq([&tested.mark.value()]);
        table.row([
            tested.class.name().into(),
            tested.transport.name().into(),
            to.into(),
            tested.ports.to_string().into(),
            summary.asked.to_string().into(),
            Cell::styled(summary.open.to_string(), style),
            Cell::styled(number(summary.refused), BAD),
            Cell::styled(number(summary.filtered), BAD),
            Cell::styled(number(summary.foreign + summary.untested), BAD),
            mark(tested.mark).into(),
            Cell::styled(arrived.join(", "), if sound { PLAIN } else { BAD }),
        ]);
    }
    Ok(table.print(out, terminal_width())?)
}

fn verdict(
    host: &str,
    tests: &[Tested],
    summaries: &[Summary],
    pass: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if pass {
        let marks: std::collections::BTreeSet<String> =
            tests.iter().map(|tested| label(tested.mark)).collect();
        let marks: Vec<String> = marks.into_iter().collect();
        writeln!(
            out,
            "{GOOD}PASS{GOOD:#}  Every port asked passes between {HERE} and {host}, marked as it was sent: {}.",
            marks.join(", ")
        )?;
        return Ok(());
    }
    writeln!(out, "{BAD}FAIL{BAD:#}  Not every port passes between {HERE} and {host} as planned.")?;
    for fault in summaries.iter().flat_map(|summary| &summary.faults) {
        let (what, fix) = fault.split_once(": ").unwrap_or((fault, ""));
        writeln!(out, "  {what}\n    {FIX}fix:{FIX:#} {fix}")?;
    }
    Ok(())
}
