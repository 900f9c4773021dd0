//! The list of scenarios, and how one is run or skipped.
//!
//! What happens in a scenario stands in the file of its program under [`crate::scenarios`].

use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::process::{installed, run};
use crate::recording::Recording;
use crate::scenarios::{aiortc, baresip, chromium, ffmpeg, linphone, segmentation, sipp, turn};

/// Makes a capture in an empty directory.
type Record = fn(name: &str, work: &Path) -> Result<Recording>;

/// A call, or what else yields a capture.
pub struct Scenario {
    /// Its name; the capture and the entry of the index are called the same.
    pub name: &'static str,
    /// Whether its capture lies in the repository.
    pub kept: bool,
    needs: Needs,
    record: Record,
}

#[derive(Clone, Copy)]
struct Needs {
    programs: &'static [&'static str],
    modules: &'static [&'static str],
}

const BARESIP: Needs = Needs { programs: &["baresip", "sox"], modules: &[] };
const LINPHONE: Needs = Needs { programs: &["linphonec", "sox"], modules: &[] };
const CHROMIUM: Needs = Needs { programs: &["chromium", "python3"], modules: &[] };
const AIORTC: Needs = Needs { programs: &["python3"], modules: &["aiortc"] };
const FFMPEG: Needs = Needs { programs: &["ffmpeg"], modules: &[] };
const TURN: Needs = Needs { programs: &["python3", "turnserver"], modules: &["aiortc"] };
const SEGMENTATION: Needs = Needs { programs: &["python3", "ethtool"], modules: &[] };
const SIPP: Needs = Needs { programs: &["sipp", "editcap"], modules: &[] };

/// What every scenario needs.
const TOOLS: &[&str] = &["ip", "nft", "sysctl", "kill", "tcpdump", "tshark", "dpkg-query"];

/// Every scenario.
pub const ALL: &[Scenario] = &[
    kept("baresip-udp-v4", BARESIP, baresip::udp_v4),
    kept("baresip-tcp", BARESIP, baresip::tcp),
    kept("baresip-v6", BARESIP, baresip::v6),
    kept("baresip-cooked-v1", BARESIP, baresip::cooked_v1),
    kept("baresip-cooked-v2", BARESIP, baresip::cooked_v2),
    kept("baresip-srtp", BARESIP, baresip::srtp),
    kept("aiortc", AIORTC, aiortc::direct),
    kept("chromium-bundle", CHROMIUM, chromium::bundle),
    kept("chromium-reports-unmarked", CHROMIUM, chromium::reports_unmarked),
    kept("ffmpeg-stream", FFMPEG, ffmpeg::stream),
    kept("gso", SEGMENTATION, segmentation::offloaded),
    kept("gso-off", SEGMENTATION, segmentation::remedied),
    kept("linphone", LINPHONE, linphone::udp),
    kept("sipp-pcap-play", SIPP, sipp::pcap_play),
    large("sipp-many-calls", SIPP, sipp::many_calls),
    kept("turn-relayed", TURN, turn::relayed),
    large("turn-at-relay", TURN, turn::at_relay),
];

const fn kept(name: &'static str, needs: Needs, record: Record) -> Scenario {
    Scenario { name, kept: true, needs, record }
}

const fn large(name: &'static str, needs: Needs, record: Record) -> Scenario {
    Scenario { name, kept: false, needs, record }
}

impl Scenario {
    /// The scenario of that name.
    pub fn named(name: &str) -> Result<&'static Scenario> {
        ALL.iter().find(|scenario| scenario.name == name).ok_or_else(|| format!("no scenario {name}").into())
    }

    /// Why it cannot run here; `None` if it can.
    pub fn obstacle(&self) -> Option<String> {
        obstacle(self.needs.programs).or_else(|| missing(self.needs.modules))
    }

    /// Makes the capture in an empty directory.
    pub fn record(&self, work: &Path) -> Result<Recording> {
        (self.record)(self.name, work).map_err(|error| format!("{}: {error}", self.name).into())
    }
}

/// Makes the capture of a scenario anew and has it checked. One that cannot run here is skipped with the
/// reason printed, or fails where [`required`]. `CARILLON_KEEP_CAPTURES` names a directory for a copy.
pub fn with_recording(name: &str, check: impl FnOnce(&Recording) -> Result<()>) -> Result<()> {
    let scenario = Scenario::named(name)?;
    if !unless(name, scenario.obstacle())? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let recording = scenario.record(work.path())?;
    if let Some(directory) = std::env::var_os("CARILLON_KEEP_CAPTURES") {
        std::fs::copy(&recording.capture, Path::new(&directory).join(format!("{name}.pcap")))?;
    }
    check(&recording)
}

/// Whether a test with a network and these programs can run. Where not, it is skipped with the reason printed, or
/// fails where [`required`].
pub fn possible(name: &str, programs: &[&str]) -> Result<bool> {
    unless(name, obstacle(programs))
}

/// The same for programs and modules of Python.
pub fn possible_with(name: &str, programs: &[&str], modules: &[&str]) -> Result<bool> {
    unless(name, obstacle(programs).or_else(|| missing(modules)))
}

fn unless(name: &str, obstacle: Option<String>) -> Result<bool> {
    match obstacle {
        None => Ok(true),
        Some(obstacle) if required() => Err(format!("{name}: {obstacle}").into()),
        Some(obstacle) => {
            writeln!(std::io::stderr(), "skipped: {name}: {obstacle}")?;
            Ok(false)
        }
    }
}

fn obstacle(programs: &[&str]) -> Option<String> {
    let root = run(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !root {
        return Some("namespaces need root".to_owned());
    }
    let missing = TOOLS.iter().chain(programs).find(|program| !installed(program))?;
    Some(format!("{missing} is not installed"))
}

fn missing(modules: &[&str]) -> Option<String> {
    let import = |module: &&&str| run(Command::new("python3").args(["-c", &format!("import {module}")]));
    let module = modules.iter().find(|module| import(module).is_err())?;
    Some(format!("python3 has no module {module}"))
}

/// Whether a scenario that cannot run is a failure: on the build server, or when asked for.
pub fn required() -> bool {
    let set = |name| std::env::var(name).is_ok_and(|value| value == "true" || value == "1");
    set("CI") || set("CARILLON_REQUIRE_INTEROP")
}
