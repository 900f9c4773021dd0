//! `carillon user rules`: what becomes of calls for a user.

use std::io::Write;

use carillon_server::call_rules::CallRulesFile;

use crate::answer::{Answer, Failure};
use crate::style::NAME;
use crate::table::{Cell, Column, Table, terminal_width};
use crate::words::clean;

pub(super) fn show(rules: &CallRulesFile, out: &mut dyn Write) -> Result<Answer, Failure> {
    let after =
        rules.after.map_or("nobody answers".to_owned(), |after| format!("nobody answers for {after} s"));
    let rows = [
        ("always", &rules.always),
        ("refused", &rules.busy),
        (after.as_str(), &rules.no_answer),
        ("no phone is signed in", &rules.unreachable),
    ];
    let set = rows.into_iter().filter_map(|(when, to)| Some((when.to_owned(), to.clone()?)));
    let along = rules.along.iter().map(|to| ("at the same time".to_owned(), to.clone()));
    let delegates = rules.delegates.iter().map(|to| ("at the same time, a delegate".to_owned(), to.clone()));
    let rows: Vec<(String, String)> = set.chain(along).chain(delegates).collect();
    if rows.is_empty() {
        writeln!(out, "calls go to the user's phones, and nowhere else")?;
        return Ok(Answer::Yes);
    }
    let mut table = Table::new([Column::left("WHEN"), Column::left("CALLS GO TO").spare(1)]);
    rows.into_iter().for_each(|(when, to)| table.row([when.into(), Cell::styled(clean(&to), NAME)]));
    table.print(out, terminal_width())?;
    Ok(Answer::Yes)
}
