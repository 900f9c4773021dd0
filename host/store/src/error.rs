//! Why the store could not do what it was asked.

use std::path::PathBuf;

/// What was attempted, with what, and why it failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened or made.
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no store of Carillon.
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer Carillon.
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its tables.
        version: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The file is damaged.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite says about it.
        what: String,
    },
    /// A row holds what nobody wrote there.
    Row {
        /// Table and key.
        row: String,
        /// The column.
        column: &'static str,
    },
    /// A user would have the number of another one.
    NumberTaken {
        /// The number.
        number: String,
        /// Who has it.
        owner: String,
    },
    /// SQLite refused.
    Database {
        /// What was attempted.
        attempt: &'static str,
        /// Why.
        source: rusqlite::Error,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Open { path, .. } => write!(f, "cannot open the store `{}`", path.display()),
            Error::Foreign { path } => {
                write!(
                    f,
                    "`{}` is no store of Carillon: name another file, or move this one away",
                    path.display()
                )
            }
            Error::Newer { path, version, known } => write!(
                f,
                "the store `{}` has tables of version {version}, this program knows up to {known}: use the newer \
                 carillon, or a copy of the store from before",
                path.display()
            ),
            Error::Corrupt { path, what } => write!(
                f,
                "the store `{}` is damaged ({what}): restore a copy, or save what is left with `sqlite3 FILE .recover`",
                path.display()
            ),
            Error::Row { row, column } => write!(f, "the store holds something unknown: `{column}` of {row}"),
            Error::NumberTaken { number, owner } => write!(f, "{number} is the number of {owner} already"),
            Error::Database { attempt, .. } => write!(f, "cannot {attempt}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Open { source, .. } => Some(source),
            Error::Database { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Names the attempt beside SQLite's reason.
pub(crate) fn doing(attempt: &'static str) -> impl Fn(rusqlite::Error) -> Error {
    move |source| Error::Database { attempt, source }
}
