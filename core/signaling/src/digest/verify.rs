//! The server's end: who may be believed.

use std::net::IpAddr;
use std::time::Duration;

use carillon_wire::sip::Credentials;
use hmac::Mac;
use subtle::ConstantTimeEq;

use super::Parts;
use super::nonce::{Nonce, Nonces, keyed};
use crate::contract::Failure;
use crate::user::{Algorithm, Algorithms, Ha1, User, user_part};

/// Makes challenges and judges the answers.
#[derive(Debug)]
pub(crate) struct Verifier {
    realm: String,
    nonces: Nonces,
    /// Hashes that no password has: an unknown user costs the same work and gets the same answer as a wrong password.
    nobody: Ha1,
}

/// What a request is to be judged by.
pub(crate) struct Claim<'a> {
    pub(crate) credentials: Credentials<'a>,
    /// Where the request came from.
    pub(crate) from: IpAddr,
    pub(crate) method: &'a [u8],
    /// Whether the `uri` of the credentials is what was requested (RFC 3261, 22.4).
    pub(crate) fits: bool,
    /// Whom the request says it is from, if there is such a user.
    pub(crate) user: Option<&'a User>,
    /// What everybody is challenged with there.
    pub(crate) offered: Algorithms,
}

/// The judgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Proven,
    /// Challenge again.
    Refused {
        /// The nonce was not good, and nothing else was looked at: the phone need not ask its user.
        stale: bool,
        /// What an administrator is told. A nonce that has expired, or was given to another address, is nothing to tell.
        why: Option<Failure>,
    },
}

impl Verifier {
    pub(crate) fn new(realm: &str, lifetime: Duration, seed: &[u8; 32], now: Duration) -> Verifier {
        let mut nobody = keyed(seed);
        nobody.update(b"nobody");
        let nobody: [u8; 32] = nobody.finalize().into_bytes().into();
        let mut md5 = [0; 16];
        md5.iter_mut().zip(nobody).for_each(|(to, from)| *to = from);
        let nonces = Nonces::new(seed, realm, lifetime, now);
        Verifier { realm: realm.to_owned(), nonces, nobody: Ha1 { md5, sha256: nobody } }
    }

    /// The values of WWW-Authenticate or Proxy-Authenticate, one field each.
    pub(crate) fn challenge(
        &mut self,
        now: Duration,
        to: IpAddr,
        algorithms: Algorithms,
        stale: bool,
    ) -> Vec<String> {
        let (realm, nonce) = (&self.realm, self.nonces.make(now, to));
        let stale = if stale { ", stale=true" } else { "" };
        let challenge = |algorithm: &Algorithm| {
            let algorithm = algorithm.name();
            format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}")
        };
        algorithms.offered().iter().map(challenge).collect()
    }

    /// Whether these credentials answer a challenge of ours; others are for somebody else on the way.
    pub(crate) fn is_for_us(&self, credentials: Credentials<'_>) -> bool {
        credentials.scheme.eq_ignore_ascii_case(b"Digest")
            && credentials.get("realm").is_some_and(|realm| realm == self.realm.as_bytes())
    }

    /// Judges credentials that [`Verifier::is_for_us`]. The nonce comes before the password: with one that was given to
    /// somebody else nobody learns whether a password is right, nor makes it look as if somebody else had guessed.
    pub(crate) fn verify(&mut self, now: Duration, claim: &Claim<'_>) -> Verdict {
        let refused = |stale, why| Verdict::Refused { stale, why: Some(why) };
        let nonce = claim.credentials.get("nonce").unwrap_or_default();
        let id = match self.nonces.look(now, claim.from, nonce) {
            Nonce::Ours(id) => id,
            Nonce::Stale => return Verdict::Refused { stale: true, why: None },
            Nonce::Foreign => return refused(true, Failure::ForeignNonce),
        };
        let Some(written) = Written::read(claim).filter(|_| claim.fits) else {
            return refused(false, Failure::Unfit);
        };
        let (ha1, named) = match claim.user {
            Some(user) if user_part(&user.aor).as_bytes() != written.username => {
                (&self.nobody, Err(Failure::WrongUser))
            }
            Some(user) if !user.takes(written.algorithm) => (&self.nobody, Err(Failure::Unfit)),
            Some(user) => (&user.ha1, Ok(())),
            None => (&self.nobody, Err(Failure::UnknownUser)),
        };
        match (named, written.proves(ha1)) {
            (Err(why), _) => refused(false, why),
            (_, false) => refused(false, Failure::WrongPassword),
            (_, true) if self.nonces.count(now, id, written.nc) => Verdict::Proven,
            (_, true) => refused(true, Failure::Replay),
        }
    }
}

/// Credentials that can be judged: `qop=auth`, and an algorithm that was offered.
struct Written<'a> {
    username: &'a [u8],
    response: &'a [u8],
    algorithm: Algorithm,
    nc: u32,
    parts: Parts<'a>,
}

impl<'a> Written<'a> {
    fn read(claim: &Claim<'a>) -> Option<Written<'a>> {
        let get = |name| claim.credentials.get(name);
        let algorithm = Algorithm::named(get("algorithm"))?;
        if !claim.offered.offered().contains(&algorithm) || !get("qop")?.eq_ignore_ascii_case(b"auth") {
            return None;
        }
        let (nc, cnonce) = (get("nc")?, get("cnonce")?);
        let parts = Parts {
            nonce: get("nonce")?,
            counted: Some((nc, cnonce)),
            method: claim.method,
            uri: get("uri")?,
        };
        let nc = std::str::from_utf8(nc).ok().filter(|nc| nc.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let nc = u32::from_str_radix(nc, 16).ok()?;
        Some(Written { username: get("username")?, response: get("response")?, algorithm, nc, parts })
    }

    fn proves(&self, ha1: &Ha1) -> bool {
        let expected = self.parts.response(self.algorithm, &ha1.hex(self.algorithm));
        let response = self.response.to_ascii_lowercase();
        expected.as_bytes().ct_eq(&response).into()
    }
}
