//! What the A/V Edge says of itself: for status, lists of ports, and metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_net::forward::Count;
use carillon_qos::TrafficClass;
use carillon_relay::{Tally, Transport, View};

use super::AvEdge;
use crate::config::Listening;
use crate::edge::status::{AllocationRow, Carried, EdgeListener, FastPathStatus, RelayStatus};
use crate::edge::unit::{Allocated, Facts, Part};
use crate::metrics::Page;

impl Part for AvEdge {
    fn facts(&self) -> Facts {
        let (counts, plan) = (self.relay.counts(), &self.estate.config.plan.plan);
        let relay = RelayStatus {
            relay_ports: plan.edge_ports().map(|ports| (ports.start(), ports.end())),
            allocations: counts.allocations,
            users: counts.users,
            sites: counts.sites,
            quotas: counts.quotas.iter().map(|(quota, number)| ((*quota).to_owned(), *number)).collect(),
            relayed: carried(counts.to_client, counts.to_peer),
            fast_path: self.fast_path(),
            shared_addresses: counts.shared_addresses,
            denied: counts.denied.iter().map(|(reason, number)| ((*reason).to_owned(), *number)).collect(),
            dropped: self.dropped(),
            marks: TrafficClass::MEDIA
                .map(|class| (class.name().to_owned(), self.policy.mark(class).value()))
                .to_vec(),
        };
        let listener = |listening: &Listening| match (&self.estate.shown, listening.transport) {
            (Some(facts), Transport::Tls) => EdgeListener::of(listening).showing(facts),
            _ => EdgeListener::of(listening),
        };
        let listeners = self.estate.listeners.iter().map(listener).collect();
        Facts { listeners, relay: Some(relay), ..Facts::default() }
    }

    fn allocations(&self) -> Vec<Allocated> {
        let now = self.clock.now();
        let mut allocations = Vec::new();
        for view in self.relay.allocations() {
            for relayed in &view.relayed {
                let Some(local) = self.places.port(relayed.port).and_then(|port| self.forwarder.port(port))
                else {
                    continue;
                };
                let class = view.class.map(|class| class.name().to_owned());
                let row = allocation_row(&view, relayed.until.saturating_sub(now));
                allocations.push(Allocated { local, is_stream: view.streams, class, row });
            }
        }
        allocations
    }

    fn metrics(&self) -> String {
        self.page()
    }
}

impl AvEdge {
    fn fast_path(&self) -> FastPathStatus {
        let (kernel, counts) = (self.forwarder.in_kernel(), self.forwarder.counts());
        let [to_clients, to_peers] =
            [Count::ToClientInKernel, Count::ToPeerInKernel].map(|count| counts.of(count));
        FastPathStatus {
            path: if kernel.is_some_and(|kernel| !kernel.has_ipsec) { "kernel" } else { "sockets" }
                .to_owned(),
            why_not: self.no_kernel.clone(),
            rules: kernel.map_or(0, |kernel| kernel.rules),
            rules_of_all: self.forwarder.rules(),
            interfaces: kernel.map_or(0, |kernel| kernel.interfaces),
            packets_to_clients: to_clients,
            packets_to_peers: to_peers,
        }
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

    fn page(&self) -> String {
        let (mut page, counts) = (Page(String::new()), self.relay.counts());
        page.one("relay_allocations", "gauge", "Allocations that run.", counts.allocations);
        page.one("relay_users", "gauge", "Users that have allocations.", counts.users);
        page.many(
            "relay_site_ports",
            "gauge",
            "Relayed ports that a site's users hold.",
            "site",
            counts.sites,
        );
        page.many(
            "relay_quota_reached_total",
            "counter",
            "Allocations that were refused, by the limit that was reached.",
            "quota",
            counts.quotas,
        );
        page.one("relay_ports", "gauge", "Relayed ports, open or reserved.", counts.ports);
        page.one(
            "relay_rules",
            "gauge",
            "Channels that are forwarded without a turn.",
            self.forwarder.rules(),
        );
        page.one("relay_links", "gauge", "Connections with peers.", counts.links);
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
        let path = self.fast_path();
        page.one(
            "relay_rules_in_kernel",
            "gauge",
            "Of the rules, those that the kernel carries.",
            path.rules,
        );
        let packets = [("to_client", path.packets_to_clients), ("to_peer", path.packets_to_peers)];
        let help = "Of the packets relayed, those that the kernel carried.";
        page.many("relay_packets_in_kernel_total", "counter", help, "direction", packets);
        let connections = self.forwarder.connections().unwrap_or_default();
        let connections = connections.iter().map(|(count, number)| (count.name(), number));
        page.many(
            "relay_connections_total",
            "counter",
            "What became of connections.",
            "outcome",
            connections,
        );
        let events = self.counts.events.iter();
        page.many("relay_events_total", "counter", "What happened.", "event", events);
        let refused = self.counts.refused_rules;
        page.one("relay_refused_rules_total", "counter", "Channels whose packets take turns.", refused);
        page.0
    }
}

fn is_loss(count: Count) -> bool {
    use Count::{Recognised, Segmented, ToClient, ToPeer, UnknownFromClient, UnknownFromPeer};
    use Count::{ToClientInKernel, ToPeerInKernel};
    let is_carried = matches!(count, ToClient | ToPeer | ToClientInKernel | ToPeerInKernel);
    !is_carried && !matches!(count, UnknownFromClient | UnknownFromPeer | Recognised | Segmented)
}

fn allocation_row(view: &View<'_>, left: Duration) -> AllocationRow {
    AllocationRow {
        user: view.user.to_owned(),
        site: view.site.map(str::to_owned),
        client: view.flow.remote,
        ends_in: left.as_secs(),
        permissions: view.permissions,
        peers: view.channels.iter().map(|(_, peer)| *peer).chain(view.links.iter().copied()).collect(),
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
