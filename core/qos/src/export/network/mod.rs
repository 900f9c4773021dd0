//! Switches and routers: marking, queues, and the table from mark to queue.

mod aruba;
mod aruba_switch;
mod cisco;
pub(super) mod ios;
mod junos;
mod queue_table;
mod queues;
pub(crate) mod sides;

use super::{File, Guide, Order, Target, Unfit};
use crate::rule::MarkingRule;

pub(super) const TARGETS: &[Target] = &[
    cisco::TARGET,
    junos::TARGET,
    aruba_switch::TARGET,
    aruba::TARGET,
    queue_table::TARGET,
    queue_table::NETGEAR,
];

/// What switches and routers are told, as rules: each range from both ends, without programs. For comparing.
///
/// # Errors
/// A plan that is not in force or marks nothing by port, or in which a port has two marks.
pub fn rules(order: &Order<'_>) -> Result<Vec<MarkingRule>, Unfit> {
    Ok(sides::of_plan(order)?.iter().flat_map(sides::Side::rules).collect())
}

/// A text file with its guide.
fn file(path: &str, text: String, guide: Guide) -> File {
    File { path: path.to_owned(), bytes: text.into_bytes(), guide: Some(guide) }
}

/// Steps or remarks of a guide.
fn lines<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}
