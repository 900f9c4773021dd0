//! One module per verb.

pub mod call;
pub mod cert;
pub mod check_config;
pub mod completions;
pub mod demo;
pub mod dscp;
pub mod edge;
pub mod explain;
pub mod man;
pub mod plan;
pub mod probe;
pub mod records;
pub mod serve;
pub mod shell;
pub mod status;
pub mod trace;
pub mod user;
pub mod verify;

use std::io::{self, BufWriter, Write};

use serde::Serialize;

use crate::answer::{Answer, Failure};
use crate::args::Verb;

/// Does what was asked.
pub fn run(verb: Verb, out: &mut dyn Write) -> Result<Answer, Failure> {
    match verb {
        Verb::Verify(args) => verify::run(args, out),
        Verb::Plan(what) => plan::run(&what, out),
        Verb::Serve(args) => serve::run(args, out),
        Verb::Shell(args) => shell::run(&args, out),
        Verb::User(what) => user::run(what, out),
        Verb::Status(args) => status::run(&args, out),
        Verb::Records(what) => records::run(&what, out),
        Verb::Edge(what) => edge::run(&what, out),
        Verb::Cert(what) => cert::run(&what, out),
        Verb::CheckConfig(args) => check_config::run(&args, out),
        Verb::Demo(args) => demo::run(&args, out),
        Verb::Trace(args) => trace::run(&args, out),
        Verb::Probe(what) => probe::run(&what, out),
        Verb::Dscp(args) => dscp::run(&args, out),
        Verb::Explain(what) => explain::run(&what, out),
        Verb::Call(args) => call::run(&args, out),
        Verb::Completions { shell } => completions::run(shell, out),
        Verb::Man { directory } => man::run(directory.as_deref(), out),
    }
}

/// Prints a value as JSON. It has no colours, so it goes past what takes them out, which looks at every byte.
fn print_json(value: &(impl Serialize + ?Sized)) -> Result<Answer, Failure> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    out.flush()?;
    Ok(Answer::Yes)
}
