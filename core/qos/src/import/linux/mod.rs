//! nftables: rule sets as people write them and as `nft list ruleset` prints them; and what `iptables-save` prints.
//!
//! Read are rules that set a mark; what else a host filters is not looked at.

mod iptables;
mod marks;
mod order;
mod rule;
mod syntax;

use super::{Format, Note, Read};

pub(super) const FORMATS: &[Format] = &[
    Format { name: "nftables rule set", recognise, read },
    Format { name: "iptables rules", recognise: iptables::recognise, read: iptables::read },
];

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
    let text = text(bytes)?;
    let statements = syntax::parse(text).map_err(|note| vec![note])?;
    let mut read = marks::of_ruleset(&statements)?;
    if read.facts.is_empty() && read.notes.is_empty() {
        read.notes.push(at(1, "no rule here sets a mark"));
    }
    Ok(read)
}

fn text(bytes: &[u8]) -> Result<&str, Vec<Note>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let place = format!("offset {:#x}", error.valid_up_to());
        vec![Note { place, text: "is no UTF-8 text".to_owned() }]
    })
}

/// A place in a text.
fn at(line: u32, text: impl Into<String>) -> Note {
    Note { place: format!("line {line}"), text: text.into() }
}
