//! A document of a user: shown, or put in place of what there is; as a file it is JSON, as `--json` prints it.

use std::io::{Read, Write};

use carillon_server::documents::UserDocument;

use super::print_json;
use super::reach::Users;
use crate::answer::{Answer, Failure};
use crate::args;
use crate::style::{GOOD, NAME};
use crate::words::clean;

/// Longest file that is read.
const LONGEST: u64 = 1 << 20;

/// Shows it, or puts it; `done` says what the user then has.
pub(super) fn run<T: UserDocument>(
    args: &args::OfUser,
    done: &str,
    show: fn(&T, &mut dyn Write) -> Result<Answer, Failure>,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let mut users = Users::open(&args.server)?;
    if let Some(file) = &args.set {
        users.put_document::<T>(&args.name, &read(file)?)?;
        writeln!(out, "{NAME}{}{NAME:#} {GOOD}has {done}{GOOD:#}", clean(&args.name))?;
        return Ok(Answer::Yes);
    }
    let document: T = users.document(&args.name)?;
    if args.json { print_json(&document) } else { show(&document, out) }
}

/// Reads a file; `-` is standard input.
fn read<T: UserDocument>(file: &str) -> Result<T, Failure> {
    let mut text = String::new();
    let input: Box<dyn Read> = match file {
        "-" => Box::new(std::io::stdin()),
        file => {
            let opened = std::fs::File::open(file);
            Box::new(opened.map_err(|error| Failure::Message(format!("cannot read `{file}`: {error}")))?)
        }
    };
    let got = input.take(LONGEST).read_to_string(&mut text);
    got.map_err(|error| Failure::Message(format!("cannot read `{file}`: {error}")))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::new(format!("`{file}` is no {}: {error}", T::NAME), "`--json` prints it as it is read")
    })
}
