//! Whom traffic counts for, and how often each may have something done: so often a second, and so often at once after a rest.
//!
//! The table is a value that its caller owns: of fixed size, whoever asks. Of whom owes least, least is forgotten, and misses it
//! least. What is limited, and what becomes of the rest, is the caller's affair.

use std::hash::{DefaultHasher, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// The sets of a table, and the sources in each: a line of the processor's cache.
const SETS: usize = 1 << 13;
const WAYS: usize = 4;
const SECOND: u64 = 1_000_000_000;
/// What one costs where none is given back: nobody waits so long.
const FOREVER: u64 = 1 << 55;

/// The source of what comes from an address: an IPv4 address itself, of IPv6 the /64, all of which one host may use.
pub fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

/// How often something may be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// In a second.
    pub per_second: u32,
    /// At once, after a rest.
    pub at_once: u32,
}

/// What somebody has had: the moment when it is all paid for, in nanoseconds of the caller's time (GCRA, I.371).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Debt(u64);

/// What every source has had.
#[derive(Debug)]
pub struct Sources {
    rate: Rate,
    hasher: DefaultHasher,
    sets: Vec<[Known; WAYS]>,
}

#[derive(Clone, Copy, Default, Debug)]
struct Known {
    /// Of the source, in a way that nobody outside can foresee; 0: nobody's.
    hash: u64,
    debt: Debt,
}

impl Rate {
    /// So often a second, and as often at once.
    pub const fn each_second(number: u32) -> Rate {
        Rate { per_second: number, at_once: number }
    }

    fn costs(self) -> u64 {
        SECOND.checked_div(self.per_second.into()).unwrap_or(FOREVER)
    }
}

impl Debt {
    /// Takes one, if there is one left.
    pub fn take(&mut self, rate: Rate, now: Duration) -> bool {
        let due = self.after_one(rate, now);
        *self = due.map_or(*self, Debt);
        due.is_some()
    }

    /// Whether there is one left.
    pub fn has_room(self, rate: Rate, now: Duration) -> bool {
        self.after_one(rate, now).is_some()
    }

    fn after_one(self, rate: Rate, now: Duration) -> Option<u64> {
        let (now, costs) = (u64::try_from(now.as_nanos()).unwrap_or(u64::MAX / 2), rate.costs());
        let due = self.0.max(now).saturating_add(costs);
        (due <= now.saturating_add(costs.saturating_mul(rate.at_once.into()))).then_some(due)
    }
}

impl Sources {
    /// Nobody has had anything. Whoever knows the seed can choose addresses that push each other out.
    pub fn new(rate: Rate, seed: u64) -> Sources {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(seed);
        Sources { rate, hasher, sets: vec![[Known::default(); WAYS]; SETS] }
    }

    /// Takes one for a source, if there is one left.
    pub fn take(&mut self, now: Duration, address: IpAddr) -> bool {
        let rate = self.rate;
        self.known(address).is_some_and(|known| known.debt.take(rate, now))
    }

    /// Whether there is one left for a source.
    pub fn has_room(&mut self, now: Duration, address: IpAddr) -> bool {
        let rate = self.rate;
        self.known(address).is_some_and(|known| known.debt.has_room(rate, now))
    }

    /// Takes back what was taken last: it was refused for another reason.
    pub fn give_back(&mut self, address: IpAddr) {
        let costs = self.rate.costs();
        self.known(address).into_iter().for_each(|known| known.debt.0 = known.debt.0.saturating_sub(costs));
    }

    /// The place of a source: its own, or that of whoever owes least.
    fn known(&mut self, address: IpAddr) -> Option<&mut Known> {
        let mut hasher = self.hasher.clone();
        match source(address) {
            IpAddr::V4(ip) => hasher.write_u32(ip.to_bits()),
            IpAddr::V6(ip) => hasher.write_u128(ip.to_bits()),
        }
        let hash = hasher.finish() | 1;
        let set = self.sets.get_mut((hash >> 1) as usize % SETS)?;
        let at = set.iter().position(|known| known.hash == hash);
        let least = || (0..WAYS).min_by_key(|at| set.get(*at).map_or(0, |known| known.debt.0));
        let place = at.or_else(least)?;
        let known = set.get_mut(place)?;
        if at.is_none() {
            *known = Known { hash, debt: Debt::default() };
        }
        Some(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn sources(per_second: u32, at_once: u32) -> Sources {
        Sources::new(Rate { per_second, at_once }, 7)
    }

    fn numbered(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn a_source_has_so_many_at_once_and_gets_new_ones_with_time() {
        let mut sources = sources(10, 3);
        let mut take = |after: u64| sources.take(NOW + Duration::from_millis(after), numbered(1));
        assert_eq!(
            [0, 0, 0, 0, 99, 100, 100, 10_000].map(&mut take),
            [true, true, true, false, false, true, false, true]
        );
        let mut taken = |after| (0..50).filter(|_| take(after)).count();
        assert_eq!((taken(60_000), taken(60_150)), (3, 1));
    }

    #[test]
    fn sources_do_not_share_but_addresses_of_a_64_do() {
        let mut sources = sources(0, 1);
        let mut take = |text: &str| sources.take(NOW, text.parse().unwrap());
        assert_eq!(["192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1"].map(&mut take), [true, true, false]);
        assert_eq!(["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(&mut take), [true, false, true]);
    }

    #[test]
    fn looking_costs_nothing_and_what_is_given_back_may_be_had_again() {
        let mut sources = sources(1, 1);
        let at = numbered(1);
        assert!(sources.has_room(NOW, at) && sources.has_room(NOW, at) && sources.take(NOW, at));
        assert!(!sources.has_room(NOW, at) && !sources.take(NOW, at));
        sources.give_back(at);
        assert!(sources.take(NOW, at));
    }

    /// Far more sources than places, each a few times, and one that never stops: it gets nothing.
    #[test]
    fn a_flood_from_everywhere_does_not_pay_the_debt_of_one_source() {
        let mut sources = sources(1, 5);
        (0..5).for_each(|_| assert!(sources.take(NOW, numbered(0))));
        for number in 1..200_000 {
            sources.take(NOW, numbered(number));
            if number % 100 == 0 {
                assert!(!sources.has_room(NOW, numbered(0)), "{number}");
            }
        }
    }

    #[test]
    fn a_rate_without_bounds_bounds_nothing() {
        let (mut debt, rate) = (Debt::default(), Rate::each_second(u32::MAX));
        assert!((0..1_000_000).all(|_| debt.take(rate, NOW)));
        assert!(!Debt::default().take(Rate { per_second: 10, at_once: 0 }, NOW));
    }
}
