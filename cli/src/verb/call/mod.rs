//! `carillon call`: a headless phone. Signs in, obeys what it is provisioned with, talks, and says what became of it.

mod clock;
mod ending;
mod homes;
mod login;
mod media;
mod paths;
mod phone;
mod policy;
mod provisioned;
mod relays;
mod report;
mod similarity;
mod speech;
mod talk;
mod teller;

use std::io::Write;

pub use policy::Misbehaviour;

use crate::answer::{Answer, Failure};
use crate::args;

/// Makes or takes calls, or only shows what is provisioned.
pub fn run(args: &args::Call, out: &mut dyn Write) -> Result<Answer, Failure> {
    let login = login::Login::of(args)?;
    let teller = teller::Teller::new(args, out);
    phone::Phone::new(args, login, teller)?.run()
}
