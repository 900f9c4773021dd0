//! What `Get-NetQosPolicy | Format-Table` prints: a column for each property, under its name and a rule of hyphens.

use super::super::{Format, Note, Read};
use super::listed::{self, Listed};
use super::{Errors, text};

pub(super) const FORMAT: Format = Format { name: "Get-NetQosPolicy | Format-Table", recognise, read };

/// What a policy is told by; a table without such a column says less than the policy.
const NEEDED: [&str; 6] =
    ["apppathname", "ipprotocol", "ipsrcportstart", "ipsrcportend", "ipdstportstart", "ipdstportend"];

fn recognise(bytes: &[u8]) -> bool {
    header(&text::head(bytes)).is_some()
}

fn read(bytes: &[u8]) -> Result<Read, Vec<Note>> {
    let text = text::decoded(bytes)?;
    let (mut errors, mut notes, mut policies) = (Errors::default(), Vec::new(), Vec::new());
    let Some((rule, columns)) = header(&text) else { return Ok(Read::default()) };
    let has = |name: &str| columns.iter().any(|column| column.name == name);
    let lacking: Vec<&str> = NEEDED.into_iter().filter(|name| !has(name)).collect();
    if !lacking.is_empty() {
        let text = format!(
            "the table has no column {}, which was read as any; `Format-List` shows all",
            lacking.join(", ")
        );
        notes.push(Note { place: format!("line {rule}"), text });
    }
    for (number, line) in (1..).zip(text.lines()).skip(rule) {
        if line.trim().is_empty() || line.trim_start().starts_with("PS ") {
            continue;
        }
        match row(number, line, &columns) {
            Ok(listed) => policies.push(listed),
            Err(error) => errors.add(format!("line {number}"), error),
        }
    }
    listed::rules(&policies, notes, errors)
}

/// A column: the property, and where its cells begin and end, in characters.
struct Column {
    name: String,
    start: usize,
    end: usize,
}

/// The number of the line with the hyphens, and the columns that it draws.
fn header(text: &str) -> Option<(usize, Vec<Column>)> {
    let lines: Vec<&str> = text.lines().take(50).collect();
    let at = lines.windows(2).position(|pair| {
        let [names, hyphens] = pair else { return false };
        let hyphens = hyphens.trim();
        let drawn = hyphens.contains("--") && hyphens.bytes().all(|byte| byte == b'-' || byte == b' ');
        let named = |wanted: &str| names.split_whitespace().any(|name| listed::short(name) == wanted);
        drawn && named("name") && named("dscpvalue")
    })?;
    let (names, hyphens) = (chars(lines.get(at)?), chars(lines.get(at + 1)?));
    let mut starts: Vec<usize> = Vec::new();
    for (place, c) in hyphens.iter().enumerate() {
        if *c == '-' && (place == 0 || hyphens.get(place - 1) != Some(&'-')) {
            starts.push(place);
        }
    }
    let column = |(number, start): (usize, &usize)| {
        let end = starts.get(number + 1).copied().unwrap_or(usize::MAX);
        Column { name: listed::short(&cell(&names, *start, end)), start: *start, end }
    };
    Some((at + 2, starts.iter().enumerate().map(column).collect()))
}

fn row(number: u32, line: &str, columns: &[Column]) -> Result<Listed, String> {
    let line = chars(line);
    let mut listed = Listed::at(number);
    for column in columns {
        let value = cell(&line, column.start, column.end);
        let cut = value.ends_with('\u{2026}') || value.ends_with("...");
        let runs_on = column.end < line.len() && line.get(column.end - 1).is_some_and(|c| !c.is_whitespace());
        if cut || runs_on {
            return Err(format!("`{value}` is cut off; print it with `Format-List`"));
        }
        listed.set(number, &column.name, &value);
    }
    Ok(listed)
}

fn chars(line: &str) -> Vec<char> {
    line.trim_end().chars().collect()
}

fn cell(line: &[char], start: usize, end: usize) -> String {
    let cells = line.iter().take(end).skip(start);
    cells.collect::<String>().trim().to_owned()
}
