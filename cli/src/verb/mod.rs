//! One module per verb.

pub mod completions;
pub mod dscp;
pub mod explain;
pub mod man;
pub mod verify;

use std::io::Write;

use crate::answer::{Answer, Failure};
use crate::args::Verb;

/// Does what was asked.
pub fn run(verb: Verb, out: &mut dyn Write) -> Result<Answer, Failure> {
    match verb {
        Verb::Verify(_) => Ok(Answer::Unknown),
        Verb::Plan(_) => Ok(Answer::Unknown),
        Verb::Dscp(args) => dscp::run(&args, out),
        Verb::Explain(what) => explain::run(&what, out),
        Verb::Completions { shell } => completions::run(shell, out),
        Verb::Man { directory } => man::run(directory.as_deref(), out),
    }
}
