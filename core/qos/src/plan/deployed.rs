//! A plan as an estate has it: what is deployed stands in the place of what the plan says, so that lints speak of it.

use std::collections::BTreeMap;

use carillon_wire::ip::Dscp;

use super::{Origin, Phone, Plan, QueueMap, Rule, Setting};
use crate::class::TrafficClass;
use crate::role::Role;

/// What is deployed, as far as a plan has words for it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Estate {
    /// Rules of hosts.
    pub(crate) rules: Vec<Rule>,
    /// A switch's map.
    pub(crate) queues: Option<QueueMap>,
    /// Phones with what is configured on them.
    pub(crate) phones: Vec<Phone>,
    /// Marks that roles have been told.
    pub(crate) marks: BTreeMap<(Role, TrafficClass), Dscp>,
}

/// A value that is deployed.
pub(crate) fn deployed<T>(value: T) -> Setting<T> {
    Setting { value, origin: Origin::Default { source: "what is deployed".to_owned() } }
}

impl Plan {
    /// The plan with the deployed things instead of its own; where nothing is deployed, the plan's own stay.
    pub(crate) fn with_deployed(&self, estate: Estate) -> Plan {
        let mut plan = self.clone();
        plan.rules = Some(deployed(estate.rules));
        plan.queues = estate.queues.map(deployed).or(plan.queues);
        for phone in estate.phones {
            plan.phones.retain(|known| known.family.name != phone.family.name);
            plan.phones.push(phone);
        }
        let marks = estate.marks.into_iter().map(|(key, mark)| (key, deployed(mark)));
        plan.global.role_marks.extend(marks);
        plan
    }
}
