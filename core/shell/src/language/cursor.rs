//! A place in a text: characters one by one, lines, and what had to be repaired on the way.

/// Something that a page got wrong and that was read as it was meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Repair {
    /// Line, from 1.
    pub line: usize,
    /// What was read as what.
    pub text: String,
}

/// Why a script cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub text: String,
    /// More lines could make it right: a quote or bracket is open at the end.
    pub unfinished: bool,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl std::error::Error for Wrong {}

/// Brackets within brackets that are read.
const DEEPEST: usize = 32;

pub(super) struct Cursor {
    chars: Vec<char>,
    pub(super) at: usize,
    /// Reads only what PowerShell reads.
    pub(super) strict: bool,
    pub(super) repairs: Vec<Repair>,
    depth: usize,
}

impl Cursor {
    pub(super) fn new(text: &str, strict: bool) -> Cursor {
        Cursor { chars: text.chars().collect(), at: 0, strict, repairs: Vec::new(), depth: 0 }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, offset: usize) -> Option<char> {
        self.chars.get(self.at + offset).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    pub(super) fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    pub(super) fn take_text(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(offset, c)| self.peek_at(offset) == Some(c));
        self.at += if found { text.chars().count() } else { 0 };
        found
    }

    pub(super) fn take_while(&mut self, good: impl Fn(char) -> bool) -> String {
        let from = self.at;
        while self.peek().is_some_and(&good) {
            self.at += 1;
        }
        self.since(from)
    }

    pub(super) fn since(&self, from: usize) -> String {
        self.chars.get(from..self.at).unwrap_or_default().iter().collect()
    }

    pub(super) fn at_line_start(&self) -> bool {
        let before = self.chars.get(..self.at).unwrap_or_default();
        before.iter().rev().find(|c| !matches!(c, ' ' | '\t')).is_none_or(|c| *c == '\n')
    }

    /// Blanks, lines continued by a backtick, comments in the middle of a line.
    pub(super) fn skip_blanks(&mut self) {
        loop {
            match (self.peek(), self.peek_at(1), self.peek_at(2)) {
                (Some(c), ..) if is_blank(c) => self.at += 1,
                (Some('`'), Some('\n'), _) => self.at += 2,
                (Some('`'), Some('\r'), Some('\n')) => self.at += 3,
                (Some('<'), Some('#'), _) => self.skip_block_comment(),
                _ => return,
            }
        }
    }

    /// The same, and line ends and comments.
    pub(super) fn skip_lines(&mut self) {
        loop {
            self.skip_blanks();
            match self.peek() {
                Some('\n') => self.at += 1,
                Some('#') => _ = self.take_while(|c| c != '\n'),
                _ => return,
            }
        }
    }

    fn skip_block_comment(&mut self) {
        self.at += 2;
        while self.peek().is_some() && !self.take_text("#>") {
            self.at += 1;
        }
    }

    pub(super) fn line(&self) -> usize {
        let before = self.chars.get(..self.at.min(self.chars.len())).unwrap_or_default();
        before.iter().filter(|c| **c == '\n').count() + 1
    }

    pub(super) fn repair(&mut self, text: impl Into<String>) {
        let repair = Repair { line: self.line(), text: text.into() };
        if !self.strict && !self.repairs.contains(&repair) {
            self.repairs.push(repair);
        }
    }

    pub(super) fn wrong(&self, text: impl Into<String>) -> Wrong {
        Wrong { line: self.line(), text: text.into(), unfinished: false }
    }

    /// Nothing more is there, and something is missing.
    pub(super) fn unfinished(&self, text: impl Into<String>) -> Wrong {
        Wrong { unfinished: self.peek().is_none(), ..self.wrong(text) }
    }

    pub(super) fn expect(&mut self, c: char, what: &str) -> Result<(), Wrong> {
        match self.take(c) {
            true => Ok(()),
            false => Err(self.unfinished(format!("`{c}` is missing {what}"))),
        }
    }

    /// Reads something inside something else.
    pub(super) fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Cursor) -> Result<T, Wrong>,
    ) -> Result<T, Wrong> {
        if self.depth == DEEPEST {
            return Err(self.wrong(format!("more than {DEEPEST} brackets within brackets")));
        }
        self.depth += 1;
        let found = read(self);
        self.depth -= 1;
        found
    }
}

pub(super) fn is_blank(c: char) -> bool {
    c != '\n' && (c.is_whitespace() || c == '\u{feff}' || c == '\u{200b}')
}

/// PowerShell takes all of these for the dash of a parameter.
pub(super) fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2013}' | '\u{2014}' | '\u{2015}')
}

/// PowerShell takes all of these for a double quote.
pub(super) fn is_double(c: char) -> bool {
    matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}')
}

/// PowerShell takes all of these for a single quote.
pub(super) fn is_single(c: char) -> bool {
    matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}')
}

pub(super) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
