//! Instant messages that users may read again: written with what the turn promises, read beside it, bounded for each user.

use std::time::Duration;

use carillon_signaling::{HistoryEntry, HistoryReceipt, Receipt};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::audit::{Author, note};
use crate::error::{Error, doing};
use crate::{Store, UserReader, millis, time};

/// A user may have been removed while the message was on its way.
const REMEMBER: &str = "INSERT INTO history (aor, peer, sent, time, name, media_type, body)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS (SELECT 1 FROM users WHERE aor = ?1)";
const COUNT: &str = "INSERT INTO histories VALUES (?1, 1, 1) ON CONFLICT (aor) DO UPDATE SET
    version = version + 1, messages = messages + 1 RETURNING messages";
const OLDEST: &str =
    "DELETE FROM history WHERE id IN (SELECT id FROM history WHERE aor = ?1 ORDER BY id LIMIT ?2)";
/// So many go at once of what is too old.
const PART: i64 = 100;

/// A message as its user reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryRow {
    /// Tells messages apart; later ones are greater.
    pub id: u64,
    /// With whom.
    pub peer: String,
    /// Whether the user has sent it.
    pub sent: bool,
    /// When it came, since the Unix epoch.
    pub time: Duration,
    /// Its media type with parameters.
    pub media_type: String,
    /// What there is to read.
    pub body: Vec<u8>,
    /// When a receipt said that it had been delivered.
    pub delivered: Option<Duration>,
    /// When a receipt said that it had been shown.
    pub displayed: Option<Duration>,
}

/// Which messages of a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryQuery {
    /// Whose: `alice@example.com`.
    pub aor: String,
    /// With this one only.
    pub peer: Option<String>,
    /// That came then or later, since the Unix epoch.
    pub since: Duration,
    /// With smaller ids than this.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Messages, the newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HistoryPage {
    /// Counts the changes of this history; 0 before there was one.
    pub version: u64,
    /// The messages.
    pub rows: Vec<HistoryRow>,
    /// What `before` is for the next page; `None` after the last.
    pub next: Option<u64>,
}

/// The size of a user's history, and no word of what is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HistorySize {
    /// Counts the changes; 0 before there was one.
    pub version: u64,
    /// How many messages there are.
    pub messages: u64,
}

impl UserReader {
    /// The messages that are asked for.
    pub fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, Error> {
        let attempt = doing("read messages");
        // One view of both: what is counted is what is shown.
        let view = self.connection().unchecked_transaction().map_err(&attempt)?;
        let version = size(&view, &query.aor).map_err(&attempt)?.version;
        let sql =
            "SELECT * FROM history WHERE aor = ?1 AND (?2 IS NULL OR peer = ?2) AND id < ?3 AND time >= ?4
            ORDER BY id DESC LIMIT ?5";
        let mut statement = view.prepare(sql).map_err(&attempt)?;
        let before = query.before.map_or(i64::MAX, |id| i64::try_from(id).unwrap_or(i64::MAX));
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let values = params![query.aor, query.peer, before, millis(query.since), limit];
        let rows = statement.query_map(values, row).map_err(&attempt)?;
        let rows: Vec<HistoryRow> = rows.collect::<Result<_, _>>().map_err(attempt)?;
        let next = rows.last().filter(|_| rows.len() == query.limit).map(|row| row.id);
        Ok(HistoryPage { version, rows, next })
    }
}

impl Store {
    /// The size of a user's history.
    pub fn history_size(&self, aor: &str) -> Result<HistorySize, Error> {
        size(&self.connection, aor).map_err(doing("count messages"))
    }

    /// Deletes a user's history, or what of it is with one other; the version that it has then.
    pub fn delete_history(&mut self, aor: &str, peer: Option<&str>, author: &Author) -> Result<u64, Error> {
        let attempt = doing("delete messages");
        let transaction = self.connection.transaction().map_err(&attempt)?;
        let before = size(&transaction, aor).map_err(&attempt)?.version;
        let sql = "DELETE FROM history WHERE aor = ?1 AND (?2 IS NULL OR peer = ?2)";
        let gone = transaction.execute(sql, params![aor, peer]).map_err(&attempt)?;
        if gone > 0 {
            fewer(&transaction, aor, gone).map_err(&attempt)?;
            note(&transaction, author, "messages.delete", aor, Some(before), Some(before + 1))
                .map_err(&attempt)?;
        }
        transaction.commit().map_err(attempt)?;
        Ok(before + u64::from(gone > 0))
    }

    /// At most `limit` users behind this name who have messages, each with its site.
    pub fn history_users(&self, behind: &str, limit: usize) -> Result<Vec<(String, Option<String>)>, Error> {
        let attempt = doing("read whose messages there are");
        let sql = "SELECT aor, site FROM histories JOIN users USING (aor) WHERE aor > ?1 AND messages > 0
            ORDER BY aor LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql).map_err(&attempt)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![behind, limit], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.map_err(&attempt)?.collect::<Result<_, _>>().map_err(attempt)
    }

    /// Deletes of each user's messages some that came before a moment; how many in all.
    pub fn forget_messages(&mut self, users: &[(String, Duration)]) -> Result<usize, Error> {
        let attempt = doing("forget old messages");
        let transaction = self.connection.transaction().map_err(&attempt)?;
        let mut gone = 0;
        for (aor, oldest) in users {
            gone += forget(&transaction, aor, millis(*oldest)).map_err(&attempt)?;
        }
        transaction.commit().map_err(attempt)?;
        Ok(gone)
    }
}

/// Keeps a message, and lets the oldest go if there are too many.
pub(crate) fn remember(connection: &Connection, entry: &HistoryEntry) -> rusqlite::Result<()> {
    let HistoryEntry { aor, peer, sent, at, id, media_type, body, most } = entry;
    let values = params![&**aor, &**peer, sent, millis(*at), id, media_type, body];
    if connection.prepare_cached(REMEMBER)?.execute(values)? == 0 {
        return Ok(());
    }
    let messages: i64 = connection.prepare_cached(COUNT)?.query_row([&**aor], |row| row.get(0))?;
    let most = i64::try_from(*most).unwrap_or(i64::MAX);
    if messages > most {
        let gone = connection.prepare_cached(OLDEST)?.execute(params![&**aor, messages - most])?;
        fewer(connection, aor, gone)?;
    }
    Ok(())
}

/// Writes down what has become of a message; the first receipt of a kind counts.
pub(crate) fn receipt(connection: &Connection, receipt: &HistoryReceipt) -> rusqlite::Result<()> {
    let HistoryReceipt { aor, peer, sent, id, receipt, at } = receipt;
    let column = match receipt {
        Receipt::Delivered => "delivered",
        Receipt::Displayed => "displayed",
    };
    let sql = format!(
        "UPDATE history SET {column} = ?1 WHERE aor = ?2 AND name = ?3 AND peer = ?4 AND sent = ?5 AND {column} IS NULL"
    );
    let values = params![millis(*at), &**aor, id, &**peer, sent];
    match connection.prepare_cached(&sql)?.execute(values)? {
        0 => Ok(()),
        _ => fewer(connection, aor, 0),
    }
}

/// Somebody else has the address now, and does not read what the one before was told.
pub(crate) fn clear(connection: &Connection, aor: &str) -> rusqlite::Result<()> {
    match connection.prepare_cached("DELETE FROM history WHERE aor = ?1")?.execute([aor])? {
        0 => Ok(()),
        gone => fewer(connection, aor, gone),
    }
}

fn size(connection: &Connection, aor: &str) -> rusqlite::Result<HistorySize> {
    let mut statement =
        connection.prepare_cached("SELECT version, messages FROM histories WHERE aor = ?1")?;
    let number = |row: &Row<'_>, column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let read = |row: &Row<'_>| Ok(HistorySize { version: number(row, 0)?, messages: number(row, 1)? });
    Ok(statement.query_row([aor], read).optional()?.unwrap_or_default())
}

/// The oldest is looked at first: mostly there is nothing to do.
fn forget(connection: &Connection, aor: &str, oldest: i64) -> rusqlite::Result<usize> {
    let sql = "SELECT time FROM history WHERE aor = ?1 ORDER BY id LIMIT 1";
    let first: Option<i64> = connection.prepare_cached(sql)?.query_row([aor], |row| row.get(0)).optional()?;
    if first.is_none_or(|first| first >= oldest) {
        return Ok(0);
    }
    let gone =
        connection.prepare_cached(&format!("{OLDEST} AND time < ?3"))?.execute(params![aor, PART, oldest])?;
    fewer(connection, aor, gone)?;
    Ok(gone)
}

/// A history has changed, and has so many messages less.
fn fewer(connection: &Connection, aor: &str, gone: usize) -> rusqlite::Result<()> {
    let sql = "UPDATE histories SET version = version + 1, messages = messages - ?2 WHERE aor = ?1";
    let gone = i64::try_from(gone).unwrap_or(i64::MAX);
    connection.prepare_cached(sql)?.execute(params![aor, gone]).map(drop)
}

fn row(row: &Row<'_>) -> rusqlite::Result<HistoryRow> {
    let moment = |column| row.get::<_, Option<i64>>(column).map(|millis| millis.map(time));
    Ok(HistoryRow {
        id: row.get::<_, i64>("id")?.cast_unsigned(),
        peer: row.get("peer")?,
        sent: row.get("sent")?,
        time: time(row.get("time")?),
        media_type: row.get("media_type")?,
        body: row.get("body")?,
        delivered: moment("delivered")?,
        displayed: moment("displayed")?,
    })
}
