//! Tags, branches, Call-IDs and waiting times that nobody guesses: drawn from the seed, so that runs replay.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The seed and how often it was used.
pub(super) struct Tokens {
    seed: [u8; 32],
    drawn: u64,
}

impl Tokens {
    pub(super) fn new(seed: [u8; 32]) -> Tokens {
        Tokens { seed, drawn: 0 }
    }

    /// Sixteen hexadecimal digits.
    pub(super) fn text(&mut self) -> String {
        let mut text = String::with_capacity(16);
        let _ = write!(text, "{:016x}", self.number());
        text
    }

    pub(super) fn number(&mut self) -> u64 {
        self.drawn += 1;
        let digest = Sha256::new().chain_update(self.seed).chain_update(self.drawn.to_be_bytes()).finalize();
        digest.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte))
    }
}
