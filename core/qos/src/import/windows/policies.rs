//! Keys of the registry that hold QoS policies, and the rules that they mean.

use std::collections::BTreeMap;

use carillon_wire::ip::Dscp;

use super::super::{Caveat, Contender, Fact, Note, Reach, Read, What};
use super::{Errors, program, unread};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};

const POLICIES: &str = r"software\policies\microsoft\windows\qos";
/// Where a browser's policies lie.
const BROWSERS: [&str; 3] =
    [r"software\policies\google\chrome", r"software\policies\microsoft\edge", r"software\policies\chromium"];
const BROWSER_VALUE: &str = "webrtcudpportrange";
/// Keys beside the policies whose values decide whether anything is marked.
const SYSTEM_KEYS: [&str; 3] = [
    r"system\currentcontrolset\services\tcpip\qos",
    r"software\policies\microsoft\windows\psched",
    r"system\currentcontrolset\services\psched",
];

/// A value of the system that decides whether anything is marked.
struct Switch {
    name: &'static str,
    wanted: &'static str,
    why: &'static str,
}

const SWITCHES: [Switch; 2] = [
    Switch {
        name: "Do not use NLA",
        wanted: "the text `1`",
        why: "without it policies hold on networks of the domain only",
    },
    Switch {
        name: "Application DSCP Marking Request",
        wanted: "the text `Allowed`, or nothing",
        why: "Windows takes the marks away that programs ask for (event 16510)",
    },
];

impl Switch {
    /// The value as people write it, and whether it is right.
    fn is_right(&self, text: &str) -> bool {
        match self.name {
            "Do not use NLA" => text == "1",
            _ => text.eq_ignore_ascii_case("allowed"),
        }
    }
}

/// A value's data: QoS policies are text throughout.
pub(super) enum Data {
    Text(String),
    /// A REG_DWORD.
    Number(u32),
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
    /// Whose: empty for the computer's.
    user: String,
    /// By name in small letters: the registry ignores case.
    values: BTreeMap<String, Value>,
}

/// What of a registry is about QoS, while it is read.
#[derive(Default)]
pub(super) struct Policies {
    /// In the order of the file; `None` where it was removed again.
    policies: Vec<Option<Policy>>,
    /// By user and name in small letters.
    by_name: BTreeMap<(String, String), usize>,
    /// Whose keys come now: empty for the computer's. A user's policies are policies of their own.
    pub(super) user: String,
    /// Settings of the system and of browsers.
    facts: Vec<Fact>,
    notes: Vec<Note>,
    elsewhere: u32,
}

enum Key<'k> {
    Policy(&'k str),
    Settings,
    System,
    Browser,
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
            Key::Settings | Key::System | Key::Browser => {}
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
            Key::Browser if name.eq_ignore_ascii_case(BROWSER_VALUE) => self.browser(place, &data),
            Key::Settings | Key::System => {
                if !self.switch(place, name, &data) {
                    self.note(place, format!("`{name}` is set for all policies: {}", shown(&data)));
                }
            }
            Key::Browser | Key::Elsewhere => {}
        }
    }

    /// Whether it is a value that decides about marks, which is a statement then.
    fn switch(&mut self, place: &str, name: &str, data: &Data) -> bool {
        let Some(switch) = SWITCHES.iter().find(|switch| switch.name.eq_ignore_ascii_case(name)) else {
            return false;
        };
        let right = matches!(data, Data::Text(text) if switch.is_right(text));
        let value = if right { switch.wanted.to_owned() } else { shown(data) };
        let what = What::System { name: switch.name, value, wanted: switch.wanted, why: switch.why };
        self.facts.push(Fact::new(place, what));
        true
    }

    /// The range of WebRTC, which both browsers write with a hyphen.
    fn browser(&mut self, place: &str, data: &Data) {
        let ports = match data {
            Data::Text(text) if !text.contains(':') => PortRange::parse(text),
            _ => None,
        };
        match ports {
            Some(ports) => self.facts.push(Fact::new(place, What::Browser { ports })),
            None => self.note(
                place,
                format!("`WebRtcUdpPortRange` is {}: no range such as `20000-20079`", shown(data)),
            ),
        }
    }

    /// A value, or every one (`None`), of a key is removed.
    pub(super) fn unset(&mut self, path: &str, name: Option<&str>) {
        let Key::Policy(policy) = classify(path) else { return };
        let Some(Some(policy)) = self
            .by_name
            .get(&(self.user.clone(), policy.to_lowercase()))
            .and_then(|at| self.policies.get_mut(*at))
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
                    .remove(&(self.user.clone(), name.to_lowercase()))
                    .and_then(|at| self.policies.get_mut(at))
                {
                    *slot = None;
                }
                self.note(place, format!("removes policy `{name}`"));
            }
            Key::Settings => {
                let user = &self.user;
                let removed =
                    |policy: &Option<Policy>| policy.as_ref().is_some_and(|policy| policy.user == *user);
                self.policies.iter_mut().filter(|slot| removed(slot)).for_each(|slot| *slot = None);
                self.by_name.retain(|(owner, _), _| owner != user);
                self.note(place, "removes every policy".to_owned());
            }
            Key::System | Key::Browser | Key::Elsewhere => {}
        }
    }

    /// Something that does not change what the file says.
    pub(super) fn note(&mut self, place: &str, text: String) {
        self.notes.push(Note { place: place.to_owned(), text });
    }

    fn policy(&mut self, place: &str, name: &str) -> Option<&mut Policy> {
        let (policies, user) = (&mut self.policies, &self.user);
        let at = *self.by_name.entry((user.clone(), name.to_lowercase())).or_insert_with(|| {
            policies.push(Some(Policy {
                place: place.to_owned(),
                name: name.to_owned(),
                user: user.clone(),
                values: BTreeMap::new(),
            }));
            policies.len() - 1
        });
        self.policies.get_mut(at)?.as_mut()
    }

    /// The rules, and what is wrong with policies where they stand; or everything that is wrong with the file.
    pub(super) fn read(self, errors: Errors) -> Result<Read, Vec<Note>> {
        let mut read = Read { facts: self.facts, notes: self.notes };
        for policy in self.policies.into_iter().flatten() {
            let reading = Reading { policy: &policy, notes: &mut read.notes, errors: Errors::default() };
            read.facts.extend(reading.facts());
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
    match current(&small).as_str() {
        key if SYSTEM_KEYS.contains(&key) => Key::System,
        key if BROWSERS.contains(&key) => Key::Browser,
        _ => Key::Elsewhere,
    }
}

/// The key below the control set in use, which a file may name by its number: `ControlSet001`.
fn current(key: &str) -> String {
    let numbered = key.strip_prefix(r"system\controlset").and_then(|rest| rest.split_once('\\'));
    match numbered
        .filter(|(number, _)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    {
        Some((_, below)) => format!(r"system\currentcontrolset\{below}"),
        None => key.to_owned(),
    }
}

fn shown(data: &Data) -> String {
    match data {
        Data::Text(text) => format!("`{text}`"),
        Data::Number(number) => format!("the number {number} (REG_DWORD)"),
        Data::Other(kind) => format!("of type {kind}"),
    }
}

/// One policy becomes one rule.
struct Reading<'r> {
    policy: &'r Policy,
    notes: &'r mut Vec<Note>,
    /// What is wrong with it.
    errors: Errors,
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
    /// The rule, if it is one for marks, and how it stands among others; or what could not be read.
    fn facts(mut self) -> Vec<Fact> {
        if self.policy.values.is_empty() {
            return self.passed_over("has no values");
        }
        if self.policy.values.contains_key("url") {
            return self.passed_over("is about answers of a web server");
        }
        let fits = MarkingRule {
            name: self.policy.name.clone(),
            application: self.text("application name").filter(|name| *name != "*").map(str::to_owned),
            protocol: self.protocol(),
            source_ports: self.ports("local port"),
            destination_ports: self.ports("remote port"),
            mark: Dscp::DEFAULT,
        };
        let mark = self.mark();
        if !self.errors.0.is_empty() {
            return vec![unread(&self.policy.place, &self.policy.name, &self.errors)];
        }
        let fits = MarkingRule { mark: mark.unwrap_or_default(), ..fits };
        let fact = |what| Fact::new(self.policy.place.clone(), what);
        let contender = self.skipped().is_none().then(|| self.contender(fits.clone(), mark));
        let mut facts: Vec<Fact> = contender.map(What::Policy).map(fact).into_iter().collect();
        if mark.is_some() {
            facts.insert(0, Fact { caveats: self.caveats(), ..fact(What::Rule(fits)) });
            self.note_the_rest();
        } else {
            self.note("sets no mark".to_owned());
        }
        facts
    }

    fn contender(&self, fits: MarkingRule, mark: Option<Dscp>) -> Contender {
        let address = |name: &str| {
            self.text(name).filter(|address| *address != "*")?;
            let prefix = self.text(&format!("{name} prefix length"));
            Some(prefix.and_then(|prefix| prefix.parse().ok()).unwrap_or(128))
        };
        Contender {
            user: !self.policy.user.is_empty(),
            source: address("local ip"),
            destination: address("remote ip"),
            ..Contender::of(fits, mark)
        }
    }

    /// Why Windows applies less of the policy than it says, the worst first.
    fn caveats(&self) -> Vec<Caveat> {
        let mut caveats: Vec<Caveat> = self.skipped().into_iter().collect();
        let ends =
            [("local ip", "Local IP", Reach::Sources), ("remote ip", "Remote IP", Reach::Destinations)];
        for (name, label, reach) in ends {
            if let Some(address) = self.text(name).filter(|address| *address != "*") {
                let prefix = self.text(&format!("{name} prefix length")).filter(|prefix| *prefix != "*");
                let address = prefix.map_or(address.to_owned(), |prefix| format!("{address}/{prefix}"));
                let (text, fix) = (
                    format!("only for {label} {address}"),
                    format!("set `{label}` and its prefix length to `*`"),
                );
                caveats.push(Caveat { reach, text, fix });
            }
        }
        if !self.policy.user.is_empty() {
            caveats.push(Caveat::part(
                format!("only for {}", self.policy.user),
                "write it below HKEY_LOCAL_MACHINE, for every user of the computer",
            ));
        }
        if let Some(rate) = self.text("throttle rate").filter(|rate| *rate != "-1") {
            caveats.push(Caveat::part(
                format!("throttled to {rate} KB/s"),
                "set `Throttle Rate` to `-1`: what is above the rate waits",
            ));
        }
        caveats
    }

    /// Why Windows does not apply the policy at all.
    fn skipped(&self) -> Option<Caveat> {
        let skipped =
            |why: String, fix: String| Some(Caveat::nothing(format!("skipped by Windows: {why}"), fix));
        let foreign = self.policy.values.iter().find_map(|(name, value)| match value.data {
            Data::Other(kind) => Some((name, kind)),
            Data::Number(_) => Some((name, "REG_DWORD")),
            Data::Text(_) => None,
        });
        if let Some((name, kind)) = foreign {
            return skipped(
                format!("`{name}` is of type {kind} and must be text"),
                format!("write `{name}` as REG_SZ"),
            );
        }
        match self.text("version") {
            Some("1.0") => {}
            other => {
                let is = other.map_or("it has no `Version`".to_owned(), |other| {
                    format!("version `{other}` and not `1.0`")
                });
                return skipped(format!("{is} (event 16602)"), "set `Version` to `1.0`".to_owned());
            }
        }
        for name in ["local port", "remote port"] {
            if let Some(text) = self.text(name).filter(|text| text.contains(char::is_whitespace)) {
                let tight: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                return skipped(
                    format!("blanks in `{name}` = `{text}` (event 16710)"),
                    format!("write `{tight}` without blanks"),
                );
            }
        }
        program::caveat(self.text("application name")?)
    }

    fn note_the_rest(&mut self) {
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
        let mark = match &self.policy.values.get("dscp value")?.data {
            Data::Number(number) => u8::try_from(*number).ok().and_then(Dscp::new),
            Data::Text(text) if text.is_empty() || text == "-1" => return None,
            Data::Text(text) => {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse().ok().filter(|_| digits).and_then(Dscp::new)
            }
            Data::Other(_) => None,
        };
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

    fn passed_over(&mut self, reason: &str) -> Vec<Fact> {
        self.note(reason.to_owned());
        Vec::new()
    }
}
