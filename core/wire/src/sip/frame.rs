//! Where a message ends (RFC 3261, 7.5 and 18.3).
//!
//! Strict, because two elements that disagree about the end of a message can be made to see different messages.

use super::flow::Transport;
use super::index::leading_line_breaks;
use super::lex::{TOKEN, is};
use super::message::Message;
use super::outcome::{Answer, Garbage};

/// Largest message accepted, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Start line and header lines with the empty line.
    pub head: usize,
    /// Body.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { head: 64 << 10, body: 1 << 20 }
    }
}

/// What is at the start of the bytes.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a box would be an allocation per message")]
pub enum Framing<'a> {
    /// A message. It took `len` bytes; the next begins behind them.
    Message {
        /// Bytes used, with line breaks in front of the message.
        len: usize,
        /// The message; see [`Message::check`] for whether to process it.
        message: Message<&'a [u8]>,
    },
    /// Line breaks that keep a connection alive (RFC 5626, 3.5.1): on a stream two are a ping, one is its answer.
    KeepAlive {
        /// Bytes used.
        len: usize,
    },
    /// Part of a message. Ask again when there are at least `needed` bytes.
    More {
        /// Bytes from the start that are certainly needed.
        needed: usize,
    },
    /// A message whose end is unknown: a request gets the answer, a stream must be closed.
    Wrong {
        /// As much as could be read.
        message: Message<&'a [u8]>,
        /// What to send if it is a request.
        answer: Answer,
    },
    /// Drop; a stream must be closed.
    Garbage(Garbage),
}

/// Finds the first message in `bytes`.
pub fn frame(bytes: &[u8], transport: Transport, limits: Limits) -> Framing<'_> {
    let framed = if transport.is_stream() { stream(bytes, limits) } else { datagram(bytes, limits) };
    framed.unwrap_or_else(Framing::Garbage)
}

fn datagram(bytes: &[u8], limits: Limits) -> Result<Framing<'_>, Garbage> {
    if leading_line_breaks(bytes) == bytes.len() {
        return Ok(Framing::KeepAlive { len: bytes.len() });
    }
    let message = Message::parse(bytes)?;
    let head = message.index().body as usize;
    if head > limits.head {
        return Err(Garbage::HeadTooLarge);
    }
    let held = bytes.len().saturating_sub(head);
    let body = match message.content_length() {
        Err(malformed) => return Ok(Framing::Wrong { message, answer: malformed.into() }),
        Ok(Some(body)) if body > held => return Ok(wrong(message, "Content-Length Larger Than Message")),
        Ok(body) => body.unwrap_or(held),
    };
    match body > limits.body {
        true => Ok(Framing::Wrong { message, answer: Answer::TOO_LARGE }),
        false => Ok(Framing::Message { len: head + body, message }),
    }
}

fn stream(bytes: &[u8], limits: Limits) -> Result<Framing<'_>, Garbage> {
    let breaks = leading_line_breaks(bytes);
    if breaks > 0 {
        return Ok(Framing::KeepAlive { len: breaks });
    }
    if bytes.is_empty() || bytes == b"\r" {
        return Ok(Framing::More { needed: bytes.len() + 1 });
    }
    if !bytes.first().is_some_and(|&b| is(b, TOKEN)) {
        return Err(Garbage::NotSip);
    }
    let window = bytes.get(..limits.head).unwrap_or(bytes);
    let Some(end) = memchr::memmem::find(window, b"\r\n\r\n") else {
        let full = bytes.len() >= limits.head;
        return if full { Err(Garbage::HeadTooLarge) } else { Ok(Framing::More { needed: bytes.len() + 1 }) };
    };
    let head = end + 4;
    let message = Message::parse(bytes.get(..head).unwrap_or(bytes))?;
    let body = match message.content_length() {
        Err(malformed) => return Ok(Framing::Wrong { message, answer: malformed.into() }),
        Ok(None) => return Ok(wrong(message, "Missing Content-Length")),
        Ok(Some(body)) => body,
    };
    if body > limits.body {
        return Ok(Framing::Wrong { message, answer: Answer::TOO_LARGE });
    }
    let (_, index) = message.into_parts();
    Ok(match bytes.get(..head + body) {
        Some(whole) => Framing::Message { len: whole.len(), message: Message::with_index(whole, index) },
        None => Framing::More { needed: head + body },
    })
}

fn wrong<'a>(message: Message<&'a [u8]>, reason: &'static str) -> Framing<'a> {
    Framing::Wrong { message, answer: Answer::bad_request(reason) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "MESSAGE sip:a SIP/2.0\r\nVia: SIP/2.0/TCP b\r\n";

    fn shown(text: &str, transport: Transport) -> String {
        match frame(text.as_bytes(), transport, Limits { head: 256, body: 16 }) {
            Framing::Message { len, message } => format!("message {len} {}", message.body().len()),
            Framing::KeepAlive { len } => format!("keep-alive {len}"),
            Framing::More { needed } => format!("more {needed}"),
            Framing::Wrong { answer, .. } => format!("wrong {} {}", answer.code, answer.reason),
            Framing::Garbage(garbage) => garbage.counter().to_owned(),
        }
    }

    fn with(lines: &str, body: &str, transport: Transport) -> String {
        shown(&format!("{HEAD}{lines}\r\n{body}"), transport)
    }

    #[test]
    fn a_stream_ends_where_content_length_says() {
        let head = HEAD.len() + "l: 2\r\n\r\n".len();
        assert_eq!(with("l: 2\r\n", "hiNEXT", Transport::Tcp), format!("message {} 2", head + 2));
        assert_eq!(with("l: 2\r\n", "h", Transport::Tcp), format!("more {}", head + 2));
        assert_eq!(with("", "hi", Transport::Tcp), "wrong 400 Missing Content-Length");
    }

    #[test]
    fn a_datagram_ignores_what_follows_and_refuses_what_is_missing() {
        let head = HEAD.len() + "l: 2\r\n\r\n".len();
        assert_eq!(with("l: 2\r\n", "hiNEXT", Transport::Udp), format!("message {} 2", head + 2));
        assert_eq!(with("l: 2\r\n", "h", Transport::Udp), "wrong 400 Content-Length Larger Than Message");
        assert_eq!(with("", "hi", Transport::Udp), format!("message {} 2", HEAD.len() + 4));
    }

    #[test]
    fn lying_lengths_are_refused_on_both() {
        for transport in [Transport::Udp, Transport::Tcp] {
            assert_eq!(with("l: -1\r\n", "", transport), "wrong 400 Malformed Content-Length");
            assert_eq!(with("l: 1, 1\r\n", "x", transport), "wrong 400 Malformed Content-Length");
            assert_eq!(
                with("l: 1\r\nContent-Length: 2\r\n", "xx", transport),
                "wrong 400 Differing Content-Length"
            );
            assert_eq!(with("l: 17\r\n", "x".repeat(17).as_str(), transport), "wrong 513 Message Too Large");
            assert!(with("l: 1\r\nl: 01\r\n", "x", transport).starts_with("message"));
        }
        assert_eq!(
            with("l: 99999999999999999999\r\n", "", Transport::Tcp),
            "wrong 400 Malformed Content-Length"
        );
    }

    #[test]
    fn line_breaks_alone_keep_alive() {
        assert_eq!(shown("\r\n\r\n", Transport::Udp), "keep-alive 4");
        assert_eq!(shown("", Transport::Udp), "keep-alive 0");
        assert_eq!(shown("\r\n\r\nMESSAGE", Transport::Tcp), "keep-alive 4");
        assert_eq!(shown("\r", Transport::Tcp), "more 2");
        assert!(shown(&format!("\r\n{HEAD}\r\n"), Transport::Udp).starts_with("message"));
    }

    #[test]
    fn a_head_without_end_is_bounded() {
        assert_eq!(shown(HEAD, Transport::Tcp), format!("more {}", HEAD.len() + 1));
        assert_eq!(shown(&"a".repeat(256), Transport::Tcp), "sip_head_too_large");
        assert_eq!(shown("\x16\x03\x01", Transport::Tcp), "sip_not_sip");
    }
}
