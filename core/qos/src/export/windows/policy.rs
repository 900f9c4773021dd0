//! A rule as the values that Windows' policy-based QoS keeps in the registry: all of them text.

use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};

/// Where policies lie, without the hive.
pub(super) const POLICIES: &str = r"SOFTWARE\Policies\Microsoft\Windows\QoS";

/// Where Windows is told to apply them outside of a domain's networks, without the hive; and the value's name. The
/// value is the text `1`; a number is ignored.
pub(super) const NLA: (&str, &str) = (r"SYSTEM\CurrentControlSet\Services\Tcpip\QoS", "Do not use NLA");

/// The key of a policy, without the hive.
pub(super) fn key(rule: &MarkingRule) -> String {
    format!("{POLICIES}\\{}", rule.name)
}

/// The values of a rule in the order of Windows' own wizard.
pub(super) fn values(rule: &MarkingRule) -> [(&'static str, String); 11] {
    let protocol = match rule.protocol {
        Protocol::Both => "*",
        Protocol::Udp => "UDP",
        Protocol::Tcp => "TCP",
    };
    [
        ("Version", "1.0".to_owned()),
        ("Application Name", rule.application.clone().unwrap_or_else(|| "*".to_owned())),
        ("Protocol", protocol.to_owned()),
        ("Local Port", ports(rule.source_ports)),
        ("Local IP", "*".to_owned()),
        ("Local IP Prefix Length", "*".to_owned()),
        ("Remote Port", ports(rule.destination_ports)),
        ("Remote IP", "*".to_owned()),
        ("Remote IP Prefix Length", "*".to_owned()),
        ("DSCP Value", rule.mark.value().to_string()),
        ("Throttle Rate", "-1".to_owned()),
    ]
}

/// UTF-16, little-endian, without a byte order mark.
pub(super) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn ports(range: Option<PortRange>) -> String {
    match range {
        None => "*".to_owned(),
        Some(range) if range.count() == 1 => range.start().to_string(),
        Some(range) => format!("{}:{}", range.start(), range.end()),
    }
}
