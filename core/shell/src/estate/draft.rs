//! The plan file being edited: what is not touched keeps its place, its spelling and its comments.

use carillon_qos::plan::management::Scopes;
use carillon_qos::plan::{ManagedKind, ManagedValue};
use carillon_qos::{PortRange, Role, TrafficClass};
use carillon_wire::ip::Dscp;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TableLike, Value, value};

use crate::error::{Error, Fault};

/// A scope of the plan file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Place {
    /// The file itself.
    Global,
    /// `[sites.NAME]`.
    Site(String),
    /// `[services.NAME]`.
    Service(String),
}

/// A plan file being edited.
#[derive(Clone)]
pub(crate) struct Draft {
    document: DocumentMut,
    source: String,
}

/// The keys of a range within a class.
const RANGE: [&str; 5] = ["ports", "start", "count", "end", "documented-end"];

impl Draft {
    pub(crate) fn new(toml: &str, source: &str) -> Result<Draft, Error> {
        let document = toml.parse().map_err(|error| {
            Error::new(Fault::InvalidOperation, format!("the plan cannot be edited: {error}"))
        })?;
        Ok(Draft { document, source: source.to_owned() })
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn toml(&self) -> String {
        self.document.to_string()
    }

    /// Switches the ranges of a scope on or off.
    pub(crate) fn set_enabled(&mut self, place: &Place, enabled: bool) {
        let table = self.table(&place.path());
        put(table, "enabled", enabled.into());
    }

    /// The ports of a class for a role.
    pub(crate) fn set_ports(&mut self, place: &Place, role: Role, class: TrafficClass, range: PortRange) {
        let source = self.source.clone();
        let table = self.class(place, role, class.name());
        RANGE.into_iter().for_each(|key| _ = table.remove(key));
        put(table, "start", i64::from(range.start()).into());
        put(table, "count", i64::from(range.count()).into());
        put(table, "source", source.into());
    }

    /// The one range of old clients.
    pub(crate) fn set_legacy(&mut self, place: &Place, role: Role, range: PortRange) {
        let table = self.table(&place.below(&["roles", role.name()]));
        put(table, "legacy-ports", counted(range));
    }

    /// The mark of a class for a role.
    pub(crate) fn set_mark(&mut self, place: &Place, role: Role, class: TrafficClass, mark: Dscp) {
        let source = self.source.clone();
        let table = self.class(place, role, class.name());
        put(table, "dscp", i64::from(mark.value()).into());
        put(table, "source", source.into());
    }

    /// The mark that a phone family has for audio.
    pub(crate) fn set_phone_mark(&mut self, family: &str, mark: Dscp) {
        let table = self.table(&Place::Global.below(&["phones", family]));
        put(table, "audio", i64::from(mark.value()).into());
    }

    /// The Edge's external relay ports.
    pub(crate) fn set_edge_ports(&mut self, range: PortRange) {
        let source = self.source.clone();
        let table = self.table(&Place::Global.below(&["edge"]));
        put(table, "ports", counted(range));
        put(table, "source", source.into());
    }

    /// A class of a role says nothing any more in this scope.
    pub(crate) fn forget(&mut self, place: &Place, keys: &[&str]) {
        let Some((last, path)) = keys.split_last() else { return };
        let path = place.below(path);
        if let Some(table) = self.existing(&path) {
            table.remove(last);
        }
        self.prune(&path, place.path().len());
    }

    /// The scope is in the file, whether it says something or not.
    pub(crate) fn ensure_scope(&mut self, place: &Place) {
        self.table(&place.path());
    }

    /// The object is in the file, whether it says something or not.
    pub(crate) fn ensure_object(&mut self, kind: &ManagedKind, identity: &str) {
        let path = self.object_path(kind, identity);
        self.table(&path);
    }

    /// A property of an object; nothing: as if it had never been set.
    pub(crate) fn set_managed(
        &mut self,
        kind: &ManagedKind,
        identity: &str,
        name: &str,
        to: Option<&ManagedValue>,
    ) {
        let path = self.object_path(kind, identity);
        match to {
            Some(to) => {
                let table = self.table(&path);
                put(table, name, managed(to));
            }
            None => {
                self.existing(&path).and_then(|table| table.remove(name));
                // What is there anyway needs no empty table to say so; a site's collection does.
                if identity == "global" || kind.scopes == Scopes::Services {
                    self.prune(&path, 0);
                }
            }
        }
    }

    /// Takes an object out.
    pub(crate) fn remove_object(&mut self, kind: &ManagedKind, identity: &str) {
        let mut path = self.object_path(kind, identity);
        let Some(last) = path.pop() else { return };
        if let Some(table) = self.existing(&path) {
            table.remove(&last);
        }
        self.prune(&path, 0);
    }

    /// The marking rules.
    pub(crate) fn rules(&mut self) -> Option<&mut ArrayOfTables> {
        let rules = self.document.entry("rules").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        rules.as_array_of_tables_mut()
    }

    fn object_path(&self, kind: &ManagedKind, identity: &str) -> Vec<String> {
        let known = self.document.get("management").and_then(|management| management.get(kind.name));
        let known = known.and_then(Item::as_table_like).and_then(|objects| {
            objects.iter().map(|(name, _)| name.to_owned()).find(|name| name.eq_ignore_ascii_case(identity))
        });
        vec!["management".to_owned(), kind.name.to_owned(), known.unwrap_or_else(|| identity.to_owned())]
    }

    /// The table of a class; a range that stood there without a table becomes its `ports`.
    fn class(&mut self, place: &Place, role: Role, class: &str) -> &mut dyn TableLike {
        let role = self.table(&place.below(&["roles", role.name()]));
        let stands_alone = role.get(class).filter(|item| !item.is_table_like()).cloned();
        if let Some(ports) = stands_alone {
            let mut table = toml_edit::InlineTable::new();
            if let Ok(ports) = ports.into_value() {
                table.insert("ports", ports);
            }
            put(role, class, Value::InlineTable(table));
        }
        let item = role.entry(class).or_insert_with(|| value(toml_edit::InlineTable::new()));
        table_of(item)
    }

    /// The table at this path, made where it is missing.
    fn table(&mut self, path: &[String]) -> &mut dyn TableLike {
        let mut table: &mut dyn TableLike = self.document.as_table_mut();
        for (depth, key) in path.iter().enumerate() {
            let last = depth + 1 == path.len();
            let item = table.entry(key).or_insert_with(|| {
                let mut new = Table::new();
                new.set_implicit(!last);
                Item::Table(new)
            });
            table = table_of(item);
        }
        table
    }

    fn existing(&mut self, path: &[String]) -> Option<&mut dyn TableLike> {
        let mut table: &mut dyn TableLike = self.document.as_table_mut();
        for key in path {
            table = table.get_mut(key)?.as_table_like_mut()?;
        }
        Some(table)
    }

    /// Takes out tables that say nothing, from this path up to one with so many keys.
    fn prune(&mut self, path: &[String], least: usize) {
        for length in (least + 1..=path.len()).rev() {
            let Some((last, above)) = path.get(..length).and_then(|path| path.split_last()) else { return };
            let Some(table) = self.existing(above) else { continue };
            let empty = table.get(last).and_then(Item::as_table_like).is_some_and(|table| table.is_empty());
            if empty {
                table.remove(last);
            }
        }
    }
}

impl Place {
    pub(super) fn path(&self) -> Vec<String> {
        match self {
            Place::Global => Vec::new(),
            Place::Site(name) => vec!["sites".to_owned(), name.clone()],
            Place::Service(name) => vec!["services".to_owned(), name.clone()],
        }
    }

    fn below(&self, keys: &[&str]) -> Vec<String> {
        self.path().into_iter().chain(keys.iter().map(|key| (*key).to_owned())).collect()
    }
}

/// Sets a value, and leaves what stands around the old one.
fn put(table: &mut dyn TableLike, key: &str, mut new: Value) {
    match table.get_mut(key) {
        Some(Item::Value(old)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        _ => _ = table.insert(key, value(new)),
    }
}

/// A table, whatever stood there before.
fn table_of(item: &mut Item) -> &mut dyn TableLike {
    if !item.is_table_like() {
        *item = Item::Table(Table::new());
    }
    match item {
        Item::Table(table) => table,
        Item::Value(Value::InlineTable(table)) => table,
        // Made a table two lines above.
        _ => unreachable!("an item that is like a table is a table"),
    }
}

fn counted(range: PortRange) -> Value {
    let mut table = toml_edit::InlineTable::new();
    table.insert("start", i64::from(range.start()).into());
    table.insert("count", i64::from(range.count()).into());
    Value::InlineTable(table)
}

fn managed(to: &ManagedValue) -> Value {
    match to {
        ManagedValue::Boolean(value) => (*value).into(),
        ManagedValue::Integer(number) => i64::try_from(*number).unwrap_or(i64::MAX).into(),
        ManagedValue::Text(text) => text.as_str().into(),
        ManagedValue::List(texts) => Value::Array(texts.iter().map(String::as_str).collect()),
    }
}
