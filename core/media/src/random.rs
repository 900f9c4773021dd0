//! Keys, identifiers and first numbers from a seed: the core has no source of randomness of its own.

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};

/// A stream of random bytes, as good as its seed (AES-256 in counter mode).
pub struct Random {
    stream: Ctr128BE<Aes256>,
    /// Where it begins, and how far it was read: a copy goes on from there.
    start: ([u8; 32], [u8; 16]),
    read: u64,
}

impl Random {
    /// Streams for different purposes are independent, so that one seed may serve several.
    pub fn new(seed: &[u8; 32], purpose: [u8; 8]) -> Random {
        let mut iv = [0; 16];
        iv[..8].copy_from_slice(&purpose);
        Random { stream: Ctr128BE::new(&(*seed).into(), &iv.into()), start: (*seed, iv), read: 0 }
    }

    /// The next bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// The next bytes, as many as there is room for.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
        self.read += bytes.len() as u64;
        self.stream.apply_keystream(bytes);
    }

    /// A number.
    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.bytes())
    }
}

impl Clone for Random {
    fn clone(&self) -> Random {
        let (seed, iv) = self.start;
        let mut stream = Ctr128BE::new(&seed.into(), &iv.into());
        stream.seek(self.read);
        Random { stream, ..*self }
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_purposes_differ() {
        let first = |purpose| Random::new(&[7; 32], purpose).bytes::<16>();
        assert_eq!(first(*b"purposeA"), first(*b"purposeA"));
        assert_ne!(first(*b"purposeA"), first(*b"purposeB"));
        let mut random = Random::new(&[7; 32], *b"purposeA");
        assert_ne!(random.u32(), random.u32());
        assert_eq!(random.clone().u32(), random.u32(), "a copy goes on from the same point");
    }
}
