//! `carillon cert check`.

use std::fs;
use std::io::Write;
use std::path::Path;

use carillon_qos::trust::{Finding, Firmware, Judgement, Release, Severity, Trust, judge};
use carillon_server::users::csv::rows;
use serde::Serialize;

use super::chain::Chain;
use super::time;
use crate::answer::{Answer, Failure};
use crate::args;
use crate::style::{BAD, DOUBT, FIX, GOOD, NAME, STRONG};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::verb::print_json;
use crate::words::clean;

/// Judges a chain for each phone.
pub(super) fn run(args: &args::CertCheck, out: &mut dyn Write) -> Result<Answer, Failure> {
    let chain = Chain::read(&args.files)?.certificates;
    let published = Chain::read(&args.published)?.thumbprints();
    let phones = match &args.phones {
        Some(file) => read_phones(file)?,
        None if args.firmware.is_empty() => releases(),
        None => {
            args.firmware.iter().map(|firmware| Phone::of(firmware.to_string(), Some(*firmware))).collect()
        }
    };
    let now = time(args.at);
    let judged: Vec<Judged> = phones
        .into_iter()
        .map(|phone| Judged { judgement: judge(&chain, phone.firmware, &published, now), phone: phone.name })
        .collect();
    if args.json {
        print_json(&judged)?;
    } else {
        print(&judged, out)?;
    }
    Ok(answer(&judged))
}

/// A phone, or all of a release.
struct Phone {
    name: String,
    firmware: Option<Firmware>,
}

#[derive(Serialize)]
struct Judged {
    phone: String,
    #[serde(flatten)]
    judgement: Judgement,
}

impl Phone {
    fn of(name: String, firmware: Option<Firmware>) -> Phone {
        Phone { name, firmware }
    }
}

fn releases() -> Vec<Phone> {
    let since = |release: Release| match release {
        Release::Rtm => format!("before {}", Release::Cu10.firmware()),
        later => format!("{} ({later}) and later", later.firmware()),
    };
    Release::ALL.map(|release| Phone::of(since(release), Some(release.firmware()))).into()
}

/// Rows of a name and a firmware; a first row of titles may stand above them. Where no firmware is told, the oldest is assumed.
fn read_phones(file: &Path) -> Result<Vec<Phone>, Failure> {
    let attempt = |line: usize| format!("cannot take phones from `{}`, line {line}", file.display());
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("cannot read `{}`", file.display()), error))?;
    let mut phones = Vec::new();
    for row in rows(&text) {
        let fields = row.fields.map_err(|why| Failure::new(attempt(row.line), why))?;
        let [name, firmware] = fields.as_slice() else {
            return Err(Failure::new(attempt(row.line), "a row is name,firmware"));
        };
        if phones.is_empty() && firmware.eq_ignore_ascii_case("firmware") {
            continue;
        }
        let known = Some(firmware.as_str()).filter(|firmware| !firmware.is_empty());
        let known = known.map(str::parse).transpose().map_err(|why| Failure::new(attempt(row.line), why))?;
        phones.push(Phone::of(name.clone(), known));
    }
    if phones.is_empty() {
        return Err(Failure::new(
            format!("cannot take phones from `{}`", file.display()),
            "there are none in it",
        ));
    }
    Ok(phones)
}

fn answer(judged: &[Judged]) -> Answer {
    let any = |trust| judged.iter().any(|one| one.judgement.trust == trust);
    match (any(Trust::Untrusted), any(Trust::Unknown)) {
        (true, _) => Answer::No,
        (_, true) => Answer::Unknown,
        _ => Answer::Yes,
    }
}

fn print(judged: &[Judged], out: &mut dyn Write) -> Result<(), Failure> {
    let mut table =
        Table::new([Column::left("PHONES"), Column::left("BELIEVE IT"), Column::left("WHY").spare(1)]);
    for Judged { phone, judgement } in judged {
        let (word, style) = match judgement.trust {
            Trust::Trusted => ("yes", GOOD),
            Trust::Untrusted => ("no", BAD),
            Trust::Unknown => ("unknown", DOUBT),
        };
        let root = judgement.root.map(|root| format!("root {:?}, {}", root.name, root.added));
        let codes: Vec<&str> = judgement.findings.iter().map(|finding| finding.code).collect();
        let why = root.into_iter().chain(codes.into_iter().map(str::to_owned)).collect::<Vec<_>>().join("; ");
        table.row([phone.as_str().into(), Cell::styled(word, style), why.into()]);
    }
    table.print(out, terminal_width())?;
    for finding in distinct(judged) {
        let style = if finding.severity == Severity::Error { BAD } else { DOUBT };
        writeln!(out, "\n{style}{}{style:#} {STRONG}{}{STRONG:#}", finding.code, clean(&finding.text))?;
        writeln!(out, "  {FIX}fix{FIX:#} {}", clean(&finding.fix))?;
    }
    if judged.iter().any(|one| one.judgement.trust == Trust::Untrusted) {
        writeln!(out, "\nwhat phones have: {NAME}carillon cert roots{NAME:#}")?;
    }
    Ok(())
}

/// Each finding once, whomever it is about.
fn distinct(judged: &[Judged]) -> Vec<&Finding> {
    let mut found: Vec<&Finding> = Vec::new();
    for finding in judged.iter().flat_map(|one| &one.judgement.findings) {
        if !found.contains(&finding) {
            found.push(finding);
        }
    }
    found.sort_by_key(|finding| finding.severity);
    found
}
