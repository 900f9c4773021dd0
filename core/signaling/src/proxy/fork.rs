//! One request and all the phones it goes to: which are next, and which answer is the best (RFC 3261, 16.7).

use std::borrow::Cow;
use std::sync::Arc;

use carillon_wire::sip::{Answer, Flow, Message, Name};

use super::budget::OVER_BUDGET;
use crate::contract::{Binding, Change, Destination};
use crate::records::OpenCall;
use crate::registrar;
use crate::rules::{Cause, Course, Hunt, Told};
use crate::transaction::Id;

const UNAVAILABLE: Answer = Answer { code: 480, reason: "Temporarily Unavailable" };

/// A place where a request can be sent.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A contact of one of our users, and the other flows to the same phone.
    Contact(Arc<Binding>, Vec<Arc<Binding>>),
    /// The other side of a dialog.
    Peer(Destination),
    /// An Edge of ours, for a user of another domain, and the others of its pool.
    Edge(Destination, Vec<Destination>),
}

/// A target, and what it is told. Kept while another way to the same may be tried instead.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) target: Target,
    /// What rules have to say.
    pub(crate) told: Option<Arc<Told>>,
    /// Its share of the breadth (RFC 5393).
    pub(crate) breadth: Option<u32>,
    /// Its phone has refused media without keys: over a bridge it is offered nothing else.
    pub(crate) keys: bool,
}

/// What is known of a request that is on its way.
#[derive(Debug)]
pub(crate) struct Fork {
    /// The request as it came: for further branches and for answers of our own.
    pub(crate) request: Box<[u8]>,
    /// Who sent it, if that was proven.
    pub(crate) caller: Arc<str>,
    /// What our Director is told of who that is (RFC 3325), if there is one.
    pub(crate) asserted: Option<String>,
    /// What is recorded of the call that it would begin.
    pub(crate) call: Option<Box<OpenCall>>,
    /// What histories have of it once somebody has taken it.
    pub(crate) remembered: Vec<Change>,
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
    /// What comes when nobody of these has taken it, if there are rules.
    pub(crate) hunt: Option<Box<Hunt>>,
    /// Whether a phone has rung.
    pub(crate) rang: bool,
    /// A link that had no room for one of them.
    pub(crate) full: Option<Arc<str>>,
    /// Not tried yet, the best first.
    waiting: Vec<Attempt>,
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
    pub(crate) fn new(request: &[u8], caller: Arc<str>, path: u64, course: Course) -> Fork {
        let Course { attempts, hunt, .. } = course;
        Fork {
            lost: lost(&attempts),
            request: request.into(),
            caller,
            asserted: None,
            call: None,
            remembered: Vec::new(),
            path,
            cancelled: false,
            branches: Vec::new(),
            open: 0,
            hunt,
            rang: false,
            full: None,
            waiting: attempts,
            best: None,
            challenges: Vec::new(),
        }
    }

    /// Bytes that it may hold: the request, its copy for each target, and for histories what it says, which may have come packed.
    pub(crate) fn weight(&self) -> usize {
        let said = |change: &Change| match change {
            Change::Remember(entry) => entry.body.len(),
            _ => 0,
        };
        self.request.len() * (1 + self.waiting.len()) + self.remembered.iter().map(said).sum::<usize>()
    }

    /// The targets that are tried together now: all of the highest `q` that is left.
    pub(crate) fn group(&mut self) -> Vec<Attempt> {
        let rank = self.waiting.first().map(|attempt| attempt.target.q());
        let same = self.waiting.iter().take_while(|attempt| Some(attempt.target.q()) == rank).count();
        self.waiting.drain(..same).collect()
    }

    /// Rules have sent it elsewhere: what came before counts no longer. The branches that were open.
    pub(crate) fn turn(&mut self, hunt: Box<Hunt>, attempts: Vec<Attempt>) -> Vec<Id> {
        (self.lost, self.hunt, self.rang) = (lost(&attempts), Some(hunt), false);
        (self.waiting, self.best, self.open) = (attempts, None, 0);
        self.challenges.clear();
        std::mem::take(&mut self.branches)
    }

    /// Why rules may send it elsewhere now that nobody has taken it.
    pub(crate) fn cause(&self) -> Option<Cause> {
        let (_, outcome) = self.best.as_ref().filter(|_| self.hunt.is_some() && !self.cancelled)?;
        match outcome {
            Outcome::Failed(OVER_BUDGET) => Some(Cause::Unreachable),
            outcome => Cause::of(outcome.code(), self.rang),
        }
    }

    /// Nobody else is tried.
    pub(crate) fn stop(&mut self) {
        self.waiting.clear();
    }

    /// A branch ended without an answer.
    pub(crate) fn failed(&mut self, answer: Answer) {
        // That no link had room for one phone says less than what another one has answered.
        let rank = if answer == OVER_BUDGET { 43 } else { rank(answer.code, self.cancelled) };
        self.consider(rank, || Outcome::Failed(answer));
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
        self.consider(rank(code, self.cancelled), || Outcome::Answered(code, forwarded()));
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

    fn consider(&mut self, rank: u16, outcome: impl FnOnce() -> Outcome) {
        if self.best.as_ref().is_none_or(|(best, _)| rank < *best) {
            self.best = Some((rank, outcome()));
        }
    }
}

impl Outcome {
    fn code(&self) -> u16 {
        match self {
            Outcome::Answered(code, _) => *code,
            Outcome::Failed(answer) => answer.code,
        }
    }
}

impl Attempt {
    pub(crate) fn new(target: Target) -> Attempt {
        Attempt { target, told: None, breadth: None, keys: false }
    }

    /// The next way to the same, when this one has failed.
    pub(crate) fn other(&self) -> Option<Attempt> {
        Some(Attempt { target: self.target.other()?, ..self.clone() })
    }
}

/// What is said of a branch whose connection has gone.
fn lost(attempts: &[Attempt]) -> Answer {
    attempts.first().map_or(UNAVAILABLE, |attempt| attempt.target.failure())
}

impl Target {
    /// The flow that leads there, as a Record-Route remembers it.
    pub(crate) fn flow(&self) -> Option<Flow> {
        match self {
            Target::Contact(binding, _) => Some(binding.flow),
            Target::Peer(_) => None,
            Target::Edge(Destination::Flow(flow), _) => Some(*flow),
            // No connection that there is: later it is known by the address.
            Target::Edge(Destination::Address { transport, remote, .. }, _) => {
                Some(Flow { transport: *transport, id: 0, local: *remote, remote: *remote })
            }
        }
    }

    /// How it is reached, if it can be.
    pub(crate) fn destination(&self) -> Option<Destination> {
        match self {
            Target::Contact(binding, _) => registrar::destination(binding),
            Target::Peer(to) | Target::Edge(to, _) => Some(*to),
        }
    }

    /// The Request-URI, if it becomes another.
    pub(crate) fn uri(&self, told: Option<&Told>) -> Option<Cow<'_, str>> {
        match (self, told) {
            (Target::Contact(binding, _), Some(told)) if !told.params.is_empty() => {
                let (uri, headers) = binding.contact.split_once('?').unwrap_or((&binding.contact, ""));
                let mark = if headers.is_empty() { "" } else { "?" };
                Some(format!("{uri}{}{mark}{headers}", told.params).into())
            }
            (Target::Contact(binding, _), _) => Some((*binding.contact).into()),
            (Target::Edge(..), Some(told)) => Some(format!("{}{}", told.uri, told.params).into()),
            (Target::Peer(_) | Target::Edge(..), _) => None,
        }
    }

    /// Whose it is; empty if it is the other side of a dialog.
    pub(crate) fn aor(&self) -> &str {
        match self {
            Target::Contact(binding, _) => &binding.aor,
            Target::Peer(_) | Target::Edge(..) => "",
        }
    }

    /// What is said if its flow is gone.
    pub(crate) fn failure(&self) -> Answer {
        match self {
            Target::Contact(..) => UNAVAILABLE,
            Target::Peer(_) => Answer { code: 430, reason: "Flow Failed" },
            Target::Edge(..) => Answer { code: 504, reason: "Server Time-out" },
        }
    }

    /// The next way to the same, when this one has failed.
    fn other(&self) -> Option<Target> {
        match self {
            Target::Contact(_, others) => {
                let (next, rest) = others.split_first()?;
                Some(Target::Contact(Arc::clone(next), rest.to_vec()))
            }
            Target::Edge(_, others) => {
                let (next, rest) = others.split_first()?;
                Some(Target::Edge(*next, rest.to_vec()))
            }
            Target::Peer(_) => None,
        }
    }

    /// Whether an answer says that this way leads nowhere, and nothing of whoever is at its end. A phone that has answered is
    /// not asked by another flow (RFC 5626, 7); an Edge that can't reach a partner is not the only one of its pool.
    pub(crate) fn has_failed(&self, code: u16) -> bool {
        match self {
            Target::Contact(..) => matches!(code, 408 | 430),
            Target::Edge(..) => matches!(code, 430 | 503 | 504),
            Target::Peer(_) => false,
        }
    }

    /// Whether anything is to be done when it has failed: another way, or a binding that is no more.
    pub(crate) fn is_worth_keeping(&self) -> bool {
        match self {
            Target::Contact(binding, others) => !others.is_empty() || !binding.path.is_empty(),
            Target::Edge(_, others) => !others.is_empty(),
            Target::Peer(_) => false,
        }
    }

    pub(crate) fn q(&self) -> u16 {
        match self {
            Target::Contact(binding, _) => binding.q,
            Target::Peer(_) | Target::Edge(..) => 1000,
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

    fn nowhere() -> Fork {
        Fork::new(b"", "".into(), 0, Course { to: None, attempts: Vec::new(), hunt: None })
    }

    fn best(codes: &[u16]) -> Outcome {
        let mut fork = nowhere();
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
        let mut fork = nowhere();
        fork.failed(Answer { code: 408, reason: "Request Timeout" });
        let response = Message::parse(&b"SIP/2.0 486 x\r\n\r\n"[..]).unwrap();
        fork.refused(486, &response, Vec::new);
        assert_eq!(fork.outcome(), Some((Outcome::Answered(486, Vec::new()), Vec::new())));
    }
}
