//! One module per verb.

pub mod completions;
pub mod dscp;
pub mod explain;
pub mod man;
pub mod plan;
pub mod verify;

use std::io::Write;

use serde::Serialize;

use crate::answer::{Answer, Failure};
use crate::args::Verb;

/// Does what was asked.
pub fn run(verb: Verb, out: &mut dyn Write) -> Result<Answer, Failure> {
    match verb {
        Verb::Verify(args) => verify::run(args, out),
        Verb::Plan(what) => plan::run(&what, out),
        Verb::Dscp(args) => dscp::run(&args, out),
        Verb::Explain(what) => explain::run(&what, out),
        Verb::Completions { shell } => completions::run(shell, out),
        Verb::Man { directory } => man::run(directory.as_deref(), out),
    }
}

/// Prints a value as JSON.
fn print_json(value: &(impl Serialize + ?Sized), out: &mut dyn Write) -> Result<Answer, Failure> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(Answer::Yes)
}
