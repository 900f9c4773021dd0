//! Cuts a stream into messages and keeps what is not whole yet.
//!
//! Where a message ends is said by `carillon_wire`, for SIP or for TURN; this remembers how far was looked, so that a
//! stream that comes byte by byte costs no more than one that comes at once.

use std::net::SocketAddr;

use carillon_wire::sip::{Answer, Framing, Limits, Transport, frame};
use carillon_wire::stun::frame_len_of_rfc5766;

use super::Protocol;

/// What a stream holds.
#[derive(Debug)]
pub(super) enum Framed<'a> {
    /// A whole message.
    Message(&'a [u8]),
    /// Two line breaks, to be answered with one (RFC 5626, 3.5.1).
    Ping,
    /// A message whose end can't be known; nothing behind it can be read.
    Wrong(&'a [u8], Answer),
    /// Nothing of the protocol, under the name of its counter; nothing behind it can be read.
    Garbage(&'static str),
    /// Who is at the other end, of whom a proxy may have spoken; before any message.
    Client(SocketAddr),
    /// Bytes that answer what has come, as they are.
    Reply(Vec<u8>),
}

/// Whether more can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reading {
    /// The next message may follow.
    Goes,
    /// The stream was given up.
    Ended,
    /// The other end has said that it sends no more.
    Closed,
    /// What was asked for before messages may come is refused.
    Refused,
}

/// The part of a message that has come so far.
#[derive(Default, Debug)]
pub(super) struct Framer {
    protocol: Protocol,
    held: Vec<u8>,
    awaits: Awaits,
    /// A line break came alone: the next one makes a ping of it.
    half_ping: bool,
}

/// What must come before another look is worth it.
#[derive(Debug)]
enum Awaits {
    /// The empty line that ends the head; it is not among the first bytes that were searched.
    Head { searched: usize },
    /// As many bytes as the head has promised.
    Whole { needed: usize },
}

impl Default for Awaits {
    fn default() -> Awaits {
        Awaits::Head { searched: 0 }
    }
}

impl Framer {
    pub(super) fn new(protocol: Protocol) -> Framer {
        Framer { protocol, ..Framer::default() }
    }

    /// What it cuts.
    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Bytes of a message that is not whole.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes what came and shows what is whole.
    pub(super) fn feed(&mut self, bytes: &[u8], limits: Limits, see: &mut impl FnMut(Framed<'_>)) -> Reading {
        if self.held.is_empty() {
            let (used, reading) = self.cut(bytes, limits, see);
            self.held = bytes.get(used..).unwrap_or_default().to_vec();
            return reading;
        }
        self.held.extend_from_slice(bytes);
        if !self.may_be_whole(limits) {
            return Reading::Goes;
        }
        let mut held = std::mem::take(&mut self.held);
        let (used, reading) = self.cut(&held, limits, see);
        if used < held.len() {
            held.drain(..used);
            held.shrink_to(2 * held.len());
            self.held = held;
        }
        reading
    }

    /// Shows the messages at the start; returns the bytes that they took.
    fn cut(&mut self, bytes: &[u8], limits: Limits, see: &mut impl FnMut(Framed<'_>)) -> (usize, Reading) {
        match self.protocol {
            Protocol::Sip => self.cut_sip(bytes, limits, see),
            Protocol::Turn => self.cut_turn(bytes, limits, see),
            Protocol::Raw => {
                see(Framed::Message(bytes));
                (bytes.len(), Reading::Goes)
            }
        }
    }

    /// Messages of STUN and padded ChannelData in turn (RFC 8656, 12.5).
    fn cut_turn(
        &mut self,
        bytes: &[u8],
        limits: Limits,
        see: &mut impl FnMut(Framed<'_>),
    ) -> (usize, Reading) {
        let mut used = 0;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            let needed = match frame_len_of_rfc5766(rest) {
                Ok(len) if len.is_none_or(|len| len <= limits.head) => len.unwrap_or(rest.len() + 1),
                Ok(_) => {
                    see(Framed::Garbage("frame_too_long"));
                    return (bytes.len(), Reading::Ended);
                }
                Err(_) => {
                    see(Framed::Garbage("not_turn"));
                    return (bytes.len(), Reading::Ended);
                }
            };
            let Some(frame) = rest.get(..needed) else {
                self.awaits = Awaits::Whole { needed };
                break;
            };
            see(Framed::Message(frame));
            used += needed;
        }
        (used, Reading::Goes)
    }

    fn cut_sip(
        &mut self,
        bytes: &[u8],
        limits: Limits,
        see: &mut impl FnMut(Framed<'_>),
    ) -> (usize, Reading) {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return (bytes.len(), Reading::Goes);
            }
            match frame(rest, Transport::Tcp, limits) {
                Framing::Message { len, .. } => {
                    see(Framed::Message(rest.get(..len).unwrap_or(rest)));
                    self.half_ping = false;
                    used += len;
                }
                Framing::KeepAlive { len } => {
                    self.count_breaks(len / 2, see);
                    used += len;
                }
                Framing::More { needed } => {
                    self.awaits = match ends_head(rest, 0, limits) {
                        true => Awaits::Whole { needed },
                        false => Awaits::Head { searched: rest.len() },
                    };
                    return (used, Reading::Goes);
                }
                Framing::Wrong { answer, .. } => {
                    see(Framed::Wrong(rest, answer));
                    return (bytes.len(), Reading::Ended);
                }
                Framing::Garbage(garbage) => {
                    see(Framed::Garbage(garbage.counter()));
                    return (bytes.len(), Reading::Ended);
                }
            }
        }
    }

    /// Every second line break ends a ping; they may come apart.
    fn count_breaks(&mut self, breaks: usize, see: &mut impl FnMut(Framed<'_>)) {
        let breaks = breaks + usize::from(self.half_ping);
        for _ in 0..breaks / 2 {
            see(Framed::Ping);
        }
        self.half_ping = breaks % 2 == 1;
    }

    /// False if another look at the bytes would only find that more are needed.
    fn may_be_whole(&mut self, limits: Limits) -> bool {
        let held = self.held.len();
        match &mut self.awaits {
            Awaits::Whole { needed } => held >= *needed,
            // A single byte may have been half a line break.
            Awaits::Head { searched } => {
                let from = std::mem::replace(searched, held);
                from < 2 || held >= limits.head || ends_head(&self.held, from, limits)
            }
        }
    }
}

/// Whether there is an empty line that was not whole at `from`.
fn ends_head(bytes: &[u8], from: usize, limits: Limits) -> bool {
    let window = bytes.get(..limits.head).unwrap_or(bytes);
    window.get(from.saturating_sub(3)..).is_some_and(|unseen| unseen.windows(4).any(|at| at == b"\r\n\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { head: 200, body: 20 };

    #[test]
    fn a_stream_of_turn_is_cut_the_same_wherever_it_is_torn() {
        let mut stream = Vec::new();
        for data in [&b"12345"[..], b"", b"1234"] {
            carillon_wire::stun::ChannelData::write_stream(0x7fff, data, &mut stream).unwrap();
            stream.extend([0, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42].into_iter().chain([7; 16]));
        }
        let lengths = [12, 24, 4, 24, 8, 24];
        for size in 1..=stream.len() {
            let (mut framer, mut seen) = (Framer::new(Protocol::Turn), Vec::new());
            for piece in stream.chunks(size) {
                let see = &mut |framed: Framed<'_>| match framed {
                    Framed::Message(bytes) => seen.push(bytes.len()),
                    other => panic!("{other:?}"),
                };
                assert_eq!(framer.feed(piece, LIMITS, see), Reading::Goes);
            }
            assert_eq!((&seen[..], framer.held()), (&lengths[..], 0), "{size}");
        }
    }

    #[test]
    fn what_is_not_turn_or_too_long_ends_its_stream() {
        for (bytes, name) in [(&b"GET / HTTP/1.1"[..], "frame_too_long"), (&[0x80; 8], "not_turn")] {
            let (mut framer, mut seen) = (Framer::new(Protocol::Turn), Vec::new());
            let see = &mut |framed: Framed<'_>| match framed {
                Framed::Garbage(name) => seen.push(name),
                other => panic!("{other:?}"),
            };
            assert_eq!(framer.feed(bytes, LIMITS, see), Reading::Ended);
            assert_eq!(seen, [name]);
        }
    }
    const ONE: &str = "MESSAGE sip:a SIP/2.0\r\nl: 2\r\n\r\nhi";
    const EMPTY: &str = "OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n";

    fn shown(pieces: &[&[u8]]) -> (Vec<String>, usize) {
        let (mut framer, mut seen) = (Framer::default(), Vec::new());
        for piece in pieces {
            let reading = framer.feed(piece, LIMITS, &mut |framed| {
                seen.push(match framed {
                    Framed::Message(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                    Framed::Ping => "ping".to_owned(),
                    Framed::Wrong(_, answer) => format!("{} {}", answer.code, answer.reason),
                    Framed::Garbage(counter) => counter.to_owned(),
                    framed @ (Framed::Reply(_) | Framed::Client(_)) => panic!("{framed:?}"),
                });
            });
            if reading == Reading::Ended {
                seen.push("ended".to_owned());
                break;
            }
        }
        (seen, framer.held())
    }

    /// The text in pieces of that many bytes.
    fn in_pieces(text: &str, len: usize) -> (Vec<String>, usize) {
        shown(&text.as_bytes().chunks(len).collect::<Vec<_>>())
    }

    #[test]
    fn every_way_to_cut_a_stream_shows_the_same_messages() {
        let text = format!("\r\n\r\n{ONE}{EMPTY}\r\n\r\n{ONE}\r\n{EMPTY}\r\n{ONE}");
        let expected = ["ping", ONE, EMPTY, "ping", ONE, EMPTY, ONE].map(str::to_owned).to_vec();
        for len in 1..=text.len() {
            assert_eq!(in_pieces(&text, len), (expected.clone(), 0), "pieces of {len}");
        }
    }

    #[test]
    fn what_is_not_whole_is_held_and_not_more() {
        for cut in 1..ONE.len() {
            assert_eq!(in_pieces(&format!("{EMPTY}{}", &ONE[..cut]), 1000), (vec![EMPTY.to_owned()], cut));
        }
    }

    #[test]
    fn a_ping_that_comes_in_two_halves_is_one() {
        assert_eq!(in_pieces("\r\n\r\n\r\n", 1), (vec!["ping".to_owned()], 0));
        assert_eq!(in_pieces("\r\n\r\n\r\n\r\n", 2), (vec!["ping".to_owned(); 2], 0));
    }

    #[test]
    fn a_stream_is_given_up_at_what_cannot_be_framed() {
        for (text, told) in [
            (format!("{ONE}\x16\x03\x01"), vec![ONE, "sip_not_sip", "ended"]),
            ("\rX".to_owned(), vec!["sip_not_sip", "ended"]),
            ("a".repeat(300), vec!["sip_head_too_large", "ended"]),
            (format!("{}{EMPTY}", ONE.replace("l: 2", "l: 21")), vec!["513 Message Too Large", "ended"]),
            (ONE.replace("l: 2", "l: 1\r\nl: 2"), vec!["400 Differing Content-Length", "ended"]),
        ] {
            for len in [1, 7, 1000] {
                assert_eq!(in_pieces(&text, len).0, told, "pieces of {len}");
            }
        }
    }
}
