//! The marking rules of a rule set: those for both IP versions and, where both have one, both protocols are one rule.

use carillon_wire::ip::Dscp;

use super::rule::{self, Marking, Named};
use super::syntax::{Item, Statement};
use super::{Note, Read, at};
use crate::dscp;
use crate::import::{Fact, What};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};

/// Facts of a whole file.
///
/// # Errors
/// Every rule with ports or marks that are none, and rules that contradict each other.
pub(super) fn of_ruleset(statements: &[Statement]) -> Result<Read, Vec<Note>> {
    let mut collected = Collected::default();
    let mut named = Named::new();
    for statement in statements {
        collected.statement(statement, &mut named);
    }
    collected.finish()
}

/// What marks the same packets in the same way.
struct Group {
    source_ports: Option<PortRange>,
    destination_ports: Option<PortRange>,
    mark: Dscp,
    line: u32,
    name: String,
    /// UDP over 4 and 6, TCP over 4 and 6.
    covered: [bool; 4],
    place: Vec<String>,
}

#[derive(Default)]
struct Collected {
    groups: Vec<Group>,
    notes: Vec<Note>,
    errors: Vec<Note>,
}

/// More rules than any plan has; a rule set of a large site has a few hundred.
const MAX_RULES: usize = 4096;

impl Collected {
    fn statement(&mut self, statement: &Statement, named: &mut Named) {
        let words: Vec<&str> = statement.words().collect();
        match (words.as_slice(), statement.items.last()) {
            (["table", ..], Some(Item::Block(body))) => self.table(words.last().unwrap_or(&""), body, named),
            (["define", name, "=", ..], _) => {
                named.insert(format!("${name}"), statement.items.get(3..).unwrap_or_default().to_vec());
            }
            (["add" | "insert", "rule", rest @ ..], _) => {
                let family =
                    rest.first().is_some_and(|word| ["ip", "ip6", "inet", "bridge", "netdev"].contains(word));
                let skipped = if family { 5 } else { 4 };
                let items = statement.items.get(skipped..).unwrap_or_default();
                let chain = rest.get(usize::from(family) + 1).copied().unwrap_or_default();
                self.rule(statement, items, chain, named);
            }
            _ => {}
        }
    }

    fn table(&mut self, table: &str, body: &[Statement], named: &Named) {
        let mut named = named.clone();
        let dormant = body.iter().any(|s| s.words().eq(["flags", "dormant"]));
        if let Some(first) = body.first().filter(|_| dormant) {
            self.notes
                .push(at(first.line, format!("table {table} is dormant: none of its rules is in force")));
            return;
        }
        for statement in body {
            let words: Vec<&str> = statement.words().collect();
            if let (["set", name], Some(Item::Block(inside))) = (words.as_slice(), statement.items.last()) {
                let elements = inside.iter().find(|statement| statement.words().next() == Some("elements"));
                let items = elements.and_then(|statement| statement.items.get(2..)).unwrap_or_default();
                named.insert(format!("@{name}"), items.to_vec());
            }
        }
        for statement in body {
            let words: Vec<&str> = statement.words().collect();
            if let (["chain", name], Some(Item::Block(rules))) = (words.as_slice(), statement.items.last()) {
                self.chain(&format!("{table} {name}"), rules, &named);
            }
        }
    }

    fn chain(&mut self, chain: &str, rules: &[Statement], named: &Named) {
        let base = rules.iter().any(|statement| statement.words().any(|word| word == "hook"));
        let before = self.groups.len();
        for statement in rules {
            self.rule(statement, &statement.items, chain, named);
        }
        if !base && self.groups.len() > before {
            let line = self.groups.get(before).map_or(0, |group| group.line);
            self.groups.truncate(before);
            let text = format!(
                "chain {chain} is reached by jumps only: its marks depend on them and are passed over"
            );
            self.notes.push(at(line, text));
        }
    }

    fn rule(&mut self, statement: &Statement, items: &[Item], chain: &str, named: &Named) {
        match rule::read(statement, items, named) {
            Ok(None) => {}
            Ok(Some(marking)) if !marking.unknown.is_empty() => self.pass_over(&marking),
            Ok(Some(marking)) => self.add(&marking, chain),
            Err(note) => self.errors.push(note),
        }
    }

    fn pass_over(&mut self, marking: &Marking) {
        let text = format!(
            "sets {} by more than ports ({}): no rule of a plan, passed over",
            dscp::label(marking.mark),
            marking.unknown.join(" ")
        );
        self.notes.push(at(marking.line, text));
    }

    fn add(&mut self, marking: &Marking, chain: &str) {
        let any_or = |ranges: &[PortRange]| -> Vec<Option<PortRange>> {
            if ranges.is_empty() { vec![None] } else { ranges.iter().copied().map(Some).collect() }
        };
        for source_ports in any_or(&marking.source_ports) {
            for destination_ports in any_or(&marking.destination_ports) {
                self.cover(marking, chain, source_ports, destination_ports);
            }
        }
    }

    fn cover(
        &mut self,
        marking: &Marking,
        chain: &str,
        source: Option<PortRange>,
        destination: Option<PortRange>,
    ) {
        if self.groups.len() >= MAX_RULES {
            return self.errors.push(at(marking.line, format!("more than {MAX_RULES} marking rules")));
        }
        let (four, six) = (marking.version == 4, marking.version == 6);
        let covered = [marking.udp && four, marking.udp && six, marking.tcp && four, marking.tcp && six];
        let same =
            |group: &&mut Group| (group.source_ports, group.destination_ports) == (source, destination);
        let twice = |group: &Group| group.covered.iter().zip(covered).any(|(a, b)| *a && b);
        let mut others = self.groups.iter_mut().filter(same);
        match others
            .find(|group| group.mark == marking.mark || (twice(group) && group.place == marking.place))
        {
            Some(group) if group.mark != marking.mark => {
                let text = format!(
                    "marks the packets of line {} with {} instead of {}: which of them holds?",
                    group.line,
                    dscp::label(marking.mark),
                    dscp::label(group.mark)
                );
                self.errors.push(at(marking.line, text));
            }
            Some(group) => {
                group.covered.iter_mut().zip(covered).for_each(|(a, b)| *a |= b);
                group.place.extend(
                    marking
                        .place
                        .iter()
                        .filter(|place| !group.place.contains(place))
                        .cloned()
                        .collect::<Vec<_>>(),
                );
            }
            None => self.groups.push(Group {
                source_ports: source,
                destination_ports: destination,
                mark: marking.mark,
                line: marking.line,
                name: marking.name.clone().unwrap_or_else(|| format!("{chain}, line {}", marking.line)),
                covered,
                place: marking.place.clone(),
            }),
        }
    }

    fn finish(mut self) -> Result<Read, Vec<Note>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let mut facts = Vec::new();
        for group in self.groups {
            let place = || format!("line {}", group.line);
            if !group.place.is_empty() {
                let text = format!("marks only where also `{}` holds", group.place.join("` or `"));
                self.notes.push(Note { place: place(), text });
            }
            let protocol = match group.covered {
                [true, true, true, true] => Protocol::Both,
                [true, true, false, false] => Protocol::Udp,
                [false, false, true, true] => Protocol::Tcp,
                covered => {
                    self.notes.push(Note { place: place(), text: half(covered) });
                    continue;
                }
            };
            facts.push(Fact {
                place: place(),
                what: What::Rule(MarkingRule {
                    name: group.name.clone(),
                    application: None,
                    protocol,
                    source_ports: group.source_ports,
                    destination_ports: group.destination_ports,
                    mark: group.mark,
                }),
            });
        }
        Ok(Read { facts, notes: self.notes })
    }
}

/// Why a rule does not count: half of its packets go without the mark.
fn half([udp4, udp6, tcp4, tcp6]: [bool; 4]) -> String {
    let missing = if (udp4 && !udp6) || (tcp4 && !tcp6) { "IPv6" } else { "IPv4" };
    let statement = if missing == "IPv6" { "ip6 dscp set" } else { "ip dscp set" };
    format!(
        "marks one IP version only; without a rule with `{statement}` {missing} stays as it is: not counted"
    )
}
