//! linphonec calls linphonec by address, with files instead of a sound card.
//!
//! It marks SIP (`dscp`) and media (`audio_dscp`) itself, the media only when bound to an address: on its
//! dual-stack socket it sets the IPv6 option alone and IPv4 leaves with 0.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ChildStdin;
use std::time::Duration;

use crate::Result;
use crate::capture::Capture;
use crate::network::{Host, Network, SIP_MARKS};
use crate::process::Process;
use crate::recording::{CALL, Description, Point, Recording, tone};

const PATIENCE: Duration = Duration::from_secs(10);

/// SIP over UDP, PCMU, STUN between the peers.
pub fn udp(name: &str, work: &Path) -> Result<Recording> {
    let network = Network::pair()?;
    network.mark(&SIP_MARKS)?;
    let capture = Capture::start(&network, &Point::link("alice"), work)?;

    let mut bob = Linphone::start("bob", &network.bob, 50010, work)?;
    let mut alice = Linphone::start("alice", &network.alice, 50000, work)?;
    alice.say(&format!("call sip:bob@{}", network.bob.v4()))?;
    alice.process.wait_for("Media streams established", PATIENCE)?;
    bob.process.wait_for("Media streams established", PATIENCE)?;
    std::thread::sleep(CALL);
    alice.say("terminate")?;
    bob.process.wait_for("ended (No error)", PATIENCE)?;
    alice.quit()?;
    bob.quit()?;

    let description = Description::new(
        name,
        "two softphones, SIP over UDP, PCMU, STUN checks on the media ports",
        &network,
    )
    .package("linphone-cli")?
    .marked("audio: RTP, RTCP and STUN", 46, "linphone: audio_dscp=46 and bind_address")
    .marked("SIP on port 5060", 24, "linphone: dscp=24; nftables marks the rest");
    // After a STUN packet tshark 4.0 no longer believes the SDP about a port.
    let tshark = ["-d", "udp.port==50000,rtp", "-d", "udp.port==50010,rtp"].map(str::to_owned).to_vec();
    Ok(Recording { capture: capture.stop()?, description: Description { tshark, ..description } })
}

struct Linphone {
    process: Process,
    input: ChildStdin,
}

impl Linphone {
    fn start(name: &str, host: &Host, port: u16, work: &Path) -> Result<Linphone> {
        let home = work.join(name);
        // Without this directory its database cannot be opened.
        fs::create_dir_all(home.join(".local/share/linphone"))?;
        fs::write(home.join("linphonerc"), configuration(name, host, port))?;
        let tone = tone(&home, "PCMU/8000/1", if name == "alice" { 440 } else { 660 })?;
        let mut command = host.command("linphonec");
        command.env("HOME", &home).arg("-a").arg("-c").arg(home.join("linphonerc"));
        let (process, input) = Process::start_with_input(&mut command, &work.join(format!("{name}.log")))?;
        let mut linphone = Linphone { process, input };
        linphone.process.wait_for("linphonec>", PATIENCE)?;
        linphone.say("soundcard use files")?;
        // Opus and both kinds of Speex stand before PCMU.
        ["codec disable 0", "codec disable 1", "codec disable 2"]
            .iter()
            .try_for_each(|line| linphone.say(line))?;
        linphone.say(&format!("play {}", tone.display()))?;
        Ok(linphone)
    }

    fn say(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.input, "{line}")?)
    }

    fn quit(&mut self) -> Result<()> {
        self.say("quit")?;
        self.process.wait_for_end(PATIENCE)
    }
}

fn configuration(name: &str, host: &Host, port: u16) -> String {
    let address = host.v4();
    let sip = format!(
        "[sip]\nsip_port=5060\nsip_tcp_port=-1\nsip_tls_port=-1\ndscp=24\ncontact=<sip:{name}@{address}>\n"
    );
    let rtp = format!("[rtp]\naudio_rtp_port={port}\naudio_dscp=46\nbind_address={address}\n");
    sip + &rtp + "[video]\nenabled=0\ncapture=0\ndisplay=0\n"
}
