//! Addresses with a display name and parameters: From, To, Contact, Route, Record-Route (RFC 3261, 20.10).

use super::lex::{Cursor, Params, is_space, trim};
use super::outcome::Malformed;
use super::uri::Uri;

/// `"name" <uri>;params`, or `uri;params` without brackets: then the parameters are the field's, not the URI's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address<'a> {
    /// The whole value.
    pub raw: &'a [u8],
    /// Display name without its quotes, escapes kept.
    pub display: &'a [u8],
    /// The text of the URI; see [`Address::uri`].
    pub uri_text: &'a [u8],
    /// Parameters of the field.
    pub params: Params<'a>,
    /// The `tag` parameter.
    pub tag: Option<&'a [u8]>,
}

const MALFORMED: Malformed = Malformed("Malformed Address");

impl<'a> Address<'a> {
    /// Reads one value of the field. `*` (in Contact) is an address whose [`Address::is_star`] holds.
    #[inline]
    pub fn parse(raw: &'a [u8]) -> Result<Address<'a>, Malformed> {
        let raw = trim(raw);
        let (display, uri_text, params) = split(raw).ok_or(MALFORMED)?;
        if uri_text.is_empty() {
            return Err(MALFORMED);
        }
        let mut tag = None;
        for param in params {
            let param = param?;
            if tag.is_none() && param.name.eq_ignore_ascii_case(b"tag") {
                tag = Some(param.value.ok_or(MALFORMED)?);
            }
        }
        Ok(Address { raw, display, uri_text, params, tag })
    }

    /// The URI.
    #[inline]
    pub fn uri(&self) -> Result<Uri<'a>, Malformed> {
        Uri::parse(self.uri_text)
    }

    /// `Contact: *`: all bindings.
    pub fn is_star(&self) -> bool {
        self.raw == b"*"
    }
}

type Parts<'a> = (&'a [u8], &'a [u8], Params<'a>);

#[inline]
fn split(raw: &[u8]) -> Option<Parts<'_>> {
    let at = memchr::memchr3(b'<', b'"', b';', raw);
    match at.and_then(|at| raw.get(at)) {
        Some(b'"') if at == Some(0) => {
            let mut cursor = Cursor(raw);
            let display = cursor.quoted()?;
            cursor.skip_space();
            bracketed(display, cursor.0)
        }
        Some(b'<') => {
            let (display, rest) = raw.split_at(at?);
            bracketed(trim(display), rest)
        }
        Some(b'"') => None,
        _ => bare(raw, at.unwrap_or(raw.len())),
    }
}

#[inline]
fn bracketed<'a>(display: &'a [u8], rest: &'a [u8]) -> Option<Parts<'a>> {
    let rest = rest.strip_prefix(b"<")?;
    let end = memchr::memchr(b'>', rest)?;
    Some((display, rest.get(..end)?, Params(trim(rest.get(end + 1..)?))))
}

/// Without brackets a URI with a comma, a question mark or white space cannot be told apart from the field.
fn bare(raw: &[u8], end: usize) -> Option<Parts<'_>> {
    let (uri, params) = raw.split_at_checked(end)?;
    let uri = trim(uri);
    match uri.iter().any(|&b| is_space(b) || matches!(b, b',' | b'?')) {
        true => None,
        false => Some((&[], uri, Params(params))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address<'_> {
        Address::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn display_names_may_be_quoted_plain_or_absent() {
        let quoted = address("\"J \\\"<R>, x\" \r\n <sip:a@b;lr> ; tag = 1 ;x=\"y;z\"");
        assert_eq!(
            (quoted.display, quoted.uri_text, quoted.tag),
            (&b"J \\\"<R>, x"[..], &b"sip:a@b;lr"[..], Some(&b"1"[..]))
        );
        assert_eq!(quoted.params.get("x"), Some(&b"y;z"[..]));
        let plain = address("token1~` token2'+_ token3*%!.- <sip:mundane@example.com>");
        assert_eq!(plain.display, b"token1~` token2'+_ token3*%!.-");
        assert_eq!(address("caller<sip:a@b>;tag=3").display, b"caller");
    }

    #[test]
    fn without_brackets_the_parameters_are_the_fields() {
        let bare = address("sip:+16505552222@ss1.example.net ;user=phone");
        assert_eq!(bare.uri_text, b"sip:+16505552222@ss1.example.net");
        assert_eq!(bare.params.get("user"), Some(&b"phone"[..]));
        assert_eq!(bare.tag, None);
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "",
            "\"Mr. J. User <sip:a@b>",
            "\"x\" sip:a@b",
            "x \"y\" <sip:a@b>",
            "<sip:a@b",
            "<>",
            "sip:a@b?Route=c",
            "a b",
            "<sip:a@b>;;",
            "<sip:a@b> x",
            "<sip:a@b>;tag",
        ] {
            assert!(Address::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_star_is_an_address_without_a_uri() {
        let star = address("*");
        assert!(star.is_star() && star.uri().is_err());
    }
}
