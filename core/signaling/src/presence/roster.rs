//! What a user keeps at the server: whom it wants to watch, and who may watch it.

use std::sync::Arc;

use crate::user::domain_part;

/// Contacts and rules of one user. Addresses are in lower case and without a scheme: `bob@example.com`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Roster {
    /// The contact list, in the order of the user.
    pub contacts: Vec<Contact>,
    /// Who is treated otherwise than others. The first that fits counts.
    pub rules: Vec<Rule>,
    /// What becomes of everybody else; `None`: what the server says.
    pub others: Option<Handling>,
}

/// Somebody on a contact list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contact {
    /// Whom.
    pub address: Arc<str>,
    /// How the user calls it.
    pub name: Option<String>,
    /// Groups of the list that it belongs to.
    pub groups: Vec<String>,
}

/// What becomes of some watchers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// An address, or with an `@` in front a whole domain.
    pub watcher: String,
    /// What.
    pub handling: Handling,
}

/// What becomes of who wants to watch a user (RFC 5025, 3.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Handling {
    /// Sees all.
    #[default]
    Allow,
    /// Waits for the user to decide, and sees nothing until then.
    Confirm,
    /// Is refused.
    Block,
    /// Sees somebody who is never there.
    PoliteBlock,
}

impl Roster {
    /// What becomes of a watcher, if this roster says so.
    pub(super) fn handling(&self, watcher: &str) -> Option<Handling> {
        let domain = domain_part(watcher);
        let fits = |rule: &&Rule| match rule.watcher.strip_prefix('@') {
            Some(of) => of == domain,
            None => rule.watcher == watcher,
        };
        self.rules.iter().find(fits).map(|rule| rule.handling).or(self.others)
    }
}

impl Handling {
    /// All of them.
    pub const ALL: [Handling; 4] =
        [Handling::Allow, Handling::Confirm, Handling::Block, Handling::PoliteBlock];

    /// The word of RFC 5025.
    pub const fn name(self) -> &'static str {
        match self {
            Handling::Allow => "allow",
            Handling::Confirm => "confirm",
            Handling::Block => "block",
            Handling::PoliteBlock => "polite-block",
        }
    }
}
