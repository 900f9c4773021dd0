//! What an Edge is doing: for `carillon status`, `carillon edge ports`, scripts and Prometheus.
//!
//! The supervisor is asked what runs, and then every unit that does is asked for itself: one that is stuck holds up no other.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use carillon_net::open_sockets::{self, OpenSocket};
use serde::{Deserialize, Serialize};

pub use super::access::{AccessStatus, PartnerRow, ServerRow};
pub use super::director::{DirectorStatus, GroupRow, PeerRow};
use super::supervisor::{Edge, Slot, State, off};
use super::unit::{Allocated, Unit};
use crate::certificate_facts::CertificateFacts;
use crate::config::Listening;
use crate::desk::{Busy, Desk, Watched};
use crate::metrics::Page;
use crate::{clock, warnings};

/// A picture of the moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EdgeStatus {
    /// `edge` or `director`.
    pub role: String,
    /// Version of the program.
    pub program: String,
    /// Seconds since it was started.
    pub uptime: u64,
    /// What will be trouble if nobody does anything.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Whether it is being stopped: no new allocations.
    pub stopping: bool,
    /// Its name, or its pool's, towards the inside.
    pub name: String,
    /// The name of the plan.
    pub plan: String,
    /// Every service that an Edge may have.
    pub units: Vec<UnitRow>,
    /// Where clients and servers reach it.
    pub listeners: Vec<EdgeListener>,
    /// The settings that the Replica has taken, if there is one.
    pub settings: Option<SettingsStatus>,
    /// What the Web Conferencing Edge does, while it runs.
    pub conferencing: Option<ConferencingStatus>,
    /// What the A/V Edge does, while it runs.
    #[serde(flatten)]
    pub relay: Option<RelayStatus>,
    /// Whom the Access Edge connects, while it runs.
    #[serde(default)]
    pub access: Option<AccessStatus>,
    /// Whom a Director connects, while it runs.
    #[serde(default)]
    pub director: Option<DirectorStatus>,
}

/// A service of an Edge.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UnitRow {
    /// Which.
    pub unit: Unit,
    /// Its name as administrators know it.
    pub service: String,
    /// What it is doing.
    pub state: UnitState,
    /// Seconds since it began to.
    pub since: u64,
    /// How often it was started.
    pub starts: u64,
    /// Why it is off, how it failed and when it is tried again, what waits for its restart.
    pub note: Option<String>,
}

/// What a service of an Edge is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitState {
    /// The configuration does not ask for it.
    Off,
    /// It serves.
    Running,
    /// It runs, and can't do what it should.
    Impaired,
    /// It runs, and does not answer.
    Stuck,
    /// It has been told to stop and lets go of what runs.
    Stopping,
    /// It has stopped.
    Stopped,
    /// It could not be started, or ended; it is tried again.
    Failed,
}

/// What the Replica has taken.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SettingsStatus {
    /// The version that holds; `None`: none has come, and the plan of the configuration holds.
    pub version: Option<u64>,
    /// Seconds from when it held inside to when it held here, by both clocks; `None` if that was before the start.
    pub lag: Option<f64>,
}

/// What the Web Conferencing Edge does.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ConferencingStatus {
    /// Connections that are open.
    pub connections: usize,
    /// Connections that have reached the inside since the start.
    pub served: u64,
    /// Connections that have not, by the reason.
    pub refused: BTreeMap<String, u64>,
    /// The servers inside.
    pub inside: Vec<InsideRow>,
}

/// A server inside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InsideRow {
    /// Where.
    pub address: SocketAddr,
    /// Why it did not answer the last time; `None` if it did.
    pub error: Option<String>,
}

/// What the A/V Edge does.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RelayStatus {
    /// The plan's relay ports: first and last.
    pub relay_ports: Option<(u16, u16)>,
    /// Allocations that run.
    pub allocations: usize,
    /// Users that have some.
    pub users: usize,
    /// Relayed ports that users of a site hold, by site.
    #[serde(default)]
    pub sites: BTreeMap<String, u32>,
    /// Allocations that were refused, by the limit that was reached: of a user, of a site, of the relay.
    #[serde(default)]
    pub quotas: BTreeMap<String, u64>,
    /// Packets and bytes relayed since the start.
    pub relayed: Carried,
    /// What carries media of bound channels.
    #[serde(default)]
    pub fast_path: FastPathStatus,
    /// Proven requests from the address and port of another user's allocation: addresses are translated before the Edge.
    #[serde(default)]
    pub shared_addresses: u64,
    /// Requests that proved nothing, by the reason. The first request of every client is one.
    pub denied: BTreeMap<String, u64>,
    /// What was dropped, by the name of its counter.
    pub dropped: BTreeMap<String, u64>,
    /// The mark that each class of media leaves with towards the inside, from 0 to 63.
    pub marks: Vec<(String, u8)>,
}

/// What carries media of bound channels.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct FastPathStatus {
    /// `kernel`, or `sockets`.
    pub path: String,
    /// Why it is not the kernel, although the configuration says so.
    pub why_not: Option<String>,
    /// Channels that the kernel carries now.
    pub rules: usize,
    /// All channels that are carried by a rule now.
    pub rules_of_all: usize,
    /// Interfaces that the kernel's program is attached to.
    pub interfaces: usize,
    /// Of the packets relayed to clients, those that the kernel has carried.
    pub packets_to_clients: u64,
    /// Of the packets relayed to peers, those that the kernel has carried.
    pub packets_to_peers: u64,
}

/// A place where clients reach an Edge.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EdgeListener {
    /// Which service listens.
    pub service: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// Where.
    pub address: SocketAddr,
    /// The class of what is allocated there, if it is only one.
    pub class: Option<String>,
    /// The certificate that is shown there, as it holds for connections that come now.
    #[serde(default)]
    pub certificate: Option<CertificateFacts>,
}

/// Both directions of something.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Carried {
    /// Packets to clients.
    pub packets_to_clients: u64,
    /// Their payload, in bytes.
    pub bytes_to_clients: u64,
    /// Packets to peers.
    pub packets_to_peers: u64,
    /// Their payload, in bytes.
    pub bytes_to_peers: u64,
}

/// A socket of the process, as the kernel lists it, and what it is for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PortRow {
    /// `udp` or `tcp`.
    pub transport: String,
    /// What it is bound to.
    pub address: SocketAddr,
    /// Which service opened it; `None`: nobody knows, which is a fault to report.
    pub service: Option<String>,
    /// Its class, if it has only one.
    pub class: Option<String>,
    /// The allocation that it was opened for.
    pub allocation: Option<AllocationRow>,
}

/// An allocation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AllocationRow {
    /// Whose.
    pub user: String,
    /// The user's site, if the credential says one.
    #[serde(default)]
    pub site: Option<String>,
    /// Where the client is.
    pub client: SocketAddr,
    /// Seconds until it ends, unless it is refreshed.
    pub ends_in: u64,
    /// How many peers may send.
    pub permissions: usize,
    /// The peers of its channels, and those that it has connections with.
    pub peers: Vec<SocketAddr>,
    /// What it carried.
    pub carried: Carried,
}

/// All of it, with what every unit that runs says of itself.
pub(crate) async fn picture(desk: &Desk<Edge>) -> Result<EdgeStatus, Busy> {
    let (mut status, units) = desk.ask(|edge| (edge.status(), edge.desks())).await?;
    for (unit, desk) in units {
        match desk.ask(|part| part.facts()).await {
            Ok(facts) => {
                status.listeners.extend(facts.listeners);
                status.relay = status.relay.or(facts.relay);
                status.access = status.access.or(facts.access);
                status.director = status.director.or(facts.director);
                status.conferencing = status.conferencing.or(facts.conferencing);
                if let Some(why) = facts.impaired {
                    status.find(unit, UnitState::Impaired, why);
                }
            }
            Err(Busy) => status.find(unit, UnitState::Stuck, "it does not answer".to_owned()),
        }
    }
    let now = warnings::seconds(clock::wall());
    let shown = status.listeners.iter().filter_map(|listener| listener.certificate.as_ref());
    status.warnings = shown.filter_map(|facts| facts.warning(now)).collect();
    status.warnings.sort_unstable();
    status.warnings.dedup();
    Ok(status)
}

/// Every socket of this process by the kernel's list, with what it is for by ours.
pub(crate) async fn ports(desk: &Desk<Edge>) -> Result<Vec<PortRow>, Busy> {
    let (metrics, units) = desk.ask(|edge| (edge.config.borrow().metrics, edge.desks())).await?;
    let (mut listeners, mut allocations) = (Vec::new(), BTreeMap::new());
    for (unit, desk) in units {
        let (facts, allocated) = desk.ask(|part| (part.facts(), part.allocations())).await?;
        listeners.extend(facts.listeners);
        let place = |allocated: &Allocated| (allocated.is_stream, allocated.local);
        allocations.extend(allocated.into_iter().map(|allocated| (place(&allocated), (unit, allocated))));
    }
    let sockets = open_sockets::of_this_process();
    let bound = sockets.iter().filter(|socket| !socket.is_stream || socket.listens);
    let row = |socket: &OpenSocket| {
        port_row(socket, &listeners, allocations.get(&(socket.is_stream, socket.local)), metrics)
    };
    Ok(bound.map(row).collect())
}

fn port_row(
    socket: &OpenSocket,
    listeners: &[EdgeListener],
    allocation: Option<&(Unit, Allocated)>,
    metrics: Option<SocketAddr>,
) -> PortRow {
    let is_it = |listener: &&EdgeListener| {
        listener.address == socket.local && (listener.transport != "udp") == socket.is_stream
    };
    let listener = listeners.iter().find(is_it);
    let metrics = metrics.filter(|address| socket.is_stream && *address == socket.local);
    let service = listener.map(|listener| listener.service.clone());
    let service = service.or_else(|| Some(allocation?.0.name().to_owned()));
    let class = listener.and_then(|listener| listener.class.clone());
    PortRow {
        transport: if socket.is_stream { "tcp" } else { "udp" }.to_owned(),
        address: socket.local,
        service: service.or_else(|| metrics.map(|_| "metrics".to_owned())),
        class: class.or_else(|| allocation?.1.class.clone()),
        allocation: allocation.map(|(_, allocated)| allocated.row.clone()),
    }
}

impl Watched for Edge {
    const TROUBLE: &'static str = "a service has failed; the log says which and why";

    async fn beat(desk: &Desk<Edge>) -> Result<(), Busy> {
        for (_, unit) in desk.ask(|edge| edge.desks()).await? {
            unit.ask(|_| ()).await?;
        }
        Ok(())
    }

    /// A unit that does not answer is missing there.
    async fn metrics(desk: &Desk<Edge>) -> Result<String, Busy> {
        let (mut page, units) = desk.ask(|edge| (edge.page(), edge.desks())).await?;
        for (_, unit) in units {
            page.push_str(&unit.ask(|part| part.metrics()).await.unwrap_or_default());
        }
        Ok(page)
    }
}

impl Edge {
    fn status(&self) -> EdgeStatus {
        let (now, config) = (self.clock.now(), self.config.borrow());
        EdgeStatus {
            role: if config.director.is_some() { "director" } else { "edge" }.to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: now.saturating_sub(self.clock.started()).as_secs(),
            warnings: Vec::new(),
            stopping: self.is_stopping(),
            name: config.name.clone(),
            plan: config.plan.plan.name().to_owned(),
            units: self.slots.iter().map(|slot| self.row(slot)).collect(),
            listeners: Vec::new(),
            settings: config.replica.is_some().then(|| SettingsStatus {
                version: self.held.as_ref().map(|held| held.version),
                lag: self.held.as_ref().and_then(|held| held.lag),
            }),
            conferencing: None,
            relay: None,
            access: None,
            director: None,
        }
    }

    /// How a unit is.
    pub(crate) fn unit(&self, unit: Unit) -> Option<UnitRow> {
        self.slots.iter().find(|slot| slot.unit == unit).map(|slot| self.row(slot))
    }

    fn row(&self, slot: &Slot) -> UnitRow {
        let now = self.clock.now();
        let (state, note) = match &slot.state {
            State::Off => (UnitState::Off, Some(off(slot.unit))),
            State::Running(running) => {
                let config = self.config.borrow();
                let keys: Vec<&str> = running.config.waits(&config, Some(slot.unit)).collect();
                let note = (!keys.is_empty()).then(|| format!("waits for a restart: {}", keys.join(", ")));
                (UnitState::Running, note)
            }
            State::Stopping { again: true, .. } => {
                (UnitState::Stopping, Some("starts again after that".to_owned()))
            }
            State::Stopping { again: false, .. } => (UnitState::Stopping, None),
            State::Stopped => (UnitState::Stopped, None),
            State::Failed { why, retry } => {
                let seconds = retry.saturating_sub(now).as_secs_f64().ceil();
                (UnitState::Failed, Some(format!("{why}; tried again in {seconds} s")))
            }
        };
        let since = now.saturating_sub(slot.since).as_secs();
        let (unit, starts) = (slot.unit, slot.starts);
        UnitRow { unit, service: unit.name().to_owned(), state, since, starts, note }
    }

    fn page(&self) -> String {
        let mut page = Page(String::new());
        let started = self.clock.started().as_secs();
        page.one("start_time_seconds", "gauge", "When the server was started.", started);
        let wanted = self.slots.iter().filter(|slot| !matches!(slot.state, State::Off));
        let up = wanted.clone().map(|slot| (slot.unit.word(), u8::from(slot.running().is_some())));
        page.many("unit_up", "gauge", "1 while this service of the Edge runs.", "unit", up);
        let starts = wanted.map(|slot| (slot.unit.word(), slot.starts));
        page.many("unit_starts_total", "counter", "How often it was started.", "unit", starts);
        if let Some(held) = &self.held {
            page.one("plan_version", "gauge", "Version of the plan that the Replica holds.", held.version);
        }
        page.0
    }
}

impl EdgeStatus {
    /// What was found out about a unit that runs.
    fn find(&mut self, unit: Unit, state: UnitState, note: String) {
        for row in self.units.iter_mut().filter(|row| row.unit == unit && row.state == UnitState::Running) {
            (row.state, row.note) = (state, Some(note.clone()));
        }
    }
}

impl EdgeListener {
    /// An open one.
    pub(crate) fn of(listening: &Listening) -> EdgeListener {
        EdgeListener {
            service: listening.unit.name().to_owned(),
            transport: listening.transport.name().to_owned(),
            address: listening.address,
            class: listening.class.map(|class| class.name().to_owned()),
            certificate: None,
        }
    }

    /// With the certificate that is shown there.
    pub(crate) fn showing(self, facts: &CertificateFacts) -> EdgeListener {
        EdgeListener { certificate: Some(facts.clone()), ..self }
    }
}
