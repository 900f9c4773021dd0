//! The agent: gathers, checks, chooses, and keeps asking.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::candidate::{Candidate, reflexive_priority};
use super::check::Check;
use super::checklist::{Asked, Checklist, State};
use super::consent::Chosen;
use super::description::{Credentials, Description, Session};
use super::gather::Gathering;
use super::inbound::Early;
use super::{Base, Config, Counts, Event, Media, Missing, Output, Path, Port, Stream, TA, Via};
use crate::leg::Component;
use crate::random::Random;

/// How long relays that nobody needs are kept after a way was chosen (RFC 8445, 8.3).
const KEEP: Duration = Duration::from_secs(3);
/// How long a peer that none of our pairs reaches may reach us.
const HOPE: Duration = Duration::from_secs(10);

/// One end of one session.
#[derive(Debug)]
pub struct Agent {
    pub(super) local: Credentials,
    pub(super) remote: Option<Description>,
    pub(super) controlling: bool,
    pub(super) tie_breaker: u64,
    pub(super) random: Random,
    pub(super) gathering: Gathering,
    pub(super) list: Checklist,
    /// Checks that came before the description of who sent them.
    pub(super) early: Vec<Early>,
    pub(super) chosen: BTreeMap<Component, Chosen>,
    /// Those whose pairs of this session have not led to a choice yet, with the time when the first one was valid.
    pub(super) open: BTreeMap<Component, Option<Duration>>,
    pub(super) counts: Counts,
    /// The ways that media takes until one is chosen: the first that worked, since hopping between ways is heard.
    first: BTreeMap<Component, (Base, SocketAddr)>,
    outputs: VecDeque<Output>,
    /// Before this no new check is sent.
    paced: Duration,
    /// Until when a peer that none of our pairs reaches may still reach us.
    hope: Option<Duration>,
    /// When what is not needed is given back.
    free_at: Option<Duration>,
}

impl Agent {
    /// An agent that asks its relays at once.
    pub fn new(config: &Config, now: Duration) -> Agent {
        let mut random = Random::new(&config.seed, *b"iceagent");
        let mut agent = Agent {
            local: config.credentials.clone(),
            remote: None,
            controlling: true,
            tie_breaker: u64::from_be_bytes(random.bytes()),
            random,
            gathering: Gathering::new(config, now),
            list: Checklist::default(),
            early: Vec::new(),
            chosen: BTreeMap::new(),
            open: BTreeMap::new(),
            counts: Counts::default(),
            first: BTreeMap::new(),
            outputs: VecDeque::new(),
            paced: now,
            hope: None,
            free_at: None,
        };
        agent.gather(now);
        agent
    }

    /// Offer and answer came to this: checks begin. With credentials of ours that are new, they begin anew, and media
    /// keeps its way until there is another (RFC 8445, 9). Without `rtcp`, RTCP goes with RTP.
    pub fn agree(&mut self, now: Duration, session: Session, rtcp: bool) {
        let theirs = self.remote.as_ref().map(|remote| &remote.credentials);
        if session.local == self.local && theirs == Some(&session.remote.credentials) {
            return;
        }
        if !rtcp {
            self.retire(now, Component::Rtcp);
        }
        self.local = session.local;
        self.controlling = session.controlling;
        self.list = Checklist::default();
        self.open = self.gathering.ports.iter().map(|(component, _)| (*component, None)).collect();
        (self.hope, self.paced, self.free_at) = (Some(now + HOPE), now, None);
        for (base, local) in self.gathering.bases() {
            for remote in
                session.remote.candidates.iter().filter(|remote| remote.component == local.component)
            {
                self.list.add(base, local, *remote);
            }
        }
        self.list.thaw(self.controlling);
        self.remote = Some(session.remote);
        self.permit_all(now);
        std::mem::take(&mut self.early).into_iter().for_each(|early| self.replay(now, &early));
        self.check(now);
    }

    /// A datagram came to a port. Media is given back.
    pub fn handle_datagram<'a>(
        &mut self,
        now: Duration,
        port: impl Into<Port>,
        from: SocketAddr,
        bytes: &'a [u8],
    ) -> Option<Media<'a>> {
        let Port { component, ip } = port.into();
        let of = |relay: &super::gather::Relay| {
            relay.component == component && !relay.relaying.is_stream() && relay.server == from
        };
        let media = match self.gathering.relays.iter().position(|relay| of(relay) && relay.is_begun()) {
            Some(at) => self.handle_relayed(now, at, bytes),
            None => {
                let base = self.gathering.base(component, ip);
                base.and_then(|base| self.handle_packet(now, base, from, bytes))
            }
        };
        self.check(now);
        media
    }

    /// Bytes came by a connection to a relay. Media is shown to `see`.
    pub fn handle_stream(
        &mut self,
        now: Duration,
        stream: Stream,
        bytes: &[u8],
        see: &mut dyn FnMut(Media<'_>),
    ) {
        let Some(relay) = self.gathering.relays.get_mut(stream.0) else { return };
        relay.frames.push(bytes);
        while let Some(frame) = self.gathering.relays.get_mut(stream.0).and_then(|relay| relay.frames.take())
        {
            if let Some(media) = self.handle_relayed(now, stream.0, &frame) {
                see(media);
            }
        }
        if self.gathering.relays.get(stream.0).is_some_and(|relay| relay.frames.is_lost()) {
            self.outputs.push_back(Output::Close(stream));
            self.handle_closed(now, stream);
        }
        self.check(now);
    }

    /// A connection to a relay did not come about, or has ended.
    pub fn handle_closed(&mut self, now: Duration, stream: Stream) {
        if let Some(relay) = self.gathering.relays.get_mut(stream.0) {
            relay.client.give_up();
        }
        for pair in self.list.pairs.iter_mut().filter(|pair| pair.base == Base::Relay(stream.0)) {
            (pair.state, pair.asked) = (State::Failed, None);
        }
        self.gather(now);
        self.conclude(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        for at in 0..self.gathering.relays.len() {
            if let Some(relay) = self.gathering.relays.get_mut(at) {
                relay.client.handle_timeout(now, &mut self.random);
            }
            self.drain_relay(at);
        }
        self.gather(now);
        self.repeat(now);
        self.keep_consent(now);
        self.hope.take_if(|until| now >= *until);
        if self.free_at.take_if(|at| now >= *at).is_some() {
            self.free(now);
        }
        self.conclude(now);
        self.check(now);
    }

    /// Sends a packet of media by the way that was chosen, or as long as there is none, by the first one that worked.
    /// `false` if there is no way.
    pub fn send(&mut self, component: Component, bytes: &[u8]) -> bool {
        let Some((base, to)) = self.way(component) else { return false };
        self.first.insert(component, (base, to));
        self.transmit(base, to, bytes);
        true
    }

    /// Whether media may be sent.
    pub fn has_way(&self, component: Component) -> bool {
        self.way(component).is_some()
    }

    /// The ways that were chosen.
    pub fn paths(&self) -> impl Iterator<Item = Path> + '_ {
        self.chosen.values().map(|chosen| chosen.path)
    }

    /// What is missing for a way, where none was found.
    pub fn missing(&self) -> Missing {
        let theirs = self.remote.as_ref().map_or(&[][..], |remote| &remote.candidates);
        Missing::of(&self.gathering.candidates(), theirs)
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The session is over: relays get back what they lent.
    pub fn end(&mut self, now: Duration) {
        self.chosen.clear();
        self.open.clear();
        self.list = Checklist::default();
        (0..self.gathering.relays.len()).for_each(|at| self.release(now, at));
    }

    /// What is to be done. To be called until there is nothing left.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Agent::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let relays = self.gathering.relays.iter().filter_map(|relay| relay.client.poll_timeout());
        let checks = self.list.pairs.iter().filter_map(|pair| Some(pair.asked.as_ref()?.due));
        let consent = self.chosen.values().map(Chosen::timeout);
        let next = self.list.has_next(|component| self.is_done(component)).then_some(self.paced);
        let times = relays.chain(checks).chain(consent).chain(self.choice());
        times.chain(next).chain(self.hope).chain(self.gathering.timeout()).chain(self.free_at).min()
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Sends from a base, which may be a relay.
    pub(super) fn transmit(&mut self, base: Base, to: SocketAddr, bytes: &[u8]) {
        match base {
            Base::Port(component, ip) => {
                let via = Via::Port(Port { component, ip: Some(ip) });
                self.outputs.push_back(Output::Transmit { via, to, bytes: bytes.to_vec() });
            }
            Base::Relay(at) => {
                let Some(relay) = self.gathering.relays.get(at) else { return };
                if let Some(bytes) = relay.client.wrap(&mut self.random, to, bytes) {
                    self.pass_to_relay(at, bytes);
                }
            }
        }
    }

    /// What a client of a relay has to say leaves.
    pub(super) fn drain_relay(&mut self, at: usize) {
        while let Some(bytes) = self.gathering.relays.get_mut(at).and_then(|relay| relay.client.poll_output())
        {
            self.pass_to_relay(at, bytes);
        }
    }

    /// Whether a component needs no new checks.
    pub(super) fn is_done(&self, component: Component) -> bool {
        !self.open.contains_key(&component)
    }

    /// Those of a relay may only reach us once they are permitted.
    pub(super) fn permit(&mut self, now: Duration, base: Base, peer: SocketAddr) {
        let Base::Relay(at) = base else { return };
        if let Some(relay) = self.gathering.relays.get_mut(at) {
            relay.client.permit(now, &mut self.random, peer.ip());
        }
        self.drain_relay(at);
    }

    /// No way is looked for any more: what those that were chosen do not need is given back in a while.
    pub(super) fn settle(&mut self, now: Duration) {
        if self.open.is_empty() && self.free_at.is_none() {
            self.free_at = Some(now + KEEP);
        }
    }

    /// Asks the peer at the other end of a pair, or of a way.
    pub(super) fn ask(
        &mut self,
        id: [u8; 12],
        base: Base,
        to: SocketAddr,
        nominates: bool,
        component: Component,
    ) {
        let Some(remote) = &self.remote else { return };
        let check = Check {
            id,
            local: &self.local,
            remote: &remote.credentials,
            priority: reflexive_priority(component, self.gathering.rank(base)),
            controlling: self.controlling,
            tie_breaker: self.tie_breaker,
            nominates,
        };
        if let Some(bytes) = check.write() {
            self.counts.checks_sent += 1;
            self.transmit(base, to, &bytes);
        }
    }

    /// Asks relays, and tells when that is over.
    pub(super) fn gather(&mut self, now: Duration) {
        for at in self.gathering.begin(now) {
            let Some(relay) = self.gathering.relays.get_mut(at) else { continue };
            if relay.relaying.is_stream() {
                let (component, to) = (relay.component, relay.server);
                let tls = relay.relaying == super::Relaying::Tls;
                self.outputs.push_back(Output::Connect { stream: Stream(at), component, to, tls });
            }
            relay.client.allocate(now, &mut self.random);
            self.drain_relay(at);
        }
        if !self.gathering.over && self.gathering.is_enough(now) {
            self.gathering.over = true;
            let unused = |relay: &super::gather::Relay| relay.is_begun() && relay.allocated().is_none();
            let unused: Vec<usize> = (0..)
                .zip(&self.gathering.relays)
                .filter(|(_, relay)| unused(relay))
                .map(|(at, _)| at)
                .collect();
            unused.into_iter().for_each(|at| self.release(now, at));
            self.tell(Event::Gathered(self.gathering.candidates()));
        }
    }

    /// Sends the next check, if one may be sent.
    fn check(&mut self, now: Duration) {
        if self.remote.is_none() || now < self.paced {
            return;
        }
        let open: Vec<Component> = self.open.keys().copied().collect();
        let Some(at) = self.list.next(self.controlling, |component| !open.contains(&component)) else {
            return;
        };
        self.paced = now + TA;
        let (id, controlling) = (self.random.bytes(), self.controlling);
        let Some(pair) = self.list.pairs.get_mut(at) else { return };
        let nominates = controlling && pair.nominated;
        if !pair.is_valid() {
            pair.state = State::InProgress;
        }
        pair.asked = Some(Asked::new(id, controlling, nominates, now));
        let (base, to, component) = (pair.base, pair.remote.address, pair.component);
        self.permit(now, base, to);
        self.ask(id, base, to, nominates, component);
    }

    /// Says again what was not answered.
    fn repeat(&mut self, now: Duration) {
        let mut again = Vec::new();
        for pair in &mut self.list.pairs {
            let Some(asked) = pair.asked.as_mut().filter(|asked| now >= asked.due) else { continue };
            if asked.repeat(now) {
                again.push((asked.id, pair.base, pair.remote.address, asked.nominates, pair.component));
            } else {
                (pair.asked, pair.state, pair.nominated) = (None, State::Failed, false);
            }
        }
        for (id, base, to, nominates, component) in again {
            self.ask(id, base, to, nominates, component);
        }
    }

    /// Asks for consent where it is due, and ends what has none.
    fn keep_consent(&mut self, now: Duration) {
        let over: Vec<Component> =
            self.chosen.iter().filter(|(_, chosen)| chosen.is_over(now)).map(|(of, _)| *of).collect();
        for component in over {
            self.chosen.remove(&component);
            // Until there is another session nobody is asked or sent anything.
            (self.remote, self.list) = (None, Checklist::default());
            self.tell(Event::ConsentLost(component));
        }
        let mut due = Vec::new();
        for (component, chosen) in self.chosen.iter_mut().filter(|(_, chosen)| now >= chosen.due) {
            let id = self.random.bytes();
            chosen.ask(now, id, &mut self.random);
            due.push((id, chosen.base, chosen.path.remote.address, *component));
        }
        for (id, base, to, component) in due {
            self.ask(id, base, to, false, component);
        }
    }

    /// Every component whose pairs have all failed has no way.
    fn conclude(&mut self, now: Duration) {
        self.choose(now);
        let hopeless = |component: &Component| {
            let mut pairs = self.list.pairs.iter().filter(|pair| pair.component == *component);
            self.remote.is_some() && self.hope.is_none() && pairs.all(|pair| pair.state == State::Failed)
        };
        let failed: Vec<Component> = self.open.keys().copied().filter(hopeless).collect();
        for component in failed {
            self.open.remove(&component);
            self.tell(Event::Failed(component));
            if !self.chosen.is_empty() {
                self.settle(now);
            }
        }
    }

    fn way(&self, component: Component) -> Option<(Base, SocketAddr)> {
        if let Some(chosen) = self.chosen.get(&component) {
            return Some((chosen.base, chosen.path.remote.address));
        }
        let valid = |pair: &super::checklist::Pair| pair.component == component && pair.is_valid();
        let first = self.first.get(&component);
        let still =
            |pair: &super::checklist::Pair| valid(pair) && first == Some(&(pair.base, pair.remote.address));
        if self.list.pairs.iter().any(still) {
            return first.copied();
        }
        let pair = self.list.pairs.get(self.list.best(self.controlling, valid)?)?;
        Some((pair.base, pair.remote.address))
    }

    fn permit_all(&mut self, now: Duration) {
        let pairs = self.list.pairs.iter().map(|pair| (pair.base, pair.remote.address));
        for (base, peer) in pairs.collect::<Vec<_>>() {
            self.permit(now, base, peer);
        }
    }

    fn pass_to_relay(&mut self, at: usize, bytes: Vec<u8>) {
        let Some(relay) = self.gathering.relays.get(at) else { return };
        let stream = relay.relaying.is_stream();
        let via = if stream { Via::Stream(Stream(at)) } else { Via::Port(relay.component.into()) };
        self.outputs.push_back(Output::Transmit { via, to: relay.server, bytes });
    }

    /// The component is no more.
    fn retire(&mut self, now: Duration, component: Component) {
        self.gathering.ports.retain(|(of, _)| *of != component);
        self.chosen.remove(&component);
        for at in 0..self.gathering.relays.len() {
            if self.gathering.relays.get(at).is_some_and(|relay| relay.component == component) {
                self.release(now, at);
            }
        }
    }

    /// Gives back what no way needs.
    fn free(&mut self, now: Duration) {
        for at in 0..self.gathering.relays.len() {
            if !self.chosen.values().any(|chosen| chosen.base == Base::Relay(at)) {
                self.release(now, at);
            }
        }
    }

    fn release(&mut self, now: Duration, at: usize) {
        let Some(relay) = self.gathering.relays.get_mut(at).filter(|relay| relay.is_begun()) else { return };
        let stream = relay.relaying.is_stream() && !relay.is_released();
        relay.release(now, &mut self.random);
        self.drain_relay(at);
        if stream {
            self.outputs.push_back(Output::Close(Stream(at)));
        }
        let gone = |pair: &&mut super::checklist::Pair| pair.base == Base::Relay(at);
        self.list
            .pairs
            .iter_mut()
            .filter(gone)
            .for_each(|pair| (pair.state, pair.asked) = (State::Failed, None));
    }
}

/// Something that a peer may be reached by and that nobody has described.
pub(super) fn peer_reflexive(component: Component, address: SocketAddr, priority: u32) -> Candidate {
    Candidate {
        component,
        kind: super::Kind::PeerReflexive,
        address,
        related: None,
        priority,
        foundation: u32::MAX,
    }
}
