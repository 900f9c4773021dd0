//! The plan: for every role and class, which ports may be used and which mark each packet carries.
//!
//! A plan is a TOML file (reference: `docs/plan.md`). What the file says ([`raw`]) is one type, what it
//! means after presets and checks ([`Plan`]) is another. A plan judges no packets; `verify` does.

mod deployed;
mod diff;
mod entries;
mod explain;
mod layer;
mod links;
pub mod lint;
pub mod management;
mod network;
mod phones;
mod policy;
mod preset;
mod problem;
mod queues;
pub mod raw;
mod read;
mod resolve;
mod section;
pub mod show;
mod sites;
mod write;

pub(crate) use deployed::{Estate, deployed};
pub use diff::Difference;
pub use explain::{Candidate, Explained};
pub use layer::{Ports, Scope};
pub use links::{Budget, Link, Links};
pub use lint::{KINDS, Kind, Level, Lint};
pub use management::{Held, Kind as ManagedKind, ManagedValue, Management, Property, TimeSpan};
pub use network::Network;
pub use phones::{Evidence, FAMILIES, MarkControl, Phone, PhoneFamily, PortControl};
pub use policy::{ClassPolicy, RolePolicy};
pub use preset::{PRESETS, Preset};
pub use problem::{Problem, nearest};
pub use queues::QueueMap;
pub use raw::{EdgeExternal, Rule, WifiMapping};
pub use sites::Sites;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ports::PortRange;
use layer::Layer;

/// Where a value comes from.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Inherited: the product's or the preset's value, or what holds when nobody says anything.
    Default {
        /// Who says so.
        source: String,
    },
    /// Written in the plan itself.
    Set {
        /// `global`, `site:NAME` or `service:NAME`.
        scope: String,
        /// Line of the plan file, from 1.
        line: u32,
        /// The `source` that the plan states for it.
        source: Option<String>,
    },
}

/// The line of the file is no part of what the plan says.
impl PartialEq for Origin {
    fn eq(&self, other: &Origin) -> bool {
        match (self, other) {
            (Origin::Default { source: a }, Origin::Default { source: b }) => a == b,
            (Origin::Set { scope: a, source: b, .. }, Origin::Set { scope: c, source: d, .. }) => {
                (a, b) == (c, d)
            }
            _ => false,
        }
    }
}

impl Eq for Origin {}

impl Origin {
    /// `default` or `set`, as tables label it.
    pub fn label(&self) -> &'static str {
        match self {
            Origin::Default { .. } => "default",
            Origin::Set { .. } => "set",
        }
    }

    /// The stated source, if any.
    pub fn source(&self) -> Option<&str> {
        match self {
            Origin::Default { source } => Some(source),
            Origin::Set { source, .. } => source.as_deref(),
        }
    }

    fn unset() -> Origin {
        Origin::Default { source: "nothing is set".to_owned() }
    }
}

/// A value with its origin.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

impl<T> Setting<T> {
    fn map<U>(self, f: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: f(self.value), origin: self.origin }
    }
}

/// The Edge in the plan.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Edge {
    pub(crate) ports: Option<Setting<PortRange>>,
    pub(crate) mark_internal: Option<Setting<bool>>,
    pub(crate) external: Option<Setting<EdgeExternal>>,
}

/// A resolved plan: every reference followed, every value checked. Equal plans mean the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    name: String,
    title: String,
    base: Option<String>,
    global: Layer,
    sites: BTreeMap<String, Layer>,
    services: BTreeMap<String, Layer>,
    signaling: Setting<Vec<PortRange>>,
    phones: Vec<Phone>,
    families: Vec<PhoneFamily>,
    edge: Edge,
    queues: Option<Setting<QueueMap>>,
    executables: Option<Setting<Vec<String>>>,
    servers: Option<Setting<Vec<Network>>>,
    voicemail: Option<Setting<PortRange>>,
    video_kbps: Option<Setting<u32>>,
    wifi: Option<Setting<WifiMapping>>,
    rules: Option<Setting<Vec<Rule>>>,
    management: Management,
}

impl Plan {
    /// A well-known plan: `lync`, `lync-kloud`, `technet`, `schertz-vvx`, `teams`, `cisco`, `rfc8837`.
    pub fn preset(name: &str) -> Option<Plan> {
        preset::load(name)
    }

    /// Reads a plan. Whatever is wrong with it comes back at once, in the order of lines.
    pub fn from_toml(text: &str) -> Result<Plan, Vec<Problem>> {
        let (raw, mut problems) = raw::read(text);
        let plan = resolve::resolve(raw, &mut problems);
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() { Ok(plan) } else { Err(problems) }
    }

    /// The short name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One line for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The preset from which the plan inherits.
    pub fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// Whether the plan is in force globally; sites and services may differ (see [`Plan::policy`]).
    pub fn enabled(&self) -> bool {
        self.global.enabled.as_ref().is_none_or(|enabled| enabled.value)
    }

    /// Names of the sites that differ from the global values.
    pub fn sites(&self) -> impl Iterator<Item = &str> {
        self.sites.keys().map(String::as_str)
    }

    /// Names of the services that differ from global and site values.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// Where SIP listens: 5061 and what else the plan names.
    pub fn signaling_ports(&self) -> &[PortRange] {
        &self.signaling.value
    }

    /// The phone families that the plan names, as fixed facts.
    pub fn phone_families(&self) -> &[PhoneFamily] {
        &self.families
    }

    /// The phones of the plan: family and what the estate has configured on them.
    pub fn phones(&self) -> &[Phone] {
        &self.phones
    }

    /// The switch's map from mark to queue, if the plan holds one.
    pub fn queue_map(&self) -> Option<&QueueMap> {
        self.queues.as_ref().map(|map| &map.value)
    }

    /// Names of the client programs, as policies match them.
    pub fn executables(&self) -> &[String] {
        self.executables.as_ref().map_or(&[], |names| &names.value)
    }

    /// Networks of servers and gateways: what devices in between tell servers' wide ranges by. None unless told.
    pub fn server_networks(&self) -> &[Network] {
        self.servers.as_ref().map_or(&[], |networks| &networks.value)
    }

    /// The Edge's external relay ports.
    pub fn edge_ports(&self) -> Option<PortRange> {
        self.edge.ports.as_ref().map(|ports| ports.value)
    }

    /// Whether the Edge marks towards the inside; it does not unless told.
    pub fn edge_marks_internal(&self) -> bool {
        self.edge.mark_internal.as_ref().is_some_and(|mark| mark.value)
    }

    /// What the Edge does with marks towards the Internet.
    pub fn edge_external(&self) -> EdgeExternal {
        self.edge.external.as_ref().map_or(EdgeExternal::None, |external| external.value)
    }

    /// How the estate's Wi-Fi maps marks; by their upper three bits unless told.
    pub fn wifi_mapping(&self) -> WifiMapping {
        self.wifi.as_ref().map_or(WifiMapping::Default, |wifi| wifi.value)
    }

    /// What bandwidth policy allows one site's video on a constrained link, in kilobits per second.
    pub fn video_kbps(&self) -> Option<u32> {
        self.video_kbps.as_ref().map(|rate| rate.value)
    }

    /// What the management shell keeps beside the plan. It is of this plan alone, never inherited.
    pub fn management(&self) -> &Management {
        &self.management
    }

    /// Where voicemail media may come from.
    pub fn voicemail_ports(&self) -> Option<PortRange> {
        self.voicemail.as_ref().map(|ports| ports.value)
    }

    /// Marking rules that are deployed in the estate and stated in the plan to be compared with it.
    pub fn rules(&self) -> &[Rule] {
        self.rules.as_ref().map_or(&[], |rules| &rules.value)
    }
}
