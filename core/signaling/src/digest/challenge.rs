//! The client's end: answering what a server asks.

use carillon_wire::sip::{Credentials, Method};

use super::Parts;
use crate::user::{Algorithm, Ha1};

/// A server's challenge. It may be answered more than once, with a count that grows by one each time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// Whether the server knows `qop`; without it nothing is counted (RFC 2069).
    qop: bool,
    stale: bool,
}

/// Whom to answer as.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The user name: `alice`.
    pub user: &'a str,
    /// The password.
    pub password: &'a str,
    /// Something random, new for each challenge.
    pub cnonce: &'a str,
}

impl Challenge {
    /// The strongest challenge that can be answered among the values of WWW-Authenticate or Proxy-Authenticate. Those of
    /// other schemes, algorithms and qualities of protection are passed over.
    pub fn strongest<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Option<Challenge> {
        let mut strongest: Option<Challenge> = None;
        for challenge in fields.into_iter().filter_map(Challenge::read) {
            if strongest.as_ref().is_none_or(|known| known.algorithm < challenge.algorithm) {
                strongest = Some(challenge);
            }
        }
        strongest
    }

    /// Whether the server says that only the nonce was too old: the password need not be asked for again.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// The value of Authorization or Proxy-Authorization. `uri` is the Request-URI; `nc` is 1 with the first answer.
    pub fn answer(&self, login: &Login<'_>, method: Method<'_>, uri: &[u8], nc: u32) -> String {
        let (user, nc) = (quotable(login.user), format!("{nc:08x}"));
        let uri_text = String::from_utf8_lossy(uri);
        let parts = Parts {
            nonce: self.nonce.as_bytes(),
            counted: self.qop.then_some((nc.as_bytes(), login.cnonce.as_bytes())),
            method: method.as_bytes(),
            uri: uri_text.as_bytes(),
        };
        let ha1 = Ha1::exactly(&user, &self.realm, login.password);
        let response = parts.response(self.algorithm, &ha1.hex(self.algorithm));
        let (realm, nonce, algorithm) = (&self.realm, &self.nonce, self.algorithm.name());
        let mut value = format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri_text}\", \
             response=\"{response}\", algorithm={algorithm}"
        );
        if self.qop {
            value.push_str(&format!(", qop=auth, nc={nc}, cnonce=\"{}\"", login.cnonce));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque=\"{opaque}\""));
        }
        value
    }

    fn read(field: &[u8]) -> Option<Challenge> {
        let credentials = Credentials::parse(field).filter(|c| c.scheme.eq_ignore_ascii_case(b"Digest"))?;
        let text = |name| credentials.get(name).and_then(|value| String::from_utf8(value.to_vec()).ok());
        let offers = |qop: &str| qop.split(',').any(|word| word.trim().eq_ignore_ascii_case("auth"));
        let qop = text("qop");
        if qop.as_deref().is_some_and(|qop| !offers(qop)) {
            return None;
        }
        Some(Challenge {
            realm: text("realm")?,
            nonce: text("nonce")?,
            opaque: text("opaque"),
            algorithm: Algorithm::named(credentials.get("algorithm"))?,
            qop: qop.is_some(),
            stale: text("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }
}

/// The text as it may stand between quotes; hashes are made of it as it stands there.
fn quotable(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: Login<'_> = Login { user: "Mufasa", password: "Circle of Life", cnonce: "c" };

    fn fields() -> [&'static [u8]; 4] {
        [
            b"NTLM realm=\"r\", targetname=\"t\"",
            b"Digest realm=\"r\", nonce=\"m\", algorithm=MD5, qop=\"auth\"",
            b"Digest realm=\"r\", nonce=\"s\", algorithm=SHA-256, qop=\"auth-int, auth\", opaque=\"o\", stale=TRUE",
            b"Digest realm=\"r\", nonce=\"x\", algorithm=SHA-512-256, qop=\"auth\"",
        ]
    }

    /// RFC 7616, 3.9.1, with its server's challenges.
    #[test]
    fn the_example_of_the_rfc_is_answered() {
        let field: &[u8] = b"Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, \
            nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
        let login = Login { cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", ..LOGIN };
        let challenge = Challenge::strongest([field]).unwrap();
        assert_eq!(
            challenge.answer(&login, Method::Other(b"GET"), b"/dir/index.html", 1),
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", uri=\"/dir/index.html\", \
             response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\", algorithm=SHA-256, qop=auth, \
             nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        );
    }

    #[test]
    fn the_strongest_known_challenge_is_taken_wherever_it_stands() {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0]] {
            let challenge = Challenge::strongest(order.map(|at| fields()[at])).unwrap();
            assert_eq!((challenge.algorithm, challenge.nonce.as_str()), (Algorithm::Sha256, "s"));
            assert!(challenge.is_stale());
        }
        assert_eq!(Challenge::strongest([fields()[0], fields()[3]]), None);
        assert_eq!(Challenge::strongest([&b"Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\""[..]]), None);
    }

    #[test]
    fn a_server_without_qop_is_answered_in_its_way() {
        let challenge = Challenge::strongest([&b"Digest realm=\"r\", nonce=\"n\""[..]]).unwrap();
        let answer = challenge.answer(&LOGIN, Method::Register, b"sip:r", 9);
        assert!(answer.ends_with("algorithm=MD5") && !answer.contains("nc="), "{answer}");
    }

    #[test]
    fn a_quote_in_a_name_does_not_end_it() {
        let challenge = Challenge::strongest([fields()[1]]).unwrap();
        let answer = challenge.answer(&Login { user: "a\"b\\", ..LOGIN }, Method::Register, b"sip:r", 1);
        assert!(answer.starts_with("Digest username=\"a\\\"b\\\\\", realm=\"r\""), "{answer}");
    }
}
