//! Both sides of what `tests/relay-marks.rs` captures: forwards between a client and a peer, or is both of them.
//!
//!   relay-marks forward OWN-V4 OWN-V6 TO-V4 TO-V6   until everything has passed; tells its counts
//!   relay-marks ends OWN-V4 OWN-V6 TO-V4 TO-V6      sends both ways, and fails unless all arrives in order

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use carillon_interop::Result;
use carillon_net::forward::{Client, Count, Forwarder, Rule, RuleId, Settings};
use carillon_net::lease::{ClassPorts, Leases, Policy, Shape};
use carillon_net::udp::{Batch, Datagram, UdpPort};
use carillon_qos::{PortRange, TrafficClass};
use carillon_wire::ip::Dscp;
use carillon_wire::stun::ChannelData;

const LISTENER: u16 = 3478;
const CLIENT: u16 = 4001;
const PEER: u16 = 4002;
const RELAYED: u16 = 50_000;
const CHANNEL: u16 = 0x4000;
/// What is sent in each direction over each family: pictures that leave together, with one part shorter, and payloads
/// that are longer than the link allows.
const LENGTHS: [usize; 16] =
    [1200, 1200, 1200, 1200, 1200, 1200, 1200, 700, 172, 172, 172, 172, 1600, 1600, 1600, 1600];
const TIMES: usize = 20;
const LIMIT: Duration = Duration::from_secs(15);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [role, own_v4, own_v6, to_v4, to_v6] = words[..] else {
        return Err("forward|ends OWN-V4 OWN-V6 TO-V4 TO-V6".into());
    };
    let families = [(own_v4.parse()?, to_v4.parse()?), (own_v6.parse()?, to_v6.parse()?)];
    match role {
        "forward" => forward(families),
        "ends" => families.into_iter().try_for_each(|(own, to)| ends(own, to)),
        _ => Err("forward or ends".into()),
    }
}

fn forward(families: [(IpAddr, IpAddr); 2]) -> Result<()> {
    let mut forwarder = Forwarder::new(Settings::default())?;
    for (own, to) in families {
        let listener = forwarder.listen(SocketAddr::new(own, LISTENER), mark(7)?)?;
        let ports = ClassPorts { range: PortRange::from_ends(RELAYED, RELAYED), mark: mark(7)? };
        let policy = Policy { audio: ports, video: ports, sharing: ports, file_transfer: ports };
        let (relayed, _) = Leases::new(policy, own, 1).relay(TrafficClass::Audio, Shape::Any)?;
        let port = forwarder.open(relayed)?;
        let (local, remote) = (SocketAddr::new(own, LISTENER), SocketAddr::new(to, CLIENT));
        let client = Client { listener, connection: 0, local, remote };
        let (to_peer, to_client) = (mark(46)?, mark(34)?);
        let peer = SocketAddr::new(to, PEER);
        let rule = Rule { client, channel: CHANNEL, port, peer, to_peer, to_client };
        forwarder.install(RuleId(u64::from(own.is_ipv6())), rule)?;
    }
    let mut out = std::io::stderr().lock();
    writeln!(out, "bound")?;
    let (start, all) = (Instant::now(), 2 * (LENGTHS.len() * TIMES) as u64);
    let passed = |forwarder: &Forwarder, count| forwarder.counts().of(count) == all;
    while start.elapsed() < LIMIT
        && !(passed(&forwarder, Count::ToPeer) && passed(&forwarder, Count::ToClient))
    {
        forwarder.poll(Some(Duration::from_millis(100)))?;
        while forwarder.next_unknown().is_some() {}
    }
    for (count, number) in forwarder.counts().iter() {
        writeln!(out, "{} {number}", count.name())?;
    }
    Ok(())
}

fn ends(own: IpAddr, to: IpAddr) -> Result<()> {
    let client = UdpPort::bind(SocketAddr::new(own, CLIENT), mark(8)?)?;
    let peer = UdpPort::bind(SocketAddr::new(own, PEER), mark(8)?)?;
    let payloads: Vec<Vec<u8>> =
        LENGTHS.into_iter().cycle().take(LENGTHS.len() * TIMES).enumerate().map(payload).collect();
    let wrapped: Vec<Vec<u8>> = payloads.iter().map(|payload| wrapped(payload)).collect();
    let (up, down) = (SocketAddr::new(to, LISTENER), SocketAddr::new(to, RELAYED));
    // In parts, so that no buffer on the way is too small.
    for (wrapped, payloads) in wrapped.chunks(LENGTHS.len()).zip(payloads.chunks(LENGTHS.len())) {
        send(&client, up, wrapped)?;
        expect(&peer, payloads)?;
        send(&peer, down, payloads)?;
        expect(&client, wrapped)?;
    }
    Ok(())
}

/// RTP, by whose sequence numbers each packet is known again (RFC 3550, 5.1).
fn payload((number, len): (usize, usize)) -> Vec<u8> {
    let [high, low] = (number as u16).to_be_bytes();
    let header = [0x80, 96, high, low, 0, 0, high, low, 0, 0, 0, 1];
    header.into_iter().chain((header.len()..len).map(|at| (at + number) as u8)).collect()
}

fn wrapped(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    ChannelData::write(CHANNEL, payload, &mut bytes);
    bytes
}

fn send(port: &UdpPort, to: SocketAddr, all: &[Vec<u8>]) -> Result<()> {
    let datagram = |bytes| Datagram { to, from: None, bytes, mark: None };
    let datagrams: Vec<_> = all.iter().map(|bytes| datagram(bytes.as_slice())).collect();
    let mut refused = None;
    port.send(&datagrams, |_, error| refused = Some(error));
    refused.map_or(Ok(()), |error| Err(error.into()))
}

fn expect(port: &UdpPort, all: &[Vec<u8>]) -> Result<()> {
    let (mut batch, mut came, start) = (Batch::new(Batch::LONGEST), Vec::new(), Instant::now());
    while came.len() < all.len() {
        if start.elapsed() > LIMIT {
            return Err(format!("{} of {} came to {:?}", came.len(), all.len(), port.local()).into());
        }
        match port.receive(&mut batch)? {
            0 => std::thread::sleep(Duration::from_millis(1)),
            _ => came.extend(batch.iter().map(|one| one.bytes.to_vec())),
        }
    }
    // Those that travel in fragments may be overtaken by nobody: the link keeps the order.
    if came == all { Ok(()) } else { Err("something else came than was sent".into()) }
}

fn mark(value: u8) -> Result<Dscp> {
    Dscp::new(value).ok_or_else(|| format!("no mark: {value}").into())
}
