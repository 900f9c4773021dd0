//! Telling what happens: as text while it goes on, as one JSON value at the end, or as JSON lines.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::report::{Report, print};
use crate::answer::Failure;
use crate::args::Call;
use crate::style::FAINT;
use crate::words::clean;

/// What the user of the program sees.
pub(super) struct Teller<'a> {
    out: &'a mut dyn Write,
    mode: Mode,
    reports: Vec<Report>,
    /// The one JSON value is out.
    shown: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Text,
    Json,
    Events,
}

impl<'a> Teller<'a> {
    pub(super) fn new(args: &Call, out: &'a mut dyn Write) -> Teller<'a> {
        let mode = if args.events {
            Mode::Events
        } else if args.json {
            Mode::Json
        } else {
            Mode::Text
        };
        Teller { out, mode, reports: Vec::new(), shown: false }
    }

    /// Something happened: a sentence for people, a name with facts for programs.
    pub(super) fn tell(&mut self, sentence: &str, event: &str, facts: Value) -> Result<(), Failure> {
        match self.mode {
            Mode::Json => return Ok(()),
            Mode::Text => writeln!(self.out, "{FAINT}{}{FAINT:#}", clean(sentence))?,
            Mode::Events => line(self.out, event, facts)?,
        }
        Ok(self.out.flush()?)
    }

    /// Something to look at, as text or as one JSON value.
    pub(super) fn show(
        &mut self,
        print: impl FnOnce(&mut dyn Write, bool) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self.mode {
            Mode::Text => print(self.out, false),
            Mode::Json => {
                self.shown = true;
                print(self.out, true)
            }
            // It was told as an event already.
            Mode::Events => Ok(()),
        }
    }

    /// A call is over.
    pub(super) fn report(&mut self, report: Report) -> Result<(), Failure> {
        match self.mode {
            Mode::Json => {}
            Mode::Text => print(&report, self.out)?,
            Mode::Events => line(self.out, "report", serde_json::to_value(&report)?)?,
        }
        self.out.flush()?;
        self.reports.push(report);
        Ok(())
    }

    /// Nothing comes any more: all reports.
    pub(super) fn end(self) -> Result<Vec<Report>, Failure> {
        if self.mode == Mode::Json && !self.shown {
            serde_json::to_writer_pretty(&mut *self.out, &Calls { calls: &self.reports })?;
            writeln!(self.out)?;
        }
        Ok(self.reports)
    }
}

/// The whole of `--json`.
#[derive(Serialize)]
struct Calls<'a> {
    calls: &'a [Report],
}

fn line(out: &mut dyn Write, event: &str, facts: Value) -> io::Result<()> {
    let mut value = json!({ "event": event });
    if let (Value::Object(value), Value::Object(facts)) = (&mut value, facts) {
        value.extend(facts);
    }
    writeln!(out, "{value}")
}
