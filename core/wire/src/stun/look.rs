//! What a datagram, or a frame of a stream, is by its first bytes: for those who must tell at once and read later, or never.

use super::{COOKIE, HEADER_LEN};

/// What it looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// A message of STUN.
    Message,
    /// ChannelData.
    Channel,
    /// Something else.
    Other,
}

/// The first bytes tell (RFC 8489, 5, and RFC 7983, 7; RFC 5766, 11, whose clients use channels that RFC 8656 has given up).
pub fn look(bytes: &[u8]) -> Look {
    match bytes {
        [0x40..=0x7f, _, _, _, ..] => Look::Channel,
        [0x00..=0x03, _, _, _, cookie @ ..] if cookie.starts_with(&COOKIE) && bytes.len() >= HEADER_LEN => {
            Look::Message
        }
        _ => Look::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stun_with_its_cookie_and_channels_look_like_turn() {
        let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        message.resize(20, 7);
        assert_eq!(look(&message), Look::Message);
        assert_eq!(look(&message[..19]), Look::Other);
        message[7] = 0;
        assert_eq!(look(&message), Look::Other);
        for first in 0..=255u8 {
            let expected = if (0x40..=0x7f).contains(&first) { Look::Channel } else { Look::Other };
            assert_eq!(look(&[first, 0, 0, 0]), expected, "{first}");
        }
        assert_eq!(look(&[0x40, 0, 0]), Look::Other);
    }
}
