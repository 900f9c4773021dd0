//! What no rule is for, before anybody looks closer: what can't be TURN is told from what can by a few bytes, and no
//! source, nor all of them together, may cost more than allowed.
//!
//! A table of fixed size remembers sources. Under attack from more sources than it holds, the limit of all holds.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use carillon_wire::stun;

use super::counts::Count;

/// What packets that no rule is for may come in, each second; as many may come at once after a rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strangers {
    /// From one source: an IPv4 address, or a /64 of IPv6. There may be many phones behind it.
    pub per_source: u32,
    /// From all sources together.
    pub together: u32,
}

/// What a packet of a client looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Look {
    /// A message of STUN.
    Message,
    /// ChannelData.
    Channel,
    /// Something else.
    Other,
}

/// The limits and who has used how much.
pub(super) struct Gate {
    strangers: Strangers,
    start: Instant,
    random: RandomState,
    sources: Vec<[Source; WAYS]>,
    /// When all that was let in would be paid for, in nanoseconds since the start (GCRA).
    together: u64,
}

/// A source, by a hash that nobody can foresee, and when all that was let in from it would be paid for.
#[derive(Clone, Copy, Default)]
struct Source {
    hash: u64,
    paid: u64,
}

/// Sources are remembered in so many sets of so many.
const SETS: usize = 4096;
const WAYS: usize = 4;
const SECOND: u64 = 1_000_000_000;

impl Default for Strangers {
    fn default() -> Strangers {
        Strangers { per_source: 500, together: 10_000 }
    }
}

impl Gate {
    pub(super) fn new(strangers: Strangers) -> Gate {
        let sources = vec![[Source::default(); WAYS]; SETS];
        Gate { strangers, start: Instant::now(), random: RandomState::new(), sources, together: 0 }
    }

    /// Whether one more packet of a source is let in, or what it is counted as.
    pub(super) fn admits(&mut self, source: SocketAddr, now: Instant) -> Result<(), Count> {
        let now = u64::try_from(now.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX / 2);
        let hash = self.random.hash_one(prefix(source.ip()));
        let costs = SECOND / u64::from(self.strangers.per_source.max(1));
        let own = remember(&mut self.sources[hash as usize % SETS], hash);
        let paid = charge(own.paid, now, costs).ok_or(Count::SourceLimited)?;
        let all = SECOND / u64::from(self.strangers.together.max(1));
        self.together = charge(self.together, now, all).ok_or(Count::Flooded)?;
        own.paid = paid;
        Ok(())
    }
}

/// The first bytes tell (RFC 8489, 5; RFC 5766, 11, whose clients use channels that RFC 8656 has given up).
pub(super) fn look(bytes: &[u8]) -> Look {
    match bytes {
        [0x40..=0x7f, _, _, _, ..] => Look::Channel,
        [0x00..=0x03, _, _, _, cookie @ ..] if cookie.starts_with(&stun::COOKIE) && bytes.len() >= 20 => {
            Look::Message
        }
        _ => Look::Other,
    }
}

/// The place of a source in its set: its own, or that of whoever owes least, of whom least is forgotten.
fn remember(set: &mut [Source; WAYS], hash: u64) -> &mut Source {
    let known = set.iter().position(|source| source.hash == hash);
    let at = known.unwrap_or_else(|| (0..WAYS).min_by_key(|at| set[*at].paid).unwrap_or(0));
    let place = &mut set[at];
    if known.is_none() {
        *place = Source { hash, paid: 0 };
    }
    place
}

/// The moment when one more is paid for; `None` if a whole second is owed.
fn charge(paid: u64, now: u64, costs: u64) -> Option<u64> {
    let paid = paid.max(now);
    (paid < now + SECOND).then_some(paid + costs)
}

fn prefix(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn from(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 5000)
    }

    fn admitted(gate: &mut Gate, source: SocketAddr, tries: u32, now: Instant) -> u32 {
        (0..tries).filter(|_| gate.admits(source, now).is_ok()).count() as u32
    }

    #[test]
    fn a_source_may_send_so_many_at_once_and_so_many_each_second() {
        let mut gate = Gate::new(Strangers { per_source: 10, together: 1000 });
        let start = gate.start;
        assert_eq!(admitted(&mut gate, from("192.0.2.1"), 50, start), 10);
        assert_eq!(gate.admits(from("192.0.2.1"), start), Err(Count::SourceLimited));
        assert_eq!(admitted(&mut gate, from("192.0.2.2"), 50, start), 10);
        assert_eq!(admitted(&mut gate, from("192.0.2.1"), 50, start + Duration::from_millis(300)), 3);
        assert_eq!(admitted(&mut gate, from("192.0.2.1"), 50, start + Duration::from_secs(60)), 10);
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let mut gate = Gate::new(Strangers { per_source: 10, together: 1000 });
        let start = gate.start;
        let each = (1..=20).map(|host| from(&format!("2001:db8::{host:x}")));
        assert_eq!(each.filter(|source| gate.admits(*source, start).is_ok()).count(), 10);
        assert!(gate.admits(from("2001:db8:0:1::1"), start).is_ok());
    }

    #[test]
    fn all_together_have_a_limit_that_no_number_of_sources_passes() {
        let mut gate = Gate::new(Strangers { per_source: 10, together: 1000 });
        let start = gate.start;
        let many =
            (0..100_000u32).map(|number| SocketAddr::new(IpAddr::V4((0x0a00_0000 + number).into()), 1));
        assert_eq!(many.filter(|source| gate.admits(*source, start).is_ok()).count(), 1000);
        assert_eq!(gate.admits(from("192.0.2.1"), start), Err(Count::Flooded));
        assert!(gate.admits(from("192.0.2.1"), start + Duration::from_millis(10)).is_ok());
    }

    #[test]
    fn only_stun_with_its_cookie_and_channels_look_like_turn() {
        let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        message.resize(20, 7);
        assert_eq!(look(&message), Look::Message);
        assert_eq!(look(&message[..19]), Look::Other);
        message[7] = 0;
        assert_eq!(look(&message), Look::Other);
        for first in 0..=255u8 {
            let expected = if (0x40..=0x7f).contains(&first) { Look::Channel } else { Look::Other };
            assert_eq!(look(&[first, 0, 0, 0]), expected, "{first}");
        }
        assert_eq!(look(&[0x40, 0, 0]), Look::Other);
    }
}
