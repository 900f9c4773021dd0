//! What is set on phones and gateways, against what the plan wants of their family; and what their files leave out.

use std::collections::BTreeMap;

use carillon_wire::ip::Dscp;

use super::{Line, State};
use crate::class::TrafficClass;
use crate::dscp;
use crate::export::{Order, PhoneWanted, phone_wanted};
use crate::import::{Deployed, Fact, What};
use crate::plan::{PhoneFamily, PortControl};
use crate::role::Role;

/// Classes that the plan has for phones.
const CLASSES: [TrafficClass; 3] = [TrafficClass::Audio, TrafficClass::Video, TrafficClass::Signaling];

/// One line for every class that the file says something about. Only what is set is compared, with what the family's
/// own export would say.
pub(super) fn lines(order: &Order<'_>, file: &Deployed) -> Vec<Line> {
    file.facts.iter().filter_map(|fact| compared(order, file, fact)).collect()
}

/// What the plan wants of the families in these files and none of the files says, and what a family cannot do.
pub(super) fn left_out(order: &Order<'_>, files: &[Deployed]) -> Vec<Line> {
    let mut said: BTreeMap<&str, BTreeMap<TrafficClass, PhoneWanted>> = BTreeMap::new();
    for fact in files.iter().flat_map(|file| &file.facts) {
        match &fact.what {
            What::Phone { family, class, start, end, mark } => {
                let known = said.entry(family).or_default().entry(*class).or_default();
                known.start = known.start.or(*start);
                known.end = known.end.or(*end);
                known.mark = known.mark.or(mark.map(|mark| mark.0));
            }
            // The tag that the server hands out to Lync Phone Edition.
            What::Mark { role: Role::Phone, class, mark } => {
                said.entry("lpe").or_default().entry(*class).or_default().mark = Some(*mark);
            }
            _ => {}
        }
    }
    let mut lines = Vec::new();
    if !order.plan.enabled_in(&order.scope).value {
        return lines;
    }
    for (family, said) in said {
        let Some(family) = PhoneFamily::named(family) else { continue };
        for class in CLASSES {
            let said = said.get(&class).copied().unwrap_or_default();
            lines.extend(missing(order, family, class, &said));
            lines.extend(cannot(order, family, class));
        }
    }
    lines
}

fn compared(order: &Order<'_>, file: &Deployed, fact: &Fact) -> Option<Line> {
    let What::Phone { family, class, start, end, mark } = &fact.what else { return None };
    let said = PhoneWanted { start: *start, end: *end, mark: mark.map(|mark| mark.0) };
    let known = PhoneFamily::named(family);
    // The plan may ask for what such a phone cannot do.
    let wanted = known.and_then(|family| phone_wanted(order, family, *class).ok()).unwrap_or_default();
    let wanted = PhoneWanted {
        start: wanted.start.filter(|_| said.start.is_some()),
        end: wanted.end.filter(|_| said.end.is_some()),
        mark: wanted.mark.filter(|_| said.mark.is_some()),
    };
    let planned = told(&wanted);
    let (state, fix) = match planned.as_str() {
        "" => (State::Extra, Some("take it back, or write it into the plan".to_owned())),
        _ if wanted == said => (State::Match, None),
        _ => (State::Different, Some(change(&wanted, &said))),
    };
    let line = line(known, *class, state);
    Some(Line {
        source: file.source.clone(),
        place: fact.place.clone(),
        what: format!("{class} of {}", known.map_or("unknown", |family| family.name)),
        planned: (!planned.is_empty()).then_some(planned),
        deployed: Some(told(&said)),
        fix,
        ..line
    })
}

/// Each setting that differs, by itself.
fn change(wanted: &PhoneWanted, said: &PhoneWanted) -> String {
    let number = |port: Option<u16>| port.map(|port| port.to_string());
    let parts = [
        ("the first port", number(wanted.start), number(said.start)),
        ("the last port", number(wanted.end), number(said.end)),
        ("the mark", wanted.mark.map(dscp::label), said.mark.map(dscp::label)),
    ];
    let differing = parts.into_iter().filter(|(_, wanted, said)| wanted != said);
    let text = |(what, wanted, said): (&str, Option<String>, Option<String>)| match (wanted, said) {
        (Some(wanted), Some(said)) => Some(format!("set {what} to {wanted}, it is {said}")),
        (None, Some(said)) => Some(format!("take {what} back, it is {said}")),
        _ => None,
    };
    differing.filter_map(text).collect::<Vec<String>>().join("; ")
}

fn missing(order: &Order<'_>, family: &PhoneFamily, class: TrafficClass, said: &PhoneWanted) -> Option<Line> {
    let wanted = phone_wanted(order, family, class).ok()?;
    let told_in_band = family.ports == PortControl::InBand;
    // Some firmware works the last port out from the first.
    let derives_end = matches!(family.ports, PortControl::StartOnly { .. });
    let lacking = PhoneWanted {
        start: wanted.start.filter(|_| said.start.is_none() && !told_in_band),
        end: wanted.end.filter(|_| said.end.is_none() && !told_in_band && !derives_end),
        mark: wanted.mark.filter(|_| said.mark.is_none()),
    };
    let text = told(&lacking);
    (!text.is_empty()).then(|| Line {
        planned: Some(text.clone()),
        fix: Some(format!(
            "add {text}: what the file leaves out, the device decides; `carillon plan export` writes it"
        )),
        ..line(Some(family), class, State::Missing)
    })
}

/// What the plan wants of the role and nothing can make the family do.
fn cannot(order: &Order<'_>, family: &PhoneFamily, class: TrafficClass) -> Option<Line> {
    let policy = order.plan.policy(role_of(Some(family)), &order.scope);
    let mark = Some(policy.mark(class)).filter(|mark| *mark != Dscp::DEFAULT);
    let ports = policy.ports(class);
    let is_line = |planned: String, why: String| {
        Some(Line { planned: Some(planned), note: Some(why), ..line(Some(family), class, State::Cannot) })
    };
    let gateway = family.ports == PortControl::BaseAndSpacing;
    match phone_wanted(order, family, class) {
        Err(unfit) if class == TrafficClass::Audio => {
            is_line("the plan's ports".to_owned(), unfit.to_string())
        }
        Ok(PhoneWanted { mark: None, .. }) if class == TrafficClass::Signaling => is_line(
            told(&PhoneWanted { mark: Some(mark?), ..PhoneWanted::default() }),
            format!("{} cannot mark signaling: let the switch do it", family.name),
        ),
        Ok(PhoneWanted { start: None, .. }) if class == TrafficClass::Video && family.video && !gateway => {
            is_line(
                format!("ports {}", ports?),
                format!(
                    "{} has one range for all media: its video leaves from the ports of audio",
                    family.name
                ),
            )
        }
        _ => None,
    }
}

fn line(family: Option<&PhoneFamily>, class: TrafficClass, state: State) -> Line {
    Line {
        state,
        source: String::new(),
        place: String::new(),
        role: Some(role_of(family)),
        what: format!("{class} of {}", family.map_or("unknown", |family| family.name)),
        planned: None,
        deployed: None,
        fix: None,
        note: None,
    }
}

fn role_of(family: Option<&PhoneFamily>) -> Role {
    let gateway = family.is_some_and(|family| family.ports == PortControl::BaseAndSpacing);
    if gateway { Role::Gateway } else { Role::Phone }
}

/// `first port 6000, mark EF (46)`.
fn told(values: &PhoneWanted) -> String {
    let parts = [
        values.start.map(|port| format!("first port {port}")),
        values.end.map(|port| format!("last port {port}")),
        values.mark.map(|mark| format!("mark {}", dscp::label(mark))),
    ];
    parts.into_iter().flatten().collect::<Vec<String>>().join(", ")
}
