//! The one program, `carillon`: reads its arguments, calls the verb, turns the answer into an exit status.

use std::io::Write;
use std::process::ExitCode;

use carillon_cli::answer::{Answer, Failure};
use carillon_cli::{args, style, verb, words};
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
        // The reader (`head`, a pager) has seen enough: no error to tell, but no answer was given either.
        Err(Failure::ReaderLeft) => Answer::Unknown.into(),
        Err(Failure::Message(message)) => {
            let error = style::BAD;
            let lines: Vec<String> = message.lines().map(words::clean).collect();
            let _ = writeln!(anstream::stderr(), "{error}error:{error:#} {}", lines.join("\n  "));
            Answer::Unknown.into()
        }
    }
}
