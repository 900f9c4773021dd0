//! The captures of an act: one process per site, inside the site's router; then one file with both as interfaces.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use carillon_net::live;
use carillon_qos::Plan;
use carillon_qos::verify::report::Report;
use carillon_qos::verify::{Limits, Options};
use carillon_wire::capture::{Decoder, PcapngWriter, Resolution, USUAL_RECORD_LEN};
use carillon_wire::link::LinkType;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::network::{FIRST_SITE, Node, Process, SECOND_SITE};
use crate::answer::Failure;
use crate::pipeline::{self, Input, Silent};

/// What both sites see, until it is ended.
pub(super) struct Captures {
    processes: Vec<Process>,
    files: Vec<PathBuf>,
}

impl Captures {
    /// Starts both.
    pub(super) fn start(directory: &Path) -> Result<Captures, Failure> {
        let (mut processes, mut files) = (Vec::new(), Vec::new());
        for (node, interface) in [FIRST_SITE, SECOND_SITE] {
            let file = directory.join(format!("{}.pcapng", node.name));
            // Its presence says that the capture runs.
            let _ = fs::remove_file(&file);
            processes.push(start(node, interface, &file)?);
            files.push(file);
        }
        super::wait_for("the captures", || files.iter().all(|file| file.exists()))?;
        Ok(Captures { processes, files })
    }

    /// Ends them and puts both into `file`, as two interfaces.
    pub(super) fn finish(self, file: &Path) -> Result<(), Failure> {
        for process in self.processes {
            process.stop()?;
        }
        let merged = merge(&self.files)?;
        fs::write(file, merged)
            .map_err(|error| Failure::new(format!("cannot write `{}`", file.display()), error))
    }
}

fn start(node: Node, interface: &str, file: &Path) -> Result<Process, Failure> {
    Process::start(node, |command| {
        command.args(["demo", "--part", "capture", interface]).arg(file);
    })
}

/// The part that captures: frames of `interface` into `file`, until SIGINT.
pub(super) fn record(interface: &str, file: &Path) -> Result<(), Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let attempt = |error: io::Error| Failure::new(format!("cannot capture on {interface}"), error);
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, stop.clone()).map_err(attempt)?;
    }
    let mut live = live::open(interface, USUAL_RECORD_LEN, stop).map_err(attempt)?;
    let mut out = File::create(file).map_err(attempt)?;
    io::copy(&mut live, &mut out).map(drop).map_err(attempt)
}

/// Two captures as one file, in the order of time.
fn merge(files: &[PathBuf]) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let mut writer = PcapngWriter::begin(&mut out);
    let mut frames = Vec::new();
    for (interface, file) in (0u16..).zip(files) {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        writer.interface(&mut out, LinkType::Ethernet, &name, USUAL_RECORD_LEN, Resolution::Nanos);
        let bytes = read(file)?;
        let (mut rest, mut decoder) = (bytes.as_slice(), Decoder::new());
        while let Some(record) = decoder
            .next(&mut rest)
            .map_err(|error| Failure::new(format!("cannot read `{}`", file.display()), error))?
        {
            frames.push((record.time, interface, record.original_len, record.data.to_vec()));
        }
    }
    frames.sort_by_key(|frame| frame.0);
    for (time, interface, original_len, data) in frames {
        writer.record(&mut out, interface, time, original_len, &data);
    }
    Ok(out)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|error| Failure::new(format!("cannot read `{}`", file.display()), error))?;
    Ok(bytes)
}

/// The verdict over a capture.
pub(super) fn judge(file: &Path, plan: &Plan, limits: Limits) -> Result<(Report, Options), Failure> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = read(file)?;
    let input = Input { name: name.clone(), reader: Box::new(io::Cursor::new(bytes)), live: false };
    let observed = pipeline::observe(vec![input], 1, limits, &Silent)?;
    let options = Options {
        plan: Some(plan.clone()),
        files: vec![name],
        damaged: observed.damaged,
        ..Options::default()
    };
    Ok((observed.verifier.report(&options), options))
}
