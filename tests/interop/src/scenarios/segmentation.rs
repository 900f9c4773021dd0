//! A sender that leaves it to the kernel to cut a batch into datagrams: the capture shows the batch.
//!
//! Once with segmentation offloaded, once with the remedy that the verdict names.

use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::capture::Capture;
use crate::network::{INTERFACE, Network};
use crate::process::Process;
use crate::recording::{Description, Point, Recording, asset};

/// Somebody who takes the packets: a closed port would answer with ICMP.
const RECEIVER: &str = "import socket, sys
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind((sys.argv[1], 50010))
print('bound', flush=True)
while True:
    receiver.recv(65536)
";

/// One long frame with one mark in place of five packets.
pub fn offloaded(name: &str, work: &Path) -> Result<Recording> {
    send(name, work, true)
}

/// After `ethtool -K`: every packet is there.
pub fn remedied(name: &str, work: &Path) -> Result<Recording> {
    send(name, work, false)
}

fn send(name: &str, work: &Path, segmented: bool) -> Result<Recording> {
    let network = Network::pair()?;
    let (alice, bob) = (network.alice.v4().to_string(), network.bob.v4().to_string());
    if !segmented {
        network.alice.run("ethtool", &["-K", INTERFACE, "tx-udp-segmentation", "off", "gso", "off"])?;
    }
    let mut receiver = network.bob.command("python3");
    receiver.args(["-c", RECEIVER, &bob]);
    let mut receiver = Process::start(&mut receiver, &work.join("bob.log"))?;
    receiver.wait_for("bound", Duration::from_secs(5))?;
    let capture = Capture::start(&network, &Point::link("alice"), work)?;

    let mut sender = network.alice.command("python3");
    sender.arg(asset("segmenting-sender.py")).args([&alice, &bob]);
    let mut sender = Process::start(&mut sender, &work.join("alice.log"))?;
    sender.wait_for_success(Duration::from_secs(20))?;

    let about = if segmented {
        "PCMU in batches of five, captured before segmentation"
    } else {
        "PCMU in batches of five, with segmentation offload switched off"
    };
    let description = Description::new(name, about, &network).python()?.marked(
        "audio: RTP",
        46,
        "IP_TOS 184 by the sender",
    );
    let description = Description { streams: 1, segmented, clean: !segmented, ..description };
    Ok(Recording { capture: capture.stop()?, description: description.without_sdp() })
}
