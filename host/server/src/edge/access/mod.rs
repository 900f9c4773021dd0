//! The Access Edge: the way of every SIP message between outside and inside. Read this file first.
//!
//! ```text
//!    receive ───► decide ─────► mark ───► send
//!    host/net     core/         core/qos  host/net
//!    sockets      signaling     the plan  sockets
//! ```
//!
//! It saves nothing: it knows no users, and what has to be found again stands in the messages.

mod directory;
mod start;
mod status;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use carillon_net::tls::is_for;
use carillon_net::transports::{Incoming, Transports};
use carillon_qos::TrafficClass;
use carillon_qos::plan::RolePolicy;
use carillon_signaling::access::{AccessEdge as Core, Event, Output, Reach};
use carillon_wire::ip::Dscp;

use directory::Directory;
pub(super) use start::open;
pub use status::{AccessStatus, PartnerRow, ServerRow};

use super::start::policy;
use super::unit::{Context, Part};
use crate::certificate::CertificateError;
use crate::certificate_facts::CertificateFacts;
use crate::clock::Clock;
use crate::config::{AccessConfig, EdgeConfig, Listening};
use crate::desk::{Orders, Service};
use crate::turn::proven;

/// How long what was sent last has to leave when the service stops.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A running Access Edge.
pub(super) struct AccessEdge {
    /// Sockets: bytes in, bytes out. Those towards the inside carry the mark of signaling, those outside none.
    transports: Transports,
    /// The edge proxy: messages in, wishes out. Knows no socket, no clock, no file.
    core: Core,
    /// What the plan says about an Edge.
    policy: RolePolicy,
    config: EdgeConfig,
    /// Where the next configuration is.
    context: Context,
    /// With the certificates that are shown there.
    listeners: Vec<(Listening, CertificateFacts)>,
    clock: Clock,
    orders: Orders<dyn Part>,
    /// Names that certificates may prove.
    names: Vec<String>,
    /// Partners whose Edges the DNS names, each with why it does not.
    by_name: BTreeMap<String, Option<String>>,
    directory: Option<Directory>,
    until: Option<Duration>,
    /// Messages that did not leave because the sockets carry another mark.
    unmarkable: u64,
}

impl AccessEdge {
    /// Turns until the service is stopped. An error ends it too: the sockets can't be waited for any more.
    fn run(mut self) -> io::Result<()> {
        self.look_up()?;
        while !self.is_over() {
            self.receive()?;
            self.decide();
        }
        Ok(())
    }

    /// Once it is to stop, nobody is waited for when nobody is there.
    fn is_over(&mut self) -> bool {
        let (Some(until), now) = (self.until, self.clock.now()) else { return false };
        if self.core.is_idle() {
            self.until = Some(until.min(now + LAST_WORDS));
        }
        now >= until
    }

    /// 1. **Receive.** Waits for the first message, a deadline or an order, and takes all messages that are there.
    fn receive(&mut self) -> io::Result<()> {
        let (clock, core, names) = (&self.clock, &mut self.core, &self.names);
        let next = [core.poll_timeout(), self.until].into_iter().flatten().min();
        let wait = next.map(|at| at.saturating_sub(clock.now()));
        let wait = if self.orders.are_waiting() { Some(Duration::ZERO) } else { wait };
        self.transports.poll(wait, &mut |incoming| {
            let now = clock.now();
            match incoming {
                Incoming::Message { flow, bytes } => core.handle_input(now, flow, bytes),
                Incoming::Wrong { flow, bytes, answer } => core.handle_wrong(flow, bytes, answer),
                Incoming::Connected { flow, certificate } => {
                    core.handle_connected(flow, &proven(certificate, names, is_for));
                }
                Incoming::Closed { flow } => core.handle_closed(now, flow),
                Incoming::Failed { transport, remote } => core.handle_failed(now, transport, remote),
                Incoming::Garbage { .. } | Incoming::Woken => {}
            }
        })
    }

    /// 2. **Decide.** Deadlines and one order; then what the core wishes is done, in its order.
    fn decide(&mut self) {
        if let Some(order) = self.orders.take() {
            order(self);
        }
        self.learn();
        let now = self.clock.now();
        if self.core.poll_timeout().is_some_and(|at| at <= now) {
            self.core.handle_timeout(now);
        }
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Transmit { to, class, bytes } if self.is_marked(class) => {
                    self.transports.send(to, bytes)
                }
                Output::Transmit { .. } => self.unmarkable += 1,
                Output::Trust(flow) => self.transports.trust(flow),
                Output::Introduce(flow) => {
                    let certificate = self.transports.certificate(&flow);
                    self.core.handle_connected(flow, &proven(certificate, &self.names, is_for));
                }
                Output::Event(event) => note(&event),
            }
        }
        self.transports.flush();
    }

    /// 3. **Mark.** Sockets were marked when they were made: for signaling inside, and not at all outside. A class with another
    ///    mark has no way out.
    fn is_marked(&self, class: Option<TrafficClass>) -> bool {
        class.is_none_or(|class| self.policy.mark(class) == self.mark())
    }

    fn mark(&self) -> Dscp {
        self.policy.mark(TrafficClass::Signaling)
    }
}

impl Service for AccessEdge {
    /// The plan, the partners and the certificates; the rest waits for a restart of this unit.
    fn reload(&mut self) {
        let new = EdgeConfig::clone(&self.context.config.borrow());
        self.policy = policy(&new.plan.plan);
        if let Err(error) = self.transports.set_mark(self.mark()) {
            tracing::error!("a socket of the Access Edge keeps its old mark: {error}");
        }
        if let Err(error) = self.adopt(&new) {
            tracing::error!("partners and certificates stay as they were: {}", crate::chain(&error));
        }
    }

    /// Nothing new is taken on, and who is connected has time to end calls; at once if asked again. What was sent just now
    /// still leaves.
    fn stop(&mut self) {
        let patience = match self.until {
            None => self.context.config.borrow().drain,
            Some(_) => Duration::ZERO,
        };
        self.core.drain();
        self.until = Some(self.clock.now() + patience.max(LAST_WORDS));
    }
}

impl AccessEdge {
    /// All of it or nothing. Connections that are up go on with what they have begun with.
    fn adopt(&mut self, new: &EdgeConfig) -> Result<(), CertificateError> {
        let (Some(now), Some(held)) = (&new.access, &self.config.access) else { return Ok(()) };
        let by_name = unnamed(now);
        let mut partners = now.partners.clone();
        for partner in partners.iter_mut().filter(|partner| by_name.contains_key(&partner.domain)) {
            // What was found for it holds until the DNS says otherwise.
            let known = held.partners.iter().find(|known| known.domain == partner.domain);
            partner.addresses = known.map(|known| known.addresses.clone()).unwrap_or_default();
        }
        let partner_authorities = now.partner_authorities.clone();
        let access = AccessConfig { partners, partner_authorities, ..held.clone() };
        let (certificate, internal_tls) = (new.certificate.clone(), new.internal_tls.clone());
        let config = EdgeConfig { certificate, internal_tls, ..self.config.clone() };
        let config = EdgeConfig { access: Some(access.clone()), ..config };
        let servers = start::servers(&config)?;
        let greetings = self.listeners.iter().map(|(one, _)| start::greeting(&config, &access, one));
        let greetings = greetings.collect::<Result<Vec<_>, _>>()?;
        for ((listening, facts), greeting) in self.listeners.iter_mut().zip(greetings) {
            self.transports.reload_tls(listening.address, greeting.tls);
            *facts = greeting.facts;
        }
        self.transports.set_servers(servers);
        self.core.set_partners(self.clock.now(), access.partners);
        self.names = self.core.names().map(str::to_owned).collect();
        self.config = config;
        self.by_name = by_name;
        self.look_up().map_err(|error| CertificateError::Refused(rustls::Error::General(error.to_string())))
    }
}

/// The partners without an address.
fn unnamed(access: &AccessConfig) -> BTreeMap<String, Option<String>> {
    let unnamed = access.partners.iter().filter(|partner| partner.addresses.is_empty());
    unnamed.map(|partner| (partner.domain.clone(), None)).collect()
}

/// Names and addresses are told to those who look for a fault (debug), but for partners, which the administrator has named.
fn note(event: &Event) {
    match event {
        Event::Partner { domain, state: Reach::Works } => {
            tracing::info!(domain, "both ways with the partner work")
        }
        Event::Partner { domain, state } => match state.advice() {
            Some((cause, fix)) => tracing::error!(domain, state = state.word(), "federation: {cause}; {fix}"),
            None => tracing::debug!(domain, state = state.word(), "partner"),
        },
        Event::NextHop { answers: true, .. } => tracing::info!("a server inside answers"),
        Event::NextHop { answers: false, .. } => tracing::error!(
            "a server inside does not answer: nobody outside can sign in by it; look whether it runs, and at its certificate"
        ),
        other => tracing::debug!(?other),
    }
}
