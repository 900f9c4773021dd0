//! Who has given too many wrong passwords for a user is locked out: nothing that comes from there for that user is looked at
//! for a while, not even the right password.
//!
//! It is the source that is locked out, never the user: a stranger who guesses keeps nobody out but those who share its address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Most that are locked out at a time; whose lock ends first is let in first.
const REMEMBERED: usize = 1 << 15;

/// When a source is locked out, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LockOut {
    /// Wrong passwords of one source for one user that it takes, with a quarter of an hour between two of them at most.
    pub attempts: u32,
    /// How long it lasts.
    pub lasts: Duration,
}

/// A source that is locked out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lock {
    /// An IPv4 address, or the first of an IPv6 network of 64 bits.
    pub source: IpAddr,
    /// When it ends by itself, since the Unix epoch.
    pub until: Duration,
}

/// Who is locked out of what. A user is a hash.
#[derive(Default, Debug)]
pub(super) struct Locks(BTreeMap<(u64, IpAddr), Duration>);

impl Default for LockOut {
    fn default() -> LockOut {
        LockOut { attempts: 10, lasts: Duration::from_secs(900) }
    }
}

impl Locks {
    pub(super) fn lock(&mut self, now: Duration, user: u64, source: IpAddr, until: Duration) {
        self.0.insert((user, source), until);
        if self.0.len() > REMEMBERED {
            self.0.retain(|_, until| *until > now);
        }
        if self.0.len() > REMEMBERED
            && let Some(first) = self.0.iter().min_by_key(|(_, until)| **until).map(|(key, _)| *key)
        {
            self.0.remove(&first);
        }
    }

    /// How long this source is still locked out.
    pub(super) fn left(&self, now: Duration, user: u64, source: IpAddr) -> Option<Duration> {
        self.0.get(&(user, source))?.checked_sub(now).filter(|left| !left.is_zero())
    }

    /// Who is locked out of a user.
    pub(super) fn of(&self, now: Duration, user: u64) -> Vec<Lock> {
        let all = self.of_user(user).filter(|lock| lock.until > now);
        all.collect()
    }

    /// Nobody is locked out of this user any more.
    pub(super) fn unlock(&mut self, user: u64) {
        let sources: Vec<IpAddr> = self.of_user(user).map(|lock| lock.source).collect();
        for source in sources {
            self.0.remove(&(user, source));
        }
    }

    /// How many there are.
    pub(super) fn len(&self, now: Duration) -> usize {
        self.0.values().filter(|until| **until > now).count()
    }

    fn of_user(&self, user: u64) -> impl Iterator<Item = Lock> + '_ {
        let from = (user, IpAddr::from([0, 0, 0, 0]));
        let rows = self.0.range(from..).take_while(move |((of, _), _)| *of == user);
        rows.map(|((_, source), until)| Lock { source: *source, until: *until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn at(seconds: u64) -> Duration {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn a_lock_is_of_one_user_and_one_source_and_ends() {
        let (mut locks, here) = (Locks::default(), IpAddr::from([192, 0, 2, 1]));
        let there = "2001:db8::".parse().unwrap();
        locks.lock(NOW, 7, here, at(10));
        locks.lock(NOW, 7, there, at(20));
        assert_eq!(locks.left(NOW, 7, here), Some(Duration::from_secs(10)));
        assert_eq!(locks.left(NOW, 8, here), None);
        assert_eq!(locks.left(NOW, 7, IpAddr::from([192, 0, 2, 2])), None);
        assert_eq!(locks.left(at(10), 7, here), None);
        assert_eq!(locks.of(at(10), 7), [Lock { source: there, until: at(20) }]);
        assert_eq!((locks.of(NOW, 6), locks.of(NOW, 8)), (vec![], vec![]));
        locks.unlock(7);
        assert_eq!(locks.left(NOW, 7, there), None);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_first_to_end_goes_first() {
        let mut locks = Locks::default();
        let source = IpAddr::from([192, 0, 2, 1]);
        for user in 0..REMEMBERED as u64 + 2 {
            locks.lock(NOW, user, source, at(10 + user));
        }
        assert_eq!(locks.len(NOW), REMEMBERED);
        assert_eq!(
            (locks.left(NOW, 1, source), locks.left(NOW, 2, source)),
            (None, Some(Duration::from_secs(12)))
        );
        locks.lock(at(30), u64::MAX, source, at(60));
        assert!(locks.0.len() < REMEMBERED, "what is over goes at once");
    }
}
