//! Call records, in a file of their own: what is written here is never waited for, and may be deleted at any time.

mod columns;
mod read;

use std::path::Path;
use std::time::Duration;

use carillon_signaling::records::{CallLeg, Ending, QualityReport};
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

pub use columns::{COLUMNS, Column};
pub use read::{CallPage, CallQuery, CallReader, CallRow, CallSummary, Relayed};

use crate::error::{Error, doing};
use crate::schema::{self, Tables};
use crate::{millis, time};

/// `CRLR`.
const APPLICATION: i64 = 0x4352_4c52;

/// Rows that are deleted at a time: what is more waits for the next time.
const AT_ONCE: i64 = 2000;

/// The open file, for the one who writes.
#[derive(Debug)]
pub struct CallRecords {
    connection: Connection,
    insert: String,
}

/// How much is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// For how long.
    pub age: Duration,
    /// How many legs.
    pub legs: u64,
}

impl CallRecords {
    /// Opens the file, or makes it, readable by its owner only. Legs that are open were lost with the server that wrote them:
    /// they ended when it was last heard of.
    pub fn open(path: &Path) -> Result<CallRecords, Error> {
        let connection = schema::open_as(path, &tables())?;
        let lost = "UPDATE legs SET ending = ?1, ended_by = 'server', ended = max(begun, (SELECT time FROM alive)) WHERE ended IS NULL";
        connection.execute(lost, [Ending::ServerLost.name()]).map_err(doing("end calls that were open"))?;
        Ok(CallRecords { connection, insert: insert() })
    }

    /// Writes legs and reports in one transaction. What is reported of a call that is not here is passed over; how many those
    /// are.
    pub fn write<'a>(
        &mut self,
        now: Duration,
        legs: impl IntoIterator<Item = &'a CallLeg>,
        reports: &[QualityReport],
    ) -> Result<usize, Error> {
        let attempt = doing("write call records");
        let transaction = self.connection.transaction().map_err(&attempt)?;
        for leg in legs {
            let mut statement = transaction.prepare_cached(&self.insert).map_err(&attempt)?;
            statement.execute(params_from_iter(columns::of_leg(leg))).map_err(&attempt)?;
        }
        let mut unknown = 0;
        for report in reports {
            unknown += usize::from(apply(&transaction, report).map_err(&attempt)? == 0);
        }
        transaction.execute("UPDATE alive SET time = ?1", [millis(now)]).map_err(&attempt)?;
        transaction.commit().map_err(&attempt)?;
        Ok(unknown)
    }

    /// Deletes some of what is kept no longer, the oldest first; how many legs.
    pub fn forget(&mut self, now: Duration, keep: Retention) -> Result<usize, Error> {
        let attempt = doing("delete old call records");
        let oldest = i64::try_from(now.saturating_sub(keep.age).as_micros()).unwrap_or(i64::MAX);
        // Numbers of rows go up by one and are deleted from below: nothing has to be counted.
        let sql = "DELETE FROM legs WHERE id IN (SELECT id FROM legs
            WHERE call < ?1 OR id <= (SELECT max(id) FROM legs) - ?2 ORDER BY id LIMIT ?3)";
        let legs = i64::try_from(keep.legs).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(sql).map_err(&attempt)?;
        statement.execute(params![oldest, legs, AT_ONCE]).map_err(attempt)
    }

    /// When something was last written, since the Unix epoch.
    pub fn alive(&self) -> Result<Duration, Error> {
        let attempt = doing("read call records");
        self.connection.query_row("SELECT time FROM alive", [], |row| row.get(0)).map(time).map_err(attempt)
    }
}

/// Sets what a report says, in the leg that it is of; how many legs that are.
fn apply(connection: &Connection, report: &QualityReport) -> rusqlite::Result<usize> {
    let said = columns::of_quality(&report.quality);
    let mut values: Vec<Value> = vec![
        Value::Text(report.call_id.to_string()),
        Value::Text(report.user.to_string()),
        report.side.map_or(Value::Null, |side| Value::Text(side.name().to_owned())),
    ];
    let mut sets = vec!["id = id".to_owned()];
    for (name, value) in said {
        values.push(value);
        sets.push(format!("{name} = ?{}", values.len()));
    }
    let sql = format!(
        "UPDATE legs SET {} WHERE call_id = ?1 AND user = ?2 AND side = coalesce(?3, side)",
        sets.join(", ")
    );
    connection.prepare_cached(&sql)?.execute(params_from_iter(values))
}

/// What files of before don't have.
const ADDED: &str = "over_budget";

fn tables() -> Tables {
    let first = COLUMNS.iter().filter(|column| column.name != ADDED);
    let columns: Vec<String> = first.map(|column| format!("{} {}", column.name, column.kind)).collect();
    let step = format!(
        "CREATE TABLE legs (id INTEGER PRIMARY KEY, {}, UNIQUE (call, side));
         CREATE INDEX legs_by_call_id ON legs (call_id);
         CREATE INDEX legs_open ON legs (id) WHERE ended IS NULL;
         CREATE TABLE alive (time INTEGER NOT NULL);
         INSERT INTO alive VALUES (0);",
        columns.join(", ")
    );
    let added = format!("ALTER TABLE legs ADD COLUMN {ADDED} TEXT");
    Tables { application: APPLICATION, steps: vec![step.into(), added.into()] }
}

/// A leg that is written again keeps its row, and what phones have reported.
fn insert() -> String {
    let names: Vec<&str> = COLUMNS.iter().take(columns::OF_CALL).map(|column| column.name).collect();
    let places: Vec<String> = (1..=names.len()).map(|place| format!("?{place}")).collect();
    let kept = |name: &&&str| !["call", "side"].contains(*name);
    let set = |name: &&str| match *name {
        "audio_path" => "audio_path = coalesce(legs.audio_path, excluded.audio_path)".to_owned(),
        name => format!("{name} = excluded.{name}"),
    };
    let sets: Vec<String> = names.iter().filter(kept).map(set).collect();
    format!(
        "INSERT INTO legs ({}) VALUES ({}) ON CONFLICT (call, side) DO UPDATE SET {}",
        names.join(", "),
        places.join(", "),
        sets.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_before_keeps_its_records_and_gets_the_new_column() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.db");
        let Tables { application, mut steps } = tables();
        steps.truncate(1);
        let before = schema::open_as(&path, &Tables { application, steps }).unwrap();
        before.execute("INSERT INTO legs (call, side) VALUES (1, 'caller')", []).unwrap();
        drop(before);
        drop(CallRecords::open(&path).unwrap());
        let page =
            CallReader::open(&path).unwrap().page(&CallQuery { limit: 9, ..CallQuery::default() }).unwrap();
        let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
        let at = names.iter().position(|name| *name == ADDED).unwrap();
        assert_eq!(page.rows.iter().map(|row| row.0[at].clone()).collect::<Vec<_>>(), [Value::Null]);
    }
}
