//! Whether a draft may hold: it must be a plan, and no worse than the one before.
//!
//! What a documented order of steps asks for before it can hold (the switch before the ranges, one range of a server before
//! the next) is kept under `[management]` and waits; each change tries whether it can hold by now.

use std::collections::BTreeMap;

use carillon_qos::plan::management::Object;
use carillon_qos::plan::{Held, Level, Lint, ManagedKind, ManagedValue, Property, management};
use carillon_qos::{Plan, PortRange};

use super::draft::{Draft, Place};
use super::slot::{Part, Slot, part};
use super::{Estate, parse};
use crate::cmdlet::place_of;
use crate::error::{Error, Fault};
use crate::object::Value;

/// A plan that may hold, and what to know about it.
pub(super) struct Settled {
    pub(super) toml: String,
    pub(super) warnings: Vec<String>,
}

/// Findings that one more step of a documented order mends.
const MENDED_BY_THE_NEXT_STEP: [&str; 3] = ["default-ranges", "ranges-overlap", "modality-unset"];

/// What a range that is too small for anybody is called: an error of clients' ranges, and no more than a warning of
/// servers', where a plan file may have its reasons.
const TOO_SMALL: &str = "server-smaller-than-client";

/// A finding about devices that are told by files of their own: no cmdlet of the same line could mend it.
const PHONES_LEFT_BEHIND: &str = "phone-outside-range";

/// Checks the draft, and has hold what can.
pub(super) fn settle(before: &Estate, draft: Draft, force: bool) -> Result<Settled, Error> {
    let mut draft = draft;
    let mut warnings = Vec::new();
    let plan = parse(&draft.toml())?;
    refuse_worse(&before.plan, &plan, force, &mut warnings)?;
    for kind in management::KINDS {
        for (identity, object) in plan.management().objects(kind) {
            let waiting = Waiting { kind, identity, object, plan: &plan };
            draft = waiting.settle(before, draft, force, &mut warnings)?;
        }
    }
    warnings.extend(phones_left_behind(&before.plan, &parse(&draft.toml())?));
    Ok(Settled { toml: draft.toml(), warnings })
}

fn phones_left_behind(before: &Plan, after: &Plan) -> Vec<String> {
    let left = |lint: &Lint| lint.code == PHONES_LEFT_BEHIND;
    let old = before.lint();
    let new = after.lint().into_iter().filter(left).filter(|lint| !old.contains(lint));
    new.map(|lint| {
        format!("{}. Change [phones] in the plan, then `carillon plan export` writes their files.", lint.text)
    })
    .collect()
}

fn refuse_worse(before: &Plan, after: &Plan, force: bool, warnings: &mut Vec<String>) -> Result<(), Error> {
    let texts: Vec<String> =
        worse(before, after).iter().map(|lint| format!("{}: {}", lint.code, lint.text)).collect();
    match (texts.is_empty(), force) {
        (true, _) => Ok(()),
        (false, true) => {
            warnings
                .extend(texts.into_iter().map(|text| format!("taken because of -Force, in spite of {text}")));
            Ok(())
        }
        (false, false) => {
            let text = format!(
                "nothing was changed, because `carillon plan lint` would say: {}. -Force takes it all the same.",
                texts.join("; ")
            );
            Err(Error::new(Fault::InvalidOperation, text))
        }
    }
}

/// Errors of the later plan that the earlier one has not. A plan whose ranges already collide is not made worse by
/// colliding otherwise: that may be the way out.
fn worse(before: &Plan, after: &Plan) -> Vec<Lint> {
    let errors = |plan: &Plan| -> Vec<Lint> {
        let refused = |lint: &Lint| lint.level == Level::Error || lint.code == TOO_SMALL;
        plan.lint().into_iter().filter(refused).collect()
    };
    let subject = |lint: &Lint| {
        let group = if lint.code == "default-ranges" { "ranges-overlap" } else { lint.code };
        let role = lint.text.split_once(": ").map_or("", |(role, _)| role).to_owned();
        let place = lint.text.rsplit_once(" (in ").map_or("", |(_, place)| place).to_owned();
        (group, role, place)
    };
    let old: Vec<_> = errors(before).iter().map(subject).collect();
    let mut new = errors(after);
    new.retain(|lint| lint.code != PHONES_LEFT_BEHIND && !old.contains(&subject(lint)));
    new
}

/// What waits in one object.
struct Waiting<'a> {
    kind: &'static ManagedKind,
    identity: &'a str,
    object: &'a Object,
    plan: &'a Plan,
}

impl Waiting<'_> {
    /// The draft with as much in its place as can hold. The rest waits, or is refused.
    fn settle(
        &self,
        before: &Estate,
        draft: Draft,
        force: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Draft, Error> {
        let mut slots: Vec<Slot> = self.properties().map(|(slot, ..)| slot).collect();
        slots.dedup();
        let now = parse(&draft.toml())?;
        let mut draft = draft;
        for some in subsets(&slots) {
            let Some(next) = self.promoted(&draft, &some) else { continue };
            if worse(&now, &parse(&next.toml())?).is_empty() {
                draft = next;
                slots.retain(|slot| !some.contains(slot));
                break;
            }
        }
        let (now, rest) = (parse(&draft.toml())?, slots);
        let Some(next) = self.promoted(&draft, &rest).filter(|_| !rest.is_empty()) else { return Ok(draft) };
        let with = parse(&next.toml())?;
        let worse = worse(&now, &with);
        let was_asked = self.was_asked(before, &rest);
        match !force && (was_asked || worse.iter().any(|lint| MENDED_BY_THE_NEXT_STEP.contains(&lint.code))) {
            // Told when it was asked for, not again at each change of something else.
            true if was_asked => Ok(draft),
            true => {
                warnings.extend(worse.iter().map(|lint| self.told(&rest, lint)));
                Ok(draft)
            }
            false => refuse_worse(&now, &with, force, warnings).map(|()| next),
        }
    }

    /// The properties that wait, with the slot of the plan that they are for.
    fn properties(&self) -> impl Iterator<Item = (Slot, &'static Property, &ManagedValue)> {
        self.kind.properties.iter().filter_map(|property| match property.held {
            Held::Waits(key) => Some((Slot::of(key)?, property, self.object.get(property.name)?)),
            _ => None,
        })
    }

    /// Whether the plan before asked for the same already.
    fn was_asked(&self, before: &Estate, slots: &[Slot]) -> bool {
        let known = |name| before.plan.management().value(self.kind, self.identity, name);
        self.properties()
            .filter(|(slot, ..)| slots.contains(slot))
            .all(|(_, property, value)| known(property.name) == Some(value))
    }

    /// The draft with what waits for these slots where it belongs.
    fn promoted(&self, draft: &Draft, slots: &[Slot]) -> Option<Draft> {
        let place = place_of(self.kind, self.identity)?;
        let mut next = draft.clone();
        let mut ranges: BTreeMap<Slot, [Option<u64>; 2]> = BTreeMap::new();
        for (slot, property, value) in self.properties().filter(|(slot, ..)| slots.contains(slot)) {
            next.set_managed(self.kind, self.identity, property.name, None);
            match value {
                ManagedValue::Integer(number) => {
                    let [start, count] = ranges.entry(slot).or_default();
                    *(if part(property) == Part::Start { start } else { count }) = Some(*number);
                }
                value => slot.set_value(&mut next, &place, self.plan, value),
            }
        }
        for (slot, [start, count]) in ranges {
            slot.set_range(&mut next, &place, range(self.plan, self.kind, &place, slot, start, count)?);
        }
        Some(next)
    }

    fn told(&self, slots: &[Slot], lint: &Lint) -> String {
        let names = self.properties().filter(|(slot, ..)| slots.contains(slot));
        let names: Vec<&str> = names.map(|(_, property, _)| property.name).collect();
        let (names, identity, text) = (names.join(", "), self.identity, &lint.text);
        format!("{names} of {identity} is kept, but does not hold yet: {}: {text}", lint.code)
    }
}

/// Every choice of these slots, the largest first; of none there is none.
fn subsets(slots: &[Slot]) -> Vec<Vec<Slot>> {
    let chosen = |mask: u32| -> Vec<Slot> {
        let of = |(place, slot): (usize, &Slot)| (mask >> place & 1 == 1).then_some(*slot);
        slots.iter().enumerate().filter_map(of).collect()
    };
    let mut masks: Vec<u32> = (1..1 << slots.len().min(8)).collect();
    masks.sort_by_key(|mask| std::cmp::Reverse(mask.count_ones()));
    masks.into_iter().map(chosen).collect()
}

/// The range of a slot with these parts changed.
pub(crate) fn range(
    plan: &Plan,
    kind: &ManagedKind,
    place: &Place,
    slot: Slot,
    start: Option<u64>,
    count: Option<u64>,
) -> Option<PortRange> {
    let current = |wanted: Part| {
        let of_slot = |property: &&Property| match property.held {
            Held::Plan(key) | Held::Waits(key) => Slot::of(key) == Some(slot) && part(property) == wanted,
            _ => false,
        };
        let property = kind.properties.iter().find(of_slot)?;
        match slot.read(plan, place, property) {
            Some(Value::Integer(number)) => u64::try_from(number).ok(),
            _ => property.default.parse().ok(),
        }
    };
    let start = start.or_else(|| current(Part::Start))?;
    let count = count.or_else(|| current(Part::Count))?;
    PortRange::from_count(u16::try_from(start).ok()?, u32::try_from(count).ok()?)
}
