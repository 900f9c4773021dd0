//! Reads a plan file into what it says: which keys exist, which values they take.
//!
//! Every mistake is noted and reading goes on, so that all come back at once.

use std::collections::BTreeMap;

use carillon_wire::ip::Dscp;
use toml::de::{DeTable, DeValue};

use super::layer::Ports;
use super::management;
use super::network::Network;
use super::phones::{FAMILIES, PhoneFamily};
use super::problem::{Problem, suggest};
use super::queues::{self, QueueMap};
use super::raw::{At, EdgeExternal, RawEdge, RawLayer, RawPhone, RawPlan, Rule, WifiMapping};
use super::section::{Field, RANGE_KEYS, Reader, Section};
use crate::class::TrafficClass;
use crate::ports::PortRange;
use crate::role::Role;
use crate::rule::{MarkingRule, Protocol};

const TOP: [&str; 20] = [
    "name",
    "title",
    "base",
    "source",
    "enabled",
    "classes",
    "roles",
    "sites",
    "services",
    "signaling",
    "phones",
    "edge",
    "queues",
    "clients",
    "servers",
    "voicemail",
    "bandwidth",
    "wifi",
    "rules",
    "management",
];

/// Most networks of servers: each becomes lines in the lists of every router.
const MAX_NETWORKS: usize = 256;

/// Reads a file and lists what is wrong with it.
pub fn read(text: &str) -> (RawPlan, Vec<Problem>) {
    let mut reader = Reader::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map_or(1, |span| reader.line(span.start));
        reader.complain(line, "", error.message());
    }
    let plan = read_plan(&Section::root(document.get_ref()), &mut reader);
    (plan, reader.problems)
}

fn read_plan(root: &Section<'_>, reader: &mut Reader) -> RawPlan {
    root.allow(reader, TOP);
    let source = root.string(reader, "source").map(|source| source.value);
    let default = Sourced { fallback: source };
    RawPlan {
        name: root.string(reader, "name"),
        title: root.string(reader, "title"),
        base: root.string(reader, "base"),
        global: default.layer(root, reader),
        sites: default.scopes(root, "sites", reader),
        services: default.scopes(root, "services", reader),
        signaling: default.signaling(root, reader),
        phones: default.phones(root, reader),
        edge: default.edge(root, reader),
        queues: default.queues(root, reader),
        executables: default.executables(root, reader),
        servers: default.servers(root, reader),
        voicemail: default.voicemail(root, reader),
        video_kbps: default.bandwidth(root, reader),
        wifi: default.wifi(root, reader),
        rules: default.rules(root, reader),
        management: management::read(root, reader),
    }
}

/// The `source` that holds where a table states none.
struct Sourced {
    fallback: Option<String>,
}

impl Sourced {
    /// The source of a table, or the one above it.
    fn of(&self, section: &Section<'_>, reader: &mut Reader) -> Option<String> {
        section.string(reader, "source").map(|source| source.value).or_else(|| self.fallback.clone())
    }

    fn scopes(&self, root: &Section<'_>, key: &str, reader: &mut Reader) -> BTreeMap<String, RawLayer> {
        let mut scopes = BTreeMap::new();
        let Some(section) = root.section(reader, key) else { return scopes };
        for (name, field) in section.fields(reader) {
            if let Some(section) = field.section(reader) {
                section.allow(reader, ["enabled", "source", "classes", "roles"]);
                let inner = Sourced { fallback: self.of(&section, reader) };
                scopes.insert(name.to_owned(), inner.layer(&section, reader));
            }
        }
        scopes
    }

    fn layer(&self, section: &Section<'_>, reader: &mut Reader) -> RawLayer {
        let enabled = section.boolean(reader, "enabled").map(|enabled| enabled.from(&self.fallback));
        let mut layer = RawLayer { enabled, ..RawLayer::default() };
        if let Some(classes) = section.section(reader, "classes") {
            self.classes(&classes, &mut layer, reader);
        }
        if let Some(roles) = section.section(reader, "roles") {
            for (name, field) in roles.fields(reader) {
                self.role(name, &field, &mut layer, reader);
            }
        }
        layer
    }

    /// `audio = "EF"`, or `audio = { dscp = "EF", source = "…" }`.
    fn classes(&self, classes: &Section<'_>, layer: &mut RawLayer, reader: &mut Reader) {
        let inner = Sourced { fallback: self.of(classes, reader) };
        for (name, field) in classes.fields(reader).into_iter().filter(|(name, _)| *name != "source") {
            let Some(class) = TrafficClass::from_name(name) else {
                unknown(&field, "class", name, TrafficClass::ALL.map(TrafficClass::name), reader);
                continue;
            };
            if let Some(mark) = inner.mark_or_table(&field, reader) {
                layer.marks.insert(class, mark);
            }
        }
    }

    fn mark_or_table(&self, field: &Field<'_>, reader: &mut Reader) -> Option<At<Dscp>> {
        let DeValue::Table(_) = field.value else {
            return Some(field.at(field.mark(reader)?).from(&self.fallback));
        };
        let section = field.section(reader)?;
        section.allow(reader, ["dscp", "source"]);
        let source = self.of(&section, reader);
        let Some(mark) = section.field(reader, "dscp") else {
            reader.complain(field.line, &field.path, "needs a `dscp`");
            return None;
        };
        Some(mark.at(mark.mark(reader)?).from(&source))
    }

    fn role(&self, name: &str, field: &Field<'_>, layer: &mut RawLayer, reader: &mut Reader) {
        let Some(role) = Role::from_name(name) else {
            return unknown(field, "role", name, Role::ALL.map(Role::name), reader);
        };
        let Some(section) = field.section(reader) else { return };
        let inner = Sourced { fallback: self.of(&section, reader) };
        for (name, field) in section.fields(reader) {
            match (name, TrafficClass::from_name(name)) {
                ("source", _) => {}
                (_, Some(class)) => inner.role_class(role, class, &field, layer, reader),
                ("legacy-ports", None) => {
                    let ports = field.range(reader).map(|range| field.at(range).from(&inner.fallback));
                    layer.legacy_ports.extend(ports.map(|ports| (role, ports)));
                }
                (_, None) => {
                    let known = TrafficClass::ALL
                        .map(TrafficClass::name)
                        .into_iter()
                        .chain(["legacy-ports", "source"]);
                    reader.complain(field.line, &field.path, format!("unknown key{}", suggest(name, known)));
                }
            }
        }
    }

    /// `audio = "20000-20039"`, or a table with `ports` (or `start` and `count` or `end`), `dscp`,
    /// `documented-end`, `source`.
    fn role_class(
        &self,
        role: Role,
        class: TrafficClass,
        field: &Field<'_>,
        layer: &mut RawLayer,
        reader: &mut Reader,
    ) {
        let DeValue::Table(_) = field.value else {
            if let Some(ports) = class_ports(class, field, None, reader) {
                layer.role_ports.insert((role, class), ports.from(&self.fallback));
            }
            return;
        };
        let Some(section) = field.section(reader) else { return };
        section.allow(reader, ["ports", "start", "count", "end", "dscp", "documented-end", "source"]);
        let source = self.of(&section, reader);
        let ports = table_ports(class, &section, reader).map(|ports| ports.from(&source));
        layer.role_ports.extend(ports.map(|ports| ((role, class), ports)));
        if let Some(mark) = section.field(reader, "dscp") {
            let mark = mark.mark(reader).map(|value| mark.at(value).from(&source));
            layer.role_marks.extend(mark.map(|mark| ((role, class), mark)));
        }
    }

    fn signaling(&self, root: &Section<'_>, reader: &mut Reader) -> Option<At<Vec<PortRange>>> {
        let section = root.section(reader, "signaling")?;
        section.allow(reader, ["ports", "source"]);
        let source = self.of(&section, reader);
        let field = section.field(reader, "ports")?;
        Some(field.at(field.ranges(reader)?).from(&source))
    }

    fn phones(&self, root: &Section<'_>, reader: &mut Reader) -> Vec<RawPhone> {
        let Some(section) = root.section(reader, "phones") else { return Vec::new() };
        let mut phones = Vec::new();
        for (name, field) in section.fields(reader) {
            let Some(family) = PhoneFamily::named(name) else {
                unknown(&field, "phone family", name, FAMILIES.map(|family| family.name), reader);
                continue;
            };
            phones.extend(field.section(reader).map(|section| self.phone(*family, &section, reader)));
        }
        phones
    }

    fn phone(&self, family: PhoneFamily, section: &Section<'_>, reader: &mut Reader) -> RawPhone {
        section.allow(reader, ["audio-start", "video-start", "audio", "video", "signaling", "source"]);
        let source = self.of(section, reader);
        let start = |reader: &mut Reader, key: &str| {
            let field = section.field(reader, key)?;
            let port = field.integer(reader, "a port from 1 to 65535", 65535)?;
            Some(field.at(u16::try_from(port).ok().filter(|port| *port > 0)?).from(&source))
        };
        let (audio_start, video_start) = (start(reader, "audio-start"), start(reader, "video-start"));
        let mut marks = BTreeMap::new();
        for class in [TrafficClass::Audio, TrafficClass::Video, TrafficClass::Signaling] {
            let Some(field) = section.field(reader, class.name()) else { continue };
            marks.extend(field.mark(reader).map(|mark| (class, field.at(mark).from(&source))));
        }
        RawPhone { line: section.line, family, audio_start, video_start, marks }
    }

    fn edge(&self, root: &Section<'_>, reader: &mut Reader) -> RawEdge {
        let Some(section) = root.section(reader, "edge") else { return RawEdge::default() };
        section.allow(reader, ["ports", "mark-internal", "external", "source"]);
        let source = self.of(&section, reader);
        let ports = section.field(reader, "ports");
        let external = section.field(reader, "external");
        RawEdge {
            ports: ports.and_then(|field| Some(field.at(field.range(reader)?).from(&source))),
            mark_internal: section.boolean(reader, "mark-internal").map(|mark| mark.from(&source)),
            external: external.and_then(|field| {
                let words = [EdgeExternal::None, EdgeExternal::Plan];
                Some(one_of(&field, words, EdgeExternal::name, reader)?.from(&source))
            }),
        }
    }

    fn queues(&self, root: &Section<'_>, reader: &mut Reader) -> Option<At<QueueMap>> {
        let field = root.field(reader, "queues")?;
        let section = field.section(reader)?;
        let source = self.of(&section, reader);
        Some(field.at(queues::from_section(&section, reader)?).from(&source))
    }

    fn executables(&self, root: &Section<'_>, reader: &mut Reader) -> Option<At<Vec<String>>> {
        let section = root.section(reader, "clients")?;
        section.allow(reader, ["executables", "source"]);
        let source = self.of(&section, reader);
        let names = section.strings(reader, "executables")?.from(&source);
        for name in names.value.iter().filter(|name| !is_program(name)) {
            let path = format!("{}.executables", section.path);
            reader.complain(names.line, &path, format!("{name:?} is no program name"));
        }
        Some(names)
    }

    fn servers(&self, root: &Section<'_>, reader: &mut Reader) -> Option<At<Vec<Network>>> {
        let section = root.section(reader, "servers")?;
        section.allow(reader, ["networks", "source"]);
        let source = self.of(&section, reader);
        let texts = section.strings(reader, "networks")?.from(&source);
        let path = format!("{}.networks", section.path);
        if texts.value.len() > MAX_NETWORKS {
            reader.complain(texts.line, &path, format!("lists more than {MAX_NETWORKS} networks"));
        }
        let mut networks = Vec::new();
        for text in &texts.value {
            match Network::parse(text) {
                Ok(network) if networks.contains(&network) => {}
                Ok(network) => networks.push(network),
                Err(wrong) => reader.complain(texts.line, &path, wrong),
            }
        }
        Some(At { value: networks, line: texts.line, source: texts.source })
    }

    fn voicemail(&self, root: &Section<'_>, reader: &mut Reader) -> Option<At<PortRange>> {
        let section = root.section(reader, "voicemail")?;
        section.allow(reader, ["ports", "source"]);
        let source = self.of(&section, reader);
        let field = section.field(reader, "ports")?;
        Some(field.at(field.range(reader)?).from(&source))
    }

    fn bandwidth(&self, root: &Section<'_>, reader: &mut Reader) -> Option<At<u32>> {
        let section = root.section(reader, "bandwidth")?;
        section.allow(reader, ["video-kbps", "source"]);
        let source = self.of(&section, reader);
        let field = section.field(reader, "video-kbps")?;
        Some(field.at(field.integer(reader, "kilobits per second", u32::MAX)?).from(&source))
    }

    fn wifi(&self, root: &Section<'_>, reader: &mut Reader) -> Option<At<WifiMapping>> {
        let section = root.section(reader, "wifi")?;
        section.allow(reader, ["mapping", "source"]);
        let source = self.of(&section, reader);
        let field = section.field(reader, "mapping")?;
        let words = [WifiMapping::Default, WifiMapping::Rfc8325];
        Some(one_of(&field, words, WifiMapping::name, reader)?.from(&source))
    }

    fn rules(&self, root: &Section<'_>, reader: &mut Reader) -> Option<At<Vec<Rule>>> {
        let field = root.field(reader, "rules")?;
        let rules = field.sections(reader).iter().filter_map(|section| rule(section, reader)).collect();
        Some(field.at(rules).from(&self.fallback))
    }
}

fn rule(section: &Section<'_>, reader: &mut Reader) -> Option<Rule> {
    const KEYS: [&str; 7] =
        ["name", "role", "application", "protocol", "source-ports", "destination-ports", "dscp"];
    section.allow(reader, KEYS);
    for key in ["name", "role", "dscp"] {
        if section.field(reader, key).is_none() {
            reader.complain(section.line, &section.path, format!("needs a `{key}`"));
        }
    }
    let name = section.string(reader, "name");
    let role = section.field(reader, "role").and_then(|f| one_of(&f, Role::ALL, Role::name, reader));
    let protocol = section.field(reader, "protocol").and_then(|field| {
        one_of(&field, [Protocol::Both, Protocol::Udp, Protocol::Tcp], Protocol::name, reader)
    });
    let application = section.string(reader, "application");
    let source_ports = section.field(reader, "source-ports").and_then(|f| f.range(reader));
    let destination_ports = section.field(reader, "destination-ports").and_then(|f| f.range(reader));
    let mark = section.field(reader, "dscp").and_then(|field| field.mark(reader));
    let marking = MarkingRule {
        name: name?.value,
        application: application.map(|name| name.value).filter(|name| name != "*"),
        protocol: protocol.map_or(Protocol::Both, |protocol| protocol.value),
        source_ports,
        destination_ports,
        mark: mark?,
    };
    Some(Rule { role: role?.value, marking })
}

/// The ports in a class's table, under `ports` or as `start` and `count` beside the other keys.
fn table_ports(class: TrafficClass, section: &Section<'_>, reader: &mut Reader) -> Option<At<Ports>> {
    let end = section.field(reader, "documented-end");
    let end = end.and_then(|end| end.integer(reader, "a port from 1 to 65535", 65535));
    let end = end.and_then(|end| u16::try_from(end).ok());
    let beside = RANGE_KEYS.into_iter().find_map(|key| section.field(reader, key));
    match (section.field(reader, "ports"), beside) {
        (Some(ports), None) => class_ports(class, &ports, end, reader),
        (None, Some(field)) if class.is_media() => Some(field.at(documented(section.range(reader)?, end))),
        (None, Some(field)) => class_ports(class, &field, end, reader),
        (Some(ports), Some(_)) => {
            reader.complain(ports.line, &ports.path, "either `ports` or `start` and `count`, not both");
            None
        }
        (None, None) => {
            if end.is_some() {
                reader.complain(section.line, &section.path, "`documented-end` stands beside `ports`");
            }
            None
        }
    }
}

fn class_ports(
    class: TrafficClass,
    field: &Field<'_>,
    documented_end: Option<u16>,
    reader: &mut Reader,
) -> Option<At<Ports>> {
    if !class.is_media() {
        let text = format!("{class} has no media ports; where SIP listens is `signaling.ports`");
        reader.complain(field.line, &field.path, text);
        return None;
    }
    match field.value {
        DeValue::String(text) if text == "any" => Some(field.at(Ports::Any)),
        _ => Some(field.at(documented(field.range(reader)?, documented_end))),
    }
}

/// An equal end is no difference worth keeping.
fn documented(range: PortRange, end: Option<u16>) -> Ports {
    Ports::Range { range, documented_end: end.filter(|end| *end != range.end()) }
}

fn one_of<T: Copy, const N: usize>(
    field: &Field<'_>,
    values: [T; N],
    name: fn(T) -> &'static str,
    reader: &mut Reader,
) -> Option<At<T>> {
    let DeValue::String(text) = field.value else {
        return field.refuse(reader, &format!("one of {}", values.map(name).join(", ")));
    };
    let found = values.into_iter().find(|value| name(*value) == text);
    if found.is_none() {
        unknown(field, "word", text, values.map(name), reader);
    }
    found.map(|value| field.at(value))
}

fn unknown<const N: usize>(field: &Field<'_>, what: &str, word: &str, known: [&str; N], reader: &mut Reader) {
    reader.complain(field.line, &field.path, format!("unknown {what} {word:?}{}", suggest(word, known)));
}

fn is_program(name: &str) -> bool {
    !name.is_empty() && !name.contains(['\n', '\r', '\0'])
}
