//! What comes to its end: by time, by the client's wish, with its connection, or because it is forbidden from now on.

use std::time::Duration;

use crate::allocation::{Allocation, Leg};
use crate::connect::is_of;
use crate::contract::{Event, Flow, Output};
use crate::relay::Relay;
use crate::table::{Due, Slot};

impl Relay {
    /// Ends all that is due.
    pub(crate) fn lapse(&mut self, now: Duration) {
        while let Some(due) = self.timers.pop(now) {
            match due {
                Due::Allocation(slot) => {
                    self.table.get_mut(slot).into_iter().for_each(|allocation| allocation.due = None);
                    self.lapse_allocation(now, slot);
                }
                Due::Reservation(token) => self.lapse_reservation(token),
            }
        }
    }

    /// Ends what is due of one allocation, and the allocation with its last leg.
    pub(crate) fn lapse_allocation(&mut self, now: Duration, slot: Slot) {
        let Some(allocation) = self.table.get_mut(slot) else { return };
        if let Some(opening) = &allocation.opening {
            return match opening.until <= now {
                true => self.give_up_opening(now, slot),
                false => self.schedule(now, slot),
            };
        }
        let ended: Vec<Leg> = allocation.legs().filter(|leg| leg.until <= now).copied().collect();
        if ended.len() == allocation.legs().count() {
            return self.remove_allocation(now, slot);
        }
        self.retain(slot, |channel| channel > now, |permission| permission > now);
        for leg in ended {
            self.close_leg(slot, leg);
        }
        self.end_links(slot, |link| link.until().is_some_and(|until| until <= now));
        self.issue_rules(slot, false);
        self.schedule(now, slot);
    }

    /// Sets the timer of an allocation, if it has none that is as early.
    pub(crate) fn schedule(&mut self, now: Duration, slot: Slot) {
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let Some(next) = allocation.next_end().map(|end| end.max(now)) else { return };
        if allocation.due.is_some_and(|due| due <= next) {
            return;
        }
        if let Some(due) = allocation.due.replace(next) {
            self.timers.cancel(due, Due::Allocation(slot));
        }
        self.timers.set(next, Due::Allocation(slot));
    }

    pub(crate) fn closed(&mut self, now: Duration, flow: Flow) {
        self.table.of_flow(&flow).into_iter().for_each(|slot| self.remove_allocation(now, slot));
    }

    /// Ends what is with peers of addresses that may not be reached any more. A port that the plan names no longer ends nothing: what
    /// was allowed when it began goes on.
    pub(crate) fn forbid_anew(&mut self, slot: Slot) {
        let (peers, mut forbidden) = (self.config.peers.clone(), Vec::new());
        let Some(allocation) = self.table.get(slot) else { return };
        let bound = allocation.channels.iter().map(|channel| channel.peer);
        let linked = allocation.links.iter().map(|link| link.peer);
        forbidden.extend(bound.chain(linked).filter(|peer| !self.keeps(*peer)));
        self.end_links(slot, |link| forbidden.contains(&link.peer));
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let (channels, permissions) = (allocation.channels.len(), allocation.permissions.len());
        let removed: Vec<_> = allocation
            .channels
            .extract_if(.., |channel| forbidden.contains(&channel.peer))
            .filter_map(|c| c.rule)
            .collect();
        allocation.permissions.retain(|permission| peers.permit(permission.peer));
        self.counts.channels -= channels - allocation.channels.len();
        self.counts.permissions -= permissions - allocation.permissions.len();
        removed.into_iter().for_each(|rule| self.remove_rule(rule));
    }

    /// Takes an allocation away with all that belongs to it, rules before ports.
    pub(crate) fn remove_allocation(&mut self, now: Duration, slot: Slot) {
        self.retain(slot, |_| false, |_| false);
        let Some(allocation) = self.table.get(slot) else { return };
        let legs: Vec<Leg> = allocation.legs().copied().collect();
        let was_there = !legs.is_empty() && allocation.opening.is_none();
        legs.into_iter().for_each(|leg| self.close_leg(slot, leg));
        let Some(allocation) = self.table.remove(slot) else { return };
        if let Some(due) = allocation.due {
            self.timers.cancel(due, Due::Allocation(slot));
        }
        if let Some(opening) = &allocation.opening {
            // The ports that may still be opened are closed when they come.
            let holder = allocation.holder();
            for (wish, _) in &opening.wishes {
                self.wishes.remove(wish);
                (0..=u8::from(opening.next)).for_each(|_| self.users.give_back(&holder));
            }
        }
        self.out.push_back(Output::Distrust(allocation.flow));
        if was_there {
            self.out.push_back(Output::Event(released(now, &allocation)));
        }
    }

    /// Keeps the channels and permissions whose ends pass.
    fn retain(
        &mut self,
        slot: Slot,
        channel: impl Fn(Duration) -> bool,
        permission: impl Fn(Duration) -> bool,
    ) {
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let (channels, permissions) = (allocation.channels.len(), allocation.permissions.len());
        let ended = allocation.channels.extract_if(.., |bound| !channel(bound.until));
        let rules: Vec<_> = ended.filter_map(|bound| bound.rule).collect();
        allocation.permissions.retain(|permitted| permission(permitted.until));
        self.counts.channels -= channels - allocation.channels.len();
        self.counts.permissions -= permissions - allocation.permissions.len();
        rules.into_iter().for_each(|rule| self.remove_rule(rule));
    }

    fn close_leg(&mut self, slot: Slot, leg: Leg) {
        let Some(allocation) = self.table.get_mut(slot) else { return };
        allocation.legs.iter_mut().filter(|own| **own == Some(leg)).for_each(|own| *own = None);
        let holder = allocation.holder();
        self.issue_rules(slot, false);
        self.end_links(slot, |link| is_of(link, leg.relayed));
        self.table.remove_port(&leg);
        self.users.give_back(&holder);
        self.out.push_back(Output::Close(leg.port));
    }
}

fn released(now: Duration, allocation: &Allocation) -> Event {
    Event::Released {
        user: allocation.user.clone(),
        flow: allocation.flow,
        age: now.saturating_sub(allocation.born),
        to_client: allocation.to_client,
        to_peer: allocation.to_peer,
    }
}
