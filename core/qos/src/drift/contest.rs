//! Policies of Windows in one file against each other: a planned policy that another one beats is no match.

use super::pairing::{self, Planned};
use super::{role_of, rules_of};
use crate::dscp;
use crate::export::Order;
use crate::import::{Caveat, Contender, Deployed, Fact, Marker, Standing, What};
use crate::role::Role;

/// A policy, and where it stands.
struct Rival<'f> {
    place: &'f str,
    policy: &'f Contender,
}

/// Most policies that each is weighed against; no estate has as many, and one that has is told.
const MAX_STRANGERS: usize = 1000;

/// The file with what other policies take from each rule. What the plan itself wants takes nothing: between two of its
/// own rules the plan does not choose.
pub(super) fn weighed(order: &Order<'_>, told: Option<Role>, file: &Deployed) -> Deployed {
    let mut weighed = file.clone();
    let role = role_of(order, told, file, &rules_of(file)).filter(|_| file.marker == Marker::Host);
    let Some(role) = role else { return weighed };
    let planned = pairing::planned(order, role, Marker::Host);
    let all: Vec<Rival<'_>> = file.facts.iter().filter_map(rival).collect();
    let strangers: Vec<&Rival<'_>> = all.iter().filter(|rival| !is_planned(&planned, rival.policy)).collect();
    for fact in &mut weighed.facts {
        let What::Rule(rule) = &fact.what else { continue };
        let own = all.iter().find(|rival| rival.place == fact.place && rival.policy.fits == *rule);
        fact.caveats.extend(own.and_then(|own| loss_to_any(own, &strangers)));
    }
    weighed
}

fn rival(fact: &Fact) -> Option<Rival<'_>> {
    match &fact.what {
        What::Policy(policy) => Some(Rival { place: &fact.place, policy }),
        _ => None,
    }
}

/// Whether it does a part, or all, of what a rule of the plan does, for its program or for every one.
fn is_planned(planned: &[Planned], policy: &Contender) -> bool {
    let program = |wanted: &Planned| match (&policy.fits.application, &wanted.rule.application) {
        (None, _) => true,
        (Some(has), Some(wanted)) => {
            has.rsplit(['\\', '/']).next().is_some_and(|has| has.eq_ignore_ascii_case(wanted))
        }
        (Some(_), None) => false,
    };
    let part = |wanted: &Planned| program(wanted) && wanted.rule.holds_ports_of(&policy.fits);
    let does = |wanted: &Planned| {
        policy.mark == Some(wanted.rule.mark) && (part(wanted) || wanted.fits(&policy.fits))
    };
    planned.iter().any(does)
}

fn loss_to_any(own: &Rival<'_>, strangers: &[&Rival<'_>]) -> Option<Caveat> {
    let known = strangers.iter().take(MAX_STRANGERS).find_map(|other| loss(own, other));
    let many = || {
        let text = format!("more than {MAX_STRANGERS} policies that no plan asks for: not all were weighed");
        (strangers.len() > MAX_STRANGERS).then(|| Caveat::part(text, "take them away"))
    };
    known.or_else(many)
}

/// What another policy takes from one, unless it marks the same way.
fn loss(own: &Rival<'_>, other: &Rival<'_>) -> Option<Caveat> {
    let mark = own.policy.mark?;
    if other.policy.mark == Some(mark) || own.place == other.place {
        return None;
    }
    let name = &other.policy.fits.name;
    let by = format!("policy `{name}` ({}): {}", other.place, other.policy.describe());
    let fix = format!("take policy `{name}` away, or give it the mark {}", dscp::label(mark));
    match own.policy.against(other.policy) {
        Standing::Applied => None,
        Standing::Behind => {
            Some(Caveat::part(format!("Windows prefers, for packets that both fit, {by}"), fix))
        }
        Standing::Void => Some(Caveat::nothing(format!("never applied: Windows prefers {by}"), fix)),
        Standing::Open => {
            let text = format!("no document says whether Windows prefers, for packets that both fit, {by}");
            Some(Caveat::unknown(text, fix))
        }
    }
}
