//! Marking rules that are deployed, against the plan that they should implement.

use carillon_wire::ip::Dscp;

use super::super::raw::Rule;
use super::super::{Plan, Scope};
use super::Findings;
use super::kinds::*;
use crate::class::TrafficClass;
use crate::dscp;
use crate::ports::PortRange;
use crate::role::Role;
use crate::rule::{MarkingRule, Protocol};

const TURN: u16 = 3478;

/// Program names by client generation: the older, the one that followed.
const GENERATIONS: [(&str, &str); 2] = [("communicator.exe", "lync.exe"), ("teams.exe", "ms-teams.exe")];

impl Plan {
    pub(super) fn check_rules(&self, findings: &mut Findings) {
        for rule in self.rules() {
            check_shape(rule, findings);
            if self.is_signaling(rule) {
                if rule.marking.source_ports.is_some() {
                    let text = format!(
                        "{}: {} matches source ports",
                        rule.marking.name,
                        dscp::label(rule.marking.mark)
                    );
                    findings.add(RULE_SIGNALING, text);
                }
            } else {
                self.check_media_rule(rule, findings);
            }
        }
        if !self.rules().is_empty() {
            self.check_unimplemented(findings);
        }
        let programs = self.rules().iter().filter_map(|rule| rule.marking.application.as_deref());
        let programs = self.executables().iter().map(String::as_str).chain(programs);
        let programs: Vec<String> = programs.map(str::to_lowercase).collect();
        for (old, new) in GENERATIONS {
            if programs.iter().any(|name| name == old) && !programs.iter().any(|name| name == new) {
                findings.add(OUTDATED, format!("{old} is listed without {new}"));
            }
        }
    }

    /// A rule that carries signalling's mark, which no media class has.
    fn is_signaling(&self, rule: &Rule) -> bool {
        let policy = self.planned(rule.role, &Scope::default());
        let media = TrafficClass::MEDIA.into_iter().any(|class| policy.mark(class) == rule.marking.mark);
        policy.mark(TrafficClass::Signaling) == rule.marking.mark && !media
    }

    fn check_media_rule(&self, rule: &Rule, findings: &mut Findings) {
        if rule.marking.protocol != Protocol::Both && !self.has_the_other_protocol(rule) {
            findings.add(
                RULE_PROTOCOL,
                format!("{}: covers {} only", rule.marking.name, rule.marking.protocol.name()),
            );
        }
        let Some(ports) = rule.marking.source_ports.or(rule.marking.destination_ports) else { return };
        let Some((role, class, planned)) = self.nearest_range(rule, ports) else { return };
        if planned != ports {
            findings.add(RULE_RANGE, difference(rule, ports, role, class, planned));
        }
        let mark = self.planned(role, &Scope::default()).mark(class);
        if mark != rule.marking.mark {
            let (set, wanted) = (dscp::label(rule.marking.mark), dscp::label(mark));
            findings.add(
                RULE_MARK,
                format!("{}: {set} on {ports}, plan {role} {class} {wanted}", rule.marking.name),
            );
        }
    }

    /// Whether another rule does the same for the other protocol.
    fn has_the_other_protocol(&self, rule: &Rule) -> bool {
        let other = match rule.marking.protocol {
            Protocol::Udp => Protocol::Tcp,
            _ => Protocol::Udp,
        };
        let wanted = MarkingRule { protocol: other, ..rule.marking.clone() };
        let alike = |found: &Rule| {
            let program = |rule: &MarkingRule| rule.application.as_deref().map(str::to_lowercase);
            found.role == rule.role
                && found.marking.mark == wanted.mark
                && program(&found.marking) == program(&wanted)
                && found.marking.holds_ports_of(&wanted)
        };
        self.rules().iter().any(alike)
    }

    /// The range of the plan that a rule means: the one with which it shares most ports. Destination
    /// ports are those of the other side.
    fn nearest_range(&self, rule: &Rule, ports: PortRange) -> Option<(Role, TrafficClass, PortRange)> {
        let roles: &[Role] = match rule.marking.source_ports {
            Some(_) => &[rule.role],
            None => &[Role::Client, Role::Conferencing],
        };
        let of_role = |role: &Role| {
            let (role, policy) = (*role, self.planned(*role, &Scope::default()));
            TrafficClass::MEDIA.map(|class| Some((role, class, policy.ports(class)?)))
        };
        let shared = |range: PortRange| ports.intersection(range).map_or(0, PortRange::count);
        let all = roles.iter().flat_map(of_role).flatten();
        all.filter(|(_, _, range)| shared(*range) > 0).max_by_key(|(_, _, range)| shared(*range))
    }

    fn check_unimplemented(&self, findings: &mut Findings) {
        let policy = self.planned(Role::Client, &Scope::default());
        for class in TrafficClass::ALL {
            let mark = policy.mark(class);
            if mark != Dscp::DEFAULT && self.rules().iter().all(|rule| rule.marking.mark != mark) {
                let text = format!("class {class} declared {}, no rule implements it", dscp::label(mark));
                findings.add(NO_RULE, text);
            }
        }
    }
}

/// What is wrong with a rule whatever the plan.
fn check_shape(rule: &Rule, findings: &mut Findings) {
    if let (Some(source), Some(destination)) = (rule.marking.source_ports, rule.marking.destination_ports) {
        let text = format!(
            "{}: source {source} and destination {destination}: packets from {} to port 2230 stay unmarked",
            rule.marking.name,
            source.start()
        );
        findings.add(RULE_TWO_SIDED, text);
    }
    if rule.role == Role::Edge && rule.marking.source_ports.is_some_and(|ports| ports.contains(TURN)) {
        let text = format!(
            "{}: source {TURN} puts all relayed media into {}",
            rule.marking.name,
            dscp::label(rule.marking.mark)
        );
        findings.add(EDGE_3478, text);
    }
    if rule.marking.source_ports.is_none() && rule.marking.destination_ports.is_none() {
        let text = format!("{}: {} on every port", rule.marking.name, dscp::label(rule.marking.mark));
        findings.add(RULE_EVERYTHING, text);
    }
    if rule.role == Role::Client && rule.marking.application.is_none() {
        findings.add(RULE_ANY_PROGRAM, format!("{}: applies to every program", rule.marking.name));
    }
}

fn difference(rule: &Rule, ports: PortRange, role: Role, class: TrafficClass, planned: PortRange) -> String {
    let mut parts = Vec::new();
    for (outer, inner, word) in [(ports, planned, "longer"), (planned, ports, "shorter")] {
        for range in outer.minus(inner) {
            let count = range.count();
            let ports = if count == 1 { "1 port".to_owned() } else { format!("{count} ports") };
            parts.push(format!("{ports} {word} ({range})"));
        }
    }
    format!("{}: {ports} is {} than {role} {class} {planned}", rule.marking.name, parts.join(" and "))
}
