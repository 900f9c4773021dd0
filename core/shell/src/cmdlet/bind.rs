//! What was typed behind a cmdlet, given to its parameters: names in any case, abbreviated or by alias, values by place,
//! objects from the pipeline.

use carillon_qos::plan::{management::Values, nearest};

use super::documented::{self, Documented};
use super::{Cmdlet, From, Parameter, Takes, convert};
use crate::error::{Error, Fault};
use crate::language::ast::{Element, Expression, Part};
use crate::object::Value;
use crate::shell::Shell;

/// Parameters with their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bound {
    values: Vec<(&'static str, Value)>,
}

/// Parameters of every cmdlet.
const COMMON: [Parameter; 14] = [
    Parameter::switch("WhatIf").alias(&["wi"]),
    Parameter::switch("Confirm").alias(&["cf"]),
    Parameter::switch("Force"),
    Parameter::switch("Verbose").alias(&["vb"]),
    Parameter::switch("Debug").alias(&["db"]),
    Parameter::text("ErrorAction").alias(&["ea"]),
    Parameter::text("WarningAction").alias(&["wa"]),
    Parameter::text("ErrorVariable").alias(&["ev"]),
    Parameter::text("WarningVariable").alias(&["wv"]),
    Parameter::text("OutVariable").alias(&["ov"]),
    Parameter::text("InformationVariable").alias(&["iv"]),
    Parameter::text("PipelineVariable").alias(&["pv"]),
    Parameter::new("OutBuffer", Takes::Values(Values::Integer { least: 0, most: 1 << 31 })).alias(&["ob"]),
    Parameter::text("InformationAction").alias(&["infa"]),
];

/// Those of them that cmdlets have which change something.
const OF_CHANGES: [&str; 3] = ["WhatIf", "Confirm", "Force"];

/// Names that pages misprint.
const MISPRINTS: [(&str, &str); 3] = [
    ("ClientTransferPortRange", "ClientFileTransferPortRange"),
    ("MediaComunicationPortCount", "MediaCommunicationPortCount"),
    ("AccessEdgeClientPort", "AccessEdgeClientSipPort"),
];

/// Binds what was typed.
pub(super) fn bind(shell: &mut Shell<'_>, cmdlet: &Cmdlet, elements: &[Element]) -> Result<Bound, Error> {
    let mut bound = Bound::default();
    let mut loose: Vec<Value> = Vec::new();
    let mut elements = elements.iter().peekable();
    while let Some(element) = elements.next() {
        match element {
            Element::Argument(Expression::Splat(name)) => splat(shell, cmdlet, name, &mut bound)?,
            Element::Argument(value) => loose.push(shell.value(value)?),
            Element::Parameter { name, colon, value } => {
                let parameter = parameter(shell, cmdlet, name)?;
                let value = match (value, parameter.takes, colon) {
                    (Some(value), ..) => Some(shell.value(value)?),
                    (None, Takes::Switch, false) => Some(Value::Boolean(true)),
                    (None, Takes::Switch, true) => None,
                    (None, _, false) => match elements.peek() {
                        Some(Element::Argument(value)) => {
                            elements.next();
                            Some(shell.value(value)?)
                        }
                        _ => None,
                    },
                    (None, _, true) => None,
                };
                let value = value.ok_or_else(|| missing(parameter))?;
                bound.put(parameter, value)?;
            }
        }
    }
    positions(cmdlet, loose, &mut bound)?;
    Ok(bound)
}

fn missing(parameter: Parameter) -> Error {
    let kind = convert::type_name(parameter.takes);
    let name = parameter.name;
    let text = format!(
        "Missing an argument for parameter '{name}'. Specify a parameter of type '{kind}' and try again."
    );
    Error::new(Fault::MissingArgument, text)
}

fn splat(shell: &mut Shell<'_>, cmdlet: &Cmdlet, name: &str, bound: &mut Bound) -> Result<(), Error> {
    let value = shell.value(&Expression::Variable(name.to_owned()))?;
    let Value::Table(entries) = value else {
        let text = format!("@{name} must be a table of parameters: ${name} = @{{ Name = value }}");
        return Err(Error::new(Fault::CannotConvertArgument, text));
    };
    for (key, value) in entries {
        let parameter = parameter(shell, cmdlet, &key)?;
        bound.put(parameter, value)?;
    }
    Ok(())
}

/// The parameter of that name, alias, or beginning of a name. One that is documented and does nothing says so.
fn parameter(shell: &mut Shell<'_>, cmdlet: &Cmdlet, name: &str) -> Result<Parameter, Error> {
    let known: Vec<Parameter> = cmdlet.parameters.iter().copied().chain(COMMON).collect();
    let documented: Vec<Parameter> = documented::parameters(&cmdlet.name)
        .filter(|parameter| !known.iter().any(|known| known.is_called(parameter.name)))
        .collect();
    if let Some(parameter) = known.iter().find(|parameter| parameter.is_called(name)) {
        return Ok(*parameter);
    }
    if let Some(parameter) = documented.iter().find(|parameter| parameter.is_called(name)) {
        return without_effect(shell, *parameter);
    }
    if let Some(parameter) = misprinted(shell, name, &known)? {
        return Ok(parameter);
    }
    let all = || known.iter().chain(&documented);
    // What only shows has no -Confirm that an abbreviation could mean.
    let meant = |parameter: &&Parameter| {
        !(cmdlet.name.starts_with("Get-")
            && OF_CHANGES.contains(&parameter.name)
            && COMMON.contains(parameter))
    };
    let found: Vec<&Parameter> = all().filter(meant).filter(|parameter| parameter.begins(name)).collect();
    match found.as_slice() {
        [only] if known.contains(only) => Ok(**only),
        [only] => without_effect(shell, **only),
        [] => Err(not_found(name, all())),
        several => {
            let names: Vec<String> = several.iter().map(|parameter| format!("-{}", parameter.name)).collect();
            let text = format!(
                "Parameter cannot be processed because the parameter name '{name}' is ambiguous. Possible matches include: {}.",
                names.join(" ")
            );
            Err(Error::new(Fault::AmbiguousParameter, text))
        }
    }
}

fn without_effect(shell: &mut Shell<'_>, parameter: Parameter) -> Result<Parameter, Error> {
    let name = parameter.name;
    match documented::effect(parameter) {
        Documented::Idle(parameter) => {
            shell.warn(format!("-{name} is documented, but not in Carillon: it has no effect."));
            Ok(parameter)
        }
        Documented::Refused(why) => {
            let text = format!("-{name} is documented, but not in Carillon: {why}.");
            Err(Error::new(Fault::NotSupported, text))
        }
    }
}

/// The parameter that a page misprints so.
fn misprinted(shell: &mut Shell<'_>, name: &str, known: &[Parameter]) -> Result<Option<Parameter>, Error> {
    let row = MISPRINTS.iter().find(|(wrong, _)| wrong.eq_ignore_ascii_case(name));
    let found = row.and_then(|(wrong, right)| {
        Some((wrong, known.iter().find(|parameter| parameter.is_called(right)).copied()?))
    });
    let Some((wrong, parameter)) = found else { return Ok(None) };
    if shell.options.strict {
        return Err(not_found(name, known.iter()));
    }
    let text = format!("-{wrong}, as some pages misprint it, is read as -{}", parameter.name);
    shell.host.show(crate::host::Stream::Repair, &text);
    Ok(Some(parameter))
}

fn not_found<'p>(name: &str, known: impl Iterator<Item = &'p Parameter>) -> Error {
    let hint = match nearest(name, known.map(|parameter| parameter.name)) {
        Some(near) => format!(" Did you mean -{near}?"),
        None => String::new(),
    };
    let text = format!("A parameter cannot be found that matches parameter name '{name}'.{hint}");
    Error::new(Fault::NamedParameterNotFound, text)
}

fn positions(cmdlet: &Cmdlet, loose: Vec<Value>, bound: &mut Bound) -> Result<(), Error> {
    let mut free: Vec<&Parameter> =
        cmdlet.parameters.iter().filter(|p| p.position.is_some() && bound.get(p.name).is_none()).collect();
    free.sort_by_key(|parameter| parameter.position);
    let mut free = free.into_iter();
    for value in loose {
        let Some(parameter) = free.next() else {
            let text =
                format!("A positional parameter cannot be found that accepts argument '{}'.", value.text());
            return Err(Error::new(Fault::PositionalParameterNotFound, text));
        };
        bound.put(*parameter, value)?;
    }
    Ok(())
}

impl Bound {
    /// A parameter's value; nothing if it was not said.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// A switch.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some_and(Value::is_true)
    }

    /// A text that is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(Value::text).filter(|text| !text.is_empty())
    }

    /// A number.
    pub(crate) fn count(&self, name: &str) -> Option<usize> {
        match self.get(name) {
            Some(Value::Integer(number)) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Several texts.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let items = self.get(name).cloned().unwrap_or_default().into_items();
        items.iter().map(Value::text).collect()
    }

    /// The parameters that were said.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.values.iter().map(|(name, value)| (*name, value))
    }

    /// Gives a parameter its value, in the type that it has.
    fn put(&mut self, parameter: Parameter, value: Value) -> Result<(), Error> {
        if self.get(parameter.name).is_some() {
            let text = format!(
                "Cannot bind parameter because parameter '{}' is specified more than once.",
                parameter.name
            );
            return Err(Error::new(Fault::AmbiguousParameterSet, text));
        }
        let value = convert::convert(parameter, value)?;
        self.values.push((parameter.name, value));
        Ok(())
    }

    /// The same with what an object from the pipeline gives.
    pub(super) fn with_item(&self, cmdlet: &Cmdlet, item: &Value) -> Result<Bound, Error> {
        let mut bound = self.clone();
        let mut taken = false;
        for parameter in cmdlet.parameters.iter().filter(|parameter| self.get(parameter.name).is_none()) {
            let property = || match item {
                Value::Object(object) => std::iter::once(&parameter.name)
                    .chain(parameter.aliases)
                    .find_map(|name| object.get(name))
                    .filter(|value| **value != Value::Null)
                    .cloned(),
                _ => None,
            };
            let found = match (parameter.from, item) {
                (From::Nowhere, _) => None,
                (From::Object, Value::Object(object)) => {
                    let fits = cmdlet.kind.is_none_or(|kind| kind.name == object.kind)
                        && self.get("Identity").is_none();
                    fits.then(|| item.clone())
                }
                (From::Object, _) => None,
                (From::Property, _) => property(),
                (From::Text, Value::Text(text)) => Some(text.as_str().into()),
                (From::Text, _) => property(),
            };
            if let Some(value) = found {
                bound.put(*parameter, value)?;
                taken = true;
                break;
            }
        }
        let is_bound =
            cmdlet.parameters.iter().any(|p| p.from != From::Nowhere && self.get(p.name).is_some());
        match taken || is_bound {
            true => Ok(bound),
            false => {
                let text = "The input object cannot be bound to any parameters for the command, because the command does \
                            not take pipeline input or the object is of another kind.";
                Err(Error::new(Fault::InputObjectNotBound, text))
            }
        }
    }

    pub(super) fn check_required(&self, cmdlet: &Cmdlet) -> Result<(), Error> {
        let needed = cmdlet.parameters.iter().filter(|parameter| parameter.required);
        let absent: Vec<&str> = needed.map(|p| p.name).filter(|name| self.text(name).is_none()).collect();
        match absent.is_empty() {
            true => Ok(()),
            false => {
                let text = format!(
                    "Cannot process command because of one or more missing mandatory parameters: {}.",
                    absent.join(" ")
                );
                Err(Error::new(Fault::MissingMandatoryParameter, text))
            }
        }
    }
}

/// The word of an element that is a plain one.
pub(super) fn word(element: &Element) -> Option<&str> {
    match element {
        Element::Argument(Expression::Text(_, parts)) => match parts.as_slice() {
            [Part::Text(text)] => Some(text),
            _ => None,
        },
        _ => None,
    }
}
