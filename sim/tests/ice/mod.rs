//! Two agents of ICE and a relay in virtual time, and what lies between them: NATs, firewalls, packets that overtake.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test file uses its part"
)]

pub mod naive;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_media::ice::{
    Agent, Candidate, Config, Credential, Credentials, Description, Event, Output, Path, Port, Relaying,
    Server, Session, Stream, Via,
};
use carillon_media::leg::Component;
use carillon_media::random::Random;
use carillon_relay::{self as relay, Access, Flow, Listener, Marking, Peers, PortId, Relay, Request, User};
use carillon_sim::nat::{Behaviour, Nat};

const START: Duration = Duration::from_secs(1_800_000_000);
/// From anywhere to anywhere else.
pub const DELAY: Duration = Duration::from_millis(10);
pub const EDGE: &str = "8.0.0.1";
/// How long a NAT keeps a way open.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// One end: where it is, what is before it, and what it has come to.
pub struct End {
    pub agent: Agent,
    pub address: SocketAddr,
    /// In a VPN, where no NAT is; or the port for RTCP, which has the same address.
    in_vpn: Option<SocketAddr>,
    nat: Option<(IpAddr, Behaviour)>,
    /// Which of the NATs it is behind.
    site: Option<usize>,
    pub blocked: fn(&Packet) -> bool,
    pub candidates: Option<Vec<Candidate>>,
    pub chosen: Vec<(Duration, Path)>,
    pub events: Vec<(Duration, Event)>,
    pub heard: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub struct Packet {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub stream: Option<(Relaying, Stream)>,
    pub bytes: Vec<u8>,
}

pub struct World {
    pub now: Duration,
    pub ends: [End; 2],
    pub edge: Relay,
    sites: Vec<Nat>,
    /// Hosts of one site do not reach each other, as in a network for guests.
    isolated: bool,
    /// What each packet takes longer than [`DELAY`], at most, and what decides it.
    jitter: (u32, Random),
    relayed: BTreeMap<PortId, SocketAddr>,
    streams: BTreeMap<Flow, Stream>,
    queue: BTreeMap<(Duration, u64), Packet>,
    sent: u64,
}

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What a port is for, beside the first one.
fn component(first: Option<SocketAddr>, at: SocketAddr) -> Component {
    let is_rtcp = first.is_some_and(|first| first.ip() == at.ip() && first != at);
    if is_rtcp { Component::Rtcp } else { Component::Rtp }
}

pub fn credentials(seed: u8) -> Credentials {
    Credentials::new(&mut Random::new(&[seed; 32], *b"ice-self"))
}

fn edge() -> Relay {
    let user = User { password: "wonder".to_owned(), class: None };
    let config = relay::Config {
        realm: "edge.test".to_owned(),
        listeners: vec![Listener { class: None }],
        access: Access { users: [("alice".to_owned(), user)].into(), ..Access::default() },
        peers: Peers {
            own: vec![EDGE.parse().unwrap()],
            relayed: vec![EDGE.parse().unwrap()],
            ..Peers::default()
        },
        marking: Marking::default(),
        forbids_fragments: true,
        channels_of_rfc5766: false,
        limits: relay::Limits::default(),
    };
    Relay::new(config, [7; 32], START)
}

impl End {
    pub fn new(seed: u8, address: &str, nat: Option<Behaviour>, blocked: fn(&Packet) -> bool) -> End {
        End::with("wonder", seed, [Some(address), None], nat, blocked)
    }

    /// With an address in a VPN too.
    pub fn in_vpn(seed: u8, [address, in_vpn]: [&str; 2], blocked: fn(&Packet) -> bool) -> End {
        End::with("wonder", seed, [Some(address), Some(in_vpn)], None, blocked)
    }

    /// With a port of its own for RTCP, the next one.
    pub fn with_rtcp(seed: u8, address: &str, blocked: fn(&Packet) -> bool) -> End {
        let rtcp = SocketAddr::new(at(address).ip(), at(address).port() + 1).to_string();
        End::with("wonder", seed, [Some(address), Some(&rtcp)], None, blocked)
    }

    /// With any password of the relay's user.
    pub fn with(
        password: &str,
        seed: u8,
        addresses: [Option<&str>; 2],
        nat: Option<Behaviour>,
        blocked: fn(&Packet) -> bool,
    ) -> End {
        let [address, in_vpn] = addresses.map(|address| address.map(at));
        let credential = Credential { username: "alice".to_owned(), password: password.to_owned() };
        let doors = [(Relaying::Udp, 3478), (Relaying::Tcp, 443), (Relaying::Tls, 5349)];
        let doors = doors.map(|(how, port)| (how, SocketAddr::new(EDGE.parse().unwrap(), port))).to_vec();
        let config = Config {
            credentials: credentials(seed),
            ports: [address, in_vpn].into_iter().flatten().map(|at| (component(address, at), at)).collect(),
            relays: vec![Server { doors, credential }],
            seed: [seed; 32],
        };
        End {
            agent: Agent::new(&config, START),
            address: address.unwrap(),
            in_vpn,
            nat: nat.map(|behaviour| ([8, 1, 0, seed].into(), behaviour)),
            site: None,
            blocked,
            candidates: None,
            chosen: Vec::new(),
            events: Vec::new(),
            heard: Vec::new(),
        }
    }
}

impl World {
    /// Each end behind its own NAT, if it has one.
    pub fn new(mut ends: [End; 2]) -> World {
        let mut sites = Vec::new();
        for end in &mut ends {
            let Some((outside, behaviour)) = end.nat else { continue };
            end.site = Some(sites.len());
            sites.push(Nat::new(outside, behaviour, LIFETIME));
        }
        World::between(ends, sites)
    }

    /// Both ends behind one NAT.
    pub fn behind_one(mut ends: [End; 2], behaviour: Behaviour, isolated: bool) -> World {
        ends.iter_mut().for_each(|end| end.site = Some(0));
        let nat = Nat::new([8, 1, 0, 1].into(), behaviour, LIFETIME);
        World { isolated, ..World::between(ends, vec![nat]) }
    }

    fn between(ends: [End; 2], sites: Vec<Nat>) -> World {
        World {
            now: START,
            ends,
            edge: edge(),
            sites,
            isolated: false,
            jitter: (0, Random::new(&[0; 32], *b"nojitter")),
            relayed: BTreeMap::new(),
            streams: BTreeMap::new(),
            queue: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Packets take up to so many milliseconds longer, each another time.
    pub fn shaken(self, milliseconds: u32, seed: u8) -> World {
        World { jitter: (milliseconds, Random::new(&[seed; 32], *b"jittered")), ..self }
    }

    /// Until both know where they may be reached; then each is told about the other, alice first, as in offer and answer.
    pub fn call(ends: [End; 2]) -> World {
        World::new(ends).called()
    }

    /// See [`World::call`].
    pub fn called(mut self) -> World {
        self.gather();
        self.agree(1, [1, 2]);
        self.run(DELAY * 3, |_| false);
        self.agree(0, [1, 2]);
        self
    }

    /// Until both know where they may be reached.
    pub fn gather(&mut self) {
        self.drain();
        self.run(Duration::from_secs(4), |world| world.ends.iter().all(|end| end.candidates.is_some()));
    }

    /// One end learns of the other; the seeds are those of the credentials in force.
    pub fn agree(&mut self, who: usize, seeds: [u8; 2]) {
        let candidates = self.ends[1 - who].candidates.clone().expect("gathered");
        let remote = Description { credentials: credentials(seeds[1 - who]), candidates, lite: false };
        let session = Session { local: credentials(seeds[who]), remote, controlling: who == 0 };
        let end = &mut self.ends[who];
        let rtcp = end.in_vpn.is_some_and(|at| component(Some(end.address), at) == Component::Rtcp);
        end.agent.agree(self.now, session, rtcp);
        self.drain();
    }

    /// Until it is so, or so long.
    pub fn run(&mut self, time: Duration, mut done: impl FnMut(&World) -> bool) -> bool {
        let until = self.now + time;
        while !done(self) {
            let agents = self.ends.iter().filter_map(|end| end.agent.poll_timeout());
            let packets = self.queue.keys().next().map(|(due, _)| *due);
            let next = agents.chain(packets).chain(self.edge.poll_timeout()).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = until;
                return done(self);
            };
            self.now = self.now.max(next);
            while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let packet = entry.remove();
                self.deliver(packet);
            }
            for end in &mut self.ends {
                end.agent.handle_timeout(self.now);
            }
            self.edge.handle_timeout(self.now);
            self.drain();
            let late = |due: Duration| due <= self.now;
            let again = self.ends.iter().filter_map(|end| end.agent.poll_timeout()).any(late);
            assert!(!again, "an agent is due again at once: {:?}", self.now - START);
        }
        true
    }

    pub fn until_chosen(&mut self) -> [Path; 2] {
        self.chosen().expect("no way was found")
    }

    /// What both have chosen; the last of it, as the peer may have chosen a better one.
    pub fn chosen(&mut self) -> Option<[Path; 2]> {
        let chosen = |world: &World| world.ends.iter().all(|end| !end.chosen.is_empty());
        let is_chosen =
            self.run(Duration::from_secs(8), chosen) && !self.run(Duration::from_secs(1), |_| false);
        is_chosen.then(|| [0, 1].map(|who| self.ends[who].chosen.last().unwrap().1))
    }

    fn deliver(&mut self, packet: Packet) {
        let now = self.now;
        if packet.to.ip() == EDGE.parse::<IpAddr>().unwrap() {
            self.pass_to_edge(&packet);
        } else if let Some(who) = self.reached(&packet) {
            let End { agent, heard, address, in_vpn, .. } = &mut self.ends[who];
            let own = in_vpn.filter(|at| *at == packet.to).unwrap_or(*address);
            let mut hear = |bytes: &[u8]| heard.push(bytes.to_vec());
            match packet.stream {
                Some((_, stream)) => {
                    agent.handle_stream(now, stream, &packet.bytes, &mut |media| hear(media.bytes));
                }
                None => {
                    let port = Port { component: component(Some(*address), own), ip: Some(own.ip()) };
                    let media = agent.handle_datagram(now, port, packet.from, &packet.bytes);
                    media.into_iter().for_each(|media| hear(media.bytes));
                }
            }
        }
        self.drain();
    }

    /// Whom a packet reaches: through a NAT, or because nothing is between. An address behind a NAT is known at its site only.
    fn reached(&mut self, packet: &Packet) -> Option<usize> {
        let now = self.now;
        if let Some(who) = self.ends.iter().position(|end| end.in_vpn == Some(packet.to)) {
            return Some(who);
        }
        if let Some(nat) = self.sites.iter_mut().find(|nat| nat.outside() == packet.to.ip()) {
            let inner = nat.inbound(now, packet.from, packet.to.port())?;
            return self.ends.iter().position(|end| end.address == inner);
        }
        let who = self.ends.iter().position(|end| end.address == packet.to)?;
        let (end, other) = (&self.ends[who], &self.ends[1 - who]);
        let is_near = end.site == other.site && packet.from == other.address && !self.isolated;
        (end.site.is_none() || is_near).then_some(who)
    }

    fn pass_to_edge(&mut self, packet: &Packet) {
        if let Some((port, _)) = self.relayed.iter().find(|(_, relayed)| **relayed == packet.to) {
            self.edge.handle_peer_data(self.now, *port, packet.from, &packet.bytes);
            return;
        }
        let (transport, connection) = match packet.stream {
            None => (relay::Transport::Udp, 0),
            Some((Relaying::Tls, _)) => (relay::Transport::Tls, 2),
            Some(_) => (relay::Transport::Tcp, 1),
        };
        let flow = Flow { listener: 0, transport, connection, local: packet.to, remote: packet.from };
        if let Some((_, stream)) = packet.stream {
            self.streams.insert(flow, stream);
        }
        self.edge.handle_input(self.now, flow, &packet.bytes);
    }

    pub fn drain(&mut self) {
        for who in 0..2 {
            while let Some(output) = self.ends[who].agent.poll_output() {
                self.done(who, output);
            }
        }
        while let Some(output) = self.edge.poll_output() {
            self.done_by_edge(output);
        }
    }

    fn done(&mut self, who: usize, output: Output) {
        let (now, end) = (self.now, &mut self.ends[who]);
        match output {
            Output::Transmit { via, to, bytes } => {
                let stream = match via {
                    Via::Port(_) => None,
                    Via::Stream(stream) => {
                        let how = if to.port() == 443 { Relaying::Tcp } else { Relaying::Tls };
                        Some((how, stream))
                    }
                };
                let begins = |at: &SocketAddr| match (via, component(Some(end.address), *at)) {
                    (Via::Port(port), Component::Rtcp) => port.component == Component::Rtcp,
                    (Via::Port(port), Component::Rtp) => port.ip == Some(at.ip()),
                    (Via::Stream(_), _) => false,
                };
                let in_vpn = end.in_vpn.filter(begins);
                let mut packet = Packet { from: in_vpn.unwrap_or(end.address), to, stream, bytes };
                if (end.blocked)(&packet) {
                    return;
                }
                let (from, other) = (end.site, &self.ends[1 - who]);
                let is_near = in_vpn.is_some() || (from == other.site && packet.to == other.address);
                if let Some(nat) = from.filter(|_| !is_near).and_then(|site| self.sites.get_mut(site)) {
                    packet.from = nat.outbound(now, packet.from, packet.to);
                }
                self.send(packet);
            }
            Output::Event(Event::Gathered(candidates)) => end.candidates = Some(candidates),
            Output::Event(Event::Chosen(path)) => end.chosen.push((now, path)),
            Output::Event(event) => end.events.push((now, event)),
            Output::Connect { .. } | Output::Close(_) => {}
        }
    }

    fn done_by_edge(&mut self, output: relay::Output) {
        match output {
            relay::Output::Transmit { flow, bytes, .. } | relay::Output::ToClient { flow, bytes, .. } => {
                let stream = self.streams.get(&flow).map(|stream| (Relaying::Tcp, *stream));
                self.send(Packet { from: flow.local, to: flow.remote, stream, bytes });
            }
            relay::Output::ToPeer { port, peer, bytes, .. } => {
                let from = self.relayed[&port];
                self.send(Packet { from, to: peer, stream: None, bytes });
            }
            relay::Output::Open(wish) => {
                let number = 50_000 + self.relayed.len() as u16;
                let (port, relayed) = (PortId(number.into()), SocketAddr::new(EDGE.parse().unwrap(), number));
                self.relayed.insert(port, relayed);
                let opened = Request::Opened { wish: wish.id, port, relayed, next: None };
                self.edge.handle_request(self.now, opened);
            }
            _ => {}
        }
    }

    fn send(&mut self, packet: Packet) {
        self.sent += 1;
        let (most, random) = &mut self.jitter;
        let later = Duration::from_millis(u64::from(random.u32() % (*most + 1)));
        self.queue.insert((self.now + DELAY + later, self.sent), packet);
    }

    /// A packet of media each way arrives.
    pub fn assert_talks(&mut self) {
        for who in 0..2 {
            let packet = [0x80, 0, who as u8, 7];
            assert!(self.ends[who].agent.send(Component::Rtp, &packet));
            self.drain();
            let heard = |world: &World| world.ends[1 - who].heard.contains(&packet.to_vec());
            let late = DELAY * 4 + Duration::from_millis(u64::from(self.jitter.0)) * 4;
            assert!(self.run(late, heard), "end {who} was not heard");
        }
    }
}

pub fn nothing(_: &Packet) -> bool {
    false
}
