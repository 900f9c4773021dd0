//! What several rules cover together: a range cut in two, or UDP and TCP apart, do what one rule does.
//!
//! Rules are compared along one end of a flow; at the other they must ask for the same.

use super::pairing::{Pair, Planned};
use super::{DeployedRule, State};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};

/// Ports over a protocol, or over both.
pub(super) type Open = (PortRange, Option<Protocol>);

/// Pairs what no single rule does with the rules that do it together. Where these leave something open, each of them
/// is different and says what.
pub(super) fn pair_parts(planned: &[Planned], pairs: &mut [Pair<'_>], free: &mut [bool]) {
    let variants: Vec<MarkingRule> =
        planned.iter().filter(|planned| !planned.kept).flat_map(Planned::variants).collect();
    let variants: Vec<&MarkingRule> = variants.iter().collect();
    let alone = |pair: &Pair<'_>| pair.planned.is_none();
    let is_part = |pair: &Pair<'_>, wanted: &Planned| {
        sound(&pair.deployed, wanted) && overlap(pair.deployed.rule, &wanted.rule)
    };
    // A rule that reaches beyond the plan is no part of it.
    let inside: Vec<bool> =
        pairs.iter().map(|pair| alone(pair) && open(pair.deployed.rule, &variants).is_empty()).collect();
    for (number, wanted) in planned.iter().enumerate().filter(|(_, wanted)| !wanted.kept) {
        let Some(slot) = free.get_mut(number).filter(|free| **free) else { continue };
        let parts: Vec<usize> = pairs
            .iter()
            .zip(&inside)
            .enumerate()
            .filter(|(_, (pair, inside))| **inside && is_part(pair, wanted))
            .map(|(at, _)| at)
            .collect();
        let by: Vec<&MarkingRule> =
            parts.iter().filter_map(|at| pairs.get(*at)).map(|pair| pair.deployed.rule).collect();
        let left = wanted.variants().map(|variant| open(&variant, &by)).min_by_key(Vec::len);
        let left = left.unwrap_or_default();
        if parts.is_empty() || (!left.is_empty() && parts.len() == 1) {
            continue;
        }
        *slot = false;
        for at in parts {
            let Some(pair) = pairs.get_mut(at) else { continue };
            if pair.planned.is_none() {
                (pair.planned, pair.state) = (Some(number), State::Match);
            } else {
                pair.others.push(number);
            }
            if !left.is_empty() {
                (pair.state, pair.open) = (State::Different, left.clone());
            }
        }
    }
}

fn sound(deployed: &DeployedRule<'_>, wanted: &Planned) -> bool {
    !deployed.is_void() && deployed.doubts(wanted.edge).is_empty()
}

/// The ports of a rule, at the end that it is told by, that rules of the same mark and program leave open.
pub(super) fn open(rule: &MarkingRule, by: &[&MarkingRule]) -> Vec<Open> {
    let left = |protocol: &Protocol| -> Vec<PortRange> {
        let covers = by.iter().filter(|other| protocols(other.protocol).contains(protocol));
        let covers: Vec<PortRange> = covers.filter_map(|other| along(rule, other)).collect();
        let mut open: Vec<PortRange> = axis(rule).into_iter().collect();
        for cover in PortRange::merged(covers) {
            open = open.into_iter().flat_map(|range| range.minus(cover).collect::<Vec<_>>()).collect();
        }
        open
    };
    let by_protocol: Vec<(Protocol, Vec<PortRange>)> =
        protocols(rule.protocol).iter().map(|protocol| (*protocol, left(protocol))).collect();
    by_ports(&by_protocol)
}

/// What is open over both protocols is said once.
pub(super) fn by_ports(by_protocol: &[(Protocol, Vec<PortRange>)]) -> Vec<Open> {
    match by_protocol {
        [(_, udp), (_, tcp)] if udp == tcp => udp.iter().map(|range| (*range, None)).collect(),
        [(_, only)] => only.iter().map(|range| (*range, None)).collect(),
        several => {
            let of = |(protocol, ranges): &(Protocol, Vec<PortRange>)| {
                ranges.iter().map(|range| (*range, Some(*protocol))).collect::<Vec<_>>()
            };
            several.iter().flat_map(of).collect()
        }
    }
}

/// The protocols of a rule, one by one.
pub(super) fn protocols(protocol: Protocol) -> &'static [Protocol] {
    match protocol {
        Protocol::Both => &[Protocol::Udp, Protocol::Tcp],
        Protocol::Udp => &[Protocol::Udp],
        Protocol::Tcp => &[Protocol::Tcp],
    }
}

/// `6000-6024, 6050 over TCP`.
pub(super) fn listed(ranges: &[Open]) -> String {
    let text = |(range, protocol): &Open| match protocol {
        Some(Protocol::Udp) => format!("{range} over UDP"),
        Some(Protocol::Tcp) => format!("{range} over TCP"),
        _ => range.to_string(),
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn overlap(a: &MarkingRule, b: &MarkingRule) -> bool {
    let shared = protocols(a.protocol).iter().any(|protocol| protocols(b.protocol).contains(protocol));
    shared && axis(a).zip(along(a, b)).is_some_and(|(own, other)| own.intersection(other).is_some())
}

/// The ports of the end that a rule is told by: those of the source if it has any. One for all ports has all.
fn axis(rule: &MarkingRule) -> Option<PortRange> {
    rule.source_ports.or(rule.destination_ports).or(PortRange::from_ends(1, u16::MAX))
}

/// The ports of another rule at the same end, if it is alike in everything else.
fn along(rule: &MarkingRule, other: &MarkingRule) -> Option<PortRange> {
    let program = |rule: &MarkingRule| rule.application.as_deref().map(str::to_lowercase);
    let ends = |rule: &MarkingRule| (rule.source_ports.is_some(), rule.destination_ports.is_some());
    let alike = other.mark == rule.mark && ends(other) == ends(rule) && program(other) == program(rule);
    let beside = rule.source_ports.is_none() || other.destination_ports == rule.destination_ports;
    axis(other).filter(|_| alike && beside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_wire::ip::Dscp;

    fn rule(protocol: Protocol, source: &str, destination: &str) -> MarkingRule {
        MarkingRule {
            name: "R".to_owned(),
            application: Some("lync.exe".to_owned()),
            protocol,
            source_ports: PortRange::parse(source),
            destination_ports: PortRange::parse(destination),
            mark: Dscp::EF,
        }
    }

    fn left(by: &[MarkingRule], rule: &MarkingRule) -> String {
        listed(&open(rule, &by.iter().collect::<Vec<_>>()))
    }

    #[test]
    fn parts_cover_what_they_cover_together() {
        use Protocol::{Both, Tcp, Udp};
        let audio = rule(Both, "100-199", "-");
        for (parts, open) in [
            (vec![rule(Udp, "100-199", "-"), rule(Tcp, "100-199", "-")], ""),
            (vec![rule(Both, "100-149", "-"), rule(Both, "150-300", "-")], ""),
            (vec![rule(Both, "100-149", "-"), rule(Udp, "150-199", "-")], "150-199 over TCP"),
            (vec![rule(Both, "100-149", "-"), rule(Both, "151-199", "-")], "150"),
            (vec![rule(Both, "100-199", "5"), rule(Both, "-", "100-199")], "100-199"),
            (vec![MarkingRule { mark: Dscp::DEFAULT, ..audio.clone() }], "100-199"),
            (vec![MarkingRule { application: None, ..audio.clone() }], "100-199"),
            (vec![MarkingRule { application: Some("Lync.EXE".to_owned()), ..audio.clone() }], ""),
        ] {
            assert_eq!(left(&parts, &audio), open, "{parts:?}");
        }
        let both_ends = rule(Tcp, "5", "6");
        assert_eq!(left(&[rule(Both, "1-9", "6")], &both_ends), "");
        assert_eq!(left(&[rule(Both, "1-9", "6-7")], &both_ends), "5");
    }
}
