//! What `host/net` forwards, one by one or many at once, is on the wire exactly once, with the mark of the rule: judged by tshark, by
//! the sequence numbers of RTP, on a link without any offload.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::network::{INTERFACE, Network};
use carillon_interop::process::{Process, run};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;
use carillon_interop::tshark::{self, Flow, Sequences};

const PROGRAM: &str = env!("CARGO_BIN_EXE_relay-marks");
const LIMIT: Duration = Duration::from_secs(20);
/// Sent in each direction over each family, numbered from 0.
const PACKETS: u16 = 320;

#[test]
fn tshark_sees_every_forwarded_packet_with_the_mark_of_its_rule() -> Result<()> {
    if !possible("relay-marks", &["ping", "ethtool"])? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let network = Network::pair()?;
    let (alice, bob) = (&network.alice, &network.bob);
    for address in bob.addresses() {
        // A fresh link knows no neighbours yet, and would keep what is sent or drop it.
        alice.run("ping", &["-c", "1", "-w", "10", &address.to_string()])?;
    }
    let off = ["-K", INTERFACE, "tso", "off", "gso", "off", "gro", "off", "tx-udp-segmentation", "off"];
    alice.run("ethtool", &off)?;
    bob.run("ethtool", &off)?;
    let capture = Capture::start(&network, &Point::link("alice"), work.path())?;
    let (of_alice, of_bob) = (alice.addresses(), bob.addresses());
    let words = |addresses: [IpAddr; 2]| addresses.map(|address| address.to_string());
    let log = work.path().join("forward.log");
    let mut command = alice.command(PROGRAM);
    let mut relay = Process::start(command.arg("forward").args(words(of_alice)).args(words(of_bob)), &log)?;
    relay.wait_for("bound", LIMIT)?;
    run(bob.command(PROGRAM).arg("ends").args(words(of_bob)).args(words(of_alice)))?;
    relay.wait_for_success(LIMIT)?;
    let capture = capture.stop()?;

    let mut expected = BTreeMap::new();
    for (here, there) in of_alice.into_iter().zip(of_bob) {
        let (listener, relayed) = (SocketAddr::new(here, 3478), SocketAddr::new(here, 50_000));
        let (client, peer) = (SocketAddr::new(there, 4001), SocketAddr::new(there, 4002));
        for (source, destination, mark) in
            [(client, listener, 8), (relayed, peer, 46), (peer, relayed, 8), (listener, client, 34)]
        {
            let each: Sequences = (0..PACKETS).map(|number| ((number, mark), 1)).collect();
            expected.insert(Flow { tcp: false, source, destination }, each);
        }
    }
    // To and from the client they are wrapped as ChannelData, whose header has four bytes.
    let wrapped = |flow: &Flow| flow.source.port() == 3478 || flow.destination.port() == 3478;
    let seen = tshark::sequences(&capture, |flow| if wrapped(flow) { 4 } else { 0 })?;
    assert!(seen.keys().eq(expected.keys()), "{:?}", seen.keys());
    for (flow, each) in expected {
        assert_eq!(seen[&flow], each, "{flow:?}");
    }
    // Many did leave at once, and those that are longer than the link were taken apart again.
    let told = std::fs::read_to_string(log)?;
    assert!(told.lines().any(|line| line == "unsent 0"), "{told}");
    assert!(told.lines().any(|line| line.starts_with("segmented ") && line != "segmented 0"), "{told}");
    Ok(())
}
