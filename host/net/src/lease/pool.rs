//! Which ports are free, leased, at rest or somebody else's. Opens nothing; the time is an argument.
//!
//! Each class walks its range in a shuffled order of its own, round and round, so that a port that comes back is
//! given out again as late as can be. What a port is used for is known once for all classes: ranges may overlap.

use std::time::Duration;

use carillon_qos::{PortRange, TrafficClass};
use carillon_wire::ip::Dscp;

use super::{ClassPorts, Counts, Policy, Shape};
use crate::bind_error::Holder;

/// How long a port is left alone after use, while others are free: late packets of the call before are not heard
/// by the next.
pub(super) const QUARANTINE: Duration = Duration::from_secs(30);

/// Once so many ports would do, the best of them is taken.
const ENOUGH: usize = 64;

/// The ports of one address.
pub(super) struct Pool {
    /// By port.
    uses: Vec<Use>,
    /// In the order of [`TrafficClass::MEDIA`].
    classes: [Class; 4],
    random: Random,
}

#[derive(Clone, Copy)]
enum Use {
    Free,
    Leased,
    /// Was leased; better not taken before.
    Resting(Duration),
    /// Found taken by somebody else; not tried before.
    Blocked(Duration),
}

struct Class {
    range: PortRange,
    planned: bool,
    mark: Dscp,
    /// Every port of the range.
    order: Vec<u16>,
    /// Where in `order` the search goes on.
    next: usize,
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
        let mut random = Random(seed);
        let classes = TrafficClass::MEDIA.map(|class| Class::new(policy.class(class), &mut random));
        Pool { uses: vec![Use::Free; 1 << 16], classes, random }
    }

    /// New ranges and marks for what is leased from now on.
    pub(super) fn set_policy(&mut self, policy: &Policy) {
        for (class, current) in TrafficClass::MEDIA.into_iter().zip(&mut self.classes) {
            let (sessions, exhausted) = (current.sessions, current.exhausted);
            let renewed = Class::new(policy.class(class), &mut self.random);
            *current = Class { sessions, exhausted, ..renewed };
        }
    }

    /// Takes what is asked for from the range of the class. Ports at rest are taken only when there are no others,
    /// the longest at rest first.
    pub(super) fn take(&mut self, now: Duration, class: TrafficClass, shape: Shape) -> Option<Taken> {
        let at = self.choose(now, class, shape);
        let chosen = &mut self.classes[index(class)];
        let Some(at) = at else {
            chosen.exhausted += 1;
            return None;
        };
        let rtp = chosen.order[at];
        chosen.next = at + 1;
        chosen.sessions += 1;
        let taken = Taken { rtp, rtcp: (shape == Shape::Pair).then(|| rtp + 1), mark: chosen.mark };
        for port in [Some(rtp), taken.rtcp].into_iter().flatten() {
            self.uses[usize::from(port)] = Use::Leased;
        }
        Some(taken)
    }

    /// A leased port comes back and rests.
    pub(super) fn give_back(&mut self, now: Duration, port: u16) {
        let used = &mut self.uses[usize::from(port)];
        if matches!(used, Use::Leased) {
            *used = Use::Resting(now + QUARANTINE);
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

    /// A port turned out to be somebody else's: it is not offered for a while.
    pub(super) fn block(&mut self, now: Duration, port: u16) {
        self.uses[usize::from(port)] = Use::Blocked(now + QUARANTINE);
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

    /// The place of the best port in the order of its class.
    fn choose(&self, now: Duration, class: TrafficClass, shape: Shape) -> Option<usize> {
        let Class { range, ref order, next, .. } = self.classes[index(class)];
        let (before, after) = order.split_at(next.min(order.len()));
        let places = (before.len()..order.len()).chain(0..before.len());
        let ports = places.zip(after.iter().chain(before));
        let ranked = ports.filter_map(|(at, port)| Some((self.rank(now, range, *port, shape)?, at)));
        let (mut best, mut rested): (Option<(Rank, usize)>, usize) = (None, 0);
        for (rank, at) in ranked {
            if best.is_none_or(|(best, _)| rank < best) {
                best = Some((rank, at));
            }
            rested += usize::from(rank.0.is_zero());
            if rank == (Duration::ZERO, false) || rested == ENOUGH {
                break;
            }
        }
        best.map(|(_, at)| at)
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
            Use::Blocked(until) if until > now => None,
            Use::Resting(until) => Some(until.saturating_sub(now)),
            Use::Free | Use::Blocked(_) => Some(Duration::ZERO),
        }
    }
}

impl Class {
    fn new(ports: ClassPorts, random: &mut Random) -> Class {
        let range = ports.range.unwrap_or(PortRange::UNRESTRICTED);
        let planned = range != PortRange::UNRESTRICTED;
        let mut order: Vec<u16> = (range.start()..=range.end()).collect();
        random.shuffle(&mut order);
        Class { range, planned, mark: ports.mark, order, next: 0, sessions: 0, exhausted: 0, holder: None }
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
