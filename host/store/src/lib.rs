//! Durable records in one SQLite file: users, bindings, presence, versions of the plan, and who changed what.
//!
//! What [`Store::apply`] has returned from survives the death of the process at any moment. Who may change what, and
//! what a change means, is decided by the callers.
#![forbid(unsafe_code)]

mod accounts;
mod audit;
mod bindings;
mod changes;
mod documents;
mod entries;
mod error;
mod history;
mod letters;
mod plans;
mod publications;
mod records;
mod schema;
mod users;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

pub use accounts::Account;
pub use audit::{AuditEntry, Author};
pub use bindings::Bindings;
pub use documents::{Document, DocumentRecord};
pub use entries::{Entry, Listed, Named, UserReader};
pub use error::Error;
pub use history::{HistoryPage, HistoryQuery, HistoryRow, HistorySize};
pub use plans::{PlanSource, PlanVersion};
pub use records::{
    COLUMNS, CallPage, CallQuery, CallReader, CallRecords, CallRow, CallSummary, Column, Relayed, Retention,
};
pub use users::UserRecord;

/// The open file. One process writes through one `Store`; others may read and write beside it.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: Option<PathBuf>,
    commits: Commits,
}

/// What was made durable so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Commits {
    /// Transactions of bindings.
    pub transactions: u64,
    /// Changes of bindings in them.
    pub changes: u64,
    /// Transactions of bindings that failed.
    pub failures: u64,
}

impl Store {
    /// Opens the file, or makes it, readable by its owner only: it holds what proves passwords.
    pub fn open(path: &Path) -> Result<Store, Error> {
        let connection = schema::open(path)?;
        Ok(Store { connection, path: Some(path.to_owned()), commits: Commits::default() })
    }

    /// A store that ends with the process.
    pub fn in_memory() -> Result<Store, Error> {
        Ok(Store { connection: schema::in_memory()?, path: None, commits: Commits::default() })
    }

    /// The file; `None` in memory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What was made durable since the store was opened.
    pub fn commits(&self) -> Commits {
        self.commits
    }

    /// The realm that the passwords of all users were hashed for; `None` as long as nobody said.
    pub fn realm(&self) -> Result<Option<String>, Error> {
        schema::fact(&self.connection, "realm")
    }

    /// Sets the realm. Users who are there cannot sign in under another one: the caller asks [`Store::count_users`] first.
    pub fn set_realm(&mut self, realm: &str) -> Result<(), Error> {
        schema::set_fact(&self.connection, "realm", realm)
    }

    /// The seed of the Front End; `None` before the first start.
    pub fn seed(&self) -> Result<Option<[u8; 32]>, Error> {
        schema::fact(&self.connection, "seed")
    }

    /// Keeps the seed, so that calls outlive a restart.
    pub fn set_seed(&mut self, seed: [u8; 32]) -> Result<(), Error> {
        schema::set_fact(&self.connection, "seed", seed)
    }
}

/// Milliseconds since the epoch, as columns hold them.
fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// The time that a column holds.
fn time(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
