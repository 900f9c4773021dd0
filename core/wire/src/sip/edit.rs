//! Changes to a message that leave every other byte as it came: what is not understood survives a round trip.

use std::ops::Range;

use super::index::Start;
use super::lex::{Values, is_token};
use super::message::Message;
use super::name::Name;
use super::outcome::Malformed;

/// Changes to one message, applied together by [`Edits::finish`]. Texts with a line break are refused, so that
/// nothing that was received can add a header.
#[derive(Debug)]
pub struct Edits<'m, B> {
    message: &'m Message<B>,
    changes: Vec<(Range<usize>, Vec<u8>)>,
    body: Option<&'m [u8]>,
}

pub(super) const REFUSED: Malformed = Malformed("Refused Edit");

impl<'m, B: AsRef<[u8]>> Edits<'m, B> {
    /// No changes yet.
    pub fn new(message: &'m Message<B>) -> Edits<'m, B> {
        Edits { message, changes: Vec::new(), body: None }
    }

    /// Replaces the Request-URI.
    pub fn request_uri(&mut self, uri: &[u8]) -> Result<&mut Self, Malformed> {
        match self.message.index().start {
            Start::Request { uri: from, uri_end, .. } => self.change(from as usize..uri_end as usize, uri),
            Start::Response { .. } => Err(REFUSED),
        }
    }

    /// Replaces the whole start line.
    pub fn start_line(&mut self, line: &[u8]) -> Result<&mut Self, Malformed> {
        let (Start::Request { begin, end, .. } | Start::Response { begin, end, .. }) =
            self.message.index().start;
        self.change(begin as usize..end as usize, line)
    }

    /// Inserts a header line above all others.
    pub fn prepend(&mut self, name: &[u8], value: &[u8]) -> Result<&mut Self, Malformed> {
        let index = self.message.index();
        let at = index.lines().next().map_or(index.fields_end, |line| line.start) as usize;
        self.insert_line(at, name, value)
    }

    /// Inserts a header line above the first of the same name (a Via, a Record-Route), or else below all others.
    pub fn push(&mut self, name: Name, value: &[u8]) -> Result<&mut Self, Malformed> {
        let index = self.message.index();
        let first = index.lines().find(|line| line.name == name && name != Name::Other);
        let at = first.map_or(index.fields_end, |line| line.start) as usize;
        self.insert_line(at, name.as_str().as_bytes(), value)
    }

    /// Inserts a header line below all others.
    pub fn append(&mut self, name: &[u8], value: &[u8]) -> Result<&mut Self, Malformed> {
        self.insert_line(self.message.index().fields_end as usize, name, value)
    }

    /// Removes all header lines of a known name.
    pub fn remove(&mut self, name: Name) -> &mut Self {
        let index = self.message.index();
        for (at, line) in
            index.lines().enumerate().filter(|(_, line)| line.name == name && name != Name::Other)
        {
            self.changes.push((line.start as usize..index.line_end(at) as usize, Vec::new()));
        }
        self
    }

    /// Gives a field one value: in place of the first line of that name, or as a new last line. Further lines
    /// of the name are removed.
    pub fn set(&mut self, name: Name, value: &[u8]) -> Result<&mut Self, Malformed> {
        let index = self.message.index();
        let Some(first) = index.lines().find(|line| line.name == name && name != Name::Other) else {
            return self.append(name.as_str().as_bytes(), value);
        };
        let kept = first.start;
        self.change(first.value as usize..first.end as usize, value)?;
        for (at, line) in index.lines().enumerate().filter(|(_, l)| l.name == name && l.start != kept) {
            self.changes.push((line.start as usize..index.line_end(at) as usize, Vec::new()));
        }
        Ok(self)
    }

    /// Removes the first value of a comma-separated field, with its line if no other value is on it.
    pub fn pop(&mut self, name: Name) -> Result<&mut Self, Malformed> {
        let index = self.message.index();
        let mut lines = index.lines().enumerate();
        let (at, line) = lines.find(|(_, line)| line.name == name && name != Name::Other).ok_or(REFUSED)?;
        let mut values = Values::of(self.message.get(name).unwrap_or_default()).skip(1);
        let span = match values.next().and_then(|second| self.range(second)) {
            Some(second) => line.value as usize..second.start,
            None => line.start as usize..index.line_end(at) as usize,
        };
        self.changes.push((span, Vec::new()));
        Ok(self)
    }

    /// Replaces a piece of the head that some view of this message returned: a parameter's value, a URI, a host.
    pub fn replace(&mut self, piece: &[u8], text: &[u8]) -> Result<&mut Self, Malformed> {
        let range = self.range(piece).ok_or(REFUSED)?;
        self.change(range, text)
    }

    /// Inserts text right behind such a piece: `;received=192.0.2.1` behind the raw text of a Via.
    pub fn insert_after(&mut self, piece: &[u8], text: &[u8]) -> Result<&mut Self, Malformed> {
        let end = self.range(piece).ok_or(REFUSED)?.end;
        self.change(end..end, text)
    }

    /// Replaces the body; Content-Length follows. The caller sets Content-Type if that changes too.
    pub fn body(&mut self, body: &'m [u8]) -> Result<&mut Self, Malformed> {
        if self.body.is_some() {
            return Err(REFUSED);
        }
        self.set(Name::ContentLength, body.len().to_string().as_bytes())?;
        self.body = Some(body);
        Ok(self)
    }

    /// The message with all changes made. Two changes of the same bytes are refused; insertions at the same place
    /// keep the order in which they were asked for.
    pub fn finish(mut self) -> Result<Vec<u8>, Malformed> {
        self.changes.sort_by_key(|(range, _)| range.start);
        let bytes = self.message.bytes();
        let added: usize = self.changes.iter().map(|(_, text)| text.len()).sum();
        let mut out = Vec::with_capacity(bytes.len() + added + self.body.map_or(0, <[u8]>::len));
        let mut done = 0;
        for (range, text) in &self.changes {
            out.extend_from_slice(bytes.get(done..range.start).ok_or(REFUSED)?);
            out.extend_from_slice(text);
            done = range.end;
        }
        let head_end = self.message.index().body as usize;
        out.extend_from_slice(bytes.get(done..head_end).ok_or(REFUSED)?);
        out.extend_from_slice(self.body.unwrap_or_else(|| self.message.body()));
        Ok(out)
    }

    fn insert_line(&mut self, at: usize, name: &[u8], value: &[u8]) -> Result<&mut Self, Malformed> {
        if !is_token(name) || has_line_break(value) {
            return Err(REFUSED);
        }
        self.changes.push((at..at, [name, b": ", value, b"\r\n"].concat()));
        Ok(self)
    }

    fn change(&mut self, range: Range<usize>, text: &[u8]) -> Result<&mut Self, Malformed> {
        if has_line_break(text) {
            return Err(REFUSED);
        }
        self.changes.push((range, text.to_vec()));
        Ok(self)
    }

    /// Where in the head a slice of this message is; `None` for any other slice.
    fn range(&self, piece: &[u8]) -> Option<Range<usize>> {
        let base = self.message.bytes().as_ptr() as usize;
        let start = (piece.as_ptr() as usize).checked_sub(base)?;
        let end = start.checked_add(piece.len())?;
        (end <= self.message.index().fields_end as usize).then_some(start..end)
    }
}

fn has_line_break(text: &[u8]) -> bool {
    memchr::memchr2(b'\r', b'\n', text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] = b"INVITE sip:bob@b SIP/2.0\r\nVia: SIP/2.0/UDP one;branch=z9hG4bK1,\r\n SIP/2.0/UDP two;branch=z9hG4bK2\r\n\
        X-Odd :  \t kept;;,,\r\n  folded \r\nMax-Forwards: 70\r\nl: 3\r\nContent-Length: 3\r\n\r\nabc";

    fn edited(edit: impl FnOnce(&mut Edits<'_, &[u8]>, &Message<&[u8]>)) -> String {
        let message = Message::parse(INVITE).unwrap();
        let mut edits = Edits::new(&message);
        edit(&mut edits, &message);
        String::from_utf8(edits.finish().unwrap()).unwrap()
    }

    #[test]
    fn no_edit_changes_no_byte() {
        assert_eq!(edited(|_, _| ()).as_bytes(), INVITE);
    }

    #[test]
    fn a_proxy_hop_touches_only_its_own_fields() {
        let hop = edited(|edits, message| {
            let via = message.vias().next().unwrap().unwrap();
            edits.request_uri(b"sip:bob@192.0.2.4").unwrap();
            edits.insert_after(via.raw, b";received=192.0.2.1").unwrap();
            edits.push(Name::Via, b"SIP/2.0/UDP me;branch=z9hG4bK3").unwrap();
            edits.set(Name::MaxForwards, b"69").unwrap();
            edits.push(Name::RecordRoute, b"<sip:me;lr>").unwrap();
        });
        let expected = "INVITE sip:bob@192.0.2.4 SIP/2.0\r\nVia: SIP/2.0/UDP me;branch=z9hG4bK3\r\n\
            Via: SIP/2.0/UDP one;branch=z9hG4bK1;received=192.0.2.1,\r\n SIP/2.0/UDP two;branch=z9hG4bK2\r\n\
            X-Odd :  \t kept;;,,\r\n  folded \r\nMax-Forwards: 69\r\nl: 3\r\nContent-Length: 3\r\n\
            Record-Route: <sip:me;lr>\r\n\r\nabc";
        assert_eq!(hop, expected);
    }

    #[test]
    fn popping_takes_one_value_or_the_whole_line() {
        let popped = edited(|edits, _| _ = edits.pop(Name::Via).unwrap());
        assert!(popped.contains("\r\nVia: SIP/2.0/UDP two;branch=z9hG4bK2\r\n") && !popped.contains("one"));
        let popped = edited(|edits, _| _ = edits.pop(Name::MaxForwards).unwrap());
        assert!(popped.contains("  folded \r\nl: 3\r\n"));
    }

    #[test]
    fn a_new_body_brings_its_length_once() {
        let new = edited(|edits, _| _ = edits.body(b"hello").unwrap());
        assert!(new.ends_with("Max-Forwards: 70\r\nl: 5\r\n\r\nhello"), "{new}");
    }

    #[test]
    fn line_breaks_foreign_pieces_and_overlaps_are_refused() {
        let message = Message::parse(INVITE).unwrap();
        let mut edits = Edits::new(&message);
        assert!(edits.append(b"X", b"a\r\nRoute: <sip:evil>").is_err());
        assert!(edits.append(b"X y", b"a").is_err());
        assert!(edits.replace(b"elsewhere", b"x").is_err());
        assert!(edits.replace(message.body(), b"x").is_err());
        assert!(edits.pop(Name::Route).is_err());
        edits.set(Name::MaxForwards, b"1").unwrap().remove(Name::MaxForwards);
        assert!(edits.finish().is_err());
    }
}
