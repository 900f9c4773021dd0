//! `carillon plan bandwidth`: what a call costs by its codec, and how many calls the links of a plan bear.

use std::io::Write;

use carillon_qos::bandwidth::{RATES, Rate};
use carillon_qos::plan::{Budget, Links};
use serde_json::json;

use crate::answer::{Answer, Failure};
use crate::plans;
use crate::style::{FAINT, NAME};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::verb::print_json;

pub(super) fn run(plan: Option<&str>, json: bool, out: &mut dyn Write) -> Result<Answer, Failure> {
    let links = plan.map(plans::load).transpose()?.map(|plan| Links::of(&plan)).unwrap_or_default();
    if json {
        return print_json(&facts(&links));
    }
    let mut table = Table::new([
        Column::left("CODEC"),
        Column::right("PAYLOAD"),
        Column::right("+ IP"),
        Column::right("+ RTP"),
        Column::right("+ FEC"),
    ]);
    for rate in RATES {
        let figures = [rate.payload, rate.ip, rate.srtp, rate.fec].map(|figure| figure.to_string().into());
        table.row([vec![Cell::styled(name(rate), NAME)], figures.to_vec()].concat());
    }
    table.print(out, terminal_width())?;
    writeln!(
        out,
        "{FAINT}kbit/s in each direction, 20 ms in a packet; links are planned with the last column{FAINT:#}"
    )?;
    if plan.is_some() {
        print_links(&links, out)?;
    }
    Ok(Answer::Yes)
}

fn print_links(links: &Links, out: &mut dyn Write) -> Result<(), Failure> {
    if links.all().is_empty() {
        writeln!(out, "\nThe plan limits no link, or `EnableBandwidthPolicyCheck` is not on.")?;
        return Ok(());
    }
    let mut columns = vec![Column::left("LINK"), Column::right("AUDIO"), Column::right("VIDEO")];
    columns.extend(SHOWN.map(|(_, _, head)| Column::right(head)));
    let mut table = Table::new(columns);
    for link in links.all() {
        let total = |budget: Option<Budget>| budget.map_or("any".to_owned(), |of| of.total.to_string());
        let mut cells: Vec<Cell> = vec![Cell::styled(&link.name, NAME)];
        cells.extend([link.audio, link.video].map(|budget| total(budget).into()));
        cells.extend(
            shown().map(|rate| {
                calls(link.audio, rate).map_or("any".to_owned(), |calls| calls.to_string()).into()
            }),
        );
        table.row(cells);
    }
    writeln!(out)?;
    table.print(out, terminal_width())?;
    writeln!(out, "{FAINT}kbit/s, and how many calls of a codec fit at once{FAINT:#}")?;
    Ok(())
}

/// Codecs whose calls are counted for each link, and the heads of their columns.
const SHOWN: [(&str, u32, &str); 3] =
    [("PCMU", 8000, "PCMU CALLS"), ("G722", 8000, "G722 CALLS"), ("opus", 48_000, "OPUS CALLS")];

fn shown() -> impl Iterator<Item = &'static Rate> {
    SHOWN.into_iter().map(|(codec, clock, _)| carillon_qos::bandwidth::of(codec, clock))
}

/// How many calls fit; none if nothing limits them.
fn calls(budget: Option<Budget>, rate: &Rate) -> Option<u32> {
    budget.map(|budget| budget.total / rate.planned(budget.session).max(1))
}

fn name(rate: &Rate) -> String {
    match rate.clock {
        Some(clock) => format!("{}/{clock}", rate.codec),
        None => rate.codec.to_owned(),
    }
}

fn facts(links: &Links) -> serde_json::Value {
    let rate = |rate: &Rate| {
        json!({ "codec": rate.codec, "clock": rate.clock, "payload": rate.payload, "ip": rate.ip, "rtp": rate.srtp,
            "fec": rate.fec })
    };
    let budget =
        |budget: Option<Budget>| budget.map(|of| json!({ "total": of.total, "session": of.session }));
    let link = |link: &carillon_qos::plan::Link| {
        let calls: serde_json::Map<_, _> =
            shown().map(|rate| (rate.codec.to_owned(), json!(calls(link.audio, rate)))).collect();
        json!({ "name": link.name, "audio": budget(link.audio), "video": budget(link.video), "calls": calls })
    };
    json!({ "rates": RATES.iter().map(rate).collect::<Vec<_>>(), "links": links.all().iter().map(link).collect::<Vec<_>>() })
}
