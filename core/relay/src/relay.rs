//! The relay itself: what comes in is checked, told apart, handed on.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::source::Sources;
use carillon_wire::stun::{Builder, Class, Fingerprint, Look, Message, Method, kind, look};

use crate::allocation::Allocation;
use crate::config::{Config, Limits};
use crate::contract::{Flow, Output, PortId, Request, WishId};
use crate::counts::{Counts, dropped};
use crate::link::Links;
use crate::network::plain;
use crate::nonce::Nonce;
use crate::proofs::Door;
use crate::reservation::Reservation;
use crate::secret::Secret;
use crate::table::{Slot, Table, Timers};
use crate::users::Users;

/// What a Binding request begins with (RFC 8489, 5).
const BINDING: [u8; 2] = [0, 1];
/// Outputs for which room is kept.
const MOST_KEPT: usize = 256;

/// The A/V Edge. See the crate's page for how to drive it.
#[derive(Debug)]
pub struct Relay {
    pub(crate) config: Config,
    pub(crate) door: Door,
    pub(crate) strangers: Strangers,
    pub(crate) secret: Secret,
    pub(crate) table: Table,
    pub(crate) timers: Timers,
    pub(crate) users: Users,
    /// Who waits for a port, or for a peer.
    pub(crate) wishes: BTreeMap<WishId, Slot>,
    pub(crate) last_wish: u64,
    pub(crate) last_rule: u64,
    /// The other ports of pairs, by their tokens.
    pub(crate) reservations: BTreeMap<u64, Reservation>,
    /// Connections with peers.
    pub(crate) links: Links,
    /// Where clients are sent, once no new ones are taken on.
    pub(crate) draining: Option<Vec<SocketAddr>>,
    /// What the clock on the wall showed, and when.
    clock: Option<(Duration, Duration)>,
    pub(crate) counts: Counts,
    pub(crate) out: VecDeque<Output>,
}

/// What those cost who have no allocation, by source.
#[derive(Debug)]
pub(crate) struct Strangers {
    /// Binding needs no proof; nobody who asks for addresses keeps others from proving themselves.
    pub(crate) bindings: Sources,
    pub(crate) answers: Sources,
    pub(crate) proofs: Sources,
}

/// A request that is being dealt with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) now: Duration,
    pub(crate) flow: Flow,
    pub(crate) message: Message<'a>,
    /// The allocation of this flow.
    pub(crate) slot: Option<Slot>,
    /// The class of an answer, as of when it came.
    pub(crate) class: Option<TrafficClass>,
}

impl Relay {
    /// A relay without allocations. `seed` must be as secret as the passwords, and another one after each start.
    pub fn new(config: Config, seed: [u8; 32], _now: Duration) -> Relay {
        let mut secret = Secret::new(&seed);
        Relay {
            door: door(&config),
            strangers: Strangers::new(&config.limits, &mut secret),
            table: Table::new(secret.clone()),
            secret,
            config,
            timers: Timers::default(),
            users: Users::default(),
            wishes: BTreeMap::new(),
            last_wish: 0,
            last_rule: 0,
            reservations: BTreeMap::new(),
            links: Links::default(),
            draining: None,
            clock: None,
            counts: Counts::default(),
            out: VecDeque::new(),
        }
    }

    /// One datagram of a client, or one frame of its stream.
    pub fn handle_input(&mut self, now: Duration, flow: Flow, bytes: &[u8]) {
        self.lapse(now);
        match look(bytes) {
            Look::Channel => self.channel_data(flow, bytes),
            Look::Message | Look::Other => self.message(now, flow, bytes),
        }
    }

    /// A datagram that arrived at a relayed port and that no rule carried.
    pub fn handle_peer_data(&mut self, now: Duration, port: PortId, peer: SocketAddr, bytes: &[u8]) {
        self.lapse(now);
        self.peer_data(port, plain(peer), bytes);
    }

    /// What the host tells, and what an administrator asks for.
    pub fn handle_request(&mut self, now: Duration, request: Request) {
        self.lapse(now);
        match request {
            Request::Opened { wish, port, relayed, next } => self.opened(now, wish, port, relayed, next),
            Request::NotOpened { wish, reason } => self.not_opened(now, wish, reason),
            Request::Dialled { wish, link } => self.dialled(now, wish, link),
            Request::NotDialled { wish } => self.not_dialled(wish),
            Request::Arrived { port, peer, link } => self.arrived(now, port, plain(peer), link),
            Request::HungUp(link) => self.hung_up(link),
            Request::Unreachable { port, peer, icmp } => self.unreachable(port, plain(peer), icmp),
            Request::Counted { port, to_client, to_peer } => self.counted(port, to_client, to_peer),
            Request::Closed(flow) => self.closed(now, flow),
            Request::Clock(wall) => self.clock = Some((wall, now)),
            Request::Drain { alternates } => self.draining = Some(alternates),
            Request::Configure(config) => self.configure(now, *config),
        }
    }

    /// Ends what has come to its end.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.lapse(now);
    }

    /// Whether a request shows a nonce that was given to this address: whoever sent it has heard an answer there. For a host that
    /// would drop it in a flood; a few hundred nanoseconds.
    pub fn recognises(&self, now: Duration, client: SocketAddr, bytes: &[u8]) -> bool {
        let worth = |message| self.door.worth(&self.secret, now, client.ip(), &message);
        Message::parse(bytes).is_ok_and(|message| worth(message) != Nonce::Foreign)
    }

    /// What is to be done next; call until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.out.pop_front();
        // When many end at once, what their ends took is given back.
        if output.is_none() && self.out.capacity() > MOST_KEPT {
            self.out = VecDeque::new();
        }
        output
    }

    /// When to come back.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.timers.first()
    }

    /// Whether somebody without an allocation is listened to: while there is an answer left for the source, or if a nonce of ours
    /// is shown, which nobody has who only writes that address on his packets.
    fn hears(&mut self, now: Duration, flow: Flow, bytes: &[u8]) -> bool {
        let place = flow.remote.ip();
        let Strangers { bindings, answers, proofs } = &mut self.strangers;
        if bytes.starts_with(&BINDING) {
            return bindings.has_room(now, place);
        }
        answers.has_room(now, place) || proofs.take(now, place) && self.recognises(now, flow.remote, bytes)
    }

    fn message(&mut self, now: Duration, flow: Flow, bytes: &[u8]) {
        let slot = self.table.of_flow(&flow);
        // Before anything is read: a source that was answered often enough costs no more than this.
        if slot.is_none() && !self.hears(now, flow, bytes) {
            return self.shut_out(flow, dropped::TOO_MANY);
        }
        let Ok(message) = Message::parse(bytes) else { return self.garbage(flow) };
        if message.fingerprint() == Fingerprint::Wrong {
            return self.counts.drop(dropped::WRONG_FINGERPRINT);
        }
        let asked = Asked { now, flow, message, slot, class: self.class_to(&flow) };
        match (message.class(), message.method()) {
            (Class::Indication, Method::Send) => self.send_indication(&asked),
            // Keeps a NAT's mapping alive (RFC 8489, 6.3.2).
            (Class::Indication, Method::Binding) => {}
            (Class::Request, _) => self.request(&asked),
            _ => self.counts.drop(dropped::UNEXPECTED),
        }
    }

    /// A stream that has lost its framing will not find it again.
    pub(crate) fn garbage(&mut self, flow: Flow) {
        self.counts.drop(dropped::GARBAGE);
        if flow.transport.is_stream() {
            self.out.push_back(Output::Disconnect(flow));
        }
    }

    /// Nothing is said to whoever asks too much; on a stream, where a client would wait for an answer, it is ended.
    pub(crate) fn shut_out(&mut self, flow: Flow, counter: &'static str) {
        self.counts.drop(counter);
        if flow.transport.is_stream() {
            self.out.push_back(Output::Disconnect(flow));
        }
    }

    /// Sends to a client what is no media of a peer.
    pub(crate) fn transmit(&mut self, flow: Flow, bytes: Vec<u8>) {
        let class = self.class_to(&flow);
        self.out.push_back(Output::Transmit { flow, class, bytes });
    }

    /// The class of what the relay itself says on a flow.
    pub(crate) fn class_to(&self, flow: &Flow) -> Option<TrafficClass> {
        match self.table.of_flow(flow).and_then(|slot| self.table.get(slot)) {
            Some(allocation) => self.class_to_client(allocation, flow.remote),
            None => self.config.marking.class(self.class_of_listener(flow), flow.remote, flow.remote),
        }
    }

    /// The class of what comes from a peer. A stream has one mark for all (RFC 7657): where nothing but the peers' ports
    /// says a class, that on which all of its channels agree.
    pub(crate) fn class_to_client(&self, allocation: &Allocation, peer: SocketAddr) -> Option<TrafficClass> {
        let flow = allocation.flow;
        let class = allocation.class.or_else(|| self.class_of_listener(&flow));
        let of = |peer| self.config.marking.class(class, flow.remote, peer);
        if !flow.transport.is_stream() || class.is_some() {
            return of(peer);
        }
        let mut classes = allocation.channels.iter().map(|channel| of(channel.peer));
        let first = classes.next().unwrap_or_else(|| of(flow.remote));
        if classes.all(|class| class == first) { first } else { None }
    }

    /// Whether something may begin with this peer.
    pub(crate) fn reaches(&self, peer: SocketAddr) -> bool {
        self.config.peers.reach(peer) && self.keeps(peer)
    }

    /// Whether what has begun with this peer may go on: ports of the plan count when it begins, for a plan may have moved them since,
    /// and whoever connects to us does so from any. Of the relay itself only what it relays right now.
    pub(crate) fn keeps(&self, peer: SocketAddr) -> bool {
        let peers = &self.config.peers;
        peers.permit(peer.ip()) && (!peers.is_own(peer.ip()) || self.table.is_relayed(peer))
    }

    /// What the clock on the wall shows.
    pub(crate) fn wall(&self, now: Duration) -> Duration {
        self.clock.map_or(now, |(wall, then)| wall + now.saturating_sub(then))
    }

    /// The class of a flow: of its allocation by its credential, or of its listener.
    pub(crate) fn class_of(&self, flow: &Flow) -> Option<TrafficClass> {
        let allocated = self.table.of_flow(flow).and_then(|slot| self.table.get(slot)?.class);
        allocated.or_else(|| self.class_of_listener(flow))
    }

    pub(crate) fn class_of_listener(&self, flow: &Flow) -> Option<TrafficClass> {
        self.config.listeners.get(usize::from(flow.listener))?.class
    }

    /// From now on this holds. Who is signed in stays so until the next refresh; what was marked or permitted by the old
    /// configuration is not.
    fn configure(&mut self, now: Duration, config: Config) {
        self.door = door(&config);
        if config.limits != self.config.limits {
            self.strangers = Strangers::new(&config.limits, &mut self.secret);
        }
        self.config = config;
        for slot in self.table.slots() {
            self.forbid_anew(slot);
            self.issue_rules(slot, true);
            self.issue_joints(slot, |_| true);
            self.schedule(now, slot);
        }
    }
}

impl Asked<'_> {
    /// An answer to this.
    pub(crate) fn answer(&self, class: Class) -> Builder {
        Builder::new(class, self.message.method(), *self.message.transaction_id())
    }

    pub(crate) fn has_fingerprint(&self) -> bool {
        self.message.attribute(kind::FINGERPRINT).is_some()
    }

    pub(crate) fn method_name(&self) -> &'static str {
        crate::requests::name(self.message.method()).unwrap_or("other")
    }
}

fn door(config: &Config) -> Door {
    Door::new(config.access.clone(), config.realm.clone(), config.limits.nonce_lifetime)
}

impl Strangers {
    fn new(limits: &Limits, secret: &mut Secret) -> Strangers {
        let mut sources = |rate| Sources::new(rate, secret.draw());
        Strangers {
            bindings: sources(limits.bindings),
            answers: sources(limits.answers),
            proofs: sources(limits.proofs),
        }
    }
}
