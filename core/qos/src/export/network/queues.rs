//! Which classes get a queue of their own, in which order, and how much of a link.

use std::collections::BTreeSet;

use carillon_wire::ip::Dscp;

use super::super::{Order, Unfit};
use crate::class::TrafficClass;
use crate::role::Role;

/// A class with its marks and its share of a congested link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Queue {
    pub(super) class: TrafficClass,
    /// The marks of this class in all roles, without those that a more important class has too.
    pub(super) marks: Vec<Dscp>,
    /// Percent of the link: strict priority for audio, a guaranteed minimum for the others.
    pub(super) percent: u8,
}

/// The most important class first, with its share. No more than a third is strict, or data would starve; the sum is
/// what routers let be reserved unless told. The values are a start: who knows the link counts its calls.
const SHARES: [(TrafficClass, u8); 5] = [
    (TrafficClass::Audio, 33),
    (TrafficClass::Video, 25),
    (TrafficClass::Signaling, 5),
    (TrafficClass::Sharing, 7),
    (TrafficClass::FileTransfer, 5),
];

/// The queues that the plan needs; a class without a mark of its own has none.
///
/// # Errors
/// A plan that is not in force, or marks nothing.
pub(super) fn of_plan(order: &Order<'_>) -> Result<Vec<Queue>, Unfit> {
    if !order.plan.enabled_in(&order.scope).value {
        let text = "is not in force here, so there is nothing to configure; set `enabled = true`";
        return Err(Unfit(format!("plan `{}` {text}", order.plan.name())));
    }
    let mut taken = BTreeSet::from([Dscp::DEFAULT]);
    let mut queues = Vec::new();
    for (class, percent) in SHARES {
        let mut marks = Vec::new();
        for role in Role::ALL {
            let mark = order.plan.policy(role, &order.scope).mark(class);
            if taken.insert(mark) {
                marks.push(mark);
            }
        }
        if !marks.is_empty() {
            queues.push(Queue { class, marks, percent });
        }
    }
    if queues.is_empty() { Err(Unfit("the plan marks nothing".to_owned())) } else { Ok(queues) }
}

/// What an administrator has to know about the shares.
pub(super) fn remark(order: &Order<'_>) -> String {
    let mut text = "The percentages are a start (33 audio, 25 video, 5 signaling, 7 sharing, 5 file transfer, never more \
                    than 75 together): set them by the calls that the link has to carry."
        .to_owned();
    if let Some(rate) = order.plan.video_kbps() {
        text.push_str(&format!(" The plan allows {rate} kbit/s of video on a constrained link."));
    }
    text
}
