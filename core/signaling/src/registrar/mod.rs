//! The registrar (RFC 3261, 10): who a request is from, and where the phones of a user are.
//!
//! Bindings follow RFC 5626 on connections: what `+sip.instance` and `reg-id` name is one binding, whatever connection it
//! comes over, and an older connection that closes later takes nothing with it. A binding whose own connection has
//! closed is gone, as a registrar that is its own edge may decide: the phone registers again, and there is no other
//! way to it. Two bindings stay without being a way to the phone: those of connections that a restart of the server
//! has cut, since they were acknowledged, and those behind a proxy that gave a Path.
//!
//! The registrar sends nothing; it saves by pushing [`Output::Save`] before it answers.

mod book;
mod contact;
mod lockout;
mod proof;
mod request;
mod route;
mod throttle;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Flow, Host, Message, Method, StartLine, Uri};

use crate::address;
use crate::bearer::{self, Tokens};
use crate::contract::{Binding, Event, Failure, Listener, Output};
use crate::digest::Verifier;
use crate::reply::Reply;
use crate::user::{User, user_part};
use book::Book;
pub(crate) use contact::is_same_phone;
pub use lockout::{Lock, LockOut};
pub(crate) use proof::{Asking, Proof, Unproven};
use request::Asked;
pub(crate) use route::destination;
use throttle::Throttle;

/// Seconds within which a phone must send something on a connection (RFC 5626, 10).
const FLOW_TIMER: u32 = 120;

/// What the registrar is told when it begins.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Domains whose users are ours; the first one is meant where a listener's own address is written.
    pub(crate) domains: Vec<String>,
    /// Realm of the challenges.
    pub(crate) realm: String,
    /// Seconds that a binding may last: less is refused, more is cut down.
    pub(crate) expires: RangeInclusive<u32>,
    /// Seconds that it lasts if the phone does not say.
    pub(crate) default_expires: u32,
    /// Most contacts of a user.
    pub(crate) contacts: usize,
    /// How long a nonce is good.
    pub(crate) nonce: Duration,
}

#[derive(Debug)]
pub(crate) struct Registrar {
    settings: Settings,
    verifier: Verifier,
    tokens: Tokens,
    book: Book,
    throttle: Throttle,
    denied: BTreeMap<Failure, u64>,
}

impl Registrar {
    /// Bindings whose user has gone are left out; the store forgets them when they expire.
    pub(crate) fn new(
        settings: Settings,
        users: Vec<User>,
        bindings: Vec<Binding>,
        seed: [u8; 32],
        now: Duration,
    ) -> Registrar {
        let verifier = Verifier::new(&settings.realm, settings.nonce, &seed, now);
        let (book, throttle) = (Book::new(users, bindings), Throttle::new(&seed));
        Registrar { settings, verifier, tokens: Tokens::new(&seed), book, throttle, denied: BTreeMap::new() }
    }

    /// Answers a REGISTER: by the flow that it came on, and the flow of its sender, which is another one if our Edge is between.
    pub(crate) fn register(
        &mut self,
        now: Duration,
        flows: [&Flow; 2],
        listener: &Listener,
        request: &Message<&[u8]>,
        out: &mut VecDeque<Output>,
    ) -> Reply {
        self.try_register(now, flows, listener, request, out).unwrap_or_else(|refusal| refusal)
    }

    /// Whether there is such a user.
    pub(crate) fn knows(&self, aor: &str) -> bool {
        self.book.user(aor).is_some()
    }

    /// The user of this address of record, as the registrar has its name.
    pub(crate) fn user_of(&self, aor: &str) -> Option<&Arc<str>> {
        self.book.user(aor).map(|(aor, _)| aor)
    }

    /// Whether there is a way to a phone of this user.
    pub(crate) fn is_reachable(&self, now: Duration, aor: &str) -> bool {
        let live = |binding: &Arc<Binding>| binding.expires > now && destination(binding).is_some();
        self.book.bindings(aor).iter().any(live)
    }

    /// A user whose contacts were changed or refreshed; call until there is none.
    pub(crate) fn poll_moved(&mut self) -> Option<Arc<str>> {
        self.book.poll_moved()
    }

    /// Whether users of this domain are ours.
    pub(crate) fn is_ours(&self, domain: &[u8]) -> bool {
        self.settings.domains.iter().any(|ours| ours.as_bytes().eq_ignore_ascii_case(domain))
    }

    /// The address of record that a URI means, if it is in a domain of ours. A listener's own address stands for the
    /// first domain: a phone that knows no more than the server's address can sign in.
    pub(crate) fn aor(&self, uri: &Uri<'_>, flow: &Flow, listener: &Listener) -> Option<String> {
        let aor = address::aor(uri)?;
        match uri.host? {
            Host::Name(name) if self.is_ours(name) => Some(aor),
            host if is_listener(host, flow, listener) => {
                Some(format!("{}@{}", user_part(&aor), self.settings.domains.first()?.to_lowercase()))
            }
            host => self.is_ours(host.to_string().as_bytes()).then_some(aor),
        }
    }

    /// The ways to a user's phones: the highest `q` first, among equals those whose connection is up, then the newest.
    pub(crate) fn contacts(&self, now: Duration, aor: &str) -> Vec<Arc<Binding>> {
        let live = |binding: &&Arc<Binding>| binding.expires > now && destination(binding).is_some();
        let mut contacts: Vec<_> = self.book.bindings(aor).iter().rev().filter(live).cloned().collect();
        contacts.sort_by_key(|binding| (std::cmp::Reverse(binding.q), route::is_cut(binding)));
        contacts
    }

    /// The flow of a binding is no more, says the proxy that it goes through. One that was made anew since stays.
    pub(crate) fn unbind(&mut self, failed: &Binding, out: &mut VecDeque<Output>) {
        let is = |known: &Binding| {
            known.key == failed.key && (&known.call_id, known.cseq) == (&failed.call_id, failed.cseq)
        };
        let mut left = self.book.bindings(&failed.aor).to_vec();
        left.retain(|known| !is(known));
        self.book.replace(&failed.aor, left, out);
    }

    /// A connection has ended.
    pub(crate) fn closed(&mut self, flow: &Flow, out: &mut VecDeque<Output>) {
        for aor in self.book.on_connection(flow) {
            let mut left = self.book.bindings(&aor).to_vec();
            left.retain_mut(|binding| !route::is_on(binding, flow) || route::survives(binding));
            self.book.replace(&aor, left, out);
        }
    }

    /// The plan's document of this version has reached the phone on this flow.
    pub(crate) fn provisioned(
        &mut self,
        aor: &Arc<str>,
        flow: &Flow,
        version: u64,
        out: &mut VecDeque<Output>,
    ) {
        let mut bindings = self.book.bindings(aor).to_vec();
        for binding in bindings.iter_mut().filter(|binding| binding.flow == *flow) {
            if binding.plan_version != Some(version) {
                *binding = Arc::new(Binding { plan_version: Some(version), ..(**binding).clone() });
            }
        }
        self.book.replace(aor, bindings, out);
        out.push_back(Output::Event(Event::Provisioned { aor: Arc::clone(aor), version }));
    }

    /// Adds a user, or changes one; bindings stay.
    pub(crate) fn put_user(&mut self, user: User) {
        self.book.put_user(user);
    }

    /// Removes a user with all bindings.
    pub(crate) fn remove_user(&mut self, aor: &str, out: &mut VecDeque<Output>) {
        self.book.remove_user(aor, out);
    }

    /// The user of this address of record.
    pub(crate) fn user(&self, aor: &str) -> Option<&User> {
        self.book.user(aor).map(|(_, user)| user)
    }

    /// The users whose names come after this one, in their order.
    pub(crate) fn users_after(&self, last: &str) -> impl Iterator<Item = &Arc<str>> {
        self.book.users_after(last)
    }

    /// Another number whenever somebody has come or gone.
    pub(crate) fn comings(&self) -> u64 {
        self.book.comings()
    }

    /// The site of a user.
    pub(crate) fn site(&self, aor: &str) -> Option<&str> {
        self.user(aor)?.site.as_deref()
    }

    /// Ends the bindings whose time is over.
    pub(crate) fn handle_timeout(&mut self, now: Duration, out: &mut VecDeque<Output>) {
        while let Some(aor) = self.book.due(now) {
            let left = self.live(now, &aor);
            self.book.replace(&aor, left, out);
        }
    }

    /// When the next binding ends.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.book.next_due()
    }

    /// Users, and bindings of all of them.
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.book.counts()
    }

    /// How many bindings a user has.
    pub(crate) fn bindings(&self, aor: &str) -> usize {
        self.book.bindings(aor).len()
    }

    /// From now on who gives wrong passwords is locked out by this rule.
    pub(crate) fn set_lock_out(&mut self, lock_out: LockOut) {
        self.throttle.set_lock_out(lock_out);
    }

    /// Wrong passwords for this user are forgiven.
    pub(crate) fn unlock(&mut self, aor: &str) {
        self.throttle.unlock(aor);
    }

    /// Who is locked out of this user.
    pub(crate) fn locks(&self, now: Duration, aor: &str) -> Vec<Lock> {
        self.throttle.locks(now, aor)
    }

    /// How many are locked out of any user.
    pub(crate) fn count_locks(&self, now: Duration) -> usize {
        self.throttle.count_locks(now)
    }

    /// How often credentials were refused, and why.
    pub(crate) fn denied(&self) -> &BTreeMap<Failure, u64> {
        &self.denied
    }

    fn try_register(
        &mut self,
        now: Duration,
        [flow, sender]: [&Flow; 2],
        listener: &Listener,
        request: &Message<&[u8]>,
        out: &mut VecDeque<Output>,
    ) -> Result<Reply, Reply> {
        let uri = |text| Uri::parse(text).map_err(|malformed| Reply::new(400, malformed.0));
        let registrar = match request.start() {
            StartLine::Request { method: Method::Register, uri: text } => uri(text)?,
            _ => return Err(Reply::new(400, "No REGISTER")),
        };
        if !registrar.host.is_some_and(|host| self.is_us(host, flow, listener)) {
            return Err(Reply::new(404, "No Such Domain Here"));
        }
        request::check_required(request)?;
        let aor = self.authenticate(now, sender, listener, request, Asking::alone(false), out)?;
        let to = request.to().and_then(Result::ok).ok_or(Reply::new(400, "Malformed To"))?;
        if self.aor(&uri(to.uri_text)?, flow, listener).as_deref() != Some(&*aor) {
            return Err(Reply::new(403, "Not Your Address"));
        }
        let mut asked = Asked::read(request, &self.settings)?;
        asked.user_agent = self.book.agent(&asked.user_agent);
        if let Some((_, token)) = bearer::token(request) {
            asked.end_with(Tokens::left(now, token).unwrap_or_default(), &self.settings);
        }
        let bindings = asked.apply(&aor, flow, &self.live(now, &aor), now, self.settings.contacts)?;
        let reply = asked.granted(flow, &bindings, now);
        self.book.replace(&aor, bindings, out);
        Ok(reply)
    }

    fn live(&self, now: Duration, aor: &str) -> Vec<Arc<Binding>> {
        self.book.bindings(aor).iter().filter(|binding| binding.expires > now).cloned().collect()
    }

    /// Whether a host means this server.
    fn is_us(&self, host: Host<'_>, flow: &Flow, listener: &Listener) -> bool {
        match host {
            Host::Name(name) if self.is_ours(name) => true,
            _ => is_listener(host, flow, listener) || self.is_ours(host.to_string().as_bytes()),
        }
    }
}

fn is_listener(host: Host<'_>, flow: &Flow, listener: &Listener) -> bool {
    let advertised = listener.advertised.rsplit_once(':').map_or(&*listener.advertised, |(host, _)| host);
    match host {
        Host::Name(name) => name.eq_ignore_ascii_case(advertised.as_bytes()),
        Host::Ip(ip) => {
            ip == flow.local.ip() || ip == listener.address.ip() || host.to_string() == advertised
        }
    }
}
