//! What the core and the forwarder call by different numbers: listeners, relayed ports, rules.

use std::collections::HashMap;
use std::num::NonZeroU64;

use carillon_net::forward::{self, Client, ListenerId, Traffic};
use carillon_relay::{Flow, PortId, Rule, RuleId, Transport};
use carillon_wire::ip::Dscp;

/// The numbers of both sides.
#[derive(Default)]
pub(crate) struct Places {
    /// In the order of the core's configuration.
    listeners: Vec<ListenerId>,
    numbers: HashMap<ListenerId, (u16, Transport)>,
    ports: HashMap<PortId, forward::PortId>,
    core_ports: HashMap<forward::PortId, PortId>,
    next: u32,
    rules: HashMap<RuleId, Installed>,
}

/// A rule at work.
pub(crate) struct Installed {
    pub(crate) port: PortId,
    /// What of its traffic the core knows.
    pub(crate) told: Traffic,
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

    /// Gives an open port its number.
    pub(crate) fn add(&mut self, port: forward::PortId) -> PortId {
        while self.ports.contains_key(&PortId(self.next)) {
            self.next = self.next.wrapping_add(1);
        }
        let number = PortId(self.next);
        self.next = self.next.wrapping_add(1);
        self.ports.insert(number, port);
        self.core_ports.insert(port, number);
        number
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

    /// A rule as the forwarder knows it, with its marks. `None` if one of its legs is closed.
    pub(crate) fn rule(&self, rule: Rule, to_client: Dscp, to_peer: Dscp) -> Option<forward::Rule> {
        let (client, port) = (self.client(rule.client)?, self.port(rule.port)?);
        let budget = rule.budget.and_then(NonZeroU64::new);
        Some(forward::Rule {
            client,
            channel: rule.channel,
            port,
            peer: rule.peer,
            to_peer,
            to_client,
            budget,
        })
    }

    /// Remembers that a rule is at work. One that took another's place goes on counting.
    pub(crate) fn keep(&mut self, rule: Rule) {
        let told = self.rules.get(&rule.id).map_or_else(Traffic::default, |installed| installed.told);
        self.rules.insert(rule.id, Installed { port: rule.port, told });
    }

    /// Forgets a rule.
    pub(crate) fn forget(&mut self, rule: RuleId) -> Option<Installed> {
        self.rules.remove(&rule)
    }

    /// All rules at work.
    pub(crate) fn rules(&mut self) -> impl Iterator<Item = (RuleId, &mut Installed)> {
        self.rules.iter_mut().map(|(id, installed)| (*id, installed))
    }
}
