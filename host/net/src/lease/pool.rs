//! Which ports are free, leased, at rest or somebody else's. Opens nothing; the time is an argument.
//!
//! The ports of a range queue up: in a shuffled order at first, and who comes back goes to the end, so that a port is
//! given out again as late as can be. What a port is used for is known once for all ranges: they may overlap.

use std::collections::VecDeque;
use std::time::Duration;

use carillon_qos::{PortRange, TrafficClass};
use carillon_wire::ip::Dscp;

use super::{ClassPorts, Counts, Policy, Shape};
use crate::bind_error::Holder;

/// How long a port is left alone after use, while others are free: late packets of the call before are not heard
/// by the next.
pub(super) const QUARANTINE: Duration = Duration::from_secs(30);

/// How long a port that somebody else holds is not tried again, even if no other is left: what is short-lived is soon gone, and who
/// asks again and again does not make us try a whole range each time.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// Once so many ports would do, the best of them is taken.
const ENOUGH: usize = 64;

/// The ports of one address.
pub(super) struct Pool {
    /// By port.
    uses: Vec<Use>,
    /// In the order of [`TrafficClass::MEDIA`].
    classes: [Class; 4],
    /// One for each range that some class has.
    queues: Vec<Queue>,
    random: Random,
}

/// The ports of a range, by the end of their rest. An entry counts as long as the port's use says the same time.
struct Queue {
    range: PortRange,
    entries: VecDeque<(Duration, u16)>,
}

#[derive(Clone, Copy)]
enum Use {
    Free,
    Leased,
    /// Was leased; better not taken before.
    Resting(Duration),
    /// Found taken by somebody else; better not tried before, and for [`RETRY`] not at all.
    Blocked(Duration),
}

struct Class {
    range: PortRange,
    planned: bool,
    mark: Dscp,
    sessions: u32,
    exhausted: u64,
    /// Who holds a blocked port, as of then.
    holder: Option<(Duration, Option<Holder>)>,
}

/// Ports given out together, with the mark that goes with them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Taken {
    pub(super) rtp: u16,
    pub(super) rtcp: Option<u16>,
    pub(super) mark: Dscp,
}

/// How well a port would do, the best first: how long it still ought to rest, and whether it is half of a free pair.
type Rank = (Duration, bool);

impl Pool {
    pub(super) fn new(policy: &Policy, seed: u64) -> Pool {
        let classes = TrafficClass::MEDIA.map(|class| Class::new(policy.class(class)));
        let (uses, queues) = (vec![Use::Free; 1 << 16], Vec::new());
        let mut pool = Pool { uses, classes, queues, random: Random(seed) };
        pool.queue_up();
        pool
    }

    /// New ranges and marks for what is leased from now on.
    pub(super) fn set_policy(&mut self, policy: &Policy) {
        for (class, current) in TrafficClass::MEDIA.into_iter().zip(&mut self.classes) {
            let (sessions, exhausted) = (current.sessions, current.exhausted);
            *current = Class { sessions, exhausted, ..Class::new(policy.class(class)) };
        }
        self.queue_up();
    }

    /// Takes what is asked for from the range of the class. Ports at rest, and those that were found taken, come only when there are
    /// no others, those left alone longest first.
    pub(super) fn take(&mut self, now: Duration, class: TrafficClass, shape: Shape) -> Option<Taken> {
        let rtp = self.choose(now, class, shape);
        let chosen = &mut self.classes[index(class)];
        let Some(rtp) = rtp else {
            chosen.exhausted += 1;
            return None;
        };
        chosen.sessions += 1;
        let taken = Taken { rtp, rtcp: (shape == Shape::Pair).then(|| rtp + 1), mark: chosen.mark };
        for port in [Some(rtp), taken.rtcp].into_iter().flatten() {
            self.uses[usize::from(port)] = Use::Leased;
        }
        self.queues.iter_mut().for_each(|queue| queue.tidy(&self.uses));
        Some(taken)
    }

    /// A leased port comes back and rests.
    pub(super) fn give_back(&mut self, now: Duration, port: u16) {
        if matches!(self.uses[usize::from(port)], Use::Leased) {
            self.lay_aside(port, now + QUARANTINE, Use::Resting);
        }
    }

    /// The second port of a pair becomes a session of its own.
    pub(super) fn part_session(&mut self, class: TrafficClass) {
        self.classes[index(class)].sessions += 1;
    }

    /// A session of the class is over, or did not come about.
    pub(super) fn end_session(&mut self, class: TrafficClass) {
        let sessions = &mut self.classes[index(class)].sessions;
        *sessions = sessions.saturating_sub(1);
    }

    /// A port turned out to be somebody else's: it is left alone for a while.
    pub(super) fn block(&mut self, now: Duration, port: u16) {
        self.lay_aside(port, now + QUARANTINE, Use::Blocked);
    }

    /// What is told about a class.
    pub(super) fn counts(&self, now: Duration, class: TrafficClass) -> Counts {
        let Class { range, planned, sessions, exhausted, .. } = self.classes[index(class)];
        let count = |is: fn(Use, Duration) -> bool| {
            let ports = &self.uses[usize::from(range.start())..=usize::from(range.end())];
            ports.iter().filter(|port| is(**port, now)).count() as u32
        };
        let leased = count(|port, _| matches!(port, Use::Leased));
        let quarantined = count(|port, now| matches!(port, Use::Resting(until) if until > now));
        let blocked = count(|port, now| matches!(port, Use::Blocked(until) if until > now));
        Counts { class, range, planned, leased, quarantined, blocked, sessions, exhausted }
    }

    /// Who holds one of the blocked ports of a class: `ask` is asked now and then, for it takes its time.
    pub(super) fn holder(
        &mut self,
        now: Duration,
        class: TrafficClass,
        ask: impl FnOnce(u16) -> Option<Holder>,
    ) -> Option<Holder> {
        let blocked =
            |port: &u16| matches!(self.uses[usize::from(*port)], Use::Blocked(until) if until > now);
        let known = &mut self.classes[index(class)];
        let port = (known.range.start()..=known.range.end()).find(blocked)?;
        match &known.holder {
            Some((then, holder)) if now < *then + QUARANTINE => holder.clone(),
            _ => known.holder.insert((now, ask(port))).1.clone(),
        }
    }

    /// Whoever comes last waits longest: the queues stay in order.
    fn lay_aside(&mut self, port: u16, until: Duration, how: fn(Duration) -> Use) {
        self.uses[usize::from(port)] = how(until);
        for queue in self.queues.iter_mut().filter(|queue| queue.range.contains(port)) {
            queue.entries.push_back((until, port));
        }
    }

    /// Makes the queues that the ranges of now need.
    fn queue_up(&mut self) {
        self.queues.clear();
        for range in self.classes.each_ref().map(|class| class.range) {
            if self.queues.iter().any(|queue| queue.range == range) {
                continue;
            }
            let mut ports: Vec<u16> = (range.start()..=range.end()).collect();
            self.random.shuffle(&mut ports);
            let entry = |port: u16| Some((self.uses[usize::from(port)].until()?, port));
            let mut entries: Vec<_> = ports.into_iter().filter_map(entry).collect();
            entries.sort_by_key(|(until, _)| *until);
            self.queues.push(Queue { range, entries: entries.into() });
        }
    }

    /// The best port for a class.
    fn choose(&self, now: Duration, class: TrafficClass, shape: Shape) -> Option<u16> {
        let range = self.classes[index(class)].range;
        let queue = self.queues.iter().find(|queue| queue.range == range)?;
        let (mut best, mut rested): (Option<(Rank, u16)>, usize) = (None, 0);
        for (until, port) in queue.entries.iter().filter(|entry| is_valid(&self.uses, entry)) {
            // Those that follow have to rest as long, or longer.
            if best.is_some_and(|((wait, _), _)| wait < until.saturating_sub(now)) {
                break;
            }
            let Some(rank) = self.rank(now, range, *port, shape) else { continue };
            if best.is_none_or(|(best, _)| rank < best) {
                best = Some((rank, *port));
            }
            rested += usize::from(rank.0.is_zero());
            if rank == (Duration::ZERO, false) || rested == ENOUGH {
                break;
            }
        }
        best.map(|(_, port)| port)
    }

    /// How well a port would do for RTP; `None` if not at all.
    fn rank(&self, now: Duration, range: PortRange, port: u16, shape: Shape) -> Option<Rank> {
        if shape != Shape::Any && !port.is_multiple_of(2) {
            return None;
        }
        let wait = self.wait(now, port)?;
        let partner = Some(port ^ 1).filter(|partner| range.contains(*partner));
        let of_partner = partner.and_then(|partner| self.wait(now, partner));
        match shape {
            Shape::Any | Shape::Even => Some((wait, of_partner.is_some())),
            Shape::Pair => Some((wait.max(of_partner?), false)),
        }
    }

    /// How long a port still ought to rest; `None` if it can't be had.
    fn wait(&self, now: Duration, port: u16) -> Option<Duration> {
        match self.uses[usize::from(port)] {
            Use::Leased => None,
            Use::Blocked(until) if until > now + QUARANTINE - RETRY => None,
            Use::Resting(until) | Use::Blocked(until) => Some(until.saturating_sub(now)),
            Use::Free => Some(Duration::ZERO),
        }
    }
}

impl Class {
    fn new(ports: ClassPorts) -> Class {
        let range = ports.range.unwrap_or(PortRange::UNRESTRICTED);
        let planned = range != PortRange::UNRESTRICTED;
        Class { range, planned, mark: ports.mark, sessions: 0, exhausted: 0, holder: None }
    }
}

impl Queue {
    /// Drops entries that count no longer: the first ones, and all once they are the greater part.
    fn tidy(&mut self, uses: &[Use]) {
        while self.entries.front().is_some_and(|entry| !is_valid(uses, entry)) {
            self.entries.pop_front();
        }
        if self.entries.len() > 2 * usize::from(self.range.end() - self.range.start()) + 2 {
            self.entries.retain(|entry| is_valid(uses, entry));
        }
    }
}

fn is_valid(uses: &[Use], (until, port): &(Duration, u16)) -> bool {
    uses[usize::from(*port)].until() == Some(*until)
}

impl Use {
    /// Until when a port ought to rest; `None` while it is leased.
    fn until(self) -> Option<Duration> {
        match self {
            Use::Leased => None,
            Use::Free => Some(Duration::ZERO),
            Use::Resting(until) | Use::Blocked(until) => Some(until),
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): good enough to spread ports, no secret.
struct Random(u64);

impl Random {
    fn shuffle(&mut self, ports: &mut [u16]) {
        for last in (1..ports.len()).rev() {
            let other = self.next() % (last as u64 + 1);
            ports.swap(last, other as usize);
        }
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The place of a class that has media ports; callers have refused the others.
fn index(class: TrafficClass) -> usize {
    TrafficClass::MEDIA.iter().position(|media| *media == class).unwrap_or_default()
}

#[cfg(test)]
mod tests;
