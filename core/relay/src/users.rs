//! What users hold, and what all users of a site hold together. Only who holds something is in a table.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Limits;
use crate::contract::{AccountId, Quota};

#[derive(Default, Debug)]
pub(crate) struct Users {
    users: Holdings,
    sites: Holdings,
    total: usize,
    last: u64,
}

/// By name.
#[derive(Default, Debug)]
struct Holdings(BTreeMap<Arc<str>, Held>);

#[derive(Debug)]
struct Held {
    ports: u32,
    account: AccountId,
}

/// Whose ports are.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) user: Arc<str>,
    pub(crate) account: AccountId,
    pub(crate) site: Option<(Arc<str>, AccountId)>,
}

impl Users {
    pub(crate) fn users(&self) -> usize {
        self.users.0.len()
    }

    pub(crate) fn ports(&self) -> usize {
        self.total
    }

    /// What each site holds.
    pub(crate) fn sites(&self) -> impl Iterator<Item = (&str, u32)> {
        self.sites.0.iter().map(|(name, held)| (&**name, held.ports))
    }

    /// Takes ports for a user of a site, if the quotas allow it.
    pub(crate) fn take(
        &mut self,
        limits: &Limits,
        (user, site): (&str, Option<&str>),
        ports: u32,
    ) -> Result<Holder, Quota> {
        let total = self.total + ports as usize;
        if total > limits.ports {
            return Err(Quota::Relay);
        }
        if self.users.with(user, ports) > limits.ports_per_user {
            return Err(Quota::User);
        }
        if site.is_some_and(|site| self.sites.with(site, ports) > limits.ports_per_site) {
            return Err(Quota::Site);
        }
        self.total = total;
        let (user, account) = self.users.take(user, ports, &mut self.last);
        let site = site.map(|site| self.sites.take(site, ports, &mut self.last));
        Ok(Holder { user, account, site })
    }

    /// One port less.
    pub(crate) fn give_back(&mut self, holder: &Holder) {
        self.total = self.total.saturating_sub(1);
        self.users.give_back(&holder.user);
        holder.site.iter().for_each(|(site, _)| self.sites.give_back(site));
    }
}

impl Holdings {
    /// How many it would be with these.
    fn with(&self, name: &str, ports: u32) -> u32 {
        self.0.get(name).map_or(0, |held| held.ports).saturating_add(ports)
    }

    fn take(&mut self, name: &str, ports: u32, last: &mut u64) -> (Arc<str>, AccountId) {
        let known = self.0.get_key_value(name).map(|(name, held)| (name.clone(), held.account));
        let (name, account) = known.unwrap_or_else(|| {
            *last += 1;
            (Arc::from(name), AccountId(*last))
        });
        self.0.entry(name.clone()).or_insert(Held { ports: 0, account }).ports += ports;
        (name, account)
    }

    fn give_back(&mut self, name: &str) {
        let Some(held) = self.0.get_mut(name) else { return };
        held.ports -= 1;
        if held.ports == 0 {
            self.0.remove(name);
        }
    }
}
