//! In-band provisioning: a client that signs in asks for the ranges and marks of its user's site, and is told when the plan
//! changes (RFC 6665, with the first notification in the 200 where the client wants it there).
//!
//! A changed plan is told, not imposed: a client uses the new values for its next calls. Which version a phone has is
//! written into its binding. The document itself is the dialect's business, who may ask is the registrar's.

mod given;
mod mobile;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::Plan;
use carillon_wire::sip::{Flow, Message, Name};

use crate::contract::Output;
use crate::dialect::provisioning::{PIGGYBACK, TYPE, WANTS_PIGGYBACK, write};
pub use crate::dialect::provisioning::{Unreadable, parse};
use crate::events::{self, Asked, Body, Notify, Table};
use crate::registrar::Registrar;
use crate::relays::{Bearer, Relays};
use crate::reply::Reply;
pub use given::{Given, Provisioned, Source};
use mobile::is_mobile;

/// Subscriptions of one user; one more ends the oldest, which a phone has most likely forgotten.
const PER_USER: usize = 10;
/// After a change so many clients are told at once, then the next after a pause: a thousand a second.
const BATCH: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// A SUBSCRIBE, and what it may change beside the subscriptions.
pub(crate) struct Subscribe<'a> {
    pub(crate) asked: Asked<'a>,
    pub(crate) registrar: &'a mut Registrar,
    pub(crate) out: &'a mut VecDeque<Output>,
}

/// What is known of a client that has subscribed.
#[derive(Default, Debug)]
struct Told {
    /// The version in the NOTIFY that is on its way.
    version: Option<u64>,
    /// There was more to tell meanwhile.
    again: bool,
    /// It runs on a mobile phone.
    mobile: bool,
}

type Subscription = events::Subscription<Told>;

#[derive(Debug)]
pub(crate) struct Provisioning {
    plan: Arc<Plan>,
    version: u64,
    relays: Option<Relays>,
    /// The main domain, where the credential service is asked.
    domain: String,
    table: Table<Told>,
    /// Who has still to be told of a change, and when the next of them are.
    behind: BTreeSet<Arc<str>>,
    next_batch: Duration,
    notifies: VecDeque<Notify>,
}

impl Provisioning {
    pub(crate) fn new(plan: Arc<Plan>, version: u64, domains: &[String]) -> Provisioning {
        Provisioning {
            plan,
            version,
            relays: None,
            domain: domains.first().cloned().unwrap_or_default(),
            table: Table::default(),
            behind: BTreeSet::new(),
            next_batch: Duration::ZERO,
            notifies: VecDeque::new(),
        }
    }

    /// Answers a SUBSCRIBE.
    pub(crate) fn subscribe(&mut self, now: Duration, subscribe: Subscribe<'_>) -> Reply {
        let asked = subscribe.asked;
        let answered = match asked.dialog() {
            Ok(Some(known)) => self.refresh(now, subscribe, known),
            Ok(None) => self.begin(now, subscribe),
            Err(refusal) => Err(refusal),
        };
        answered.unwrap_or_else(|refusal| refusal)
    }

    /// From now on this plan holds. Clients are told, some after the others.
    pub(crate) fn plan_changed(&mut self, now: Duration, plan: Arc<Plan>, version: u64) {
        (self.plan, self.version) = (plan, version);
        self.tell(now, self.table.tags());
    }

    /// From now on users are given these relays.
    pub(crate) fn relays_changed(&mut self, now: Duration, relays: Option<Relays>) {
        self.relays = relays;
        self.tell(now, self.table.tags());
    }

    /// The relays that users are given.
    pub(crate) fn relays(&self) -> Option<&Relays> {
        self.relays.as_ref()
    }

    /// A user was changed, and may belong to another site now.
    pub(crate) fn user_changed(&mut self, now: Duration, aor: &str) {
        self.tell(now, self.table.of_user(aor));
    }

    /// A user was removed.
    pub(crate) fn user_removed(&mut self, aor: &str) {
        self.table.of_user(aor).iter().for_each(|tag| self.end(tag, "noresource"));
    }

    /// A connection has ended, and the dialogs over it.
    pub(crate) fn closed(&mut self, flow: &Flow) {
        self.table.on_connection(flow).iter().for_each(|tag| _ = self.remove(tag));
    }

    /// The final answer to a NOTIFY; 408 if there was none, 503 if it could not be sent. Nothing happens if it was not ours.
    pub(crate) fn notify_answered(
        &mut self,
        now: Duration,
        subscription: &str,
        code: u16,
        registrar: &mut Registrar,
        out: &mut VecDeque<Output>,
    ) {
        let Some(known) = self.table.get_mut(subscription) else { return };
        let Some(version) = known.state.version.take() else { return };
        if !(200..300).contains(&code) {
            self.remove(subscription);
            return;
        }
        let (aor, flow) = (Arc::clone(&known.aor), known.flow);
        if std::mem::take(&mut known.state.again) {
            self.tell(now, vec![Arc::from(subscription)]);
        }
        registrar.provisioned(&aor, &flow, version, out);
    }

    /// What is to be sent next; call until there is none.
    pub(crate) fn poll_notify(&mut self) -> Option<Notify> {
        self.notifies.pop_front()
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration, registrar: &Registrar) {
        while let Some((due, tag)) = self.table.first_due()
            && due <= now
        {
            self.end(&tag, "timeout");
        }
        if !self.behind.is_empty() && self.next_batch <= now {
            self.next_batch = now + PAUSE;
            for _ in 0..BATCH {
                let Some(tag) = self.behind.pop_first() else { break };
                self.notify(now, &tag, registrar);
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let due = self.table.first_due().map(|(due, _)| due);
        let batch = (!self.behind.is_empty()).then_some(self.next_batch);
        due.into_iter().chain(batch).min()
    }

    /// How many clients have subscribed.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    fn begin(&mut self, now: Duration, subscribe: Subscribe<'_>) -> Result<Reply, Reply> {
        check(&subscribe)?;
        let asked = subscribe.asked;
        let expires = self.expires(asked.request)?;
        if expires == 0 {
            return Ok(self.once(now, subscribe));
        }
        let end = now + Duration::from_secs(u64::from(expires));
        let told = Told { mobile: asks_from_a_mobile(asked.request), ..Told::default() };
        let subscription = Subscription::begin(&asked, end, told)?;
        let tag: Arc<str> = Arc::from(asked.tag);
        self.remove(&tag);
        let others = self.table.of_user(asked.aor);
        others
            .iter()
            .take((others.len() + 1).saturating_sub(PER_USER))
            .for_each(|tag| self.end(tag, "rejected"));
        self.table.insert(&tag, subscription);
        Ok(self.granted(now, subscribe, &tag, expires))
    }

    fn refresh(&mut self, now: Duration, subscribe: Subscribe<'_>, known: &str) -> Result<Reply, Reply> {
        let asked = subscribe.asked;
        let expires = self.expires(asked.request)?;
        let (tag, mut subscription) = self.table.remove(known).ok_or_else(events::unknown)?;
        let refreshed = subscription.refresh(&asked);
        if refreshed.is_ok() {
            subscription.expires = now + Duration::from_secs(u64::from(expires));
        }
        self.table.insert(&tag, subscription);
        refreshed?;
        if expires == 0 {
            self.end(&tag, "timeout");
            return Ok(asked.accepted(0));
        }
        Ok(self.granted(now, subscribe, &tag, expires))
    }

    /// The document in the 200 and no dialog: what clients of this event ask for with `Expires: 0`.
    fn once(&mut self, now: Duration, subscribe: Subscribe<'_>) -> Reply {
        let Subscribe { asked, registrar, out } = subscribe;
        let document = self.document(now, registrar, asked.aor, asks_from_a_mobile(asked.request));
        registrar.provisioned(asked.aor, asked.flow, self.version, out);
        notified(asked.accepted(0), "terminated;reason=timeout", document)
    }

    /// The 200 of a subscription that lasts. The document is in it, or in a NOTIFY that follows.
    fn granted(&mut self, now: Duration, subscribe: Subscribe<'_>, tag: &Arc<str>, expires: u32) -> Reply {
        let Subscribe { asked, registrar, out } = subscribe;
        let reply = asked.accepted(expires);
        let mut supported = asked.request.values(Name::Supported);
        if !supported.any(|option| option.eq_ignore_ascii_case(WANTS_PIGGYBACK)) {
            self.notify(now, tag, registrar);
            return reply;
        }
        let document = self.document(now, registrar, asked.aor, asks_from_a_mobile(asked.request));
        registrar.provisioned(asked.aor, asked.flow, self.version, out);
        notified(reply, &format!("active;expires={expires}"), document)
    }

    /// The document for a user's client.
    fn document(&self, now: Duration, registrar: &Registrar, aor: &str, mobile: bool) -> String {
        let site = registrar.site(aor);
        let bearer = Bearer { user: aor, site };
        let relays = self.relays.as_ref().map(|relays| relays.serve(now, bearer, &self.domain));
        let given = Provisioned::of(&self.plan, self.version, site);
        let given = if mobile { given.without_part() } else { given };
        write(&Provisioned { relays, ..given })
    }

    /// Seconds granted; 0: no subscription, or the end of one. Whoever holds a credential comes back while it is fresh.
    fn expires(&self, request: &Message<&[u8]>) -> Result<u32, Reply> {
        let fresh = self.relays.as_ref().map_or(u32::MAX, Relays::fresh);
        Ok(events::expires(request)?.min(fresh))
    }

    /// These are told when their turn comes.
    fn tell(&mut self, now: Duration, tags: Vec<Arc<str>>) {
        self.next_batch = self.next_batch.max(now);
        self.behind.extend(tags);
    }

    /// Tells one; if its last answer is still awaited, after that.
    fn notify(&mut self, now: Duration, tag: &Arc<str>, registrar: &Registrar) {
        let Some(known) = self.table.get(tag) else { return };
        let document = self.document(now, registrar, &known.aor, known.state.mobile);
        let Some(known) = self.table.get_mut(tag) else { return };
        if known.state.version.is_some() {
            known.state.again = true;
            return;
        }
        let left = known.expires.saturating_sub(now).as_secs();
        let body = Body { kind: TYPE, text: &document, require: None };
        if let Ok(notify) = known.notify(tag, &format!("active;expires={left}"), Some(body)) {
            known.state.version = Some(self.version);
            self.notifies.push_back(notify);
        }
    }

    /// Ends a subscription and says so; the answer to that is of no interest.
    fn end(&mut self, tag: &str, reason: &str) {
        let Some((tag, mut subscription)) = self.remove(tag) else { return };
        let state = format!("terminated;reason={reason}");
        self.notifies.extend(subscription.notify(&tag, &state, None));
    }

    fn remove(&mut self, tag: &str) -> Option<(Arc<str>, Subscription)> {
        self.behind.remove(tag);
        self.table.remove(tag)
    }
}

/// Only users themselves may ask, and must take what there is.
fn check(subscribe: &Subscribe<'_>) -> Result<(), Reply> {
    let asked = subscribe.asked;
    let to = asked.request.to().and_then(Result::ok).and_then(|to| to.uri().ok());
    let to = to.and_then(|uri| subscribe.registrar.aor(&uri, asked.flow, asked.listener));
    if to.as_deref() != Some(&**asked.aor) {
        return Err(Reply::new(403, "Not Your Address"));
    }
    asked.check_takes(TYPE)
}

fn asks_from_a_mobile(request: &Message<&[u8]>) -> bool {
    request.get(Name::UserAgent).is_some_and(is_mobile)
}

/// A 200 that is the first notification too.
fn notified(reply: Reply, state: &str, document: String) -> Reply {
    let reply = reply.field("Subscription-State", state).field(PIGGYBACK.0, PIGGYBACK.1);
    Reply { body: Some((TYPE, document)), ..reply }
}
