//! Who is told what, and when.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::compose::{closed, compose};
use super::list::{self, Entry, Head, ROOM, State};
use super::publications;
use super::watch::Subject;
use super::watchers::{self, Watcher};
use super::{Contact, Handling, PAUSE, Presence, Subscription};
use crate::events::Body;
use crate::registrar::Registrar;

/// What a NOTIFY says.
struct Told {
    pending: bool,
    /// Content-Type and document.
    body: Option<(String, Arc<str>)>,
    require: Option<&'static str>,
}

impl Presence {
    /// What becomes of a watcher of this user.
    pub(super) fn handling(&self, of: &str, watcher: &str) -> Handling {
        let said = || self.rosters.get(of).and_then(|roster| roster.handling(watcher));
        if of == watcher { Handling::Allow } else { said().unwrap_or(self.others) }
    }

    /// What is seen of a user.
    pub(super) fn compose(&self, now: Duration, aor: &str, registrar: &Registrar) -> String {
        compose(aor, &self.publications.said(aor), registrar.is_reachable(now, aor))
    }

    /// The subscriptions by which a user is watched.
    pub(super) fn watchers(&self, aor: &str) -> Vec<Arc<str>> {
        tags(&self.watched, aor)
    }

    /// Those who want to know the watchers of a user are told.
    pub(super) fn watchers_changed(&mut self, now: Duration, aor: &str) {
        for tag in tags(&self.observers, aor) {
            self.schedule(now, &tag);
        }
    }

    /// Notes whom a new subscription watches.
    pub(super) fn index(&mut self, now: Duration, tag: &Arc<str>, registrar: &Registrar) {
        let Some(known) = self.table.get(tag) else { return };
        if let Subject::Watchers(of) = &known.state.subject {
            self.observers.insert((Arc::clone(of), Arc::clone(tag)));
            return;
        }
        for aor in self.watches(tag) {
            if !self.views.contains_key(&aor) && registrar.knows(&aor) {
                let view = Arc::from(self.compose(now, &aor, registrar));
                self.views.insert(Arc::clone(&aor), view);
            }
            self.watched.insert((Arc::clone(&aor), Arc::clone(tag)));
            self.watchers_changed(now, &aor);
        }
    }

    /// A subscription has to be told of this user.
    pub(super) fn owe(&mut self, now: Duration, tag: &Arc<str>, aor: &str) {
        let Some(known) = self.table.get_mut(tag) else { return };
        if let Subject::List { owed, .. } = &mut known.state.subject {
            owed.insert(Arc::from(aor));
        }
        self.schedule(now, tag);
    }

    /// A subscription is told when it may be.
    pub(super) fn schedule(&mut self, now: Duration, tag: &str) {
        let Some(known) = self.table.get_mut(tag) else { return };
        let due = now.max(known.state.next);
        if known.state.due.is_none() {
            known.state.due = Some(due);
            self.behind.insert((due, Arc::from(tag)));
        }
    }

    /// Tells a subscription; if its last answer is still awaited, after that.
    pub(super) fn tell(&mut self, now: Duration, tag: &Arc<str>, registrar: &Registrar) {
        let Some(known) = self.table.get_mut(tag) else { return };
        let due = known.state.due.take();
        if known.state.busy {
            known.state.again = true;
        }
        let busy = known.state.busy;
        due.into_iter().for_each(|due| _ = self.behind.remove(&(due, Arc::clone(tag))));
        if busy {
            return;
        }
        let Some(told) = self.say(now, tag, registrar) else { return self.end_of(now, tag, "rejected") };
        let Some(known) = self.table.get_mut(tag) else { return };
        let left = known.expires.saturating_sub(now).as_secs();
        let word = if told.pending { "pending" } else { "active" };
        known.state.next = now + PAUSE;
        if let Ok(notify) = known.notify(tag, &format!("{word};expires={left}"), told.body()) {
            known.state.busy = true;
            self.notifies.push_back(notify);
        }
        // What did not fit.
        let more = matches!(&known.state.subject, Subject::List { owed, .. } if !owed.is_empty());
        if more {
            self.schedule(now, tag);
        }
    }

    /// Says all for the last time: the client has asked once, or asked for the end.
    pub(super) fn last(&mut self, now: Duration, tag: &Arc<str>, registrar: &Registrar) {
        let told = self.say(now, tag, registrar);
        if let Some(known) = self.table.get_mut(tag) {
            let body = told.as_ref().and_then(Told::body);
            self.notifies.extend(known.notify(tag, "terminated;reason=timeout", body));
        }
        self.forget(now, tag);
    }

    /// Ends a subscription and says so; the answer to that is of no interest.
    pub(super) fn end_of(&mut self, now: Duration, tag: &Arc<str>, reason: &str) {
        if let Some(known) = self.table.get_mut(tag) {
            self.notifies.extend(known.notify(tag, &format!("terminated;reason={reason}"), None));
        }
        self.forget(now, tag);
    }

    /// Forgets a subscription, and those of whom nobody wants to know any more.
    pub(super) fn forget(&mut self, now: Duration, tag: &str) {
        self.unindex(now, tag);
        let Some((tag, subscription)) = self.table.remove(tag) else { return };
        if let Some(due) = subscription.state.due {
            self.behind.remove(&(due, tag));
        }
    }

    /// A subscription watches nobody any more.
    pub(super) fn unindex(&mut self, now: Duration, tag: &str) {
        let Some((tag, known)) = self.table.get_entry(tag) else { return };
        let tag = Arc::clone(tag);
        if let Subject::Watchers(of) = &known.state.subject {
            self.observers.remove(&(Arc::clone(of), tag));
            return;
        }
        for aor in self.watches(&tag) {
            self.watched.remove(&(Arc::clone(&aor), Arc::clone(&tag)));
            self.watchers_changed(now, &aor);
            if self.watchers(&aor).is_empty() {
                self.views.remove(&aor);
            }
        }
    }

    /// Whom a subscription watches.
    fn watches(&self, tag: &str) -> Vec<Arc<str>> {
        match self.table.get(tag).map(|known| &known.state.subject) {
            Some(Subject::User(of)) => vec![Arc::clone(of)],
            Some(Subject::List { of, .. }) => {
                self.contacts(of).map(|contact| Arc::clone(&contact.address)).collect()
            }
            Some(Subject::Watchers(_)) | None => Vec::new(),
        }
    }

    fn contacts(&self, of: &str) -> impl Iterator<Item = &Contact> {
        self.rosters.get(of).into_iter().flat_map(|roster| &roster.contacts)
    }

    /// What a NOTIFY says now; `None` if the watcher may not watch any more.
    fn say(&mut self, now: Duration, tag: &Arc<str>, registrar: &Registrar) -> Option<Told> {
        let known = self.table.get(tag)?;
        match &known.state.subject {
            Subject::User(of) => {
                let document = self.seen_by(of, &known.aor, registrar)?;
                Some(Told::of(publications::TYPE, document))
            }
            Subject::Watchers(of) => {
                let text = watchers::write(of, known.state.version, &self.listed(now, of));
                self.table.get_mut(tag)?.state.version += 1;
                Some(Told::of(watchers::TYPE, State::Active(Some(Arc::from(text)))))
            }
            Subject::List { .. } => self.say_list(tag, registrar),
        }
    }

    /// What a watcher sees of a user; `None`: nothing, it is blocked.
    fn seen_by(&self, of: &str, watcher: &str, registrar: &Registrar) -> Option<State> {
        if !registrar.knows(of) {
            return Some(State::Terminated("noresource"));
        }
        match self.handling(of, watcher) {
            Handling::Allow => Some(State::Active(self.views.get(of).cloned())),
            Handling::PoliteBlock => Some(State::Active(Some(Arc::from(closed(of))))),
            Handling::Confirm => Some(State::Pending),
            Handling::Block => None,
        }
    }

    /// Those who watch a user.
    fn listed<'a>(&'a self, now: Duration, of: &str) -> Vec<Watcher<'a>> {
        let known = self.watchers(of).into_iter().filter_map(|tag| self.table.get_entry(&tag));
        let watcher = |(tag, known): (&'a Arc<str>, &'a Subscription)| {
            let handling = self.handling(of, &known.aor);
            let left = known.expires.saturating_sub(now).as_secs();
            let pending = handling == Handling::Confirm;
            let watcher = Watcher { id: tag, address: &known.aor, pending, left };
            (handling != Handling::Block).then_some(watcher)
        };
        known.filter_map(watcher).collect()
    }

    /// The whole list, or what is owed of it, as far as it fits; the rest stays owed.
    fn say_list(&mut self, tag: &Arc<str>, registrar: &Registrar) -> Option<Told> {
        let known = self.table.get(tag)?;
        let Subject::List { of, uri, owed, full } = &known.state.subject else { return None };
        let (mut entries, mut left, mut room) = (Vec::new(), BTreeSet::new(), ROOM);
        for contact in self.contacts(of).filter(|contact| *full || owed.contains(&contact.address)) {
            let seen = self.seen_by(&contact.address, of, registrar);
            let mut state = seen.unwrap_or(State::Terminated("rejected"));
            if let State::Active(Some(document)) = &state {
                match room.checked_sub(document.len()) {
                    Some(rest) => room = rest,
                    // One that would never fit goes alone.
                    None if room == ROOM => room = 0,
                    None => {
                        left.insert(Arc::clone(&contact.address));
                        state = State::Active(None);
                    }
                }
            }
            let told = *full || !left.contains(&contact.address);
            entries.extend(told.then(|| Entry {
                address: Arc::clone(&contact.address),
                name: contact.name.clone(),
                state,
            }));
        }
        let head = Head { uri, version: known.state.version, full: *full, tag };
        let (kind, text) = list::write(head, &entries);
        self.table.get_mut(tag)?.state.listed(left);
        Some(Told { pending: false, body: Some((kind, Arc::from(text))), require: Some(list::EVENTLIST) })
    }
}

impl Told {
    fn of(kind: &str, state: State) -> Told {
        let pending = state == State::Pending;
        let document = if let State::Active(document) = state { document } else { None };
        Told { pending, body: document.map(|document| (kind.to_owned(), document)), require: None }
    }

    fn body(&self) -> Option<Body<'_>> {
        let (kind, text) = self.body.as_ref()?;
        Some(Body { kind, text, require: self.require })
    }
}

fn tags(of: &BTreeSet<(Arc<str>, Arc<str>)>, aor: &str) -> Vec<Arc<str>> {
    let from = (Arc::from(aor), Arc::from(""));
    of.range(from..).take_while(|(of, _)| **of == *aor).map(|(_, tag)| Arc::clone(tag)).collect()
}
