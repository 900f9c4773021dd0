//! The relay itself: what comes in is checked, told apart, handed on.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::stun::{Builder, Class, Fingerprint, HEADER_LEN, Message, Method, kind};

use crate::access::Door;
use crate::config::Config;
use crate::contract::{Flow, Output, PortId, Request, WishId};
use crate::counts::{Counts, dropped};
use crate::gate::Gate;
use crate::network::plain;
use crate::reservation::Reservation;
use crate::secret::Secret;
use crate::table::{Slot, Table, Timers};
use crate::users::Users;

/// Outputs for which room is kept.
const MOST_KEPT: usize = 256;

/// The A/V Edge. See the crate's page for how to drive it.
#[derive(Debug)]
pub struct Relay {
    pub(crate) config: Config,
    pub(crate) door: Door,
    pub(crate) gate: Gate,
    pub(crate) secret: Secret,
    pub(crate) table: Table,
    pub(crate) timers: Timers,
    pub(crate) users: Users,
    /// Who waits for a port.
    pub(crate) wishes: BTreeMap<WishId, Slot>,
    pub(crate) last_wish: u64,
    pub(crate) last_rule: u64,
    /// The other ports of pairs, by their tokens.
    pub(crate) reservations: BTreeMap<u64, Reservation>,
    /// Where clients are sent, once no new ones are taken on.
    pub(crate) draining: Option<Vec<SocketAddr>>,
    pub(crate) counts: Counts,
    pub(crate) out: VecDeque<Output>,
}

/// A request that is being dealt with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) now: Duration,
    pub(crate) flow: Flow,
    pub(crate) message: Message<'a>,
    /// The allocation of this flow.
    pub(crate) slot: Option<Slot>,
}

/// Whether a datagram may be for the relay at all: by its first bytes and its length, in a few instructions. For dropping the
/// rest of a flood early; what passes is read in full.
pub fn is_plausible(datagram: &[u8]) -> bool {
    let length = |high: u8, low: u8| usize::from(u16::from_be_bytes([high, low]));
    match *datagram {
        [0x40..=0x7f, _, high, low, ..] => datagram.len() >= 4 + length(high, low),
        [0..=0x3f, _, high, low, 0x21, 0x12, 0xa4, 0x42, ..] => {
            datagram.len() == HEADER_LEN + length(high, low)
        }
        _ => false,
    }
}

impl Relay {
    /// A relay without allocations. `seed` must be as secret as the passwords, and another one after each start.
    pub fn new(config: Config, seed: [u8; 32], _now: Duration) -> Relay {
        let secret = Secret::new(&seed);
        Relay {
            door: door(&config),
            gate: gate(&config),
            table: Table::new(secret.clone()),
            secret,
            config,
            timers: Timers::default(),
            users: Users::default(),
            wishes: BTreeMap::new(),
            last_wish: 0,
            last_rule: 0,
            reservations: BTreeMap::new(),
            draining: None,
            counts: Counts::default(),
            out: VecDeque::new(),
        }
    }

    /// One datagram of a client, or one frame of its stream.
    pub fn handle_input(&mut self, now: Duration, flow: Flow, bytes: &[u8]) {
        self.lapse(now);
        match bytes.first() {
            Some(0x40..=0x7f) => self.channel_data(now, flow, bytes),
            _ => self.message(now, flow, bytes),
        }
    }

    /// A datagram that arrived at a relayed port and that no rule carried.
    pub fn handle_peer_data(&mut self, now: Duration, port: PortId, peer: SocketAddr, bytes: &[u8]) {
        self.lapse(now);
        self.peer_data(now, port, plain(peer), bytes);
    }

    /// What the host tells, and what an administrator asks for.
    pub fn handle_request(&mut self, now: Duration, request: Request) {
        self.lapse(now);
        match request {
            Request::Opened { wish, port, relayed, next } => self.opened(now, wish, port, relayed, next),
            Request::NotOpened { wish, reason } => self.not_opened(now, wish, reason),
            Request::Unreachable { port, peer, icmp } => self.unreachable(port, plain(peer), icmp),
            Request::Counted { port, to_client, to_peer } => self.counted(port, to_client, to_peer),
            Request::Closed(flow) => self.closed(now, flow),
            Request::Drain { alternates } => self.draining = Some(alternates),
            Request::Configure(config) => self.configure(now, *config),
        }
    }

    /// Ends what has come to its end.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.lapse(now);
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

    fn message(&mut self, now: Duration, flow: Flow, bytes: &[u8]) {
        let slot = self.table.of_flow(&flow);
        // Before anything is read: a source that was answered often enough costs no more than this.
        if slot.is_none() && !self.gate.is_open(&self.secret, now, flow.remote.ip()) {
            return self.counts.drop(dropped::TOO_MANY);
        }
        let Ok(message) = Message::parse(bytes) else { return self.garbage(flow) };
        if message.fingerprint() == Fingerprint::Wrong {
            return self.counts.drop(dropped::WRONG_FINGERPRINT);
        }
        let asked = Asked { now, flow, message, slot };
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

    /// Sends to a client what is no media of a peer.
    pub(crate) fn transmit(&mut self, flow: Flow, bytes: Vec<u8>) {
        let class = self.config.marking.class(self.class_of(&flow), flow.remote, flow.remote);
        self.out.push_back(Output::Transmit { flow, class, bytes });
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
            self.gate = gate(&config);
        }
        self.config = config;
        for slot in self.table.slots() {
            self.forbid_anew(slot);
            self.issue_rules(slot, true);
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

fn gate(config: &Config) -> Gate {
    Gate::new(config.limits.answers_per_second, config.limits.answers_at_once)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_stun_nor_channel_data_is_not_plausible() {
        let binding = Builder::new(Class::Request, Method::Binding, [1; 12]).finish().unwrap();
        assert!(
            is_plausible(&binding)
                && is_plausible(&[0x40, 0, 0, 1, 9])
                && is_plausible(&[0x40, 0, 0, 1, 9, 0, 0, 0])
        );
        for other in [
            &binding[..19],
            &[0x40, 0, 0, 2, 9],
            &[0x80, 0, 0, 0],
            &[],
            &[0; 20],
            b"REGISTER sip:a.b SIP/2.0",
        ] {
            assert!(!is_plausible(other), "{other:?}");
        }
    }
}
