//! Who a request is from: the challenge, and what answers it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Flow, Message, Name, StartLine, Uri};

use super::Registrar;
use crate::address;
use crate::contract::{Event, Listener, Output};
use crate::digest::{Claim, Verdict};
use crate::reply::Reply;

impl Registrar {
    /// Proves who sent a request, as an address of record of ours. Else the answer: 407 from a proxy, 401 from the one whom
    /// the request is for.
    pub(crate) fn authenticate(
        &mut self,
        now: Duration,
        flow: &Flow,
        listener: &Listener,
        request: &Message<&[u8]>,
        as_proxy: bool,
        out: &mut VecDeque<Output>,
    ) -> Result<Arc<str>, Reply> {
        let StartLine::Request { method, uri } = request.start() else {
            return Err(Reply::new(400, "No Request"));
        };
        let name = if as_proxy { Name::ProxyAuthorization } else { Name::Authorization };
        let given = request.credentials(name).find(|credentials| self.verifier.is_for_us(*credentials));
        let aor = self.claimed(request, flow, listener);
        let user = self.book.user(&aor);
        let (from, offered) = (flow.remote.ip(), listener.algorithms);
        let mut verdict = Verdict::Refused { stale: false, why: None };
        if let Some(credentials) = given {
            let fits = self.fits(credentials.get("uri"), uri, flow, listener);
            let user = user.map(|(_, user)| user);
            let claim = Claim { credentials, from, method: method.as_bytes(), fits, user, offered };
            verdict = self.verifier.verify(now, &claim);
        }
        match (verdict, user) {
            (Verdict::Proven, Some((aor, _))) => {
                out.extend(flow.transport.is_stream().then_some(Output::Trust(*flow)));
                return Ok(Arc::clone(aor));
            }
            (Verdict::Refused { why: Some(why), .. }, _) => {
                *self.denied.entry(why).or_default() += 1;
                out.push_back(Output::Event(Event::Denied { aor, remote: flow.remote, why }));
            }
            _ => {}
        }
        let stale = matches!(verdict, Verdict::Refused { stale: true, .. });
        Err(challenge(self.verifier.challenge(now, from, offered, stale), as_proxy))
    }

    /// Whom a request says it is from: its From.
    fn claimed(&self, request: &Message<&[u8]>, flow: &Flow, listener: &Listener) -> String {
        let from = request.from().and_then(Result::ok).and_then(|from| from.uri().ok());
        from.and_then(|uri| self.aor(&uri, flow, listener)).unwrap_or_default()
    }

    /// Whether the `uri` of credentials is the Request-URI. Some clients write the server there, whomever they call.
    fn fits(&self, written: Option<&[u8]>, requested: &[u8], flow: &Flow, listener: &Listener) -> bool {
        let Some(written) = written.filter(|&written| written != requested) else { return written.is_some() };
        let (Ok(written), Ok(requested)) = (Uri::parse(written), Uri::parse(requested)) else { return false };
        let is_server = || written.host.is_some_and(|host| self.is_us(host, flow, listener));
        address::same(&written, &requested) || (written.is_sip() && written.user.is_none() && is_server())
    }
}

fn challenge(values: Vec<String>, as_proxy: bool) -> Reply {
    let (reply, name) = match as_proxy {
        true => (Reply::new(407, "Proxy Authentication Required"), "Proxy-Authenticate"),
        false => (Reply::new(401, "Unauthorized"), "WWW-Authenticate"),
    };
    values.into_iter().fold(reply, |reply, value| reply.field(name, value))
}
