//! A flow: which class, role and mark the plan gives it in each direction. `carillon explain flow`.

use std::io::Write;
use std::net::IpAddr;

use carillon_qos::export::{Order, rules};
use carillon_qos::plan::Scope;
use carillon_qos::probe::Transport;
use carillon_qos::reference::Service;
use carillon_qos::verify::RoleAssignment;
use carillon_qos::{MarkingRule, Plan, PortRange, Role, TrafficClass, dscp};
use carillon_wire::ip::Dscp;
use serde::Serialize;
use serde_json::json;

use crate::answer::{Answer, Failure};
use crate::args::FlowEnd;
use crate::plans;
use crate::style::{DOUBT, FAINT, NAME, STRONG};
use crate::verb::print_json;

/// What was asked.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Where it comes from.
    pub source: FlowEnd,
    /// Where it goes.
    pub destination: FlowEnd,
    /// Over which transport.
    pub transport: Transport,
    /// Who is what.
    pub roles: &'a [RoleAssignment],
}

/// What the plan says of one direction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Given {
    class: TrafficClass,
    /// Who may be its sender.
    roles: Vec<Role>,
    /// The range of the sender's port, or of the signaling port.
    ports: PortRange,
    mark: u8,
    /// Why.
    because: String,
    /// Why no export has a rule that sets the mark, where none has.
    #[serde(skip_serializing_if = "Option::is_none")]
    unruled: Option<String>,
}

/// Explains both directions; no if the plan knows neither.
pub fn run(asked: &Asked<'_>, plan: &str, json: bool, out: &mut dyn Write) -> Result<Answer, Failure> {
    let plan = plans::load(plan)?;
    let there = given(&plan, asked, asked.source, asked.destination);
    let back = given(&plan, asked, asked.destination, asked.source);
    let known = !there.is_empty() || !back.is_empty();
    if json {
        print_json(
            &json!({ "plan": plan.name(), "transport": asked.transport, "there": there, "back": back }),
        )?;
    } else {
        direction("there", asked.source, asked.destination, asked.transport, &there, out)?;
        direction("back", asked.destination, asked.source, asked.transport, &back, out)?;
    }
    Ok(if known { Answer::Yes } else { Answer::No })
}

/// Signaling is known by the listener's port, media by the sender's. Roles that give the same are told together.
fn given(plan: &Plan, asked: &Asked<'_>, from: FlowEnd, to: FlowEnd) -> Vec<Given> {
    let mut found: Vec<Given> = Vec::new();
    let signaling = |port: u16| plan.signaling_ports().iter().find(move |ports| ports.contains(port));
    let relayed = given_by_relay(plan, asked, from, to);
    if let (Some(relayed), true) = (&relayed, named(asked.roles, from.address) == Some(Role::Edge)) {
        return vec![relayed.clone()];
    }
    for role in Role::ALL.into_iter().filter(|role| may_be(asked.roles, from.address, *role)) {
        let policy = plan.policy(role, &Scope::default());
        let classes: Vec<(TrafficClass, PortRange, &str)> = match (signaling(to.port), signaling(from.port)) {
            (Some(ports), _) => vec![(TrafficClass::Signaling, *ports, "destination")],
            (None, Some(ports)) => vec![(TrafficClass::Signaling, *ports, "source")],
            (None, None) => {
                let media = policy.classes_of_port(from.port);
                media.filter_map(|class| Some((class, policy.ports(class)?, "source"))).collect()
            }
        };
        for (class, ports, end) in
            classes.into_iter().filter(|(_, ports, _)| *ports != PortRange::UNRESTRICTED)
        {
            let mark = policy.mark(class).value();
            let because = format!("its {end} port lies in {ports}");
            let unruled = unruled(plan, role, class);
            let given = Given { class, roles: vec![role], ports, mark, because, unruled };
            match found.iter_mut().find(|of| of.is_like(&given)) {
                Some(alike) => alike.roles.push(role),
                None => found.push(given),
            }
        }
    }
    found.extend(relayed);
    found
}

impl Given {
    /// Whether it differs in the role alone. What has no rule is told with each role.
    fn is_like(&self, other: &Given) -> bool {
        (self.class, self.ports, self.mark) == (other.class, other.ports, other.mark)
            && self.unruled.is_none()
            && other.unruled.is_none()
    }
}

/// What to say where hosts of a role get no rule for their SIP: a server of Carillon's own marks it, and no other.
fn unruled(plan: &Plan, role: Role, class: TrafficClass) -> Option<String> {
    let order = Order { plan, scope: Scope::default() };
    let why = match role {
        _ if class != TrafficClass::Signaling => None,
        Role::Edge => Some("An Edge's rules are for media towards the inside: its SIP has none.".to_owned()),
        role => rules::unmarked_signaling(&order, role),
    };
    why.map(|why| format!("by Carillon's own servers alone. {why}"))
}

/// A relay sends every class from the same port, so that the Edge's rules look at where it goes. Only who is named as an
/// Edge, or sends from a relay's port, is taken for one.
fn given_by_relay(plan: &Plan, asked: &Asked<'_>, from: FlowEnd, to: FlowEnd) -> Option<Given> {
    let told = named(asked.roles, from.address) == Some(Role::Edge);
    let relays = Service::relays(from.port, asked.transport.name());
    let relayed = told || (relays && may_be(asked.roles, from.address, Role::Edge));
    if !relayed {
        return None;
    }
    let scope = Scope::default();
    let rules = rules::of_role(&Order { plan, scope: scope.clone() }, Role::Edge).ok()?;
    let goes_there = |rule: &MarkingRule| {
        let ports = rule.destination_ports.filter(|ports| ports.contains(to.port))?;
        let class_of = |role| {
            let policy = plan.policy(role, &scope);
            let is_of =
                |class: &TrafficClass| policy.ports(*class).is_some_and(|own| own.start() == ports.start());
            TrafficClass::MEDIA.into_iter().find(|class| is_of(class) && policy.mark(*class) == rule.mark)
        };
        Some((class_of(Role::Client).or_else(|| class_of(Role::Conferencing))?, ports, rule.mark.value()))
    };
    let (class, ports, mark) = rules.iter().find_map(goes_there)?;
    let because = format!("the Edge's rule: its destination port lies in {ports}");
    Some(Given { class, roles: vec![Role::Edge], ports, mark, because, unruled: None })
}

/// `client, phone or gateway`.
pub(super) fn listed(roles: &[Role]) -> String {
    match roles {
        [] => String::new(),
        [only] => only.name().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(|role| role.name()).collect();
            format!("{} or {last}", first.join(", "))
        }
    }
}

/// `marked EF (46)`, `not marked`.
pub(super) fn marked(mark: u8) -> String {
    match Dscp::new(mark) {
        Some(mark) if mark != Dscp::DEFAULT => format!("marked {}", dscp::label(mark)),
        _ => "not marked".to_owned(),
    }
}

/// The longest network that holds an address says its role; an address that nobody named may be anything.
fn may_be(roles: &[RoleAssignment], address: Option<IpAddr>, role: Role) -> bool {
    named(roles, address).is_none_or(|named| named == role)
}

fn named(roles: &[RoleAssignment], address: Option<IpAddr>) -> Option<Role> {
    let address = address?;
    let holding = roles.iter().filter(|of| of.holds(address));
    holding.max_by_key(|of| of.prefix).map(|of| of.role)
}

fn direction(
    word: &str,
    from: FlowEnd,
    to: FlowEnd,
    transport: Transport,
    given: &[Given],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    writeln!(out, "{STRONG}{word}{STRONG:#}  {transport} {} to {}", end(from), end(to))?;
    for Given { class, roles, mark, because, unruled, .. } in given {
        writeln!(out, "  {NAME}{class}{NAME:#} of {}, {}: {because}", listed(roles), marked(*mark))?;
        if let Some(unruled) = unruled {
            writeln!(out, "    {DOUBT}{unruled}{DOUBT:#}")?;
        }
    }
    if given.is_empty() {
        writeln!(out, "  {DOUBT}no class of the plan{DOUBT:#}: best effort, unmarked (0)")?;
    }
    let listens = |service: &&Service| service.transport.contains(transport.name());
    for service in Service::at_port(to.port).filter(listens) {
        writeln!(out, "  {FAINT}port {} at {}: {}{FAINT:#}", to.port, service.at, service.name)?;
    }
    Ok(())
}

fn end(end: FlowEnd) -> String {
    end.address
        .map_or(format!("*:{}", end.port), |address| std::net::SocketAddr::new(address, end.port).to_string())
}
