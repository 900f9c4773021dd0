//! What cmdlets hand to each other: objects with named properties in an order, and the values in them.

mod compare;
mod list;
mod table;
mod wildcard;

pub(crate) use compare::{compare, contains, equal, like, matches};
pub use list::list;
pub use table::table;
pub use wildcard::Wildcard;

use carillon_qos::plan::{ManagedValue, TimeSpan};

use crate::language::ast::Script;

/// A value.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Value {
    /// `$null`.
    #[default]
    Null,
    /// `$true`, `$false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
    /// A time span.
    Span(TimeSpan),
    /// A list.
    List(Vec<Value>),
    /// An object.
    Object(Object),
    /// `@{ }`: keys with values.
    Table(Vec<(String, Value)>),
    /// `{ }`.
    Block(Script),
}

/// An object: what it is, and its properties in the order in which they print.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Object {
    /// `ConferencingConfiguration`, as the plan names kinds; empty for a selection.
    pub kind: String,
    /// Names and values.
    pub properties: Vec<(String, Value)>,
    /// How it prints unless something else is said.
    pub view: View,
    /// Which properties print, in which order; all unless said. The others are there for who names them.
    pub shown: Option<Vec<String>>,
}

/// How objects print.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum View {
    /// A line for each property.
    #[default]
    List,
    /// A line for each object.
    Table,
}

impl Object {
    /// An object without properties.
    pub fn new(kind: &str) -> Object {
        Object { kind: kind.to_owned(), ..Object::default() }
    }

    /// The same with one more property.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Object {
        self.properties.push((name.to_owned(), value.into()));
        self
    }

    /// A property by its name in any case.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// A property to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.properties.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The properties that print.
    pub fn visible(&self) -> Vec<&(String, Value)> {
        match &self.shown {
            None => self.properties.iter().collect(),
            Some(names) => {
                let find = |name: &String| self.properties.iter().find(|(known, _)| known == name);
                names.iter().filter_map(find).collect()
            }
        }
    }

    /// What it is called.
    pub fn identity(&self) -> Option<String> {
        let found = self.get("Identity").or_else(|| self.get("Name"));
        found.filter(|value| **value != Value::Null).map(Value::text)
    }

    /// The properties that this name or wildcard chooses. A name that there is not has no value.
    pub fn select(&self, name: &str) -> Vec<(String, Value)> {
        let pattern = Wildcard::new(name);
        let found: Vec<_> =
            self.properties.iter().filter(|(known, _)| pattern.matches(known)).cloned().collect();
        match found.is_empty() && !Wildcard::is_one(name) {
            true => vec![(name.to_owned(), Value::Null)],
            false => found,
        }
    }
}

impl Value {
    /// As it prints. Lists print whole.
    pub fn text(&self) -> String {
        match self {
            Value::Null => String::new(),
            Value::Boolean(true) => "True".to_owned(),
            Value::Boolean(false) => "False".to_owned(),
            Value::Integer(number) => number.to_string(),
            Value::Text(text) => text.clone(),
            Value::Span(span) => span.to_string(),
            Value::List(items) => items.iter().map(Value::text).collect::<Vec<_>>().join(" "),
            Value::Object(object) => object.text(),
            Value::Table(entries) => {
                let entries = entries.iter().map(|(key, value)| format!("{key}={}", value.text()));
                format!("@{{{}}}", entries.collect::<Vec<_>>().join("; "))
            }
            Value::Block(script) => crate::language::print(script).trim_end().to_owned(),
        }
    }

    /// As a property prints: of a list the first four.
    pub fn shown(&self) -> String {
        let Value::List(items) = self else { return self.text() };
        let mut words: Vec<String> = items.iter().take(4).map(Value::text).collect();
        if items.len() > 4 {
            words.push(String::new());
        }
        match items.len() {
            ..=4 => format!("{{{}}}", words.join(", ")),
            _ => format!("{{{}...}}", words.join(", ").trim_end_matches([' ', ','])),
        }
    }

    /// Whether a condition with it holds.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Boolean(value) => *value,
            Value::Integer(number) => *number != 0,
            Value::Text(text) => !text.is_empty(),
            Value::List(items) => match items.as_slice() {
                [] => false,
                [only] => only.is_true(),
                _ => true,
            },
            _ => true,
        }
    }

    /// Its values: those of a list, one, or none.
    pub fn into_items(self) -> Vec<Value> {
        match self {
            Value::Null => Vec::new(),
            Value::List(items) => items,
            only => vec![only],
        }
    }

    /// None, one, or a list.
    pub fn of_items(mut items: Vec<Value>) -> Value {
        match items.len() {
            0 => Value::Null,
            1 => items.pop().unwrap_or_default(),
            _ => Value::List(items),
        }
    }
}

impl Object {
    /// `BWLimit=200;BWPolicyModality=Audio`, as objects print within objects.
    fn text(&self) -> String {
        if let Some(identity) = self.identity() {
            return identity;
        }
        let pairs = self.visible().into_iter().map(|(name, value)| format!("{name}={}", value.text()));
        pairs.collect::<Vec<_>>().join(";")
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Boolean(value)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<Vec<String>> for Value {
    fn from(texts: Vec<String>) -> Value {
        Value::List(texts.into_iter().map(Value::Text).collect())
    }
}

impl From<&ManagedValue> for Value {
    fn from(value: &ManagedValue) -> Value {
        match value {
            ManagedValue::Boolean(value) => Value::Boolean(*value),
            ManagedValue::Integer(number) => Value::from(*number),
            ManagedValue::Text(text) => Value::Text(text.clone()),
            ManagedValue::List(texts) => Value::from(texts.clone()),
        }
    }
}
