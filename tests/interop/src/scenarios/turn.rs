//! aiortc behind a TURN relay: coturn stands between alice, who must use it, and bob, who is reached by it.
//!
//! alice's side carries ChannelData, bob's side plain packets. Nobody marks by himself: nftables does.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::Result;
use crate::capture::Capture;
use crate::network::{AUDIO_MARKS, Host, MarkRule, Network};
use crate::process::Process;
use crate::recording::{Description, Point, Recording, SHORT_CALL};
use crate::scenarios::webrtc::{Peer, connect};

/// Only audio is relayed, so all that comes from or goes to the relay is audio.
const MARKS: [MarkRule; 2] = [
    MarkRule { protocol: "udp", ports: "3478", dscp: 46 },
    MarkRule { protocol: "udp", ports: "50100-50199", dscp: 46 },
];

/// Captured on alice's side: everything wrapped.
pub fn relayed(name: &str, work: &Path) -> Result<Recording> {
    call(name, work, Point::link("alice"))
}

/// Captured on the relay on all interfaces, cooked: every packet twice, wrapped and plain.
pub fn at_relay(name: &str, work: &Path) -> Result<Recording> {
    call(name, work, Point::cooked("relay", "LINUX_SLL2"))
}

fn call(name: &str, work: &Path, point: Point) -> Result<Recording> {
    let network = Network::with_relay()?;
    network.mark(&MARKS)?;
    network.mark(&AUDIO_MARKS)?;
    let relay = network.relay.as_ref().ok_or("no relay")?;
    [&network.alice, &network.bob].iter().try_for_each(|host| host.ephemeral_ports(50000, 50019))?;
    let mut server = turn_server(relay, work)?;
    server.wait_for("UDP listener opened", Duration::from_secs(10))?;
    let mut alice = Peer::start("aiortc-peer.py", &network.alice, &work.join("alice.log"))?;
    let mut bob = Peer::start("aiortc-peer.py", &network.bob, &work.join("bob.log"))?;
    let capture = Capture::start(&network, &point, work)?;

    let url = format!("turn:{}:3478?transport=udp", relay.v4());
    let servers = json!({ "iceServers": [{ "urls": url, "username": "alice", "credential": "secret" }] });
    connect((&mut alice, servers), (&mut bob, json!({})))?;
    std::thread::sleep(SHORT_CALL);
    alice.ask(json!({ "do": "close" }))?;
    bob.ask(json!({ "do": "close" }))?;

    let description = Description::new(name, "PCMU over DTLS-SRTP through a TURN relay", &network)
        .python_module("aiortc")?
        .package("coturn")?
        .marked("everything from and to the relay", 46, "nftables");
    let streams = if point.host == "relay" { 4 } else { 2 };
    let description = Description {
        encrypted: true,
        plan: "relay.toml".to_owned(),
        captured: point,
        streams,
        ..description
    };
    Ok(Recording { capture: capture.stop()?, description: description.without_sdp() })
}

fn turn_server(relay: &Host, work: &Path) -> Result<Process> {
    let address = relay.v4().to_string();
    let mut server = relay.command("turnserver");
    server.args([
        "-n",
        "--no-cli",
        "--no-tls",
        "--no-dtls",
        "--log-file=stdout",
        "--simple-log",
        "--verbose",
    ]);
    server.args(["--listening-ip", &address, "--relay-ip", &address, "--min-port=50100", "--max-port=50199"]);
    server.args(["--lt-cred-mech", "--realm=carillon.test", "--user=alice:secret"]);
    server.arg("--pidfile").arg(work.join("turnserver.pid")).arg("--db").arg(work.join("turndb"));
    server.current_dir(work);
    Process::start(&mut server, &work.join("turnserver.log"))
}
