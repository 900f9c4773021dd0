//! Call admission control on the way of requests and answers: who is at which site, and what may pass of what they offer.
//!
//! What fits is counted in [`crate::bandwidth`].

use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Answer, Method};

use super::fork::{Fork, Target};
use super::{Crossing, Proxy, forward};
use crate::bandwidth::{Full, Video, Wanted, restricted};
use crate::calls;
use crate::incoming::Incoming;
use crate::reply::Reply;
use crate::transaction::Id;

/// No link between the two has room (RFC 3261, 21.4.26).
pub(super) const OVER_BUDGET: Answer = Answer { code: 488, reason: "Not Acceptable Here" };

/// What is changed in an answer on its way back.
#[derive(Debug, Default)]
pub(super) struct Amended {
    /// The body in place of its own.
    pub(super) body: Option<Vec<u8>>,
    /// Why something is missing in it.
    pub(super) warning: Option<String>,
}

impl Proxy {
    /// Reserves what a request to this target may need; its body, if not all of it may pass.
    pub(super) fn reserve(
        &mut self,
        id: Id,
        fork: &mut Fork,
        incoming: &Incoming<'_>,
        target: &Target,
    ) -> Result<Option<Vec<u8>>, Answer> {
        if !matches!(incoming.method(), Method::Invite | Method::Update) || self.calls.bandwidth.is_idle() {
            return Ok(None);
        }
        let wanted = Wanted::of(incoming.message);
        // An UPDATE without a description refreshes the session, and that is all (RFC 4028, 7.4).
        if wanted.is_none() && incoming.method() == Method::Update {
            return Ok(None);
        }
        let granted = match (target, &fork.call) {
            (Target::Peer(_), _) => {
                let key = calls::key(&self.secret, &incoming.routing);
                match self.calls.bandwidth.change(id, key, wanted.as_ref()) {
                    Some(granted) => granted,
                    None => return Ok(None),
                }
            }
            (_, Some(call)) => {
                let to = target.flow().and_then(|flow| self.records.site(flow.remote));
                self.calls.bandwidth.begin(id, call.caller_site(), to, wanted.as_ref())
            }
            (_, None) => return Ok(None),
        };
        match granted {
            Ok(granted) => Ok(restricted(incoming.message, granted)),
            Err(Full(link)) => {
                fork.full = Some(link);
                Err(OVER_BUDGET)
            }
        }
    }

    /// What of an answer to an INVITE or UPDATE goes on. It may bring the first offer (RFC 3261, 13.2.1).
    pub(super) fn amended(&mut self, owner: Id, answer: &Incoming<'_>, code: u16) -> Amended {
        if self.calls.bandwidth.is_idle() {
            return Amended::default();
        }
        let Some(wanted) = Wanted::of(answer.message) else { return Amended::default() };
        let site = self.records.site(answer.flow.remote);
        let Some(granted) = self.calls.bandwidth.answering(owner, &site, &wanted) else {
            return Amended::default();
        };
        let fell = granted.video == Video::Refused && code >= 200;
        let warning = fell.then(|| self.warning(answer, "video"));
        Amended { body: restricted(answer.message, granted), warning }
    }

    /// A 2xx has passed: what was reserved is what was agreed on, and nothing if there is no call. The link that had no room for the
    /// video, if there is none.
    pub(super) fn settle(&mut self, owner: Id, answer: &Incoming<'_>) -> Option<Arc<str>> {
        if self.calls.bandwidth.is_idle() {
            return None;
        }
        let key = calls::key(&self.secret, &answer.routing);
        if !self.calls.is_up(key) {
            self.calls.bandwidth.over(owner);
            return None;
        }
        let (wanted, site) = (Wanted::of(answer.message), self.records.site(answer.flow.remote));
        let full = self.calls.bandwidth.answered(owner, key, &site, wanted.as_ref());
        if let (false, Some(wanted)) = (self.calls.bandwidth.knows(key), &wanted) {
            let asked = self.servers.get(owner).and_then(|server| self.records.site(server.flow.remote));
            self.calls.bandwidth.found(key, asked, site, wanted);
        }
        full
    }

    /// A request is refused because of a link.
    pub(super) fn refused_for(&mut self, link: &Arc<str>, fork: &mut Fork, incoming: &Incoming<'_>) {
        self.calls.bandwidth.refused(link);
        match &mut fork.call {
            Some(call) => call.over_budget = Some(Arc::clone(link)),
            None => {
                let key = calls::key(&self.secret, &incoming.routing);
                self.calls.found_full(key, link);
            }
        }
    }

    /// The refusal with its reason: Warning 370 (RFC 3261, 20.43), and the cause that telephone networks have for it.
    pub(super) fn over_budget(&self, incoming: &Incoming<'_>) -> Reply {
        Reply::new(OVER_BUDGET.code, OVER_BUDGET.reason)
            .field("Warning", self.warning(incoming, "the call"))
            .field("Reason", "Q.850;cause=49;text=\"Quality of service not available\"")
    }

    fn warning(&self, incoming: &Incoming<'_>, what: &str) -> String {
        let agent = self.ends.of(&incoming.flow).map_or("carillon", |end| end.listener.advertised.as_str());
        format!("370 {agent} \"Insufficient bandwidth for {what}\"")
    }

    /// An answer to a call on its way back.
    pub(super) fn relay(
        &mut self,
        now: Duration,
        owner: Id,
        incoming: &Incoming<'_>,
        (code, crossing): (u16, Option<Crossing>),
    ) {
        let amended = match incoming.method() {
            Method::Invite | Method::Update => self.amended(owner, incoming, code),
            _ => Amended::default(),
        };
        let Some(bytes) = forward::amended(incoming.message, &amended) else { return };
        self.counts.forwarded += 1;
        let fork = self.servers.get_mut(owner).and_then(|server| server.work.as_mut());
        fork.into_iter().for_each(|fork| fork.rang = true);
        if !self.answer_crosses(owner, incoming, (code, &bytes), crossing) {
            self.give(now, owner, code, bytes);
        }
    }
}
