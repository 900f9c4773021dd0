//! Where users can be reached: written before the 200 that tells them so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_signaling::Binding;
use carillon_wire::sip::{Flow, Transport};
use rusqlite::{Connection, Row, params};

use crate::error::{Error, doing};
use crate::{Store, millis, time};

const BIND: &str = "INSERT OR REPLACE INTO bindings VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)";
const UNBIND: &str = "DELETE FROM bindings WHERE aor = ?1 AND key = ?2";

/// The bindings of a store.
#[derive(Debug, Default)]
pub struct Bindings {
    /// Those that have not run out, in the order of users.
    pub readable: Vec<Binding>,
    /// Why each of the others can't be read: one spoiled row takes nobody else's registration away.
    pub unreadable: Vec<Error>,
}

impl Store {
    /// The bindings that have not run out.
    pub fn load_bindings(&self, now: Duration) -> Result<Bindings, Error> {
        let attempt = doing("read the bindings");
        let sql = "SELECT * FROM bindings WHERE expires > ?1 ORDER BY aor, key";
        let mut statement = self.connection.prepare_cached(sql).map_err(&attempt)?;
        let rows = statement.query_map([millis(now)], |row| Ok(binding(row))).map_err(&attempt)?;
        let mut bindings = Bindings::default();
        for row in rows {
            match row.map_err(&attempt)? {
                Ok(binding) => bindings.readable.push(binding),
                Err(error) => bindings.unreadable.push(error),
            }
        }
        Ok(bindings)
    }

    /// Contacts that were given another version of the plan than this one: how many, and at most `limit` of them with the
    /// user and the version they have.
    pub fn outdated(
        &self,
        version: u64,
        now: Duration,
        limit: usize,
    ) -> Result<(u64, Vec<(String, u64)>), Error> {
        const OF: &str = "FROM bindings WHERE plan_version <> ?1 AND expires > ?2";
        let attempt = doing("read the bindings");
        let (version, now) = (version.cast_signed(), millis(now));
        let count = format!("SELECT count(*) {OF}");
        let count: i64 =
            self.connection.query_row(&count, [version, now], |row| row.get(0)).map_err(&attempt)?;
        let sql = format!("SELECT aor, plan_version {OF} ORDER BY plan_version, aor LIMIT ?3");
        let mut statement = self.connection.prepare_cached(&sql).map_err(&attempt)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let named = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()));
        let rows = statement.query_map([version, now, limit], named).map_err(&attempt)?;
        let named = rows.collect::<Result<_, _>>().map_err(attempt)?;
        Ok((count.cast_unsigned(), named))
    }
}

pub(crate) fn bind(connection: &Connection, binding: &Binding) -> rusqlite::Result<()> {
    let values = params![
        &*binding.aor,
        &*binding.key,
        &*binding.contact,
        binding.flow.transport.name(),
        // SQLite has no unsigned numbers; the bits come back as they were.
        binding.flow.id.cast_signed(),
        binding.flow.local.to_string(),
        binding.flow.remote.to_string(),
        serde_json::Value::from(binding.path.as_slice()).to_string(),
        &*binding.call_id,
        binding.cseq,
        binding.q,
        millis(binding.expires),
        &*binding.user_agent,
        binding.plan_version.map(u64::cast_signed),
    ];
    connection.prepare_cached(BIND)?.execute(values).map(drop)
}

pub(crate) fn unbind(connection: &Connection, aor: &str, key: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(UNBIND)?.execute([aor, key]).map(drop)
}

fn binding(row: &Row<'_>) -> Result<Binding, Error> {
    let aor: Arc<str> = field::<String>(row, "aor")?.into();
    let strange = |column| Error::Row { row: format!("the bindings of user {}", fingerprint(&aor)), column };
    let address = |column| field::<String>(row, column)?.parse::<SocketAddr>().map_err(|_| strange(column));
    let flow = Flow {
        transport: Transport::from_name(field::<String>(row, "transport")?.as_bytes())
            .ok_or_else(|| strange("transport"))?,
        id: field::<i64>(row, "flow")?.cast_unsigned(),
        local: address("local")?,
        remote: address("remote")?,
    };
    let contact: Arc<str> = field::<String>(row, "contact")?.into();
    let key = field::<String>(row, "key")?;
    Ok(Binding {
        key: if *key == *contact { Arc::clone(&contact) } else { key.into() },
        contact,
        path: serde_json::from_str(&field::<String>(row, "path")?).map_err(|_| strange("path"))?,
        call_id: field::<String>(row, "call_id")?.into(),
        cseq: field(row, "cseq")?,
        q: field(row, "q")?,
        expires: time(field(row, "expires")?),
        user_agent: field::<String>(row, "user_agent")?.into(),
        plan_version: field::<Option<i64>>(row, "plan_version")?.map(i64::cast_unsigned),
        flow,
        aor,
    })
}

fn field<T: rusqlite::types::FromSql>(row: &Row<'_>, column: &str) -> Result<T, Error> {
    row.get(column).map_err(doing("read a binding"))
}

/// Errors reach logs, and logs name nobody: the length is enough to find the row.
fn fingerprint(aor: &str) -> String {
    format!("({} letters)", aor.len())
}
