//! Whether the peer still agrees to being sent something: asked every five seconds or so, needed every thirty (RFC 7675).

use std::time::Duration;

use super::{Base, Path};
use crate::random::Random;

/// Between two questions, on average.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long an answer holds.
const HOLDS: Duration = Duration::from_secs(30);
/// As many questions as are asked in that time.
const MOST_ASKED: usize = 8;

/// A way that was chosen.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) path: Path,
    pub(super) base: Base,
    /// How much it is liked, by the priority of its pair.
    pub(super) priority: u64,
    /// When the peer agreed last.
    agreed: Duration,
    /// When it is asked again.
    pub(super) due: Duration,
    /// Questions without an answer so far.
    asked: Vec<[u8; 12]>,
}

impl Chosen {
    /// The check that chose the pair was the first consent.
    pub(super) fn new(path: Path, base: Base, priority: u64, now: Duration, random: &mut Random) -> Chosen {
        Chosen { path, base, priority, agreed: now, due: now + interval(random), asked: Vec::new() }
    }

    /// Whether consent is over.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        now >= self.agreed + HOLDS
    }

    /// When it is over, or to be asked for.
    pub(super) fn timeout(&self) -> Duration {
        self.due.min(self.agreed + HOLDS)
    }

    /// Appoints the next question; a question is asked once only (RFC 7675, 5.1).
    pub(super) fn ask(&mut self, now: Duration, id: [u8; 12], random: &mut Random) {
        if self.asked.len() >= MOST_ASKED {
            self.asked.remove(0);
        }
        self.asked.push(id);
        self.due = now + interval(random);
    }

    pub(super) fn is_answer(&self, id: &[u8; 12]) -> bool {
        self.asked.contains(id)
    }

    /// The peer has agreed.
    pub(super) fn agree(&mut self, now: Duration, id: &[u8; 12]) {
        self.asked.retain(|asked| asked != id);
        self.agreed = now;
    }
}

/// Four to six seconds, so that ends do not fall into step.
fn interval(random: &mut Random) -> Duration {
    INTERVAL.mul_f64(0.8 + 0.4 * f64::from(random.u32()) / f64::from(u32::MAX))
}
