//! A session: variables, and statements carried out one after the other. An error ends its statement, not the script.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::cmdlet::{self, Cmdlet};
use crate::error::Error;
use crate::host::{Host, Stream};
use crate::language::{self, Wrong, ast::Script};
use crate::object::Value;
use crate::output;

/// How a session behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Read only what PowerShell reads, and make nothing that does not exist.
    pub strict: bool,
    /// Print objects as JSON.
    pub json: bool,
}

/// What came of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Everything was done.
    Done,
    /// Something was not; it was told.
    Failed,
    /// The session is to end with this status: the one that `exit` names, or whether everything was done.
    Exit(u8),
}

/// A session.
pub struct Shell<'h> {
    pub(crate) host: &'h mut dyn Host,
    pub(crate) options: Options,
    pub(crate) cmdlets: Rc<[Cmdlet]>,
    pub(crate) variables: BTreeMap<String, Value>,
    pub(crate) failed: bool,
    /// The session is to end, with this status if one was named.
    pub(crate) exiting: Option<Option<u8>>,
    /// An error is to end the script: `-ErrorAction Stop`.
    pub(crate) stopping: bool,
    /// Script blocks and groups that are being carried out, one in the other.
    pub(crate) depth: usize,
    /// Warnings are not wanted.
    pub(crate) quiet: bool,
}

impl<'h> Shell<'h> {
    /// A session with this host.
    pub fn new(host: &'h mut dyn Host, options: Options) -> Shell<'h> {
        Shell {
            host,
            options,
            cmdlets: cmdlet::all().into(),
            variables: BTreeMap::new(),
            failed: false,
            exiting: None,
            stopping: false,
            depth: 0,
            quiet: false,
        }
    }

    /// Reads a text and does what it says.
    ///
    /// # Errors
    /// A text that can't be read; nothing of it was done then.
    pub fn run(&mut self, text: &str) -> Result<Outcome, Wrong> {
        let (script, repairs) = language::parse(text, self.options.strict)?;
        for repair in repairs {
            self.host.show(Stream::Repair, &format!("line {}: {}", repair.line, repair.text));
        }
        self.failed = false;
        self.carry_out(&script);
        Ok(match (self.exiting, self.failed) {
            (Some(status), failed) => Outcome::Exit(status.unwrap_or(u8::from(failed))),
            (None, true) => Outcome::Failed,
            (None, false) => Outcome::Done,
        })
    }

    /// Statements whose output is shown.
    fn carry_out(&mut self, script: &Script) {
        for statement in script {
            if self.exiting.is_some() {
                return;
            }
            match self.statement(statement) {
                Ok(values) => output::show(self, &values),
                Err(error) => {
                    self.tell(&error);
                    let stops = self.variables.get("erroractionpreference").map(Value::text);
                    if std::mem::take(&mut self.stopping)
                        || stops.is_some_and(|stops| stops.eq_ignore_ascii_case("stop"))
                    {
                        return;
                    }
                }
            }
        }
    }

    pub(crate) fn warn(&mut self, text: impl AsRef<str>) {
        if !self.quiet {
            self.host.show(Stream::Warning, text.as_ref());
        }
    }

    pub(crate) fn tell(&mut self, error: &Error) {
        self.failed = true;
        self.host.show(Stream::Error, &error.to_string());
    }
}
