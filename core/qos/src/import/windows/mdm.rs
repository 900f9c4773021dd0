//! What Intune and other MDM distribute for the NetworkQoSPolicy provider: a profile in JSON, its table in CSV, SyncML.

use std::collections::BTreeMap;

use roxmltree::{Document, Node, ParsingOptions};
use serde_json::Value;

use super::super::{Format, Note, Read};
use super::listed::{self, Listed};
use super::{Errors, text};

pub(super) const JSON: Format = Format { name: "Intune profile (JSON)", recognise: is_json, read: read_json };
pub(super) const CSV: Format = Format { name: "Intune table (CSV)", recognise: is_csv, read: read_csv };
pub(super) const SYNCML: Format = Format { name: "SyncML for MDM", recognise: is_syncml, read: read_syncml };

/// What the addresses of all settings of the provider have in common; devices ignore its case.
const PROVIDER: &str = "/vendor/msft/networkqospolicy/";
/// Most nodes of a SyncML document.
const MAX_NODES: u32 = 500_000;

fn is_json(bytes: &[u8]) -> bool {
    let head = text::head(bytes);
    head.trim_start().starts_with(['{', '['])
        && ["omaSettings", "omaUri"].iter().any(|word| head.contains(word))
}

fn is_csv(bytes: &[u8]) -> bool {
    text::head(bytes).lines().next().is_some_and(|line| line.contains("OMA-URI") && line.contains(','))
}

fn is_syncml(bytes: &[u8]) -> bool {
    let head = text::head(bytes);
    head.trim_start().starts_with('<') && head.contains("<SyncML") || head.contains("<SyncBody")
}

/// One setting, where it stands.
struct Row {
    line: u32,
    /// What people call it.
    name: Option<String>,
    uri: String,
    /// `None` takes it away.
    value: Option<String>,
}

fn read_json(bytes: &[u8]) -> Result<Read, Vec<Note>> {
    let text = text::decoded(bytes)?;
    let root: Value = serde_json::from_str(&text).map_err(|error| {
        let place = format!("line {}", error.line());
        vec![Note { place, text: format!("no JSON: {error}") }]
    })?;
    let mut settings = Vec::new();
    collect(&root, &mut settings);
    let (mut from, mut line) = (0, 1);
    let mut rows = Vec::new();
    for setting in settings {
        let word = |key: &str| setting.get(key).and_then(Value::as_str);
        let Some(uri) = word("omaUri") else { continue };
        // Settings stand in the order of the file, so that each address is found behind the one before.
        if let Some(at) = text.get(from..).and_then(|rest| rest.find(uri)) {
            line += lines(&text, from, from + at);
            from += at;
        }
        let value = match setting.get("value") {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        rows.push(Row {
            line,
            name: word("displayName").map(str::to_owned),
            uri: uri.to_owned(),
            value: Some(value),
        });
    }
    read(rows)
}

/// Objects with an address, in their order.
fn collect<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(fields) if fields.contains_key("omaUri") => found.push(value),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, found)),
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

fn lines(text: &str, from: usize, to: usize) -> u32 {
    let newlines = text.as_bytes().get(from..to).unwrap_or_default().iter().filter(|byte| **byte == b'\n');
    u32::try_from(newlines.count()).unwrap_or(u32::MAX)
}

fn read_csv(bytes: &[u8]) -> Result<Read, Vec<Note>> {
    let text = text::decoded(bytes)?;
    let (mut rows, mut errors) = (Vec::new(), Errors::default());
    let mut columns = None;
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let Some(fields) = fields(text) else {
            errors.add(format!("line {line}"), "a quote is not closed");
            continue;
        };
        let column = |name: &str| fields.iter().position(|field| field.trim().eq_ignore_ascii_case(name));
        let Some((name, uri, value)) = columns else {
            match column("OMA-URI").zip(column("Value")) {
                Some((uri, value)) => columns = Some((column("Name"), uri, value)),
                None => errors.add(format!("line {line}"), "the table has no columns `OMA-URI` and `Value`"),
            }
            continue;
        };
        match (fields.get(uri), fields.get(value)) {
            (Some(uri), Some(value)) => rows.push(Row {
                line,
                name: name.and_then(|at| fields.get(at)).cloned(),
                uri: uri.clone(),
                value: Some(value.clone()),
            }),
            _ => errors.add(format!("line {line}"), "has fewer fields than the first line"),
        }
    }
    if errors.0.is_empty() { read(rows) } else { Err(errors.0) }
}

/// Fields of a line, quotes doubled inside quotes; `None` if one is not closed.
fn fields(line: &str) -> Option<Vec<String>> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    (!quoted).then_some(fields)
}

fn read_syncml(bytes: &[u8]) -> Result<Read, Vec<Note>> {
    let text = text::decoded(bytes)?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&text, options).map_err(|error| {
        let place = format!("line {}", error.pos().row);
        vec![Note { place, text: format!("no XML that is read here: {error}") }]
    })?;
    let mut rows = Vec::new();
    let (mut from, mut line) = (0, 1);
    for item in document.descendants().filter(|node| node.tag_name().name() == "Item") {
        let inside = |name: &str| {
            let node = item.descendants().find(|node| node.tag_name().name() == name);
            node.and_then(|node| node.text()).map(|text| text.trim().to_owned())
        };
        line += lines(&text, from, item.range().start);
        from = item.range().start;
        let deletes = item.parent().is_some_and(|parent: Node<'_, '_>| parent.tag_name().name() == "Delete");
        let value = if deletes { None } else { Some(inside("Data").unwrap_or_default()) };
        rows.extend(inside("LocURI").map(|uri| Row { line, name: None, uri, value }));
    }
    read(rows)
}

/// Rows of one node make one policy.
fn read(rows: Vec<Row>) -> Result<Read, Vec<Note>> {
    let (mut notes, mut elsewhere) = (Vec::new(), 0);
    let mut policies: Vec<Listed> = Vec::new();
    let mut nodes: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        let small = row.uri.to_ascii_lowercase();
        let Some(at) = small.find(PROVIDER) else {
            elsewhere += 1;
            continue;
        };
        let below = row.uri.get(at + PROVIDER.len()..).unwrap_or_default();
        let place = format!("line {}", row.line);
        match (below.split_once('/'), row.value) {
            (None, None) => notes.push(Note { place, text: format!("removes policy `{below}`") }),
            (Some((node, leaf)), Some(value)) => {
                let number = *nodes.entry(node.to_owned()).or_insert_with(|| {
                    let mut policy = Listed::at(row.line);
                    let ours = row.name.as_deref().and_then(|name| name.strip_suffix(&format!(": {leaf}")));
                    policy.set(row.line, "name", ours.unwrap_or(node));
                    policies.push(policy);
                    policies.len() - 1
                });
                if let Some(policy) = policies.get_mut(number) {
                    set(policy, row.line, leaf, value.trim());
                }
            }
            _ => notes
                .push(Note { place, text: format!("`{}` is no setting of a policy: passed over", row.uri) }),
        }
    }
    if elsewhere > 0 {
        let text = format!("{elsewhere} settings that are not about QoS were passed over");
        notes.push(Note { place: "file".to_owned(), text });
    }
    listed::rules(&policies, notes, Errors::default())
}

/// The provider has numbers for protocols, and ranges with a hyphen.
fn set(policy: &mut Listed, line: u32, leaf: &str, value: &str) {
    let short = listed::short(leaf);
    let side = match short.as_str() {
        "sourceport" => "ipsrcport",
        "destinationport" => "ipdstport",
        "ipprotocol" => {
            let word = match value {
                "0" => "Both",
                "1" => "TCP",
                "2" => "UDP",
                other => other,
            };
            return policy.set(line, "ipprotocol", word);
        }
        _ => return policy.set(line, &short, value),
    };
    match value.split_once('-') {
        Some((start, end)) => {
            policy.set(line, &format!("{side}start"), start);
            policy.set(line, &format!("{side}end"), end);
        }
        None => policy.set(line, side, value),
    }
}
