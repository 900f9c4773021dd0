//! Which deployed rule stands for which planned one.

use super::State;
use crate::class::TrafficClass;
use crate::dscp;
use crate::export::{Order, rules, without_programs};
use crate::import::Marker;
use crate::plan::RolePolicy;
use crate::ports::PortRange;
use crate::role::Role;
use crate::rule::MarkingRule;

/// A rule of the plan.
pub(super) struct Planned {
    pub(super) rule: MarkingRule,
    /// The product's own range, where the rule has the end that its documents print.
    product: Option<PortRange>,
}

/// A deployed rule, with its place and the number of the planned one that it stands for.
pub(super) struct Pair<'d> {
    pub(super) place: &'d str,
    pub(super) rule: &'d MarkingRule,
    pub(super) state: State,
    pub(super) planned: Option<usize>,
}

/// The rules that a role has on hosts that know programs, or on such that do not; none while the plan is not in force.
pub(super) fn planned(order: &Order<'_>, role: Role, marker: Marker) -> Vec<Planned> {
    let of = |role| order.plan.policy(role, &order.scope);
    let policies = match role {
        Role::Edge => vec![of(Role::Client), of(Role::Conferencing)],
        role => vec![of(role)],
    };
    let rules = rules::of_role(order, role).unwrap_or_default();
    let rules = if marker == Marker::Host { rules } else { without_programs(rules) };
    rules.into_iter().map(|rule| Planned { product: product(&policies, &rule), rule }).collect()
}

/// Rules that are wanted as they are.
pub(super) fn of_rules(rules: Vec<MarkingRule>) -> Vec<Planned> {
    rules.into_iter().map(|rule| Planned { rule, product: None }).collect()
}

impl Planned {
    /// Whether a deployed rule does what this one does, at either of the two ends that documents and product have.
    pub(super) fn fits(&self, rule: &MarkingRule) -> bool {
        rule.mark == self.rule.mark && (rule.same_traffic(&self.rule) || self.is_variant(rule))
    }

    /// What to know about a rule that fits.
    pub(super) fn note(&self, rule: &MarkingRule) -> Option<String> {
        let (product, printed) = (self.product?, ports(&self.rule)?);
        if self.is_variant(rule) {
            return Some(format!(
                "it ends where the product does; the product's documents print {}",
                printed.end()
            ));
        }
        let (more, word) = match (printed.count(), product.count()) {
            (printed, product) if printed > product => (printed - product, "longer"),
            (printed, product) => (product - printed, "shorter"),
        };
        let unit = if more == 1 { "port" } else { "ports" };
        Some(format!("{more} {unit} {word} than what the product uses, {product}; its documents print it so"))
    }

    fn is_variant(&self, rule: &MarkingRule) -> bool {
        let with = |range: Option<PortRange>| range.and(self.product);
        let (source, destination) = (self.rule.source_ports, self.rule.destination_ports);
        let other = MarkingRule {
            source_ports: with(source),
            destination_ports: with(destination),
            ..self.rule.clone()
        };
        self.product.is_some() && rule.same_traffic(&other)
    }
}

/// Pairs the surest first: what does the same, then what has the same name, then what shares the most ports.
pub(super) fn pair<'d>(planned: &[Planned], deployed: &[(&'d str, &'d MarkingRule)]) -> Vec<Pair<'d>> {
    let pair =
        |(place, rule): &(&'d str, &'d MarkingRule)| Pair { place, rule, state: State::Extra, planned: None };
    let mut pairs: Vec<Pair<'d>> = deployed.iter().map(pair).collect();
    let mut free: Vec<bool> = vec![true; planned.len()];
    let same = |planned: &Planned, rule: &MarkingRule| u32::from(planned.fits(rule));
    let named =
        |planned: &Planned, rule: &MarkingRule| u32::from(planned.rule.name.eq_ignore_ascii_case(&rule.name));
    settle(&mut pairs, planned, &mut free, State::Match, same);
    settle(&mut pairs, planned, &mut free, State::Different, named);
    settle(&mut pairs, planned, &mut free, State::Different, likeness);
    pairs
}

/// Gives each rule that stands alone the free planned one that is likest, if any is like it at all.
fn settle(
    pairs: &mut [Pair<'_>],
    planned: &[Planned],
    free: &mut [bool],
    state: State,
    likeness: impl Fn(&Planned, &MarkingRule) -> u32,
) {
    for pair in pairs.iter_mut().filter(|pair| pair.planned.is_none()) {
        let candidates = planned.iter().zip(free.iter()).enumerate().filter(|(_, (_, free))| **free);
        let scored = candidates.map(|(number, (planned, _))| (likeness(planned, pair.rule), number));
        // The first of the likest: maxima would give the last.
        let best =
            scored.filter(|(score, _)| *score > 0).min_by_key(|(score, number)| (u32::MAX - score, *number));
        if let Some((_, number)) = best {
            (pair.state, pair.planned) = (state, Some(number));
            if let Some(slot) = free.get_mut(number) {
                *slot = false;
            }
        }
    }
}

/// The ports that both have on the same side, for the same program; a rule without any is like none.
fn likeness(planned: &Planned, rule: &MarkingRule) -> u32 {
    let shared = |a: Option<PortRange>, b: Option<PortRange>| a?.intersection(b?).map(PortRange::count);
    let program = |rule: &MarkingRule| rule.application.as_deref().map(str::to_lowercase);
    if program(&planned.rule) != program(rule) {
        return 0;
    }
    let source = shared(planned.rule.source_ports, rule.source_ports);
    source.or_else(|| shared(planned.rule.destination_ports, rule.destination_ports)).unwrap_or(0)
}

/// What to change in a deployed rule to make it the planned one.
pub(super) fn change(planned: &MarkingRule, deployed: &MarkingRule) -> String {
    let mut changes = Vec::new();
    if planned.mark != deployed.mark {
        changes.push(format!(
            "the mark to {}, it is {}",
            dscp::label(planned.mark),
            dscp::label(deployed.mark)
        ));
    }
    let sides = [
        ("source", planned.source_ports, deployed.source_ports),
        ("destination", planned.destination_ports, deployed.destination_ports),
    ];
    let text = |ports: Option<PortRange>| ports.map_or_else(|| "any".to_owned(), |ports| ports.to_string());
    for (side, planned, deployed) in sides.into_iter().filter(|(_, planned, deployed)| planned != deployed) {
        changes.push(format!("the {side} ports to {}, they are {}", text(planned), text(deployed)));
    }
    let program = |rule: &MarkingRule| rule.application.clone().unwrap_or_else(|| "every program".to_owned());
    if !program(planned).eq_ignore_ascii_case(&program(deployed)) {
        changes.push(format!("the program to {}, it is {}", program(planned), program(deployed)));
    }
    if planned.protocol != deployed.protocol {
        changes.push(format!(
            "the protocol to {}, it is {}",
            planned.protocol.name(),
            deployed.protocol.name()
        ));
    }
    format!("set {}", changes.join("; "))
}

fn ports(rule: &MarkingRule) -> Option<PortRange> {
    rule.source_ports.or(rule.destination_ports)
}

/// The product's range of the class whose documented range a rule has.
fn product(policies: &[RolePolicy], rule: &MarkingRule) -> Option<PortRange> {
    let printed = ports(rule)?;
    let of_class = |policy: &RolePolicy, class: TrafficClass| {
        let of_class = policy.class(class);
        let range = of_class.ports.value?;
        let same = range.start() == printed.start() && of_class.documented_end == Some(printed.end());
        (same && range != printed).then_some(range)
    };
    policies
        .iter()
        .find_map(|policy| TrafficClass::MEDIA.into_iter().find_map(|class| of_class(policy, class)))
}
