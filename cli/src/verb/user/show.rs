//! `carillon user show`: all that is known of one user.

use std::io::Write;

use carillon_server::admin::{AccountRow, LockRow, UserRow};
use serde_json::json;

use super::reach::Users;
use super::{digest_word, print_json};
use crate::answer::{Answer, Failure};
use crate::args;
use crate::style::{DOUBT, NAME};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::words::{clean, date};

pub(super) fn run(
    name: &str,
    json: bool,
    server: &args::Reach,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let mut users = Users::open(server)?;
    let Some(row) = users.find(name)? else {
        return Err(Failure::Message(format!("there is no user `{}`", clean(name))));
    };
    let (locks, account) = (users.locks(name)?, users.account(name)?);
    if json {
        return print_json(&json!({ "user": row, "locks": locks, "account": account }));
    }
    let mut table = Table::new([Column::left("USER"), Column::left("")]);
    rows(&row).into_iter().for_each(|(what, is)| table.row([what.into(), Cell::styled(is, NAME)]));
    if let Some(AccountRow { issuer, subject }) = account {
        table.row([
            "account".into(),
            Cell::styled(format!("{} at {}", clean(&subject), clean(&issuer)), NAME),
        ]);
    }
    table.print(out, terminal_width())?;
    for LockRow { source, until } in locks {
        let until = date((until * 1e9) as i64);
        let who = source.map_or_else(
            || "wherever the user has not signed in yet".to_owned(),
            |source| source.to_string(),
        );
        writeln!(out, "{DOUBT}locked out until {until}: {who}{DOUBT:#}")?;
    }
    Ok(Answer::Yes)
}

fn rows(row: &UserRow) -> Vec<(&'static str, String)> {
    let source = match (row.directory, row.disabled) {
        (true, true) => "the directory, which says that it may not sign in",
        (true, false) => "the directory",
        _ => "this server",
    };
    let all = [
        ("address", Some(row.name.clone())),
        ("name", row.display.as_deref().map(clean)),
        ("from", Some(source.to_owned())),
        ("number", row.number.clone()),
        ("site", row.site.as_deref().map(clean)),
        ("digest", Some(digest_word(row.digest).to_owned()).filter(|word| !word.is_empty())),
        ("phones signed in", Some(row.contacts.to_string())),
        ("added", Some(date((row.created * 1e9) as i64))),
        ("version", Some(row.version.to_string())),
    ];
    all.into_iter().filter_map(|(what, is)| Some((what, is?))).collect()
}
