//! How values are shown at the end of a pipeline.

use serde::{Serialize, Serializer};

use crate::host::Stream;
use crate::object::{Object, Value, View, list, table};
use crate::shell::Shell;

/// Shows the values: as JSON if the session wants it, otherwise as their views say.
pub(crate) fn show(shell: &mut Shell<'_>, values: &[Value]) {
    let lines = match shell.options.json {
        // Maps with texts as keys: nothing that JSON can't say.
        true => values.iter().filter_map(|value| serde_json::to_string(&Json(value)).ok()).collect(),
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

/// A value as JSON. Properties keep their order.
pub(crate) struct Json<'v>(pub(crate) &'v Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Boolean(value) => serializer.serialize_bool(*value),
            Value::Integer(number) => serializer.serialize_i64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Span(_) | Value::Block(_) => serializer.serialize_str(&self.0.text()),
            Value::List(items) => serializer.collect_seq(items.iter().map(Json)),
            Value::Object(object) => pairs(object.visible(), serializer),
            Value::Table(entries) => pairs(entries.iter().collect(), serializer),
        }
    }
}

fn pairs<S: Serializer>(pairs: Vec<&(String, Value)>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.into_iter().map(|(name, value)| (name, Json(value))))
}
