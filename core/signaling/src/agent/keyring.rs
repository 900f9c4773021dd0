//! The challenges that were met, and the credentials that answer them (RFC 3261, 22; RFC 8760).

use carillon_wire::sip::{Credentials, Message, Name};
use md5::Md5;
use sha2::{Digest, Sha256};

use super::dialog::text;
use super::token::Tokens;

/// One challenge: what it said, and how often its nonce was used.
struct Challenge {
    of_proxy: bool,
    realm: String,
    value: String,
    uses: u32,
}

/// The newest challenge of each realm.
#[derive(Default)]
pub(super) struct Keyring(Vec<Challenge>);

impl Keyring {
    /// Most realms.
    const MOST: usize = 4;

    /// Takes the first challenge of a 401 or 407 that we can answer (RFC 8760, 2.4). False if there is none, or if
    /// `attempts` answers were refused: the same password is refused again, unless only the nonce was too old.
    pub(super) fn learn<B: AsRef<[u8]>>(&mut self, response: &Message<B>, attempts: u8) -> bool {
        let fields = [(Name::WwwAuthenticate, false), (Name::ProxyAuthenticate, true)];
        let lines =
            fields.into_iter().flat_map(|(name, of_proxy)| response.all(name).map(move |v| (v, of_proxy)));
        let mut known = lines.filter_map(|(value, of_proxy)| Some((value, of_proxy, Known::of(value)?)));
        let Some((value, of_proxy, challenge)) = known.next() else { return false };
        if attempts > 0 && !(challenge.stale && attempts < 3) {
            return false;
        }
        self.0.retain(|old| (old.of_proxy, &old.realm) != (of_proxy, &challenge.realm));
        if self.0.len() == Keyring::MOST {
            self.0.remove(0);
        }
        self.0.push(Challenge { of_proxy, realm: challenge.realm, value: text(value), uses: 0 });
        true
    }

    /// Credentials for every realm that has asked for some.
    pub(super) fn credentials(
        &mut self,
        tokens: &mut Tokens,
        user: (&str, &str),
        method: &str,
        uri: &str,
    ) -> Vec<(&'static str, String)> {
        let answer = |challenge: &mut Challenge| {
            challenge.uses += 1;
            let name = if challenge.of_proxy { "Proxy-Authorization" } else { "Authorization" };
            let known = Known::of(challenge.value.as_bytes())?;
            Some((name, known.answer(user, method, uri, challenge.uses, &tokens.text())))
        };
        self.0.iter_mut().filter_map(answer).collect()
    }
}

/// A digest challenge that we can answer.
struct Known {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    sha256: bool,
    qop: bool,
    stale: bool,
}

impl Known {
    fn of(value: &[u8]) -> Option<Known> {
        let challenge = Credentials::parse(value)?;
        let algorithm = challenge.get("algorithm").unwrap_or(b"MD5");
        let sha256 = algorithm.eq_ignore_ascii_case(b"SHA-256");
        let is_digest = challenge.scheme.eq_ignore_ascii_case(b"Digest");
        if !is_digest || !(sha256 || algorithm.eq_ignore_ascii_case(b"MD5")) {
            return None;
        }
        let qop = challenge.get("qop");
        let has_auth =
            |qop: &[u8]| qop.split(|&b| b == b',').any(|q| q.trim_ascii().eq_ignore_ascii_case(b"auth"));
        if qop.is_some_and(|qop| !has_auth(qop)) {
            return None;
        }
        Some(Known {
            realm: text(challenge.get("realm")?),
            nonce: text(challenge.get("nonce")?),
            opaque: challenge.get("opaque").map(text),
            sha256,
            qop: qop.is_some(),
            stale: challenge.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case(b"true")),
        })
    }

    fn answer(
        &self,
        (user, password): (&str, &str),
        method: &str,
        uri: &str,
        uses: u32,
        cnonce: &str,
    ) -> String {
        let Known { realm, nonce, .. } = self;
        let ha1 = self.hash(&format!("{user}:{realm}:{password}"));
        let ha2 = self.hash(&format!("{method}:{uri}"));
        let algorithm = if self.sha256 { "SHA-256" } else { "MD5" };
        let (response, qop) = match self.qop {
            true => {
                let response = self.hash(&format!("{ha1}:{nonce}:{uses:08x}:{cnonce}:auth:{ha2}"));
                (response, format!(", qop=auth, nc={uses:08x}, cnonce=\"{cnonce}\""))
            }
            false => (self.hash(&format!("{ha1}:{nonce}:{ha2}")), String::new()),
        };
        let opaque = self.opaque.as_ref().map(|o| format!(", opaque=\"{o}\"")).unwrap_or_default();
        format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm={algorithm}{qop}{opaque}"
        )
    }

    fn hash(&self, text: &str) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.sha256 {
            true => hex(&Sha256::digest(text)),
            false => hex(&Md5::digest(text)),
        }
    }
}
