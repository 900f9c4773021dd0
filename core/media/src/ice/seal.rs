//! MESSAGE-INTEGRITY with SHA-1, by which both ends of a check and a relay prove themselves (RFC 8489, 14.5).

use carillon_wire::stun::{Builder, Message, kind};
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use subtle::ConstantTimeEq;

/// Adds integrity and fingerprint; `None` if the message became too long.
pub(super) fn seal(builder: Builder, key: &[u8]) -> Option<Vec<u8>> {
    let mac = hmac(key, &[&builder.integrity_input(20)]);
    builder.attribute(kind::MESSAGE_INTEGRITY, &mac).fingerprint().finish()
}

/// Whether who knows the key has made this message.
pub(super) fn is_sealed(message: &Message<'_>, key: &[u8]) -> bool {
    let Some(found) = message.message_integrity() else { return false };
    let (header, body) = message.covered(&found);
    hmac(key, &[&header, body]).ct_eq(found.mac).into()
}

/// The key of a long-term credential (RFC 8489, 9.2.2).
pub(super) fn long_term_key(user: &str, realm: &str, password: &str) -> [u8; 16] {
    let mut hash = Md5::new();
    for part in [user, ":", realm, ":", password] {
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let mut block = [0; 64];
    let hashed = Sha1::digest(key);
    let key = if key.len() > block.len() { hashed.as_slice() } else { key };
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let mut mac = Hmac::<Sha1>::new(&block.into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use carillon_wire::stun::{Class, Method};

    use super::*;

    #[test]
    fn who_does_not_know_the_key_cannot_seal() {
        let builder = Builder::new(Class::Request, Method::Binding, [7; 12]);
        let bytes = seal(builder, b"password").unwrap();
        let message = Message::parse(&bytes).unwrap();
        assert!(is_sealed(&message, b"password"));
        assert!(!is_sealed(&message, b"passwore"));
        assert_eq!(message.fingerprint(), carillon_wire::stun::Fingerprint::Valid);
    }

    #[test]
    fn the_long_term_key_is_that_of_the_rfc() {
        // RFC 8489, 14.5: user, realm, SASLprep'd pass.
        let key = long_term_key("user", "realm", "pass");
        assert_eq!(u128::from_be_bytes(key), 0x8493_fbc5_3ba5_82fb_4c04_4c45_6bdc_40eb);
    }
}
