//! What happens to packets between two hosts: they take time, get lost, come twice, overtake each other.

use std::time::Duration;

use crate::random::Random;

/// A path. Shares are in thousandths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    /// Time that every packet takes.
    pub delay: Duration,
    /// Time on top, different for each packet: more than the distance between two packets reorders them.
    pub jitter: Duration,
    /// Share that is lost.
    pub loss: u16,
    /// Share that comes twice.
    pub duplicates: u16,
}

impl Path {
    /// Nothing is lost; 5 ms.
    pub const CLEAN: Path =
        Path { delay: Duration::from_millis(5), jitter: Duration::ZERO, loss: 0, duplicates: 0 };

    /// One in ten is lost, some come twice, and they overtake each other.
    pub const BAD: Path = Path {
        delay: Duration::from_millis(30),
        jitter: Duration::from_millis(40),
        loss: 100,
        duplicates: 20,
    };

    /// How long each copy of a packet takes; none if it is lost.
    pub fn copies(&self, random: &mut Random) -> impl Iterator<Item = Duration> + use<> {
        let count =
            if random.chance(self.loss) { 0 } else { 1 + usize::from(random.chance(self.duplicates)) };
        let jitter = u64::try_from(self.jitter.as_micros()).unwrap_or(u64::MAX).saturating_add(1);
        let times = [(); 2].map(|()| self.delay + Duration::from_micros(random.below(jitter)));
        times.into_iter().take(count)
    }
}
