//! Frames (RFC 6455, 5): those of a client are put together to messages, those of a server are written.

/// Why a connection is ended, as its other end is told (RFC 6455, 7.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum CloseCode {
    /// There is nothing more to say.
    Normal = 1000,
    /// What came breaks the protocol.
    Protocol = 1002,
    /// A text that is no UTF-8.
    NotText = 1007,
    /// A message is larger than allowed.
    TooLarge = 1009,
}

/// What a client has sent, whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// A message, text or binary.
    Message(&'a [u8]),
    /// To be answered with a [`pong`] that carries the same.
    Ping(&'a [u8]),
    /// The client sends no more; what comes after it is not looked at.
    Close,
}

/// The part of a stream of frames that is not whole.
#[derive(Default, Debug)]
pub struct Frames {
    head: Head,
    /// The frame whose head is whole.
    payload: Option<Payload>,
    /// What has come of a message, and whether it is text.
    message: Vec<u8>,
    is_text: Option<bool>,
    /// What has come of a control frame, which may stand between the frames of a message.
    control: Vec<u8>,
    is_closed: bool,
}

/// The first bytes of a frame, up to its mask.
#[derive(Default, Debug)]
struct Head {
    bytes: [u8; 14],
    have: usize,
}

#[derive(Debug)]
struct Payload {
    opcode: u8,
    is_last: bool,
    mask: [u8; 4],
    at: usize,
    left: usize,
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// Set in the first byte of the last frame of a message.
const LAST: u8 = 0x80;
/// Set in the second byte of what a client sends.
const MASKED: u8 = 0x80;
/// The longest payload of a control frame.
const CONTROL: u64 = 125;

impl Frames {
    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.head.have + self.message.len() + self.control.len()
    }

    /// Takes what came and shows what is whole. A message has at most `most` bytes. After an error nothing more can be read.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        most: usize,
        see: &mut impl FnMut(Frame<'_>),
    ) -> Result<(), CloseCode> {
        while !bytes.is_empty() && !self.is_closed {
            bytes = match &mut self.payload {
                None => self.head.take(bytes),
                Some(payload) => {
                    let into = if is_control(payload.opcode) { &mut self.control } else { &mut self.message };
                    payload.take(bytes, into)
                }
            };
            if self.payload.is_none()
                && let Some(payload) = self.head.read()?
            {
                self.begin(payload, most)?;
            }
            if self.payload.as_ref().is_some_and(|payload| payload.left == 0) {
                self.end(see)?;
            }
        }
        Ok(())
    }

    /// A frame begins: what it may be is decided before its payload comes.
    fn begin(&mut self, (first, mask, length): (u8, [u8; 4], u64), most: usize) -> Result<(), CloseCode> {
        let (opcode, is_last) = (first & 0x0f, first & LAST != 0);
        match (opcode, self.is_text) {
            // No extension was agreed on that could give these bits a meaning.
            _ if first & 0x70 != 0 => return Err(CloseCode::Protocol),
            (CLOSE | PING | PONG, _) if is_last && length <= CONTROL => {}
            (TEXT | BINARY, None) => self.is_text = Some(opcode == TEXT),
            (CONTINUATION, Some(_)) => {}
            _ => return Err(CloseCode::Protocol),
        }
        let held = if is_control(opcode) { 0 } else { self.message.len() as u64 };
        if !is_control(opcode) && length.saturating_add(held) > most as u64 {
            return Err(CloseCode::TooLarge);
        }
        let left = usize::try_from(length).map_err(|_| CloseCode::TooLarge)?;
        self.head = Head::default();
        self.payload = Some(Payload { opcode, is_last, mask, at: 0, left });
        Ok(())
    }

    fn end(&mut self, see: &mut impl FnMut(Frame<'_>)) -> Result<(), CloseCode> {
        let Some(Payload { opcode, is_last, .. }) = self.payload.take() else { return Ok(()) };
        if !is_control(opcode) {
            return if is_last { self.show(see) } else { Ok(()) };
        }
        let control = std::mem::take(&mut self.control);
        match opcode {
            PING => see(Frame::Ping(&control)),
            // A code has two bytes (RFC 6455, 5.5.1).
            CLOSE if control.len() == 1 => return Err(CloseCode::Protocol),
            CLOSE => {
                self.is_closed = true;
                see(Frame::Close);
            }
            _ => {}
        }
        Ok(())
    }

    fn show(&mut self, see: &mut impl FnMut(Frame<'_>)) -> Result<(), CloseCode> {
        let (message, is_text) = (std::mem::take(&mut self.message), self.is_text.take());
        if is_text == Some(true) && std::str::from_utf8(&message).is_err() {
            return Err(CloseCode::NotText);
        }
        see(Frame::Message(&message));
        Ok(())
    }
}

impl Head {
    /// Takes as much as belongs to it; returns the rest.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let mut rest = bytes;
        while self.have < self.length()
            && let Some((byte, after)) = rest.split_first()
        {
            if let Some(place) = self.bytes.get_mut(self.have) {
                *place = *byte;
            }
            (self.have, rest) = (self.have + 1, after);
        }
        rest
    }

    /// How long it is, as far as that is known.
    fn length(&self) -> usize {
        let [_, second, ..] = self.bytes;
        match (self.have, second & !MASKED) {
            (0 | 1, _) => 2,
            (_, 126) => 8,
            (_, 127) => 14,
            _ => 6,
        }
    }

    /// First byte, mask, and length of the payload, once all of it is there.
    fn read(&self) -> Result<Option<(u8, [u8; 4], u64)>, CloseCode> {
        let [first, second, a, b, c, d, e, f, g, h, m @ ..] = self.bytes;
        // What a client sends must be masked (RFC 6455, 5.1).
        if self.have >= 2 && second & MASKED == 0 {
            return Err(CloseCode::Protocol);
        }
        if self.have < 2 || self.have < self.length() {
            return Ok(None);
        }
        let (mask, length, least) = match second & !MASKED {
            126 => ([c, d, e, f], u64::from(u16::from_be_bytes([a, b])), 126),
            127 => (m, u64::from_be_bytes([a, b, c, d, e, f, g, h]), 1 << 16),
            short => ([a, b, c, d], u64::from(short), 0),
        };
        // The shortest form is the only one (RFC 6455, 5.2).
        if length < least { Err(CloseCode::Protocol) } else { Ok(Some((first, mask, length))) }
    }
}

impl Payload {
    /// Takes as much as belongs to it, unmasked; returns the rest.
    fn take<'a>(&mut self, bytes: &'a [u8], into: &mut Vec<u8>) -> &'a [u8] {
        let (own, rest) = bytes.split_at(self.left.min(bytes.len()));
        let mask = self.mask.iter().cycle().skip(self.at % 4);
        into.extend(own.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        (self.at, self.left) = (self.at + own.len(), self.left - own.len());
        rest
    }
}

/// A message to a client: text if it is UTF-8, as browsers like it, else binary (RFC 7118, 4.2).
pub fn message(bytes: &[u8]) -> Vec<u8> {
    let opcode = if std::str::from_utf8(bytes).is_ok() { TEXT } else { BINARY };
    frame(opcode, bytes)
}

/// The answer to a ping; of what is longer than a ping may be, the beginning.
pub fn pong(bytes: &[u8]) -> Vec<u8> {
    frame(PONG, bytes.get(..CONTROL as usize).unwrap_or(bytes))
}

/// The last frame.
pub fn close(code: CloseCode) -> Vec<u8> {
    frame(CLOSE, &(code as u16).to_be_bytes())
}

fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    frame.push(LAST | opcode);
    match payload.len() {
        short @ 0..=125 => frame.push(short as u8),
        medium @ 126..=0xffff => {
            frame.push(126);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

const fn is_control(opcode: u8) -> bool {
    opcode & 0x8 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as a client sends it.
    fn sent(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let mut frame = frame(0, payload);
        frame[0] = first;
        frame[1] |= MASKED;
        frame.truncate(frame.len() - payload.len());
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn shown(stream: &[u8], size: usize) -> (Vec<String>, Result<(), CloseCode>) {
        let (mut frames, mut seen) = (Frames::default(), Vec::new());
        let mut see = |frame: Frame<'_>| {
            seen.push(match frame {
                Frame::Message(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Frame::Ping(bytes) => format!("ping {}", bytes.len()),
                Frame::Close => "close".to_owned(),
            });
        };
        let outcome = stream.chunks(size).try_for_each(|piece| frames.feed(piece, 100_000, &mut see));
        if outcome.is_ok() {
            assert_eq!(frames.held(), 0);
        }
        (seen, outcome)
    }

    /// RFC 6455, 5.7.
    #[test]
    fn the_examples_of_the_rfc_are_read_and_written() {
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(shown(&masked, 99), (vec!["Hello".to_owned()], Ok(())));
        assert_eq!(message(b"Hello"), [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert_eq!(pong(b"Hello"), [0x8a, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert_eq!(message(&[0xff; 256])[..4], [0x82, 0x7e, 0x01, 0x00]);
        assert_eq!(message(&[0; 65536])[..10], [0x81, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(close(CloseCode::TooLarge), [0x88, 2, 0x03, 0xf1]);
    }

    #[test]
    fn a_stream_shows_the_same_wherever_it_is_torn() {
        let (long, longer) = ("a".repeat(300), "b".repeat(70_000));
        let stream = [
            sent(LAST | TEXT, b"one"),
            sent(TEXT, b"tw"),
            sent(LAST | PING, b"1234"),
            sent(CONTINUATION, b""),
            sent(LAST | CONTINUATION, b"o"),
            sent(LAST | PONG, b"unasked"),
            sent(LAST | BINARY, long.as_bytes()),
            sent(LAST | TEXT, longer.as_bytes()),
            sent(LAST | TEXT, b""),
            sent(LAST | CLOSE, &[3, 232]),
            sent(LAST | TEXT, b"too late"),
        ]
        .concat();
        let expected = ["one", "ping 4", "two", &long, &longer, "", "close"].map(str::to_owned);
        for size in [1, 2, 3, 7, 1000, usize::MAX] {
            assert_eq!(shown(&stream, size), (expected.to_vec(), Ok(())), "{size}");
        }
    }

    #[test]
    fn what_breaks_the_protocol_ends_it_before_its_payload_came() {
        let unmasked = message(b"x");
        let too_long = [LAST | TEXT, MASKED | 126, 0, 125];
        let much_too_long = [LAST | TEXT, MASKED | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
        let huge = [&[LAST | TEXT, MASKED | 127][..], &[0xff; 8], &[0; 4]].concat();
        for (stream, code) in [
            (unmasked, CloseCode::Protocol),
            (sent(LAST | 0x40 | TEXT, b"x"), CloseCode::Protocol),
            (sent(LAST | 3, b"x"), CloseCode::Protocol),
            (sent(LAST | 11, b"x"), CloseCode::Protocol),
            (sent(PING, b"x"), CloseCode::Protocol),
            (sent(LAST | PING, &[0; 126]), CloseCode::Protocol),
            (sent(LAST | CLOSE, &[3]), CloseCode::Protocol),
            (sent(LAST | CONTINUATION, b"x"), CloseCode::Protocol),
            ([sent(TEXT, b"x"), sent(LAST | TEXT, b"y")].concat(), CloseCode::Protocol),
            ([&too_long[..], &[0; 129]].concat(), CloseCode::Protocol),
            ([&much_too_long[..], &[0; 4]].concat(), CloseCode::Protocol),
            (huge, CloseCode::TooLarge),
            (sent(LAST | TEXT, &[b'x'; 100_001]), CloseCode::TooLarge),
            ([sent(TEXT, &[b'x'; 60_000]), sent(LAST, &[b'x'; 40_001])].concat(), CloseCode::TooLarge),
            (sent(LAST | TEXT, &[0xff]), CloseCode::NotText),
        ] {
            for size in [1, usize::MAX] {
                assert_eq!(shown(&stream, size), (Vec::new(), Err(code)), "{:?}", &stream[..4]);
            }
        }
    }

    /// Text that is cut within a letter is judged when it is whole.
    #[test]
    fn a_letter_may_be_in_two_frames() {
        let stream = [sent(TEXT, &[0xc3]), sent(LAST | CONTINUATION, &[0xa9])].concat();
        assert_eq!(shown(&stream, 99), (vec!["é".to_owned()], Ok(())));
    }
}
