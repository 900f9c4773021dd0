//! What users hold. Only who holds something is in the table.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::answer::{Code, Refusal};
use crate::config::Limits;
use crate::contract::AccountId;

#[derive(Default, Debug)]
pub(crate) struct Users {
    held: BTreeMap<Arc<str>, Held>,
    total: usize,
    last: u64,
}

/// Of one user.
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
}

impl Users {
    pub(crate) fn users(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn ports(&self) -> usize {
        self.total
    }

    /// Takes ports for a user, if the quotas allow it.
    pub(crate) fn take(&mut self, limits: &Limits, user: &str, ports: u32) -> Result<Holder, Refusal> {
        let total = self.total + ports as usize;
        if total > limits.ports {
            return Err(Refusal::Code(Code::Capacity));
        }
        let known =
            self.held.get_key_value(user).map(|(name, held)| (name.clone(), held.ports, held.account));
        let count = known.as_ref().map_or(0, |(_, count, _)| *count) + ports;
        if count > limits.ports_per_user {
            return Err(Refusal::Code(Code::Quota));
        }
        let (user, account) = match known {
            Some((user, _, account)) => (user, account),
            None => {
                self.last += 1;
                (Arc::from(user), AccountId(self.last))
            }
        };
        self.held.insert(user.clone(), Held { ports: count, account });
        self.total = total;
        Ok(Holder { user, account })
    }

    /// One port less.
    pub(crate) fn give_back(&mut self, user: &str) {
        self.total = self.total.saturating_sub(1);
        let Some(held) = self.held.get_mut(user) else { return };
        held.ports -= 1;
        if held.ports == 0 {
            self.held.remove(user);
        }
    }
}
