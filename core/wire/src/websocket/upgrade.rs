//! The request of HTTP that opens a WebSocket (RFC 6455, 4.2), for SIP (RFC 7118, 4.1), and its answers.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use httparse::{EMPTY_HEADER, Error, Header, Request, Status};
use sha1::{Digest, Sha1};

use crate::forwarded::Proxies;

/// Bytes that a request may have.
pub const REQUEST: usize = 8 << 10;
/// Fields that it may have.
const FIELDS: usize = 64;
/// What the key is hashed with (RFC 6455, 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A request that opens a WebSocket for SIP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Upgrade<'a> {
    /// Bytes that it took.
    pub len: usize,
    /// Where the page comes from that asks, if it is a browser that asks (RFC 6454).
    pub origin: Option<&'a [u8]>,
    key: &'a [u8],
    head: &'a [u8],
}

/// Why no WebSocket is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No request of HTTP/1.1, or a field that must be there is not, or is there twice: 400.
    Malformed,
    /// The page comes from where nobody may ask: 403.
    Origin,
    /// Another method than GET: 405.
    Method,
    /// No WebSocket of version 13 is asked for: 426.
    Version,
    /// The subprotocol `sip` is not offered: 400.
    NotSip,
    /// More than is read: 431.
    TooLarge,
}

impl<'a> Upgrade<'a> {
    /// Reads the request at the start of a stream; `None`: it is not whole.
    pub fn read(bytes: &'a [u8]) -> Result<Option<Upgrade<'a>>, Refusal> {
        let window = bytes.get(..REQUEST).unwrap_or(bytes);
        if memchr::memmem::find(window, b"\r\n\r\n").is_none() {
            let begins = |byte: &u8| byte.is_ascii_uppercase();
            return match bytes.first() {
                Some(first) if !begins(first) => Err(Refusal::Malformed),
                _ if bytes.len() >= REQUEST => Err(Refusal::TooLarge),
                _ => Ok(None),
            };
        }
        let mut fields = [EMPTY_HEADER; FIELDS];
        let mut request = Request::new(&mut fields);
        let len = match request.parse(window) {
            Ok(Status::Complete(len)) => len,
            Err(Error::TooManyHeaders) => return Err(Refusal::TooLarge),
            Ok(Status::Partial) | Err(_) => return Err(Refusal::Malformed),
        };
        match (request.method, request.version) {
            (Some("GET"), Some(1)) => {
                upgrade(window.get(..len).unwrap_or_default(), request.headers).map(Some)
            }
            (_, Some(1)) => Err(Refusal::Method),
            _ => Err(Refusal::Malformed),
        }
    }

    /// Who asks by a connection from `remote`, which may be a proxy.
    pub fn client(&self, remote: SocketAddr, proxies: &Proxies) -> SocketAddr {
        let mut fields = [EMPTY_HEADER; FIELDS];
        // It has been read before.
        let _ = Request::new(&mut fields).parse(self.head);
        let name = proxies.field().name();
        let values = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        proxies.client(remote, values.map(|field| field.value))
    }

    /// The answer that opens it.
    pub fn accepted(&self) -> Vec<u8> {
        let hash = Sha1::new().chain_update(self.key).chain_update(GUID).finalize();
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
            STANDARD.encode(hash)
        )
        .into_bytes()
    }
}

impl Refusal {
    /// The answer; the connection ends after it.
    pub fn answer(self) -> Vec<u8> {
        let (status, more) = match self {
            Refusal::Malformed => ("400 Bad Request", ""),
            Refusal::NotSip => ("400 Subprotocol sip Required", ""),
            Refusal::Origin => ("403 Forbidden", ""),
            Refusal::Method => ("405 Method Not Allowed", "Allow: GET\r\n"),
            Refusal::Version => {
                ("426 Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")
            }
            Refusal::TooLarge => ("431 Request Header Fields Too Large", ""),
        };
        let connection = if self == Refusal::Version { "Upgrade, close" } else { "close" };
        format!("HTTP/1.1 {status}\r\nConnection: {connection}\r\n{more}Content-Length: 0\r\n\r\n")
            .into_bytes()
    }
}

fn upgrade<'a>(head: &'a [u8], fields: &[Header<'a>]) -> Result<Upgrade<'a>, Refusal> {
    let origin = once(fields, "Origin")?;
    once(fields, "Host")?.ok_or(Refusal::Malformed)?;
    let is_upgrade = lists(fields, "Upgrade", |word| word.eq_ignore_ascii_case(b"websocket"))
        && lists(fields, "Connection", |word| word.eq_ignore_ascii_case(b"upgrade"));
    if !is_upgrade || once(fields, "Sec-WebSocket-Version")? != Some(b"13") {
        return Err(Refusal::Version);
    }
    let key = once(fields, "Sec-WebSocket-Key")?.ok_or(Refusal::Malformed)?;
    if !STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16) {
        return Err(Refusal::Malformed);
    }
    match lists(fields, "Sec-WebSocket-Protocol", |word| word == b"sip") {
        true => Ok(Upgrade { len: head.len(), origin, key, head }),
        false => Err(Refusal::NotSip),
    }
}

/// The value of a field that stands at most once.
fn once<'a>(fields: &[Header<'a>], name: &str) -> Result<Option<&'a [u8]>, Refusal> {
    let mut values = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    let first = values.next().map(|field| field.value.trim_ascii());
    if values.next().is_some() { Err(Refusal::Malformed) } else { Ok(first) }
}

/// Whether a word of a list fits, which may be in several fields.
fn lists(fields: &[Header<'_>], name: &str, fits: impl Fn(&[u8]) -> bool) -> bool {
    let values = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    values.flat_map(|field| field.value.split(|byte| *byte == b',')).any(|word| fits(word.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forwarded::Field;

    /// RFC 7118, 4.1.
    const REQUEST_OF_THE_RFC: &str = "GET / HTTP/1.1\r\nHost: sip-ws.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://www.example.com\r\n\
        Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n";

    fn refused(text: &str) -> Refusal {
        Upgrade::read(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn the_example_of_the_rfc_is_answered_as_there() {
        let stream = format!("{REQUEST_OF_THE_RFC}frames");
        let upgrade = Upgrade::read(stream.as_bytes()).unwrap().unwrap();
        assert_eq!(
            (upgrade.len, upgrade.origin),
            (REQUEST_OF_THE_RFC.len(), Some(&b"http://www.example.com"[..]))
        );
        let answer = String::from_utf8(upgrade.accepted()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\n"), "{answer}");
        for field in
            ["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "Sec-WebSocket-Protocol: sip\r\n"]
        {
            assert!(answer.contains(field), "{answer}");
        }
        for len in 0..REQUEST_OF_THE_RFC.len() {
            assert_eq!(Upgrade::read(&stream.as_bytes()[..len]), Ok(None), "{len}");
        }
    }

    #[test]
    fn a_proxy_of_ours_says_for_whom_it_asks() {
        let text = REQUEST_OF_THE_RFC.replacen(
            "Host",
            "x-forwarded-for: 192.0.2.9\r\nX-Forwarded-For: 192.0.2.1\r\nHost",
            1,
        );
        let asked = Upgrade::read(text.as_bytes()).unwrap().unwrap();
        let proxies = Proxies::new(Field::XForwardedFor, ["10.0.0.7".parse().unwrap()]);
        let client = |remote: &str| asked.client(remote.parse().unwrap(), &proxies).to_string();
        assert_eq!([client("10.0.0.7:1"), client("10.0.0.8:1")], ["192.0.2.1:1", "10.0.0.8:1"]);
    }

    #[test]
    fn what_browsers_write_otherwise_is_read_too() {
        for (old, new) in [
            ("Connection: Upgrade", "Connection: keep-alive, upgrade"),
            ("Upgrade: websocket", "upgrade: WebSocket"),
            ("Protocol: sip", "Protocol: xmpp, sip"),
            ("Protocol: sip", "Protocol: xmpp\r\nSec-WebSocket-Protocol: sip"),
            ("Origin: http://www.example.com\r\n", ""),
            ("GET / ", "GET /ws?a=b "),
        ] {
            let text = REQUEST_OF_THE_RFC.replacen(old, new, 1);
            assert!(matches!(Upgrade::read(text.as_bytes()), Ok(Some(_))), "{text}");
        }
    }

    #[test]
    fn each_mistake_has_its_answer() {
        let mistakes = [
            ("GET /", "POST /", Refusal::Method, "405 "),
            ("HTTP/1.1", "HTTP/1.0", Refusal::Malformed, "400 "),
            ("Host", "Most", Refusal::Malformed, "400 "),
            ("Host: ", "Host: a\r\nHost: ", Refusal::Malformed, "400 "),
            ("Origin: ", "Origin: http://a\r\nOrigin: ", Refusal::Malformed, "400 "),
            ("dGhl", "", Refusal::Malformed, "400 "),
            ("Key: ", "Kex: ", Refusal::Malformed, "400 "),
            ("Version: 13", "Version: 8", Refusal::Version, "426 "),
            ("websocket", "h2c", Refusal::Version, "426 "),
            ("Connection: Upgrade", "Connection: close", Refusal::Version, "426 "),
            ("Protocol: sip", "Protocol: SIP", Refusal::NotSip, "400 "),
            ("Protocol: sip", "Protocol: sips", Refusal::NotSip, "400 "),
            ("GET /", "\x16\x03", Refusal::Malformed, "400 "),
        ];
        for (old, new, refusal, status) in mistakes {
            assert_eq!(refused(&REQUEST_OF_THE_RFC.replacen(old, new, 1)), refusal, "{new}");
            let answer = String::from_utf8(refusal.answer()).unwrap();
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.ends_with("\r\n\r\n"),
                "{answer}"
            );
        }
    }

    #[test]
    fn what_never_ends_is_not_read_for_ever() {
        let endless = "GET / HTTP/1.1\r\n".to_owned() + &"a: b\r\n".repeat(2000);
        assert_eq!(Upgrade::read(&endless.as_bytes()[..REQUEST - 1]), Ok(None));
        assert_eq!(refused(&endless), Refusal::TooLarge);
        let many = REQUEST_OF_THE_RFC.replacen("Host", &format!("{}Host", "a: b\r\n".repeat(FIELDS)), 1);
        assert_eq!(refused(&many), Refusal::TooLarge);
        assert_eq!(refused("REGISTER sip:a SIP/2.0\r\n\r\n"), Refusal::Malformed);
        assert_eq!(refused("\x16\x03\x01"), Refusal::Malformed);
    }
}
