//! Call admission control on the way of requests and answers: who is at which site, and what may pass of what they offer.
//!
//! What fits is counted in [`crate::bandwidth`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Answer, Message, Method};

use super::fork::{Fork, Target};
use super::{Crossing, Proxy, forward};
use crate::bandwidth::{Asked, Full, Site, Video, Wanted, narrowed, restricted};
use crate::calls;
use crate::incoming::Incoming;
use crate::records::Side;
use crate::reply::Reply;
use crate::transaction::{Id, Owner};

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
        crossing: Option<Crossing>,
    ) -> Result<Option<Vec<u8>>, Answer> {
        if !matches!(incoming.method(), Method::Invite | Method::Update) || self.calls.bandwidth.is_idle() {
            return Ok(None);
        }
        let wanted = wanted(incoming, crossing);
        // An UPDATE without a description refreshes the session, and that is all (RFC 4028, 7.4).
        if wanted.is_none() && incoming.method() == Method::Update {
            return Ok(None);
        }
        let granted = match (target, &fork.call) {
            (Target::Peer(_), _) => {
                let key = calls::key(&self.secret, &incoming.routing);
                let side = crossing.map(|crossing| crossing.by);
                match self.calls.bandwidth.change(id, key, side, wanted.as_ref()) {
                    Some(granted) => granted,
                    None => return Ok(None),
                }
            }
            (_, Some(call)) => {
                let to = target.flow().and_then(|flow| self.records.site(flow.remote));
                let legs = self.legs([call.caller_site(), to], crossing);
                self.calls.bandwidth.begin(id, &legs, wanted.as_ref())
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

    /// What a bridge offers in turn: reserved like any offer, on the links of that side. As it may pass.
    pub(super) fn reserve_across(&mut self, id: Id, sdp: String) -> Result<Vec<u8>, Answer> {
        let sdp = sdp.into_bytes();
        let (Some(client), Some(wanted)) = (self.clients.get(id), Wanted::read(&sdp)) else { return Ok(sdp) };
        let (Some(crossing), Owner::Request(owner)) = (client.crossing, client.owner.clone()) else {
            return Ok(sdp);
        };
        let (to, side) = (self.records.site(client.to.remote()), Some(crossing.by.other()));
        match self.calls.bandwidth.cross(&Asked { id: owner, to, side }, &wanted) {
            None => Ok(sdp),
            Some(Ok(granted)) => Ok(narrowed(&sdp, granted).unwrap_or(sdp)),
            Some(Err(Full(link))) => {
                let fork = self.servers.get_mut(owner).and_then(|server| server.work.as_mut());
                fork.into_iter().for_each(|fork| fork.full = Some(Arc::clone(&link)));
                Err(OVER_BUDGET)
            }
        }
    }

    /// A call is up, and a bridge has told this side so: that leg costs what stands in it.
    pub(super) fn settle_across(&mut self, told: &Message<&[u8]>, side: Side) {
        if let (Ok(routing), Some(wanted)) = (told.routing(), Wanted::of(told)) {
            let key = calls::key(&self.secret, &routing);
            self.calls.bandwidth.settled(key, side, &wanted);
        }
    }

    /// The legs of media between two sites, that of the one who asks first: over a bridge each comes to where we are as it
    /// sees us, and the caller's stands first.
    fn legs(&self, [from, to]: [Site; 2], crossing: Option<Crossing>) -> Vec<[Site; 2]> {
        let Some((side, here)) =
            crossing.and_then(|crossing| Some((crossing.by, self.bridges.here(crossing)?)))
        else {
            return vec![[from, to]];
        };
        let [near, far] = here.map(|ip| self.records.site(SocketAddr::new(ip, 0)));
        let (caller, callee) = if side == Side::Caller { (from, to) } else { (to, from) };
        vec![[caller, near], [far, callee]]
    }

    /// Who answers.
    fn answers(&self, owner: Id, answer: &Incoming<'_>, crossing: Option<Crossing>) -> Asked {
        let to = self.records.site(answer.flow.remote);
        Asked { id: owner, to, side: crossing.map(|crossing| crossing.by.other()) }
    }

    /// What of an answer to an INVITE or UPDATE goes on. It may bring the first offer (RFC 3261, 13.2.1).
    pub(super) fn amended(
        &mut self,
        owner: Id,
        answer: &Incoming<'_>,
        (code, crossing): (u16, Option<Crossing>),
    ) -> Amended {
        if self.calls.bandwidth.is_idle() {
            return Amended::default();
        }
        let Some(wanted) = wanted(answer, crossing) else { return Amended::default() };
        let asked = self.answers(owner, answer, crossing);
        let Some(granted) = self.calls.bandwidth.answering(&asked, &wanted) else {
            return Amended::default();
        };
        let fell = granted.video == Video::Refused && code >= 200;
        let warning = fell.then(|| self.warning(answer, "video"));
        Amended { body: restricted(answer.message, granted), warning }
    }

    /// A 2xx has passed: what was reserved is what was agreed on, and nothing if there is no call. The link that had no room for the
    /// video, if there is none.
    pub(super) fn settle(
        &mut self,
        owner: Id,
        answer: &Incoming<'_>,
        crossing: Option<Crossing>,
    ) -> Option<Arc<str>> {
        if self.calls.bandwidth.is_idle() {
            return None;
        }
        let key = calls::key(&self.secret, &answer.routing);
        if !self.calls.is_up(key) {
            self.calls.bandwidth.over(owner);
            return None;
        }
        let (wanted, asked) = (wanted(answer, crossing), self.answers(owner, answer, crossing));
        let full = self.calls.bandwidth.answered(&asked, key, wanted.as_ref());
        if let (false, Some(wanted)) = (self.calls.bandwidth.knows(key), &wanted) {
            let from = self.servers.get(owner).and_then(|server| self.records.site(server.flow.remote));
            let legs = self.legs([from, asked.to], crossing);
            self.calls.bandwidth.found(key, &legs, wanted);
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
            Method::Invite | Method::Update => self.amended(owner, incoming, (code, crossing)),
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

/// What a message asks of the links. No video crosses a bridge.
fn wanted(incoming: &Incoming<'_>, crossing: Option<Crossing>) -> Option<Wanted> {
    let wanted = Wanted::of(incoming.message)?;
    Some(if crossing.is_some() { Wanted { video: None, ..wanted } } else { wanted })
}
