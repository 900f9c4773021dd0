//! What Cisco's policies do: classes in their order, each by lists of ports or by marks that packets already have.

use std::collections::{BTreeMap, BTreeSet};

use super::access_list::Entry;
use super::behind::Others;
use super::bindings::Bindings;
use super::{Found, fact_for, note};

use crate::dscp;
use crate::import::first::{Earlier, Taken};
use crate::import::{Caveat, Fact, Mark, Note, Reach, What};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};
use carillon_wire::ip::Dscp;

/// What a file defines, by name.
#[derive(Default)]
pub(super) struct Policies {
    pub(super) lists: BTreeMap<String, Vec<Line>>,
    /// Lines of lists that ask for more than is read, and whether they permit.
    pub(super) unread: BTreeMap<String, Vec<(usize, bool)>>,
    pub(super) classes: BTreeMap<String, ClassMap>,
    /// In the order of the file.
    pub(super) policies: Vec<(String, Vec<PolicyClass>)>,
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
    /// Whether every packet fits.
    pub(super) any: bool,
    /// Conditions of other kinds.
    pub(super) others: usize,
}

/// A class where a policy names it.
pub(super) struct PolicyClass {
    policy: String,
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) mark: Option<(usize, Dscp)>,
    /// Whether it has a queue of its own.
    queue: bool,
    /// The policy that its packets go through as well.
    child: Option<String>,
    /// What else it does to its packets, with the mark that they may get.
    doubts: Vec<(Dscp, Caveat)>,
}

impl PolicyClass {
    pub(super) fn new(line: usize, name: &str) -> PolicyClass {
        PolicyClass {
            policy: String::new(),
            line,
            name: name.to_owned(),
            mark: None,
            queue: false,
            child: None,
            doubts: Vec::new(),
        }
    }
}

/// Most entries of lists that become rules: a list of many, named by many classes, must end somewhere.
pub(super) const MAX_ENTRIES: usize = 100_000;

const DEFAULT: &str = "class-default";

/// Policies in classes of policies; IOS takes three.
const MAX_NESTED: u8 = 4;

impl Policies {
    pub(super) fn open(&mut self, name: &str) {
        self.policies.push((name.to_owned(), Vec::new()));
    }

    pub(super) fn class(&mut self, class: PolicyClass) {
        if let Some((policy, classes)) = self.policies.last_mut() {
            classes.push(PolicyClass { policy: policy.clone(), ..class });
        }
    }

    /// The class that was named last marks.
    pub(super) fn mark(&mut self, line: usize, mark: Dscp) {
        self.last(|class| class.mark = Some((line, mark)));
    }

    /// The class that was named last has a queue.
    pub(super) fn queue(&mut self) {
        self.last(|class| class.queue = true);
    }

    /// The class that was named last hands its packets to another policy.
    pub(super) fn child(&mut self, policy: &str) {
        self.last(|class| class.child = Some(policy.to_owned()));
    }

    /// The class that was named last gives some packets this mark.
    pub(super) fn doubt(&mut self, mark: Dscp, caveat: Caveat) {
        self.last(|class| class.doubts.push((mark, caveat)));
    }

    fn last(&mut self, change: impl FnOnce(&mut PolicyClass)) {
        if let Some(class) = self.policies.last_mut().and_then(|(_, classes)| classes.last_mut()) {
            change(class);
        }
    }

    /// What all policies do.
    ///
    /// # Errors
    /// Lists and classes that make too many rules.
    pub(super) fn facts(&self, bindings: &Bindings) -> Result<(Vec<Fact>, Vec<Note>), Note> {
        let mut work = Work {
            file: self,
            found: Found::default(),
            notes: Vec::new(),
            told: BTreeSet::new(),
            entries: 0,
            standing: Caveat::nothing("", ""),
            unread: Vec::new(),
            others: Others::default(),
        };
        work.others = Others::of(self, bindings);
        // What is bound first: another policy of the same rules takes nothing away from it.
        let bound = |name: &str| self.standing(name, bindings, MAX_NESTED).reach == Reach::Interfaces;
        let (first, rest): (Vec<_>, Vec<_>) = self.policies.iter().partition(|(name, _)| bound(name));
        for (name, classes) in first.into_iter().chain(rest) {
            work.standing = self.standing(name, bindings, MAX_NESTED);
            work.policy(name, classes)?;
        }
        Ok((work.found.facts, work.notes))
    }

    /// Whether packets come to a policy: by an interface, or by a class of another policy.
    fn standing(&self, name: &str, bindings: &Bindings, depth: u8) -> Caveat {
        let own = bindings.caveat(name, &format!("service-policy input {name}"));
        if own.reach == Reach::Interfaces || depth == 0 {
            return own;
        }
        let parents = self.policies.iter().flat_map(|(parent, classes)| {
            let calls = classes.iter().filter(|class| class.child.as_deref() == Some(name));
            calls.map(move |class| (parent, class, classes.len()))
        });
        let standing = parents.map(|(parent, class, count)| {
            let standing = self.standing(parent, bindings, depth - 1);
            if class.name == DEFAULT && count == 1 || standing.reach == Reach::Nothing {
                return standing;
            }
            let text = format!("only for what class {} of policy {parent} takes", class.name);
            Caveat::unknown(text, format!("check what class {} takes", class.name))
        });
        standing
            .chain([own])
            .min_by_key(|caveat| match caveat.reach {
                Reach::Interfaces => 0,
                Reach::Unknown => 1,
                _ => 2,
            })
            .unwrap_or_else(|| bindings.caveat(name, ""))
    }

    pub(super) fn kind(&self, name: &str) -> Kind<'_> {
        if name == DEFAULT {
            return Kind::Rest;
        }
        match self.classes.get(name) {
            None => {
                Kind::Unknown(format!("class map {name} is not in the file: what gets the mark is not known"))
            }
            Some(ClassMap { any: true, all, lists, mark_lines, others, .. })
                if !all || (lists.is_empty() && *mark_lines == 0 && *others == 0) =>
            {
                Kind::Any
            }
            Some(ClassMap { others: 0, mark_lines: 0, lists, all, .. }) if !all || lists.len() < 2 => {
                Kind::Lists(lists)
            }
            Some(ClassMap { others: 0, mark_lines, lists, marks, all, .. })
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
pub(super) enum Kind<'p> {
    Rest,
    Any,
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
    /// Of the policy that is read: whether packets come to it.
    standing: Caveat,
    /// Of the policy that is read: what may take packets before a rule and is not read, with its mark.
    unread: Vec<(Option<Dscp>, Caveat)>,
    others: Others,
}

impl<'p> Work<'p> {
    fn policy(&mut self, policy: &str, classes: &[PolicyClass]) -> Result<(), Note> {
        let mut earlier = Earlier::default();
        let mut matched: BTreeSet<Mark> = BTreeSet::new();
        self.unread.clear();
        let idle = self.standing.reach == Reach::Nothing;
        // A policy that looks at ports tells hosts apart; what it does with the rest is no re-marking of the plan's.
        let by_marks = !matched_by_lists(self.file, classes);
        for class in classes {
            let file: &'p Policies = self.file;
            match file.kind(&class.name) {
                Kind::Marks(marks) => {
                    let new: Vec<Mark> = marks.difference(&matched).copied().collect();
                    if !idle {
                        self.by_marks(policy, class, new);
                    }
                    self.marked_before(class, marks);
                    matched.extend(marks);
                }
                Kind::Any => {
                    self.tell(class, "marks every packet: not read as a rule");
                    earlier.add(every(class));
                }
                Kind::Rest if by_marks && idle => {}
                Kind::Rest if by_marks => {
                    let rest = (0..64).filter_map(Dscp::new).map(Mark).filter(|mark| !matched.contains(mark));
                    self.remarks(policy, class, rest.collect());
                }
                Kind::Rest => self.tell(class, "marks all that no class has matched: not read as a rule"),
                Kind::Lists(lists) => self.by_lists(class, lists, &mut earlier)?,
                Kind::Unknown(why) => {
                    self.tell(class, &why);
                    self.not_read(class);
                }
            }
        }
        Ok(())
    }

    /// A class whose packets are not known comes before what follows.
    fn not_read(&mut self, class: &PolicyClass) {
        let (name, line) = (&class.name, class.line);
        let caveat = Caveat::unknown(
            format!("class {name} (line {line}) comes first, and what it takes is not read"),
            format!("put it before class {name}, or check what that class takes"),
        );
        self.unread.push((class.mark.map(|(_, mark)| mark), caveat));
    }

    /// Packets that come with other marks are taken before what follows.
    fn marked_before(&mut self, class: &PolicyClass, marks: &BTreeSet<Mark>) {
        let (name, line) = (&class.name, class.line);
        let texts: Vec<String> = marks.iter().map(|mark| dscp::label(mark.0)).collect();
        let caveat = Caveat::part(
            format!(
                "but not what comes marked {}, which class {name} (line {line}) takes first",
                texts.join(", ")
            ),
            format!("put it before class {name}"),
        );
        // What keeps, or gets, the mark of a rule is as that rule wants it.
        let alike = match (class.mark, marks.iter().collect::<Vec<_>>().as_slice()) {
            (Some((_, mark)), _) => Some(mark),
            (None, [one]) => Some(one.0),
            _ => None,
        };
        self.unread.push((alike, caveat));
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
                self.not_read(class);
                continue;
            };
            self.entries += entries.len();
            if self.entries > MAX_ENTRIES {
                return Err(note(*line, format!("classes and lists make more than {MAX_ENTRIES} rules")));
            }
            let unread = self.file.unread.get(list).map_or(&[][..], Vec::as_slice);
            groups.list(list, entries, unread, &mut self.notes, &mut self.told);
        }
        let mark = class.mark.map(|(_, mark)| mark);
        let mut taken = Vec::new();
        for (key, group) in groups.in_order() {
            let rule = key.rule(&class.name, group.protocol(), mark.unwrap_or(Dscp::DEFAULT));
            taken.push(group.taken(&rule, mark));
            if mark.is_some() {
                self.rule(class, rule, group, earlier);
            }
        }
        let more =
            |list: &String| self.file.unread.get(list).is_some_and(|lines| lines.iter().any(|line| line.1));
        if lists.iter().any(|(_, list)| more(list)) {
            self.not_read(class);
        }
        taken.into_iter().for_each(|taken| earlier.add(taken));
        Ok(())
    }

    fn rule(&mut self, class: &PolicyClass, rule: MarkingRule, group: &Group, earlier: &Earlier) {
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
            let What::Rule(rule) = &fact.what else { continue };
            let doubts = class.doubts.iter().filter(|(mark, _)| *mark != rule.mark).map(|(_, doubt)| doubt);
            let unread =
                self.unread.iter().filter(|(mark, _)| *mark != Some(rule.mark)).map(|(_, caveat)| caveat);
            let others = self.others.behind(rule, &class.policy);
            let more =
                group.caveats.iter().chain(&left.caveats).chain(doubts).chain(unread).chain([&self.standing]);
            let more: Vec<Caveat> = more.cloned().chain(others).collect();
            fact.caveats.extend(more);
            self.found.add(fact);
        }
    }
}

/// A class that takes every packet.
fn every(class: &PolicyClass) -> Taken {
    let mark = class.mark.map(|(_, mark)| mark);
    Taken { line: class.line, protocol: Protocol::Both, source: None, destination: None, only: None, mark }
}

pub(super) fn matched_by_lists(file: &Policies, classes: &[PolicyClass]) -> bool {
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
pub(super) struct Key {
    source: Option<PortRange>,
    destination: Option<PortRange>,
    from: bool,
    to: bool,
}

impl Key {
    pub(super) fn rule(self, name: &str, protocol: Protocol, mark: Dscp) -> MarkingRule {
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
pub(super) struct Group {
    protocols: BTreeSet<Protocol>,
    lines: Vec<usize>,
    from: BTreeSet<String>,
    to: BTreeSet<String>,
    caveats: Vec<Caveat>,
}

impl Group {
    pub(super) fn protocol(&self) -> Protocol {
        match self.protocols.iter().collect::<Vec<_>>().as_slice() {
            [one] => **one,
            _ => Protocol::Both,
        }
    }

    fn addresses(&self) -> (Vec<String>, Vec<String>) {
        (self.from.iter().cloned().collect(), self.to.iter().cloned().collect())
    }

    pub(super) fn taken(&self, rule: &MarkingRule, mark: Option<Dscp>) -> Taken {
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
pub(super) struct Groups {
    order: Vec<Key>,
    by_key: BTreeMap<Key, Group>,
}

impl Groups {
    /// A list: what it denies is taken from what it permits below.
    pub(super) fn list(
        &mut self,
        list: &str,
        lines: &[Line],
        unread: &[(usize, bool)],
        notes: &mut Vec<Note>,
        told: &mut BTreeSet<String>,
    ) {
        let mut denied = Earlier::default();
        let denies = unread.iter().find(|(_, permits)| !permits).map(|(number, _)| *number);
        for line in lines {
            if let Some(number) = denies.filter(|number| *number < line.number) {
                denied.doubt(Caveat::unknown(
                    format!("line {number} denies some packets first, and which is not read"),
                    format!("put it before line {number}, or check what that line denies"),
                ));
            }
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

    pub(super) fn in_order(&self) -> impl Iterator<Item = (Key, &Group)> {
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
