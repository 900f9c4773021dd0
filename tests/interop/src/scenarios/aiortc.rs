//! aiortc calls aiortc: PCMU over DTLS-SRTP. It marks nothing; nftables marks its ports.

use std::path::Path;

use serde_json::json;

use crate::Result;
use crate::capture::Capture;
use crate::network::{AUDIO_MARKS, Network};
use crate::recording::{Description, Point, Recording, SHORT_CALL};
use crate::scenarios::webrtc::{Peer, connect};

/// Two endpoints on one link.
pub fn direct(name: &str, work: &Path) -> Result<Recording> {
    let network = Network::pair()?;
    network.mark(&AUDIO_MARKS)?;
    network.hosts().try_for_each(|(_, host)| host.ephemeral_ports(50000, 50019))?;
    let mut alice = Peer::start("aiortc-peer.py", &network.alice, &work.join("alice.log"))?;
    let mut bob = Peer::start("aiortc-peer.py", &network.bob, &work.join("bob.log"))?;
    let capture = Capture::start(&network, &Point::link("alice"), work)?;

    connect((&mut alice, json!({})), (&mut bob, json!({})))?;
    std::thread::sleep(SHORT_CALL);
    alice.ask(json!({ "do": "close" }))?;
    bob.ask(json!({ "do": "close" }))?;

    let description = Description::new(name, "two WebRTC endpoints, PCMU over DTLS-SRTP", &network)
        .python_module("aiortc")?
        .marked("all of the audio transport", 46, "nftables");
    let description = Description { encrypted: true, ..description }.without_sdp();
    Ok(Recording { capture: capture.stop()?, description })
}
