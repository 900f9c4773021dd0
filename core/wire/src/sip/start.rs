//! The start line, the method and the CSeq.

use std::fmt;

use super::lex::{Cursor, is_token, number, trim};
use super::outcome::Malformed;

macro_rules! methods {
    ($($variant:ident $spelling:literal)*) => {
        /// A request method; methods are compared with their case.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[allow(missing_docs, reason = "each is the method of that name")]
        pub enum Method<'a> {
            $($variant,)*
            /// Any other token.
            Other(&'a [u8]),
        }

        impl<'a> Method<'a> {
            /// The method spelled `text`.
            #[inline]
            pub fn of(text: &'a [u8]) -> Method<'a> {
                $(if text == $spelling.as_bytes() { return Method::$variant; })*
                Method::Other(text)
            }

            /// Its spelling.
            pub const fn as_bytes(self) -> &'a [u8] {
                match self {
                    $(Method::$variant => $spelling.as_bytes(),)*
                    Method::Other(text) => text,
                }
            }
        }
    };
}

methods! {
    Invite "INVITE"
    Ack "ACK"
    Bye "BYE"
    Cancel "CANCEL"
    Register "REGISTER"
    Options "OPTIONS"
    Subscribe "SUBSCRIBE"
    Notify "NOTIFY"
    Message "MESSAGE"
    Info "INFO"
    Prack "PRACK"
    Update "UPDATE"
    Refer "REFER"
    Publish "PUBLISH"
    Service "SERVICE"
    Benotify "BENOTIFY"
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
    }
}

/// The first line of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartLine<'a> {
    /// A request.
    Request {
        /// Its method.
        method: Method<'a>,
        /// The Request-URI as written.
        uri: &'a [u8],
    },
    /// A response.
    Response {
        /// Status code, 100 to 699.
        code: u16,
        /// Reason phrase; may be empty.
        reason: &'a [u8],
    },
}

/// The CSeq field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CSeq<'a> {
    /// Less than 2^31 (RFC 3261, 8.1.1.5).
    pub number: u32,
    /// Method of the request.
    pub method: Method<'a>,
}

impl<'a> CSeq<'a> {
    /// Reads the field's value.
    #[inline]
    pub fn parse(value: &'a [u8]) -> Result<CSeq<'a>, Malformed> {
        let read = || {
            let mut cursor = Cursor(trim(value));
            let digits = cursor.run(|b| b.is_ascii_digit());
            let number = number(digits, (1 << 31) - 1)?;
            let spaced = cursor.0.len();
            cursor.skip_space();
            let method = cursor.0;
            (method.len() < spaced && is_token(method))
                .then(|| CSeq { number: number as u32, method: Method::of(method) })
        };
        read().ok_or(Malformed("Malformed CSeq"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_compared_with_their_case() {
        assert_eq!(Method::of(b"INVITE"), Method::Invite);
        assert_eq!(Method::of(b"invite"), Method::Other(b"invite"));
        assert_eq!(Method::of(b"RE%47IST%45R").as_bytes(), b"RE%47IST%45R");
        assert_eq!(Method::Benotify.to_string(), "BENOTIFY");
    }

    #[test]
    fn cseq_is_a_number_below_two_to_the_31_and_a_method() {
        assert_eq!(CSeq::parse(b"0009\r\n  INVITE"), Ok(CSeq { number: 9, method: Method::Invite }));
        assert!(CSeq::parse(b"2147483647 ACK").is_ok());
        for text in
            ["2147483648 ACK", "36893488147419103232 REGISTER", "1", "1ACK", "ACK", "-1 ACK", "", "1 A CK"]
        {
            assert!(CSeq::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
