//! What is wrong with a plan that can be read: overlaps, ranges too small, marks that defeat each other.
//!
//! Only what a plan alone can show; packets are judged by `verify`.

mod kinds;
mod links;
mod marks;
mod phones;
mod ports;
mod rules;
mod waiting;

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
    pending: Vec<Pending>,
    seen: BTreeSet<(&'static str, &'static str, String)>,
    /// The scope being checked; empty for the global one.
    scope: String,
}

/// A finding that may yet turn out to be true of several roles.
#[derive(PartialEq, Eq)]
struct Pending {
    kind: Kind,
    level: Level,
    roles: Vec<&'static str>,
    text: String,
    scope: String,
}

impl Findings {
    fn add(&mut self, kind: Kind, text: String) {
        self.add_for("", kind, kind.level, text);
    }

    /// Adds it for a role unless a wider scope already has it; the same about another role is one finding.
    fn add_for(&mut self, role: &'static str, kind: Kind, level: Level, text: String) {
        if !self.seen.insert((kind.code, role, text.clone())) {
            return;
        }
        let scope = self.scope.clone();
        let roles: Vec<&str> = Some(role).filter(|role| !role.is_empty()).into_iter().collect();
        let mut of_scope = self.pending.iter_mut().rev().take_while(|pending| pending.scope == scope);
        match of_scope.find(|pending| (pending.kind, pending.level, &pending.text) == (kind, level, &text)) {
            Some(pending) => pending.roles.extend(roles),
            None => self.pending.push(Pending { kind, level, roles, text, scope }),
        }
    }
}

impl Pending {
    fn lint(self) -> Lint {
        let subject = match self.roles.as_slice() {
            [] => String::new(),
            roles => format!("{}: ", roles.join(", ")),
        };
        let place = if self.scope.is_empty() { String::new() } else { format!(" (in {})", self.scope) };
        let text = format!("{subject}{}{place}", self.text);
        Lint { code: self.kind.code, level: self.level, text, rows: self.kind.rows }
    }
}

impl Plan {
    /// Everything that is wrong or doubtful, errors first. Sites and services are checked as well; what
    /// holds globally is told once.
    pub fn lint(&self) -> Vec<Lint> {
        let mut findings = Findings { pending: Vec::new(), seen: BTreeSet::new(), scope: String::new() };
        for (name, scope) in self.scopes() {
            findings.scope = name;
            for role in Role::ALL {
                self.check_ports(role, &scope, &mut findings);
            }
            self.check_roles_together(&scope, &mut findings);
            self.check_marks(&scope, &mut findings);
        }
        findings.scope = String::new();
        self.check_estate(&mut findings);
        self.check_queues(&mut findings);
        self.check_phones(&mut findings);
        self.check_rules(&mut findings);
        self.check_links(&mut findings);
        self.check_waiting(&mut findings);
        let mut lints: Vec<Lint> = findings.pending.into_iter().map(Pending::lint).collect();
        lints.sort_by_key(|lint| lint.level);
        lints
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
