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

mod links;
mod measure;
mod places;
mod relaying;
mod reload;
mod start;
mod translation;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use carillon_net::forward::{Account, Forwarder, LinkId, Payload, RuleId, Unknown};
use carillon_net::lease::Shape;
use carillon_net::udp::Complaint;
use carillon_qos::TrafficClass;
use carillon_qos::plan::RolePolicy;
use carillon_relay::{
    Event, Flow, Icmp, NotOpened, Output, PortId, Quota, Relay, Request, Rule, Wish, WishId,
};
use carillon_wire::ip::{Dscp, Ecn};
use carillon_wire::stun::Family;

use self::places::Places;
use self::start::{Estate, Side};
use self::translation::Translation;
use super::unit::Part;
use crate::clock::Clock;
use crate::desk::Orders;

pub(super) use self::start::open;

/// A running A/V Edge.
pub struct AvEdge {
    /// Sockets and rules: bytes in, bytes out.
    pub(crate) forwarder: Forwarder,
    /// Why the kernel carries nothing although it was to.
    pub(crate) no_kernel: Option<String>,
    /// The TURN core: messages in, wishes out. Knows no socket, no clock, no file.
    pub(crate) relay: Relay,
    /// What the core calls by its numbers and the forwarder by its own.
    pub(crate) places: Places,
    /// Where relay ports are opened: a side for each family.
    pub(crate) sides: Vec<Side>,
    /// Which of their addresses are known by another one outside.
    pub(crate) translation: Translation,
    /// What the plan says about an Edge.
    pub(crate) policy: RolePolicy,
    /// What it was told to be.
    pub(crate) estate: Estate,
    pub(crate) clock: Clock,
    orders: Orders<dyn Part>,
    pub(crate) counts: Counts,
    /// Rules that the forwarder had no room for; they are tried again.
    pub(crate) refused: BTreeMap<carillon_relay::RuleId, Rule>,
    /// Peers that are being called, with whose port.
    pub(crate) dials: BTreeMap<LinkId, (WishId, PortId)>,
    /// Until when nothing is said of ports that can't be had.
    pub(crate) silent_until: Duration,
    /// Until when nothing is said of a limit that is reached.
    pub(crate) quota_told_until: BTreeMap<Quota, Duration>,
    /// Until when nothing is said of candidates that were asked for.
    pub(crate) noise_told_until: Duration,
    /// When the core is told next what rules have carried.
    pub(crate) measure_at: Duration,
    /// Set when the service is being stopped: until when running allocations are waited for.
    pub(crate) until: Option<Duration>,
}

/// How long nothing more is said of ports that can't be had.
const SILENCE: Duration = Duration::from_secs(30);

/// How long nothing more is said of candidates that were asked for.
const NOISE: Duration = Duration::from_secs(600);

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
    /// Turns until it is stopped and running allocations have ended. An error ends it too: the sockets
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
                Unknown::FromClient { client, bytes, ecn, excess, .. } => {
                    let Some(flow) = self.places.flow(client) else { continue };
                    if let Some(excess) = excess {
                        let is_known = self.relay.recognises(now, client.remote, &bytes);
                        self.forwarder.judge(client, excess, is_known);
                        if !is_known {
                            continue;
                        }
                    }
                    self.relay.handle_input(now, flow, &bytes);
                    self.obey(Passing { to_peer: ecn, ..Passing::default() });
                }
                Unknown::Ended { client } => {
                    let Some(flow) = self.places.flow(client) else { continue };
                    self.relay.handle_request(now, Request::Closed(flow));
                    self.obey(Passing::default());
                }
                Unknown::Dialled { link } => self.dialled(link),
                Unknown::Arrived { port, peer, link } => self.arrived(port, peer, link),
                Unknown::HungUp { link } => self.hung_up(link),
                Unknown::Undelivered { port, complaint } => {
                    let Some(port) = self.places.core_port(port) else { continue };
                    let Complaint { peer, kind, code, mtu } = complaint;
                    let icmp = Icmp { kind, code, data: mtu };
                    let peer = self.translation.told(peer);
                    self.relay.handle_request(now, Request::Unreachable { port, peer, icmp });
                    self.obey(Passing::default());
                }
                Unknown::FromPeer { port, peer, bytes, ecn, .. } => {
                    let Some(port) = self.places.core_port(port) else { continue };
                    self.relay.handle_peer_data(now, port, self.translation.told(peer), &bytes);
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
                Output::Transmit { flow, class, bytes } => self.send_to_client(flow, class, &bytes),
                Output::ToClient { port, flow, class, bytes, payload } => {
                    let payload = Payload { len: payload.bytes as usize, is_check: payload.checks > 0 };
                    self.relay_to_client((port, payload), flow, class, passing.to_client, &bytes);
                }
                Output::ToPeer { port, peer, class, dont_fragment, bytes } => {
                    let send = match dont_fragment {
                        true => Forwarder::send_whole_to_peer,
                        false => Forwarder::send_to_peer,
                    };
                    let (mark, peer) = (self.mark(class), self.translation.bound(peer));
                    if let Some(port) = self.places.port(port) {
                        send(&mut self.forwarder, port, peer, &bytes, mark, passing.to_peer);
                    }
                }
                Output::Open(wish) => self.open(wish),
                Output::Close(port) => self.close(port),
                Output::Install(rule) => self.install(rule),
                Output::Remove(rule) => self.remove(rule),
                Output::Dial { wish, port, peer, class } => self.dial(wish, port, peer, class),
                Output::Join(joint) => self.join(joint),
                Output::HangUp(link) => self.hang_up(link),
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
    pub(super) fn mark(&self, class: Option<TrafficClass>) -> Dscp {
        class.map_or(Dscp::DEFAULT, |class| self.policy.mark(class))
    }

    /// 4. **Send.** What can't be sent is lost, as on any network; the forwarder counts it.
    fn send_to_client(&mut self, flow: Flow, class: Option<TrafficClass>, bytes: &[u8]) {
        let mark = self.mark(class);
        if let Some(client) = self.places.client(flow) {
            self.forwarder.send_to_client(client, bytes, mark, Ecn::default());
        }
    }

    fn relay_to_client(
        &mut self,
        (port, payload): (PortId, Payload),
        flow: Flow,
        class: Option<TrafficClass>,
        ecn: Ecn,
        bytes: &[u8],
    ) {
        let mark = self.mark(class);
        if let (Some(port), Some(client)) = (self.places.port(port), self.places.client(flow)) {
            self.forwarder.relay_to_client((port, payload), client, bytes, mark, ecn);
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
        let at = self.sides.iter().position(|side| side.address.is_ipv4() == is_v4);
        if wish.streams {
            let (port, relayed) = self.opened_for_streams(wish, at.unwrap_or(usize::MAX))?;
            return Ok((port, relayed, None));
        }
        let side = at.and_then(|at| self.sides.get(at)).ok_or(NotOpened::NoFamily)?;
        let shape = match (wish.even, wish.next) {
            (_, true) => Shape::Pair,
            (true, false) => Shape::Even,
            (false, false) => Shape::Any,
        };
        let class = wish.class.unwrap_or(TrafficClass::Audio);
        let leased = match wish.reserved {
            Some(kept) => {
                let reserved = self.places.release(kept).ok_or(NotOpened::NoPort)?;
                reserved.open().map(|port| (port, None))
            }
            None => side.leases.relay(class, shape),
        };
        let told = side.told;
        let (port, reserved) = leased.map_err(|error| self.no_port(&crate::chain(&error)))?;
        let relayed = std::net::SocketAddr::new(told, port.port().local().port());
        let open = self.forwarder.open(port).map_err(|error| self.no_port(&error.to_string()))?;
        self.forwarder.charge_to(open, Account(wish.account.0), wish.site.map(|site| Account(site.0)));
        let next = reserved.map(|reserved| self.places.keep(reserved));
        Ok((self.places.add(open, wish.reserved), relayed, next))
    }

    /// Said once in a while: where ports are used up, every new call would say it.
    pub(super) fn no_port(&mut self, why: &str) -> NotOpened {
        let now = self.clock.now();
        if self.silent_until <= now {
            self.silent_until = now + SILENCE;
            tracing::warn!("no relay port: {why}");
        }
        NotOpened::NoPort
    }

    /// From now on the forwarder repeats this decision. If it can't, packets go on to take turns, slower and no different, until it
    /// can.
    pub(crate) fn install(&mut self, rule: Rule) {
        let (to_client, to_peer) = (self.mark(rule.to_client), self.mark(rule.to_peer));
        let peer = self.translation.bound(rule.peer);
        let Some(known) = self.places.rule(rule, peer, to_client, to_peer) else { return };
        match self.forwarder.install(RuleId(rule.id.0), known) {
            Ok(()) => drop(self.refused.remove(&rule.id)),
            Err(refused) if self.refused.insert(rule.id, rule).is_none() => {
                self.counts.refused_rules += 1;
                tracing::debug!("packets of a channel take turns: {refused}");
            }
            Err(_) => {}
        }
    }

    /// Names and addresses are told to those who look for a fault (debug), never to everybody's log.
    fn note(&mut self, event: &Event) {
        tracing::debug!(?event);
        let name = match event {
            Event::Allocated { .. } => "allocated",
            Event::Released { .. } => "released",
            Event::Forbidden { .. } => "forbidden",
            Event::SharedAddress { .. } => "shared-address",
            Event::QuotaReached { quota, site } => {
                self.tell_of_quota(*quota, site.as_deref());
                "quota-reached"
            }
            Event::CandidateCheck { .. } => {
                self.tell_of_noise();
                "candidate-check"
            }
            _ => "other",
        };
        let number = self.counts.events.entry(name).or_default();
        *number += 1;
        if matches!(event, Event::SharedAddress { .. }) && *number == 1 {
            tracing::warn!(
                "two users come from one address and port: something between them and the Edge translates addresses, and gave \
                 one away while it was in use; the later one has no relay"
            );
        }
    }

    /// Said once in a while for each limit: clients that are refused try again.
    fn tell_of_quota(&mut self, quota: Quota, site: Option<&str>) {
        let now = self.clock.now();
        let silent_until = self.quota_told_until.entry(quota).or_default();
        if *silent_until > now {
            return;
        }
        *silent_until = now + SILENCE;
        match (quota, site) {
            (Quota::User, _) => tracing::warn!("relay.allocations-per-user is reached by a user; 486"),
            (Quota::Site, site) => tracing::warn!(site, "relay.allocations-per-site is reached; 486"),
            (Quota::Relay, _) => tracing::warn!("relay.allocations is reached; 508"),
        }
    }

    /// So that nobody who sees such packets in the log of a firewall looks for an attacker.
    fn tell_of_noise(&mut self) {
        let now = self.clock.now();
        if self.noise_told_until <= now {
            self.noise_told_until = now + NOISE;
            tracing::info!(
                "candidate-check: a client asked for a private address that is not inside, as ICE has it; refused, no attack"
            );
        }
    }

    /// Who has allocated is no stranger: a flood of others' requests does not keep his out.
    fn vouch(&mut self, flow: Flow, is_proven: bool) {
        let Some(client) = self.places.client(flow) else { return };
        if is_proven { self.forwarder.trust(client) } else { self.forwarder.distrust(client) }
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= self.clock.now() || self.relay.live() == 0)
    }
}
