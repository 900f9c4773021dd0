//! `carillon records`: what became of calls. From the running server, or from the file of one that does not run.

use std::io::{self, BufWriter, Write};

use carillon_server::admin::{CallsAsked, Client, ClientError, page_json, summary_json};
use carillon_server::calls::{CallReader, CallRow};
use serde_json::Value;

use super::print_json;
use super::user::reach::{connect, front_end};
use crate::answer::{Answer, Failure};
use crate::args::{self, Reach, RecordsFilter};
use crate::style::{BAD, DOUBT, FAINT, NAME, PLAIN, STRONG};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::words::{clean, date, some};

/// Does what was asked about records.
pub fn run(what: &args::Records, out: &mut dyn Write) -> Result<Answer, Failure> {
    match what {
        args::Records::List(args) => list(args, out),
        args::Records::Export(args) => export(args),
        args::Records::Summary(args) => summary(args, out),
    }
}

/// Where records are.
enum Source {
    Running(Box<Client>),
    Stopped(CallReader),
}

impl Source {
    fn open(reach: &Reach) -> Result<Source, Failure> {
        let (socket, config) = front_end(reach)?;
        match (Client::connect(&socket), config) {
            (Err(ClientError::NotRunning(_)), Some(config)) => {
                Ok(Source::Stopped(CallReader::open(&config.records.file).map_err(failed)?))
            }
            _ => connect(&socket).map(|client| Source::Running(Box::new(client))),
        }
    }

    fn page(&mut self, asked: &CallsAsked) -> Result<Value, Failure> {
        match self {
            Source::Running(client) => client.calls(asked).map_err(failed),
            Source::Stopped(reader) => Ok(page_json(&reader.page(&asked.query()).map_err(failed)?)),
        }
    }

    fn summary(&mut self, asked: &CallsAsked) -> Result<Value, Failure> {
        match self {
            Source::Running(client) => client.calls_summary(asked).map_err(failed),
            Source::Stopped(reader) => Ok(summary_json(&reader.summary(&asked.query()).map_err(failed)?)),
        }
    }

    /// At most so many rows, page by page.
    fn rows(
        &mut self,
        filter: &RecordsFilter,
        most: usize,
        mut take: impl FnMut(CallRow) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        let (mut asked, mut left) = (asked(filter), most);
        loop {
            asked.limit = Some(left);
            let page = self.page(&asked)?;
            for row in page["rows"].as_array().into_iter().flatten() {
                take(CallRow::of_json(row))?;
                left -= 1;
            }
            asked.before = page["next"].as_u64();
            if asked.before.is_none() || left == 0 {
                return Ok(most - left);
            }
        }
    }
}

fn asked(filter: &RecordsFilter) -> CallsAsked {
    let RecordsFilter { since, until, ending, user, call } = filter.clone();
    CallsAsked { since, until, ending, user, call, ..CallsAsked::default() }
}

fn list(args: &args::RecordsList, out: &mut dyn Write) -> Result<Answer, Failure> {
    let mut rows = Vec::new();
    Source::open(&args.server)?.rows(&args.filter, args.limit, |row| {
        rows.push(row);
        Ok(())
    })?;
    if args.json {
        return print_json(&rows);
    }
    let mut table = Table::new([
        Column::left("BEGAN"),
        Column::left("LEG"),
        Column::left("USER").spare(1),
        Column::left("WITH").spare(1),
        Column::right("SECONDS"),
        Column::left("ENDING"),
        Column::left("CODEC"),
        Column::left("PATH"),
        Column::left("MARKS"),
        Column::right("MOS"),
    ]);
    rows.iter().for_each(|row| table.row(cells(row)));
    table.print(out, terminal_width())?;
    writeln!(out, "{FAINT}{}{FAINT:#}", some(rows.len() as u64, "leg", "legs"))?;
    Ok(Answer::Yes)
}

fn cells(row: &CallRow) -> [Cell; 10] {
    let text = |name| clean(&row.text(name));
    let seconds = row.number("answered").zip(row.number("ended")).map(|(from, to)| (to - from) / 1000.0);
    let ending = if row.number("ended").is_some() { text("ending") } else { "open".to_owned() };
    let style = match ending.as_str() {
        "hung-up" | "cancelled" | "open" => PLAIN,
        "busy" | "declined" | "no-answer" | "unavailable" | "redirected" => DOUBT,
        _ => BAD,
    };
    let planned = row.number("audio_mark").map(|mark| format!("{mark}:"));
    let sent = text("marks_sent");
    let as_planned = sent.is_empty()
        || planned.is_some_and(|planned| sent.split(',').all(|mark| mark.starts_with(&planned)));
    [
        date((row.number("begun").unwrap_or(0.0) * 1e6) as i64).into(),
        text("side").into(),
        Cell::styled(text("user"), NAME),
        text("peer").into(),
        seconds.map(|seconds| format!("{seconds:.1}")).unwrap_or_default().into(),
        Cell::styled(ending, style),
        text("audio_codec").into(),
        text("audio_path").into(),
        Cell::styled(sent, if as_planned { PLAIN } else { BAD }),
        row.number("mos_conversation").map(|mos| format!("{mos:.1}")).unwrap_or_default().into(),
    ]
}

/// However many there are, only a page of them is in memory.
fn export(args: &args::RecordsExport) -> Result<Answer, Failure> {
    let mut source = Source::open(&args.server)?;
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    if args.csv {
        out.write_all(CallRow::csv_header().as_bytes())?;
        source.rows(&args.filter, usize::MAX, |row| Ok(out.write_all(row.csv().as_bytes())?))?;
    } else {
        let mut before = "[\n";
        source.rows(&args.filter, usize::MAX, |row| {
            out.write_all(std::mem::replace(&mut before, ",\n").as_bytes())?;
            Ok(serde_json::to_writer(&mut out, &row)?)
        })?;
        out.write_all(if before == "[\n" { b"[]\n" } else { b"\n]\n" })?;
    }
    out.flush()?;
    Ok(Answer::Yes)
}

fn summary(args: &args::RecordsSummary, out: &mut dyn Write) -> Result<Answer, Failure> {
    let summary = Source::open(&args.server)?.summary(&asked(&args.filter))?;
    if args.json {
        return print_json(&summary);
    }
    let number = |name: &str| summary[name].as_u64().unwrap_or(0);
    let calls = some(number("calls"), "call", "calls");
    writeln!(out, "{STRONG}{calls}{STRONG:#}, {} answered\n", number("answered"))?;
    let mut endings = Table::new([Column::left("ENDING"), Column::right("CALLS")]);
    for (ending, calls) in summary["endings"].as_object().into_iter().flatten() {
        endings.row([ending.clone().into(), calls.to_string().into()]);
    }
    endings.print(out, terminal_width())?;
    let pairs = summary["relayed"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !pairs.is_empty() {
        writeln!(out)?;
        relayed(pairs).print(out, terminal_width())?;
    }
    Ok(Answer::Yes)
}

/// Calls inside that went through an Edge load it for nothing.
fn relayed(pairs: &[Value]) -> Table {
    let mut table = Table::new([
        Column::left("BETWEEN"),
        Column::left("AND"),
        Column::right("CALLS"),
        Column::right("PATH KNOWN"),
        Column::right("RELAYED"),
        Column::right("SHARE"),
    ]);
    for pair in pairs {
        let text = |value: &Value| clean(value.as_str().unwrap_or_default());
        let share = pair["percent"].as_f64();
        let style = if share.is_some_and(|share| share > 0.0) { BAD } else { PLAIN };
        table.row([
            text(&pair["sites"][0]).into(),
            text(&pair["sites"][1]).into(),
            pair["calls"].to_string().into(),
            pair["known"].to_string().into(),
            pair["relayed"].to_string().into(),
            Cell::styled(share.map(|share| format!("{share:.0} %")).unwrap_or_default(), style),
        ]);
    }
    table
}

fn failed(error: impl std::error::Error) -> Failure {
    Failure::new("cannot read the call records", carillon_server::chain(&error))
}
