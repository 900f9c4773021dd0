//! Sorting, counting and grouping.

use super::Call;
use super::columns::columns;
use crate::error::{Error, Fault};
use crate::object::{Object, Value, View, compare, equal};

pub(super) fn sort(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let columns = columns(call, "Property")?;
    let descending = call.bound.is_set("Descending");
    let mut keyed: Vec<(Vec<Value>, Value)> = Vec::new();
    for item in input {
        let keys: Result<Vec<Value>, Error> = match columns.is_empty() {
            true => {
                Ok(vec![if matches!(item, Value::Integer(_)) { item.clone() } else { item.text().into() }])
            }
            false => columns.iter().map(|column| column.value(call.shell, &item)).collect(),
        };
        keyed.push((keys?, item));
    }
    let turned = |place: usize| columns.get(place).and_then(|column| column.descending).unwrap_or(descending);
    let order = |a: &[Value], b: &[Value]| {
        let one = |(place, (a, b)): (usize, (&Value, &Value))| {
            // What is not there comes first, as in PowerShell.
            let order = match (a, b) {
                (Value::Null, Value::Null) => std::cmp::Ordering::Equal,
                (Value::Null, _) => std::cmp::Ordering::Less,
                (_, Value::Null) => std::cmp::Ordering::Greater,
                (a, b) => compare(a, b).unwrap_or(std::cmp::Ordering::Equal),
            };
            if turned(place) { order.reverse() } else { order }
        };
        a.iter().zip(b).enumerate().map(one).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    };
    keyed.sort_by(|(a, _), (b, _)| order(a, b));
    if call.bound.is_set("Unique") {
        keyed.dedup_by(|(a, _), (b, _)| order(a, b).is_eq());
    }
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

/// The documented six lines; those that were not asked for are empty.
pub(super) fn measure(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let columns = columns(call, "Property")?;
    let mut values = Vec::new();
    for item in &input {
        match columns.first() {
            Some(column) => {
                values.extend(Some(column.value(call.shell, item)?).filter(|v| *v != Value::Null))
            }
            None => values.push(item.clone()),
        }
    }
    let sums = call.bound.is_set("Sum") || call.bound.is_set("Average");
    let mut sum: i64 = 0;
    for value in values.iter().filter(|_| sums) {
        let number = match value {
            Value::Integer(number) => Some(*number),
            other => crate::language::number(&other.text()),
        };
        sum = number.and_then(|number| sum.checked_add(number)).ok_or_else(|| {
            let text = format!("Input object \"{}\" is not numeric.", value.text());
            Error::new(Fault::InvalidOperation, text)
        })?;
    }
    let average = match values.len() {
        0 => Value::Null,
        count if sum % count as i64 == 0 => Value::Integer(sum / count as i64),
        count => format!("{}", sum as f64 / count as f64).into(),
    };
    let by = |a: &&Value, b: &&Value| compare(a, b).unwrap_or(std::cmp::Ordering::Equal);
    let asked = |name: &str, value: Value| if call.bound.is_set(name) { value } else { Value::Null };
    let property = columns.first().map_or(Value::Null, |column| column.name().into());
    let object = Object::new("")
        .with("Count", values.len() as u64)
        .with("Average", asked("Average", average))
        .with("Sum", asked("Sum", Value::Integer(sum)))
        .with("Maximum", asked("Maximum", values.iter().max_by(by).cloned().unwrap_or_default()))
        .with("Minimum", asked("Minimum", values.iter().min_by(by).cloned().unwrap_or_default()))
        .with("Property", property);
    Ok(vec![Value::Object(object)])
}

pub(super) fn group(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let columns = columns(call, "Property")?;
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for item in input {
        let key = match columns.first() {
            Some(column) => column.value(call.shell, &item)?,
            None => item.clone(),
        };
        let is_null = key == Value::Null;
        match groups.iter_mut().find(|(known, _)| equal(known, &key) || (is_null && *known == Value::Null)) {
            Some((_, items)) => items.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    let row = |(key, items): (Value, Vec<Value>)| {
        let object = Object::new("").with("Count", items.len() as u64).with("Name", key.text());
        let object = match call.bound.is_set("NoElement") {
            true => object,
            false => object.with("Group", Value::List(items)),
        };
        Value::Object(Object { view: View::Table, ..object })
    };
    Ok(groups.into_iter().map(row).collect())
}
