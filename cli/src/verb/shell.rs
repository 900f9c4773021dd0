//! `carillon shell`: the management shell over a running server or a plan file; typed, as a script, or as one text.

mod file;
mod lines;
mod live;
mod show;

use std::fs;
use std::io::{IsTerminal, Read, Write};

use carillon_shell::language::Wrong;
use carillon_shell::{Host, Options, Outcome, Shell};

use crate::answer::{Answer, Failure};
use crate::args::ManagementShell;

/// Carries out what is asked for, or asks for it.
pub fn run(args: &ManagementShell, out: &mut dyn Write) -> Result<Answer, Failure> {
    let mut file;
    let mut live;
    let host: &mut dyn Host = match &args.plan {
        Some(path) => {
            file = file::PlanFile::open(path)?;
            &mut file
        }
        None => {
            live = live::Live::open(&args.server)?;
            &mut live
        }
    };
    let mut shown = show::Shown::new(host, out);
    let options = Options { strict: args.strict, json: args.json };
    let answer = {
        let mut shell = Shell::new(&mut shown, options);
        match text(args)? {
            Some(text) => answer(shell.run(&text))?,
            None => lines::run(&mut shell)?,
        }
    };
    shown.finish()?;
    Ok(answer)
}

/// The text to be carried out; nothing if lines are to be asked for.
fn text(args: &ManagementShell) -> Result<Option<String>, Failure> {
    if let Some(text) = &args.command {
        return Ok(Some(text.clone()));
    }
    let stdin = || {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map(|_| text).map_err(|error| Failure::new("cannot read the script from standard input", error))
    };
    match &args.script {
        Some(path) if path.as_os_str() == "-" => stdin().map(Some),
        Some(path) => {
            let text = fs::read_to_string(path);
            text.map(Some)
                .map_err(|error| Failure::new(format!("cannot read the script `{}`", path.display()), error))
        }
        None if !std::io::stdin().is_terminal() => stdin().map(Some),
        None => Ok(None),
    }
}

fn answer(outcome: Result<Outcome, Wrong>) -> Result<Answer, Failure> {
    match outcome {
        Ok(Outcome::Failed) => Ok(Answer::No),
        Ok(Outcome::Done) => Ok(Answer::Yes),
        Ok(Outcome::Exit(status)) => Ok(Answer::Status(status)),
        Err(wrong) => Err(Failure::new("cannot read the script; nothing of it was done", wrong)),
    }
}
