//! Every plan that ever held, each with its version.

use std::time::Duration;

use rusqlite::{OptionalExtension, Params, Row, params};
use serde::Serialize;

use crate::audit::{Author, note};
use crate::error::{Error, doing};
use crate::{Store, millis, time};

/// Who brought a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanSource {
    /// The configuration names it.
    Configuration,
    /// An administrator put it.
    Admin,
}

/// A plan as it held from some time on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanVersion {
    /// From 1.
    pub version: u64,
    /// The plan's file.
    pub toml: String,
    /// Who brought it.
    pub source: PlanSource,
    /// Since when, since the Unix epoch.
    pub time: Duration,
    /// Who did it.
    pub who: String,
}

impl Store {
    /// The plan that holds: the newest.
    pub fn plan(&self) -> Result<Option<PlanVersion>, Error> {
        self.one_plan("SELECT * FROM plans ORDER BY version DESC LIMIT 1", [])
    }

    /// The last plan that came from the configuration.
    pub fn configured_plan(&self) -> Result<Option<PlanVersion>, Error> {
        self.one_plan("SELECT * FROM plans WHERE source = 'configuration' ORDER BY version DESC LIMIT 1", [])
    }

    /// One of them.
    pub fn plan_version(&self, version: u64) -> Result<Option<PlanVersion>, Error> {
        self.one_plan("SELECT * FROM plans WHERE version = ?1", [version.cast_signed()])
    }

    /// All of them, the newest first.
    pub fn plan_versions(&self) -> Result<Vec<PlanVersion>, Error> {
        let attempt = doing("read the versions of the plan");
        let sql = "SELECT * FROM plans ORDER BY version DESC";
        let mut statement = self.connection.prepare_cached(sql).map_err(&attempt)?;
        let rows = statement.query_map([], version).map_err(&attempt)?;
        rows.collect::<Result<_, _>>().map_err(attempt)
    }

    /// Keeps a plan as the one that holds from now on; its version.
    pub fn put_plan(&mut self, toml: &str, source: PlanSource, author: &Author) -> Result<u64, Error> {
        let attempt = doing("save the plan");
        let transaction = self.connection.transaction().map_err(&attempt)?;
        let last: i64 = transaction
            .query_row("SELECT coalesce(max(version), 0) FROM plans", [], |row| row.get(0))
            .map_err(&attempt)?;
        let values = params![last + 1, toml, word(source), millis(author.time), author.who];
        transaction.execute("INSERT INTO plans VALUES (?1, ?2, ?3, ?4, ?5)", values).map_err(&attempt)?;
        let (before, after) = (last.cast_unsigned(), (last + 1).cast_unsigned());
        note(&transaction, author, "plan.put", "plan", Some(before).filter(|v| *v > 0), Some(after))
            .map_err(&attempt)?;
        transaction.commit().map_err(attempt)?;
        Ok(after)
    }

    fn one_plan(&self, sql: &str, values: impl Params) -> Result<Option<PlanVersion>, Error> {
        let attempt = doing("read the plan");
        let mut statement = self.connection.prepare_cached(sql).map_err(&attempt)?;
        statement.query_row(values, version).optional().map_err(attempt)
    }
}

fn version(row: &Row<'_>) -> rusqlite::Result<PlanVersion> {
    let source: String = row.get("source")?;
    Ok(PlanVersion {
        version: row.get::<_, i64>("version")?.cast_unsigned(),
        toml: row.get("toml")?,
        source: if source == word(PlanSource::Admin) { PlanSource::Admin } else { PlanSource::Configuration },
        time: time(row.get("time")?),
        who: row.get("who")?,
    })
}

/// The word in the column.
fn word(source: PlanSource) -> &'static str {
    match source {
        PlanSource::Configuration => "configuration",
        PlanSource::Admin => "admin",
    }
}
