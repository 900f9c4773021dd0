//! Who may send what to whom: nobody uses the Front End to reach a stranger.

use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Method, Name, Scheme, Uri};

use crate::address;
use crate::calls;
use crate::contract::Binding;
use crate::front_end::FrontEnd;
use crate::incoming::Incoming;
use crate::proxy::{Route, Target, is_loop, path, reach};
use crate::registrar::{self, Asking};
use crate::reply::Reply;
use crate::rules::Course;
use crate::user::domain_part;

/// Nobody is there.
pub(crate) const UNAVAILABLE: Reply = Reply::new(480, "Temporarily Unavailable");

impl FrontEnd {
    /// 503 if a table is full or no more is taken on; calls that are up are served longer.
    pub(crate) fn check_room(&mut self, incoming: &Incoming<'_>, in_dialog: bool) -> Result<(), Reply> {
        let full = incoming.is_invite() && self.proxy.calls.is_full();
        if self.proxy.has_room(in_dialog) && (in_dialog || !self.drained && !full) {
            return Ok(());
        }
        self.proxy.counts.overload += 1;
        // Not all at the same time.
        let seconds = 5 + self.proxy.counts.overload % 10;
        Err(Reply::new(503, "Service Unavailable").field("Retry-After", seconds.to_string()))
    }

    /// What RFC 3261, 16.3 asks of a request before it is sent on; the hash by which a loop is known.
    pub(crate) fn check_passable(&self, incoming: &Incoming<'_>, uri: &Uri<'_>) -> Result<u64, Reply> {
        if !uri.is_sip() && uri.scheme != Scheme::Tel {
            return Err(Reply::new(416, "Unsupported URI Scheme"));
        }
        if incoming.routing.max_forwards == Some(0) {
            return Err(Reply::new(483, "Too Many Hops"));
        }
        unsupported(incoming, Name::ProxyRequire, &[])?;
        let path = path(&self.proxy.secret, incoming);
        match is_loop(incoming, path) {
            true => Err(Reply::new(482, "Loop Detected")),
            false => Ok(path),
        }
    }

    /// Whether a request is of a dialog that began here too long ago. A call that is known to be up may last for ever.
    pub(crate) fn is_over(&self, now: Duration, incoming: &Incoming<'_>, way: &Route<'_>) -> bool {
        let call = || calls::key(&self.proxy.secret, &incoming.routing);
        way.token.as_ref().is_some_and(|token| token.is_over(now) && !self.proxy.calls.is_up(call()))
    }

    /// A request of a dialog that began here: it goes where our own Record-Route says.
    pub(crate) fn within_dialog(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
    ) -> Result<(Arc<str>, Course), Reply> {
        let target = self.peer(now, way).ok_or(Reply::new(430, "Flow Failed"))?;
        self.proxy.in_call(now, incoming);
        Ok(("".into(), Course::to(target)))
    }

    /// The other side of a dialog: on the flow where it was, or on the one by which its user's phone has come back.
    pub(crate) fn peer(&self, now: Duration, way: &Route<'_>) -> Option<Target> {
        let token = way.token.as_ref()?;
        if self.proxy.is_up(&token.flow) {
            return Some(Target::Peer(reach(&token.flow)));
        }
        // What is behind the Edge finds its way by the entries of the others, whichever phones its user has.
        if (token.aor.is_empty() || !way.rest.is_empty())
            && let Some(edge) = self.back_to_edge(&token.flow)
        {
            return Some(Target::Peer(edge));
        }
        let contacts = self.registrar.contacts(now, &token.aor);
        let same = |binding: &&Arc<Binding>| {
            Uri::parse(binding.contact.as_bytes()).is_ok_and(|contact| address::same(&contact, &way.uri))
        };
        let only = || contacts.first().filter(|_| contacts.len() == 1);
        let binding = contacts.iter().find(same).or_else(only)?;
        registrar::destination(binding).map(Target::Peer)
    }

    /// Who sends a request that begins something; empty if that is not proven, and need not be.
    pub(crate) fn vouched(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
    ) -> Result<Arc<str>, Reply> {
        let to = self.aor(incoming, &way.uri);
        match self.must_prove(incoming) {
            true => self.authenticate(now, incoming, true),
            // The Edge has asked for a certificate of the domain.
            false if self.edges.are(&incoming.flow) && to.is_some() => Ok("".into()),
            // The same for each user and for nobody: who asks learns nothing.
            false if !self.config.strangers => Err(Reply::new(403, "Forbidden")),
            false if to.is_some() => Ok("".into()),
            false => Err(Reply::new(403, "Relaying Denied")),
        }
    }

    /// Where a request of `caller` goes that begins something; nowhere if it is a message that can be kept.
    pub(crate) fn admit(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
        caller: &Arc<str>,
    ) -> Result<Course, Reply> {
        if !way.rest.is_empty() {
            return Err(Reply::new(403, "Foreign Route"));
        }
        // Who sent what belongs to a dialog was asked when it began; without its way it is nobody's.
        if incoming.has_dialog() && incoming.method() != Method::Ack {
            return Err(Reply::new(481, "Call/Transaction Does Not Exist"));
        }
        match self.called(caller, incoming, &way.uri)? {
            Some(to) => self.course(now, incoming, way, caller, to),
            None => {
                let edges = self.to_edges(now, incoming.routing.call_id).filter(|_| !caller.is_empty());
                let target = edges.ok_or(Reply::new(404, "Not Found"))?;
                Ok(Course::renamed(target, self.named_by_domain(incoming, &way.uri)))
            }
        }
    }

    /// Proves who sent a request. A call may be made in the name of somebody whose delegate one is.
    pub(crate) fn authenticate(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        as_proxy: bool,
    ) -> Result<Arc<str>, Reply> {
        let sender = self.sender(incoming);
        let end = self.proxy.ends.of(&incoming.flow).ok_or(Reply::new(403, "No Such Listener"))?;
        let (listener, out) = (&end.listener, &mut self.proxy.out);
        let delegates = Some(&self.switchboard).filter(|_| as_proxy && incoming.is_invite());
        let asking = Asking { as_proxy, delegates };
        self.registrar.authenticate(now, &sender, listener, incoming.message, asking, out)
    }

    /// The address of record of ours that a URI means.
    pub(crate) fn aor(&self, incoming: &Incoming<'_>, uri: &Uri<'_>) -> Option<String> {
        let aor = address::aor(uri)?;
        let host = uri.host?.to_string();
        if self.registrar.is_ours(host.as_bytes()) {
            return Some(aor);
        }
        let user = aor.split_once('@').map(|(user, _)| user)?;
        let domain =
            self.config.domains.first().filter(|_| self.proxy.ends.are(uri, incoming.flow.local.ip()))?;
        Some(format!("{user}@{}", domain.to_lowercase()))
    }

    /// A URI with our own address in it as others know it, with our domain: some phones write where their server is instead.
    fn named_by_domain(&self, incoming: &Incoming<'_>, uri: &Uri<'_>) -> Option<String> {
        if self.registrar.is_ours(uri.host?.to_string().as_bytes()) {
            return None;
        }
        let aor = self.aor(incoming, uri)?;
        let scheme = if uri.scheme == Scheme::Sips { "sips" } else { "sip" };
        let user = String::from_utf8_lossy(uri.user?);
        Some(format!("{scheme}:{user}@{}", domain_part(&aor)))
    }

    /// Whether a host is one of our domains or one of our own addresses.
    pub(crate) fn is_ours(&self, incoming: &Incoming<'_>, uri: &Uri<'_>) -> bool {
        let domain = uri.host.is_some_and(|host| self.registrar.is_ours(host.to_string().as_bytes()));
        domain || self.proxy.ends.are(uri, incoming.flow.local.ip())
    }

    /// Whether a request says that it is from a user who is at home here.
    pub(crate) fn is_from_one_of_us(&self, incoming: &Incoming<'_>) -> bool {
        let from = incoming.routing.from.uri().ok();
        from.and_then(|from| self.aor(incoming, &from)).is_some_and(|aor| self.registrar.knows(&aor))
    }

    /// Whether a request says that it is from one of our users, or may be: of a caller who does not want to be known, the
    /// credentials tell. Where strangers are let in, one without credentials is one of them.
    pub(crate) fn must_prove(&self, incoming: &Incoming<'_>) -> bool {
        let Ok(from) = incoming.routing.from.uri() else { return false };
        if self.asserted(incoming).is_some() {
            return false;
        }
        let tells = || incoming.message.get(Name::ProxyAuthorization).is_some();
        self.is_ours(incoming, &from) || address::is_anonymous(&from) && (!self.config.strangers || tells())
    }
}

/// A target for each phone. One that has several flows is asked by one after the other (RFC 5626, 7).
pub(crate) fn phones(contacts: Vec<Arc<Binding>>) -> Vec<Target> {
    let mut phones: Vec<(Arc<Binding>, Vec<Arc<Binding>>)> = Vec::new();
    for binding in contacts {
        match phones.iter_mut().find(|(first, _)| registrar::is_same_phone(first, &binding)) {
            Some((_, others)) => others.push(binding),
            None => phones.push((binding, Vec::new())),
        }
    }
    phones.into_iter().map(|(first, others)| Target::Contact(first, others)).collect()
}

/// 420 if the request requires what is not among `supported` (RFC 3261, 8.2.2.3 and 16.3).
pub(crate) fn unsupported(incoming: &Incoming<'_>, name: Name, supported: &[&str]) -> Result<(), Reply> {
    let known = |tag: &&[u8]| supported.iter().any(|known| tag.eq_ignore_ascii_case(known.as_bytes()));
    let unknown: Vec<_> = incoming.message.values(name).filter(|tag| !known(tag)).collect();
    match unknown.is_empty() {
        true => Ok(()),
        false => {
            let tags = String::from_utf8_lossy(&unknown.join(&b", "[..])).replace(['\r', '\n'], " ");
            Err(Reply::new(420, "Bad Extension").field("Unsupported", tags))
        }
    }
}
