//! Statements, pipelines and expressions carried out.

use crate::cmdlet;
use crate::error::{Error, Fault};
use crate::language::ast::{Binary, Expression, Part, Pipeline, Quote, Script, Stage, Statement, Unary};
use crate::language::number;
use crate::object::{Object, Value};
use crate::operators;
use crate::output;
use crate::shell::Shell;

/// Script blocks within script blocks that are carried out.
const DEEPEST: usize = 32;

impl Shell<'_> {
    pub(crate) fn statement(&mut self, statement: &Statement) -> Result<Vec<Value>, Error> {
        match statement {
            Statement::Pipeline(pipeline) => self.pipeline(pipeline),
            Statement::Assign { variable, property, value } => {
                let value = Value::of_items(self.pipeline(value)?);
                self.assign(variable, property.as_deref(), value).map(|()| Vec::new())
            }
            Statement::Foreach { variable, list, body } => {
                let mut values = Vec::new();
                for item in self.pipeline(list)? {
                    if self.exiting.is_some() {
                        break;
                    }
                    self.variables.insert(variable.to_ascii_lowercase(), item);
                    values.extend(self.script(body)?);
                }
                Ok(values)
            }
            Statement::If { condition, yes, no } => {
                let holds = Value::of_items(self.pipeline(condition)?).is_true();
                self.script(if holds { yes } else { no })
            }
        }
    }

    /// The output of all statements.
    pub(crate) fn script(&mut self, script: &Script) -> Result<Vec<Value>, Error> {
        if self.depth == DEEPEST {
            return Err(Error::new(
                Fault::InvalidOperation,
                format!("more than {DEEPEST} blocks within blocks"),
            ));
        }
        self.depth += 1;
        let mut values = Vec::new();
        let done = script.iter().try_for_each(|statement| {
            if self.exiting.is_none() {
                values.extend(self.statement(statement)?);
            }
            Ok(())
        });
        self.depth -= 1;
        done.map(|()| values)
    }

    /// A script block with `$_`.
    pub(crate) fn with_item(&mut self, script: &Script, item: &Value) -> Result<Vec<Value>, Error> {
        let before = self.variables.insert("_".to_owned(), item.clone());
        let values = self.script(script);
        match before {
            Some(before) => self.variables.insert("_".to_owned(), before),
            None => self.variables.remove("_"),
        };
        values
    }

    fn assign(&mut self, variable: &str, property: Option<&str>, value: Value) -> Result<(), Error> {
        let key = variable.to_ascii_lowercase();
        let Some(property) = property else {
            self.variables.insert(key, value);
            return Ok(());
        };
        let place = match self.variables.get_mut(&key) {
            Some(Value::Object(object)) => {
                let known: Vec<String> = object.properties.iter().map(|(name, _)| name.clone()).collect();
                object.get_mut(property).ok_or(known)
            }
            Some(Value::Table(entries)) => {
                if entries.iter().all(|(known, _)| !known.eq_ignore_ascii_case(property)) {
                    entries.push((property.to_owned(), Value::Null));
                }
                let found = entries.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(property));
                found.map(|(_, value)| value).ok_or_else(Vec::new)
            }
            _ => Err(Vec::new()),
        };
        match place {
            Ok(place) => *place = value,
            Err(known) => {
                let hint = match carillon_qos::plan::nearest(property, known.iter().map(String::as_str)) {
                    Some(near) => format!(" Did you mean `{near}`?"),
                    None => String::new(),
                };
                let text = format!("The property '{property}' cannot be found on ${variable}.{hint}");
                return Err(Error::new(Fault::InvalidOperation, text));
            }
        }
        Ok(())
    }

    pub(crate) fn pipeline(&mut self, pipeline: &Pipeline) -> Result<Vec<Value>, Error> {
        let mut values: Option<Vec<Value>> = None;
        for stage in &pipeline.stages {
            values = Some(match stage {
                Stage::Command { name, elements } => cmdlet::invoke(self, name, elements, values)?,
                Stage::Value(_) if values.is_some() => {
                    let text = "Expressions are only allowed as the first element of a pipeline.";
                    return Err(Error::new(Fault::ParserError, text));
                }
                Stage::Value(value) => self.value(value)?.into_items(),
            });
        }
        let values = values.unwrap_or_default();
        let Some(redirect) = &pipeline.redirect else { return Ok(values) };
        let path = self.value(&redirect.path)?.text();
        let text: String = output::lines(&values).iter().map(|line| format!("{line}\n")).collect();
        if !path.eq_ignore_ascii_case("$null") && !path.is_empty() {
            self.host.write(&path, &text, redirect.append)?;
        }
        Ok(Vec::new())
    }

    pub(crate) fn value(&mut self, expression: &Expression) -> Result<Value, Error> {
        Ok(match expression {
            Expression::Text(quote, parts) => self.text(*quote, parts)?,
            Expression::Number(digits) => {
                number(digits).map_or_else(|| digits.as_str().into(), Value::Integer)
            }
            Expression::Variable(name) => self.variable(name),
            Expression::List(items) => {
                let items: Result<Vec<Value>, Error> = items.iter().map(|item| self.value(item)).collect();
                Value::List(items?)
            }
            Expression::Array(script) => Value::List(self.script(script)?),
            Expression::Script(script) => Value::of_items(self.script(script)?),
            Expression::Table(entries) => {
                let entry = |(key, value): &(String, Pipeline)| {
                    Ok((key.clone(), Value::of_items(self.pipeline(value)?)))
                };
                Value::Table(entries.iter().map(entry).collect::<Result<_, Error>>()?)
            }
            Expression::Block(script) => Value::Block(script.clone()),
            Expression::Group(pipeline) => self.group(pipeline)?,
            Expression::Splat(name) => self.variable(name),
            Expression::Member(of, name) => member(&self.value(of)?, name),
            Expression::Call(of, name, arguments) => self.call(of, name, arguments)?,
            Expression::Index(of, index) => {
                let (list, index) = (self.value(of)?, self.value(index)?);
                indexed(&list, &index)
            }
            Expression::Unary(Unary::Not, of) => Value::Boolean(!self.value(of)?.is_true()),
            Expression::Unary(Unary::Minus, of) => {
                operators::binary(Binary::Subtract, &Value::Integer(0), &self.value(of)?)?
            }
            Expression::Cast(to, of) => operators::cast(*to, self.value(of)?)?,
            Expression::Binary(operator, left, right) => self.binary(*operator, left, right)?,
        })
    }

    fn group(&mut self, pipeline: &Pipeline) -> Result<Value, Error> {
        if self.depth == DEEPEST {
            return Err(Error::new(
                Fault::InvalidOperation,
                format!("more than {DEEPEST} brackets within brackets"),
            ));
        }
        self.depth += 1;
        let values = self.pipeline(pipeline);
        self.depth -= 1;
        values.map(Value::of_items)
    }

    fn text(&mut self, quote: Quote, parts: &[Part]) -> Result<Value, Error> {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Value(value) => text.push_str(&self.value(value)?.text()),
            }
        }
        // `$_.Identity` as a word is read as a value, never as a text; only quoted texts are known to be texts.
        Ok(if quote == Quote::Bare && text.is_empty() { Value::Null } else { Value::Text(text) })
    }

    fn variable(&self, name: &str) -> Value {
        match name.to_ascii_lowercase().as_str() {
            "true" => Value::Boolean(true),
            "false" => Value::Boolean(false),
            "null" => Value::Null,
            name => self.variables.get(name).cloned().unwrap_or_default(),
        }
    }

    fn binary(&mut self, operator: Binary, left: &Expression, right: &Expression) -> Result<Value, Error> {
        let left = self.value(left)?;
        match (operator, left.is_true()) {
            (Binary::And, false) => return Ok(Value::Boolean(false)),
            (Binary::Or, true) => return Ok(Value::Boolean(true)),
            _ => {}
        }
        let right = self.value(right)?;
        match operator {
            Binary::And | Binary::Or => Ok(Value::Boolean(right.is_true())),
            operator => operators::binary(operator, &left, &right),
        }
    }

    /// `$x.ToString()`, `$x.Add("y")`.
    fn call(&mut self, of: &Expression, name: &str, arguments: &[Expression]) -> Result<Value, Error> {
        let value = self.value(of)?;
        let arguments: Result<Vec<Value>, Error> =
            arguments.iter().map(|argument| self.value(argument)).collect();
        match (name.to_ascii_lowercase().as_str(), arguments?.as_slice()) {
            ("add", [item]) => {
                let mut items = value.into_items();
                items.push(item.clone());
                self.store_back(of, Value::List(items))?;
                Ok(Value::Null)
            }
            ("add", [key, item]) => match value {
                Value::Table(mut entries) => {
                    entries.push((key.text(), item.clone()));
                    self.store_back(of, Value::Table(entries))?;
                    Ok(Value::Null)
                }
                other => operators::method(&other, "add", &[key.clone(), item.clone()]),
            },
            (name, arguments) => operators::method(&value, name, arguments),
        }
    }

    /// Changes what a variable, or a property of one, holds.
    fn store_back(&mut self, place: &Expression, value: Value) -> Result<(), Error> {
        match place {
            Expression::Variable(name) => self.assign(name, None, value),
            Expression::Member(of, property) => match of.as_ref() {
                Expression::Variable(name) => self.assign(name, Some(property), value),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// A property; of a list, that of each item.
fn member(value: &Value, name: &str) -> Value {
    match value {
        Value::Object(object) => property(object, name),
        Value::Table(entries) => {
            let found = entries.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        }
        Value::List(items) if name.eq_ignore_ascii_case("count") => Value::from(items.len() as u64),
        Value::List(items) => Value::of_items(
            items.iter().map(|item| member(item, name)).filter(|value| *value != Value::Null).collect(),
        ),
        Value::Text(text) if name.eq_ignore_ascii_case("length") => Value::from(text.chars().count() as u64),
        Value::Null if name.eq_ignore_ascii_case("count") => Value::Integer(0),
        _ if name.eq_ignore_ascii_case("count") => Value::Integer(1),
        _ => Value::Null,
    }
}

fn property(object: &Object, name: &str) -> Value {
    match object.get(name) {
        Some(value) => value.clone(),
        None if name.eq_ignore_ascii_case("count") => Value::Integer(1),
        None => Value::Null,
    }
}

fn indexed(list: &Value, index: &Value) -> Value {
    match (list, index) {
        (Value::List(items), Value::Integer(index)) => {
            let length = items.len() as i64;
            let place = if *index < 0 { length.checked_add(*index) } else { Some(*index) };
            let place = place.and_then(|place| usize::try_from(place).ok());
            place.and_then(|place| items.get(place)).cloned().unwrap_or_default()
        }
        (value, Value::Integer(0 | -1)) => value.clone(),
        (value @ (Value::Table(_) | Value::Object(_)), key) => member(value, &key.text()),
        _ => Value::Null,
    }
}
