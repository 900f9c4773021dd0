//! tcpdump that has really begun before a scenario starts, and has really written all when it ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;
use crate::network::{Host, Network};
use crate::process::Process;
use crate::recording::Point;

/// A running capture.
pub struct Capture {
    tcpdump: Process,
    file: PathBuf,
}

impl Capture {
    /// Starts where the point says; returns when tcpdump says that it listens.
    pub fn start(network: &Network, point: &Point, work: &Path) -> Result<Capture> {
        let mut hosts = network.hosts();
        let host =
            hosts.find(|(name, _)| *name == point.host).ok_or_else(|| format!("no host {}", point.host))?.1;
        Capture::on(host, point, work)
    }

    /// Starts on a host, whatever the point calls it.
    pub fn on(host: &Host, point: &Point, work: &Path) -> Result<Capture> {
        let file = work.join("call.pcap");
        let mut command = host.command("tcpdump");
        command.args(["-n", "-U", "--immediate-mode", "-Z", "root", "-B", "16384"]);
        command.args(["-i", &point.interface, "-y", &point.link_type, "-w"]).arg(&file);
        let mut tcpdump = Process::start(&mut command, &file.with_extension("tcpdump.log"))?;
        tcpdump.wait_for("listening on", Duration::from_secs(5))?;
        Ok(Capture { tcpdump, file })
    }

    /// Ends it and returns the file; a packet that the kernel dropped is an error.
    pub fn stop(mut self) -> Result<PathBuf> {
        std::thread::sleep(Duration::from_millis(300));
        self.tcpdump.terminate(Duration::from_secs(5))?;
        let printed = self.tcpdump.printed();
        if !printed.lines().any(|line| line.trim() == "0 packets dropped by kernel") {
            return Err(format!("tcpdump lost packets or says nothing: {printed}").into());
        }
        Ok(std::mem::take(&mut self.file))
    }
}
