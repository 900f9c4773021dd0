//! What Cisco's policies do: classes in their order, each by lists of ports or by marks that packets already have.

use std::collections::{BTreeMap, BTreeSet};

use super::access_list::Entry;
use super::{Found, fact_for, note};

use crate::import::first::{Earlier, Taken};
use crate::import::{Caveat, Fact, Mark, Note, What};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};
use carillon_wire::ip::Dscp;

/// What a file defines, by name.
#[derive(Default)]
pub(super) struct Policies {
    pub(super) lists: BTreeMap<String, Vec<Line>>,
    pub(super) classes: BTreeMap<String, ClassMap>,
    /// In the order of the file.
    policies: Vec<(String, Vec<PolicyClass>)>,
}

/// A line of an access list.
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) permits: bool,
    pub(super) entry: Entry,
}

#[derive(Default)]
pub(super) struct ClassMap {
    /// Whether all conditions must hold, which is what IOS takes unless told.
    pub(super) all: bool,
    pub(super) lists: Vec<(usize, String)>,
    /// Marks that packets have already.
    pub(super) marks: BTreeSet<Mark>,
    /// Lines with such marks.
    pub(super) mark_lines: usize,
    /// Conditions of other kinds.
    pub(super) others: usize,
}

/// A class where a policy names it.
pub(super) struct PolicyClass {
    line: usize,
    name: String,
    mark: Option<(usize, Dscp)>,
    /// Whether it has a queue of its own.
    queue: bool,
}

impl PolicyClass {
    pub(super) fn new(line: usize, name: &str) -> PolicyClass {
        PolicyClass { line, name: name.to_owned(), mark: None, queue: false }
    }
}

/// Most entries of lists that become rules: a list of many, named by many classes, must end somewhere.
const MAX_ENTRIES: usize = 100_000;

const DEFAULT: &str = "class-default";

impl Policies {
    pub(super) fn open(&mut self, name: &str) {
        self.policies.push((name.to_owned(), Vec::new()));
    }

    pub(super) fn class(&mut self, class: PolicyClass) {
        if let Some((_, classes)) = self.policies.last_mut() {
            classes.push(class);
        }
    }

    /// The class that was named last marks.
    pub(super) fn mark(&mut self, line: usize, mark: Dscp) {
        if let Some(class) = self.policies.last_mut().and_then(|(_, classes)| classes.last_mut()) {
            class.mark = Some((line, mark));
        }
    }

    /// The class that was named last has a queue.
    pub(super) fn queue(&mut self) {
        if let Some(class) = self.policies.last_mut().and_then(|(_, classes)| classes.last_mut()) {
            class.queue = true;
        }
    }

    /// What all policies do.
    ///
    /// # Errors
    /// Lists and classes that make too many rules.
    pub(super) fn facts(&self) -> Result<(Vec<Fact>, Vec<Note>), Note> {
        let mut work = Work {
            file: self,
            found: Found::default(),
            notes: Vec::new(),
            told: BTreeSet::new(),
            entries: 0,
        };
        for (name, classes) in &self.policies {
            work.policy(name, classes)?;
        }
        Ok((work.found.facts, work.notes))
    }

    fn kind(&self, name: &str) -> Kind<'_> {
        if name == DEFAULT {
            return Kind::Rest;
        }
        match self.classes.get(name) {
            None => {
                Kind::Unknown(format!("class map {name} is not in the file: what gets the mark is not known"))
            }
            Some(ClassMap { others: 0, mark_lines: 0, lists, all, .. }) if !all || lists.len() < 2 => {
                Kind::Lists(lists)
            }
            Some(ClassMap { others: 0, mark_lines, lists, marks, all })
                if lists.is_empty() && (!all || *mark_lines < 2) =>
            {
                Kind::Marks(marks)
            }
            Some(_) => Kind::Unknown(format!(
                "class map {name} asks for more than one access list says: not read as a rule"
            )),
        }
    }
}

/// What a class looks at.
enum Kind<'p> {
    Rest,
    Lists(&'p [(usize, String)]),
    Marks(&'p BTreeSet<Mark>),
    Unknown(String),
}

struct Work<'p> {
    file: &'p Policies,
    found: Found,
    notes: Vec<Note>,
    told: BTreeSet<String>,
    entries: usize,
}

impl<'p> Work<'p> {
    fn policy(&mut self, policy: &str, classes: &[PolicyClass]) -> Result<(), Note> {
        let mut earlier = Earlier::default();
        let mut matched: BTreeSet<Mark> = BTreeSet::new();
        // A policy that looks at ports tells hosts apart; what it does with the rest is no re-marking of the plan's.
        let by_marks = !matched_by_lists(self.file, classes);
        for class in classes {
            let file: &'p Policies = self.file;
            match file.kind(&class.name) {
                Kind::Marks(marks) => {
                    let new: Vec<Mark> = marks.difference(&matched).copied().collect();
                    self.by_marks(policy, class, new);
                    matched.extend(marks);
                }
                Kind::Rest if by_marks => {
                    let rest = (0..64).filter_map(Dscp::new).map(Mark).filter(|mark| !matched.contains(mark));
                    self.remarks(policy, class, rest.collect());
                }
                Kind::Rest => self.tell(class, "marks all that no class has matched: not read as a rule"),
                Kind::Lists(lists) => self.by_lists(class, lists, &mut earlier)?,
                Kind::Unknown(why) => self.tell(class, &why),
            }
        }
        Ok(())
    }

    /// Once for each class that marks.
    fn tell(&mut self, class: &PolicyClass, text: &str) {
        let Some((line, _)) = class.mark else { return };
        if self.told.insert(text.to_owned()) {
            self.notes.push(note(line, text));
        }
    }

    fn by_marks(&mut self, policy: &str, class: &PolicyClass, marks: Vec<Mark>) {
        if class.queue && !marks.is_empty() {
            let what = What::Queue { name: class.name.clone(), marks: marks.clone() };
            self.found.add(Fact::new(format!("line {}", class.line), what));
        }
        self.remarks(policy, class, marks);
    }

    fn remarks(&mut self, policy: &str, class: &PolicyClass, marks: Vec<Mark>) {
        let Some((line, to)) = class.mark else { return };
        let from: Vec<Mark> = marks.into_iter().filter(|mark| mark.0 != to).collect();
        if !from.is_empty() {
            let by = format!("class {} of policy {policy}", class.name);
            self.found.add(Fact::new(format!("line {line}"), What::Remarked { from, to: Mark(to), by }));
        }
    }

    /// The rules of a class by its lists. Its packets are taken from the classes behind it, whatever it does with them.
    fn by_lists(
        &mut self,
        class: &PolicyClass,
        lists: &[(usize, String)],
        earlier: &mut Earlier,
    ) -> Result<(), Note> {
        let mut groups = Groups::default();
        for (line, list) in lists {
            let Some(entries) = self.file.lists.get(list) else {
                let name = &class.name;
                let text = format!(
                    "access list {list} is not in the file: what class map {name} matches is not known"
                );
                if class.mark.is_some() && self.told.insert(text.clone()) {
                    self.notes.push(note(*line, text));
                }
                continue;
            };
            self.entries += entries.len();
            if self.entries > MAX_ENTRIES {
                return Err(note(*line, format!("classes and lists make more than {MAX_ENTRIES} rules")));
            }
            groups.list(list, entries, &mut self.notes, &mut self.told);
        }
        let mark = class.mark.map(|(_, mark)| mark);
        let mut taken = Vec::new();
        for (key, group) in groups.in_order() {
            let rule = key.rule(&class.name, group.protocol(), mark.unwrap_or(Dscp::DEFAULT));
            taken.push(group.taken(&rule, mark));
            if mark.is_some() {
                self.rule(rule, group, earlier);
            }
        }
        taken.into_iter().for_each(|taken| earlier.add(taken));
        Ok(())
    }

    fn rule(&mut self, rule: MarkingRule, group: &Group, earlier: &Earlier) {
        let left = earlier.left(&rule);
        if let (Some(line), Some(first)) = (left.taken_by, group.lines.first()) {
            let text = format!("line {line} comes first and takes some of the packets of {}", rule.name);
            if self.told.insert(text.clone()) {
                self.notes.push(note(*first, text));
            }
        }
        let (from, to) = group.addresses();
        for rule in left.rules {
            let mut fact = fact_for(&group.lines, rule, &from, &to);
            fact.caveats.extend(group.caveats.iter().chain(&left.caveats).cloned());
            self.found.add(fact);
        }
    }
}

fn matched_by_lists(file: &Policies, classes: &[PolicyClass]) -> bool {
    let known = classes.iter().filter(|class| class.name != DEFAULT);
    let mut by_marks = 0;
    for class in known {
        match file.classes.get(&class.name) {
            Some(map) if map.lists.is_empty() && map.others == 0 && map.mark_lines > 0 => by_marks += 1,
            _ => return true,
        }
    }
    by_marks == 0
}

/// Ports and, whether there are any, addresses of both ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    source: Option<PortRange>,
    destination: Option<PortRange>,
    from: bool,
    to: bool,
}

impl Key {
    fn rule(self, name: &str, protocol: Protocol, mark: Dscp) -> MarkingRule {
        let (source_ports, destination_ports) = (self.source, self.destination);
        MarkingRule {
            name: name.to_owned(),
            application: None,
            protocol,
            source_ports,
            destination_ports,
            mark,
        }
    }
}

/// Entries for the same ports: those over UDP and over TCP are one rule.
#[derive(Default)]
struct Group {
    protocols: BTreeSet<Protocol>,
    lines: Vec<usize>,
    from: BTreeSet<String>,
    to: BTreeSet<String>,
    caveats: Vec<Caveat>,
}

impl Group {
    fn protocol(&self) -> Protocol {
        match self.protocols.iter().collect::<Vec<_>>().as_slice() {
            [one] => **one,
            _ => Protocol::Both,
        }
    }

    fn addresses(&self) -> (Vec<String>, Vec<String>) {
        (self.from.iter().cloned().collect(), self.to.iter().cloned().collect())
    }

    fn taken(&self, rule: &MarkingRule, mark: Option<Dscp>) -> Taken {
        let whole = self.from.is_empty() && self.to.is_empty() && self.caveats.is_empty();
        Taken {
            line: self.lines.first().copied().unwrap_or_default(),
            protocol: rule.protocol,
            source: rule.source_ports,
            destination: rule.destination_ports,
            only: (!whole).then(|| format!("some packets of {}", rule.name)),
            mark,
        }
    }
}

#[derive(Default)]
struct Groups {
    order: Vec<Key>,
    by_key: BTreeMap<Key, Group>,
}

impl Groups {
    /// A list: what it denies is taken from what it permits below.
    fn list(&mut self, list: &str, lines: &[Line], notes: &mut Vec<Note>, told: &mut BTreeSet<String>) {
        let mut denied = Earlier::default();
        for line in lines {
            for source in &line.entry.source {
                for destination in &line.entry.destination {
                    if line.permits {
                        self.permit(list, line, (*source, *destination), &denied, notes, told);
                    } else {
                        denied.add(deny(line, *source, *destination));
                    }
                }
            }
        }
    }

    fn permit(
        &mut self,
        list: &str,
        line: &Line,
        (source, destination): (Option<PortRange>, Option<PortRange>),
        denied: &Earlier,
        notes: &mut Vec<Note>,
        told: &mut BTreeSet<String>,
    ) {
        let (from, to) = (line.entry.from.is_some(), line.entry.to.is_some());
        let rule = Key { source, destination, from, to }.rule(list, line.entry.protocol, Dscp::DEFAULT);
        let left = denied.left(&rule);
        if let Some(deny) = left.taken_by {
            let text = format!("access list {list}: line {deny} denies some of these packets first");
            if told.insert(format!("{} {text}", line.number)) {
                notes.push(note(line.number, text));
            }
        }
        for piece in left.rules {
            let key = Key { source: piece.source_ports, destination: piece.destination_ports, from, to };
            let group = self.by_key.entry(key).or_insert_with(|| {
                self.order.push(key);
                Group::default()
            });
            group.protocols.insert(piece.protocol);
            group.lines.push(line.number);
            group.from.extend(line.entry.from.clone());
            group.to.extend(line.entry.to.clone());
            let new = left.caveats.iter().filter(|caveat| !group.caveats.contains(caveat));
            let new: Vec<Caveat> = new.cloned().collect();
            group.caveats.extend(new);
        }
    }

    fn in_order(&self) -> impl Iterator<Item = (Key, &Group)> {
        self.order.iter().filter_map(|key| Some((*key, self.by_key.get(key)?)))
    }
}

fn deny(line: &Line, source: Option<PortRange>, destination: Option<PortRange>) -> Taken {
    let ends = [("from", &line.entry.from), ("to", &line.entry.to)];
    let only: Vec<String> =
        ends.iter().filter_map(|(word, end)| Some(format!("{word} {}", end.as_ref()?))).collect();
    Taken {
        line: line.number,
        protocol: line.entry.protocol,
        source,
        destination,
        only: (!only.is_empty()).then(|| format!("what goes {}", only.join(" "))),
        mark: None,
    }
}
