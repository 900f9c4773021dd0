//! A plan as a file to edit: what it sets stands there, what it inherits stands beside as a comment.

use super::entries::{Entry, key, quoted};
use super::{Origin, Plan};

const HEAD: &str = "\
# A Carillon QoS plan. Lines that begin with \"#\" show values that are inherited, with their source:
# remove the \"#\" to set one. Keys, units and spellings: docs/plan.md.
";

impl Plan {
    /// The plan as a file. Reading it again gives the same plan; inherited values are comments, and
    /// `base` brings them back.
    pub fn to_toml(&self) -> String {
        let mut out = Writer { text: HEAD.to_owned() };
        out.line(&format!("name = {}", quoted(&self.name)));
        out.line(&format!("title = {}", quoted(&self.title)));
        if let Some(base) = &self.base {
            out.line(&format!("base = {}", quoted(base)));
        }
        let entries = self.entries();
        let fallback = self.fallback_source();
        if let Some(source) = &fallback {
            out.line(&format!("source = {}", quoted(source)));
        }
        let mut rest = entries.as_slice();
        out.section(&mut rest, "", fallback.as_deref());
        while let Some(entry) = rest.first() {
            let section = entry.section.clone();
            out.header(&section);
            // Inside a scope the scope's own source would win, so every value there states its own.
            let scoped = section.starts_with("sites.") || section.starts_with("services.");
            out.section(&mut rest, &section, fallback.as_deref().filter(|_| !scoped));
        }
        self.write_bare_tables(&entries, &mut out);
        self.write_management(&mut out);
        self.write_rules(&mut out);
        out.text
    }

    /// The `source` at the top of the file, where a value carries it that can carry no other.
    fn fallback_source(&self) -> Option<String> {
        let enabled = self.global.enabled.iter().map(|enabled| &enabled.origin);
        let rules = self.rules.iter().map(|rules| &rules.origin);
        enabled.chain(rules).find_map(set_source).map(str::to_owned)
    }

    /// Scopes and phones that say nothing but are there.
    fn write_bare_tables(&self, entries: &[Entry<'_>], out: &mut Writer) {
        let sites = self.sites.keys().map(|name| format!("sites.{}", key(name)));
        let services = self.services.keys().map(|name| format!("services.{}", key(name)));
        let phones = self.phones.iter().map(|phone| format!("phones.{}", phone.family.name));
        for section in sites.chain(services).chain(phones) {
            let inside = |entry: &Entry<'_>| {
                entry
                    .section
                    .strip_prefix(&section)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            if !entries.iter().any(inside) {
                out.header(&section);
            }
        }
    }

    fn write_management(&self, out: &mut Writer) {
        for (table, object) in self.management.tables() {
            out.header(&table);
            for (property, value) in object {
                out.line(&format!("{property} = {}", value.to_toml()));
            }
        }
    }

    fn write_rules(&self, out: &mut Writer) {
        let Some(rules) = &self.rules else { return };
        for rule in &rules.value {
            out.header("[rules]");
            for line in rule.lines() {
                out.line(&line);
            }
        }
    }
}

struct Writer {
    text: String,
}

impl Writer {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn header(&mut self, section: &str) {
        self.line("");
        self.line(&format!("[{section}]"));
    }

    /// Writes the entries of one table and moves past them.
    fn section(&mut self, rest: &mut &[Entry<'_>], section: &str, fallback: Option<&str>) {
        let end = rest.iter().position(|entry| entry.section != section).unwrap_or(rest.len());
        let (mine, others) = rest.split_at(end);
        *rest = others;
        // Tables whose values stand alone state one source for all of them.
        let source = mine.iter().filter(|e| e.attribute.is_empty()).find_map(|e| set_source(e.origin));
        if let Some(source) = source.filter(|source| Some(*source) != fallback) {
            self.line(&format!("source = {}", quoted(source)));
        }
        for group in mine.chunk_by(|a, b| a.key == b.key && a.origin == b.origin) {
            self.group(group, source.or(fallback));
        }
    }

    /// Writes the attributes of one key that share an origin: one line.
    fn group(&mut self, group: &[Entry<'_>], fallback: Option<&str>) {
        let Some(first) = group.first() else { return };
        let source = set_source(first.origin).filter(|source| Some(*source) != fallback);
        let value = match group {
            [only] if source.is_none() && stands_alone(only) => only.value.clone(),
            _ => {
                let pairs = group.iter().map(|entry| format!("{} = {}", entry.attribute, entry.value));
                let source = source.map(|source| format!("source = {}", quoted(source)));
                format!("{{ {} }}", pairs.chain(source).collect::<Vec<_>>().join(", "))
            }
        };
        let line = format!("{} = {value}", key(&first.key));
        match first.origin {
            Origin::Set { .. } => self.line(&line),
            Origin::Default { source } => self.line(&format!("# {line}  # default: {}", one_line(source))),
        }
    }
}

/// Whether the value may stand directly behind its key: `audio = "EF"`, `audio = "20000-20039"`.
fn stands_alone(entry: &Entry<'_>) -> bool {
    entry.attribute.is_empty()
        || entry.attribute == "ports"
        || (entry.attribute == "dscp" && entry.section.ends_with("classes"))
}

fn set_source(origin: &Origin) -> Option<&str> {
    match origin {
        Origin::Set { source, .. } => source.as_deref(),
        Origin::Default { .. } => None,
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
