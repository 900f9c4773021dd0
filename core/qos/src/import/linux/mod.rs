//! nftables: rule sets as people write them and as `nft list ruleset` prints them.
//!
//! Read are rules that set a mark, and our own firewall. What else a host filters is not looked at.

mod marks;
mod rule;
mod syntax;

use super::{Format, Note, Read};

pub(super) const FORMATS: &[Format] = &[Format { name: "nftables rule set", recognise, read }];

/// What the first line of a rule set begins with.
const BEGINNINGS: [&str; 8] = [
    "table ",
    "flush ruleset",
    "define ",
    "add table ",
    "delete table ",
    "destroy table ",
    "add chain ",
    "add rule ",
];

fn recognise(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(bytes.get(..4096).unwrap_or(bytes));
    let line = head.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let shebang = head.lines().next().is_some_and(|line| line.starts_with("#!") && line.contains("nft"));
    shebang || line.is_some_and(|line| BEGINNINGS.iter().any(|start| line.starts_with(start)))
}

fn read(bytes: &[u8]) -> Result<Read, Vec<Note>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        vec![Note {
            place: format!("offset {:#x}", error.valid_up_to()),
            text: "is no UTF-8 text".to_owned(),
        }]
    })?;
    let statements = syntax::parse(text).map_err(|note| vec![note])?;
    marks::of_ruleset(&statements)
}

/// A place in a text.
fn at(line: u32, text: impl Into<String>) -> Note {
    Note { place: format!("line {line}"), text: text.into() }
}
