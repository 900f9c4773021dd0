//! A marking rule, as Windows policies, firewalls and switches state them: what a packet looks like, and its mark.

use carillon_wire::ip::Dscp;
use serde::Serialize;

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
