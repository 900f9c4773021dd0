//! What belongs to the shell rather than to the estate: choosing, sorting, counting and showing objects.

use super::bind::word;
use super::{Call, Cmdlet, Parameter, Run, Takes, columns, export, order};
use crate::error::{Error, Fault};
use crate::language::ast::{Binary, Element, Expression, Script};
use crate::object::Value;
use crate::shell::Shell;

const PROPERTY: Parameter = Parameter::new("Property", Takes::Any).at(0);
const GROUP_BY: Parameter = Parameter::new("GroupBy", Takes::Any);

/// Name, aliases, what it does, parameters, how it runs.
type Row = (&'static str, &'static [&'static str], &'static str, &'static [Parameter], Run);

const MESSAGE: Parameter = Parameter::text("Message").at(0);
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
            Parameter::new("ExcludeProperty", Takes::Texts),
            Parameter::switch("Unique"),
        ],
        Run::All(columns::select),
    ),
    (
        "Sort-Object",
        &["sort"],
        "Sorts objects by properties.",
        &[PROPERTY, Parameter::switch("Descending"), Parameter::switch("Unique")],
        Run::All(order::sort),
    ),
    (
        "Measure-Object",
        &["measure"],
        "Counts objects, and sums a property up.",
        &[
            PROPERTY,
            Parameter::switch("Sum"),
            Parameter::switch("Average"),
            Parameter::switch("Maximum"),
            Parameter::switch("Minimum"),
        ],
        Run::All(order::measure),
    ),
    (
        "Group-Object",
        &["group"],
        "Counts objects by a property.",
        &[PROPERTY, Parameter::switch("NoElement")],
        Run::All(order::group),
    ),
    (
        "Format-List",
        &["fl"],
        "Shows a line for each property.",
        &[PROPERTY, GROUP_BY],
        Run::All(columns::format_list),
    ),
    (
        "Format-Table",
        &["ft"],
        "Shows a line for each object.",
        &[
            PROPERTY,
            GROUP_BY,
            Parameter::switch("AutoSize"),
            Parameter::switch("Wrap"),
            Parameter::switch("HideTableHeaders"),
        ],
        Run::All(columns::format_table),
    ),
    (
        "Out-File",
        &[],
        "Writes what is shown into a file.",
        &[
            Parameter::text("FilePath").alias(&["Path"]).at(0),
            APPEND,
            count("Width"),
            Parameter::text("Encoding"),
        ],
        Run::All(export::out_file),
    ),
    (
        "Tee-Object",
        &["tee"],
        "Writes what is shown into a file or a variable, and passes it on.",
        &[Parameter::text("FilePath").at(0), Parameter::text("Variable"), APPEND],
        Run::All(export::tee),
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
    (
        "ConvertTo-Csv",
        &[],
        "Objects as CSV.",
        &[Parameter::text("Delimiter"), NO_TYPES],
        Run::All(export::to_csv),
    ),
    (
        "Export-Csv",
        &["epcsv"],
        "Writes objects into a CSV file.",
        &[
            Parameter::text("Path").at(0).required(),
            Parameter::text("Delimiter").at(1),
            APPEND,
            NO_TYPES,
            Parameter::text("Encoding"),
        ],
        Run::All(export::export_csv),
    ),
    (
        "Import-Csv",
        &["ipcsv"],
        "Reads objects from a CSV file.",
        &[
            Parameter::text("Path").at(0).required(),
            Parameter::text("Delimiter").at(1),
            Parameter::new("Header", Takes::Texts),
            Parameter::text("Encoding"),
        ],
        Run::All(export::import_csv),
    ),
    (
        "Get-Content",
        &["gc", "cat", "type"],
        "The lines of a file.",
        &[Parameter::text("Path").at(0).required()],
        Run::All(export::lines),
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
        &[
            Parameter::new("Object", Takes::Any).at(0),
            Parameter::text("ForegroundColor"),
            Parameter::text("BackgroundColor"),
        ],
        Run::All(write_output),
    ),
    ("Write-Warning", &[], "Shows a warning.", &[MESSAGE], Run::All(write_warning)),
    ("Write-Error", &[], "Tells an error.", &[MESSAGE], Run::All(write_error)),
    ("Throw", &[], "Tells an error and ends the script.", &[MESSAGE], Run::All(throw)),
    ("Write-Verbose", &[], "Shows nothing.", &[MESSAGE], Run::All(nothing)),
    ("Write-Debug", &[], "Shows nothing.", &[MESSAGE], Run::All(nothing)),
    (
        "Set-StrictMode",
        &[],
        "Changes nothing.",
        &[Parameter::text("Version"), Parameter::switch("Off")],
        Run::All(nothing),
    ),
    (
        "Import-Module",
        &["ipmo"],
        "Everything is there already.",
        &[Parameter::text("Name").at(0)],
        Run::All(nothing),
    ),
    (
        "Exit",
        &["quit", "logout"],
        "Ends the session, with this status if one is named.",
        &[Parameter::new("Status", Takes::Any).at(0)],
        Run::All(exit),
    ),
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

fn write_warning(call: &mut Call<'_, '_>, _: Vec<Value>) -> Result<Vec<Value>, Error> {
    call.shell.warn(call.bound.text("Message").unwrap_or_default());
    Ok(Vec::new())
}

fn write_error(call: &mut Call<'_, '_>, _: Vec<Value>) -> Result<Vec<Value>, Error> {
    Err(Error::new(Fault::InvalidOperation, call.bound.text("Message").unwrap_or_default()))
}

fn throw(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    call.shell.stopping = true;
    write_error(call, input)
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
    let status = match call.bound.get("Status") {
        None => None,
        // As a system takes it: of a larger number the last eight bits.
        Some(Value::Integer(number)) => u8::try_from(number.rem_euclid(256)).ok(),
        Some(other) => return Err(wrong(format!("exit takes a number, and \"{}\" is none", other.text()))),
    };
    call.shell.exiting = Some(status);
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
        if shell.exiting.is_some() {
            break;
        }
        match shell.with_item(block, &item) {
            Ok(found) => values.extend(found),
            Err(error) => shell.tell(&error),
        }
    }
    Ok(values)
}

fn write_output(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let said =
        call.bound.get("InputObject").or_else(|| call.bound.get("Object")).cloned().unwrap_or_default();
    Ok(input.into_iter().chain(said.into_items()).collect())
}
