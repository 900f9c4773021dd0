//! What operators, casts and methods make of values that are known.

use crate::error::{Error, Fault};
use crate::language::ast::{Binary, Cast};
use crate::language::number;
use crate::object::{self, Object, Value};

/// Most numbers that `a..b` makes.
const LONGEST_RANGE: i64 = 65_536;

/// An operator with two sides, except `-and` and `-or`, of which the right side is not always wanted.
pub(crate) fn binary(operator: Binary, left: &Value, right: &Value) -> Result<Value, Error> {
    match operator {
        Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Remainder => {
            arithmetic(operator, left, right)
        }
        Binary::Range => range(left, right),
        Binary::Format => format(&left.text(), right.clone().into_items()),
        Binary::Join => {
            let items: Vec<String> = left.clone().into_items().iter().map(Value::text).collect();
            Ok(items.join(&right.text()).into())
        }
        Binary::Split => {
            let (text, by) = (left.text(), plain(right)?);
            Ok(text.split(by.as_str()).map(str::to_owned).collect::<Vec<_>>().into())
        }
        Binary::Replace => replaced(left, right),
        _ => compared(operator, left, right),
    }
}

/// `[int]"5"`.
pub(crate) fn cast(to: Cast, value: Value) -> Result<Value, Error> {
    let wrong = |kind: &str, value: &Value| {
        let text = format!("Cannot convert value \"{}\" to type \"{kind}\".", value.text());
        Error::new(Fault::CannotConvertArgument, text)
    };
    match (to, value) {
        (Cast::Nothing, _) => Ok(Value::List(Vec::new())),
        (Cast::Text, value) => Ok(value.text().into()),
        (Cast::Boolean, value) => Ok(value.is_true().into()),
        (Cast::List, value) => Ok(Value::List(value.into_items())),
        (Cast::Integer, Value::Null) => Ok(Value::Integer(0)),
        (Cast::Integer, value @ Value::Integer(_)) => Ok(value),
        (Cast::Integer, Value::Boolean(value)) => Ok(Value::Integer(i64::from(value))),
        (Cast::Integer, value) => {
            number(value.text().trim()).map(Value::Integer).ok_or_else(|| wrong("System.Int32", &value))
        }
        (Cast::Span, value @ Value::Span(_)) => Ok(value),
        (Cast::Span, value) => {
            let span = carillon_qos::plan::TimeSpan::parse(&value.text());
            span.map(Value::Span).ok_or_else(|| wrong("System.TimeSpan", &value))
        }
        (Cast::Object, Value::Table(properties)) => {
            Ok(Value::Object(Object { properties, ..Object::new("") }))
        }
        (Cast::Object, value) => Ok(value),
    }
}

/// `$x.ToString()`, `$x.Split(",")`.
pub(crate) fn method(value: &Value, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let text = value.text();
    let list = |parts: Vec<String>| Ok(parts.into());
    match (name, arguments) {
        ("tostring" | "toxml" | "tohtml", []) => Ok(text.into()),
        ("tolower", []) => Ok(text.to_lowercase().into()),
        ("toupper", []) => Ok(text.to_uppercase().into()),
        ("trim", []) => Ok(text.trim().into()),
        ("contains", [part]) => Ok(text.contains(&part.text()).into()),
        ("startswith", [part]) => Ok(text.starts_with(&part.text()).into()),
        ("endswith", [part]) => Ok(text.ends_with(&part.text()).into()),
        ("replace", [from, to]) if from.text().is_empty() => Err(Error::new(
            Fault::InvalidOperation,
            format!("Replace: nothing is to become '{}'.", to.text()),
        )),
        ("replace", [from, to]) => Ok(text.replace(&from.text(), &to.text()).into()),
        ("split", [by]) => {
            let by = by.text();
            list(text.split(|c| by.contains(c)).map(str::to_owned).collect())
        }
        _ => {
            let text = format!(
                "The method '{name}' is not known here; ToString(), ToXML(), ToHTML(), Add(…), ToLower(), ToUpper(), Trim(), \
                 Contains(…), StartsWith(…), EndsWith(…), Replace(…) and Split(…) are."
            );
            Err(Error::new(Fault::InvalidOperation, text))
        }
    }
}

fn range(left: &Value, right: &Value) -> Result<Value, Error> {
    let end = |value: &Value| {
        cast(Cast::Integer, value.clone())
            .map(|end| if let Value::Integer(number) = end { number } else { 0 })
    };
    let (from, to) = (end(left)?, end(right)?);
    match from.checked_sub(to).map(i64::abs) {
        Some(length) if length < LONGEST_RANGE => {}
        _ => {
            let text = format!("{from}..{to} is longer than {LONGEST_RANGE}");
            return Err(Error::new(Fault::InvalidOperation, text));
        }
    }
    let numbers: Vec<Value> = match from <= to {
        true => (from..=to).map(Value::Integer).collect(),
        false => (to..=from).rev().map(Value::Integer).collect(),
    };
    Ok(Value::List(numbers))
}

/// `"{0} of {1}" -f 1, 2`. A format behind the number, or a width, is refused by name.
fn format(pattern: &str, values: Vec<Value>) -> Result<Value, Error> {
    let wrong = |what: &str| Error::new(Fault::InvalidOperation, format!("-f: {what}"));
    let mut text = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' if chars.next_if_eq(&'{').is_some() => text.push('{'),
            '}' => {
                chars.next_if_eq(&'}');
                text.push('}');
            }
            '{' => {
                let inside: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let place: usize = inside.trim().parse().map_err(|_| {
                    wrong(&format!("`{{{inside}}}` is not known here; `{{0}}`, `{{1}}` and so on are"))
                })?;
                let value =
                    values.get(place).ok_or_else(|| wrong(&format!("there is no value for {{{place}}}")))?;
                text.push_str(&value.text());
            }
            c => text.push(c),
        }
    }
    Ok(text.into())
}

/// A pattern in which no character has a meaning of its own.
fn plain(pattern: &Value) -> Result<String, Error> {
    let text = pattern.text();
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.extend(chars.next().filter(|c| !c.is_alphanumeric())),
            c if ".+*?()[]{}^$|".contains(c) => {
                let text = format!("`{text}`: patterns of -split and -replace are plain texts here");
                return Err(Error::new(Fault::InvalidOperation, text));
            }
            c => plain.push(c),
        }
    }
    match plain.is_empty() {
        true => Err(Error::new(Fault::InvalidOperation, "-split and -replace need a text to look for")),
        false => Ok(plain),
    }
}

/// `-replace 'a', 'b'`, in any case.
fn replaced(left: &Value, right: &Value) -> Result<Value, Error> {
    let mut pair = right.clone().into_items().into_iter();
    let from = plain(&pair.next().unwrap_or_default())?.to_lowercase();
    let to = pair.next().unwrap_or_default().text();
    let one = |text: &str| {
        let (mut done, mut rest) = (String::new(), text);
        while let Some(c) = rest.chars().next() {
            let length = from.chars().count();
            let end = rest.char_indices().nth(length).map_or(rest.len(), |(at, _)| at);
            match rest.get(..end).is_some_and(|begin| begin.to_lowercase() == from) {
                true => {
                    done.push_str(&to);
                    rest = rest.get(end..).unwrap_or_default();
                }
                false => {
                    done.push(c);
                    rest = rest.get(c.len_utf8()..).unwrap_or_default();
                }
            }
        }
        Value::from(done)
    };
    Ok(match left {
        Value::List(items) => Value::List(items.iter().map(|item| one(&item.text())).collect()),
        only => one(&only.text()),
    })
}

fn compared(operator: Binary, left: &Value, right: &Value) -> Result<Value, Error> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    if let (Value::List(items), false) =
        (left, matches!(operator, Binary::Contains | Binary::NotContains | Binary::In | Binary::NotIn))
    {
        let mut found = Vec::new();
        for item in items {
            if compared(operator, item, right)?.is_true() {
                found.push(item.clone());
            }
        }
        return Ok(Value::List(found));
    }
    let order = object::compare(left, right);
    let fits =
        |pattern| object::matches(left, pattern).map_err(|text| Error::new(Fault::InvalidOperation, text));
    Ok(Value::Boolean(match operator {
        Binary::Eq => object::equal(left, right),
        Binary::Ne => !object::equal(left, right),
        Binary::Gt => order == Some(Greater),
        Binary::Ge => matches!(order, Some(Greater | Equal)),
        Binary::Lt => order == Some(Less),
        Binary::Le => matches!(order, Some(Less | Equal)),
        Binary::Like => object::like(left, right),
        Binary::NotLike => !object::like(left, right),
        Binary::Match => fits(right)?,
        Binary::NotMatch => !fits(right)?,
        Binary::Contains => object::contains(left, right),
        Binary::NotContains => !object::contains(left, right),
        Binary::In => object::contains(right, left),
        _ => !object::contains(right, left),
    }))
}

fn arithmetic(operator: Binary, left: &Value, right: &Value) -> Result<Value, Error> {
    let wrong = || {
        let text = format!("'{}' and '{}' cannot be reckoned with.", left.text(), right.text());
        Error::new(Fault::InvalidOperation, text)
    };
    match (operator, left, right) {
        (Binary::Add, Value::List(items), right) => {
            Ok(Value::List(items.iter().cloned().chain(right.clone().into_items()).collect()))
        }
        (Binary::Add, Value::Text(text), right) => Ok(format!("{text}{}", right.text()).into()),
        (Binary::Add, Value::Null, right) => Ok(right.clone()),
        (_, Value::Null, right) => arithmetic(operator, &Value::Integer(0), right),
        (_, Value::Integer(_), Value::Null) => arithmetic(operator, left, &Value::Integer(0)),
        (_, Value::Integer(left), right) => {
            let right = match right {
                Value::Integer(number) => *number,
                Value::Text(text) => number(text).ok_or_else(wrong)?,
                _ => return Err(wrong()),
            };
            // The only numbers with a fraction that there are: a text that shows it.
            if operator == Binary::Divide && left.checked_rem(right).is_some_and(|rest| rest != 0) {
                return Ok(format!("{}", *left as f64 / right as f64).into());
            }
            let result = match operator {
                Binary::Add => left.checked_add(right),
                Binary::Subtract => left.checked_sub(right),
                Binary::Multiply => left.checked_mul(right),
                Binary::Remainder => left.checked_rem(right),
                _ => left.checked_div(right),
            };
            result.map(Value::Integer).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}
