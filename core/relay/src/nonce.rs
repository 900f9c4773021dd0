//! Nonces that need no memory: a nonce says when it ends, and proves that it was made here for the address that it comes back
//! from. It also carries the features of RFC 8489, 9.2, so that nobody on the way can take the better algorithm out of an offer.
//!
//! They are short: 25 bytes of a challenge that anybody can have sent to anybody. The port does not count, for a NAT may give a
//! client another one with its next request.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;

use crate::secret::Secret;

/// What every nonce of a server with features begins with (RFC 8489, 9.2).
const COOKIE: &str = "obMatJos2";
/// Bits of the features, from the right (erratum 6290, and the example of RFC 8489, B.1).
pub(crate) const PASSWORD_ALGORITHMS: u32 = 1;
pub(crate) const USERNAME_ANONYMITY: u32 = 2;

/// What a nonce is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Nonce {
    Ours,
    /// Given to this address, and too old.
    Old,
    /// Given to another address or with other features, or not ours.
    Foreign,
}

/// One for whoever is at this address.
pub(crate) fn make(secret: &Secret, features: u32, ends: Duration, place: IpAddr) -> String {
    let prefix = prefix(features);
    let ends = u32::try_from(ends.as_secs()).unwrap_or(u32::MAX).to_be_bytes();
    let proof = proof(secret, &prefix, ends, place);
    prefix + &STANDARD_NO_PAD.encode([&ends[..], &proof].concat())
}

pub(crate) fn look(secret: &Secret, features: u32, now: Duration, place: IpAddr, text: &str) -> Nonce {
    let prefix = prefix(features);
    let mut bytes = [0; 12];
    let rest = text.strip_prefix(prefix.as_str()).filter(|rest| rest.len() == 16);
    let decoded = rest.is_some_and(|rest| STANDARD_NO_PAD.decode_slice(rest, &mut bytes) == Ok(bytes.len()));
    let [a, b, c, d, claimed @ ..] = bytes;
    let ends = [a, b, c, d];
    let fresh = now.as_secs() <= u64::from(u32::from_be_bytes(ends));
    let proven = bool::from(claimed.ct_eq(&proof(secret, &prefix, ends, place)));
    match (decoded && proven, fresh) {
        (true, true) => Nonce::Ours,
        (true, false) => Nonce::Old,
        (false, _) => Nonce::Foreign,
    }
}

fn prefix(features: u32) -> String {
    let [_, bits @ ..] = features.to_be_bytes();
    format!("{COOKIE}{}", STANDARD_NO_PAD.encode(bits))
}

fn proof(secret: &Secret, prefix: &str, ends: [u8; 4], place: IpAddr) -> [u8; 8] {
    let parts = |place: &[u8]| secret.proof(b"nonce", &[prefix.as_bytes(), &ends, place]);
    match place.to_canonical() {
        IpAddr::V4(ip) => parts(&ip.octets()),
        IpAddr::V6(ip) => parts(&ip.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);
    const ENDS: Duration = Duration::from_secs(1_700_000_600);

    fn place(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_nonce_is_good_for_its_address_and_its_time() {
        let secret = Secret::new(&[7; 32]);
        let nonce = make(&secret, 3, ENDS, place("192.0.2.7"));
        assert!(nonce.starts_with("obMatJos2AAAD"), "{nonce}");
        assert_eq!(nonce.len(), 29);
        for (now, there, worth) in [
            (NOW, "192.0.2.7", Nonce::Ours),
            (ENDS, "::ffff:192.0.2.7", Nonce::Ours),
            (ENDS + Duration::from_secs(1), "192.0.2.7", Nonce::Old),
            (NOW, "192.0.2.8", Nonce::Foreign),
        ] {
            assert_eq!(look(&secret, 3, now, place(there), &nonce), worth, "{now:?} {there}");
        }
    }

    #[test]
    fn forgeries_other_seeds_and_other_features_are_foreign() {
        let secret = Secret::new(&[7; 32]);
        let here = place("2001:db8::7");
        let nonce = make(&secret, 1, ENDS, here);
        assert_eq!(look(&Secret::new(&[8; 32]), 1, NOW, here, &nonce), Nonce::Foreign);
        assert_eq!(look(&secret, 0, NOW, here, &nonce), Nonce::Foreign);
        for at in 0..nonce.len() {
            let mut forged = nonce.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                look(&secret, 1, NOW, here, &String::from_utf8(forged).unwrap()),
                Nonce::Foreign,
                "{at}"
            );
        }
        for text in ["", "A", &nonce[..28], &format!("{nonce}A"), "obMatJos2AAAB"] {
            assert_eq!(look(&secret, 1, NOW, here, text), Nonce::Foreign, "{text}");
        }
    }
}
