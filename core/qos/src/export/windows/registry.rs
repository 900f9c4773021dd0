//! `.reg` files: the values that Windows' policy-based QoS reads, one key per rule.

use super::super::{File, Guide, Order, Target, Unfit, rules};
use crate::ports::PortRange;
use crate::role::Role;
use crate::rule::{MarkingRule, Protocol};

pub(super) const TARGET: Target =
    Target { name: "windows-reg", title: "Windows registry files, one per role", make };

const POLICIES: &str = r"HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows\QoS";

const ROLES: [Role; 4] = [Role::Client, Role::Conferencing, Role::Mediation, Role::Edge];

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let mut files = Vec::new();
    for role in ROLES {
        let rules = rules::of_role(order, role)?;
        files.push(File {
            path: format!("windows/{role}.reg"),
            bytes: encoded(&text(&rules)),
            guide: Some(Guide {
                purpose: format!("QoS policies of hosts with the role {role}."),
                ..Guide::default()
            }),
        });
    }
    Ok(files)
}

fn text(rules: &[MarkingRule]) -> String {
    let mut text = "Windows Registry Editor Version 5.00\r\n\r\n".to_owned();
    for rule in rules {
        text.push_str(&format!("[{POLICIES}\\{}]\r\n", rule.name));
        for (name, value) in values(rule) {
            text.push_str(&format!("\"{name}\"=\"{value}\"\r\n"));
        }
        text.push_str("\r\n");
    }
    text
}

/// The values of a rule in the order of Windows' own wizard.
fn values(rule: &MarkingRule) -> [(&'static str, String); 11] {
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

fn ports(range: Option<PortRange>) -> String {
    match range {
        None => "*".to_owned(),
        Some(range) if range.count() == 1 => range.start().to_string(),
        Some(range) => format!("{}:{}", range.start(), range.end()),
    }
}

/// UTF-16, little-endian, with the byte order mark.
fn encoded(text: &str) -> Vec<u8> {
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}
