//! `carillon plan import`: a plan made of what is deployed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use carillon_qos::drift;
use carillon_qos::import::{self, Deployed};

use crate::answer::{Answer, Failure};
use crate::args::Import;
use crate::style::{DOUBT, FAINT, GOOD};
use crate::verb::print_json;
use crate::words::clean;

/// Reads the files and writes the plan that they amount to.
pub(super) fn run(args: &Import, out: &mut dyn Write) -> Result<Answer, Failure> {
    let deployed = read_all(&args.files)?;
    if args.json {
        return print_json(&deployed);
    }
    if deployed.iter().all(|file| file.facts.is_empty()) {
        return Err(Failure::new("cannot make a plan", "the files say nothing of ports, marks or queues"));
    }
    let (plan, notes) = drift::plan_from(&deployed);
    let mut err = anstream::stderr().lock();
    for note in &notes {
        writeln!(err, "{DOUBT}note{DOUBT:#} {}", clean(&note.to_string()))?;
    }
    match &args.out {
        None => out.write_all(plan.as_bytes())?,
        Some(path) => {
            write_new(path, &plan)?;
            let next = format!("carillon plan lint {}", path.display());
            writeln!(
                out,
                "{GOOD}{}{GOOD:#} {FAINT}next: {next}{FAINT:#}",
                clean(&path.display().to_string())
            )?;
        }
    }
    Ok(Answer::Yes)
}

/// Reads every file; what was mended in them is said on standard error. One that cannot be read stops everything.
pub(super) fn read_all(files: &[PathBuf]) -> Result<Vec<Deployed>, Failure> {
    let mut all = Vec::new();
    let mut wrong = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let bytes = fs::read(path).map_err(|error| Failure::new(format!("cannot read `{name}`"), error))?;
        match import::read(&name, &bytes) {
            Ok(deployed) => all.push(deployed),
            Err(notes) => wrong
                .extend(notes.iter().map(|note| format!("\n{}: {}", clean(&name), clean(&note.to_string())))),
        }
    }
    if !wrong.is_empty() {
        return Err(Failure::Message(format!("cannot import, nothing was taken:{}", wrong.concat())));
    }
    let mut err = anstream::stderr().lock();
    for deployed in &all {
        for note in &deployed.notes {
            writeln!(err, "{DOUBT}note{DOUBT:#} {}: {}", clean(&deployed.source), clean(&note.to_string()))?;
        }
    }
    Ok(all)
}

/// A plan is never written over another file.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let file = fs::File::create_new(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Failure::new(format!("cannot write `{}`", path.display()), error))
}
