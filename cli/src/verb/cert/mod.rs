//! `carillon cert`: which certificates are in use, which phones believe one, and how the others learn its root.

mod chain;
mod check;
mod list;
mod publish;
mod roots;

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::answer::{Answer, Failure};
use crate::args;

/// Does what was asked.
pub fn run(what: &args::Cert, out: &mut dyn Write) -> Result<Answer, Failure> {
    match what {
        args::Cert::Check(args) => check::run(args, out),
        args::Cert::List(args) => list::run(args, out),
        args::Cert::Publish(args) => publish::run(args, out),
        args::Cert::Roots(args) => roots::run(args, out),
    }
}

/// Seconds in a day.
const DAY: i64 = 86_400;

/// Now, or noon of the day that was given, in seconds since 1970.
fn time(day: Option<i64>) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    day.map_or(now.cast_signed(), |day| day * DAY + DAY / 2)
}
