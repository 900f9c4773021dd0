//! How often the directory is asked about passwords of one user: always less often in a row than it takes it to lock the account.
//! Else anybody who can reach us could have it lock anybody.
//!
//! It counts as directories do: wrong passwords add up, whatever time is between two of them, until a right one comes or none
//! has come for a while. The last one before the end is kept for sources from which the user has signed in: strangers who
//! guess don't keep out who is right there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// Sources of a user that are remembered.
const HOMES: usize = 4;
/// Names that are no user's, of which wrong passwords are remembered; beyond that all of these are forgotten.
const NOBODIES: usize = 1 << 14;
/// Why a user can't sign in is news again after this.
const NEWS: Duration = Duration::from_secs(3600);

/// What the directory does with accounts whose passwords are guessed at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccountLockout {
    /// So many wrong passwords in a row lock an account.
    pub locks_at: u32,
    /// After so long without another one it counts from the beginning.
    pub resets_after: Duration,
}

/// Whose password comes from where.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Attempt {
    pub(super) aor: String,
    pub(super) source: IpAddr,
}

/// What the directory has said to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Said {
    Right,
    Wrong,
    /// Nothing that it would count.
    Nothing,
}

/// Why the directory is not asked now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Held {
    /// An answer to another password of the user is still to come.
    Trying,
    /// There were too many wrong ones; for how long still.
    Until(Duration),
}

/// An attempt that has begun: what had failed before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Begun(u32);

#[derive(Debug)]
pub(super) struct Guard {
    lockout: AccountLockout,
    trying: BTreeSet<Attempt>,
    /// By user; as many as there are users at most.
    users: BTreeMap<String, Count>,
    /// By what is no user's name. It is treated alike, so that nobody learns who is one.
    nobodies: BTreeMap<String, Count>,
    /// From where users have signed in, the last ones last.
    homes: BTreeMap<String, Vec<IpAddr>>,
    news: BTreeMap<String, (&'static str, Duration)>,
    /// When what is over is next looked for.
    sweep: Duration,
}

#[derive(Clone, Copy, Default, Debug)]
struct Count {
    failed: u32,
    pending: u32,
    last: Duration,
}

impl Guard {
    pub(super) fn new(lockout: AccountLockout) -> Guard {
        Guard {
            lockout,
            trying: BTreeSet::new(),
            users: BTreeMap::new(),
            nobodies: BTreeMap::new(),
            homes: BTreeMap::new(),
            news: BTreeMap::new(),
            sweep: Duration::ZERO,
        }
    }

    /// Whether the directory may be asked about a password now. `is_user`: whether there is such a user; `at_home`: whether a
    /// phone of the user is signed in from there. Say what came of it by [`Guard::end`], whatever happens.
    pub(super) fn begin(
        &mut self,
        now: Duration,
        attempt: &Attempt,
        is_user: bool,
        at_home: bool,
    ) -> Result<Begun, Held> {
        self.forget(now);
        let at_home = at_home || self.has_signed_in(attempt);
        let limit = if at_home { self.limit() } else { self.limit_of_strangers() };
        let count = self.count(now, &attempt.aor);
        if count.failed >= limit {
            return Err(Held::Until((count.last + self.lockout.resets_after).saturating_sub(now)));
        }
        if count.failed + count.pending >= limit || !self.trying.insert(attempt.clone()) {
            return Err(Held::Trying);
        }
        let counts = if is_user { &mut self.users } else { &mut self.nobodies };
        if !is_user && counts.len() >= NOBODIES {
            counts.clear();
        }
        counts.insert(attempt.aor.clone(), Count { pending: count.pending + 1, ..count });
        Ok(Begun(count.failed))
    }

    /// What came of it; whether strangers are held back from now on.
    pub(super) fn end(&mut self, now: Duration, attempt: &Attempt, begun: Begun, said: Said) -> bool {
        self.trying.remove(attempt);
        let limit = self.limit_of_strangers();
        let is_user = self.users.contains_key(&attempt.aor);
        let counts = if is_user { &mut self.users } else { &mut self.nobodies };
        let Some(count) = counts.get_mut(&attempt.aor) else { return false };
        count.pending = count.pending.saturating_sub(1);
        match said {
            // What has failed since this was asked may stand behind it in the directory's own count.
            Said::Right => count.failed = count.failed.saturating_sub(begun.0),
            Said::Wrong => (count.failed, count.last) = (count.failed + 1, now),
            Said::Nothing => {}
        }
        let reached = said == Said::Wrong && count.failed == limit;
        if count.failed + count.pending == 0 {
            counts.remove(&attempt.aor);
        }
        if said == Said::Right {
            self.remember(attempt);
        }
        reached
    }

    /// Until when the directory is not asked about this user for strangers.
    pub(super) fn held(&self, now: Duration, aor: &str) -> Option<Duration> {
        let count = self.count(now, aor);
        (count.failed >= self.limit_of_strangers()).then(|| count.last + self.lockout.resets_after)
    }

    /// Of how many users.
    pub(super) fn held_users(&self, now: Duration) -> usize {
        self.users.keys().filter(|aor| self.held(now, aor).is_some()).count()
    }

    /// Somebody knows that the directory counts from the beginning.
    pub(super) fn forgive(&mut self, aor: &str) {
        if let Some(count) = self.users.get_mut(aor) {
            count.failed = 0;
        }
    }

    /// Whether nobody has been told for a while that this user can't sign in for that reason.
    pub(super) fn is_news(&mut self, now: Duration, aor: &str, why: &'static str) -> bool {
        let told = self.news.get(aor).is_some_and(|(of, at)| *of == why && now.saturating_sub(*at) < NEWS);
        if !told {
            self.news.insert(aor.to_owned(), (why, now));
        }
        !told
    }

    /// Wrong passwords in a row that the directory is asked about.
    fn limit(&self) -> u32 {
        self.lockout.locks_at - 1
    }

    fn limit_of_strangers(&self) -> u32 {
        (self.limit() - 1).max(1)
    }

    fn has_signed_in(&self, attempt: &Attempt) -> bool {
        self.homes.get(&attempt.aor).is_some_and(|sources| sources.contains(&attempt.source))
    }

    fn remember(&mut self, attempt: &Attempt) {
        let sources = self.homes.entry(attempt.aor.clone()).or_default();
        sources.retain(|source| *source != attempt.source);
        sources.push(attempt.source);
        let older = sources.len().saturating_sub(HOMES);
        sources.drain(..older);
    }

    fn count(&self, now: Duration, aor: &str) -> Count {
        let count = self.users.get(aor).or_else(|| self.nobodies.get(aor)).copied().unwrap_or_default();
        if self.is_over(now, &count) { Count { failed: 0, ..count } } else { count }
    }

    fn is_over(&self, now: Duration, count: &Count) -> bool {
        now > count.last + self.lockout.resets_after
    }

    /// What is over, now and then.
    fn forget(&mut self, now: Duration) {
        if now < self.sweep {
            return;
        }
        self.sweep = now + self.lockout.resets_after;
        let over = self.lockout.resets_after;
        for counts in [&mut self.users, &mut self.nobodies] {
            counts.retain(|_, count| count.pending > 0 || now <= count.last + over);
        }
        self.news.retain(|_, (_, at)| now.saturating_sub(*at) < NEWS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);
    const MINUTE: Duration = Duration::from_secs(60);
    const LOCKOUT: AccountLockout = AccountLockout { locks_at: 5, resets_after: Duration::from_secs(1800) };

    fn from(host: u8, aor: &str) -> Attempt {
        Attempt { aor: aor.to_owned(), source: IpAddr::from([192, 0, 2, host]) }
    }

    fn guard() -> Guard {
        Guard::new(LOCKOUT)
    }

    /// Asks, and is answered.
    fn tries(guard: &mut Guard, now: Duration, attempt: &Attempt, said: Said) -> Result<bool, Held> {
        let begun = guard.begin(now, attempt, true, false)?;
        Ok(guard.end(now, attempt, begun, said))
    }

    #[test]
    fn strangers_from_everywhere_stop_before_the_directory_locks_the_account() {
        let mut guard = guard();
        let asked =
            (0..200).filter(|host| tries(&mut guard, NOW, &from(*host, "alice"), Said::Wrong).is_ok());
        assert_eq!(asked.count(), 3);
        assert_eq!(guard.begin(NOW + MINUTE, &from(9, "alice"), true, false), Err(Held::Until(MINUTE * 29)));
        assert_eq!((guard.held(NOW, "alice"), guard.held_users(NOW)), (Some(NOW + MINUTE * 30), 1));
        assert_eq!(tries(&mut guard, NOW, &from(9, "bob"), Said::Wrong), Ok(false), "another user");
        guard.forgive("alice");
        assert_eq!((guard.held(NOW, "alice"), guard.held_users(NOW)), (None, 0));
        let reached: Vec<_> =
            (0..4).map(|host| tries(&mut guard, NOW, &from(host, "alice"), Said::Wrong)).collect();
        assert_eq!(reached, [Ok(false), Ok(false), Ok(true), Err(Held::Until(MINUTE * 30))]);
    }

    /// The directory's own count ends only when nothing was wrong for so long; guesses far apart add up there.
    #[test]
    fn slow_guesses_add_up_as_they_do_in_the_directory() {
        let (mut guard, mut now, mut wrong, mut last) = (guard(), NOW, 0, NOW);
        for minute in 0..2000 {
            now = NOW + MINUTE * minute;
            if minute % 7 != 0 {
                continue;
            }
            if tries(&mut guard, now, &from((minute % 250) as u8, "alice"), Said::Wrong).is_ok() {
                wrong = if now - last > LOCKOUT.resets_after { 1 } else { wrong + 1 };
                last = now;
                assert!(wrong < LOCKOUT.locks_at, "locked in minute {minute}");
            }
        }
        assert!(now - last < MINUTE * 40, "it goes on");
    }

    #[test]
    fn who_has_signed_in_from_there_is_heard_while_strangers_guess() {
        let mut guard = guard();
        let (office, phone) = (from(100, "alice"), from(101, "alice"));
        assert_eq!(tries(&mut guard, NOW, &office, Said::Right), Ok(false));
        for host in 0..9 {
            let _ = tries(&mut guard, NOW, &from(host, "alice"), Said::Wrong);
        }
        assert!(matches!(guard.begin(NOW, &phone, true, false), Err(Held::Until(_))));
        let begun = guard.begin(NOW, &phone, true, true).unwrap();
        assert!(!guard.end(NOW, &phone, begun, Said::Nothing));
        assert_eq!(tries(&mut guard, NOW, &office, Said::Wrong), Ok(false));
        assert_eq!(
            tries(&mut guard, NOW, &office, Said::Right),
            Err(Held::Until(MINUTE * 30)),
            "the last before the end"
        );
        guard.forgive("alice");
        // The right one has the directory count from the beginning, and us.
        for _ in 0..10 {
            for host in 0..9 {
                let _ = tries(&mut guard, NOW, &from(host, "alice"), Said::Wrong);
            }
            assert_eq!(tries(&mut guard, NOW, &office, Said::Right), Ok(false));
            assert_eq!(guard.held(NOW, "alice"), None);
        }
        // Only the last few sources are remembered.
        for host in 0..HOMES as u8 {
            tries(&mut guard, NOW, &from(host, "alice"), Said::Right).unwrap();
        }
        assert!(!guard.has_signed_in(&office) && guard.has_signed_in(&from(0, "alice")));
    }

    /// What has not been answered yet may be wrong.
    #[test]
    fn many_at_once_are_no_more_than_one_after_the_other() {
        let mut guard = guard();
        let begun: Vec<_> = (0..50).map(|host| guard.begin(NOW, &from(host, "alice"), true, false)).collect();
        assert_eq!(begun.iter().filter(|begun| begun.is_ok()).count(), 3);
        assert!(begun[3..].iter().all(|begun| *begun == Err(Held::Trying)));
        guard.end(NOW, &from(0, "alice"), Begun(0), Said::Nothing);
        assert!(guard.begin(NOW, &from(9, "alice"), true, false).is_ok());
        assert_eq!(guard.begin(NOW, &from(9, "alice"), true, true), Err(Held::Trying), "one of a source");
        // A right one that was asked before a wrong one was answered forgives only what was before it.
        let mut guard = self::guard();
        let (one, other) = (from(1, "alice"), from(2, "alice"));
        let [of_one, of_other] =
            [&one, &other].map(|attempt| guard.begin(NOW, attempt, true, false).unwrap());
        guard.end(NOW, &one, of_one, Said::Wrong);
        guard.end(NOW, &other, of_other, Said::Right);
        assert_eq!(guard.count(NOW, "alice").failed, 1);
    }

    #[test]
    fn names_that_are_no_users_are_held_alike_and_take_bounded_room() {
        let mut guard = guard();
        for host in 0..5 {
            let attempt = from(host, "nobody");
            let Ok(begun) = guard.begin(NOW, &attempt, false, false) else { continue };
            guard.end(NOW, &attempt, begun, Said::Wrong);
        }
        assert!(matches!(guard.begin(NOW, &from(9, "nobody"), false, false), Err(Held::Until(_))));
        assert_eq!(guard.held_users(NOW), 0);
        tries(&mut guard, NOW, &from(1, "alice"), Said::Wrong).unwrap();
        for number in 0..=NOBODIES {
            let attempt = from(1, &number.to_string());
            let begun = guard.begin(NOW, &attempt, false, false).unwrap();
            guard.end(NOW, &attempt, begun, Said::Wrong);
        }
        assert!(guard.nobodies.len() <= NOBODIES);
        assert_eq!(guard.count(NOW, "alice").failed, 1, "a user is not forgotten for that");
        guard.begin(NOW + MINUTE * 60, &from(1, "bob"), true, false).unwrap();
        assert_eq!((guard.nobodies.len(), guard.users.len()), (0, 1), "what is over is forgotten");
    }

    #[test]
    fn the_same_reason_is_news_once_an_hour() {
        let mut guard = guard();
        let told = [(0, "expired"), (59, "expired"), (60, "disabled"), (61, "disabled"), (121, "disabled")];
        let news = told.map(|(minute, why)| guard.is_news(NOW + MINUTE * minute, "alice", why));
        assert_eq!(news, [true, false, true, false, true]);
    }

    /// A directory that locks at two is asked once.
    #[test]
    fn a_low_limit_leaves_one() {
        let mut guard = Guard::new(AccountLockout { locks_at: 2, ..LOCKOUT });
        let asked = (0..9).filter(|host| tries(&mut guard, NOW, &from(*host, "alice"), Said::Wrong).is_ok());
        assert_eq!(asked.count(), 1);
    }
}
