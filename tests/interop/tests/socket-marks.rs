//! What `host/net` sends carries the mark that was meant, by every way to send and over every family: judged by
//! tshark between two hosts. What the receiver's own reading says is judged by it too.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::network::{Host, INTERFACE, Network};
use carillon_interop::process::{Process, run};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;
use carillon_interop::tshark::{self, Flow, Marks};

const PROGRAM: &str = env!("CARGO_BIN_EXE_socket-marks");
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn tshark_sees_every_packet_with_its_mark_and_so_does_the_receiver() -> Result<()> {
    if !possible("socket-marks", &["ping", "ethtool"])? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let network = Network::pair()?;
    let (alice, bob) = (&network.alice, &network.bob);
    for address in bob.addresses() {
        // A fresh link knows no neighbours yet, and would keep what is sent or drop it.
        alice.run("ping", &["-c", "1", "-w", "10", &address.to_string()])?;
    }
    // Without offloads no frame is longer than the link allows, and tcpdump's buffer has room for the bursts.
    alice.run("ethtool", &["-K", INTERFACE, "tso", "off", "gso", "off", "gro", "off"])?;
    // Nor may a port that is not leased lie in the ranges.
    alice.ephemeral_ports(30000, 39999)?;
    let capture = Capture::start(&network, &Point::link("alice"), work.path())?;
    let mut receiver = receiver(bob, work.path())?;
    let own = alice.addresses().map(|address| address.to_string());
    let to = bob.addresses().map(|address| address.to_string());
    let sent = run(alice.command(PROGRAM).arg("send").args(own).args(to))?;
    receiver.wait_for_success(LIMIT)?;
    let capture = capture.stop()?;

    let meant = flows(&sent)?;
    let on_the_wire = tshark::marks(&capture, &[])?;
    assert_eq!(on_the_wire, meant);
    assert_eq!(flows(&std::fs::read_to_string(work.path().join("received"))?)?, meant);
    // Five kinds of addresses, each with four marks set in two ways and one port with all of them; three kinds of
    // leases, each with three ports of two classes; and the end.
    assert_eq!(on_the_wire.len(), 5 * (4 * 2 + 1) + 3 * 3 * 2 + 1);
    assert_eq!(leased(&on_the_wire, 50000..=50019, 46), 3 * 3);
    assert_eq!(leased(&on_the_wire, 50020..=50039, 34), 3 * 3);
    Ok(())
}

/// Flows from a range with packets of this mark and no other.
fn leased(flows: &BTreeMap<Flow, Marks>, range: std::ops::RangeInclusive<u16>, mark: u8) -> usize {
    let inside = flows.iter().filter(|(flow, _)| range.contains(&flow.source.port()));
    inside.filter(|(_, marks)| marks.keys().eq([&mark])).count()
}

/// The receiving end; what it tells comes into the file `received`.
fn receiver(host: &Host, work: &Path) -> Result<Process> {
    let (shell, log) = (r#"exec "$0" receive :: > "$1""#, work.join("receiver.log"));
    let mut command: Command = host.command("sh");
    let mut receiver = Process::start(command.args(["-c", shell, PROGRAM]).arg(work.join("received")), &log)?;
    receiver.wait_for("bound", LIMIT)?;
    Ok(receiver)
}

/// From lines of source, destination, mark and number.
fn flows(text: &str) -> Result<BTreeMap<Flow, Marks>> {
    let mut flows: BTreeMap<Flow, Marks> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [source, destination, mark, count] = words[..] else { return Err(line.into()) };
        let flow = Flow { tcp: false, source: source.parse()?, destination: destination.parse()? };
        flows.entry(flow).or_default().insert(mark.parse()?, count.parse()?);
    }
    Ok(flows)
}
