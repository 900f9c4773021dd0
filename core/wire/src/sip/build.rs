//! Messages of our own: requests, and responses to what was received.

use super::edit::REFUSED;
use super::lex::is_token;
use super::message::Message;
use super::name::Name;
use super::outcome::{Answer, Malformed};
use super::start::Method;

/// A message being written. Texts with a line break are refused.
#[derive(Clone, Debug)]
pub struct Builder {
    text: Vec<u8>,
}

impl Builder {
    /// A request; Via, From, To, Call-ID, CSeq and Max-Forwards are the caller's.
    pub fn request(method: Method<'_>, uri: &[u8]) -> Result<Builder, Malformed> {
        if !is_token(method.as_bytes()) || uri.iter().any(|b| b.is_ascii_whitespace()) {
            return Err(REFUSED);
        }
        Ok(Builder { text: [method.as_bytes(), b" ", uri, b" SIP/2.0\r\n"].concat() })
    }

    /// A response with the fields that RFC 3261, 8.2.6 copies from the request, as they came: Via, From, To, Call-ID,
    /// CSeq. `tag` is added to a To that has none, except in a 100. Works on malformed requests, with the
    /// fields that they have.
    pub fn response<B: AsRef<[u8]>>(
        request: &Message<B>,
        answer: Answer,
        tag: &[u8],
    ) -> Result<Builder, Malformed> {
        let mut builder = Builder { text: format!("SIP/2.0 {} ", answer.code).into_bytes() };
        builder.text.extend_from_slice(answer.reason.as_bytes());
        builder.text.extend_from_slice(b"\r\n");
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            let tagged = request.to().is_some_and(|to| to.is_ok_and(|to| to.tag.is_none()));
            for value in request.all(name) {
                builder.text.extend_from_slice(name.as_str().as_bytes());
                builder.text.extend_from_slice(b": ");
                builder.text.extend_from_slice(value);
                if name == Name::To && tagged && answer.code != 100 {
                    builder.text.extend_from_slice(b";tag=");
                    builder.text.extend_from_slice(is_token(tag).then_some(tag).ok_or(REFUSED)?);
                }
                builder.text.extend_from_slice(b"\r\n");
            }
        }
        Ok(builder)
    }

    /// Adds a header line.
    pub fn header(mut self, name: &[u8], value: &[u8]) -> Result<Builder, Malformed> {
        if !is_token(name) || memchr::memchr2(b'\r', b'\n', value).is_some() {
            return Err(REFUSED);
        }
        self.text.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
        Ok(self)
    }

    /// The message, with its Content-Length.
    pub fn finish(mut self, body: &[u8]) -> Vec<u8> {
        self.text.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        self.text.extend_from_slice(body);
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_request_reads_back() {
        let text = Builder::request(Method::Options, b"sip:a@b")
            .and_then(|b| b.header(b"Via", b"SIP/2.0/UDP h;branch=z9hG4bK1"))
            .and_then(|b| b.header(b"From", b"<sip:c@d>;tag=1"))
            .and_then(|b| b.header(b"To", b"<sip:a@b>"))
            .and_then(|b| b.header(b"Call-ID", b"x"))
            .and_then(|b| b.header(b"CSeq", b"1 OPTIONS"))
            .unwrap()
            .finish(b"hi");
        let message = Message::parse(text.as_slice()).unwrap();
        let routing = message.check().unwrap();
        assert_eq!((routing.from.tag, message.body()), (Some(&b"1"[..]), &b"hi"[..]));
    }

    #[test]
    fn a_response_copies_what_the_request_had_and_tags_its_to() {
        let request =
            b"INVITE sip:a SIP/2.0\r\nv: SIP/2.0/UDP h,\r\n SIP/2.0/UDP i\r\nt: <sip:a>\r\ni: x\r\n\r\n";
        let request = Message::parse(request.as_slice()).unwrap();
        let text =
            Builder::response(&request, Answer::bad_request("Missing CSeq"), b"s1").unwrap().finish(b"");
        let expected = "SIP/2.0 400 Missing CSeq\r\nVia: SIP/2.0/UDP h,\r\n SIP/2.0/UDP i\r\nTo: <sip:a>;tag=s1\r\n\
            Call-ID: x\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        assert!(Builder::response(&request, Answer::VERSION, b"a b").is_err());
    }

    #[test]
    fn line_breaks_are_refused() {
        assert!(Builder::request(Method::Other(b"A B"), b"sip:a").is_err());
        assert!(Builder::request(Method::Bye, b"sip:a SIP/2.0\r\nX: y").is_err());
        assert!(Builder::request(Method::Bye, b"sip:a").unwrap().header(b"X", b"a\nb").is_err());
    }
}
