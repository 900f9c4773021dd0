//! Rules of switches and routers, compared by what they cover: devices join and split ranges, so that rules of the same
//! effect need not look alike. What a rule does with packets counts, not how it is written.

use super::coverage::{Open, by_ports, listed, protocols};
use super::{DeployedRule, Line, State};
use crate::dscp;
use crate::export::{Order, network_rules, rules};
use crate::import::{Caveat, Deployed, Marker, Reach};
use crate::ports::PortRange;
use crate::role::Role;
use crate::rule::{MarkingRule, Protocol};

/// Which end of a flow a rule looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
}

/// Whether the plan marks all that a rule does, whatever ranges it makes of it.
pub(super) fn gives(order: &Order<'_>, rule: &MarkingRule) -> bool {
    let planned = network_rules(order).unwrap_or_default();
    let same: Vec<&MarkingRule> = planned.iter().filter(|other| other.mark == rule.mark).collect();
    uncovered(rule, &same).is_empty()
}

/// A rule of the plan.
struct Planned {
    rule: MarkingRule,
    /// Whether the ports are those of clients, which are anywhere. Servers may be told by their addresses.
    anywhere: bool,
}

/// A file's rules against the plan's. A file that looks at one side only is not asked for the other.
pub(super) fn lines(order: &Order<'_>, file: &Deployed, deployed: &[DeployedRule<'_>]) -> Vec<Line> {
    if deployed.is_empty() {
        return Vec::new();
    }
    let kept = kept(order);
    let planned = match network_rules(order) {
        Ok(planned) => sorted(order, planned),
        // What the plan keeps as it was found is all that it has.
        Err(_) if !kept.is_empty() => Vec::new(),
        Err(unfit) => {
            let line = |rule: &DeployedRule<'_>| {
                let fix = format!("remove it: {unfit}");
                Line { fix: Some(fix), ..line(file, rule, State::Extra) }
            };
            return deployed.iter().map(line).collect();
        }
    };
    let (count, planned) = (planned.len(), planned.into_iter().chain(kept).collect::<Vec<_>>());
    let mut lines: Vec<Line> = deployed.iter().map(|rule| deployed_line(file, rule, &planned)).collect();
    let planned = planned.get(..count).unwrap_or(&[]);
    // Where the plan does not say where servers are, no switch is asked for their ranges: it would believe whoever sends from
    // such a port.
    let told = !order.plan.server_networks().is_empty() || !matches!(file.marker, Marker::Network);
    let asked = |wanted: &&Planned| {
        (told || wanted.anywhere) && deployed.iter().any(|other| side(other.rule) == side(&wanted.rule))
    };
    let missing = planned.iter().filter(asked).filter_map(|wanted| {
        let line = missing_line(file, wanted, deployed)?;
        Some(if wanted.anywhere || file.names_addresses() { line } else { beyond(line) })
    });
    lines.extend(missing);
    lines
}

/// The rules that the plan keeps beside its ranges. They are known, and not asked for.
fn kept(order: &Order<'_>) -> Vec<Planned> {
    let in_force = order.plan.enabled_in(&order.scope).value;
    let rules = order.plan.rules().iter().filter(|_| in_force);
    let anywhere = |role| matches!(role, Role::Client | Role::Phone);
    rules.map(|rule| Planned { rule: rule.marking.clone(), anywhere: anywhere(rule.role) }).collect()
}

fn sorted(order: &Order<'_>, planned: Vec<MarkingRule>) -> Vec<Planned> {
    let roles = [Role::Client, Role::Phone];
    let of_roles = roles.into_iter().flat_map(|role| rules::of_role(order, role).unwrap_or_default());
    let clients: Vec<PortRange> =
        of_roles.filter_map(|rule| rule.source_ports.or(rule.destination_ports)).collect();
    let anywhere = |rule: &MarkingRule| ports(rule).is_some_and(|ports| clients.contains(&ports));
    planned.into_iter().map(|rule| Planned { anywhere: anywhere(&rule), rule }).collect()
}

fn deployed_line(file: &Deployed, deployed: &DeployedRule<'_>, planned: &[Planned]) -> Line {
    let rule = deployed.rule;
    let line = line(file, deployed, State::Match);
    let same: Vec<&MarkingRule> =
        planned.iter().map(|other| &other.rule).filter(|other| other.mark == rule.mark).collect();
    let known = same.iter().any(|other| other.same_traffic(rule));
    let stray = if known { Vec::new() } else { uncovered(rule, &same) };
    let meant = |ports: &[PortRange]| {
        let fits = planned.iter().map(|other| &other.rule).filter(|other| overlap(other, rule));
        fits.into_iter().find(|other| covers_some(other, ports)).map(MarkingRule::describe)
    };
    let Some((first, _)) = stray.first() else {
        let line = within(line, deployed, planned, meant);
        return if matches!(file.marker, Marker::Network) {
            held_to_servers(line, deployed, planned)
        } else {
            line
        };
    };
    if let Some(void) = deployed.caveats.iter().find(|caveat| caveat.reach == Reach::Nothing) {
        let fix = format!("remove it: it has no effect ({})", void.text);
        return Line { state: State::Extra, fix: Some(fix), ..line };
    }
    let ranges: Vec<PortRange> = stray.iter().map(|(range, _)| *range).collect();
    let other = planned
        .iter()
        .map(|other| &other.rule)
        .find(|other| overlap(other, rule) && covers_some(other, &ranges));
    match other {
        Some(other) if other.mark != rule.mark => Line {
            state: State::Different,
            planned: Some(other.describe()),
            fix: Some(right_marks(rule, &stray, planned)),
            ..line
        },
        _ if stray.len() == 1 && ports(rule) == Some(*first) => Line {
            state: State::Extra,
            fix: Some("remove it, or write what it is for into the plan".to_owned()),
            ..line
        },
        _ => {
            let fix = format!("leave out {}: the plan has nothing there", listed(&stray));
            Line { state: State::Different, fix: Some(fix), ..line }
        }
    }
}

/// What to do with ports that a rule marks otherwise than the plan: each part as the plan has it.
fn right_marks(rule: &MarkingRule, stray: &[(PortRange, Option<Protocol>)], planned: &[Planned]) -> String {
    let mut rest: Vec<PortRange> = stray.iter().map(|(range, _)| *range).collect();
    let mut parts = Vec::new();
    for other in planned.iter().map(|other| &other.rule).filter(|other| overlap(other, rule)) {
        let Some(own) = ports(other).filter(|_| other.mark != rule.mark) else { continue };
        let shared = PortRange::merged(rest.iter().filter_map(|range| range.intersection(own)));
        rest = rest.into_iter().flat_map(|range| range.minus(own).collect::<Vec<_>>()).collect();
        parts.extend(shared.into_iter().map(|range| (range, dscp::label(other.mark))));
    }
    let rest: Vec<String> = PortRange::merged(rest).iter().map(PortRange::to_string).collect();
    let nothing = match rest.is_empty() {
        true => String::new(),
        false => format!("; leave out {}: the plan has nothing there", rest.join(", ")),
    };
    parts.sort();
    let parts: Vec<String> = parts.iter().map(|(range, mark)| format!("{range} {mark}")).collect();
    format!("mark {}, not {}{nothing}", parts.join(" and "), dscp::label(rule.mark))
}

/// A rule that marks what the plan marks, as far as it reaches.
fn within(
    line: Line,
    deployed: &DeployedRule<'_>,
    planned: &[Planned],
    meant: impl Fn(&[PortRange]) -> Option<String>,
) -> Line {
    let worst = deployed.caveats.iter().filter(|caveat| matters(deployed, caveat, planned));
    let Some(caveat) = worst.min_by_key(|caveat| caveat.reach) else {
        let note = deployed.caveats.iter().find(|caveat| at_own_end(deployed.rule, caveat.reach));
        return Line { note: note.map(|caveat| caveat.text.clone()), ..line };
    };
    let state = match caveat.reach {
        Reach::Nothing => State::Missing,
        Reach::Unknown => State::Cannot,
        _ => State::Different,
    };
    let own: Vec<PortRange> = ports(deployed.rule).into_iter().collect();
    Line { state, planned: meant(&own), fix: Some(caveat.fix.clone()), ..line }
}

/// A switch sees packets of everybody: one that marks servers' ranges whoever sends from them believes strangers.
fn held_to_servers(line: Line, deployed: &DeployedRule<'_>, planned: &[Planned]) -> Line {
    let told = deployed.caveats.iter().any(|caveat| at_own_end(deployed.rule, caveat.reach));
    let same =
        |other: &&Planned| overlap(&other.rule, deployed.rule) && other.rule.mark == deployed.rule.mark;
    if told
        || !matches!(line.state, State::Match | State::Cannot)
        || planned.iter().filter(same).any(|other| other.anywhere)
    {
        return line;
    }
    let fix = "hold it to the servers' addresses (`networks` in [servers] of the plan): whoever sends from these ports is believed";
    Line { state: State::Different, fix: Some(fix.to_owned()), ..line }
}

/// Whether a caveat takes something away that the plan wants: servers may be told by the addresses at their end.
fn matters(deployed: &DeployedRule<'_>, caveat: &Caveat, planned: &[Planned]) -> bool {
    match caveat.reach {
        Reach::Passing | Reach::Interfaces => false,
        reach if at_own_end(deployed.rule, reach) => {
            let meant = |other: &&Planned| {
                overlap(&other.rule, deployed.rule) && other.rule.mark == deployed.rule.mark
            };
            planned.iter().filter(meant).all(|other| other.anywhere)
        }
        _ => true,
    }
}

/// Whether the addresses are those of the end whose ports count.
fn at_own_end(rule: &MarkingRule, reach: Reach) -> bool {
    matches!(
        (side(rule), reach),
        (Some(Side::Source), Reach::Sources) | (Some(Side::Destination), Reach::Destinations)
    )
}

/// What of a planned rule no rule of the file does; none if all of it is done, or done with another mark or in part,
/// which is said where that rule stands. A rule for servers' addresses does nothing for clients.
fn missing_line(file: &Deployed, wanted: &Planned, deployed: &[DeployedRule<'_>]) -> Option<Line> {
    let counts = |other: &&DeployedRule<'_>| {
        let tied = other.caveats.iter().any(|caveat| at_own_end(other.rule, caveat.reach));
        let void = other.caveats.iter().any(|caveat| caveat.reach == Reach::Nothing);
        !((tied && wanted.anywhere || void) && other.rule.mark != wanted.rule.mark)
    };
    let by: Vec<&MarkingRule> = deployed.iter().filter(counts).map(|other| other.rule).collect();
    let open = uncovered(&wanted.rule, &by);
    if open.is_empty() {
        return None;
    }
    let text = wanted.rule.describe();
    Some(Line {
        state: State::Missing,
        source: file.source.clone(),
        place: String::new(),
        role: None,
        what: wanted.rule.name.clone(),
        fix: Some(format!("add {} to: {text}", listed(&open))),
        planned: Some(text),
        deployed: None,
        note: None,
    })
}

/// What would have to be tied to addresses, which such a device cannot do.
fn beyond(line: Line) -> Line {
    let why =
        "servers' ranges are marked for the servers' addresses only, and the lines of this switch name none";
    Line { state: State::Cannot, fix: None, note: Some(why.to_owned()), ..line }
}

fn line(file: &Deployed, deployed: &DeployedRule<'_>, state: State) -> Line {
    Line {
        state,
        source: file.source.clone(),
        place: deployed.place.to_owned(),
        role: None,
        what: deployed.rule.name.clone(),
        planned: None,
        deployed: Some(deployed.describe()),
        fix: None,
        note: None,
    }
}

/// The ports of a rule that the other rules leave, and over which protocol if not over both.
fn uncovered(rule: &MarkingRule, by: &[&MarkingRule]) -> Vec<Open> {
    let Some(all) = ports(rule) else {
        return PortRange::from_ends(1, 65535).map(|range| (range, None)).into_iter().collect();
    };
    let left = |protocol: &Protocol| {
        let mut open = vec![all];
        for other in by.iter().filter(|other| side(other) == side(rule)) {
            if let Some(cover) = ports(other).filter(|_| protocols(other.protocol).contains(protocol)) {
                open = open.into_iter().flat_map(|range| range.minus(cover).collect::<Vec<_>>()).collect();
            }
        }
        PortRange::merged(open)
    };
    let by_protocol: Vec<(Protocol, Vec<PortRange>)> =
        protocols(rule.protocol).iter().map(|protocol| (*protocol, left(protocol))).collect();
    by_ports(&by_protocol)
}

fn overlap(a: &MarkingRule, b: &MarkingRule) -> bool {
    let shared = |a: PortRange, b: PortRange| a.intersection(b).is_some();
    side(a) == side(b) && ports(a).zip(ports(b)).is_some_and(|(a, b)| shared(a, b))
}

fn covers_some(rule: &MarkingRule, ranges: &[PortRange]) -> bool {
    ports(rule).is_some_and(|ports| ranges.iter().any(|range| range.intersection(ports).is_some()))
}

fn side(rule: &MarkingRule) -> Option<Side> {
    match (rule.source_ports, rule.destination_ports) {
        (Some(_), None) => Some(Side::Source),
        (None, Some(_)) => Some(Side::Destination),
        _ => None,
    }
}

/// The ports of a rule that looks at one side.
fn ports(rule: &MarkingRule) -> Option<PortRange> {
    side(rule).and(rule.source_ports.or(rule.destination_ports))
}
