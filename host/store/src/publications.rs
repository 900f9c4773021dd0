//! What devices have published of their users' presence: written before the 200 that tells them so.

use std::sync::Arc;
use std::time::Duration;

use carillon_signaling::Publication;
use rusqlite::{Connection, Row, params};

use crate::error::{Error, doing};
use crate::{Store, millis, time};

const PUBLISH: &str = "INSERT OR REPLACE INTO publications VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const UNPUBLISH: &str = "DELETE FROM publications WHERE aor = ?1 AND key = ?2";

impl Store {
    /// The publications that have not run out.
    pub fn load_publications(&self, now: Duration) -> Result<Vec<Publication>, Error> {
        let attempt = doing("read what was published");
        let sql = "SELECT * FROM publications WHERE expires > ?1 ORDER BY aor, key";
        let mut statement = self.connection.prepare_cached(sql).map_err(&attempt)?;
        let rows = statement.query_map([millis(now)], publication).map_err(&attempt)?;
        rows.collect::<Result<_, _>>().map_err(attempt)
    }
}

pub(crate) fn publish(connection: &Connection, publication: &Publication) -> rusqlite::Result<()> {
    let Publication { aor, key, etag, changed, expires, document } = publication;
    let values = params![&**aor, key, etag, millis(*changed), millis(*expires), document];
    connection.prepare_cached(PUBLISH)?.execute(values).map(drop)
}

pub(crate) fn unpublish(connection: &Connection, aor: &str, key: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(UNPUBLISH)?.execute([aor, key]).map(drop)
}

fn publication(row: &Row<'_>) -> rusqlite::Result<Publication> {
    Ok(Publication {
        aor: Arc::from(row.get::<_, String>("aor")?),
        key: row.get("key")?,
        etag: row.get("etag")?,
        changed: time(row.get("changed")?),
        expires: time(row.get("expires")?),
        document: row.get("document")?,
    })
}
