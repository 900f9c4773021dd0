//! Carillon's own user agent as a state machine: signs in, is provisioned, makes and takes calls.
//!
//! Session descriptions come from outside, and media is elsewhere. Not served, and refused honestly: session timers
//! and reliable provisional answers (420 if required), UPDATE, INFO, REFER (405).

mod call;
mod client;
mod contract;
mod dialog;
mod keyring;
mod line;
mod publication;
mod registration;
mod server;
mod subscription;
mod timer;
mod token;

pub use contract::{CallKey, Ending, Event, Output, Password, Recovery, Refusal, Request, Settings};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::sip::{self, Decoded, Flow, Limits, Message, Method, Name, Routing, Transport};

use call::Call;
use client::Owner;
use dialog::{Dialog, text};
use line::{Answered, Asked, Line, Reply};
use registration::Registration;
use server::Key;
use subscription::Subscription;

/// A user agent. Drive it like the Front End: one input, then [`Agent::poll_output`] until it is empty, and come back
/// no later than [`Agent::poll_timeout`] says.
pub struct Agent {
    line: Line,
    registration: Registration,
    subscription: Subscription,
    calls: BTreeMap<CallKey, Call>,
    next_call: u64,
}

impl Agent {
    /// An agent that does nothing yet. The seed must be secret and never be used a second time.
    pub fn new(settings: Settings, seed: [u8; 32]) -> Agent {
        let mut line = Line::new(settings, seed);
        let registration = Registration::new(&mut line);
        let subscription = Subscription::default();
        Agent { line, registration, subscription, calls: BTreeMap::new(), next_call: 0 }
    }

    /// One framed message. What cannot be read, or does not come from the server, is dropped.
    pub fn handle_input(&mut self, now: Duration, flow: Flow, bytes: &[u8]) {
        if flow.remote != self.line.settings.server {
            return;
        }
        match sip::decode(bytes, Limits::default()) {
            Decoded::Valid(message) if message.status().is_some() => {
                if let Some(answered) = self.line.answered(now, &message) {
                    self.answered(now, &answered);
                }
            }
            Decoded::Valid(message) => self.request(now, flow, &message),
            Decoded::Wrong(message, answer) => self.line.refuse(flow, &message, answer),
            Decoded::Garbage(_) | Decoded::KeepAlive => {}
        }
        self.calls.retain(|_, call| !call.is_over());
    }

    /// A connection ended. Calls go on: their media needs no connection to the server.
    pub fn handle_closed(&mut self, now: Duration, flow: Flow) {
        if flow.remote == self.line.settings.server {
            self.disconnected(now);
        }
    }

    /// A connection could not be made.
    pub fn handle_failed(&mut self, now: Duration, transport: Transport, remote: SocketAddr) {
        if (transport, remote) == (self.line.settings.transport, self.line.settings.server) {
            self.disconnected(now);
        }
    }

    /// The user wants something. What concerns a call that is over does nothing.
    pub fn handle_request(&mut self, now: Duration, request: Request) {
        match request {
            Request::SignIn => self.registration.sign_in(now, &mut self.line),
            Request::SignOut => self.registration.sign_out(now, &mut self.line),
            Request::Call { to, offer } => self.call(now, &to, offer),
            Request::Ring(call) => self.with(call, |call, line| call.ring(now, line)),
            Request::Answer { call, sdp } => self.with(call, |call, line| call.answer(now, line, sdp)),
            Request::Reject { call, code, warning } => {
                self.with(call, |call, line| call.reject(now, line, code, warning.as_deref()));
            }
            Request::HangUp(call) => self.with(call, |call, line| call.hang_up(now, line)),
            Request::Publish { event, kind, document } => {
                let route = &self.registration.service_route;
                publication::publish(now, &mut self.line, route, event, kind, document);
            }
        }
        self.calls.retain(|_, call| !call.is_over());
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        let (unanswered, unconfirmed) = self.line.handle_timeout(now);
        for answered in unanswered {
            self.answered(now, &answered);
        }
        for key in unconfirmed {
            for call in self.calls.values_mut() {
                call.unconfirmed(now, &mut self.line, &key);
            }
        }
        self.registration.handle_timeout(now, &mut self.line);
        self.subscription.handle_timeout(now, &mut self.line);
        self.calls.retain(|_, call| !call.is_over());
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.line.out.pop_front()
    }

    /// When [`Agent::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Duration> {
        [self.line.next(), self.registration.next(), self.subscription.next()].into_iter().flatten().min()
    }

    fn with(&mut self, key: CallKey, work: impl FnOnce(&mut Call, &mut Line)) {
        if let Some(call) = self.calls.get_mut(&key) {
            work(call, &mut self.line);
        }
    }

    fn new_key(&mut self) -> CallKey {
        self.next_call += 1;
        CallKey(self.next_call)
    }

    fn call(&mut self, now: Duration, to: &str, offer: Vec<u8>) {
        let key = self.new_key();
        let to = if to.starts_with("sip:") || to.starts_with("sips:") {
            to.to_owned()
        } else {
            format!("sip:{to}")
        };
        let route = &self.registration.service_route;
        match Call::make(now, &mut self.line, key, &to, route, offer) {
            Some(call) => _ = self.calls.insert(key, call),
            None => {
                let why = Refusal { code: 400, reason: "Cannot Be Sent".to_owned(), warning: None };
                self.line.event(Event::Ended { call: key, why: Ending::Refused(why) });
            }
        }
    }

    fn disconnected(&mut self, now: Duration) {
        for answered in self.line.handle_closed() {
            self.answered(now, &answered);
        }
        self.registration.closed(now, &mut self.line);
        self.calls.retain(|_, call| !call.is_over());
    }

    fn answered(&mut self, now: Duration, answered: &Answered<'_>) {
        match answered.owner {
            Owner::Registration => {
                let held = self.registration.answered(now, &mut self.line, answered);
                if held && self.line.settings.provisioning {
                    self.subscription.ask(now, &mut self.line, &self.registration.service_route);
                }
            }
            Owner::Subscription => self.subscription.answered(now, &mut self.line, answered),
            Owner::Call(key) => self.with(key, |call, line| call.answered(now, line, answered)),
            Owner::Publication => publication::answered(now, &mut self.line, answered),
            Owner::Nobody => {}
        }
    }

    fn request(&mut self, now: Duration, flow: Flow, message: &Message<&[u8]>) {
        let Ok(routing) = message.routing() else { return };
        if routing.cseq.method == Method::Ack {
            return self.ack(now, message, &routing);
        }
        let Some(asked) = self.line.arrive(flow, message, &routing) else { return };
        if routing.cseq.method == Method::Cancel {
            return self.cancel(now, &asked, &routing);
        }
        let required: Vec<String> = message.values(Name::Require).map(text).collect();
        if !required.is_empty() {
            let tag = self.line.tokens.text();
            let reply = Reply::new(420, "Bad Extension", &tag).field("Unsupported", required.join(", "));
            return self.line.respond(now, &asked, reply);
        }
        match routing.to.tag {
            Some(_) => self.within(now, asked, &routing),
            None => self.without(now, asked, &routing),
        }
    }

    /// An ACK has the branch of the INVITE that was refused, or the dialog of the one that was accepted.
    fn ack(&mut self, now: Duration, message: &Message<&[u8]>, routing: &Routing<'_>) {
        self.line.confirmed(&Key::of(routing));
        if let Some(call) = self.calls.values_mut().find(|call| call.holds(routing)) {
            call.acked(now, &mut self.line, message);
        }
    }

    fn cancel(&mut self, now: Duration, asked: &Asked, routing: &Routing<'_>) {
        let key = Key::of_invite(routing);
        let found = self.calls.values_mut().find_map(|call| {
            let tag = call.is_asked(&key)?.to_owned();
            Some((call, tag))
        });
        match found {
            Some((call, tag)) => {
                self.line.respond(now, asked, Reply::new(200, "OK", &tag));
                call.cancelled(now, &mut self.line, asked.message.get(Name::Reason).map(text));
            }
            None => self.unknown(now, asked),
        }
    }

    /// A request with a To tag: part of something.
    fn within(&mut self, now: Duration, asked: Box<Asked>, routing: &Routing<'_>) {
        if let Some(call) = self.calls.values_mut().find(|call| call.holds(routing)) {
            return call.asked(now, &mut self.line, asked, routing);
        }
        let notify = routing.cseq.method == Method::Notify;
        if !(notify && self.subscription.notified(now, &mut self.line, &asked, routing)) {
            self.unknown(now, &asked);
        }
    }

    /// A request without a To tag: something new.
    fn without(&mut self, now: Duration, asked: Box<Asked>, routing: &Routing<'_>) {
        let tag = self.line.tokens.text();
        match routing.cseq.method {
            Method::Invite => self.invite(now, asked, routing),
            Method::Options => self.line.respond(now, &asked, call::capabilities(&tag)),
            Method::Bye | Method::Notify => self.unknown(now, &asked),
            _ => self.line.respond(now, &asked, call::not_allowed(&tag)),
        }
    }

    fn invite(&mut self, now: Duration, asked: Box<Asked>, routing: &Routing<'_>) {
        let refusal = if self.calls.values().any(|call| call.merges(routing)) {
            Some((482, "Loop Detected"))
        } else if self.calls.len() >= self.line.settings.calls {
            Some((486, "Busy Here"))
        } else if !asked.message.body().is_empty() && asked.message.sdp().is_none() {
            Some((415, "Unsupported Media Type"))
        } else {
            None
        };
        let tag = self.line.tokens.text();
        if let Some((code, reason)) = refusal {
            let reply = Reply::new(code, reason, &tag).field("Accept", "application/sdp");
            return self.line.respond(now, &asked, reply);
        }
        match Dialog::incoming(&mut self.line.tokens, &asked.message, routing) {
            Some(dialog) => {
                let key = self.new_key();
                let call = Call::take(&mut self.line, key, asked, dialog);
                self.calls.insert(key, call);
            }
            None => self.line.respond(now, &asked, Reply::new(400, "Missing Contact", &tag)),
        }
    }

    fn unknown(&mut self, now: Duration, asked: &Asked) {
        let tag = self.line.tokens.text();
        self.line.respond(now, asked, Reply::new(481, "Call/Transaction Does Not Exist", &tag));
    }
}
