//! Which properties of objects are wanted: names, wildcards, and properties that are reckoned, `@{n='End';e={$_.Start + 39}}`.

use super::Call;
use super::builtin::wrong;
use crate::error::{Error, Fault};
use crate::language::ast::Script;
use crate::language::print;
use crate::object::{Object, Value, View, Wildcard, table};
use crate::shell::Shell;

/// A property that is wanted.
pub(super) struct Column {
    /// Its name, or a wildcard.
    name: String,
    of: Of,
    /// To be sorted the other way round than the others.
    pub(super) descending: Option<bool>,
}

enum Of {
    /// The properties that the name fits.
    Name,
    /// One property, under another name.
    Property(String),
    /// What a block makes of each object.
    Block(Script),
}

/// The columns that a parameter names.
pub(super) fn columns(call: &mut Call<'_, '_>, parameter: &str) -> Result<Vec<Column>, Error> {
    let said = call.bound.get(parameter).cloned().unwrap_or_default().into_items();
    said.into_iter().map(|value| column(call, value)).collect()
}

fn column(call: &mut Call<'_, '_>, value: Value) -> Result<Column, Error> {
    let block = |script: Script| (print(&script).trim_end().to_owned(), Of::Block(script));
    let (name, of, descending) = match value {
        Value::Block(script) => {
            let (name, of) = block(script);
            (name, of, None)
        }
        Value::Table(entries) => return made(call, entries),
        value => (value.text(), Of::Name, None),
    };
    Ok(Column { name, of, descending })
}

/// `@{Name=…; Expression={…}}`; keys may be abbreviated, `Label` is `Name`.
fn made(call: &mut Call<'_, '_>, entries: Vec<(String, Value)>) -> Result<Column, Error> {
    let (mut name, mut of, mut descending) = (None, None, None);
    for (key, value) in entries {
        let lower = key.to_ascii_lowercase();
        let is = |full: &str| !lower.is_empty() && full.starts_with(&lower);
        match value {
            value if is("name") || is("label") => name = Some(value.text()),
            Value::Block(script) if is("expression") => of = Some(Of::Block(script)),
            value if is("expression") => of = Some(Of::Property(value.text())),
            value if is("descending") => descending = Some(value.is_true()),
            value if is("ascending") => descending = Some(!value.is_true()),
            _ if is("width") || is("alignment") || is("formatstring") => {
                call.shell.warn(format!(
                    "{key} in `@{{ }}` has no effect: columns are as wide as what is in them."
                ));
            }
            _ => {
                let text = format!("The key '{key}' is not valid here; Name (or Label) and Expression are.");
                return Err(Error::new(Fault::ParameterArgumentValidationError, text));
            }
        }
    }
    let Some(of) = of else {
        return Err(wrong("@{ } names no Expression: @{Name='x'; Expression={$_.Property}}"));
    };
    let shown = match &of {
        Of::Block(script) => print(script).trim_end().to_owned(),
        Of::Property(name) => name.clone(),
        Of::Name => String::new(),
    };
    Ok(Column { name: name.unwrap_or(shown), of, descending })
}

impl Column {
    /// The value in one object.
    pub(super) fn value(&self, shell: &mut Shell<'_>, item: &Value) -> Result<Value, Error> {
        let property = |name: &str| match item {
            Value::Object(object) => object.get(name).cloned().unwrap_or_default(),
            Value::Table(entries) => {
                let found = entries.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone()).unwrap_or_default()
            }
            Value::Text(text) if name.eq_ignore_ascii_case("length") => {
                Value::from(text.chars().count() as u64)
            }
            _ => Value::Null,
        };
        match &self.of {
            Of::Name => Ok(property(&self.name)),
            Of::Property(name) => Ok(property(name)),
            Of::Block(script) => Ok(Value::of_items(shell.with_item(script, item)?)),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// The object with these properties only. Few print as a table, as PowerShell has it.
pub(super) fn narrowed(
    shell: &mut Shell<'_>,
    item: &Value,
    columns: &[Column],
    view: Option<View>,
) -> Result<Value, Error> {
    let object = match item {
        Value::Object(object) => object.clone(),
        Value::Table(entries) => Object { properties: entries.clone(), ..Object::new("") },
        other if columns.iter().all(|column| matches!(column.of, Of::Name)) => return Ok(other.clone()),
        _ => Object::new(""),
    };
    let mut properties: Vec<(String, Value)> = Vec::new();
    if columns.is_empty() {
        properties = object.visible().into_iter().cloned().collect();
    }
    for column in columns {
        let chosen = match column.of {
            Of::Name => object.select(&column.name),
            _ => vec![(column.name.clone(), column.value(shell, item)?)],
        };
        for (name, value) in chosen {
            if properties.iter().all(|(known, _)| !known.eq_ignore_ascii_case(&name)) {
                properties.push((name, value));
            }
        }
    }
    let few = if properties.len() > 4 { View::List } else { View::Table };
    Ok(Value::Object(Object { kind: object.kind, properties, view: view.unwrap_or(few), shown: None }))
}

pub(super) fn select(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let mut items = input;
    if let Some(skip) = call.bound.count("Skip") {
        items.drain(..skip.min(items.len()));
    }
    match (call.bound.count("First"), call.bound.count("Last")) {
        (Some(first), _) => items.truncate(first),
        (None, Some(last)) => _ = items.drain(..items.len().saturating_sub(last)),
        _ => {}
    }
    if let Some(name) = call.bound.text("ExpandProperty") {
        return expand(&items, &name);
    }
    let columns = columns(call, "Property")?;
    let mut chosen = match columns.is_empty() && call.bound.get("ExcludeProperty").is_none() {
        true => items,
        false => all(call, &items, &columns, None)?,
    };
    let excluded: Vec<Wildcard> =
        call.bound.texts("ExcludeProperty").iter().map(|name| Wildcard::new(name)).collect();
    for item in &mut chosen {
        if let Value::Object(object) = item {
            object.properties.retain(|(name, _)| !excluded.iter().any(|pattern| pattern.matches(name)));
        }
    }
    if call.bound.is_set("Unique") {
        let mut seen: Vec<Value> = Vec::new();
        chosen.retain(|item| {
            let new = !seen.contains(item);
            seen.extend(new.then(|| item.clone()));
            new
        });
    }
    Ok(chosen)
}

fn all(
    call: &mut Call<'_, '_>,
    items: &[Value],
    columns: &[Column],
    view: Option<View>,
) -> Result<Vec<Value>, Error> {
    items.iter().map(|item| narrowed(call.shell, item, columns, view)).collect()
}

fn expand(items: &[Value], name: &str) -> Result<Vec<Value>, Error> {
    let mut values = Vec::new();
    for item in items {
        let Value::Object(object) = item else { continue };
        let Some(value) = object.get(name) else {
            let names = object.properties.iter().map(|(name, _)| name.as_str());
            let hint = match carillon_qos::plan::nearest(name, names) {
                Some(near) => format!(" Did you mean {near}?"),
                None => String::new(),
            };
            return Err(wrong(format!("Property \"{name}\" cannot be found.{hint}")));
        };
        values.extend(value.clone().into_items());
    }
    Ok(values)
}

pub(super) fn format_list(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    formatted(call, input, View::List)
}

pub(super) fn format_table(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let rows = formatted(call, input, View::Table)?;
    if !call.bound.is_set("HideTableHeaders") {
        return Ok(rows);
    }
    let objects: Vec<&Object> =
        rows.iter().filter_map(|row| if let Value::Object(row) = row { Some(row) } else { None }).collect();
    Ok(table(&objects).into_iter().skip(2).map(Value::from).collect())
}

/// With `-GroupBy` a line in front of each group says what its objects have in common.
fn formatted(call: &mut Call<'_, '_>, input: Vec<Value>, view: View) -> Result<Vec<Value>, Error> {
    let (columns, groups) = (columns(call, "Property")?, columns(call, "GroupBy")?);
    let Some(group) = groups.first() else { return all(call, &input, &columns, Some(view)) };
    let (mut lines, mut before): (Vec<Value>, Option<Value>) = (Vec::new(), None);
    for item in &input {
        let key = group.value(call.shell, item)?;
        if before.as_ref() != Some(&key) {
            lines.push(format!("   {}: {}", group.name(), key.text()).into());
            before = Some(key);
        }
        lines.push(narrowed(call.shell, item, &columns, Some(view))?);
    }
    Ok(lines)
}
