//! An Edge with a host that opens ports, and clients that prove themselves. The keys are derived here once more, so that a
//! mistake of the relay's is not repeated by its test.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;
use std::time::Duration;

use carillon_qos::{PortRange, TrafficClass};
use carillon_relay::{
    Access, Config, Flow, Joint, Limits, LinkId, Listener, Marking, Network, NotOpened, Output, Peers,
    PortId, Relay, Request, Rule, RuleId, Transport, User, WishId,
};
use carillon_wire::stun::{Builder, ChannelData, Class, Family, Message, Method, kind};
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

pub const START: Duration = Duration::from_secs(1_800_000_000);
pub const REALM: &str = "edge.test";
/// An outside peer, another port of it, and one that is inside.
pub const PEER: &str = "9.9.9.9:40000";
pub const INSIDE_PEER: &str = "10.0.0.9:40000";

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn networks(texts: &[&str]) -> Vec<Network> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub fn config() -> Config {
    let user = |password: &str| User { password: password.to_owned(), class: None };
    Config {
        realm: REALM.to_owned(),
        listeners: [None, Some(TrafficClass::Audio), Some(TrafficClass::Video), Some(TrafficClass::Sharing)]
            .map(|class| Listener { class })
            .to_vec(),
        access: Access {
            users: [("alice", "wonder"), ("bob", "builder")]
                .map(|(name, password)| (name.to_owned(), user(password)))
                .into(),
            ..Access::default()
        },
        peers: Peers {
            allowed: networks(&["10.0.0.0/8"]),
            own: vec![at("10.0.0.1:0").ip()],
            relayed: vec![at("8.0.0.1:0").ip(), at("[2a00::1]:0").ip()],
            ..Peers::default()
        },
        marking: Marking { inside: networks(&["10.0.0.0/8"]), ..Marking::default() },
        forbids_fragments: true,
        channels_of_rfc5766: false,
        limits: Limits::default(),
    }
}

/// The networks of `inside` are reached on one range of ports, as an Edge has it by its plan.
pub fn planned(ports: &str) -> Config {
    let peers = Peers {
        inside: networks(&["10.0.0.0/8"]),
        ports: vec![PortRange::parse(ports).unwrap()],
        allowed: Vec::new(),
        ..config().peers
    };
    Config { peers, ..config() }
}

/// A relay and its host.
pub struct Edge {
    pub relay: Relay,
    pub now: Duration,
    pub ports: Vec<PortId>,
    pub rules: Vec<Rule>,
    /// Connections with peers that are up.
    pub links: Vec<LinkId>,
    /// Those that are joined with a client's.
    pub joints: Vec<Joint>,
    /// Peers that are being called.
    pub dials: Vec<WishId>,
    /// What the host answers to wishes; by default it opens ports.
    pub host: Host,
    /// Wishes that were not answered.
    pub wishes: Vec<carillon_relay::Wish>,
    last_port: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Host {
    Opens,
    OpensOnly(Family),
    Refuses(NotOpened),
    Waits,
}

impl Edge {
    pub fn new() -> Edge {
        Edge::with(config())
    }

    pub fn with(config: Config) -> Edge {
        let relay = Relay::new(config, [7; 32], START);
        Edge {
            relay,
            now: START,
            ports: Vec::new(),
            rules: Vec::new(),
            links: Vec::new(),
            joints: Vec::new(),
            dials: Vec::new(),
            host: Host::Opens,
            wishes: Vec::new(),
            last_port: 0,
        }
    }

    pub fn hear(&mut self, flow: Flow, bytes: &[u8]) -> Vec<Output> {
        self.relay.handle_input(self.now, flow, bytes);
        self.drain()
    }

    pub fn hear_peer(&mut self, port: PortId, peer: &str, bytes: &[u8]) -> Vec<Output> {
        self.relay.handle_peer_data(self.now, port, at(peer), bytes);
        self.drain()
    }

    /// The host has reached the peer that was asked for last.
    pub fn dialled(&mut self, link: u64) -> Vec<Output> {
        let wish = self.dials.pop().expect("a peer is being called");
        self.links.push(LinkId(link));
        self.request(Request::Dialled { wish, link: LinkId(link) })
    }

    /// A peer has connected.
    pub fn arrives(&mut self, port: PortId, peer: &str, link: u64) -> Vec<Output> {
        self.links.push(LinkId(link));
        self.request(Request::Arrived { port, peer: at(peer), link: LinkId(link) })
    }

    /// A connection has ended by itself.
    pub fn ends(&mut self, link: u64) -> Vec<Output> {
        self.links.retain(|open| *open != LinkId(link));
        self.joints.retain(|joint| joint.link != LinkId(link));
        self.request(Request::HungUp(LinkId(link)))
    }

    pub fn request(&mut self, request: Request) -> Vec<Output> {
        self.relay.handle_request(self.now, request);
        self.drain()
    }

    /// Lets time pass, stopping wherever the relay wants to be called.
    pub fn wait(&mut self, time: Duration) -> Vec<Output> {
        let (until, mut outputs) = (self.now + time, Vec::new());
        while let Some(due) = self.relay.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.relay.handle_timeout(self.now);
            outputs.extend(self.drain());
            assert!(self.relay.poll_timeout().is_none_or(|next| next > self.now), "due again at once");
        }
        self.now = until;
        outputs
    }

    pub fn dropped(&self, counter: &str) -> u64 {
        self.relay.counts().dropped.get(counter).copied().unwrap_or(0)
    }

    pub fn assert_empty(&self) {
        let counts = self.relay.counts();
        let now = (
            counts.allocations,
            counts.ports,
            counts.users,
            counts.permissions,
            counts.channels,
            counts.rules,
            counts.links,
        );
        assert_eq!(now, (0, 0, 0, 0, 0, 0, 0));
        assert!(self.links.is_empty() && self.joints.is_empty(), "{:?} {:?}", self.links, self.joints);
        assert!(self.ports.is_empty() && self.rules.is_empty(), "{:?} {:?}", self.ports, self.rules);
        assert_eq!(self.relay.poll_timeout(), None);
    }

    /// Takes all outputs and does what the host does; returns those that are not for it.
    fn drain(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(output) = self.relay.poll_output() {
            match &output {
                Output::Open(wish) => self.open(*wish),
                Output::Dial { wish, .. } => self.dials.push(*wish),
                Output::Join(joint) => {
                    assert!(self.links.contains(&joint.link) && self.ports.contains(&joint.port));
                    self.joints.retain(|joined| joined.link != joint.link);
                    self.joints.push(*joint);
                }
                Output::HangUp(link) => {
                    let at = self.links.iter().position(|open| open == link).expect("ends what is up");
                    self.links.swap_remove(at);
                    self.joints.retain(|joint| joint.link != *link);
                }
                Output::Close(port) => {
                    assert!(self.joints.iter().all(|joint| joint.port != *port), "{port:?} still has joints");
                    assert!(self.rules.iter().all(|rule| rule.port != *port), "{port:?} still has rules");
                    let at = self.ports.iter().position(|open| open == port).expect("closes what is open");
                    self.ports.swap_remove(at);
                }
                Output::Install(rule) => {
                    self.rules.retain(|installed| installed.id != rule.id);
                    self.rules.push(*rule);
                    assert!(self.ports.contains(&rule.port));
                }
                Output::Remove(id) => {
                    let at =
                        self.rules.iter().position(|rule| rule.id == *id).expect("removes what is installed");
                    self.rules.swap_remove(at);
                }
                _ => {}
            }
            outputs.push(output);
        }
        outputs
    }

    pub fn open(&mut self, wish: carillon_relay::Wish) {
        let request = match self.host {
            Host::Waits => return self.wishes.push(wish),
            Host::Refuses(reason) => {
                self.ports.retain(|port| Some(*port) != wish.reserved);
                Request::NotOpened { wish: wish.id, reason }
            }
            Host::OpensOnly(family) if family != wish.family => {
                Request::NotOpened { wish: wish.id, reason: NotOpened::NoFamily }
            }
            Host::Opens | Host::OpensOnly(_) if wish.reserved.is_some() => {
                let Some(port) = wish.reserved else { return };
                let relayed = SocketAddr::new(at("8.0.0.1:0").ip(), 49_999 + port.0 as u16);
                Request::Opened { wish: wish.id, port, relayed, next: None }
            }
            Host::Opens | Host::OpensOnly(_) => {
                // 50000 and up, even ones if wished for.
                self.last_port += 1 + u32::from(wish.even && !self.last_port.is_multiple_of(2));
                let port = self.port();
                let ip = if wish.family == Family::V4 { "8.0.0.1" } else { "2a00::1" };
                let number = 49_999 + self.last_port as u16;
                let next = wish.next.then(|| {
                    self.last_port += 1;
                    self.port()
                });
                Request::Opened {
                    wish: wish.id,
                    port,
                    relayed: SocketAddr::new(ip.parse().unwrap(), number),
                    next,
                }
            }
        };
        self.relay.handle_request(self.now, request);
    }

    fn port(&mut self) -> PortId {
        self.ports.push(PortId(self.last_port));
        PortId(self.last_port)
    }
}

/// Somebody with a password.
#[derive(Clone)]
pub struct Client {
    pub flow: Flow,
    pub user: String,
    pub password: String,
    pub nonce: String,
    /// SHA-256 for key and seal.
    pub strong: bool,
    pub transaction: u8,
}

impl Client {
    /// Outside, on the listener without a class.
    pub fn new(user: &str, password: &str) -> Client {
        let flow = Flow {
            listener: 0,
            transport: Transport::Udp,
            connection: 0,
            local: at("8.0.0.1:3478"),
            remote: at("7.7.7.7:1234"),
        };
        let (user, password) = (user.to_owned(), password.to_owned());
        Client { flow, user, password, nonce: String::new(), strong: false, transaction: 0 }
    }

    pub fn alice() -> Client {
        Client::new("alice", "wonder")
    }

    pub fn from(mut self, remote: &str) -> Client {
        self.flow.remote = at(remote);
        self
    }

    pub fn on(mut self, listener: u16) -> Client {
        self.flow.listener = listener;
        self
    }

    pub fn over(mut self, transport: Transport) -> Client {
        self.flow.transport = transport;
        self.flow.connection = 7;
        self
    }

    /// A request without proof.
    pub fn bare(&mut self, method: Method, build: impl FnOnce(Builder) -> Builder) -> Vec<u8> {
        self.transaction += 1;
        build(Builder::new(Class::Request, method, [self.transaction; 12])).finish().unwrap()
    }

    /// A request with the proof of the last challenge.
    pub fn proven(&mut self, method: Method, build: impl FnOnce(Builder) -> Builder) -> Vec<u8> {
        self.transaction += 1;
        let builder = build(Builder::new(Class::Request, method, [self.transaction; 12]));
        self.seal(builder).fingerprint().finish().unwrap()
    }

    pub fn seal(&self, builder: Builder) -> Builder {
        let builder = builder
            .attribute(kind::USERNAME, self.user.as_bytes())
            .attribute(kind::REALM, REALM.as_bytes())
            .attribute(kind::NONCE, self.nonce.as_bytes());
        let text = format!("{}:{REALM}:{}", self.user, self.password);
        if self.strong {
            let builder = builder
                .attribute(kind::PASSWORD_ALGORITHM, &[0, 2, 0, 0])
                .attribute(kind::PASSWORD_ALGORITHMS, &[0, 2, 0, 0, 0, 1, 0, 0]);
            return seal_sha256(builder, &Sha256::digest(text));
        }
        seal_sha1(builder, &Md5::digest(text))
    }

    /// Sends an Allocate without proof, and keeps the nonce that comes back.
    pub fn fetch_nonce(&mut self, edge: &mut Edge) {
        let bytes = self.bare(Method::Allocate, |b| b.requested_transport(17));
        let answer = answer(&edge.hear(self.flow, &bytes)).expect("a challenge");
        assert_eq!(code(&answer), 401);
        self.nonce = Message::parse(&answer).unwrap().nonce().unwrap().to_owned();
    }

    /// Sends a proven request; the answer.
    pub fn ask(
        &mut self,
        edge: &mut Edge,
        method: Method,
        build: impl FnOnce(Builder) -> Builder,
    ) -> Vec<u8> {
        let bytes = self.proven(method, build);
        answer(&edge.hear(self.flow, &bytes)).expect("an answer")
    }

    /// The code of the answer, 0 for success.
    pub fn try_allocate(&mut self, edge: &mut Edge, build: impl FnOnce(Builder) -> Builder) -> u16 {
        if self.nonce.is_empty() {
            self.fetch_nonce(edge);
        }
        code(&self.ask(edge, Method::Allocate, |b| build(b.requested_transport(17))))
    }

    /// Allocates; the relayed address.
    pub fn allocate(&mut self, edge: &mut Edge) -> SocketAddr {
        self.fetch_nonce(edge);
        let answer = self.ask(edge, Method::Allocate, |b| b.requested_transport(17));
        assert_eq!(code(&answer), 0);
        Message::parse(&answer).unwrap().xor_relayed_address().unwrap()
    }

    pub fn refresh(&mut self, edge: &mut Edge, lifetime: u32) -> u16 {
        code(&self.ask(edge, Method::Refresh, |b| b.u32(kind::LIFETIME, lifetime)))
    }

    pub fn permit(&mut self, edge: &mut Edge, peer: &str) -> u16 {
        code(&self.ask(edge, Method::CreatePermission, |b| b.xor_address(kind::XOR_PEER_ADDRESS, at(peer))))
    }

    pub fn bind(&mut self, edge: &mut Edge, channel: u16, peer: &str) -> u16 {
        let build = |b: Builder| b.channel_number(channel).xor_address(kind::XOR_PEER_ADDRESS, at(peer));
        code(&self.ask(edge, Method::ChannelBind, build))
    }

    pub fn send(&mut self, edge: &mut Edge, peer: &str, data: &[u8]) -> Vec<Output> {
        let bytes = Builder::new(Class::Indication, Method::Send, [0; 12])
            .xor_address(kind::XOR_PEER_ADDRESS, at(peer))
            .attribute(kind::DATA, data)
            .finish()
            .unwrap();
        edge.hear(self.flow, &bytes)
    }

    pub fn send_on(&mut self, edge: &mut Edge, channel: u16, data: &[u8]) -> Vec<Output> {
        let mut bytes = Vec::new();
        ChannelData::write(channel, data, &mut bytes).unwrap();
        edge.hear(self.flow, &bytes)
    }
}

pub fn seal_sha1(builder: Builder, key: &[u8]) -> Builder {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).unwrap();
    mac.update(&builder.integrity_input(20));
    builder.attribute(kind::MESSAGE_INTEGRITY, &mac.finalize().into_bytes())
}

pub fn seal_sha256(builder: Builder, key: &[u8]) -> Builder {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(&builder.integrity_input(32));
    builder.attribute(kind::MESSAGE_INTEGRITY_SHA256, &mac.finalize().into_bytes())
}

/// The only message to a client among the outputs.
pub fn answer(outputs: &[Output]) -> Option<Vec<u8>> {
    let mut answers = outputs.iter().filter_map(|output| match output {
        Output::Transmit { bytes, .. } | Output::ToClient { bytes, .. } => Some(bytes.clone()),
        _ => None,
    });
    let first = answers.next();
    assert_eq!(answers.next(), None, "one answer");
    first
}

/// Of an answer: 0 for success.
pub fn code(answer: &[u8]) -> u16 {
    let message = Message::parse(answer).unwrap();
    match message.class() {
        Class::Success => 0,
        _ => message.error_code().unwrap().code,
    }
}

/// What went to a peer: to whom, of which class, what.
pub fn to_peer(outputs: &[Output]) -> Option<(SocketAddr, Option<TrafficClass>, Vec<u8>)> {
    outputs.iter().find_map(|output| match output {
        Output::ToPeer { peer, class, bytes, .. } => Some((*peer, *class, bytes.clone())),
        _ => None,
    })
}

pub fn rule_ids(edge: &Edge) -> Vec<RuleId> {
    edge.rules.iter().map(|rule| rule.id).collect()
}
