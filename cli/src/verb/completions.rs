//! `carillon completions`: what a shell needs to complete our arguments.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::answer::{Answer, Failure};
use crate::args::Cli;

/// Prints the completions.
pub fn run(shell: Shell, out: &mut dyn Write) -> Result<Answer, Failure> {
    // The generator panics if it cannot write; a closed pipe must not.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "carillon", &mut script);
    out.write_all(&script)?;
    Ok(Answer::Yes)
}
