//! Requests on their way to phones.

use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Answer, Flow, Message, Method, Name};

use super::branch::{Branch, path};
use super::budget::OVER_BUDGET;
use super::fork::{Attempt, Fork, Outcome, Target};
use super::forward::{self, Hop};
use super::route::{Route, route};
use super::token::Token;
use super::{Crossing, Path, Proxy};
use crate::contract::Destination;
use crate::events::Notify;
use crate::incoming::Incoming;
use crate::reply::Reply;
use crate::secret::usage;
use crate::transaction::{Client, Id, Key, Kind, Owner, Repeat, Server, key};

/// Where UDP messages begin to be cut into fragments (RFC 3261, 18.1.1).
const LARGE: usize = 1300;
/// What fits into a datagram of either family, with room to spare. More would be refused by the kernel, and that looks
/// as if the phone were gone.
pub(super) const DATAGRAM: usize = 65_000;
/// Breadth of a request that does not say (RFC 5393, 5.3.1).
const BREADTH: u32 = 60;

const TOO_BROAD: Answer = Answer { code: 440, reason: "Max-Breadth Exceeded" };
const INTERNAL: Answer = Answer { code: 500, reason: "Server Internal Error" };

/// A request that is sent on, and which way.
#[derive(Clone, Copy)]
pub(super) struct Passing<'a> {
    pub(super) incoming: &'a Incoming<'a>,
    way: &'a Route<'a>,
}

impl Proxy {
    /// Whether a request is of a transaction that is there.
    pub(crate) fn knows(&self, incoming: &Incoming<'_>) -> bool {
        self.keys.contains_key(&self.key_of(incoming))
    }

    /// The transaction key of a request, and whether it was one of a transaction that is there: then it has been dealt with.
    pub(crate) fn repeat(&mut self, incoming: &Incoming<'_>) -> Result<(), Key> {
        let key = self.key_of(incoming);
        let server = self.keys.get(&key).and_then(|id| self.servers.get(*id)).ok_or(key)?;
        let (flow, again) = (server.flow, server.repeat());
        let bytes = if let Repeat::Answer(reply) = again { Some(reply.to_vec()) } else { None };
        self.counts.absorbed += 1;
        if let Some(bytes) = bytes {
            self.transmit(Destination::Flow(flow), bytes);
        }
        Ok(())
    }

    fn key_of(&self, incoming: &Incoming<'_>) -> Key {
        let kind = if incoming.is_invite() { Kind::Invite } else { Kind::Other(incoming.method()) };
        key(&self.secret, &incoming.routing, kind)
    }

    /// An ACK; `false` if no answer of ours is meant by it, so that it is to be sent on.
    pub(crate) fn acknowledge(&mut self, now: Duration, incoming: &Incoming<'_>) -> bool {
        let key = key(&self.secret, &incoming.routing, Kind::Invite);
        let Some(id) = self.keys.get(&key).copied() else { return false };
        let absorbed = self.servers.get_mut(id).is_some_and(|server| server.acknowledge(now));
        self.settle_server(now, id);
        absorbed
    }

    /// A CANCEL: 200, and whoever is still being asked is asked no longer (RFC 3261, 16.10).
    pub(crate) fn cancel(&mut self, now: Duration, incoming: &Incoming<'_>, own: Key) {
        let invite = key(&self.secret, &incoming.routing, Kind::Invite);
        let known = self.keys.get(&invite).and_then(|id| Some((*id, self.servers.get(*id)?.flow)));
        let same_host = |(_, flow): &(Id, Flow)| flow.remote.ip() == incoming.flow.remote.ip();
        let Some((id, _)) = known.filter(same_host) else {
            let reply = Reply::new(481, "Call/Transaction Does Not Exist");
            return self.refuse(incoming.flow, incoming.message, &reply);
        };
        self.answer(now, incoming, own, &Reply::new(200, "OK"));
        self.give_up(now, id, incoming.message.get(Name::Reason));
    }

    /// The caller does not wait any longer.
    pub(super) fn give_up(&mut self, now: Duration, id: Id, reason: Option<&[u8]>) {
        let Some(fork) = self.servers.get_mut(id).and_then(|server| server.work.as_mut()) else { return };
        fork.cancelled = true;
        fork.stop();
        let branches = fork.branches.clone();
        self.cancel_branches(now, &branches, reason);
    }

    /// Begins to send a request to its targets.
    pub(crate) fn begin(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        key: Key,
        way: &Route<'_>,
        fork: Fork,
    ) {
        let weight = fork.weight();
        fork.call.iter().for_each(|call| self.record(call, None));
        self.held += weight;
        let mut server = Server::new(key, incoming.flow, incoming.is_invite()).holding(weight);
        let hunt = fork.hunt.as_ref();
        server.alarm = hunt.and_then(|hunt| hunt.patience).map(|patience| now + patience);
        let forwarded = hunt.is_some_and(|hunt| hunt.is_diverted());
        let id = self.servers.insert(server);
        self.keys.insert(key, id);
        if incoming.is_invite() {
            if incoming.flow.transport.is_stream() {
                self.asking.insert((incoming.flow.id, id.place()));
            }
            let bytes =
                crate::incoming::answer(incoming.message, &incoming.flow, "", &Reply::new(100, "Trying"));
            self.counts.answer(100);
            self.give(now, id, 100, bytes);
        }
        if forwarded {
            self.tell_forwarded(now, id, incoming);
        }
        self.launch(now, id, Box::new(fork), incoming, way);
    }

    /// Goes on with the targets that are next, or ends with the best that came.
    pub(super) fn advance(&mut self, now: Duration, id: Id) {
        self.resume(id, |proxy, fork, incoming, way| proxy.launch(now, id, fork, incoming, way));
    }

    /// A way has failed: the next one to the same, if there is one and somebody still waits. Whether it was taken.
    pub(super) fn try_other(&mut self, now: Duration, id: Id, tried: &Attempt) -> bool {
        tried.other().is_some_and(|other| self.try_again(now, id, &other))
    }

    /// A branch has failed: another one stands for it, if somebody still waits. Whether it was begun.
    pub(super) fn try_again(&mut self, now: Duration, id: Id, other: &Attempt) -> bool {
        let mut taken = false;
        self.resume(id, |proxy, mut fork, incoming, way| {
            if !fork.cancelled {
                let request = Passing { incoming, way };
                let sent = proxy.send_first(now, id, &mut fork, request, other.clone());
                taken = sent.is_ok();
                // It stands for the one that has failed, which is open no longer.
                fork.branches.extend(sent);
            }
            if let Some(server) = proxy.servers.get_mut(id) {
                server.work = Some(fork);
            }
        });
        taken
    }

    /// Goes on with a request that was kept.
    pub(super) fn resume(
        &mut self,
        id: Id,
        go_on: impl FnOnce(&mut Proxy, Box<Fork>, &Incoming<'_>, &Route<'_>),
    ) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let flow = server.flow;
        let Some(mut fork) = server.work.take() else { return };
        let mut request = std::mem::take(&mut fork.request);
        if let Ok(message) = Message::parse(&*request)
            && let Ok(routing) = message.routing()
        {
            let incoming = Incoming { flow, message: &message, routing };
            if let Some(way) = route(&self.ends, &self.secret, &incoming) {
                go_on(self, fork, &incoming, &way);
            }
        }
        let fork = self.servers.get_mut(id).and_then(|server| server.work.as_mut());
        fork.into_iter().for_each(|fork| fork.request = std::mem::take(&mut request));
    }

    pub(super) fn launch(
        &mut self,
        now: Duration,
        id: Id,
        mut fork: Box<Fork>,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
    ) {
        while fork.open == 0 {
            let group = fork.group();
            if group.is_empty()
                && let Some(cause) = fork.cause()
            {
                self.diverting.push_back((id, cause));
                break;
            }
            if group.is_empty() {
                return self.finish(now, id, fork, incoming);
            }
            let Some(breadth) = share(incoming, group.len()) else {
                fork.failed(TOO_BROAD);
                continue;
            };
            for attempt in group {
                let attempt = Attempt { breadth, ..attempt };
                match self.send_first(now, id, &mut fork, Passing { incoming, way }, attempt) {
                    Ok(client) => {
                        fork.branches.push(client);
                        fork.open += 1;
                    }
                    Err(answer) => fork.failed(answer),
                }
            }
        }
        if let Some(server) = self.servers.get_mut(id) {
            server.work = Some(fork);
        }
    }

    /// Sends the request by the first way to a target that there is.
    fn send_first(
        &mut self,
        now: Duration,
        owner: Id,
        fork: &mut Fork,
        request: Passing<'_>,
        mut attempt: Attempt,
    ) -> Result<Id, Answer> {
        loop {
            let sent = self.send(now, owner, fork, request, &attempt);
            match attempt.other().filter(|_| sent.is_err()) {
                Some(other) => attempt = other,
                None => return sent,
            }
        }
    }

    /// Sends the request to one target, as a transaction.
    fn send(
        &mut self,
        now: Duration,
        owner: Id,
        fork: &mut Fork,
        request: Passing<'_>,
        attempt: &Attempt,
    ) -> Result<Id, Answer> {
        let target = &attempt.target;
        let to = self.way(target).ok_or(target.failure())?;
        if !self.has_room(true) {
            return Err(Answer { code: 503, reason: "Service Unavailable" });
        }
        let crossing = self.crossing(request.incoming, attempt, &to);
        let sent = self.send_by(now, owner, fork, request, attempt, (to, crossing));
        if sent.is_err() {
            self.bridges.not_begun(crossing);
        }
        sent
    }

    /// The same by this way, which may lead over a bridge.
    fn send_by(
        &mut self,
        now: Duration,
        owner: Id,
        fork: &mut Fork,
        request: Passing<'_>,
        attempt: &Attempt,
        (to, crossing): (Destination, Option<Crossing>),
    ) -> Result<Id, Answer> {
        let target = &attempt.target;
        let body = match self.meanwhile(fork, request.incoming)? {
            Some(body) => Some(body),
            None => self.reserve(owner, fork, request.incoming, target, crossing)?,
        };
        let nonce = self.nonce();
        let mut client = Client::new(now, nonce, to, request.incoming.is_invite());
        client.owner = Owner::Request(owner);
        client.tried = target.is_worth_keeping().then(|| Box::new(attempt.clone()));
        let id = self.clients.insert(client);
        let branch = Branch { place: Some(id.place()), nonce, path: fork.path };
        let record = self.records(now, request.incoming, &fork.caller, target);
        let asserted =
            fork.asserted.as_deref().filter(|_| matches!(target, Target::Edge(..))).map(str::as_bytes);
        let Some(bytes) = self.leaving(request, attempt, &to, branch, (record, asserted), body.as_deref())
        else {
            self.clients.remove(id);
            return Err(INTERNAL);
        };
        if !to.transport().is_stream() && bytes.len() > DATAGRAM {
            self.clients.remove(id);
            return Err(Answer::TOO_LARGE);
        }
        self.counts.forwarded += 1;
        if !self.crosses(id, crossing, attempt, &bytes) {
            self.dispatch(now, id, bytes);
        }
        Ok(id)
    }

    /// Sends a NOTIFY of our own, which has no Via yet.
    pub(crate) fn originate(&mut self, now: Duration, notify: Notify) {
        let Notify { subscription, to, bytes } = notify;
        let nonce = self.nonce();
        let mut client = Client::new(now, nonce, to, false);
        client.owner = Owner::Subscription(Arc::clone(&subscription));
        let id = self.clients.insert(client);
        let branch = Branch { place: Some(id.place()), nonce, path: 0 };
        let via = self.via(&to, branch).filter(|_| self.can_reach(&to));
        let bytes = via.and_then(|via| forward::with_via(&bytes, &via));
        let Some(bytes) = bytes.filter(|bytes| to.transport().is_stream() || bytes.len() <= DATAGRAM) else {
            self.clients.remove(id);
            return self.notified.push_back((subscription, 503));
        };
        self.dispatch(now, id, bytes);
    }

    /// The bytes of a client transaction leave.
    pub(super) fn dispatch(&mut self, now: Duration, id: Id, bytes: Vec<u8>) {
        let Some(client) = self.clients.get_mut(id) else { return };
        client.send(&bytes);
        let to = client.to;
        self.waiting.insert((Path::of(&to), id.place()));
        self.settle_client(now, id);
        self.counts.large += u64::from(!to.transport().is_stream() && bytes.len() > LARGE);
        self.transmit(to, bytes);
    }

    fn via(&self, to: &Destination, branch: Branch) -> Option<String> {
        let end = self.ends.towards(to)?;
        let (transport, place) = (to.transport(), &end.listener.advertised);
        Some(format!("SIP/2.0/{transport} {place};rport;branch={}", branch.text()))
    }

    /// Sends an ACK on to the other side of its dialog, without a transaction (RFC 3261, 16.11).
    pub(crate) fn pass(&mut self, incoming: &Incoming<'_>, way: &Route<'_>, target: &Target) {
        let to = self.way(target).filter(|_| incoming.routing.max_forwards != Some(0));
        let Some(to) = to else { return self.counts.drop("sip_stray_ack") };
        let nonce = self.secret.hash(usage::ACK, &[incoming.routing.via.raw, incoming.routing.call_id]);
        let branch = Branch { place: None, nonce, path: path(&self.secret, incoming) };
        let attempt = Attempt::new(target.clone());
        if let Some(bytes) =
            self.leaving(Passing { incoming, way }, &attempt, &to, branch, (None, None), None)
        {
            self.counts.forwarded += 1;
            if !self.ack_crosses(incoming, to, &bytes) {
                self.transmit(to, bytes);
            }
        }
    }

    /// The bytes that leave.
    fn leaving(
        &self,
        request: Passing<'_>,
        attempt: &Attempt,
        to: &Destination,
        branch: Branch,
        (record, asserted): (Option<[String; 2]>, Option<&[u8]>),
        body: Option<&[u8]>,
    ) -> Option<Vec<u8>> {
        let Attempt { target, told, breadth, .. } = attempt;
        let uri = target.uri(told.as_deref());
        let path = if let Target::Contact(binding, _) = target { binding.path.as_slice() } else { &[] };
        let history = told.as_ref().map_or(&[][..], |told| &told.history);
        let (via, uri) = (self.via(to, branch)?, uri.as_deref().map(str::as_bytes));
        let hop = Hop {
            via,
            uri,
            path,
            record: record.into_iter().flatten().collect(),
            crossed: None,
            asserted,
            breadth: *breadth,
            history,
            realm: &self.realm,
            body,
        };
        forward::request(request.incoming, request.way, &hop).ok()
    }

    /// Our Record-Route entries for a request that may begin a dialog: one for each side, so that what comes later leaves on
    /// the flow of the phone it is for, whichever side speaks (RFC 5626, 5.3; RFC 5658).
    fn records(
        &self,
        now: Duration,
        incoming: &Incoming<'_>,
        caller: &str,
        target: &Target,
    ) -> Option<[String; 2]> {
        let begins = matches!(incoming.method(), Method::Invite | Method::Subscribe | Method::Refer);
        if !begins {
            return None;
        }
        let entry = |flow: Flow, aor: &str| {
            let end = self.ends.of(&flow)?;
            let tag = incoming.routing.from.tag.unwrap_or_default();
            let token = Token::new(now, flow, aor).seal(&self.secret, incoming.routing.call_id, tag);
            Some(format!("<sip:{token}{}>", end.uri))
        };
        Some([entry(target.flow()?, target.aor())?, entry(incoming.flow, caller)?])
    }

    /// Cancels what has not ended of these branches.
    pub(super) fn cancel_branches(&mut self, now: Duration, branches: &[Id], reason: Option<&[u8]>) {
        for id in branches {
            self.cancel_branch(now, *id, reason);
        }
    }

    pub(super) fn cancel_branch(&mut self, now: Duration, id: Id, reason: Option<&[u8]>) {
        let Some(client) = self.clients.get_mut(id).filter(|client| client.is_open()) else { return };
        if !client.may_cancel(reason) {
            return;
        }
        let to = client.to;
        let Some(bytes) = forward::cancel(client.sent(), reason) else { return self.gone(now, id, None) };
        let mut cancel = Client::new(now, client.nonce, to, false);
        cancel.send(&bytes);
        let kept = (!to.transport().is_stream()).then(|| self.clients.insert(cancel));
        self.clients.get_mut(id).into_iter().for_each(|client| client.cancelled(now, kept));
        kept.into_iter().for_each(|cancel| self.settle_client(now, cancel));
        self.settle_client(now, id);
        self.transmit(to, bytes);
    }

    /// The final answer of a request whose branches have all ended.
    fn finish(&mut self, now: Duration, id: Id, mut fork: Box<Fork>, incoming: &Incoming<'_>) {
        let outcome = fork.outcome();
        let is_own = !matches!(outcome, Some((Outcome::Answered(..), _)));
        if let (Some((Outcome::Failed(OVER_BUDGET), _)), Some(link)) = (&outcome, fork.full.take()) {
            self.refused_for(&link, &mut fork, incoming);
        }
        let (code, bytes) = match outcome {
            Some((Outcome::Answered(code, bytes), challenges)) => (code, with(bytes, &challenges)),
            // Nobody is told that a request other than INVITE timed out: the one who asked knows (RFC 4320, 4.2).
            Some((Outcome::Failed(answer), _)) if !incoming.is_invite() && answer.code == 408 => {
                return self.end_server(id);
            }
            Some((Outcome::Failed(answer), _)) => self.own(&fork, incoming, answer),
            None => self.own(&fork, incoming, INTERNAL),
        };
        if let Some(call) = fork.call.take() {
            let end = call.refused(now, code, fork.cancelled, is_own);
            self.record(&call, Some(end));
        }
        self.give(now, id, code, bytes);
    }

    fn own(&mut self, fork: &Fork, incoming: &Incoming<'_>, answer: Answer) -> (u16, Vec<u8>) {
        let answer = match fork.cancelled {
            true => Answer { code: 487, reason: "Request Terminated" },
            false => answer,
        };
        let tag = crate::incoming::tag(&self.secret, incoming.message);
        let reply = match answer {
            OVER_BUDGET => self.over_budget(incoming),
            answer => Reply::new(answer.code, answer.reason),
        };
        self.counts.answer(answer.code);
        (answer.code, crate::incoming::answer(incoming.message, &incoming.flow, &tag, &reply))
    }
}

/// The answer as it goes on: with the challenges of all branches (RFC 3261, 16.7, step 7), and no 503, which would keep the
/// caller away from us (step 6).
fn with(bytes: Vec<u8>, challenges: &[(Name, Vec<u8>)]) -> Vec<u8> {
    let added = |message: &Message<&[u8]>| {
        let mut edits = carillon_wire::sip::Edits::new(message);
        if message.status() == Some(503) {
            edits.start_line(b"SIP/2.0 500 Server Internal Error").ok()?;
        }
        for (name, value) in
            challenges.iter().filter(|(name, value)| !message.all(*name).any(|own| own == value))
        {
            edits.append(name.as_str().as_bytes(), value).ok()?;
        }
        edits.finish().ok()
    };
    let message = Message::parse(bytes.as_slice());
    message.ok().and_then(|message| added(&message)).unwrap_or(bytes)
}

/// The breadth that each of some branches gets; nothing is said to a single one. `None` if there is not enough.
fn share(incoming: &Incoming<'_>, branches: usize) -> Option<Option<u32>> {
    if branches < 2 {
        return Some(None);
    }
    let said = incoming.message.named("Max-Breadth").next();
    let read = said.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    let share = read.unwrap_or(BREADTH) / branches as u32;
    (share > 0).then_some(Some(share))
}
