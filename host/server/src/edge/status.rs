//! What an Edge is doing: for `carillon status`, `carillon edge ports` and scripts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use carillon_net::forward::Count;
use carillon_net::open_sockets::{self, OpenSocket};
use carillon_qos::TrafficClass;
use carillon_relay::{Credential, Tally, View, issue};
use serde::{Deserialize, Serialize};

use super::av::AvEdge;
use super::start::Bound;
use crate::metrics::Page;

/// The name of the service that relays media.
const AV_EDGE: &str = "A/V Edge";

/// A picture of the moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EdgeStatus {
    /// Always `edge`.
    pub role: String,
    /// Version of the program.
    pub program: String,
    /// Seconds since it was started.
    pub uptime: u64,
    /// Whether it is being stopped: no new allocations.
    pub stopping: bool,
    /// Its name, or its pool's, towards the inside.
    pub name: String,
    /// The name of the plan.
    pub plan: String,
    /// Where clients reach it.
    pub listeners: Vec<EdgeListener>,
    /// The plan's relay ports: first and last.
    pub relay_ports: Option<(u16, u16)>,
    /// Allocations that run.
    pub allocations: usize,
    /// Users that have some.
    pub users: usize,
    /// Packets and bytes relayed since the start.
    pub relayed: Carried,
    /// Requests that proved nothing, by the reason. The first request of every client is one.
    pub denied: BTreeMap<String, u64>,
    /// What was dropped, by the name of its counter.
    pub dropped: BTreeMap<String, u64>,
    /// The mark that each class of media leaves with towards the inside, from 0 to 63.
    pub marks: Vec<(String, u8)>,
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
    /// Where the client is.
    pub client: SocketAddr,
    /// Seconds until it ends, unless it is refreshed.
    pub ends_in: u64,
    /// How many peers may send.
    pub permissions: usize,
    /// The peers of its channels.
    pub peers: Vec<SocketAddr>,
    /// What it carried.
    pub carried: Carried,
}

impl AvEdge {
    /// A picture of now.
    pub(crate) fn status(&self) -> EdgeStatus {
        let (counts, config, now) = (self.relay.counts(), &self.estate.config, self.clock.now());
        let plan = &config.plan.plan;
        EdgeStatus {
            role: "edge".to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: now.saturating_sub(self.clock.started()).as_secs(),
            stopping: self.until.is_some(),
            name: config.name.clone(),
            plan: plan.name().to_owned(),
            listeners: self.estate.listeners.iter().map(listener).collect(),
            relay_ports: plan.edge_ports().map(|ports| (ports.start(), ports.end())),
            allocations: counts.allocations,
            users: counts.users,
            relayed: carried(counts.to_client, counts.to_peer),
            denied: counts.denied.iter().map(|(reason, number)| ((*reason).to_owned(), *number)).collect(),
            dropped: self.dropped(),
            marks: TrafficClass::MEDIA
                .map(|class| (class.name().to_owned(), self.policy.mark(class).value()))
                .to_vec(),
        }
    }

    /// Every socket of this process by the kernel's list, with what it is for by ours.
    pub(crate) fn ports(&self) -> Vec<PortRow> {
        let now = self.clock.now();
        let views: Vec<View<'_>> = self.relay.allocations().collect();
        let mut allocations = BTreeMap::new();
        for view in &views {
            for relayed in &view.relayed {
                let local = self.places.port(relayed.port).and_then(|port| self.forwarder.port(port));
                allocations.extend(local.map(|local| (local, (view, relayed.until.saturating_sub(now)))));
            }
        }
        let sockets = open_sockets::of_this_process();
        let bound = sockets.iter().filter(|socket| !socket.is_stream || socket.listens);
        bound.map(|socket| self.port_row(socket, allocations.get(&socket.local))).collect()
    }

    fn port_row(&self, socket: &OpenSocket, allocation: Option<&(&View<'_>, Duration)>) -> PortRow {
        let listener =
            self.estate.listeners.iter().find(|bound| {
                bound.address == socket.local && bound.transport.is_stream() == socket.is_stream
            });
        let metrics =
            self.estate.config.metrics.filter(|address| socket.is_stream && *address == socket.local);
        let class =
            listener.and_then(|bound| bound.class).or_else(|| allocation.and_then(|(view, _)| view.class));
        let service = match (listener.is_some() || allocation.is_some(), metrics) {
            (true, _) => Some(AV_EDGE),
            (false, Some(_)) => Some("metrics"),
            (false, None) => None,
        };
        PortRow {
            transport: if socket.is_stream { "tcp" } else { "udp" }.to_owned(),
            address: socket.local,
            service: service.map(str::to_owned),
            class: class.map(|class| class.name().to_owned()),
            allocation: allocation.map(|(view, left)| allocation_row(view, *left)),
        }
    }

    /// A credential of the first secret; `None` without one.
    pub(crate) fn credential(
        &self,
        user: &str,
        class: Option<TrafficClass>,
        lifetime: Duration,
    ) -> Option<Credential> {
        let secret = self.estate.config.secrets.first()?;
        Some(issue(&secret.0, user, class, self.clock.now() + lifetime))
    }

    /// By the core and by the forwarder.
    fn dropped(&self) -> BTreeMap<String, u64> {
        let core = self.relay.counts().dropped;
        let mut dropped: BTreeMap<String, u64> =
            core.into_iter().map(|(name, number)| (name.to_owned(), number)).collect();
        for (count, number) in self.forwarder.counts().iter().filter(|(count, _)| is_loss(*count)) {
            *dropped.entry(count.name().replace('_', "-")).or_default() += number;
        }
        dropped.retain(|_, number| *number > 0);
        dropped
    }

    /// The page of metrics.
    pub(crate) fn metrics(&self) -> String {
        let (mut page, counts) = (Page(String::new()), self.relay.counts());
        let started = self.clock.started().as_secs();
        page.one("start_time_seconds", "gauge", "When the server was started.", started);
        page.one("relay_allocations", "gauge", "Allocations that run.", counts.allocations);
        page.one("relay_users", "gauge", "Users that have allocations.", counts.users);
        page.one("relay_ports", "gauge", "Relayed ports, open or reserved.", counts.ports);
        page.one(
            "relay_rules",
            "gauge",
            "Channels that are forwarded without a turn.",
            self.forwarder.rules(),
        );
        page.one("relay_allocated_total", "counter", "Allocations since the start.", counts.allocated);
        page.many("relay_requests_total", "counter", "Requests received.", "method", counts.requests);
        page.many("relay_successes_total", "counter", "Requests granted.", "method", counts.successes);
        page.many("relay_errors_total", "counter", "Requests refused.", "code", counts.errors);
        page.many("relay_denied_total", "counter", "Requests that proved nothing.", "reason", counts.denied);
        let packets = [("to_client", counts.to_client.packets), ("to_peer", counts.to_peer.packets)];
        page.many("relay_packets_total", "counter", "Packets relayed.", "direction", packets);
        let bytes = [("to_client", counts.to_client.bytes), ("to_peer", counts.to_peer.bytes)];
        page.many("relay_bytes_total", "counter", "Payload relayed.", "direction", bytes);
        page.many("relay_dropped_total", "counter", "Packets dropped.", "reason", self.dropped());
        let events = self.counts.events.iter();
        page.many("relay_events_total", "counter", "What happened.", "event", events);
        let refused = self.counts.refused_rules;
        page.one("relay_refused_rules_total", "counter", "Channels whose packets take turns.", refused);
        page.0
    }
}

fn is_loss(count: Count) -> bool {
    use Count::{Segmented, ToClient, ToPeer, UnknownFromClient, UnknownFromPeer};
    !matches!(count, ToClient | ToPeer | UnknownFromClient | UnknownFromPeer | Segmented)
}

fn listener(bound: &Bound) -> EdgeListener {
    let class = bound.class.map(|class| class.name().to_owned());
    let transport = bound.transport.name().to_owned();
    EdgeListener { service: AV_EDGE.to_owned(), transport, address: bound.address, class }
}

fn allocation_row(view: &View<'_>, left: Duration) -> AllocationRow {
    AllocationRow {
        user: view.user.to_owned(),
        client: view.flow.remote,
        ends_in: left.as_secs(),
        permissions: view.permissions,
        peers: view.channels.iter().map(|(_, peer)| *peer).collect(),
        carried: carried(view.to_client, view.to_peer),
    }
}

fn carried(to_client: Tally, to_peer: Tally) -> Carried {
    Carried {
        packets_to_clients: to_client.packets,
        bytes_to_clients: to_client.bytes,
        packets_to_peers: to_peer.packets,
        bytes_to_peers: to_peer.bytes,
    }
}
