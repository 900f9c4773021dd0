//! sipp calls sipp and both play a recorded G.711 stream, so every stream has the same SSRC.
//!
//! sipp marks nothing: nftables marks SIP and RTP.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::capture::Capture;
use crate::network::{Host, MarkRule, Network, SIP_MARKS};
use crate::process::{Process, run};
use crate::recording::{Description, Point, Recording, asset};

/// The recorded stream that Debian's package brings: 236 packets of 30 ms, PCMA.
const RECORDED: &str = "/usr/share/sip-tester/g711a.pcap";

/// sipp takes a new port, 4 above the last, for every call.
const MARKS: [MarkRule; 1] = [MarkRule { protocol: "udp", ports: "50000-50099", dscp: 46 }];

/// Two calls: small enough for the repository.
pub fn pcap_play(name: &str, work: &Path) -> Result<Recording> {
    calls(name, work, 2)
}

/// Twenty calls, ten new ones a second.
pub fn many_calls(name: &str, work: &Path) -> Result<Recording> {
    calls(name, work, 20)
}

fn calls(name: &str, work: &Path, count: usize) -> Result<Recording> {
    let network = Network::pair()?;
    network.mark(&SIP_MARKS)?;
    network.mark(&MARKS)?;
    run(Command::new("editcap")
        .args(["-r", "-F", "pcap", RECORDED])
        .arg(work.join("audio.pcap"))
        .arg("1-80"))?;
    let capture = Capture::start(&network, &Point::link("alice"), work)?;

    let mut bob =
        Process::start(&mut sipp(&network.bob, "sipp-uas.xml", count, work), &work.join("bob.log"))?;
    let mut alice = sipp(&network.alice, "sipp-uac.xml", count, work);
    let callee = network.bob.v4().to_string();
    let mut alice = Process::start(alice.args(["-r", "10", &callee]), &work.join("alice.log"))?;
    alice.wait_for_success(Duration::from_secs(20))?;
    bob.terminate(Duration::from_secs(5))?;

    let about = format!("a load generator: {count} calls, SIP over UDP, recorded PCMA played both ways");
    let description = Description::new(name, &about, &network)
        .package("sip-tester")?
        .marked("audio: RTP", 46, "nftables")
        .sip_marked();
    let description = Description { plan: "sipp.toml".to_owned(), streams: 2 * count, ..description };
    Ok(Recording { capture: capture.stop()?, description })
}

fn sipp(host: &Host, file: &str, count: usize, work: &Path) -> Command {
    let address = host.v4().to_string();
    let mut sipp = host.command("sipp");
    sipp.current_dir(work).arg("-sf").arg(asset(file)).args(["-i", &address, "-mi", &address]);
    sipp.args(["-p", "5060", "-mp", "50000", "-nostdin", "-m", &count.to_string()]);
    sipp
}
