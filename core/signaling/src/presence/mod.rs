//! Presence (RFC 3856): devices publish how their user can be reached, watchers are told what is made of it.
//!
//! A user's own contact list is watched by one subscription (RFC 4662), to `alice-contacts@domain`; who watches oneself is
//! told by `presence.winfo` (RFC 3857). What is published is saved before it is acknowledged; subscriptions live as long as
//! the process, their clients begin anew.

mod activity;
mod compose;
mod document;
mod list;
mod publications;
mod roster;
mod tell;
mod watch;
mod watchers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Flow, Message, Name};

use crate::contract::{Output, Publication};
use crate::events::{self, Asked, Notify, Package, Table};
use crate::registrar::Registrar;
use crate::reply::Reply;
use compose::Said;
use document::Document;
use publications::Publications;
pub use roster::{Contact, Handling, Roster, Rule};
use watch::{Subject, Watch};

/// Subscriptions of one user; one more ends the oldest. Some phones subscribe to each contact by itself.
const PER_USER: usize = 250;
/// So many NOTIFYs leave together, then it is looked for messages that came meanwhile.
const BATCH: usize = 500;
/// Between two NOTIFYs of a subscription; what changes meanwhile is told together.
const PAUSE: Duration = Duration::from_millis(500);
/// What the address of a user's contact list has behind the user's name.
const LIST: &str = "-contacts";

type Subscription = events::Subscription<Watch>;

#[derive(Debug)]
pub(crate) struct Presence {
    publications: Publications,
    rosters: BTreeMap<Arc<str>, Roster>,
    /// What becomes of watchers of whom a user does not say anything.
    others: Handling,
    /// Most subscriptions.
    most: usize,
    table: Table<Watch>,
    /// Who is watched, by which subscriptions.
    watched: BTreeSet<(Arc<str>, Arc<str>)>,
    /// Who wants to know its watchers, by which subscriptions.
    observers: BTreeSet<(Arc<str>, Arc<str>)>,
    /// What is seen of everybody who is watched.
    views: BTreeMap<Arc<str>, Arc<str>>,
    /// Subscriptions with something to tell, and when.
    behind: BTreeSet<(Duration, Arc<str>)>,
    notifies: VecDeque<Notify>,
}

impl Presence {
    pub(crate) fn new(
        seed: &[u8; 32],
        saved: Vec<Publication>,
        others: Handling,
        most: usize,
        now: Duration,
    ) -> Presence {
        Presence {
            publications: Publications::new(seed, saved, now),
            rosters: BTreeMap::new(),
            others,
            most,
            table: Table::default(),
            watched: BTreeSet::new(),
            observers: BTreeSet::new(),
            views: BTreeMap::new(),
            behind: BTreeSet::new(),
            notifies: VecDeque::new(),
        }
    }

    /// Answers a PUBLISH to `to`.
    pub(crate) fn publish(
        &mut self,
        now: Duration,
        asked: &Asked<'_>,
        to: &str,
        registrar: &Registrar,
        out: &mut VecDeque<Output>,
    ) -> Reply {
        if *to != **asked.aor {
            return Reply::new(403, "Not Your Address");
        }
        let published = self.publications.publish(now, asked, out);
        if published.is_ok() {
            self.moved(now, to, registrar);
        }
        published.unwrap_or_else(|refusal| refusal)
    }

    /// Answers a SUBSCRIBE; `to` is whom its Request-URI means, of no interest within a dialog.
    pub(crate) fn subscribe(
        &mut self,
        now: Duration,
        asked: &Asked<'_>,
        (package, to): (Package, &str),
        registrar: &Registrar,
    ) -> Reply {
        let answered = match asked.dialog() {
            Ok(Some(known)) => self.refresh(now, asked, known, registrar),
            Ok(None) => self
                .subject(asked, package, to, registrar)
                .and_then(|subject| self.begin(now, asked, subject, registrar)),
            Err(refusal) => Err(refusal),
        };
        answered.unwrap_or_else(|refusal| refusal)
    }

    /// From now on a user has this roster.
    pub(crate) fn set_roster(&mut self, now: Duration, aor: &str, roster: Roster, registrar: &Registrar) {
        let own = self.table.of_user(aor);
        own.iter().for_each(|tag| self.unindex(now, tag));
        self.rosters.insert(Arc::from(aor), roster);
        for tag in &own {
            self.index(now, tag, registrar);
            self.table.get_mut(tag).into_iter().for_each(|known| known.state.renew());
            self.schedule(now, tag);
        }
        self.watchers_changed(now, aor);
        for tag in self.watchers(aor) {
            self.owe(now, &tag, aor);
        }
    }

    /// How a user can be reached may have changed: those who watch are told if it has.
    pub(crate) fn moved(&mut self, now: Duration, aor: &str, registrar: &Registrar) {
        let watchers = self.watchers(aor);
        if watchers.is_empty() {
            return;
        }
        let view = self.compose(now, aor, registrar);
        if self.views.get(aor).is_some_and(|seen| **seen == *view) {
            return;
        }
        self.views.insert(Arc::from(aor), Arc::from(view));
        for tag in watchers {
            self.owe(now, &tag, aor);
        }
    }

    /// A user was removed.
    pub(crate) fn user_removed(&mut self, now: Duration, aor: &str, out: &mut VecDeque<Output>) {
        self.publications.remove_user(aor, out);
        for tag in self.table.of_user(aor) {
            self.end_of(now, &tag, "noresource");
        }
        self.rosters.remove(aor);
        self.views.remove(aor);
        for tag in self.watchers(aor) {
            match self.table.get(&tag).map(|known| &known.state.subject) {
                Some(Subject::List { .. }) => self.owe(now, &tag, aor),
                _ => self.end_of(now, &tag, "noresource"),
            }
        }
    }

    /// A connection has ended, and the dialogs over it.
    pub(crate) fn closed(&mut self, now: Duration, flow: &Flow) {
        for tag in self.table.on_connection(flow) {
            self.forget(now, &tag);
        }
    }

    /// The final answer to a NOTIFY; 408 if there was none, 503 if it could not be sent. Nothing happens if it was not ours.
    pub(crate) fn notify_answered(&mut self, now: Duration, tag: &str, code: u16) {
        let Some(known) = self.table.get_mut(tag).filter(|known| known.state.busy) else { return };
        known.state.busy = false;
        let again = std::mem::take(&mut known.state.again);
        if !(200..300).contains(&code) {
            return self.forget(now, tag);
        }
        if again {
            self.schedule(now, tag);
        }
    }

    /// What is to be sent next; call until there is none.
    pub(crate) fn poll_notify(&mut self) -> Option<Notify> {
        self.notifies.pop_front()
    }

    pub(crate) fn handle_timeout(
        &mut self,
        now: Duration,
        registrar: &Registrar,
        out: &mut VecDeque<Output>,
    ) {
        while let Some(aor) = self.publications.lapse(now, out) {
            self.moved(now, &aor, registrar);
        }
        while let Some((due, tag)) = self.table.first_due()
            && due <= now
        {
            self.end_of(now, &tag, "timeout");
        }
        for _ in 0..BATCH {
            let Some((_, tag)) = self.behind.first().filter(|(due, _)| *due <= now).cloned() else { break };
            self.tell(now, &tag, registrar);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let due = self.table.first_due().map(|(due, _)| due);
        let behind = self.behind.first().map(|(due, _)| *due);
        [due, behind, self.publications.next_due()].into_iter().flatten().min()
    }

    /// Subscriptions and publications.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.table.len(), self.publications.len())
    }

    /// What a SUBSCRIBE is for, if its sender may ask for it and takes what it would get.
    fn subject(
        &self,
        asked: &Asked<'_>,
        package: Package,
        to: &str,
        registrar: &Registrar,
    ) -> Result<Subject, Reply> {
        let own = || {
            registrar
                .user_of(to)
                .filter(|to| *to == asked.aor)
                .map(Arc::clone)
                .ok_or(Reply::new(403, "Not Your Address"))
        };
        if package == Package::Watchers {
            asked.check_takes(watchers::TYPE)?;
            return own().map(Subject::Watchers);
        }
        if let Some(of) = registrar.user_of(to) {
            asked.check_takes(publications::TYPE)?;
            return match self.handling(of, asked.aor) {
                Handling::Block => Err(Reply::new(403, "Forbidden")),
                _ => Ok(Subject::User(Arc::clone(of))),
            };
        }
        let owner = list_owner(to).ok_or(Reply::new(404, "Not Found"))?;
        if owner != **asked.aor {
            return Err(Reply::new(403, "Not Your List"));
        }
        match takes_lists(asked.request) {
            true => Ok(Subject::list(asked.aor, to)),
            false => Err(Reply::new(421, "Extension Required").field("Require", list::EVENTLIST)),
        }
    }

    fn begin(
        &mut self,
        now: Duration,
        asked: &Asked<'_>,
        subject: Subject,
        registrar: &Registrar,
    ) -> Result<Reply, Reply> {
        let expires = events::expires(asked.request)?;
        let end = now + Duration::from_secs(u64::from(expires));
        let subscription = Subscription::begin(asked, end, Watch::new(subject))?;
        let tag: Arc<str> = Arc::from(asked.tag);
        self.forget(now, &tag);
        let others = self.table.of_user(asked.aor);
        for tag in others.iter().take((others.len() + 1).saturating_sub(PER_USER)) {
            self.end_of(now, tag, "rejected");
        }
        if self.table.len() >= self.most {
            return Err(Reply::new(503, "Service Unavailable").field("Retry-After", "60"));
        }
        self.table.insert(&tag, subscription);
        self.index(now, &tag, registrar);
        if expires == 0 {
            self.last(now, &tag, registrar);
        } else {
            self.tell(now, &tag, registrar);
        }
        Ok(asked.accepted(expires))
    }

    fn refresh(
        &mut self,
        now: Duration,
        asked: &Asked<'_>,
        known: &str,
        registrar: &Registrar,
    ) -> Result<Reply, Reply> {
        let expires = events::expires(asked.request)?;
        let (tag, mut subscription) = self.table.remove(known).ok_or_else(events::unknown)?;
        let refreshed = subscription.refresh(asked);
        if refreshed.is_ok() {
            subscription.expires = now + Duration::from_secs(u64::from(expires));
            subscription.state.renew();
        }
        self.table.insert(&tag, subscription);
        refreshed?;
        match expires {
            0 => self.last(now, &tag, registrar),
            _ => self.tell(now, &tag, registrar),
        }
        Ok(asked.accepted(expires))
    }
}

/// Whose contact list an address is, if it is that of one.
pub(crate) fn list_owner(address: &str) -> Option<String> {
    let (user, domain) = address.split_once('@')?;
    Some(format!("{}@{domain}", user.strip_suffix(LIST)?))
}

/// What watchers see of a user who can be reached and has published this document and nothing else.
///
/// # Errors
/// What is no document, or too large.
pub fn presence_of(aor: &str, document: &str) -> Result<String, String> {
    let document = Document::parse(document)?;
    let said = Said { key: "1", changed: Duration::ZERO, document: &document };
    Ok(compose::compose(aor, &[said], true))
}

/// Whether a client understands NOTIFYs of lists.
fn takes_lists(request: &Message<&[u8]>) -> bool {
    let mut options = request.values(Name::Supported).chain(request.values(Name::Require));
    options.any(|option| option.eq_ignore_ascii_case(list::EVENTLIST.as_bytes()))
}
