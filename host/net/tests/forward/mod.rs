//! A forwarder under test with a client and a peer on loopback, and what has arrived at them.
#![allow(dead_code, reason = "every test uses a part")]

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use carillon_net::forward::{Client, Count, Forwarder, ListenerId, PortId, Rule, RuleId, Settings, Unknown};
use carillon_net::lease::{ClassPorts, Leases, Policy, Shape};
use carillon_net::udp::{Batch, Datagram, UdpPort};
use carillon_qos::{PortRange, TrafficClass};
use carillon_wire::ip::{Dscp, Ecn};
use carillon_wire::stun::ChannelData;
use socket2::SockRef;

/// For what has to happen; when it does, nobody waits that long.
pub(crate) const LONG: Duration = Duration::from_secs(20);
pub(crate) const CHANNEL: u16 = 0x4001;
pub(crate) const ID: RuleId = RuleId(1);

/// What a test compares of a datagram: from, content, mark, ECN.
pub(crate) type Seen = (SocketAddr, Vec<u8>, u8, Ecn);

/// Addresses of the listener, the client, the relayed address and the peer.
pub(crate) const FAMILIES: [[&str; 4]; 5] = [
    ["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"],
    ["::1", "::1", "::1", "::1"],
    ["127.0.0.1", "127.0.0.1", "::1", "::1"],
    ["::", "127.0.0.1", "::1", "::1"],
    ["::", "::1", "127.0.0.1", "127.0.0.1"],
];

pub(crate) struct Site {
    pub(crate) forwarder: Forwarder,
    pub(crate) leases: Leases,
    pub(crate) listener: ListenerId,
    pub(crate) port: PortId,
    pub(crate) client: UdpPort,
    pub(crate) peer: UdpPort,
    pub(crate) unknown: Vec<Unknown>,
    /// Where the client sends to.
    pub(crate) here: SocketAddr,
}

pub(crate) fn dscp(value: u8) -> Dscp {
    Dscp::new(value).unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn leases(address: IpAddr) -> Leases {
    let ports = ClassPorts { range: PortRange::from_ends(50_000, 59_999), mark: dscp(0) };
    let policy = Policy { audio: ports, video: ports, sharing: ports, file_transfer: ports };
    // Other tests lease from the same addresses: each begins elsewhere.
    Leases::new(policy, address, RandomState::new().hash_one(address))
}

impl Site {
    pub(crate) fn new([listener, client, relay, peer]: [&str; 4], settings: Settings) -> Site {
        let mut forwarder = Forwarder::new(settings).unwrap();
        let listener = forwarder.listen(SocketAddr::new(ip(listener), 0), dscp(0)).unwrap();
        let bind = |address| UdpPort::bind(SocketAddr::new(ip(address), 0), dscp(0)).unwrap();
        let (client, peer, leases) = (bind(client), bind(peer), leases(ip(relay)));
        let (relayed, _) = leases.relay(TrafficClass::Audio, Shape::Any).unwrap();
        let port = forwarder.open(relayed).unwrap();
        let bound = forwarder.listener(listener).unwrap();
        let here = SocketAddr::new(client.local().ip(), bound.port());
        Site { forwarder, leases, listener, port, client, peer, unknown: Vec::new(), here }
    }

    pub(crate) fn plain() -> Site {
        Site::new(FAMILIES[0], Settings::default())
    }

    pub(crate) fn client(&self) -> Client {
        Client { listener: self.listener, connection: 0, local: self.here, remote: self.client.local() }
    }

    /// The relayed address.
    pub(crate) fn there(&self) -> SocketAddr {
        self.forwarder.port(self.port).unwrap()
    }

    /// A rule between client and peer: EF to the peer, AF41 to the client.
    pub(crate) fn rule(&self) -> Rule {
        Rule {
            client: self.client(),
            channel: CHANNEL,
            port: self.port,
            peer: self.peer.local(),
            to_peer: dscp(46),
            to_client: dscp(34),
        }
    }

    /// One turn.
    pub(crate) fn turn(&mut self) {
        self.forwarder.poll(Some(Duration::from_millis(5))).unwrap();
        while let Some(unknown) = self.forwarder.next_unknown() {
            match unknown {
                // Nothing speaks for anybody here.
                Unknown::FromClient { client, excess: Some(excess), .. } => {
                    self.forwarder.judge(client, excess, false)
                }
                unknown => self.unknown.push(unknown),
            }
        }
    }

    pub(crate) fn until(&mut self, what: &str, mut so: impl FnMut(&mut Site) -> bool) {
        let start = Instant::now();
        while !so(self) {
            assert!(start.elapsed() < LONG, "{what}: {:?} {:?}", self.unknown, self.forwarder.counts());
            self.turn();
        }
    }

    /// Turns until so many packets have been received by the forwarder.
    pub(crate) fn until_handled(&mut self, packets: u64) {
        self.until("packets", |site| handled(&site.forwarder) >= packets);
    }

    pub(crate) fn count(&self, count: Count) -> u64 {
        self.forwarder.counts().of(count)
    }
}

/// Packets that were received, whatever has become of them.
pub(crate) fn handled(forwarder: &Forwarder) -> u64 {
    let not = [Count::Unsent, Count::Segmented];
    forwarder.counts().iter().filter(|(count, _)| !not.contains(count)).map(|(_, number)| number).sum()
}

pub(crate) fn channel_data(channel: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    ChannelData::write(channel, data, &mut bytes).unwrap();
    bytes
}

pub(crate) fn send(port: &UdpPort, to: SocketAddr, all: &[Vec<u8>]) {
    let datagrams: Vec<_> = all.iter().map(|bytes| Datagram { to, from: None, bytes, mark: None }).collect();
    let taken = port.send(&datagrams, |datagram, error| panic!("{datagram:?}: {error}"));
    assert_eq!(taken, datagrams.len());
}

/// Everything that leaves from now on has this mark and these ECN bits.
pub(crate) fn mark(port: &UdpPort, mark: u8, ecn: Ecn) {
    let byte = u32::from(dscp(mark).traffic_byte(ecn));
    SockRef::from(port).set_tos_v4(byte).unwrap();
    if port.local().is_ipv6() {
        SockRef::from(port).set_tclass_v6(byte).unwrap();
    }
}

/// What has arrived, once there are so many.
pub(crate) fn arrived(port: &UdpPort, number: usize) -> Vec<Seen> {
    let (mut seen, mut batch, start) = (Vec::new(), Batch::new(1 << 16), Instant::now());
    while seen.len() < number {
        assert!(start.elapsed() < LONG, "{} of {number}", seen.len());
        if port.receive(&mut batch).unwrap() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        for one in batch.iter() {
            seen.push((one.remote, one.bytes.to_vec(), one.mark.value(), one.ecn));
        }
    }
    seen
}

/// Nothing more is there.
pub(crate) fn nothing(port: &UdpPort) {
    assert_eq!(port.receive(&mut Batch::new(1 << 16)).unwrap(), 0);
}
