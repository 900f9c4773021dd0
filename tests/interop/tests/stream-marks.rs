//! Every segment of SIP over TCP and TLS carries the mark, from the SYN-ACK to the last acknowledgement: judged by
//! tshark between two hosts, over IPv4, IPv6, and IPv4 on a socket of IPv6.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::network::Network;
use carillon_interop::process::{Process, run};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;

const PROGRAM: &str = env!("CARGO_BIN_EXE_stream-marks");
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn tshark_sees_every_segment_with_the_mark_of_its_sender() -> Result<()> {
    if !possible("stream-marks", &["ping"])? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let network = Network::pair()?;
    let (alice, bob) = (&network.alice, &network.bob);
    for address in bob.addresses() {
        alice.run("ping", &["-c", "1", "-w", "10", &address.to_string()])?;
    }
    let (v4, v6) = (bob.v4(), bob.v6());
    let capture = Capture::start(&network, &Point::link("alice"), work.path())?;
    let mut command = bob.command(PROGRAM);
    command.arg("serve").arg(work.path());
    command.args(["TCP/[::]:5060", "TLS/[::]:5061"]);
    command.args([format!("TCP/{v4}:5070"), format!("TLS/{v4}:5071"), format!("TLS/[{v6}]:5081")]);
    let mut server = Process::start(&mut command, &work.path().join("server.log"))?;
    server.wait_for(":5081", LIMIT)?;
    let places = [
        format!("TCP/{v4}:5060"),
        format!("TCP/[{v6}]:5060"),
        format!("TLS/{v4}:5061"),
        format!("TLS/[{v6}]:5061"),
        format!("TCP/{v4}:5070"),
        format!("TLS/{v4}:5071"),
        format!("TLS/[{v6}]:5081"),
    ];
    // Who calls with a mark of its own, or none, does not change that of the server.
    let mut meant = BTreeMap::new();
    for mark in [24, 46, 0] {
        let mut call = alice.command(PROGRAM);
        call.arg("call").arg(work.path()).arg(mark.to_string()).args(&places);
        mean(&mut meant, &run(&mut call)?, &[mark], &[24])?;
    }
    assert_eq!(meant.len(), 3 * 2 * 2 * places.len());
    // The plan changes: what is open is marked otherwise from then on, and what comes later from its first segment.
    let mut remark = alice.command(PROGRAM);
    remark.arg("remark").arg(work.path()).args(["34", &places[3]]);
    mean(&mut meant, &run(&mut remark)?, &[24], &[24, 34])?;
    let mut call = alice.command(PROGRAM);
    call.arg("call").arg(work.path()).arg("24").args(&places);
    mean(&mut meant, &run(&mut call)?, &[24], &[34])?;

    let seen = flows(&capture.stop()?)?;
    assert_eq!(seen.keys().collect::<Vec<_>>(), meant.keys().collect::<Vec<_>>());
    for (flow, Segments { marks, kinds }) in &seen {
        assert_eq!(marks, &meant[flow], "{flow:?}");
        let opening = if flow.0.port() < 6000 { Kind::SynAck } else { Kind::Syn };
        let secure = [5061, 5071, 5081].iter().any(|port| flow.0.port() == *port || flow.1.port() == *port);
        let mut expected = BTreeSet::from([opening, Kind::Data, Kind::Fin, Kind::Ack]);
        expected.extend(secure.then_some(Kind::Handshake));
        assert!(kinds.is_superset(&expected), "{flow:?}: {kinds:?} of {expected:?}");
    }
    Ok(())
}

/// Adds flows, one a line, and which marks their two directions have, one after the other.
fn mean(meant: &mut BTreeMap<Ends, Vec<u8>>, flows: &str, there: &[u8], back: &[u8]) -> Result<()> {
    for line in flows.lines() {
        let (own, other) = line.split_once(' ').ok_or(line)?;
        let (own, other) = (own.parse()?, other.parse()?);
        meant.insert((own, other), there.to_vec());
        meant.insert((other, own), back.to_vec());
    }
    Ok(())
}

/// What must have been seen, lest its mark be judged by nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Syn,
    SynAck,
    Handshake,
    Data,
    Ack,
    Fin,
    Reset,
}

/// Sender and receiver.
type Ends = (SocketAddr, SocketAddr);

#[derive(Default)]
struct Segments {
    /// As they followed each other.
    marks: Vec<u8>,
    kinds: BTreeSet<Kind>,
}

/// All TCP in the capture, by sender and receiver.
fn flows(capture: &Path) -> Result<BTreeMap<Ends, Segments>> {
    let mut tshark = Command::new("tshark");
    tshark.arg("-n").arg("-r").arg(capture).args(["-Y", "tcp", "-T", "fields", "-E", "separator=|"]);
    tshark.args(["-E", "occurrence=f", "-d", "tcp.port==5071,tls", "-d", "tcp.port==5081,tls"]);
    for field in ["ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "tcp.srcport", "tcp.dstport"] {
        tshark.args(["-e", field]);
    }
    for field in ["ip.dsfield.dscp", "ipv6.tclass.dscp", "tcp.flags", "tcp.len", "tls.handshake.type"] {
        tshark.args(["-e", field]);
    }
    let mut flows: BTreeMap<_, Segments> = BTreeMap::new();
    for line in run(&mut tshark)?.lines() {
        let fields: Vec<&str> = line.split('|').collect();
        let [src4, src6, dst4, dst6, from, to, dscp4, dscp6, flags, len, handshake] = fields[..] else {
            return Err(format!("tshark wrote {line:?}").into());
        };
        let end = |v4: &str, v6: &str, port: &str| -> Result<SocketAddr> {
            Ok(SocketAddr::new(format!("{v4}{v6}").parse()?, port.parse()?))
        };
        let segments = flows.entry((end(src4, src6, from)?, end(dst4, dst6, to)?)).or_default();
        segments.marks.push(format!("{dscp4}{dscp6}").parse()?);
        segments.marks.dedup();
        let flags = u16::from_str_radix(flags.trim_start_matches("0x"), 16)?;
        segments.kinds.insert(kind(flags, len.parse()?, !handshake.is_empty()));
    }
    Ok(flows)
}

fn kind(flags: u16, len: usize, handshake: bool) -> Kind {
    const FIN: u16 = 0x01;
    const SYN: u16 = 0x02;
    const RST: u16 = 0x04;
    const ACK: u16 = 0x10;
    match () {
        () if flags & RST != 0 => Kind::Reset,
        () if flags & (SYN | ACK) == SYN | ACK => Kind::SynAck,
        () if flags & SYN != 0 => Kind::Syn,
        () if flags & FIN != 0 => Kind::Fin,
        () if handshake => Kind::Handshake,
        () if len > 0 => Kind::Data,
        () => Kind::Ack,
    }
}
