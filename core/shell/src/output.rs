//! How values are shown at the end of a pipeline.

use carillon_qos::plan::TimeSpan;
use serde_json::json;

use crate::host::Stream;
use crate::object::{Object, Value, View, list, table};
use crate::shell::Shell;

/// Shows the values: as JSON if the session wants it, otherwise as their views say.
pub(crate) fn show(shell: &mut Shell<'_>, values: &[Value]) {
    let lines = match shell.options.json {
        true => values.iter().map(|value| as_json(value).to_string()).collect(),
        false => lines(values),
    };
    lines.iter().for_each(|line| shell.host.show(Stream::Output, line));
}

/// The values as lines.
pub(crate) fn lines(values: &[Value]) -> Vec<String> {
    let mut lines = Vec::new();
    for group in values.chunk_by(|a, b| view(a) == Some(View::Table) && view(b) == view(a)) {
        let objects: Vec<&Object> = group.iter().filter_map(object).collect();
        let is_object = !objects.is_empty();
        if is_object && !lines.is_empty() {
            lines.push(String::new());
        }
        match (view(group.first().unwrap_or(&Value::Null)), group) {
            (Some(View::Table), _) => lines.extend(table(&objects)),
            (Some(View::List), _) => objects.into_iter().for_each(|object| lines.extend(list(object))),
            (None, values) => values.iter().for_each(|value| lines.extend(plain(value))),
        }
    }
    lines
}

fn object(value: &Value) -> Option<&Object> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

fn view(value: &Value) -> Option<View> {
    object(value).map(|object| object.view)
}

fn plain(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::List(items) => lines(items),
        Value::Table(entries) => {
            let object = Object { properties: entries.clone(), ..Object::new("") };
            list(&object)
        }
        value => value.text().lines().map(str::to_owned).collect(),
    }
}

/// A value as JSON.
pub(crate) fn as_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Boolean(value) => json!(value),
        Value::Integer(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Span(TimeSpan(_)) | Value::Block(_) => json!(value.text()),
        Value::List(items) => items.iter().map(as_json).collect(),
        Value::Object(object) => pairs(&object.properties),
        Value::Table(entries) => pairs(entries),
    }
}

fn pairs(pairs: &[(String, Value)]) -> serde_json::Value {
    pairs.iter().map(|(name, value)| (name.clone(), as_json(value))).collect::<serde_json::Map<_, _>>().into()
}
