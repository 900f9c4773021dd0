//! What users hold: ports, and how much of the bandwidth they are promised. Only who holds something is in the table.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::answer::{Code, Refusal};
use crate::config::Limits;

#[derive(Default, Debug)]
pub(crate) struct Users {
    ports: BTreeMap<Arc<str>, u32>,
    total: usize,
}

impl Users {
    pub(crate) fn users(&self) -> usize {
        self.ports.len()
    }

    pub(crate) fn ports(&self) -> usize {
        self.total
    }

    /// Takes ports for a user, if the quotas allow it. The promise of bandwidth is by port: all that a user may hold at once is
    /// never more than what the user may use.
    pub(crate) fn take(&mut self, limits: &Limits, user: &str, ports: u32) -> Result<Arc<str>, Refusal> {
        let promised = |ports: u64, most: Option<u64>| match (limits.port_rate, most) {
            (Some(rate), Some(most)) => ports.saturating_mul(rate) > most,
            _ => false,
        };
        let total = self.total + ports as usize;
        if total > limits.ports || promised(total as u64, limits.total_rate) {
            return Err(Refusal::Code(Code::Capacity));
        }
        let held = self.ports.get_key_value(user);
        let count = held.map_or(0, |(_, count)| *count) + ports;
        if count > limits.ports_per_user || promised(u64::from(count), limits.user_rate) {
            return Err(Refusal::Code(Code::Quota));
        }
        let name = held.map_or_else(|| Arc::from(user), |(name, _)| name.clone());
        self.ports.insert(name.clone(), count);
        self.total = total;
        Ok(name)
    }

    /// One port less.
    pub(crate) fn give_back(&mut self, user: &str) {
        self.total = self.total.saturating_sub(1);
        let Some(count) = self.ports.get_mut(user) else { return };
        *count -= 1;
        if *count == 0 {
            self.ports.remove(user);
        }
    }
}
