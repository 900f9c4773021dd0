//! The words of lints: `carillon explain lint`.

use std::io::Write;

use carillon_qos::plan::{KINDS, Kind};

use super::unknown;
use crate::answer::{Answer, Failure};
use crate::style::{self, NAME};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::verb::print_json;

/// Lists all lints, in the order of the checks.
pub fn list(json: bool, out: &mut dyn Write) -> Result<Answer, Failure> {
    if json {
        return print_json(&KINDS);
    }
    let mut table = Table::new([Column::left("LINT"), Column::left("LEVEL"), Column::left("WHAT IT IS")]);
    for Kind { code, level, about, .. } in KINDS {
        let level = Cell::styled(style::level_name(*level), style::level(*level));
        table.row([Cell::styled(code, NAME), level, about.into()]);
    }
    table.print(out, terminal_width())?;
    Ok(Answer::Yes)
}

/// Explains one lint.
pub fn one(name: &str, json: bool, out: &mut dyn Write) -> Result<Answer, Failure> {
    let Some(kind) = KINDS.iter().find(|kind| kind.code == name) else {
        return Err(unknown("lint", name, KINDS.iter().map(|kind| kind.code)));
    };
    if json {
        return print_json(kind);
    }
    let colour = style::level(kind.level);
    let level = style::level_name(kind.level);
    writeln!(out, "{NAME}{}{NAME:#}  {colour}{level}{colour:#}\n{}", kind.code, kind.about)?;
    Ok(Answer::Yes)
}
