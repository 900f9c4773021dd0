//! Links between sites: budgets that nobody checks, that no call can use up, or that nobody has stated.

use std::collections::BTreeSet;

use super::super::management::{Kind, ManagedValue};
use super::super::{Links, Plan};
use super::Findings;
use super::kinds::{LINK_UNREACHABLE, LINKS_UNCHECKED, PROFILE_UNKNOWN};

/// Kinds of objects that are a link.
const LINKED: [&str; 3] = ["NetworkSite", "NetworkInterSitePolicy", "NetworkRegionLink"];

impl Plan {
    pub(super) fn check_links(&self, findings: &mut Findings) {
        let profiles = LINKED.into_iter().flat_map(|kind| self.texts(kind, "BWPolicyProfileID"));
        let profiles: Vec<(&str, &str)> = profiles.collect();
        if profiles.is_empty() {
            return;
        }
        let profile = Kind::named("NetworkBandwidthPolicyProfile");
        for (name, of) in profiles {
            if profile.and_then(|profile| self.management().object(profile, of)).is_none() {
                findings.add(PROFILE_UNKNOWN, format!("{name} has the profile {of}, which is not there"));
            }
        }
        if !Links::are_checked(self) {
            return findings.add(LINKS_UNCHECKED, "EnableBandwidthPolicyCheck is not on".to_owned());
        }
        self.check_reach(findings);
    }

    /// Only addresses lead to sites, and only sites to links.
    fn check_reach(&self, findings: &mut Findings) {
        let links = Links::of(self);
        let sites: BTreeSet<String> =
            self.texts("NetworkSubnet", "NetworkSiteID").map(|(_, site)| site.to_lowercase()).collect();
        let mut used = BTreeSet::new();
        for from in &sites {
            let others = sites.range(from.clone()..).map(|site| Some(site.as_str())).chain([None]);
            let ways = others.flat_map(|to| links.routes(Some(from), to));
            used.extend(ways.flatten());
        }
        for (_, link) in links.all().iter().enumerate().filter(|(at, _)| !used.contains(at)) {
            findings.add(LINK_UNREACHABLE, format!("{}: no subnet is at an end of it", link.name));
        }
    }

    /// A property of all objects of a kind that have it.
    fn texts<'p>(&'p self, kind: &str, property: &str) -> impl Iterator<Item = (&'p str, &'p str)> {
        let objects = Kind::named(kind).into_iter().flat_map(|kind| self.management().objects(kind));
        let property = property.to_owned();
        objects.filter_map(move |(identity, object)| match object.get(property.as_str()) {
            Some(ManagedValue::Text(text)) => Some((identity, text.as_str())),
            _ => None,
        })
    }
}
