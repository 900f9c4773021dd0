//! A script as text again: reading it gives the same script.

use std::fmt::{Display, Formatter, Result};

use super::ast::{Binary, Cast, Element, Expression, Part, Pipeline, Quote, Script, Stage, Statement, Unary};

/// The script, a statement per line.
pub fn print(script: &Script) -> String {
    script.iter().map(|statement| format!("{statement}\n")).collect()
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Statement::Pipeline(pipeline) => write!(f, "{pipeline}"),
            Statement::Assign { variable, property: None, value } => write!(f, "${variable} = {value}"),
            Statement::Assign { variable, property: Some(name), value } => {
                write!(f, "${variable}.{name} = {value}")
            }
            Statement::Foreach { variable, list, body } => {
                write!(f, "foreach (${variable} in {list}) {{ {} }}", joined(body))
            }
            Statement::If { condition, yes, no } => {
                write!(f, "if ({condition}) {{ {} }}", joined(yes))?;
                if no.is_empty() { Ok(()) } else { write!(f, " else {{ {} }}", joined(no)) }
            }
        }
    }
}

fn joined(script: &Script) -> String {
    script.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Display for Pipeline {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let stages: Vec<String> = self.stages.iter().map(ToString::to_string).collect();
        write!(f, "{}", stages.join(" | "))?;
        match &self.redirect {
            Some(redirect) => write!(f, " {} {}", if redirect.append { ">>" } else { ">" }, redirect.path),
            None => Ok(()),
        }
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Stage::Command { name, elements } => {
                write!(f, "{name}")?;
                elements.iter().try_for_each(|element| write!(f, " {element}"))
            }
            Stage::Value(value) => write!(f, "{value}"),
        }
    }
}

impl Display for Element {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Element::Parameter { name, colon: false, .. } => write!(f, "-{name}"),
            Element::Parameter { name, value: None, .. } => write!(f, "-{name}:"),
            Element::Parameter { name, value: Some(value), .. } => write!(f, "-{name}:{value}"),
            Element::Argument(value) => write!(f, "{value}"),
        }
    }
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Expression::Text(quote, parts) => text(f, *quote, parts),
            Expression::Number(number) => write!(f, "{number}"),
            Expression::Variable(name) => write!(f, "{}", variable(name)),
            Expression::List(items) => {
                write!(f, "{}", items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            }
            Expression::Array(script) => write!(f, "@({})", joined(script)),
            Expression::Script(script) => write!(f, "$({})", joined(script)),
            Expression::Table(entries) => table(f, entries),
            Expression::Block(script) => write!(f, "{{ {} }}", joined(script)),
            Expression::Group(pipeline) => write!(f, "({pipeline})"),
            Expression::Splat(name) => write!(f, "@{name}"),
            Expression::Member(of, name) => write!(f, "{of}.{name}"),
            Expression::Call(of, name, arguments) => {
                let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
                write!(f, "{of}.{name}({})", arguments.join(", "))
            }
            Expression::Index(of, index) => write!(f, "{of}[{index}]"),
            Expression::Unary(Unary::Not, of) => write!(f, "-not {of}"),
            Expression::Unary(Unary::Minus, of) => write!(f, "-{of}"),
            Expression::Cast(to, of) => write!(f, "[{}]{of}", type_word(*to)),
            Expression::Binary(operator, left, right) => write!(f, "{left} {} {right}", symbol(*operator)),
        }
    }
}

fn variable(name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(super::cursor::is_name);
    if plain { format!("${name}") } else { format!("${{{name}}}") }
}

fn table(f: &mut Formatter<'_>, entries: &[(String, Pipeline)]) -> Result {
    let entries: Vec<String> =
        entries.iter().map(|(key, value)| format!("'{}' = {value}", key.replace('\'', "''"))).collect();
    write!(f, "@{{ {} }}", entries.join("; "))
}

fn type_word(to: Cast) -> &'static str {
    Cast::WORDS.iter().find(|(_, known)| *known == to).map_or("", |(word, _)| *word)
}

fn symbol(operator: Binary) -> String {
    match operator {
        Binary::Add => "+".to_owned(),
        Binary::Subtract => "-".to_owned(),
        Binary::Multiply => "*".to_owned(),
        Binary::Divide => "/".to_owned(),
        Binary::Remainder => "%".to_owned(),
        Binary::Range => "..".to_owned(),
        word => {
            let found = Binary::WORDS.iter().find(|(_, operator, _)| *operator == word);
            found.map(|(name, ..)| format!("-{name}")).unwrap_or_default()
        }
    }
}

fn text(f: &mut Formatter<'_>, quote: Quote, parts: &[Part]) -> Result {
    if quote == Quote::Single {
        let text: String =
            parts.iter().map(|part| if let Part::Text(text) = part { text.as_str() } else { "" }).collect();
        return write!(f, "'{}'", quotes_doubled(&text));
    }
    let mark = if quote == Quote::Double { "\"" } else { "" };
    write!(f, "{mark}")?;
    for part in parts {
        match part {
            Part::Value(Expression::Variable(name)) => write!(f, "${{{name}}}")?,
            Part::Value(value) => write!(f, "{value}")?,
            Part::Text(text) if quote == Quote::Double => escape(f, text, |c| c == '$')?,
            Part::Text(text) => escape(f, text, |c| !is_plain(c))?,
        }
    }
    // A word of nothing, or one that would read as a number, needs its quotes.
    if quote == Quote::Bare && parts.is_empty() {
        write!(f, "''")?;
    }
    write!(f, "{mark}")
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(c, ':' | '\\' | '/' | '.' | '_' | '*' | '=' | '+' | '%' | '?' | '!' | '^' | '~')
}

fn escape(f: &mut Formatter<'_>, text: &str, special: impl Fn(char) -> bool) -> Result {
    for (place, c) in text.chars().enumerate() {
        match c {
            '\n' => write!(f, "`n")?,
            '\t' => write!(f, "`t")?,
            '\r' => write!(f, "`r")?,
            // Behind a backtick these three are something else; between words they need none.
            'n' | 't' | 'r' => write!(f, "{c}")?,
            '-' if place > 0 => write!(f, "-")?,
            '`' => write!(f, "``")?,
            c if super::cursor::is_double(c) || special(c) => write!(f, "`{c}")?,
            c => write!(f, "{c}")?,
        }
    }
    Ok(())
}

/// Every kind of single quote ends a text in single quotes, so each is written twice.
fn quotes_doubled(text: &str) -> String {
    text.chars().flat_map(|c| std::iter::repeat_n(c, 1 + usize::from(super::cursor::is_single(c)))).collect()
}
