//! Objects as files and texts of other kinds: what is shown, JSON, CSV, HTML.

use super::Call;
use super::builtin::wrong;
use super::columns::{columns, narrowed};
use crate::error::Error;
use crate::object::{Object, Value};
use crate::output;

pub(super) fn out_file(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let path = call.bound.text("FilePath").ok_or_else(|| wrong("the file is missing: Out-File FILE"))?;
    let text: String = output::lines(&input).iter().map(|line| format!("{line}\n")).collect();
    let append = call.bound.is_set("Append");
    call.shell.host.write(&path, &text, append)?;
    Ok(Vec::new())
}

pub(super) fn out_string(_: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    Ok(vec![output::lines(&input).join("\n").into()])
}

pub(super) fn to_json(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let whole = Value::of_items(input);
    let text = match call.bound.is_set("Compress") {
        true => serde_json::to_string(&output::Json(&whole)),
        false => serde_json::to_string_pretty(&output::Json(&whole)),
    };
    text.map(|text| vec![text.into()]).map_err(|error| wrong(error.to_string()))
}

pub(super) fn to_csv(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    Ok(csv(call, &input).into_iter().map(Value::from).collect())
}

pub(super) fn export_csv(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let path = call.bound.text("Path").unwrap_or_default();
    let text: String = csv(call, &input).iter().map(|line| format!("{line}\n")).collect();
    let append = call.bound.is_set("Append");
    call.shell.host.write(&path, &text, append)?;
    Ok(Vec::new())
}

/// Every field in quotes, as PowerShell writes them.
fn csv(call: &Call<'_, '_>, input: &[Value]) -> Vec<String> {
    let delimiter = call.bound.text("Delimiter").unwrap_or_else(|| ",".to_owned());
    let objects: Vec<&Object> =
        input.iter().filter_map(|v| if let Value::Object(o) = v { Some(o) } else { None }).collect();
    let Some(first) = objects.first() else { return Vec::new() };
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let names: Vec<&str> = first.properties.iter().map(|(name, _)| name.as_str()).collect();
    let line =
        |cells: Vec<String>| cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(&delimiter);
    let cell = |object: &Object, name: &str| object.get(name).map(Value::text).unwrap_or_default();
    let head = line(names.iter().map(|name| (*name).to_owned()).collect());
    let row = |object: &&Object| line(names.iter().map(|name| cell(object, name)).collect());
    std::iter::once(head).chain(objects.iter().map(row)).collect()
}

/// The first line names the properties, unless `-Header` does. Blanks in front of a field are left out, as in PowerShell.
pub(super) fn import_csv(call: &mut Call<'_, '_>, _: Vec<Value>) -> Result<Vec<Value>, Error> {
    let text = call.shell.host.read(&call.bound.text("Path").unwrap_or_default())?;
    let delimiter = call.bound.text("Delimiter").and_then(|said| said.chars().next()).unwrap_or(',');
    let mut records = records(&text, delimiter).into_iter();
    let header = match call.bound.texts("Header") {
        names if names.is_empty() => records.next().unwrap_or_default(),
        names => names,
    };
    let row = |fields: Vec<String>| {
        let mut fields = fields.into_iter();
        let properties =
            header.iter().map(|name| (name.clone(), fields.next().map_or(Value::Null, Value::from)));
        Value::Object(Object { properties: properties.collect(), ..Object::new("") })
    };
    Ok(records.map(row).collect())
}

/// The fields of each line that has any. A quote within quotes is written twice.
fn records(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let (mut records, mut fields, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if quoted || field.is_empty() => quoted = !quoted,
            c if quoted => field.push(c),
            '\r' => {}
            '\n' => {
                fields.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut fields));
            }
            c if c == delimiter => fields.push(std::mem::take(&mut field)),
            ' ' if field.is_empty() => {}
            c => field.push(c),
        }
    }
    fields.push(field);
    records.push(fields);
    // A first line that says `#TYPE` is about the objects that were exported.
    let is_row =
        |fields: &Vec<String>| fields.iter().any(|field| !field.is_empty() && !field.starts_with("#TYPE"));
    records.retain(is_row);
    records
}

pub(super) fn lines(call: &mut Call<'_, '_>, _: Vec<Value>) -> Result<Vec<Value>, Error> {
    let text = call.shell.host.read(&call.bound.text("Path").unwrap_or_default())?;
    Ok(text.lines().map(Value::from).collect())
}

pub(super) fn tee(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    match (call.bound.text("FilePath"), call.bound.text("Variable")) {
        (Some(_), _) => _ = out_file(call, input.clone())?,
        (None, Some(name)) => {
            _ = call.shell.variables.insert(name.to_ascii_lowercase(), Value::of_items(input.clone()));
        }
        (None, None) => return Err(wrong("name a file, or -Variable NAME")),
    }
    Ok(input)
}

pub(super) fn to_html(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let columns = columns(call, "Property")?;
    let escaped = |text: &str| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    let mut lines = vec!["<table>".to_owned()];
    for (place, item) in input.iter().enumerate() {
        let Value::Object(object) = narrowed(call.shell, item, &columns, None)? else { continue };
        let row = |tag: &str, cells: Vec<String>| {
            let cells: String =
                cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect();
            format!("<tr>{cells}</tr>")
        };
        if place == 0 {
            lines.push(row("th", object.properties.iter().map(|(name, _)| name.clone()).collect()));
        }
        lines.push(row("td", object.properties.iter().map(|(_, value)| value.text()).collect()));
    }
    lines.push("</table>".to_owned());
    Ok(lines.into_iter().map(Value::from).collect())
}
