//! Junos: the terms of firewall filters that set a mark, and the classes that marks are sorted into.

use std::collections::{BTreeMap, BTreeSet};

use super::junos_tree::{self, Node};
use super::{Found, Outcome, decimal_mark, fact_for, has_line, note, outcome, protocol, text};
use crate::dscp;
use crate::import::first::{Earlier, Taken};
use crate::import::{Fact, Mark, Note, Read, What};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};
use carillon_wire::ip::Dscp;

/// Most pairs of source and destination ranges in one term, and most rules of a file.
const MAX_PAIRS: usize = 1024;
const MAX_RULES: usize = 20_000;

pub(super) fn recognise(bytes: &[u8]) -> bool {
    has_line(bytes, &["firewall {", "class-of-service {", "set firewall ", "set class-of-service "])
}

pub(super) fn read(bytes: &[u8]) -> Outcome {
    let (root, notes) = junos_tree::read(text(bytes)?).map_err(|error| vec![error])?;
    let mut reading = Reading { notes, ..Reading::default() };
    reading.filters(&root);
    for service in root.children.iter().filter(|child| child.word(0) == "class-of-service") {
        reading.classes(service);
    }
    outcome(Read { facts: reading.found.facts, notes: reading.notes }, reading.wrong)
}

#[derive(Default)]
struct Reading {
    found: Found,
    notes: Vec<Note>,
    wrong: Vec<Note>,
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

    /// The first term that fits decides, unless it hands on to the next.
    fn terms(&mut self, filter: &Node) {
        let mut earlier = Earlier::default();
        for term in filter.blocks("term") {
            let actions: Vec<&[String]> = term.blocks("then").flat_map(actions).collect();
            let is = |action: &&[String], word: &str| action.first().is_some_and(|first| first == word);
            let set = actions.iter().find(|action| is(action, "dscp") || is(action, "traffic-class"));
            let mark = match set.map(|set| mark(set.get(1).map_or("", String::as_str))).transpose() {
                Ok(mark) => mark,
                Err(error) => {
                    self.wrong.push(note(line_of_set(term), error));
                    continue;
                }
            };
            let goes_on = actions.iter().any(|action| is(action, "next"));
            let name = format!("{} {}", filter.word(1), term.word(1));
            self.term(&name, term, (mark, !goes_on), &mut earlier);
            if self.found.facts.len() > MAX_RULES {
                return self.wrong.push(note(term.line, format!("more than {MAX_RULES} rules")));
            }
        }
    }

    fn term(&mut self, name: &str, term: &Node, (mark, ends): (Option<Dscp>, bool), earlier: &mut Earlier) {
        let conditions = match Conditions::from_term(term) {
            Ok(conditions) => conditions,
            Err(error) => return self.wrong.push(error),
        };
        if let (Some(what), Some(_)) = (&conditions.more, mark) {
            let text =
                format!("term {name} asks for more than protocol and ports ({what}): not read as a rule");
            return self.notes.push(note(term.line, text));
        }
        if conditions.source.len().saturating_mul(conditions.destination.len()) > MAX_PAIRS {
            let text = format!("term {name} pairs more than {MAX_PAIRS} ranges of ports");
            return self.wrong.push(note(term.line, text));
        }
        for rule in conditions.rules(name, mark.unwrap_or(Dscp::DEFAULT)) {
            if mark.is_some() {
                self.rule(term, &rule, &conditions, earlier);
            }
        }
        if ends && !conditions.elsewhere {
            let only = conditions.only();
            for rule in conditions.rules(name, Dscp::DEFAULT) {
                let (protocol, source, destination) =
                    (rule.protocol, rule.source_ports, rule.destination_ports);
                earlier.add(Taken {
                    line: term.line,
                    protocol,
                    source,
                    destination,
                    only: only.clone(),
                    mark,
                });
            }
        }
    }

    fn rule(&mut self, term: &Node, rule: &MarkingRule, conditions: &Conditions, earlier: &Earlier) {
        let left = earlier.left(rule);
        if let Some(line) = left.taken_by {
            let text = format!("the term of line {line} comes first and takes some of these packets");
            self.notes.push(note(term.line, text));
        }
        for rule in left.rules {
            let mut fact = fact_for(&[term.line], rule, &conditions.from, &conditions.to);
            fact.caveats.extend(left.caveats.iter().cloned());
            self.found.add(fact);
        }
    }

    /// What a classifier sorts into one class shares its queue; what a rewrite rule sends out for the class is its mark.
    fn classes(&mut self, service: &Node) {
        let mut sorted: BTreeMap<String, (usize, BTreeSet<Mark>)> = BTreeMap::new();
        for (class, line, mark) in self.points(service, "classifiers", "code-points") {
            sorted.entry(class).or_insert((line, BTreeSet::new())).1.insert(mark);
        }
        for (name, (line, marks)) in &sorted {
            let marks = marks.iter().copied().collect();
            self.found.add(Fact::new(format!("line {line}"), What::Queue { name: name.clone(), marks }));
        }
        for (class, line, to) in self.points(service, "rewrite-rules", "code-point") {
            let marks = sorted.get(&class).map(|(_, marks)| marks.clone()).unwrap_or_default();
            let from: Vec<Mark> = marks.into_iter().filter(|mark| *mark != to).collect();
            let by = format!("the rewrite rule of {class}");
            let what = What::Remarked { from, to, by };
            let known = self.found.facts.iter().any(|fact| fact.what == what);
            if !known && !matches!(&what, What::Remarked { from, .. } if from.is_empty()) {
                self.found.add(Fact::new(format!("line {line}"), what));
            }
        }
    }

    /// Class, line and mark of each statement of that name.
    fn points(&mut self, service: &Node, block: &str, word: &str) -> Vec<(String, usize, Mark)> {
        let kinds = service.blocks(block).flat_map(|block| &block.children);
        let kinds = kinds.filter(|kind| matches!(kind.word(0), "dscp" | "dscp-ipv6"));
        let classes = kinds.flat_map(|kind| kind.blocks("forwarding-class"));
        let mut points = Vec::new();
        for class in classes {
            let levels = class.blocks("loss-priority");
            // `loss-priority low code-points [ … ];` in braces, a block of its own from `set` lines.
            let statements = levels.flat_map(|level| {
                let at = level.words.iter().position(|found| found == word);
                let own = at.and_then(|at| level.words.get(at + 1..)).map(|words| (level.line, words));
                let below = level.blocks(word).filter_map(|node| Some((node.line, node.words.get(1..)?)));
                own.into_iter().chain(below.collect::<Vec<_>>())
            });
            for (line, words) in statements {
                for text in words.iter().filter(|text| !matches!(text.as_str(), "[" | "]")) {
                    match code_point(text) {
                        Ok(mark) => points.push((class.word(1).to_owned(), line, Mark(mark))),
                        Err(error) => self.wrong.push(note(line, error)),
                    }
                }
            }
        }
        points
    }
}

/// `then accept;` or the statements of a block.
fn actions(then: &Node) -> Vec<&[String]> {
    let own = then.words.get(1..).filter(|words| !words.is_empty());
    own.into_iter().chain(then.children.iter().map(|child| child.words.as_slice())).collect()
}

fn line_of_set(term: &Node) -> usize {
    let statements = term.blocks("then").flat_map(|then| &then.children);
    let set = statements.filter(|one| matches!(one.word(0), "dscp" | "traffic-class"));
    set.map(|node| node.line).next().unwrap_or(term.line)
}

/// What a term asks for.
#[derive(Default)]
struct Conditions {
    protocol: Option<Protocol>,
    source: Vec<Option<PortRange>>,
    destination: Vec<Option<PortRange>>,
    from: Vec<String>,
    to: Vec<String>,
    /// A condition that is none of these.
    more: Option<String>,
    /// Whether it is about packets that are neither UDP nor TCP.
    elsewhere: bool,
}

impl Conditions {
    fn from_term(term: &Node) -> Result<Conditions, Note> {
        let mut found = Conditions::default();
        let mut protocols = BTreeSet::new();
        let mut others = false;
        for condition in term.blocks("from").flat_map(|from| &from.children) {
            let names = || {
                condition
                    .values()
                    .map(str::to_owned)
                    .chain(condition.children.iter().map(|child| child.word(0).to_owned()))
            };
            match condition.word(0) {
                "protocol" | "next-header" | "payload-protocol" => {
                    for word in condition.values() {
                        match protocol(word) {
                            Some(protocol) => drop(protocols.insert(protocol)),
                            None => others = true,
                        }
                    }
                }
                "source-port" => ports(condition, &mut found.source)?,
                "destination-port" => ports(condition, &mut found.destination)?,
                "source-address" | "source-prefix-list" => found.from.extend(names()),
                "destination-address" | "destination-prefix-list" => found.to.extend(names()),
                other => found.more = Some(other.to_owned()),
            }
        }
        found.elsewhere = others && protocols.is_empty();
        if others {
            found.more = found.more.or(Some("other protocols".to_owned()));
        }
        found.protocol = match protocols.iter().collect::<Vec<_>>().as_slice() {
            [one] => Some(**one),
            _ => None,
        };
        for list in [&mut found.source, &mut found.destination] {
            if list.is_empty() {
                list.push(None);
            }
        }
        Ok(found)
    }

    fn rules(&self, name: &str, mark: Dscp) -> Vec<MarkingRule> {
        let pairs =
            self.source.iter().flat_map(|source| self.destination.iter().map(move |to| (*source, *to)));
        let rule = |(source_ports, destination_ports)| MarkingRule {
            name: name.to_owned(),
            application: None,
            protocol: self.protocol.unwrap_or(Protocol::Both),
            source_ports,
            destination_ports,
            mark,
        };
        pairs.map(rule).collect()
    }

    /// What it asks for beside protocol and ports.
    fn only(&self) -> Option<String> {
        let ends = [("from", &self.from), ("to", &self.to)];
        let ends = ends.iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> =
            ends.map(|(word, names)| format!("what goes {word} {}", names.join(", "))).collect();
        let more = self.more.iter().map(|what| format!("what has the `{what}` that it asks for"));
        let parts: Vec<String> = parts.into_iter().chain(more).collect();
        (!parts.is_empty()).then(|| parts.join(" and "))
    }
}

fn ports(condition: &Node, list: &mut Vec<Option<PortRange>>) -> Result<(), Note> {
    for word in condition.values() {
        let wrong = || note(condition.line, format!("{word:?} is no port and no range of ports"));
        list.push(Some(PortRange::parse(word).ok_or_else(wrong)?));
    }
    Ok(())
}

/// Six bits as they are, or a name.
fn code_point(text: &str) -> Result<Dscp, String> {
    match text.len() == 6 && text.bytes().all(|b| matches!(b, b'0' | b'1')) {
        true => dscp::parse(text).map_err(|error| error.to_string()),
        false => mark(text),
    }
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
                    then next term; } term u { from { source-port 5; } then { dscp b101110; } } term v { from { \
                    source-port [ 5 7-9 ]; } then { dscp 46; accept; } } } } }";
        assert_eq!(rules(text), 3);
        assert_eq!(rules("firewall { filter F { term t { from { address 10/8; } then { dscp ef; } } } }"), 0);
        assert!(
            read(b"firewall { filter F { term t { from { source-port x; } then { dscp ef; } } } }").is_err()
        );
    }
}
