//! What the phones of a family have to be told in one scope: decided here once, spelt by each family.
//!
//! A family that cannot obey the plan is refused; what it does a little differently is a remark for the guide.

use carillon_wire::ip::Dscp;

use super::super::{Order, Unfit};
use crate::class::TrafficClass;
use crate::plan::{PhoneFamily, PortControl, RolePolicy};
use crate::ports::PortRange;
use crate::role::Role;

/// One class of media.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Media {
    /// The ports; `None` where the plan lets the class use any.
    pub(crate) ports: Option<PortRange>,
    /// The mark, also where it is none: a phone that is told nothing keeps a mark of its own.
    pub(crate) mark: Dscp,
}

/// The values for one family.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Settings {
    /// Voice.
    pub(crate) audio: Media,
    /// Video, if the family has any.
    pub(crate) video: Option<Media>,
    /// The mark of signaling, if the family can send one.
    pub(crate) signaling: Option<Dscp>,
    /// How the phones will differ from the plan.
    pub(crate) limits: Vec<String>,
}

/// The values for the phones of this family.
///
/// # Errors
/// The plan is not in force, or its ranges have no place for what the family fixes.
pub(crate) fn of_phones(order: &Order<'_>, family: &PhoneFamily) -> Result<Settings, Unfit> {
    let policy = in_force(order, Role::Phone)?;
    let mut limits = Vec::new();
    let mut media = |class| -> Result<Media, Unfit> {
        let ports = match policy.ports(class) {
            None => None,
            Some(planned) => Some(ports(order, family, class, planned, &mut limits)?),
        };
        Ok(Media { ports, mark: policy.mark(class) })
    };
    let audio = media(TrafficClass::Audio)?;
    let video = if family.video { Some(media(TrafficClass::Video)?) } else { None };
    let signaling =
        Some(policy.mark(TrafficClass::Signaling)).filter(|_| family.marks_signaling == Some(true));
    if audio.ports.is_none() {
        limits.push("The plan has no audio range for phones: they keep their own ports.".to_owned());
    }
    Ok(Settings { audio, video, signaling, limits })
}

/// What this role does in this scope.
///
/// # Errors
/// A plan that is not in force has nothing to configure.
pub(crate) fn in_force(order: &Order<'_>, role: Role) -> Result<RolePolicy, Unfit> {
    let (plan, scope) = (order.plan, &order.scope);
    if plan.enabled_in(scope).value {
        return Ok(plan.policy(role, scope));
    }
    let text = "is not in force here, so there is nothing to configure; set `enabled = true`";
    Err(Unfit(format!("plan `{}` {text}", plan.name())))
}

/// The ports that a family will use inside the planned ones, from the start that the plan names for it.
fn ports(
    order: &Order<'_>,
    family: &PhoneFamily,
    class: TrafficClass,
    planned: PortRange,
    limits: &mut Vec<String>,
) -> Result<PortRange, Unfit> {
    let from = |start| PortRange::from_ends(start, planned.end());
    let PortControl::StartOnly { narrow, wide } = family.ports else { return Ok(planned) };
    let fits = |start: u16| planned.covers(from_count(start, narrow).unwrap_or(PortRange::UNRESTRICTED));
    // RTP sits on even ports and RTCP above it (RFC 3550, 11): of the planned ports, the first even one.
    let even = planned.start().saturating_add(planned.start() % 2);
    let declared = declared_start(order, class).filter(|start| fits(*start));
    let start = declared.or_else(|| Some(even).filter(|start| fits(*start)));
    let Some(range) = start.and_then(from) else {
        let used = from_count(even, narrow).map_or_else(|| even.to_string(), |used| used.to_string());
        return Err(Unfit(format!(
            "phone will use {used} for {class}, plan {planned}: its range is fixed. Give {class} at least {narrow} \
             ports from an even one, better {wide}"
        )));
    };
    if range.start() % 2 == 1 {
        let start = range.start();
        let text = "the vendor's manual asks for an even one, and what phones do with it is not known";
        limits.push(format!("The plan lets {class} start at {start}, which is odd: {text}."));
    }
    match from_count(range.start(), wide).filter(|used| planned.covers(*used)) {
        Some(used) => Ok(used),
        None => {
            let beyond = u32::from(range.start()) + u32::from(wide) - 1;
            limits.push(format!(
                "By the vendor's manual phones of older firmware use {} to {beyond} for {class}; the plan ends at {}.",
                range.start(),
                range.end()
            ));
            Ok(range)
        }
    }
}

/// The first port that the plan names for phones of this kind.
fn declared_start(order: &Order<'_>, class: TrafficClass) -> Option<u16> {
    let fixed = |ports| matches!(ports, PortControl::StartOnly { .. });
    let mut phones = order.plan.phones().iter().filter(|phone| fixed(phone.family.ports));
    phones.find_map(|phone| match class {
        TrafficClass::Audio => phone.audio_start.as_ref().map(|start| start.value),
        _ => phone.video_start.as_ref().map(|start| start.value),
    })
}

fn from_count(start: u16, count: u16) -> Option<PortRange> {
    PortRange::from_count(start, u32::from(count))
}
