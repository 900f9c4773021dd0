//! Exported files on their way into a network of hosts, and programs there that know nothing of marks.
//!
//! What must come of it stands in the tests.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use carillon_qos::Plan;
use carillon_qos::export::{File, Order, Target};
use carillon_qos::plan::Scope;

use crate::Result;
use crate::network::{Host, Network};
use crate::process::Process;

const TRAFFIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/traffic.py");
const LIMIT: Duration = Duration::from_secs(60);

/// Clients: ports 20000 to 20039 are audio (46), 20040 to 20079 video (34), TCP 5061 signaling (24).
pub const PRESET: &str = "lync-kloud";

/// The files of a target for a plan's global scope.
pub fn exported(target: &str, plan: &Plan) -> Result<Vec<File>> {
    let target = Target::named(target).ok_or("no such target")?;
    Ok((target.make)(&Order { plan, scope: Scope::default() })?)
}

/// The plan of these tests.
pub fn preset() -> Result<Plan> {
    Plan::preset(PRESET).ok_or_else(|| "no such preset".into())
}

/// The file of that name, with what an administrator writes into it.
pub fn installed_file(work: &Path, files: &[File], name: &str, edits: &[(&str, &str)]) -> Result<PathBuf> {
    let file = files.iter().find(|file| file.path.ends_with(name)).ok_or("no such file")?;
    let mut text = String::from_utf8(file.bytes.clone())?;
    for (line, edited) in edits {
        if !text.contains(line) {
            return Err(format!("{name} has no line {line:?}").into());
        }
        text = text.replace(line, edited);
    }
    let path = work.join(name.replace('/', "-"));
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Has nft check a file, and load it.
pub fn load(host: &Host, file: &Path) -> Result<()> {
    let file = file.to_string_lossy();
    host.run("nft", &["-c", "-f", &file])?;
    host.run("nft", &["-f", &file]).map(drop)
}

/// The program `traffic.py` inside a host.
pub fn traffic(host: &Host, arguments: &[&str]) -> Command {
    let mut command = host.command("python3");
    command.arg(TRAFFIC).args(arguments);
    command
}

/// Sends what each line says; see `traffic.py knock`.
pub fn knock(host: &Host, work: &Path, lines: &[String]) -> Result<()> {
    let log = work.join("knock.log");
    let (mut process, mut input) = Process::start_with_input(&mut traffic(host, &["knock"]), &log)?;
    input.write_all(lines.join("\n").as_bytes())?;
    drop(input);
    process.wait_for_success(LIMIT)
}

/// A fresh link knows no neighbours yet, and would keep what is sent or drop it.
pub fn acquaint(network: &Network) -> Result<()> {
    for (from, to) in [(&network.alice, &network.bob), (&network.bob, &network.alice)] {
        for address in to.addresses() {
            from.run("ping", &["-c", "1", "-w", "10", &address.to_string()])?;
        }
    }
    Ok(())
}

/// The two with a router between them.
pub fn routed() -> Result<(Network, Host)> {
    let mut network = Network::with_relay()?;
    let router = network.relay.take().ok_or("no relay")?;
    router.run("sysctl", &["-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])?;
    for (host, gateway) in [(&network.alice, "fd00:20:1::1"), (&network.bob, "fd00:20:2::1")] {
        host.run("ip", &["-6", "route", "add", "default", "via", gateway])?;
    }
    acquaint(&network)?;
    Ok((network, router))
}
