//! Catalyst switches with `mls qos`: which marks share an output queue, and which are changed by a mutation map.

use std::collections::BTreeMap;

use super::decimal_mark;
use crate::import::{Fact, Mark, What};

/// What the maps of a file say.
#[derive(Default)]
pub(super) struct Maps {
    /// By mark: the queue and the line.
    queues: BTreeMap<Mark, (u8, usize)>,
    mutations: Vec<Fact>,
}

/// Highest number of a queue.
const MAX_QUEUE: u8 = 15;

impl Maps {
    /// A line behind `mls qos` or `qos`; what is to be said of it, if it is about marks and not read.
    pub(super) fn line(&mut self, number: usize, words: &[&str]) -> Result<Option<String>, String> {
        match words {
            ["srr-queue", "output", "dscp-map", "queue", queue, "threshold", _, marks @ ..]
            | ["srr-queue", "output", "dscp-map", "queue", queue, marks @ ..] => {
                self.queue(number, queue, marks)?
            }
            ["map", "dscp" | "dscp-queue", rest @ ..] => match rest {
                [marks @ .., "to", "tx-queue" | "queue", queue] | [marks @ .., "to", queue] => {
                    self.queue(number, queue, marks)?;
                }
                _ => return Err("a map of marks without `to` and a queue".to_owned()),
            },
            ["map", "dscp-mutation", name, from @ .., "to", to] => {
                let (from, to) = (marks(from)?, Mark(decimal_mark(to)?));
                let from: Vec<Mark> = from.into_iter().filter(|mark| *mark != to).collect();
                let by = format!("dscp-mutation {name}");
                if !from.is_empty() {
                    self.mutations.push(Fact::new(format!("line {number}"), What::Remarked { from, to, by }));
                }
            }
            ["map", what, ..] if what.contains("dscp") => {
                return Ok(Some(format!("the map {what} is not read: it says nothing of queues")));
            }
            _ => {}
        }
        Ok(None)
    }

    fn queue(&mut self, number: usize, queue: &str, words: &[&str]) -> Result<(), String> {
        let queue = queue.parse().ok().filter(|queue| *queue <= MAX_QUEUE);
        let queue = queue.ok_or_else(|| "names no queue from 0 to 15".to_owned())?;
        for mark in marks(words)? {
            self.queues.insert(mark, (queue, number));
        }
        Ok(())
    }

    /// The marks of each queue that the file names. Where no line has put a mark, the switch has its own map.
    pub(super) fn facts(self) -> Vec<Fact> {
        let mut by_queue: BTreeMap<u8, (Vec<Mark>, Vec<usize>)> = BTreeMap::new();
        for (mark, (queue, line)) in self.queues {
            let (marks, lines) = by_queue.entry(queue).or_default();
            marks.push(mark);
            lines.push(line);
        }
        let fact = |(queue, (marks, mut lines)): (u8, (Vec<Mark>, Vec<usize>))| {
            lines.sort_unstable();
            lines.dedup();
            let texts: Vec<String> = lines.iter().map(usize::to_string).collect();
            let what = What::Queue { name: format!("output queue {queue}"), marks };
            Fact::new(format!("line{} {}", if lines.len() == 1 { "" } else { "s" }, texts.join(", ")), what)
        };
        by_queue.into_iter().map(fact).chain(self.mutations).collect()
    }
}

fn marks(words: &[&str]) -> Result<Vec<Mark>, String> {
    let mark = |word: &&str| -> Result<Mark, String> { decimal_mark(word).map(Mark) };
    let marks: Result<Vec<Mark>, String> = words.iter().map(mark).collect();
    marks.and_then(|marks| if marks.is_empty() { Err("names no mark".to_owned()) } else { Ok(marks) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_wire::ip::Dscp;

    #[test]
    fn the_queue_of_a_mark_is_read_in_three_spellings() {
        let mut maps = Maps::default();
        for (number, line) in [
            "srr-queue output dscp-map queue 1 threshold 3 32 40 46",
            "map dscp-queue 34 36 to 1",
            "map dscp 24 to tx-queue 3",
            "map dscp-mutation X 46 40 to 40",
        ]
        .iter()
        .enumerate()
        {
            assert_eq!(maps.line(number + 1, &line.split(' ').collect::<Vec<_>>()), Ok(None), "{line}");
        }
        let facts = maps.facts();
        let What::Queue { name, marks } = &facts[0].what else { panic!("{facts:?}") };
        assert_eq!(
            (name.as_str(), marks.len(), facts[0].place.as_str()),
            ("output queue 1", 5, "lines 1, 2")
        );
        assert!(
            matches!(&facts[2].what, What::Remarked { from, to, .. } if from.len() == 1 && to.0.value() == 40)
        );
        assert_eq!(Dscp::EF.value(), 46);
        let mut maps = Maps::default();
        assert!(maps.line(1, &["map", "dscp-cos", "46", "to", "5"]).unwrap().is_some());
        assert!(maps.line(1, &["srr-queue", "output", "dscp-map", "queue", "99", "46"]).is_err());
    }
}
