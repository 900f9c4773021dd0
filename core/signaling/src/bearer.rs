//! Tokens that stand for a password for a while (RFC 8898): made for whoever has proven it, read where they come back.
//! Nothing is kept: a token says whose it is and until when, and is void when its user or the password is another.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carillon_wire::sip::{Credentials, Flow, Message, Name};

use crate::secret::{PROOF, Secret};
use crate::user::User;

/// How long a token is good.
const LIFETIME: Duration = Duration::from_secs(3600);
/// Tells its proof from others that are made with the same secret.
const USAGE: &[u8] = b"bearer";

/// Makes tokens, and reads them.
#[derive(Debug)]
pub(crate) struct Tokens(Secret);

impl Tokens {
    pub(crate) fn new(seed: &[u8; 32]) -> Tokens {
        Tokens(Secret::new(seed))
    }

    /// A token for a user, and for how long it holds: letters, digits, `-` and `_`.
    pub(crate) fn issue(&self, now: Duration, user: &User) -> (String, Duration) {
        let end = (now + LIFETIME).as_secs().to_be_bytes();
        let proof = self.proof(&end, &user.aor, user);
        (URL_SAFE_NO_PAD.encode([&proof, &end[..], user.aor.as_bytes()].concat()), LIFETIME)
    }

    /// Whose it is, if it is of ours and not over. `user` finds who is called so.
    pub(crate) fn read<'a>(
        &self,
        now: Duration,
        token: &[u8],
        user: impl FnOnce(&str) -> Option<&'a User>,
    ) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (proof, content) = bytes.split_at_checked(PROOF)?;
        let (end, aor) = content.split_first_chunk()?;
        let aor = std::str::from_utf8(aor).ok()?;
        let expected = self.proof(end, aor, user(aor)?);
        let is_ours = bool::from(subtle::ConstantTimeEq::ct_eq(proof, expected.as_slice()));
        (is_ours && now.as_secs() < u64::from_be_bytes(*end)).then(|| aor.to_owned())
    }

    /// How long a token that was believed still holds.
    pub(crate) fn left(now: Duration, token: &[u8]) -> Option<Duration> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (_, content) = bytes.split_at_checked(PROOF)?;
        let (end, _) = content.split_first_chunk()?;
        Duration::from_secs(u64::from_be_bytes(*end)).checked_sub(now)
    }

    fn proof(&self, end: &[u8; 8], aor: &str, user: &User) -> [u8; PROOF] {
        self.0.proof(&[USAGE, end, aor.as_bytes(), &user.ha1.sha256])
    }
}

/// The token of a request, and the field that it came in: a client need not know whether we are its registrar or a proxy.
pub(crate) fn token<'a>(request: &'a Message<&[u8]>) -> Option<(Name, &'a [u8])> {
    let tokens = [Name::Authorization, Name::ProxyAuthorization].into_iter().flat_map(|name| {
        request.all(name).filter_map(Credentials::parse).filter(is_bearer).map(move |given| (name, given))
    });
    tokens.map(|(name, given)| (name, given.token68())).next()
}

/// Whether credentials are a token.
pub(crate) fn is_bearer(credentials: &Credentials<'_>) -> bool {
    credentials.scheme.eq_ignore_ascii_case(b"Bearer")
}

/// Whether a token may come this way: not where whoever reads the network could use it. TLS may end at a balancer before a
/// WebSocket.
pub(crate) fn may_pass(flow: &Flow) -> bool {
    flow.transport.is_secured() || flow.transport.is_web()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::Ha1;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn user(aor: &str, password: &str) -> User {
        let ha1 = Ha1::of(aor, "example.com", password);
        User { aor: aor.to_owned(), ha1, algorithms: None, site: None, number: None }
    }

    #[test]
    fn a_token_holds_for_its_user_its_password_and_an_hour() {
        let (tokens, alice) = (Tokens::new(&[1; 32]), user("alice@example.com", "secret"));
        let (token, lasts) = tokens.issue(NOW, &alice);
        assert_eq!(lasts, Duration::from_secs(3600));
        let read = |now, known: &User| tokens.read(now, token.as_bytes(), |_| Some(known));
        assert_eq!(read(NOW, &alice).as_deref(), Some("alice@example.com"));
        assert!(read(NOW + lasts - Duration::from_secs(1), &alice).is_some());
        assert_eq!(read(NOW + lasts, &alice), None);
        assert_eq!(read(NOW, &user("alice@example.com", "changed")), None);
        assert_eq!(tokens.read(NOW, token.as_bytes(), |_| None), None);
        assert_eq!(Tokens::new(&[2; 32]).read(NOW, token.as_bytes(), |_| Some(&alice)), None);
    }

    #[test]
    fn a_token_that_was_touched_is_none() {
        let (tokens, alice) = (Tokens::new(&[1; 32]), user("alice@example.com", "secret"));
        let (token, _) = tokens.issue(NOW, &alice);
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(tokens.read(NOW, &forged, |_| Some(&alice)), None, "{at}");
        }
        for text in ["", "AAAA", "not base64!", &token[..20]] {
            assert_eq!(tokens.read(NOW, text.as_bytes(), |_| Some(&alice)), None, "{text}");
        }
    }
}
