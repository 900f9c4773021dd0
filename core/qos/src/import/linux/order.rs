//! Chains in the order in which packets pass them: what a later rule makes of a mark that an earlier one has set.

use std::collections::BTreeSet;

use super::super::first::{Earlier, Later, Taken};
use crate::import::{Caveat, Reach};
use crate::rule::MarkingRule;

/// A chain of the rule set.
#[derive(Default)]
pub(super) struct Chain {
    /// Its name, with that of its table.
    pub(super) name: String,
    /// What it is hooked to; empty for one that is reached by jumps only.
    pub(super) hook: String,
    /// Lower ones come first at the same hook.
    pub(super) priority: i32,
    /// Rules that end the way of packets through it.
    pub(super) earlier: Earlier,
}

/// A line that sets a mark or ends the way of packets through its chain.
pub(super) struct Step {
    pub(super) chain: usize,
    /// The version of IP; 0 is both.
    pub(super) version: u8,
    /// The group of rules that it belongs to, and its own rule.
    pub(super) group: Option<(usize, MarkingRule)>,
    pub(super) taken: Taken,
    pub(super) ends: bool,
    /// Whether it is not known which packets it takes.
    pub(super) unread: bool,
}

/// All of them, in the order of the file.
#[derive(Default)]
pub(super) struct Steps {
    steps: Vec<Step>,
    more: bool,
}

/// Steps that are followed. Each is held against all before it.
const MAX_STEPS: usize = 4096;

impl Steps {
    pub(super) fn add(&mut self, step: Step) {
        match self.steps.len() {
            0..MAX_STEPS => self.steps.push(step),
            _ => self.more = true,
        }
    }

    /// Groups from this one on are no rules of the file: what sets their marks is reached in ways that are not known.
    pub(super) fn forget_groups(&mut self, from: usize) {
        for step in &mut self.steps {
            if step.group.as_ref().is_some_and(|(group, _)| *group >= from) {
                (step.group, step.unread) = (None, true);
            }
        }
    }

    /// The rules of these chains are gone.
    pub(super) fn forget_chains(&mut self, gone: impl Fn(usize) -> bool) {
        self.steps.retain(|step| !gone(step.chain));
    }

    /// What becomes of the marks of each group behind its rules.
    pub(super) fn caveats(&self, chains: &[Chain], groups: usize) -> BTreeSet<(usize, Told)> {
        let mut told = BTreeSet::new();
        for (at, chain) in chains.iter().enumerate() {
            let own = || self.steps.iter().filter(|step| step.chain == at);
            let mut later: Later<Key> = Later::default();
            for step in own() {
                meet(&mut later, step, step.ends, &mut told);
                set(&mut later, step);
            }
            // Who accepts a packet sends it to the next chain, not past it.
            let mut beyond: Later<Key> = Later::default();
            own().for_each(|step| set_always(&mut beyond, step));
            let behind = |step: &&Step| {
                chains.get(step.chain).is_some_and(|other| follows(other, chain, step.chain, at))
            };
            for step in
                self.steps.iter().filter(|step| !step.ends || step.taken.mark.is_some()).filter(behind)
            {
                meet(&mut beyond, step, false, &mut told);
            }
        }
        if self.more {
            let text = format!("and more than {MAX_STEPS} lines set marks: not all of them were followed");
            let caveat = Caveat::unknown(text, "check the tables one by one");
            told.extend((0..groups).map(|group| (group, Told::of(caveat.clone()))));
        }
        told
    }
}

/// The group, and the version of IP.
type Key = (usize, u8);

/// A caveat in a form that has an order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Told(Reach, String, String);

impl Told {
    fn of(caveat: Caveat) -> Told {
        Told(caveat.reach, caveat.text, caveat.fix)
    }

    pub(super) fn caveat(self) -> Caveat {
        Caveat { reach: self.0, text: self.1, fix: self.2 }
    }
}

fn set(later: &mut Later<Key>, step: &Step) {
    if !step.ends {
        set_always(later, step);
    }
}

fn set_always(later: &mut Later<Key>, step: &Step) {
    if let Some((group, rule)) = &step.group {
        later.set((*group, step.version), rule);
    }
}

fn meet(later: &mut Later<Key>, step: &Step, ends: bool, told: &mut BTreeSet<(usize, Told)>) {
    let same = |(_, version): &Key| *version == step.version || *version == 0 || step.version == 0;
    for ((group, _), caveat) in later.meet(&step.taken, ends, same) {
        let reach = if step.unread { Reach::Unknown } else { caveat.reach };
        told.insert((group, Told::of(Caveat { reach, ..caveat })));
    }
}

/// Whether packets that have passed one chain come to the other. What is reached by jumps may come at any time.
fn follows(other: &Chain, chain: &Chain, other_at: usize, at: usize) -> bool {
    match (chain.hook.as_str(), other.hook.as_str()) {
        _ if other_at == at => false,
        (_, "" | "?") => true,
        (a, b) if a == b => (other.priority, other_at) > (chain.priority, at),
        ("output" | "forward" | "prerouting", "postrouting") | ("prerouting", "forward") => true,
        _ => false,
    }
}

/// The number behind `priority`: `mangle`, `filter + 10`, `-150`.
pub(super) fn priority<'w>(words: impl Iterator<Item = &'w str>) -> i32 {
    let mut sum: i32 = 0;
    let mut sign = 1;
    for word in words.skip_while(|word| *word != "priority").skip(1) {
        match word {
            "+" => sign = 1,
            "-" => sign = -1,
            word => match named(word).or_else(|| word.parse().ok()) {
                Some(number) => sum = sum.saturating_add(number.saturating_mul(sign)),
                None => break,
            },
        }
    }
    sum
}

fn named(word: &str) -> Option<i32> {
    let names =
        [("raw", -300), ("mangle", -150), ("dstnat", -100), ("filter", 0), ("security", 50), ("srcnat", 100)];
    names.iter().find(|(name, _)| *name == word).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_names_and_sums() {
        let of = |text: &str| priority(text.split(' '));
        for (text, number) in [
            ("type filter hook output priority mangle", -150),
            ("type filter hook output priority filter + 10", 10),
            ("type filter hook output priority srcnat - 1", 99),
            ("type filter hook output priority -5", -5),
            ("type filter hook output", 0),
        ] {
            assert_eq!(of(text), number, "{text}");
        }
    }
}
