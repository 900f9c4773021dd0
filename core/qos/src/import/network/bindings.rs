//! To which interfaces policies and filters are bound: one that is bound nowhere marks nothing, and a file that shows no
//! interfaces does not tell.

use std::collections::{BTreeMap, BTreeSet};

use crate::import::{Caveat, Reach};

/// What a file says of interfaces.
#[derive(Default)]
pub(super) struct Bindings {
    /// Whether the file has interfaces.
    shown: bool,
    /// Whether more may be bound in what is not read.
    more: bool,
    down: BTreeSet<String>,
    /// By name of the policy: interface and direction.
    bound: BTreeMap<String, BTreeSet<(String, String)>>,
}

/// Interfaces that a text names.
const SHOWN: usize = 3;

impl Bindings {
    pub(super) fn interface(&mut self) {
        self.shown = true;
    }

    /// Part of the file is not read, and may bind more.
    pub(super) fn more(&mut self) {
        self.more = true;
    }

    pub(super) fn bind(&mut self, policy: &str, interface: &str, direction: &str) {
        let place = (interface.to_owned(), direction.to_owned());
        self.bound.entry(policy.to_owned()).or_default().insert(place);
    }

    pub(super) fn unbind(&mut self, policy: &str, interface: &str, direction: &str) {
        if let Some(places) = self.bound.get_mut(policy) {
            places.remove(&(interface.to_owned(), direction.to_owned()));
        }
    }

    /// Whether an interface is shut down.
    pub(super) fn set_down(&mut self, interface: &str, down: bool) {
        if down {
            self.down.insert(interface.to_owned());
        } else {
            self.down.remove(interface);
        }
    }

    /// Whether it is bound to an interface that is up.
    pub(super) fn is_bound(&self, policy: &str) -> bool {
        self.up(policy).next().is_some()
    }

    /// `GigabitEthernet0/1 (output)`, and how many more.
    pub(super) fn place(&self, policy: &str) -> String {
        let mut names: Vec<String> =
            self.up(policy).map(|(interface, direction)| format!("{interface} ({direction})")).collect();
        let more = names.len().saturating_sub(SHOWN);
        names.truncate(SHOWN);
        if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") }
    }

    /// What follows for the rules of a policy; `attach` is the line that binds it.
    pub(super) fn caveat(&self, policy: &str, attach: &str) -> Caveat {
        let known = self.bound.get(policy).is_some_and(|places| !places.is_empty());
        let fix = format!("attach it: `{attach}` at the interfaces where the hosts are");
        match (self.is_bound(policy), known) {
            (true, _) => {
                let text = format!("at {}", self.place(policy));
                Caveat { reach: Reach::Interfaces, text, fix: String::new() }
            }
            (false, true) => {
                Caveat::nothing(format!("{policy} is bound only to interfaces that are shut down"), fix)
            }
            (false, false) if self.shown && !self.more => {
                Caveat::nothing(format!("{policy} is bound to no interface of the file"), fix)
            }
            (false, false) => {
                let text = format!("to which interface {policy} is bound is not in the file");
                Caveat::unknown(text, format!("check the whole configuration, or {fix}"))
            }
        }
    }

    fn up(&self, policy: &str) -> impl Iterator<Item = &(String, String)> {
        let places = self.bound.get(policy).into_iter().flatten();
        places.filter(|(interface, _)| !self.down.contains(interface))
    }
}
