//! ArubaOS controllers: the lines of session lists that set a mark, by the destination's ports.

use std::collections::{BTreeMap, BTreeSet};

use super::{Outcome, add, decimal_mark, fact, has_line, note, outcome, protocol, range, text};
use crate::import::Read;
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};

pub(super) fn recognise(bytes: &[u8]) -> bool {
    has_line(bytes, &["ip access-list session "])
}

pub(super) fn read(bytes: &[u8]) -> Outcome {
    let (mut found, mut wrong, mut lines) = (Read::default(), Vec::new(), Vec::new());
    let mut list = None;
    for (number, line) in text(bytes)?.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (&list, words.as_slice()) {
            (_, ["ip", "access-list", "session", name]) => list = Some((*name).to_owned()),
            (Some(name), ["any", "any", rest @ ..]) => match entry(name, rest) {
                Ok(rule) => lines.extend(rule.map(|rule| (number + 1, rule))),
                Err(error) => wrong.push(note(number + 1, error)),
            },
            (Some(name), words) if words.contains(&"tos") => {
                let text = format!("session list {name} marks some addresses only: not read as a rule");
                found.notes.push(note(number + 1, text));
            }
            (_, []) => {}
            _ if line.starts_with(char::is_whitespace) => {}
            _ => list = None,
        }
    }
    let mut seen = BTreeSet::new();
    for (rule, lines) in joined(lines) {
        add(&mut found, &mut seen, fact(&lines, rule));
    }
    outcome(found, wrong)
}

/// `udp 20000 20039 permit tos 46 dot1p-priority 6`; a line without a mark is none.
fn entry(list: &str, words: &[&str]) -> Result<Option<MarkingRule>, String> {
    let Some(at) = words.iter().position(|word| *word == "tos") else { return Ok(None) };
    let mark = decimal_mark(words.get(at + 1).unwrap_or(&""))?;
    let (word, ports): (&str, Option<PortRange>) = match words {
        [word, first, last, "permit", ..] => (word, Some(range(first, last)?)),
        [word, port, "permit", ..] => (word, Some(range(port, port)?)),
        ["any", "permit", ..] => ("ip", None),
        _ => return Err("a line that marks without a protocol and ports".to_owned()),
    };
    let protocol = protocol(word).ok_or_else(|| format!("{word:?} is neither udp nor tcp"))?;
    Ok(Some(MarkingRule {
        name: list.to_owned(),
        application: None,
        protocol,
        source_ports: None,
        destination_ports: ports,
        mark,
    }))
}

/// The same over UDP and over TCP is one rule.
fn joined(rules: Vec<(usize, MarkingRule)>) -> Vec<(MarkingRule, Vec<usize>)> {
    let mut joined: Vec<(MarkingRule, Vec<usize>)> = Vec::new();
    let mut places = BTreeMap::new();
    for (line, rule) in rules {
        let key = MarkingRule { protocol: Protocol::Both, ..rule.clone() };
        let at = *places.entry(key).or_insert(joined.len());
        match joined.get_mut(at) {
            None => joined.push((rule, vec![line])),
            Some((known, lines)) => {
                if known.protocol != rule.protocol {
                    known.protocol = Protocol::Both;
                }
                lines.push(line);
            }
        }
    }
    joined
}
