//! A plan made of what is deployed, where there is none yet.

mod between;
mod guess;
mod phones;

use std::collections::BTreeMap;

use carillon_wire::ip::Dscp;

use super::settings::scope_named;
use super::{network, rules_of};
use crate::class::TrafficClass;
use crate::dscp;
use crate::export::{Order, rules};
use crate::import::{Caveat, Deployed, Note, Reach, What};
use crate::plan::{Network, Plan, QueueMap, Scope};
use crate::ports::PortRange;
use crate::role::Role;
use crate::rule::{MarkingRule, Protocol};

/// A plan, as a file, that gives what is deployed: ranges, marks, programs, phones, queues. Rules of which no plan could
/// be made stand in it as `[[rules]]`, to be compared with it. The notes say what was guessed and what disagrees.
pub fn plan_from(files: &[Deployed]) -> (String, Vec<Note>) {
    let mut draft = Draft::default();
    for file in files {
        draft.settings(file);
    }
    phones::told(files).iter().for_each(|told| draft.phone(told));
    for text in phones::left_out(files) {
        draft.notes.push(Note { place: "phones".to_owned(), text });
    }
    let facts = files.iter().flat_map(|file| &file.facts);
    let queues = facts.filter_map(|fact| match &fact.what {
        What::Queues(map) => Some(queue_table(map)),
        _ => None,
    });
    draft.tables = phones::tables(files).into_values().chain(queues.take(1)).collect();
    let mut all: Vec<Sorted<'_>> = Vec::new();
    for file in files {
        let is_between = between::is_between(file);
        let roles = guess::roles(file);
        for (found, role) in rules_of(file).into_iter().zip(roles) {
            let (rule, caveats) = (found.rule, found.caveats);
            let role = if is_between {
                between::role(rule, caveats, Some(role.value).filter(|_| role.sure))
            } else {
                role
            };
            draft.doubts(file, found.place, rule, (is_between, caveats));
            if caveats.iter().all(|caveat| caveat.reach != Reach::Nothing) {
                let (role, sure, place) = (role.value, role.sure, found.place);
                all.push(Sorted { file, place, rule, caveats, role, sure, is_between });
            }
        }
    }
    // An Edge's rules speak of the ports of others, which their own rules tell better.
    all.sort_by_key(|sorted| sorted.role == Role::Edge);
    for sorted in &all {
        draft.rule(sorted);
    }
    draft.finish(&all)
}

/// A deployed rule whose role is known or guessed.
struct Sorted<'f> {
    file: &'f Deployed,
    place: &'f str,
    rule: &'f MarkingRule,
    caveats: &'f [Caveat],
    role: Role,
    sure: bool,
    /// Whether it marks others' packets.
    is_between: bool,
}

/// Networks that a plan holds.
const MAX_NETWORKS: usize = 256;

/// A class of a role in a scope, which is the text of tables: empty, or `sites."X".`.
type Key = (String, Role, TrafficClass);

#[derive(Default)]
struct Draft {
    /// Whether the plan is in force, by scope.
    enabled: BTreeMap<String, bool>,
    ports: BTreeMap<Key, PortRange>,
    printed_ends: BTreeMap<Key, u16>,
    marks: BTreeMap<Key, Dscp>,
    legacy: BTreeMap<(String, Role), PortRange>,
    programs: Vec<String>,
    signaling: Vec<PortRange>,
    /// Where servers are.
    networks: Vec<Network>,
    edge: bool,
    /// Phones and queues.
    tables: String,
    notes: Vec<Note>,
}

impl Draft {
    /// What the file says about servers, phones and switches.
    fn settings(&mut self, file: &Deployed) {
        for fact in &file.facts {
            let kept = match &fact.what {
                What::Enabled { scope, enabled } => insert(&mut self.enabled, table_of(scope), *enabled),
                What::Ports { scope, role, class: Some(class), ports } if class.is_media() => {
                    insert(&mut self.ports, (table_of(scope), *role, *class), *ports)
                }
                What::Ports { scope, role, class: None, ports } => {
                    insert(&mut self.legacy, (table_of(scope), *role), *ports)
                }
                What::Mark { role, class, mark } => {
                    insert(&mut self.marks, (String::new(), *role, *class), *mark)
                }
                What::System { value, wanted, .. } if value == wanted => true,
                What::Browser { .. } | What::System { .. } | What::Remarked { .. } => {
                    let text =
                        "follows from a plan or goes against it: for `plan check`, no part of this plan";
                    self.note(file, &fact.place, text);
                    true
                }
                _ => true,
            };
            if !kept {
                self.note(file, &fact.place, "disagrees with what stands before it, which was kept");
            }
        }
    }

    fn phone(&mut self, told: &phones::Told<'_>) {
        let key = (String::new(), told.role, told.class);
        let ports = told.ports.is_none_or(|ports| insert(&mut self.ports, key.clone(), ports));
        let mark = told.mark.is_none_or(|mark| insert(&mut self.marks, key, mark));
        if !(ports && mark) {
            self.note(told.file, told.place, "disagrees with what stands before it, which was kept");
        }
        if let Some(text) = &told.note {
            self.note(told.file, told.place, text);
        }
    }

    /// What is the matter with a rule that a plan cannot say.
    fn doubts(
        &mut self,
        file: &Deployed,
        place: &str,
        rule: &MarkingRule,
        (is_between, caveats): (bool, &[Caveat]),
    ) {
        let of_plan = |caveat: &&Caveat| !(is_between && between::is_elsewhere(rule, caveat));
        let texts: Vec<&str> = caveats.iter().filter(of_plan).map(|caveat| caveat.text.as_str()).collect();
        if texts.is_empty() {
            return;
        }
        let text = if caveats.iter().any(|caveat| caveat.reach == Reach::Nothing) {
            "has no effect and was left out"
        } else {
            "was taken as if it held everywhere"
        };
        self.note(file, place, &format!("`{}` {text}: {}", rule.name, texts.join("; ")));
    }

    /// A rule of a switch or router: a range of one side, at whichever end it stands.
    fn between(&mut self, sorted: &Sorted<'_>) {
        let rule = sorted.rule;
        let (networks, names) = between::networks(rule, sorted.caveats);
        for name in names {
            let text =
                format!("where {name} is does not stand in the file: write it into [servers] of the plan");
            self.note_once(sorted, &text);
        }
        for network in networks {
            match self.networks.len() {
                _ if self.networks.contains(&network) => {}
                0..MAX_NETWORKS => self.networks.push(network),
                _ => self.note_once(
                    sorted,
                    "names more networks of servers than a plan holds: the rest is left out",
                ),
            }
        }
        let Some(ports) = rule.source_ports.xor(rule.destination_ports) else { return };
        if between::is_signaling(rule) {
            if insert(&mut self.marks, (String::new(), Role::Client, TrafficClass::Signaling), rule.mark)
                && !self.signaling.contains(&ports)
            {
                self.signaling.push(ports);
            }
            return;
        }
        let Some(class) = guess::media(rule) else { return };
        let free = |role: &Role| {
            let key = (String::new(), *role, class.value);
            self.ports.get(&key).is_none_or(|known| *known == ports)
                && self.marks.get(&key).is_none_or(|known| *known == rule.mark)
        };
        let Some(role) = between::roles(sorted.role, class.value).into_iter().find(free) else { return };
        let key = (String::new(), role, class.value);
        let new = self.ports.insert(key.clone(), ports).is_none();
        self.marks.insert(key, rule.mark);
        if new && !(sorted.sure && class.sure && role == sorted.role) {
            let text = format!(
                "`{}` with {ports} does not say what it is for: taken for {} of {role}",
                rule.name, class.value
            );
            self.note(sorted.file, sorted.place, &text);
        }
        if rule.protocol != Protocol::Both {
            let text = format!("`{}` marks {ports} over UDP only; a plan means TCP as well", rule.name);
            self.note(sorted.file, sorted.place, &text);
        }
    }

    fn note_once(&mut self, sorted: &Sorted<'_>, text: &str) {
        if !self.notes.iter().any(|note| note.text == text) {
            self.note(sorted.file, sorted.place, text);
        }
    }

    fn rule(&mut self, sorted: &Sorted<'_>) {
        if sorted.is_between {
            return self.between(sorted);
        }
        let rule = sorted.rule;
        let Some(class) = guess::class(sorted.role, rule) else { return };
        if !(sorted.sure && class.sure) {
            let text = format!(
                "`{}` does not say what it is for: taken for {} of {}",
                rule.name, class.value, sorted.role
            );
            self.note(sorted.file, sorted.place, &text);
        }
        match (sorted.role, class.value) {
            (Role::Edge, class) => {
                self.edge = true;
                if let Some((role, ports)) = self.relayed_to(rule, class).zip(rule.destination_ports) {
                    self.media(role, class, ports, rule.mark);
                }
            }
            (role, TrafficClass::Signaling) => self.signaling(role, rule),
            (role, class) => {
                let Some(ports) = rule.source_ports else { return };
                self.media(role, class, ports, rule.mark);
            }
        }
        if let Some(program) = rule.application.as_ref().filter(|_| sorted.role == Role::Client) {
            self.program(program);
        }
    }

    fn signaling(&mut self, role: Role, rule: &MarkingRule) {
        let first = insert(&mut self.marks, (String::new(), role, TrafficClass::Signaling), rule.mark);
        let ports = rule.destination_ports.filter(|ports| first && !self.signaling.contains(ports));
        self.signaling.extend(ports);
    }

    /// Unless no plan can name it.
    fn program(&mut self, program: &str) {
        let sound = !program.is_empty() && !program.contains(['\n', '\r', '\0']);
        if sound && !self.programs.iter().any(|known| known == program) {
            self.programs.push(program.to_owned());
        }
    }

    fn media(&mut self, role: Role, class: TrafficClass, ports: PortRange, mark: Dscp) {
        let key = (String::new(), role, class);
        insert(&mut self.marks, key.clone(), mark);
        if !insert(&mut self.ports, key.clone(), ports)
            && self.ports.get(&key).is_some_and(|known| known.start() == ports.start())
        {
            insert(&mut self.printed_ends, key, ports.end());
        }
    }

    /// Whose ports an Edge's rule names: as its name says, or as somebody's ports are known.
    fn relayed_to(&self, rule: &MarkingRule, class: TrafficClass) -> Option<Role> {
        guess::relayed_to(rule).or_else(|| {
            let has = |role: &Role| {
                self.ports.get(&(String::new(), *role, class)).copied() == rule.destination_ports
            };
            [Role::Client, Role::Conferencing].into_iter().find(has)
        })
    }

    /// The file, with the rules that it does not give by itself.
    fn finish(mut self, sorted: &[Sorted<'_>]) -> (String, Vec<Note>) {
        let mut text = self.text();
        text.push_str(&std::mem::take(&mut self.tables));
        match Plan::from_toml(&text) {
            Ok(plan) => {
                for left in sorted.iter().filter(|sorted| !gives(&plan, sorted)) {
                    text.push_str(&rule_table(left.role, left.rule));
                    let why = format!(
                        "`{}` as a rule of {} ({}) does not follow from ranges and marks and was kept as it is",
                        left.rule.name,
                        left.role,
                        left.rule.describe()
                    );
                    self.note(left.file, left.place, &why);
                }
            }
            Err(problems) => {
                let problems = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                self.notes.push(Note { place: "plan".to_owned(), text: problems });
            }
        }
        (text, self.notes)
    }

    fn text(&self) -> String {
        let mut text = "name = \"imported\"\ntitle = \"Made by carillon plan import\"\n".to_owned();
        let global = self.enabled.get("").copied().unwrap_or(true);
        text.push_str(&format!("enabled = {global}\n"));
        for (scope, enabled) in self.enabled.iter().filter(|(scope, _)| !scope.is_empty()) {
            text.push_str(&format!("\n[{}]\nenabled = {enabled}\n", scope.trim_end_matches('.')));
        }
        let mut keys: Vec<&Key> = self.ports.keys().chain(self.marks.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            text.push_str(&self.class_table(key));
        }
        for ((scope, role), ports) in &self.legacy {
            text.push_str(&format!("\n[{scope}roles.{role}]\nlegacy-ports = \"{ports}\"\n"));
        }
        if !self.signaling.is_empty() {
            let ports: Vec<String> = self.signaling.iter().map(|ports| format!("\"{ports}\"")).collect();
            text.push_str(&format!("\n[signaling]\nports = [{}]\n", ports.join(", ")));
        }
        if !self.programs.is_empty() {
            let names: Vec<String> = self.programs.iter().map(|name| quoted(name)).collect();
            text.push_str(&format!("\n[clients]\nexecutables = [{}]\n", names.join(", ")));
        }
        if !self.networks.is_empty() {
            let names: Vec<String> = self.networks.iter().map(|network| format!("\"{network}\"")).collect();
            text.push_str(&format!("\n[servers]\nnetworks = [{}]\n", names.join(", ")));
        }
        if self.edge {
            text.push_str("\n[edge]\nmark-internal = true\n");
        }
        text
    }

    fn class_table(&self, key: &Key) -> String {
        let (scope, role, class) = key;
        let mut text = format!("\n[{scope}roles.{role}.{class}]\n");
        if let Some(ports) = self.ports.get(key) {
            text.push_str(&format!("ports = \"{ports}\"\n"));
        }
        if let Some(end) = self.printed_ends.get(key) {
            text.push_str(&format!("documented-end = {end}\n"));
        }
        if let Some(mark) = self.marks.get(key) {
            text.push_str(&format!("dscp = {}\n", mark_text(*mark)));
        }
        text
    }

    fn note(&mut self, file: &Deployed, place: &str, text: &str) {
        self.notes.push(Note { place: format!("{}: {place}", file.source), text: text.to_owned() });
    }
}

/// Whether the plan gives a rule of that traffic and mark.
fn gives(plan: &Plan, sorted: &Sorted<'_>) -> bool {
    let order = Order { plan, scope: Scope::default() };
    if sorted.is_between {
        return network::gives(&order, sorted.rule);
    }
    let rules = rules::of_role(&order, sorted.role).unwrap_or_default();
    rules.iter().any(|rule| rule.same_traffic(sorted.rule) && rule.mark == sorted.rule.mark)
}

/// Keeps what came first; `false` if it was something else.
fn insert<K: Ord, V: PartialEq>(map: &mut BTreeMap<K, V>, key: K, value: V) -> bool {
    let same = map.get(&key).is_none_or(|known| *known == value);
    map.entry(key).or_insert(value);
    same
}

/// The beginning of the names of a scope's tables.
fn table_of(scope: &str) -> String {
    let Scope { site, service } = scope_named(scope);
    match (site, service) {
        (Some(site), _) => format!("sites.{}.", quoted(&site)),
        (_, Some(service)) => format!("services.{}.", quoted(&service)),
        _ => String::new(),
    }
}

/// `[[rules]]`.
fn rule_table(role: Role, rule: &MarkingRule) -> String {
    let mut text = format!("\n[[rules]]\nname = {}\nrole = \"{role}\"\n", quoted(&rule.name));
    if let Some(program) = &rule.application {
        text.push_str(&format!("application = {}\n", quoted(program)));
    }
    text.push_str(&format!("protocol = \"{}\"\n", rule.protocol.name()));
    for (side, ports) in [("source", rule.source_ports), ("destination", rule.destination_ports)] {
        if let Some(ports) = ports {
            text.push_str(&format!("{side}-ports = \"{ports}\"\n"));
        }
    }
    text + &format!("dscp = {}\n", mark_text(rule.mark))
}

/// `[queues]`.
fn queue_table(map: &QueueMap) -> String {
    let (usual, exceptions) = map.exceptions();
    let lines = exceptions.iter().map(|(mark, queue)| format!("{} = {queue}\n", mark.value()));
    format!("\n[queues]\nother = {usual}\n{}", lines.collect::<String>())
}

fn mark_text(mark: Dscp) -> String {
    if dscp::has_name(mark) { format!("\"{}\"", dscp::name(mark)) } else { mark.value().to_string() }
}

/// A TOML string. JSON's escapes are TOML's; only DEL has to be escaped as well.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}
