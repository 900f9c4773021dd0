//! Rules of switches and routers, compared by what they cover: devices join and split ranges, so that rules of the same
//! effect need not look alike. What a rule does with packets counts, not how it is written.

use super::{Line, State};
use crate::dscp;
use crate::export::{Order, network_rules, open_network_rules};
use crate::import::{Deployed, Marker};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};

/// Which end of a flow a rule looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
}

/// A file's rules against the plan's. A file that looks at one side only is not asked for the other.
pub(super) fn lines(order: &Order<'_>, file: &Deployed, deployed: &[(&str, &MarkingRule)]) -> Vec<Line> {
    if deployed.is_empty() {
        return Vec::new();
    }
    // A switch's lines for some addresses only are remarks of its reader, and what holds for everybody must not be as
    // wide as servers' ranges are; of nftables both are read as rules.
    let planned = match file.marker {
        Marker::Network => open_network_rules(order),
        _ => network_rules(order),
    };
    let planned = match planned {
        Ok(planned) => planned,
        Err(unfit) => {
            let line = |(place, rule): &(&str, &MarkingRule)| {
                let fix = format!("remove it: {unfit}");
                Line { fix: Some(fix), ..line(file, place, rule, State::Extra) }
            };
            return deployed.iter().map(line).collect();
        }
    };
    let rules: Vec<&MarkingRule> = deployed.iter().map(|(_, rule)| *rule).collect();
    let wanted: Vec<&MarkingRule> = planned.iter().collect();
    let mut lines: Vec<Line> =
        deployed.iter().map(|(place, rule)| deployed_line(file, place, rule, &wanted)).collect();
    let asked = |rule: &&MarkingRule| rules.iter().any(|other| side(other) == side(rule));
    lines.extend(planned.iter().filter(asked).filter_map(|rule| missing_line(file, rule, &rules)));
    lines
}

fn deployed_line(file: &Deployed, place: &str, rule: &MarkingRule, planned: &[&MarkingRule]) -> Line {
    let line = line(file, place, rule, State::Match);
    let stray = uncovered(rule, planned, |other| other.mark == rule.mark);
    let Some(first) = stray.first() else { return line };
    let meant = planned.iter().find(|other| overlap(other, rule) && covers_some(other, &stray));
    match meant {
        Some(other) if other.mark != rule.mark => Line {
            state: State::Different,
            planned: Some(other.describe()),
            fix: Some(format!("mark {} {}, not {}", first, dscp::label(other.mark), dscp::label(rule.mark))),
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

/// What of a planned rule no rule of the file does; none if all of it is done, or done with another mark, which is said
/// where that mark stands.
fn missing_line(file: &Deployed, rule: &MarkingRule, deployed: &[&MarkingRule]) -> Option<Line> {
    let open = uncovered(rule, deployed, |_| true);
    if open.is_empty() {
        return None;
    }
    let wanted = rule.describe();
    Some(Line {
        deployed: None,
        planned: Some(wanted.clone()),
        fix: Some(format!("add {} to: {wanted}", listed(&open))),
        ..line(file, "", rule, State::Missing)
    })
}

fn line(file: &Deployed, place: &str, rule: &MarkingRule, state: State) -> Line {
    Line {
        state,
        source: file.source.clone(),
        place: place.to_owned(),
        role: None,
        what: rule.name.clone(),
        planned: None,
        deployed: Some(rule.describe()),
        fix: None,
        note: None,
    }
}

/// The ports of a rule that those of the other rules which count leave, over UDP or over TCP.
fn uncovered(
    rule: &MarkingRule,
    by: &[&MarkingRule],
    counts: impl Fn(&MarkingRule) -> bool,
) -> Vec<PortRange> {
    let Some(all) = ports(rule) else { return PortRange::from_ends(1, 65535).into_iter().collect() };
    let mut left = Vec::new();
    for protocol in protocols(rule.protocol) {
        let mut open = vec![all];
        for other in by.iter().filter(|other| side(other) == side(rule) && counts(other)) {
            if let Some(cover) = ports(other).filter(|_| protocols(other.protocol).contains(protocol)) {
                open = open.into_iter().flat_map(|range| range.minus(cover).collect::<Vec<_>>()).collect();
            }
        }
        left.extend(open);
    }
    PortRange::merged(left)
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

fn protocols(protocol: Protocol) -> &'static [Protocol] {
    match protocol {
        Protocol::Both => &[Protocol::Udp, Protocol::Tcp],
        Protocol::Udp => &[Protocol::Udp],
        Protocol::Tcp => &[Protocol::Tcp],
    }
}

fn listed(ranges: &[PortRange]) -> String {
    ranges.iter().map(PortRange::to_string).collect::<Vec<_>>().join(", ")
}
