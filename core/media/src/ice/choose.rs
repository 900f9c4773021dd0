//! Which of the pairs that work is taken (RFC 8445, 8).

use std::time::Duration;

use super::agent::Agent;
use super::checklist::State;
use super::consent::Chosen;
use super::{Base, End, Event, Path};

/// How long better pairs are waited for once one works: a NAT that must first be opened from inside answers the second
/// check, half a second after the first.
pub(super) const PATIENCE: Duration = Duration::from_millis(1200);

impl Agent {
    /// Chooses where we are the one who does: the best pair that works, as soon as no better one may still come.
    pub(super) fn choose(&mut self, now: Duration) {
        if !self.controlling || self.remote.is_none() {
            return;
        }
        let ripe: Vec<_> = self.open.iter().filter_map(|(of, first)| Some((*of, (*first)?))).collect();
        for (component, first) in ripe {
            let best = self.list.best(true, |pair| pair.component == component && pair.is_valid());
            let Some(best) = best else { continue };
            let Some(pair) = self.list.pairs.get(best) else { continue };
            let better = |other: &super::checklist::Pair| {
                other.component == component && other.is_open() && other.priority(true) > pair.priority(true)
            };
            let is_nominated =
                self.list.pairs.iter().any(|pair| pair.component == component && pair.nominated);
            let is_ripe = now >= first + PATIENCE || !self.list.pairs.iter().any(better);
            if !is_ripe || is_nominated {
                continue;
            }
            if let Some(pair) = self.list.pairs.get_mut(best) {
                pair.nominated = true;
            }
            self.list.trigger(best);
        }
    }

    /// When a choice is made at the latest.
    pub(super) fn choice(&self) -> Option<Duration> {
        let is_made =
            |component| self.list.pairs.iter().any(|pair| pair.component == component && pair.nominated);
        let ripe = self.open.iter().filter(|(component, _)| self.controlling && !is_made(**component));
        ripe.filter_map(|(_, first)| Some((*first)? + PATIENCE)).min()
    }

    /// This pair is it, unless a better one was chosen before: peers of RFC 5245 may choose several.
    pub(super) fn take(&mut self, now: Duration, at: usize) {
        let Some(pair) = self.list.pairs.get(at) else { return };
        let (Some(local), priority) = (pair.mapped, pair.priority(self.controlling)) else { return };
        let component = pair.component;
        let remote = End { kind: pair.remote.kind, address: pair.remote.address };
        let relaying = match pair.base {
            Base::Relay(at) => self.gathering.relays.get(at).map(|relay| relay.relaying),
            Base::Port(..) => None,
        };
        let path = Path { component, local, remote, relaying, port: self.gathering.address(pair.base) };
        let (base, is_new) = (pair.base, self.open.remove(&component).is_some());
        let is_better = self.chosen.get(&component).is_none_or(|chosen| is_new || priority > chosen.priority);
        if !is_better {
            return;
        }
        self.chosen.insert(component, Chosen::new(path, base, priority, now, &mut self.random));
        if let Base::Relay(relay) = base {
            if let Some(relay) = self.gathering.relays.get_mut(relay) {
                relay.client.bind(now, &mut self.random, remote.address);
            }
            self.drain_relay(relay);
        }
        let is_worse = |pair: &&mut super::checklist::Pair| {
            pair.component == component && pair.is_open() && pair.priority(self.controlling) < priority
        };
        // RFC 8445, 8.1.2.
        self.list
            .pairs
            .iter_mut()
            .filter(is_worse)
            .for_each(|pair| (pair.state, pair.asked) = (State::Failed, None));
        self.tell(Event::Chosen(path));
        self.settle(now);
    }
}
