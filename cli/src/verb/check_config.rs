//! `carillon check-config`: what is wrong with a configuration, or a sample of one.

use std::io::Write;
use std::path::Path;

use carillon_server::config::{Config, Configuration, DirectorConfig, EdgeConfig, Refusal, sample};
use serde_json::json;

use super::print_json;
use crate::answer::{Answer, Failure};
use crate::args;
use crate::style::{BAD, FAINT, GOOD};
use crate::words::{clean, some};

/// Checks a file, or prints the sample.
pub fn run(args: &args::CheckConfig, out: &mut dyn Write) -> Result<Answer, Failure> {
    let Some(file) = &args.file else {
        out.write_all(sample(args.sample.unwrap_or_default()).as_bytes())?;
        return Ok(Answer::Yes);
    };
    let checked = Configuration::load(file);
    let answer = if checked.is_ok() { Answer::Yes } else { Answer::No };
    match checked {
        _ if args.json => print_mistakes_json(checked.err())?,
        Ok(config) => print_good(file, &config, out)?,
        Err(refusal) => print_bad(&refusal, out)?,
    }
    Ok(answer)
}

fn print_good(file: &Path, config: &Configuration, out: &mut dyn Write) -> Result<(), Failure> {
    let does = match config {
        Configuration::FrontEnd(config) => front_end(config),
        Configuration::Edge(config) => {
            config.director.as_ref().map_or_else(|| edge(config), |it| director(it, config))
        }
    };
    writeln!(out, "{GOOD}nothing is wrong{GOOD:#} with {}", clean(&file.display().to_string()))?;
    writeln!(out, "{FAINT}{does}{FAINT:#}")?;
    Ok(())
}

fn front_end(config: &Config) -> String {
    let listeners: Vec<String> =
        config.listeners.iter().map(|l| format!("{} {}", l.transport, l.address)).collect();
    let (domains, plan) = (config.domains.join(", "), config.plan.plan.name());
    format!("serves {domains} on {} by the plan {plan}", listeners.join(", "))
}

fn director(director: &DirectorConfig, config: &EdgeConfig) -> String {
    let (address, plan) = (director.address, config.plan.plan.name());
    let names: Vec<&str> = director.front_ends.iter().map(|group| group.name.as_str()).collect();
    format!("directs {} to {} on {address} by the plan {plan}", director.domains.join(", "), names.join(", "))
}

fn edge(config: &EdgeConfig) -> String {
    let addresses = &config.addresses;
    let ports = config.plan.plan.edge_ports().map_or_else(String::new, |ports| ports.to_string());
    let inside = addresses.internal.map_or_else(String::new, |internal| format!(" and {internal}"));
    let plan = config.plan.plan.name();
    if !config.media {
        return format!(
            "carries messages and presence on {}{inside}, and no media, by the plan {plan}",
            addresses.external
        );
    }
    format!("relays on {}{inside} from ports {ports} by the plan {plan}", addresses.external)
}

fn print_bad(refusal: &Refusal, out: &mut dyn Write) -> Result<(), Failure> {
    for mistake in &refusal.0 {
        writeln!(out, "{}", clean(&mistake.to_string()))?;
    }
    writeln!(out, "{BAD}{}{BAD:#}", some(refusal.0.len() as u64, "mistake", "mistakes"))?;
    Ok(())
}

fn print_mistakes_json(refusal: Option<Refusal>) -> Result<(), Failure> {
    let mistakes: Vec<_> = refusal
        .map_or(Vec::new(), |refusal| refusal.0)
        .into_iter()
        .map(|mistake| {
            let problem = mistake.problem;
            json!({ "file": mistake.file, "line": problem.line, "key": problem.path, "text": problem.text })
        })
        .collect();
    print_json(&json!({ "valid": mistakes.is_empty(), "mistakes": mistakes })).map(drop)
}
