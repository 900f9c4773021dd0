//! What belongs to the shell rather than to the estate: choosing, sorting, counting and showing objects.

use super::bind::word;
use super::{Call, Cmdlet, Parameter, Run, Takes, export};
use crate::error::{Error, Fault};
use crate::language::ast::{Binary, Element, Expression, Script};
use crate::object::{Object, Value, View, compare, equal};
use crate::shell::Shell;

const PROPERTY: Parameter = Parameter::new("Property", Takes::Texts).at(0);

/// Name, aliases, what it does, parameters, how it runs.
type Row = (&'static str, &'static [&'static str], &'static str, &'static [Parameter], Run);

const APPEND: Parameter = Parameter::switch("Append");
const NO_TYPES: Parameter = Parameter::switch("NoTypeInformation");

const TABLE: &[Row] = &[
    (
        "Where-Object",
        &["where", "?"],
        "Passes on objects for which a condition holds.",
        &[],
        Run::Raw(filter),
    ),
    ("ForEach-Object", &["foreach", "%"], "Does something with each object.", &[], Run::Raw(for_each)),
    (
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
    (
        "Sort-Object",
        &["sort"],
        "Sorts objects by properties.",
        &[PROPERTY, Parameter::switch("Descending"), Parameter::switch("Unique")],
        Run::All(sort),
    ),
    ("Measure-Object", &["measure"], "Counts objects.", &[PROPERTY], Run::All(measure)),
    ("Group-Object", &["group"], "Counts objects by a property.", &[PROPERTY], Run::All(group)),
    ("Format-List", &["fl"], "Shows a line for each property.", &[PROPERTY], Run::All(format_list)),
    (
        "Format-Table",
        &["ft"],
        "Shows a line for each object.",
        &[PROPERTY, Parameter::switch("AutoSize"), Parameter::switch("Wrap")],
        Run::All(format_table),
    ),
    (
        "Out-File",
        &[],
        "Writes what is shown into a file.",
        &[Parameter::text("FilePath").alias(&["Path"]).at(0), APPEND, Parameter::text("Encoding")],
        Run::All(export::out_file),
    ),
    ("Out-Null", &[], "Shows nothing.", &[], Run::All(nothing)),
    ("Out-Host", &["oh", "more"], "Shows.", &[Parameter::switch("Paging")], Run::All(pass)),
    ("Out-String", &[], "The text that would be shown.", &[], Run::All(export::out_string)),
    (
        "ConvertTo-Json",
        &[],
        "Objects as JSON.",
        &[Parameter::text("Depth"), Parameter::switch("Compress")],
        Run::All(export::to_json),
    ),
    ("ConvertTo-Csv", &[], "Objects as CSV.", &[NO_TYPES], Run::All(export::to_csv)),
    (
        "Export-Csv",
        &["epcsv"],
        "Writes objects into a CSV file.",
        &[Parameter::text("Path").at(0).required(), APPEND, NO_TYPES, Parameter::text("Encoding")],
        Run::All(export::export_csv),
    ),
    (
        "ConvertTo-Html",
        &[],
        "Objects as an HTML table.",
        &[PROPERTY, Parameter::switch("Fragment")],
        Run::All(export::to_html),
    ),
    (
        "Write-Output",
        &["echo", "write"],
        "Passes on.",
        &[Parameter::new("InputObject", Takes::Any).at(0)],
        Run::All(write_output),
    ),
    (
        "Write-Host",
        &[],
        "Shows a text.",
        &[Parameter::new("Object", Takes::Any).at(0)],
        Run::All(write_output),
    ),
    (
        "Import-Module",
        &["ipmo"],
        "Everything is there already.",
        &[Parameter::text("Name").at(0)],
        Run::All(nothing),
    ),
    ("Exit", &["quit", "logout"], "Ends the session.", &[], Run::All(exit)),
];

/// The cmdlets of the shell itself.
pub(super) fn cmdlets() -> Vec<Cmdlet> {
    let cmdlet = |(name, aliases, about, parameters, run): &Row| Cmdlet {
        name: (*name).to_owned(),
        aliases,
        about: (*about).to_owned(),
        parameters: parameters.to_vec(),
        kind: None,
        run: *run,
    };
    TABLE.iter().map(cmdlet).collect()
}

fn nothing(_: &mut Call<'_, '_>, _: Vec<Value>) -> Result<Vec<Value>, Error> {
    Ok(Vec::new())
}

fn pass(_: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    Ok(input)
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

pub(super) fn wrong(text: impl Into<String>) -> Error {
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
pub(super) fn narrowed(item: &Value, names: &[String], view: Option<View>) -> Value {
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

fn write_output(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let said =
        call.bound.get("InputObject").or_else(|| call.bound.get("Object")).cloned().unwrap_or_default();
    Ok(input.into_iter().chain(said.into_items()).collect())
}
