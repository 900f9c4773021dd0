//! A port: who listens there, and what the plan uses it for. `carillon explain port`.

use std::io::Write;

use carillon_qos::plan::{RolePolicy, Scope};
use carillon_qos::reference::{Listens, Service};
use carillon_qos::{Plan, PortRange, Role, TrafficClass};
use serde::Serialize;
use serde_json::json;

use super::flow::{listed, marked};
use crate::answer::{Answer, Failure};
use crate::plans;
use crate::style::{DOUBT, FAINT, NAME, STRONG};
use crate::verb::print_json;

/// A use of a port in a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Planned {
    /// The class.
    pub class: TrafficClass,
    /// Who uses it so.
    pub roles: Vec<Role>,
    /// The range that the port lies in.
    pub ports: PortRange,
    /// The mark of what leaves from there.
    pub mark: u8,
    /// Whether only the documents of the product have the port in the range, which itself ends one earlier.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub printed_only: bool,
}

/// Explains it; no if neither the table nor the plan knows it.
pub fn run(text: &str, plan: &str, json: bool, out: &mut dyn Write) -> Result<Answer, Failure> {
    let port: u16 = text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
        Failure::new(format!("`{text}` is no port"), "write a number from 1 to 65535, such as 8057")
    })?;
    let plan = plans::load(plan)?;
    let services: Vec<&Service> = Service::at_port(port).collect();
    let planned = planned(&plan, port);
    let known = !services.is_empty() || !planned.is_empty();
    if json {
        let near = if known { Vec::new() } else { Service::nearest(port) };
        print_json(
            &json!({ "port": port, "services": services, "plan": plan.name(), "planned": planned, "nearest": near }),
        )?;
    } else {
        print(port, &services, plan.name(), &planned, out)?;
    }
    Ok(if known { Answer::Yes } else { Answer::No })
}

/// What a plan uses a port for: signaling, and media of every role that has a range of its own. Roles that use it
/// alike are told together.
pub fn planned(plan: &Plan, port: u16) -> Vec<Planned> {
    let mut found: Vec<Planned> = Vec::new();
    for role in Role::ALL {
        let policy = plan.policy(role, &Scope::default());
        let signaling = plan.signaling_ports().iter().filter(|ports| ports.contains(port));
        let signaling = signaling.map(|ports| (TrafficClass::Signaling, *ports));
        let media = policy.classes_of_port(port).filter_map(|class| Some((class, policy.ports(class)?)));
        let used = signaling.chain(media).map(|(class, ports)| (class, ports, false));
        let printed = printed(&policy, port).map(|(class, ports)| (class, ports, true));
        for (class, ports, printed_only) in
            used.chain(printed).filter(|(_, ports, _)| *ports != PortRange::UNRESTRICTED)
        {
            let mark = policy.mark(class).value();
            match found.iter_mut().find(|of| (of.class, of.ports, of.mark) == (class, ports, mark)) {
                Some(alike) => alike.roles.push(role),
                None => found.push(Planned { class, roles: vec![role], ports, mark, printed_only }),
            }
        }
    }
    found
}

/// The classes whose range ends before this port, and with it in the product's documents: exported rules have that end.
fn printed(policy: &RolePolicy, port: u16) -> impl Iterator<Item = (TrafficClass, PortRange)> {
    TrafficClass::MEDIA.into_iter().filter_map(move |class| {
        let (ports, end) = (policy.ports(class)?, policy.class(class).documented_end?);
        (!ports.contains(port) && (ports.start()..=end).contains(&port)).then_some((class, ports))
    })
}

fn print(
    port: u16,
    services: &[&Service],
    plan: &str,
    planned: &[Planned],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    for service in services {
        let Service { at, name, purpose, closed, source, transport, .. } = service;
        let direction = match service.direction {
            Listens::In => "listens",
            Listens::Out => "connects to others",
            Listens::Both => "listens, and connects to others",
        };
        let range = service.ports().map_or(String::new(), |ports| ports.to_string());
        writeln!(out, "{STRONG}{name}{STRONG:#}  {transport} {range}, {at}: {direction}\n  {purpose}")?;
        writeln!(out, "  {FAINT}if closed{FAINT:#}  {closed}\n  {FAINT}source{FAINT:#}     {source}")?;
    }
    for Planned { class, roles, ports, mark, printed_only } in planned {
        let (roles, marked) = (listed(roles), marked(*mark));
        if *printed_only {
            writeln!(
                out,
                "{NAME}{class}{NAME:#} of {roles}  {port} is the last port in the product's documents; the product ends at {}. \
                 Rules of plan {plan} have the documents' end: {marked}; no media uses it",
                ports.end()
            )?;
            continue;
        }
        writeln!(out, "{NAME}{class}{NAME:#} of {roles}  inside {ports} of plan {plan}, {marked}")?;
    }
    if services.is_empty() && planned.is_empty() {
        let near: Vec<String> = Service::nearest(port).iter().map(u16::to_string).collect();
        writeln!(out, "{DOUBT}{port} is in no listener table, and plan {plan} does not use it{DOUBT:#}")?;
        writeln!(
            out,
            "  nothing of the estate needs it open; the nearest known ports are {}",
            near.join(" and ")
        )?;
    }
    Ok(())
}
