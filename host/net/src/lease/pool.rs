//! Which ports are free, leased, at rest or somebody else's. Opens nothing; the time is an argument.
//!
//! Each class walks its range in a shuffled order of its own, round and round, so that a port that comes back is
//! given out again as late as can be. What a port is used for is known once for all classes: ranges may overlap.

use std::time::Duration;

use carillon_qos::{PortRange, TrafficClass};
use carillon_wire::ip::Dscp;

use super::{ClassPorts, Counts, Policy};
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

    /// Takes a port for RTP and RTCP together, or without `mux` an even one with the odd one above it: both from
    /// the range of the class. Ports at rest are taken only when there are no others, the longest at rest first.
    pub(super) fn take(&mut self, now: Duration, class: TrafficClass, mux: bool) -> Option<Taken> {
        let at = self.choose(now, class, mux);
        let chosen = &mut self.classes[index(class)];
        let Some(at) = at else {
            chosen.exhausted += 1;
            return None;
        };
        let rtp = chosen.order[at];
        chosen.next = at + 1;
        chosen.sessions += 1;
        let taken = Taken { rtp, rtcp: (!mux).then(|| rtp + 1), mark: chosen.mark };
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
    fn choose(&self, now: Duration, class: TrafficClass, mux: bool) -> Option<usize> {
        let Class { range, ref order, next, .. } = self.classes[index(class)];
        let (before, after) = order.split_at(next.min(order.len()));
        let places = (before.len()..order.len()).chain(0..before.len());
        let ports = places.zip(after.iter().chain(before));
        let ranked = ports.filter_map(|(at, port)| Some((self.rank(now, range, *port, mux)?, at)));
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
    fn rank(&self, now: Duration, range: PortRange, port: u16, mux: bool) -> Option<Rank> {
        let wait = self.wait(now, port)?;
        let partner = Some(port ^ 1).filter(|partner| range.contains(*partner));
        let of_partner = partner.and_then(|partner| self.wait(now, partner));
        if mux {
            return Some((wait, of_partner.is_some()));
        }
        let above = of_partner.filter(|_| port.is_multiple_of(2))?;
        Some((wait.max(above), false))
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
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy(ranges: [&str; 4]) -> Policy {
        let [audio, video, sharing, file_transfer] =
            ranges.map(|text| ClassPorts { range: PortRange::parse(text), mark: Dscp::EF });
        Policy { audio, video, sharing, file_transfer }
    }

    fn drain(pool: &mut Pool, now: Duration, mux: bool) -> Vec<Taken> {
        std::iter::from_fn(|| pool.take(now, TrafficClass::Audio, mux)).collect()
    }

    #[test]
    fn a_range_carries_what_the_plan_shows_and_no_pair_leaves_it() {
        for text in
            ["6000-6024", "6001-6024", "6025-6049", "6000", "6001", "65534-65535", "65535", "6001-6003"]
        {
            let range = PortRange::parse(text).unwrap();
            for mux in [true, false] {
                let mut pool = Pool::new(&policy([text; 4]), 1);
                let taken = drain(&mut pool, SECOND, mux);
                assert_eq!(taken.len(), range.sessions(mux) as usize, "{text} {mux}");
                assert!(
                    taken.iter().all(|t| range.contains(t.rtp) && t.rtcp.is_none_or(|p| range.contains(p)))
                );
                assert_eq!(pool.counts(SECOND, TrafficClass::Audio).exhausted, 1);
            }
        }
    }

    #[test]
    fn the_order_is_shuffled_by_the_seed() {
        let order = |seed| {
            let mut pool = Pool::new(&policy(["20000-20039"; 4]), seed);
            drain(&mut pool, SECOND, true).iter().map(|taken| taken.rtp).collect::<Vec<_>>()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        assert!(!order(1).is_sorted());
    }

    #[test]
    fn a_port_rests_as_long_as_there_are_others_and_then_the_longest_at_rest_is_first() {
        let mut pool = Pool::new(&policy(["20000-20003"; 4]), 1);
        let taken = drain(&mut pool, SECOND, true);
        for (second, one) in taken.iter().enumerate() {
            pool.give_back(SECOND * second as u32, one.rtp);
        }
        let ports = |taken: &[Taken]| taken.iter().map(|taken| taken.rtp).collect::<Vec<_>>();
        assert_eq!(pool.counts(10 * SECOND, TrafficClass::Audio).quarantined, 4);
        // The first two have rested, the others not yet.
        let now = SECOND + QUARANTINE;
        assert_eq!(pool.counts(now, TrafficClass::Audio).quarantined, 2);
        let again = ports(&drain(&mut pool, now, true));
        let mut rested = again[..2].to_vec();
        rested.sort_unstable();
        let mut expected = ports(&taken[..2]);
        expected.sort_unstable();
        assert_eq!((rested, &again[2..]), (expected, &ports(&taken[2..])[..]));
    }

    #[test]
    fn a_port_of_somebody_else_is_tried_again_after_a_while() {
        let mut pool = Pool::new(&policy(["20000"; 4]), 1);
        let port = pool.take(SECOND, TrafficClass::Audio, true).unwrap().rtp;
        pool.block(SECOND, port);
        pool.give_back(SECOND, port);
        assert_eq!(pool.take(SECOND, TrafficClass::Audio, true), None);
        assert_eq!(pool.counts(SECOND, TrafficClass::Audio).blocked, 1);
        assert!(pool.take(SECOND + QUARANTINE, TrafficClass::Audio, true).is_some());
    }

    #[test]
    fn the_holder_of_a_port_is_asked_for_now_and_then_only() {
        let mut pool = Pool::new(&policy(["20000"; 4]), 1);
        let holder =
            |port| Some(Holder { address: ([127, 0, 0, 1], port).into(), pid: 7, program: "x".into() });
        assert_eq!(pool.holder(SECOND, TrafficClass::Audio, |_| panic!("nothing is blocked")), None);
        pool.block(SECOND, 20000);
        assert_eq!(pool.holder(SECOND, TrafficClass::Audio, holder), holder(20000));
        assert_eq!(pool.holder(2 * SECOND, TrafficClass::Audio, |_| panic!("asked again")), holder(20000));
        pool.block(40 * SECOND, 20000);
        assert_eq!(pool.holder(40 * SECOND, TrafficClass::Audio, |_| None), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Take(TrafficClass, bool),
        Return(prop::sample::Index),
        AgreeMux(prop::sample::Index),
        Block(u16),
        Wait(u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let class = prop::sample::select(TrafficClass::MEDIA.to_vec());
        let step = prop_oneof![
            8 => (class, any::<bool>()).prop_map(|(class, mux)| Step::Take(class, mux)),
            5 => any::<prop::sample::Index>().prop_map(Step::Return),
            1 => any::<prop::sample::Index>().prop_map(Step::AgreeMux),
            1 => (6000u16..6020).prop_map(Step::Block),
            2 => (0u32..20).prop_map(Step::Wait),
        ];
        prop::collection::vec(step, 1..120)
    }

    /// What is known of the ports from outside: who is leased, and until when others are left alone.
    #[derive(Default)]
    struct Model {
        leased: Vec<(TrafficClass, Taken)>,
        resting: BTreeMap<u16, Duration>,
        blocked: BTreeMap<u16, Duration>,
    }

    impl Model {
        fn leases(&self, port: u16) -> bool {
            self.leased.iter().any(|(_, taken)| taken.rtp == port || taken.rtcp == Some(port))
        }

        /// How long a port ought to rest.
        fn wait(&self, now: Duration, port: u16) -> Option<Duration> {
            let blocked = self.blocked.get(&port).is_some_and(|until| *until > now);
            let wait = self.resting.get(&port).map_or(Duration::ZERO, |until| until.saturating_sub(now));
            (!blocked && !self.leases(port)).then_some(wait)
        }

        /// Every port for RTP that could be had, with its rank.
        fn possible(&self, now: Duration, range: PortRange, mux: bool) -> BTreeMap<u16, Rank> {
            let free = |port| if range.contains(port) { self.wait(now, port) } else { None };
            let rank = |port: u16| {
                let (wait, partner) = (free(port)?, free(port ^ 1));
                match mux {
                    true => Some((wait, partner.is_some())),
                    false => partner.filter(|_| port % 2 == 0).map(|partner| (wait.max(partner), false)),
                }
            };
            (range.start()..=range.end()).filter_map(|port| Some((port, rank(port)?))).collect()
        }

        fn rest(&mut self, now: Duration, port: u16) {
            self.blocked.remove(&port);
            self.resting.insert(port, now + QUARANTINE);
        }
    }

    proptest! {
        #[test]
        fn every_sequence_agrees_with_what_can_be_known_from_outside(steps in steps(), seed: u64) {
            // Ranges that begin and end even and odd, overlap, and hold one port.
            let ranges = ["6000-6008", "6009-6014", "6006-6013", "6019"];
            let mut pool = Pool::new(&policy(ranges), seed);
            let range = |class| PortRange::parse(ranges[index(class)]).unwrap();
            let (mut model, mut now, mut exhausted) = (Model::default(), SECOND, BTreeMap::new());
            for step in steps {
                match step {
                    Step::Take(class, mux) => {
                        let possible = model.possible(now, range(class), mux);
                        let taken = pool.take(now, class, mux);
                        let Some(taken) = taken else {
                            prop_assert!(possible.is_empty(), "{class} {mux}: {possible:?}");
                            *exhausted.entry(class).or_insert(0) += 1;
                            continue;
                        };
                        prop_assert_eq!(taken.rtcp, (!mux).then(|| taken.rtp + 1));
                        prop_assert_eq!(possible.get(&taken.rtp), possible.values().min(), "{:?}", possible);
                        model.leased.push((class, taken));
                    }
                    Step::Return(at) if !model.leased.is_empty() => {
                        let (class, taken) = model.leased.swap_remove(at.index(model.leased.len()));
                        for port in [Some(taken.rtp), taken.rtcp].into_iter().flatten() {
                            pool.give_back(now, port);
                            model.rest(now, port);
                        }
                        pool.end_session(class);
                    }
                    Step::AgreeMux(at) if !model.leased.is_empty() => {
                        let at = at.index(model.leased.len());
                        if let Some(port) = model.leased[at].1.rtcp.take() {
                            pool.give_back(now, port);
                            model.rest(now, port);
                        }
                    }
                    Step::Block(port) if !model.leases(port) => {
                        pool.block(now, port);
                        model.resting.remove(&port);
                        model.blocked.insert(port, now + QUARANTINE);
                    }
                    Step::Wait(seconds) => now += SECOND * seconds,
                    _ => {}
                }
                for class in TrafficClass::MEDIA {
                    let ports = || range(class).start()..=range(class).end();
                    let later = |of: &BTreeMap<u16, Duration>, port| of.get(&port).is_some_and(|until| *until > now);
                    let free = |port: &u16| !model.leases(*port);
                    let expected = Counts {
                        class,
                        range: range(class),
                        planned: true,
                        leased: ports().filter(|port| !free(port)).count() as u32,
                        quarantined: ports().filter(|p| free(p) && later(&model.resting, *p)).count() as u32,
                        blocked: ports().filter(|p| free(p) && later(&model.blocked, *p)).count() as u32,
                        sessions: model.leased.iter().filter(|(of, _)| *of == class).count() as u32,
                        exhausted: exhausted.get(&class).copied().unwrap_or(0),
                    };
                    prop_assert_eq!(pool.counts(now, class), expected);
                }
            }
        }
    }
}
