//! The Front End as a whole: what comes in is checked, told apart, and handed to the registrar or the proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Answer, Fault, Flow, Garbage, Message, Method, StartLine, Transport};

use crate::bandwidth::LinkUse;
use crate::bridging::{BridgeWish, NotBridged};
use crate::config::Config;
use crate::contract::{Binding, Letter, Output, Publication, Request};
use crate::counts::Counts;
use crate::edges::Edges;
use crate::events::Notify;
use crate::events::Package;
use crate::incoming::{Incoming, tag, way_back, whole};
use crate::messages::{HistoryPolicy, Letters};
use crate::presence::Presence;
use crate::provisioning::Provisioning;
use crate::proxy::{Ends, Fork, Proxy, Route, route};
use crate::records::{Caller, OpenCall};
use crate::registrar::{Lock, Registrar, Settings};
use crate::reply::Reply;
use crate::rules::{Course, Switchboard};
use crate::secret::Secret;
use crate::transaction::Key;
use crate::user::User;

/// How long a nonce is good for.
const NONCE: Duration = Duration::from_secs(300);

/// After what time to try again what could not be kept.
const UNKEPT: Duration = Duration::from_secs(30);

/// What was saved before a restart.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// Where users can be reached.
    pub bindings: Vec<Binding>,
    /// What their devices have published.
    pub publications: Vec<Publication>,
    /// Messages that wait for them.
    pub letters: Vec<Letter>,
}

/// A SIP registrar, presence server and proxy without sockets.
pub struct FrontEnd {
    pub(crate) config: Config,
    pub(crate) registrar: Registrar,
    pub(crate) provisioning: Provisioning,
    pub(crate) presence: Presence,
    pub(crate) letters: Letters,
    /// Whose messages are kept beyond their delivery.
    pub(crate) history: HistoryPolicy,
    pub(crate) switchboard: Switchboard,
    pub(crate) proxy: Proxy,
    /// Connections with our Edge.
    pub(crate) edges: Edges,
    pub(crate) drained: bool,
    /// When it began: what it counts is no news to who has heard it count before.
    pub(crate) begun: Duration,
}

impl FrontEnd {
    /// Begins with these users and with the bindings and publications that were saved. The seed must be hard to guess; if it is the same
    /// as before a restart, calls that were up can still be ended properly.
    pub fn new(config: Config, users: Vec<User>, saved: Saved, seed: [u8; 32], now: Duration) -> FrontEnd {
        let settings = Settings {
            domains: config.domains.clone(),
            realm: config.realm.clone(),
            expires: config.expires.min..=config.expires.max,
            default_expires: config.expires.default,
            contacts: config.limits.contacts,
            nonce: NONCE,
        };
        let switchboard = Switchboard::new(&users);
        let registrar = Registrar::new(settings, users, saved.bindings, seed, now);
        let provisioning = Provisioning::new(Arc::clone(&config.plan), config.plan_version, &config.domains);
        let (watchers, most) = (config.watchers, config.limits.watchers);
        let presence = Presence::new(&seed, saved.publications, watchers, most, now);
        let letters = Letters::new(&seed, saved.letters, config.limits.letters, now);
        let proxy = Proxy::new(&config, &seed, now);
        FrontEnd {
            config,
            registrar,
            provisioning,
            presence,
            letters,
            history: HistoryPolicy::default(),
            switchboard,
            proxy,
            edges: Edges::default(),
            drained: false,
            begun: now,
        }
    }

    /// One message came, whole: a datagram, or what a stream was cut into.
    pub fn handle_input(&mut self, now: Duration, flow: Flow, bytes: &[u8]) {
        self.proxy.saw(flow);
        let (message, fault) = match whole(bytes, self.config.limits.message) {
            Ok(read) => read,
            Err(garbage) => return garbage.into_iter().for_each(|garbage| self.drop(garbage)),
        };
        let checked = match fault {
            Some(answer) => Err(message.fault(answer)),
            None => message.check(),
        };
        match (checked, message.start()) {
            (Ok(routing), StartLine::Request { .. }) => {
                let flow = way_back(flow, &routing.via);
                self.request(now, &Incoming { flow, message: &message, routing });
            }
            (Ok(routing), StartLine::Response { code, .. }) => {
                self.proxy.response(now, &Incoming { flow, message: &message, routing }, code);
            }
            (Err(fault), _) => self.wrong(flow, &message, fault),
        }
        self.notify(now);
    }

    /// A message of a stream came whose end can't be known: a request gets this answer, the rest is dropped.
    pub fn handle_wrong(&mut self, flow: Flow, bytes: &[u8], answer: Answer) {
        match whole(bytes, self.config.limits.message) {
            Ok((message, _)) => {
                let fault = message.fault(answer);
                self.wrong(flow, &message, fault);
            }
            Err(garbage) => garbage.into_iter().for_each(|garbage| self.drop(garbage)),
        }
    }

    /// A connection has ended.
    pub fn handle_closed(&mut self, now: Duration, flow: Flow) {
        self.registrar.closed(&flow, &mut self.proxy.out);
        // Who subscribes from behind an Edge or a Director keeps the connection with that, whatever becomes of ours.
        if !self.edges.are(&flow) {
            self.provisioning.closed(&flow);
            self.presence.closed(now, &flow);
        }
        self.edges.closed(&flow);
        self.proxy.closed(now, &flow);
        self.notify(now);
    }

    /// A connection to an address could not be made.
    pub fn handle_failed(&mut self, now: Duration, transport: Transport, remote: SocketAddr) {
        self.edge_failed(now, remote);
        self.proxy.unreachable(now, transport, remote);
        self.notify(now);
    }

    /// An administrator wants something.
    pub fn handle_request(&mut self, now: Duration, request: Request) {
        match request {
            Request::PutUser(user) => {
                let aor = user.aor.clone();
                self.switchboard.put_user(self.registrar.user(&aor), &user);
                self.registrar.put_user(user);
                self.provisioning.user_changed(now, &aor);
                self.presence.moved(now, &aor, &self.registrar);
            }
            Request::RemoveUser(aor) => {
                self.registrar.user(&aor).into_iter().for_each(|user| self.switchboard.remove_user(user));
                self.registrar.remove_user(&aor, &mut self.proxy.out);
                self.provisioning.user_removed(&aor);
                self.presence.user_removed(now, &aor, &mut self.proxy.out);
                self.letters.user_removed(&aor, &mut self.proxy.out);
            }
            Request::SetPlan { plan, version } => {
                self.proxy.records.set_plan(&plan);
                self.proxy.calls.bandwidth.set_plan(&plan);
                self.provisioning.plan_changed(now, plan, version);
            }
            Request::SetRoster { aor, roster } => {
                self.presence.set_roster(now, &aor, roster, &self.registrar);
            }
            Request::SetRules { aor, rules } => self.switchboard.set_rules(&aor, rules),
            Request::SetDialling { dialling, voicemail } => {
                self.switchboard.dialling = dialling;
                self.switchboard.voicemail = voicemail.map(Arc::from);
            }
            Request::SetHistory(history) => self.history = history,
            Request::SetRelays(relays) => self.provisioning.relays_changed(now, relays),
            Request::SetLockOut(lock_out) => self.registrar.set_lock_out(lock_out),
            Request::Unlock(aor) => self.registrar.unlock(&aor),
            Request::SetListeners(listeners) => self.proxy.ends = Ends::new(listeners, &self.config.domains),
            Request::Drain => self.drained = true,
        }
        self.notify(now);
    }

    /// Says whether what must be kept can be: not as long as saving fails. Meanwhile nothing is promised that would have to
    /// be kept (registrations, publications, messages for who is not there: 503), and all else goes on; messages that are delivered
    /// meanwhile are missing from histories.
    pub fn set_keeping(&mut self, keeping: bool) {
        self.proxy.keeping = keeping;
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.registrar.handle_timeout(now, &mut self.proxy.out);
        self.provisioning.handle_timeout(now, &self.registrar);
        self.presence.handle_timeout(now, &self.registrar, &mut self.proxy.out);
        self.letters.handle_timeout(now, &mut self.proxy.out);
        self.proxy.lapse(now);
        self.notify(now);
    }

    /// What is to be done next; call until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.proxy.out.pop_front()
    }

    /// What a bridge between a browser and a phone is to do; to be called until there is nothing left, before anything else
    /// is handled.
    pub fn poll_bridge(&mut self) -> Option<BridgeWish> {
        self.proxy.bridges.poll_wish()
    }

    /// What a bridge was asked for last.
    pub fn handle_bridged(&mut self, now: Duration, bridge: u64, made: Result<String, NotBridged>) {
        self.proxy.bridged(now, bridge, made);
        self.notify(now);
    }

    /// When to call [`FrontEnd::handle_timeout`], at the latest.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let events = [self.provisioning.poll_timeout(), self.presence.poll_timeout()];
        let others = [self.registrar.poll_timeout(), self.letters.poll_timeout(), self.proxy.next()];
        events.into_iter().chain(others).flatten().min()
    }

    /// How many contacts of a user are registered.
    pub fn contacts(&self, aor: &str) -> u64 {
        self.registrar.bindings(aor) as u64
    }

    /// Who is locked out of a user.
    pub fn locks(&self, now: Duration, aor: &str) -> Vec<Lock> {
        self.registrar.locks(now, aor)
    }

    /// How many sources are locked out of users.
    pub fn count_locks(&self, now: Duration) -> usize {
        self.registrar.count_locks(now)
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        let (users, registrations) = self.registrar.counts();
        let denied = self.registrar.denied().clone();
        let subscriptions = self.provisioning.len();
        let (watchers, publications) = self.presence.counts();
        let (letters, proxy) = (self.letters.len(), self.proxy.counts());
        Counts { users, registrations, subscriptions, watchers, publications, letters, denied, ..proxy }
    }

    /// The links between sites that have budgets, and what calls have reserved of them.
    pub fn links(&self) -> Vec<LinkUse> {
        self.proxy.calls.bandwidth.links().collect()
    }

    /// Sends what the packages have to tell, and tells them and the registrar what came of what was sent.
    fn notify(&mut self, now: Duration) {
        loop {
            if let Some(aor) = self.registrar.poll_moved() {
                self.presence.moved(now, &aor, &self.registrar);
                self.deliver(now, &aor);
            } else if let Some(notify) =
                self.provisioning.poll_notify().or_else(|| self.presence.poll_notify())
            {
                let to = self.still(notify.to);
                self.proxy.originate(now, Notify { to, ..notify });
            } else if let Some((id, cause)) = self.proxy.diverting.pop_front() {
                self.divert(now, id, cause);
            } else if let Some(binding) = self.proxy.unbound.pop_front() {
                self.registrar.unbind(&binding, &mut self.proxy.out);
            } else if let Some((subscription, code)) = self.proxy.notified.pop_front() {
                let (registrar, out) = (&mut self.registrar, &mut self.proxy.out);
                self.provisioning.notify_answered(now, &subscription, code, registrar, out);
                self.presence.notify_answered(now, &subscription, code);
                if let Some(aor) = self.letters.answered(&subscription, code, out) {
                    self.deliver(now, &aor);
                }
            } else {
                return;
            }
        }
    }

    /// A phone of a user may be there for what waits.
    fn deliver(&mut self, now: Duration, aor: &Arc<str>) {
        if !self.letters.wait_for(aor) {
            return;
        }
        let contacts = self.registrar.contacts(now, aor);
        if let Some(letter) = self.letters.post(aor, &contacts, &mut self.proxy.out) {
            self.proxy.originate(now, letter);
        }
    }

    fn wrong(&mut self, flow: Flow, message: &Message<&[u8]>, fault: Fault) {
        match fault {
            Fault::Answer(Answer { code, reason }) => {
                // Without a Via nobody could tell what the answer is to.
                let Some(via) = message.vias().next() else {
                    return self.proxy.counts.drop("sip_without_via");
                };
                let flow = via.map_or(flow, |via| way_back(flow, &via));
                self.proxy.refuse(flow, message, &Reply::new(code, reason))
            }
            Fault::Drop(garbage) => self.drop(garbage),
        }
    }

    fn drop(&mut self, garbage: Garbage) {
        self.proxy.counts.drop(garbage.counter());
    }

    fn request(&mut self, now: Duration, incoming: &Incoming<'_>) {
        self.proxy.counts.request(counter(incoming.method()));
        if incoming.method() == Method::Ack {
            return self.acknowledge(now, incoming);
        }
        if !self.proxy.keeping && self.is_unkeepable(incoming) {
            return;
        }
        let Err(key) = self.proxy.repeat(incoming) else { return };
        if incoming.method() == Method::Cancel {
            return self.proxy.cancel(now, incoming, key);
        }
        if let Err(reply) = self.begin(now, incoming, key) {
            self.proxy.refuse(incoming.flow, incoming.message, &reply);
        }
    }

    /// Deals with what would have to be kept while nothing can be: it is refused; if it came before, its answer may wait for
    /// the disk, and is not given now.
    fn is_unkeepable(&mut self, incoming: &Incoming<'_>) -> bool {
        let method = incoming.method();
        let kept = matches!(method, Method::Register | Method::Publish);
        let again = (kept || method == Method::Message) && self.proxy.knows(incoming);
        if kept && !again {
            self.proxy.refuse(incoming.flow, incoming.message, &unkept());
        }
        kept || again
    }

    fn acknowledge(&mut self, now: Duration, incoming: &Incoming<'_>) {
        if self.proxy.acknowledge(now, incoming) {
            return;
        }
        let way = route(&self.proxy.ends, &self.proxy.secret, incoming);
        let way = way.filter(|way| !self.is_over(now, incoming, way));
        match way.as_ref().and_then(|way| self.peer(now, way)) {
            Some(target) => {
                self.proxy.in_call(now, incoming);
                way.into_iter().for_each(|way| self.proxy.pass(incoming, &way, &target));
            }
            None if is_of_ours(&self.proxy.secret, incoming) => {}
            None => self.proxy.counts.drop("sip_stray_ack"),
        }
    }

    /// A request that is new: to us, or to be sent on.
    fn begin(&mut self, now: Duration, incoming: &Incoming<'_>, key: Key) -> Result<(), Reply> {
        let way = route(&self.proxy.ends, &self.proxy.secret, incoming)
            .ok_or(Reply::new(400, "Malformed Route"))?;
        if self.is_over(now, incoming, &way) {
            return Err(Reply::new(481, "Call/Transaction Does Not Exist"));
        }
        self.check_room(incoming, way.token.is_some())?;
        if way.token.is_none()
            && self.is_ours(incoming, &way.uri)
            && let Some(package) = Package::of(incoming.message)
            && let to = self.aor(incoming, &way.uri).unwrap_or_default()
            && !(package == Package::Presence && self.is_away(incoming, &to))
        {
            return self.event(now, incoming, (package, &to), key);
        }
        if way.token.is_none() && self.is_for_us(incoming, &way.uri) {
            return self.serve(now, incoming, key);
        }
        let path = self.check_passable(incoming, &way.uri)?;
        let (caller, course) = match way.token {
            Some(_) => self.within_dialog(now, incoming, &way)?,
            None => self.admitted(now, incoming, &way)?,
        };
        let remembered = self.remembered(now, incoming, &way, &caller, course.to.as_ref());
        if course.attempts.is_empty() {
            return self.keep(now, incoming, course.to, (key, remembered));
        }
        let begins = way.token.is_none() && incoming.is_invite();
        let call = begins.then(|| self.open_call(now, incoming, &caller)).map(|mut call| {
            call.meant.clone_from(&course.to);
            call
        });
        let asserted = self.assertion(incoming, &caller);
        let mut fork = Fork::new(incoming.message.bytes(), caller, path, course);
        (fork.call, fork.remembered, fork.asserted) = (call, remembered, asserted);
        self.proxy.begin(now, incoming, key, &way, fork);
        Ok(())
    }

    /// Who sends a request that begins something, and where it goes; of a call that goes nowhere there is a record.
    fn admitted(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
    ) -> Result<(Arc<str>, Course), Reply> {
        let caller = self.vouched(now, incoming, way)?;
        let course = self.admit(now, incoming, way, &caller);
        if let (Err(reply), true) = (&course, incoming.is_invite() && !incoming.has_dialog()) {
            let call = self.open_call(now, incoming, &caller);
            self.proxy.not_begun(now, &call, reply.answer.code);
        }
        Ok((caller, course?))
    }

    fn open_call(&mut self, now: Duration, invite: &Incoming<'_>, aor: &Arc<str>) -> Box<OpenCall> {
        let address = self.sender(invite).remote.ip();
        self.proxy.records.begin(now, &Caller { aor, address, invite })
    }
}

/// The answer to what can't be kept now.
pub(crate) fn unkept() -> Reply {
    Reply::new(503, "Cannot Be Stored Now").field("Retry-After", UNKEPT.as_secs().to_string())
}

/// Whether an ACK is for an answer that was given without keeping anything: then its To tag is ours.
fn is_of_ours(secret: &Secret, ack: &Incoming<'_>) -> bool {
    ack.routing.to.tag == Some(tag(secret, ack.message).as_bytes())
}

/// Under which name a method is counted.
fn counter(method: Method<'_>) -> &'static str {
    match method {
        Method::Invite => "INVITE",
        Method::Ack => "ACK",
        Method::Bye => "BYE",
        Method::Cancel => "CANCEL",
        Method::Register => "REGISTER",
        Method::Options => "OPTIONS",
        Method::Subscribe => "SUBSCRIBE",
        Method::Notify => "NOTIFY",
        Method::Message => "MESSAGE",
        Method::Info => "INFO",
        Method::Prack => "PRACK",
        Method::Update => "UPDATE",
        Method::Refer => "REFER",
        Method::Publish => "PUBLISH",
        Method::Service => "SERVICE",
        Method::Benotify => "BENOTIFY",
        Method::Other(_) => "other",
    }
}
