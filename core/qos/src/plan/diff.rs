//! What differs between two plans, value by value.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Plan;

/// A value in two plans.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Difference {
    /// Where it stands: `roles.client.audio.ports`.
    pub path: String,
    /// The first plan's value as TOML, if it has one.
    pub before: Option<String>,
    /// The second plan's value as TOML, if it has one.
    pub after: Option<String>,
}

impl Difference {
    /// Whether both plans say the same. Only the Edge's external range is listed then, because who reads
    /// a new client range asks whether the firewall in front of the Edge has to change.
    pub fn unchanged(&self) -> bool {
        self.before == self.after
    }
}

/// Listed even if it stays as it is.
const EDGE_RANGE: &str = "edge.ports";

impl Plan {
    /// The values that differ, in the order of their paths, and always the Edge's external range.
    pub fn diff(&self, other: &Plan) -> Vec<Difference> {
        let (before, after) = (self.by_path(), other.by_path());
        let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
        paths.sort();
        paths.dedup();
        let difference = |path: &String| Difference {
            path: path.clone(),
            before: before.get(path).cloned(),
            after: after.get(path).cloned(),
        };
        let differences = paths.into_iter().map(difference);
        differences.filter(|difference| !difference.unchanged() || difference.path == EDGE_RANGE).collect()
    }

    fn by_path(&self) -> BTreeMap<String, String> {
        let mut values: BTreeMap<String, String> =
            self.entries().into_iter().map(|entry| (entry.path(), entry.value)).collect();
        for (number, rule) in self.rules().iter().enumerate() {
            values.insert(format!("rules[{number}]"), rule.lines().join(", "));
        }
        for (table, object) in self.management.tables() {
            values.insert(table.clone(), "named".to_owned());
            values.extend(object.iter().map(|(name, value)| (format!("{table}.{name}"), value.to_toml())));
        }
        for phone in self.phones() {
            values.insert(format!("phones.{}", phone.family.name), "named".to_owned());
        }
        for site in self.sites.keys() {
            values.insert(format!("sites.{}", super::entries::key(site)), "named".to_owned());
        }
        for service in self.services.keys() {
            values.insert(format!("services.{}", super::entries::key(service)), "named".to_owned());
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_client_range_leaves_the_edge_alone() {
        let before = Plan::from_toml("base = \"lync-kloud\"").unwrap();
        let after = Plan::from_toml("base = \"lync-kloud\"\nroles.client.audio = \"6000-6039\"").unwrap();
        let found = before.diff(&after);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].path.as_str(), found[0].unchanged()), ("edge.ports", true));
        assert_eq!(found[1].path, "roles.client.audio.ports");
        assert_eq!(found[1].before.as_deref(), Some("\"20000-20039\""));
        assert_eq!(found[1].after.as_deref(), Some("\"6000-6039\""));
    }

    #[test]
    fn a_plan_differs_from_itself_in_nothing() {
        let plan = Plan::preset("schertz-vvx").unwrap();
        assert!(plan.diff(&plan).iter().all(Difference::unchanged));
    }
}
