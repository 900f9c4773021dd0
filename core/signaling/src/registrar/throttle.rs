//! Guessing is slow: who gave wrong passwords waits before the next one is looked at, longer each time.
//!
//! Nobody is kept out by what others do elsewhere. A source that has given no wrong password is always heard; that a user is
//! guessed at from everywhere only shortens the patience with sources from which that user is not signed in. Only who has
//! answered a challenge sent to its own address is counted (see `digest::nonce`), so that nobody counts for somebody else.
//! Who goes on all the same is locked out (see `lockout`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::lockout::{Lock, LockOut, Locks};
use crate::secret::{Secret, usage};

/// Wrong passwords of one source for one user that cost nothing: people mistype, and phones try again by themselves.
const FREE: u32 = 4;
/// The same while a user is guessed at from everywhere, and how many wrong passwords that takes.
const FREE_IF_WATCHED: u32 = 1;
const WATCHED: u32 = 32;
/// Wrong passwords of one source for all users together: many phones may be behind one address.
const FREE_OF_SOURCE: u32 = 64;
/// The first wait is a second; it doubles up to this.
const LONGEST: Duration = Duration::from_secs(300);
/// After so long without another wrong password it is forgotten.
const FORGIVEN: Duration = Duration::from_secs(900);
/// Most that is remembered, 200 bytes each; what was wrong longest ago is forgotten first.
const REMEMBERED: usize = 1 << 15;

#[derive(Debug)]
pub(super) struct Throttle {
    secret: Secret,
    records: BTreeMap<Key, Record>,
    /// The same by the time of the last wrong password.
    order: BTreeSet<(Duration, Key)>,
    capacity: usize,
    lock_out: LockOut,
    locks: Locks,
}

/// Who tries to be whom. `source` is one in the sense of `carillon_wire::sip::source`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt<'a> {
    pub(super) source: IpAddr,
    pub(super) aor: &'a str,
    /// Whether this user is signed in from there.
    pub(super) known: bool,
}

/// What wrong passwords are counted by. A user is a hash, so that long names cost nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Key {
    Both(IpAddr, u64),
    Source(IpAddr),
    User(u64),
}

#[derive(Clone, Copy, Default, Debug)]
struct Record {
    wrong: u32,
    last: Duration,
}

impl Throttle {
    pub(super) fn new(seed: &[u8; 32]) -> Throttle {
        Throttle {
            secret: Secret::new(seed),
            records: BTreeMap::new(),
            order: BTreeSet::new(),
            capacity: REMEMBERED,
            lock_out: LockOut::default(),
            locks: Locks::default(),
        }
    }

    /// How long is still to be waited before credentials are looked at; `None`: not at all.
    pub(super) fn wait(&self, now: Duration, attempt: Attempt<'_>) -> Option<Duration> {
        let Attempt { source, known, .. } = attempt;
        let user = self.user(attempt.aor);
        let watched = !known && self.wrong(now, Key::User(user)).wrong >= WATCHED;
        let free = if watched { FREE_IF_WATCHED } else { FREE };
        let for_this = self.pause(now, Key::Both(source, user), free);
        let for_all = self.pause(now, Key::Source(source), FREE_OF_SOURCE).filter(|_| !known);
        for_this.max(for_all)
    }

    /// From now on a source is locked out by this rule.
    pub(super) fn set_lock_out(&mut self, lock_out: LockOut) {
        self.lock_out = lock_out;
    }

    /// How long the source is still locked out of this user.
    pub(super) fn locked(&self, now: Duration, attempt: Attempt<'_>) -> Option<Duration> {
        self.locks.left(now, self.user(attempt.aor), attempt.source)
    }

    /// Who is locked out of a user.
    pub(super) fn locks(&self, now: Duration, aor: &str) -> Vec<Lock> {
        self.locks.of(now, self.user(aor))
    }

    /// How many are locked out of anything.
    pub(super) fn count_locks(&self, now: Duration) -> usize {
        self.locks.len(now)
    }

    /// What was wrong for this user is forgiven everybody.
    pub(super) fn unlock(&mut self, aor: &str) {
        let user = self.user(aor);
        self.locks.unlock(user);
        let of_user = |key: &&Key| matches!(key, Key::Both(_, of) | Key::User(of) if *of == user);
        let keys: Vec<Key> = self.records.keys().filter(of_user).copied().collect();
        keys.into_iter().for_each(|key| self.forget(key));
    }

    /// A password was wrong; whether the source is locked out by that.
    pub(super) fn wrong_password(&mut self, now: Duration, attempt: Attempt<'_>) -> bool {
        let user = self.user(attempt.aor);
        for key in [Key::Both(attempt.source, user), Key::Source(attempt.source), Key::User(user)] {
            let mut record = self.wrong(now, key);
            self.forget(key);
            record = Record { wrong: record.wrong.saturating_add(1), last: now };
            self.records.insert(key, record);
            self.order.insert((now, key));
        }
        while let Some((last, key)) = self.order.first().copied()
            && (self.records.len() > self.capacity || now.saturating_sub(last) > FORGIVEN)
        {
            self.forget(key);
        }
        let locks = self.wrong(now, Key::Both(attempt.source, user)).wrong >= self.lock_out.attempts;
        if locks {
            self.locks.lock(now, user, attempt.source, now + self.lock_out.lasts);
        }
        locks
    }

    /// A password was right: what was wrong before is forgiven this source.
    pub(super) fn proven(&mut self, attempt: Attempt<'_>) {
        self.forget(Key::Both(attempt.source, self.user(attempt.aor)));
    }

    fn user(&self, aor: &str) -> u64 {
        self.secret.hash(usage::USER, &[aor.as_bytes()])
    }

    /// What is not yet forgiven.
    fn wrong(&self, now: Duration, key: Key) -> Record {
        let record = self.records.get(&key).copied().unwrap_or_default();
        if now.saturating_sub(record.last) > FORGIVEN { Record::default() } else { record }
    }

    fn pause(&self, now: Duration, key: Key, free: u32) -> Option<Duration> {
        let Record { wrong, last } = self.wrong(now, key);
        let doubled = wrong.checked_sub(free)?;
        let wait = Duration::from_secs(1 << doubled.min(16)).min(LONGEST);
        (last + wait).checked_sub(now).filter(|left| !left.is_zero())
    }

    fn forget(&mut self, key: Key) {
        if let Some(record) = self.records.remove(&key) {
            self.order.remove(&(record.last, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn from(host: u16, aor: &str) -> Attempt<'_> {
        let [a, b] = host.to_be_bytes();
        Attempt { source: IpAddr::from([198, 51, a, b]), aor, known: false }
    }

    fn throttle() -> Throttle {
        Throttle::new(&[7; 32])
    }

    #[test]
    fn after_four_wrong_passwords_the_wait_doubles_up_to_five_minutes() {
        let (mut throttle, mut now, mut waits) = (throttle(), NOW, Vec::new());
        for _ in 0..14 {
            throttle.wrong_password(now, from(1, "alice"));
            let wait = throttle.wait(now, from(1, "alice")).unwrap_or_default();
            waits.push(wait.as_secs());
            assert_eq!(throttle.wait(now + wait, from(1, "alice")), None);
            now += wait;
        }
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(throttle.wait(now, from(2, "alice")), None, "another source");
        assert_eq!(throttle.wait(now, from(1, "bob")), None, "another user");
    }

    #[test]
    fn a_right_password_and_a_quarter_of_an_hour_make_good() {
        let mut throttle = throttle();
        let spoiled = |throttle: &mut Throttle| {
            for _ in 0..20 {
                throttle.wrong_password(NOW, from(1, "alice"));
            }
            assert_eq!(throttle.wait(NOW, from(1, "alice")), Some(LONGEST));
        };
        spoiled(&mut throttle);
        throttle.proven(from(1, "alice"));
        assert_eq!(throttle.wait(NOW, from(1, "alice")), None);
        spoiled(&mut throttle);
        let later = NOW + FORGIVEN + SECOND;
        throttle.wrong_password(later, from(1, "alice"));
        assert_eq!(throttle.wait(later, from(1, "alice")), None);
        assert_eq!(throttle.records.len(), 3, "what is forgiven is forgotten");
    }

    #[test]
    fn one_source_cannot_go_from_user_to_user() {
        let mut throttle = throttle();
        for number in 0..64 {
            assert_eq!(throttle.wait(NOW, from(1, "next")), None, "{number}");
            throttle.wrong_password(NOW, from(1, &number.to_string()));
        }
        assert_eq!(throttle.wait(NOW, from(1, "next")), Some(SECOND));
        // Who is signed in from there is heard as before.
        assert_eq!(throttle.wait(NOW, Attempt { known: true, ..from(1, "next") }), None);
    }

    /// However many sources guess: one that has not is heard, and is only forgiven less.
    #[test]
    fn a_user_who_is_guessed_at_from_everywhere_is_not_kept_out() {
        let mut throttle = throttle();
        for host in 0..1000 {
            throttle.wrong_password(NOW, from(host, "alice"));
        }
        let alice = from(2000, "alice");
        assert_eq!(throttle.wait(NOW, alice), None);
        throttle.wrong_password(NOW, alice);
        assert_eq!(throttle.wait(NOW, alice), Some(SECOND));
        assert_eq!(throttle.wait(NOW, Attempt { known: true, ..alice }), None);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_a_busy_guesser_is_not_forgotten() {
        let mut throttle = Throttle { capacity: 100, ..throttle() };
        for number in 0..1000u32 {
            throttle.wrong_password(NOW + SECOND * number, from(1, &number.to_string()));
            assert!(throttle.records.len() <= 100 && throttle.order.len() == throttle.records.len());
        }
        assert_eq!(throttle.wait(NOW + SECOND * 1000, from(1, "next")), Some(LONGEST - SECOND));
    }

    #[test]
    fn who_goes_on_is_locked_out_of_that_user_until_it_ends_or_somebody_helps() {
        let mut throttle = throttle();
        let lasts = SECOND * 600;
        throttle.set_lock_out(LockOut { attempts: 6, lasts });
        let locked: Vec<bool> = (0..7).map(|_| throttle.wrong_password(NOW, from(1, "alice"))).collect();
        assert_eq!(locked, [false, false, false, false, false, true, true]);
        assert_eq!(throttle.locked(NOW, from(1, "alice")), Some(lasts));
        assert_eq!(throttle.locked(NOW, from(2, "alice")), None, "another source");
        assert_eq!(throttle.locked(NOW, from(1, "bob")), None, "another user");
        assert_eq!(throttle.locked(NOW + lasts, from(1, "alice")), None, "it ends by itself");
        assert_eq!((throttle.locks(NOW, "alice").len(), throttle.count_locks(NOW)), (1, 1));
        throttle.wrong_password(NOW, from(1, "bob"));
        throttle.unlock("alice");
        assert_eq!(throttle.locked(NOW, from(1, "alice")), None);
        assert!(!throttle.wrong_password(NOW, from(1, "alice")), "what was before is forgiven");
        assert_eq!(throttle.records.len(), throttle.order.len());
        assert_eq!(throttle.records.keys().filter(|key| matches!(key, Key::Both(..))).count(), 2);
    }
}
