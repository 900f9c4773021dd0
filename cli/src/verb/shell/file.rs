//! A plan file as the shell's host, and what both hosts have in common: files and the person at the terminal.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use carillon_shell::{Failed, Host, Server, Stored, Stream, User, Version};

use crate::answer::Failure;

/// What a plan that is not there yet starts from: the product as installed.
const NEW: &str = "name = \"plan\"\nbase = \"lync\"\n";

/// A plan file.
pub(super) struct PlanFile {
    path: PathBuf,
    /// Counts what was read and written, so that a change in between is noticed.
    seen: Vec<String>,
}

impl PlanFile {
    /// The file, which need not be there yet.
    pub(super) fn open(path: &Path) -> Result<PlanFile, Failure> {
        let mut file = PlanFile { path: path.to_owned(), seen: Vec::new() };
        file.plan().map_err(|Failed(text)| Failure::Message(text))?;
        Ok(file)
    }

    fn now(&self) -> Result<String, Failed> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(NEW.to_owned()),
            Err(error) => Err(Failed(format!("cannot read the plan `{}`: {error}", self.path.display()))),
        }
    }

    /// All of it or nothing: written beside, then put in place. What was there stays as `FILE.bak`.
    fn replace(&self, toml: &str) -> io::Result<()> {
        let beside = |ending: &str| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        if self.path.exists() {
            fs::copy(&self.path, beside(".bak"))?;
        }
        let new = beside(".new");
        fs::write(&new, toml)?;
        if let Ok(known) = fs::metadata(&self.path) {
            fs::set_permissions(&new, known.permissions())?;
        }
        fs::rename(&new, &self.path)
    }
}

fn only_a_server(what: &str) -> Failed {
    Failed(format!(
        "{what} are kept by a server, and --plan edits a file; leave it out to speak to the server"
    ))
}

impl Host for PlanFile {
    fn plan(&mut self) -> Result<Stored, Failed> {
        let toml = self.now()?;
        if self.seen.last() != Some(&toml) {
            self.seen.push(toml.clone());
        }
        Ok(Stored { toml, version: self.seen.len() as u64 })
    }

    fn store(&mut self, toml: &str, seen: u64, _: &str) -> Result<u64, Failed> {
        let now = self.plan()?;
        if now.version != seen {
            return Err(Failed(format!("`{}` was changed meanwhile; try again", self.path.display())));
        }
        self.replace(toml)
            .map_err(|error| Failed(format!("cannot write the plan `{}`: {error}", self.path.display())))?;
        self.plan().map(|stored| stored.version)
    }

    fn versions(&mut self) -> Result<Vec<Version>, Failed> {
        Err(only_a_server("versions of the plan"))
    }

    fn version(&mut self, _: u64) -> Result<Stored, Failed> {
        Err(only_a_server("versions of the plan"))
    }

    fn server(&mut self) -> Result<Option<Server>, Failed> {
        Ok(None)
    }

    fn users(&mut self) -> Result<Vec<User>, Failed> {
        Err(only_a_server("users"))
    }

    fn add_user(&mut self, _: &str, _: Option<&str>) -> Result<String, Failed> {
        Err(only_a_server("users"))
    }

    fn remove_user(&mut self, _: &str) -> Result<bool, Failed> {
        Err(only_a_server("users"))
    }

    fn write(&mut self, path: &str, text: &str, append: bool) -> Result<(), Failed> {
        write(path, text, append)
    }

    fn read(&mut self, path: &str) -> Result<String, Failed> {
        read(path)
    }

    fn confirm(&mut self, question: &str) -> Option<bool> {
        confirm(question)
    }

    fn show(&mut self, _: Stream, _: &str) {}
}

/// Writes a text file.
pub(super) fn write(path: &str, text: &str, append: bool) -> Result<(), Failed> {
    let mut options = OpenOptions::new();
    options.create(true).write(true).append(append).truncate(!append);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Failed(format!("cannot write `{path}`: {error}")))
}

/// Reads a text file.
pub(super) fn read(path: &str) -> Result<String, Failed> {
    fs::read_to_string(path).map_err(|error| Failed(format!("cannot read `{path}`: {error}")))
}

/// Asks the person at the terminal, if there is one.
pub(super) fn confirm(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let mut terminal = anstream::stderr();
    write!(terminal, "{} [Y] Yes [N] No (default is \"Y\"): ", crate::words::clean(question)).ok()?;
    terminal.flush().ok()?;
    let mut typed = String::new();
    io::stdin().lock().read_line(&mut typed).ok()?;
    Some(matches!(typed.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes" | "a"))
}
