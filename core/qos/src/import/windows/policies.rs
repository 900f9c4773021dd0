//! Keys of the registry that hold QoS policies, and the rules that they mean.

use std::collections::BTreeMap;

use carillon_wire::ip::Dscp;

use super::super::{Fact, Note, Read, What};
use super::Errors;
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};

const POLICIES: &str = r"software\policies\microsoft\windows\qos";
const NLA_KEY: &str = r"system\currentcontrolset\services\tcpip\qos";
const NLA_VALUE: &str = "do not use nla";

/// A value's data: QoS policies are text throughout.
pub(super) enum Data {
    Text(String),
    /// Of another type: its name.
    Other(&'static str),
}

/// One value where it stands.
struct Value {
    place: String,
    data: Data,
}

struct Policy {
    place: String,
    name: String,
    /// By name in small letters: the registry ignores case.
    values: BTreeMap<String, Value>,
}

/// What of a registry is about QoS, while it is read.
#[derive(Default)]
pub(super) struct Policies {
    /// In the order of the file; `None` where it was removed again.
    policies: Vec<Option<Policy>>,
    /// By hive and name in small letters.
    by_name: BTreeMap<(bool, String), usize>,
    /// Whether the keys that come now are those of a user, whose policies are policies of their own.
    pub(super) user: bool,
    notes: Vec<Note>,
    elsewhere: u32,
}

enum Key<'k> {
    Policy(&'k str),
    Settings,
    Nla,
    Elsewhere,
}

impl Policies {
    /// A key is named; its hive does not belong to the path.
    pub(super) fn key(&mut self, place: &str, path: &str) {
        match classify(path) {
            Key::Policy(name) => {
                self.policy(place, name);
            }
            Key::Elsewhere => self.elsewhere += 1,
            Key::Settings | Key::Nla => {}
        }
    }

    /// A value is set.
    pub(super) fn set(&mut self, place: &str, path: &str, name: &str, data: Data) {
        match classify(path) {
            Key::Policy(policy) => {
                let value = Value { place: place.to_owned(), data };
                if let Some(policy) = self.policy(place, policy) {
                    policy.values.insert(name.to_lowercase(), value);
                }
            }
            Key::Settings => self.note(place, format!("`{name}` is set for all policies: {}", shown(&data))),
            Key::Nla if name.to_lowercase() == NLA_VALUE => {
                let wrong =
                    if matches!(data, Data::Text(_)) { "" } else { "; it must be text, Windows ignores it" };
                self.note(place, format!("`Do not use NLA` is {}{wrong}", shown(&data)));
            }
            Key::Nla | Key::Elsewhere => {}
        }
    }

    /// A value, or every one (`None`), of a key is removed.
    pub(super) fn unset(&mut self, path: &str, name: Option<&str>) {
        let Key::Policy(policy) = classify(path) else { return };
        let Some(Some(policy)) =
            self.by_name.get(&(self.user, policy.to_lowercase())).and_then(|at| self.policies.get_mut(*at))
        else {
            return;
        };
        match name {
            Some(name) => {
                policy.values.remove(&name.to_lowercase());
            }
            None => policy.values.clear(),
        }
    }

    /// A key is removed with all below.
    pub(super) fn remove(&mut self, place: &str, path: &str) {
        match classify(path) {
            Key::Policy(name) => {
                if let Some(slot) = self
                    .by_name
                    .remove(&(self.user, name.to_lowercase()))
                    .and_then(|at| self.policies.get_mut(at))
                {
                    *slot = None;
                }
                self.note(place, format!("removes policy `{name}`"));
            }
            Key::Settings => {
                self.policies.clear();
                self.by_name.clear();
                self.note(place, "removes every policy".to_owned());
            }
            Key::Nla | Key::Elsewhere => {}
        }
    }

    /// Something that does not change what the file says.
    pub(super) fn note(&mut self, place: &str, text: String) {
        self.notes.push(Note { place: place.to_owned(), text });
    }

    fn policy(&mut self, place: &str, name: &str) -> Option<&mut Policy> {
        let policies = &mut self.policies;
        let at = *self.by_name.entry((self.user, name.to_lowercase())).or_insert_with(|| {
            let policy = Policy { place: place.to_owned(), name: name.to_owned(), values: BTreeMap::new() };
            policies.push(Some(policy));
            policies.len() - 1
        });
        self.policies.get_mut(at)?.as_mut()
    }

    /// The rules, or everything that is wrong with them and with the file.
    pub(super) fn read(self, mut errors: Errors) -> Result<Read, Vec<Note>> {
        let mut read = Read { facts: Vec::new(), notes: self.notes };
        for policy in self.policies.into_iter().flatten() {
            let mut reading = Reading { policy: &policy, notes: &mut read.notes, errors: &mut errors };
            let rule = reading.rule();
            read.facts.extend(rule.map(|rule| Fact { place: policy.place.clone(), what: What::Rule(rule) }));
        }
        if self.elsewhere > 0 {
            let text = format!("{} keys that are not about QoS were passed over", self.elsewhere);
            read.notes.push(Note { place: "file".to_owned(), text });
        }
        if errors.0.is_empty() { Ok(read) } else { Err(errors.0) }
    }
}

fn classify(path: &str) -> Key<'_> {
    let small = path.to_ascii_lowercase();
    match (small.strip_prefix(POLICIES), path.get(POLICIES.len()..)) {
        (Some(""), _) => return Key::Settings,
        (Some(below), Some(name)) if below.starts_with('\\') => {
            return match name.get(1..).filter(|name| !name.is_empty() && !name.contains('\\')) {
                Some(name) => Key::Policy(name),
                None => Key::Elsewhere,
            };
        }
        _ => {}
    }
    if small == NLA_KEY { Key::Nla } else { Key::Elsewhere }
}

fn shown(data: &Data) -> String {
    match data {
        Data::Text(text) => format!("`{text}`"),
        Data::Other(kind) => format!("of type {kind}"),
    }
}

/// One policy becomes one rule.
struct Reading<'r> {
    policy: &'r Policy,
    notes: &'r mut Vec<Note>,
    errors: &'r mut Errors,
}

/// Values that a rule is made of, and those that are noted if they say something.
const KNOWN: [&str; 11] = [
    "version",
    "application name",
    "protocol",
    "local port",
    "local ip",
    "local ip prefix length",
    "remote port",
    "remote ip",
    "remote ip prefix length",
    "dscp value",
    "throttle rate",
];

impl Reading<'_> {
    /// `None` if Windows would not mark by it, which is noted, or if something is wrong.
    fn rule(&mut self) -> Option<MarkingRule> {
        if self.policy.values.is_empty() {
            return self.skipped("has no values");
        }
        let before = self.errors.0.len();
        let rule = MarkingRule {
            name: self.policy.name.clone(),
            application: self.text("application name").filter(|name| *name != "*").map(str::to_owned),
            protocol: self.protocol(),
            source_ports: self.ports("local port"),
            destination_ports: self.ports("remote port"),
            mark: Dscp::DEFAULT,
        };
        let mark = self.mark();
        if let Some(reason) = self.reason_to_skip() {
            return self.skipped(&reason);
        }
        self.note_the_rest();
        let mark = mark.filter(|_| self.errors.0.len() == before)?;
        Some(MarkingRule { mark, ..rule })
    }

    /// Why Windows does not apply the policy.
    fn reason_to_skip(&self) -> Option<String> {
        let mut values = self.policy.values.iter();
        if let Some((name, Data::Other(kind))) = values
            .find_map(|(name, value)| matches!(value.data, Data::Other(_)).then_some((name, &value.data)))
        {
            return Some(format!("is skipped by Windows: `{name}` is of type {kind} and must be text"));
        }
        if self.policy.values.contains_key("url") {
            return Some("is about answers of a web server".to_owned());
        }
        match self.text("version") {
            Some("1.0") => {}
            Some(other) => {
                return Some(format!("is skipped by Windows: version `{other}` and not `1.0` (event 16602)"));
            }
            None => return Some("is skipped by Windows: it has no `Version` (event 16602)".to_owned()),
        }
        matches!(self.text("dscp value"), None | Some("-1")).then(|| "sets no mark".to_owned())
    }

    fn note_the_rest(&mut self) {
        for name in ["local ip", "remote ip"] {
            if let Some(address) = self.text(name).filter(|address| *address != "*") {
                self.note(format!("is limited to {name} {address}, which is not compared"));
            }
        }
        if let Some(rate) = self.text("throttle rate").filter(|rate| *rate != "-1") {
            self.note(format!("limits the rate to {rate} KB/s, which is not compared"));
        }
        for name in ["application name", "protocol", "local port", "remote port"] {
            if !self.policy.values.contains_key(name) {
                self.note(format!("has no `{name}`, which was read as any"));
            }
        }
        let unknown: Vec<&String> =
            self.policy.values.keys().filter(|name| !KNOWN.contains(&name.as_str())).collect();
        for name in unknown {
            self.note(format!("has a value `{name}` that Windows does not know"));
        }
    }

    fn protocol(&mut self) -> Protocol {
        match self.text("protocol").unwrap_or("*") {
            "*" => Protocol::Both,
            text if text.eq_ignore_ascii_case("udp") => Protocol::Udp,
            text if text.eq_ignore_ascii_case("tcp") => Protocol::Tcp,
            _ => {
                self.wrong("protocol", "is none of `*`, `TCP`, `UDP`");
                Protocol::Both
            }
        }
    }

    fn ports(&mut self, name: &str) -> Option<PortRange> {
        let text = self.text(name).filter(|text| *text != "*")?;
        let ports = PortRange::parse(text);
        if ports.is_none() {
            self.wrong(name, "is neither `*`, a port nor a range such as `20000:20039`");
        }
        ports
    }

    fn mark(&mut self) -> Option<Dscp> {
        let text = self.text("dscp value").filter(|text| *text != "-1")?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let mark = text.parse().ok().filter(|_| digits).and_then(Dscp::new);
        if mark.is_none() {
            self.wrong("dscp value", "is no number from 0 to 63");
        }
        mark
    }

    /// The text of a value; what is empty says nothing.
    fn text(&self, name: &str) -> Option<&str> {
        match &self.policy.values.get(name)?.data {
            Data::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn wrong(&mut self, name: &str, text: &str) {
        let Some(value) = self.policy.values.get(name) else { return };
        let text = format!("policy `{}`: `{name}` = {} {text}", self.policy.name, shown(&value.data));
        self.errors.add(value.place.clone(), text);
    }

    fn note(&mut self, text: String) {
        let text = format!("policy `{}` {text}", self.policy.name);
        self.notes.push(Note { place: self.policy.place.clone(), text });
    }

    fn skipped(&mut self, reason: &str) -> Option<MarkingRule> {
        self.note(reason.to_owned());
        None
    }
}
