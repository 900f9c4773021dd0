//! `carillon plan check`: what is deployed, against the plan, rule by rule.

use std::io::Write;

use carillon_qos::drift::{self, Line, State};
use carillon_qos::plan::{Level, Lint, Scope};
use serde::Serialize;

use super::import::read_all;
use crate::answer::{Answer, Failure};
use crate::args::Check;
use crate::plans;
use crate::style::{BAD, DOUBT, FAINT, GOOD, NAME};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::verb::print_json;
use crate::words::{clean, some};

/// Compares; yes if everything planned is deployed and nothing else. Files that say nothing of ports and marks are no
/// answer.
pub(super) fn run(args: &Check, out: &mut dyn Write) -> Result<Answer, Failure> {
    let plan = plans::load(&args.plan)?;
    let scope: Scope = plans::scope(&plan, &args.scope)?;
    let deployed = read_all(&args.files)?;
    let lines = drift::compare(&plan, &scope, args.role, &deployed);
    let lints = drift::lints(&plan, &scope, args.role, &deployed);
    // What is wrong whatever the plan is no small thing: two classes in one queue are one class.
    let sound = lints.iter().all(|lint| lint.level == Level::Advice);
    let deviates = !sound || lines.iter().any(deviates);
    let verdict = match lines.is_empty() && lints.is_empty() {
        true => Verdict::Nothing,
        false if deviates => Verdict::Otherwise,
        false if lines.iter().any(is_open) => Verdict::Open,
        false => Verdict::Kept,
    };
    if args.json {
        let kept = verdict == Verdict::Kept;
        print_json(&Checked { plan: plan.name(), kept, lines: &lines, lints: &lints })?;
    } else {
        print(&lines, out)?;
        super::print_lints("what is deployed", &lints, out)?;
        conclude(plan.name(), &lines, verdict, out)?;
    }
    Ok(match verdict {
        Verdict::Kept => Answer::Yes,
        Verdict::Otherwise => Answer::No,
        Verdict::Open | Verdict::Nothing => Answer::Unknown,
    })
}

/// What the comparison comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// All is as planned.
    Kept,
    /// Something is otherwise.
    Otherwise,
    /// Something could not be judged, and the rest is as planned.
    Open,
    /// There was nothing to compare.
    Nothing,
}

/// What a device cannot be told is no deviation of its file.
fn deviates(line: &Line) -> bool {
    !matches!(line.state, State::Match | State::Cannot)
}

/// What could not be judged, and could be if something were done about it.
fn is_open(line: &Line) -> bool {
    line.state == State::Cannot && line.fix.is_some()
}

#[derive(Serialize)]
struct Checked<'a> {
    plan: &'a str,
    /// Whether everything matches.
    kept: bool,
    lines: &'a [Line],
    /// What is wrong with it whatever the plan.
    lints: &'a [Lint],
}

fn print(lines: &[Line], out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = Table::new([
        Column::left("STATE"),
        Column::left("WHAT"),
        Column::left("PLANNED"),
        Column::left("DEPLOYED"),
        Column::left("WHERE"),
    ]);
    for line in lines {
        let (style, word) = match line.state {
            State::Match => (GOOD, "match"),
            State::Missing => (BAD, "missing"),
            State::Different => (BAD, "different"),
            State::Extra => (DOUBT, "extra"),
            State::Cannot => (DOUBT, "cannot"),
        };
        let text = |text: &Option<String>| text.as_deref().map_or("\u{2013}".to_owned(), clean);
        let place = [clean(&line.source), clean(&line.place)].join(" ");
        table.row([
            Cell::styled(word, style),
            Cell::styled(clean(&line.what), NAME),
            text(&line.planned).into(),
            text(&line.deployed).into(),
            place.trim().to_owned().into(),
        ]);
    }
    table.print(out, terminal_width())?;
    for line in lines {
        let why = line.note.as_ref().filter(|_| line.state == State::Cannot);
        if let Some(text) = line.fix.as_ref().or(why) {
            writeln!(out, "{NAME}{}{NAME:#}: {}", clean(&line.what), clean(text))?;
        }
    }
    Ok(())
}

fn conclude(plan: &str, lines: &[Line], verdict: Verdict, out: &mut dyn Write) -> Result<(), Failure> {
    let plan = clean(plan);
    let wrong = lines.iter().filter(|line| deviates(line)).count() as u64;
    let open = lines.iter().filter(|line| is_open(line)).count() as u64;
    let unjudged = some(open, "thing could not be judged", "things could not be judged");
    match verdict {
        Verdict::Nothing => writeln!(
            out,
            "{DOUBT}nothing here sets a port or a mark{DOUBT:#}: with --role, what hosts of that role lack is listed"
        )?,
        Verdict::Kept => writeln!(out, "{GOOD}as planned{GOOD:#} {FAINT}by {plan}{FAINT:#}")?,
        Verdict::Open => writeln!(out, "{DOUBT}{unjudged}{DOUBT:#}, the rest is as {plan} says: see above")?,
        Verdict::Otherwise if wrong == 0 => {
            writeln!(out, "{BAD}as {plan} says, but wrong by itself{BAD:#}: see above")?;
        }
        Verdict::Otherwise => {
            let also = if open == 0 { String::new() } else { format!("; {unjudged}") };
            writeln!(out, "{BAD}{}{BAD:#} from {plan}{also}", some(wrong, "deviation", "deviations"))?;
        }
    }
    Ok(())
}
