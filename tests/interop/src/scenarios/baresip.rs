//! baresip calls baresip by address, without a registrar.
//!
//! `rtp_tos` marks RTP and RTCP over IPv4 only; SIP and all IPv6 stay 0 whatever is configured, so
//! nftables marks those.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::capture::Capture;
use crate::network::{AUDIO_MARKS, Host, Network, SIP_MARKS};
use crate::process::Process;
use crate::recording::{CALL, Description, Point, Recording, tone};

/// How the call differs from the plainest one.
struct Call {
    about: &'static str,
    codec: &'static str,
    transport: &'static str,
    encryption: Option<&'static str>,
    v6: bool,
    point: Point,
}

fn plain() -> Call {
    Call {
        about: "two softphones, SIP over UDP, PCMU",
        codec: "PCMU/8000/1",
        transport: "udp",
        encryption: None,
        v6: false,
        point: Point::link("alice"),
    }
}

/// SIP over UDP, PCMU, IPv4.
pub fn udp_v4(name: &str, work: &Path) -> Result<Recording> {
    call(name, work, &plain())
}

/// SIP over TCP, G.722.
pub fn tcp(name: &str, work: &Path) -> Result<Recording> {
    let about = "two softphones, SIP over TCP, G.722";
    call(name, work, &Call { about, codec: "G722/16000/1", transport: "tcp", ..plain() })
}

/// SIP over UDP, Opus, IPv6.
pub fn v6(name: &str, work: &Path) -> Result<Recording> {
    let about = "two softphones over IPv6, SIP over UDP, Opus";
    call(name, work, &Call { about, codec: "opus/48000/2", v6: true, ..plain() })
}

/// SIP over UDP, SRTP with keys in the SDP (RFC 4568).
pub fn srtp(name: &str, work: &Path) -> Result<Recording> {
    let about = "two softphones, SIP over UDP, SRTP keyed by SDES, PCMU";
    call(name, work, &Call { about, encryption: Some("srtp-mand"), ..plain() })
}

/// The plainest call, captured on all interfaces: Linux cooked, first version.
pub fn cooked_v1(name: &str, work: &Path) -> Result<Recording> {
    call(name, work, &Call { point: Point::cooked("alice", "LINUX_SLL"), ..plain() })
}

/// The plainest call, captured on all interfaces: Linux cooked, second version.
pub fn cooked_v2(name: &str, work: &Path) -> Result<Recording> {
    call(name, work, &Call { point: Point::cooked("alice", "LINUX_SLL2"), ..plain() })
}

fn call(name: &str, work: &Path, call: &Call) -> Result<Recording> {
    let network = Network::pair()?;
    network.mark(&SIP_MARKS)?;
    if call.v6 {
        network.mark(&AUDIO_MARKS)?;
    }
    let capture = Capture::start(&network, &call.point, work)?;

    let mut bob = Phone::prepare("bob", &network.bob, call, work)?.answer()?;
    bob.wait_for("baresip is ready", Duration::from_secs(5))?;
    let callee = authority("bob", address(&network.bob, call));
    let mut alice = Phone::prepare("alice", &network.alice, call, work)?.dial(&format!("/dial {callee}"))?;
    alice.wait_for("Call established", Duration::from_secs(5))?;
    alice.wait_for_end(CALL + Duration::from_secs(5))?;
    bob.wait_for("terminated", Duration::from_secs(5))?;

    let description = Description::new(name, call.about, &network)
        .package("baresip-core")?
        .marked("audio: RTP and RTCP", 46, if call.v6 { "nftables" } else { "baresip: rtp_tos 184" })
        .sip_marked();
    let (captured, encrypted) = (call.point.clone(), call.encryption.is_some());
    let description = Description { captured, encrypted, ..description };
    Ok(Recording { capture: capture.stop()?, description })
}

/// A configured baresip that does not run yet.
pub(crate) struct Phone {
    command: Command,
    log: PathBuf,
}

impl Phone {
    fn prepare(name: &str, host: &Host, call: &Call, work: &Path) -> Result<Phone> {
        let address = address(host, call);
        let encryption = call.encryption.map(|kind| format!(";mediaenc={kind}")).unwrap_or_default();
        let account = format!(
            "<{};transport={}>;regint=0;answermode=auto;audio_codecs={}{encryption}\n",
            authority(name, address),
            call.transport,
            call.codec
        );
        let socket = if call.v6 { format!("[{address}]:5060") } else { format!("{address}:5060") };
        let mut phone = Phone::with_account(name, host, &account, &socket, call.codec, work)?;
        phone.command.arg(if call.v6 { "-6" } else { "-4" });
        Ok(phone)
    }

    /// A phone whose accounts file and listening socket are given.
    pub(crate) fn with_account(
        name: &str,
        host: &Host,
        account: &str,
        socket: &str,
        codec: &str,
        work: &Path,
    ) -> Result<Phone> {
        let dir = work.join(name);
        fs::create_dir_all(&dir)?;
        let tone = tone(&dir, codec, if name == "alice" { 440 } else { 660 })?;
        fs::write(dir.join("config"), configuration(socket, &tone))?;
        fs::write(dir.join("accounts"), account)?;
        fs::write(dir.join("contacts"), "")?;
        let mut command = host.command("baresip");
        command.arg("-f").arg(&dir);
        Ok(Phone { command, log: work.join(format!("{name}.log")) })
    }

    /// Runs and answers every call.
    pub(crate) fn answer(mut self) -> Result<Process> {
        Process::start(&mut self.command, &self.log)
    }

    /// Runs one call of the usual length, then hangs up and ends.
    fn dial(mut self, dial: &str) -> Result<Process> {
        let seconds = CALL.as_secs().to_string();
        Process::start(self.command.args(["-t", &seconds, "-e", dial]), &self.log)
    }
}

fn address(host: &Host, call: &Call) -> IpAddr {
    if call.v6 { host.v6().into() } else { host.v4().into() }
}

fn authority(user: &str, address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("sip:{user}@{address}"),
        IpAddr::V6(address) => format!("sip:{user}@[{address}]"),
    }
}

/// Modules stay few: `stdio` needs a terminal, `alsa` a sound card.
fn configuration(socket: &str, tone: &Path) -> String {
    let mut lines = vec![
        format!("sip_listen {socket}"),
        format!("audio_source aufile,{}", tone.display()),
        "audio_player aubridge,sink".to_owned(),
        "audio_alert aubridge,sink".to_owned(),
        "rtp_tos 184".to_owned(),
        "rtp_ports 50000-50019".to_owned(),
        "rtcp_mux no".to_owned(),
        "module_path /usr/lib/baresip/modules".to_owned(),
    ];
    let modules = ["g711", "g722", "opus", "aubridge", "aufile", "srtp"];
    lines.extend(modules.map(|module| format!("module {module}.so")));
    lines.extend(["account", "menu"].map(|module| format!("module_app {module}.so")));
    lines.join("\n") + "\n"
}
