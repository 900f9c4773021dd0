//! Dialled numbers: `carillon explain number`.

use std::io::Write;
use std::path::Path;

use carillon_server::config::Configuration;
use serde::Serialize;

use crate::answer::{Answer, Failure};
use crate::style::{BAD, FAINT, NAME};
use crate::verb::print_json;
use crate::words::clean;

/// What somebody means who dials something.
#[derive(Serialize)]
struct Meant<'a> {
    dialled: &'a str,
    site: Option<&'a str>,
    number: Option<String>,
    /// The place of the rule, from 1; none for what is a number already.
    rule: Option<usize>,
    /// Why it means nothing.
    reason: Option<String>,
}

/// Says which number is meant; no if none is.
pub fn run(
    dialled: &str,
    site: Option<&str>,
    config: &Path,
    json: bool,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let loaded = Configuration::load(config).and_then(|loaded| loaded.front_end(config));
    let loaded = loaded.map_err(|refusal| Failure::Message(refusal.to_string()))?;
    let meant = match loaded.calls.dialling.number_of(site, dialled) {
        Ok((number, rule)) => Meant {
            dialled,
            site,
            number: Some(number.to_string()),
            rule: rule.map(|rule| rule + 1),
            reason: None,
        },
        Err(why) => Meant { dialled, site, number: None, rule: None, reason: Some(why.to_string()) },
    };
    let answer = if meant.number.is_some() { Answer::Yes } else { Answer::No };
    match json {
        true => print_json(&meant).map(drop)?,
        false => print(&meant, out)?,
    }
    Ok(answer)
}

fn print(meant: &Meant<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let dialled = clean(meant.dialled);
    match (&meant.number, &meant.reason) {
        (Some(number), _) => {
            let by = meant.rule.map_or("as it is".to_owned(), |rule| format!("by [[dialling]] {rule}"));
            writeln!(out, "{dialled} is {NAME}{number}{NAME:#}  {FAINT}{by}{FAINT:#}")?;
        }
        (None, reason) => {
            let reason = reason.as_deref().unwrap_or_default();
            writeln!(out, "{dialled} is {BAD}no number{BAD:#}: {reason}")?;
        }
    }
    Ok(())
}
