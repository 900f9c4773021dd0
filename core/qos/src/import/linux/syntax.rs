//! The outer form of a rule set: statements of words, quoted texts and blocks. What they mean is not known here.

use super::{Note, at};

/// One statement, up to a semicolon or the end of its line.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Statement {
    /// Of its first word, from 1.
    pub(super) line: u32,
    pub(super) items: Vec<Item>,
}

/// What statements are made of.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Item {
    /// Anything without quotes; `,` is a word of its own.
    Word(String),
    /// What stood in quotes.
    Text(String),
    /// What stood in braces.
    Block(Vec<Statement>),
}

impl Item {
    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Item::Word(word) => Some(word),
            _ => None,
        }
    }
}

impl Statement {
    /// The words at its beginning.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map_while(Item::word)
    }
}

/// Blocks in blocks: a table, a chain, a map, its element. More is no rule set.
const MAX_DEPTH: usize = 8;

/// Reads all statements.
///
/// # Errors
/// The place of a brace or quote without its partner.
pub(super) fn parse(text: &str) -> Result<Vec<Statement>, Note> {
    let mut parser = Parser { levels: vec![Level::default()], line: 1 };
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\n' => parser.end_of_line(),
            '\\' if rest[1..].trim_start_matches(['\r', ' ']).starts_with('\n') => parser.joined(rest),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' => parser.quoted(rest)?,
            '{' => parser.open()?,
            '}' => parser.close()?,
            ';' => parser.end(1),
            ',' => parser.push(Item::Word(",".to_owned()), 1),
            c if c.is_whitespace() => c.len_utf8(),
            _ => parser.word(rest),
        };
        rest = &rest[length..];
    }
    parser.finish()
}

#[derive(Default)]
struct Level {
    opened: u32,
    statements: Vec<Statement>,
    current: Option<Statement>,
}

struct Parser {
    levels: Vec<Level>,
    line: u32,
}

/// Each step says how many bytes it took.
impl Parser {
    fn push(&mut self, item: Item, length: usize) -> usize {
        let line = self.line;
        if let Some(level) = self.levels.last_mut() {
            level.current.get_or_insert_with(|| Statement { line, items: Vec::new() }).items.push(item);
        }
        length
    }

    fn end(&mut self, length: usize) -> usize {
        if let Some(level) = self.levels.last_mut() {
            level.statements.extend(level.current.take());
        }
        length
    }

    fn end_of_line(&mut self) -> usize {
        self.line += 1;
        self.end(1)
    }

    /// A backslash at the end of a line goes on with the next.
    fn joined(&mut self, rest: &str) -> usize {
        self.line += 1;
        rest.find('\n').map_or(rest.len(), |end| end + 1)
    }

    fn word(&mut self, rest: &str) -> usize {
        let ends = |c: char| c.is_whitespace() || "{};,\"#".contains(c);
        let length = rest.find(ends).unwrap_or(rest.len());
        self.push(Item::Word(rest[..length].to_owned()), length)
    }

    fn quoted(&mut self, rest: &str) -> Result<usize, Note> {
        let inside = &rest[1..];
        match inside.find(['"', '\n']) {
            Some(end) if inside[end..].starts_with('"') => {
                Ok(self.push(Item::Text(inside[..end].to_owned()), end + 2))
            }
            _ => Err(at(self.line, "a quote is not closed")),
        }
    }

    fn open(&mut self) -> Result<usize, Note> {
        if self.levels.len() > MAX_DEPTH {
            return Err(at(self.line, format!("braces are nested more than {MAX_DEPTH} deep")));
        }
        self.levels.push(Level { opened: self.line, ..Level::default() });
        Ok(1)
    }

    fn close(&mut self) -> Result<usize, Note> {
        self.end(0);
        let block = self.levels.pop().filter(|_| !self.levels.is_empty());
        let block = block.ok_or_else(|| at(self.line, "a brace is closed that was not opened"))?;
        Ok(self.push(Item::Block(block.statements), 1))
    }

    fn finish(mut self) -> Result<Vec<Statement>, Note> {
        self.end(0);
        match self.levels.pop() {
            Some(level) if self.levels.is_empty() => Ok(level.statements),
            Some(level) => Err(at(level.opened, "a brace is not closed")),
            None => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_with_their_line_and_blocks_with_their_brace() {
        let parsed = parse("table inet t { # one\n chain c { a; b }\n}\nadd x \\\n y \"z # z\"\n").unwrap();
        assert_eq!(parsed.len(), 2);
        assert_eq!(parsed[0].words().collect::<Vec<_>>(), ["table", "inet", "t"]);
        let Some(Item::Block(chains)) = parsed[0].items.last() else { panic!("{parsed:?}") };
        let Some(Item::Block(rules)) = chains[0].items.last() else { panic!("{parsed:?}") };
        assert_eq!((chains[0].line, rules.len()), (2, 2));
        assert_eq!(parsed[1].items.len(), 4);
        assert_eq!(parsed[1].items[3], Item::Text("z # z".to_owned()));
    }

    #[test]
    fn what_is_not_closed_is_told_with_its_line() {
        for (text, place) in [("a\nb {\n c", "line 2"), ("a\n}\n", "line 2"), ("\n\n\"x\ny\"", "line 3")] {
            assert_eq!(parse(text).unwrap_err().place, place, "{text}");
        }
        assert_eq!(parse(&"{".repeat(100)).unwrap_err().place, "line 1");
    }
}
