//! The values of one scope, and how scopes stack: a service beats its site, a site beats the global values.

use std::collections::BTreeMap;

use carillon_wire::ip::Dscp;

use super::{Origin, Plan, Setting};
use crate::class::TrafficClass;
use crate::ports::PortRange;
use crate::role::Role;

/// Whose values are asked for. Both empty: the global ones.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scope {
    /// The site, as the plan names it under `[sites.NAME]`.
    pub site: Option<String>,
    /// The service, as the plan names it under `[services.NAME]`.
    pub service: Option<String>,
}

/// The ports of a class, as a plan can state them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ports {
    /// Any port: the class is told by its mark or its signalling alone.
    Any,
    /// A range.
    Range {
        /// What the product uses.
        range: PortRange,
        /// The end that documents print, where it differs from the product's.
        documented_end: Option<u16>,
    },
}

impl Ports {
    /// The range, unless any port may be used.
    pub fn range(self) -> Option<PortRange> {
        match self {
            Ports::Any => None,
            Ports::Range { range, .. } => Some(range),
        }
    }
}

/// What one scope says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Layer {
    pub(crate) enabled: Option<Setting<bool>>,
    pub(crate) marks: BTreeMap<TrafficClass, Setting<Dscp>>,
    pub(crate) role_marks: BTreeMap<(Role, TrafficClass), Setting<Dscp>>,
    pub(crate) role_ports: BTreeMap<(Role, TrafficClass), Setting<Ports>>,
    pub(crate) legacy_ports: BTreeMap<Role, Setting<PortRange>>,
}

impl Layer {
    /// Takes from `base` what this layer leaves open.
    pub(crate) fn inherit(&mut self, base: Layer) {
        self.enabled = self.enabled.take().or(base.enabled);
        fill(&mut self.marks, base.marks);
        fill(&mut self.role_marks, base.role_marks);
        fill(&mut self.role_ports, base.role_ports);
        fill(&mut self.legacy_ports, base.legacy_ports);
    }

    /// Every origin in the layer, to be rewritten when a plan becomes somebody's base.
    pub(crate) fn origins(&mut self) -> impl Iterator<Item = &mut Origin> {
        let enabled = self.enabled.iter_mut().map(|s| &mut s.origin);
        let marks = self.marks.values_mut().map(|s| &mut s.origin);
        let role_marks = self.role_marks.values_mut().map(|s| &mut s.origin);
        let role_ports = self.role_ports.values_mut().map(|s| &mut s.origin);
        let legacy = self.legacy_ports.values_mut().map(|s| &mut s.origin);
        enabled.chain(marks).chain(role_marks).chain(role_ports).chain(legacy)
    }
}

fn fill<K: Ord, V>(mine: &mut BTreeMap<K, V>, base: BTreeMap<K, V>) {
    for (key, value) in base {
        mine.entry(key).or_insert(value);
    }
}

/// A layer with its name: `service:pool1`, `site:Redmond`, `global`.
pub(crate) struct Named<'p> {
    pub(crate) scope: String,
    pub(crate) layer: &'p Layer,
}

impl Plan {
    /// The layers that apply, the winner first. Names that the plan does not know add nothing.
    pub(crate) fn layers(&self, scope: &Scope) -> Vec<Named<'_>> {
        let service = scope.service.as_ref().and_then(|name| Some((name, self.services.get(name)?)));
        let site = scope.site.as_ref().and_then(|name| Some((name, self.sites.get(name)?)));
        let service = service.map(|(name, layer)| Named { scope: format!("service:{name}"), layer });
        let site = site.map(|(name, layer)| Named { scope: format!("site:{name}"), layer });
        let global = Named { scope: "global".to_owned(), layer: &self.global };
        service.into_iter().chain(site).chain([global]).collect()
    }
}
