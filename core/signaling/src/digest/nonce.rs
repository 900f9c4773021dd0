//! Nonces that need no memory until they are used, and the counts that were used with each.
//!
//! A nonce says when it was made and proves by a keyed hash that it is ours and for this realm. It holds nothing of
//! the peer's address: a phone behind a NAT may come from another port with the next request.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Nonces in use at a time whose counts are remembered: 40 bytes each.
const REMEMBERED: usize = 1 << 18;
/// Bytes of the keyed hash in a nonce.
const PROOF: usize = 16;

/// When a nonce was made, in milliseconds, and which of that time.
pub(super) type Id = (u64, u32);

/// What a nonce is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Nonce {
    Ours(Id),
    Expired,
    Foreign,
}

#[derive(Debug)]
pub(super) struct Nonces {
    key: Hmac<Sha256>,
    lifetime: Duration,
    made: u32,
    used: BTreeMap<Id, Counts>,
    capacity: usize,
    /// Nonces up to this one were forgotten and count as expired, so that none of their counts can come again.
    forgotten: Id,
}

impl Nonces {
    /// Nonces from before `now` count as expired: with them, counts were used that nobody here has seen.
    pub(super) fn new(seed: &[u8; 32], realm: &str, lifetime: Duration, now: Duration) -> Nonces {
        let mut key = keyed(seed);
        key.update(b"nonce ");
        key.update(realm.as_bytes());
        let key = keyed(&key.finalize().into_bytes().into());
        let forgotten = (millis(now), 0);
        Nonces { key, lifetime, made: 0, used: BTreeMap::new(), capacity: REMEMBERED, forgotten }
    }

    pub(super) fn make(&mut self, now: Duration) -> String {
        self.made = self.made.wrapping_add(1).max(1);
        let id = (millis(now), self.made);
        let mut bytes = [0; 12 + PROOF];
        let (head, proof) = bytes.split_at_mut(12);
        head.copy_from_slice(&plain(id));
        proof.copy_from_slice(&self.proof(id));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(super) fn look(&self, now: Duration, text: &[u8]) -> Nonce {
        let mut bytes = [0; 12 + PROOF];
        if text.len() != 38 || URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) != Ok(bytes.len()) {
            return Nonce::Foreign;
        }
        let [a, b, c, d, e, f, g, h, i, j, k, l, proof @ ..] = bytes;
        let id = (u64::from_be_bytes([a, b, c, d, e, f, g, h]), u32::from_be_bytes([i, j, k, l]));
        let mut mac = self.key.clone();
        mac.update(&plain(id));
        if mac.verify_truncated_left(&proof).is_err() {
            return Nonce::Foreign;
        }
        let old = id.0.saturating_add(millis(self.lifetime)) < millis(now);
        match old || id <= self.forgotten {
            true => Nonce::Expired,
            false => Nonce::Ours(id),
        }
    }

    /// Counts a use; false: this count was seen before. Only for a user who has proven the password.
    pub(super) fn count(&mut self, now: Duration, id: Id, nc: u32) -> bool {
        let born = millis(now).saturating_sub(millis(self.lifetime));
        while let Some(oldest) = self.used.first_entry()
            && oldest.key().0 < born
        {
            oldest.remove();
        }
        let fresh = self.used.entry(id).or_default().take(nc);
        if self.used.len() > self.capacity
            && let Some((oldest, _)) = self.used.pop_first()
        {
            self.forgotten = self.forgotten.max(oldest);
        }
        fresh
    }

    fn proof(&self, id: Id) -> [u8; PROOF] {
        let mut mac = self.key.clone();
        mac.update(&plain(id));
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let mut proof = [0; PROOF];
        proof.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
        proof
    }
}

/// Which counts of one nonce were used: the highest, and which of the 64 up to it. Over UDP they may come in any order.
#[derive(Default, Debug)]
struct Counts {
    highest: u32,
    seen: u64,
}

impl Counts {
    fn take(&mut self, nc: u32) -> bool {
        if nc > self.highest {
            self.seen = self.seen.checked_shl(nc - self.highest).unwrap_or(0) | 1;
            self.highest = nc;
            return true;
        }
        let bit = 1u64.checked_shl(self.highest - nc).unwrap_or(0);
        let fresh = nc > 0 && bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        fresh
    }
}

/// A keyed hash whose key is shorter than its block, padded as RFC 2104 says.
pub(super) fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    Hmac::new(&block.into())
}

fn plain(id: Id) -> [u8; 12] {
    let ([a, b, c, d, e, f, g, h], [i, j, k, l]) = (id.0.to_be_bytes(), id.1.to_be_bytes());
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const NOW: Duration = Duration::from_secs(1_700_000_000);
    const LIFE: Duration = Duration::from_secs(300);

    fn nonces() -> Nonces {
        Nonces::new(&[7; 32], "example.com", LIFE, NOW)
    }

    fn id(nonce: Nonce) -> Id {
        match nonce {
            Nonce::Ours(id) => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_nonce_lives_as_long_as_it_is_said_to() {
        let mut ours = nonces();
        let nonce = ours.make(NOW);
        assert!(matches!(ours.look(NOW + LIFE, nonce.as_bytes()), Nonce::Ours(_)));
        assert_eq!(ours.look(NOW + LIFE + Duration::from_millis(1), nonce.as_bytes()), Nonce::Expired);
        assert_ne!(ours.make(NOW), nonce);
    }

    #[test]
    fn other_seeds_realms_and_forgeries_are_foreign() {
        let nonce = nonces().make(NOW);
        let look = |other: Nonces, text: &str| other.look(NOW, text.as_bytes());
        assert_eq!(look(Nonces::new(&[8; 32], "example.com", LIFE, NOW), &nonce), Nonce::Foreign);
        assert_eq!(look(Nonces::new(&[7; 32], "example.org", LIFE, NOW), &nonce), Nonce::Foreign);
        for at in 0..nonce.len() {
            let mut forged = nonce.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(nonces().look(NOW, &forged), Nonce::Foreign, "{at}");
        }
        for text in ["", "A", "=", &nonce[1..], &format!("{nonce}A"), &"\0".repeat(38)] {
            assert_eq!(look(nonces(), text), Nonce::Foreign);
        }
    }

    #[test]
    fn a_nonce_from_before_a_restart_has_expired_even_if_the_seed_is_the_same() {
        let nonce = nonces().make(NOW);
        let restarted = Nonces::new(&[7; 32], "example.com", LIFE, NOW + Duration::from_millis(1));
        assert_eq!(restarted.look(NOW + Duration::from_millis(1), nonce.as_bytes()), Nonce::Expired);
    }

    #[test]
    fn counts_may_come_in_any_order_but_once() {
        let mut ours = nonces();
        let id = id(ours.look(NOW, nonces().make(NOW).as_bytes()));
        for (nc, fresh) in [
            (1, true),
            (1, false),
            (0, false),
            (3, true),
            (2, true),
            (2, false),
            (66, true),
            (3, false),
            (2, false),
            (4, true),
            (66, false),
            (u32::MAX, true),
            (u32::MAX, false),
            (66, false),
            (u32::MAX - 63, true),
            (u32::MAX - 64, false),
        ] {
            assert_eq!(ours.count(NOW, id, nc), fresh, "{nc}");
        }
    }

    #[test]
    fn what_had_to_be_forgotten_counts_as_expired() {
        let mut ours = Nonces { capacity: 2, ..nonces() };
        let made: Vec<String> = (0..3).map(|_| ours.make(NOW)).collect();
        for nonce in &made {
            let id = id(ours.look(NOW, nonce.as_bytes()));
            assert!(ours.count(NOW, id, 1));
        }
        let worth: Vec<bool> = made.iter().map(|n| ours.look(NOW, n.as_bytes()) == Nonce::Expired).collect();
        assert_eq!((worth, ours.used.len()), (vec![true, false, false], 2));
    }

    #[test]
    fn expired_nonces_leave_the_memory() {
        let mut ours = nonces();
        for second in 0..1000 {
            let now = NOW + Duration::from_secs(second);
            let nonce = ours.make(now);
            let id = id(ours.look(now, nonce.as_bytes()));
            ours.count(now, id, 1);
        }
        assert_eq!(ours.used.len(), 301);
    }

    proptest! {
        #[test]
        fn no_count_is_taken_twice(counts in prop::collection::vec(0u32..200, 0..400)) {
            let (mut window, mut seen) = (Counts::default(), BTreeSet::new());
            for nc in counts {
                let fresh = window.take(nc);
                let highest = seen.last().copied().unwrap_or(0);
                prop_assert_eq!(fresh, nc > 0 && !seen.contains(&nc) && nc + 64 > highest);
                if fresh { seen.insert(nc); }
            }
        }
    }
}
