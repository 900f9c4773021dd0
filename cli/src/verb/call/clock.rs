//! The time since the Unix epoch, as the cores want it: it never goes back, whatever is done to the system's clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Started once, read by all threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    at_start: Duration,
    start: Instant,
}

impl Clock {
    pub(super) fn new() -> Clock {
        let at_start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { at_start, start: Instant::now() }
    }

    pub(super) fn now(&self) -> Duration {
        self.at_start + self.start.elapsed()
    }
}
