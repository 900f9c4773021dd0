//! Media types, multipart bodies, and authentication fields.

use super::lex::{Cursor, Param, Params, split_once, trim};

/// Deepest nesting of multipart bodies that is followed.
const MAX_DEPTH: usize = 4;

/// `kind/subtype;params`, or a lone token with parameters, as the Event field has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MediaType<'a> {
    /// Before the slash.
    pub kind: &'a [u8],
    /// After the slash; empty if there is none.
    pub subtype: &'a [u8],
    /// Parameters.
    pub params: Params<'a>,
}

impl<'a> MediaType<'a> {
    /// Reads a Content-Type or an Event value.
    pub fn parse(value: &'a [u8]) -> Option<MediaType<'a>> {
        let mut cursor = Cursor(trim(value));
        let kind = cursor.token()?;
        let subtype = if cursor.sign(b'/') { cursor.token()? } else { &[] };
        Some(MediaType { kind, subtype, params: Params(cursor.0) })
    }

    /// Whether this is `kind/subtype`, in any case.
    pub fn is(&self, kind: &[u8], subtype: &[u8]) -> bool {
        self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
    }
}

/// The parts of a multipart body (RFC 2046, 5.1), each with its own head. Preamble and epilogue are skipped.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    rest: Option<&'a [u8]>,
    boundary: &'a [u8],
}

/// One part of a multipart body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part<'a> {
    /// Its header lines.
    pub head: &'a [u8],
    /// Its content.
    pub body: &'a [u8],
}

impl<'a> Parts<'a> {
    /// The parts of `body`, between delimiter lines of `boundary`.
    pub fn of(body: &'a [u8], boundary: &'a [u8]) -> Parts<'a> {
        let mut parts = Parts { rest: Some(body), boundary };
        parts.until_delimiter();
        parts
    }

    /// What is before the next delimiter line; moves behind that line.
    fn until_delimiter(&mut self) -> Option<&'a [u8]> {
        let text = self.rest.take()?;
        for at in memchr::memmem::find_iter(text, b"--") {
            let starts_line = at == 0 || text.get(at - 1) == Some(&b'\n');
            let after =
                text.get(at + 2..).and_then(|t| t.strip_prefix(self.boundary)).filter(|_| starts_line);
            let Some(after) = after else { continue };
            if !matches!(after.first(), None | Some(b'\r' | b'\n' | b' ' | b'\t' | b'-')) {
                continue;
            }
            if !after.starts_with(b"--") {
                self.rest = split_once(after, b'\n').map(|(_, rest)| rest);
            }
            let before = text.get(..at)?;
            let before = before.strip_suffix(b"\n").unwrap_or(before);
            return Some(before.strip_suffix(b"\r").unwrap_or(before));
        }
        None
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let text = self.until_delimiter()?;
        if let Some(body) = text.strip_prefix(b"\r\n") {
            return Some(Part { head: &[], body });
        }
        let end = memchr::memmem::find(text, b"\r\n\r\n").map(|at| (at, at + 4));
        let end = end.or_else(|| memchr::memmem::find(text, b"\n\n").map(|at| (at, at + 2)));
        let (head, body) = end.unwrap_or((text.len(), text.len()));
        Some(Part { head: text.get(..head)?, body: text.get(body..)? })
    }
}

impl<'a> Part<'a> {
    /// Its Content-Type.
    pub fn content_type(&self) -> Option<MediaType<'a>> {
        let mut lines = self.head.split(|&b| b == b'\n').filter_map(|line| split_once(line, b':'));
        let (_, value) = lines.find(|(name, _)| trim(name).eq_ignore_ascii_case(b"content-type"))?;
        MediaType::parse(value)
    }
}

/// `body` if it is accepted, else the first accepted part of a multipart body, however nested.
pub(super) fn part<'a>(
    of: MediaType<'a>,
    body: &'a [u8],
    accept: &mut dyn FnMut(MediaType<'a>, &'a [u8]) -> bool,
) -> Option<&'a [u8]> {
    part_within(of, body, accept, MAX_DEPTH)
}

fn part_within<'a>(
    of: MediaType<'a>,
    body: &'a [u8],
    accept: &mut dyn FnMut(MediaType<'a>, &'a [u8]) -> bool,
    depth: usize,
) -> Option<&'a [u8]> {
    if accept(of, body) {
        return Some(body);
    }
    if !of.kind.eq_ignore_ascii_case(b"multipart") || depth == 0 {
        return None;
    }
    let boundary = of.params.get("boundary").filter(|boundary| !boundary.is_empty())?;
    Parts::of(body, boundary).find_map(|part| part_within(part.content_type()?, part.body, accept, depth - 1))
}

/// A scheme with comma-separated parameters: Authorization, WWW-Authenticate (RFC 3261, 20.7; RFC 8760).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credentials<'a> {
    /// `Digest`, `NTLM`, `Kerberos`, `TLS-DSK`, `Bearer` and others.
    pub scheme: &'a [u8],
    params: &'a [u8],
}

impl<'a> Credentials<'a> {
    /// Reads a field's value.
    pub fn parse(value: &'a [u8]) -> Option<Credentials<'a>> {
        let mut cursor = Cursor(trim(value));
        let scheme = cursor.token()?;
        cursor.skip_space();
        Some(Credentials { scheme, params: cursor.0 })
    }

    /// What stands behind the scheme as it is, where that is no list of parameters: a token (RFC 7235, 2.1).
    pub fn token68(self) -> &'a [u8] {
        self.params
    }

    /// The parameters up to the first that cannot be read; values are without quotes.
    pub fn params(self) -> impl Iterator<Item = Param<'a>> {
        let mut cursor = Cursor(self.params);
        std::iter::from_fn(move || {
            while cursor.sign(b',') {}
            let name = cursor.token()?;
            let value = cursor.sign(b'=').then(|| match cursor.0.first() {
                Some(b'"') => cursor.quoted(),
                _ => Some(cursor.run(|b| b > b' ' && !matches!(b, b',' | b'"'))),
            })??;
            Some(Param { name, value: Some(value) })
        })
    }

    /// The value of a parameter, without quotes.
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.params().find(|p| p.name.eq_ignore_ascii_case(name.as_bytes()))?.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_parameters_are_read_with_commas_in_quotes() {
        let value =
            b"Digest username=\"bo,b\",realm=\"a \\\"b\\\"\" ,\r\n nc=00000001, qop = auth,response=\"6629\"";
        let digest = Credentials::parse(value).unwrap();
        assert_eq!(digest.scheme, b"Digest");
        assert_eq!(digest.get("username"), Some(&b"bo,b"[..]));
        assert_eq!(digest.get("REALM"), Some(&b"a \\\"b\\\""[..]));
        assert_eq!((digest.get("nc"), digest.get("qop")), (Some(&b"00000001"[..]), Some(&b"auth"[..])));
        assert_eq!(digest.params().count(), 5);
        assert_eq!(digest.get("opaque"), None);
    }

    #[test]
    fn the_description_is_found_in_nested_parts() {
        let body = b"preamble\r\n--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n--xy\r\n--x\r\nContent-Type: multipart/alternative;boundary=\"in\"\r\n\r\n--in\r\ncontent-type : application/SDP\r\n\r\nv=0\r\n\r\n--in--\r\n--x--\r\nepilogue";
        let of = MediaType::parse(b"multipart/mixed; boundary=x").unwrap();
        assert_eq!(part(of, body, &mut |of, _| of.is(b"application", b"sdp")), Some(&b"v=0\r\n"[..]));
        let parts: Vec<_> = Parts::of(body, b"x").collect();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].body, b"hi\r\n--xy");
    }

    #[test]
    fn of_two_descriptions_the_reader_may_choose() {
        let body = b"--x\r\nContent-Type: application/sdp\r\n\r\nold\r\n--x\r\nContent-Type: application/sdp\r\n\r\nnew\r\n--x--\r\n";
        let of = MediaType::parse(b"multipart/alternative;boundary=x").unwrap();
        assert_eq!(part(of, body, &mut |_, text| text == b"new"), Some(&b"new"[..]));
        assert_eq!(part(of, body, &mut |of, _| of.is(b"text", b"plain")), None);
    }

    #[test]
    fn a_part_without_its_closing_delimiter_is_not_a_part() {
        assert_eq!(Parts::of(b"--x\r\nContent-Type: a/b\r\n\r\ncut", b"x").count(), 0);
        assert_eq!(Parts::of(b"", b"x").count(), 0);
    }

    #[test]
    fn endless_nesting_is_not_followed() {
        let mut body = b"v=0".to_vec();
        for _ in 0..6 {
            body =
                [b"--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n".as_slice(), &body, b"\r\n--b--"]
                    .concat();
        }
        let of = MediaType::parse(b"multipart/mixed;boundary=b").unwrap();
        assert_eq!(part(of, &body, &mut |of, _| of.is(b"application", b"sdp")), None);
    }

    #[test]
    fn an_event_has_no_subtype() {
        let event = MediaType::parse(b"presence;id=1").unwrap();
        assert_eq!(
            (event.kind, event.subtype, event.params.get("id")),
            (&b"presence"[..], &b""[..], Some(&b"1"[..]))
        );
    }
}
