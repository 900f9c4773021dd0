//! The secret of one run: shown where it listens, typed where it is sent from. It keeps strangers from using the
//! listener; who reads the network between the two learns what a port scan would tell, and no token.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// 80 random bits, written as four groups of four letters and digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 10]);

/// A number that is used once: each side draws one per conversation.
pub type Nonce = [u8; 16];

/// A signature (RFC 2104 with SHA-256, cut as its section 5 allows).
pub type Tag = [u8; 16];

/// The key of one conversation, which no other conversation has.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

/// Who proves that it knows the token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The one that asks for tests.
    Sender,
    /// The one that serves them.
    Listener,
}

/// Crockford's: without letters that are taken for digits.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl Token {
    /// From random bytes.
    pub fn new(random: [u8; 10]) -> Token {
        Token(random)
    }

    /// Reads what [`Token::shown`] gives; case, blanks and hyphens do not matter, nor l for 1 and o for 0.
    pub fn parse(text: &str) -> Option<Token> {
        let letters = text.chars().filter(|letter| !matches!(letter, '-' | ' '));
        let digits = letters.map(|letter| match letter.to_ascii_lowercase() {
            'o' => Some(0),
            'i' | 'l' => Some(1),
            other => ALPHABET.iter().position(|known| char::from(*known) == other),
        });
        let digits: Vec<usize> = digits.collect::<Option<_>>()?;
        if digits.len() != 16 {
            return None;
        }
        let number = digits.iter().fold(0u128, |number, digit| number << 5 | *digit as u128);
        Some(Token(*number.to_be_bytes().last_chunk()?))
    }

    /// For the one who has to type it elsewhere.
    pub fn shown(&self) -> String {
        let number = self.0.iter().fold(0u128, |number, byte| number << 8 | u128::from(*byte));
        let letter = |at: u32| ALPHABET.get((number >> (75 - 5 * at) & 31) as usize).copied();
        let letters: Vec<char> = (0..16).filter_map(letter).map(char::from).collect();
        letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
    }

    /// The key of the conversation in which these two numbers were drawn.
    pub fn key(&self, sender: &Nonce, listener: &Nonce) -> Key {
        let mut mac = keyed(&self.0);
        mac.update(b"carillon probe 1");
        mac.update(sender);
        mac.update(listener);
        Key(keyed(&mac.finalize().into_bytes()))
    }
}

impl Key {
    /// What a side shows to prove that it knows the token.
    pub fn proof(&self, side: Side) -> Tag {
        self.sign(match side {
            Side::Sender => b"sender",
            Side::Listener => b"listener",
        })
    }

    /// Whether that is the proof of that side.
    pub fn proves(&self, side: Side, proof: &Tag) -> bool {
        self.proof(side).ct_eq(proof).into()
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> Tag {
        let mut mac = self.0.clone();
        mac.update(bytes);
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        full.first_chunk().copied().unwrap_or_default()
    }

    pub(super) fn signed(&self, bytes: &[u8], tag: &[u8]) -> bool {
        self.sign(bytes).ct_eq(tag).into()
    }
}

/// An HMAC takes keys of any length; the empty one is never used.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()))
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_shown_and_as_people_type_it() {
        let token = Token::new([0xff, 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]);
        assert_eq!(token.shown().len(), 19);
        assert_eq!(Token::parse(&token.shown()), Some(token.clone()));
        let typed = token.shown().to_uppercase().replace('-', " ").replace('0', "O").replace('1', "l");
        assert_eq!(Token::parse(&typed), Some(token));
        for wrong in ["", "abcd", "uuuu-uuuu-uuuu-uuuu", "0000-0000-0000-00000", "0000-0000-0000-000é"] {
            assert_eq!(Token::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_proof_holds_for_one_side_one_token_and_one_conversation() {
        let (token, other) = (Token::new([1; 10]), Token::new([2; 10]));
        let key = token.key(&[3; 16], &[4; 16]);
        let proof = key.proof(Side::Sender);
        assert!(key.proves(Side::Sender, &proof) && !key.proves(Side::Listener, &proof));
        for other in
            [other.key(&[3; 16], &[4; 16]), token.key(&[3; 16], &[5; 16]), token.key(&[5; 16], &[4; 16])]
        {
            assert!(!other.proves(Side::Sender, &proof));
        }
        assert_eq!((format!("{token:?}"), format!("{key:?}")), ("Token".to_owned(), "Key".to_owned()));
    }
}
