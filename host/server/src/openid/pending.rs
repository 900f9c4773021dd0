//! A sign-in that has begun, as the cookie of its browser: where it is to end, and until when. State, nonce and verifier follow from
//! the cookie by a key that dies with the process, so that nobody can make a sign-in up, or end somebody else's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest cookie that is read, in bytes.
const LONGEST: usize = 4000;

/// A sign-in that has begun.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// Tells it from every other one.
    id: String,
    /// Until when it may end, in seconds since the Unix epoch.
    pub(crate) until: u64,
    /// The page at which it ends.
    pub(crate) page: String,
    /// What the page wants to know it by.
    pub(crate) state: String,
}

/// The key.
pub(super) struct Seal(Hmac<Sha256>);

impl Pending {
    /// A new one.
    pub(crate) fn new(until: u64, page: String, state: String) -> Pending {
        Pending { id: URL_SAFE_NO_PAD.encode(random()), until, page, state }
    }

    pub(super) fn cookie(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    pub(super) fn read(cookie: &str) -> Option<Pending> {
        let bytes = URL_SAFE_NO_PAD.decode(cookie).ok().filter(|_| cookie.len() <= LONGEST)?;
        serde_json::from_slice(&bytes).ok()
    }
}

impl Seal {
    pub(super) fn new() -> Seal {
        Seal(Hmac::new(&{
            let mut block = [0; 64];
            block.iter_mut().zip(random()).for_each(|(to, from)| *to = from);
            block.into()
        }))
    }

    pub(super) fn state(&self, cookie: &str) -> String {
        self.of("state", cookie)
    }

    pub(super) fn nonce(&self, cookie: &str) -> String {
        self.of("nonce", cookie)
    }

    /// RFC 7636, 4.1.
    pub(super) fn verifier(&self, cookie: &str) -> String {
        self.of("verifier", cookie)
    }

    /// RFC 7636, 4.2: S256.
    pub(super) fn challenge(&self, cookie: &str) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier(cookie)))
    }

    pub(super) fn is_state_of(&self, state: &str, cookie: &str) -> bool {
        let expected = self.0.clone().chain_update("state\0").chain_update(cookie);
        URL_SAFE_NO_PAD.decode(state).is_ok_and(|state| expected.verify_slice(&state).is_ok())
    }

    fn of(&self, usage: &str, cookie: &str) -> String {
        let proof = self.0.clone().chain_update(usage).chain_update("\0").chain_update(cookie);
        URL_SAFE_NO_PAD.encode(proof.finalize().into_bytes())
    }
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    // Without randomness the server would not have started.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// For questions to the DNS.
pub(super) fn random_number() -> u32 {
    getrandom::u32().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_what_was_begun_and_only_in_the_same_browser() {
        let seal = Seal::new();
        let begin = || Pending::new(1000, "https://phone.example.com/a".to_owned(), "x y".to_owned());
        let (one, other) = (begin(), begin());
        let (cookie, foreign) = (one.cookie(), other.cookie());
        assert_ne!(cookie, foreign);
        assert_eq!(Pending::read(&cookie), Some(one));
        assert!(seal.is_state_of(&seal.state(&cookie), &cookie));
        assert!(!seal.is_state_of(&seal.state(&foreign), &cookie));
        assert!(!Seal::new().is_state_of(&seal.state(&cookie), &cookie), "another process");
        assert!(!seal.is_state_of(&seal.nonce(&cookie), &cookie));
        assert!(!seal.is_state_of("", &cookie) && !seal.is_state_of("!", &cookie));
        assert_eq!(Pending::read("AAAA"), None);
        assert_eq!(Pending::read(&"A".repeat(LONGEST + 4)), None);
        let verifier = seal.verifier(&cookie);
        assert!((43..=128).contains(&verifier.len()), "RFC 7636, 4.1");
        assert_ne!(seal.challenge(&cookie), verifier);
    }
}
