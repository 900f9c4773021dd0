//! A port: who listens there, and what the plan uses it for. `carillon explain port`.

use std::io::Write;

use carillon_qos::plan::Scope;
use carillon_qos::reference::{Listens, Service};
use carillon_qos::{Plan, PortRange, Role, TrafficClass, dscp};
use serde::Serialize;
use serde_json::json;

use crate::answer::{Answer, Failure};
use crate::plans;
use crate::style::{DOUBT, FAINT, NAME, STRONG};
use crate::verb::print_json;

/// A use of a port in a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Planned {
    /// `client audio`, `signaling`.
    pub what: String,
    /// The range that the port lies in.
    pub ports: PortRange,
    /// The mark of what leaves from there.
    pub mark: u8,
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

/// What a plan uses a port for: media of every role that has ranges of its own, and signaling.
pub fn planned(plan: &Plan, port: u16) -> Vec<Planned> {
    let scope = Scope::default();
    let mut found = Vec::new();
    for ports in plan.signaling_ports().iter().filter(|ports| ports.contains(port)) {
        let mark = plan.policy(Role::Client, &scope).mark(TrafficClass::Signaling).value();
        found.push(Planned { what: "signaling".to_owned(), ports: *ports, mark });
    }
    for role in Role::ALL {
        let policy = plan.policy(role, &scope);
        for class in policy.classes_of_port(port) {
            let range = policy.ports(class).filter(|ports| *ports != PortRange::UNRESTRICTED);
            let Some(ports) = range else { continue };
            found.push(Planned { what: format!("{role} {class}"), ports, mark: policy.mark(class).value() });
        }
    }
    found
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
    for Planned { what, ports, mark } in planned {
        let mark = carillon_wire::ip::Dscp::new(*mark).map_or(String::new(), dscp::label);
        writeln!(out, "{NAME}{what}{NAME:#}  inside {ports} of plan {plan}, marked {mark}")?;
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
