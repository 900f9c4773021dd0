//! The A/V Edge: the way of every packet that is relayed. Read this file first.
//!
//! ```text
//!    receive ───► decide ───► mark ───► send
//!    net::forward core/relay  core/qos  net::forward
//!        └──────── rules: a decision repeated per packet ────────┘
//! ```
//!
//! One thread owns it all. Media of a bound channel never leaves [`Forwarder`]: the core has wished for a rule, which was
//! given its marks here, once. What no rule is for comes up, takes a turn through the core, and leaves by the same door
//! behind whatever left before.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use carillon_net::forward::{Forwarder, RuleId, Unknown};
use carillon_net::lease::Shape;
use carillon_qos::TrafficClass;
use carillon_qos::plan::RolePolicy;
use carillon_relay::{Event, Flow, NotOpened, Output, PortId, Relay, Request, Rule, Wish};
use carillon_wire::ip::{Dscp, Ecn};
use carillon_wire::stun::Family;
use tokio::sync::watch;

use super::places::Places;
use super::start::{Estate, Side};
use crate::clock::Clock;
use crate::desk::Orders;

/// A running A/V Edge.
pub struct AvEdge {
    /// Sockets and rules: bytes in, bytes out.
    pub(crate) forwarder: Forwarder,
    /// The TURN core: messages in, wishes out. Knows no socket, no clock, no file.
    pub(crate) relay: Relay,
    /// What the core calls by its numbers and the forwarder by its own.
    pub(crate) places: Places,
    /// Where relay ports are opened: a side for each family.
    pub(crate) sides: Vec<Side>,
    /// What the plan says about an Edge.
    pub(crate) policy: RolePolicy,
    /// What it was told to be.
    pub(crate) estate: Estate,
    /// The mark of health and metrics, for the thread that serves them.
    pub(crate) management: watch::Sender<Dscp>,
    pub(crate) clock: Clock,
    pub(crate) orders: Orders<AvEdge>,
    pub(crate) counts: Counts,
    /// When the core is told next what rules have carried.
    pub(crate) measure_at: Duration,
    /// Set when the service is being stopped: until when running allocations are waited for.
    pub(crate) until: Option<Duration>,
}

/// What only this loop can count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// What happened, by the name of the event.
    pub(crate) events: BTreeMap<&'static str, u64>,
    /// Rules that the forwarder refused: their packets take turns.
    pub(crate) refused_rules: u64,
}

/// The ECN bits of a packet that takes a turn: they leave with it, as they would by a rule. What the Edge says itself has
/// none.
#[derive(Clone, Copy, Default)]
pub(crate) struct Passing {
    to_client: Ecn,
    to_peer: Ecn,
}

impl AvEdge {
    /// Turns until the service is stopped and running allocations have ended. An error ends the service too: the sockets
    /// can't be waited for any more.
    pub fn run(mut self) -> io::Result<()> {
        while !self.is_over() {
            self.receive()?;
            self.decide();
        }
        Ok(())
    }

    /// 1. **Receive.** Waits for the first packet, for a deadline, or for an order. Packets that a rule is for are sent on
    ///    in there. Each of the others is decided on before the next is looked at, so that nothing overtakes.
    fn receive(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        let deadlines = [self.relay.poll_timeout(), self.until, Some(self.measure_at)];
        let wait = deadlines.into_iter().flatten().min().map(|at| at.saturating_sub(now));
        let wait = if self.orders.are_waiting() { Some(Duration::ZERO) } else { wait };
        self.forwarder.poll(wait)?;
        while let Some(unknown) = self.forwarder.next_unknown() {
            let now = self.clock.now();
            match unknown {
                Unknown::FromClient { client, bytes, ecn, .. } => {
                    let Some(flow) = self.places.flow(client) else { continue };
                    self.relay.handle_input(now, flow, &bytes);
                    self.obey(Passing { to_peer: ecn, ..Passing::default() });
                }
                Unknown::Ended { client } => {
                    let Some(flow) = self.places.flow(client) else { continue };
                    self.relay.handle_request(now, Request::Closed(flow));
                    self.obey(Passing::default());
                }
                Unknown::FromPeer { port, peer, bytes, ecn, .. } => {
                    let Some(port) = self.places.core_port(port) else { continue };
                    self.relay.handle_peer_data(now, port, peer, &bytes);
                    self.obey(Passing { to_client: ecn, ..Passing::default() });
                }
            }
        }
        Ok(())
    }

    /// 2. **Decide.** Deadlines, and one order: the next waits for a turn of its own.
    fn decide(&mut self) {
        if let Some(order) = self.orders.take() {
            order(self);
        }
        let now = self.clock.now();
        if self.relay.poll_timeout().is_some_and(|at| at <= now) {
            self.relay.handle_timeout(now);
        }
        if self.measure_at <= now {
            self.measure(now);
        }
        self.obey(Passing::default());
    }

    /// Does what the core wishes, in its order.
    pub(crate) fn obey(&mut self, passing: Passing) {
        while let Some(output) = self.relay.poll_output() {
            match output {
                Output::Transmit { flow, class, bytes } => {
                    self.send_to_client(flow, class, passing.to_client, &bytes)
                }
                Output::ToPeer { port, peer, class, bytes, .. } => {
                    let mark = self.mark(class);
                    if let Some(port) = self.places.port(port) {
                        self.forwarder.send_to_peer(port, peer, &bytes, mark, passing.to_peer);
                    }
                }
                Output::Open(wish) => self.open(wish),
                Output::Close(port) => self.close(port),
                Output::Install(rule) => self.install(rule),
                Output::Remove(rule) => self.remove(rule),
                Output::Trust(flow) => self.vouch(flow, true),
                Output::Distrust(flow) => self.vouch(flow, false),
                Output::Disconnect(flow) => {
                    self.places.client(flow).into_iter().for_each(|client| self.forwarder.disconnect(client));
                }
                Output::Event(event) => self.note(&event),
            }
        }
    }

    /// 3. **Mark.** The core names classes; only the plan turns a class into a mark. What has none leaves unmarked.
    fn mark(&self, class: Option<TrafficClass>) -> Dscp {
        class.map_or(Dscp::DEFAULT, |class| self.policy.mark(class))
    }

    /// 4. **Send.** What can't be sent is lost, as on any network; the forwarder counts it.
    fn send_to_client(&mut self, flow: Flow, class: Option<TrafficClass>, ecn: Ecn, bytes: &[u8]) {
        let mark = self.mark(class);
        if let Some(client) = self.places.client(flow) {
            self.forwarder.send_to_client(client, bytes, mark, ecn);
        }
    }

    /// A port of the plan's range, on the external address of that family.
    fn open(&mut self, wish: Wish) {
        let now = self.clock.now();
        let answer = match self.opened(wish) {
            Ok((port, relayed, next)) => Request::Opened { wish: wish.id, port, relayed, next },
            Err(reason) => Request::NotOpened { wish: wish.id, reason },
        };
        self.relay.handle_request(now, answer);
    }

    fn opened(&mut self, wish: Wish) -> Result<(PortId, std::net::SocketAddr, Option<PortId>), NotOpened> {
        let is_v4 = matches!(wish.family, Family::V4);
        let side =
            self.sides.iter().find(|side| side.address.is_ipv4() == is_v4).ok_or(NotOpened::NoFamily)?;
        let shape = match (wish.even, wish.next) {
            (_, true) => Shape::Pair,
            (true, false) => Shape::Even,
            (false, false) => Shape::Any,
        };
        let class = wish.class.unwrap_or(TrafficClass::Audio);
        let leased = side.leases.relay(class, shape).and_then(|(port, reserved)| {
            let next = reserved.map(|reserved| reserved.open()).transpose()?;
            Ok((port, next))
        });
        let (port, next) = leased.map_err(|error| {
            tracing::warn!("no relay port: {}", crate::chain(&error));
            NotOpened::NoPort
        })?;
        let relayed = std::net::SocketAddr::new(side.told, port.port().local().port());
        let mut take = |relayed| {
            let port = self.forwarder.open(relayed).map_err(|error| {
                tracing::error!("a relay port can't be waited for: {error}");
                NotOpened::NoPort
            })?;
            Ok(self.places.add(port))
        };
        let port = take(port)?;
        match next.map(take).transpose() {
            Ok(next) => Ok((port, relayed, next)),
            Err(reason) => {
                self.close(port);
                Err(reason)
            }
        }
    }

    fn close(&mut self, port: PortId) {
        if let Some(port) = self.places.remove(port) {
            self.forwarder.close(port);
        }
    }

    /// From now on the forwarder repeats this decision. If it can't, packets go on to take turns: slower, and no
    /// different.
    fn install(&mut self, rule: Rule) {
        let (to_client, to_peer) = (self.mark(rule.to_client), self.mark(rule.to_peer));
        let Some(known) = self.places.rule(rule, to_client, to_peer) else { return };
        match self.forwarder.install(RuleId(rule.id.0), known) {
            Ok(()) => self.places.keep(rule),
            Err(refused) => {
                self.counts.refused_rules += 1;
                tracing::warn!("packets of a channel take turns: {refused}");
            }
        }
    }

    /// Names and addresses are told to those who look for a fault (debug), never to everybody's log.
    fn note(&mut self, event: &Event) {
        tracing::debug!(?event);
        let name = match event {
            Event::Allocated { .. } => "allocated",
            Event::Released { .. } => "released",
            Event::Forbidden { .. } => "forbidden",
            _ => "other",
        };
        *self.counts.events.entry(name).or_default() += 1;
    }

    /// Who has allocated is no stranger: a flood of others' requests does not keep his out.
    fn vouch(&mut self, flow: Flow, is_proven: bool) {
        let Some(client) = self.places.client(flow) else { return };
        if is_proven { self.forwarder.trust(client) } else { self.forwarder.distrust(client) }
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= self.clock.now() || self.relay.counts().allocations == 0)
    }
}
