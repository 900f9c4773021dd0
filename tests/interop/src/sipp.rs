//! sipp with the scenarios of `tests/interop/sipp`, in a namespace. Its answers to a challenge must be prepared in a file.
//!
//! Debian's build has no TLS, knows MD5 alone, and marks nothing.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::network::Host;
use crate::process::{Process, wait_until};
use crate::site::DOMAIN;

/// Who acts: name, password, and the one who is called.
pub type Row<'a> = (&'a str, &'a str, &'a str);

/// A run of one scenario.
pub struct Sipp<'a> {
    /// Where it runs.
    pub host: &'a Host,
    /// The server.
    pub server: SocketAddr,
    /// `udp` or `tcp`; one socket for all.
    pub transport: &'a str,
    /// Its own port.
    pub port: u16,
    /// Directory for its files.
    pub work: &'a Path,
}

impl Sipp<'_> {
    /// Runs the scenario so many times, taking the rows in turn, and waits until all have ended well.
    pub fn run(&self, scenario: &str, rows: &[Row<'_>], count: usize, more: &[&str]) -> Result<()> {
        let limit = Duration::from_secs(40 + count as u64 / 20);
        let mut process = self.start(scenario, rows, &[&["-m", &count.to_string()], more].concat())?;
        let outcome = process.wait_for_success(limit);
        outcome.map_err(|error| {
            let read = |end| fs::read_to_string(self.file(scenario, end)).unwrap_or_default();
            let wrong: String = read("errors").chars().take(2000).collect();
            let messages = read("messages");
            let last: BTreeMap<&str, &str> =
                messages.lines().filter_map(|line| Some((line.split('\t').nth(4)?, line))).collect();
            let last: Vec<&&str> = last.values().filter(|line| !line.contains("SIP/2.0 200")).collect();
            let screen = last_screen(&error.to_string()).to_owned();
            format!(
                "sipp {scenario} over {}: {wrong}\nlast of each call: {last:#?}\n{screen}",
                self.transport
            )
            .into()
        })
    }

    /// Starts a callee: signed in, and taking what comes by another scenario, until it is dropped.
    pub fn callee(&self, scenario: &str, row: Row<'_>, more: &[&str]) -> Result<Process> {
        let takes = scenario_file(scenario).to_string_lossy().into_owned();
        let log = self.file("signed-in", "messages");
        // Of the callee before, whose log has the same name, nothing may be left.
        let _ = fs::remove_file(&log);
        let own = ["-oocsf", &takes, "-aa", "-m", "1"];
        let process = self.start("signed-in", &[row], &[&own[..], more].concat())?;
        wait_until("sipp signing in", Duration::from_secs(10), || {
            Ok(fs::read_to_string(&log).unwrap_or_default().contains("SIP/2.0 200"))
        })?;
        Ok(process)
    }

    /// Starts a scenario.
    pub fn start(&self, scenario: &str, rows: &[Row<'_>], more: &[&str]) -> Result<Process> {
        let users = self.file(scenario, "csv");
        let line = |(name, password, to): &Row<'_>| {
            format!("{name};[authentication username={name} password={password}];{to}\n")
        };
        fs::write(&users, format!("SEQUENTIAL\n{}", rows.iter().map(line).collect::<String>()))?;
        let mut command: Command = self.host.command("sipp");
        command.current_dir(self.work).arg(self.server.to_string()).arg("-sf").arg(scenario_file(scenario));
        command.arg("-inf").arg(&users).args(["-key", "domain", DOMAIN, "-nostdin", "-buff_size", "4194304"]);
        let address = self.host.v4().to_string();
        command.args(["-i", &address, "-p", &self.port.to_string(), "-f", "1"]);
        command.args(["-t", if self.transport == "udp" { "u1" } else { "t1" }, "-trace_err", "-error_file"]);
        command.arg(self.file(scenario, "errors")).args(["-trace_shortmsg", "-shortmessage_file"]);
        command.arg(self.file(scenario, "messages")).args(more);
        Process::start(&mut command, &self.file(scenario, "log"))
    }

    /// Where it writes what it sends and receives: time, direction, Call-ID, CSeq, first line.
    pub fn messages(&self, scenario: &str) -> PathBuf {
        self.file(scenario, "messages")
    }

    fn file(&self, scenario: &str, end: &str) -> PathBuf {
        self.work.join(format!("{scenario}-{}.{end}", self.port))
    }
}

/// A scenario of the repository.
pub fn scenario_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sipp").join(format!("{name}.xml"))
}

/// It prints a screen every second: only the last one tells something.
fn last_screen(printed: &str) -> &str {
    printed.rfind("Scenario Screen").map_or(printed, |at| &printed[at..])
}
