//! Which account of an OpenID provider each user has signed in by: from its first sign-in on it is that one and no other.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::Store;
use crate::audit::{Author, note};
use crate::error::{Error, doing};

/// An account of a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// The provider (`iss`).
    pub issuer: String,
    /// Whom it means (`sub`): never given to anybody else there.
    pub subject: String,
}

impl Store {
    /// By which account this user signs in; `None` if it never has.
    pub fn account(&self, aor: &str) -> Result<Option<Account>, Error> {
        let sql = "SELECT issuer, subject FROM accounts WHERE aor = ?1";
        one(&self.connection, sql, [aor], account).map_err(doing("read an account"))
    }

    /// Whose account this is.
    pub fn account_holder(&self, account: &Account) -> Result<Option<String>, Error> {
        let sql = "SELECT aor FROM accounts WHERE issuer = ?1 AND subject = ?2";
        let values = params![account.issuer, account.subject];
        one(&self.connection, sql, values, |row| row.get(0)).map_err(doing("read an account"))
    }

    /// From now on this user signs in by this account; a user who has one, and an account that has a user, are an error.
    pub fn bind_account(&mut self, aor: &str, account: &Account, author: &Author) -> Result<(), Error> {
        let attempt = doing("save an account");
        let transaction = self.connection.transaction().map_err(&attempt)?;
        let sql = "INSERT INTO accounts (aor, issuer, subject) VALUES (?1, ?2, ?3)";
        let values = params![aor, account.issuer, account.subject];
        transaction.execute(sql, values).map_err(&attempt)?;
        note(&transaction, author, "account.bind", aor, None, None).map_err(&attempt)?;
        transaction.commit().map_err(attempt)
    }

    /// The next account that signs in as this user is its own; whether it had one.
    pub fn release_account(&mut self, aor: &str, author: &Author) -> Result<bool, Error> {
        let attempt = doing("release an account");
        let transaction = self.connection.transaction().map_err(&attempt)?;
        let had = release(&transaction, aor, author).map_err(&attempt)?;
        transaction.commit().map_err(attempt)?;
        Ok(had)
    }
}

pub(crate) fn release(connection: &Connection, aor: &str, author: &Author) -> rusqlite::Result<bool> {
    let had = connection.prepare_cached("DELETE FROM accounts WHERE aor = ?1")?.execute([aor])? > 0;
    if had {
        note(connection, author, "account.release", aor, None, None)?;
    }
    Ok(had)
}

fn one<T>(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    connection.prepare_cached(sql)?.query_row(values, read).optional()
}

fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account { issuer: row.get(0)?, subject: row.get(1)? })
}
