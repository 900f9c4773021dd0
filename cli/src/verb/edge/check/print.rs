//! The report in the terminal: the verdict, root causes with what follows from them, and how many checks are well.

use std::io::Write;

use carillon_qos::check::{Cause, Check, Kind, Report, Root, State, Verdict};

use crate::answer::Failure;
use crate::style::{BAD, DOUBT, FAINT, FIX, GOOD, NAME, PLAIN, STRONG};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::words::{clean, some};

/// With `all` every check has its row, otherwise only what is not well.
pub(super) fn print(report: &Report, seen_from: &str, all: bool, out: &mut dyn Write) -> Result<(), Failure> {
    headline(report, seen_from, out)?;
    for root in &report.roots {
        finding(report, root, out)?;
    }
    writeln!(out)?;
    let notes: Vec<&Check> = report.checks.iter().filter(|check| is_note(check)).collect();
    for (first, line) in grouped(&notes) {
        let word = if first.state == State::FalseAlarm { "false alarm" } else { "note" };
        writeln!(out, "{DOUBT}{word}{DOUBT:#}  {}: {line}", clean(&first.machine))?;
    }
    if all { every(report, out) } else { summary(report, out) }
}

fn headline(report: &Report, seen_from: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let (style, word, text) = match report.verdict {
        Verdict::Pass => (GOOD, "PASS", "Every check is well".to_owned()),
        Verdict::Fail => {
            let count = report.roots.iter().filter(|root| root.cause.is_some()).count() as u64;
            (BAD, "FAIL", some(count, "cause", "causes"))
        }
        Verdict::Unjudged => {
            (DOUBT, "UNJUDGED", "Nothing wrong was found, but not everything could be checked".to_owned())
        }
    };
    Ok(writeln!(out, "{style}{word}{style:#}  {text}, seen from {seen_from}.")?)
}

/// A root cause, where it shows, what to do, and what follows from it.
fn finding(report: &Report, root: &Root, out: &mut dyn Write) -> Result<(), Failure> {
    let of =
        |places: &[usize]| -> Vec<&Check> { places.iter().filter_map(|at| report.checks.get(*at)).collect() };
    let (style, name) = root.cause.map_or((DOUBT, "not-checked"), |cause| (BAD, cause.name()));
    let summary = root.cause.map_or("Something could not be checked.", Cause::summary);
    let machine = clean(&root.machine);
    writeln!(
        out,
        "\n{style}{name}{style:#}  {STRONG}{machine}{STRONG:#} ({})  {summary}",
        clean(&root.pool)
    )?;
    let mut told = Vec::new();
    for (first, line) in grouped(&of(&root.checks)) {
        writeln!(out, "  {line}")?;
        if !first.fix.is_empty() && !told.contains(&&first.fix) {
            told.push(&first.fix);
            let mut lines = first.fix.lines().map(clean);
            writeln!(out, "    {FIX}fix:{FIX:#} {}", lines.next().unwrap_or_default())?;
            for line in lines {
                writeln!(out, "      {NAME}{line}{NAME:#}")?;
            }
        }
    }
    let follows = grouped(&of(&root.consequences));
    if !follows.is_empty() {
        writeln!(out, "  {FAINT}and only because of that:{FAINT:#}")?;
    }
    for (_, line) in follows {
        writeln!(out, "    {FAINT}{line}{FAINT:#}")?;
    }
    Ok(())
}

/// Checks of a kind of which the same was seen share a line.
fn grouped<'c>(checks: &[&'c Check]) -> Vec<(&'c Check, String)> {
    let mut groups: Vec<(&Check, Vec<String>)> = Vec::new();
    for check in checks {
        let same = |group: &&mut (&Check, Vec<String>)| {
            (group.0.kind, &group.0.text, &group.0.machine) == (check.kind, &check.text, &check.machine)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.1.push(clean(&check.subject)),
            None => groups.push((check, vec![clean(&check.subject)])),
        }
    }
    let line = |(first, subjects): (&'c Check, Vec<String>)| {
        (first, format!("{} {}: {}", first.kind.name(), subjects.join(", "), clean(&first.text)))
    };
    groups.into_iter().map(line).collect()
}

fn is_note(check: &Check) -> bool {
    matches!(check.state, State::Warning | State::FalseAlarm)
}

/// A row for each kind of check of each machine.
fn summary(report: &Report, out: &mut dyn Write) -> Result<(), Failure> {
    let mut rows: Vec<(&Check, u64, u64, Option<&Check>)> = Vec::new();
    for check in &report.checks {
        let well = u64::from(!matches!(check.state, State::Bad | State::Unknown));
        let worst = Some(check).filter(|_| well == 0);
        let same = |row: &&mut (&Check, u64, u64, Option<&Check>)| {
            (row.0.kind, &row.0.machine, &row.0.pool) == (check.kind, &check.machine, &check.pool)
        };
        match rows.iter_mut().find(same) {
            Some(row) => (row.1, row.2, row.3) = (row.1 + well, row.2 + 1, row.3.or(worst)),
            None => rows.push((check, well, 1, worst)),
        }
    }
    let mut table = Table::new([
        Column::left("CLUSTER"),
        Column::left("MACHINE"),
        Column::left("CHECK"),
        Column::right("WELL"),
        Column::right("OF"),
        Column::left("ERROR"),
        Column::left("CAUSE"),
    ]);
    for (first, well, of, worst) in rows {
        let style = if well == of { GOOD } else { BAD };
        table.row([
            clean(&first.pool).into(),
            clean(&first.machine).into(),
            kind(first.kind),
            Cell::styled(well.to_string(), style),
            of.to_string().into(),
            worst
                .map_or(String::new(), |check| format!("{}: {}", clean(&check.subject), clean(&check.text)))
                .into(),
            worst.map_or("", |check| cause(report, check)).into(),
        ]);
    }
    Ok(table.print(out, terminal_width())?)
}

/// A row for each check.
fn every(report: &Report, out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = Table::new([
        Column::left("CLUSTER"),
        Column::left("MACHINE"),
        Column::left("CHECK"),
        Column::left("ABOUT"),
        Column::left("STATE"),
        Column::left("CAUSE"),
        Column::left("SEEN"),
    ]);
    for check in &report.checks {
        let (word, style) = match check.state {
            State::Good => ("good", GOOD),
            State::Warning => ("note", DOUBT),
            State::FalseAlarm => ("false alarm", DOUBT),
            State::Unknown => ("not checked", DOUBT),
            State::Bad => ("bad", BAD),
        };
        table.row([
            clean(&check.pool).into(),
            clean(&check.machine).into(),
            kind(check.kind),
            clean(&check.subject).into(),
            Cell::styled(word, style),
            cause(report, check).into(),
            clean(&check.text).into(),
        ]);
    }
    Ok(table.print(out, terminal_width())?)
}

/// The root cause of what follows from another check.
fn cause<'a>(report: &'a Report, check: &Check) -> &'a str {
    let root = check.follows.and_then(|at| report.checks.get(at));
    root.map_or(check.cause, |root| root.cause).map_or("", Cause::name)
}

fn kind(kind: Kind) -> Cell {
    Cell::styled(kind.name(), PLAIN)
}
