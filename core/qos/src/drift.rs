//! What is deployed, compared with the plan, rule by rule: match, missing, different, extra, and the fix.
//!
//! [`compare`] needs no more than what `import` read. [`lints`] says what is wrong with deployed rules, maps and phones
//! as such, and [`plan_from`] makes a plan of them where there is none yet.

mod adopt;
mod contest;
mod coverage;
mod findings;
mod network;
mod pairing;
mod phones;
mod settings;
mod weight;

pub use adopt::plan_from;
pub use findings::lints;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::export::{Order, network_rules, rules};
use crate::import::{Caveat, Deployed, Fact, Marker, Reach, What};
use crate::plan::{Plan, Scope};
use crate::role::Role;
use crate::rule::MarkingRule;
use pairing::{Pair, Planned};

/// How a rule of the plan and what is deployed stand to each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As planned.
    Match,
    /// Planned, not deployed; or deployed where it has no effect.
    Missing,
    /// Deployed otherwise than planned.
    Different,
    /// Deployed, not planned.
    Extra,
    /// Planned, and beyond what such a device can be told; or, with something to do about it, not to be judged.
    Cannot,
}

/// One line of the comparison.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Line {
    /// How it stands.
    pub state: State,
    /// The file that says it; empty for what is missing everywhere.
    pub source: String,
    /// Where in the file.
    pub place: String,
    /// The role that it was compared with: the one told, or the one whose rules fit the file best; `None` where none
    /// does, or where roles do not matter.
    pub role: Option<Role>,
    /// The rule or setting.
    pub what: String,
    /// What the plan wants.
    pub planned: Option<String>,
    /// What is deployed.
    pub deployed: Option<String>,
    /// What to do; `None` for a match, and for what no such device can do.
    pub fix: Option<String>,
    /// What to know about it although there is nothing to do.
    pub note: Option<String>,
}

/// Roles whose rules a file may hold, in the order in which they are tried.
const ROLES: [Role; 6] =
    [Role::Client, Role::Conferencing, Role::Mediation, Role::Edge, Role::Application, Role::Gateway];

/// Compares files with what the plan wants in this scope. A file of marking rules is compared with the rules of `role`,
/// or of the role that fits it best; what several files of one role say counts together, so that a rule is missing only
/// if none of them has it. Switches and routers have the rules of everybody and are compared by what their rules cover. Ports
/// that a firewall opens are not compared. What several files say of one family of phones counts together, too.
pub fn compare(plan: &Plan, scope: &Scope, role: Option<Role>, files: &[Deployed]) -> Vec<Line> {
    let order = Order { plan, scope: scope.clone() };
    let mut lines = Vec::new();
    let mut found: BTreeMap<(Role, Marker), BTreeSet<usize>> = BTreeMap::new();
    let files = &weight::weighed(&order, files);
    for file in files {
        let file = &contest::weighed(&order, role, file);
        let deployed = rules_of(file);
        let role = role_of(&order, role, file, &deployed);
        if marks_in_between(file, role) {
            lines.extend(network::lines(&order, file, &deployed));
        } else {
            let planned = role.map_or_else(Vec::new, |role| pairing::planned(&order, role, file.marker));
            let pairs = pairing::pair(&planned, &deployed);
            if let Some(role) = role.filter(|_| !deployed.is_empty()) {
                let found = found.entry((role, file.marker)).or_default();
                found.extend(pairs.iter().flat_map(|pair| pairing::covered(&planned, pair)));
            }
            lines.extend(pairs.iter().map(|pair| rule_line(&order, file, role, &planned, pair)));
        }
        lines.extend(settings::lines(&order, file));
        lines.extend(phones::lines(&order, file));
    }
    lines.extend(phones::left_out(&order, files));
    // Whoever names a role wants to hear of every rule, also if no file has any.
    if let Some(role) = role.filter(|_| found.is_empty()) {
        found.insert((role, Marker::Host), BTreeSet::new());
    }
    for ((role, marker), found) in found {
        let planned = pairing::planned(&order, role, marker);
        let missing =
            planned.iter().enumerate().filter(|(number, planned)| !planned.kept && !found.contains(number));
        lines.extend(missing.map(|(_, planned)| missing_line(role, planned)));
    }
    lines
}

/// The role whose rules a file has; none for switches and routers, which have those of all.
fn role_of(
    order: &Order<'_>,
    told: Option<Role>,
    file: &Deployed,
    deployed: &[DeployedRule<'_>],
) -> Option<Role> {
    match file.marker {
        Marker::Host => told.or_else(|| best_fit(order, deployed, Marker::Host).map(|(role, _)| role)),
        Marker::Network => None,
        Marker::Linux => {
            let passing =
                |rule: &DeployedRule<'_>| rule.caveats.iter().any(|caveat| caveat.reach == Reach::Passing);
            if !deployed.is_empty() && deployed.iter().all(passing) {
                return told;
            }
            let router = network_rules(order).ok().and_then(|rules| fit(&pairing::of_rules(rules), deployed));
            let host = best_fit(order, deployed, Marker::Linux);
            told.or_else(|| {
                host.filter(|(_, score)| router.is_none_or(|router| *score >= router)).map(|(role, _)| role)
            })
        }
    }
}

/// Whether a file's rules look at other hosts' traffic.
fn marks_in_between(file: &Deployed, role: Option<Role>) -> bool {
    match file.marker {
        Marker::Host => false,
        Marker::Linux => role.is_none(),
        Marker::Network => true,
    }
}

/// A rule of a file.
#[derive(Clone, Copy)]
struct DeployedRule<'d> {
    place: &'d str,
    rule: &'d MarkingRule,
    caveats: &'d [Caveat],
}

impl DeployedRule<'_> {
    /// Why less happens than a plan wants of a host, the worst first. An Edge marks towards the inside only.
    fn doubts(&self, edge: bool) -> Vec<&Caveat> {
        let settled = |reach| {
            matches!(reach, Reach::OneProgram | Reach::UntilRestart) || (edge && reach == Reach::Interfaces)
        };
        let mut doubts: Vec<&Caveat> = self.caveats.iter().filter(|caveat| !settled(caveat.reach)).collect();
        doubts.sort_by_key(|caveat| caveat.reach);
        doubts
    }

    /// Whether nothing speaks against it but that the file does not tell.
    fn is_untold(&self, edge: bool) -> bool {
        let doubts = self.doubts(edge);
        !doubts.is_empty() && doubts.iter().all(|caveat| caveat.reach == Reach::Unknown)
    }

    /// Whether a host sends nothing that it marks.
    fn is_void(&self) -> bool {
        self.caveats.iter().any(|caveat| matches!(caveat.reach, Reach::Nothing | Reach::Passing))
    }

    /// The rule with what is the matter with it.
    fn describe(&self) -> String {
        let caveats = self.caveats.iter().map(|caveat| caveat.text.clone());
        std::iter::once(self.rule.describe()).chain(caveats).collect::<Vec<_>>().join("; ")
    }
}

fn rules_of(file: &Deployed) -> Vec<DeployedRule<'_>> {
    file.facts.iter().filter_map(rule_of).collect()
}

fn rule_of(fact: &Fact) -> Option<DeployedRule<'_>> {
    match &fact.what {
        What::Rule(rule) => Some(DeployedRule { place: &fact.place, rule, caveats: &fact.caveats }),
        _ => None,
    }
}

/// The role of whose rules most are there and fewest are not; names that Carillon gave count too. None if not even one
/// rule is similar.
fn best_fit(order: &Order<'_>, deployed: &[DeployedRule<'_>], marker: Marker) -> Option<(Role, i64)> {
    let mut best: Option<(Role, i64)> = None;
    for role in ROLES {
        let score = fit(&pairing::planned(order, role, marker), deployed);
        if let Some(score) = score.filter(|score| best.is_none_or(|(_, most)| *score > most)) {
            best = Some((role, score));
        }
    }
    best
}

fn fit(planned: &[Planned], deployed: &[DeployedRule<'_>]) -> Option<i64> {
    let pairs = pairing::pair(planned, deployed);
    let score = |pair: &Pair<'_>| {
        let wanted = pair.planned.and_then(|number| planned.get(number));
        let named = wanted.is_some_and(|wanted| wanted.rule.name == pair.deployed.rule.name);
        // What is paired is one missing less.
        i64::from(named) * 2
            + match pair.state {
                State::Match => 5,
                State::Different | State::Missing => 3,
                State::Extra | State::Cannot => -1,
            }
    };
    let similar = pairs.iter().any(|pair| pair.planned.is_some());
    similar.then(|| {
        pairs.iter().map(score).sum::<i64>()
            - i64::try_from(planned.iter().filter(|planned| !planned.kept).count()).unwrap_or(i64::MAX)
    })
}

fn rule_line(
    order: &Order<'_>,
    file: &Deployed,
    role: Option<Role>,
    planned: &[Planned],
    pair: &Pair<'_>,
) -> Line {
    let wanted = pair.planned.and_then(|number| planned.get(number));
    let fix = match (pair.state, wanted) {
        (State::Match, _) => None,
        (_, Some(wanted)) if !pair.open.is_empty() => Some(format!(
            "add {} to it: {} is in parts, and they leave that open",
            coverage::listed(&pair.open),
            wanted.rule.name
        )),
        (_, Some(wanted)) => Some(pairing::change(planned, wanted, &pair.deployed)),
        (_, None) => Some(extra_fix(order, file, role, planned, &pair.deployed)),
    };
    let part = |wanted: &Planned| {
        let fits = wanted.fits(pair.deployed.rule);
        (!fits).then(|| format!("a part of {}", wanted.rule.name))
    };
    let where_it_holds = pair.deployed.caveats.iter().map(|caveat| caveat.text.clone()).next();
    let note = |wanted: &Planned| {
        let of_rule = part(wanted).or_else(|| wanted.note(pair.deployed.rule));
        let notes: Vec<String> = of_rule.into_iter().chain(where_it_holds).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    };
    Line {
        state: pair.state,
        source: file.source.clone(),
        place: pair.deployed.place.to_owned(),
        role,
        what: pair.deployed.rule.name.clone(),
        planned: wanted.map(|wanted| wanted.rule.describe()),
        deployed: Some(pair.deployed.describe()),
        fix,
        note: wanted.filter(|_| pair.state == State::Match).and_then(note),
    }
}

fn missing_line(role: Role, planned: &Planned) -> Line {
    let wanted = planned.rule.describe();
    Line {
        state: State::Missing,
        source: String::new(),
        place: String::new(),
        role: Some(role),
        what: planned.rule.name.clone(),
        fix: Some(format!("add it: {wanted}; `carillon plan export` writes it for every kind of host")),
        planned: Some(wanted),
        deployed: None,
        note: None,
    }
}

fn extra_fix(
    order: &Order<'_>,
    file: &Deployed,
    role: Option<Role>,
    planned: &[Planned],
    deployed: &DeployedRule<'_>,
) -> String {
    let rule = deployed.rule;
    if let Some(caveat) = deployed.caveats.iter().find(|caveat| caveat.reach == Reach::Nothing) {
        return format!("it has no effect ({}): {}, or remove it", caveat.text, caveat.fix);
    }
    if let Err(unfit) = rules::of_role(order, Role::Client) {
        return format!("remove it: {unfit}");
    }
    let is = |planned: &[Planned]| planned.iter().any(|planned| planned.fits(rule));
    if is(planned) {
        return "remove it: another rule of the file says the same".to_owned();
    }
    let others = ROLES.into_iter().filter(|other| Some(*other) != role);
    match others.into_iter().find(|other| is(&pairing::planned(order, *other, file.marker))) {
        Some(other) => {
            format!("it belongs to hosts of the role {other}: remove it here, or check the file as {other}")
        }
        None => "remove it, or write what it is for into the plan".to_owned(),
    }
}
