//! Fewer, fuller turns when much passes: waking up costs more than forwarding. Off when little passes.

use std::time::{Duration, Instant};

/// When packets are waited for, and how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Coalescing {
    /// From so many packets a second on; below three quarters of it no longer.
    pub above: u32,
    /// How long a packet may wait for others.
    pub pause: Duration,
}

/// How much passes.
pub(super) struct Pace {
    setting: Option<Coalescing>,
    since: Instant,
    packets: u64,
    is_on: bool,
}

/// The rate is looked at so often.
const WINDOW: Duration = Duration::from_millis(20);

impl Default for Coalescing {
    fn default() -> Coalescing {
        Coalescing { above: 10_000, pause: Duration::from_micros(200) }
    }
}

impl Pace {
    pub(super) fn new(setting: Option<Coalescing>, now: Instant) -> Pace {
        Pace { setting, since: now, packets: 0, is_on: false }
    }

    /// How long to wait before the next turn, after one that brought so many packets.
    pub(super) fn pause(&mut self, packets: usize, now: Instant) -> Option<Duration> {
        let setting = self.setting?;
        self.packets += packets as u64;
        let passed = now.saturating_duration_since(self.since);
        if passed >= WINDOW {
            let rate = self.packets * 1_000_000 / (passed.as_micros() as u64).max(1);
            let above = u64::from(setting.above);
            self.is_on = rate >= if self.is_on { above * 3 / 4 } else { above };
            (self.since, self.packets) = (now, 0);
        }
        self.is_on.then_some(setting.pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it pauses after each of some turns of a millisecond that bring so many packets.
    fn pauses(pace: &mut Pace, start: Instant, turns: std::ops::Range<u32>, packets: usize) -> Vec<bool> {
        let mut turn = |n| pace.pause(packets, start + Duration::from_millis(1) * n).is_some();
        turns.map(&mut turn).collect()
    }

    #[test]
    fn it_pauses_when_much_passes_and_stops_when_little_does() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(Coalescing::default()), start);
        assert!(!pauses(&mut pace, start, 1..100, 9).contains(&true));
        let busy = pauses(&mut pace, start, 100..200, 12);
        assert!(!busy[0] && busy[60..].iter().all(|is| *is));
        // A little less is no reason to stop.
        assert!(!pauses(&mut pace, start, 200..300, 8).contains(&false));
        let quiet = pauses(&mut pace, start, 300..400, 5);
        assert!(quiet[60..].iter().all(|is| !*is));
        // Nor does it begin again after a rest.
        assert!(pace.pause(100, start + Duration::from_secs(60)).is_none());
    }

    #[test]
    fn without_the_setting_it_never_pauses() {
        let start = Instant::now();
        let mut pace = Pace::new(None, start);
        assert!(!pauses(&mut pace, start, 1..100, 1000).contains(&true));
    }
}
