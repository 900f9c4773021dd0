//! `carillon man`: the manual pages.

use std::fs;
use std::io::Write;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::answer::{Answer, Failure};
use crate::args::Cli;

/// Prints the main page, or writes every page into the directory.
pub fn run(directory: Option<&Path>, out: &mut dyn Write) -> Result<Answer, Failure> {
    let mut command = Cli::command();
    command.build();
    match directory {
        None => Man::new(command).render(out)?,
        Some(directory) => {
            fs::create_dir_all(directory)
                .map_err(|error| Failure::new(format!("cannot make `{}`", directory.display()), error))?;
            write_pages(&command, directory, out)?;
        }
    }
    Ok(Answer::Yes)
}

/// One page for the command and each of its visible verbs, as `git` does.
fn write_pages(command: &Command, directory: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).replace(' ', "-");
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    let path = directory.join(format!("{name}.1"));
    fs::write(&path, page)
        .map_err(|error| Failure::new(format!("cannot write `{}`", path.display()), error))?;
    writeln!(out, "{}", path.display())?;
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        write_pages(verb, directory, out)?;
    }
    Ok(())
}
