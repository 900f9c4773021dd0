//! Marking rules in the words of nftables.

use carillon_wire::ip::Dscp;

use super::plain;
use crate::dscp;
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};

/// The table that holds our rules: loading a file again replaces it, and no other.
pub(super) const TABLE: &str = "inet carillon_marks";

/// The statements of a rule, one for each IP version: neither of them marks packets of the other. `where_v4` and
/// `where_v6` come first and say which packets besides.
///
/// The first rule that matches decides, as with policies of Windows.
pub(super) fn statements(rule: &MarkingRule, where_v4: &str, where_v6: &str) -> String {
    let (ports, mark, name) = (ports(rule), mark(rule.mark), plain(&rule.name));
    let statement = |family: &str, place: &str| {
        format!("        {place}{ports} {family} dscp set {mark} accept comment \"{name}\"\n")
    };
    statement("ip", where_v4) + &statement("ip6", where_v6)
}

/// What drops the mark of everything that no rule before has matched.
pub(super) fn bleaching() -> String {
    ["ip", "ip6"].map(|family| format!("        {family} dscp != cs0 {family} dscp set cs0\n")).concat()
}

/// `meta l4proto { tcp, udp } th sport 20000-20039`.
fn ports(rule: &MarkingRule) -> String {
    let (protocol, mut text) = match rule.protocol {
        Protocol::Both => ("th", "meta l4proto { tcp, udp }".to_owned()),
        Protocol::Udp => ("udp", String::new()),
        Protocol::Tcp => ("tcp", String::new()),
    };
    for (end, range) in [("sport", rule.source_ports), ("dport", rule.destination_ports)] {
        let Some(range) = range else { continue };
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&format!("{protocol} {end} {range}"));
    }
    if text.is_empty() { format!("meta l4proto {protocol}") } else { text }
}

/// The names that every nftables knows, numbers for the others.
fn mark(mark: Dscp) -> String {
    let name = dscp::name(mark).to_ascii_lowercase();
    let known = name == "ef" || name.starts_with("af") || name.starts_with("cs");
    if known { name } else { format!("0x{:02x}", mark.value()) }
}

/// The same rule for the answers: towards whom it marks.
pub(super) fn answered(rule: &MarkingRule) -> MarkingRule {
    MarkingRule {
        name: format!("{} answered", rule.name),
        source_ports: rule.destination_ports,
        destination_ports: rule.source_ports,
        ..rule.clone()
    }
}

/// For hosts where rules match no program: what is left of rules that differ in their programs only.
pub(crate) fn without_programs(rules: Vec<MarkingRule>) -> Vec<MarkingRule> {
    let mut kept: Vec<MarkingRule> = Vec::new();
    for mut rule in rules {
        if rule.application.take().is_some() {
            rule.name = without_parentheses(&rule.name);
        }
        if !kept.iter().any(|other| same_packets(other, &rule)) {
            kept.push(rule);
        }
    }
    kept
}

/// A rule's name carries its program in parentheses.
fn without_parentheses(name: &str) -> String {
    match (name.find(" ("), name.rfind(')')) {
        (Some(start), Some(end)) if start < end => format!("{}{}", &name[..start], &name[end + 1..]),
        _ => name.to_owned(),
    }
}

/// Whether the later of two rules would never be reached.
pub(super) fn same_packets(a: &MarkingRule, b: &MarkingRule) -> bool {
    let packets = |rule: &MarkingRule| -> (Protocol, Option<PortRange>, Option<PortRange>) {
        (rule.protocol, rule.source_ports, rule.destination_ports)
    };
    packets(a) == packets(b)
}
