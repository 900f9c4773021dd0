//! MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 with long-term keys (RFC 8489, 9.2.2, 14.5 and 14.6).

use carillon_wire::stun::{Builder, Integrity, Message, kind};
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// What user name, realm and password become.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Md5([u8; 16]),
    Sha256([u8; 32]),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// How the answer to a proven request is sealed: with the same key and the same attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seal {
    pub(crate) key: Key,
    pub(crate) strong: bool,
}

impl Key {
    pub(crate) fn md5(user: &str, realm: &str, password: &str) -> Key {
        Key::Md5(joined::<Md5>(&[user, realm, password]).finalize().into())
    }

    pub(crate) fn sha256(user: &str, realm: &str, password: &str) -> Key {
        Key::Sha256(joined::<Sha256>(&[user, realm, password]).finalize().into())
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Key::Md5(bytes) => bytes,
            Key::Sha256(bytes) => bytes,
        }
    }

    /// Shorter than a block of either hash: padded as RFC 2104 says.
    fn block(&self) -> [u8; 64] {
        let mut block = [0; 64];
        block.iter_mut().zip(self.bytes()).for_each(|(to, from)| *to = *from);
        block
    }

    fn sha1_mac(&self, parts: &[&[u8]]) -> [u8; 20] {
        let mut mac = Hmac::<Sha1>::new(&self.block().into());
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    fn sha256_mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new(&self.block().into());
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

impl Seal {
    /// Whether the message was sealed with this key. Of two seals the stronger one counts, and it has to be whole: TURN does
    /// not allow to shorten it (RFC 8489, 14.6).
    pub(crate) fn verify(message: &Message<'_>, key: Key) -> Option<Seal> {
        let strong = message.message_integrity_sha256();
        let found: Integrity<'_> = strong.or_else(|| message.message_integrity())?;
        let (header, body) = message.covered(&found);
        let agrees: bool = match strong {
            Some(_) => key.sha256_mac(&[&header, body]).ct_eq(found.mac).into(),
            None => key.sha1_mac(&[&header, body]).ct_eq(found.mac).into(),
        };
        agrees.then_some(Seal { key, strong: strong.is_some() })
    }

    /// Adds the seal to an answer.
    pub(crate) fn put(&self, builder: Builder) -> Builder {
        if self.strong {
            let mac = self.key.sha256_mac(&[&builder.integrity_input(32)]);
            return builder.attribute(kind::MESSAGE_INTEGRITY_SHA256, &mac);
        }
        let mac = self.key.sha1_mac(&[&builder.integrity_input(20)]);
        builder.attribute(kind::MESSAGE_INTEGRITY, &mac)
    }
}

/// USERHASH (RFC 8489, 14.4).
pub(crate) fn userhash(user: &str, realm: &str) -> [u8; 32] {
    joined::<Sha256>(&[user, realm]).finalize().into()
}

/// HMAC-SHA1 with a key of any length.
pub(crate) fn hmac_sha1(key: &[u8], text: &[u8]) -> [u8; 20] {
    let mut block = [0; 64];
    let hashed = Sha1::digest(key);
    let key = if key.len() > block.len() { &hashed[..] } else { key };
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let mut mac = Hmac::<Sha1>::new(&block.into());
    mac.update(text);
    mac.finalize().into_bytes().into()
}

fn joined<H: Digest>(parts: &[&str]) -> H {
    let mut hash = H::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769, 2.4: long-term credentials, as in RFC 5389.
    const MD5_REQUEST: &str = "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b90000\
        0015001c662f2f3439396b39353464364f4c33346f4c39465354767936347341\
        0014000b6578616d706c652e6f72670000080014f67024656dd64a3e02b8e0712e85c9a28ca89666";
    /// RFC 8489, B.1: the same user by hash, with SHA-256, up to the integrity. The printed message is 20 bytes shorter than its
    /// length field says, and its HMAC covers that length, so that nobody can parse it; its values are right.
    const SHA256_REQUEST: &str = "0001009c2112a44278ad3433c6ad72c029da412e\
        001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704\
        001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c39465354767936347341000000\
        0014000b6578616d706c652e6f726700";
    const SHA256_MAC: &str = "e4686c8f0edeb59013e07090010a93efccbccc544c0a45d9f830aa6d6f735a01";
    const USER: &str = "\u{30de}\u{30c8}\u{30ea}\u{30c3}\u{30af}\u{30b9}";

    fn bytes(hex: &str) -> Vec<u8> {
        let hex: String = hex.chars().filter(|c| !c.is_whitespace()).collect();
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn the_request_of_rfc_5769_is_proven_by_its_password_only() {
        let bytes = bytes(MD5_REQUEST);
        let message = Message::parse(&bytes).unwrap();
        let seal = Seal::verify(&message, Key::md5(USER, "example.org", "TheMatrIX")).unwrap();
        assert!(!seal.strong);
        assert!(Seal::verify(&message, Key::md5(USER, "example.org", "TheMatrix")).is_none());
        assert!(Seal::verify(&message, Key::sha256(USER, "example.org", "TheMatrIX")).is_none());
    }

    #[test]
    fn user_hash_and_hmac_of_rfc_8489_come_out() {
        let bytes = bytes(SHA256_REQUEST);
        assert_eq!(bytes[24..56], userhash(USER, "example.org"));
        let key = Key::sha256(USER, "example.org", "TheMatrIX");
        assert_eq!(key.sha256_mac(&[&bytes]).to_vec(), self::bytes(SHA256_MAC));
    }

    #[test]
    fn what_is_sealed_verifies_and_changed_it_does_not() {
        for strong in [false, true] {
            for key in [Key::md5("u", "r", "p"), Key::sha256("u", "r", "p")] {
                let builder = Builder::new(
                    carillon_wire::stun::Class::Success,
                    carillon_wire::stun::Method::Refresh,
                    [3; 12],
                );
                let sealed = Seal { key, strong }
                    .put(builder.u32(kind::LIFETIME, 600))
                    .fingerprint()
                    .finish()
                    .unwrap();
                let verified = Seal::verify(&Message::parse(&sealed).unwrap(), key).unwrap();
                assert_eq!(verified.strong, strong);
                let mut changed = sealed.clone();
                changed[27] ^= 1;
                assert!(Seal::verify(&Message::parse(&changed).unwrap(), key).is_none());
            }
        }
    }

    #[test]
    fn a_shortened_seal_proves_nothing() {
        use carillon_wire::stun::{Class, Method};
        let key = Key::sha256("u", "r", "p");
        let builder = Builder::new(Class::Request, Method::Refresh, [3; 12]);
        for (len, proves) in [(16, false), (28, false), (32, true)] {
            let mac = key.sha256_mac(&[&builder.integrity_input(len)]);
            let sealed = builder
                .clone()
                .attribute(kind::MESSAGE_INTEGRITY_SHA256, &mac[..len.into()])
                .finish()
                .unwrap();
            assert_eq!(Seal::verify(&Message::parse(&sealed).unwrap(), key).is_some(), proves, "{len}");
        }
    }

    /// RFC 2202, test cases 2 and 6.
    #[test]
    fn hmac_sha1_gives_the_values_of_its_rfc() {
        let hex = |mac: [u8; 20]| mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(hmac_sha1(b"Jefe", b"what do ya want for nothing?")),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
        let long = hmac_sha1(&[0xaa; 80], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(hex(long), "aa4ae5e15272d00e95705637ce8a3b55ed402112");
    }
}
