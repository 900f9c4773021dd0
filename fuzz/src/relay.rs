//! The relay as a whole, driven by a script: whatever comes from clients, peers, the host and the clock in which order, it
//! speaks STUN only to clients, sends only to peers that may be reached, closes what it opened, and in the end holds nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_relay::{
    Access, Config, Flow, Icmp, Limits, LinkId, Listener, Marking, NotOpened, Output, Peers, PortId, Rate,
    Relay, Request, RuleId, Tally, Transport, User, Wish, WishId, issue_at,
};
use carillon_wire::stun::{Builder, ChannelData, Class, Family, Message, Method, kind};
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;

/// Steps of one script: what is behind is left out.
const MOST_STEPS: usize = 200;
const START: Duration = Duration::from_secs(1_800_000_000);
const REALM: &str = "e";
const METHODS: [Method; 7] = [
    Method::Allocate,
    Method::Refresh,
    Method::CreatePermission,
    Method::ChannelBind,
    Method::Binding,
    Method::Connect,
    Method::ConnectionBind,
];
const LIMITS: Limits = Limits {
    ports: 6,
    ports_per_user: 4,
    ports_per_site: 5,
    permissions: 3,
    channels: 2,
    links: 2,
    lifetime: Duration::from_secs(600),
    longest_lifetime: Duration::from_secs(3600),
    after_expiry: Duration::from_secs(60),
    nonce_lifetime: Duration::from_secs(600),
    patience: Duration::from_secs(5),
    reservation: Duration::from_secs(30),
    answers: Rate { per_second: 10, at_once: 20 },
    bindings: Rate { per_second: 10, at_once: 20 },
    proofs: Rate { per_second: 100, at_once: 200 },
    requests: Rate { per_second: 10, at_once: 40 },
};

/// A script of steps: a byte that says what happens, one that says where, one how much, and as many bytes as the third says.
pub fn relay(data: &[u8]) {
    let mut world = World::new();
    let mut rest = data;
    for _ in 0..MOST_STEPS {
        let Some((&[what, place, size], behind)) = rest.split_first_chunk() else { break };
        let (text, behind) = behind.split_at(behind.len().min(usize::from(size % 64)));
        world.step(what, place, text);
        world.assert_bounded();
        rest = behind;
    }
    world.host_answers = false;
    world.wait(Duration::from_secs(4000));
    // What the host was asked to open and has not answered is its own affair.
    for port in world.wishes.iter().filter_map(|wish| wish.reserved) {
        world.ports.remove(&port);
    }
    let counts = world.relay.counts();
    assert_eq!((counts.allocations, counts.ports, counts.users), (0, 0, 0));
    assert!(counts.sites.is_empty());
    assert_eq!((counts.permissions, counts.channels, counts.rules, counts.links), (0, 0, 0, 0));
    assert!(world.ports.is_empty() && world.rules.is_empty() && world.trusted.is_empty());
    assert!(world.links.is_empty(), "{:?}", world.links);
    assert_eq!(world.relay.poll_timeout(), None);
}

struct World {
    relay: Relay,
    now: Duration,
    nonce: String,
    token: u64,
    connection: u32,
    last_link: u64,
    last_port: u32,
    host_answers: bool,
    wishes: Vec<Wish>,
    /// Peers that are being called, and from which port.
    dials: Vec<(WishId, PortId)>,
    /// Connections with peers, and whose port they are at.
    links: BTreeMap<LinkId, PortId>,
    ports: BTreeSet<PortId>,
    rules: BTreeSet<RuleId>,
    trusted: BTreeSet<Flow>,
}

impl World {
    fn new() -> World {
        World {
            relay: Relay::new(config(false), [5; 32], START),
            now: START,
            nonce: String::new(),
            token: 0,
            connection: 0,
            last_link: 0,
            last_port: 0,
            host_answers: true,
            wishes: Vec::new(),
            dials: Vec::new(),
            links: BTreeMap::new(),
            ports: BTreeSet::new(),
            rules: BTreeSet::new(),
            trusted: BTreeSet::new(),
        }
    }

    fn step(&mut self, what: u8, place: u8, text: &[u8]) {
        let (flow, choice) = (flow(place), usize::from(what >> 3));
        match what & 7 {
            0 => self.relay.handle_input(self.now, flow, text),
            1 | 2 => {
                let bytes = self.ask(choice, place, text);
                self.relay.handle_input(self.now, flow, &bytes);
            }
            3 => self.relay.handle_input(self.now, flow, &sent(choice, text)),
            4 => self.relay.handle_peer_data(self.now, self.port(place), peer(choice), text),
            5 => self.wait(Duration::from_millis(u64::from(place) << (choice % 16))),
            6 => self.host_answers = !self.host_answers,
            _ => self.tell(choice, place),
        }
        self.drain();
    }

    /// A request with these further attributes, proven by the last nonce.
    fn ask(&self, choice: usize, place: u8, more: &[u8]) -> Vec<u8> {
        let method = METHODS.get(choice % METHODS.len()).copied().unwrap_or(Method::Allocate);
        let mut builder = Builder::new(Class::Request, method, [place; 12]);
        for chunk in more.chunks(2) {
            builder = self.attribute(builder, chunk);
        }
        let builder = match method {
            Method::Allocate => builder.requested_transport(if place & 16 == 0 { 17 } else { 6 }),
            Method::ConnectionBind => builder.u32(kind::CONNECTION_ID, self.connection),
            Method::ChannelBind => builder.channel_number(0x4000 + u16::from(place >> 6)),
            _ => builder,
        };
        let (user, password) = user(place);
        let builder = builder
            .attribute(kind::USERNAME, user.as_bytes())
            .attribute(kind::REALM, REALM.as_bytes())
            .attribute(kind::NONCE, self.nonce.as_bytes());
        let key: [u8; 16] = Md5::digest(format!("{user}:{REALM}:{password}")).into();
        let mut block = [0; 64];
        block.iter_mut().zip(key).for_each(|(to, from)| *to = from);
        let mut mac = Hmac::<Sha1>::new(&block.into());
        mac.update(&builder.integrity_input(20));
        builder.attribute(kind::MESSAGE_INTEGRITY, &mac.finalize().into_bytes()).finish().unwrap_or_default()
    }

    fn attribute(&self, builder: Builder, chunk: &[u8]) -> Builder {
        let &[which, value] = chunk else { return builder };
        match which % 10 {
            0 => builder.u32(kind::LIFETIME, u32::from(value) * 16),
            1 | 2 => builder.xor_address(kind::XOR_PEER_ADDRESS, peer(value.into())),
            3 => builder.family(kind::REQUESTED_ADDRESS_FAMILY, family(value)),
            4 => builder.family(kind::ADDITIONAL_ADDRESS_FAMILY, family(value)),
            5 => builder.attribute(kind::EVEN_PORT, &[value]),
            6 => builder.u64(kind::RESERVATION_TOKEN, self.token),
            7 => builder.attribute(kind::DONT_FRAGMENT, &[]),
            8 => builder.channel_number(0x4000 + u16::from(value)),
            _ => builder.attribute(u16::from(value) << 8, &[value]),
        }
    }

    /// The host, and the administrator.
    fn tell(&mut self, choice: usize, place: u8) {
        let tally = Tally { packets: u64::MAX, bytes: choice as u64, checks: 1 };
        let port = self.port(place);
        let request = match choice % 11 {
            0 => Request::Closed(flow(place)),
            6 => Request::Clock(START + Duration::from_secs(u64::from(place) * 60)),
            1 => Request::Drain { alternates: vec![peer(choice)] },
            2 => Request::Configure(Box::new(config(place & 1 != 0))),
            3 => Request::Counted { port, to_client: tally, to_peer: tally },
            4 => Request::Unreachable {
                port,
                peer: peer(choice),
                icmp: Icmp { kind: place, code: 255, data: 7 },
            },
            8 => {
                let Some(link) = self.links.keys().nth(usize::from(place % 4)).copied() else { return };
                self.links.remove(&link);
                Request::HungUp(link)
            }
            9 => Request::Arrived { port, peer: peer(choice), link: self.link(port) },
            10 => return self.answer_dial(place),
            5 => return self.answer_wish(place),
            _ => Request::NotOpened { wish: WishId(place.into()), reason: NotOpened::NoFamily },
        };
        self.relay.handle_request(self.now, request);
    }

    /// The oldest wish, rightly or wrongly.
    fn answer_wish(&mut self, place: u8) {
        let Some(wish) = self.wishes.pop() else { return };
        let refused = Request::NotOpened { wish: wish.id, reason: NotOpened::NoPort };
        if place & 3 == 0 {
            wish.reserved.iter().for_each(|port| assert!(self.ports.remove(port)));
        }
        let request = if place & 3 == 0 { refused } else { self.opened(wish, place & 3 == 1) };
        self.relay.handle_request(self.now, request);
    }

    /// The oldest peer that was called is reached, or not.
    fn answer_dial(&mut self, place: u8) {
        let Some((wish, port)) = self.dials.pop() else { return };
        let request = match place & 1 {
            0 => Request::NotDialled { wish },
            _ => Request::Dialled { wish, link: self.link(port) },
        };
        self.relay.handle_request(self.now, request);
    }

    fn link(&mut self, port: PortId) -> LinkId {
        self.last_link += 1;
        self.links.insert(LinkId(self.last_link), port);
        LinkId(self.last_link)
    }

    fn opened(&mut self, wish: Wish, wrongly: bool) -> Request {
        let is_v4 = (wish.family == Family::V4) != wrongly;
        let ip = if is_v4 { [8, 0, 0, 1].into() } else { [0x2a00, 0, 0, 0, 0, 0, 0, 1].into() };
        let mut open = || {
            self.last_port += 1;
            self.ports.insert(PortId(self.last_port));
            PortId(self.last_port)
        };
        let port = wish.reserved.unwrap_or_else(&mut open);
        let next = wish.next.then(&mut open);
        let relayed = SocketAddr::new(ip, 50_000 + (self.last_port % 10_000) as u16);
        Request::Opened { wish: wish.id, port, relayed, next }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.relay.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.relay.handle_timeout(self.now);
            self.drain();
            assert!(self.relay.poll_timeout().is_none_or(|next| next > self.now));
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(output) = self.relay.poll_output() {
            match output {
                Output::Transmit { flow, bytes, .. } => self.heard(flow, &bytes),
                Output::ToClient { port, flow, bytes, .. } => {
                    assert!(self.ports.contains(&port));
                    self.heard(flow, &bytes);
                }
                Output::ToPeer { port, peer, bytes, .. } => {
                    assert!(self.ports.contains(&port) && !peer.ip().is_loopback() && peer.port() != 0);
                    assert!(bytes.len() < 64);
                }
                Output::Open(wish) if self.host_answers => {
                    let request = self.opened(wish, false);
                    self.relay.handle_request(self.now, request);
                }
                Output::Open(wish) => self.wishes.push(wish),
                Output::Close(port) => {
                    assert!(self.ports.remove(&port) && self.links.values().all(|of| *of != port));
                    self.dials.retain(|(_, of)| *of != port);
                }
                Output::Dial { wish, port, peer, .. } => {
                    assert!(self.ports.contains(&port) && !peer.ip().is_loopback() && peer.port() != 0);
                    self.dials.push((wish, port));
                    if self.host_answers {
                        self.answer_dial(1);
                    }
                }
                Output::Join(joint) => {
                    assert!(self.links.contains_key(&joint.link) && self.ports.contains(&joint.port));
                    assert!(joint.client.transport.is_stream());
                }
                Output::HangUp(link) => assert!(self.links.remove(&link).is_some()),
                Output::Install(rule) => {
                    assert!(self.ports.contains(&rule.port) && self.trusted.contains(&rule.client));
                    self.rules.insert(rule.id);
                }
                Output::Remove(rule) => assert!(self.rules.remove(&rule)),
                Output::Trust(flow) => assert!(self.trusted.insert(flow)),
                Output::Distrust(flow) => assert!(self.trusted.remove(&flow)),
                Output::Disconnect(flow) => assert!(flow.transport.is_stream()),
                Output::Event(_) => {}
            }
        }
    }

    /// Only well-formed messages leave; what they give is used from now on.
    fn heard(&mut self, flow: Flow, bytes: &[u8]) {
        if matches!(bytes.first(), Some(0x40..)) {
            assert!(ChannelData::parse_relayed(bytes).is_some());
            return assert!(!flow.transport.is_stream() || bytes.len().is_multiple_of(4));
        }
        let message = Message::parse(bytes).unwrap_or_else(|error| panic!("{error}"));
        assert!(message.class() != Class::Request);
        self.nonce = message.nonce().map_or(std::mem::take(&mut self.nonce), str::to_owned);
        self.token = message.reservation_token().unwrap_or(self.token);
        self.connection = message.connection_id().unwrap_or(self.connection);
    }

    fn port(&self, place: u8) -> PortId {
        self.ports.iter().nth(usize::from(place % 4)).copied().unwrap_or(PortId(place.into()))
    }

    fn assert_bounded(&self) {
        let counts = self.relay.counts();
        assert!(counts.ports <= LIMITS.ports && counts.allocations <= LIMITS.ports, "{counts:?}");
        assert!(counts.permissions <= counts.allocations * LIMITS.permissions, "{counts:?}");
        assert!(counts.channels <= counts.allocations * LIMITS.channels, "{counts:?}");
        assert_eq!(counts.rules, self.rules.len());
        assert_eq!(counts.allocations, self.trusted.len());
    }
}

fn config(other: bool) -> Config {
    let network = |text: &str| text.parse().unwrap_or_else(|error| panic!("{error}"));
    let user = User { password: "p".to_owned(), class: other.then_some(TrafficClass::Video) };
    let denied = if other { vec![network("9.9.9.0/24")] } else { Vec::new() };
    Config {
        realm: REALM.to_owned(),
        listeners: vec![Listener::default(), Listener { class: Some(TrafficClass::Audio) }],
        access: Access {
            users: [("u".to_owned(), user)].into(),
            secrets: vec!["s".to_owned()],
            ..Access::default()
        },
        peers: Peers {
            allowed: vec![network("10.0.0.0/8")],
            denied,
            own: vec![[10, 0, 0, 1].into()],
            relayed: vec![[8, 0, 0, 1].into()],
            ..Peers::default()
        },
        marking: Marking { inside: vec![network("10.0.0.0/8")], outside: other, ports: Vec::new() },
        forbids_fragments: other,
        channels_of_rfc5766: other,
        limits: LIMITS,
    }
}

fn user(place: u8) -> (String, String) {
    match place & 4 {
        0 => ("u".to_owned(), "p".to_owned()),
        _ => {
            let site = (place & 16 != 0).then_some("r");
            let credential =
                issue_at("s", "w", site, None, START + Duration::from_secs(u64::from(place) * 8));
            (credential.username, credential.password)
        }
    }
}

/// Four flows of one address, and as many of another.
fn flow(place: u8) -> Flow {
    let transport = if place & 1 == 0 { Transport::Udp } else { Transport::Tcp };
    let remote = ([if place & 8 == 0 { 10 } else { 7 }, 0, 0, 7], 1000 + u16::from(place & 7)).into();
    Flow {
        listener: u16::from(place & 2),
        transport,
        connection: u64::from(place & 1),
        local: ([8, 0, 0, 1], 3478).into(),
        remote,
    }
}

fn peer(choice: usize) -> SocketAddr {
    match choice % 6 {
        0 => ([9, 9, 9, 9], 1000 + ((choice % 256) >> 4) as u16).into(),
        1 => ([10, 0, 0, 9], 5000).into(),
        2 => ([127, 0, 0, 1], 5000).into(),
        3 => ([0x2a01, 0, 0, 0, 0, 0, 0, 1], 5000).into(),
        4 => ([8, 0, 0, 1], 50_001).into(),
        _ => ([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1], 5000).into(),
    }
}

fn family(value: u8) -> Family {
    if value & 1 == 0 { Family::V6 } else { Family::V4 }
}

/// Media of a client, by channel or by indication.
fn sent(choice: usize, text: &[u8]) -> Vec<u8> {
    if choice & 16 == 0 {
        let mut frame = Vec::new();
        let _ = ChannelData::write_stream(0x4000 + (choice % 4) as u16, text, &mut frame);
        return frame;
    }
    let builder = Builder::new(Class::Indication, Method::Send, [1; 12]);
    let builder = builder.xor_address(kind::XOR_PEER_ADDRESS, peer(choice)).attribute(kind::DATA, text);
    builder.finish().unwrap_or_default()
}
