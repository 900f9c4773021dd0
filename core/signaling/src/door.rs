//! What users ask for over HTTP with their own password (Digest, RFC 7616): relays, and tokens.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::sip::Credentials;

use crate::contract::Failure;
use crate::front_end::FrontEnd;
use crate::registrar::{Proof, Unproven};
use crate::user::Algorithms;

/// What everybody is challenged with over HTTP: who knows SHA-256 takes it.
const OFFERED: Algorithms = Algorithms::Both;

/// A request over HTTP.
#[derive(Clone, Copy)]
pub struct DoorQuestion<'a> {
    /// Where it came from.
    pub remote: SocketAddr,
    /// `GET`.
    pub method: &'a str,
    /// Path and query, as they were requested.
    pub target: &'a str,
    /// The Authorization field.
    pub authorization: Option<&'a str>,
    /// For whom, if the query says it: `alice` or `alice@example.com`.
    pub user: Option<&'a str>,
    /// For what, if it is a relay that is asked for; `None`: for any class.
    pub class: Option<TrafficClass>,
}

/// Why nothing is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DoorRefusal {
    /// Values of WWW-Authenticate: 401.
    Challenge(Vec<String>),
    /// There were too many wrong passwords: 429, and how long to wait.
    TooSoon(Duration),
    /// There is nothing of that kind: 404.
    Nothing,
}

impl FrontEnd {
    /// A token for whoever proves a password, and for how long it holds (RFC 8898). Call it like the inputs, and take the
    /// outputs then.
    pub fn token_question(
        &mut self,
        now: Duration,
        asked: &DoorQuestion<'_>,
    ) -> Result<(String, Duration), DoorRefusal> {
        let proven = self.proven_at_door(now, asked)?;
        self.registrar.issue_token(now, &proven).ok_or(DoorRefusal::Nothing)
    }

    /// Whose token it is, if it holds.
    pub fn token_holder(&self, now: Duration, token: &str) -> Option<String> {
        self.registrar.token_holder(now, token.as_bytes())
    }

    /// Whether a password of this user that somebody else is to check may be tried now; else how long that is still to be
    /// waited for. Say what came of it by [`FrontEnd::tried`].
    pub fn may_try(&mut self, now: Duration, aor: &str, remote: SocketAddr) -> Result<(), Duration> {
        self.registrar.may_try(now, aor, remote, &mut self.proxy.out)
    }

    /// Whether the password was right, or why it was of no use. Wrong ones count together with those in SIP.
    pub fn tried(&mut self, now: Duration, aor: &str, remote: SocketAddr, outcome: Result<(), Failure>) {
        self.registrar.tried(now, aor, remote, outcome, &mut self.proxy.out);
    }

    /// Whether a phone of this user is signed in from where this comes from.
    pub fn is_at_home(&self, aor: &str, remote: SocketAddr) -> bool {
        self.registrar.is_at_home(aor, remote)
    }

    /// A token for a user whom somebody else has proven, and for how long it holds; `None` if there is no such user.
    pub fn token_for(&self, now: Duration, aor: &str) -> Option<(String, Duration)> {
        self.registrar.issue_token(now, aor)
    }

    /// Who asks.
    pub(crate) fn proven_at_door(
        &mut self,
        now: Duration,
        asked: &DoorQuestion<'_>,
    ) -> Result<Arc<str>, DoorRefusal> {
        let credentials = asked.authorization.and_then(|text| Credentials::parse(text.as_bytes()));
        let Some(credentials) = credentials.filter(|given| self.registrar.is_for_us(*given)) else {
            return Err(self.challenge_at_door(now, asked.remote, false));
        };
        let named = credentials.get("username").unwrap_or_default();
        let aor = self.registrar.meant(asked.user.map_or(named, str::as_bytes));
        let proof = Proof {
            credentials,
            aor: &aor,
            remote: asked.remote,
            flow: None,
            method: asked.method.as_bytes(),
            fits: credentials.get("uri") == Some(asked.target.as_bytes()),
            offered: OFFERED,
        };
        match self.registrar.prove(now, &proof, &mut self.proxy.out) {
            Ok(proven) => Ok(proven),
            Err(Unproven::TooSoon(left)) => Err(DoorRefusal::TooSoon(left)),
            Err(Unproven::Wrong { stale }) => Err(self.challenge_at_door(now, asked.remote, stale)),
        }
    }

    fn challenge_at_door(&mut self, now: Duration, remote: SocketAddr, stale: bool) -> DoorRefusal {
        DoorRefusal::Challenge(self.registrar.challenges(now, remote, OFFERED, stale))
    }
}
