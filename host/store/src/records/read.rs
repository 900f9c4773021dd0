//! Reading call records, by as many as like, while they are written.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row, params_from_iter};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::COLUMNS;
use crate::error::{Error, doing};

/// Reads the file; opened anew for each question.
#[derive(Debug)]
pub struct CallReader(Connection);

/// Which legs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CallQuery {
    /// Of this call.
    pub call: Option<u64>,
    /// Of this user, or with it at the other end; as it is written in the records.
    pub user: Option<String>,
    /// That ended so.
    pub ending: Option<String>,
    /// That began then or later, since the Unix epoch.
    pub since: Option<Duration>,
    /// That began before.
    pub until: Option<Duration>,
    /// With smaller numbers than this.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Legs, the newest first.
#[derive(Clone, PartialEq, Debug)]
pub struct CallPage {
    /// The legs.
    pub rows: Vec<CallRow>,
    /// What `before` is for the next page; `None` after the last.
    pub next: Option<u64>,
}

/// The values of a leg, in the order of [`COLUMNS`]. As JSON it is an object.
#[derive(Clone, PartialEq, Debug)]
pub struct CallRow(pub Vec<Value>);

/// Calls of a time.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CallSummary {
    /// How many.
    pub calls: u64,
    /// Of these, those that were answered.
    pub answered: u64,
    /// How many ended how.
    pub endings: Vec<(String, u64)>,
    /// How many calls between phones inside were relayed, by their sites.
    pub relayed: Vec<Relayed>,
}

/// Answered calls between two sites, or within one, both ends of which did not come through an Edge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relayed {
    /// The sites, in the order of their names.
    pub sites: [String; 2],
    /// How many.
    pub calls: u64,
    /// Of these, those of which a path is known.
    pub known: u64,
    /// Of these, those whose audio took a relay.
    pub relayed: u64,
}

impl CallReader {
    /// Opens the file to read it.
    pub fn open(path: &Path) -> Result<CallReader, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let attempt = doing("open the call records");
        let connection = Connection::open_with_flags(path, flags).map_err(&attempt)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(attempt)?;
        Ok(CallReader(connection))
    }

    /// The legs that are asked for.
    pub fn page(&self, query: &CallQuery) -> Result<CallPage, Error> {
        let attempt = doing("read call records");
        let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
        let (conditions, mut values) = conditions(query);
        values.push(integer(query.limit as u64));
        let sql = format!(
            "SELECT id, {} FROM legs WHERE {conditions} ORDER BY id DESC LIMIT ?{}",
            names.join(", "),
            values.len()
        );
        let mut statement = self.0.prepare(&sql).map_err(&attempt)?;
        let rows = statement.query_map(params_from_iter(values), row).map_err(&attempt)?;
        let rows: Vec<(i64, CallRow)> = rows.collect::<Result<_, _>>().map_err(attempt)?;
        let full = rows.len() == query.limit;
        let next = rows.last().filter(|_| full).map(|(id, _)| id.cast_unsigned());
        Ok(CallPage { rows: rows.into_iter().map(|(_, row)| row).collect(), next })
    }

    /// What became of calls. `limit` and `before` say nothing here.
    pub fn summary(&self, query: &CallQuery) -> Result<CallSummary, Error> {
        let (conditions, values) = conditions(query);
        let attempt = doing("sum up call records");
        let sums =
            format!("SELECT count(*), count(answered) FROM legs WHERE side = 'caller' AND {conditions}");
        let sums = self.0.query_row(&sums, params_from_iter(&values), |row| Ok((row.get(0)?, row.get(1)?)));
        let (calls, answered): (i64, i64) = sums.map_err(&attempt)?;
        let sql = format!(
            "SELECT coalesce(ending, 'open'), count(*) FROM legs WHERE side = 'caller' AND {conditions}
             GROUP BY 1 ORDER BY 2 DESC, 1"
        );
        let mut statement = self.0.prepare(&sql).map_err(&attempt)?;
        let ending = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()));
        let rows = statement.query_map(params_from_iter(&values), ending).map_err(&attempt)?;
        let endings = rows.collect::<Result<_, _>>().map_err(attempt)?;
        let relayed = self.relayed(&conditions, values)?;
        Ok(CallSummary { calls: calls.cast_unsigned(), answered: answered.cast_unsigned(), endings, relayed })
    }

    fn relayed(&self, conditions: &str, values: Vec<Value>) -> Result<Vec<Relayed>, Error> {
        let attempt = doing("sum up call records");
        // Which site is first must not depend on who called.
        let sql = format!(
            "SELECT min(a.site, b.site), max(a.site, b.site), count(*), count(coalesce(a.audio_path, b.audio_path)),
                    sum('relayed' IN (a.audio_path, b.audio_path))
             FROM (SELECT * FROM legs WHERE side = 'caller' AND {conditions}) a
             JOIN legs b ON b.call = a.call AND b.side = 'callee'
             WHERE NOT a.through_edge AND NOT b.through_edge AND a.site IS NOT NULL AND b.site IS NOT NULL
             GROUP BY 1, 2 ORDER BY 5 DESC, 1, 2"
        );
        let mut statement = self.0.prepare(&sql).map_err(&attempt)?;
        let count =
            |row: &Row<'_>, column| row.get::<_, Option<i64>>(column).map(|n| n.unwrap_or(0).cast_unsigned());
        let row = |row: &Row<'_>| {
            let sites = [row.get(0)?, row.get(1)?];
            Ok(Relayed { sites, calls: count(row, 2)?, known: count(row, 3)?, relayed: count(row, 4)? })
        };
        let rows = statement.query_map(params_from_iter(values), row).map_err(&attempt)?;
        rows.collect::<Result<_, _>>().map_err(attempt)
    }
}

impl CallRow {
    /// The value of a column.
    pub fn get(&self, name: &str) -> &Value {
        let place = COLUMNS.iter().position(|column| column.name == name);
        place.and_then(|place| self.0.get(place)).unwrap_or(&Value::Null)
    }

    /// A row as JSON has it; what it does not say is nothing.
    pub fn of_json(json: &serde_json::Value) -> CallRow {
        let value = |name: &str| match json.get(name) {
            Some(serde_json::Value::String(text)) => Value::Text(text.clone()),
            Some(serde_json::Value::Number(number)) => match number.as_i64() {
                Some(number) => Value::Integer(number),
                None => number.as_f64().map_or(Value::Null, Value::Real),
            },
            _ => Value::Null,
        };
        CallRow(COLUMNS.iter().map(|column| value(column.name)).collect())
    }

    /// A text; empty if there is none.
    pub fn text(&self, name: &str) -> String {
        match self.get(name) {
            Value::Text(text) => text.clone(),
            _ => String::new(),
        }
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            Value::Integer(number) => Some(*number as f64),
            Value::Real(number) => Some(*number),
            _ => None,
        }
    }

    /// One line of CSV (RFC 4180), in the order of the columns. What a spreadsheet would take for a formula gets an apostrophe
    /// before it.
    pub fn csv(&self) -> String {
        let fields: Vec<String> = self.0.iter().map(field).collect();
        fields.join(",") + "\r\n"
    }

    /// The first line of CSV.
    pub fn csv_header() -> String {
        let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
        names.join(",") + "\r\n"
    }
}

impl Serialize for CallRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(COLUMNS.len()))?;
        for (column, value) in COLUMNS.iter().zip(&self.0) {
            match value {
                Value::Integer(number) => map.serialize_entry(column.name, number)?,
                Value::Real(number) => map.serialize_entry(column.name, number)?,
                Value::Text(text) => map.serialize_entry(column.name, text)?,
                Value::Null | Value::Blob(_) => map.serialize_entry(column.name, &None::<()>)?,
            }
        }
        map.end()
    }
}

fn field(value: &Value) -> String {
    let text = match value {
        Value::Null | Value::Blob(_) => return String::new(),
        Value::Integer(number) => return number.to_string(),
        Value::Real(number) => return number.to_string(),
        Value::Text(text) => text,
    };
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.clone() };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// What a query asks for as SQL, with its values.
fn conditions(query: &CallQuery) -> (String, Vec<Value>) {
    let micros = |time: Duration| integer(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    let text = |text: &String| Value::Text(text.clone());
    let asked = [
        ("call = ?", query.call.map(integer)),
        ("? IN (user, peer)", query.user.as_ref().map(text)),
        ("coalesce(ending, 'open') = ?", query.ending.as_ref().map(text)),
        ("call >= ?", query.since.map(micros)),
        ("call < ?", query.until.map(micros)),
        ("id < ?", query.before.map(integer)),
    ];
    let (mut sql, mut values) = ("TRUE".to_owned(), Vec::new());
    for (condition, value) in asked {
        if let Some(value) = value {
            values.push(value);
            sql = format!("{sql} AND {}", condition.replace('?', &format!("?{}", values.len())));
        }
    }
    (sql, values)
}

fn integer(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn row(row: &Row<'_>) -> rusqlite::Result<(i64, CallRow)> {
    let values = (1..=COLUMNS.len()).map(|place| row.get(place));
    Ok((row.get(0)?, CallRow(values.collect::<Result<_, _>>()?)))
}
