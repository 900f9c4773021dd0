//! Call rules: where a call for a user goes instead of its phones, or besides them, or after them; and whose numbers there are.
//!
//! How a request travels is the proxy's business; who may be a target is checked where rules are put.

mod choose;
mod hunt;
mod switchboard;

use std::sync::Arc;
use std::time::Duration;

use crate::numbers::Number;

pub(crate) use choose::Course;
pub(crate) use hunt::{Cause, Hunt, Told};
pub(crate) use switchboard::Switchboard;

/// What becomes of calls for one user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallRules {
    /// Every call goes there, and no phone of the user rings.
    pub always: Option<Goal>,
    /// Where a call goes that was refused: 486, 600, 603.
    pub busy: Option<Goal>,
    /// Where a call goes that nobody has taken in time.
    pub no_answer: Option<Goal>,
    /// Where a call goes while no phone of the user can be reached.
    pub unreachable: Option<Goal>,
    /// How long the phones ring before nobody has answered.
    pub patience: Duration,
    /// Whose phones ring at the same time.
    pub along: Vec<Goal>,
    /// Users who may call on behalf of this one, and whose phones ring at the same time: `bob@example.com`.
    pub delegates: Vec<Arc<str>>,
}

/// Where a call goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Goal {
    /// To this address, of a user of ours or of another domain: `bob@example.com`, in lower case.
    Address(Arc<str>),
    /// To the user with this number.
    Number(Number),
    /// To the voicemail of the server, which is told for whom and why (RFC 4458).
    Voicemail,
}

impl Default for CallRules {
    fn default() -> CallRules {
        CallRules {
            always: None,
            busy: None,
            no_answer: None,
            unreachable: None,
            patience: Duration::from_secs(20),
            along: Vec::new(),
            delegates: Vec::new(),
        }
    }
}

impl CallRules {
    /// Where a call goes for this reason.
    fn goal(&self, cause: Cause) -> Option<&Goal> {
        match cause {
            Cause::Always => self.always.as_ref(),
            Cause::Busy => self.busy.as_ref(),
            Cause::NoAnswer => self.no_answer.as_ref(),
            Cause::Unreachable => self.unreachable.as_ref(),
        }
    }
}
