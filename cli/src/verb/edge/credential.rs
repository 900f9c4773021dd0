//! `carillon edge credential`: a user name and password that end by themselves.

use std::io::Write;

use crate::answer::{Answer, Failure};
use crate::args::EdgeCredential;
use crate::style::{FAINT, STRONG};
use crate::verb::print_json;
use crate::verb::user::reach::{self, connect};

/// Asks the Edge: only it (and the Front Ends) know the secret.
pub(super) fn run(args: &EdgeCredential, out: &mut dyn Write) -> Result<Answer, Failure> {
    let made = connect(&reach::socket(&args.server)?)?
        .credential((&args.user, args.site.as_deref()), args.class, args.lifetime)
        .map_err(|error| Failure::new("cannot make a credential", error))?;
    if args.json {
        return print_json(&made);
    }
    writeln!(out, "username {STRONG}{}{STRONG:#}", made.username)?;
    writeln!(out, "password {STRONG}{}{STRONG:#}", made.password)?;
    writeln!(out, "{FAINT}for {} s{FAINT:#}", made.ttl)?;
    Ok(Answer::Yes)
}
