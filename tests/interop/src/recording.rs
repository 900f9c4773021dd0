//! What a scenario leaves behind: a capture and the description that goes with it into the index.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::network::{INTERFACE, Network};
use crate::process::run;

/// How long a call lasts in every scenario: short enough for the repository, long enough for RTCP.
pub const CALL: Duration = Duration::from_secs(5);

/// How long a call lasts whose packets are larger.
pub const SHORT_CALL: Duration = Duration::from_secs(4);

/// A capture with its description.
#[derive(Debug)]
pub struct Recording {
    /// The capture file.
    pub capture: PathBuf,
    /// What is in it.
    pub description: Description,
}

/// One entry of `tests/captures/index.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    /// The scenario's name; the capture is `NAME.pcap`.
    pub name: String,
    /// One line for people.
    pub about: String,
    /// Who made the traffic.
    pub programs: Vec<Program>,
    /// Host, interface and link type of the capture.
    pub captured: Point,
    /// Addresses by host.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// Which mark was set, on what, by whom.
    pub marks: Vec<Marked>,
    /// The plan that fits, a file in `tests/captures/plans/`.
    pub plan: String,
    /// Arguments that tshark needs to recognise the media where no SDP tells it.
    pub tshark: Vec<String>,
    /// How many RTP streams must be found at least; fewer means that the scenario failed.
    pub streams: usize,
    /// The media is SRTP.
    pub encrypted: bool,
    /// Captured before segmentation: some frames hold several packets, so loss cannot be told.
    pub segmented: bool,
    /// Everything obeys the plan; a verdict other than pass is wrong.
    pub clean: bool,
}

/// A program with the version that made the capture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its version, as the package manager gives it.
    pub version: String,
}

/// Where it was captured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    /// `alice`, `bob` or `relay`.
    pub host: String,
    /// The interface; `any` is a cooked capture.
    pub interface: String,
    /// The link type as tcpdump names it.
    pub link_type: String,
}

impl Point {
    /// The host's one link.
    pub fn link(host: &str) -> Point {
        Point { host: host.to_owned(), interface: INTERFACE.to_owned(), link_type: "EN10MB".to_owned() }
    }

    /// All interfaces of the host, in one of the two cooked link types.
    pub fn cooked(host: &str, link_type: &str) -> Point {
        Point { host: host.to_owned(), interface: "any".to_owned(), link_type: link_type.to_owned() }
    }
}

/// A mark that was set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Marked {
    /// On what.
    pub what: String,
    /// The mark, 0 to 63.
    pub dscp: u8,
    /// By which setting.
    pub by: String,
}

impl Description {
    /// A description with what nearly all scenarios share; the rest is filled in by the scenario.
    pub fn new(name: &str, about: &str, network: &Network) -> Description {
        let hosts = network.hosts().map(|(name, host)| (name.to_owned(), host.addresses().to_vec()));
        Description {
            name: name.to_owned(),
            about: about.to_owned(),
            programs: Vec::new(),
            captured: Point::link("alice"),
            hosts: hosts.collect(),
            marks: Vec::new(),
            plan: "phones.toml".to_owned(),
            tshark: Vec::new(),
            streams: 2,
            encrypted: false,
            segmented: false,
            clean: true,
        }
    }

    /// The verdict that the capture deserves under its plan.
    pub fn verdict(&self) -> &'static str {
        match (self.clean, self.segmented) {
            (true, _) => "pass",
            (false, true) => "unjudged",
            (false, false) => "fail",
        }
    }

    /// Names a program of a Debian package.
    pub fn package(mut self, package: &str) -> Result<Description> {
        let version = run(Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]))?;
        self.programs.push(Program { name: package.to_owned(), version });
        Ok(self)
    }

    /// Names Python itself, for a script of ours.
    pub fn python(mut self) -> Result<Description> {
        let code = "import platform; print(platform.python_version(), end='')";
        let version = run(Command::new("python3").args(["-c", code]))?;
        self.programs.push(Program { name: "python3".to_owned(), version });
        Ok(self)
    }

    /// Names a module of Python.
    pub fn python_module(mut self, module: &str) -> Result<Description> {
        let code = format!("import importlib.metadata as m; print(m.version('{module}'), end='')");
        let version = run(Command::new("python3").args(["-c", &code]))?;
        self.programs.push(Program { name: module.to_owned(), version });
        Ok(self)
    }

    /// States a mark.
    pub fn marked(mut self, what: &str, dscp: u8, by: &str) -> Description {
        self.marks.push(Marked { what: what.to_owned(), dscp, by: by.to_owned() });
        self
    }

    /// Lets tshark recognise RTP by its shape.
    pub fn without_sdp(mut self) -> Description {
        let options = ["--enable-heuristic", "rtp_udp", "--enable-heuristic", "rtp_stun"];
        self.tshark = options.map(str::to_owned).to_vec();
        self
    }

    /// States the mark of SIP, which nftables sets for everybody.
    pub fn sip_marked(self) -> Description {
        self.marked("SIP on port 5060", 24, "nftables")
    }
}

/// Where captures, plans and the index lie in the repository.
pub fn captures_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../captures")
}

/// A file that scenarios hand to the programs.
pub fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)
}

/// Eight seconds of a tone; baresip reads only 16-bit samples in the rate and channels of its codec.
pub fn tone(dir: &Path, codec: &str, hertz: u32) -> Result<PathBuf> {
    let file = dir.join("tone.wav");
    let mut format = codec.split('/').skip(1);
    let (rate, channels) = (format.next().unwrap_or("8000"), format.next().unwrap_or("1"));
    let mut sox = Command::new("sox");
    sox.args(["-n", "-b", "16", "-r", rate, "-c", channels]).arg(&file);
    run(sox.args(["synth", "8", "sine", &hertz.to_string(), "gain", "-10"]))?;
    Ok(file)
}
