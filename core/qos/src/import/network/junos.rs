//! Junos, in braces: the terms of firewall filters that set a mark.

use std::collections::BTreeSet;

use super::{Outcome, add, decimal_mark, fact, has_line, note, outcome, protocol, text};
use crate::dscp;
use crate::import::{Note, Read};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};
use carillon_wire::ip::Dscp;

/// Deepest nesting; real configurations have about ten.
const MAX_DEPTH: usize = 64;
/// Most pairs of source and destination ranges in one term.
const MAX_PAIRS: usize = 1024;

pub(super) fn recognise(bytes: &[u8]) -> bool {
    has_line(bytes, &["firewall {", "class-of-service {"])
}

pub(super) fn read(bytes: &[u8]) -> Outcome {
    let root = tree(text(bytes)?).map_err(|error| vec![error])?;
    let mut reading = Reading::default();
    reading.filters(&root);
    outcome(reading.found, reading.wrong)
}

/// A statement, or a block with statements.
#[derive(Debug, Default)]
struct Node {
    line: usize,
    words: Vec<String>,
    children: Vec<Node>,
}

impl Node {
    fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    /// The words behind the first, without the brackets of a list.
    fn values(&self) -> impl Iterator<Item = &str> {
        self.words.iter().skip(1).map(String::as_str).filter(|word| !matches!(*word, "[" | "]"))
    }

    fn block(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.word(0) == name)
    }
}

fn tree(text: &str) -> Result<Node, Note> {
    let mut open = vec![Node::default()];
    let mut words: Vec<String> = Vec::new();
    let mut start = 1;
    for (line, token) in tokens(text)? {
        if words.is_empty() {
            start = line;
        }
        match token {
            "{" => {
                if open.len() >= MAX_DEPTH {
                    return Err(note(line, format!("blocks are nested more than {MAX_DEPTH} deep")));
                }
                open.push(Node { line: start, words: std::mem::take(&mut words), children: Vec::new() });
            }
            "}" => {
                if !words.is_empty() {
                    return Err(note(start, format!("`{}` ends without `;`", words.join(" "))));
                }
                let closed = open.pop().unwrap_or_default();
                match open.last_mut() {
                    Some(parent) => parent.children.push(closed),
                    None => return Err(note(line, "a brace closes what was never opened")),
                }
            }
            ";" if words.is_empty() => {}
            ";" => {
                let node = Node { line: start, words: std::mem::take(&mut words), children: Vec::new() };
                if let Some(parent) = open.last_mut() {
                    parent.children.push(node);
                }
            }
            word => words.push(word.to_owned()),
        }
    }
    match (open.len(), open.pop()) {
        (1, Some(root)) if words.is_empty() => Ok(root),
        (1, _) => Err(note(start, format!("`{}` ends without `;`", words.join(" ")))),
        (_, unclosed) => Err(note(unclosed.map_or(1, |node| node.line), "a block is never closed")),
    }
}

/// Words, quoted texts, brackets and braces, each with its line; comments are passed over.
fn tokens(text: &str) -> Result<Vec<(usize, &str)>, Note> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => {
                rest.find("*/").map(|at| at + 2).ok_or_else(|| note(line, "a comment is never closed"))?
            }
            '"' => {
                let end = rest.get(1..).and_then(|inside| inside.find('"'));
                end.map(|at| at + 2).ok_or_else(|| note(line, "a quoted text is never closed"))?
            }
            '{' | '}' | ';' | '[' | ']' => 1,
            c if c.is_whitespace() => c.len_utf8(),
            _ => rest.find(|c: char| c.is_whitespace() || "{};[]\"".contains(c)).unwrap_or(rest.len()),
        };
        let (token, behind) = rest.split_at(length);
        let passed = first == '#' || token.starts_with("/*") || first.is_whitespace();
        if !passed {
            tokens.push((line, token));
        }
        line += token.bytes().filter(|byte| *byte == b'\n').count();
        rest = behind;
    }
    Ok(tokens)
}

#[derive(Default)]
struct Reading {
    found: Read,
    wrong: Vec<Note>,
    seen: BTreeSet<MarkingRule>,
}

impl Reading {
    fn filters(&mut self, node: &Node) {
        for child in &node.children {
            match child.word(0) {
                "filter" if child.words.len() == 2 => self.terms(child),
                _ => self.filters(child),
            }
        }
    }

    fn terms(&mut self, filter: &Node) {
        for term in filter.children.iter().filter(|child| child.word(0) == "term") {
            let then = term.children.iter().filter(|child| child.word(0) == "then");
            let actions: Vec<&Node> = then.flat_map(|then| &then.children).collect();
            let Some(set) = actions.iter().find(|one| matches!(one.word(0), "dscp" | "traffic-class")) else {
                continue;
            };
            let name = format!("{} {}", filter.word(1), term.word(1));
            match mark(set.word(1)) {
                Ok(mark) => self.term(&name, term, mark),
                Err(error) => self.wrong.push(note(set.line, error)),
            }
        }
    }

    fn term(&mut self, name: &str, term: &Node, mark: Dscp) {
        let conditions = match Conditions::from_node(term.block("from")) {
            Ok(conditions) => conditions,
            Err(Some(error)) => return self.wrong.push(error),
            Err(None) => {
                let text = format!("term {name} asks for more than protocol and ports: not read as a rule");
                return self.found.notes.push(note(term.line, text));
            }
        };
        if conditions.source.len().saturating_mul(conditions.destination.len()) > MAX_PAIRS {
            let text = format!("term {name} pairs more than {MAX_PAIRS} ranges of ports");
            return self.wrong.push(note(term.line, text));
        }
        for source_ports in &conditions.source {
            for destination_ports in &conditions.destination {
                let rule = MarkingRule {
                    name: name.to_owned(),
                    application: None,
                    protocol: conditions.protocol,
                    source_ports: *source_ports,
                    destination_ports: *destination_ports,
                    mark,
                };
                add(&mut self.found, &mut self.seen, fact(&[term.line], rule));
            }
        }
    }
}

/// What a term asks for.
struct Conditions {
    protocol: Protocol,
    source: Vec<Option<PortRange>>,
    destination: Vec<Option<PortRange>>,
}

impl Conditions {
    /// An error with its line, or nothing if the term asks for more than a rule can say.
    fn from_node(from: Option<&Node>) -> Result<Conditions, Option<Note>> {
        let mut protocols = BTreeSet::new();
        let (mut source, mut destination) = (Vec::new(), Vec::new());
        for condition in from.map(|from| from.children.as_slice()).unwrap_or_default() {
            match condition.word(0) {
                "protocol" | "next-header" | "payload-protocol" => {
                    for word in condition.values() {
                        protocols.insert(protocol(word).ok_or(None)?);
                    }
                }
                "source-port" => ports(condition, &mut source)?,
                "destination-port" => ports(condition, &mut destination)?,
                _ => return Err(None),
            }
        }
        let protocol = match protocols.iter().collect::<Vec<_>>().as_slice() {
            [one] => **one,
            _ => Protocol::Both,
        };
        for list in [&mut source, &mut destination] {
            if list.is_empty() {
                list.push(None);
            }
        }
        Ok(Conditions { protocol, source, destination })
    }
}

fn ports(condition: &Node, list: &mut Vec<Option<PortRange>>) -> Result<(), Option<Note>> {
    for word in condition.values() {
        let wrong = || Some(note(condition.line, format!("{word:?} is no port and no range of ports")));
        list.push(Some(PortRange::parse(word).ok_or_else(wrong)?));
    }
    Ok(())
}

/// A name, a number, or six bits behind a `b`.
fn mark(word: &str) -> Result<Dscp, String> {
    match word.strip_prefix('b') {
        Some(bits) if bits.len() == 6 => dscp::parse(bits).map_err(|error| error.to_string()),
        _ => decimal_mark(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> usize {
        read(text.as_bytes()).unwrap().facts.len()
    }

    #[test]
    fn what_is_not_balanced_is_named_with_its_line() {
        for (text, line, what) in [
            ("firewall {\n filter x {\n", "line 2", "never closed"),
            ("firewall {\n}\n}\n", "line 3", "never opened"),
            ("firewall {\n a b\n}\n", "line 2", "without `;`"),
            ("firewall {\n/* x\n}\n", "line 2", "comment is never closed"),
            ("firewall {\n x \"y;\n}\n", "line 2", "quoted text is never closed"),
        ] {
            let error = &read(text.as_bytes()).unwrap_err()[0];
            assert!(error.place == line && error.text.contains(what), "{error}");
        }
        assert!(read("firewall {".repeat(1000).as_bytes()).unwrap_err()[0].text.contains("deep"));
    }

    #[test]
    fn a_list_of_ports_is_a_rule_for_each() {
        let text = "firewall { family inet { filter F { term t { from { protocol udp; source-port [ 5 7-9 ]; } \
                    then dscp; } term u { from { source-port 5; } then { dscp b101110; } } term v { from { \
                    source-port [ 5 7-9 ]; } then { dscp 46; accept; } } } } }";
        assert_eq!(rules(text), 3);
        assert_eq!(rules("firewall { filter F { term t { from { address 10/8; } then { dscp ef; } } } }"), 0);
        assert!(
            read(b"firewall { filter F { term t { from { source-port x; } then { dscp ef; } } } }").is_err()
        );
    }
}
