//! Users whom a directory names: which of its entries each is, and what it says of them beside what every user has.

use std::path::Path;
use std::time::Duration;

use carillon_signaling::{Ha1, Number, User};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use crate::Store;
use crate::accounts::release;
use crate::audit::{Author, note};
use crate::error::{Error, doing};
use crate::history;
use crate::users::{SELECT, UserRecord, put_all, record, user_in};

/// An entry of a directory, and the user that it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Whose: `alice@example.com`.
    pub aor: String,
    /// Names the entry for ever, whatever it is called.
    pub id: String,
    /// What it is called there now: its distinguished name.
    pub dn: String,
    /// What people call the user.
    pub name: Option<String>,
    /// Whether it may not sign in, by the word of the directory or because it is not there any more.
    pub disabled: bool,
}

/// What a directory says of a user: all that it may change here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// The entry.
    pub entry: Entry,
    /// By which number the user is called.
    pub number: Option<Number>,
    /// Whether it is not there any more: then it is no reason for a user here.
    pub gone: bool,
    /// Hashes that no password has, for who is not known yet, or was somebody else before.
    pub unproven: Ha1,
}

/// A user as a search shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// `alice@example.com`.
    pub aor: String,
    /// What people call the user.
    pub name: Option<String>,
    /// By which it is called.
    pub number: Option<String>,
}

/// Reads users beside the server, by as many as like.
#[derive(Debug)]
pub struct UserReader(Connection);

const PUT: &str = "INSERT INTO entries (aor, id, dn, name, disabled) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (aor) DO UPDATE SET id = excluded.id, dn = excluded.dn, name = excluded.name, disabled = excluded.disabled";

/// Users who may sign in and of whose address, number, or any word of whose name this is the beginning.
const SEARCH: &str = "SELECT users.aor, entries.name, number FROM users LEFT JOIN entries USING (aor)
    WHERE NOT ifnull(disabled, 0) AND (users.aor LIKE ?1 || '%' ESCAPE '\\' OR number LIKE ?1 || '%' ESCAPE '\\'
    OR entries.name LIKE ?1 || '%' ESCAPE '\\' OR entries.name LIKE '% ' || ?1 || '%' ESCAPE '\\')
    ORDER BY users.aor LIMIT ?2";

impl Store {
    /// Adds users whom a directory names, or changes what it says of them and nothing else, whatever the caller has seen of
    /// them before: all of them, or after an error none. An administrator's users are left alone. Each who was put, as it was
    /// before and is now.
    pub fn put_entries(
        &mut self,
        named: &[Named],
        author: &Author,
    ) -> Result<Vec<(Option<UserRecord>, UserRecord)>, Error> {
        let attempt = doing("save users of the directory");
        let transaction = self.connection.transaction().map_err(&attempt)?;
        let mut all = Vec::new();
        for named in named {
            let before = user_in(&transaction, &named.entry.aor).map_err(&attempt)?;
            let Some(user) = named.user(before.as_ref()) else { continue };
            put_all(&transaction, [&user], author)?;
            put(&transaction, &named.entry, author).map_err(&attempt)?;
            if named.is_another_than(before.as_ref()) {
                release(&transaction, &user.aor, author).map_err(&attempt)?;
                history::clear(&transaction, &user.aor).map_err(&attempt)?;
            }
            let now = user_in(&transaction, &user.aor).map_err(&attempt)?;
            all.extend(now.map(|now| (before, now)));
        }
        transaction.commit().map_err(attempt)?;
        Ok(all)
    }
}

impl Named {
    /// The user who was there before with what the directory says; `None` if it has no say.
    fn user(&self, before: Option<&UserRecord>) -> Option<User> {
        let (aor, number) = (self.entry.aor.clone(), self.number.clone());
        let unproven = || self.unproven.clone();
        match before {
            Some(record) if record.entry.is_none() => None,
            Some(record) if self.is_another_than(before) => {
                Some(User { number, ha1: unproven(), ..record.user.clone() })
            }
            Some(record) => Some(User { number, ..record.user.clone() }),
            None if self.gone => None,
            None => Some(User { aor, ha1: unproven(), algorithms: None, site: None, number }),
        }
    }

    /// Whether somebody else has had the address.
    fn is_another_than(&self, before: Option<&UserRecord>) -> bool {
        before.and_then(|record| record.entry.as_ref()).is_some_and(|entry| entry.id != self.entry.id)
    }
}

impl UserReader {
    /// Opens the file of the store to read it.
    pub fn open(path: &Path) -> Result<UserReader, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let attempt = doing("open the users");
        let connection = Connection::open_with_flags(path, flags).map_err(&attempt)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(attempt)?;
        Ok(UserReader(connection))
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.0
    }

    /// Everybody, in the order of the alphabet.
    pub fn all(&self) -> Result<Vec<UserRecord>, Error> {
        let attempt = doing("read users");
        let mut statement = self.0.prepare(&format!("{SELECT} ORDER BY aor")).map_err(&attempt)?;
        let rows = statement.query_map([], record).map_err(&attempt)?;
        rows.collect::<Result<_, _>>().map_err(attempt)
    }

    /// At most so many of whom this is the beginning of the address, the number, or a word of the name.
    pub fn search(&self, beginning: &str, limit: usize) -> Result<Vec<Listed>, Error> {
        let attempt = doing("search users");
        let literal: String = beginning
            .chars()
            .flat_map(|c| "\\%_".contains(c).then_some('\\').into_iter().chain([c]))
            .collect();
        let mut statement = self.0.prepare(SEARCH).map_err(&attempt)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let listed = |row: &Row<'_>| Ok(Listed { aor: row.get(0)?, name: row.get(1)?, number: row.get(2)? });
        let rows = statement.query_map(params![literal, limit], listed).map_err(&attempt)?;
        rows.collect::<Result<_, _>>().map_err(attempt)
    }
}

/// The entry in a row of users, if it is one of a directory.
pub(crate) fn entry(row: &Row<'_>) -> rusqlite::Result<Option<Entry>> {
    let Some(id) = row.get("entry_id")? else { return Ok(None) };
    let (dn, name, disabled) = (row.get("entry_dn")?, row.get("entry_name")?, row.get("entry_disabled")?);
    Ok(Some(Entry { aor: row.get("aor")?, id, dn, name, disabled }))
}

fn put(connection: &Connection, entry: &Entry, author: &Author) -> rusqlite::Result<()> {
    let mut before = connection.prepare_cached("SELECT disabled FROM entries WHERE aor = ?1")?;
    let before: Option<bool> = before.query_row([&entry.aor], |row| row.get(0)).optional()?;
    let values = params![entry.aor, entry.id, entry.dn, entry.name, entry.disabled];
    connection.prepare_cached(PUT)?.execute(values)?;
    match (before.unwrap_or(false), entry.disabled) {
        (false, true) => note(connection, author, "user.disable", &entry.aor, None, None),
        (true, false) => note(connection, author, "user.enable", &entry.aor, None, None),
        _ => Ok(()),
    }
}
