//! What devices and servers are told themselves: ports, marks, switches, against the plan's values.

use carillon_wire::ip::Dscp;

use super::{Line, State};
use crate::class::TrafficClass;
use crate::dscp;
use crate::export::{Order, phone_wanted};
use crate::import::{Deployed, Fact, What};
use crate::plan::{PhoneFamily, Plan, PortControl, QueueMap, Scope};
use crate::ports::PortRange;
use crate::role::Role;

/// One line for every statement of the file that is no rule.
pub(super) fn lines(order: &Order<'_>, file: &Deployed) -> Vec<Line> {
    let line = |fact: &Fact| {
        let compared = compared(order, &fact.what)?;
        Some(compared.line(file, fact))
    };
    file.facts.iter().filter_map(line).collect()
}

/// A setting and its two values.
struct Compared {
    role: Option<Role>,
    what: String,
    planned: Option<String>,
    deployed: String,
    /// Why a difference is none.
    note: Option<String>,
}

impl Compared {
    fn line(self, file: &Deployed, fact: &Fact) -> Line {
        let same = self.note.is_some() || self.planned.as_ref() == Some(&self.deployed);
        let state = match &self.planned {
            _ if same => State::Match,
            Some(_) => State::Different,
            None => State::Extra,
        };
        let fix = match &self.planned {
            _ if same => None,
            Some(planned) => Some(format!("set it to {planned}, it is {}", self.deployed)),
            None => Some("take it back, or write it into the plan".to_owned()),
        };
        Line {
            state,
            source: file.source.clone(),
            place: fact.place.clone(),
            role: self.role,
            what: self.what,
            planned: self.planned,
            deployed: Some(self.deployed),
            fix,
            note: self.note,
        }
    }
}

fn compared(order: &Order<'_>, what: &What) -> Option<Compared> {
    let plan = order.plan;
    match what {
        What::Rule(_) | What::Open { .. } => None,
        What::Enabled { scope, enabled } => Some(switch(plan, scope, *enabled)),
        What::Ports { scope, role, class, ports } => Some(of_ports(plan, scope, *role, *class, *ports)),
        What::Mark { role, class, mark } => {
            let planned = plan.planned(*role, &Scope::default()).mark(*class);
            Some(Compared {
                role: Some(*role),
                what: format!("mark of {role} {class}"),
                planned: Some(dscp::label(planned)),
                deployed: dscp::label(*mark),
                note: None,
            })
        }
        What::Phone { family, class, start, end, mark } => {
            Some(phone(order, family, *class, (*start, *end), mark.map(|mark| mark.0)))
        }
        What::Queues(map) => queues(plan.queue_map()?, map),
    }
}

/// The scope that a listing names: `global`, `site:X`, or a service.
pub(super) fn scope_named(name: &str) -> Scope {
    match name.split_once(':') {
        Some((kind, site)) if kind.eq_ignore_ascii_case("site") => {
            Scope { site: Some(site.to_owned()), service: None }
        }
        Some((kind, service)) if kind.eq_ignore_ascii_case("service") => {
            Scope { site: None, service: Some(service.to_owned()) }
        }
        _ if name.eq_ignore_ascii_case("global") => Scope::default(),
        _ => Scope { site: None, service: Some(name.to_owned()) },
    }
}

fn switch(plan: &Plan, scope: &str, enabled: bool) -> Compared {
    let word = |on: bool| if on { "in force" } else { "not in force" }.to_owned();
    Compared {
        role: None,
        what: format!("ranges of {scope}"),
        planned: Some(word(plan.enabled_in(&scope_named(scope)).value)),
        deployed: word(enabled),
        note: None,
    }
}

fn of_ports(plan: &Plan, scope: &str, role: Role, class: Option<TrafficClass>, ports: PortRange) -> Compared {
    let of = scope_named(scope);
    let (name, planned, documented) = match class {
        Some(class) => {
            let policy = plan.planned(role, &of);
            (class.name(), policy.ports(class), policy.class(class).documented_end)
        }
        None => ("legacy", plan.legacy_ports(role, &of).map(|ports| ports.value), None),
    };
    let printed = planned.is_some_and(|planned| {
        planned != ports && planned.start() == ports.start() && documented == Some(ports.end())
    });
    Compared {
        role: Some(role),
        what: format!("{name} ports of {role} ({scope})"),
        planned: planned.map(counted),
        deployed: counted(ports),
        note: printed
            .then(|| "it ends as the product's documents print it, not where the product does".to_owned()),
    }
}

/// With the count, as servers are configured.
fn counted(ports: PortRange) -> String {
    format!("{ports} (start {}, count {})", ports.start(), ports.count())
}

/// Only what is set is compared, with what the family's own export would say: what a family fixes is for `plan lint`.
fn phone(
    order: &Order<'_>,
    family: &str,
    class: TrafficClass,
    (start, end): (Option<u16>, Option<u16>),
    mark: Option<Dscp>,
) -> Compared {
    let family = PhoneFamily::named(family);
    let wanted = family.map(|family| phone_wanted(order, family, class));
    let planned = match &wanted {
        Some(Ok(wanted)) => told(
            (wanted.start.filter(|_| start.is_some()), wanted.end.filter(|_| end.is_some())),
            wanted.mark.filter(|_| mark.is_some()),
        ),
        // The plan asks for what such a phone cannot do.
        _ => String::new(),
    };
    let gateway = family.is_some_and(|family| family.ports == PortControl::BaseAndSpacing);
    Compared {
        role: Some(if gateway { Role::Gateway } else { Role::Phone }),
        what: format!("{class} of {}", family.map_or("unknown", |family| family.name)),
        planned: (!planned.is_empty()).then_some(planned),
        deployed: told((start, end), mark),
        note: None,
    }
}

fn told((start, end): (Option<u16>, Option<u16>), mark: Option<Dscp>) -> String {
    let parts = [
        start.map(|port| format!("start {port}")),
        end.map(|port| format!("end {port}")),
        mark.map(dscp::label),
    ];
    parts.into_iter().flatten().collect::<Vec<String>>().join(", ")
}

fn queues(planned: &QueueMap, map: &QueueMap) -> Option<Compared> {
    let marks = (0..64).filter_map(Dscp::new);
    let other: Vec<Dscp> = marks.filter(|mark| planned.queue(*mark) != map.queue(*mark)).collect();
    let text = |map: &QueueMap| match other.as_slice() {
        [] => "as planned".to_owned(),
        marks => {
            let marks =
                marks.iter().map(|mark| format!("{} in queue {}", dscp::name(*mark), map.queue(*mark)));
            marks.collect::<Vec<String>>().join(", ")
        }
    };
    let (planned, deployed) = (Some(text(planned)), text(map));
    Some(Compared { role: None, what: "queue map".to_owned(), planned, deployed, note: None })
}
