//! `carillon user contacts`: whom a user watches, and who may watch it.

use std::io::Write;

use carillon_server::rosters::{RosterFile, Word};

use crate::answer::{Answer, Failure};
use crate::style::{FAINT, NAME};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::words::{clean, some};

pub(super) fn show(roster: &RosterFile, out: &mut dyn Write) -> Result<Answer, Failure> {
    let mut contacts =
        Table::new([Column::left("CONTACT"), Column::left("NAME"), Column::left("GROUPS").spare(1)]);
    for row in &roster.contacts {
        let name = row.name.clone().unwrap_or_default();
        contacts.row([
            Cell::styled(&row.address, NAME),
            clean(&name).into(),
            clean(&row.groups.join(", ")).into(),
        ]);
    }
    contacts.print(out, terminal_width())?;
    let mut rules = Table::new([Column::left("WATCHER"), Column::left("IS TREATED").spare(1)]);
    for rule in &roster.rules {
        rules.row([Cell::styled(&rule.watcher, NAME), word(rule.handling).into()]);
    }
    let others = roster.others.map_or("as the server says", word);
    rules.row(["everybody else".into(), others.into()]);
    writeln!(out)?;
    rules.print(out, terminal_width())?;
    writeln!(out, "{FAINT}{}{FAINT:#}", some(roster.contacts.len() as u64, "contact", "contacts"))?;
    Ok(Answer::Yes)
}

fn word(word: Word) -> &'static str {
    carillon_signaling::Handling::from(word).name()
}
