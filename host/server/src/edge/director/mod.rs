//! The Director: the way of every SIP message between Edges and Front Ends, and between Front Ends.
//!
//! ```text
//!    receive ───► decide ─────► mark ───► send
//!    host/net     core/         core/qos  host/net
//!    sockets      signaling     the plan  sockets
//! ```
//!
//! It saves nothing: who is at home where the Front Ends tell it again after a restart.

mod status;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_net::tls::asking_server_config;
use carillon_net::transports::{Incoming, Limits, Server, Transports};
use carillon_qos::plan::{RolePolicy, Scope};
use carillon_qos::{Plan, Role, TrafficClass};
use carillon_signaling::director::{Config, Director as Core, Event, Output};
use carillon_wire::sip::{self, Transport};

pub use status::{DirectorStatus, GroupRow, PeerRow};

use super::start::StartError;
use super::unit::{Context, Opened, Part, Unit};
use crate::certificate::{self, CertificateError, Greeting, internal, is_ours};
use crate::certificate_facts::CertificateFacts;
use crate::clock::Clock;
use crate::config::{DirectorConfig, EdgeConfig, Listening};
use crate::desk::{Desk, Health, Orders, Service};
use crate::turn::proven;

/// How long what was sent last has to leave when the service stops. No dialog ends with it.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A running Director.
struct Director {
    /// Sockets: bytes in, bytes out, with the mark of signaling.
    transports: Transports,
    /// The proxy: messages in, wishes out. Knows no socket, no clock, no file.
    core: Core,
    /// Where the next configuration is.
    context: Context,
    listener: (Listening, CertificateFacts),
    /// With which it was opened.
    director: DirectorConfig,
    clock: Clock,
    orders: Orders<dyn Part>,
    /// Names that certificates may prove.
    names: Vec<String>,
    until: Option<Duration>,
}

/// Opens everything.
pub(super) fn open(context: &Context) -> Result<Opened, StartError> {
    let (clock, config) = (Clock::start(), EdgeConfig::clone(&context.config.borrow()));
    let missing = || StartError::Certificate(CertificateError::Missing("director"));
    let director = config.director.clone().ok_or_else(missing)?;
    let mark = policy(&config.plan.plan).mark(TrafficClass::Signaling);
    let mut transports = Transports::new(mark, Limits::default()).map_err(StartError::Kernel)?;
    let Greeting { tls, facts } = greeting(&config).map_err(StartError::Certificate)?;
    let wanted = config.listening(Unit::Director).into_iter().next().ok_or_else(missing)?;
    let address = transports.listen(Transport::Tls, wanted.address, Some(tls)).map_err(StartError::Bind)?;
    transports.set_servers(servers(&config, &director).map_err(StartError::Certificate)?);
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(StartError::Random)?;
    let core = Core::new(core(&config.name, &director, address), seed, clock.now());
    let (desk, orders) = Desk::new(transports.waker(), Arc::new(Health::default()));
    let names = core.names().map(str::to_owned).collect();
    let (context, listener) = (context.clone(), (Listening { address, ..wanted }, facts));
    let unit = Director { transports, core, context, listener, director, clock, orders, names, until: None };
    Ok(Opened { desk, run: Box::new(move || unit.run()) })
}

/// What the plan says of a server inside.
fn policy(plan: &Plan) -> RolePolicy {
    plan.policy(Role::Conferencing, &Scope::default())
}

/// What is shown to whoever connects, who is asked for a certificate.
fn greeting(config: &EdgeConfig) -> Result<Greeting, CertificateError> {
    let (identity, trusted) = internal(config)?;
    Greeting::of(&identity, asking_server_config(&identity, &trusted))
}

/// How Edges and Front Ends are connected to.
fn servers(
    config: &EdgeConfig,
    director: &DirectorConfig,
) -> Result<BTreeMap<SocketAddr, Server>, CertificateError> {
    let (identity, trusted) = internal(config)?;
    let mut all = BTreeMap::new();
    for group in director.edge.iter().chain(&director.front_ends) {
        all.extend(certificate::own_servers(&identity, &trusted, &group.name, &group.addresses)?);
    }
    Ok(all)
}

/// The core's part of the configuration.
fn core(name: &str, director: &DirectorConfig, address: SocketAddr) -> Config {
    let DirectorConfig { domains, edge, front_ends, probe, .. } = director.clone();
    Config {
        name: name.to_owned(),
        domains,
        transport: Transport::Tls,
        address,
        advertised: address.to_string(),
        edge,
        front_ends,
        probe,
        message: sip::Limits::default(),
    }
}

impl Director {
    /// Turns until the service is stopped. An error ends it too: the sockets can't be waited for any more.
    fn run(mut self) -> io::Result<()> {
        while self.until.is_none_or(|until| self.clock.now() < until) {
            self.receive()?;
            self.decide();
        }
        Ok(())
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
                    core.handle_connected(flow, &proven(certificate, names, is_ours));
                }
                Incoming::Closed { flow } => core.handle_closed(now, flow),
                Incoming::Failed { transport, remote } => core.handle_failed(now, transport, remote),
                Incoming::Garbage { .. } | Incoming::Woken => {}
            }
        })
    }

    /// 2. **Decide.** Deadlines and one order; then what the core wishes is done, in its order. The sockets are marked: 3. **Mark.**
    fn decide(&mut self) {
        if let Some(order) = self.orders.take() {
            order(self);
        }
        let now = self.clock.now();
        if self.core.poll_timeout().is_some_and(|at| at <= now) {
            self.core.handle_timeout(now);
        }
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Transmit { to, bytes } => self.transports.send(to, bytes),
                Output::Trust(flow) => self.transports.trust(flow),
                Output::Event(event) => note(&event),
            }
        }
        self.transports.flush();
    }

    /// All of it or nothing. Connections that are up go on with what they have begun with.
    fn adopt(&mut self, new: &EdgeConfig) -> Result<(), CertificateError> {
        let (servers, greeting) = (servers(new, &self.director)?, greeting(new)?);
        self.transports.set_servers(servers);
        self.transports.reload_tls(self.listener.0.address, greeting.tls);
        self.listener.1 = greeting.facts;
        Ok(())
    }
}

impl Service for Director {
    /// The plan and the certificates; the rest waits for a restart.
    fn reload(&mut self) {
        let new = EdgeConfig::clone(&self.context.config.borrow());
        if let Err(error) = self.transports.set_mark(policy(&new.plan.plan).mark(TrafficClass::Signaling)) {
            tracing::error!("a socket of the Director keeps its old mark: {error}");
        }
        if let Err(error) = self.adopt(&new) {
            tracing::error!("certificates stay as they were: {}", crate::chain(&error));
        }
    }

    /// Nothing new is taken on; what was sent just now still leaves.
    fn stop(&mut self) {
        self.core.drain();
        self.until = Some(self.clock.now() + LAST_WORDS);
    }
}

fn note(event: &Event) {
    match event {
        Event::Server { name, answers: true, .. } => tracing::info!(server = name, "a server answers"),
        Event::Server { name, answers: false, .. } => tracing::error!(
            server = name,
            "a server does not answer: look whether it runs, and at its certificate and ours"
        ),
        Event::Homes { name, users } => tracing::info!(server = name, users, "who is at home there is known"),
        Event::TooMany { name } => {
            tracing::error!(
                server = name,
                "it has more users than are held here; those beyond are not found"
            );
        }
        other => tracing::debug!(?other),
    }
}
