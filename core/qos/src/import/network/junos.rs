//! Junos: the terms of firewall filters that set a mark, and the classes that marks are sorted into.

use std::collections::{BTreeMap, BTreeSet};

use super::bindings::Bindings;
use super::junos_tree::{self, Node};
use super::{
    Found, Names, Outcome, decimal_mark, fact_for, has_line, note, outcome, protocol, spelt_out, text,
};
use crate::dscp;
use crate::import::first::{Earlier, Later, Taken};
use crate::import::{Caveat, Fact, Mark, Note, Read, What};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};
use carillon_wire::ip::Dscp;

/// Most pairs of source and destination ranges in one term, and most rules of a file.
const MAX_PAIRS: usize = 1024;
const MAX_RULES: usize = 20_000;

/// Most rules of a filter whose packets are followed through later terms, and most terms that are not read.
const MAX_OPEN: usize = 500;

pub(super) fn recognise(bytes: &[u8]) -> bool {
    has_line(bytes, &["firewall {", "class-of-service {", "set firewall ", "set class-of-service "])
}

pub(super) fn read(bytes: &[u8]) -> Outcome {
    let (root, notes) = junos_tree::read(text(bytes)?).map_err(|error| vec![error])?;
    let mut reading = Reading { notes, ..Reading::default() };
    for child in &root.children {
        match child.word(0) {
            // When all names are known.
            "firewall" => {}
            "policy-options" => reading.prefixes(child),
            "groups" | "apply-groups" => {
                let text = "what groups add to the configuration is not read";
                reading.notes.push(note(child.line, text));
                reading.bindings.more();
            }
            "interfaces" => {
                reading.bindings.interface();
                reading.bound(child, "", "");
            }
            _ => reading.bound(child, "", ""),
        }
    }
    root.children.iter().filter(|child| child.word(0) == "firewall").for_each(|node| reading.filters(node));
    for service in root.children.iter().filter(|child| child.word(0) == "class-of-service") {
        reading.classes(service);
    }
    outcome(Read { facts: reading.found.facts, notes: reading.notes }, reading.wrong)
}

#[derive(Default)]
struct Reading {
    found: Found,
    bindings: Bindings,
    /// Lists of prefixes.
    names: Names,
    /// The forwarding class that a rule sorts its packets into.
    classes: BTreeMap<MarkingRule, String>,
    notes: Vec<Note>,
    wrong: Vec<Note>,
}

impl Reading {
    /// `prefix-list SERVERS { 10.1.0.0/24; }`, or a line with these words.
    fn prefixes(&mut self, options: &Node) {
        let lines = options.children.iter().filter(|child| child.word(0) == "prefix-list");
        for list in lines.chain([options].into_iter().filter(|node| node.word(1) == "prefix-list")) {
            let words = list.words.iter().skip_while(|word| *word != "prefix-list").skip(1).cloned();
            let words: Vec<String> =
                words.chain(list.children.iter().map(|child| child.word(0).to_owned())).collect();
            if let Some((name, addresses)) = words.split_first() {
                self.names.entry(name.clone()).or_default().extend(addresses.iter().cloned());
            }
        }
    }

    /// Which filters are bound below a node: `filter { input F; }`, or a line with these words.
    fn bound(&mut self, node: &Node, interface: &str, inside: &str) {
        // `ge-0/0/1`, and its `unit 0` behind it.
        let own =
            node.words.iter().filter(|word| *word != "interfaces").map(String::as_str).collect::<Vec<_>>();
        let name = match (inside, own.as_slice()) {
            ("interfaces", [first, ..]) => (*first).to_owned(),
            _ => interface.to_owned(),
        };
        let mut words = node.words.iter().map(String::as_str).skip_while(|word| *word != "filter").skip(1);
        let list: Vec<&str> = if inside == "filter" {
            node.words.iter().map(String::as_str).collect()
        } else {
            words.by_ref().collect()
        };
        let name = if node.children.is_empty() && node.word(0) == "interfaces" {
            node.word(1).to_owned()
        } else {
            name
        };
        if let [direction @ ("input" | "output" | "input-list" | "output-list"), names @ ..] = list.as_slice()
        {
            let direction = direction.trim_end_matches("-list");
            for filter in names.iter().filter(|word| !matches!(**word, "[" | "]")) {
                self.bindings.bind(filter, if name.is_empty() { node.word(0) } else { &name }, direction);
            }
        }
        let disabled = node.words.last().is_some_and(|word| word == "disable");
        if disabled && node.words.len() == 1 && inside != "unit" || disabled && node.words.len() == 3 {
            self.bindings.set_down(&name, true);
        }
        for child in &node.children {
            self.bound(child, &name, node.word(0));
        }
    }

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
        let mut list = Terms::default();
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
            let class = actions.iter().find(|action| is(action, "forwarding-class"));
            list.class = class.and_then(|action| action.get(1)).cloned();
            let goes_on = actions.iter().any(|action| is(action, "next"));
            let name = format!("{} {}", filter.word(1), term.word(1));
            self.term(&name, term, (mark, !goes_on), &mut list);
            if self.found.facts.len() + list.facts.len() > MAX_RULES {
                return self.wrong.push(note(term.line, format!("more than {MAX_RULES} rules")));
            }
        }
        let name = filter.word(1);
        let standing = self.bindings.caveat(name, &format!("filter input {name}"));
        for mut fact in list.facts {
            fact.caveats.push(standing.clone());
            self.found.add(fact);
        }
    }

    fn term(&mut self, name: &str, term: &Node, (mark, ends): (Option<Dscp>, bool), list: &mut Terms) {
        let conditions = match Conditions::from_term(term) {
            Ok(conditions) => conditions,
            Err(error) => return self.wrong.push(error),
        };
        if conditions.source.len().saturating_mul(conditions.destination.len()) > MAX_PAIRS {
            let text = format!("term {name} pairs more than {MAX_PAIRS} ranges of ports");
            return self.wrong.push(note(term.line, text));
        }
        let unread = conditions.more.as_ref().filter(|_| mark.is_some());
        if let Some(what) = unread {
            let text =
                format!("term {name} asks for more than protocol and ports ({what}): not read as a rule");
            self.notes.push(note(term.line, text));
        }
        let steps: Vec<Taken> =
            if conditions.elsewhere { Vec::new() } else { conditions.taken(name, term.line, mark) };
        for step in &steps {
            list.meet(step, ends, unread.is_some());
        }
        if unread.is_some() {
            if list.unread.len() < MAX_OPEN {
                list.unread.extend(steps);
            } else {
                let text = format!("behind more than {MAX_OPEN} terms that are not read");
                list.earlier.doubt(Caveat::unknown(text, "check what these terms take"));
            }
            return;
        }
        for rule in conditions.rules(name, mark.unwrap_or(Dscp::DEFAULT)) {
            if mark.is_some() {
                self.rule(term, &rule, &conditions, (ends, &mut *list));
            }
        }
        if ends {
            steps.into_iter().for_each(|step| list.earlier.add(step));
        }
    }

    fn rule(
        &mut self,
        term: &Node,
        rule: &MarkingRule,
        conditions: &Conditions,
        (ends, list): (bool, &mut Terms),
    ) {
        let left = list.earlier.left(rule);
        if let Some(line) = left.taken_by {
            let text = format!("the term of line {line} comes first and takes some of these packets");
            self.notes.push(note(term.line, text));
        }
        for rule in left.rules {
            let unread = list.unread.iter().filter(|step| step.may_take(&rule)).map(|step| {
                let line = step.line;
                Caveat::unknown(
                    format!("the term of line {line} comes first, and which packets it takes is not read"),
                    format!("put it before line {line}, or check what that term takes"),
                )
            });
            let unread: Vec<Caveat> = unread.take(1).collect();
            if let Some(class) = &list.class {
                self.classes.insert(rule.clone(), class.clone());
            }
            let followed = ends || list.later.len() < MAX_OPEN;
            if !ends && followed {
                list.later.set(list.facts.len(), &rule);
            }
            let lost = (!followed).then(|| {
                Caveat::unknown(
                    "and what terms behind it do to its packets was not followed",
                    "use fewer `next term`",
                )
            });
            let (from, to) =
                (spelt_out(&conditions.from, &self.names), spelt_out(&conditions.to, &self.names));
            let mut fact = fact_for(&[term.line], rule, &from, &to);
            fact.caveats.extend(left.caveats.iter().cloned().chain(unread).chain(lost));
            list.facts.push(fact);
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
        let rewrites = self.points(service, "rewrite-rules", "code-point");
        self.rewritten(&rewrites);
        for (class, line, to) in rewrites {
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

    /// What terms sort into a class leaves with the mark that a rewrite rule has for it.
    fn rewritten(&mut self, rewrites: &[(String, usize, Mark)]) {
        for fact in &mut self.found.facts {
            let What::Rule(rule) = &fact.what else { continue };
            let Some(class) = self.classes.get(rule) else { continue };
            let mut own = rewrites.iter().filter(|(name, ..)| name == class).peekable();
            if let Some((_, line, to)) = own.peek().copied()
                && own.all(|(.., mark)| mark.0 != rule.mark)
            {
                let to = dscp::label(to.0);
                fact.caveats.push(Caveat::part(
                    format!("but the rewrite rule of {class} (line {line}) sends {to} instead"),
                    format!("give {class} the mark of this rule in the rewrite rule"),
                ));
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

/// The terms of a filter that have been read.
#[derive(Default)]
struct Terms {
    earlier: Earlier,
    /// Terms that are not read and may take packets first.
    unread: Vec<Taken>,
    facts: Vec<Fact>,
    /// Rules behind which packets go on, by their place among the facts.
    later: Later<usize>,
    /// The forwarding class of the term that is read.
    class: Option<String>,
}

impl Terms {
    /// What a term makes of packets that others have marked before.
    fn meet(&mut self, step: &Taken, ends: bool, unread: bool) {
        for (fact, caveat) in self.later.meet(step, ends && !unread, |_| true) {
            let Some(fact) = self.facts.get_mut(fact) else { continue };
            let caveat = if unread { Caveat::unknown(caveat.text, caveat.fix) } else { caveat };
            if !fact.caveats.contains(&caveat) {
                fact.caveats.push(caveat);
            }
        }
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

    /// What it takes from the terms behind it.
    fn taken(&self, name: &str, line: usize, mark: Option<Dscp>) -> Vec<Taken> {
        let only = self.only();
        let step = |rule: MarkingRule| Taken {
            line,
            protocol: rule.protocol,
            source: rule.source_ports,
            destination: rule.destination_ports,
            only: only.clone(),
            mark,
        };
        self.rules(name, Dscp::DEFAULT).into_iter().map(step).collect()
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
