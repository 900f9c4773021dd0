//! One module per verb.

mod completions;
mod dscp;
mod explain;
mod man;

use std::io::Write;

use crate::answer::{Answer, Failure};
use crate::args::Verb;

/// Does what was asked.
pub fn run(verb: Verb, out: &mut dyn Write) -> Result<Answer, Failure> {
    match verb {
        Verb::Verify(_) => unreachable!(),
        Verb::Plan(_) => unreachable!(),
        Verb::Dscp(args) => dscp::run(&args, out),
        Verb::Explain(what) => explain::run(&what, out),
        Verb::Completions { shell } => completions::run(shell, out),
        Verb::Man { directory } => man::run(directory.as_deref(), out),
    }
}
