//! The one program, `carillon`: reads its arguments, calls the verb, turns the answer into an exit status.
//!
//! What a verb does lives in [`verb`]; what may be written on the command line lives in [`args`].

mod answer;
mod args;
mod page;
mod style;
mod table;
mod verb;
mod words;

use std::io::Write;
use std::process::ExitCode;

use answer::{Answer, Failure};
use clap::Parser;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    cli.color.write_global();
    let mut out = anstream::stdout().lock();
    let answer = verb::run(cli.verb, &mut out).and_then(|answer| {
        out.flush()?;
        Ok(answer)
    });
    match answer {
        Ok(answer) => answer.into(),
        // The reader (`head`, a pager) has seen enough; that is no mistake.
        Err(Failure::ReaderLeft) => Answer::Yes.into(),
        Err(Failure::Message(message)) => {
            let error = style::BAD;
            let _ = writeln!(anstream::stderr(), "{error}error:{error:#} {}", words::clean(&message));
            Answer::Unknown.into()
        }
    }
}
