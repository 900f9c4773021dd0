//! The marking rules of a rule set: those for both IP versions and, where both have one, both protocols are one rule.

use std::collections::BTreeSet;

use carillon_wire::ip::Dscp;

use super::rule::{self, Context, Marking, Named, Place};
use super::syntax::{Item, Statement};
use super::{Note, Read, at};
use crate::dscp;
use crate::import::first::{Earlier, Taken};
use crate::import::skipped::Skipped;
use crate::import::{Caveat, Fact, Reach, What};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};

/// Facts of a whole file.
///
/// # Errors
/// Every rule with ports or marks that are none, and rules that contradict each other.
pub(super) fn of_ruleset(statements: &[Statement]) -> Result<Read, Vec<Note>> {
    let mut collected = Collected { ports_left: MAX_PORTS, ..Collected::default() };
    for statement in statements {
        collected.statement(statement);
    }
    collected.finish()
}

/// A rule that was read elsewhere: where it hangs, and what it does.
pub(super) struct Hooked {
    /// The hook as nftables calls it.
    pub(super) hook: String,
    /// The chain's name.
    pub(super) chain: String,
    /// For each version of IP the marking; none for a rule that ends the way of packets.
    pub(super) markings: Vec<Marking>,
    /// What leaves the chain.
    pub(super) ending: Option<Marking>,
}

/// Facts of rules of another spelling.
///
/// # Errors
/// Rules that contradict each other.
pub(super) fn of_rules(rules: &[Hooked]) -> Result<Read, Vec<Note>> {
    let mut collected = Collected { ports_left: MAX_PORTS, ..Collected::default() };
    let mut chain = "";
    for rule in rules {
        if rule.chain != chain {
            (collected.hook, collected.earlier) = (rule.hook.clone(), Earlier::default());
            chain = &rule.chain;
        }
        for marking in &rule.markings {
            match marking.unknown.is_empty() {
                true => collected.add(marking, &rule.chain),
                false => collected.pass_over(marking),
            }
        }
        rule.ending.iter().for_each(|ending| collected.end(ending));
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
    place: Vec<Place>,
    /// What the chain is hooked to.
    hook: String,
    caveats: Vec<Caveat>,
}

#[derive(Default)]
struct Collected {
    definitions: Named,
    ports_left: u32,
    groups: Vec<Group>,
    /// Of the chain that is read: its hook, and the rules that end the way of packets.
    hook: String,
    earlier: Earlier,
    skipped: Skipped,
    notes: Vec<Note>,
    errors: Vec<Note>,
}

/// More rules than any plan has; a rule set of a large site has a few hundred.
const MAX_RULES: usize = 1024;

/// Ports and names of ports in a whole file.
const MAX_PORTS: u32 = 20_000;

/// Notes and errors that are told; a file with more has been told enough.
const MAX_NOTES: usize = 1000;

impl Collected {
    fn statement(&mut self, statement: &Statement) {
        let words: Vec<&str> = statement.words().collect();
        match (words.as_slice(), statement.items.last()) {
            (["table", ..], Some(Item::Block(body))) => self.table(words.last().unwrap_or(&""), body),
            (["define", name, "=", ..], _) => {
                self.definitions
                    .insert(format!("${name}"), statement.items.get(3..).unwrap_or_default().to_vec());
            }
            (["add" | "insert", "rule", rest @ ..], _) => {
                let family =
                    rest.first().is_some_and(|word| ["ip", "ip6", "inet", "bridge", "netdev"].contains(word));
                let skipped = if family { 5 } else { 4 };
                let items = statement.items.get(skipped..).unwrap_or_default();
                let chain = rest.get(usize::from(family) + 1).copied().unwrap_or_default();
                (self.hook, self.earlier) = (String::new(), Earlier::default());
                self.rule(statement, items, chain, &Named::new());
            }
            (["flush" | "delete" | "destroy" | "table" | "add" | "create" | "insert" | "include", ..], _) => {
            }
            (words, _) => self.skipped.add(statement.line, &words.join(" ")),
        }
    }

    fn note(&mut self, note: Note) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(note);
        } else if self.notes.len() == MAX_NOTES {
            let text = "from here on, what is passed over is not listed any more".to_owned();
            self.notes.push(Note { text, ..note });
        }
    }

    fn table(&mut self, table: &str, body: &[Statement]) {
        let mut sets = Named::new();
        let dormant = body.iter().any(|s| s.words().eq(["flags", "dormant"]));
        if let Some(first) = body.first().filter(|_| dormant) {
            self.notes
                .push(at(first.line, format!("table {table} is dormant: none of its rules is in force")));
            return;
        }
        for statement in body {
            let words: Vec<&str> = statement.words().collect();
            if let (["set" | "map", name], Some(Item::Block(inside))) =
                (words.as_slice(), statement.items.last())
            {
                let elements = inside.iter().find(|statement| statement.words().next() == Some("elements"));
                let items = elements.and_then(|statement| statement.items.get(2..)).unwrap_or_default();
                sets.insert(format!("@{name}"), items.to_vec());
            }
        }
        for statement in body {
            let words: Vec<&str> = statement.words().collect();
            if let (["chain", name], Some(Item::Block(rules))) = (words.as_slice(), statement.items.last()) {
                self.chain(&format!("{table} {name}"), rules, &sets);
            }
        }
    }

    fn chain(&mut self, chain: &str, rules: &[Statement], sets: &Named) {
        let hook = |statement: &Statement| -> Option<String> {
            let mut words = statement.words().skip_while(|word| *word != "hook").skip(1);
            words.next().map(str::to_owned)
        };
        let hook = rules.iter().find_map(hook);
        let base = hook.is_some();
        (self.hook, self.earlier) = (hook.unwrap_or_default(), Earlier::default());
        let before = self.groups.len();
        let heads = ["type", "policy", "flags", "comment", "device"];
        let is_rule = |rule: &&Statement| !rule.words().next().is_some_and(|word| heads.contains(&word));
        for statement in rules.iter().filter(is_rule) {
            self.rule(statement, &statement.items, chain, sets);
        }
        if !base && self.groups.len() > before {
            let line = self.groups.get(before).map_or(0, |group| group.line);
            self.groups.truncate(before);
            let text = format!(
                "chain {chain} is reached by jumps only: its marks depend on them and are passed over"
            );
            self.note(at(line, text));
        }
    }

    fn rule(&mut self, statement: &Statement, items: &[Item], chain: &str, sets: &Named) {
        if self.errors.len() >= MAX_NOTES || self.ports_left == 0 {
            return;
        }
        let mut context = Context { definitions: &self.definitions, sets, ports_left: &mut self.ports_left };
        match rule::read(statement, items, &mut context) {
            Ok(markings) if markings.is_empty() => {
                if let Some(ending) = rule::ending(statement, items, &mut context) {
                    self.end(&ending);
                } else if of_iptables(items) {
                    let text =
                        "marks by an extension of iptables, which nft does not show: `iptables-save` does";
                    self.note(at(statement.line, text));
                }
            }
            Ok(markings) => {
                for marking in markings {
                    match marking.unknown.is_empty() {
                        true => self.add(&marking, chain),
                        false => self.pass_over(&marking),
                    }
                }
            }
            Err(note) => self.errors.push(note),
        }
    }

    /// Packets that leave the chain here as they are.
    fn end(&mut self, ending: &Marking) {
        let place: Vec<&str> = ending.place.iter().map(|place| place.text.as_str()).collect();
        // Nobody's call goes over the loopback.
        if place.iter().any(|text| text.ends_with("\"lo\"") || text.ends_with(" lo")) {
            return;
        }
        let only: Vec<&str> = place.into_iter().chain(ending.unknown.iter().map(String::as_str)).collect();
        let protocol = match (ending.udp, ending.tcp) {
            (true, true) => Protocol::Both,
            (true, false) => Protocol::Udp,
            (false, true) => Protocol::Tcp,
            (false, false) => return,
        };
        let any_or = |ranges: &[PortRange]| -> Vec<Option<PortRange>> {
            if ranges.is_empty() { vec![None] } else { ranges.iter().copied().map(Some).collect() }
        };
        for source in any_or(&ending.source_ports) {
            for destination in any_or(&ending.destination_ports) {
                let only = (!only.is_empty()).then(|| format!("`{}`", only.join(" ")));
                let line = usize::try_from(ending.line).unwrap_or_default();
                self.earlier.add(Taken { line, protocol, source, destination, only, mark: None });
            }
        }
    }

    fn pass_over(&mut self, marking: &Marking) {
        let text = format!(
            "sets {} by more than ports ({}): no rule of a plan, passed over",
            dscp::label(marking.mark),
            marking.unknown.join(" ")
        );
        self.note(at(marking.line, text));
    }

    fn add(&mut self, marking: &Marking, chain: &str) {
        let any_or = |ranges: &[PortRange]| -> BTreeSet<Option<PortRange>> {
            if ranges.is_empty() {
                BTreeSet::from([None])
            } else {
                ranges.iter().copied().map(Some).collect()
            }
        };
        for source_ports in any_or(&marking.source_ports) {
            for destination_ports in any_or(&marking.destination_ports) {
                if self.groups.len() >= MAX_RULES {
                    self.errors.push(at(marking.line, format!("more than {MAX_RULES} marking rules")));
                    return;
                }
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
        let (four, six) = (marking.version == 4, marking.version == 6);
        let covered = [marking.udp && four, marking.udp && six, marking.tcp && four, marking.tcp && six];
        let same =
            |group: &&mut Group| (group.source_ports, group.destination_ports) == (source, destination);
        let twice = |group: &Group| group.covered.iter().zip(covered).any(|(a, b)| *a && b);
        let hook = self.hook.clone();
        let caveats =
            self.earlier.caveats(&rule_of("", protocol_of(covered), (source, destination), marking.mark));
        let mut others = self.groups.iter_mut().filter(same).filter(|group| group.hook == hook);
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
                hook,
                caveats,
            }),
        }
    }

    fn finish(self) -> Result<Read, Vec<Note>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let (mut facts, mut notes) = (Vec::new(), self.notes);
        notes.extend(self.skipped.notes());
        for group in self.groups {
            let place = format!("line {}", group.line);
            let protocol = match group.covered {
                [true, true, true, true] => Protocol::Both,
                [true, true, false, false] => Protocol::Udp,
                [false, false, true, true] => Protocol::Tcp,
                covered => {
                    notes.push(Note { place, text: half(covered) });
                    continue;
                }
            };
            let what = What::Rule(rule_of(
                &group.name,
                protocol,
                (group.source_ports, group.destination_ports),
                group.mark,
            ));
            facts.push(Fact { caveats: group.all_caveats(), ..Fact::new(place, what) });
        }
        Ok(Read { facts, notes })
    }
}

impl Group {
    fn all_caveats(&self) -> Vec<Caveat> {
        let mut caveats = self.caveats.clone();
        caveats.extend(of_hook(&self.hook));
        for reach in [Reach::Sources, Reach::Destinations, Reach::Interfaces, Reach::OneProgram] {
            let texts: Vec<String> = self
                .place
                .iter()
                .filter(|place| place.reach == reach)
                .map(|place| format!("`{}`", place.text))
                .collect();
            if !texts.is_empty() {
                let text = format!("only where {} holds", texts.join(" or "));
                caveats.push(Caveat { reach, text, fix: format!("take {} away", texts.join(" and ")) });
            }
        }
        caveats
    }
}

/// Whether a rule was made by iptables and sets a mark that nft cannot print.
fn of_iptables(items: &[Item]) -> bool {
    items.windows(3).any(|words| {
        let [first, second, Item::Text(target)] = words else { return false };
        first.word() == Some("xt")
            && second.word() == Some("target")
            && matches!(target.as_str(), "DSCP" | "TOS")
    })
}

/// What a chain sees by its hook.
fn of_hook(hook: &str) -> Option<Caveat> {
    match hook {
        "input" | "ingress" => Some(Caveat::nothing(
            format!("in a chain of hook {hook}, which sees what arrives and marks nothing that leaves"),
            "move it to a chain of hook output; on routers, of hook forward or postrouting",
        )),
        "forward" | "prerouting" => Some(Caveat {
            reach: Reach::Passing,
            text: format!("in a chain of hook {hook}, which sees nothing that the host itself sends"),
            fix: "move it to a chain of hook output or postrouting".to_owned(),
        }),
        _ => None,
    }
}

fn rule_of(
    name: &str,
    protocol: Protocol,
    (source_ports, destination_ports): (Option<PortRange>, Option<PortRange>),
    mark: Dscp,
) -> MarkingRule {
    MarkingRule { name: name.to_owned(), application: None, protocol, source_ports, destination_ports, mark }
}

fn protocol_of([udp4, udp6, tcp4, tcp6]: [bool; 4]) -> Protocol {
    match (udp4 || udp6, tcp4 || tcp6) {
        (true, false) => Protocol::Udp,
        (false, true) => Protocol::Tcp,
        _ => Protocol::Both,
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
