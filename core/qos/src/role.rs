//! Who sends: a role decides which ranges and marks apply.

use serde::{Deserialize, Serialize};

/// The part a host plays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A person's computer or phone that takes its ranges from the plan.
    Client,
    /// Front End and audio/video conferencing.
    Conferencing,
    /// Application sharing and application servers.
    Application,
    /// Mediation between SIP and the PSTN; branch appliances.
    Mediation,
    /// The Edge relay.
    Edge,
    /// A PSTN gateway or trunk of another vendor.
    Gateway,
    /// A desk phone whose family fixes some of its ports or marks.
    Phone,
}

impl Role {
    /// Every role, in the order of tables.
    pub const ALL: [Role; 7] = [
        Role::Client,
        Role::Conferencing,
        Role::Application,
        Role::Mediation,
        Role::Edge,
        Role::Gateway,
        Role::Phone,
    ];

    /// The name used in plans and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Conferencing => "conferencing",
            Role::Application => "application",
            Role::Mediation => "mediation",
            Role::Edge => "edge",
            Role::Gateway => "gateway",
            Role::Phone => "phone",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_found_by_its_name() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
        }
        assert_eq!(Role::from_name("director"), None);
    }
}
