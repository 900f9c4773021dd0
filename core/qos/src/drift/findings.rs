//! What is wrong with deployed rules, queue maps and phones as such: the lints of a plan that has them.

use std::collections::BTreeMap;

use super::{marks_in_between, role_of, rules_of};
use crate::class::TrafficClass;
use crate::export::Order;
use crate::import::{Deployed, Fact, Marker, Reach, What};
use crate::plan::{Estate, Lint, Phone, PhoneFamily, Plan, Rule, Scope, deployed};
use crate::role::Role;
use crate::rule::MarkingRule;

/// Findings that deployed things give rise to; what is wrong with the plan alone is for [`Plan::lint`], and how a rule
/// differs from it is for [`super::compare`].
const CODES: [&str; 10] = [
    "rule-two-sided",
    "edge-rule-source-3478",
    "rule-without-ports",
    "rule-any-program",
    "rule-one-protocol",
    "signaling-rule-by-source",
    "outdated-executable",
    "two-audio-marks",
    "queue-shared",
    "queue-order",
];

/// Lints of what is deployed: a rule that loses traffic or covers too much, a program of an older generation, two audio
/// marks in one estate, two classes in one queue. Roles are found as in [`super::compare`].
pub fn lints(plan: &Plan, scope: &Scope, role: Option<Role>, files: &[Deployed]) -> Vec<Lint> {
    let order = Order { plan, scope: scope.clone() };
    let found = plan.with_deployed(estate(&order, role, files)).lint();
    let before = plan.lint();
    let news = found.into_iter().filter(|lint| CODES.contains(&lint.code));
    let programs = files.iter().any(|file| file.marker == Marker::Host);
    news.filter(|lint| lint.code.starts_with("rule-") || !before.contains(lint))
        .filter(|lint| programs || lint.code != "rule-any-program")
        .collect()
}

fn estate(order: &Order<'_>, role: Option<Role>, files: &[Deployed]) -> Estate {
    let mut estate = Estate::default();
    let mut phones: BTreeMap<&str, Phone> = BTreeMap::new();
    for fact in files.iter().flat_map(|file| &file.facts) {
        match &fact.what {
            What::Queues(map) if estate.queues.is_none() => estate.queues = Some(map.clone()),
            What::Mark { role, class, mark } => {
                estate.marks.entry((*role, *class)).or_insert(*mark);
            }
            What::Phone { .. } => phone(fact, &mut phones),
            _ => {}
        }
    }
    estate.phones = phones.into_values().collect();
    for file in files {
        let rules = rules_of(file);
        let role = role_of(order, role, file, &rules);
        // Lints are about what hosts do with their own traffic.
        if marks_in_between(file, role) {
            continue;
        }
        let role = role.unwrap_or(Role::Client);
        let works =
            rules.iter().filter(|rule| rule.caveats.iter().all(|caveat| caveat.reach != Reach::Nothing));
        estate.rules.extend(works.map(|rule| Rule {
            role,
            marking: MarkingRule {
                name: format!("{} ({})", rule.rule.name, rule.place),
                ..rule.rule.clone()
            },
        }));
    }
    estate
}

/// What stands first in the files counts.
fn phone<'f>(fact: &'f Fact, phones: &mut BTreeMap<&'f str, Phone>) {
    let What::Phone { family, class, start, mark, .. } = &fact.what else { return };
    let Some(facts) = PhoneFamily::named(family) else { return };
    let new = || Phone { family: *facts, audio_start: None, video_start: None, marks: BTreeMap::new() };
    let phone = phones.entry(*family).or_insert_with(new);
    let slot = match class {
        TrafficClass::Audio => Some(&mut phone.audio_start),
        TrafficClass::Video => Some(&mut phone.video_start),
        _ => None,
    };
    if let Some(slot) = slot.filter(|slot| slot.is_none()) {
        *slot = start.map(deployed);
    }
    if let Some(mark) = mark {
        phone.marks.entry(*class).or_insert_with(|| deployed(mark.0));
    }
}
