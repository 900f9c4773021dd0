//! ArubaOS controllers: the lines of session lists that set a mark, by the destination's ports; the first that fits
//! decides.

use std::collections::BTreeMap;

use super::bindings::Bindings;
use super::{
    Found, Names, Outcome, decimal_mark, fact_for, has_line, note, outcome, protocol, range, spelt_out, text,
};
use crate::import::first::{Earlier, Taken};
use crate::import::skipped::Skipped;
use crate::import::{Caveat, Read};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};
use carillon_wire::ip::Dscp;

pub(super) fn recognise(bytes: &[u8]) -> bool {
    has_line(bytes, &["ip access-list session "])
}

pub(super) fn read(bytes: &[u8]) -> Outcome {
    let (mut read, mut found, mut wrong) = (Read::default(), Found::default(), Vec::new());
    let mut lists: Vec<(String, Vec<(usize, Entry)>)> = Vec::new();
    let (mut skipped, mut inside) = (Skipped::default(), false);
    let (mut names, mut named) = (Names::new(), None);
    let (mut bindings, mut role) = (Bindings::default(), None);
    for (number, line) in text(bytes)?.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["ip", "access-list", "session", name] => {
                lists.push(((*name).to_owned(), Vec::new()));
                (inside, named, role) = (true, None, None);
            }
            ["user-role", name, ..] => {
                bindings.interface();
                (inside, named, role) = (false, None, Some((*name).to_owned()));
            }
            ["access-list", "session", list, ..] | ["session-acl", list, ..] if role.is_some() => {
                bindings.bind(list, role.as_deref().unwrap_or_default(), "role");
            }
            ["ip", "access-group", "session", list] | ["ip", "access-group", list, "session"] => {
                bindings.bind(list, "an interface", "session");
            }
            ["netdestination" | "netdestination6", name] => {
                (inside, named) = (false, Some((*name).to_owned()))
            }
            ["host", address] | ["network", address] if named.is_some() => {
                destination(&mut names, named.as_deref(), (*address).to_owned());
            }
            ["network", address, mask] if named.is_some() => {
                destination(&mut names, named.as_deref(), format!("{address} {mask}"));
            }
            [] | ["!", ..] => {}
            words if inside && line.starts_with(char::is_whitespace) => match Entry::from_words(words) {
                Ok(entry) => lists
                    .last_mut()
                    .into_iter()
                    .for_each(|(_, lines)| lines.push((number + 1, entry.clone()))),
                Err(error) if words.contains(&"tos") => wrong.push(note(number + 1, error)),
                Err(_) => skipped.add(u32::try_from(number + 1).unwrap_or(u32::MAX), line),
            },
            _ if line.starts_with(char::is_whitespace) => {}
            _ => (inside, named, role) = (false, None, None),
        }
    }
    read.notes = skipped.notes();
    for (name, lines) in lists {
        let standing = bindings.caveat(&name, &format!("access-list session {name}"));
        list(&name, &lines, (&names, &standing), (&mut found, &mut read));
    }
    read.facts = found.facts;
    outcome(read, wrong)
}

/// Most lines of a list.
const MAX_LINES: usize = 5000;

fn destination(names: &mut Names, name: Option<&str>, address: String) {
    names.entry(name.unwrap_or_default().to_owned()).or_default().push(address);
}

fn list(
    name: &str,
    lines: &[(usize, Entry)],
    (names, standing): (&Names, &Caveat),
    (found, read): (&mut Found, &mut Read),
) {
    let mut earlier = Earlier::default();
    for (entry, lines) in joined(lines).into_iter().take(MAX_LINES) {
        let line = lines.first().copied().unwrap_or_default();
        if let Some(mark) = entry.mark {
            let rule = entry.rule(name, mark);
            let left = earlier.left(&rule);
            if let Some(other) = left.taken_by {
                let text = format!("line {other} comes first and takes some of these packets");
                read.notes.push(note(line, text));
            }
            let ends = |end: &Option<String>| spelt_out(end.as_slice(), names);
            for rule in left.rules {
                let mut fact = fact_for(&lines, rule, &ends(&entry.from), &ends(&entry.to));
                fact.caveats.extend(left.caveats.iter().chain([standing]).cloned());
                found.add(fact);
            }
        }
        earlier.add(entry.taken(line));
    }
}

/// A line of a list.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Entry {
    from: Option<String>,
    to: Option<String>,
    protocol: Protocol,
    ports: Option<PortRange>,
    mark: Option<Dscp>,
}

impl Entry {
    /// `any any udp 20000 20039 permit tos 46 dot1p-priority 6`.
    fn from_words(words: &[&str]) -> Result<Entry, String> {
        let (from, rest) = end(words)?;
        let (to, rest) = end(rest)?;
        let at = rest.iter().position(|word| *word == "tos");
        let mark = at.map(|at| decimal_mark(rest.get(at + 1).unwrap_or(&""))).transpose()?;
        let (word, ports): (&str, Option<PortRange>) = match rest {
            ["any", "permit" | "deny" | "route" | "redirect", ..] => ("ip", None),
            [word @ ("udp" | "tcp" | "17" | "6"), first, last, ..] if is_number(first) && is_number(last) => {
                (word, Some(range(first, last)?))
            }
            [word @ ("udp" | "tcp" | "17" | "6"), port, ..] if is_number(port) => {
                (word, Some(range(port, port)?))
            }
            _ => return Err(format!("`{}` names no protocol and ports", rest.join(" "))),
        };
        let protocol = protocol(word).ok_or_else(|| format!("{word:?} is neither udp nor tcp"))?;
        Ok(Entry { from, to, protocol, ports, mark })
    }

    fn rule(&self, list: &str, mark: Dscp) -> MarkingRule {
        MarkingRule {
            name: list.to_owned(),
            application: None,
            protocol: self.protocol,
            source_ports: None,
            destination_ports: self.ports,
            mark,
        }
    }

    fn taken(&self, line: usize) -> Taken {
        let ends = [("from", &self.from), ("to", &self.to)];
        let only: Vec<String> = ends
            .iter()
            .filter_map(|(word, end)| Some(format!("what goes {word} {}", end.as_ref()?)))
            .collect();
        Taken {
            line,
            protocol: self.protocol,
            source: None,
            destination: self.ports,
            only: (!only.is_empty()).then(|| only.join(" and ")),
            mark: self.mark,
        }
    }
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())
}

/// Source or destination; `None` is any.
fn end<'a>(words: &'a [&'a str]) -> Result<(Option<String>, &'a [&'a str]), String> {
    match words {
        // The list belongs to a role: its user is whoever sends.
        ["any" | "user", rest @ ..] => Ok((None, rest)),
        [word @ ("localip" | "mswitch"), rest @ ..] => Ok((Some((*word).to_owned()), rest)),
        ["host" | "alias", name, rest @ ..] => Ok((Some((*name).to_owned()), rest)),
        ["network", address, mask, rest @ ..] => Ok((Some(format!("{address} {mask}")), rest)),
        words => Err(format!("`{}` is not understood", words.join(" "))),
    }
}

/// The same over UDP and over TCP is one line.
fn joined(lines: &[(usize, Entry)]) -> Vec<(Entry, Vec<usize>)> {
    let mut joined: Vec<(Entry, Vec<usize>)> = Vec::new();
    let mut places = BTreeMap::new();
    for (line, entry) in lines {
        // Only neighbours: what stands between two lines may take packets.
        let key = Entry { protocol: Protocol::Both, ..entry.clone() };
        let at = *places.entry(key).or_insert(joined.len());
        let last = at + 1 == joined.len();
        match joined.get_mut(at).filter(|_| last) {
            Some((known, lines)) => {
                if known.protocol != entry.protocol {
                    known.protocol = Protocol::Both;
                }
                lines.push(*line);
            }
            None => {
                places.insert(Entry { protocol: Protocol::Both, ..entry.clone() }, joined.len());
                joined.push((entry.clone(), vec![*line]));
            }
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_may_be_named() {
        let entry = |line: &str| Entry::from_words(&line.split(' ').collect::<Vec<_>>());
        let read = entry("any alias carillon-servers udp 5 9 permit tos 46").unwrap();
        assert_eq!(
            (read.from, read.to.as_deref(), read.mark),
            (None, Some("carillon-servers"), Some(Dscp::EF))
        );
        assert_eq!(
            entry("user network 10.0.0.0 255.0.0.0 any deny").unwrap().to.unwrap(),
            "10.0.0.0 255.0.0.0"
        );
        assert!(entry("any any svc-dns permit").is_err() && entry("any any udp 9 5 permit tos 46").is_err());
    }
}
