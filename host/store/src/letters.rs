//! Messages that wait for their users: written before the 202 that promises their delivery.

use std::sync::Arc;
use std::time::Duration;

use carillon_signaling::Letter;
use rusqlite::{Connection, Row, params};

use crate::error::{Error, doing};
use crate::{Store, millis, time};

const KEEP: &str = "INSERT OR REPLACE INTO letters VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const FORGET: &str = "DELETE FROM letters WHERE aor = ?1 AND key = ?2";

impl Store {
    /// The messages that have not run out.
    pub fn load_letters(&self, now: Duration) -> Result<Vec<Letter>, Error> {
        let attempt = doing("read messages that wait");
        let sql = "SELECT * FROM letters WHERE expires > ?1 ORDER BY aor, key";
        let mut statement = self.connection.prepare_cached(sql).map_err(&attempt)?;
        let rows = statement.query_map([millis(now)], letter).map_err(&attempt)?;
        rows.collect::<Result<_, _>>().map_err(attempt)
    }
}

pub(crate) fn keep(connection: &Connection, letter: &Letter) -> rusqlite::Result<()> {
    let Letter { aor, key, kept, expires, tried, text } = letter;
    let values = params![&**aor, key, millis(*kept), millis(*expires), tried, text];
    connection.prepare_cached(KEEP)?.execute(values).map(drop)
}

pub(crate) fn forget(connection: &Connection, aor: &str, key: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(FORGET)?.execute([aor, key]).map(drop)
}

fn letter(row: &Row<'_>) -> rusqlite::Result<Letter> {
    Ok(Letter {
        aor: Arc::from(row.get::<_, String>("aor")?),
        key: row.get("key")?,
        kept: time(row.get("kept")?),
        expires: time(row.get("expires")?),
        tried: row.get("tried")?,
        text: row.get("text")?,
    })
}
