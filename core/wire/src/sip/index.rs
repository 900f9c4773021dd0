//! One pass over the head of a message: where the header lines are, and nothing about what they mean.
//!
//! Offsets only, no lifetime: the same index serves a borrowed datagram and an owned buffer.

use super::lex::{TOKEN, is, is_token};
use super::name::Name;
use super::outcome::{Answer, Garbage};

/// Header lines held without the heap.
const INLINE: usize = 64;
/// Most header lines that are accepted.
const MAX_LINES: usize = 1024;

/// Where the parts of a message are.
#[derive(Clone, Debug)]
pub struct Index {
    pub(super) start: Start,
    /// End of the last header line; the empty line follows, if the head is complete.
    pub(super) fields_end: u32,
    pub(super) body: u32,
    /// Known names present, and present more than once.
    pub(super) seen: u64,
    pub(super) repeated: u64,
    /// The first thing wrong with the lines themselves.
    pub(super) flaw: Option<Answer>,
    /// Number of the first line of each known name, 255 for any later one.
    places: [u8; 64],
    first: [Line; INLINE],
    len: usize,
    spill: Vec<Line>,
}

/// The start line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Request { begin: u32, method_end: u32, uri: u32, uri_end: u32, end: u32 },
    Response { begin: u32, code: u16, reason: u32, end: u32 },
}

/// One header line, from `start` to the start of the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) start: u32,
    pub(super) value: u32,
    pub(super) end: u32,
    pub(super) name_len: u16,
    pub(super) name: Name,
}

const NO_LINE: Line = Line { start: 0, value: 0, end: 0, name_len: 0, name: Name::Other };

impl Index {
    /// Finds the lines of a message. Line breaks before the start line are skipped; the body is not looked at.
    /// A head that ends without its empty line is indexed as far as it goes and marked as flawed.
    pub fn parse(bytes: &[u8]) -> Result<Index, Garbage> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(Garbage::HeadTooLarge);
        }
        let begin = leading_line_breaks(bytes);
        let line = line_at(bytes, begin)?.ok_or(Garbage::NotSip)?;
        let (start, flaw) = start_line(bytes, begin, line.end)?;
        let mut index = Index {
            start,
            fields_end: 0,
            body: 0,
            seen: 0,
            repeated: 0,
            flaw,
            places: [0; 64],
            first: [NO_LINE; INLINE],
            len: 0,
            spill: Vec::new(),
        };
        index.scan(bytes, line.next)?;
        Ok(index)
    }

    /// Number of header lines.
    pub fn len(&self) -> usize {
        self.len + self.spill.len()
    }

    /// Whether there is no header line.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(super) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.first.iter().take(self.len).chain(&self.spill)
    }

    /// The lines of a name.
    #[inline]
    pub(super) fn lines_of(&self, name: Name) -> impl Iterator<Item = &Line> {
        let (place, bit) = (self.places.get(name as usize).copied().unwrap_or(0), name.bit());
        let most = if self.repeated & bit != 0 { usize::MAX } else { usize::from(self.seen & bit != 0) };
        self.lines().skip(usize::from(place)).filter(move |line| line.name == name).take(most)
    }

    /// Where line number `at` ends, including its line break.
    pub(super) fn line_end(&self, at: usize) -> u32 {
        self.lines().nth(at + 1).map_or(self.fields_end, |line| line.start)
    }

    fn scan(&mut self, bytes: &[u8], mut at: usize) -> Result<(), Garbage> {
        loop {
            let Some(line) = line_at(bytes, at)? else {
                self.flaw.get_or_insert(Answer::bad_request("Missing Empty Line"));
                (self.fields_end, self.body) = (at as u32, bytes.len() as u32);
                return Ok(());
            };
            if line.end == at {
                (self.fields_end, self.body) = (at as u32, line.next as u32);
                return Ok(());
            }
            let text = bytes.get(at..line.end).unwrap_or_default();
            match text.first() {
                Some(b' ' | b'\t') => self.fold(text, at),
                _ => self.push(text, at)?,
            }
            at = line.next;
        }
    }

    /// A line that begins with white space continues the one before.
    fn fold(&mut self, text: &[u8], at: usize) {
        let end = at + text.trim_ascii_end().len();
        let last = match self.spill.last_mut() {
            Some(line) => Some(line),
            None => self.len.checked_sub(1).and_then(|last| self.first.get_mut(last)),
        };
        match last {
            Some(line) => line.end = line.end.max(end as u32),
            None => _ = self.flaw.get_or_insert(Answer::bad_request("Malformed Start Line")),
        }
    }

    #[inline]
    fn push(&mut self, text: &[u8], at: usize) -> Result<(), Garbage> {
        let line = match header_line(text, at) {
            Some(line) => line,
            None => {
                self.flaw.get_or_insert(Answer::bad_request("Malformed Header Line"));
                Line { start: at as u32, value: at as u32, end: (at + text.len()) as u32, ..NO_LINE }
            }
        };
        let bit = line.name.bit();
        if self.seen & bit == 0 {
            let place = u8::try_from(self.len()).unwrap_or(u8::MAX);
            self.places.get_mut(line.name as usize).into_iter().for_each(|slot| *slot = place);
        }
        self.repeated |= self.seen & bit;
        self.seen |= bit;
        match self.first.get_mut(self.len) {
            Some(place) => {
                *place = line;
                self.len += 1;
            }
            None if self.spill.len() < MAX_LINES - INLINE => self.spill.push(line),
            None => return Err(Garbage::HeadTooLarge),
        }
        Ok(())
    }
}

/// Name, white space, colon, value. White space before the colon is allowed (RFC 3261, 7.3.1).
#[inline]
fn header_line(text: &[u8], at: usize) -> Option<Line> {
    let name_len = text.iter().position(|&b| !is(b, TOKEN))?;
    let name = text.get(..name_len).filter(|name| !name.is_empty())?;
    let blank = |b: &u8| !matches!(b, b' ' | b'\t');
    let colon = name_len + text.get(name_len..)?.iter().position(blank)?;
    if text.get(colon) != Some(&b':') {
        return None;
    }
    let after = text.get(colon + 1..)?;
    let value = colon + 1 + after.iter().position(blank).unwrap_or(after.len());
    let end = text.iter().rposition(blank).map_or(value, |last| value.max(last + 1));
    Some(Line {
        start: at as u32,
        value: (at + value) as u32,
        end: (at + end) as u32,
        name_len: u16::try_from(name_len).ok()?,
        name: Name::of(name),
    })
}

/// A line of text and where the next begins.
struct Span {
    end: usize,
    next: usize,
}

/// The line at `at`; `None` if its line break is missing. A lone CR or LF is garbage: whoever reads
/// it as a line break sees other headers than whoever does not.
#[inline]
fn line_at(bytes: &[u8], at: usize) -> Result<Option<Span>, Garbage> {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(len) = memchr::memchr2(b'\r', b'\n', rest) else { return Ok(None) };
    match (rest.get(len), rest.get(len + 1)) {
        (Some(b'\r'), Some(b'\n')) => Ok(Some(Span { end: at + len, next: at + len + 2 })),
        (Some(b'\r'), None) => Ok(None),
        _ => Err(Garbage::LineEnd),
    }
}

/// Bytes of CRLF before the first other byte (RFC 3261, 7.5).
#[inline]
pub(super) fn leading_line_breaks(bytes: &[u8]) -> usize {
    bytes.chunks_exact(2).take_while(|pair| *pair == b"\r\n").count() * 2
}

fn start_line(bytes: &[u8], begin: usize, end: usize) -> Result<(Start, Option<Answer>), Garbage> {
    let line = bytes.get(begin..end).unwrap_or_default();
    match line.get(..4).is_some_and(|tag| tag.eq_ignore_ascii_case(b"SIP/")) {
        true => Ok((status_line(line, begin).ok_or(Garbage::BadStatus)?, None)),
        false => request_line(line, begin).ok_or(Garbage::NotSip),
    }
}

/// `SIP/2.0 SP code SP reason`; the last space may be missing.
fn status_line(line: &[u8], begin: usize) -> Option<Start> {
    if !line.get(..8)?.eq_ignore_ascii_case(b"SIP/2.0 ") {
        return None;
    }
    let code = super::lex::number(line.get(8..11)?, 699).filter(|code| *code >= 100)?;
    if !matches!(line.get(11), None | Some(b' ')) {
        return None;
    }
    let reason = line.len().min(12);
    Some(Start::Response {
        begin: begin as u32,
        code: code as u16,
        reason: (begin + reason) as u32,
        end: (begin + line.len()) as u32,
    })
}

/// `method SP uri SP SIP/2.0`; whatever ends in a SIP version can be answered.
fn request_line(line: &[u8], begin: usize) -> Option<(Start, Option<Answer>)> {
    let text = line.trim_ascii_end();
    let last = memchr::memrchr(b' ', text)?;
    let version = text.get(last + 1..)?;
    let (major, minor) = super::lex::split_once(version.get(4..)?, b'.')?;
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if !version.get(..4)?.eq_ignore_ascii_case(b"SIP/") || !digits(major) || !digits(minor) {
        return None;
    }
    let method_end = memchr::memchr(b' ', text)?;
    if !is_token(text.get(..method_end)?) || method_end >= last {
        return None;
    }
    let uri = text.get(method_end + 1..last)?;
    let flaw = if (major, minor) != (b"2", b"0") {
        Some(Answer::VERSION)
    } else if text.len() != line.len() || uri.is_empty() || uri.trim_ascii().len() != uri.len() {
        Some(Answer::bad_request("Malformed Request Line"))
    } else {
        None
    };
    let start = Start::Request {
        begin: begin as u32,
        method_end: (begin + method_end) as u32,
        uri: (begin + method_end + 1) as u32,
        uri_end: (begin + last) as u32,
        end: (begin + line.len()) as u32,
    };
    Some((start, flaw))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(text: &str) -> Option<u16> {
        Index::parse(text.as_bytes()).unwrap().flaw.map(|answer| answer.code)
    }

    #[test]
    fn lines_beyond_the_inline_ones_spill_and_are_bounded() {
        let head = |n: usize| format!("OPTIONS sip:a SIP/2.0\r\n{}\r\n", "x: y\r\n".repeat(n));
        for n in [0, 1, 63, 64, 65, 1024] {
            let index = Index::parse(head(n).as_bytes()).unwrap();
            assert_eq!((index.len(), index.lines().count()), (n, n));
        }
        assert_eq!(Index::parse(head(1025).as_bytes()).unwrap_err(), Garbage::HeadTooLarge);
    }

    #[test]
    fn lone_line_breaks_are_garbage() {
        for text in [
            "OPTIONS sip:a SIP/2.0\n\n",
            "OPTIONS sip:a SIP/2.0\r\nx: a\ny: b\r\n\r\n",
            "A b SIP/2.0\r\nx:\ry\r\n\r\n",
        ] {
            assert_eq!(Index::parse(text.as_bytes()).unwrap_err(), Garbage::LineEnd);
        }
    }

    #[test]
    fn other_protocols_are_not_sip() {
        for text in
            ["GET / HTTP/1.1\r\n\r\n", "\r\n\r\n", "", "INVITE SIP/2.0\r\n", "\x16\x03\x01 x SIP/2.0\r\n\r\n"]
        {
            assert_eq!(Index::parse(text.as_bytes()).unwrap_err(), Garbage::NotSip, "{text}");
        }
    }

    #[test]
    fn status_codes_have_three_digits_up_to_699() {
        assert!(Index::parse(b"SIP/2.0 200\r\n\r\n").is_ok());
        for line in
            ["SIP/2.0 4294967301 x", "SIP/2.0 099 x", "SIP/2.0 700 x", "SIP/2.0 20 x", "SIP/3.0 200 x"]
        {
            assert_eq!(Index::parse(format!("{line}\r\n\r\n").as_bytes()).unwrap_err(), Garbage::BadStatus);
        }
    }

    #[test]
    fn flawed_lines_are_indexed_and_answered() {
        assert_eq!(flaw("OPTIONS sip:a SIP/2.0\r\nx: y\r\n\r\n"), None);
        assert_eq!(flaw("OPTIONS sip:a SIP/2.0\r\nx: y\r\n"), Some(400));
        assert_eq!(flaw("OPTIONS sip:a SIP/2.0\r\nno colon\r\n\r\n"), Some(400));
        assert_eq!(flaw("OPTIONS sip:a SIP/2.0\r\n folded: start\r\n\r\n"), Some(400));
        assert_eq!(flaw("OPTIONS  sip:a SIP/2.0\r\n\r\n"), Some(400));
        assert_eq!(flaw("OPTIONS sip:a SIP/2.0 \r\n\r\n"), Some(400));
        assert_eq!(flaw("OPTIONS sip:a SIP/7.0\r\n\r\n"), Some(505));
    }
}
