//! What a verb answers: yes, no, or "could not tell"; the exit status follows from it.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

/// The answer to the question that a verb was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Exit status 0.
    Yes,
    /// Exit status 1.
    No,
    /// Exit status 2, as for wrong usage and files that cannot be read.
    Unknown,
    /// The exit status that a script names.
    Status(u8),
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> ExitCode {
        match answer {
            Answer::Yes => ExitCode::SUCCESS,
            Answer::No => ExitCode::from(1),
            Answer::Unknown => ExitCode::from(2),
            Answer::Status(status) => ExitCode::from(status),
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// Whoever read the output has closed it.
    ReaderLeft,
    /// What was attempted, with what, and why it failed.
    Message(String),
}

impl Failure {
    /// A failed attempt: "cannot read `x.pcap`: no such file".
    pub fn new(attempt: impl Display, reason: impl Display) -> Failure {
        Failure::Message(format!("{attempt}: {reason}"))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ReaderLeft,
            _ => Failure::new("cannot write the output", error),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        Failure::from(io::Error::from(error))
    }
}
