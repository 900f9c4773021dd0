//! A flow: which class, role and mark the plan gives it in each direction. `carillon explain flow`.

use std::io::Write;
use std::net::IpAddr;

use carillon_qos::plan::Scope;
use carillon_qos::probe::Transport;
use carillon_qos::reference::Service;
use carillon_qos::verify::RoleAssignment;
use carillon_qos::{Plan, PortRange, Role, TrafficClass, dscp};
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
    role: Role,
    /// The range of the sender's port, or of the signaling port.
    ports: PortRange,
    mark: u8,
    /// Why.
    because: String,
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

/// Signaling is known by the listener's port, media by the sender's. Roles that give the same are told once.
fn given(plan: &Plan, asked: &Asked<'_>, from: FlowEnd, to: FlowEnd) -> Vec<Given> {
    let scope = Scope::default();
    let mut found: Vec<Given> = Vec::new();
    let signaling =
        plan.signaling_ports().iter().find(|ports| ports.contains(to.port) || ports.contains(from.port));
    for role in Role::ALL.into_iter().filter(|role| may_be(asked.roles, from.address, *role)) {
        let policy = plan.policy(role, &scope);
        if let Some(ports) = signaling {
            let end = if ports.contains(to.port) { "destination" } else { "source" };
            let because = format!("its {end} port is a signaling port");
            let class = TrafficClass::Signaling;
            found.push(Given { class, role, ports: *ports, mark: policy.mark(class).value(), because });
            continue;
        }
        for class in policy.classes_of_port(from.port) {
            let Some(ports) = policy.ports(class).filter(|ports| *ports != PortRange::UNRESTRICTED) else {
                continue;
            };
            let because = format!("its source port is {role} {class} {ports}");
            found.push(Given { class, role, ports, mark: policy.mark(class).value(), because });
        }
    }
    found.dedup_by(|next, first| {
        (next.class, next.ports, next.mark) == (first.class, first.ports, first.mark)
    });
    found
}

/// The longest network that holds an address says its role; an address that nobody named may be anything.
fn may_be(roles: &[RoleAssignment], address: Option<IpAddr>, role: Role) -> bool {
    let Some(address) = address else { return true };
    let named = roles.iter().filter(|of| of.holds(address)).max_by_key(|of| of.prefix);
    named.is_none_or(|named| named.role == role)
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
    for Given { class, role, mark, because, .. } in given {
        let mark = carillon_wire::ip::Dscp::new(*mark).map_or(String::new(), dscp::label);
        writeln!(out, "  {NAME}{class}{NAME:#} of a {role}, marked {mark}: {because}")?;
    }
    if given.is_empty() {
        writeln!(out, "  {DOUBT}no class of the plan{DOUBT:#}: best effort, unmarked (0)")?;
    }
    for service in Service::at_port(to.port) {
        writeln!(out, "  {FAINT}port {} at {}: {}{FAINT:#}", to.port, service.at, service.name)?;
    }
    Ok(())
}

fn end(end: FlowEnd) -> String {
    end.address
        .map_or(format!("*:{}", end.port), |address| std::net::SocketAddr::new(address, end.port).to_string())
}
