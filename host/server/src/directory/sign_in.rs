//! Whether a password is right, by the directory's word. Only who is known here is asked about, by the name that the directory
//! itself has given: nothing that somebody types becomes part of a question.

use std::net::SocketAddr;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use carillon_wire::sip::source;

use super::Directory;
use super::barred::Barred;
use super::conversation::Bound;
use super::guard::{Attempt, Begun, Guard, Held, Said};
use crate::clock::Clock;

/// The answer of the directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Judgement {
    Right,
    Wrong,
    /// It may be right, and is of no use now.
    Barred(Barred),
    /// The same source has not had its last answer yet.
    TooMany,
    /// It is not asked, so that it does not lock the account; for how long still.
    Withheld(Duration),
    /// Nobody can say.
    Silent(String),
}

/// A password that somebody shows.
pub(crate) struct Shown<'a> {
    /// From where.
    pub(crate) remote: SocketAddr,
    /// Whose.
    pub(crate) aor: &'a str,
    /// What the directory calls it; `None` if it is none of its users who may sign in.
    pub(crate) dn: Option<&'a str>,
    /// Whether a phone of the user is signed in from there.
    pub(crate) at_home: bool,
    pub(crate) password: &'a str,
}

impl Directory {
    /// Asks it. For who is not known, it takes the directory as long to say no.
    pub(crate) async fn judge(&self, clock: Clock, shown: &Shown<'_>) -> Judgement {
        // Directories take none as a wish to stay unknown, and say yes (RFC 4513, 5.1.2).
        if shown.password.is_empty() {
            return Judgement::Wrong;
        }
        let mut turn = match Turn::take(self, clock, shown) {
            Ok(turn) => turn,
            Err(Held::Trying) => return Judgement::TooMany,
            Err(Held::Until(left)) => return Judgement::Withheld(left),
        };
        let mut conversation = match self.reach().await {
            Ok(conversation) => conversation,
            Err(why) => return Judgement::Silent(why),
        };
        // From here on it may have counted a wrong one, whether its answer comes or not.
        turn.said = Said::Wrong;
        let nobody = format!("cn=nobody-known-to-carillon,{}", self.config.base);
        let bound = conversation.bind(shown.dn.unwrap_or(&nobody), shown.password).await;
        let (said, judgement) = match bound {
            Ok(Bound::Right) if shown.dn.is_some() => (Said::Right, Judgement::Right),
            Ok(Bound::Barred(why)) if shown.dn.is_some() => (Said::Nothing, Judgement::Barred(why)),
            Ok(_) => (Said::Wrong, Judgement::Wrong),
            Err(why) => (Said::Wrong, Judgement::Silent(why)),
        };
        turn.said = said;
        judgement
    }

    /// Until when it is not asked about passwords of a user from where the user has not signed in.
    pub(crate) fn held(&self, now: Duration, aor: &str) -> Option<Duration> {
        self.guard().held(now, aor)
    }

    /// Of how many users.
    pub(crate) fn held_users(&self, now: Duration) -> usize {
        self.guard().held_users(now)
    }

    /// It is asked again.
    pub(crate) fn forgive(&self, aor: &str) {
        self.guard().forgive(aor);
    }

    /// Whether it has not been written down lately that a user can't sign in for that reason.
    pub(crate) fn is_news(&self, now: Duration, aor: &str, why: &Barred) -> bool {
        self.guard().is_news(now, aor, why.word)
    }

    fn guard(&self) -> MutexGuard<'_, Guard> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have one password of a user tried. However it ends, what the directory may have counted is counted: who hangs
/// up before the answer has guessed, too.
struct Turn<'a> {
    directory: &'a Directory,
    clock: Clock,
    attempt: Attempt,
    begun: Begun,
    said: Said,
}

impl Turn<'_> {
    fn take<'a>(directory: &'a Directory, clock: Clock, shown: &Shown<'_>) -> Result<Turn<'a>, Held> {
        let attempt = Attempt { aor: shown.aor.to_owned(), source: source(shown.remote) };
        let begun = directory.guard().begin(clock.now(), &attempt, shown.dn.is_some(), shown.at_home)?;
        Ok(Turn { directory, clock, attempt, begun, said: Said::Nothing })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let reached = self.directory.guard().end(self.clock.now(), &self.attempt, self.begun, self.said);
        if reached {
            tracing::warn!(
                "passwords of a user are guessed at: so that the directory does not lock the account, it is asked about them only \
                 from where the user has signed in before; `carillon user list` shows whom"
            );
        }
    }
}
