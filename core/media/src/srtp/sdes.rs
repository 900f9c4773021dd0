//! Keys in session descriptions: `a=crypto` (RFC 4568), for the suites of RFC 4568 and RFC 7714.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use carillon_wire::sdp::Crypto;

use crate::random::Random;

/// How packets are protected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80`: what every phone knows.
    AesCm128HmacSha1Tag80,
    /// `AES_CM_128_HMAC_SHA1_32`: RTP with a short tag; RTCP keeps the long one (RFC 4568, 6.2.2).
    AesCm128HmacSha1Tag32,
    /// `AEAD_AES_128_GCM`.
    AeadAes128Gcm,
    /// `AEAD_AES_256_GCM`.
    AeadAes256Gcm,
}

impl Suite {
    /// All, in the order of our offers: the best known first.
    pub const ALL: [Suite; 4] = [
        Suite::AesCm128HmacSha1Tag80,
        Suite::AeadAes128Gcm,
        Suite::AeadAes256Gcm,
        Suite::AesCm128HmacSha1Tag32,
    ];

    /// The name in `a=crypto`.
    pub const fn name(self) -> &'static str {
        match self {
            Suite::AesCm128HmacSha1Tag80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::AesCm128HmacSha1Tag32 => "AES_CM_128_HMAC_SHA1_32",
            Suite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Suite::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of that name.
    pub fn from_name(name: &str) -> Option<Suite> {
        Suite::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// Bytes of the master key.
    pub const fn key_len(self) -> usize {
        if matches!(self, Suite::AeadAes256Gcm) { 32 } else { 16 }
    }

    /// Bytes of the master salt: 112 bits (RFC 3711), or 96 with GCM (RFC 7714, 12).
    pub const fn salt_len(self) -> usize {
        if matches!(self, Suite::AeadAes128Gcm | Suite::AeadAes256Gcm) { 12 } else { 14 }
    }
}

/// A master key with its salt, for one direction.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    suite: Suite,
    /// Key and salt.
    bytes: [u8; Key::MOST],
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({}, ..)", self.suite.name())
    }
}

impl Key {
    const MOST: usize = 32 + 14;

    /// From the bytes of key and salt together; `None` unless there are as many as the suite needs.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<Key> {
        let mut bytes = [0; Key::MOST];
        let fits = key_and_salt.len() == suite.key_len() + suite.salt_len();
        bytes.get_mut(..key_and_salt.len()).filter(|_| fits)?.copy_from_slice(key_and_salt);
        Some(Key { suite, bytes })
    }

    /// A new one.
    pub fn random(suite: Suite, random: &mut Random) -> Key {
        let mut bytes = random.bytes();
        bytes[suite.key_len() + suite.salt_len()..].fill(0);
        Key { suite, bytes }
    }

    /// What it is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The master key.
    pub(crate) fn master(&self) -> &[u8] {
        &self.bytes[..self.suite.key_len()]
    }

    /// The master salt.
    pub(crate) fn salt(&self) -> &[u8] {
        &self.bytes[self.suite.key_len()..][..self.suite.salt_len()]
    }

    /// What stands behind `a=crypto:`, without lifetime: the default is as long as a key may live.
    pub fn attribute(&self, tag: u32) -> String {
        let len = self.suite.key_len() + self.suite.salt_len();
        format!("{tag} {} inline:{}", self.suite.name(), STANDARD.encode(&self.bytes[..len]))
    }
}

/// An `a=crypto` line that we can do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offered {
    /// The number that an answer repeats.
    pub tag: u32,
    /// What its writer will send with.
    pub key: Key,
}

/// Why an `a=crypto` line cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// A suite that is not one of ours.
    Suite,
    /// The key is not `inline`, no base64, or of the wrong length.
    Key,
    /// A lifetime that is no number, or 0.
    Lifetime,
    /// Keys with an identifier in every packet (MKI): we carry none, so their packets could not be read.
    KeyIdentifier,
    /// Several keys for one direction, which need that identifier.
    SeveralKeys,
    /// A session parameter that changes packets: `UNENCRYPTED_SRTP`, `KDR`, `FEC_KEY` and others (RFC 4568, 6.3).
    Parameter,
}

/// Reads an `a=crypto` line. A window size hint is allowed and passed over, a lifetime is checked and passed over: calls
/// end long before 2^48 packets.
pub fn parse(crypto: &Crypto<'_>) -> Result<Offered, Refusal> {
    let suite = Suite::from_name(crypto.suite).ok_or(Refusal::Suite)?;
    let mut words = crypto.keys.split_ascii_whitespace();
    let keys = words.next().ok_or(Refusal::Key)?;
    if !words.all(|word| starts_with_ignoring_case(word, "WSH=")) {
        return Err(Refusal::Parameter);
    }
    if keys.contains(';') {
        return Err(Refusal::SeveralKeys);
    }
    let (method, info) = keys.split_once(':').ok_or(Refusal::Key)?;
    let mut parts = info.split('|');
    let text = parts.next().filter(|_| method.eq_ignore_ascii_case("inline")).ok_or(Refusal::Key)?;
    parts.try_for_each(check_parameter)?;
    let bytes = STANDARD_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| Refusal::Key)?;
    Ok(Offered { tag: crypto.tag, key: Key::new(suite, &bytes).ok_or(Refusal::Key)? })
}

/// `2^20`, `1048576`: a lifetime; `1:4`: an MKI and its length.
fn check_parameter(part: &str) -> Result<(), Refusal> {
    if part.contains(':') {
        return Err(Refusal::KeyIdentifier);
    }
    let lives = match part.strip_prefix("2^") {
        Some(power) => power.parse::<u32>().is_ok_and(|power| power <= 48),
        None => part.parse::<u64>().is_ok_and(|packets| packets > 0),
    };
    if lives { Ok(()) } else { Err(Refusal::Lifetime) }
}

fn starts_with_ignoring_case(word: &str, start: &str) -> bool {
    word.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_wire::sdp::Attribute;

    fn read(line: &str) -> Result<Offered, Refusal> {
        match Attribute::parse(line.as_bytes()) {
            Attribute::Crypto(crypto) => parse(&crypto),
            other => panic!("{other:?}"),
        }
    }

    const INLINE: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn the_example_of_rfc_4568_is_read_with_its_lifetime() {
        let offered = read(&format!("crypto:1 AES_CM_128_HMAC_SHA1_80 {INLINE}|2^20")).unwrap();
        assert_eq!((offered.tag, offered.key.suite()), (1, Suite::AesCm128HmacSha1Tag80));
        assert_eq!(offered.key.master(), b"YS___semctl () {");
        assert_eq!(offered.key.salt(), b"\t220;}\n}\nunles");
        assert!(read(&format!("crypto:1 AES_CM_128_HMAC_SHA1_80 {INLINE}|1048576 WSH=1024")).is_ok());
    }

    #[test]
    fn what_we_write_is_read_again() {
        for suite in Suite::ALL {
            let key = Key::random(suite, &mut Random::new(&[1; 32], *b"test-key"));
            let offered = read(&format!("crypto:{}", key.attribute(7))).unwrap();
            assert_eq!(offered, Offered { tag: 7, key });
        }
    }

    #[test]
    fn what_we_cannot_do_is_refused_by_name() {
        let refused = |rest: &str| read(&format!("crypto:1 {rest}")).unwrap_err();
        assert_eq!(refused(&format!("F8_128_HMAC_SHA1_80 {INLINE}")), Refusal::Suite);
        assert_eq!(refused("AES_CM_128_HMAC_SHA1_80 inline:AAAA"), Refusal::Key);
        assert_eq!(refused("AES_CM_128_HMAC_SHA1_80 inline:!!!"), Refusal::Key);
        assert_eq!(
            refused("AES_CM_128_HMAC_SHA1_80 uri:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"),
            Refusal::Key
        );
        assert_eq!(refused(&format!("AEAD_AES_128_GCM {INLINE}")), Refusal::Key, "a salt of 14 bytes");
        assert_eq!(refused(&format!("AES_CM_128_HMAC_SHA1_80 {INLINE}|2^20|1:4")), Refusal::KeyIdentifier);
        assert_eq!(refused(&format!("AES_CM_128_HMAC_SHA1_80 {INLINE}|1:32")), Refusal::KeyIdentifier);
        assert_eq!(refused(&format!("AES_CM_128_HMAC_SHA1_80 {INLINE}|2^90")), Refusal::Lifetime);
        assert_eq!(refused(&format!("AES_CM_128_HMAC_SHA1_80 {INLINE}|0")), Refusal::Lifetime);
        assert_eq!(refused(&format!("AES_CM_128_HMAC_SHA1_80 {INLINE};{INLINE}")), Refusal::SeveralKeys);
        assert_eq!(
            refused(&format!("AES_CM_128_HMAC_SHA1_80 {INLINE} UNENCRYPTED_SRTP")),
            Refusal::Parameter
        );
    }

    #[test]
    fn a_key_is_not_printed() {
        let key = Key::new(Suite::AesCm128HmacSha1Tag80, &[65; 30]).unwrap();
        assert_eq!(format!("{key:?}"), "Key(AES_CM_128_HMAC_SHA1_80, ..)");
    }
}
