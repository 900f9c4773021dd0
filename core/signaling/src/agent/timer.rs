//! The waiting times of transactions (RFC 3261, 17 and table 4).

use std::time::Duration;

pub(super) const T1: Duration = Duration::from_millis(500);
pub(super) const T2: Duration = Duration::from_secs(4);
pub(super) const T4: Duration = Duration::from_secs(5);
/// 64 times T1: timers B, D, F, H, L, M.
pub(super) const LONG: Duration = Duration::from_secs(32);

/// When to send again, and how long to wait after that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Resend {
    pub(super) at: Duration,
    wait: Duration,
    longest: Duration,
}

impl Resend {
    /// After T1, then twice as long each time, up to `longest`.
    pub(super) fn new(now: Duration, longest: Duration) -> Resend {
        Resend { at: now + T1, wait: T1, longest }
    }

    /// Whether it is time; then the next time is set.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        let due = now >= self.at;
        if due {
            self.wait = (self.wait * 2).min(self.longest);
            self.at = now + self.wait;
        }
        due
    }

    /// From now on only after the longest time (RFC 3261, 17.1.2.2: proceeding).
    pub(super) fn slow(&mut self) {
        self.wait = self.longest;
    }
}
