//! `carillon edge`: whether an Edge works, what strangers hear of it, what it has open, its services, and credentials for its relay.

mod check;
mod credential;
mod listed;
mod ports;
mod probe;
mod restart;

use std::io::Write;

use crate::answer::{Answer, Failure};
use crate::args;

/// Does what was asked.
pub fn run(what: &args::Edge, out: &mut dyn Write) -> Result<Answer, Failure> {
    match what {
        args::Edge::Check(args) => check::run(args, out),
        args::Edge::Probe(args) => probe::run(args, out),
        args::Edge::Ports(args) => ports::run(args, out),
        args::Edge::Credential(args) => credential::run(args, out),
        args::Edge::Restart(args) => restart::run(args, out),
    }
}
