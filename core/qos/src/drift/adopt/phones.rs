//! Phones and gateways of a plan: what their files say becomes the policy of their role, from which every export is
//! made, and what is configured on them.

use std::collections::{BTreeMap, BTreeSet};

use carillon_wire::ip::Dscp;

use super::mark_text;
use crate::class::TrafficClass;
use crate::import::{Deployed, Fact, What};
use crate::plan::{PhoneFamily, PortControl};
use crate::ports::PortRange;
use crate::role::Role;

/// What a file says of a class of a role.
pub(super) struct Told<'f> {
    pub(super) file: &'f Deployed,
    pub(super) place: &'f str,
    pub(super) role: Role,
    pub(super) class: TrafficClass,
    pub(super) ports: Option<PortRange>,
    pub(super) mark: Option<Dscp>,
    /// What was made of it that it does not say.
    pub(super) note: Option<String>,
}

/// Ports that a gateway without a media realm may use: 256 channels of ten.
const GATEWAY: u32 = 2560;

/// Classes that phones have settings for.
const CLASSES: [TrafficClass; 3] = [TrafficClass::Audio, TrafficClass::Video, TrafficClass::Signaling];

/// What all files say of the roles of phones and gateways, in their order.
pub(super) fn told(files: &[Deployed]) -> Vec<Told<'_>> {
    let mut starts: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for (_, _, family, start) in phones(files) {
        starts.entry(family.name).or_default().extend(start);
    }
    phones(files)
        .filter_map(|(file, fact, family, _)| {
            let What::Phone { class, start, end, mark, .. } = &fact.what else { return None };
            let next = start
                .and_then(|start| starts.get(family.name)?.range(start.checked_add(1)?..).next().copied());
            let (ports, note) = range(family, *start, *end, next);
            Some(Told {
                file,
                place: &fact.place,
                role: role_of(family),
                class: *class,
                ports: ports.filter(|_| class.is_media()),
                mark: mark.map(|mark| mark.0).filter(|_| CLASSES.contains(class)),
                note: note.map(|note| format!("{class} of {}: {note}", family.name)),
            })
        })
        .collect()
}

/// What families have settings for and none of the files says.
pub(super) fn left_out(files: &[Deployed]) -> Vec<String> {
    let mut said: BTreeMap<&str, (&PhoneFamily, BTreeSet<TrafficClass>)> = BTreeMap::new();
    for (_, fact, family, _) in phones(files) {
        let (_, classes) = said.entry(family.name).or_insert((family, BTreeSet::new()));
        if let What::Phone { class, mark: Some(_), .. } = &fact.what {
            classes.insert(*class);
        }
    }
    let open = |(family, said): &(&PhoneFamily, BTreeSet<TrafficClass>)| {
        let can = |class: &TrafficClass| match class {
            TrafficClass::Video => family.video,
            TrafficClass::Signaling => family.marks_signaling == Some(true),
            _ => true,
        };
        let lacking = CLASSES.into_iter().filter(|class| !said.contains(class));
        let (open, never): (Vec<TrafficClass>, Vec<TrafficClass>) = lacking.partition(can);
        let text = |classes: &[TrafficClass], why: &str| {
            let names: Vec<&str> = classes.iter().map(|class| class.name()).collect();
            (!names.is_empty())
                .then(|| format!("{}: the mark of {} is left out: {why}", family.name, names.join(", ")))
        };
        [text(&open, "no file of theirs says it"), text(&never, "such devices have no setting for it")]
    };
    said.values().flat_map(open).flatten().collect()
}

/// `[phones.FAMILY]` by family: what stands first in the files counts.
pub(super) fn tables(files: &[Deployed]) -> BTreeMap<&'static str, String> {
    let mut values: BTreeMap<&'static str, BTreeMap<&'static str, String>> = BTreeMap::new();
    for (_, fact, family, start) in phones(files) {
        let What::Phone { class, mark, .. } = &fact.what else { continue };
        let values = values.entry(family.name).or_default();
        let start_key = match class {
            TrafficClass::Audio => Some("audio-start"),
            TrafficClass::Video => Some("video-start"),
            _ => None,
        };
        let mark = mark.filter(|_| CLASSES.contains(class)).map(|mark| (class.name(), mark_text(mark.0)));
        let start = start_key.zip(start).map(|(key, port)| (key, port.to_string()));
        for (key, value) in start.into_iter().chain(mark) {
            values.entry(key).or_insert(value);
        }
    }
    let table = |(family, values): (&'static str, BTreeMap<&'static str, String>)| {
        let lines: String = values.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        (family, format!("\n[phones.{family}]\n{lines}"))
    };
    values.into_iter().map(table).collect()
}

type PhoneFact<'f> = (&'f Deployed, &'f Fact, &'static PhoneFamily, Option<u16>);

fn phones(files: &[Deployed]) -> impl Iterator<Item = PhoneFact<'_>> {
    files.iter().flat_map(|file| file.facts.iter().map(move |fact| (file, fact))).filter_map(
        |(file, fact)| {
            let What::Phone { family, start, .. } = &fact.what else { return None };
            Some((file, fact, PhoneFamily::named(family)?, start.filter(|start| *start > 0)))
        },
    )
}

/// The range behind a first port; where the device has no last one, as much as it may use, up to the next range.
fn range(
    family: &PhoneFamily,
    start: Option<u16>,
    end: Option<u16>,
    next: Option<u16>,
) -> (Option<PortRange>, Option<String>) {
    let Some(start) = start.filter(|start| *start > 0) else { return (None, None) };
    if let Some(end) = end {
        return (PortRange::from_ends(start, end), None);
    }
    let least = match family.ports {
        PortControl::StartOnly { narrow, .. } => narrow,
        _ => 1,
    };
    let count = match family.ports {
        PortControl::StartOnly { wide, .. } => u32::from(wide),
        PortControl::BaseAndSpacing => GATEWAY,
        _ => return (None, Some(format!("a first port, {start}, without a last one is no range: left out"))),
    };
    let end = u32::from(start).saturating_add(count - 1).min(u32::from(u16::MAX));
    let end = u16::try_from(end).unwrap_or(u16::MAX);
    let end = next.map_or(end, |next| end.min(next.saturating_sub(1)));
    let end = end.max(start.saturating_add(least - 1));
    let range = PortRange::from_ends(start, end);
    (range, range.map(|range| format!("no last port is set: taken for {range}")))
}

fn role_of(family: &PhoneFamily) -> Role {
    if family.ports == PortControl::BaseAndSpacing { Role::Gateway } else { Role::Phone }
}
