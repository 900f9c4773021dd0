//! Statements, pipelines and commands. What pages wrap or misprint is read as it was meant, unless reading is strict.

use super::ast::{Element, Expression, Pipeline, Redirect, Script, Stage, Statement};
use super::cursor::{Cursor, Wrong, is_blank, is_dash, is_double, is_name, is_single};
use super::{expression, text};

/// Statements up to the end, or up to a closing bracket if one is named.
pub(super) fn script(cursor: &mut Cursor, until: Option<char>) -> Result<Script, Wrong> {
    let mut statements = Vec::new();
    loop {
        separators(cursor);
        prompt(cursor);
        match (cursor.peek(), until) {
            (None, None) => return Ok(statements),
            (None, Some(c)) => return Err(cursor.unfinished(format!("`{c}` is missing"))),
            (Some(c), Some(end)) if c == end => return Ok(statements),
            _ => statements.push(statement(cursor)?),
        }
        cursor.skip_blanks();
        match cursor.peek() {
            None | Some(';' | '\n' | '#') => {}
            Some(c) if Some(c) == until => {}
            Some(c) => return Err(cursor.wrong(format!("`{c}` is not expected here"))),
        }
    }
}

fn separators(cursor: &mut Cursor) {
    loop {
        cursor.skip_lines();
        if !cursor.take(';') {
            return;
        }
    }
}

/// `PS C:\>`, `[PS] C:\>` and `>>` in front of a pasted line.
fn prompt(cursor: &mut Cursor) {
    if cursor.strict || !cursor.at_line_start() {
        return;
    }
    let from = cursor.at;
    let begins = cursor.take_text("PS ")
        || cursor.take_text("PS>")
        || cursor.take_text("[PS]")
        || cursor.take_text(">> ");
    if !begins {
        return;
    }
    let shown = cursor.since(from);
    if !shown.contains('>') {
        cursor.take_while(|c| c != '>' && c != '\n' && c != '|' && c != '"');
        if !cursor.take('>') {
            cursor.at = from;
            return;
        }
    }
    let shown = cursor.since(from);
    cursor.repair(format!("the prompt `{}` is left out", shown.trim()));
    cursor.skip_lines();
}

/// Words that begin statements in PowerShell, and that documents of cmdlets do not use.
const UNREAD: [&str; 9] = ["try", "function", "filter", "while", "switch", "do", "for", "param", "trap"];

fn statement(cursor: &mut Cursor) -> Result<Statement, Wrong> {
    let from = cursor.at;
    let word = cursor.take_while(|c| c.is_ascii_alphabetic()).to_ascii_lowercase();
    cursor.skip_blanks();
    let begins_block = matches!(cursor.peek(), Some('(' | '{'));
    if UNREAD.contains(&word.as_str()) && (begins_block || word == "function") {
        return Err(
            cursor.wrong(format!("`{word}` is not read here; of such words only foreach, if and else are"))
        );
    }
    if cursor.peek() == Some('(') {
        match word.as_str() {
            "foreach" => return cursor.deeper(foreach),
            "if" => return cursor.deeper(condition),
            _ => {}
        }
    }
    cursor.at = from;
    if let Some((variable, property)) = assigned(cursor) {
        cursor.skip_lines();
        let value = pipeline(cursor)?;
        return Ok(Statement::Assign { variable, property, value });
    }
    cursor.at = from;
    pipeline(cursor).map(Statement::Pipeline)
}

/// `$x =`, `$x.Property =` or `$x["key"] =`.
fn assigned(cursor: &mut Cursor) -> Option<(String, Option<String>)> {
    if !cursor.take('$') {
        return None;
    }
    let variable = cursor.take_while(is_name);
    let property = match cursor.take('[') {
        true => Some(key(cursor)?),
        false => cursor.take('.').then(|| cursor.take_while(is_name)),
    };
    cursor.skip_blanks();
    let named = !variable.is_empty() && property.as_ref().is_none_or(|name| !name.is_empty());
    (named && cursor.take('=')).then_some((variable, property))
}

/// `"key"]`.
fn key(cursor: &mut Cursor) -> Option<String> {
    let quoted = cursor.peek().is_some_and(|c| is_double(c) || is_single(c));
    let text = if quoted { text::quoted(cursor).ok()? } else { return None };
    match (text, cursor.take(']')) {
        (Expression::Text(_, parts), true) => match parts.as_slice() {
            [super::ast::Part::Text(key)] => Some(key.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn foreach(cursor: &mut Cursor) -> Result<Statement, Wrong> {
    cursor.expect('(', "behind foreach")?;
    cursor.skip_lines();
    cursor.expect('$', "in front of the variable of foreach")?;
    let variable = cursor.take_while(is_name);
    cursor.skip_lines();
    if !(cursor.take_text("in") || cursor.take_text("IN") || cursor.take_text("In")) || variable.is_empty() {
        return Err(cursor.unfinished("write foreach ($item in $list) { … }"));
    }
    cursor.skip_lines();
    let list = pipeline(cursor)?;
    cursor.skip_lines();
    cursor.expect(')', "behind the list of foreach")?;
    let body = block(cursor)?;
    Ok(Statement::Foreach { variable, list, body })
}

fn condition(cursor: &mut Cursor) -> Result<Statement, Wrong> {
    cursor.expect('(', "behind if")?;
    cursor.skip_lines();
    let condition = pipeline(cursor)?;
    cursor.skip_lines();
    cursor.expect(')', "behind the condition of if")?;
    let yes = block(cursor)?;
    let from = cursor.at;
    cursor.skip_lines();
    let word = cursor.take_while(|c| c.is_ascii_alphabetic()).to_ascii_lowercase();
    let no = match word.as_str() {
        "else" => block(cursor)?,
        "elseif" => {
            cursor.skip_blanks();
            vec![cursor.deeper(self::condition)?]
        }
        _ => {
            cursor.at = from;
            Script::new()
        }
    };
    Ok(Statement::If { condition, yes, no })
}

/// `{ … }`.
pub(super) fn block(cursor: &mut Cursor) -> Result<Script, Wrong> {
    cursor.skip_lines();
    cursor.expect('{', "in front of what is to be done")?;
    let body = cursor.deeper(|cursor| script(cursor, Some('}')))?;
    cursor.expect('}', "behind what is to be done")?;
    Ok(body)
}

/// Stages between `|`.
pub(super) fn pipeline(cursor: &mut Cursor) -> Result<Pipeline, Wrong> {
    let mut stages = vec![stage(cursor)?];
    while another_stage(cursor) {
        cursor.skip_lines();
        stages.push(stage(cursor)?);
    }
    Ok(Pipeline { stages, redirect: redirect(cursor)? })
}

/// `|` here, or at the beginning of the next line.
fn another_stage(cursor: &mut Cursor) -> bool {
    cursor.skip_blanks();
    let from = cursor.at;
    if cursor.peek() == Some('\n') {
        cursor.skip_lines();
    }
    let found = cursor.take('|');
    if !found {
        cursor.at = from;
    }
    found
}

fn redirect(cursor: &mut Cursor) -> Result<Option<Redirect>, Wrong> {
    cursor.skip_blanks();
    if !cursor.take('>') {
        return Ok(None);
    }
    let append = cursor.take('>');
    cursor.skip_blanks();
    let path = argument(cursor)?.ok_or_else(|| cursor.unfinished("the file behind `>` is missing"))?;
    Ok(Some(Redirect { append, path }))
}

fn stage(cursor: &mut Cursor) -> Result<Stage, Wrong> {
    cursor.skip_blanks();
    match cursor.peek() {
        None => Err(cursor.unfinished("a command is missing")),
        Some('$' | '(' | '@' | '{' | '!' | '[') => expression::whole(cursor).map(Stage::Value),
        Some(c) if c.is_ascii_digit() || is_double(c) || is_single(c) => {
            expression::whole(cursor).map(Stage::Value)
        }
        Some(c) if is_dash(c) && begins_value(cursor) => expression::whole(cursor).map(Stage::Value),
        Some('&' | '.') => Err(cursor.wrong("programs and other scripts are not run here; only cmdlets are")),
        Some('<') => Err(placeholder(cursor)),
        Some(_) => command(cursor),
    }
}

/// `-not …`, `-5`.
fn begins_value(cursor: &Cursor) -> bool {
    let word: String = (1..4).filter_map(|offset| cursor.peek_at(offset)).collect();
    cursor.peek_at(1).is_some_and(|c| c.is_ascii_digit()) || word.eq_ignore_ascii_case("not")
}

fn command(cursor: &mut Cursor) -> Result<Stage, Wrong> {
    let name: String = cursor.take_while(|c| is_name(c) || is_dash(c) || matches!(c, '%' | '?' | '\\'));
    if name.is_empty() || name.starts_with(is_dash) {
        let c = cursor.peek().unwrap_or_default();
        let shown = if name.is_empty() { c.to_string() } else { name };
        return Err(cursor.unfinished(format!("`{shown}` begins no command")));
    }
    let name = plain_dashes(name, cursor);
    let mut elements = Vec::new();
    while let Some(element) = element(cursor)? {
        elements.push(element);
    }
    Ok(Stage::Command { name, elements })
}

fn plain_dashes(name: String, cursor: &mut Cursor) -> String {
    let plain: String = name.chars().map(|c| if is_dash(c) { '-' } else { c }).collect();
    if plain != name {
        cursor.repair(format!("a typographic dash in `{name}` is read as `-`"));
    }
    plain
}

fn element(cursor: &mut Cursor) -> Result<Option<Element>, Wrong> {
    cursor.skip_blanks();
    if cursor.peek() == Some('\n') && !continues(cursor) {
        return Ok(None);
    }
    match cursor.peek() {
        Some(c) if is_dash(c) => match parameter(cursor)? {
            Some(parameter) => Ok(Some(parameter)),
            None => Ok(argument(cursor)?.map(Element::Argument)),
        },
        _ => Ok(argument(cursor)?.map(Element::Argument)),
    }
}

/// Whether the next line goes on with this command: it begins with a parameter, or with a number, as pages wrap them.
fn continues(cursor: &mut Cursor) -> bool {
    if cursor.strict {
        return false;
    }
    let from = cursor.at;
    while matches!(cursor.peek(), Some(c) if is_blank(c) || c == '\n') {
        cursor.at += 1;
    }
    let letter = |offset| cursor.peek_at(offset).is_some_and(|c| c.is_ascii_alphabetic());
    let dash = cursor.peek().is_some_and(is_dash);
    let goes_on = match cursor.peek() {
        Some(_) if dash => letter(1) || (cursor.peek_at(1) == Some(' ') && letter(2)),
        Some(c) => c.is_ascii_digit(),
        None => false,
    };
    if goes_on {
        cursor.repair("a line that goes on with the command before it is joined to it");
    } else {
        cursor.at = from;
    }
    goes_on
}

/// `-Name`, `-Name:value`; nothing if the dash begins no parameter.
fn parameter(cursor: &mut Cursor) -> Result<Option<Element>, Wrong> {
    let from = cursor.at;
    let dash = cursor.next();
    let blank = cursor.peek() == Some(' ') && cursor.peek_at(1).is_some_and(|c| c.is_ascii_alphabetic());
    if blank && !cursor.strict {
        cursor.at += 1;
    }
    if !cursor.peek().is_some_and(|c| c.is_ascii_alphabetic() || c == '?') {
        cursor.at = from;
        return Ok(None);
    }
    let name = cursor.take_while(|c| is_name(c) || c == '?');
    if blank && !cursor.strict {
        cursor.repair(format!("`- {name}` is read as `-{name}`"));
    } else if dash != Some('-') {
        cursor.repair(format!("the typographic dash of `{}{name}` is read as `-`", dash.unwrap_or_default()));
    }
    let colon = cursor.take(':');
    if colon {
        cursor.skip_blanks();
    }
    let another =
        cursor.peek().is_none_or(|c| is_dash(c) && !cursor.peek_at(1).is_some_and(|c| c.is_ascii_digit()));
    let value = if colon && !another { argument(cursor)? } else { None };
    Ok(Some(Element::Parameter { name, colon, value }))
}

/// A value behind a command: a list is one. Nothing at the end of the command.
pub(super) fn argument(cursor: &mut Cursor) -> Result<Option<Expression>, Wrong> {
    expression::comma_list(cursor, item)
}

fn item(cursor: &mut Cursor) -> Result<Option<Expression>, Wrong> {
    match cursor.peek() {
        None | Some('\n' | ';' | '|' | ')' | '}' | '#' | '>' | ',') => Ok(None),
        Some('(' | '@' | '{') => expression::operand(cursor).map(Some),
        Some('$') if cursor.peek_at(1).is_some_and(|c| is_name(c) || c == '(' || c == '{') => {
            expression::operand(cursor).map(Some)
        }
        Some('<') => Err(placeholder(cursor)),
        Some('&') => Err(cursor.wrong("`&` is not expected here; write a text with it in quotes")),
        Some(c) if is_double(c) || is_single(c) => expression::operand(cursor).map(Some),
        Some(_) => text::bare(cursor).map(Some),
    }
}

fn placeholder(cursor: &mut Cursor) -> Wrong {
    let word = cursor.take_while(|c| c != '>' && c != '\n');
    cursor.wrong(format!("`{word}>` stands for a value of your own; put that in its place"))
}
