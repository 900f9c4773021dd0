//! A host whose lines are shown: output where output goes, everything else on standard error.

use std::io::Write;

use carillon_shell::{Failed, Host, Server, Stored, Stream, User, Version};

use crate::answer::Failure;
use crate::style::{BAD, DOUBT, FAINT};
use crate::words::clean;

/// Adds eyes to a host.
pub(super) struct Shown<'a> {
    host: &'a mut dyn Host,
    out: &'a mut dyn Write,
    /// The first error of writing; nothing more is written then.
    failed: Option<std::io::Error>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(host: &'a mut dyn Host, out: &'a mut dyn Write) -> Shown<'a> {
        Shown { host, out, failed: None }
    }

    /// Whether everything could be shown.
    pub(super) fn finish(self) -> Result<(), Failure> {
        self.failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn write(&mut self, stream: Stream, line: &str) -> std::io::Result<()> {
        let line = clean(line);
        let (style, word) = match stream {
            Stream::Output => {
                writeln!(self.out, "{line}")?;
                return self.out.flush();
            }
            Stream::Warning => (DOUBT, "warning:"),
            Stream::Repair => (FAINT, "repaired:"),
            Stream::Error => (BAD, "error:"),
        };
        writeln!(anstream::stderr(), "{style}{word}{style:#} {line}")
    }
}

impl Host for Shown<'_> {
    fn plan(&mut self) -> Result<Stored, Failed> {
        self.host.plan()
    }

    fn store(&mut self, toml: &str, seen: u64, why: &str) -> Result<u64, Failed> {
        self.host.store(toml, seen, why)
    }

    fn versions(&mut self) -> Result<Vec<Version>, Failed> {
        self.host.versions()
    }

    fn version(&mut self, version: u64) -> Result<Stored, Failed> {
        self.host.version(version)
    }

    fn server(&mut self) -> Result<Option<Server>, Failed> {
        self.host.server()
    }

    fn users(&mut self) -> Result<Vec<User>, Failed> {
        self.host.users()
    }

    fn add_user(&mut self, name: &str, site: Option<&str>) -> Result<String, Failed> {
        self.host.add_user(name, site)
    }

    fn remove_user(&mut self, name: &str) -> Result<bool, Failed> {
        self.host.remove_user(name)
    }

    fn write(&mut self, path: &str, text: &str, append: bool) -> Result<(), Failed> {
        self.host.write(path, text, append)
    }

    fn read(&mut self, path: &str) -> Result<String, Failed> {
        self.host.read(path)
    }

    fn confirm(&mut self, question: &str) -> Option<bool> {
        self.host.confirm(question)
    }

    fn show(&mut self, stream: Stream, line: &str) {
        if self.failed.is_none() {
            self.failed = self.write(stream, line).err();
        }
    }
}
