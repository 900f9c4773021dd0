//! A value in the type that its parameter has; the errors are PowerShell's.

use carillon_qos::plan::{ManagedValue, TimeSpan, management::Values};

use super::{Parameter, Takes};
use crate::error::{Error, Fault};
use crate::object::Value;

/// The value as the parameter takes it. `$null` empties a text or a list; it is no number, span, word or Boolean.
pub(super) fn convert(parameter: Parameter, value: Value) -> Result<Value, Error> {
    match (parameter.takes, value) {
        (Takes::Any, value) => Ok(value),
        (Takes::Texts | Takes::Values(Values::Text | Values::List), Value::Null) => Ok(Value::Null),
        (takes, Value::Null) => {
            let text = format!(
                "Cannot bind argument to parameter '{}': $null cannot be converted to type \"{}\".",
                parameter.name,
                type_name(takes)
            );
            Err(Error::new(Fault::CannotConvertArgument, text))
        }
        (Takes::Switch, value) => boolean(parameter, &value),
        (Takes::Texts, value) => {
            Ok(Value::List(value.into_items().iter().map(|item| Value::Text(item.text())).collect()))
        }
        (Takes::Values(Values::List), modifier @ Value::Table(_)) => Ok(modifier),
        (Takes::Values(values), value) => {
            let managed = typed(parameter, values, &value)?;
            let checked = values.check(managed).map_err(|wrong| invalid(parameter, &wrong))?;
            Ok(shown(values, &checked))
        }
    }
}

fn typed(parameter: Parameter, values: Values, value: &Value) -> Result<ManagedValue, Error> {
    match values {
        Values::Boolean => Ok(ManagedValue::Boolean(boolean(parameter, value)?.is_true())),
        Values::Integer { .. } => integer(parameter, value).map(ManagedValue::Integer),
        Values::List => Ok(ManagedValue::List(value.clone().into_items().iter().map(Value::text).collect())),
        Values::Text => match value {
            Value::List(items) => {
                Ok(ManagedValue::Text(items.iter().map(Value::text).collect::<Vec<_>>().join(",")))
            }
            value => Ok(ManagedValue::Text(value.text())),
        },
        Values::Span { .. } | Values::Word(_) => Ok(ManagedValue::Text(value.text())),
    }
}

/// `$true`, `$false`, numbers; never the word "true".
fn boolean(parameter: Parameter, value: &Value) -> Result<Value, Error> {
    match value {
        Value::Boolean(_) => Ok(value.clone()),
        Value::Integer(number) => Ok(Value::Boolean(*number != 0)),
        other => {
            let text = format!(
                "Cannot process argument transformation on parameter '{}'. Cannot convert value \"{}\" to type \
                 \"System.Boolean\". Boolean parameters accept only Boolean values and numbers, such as $True, $False, 1 \
                 or 0 instead.",
                parameter.name,
                other.text()
            );
            Err(Error::new(Fault::CannotConvertArgument, text))
        }
    }
}

fn integer(parameter: Parameter, value: &Value) -> Result<u64, Error> {
    let number = match value {
        Value::Integer(number) => Some(*number),
        Value::Text(text) => crate::language::number(text.trim()),
        Value::Boolean(value) => Some(i64::from(*value)),
        _ => None,
    };
    let Some(number) = number else {
        let text = format!(
            "Cannot process argument transformation on parameter '{}'. Cannot convert value \"{}\" to a number.",
            parameter.name,
            value.text()
        );
        return Err(Error::new(Fault::CannotConvertArgument, text));
    };
    u64::try_from(number).map_err(|_| invalid(parameter, &format!("{number} is below 0")))
}

/// A value that has the right type and may not be.
pub(super) fn invalid(parameter: Parameter, wrong: &str) -> Error {
    let text = format!("Cannot validate argument on parameter '{}'. {wrong}.", parameter.name);
    Error::new(Fault::ParameterArgumentValidationError, text)
}

/// A kept value as objects show it.
pub(super) fn shown(values: Values, value: &ManagedValue) -> Value {
    match (values, value) {
        (Values::Span { .. }, ManagedValue::Text(text)) => match TimeSpan::parse(text) {
            Some(span) => Value::Span(span),
            None => Value::from(value),
        },
        (_, value) => Value::from(value),
    }
}

/// A shown value as it is kept; nothing: unset.
pub(super) fn kept(value: &Value) -> Option<ManagedValue> {
    match value {
        Value::Null => None,
        Value::Boolean(value) => Some(ManagedValue::Boolean(*value)),
        Value::Integer(number) => Some(ManagedValue::Integer(u64::try_from(*number).ok()?)),
        Value::List(items) => Some(ManagedValue::List(items.iter().map(Value::text).collect())),
        value => Some(ManagedValue::Text(value.text())),
    }
}

/// A default of the table of kinds, as objects show it.
pub(super) fn default(values: Values, default: &str) -> Value {
    match values {
        Values::List => {
            let items = default.split(", ").filter(|item| !item.is_empty());
            Value::List(items.map(|item| Value::Text(item.to_owned())).collect())
        }
        _ if default.is_empty() => Value::Null,
        Values::Boolean => Value::Boolean(default == "True"),
        Values::Integer { .. } => default.parse().map_or(Value::Null, Value::Integer),
        Values::Span { .. } => TimeSpan::parse(default).map_or(Value::Null, Value::Span),
        Values::Word(_) | Values::Text => default.into(),
    }
}

/// The .NET type that PowerShell would name.
pub(super) fn type_name(takes: Takes) -> &'static str {
    match takes {
        Takes::Switch => "System.Management.Automation.SwitchParameter",
        Takes::Any => "System.Object",
        Takes::Texts => "System.String[]",
        Takes::Values(Values::Boolean) => "System.Boolean",
        Takes::Values(Values::Integer { most: ..=255, .. }) => "System.Byte",
        Takes::Values(Values::Integer { most: ..=65_535, .. }) => "System.UInt16",
        Takes::Values(Values::Integer { .. }) => "System.UInt64",
        Takes::Values(Values::Span { .. }) => "System.TimeSpan",
        Takes::Values(Values::List) => "Microsoft.Rtc.Management.Xds.PSListModifier",
        Takes::Values(Values::Word(_) | Values::Text) => "System.String",
    }
}
