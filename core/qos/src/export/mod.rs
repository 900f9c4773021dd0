//! One plan for every device: files in each device's own spelling, with what people need to install them.
//!
//! A [`Target`] is a family of devices. It makes files from a plan; it writes to no disk and reads nothing back
//! (`import` does). What a device has to be told is decided once, in [`rules`]; targets only spell it.

mod browser;
mod firewall;
mod guide;
mod linux;
pub(crate) mod network;
pub(crate) mod phone;
pub mod rules;
mod stamp;
mod windows;

pub(crate) use browser::range as browser_range;
pub use firewall::{Zone, between as firewall_between};
pub use guide::Guide;
pub(crate) use linux::without_programs;
pub use network::{open_rules as open_network_rules, rules as network_rules};
pub use phone::{Wanted as PhoneWanted, wanted as phone_wanted};

use crate::plan::{Plan, Scope};

/// What to export: whose values of which plan.
#[derive(Clone, Debug)]
pub struct Order<'p> {
    /// The plan.
    pub plan: &'p Plan,
    /// Whose values; the global ones unless told.
    pub scope: Scope,
}

/// One file to be installed somewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Where it lies in the folder of an export, with `/`: `windows/client.reg`. Only letters, digits, `-`, `_`, `.`,
    /// `{`, `}`, and `/` between names.
    pub path: String,
    /// The content, in the encoding that the device reads.
    pub bytes: Vec<u8>,
    /// What it is for and how to handle it; `None` for a part of a bundle whose first file says it.
    pub guide: Option<Guide>,
}

/// Why a plan cannot be exported to a target, and what to change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unfit(pub String);

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfit {}

/// A family of devices that is configured from the plan.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The word on the command line: `windows`, `polycom`, `cisco`.
    pub name: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// Makes its files; at least one, or the reason why there is none.
    pub make: fn(&Order<'_>) -> Result<Vec<File>, Unfit>,
}

/// Every target, in the order of the index page.
pub fn targets() -> impl Iterator<Item = &'static Target> {
    let groups = [
        windows::TARGETS,
        browser::TARGETS,
        phone::TARGETS,
        network::TARGETS,
        linux::TARGETS,
        firewall::TARGETS,
    ];
    groups.into_iter().flatten()
}

impl Target {
    /// The target of that name.
    pub fn named(name: &str) -> Option<&'static Target> {
        targets().find(|target| target.name == name)
    }
}
