//! What the core and the forwarder call by different numbers: listeners, relayed ports.

use std::collections::HashMap;
use std::net::SocketAddr;

use carillon_net::forward::{self, Client, ListenerId};
use carillon_net::lease::Reserved;
use carillon_relay::{Flow, PortId, Rule, Transport};
use carillon_wire::ip::Dscp;

/// The numbers of both sides.
#[derive(Default)]
pub(crate) struct Places {
    /// In the order of the core's configuration.
    listeners: Vec<ListenerId>,
    numbers: HashMap<ListenerId, (u16, Transport)>,
    ports: HashMap<PortId, forward::PortId>,
    core_ports: HashMap<forward::PortId, PortId>,
    /// Ports that are kept for somebody, and not open.
    kept: HashMap<PortId, Reserved>,
    next: u32,
}

impl Places {
    /// Adds a listener, in the order of the core's configuration.
    pub(crate) fn add_listener(&mut self, listener: ListenerId, transport: Transport) {
        self.numbers.insert(listener, (self.listeners.len() as u16, transport));
        self.listeners.push(listener);
    }

    /// A client as the core knows it.
    pub(crate) fn flow(&self, client: Client) -> Option<Flow> {
        let (listener, transport) = *self.numbers.get(&client.listener)?;
        let Client { connection, local, remote, .. } = client;
        Some(Flow { listener, transport, connection, local, remote })
    }

    /// A client as the forwarder knows it.
    pub(crate) fn client(&self, flow: Flow) -> Option<Client> {
        let listener = *self.listeners.get(usize::from(flow.listener))?;
        let Flow { connection, local, remote, .. } = flow;
        Some(Client { listener, connection, local, remote })
    }

    /// Gives an open port its number; the one that it had while it was kept, if it was.
    pub(crate) fn add(&mut self, port: forward::PortId, number: Option<PortId>) -> PortId {
        let number = number.unwrap_or_else(|| self.number());
        self.ports.insert(number, port);
        self.core_ports.insert(port, number);
        number
    }

    /// Gives a port its number that is kept for somebody.
    pub(crate) fn keep(&mut self, reserved: Reserved) -> PortId {
        let number = self.number();
        self.kept.insert(number, reserved);
        number
    }

    /// A port that is kept no longer: it is to be opened, or given back.
    pub(crate) fn release(&mut self, port: PortId) -> Option<Reserved> {
        self.kept.remove(&port)
    }

    /// A port as the forwarder knows it.
    pub(crate) fn port(&self, port: PortId) -> Option<forward::PortId> {
        self.ports.get(&port).copied()
    }

    /// A port as the core knows it.
    pub(crate) fn core_port(&self, port: forward::PortId) -> Option<PortId> {
        self.core_ports.get(&port).copied()
    }

    /// Forgets a port.
    pub(crate) fn remove(&mut self, port: PortId) -> Option<forward::PortId> {
        let known = self.ports.remove(&port)?;
        self.core_ports.remove(&known);
        Some(known)
    }

    /// A rule as the forwarder knows it, with its marks and with where its peer is reached. `None` if one of its legs is closed.
    pub(crate) fn rule(
        &self,
        rule: Rule,
        peer: SocketAddr,
        to_client: Dscp,
        to_peer: Dscp,
    ) -> Option<forward::Rule> {
        let (client, port) = (self.client(rule.client)?, self.port(rule.port)?);
        Some(forward::Rule { client, channel: rule.channel, port, peer, to_peer, to_client })
    }

    fn number(&mut self) -> PortId {
        while self.ports.contains_key(&PortId(self.next)) || self.kept.contains_key(&PortId(self.next)) {
            self.next = self.next.wrapping_add(1);
        }
        let number = PortId(self.next);
        self.next = self.next.wrapping_add(1);
        number
    }
}
