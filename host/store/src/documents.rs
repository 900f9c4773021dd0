//! What users keep at the server, a document for each subject: contacts and who may watch them, call rules, and its role. What stands in a
//! document is the callers' business.

use rusqlite::{OptionalExtension, Row, params};

use crate::Store;
use crate::audit::{Author, note};
use crate::error::{Error, doing};

/// What a document is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Document {
    /// Contacts, and who may watch.
    Roster,
    /// What becomes of calls.
    CallRules,
    /// What it may do over the admin API.
    Role,
}

/// A document as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DocumentRecord {
    /// Whose: `alice@example.com`.
    pub aor: String,
    /// The document.
    pub document: String,
    /// Counts the changes, from 1.
    pub version: u64,
}

impl Document {
    pub(crate) const ALL: [Document; 3] = [Document::Roster, Document::CallRules, Document::Role];

    pub(crate) fn table(self) -> &'static str {
        match self {
            Document::Roster => "rosters",
            Document::CallRules => "call_rules",
            Document::Role => "roles",
        }
    }

    /// How the audit calls that it was changed.
    fn change(self) -> &'static str {
        match self {
            Document::Roster => "roster.put",
            Document::CallRules => "call-rules.put",
            Document::Role => "role.put",
        }
    }
}

impl Store {
    /// All documents about a subject.
    pub fn load_documents(&self, about: Document) -> Result<Vec<DocumentRecord>, Error> {
        let attempt = doing("read documents");
        let sql = format!("SELECT * FROM {} ORDER BY aor", about.table());
        let mut statement = self.connection.prepare_cached(&sql).map_err(&attempt)?;
        let rows = statement.query_map([], record).map_err(&attempt)?;
        rows.collect::<Result<_, _>>().map_err(attempt)
    }

    /// The document of a user, if it has one.
    pub fn document(&self, about: Document, aor: &str) -> Result<Option<DocumentRecord>, Error> {
        let attempt = doing("read a document");
        let sql = format!("SELECT * FROM {} WHERE aor = ?1", about.table());
        let mut statement = self.connection.prepare_cached(&sql).map_err(&attempt)?;
        statement.query_row([aor], record).optional().map_err(attempt)
    }

    /// Keeps a document; its version.
    pub fn put_document(
        &mut self,
        about: Document,
        aor: &str,
        document: &str,
        author: &Author,
    ) -> Result<u64, Error> {
        let attempt = doing("save a document");
        let transaction = self.connection.transaction().map_err(&attempt)?;
        let sql = format!(
            "INSERT INTO {} VALUES (?1, ?2, 1) ON CONFLICT (aor) DO UPDATE SET
             document = excluded.document, version = version + 1 RETURNING version",
            about.table()
        );
        let version: i64 =
            transaction.query_row(&sql, params![aor, document], |row| row.get(0)).map_err(&attempt)?;
        let version = version.cast_unsigned();
        let before = Some(version - 1).filter(|before| *before > 0);
        note(&transaction, author, about.change(), aor, before, Some(version)).map_err(&attempt)?;
        transaction.commit().map_err(attempt)?;
        Ok(version)
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<DocumentRecord> {
    Ok(DocumentRecord {
        aor: row.get("aor")?,
        document: row.get("document")?,
        version: row.get::<_, i64>("version")?.cast_unsigned(),
    })
}
