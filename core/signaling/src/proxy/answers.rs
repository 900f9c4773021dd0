//! Answers on their way back.

use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Answer, Method};

use super::branch::Branch;
use super::forward;
use super::{Attempt, Crossing, Proxy, Target};
use crate::calls;
use crate::contract::Output;
use crate::incoming::Incoming;
use crate::records::{End, Ending, OpenCall};
use crate::transaction::{Cancel, Heard, Id, Owner};

const ELSEWHERE: &[u8] = b"SIP;cause=200;text=\"Call completed elsewhere\"";

impl Proxy {
    /// A response came.
    pub(crate) fn response(&mut self, now: Duration, incoming: &Incoming<'_>, code: u16) {
        self.counts.response(code);
        let Some(asked) = self.asked(incoming) else { return self.counts.drop("sip_stray_response") };
        let Some((id, client)) = asked.and_then(|id| Some((id, self.clients.get_mut(id)?))) else { return };
        let (heard, owner, crossing) = (client.hear(now, code), client.owner.clone(), client.crossing);
        let wants_keys = code == 488 && crossing.is_some_and(Crossing::may_want_keys);
        let tried = client.tried.take_if(|tried| wants_keys && !tried.keys || tried.target.has_failed(code));
        match heard {
            Heard::Pass | Heard::Refused => {
                if (101..200).contains(&code) {
                    self.begins_early(id, incoming);
                }
                if heard == Heard::Refused {
                    self.refused(id, incoming);
                }
                self.settle_client(now, id);
                self.wanted(now, id);
                if !tried.is_some_and(|tried| self.went_elsewhere(now, &owner, &tried, code)) {
                    self.report(now, owner, incoming, (code, crossing));
                }
            }
            Heard::AckAgain => {
                self.counts.absorbed += 1;
                let (to, ack) = (client.to, client.sent().to_vec());
                self.transmit(to, ack);
            }
            Heard::Absorb => self.counts.absorbed += 1,
        }
    }

    /// The client transaction that a response answers (RFC 3261, 17.1.3); none inside if it is for a CANCEL of ours on a
    /// connection, where nothing waits for it.
    fn asked(&self, incoming: &Incoming<'_>) -> Option<Option<Id>> {
        let branch = Branch::parse(incoming.routing.via.branch?)?;
        let (id, client) = self.clients.at(branch.place?)?;
        if client.nonce != branch.nonce {
            return None;
        }
        match (incoming.method(), &client.cancel) {
            (Method::Cancel, Cancel::Sent(cancel)) => Some(*cancel),
            (Method::Cancel, _) => None,
            (Method::Invite, _) => client.is_invite().then_some(Some(id)),
            _ => (!client.is_invite()).then_some(Some(id)),
        }
    }

    /// Acknowledges a final answer other than 2xx to an INVITE.
    fn refused(&mut self, id: Id, incoming: &Incoming<'_>) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let crossing = client.crossing;
        let Some(ack) = forward::ack(client.sent(), incoming.message) else { return };
        client.acknowledged(&ack);
        let to = client.to;
        self.transmit(to, ack);
        self.bridges.branch_ended(crossing);
    }

    /// A CANCEL that had to wait for a sign that the INVITE arrived.
    fn wanted(&mut self, now: Duration, id: Id) {
        if let Some(Cancel::Wanted(reason)) = self.clients.get(id).map(|client| client.cancel.clone()) {
            self.cancel_branch(now, id, reason.as_deref());
        }
    }

    /// A way has failed by this answer: whether the request was sent by another one.
    fn went_elsewhere(&mut self, now: Duration, owner: &Owner, tried: &Attempt, code: u16) -> bool {
        if let (430, Target::Contact(binding, _)) = (code, &tried.target)
            && !binding.path.is_empty()
        {
            self.unbound.push_back(Arc::clone(binding));
        }
        let Owner::Request(owner) = owner else { return false };
        match code {
            // Only a phone behind a bridge is kept for that: RTP with keys beside it was not what it wanted.
            488 => self.try_again(now, *owner, &Attempt { keys: true, ..tried.clone() }),
            _ => self.try_other(now, *owner, tried),
        }
    }

    fn report(
        &mut self,
        now: Duration,
        owner: Owner,
        incoming: &Incoming<'_>,
        (code, crossing): (u16, Option<Crossing>),
    ) {
        let news = (code, crossing);
        match owner {
            Owner::Nobody => {}
            Owner::Request(owner) => self.news(now, owner, incoming, news),
            Owner::Former(owner) if (200..300).contains(&code) => self.news(now, owner, incoming, news),
            Owner::Former(_) => {}
            Owner::Subscription(_) if code < 200 => {}
            Owner::Subscription(subscription) => self.notified.push_back((subscription, code)),
        }
    }

    /// What an answer means for the request that it is for (RFC 3261, 16.7).
    fn news(
        &mut self,
        now: Duration,
        owner: Id,
        incoming: &Incoming<'_>,
        (code, crossing): (u16, Option<Crossing>),
    ) {
        let Some(server) = self.servers.get_mut(owner) else { return };
        match code {
            100 => {}
            101..200 if server.is_answered() => {}
            101..200 => {
                let call = server.work.as_mut().and_then(|fork| fork.call.as_mut());
                call.into_iter().for_each(|call| call.progresses(now, code, incoming.message));
                self.relay(now, owner, incoming, (code, crossing));
            }
            200..300 => self.accepted(now, owner, incoming, (code, crossing)),
            _ => self.rejected(now, owner, incoming, code),
        }
    }

    /// A 2xx: the first one ends the search; to an INVITE each further one is passed on too.
    fn accepted(&mut self, now: Duration, owner: Id, incoming: &Incoming<'_>, news: (u16, Option<Crossing>)) {
        let Some(server) = self.servers.get_mut(owner) else { return };
        let (answered, mut work, caller) = (server.is_answered(), server.work.take(), server.flow);
        if answered && !incoming.is_invite() {
            return;
        }
        let remembered = work.as_mut().map(|fork| std::mem::take(&mut fork.remembered));
        // Before the answer, which promises it. While nothing can be saved the message is delivered all the same.
        self.out.extend(remembered.into_iter().flatten().filter(|_| self.keeping).map(Output::Save));
        // One INVITE makes one call: a phone that answers with ever new tags must not fill the table. Whether there is one is
        // known before the answer passes: a bridge stays with its call, or not at all.
        if incoming.is_invite() && !answered {
            let mut call = work.as_mut().and_then(|fork| fork.call.take());
            if let (Some(call), Some(hunt)) = (&mut call, work.as_ref().and_then(|fork| fork.hunt.as_ref())) {
                call.meant = Some(Arc::clone(&hunt.to));
            }
            self.call_answered(now, incoming, call);
            // A caller from elsewhere proves nothing, but one of our users talks with it.
            self.out.extend(caller.transport.is_stream().then_some(Output::Trust(caller)));
        }
        self.relay(now, owner, incoming, news);
        if matches!(incoming.method(), Method::Invite | Method::Update)
            && let Some(link) = self.settle(owner, incoming, news.1)
        {
            self.calls.found_full(calls::key(&self.secret, &incoming.routing), &link);
        }
        if incoming.method() == Method::Update {
            let key = calls::key(&self.secret, &incoming.routing);
            self.calls.changed(key, incoming, &mut self.out);
        }
        if let Some(fork) = work {
            self.cancel_branches(now, &fork.branches, Some(ELSEWHERE));
        }
    }

    fn rejected(&mut self, now: Duration, owner: Id, incoming: &Incoming<'_>, code: u16) {
        let Some(fork) = self.servers.get_mut(owner).and_then(|server| server.work.as_mut()) else { return };
        match code {
            // What is between us and an edge proxy is nothing to the caller (RFC 5626, 11.5).
            430 if fork.lost.code != 430 => fork.failed(fork.lost),
            _ => fork
                .refused(code, incoming.message, || forward::response(incoming.message).unwrap_or_default()),
        }
        fork.open = fork.open.saturating_sub(1);
        if code >= 600 {
            fork.stop();
            let branches = fork.branches.clone();
            let reason = format!("SIP;cause={code}");
            self.cancel_branches(now, &branches, Some(reason.as_bytes()));
        }
        self.advance_if_done(now, owner);
    }

    /// A branch ended without an answer; `why` is not said if its connection has gone.
    pub(super) fn failed(&mut self, now: Duration, owner: Id, why: Option<Answer>) {
        let Some(fork) = self.servers.get_mut(owner).and_then(|server| server.work.as_mut()) else { return };
        fork.failed(why.unwrap_or(fork.lost));
        fork.open = fork.open.saturating_sub(1);
        self.advance_if_done(now, owner);
    }

    pub(super) fn advance_if_done(&mut self, now: Duration, owner: Id) {
        let fork = self.servers.get(owner).and_then(|server| server.work.as_ref());
        if fork.is_some_and(|fork| fork.open == 0) {
            self.advance(now, owner);
        }
    }

    fn call_answered(&mut self, now: Duration, incoming: &Incoming<'_>, mut call: Option<Box<OpenCall>>) {
        if let Some(call) = &mut call {
            self.records.answered(now, call, incoming);
        }
        if incoming.has_dialog() {
            let key = calls::key(&self.secret, &incoming.routing);
            self.calls.answered(now, key, incoming, call, &mut self.out);
        } else if let Some(call) = call {
            // Without a tag it can't be followed.
            self.record(&call, Some(End::alone(now, Ending::WentSilent)));
        }
    }

    /// A call is refused before anybody was asked.
    pub(crate) fn not_begun(&mut self, now: Duration, call: &OpenCall, code: u16) {
        let end = End { at: now, ending: Ending::of_reply(code), code: Some(code), by: None };
        self.record(call, Some(end));
    }

    pub(super) fn record(&mut self, call: &OpenCall, end: Option<End>) {
        self.out.extend(call.legs(end).map(Output::Record));
    }

    /// A request within a dialog passes.
    pub(crate) fn in_call(&mut self, now: Duration, incoming: &Incoming<'_>) {
        let key = calls::key(&self.secret, &incoming.routing);
        match incoming.method() {
            Method::Bye => {
                self.calls.ended(now, key, incoming, &mut self.out);
                self.bridges.call_ended(key);
            }
            _ => self.calls.heard(now, key, incoming, &mut self.out),
        }
    }
}
