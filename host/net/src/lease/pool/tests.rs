//! The free list against a model that knows only what was taken, given back and found taken.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn policy(ranges: [&str; 4]) -> Policy {
    let [audio, video, sharing, file_transfer] =
        ranges.map(|text| ClassPorts { range: PortRange::parse(text), mark: Dscp::EF });
    Policy { audio, video, sharing, file_transfer }
}

fn shape(mux: bool) -> Shape {
    if mux { Shape::Any } else { Shape::Pair }
}

fn drain(pool: &mut Pool, now: Duration, mux: bool) -> Vec<Taken> {
    std::iter::from_fn(|| pool.take(now, TrafficClass::Audio, shape(mux))).collect()
}

#[test]
fn a_range_carries_what_the_plan_shows_and_no_pair_leaves_it() {
    for text in ["6000-6024", "6001-6024", "6025-6049", "6000", "6001", "65534-65535", "65535", "6001-6003"] {
        let range = PortRange::parse(text).unwrap();
        for mux in [true, false] {
            let mut pool = Pool::new(&policy([text; 4]), 1);
            let taken = drain(&mut pool, SECOND, mux);
            assert_eq!(taken.len(), range.sessions(mux) as usize, "{text} {mux}");
            assert!(taken.iter().all(|t| range.contains(t.rtp) && t.rtcp.is_none_or(|p| range.contains(p))));
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
fn a_port_of_somebody_else_is_tried_again_when_there_is_no_other_but_not_at_once() {
    let mut pool = Pool::new(&policy(["20000-20001"; 4]), 1);
    let take = |pool: &mut Pool, now| pool.take(now, TrafficClass::Audio, Shape::Any).map(|taken| taken.rtp);
    let foreign = take(&mut pool, SECOND).unwrap();
    pool.block(SECOND, foreign);
    let own = take(&mut pool, SECOND).unwrap();
    assert_ne!(own, foreign);
    assert_eq!(take(&mut pool, SECOND), None);
    assert_eq!(pool.counts(SECOND, TrafficClass::Audio).blocked, 1);
    assert_eq!(take(&mut pool, SECOND + RETRY - Duration::from_nanos(1)), None);
    assert_eq!(take(&mut pool, SECOND + RETRY), Some(foreign));
    // While there is another one, it is left alone as long as a port that was used; then both are alike.
    pool.block(2 * SECOND, foreign);
    pool.give_back(SECOND, own);
    assert_eq!(take(&mut pool, 20 * SECOND), Some(own));
    assert_eq!(take(&mut pool, 20 * SECOND), Some(foreign));
    assert_eq!(pool.counts(20 * SECOND, TrafficClass::Audio).blocked, 0);
}

#[test]
fn the_holder_of_a_port_is_asked_for_now_and_then_only() {
    let mut pool = Pool::new(&policy(["20000"; 4]), 1);
    let holder = |port| Some(Holder { address: ([127, 0, 0, 1], port).into(), pid: 7, program: "x".into() });
    assert_eq!(pool.holder(SECOND, TrafficClass::Audio, |_| panic!("nothing is blocked")), None);
    pool.block(SECOND, 20000);
    assert_eq!(pool.holder(SECOND, TrafficClass::Audio, holder), holder(20000));
    assert_eq!(pool.holder(2 * SECOND, TrafficClass::Audio, |_| panic!("asked again")), holder(20000));
    pool.block(40 * SECOND, 20000);
    assert_eq!(pool.holder(40 * SECOND, TrafficClass::Audio, |_| None), None);
}

#[derive(Clone, Debug)]
enum Step {
    Take(TrafficClass, Shape),
    Return(prop::sample::Index),
    AgreeMux(prop::sample::Index),
    Block(u16),
    Wait(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let class = prop::sample::select(TrafficClass::MEDIA.to_vec());
    let shape = prop::sample::select(vec![Shape::Any, Shape::Even, Shape::Pair]);
    let step = prop_oneof![
        8 => (class, shape).prop_map(|(class, shape)| Step::Take(class, shape)),
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
        let foreign = self.blocked.get(&port).is_some_and(|until| *until > now + QUARANTINE - RETRY);
        let until = self.resting.get(&port).or(self.blocked.get(&port));
        let wait = until.map_or(Duration::ZERO, |until| until.saturating_sub(now));
        (!foreign && !self.leases(port)).then_some(wait)
    }

    /// Every port for RTP that could be had, with its rank.
    fn possible(&self, now: Duration, range: PortRange, shape: Shape) -> BTreeMap<u16, Rank> {
        let free = |port| if range.contains(port) { self.wait(now, port) } else { None };
        let rank = |port: u16| {
            let (wait, partner) = (free(port)?, free(port ^ 1));
            match (shape, port.is_multiple_of(2)) {
                (Shape::Any, _) | (Shape::Even, true) => Some((wait, partner.is_some())),
                (Shape::Pair, true) => partner.map(|partner| (wait.max(partner), false)),
                (Shape::Even | Shape::Pair, false) => None,
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
                Step::Take(class, shape) => {
                    let possible = model.possible(now, range(class), shape);
                    let taken = pool.take(now, class, shape);
                    let Some(taken) = taken else {
                        prop_assert!(possible.is_empty(), "{class} {shape:?}: {possible:?}");
                        *exhausted.entry(class).or_insert(0) += 1;
                        continue;
                    };
                    prop_assert_eq!(taken.rtcp, (shape == Shape::Pair).then(|| taken.rtp + 1));
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
