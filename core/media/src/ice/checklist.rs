//! The pairs of all candidates, and which one is checked next (RFC 8445, 6.1.2 and 6.1.4).

use std::collections::VecDeque;
use std::time::Duration;

use super::candidate::Candidate;
use super::{Base, End};
use crate::leg::Component;

/// The most pairs (RFC 8445, 6.1.2.5).
const MOST_PAIRS: usize = 100;
/// The first time to wait for an answer (RFC 8445, 14.3).
const RTO: Duration = Duration::from_millis(500);
/// How often a check is sent, and how long the last one is waited for: half of what RFC 8489 has for servers. A path that
/// loses six checks in a row is none.
const TRIES: u32 = 6;
const LAST: Duration = Duration::from_secs(4);

/// Where a pair stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Another with the same foundations is tried first.
    Frozen,
    Waiting,
    InProgress,
    Succeeded,
    Failed,
}

/// One of ours and one of theirs.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) component: Component,
    pub(super) base: Base,
    /// That of the base.
    pub(super) local: Candidate,
    pub(super) remote: Candidate,
    pub(super) state: State,
    pub(super) asked: Option<Asked>,
    /// Our end as the peer sees it, once that is known: then the pair is valid.
    pub(super) mapped: Option<End>,
    /// The peer has checked it.
    pub(super) heard: bool,
    /// We choose it, or the peer has chosen it before it was valid.
    pub(super) nominated: bool,
}

/// A check whose answer is awaited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) id: [u8; 12],
    /// Our role in it.
    pub(super) controlling: bool,
    pub(super) nominates: bool,
    /// When it is repeated, or given up.
    pub(super) due: Duration,
    tries: u32,
}

/// All pairs.
#[derive(Debug, Default)]
pub(super) struct Checklist {
    pub(super) pairs: Vec<Pair>,
    /// Those that are checked before all others (RFC 8445, 6.1.4.1).
    triggered: VecDeque<usize>,
}

impl Pair {
    /// RFC 8445, 6.1.2.3.
    pub(super) fn priority(&self, controlling: bool) -> u64 {
        let (ours, theirs) = (u64::from(self.local.priority), u64::from(self.remote.priority));
        let (g, d) = if controlling { (ours, theirs) } else { (theirs, ours) };
        (g.min(d) << 32) + 2 * g.max(d) + u64::from(g > d)
    }

    pub(super) fn is_valid(&self) -> bool {
        self.state == State::Succeeded && self.mapped.is_some()
    }

    /// Nothing is known of it yet.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Frozen | State::Waiting | State::InProgress)
    }

    fn foundation(&self) -> (u32, u32) {
        (self.local.foundation, self.remote.foundation)
    }
}

impl Asked {
    pub(super) fn new(id: [u8; 12], controlling: bool, nominates: bool, now: Duration) -> Asked {
        Asked { id, controlling, nominates, due: now + RTO, tries: 1 }
    }

    /// Appoints the next repetition; `false` if it was the last.
    pub(super) fn repeat(&mut self, now: Duration) -> bool {
        if self.tries >= TRIES {
            return false;
        }
        self.tries += 1;
        self.due = now + if self.tries == TRIES { LAST } else { RTO * (1 << (self.tries - 1)) };
        true
    }
}

impl Checklist {
    /// A new pair, unless there are too many; one that is there already keeps its state.
    pub(super) fn add(&mut self, base: Base, local: Candidate, remote: Candidate) -> Option<usize> {
        let same = |pair: &Pair| {
            pair.component == local.component && pair.base == base && pair.remote.address == remote.address
        };
        if let Some(at) = self.pairs.iter().position(same) {
            return Some(at);
        }
        let family = |candidate: &Candidate| candidate.address.is_ipv4();
        if self.pairs.len() >= MOST_PAIRS || family(&local) != family(&remote) {
            return None;
        }
        self.pairs.push(Pair {
            component: local.component,
            base,
            local,
            remote,
            state: State::Frozen,
            asked: None,
            mapped: None,
            heard: false,
            nominated: false,
        });
        Some(self.pairs.len() - 1)
    }

    /// Of all pairs with the same foundations, the best one is tried first (RFC 8445, 6.1.2.6).
    pub(super) fn thaw(&mut self, controlling: bool) {
        for at in self.by_priority(controlling) {
            let Some(foundation) = self.pairs.get(at).map(Pair::foundation) else { continue };
            let others = |pair: &Pair| pair.foundation() == foundation && pair.state != State::Frozen;
            let is_first = !self.pairs.iter().any(others);
            if let Some(pair) = self.pairs.get_mut(at).filter(|pair| pair.state == State::Frozen && is_first)
            {
                pair.state = State::Waiting;
            }
        }
    }

    /// What works for one may work for all of its foundations (RFC 8445, 7.2.5.3.3).
    pub(super) fn thaw_like(&mut self, at: usize) {
        let Some(foundation) = self.pairs.get(at).map(Pair::foundation) else { return };
        let like = |pair: &&mut Pair| pair.foundation() == foundation && pair.state == State::Frozen;
        self.pairs.iter_mut().filter(like).for_each(|pair| pair.state = State::Waiting);
    }

    /// It is checked as soon as a check may be sent.
    pub(super) fn trigger(&mut self, at: usize) {
        if !self.triggered.contains(&at) {
            self.triggered.push_back(at);
        }
    }

    /// The next one to check: of components that have no path yet, those triggered excepted.
    pub(super) fn next(&mut self, controlling: bool, is_done: impl Fn(Component) -> bool) -> Option<usize> {
        if let Some(at) = self.triggered.pop_front() {
            return Some(at);
        }
        let order = self.by_priority(controlling);
        let in_state = |state| {
            let fits = |pair: &Pair| pair.state == state && !is_done(pair.component);
            order.iter().copied().find(|at| self.pairs.get(*at).is_some_and(fits))
        };
        in_state(State::Waiting).or_else(|| in_state(State::Frozen))
    }

    /// Whether [`Checklist::next`] would find one.
    pub(super) fn has_next(&self, is_done: impl Fn(Component) -> bool) -> bool {
        let fits = |pair: &Pair| matches!(pair.state, State::Waiting | State::Frozen);
        !self.triggered.is_empty() || self.pairs.iter().any(|pair| fits(pair) && !is_done(pair.component))
    }

    /// The best of those that fit.
    pub(super) fn best(&self, controlling: bool, fits: impl Fn(&Pair) -> bool) -> Option<usize> {
        let fitting = self.pairs.iter().enumerate().filter(|(_, pair)| fits(pair));
        fitting.max_by_key(|(_, pair)| pair.priority(controlling)).map(|(at, _)| at)
    }

    fn by_priority(&self, controlling: bool) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.pairs.len()).collect();
        let priority = |at: &usize| self.pairs.get(*at).map_or(0, |pair| pair.priority(controlling));
        order.sort_by_key(|at| std::cmp::Reverse(priority(at)));
        order
    }
}
