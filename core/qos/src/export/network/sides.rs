//! What devices in between can tell apart: ports, addresses and marks, without programs.
//!
//! Clients' ranges are narrow and are told by their ports, whoever sends. Servers' are as wide as the ports that any
//! program may get: they are marked for the addresses of servers only. Those rules come first, because a client's range
//! may lie inside a server's of another class.

use carillon_wire::ip::Dscp;

use super::super::{Order, Unfit, rules};
use crate::dscp;
use crate::plan::Network;
use crate::ports::PortRange;
use crate::role::Role;
use crate::rule::{MarkingRule, Protocol};

/// What the packets of servers and of clients are to be marked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sides {
    /// Servers' ranges, for the networks below alone.
    pub(crate) servers: Side,
    /// Clients' ranges and where SIP listens, for everybody.
    pub(crate) clients: Side,
    /// Where servers are; none if the plan does not say.
    pub(crate) networks: Vec<Network>,
}

/// Ports of one kind of host, and their marks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Side {
    /// `CLIENTS` or `SERVERS`.
    pub(crate) name: &'static str,
    /// One entry per mark, the most important first.
    pub(crate) marked: Vec<Marked>,
}

/// The packets that get one mark, whichever end has the port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Marked {
    /// The mark.
    pub(crate) mark: Dscp,
    /// Ports and protocols.
    pub(crate) ports: Vec<(Protocol, PortRange)>,
}

impl Sides {
    /// The networks of one IP version.
    pub(super) fn networks(&self, is_v4: bool) -> Vec<Network> {
        self.networks.iter().copied().filter(|network| network.address().is_ipv4() == is_v4).collect()
    }

    /// What to say where servers' ranges are left out, and why; nothing if the plan has none.
    pub(super) fn left_out(&self, why: &str) -> Option<String> {
        let ranges =
            self.servers.marked.iter().flat_map(|marked| marked.ports.iter().map(|(_, ports)| *ports));
        let ranges: Vec<String> = PortRange::merged(ranges).iter().map(PortRange::to_string).collect();
        (!ranges.is_empty()).then(|| {
            format!(
                "SERVERS' PORTS ARE LEFT OUT: {}. Any program may get such a port, so they are marked for the addresses \
                 of servers only, and {why}. What servers send to clients is marked by the clients' ports; what they \
                 send to each other, to gateways and to relays is not marked here.",
                ranges.join(", ")
            )
        })
    }
}

/// Why servers' ranges are left out of a file that could hold them.
pub(super) const NO_NETWORKS: &str = "the plan names none: write `servers.networks` into it and export again";

impl Side {
    /// `CARILLON-CLIENTS-EF`: the same in every spelling that has names.
    pub(crate) fn list_name(&self, mark: Dscp) -> String {
        format!("CARILLON-{}-{}", self.name, mark_name(mark))
    }

    /// The side as rules, for comparing: each range from both ends, without addresses.
    pub(crate) fn rules(&self) -> Vec<MarkingRule> {
        let of_entry = |marked: &Marked| {
            let name = self.list_name(marked.mark);
            let both = |(protocol, ports): &(Protocol, PortRange)| {
                let rule = |source_ports, destination_ports| MarkingRule {
                    name: name.clone(),
                    application: None,
                    protocol: *protocol,
                    source_ports,
                    destination_ports,
                    mark: marked.mark,
                };
                [rule(Some(*ports), None), rule(None, Some(*ports))]
            };
            marked.ports.iter().flat_map(both).collect::<Vec<_>>()
        };
        self.marked.iter().flat_map(of_entry).collect()
    }
}

/// `EF`, or `DSCP7` where there is no name.
pub(crate) fn mark_name(mark: Dscp) -> String {
    if dscp::has_name(mark) { dscp::name(mark) } else { format!("DSCP{}", mark.value()) }
}

/// Both sides.
///
/// # Errors
/// A plan that is not in force, that marks nothing by port or nothing without addresses that it does not say, or in
/// which a port has two marks.
pub(crate) fn of_plan(order: &Order<'_>) -> Result<Sides, Unfit> {
    let listens = |(_, protocol, _): &Entry| *protocol == Protocol::Tcp;
    let servers = entries(order, &[Role::Conferencing, Role::Application, Role::Mediation, Role::Gateway])?;
    let (signaling, media): (Vec<Entry>, Vec<Entry>) = servers.into_iter().partition(listens);
    let mut clients = entries(order, &[Role::Client, Role::Phone])?;
    clients.extend(signaling.into_iter().filter(|entry| !clients.contains(entry)).collect::<Vec<_>>());
    let (servers, clients) = (side("SERVERS", media)?, side("CLIENTS", clients)?);
    let networks = order.plan.server_networks().to_vec();
    match (servers.marked.is_empty(), clients.marked.is_empty(), networks.is_empty()) {
        (true, true, _) => Err(Unfit(
            "the plan marks nothing that has ports; a network cannot tell its packets apart".to_owned(),
        )),
        (false, true, true) => Err(Unfit(format!(
            "the plan marks ports of servers only, which any program may get, and {NO_NETWORKS}"
        ))),
        _ => Ok(Sides { servers, clients, networks }),
    }
}

type Entry = (Dscp, Protocol, PortRange);

/// The ports of these roles, once each, in the order of the rules: media before signaling.
fn entries(order: &Order<'_>, roles: &[Role]) -> Result<Vec<Entry>, Unfit> {
    let mut entries = Vec::new();
    for role in roles {
        for rule in rules::of_role(order, *role)? {
            let Some(ports) = rule.source_ports.or(rule.destination_ports) else { continue };
            let entry = (rule.mark, rule.protocol, ports);
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
    }
    Ok(entries)
}

fn side(name: &'static str, entries: Vec<Entry>) -> Result<Side, Unfit> {
    check_apart(name, &entries)?;
    let mut marked: Vec<Marked> = Vec::new();
    for (mark, protocol, ports) in entries {
        match marked.iter_mut().find(|other| other.mark == mark) {
            Some(same) => same.ports.push((protocol, ports)),
            None => marked.push(Marked { mark, ports: vec![(protocol, ports)] }),
        }
    }
    Ok(Side { name, marked })
}

/// No port may ask for two marks.
fn check_apart(side: &str, entries: &[(Dscp, Protocol, PortRange)]) -> Result<(), Unfit> {
    for (at, (mark, protocol, ports)) in entries.iter().enumerate() {
        for (other, other_protocol, other_ports) in entries.iter().skip(at + 1) {
            let apart = !matches!(
                (protocol, other_protocol),
                (Protocol::Udp, Protocol::Tcp) | (Protocol::Tcp, Protocol::Udp)
            );
            if let Some(shared) = ports.intersection(*other_ports).filter(|_| apart && mark != other) {
                return Err(Unfit(format!(
                    "ports {shared} on the side of {} belong to {} and to {}: no switch can tell them apart. Give each \
                     class its own range",
                    side.to_lowercase(),
                    dscp::label(*mark),
                    dscp::label(*other)
                )));
            }
        }
    }
    Ok(())
}
