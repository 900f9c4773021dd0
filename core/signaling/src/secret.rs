//! What others must not guess: keyed hashes for tables, branches and tags, and proofs that a token is ours.

use std::hash::{DefaultHasher, Hasher};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a proof (RFC 5626, 5.2 has 80 bits too).
pub(crate) const PROOF: usize = 10;

/// The seed, ready for use. The same seed gives the same values, so that runs repeat and tokens outlive a restart.
#[derive(Clone)]
pub(crate) struct Secret {
    hasher: DefaultHasher,
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    pub(crate) fn new(seed: &[u8; 32]) -> Secret {
        let mut hasher = DefaultHasher::new();
        hasher.write(seed);
        let mut key = [0; 64];
        key.iter_mut().zip(seed).for_each(|(to, from)| *to = *from);
        Secret { hasher, mac: Hmac::new((&key).into()) }
    }

    /// A hash of the parts for one use; their borders count.
    pub(crate) fn hash(&self, usage: u8, parts: &[&[u8]]) -> u64 {
        let mut hasher = self.hasher.clone();
        hasher.write_u8(usage);
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish()
    }

    /// The same with 128 bits: two different inputs never have the same one in practice.
    pub(crate) fn wide(&self, usage: u8, parts: &[&[u8]]) -> u128 {
        u128::from(self.hash(usage, parts)) << 64 | u128::from(self.hash(!usage, parts))
    }

    /// A proof that the parts were put together here.
    pub(crate) fn proof(&self, parts: &[&[u8]]) -> [u8; PROOF] {
        let mut mac = self.mac.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let mut proof = [0; PROOF];
        proof.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
        proof
    }

    /// Makes bytes unreadable, and readable again: two that have not the same proof have nothing in common.
    pub(crate) fn masked(&self, proof: &[u8], bytes: &[u8]) -> Vec<u8> {
        let block = |(number, block): (usize, &[u8])| {
            let mut mac = self.mac.clone();
            mac.update(b"mask");
            mac.update(&(number as u64).to_be_bytes());
            mac.update(proof);
            let mask: [u8; 32] = mac.finalize().into_bytes().into();
            block.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect::<Vec<u8>>()
        };
        bytes.chunks(32).enumerate().flat_map(block).collect()
    }
}

/// What a hash is for; the same input gives other values for other uses. Less than 128, see [`Secret::wide`].
pub(crate) mod usage {
    pub(crate) const TRANSACTION: u8 = 1;
    pub(crate) const BRANCH: u8 = 2;
    pub(crate) const LOOP: u8 = 3;
    pub(crate) const TAG: u8 = 4;
    pub(crate) const CALL: u8 = 5;
    pub(crate) const ACK: u8 = 6;
    pub(crate) const USER: u8 = 7;
    pub(crate) const EDGE: u8 = 8;
    pub(crate) const ENTITY: u8 = 9;
    pub(crate) const STRANGERS: u8 = 10;
    pub(crate) const HOME: u8 = 11;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_use_and_borders_count() {
        let secret = Secret::new(&[7; 32]);
        let hash = secret.hash(1, &[b"ab", b"c"]);
        assert_eq!(hash, Secret::new(&[7; 32]).hash(1, &[b"ab", b"c"]));
        for other in [
            Secret::new(&[8; 32]).hash(1, &[b"ab", b"c"]),
            secret.hash(2, &[b"ab", b"c"]),
            secret.hash(1, &[b"a", b"bc"]),
        ] {
            assert_ne!(hash, other);
        }
        assert_ne!(secret.proof(&[b"ab", b"c"]), secret.proof(&[b"a", b"bc"]));
        assert_ne!(secret.proof(&[b"a"]), Secret::new(&[8; 32]).proof(&[b"a"]));
    }
}
