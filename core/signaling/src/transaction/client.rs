//! The side that asks (RFC 3261, 17.1; RFC 6026, 7.2).

use std::sync::Arc;
use std::time::Duration;

use super::{Id, PATIENCE, T1, T2, T4, TIMER_C};
use crate::contract::Destination;
use crate::proxy::{Attempt, Crossing};

/// One request that was sent, and what is known of it.
#[derive(Debug)]
pub(crate) struct Client {
    /// The part of the branch that nobody can guess.
    pub(crate) nonce: u64,
    pub(crate) to: Destination,
    pub(crate) owner: Owner,
    /// The CANCEL of this INVITE.
    pub(crate) cancel: Cancel,
    /// Whom it was sent to, if another way may be tried.
    pub(crate) tried: Option<Box<Attempt>>,
    /// The bridge that it goes over.
    pub(crate) crossing: Option<Crossing>,
    invite: bool,
    state: State,
    /// What was sent: for retransmissions, and to make a CANCEL and an ACK from. Later the ACK, to send it again.
    sent: Box<[u8]>,
}

/// For whose sake a request was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// Nobody waits for the answer: a CANCEL.
    Nobody,
    /// The server transaction of the request that was sent on.
    Request(Id),
    /// The same, after the request has gone elsewhere: only that it was accepted counts.
    Former(Id),
    /// The subscription that is notified.
    Subscription(Arc<str>),
}

/// How far giving up has got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Cancel {
    No,
    /// As soon as a provisional answer shows that the request has arrived (RFC 3261, 9.1), for this reason.
    Wanted(Option<Box<[u8]>>),
    /// On its way; over UDP it is a transaction of its own.
    Sent(Option<Id>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// No answer at all yet.
    Calling { ends: Duration, resend: Option<(Duration, Duration)> },
    /// There was a provisional answer.
    Proceeding { ends: Duration, resend: Option<(Duration, Duration)> },
    /// A final answer came; what comes again is absorbed.
    Completed { ends: Duration },
    /// A 2xx to an INVITE came; each further one is passed on.
    Accepted { ends: Duration },
}

/// What to do with a response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// News for whoever asked.
    Pass,
    /// The first final answer other than 2xx to an INVITE: acknowledge it with [`Client::acknowledge`], pass it on.
    Refused,
    /// Send the ACK again.
    AckAgain,
    Absorb,
}

/// What a timer brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lapse<'a> {
    Resend(&'a [u8]),
    /// Nobody answered: timers B and F.
    Silence,
    /// It has rung long enough: timer C. Give up.
    GiveUp,
    End,
}

impl Client {
    pub(crate) fn new(now: Duration, nonce: u64, to: Destination, invite: bool) -> Client {
        let resend = (!to.transport().is_stream()).then_some((now + T1, T1));
        let state = State::Calling { ends: now + PATIENCE, resend };
        Client {
            nonce,
            to,
            owner: Owner::Nobody,
            cancel: Cancel::No,
            tried: None,
            crossing: None,
            invite,
            state,
            sent: Box::default(),
        }
    }

    /// The request leaves. It is kept if it may have to be sent again, cancelled or acknowledged.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if self.invite || !self.to.transport().is_stream() {
            self.sent = bytes.into();
        }
    }

    pub(crate) fn is_invite(&self) -> bool {
        self.invite
    }

    /// Whether nothing at all was heard.
    pub(crate) fn is_unheard(&self) -> bool {
        matches!(self.state, State::Calling { .. })
    }

    /// Whether a final answer may still come.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding { .. })
    }

    /// What was sent: the request while it is open.
    pub(crate) fn sent(&self) -> &[u8] {
        &self.sent
    }

    /// Whether a CANCEL may leave now; if it is too early, it is noted.
    pub(crate) fn may_cancel(&mut self, reason: Option<&[u8]>) -> bool {
        match (self.state, &self.cancel) {
            (State::Proceeding { .. }, Cancel::No | Cancel::Wanted(_)) => self.invite,
            (State::Calling { .. }, Cancel::No) => {
                self.cancel = Cancel::Wanted(reason.map(Box::from));
                false
            }
            _ => false,
        }
    }

    /// The CANCEL has left. Whoever does not react to it is not waited for any longer (RFC 3261, 9.1).
    pub(crate) fn cancelled(&mut self, now: Duration, cancel: Option<Id>) {
        self.cancel = Cancel::Sent(cancel);
        if let State::Proceeding { ends, .. } = &mut self.state {
            *ends = now + PATIENCE;
        }
    }

    /// A response came.
    pub(crate) fn hear(&mut self, now: Duration, code: u16) -> Heard {
        match (self.state, code) {
            (State::Completed { .. }, 300..) if self.invite => Heard::AckAgain,
            (State::Accepted { .. }, 200..300) => Heard::Pass,
            (State::Completed { .. } | State::Accepted { .. }, _) => Heard::Absorb,
            (_, ..200) => self.proceed(now, code),
            (_, 200..300) if self.invite => self.end(State::Accepted { ends: now + PATIENCE }, Heard::Pass),
            _ => self.complete(now),
        }
    }

    /// The ACK has left; on a datagram transport it is kept, for when the answer comes again.
    pub(crate) fn acknowledged(&mut self, ack: &[u8]) {
        if !self.to.transport().is_stream() {
            self.sent = ack.into();
        }
    }

    /// When [`Client::lapse`] is to be called.
    pub(crate) fn due(&self) -> Duration {
        match self.state {
            State::Calling { ends, resend } | State::Proceeding { ends, resend } => {
                resend.map_or(ends, |(at, _)| at.min(ends))
            }
            State::Completed { ends } | State::Accepted { ends } => ends,
        }
    }

    pub(crate) fn lapse(&mut self, now: Duration) -> Lapse<'_> {
        let invite = self.invite;
        match &mut self.state {
            State::Calling { ends, resend: Some((at, interval)) }
            | State::Proceeding { ends, resend: Some((at, interval)) }
                if now < *ends =>
            {
                // Timer A doubles without bound, timer E up to T2.
                *interval = if invite { *interval * 2 } else { (*interval * 2).min(T2) };
                *at = now + *interval;
                Lapse::Resend(&self.sent)
            }
            State::Proceeding { .. } if invite && !matches!(self.cancel, Cancel::Sent(_)) => Lapse::GiveUp,
            State::Calling { .. } | State::Proceeding { .. } => Lapse::Silence,
            State::Completed { .. } | State::Accepted { .. } => Lapse::End,
        }
    }

    fn proceed(&mut self, now: Duration, code: u16) -> Heard {
        let (State::Calling { ends, resend } | State::Proceeding { ends, resend }) = self.state else {
            return Heard::Absorb;
        };
        self.state = match (self.invite, &self.cancel) {
            (true, Cancel::Sent(_)) => State::Proceeding { ends, resend: None },
            // Timer C starts with the first answer and again with each that says more than 100 (RFC 3261, 16.7, step 2).
            (true, _) if code > 100 || matches!(self.state, State::Calling { .. }) => {
                State::Proceeding { ends: now + TIMER_C, resend: None }
            }
            (true, _) => State::Proceeding { ends, resend: None },
            (false, _) => State::Proceeding { ends, resend: resend.map(|(at, _)| (at, T2)) },
        };
        Heard::Pass
    }

    fn complete(&mut self, now: Duration) -> Heard {
        let wait = match (self.to.transport().is_stream(), self.invite) {
            (true, _) => Duration::ZERO,
            (false, true) => PATIENCE,
            (false, false) => T4,
        };
        let heard = if self.invite { Heard::Refused } else { Heard::Pass };
        let kept = std::mem::take(&mut self.sent);
        self.end(State::Completed { ends: now + wait }, heard);
        if self.invite {
            self.sent = kept;
        }
        heard
    }

    fn end(&mut self, state: State, heard: Heard) -> Heard {
        self.state = state;
        self.sent = Box::default();
        heard
    }
}
