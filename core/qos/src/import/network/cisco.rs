//! Cisco IOS: access lists, class maps and policy maps become rules; dial peers and RTP ranges those of a gateway.
//!
//! Only what marks is read; queuing, interfaces and addresses are passed over.

use std::collections::{BTreeMap, BTreeSet};

use super::access_list::{Entry, Not};
use super::{Outcome, decimal_mark, fact, has_line, note, outcome, range, text};
use crate::class::TrafficClass;
use crate::import::{Fact, Note, Read, What};
use crate::role::Role;
use crate::rule::{MarkingRule, Protocol};
use carillon_wire::ip::Dscp;

pub(super) fn recognise(bytes: &[u8]) -> bool {
    has_line(
        bytes,
        &["policy-map ", "class-map ", "ip access-list extended ", "dial-peer voice ", "rtp-port range "],
    )
}

pub(super) fn read(bytes: &[u8]) -> Outcome {
    let mut configuration = Configuration::default();
    for (number, line) in text(bytes)?.lines().enumerate() {
        configuration.line(number + 1, line);
    }
    configuration.finish()
}

/// What the file has defined so far.
#[derive(Default)]
struct Configuration {
    context: Context,
    lists: BTreeMap<String, Vec<(usize, Entry)>>,
    classes: BTreeMap<String, ClassMap>,
    /// What policies set, in the order of the file.
    marked: Vec<(usize, String, Dscp)>,
    gateway: Vec<Fact>,
    /// Entries of lists that have become rules, a list that several classes name as often.
    work: usize,
    notes: Vec<Note>,
    wrong: Vec<Note>,
}

/// Most entries that become rules: a list of many, named by many classes, must end somewhere.
const MAX_ENTRIES: usize = 100_000;

/// What a line of an access list can do.
const ACTIONS: [&str; 3] = ["permit", "deny", "remark"];

/// The block that a line stands in.
#[derive(Default)]
enum Context {
    #[default]
    Other,
    List(String),
    Class(String),
    Policy,
    PolicyClass(String),
    DialPeer,
}

#[derive(Default)]
struct ClassMap {
    /// Whether all conditions must hold, which is what IOS takes unless told.
    all: bool,
    lists: Vec<(usize, String)>,
    /// Conditions that are no access lists.
    others: usize,
}

impl Configuration {
    fn line(&mut self, number: usize, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] | ["!", ..] => {}
            ["ip", "access-list", "extended", name] | ["ipv6", "access-list", name] => self.open_list(name),
            ["access-list", name, entry @ ..] => self.entry(number, name, entry),
            ["class-map", rest @ ..] => self.open_class(number, rest),
            ["policy-map", ..] => self.context = Context::Policy,
            ["dial-peer", "voice", _, "voip"] => self.context = Context::DialPeer,
            ["rtp-port", "range", first, last] => self.rtp(number, first, last),
            words if self.inside(number, words) => {}
            _ if line.starts_with(char::is_whitespace) => {}
            _ => self.context = Context::Other,
        }
    }

    /// A line of the open block; `false` if it is none that has to do with marks.
    fn inside(&mut self, number: usize, words: &[&str]) -> bool {
        match (&self.context, words) {
            // A number may stand before the action, or `sequence` and a number.
            (Context::List(name), ["sequence", _, rest @ ..] | rest)
                if rest.iter().take(2).any(|word| ACTIONS.contains(word)) =>
            {
                let name = name.clone();
                let numbered = rest.first().is_some_and(|word| !ACTIONS.contains(word));
                self.entry(number, &name, rest.get(usize::from(numbered)..).unwrap_or(&[]));
            }
            (Context::Class(name), ["match", condition @ ..]) => {
                let name = name.clone();
                self.condition(number, &name, condition);
            }
            (Context::Policy | Context::PolicyClass(_), ["class", name, ..]) => {
                self.context = Context::PolicyClass((*name).to_owned());
            }
            (Context::PolicyClass(class), ["set", "dscp", mark] | ["set", "ip", "dscp", mark]) => {
                let class = class.clone();
                self.set(number, class, mark);
            }
            (Context::DialPeer, ["ip", "qos", "dscp", mark, what, ..]) => self.dial_peer(number, mark, what),
            _ => return false,
        }
        true
    }

    fn open_list(&mut self, name: &str) {
        self.lists.entry(name.to_owned()).or_default();
        self.context = Context::List(name.to_owned());
    }

    fn entry(&mut self, number: usize, list: &str, words: &[&str]) {
        let entries = self.lists.entry(list.to_owned()).or_default();
        match words {
            ["permit", rest @ ..] => match Entry::from_words(rest) {
                Ok(entry) => entries.push((number, entry)),
                Err(Not::Readable(text)) => {
                    self.wrong.push(note(number, format!("access list {list}: {text}")))
                }
                Err(Not::Ports(text)) => {
                    self.notes.push(note(number, format!("access list {list} {text}: not read as a rule")));
                }
            },
            ["deny", ..] => {
                let text =
                    format!("access list {list} denies: packets of this line are left out of its class");
                self.notes.push(note(number, text));
            }
            _ => {}
        }
    }

    fn open_class(&mut self, number: usize, words: &[&str]) {
        let words = match words {
            ["type", _, rest @ ..] => rest,
            words => words,
        };
        let (all, name) = match words {
            ["match-any", name] => (false, *name),
            ["match-all", name] | [name] => (true, *name),
            _ => return self.wrong.push(note(number, "a class map without a name".to_owned())),
        };
        self.classes.entry(name.to_owned()).or_default().all = all;
        self.context = Context::Class(name.to_owned());
    }

    fn condition(&mut self, number: usize, class: &str, words: &[&str]) {
        let class = self.classes.entry(class.to_owned()).or_default();
        match words {
            ["access-group", "name", list] | ["access-group", list] => {
                class.lists.push((number, (*list).to_owned()))
            }
            _ => class.others += 1,
        }
    }

    fn set(&mut self, number: usize, class: String, mark: &str) {
        match decimal_mark(mark) {
            Ok(mark) => self.marked.push((number, class, mark)),
            Err(error) => self.wrong.push(note(number, error)),
        }
    }

    fn dial_peer(&mut self, number: usize, mark: &str, what: &str) {
        let class = match what {
            "media" => TrafficClass::Audio,
            "signaling" => TrafficClass::Signaling,
            "video" => TrafficClass::Video,
            _ => {
                return self.wrong.push(note(number, format!("{what:?} is none of media, signaling, video")));
            }
        };
        match decimal_mark(mark) {
            Ok(mark) => {
                let what = What::Mark { role: Role::Gateway, class, mark };
                self.gateway.push(Fact { place: format!("line {number}"), what });
            }
            Err(error) => self.wrong.push(note(number, error)),
        }
    }

    fn rtp(&mut self, number: usize, first: &str, last: &str) {
        let (scope, class) = ("global".to_owned(), Some(TrafficClass::Audio));
        match range(first, last) {
            Ok(ports) => {
                let what = What::Ports { scope, role: Role::Gateway, class, ports };
                self.gateway.push(Fact { place: format!("line {number}"), what });
            }
            Err(error) => self.wrong.push(note(number, error)),
        }
    }

    fn finish(mut self) -> Outcome {
        let mut found = Read { facts: Vec::new(), notes: Vec::new() };
        let (mut seen, mut told) = (BTreeSet::new(), BTreeSet::new());
        for (number, class, mark) in std::mem::take(&mut self.marked) {
            if !told.insert((class.clone(), mark)) {
                continue;
            }
            for fact in self.rules(number, &class, mark) {
                super::add(&mut found, &mut seen, fact);
            }
        }
        found.facts.append(&mut self.gateway);
        found.notes = self.notes;
        outcome(found, self.wrong)
    }

    /// The rules of a class that a policy marks, or a remark why there is none.
    fn rules(&mut self, number: usize, name: &str, mark: Dscp) -> Vec<Fact> {
        let mut facts = Vec::new();
        let Some(class) = self.classes.get(name) else {
            let text = match name {
                "class-default" => "marks all that no class has matched: not read as a rule".to_owned(),
                _ => format!("class map {name} is not in the file: what gets the mark is not known"),
            };
            self.notes.push(note(number, text));
            return facts;
        };
        if class.others > 0 || (class.all && class.lists.len() > 1) {
            let text =
                format!("class map {name} asks for more than one access list says: not read as a rule");
            self.notes.push(note(number, text));
            return facts;
        }
        for (line, list) in &class.lists {
            match self.lists.get(list) {
                Some(entries) if self.work + entries.len() > MAX_ENTRIES => {
                    let text = format!("classes and lists make more than {MAX_ENTRIES} rules");
                    self.wrong = vec![note(*line, text)];
                    return Vec::new();
                }
                Some(entries) => {
                    self.work += entries.len();
                    facts.extend(merged(name, mark, entries));
                }
                None => {
                    let text = format!(
                        "access list {list} is not in the file: what class map {name} matches is not known"
                    );
                    self.notes.push(note(*line, text));
                }
            }
        }
        facts
    }
}

/// The entries of one list as rules: the same ports over UDP and over TCP are one rule.
fn merged(name: &str, mark: Dscp, entries: &[(usize, Entry)]) -> Vec<Fact> {
    type Ports = (Option<crate::PortRange>, Option<crate::PortRange>);
    let mut order: Vec<Ports> = Vec::new();
    let mut by_ports: BTreeMap<Ports, (BTreeSet<Protocol>, Vec<usize>)> = BTreeMap::new();
    for (line, entry) in entries {
        for source in &entry.source {
            for destination in &entry.destination {
                let ports = (*source, *destination);
                let (protocols, lines) = by_ports.entry(ports).or_insert_with(|| {
                    order.push(ports);
                    (BTreeSet::new(), Vec::new())
                });
                protocols.insert(entry.protocol);
                lines.push(*line);
            }
        }
    }
    let rule = |ports: &Ports| {
        let (protocols, lines) = by_ports.get(ports)?;
        let protocol = match protocols.iter().collect::<Vec<_>>().as_slice() {
            [one] => **one,
            _ => Protocol::Both,
        };
        let (source_ports, destination_ports) = *ports;
        let (name, application) = (name.to_owned(), None);
        Some(fact(lines, MarkingRule { name, application, protocol, source_ports, destination_ports, mark }))
    };
    order.iter().filter_map(rule).collect()
}
