//! What belongs to the shell rather than to the estate: choosing, sorting, counting and showing objects.

use super::bind::word;
use super::{Call, Cmdlet, Parameter, Run, Takes};
use crate::error::{Error, Fault};
use crate::language::ast::{Binary, Element, Expression, Script};
use crate::object::{Object, Value, View, compare, equal};
use crate::output;
use crate::shell::Shell;

const PROPERTY: Parameter = Parameter::new("Property", Takes::Texts).at(0);

/// The cmdlets of the shell itself.
pub(super) fn cmdlets() -> Vec<Cmdlet> {
    let make = |name: &str, aliases, about: &str, parameters: &[Parameter], run| Cmdlet {
        name: name.to_owned(),
        aliases,
        about: about.to_owned(),
        parameters: parameters.to_vec(),
        kind: None,
        run,
    };
    let path = Parameter::text("FilePath").alias(&["Path"]).at(0);
    let append = Parameter::switch("Append");
    vec![
        make(
            "Where-Object",
            &["where", "?"],
            "Passes on objects for which a condition holds.",
            &[],
            Run::Raw(filter),
        ),
        make(
            "ForEach-Object",
            &["foreach", "%"],
            "Does something with each object.",
            &[],
            Run::Raw(for_each),
        ),
        make(
            "Select-Object",
            &["select"],
            "Passes on some properties, or some objects.",
            &[
                PROPERTY,
                Parameter::text("ExpandProperty").alias(&["expand"]),
                count("First"),
                count("Last"),
                count("Skip"),
                Parameter::switch("Unique"),
            ],
            Run::All(select),
        ),
        make(
            "Sort-Object",
            &["sort"],
            "Sorts objects by properties.",
            &[PROPERTY, Parameter::switch("Descending"), Parameter::switch("Unique")],
            Run::All(sort),
        ),
        make("Measure-Object", &["measure"], "Counts objects.", &[PROPERTY], Run::All(measure)),
        make("Group-Object", &["group"], "Counts objects by a property.", &[PROPERTY], Run::All(group)),
        make("Format-List", &["fl"], "Shows a line for each property.", &[PROPERTY], Run::All(format_list)),
        make(
            "Format-Table",
            &["ft"],
            "Shows a line for each object.",
            &[
                PROPERTY,
                Parameter::switch("AutoSize"),
                Parameter::switch("Wrap"),
                Parameter::switch("HideTableHeaders"),
            ],
            Run::All(format_table),
        ),
        make(
            "Out-File",
            &[],
            "Writes what is shown into a file.",
            &[
                path,
                append,
                Parameter::text("Encoding"),
                Parameter::text("Width"),
                Parameter::switch("NoClobber"),
            ],
            Run::All(out_file),
        ),
        make("Out-Null", &[], "Shows nothing.", &[], Run::All(|_, _| Ok(Vec::new()))),
        make(
            "Out-Host",
            &["oh", "more"],
            "Shows.",
            &[Parameter::switch("Paging")],
            Run::All(|_, input| Ok(input)),
        ),
        make(
            "Out-String",
            &[],
            "The text that would be shown.",
            &[Parameter::text("Width")],
            Run::All(out_string),
        ),
        make(
            "ConvertTo-Json",
            &[],
            "Objects as JSON.",
            &[Parameter::text("Depth"), Parameter::switch("Compress")],
            Run::All(to_json),
        ),
        make(
            "ConvertTo-Csv",
            &[],
            "Objects as CSV.",
            &[Parameter::switch("NoTypeInformation")],
            Run::All(to_csv),
        ),
        make(
            "Export-Csv",
            &["epcsv"],
            "Writes objects into a CSV file.",
            &[
                Parameter::text("Path").at(0).required(),
                append,
                Parameter::switch("NoTypeInformation"),
                Parameter::text("Encoding"),
            ],
            Run::All(export_csv),
        ),
        make(
            "ConvertTo-Html",
            &[],
            "Objects as an HTML table.",
            &[PROPERTY, Parameter::switch("Fragment")],
            Run::All(to_html),
        ),
        make(
            "Write-Output",
            &["echo", "write"],
            "Passes on.",
            &[Parameter::new("InputObject", Takes::Any).at(0)],
            Run::All(write_output),
        ),
        make(
            "Write-Host",
            &[],
            "Shows a text.",
            &[Parameter::new("Object", Takes::Any).at(0)],
            Run::All(write_output),
        ),
        make(
            "Import-Module",
            &["ipmo"],
            "Everything is there already.",
            &[Parameter::text("Name").at(0)],
            Run::All(|_, _| Ok(Vec::new())),
        ),
        make("Exit", &["quit", "logout"], "Ends the session.", &[], Run::All(exit)),
    ]
}

const fn count(name: &'static str) -> Parameter {
    Parameter::new(
        name,
        Takes::Values(carillon_qos::plan::management::Values::Integer { least: 0, most: 1 << 31 }),
    )
}

fn exit(call: &mut Call<'_, '_>, _: Vec<Value>) -> Result<Vec<Value>, Error> {
    call.shell.exiting = true;
    Ok(Vec::new())
}

fn wrong(text: impl Into<String>) -> Error {
    Error::new(Fault::ParameterArgumentValidationError, text)
}

/// `where { $_.X -eq 1 }` and `where X -eq 1`.
fn filter(shell: &mut Shell<'_>, elements: &[Element], input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let condition = condition(shell, elements)?;
    let mut passed = Vec::new();
    for item in input {
        if Value::of_items(shell.with_item(&condition, &item)?).is_true() {
            passed.push(item);
        }
    }
    Ok(passed)
}

fn condition(shell: &mut Shell<'_>, elements: &[Element]) -> Result<Script, Error> {
    use crate::language::ast::{Pipeline, Stage, Statement};
    let this =
        |name: &str| Expression::Member(Box::new(Expression::Variable("_".to_owned())), name.to_owned());
    let one =
        |value| vec![Statement::Pipeline(Pipeline { stages: vec![Stage::Value(value)], redirect: None })];
    match elements {
        [Element::Argument(Expression::Block(script))] => Ok(script.clone()),
        [Element::Parameter { .. }, Element::Argument(Expression::Block(script))] => Ok(script.clone()),
        [Element::Argument(Expression::Variable(name))] => {
            match shell.value(&Expression::Variable(name.clone()))? {
                Value::Block(script) => Ok(script),
                _ => Err(wrong("Where-Object : write a condition in braces: { $_.Name -eq value }")),
            }
        }
        [property] => match word(property) {
            Some(name) => Ok(one(this(name))),
            None => Err(wrong("Where-Object : write a condition in braces: { $_.Name -eq value }")),
        },
        [property, Element::Parameter { name, value: None, .. }, Element::Argument(right)] => {
            match (word(property), Binary::of_word(name)) {
                (Some(property), Some((operator, _))) => {
                    Ok(one(Expression::Binary(operator, Box::new(this(property)), Box::new(right.clone()))))
                }
                _ => Err(wrong(format!("Where-Object : -{name} compares nothing"))),
            }
        }
        _ => Err(wrong("Where-Object : write a condition in braces: { $_.Name -eq value }")),
    }
}

fn for_each(shell: &mut Shell<'_>, elements: &[Element], input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let mut blocks: Vec<Script> = Vec::new();
    for element in elements {
        match element {
            Element::Argument(Expression::Block(script)) => blocks.push(script.clone()),
            Element::Argument(value) => match (shell.value(value)?, word(element)) {
                (Value::Block(script), _) => blocks.push(script),
                (_, Some(name)) => {
                    let name = name.to_owned();
                    let of_item = |item: &Value| match item {
                        Value::Object(object) => object.get(&name).cloned().unwrap_or_default().into_items(),
                        _ => Vec::new(),
                    };
                    return Ok(input.iter().flat_map(of_item).collect());
                }
                _ => return Err(wrong("ForEach-Object : write what is to be done in braces: { … $_ … }")),
            },
            Element::Parameter { .. } => {}
        }
    }
    let [block] = blocks.as_slice() else {
        return Err(wrong("ForEach-Object : write what is to be done in braces: { … $_ … }"));
    };
    let mut values = Vec::new();
    for item in input {
        match shell.with_item(block, &item) {
            Ok(found) => values.extend(found),
            Err(error) => shell.tell(&error),
        }
    }
    Ok(values)
}

fn number(call: &Call<'_, '_>, name: &str) -> Option<usize> {
    match call.bound.get(name) {
        Some(Value::Integer(number)) => usize::try_from(*number).ok(),
        _ => None,
    }
}

fn select(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let mut items = input;
    if let Some(skip) = number(call, "Skip") {
        items.drain(..skip.min(items.len()));
    }
    if let Some(first) = number(call, "First") {
        items.truncate(first);
    }
    if let Some(last) = number(call, "Last") {
        items.drain(..items.len().saturating_sub(last));
    }
    if let Some(name) = call.bound.text("ExpandProperty") {
        return expand(&items, &name);
    }
    let names = call.bound.texts("Property");
    let mut chosen: Vec<Value> = match names.is_empty() {
        true => items,
        false => items.iter().map(|item| narrowed(item, &names, None)).collect(),
    };
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

/// The object with these properties only. Few print as a table, as PowerShell has it.
fn narrowed(item: &Value, names: &[String], view: Option<View>) -> Value {
    let Value::Object(object) = item else { return item.clone() };
    let properties = match names.is_empty() {
        true => object.visible().to_vec(),
        false => object.select(names),
    };
    let few = if properties.len() > 4 { View::List } else { View::Table };
    let kind = object.kind.clone();
    Value::Object(Object { kind, properties, view: view.unwrap_or(few), shown: None })
}

fn format_list(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let names = call.bound.texts("Property");
    Ok(input.iter().map(|item| narrowed(item, &names, Some(View::List))).collect())
}

fn format_table(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let names = call.bound.texts("Property");
    Ok(input.iter().map(|item| narrowed(item, &names, Some(View::Table))).collect())
}

fn sort(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let names = call.bound.texts("Property");
    let key = |item: &Value, name: &str| match item {
        Value::Object(object) => object.get(name).cloned().unwrap_or_default(),
        _ => Value::Null,
    };
    let order = |a: &Value, b: &Value| {
        let by = |a: &Value, b: &Value| compare(a, b).unwrap_or(std::cmp::Ordering::Equal);
        match names.is_empty() {
            true => by(&a.text().into(), &b.text().into()),
            false => names
                .iter()
                .map(|name| by(&key(a, name), &key(b, name)))
                .find(|o| o.is_ne())
                .unwrap_or(by(a, a)),
        }
    };
    let mut items = input;
    items.sort_by(order);
    if call.bound.is_set("Unique") {
        items.dedup_by(|a, b| order(a, b).is_eq());
    }
    if call.bound.is_set("Descending") {
        items.reverse();
    }
    Ok(items)
}

fn measure(_: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    Ok(vec![Value::Object(Object::new("").with("Count", input.len() as u64))])
}

fn group(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let names = call.bound.texts("Property");
    let mut groups: Vec<(Value, u64)> = Vec::new();
    for item in input {
        let key = match (&item, names.first()) {
            (Value::Object(object), Some(name)) => object.get(name).cloned().unwrap_or_default(),
            _ => item,
        };
        match groups.iter_mut().find(|(known, _)| equal(known, &key)) {
            Some((_, count)) => *count += 1,
            None => groups.push((key, 1)),
        }
    }
    let row = |(key, count): (Value, u64)| {
        Value::Object(Object {
            view: View::Table,
            ..Object::new("").with("Count", count).with("Name", key.text())
        })
    };
    Ok(groups.into_iter().map(row).collect())
}

fn out_file(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let path = call.bound.text("FilePath").ok_or_else(|| wrong("the file is missing: Out-File FILE"))?;
    let text: String = output::lines(&input).iter().map(|line| format!("{line}\n")).collect();
    let append = call.bound.is_set("Append");
    call.shell.host.write(&path, &text, append)?;
    Ok(Vec::new())
}

fn out_string(_: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    Ok(vec![output::lines(&input).join("\n").into()])
}

fn to_json(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let whole = Value::of_items(input);
    let text = match call.bound.is_set("Compress") {
        true => serde_json::to_string(&output::Json(&whole)),
        false => serde_json::to_string_pretty(&output::Json(&whole)),
    };
    text.map(|text| vec![text.into()]).map_err(|error| wrong(error.to_string()))
}

fn to_csv(_: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    Ok(csv(&input).into_iter().map(Value::from).collect())
}

fn export_csv(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let path = call.bound.text("Path").unwrap_or_default();
    let text: String = csv(&input).iter().map(|line| format!("{line}\n")).collect();
    let append = call.bound.is_set("Append");
    call.shell.host.write(&path, &text, append)?;
    Ok(Vec::new())
}

/// Every field in quotes, as PowerShell writes them.
fn csv(input: &[Value]) -> Vec<String> {
    let objects: Vec<&Object> =
        input.iter().filter_map(|v| if let Value::Object(o) = v { Some(o) } else { None }).collect();
    let Some(first) = objects.first() else { return Vec::new() };
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let names: Vec<&str> = first.properties.iter().map(|(name, _)| name.as_str()).collect();
    let line = |cells: Vec<String>| cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",");
    let cell = |object: &Object, name: &str| object.get(name).map(Value::text).unwrap_or_default();
    let head = line(names.iter().map(|name| (*name).to_owned()).collect());
    let row = |object: &&Object| line(names.iter().map(|name| cell(object, name)).collect());
    std::iter::once(head).chain(objects.iter().map(row)).collect()
}

fn to_html(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let names = call.bound.texts("Property");
    let escaped = |text: &str| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    let mut lines = vec!["<table>".to_owned()];
    for (place, item) in input.iter().enumerate() {
        let Value::Object(object) = narrowed(item, &names, None) else { continue };
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

fn write_output(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let said =
        call.bound.get("InputObject").or_else(|| call.bound.get("Object")).cloned().unwrap_or_default();
    Ok(input.into_iter().chain(said.into_items()).collect())
}
