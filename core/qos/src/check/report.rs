//! The judgement: every check, and the root causes among them with what follows from each.

use serde::Serialize;

use super::cause::Cause;
use super::found::{Check, State};

/// The answer to "does it work?".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything that was asked is well.
    Pass,
    /// Something is not.
    Fail,
    /// Nothing is wrong of what could be found out, and something could not.
    Unjudged,
}

/// What was found out about all machines.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// All in all.
    pub verdict: Verdict,
    /// Root causes, what explains more first.
    pub roots: Vec<Root>,
    /// Every check, by machine and along the path.
    pub checks: Vec<Check>,
}

/// One thing that is wrong on one machine, wherever it shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Root {
    /// Its cause; `None` for what could not be found out.
    pub cause: Option<Cause>,
    /// The pool.
    pub pool: String,
    /// The machine.
    pub machine: String,
    /// Places in the report of the checks that it is.
    pub checks: Vec<usize>,
    /// Places of those that only follow from these.
    pub consequences: Vec<usize>,
}

impl Report {
    pub(super) fn of(checks: Vec<Check>) -> Report {
        let state = |wanted: State| checks.iter().any(|check| check.state == wanted);
        let verdict = match (state(State::Bad), state(State::Unknown) || checks.is_empty()) {
            (true, _) => Verdict::Fail,
            (false, true) => Verdict::Unjudged,
            (false, false) => Verdict::Pass,
        };
        Report { verdict, roots: roots(&checks), checks }
    }
}

/// By cause; what could not be found out comes last.
fn roots(checks: &[Check]) -> Vec<Root> {
    let mut roots: Vec<Root> = Vec::new();
    let open = |check: &Check| matches!(check.state, State::Bad | State::Unknown) && check.follows.is_none();
    for (at, check) in checks.iter().enumerate().filter(|(_, check)| open(check)) {
        let same = |root: &&mut Root| {
            root.cause == check.cause && (&root.pool, &root.machine) == (&check.pool, &check.machine)
        };
        match roots.iter_mut().find(same) {
            Some(root) => root.checks.push(at),
            None => roots.push(Root {
                cause: check.cause,
                pool: check.pool.clone(),
                machine: check.machine.clone(),
                checks: vec![at],
                consequences: Vec::new(),
            }),
        }
    }
    for root in &mut roots {
        let follows = |check: &Check| check.follows.is_some_and(|of| root.checks.contains(&of));
        let places = checks.iter().enumerate().filter(|(_, check)| follows(check)).map(|(at, _)| at);
        root.consequences = places.collect();
    }
    roots.sort_by_key(|root| (root.cause.is_none(), root.cause));
    roots
}
