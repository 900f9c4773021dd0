//! `carillon user import`: a CSV file of users. Everything is checked before anything is added.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};

use carillon_server::admin::Imported;
use carillon_server::users::{NewUser, UserList};
use indicatif::{ProgressBar, ProgressStyle};

use super::reach::Users;
use crate::answer::{Answer, Failure};
use crate::args;
use crate::style::{BAD, DOUBT, GOOD};
use crate::words::{clean, some};

/// Users of one request: between two requests the server has its turns.
const CHUNK: usize = 1000;
/// Mistakes that are printed; the others are only counted.
const SHOWN: usize = 50;

/// A user and the line it stands in.
type Line = (usize, NewUser);
/// What is wrong, by line.
type Mistakes = BTreeMap<usize, String>;

/// Imports a file.
pub(super) fn run(
    file: &str,
    skip_bad: bool,
    server: &args::Reach,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let text = read(file)?;
    let UserList { mut users, mut mistakes } = UserList::read(&text).map_err(Failure::Message)?;
    let mut directory = Users::open(server)?;
    check(&mut directory, &mut users, &mut mistakes)?;
    for (line, mistake) in mistakes.iter().take(SHOWN) {
        writeln!(out, "line {line}: {}", clean(mistake))?;
    }
    let wrong = some(mistakes.len() as u64, "row is", "rows are");
    if !mistakes.is_empty() && !skip_bad {
        writeln!(out, "{BAD}{wrong} wrong; nothing was imported{BAD:#} (--skip-bad leaves them out)")?;
        return Ok(Answer::No);
    }
    let imported = put(&mut directory, &users)?;
    if !mistakes.is_empty() {
        writeln!(out, "{DOUBT}{wrong} wrong and left out{DOUBT:#}")?;
    }
    let (added, changed) = (some(imported.added as u64, "user", "users"), imported.changed);
    writeln!(out, "{GOOD}{added} added{GOOD:#}, {changed} changed")?;
    Ok(if mistakes.is_empty() { Answer::Yes } else { Answer::No })
}

fn read(file: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match file {
        "-" => io::stdin().read_to_string(&mut text).map(|_| text),
        file => fs::read_to_string(file),
    };
    read.map_err(|error| Failure::new(format!("cannot read `{file}`"), error))
}

/// Moves what the server would refuse from the users to the mistakes.
fn check(directory: &mut Users, users: &mut Vec<Line>, mistakes: &mut Mistakes) -> Result<(), Failure> {
    let new: Vec<NewUser> = users.iter().map(|(_, user)| user.clone()).collect();
    let mut wrong = Vec::new();
    for (number, chunk) in new.chunks(CHUNK).enumerate() {
        let refused = directory.check(chunk)?;
        wrong.extend(refused.into_iter().map(|(at, reason)| (number * CHUNK + at, reason)));
    }
    for (at, reason) in wrong.into_iter().rev() {
        let (line, _) = users.remove(at);
        mistakes.insert(line, reason);
    }
    Ok(())
}

fn put(directory: &mut Users, users: &[Line]) -> Result<Imported, Failure> {
    let bar = bar(users.len());
    let mut all = Imported::default();
    for chunk in users.chunks(CHUNK) {
        let new: Vec<NewUser> = chunk.iter().map(|(_, user)| user.clone()).collect();
        match directory.put(&new) {
            Ok(imported) => all = all.and(&imported),
            Err(failure) => return Err(interrupted(&all, users, failure)),
        }
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    Ok(all)
}

/// What is stored stays: importing the same file again changes those users to what they are.
fn interrupted(all: &Imported, users: &[Line], failure: Failure) -> Failure {
    let Failure::Message(why) = failure else { return failure };
    let behind = users.get(all.stored()).map_or(0, |(line, _)| *line);
    Failure::Message(format!(
        "{why}\nthe import was interrupted: at least {} of {} are stored, those before line {behind}; \
         import the same file again when this works",
        all.stored(),
        some(users.len() as u64, "user", "users")
    ))
}

/// Only on a terminal, and not for what is done in a blink.
fn bar(users: usize) -> ProgressBar {
    if users < 10 * CHUNK || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} users, {eta} left");
    ProgressBar::new(users as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
