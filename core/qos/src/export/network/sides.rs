//! What a network can tell apart: ports and marks, without programs, on each side of a call.
//!
//! Two sides, because a client's range may lie inside a server's range of another class: a port towards clients and
//! one towards servers mark by different lists.

use carillon_wire::ip::Dscp;

use super::super::{Order, Unfit, rules};
use crate::dscp;
use crate::ports::PortRange;
use crate::role::Role;
use crate::rule::{MarkingRule, Protocol};

/// The hosts behind a port of a switch, and what their packets are to be marked.
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

impl Side {
    /// `CARILLON-CLIENTS-EF`: the same in every spelling that has names.
    pub(crate) fn list_name(&self, mark: Dscp) -> String {
        format!("CARILLON-{}-{}", self.name, mark_name(mark))
    }

    /// The side as rules, for comparing: each range from both ends.
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

/// Both sides; one that marks nothing is left out.
///
/// # Errors
/// A plan that is not in force or marks nothing by port, or in which a port has two marks.
pub(crate) fn of_plan(order: &Order<'_>) -> Result<Vec<Side>, Unfit> {
    let clients = entries(order, &[Role::Client, Role::Phone])?;
    let signaling = clients.iter().filter(|(_, protocol, _)| *protocol == Protocol::Tcp).copied();
    let mut servers =
        entries(order, &[Role::Conferencing, Role::Application, Role::Mediation, Role::Gateway])?;
    servers.extend(signaling.collect::<Vec<_>>());
    let sides = [side("CLIENTS", clients)?, side("SERVERS", servers)?];
    let sides: Vec<Side> = sides.into_iter().filter(|side| !side.marked.is_empty()).collect();
    match sides.as_slice() {
        [] => Err(Unfit(
            "the plan marks nothing that has ports; a network cannot tell its packets apart".to_owned(),
        )),
        _ => Ok(sides),
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
pub(super) fn check_apart(side: &str, entries: &[(Dscp, Protocol, PortRange)]) -> Result<(), Unfit> {
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
