//! From the keys of a family's file to facts: one per class, with every line that said something about it.

use std::collections::BTreeMap;

use carillon_wire::ip::Dscp;

use super::super::{Fact, Mark, Note, Read, What};
use super::{Outcome, decimal_mark, note, outcome, port};
use crate::class::TrafficClass;
use crate::dscp;

/// What a key states.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Part {
    /// First port.
    Start,
    /// Last port.
    End,
    /// A mark as DSCP, decimal or by name.
    Dscp,
    /// A mark as the whole traffic byte.
    TosByte,
}

/// A key of a family.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) class: TrafficClass,
    pub(super) part: Part,
}

/// A key with its value, as a file states it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stated {
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: String,
}

/// Values of one class under construction.
#[derive(Default)]
struct Class {
    /// The number behind each part; marks of both kinds are code points here.
    parts: BTreeMap<Part, (u16, usize)>,
}

/// The facts of a file. Keys that are not of the table are another subject.
pub(super) fn facts(family: &'static str, keys: &[Key], stated: &[Stated], mut notes: Vec<Note>) -> Outcome {
    let mut classes: BTreeMap<TrafficClass, Class> = BTreeMap::new();
    let mut wrong = Vec::new();
    for one in stated {
        let Some(key) = keys.iter().find(|key| key.name.eq_ignore_ascii_case(&one.key)) else { continue };
        let text = one.value.trim().trim_matches('"');
        if text.is_empty() {
            notes.push(note(one.line, format!("{} is empty: the device keeps its own value", one.key)));
            continue;
        }
        match number(key.part, text) {
            Err(error) => wrong.push(note(one.line, format!("{}: {error}", one.key))),
            Ok((value, remark)) => {
                notes.extend(remark.map(|text| note(one.line, format!("{}: {text}", one.key))));
                let part = if key.part == Part::TosByte { Part::Dscp } else { key.part };
                let parts = &mut classes.entry(key.class).or_default().parts;
                let (first, line) = *parts.entry(part).or_insert((value, one.line));
                if first != value {
                    let text = format!(
                        "{} says {value}, line {line} says {first}; which one counts is not known",
                        one.key
                    );
                    wrong.push(note(one.line, text));
                }
            }
        }
    }
    let mut facts = Vec::new();
    for (class, of_class) in &classes {
        match fact(family, *class, of_class) {
            Ok(fact) => facts.push(fact),
            Err(error) => wrong.push(error),
        }
    }
    outcome(Read { facts, notes }, wrong)
}

fn fact(family: &'static str, class: TrafficClass, stated: &Class) -> Result<Fact, Note> {
    let part = |part| stated.parts.get(&part).map(|(value, _)| *value);
    let (start, end) = (part(Part::Start), part(Part::End));
    let mut lines: Vec<usize> = stated.parts.values().map(|(_, line)| *line).collect();
    lines.sort_unstable();
    lines.dedup();
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        let line = stated.parts.get(&Part::End).map_or(1, |(_, line)| *line);
        return Err(note(line, format!("the last port of {class}, {end}, lies before the first, {start}")));
    }
    let mark = part(Part::Dscp).and_then(|value| Dscp::new(u8::try_from(value).ok()?)).map(Mark);
    Ok(Fact::new(place(&lines), What::Phone { family, class, start, end, mark }))
}

/// `line 3`, `lines 3, 5`.
fn place(lines: &[usize]) -> String {
    let texts: Vec<String> = lines.iter().map(usize::to_string).collect();
    format!("line{} {}", if texts.len() == 1 { "" } else { "s" }, texts.join(", "))
}

/// The number behind a value, and what is odd about it.
fn number(part: Part, text: &str) -> Result<(u16, Option<String>), String> {
    match part {
        Part::Start | Part::End => port(text).map(|port| (port, None)),
        Part::Dscp => decimal_mark(text).map(|mark| (mark.value().into(), None)),
        Part::TosByte => tos_byte(text),
    }
}

/// The mark in a traffic byte. A DSCP that was written where a byte belongs shows by its two lowest bits, as most do.
fn tos_byte(text: &str) -> Result<(u16, Option<String>), String> {
    let byte: Option<u8> = if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None };
    let byte = byte.ok_or_else(|| format!("{text:?} is no TOS byte (0 to 255)"))?;
    let mark = Dscp::from_traffic_byte(byte);
    let meant = Dscp::new(byte).filter(|meant| byte % 4 != 0 || dscp::has_name(*meant) && byte > 8);
    let remark = match meant {
        Some(meant) if dscp::tos_byte(mark) != byte || !dscp::has_name(mark) => Some(format!(
            "{byte} is a TOS byte here and gives DSCP {}; if DSCP {byte} was meant, write {}",
            mark.value(),
            dscp::tos_byte(meant)
        )),
        _ if dscp::tos_byte(mark) != byte => Some(format!("the two lowest bits of {byte} are no mark (ECN)")),
        _ => None,
    };
    Ok((mark.value().into(), remark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dscp_in_the_place_of_a_byte_is_named() {
        let remark = |text| tos_byte(text).unwrap().1.is_some();
        assert_eq!(
            ["46", "34", "24", "26", "184", "136", "96", "160", "0", "185"].map(remark),
            [true, true, true, true, false, false, false, false, false, true]
        );
        assert_eq!(tos_byte("184").unwrap().0, 46);
        assert!(tos_byte("256").is_err() && tos_byte("").is_err() && tos_byte("0xb8").is_err());
    }
}
