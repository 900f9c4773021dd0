//! Messages of RFC 3489: no cookie, a transaction of 128 bits. Old phones and relays still send them; they are
//! recognised, so that they are not taken for something else, and not spoken.

use super::{COOKIE, Class, HEADER_LEN};

/// A message without the cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Classic<'a> {
    /// Request, success or error.
    pub class: Class,
    /// Whether this is a shared secret exchange instead of a binding.
    pub shared_secret: bool,
    /// 128 bits.
    pub transaction_id: &'a [u8; 16],
    /// The attributes, as far as captured.
    pub body: &'a [u8],
}

impl<'a> Classic<'a> {
    /// Reads a datagram of `declared_len` bytes, whole or cut by a capture: only the six message types of
    /// RFC 3489, 11.1, and only if the length agrees.
    #[inline]
    pub fn parse(bytes: &'a [u8], declared_len: usize) -> Option<Classic<'a>> {
        let (header, body) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let (class, shared_secret) = match (header[0], header[1]) {
            (0, method @ (1 | 2)) => (Class::Request, method == 2),
            (1, method @ (1 | 2)) => (Class::Success, method == 2),
            (1, method @ (0x11 | 0x12)) => (Class::Error, method == 0x12),
            _ => return None,
        };
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let agrees = length % 4 == 0 && length + HEADER_LEN == declared_len && bytes.len() <= declared_len;
        if !agrees || header[4..8] == COOKIE {
            return None;
        }
        Some(Classic { class, shared_secret, transaction_id: header.last_chunk()?, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_six_types_with_an_agreeing_length_are_classic() {
        let mut found = Vec::new();
        for head in 0..=u16::MAX {
            let mut bytes = [7u8; 20];
            bytes[..2].copy_from_slice(&head.to_be_bytes());
            bytes[2..4].fill(0);
            if Classic::parse(&bytes, 20).is_some() {
                found.push(head);
            }
            assert!(Classic::parse(&bytes, 24).is_none() && Classic::parse(&bytes, 19).is_none());
        }
        assert_eq!(found, [0x0001, 0x0002, 0x0101, 0x0102, 0x0111, 0x0112]);
    }
}
