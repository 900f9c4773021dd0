//! What the core wants to be durable before it answers.

use carillon_signaling::Change;
use rusqlite::Connection;

use crate::error::{Error, doing};
use crate::{Store, bindings, history, letters, publications};

impl Store {
    /// Makes all these changes durable in one transaction: all of them, or after an error none.
    pub fn apply(&mut self, changes: &[Change]) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        match commit(&mut self.connection, changes) {
            Ok(()) => {
                self.commits.transactions += 1;
                self.commits.changes += changes.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.commits.failures += 1;
                Err(error)
            }
        }
    }
}

fn commit(connection: &mut Connection, changes: &[Change]) -> Result<(), Error> {
    let attempt = doing("save changes");
    let transaction = connection.transaction().map_err(&attempt)?;
    for change in changes {
        write(&transaction, change).map_err(&attempt)?;
    }
    transaction.commit().map_err(attempt)
}

fn write(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Bind(binding) => bindings::bind(connection, binding),
        Change::Unbind { aor, key } => bindings::unbind(connection, aor, key),
        Change::Publish(publication) => publications::publish(connection, publication),
        Change::Unpublish { aor, key } => publications::unpublish(connection, aor, key),
        Change::Keep(letter) => letters::keep(connection, letter),
        Change::Forget { aor, key } => letters::forget(connection, aor, key),
        Change::Remember(entry) => history::remember(connection, entry),
        Change::Receipt(receipt) => history::receipt(connection, receipt),
    }
}
