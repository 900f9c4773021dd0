//! Properties that the plan itself holds: which value of the plan a property shows, and how it is set.

use carillon_qos::plan::{ManagedValue, Origin, PhoneFamily, Property};
use carillon_qos::{Plan, PortRange, Role, TrafficClass};
use carillon_wire::ip::Dscp;

use super::draft::{Draft, Place};
use crate::object::Value;

/// A value of the plan that properties show: a switch, a mark, a range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Slot {
    /// Whether the plan is in force.
    Enabled,
    /// The ports of a class.
    Ports(Role, TrafficClass),
    /// The one range of old clients.
    Legacy,
    /// The mark of phones for audio.
    PhoneMark,
    /// The Edge's relay ports.
    EdgePorts,
}

/// Which part of a range a property is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// The first port.
    Start,
    /// How many.
    Count,
}

/// Which part of a range a property is, by its name.
pub(crate) fn part(property: &Property) -> Part {
    match property.name.ends_with("Range") || property.name.ends_with("Count") {
        true => Part::Count,
        false => Part::Start,
    }
}

impl Slot {
    /// The slot behind the key that the table of kinds names.
    pub(crate) fn of(key: &str) -> Option<Slot> {
        match key {
            "enabled" => return Some(Slot::Enabled),
            "edge.ports" => return Some(Slot::EdgePorts),
            "roles.client.legacy-ports" => return Some(Slot::Legacy),
            "roles.phone.audio.dscp" => return Some(Slot::PhoneMark),
            _ => {}
        }
        let (role, class) = key.strip_prefix("roles.")?.split_once('.')?;
        Some(Slot::Ports(Role::from_name(role)?, TrafficClass::from_name(class)?))
    }

    /// The value in a scope; nothing if the plan says nothing, so that the documented default is all there is.
    pub(crate) fn read(self, plan: &Plan, place: &Place, property: &Property) -> Option<Value> {
        let scope = place.scope();
        let of_range = |range: PortRange| {
            Value::from(match part(property) {
                Part::Start => u64::from(range.start()),
                Part::Count => u64::from(range.count()),
            })
        };
        match self {
            Slot::Enabled => Some(plan.enabled_in(&scope).value.into()),
            Slot::PhoneMark => phone_mark(plan, place).map(|mark| u64::from(mark.value()).into()),
            Slot::EdgePorts => plan.edge_ports().map(of_range),
            Slot::Legacy => plan.legacy_ports(Role::Client, &scope).map(|ports| of_range(ports.value)),
            Slot::Ports(role, class) => {
                let policy = plan.planned(role, &scope);
                match policy.ports(class) {
                    Some(range) => Some(of_range(range)),
                    // "any" on purpose: there is no number to show.
                    None => policy.class(class).ports_planned.then_some(Value::Null),
                }
            }
        }
    }

    /// Whether this scope itself says it.
    pub(crate) fn stated(self, plan: &Plan, place: &Place) -> bool {
        let scope = place.scope();
        let origin = match self {
            Slot::Enabled => plan.enabled_in(&scope).origin,
            Slot::PhoneMark => {
                plan.planned(Role::Phone, &scope).class(TrafficClass::Audio).mark.origin.clone()
            }
            Slot::EdgePorts => return false,
            Slot::Legacy => match plan.legacy_ports(Role::Client, &scope) {
                Some(ports) => ports.origin.clone(),
                None => return false,
            },
            Slot::Ports(role, class) => plan.planned(role, &scope).class(class).ports.origin.clone(),
        };
        let here = match place {
            Place::Global => "global".to_owned(),
            Place::Site(name) => format!("site:{name}"),
            Place::Service(name) => format!("service:{name}"),
        };
        matches!(origin, Origin::Set { scope, .. } if scope == here)
    }

    /// Writes a range.
    pub(crate) fn set_range(self, draft: &mut Draft, place: &Place, range: PortRange) {
        match self {
            Slot::Ports(role, class) => draft.set_ports(place, role, class, range),
            Slot::Legacy => draft.set_legacy(place, Role::Client, range),
            Slot::EdgePorts => draft.set_edge_ports(range),
            Slot::Enabled | Slot::PhoneMark => {}
        }
    }

    /// Writes a switch or a mark. The one mark of phones stands in two places if a family of phones is told it too.
    pub(crate) fn set_value(self, draft: &mut Draft, place: &Place, plan: &Plan, value: &ManagedValue) {
        match (self, value) {
            (Slot::Enabled, ManagedValue::Boolean(enabled)) => draft.set_enabled(place, *enabled),
            (Slot::PhoneMark, ManagedValue::Integer(mark)) => {
                let Some(mark) = u8::try_from(*mark).ok().and_then(Dscp::new) else { return };
                draft.set_mark(place, Role::Phone, TrafficClass::Audio, mark);
                if *place == Place::Global && family(plan).is_some() {
                    draft.set_phone_mark(FAMILY, mark);
                }
            }
            _ => {}
        }
    }

    /// Takes it out of the scope, so that what lies behind holds again.
    pub(crate) fn forget(self, draft: &mut Draft, place: &Place) {
        match self {
            Slot::Enabled => draft.forget(place, &["enabled"]),
            Slot::PhoneMark => draft.forget(place, &["roles", "phone", "audio"]),
            Slot::Legacy => draft.forget(place, &["roles", "client", "legacy-ports"]),
            Slot::EdgePorts => draft.forget(&Place::Global, &["edge", "ports"]),
            Slot::Ports(role, class) => draft.forget(place, &["roles", role.name(), class.name()]),
        }
    }
}

/// The family whose audio mark is VoiceDiffServTag.
const FAMILY: &str = "lpe";

/// What phones of a site are handed out. As long as nobody has chosen a mark for audio, nothing.
fn phone_mark(plan: &Plan, place: &Place) -> Option<Dscp> {
    let policy = plan.planned(Role::Phone, &place.scope());
    let mark = &policy.class(TrafficClass::Audio).mark;
    let chosen = mark.value != Dscp::DEFAULT || matches!(mark.origin, Origin::Set { .. });
    if chosen { Some(mark.value) } else { family(plan) }
}

fn family(plan: &Plan) -> Option<Dscp> {
    let phone = plan.phones().iter().find(|phone| PhoneFamily::named(FAMILY) == Some(&phone.family))?;
    phone.marks.get(&TrafficClass::Audio).map(|mark| mark.value)
}
