//! A TOML table being read: values by key, each with its line, and every complaint collected.
//!
//! Knows TOML types and spellings of ports and marks; knows nothing of what the keys mean.

use carillon_wire::ip::Dscp;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, suggest};
use crate::dscp;
use crate::ports::PortRange;

/// A value of the file and its line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Line, from 1.
    pub line: u32,
    /// The `source` that stands beside it.
    pub source: Option<String>,
}

impl<T> At<T> {
    pub(super) fn from(self, source: &Option<String>) -> At<T> {
        At { source: source.clone(), ..self }
    }
}

/// Where lines begin and what was found wrong so far.
pub(super) struct Reader {
    line_starts: Vec<usize>,
    pub(super) problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn new(text: &str) -> Reader {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        Reader { line_starts: std::iter::once(0).chain(ends).collect(), problems: Vec::new() }
    }

    pub(super) fn line(&self, at: usize) -> u32 {
        self.line_starts.partition_point(|start| *start <= at) as u32
    }

    pub(super) fn complain(&mut self, line: u32, path: &str, text: impl Into<String>) {
        self.problems.push(Problem { line, path: path.to_owned(), text: text.into() });
    }
}

/// The keys of a range that is written as a table.
pub(super) const RANGE_KEYS: [&str; 3] = ["start", "count", "end"];

/// A value with its dotted path.
#[derive(Clone)]
pub(super) struct Field<'a> {
    pub(super) path: String,
    pub(super) line: u32,
    pub(super) value: &'a DeValue<'a>,
}

/// A table with its dotted path.
#[derive(Clone)]
pub(super) struct Section<'a> {
    pub(super) path: String,
    pub(super) line: u32,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a DeTable<'a>) -> Section<'a> {
        Section { path: String::new(), line: 1, table }
    }

    /// Complains of every key that is not known here.
    pub(super) fn allow<'k>(&self, reader: &mut Reader, known: impl IntoIterator<Item = &'k str> + Clone) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if known.clone().into_iter().all(|k| k != name) {
                let line = reader.line(key.span().start);
                let path = self.child(name);
                reader.complain(line, &path, format!("unknown key{}", suggest(name, known.clone())));
            }
        }
    }

    /// Keys and values in the order of the alphabet.
    pub(super) fn fields(&self, reader: &Reader) -> Vec<(&'a str, Field<'a>)> {
        let field = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let name: &'a std::borrow::Cow<'a, str> = key.get_ref();
            let line = reader.line(key.span().start);
            (name.as_ref(), Field { path: self.child(name), line, value: value.get_ref() })
        };
        self.table.iter().map(field).collect()
    }

    pub(super) fn field(&self, reader: &Reader, key: &str) -> Option<Field<'a>> {
        self.fields(reader).into_iter().find(|(name, _)| *name == key).map(|(_, field)| field)
    }

    /// The table under a key.
    pub(super) fn section(&self, reader: &mut Reader, key: &str) -> Option<Section<'a>> {
        self.field(reader, key)?.section(reader)
    }

    pub(super) fn string(&self, reader: &mut Reader, key: &str) -> Option<At<String>> {
        let field = self.field(reader, key)?;
        match field.value {
            DeValue::String(text) => Some(field.at(text.to_string())),
            _ => field.refuse(reader, "a text in quotes"),
        }
    }

    pub(super) fn boolean(&self, reader: &mut Reader, key: &str) -> Option<At<bool>> {
        let field = self.field(reader, key)?;
        match field.value {
            DeValue::Boolean(value) => Some(field.at(*value)),
            _ => field.refuse(reader, "true or false"),
        }
    }

    pub(super) fn strings(&self, reader: &mut Reader, key: &str) -> Option<At<Vec<String>>> {
        let field = self.field(reader, key)?;
        let DeValue::Array(items) = field.value else {
            return field.refuse(reader, "a list of texts");
        };
        let texts: Option<Vec<String>> = items.iter().map(|item| text_of(item.get_ref())).collect();
        match texts {
            Some(texts) => Some(field.at(texts)),
            None => field.refuse(reader, "a list of texts"),
        }
    }

    /// The range that this table's own `start`, `count`, `end` state.
    pub(super) fn range(&self, reader: &mut Reader) -> Option<PortRange> {
        let number = |reader: &mut Reader, key| {
            self.field(reader, key).map(|field| field.integer(reader, "a number from 1 to 65535", 65535))
        };
        let [start, count, end] = RANGE_KEYS.map(|key| number(reader, key));
        let start = u16::try_from(start.unwrap_or(Some(0))?).ok()?;
        let range = match (count, end) {
            (Some(count), None) => PortRange::from_count(start, count?),
            (None, Some(end)) => PortRange::from_ends(start, u16::try_from(end?).ok()?),
            _ => None,
        };
        if range.is_none() {
            let text = "needs start and either count or end, inside 1 to 65535";
            reader.complain(self.line, &self.path, text);
        }
        range
    }

    fn child(&self, name: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let name =
            if !name.is_empty() && name.chars().all(plain) { name.to_owned() } else { format!("{name:?}") };
        if self.path.is_empty() { name } else { format!("{}.{name}", self.path) }
    }
}

impl<'a> Field<'a> {
    pub(super) fn at<T>(&self, value: T) -> At<T> {
        At { value, line: self.line, source: None }
    }

    /// Complains that something else was expected.
    pub(super) fn refuse<T>(&self, reader: &mut Reader, expected: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(text) => format!("{text:?}"),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Boolean(value) => value.to_string(),
            other => format!("a TOML {}", other.type_str()),
        };
        reader.complain(self.line, &self.path, format!("expected {expected}, found {found}"));
        None
    }

    pub(super) fn section(&self, reader: &mut Reader) -> Option<Section<'a>> {
        match self.value {
            DeValue::Table(table) => Some(Section { path: self.path.clone(), line: self.line, table }),
            _ => self.refuse(reader, "a table"),
        }
    }

    /// The items of a list of tables.
    pub(super) fn sections(&self, reader: &mut Reader) -> Vec<Section<'a>> {
        let DeValue::Array(items) = self.value else {
            return self.refuse(reader, "a list of tables").unwrap_or_default();
        };
        let mut sections = Vec::new();
        for (number, item) in items.iter().enumerate() {
            let field = Field {
                path: format!("{}[{number}]", self.path),
                line: reader.line(item.span().start),
                value: item.get_ref(),
            };
            sections.extend(field.section(reader));
        }
        sections
    }

    pub(super) fn integer(&self, reader: &mut Reader, expected: &str, max: u32) -> Option<u32> {
        match integer_of(self.value) {
            Some(number) if number <= i64::from(max) && number >= 0 => Some(number as u32),
            _ => self.refuse(reader, expected),
        }
    }

    /// A mark: a number, or a text in any spelling.
    pub(super) fn mark(&self, reader: &mut Reader) -> Option<Dscp> {
        let spelling = match self.value {
            DeValue::String(text) => text.to_string(),
            value => match integer_of(value) {
                Some(number) => number.to_string(),
                None => {
                    return self.refuse(reader, "a DSCP (\"EF\", 46, \"0x2e\", \"101110\", \"unmarked\")");
                }
            },
        };
        match dscp::parse(&spelling) {
            Ok(mark) => Some(mark),
            Err(wrong) => {
                reader.complain(self.line, &self.path, wrong.to_string());
                None
            }
        }
    }

    /// A range: `"S-E"`, one port, `{ start, count }` or `{ start, end }`.
    pub(super) fn range(&self, reader: &mut Reader) -> Option<PortRange> {
        const EXPECTED: &str = "a port range (\"20000-20039\" or { start = 20000, count = 40 })";
        let range = match self.value {
            DeValue::String(text) => PortRange::parse(text),
            DeValue::Table(_) => {
                let section = self.section(reader)?;
                section.allow(reader, RANGE_KEYS);
                return section.range(reader);
            }
            value => integer_of(value).and_then(|port| PortRange::from_count(u16::try_from(port).ok()?, 1)),
        };
        range.or_else(|| self.refuse(reader, EXPECTED))
    }

    /// One range or a list of them.
    pub(super) fn ranges(&self, reader: &mut Reader) -> Option<Vec<PortRange>> {
        let DeValue::Array(items) = self.value else {
            return Some(vec![self.range(reader)?]);
        };
        let mut ranges = Vec::new();
        for item in items {
            let line = reader.line(item.span().start);
            ranges.push(Field { path: self.path.clone(), line, value: item.get_ref() }.range(reader)?);
        }
        Some(ranges)
    }
}

fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        _ => None,
    }
}

fn integer_of(value: &DeValue<'_>) -> Option<i64> {
    match value {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    }
}
