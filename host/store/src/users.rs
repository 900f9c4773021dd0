//! Who may sign in. A password is never kept, only what proves it.

use std::time::Duration;

use carillon_signaling::{Algorithms, Ha1, Number, User};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::audit::{Author, note};
use crate::documents::Document;
use crate::entries::{Entry, entry};
use crate::error::{Error, doing};
use crate::{Store, millis, time};

const PUT: &str = "INSERT INTO users (aor, md5, sha256, algorithms, site, number, created, version)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1) ON CONFLICT (aor) DO UPDATE SET
    md5 = excluded.md5, sha256 = excluded.sha256, algorithms = excluded.algorithms, site = excluded.site,
    number = excluded.number, version = version + 1 RETURNING version";

/// Users with the entry of the directory that they are.
pub(crate) const SELECT: &str = "SELECT users.*, entries.id AS entry_id, entries.dn AS entry_dn,
    entries.name AS entry_name, entries.disabled AS entry_disabled FROM users LEFT JOIN entries USING (aor)";

/// A user with what only administrators need.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserRecord {
    /// The user.
    pub user: User,
    /// When added, since the Unix epoch.
    pub created: Duration,
    /// Counts the changes, from 1.
    pub version: u64,
    /// The entry that it is, if a directory names it.
    pub entry: Option<Entry>,
}

impl UserRecord {
    /// Whether the directory says that this user may not sign in.
    pub fn is_disabled(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.disabled)
    }
}

impl Store {
    /// All users who may sign in.
    pub fn load_users(&self) -> Result<Vec<User>, Error> {
        let records = self.users_after("", usize::MAX)?.into_iter();
        Ok(records.filter(|record| !record.is_disabled()).map(|record| record.user).collect())
    }

    /// At most `limit` users behind this name, in the order of the alphabet.
    pub fn users_after(&self, aor: &str, limit: usize) -> Result<Vec<UserRecord>, Error> {
        let attempt = doing("read users");
        let sql = format!("{SELECT} WHERE aor > ?1 ORDER BY aor LIMIT ?2");
        let mut statement = self.connection.prepare_cached(&sql).map_err(&attempt)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![aor, limit], record).map_err(&attempt)?;
        rows.collect::<Result<_, _>>().map_err(attempt)
    }

    /// The same, each with the number of its contacts that have not run out.
    pub fn users_with_contacts(
        &self,
        aor: &str,
        limit: usize,
        now: Duration,
    ) -> Result<Vec<(UserRecord, u64)>, Error> {
        let attempt = doing("read users");
        let sql = format!(
            "SELECT *, (SELECT count(*) FROM bindings WHERE bindings.aor = found.aor AND expires > ?3) AS contacts
             FROM ({SELECT} WHERE aor > ?1 ORDER BY aor LIMIT ?2) AS found ORDER BY aor"
        );
        let mut statement = self.connection.prepare_cached(&sql).map_err(&attempt)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let with_contacts =
            |row: &Row<'_>| Ok((record(row)?, row.get::<_, i64>("contacts")?.cast_unsigned()));
        let rows = statement.query_map(params![aor, limit, millis(now)], with_contacts).map_err(&attempt)?;
        rows.collect::<Result<_, _>>().map_err(attempt)
    }

    /// One user.
    pub fn user(&self, aor: &str) -> Result<Option<UserRecord>, Error> {
        user_in(&self.connection, aor).map_err(doing("read a user"))
    }

    /// How many there are.
    pub fn count_users(&self) -> Result<u64, Error> {
        let count = self.connection.query_row("SELECT count(*) FROM users", [], |row| row.get::<_, i64>(0));
        count.map(i64::cast_unsigned).map_err(doing("count users"))
    }

    /// Adds a user, or changes one; the version that it has now.
    pub fn put_user(&mut self, user: &User, author: &Author) -> Result<u64, Error> {
        self.import_users(std::slice::from_ref(user), author)
            .map(|versions| versions.last().copied().unwrap_or(0))
    }

    /// Adds or changes all of them in one transaction: all, or after an error none. A number that somebody has is one. Their versions, in order.
    pub fn import_users<'a>(
        &mut self,
        users: impl IntoIterator<Item = &'a User>,
        author: &Author,
    ) -> Result<Vec<u64>, Error> {
        let attempt = doing("save users");
        let transaction = self.connection.transaction().map_err(&attempt)?;
        let versions = put_all(&transaction, users, author)?;
        transaction.commit().map_err(attempt)?;
        Ok(versions)
    }

    /// Removes a user with all that belongs to it; the version that it had, or `None` if there was no such user.
    pub fn remove_user(&mut self, aor: &str, author: &Author) -> Result<Option<u64>, Error> {
        let attempt = doing("remove a user");
        let transaction = self.connection.transaction().map_err(&attempt)?;
        let version = remove(&transaction, aor, author).map_err(&attempt)?;
        transaction.commit().map_err(attempt)?;
        Ok(version)
    }
}

pub(crate) fn user_in(connection: &Connection, aor: &str) -> rusqlite::Result<Option<UserRecord>> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE aor = ?1"))?;
    statement.query_row([aor], record).optional()
}

/// Puts them one by one; a number that somebody else has is an error.
pub(crate) fn put_all<'a>(
    connection: &Connection,
    users: impl IntoIterator<Item = &'a User>,
    author: &Author,
) -> Result<Vec<u64>, Error> {
    let attempt = doing("save users");
    let mut versions = Vec::new();
    for user in users {
        if let Some(owner) = other_owner(connection, user).map_err(&attempt)? {
            let number = user.number.as_ref().map_or(String::new(), Number::to_string);
            return Err(Error::NumberTaken { number, owner });
        }
        versions.push(put(connection, user, author).map_err(&attempt)?);
    }
    Ok(versions)
}

/// Who has the number of a user already.
fn other_owner(connection: &Connection, user: &User) -> rusqlite::Result<Option<String>> {
    let Some(number) = &user.number else { return Ok(None) };
    let sql = "SELECT aor FROM users WHERE number = ?1 AND aor <> ?2";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row(params![number.as_str(), user.aor], |row| row.get(0)).optional()
}

fn put(connection: &Connection, user: &User, author: &Author) -> rusqlite::Result<u64> {
    let values = params![
        user.aor,
        user.ha1.md5,
        user.ha1.sha256,
        user.algorithms.map(word),
        user.site,
        user.number.as_ref().map(Number::as_str),
        millis(author.time),
    ];
    let version: i64 = connection.prepare_cached(PUT)?.query_row(values, |row| row.get(0))?;
    let version = version.cast_unsigned();
    note(
        connection,
        author,
        "user.put",
        &user.aor,
        Some(version - 1).filter(|before| *before > 0),
        Some(version),
    )?;
    Ok(version)
}

fn remove(connection: &Connection, aor: &str, author: &Author) -> rusqlite::Result<Option<u64>> {
    let documents = Document::ALL.map(Document::table);
    for table in ["bindings", "publications", "letters", "entries", "accounts", "history", "histories"]
        .into_iter()
        .chain(documents)
    {
        connection.prepare_cached(&format!("DELETE FROM {table} WHERE aor = ?1"))?.execute([aor])?;
    }
    let version: Option<i64> = connection
        .prepare_cached("DELETE FROM users WHERE aor = ?1 RETURNING version")?
        .query_row([aor], |row| row.get(0))
        .optional()?;
    let version = version.map(i64::cast_unsigned);
    if version.is_some() {
        note(connection, author, "user.remove", aor, version, None)?;
    }
    Ok(version)
}

pub(crate) fn record(row: &Row<'_>) -> rusqlite::Result<UserRecord> {
    let ha1 = Ha1 { md5: row.get("md5")?, sha256: row.get("sha256")? };
    let algorithms: Option<String> = row.get("algorithms")?;
    let algorithms = algorithms.as_deref().and_then(algorithms_of);
    let number: Option<String> = row.get("number")?;
    let number = number.as_deref().and_then(Number::parse);
    let user = User { aor: row.get("aor")?, ha1, algorithms, site: row.get("site")?, number };
    Ok(UserRecord {
        user,
        created: time(row.get("created")?),
        version: row.get::<_, i64>("version")?.cast_unsigned(),
        entry: entry(row)?,
    })
}

/// The word in the column.
fn word(algorithms: Algorithms) -> &'static str {
    match algorithms {
        Algorithms::Md5 => "md5",
        Algorithms::Sha256 => "sha-256",
        Algorithms::Both => "both",
    }
}

fn algorithms_of(word_in_column: &str) -> Option<Algorithms> {
    [Algorithms::Md5, Algorithms::Sha256, Algorithms::Both].into_iter().find(|a| word(*a) == word_in_column)
}
