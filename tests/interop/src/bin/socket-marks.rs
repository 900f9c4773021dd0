//! Both ends of what `tests/socket-marks.rs` captures: sends through every way to a marked packet, or receives.
//!
//!   socket-marks send OWN-V4 OWN-V6 TO-V4 TO-V6    tells the flows it has sent, and with which mark it meant to
//!   socket-marks receive ADDRESS                   tells the flows it has received, and which marks arrived
//!
//! One line per flow and mark: source, destination, mark, datagrams.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::thread::sleep;
use std::time::Duration;

use carillon_interop::Result;
use carillon_net::lease::{Lease, Leases, Policy};
use carillon_net::udp::{Batch, Datagram, UdpPort};
use carillon_qos::plan::Scope;
use carillon_qos::{Plan, Role, TrafficClass};
use carillon_wire::ip::{Dscp, Ecn};

const PORT: u16 = 5004;
const END: &[u8] = b"end";
const MARKS: [u8; 4] = [46, 34, 24, 0];
/// Something else than what is expected.
const OTHER: u8 = 7;

/// Source, destination, mark.
type Tally = BTreeMap<(SocketAddr, SocketAddr, u8), usize>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let tally = match words[..] {
        ["send", own_v4, own_v6, to_v4, to_v6] => {
            send(own_v4.parse()?, own_v6.parse()?, to_v4.parse()?, to_v6.parse()?)?
        }
        ["receive", address] => receive(address.parse()?)?,
        _ => return Err("send OWN-V4 OWN-V6 TO-V4 TO-V6 | receive ADDRESS".into()),
    };
    let mut out = std::io::stdout().lock();
    for ((source, destination, mark), count) in tally {
        writeln!(out, "{source} {destination} {mark} {count}")?;
    }
    Ok(())
}

fn send(own_v4: IpAddr, own_v6: IpAddr, to_v4: IpAddr, to_v6: IpAddr) -> Result<Tally> {
    let any = Ipv6Addr::UNSPECIFIED.into();
    let IpAddr::V4(v4) = own_v4 else { return Err("the first address is IPv4".into()) };
    // Ports stay open, so that each flow has one of its own.
    let (mut sent, mut ports) = (Sent::default(), Vec::new());
    // IPv4, IPv6, IPv6 of a port for both, and IPv4-mapped in two ways.
    for (bind, own, to) in [
        (own_v4, own_v4, to_v4),
        (own_v6, own_v6, to_v6),
        (any, own_v6, to_v6),
        (any, own_v4, to_v4),
        (v4.to_ipv6_mapped().into(), own_v4, to_v4),
    ] {
        let (bind, to) = (SocketAddr::new(bind, 0), SocketAddr::new(to, PORT));
        for value in MARKS {
            let (port, alone) = (UdpPort::bind(bind, mark(value)?)?, to_one(to, None));
            sent.send(own, &port, value, &[alone])?;
            sent.send(own, &port, value, &[alone; 70])?;
            ports.push(port);
            let (port, alone) = (UdpPort::bind(bind, mark(OTHER)?)?, to_one(to, Some(mark(value)?)));
            sent.send(own, &port, value, &[alone])?;
            sent.send(own, &port, value, &[alone; 70])?;
            sent.send(own, &port, value, &[Datagram { from: Some(own), ..alone }; 2])?;
            port.set_mark(mark(value)?)?;
            sent.send(own, &port, value, &[to_one(to, None)])?;
            ports.push(port);
        }
        let port = UdpPort::bind(bind, mark(OTHER)?)?;
        sent.send_mixed(own, &port, to)?;
        ports.push(port);
    }
    let leases =
        lease_and_send(&mut sent, &[(own_v4, own_v4, to_v4), (own_v6, own_v6, to_v6), (any, own_v4, to_v4)])?;
    let last = UdpPort::bind(SocketAddr::new(own_v4, 0), mark(0)?)?;
    sent.send(own_v4, &last, 0, &[Datagram { bytes: END, ..to_one(SocketAddr::new(to_v4, PORT), None) }])?;
    drop((ports, leases));
    Ok(sent.tally)
}

/// Media ports of every class and kind; they stay leased, so that each is another port.
fn lease_and_send(sent: &mut Sent, ways: &[(IpAddr, IpAddr, IpAddr)]) -> Result<Vec<Lease>> {
    let plan = include_str!("../../../captures/plans/phones.toml");
    let plan = Plan::from_toml(plan).map_err(|problems| format!("{problems:?}"))?;
    let policy = Policy::from(&plan.policy(Role::Client, &Scope::default()));
    let mut leases = Vec::new();
    for (bind, own, to) in ways {
        let pool = Leases::new(policy, *bind, 1);
        for class in [TrafficClass::Audio, TrafficClass::Video] {
            for mux in [true, false] {
                let lease = pool.lease(class, mux)?;
                for port in [Some(lease.rtp()), lease.rtcp()].into_iter().flatten() {
                    let value = policy.class(class).mark.value();
                    sent.send(*own, port, value, &[to_one(SocketAddr::new(*to, PORT), None); 3])?;
                }
                leases.push(lease);
            }
        }
    }
    Ok(leases)
}

#[derive(Default)]
struct Sent {
    tally: Tally,
}

impl Sent {
    /// Sends datagrams that are all meant to carry this mark.
    fn send(&mut self, own: IpAddr, port: &UdpPort, value: u8, datagrams: &[Datagram<'_>]) -> Result<()> {
        hand_over(port, datagrams)?;
        for datagram in datagrams {
            let source = SocketAddr::new(own, port.local().port());
            *self.tally.entry((source, datagram.to, value)).or_default() += 1;
        }
        Ok(())
    }

    /// One call with every mark in turn, and with none of its own.
    fn send_mixed(&mut self, own: IpAddr, port: &UdpPort, to: SocketAddr) -> Result<()> {
        let marks = MARKS.map(Dscp::new).into_iter().chain([None]).cycle().take(60);
        let datagrams: Vec<_> = marks.map(|mark| to_one(to, mark)).collect();
        hand_over(port, &datagrams)?;
        for value in MARKS.into_iter().chain([OTHER]) {
            self.tally.insert((SocketAddr::new(own, port.local().port()), to, value), 12);
        }
        Ok(())
    }
}

fn hand_over(port: &UdpPort, datagrams: &[Datagram<'_>]) -> Result<()> {
    let mut refused = Vec::new();
    port.send(datagrams, |datagram, error| refused.push(format!("{datagram:?}: {error}")));
    if refused.is_empty() { Ok(()) } else { Err(refused.join("\n").into()) }
}

fn receive(address: IpAddr) -> Result<Tally> {
    let port = UdpPort::bind(SocketAddr::new(address, PORT), mark(0)?)?;
    writeln!(std::io::stderr(), "bound")?;
    let (mut batch, mut tally, mut ended) = (Batch::new(2048), Tally::new(), false);
    while !ended {
        sleep(Duration::from_millis(2));
        while port.receive(&mut batch)? > 0 {
            for received in batch.iter() {
                if received.ecn != Ecn::NotCapable {
                    return Err(format!("ECN in {received:?}").into());
                }
                ended |= received.bytes == END;
                *tally.entry((received.remote, received.local, received.mark.value())).or_default() += 1;
            }
        }
    }
    Ok(tally)
}

fn to_one(to: SocketAddr, mark: Option<Dscp>) -> Datagram<'static> {
    Datagram { to, from: None, bytes: b"marked", mark }
}

fn mark(value: u8) -> Result<Dscp> {
    Dscp::new(value).ok_or_else(|| format!("no DSCP: {value}").into())
}
