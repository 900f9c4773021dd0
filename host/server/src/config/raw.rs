//! What the configuration file says: every key that the table of settings knows, with its line.
//!
//! Every mistake is noted and reading goes on, so that all come back at once. Meaning is `resolve`'s.

use std::collections::BTreeMap;

use carillon_qos::plan::{Problem, nearest};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::settings::{Kind, Occurs, Section, ServerRole, Setting, Unset};

/// The whole file: the blocks of every section that is there.
#[derive(Debug, Default)]
pub(super) struct Raw {
    blocks: BTreeMap<&'static str, Vec<Block>>,
}

/// One block of a section.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// `tls`, `listeners[0]`.
    pub(super) path: String,
    /// Where it begins.
    pub(super) line: u32,
    values: BTreeMap<&'static str, At<Value>>,
}

/// A value and its line.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) line: u32,
}

/// A value of the kind that its setting asks for.
#[derive(Clone, PartialEq, Debug)]
enum Value {
    Text(String),
    Texts(Vec<String>),
    Number(u64),
}

impl Raw {
    /// The blocks of a section, in the order of the file.
    pub(super) fn blocks(&self, section: &str) -> &[Block] {
        self.blocks.get(section).map_or(&[], Vec::as_slice)
    }

    /// The block of a section that stands once: an empty one if the file has none.
    pub(super) fn block(&self, section: &str) -> Block {
        let empty = || Block { path: section.to_owned(), line: 1, values: BTreeMap::new() };
        self.blocks(section).first().cloned().unwrap_or_else(empty)
    }
}

impl Block {
    /// A text or word, or its default.
    pub(super) fn text(&self, key: &str) -> Option<At<String>> {
        self.value(key, |value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// A list of texts.
    pub(super) fn texts(&self, key: &str) -> Option<At<Vec<String>>> {
        self.value(key, |value| match value {
            Value::Texts(texts) => Some(texts.clone()),
            _ => None,
        })
    }

    /// A number, or its default.
    pub(super) fn number(&self, key: &str) -> Option<At<u64>> {
        self.value(key, |value| match value {
            Value::Number(number) => Some(*number),
            _ => None,
        })
    }

    /// What is wrong at a key of this block, or with all of it.
    pub(super) fn problem(&self, line: u32, key: &str, text: impl Into<String>) -> Problem {
        let path = if key.is_empty() { self.path.clone() } else { child(&self.path, key) };
        Problem { line, path, text: text.into() }
    }

    fn value<T>(&self, key: &str, pick: fn(&Value) -> Option<T>) -> Option<At<T>> {
        let at = self.values.get(key)?;
        Some(At { value: pick(&at.value)?, line: at.line })
    }
}

/// Reads a file and lists what is wrong with it. Defaults are filled in. A role that is none is read as a Front End's.
pub(super) fn read(text: &str) -> (ServerRole, Raw, Vec<Problem>) {
    let mut reader = Reader::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map_or(1, |span| reader.line(span.start));
        reader.complain(line, "", error.message());
    }
    let root = document.get_ref();
    let named = root.get("role").and_then(|value| value.get_ref().as_str());
    let role = ServerRole::ALL.into_iter().find(|role| named == Some(role.name())).unwrap_or_default();
    reader.sections = role.sections();
    let raw = reader.document(root);
    (role, raw, reader.problems)
}

struct Reader {
    sections: &'static [Section],
    line_starts: Vec<usize>,
    problems: Vec<Problem>,
}

impl Reader {
    fn new(text: &str) -> Reader {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Reader { sections: &[], line_starts: std::iter::once(0).chain(ends).collect(), problems: Vec::new() }
    }

    fn line(&self, at: usize) -> u32 {
        u32::try_from(self.line_starts.partition_point(|start| *start <= at)).unwrap_or(u32::MAX)
    }

    fn complain(&mut self, line: u32, path: &str, text: impl Into<String>) {
        self.problems.push(Problem { line, path: path.to_owned(), text: text.into() });
    }

    fn document(&mut self, root: &DeTable<'_>) -> Raw {
        let mut raw = Raw::default();
        for section in self.sections {
            let blocks = match root.get(section.name) {
                _ if section.name.is_empty() => vec![self.block(section, String::new(), 1, root)],
                None if section.occurs != Occurs::Once => Vec::new(),
                None => vec![self.block(section, section.name.to_owned(), 1, &DeTable::new())],
                Some(value) => self.section(section, self.key_line(root, section.name), value),
            };
            raw.blocks.insert(section.name, blocks);
        }
        raw
    }

    fn section(&mut self, section: &Section, line: u32, value: &Spanned<DeValue<'_>>) -> Vec<Block> {
        match value.get_ref() {
            DeValue::Table(table) if section.occurs != Occurs::Repeated => {
                vec![self.block(section, section.name.to_owned(), line, table)]
            }
            DeValue::Array(items) if section.occurs == Occurs::Repeated => self.items(section, items),
            _ => {
                let brackets = if section.occurs == Occurs::Repeated {
                    format!("[[{}]]", section.name)
                } else {
                    format!("[{}]", section.name)
                };
                self.complain(line, section.name, format!("write it as {brackets}, with the keys below"));
                Vec::new()
            }
        }
    }

    fn items(&mut self, section: &Section, items: &[Spanned<DeValue<'_>>]) -> Vec<Block> {
        let mut blocks = Vec::new();
        for (number, item) in items.iter().enumerate() {
            let (path, line) = (format!("{}[{number}]", section.name), self.line(item.span().start));
            match item.get_ref() {
                DeValue::Table(table) => blocks.push(self.block(section, path, line, table)),
                _ => self.complain(
                    line,
                    &path,
                    format!("write it as [[{}]], with the keys below", section.name),
                ),
            }
        }
        blocks
    }

    fn block(&mut self, section: &Section, path: String, line: u32, table: &DeTable<'_>) -> Block {
        self.refuse_unknown(section, &path, table);
        let mut values = BTreeMap::new();
        for setting in section.settings {
            let full = child(&path, setting.key);
            let value = match table.get(setting.key) {
                Some(value) => {
                    let line = self.key_line(table, setting.key);
                    self.value(setting, &full, line, value.get_ref()).map(|value| At { value, line })
                }
                None => self.unset(setting, &full, line),
            };
            values.extend(value.map(|value| (setting.key, value)));
        }
        Block { path, line, values }
    }

    fn refuse_unknown(&mut self, section: &Section, path: &str, table: &DeTable<'_>) {
        let sections = self.sections.iter().map(|section| section.name).filter(|name| !name.is_empty());
        let keys = section.settings.iter().map(|setting| setting.key);
        let known: Vec<&str> = if path.is_empty() { keys.chain(sections).collect() } else { keys.collect() };
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let (name, line) = (key.get_ref(), self.line(key.span().start));
            let hint = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}", known.join(", ")),
            };
            self.complain(line, &child(path, name), format!("unknown key; {hint}"));
        }
    }

    fn key_line(&self, table: &DeTable<'_>, name: &str) -> u32 {
        table.keys().find(|key| key.get_ref() == name).map_or(1, |key| self.line(key.span().start))
    }

    fn unset(&mut self, setting: &Setting, path: &str, line: u32) -> Option<At<Value>> {
        match setting.unset {
            Unset::Follows { .. } => None,
            Unset::Required(example) => {
                self.complain(line, path, format!("is missing; for example {} = {example}", setting.key));
                None
            }
            Unset::Default(toml) => {
                let value = DeValue::parse(toml).ok()?;
                self.value(setting, path, line, value.get_ref()).map(|value| At { value, line })
            }
        }
    }

    fn value(&mut self, setting: &Setting, path: &str, line: u32, value: &DeValue<'_>) -> Option<Value> {
        let found = match (setting.kind, value) {
            (Kind::Text, DeValue::String(text)) if !text.is_empty() => Some(Value::Text(text.to_string())),
            (Kind::Word(words), DeValue::String(text)) if words.contains(&text.as_ref()) => {
                Some(Value::Text(text.to_string()))
            }
            (Kind::Texts, DeValue::Array(items)) => texts(items).map(Value::Texts),
            (Kind::Number(most), DeValue::Integer(number)) => {
                i64::from_str_radix(number.as_str(), number.radix())
                    .ok()
                    .and_then(|number| u64::try_from(number).ok())
                    .filter(|number| (1..=most).contains(number))
                    .map(Value::Number)
            }
            _ => None,
        };
        if found.is_none() {
            self.complain(line, path, format!("expected {}, found {}", expected(setting.kind), shown(value)));
        }
        found
    }
}

/// A list of texts with at least one in it.
fn texts(items: &[Spanned<DeValue<'_>>]) -> Option<Vec<String>> {
    let text = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
        DeValue::String(text) if !text.is_empty() => Some(text.to_string()),
        _ => None,
    };
    items.iter().map(text).collect::<Option<Vec<_>>>().filter(|texts| !texts.is_empty())
}

fn expected(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text in quotes".to_owned(),
        Kind::Texts => "a list of texts".to_owned(),
        Kind::Word(words) => format!("one of \"{}\"", words.join("\", \"")),
        Kind::Number(most) => format!("a whole number from 1 to {most}"),
    }
}

fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Array(items) if items.is_empty() => "an empty list".to_owned(),
        other => format!("a TOML {}", other.type_str()),
    }
}

fn child(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
