//! Who changed what: one line per change, in the same transaction as the change itself.

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use crate::error::{Error, doing};
use crate::{Store, millis, time};

/// Who changes something, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Author {
    /// As the audit names him: `uid 1000`.
    pub who: String,
    /// Since the Unix epoch.
    pub time: Duration,
}

/// A change that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEntry {
    /// Counts the changes.
    pub id: u64,
    /// When, since the Unix epoch.
    pub time: Duration,
    /// Who.
    pub who: String,
    /// `user.put`, `user.remove`, `user.enable`, `user.disable`, `user.unlock`, `account.bind`, `account.release`, `roster.put`,
    /// `call-rules.put`, `role.put`, `messages.delete`, `plan.put`, `directory.confirm`; `refused` if nothing was changed; `sign-in.` and why
    /// somebody could not sign in whose password may have been right.
    pub what: String,
    /// Of which user; `plan` for the plan; if it was refused, what was asked for: `PUT /plan`.
    pub object: String,
    /// The object's version before; `None` if it is new.
    pub before: Option<u64>,
    /// The object's version after; `None` if it is gone.
    pub after: Option<u64>,
}

impl Store {
    /// At most `limit` changes older than the one with this id, the newest first; `None` begins with the newest of all.
    pub fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>, Error> {
        let attempt = doing("read the audit");
        let sql = "SELECT * FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql).map_err(&attempt)?;
        let before = before.map_or(i64::MAX, |id| i64::try_from(id).unwrap_or(i64::MAX));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map([before, limit], entry).map_err(&attempt)?;
        rows.collect::<Result<_, _>>().map_err(attempt)
    }
}

impl Store {
    /// Writes down that somebody forgave wrong passwords for a user.
    pub fn note_unlock(&mut self, aor: &str, author: &Author) -> Result<(), Error> {
        note(&self.connection, author, "user.unlock", aor, None, None).map_err(doing("note an unlock"))
    }

    /// Writes down that somebody confirmed that so many users have gone from the directory.
    pub fn note_confirmation(&mut self, users: u64, author: &Author) -> Result<(), Error> {
        note(&self.connection, author, "directory.confirm", &users.to_string(), None, None)
            .map_err(doing("note a confirmation"))
    }

    /// Writes down why somebody could not sign in whose password may have been right: `password-expired`.
    pub fn note_sign_in(&mut self, why: &str, aor: &str, author: &Author) -> Result<(), Error> {
        note(&self.connection, author, &format!("sign-in.{why}"), aor, None, None)
            .map_err(doing("note a sign-in"))
    }

    /// Writes down that somebody asked for what he may not have.
    pub fn note_refusal(&mut self, asked: &str, author: &Author) -> Result<(), Error> {
        note(&self.connection, author, "refused", asked, None, None).map_err(doing("note a refusal"))
    }
}

/// Writes the line of a change.
pub(crate) fn note(
    connection: &Connection,
    author: &Author,
    what: &str,
    object: &str,
    before: Option<u64>,
    after: Option<u64>,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO audit (time, who, what, object, before, after) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (before, after) = (before.map(u64::cast_signed), after.map(u64::cast_signed));
    let values = params![millis(author.time), author.who, what, object, before, after];
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let version = |column| row.get::<_, Option<i64>>(column).map(|value| value.map(i64::cast_unsigned));
    Ok(AuditEntry {
        id: row.get::<_, i64>("id")?.cast_unsigned(),
        time: time(row.get("time")?),
        who: row.get("who")?,
        what: row.get("what")?,
        object: row.get("object")?,
        before: version("before")?,
        after: version("after")?,
    })
}
