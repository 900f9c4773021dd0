//! A phone in the virtual network: Carillon's own user agent, and one leg of media while a call is up.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_media::codec::{Codec, FRAME};
use carillon_media::leg::{Component, Config, Leg, Output as Media};
use carillon_media::negotiate::{Local, Negotiation, Wishes};
use carillon_qos::plan::{RolePolicy, Scope};
use carillon_qos::{Plan, PortRange, Role, TrafficClass};
use carillon_signaling::agent::{Agent, CallKey, Event, Output, Password, Recovery, Request, Settings};
use carillon_wire::ip::Dscp;
use carillon_wire::sdp::Direction;
use carillon_wire::sip::{Flow, Transport};

use crate::random::Random;
use crate::world::Datagram;

/// A phone that answers every call.
pub struct Phone {
    agent: Agent,
    local: SocketAddr,
    server: SocketAddr,
    policy: RolePolicy,
    random: Random,
    next_port: u16,
    /// Offers that wait for their call's key, and negotiations of calls that have one.
    offered: VecDeque<(Negotiation, SocketAddr)>,
    calls: BTreeMap<CallKey, Call>,
    now: Duration,
    outbox: VecDeque<Datagram>,
    /// Everything that the agent told, in order.
    pub events: Vec<Event>,
}

struct Call {
    negotiation: Negotiation,
    rtp: SocketAddr,
    leg: Option<Leg>,
}

impl Phone {
    /// A phone of `aor` at `address` that signs in at `server`.
    pub fn new(
        aor: &str,
        password: &str,
        address: IpAddr,
        server: SocketAddr,
        plan: &Plan,
        random: &mut Random,
    ) -> Phone {
        let local = SocketAddr::new(address, 5060);
        let settings = Settings {
            aor: aor.to_owned(),
            password: Password(password.to_owned()),
            transport: Transport::Udp,
            server,
            local,
            instance: format!("urn:uuid:00000000-0000-4000-8000-{:012x}", random.below(1 << 48)),
            user_agent: "Carillon sim".to_owned(),
            expires: 600,
            provisioning: true,
            recovery: Recovery { base: Duration::from_secs(1), max: Duration::from_secs(30) },
            calls: 2,
        };
        Phone {
            agent: Agent::new(settings, random.seed()),
            local,
            server,
            policy: plan.policy(Role::Client, &Scope::default()),
            random: Random::new(random.bits()),
            next_port: 0,
            offered: VecDeque::new(),
            calls: BTreeMap::new(),
            now: Duration::ZERO,
            outbox: VecDeque::new(),
            events: Vec::new(),
        }
    }

    /// Does what the user wants.
    pub fn request(&mut self, now: Duration, request: Request) {
        self.now = now;
        self.agent.handle_request(now, request);
        self.drain();
    }

    /// Calls somebody with an offer of the phone's own.
    pub fn call(&mut self, now: Duration, to: &str) {
        let (mut negotiation, rtp) = self.negotiation();
        let offer = negotiation.offer(Direction::SendRecv).into_bytes();
        self.offered.push_back((negotiation, rtp));
        self.request(now, Request::Call { to: to.to_owned(), offer });
    }

    /// Ends every call.
    pub fn hang_up(&mut self, now: Duration) {
        let calls: Vec<CallKey> = self.calls.keys().copied().collect();
        for call in calls {
            self.request(now, Request::HangUp(call));
        }
    }

    /// RTP packets heard in the calls that are up.
    pub fn heard(&self) -> u64 {
        let legs = self.calls.values().filter_map(|call| call.leg.as_ref());
        legs.map(|leg| leg.report().rtp.marks.values().sum::<u64>()).sum()
    }

    /// Calls that it knows of.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    pub(crate) const fn address(&self) -> IpAddr {
        self.local.ip()
    }

    pub(crate) fn receive(&mut self, now: Duration, mut datagram: Datagram) {
        self.now = now;
        if datagram.to == self.local {
            let flow = Flow { transport: Transport::Udp, id: 1, local: self.local, remote: datagram.from };
            self.agent.handle_input(now, flow, &datagram.bytes);
        } else if let Some(leg) = self.leg_at(datagram.to) {
            leg.handle_rtp(now, datagram.from, &mut datagram.bytes, datagram.mark);
        }
        self.drain();
    }

    pub(crate) fn timeout(&mut self, now: Duration) {
        self.now = now;
        if self.agent.poll_timeout().is_some_and(|at| at <= now) {
            self.agent.handle_timeout(now);
        }
        for leg in self.calls.values_mut().filter_map(|call| call.leg.as_mut()) {
            if leg.poll_timeout().is_none_or(|at| at <= now) {
                leg.tick(now, Some(&[0; FRAME]));
            }
        }
        self.drain();
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let legs = self.calls.values().filter_map(|call| call.leg.as_ref());
        legs.filter_map(Leg::poll_timeout).chain(self.agent.poll_timeout()).min()
    }

    pub(crate) fn poll_datagram(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }

    fn leg_at(&mut self, local: SocketAddr) -> Option<&mut Leg> {
        self.calls.values_mut().find(|call| call.rtp == local)?.leg.as_mut()
    }

    /// The next port of the range; RTP and RTCP share it.
    fn negotiation(&mut self) -> (Negotiation, SocketAddr) {
        let range = self.policy.ports(TrafficClass::Audio).unwrap_or(PortRange::UNRESTRICTED);
        let port = range.start() + self.next_port % u16::try_from(range.count()).unwrap_or(u16::MAX);
        self.next_port = self.next_port.wrapping_add(1);
        let rtp = SocketAddr::new(self.local.ip(), port);
        // The cheapest codec: a run is about packets, not about sound.
        let wishes = Wishes { codecs: vec![Codec::Pcmu], ..Wishes::default() };
        (Negotiation::new(wishes, Local { rtp, rtcp: None }, &self.random.seed()), rtp)
    }

    fn drain(&mut self) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    self.send(self.local, self.server, transmit.class, transmit.bytes)
                }
                Output::Event(event) => {
                    self.happened(&event);
                    self.events.push(event);
                }
            }
        }
        let mut packets = Vec::new();
        for call in self.calls.values_mut() {
            let Some(leg) = &mut call.leg else { continue };
            while let Some(output) = leg.poll_output() {
                if let Media::Transmit(transmit) = output {
                    debug_assert_eq!(transmit.component, Component::Rtp);
                    packets.push((call.rtp, transmit));
                }
            }
        }
        for (from, packet) in packets {
            self.send(from, packet.to, packet.class, packet.bytes);
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, class: TrafficClass, bytes: Vec<u8>) {
        let mark: Dscp = self.policy.mark(class);
        self.outbox.push_back(Datagram { from, to, mark, bytes });
    }

    fn happened(&mut self, event: &Event) {
        match event {
            Event::Calling { call, .. } => {
                if let Some((negotiation, rtp)) = self.offered.pop_front() {
                    self.calls.insert(*call, Call { negotiation, rtp, leg: None });
                }
            }
            Event::Incoming { call, offer: Some(offer), .. } => self.take(*call, offer),
            Event::Answered { call, sdp: Some(answer) } => self.join(*call, answer),
            Event::Ended { call, .. } => _ = self.calls.remove(call),
            _ => {}
        }
    }

    fn take(&mut self, key: CallKey, offer: &[u8]) {
        let (mut negotiation, rtp) = self.negotiation();
        let Ok((answer, agreed)) = negotiation.answer(offer, Direction::SendRecv) else {
            return self
                .agent
                .handle_request(self.now, Request::Reject { call: key, code: 488, warning: None });
        };
        let leg = self.leg(agreed);
        self.calls.insert(key, Call { negotiation, rtp, leg });
        self.agent.handle_request(self.now, Request::Ring(key));
        self.agent.handle_request(self.now, Request::Answer { call: key, sdp: answer.into_bytes() });
    }

    fn join(&mut self, key: CallKey, answer: &[u8]) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Ok(agreed) = call.negotiation.accept(answer) else {
            return self.agent.handle_request(self.now, Request::HangUp(key));
        };
        let leg = self.leg(agreed);
        if let Some(call) = self.calls.get_mut(&key) {
            call.leg = leg;
        }
    }

    fn leg(&mut self, agreed: carillon_media::negotiate::Agreed) -> Option<Leg> {
        let mut leg = Leg::new(Config {
            agreed,
            class: TrafficClass::Audio,
            mark: self.policy.mark(TrafficClass::Audio),
            cname: "sim".to_owned(),
            seed: self.random.seed(),
        })?;
        leg.tick(self.now, Some(&[0; FRAME]));
        Some(leg)
    }
}
