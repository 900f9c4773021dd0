//! Two agents and the Front End in one virtual time: they sign in, are provisioned, call; on UDP messages get lost.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod agent;
mod support;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use agent::{ANSWER, OFFER, settings};
use carillon_qos::TrafficClass;
use carillon_signaling::agent::{
    Agent, CallKey, Ending, Event, Output, Password, Recovery, Request, Settings,
};
use carillon_signaling::{Destination, FrontEnd, Limits, Output as FrontOutput, provisioning};
use carillon_wire::sip::{Flow, Transport};
use proptest::prelude::*;
use support::House;

const SECOND: Duration = Duration::from_secs(1);
const ALICE: usize = 0;
const BOB: usize = 1;

/// What bob does when it rings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    Answers,
    Refuses,
    LetsItRing,
}

/// Two phones, and perhaps a Front End between them.
struct World {
    house: Option<House>,
    phones: Vec<Phone>,
    now: Duration,
    /// Messages on their way: when they arrive, from whom, to whom.
    wire: VecDeque<(Duration, Flow, Place, Vec<u8>)>,
    mood: Mood,
    loss: Loss,
}

struct Phone {
    agent: Agent,
    address: SocketAddr,
    transport: Transport,
    /// The number of its connection.
    connection: u64,
    events: Vec<Event>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Front,
    Phone(usize),
}

/// So many of a hundred messages get lost, and every message takes up to 200 ms.
struct Loss {
    percent: u64,
    state: u64,
}

impl Loss {
    fn draw(&mut self) -> u64 {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.state >> 33
    }

    fn fate(&mut self, transport: Transport) -> Option<Duration> {
        if transport.is_stream() || self.percent == 0 {
            return Some(Duration::from_millis(1));
        }
        let lost = self.draw() % 100 < self.percent;
        let delay = Duration::from_millis(self.draw() % 200);
        (!lost).then_some(delay)
    }
}

impl World {
    fn new(transport: Transport) -> World {
        let house = House::with(Limits::default());
        let now = house.now;
        let port = if transport == Transport::Tls { 5061 } else { 5060 };
        let server = SocketAddr::from(([192, 0, 2, 1], port));
        let phone = |name: &str, host: u8| {
            let address = SocketAddr::from(([198, 51, 100, host], 5060));
            let settings =
                Settings { server, local: address, provisioning: true, ..settings(name, transport) };
            Phone::new(settings, host)
        };
        let phones = vec![phone("alice", 1), phone("bob", 2)];
        World::of(Some(house), phones, now)
    }

    /// Two phones that know only each other.
    fn without_front_end(transport: Transport) -> World {
        let [alice, bob] = [1, 2].map(|host| SocketAddr::from(([198, 51, 100, host], 5060)));
        let phone = |name: &str, local: SocketAddr, server, host| {
            Phone::new(Settings { server, local, ..settings(name, transport) }, host)
        };
        let phones = vec![phone("alice", alice, bob, 1), phone("bob", bob, alice, 2)];
        World::of(None, phones, Duration::from_secs(1_800_000_000))
    }

    fn of(house: Option<House>, phones: Vec<Phone>, now: Duration) -> World {
        let loss = Loss { percent: 0, state: 1 };
        World { house, phones, now, wire: VecDeque::new(), mood: Mood::Answers, loss }
    }

    fn ask(&mut self, phone: usize, request: Request) {
        self.phones[phone].agent.handle_request(self.now, request);
        self.drain();
    }

    fn sign_in(&mut self) {
        for phone in [ALICE, BOB] {
            self.ask(phone, Request::SignIn);
        }
        let signed_in =
            |phone: &Phone| phone.events.iter().any(|event| matches!(event, Event::SignedIn { .. }));
        for _ in 0..1000 {
            self.pass(SECOND);
            if self.phones.iter().all(signed_in) {
                return;
            }
        }
        panic!("not signed in: {:?}", self.phones.iter().map(|phone| &phone.events).collect::<Vec<_>>());
    }

    fn call(&mut self) -> CallKey {
        self.ask(ALICE, Request::Call { to: "bob@example.com".to_owned(), offer: OFFER.to_vec() });
        let calling = |event: &Event| match event {
            Event::Calling { call, .. } => Some(*call),
            _ => None,
        };
        self.phones[ALICE].events.iter().find_map(calling).unwrap()
    }

    /// Everything that is due within the time, in its order.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.drain();
        while let Some(at) = self.next().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            while let Some(index) = self.wire.iter().position(|(at, ..)| *at <= self.now) {
                let (_, flow, place, bytes) = self.wire.remove(index).unwrap();
                self.deliver(flow, place, &bytes);
                self.drain();
            }
            for phone in &mut self.phones {
                phone.agent.handle_timeout(self.now);
            }
            if let Some(house) = &mut self.house {
                house.now = self.now;
                house.front.handle_timeout(self.now);
            }
            self.drain();
        }
        self.now = until;
    }

    fn next(&self) -> Option<Duration> {
        let wire = self.wire.iter().map(|(at, ..)| *at);
        let phones = self.phones.iter().filter_map(|phone| phone.agent.poll_timeout());
        let front = self.house.iter().filter_map(|house| house.front.poll_timeout());
        wire.chain(phones).chain(front).min()
    }

    fn deliver(&mut self, flow: Flow, place: Place, bytes: &[u8]) {
        match place {
            Place::Front => self.front().handle_input(flow, bytes),
            Place::Phone(phone) => self.phones[phone].agent.handle_input(self.now, flow, bytes),
        }
    }

    fn front(&mut self) -> Front<'_> {
        Front { front: &mut self.house.as_mut().unwrap().front, now: self.now }
    }

    fn drain(&mut self) {
        for at in [ALICE, BOB] {
            while let Some(output) = self.phones[at].agent.poll_output() {
                match output {
                    Output::Transmit(transmit) => self.leave(at, transmit.bytes),
                    Output::Event(event) => self.happened(at, event),
                }
            }
        }
        let mut sent = Vec::new();
        if let Some(house) = &mut self.house {
            while let Some(output) = house.front.poll_output() {
                if let FrontOutput::Transmit(transmit) = output {
                    sent.push(transmit);
                }
            }
        }
        for transmit in sent {
            let (Destination::Flow(Flow { remote, .. }) | Destination::Address { remote, .. }) = transmit.to;
            let at = self.phones.iter().position(|phone| phone.address == remote).unwrap();
            let phone = &self.phones[at];
            let flow = Flow { local: remote, remote: self.server(phone.transport), ..phone.flow() };
            self.send(flow, Place::Phone(at), transmit.bytes);
        }
    }

    fn server(&self, transport: Transport) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], if transport == Transport::Tls { 5061 } else { 5060 }))
    }

    /// A message leaves a phone: for the Front End, or without one for the other phone.
    fn leave(&mut self, from: usize, bytes: Vec<u8>) {
        let phone = &self.phones[from];
        if self.house.is_none() {
            let other = 1 - from;
            let flow = Flow { local: self.phones[other].address, remote: phone.address, ..phone.flow() };
            return self.send(flow, Place::Phone(other), bytes);
        }
        let flow = Flow { local: self.server(phone.transport), remote: phone.address, ..phone.flow() };
        self.send(flow, Place::Front, bytes);
    }

    fn send(&mut self, flow: Flow, place: Place, bytes: Vec<u8>) {
        if let Some(delay) = self.loss.fate(flow.transport) {
            self.wire.push_back((self.now + delay, flow, place, bytes));
        }
    }

    fn happened(&mut self, at: usize, event: Event) {
        if let Event::Incoming { call, .. } = &event {
            let (call, now) = (*call, self.now);
            let agent = &mut self.phones[at].agent;
            agent.handle_request(now, Request::Ring(call));
            match self.mood {
                Mood::Answers => agent.handle_request(now, Request::Answer { call, sdp: ANSWER.to_vec() }),
                Mood::Refuses => {
                    let warning = Some("no port is left".to_owned());
                    agent.handle_request(now, Request::Reject { call, code: 486, warning });
                }
                Mood::LetsItRing => {}
            }
        }
        self.phones[at].events.push(event);
    }

    /// Every call that was told has ended once, and nothing is left of it anywhere.
    fn assert_over(&mut self) {
        for phone in &self.phones {
            let begun = phone
                .events
                .iter()
                .filter(|event| matches!(event, Event::Calling { .. } | Event::Incoming { .. }));
            let ended = phone.events.iter().filter(|event| matches!(event, Event::Ended { .. }));
            assert_eq!(begun.count(), ended.count(), "{:#?}", phone.events);
        }
        if let Some(house) = &self.house {
            house.assert_quiet();
            // A 2xx that comes after the BYE, as only UDP has it, is counted as a call until it has been silent for long.
            let late = self.loss.percent > 0;
            assert!(late || house.front.counts().calls == 0);
        }
    }

    fn endings<'a>(&'a self, phone: usize) -> Vec<&'a Ending> {
        let ending = |event: &'a Event| if let Event::Ended { why, .. } = event { Some(why) } else { None };
        self.phones[phone].events.iter().filter_map(ending).collect()
    }
}

/// The Front End at a moment.
struct Front<'a> {
    front: &'a mut FrontEnd,
    now: Duration,
}

impl Front<'_> {
    fn handle_input(self, flow: Flow, bytes: &[u8]) {
        self.front.handle_input(self.now, flow, bytes);
    }
}

impl Phone {
    fn new(settings: Settings, host: u8) -> Phone {
        let (address, transport) = (settings.local, settings.transport);
        let agent = Agent::new(settings, [host; 32]);
        Phone { agent, address, transport, connection: u64::from(host), events: Vec::new() }
    }

    fn flow(&self) -> Flow {
        // All of UDP is one socket of the Front End.
        let id = if self.transport.is_stream() { self.connection } else { 1 };
        Flow { transport: self.transport, id, local: self.address, remote: self.address }
    }
}

#[test]
fn over_every_transport_a_call_is_answered_and_ended_from_either_side() {
    for transport in Transport::ALL.into_iter().filter(|transport| !transport.is_web()) {
        for who in [ALICE, BOB] {
            let mut world = World::new(transport);
            world.sign_in();
            let call = world.call();
            world.pass(SECOND);
            let events = &world.phones[ALICE].events;
            assert!(events.contains(&Event::Progress { call, code: 180, sdp: None }), "{events:?}");
            assert!(events.contains(&Event::Answered { call, sdp: Some(ANSWER.to_vec()) }), "{events:?}");
            let taken = world.phones[BOB].events.iter().find_map(|event| match event {
                Event::Incoming { call, from, offer, .. } => {
                    assert_eq!((from.as_str(), offer.as_deref()), ("sip:alice@example.com", Some(OFFER)));
                    Some(*call)
                }
                _ => None,
            });
            let taken = taken.unwrap();
            assert!(world.phones[BOB].events.contains(&Event::Answered { call: taken, sdp: None }));
            world.ask(who, Request::HangUp(if who == ALICE { call } else { taken }));
            world.pass(60 * SECOND);
            assert_eq!(world.endings(who), [&Ending::HungUp]);
            assert_eq!(world.endings(1 - who), [&Ending::RemoteHungUp { reason: None }]);
            world.assert_over();
        }
    }
}

#[test]
fn the_document_of_the_plan_is_received_and_understood() {
    let mut world = World::new(Transport::Tls);
    world.sign_in();
    for phone in &world.phones {
        let document = phone.events.iter().find_map(|event| match event {
            Event::Provisioned(document) => Some(String::from_utf8(document.clone()).unwrap()),
            _ => None,
        });
        let plan = provisioning::parse(&document.unwrap()).unwrap();
        assert_eq!(plan.source.as_ref().unwrap().plan, "lync");
        assert!(plan.class(TrafficClass::Audio).is_some());
    }
}

#[test]
fn a_refusal_reaches_the_caller_with_its_warning() {
    let mut world = World::new(Transport::Tcp);
    world.mood = Mood::Refuses;
    world.sign_in();
    world.call();
    world.pass(60 * SECOND);
    let [Ending::Refused(why)] = world.endings(ALICE)[..] else { panic!("{:?}", world.endings(ALICE)) };
    assert_eq!(why.code, 486);
    assert!(why.warning.as_ref().unwrap().contains("no port is left"), "{why:?}");
    world.assert_over();
}

#[test]
fn a_caller_who_gives_up_stops_the_ringing() {
    for transport in Transport::ALL.into_iter().filter(|transport| !transport.is_web()) {
        let mut world = World::new(transport);
        world.mood = Mood::LetsItRing;
        world.sign_in();
        let call = world.call();
        world.pass(5 * SECOND);
        world.ask(ALICE, Request::HangUp(call));
        world.pass(60 * SECOND);
        assert_eq!(world.endings(ALICE), [&Ending::HungUp]);
        assert!(matches!(world.endings(BOB)[..], [Ending::RemoteHungUp { .. }]));
        world.assert_over();
    }
}

#[test]
fn a_wrong_password_is_refused_and_not_tried_again() {
    let mut world = World::new(Transport::Udp);
    let local = world.phones[ALICE].address;
    let password = Password("wrong".to_owned());
    let settings = Settings { local, password, ..settings("alice", Transport::Udp) };
    world.phones[ALICE] = Phone::new(settings, 1);
    world.ask(ALICE, Request::SignIn);
    world.pass(600 * SECOND);
    let [Event::NotSignedIn { why, retry: None }] = &world.phones[ALICE].events[..] else {
        panic!("{:?}", world.phones[ALICE].events)
    };
    assert!(matches!(why.code, 401 | 403), "{why}");
}

#[test]
fn after_its_connection_broke_a_phone_is_found_again() {
    let mut world = World::new(Transport::Tls);
    world.sign_in();
    let bob = &mut world.phones[BOB];
    let flow = Flow { remote: SocketAddr::from(([192, 0, 2, 1], 5061)), ..bob.flow() };
    bob.agent.handle_closed(world.now, flow);
    let old = Flow { local: flow.remote, remote: bob.address, ..flow };
    bob.connection = 7;
    world.house.as_mut().unwrap().front.handle_closed(world.now, old);
    world.drain();
    world.pass(Recovery::default().base);
    let call = world.call();
    world.pass(SECOND);
    assert!(world.phones[ALICE].events.contains(&Event::Answered { call, sdp: Some(ANSWER.to_vec()) }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever gets lost: in the end both sides have ended, and the Front End has forgotten.
    #[test]
    fn whatever_gets_lost_both_sides_end(
        seed: u64,
        percent in 0u64..30,
        mood in prop_oneof![Just(Mood::Answers), Just(Mood::Refuses), Just(Mood::LetsItRing)],
        after in 0u64..20_000,
        through in any::<bool>(),
    ) {
        let mut world = match through {
            true => World::new(Transport::Udp),
            false => World::without_front_end(Transport::Udp),
        };
        world.loss = Loss { percent, state: seed };
        world.mood = mood;
        if through {
            world.sign_in();
        }
        let call = world.call();
        world.pass(Duration::from_millis(after));
        world.ask(ALICE, Request::HangUp(call));
        world.pass(400 * SECOND);
        world.assert_over();
    }
}
