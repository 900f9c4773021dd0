//! Switches and routers: marking, queues, and the table from mark to queue.

mod aruba;
mod aruba_switch;
mod cisco;
pub(super) mod ios;
mod junos;
mod queue_table;
mod queues;
pub(crate) mod sides;

use super::stamp::stamp;
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

/// What devices in between are told, as rules: each range from both ends, without programs and addresses. For comparing
/// what is read without its addresses.
///
/// # Errors
/// As [`open_rules`].
pub fn rules(order: &Order<'_>) -> Result<Vec<MarkingRule>, Unfit> {
    let sides = sides::of_plan(order)?;
    Ok([sides.servers.rules(), sides.clients.rules()].concat())
}

/// Those of them that hold for every address: clients' ranges, and where SIP listens.
///
/// # Errors
/// A plan that is not in force or marks nothing by port, or in which a port has two marks.
pub fn open_rules(order: &Order<'_>) -> Result<Vec<MarkingRule>, Unfit> {
    Ok(sides::of_plan(order)?.clients.rules())
}

/// A text file with its guide.
fn file(path: &str, text: String, guide: Guide) -> File {
    File { path: path.to_owned(), bytes: text.into_bytes(), guide: Some(guide) }
}

/// The head of a file: the plan, and what has to be read before the file is used, as comments.
fn head(order: &Order<'_>, warning: Option<&str>, comment: impl Fn(&str) -> String) -> String {
    let mut text = comment(&stamp(order));
    for line in warning.into_iter().flat_map(folded) {
        text.push_str(&comment(&line));
    }
    text
}

/// Longest line of a comment, in characters: terminals of switches are narrow.
const WIDTH: usize = 76;

fn folded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= WIDTH => line.push_str(&format!(" {word}")),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Steps or remarks of a guide.
fn lines<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}
