//! The Front End as a whole: what comes in is checked, told apart, and handed to the registrar or the proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{
    Answer, Fault, Flow, Framing, Garbage, Message, Method, StartLine, Transport, frame,
};

use crate::config::Config;
use crate::contract::{Binding, Output, Request};
use crate::counts::Counts;
use crate::incoming::{Incoming, tag, way_back};
use crate::provisioning::{self, Provisioning};
use crate::proxy::{Ends, Fork, Proxy, route};
use crate::registrar::{Registrar, Settings};
use crate::reply::Reply;
use crate::secret::Secret;
use crate::transaction::Key;
use crate::user::User;

/// How long a nonce is good for.
const NONCE: Duration = Duration::from_secs(300);

/// A SIP registrar and proxy without sockets.
pub struct FrontEnd {
    pub(crate) config: Config,
    pub(crate) registrar: Registrar,
    pub(crate) provisioning: Provisioning,
    pub(crate) proxy: Proxy,
    pub(crate) drained: bool,
}

impl FrontEnd {
    /// Begins with these users and with the bindings that were saved. The seed must be hard to guess; if it is the same
    /// as before a restart, calls that were up can still be ended properly.
    pub fn new(
        config: Config,
        users: Vec<User>,
        bindings: Vec<Binding>,
        seed: [u8; 32],
        now: Duration,
    ) -> FrontEnd {
        let settings = Settings {
            domains: config.domains.clone(),
            realm: config.realm.clone(),
            expires: config.expires.min..=config.expires.max,
            default_expires: config.expires.default,
            contacts: config.limits.contacts,
            nonce: NONCE,
        };
        let registrar = Registrar::new(settings, users, bindings, seed, now);
        let provisioning = Provisioning::new(Arc::clone(&config.plan), config.plan_version);
        let proxy = Proxy::new(&config, &seed, now);
        FrontEnd { config, registrar, provisioning, proxy, drained: false }
    }

    /// One message came, whole: a datagram, or what a stream was cut into.
    pub fn handle_input(&mut self, now: Duration, flow: Flow, bytes: &[u8]) {
        self.proxy.saw(flow);
        let (message, fault) = match frame(bytes, Transport::Udp, self.config.limits.message) {
            Framing::Message { message, .. } => (message, None),
            Framing::Wrong { message, answer } => (message, Some(answer)),
            Framing::Garbage(garbage) => return self.proxy.counts.drop(garbage.counter()),
            Framing::KeepAlive { .. } | Framing::More { .. } => return,
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
        match frame(bytes, Transport::Udp, self.config.limits.message) {
            Framing::Message { message, .. } | Framing::Wrong { message, .. } => {
                let fault = message.fault(answer);
                self.wrong(flow, &message, fault);
            }
            Framing::Garbage(garbage) => self.drop(garbage),
            Framing::KeepAlive { .. } | Framing::More { .. } => {}
        }
    }

    /// A connection has ended.
    pub fn handle_closed(&mut self, now: Duration, flow: Flow) {
        self.registrar.closed(&flow, &mut self.proxy.out);
        self.provisioning.closed(&flow);
        self.proxy.closed(now, &flow);
        self.notify(now);
    }

    /// A connection to an address could not be made.
    pub fn handle_failed(&mut self, now: Duration, transport: Transport, remote: SocketAddr) {
        self.proxy.unreachable(now, transport, remote);
        self.notify(now);
    }

    /// An administrator wants something.
    pub fn handle_request(&mut self, now: Duration, request: Request) {
        match request {
            Request::PutUser(user) => {
                let aor = user.aor.clone();
                self.registrar.put_user(user);
                self.provisioning.user_changed(now, &aor);
            }
            Request::RemoveUser(aor) => {
                self.registrar.remove_user(&aor, &mut self.proxy.out);
                self.provisioning.user_removed(&aor);
            }
            Request::SetPlan { plan, version } => self.provisioning.plan_changed(now, plan, version),
            Request::SetListeners(listeners) => self.proxy.ends = Ends::new(listeners, &self.config.domains),
            Request::Drain => self.drained = true,
        }
        self.notify(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.registrar.handle_timeout(now, &mut self.proxy.out);
        self.provisioning.handle_timeout(now, &self.registrar);
        self.proxy.lapse(now);
        self.notify(now);
    }

    /// What is to be done next; call until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.proxy.out.pop_front()
    }

    /// When to call [`FrontEnd::handle_timeout`], at the latest.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let provisioning = self.provisioning.poll_timeout();
        [self.registrar.poll_timeout(), provisioning, self.proxy.next()].into_iter().flatten().min()
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        let (users, registrations) = self.registrar.counts();
        let denied = self.registrar.denied().clone();
        let subscriptions = self.provisioning.len();
        Counts { users, registrations, subscriptions, denied, ..self.proxy.counts() }
    }

    /// Sends what the provisioning has to tell, and tells it what came of it.
    fn notify(&mut self, now: Duration) {
        loop {
            if let Some(notify) = self.provisioning.poll_notify() {
                self.proxy.originate(now, notify);
            } else if let Some((subscription, code)) = self.proxy.notified.pop_front() {
                let (registrar, out) = (&mut self.registrar, &mut self.proxy.out);
                self.provisioning.notify_answered(now, &subscription, code, registrar, out);
            } else {
                return;
            }
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
        let Err(key) = self.proxy.repeat(incoming) else { return };
        if incoming.method() == Method::Cancel {
            return self.proxy.cancel(now, incoming, key);
        }
        if let Err(reply) = self.begin(now, incoming, key) {
            self.proxy.refuse(incoming.flow, incoming.message, &reply);
        }
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
        if way.token.is_none() && self.is_for_us(incoming, &way.uri) {
            return self.serve(now, incoming, key);
        }
        if way.token.is_none()
            && provisioning::is_asked_for(incoming.message)
            && self.is_ours(incoming, &way.uri)
        {
            return self.provision(now, incoming, key);
        }
        let path = self.check_passable(incoming, &way.uri)?;
        let (caller, targets) = match way.token {
            Some(_) => self.within_dialog(now, incoming, &way)?,
            None => self.admit(now, incoming, &way)?,
        };
        let fork = Fork::new(incoming.message.bytes(), caller, path, targets);
        self.proxy.begin(now, incoming, key, &way, fork);
        Ok(())
    }
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
