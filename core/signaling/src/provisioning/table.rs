//! Subscriptions, found by tag, by user, by connection, and by when they end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::Flow;

use super::subscription::Subscription;

#[derive(Default, Debug)]
pub(super) struct Table {
    /// By the tag that we gave the dialog.
    known: BTreeMap<Arc<str>, Subscription>,
    /// By user, the oldest first.
    of_user: BTreeSet<(Arc<str>, u64, Arc<str>)>,
    connections: BTreeSet<(u64, Arc<str>)>,
    due: BTreeSet<(Duration, Arc<str>)>,
    made: u64,
}

impl Table {
    /// Puts a subscription in, anew or again.
    pub(super) fn insert(&mut self, tag: &Arc<str>, mut subscription: Subscription) {
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

    pub(super) fn remove(&mut self, tag: &str) -> Option<(Arc<str>, Subscription)> {
        let (tag, subscription) = self.known.remove_entry(tag)?;
        self.of_user.remove(&(Arc::clone(&subscription.aor), subscription.number, Arc::clone(&tag)));
        if let Some(id) = connection(&subscription) {
            self.connections.remove(&(id, Arc::clone(&tag)));
        }
        self.due.remove(&(subscription.expires, Arc::clone(&tag)));
        Some((tag, subscription))
    }

    pub(super) fn get(&self, tag: &str) -> Option<&Subscription> {
        self.known.get(tag)
    }

    pub(super) fn get_mut(&mut self, tag: &str) -> Option<&mut Subscription> {
        self.known.get_mut(tag)
    }

    pub(super) fn tags(&self) -> Vec<Arc<str>> {
        self.known.keys().cloned().collect()
    }

    pub(super) fn of_user(&self, aor: &str) -> Vec<Arc<str>> {
        let from = (Arc::from(aor), 0, Arc::from(""));
        self.of_user
            .range(from..)
            .take_while(|(of, ..)| **of == *aor)
            .map(|(_, _, tag)| Arc::clone(tag))
            .collect()
    }

    pub(super) fn on_connection(&self, flow: &Flow) -> Vec<Arc<str>> {
        let from = (flow.id, Arc::from(""));
        self.connections
            .range(from..)
            .take_while(|(id, _)| *id == flow.id)
            .map(|(_, tag)| Arc::clone(tag))
            .collect()
    }

    /// The one that ends first, and when.
    pub(super) fn first_due(&self) -> Option<(Duration, Arc<str>)> {
        self.due.first().cloned()
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

fn connection(subscription: &Subscription) -> Option<u64> {
    subscription.flow.transport.is_stream().then_some(subscription.flow.id)
}
