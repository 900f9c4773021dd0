//! Which deployed rule stands for which planned one.

use super::coverage::{self, Open};
use super::{DeployedRule, State};
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
    /// Whether it is an Edge's.
    pub(super) edge: bool,
    /// Whether the plan keeps it beside its ranges: it is known, and not asked for.
    pub(super) kept: bool,
    /// The product's own range, where the rule has the end that its documents print.
    product: Option<PortRange>,
}

/// A deployed rule, with the number of the planned one that it stands for.
pub(super) struct Pair<'d> {
    pub(super) deployed: DeployedRule<'d>,
    pub(super) state: State,
    pub(super) planned: Option<usize>,
    /// More planned rules that it is a part of.
    pub(super) others: Vec<usize>,
    /// What all rules for the planned one leave open, where it takes several.
    pub(super) open: Vec<Open>,
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
    let edge = role == Role::Edge;
    let of_plan =
        rules.into_iter().map(|rule| Planned { edge, kept: false, product: product(&policies, &rule), rule });
    let mut planned: Vec<Planned> = of_plan.collect();
    let known = planned.len();
    for beside in kept(order, role, marker) {
        if !planned.iter().take(known).any(|known| known.fits(&beside.rule)) {
            planned.push(beside);
        }
    }
    planned
}

/// What the plan keeps of a role as it was found.
fn kept(order: &Order<'_>, role: Role, marker: Marker) -> Vec<Planned> {
    let in_force = order.plan.enabled_in(&order.scope).value;
    let rules = order.plan.rules().iter().filter(|rule| in_force && rule.role == role);
    let rules: Vec<MarkingRule> = rules.map(|rule| rule.marking.clone()).collect();
    let rules = if marker == Marker::Host { rules } else { without_programs(rules) };
    let edge = role == Role::Edge;
    rules.into_iter().map(|rule| Planned { rule, edge, kept: true, product: None }).collect()
}

/// Rules that are wanted as they are.
pub(super) fn of_rules(rules: Vec<MarkingRule>) -> Vec<Planned> {
    rules.into_iter().map(|rule| Planned { rule, edge: false, kept: false, product: None }).collect()
}

impl Planned {
    /// Whether a deployed rule does what this one does, at either of the two ends that documents and product have.
    pub(super) fn fits(&self, rule: &MarkingRule) -> bool {
        rule.mark == self.rule.mark && (rule.same_traffic(&self.rule) || self.is_variant(rule))
    }

    /// The rule with each end of its ranges that is right.
    pub(super) fn variants(&self) -> impl Iterator<Item = MarkingRule> + use<> {
        std::iter::once(self.rule.clone()).chain(self.product.map(|range| self.ending(range)))
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

    /// Whether two planned rules differ in nothing but their program.
    fn same_but_program(&self, other: &Planned) -> bool {
        let plain = |planned: &Planned| MarkingRule { application: None, ..planned.rule.clone() };
        !self.kept
            && !other.kept
            && self.rule.mark == other.rule.mark
            && plain(self).same_traffic(&plain(other))
    }

    fn is_variant(&self, rule: &MarkingRule) -> bool {
        self.product.is_some_and(|range| rule.same_traffic(&self.ending(range)))
    }

    /// The rule with another range where it has one.
    fn ending(&self, range: PortRange) -> MarkingRule {
        let with = |ports: Option<PortRange>| ports.and(Some(range));
        let (source, destination) = (self.rule.source_ports, self.rule.destination_ports);
        MarkingRule { source_ports: with(source), destination_ports: with(destination), ..self.rule.clone() }
    }
}

/// Pairs the surest first: what does the same, alone or in parts, then what has the same name, then what shares the most ports. Rules
/// without effect come last: where nothing else stands for the planned one, it is missing.
pub(super) fn pair<'d>(planned: &[Planned], deployed: &[DeployedRule<'d>]) -> Vec<Pair<'d>> {
    let pair = |deployed: &DeployedRule<'d>| Pair {
        deployed: *deployed,
        state: State::Extra,
        planned: None,
        others: Vec::new(),
        open: Vec::new(),
    };
    let mut pairs: Vec<Pair<'d>> = deployed.iter().map(pair).collect();
    let mut free: Vec<bool> = vec![true; planned.len()];
    let whole = |planned: &Planned, found: &DeployedRule<'_>| {
        u32::from(planned.fits(found.rule) && found.doubts(planned.edge).is_empty())
    };
    let same = |planned: &Planned, found: &DeployedRule<'_>| u32::from(planned.fits(found.rule));
    let named = |planned: &Planned, found: &DeployedRule<'_>| {
        u32::from(planned.rule.name.eq_ignore_ascii_case(&found.rule.name))
    };
    let like = |planned: &Planned, found: &DeployedRule<'_>| likeness(planned, found.rule);
    let of_plan =
        |planned: &Planned, found: &DeployedRule<'_>| if planned.kept { 0 } else { whole(planned, found) };
    settle(pairs.iter_mut(), planned, &mut free, State::Match, of_plan);
    settle(pairs.iter_mut(), planned, &mut free, State::Match, whole);
    coverage::pair_parts(planned, &mut pairs, &mut free);
    let steps: [(State, bool, Alike); 6] = [
        (State::Different, false, same),
        (State::Different, false, named),
        (State::Different, false, like),
        (State::Missing, true, same),
        (State::Missing, true, named),
        (State::Missing, true, like),
    ];
    // What is kept is known as it is, or not at all.
    free.iter_mut().zip(planned).filter(|(_, planned)| planned.kept).for_each(|(free, _)| *free = false);
    for (state, void, alike) in steps {
        let candidates = pairs.iter_mut().filter(|pair| pair.deployed.is_void() == void);
        settle(candidates, planned, &mut free, state, alike);
    }
    for pair in &mut pairs {
        let wanted = pair.planned.and_then(|number| planned.get(number));
        let untold =
            |wanted: &Planned| wanted.fits(pair.deployed.rule) && pair.deployed.is_untold(wanted.edge);
        if pair.state == State::Different && wanted.is_some_and(untold) {
            pair.state = State::Cannot;
        }
    }
    pairs
}

/// The planned rules that a pair answers for. A rule for every program stands for those of all programs.
pub(super) fn covered<'p>(planned: &'p [Planned], pair: &Pair<'_>) -> impl Iterator<Item = usize> + use<'p> {
    let all = pair.deployed.rule.application.is_none();
    let number = pair.planned;
    let wanted = number.and_then(|number| planned.get(number));
    let others = pair.others.clone();
    let same = move |(other, rule): (usize, &Planned)| {
        let alike = wanted.is_some_and(|wanted| wanted.same_but_program(rule));
        (Some(other) == number || others.contains(&other) || all && alike).then_some(other)
    };
    planned.iter().enumerate().filter_map(same)
}

/// How alike a planned and a deployed rule are; 0 is not at all.
type Alike = fn(&Planned, &DeployedRule<'_>) -> u32;

/// Gives each rule that stands alone the free planned one that is likest, if any is like it at all.
fn settle<'p, 'd: 'p>(
    pairs: impl Iterator<Item = &'p mut Pair<'d>>,
    planned: &[Planned],
    free: &mut [bool],
    state: State,
    alike: impl Fn(&Planned, &DeployedRule<'_>) -> u32,
) {
    for pair in pairs.filter(|pair| pair.planned.is_none()) {
        let candidates = planned.iter().zip(free.iter()).enumerate().filter(|(_, (_, free))| **free);
        let scored = candidates.map(|(number, (planned, _))| (alike(planned, &pair.deployed), number));
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

/// More than there are ports.
const PROGRAM: u32 = 100_000;

/// The ports that both have on the same side; a rule without any is like none. The same program counts most, then the
/// same program by its path, then a rule for every program.
fn likeness(planned: &Planned, rule: &MarkingRule) -> u32 {
    let shared = |a: Option<PortRange>, b: Option<PortRange>| a?.intersection(b?).map(PortRange::count);
    let program = |rule: &MarkingRule| rule.application.as_deref().map(str::to_lowercase);
    let (wanted, has) = (program(&planned.rule), program(rule));
    let alike = match (&wanted, &has) {
        (wanted, has) if wanted == has => 3,
        (Some(wanted), Some(has)) if is_path_of(has, wanted) => 2,
        (Some(_), None) => 1,
        _ => return 0,
    };
    let source = shared(planned.rule.source_ports, rule.source_ports);
    let ports =
        source.or_else(|| shared(planned.rule.destination_ports, rule.destination_ports)).unwrap_or(0);
    if ports == 0 { 0 } else { alike * PROGRAM + ports }
}

/// Whether a program is this one with the folder, or without its ending.
fn is_path_of(path: &str, program: &str) -> bool {
    let file = path.rsplit(['\\', '/']).next().unwrap_or(path);
    file == program || program.strip_suffix(".exe") == Some(file)
}

/// What to change in a deployed rule to make it the planned one.
pub(super) fn change(all: &[Planned], wanted: &Planned, deployed: &DeployedRule<'_>) -> String {
    let (planned, rule) = (&wanted.rule, deployed.rule);
    let mut changes = Vec::new();
    if planned.mark != rule.mark {
        changes.push(format!("the mark to {}, it is {}", dscp::label(planned.mark), dscp::label(rule.mark)));
    }
    let sides = [
        ("source", planned.source_ports, rule.source_ports),
        ("destination", planned.destination_ports, rule.destination_ports),
    ];
    let text = |ports: Option<PortRange>| ports.map_or_else(|| "any".to_owned(), |ports| ports.to_string());
    if !wanted.is_variant(rule) {
        for (side, planned, deployed) in sides.into_iter().filter(|(_, planned, rule)| planned != rule) {
            changes.push(format!("the {side} ports to {}, they are {}", text(planned), text(deployed)));
        }
    }
    changes.extend(program_change(all, wanted, rule));
    if planned.protocol != rule.protocol {
        changes.push(format!("the protocol to {}, it is {}", planned.protocol.name(), rule.protocol.name()));
    }
    let set = (!changes.is_empty()).then(|| format!("set {}", changes.join("; ")));
    let fixes = deployed.doubts(wanted.edge).into_iter().map(|caveat| caveat.fix.clone());
    set.into_iter().chain(fixes).collect::<Vec<String>>().join("; ")
}

fn program_change(all: &[Planned], wanted: &Planned, rule: &MarkingRule) -> Option<String> {
    let program = |rule: &MarkingRule| rule.application.clone().unwrap_or_else(|| "every program".to_owned());
    let (to, is) = (program(&wanted.rule), program(rule));
    if to.eq_ignore_ascii_case(&is) {
        return None;
    }
    let alike: Vec<String> =
        all.iter().filter(|other| other.same_but_program(wanted)).map(|other| program(&other.rule)).collect();
    Some(match rule.application.as_deref() {
        None if alike.len() > 1 => {
            format!("the program to {}, with a rule for each; it is every program", alike.join(" and "))
        }
        Some(path) if path.contains(['\\', '/']) => {
            format!(
                "the program to {to}, it is {is}: a path fits there only, and must be no link or mapped drive (event 16610)"
            )
        }
        _ => format!("the program to {to}, it is {is}"),
    })
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
