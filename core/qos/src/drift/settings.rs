//! What devices and servers are told themselves: ports, marks, switches, against the plan's values.

use carillon_wire::ip::Dscp;

use super::{Line, State};
use crate::class::TrafficClass;
use crate::dscp;
use crate::export::{Order, browser_range};
use crate::import::{Deployed, Fact, Mark, What};
use crate::plan::{Plan, QueueMap, Scope};
use crate::ports::PortRange;
use crate::role::Role;

/// One line for every statement of the file that is no rule.
pub(super) fn lines(order: &Order<'_>, file: &Deployed) -> Vec<Line> {
    let line = |fact: &Fact| {
        if let What::Unread { role, what, why, fix } = &fact.what {
            return vec![unread(file, fact, *role, (what, why, fix))];
        }
        if let What::Queues(map) = &fact.what
            && order.plan.queue_map().is_none()
        {
            return by_queue(order, map).into_iter().map(|compared| compared.line(file, fact)).collect();
        }
        let compared = compared(order, &fact.what);
        compared.into_iter().map(|compared| compared.line(file, fact)).collect::<Vec<Line>>()
    };
    file.facts.iter().flat_map(line).collect()
}

/// A table of queues where the plan states none: each queue by what it throws together.
fn by_queue(order: &Order<'_>, map: &QueueMap) -> Vec<Compared> {
    let marks = |queue: u8| -> Vec<Mark> {
        (0..64).filter_map(Dscp::new).filter(|mark| map.queue(*mark) == queue).map(Mark).collect()
    };
    let of = |queue: u8| self::queue(order, &format!("{queue} of the table"), &marks(queue));
    (0..=u8::MAX).filter(|queue| !marks(*queue).is_empty()).filter_map(of).collect()
}

/// What could not be judged is told, and keeps the whole from being as planned.
fn unread(file: &Deployed, fact: &Fact, role: Option<Role>, (what, why, fix): (&str, &str, &str)) -> Line {
    Line {
        state: State::Cannot,
        source: file.source.clone(),
        place: fact.place.clone(),
        role,
        what: what.to_owned(),
        planned: None,
        deployed: Some("not known".to_owned()),
        fix: Some(format!("{why}: {fix}")),
        note: None,
    }
}

/// A setting and its two values.
struct Compared {
    role: Option<Role>,
    what: String,
    planned: Option<String>,
    deployed: String,
    /// Why a difference is none.
    note: Option<String>,
    /// What to do, where it is more than to set the planned value.
    fix: Option<String>,
}

impl Compared {
    fn new(what: impl Into<String>, planned: Option<String>, deployed: String) -> Compared {
        Compared { role: None, what: what.into(), planned, deployed, note: None, fix: None }
    }

    fn line(self, file: &Deployed, fact: &Fact) -> Line {
        let same = self.note.is_some() || self.planned.as_ref() == Some(&self.deployed);
        let state = match &self.planned {
            _ if same => State::Match,
            Some(_) => State::Different,
            None => State::Extra,
        };
        let fix = match &self.planned {
            _ if same => None,
            _ if self.fix.is_some() => self.fix,
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
        What::Rule(_) | What::Open { .. } | What::Phone { .. } | What::Policy(_) | What::Unread { .. } => {
            None
        }
        What::Enabled { scope, enabled } => Some(switch(plan, scope, *enabled)),
        What::Ports { scope, role, class, ports } => Some(of_ports(plan, scope, *role, *class, *ports)),
        What::Mark { role, class, mark } => {
            let planned = plan.planned(*role, &Scope::default()).mark(*class);
            let what = format!("mark of {role} {class}");
            let compared = Compared::new(what, Some(dscp::label(planned)), dscp::label(*mark));
            Some(Compared { role: Some(*role), ..compared })
        }
        What::Queues(map) => queues(plan.queue_map()?, map),
        What::Queue { name, marks } => queue(order, name, marks),
        What::Remarked { from, to, by } => remarked(order, from, *to, by),
        What::Browser { ports } => {
            let planned = browser_range(order).ok().map(|ports| ports.to_string());
            let compared = Compared::new("ports of WebRTC in browsers", planned, ports.to_string());
            Some(Compared { role: Some(Role::Client), ..compared })
        }
        What::System { name, value, wanted, why } => {
            let fix = (value != wanted).then(|| format!("make `{name}` {wanted}: {why}"));
            Some(Compared { fix, ..Compared::new(*name, Some((*wanted).to_owned()), value.clone()) })
        }
    }
}

/// Each mark of the plan with the classes that carry it, in some role or other.
fn planned_marks(order: &Order<'_>) -> Vec<(TrafficClass, Dscp)> {
    let mut marks = Vec::new();
    for role in Role::ALL {
        let policy = order.plan.policy(role, &order.scope);
        for class in TrafficClass::ALL {
            let mark = (class, policy.mark(class));
            if mark.1 != Dscp::DEFAULT && !marks.contains(&mark) {
                marks.push(mark);
            }
        }
    }
    marks
}

/// What one queue throws together: audio with anything else, video with signaling. Audio and video have no place in
/// the queue of what nobody has sorted.
fn queue(order: &Order<'_>, name: &str, marks: &[Mark]) -> Option<Compared> {
    use TrafficClass::{Audio, Signaling, Video};
    let has = |mark: Dscp| marks.contains(&Mark(mark));
    let inside: Vec<(TrafficClass, Dscp)> =
        planned_marks(order).into_iter().filter(|(_, mark)| has(*mark)).collect();
    let apart = |a: TrafficClass, b: TrafficClass| a != b && (a == Audio || (a == Video && b == Signaling));
    let clash = inside.iter().find_map(|(class, mark)| {
        let other =
            inside.iter().find(|(other, mark_of_other)| apart(*class, *other) && mark_of_other != mark)?;
        Some(((*class, *mark), *other))
    });
    let named = |(class, mark): (TrafficClass, Dscp)| format!("{class} {}", dscp::label(mark));
    let rest = ["best-effort", "class-default"]
        .contains(&name)
        .then(|| inside.iter().find(|(class, _)| matches!(class, Audio | Video)).copied());
    let all = listed(inside.iter().map(|(_, mark)| *mark));
    let what = format!("queue {name}");
    Some(match (clash, rest.flatten(), inside.first()) {
        (Some((a, b)), ..) => {
            let planned = format!("{} apart from {}", named(a), named(b));
            let fix = format!("give {} and {} a queue each: who shares one waits for the other", a.0, b.0);
            Compared { fix: Some(fix), ..Compared::new(what, Some(planned), all) }
        }
        (_, Some(media), _) => {
            let fix = format!("give {} a queue of its own: here it waits behind everything else", media.0);
            Compared {
                fix: Some(fix),
                ..Compared::new(what, Some(format!("{} elsewhere", named(media))), all)
            }
        }
        (None, None, Some(_)) => Compared::new(what, Some(all.clone()), all),
        (None, None, None) => return None,
    })
}

/// A device that gives packets of the plan another mark, or others a mark of the plan.
fn remarked(order: &Order<'_>, from: &[Mark], to: Mark, by: &str) -> Option<Compared> {
    let planned = planned_marks(order);
    let is_planned = |mark: Dscp| planned.iter().any(|(_, planned)| *planned == mark);
    let lost: Vec<Dscp> = from.iter().map(|mark| mark.0).filter(|mark| is_planned(*mark)).collect();
    let what = format!("marks behind {by}");
    let to_text = dscp::label(to.0);
    if !lost.is_empty() {
        let kept = listed(lost.iter().copied());
        let fix = format!("leave {kept} as it is in {by}: it becomes {to_text} there");
        return Some(Compared {
            fix: Some(fix),
            ..Compared::new(what, Some(kept.clone()), format!("{kept} becomes {to_text}"))
        });
    }
    is_planned(to.0).then(|| {
        let others = listed(from.iter().map(|mark| mark.0));
        let fix = format!("take it back: others get a mark of the plan in {by}");
        Compared { fix: Some(fix), ..Compared::new(what, None, format!("{others} becomes {to_text}")) }
    })
}

/// `EF (46), AF41 (34)`.
fn listed(marks: impl Iterator<Item = Dscp>) -> String {
    let mut texts: Vec<String> = marks.map(dscp::label).collect();
    texts.dedup();
    texts.join(", ")
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
    let planned = word(plan.enabled_in(&scope_named(scope)).value);
    Compared::new(format!("ranges of {scope}"), Some(planned), word(enabled))
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
    let what = format!("{name} ports of {role} ({scope})");
    Compared {
        role: Some(role),
        note: printed
            .then(|| "it ends as the product's documents print it, not where the product does".to_owned()),
        ..Compared::new(what, planned.map(counted), counted(ports))
    }
}

/// With the count, as servers are configured.
fn counted(ports: PortRange) -> String {
    format!("{ports} (start {}, count {})", ports.start(), ports.count())
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
    Some(Compared::new("queue map", planned, deployed))
}
