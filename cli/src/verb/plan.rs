//! `carillon plan`: presets, show, lint, diff, export, import, check, bandwidth.

mod bandwidth;
mod check;
mod export;
mod import;
mod show;

use std::io::Write;

use carillon_qos::Plan;
use carillon_qos::plan::{Difference, Level, Lint, PRESETS};
use serde_json::json;

use super::print_json;
use crate::answer::{Answer, Failure};
use crate::args;
use crate::plans;
use crate::style::{self, BAD, FAINT, GOOD, NAME};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::words::{clean, some};

/// Does what was asked about plans.
pub fn run(what: &args::Plan, out: &mut dyn Write) -> Result<Answer, Failure> {
    match what {
        args::Plan::Presets { json } => presets(*json, out),
        args::Plan::Show(args) => show::run(args, out),
        args::Plan::Lint { plans, json } => lint(plans, *json, out),
        args::Plan::Export(args) => export::run(args, out),
        args::Plan::Import(args) => import::run(args, out),
        args::Plan::Check(args) => check::run(args, out),
        args::Plan::Bandwidth { plan, json } => bandwidth::run(plan.as_deref(), *json, out),
        args::Plan::Diff { before, after, json } => diff(before, after, *json, out),
    }
}

fn presets(json: bool, out: &mut dyn Write) -> Result<Answer, Failure> {
    let plans: Vec<Plan> = PRESETS.iter().filter_map(|preset| Plan::preset(preset.name)).collect();
    if json {
        let all: Vec<_> =
            plans.iter().map(|plan| json!({ "name": plan.name(), "title": plan.title() })).collect();
        return print_json(&all);
    }
    let mut table = Table::new([Column::left("PRESET"), Column::left("WHAT IT IS")]);
    plans.iter().for_each(|plan| table.row([Cell::styled(plan.name(), NAME), plan.title().into()]));
    table.print(out, terminal_width())?;
    writeln!(out, "{FAINT}carillon plan show PRESET --toml prints one to edit{FAINT:#}")?;
    Ok(Answer::Yes)
}

fn lint(names: &[String], json: bool, out: &mut dyn Write) -> Result<Answer, Failure> {
    let mut checked: Vec<(&String, Vec<Lint>)> = Vec::new();
    for name in names {
        checked.push((name, plans::load(name)?.lint()));
    }
    if json {
        let all: Vec<_> =
            checked.iter().map(|(name, lints)| json!({ "plan": name, "lints": lints })).collect();
        print_json(&all)?;
    } else {
        checked.iter().try_for_each(|(name, lints)| print_lints(name, lints, out))?;
    }
    let broken = checked.iter().flat_map(|(_, lints)| lints).any(|lint| lint.level == Level::Error);
    Ok(if broken { Answer::No } else { Answer::Yes })
}

fn print_lints(name: &str, lints: &[Lint], out: &mut dyn Write) -> Result<(), Failure> {
    for Lint { code, level, text, .. } in lints {
        let (colour, word) = (style::level(*level), style::level_name(*level));
        writeln!(out, "{}: {colour}{word}{colour:#} {NAME}{code}{NAME:#}: {}", clean(name), clean(text))?;
    }
    let number = |level| lints.iter().filter(|lint| lint.level == level).count() as u64;
    let errors = number(Level::Error);
    let colour = if errors == 0 { GOOD } else { BAD };
    let warnings = some(number(Level::Warning), "warning", "warnings");
    let advice = some(number(Level::Advice), "piece of advice", "pieces of advice");
    writeln!(
        out,
        "{}: {colour}{}{colour:#}, {warnings}, {advice}",
        clean(name),
        some(errors, "error", "errors")
    )?;
    Ok(())
}

fn diff(before: &str, after: &str, json: bool, out: &mut dyn Write) -> Result<Answer, Failure> {
    let differences = plans::load(before)?.diff(&plans::load(after)?);
    if json {
        print_json(&differences)?;
    } else {
        differences.iter().try_for_each(|difference| print_difference(difference, out))?;
    }
    let same = differences.iter().all(Difference::unchanged);
    if same && !json {
        writeln!(out, "{GOOD}no difference{GOOD:#}")?;
    }
    Ok(if same { Answer::Yes } else { Answer::No })
}

fn print_difference(difference: &Difference, out: &mut dyn Write) -> std::io::Result<()> {
    let path = clean(&difference.path);
    let value = |value: &Option<String>| value.as_deref().map_or("not set".to_owned(), clean);
    if difference.unchanged() {
        return writeln!(out, "{FAINT}{path}: {} (unchanged){FAINT:#}", value(&difference.after));
    }
    let (before, after) = (value(&difference.before), value(&difference.after));
    writeln!(out, "{NAME}{path}{NAME:#}: {BAD}{before}{BAD:#} \u{2192} {GOOD}{after}{GOOD:#}")
}
