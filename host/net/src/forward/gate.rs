//! What no rule is for, before anybody looks closer: no source, nor all of them together, may cost more than allowed.
//!
//! What is beyond gets a second look by the caller, who may know that its sender was here before; such looks are bounded too.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Instant;

use carillon_wire::source::{Debt, Rate, Sources};

use super::counts::Count;

/// What packets that no rule is for may come in, each second; as many may come at once after a rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strangers {
    /// From one source: an IPv4 address, or a /64 of IPv6. There may be many phones behind it.
    pub per_source: u32,
    /// From all sources together.
    pub together: u32,
    /// Of what is beyond, so many from one source may be looked at a second time.
    pub looks_per_source: u32,
    /// And so many of all.
    pub looks: u32,
    /// New connections of one source.
    pub connections: u32,
}

/// What becomes of a packet of somebody unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    /// It is let in.
    In,
    /// It is too much, but may be looked at; if nothing speaks for it, this is its counter.
    Look(Count),
    /// It is dropped.
    Out(Count),
}

/// The limits and who has used how much.
pub(super) struct Gate {
    start: Instant,
    sources: Sources,
    together: (Rate, Debt),
    looks: Sources,
    looks_together: (Rate, Debt),
}

impl Default for Strangers {
    fn default() -> Strangers {
        Strangers {
            per_source: 500,
            together: 10_000,
            looks_per_source: 5_000,
            looks: 20_000,
            connections: 50,
        }
    }
}

impl Gate {
    pub(super) fn new(strangers: Strangers) -> Gate {
        let of_each = |number| Sources::new(Rate::each_second(number), RandomState::new().hash_one(number));
        let of_all = |number| (Rate::each_second(number), Debt::default());
        Gate {
            start: Instant::now(),
            sources: of_each(strangers.per_source),
            together: of_all(strangers.together),
            looks: of_each(strangers.looks_per_source),
            looks_together: of_all(strangers.looks),
        }
    }

    /// Whether one more packet of a source is let in.
    pub(super) fn admits(&mut self, source: SocketAddr, now: Instant) -> Admission {
        let (now, source) = (now.saturating_duration_since(self.start), source.ip());
        let (rate, debt) = &mut self.together;
        let count = match self.sources.take(now, source) {
            false => Count::SourceLimited,
            true if debt.take(*rate, now) => return Admission::In,
            true => {
                // A source does not pay for what others have used up.
                self.sources.give_back(source);
                Count::Flooded
            }
        };
        let (rate, debt) = &mut self.looks_together;
        match self.looks.take(now, source) && debt.take(*rate, now) {
            true => Admission::Look(count),
            false => Admission::Out(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;

    const STRANGERS: Strangers =
        Strangers { per_source: 10, together: 1000, looks_per_source: 5, looks: 20, connections: 1 };

    fn from(number: u32) -> SocketAddr {
        SocketAddr::new(IpAddr::V4((0x0a00_0000 + number).into()), 1)
    }

    #[test]
    fn all_together_have_a_limit_that_no_number_of_sources_passes() {
        let (mut gate, start) = (Gate::new(STRANGERS), Instant::now());
        let admitted =
            (0..100_000).filter(|number| gate.admits(from(*number), start) == Admission::In).count();
        assert_eq!(admitted, 1000);
        assert_eq!(gate.admits(from(100_001), start), Admission::Out(Count::Flooded));
        assert_eq!(gate.admits(from(100_001), start + Duration::from_millis(100)), Admission::In);
    }

    #[test]
    fn what_is_too_much_is_looked_at_so_often_and_then_not_any_more() {
        let (mut gate, start) = (Gate::new(STRANGERS), Instant::now());
        let mut of = |number| (0..20).map(|_| gate.admits(from(number), start)).collect::<Vec<_>>();
        let first = of(1);
        assert!(first[..10].iter().all(|one| *one == Admission::In));
        assert!(first[10..15].iter().all(|one| *one == Admission::Look(Count::SourceLimited)));
        assert!(first[15..].iter().all(|one| *one == Admission::Out(Count::SourceLimited)));
        let looks: usize =
            (2..20).map(|n| of(n).iter().filter(|one| matches!(one, Admission::Look(_))).count()).sum();
        assert_eq!(looks, 15, "all together have twenty");
    }
}
