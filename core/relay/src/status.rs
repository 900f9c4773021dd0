//! What there is now, for status and tests.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_qos::TrafficClass;

use crate::allocation::Allocation;
use crate::contract::{Flow, PortId, Tally};
use crate::counts::Counts;
use crate::relay::Relay;

/// An allocation, seen from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View<'a> {
    /// Whose.
    pub user: &'a str,
    /// The user's site, if the credential names one.
    pub site: Option<&'a str>,
    /// Where the client is.
    pub flow: Flow,
    /// The class of all that it carries, if its credential or its listener says one.
    pub class: Option<TrafficClass>,
    /// Its ports.
    pub relayed: Vec<Relayed>,
    /// How many peers may send.
    pub permissions: usize,
    /// Its ports are of TCP.
    pub streams: bool,
    /// The peers that it has connections with.
    pub links: Vec<SocketAddr>,
    /// The peers of its channels, by number.
    pub channels: Vec<(u16, SocketAddr)>,
    /// What it carried to the client.
    pub to_client: Tally,
    /// What it carried to peers.
    pub to_peer: Tally,
}

/// A relayed port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relayed {
    /// Its number at the host.
    pub port: PortId,
    /// Its address as peers reach it.
    pub address: SocketAddr,
    /// When it ends.
    pub until: Duration,
}

impl Relay {
    /// All allocations whose ports are open, in no meaningful order.
    pub fn allocations(&self) -> impl Iterator<Item = View<'_>> {
        self.table
            .allocations()
            .filter(|allocation| allocation.opening.is_none())
            .map(|allocation| self.view(allocation))
    }

    /// How many allocations there are.
    pub fn live(&self) -> usize {
        self.table.len()
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        Counts {
            allocations: self.table.len(),
            ports: self.users.ports(),
            users: self.users.users(),
            sites: self.users.sites().map(|(site, ports)| (site.to_owned(), ports)).collect(),
            links: self.links.len(),
            ..self.counts.clone()
        }
    }

    fn view<'a>(&self, allocation: &'a Allocation) -> View<'a> {
        let relayed =
            |leg: &crate::allocation::Leg| Relayed { port: leg.port, address: leg.relayed, until: leg.until };
        View {
            user: &allocation.user,
            site: allocation.site.as_ref().map(|(site, _)| &**site),
            flow: allocation.flow,
            class: allocation.class.or_else(|| self.class_of_listener(&allocation.flow)),
            relayed: allocation.legs().map(relayed).collect(),
            permissions: allocation.permissions.len(),
            streams: allocation.streams,
            links: allocation.links.iter().map(|link| link.peer).collect(),
            channels: allocation.channels.iter().map(|channel| (channel.number, channel.peer)).collect(),
            to_client: allocation.to_client,
            to_peer: allocation.to_peer,
        }
    }
}
