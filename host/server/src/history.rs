//! Messages that have been kept for long enough go: looked for a few users at a time, behind what has left.

use std::time::Duration;

use carillon_signaling::HistoryLimits;
use carillon_store::Error;

use crate::turn::Server;

/// How often everybody's are looked at; and how soon again, when that was not all of it.
const SWEEP: Duration = Duration::from_secs(600);
const MORE: Duration = Duration::from_secs(1);
/// Users of one turn, which is held up for some milliseconds at most.
const USERS: usize = 20;

/// How far it has come.
#[derive(Default)]
pub(crate) struct Sweep {
    next: Duration,
    /// The last user that was looked at.
    behind: String,
}

impl Sweep {
    /// When to go on.
    pub(crate) fn next(&self) -> Duration {
        self.next
    }

    /// Begins anew at once: the policy is another.
    pub(crate) fn again(&mut self) {
        *self = Sweep::default();
    }
}

impl Server {
    /// What is kept of a user at a site; nothing that came before the moment is shown any more.
    pub(crate) fn history_of(&self, aor: &str, site: Option<&str>) -> (Option<HistoryLimits>, Duration) {
        let (limits, now) = (self.estate.config.history.of(aor, site), self.clock.now());
        (limits, limits.map_or(now, |limits| now.saturating_sub(limits.age)))
    }

    /// Goes on with looking for what is too old, if it is time.
    pub(crate) fn forget_old_messages(&mut self) {
        let now = self.clock.now();
        if now < self.sweep.next {
            return;
        }
        // A disk that is full has its own words in the log.
        let looked = match self.unsaved {
            None => self.sweep_some(),
            Some(_) => Ok(None),
        };
        let behind = looked.unwrap_or_else(|error| {
            tracing::error!("old messages stay until this works: {}", crate::chain(&error));
            None
        });
        let wait = if behind.is_some() { MORE } else { SWEEP };
        self.sweep = Sweep { next: now + wait, behind: behind.unwrap_or_default() };
    }

    /// Behind which user there is more to do.
    fn sweep_some(&mut self) -> Result<Option<String>, Error> {
        let users = self.store.history_users(&self.sweep.behind, USERS)?;
        let oldest =
            |(aor, site): &(String, Option<String>)| (aor.clone(), self.history_of(aor, site.as_deref()).1);
        let oldest: Vec<(String, Duration)> = users.iter().map(oldest).collect();
        if self.store.forget_messages(&oldest)? > 0 {
            return Ok(Some(self.sweep.behind.clone()));
        }
        Ok(users.last().filter(|_| users.len() == USERS).map(|(aor, _)| aor.clone()))
    }
}
