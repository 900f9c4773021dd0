//! The one that is judged: `carillon verify --json`, as a user runs it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::Result;
use crate::tshark::Flow;

/// What of the report is compared.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// `pass`, `fail` or `unjudged`.
    pub verdict: String,
    /// One entry per flow and SSRC.
    pub flows: Vec<FlowReport>,
    /// Causes.
    pub findings: Vec<Finding>,
}

/// A flow of the report.
#[derive(Debug, Deserialize)]
pub struct FlowReport {
    src: IpAddr,
    src_port: u16,
    dst: IpAddr,
    dst_port: u16,
    protocol: String,
    /// RTP synchronisation source.
    pub ssrc: Option<u32>,
    /// Packets.
    pub packets: u64,
    /// Frames by mark.
    pub marks: Vec<MarkCount>,
    /// RTP statistics.
    pub rtp: Option<Rtp>,
}

/// A mark and how many frames carried it.
#[derive(Debug, Deserialize)]
pub struct MarkCount {
    /// The mark.
    pub dscp: u8,
    /// Frames.
    pub packets: u64,
}

/// RTP statistics of the report.
#[derive(Debug, Deserialize)]
pub struct Rtp {
    /// Packets that are missing.
    pub lost: i64,
    /// Mean jitter in milliseconds.
    pub jitter_mean_ms: Option<f64>,
    /// Largest jitter in milliseconds.
    pub jitter_max_ms: Option<f64>,
    /// Whether loss could be judged.
    pub loss_judged: bool,
}

/// A finding of the report.
#[derive(Debug, Deserialize)]
pub struct Finding {
    /// Its stable name.
    pub cause: String,
    /// `advice` leaves the verdict as it is, `unjudged` and `error` do not.
    pub severity: String,
    /// What was seen.
    pub text: String,
}

impl FlowReport {
    /// Its addresses and ports.
    pub fn flow(&self) -> Flow {
        let source = SocketAddr::new(self.src, self.src_port);
        Flow { tcp: self.protocol == "tcp", source, destination: SocketAddr::new(self.dst, self.dst_port) }
    }
}

/// Runs `carillon verify FILE --plan PLAN --json`; every exit status but 2 for bad input gives a report.
pub fn verify(capture: &Path, plan: &Path) -> Result<Report> {
    verify_with(capture, plan, &[])
}

/// The same with further arguments.
pub fn verify_with(capture: &Path, plan: &Path, more: &[&str]) -> Result<Report> {
    let mut command = Command::new(program()?);
    command.arg("verify").arg(capture).arg("--plan").arg(plan).arg("--json").args(more);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).map_err(|error| format!("{command:?}: {error}: {said}").into())
}

/// `CARILLON`, or the program beside this one in the target directory.
pub fn program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("CARILLON") {
        return Ok(named.into());
    }
    let here = std::env::current_exe()?;
    let beside = here.ancestors().skip(1).take(2).map(|directory| directory.join("carillon"));
    let found = beside.into_iter().find(|program| program.is_file());
    found.ok_or_else(|| "no program `carillon`: build the workspace first, or name it in CARILLON".into())
}
