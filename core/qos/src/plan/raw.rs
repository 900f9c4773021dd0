//! What a plan file says, with the line of every value; nothing inherited, nothing compared.
//!
//! [`super::Plan`] is what it means.

use std::collections::BTreeMap;

use carillon_wire::ip::Dscp;
use serde::Serialize;

use super::layer::Ports;
use super::management::Management;
use super::network::Network;
use super::phones::PhoneFamily;
use super::queues::QueueMap;
pub use super::read::read;
pub use super::section::At;
use crate::class::TrafficClass;
use crate::ports::PortRange;
use crate::role::Role;
use crate::rule::MarkingRule;

/// What the Edge does with marks on packets to the Internet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeExternal {
    /// Sends them unmarked: nobody on the Internet promised anything.
    None,
    /// Marks them as on the inside.
    Plan,
}

impl EdgeExternal {
    /// The word in plans.
    pub fn name(self) -> &'static str {
        match self {
            EdgeExternal::None => "none",
            EdgeExternal::Plan => "plan",
        }
    }
}

/// How the estate's Wi-Fi turns marks into access categories.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WifiMapping {
    /// The upper three bits, as equipment does unless told: EF is sent as video.
    Default,
    /// By RFC 8325: EF is sent as voice.
    Rfc8325,
}

impl WifiMapping {
    /// The word in plans.
    pub fn name(self) -> &'static str {
        match self {
            WifiMapping::Default => "default",
            WifiMapping::Rfc8325 => "rfc8325",
        }
    }
}

/// A marking rule that is deployed somewhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Rule {
    /// The role of the hosts that have it.
    pub role: Role,
    /// The rule.
    #[serde(flatten)]
    pub marking: MarkingRule,
}

/// The values of one scope.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RawLayer {
    /// `enabled`.
    pub enabled: Option<At<bool>>,
    /// `classes.CLASS`.
    pub marks: BTreeMap<TrafficClass, At<Dscp>>,
    /// `roles.ROLE.CLASS.dscp`.
    pub role_marks: BTreeMap<(Role, TrafficClass), At<Dscp>>,
    /// `roles.ROLE.CLASS.ports`.
    pub role_ports: BTreeMap<(Role, TrafficClass), At<Ports>>,
    /// `roles.ROLE.legacy-ports`.
    pub legacy_ports: BTreeMap<Role, At<PortRange>>,
}

/// `[edge]`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RawEdge {
    /// `ports`.
    pub ports: Option<At<PortRange>>,
    /// `mark-internal`.
    pub mark_internal: Option<At<bool>>,
    /// `external`.
    pub external: Option<At<EdgeExternal>>,
}

/// `[phones.FAMILY]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawPhone {
    /// Line of the table.
    pub line: u32,
    /// The family's facts.
    pub family: PhoneFamily,
    /// `audio-start`.
    pub audio_start: Option<At<u16>>,
    /// `video-start`.
    pub video_start: Option<At<u16>>,
    /// `audio`, `video`, `signaling`: the marks configured on the phones.
    pub marks: BTreeMap<TrafficClass, At<Dscp>>,
}

/// The whole file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RawPlan {
    /// `name`.
    pub name: Option<At<String>>,
    /// `title`.
    pub title: Option<At<String>>,
    /// `base`.
    pub base: Option<At<String>>,
    /// Top-level values, `[classes]`, `[roles]`.
    pub global: RawLayer,
    /// `[sites.NAME]`.
    pub sites: BTreeMap<String, RawLayer>,
    /// `[services.NAME]`.
    pub services: BTreeMap<String, RawLayer>,
    /// `signaling.ports`.
    pub signaling: Option<At<Vec<PortRange>>>,
    /// `[phones.FAMILY]`.
    pub phones: Vec<RawPhone>,
    /// `[edge]`.
    pub edge: RawEdge,
    /// `[queues]`.
    pub queues: Option<At<QueueMap>>,
    /// `clients.executables`.
    pub executables: Option<At<Vec<String>>>,
    /// `servers.networks`.
    pub servers: Option<At<Vec<Network>>>,
    /// `voicemail.ports`.
    pub voicemail: Option<At<PortRange>>,
    /// `bandwidth.video-kbps`.
    pub video_kbps: Option<At<u32>>,
    /// `wifi.mapping`.
    pub wifi: Option<At<WifiMapping>>,
    /// `[[rules]]`.
    pub rules: Option<At<Vec<Rule>>>,
    /// `[management]`.
    pub management: Management,
}
