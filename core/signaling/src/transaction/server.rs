//! The side that answers (RFC 3261, 17.2; RFC 6026, 7.1).

use std::time::Duration;

use carillon_wire::sip::Flow;

use super::{Key, PATIENCE, T1, T2, T4};

/// Who got no answer asks again within T2; after two losses in a row a REGISTER is challenged anew, that is all. With the full
/// timer J, registrations alone would be most of what is remembered.
const BRIEF: Duration = T2.saturating_mul(3);

/// One request that came, and what became of it. `W` is the work behind it; it ends with the final answer.
#[derive(Debug)]
pub(crate) struct Server<W> {
    pub(crate) key: Key,
    /// Where the request came from; answers go back there.
    pub(crate) flow: Flow,
    pub(crate) work: Option<W>,
    /// Bytes that the work holds; none from the final answer on.
    pub(crate) weight: usize,
    /// When something is to be done if there is no final answer.
    pub(crate) alarm: Option<Duration>,
    invite: bool,
    /// How long the final answer is remembered: timers H, J and L.
    patience: Duration,
    state: State,
    /// The last answer, kept for as long as it may be asked for again.
    reply: Option<Box<[u8]>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Trying, or proceeding: no final answer yet.
    Open,
    /// A final answer other than 2xx to an INVITE is out, or any to another request.
    Completed { ends: Duration, resend: Option<(Duration, Duration)> },
    /// A 2xx to an INVITE is out; more may follow, from other phones.
    Accepted { ends: Duration },
    /// The ACK has come.
    Confirmed { ends: Duration },
}

/// What to do with a request that belongs to this transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Repeat<'a> {
    /// Send the last answer again.
    Answer(&'a [u8]),
    /// Nothing: it was known already.
    Absorb,
}

/// What a timer brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due<'a> {
    Resend(&'a [u8]),
    /// There is no final answer yet.
    Alarm,
    /// The ACK never came.
    Unacknowledged,
    End,
}

impl<W> Server<W> {
    pub(crate) fn new(key: Key, flow: Flow, invite: bool) -> Server<W> {
        Server {
            key,
            flow,
            work: None,
            weight: 0,
            alarm: None,
            invite,
            patience: PATIENCE,
            state: State::Open,
            reply: None,
        }
    }

    /// For requests that do no harm if they come again much later.
    pub(crate) fn brief(self) -> Server<W> {
        Server { patience: BRIEF, ..self }
    }

    /// With work behind it that holds so many bytes.
    pub(crate) fn holding(self, weight: usize) -> Server<W> {
        Server { weight, ..self }
    }

    /// Whether a final answer is out.
    pub(crate) fn is_answered(&self) -> bool {
        self.state != State::Open
    }

    /// An answer leaves.
    pub(crate) fn answer(&mut self, now: Duration, code: u16, bytes: &[u8]) {
        // A call that was taken stays taken.
        if let State::Accepted { .. } = self.state {
            return;
        }
        let stream = self.flow.transport.is_stream();
        let resend = (self.invite && !stream).then_some((now + T1, T1));
        self.state = match (code, self.invite) {
            (..200, _) => State::Open,
            (..300, true) => State::Accepted { ends: now + self.patience },
            (_, false) if stream => State::Completed { ends: now, resend: None },
            _ => State::Completed { ends: now + self.patience, resend },
        };
        // A 2xx is repeated by the one who gave it, until the ACK gets there.
        let kept = !stream && !matches!(self.state, State::Accepted { .. });
        self.reply = kept.then(|| bytes.into());
    }

    /// The request again.
    pub(crate) fn repeat(&self) -> Repeat<'_> {
        match (&self.reply, self.state) {
            (Some(reply), State::Open | State::Completed { .. }) => Repeat::Answer(reply),
            _ => Repeat::Absorb,
        }
    }

    /// An ACK; `false` if it is that of a 2xx, which is for the phone.
    pub(crate) fn acknowledge(&mut self, now: Duration) -> bool {
        if let State::Completed { .. } = self.state
            && self.invite
        {
            let wait = if self.flow.transport.is_stream() { Duration::ZERO } else { T4 };
            self.state = State::Confirmed { ends: now + wait };
            self.reply = None;
        }
        !matches!(self.state, State::Accepted { .. })
    }

    /// When [`Server::lapse`] is to be called.
    pub(crate) fn due(&self) -> Option<Duration> {
        match self.state {
            State::Open => self.alarm,
            State::Completed { ends, resend } => Some(resend.map_or(ends, |(at, _)| at.min(ends))),
            State::Accepted { ends } | State::Confirmed { ends } => Some(ends),
        }
    }

    pub(crate) fn lapse(&mut self, now: Duration) -> Due<'_> {
        match &mut self.state {
            State::Open => Due::Alarm,
            State::Completed { ends, resend: Some((at, interval)) } if now < *ends => {
                *interval = (*interval * 2).min(T2);
                *at = now + *interval;
                Due::Resend(self.reply.as_deref().unwrap_or_default())
            }
            State::Completed { .. } if self.invite => Due::Unacknowledged,
            _ => Due::End,
        }
    }
}
