//! What will be trouble if nobody does anything: shown by the status, and said in the log when it begins.

use std::time::Duration;

use crate::clock::Clock;
use crate::turn::Server;

/// By how much the machine's clock may differ from ours: time servers correct it by less.
const STEP: i64 = 5;
/// How often the log is looked after.
const LOOK: Duration = Duration::from_secs(3600);

/// What was last said in the log, and when to look again.
#[derive(Default)]
pub(crate) struct Warned {
    said: Vec<String>,
    next: Duration,
}

impl Server {
    /// What holds now.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let now = seconds(self.clock.wall());
        let certificate = self.estate.certificate.as_ref().and_then(|facts| facts.warning(now));
        let directory = self.directory_status.error.clone().filter(|_| self.directory_status.vanished > 0);
        certificate.into_iter().chain(of_clock(&self.clock)).chain(directory).collect()
    }

    /// Says in the log what has not been said yet.
    pub(crate) fn warn(&mut self) {
        if self.clock.now() < self.warned.next {
            return;
        }
        let warnings = self.warnings();
        for warning in warnings.iter().filter(|warning| !self.warned.said.contains(warning)) {
            tracing::warn!("{warning}");
        }
        self.warned = Warned { said: warnings, next: self.clock.now() + LOOK };
    }
}

impl Warned {
    /// When to look again.
    pub(crate) fn next(&self) -> Duration {
        self.next
    }

    /// Looks again at once: something was changed.
    pub(crate) fn again(&mut self) {
        self.next = Duration::ZERO;
    }
}

/// Our time goes on evenly, so that nobody is signed out by a clock that is set; what is written down shows it.
fn of_clock(clock: &Clock) -> Option<String> {
    let set = clock.set();
    (set.abs() >= STEP).then(|| {
        format!(
            "the machine's clock was set by {set:+} s since the start: times in records and messages are those of the old one \
             until a restart"
        )
    })
}

pub(crate) fn seconds(time: Duration) -> i64 {
    time.as_secs().cast_signed()
}
