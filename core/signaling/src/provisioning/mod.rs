//! In-band provisioning: a client that signs in asks for the ranges and marks of its user's site, and is told when the plan
//! changes (RFC 6665, with the first notification in the 200 where the client wants it there).
//!
//! A changed plan is told, not imposed: a client uses the new values for its next calls. Which version a phone has is
//! written into its binding. The document itself is the dialect's business, who may ask is the registrar's.

mod given;
mod subscription;
mod table;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::Plan;
use carillon_wire::sip::{Flow, Message, Method, Name};

use crate::contract::{Destination, Listener, Output};
use crate::dialect::provisioning::{EVENT, PIGGYBACK, TYPE, WANTS_PIGGYBACK, write};
pub use crate::dialect::provisioning::{Unreadable, parse};
use crate::registrar::Registrar;
use crate::reply::Reply;
pub use given::{Given, Provisioned, Source};
use subscription::Subscription;
use table::Table;

/// Seconds that a subscription may last: less is refused, more is cut down; what it lasts if the client does not say.
const MIN_EXPIRES: u32 = 60;
const MAX_EXPIRES: u32 = 8 * 3600;
const DEFAULT_EXPIRES: u32 = 3600;
/// Subscriptions of one user; one more ends the oldest, which a phone has most likely forgotten.
const PER_USER: usize = 10;
/// After a change so many clients are told at once, then the next after a pause: a thousand a second.
const BATCH: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// A request of ours that waits to be sent. It has no Via yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Notify {
    /// Whose answer [`Provisioning::notify_answered`] wants to hear.
    pub(crate) subscription: Arc<str>,
    pub(crate) to: Destination,
    pub(crate) bytes: Vec<u8>,
}

/// A SUBSCRIBE, and what it may change beside the subscriptions.
pub(crate) struct Subscribe<'a> {
    pub(crate) flow: &'a Flow,
    pub(crate) listener: &'a Listener,
    pub(crate) request: &'a Message<&'a [u8]>,
    /// What the answer's To gets if it has no tag.
    pub(crate) tag: &'a str,
    /// Who sent it, proven.
    pub(crate) aor: &'a Arc<str>,
    pub(crate) registrar: &'a mut Registrar,
    pub(crate) out: &'a mut VecDeque<Output>,
}

#[derive(Debug)]
pub(crate) struct Provisioning {
    plan: Arc<Plan>,
    version: u64,
    table: Table,
    /// Who has still to be told of a change, and when the next of them are.
    behind: BTreeSet<Arc<str>>,
    next_batch: Duration,
    notifies: VecDeque<Notify>,
}

/// Whether this is a SUBSCRIBE for the provisioning document, whatever address it is sent to.
pub(crate) fn is_asked_for(request: &Message<&[u8]>) -> bool {
    let event = request.event();
    request.method() == Some(Method::Subscribe)
        && event.is_some_and(|event| event.kind.eq_ignore_ascii_case(EVENT.as_bytes()))
}

impl Provisioning {
    pub(crate) fn new(plan: Arc<Plan>, version: u64) -> Provisioning {
        Provisioning {
            plan,
            version,
            table: Table::default(),
            behind: BTreeSet::new(),
            next_batch: Duration::ZERO,
            notifies: VecDeque::new(),
        }
    }

    /// Answers a SUBSCRIBE that [`is_asked_for`].
    pub(crate) fn subscribe(&mut self, now: Duration, asked: Subscribe<'_>) -> Reply {
        let answered = match asked.request.to().and_then(Result::ok).and_then(|to| to.tag) {
            Some(known) => self.refresh(now, asked, known),
            None => self.begin(now, asked),
        };
        answered.unwrap_or_else(|refusal| refusal)
    }

    /// From now on this plan holds. Clients are told, some after the others.
    pub(crate) fn plan_changed(&mut self, now: Duration, plan: Arc<Plan>, version: u64) {
        (self.plan, self.version) = (plan, version);
        self.tell(now, self.table.tags());
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

    /// The final answer to a NOTIFY; 408 if there was none, 503 if it could not be sent.
    pub(crate) fn notify_answered(
        &mut self,
        now: Duration,
        subscription: &str,
        code: u16,
        registrar: &mut Registrar,
        out: &mut VecDeque<Output>,
    ) {
        let Some(known) = self.table.get_mut(subscription) else { return };
        let Some(version) = known.told.take() else { return };
        if !(200..300).contains(&code) {
            self.remove(subscription);
            return;
        }
        let (aor, flow) = (Arc::clone(&known.aor), known.flow);
        if std::mem::take(&mut known.again) {
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

    fn begin(&mut self, now: Duration, asked: Subscribe<'_>) -> Result<Reply, Reply> {
        check(&asked)?;
        let expires = expires(asked.request)?;
        if expires == 0 {
            return Ok(self.once(asked));
        }
        let Subscribe { request, flow, listener, aor, tag, .. } = asked;
        let mut subscription = Subscription::begin(request, flow, listener, aor, tag)?;
        subscription.expires = now + Duration::from_secs(u64::from(expires));
        let tag: Arc<str> = Arc::from(tag);
        self.remove(&tag);
        let others = self.table.of_user(aor);
        others
            .iter()
            .take((others.len() + 1).saturating_sub(PER_USER))
            .for_each(|tag| self.end(tag, "rejected"));
        self.table.insert(&tag, subscription);
        Ok(self.granted(now, asked, &tag, expires))
    }

    fn refresh(&mut self, now: Duration, asked: Subscribe<'_>, known: &[u8]) -> Result<Reply, Reply> {
        let expires = expires(asked.request)?;
        let unknown = || Reply::new(481, "Subscription Does Not Exist");
        let known = std::str::from_utf8(known).map_err(|_| unknown())?;
        let (tag, mut subscription) = self.table.remove(known).ok_or_else(unknown)?;
        let refreshed = subscription.refresh(asked.request, asked.flow, asked.aor);
        if refreshed.is_ok() {
            subscription.expires = now + Duration::from_secs(u64::from(expires));
        }
        self.table.insert(&tag, subscription);
        refreshed?;
        if expires == 0 {
            self.end(&tag, "timeout");
            return Ok(accepted(asked.listener, 0));
        }
        Ok(self.granted(now, asked, &tag, expires))
    }

    /// The document in the 200 and no dialog: what clients of this event ask for with `Expires: 0`.
    fn once(&mut self, asked: Subscribe<'_>) -> Reply {
        let document = self.document(asked.registrar, asked.aor);
        asked.registrar.provisioned(asked.aor, asked.flow, self.version, asked.out);
        notified(accepted(asked.listener, 0), "terminated;reason=timeout", document)
    }

    /// The 200 of a subscription that lasts. The document is in it, or in a NOTIFY that follows.
    fn granted(&mut self, now: Duration, asked: Subscribe<'_>, tag: &Arc<str>, expires: u32) -> Reply {
        let reply = accepted(asked.listener, expires);
        let mut supported = asked.request.values(Name::Supported);
        if !supported.any(|option| option.eq_ignore_ascii_case(WANTS_PIGGYBACK)) {
            self.notify(now, tag, asked.registrar);
            return reply;
        }
        let document = self.document(asked.registrar, asked.aor);
        asked.registrar.provisioned(asked.aor, asked.flow, self.version, asked.out);
        notified(reply, &format!("active;expires={expires}"), document)
    }

    /// The document for a user.
    fn document(&self, registrar: &Registrar, aor: &str) -> String {
        let site = registrar.user(aor).and_then(|user| user.site.as_deref());
        write(&Provisioned::of(&self.plan, self.version, site))
    }

    /// These are told when their turn comes.
    fn tell(&mut self, now: Duration, tags: Vec<Arc<str>>) {
        self.next_batch = self.next_batch.max(now);
        self.behind.extend(tags);
    }

    /// Tells one; if its last answer is still awaited, after that.
    fn notify(&mut self, now: Duration, tag: &Arc<str>, registrar: &Registrar) {
        let Some(aor) = self.table.get(tag).map(|known| Arc::clone(&known.aor)) else { return };
        let document = self.document(registrar, &aor);
        let Some(known) = self.table.get_mut(tag) else { return };
        if known.told.is_some() {
            known.again = true;
            return;
        }
        let left = known.expires.saturating_sub(now).as_secs();
        if let Ok(notify) = known.notify(tag, &format!("active;expires={left}"), Some(&document)) {
            known.told = Some(self.version);
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
fn check(asked: &Subscribe<'_>) -> Result<(), Reply> {
    let to = asked.request.to().and_then(Result::ok).and_then(|to| to.uri().ok());
    let to = to.and_then(|uri| asked.registrar.aor(&uri, asked.flow, asked.listener));
    if to.as_deref() != Some(&**asked.aor) {
        return Err(Reply::new(403, "Not Your Address"));
    }
    let takes = |kind: &[u8]| {
        let kind = kind.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
        kind == b"*/*"
            || kind.eq_ignore_ascii_case(b"application/*")
            || kind.eq_ignore_ascii_case(TYPE.as_bytes())
    };
    let mut accepts = asked.request.values(Name::Accept).peekable();
    match accepts.peek().is_none() || accepts.any(takes) {
        true => Ok(()),
        false => Err(Reply::new(406, "Not Acceptable").field("Accept", TYPE)),
    }
}

/// Seconds granted; 0: no subscription, or the end of one.
fn expires(request: &Message<&[u8]>) -> Result<u32, Reply> {
    match request.expires().and_then(Result::ok).unwrap_or(DEFAULT_EXPIRES) {
        0 => Ok(0),
        1..MIN_EXPIRES => {
            Err(Reply::new(423, "Interval Too Brief").field("Min-Expires", MIN_EXPIRES.to_string()))
        }
        seconds => Ok(seconds.min(MAX_EXPIRES)),
    }
}

fn accepted(listener: &Listener, expires: u32) -> Reply {
    Reply::new(200, "OK")
        .field("Expires", expires.to_string())
        .field("Contact", subscription::contact(listener))
        .field("Event", EVENT)
}

/// A 200 that is the first notification too.
fn notified(reply: Reply, state: &str, document: String) -> Reply {
    let reply = reply.field("Subscription-State", state).field(PIGGYBACK.0, PIGGYBACK.1);
    Reply { body: Some((TYPE, document)), ..reply }
}
