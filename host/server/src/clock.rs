//! The time that the cores are told.

use std::time::{Duration, Instant, SystemTime};

/// Time since the Unix epoch that never goes back: the machine's clock at the start, and what has passed since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Duration,
    begun: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Clock { epoch, begun: Instant::now() }
    }

    pub(crate) fn now(&self) -> Duration {
        self.epoch + self.begun.elapsed()
    }

    /// What the clock on the wall shows, which may have been set since: what people have agreed on is judged by it.
    pub(crate) fn wall(&self) -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// When it was started.
    pub(crate) fn started(&self) -> Duration {
        self.epoch
    }
}
