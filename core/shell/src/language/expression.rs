//! Expressions: values, members, operators.

use super::ast::{Binary, Cast, Expression, Unary};
use super::cursor::{Cursor, Wrong, is_dash, is_double, is_name, is_single};
use super::{statement, text};

/// An expression with its operators.
pub(super) fn whole(cursor: &mut Cursor) -> Result<Expression, Wrong> {
    cursor.deeper(|cursor| level(cursor, 1))
}

/// Operators that bind at least so tightly: 1 `-and`, 2 comparison, 3 sum, 4 product, 5 `-f`, 6 `..`.
fn level(cursor: &mut Cursor, tightest: u8) -> Result<Expression, Wrong> {
    if tightest > 6 {
        return list(cursor);
    }
    let mut left = level(cursor, tightest + 1)?;
    while let Some(operator) = operator(cursor, tightest) {
        cursor.skip_lines();
        let right = level(cursor, tightest + 1)?;
        left = Expression::Binary(operator, Box::new(left), Box::new(right));
    }
    Ok(left)
}

fn operator(cursor: &mut Cursor, tightness: u8) -> Option<Binary> {
    let from = cursor.at;
    cursor.skip_blanks();
    let found = match cursor.next() {
        Some(dash) if is_dash(dash) && cursor.peek().is_some_and(|c| c.is_ascii_alphabetic()) => {
            let word = cursor.take_while(|c| c.is_ascii_alphabetic());
            Binary::of_word(&word)
        }
        Some('+') => Some((Binary::Add, 3)),
        Some('-') => Some((Binary::Subtract, 3)),
        Some('*') => Some((Binary::Multiply, 4)),
        Some('/') => Some((Binary::Divide, 4)),
        Some('%') => Some((Binary::Remainder, 4)),
        Some('.') if cursor.take('.') => Some((Binary::Range, 6)),
        _ => None,
    };
    match found {
        Some((operator, found)) if found == tightness => Some(operator),
        _ => {
            cursor.at = from;
            None
        }
    }
}

/// `a, b`: binds more tightly than any operator.
fn list(cursor: &mut Cursor) -> Result<Expression, Wrong> {
    let found = comma_list(cursor, |cursor| unary(cursor).map(Some))?;
    found.ok_or_else(|| cursor.unfinished("a value is missing"))
}

/// `a, b`, of items that `item` reads; one without a comma is itself. Nothing where `item` finds nothing.
pub(super) fn comma_list(
    cursor: &mut Cursor,
    item: fn(&mut Cursor) -> Result<Option<Expression>, Wrong>,
) -> Result<Option<Expression>, Wrong> {
    let Some(first) = item(cursor)? else { return Ok(None) };
    let mut items = vec![first];
    loop {
        let from = cursor.at;
        cursor.skip_blanks();
        if !cursor.take(',') {
            cursor.at = from;
            break;
        }
        cursor.skip_lines();
        let next = item(cursor)?;
        items.push(next.ok_or_else(|| cursor.unfinished("a value is missing behind `,`"))?);
    }
    Ok(Some(match <[Expression; 1]>::try_from(items) {
        Ok([only]) => only,
        Err(items) => Expression::List(items),
    }))
}

fn unary(cursor: &mut Cursor) -> Result<Expression, Wrong> {
    cursor.skip_blanks();
    if cursor.take('!') {
        return cursor.deeper(unary).map(|of| Expression::Unary(Unary::Not, Box::new(of)));
    }
    if cursor.peek().is_some_and(is_dash) {
        let from = cursor.at;
        cursor.at += 1;
        if cursor.take_while(|c| c.is_ascii_alphabetic()).eq_ignore_ascii_case("not") {
            cursor.skip_blanks();
            return cursor.deeper(unary).map(|of| Expression::Unary(Unary::Not, Box::new(of)));
        }
        cursor.at = from + 1;
        return cursor.deeper(unary).map(|of| Expression::Unary(Unary::Minus, Box::new(of)));
    }
    operand(cursor)
}

/// A value with its members.
pub(super) fn operand(cursor: &mut Cursor) -> Result<Expression, Wrong> {
    let mut value = primary(cursor)?;
    loop {
        match (cursor.peek(), cursor.peek_at(1)) {
            (Some('.'), Some(c)) if is_name(c) => {
                cursor.at += 1;
                let name = cursor.take_while(is_name);
                value = match cursor.peek() {
                    Some('(') => Expression::Call(Box::new(value), name, arguments(cursor)?),
                    _ => Expression::Member(Box::new(value), name),
                };
            }
            (Some('['), _) => {
                cursor.at += 1;
                cursor.skip_lines();
                let index = whole(cursor)?;
                cursor.skip_lines();
                cursor.expect(']', "behind the index")?;
                value = Expression::Index(Box::new(value), Box::new(index));
            }
            _ => return Ok(value),
        }
    }
}

fn arguments(cursor: &mut Cursor) -> Result<Vec<Expression>, Wrong> {
    cursor.at += 1;
    cursor.skip_lines();
    if cursor.take(')') {
        return Ok(Vec::new());
    }
    let found = whole(cursor)?;
    cursor.skip_lines();
    cursor.expect(')', "behind the arguments")?;
    Ok(match found {
        Expression::List(items) => items,
        only => vec![only],
    })
}

fn primary(cursor: &mut Cursor) -> Result<Expression, Wrong> {
    match (cursor.peek(), cursor.peek_at(1)) {
        (None, _) => Err(cursor.unfinished("a value is missing")),
        (Some(c), _) if is_double(c) || is_single(c) => text::quoted(cursor),
        (Some('$'), Some('(')) => {
            cursor.at += 2;
            script_until_bracket(cursor).map(Expression::Script)
        }
        (Some('$'), _) => {
            cursor.at += 1;
            variable_name(cursor).map(Expression::Variable)
        }
        (Some('('), _) => {
            cursor.at += 1;
            cursor.skip_lines();
            let pipeline = cursor.deeper(statement::pipeline)?;
            cursor.skip_lines();
            cursor.expect(')', "behind `(`")?;
            Ok(Expression::Group(Box::new(pipeline)))
        }
        (Some('@'), Some('(')) => {
            cursor.at += 2;
            script_until_bracket(cursor).map(Expression::Array)
        }
        (Some('@'), Some('{')) => {
            cursor.at += 2;
            cursor.deeper(table)
        }
        (Some('@'), Some(c)) if is_double(c) || is_single(c) => text::here(cursor),
        (Some('@'), Some(c)) if is_name(c) => {
            cursor.at += 1;
            Ok(Expression::Splat(cursor.take_while(is_name)))
        }
        (Some('{'), _) => statement::block(cursor).map(Expression::Block),
        (Some('['), _) => cursor.deeper(cast),
        (Some(c), _) if c.is_ascii_digit() => number(cursor),
        (Some(c), _) => Err(cursor.wrong(format!("`{c}` begins no value; write a text in quotes"))),
    }
}

/// `[int]$x`. The types are few; `[Type]::Member` is not read.
fn cast(cursor: &mut Cursor) -> Result<Expression, Wrong> {
    cursor.at += 1;
    let word = cursor.take_while(|c| is_name(c) || c == '.');
    let bare = word.rsplit('.').next().unwrap_or_default();
    let Some(to) = Cast::of_word(bare) else {
        return Err(cursor.wrong(format!("the type [{word}] is not known here")));
    };
    cursor.expect(']', "behind a type")?;
    if cursor.peek() == Some(':') {
        return Err(cursor.wrong(format!("members of types, as [{word}]::…, are not known here")));
    }
    unary(cursor).map(|of| Expression::Cast(to, Box::new(of)))
}

fn script_until_bracket(cursor: &mut Cursor) -> Result<super::ast::Script, Wrong> {
    let script = cursor.deeper(|cursor| statement::script(cursor, Some(')')))?;
    cursor.expect(')', "behind the statements")?;
    Ok(script)
}

fn number(cursor: &mut Cursor) -> Result<Expression, Wrong> {
    let word = cursor.take_while(|c| c.is_ascii_alphanumeric());
    match text::number(&word) {
        Some(_) => Ok(Expression::Number(word)),
        None => Err(cursor.wrong(format!("`{word}` is no number"))),
    }
}

/// `x`, `_`, `{any name}` behind a `$`; of `$script:x` the `x`.
pub(super) fn variable_name(cursor: &mut Cursor) -> Result<String, Wrong> {
    if cursor.take('{') {
        let name = cursor.take_while(|c| c != '}' && c != '\n');
        cursor.expect('}', "behind the name of the variable")?;
        return Ok(name);
    }
    let name = cursor.take_while(is_name);
    let scope = ["script", "global", "local", "env"].iter().any(|scope| scope.eq_ignore_ascii_case(&name));
    if scope && cursor.peek() == Some(':') && cursor.peek_at(1).is_some_and(is_name) {
        cursor.at += 1;
        return Ok(cursor.take_while(is_name));
    }
    match name.is_empty() {
        true => Err(cursor.unfinished("the name of a variable is missing behind `$`")),
        false => Ok(name),
    }
}

/// `Add = "x"; Remove = "y"` in `@{ }`.
fn table(cursor: &mut Cursor) -> Result<Expression, Wrong> {
    let mut entries = Vec::new();
    loop {
        cursor.skip_lines();
        if cursor.take(';') {
            continue;
        }
        if cursor.take('}') {
            return Ok(Expression::Table(entries));
        }
        let key = key(cursor)?;
        cursor.skip_blanks();
        cursor.expect('=', "behind a key in `@{ }`")?;
        cursor.skip_lines();
        entries.push((key, statement::pipeline(cursor)?));
        cursor.skip_blanks();
        if !matches!(cursor.peek(), Some(';' | '\n' | '}' | '#')) {
            return Err(cursor.unfinished("`}` is missing behind `@{`"));
        }
    }
}

fn key(cursor: &mut Cursor) -> Result<String, Wrong> {
    if cursor.peek().is_some_and(|c| is_double(c) || is_single(c)) {
        let Expression::Text(_, parts) = text::quoted(cursor)? else { return Ok(String::new()) };
        return match parts.as_slice() {
            [] => Ok(String::new()),
            [super::ast::Part::Text(text)] => Ok(text.clone()),
            _ => Err(cursor.wrong("a key in `@{ }` is a plain word")),
        };
    }
    let name = cursor.take_while(|c| is_name(c) || c == '-');
    match name.is_empty() {
        true => Err(cursor.unfinished("a key is missing in `@{ }`")),
        false => Ok(name),
    }
}
