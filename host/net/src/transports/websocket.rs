//! A WebSocket of a client (RFC 7118): opened by a request of HTTP from a page that may, then one message of SIP in each of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use carillon_wire::forwarded::Proxies;
use carillon_wire::sip::Limits;
use carillon_wire::websocket::{CloseCode, Frame, Frames, Refusal, Upgrade, close, message, pong};

use super::framer::{Framed, Reading};

/// Who may open one, and who does so for others.
#[derive(Clone, Default)]
pub(super) struct Entrance {
    /// Where pages come from that may.
    pub(super) origins: Vec<String>,
    /// Who says for whom it asks.
    pub(super) proxies: Proxies,
}

/// One WebSocket.
pub(super) struct WebSocket {
    entrance: Arc<Entrance>,
    /// The other end of the connection.
    remote: SocketAddr,
    stage: Stage,
}

enum Stage {
    /// The request is not whole: what there is of it.
    Opening(Vec<u8>),
    /// Frames come and go.
    Open(Frames),
    /// We have said our last word.
    Over,
}

impl WebSocket {
    pub(super) fn new(entrance: Arc<Entrance>, remote: SocketAddr) -> WebSocket {
        WebSocket { entrance, remote, stage: Stage::Opening(Vec::new()) }
    }

    pub(super) fn held(&self) -> usize {
        match &self.stage {
            Stage::Opening(held) => held.len(),
            Stage::Open(frames) => frames.held(),
            Stage::Over => 0,
        }
    }

    pub(super) fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Opening(_))
    }

    pub(super) fn feed(&mut self, bytes: &[u8], limits: Limits, see: &mut impl FnMut(Framed<'_>)) -> Reading {
        match &mut self.stage {
            Stage::Opening(held) => {
                held.extend_from_slice(bytes);
                let held = std::mem::take(held);
                self.open(held, limits, see)
            }
            Stage::Open(frames) => {
                let (mut reading, most) = (Reading::Goes, limits.head.saturating_add(limits.body));
                let read = frames.feed(bytes, most, &mut |frame| match frame {
                    Frame::Message(bytes) => show(bytes, see),
                    Frame::Ping(bytes) => see(Framed::Reply(pong(bytes))),
                    Frame::Close => {
                        see(Framed::Reply(close(CloseCode::Normal)));
                        reading = Reading::Closed;
                    }
                });
                if let Err(code) = read {
                    see(Framed::Reply(close(code)));
                    reading = Reading::Ended;
                }
                if reading != Reading::Goes {
                    self.stage = Stage::Over;
                }
                reading
            }
            Stage::Over => Reading::Ended,
        }
    }

    /// Looks at the request as far as it has come. A client may send frames before it has the answer.
    fn open(&mut self, held: Vec<u8>, limits: Limits, see: &mut impl FnMut(Framed<'_>)) -> Reading {
        let asked = Upgrade::read(&held).and_then(|asked| match asked {
            Some(asked) if !self.may_ask(asked.origin) => Err(Refusal::Origin),
            other => Ok(other),
        });
        match asked {
            Err(refusal) => {
                self.stage = Stage::Over;
                see(Framed::Reply(refusal.answer()));
                Reading::Refused
            }
            Ok(Some(asked)) => {
                self.stage = Stage::Open(Frames::default());
                see(Framed::Client(asked.client(self.remote, &self.entrance.proxies)));
                see(Framed::Reply(asked.accepted()));
                self.feed(held.get(asked.len..).unwrap_or_default(), limits, see)
            }
            Ok(None) => {
                self.stage = Stage::Opening(held);
                Reading::Goes
            }
        }
    }

    /// A browser says whose page asks. Who says nothing is no browser, and could say anything.
    fn may_ask(&self, origin: Option<&[u8]>) -> bool {
        origin.is_none_or(|origin| self.entrance.origins.iter().any(|known| known.as_bytes() == origin))
    }

    pub(super) fn wrap(&self, bytes: &[u8]) -> Vec<u8> {
        message(bytes)
    }

    pub(super) fn end(&mut self) -> Option<Vec<u8>> {
        let open = matches!(self.stage, Stage::Open(_));
        self.stage = Stage::Over;
        open.then(|| close(CloseCode::Normal))
    }
}

/// A message, or what keeps the connection alive (RFC 7118, 6).
fn show(bytes: &[u8], see: &mut impl FnMut(Framed<'_>)) {
    match bytes {
        b"\r\n\r\n" => see(Framed::Ping),
        b"" | b"\r\n" => {}
        message => see(Framed::Message(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { head: 60, body: 40 };

    fn request(origin: &str) -> String {
        format!(
            "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: {origin}\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
    }

    fn opening(origins: &[&str]) -> WebSocket {
        let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let entrance = Entrance { origins, proxies: Proxies::default() };
        WebSocket::new(entrance.into(), "192.0.2.1:1".parse().unwrap())
    }

    /// A masked frame; the mask is of zeros.
    fn sent(first: u8, payload: &[u8]) -> Vec<u8> {
        [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
    }

    fn shown(stream: &[u8], size: usize) -> (Vec<String>, Reading) {
        let mut web = opening(&["https://pages.example.com"]);
        let (mut seen, mut reading) = (Vec::new(), Reading::Goes);
        for piece in stream.chunks(size) {
            reading = web.feed(piece, LIMITS, &mut |framed| {
                seen.push(match framed {
                    Framed::Client(client) => return assert_eq!(client.to_string(), "192.0.2.1:1"),
                    Framed::Message(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                    Framed::Ping => "ping".to_owned(),
                    Framed::Reply(bytes) if bytes.starts_with(b"HTTP") => {
                        String::from_utf8(bytes[9..12].to_vec()).unwrap()
                    }
                    Framed::Reply(bytes) => format!("{bytes:x?}"),
                    other => panic!("{other:?}"),
                });
            });
            if reading != Reading::Goes {
                assert_eq!((web.held(), web.end()), (0, None));
                break;
            }
        }
        (seen, reading)
    }

    #[test]
    fn a_page_that_may_opens_it_and_talks_wherever_the_stream_is_torn() {
        let frames = [
            sent(0x81, b"MESSAGE"),
            sent(0x89, b"hi"),
            sent(0x82, b"\r\n\r\n"),
            sent(0x81, b"\r\n"),
            sent(0x88, b""),
            sent(0x81, b"late"),
        ];
        let stream = [request("https://pages.example.com").into_bytes(), frames.concat()].concat();
        let expected = ["101", "MESSAGE", "[8a, 2, 68, 69]", "ping", "[88, 2, 3, e8]"].map(str::to_owned);
        for size in [1, 3, 50, usize::MAX] {
            assert_eq!(shown(&stream, size), (expected.to_vec(), Reading::Closed), "{size}");
        }
    }

    #[test]
    fn another_page_is_refused_and_who_is_no_page_is_not() {
        let from = |origin| shown(request(origin).as_bytes(), usize::MAX);
        for origin in ["https://evil.example.com", "null", "https://pages.example.com.evil", ""] {
            assert_eq!(from(origin), (vec!["403".to_owned()], Reading::Refused), "{origin}");
        }
        let text = request("").replace("Origin: \r\n", "");
        assert_eq!(shown(text.as_bytes(), 9), (vec!["101".to_owned()], Reading::Goes));
    }

    #[test]
    fn what_is_too_large_or_wrong_is_told_and_ends_it() {
        let request = request("https://pages.example.com").into_bytes();
        for (frame, told) in
            [(sent(0x81, &[b'a'; 101]), "[88, 2, 3, f1]"), (sent(0x83, b""), "[88, 2, 3, ea]")]
        {
            let stream = [request.clone(), frame].concat();
            assert_eq!(shown(&stream, usize::MAX), (vec!["101".to_owned(), told.to_owned()], Reading::Ended));
        }
    }

    #[test]
    fn we_say_that_we_end_it_once() {
        let mut web = opening(&[]);
        assert_eq!(web.end(), None);
        let mut web = opening(&[]);
        let text = request("").replace("Origin: \r\n", "");
        web.feed(text.as_bytes(), LIMITS, &mut |_| {});
        assert_eq!((web.end(), web.end()), (Some(vec![0x88, 2, 3, 0xe8]), None));
    }
}
