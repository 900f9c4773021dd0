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
        Clock { epoch: wall(), begun: Instant::now() }
    }

    pub(crate) fn now(&self) -> Duration {
        self.epoch + self.begun.elapsed()
    }

    /// What the clock on the wall shows, which may have been set since: what people have agreed on is judged by it.
    pub(crate) fn wall(&self) -> Duration {
        wall()
    }

    /// What the clock on the wall will show at a time of ours.
    pub(crate) fn on_the_wall(&self, at: Duration) -> Duration {
        self.wall() + at.saturating_sub(self.now())
    }

    /// By how many seconds the clock on the wall has been set since the start.
    pub(crate) fn set(&self) -> i64 {
        let (wall, ours) = (self.wall(), self.now());
        if wall >= ours {
            (wall - ours).as_secs().cast_signed()
        } else {
            -(ours - wall).as_secs().cast_signed()
        }
    }

    /// When it was started.
    pub(crate) fn started(&self) -> Duration {
        self.epoch
    }
}

/// Time since the Unix epoch as the machine tells it.
pub(crate) fn wall() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
