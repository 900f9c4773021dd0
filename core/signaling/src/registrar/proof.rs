//! Who a request is from: the challenge, and what answers it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Credentials, Flow, Message, Name, StartLine, Uri, source};

use super::Registrar;
use super::throttle::Attempt;
use crate::address;
use crate::bearer;
use crate::contract::{Event, Failure, Listener, Output};
use crate::digest::{Claim, Verdict};
use crate::reply::Reply;
use crate::rules::Switchboard;
use crate::user::Algorithms;

/// Credentials, and what they came with.
pub(crate) struct Proof<'a> {
    pub(crate) credentials: Credentials<'a>,
    /// Whom the request says it is from.
    pub(crate) aor: &'a str,
    pub(crate) remote: SocketAddr,
    /// The flow of a SIP request, on which a phone may be signed in.
    pub(crate) flow: Option<&'a Flow>,
    pub(crate) method: &'a [u8],
    /// Whether the credentials are for what was requested.
    pub(crate) fits: bool,
    /// What everybody is challenged with there.
    pub(crate) offered: Algorithms,
}

/// How a request is to be proven.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    /// Whether credentials are for a proxy, and not for the one whom the request is for.
    pub(crate) as_proxy: bool,
    /// Who knows whom else a user lets send it; nobody if there is none.
    pub(crate) delegates: Option<&'a Switchboard>,
}

impl Asking<'_> {
    /// Nobody acts for anybody.
    pub(crate) fn alone(as_proxy: bool) -> Asking<'static> {
        Asking { as_proxy, delegates: None }
    }
}

/// Why nobody is proven.
pub(crate) enum Unproven {
    /// Not looked at: there were too many wrong ones before; for how long still.
    TooSoon(Duration),
    /// To be challenged again; with a nonce that was too old, the user need not be asked.
    Wrong { stale: bool },
}

impl Registrar {
    /// Proves who sent a request, as an address of record of ours. Else the answer: 407 from a proxy, 401 from the one whom
    /// the request is for; 503 to whoever guesses.
    pub(crate) fn authenticate(
        &mut self,
        now: Duration,
        flow: &Flow,
        listener: &Listener,
        request: &Message<&[u8]>,
        asking: Asking<'_>,
        out: &mut VecDeque<Output>,
    ) -> Result<Arc<str>, Reply> {
        if let Some((field, token)) = bearer::token(request) {
            return self.accept_token(now, flow, listener, request, (field, token), out);
        }
        let as_proxy = asking.as_proxy;
        let name = if as_proxy { Name::ProxyAuthorization } else { Name::Authorization };
        let given = request.credentials(name).find(|credentials| self.verifier.is_for_us(*credentials));
        let Some(credentials) = given else {
            return Err(self.challenge(now, flow, listener, as_proxy, false));
        };
        let StartLine::Request { method, uri } = request.start() else {
            return Err(self.challenge(now, flow, listener, as_proxy, false));
        };
        let mut aor = self.claimed(request, credentials, flow, listener);
        let delegates = asking.delegates.map_or(&[][..], |switchboard| switchboard.delegates(&aor));
        if !delegates.is_empty() {
            let named = self.named(credentials.get("username").unwrap_or_default());
            aor = delegates.iter().find(|delegate| ***delegate == *named).map_or(aor, |_| named);
        }
        let proof = Proof {
            credentials,
            aor: &aor,
            remote: flow.remote,
            flow: Some(flow),
            method: method.as_bytes(),
            fits: self.fits(credentials.get("uri"), uri, flow, listener),
            offered: listener.algorithms,
        };
        match self.prove(now, &proof, out) {
            Ok(proven) => {
                out.extend(flow.transport.is_stream().then_some(Output::Trust(*flow)));
                Ok(proven)
            }
            Err(Unproven::TooSoon(left)) => {
                let seconds = left.as_millis().div_ceil(1000);
                Err(Reply::new(503, "Try Again Later").field("Retry-After", seconds.to_string()))
            }
            Err(Unproven::Wrong { stale }) => Err(self.challenge(now, flow, listener, as_proxy, stale)),
        }
    }

    /// Proves who sent a request by its token; else the answer: 401, or 407 if it was given as to a proxy (RFC 8898, 2).
    fn accept_token(
        &mut self,
        now: Duration,
        flow: &Flow,
        listener: &Listener,
        request: &Message<&[u8]>,
        (field, token): (Name, &[u8]),
        out: &mut VecDeque<Output>,
    ) -> Result<Arc<str>, Reply> {
        let owner = Some(flow).filter(|flow| bearer::may_pass(flow));
        let owner = owner.and_then(|_| self.token_holder(now, token));
        let from = request.from().and_then(Result::ok).and_then(|from| from.uri().ok());
        let claimed = match from.filter(|uri| !address::is_anonymous(uri)) {
            Some(uri) => self.aor(&uri, flow, listener),
            None => owner.clone(),
        };
        if let Some((proven, _)) =
            owner.filter(|owner| claimed.as_ref() == Some(owner)).and_then(|owner| self.book.user(&owner))
        {
            out.extend(flow.transport.is_stream().then_some(Output::Trust(*flow)));
            return Ok(Arc::clone(proven));
        }
        *self.denied.entry(Failure::WrongToken).or_default() += 1;
        let (aor, remote) = (claimed.unwrap_or_default(), flow.remote);
        out.push_back(Output::Event(Event::Denied { aor, remote, why: Failure::WrongToken }));
        let value = format!("Bearer realm=\"{}\", error=\"invalid_token\"", self.settings.realm);
        Err(match field {
            Name::ProxyAuthorization => {
                Reply::new(407, "Proxy Authentication Required").field("Proxy-Authenticate", value)
            }
            _ => Reply::new(401, "Unauthorized").field("WWW-Authenticate", value),
        })
    }

    /// Whose token it is, if it holds.
    pub(crate) fn token_holder(&self, now: Duration, token: &[u8]) -> Option<String> {
        self.tokens.read(now, token, |aor| self.book.user(aor).map(|(_, user)| user))
    }

    /// A token for a user, and for how long it holds.
    pub(crate) fn issue_token(&self, now: Duration, aor: &str) -> Option<(String, Duration)> {
        self.book.user(aor).map(|(_, user)| self.tokens.issue(now, user))
    }

    /// Who gave these credentials, whatever they came by.
    pub(crate) fn prove(
        &mut self,
        now: Duration,
        proof: &Proof<'_>,
        out: &mut VecDeque<Output>,
    ) -> Result<Arc<str>, Unproven> {
        if let Some((left, why)) = self.wait(now, proof) {
            self.deny(proof, why, out);
            return Err(Unproven::TooSoon(left));
        }
        let claim = Claim {
            credentials: proof.credentials,
            from: proof.remote.ip(),
            method: proof.method,
            fits: proof.fits,
            user: self.book.user(proof.aor).map(|(_, user)| user),
            offered: proof.offered,
        };
        let verdict = self.verifier.verify(now, &claim);
        let attempt = self.attempt(proof);
        match (verdict, self.book.user(proof.aor)) {
            (Verdict::Proven, Some((proven, _))) => {
                self.throttle.proven(attempt);
                Ok(Arc::clone(proven))
            }
            (Verdict::Refused { stale, why }, _) => {
                if why.is_some_and(Failure::is_guess) {
                    self.guessed(now, attempt, proof.remote, out);
                }
                why.into_iter().for_each(|why| self.deny(proof, why, out));
                Err(Unproven::Wrong { stale })
            }
            (Verdict::Proven, None) => Err(Unproven::Wrong { stale: false }),
        }
    }

    /// The values of a challenge to whoever is at this address.
    pub(crate) fn challenges(
        &mut self,
        now: Duration,
        remote: SocketAddr,
        offered: Algorithms,
        stale: bool,
    ) -> Vec<String> {
        self.verifier.challenge(now, remote.ip(), offered, stale)
    }

    /// Whether credentials answer a challenge of ours.
    pub(crate) fn is_for_us(&self, credentials: Credentials<'_>) -> bool {
        self.verifier.is_for_us(credentials)
    }

    /// Whether a password that somebody else is to check may be tried now; else how long that is still to be waited for.
    pub(crate) fn may_try(
        &mut self,
        now: Duration,
        aor: &str,
        remote: SocketAddr,
        out: &mut VecDeque<Output>,
    ) -> Result<(), Duration> {
        let Some((left, why)) = self.kept_waiting(now, self.attempt_of(aor, remote)) else { return Ok(()) };
        self.note_denied(aor, remote, why, out);
        Err(left)
    }

    /// What came of it: the same as if it had been checked here.
    pub(crate) fn tried(
        &mut self,
        now: Duration,
        aor: &str,
        remote: SocketAddr,
        outcome: Result<(), Failure>,
        out: &mut VecDeque<Output>,
    ) {
        let attempt = self.attempt_of(aor, remote);
        let Err(why) = outcome else { return self.throttle.proven(attempt) };
        if why.is_guess() {
            self.guessed(now, attempt, remote, out);
        }
        self.note_denied(aor, remote, why, out);
    }

    /// Whether a phone of this user is signed in from there.
    pub(crate) fn is_at_home(&self, aor: &str, remote: SocketAddr) -> bool {
        self.attempt_of(aor, remote).known
    }

    /// Somebody has given a wrong password.
    fn guessed(
        &mut self,
        now: Duration,
        attempt: Attempt<'_>,
        remote: SocketAddr,
        out: &mut VecDeque<Output>,
    ) {
        if self.throttle.wrong_password(now, attempt) {
            out.push_back(Output::Event(Event::LockedOut { aor: attempt.aor.to_owned(), remote }));
        }
    }

    /// How long credentials are still not looked at, and why. Where a phone is signed in nobody has to guess.
    fn wait(&self, now: Duration, proof: &Proof<'_>) -> Option<(Duration, Failure)> {
        let here = |flow: &Flow| self.book.bindings(proof.aor).iter().any(|binding| binding.flow == *flow);
        let here = proof.flow.is_some_and(here);
        self.kept_waiting(now, self.attempt(proof)).filter(|_| !here)
    }

    fn kept_waiting(&self, now: Duration, attempt: Attempt<'_>) -> Option<(Duration, Failure)> {
        let locked = self.throttle.locked(now, attempt).map(|left| (left, Failure::Locked));
        locked.or_else(|| self.throttle.wait(now, attempt).map(|left| (left, Failure::TooSoon)))
    }

    fn attempt<'a>(&self, proof: &Proof<'a>) -> Attempt<'a> {
        self.attempt_of(proof.aor, proof.remote)
    }

    fn attempt_of<'a>(&self, aor: &'a str, remote: SocketAddr) -> Attempt<'a> {
        let from = source(remote);
        let mut bindings = self.book.bindings(aor).iter();
        Attempt { source: from, aor, known: bindings.any(|binding| source(binding.flow.remote) == from) }
    }

    fn deny(&mut self, proof: &Proof<'_>, why: Failure, out: &mut VecDeque<Output>) {
        self.note_denied(proof.aor, proof.remote, why, out);
    }

    fn note_denied(&mut self, aor: &str, remote: SocketAddr, why: Failure, out: &mut VecDeque<Output>) {
        *self.denied.entry(why).or_default() += 1;
        out.push_back(Output::Event(Event::Denied { aor: aor.to_owned(), remote, why }));
    }

    fn challenge(
        &mut self,
        now: Duration,
        flow: &Flow,
        listener: &Listener,
        as_proxy: bool,
        stale: bool,
    ) -> Reply {
        let values = self.challenges(now, flow.remote, listener.algorithms, stale);
        let (reply, name) = match as_proxy {
            true => (Reply::new(407, "Proxy Authentication Required"), "Proxy-Authenticate"),
            false => (Reply::new(401, "Unauthorized"), "WWW-Authenticate"),
        };
        values.into_iter().fold(reply, |reply, value| reply.field(name, value))
    }

    /// Whom a request says it is from: its From, or the name in its credentials if the From tells nobody (RFC 3323, 4.1).
    fn claimed(
        &self,
        request: &Message<&[u8]>,
        credentials: Credentials<'_>,
        flow: &Flow,
        listener: &Listener,
    ) -> String {
        let from = request.from().and_then(Result::ok).and_then(|from| from.uri().ok());
        match from.filter(|uri| !address::is_anonymous(uri)) {
            Some(uri) => self.aor(&uri, flow, listener).unwrap_or_default(),
            None => self.named(credentials.get("username").unwrap_or_default()),
        }
    }

    /// The address of record that somebody means who writes a name, with or without its domain.
    pub(crate) fn meant(&self, name: &[u8]) -> String {
        let name = String::from_utf8_lossy(name).to_lowercase();
        if name.contains('@') { name } else { self.named(name.as_bytes()) }
    }

    /// The address of record that a user name means: in the first domain that has such a user.
    fn named(&self, name: &[u8]) -> String {
        let name = String::from_utf8_lossy(name).to_lowercase();
        let aor = |domain: &String| format!("{name}@{}", domain.to_lowercase());
        let mut domains = self.settings.domains.iter().map(aor);
        let first = domains.clone().next().unwrap_or_default();
        domains.find(|aor| self.knows(aor)).unwrap_or(first)
    }

    /// Whether the `uri` of credentials is the Request-URI. Some clients write the server there, whomever they call.
    fn fits(&self, written: Option<&[u8]>, requested: &[u8], flow: &Flow, listener: &Listener) -> bool {
        let Some(written) = written.filter(|&written| written != requested) else { return written.is_some() };
        let (Ok(written), Ok(requested)) = (Uri::parse(written), Uri::parse(requested)) else { return false };
        let is_server = || written.host.is_some_and(|host| self.is_us(host, flow, listener));
        address::same(&written, &requested) || (written.is_sip() && written.user.is_none() && is_server())
    }
}
