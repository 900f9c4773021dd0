//! How often a source that has proven nothing is answered: a bucket of tokens for each. The table has a fixed size.
//!
//! A source is an IPv4 address or the upper half of an IPv6 address. If a part of the table is full, the bucket with the most
//! tokens makes room: the source that misses it least.

use std::net::IpAddr;
use std::time::Duration;

use crate::secret::Secret;

/// Sets of the table, and buckets in each: 512 KB together.
const SETS: usize = 1 << 12;
const WAYS: usize = 8;
/// Tokens are counted in thousandths.
const TOKEN: u64 = 1000;

#[derive(Debug)]
pub(crate) struct Gate {
    per_second: u64,
    most: u64,
    buckets: Vec<Bucket>,
}

#[derive(Clone, Copy, Default, Debug)]
struct Bucket {
    /// Of the source; 0: unused.
    tag: u32,
    tokens: u32,
    /// Milliseconds.
    at: u64,
}

impl Gate {
    pub(crate) fn new(per_second: u32, at_once: u32) -> Gate {
        let most = u64::from(at_once).min(u64::from(u32::MAX) / TOKEN) * TOKEN;
        Gate { per_second: u64::from(per_second), most, buckets: vec![Bucket::default(); SETS * WAYS] }
    }

    /// Takes a token; false: there is none.
    pub(crate) fn take(&mut self, secret: &Secret, now: Duration, source: IpAddr) -> bool {
        self.with(secret, now, source, |tokens, _| tokens.checked_sub(TOKEN))
    }

    /// Whether there is one.
    pub(crate) fn is_open(&mut self, secret: &Secret, now: Duration, source: IpAddr) -> bool {
        self.with(secret, now, source, |tokens, _| (tokens >= TOKEN).then_some(tokens))
    }

    /// Gives one back: the source has proven itself.
    pub(crate) fn give_back(&mut self, secret: &Secret, now: Duration, source: IpAddr) {
        self.with(secret, now, source, |tokens, most| Some((tokens + TOKEN).min(most)));
    }

    fn with(
        &mut self,
        secret: &Secret,
        now: Duration,
        source: IpAddr,
        change: impl FnOnce(u64, u64) -> Option<u64>,
    ) -> bool {
        let hash = secret.hash(&half(source));
        let (tag, now, most) = ((hash >> 32) as u32 | 1, millis(now), self.most);
        let level = |bucket: &Bucket, rate: u64| match bucket.tag {
            0 => most,
            _ => (u64::from(bucket.tokens) + now.saturating_sub(bucket.at).saturating_mul(rate)).min(most),
        };
        let rate = self.per_second;
        let first = hash as usize % SETS * WAYS;
        let Some(set) = self.buckets.get_mut(first..first + WAYS) else { return false };
        let known = set.iter().position(|bucket| bucket.tag == tag);
        let fullest =
            || set.iter().enumerate().max_by_key(|(_, bucket)| level(bucket, rate)).map_or(0, |(at, _)| at);
        let at = known.unwrap_or_else(fullest);
        let Some(bucket) = set.get_mut(at) else { return false };
        let tokens = if known.is_some() { level(bucket, rate) } else { most };
        let left = change(tokens, most);
        *bucket = Bucket { tag, tokens: left.unwrap_or(tokens) as u32, at: now };
        left.is_some()
    }
}

/// Who holds a /64 has all its addresses.
fn half(source: IpAddr) -> u64 {
    match source.to_canonical() {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn source(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn a_source_has_its_tokens_and_gets_new_ones_with_time() {
        let (mut gate, secret) = (Gate::new(10, 3), Secret::new(&[1; 32]));
        let mut take = |after: u64| gate.take(&secret, NOW + Duration::from_millis(after), source(1));
        assert_eq!(
            [0, 0, 0, 0, 99, 100, 100, 10_000].map(&mut take),
            [true, true, true, false, false, true, false, true]
        );
        gate.give_back(&secret, NOW + Duration::from_secs(10), source(1));
        let mut open = 0;
        while gate.take(&secret, NOW + Duration::from_secs(10), source(1)) {
            open += 1;
        }
        assert_eq!(open, 3);
    }

    #[test]
    fn sources_do_not_share_but_addresses_of_a_64_do() {
        let (mut gate, secret) = (Gate::new(0, 1), Secret::new(&[1; 32]));
        let mut take = |text: &str| gate.take(&secret, NOW, text.parse().unwrap());
        assert_eq!(["192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1"].map(&mut take), [true, true, false]);
        assert_eq!(["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(&mut take), [true, false, true]);
    }

    /// Far more sources than buckets, each a few times, and one that never stops: it is never answered.
    #[test]
    fn a_flood_from_everywhere_does_not_fill_the_bucket_of_one_source() {
        let (mut gate, secret) = (Gate::new(1, 5), Secret::new(&[1; 32]));
        (0..5).for_each(|_| assert!(gate.take(&secret, NOW, source(0))));
        for number in 1..200_000 {
            gate.take(&secret, NOW, source(number));
            if number % 100 == 0 {
                assert!(!gate.is_open(&secret, NOW, source(0)), "{number}");
            }
        }
    }
}
