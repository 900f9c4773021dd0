//! What is wrong with a plan that can be read: overlaps, ranges too small, marks that defeat each other.
//!
//! Only what a plan alone can show; packets are judged by `verify`.

mod kinds;
mod marks;
mod phones;
mod ports;
mod rules;

pub use kinds::{KINDS, Kind};

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Plan, Scope};
use crate::role::Role;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The plan cannot work as it stands.
    Error,
    /// It works, and somebody will be surprised.
    Warning,
    /// It could be better, or it is a choice to be aware of.
    Advice,
}

/// One finding about a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Lint {
    /// Stable name: `ranges-overlap`.
    pub code: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What is wrong, with the ranges and the exact interval, and where.
    pub text: String,
    /// Rows of the requirements table that ask for it.
    pub rows: &'static [u16],
}

/// Findings under construction.
struct Findings {
    lints: Vec<Lint>,
    seen: BTreeSet<String>,
    suffix: String,
}

impl Findings {
    fn add(&mut self, kind: Kind, text: String) {
        self.add_at(kind, kind.level, text);
    }

    /// Adds it unless a wider scope already has it.
    fn add_at(&mut self, kind: Kind, level: Level, text: String) {
        if self.seen.insert(format!("{} {text}", kind.code)) {
            let text = format!("{text}{}", self.suffix);
            self.lints.push(Lint { code: kind.code, level, text, rows: kind.rows });
        }
    }
}

impl Plan {
    /// Everything that is wrong or doubtful, errors first. Sites and services are checked as well; what
    /// holds globally is told once.
    pub fn lint(&self) -> Vec<Lint> {
        let mut findings = Findings { lints: Vec::new(), seen: BTreeSet::new(), suffix: String::new() };
        for (name, scope) in self.scopes() {
            findings.suffix = if name.is_empty() { String::new() } else { format!(" (in {name})") };
            for role in [Role::Client, Role::Conferencing, Role::Application, Role::Mediation] {
                self.check_ports(role, &scope, &mut findings);
            }
            for role in [Role::Edge, Role::Gateway, Role::Phone] {
                self.check_ports(role, &scope, &mut findings);
            }
            self.check_roles_together(&scope, &mut findings);
            self.check_marks(&scope, &mut findings);
        }
        findings.suffix = String::new();
        self.check_estate(&mut findings);
        self.check_queues(&mut findings);
        self.check_phones(&mut findings);
        self.check_rules(&mut findings);
        findings.lints.sort_by_key(|lint| lint.level);
        findings.lints
    }

    /// The global scope, every site, every service.
    fn scopes(&self) -> Vec<(String, Scope)> {
        let site = |name: &str| Scope { site: Some(name.to_owned()), service: None };
        let service = |name: &str| Scope { site: None, service: Some(name.to_owned()) };
        let global = std::iter::once((String::new(), Scope::default()));
        let sites = self.sites().map(|name| (format!("site:{name}"), site(name)));
        let services = self.services().map(|name| (format!("service:{name}"), service(name)));
        global.chain(sites).chain(services).collect()
    }
}
