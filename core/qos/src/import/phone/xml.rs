//! XML as it is pasted from articles: what broke on its way through a web page is mended and named, the rest is XML
//! without a document type, and so without entities of its own.

use roxmltree::{Document, ParsingOptions};

use super::super::Note;
use super::note;

/// Most nodes of a file: real ones have some thousands.
const MAX_NODES: u32 = 500_000;
/// Most broken comments that are told one by one.
const MAX_NOTES: usize = 20;

/// A text that is XML now, with what was done to it. Lines stay where they were.
pub(super) struct Mended {
    text: String,
    pub(super) notes: Vec<Note>,
}

impl Mended {
    /// Mends comments with a dash for two hyphens, curly quotes, blanks before the declaration, and elements that
    /// stand side by side without a root.
    pub(super) fn from_text(text: &str) -> Result<Mended, Vec<Note>> {
        let mut mended = Mended { text: text.to_owned(), notes: Vec::new() };
        mended.comments()?;
        mended.quotes();
        mended.start();
        let Err(error) = mended.parse().map(|_| ()) else { return Ok(mended) };
        let rooted = mended.with_root();
        match rooted.parse().map(|_| ()) {
            Ok(()) => Ok(rooted),
            Err(_) => Err(vec![place(text, &error)]),
        }
    }

    /// The document.
    pub(super) fn parse(&self) -> Result<Document<'_>, roxmltree::Error> {
        let options =
            ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
        Document::parse_with_options(&self.text, options)
    }

    /// Lines by the place of a byte.
    pub(super) fn line_starts(&self) -> Vec<usize> {
        let ends = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect()
    }

    /// Replaces each broken comment by its line breaks.
    fn comments(&mut self) -> Result<(), Vec<Note>> {
        let (mut done, mut rest, mut line) = (String::new(), self.text.as_str(), 1);
        while let Some(at) = rest.find("<!") {
            let (before, from) = rest.split_at(at);
            line += count_lines(before);
            done.push_str(before);
            let dash = from.chars().nth(2).filter(|c| is_dash(*c));
            let length = match dash {
                None => 2,
                Some(dash) => {
                    let Some(length) = comment_length(from) else {
                        return Err(vec![note(
                            line,
                            format!("a comment that begins with `<!{dash}` and never ends"),
                        )]);
                    };
                    if self.notes.len() < MAX_NOTES {
                        let text = format!(
                            "a comment is written `<!{dash}`, with a dash for two hyphens; phones refuse it"
                        );
                        self.notes.push(note(line, text));
                    }
                    length
                }
            };
            let (piece, behind) = from.split_at(length);
            match dash {
                None => done.push_str(piece),
                Some(_) => done.extend(piece.chars().filter(|c| *c == '\n')),
            }
            line += count_lines(piece);
            rest = behind;
        }
        done.push_str(rest);
        self.text = done;
        Ok(())
    }

    fn quotes(&mut self) {
        let curly = |c: char| matches!(c, '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{2033}');
        let Some(at) = self.text.find(curly) else { return };
        let line = self.text.get(..at).map_or(0, count_lines) + 1;
        self.notes.push(note(line, "quotes are curly, as in a web page; phones refuse them"));
        self.text = self.text.replace(curly, "\"");
    }

    /// Blanks before the declaration: it is taken away and they stay, so that lines keep their numbers.
    fn start(&mut self) {
        let blank = self.text.len() - self.text.trim_start().len();
        if blank == 0 || !self.text.trim_start().starts_with("<?xml") {
            return;
        }
        self.notes.push(note(1, "blanks stand before the XML declaration; phones may refuse it"));
        let (blanks, declared) = self.text.split_at(blank);
        let newlines: String = blanks.chars().filter(|c| *c == '\n').collect();
        if let Some((declaration, body)) = declared.split_once("?>") {
            let more: String = declaration.chars().filter(|c| *c == '\n').collect();
            self.text = format!("{newlines}{more}{body}");
        }
    }

    fn with_root(mut self) -> Mended {
        let (head, body) = match self.text.split_once("?>") {
            Some((head, body)) if head.trim_start().starts_with("<?xml") => (format!("{head}?>"), body),
            _ => (String::new(), self.text.as_str()),
        };
        self.text = format!("{head}<several>{body}</several>");
        self.notes.push(note(
            1,
            "several elements stand side by side; XML wants one around them, and phones refuse it",
        ));
        self
    }
}

/// The error with its line, which the parser does not tell of a document type.
fn place(text: &str, error: &roxmltree::Error) -> Note {
    let document_type =
        matches!(error, roxmltree::Error::DtdDetected).then(|| text.find("<!DOCTYPE")).flatten();
    let line = match document_type.and_then(|at| text.get(..at)) {
        Some(before) => count_lines(before) + 1,
        None => usize::try_from(error.pos().row).unwrap_or(1),
    };
    note(line, format!("no XML that is read here: {error}"))
}

fn is_dash(c: char) -> bool {
    matches!(c, '\u{2013}' | '\u{2014}')
}

/// Bytes of a comment up to the first `>` behind a dash or hyphen.
fn comment_length(from: &str) -> Option<usize> {
    let end = |at: &usize| {
        from.get(..*at).and_then(|head| head.chars().next_back()).is_some_and(|c| c == '-' || is_dash(c))
    };
    from.match_indices('>').map(|(at, _)| at).skip_while(|at| *at < 6).find(end).map(|at| at + 1)
}

fn count_lines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// The line of a byte, by the places where lines start.
pub(super) fn line(starts: &[usize], at: usize) -> usize {
    starts.partition_point(|start| *start <= at)
}
