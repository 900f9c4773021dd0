//! What other policies of a Cisco device do to packets that a rule has marked: at another interface, or on the way out.

use std::collections::BTreeSet;

use super::bindings::Bindings;
use super::policy_map::{Groups, Kind, MAX_ENTRIES, Policies, PolicyClass, matched_by_lists};
use crate::dscp;
use crate::import::first::Taken;
use crate::import::{Caveat, Mark};
use crate::rule::MarkingRule;
use carillon_wire::ip::Dscp;

/// What policies that are bound do to packets that another has marked: on another interface, or on the way out.
#[derive(Default)]
pub(super) struct Others {
    policies: Vec<Other>,
    /// How much is still compared.
    budget: usize,
}

struct Other {
    name: String,
    place: String,
    classes: Vec<Effect>,
}

/// A class of such a policy.
struct Effect {
    name: String,
    line: usize,
    mark: Option<Dscp>,
    takes: Takes,
}

enum Takes {
    Ports(Vec<Taken>),
    Marks(BTreeSet<Mark>),
    All,
    Unknown,
}

/// Comparisons of rules with other policies.
const MAX_COMPARED: usize = 2_000_000;

impl Others {
    /// Those that look at ports: what a policy does by marks alone is told by itself.
    pub(super) fn of(file: &Policies, bindings: &Bindings) -> Others {
        let bound = file.policies.iter().filter(|(name, _)| bindings.is_bound(name));
        let by_ports = bound.filter(|(_, classes)| matched_by_lists(file, classes));
        let other = |(name, classes): &(String, Vec<PolicyClass>)| Other {
            name: name.clone(),
            place: bindings.place(name),
            classes: classes.iter().map(|class| Effect::of(file, class)).collect(),
        };
        Others { policies: by_ports.map(other).collect(), budget: MAX_COMPARED }
    }

    /// What they do to the packets of a rule of this policy.
    pub(super) fn behind(&mut self, rule: &MarkingRule, policy: &str) -> Vec<Caveat> {
        let mut caveats = Vec::new();
        for other in self.policies.iter().filter(|other| other.name != policy) {
            let mut pieces = vec![rule.clone()];
            for class in &other.classes {
                let (left, bitten) = class.takes.cut(&pieces, rule.mark, &mut self.budget);
                pieces = left;
                let Some(mark) = class.mark.filter(|mark| *mark != rule.mark) else { continue };
                let place = format!(
                    "class {} of {} (line {}), at {}",
                    class.name, other.name, class.line, other.place
                );
                let fix = format!("leave it out of class {} of {}", class.name, other.name);
                match bitten {
                    Some(true) => {
                        let text = format!("but {place} sets {}", dscp::label(mark));
                        caveats.push(Caveat::part(text, fix));
                    }
                    Some(false) => {}
                    None => {
                        let text =
                            format!("{place} sets {}, and what it takes is not read", dscp::label(mark));
                        caveats.push(Caveat::unknown(text, fix));
                    }
                }
            }
        }
        caveats
    }
}

impl Effect {
    fn of(file: &Policies, class: &PolicyClass) -> Effect {
        let takes = match file.kind(&class.name) {
            Kind::Rest | Kind::Any => Takes::All,
            Kind::Marks(marks) => Takes::Marks(marks.clone()),
            Kind::Unknown(_) => Takes::Unknown,
            Kind::Lists(lists) => {
                let mut groups = Groups::default();
                let known: Vec<_> =
                    lists.iter().filter_map(|(_, list)| file.lists.get_key_value(list)).collect();
                for (list, entries) in &known {
                    if entries.len() <= MAX_ENTRIES {
                        groups.list(list, entries, &[], &mut Vec::new(), &mut BTreeSet::new());
                    }
                }
                let unread = lists.iter().any(|(_, list)| file.unread.contains_key(list));
                let taken = groups.in_order().map(|(key, group)| {
                    let rule = key.rule(&class.name, group.protocol(), Dscp::DEFAULT);
                    group.taken(&rule, None)
                });
                match known.len() == lists.len() && !unread {
                    true => Takes::Ports(taken.collect()),
                    false => Takes::Unknown,
                }
            }
        };
        let mark = class.mark.map(|(_, mark)| mark);
        Effect { name: class.name.clone(), line: class.line, mark, takes }
    }
}

impl Takes {
    /// What is left, and whether it takes anything: `None` is not known.
    fn cut(
        &self,
        pieces: &[MarkingRule],
        mark: Dscp,
        budget: &mut usize,
    ) -> (Vec<MarkingRule>, Option<bool>) {
        match self {
            Takes::All => (Vec::new(), Some(!pieces.is_empty())),
            Takes::Marks(marks) if marks.contains(&Mark(mark)) => (Vec::new(), Some(!pieces.is_empty())),
            Takes::Marks(_) => (pieces.to_vec(), Some(false)),
            Takes::Ports(taken) if taken.len().saturating_mul(pieces.len()) <= *budget => {
                *budget -= taken.len().saturating_mul(pieces.len());
                let (mut left, mut bitten) = (pieces.to_vec(), false);
                for taken in taken {
                    let (next, bite) = taken.cut(&left);
                    (left, bitten) = (next, bitten || bite);
                }
                (left, Some(bitten))
            }
            Takes::Ports(_) | Takes::Unknown if pieces.is_empty() => (Vec::new(), Some(false)),
            Takes::Ports(_) | Takes::Unknown => (pieces.to_vec(), None),
        }
    }
}
