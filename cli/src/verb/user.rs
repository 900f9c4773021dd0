//! `carillon user`: who may sign in. Passwords are asked for, read from a pipe, or made up; never an argument.

mod contacts;
mod document;
mod import;
mod password;
pub(super) mod reach;
mod rules;
mod show;

use std::io::Write;

use carillon_server::admin::UserRow;
use carillon_server::roles::{RoleFile, UserRole};
use carillon_server::users::{Digest, NewUser};

use super::print_json;
use crate::answer::{Answer, Failure};
use crate::args;
use crate::style::{FAINT, GOOD, NAME};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::words::{clean, date, some};
use reach::Users;

/// Does what was asked about users.
pub fn run(what: args::User, out: &mut dyn Write) -> Result<Answer, Failure> {
    match what {
        args::User::Add(args) => add(args, out),
        args::User::Import { file, skip_bad, server } => import::run(&file, skip_bad, &server, out),
        args::User::Contacts(of) => document::run(&of, "these contacts and rules", contacts::show, out),
        args::User::Rules(of) => document::run(&of, "these call rules", rules::show, out),
        args::User::Number { name, number, none: _, server } => {
            renumber(&name, number.as_deref(), &server, out)
        }
        args::User::Role { name, role, server } => self::role(&name, role.as_deref(), &server, out),
        args::User::Show { name, json, server } => show::run(&name, json, &server, out),
        args::User::Unlock { name, server } => unlock(&name, &server, out),
        args::User::ReleaseAccount { name, server } => release_account(&name, &server, out),
        args::User::ConfirmVanished { users, server } => confirm_vanished(users, &server, out),
        args::User::List { json, server } => list(json, &server, out),
        args::User::Passwd { name, generate, server } => passwd(name, generate, &server, out),
        args::User::Remove { names, server } => remove(&names, &server, out),
    }
}

fn add(args: args::AddUser, out: &mut dyn Write) -> Result<Answer, Failure> {
    let mut users = Users::open(&args.server)?;
    if users.find(&args.name)?.is_some() {
        let name = clean(&args.name);
        let hint = format!("`carillon user passwd {name}` changes the password");
        return Err(Failure::new(format!("there is a user `{name}` already"), hint));
    }
    let password = password::get(&args.name, args.generate)?;
    let digest = args.digest.as_deref().map(digest);
    let new = NewUser {
        name: args.name,
        password: password.text.clone(),
        site: args.site,
        number: args.number,
        digest,
    };
    put(&mut users, new, "added", &password, out)
}

fn passwd(
    name: String,
    generate: bool,
    server: &args::Reach,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let mut users = Users::open(server)?;
    let Some(row) = users.find(&name)? else {
        return Err(Failure::Message(format!("there is no user `{name}`")));
    };
    let password = password::get(&name, generate)?;
    let UserRow { site, number, digest, .. } = row;
    let new = NewUser { name, password: password.text.clone(), site, number, digest };
    put(&mut users, new, "has a new password", &password, out)
}

fn renumber(
    name: &str,
    number: Option<&str>,
    server: &args::Reach,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    Users::open(server)?.put_number(name, number)?;
    let has = number.map_or("has no number".to_owned(), |number| format!("has the number {}", clean(number)));
    writeln!(out, "{NAME}{}{NAME:#} {GOOD}{has}{GOOD:#}", clean(name))?;
    Ok(Answer::Yes)
}

fn put(
    users: &mut Users,
    new: NewUser,
    done: &str,
    password: &password::Password,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let name = clean(&new.name);
    users.put(std::slice::from_ref(&new))?;
    writeln!(out, "{NAME}{name}{NAME:#} {GOOD}{done}{GOOD:#}")?;
    if password.made_up {
        writeln!(out, "password: {NAME}{}{NAME:#}", password.text)?;
    }
    Ok(Answer::Yes)
}

/// Without a role it shows the one that there is.
fn role(
    name: &str,
    role: Option<&str>,
    server: &args::Reach,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let mut users = Users::open(server)?;
    let file = match role.map(UserRole::named) {
        Some(role) => {
            let file = RoleFile { role: role.unwrap_or_default() };
            users.put_document(name, &file)?;
            file
        }
        None => users.document(name)?,
    };
    writeln!(out, "{NAME}{}{NAME:#} {}", clean(name), file.role.name())?;
    Ok(Answer::Yes)
}

fn unlock(name: &str, server: &args::Reach, out: &mut dyn Write) -> Result<Answer, Failure> {
    Users::open(server)?.unlock(name)?;
    writeln!(out, "{NAME}{}{NAME:#} {GOOD}unlocked{GOOD:#}", clean(name))?;
    Ok(Answer::Yes)
}

fn release_account(name: &str, server: &args::Reach, out: &mut dyn Write) -> Result<Answer, Failure> {
    Users::open(server)?.release_account(name)?;
    writeln!(out, "{NAME}{}{NAME:#} {GOOD}signs in by the next account that comes{GOOD:#}", clean(name))?;
    Ok(Answer::Yes)
}

fn confirm_vanished(users: u64, server: &args::Reach, out: &mut dyn Write) -> Result<Answer, Failure> {
    reach::connect(&reach::socket(server)?)?
        .confirm_vanished(users)
        .map_err(|error| Failure::new("nothing is confirmed", error))?;
    let gone = some(users, "user", "users");
    writeln!(out, "{GOOD}confirmed{GOOD:#}: the directory is read again, and {gone} may go")?;
    Ok(Answer::Yes)
}

fn list(json: bool, server: &args::Reach, out: &mut dyn Write) -> Result<Answer, Failure> {
    let rows = Users::open(server)?.all()?;
    if json {
        return print_json(&rows);
    }
    let mut table = Table::new([
        Column::left("USER"),
        Column::right("SIGNED IN"),
        Column::left("NUMBER"),
        Column::left("SITE"),
        Column::left("DIGEST"),
        Column::left("STATE"),
        Column::left("ADDED").spare(1),
    ]);
    rows.iter().for_each(|row| table.row(cells(row)));
    table.print(out, terminal_width())?;
    writeln!(out, "{FAINT}{}{FAINT:#}", some(rows.len() as u64, "user", "users"))?;
    Ok(Answer::Yes)
}

/// What keeps somebody from signing in as this user.
fn state(row: &UserRow) -> &'static str {
    match (row.disabled, row.locked) {
        (true, _) => "disabled",
        (_, 1..) => "locked",
        _ => "",
    }
}

fn cells(row: &UserRow) -> [Cell; 7] {
    [
        Cell::styled(&row.name, NAME),
        row.contacts.to_string().into(),
        row.number.clone().unwrap_or_default().into(),
        row.site.clone().unwrap_or_default().into(),
        digest_word(row.digest).into(),
        state(row).into(),
        date((row.created * 1e9) as i64).into(),
    ]
}

fn remove(names: &[String], server: &args::Reach, out: &mut dyn Write) -> Result<Answer, Failure> {
    let mut users = Users::open(server)?;
    let mut answer = Answer::Yes;
    for name in names {
        let shown = clean(name);
        if users.remove(name)? {
            writeln!(out, "{NAME}{shown}{NAME:#} {GOOD}removed{GOOD:#}")?;
        } else {
            writeln!(out, "there is no user `{shown}`")?;
            answer = Answer::No;
        }
    }
    Ok(answer)
}

fn digest_word(digest: Option<Digest>) -> &'static str {
    match digest {
        None => "",
        Some(Digest::Md5) => "md5",
        Some(Digest::Sha256) => "sha-256",
        Some(Digest::Both) => "both",
    }
}

fn digest(word: &str) -> Digest {
    match word {
        "sha-256" => Digest::Sha256,
        "both" => Digest::Both,
        _ => Digest::Md5,
    }
}
