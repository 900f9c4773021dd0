//! The marking rules of a rule set: those for both IP versions and, where both have one, both protocols are one rule.

use std::collections::BTreeSet;

use carillon_wire::ip::Dscp;

use super::order::{self, Chain, Step, Steps};
use super::rule::{self, Context, Marking, NO_PORTS, Named, Place};
use super::syntax::{Item, Statement};
use super::{Note, Read, at};
use crate::dscp;
use crate::import::first::Taken;
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
    for rule in rules {
        collected.enter(&rule.chain, &rule.hook, 0);
        for marking in &rule.markings {
            collected.marking(marking, &rule.chain);
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
    table: String,
    /// Whether the file takes it away again.
    gone: bool,
    /// Whether packets leave the chain behind it.
    ends: bool,
    caveats: Vec<Caveat>,
}

#[derive(Default)]
struct Collected {
    definitions: Named,
    ports_left: u32,
    groups: Vec<Group>,
    chains: Vec<Chain>,
    /// The chain that is read.
    chain: usize,
    steps: Steps,
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
            (["add" | "create", "chain", rest @ ..], Some(Item::Block(body))) => {
                let (_, table, chain) = named(rest);
                self.hooked(&format!("{table} {chain}"), body);
            }
            (["add" | "insert", "rule", rest @ ..], _) => self.single(statement, rest),
            (["flush", "ruleset"] | ["delete" | "destroy", "table", ..], _) => {
                self.gone(statement.line, words.get(2..).and_then(<[&str]>::last).copied());
            }
            (["flush" | "delete" | "destroy" | "table" | "add" | "create" | "insert" | "include", ..], _) => {
            }
            (words, _) => self.skipped.add(statement.line, &words.join(" ")),
        }
    }

    /// A rule that a command adds to a chain.
    fn single(&mut self, statement: &Statement, rest: &[&str]) {
        let (family, table, chain) = named(rest);
        let items = statement.items.get(if family { 5 } else { 4 }..).unwrap_or_default();
        let name = format!("{table} {chain}");
        match self.chains.iter().position(|known| known.name == name) {
            Some(at) => self.chain = at,
            // What it hangs on is not in the file.
            None => self.enter(&name, "?", 0),
        }
        self.rule(statement, items, chain, &Named::new());
    }

    /// What the file takes away again was never there.
    fn gone(&mut self, line: u32, table: Option<&str>) {
        let before = self.groups.len();
        let of_table = |group: &Group| table.is_none_or(|table| group.table == table);
        self.groups.iter_mut().filter(|group| of_table(group)).for_each(|group| group.gone = true);
        let of_table = |chain: &Chain| table.is_none_or(|table| chain.name.split(' ').next() == Some(table));
        let chains = &self.chains;
        self.steps.forget_chains(|at| chains.get(at).is_some_and(of_table));
        if before > 0 && self.groups.iter().any(|group| group.gone) {
            self.note(at(line, "takes rules away that stand before it: they are not in force"));
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
        let base = self.hooked(chain, rules);
        let before = self.groups.len();
        let heads = ["type", "policy", "flags", "comment", "device"];
        let is_rule = |rule: &&Statement| !rule.words().next().is_some_and(|word| heads.contains(&word));
        for statement in rules.iter().filter(is_rule) {
            self.rule(statement, &statement.items, chain, sets);
        }
        if !base && self.groups.len() > before {
            let line = self.groups.get(before).map_or(0, |group| group.line);
            self.groups.truncate(before);
            self.steps.forget_groups(before);
            let text = format!(
                "chain {chain} is reached by jumps only: its marks depend on them and are passed over"
            );
            self.note(at(line, text));
        }
    }

    /// Goes to a chain with what it is hooked to; whether it is.
    fn hooked(&mut self, chain: &str, body: &[Statement]) -> bool {
        let hook = |statement: &Statement| -> Option<(String, i32)> {
            let mut words = statement.words().skip_while(|word| *word != "hook").skip(1);
            words.next().map(|hook| (hook.to_owned(), order::priority(statement.words())))
        };
        let hook = body.iter().find_map(hook);
        let base = hook.is_some();
        let (hook, priority) = hook.unwrap_or_default();
        self.enter(chain, &hook, priority);
        base
    }

    fn enter(&mut self, name: &str, hook: &str, priority: i32) {
        let same = |chain: &Chain| chain.name == name && chain.hook == hook && chain.priority == priority;
        self.chain = self.chains.iter().position(same).unwrap_or_else(|| {
            let (name, hook) = (name.to_owned(), hook.to_owned());
            self.chains.push(Chain { name, hook, priority, ..Chain::default() });
            self.chains.len() - 1
        });
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
                    self.marking(&marking, chain);
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
        let only = (!only.is_empty()).then(|| format!("`{}`", only.join(" ")));
        for taken in taken(ending, only, None) {
            if let Some(chain) = self.chains.get_mut(self.chain) {
                chain.earlier.add(taken.clone());
            }
            let (chain, version) = (self.chain, ending.version);
            self.steps.add(Step { chain, version, group: None, taken, ends: true, unread: false });
        }
    }

    fn marking(&mut self, marking: &Marking, chain: &str) {
        match marking.unknown.is_empty() {
            true => self.add(marking, chain),
            false => self.pass_over(marking),
        }
    }

    /// It is no rule of a plan, but it may change what others have marked.
    fn pass_over(&mut self, marking: &Marking) {
        let text = format!(
            "sets {} by more than ports ({}): no rule of a plan, passed over",
            dscp::label(marking.mark),
            marking.unknown.join(" ")
        );
        self.note(at(marking.line, text));
        let told: Vec<&str> =
            marking.unknown.iter().map(String::as_str).filter(|text| *text != NO_PORTS).collect();
        let places = marking.place.iter().map(|place| place.text.as_str());
        let only: Vec<&str> = places.chain(told.iter().copied()).collect();
        let only = (!only.is_empty()).then(|| format!("what has `{}`", only.join(" ")));
        for taken in taken(marking, only, Some(marking.mark)) {
            let (chain, version, unread) = (self.chain, marking.version, !told.is_empty());
            self.steps.add(Step { chain, version, group: None, taken, ends: marking.ends, unread });
        }
    }

    fn add(&mut self, marking: &Marking, chain: &str) {
        for taken in taken(marking, marking.only(), Some(marking.mark)) {
            if self.groups.len() >= MAX_RULES {
                self.errors.push(at(marking.line, format!("more than {MAX_RULES} marking rules")));
                return;
            }
            let rule = rule_of("", taken.protocol, (taken.source, taken.destination), marking.mark);
            let group = self.cover(marking, chain, taken.source, taken.destination);
            let (chain, version, ends) = (self.chain, marking.version, marking.ends);
            self.steps.add(Step { chain, version, group: Some((group, rule)), taken, ends, unread: false });
        }
    }

    fn cover(
        &mut self,
        marking: &Marking,
        chain: &str,
        source: Option<PortRange>,
        destination: Option<PortRange>,
    ) -> usize {
        let (four, six) = (marking.version == 4, marking.version == 6);
        let covered = [marking.udp && four, marking.udp && six, marking.tcp && four, marking.tcp && six];
        let same = |group: &Group| (group.source_ports, group.destination_ports) == (source, destination);
        let twice = |group: &Group| group.covered.iter().zip(covered).any(|(a, b)| *a && b);
        let place = self.chains.get(self.chain);
        let hook = place.map(|chain| chain.hook.clone()).unwrap_or_default();
        let rule = rule_of("", protocol_of(covered), (source, destination), marking.mark);
        let mut caveats = place.map(|chain| chain.earlier.caveats(&rule)).unwrap_or_default();
        let mut others = self
            .groups
            .iter_mut()
            .enumerate()
            .filter(|(_, group)| same(group) && group.hook == hook && !group.gone);
        match others
            .find(|(_, group)| group.mark == marking.mark || (twice(group) && group.place == marking.place))
        {
            Some((number, group)) if group.mark == marking.mark => {
                group.covered.iter_mut().zip(covered).for_each(|(a, b)| *a |= b);
                let new = marking.place.iter().filter(|place| !group.place.contains(place));
                let new: Vec<Place> = new.cloned().collect();
                group.place.extend(new);
                return number;
            }
            Some((_, group)) if group.ends => {
                let text = format!("never reached: line {} takes its packets first", group.line);
                caveats.push(Caveat::nothing(text, format!("put it before line {}", group.line)));
            }
            _ => {}
        }
        let name = marking.name.clone().unwrap_or_else(|| format!("{chain}, line {}", marking.line));
        let table = place.and_then(|chain| chain.name.split(' ').next()).unwrap_or_default().to_owned();
        self.groups.push(Group {
            source_ports: source,
            destination_ports: destination,
            mark: marking.mark,
            line: marking.line,
            name,
            covered,
            place: marking.place.clone(),
            hook,
            table,
            gone: false,
            ends: marking.ends,
            caveats,
        });
        self.groups.len() - 1
    }

    fn finish(self) -> Result<Read, Vec<Note>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let (mut facts, mut notes) = (Vec::new(), self.notes);
        notes.extend(self.skipped.notes());
        let mut groups = self.groups;
        for (group, told) in self.steps.caveats(&self.chains, groups.len()) {
            if let Some(group) = groups.get_mut(group) {
                group.caveats.push(told.caveat());
            }
        }
        for group in groups.into_iter().filter(|group| !group.gone) {
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

impl Marking {
    /// Where its packets go, in words.
    fn only(&self) -> Option<String> {
        let places: Vec<&str> = self.place.iter().map(|place| place.text.as_str()).collect();
        (!places.is_empty()).then(|| format!("what has `{}`", places.join(" ")))
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

/// The family, whether it is named, then table and chain.
fn named<'w>(rest: &[&'w str]) -> (bool, &'w str, &'w str) {
    let family = rest.first().is_some_and(|word| ["ip", "ip6", "inet", "bridge", "netdev"].contains(word));
    let word = |at: usize| rest.get(usize::from(family) + at).copied().unwrap_or_default();
    (family, word(0), word(1))
}

/// What a line takes, for each pair of its ranges.
fn taken(marking: &Marking, only: Option<String>, mark: Option<Dscp>) -> Vec<Taken> {
    let protocol = match (marking.udp, marking.tcp) {
        (true, true) => Protocol::Both,
        (true, false) => Protocol::Udp,
        (false, true) => Protocol::Tcp,
        (false, false) => return Vec::new(),
    };
    let any_or = |ranges: &[PortRange]| -> BTreeSet<Option<PortRange>> {
        if ranges.is_empty() { BTreeSet::from([None]) } else { ranges.iter().copied().map(Some).collect() }
    };
    let line = usize::try_from(marking.line).unwrap_or_default();
    let (sources, destinations) = (any_or(&marking.source_ports), any_or(&marking.destination_ports));
    let pairs = sources.iter().flat_map(|source| destinations.iter().map(move |to| (*source, *to)));
    pairs
        .map(|(source, destination)| Taken { line, protocol, source, destination, only: only.clone(), mark })
        .collect()
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
        "?" => Some(Caveat::unknown(
            "in a chain that is not in the file",
            "check what `nft list ruleset` prints",
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
