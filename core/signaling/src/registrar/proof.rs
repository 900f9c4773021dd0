//! Who a request is from: the challenge, and what answers it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Credentials, Flow, Message, Name, StartLine, Uri, source};

use super::Registrar;
use super::throttle::Attempt;
use crate::address;
use crate::contract::{Event, Failure, Listener, Output};
use crate::digest::{Claim, Verdict};
use crate::reply::Reply;

impl Registrar {
    /// Proves who sent a request, as an address of record of ours. Else the answer: 407 from a proxy, 401 from the one whom
    /// the request is for; 503 to whoever guesses.
    pub(crate) fn authenticate(
        &mut self,
        now: Duration,
        flow: &Flow,
        listener: &Listener,
        request: &Message<&[u8]>,
        as_proxy: bool,
        out: &mut VecDeque<Output>,
    ) -> Result<Arc<str>, Reply> {
        let name = if as_proxy { Name::ProxyAuthorization } else { Name::Authorization };
        let given = request.credentials(name).find(|credentials| self.verifier.is_for_us(*credentials));
        let Some(credentials) = given else {
            return Err(self.challenge(now, flow, listener, as_proxy, false));
        };
        let aor = self.claimed(request, credentials, flow, listener);
        if let Some(left) = self.wait(now, flow, &aor) {
            self.deny(flow, aor, Failure::TooSoon, out);
            let seconds = left.as_millis().div_ceil(1000);
            return Err(Reply::new(503, "Try Again Later").field("Retry-After", seconds.to_string()));
        }
        let verdict = self.judge(now, flow, listener, request, credentials, &aor);
        let attempt = self.attempt(flow, &aor);
        match (verdict, self.book.user(&aor)) {
            (Verdict::Proven, Some((proven, _))) => {
                self.throttle.proven(attempt);
                out.extend(flow.transport.is_stream().then_some(Output::Trust(*flow)));
                Ok(Arc::clone(proven))
            }
            (Verdict::Refused { stale, why }, _) => {
                if why.is_some_and(Failure::is_guess) {
                    self.throttle.wrong_password(now, attempt);
                }
                why.into_iter().for_each(|why| self.deny(flow, aor.clone(), why, out));
                Err(self.challenge(now, flow, listener, as_proxy, stale))
            }
            (Verdict::Proven, None) => Err(self.challenge(now, flow, listener, as_proxy, false)),
        }
    }

    fn judge(
        &mut self,
        now: Duration,
        flow: &Flow,
        listener: &Listener,
        request: &Message<&[u8]>,
        credentials: Credentials<'_>,
        aor: &str,
    ) -> Verdict {
        let StartLine::Request { method, uri } = request.start() else {
            return Verdict::Refused { stale: false, why: None };
        };
        let claim = Claim {
            credentials,
            from: flow.remote.ip(),
            method: method.as_bytes(),
            fits: self.fits(credentials.get("uri"), uri, flow, listener),
            user: self.book.user(aor).map(|(_, user)| user),
            offered: listener.algorithms,
        };
        self.verifier.verify(now, &claim)
    }

    /// How long credentials are still not looked at. Where a phone is signed in nobody has to guess.
    fn wait(&self, now: Duration, flow: &Flow, aor: &str) -> Option<Duration> {
        let here = self.book.bindings(aor).iter().any(|binding| binding.flow == *flow);
        self.throttle.wait(now, self.attempt(flow, aor)).filter(|_| !here)
    }

    fn attempt<'a>(&self, flow: &Flow, aor: &'a str) -> Attempt<'a> {
        let from = source(flow.remote);
        let mut bindings = self.book.bindings(aor).iter();
        Attempt { source: from, aor, known: bindings.any(|binding| source(binding.flow.remote) == from) }
    }

    fn deny(&mut self, flow: &Flow, aor: String, why: Failure, out: &mut VecDeque<Output>) {
        *self.denied.entry(why).or_default() += 1;
        out.push_back(Output::Event(Event::Denied { aor, remote: flow.remote, why }));
    }

    fn challenge(
        &mut self,
        now: Duration,
        flow: &Flow,
        listener: &Listener,
        as_proxy: bool,
        stale: bool,
    ) -> Reply {
        let values = self.verifier.challenge(now, flow.remote.ip(), listener.algorithms, stale);
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
