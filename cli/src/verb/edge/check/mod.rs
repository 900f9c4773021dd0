//! `carillon edge check`: looks at an Edge as its clients and servers do, and says what is wrong, root causes first.
//!
//! What is here observes; what it means is `carillon_qos::check`'s.

mod certificates;
mod doors;
mod ends;
mod from_inside;
pub(super) mod line;
mod names;
mod on_the_edge;
mod print;
mod relay;
mod service;
mod target;

pub(super) use certificates::facts;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carillon_qos::check::{Verdict, judge};
use carillon_server::config::Configuration;

use crate::answer::{Answer, Failure};
use crate::args::EdgeCheck;
use crate::verb::print_json;

/// Where an Edge and a Front End keep their configurations.
const CONFIGS: [&str; 2] = ["/etc/carillon/edge.toml", "/etc/carillon/carillon.toml"];

/// Looks, judges, prints: yes if all is well, no if something is not, unknown if something could not be looked at.
pub(super) fn run(args: &EdgeCheck, out: &mut dyn Write) -> Result<Answer, Failure> {
    let file = args.config.clone().unwrap_or_else(default_file);
    let config = Configuration::load(&file).map_err(|refusal| {
        Failure::Message(format!("no Edge is known by `{}`:\n{refusal}", file.display()))
    })?;
    let view = match &config {
        Configuration::Edge(config) => on_the_edge::view(args, &file, config)?,
        Configuration::FrontEnd(config) => from_inside::view(args, config)?,
    };
    let (seen_from, machines) = (view.seen_from, doors::visit(view, args.wait()));
    let report = judge(&machines, now());
    match args.json {
        true => _ = print_json(&report)?,
        false => print::print(&report, seen_from, args.all, out)?,
    }
    Ok(match report.verdict {
        Verdict::Pass => Answer::Yes,
        Verdict::Fail => Answer::No,
        Verdict::Unjudged => Answer::Unknown,
    })
}

fn default_file() -> PathBuf {
    let there = CONFIGS.iter().map(Path::new).find(|file| file.exists());
    there.unwrap_or(Path::new(CONFIGS[0])).to_owned()
}

/// Since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
