//! One request and all the phones it goes to: which are next, and which answer is the best (RFC 3261, 16.7).

use std::sync::Arc;

use carillon_wire::sip::{Answer, Flow, Message, Name};

use crate::contract::{Binding, Destination};
use crate::registrar;
use crate::transaction::Id;

const UNAVAILABLE: Answer = Answer { code: 480, reason: "Temporarily Unavailable" };

/// A place where a request can be sent.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A contact of one of our users.
    Contact(Arc<Binding>),
    /// The other side of a dialog.
    Peer(Destination),
}

/// What is known of a request that is on its way.
#[derive(Debug)]
pub(crate) struct Fork {
    /// The request as it came: for further branches and for answers of our own.
    pub(crate) request: Box<[u8]>,
    /// Who sent it, if that was proven.
    pub(crate) caller: Arc<str>,
    /// Hash that tells loops, see [`super::branch`].
    pub(crate) path: u64,
    /// The caller does not want it any more.
    pub(crate) cancelled: bool,
    /// Every branch that was begun.
    pub(crate) branches: Vec<Id>,
    /// What is said of a branch whose connection has gone.
    pub(crate) lost: Answer,
    /// How many of them have not ended.
    pub(crate) open: usize,
    /// Not tried yet, the best first.
    waiting: Vec<Target>,
    best: Option<(u16, Outcome)>,
    challenges: Challenges,
}

/// Fields of challenges, and which they are.
pub(crate) type Challenges = Vec<(Name, Vec<u8>)>;

/// How a branch ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// With this answer, ready to be sent on.
    Answered(u16, Vec<u8>),
    /// Without one; this is what is said instead.
    Failed(Answer),
}

impl Fork {
    pub(crate) fn new(request: &[u8], caller: Arc<str>, path: u64, targets: Vec<Target>) -> Fork {
        let lost = targets.first().map_or(UNAVAILABLE, Target::failure);
        Fork {
            lost,
            request: request.into(),
            caller,
            path,
            cancelled: false,
            branches: Vec::new(),
            open: 0,
            waiting: targets,
            best: None,
            challenges: Vec::new(),
        }
    }

    /// Bytes that it may hold: the request, and its copy for each target.
    pub(crate) fn weight(&self) -> usize {
        self.request.len() * (1 + self.waiting.len())
    }

    /// The targets that are tried together now: all of the highest `q` that is left.
    pub(crate) fn group(&mut self) -> Vec<Target> {
        let rank = self.waiting.first().map(Target::q);
        let same = self.waiting.iter().take_while(|target| Some(target.q()) == rank).count();
        self.waiting.drain(..same).collect()
    }

    /// Nobody else is tried.
    pub(crate) fn stop(&mut self) {
        self.waiting.clear();
    }

    /// A branch ended without an answer.
    pub(crate) fn failed(&mut self, answer: Answer) {
        self.consider(answer.code, || Outcome::Failed(answer));
    }

    /// A branch was refused by `response`; `forwarded` makes of it what would be sent on.
    pub(crate) fn refused(
        &mut self,
        code: u16,
        response: &Message<&[u8]>,
        forwarded: impl FnOnce() -> Vec<u8>,
    ) {
        if matches!(code, 401 | 407) {
            for name in [Name::WwwAuthenticate, Name::ProxyAuthenticate] {
                self.challenges.extend(response.all(name).map(|value| (name, value.to_vec())));
            }
        }
        self.consider(code, || Outcome::Answered(code, forwarded()));
    }

    /// The best that came, and the challenges of all others if it is one (RFC 3261, 16.7, step 7).
    pub(crate) fn outcome(&mut self) -> Option<(Outcome, Challenges)> {
        let (_, outcome) = self.best.take()?;
        let challenges = std::mem::take(&mut self.challenges);
        match outcome {
            Outcome::Answered(401 | 407, _) => Some((outcome, challenges)),
            _ => Some((outcome, Vec::new())),
        }
    }

    fn consider(&mut self, code: u16, outcome: impl FnOnce() -> Outcome) {
        let rank = rank(code, self.cancelled);
        if self.best.as_ref().is_none_or(|(best, _)| rank < *best) {
            self.best = Some((rank, outcome()));
        }
    }
}

impl Target {
    /// The flow that leads there, as a Record-Route remembers it.
    pub(crate) fn flow(&self) -> Option<Flow> {
        match self {
            Target::Contact(binding) => Some(binding.flow),
            Target::Peer(_) => None,
        }
    }

    /// How it is reached, if it can be.
    pub(crate) fn destination(&self) -> Option<Destination> {
        match self {
            Target::Contact(binding) => registrar::destination(binding),
            Target::Peer(to) => Some(*to),
        }
    }

    /// Whose it is; empty if it is the other side of a dialog.
    pub(crate) fn aor(&self) -> &str {
        match self {
            Target::Contact(binding) => &binding.aor,
            Target::Peer(_) => "",
        }
    }

    /// What is said if its flow is gone.
    pub(crate) fn failure(&self) -> Answer {
        match self {
            Target::Contact(_) => UNAVAILABLE,
            Target::Peer(_) => Answer { code: 430, reason: "Flow Failed" },
        }
    }

    fn q(&self) -> u16 {
        match self {
            Target::Contact(binding) => binding.q,
            Target::Peer(_) => 1000,
        }
    }
}

/// The lower, the better: 6xx before all, then by class; within 4xx what tells the caller how to do better comes first, and
/// what only says that nobody was there comes last.
fn rank(code: u16, cancelled: bool) -> u16 {
    let within = match code {
        487 if cancelled => return 10,
        401 | 407 | 415 | 420 | 484 => 0,
        408 | 430 | 480 | 503 => 2,
        _ => 1,
    };
    match code {
        600.. => 0,
        _ => code / 100 * 10 + within,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(codes: &[u16]) -> Outcome {
        let mut fork = Fork::new(b"", "".into(), 0, Vec::new());
        let response = Message::parse(&b"SIP/2.0 400 x\r\n\r\n"[..]).unwrap();
        for code in codes {
            fork.refused(*code, &response, || code.to_string().into_bytes());
        }
        fork.outcome().unwrap().0
    }

    #[test]
    fn the_best_answer_is_chosen_as_the_rfc_says() {
        for (codes, expected) in [
            (&[486, 404][..], 486),
            (&[500, 404], 404),
            (&[404, 302], 302),
            (&[486, 407], 407),
            (&[408, 486], 486),
            (&[503, 502], 502),
            (&[302, 603, 407], 603),
        ] {
            assert_eq!(
                best(codes),
                Outcome::Answered(expected, expected.to_string().into_bytes()),
                "{codes:?}"
            );
        }
    }

    #[test]
    fn an_answer_beats_silence_of_the_same_class() {
        let mut fork = Fork::new(b"", "".into(), 0, Vec::new());
        fork.failed(Answer { code: 408, reason: "Request Timeout" });
        let response = Message::parse(&b"SIP/2.0 486 x\r\n\r\n"[..]).unwrap();
        fork.refused(486, &response, Vec::new);
        assert_eq!(fork.outcome(), Some((Outcome::Answered(486, Vec::new()), Vec::new())));
    }
}
