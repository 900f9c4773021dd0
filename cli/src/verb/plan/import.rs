//! `carillon plan import`: a plan made of what is deployed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use carillon_qos::drift;
use carillon_qos::import::{self, Deployed, Fact, What};

use crate::answer::{Answer, Failure};
use crate::args::Import;
use crate::style::{DOUBT, FAINT, GOOD};
use crate::verb::print_json;
use crate::words::clean;

/// Reads the files and writes the plan that they amount to.
pub(super) fn run(args: &Import, out: &mut dyn Write) -> Result<Answer, Failure> {
    if args.json {
        return print_json(&read_all(&args.files)?);
    }
    let (deployed, mut wrong) = read_each(&args.files)?;
    // A plan is made of everything or of nothing: what could not be read is no part that may be left out.
    wrong.extend(unread(&deployed));
    refuse(&wrong)?;
    tell_notes(&deployed)?;
    let says = |fact: &Fact| !matches!(fact.what, What::Policy(_));
    if !deployed.iter().any(|file| file.facts.iter().any(says)) {
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

/// What could not be read within files that could.
fn unread(files: &[Deployed]) -> Vec<String> {
    let facts = files.iter().flat_map(|file| file.facts.iter().map(move |fact| (file, fact)));
    let unread = |(file, fact): (&Deployed, &Fact)| match &fact.what {
        What::Unread { what, why, .. } => {
            let (source, place) = (clean(&file.source), clean(&fact.place));
            Some(format!("\n{source}: {place}: {}: {}", clean(what), clean(why)))
        }
        _ => None,
    };
    facts.filter_map(unread).collect()
}

fn refuse(wrong: &[String]) -> Result<(), Failure> {
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::Message(format!("cannot import, nothing was taken:{}", wrong.concat())))
}

/// Reads every file; what was mended in them is said on standard error. One that cannot be read stops everything.
pub(super) fn read_all(files: &[PathBuf]) -> Result<Vec<Deployed>, Failure> {
    let (deployed, wrong) = read_each(files)?;
    refuse(&wrong)?;
    tell_notes(&deployed)?;
    Ok(deployed)
}

/// What every file says, and what is wrong with those that cannot be read.
fn read_each(files: &[PathBuf]) -> Result<(Vec<Deployed>, Vec<String>), Failure> {
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for path in files {
        let name = path.display().to_string();
        let bytes = fs::read(path).map_err(|error| Failure::new(format!("cannot read `{name}`"), error))?;
        match import::read(&name, &bytes) {
            Ok(deployed) => all.push(deployed),
            Err(notes) => wrong
                .extend(notes.iter().map(|note| format!("\n{}: {}", clean(&name), clean(&note.to_string())))),
        }
    }
    Ok((all, wrong))
}

fn tell_notes(files: &[Deployed]) -> Result<(), Failure> {
    let mut err = anstream::stderr().lock();
    for deployed in files {
        for note in &deployed.notes {
            writeln!(err, "{DOUBT}note{DOUBT:#} {}: {}", clean(&deployed.source), clean(&note.to_string()))?;
        }
    }
    Ok(())
}

/// A plan is never written over another file.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let file = fs::File::create_new(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Failure::new(format!("cannot write `{}`", path.display()), error))
}
