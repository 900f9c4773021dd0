//! A plan as a list of keys and values, each as it would stand in the file: what printing and comparing share.

use carillon_wire::ip::Dscp;

use super::layer::{Layer, Ports};
use super::raw::Rule;
use super::{Origin, Plan, Setting};
use crate::dscp;
use crate::ports::PortRange;

/// One value: where it stands, and its TOML.
pub(super) struct Entry<'p> {
    /// The table: `roles.client`; empty at the top.
    pub(super) section: String,
    /// The key in it: `audio`.
    pub(super) key: String,
    /// The key of the table behind it, `ports` or `dscp`; empty where the value stands alone.
    pub(super) attribute: &'static str,
    /// The value as TOML.
    pub(super) value: String,
    /// Where it comes from.
    pub(super) origin: &'p Origin,
}

impl Entry<'_> {
    /// The dotted name for people.
    pub(super) fn path(&self) -> String {
        let parts = [self.section.as_str(), self.key.as_str(), self.attribute];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
    }
}

/// A list under construction, one table at a time.
struct List<'p> {
    entries: Vec<Entry<'p>>,
    section: String,
}

impl<'p> List<'p> {
    fn add<T>(&mut self, key: &str, attribute: &'static str, setting: &'p Setting<T>, value: String) {
        let (section, key) = (self.section.clone(), key.to_owned());
        self.entries.push(Entry { section, key, attribute, value, origin: &setting.origin });
    }

    fn maybe<T>(&mut self, key: &str, setting: &'p Option<Setting<T>>, text: impl Fn(&T) -> String) {
        if let Some(setting) = setting {
            self.add(key, "", setting, text(&setting.value));
        }
    }

    fn layer(&mut self, prefix: &str, layer: &'p Layer) {
        self.section = prefix.trim_end_matches('.').to_owned();
        self.maybe("enabled", &layer.enabled, ToString::to_string);
        self.section = format!("{prefix}classes");
        for (class, mark) in &layer.marks {
            self.add(class.name(), "dscp", mark, mark_text(mark.value));
        }
        for role in crate::role::Role::ALL {
            self.section = format!("{prefix}roles.{role}");
            for class in crate::class::TrafficClass::ALL {
                if let Some(ports) = layer.role_ports.get(&(role, class)) {
                    self.ports(class.name(), ports);
                }
                if let Some(mark) = layer.role_marks.get(&(role, class)) {
                    self.add(class.name(), "dscp", mark, mark_text(mark.value));
                }
            }
            if let Some(ports) = layer.legacy_ports.get(&role) {
                self.add("legacy-ports", "", ports, range_text(&ports.value));
            }
        }
    }

    fn ports(&mut self, key: &str, ports: &'p Setting<Ports>) {
        match ports.value {
            Ports::Any => self.add(key, "ports", ports, quoted("any")),
            Ports::Range { range, documented_end } => {
                self.add(key, "ports", ports, range_text(&range));
                if let Some(end) = documented_end {
                    self.add(key, "documented-end", ports, end.to_string());
                }
            }
        }
    }
}

impl Plan {
    /// Every value except name, title, base and rules, in the order of the file.
    pub(super) fn entries(&self) -> Vec<Entry<'_>> {
        let mut list = List { entries: Vec::new(), section: String::new() };
        list.layer("", &self.global);
        list.section = "signaling".to_owned();
        let ports: Vec<String> = self.signaling.value.iter().map(range_text).collect();
        list.add("ports", "", &self.signaling, format!("[{}]", ports.join(", ")));
        list.section = "edge".to_owned();
        list.maybe("ports", &self.edge.ports, range_text);
        list.maybe("mark-internal", &self.edge.mark_internal, ToString::to_string);
        list.maybe("external", &self.edge.external, |external| quoted(external.name()));
        list.section = "clients".to_owned();
        list.maybe("executables", &self.executables, |names| {
            format!("[{}]", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "))
        });
        list.section = "servers".to_owned();
        list.maybe("networks", &self.servers, |networks| {
            format!(
                "[{}]",
                networks.iter().map(|network| quoted(&network.to_string())).collect::<Vec<_>>().join(", ")
            )
        });
        list.section = "voicemail".to_owned();
        list.maybe("ports", &self.voicemail, range_text);
        list.section = "bandwidth".to_owned();
        list.maybe("video-kbps", &self.video_kbps, ToString::to_string);
        list.section = "wifi".to_owned();
        list.maybe("mapping", &self.wifi, |mapping| quoted(mapping.name()));
        self.phone_entries(&mut list);
        self.queue_entries(&mut list);
        for (kind, scopes) in [("sites", &self.sites), ("services", &self.services)] {
            for (name, layer) in scopes {
                list.layer(&format!("{kind}.{}.", key(name)), layer);
            }
        }
        list.entries
    }

    fn phone_entries<'p>(&'p self, list: &mut List<'p>) {
        for phone in &self.phones {
            list.section = format!("phones.{}", phone.family.name);
            list.maybe("audio-start", &phone.audio_start, ToString::to_string);
            list.maybe("video-start", &phone.video_start, ToString::to_string);
            for (class, mark) in &phone.marks {
                list.add(class.name(), "", mark, mark_text(mark.value));
            }
        }
    }

    fn queue_entries<'p>(&'p self, list: &mut List<'p>) {
        list.section = "queues".to_owned();
        let Some(map) = &self.queues else { return };
        let (usual, exceptions) = map.value.exceptions();
        list.add("other", "", map, usual.to_string());
        for (mark, queue) in exceptions {
            list.add(&dscp::name(mark), "", map, queue.to_string());
        }
    }
}

impl Rule {
    /// The rule as lines of a `[[rules]]` table.
    pub(super) fn lines(&self) -> Vec<String> {
        let rule = &self.marking;
        let mut lines =
            vec![format!("name = {}", quoted(&rule.name)), format!("role = {}", quoted(self.role.name()))];
        lines.extend(rule.application.iter().map(|name| format!("application = {}", quoted(name))));
        lines.push(format!("protocol = {}", quoted(rule.protocol.name())));
        lines.extend(rule.source_ports.iter().map(|range| format!("source-ports = {}", range_text(range))));
        lines.extend(rule.destination_ports.iter().map(|r| format!("destination-ports = {}", range_text(r))));
        lines.push(format!("dscp = {}", mark_text(rule.mark)));
        lines
    }
}

fn mark_text(mark: Dscp) -> String {
    match mark {
        Dscp::DEFAULT => quoted("unmarked"),
        mark if dscp::has_name(mark) => quoted(&dscp::name(mark)),
        mark => mark.value().to_string(),
    }
}

fn range_text(range: &PortRange) -> String {
    if range.count() == 1 { range.start().to_string() } else { quoted(&range.to_string()) }
}

/// A TOML key, bare where it can be.
pub(super) fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { name.to_owned() } else { quoted(name) }
}

/// A TOML basic string.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
