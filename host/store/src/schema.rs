//! The file itself: whose it is, its tables and their version.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::{FromSql, ToSql};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::error::{Error, doing};

/// `CRLN`: tells our files from those of other programs.
const APPLICATION: i64 = 0x4352_4c4e;

/// One step per version of the tables, applied in order; a step that was released is never changed.
const STEPS: [&str; 7] = [
    "
    CREATE TABLE facts (name TEXT PRIMARY KEY, value ANY NOT NULL) WITHOUT ROWID;
    CREATE TABLE users (
        aor TEXT PRIMARY KEY,
        md5 BLOB NOT NULL,
        sha256 BLOB NOT NULL,
        algorithms TEXT,
        site TEXT,
        created INTEGER NOT NULL,
        version INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE bindings (
        aor TEXT NOT NULL,
        key TEXT NOT NULL,
        contact TEXT NOT NULL,
        transport TEXT NOT NULL,
        flow INTEGER NOT NULL,
        local TEXT NOT NULL,
        remote TEXT NOT NULL,
        path TEXT NOT NULL,
        call_id TEXT NOT NULL,
        cseq INTEGER NOT NULL,
        q INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        user_agent TEXT NOT NULL,
        plan_version INTEGER,
        PRIMARY KEY (aor, key)
    ) WITHOUT ROWID;
    CREATE TABLE plans (
        version INTEGER PRIMARY KEY,
        toml TEXT NOT NULL,
        source TEXT NOT NULL,
        time INTEGER NOT NULL,
        who TEXT NOT NULL
    );
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY,
        time INTEGER NOT NULL,
        who TEXT NOT NULL,
        what TEXT NOT NULL,
        object TEXT NOT NULL,
        before INTEGER,
        after INTEGER
    );
",
    "
    CREATE TABLE publications (
        aor TEXT NOT NULL,
        key TEXT NOT NULL,
        etag TEXT NOT NULL,
        changed INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (aor, key)
    ) WITHOUT ROWID;
    CREATE TABLE letters (
        aor TEXT NOT NULL,
        key TEXT NOT NULL,
        kept INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        tried INTEGER NOT NULL,
        text BLOB NOT NULL,
        PRIMARY KEY (aor, key)
    ) WITHOUT ROWID;
    CREATE TABLE rosters (
        aor TEXT PRIMARY KEY,
        document TEXT NOT NULL,
        version INTEGER NOT NULL
    ) WITHOUT ROWID;
",
    "
    ALTER TABLE users ADD COLUMN number TEXT;
    CREATE UNIQUE INDEX users_number ON users (number);
    CREATE TABLE call_rules (
        aor TEXT PRIMARY KEY,
        document TEXT NOT NULL,
        version INTEGER NOT NULL
    ) WITHOUT ROWID;
",
    "
    CREATE TABLE roles (
        aor TEXT PRIMARY KEY,
        document TEXT NOT NULL,
        version INTEGER NOT NULL
    ) WITHOUT ROWID;
",
    "
    CREATE TABLE entries (
        aor TEXT PRIMARY KEY,
        id TEXT NOT NULL,
        dn TEXT NOT NULL,
        name TEXT,
        disabled INTEGER NOT NULL
    ) WITHOUT ROWID;
",
    "
    CREATE TABLE accounts (
        aor TEXT PRIMARY KEY,
        issuer TEXT NOT NULL,
        subject TEXT NOT NULL,
        UNIQUE (issuer, subject)
    ) WITHOUT ROWID;
",
    "
    CREATE TABLE history (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        aor TEXT NOT NULL,
        peer TEXT NOT NULL,
        sent INTEGER NOT NULL,
        time INTEGER NOT NULL,
        name TEXT NOT NULL,
        media_type TEXT NOT NULL,
        body BLOB NOT NULL,
        delivered INTEGER,
        displayed INTEGER
    );
    CREATE INDEX history_users ON history (aor);
    CREATE INDEX history_peers ON history (aor, peer);
    CREATE INDEX history_names ON history (aor, name);
    CREATE TABLE histories (
        aor TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        messages INTEGER NOT NULL
    ) WITHOUT ROWID;
",
];

/// The tables of a file: whose it is, and the steps to them.
pub(crate) struct Tables {
    pub(crate) application: i64,
    pub(crate) steps: Vec<Cow<'static, str>>,
}

/// Those of the store.
fn store() -> Tables {
    Tables { application: APPLICATION, steps: STEPS.map(Cow::Borrowed).to_vec() }
}

/// How long a statement waits for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn open(path: &Path) -> Result<Connection, Error> {
    open_as(path, &store())
}

/// Opens a file of these tables, or makes it.
pub(crate) fn open_as(path: &Path, tables: &Tables) -> Result<Connection, Error> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
    drop(file.map_err(|source| Error::Open { path: path.to_owned(), source })?);
    let refuse = |source: rusqlite::Error| refused(path, source);
    let mut connection = Connection::open(path).map_err(refuse)?;
    connection.busy_timeout(PATIENCE).map_err(refuse)?;
    let ours = is_ours(&connection, tables).map_err(refuse)?;
    if !ours {
        return Err(Error::Foreign { path: path.to_owned() });
    }
    connection.pragma_update(None, "journal_mode", "wal").map_err(refuse)?;
    prepare(&mut connection, path, tables).map_err(refuse)??;
    Ok(connection)
}

pub(crate) fn in_memory() -> Result<Connection, Error> {
    let attempt = doing("make a store in memory");
    let mut connection = Connection::open_in_memory().map_err(&attempt)?;
    prepare(&mut connection, Path::new(":memory:"), &store()).map_err(&attempt)??;
    Ok(connection)
}

/// A file without any table is new, and becomes ours.
fn is_ours(connection: &Connection, of: &Tables) -> rusqlite::Result<bool> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0 || number(connection, "application_id")? == of.application)
}

/// Checks what is there, brings the tables up to date, and sets how durable a commit is: WAL with `synchronous=NORMAL`
/// outlives the process at any moment. Only a power failure may take back the last commits, never tear one apart.
fn prepare(connection: &mut Connection, path: &Path, tables: &Tables) -> rusqlite::Result<Result<(), Error>> {
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.set_prepared_statement_cache_capacity(64);
    let what: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if what != "ok" {
        return Ok(Err(Error::Corrupt { path: path.to_owned(), what }));
    }
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version = number(&transaction, "user_version")?;
    let known = tables.steps.len() as i64;
    if version > known {
        return Ok(Err(Error::Newer { path: path.to_owned(), version, known }));
    }
    for step in tables.steps.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", tables.application)?;
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(Ok(()))
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

fn refused(path: &Path, source: rusqlite::Error) -> Error {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => Error::Foreign { path: path.to_owned() },
        Some(ErrorCode::DatabaseCorrupt) => {
            Error::Corrupt { path: path.to_owned(), what: source.to_string() }
        }
        _ => Error::Database { attempt: "open the store", source },
    }
}

/// One of the few single values that the store keeps.
pub(crate) fn fact<T: FromSql>(connection: &Connection, name: &str) -> Result<Option<T>, Error> {
    let mut statement =
        connection.prepare_cached("SELECT value FROM facts WHERE name = ?1").map_err(doing("read a fact"))?;
    statement.query_row([name], |row| row.get(0)).optional().map_err(doing("read a fact"))
}

pub(crate) fn set_fact(connection: &Connection, name: &str, value: impl ToSql) -> Result<(), Error> {
    let sql = "INSERT INTO facts VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    connection.execute(sql, params![name, value]).map(drop).map_err(doing("write a fact"))
}
