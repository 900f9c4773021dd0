//! PowerShell with the NetQos cmdlets. A script first removes the rules that an earlier one of its role made, so that
//! running it again changes nothing.

use super::super::{File, Order, Target, Unfit};
use super::{Hosts, ROLES, guides, hosts};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};

pub(super) const TARGET: Target =
    Target { name: "windows-netqos", title: "PowerShell scripts with New-NetQosPolicy, one per role", make };

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let mut files = Vec::new();
    for hosts in hosts(order, &ROLES)? {
        let role = hosts.role;
        let removal = removal(&hosts);
        let lines: Vec<String> = hosts.rules.iter().map(command).collect();
        files.push(File {
            path: format!("windows/{role}.ps1"),
            bytes: script(&hosts, &format!("{removal}{}", lines.concat())),
            guide: Some(guides::netqos(&hosts)),
        });
        files.push(File {
            path: format!("windows/{role}-remove.ps1"),
            bytes: script(&hosts, &removal),
            guide: Some(guides::netqos_removal(&hosts)),
        });
    }
    Ok(files)
}

/// With a byte order mark: without one, Windows PowerShell 5 takes a script for ANSI.
fn script(hosts: &Hosts, body: &str) -> Vec<u8> {
    let head = format!("# {}\r\n# {}\r\n", hosts.title, guides::NETQOS_SYSTEMS);
    format!("\u{feff}{head}$ErrorActionPreference = 'Stop'\r\n{body}").into_bytes()
}

fn removal(hosts: &Hosts) -> String {
    let ours = format!("Carillon {} *", hosts.role);
    format!(
        "Get-NetQosPolicy | Where-Object {{ $_.Name -like {} }} | Remove-NetQosPolicy -Confirm:$false\r\n",
        quoted(&ours)
    )
}

fn command(rule: &MarkingRule) -> String {
    let protocol = match rule.protocol {
        Protocol::Both => "Both",
        Protocol::Udp => "UDP",
        Protocol::Tcp => "TCP",
    };
    let mut words = vec![format!("New-NetQosPolicy -Name {}", quoted(&rule.name))];
    words.extend(rule.application.iter().map(|name| format!("-AppPathNameMatchCondition {}", quoted(name))));
    words.push(format!("-IPProtocolMatchCondition {protocol}"));
    words.extend(rule.source_ports.map(|range| ports("Src", range)));
    words.extend(rule.destination_ports.map(|range| ports("Dst", range)));
    words.push(format!("-DSCPAction {} -NetworkProfile All | Out-Null\r\n", rule.mark.value()));
    words.join(" ")
}

/// A range whose end is its start is refused; one port has a parameter of its own.
fn ports(side: &str, range: PortRange) -> String {
    let (start, end) = (range.start(), range.end());
    if start == end {
        return format!("-IP{side}PortMatchCondition {start}");
    }
    format!("-IP{side}PortStartMatchCondition {start} -IP{side}PortEndMatchCondition {end}")
}

/// PowerShell ends a string at any of its five single quotes; doubled, they stand for themselves.
fn quoted(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        if matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_single_quote_of_powershell_is_doubled() {
        assert_eq!(quoted("a'b\u{2019}c\u{201b}"), "'a''b\u{2019}\u{2019}c\u{201b}\u{201b}'");
        assert_eq!(quoted("$(x) `n \" ]"), "'$(x) `n \" ]'");
    }
}
