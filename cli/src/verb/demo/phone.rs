//! The demo's phones: real `carillon call` processes; what they tell comes as lines of JSON.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::network::{Node, Process};
use super::server::{DOMAIN, FrontEnd};
use crate::answer::Failure;

/// Longer than anything that a phone is waited for takes.
const PATIENCE: Duration = Duration::from_secs(15);

/// A phone that runs.
pub(super) struct Phone {
    user: &'static str,
    process: Process,
    told: Receiver<Value>,
    errors: PathBuf,
}

impl Phone {
    /// Starts a phone of `user` on `node`.
    pub(super) fn start(
        front_end: &FrontEnd,
        node: Node,
        user: &'static str,
        arguments: &[&str],
        directory: &Path,
    ) -> Result<Phone, Failure> {
        let errors =
            directory.join(format!("{user}-{}.log", arguments.first().unwrap_or(&"").trim_matches('-')));
        let log = File::create(&errors)
            .map_err(|error| Failure::new(format!("cannot make `{}`", errors.display()), error))?;
        let mut process = Process::start(node, |command| {
            // No NAT is here to be found; and a phone that looks for a way gives up where the loss that is shown is worst.
            command.args(["call", "--no-ice", "--events", "--server"]).arg(front_end.address.to_string());
            command.arg("--user").arg(format!("{user}@{DOMAIN}"));
            command.arg("--ca").arg(front_end.authority());
            command.arg("--password-file").arg(front_end.password_file());
            command.args(arguments).stdout(Stdio::piped()).stderr(log);
        })?;
        let (sender, told) = channel();
        if let Some(stdout) = process.child().stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    // The story goes on without a phone that it no longer listens to.
                    let _ = serde_json::from_str(&line).map(|value| sender.send(value));
                }
            });
        }
        Ok(Phone { user, process, told, errors })
    }

    /// A phone that answers calls, signed in and provisioned; gives what it was provisioned.
    pub(super) fn start_answering(
        front_end: &FrontEnd,
        node: Node,
        user: &'static str,
        arguments: &[&str],
        directory: &Path,
    ) -> Result<(Phone, Value), Failure> {
        let all = [&["--answer", "--ring", "0.3"], arguments].concat();
        let phone = Phone::start(front_end, node, user, &all, directory)?;
        let provisioned = phone.wait("provisioned")?;
        Ok((phone, provisioned))
    }

    /// Waits until it tells of this; what it tells before is passed over.
    pub(super) fn wait(&self, event: &str) -> Result<Value, Failure> {
        let end = Instant::now() + PATIENCE;
        while let Ok(value) = self.told.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if value.get("event").and_then(Value::as_str) == Some(event) {
                return Ok(value);
            }
        }
        Err(Failure::new(format!("{}'s phone did not get to `{event}`", self.user), self.complaint()))
    }

    /// What it said was wrong, in one line.
    pub(super) fn complaint(&self) -> String {
        let said = fs::read_to_string(&self.errors).unwrap_or_default();
        let said = said.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        if said.is_empty() { "it says nothing".to_owned() } else { said }
    }

    /// Waits until it has ended by itself.
    pub(super) fn ended(&mut self) -> Result<(), Failure> {
        let child = self.process.child();
        super::wait_for("the end of a call", || matches!(child.try_wait(), Ok(Some(_))))
    }

    /// Hangs up, signs out, ends.
    pub(super) fn stop(self) -> Result<(), Failure> {
        self.process.stop()
    }
}
