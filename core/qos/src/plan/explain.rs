//! Who decided a value: every scope that had a say, and the winner.

use serde::Serialize;

use super::layer::{Ports, Scope};
use super::policy::role_chain;
use super::{Origin, Plan, Setting};
use crate::class::TrafficClass;
use crate::dscp;
use crate::role::Role;

/// One key of a policy and everyone who set it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Explained {
    /// `enabled`, `dscp` or `ports`.
    pub key: &'static str,
    /// What holds in the end, as people read it.
    pub effective: String,
    /// Everyone who had a say, the winner first. Empty: nobody set it.
    pub chain: Vec<Candidate>,
}

/// A value that one place of the plan states.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Candidate {
    /// Where: `site:Redmond roles.client.audio.ports`.
    pub path: String,
    /// The value as people read it.
    pub value: String,
    /// Default or set, with line and source.
    pub origin: Origin,
    /// Whether this one decides.
    pub wins: bool,
}

impl Plan {
    /// For one role and class in a scope: who says whether the plan is in force, which mark and which
    /// ports hold, and who was overruled.
    pub fn explain(&self, role: Role, class: TrafficClass, scope: &Scope) -> Vec<Explained> {
        let policy = self.policy(role, scope);
        let ports = match policy.ports(class) {
            Some(range) => range.to_string(),
            None => "any port".to_owned(),
        };
        vec![
            explained("enabled", self.enabled_in(scope).value.to_string(), self.enabled_chain(scope)),
            explained("dscp", dscp::label(policy.mark(class)), self.mark_chain(role, class, scope)),
            explained("ports", ports, self.ports_chain(role, class, scope)),
        ]
    }

    fn enabled_chain(&self, scope: &Scope) -> Vec<Candidate> {
        let said = |named: super::layer::Named<'_>| {
            let enabled = named.layer.enabled.as_ref()?;
            Some(candidate(&named.scope, "enabled", enabled, enabled.value.to_string()))
        };
        self.layers(scope).into_iter().filter_map(said).collect()
    }

    fn mark_chain(&self, role: Role, class: TrafficClass, scope: &Scope) -> Vec<Candidate> {
        let mut chain = Vec::new();
        if let (Role::Edge, Some(mark)) = (role, &self.edge.mark_internal)
            && !mark.value
        {
            chain.push(candidate("global", "edge.mark-internal", mark, "false".to_owned()));
        }
        for named in self.layers(scope) {
            for role in role_chain(role) {
                if let Some(mark) = named.layer.role_marks.get(&(*role, class)) {
                    let path = format!("roles.{role}.{class}.dscp");
                    chain.push(candidate(&named.scope, &path, mark, dscp::label(mark.value)));
                }
            }
            if let Some(mark) = named.layer.marks.get(&class) {
                let path = format!("classes.{class}");
                chain.push(candidate(&named.scope, &path, mark, dscp::label(mark.value)));
            }
        }
        chain
    }

    fn ports_chain(&self, role: Role, class: TrafficClass, scope: &Scope) -> Vec<Candidate> {
        let mut chain = Vec::new();
        for named in self.layers(scope) {
            for role in role_chain(role) {
                if let Some(ports) = named.layer.role_ports.get(&(*role, class)) {
                    let path = format!("roles.{role}.{class}.ports");
                    chain.push(candidate(&named.scope, &path, ports, ports_label(ports.value)));
                }
            }
        }
        let relay = self.edge.ports.as_ref().filter(|_| role == Role::Edge && class.is_media());
        chain.extend(relay.map(|ports| candidate("global", "edge.ports", ports, ports.value.to_string())));
        chain
    }
}

fn explained(key: &'static str, effective: String, mut chain: Vec<Candidate>) -> Explained {
    if let Some(first) = chain.first_mut() {
        first.wins = true;
    }
    Explained { key, effective, chain }
}

fn candidate<T>(scope: &str, path: &str, setting: &Setting<T>, value: String) -> Candidate {
    Candidate { path: format!("{scope} {path}"), value, origin: setting.origin.clone(), wins: false }
}

fn ports_label(ports: Ports) -> String {
    ports.range().map_or_else(|| "any port".to_owned(), |range| range.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_the_winner_and_the_overruled() {
        let text =
            "base = \"lync-kloud\"\nclasses.audio = 40\n[sites.Oslo.roles.client]\naudio = \"7000-7039\"";
        let plan = Plan::from_toml(text).unwrap();
        let scope = Scope { site: Some("Oslo".to_owned()), service: None };
        let explained = plan.explain(Role::Phone, TrafficClass::Audio, &scope);
        let paths = |key| {
            let of_key = explained.iter().find(|explained| explained.key == key).unwrap();
            of_key.chain.iter().map(|c| (c.path.clone(), c.wins)).collect::<Vec<_>>()
        };
        let ports =
            [("site:Oslo roles.client.audio.ports", true), ("global roles.client.audio.ports", false)];
        assert_eq!(paths("ports"), ports.map(|(path, wins)| (path.to_owned(), wins)));
        assert_eq!(paths("dscp"), vec![("global classes.audio".to_owned(), true)]);
        assert_eq!(explained[1].effective, "CS5 (40)");
        assert_eq!(explained[0].chain[0].origin.label(), "default");
    }
}
