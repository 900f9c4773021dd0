//! Two legs and a network between them, in virtual time: what is lost, late, doubled or overtaken is decided by a seed.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use carillon_media::codec::Frame;
use carillon_media::leg::{Component, Config, Event, Leg, Output, TICK, Transmit};
use carillon_media::negotiate::{Agreed, Encryption, Local, Negotiation, Wishes};
use carillon_media::random::Random;
use carillon_qos::TrafficClass;
use carillon_wire::ip::Dscp;
use carillon_wire::sdp::Direction;

/// One way through the network.
pub struct Path {
    pub delay: Duration,
    /// Added to the delay of each packet, evenly up to this: packets overtake each other.
    pub jitter: Duration,
    /// Packets lost and doubled, per thousand.
    pub lost: u32,
    pub doubled: u32,
    pub mark: Dscp,
    /// Done to each packet.
    pub spoil: fn(&mut Vec<u8>),
    random: Random,
    flying: BTreeMap<(Duration, u64), (Component, Vec<u8>)>,
    count: u64,
}

impl Path {
    pub fn clean(seed: u8) -> Path {
        Path {
            delay: Duration::from_millis(25),
            jitter: Duration::ZERO,
            lost: 0,
            doubled: 0,
            mark: Dscp::EF,
            spoil: |_| {},
            random: Random::new(&[seed; 32], *b"network!"),
            flying: BTreeMap::new(),
            count: 0,
        }
    }

    fn take(&mut self, now: Duration, packet: Transmit) {
        let mut chance = |permille: u32| self.random.u32() % 1000 < permille;
        let copies = if chance(self.lost) { 0 } else { 1 + u32::from(chance(self.doubled)) };
        for _ in 0..copies {
            let share = f64::from(self.random.u32()) / f64::from(u32::MAX);
            let mut bytes = packet.bytes.clone();
            (self.spoil)(&mut bytes);
            let at = now + self.delay + self.jitter.mul_f64(share);
            self.flying.insert((at, self.count), (packet.component, bytes));
            self.count += 1;
        }
    }

    fn arrived(&mut self, now: Duration) -> Vec<(Duration, Component, Vec<u8>)> {
        let later = self.flying.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut self.flying, later);
        due.into_iter().map(|((at, _), (component, bytes))| (at, component, bytes)).collect()
    }
}

/// One end with all that it heard.
pub struct End {
    pub leg: Leg,
    pub address: SocketAddr,
    pub path: Path,
    pub heard: Vec<i16>,
    pub events: Vec<Event>,
    pub sent: Vec<Transmit>,
}

impl End {
    pub fn new(agreed: Agreed, port: u16, path: Path) -> End {
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&port.to_be_bytes());
        let cname = format!("{port:032x}");
        let config = Config { agreed, class: TrafficClass::Audio, mark: Dscp::EF, cname, seed };
        End {
            leg: Leg::new(config).unwrap(),
            address: address(port),
            path,
            heard: Vec::new(),
            events: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn drain(&mut self, now: Duration) {
        while let Some(output) = self.leg.poll_output() {
            match output {
                Output::Event(event) => self.events.push(event),
                Output::Transmit(packet) => {
                    self.sent.push(packet.clone());
                    self.path.take(now, packet);
                }
            }
        }
    }

    pub fn receive(
        &mut self,
        at: Duration,
        component: Component,
        from: SocketAddr,
        mut bytes: Vec<u8>,
        mark: Dscp,
    ) {
        match component {
            Component::Rtp => self.leg.handle_rtp(at, from, &mut bytes, mark),
            Component::Rtcp => self.leg.handle_rtcp(at, from, &mut bytes, mark),
        }
        self.drain(at);
    }
}

pub fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, (port % 200) as u8], port))
}

/// Caller and callee of an answered call.
pub struct Call {
    pub now: Duration,
    pub caller: End,
    pub callee: End,
}

pub fn negotiation(wishes: &Wishes, port: u16) -> Negotiation {
    let mut seed = [1; 32];
    seed[..2].copy_from_slice(&port.to_be_bytes());
    Negotiation::new(wishes.clone(), Local { rtp: address(port), rtcp: Some(port + 1) }, &seed)
}

pub fn plain(wishes: Wishes) -> Wishes {
    Wishes { encryption: Encryption::Off, ..wishes }
}

impl Call {
    pub fn new(wishes: &Wishes, forth: Path, back: Path) -> Call {
        let (mut caller, mut callee) = (negotiation(wishes, 50_000), negotiation(wishes, 50_020));
        let (answer, there) =
            callee.answer(caller.offer(Direction::SendRecv).as_bytes(), Direction::SendRecv).unwrap();
        let here = caller.accept(answer.as_bytes()).unwrap();
        Call {
            now: Duration::from_secs(1_800_000_000),
            caller: End::new(here, 50_000, forth),
            callee: End::new(there, 50_020, back),
        }
    }

    /// Speaks frame by frame, then listens on for `after` frames.
    pub fn talk(&mut self, caller: &[Frame], callee: &[Frame], after: usize) {
        for at in 0..caller.len().max(callee.len()) + after {
            self.tick(caller.get(at), callee.get(at));
        }
    }

    pub fn tick(&mut self, caller: Option<&Frame>, callee: Option<&Frame>) {
        self.deliver();
        for (end, speech) in [(&mut self.caller, caller), (&mut self.callee, callee)] {
            let frame = end.leg.tick(self.now, speech);
            end.heard.extend(frame);
            end.drain(self.now);
        }
        self.now += TICK;
    }

    fn deliver(&mut self) {
        let (there, here) = (self.caller.path.arrived(self.now), self.callee.path.arrived(self.now));
        for (at, component, bytes) in there {
            self.callee.receive(at, component, self.caller.address, bytes, self.caller.path.mark);
        }
        for (at, component, bytes) in here {
            self.caller.receive(at, component, self.callee.address, bytes, self.callee.path.mark);
        }
    }
}
