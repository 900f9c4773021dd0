//! What somebody dialled, as a URI says it (RFC 3966; RFC 3261, 19.1.6): digits without separators, and where they hold.

use carillon_wire::sip::{Scheme, Uri, unescape};

/// Longest string that anybody dials.
const LONGEST: usize = 32;

/// Digits as they were dialled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dialled {
    /// `+`, digits, `*` and `#`; no separators.
    pub(crate) digits: String,
    /// Where a local number holds: the first digits of a global one, or a domain, in lower case.
    pub(crate) context: Option<String>,
}

impl Dialled {
    /// The number in a `tel:` URI, or in the user part of a SIP URI that looks like one; whether it says `user=phone` is
    /// the same to us, since phones forget it.
    pub(crate) fn of(uri: &Uri<'_>) -> Option<Dialled> {
        let (number, context) = match uri.scheme {
            Scheme::Tel => (uri.user?, uri.params.get("phone-context")),
            _ if uri.is_sip() => subscriber(uri.user?),
            _ => return None,
        };
        Dialled::read(number, context)
    }

    /// The same of what an administrator types.
    pub(crate) fn typed(text: &str) -> Option<Dialled> {
        Dialled::read(text.as_bytes(), None)
    }

    fn read(number: &[u8], context: Option<&[u8]>) -> Option<Dialled> {
        let mut digits = String::new();
        for byte in unescape(number) {
            match byte {
                b'0'..=b'9' | b'*' | b'#' => digits.push(byte.into()),
                b'+' if digits.is_empty() => digits.push('+'),
                // Visual separators (RFC 3966, 3), and the space that people type.
                b'-' | b'.' | b'(' | b')' | b' ' => {}
                _ => return None,
            }
        }
        let dialled = (1..=LONGEST).contains(&digits.len()) && digits != "+";
        let context = context.map(|context| String::from_utf8_lossy(context).to_ascii_lowercase());
        dialled.then_some(Dialled { digits, context })
    }
}

/// Number and context in a user part: `7042;phone-context=+4930`.
fn subscriber(user: &[u8]) -> (&[u8], Option<&[u8]>) {
    const CONTEXT: &[u8] = b"phone-context=";
    let mut parts = user.split(|byte| *byte == b';');
    let number = parts.next().unwrap_or_default();
    let found = parts.find_map(|part| {
        let (name, value) = part.split_at_checked(CONTEXT.len())?;
        name.eq_ignore_ascii_case(CONTEXT).then_some(value)
    });
    (number, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_in_every_form_that_phones_write() {
        for (uri, digits, context) in [
            ("tel:+49-30-1234", "+49301234", None),
            ("tel:7042;phone-context=+4930", "7042", Some("+4930")),
            ("TEL:(030).1234;ext=5;phone-context=Example.COM", "0301234", Some("example.com")),
            ("sip:0301234@example.com", "0301234", None),
            ("sip:+49301234@example.com;user=phone", "+49301234", None),
            ("sip:7042;Phone-Context=+4930@example.com;user=phone", "7042", Some("+4930")),
            ("sips:*21%23@192.0.2.1:5061", "*21#", None),
        ] {
            let expected = Dialled { digits: digits.to_owned(), context: context.map(str::to_owned) };
            assert_eq!(Dialled::of(&Uri::parse(uri.as_bytes()).unwrap()), Some(expected), "{uri}");
        }
        for uri in [
            "sip:bob@example.com",
            "sip:example.com",
            "sip:+@example.com",
            "sip:1+2@example.com",
            "sip:()@example.com",
            "sip:030a@example.com",
            "sip:%00@example.com",
            "mailto:030@example.com",
            "sip:123456789012345678901234567890123@example.com",
        ] {
            assert_eq!(Dialled::of(&Uri::parse(uri.as_bytes()).unwrap()), None, "{uri}");
        }
    }
}
