//! `carillon user import`: a CSV file of users. Everything is checked before anything is added.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};

use carillon_server::admin::Imported;
use carillon_server::users::NewUser;
use indicatif::{ProgressBar, ProgressStyle};

use super::csv::{Row, rows};
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
    let (mut users, mut mistakes) = parse(&text)?;
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

/// The users of the file, and what is wrong with other rows.
fn parse(text: &str) -> Result<(Vec<Line>, Mistakes), Failure> {
    let mut rows = rows(text).into_iter();
    let head = rows.next().and_then(|row| row.fields.ok()).unwrap_or_default();
    let columns = Columns::of(&head).map_err(Failure::Message)?;
    let (mut users, mut mistakes, mut seen) = (Vec::new(), Mistakes::new(), BTreeMap::new());
    for Row { line, fields } in rows {
        match fields.and_then(|fields| columns.user(fields)) {
            Err(mistake) => drop(mistakes.insert(line, mistake)),
            Ok(user) => match seen.insert(user.name.to_ascii_lowercase(), line) {
                Some(first) => {
                    drop(mistakes.insert(line, format!("`{}` stands in line {first} already", user.name)))
                }
                None => users.push((line, user)),
            },
        }
    }
    Ok((users, mistakes))
}

/// Where the columns stand.
struct Columns {
    count: usize,
    name: usize,
    password: usize,
    site: Option<usize>,
}

impl Columns {
    fn of(head: &[String]) -> Result<Columns, String> {
        let known = ["name", "password", "site"];
        let at = |name: &str| head.iter().position(|column| column.eq_ignore_ascii_case(name));
        let strange =
            head.iter().find(|column| !known.iter().any(|known| column.eq_ignore_ascii_case(known)));
        match (at("name"), at("password"), strange) {
            (Some(name), Some(password), None) => {
                Ok(Columns { count: head.len(), name, password, site: at("site") })
            }
            _ => Err("the first line must name the columns: name,password or name,password,site".to_owned()),
        }
    }

    fn user(&self, fields: Vec<String>) -> Result<NewUser, String> {
        if fields.len() != self.count {
            return Err(format!("has {} fields, not {}", fields.len(), self.count));
        }
        let field = |at: usize| fields.get(at).cloned().unwrap_or_default();
        let site = self.site.map(field).filter(|site| !site.is_empty());
        Ok(NewUser { name: field(self.name), password: field(self.password), site, digest: None })
    }
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
