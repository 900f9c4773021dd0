//! Programs that are started and surely ended: by their own id, never by name.
//!
//! Knows nothing of namespaces; [`crate::network::Host`] puts `ip netns exec` in front.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// How often something is looked at while waiting for it.
const POLL: Duration = Duration::from_millis(20);

/// Runs a command to its end and returns its standard output; anything but status 0 is an error.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}: {}", output.status, said.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program of that name is on the path.
pub fn installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|dir| dir.join(program).is_file())
}

/// Waits until the question is answered with yes; `what` names it when that takes too long.
pub fn wait_until(what: &str, limit: Duration, mut question: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !question()? {
        if start.elapsed() > limit {
            return Err(format!("{what}: not within {limit:?}").into());
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// A running program; it ends when the value is dropped. What it prints goes to a log file.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the command with both outputs in `log` and nothing to read.
    pub fn start(command: &mut Command, log: &Path) -> Result<Process> {
        let output = File::create(log)?;
        let errors = output.try_clone()?;
        Process::spawn(command.stdin(Stdio::null()).stdout(output).stderr(errors), log)
    }

    /// Starts the command with its standard input piped to us and both outputs in `log`.
    pub fn start_with_input(command: &mut Command, log: &Path) -> Result<(Process, ChildStdin)> {
        let output = File::create(log)?;
        let errors = output.try_clone()?;
        let mut process = Process::spawn(command.stdin(Stdio::piped()).stdout(output).stderr(errors), log)?;
        let input = process.child.stdin.take().ok_or("no pipe")?;
        Ok((process, input))
    }

    /// Starts the command with its standard input and output piped to us, its errors in `log`.
    pub fn converse(command: &mut Command, log: &Path) -> Result<(Process, ChildStdin, ChildStdout)> {
        let errors = File::create(log)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut process = Process::spawn(command, log)?;
        let pipes = (process.child.stdin.take(), process.child.stdout.take());
        match pipes {
            (Some(input), Some(output)) => Ok((process, input, output)),
            _ => Err(format!("{}: no pipes", process.name).into()),
        }
    }

    fn spawn(command: &mut Command, log: &Path) -> Result<Process> {
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let name = log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Process { name, child, log: log.to_owned() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    pub fn printed(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until it has printed the text.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<()> {
        let outcome = wait_until(&format!("{} printing {text:?}", self.name), limit, || {
            let ended = self.child.try_wait()?;
            let there = self.printed().contains(text);
            match ended {
                Some(status) if !there => Err(format!("{} ended ({status})", self.name).into()),
                _ => Ok(there),
            }
        });
        outcome.map_err(|error| format!("{error}; it printed:\n{}", self.printed()).into())
    }

    /// Waits until it has ended by itself.
    pub fn wait_for_end(&mut self, limit: Duration) -> Result<()> {
        let what = format!("end of {}", self.name);
        wait_until(&what, limit, || Ok(self.child.try_wait()?.is_some()))
    }

    /// Waits until it has ended by itself with status 0.
    pub fn wait_for_success(&mut self, limit: Duration) -> Result<()> {
        self.wait_for_end(limit)?;
        match self.child.try_wait()? {
            Some(status) if status.success() => Ok(()),
            status => Err(format!("{}: {status:?}; it printed:\n{}", self.name, self.printed()).into()),
        }
    }

    /// Asks it to end (SIGTERM) and waits.
    pub fn terminate(&mut self, limit: Duration) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        }
        self.wait_for_end(limit)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.terminate(Duration::from_secs(2)).is_err() {
            // A child that we have not waited for keeps its id, so this hits nobody else.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
