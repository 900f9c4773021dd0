//! What goes to a port under test and back, over UDP and over TCP: 48 bytes, signed.

use carillon_wire::ip::Dscp;

use super::token::Key;

/// A question to a port, or the answer from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Datagram {
    /// Is this port open?
    Question {
        /// The port asked.
        port: u16,
        /// Which attempt it is: duplicates count once, and a copy of an earlier answer is none to this one.
        attempt: u8,
    },
    /// It is, and the question arrived with this mark.
    Answer {
        /// The port asked.
        port: u16,
        /// Which attempt is answered.
        attempt: u8,
        /// The mark that the question arrived with; `None` if that cannot be told.
        arrived: Option<Dscp>,
    },
}

const MAGIC: [u8; 5] = *b"CRLN\x01";
const SIGNED: usize = Datagram::LEN - 16;
const NO_MARK: u8 = 0xff;

impl Datagram {
    /// Questions and answers are equally long, so that nobody is hit harder through a listener than directly.
    pub const LEN: usize = 48;

    /// Reads what a key has signed; `None` for everything else.
    pub fn read(bytes: &[u8], key: &Key) -> Option<Datagram> {
        let whole: &[u8; Datagram::LEN] = bytes.try_into().ok()?;
        let (content, tag) = whole.split_at(SIGNED);
        let (magic, rest) = content.split_first_chunk::<5>()?;
        let [kind, high, low, attempt, mark, rest @ ..] = rest else { return None };
        if *magic != MAGIC || rest.iter().any(|byte| *byte != 0) || !key.signed(content, tag) {
            return None;
        }
        let (port, attempt) = (u16::from_be_bytes([*high, *low]), *attempt);
        match (*kind, *mark) {
            (1, 0) => Some(Datagram::Question { port, attempt }),
            (2, NO_MARK) => Some(Datagram::Answer { port, attempt, arrived: None }),
            (2, mark) => Some(Datagram::Answer { port, attempt, arrived: Some(Dscp::new(mark)?) }),
            _ => None,
        }
    }

    /// The bytes, signed.
    pub fn bytes(&self, key: &Key) -> [u8; Datagram::LEN] {
        let (kind, port, attempt, mark) = match *self {
            Datagram::Question { port, attempt } => (1, port, attempt, 0),
            Datagram::Answer { port, attempt, arrived } => {
                (2, port, attempt, arrived.map_or(NO_MARK, Dscp::value))
            }
        };
        let [high, low] = port.to_be_bytes();
        let mut bytes = [0; Datagram::LEN];
        let head = MAGIC.into_iter().chain([kind, high, low, attempt, mark]);
        bytes.iter_mut().zip(head).for_each(|(to, byte)| *to = byte);
        let tag = key.sign(bytes.get(..SIGNED).unwrap_or_default());
        bytes.iter_mut().skip(SIGNED).zip(tag).for_each(|(to, byte)| *to = byte);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::Token;
    use super::*;

    #[test]
    fn what_is_signed_is_read_and_what_was_touched_is_not() {
        let key = Token::new([7; 10]).key(&[1; 16], &[2; 16]);
        let other = Token::new([7; 10]).key(&[1; 16], &[3; 16]);
        for datagram in [
            Datagram::Question { port: 20039, attempt: 2 },
            Datagram::Answer { port: 443, attempt: 0, arrived: Some(Dscp::EF) },
            Datagram::Answer { port: 443, attempt: 0, arrived: None },
        ] {
            let bytes = datagram.bytes(&key);
            assert_eq!(Datagram::read(&bytes, &key), Some(datagram));
            assert_eq!(Datagram::read(&bytes, &other), None);
            assert_eq!(Datagram::read(&bytes[..47], &key), None);
            for at in 0..bytes.len() {
                let mut touched = bytes;
                touched[at] ^= 1;
                assert_eq!(Datagram::read(&touched, &key), None, "{at}");
            }
        }
    }
}
