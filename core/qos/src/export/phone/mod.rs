//! Desk phones and gateways: what each family can be told, and nothing that it cannot.

mod asterisk;
mod audiocodes;
mod cube;
mod lync;
mod polycom;
pub(crate) mod settings;
mod snom;
mod yealink;

use carillon_wire::ip::Dscp;

use super::{File, Guide, Order, Target, Unfit};
use crate::class::TrafficClass;
use crate::plan::{PhoneFamily, PortControl};
use crate::role::Role;

pub(super) const TARGETS: &[Target] = &[
    polycom::TARGET,
    yealink::TARGET,
    snom::TARGET,
    lync::TARGET,
    audiocodes::PHONES,
    audiocodes::GATEWAY,
    cube::TARGET,
    asterisk::TARGET,
];

/// What the devices of a family are told about a class; `None` is what they are not told. For comparing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// First port.
    pub start: Option<u16>,
    /// Last port.
    pub end: Option<u16>,
    /// The mark.
    pub mark: Option<Dscp>,
}

/// What the file of this family will say about a class in this scope.
///
/// # Errors
/// The family cannot obey this plan, or the plan is not in force.
pub fn wanted(order: &Order<'_>, family: &PhoneFamily, class: TrafficClass) -> Result<Wanted, Unfit> {
    if family.ports == PortControl::BaseAndSpacing {
        let policy = settings::in_force(order, Role::Gateway)?;
        let planned = policy.ports(class).filter(|_| class == TrafficClass::Audio);
        let told = matches!(class, TrafficClass::Audio | TrafficClass::Signaling);
        let mark = told.then(|| policy.mark(class));
        return Ok(Wanted { start: planned.map(audiocodes::base).transpose()?, end: None, mark });
    }
    let settings = settings::of_phones(order, family)?;
    let (ports, mark) = match class {
        TrafficClass::Audio => (settings.audio.ports, Some(settings.audio.mark)),
        TrafficClass::Video => {
            let own_range = matches!(family.ports, PortControl::StartOnly { .. });
            let ports = settings.video.and_then(|video| video.ports).filter(|_| own_range);
            (ports, settings.video.map(|video| video.mark))
        }
        TrafficClass::Signaling => (None, settings.signaling),
        _ => (None, None),
    };
    Ok(Wanted { start: ports.map(|ports| ports.start()), end: ports.map(|ports| ports.end()), mark })
}

/// A text file with its guide.
fn file(path: &str, text: String, guide: Guide) -> File {
    File { path: path.to_owned(), bytes: text.into_bytes(), guide: Some(guide) }
}

/// Steps or remarks of a guide.
fn lines<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}
