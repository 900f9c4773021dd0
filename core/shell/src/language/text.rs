//! Texts: quoted ones, and words without quotes.

use super::ast::{Expression, Part, Quote};
use super::cursor::{Cursor, Wrong, is_blank, is_double, is_name, is_single};
use super::{expression, statement};

/// A text in quotes of either kind.
pub(super) fn quoted(cursor: &mut Cursor) -> Result<Expression, Wrong> {
    let quote = cursor.next().unwrap_or_default();
    if !matches!(quote, '"' | '\'') {
        cursor.repair("curly quotes are read as straight ones");
    }
    match is_double(quote) {
        true => double(cursor),
        false => single(cursor),
    }
}

fn single(cursor: &mut Cursor) -> Result<Expression, Wrong> {
    let mut text = String::new();
    loop {
        match cursor.next() {
            None => return Err(cursor.unfinished("the closing quote `'` is missing")),
            Some(c) if is_single(c) => match cursor.peek().is_some_and(is_single) {
                true => {
                    cursor.at += 1;
                    text.push('\'');
                }
                false => return Ok(Expression::Text(Quote::Single, parts(Vec::new(), text))),
            },
            Some(c) => text.push(c),
        }
    }
}

fn double(cursor: &mut Cursor) -> Result<Expression, Wrong> {
    let (mut found, mut text) = (Vec::new(), String::new());
    loop {
        match cursor.peek() {
            None => return Err(cursor.unfinished("the closing quote `\"` is missing")),
            Some(c) if is_double(c) && cursor.peek_at(1).is_some_and(is_double) => {
                cursor.at += 2;
                text.push('"');
            }
            Some(c) if is_double(c) => {
                cursor.at += 1;
                return Ok(Expression::Text(Quote::Double, parts(found, text)));
            }
            Some('$') if embeds(cursor) => {
                found = parts(found, std::mem::take(&mut text));
                found.push(Part::Value(embedded(cursor)?));
            }
            Some('`') => text.push(escaped(cursor)),
            Some(c) => {
                cursor.at += 1;
                text.push(c);
            }
        }
    }
}

/// `@"` and `@'` at the end of a line, up to `"@` and `'@` at the beginning of one: quotes in it are themselves.
pub(super) fn here(cursor: &mut Cursor) -> Result<Expression, Wrong> {
    let quote = cursor.peek_at(1).unwrap_or_default();
    let same = |c: char| if is_double(quote) { is_double(c) } else { is_single(c) };
    cursor.at += 2;
    cursor.skip_blanks();
    if cursor.peek() != Some('\n') {
        return Err(cursor.unfinished(format!("nothing but the end of the line may stand behind `@{quote}`")));
    }
    let ends = |cursor: &Cursor| {
        cursor.peek() == Some('\n') && cursor.peek_at(1).is_some_and(same) && cursor.peek_at(2) == Some('@')
    };
    let (mut found, mut text) = (Vec::new(), String::new());
    let mut first = true;
    while !ends(cursor) {
        match cursor.peek() {
            None => {
                return Err(cursor.unfinished(format!("`{quote}@` is missing at the beginning of a line")));
            }
            Some('\n') if first => cursor.at += 1,
            Some('$') if is_double(quote) && embeds(cursor) => {
                found = parts(found, std::mem::take(&mut text));
                found.push(Part::Value(embedded(cursor)?));
            }
            Some('`') if is_double(quote) => text.push(escaped(cursor)),
            Some(c) => {
                cursor.at += 1;
                text.push(c);
            }
        }
        first = false;
    }
    cursor.at += 3;
    let quote = if is_double(quote) { Quote::Double } else { Quote::Single };
    Ok(Expression::Text(quote, parts(found, text)))
}

/// A word without quotes: up to a blank or what separates.
pub(super) fn bare(cursor: &mut Cursor) -> Result<Expression, Wrong> {
    let from = cursor.at;
    let (mut found, mut text) = (Vec::new(), String::new());
    let mut plain = true;
    while let Some(c) = cursor.peek() {
        match c {
            c if is_blank(c) || matches!(c, '\n' | ';' | '|' | '(' | ')' | '{' | '}' | ',' | '&') => break,
            '$' if embeds(cursor) => {
                found = parts(found, std::mem::take(&mut text));
                found.push(Part::Value(embedded(cursor)?));
            }
            '`' => {
                plain = false;
                text.push(escaped(cursor));
            }
            c if is_double(c) || is_single(c) => {
                plain = false;
                quoted_piece(cursor, &mut found, &mut text)?;
            }
            c => {
                cursor.at += 1;
                text.push(c);
            }
        }
    }
    if cursor.at == from {
        let c = cursor.peek().unwrap_or_default();
        return Err(cursor.unfinished(format!("`{c}` is not expected here")));
    }
    let is_number = plain && found.is_empty() && number(&text).is_some();
    match is_number {
        true => Ok(Expression::Number(text)),
        false => Ok(Expression::Text(Quote::Bare, parts(found, text))),
    }
}

/// `C:\"Program Files"\x`: quotes within a word.
fn quoted_piece(cursor: &mut Cursor, found: &mut Vec<Part>, text: &mut String) -> Result<(), Wrong> {
    let Expression::Text(_, pieces) = quoted(cursor)? else { return Ok(()) };
    for piece in pieces {
        match piece {
            Part::Text(piece) => text.push_str(&piece),
            value => {
                *found = parts(std::mem::take(found), std::mem::take(text));
                found.push(value);
            }
        }
    }
    Ok(())
}

fn parts(mut found: Vec<Part>, text: String) -> Vec<Part> {
    if !text.is_empty() {
        found.push(Part::Text(text));
    }
    found
}

/// Whether a `$` begins a value here.
fn embeds(cursor: &Cursor) -> bool {
    cursor.peek_at(1).is_some_and(|c| is_name(c) || c == '(' || c == '{')
}

/// `$x`, `$(…)` within a text. `$x.Name` there is `$x` and a text, as in PowerShell; `$_.Name` outside of quotes is not.
fn embedded(cursor: &mut Cursor) -> Result<Expression, Wrong> {
    cursor.at += 1;
    if cursor.take('(') {
        let script = cursor.deeper(|cursor| statement::script(cursor, Some(')')))?;
        cursor.expect(')', "behind `$(`")?;
        return Ok(Expression::Script(script));
    }
    expression::variable_name(cursor).map(Expression::Variable)
}

/// What a backtick makes of the next character.
fn escaped(cursor: &mut Cursor) -> char {
    cursor.at += 1;
    match cursor.next() {
        Some('n') => '\n',
        Some('t') => '\t',
        Some('r') => '\r',
        Some(c) => c,
        None => '`',
    }
}

/// A number as PowerShell writes it: decimal or hexadecimal, perhaps with `KB`, `MB`, `GB`, `TB`.
pub(crate) fn number(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let lower = digits.to_ascii_lowercase();
    if let Some(hexadecimal) = lower.strip_prefix("0x") {
        let digits = !hexadecimal.is_empty() && hexadecimal.bytes().all(|b| b.is_ascii_hexdigit());
        return digits
            .then(|| i64::from_str_radix(hexadecimal, 16).ok())
            .flatten()
            .map(|number| number * sign);
    }
    let suffix = |name: &str| lower.strip_suffix(name).map(str::to_owned);
    let scaled = [("kb", 10), ("mb", 20), ("gb", 30), ("tb", 40)];
    let scaled = scaled.iter().find_map(|(name, shift)| Some((suffix(name)?, 1_i64 << shift)));
    let (digits, scale) = scaled.unwrap_or((lower, 1));
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<i64>().ok()?.checked_mul(scale)?.checked_mul(sign)
}
