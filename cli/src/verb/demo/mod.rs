//! `carillon demo`: two sites, a congested WAN, real server and phones; the verdict goes green, red three times, green.
//!
//! The story is in `story`, told over a `stage`; `network` and `capture` make what it needs.

mod account;
mod act;
mod capture;
mod flood;
mod loopback;
mod network;
mod phone;
mod server;
mod stage;
mod story;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::answer::{Answer, Failure};
use crate::args::Demo;

/// What of the demo this process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Part {
    /// The story, inside its own user, mount and network namespaces.
    Inside,
    /// A capture.
    Capture,
    /// The load on the WAN.
    Flood,
}

/// Shows it, or is one of its parts.
pub fn run(args: &Demo, out: &mut dyn Write) -> Result<Answer, Failure> {
    let words: Vec<&str> = args.rest.iter().map(String::as_str).collect();
    match (args.part, words.as_slice()) {
        (None, _) => show(args, out),
        (Some(Part::Inside), _) => story::tell(args.out.as_deref(), out),
        (Some(Part::Capture), [interface, file]) => {
            capture::record(interface, Path::new(file)).map(|()| Answer::Yes)
        }
        (Some(Part::Flood), [from, to]) => flood::send(socket(from)?, socket(to)?).map(|()| Answer::Yes),
        (Some(part), _) => {
            Err(Failure::Message(format!("`demo --part {part:?}` is started by the demo only")))
        }
    }
}

fn socket(text: &str) -> Result<SocketAddr, Failure> {
    text.parse().map_err(|error| Failure::new(format!("cannot read `{text}` as address and port"), error))
}

/// In namespaces of its own, or, where those are forbidden, the part that works without them.
fn show(args: &Demo, out: &mut dyn Write) -> Result<Answer, Failure> {
    if let Err(reason) = namespaces() {
        return loopback::tell(&reason, args.out.as_deref(), out);
    }
    out.flush()?;
    let own = std::env::current_exe().map_err(|error| Failure::new("cannot find this program", error))?;
    let mut command = unshare();
    // Both write to the same place, so both colour it or neither does.
    let colour = match anstream::ColorChoice::global() {
        anstream::ColorChoice::Always | anstream::ColorChoice::AlwaysAnsi => "always",
        anstream::ColorChoice::Never => "never",
        anstream::ColorChoice::Auto => "auto",
    };
    command.arg(own).args(["--color", colour, "demo", "--part", "inside"]);
    if let Some(directory) = &args.out {
        command.arg("--out").arg(directory);
    }
    let status = command.status().map_err(|error| Failure::new("cannot start `unshare`", error))?;
    match status.code() {
        Some(0) => Ok(Answer::Yes),
        Some(1) => Ok(Answer::No),
        // It has said why.
        _ => Ok(Answer::Unknown),
    }
}

/// Enters new user, mount, network and process namespaces; all processes in them end with the first.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args([
        "--user",
        "--map-root-user",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]);
    command
}

/// Whether namespaces can be made, and what works in them is there; or else why not.
fn namespaces() -> Result<(), String> {
    for (program, argument, package) in
        [("ip", "-V", "iproute2"), ("tc", "-V", "iproute2"), ("nft", "-v", "nftables")]
    {
        let found = quiet(Command::new(program).arg(argument));
        found.map_err(|error| format!("`{program}` is needed (package {package}): {error}"))?;
    }
    quiet(unshare().arg("true")).map_err(|error| format!("this machine forbids namespaces: {error}"))
}

fn quiet(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().next().unwrap_or("it failed without a word").to_owned())
}

/// Looks until it is so; longer than this demo would be worth means that it never will.
fn wait_for(what: &str, mut question: impl FnMut() -> bool) -> Result<(), Failure> {
    let start = Instant::now();
    while !question() {
        if start.elapsed() > Duration::from_secs(10) {
            return Err(Failure::Message(format!("{what} did not come up within 10 s")));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Where the demo keeps its files: what was asked for, or a directory that goes with it.
fn directory(out: Option<&Path>) -> Result<PathBuf, Failure> {
    let directory = match out {
        Some(directory) => directory.to_owned(),
        None => std::env::temp_dir().join(format!("carillon-demo-{}", std::process::id())),
    };
    // Files name each other by whole paths: the server looks from its own configuration's place.
    std::fs::create_dir_all(&directory)
        .and_then(|()| directory.canonicalize())
        .map_err(|error| Failure::new(format!("cannot make `{}`", directory.display()), error))
}
