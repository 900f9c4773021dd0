//! A marking rule, as Windows policies, firewalls and switches state them: what a packet looks like, and its mark.

use carillon_wire::ip::Dscp;
use serde::Serialize;

use crate::dscp;
use crate::ports::PortRange;

/// Transport protocols that a rule covers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// UDP and TCP.
    Both,
    /// UDP only.
    Udp,
    /// TCP only.
    Tcp,
}

impl Protocol {
    /// The word in plans.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Both => "both",
            Protocol::Udp => "udp",
            Protocol::Tcp => "tcp",
        }
    }
}

/// Which packets get which mark. Matching is on both ends of a flow as its sender sees them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct MarkingRule {
    /// Name of the policy.
    pub name: String,
    /// Program name; `None` means every program.
    pub application: Option<String>,
    /// Transport protocols.
    pub protocol: Protocol,
    /// Source ports; `None` means any.
    pub source_ports: Option<PortRange>,
    /// Destination ports; `None` means any.
    pub destination_ports: Option<PortRange>,
    /// The mark it sets.
    #[serde(with = "crate::dscp::number")]
    pub mark: Dscp,
}

impl MarkingRule {
    /// Whether it matches exactly the packets that the other matches; name and mark aside. Windows takes program
    /// names in any case.
    pub fn same_traffic(&self, other: &MarkingRule) -> bool {
        let program = |rule: &MarkingRule| rule.application.as_deref().map(str::to_lowercase);
        (self.protocol, self.source_ports, self.destination_ports)
            == (other.protocol, other.source_ports, other.destination_ports)
            && program(self) == program(other)
    }

    /// Whether its protocols and ports hold all of the other's; program, name and mark aside.
    pub(crate) fn holds_ports_of(&self, other: &MarkingRule) -> bool {
        let holds = |all: Option<PortRange>, part: Option<PortRange>| match (all, part) {
            (None, _) => true,
            (Some(all), Some(part)) => all.covers(part),
            (Some(_), None) => false,
        };
        (self.protocol == Protocol::Both || self.protocol == other.protocol)
            && holds(self.source_ports, other.source_ports)
            && holds(self.destination_ports, other.destination_ports)
    }

    /// What it matches and sets, for people: `lync.exe, UDP and TCP, source 20000-20039: EF (46)`.
    pub fn describe(&self) -> String {
        let protocol = match self.protocol {
            Protocol::Both => "UDP and TCP",
            Protocol::Udp => "UDP",
            Protocol::Tcp => "TCP",
        };
        let mut parts = vec![self.application.as_deref().unwrap_or("every program").to_owned()];
        parts.push(protocol.to_owned());
        parts.extend(self.source_ports.map(|ports| format!("source {ports}")));
        parts.extend(self.destination_ports.map(|ports| format!("destination {ports}")));
        format!("{}: {}", parts.join(", "), dscp::label(self.mark))
    }
}
