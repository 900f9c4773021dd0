//! Headless Chromium calls headless Chromium: audio and video on one bundled port, DTLS-SRTP, RTCP-mux.
//!
//! `networkPriority` marks audio EF and video AF41; STUN, DTLS and feedback go with the video. Receiver
//! reports leave unmarked whatever is set, so the clean capture needs nftables for those.

use std::path::Path;

use serde_json::json;

use crate::Result;
use crate::capture::Capture;
use crate::network::{MarkRule, Network};
use crate::recording::{Description, Point, Recording, SHORT_CALL};
use crate::scenarios::webrtc::{Peer, connect};

/// What the browser leaves unmarked gets the mark of most that is not audio.
const MEND: [MarkRule; 1] = [MarkRule { protocol: "udp", ports: "50000-50059", dscp: 34 }];

/// Everything marked.
pub fn bundle(name: &str, work: &Path) -> Result<Recording> {
    call(name, work, true)
}

/// As the browser marks by itself: receiver reports carry 0.
pub fn reports_unmarked(name: &str, work: &Path) -> Result<Recording> {
    call(name, work, false)
}

fn call(name: &str, work: &Path, mend: bool) -> Result<Recording> {
    let network = Network::pair()?;
    if mend {
        network.hosts().try_for_each(|(_, host)| host.mark_unmarked(&MEND))?;
    }
    // With both families, ICE moves the call from one to the other in its first second.
    network.hosts().try_for_each(|(_, host)| host.disable_v6())?;
    network.hosts().try_for_each(|(_, host)| host.ephemeral_ports(50000, 50059))?;
    let mut alice = Peer::start("chromium-peer.py", &network.alice, &work.join("alice.log"))?;
    let mut bob = Peer::start("chromium-peer.py", &network.bob, &work.join("bob.log"))?;
    let capture = Capture::start(&network, &Point::link("alice"), work)?;

    connect((&mut alice, json!({})), (&mut bob, json!({})))?;
    std::thread::sleep(SHORT_CALL);
    alice.ask(json!({ "do": "close" }))?;
    bob.ask(json!({ "do": "close" }))?;

    let about = "two browsers, audio and video bundled on one port, DTLS-SRTP";
    let description = Description::new(name, about, &network)
        .package("chromium")?
        .marked("audio", 46, "Chromium: networkPriority high")
        .marked("video", 34, "Chromium: networkPriority high");
    let description = if mend { description.marked("what else had 0", 34, "nftables") } else { description };
    let plan = "browser.toml".to_owned();
    let description = Description { plan, encrypted: true, streams: 4, clean: mend, ..description };
    let tshark = ["-d", "udp.port==50000-50059,rtp"].map(str::to_owned).to_vec();
    Ok(Recording { capture: capture.stop()?, description: Description { tshark, ..description } })
}
