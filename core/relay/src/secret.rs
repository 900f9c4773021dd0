//! What others must not guess: keyed hashes for tables, nonces and reservations, all from the one seed.

use std::hash::{DefaultHasher, Hash, Hasher};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The seed, ready for use. The same seed gives the same values, so that runs repeat.
#[derive(Clone)]
pub(crate) struct Secret {
    hasher: DefaultHasher,
    mac: Hmac<Sha256>,
    drawn: u64,
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
        let mut block = [0; 64];
        block.iter_mut().zip(seed).for_each(|(to, from)| *to = *from);
        Secret { hasher, mac: Hmac::new(&block.into()), drawn: 0 }
    }

    /// A hash for tables: whoever does not know the seed cannot make it collide.
    pub(crate) fn hash(&self, value: &impl Hash) -> u64 {
        let mut hasher = self.hasher.clone();
        value.hash(&mut hasher);
        hasher.finish()
    }

    /// A proof that the parts were put together here, for one use.
    pub(crate) fn proof(&self, usage: &[u8], parts: &[&[u8]]) -> [u8; 8] {
        let mut mac = self.mac.clone();
        for part in std::iter::once(&usage).chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        whole.first_chunk().copied().unwrap_or_default()
    }

    /// A number that nobody can guess, another one each time.
    pub(crate) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        u64::from_be_bytes(self.proof(b"draw", &[&self.drawn.to_be_bytes()]))
    }
}
