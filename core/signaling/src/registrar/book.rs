//! Users with their bindings, found by address of record, by connection, and by when something ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::Flow;

use super::route;
use crate::contract::{Binding, Change, Event, Output};
use crate::user::User;

/// So many kinds of phones share their names.
const AGENTS: usize = 256;

/// Every change goes through [`Book::replace`], which keeps the indexes true and says what must be saved.
#[derive(Default, Debug)]
pub(super) struct Book {
    accounts: BTreeMap<Arc<str>, Account>,
    /// When the first binding of a user ends.
    due: BTreeSet<(Duration, Arc<str>)>,
    /// Users reached over a connection.
    connections: BTreeSet<(u64, Arc<str>)>,
    bindings: usize,
    /// What phones call themselves: there are few of a kind, and many of each.
    agents: BTreeSet<Arc<str>>,
    /// Whose contacts were changed or refreshed.
    moved: VecDeque<Arc<str>>,
    /// How often somebody has come or gone.
    comings: u64,
}

#[derive(Debug)]
struct Account {
    user: User,
    bindings: Vec<Arc<Binding>>,
}

impl Book {
    pub(super) fn new(users: Vec<User>, bindings: Vec<Binding>) -> Book {
        let mut book = Book::default();
        users.into_iter().for_each(|user| book.put_user(user));
        let mut loaded: BTreeMap<Arc<str>, Vec<Arc<Binding>>> = BTreeMap::new();
        for binding in bindings {
            if let Some((aor, _)) = book.user(&binding.aor) {
                let aor = Arc::clone(aor);
                let user_agent = book.agent(&binding.user_agent);
                let binding = Binding { aor: Arc::clone(&aor), user_agent, ..route::after_restart(binding) };
                loaded.entry(aor).or_default().push(Arc::new(binding));
            }
        }
        for (aor, bindings) in loaded {
            // What comes from the store needs not be saved.
            book.replace(&aor, bindings, &mut VecDeque::new());
        }
        // Nobody watches yet.
        book.moved.clear();
        book
    }

    pub(super) fn user(&self, aor: &str) -> Option<(&Arc<str>, &User)> {
        self.accounts.get_key_value(aor).map(|(aor, account)| (aor, &account.user))
    }

    /// The users whose names come after this one, in their order.
    pub(super) fn users_after(&self, last: &str) -> impl Iterator<Item = &Arc<str>> {
        let from = (std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded);
        self.accounts.range::<str, _>(from).map(|(aor, _)| aor)
    }

    /// How often a user has come or gone.
    pub(super) fn comings(&self) -> u64 {
        self.comings
    }

    /// The bindings of a user, the newest last.
    pub(super) fn bindings(&self, aor: &str) -> &[Arc<Binding>] {
        self.accounts.get(aor).map_or(&[], |account| &account.bindings)
    }

    pub(super) fn put_user(&mut self, user: User) {
        match self.accounts.get_mut(user.aor.as_str()) {
            Some(account) => account.user = user,
            None => {
                self.comings += 1;
                let account = Account { user, bindings: Vec::new() };
                self.accounts.insert(Arc::from(account.user.aor.as_str()), account);
            }
        }
    }

    pub(super) fn remove_user(&mut self, aor: &str, out: &mut VecDeque<Output>) {
        if let Some((aor, _)) = self.user(aor) {
            let aor = Arc::clone(aor);
            self.replace(&aor, Vec::new(), out);
            self.accounts.remove(&aor);
            self.comings += 1;
        }
    }

    /// What a phone calls itself: the text that others of its kind have already.
    pub(super) fn agent(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.agents.get(name) {
            return Arc::clone(known);
        }
        if self.agents.len() >= AGENTS {
            self.agents.clear();
        }
        let new: Arc<str> = Arc::from(name);
        self.agents.insert(Arc::clone(&new));
        new
    }

    /// From now on a user has these bindings. Tells what is new, changed and gone.
    pub(super) fn replace(&mut self, aor: &Arc<str>, mut new: Vec<Arc<Binding>>, out: &mut VecDeque<Output>) {
        let Some(account) = self.accounts.get_mut(aor) else { return };
        new.shrink_to_fit();
        let old = std::mem::replace(&mut account.bindings, new);
        let new = &account.bindings;
        tell(aor, &old, new, out);
        for id in old.iter().filter_map(|binding| route::connection(binding)) {
            self.connections.remove(&(id, Arc::clone(aor)));
        }
        let ids = new.iter().filter_map(|binding| route::connection(binding));
        self.connections.extend(ids.map(|id| (id, Arc::clone(aor))));
        let first = |bindings: &[Arc<Binding>]| bindings.iter().map(|binding| binding.expires).min();
        if let Some(due) = first(&old) {
            self.due.remove(&(due, Arc::clone(aor)));
        }
        self.due.extend(first(new).map(|due| (due, Arc::clone(aor))));
        self.bindings = self.bindings + new.len() - old.len();
        self.moved.push_back(Arc::clone(aor));
    }

    /// A user whose contacts were changed or refreshed.
    pub(super) fn poll_moved(&mut self) -> Option<Arc<str>> {
        self.moved.pop_front()
    }

    /// The users who are reached over a connection.
    pub(super) fn on_connection(&self, flow: &Flow) -> Vec<Arc<str>> {
        let from = (flow.id, Arc::from(""));
        self.connections
            .range(from..)
            .take_while(|(id, _)| *id == flow.id)
            .map(|(_, aor)| Arc::clone(aor))
            .collect()
    }

    /// A user of whom a binding has ended by now.
    pub(super) fn due(&self, now: Duration) -> Option<Arc<str>> {
        self.due.first().filter(|(due, _)| *due <= now).map(|(_, aor)| Arc::clone(aor))
    }

    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    pub(super) fn counts(&self) -> (usize, usize) {
        (self.accounts.len(), self.bindings)
    }
}

fn tell(aor: &Arc<str>, old: &[Arc<Binding>], new: &[Arc<Binding>], out: &mut VecDeque<Output>) {
    let with_key = |of: &'_ [Arc<Binding>], key: &str| of.iter().position(|binding| *binding.key == *key);
    for gone in old.iter().filter(|gone| with_key(new, &gone.key).is_none()) {
        out.push_back(Output::Save(Change::Unbind { aor: Arc::clone(aor), key: Arc::clone(&gone.key) }));
        out.push_back(Output::Event(Event::Unregistered { aor: Arc::clone(aor) }));
    }
    for binding in new {
        let known = with_key(old, &binding.key).and_then(|at| old.get(at));
        if known.is_none_or(|known| !Arc::ptr_eq(known, binding)) {
            out.push_back(Output::Save(Change::Bind(Arc::clone(binding))));
        }
        if known.is_none() {
            out.push_back(Output::Event(Event::Registered { aor: Arc::clone(aor) }));
        }
    }
}
