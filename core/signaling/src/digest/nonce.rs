//! Nonces that need no memory until they are used, and the counts that were used with each.
//!
//! A nonce says when it was made and proves by keyed hashes that it is ours, for this realm, and was sent to the address
//! that it comes back from: whoever writes another address into a datagram does not see the challenge. The port does not
//! count: a NAT may give a phone another one with the next request.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Nonces in use at a time whose counts are remembered: 40 bytes each.
const REMEMBERED: usize = 1 << 18;
/// Bytes of the keyed hash in a nonce.
const PROOF: usize = 16;
/// Bytes of the one that binds it to an address.
const PLACE: usize = 8;
const LENGTH: usize = 12 + PROOF + PLACE;

/// When a nonce was made, in milliseconds, and which of that time.
pub(super) type Id = (u64, u32);

/// What a nonce is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Nonce {
    Ours(Id),
    /// Too old, or given to another address.
    Stale,
    Foreign,
}

#[derive(Debug)]
pub(super) struct Nonces {
    key: Hmac<Sha256>,
    lifetime: Duration,
    made: u32,
    used: BTreeMap<Id, Counts>,
    capacity: usize,
    /// Nonces up to this one were forgotten and count as stale, so that none of their counts can come again.
    forgotten: Id,
}

impl Nonces {
    /// Nonces from before `now` count as stale: with them, counts were used that nobody here has seen.
    pub(super) fn new(seed: &[u8; 32], realm: &str, lifetime: Duration, now: Duration) -> Nonces {
        let mut key = keyed(seed);
        key.update(b"nonce ");
        key.update(realm.as_bytes());
        let key = keyed(&key.finalize().into_bytes().into());
        let forgotten = (millis(now), 0);
        Nonces { key, lifetime, made: 0, used: BTreeMap::new(), capacity: REMEMBERED, forgotten }
    }

    /// One for whoever is at this address.
    pub(super) fn make(&mut self, now: Duration, place: IpAddr) -> String {
        self.made = self.made.wrapping_add(1).max(1);
        let id = (millis(now), self.made);
        let (proof, bound) = (self.proof::<PROOF>(id, b""), self.bound(id, place));
        URL_SAFE_NO_PAD.encode([&plain(id)[..], &proof, &bound].concat())
    }

    pub(super) fn look(&self, now: Duration, place: IpAddr, text: &[u8]) -> Nonce {
        let mut bytes = [0; LENGTH];
        if text.len() != LENGTH / 3 * 4 || URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) != Ok(bytes.len()) {
            return Nonce::Foreign;
        }
        let [a, b, c, d, e, f, g, h, i, j, k, l, proofs @ ..] = bytes;
        let id = (u64::from_be_bytes([a, b, c, d, e, f, g, h]), u32::from_be_bytes([i, j, k, l]));
        let (proof, bound) = proofs.split_at(PROOF);
        if !bool::from(proof.ct_eq(&self.proof::<PROOF>(id, b""))) {
            return Nonce::Foreign;
        }
        let old = id.0.saturating_add(millis(self.lifetime)) < millis(now);
        let here = bool::from(bound.ct_eq(&self.bound(id, place)));
        match old || id <= self.forgotten || !here {
            true => Nonce::Stale,
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

    fn bound(&self, id: Id, place: IpAddr) -> [u8; PLACE] {
        match place.to_canonical() {
            IpAddr::V4(ip) => self.proof(id, &ip.octets()),
            IpAddr::V6(ip) => self.proof(id, &ip.octets()),
        }
    }

    fn proof<const N: usize>(&self, id: Id, place: &[u8]) -> [u8; N] {
        let mut mac = self.key.clone();
        mac.update(&plain(id));
        mac.update(place);
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let mut proof = [0; N];
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
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

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
        let nonce = ours.make(NOW, HERE);
        assert!(matches!(ours.look(NOW + LIFE, HERE, nonce.as_bytes()), Nonce::Ours(_)));
        assert_eq!(ours.look(NOW + LIFE + Duration::from_millis(1), HERE, nonce.as_bytes()), Nonce::Stale);
        assert_ne!(ours.make(NOW, HERE), nonce);
    }

    #[test]
    fn other_seeds_realms_and_forgeries_are_foreign() {
        let nonce = nonces().make(NOW, HERE);
        let look = |other: Nonces, text: &str| other.look(NOW, HERE, text.as_bytes());
        assert_eq!(look(Nonces::new(&[8; 32], "example.com", LIFE, NOW), &nonce), Nonce::Foreign);
        assert_eq!(look(Nonces::new(&[7; 32], "example.org", LIFE, NOW), &nonce), Nonce::Foreign);
        for at in 0..nonce.len() {
            let mut forged = nonce.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let worth = nonces().look(NOW, HERE, &forged);
            // The last bytes say where it was sent to.
            assert_eq!(worth, if at < 37 { Nonce::Foreign } else { Nonce::Stale }, "{at}");
        }
        for text in ["", "A", "=", &nonce[1..], &format!("{nonce}A"), &"\0".repeat(48)] {
            assert_eq!(look(nonces(), text), Nonce::Foreign);
        }
    }

    /// The same address is the same wherever it is written, and nobody else has it.
    #[test]
    fn a_nonce_is_good_at_the_address_that_it_was_sent_to() {
        let mut ours = nonces();
        let nonce = ours.make(NOW, HERE);
        for (place, there) in [
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("192.0.2.8", false),
            ("::192.0.2.7", false),
            ("2001:db8::7", false),
        ] {
            let worth = ours.look(NOW, place.parse().unwrap(), nonce.as_bytes());
            assert_eq!(matches!(worth, Nonce::Ours(_)), there, "{place}");
            assert!(there || worth == Nonce::Stale, "{place}");
        }
    }

    #[test]
    fn a_nonce_from_before_a_restart_has_expired_even_if_the_seed_is_the_same() {
        let nonce = nonces().make(NOW, HERE);
        let restarted = Nonces::new(&[7; 32], "example.com", LIFE, NOW + Duration::from_millis(1));
        assert_eq!(restarted.look(NOW + Duration::from_millis(1), HERE, nonce.as_bytes()), Nonce::Stale);
    }

    #[test]
    fn counts_may_come_in_any_order_but_once() {
        let mut ours = nonces();
        let id = id(ours.look(NOW, HERE, nonces().make(NOW, HERE).as_bytes()));
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
        let made: Vec<String> = (0..3).map(|_| ours.make(NOW, HERE)).collect();
        for nonce in &made {
            let id = id(ours.look(NOW, HERE, nonce.as_bytes()));
            assert!(ours.count(NOW, id, 1));
        }
        let worth: Vec<bool> =
            made.iter().map(|n| ours.look(NOW, HERE, n.as_bytes()) == Nonce::Stale).collect();
        assert_eq!((worth, ours.used.len()), (vec![true, false, false], 2));
    }

    #[test]
    fn expired_nonces_leave_the_memory() {
        let mut ours = nonces();
        for second in 0..1000 {
            let now = NOW + Duration::from_secs(second);
            let nonce = ours.make(now, HERE);
            let id = id(ours.look(now, HERE, nonce.as_bytes()));
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
