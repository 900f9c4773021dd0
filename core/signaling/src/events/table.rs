//! Subscriptions, found by tag, by user, by connection, and by when they end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::Flow;

use super::dialog::Subscription;

#[derive(Debug)]
pub(crate) struct Table<T> {
    /// By the tag that we gave the dialog.
    known: BTreeMap<Arc<str>, Subscription<T>>,
    /// By user, the oldest first.
    of_user: BTreeSet<(Arc<str>, u64, Arc<str>)>,
    connections: BTreeSet<(u64, Arc<str>)>,
    due: BTreeSet<(Duration, Arc<str>)>,
    made: u64,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table {
            known: BTreeMap::new(),
            of_user: BTreeSet::new(),
            connections: BTreeSet::new(),
            due: BTreeSet::new(),
            made: 0,
        }
    }
}

impl<T> Table<T> {
    /// Puts a subscription in, anew or again.
    pub(crate) fn insert(&mut self, tag: &Arc<str>, mut subscription: Subscription<T>) {
        self.remove(tag);
        if subscription.number == 0 {
            self.made += 1;
            subscription.number = self.made;
        }
        self.of_user.insert((Arc::clone(&subscription.aor), subscription.number, Arc::clone(tag)));
        self.connections.extend(connection(&subscription).map(|id| (id, Arc::clone(tag))));
        self.due.insert((subscription.expires, Arc::clone(tag)));
        self.known.insert(Arc::clone(tag), subscription);
    }

    pub(crate) fn remove(&mut self, tag: &str) -> Option<(Arc<str>, Subscription<T>)> {
        let (tag, subscription) = self.known.remove_entry(tag)?;
        self.of_user.remove(&(Arc::clone(&subscription.aor), subscription.number, Arc::clone(&tag)));
        if let Some(id) = connection(&subscription) {
            self.connections.remove(&(id, Arc::clone(&tag)));
        }
        self.due.remove(&(subscription.expires, Arc::clone(&tag)));
        Some((tag, subscription))
    }

    pub(crate) fn get(&self, tag: &str) -> Option<&Subscription<T>> {
        self.known.get(tag)
    }

    /// The same with the tag as the table has it.
    pub(crate) fn get_entry(&self, tag: &str) -> Option<(&Arc<str>, &Subscription<T>)> {
        self.known.get_key_value(tag)
    }

    pub(crate) fn get_mut(&mut self, tag: &str) -> Option<&mut Subscription<T>> {
        self.known.get_mut(tag)
    }

    pub(crate) fn tags(&self) -> Vec<Arc<str>> {
        self.known.keys().cloned().collect()
    }

    pub(crate) fn of_user(&self, aor: &str) -> Vec<Arc<str>> {
        let from = (Arc::from(aor), 0, Arc::from(""));
        self.of_user
            .range(from..)
            .take_while(|(of, ..)| **of == *aor)
            .map(|(_, _, tag)| Arc::clone(tag))
            .collect()
    }

    pub(crate) fn on_connection(&self, flow: &Flow) -> Vec<Arc<str>> {
        let from = (flow.id, Arc::from(""));
        self.connections
            .range(from..)
            .take_while(|(id, _)| *id == flow.id)
            .map(|(_, tag)| Arc::clone(tag))
            .collect()
    }

    /// The one that ends first, and when.
    pub(crate) fn first_due(&self) -> Option<(Duration, Arc<str>)> {
        self.due.first().cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}

fn connection<T>(subscription: &Subscription<T>) -> Option<u64> {
    subscription.flow.transport.is_stream().then_some(subscription.flow.id)
}
