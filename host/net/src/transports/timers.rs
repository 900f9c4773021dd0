//! When to look at which connection again.
//!
//! Deadlines move later with every message. A connection therefore stands here once, at a moment no later than its
//! deadline, and what it really waits for is looked up when that has come.

use std::collections::BTreeSet;
use std::time::Instant;

/// Moments, the earliest first, each with the number of a socket.
#[derive(Default, Debug)]
pub(super) struct Timers(BTreeSet<(Instant, u64)>);

impl Timers {
    /// Looks at `id` no later than `at`; `armed` is the socket's own note of when that will be.
    pub(super) fn arm(&mut self, id: u64, armed: &mut Option<Instant>, at: Instant) {
        if armed.is_none_or(|armed| at < armed) {
            self.disarm(id, armed);
            self.0.insert((at, id));
            *armed = Some(at);
        }
    }

    /// Forgets a socket.
    pub(super) fn disarm(&mut self, id: u64, armed: &mut Option<Instant>) {
        if let Some(at) = armed.take() {
            self.0.remove(&(at, id));
        }
    }

    /// The earliest moment.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes out what has come due; the socket has to forget its note.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<u64> {
        if self.next()? > now { None } else { self.0.pop_first().map(|(_, id)| id) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_socket_stands_once_at_its_earliest_moment() {
        let (mut timers, mut armed, start) = (Timers::default(), None, Instant::now());
        for seconds in [20, 10, 30] {
            timers.arm(1, &mut armed, start + Duration::from_secs(seconds));
        }
        assert_eq!(timers.next(), Some(start + Duration::from_secs(10)));
        assert_eq!(timers.take_due(start + Duration::from_secs(9)), None);
        assert_eq!(timers.take_due(start + Duration::from_secs(10)), Some(1));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_socket_that_is_forgotten_never_comes_due() {
        let (mut timers, mut armed, start) = (Timers::default(), None, Instant::now());
        timers.arm(1, &mut armed, start);
        timers.disarm(1, &mut armed);
        assert_eq!((timers.take_due(start), armed), (None, None));
    }
}
