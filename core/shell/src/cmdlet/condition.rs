//! `-Filter {Enabled -eq $True}`: a condition in which properties stand without `$_.`, as directories are asked.

use super::bind::word;
use crate::error::{Error, Fault};
use crate::language::ast::{Binary, Element, Expression, Part, Pipeline, Script, Stage, Statement};
use crate::language::parse;
use crate::object::Value;

/// The condition, as a script over `$_`; nothing if the value is a text without any operator.
pub(super) fn condition(value: &Value) -> Result<Option<Script>, Error> {
    let script = match value {
        Value::Block(script) => script.clone(),
        value => parse(&value.text(), true)?.0,
    };
    let [Statement::Pipeline(Pipeline { stages, redirect: None })] = script.as_slice() else {
        return Err(wrong());
    };
    let [stage] = stages.as_slice() else { return Err(wrong()) };
    if matches!(stage, Stage::Command { elements, .. } if elements.is_empty())
        && !matches!(value, Value::Block(_))
    {
        return Ok(None);
    }
    let whole = of_stage(stage)?;
    Ok(Some(vec![Statement::Pipeline(Pipeline { stages: vec![Stage::Value(whole)], redirect: None })]))
}

fn wrong() -> Error {
    let text = "-Filter compares properties: {SipAddress -like \"*@litwareinc.com\" -and Enabled -eq $True}.";
    Error::new(Fault::ParameterArgumentValidationError, text)
}

fn of_stage(stage: &Stage) -> Result<Expression, Error> {
    match stage {
        Stage::Value(value) => of_value(value),
        Stage::Command { name, elements } => {
            let first = Element::Argument(Expression::Text(
                crate::language::ast::Quote::Bare,
                vec![Part::Text(name.clone())],
            ));
            let all: Vec<&Element> = std::iter::once(&first).chain(elements).collect();
            of_elements(&all)
        }
    }
}

/// `(A -eq 1) -or (B -eq 2)`, and `$_.A -eq 1`.
fn of_value(value: &Expression) -> Result<Expression, Error> {
    Ok(match value {
        Expression::Group(pipeline) => match pipeline.stages.as_slice() {
            [stage] => of_stage(stage)?,
            _ => return Err(wrong()),
        },
        Expression::Binary(operator @ (Binary::And | Binary::Or), left, right) => {
            Expression::Binary(*operator, Box::new(of_value(left)?), Box::new(of_value(right)?))
        }
        Expression::Unary(operator, of) => Expression::Unary(*operator, Box::new(of_value(of)?)),
        other => other.clone(),
    })
}

/// `A -eq 1 -and B -like "x*"`, from left to right.
fn of_elements(elements: &[&Element]) -> Result<Expression, Error> {
    let (mut whole, mut rest) = comparison(elements)?;
    while let Some((joint, behind)) = rest.split_first() {
        let operator = match joint {
            Element::Parameter { name, value: None, .. } => {
                Binary::of_word(name).map(|(operator, _)| operator)
            }
            _ => None,
        };
        let Some(operator @ (Binary::And | Binary::Or)) = operator else { return Err(wrong()) };
        let (right, further) = comparison(behind)?;
        whole = Expression::Binary(operator, Box::new(whole), Box::new(right));
        rest = further;
    }
    Ok(whole)
}

/// One comparison or group at the beginning, and what stands behind it.
fn comparison<'e>(elements: &'e [&'e Element]) -> Result<(Expression, &'e [&'e Element]), Error> {
    match elements {
        [Element::Argument(group @ Expression::Group(_)), rest @ ..] => Ok((of_value(group)?, rest)),
        [property, Element::Parameter { name, value: None, .. }, Element::Argument(right), rest @ ..] => {
            let property = word(property).ok_or_else(wrong)?;
            let (operator, _) = Binary::of_word(name).ok_or_else(wrong)?;
            let this = Box::new(Expression::Variable("_".to_owned()));
            let left = Box::new(Expression::Member(this, property.to_owned()));
            Ok((Expression::Binary(operator, left, Box::new(right.clone())), rest))
        }
        _ => Err(wrong()),
    }
}
