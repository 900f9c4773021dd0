//! Reading field values: tokens, quoted strings, lists, parameters (RFC 3261, 25.1).
//!
//! A value may be folded: a line break followed by white space counts as one space everywhere here. Lone line
//! breaks do not get this far, see [`super::Index`].

use super::outcome::Malformed;

/// Linear white space within a value.
#[inline]
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Letters, digits and the marks of a token.
pub(super) const TOKEN: u8 = 1;
/// What a parameter's name may hold: also what occurs in URIs.
const PARAM_NAME: u8 = 2;
/// What a parameter's value may hold. Wider than the grammar: anything that cannot end a parameter.
/// `received` holds bare IPv6 addresses (RFC 5118, 4.5).
const PARAM_VALUE: u8 = 4;
/// What a URI may hold, as far as is judged.
pub(super) const URI: u8 = 8;
/// Domain names and IPv4 addresses. Underscores are not legal in host names and common all the same.
pub(super) const HOST: u8 = 16;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        let word = byte.is_ascii_alphanumeric();
        let printed = byte > b' ' && byte != 0x7f;
        let token =
            word || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        let param_name = token || matches!(byte, b'[' | b']' | b'/' | b':' | b'&' | b'$');
        let uri = printed && !matches!(byte, b'<' | b'>' | b'"');
        let param_value = uri && !matches!(byte, b';' | b',' | b'?');
        let host = word || matches!(byte, b'-' | b'.' | b'_');
        let members =
            [(token, TOKEN), (param_name, PARAM_NAME), (param_value, PARAM_VALUE), (uri, URI), (host, HOST)];
        let mut class = 0;
        while class < members.len() {
            if members[class].0 {
                table[at] |= members[class].1;
            }
            class += 1;
        }
        at += 1;
    }
    table
}

/// Whether the byte belongs to one of these classes.
#[inline]
pub(super) fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// Whether the text is not empty and of one class throughout.
#[inline]
pub(super) fn all(text: &[u8], class: u8) -> bool {
    !text.is_empty() && text.iter().all(|&b| is(b, class))
}

#[inline]
pub(super) fn is_token(text: &[u8]) -> bool {
    all(text, TOKEN)
}

/// Without white space at both ends.
#[inline]
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_space(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_space(*last)
    {
        text = rest;
    }
    text
}

/// `text` in two at `byte`, the second half without it.
#[inline]
pub(super) fn split_once(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(byte, text)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Decimal digits only, at most `max`.
#[inline]
pub(super) fn number(text: &[u8], max: u64) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for &byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(byte - b'0');
        if value > max {
            return None;
        }
    }
    Some(value)
}

/// Reads a value from left to right.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) fn skip_space(&mut self) {
        while let [first, rest @ ..] = self.0
            && is_space(*first)
        {
            self.0 = rest;
        }
    }

    /// Takes `byte` with the white space around it.
    #[inline]
    pub(super) fn sign(&mut self, byte: u8) -> bool {
        self.skip_space();
        match self.0 {
            [first, rest @ ..] if *first == byte => {
                self.0 = rest;
                self.skip_space();
                true
            }
            _ => false,
        }
    }

    /// Takes bytes while `keep` holds.
    #[inline]
    pub(super) fn run(&mut self, keep: impl Fn(u8) -> bool) -> &'a [u8] {
        let len = self.0.iter().position(|&b| !keep(b)).unwrap_or(self.0.len());
        let (run, rest) = self.0.split_at(len);
        self.0 = rest;
        run
    }

    #[inline]
    pub(super) fn token(&mut self) -> Option<&'a [u8]> {
        let token = self.run(|b| is(b, TOKEN));
        (!token.is_empty()).then_some(token)
    }

    /// Takes a quoted string whose opening quote is next; returns what is between the quotes, escapes kept.
    pub(super) fn quoted(&mut self) -> Option<&'a [u8]> {
        let text = self.0.strip_prefix(b"\"")?;
        let len = quoted_len(text)?;
        self.0 = text.get(len + 1..)?;
        text.get(..len)
    }
}

/// Length up to the closing quote of a text that begins after the opening one.
fn quoted_len(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

/// The values of a comma-separated list; commas inside quotes and angle brackets do not separate.
/// An empty value between two commas is returned as such, for the field's grammar to refuse.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Values<'a> {
    /// Splits one field value; a blank one holds no values.
    #[inline]
    pub fn of(text: &'a [u8]) -> Values<'a> {
        let text = trim(text);
        Values { rest: (!text.is_empty()).then_some(text) }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.rest?;
        let end = memchr::memchr(b',', text).and_then(|_| comma(text));
        self.rest = end.and_then(|end| text.get(end + 1..));
        Some(trim(text.get(..end.unwrap_or(text.len()))?))
    }
}

/// Where the first separating comma is.
fn comma(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut bracketed = false;
    loop {
        match text.get(at)? {
            b',' if !bracketed => return Some(at),
            b'<' => bracketed = true,
            b'>' => bracketed = false,
            b'"' if !bracketed => at += 1 + quoted_len(text.get(at + 1..)?)?,
            _ => {}
        }
        at += 1;
    }
}

/// One parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Param<'a> {
    /// Its name; compare without case.
    pub name: &'a [u8],
    /// Its value, without quotes but with the escapes inside them; `None` if it has none.
    pub value: Option<&'a [u8]>,
}

/// Parameters as written, each after a semicolon.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Params<'a>(pub(super) &'a [u8]);

impl<'a> Params<'a> {
    /// The text, from the first semicolon.
    pub const fn raw(self) -> &'a [u8] {
        self.0
    }

    /// The first parameter of this name that can be read. A parameter without a value has an empty one.
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        let found = self.iter().map_while(Result::ok).find(|p| p.name.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|p| p.value.unwrap_or_default())
    }

    /// All parameters; ends after the first that does not follow the grammar.
    #[inline]
    pub fn iter(self) -> ParamIter<'a> {
        ParamIter { cursor: Cursor(self.0) }
    }
}

impl<'a> IntoIterator for Params<'a> {
    type Item = Result<Param<'a>, Malformed>;
    type IntoIter = ParamIter<'a>;

    fn into_iter(self) -> ParamIter<'a> {
        self.iter()
    }
}

/// See [`Params::iter`].
#[derive(Clone)]
pub struct ParamIter<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iterator for ParamIter<'a> {
    type Item = Result<Param<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.cursor.skip_space();
        if self.cursor.0.is_empty() {
            return None;
        }
        let param = param(&mut self.cursor);
        if param.is_none() {
            self.cursor.0 = &[];
        }
        Some(param.ok_or(Malformed("Malformed Parameter")))
    }
}

#[inline]
fn param<'a>(cursor: &mut Cursor<'a>) -> Option<Param<'a>> {
    if !cursor.sign(b';') {
        return None;
    }
    let name = cursor.run(|b| is(b, PARAM_NAME));
    if name.is_empty() {
        return None;
    }
    let value = match cursor.sign(b'=') {
        true => Some(param_value(cursor)?),
        false => None,
    };
    Some(Param { name, value })
}

#[inline]
fn param_value<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    if cursor.0.first() == Some(&b'"') {
        return cursor.quoted();
    }
    let value = cursor.run(|b| is(b, PARAM_VALUE));
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<&[u8]> {
        Values::of(text.as_bytes()).collect()
    }

    #[test]
    fn commas_in_quotes_and_brackets_do_not_separate() {
        assert_eq!(
            values("\"A, \\\", B\" <sip:a,b@c>;x=\"1,2\" ,\r\n <sip:d>"),
            [&b"\"A, \\\", B\" <sip:a,b@c>;x=\"1,2\""[..], b"<sip:d>"]
        );
    }

    #[test]
    fn empty_values_are_seen_but_a_blank_field_holds_none() {
        assert_eq!(values("a,,b"), [&b"a"[..], b"", b"b"]);
        assert_eq!(values("a,"), [&b"a"[..], b""]);
        assert_eq!(values(" \r\n "), Vec::<&[u8]>::new());
    }

    #[test]
    fn an_unterminated_quote_swallows_the_rest_of_the_list() {
        assert_eq!(values("\"a, b"), [&b"\"a, b"[..]]);
    }

    #[test]
    fn parameters_may_be_folded_quoted_and_without_value() {
        let params = Params(b" ;   tag    =\r\n 19;lr ; x = \"a;\\\"b\"");
        assert_eq!(params.get("TAG"), Some(&b"19"[..]));
        assert_eq!(params.get("lr"), Some(&b""[..]));
        assert_eq!(params.get("x"), Some(&b"a;\\\"b"[..]));
        assert_eq!(params.get("y"), None);
    }

    #[test]
    fn empty_parameters_are_malformed() {
        for text in [";", ";;", ";a;;b", ";a=", ";=b", ";a=\"b", "a", ";a b", ";a=\"b\"c"] {
            assert!(Params(text.as_bytes()).iter().any(|p| p.is_err()), "{text}");
        }
    }

    #[test]
    fn numbers_are_digits_within_bounds() {
        assert_eq!(number(b"0068", 255), Some(68));
        for text in [&b""[..], b"-1", b"+1", b"256", b"1 ", b"36893488147419103232"] {
            assert_eq!(number(text, 255), None);
        }
        assert_eq!(number(b"99999999999999999999999", u64::from(u32::MAX)), None);
    }
}
