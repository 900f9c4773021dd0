//! What `Get-NetQosPolicy` prints: its own view, and that of `Format-List -Property *`.

use std::collections::BTreeMap;

use carillon_wire::ip::Dscp;

use super::super::{Fact, Format, Note, Read, What};
use super::{Errors, text};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};

pub(super) const FORMAT: Format = Format { name: "Get-NetQosPolicy", recognise, read };

/// Both views print it for every policy, and no other listing has it beside a mark.
fn recognise(bytes: &[u8]) -> bool {
    let head = text::head(bytes);
    let has = |name: &str| head.lines().any(|line| property(line).is_some_and(|(key, _)| key == name));
    has("networkprofile") && has("name")
}

fn read(bytes: &[u8]) -> Result<Read, Vec<Note>> {
    let text = text::decoded(bytes)?;
    let mut errors = Errors::default();
    let mut read = Read::default();
    for listed in listings(&text, &mut read.notes, &mut errors) {
        let mut reading = Reading { listed: &listed, notes: &mut read.notes, errors: &mut errors };
        let rules = reading.rules();
        let place = format!("line {}", listed.line);
        read.facts
            .extend(rules.into_iter().map(|rule| Fact { place: place.clone(), what: What::Rule(rule) }));
    }
    if errors.0.is_empty() { Ok(read) } else { Err(errors.0) }
}

/// One policy of the listing.
struct Listed {
    line: u32,
    /// By the property's short name in small letters; the first of twins counts.
    values: BTreeMap<String, (u32, String)>,
}

/// `DSCPValue      : 46` as its name in small letters, without what the twins of `Format-List *` add, and its value.
fn property(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim_end();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let short = name.strip_suffix("matchcondition").map_or_else(|| name.clone(), str::to_owned);
    Some((if short == "dscpaction" { "dscpvalue".to_owned() } else { short }, value.trim()))
}

/// Policies are apart by blank lines.
fn listings(text: &str, notes: &mut Vec<Note>, errors: &mut Errors) -> Vec<Listed> {
    let mut all: Vec<Listed> = Vec::new();
    let mut open = false;
    let mut last: Option<String> = None;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            open = false;
        } else if line.trim_start().starts_with("PS ") && line.contains('>') {
            notes.push(Note { place: format!("line {number}"), text: "a prompt was passed over".to_owned() });
        } else if let Some((name, value)) = property(line) {
            if !open {
                all.push(Listed { line: number, values: BTreeMap::new() });
                open = true;
            }
            if let Some(listed) = all.last_mut() {
                listed.values.entry(name.clone()).or_insert_with(|| (number, value.to_owned()));
            }
            last = Some(name);
        } else if let (true, true, Some(name), Some(listed)) =
            (open, line.starts_with(' '), last.as_ref(), all.last_mut())
        {
            if let Some((_, value)) = listed.values.get_mut(name) {
                *value = format!("{value} {}", line.trim());
            }
            let text = "goes on with the value above and was joined to it with a blank; `Out-File -Width 4096` avoids it";
            notes.push(Note { place: format!("line {number}"), text: text.to_owned() });
        } else {
            errors.add(format!("line {number}"), "is no `property : value` of Get-NetQosPolicy");
        }
    }
    all
}

struct Reading<'r> {
    listed: &'r Listed,
    notes: &'r mut Vec<Note>,
    errors: &'r mut Errors,
}

impl Reading<'_> {
    /// One rule, none if the policy does not mark by what packets look like, two where a port counts on either side.
    fn rules(&mut self) -> Vec<MarkingRule> {
        let Some(name) = self.value("name").map(str::to_owned) else {
            let text = "a policy without a `Name`";
            self.errors.add(format!("line {}", self.listed.line), text);
            return Vec::new();
        };
        let before = self.errors.0.len();
        let (source, destination) = (self.ports("ipsrcport"), self.ports("ipdstport"));
        let either = self.port("ipport").and_then(|port| PortRange::from_count(port, 1));
        let (protocol, mark) = (self.protocol(), self.mark());
        if let Some(reason) = self.reason_to_skip() {
            self.note(&name, reason);
            return Vec::new();
        }
        self.note_the_rest(&name);
        let Some(mark) = mark.filter(|_| self.errors.0.len() == before) else { return Vec::new() };
        let application = self.value("apppathname").map(str::to_owned);
        let rule = |source_ports, destination_ports| MarkingRule {
            name: name.clone(),
            application: application.clone(),
            protocol,
            source_ports,
            destination_ports,
            mark,
        };
        match either {
            Some(port) => vec![rule(Some(port), None), rule(None, Some(port))],
            None => vec![rule(source, destination)],
        }
    }

    fn reason_to_skip(&self) -> Option<String> {
        if let Some(template) = self.value("template").filter(|template| *template != "None") {
            return Some(format!("matches by the template {template}, which is no media"));
        }
        if self.value("uri").is_some() {
            return Some("is about answers of a web server".to_owned());
        }
        if self.number("netdirectport").is_some() {
            return Some("is about network direct".to_owned());
        }
        self.value("dscpvalue").filter(|mark| *mark != "-1").is_none().then(|| "sets no mark".to_owned())
    }

    fn note_the_rest(&mut self, name: &str) {
        let limits = [
            ("ipsrcprefix", "source addresses"),
            ("ipdstprefix", "destination addresses"),
            ("user", "the user"),
        ];
        for (key, what) in limits {
            if let Some(value) = self.value(key).map(str::to_owned) {
                self.note(name, format!("is limited to {what} {value}, which is not compared"));
            }
        }
        if let Some(profile) =
            self.value("networkprofile").filter(|profile| *profile != "All").map(str::to_owned)
        {
            self.note(name, format!("applies on networks of the profile {profile} only"));
        }
        if let Some(rate) = self.value("throttlerate").filter(|rate| *rate != "0").map(str::to_owned) {
            self.note(name, format!("limits the rate to {rate}, which is not compared"));
        }
    }

    fn protocol(&mut self) -> Protocol {
        match self.value("ipprotocol").unwrap_or("Both").to_ascii_lowercase().as_str() {
            "both" | "none" => Protocol::Both,
            "udp" => Protocol::Udp,
            "tcp" => Protocol::Tcp,
            _ => {
                self.wrong("ipprotocol", "is none of Both, TCP, UDP");
                Protocol::Both
            }
        }
    }

    /// From `…Start` and `…End`, or the single port; 0 says nothing.
    fn ports(&mut self, side: &str) -> Option<PortRange> {
        let (first, last) = (format!("{side}start"), format!("{side}end"));
        let single = self.port(side);
        let (start, end) = (self.port(&first).or(single), self.port(&last).or(single));
        if start.is_none() && end.is_none() {
            return None;
        }
        let range = start.zip(end).and_then(|(start, end)| PortRange::from_ends(start, end));
        if range.is_none() {
            let key = if self.number(&first).is_some() { first } else { last };
            self.wrong(&key, "is not the border of a range");
        }
        range
    }

    fn port(&mut self, key: &str) -> Option<u16> {
        let port = self.number(key)?.parse();
        if port.is_err() {
            self.wrong(key, "is no port");
        }
        port.ok()
    }

    fn mark(&mut self) -> Option<Dscp> {
        let text = self.value("dscpvalue").filter(|mark| *mark != "-1")?;
        let mark = text.parse().ok().and_then(Dscp::new);
        if mark.is_none() {
            self.wrong("dscpvalue", "is no number from 0 to 63");
        }
        mark
    }

    fn number(&self, key: &str) -> Option<&str> {
        self.value(key).filter(|value| *value != "0")
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.listed.values.get(key).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn wrong(&mut self, key: &str, text: &str) {
        if let Some((line, value)) = self.listed.values.get(key) {
            self.errors.add(format!("line {line}"), format!("`{key}` = `{value}` {text}"));
        }
    }

    fn note(&mut self, name: &str, text: String) {
        let place = format!("line {}", self.listed.line);
        self.notes.push(Note { place, text: format!("policy `{name}` {text}") });
    }
}
