//! The words of findings: `carillon explain finding`, and docs/verdicts.md.

use std::io::Write;

use carillon_qos::verify::cause::{CAUSES, Cause, CauseInfo, Severity};
use serde_json::json;

use super::unknown;
use crate::answer::{Answer, Failure};
use crate::style::{self, NAME, STRONG};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::verb::print_json;

/// Lists all findings, what explains most first.
pub fn list(json: bool, out: &mut dyn Write) -> Result<Answer, Failure> {
    if json {
        return print_json(&CAUSES.iter().map(as_json).collect::<Vec<_>>());
    }
    let mut table =
        Table::new([Column::left("FINDING"), Column::left("SEVERITY"), Column::left("WHAT IT IS")]);
    for info in CAUSES {
        table.row([
            Cell::styled(info.name, NAME),
            Cell::styled(severity(info.severity), style::severity(info.severity)),
            info.summary.into(),
        ]);
    }
    table.print(out, terminal_width())?;
    Ok(Answer::Yes)
}

/// Explains one finding.
pub fn one(name: &str, json: bool, out: &mut dyn Write) -> Result<Answer, Failure> {
    let Some(info) = Cause::from_name(name).map(Cause::info) else {
        return Err(unknown("finding", name, CAUSES.iter().map(|info| info.name)));
    };
    if json {
        return print_json(&as_json(info));
    }
    let (colour, word) = (style::severity(info.severity), severity(info.severity));
    writeln!(out, "{NAME}{}{NAME:#}  {colour}{word}{colour:#}\n{}\n", info.name, info.summary)?;
    for (head, words) in paragraphs(info) {
        writeln!(out, "{STRONG}{head}{STRONG:#}\n  {words}\n")?;
    }
    Ok(Answer::Yes)
}

/// Prints docs/verdicts.md: the introduction by hand, the rest from the table of causes.
pub fn markdown(out: &mut dyn Write) -> Result<Answer, Failure> {
    out.write_all(include_bytes!("verdicts-intro.md"))?;
    writeln!(out, "\n| finding | severity | what it is |\n|---|---|---|")?;
    for CauseInfo { name, severity: grave, summary, .. } in CAUSES {
        writeln!(out, "| [`{name}`](#{name}) | {} | {summary} |", severity(*grave))?;
    }
    for info in CAUSES {
        writeln!(out, "\n## {}\n\n**{}**", info.name, info.summary)?;
        for (head, words) in paragraphs(info) {
            writeln!(out, "\n*{head}:* {words}")?;
        }
    }
    Ok(Answer::Yes)
}

fn paragraphs(info: &CauseInfo) -> [(&'static str, &'static str); 3] {
    [
        ("How it is recognised", info.recognised),
        ("When the judgement is wrong", info.wrong_when),
        ("How to fix it", info.fix),
    ]
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Unjudged => "unjudged",
        Severity::Advice => "advice",
    }
}

fn as_json(info: &CauseInfo) -> serde_json::Value {
    json!({
        "name": info.name,
        "severity": info.severity,
        "summary": info.summary,
        "recognised": info.recognised,
        "wrong_when": info.wrong_when,
        "fix": info.fix,
    })
}
