//! `carillon edge`: what a running Edge has open, and credentials for its relay.

mod credential;
mod ports;

use std::io::Write;

use crate::answer::{Answer, Failure};
use crate::args;

/// Does what was asked.
pub fn run(what: &args::Edge, out: &mut dyn Write) -> Result<Answer, Failure> {
    match what {
        args::Edge::Ports(args) => ports::run(args, out),
        args::Edge::Credential(args) => credential::run(args, out),
    }
}
