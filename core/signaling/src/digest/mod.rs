//! Digest authentication (RFC 3261, 22; RFC 7616; RFC 8760): MD5 and SHA-256 with `qop=auth`.
//!
//! `Verifier` is the server's end, [`Challenge`] the client's. A password is hashed with the *user part* of the
//! address: `alice`, which is what phones send as their user name unless told otherwise. Credentials that say
//! `alice@example.com` prove nothing here, because no hash of that name is kept.

mod challenge;
mod hash;
mod nonce;
mod verify;

pub use challenge::{Challenge, Login};
pub(crate) use hash::hex;
pub(crate) use verify::{Claim, Verdict, Verifier};

use crate::user::{Algorithm, Algorithms, Ha1};

impl Ha1 {
    /// The hashes of a password. Of `user` only what is before an `@` counts, see [`crate::digest`].
    pub fn of(user: &str, realm: &str, password: &str) -> Ha1 {
        Ha1::exactly(user.split_once('@').map_or(user, |(user, _)| user), realm, password)
    }

    fn exactly(user: &str, realm: &str, password: &str) -> Ha1 {
        let parts = [user.as_bytes(), realm.as_bytes(), password.as_bytes()];
        Ha1 { md5: hash::md5(&parts), sha256: hash::sha256(&parts) }
    }

    fn hex(&self, algorithm: Algorithm) -> String {
        match algorithm {
            Algorithm::Md5 => hex(&self.md5),
            Algorithm::Sha256 => hex(&self.sha256),
        }
    }
}

impl Algorithm {
    /// As challenges name it.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    /// The algorithm of that name, in any case; none means MD5.
    fn named(name: Option<&[u8]>) -> Option<Algorithm> {
        let Some(name) = name else { return Some(Algorithm::Md5) };
        [Algorithm::Md5, Algorithm::Sha256]
            .into_iter()
            .find(|a| a.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

impl Algorithms {
    /// What is offered, the preferred one first.
    pub const fn offered(self) -> &'static [Algorithm] {
        match self {
            Algorithms::Md5 => &[Algorithm::Md5],
            Algorithms::Sha256 => &[Algorithm::Sha256],
            Algorithms::Both => &[Algorithm::Sha256, Algorithm::Md5],
        }
    }
}

/// What a response is made of, all as written in the credentials.
struct Parts<'a> {
    nonce: &'a [u8],
    /// Nonce count and the client's own nonce; `None` without `qop` (RFC 2069).
    counted: Option<(&'a [u8], &'a [u8])>,
    method: &'a [u8],
    uri: &'a [u8],
}

impl Parts<'_> {
    /// The response (RFC 7616, 3.4.1) in lower case.
    fn response(&self, algorithm: Algorithm, ha1: &str) -> String {
        let ha2 = hash::text(algorithm, &[self.method, self.uri]);
        let (ha1, ha2) = (ha1.as_bytes(), ha2.as_bytes());
        match self.counted {
            Some((nc, cnonce)) => hash::text(algorithm, &[ha1, self.nonce, nc, cnonce, b"auth", ha2]),
            None => hash::text(algorithm, &[ha1, self.nonce, ha2]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616, 3.9.1.
    #[test]
    fn the_examples_of_the_rfc_hold() {
        let ha1 = Ha1::of("Mufasa", "http-auth@example.org", "Circle of Life");
        let parts = Parts {
            nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            counted: Some((b"00000001", b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
            method: b"GET",
            uri: b"/dir/index.html",
        };
        let response = |algorithm| parts.response(algorithm, &ha1.hex(algorithm));
        assert_eq!(response(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(
            response(Algorithm::Sha256),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    #[test]
    fn the_example_of_rfc_2617_holds() {
        let ha1 = Ha1::of("Mufasa", "testrealm@host.com", "Circle Of Life");
        assert_eq!(ha1.hex(Algorithm::Md5), "939e7578ed9e3c518a452acee763bce9");
        let parts = Parts {
            nonce: b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
            counted: Some((b"00000001", b"0a4f113b")),
            method: b"GET",
            uri: b"/dir/index.html",
        };
        assert_eq!(
            parts.response(Algorithm::Md5, &ha1.hex(Algorithm::Md5)),
            "6629fae49393a05397450978507c4ef1"
        );
    }

    #[test]
    fn a_password_belongs_to_the_user_part() {
        assert_eq!(Ha1::of("alice@example.com", "r", "p"), Ha1::of("alice", "r", "p"));
        assert_ne!(Ha1::of("alice", "r", "p"), Ha1::of("alice", "r", "q"));
    }
}
