//! A switch's table from mark to hardware queue, and which marks it throws together.
//!
//! Sources: the switch's own page (one line per mark), or `[queues]` in a plan.

use std::collections::BTreeSet;

use carillon_wire::ip::Dscp;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::section::{Reader, Section};
use crate::dscp;

/// The queue of each of the 64 marks. A higher queue is served first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueMap {
    queues: [u8; 64],
}

/// Highest queue number that hardware in the field has.
const MAX_QUEUE: u8 = 15;

impl QueueMap {
    /// Names that `queues.preset` takes.
    pub const PRESETS: [&'static str; 2] = ["netgear-gs110tp", "class-selector-8"];

    /// The default map of a device. The NetGear GS110TP has four queues and puts EF and AF41 into the
    /// same one (the phone article's table; the rest follows its rule of 16 marks per queue, unverified);
    /// `class-selector-8` is eight queues by the upper three bits, as 802.1p equipment does.
    pub fn preset(name: &str) -> Option<QueueMap> {
        match name {
            "netgear-gs110tp" => Some(QueueMap::by(|mark| mark / 16)),
            "class-selector-8" => Some(QueueMap::by(|mark| mark / 8)),
            _ => None,
        }
    }

    /// Every mark in one queue.
    pub fn uniform(queue: u8) -> QueueMap {
        QueueMap { queues: [queue; 64] }
    }

    /// Reads a list: a mark and a queue per line, between them blanks, `=`, `:` or `->`; `#` begins a
    /// comment; marks not listed are in queue 0. The error names every line that is neither.
    pub fn from_list(text: &str) -> Result<QueueMap, Vec<String>> {
        let mut map = QueueMap::uniform(0);
        let mut wrong = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let content = line.split('#').next().unwrap_or("");
            let words: Vec<&str> = content
                .split(|c: char| c.is_whitespace() || "=:,>".contains(c))
                .map(|word| word.trim_end_matches('-'))
                .filter(|word| !word.is_empty())
                .collect();
            match words.as_slice() {
                [] => {}
                [mark, queue] => match (dscp::parse(mark), queue.parse::<u8>()) {
                    (Ok(mark), Ok(queue)) if queue <= MAX_QUEUE => map.set(mark, queue),
                    (Err(error), _) => wrong.push(format!("line {}: {error}", number + 1)),
                    _ => wrong.push(format!("line {}: {queue:?} is no queue (0 to {MAX_QUEUE})", number + 1)),
                },
                _ => wrong.push(format!("line {}: expected a mark and a queue, as in \"EF 3\"", number + 1)),
            }
        }
        if wrong.is_empty() { Ok(map) } else { Err(wrong) }
    }

    /// The queue of a mark.
    pub fn queue(&self, mark: Dscp) -> u8 {
        self.queues.get(usize::from(mark.value())).copied().unwrap_or(0)
    }

    /// Puts a mark into a queue.
    pub fn set(&mut self, mark: Dscp, queue: u8) {
        if let Some(slot) = self.queues.get_mut(usize::from(mark.value())) {
            *slot = queue;
        }
    }

    /// The queue that both marks share, if they do.
    pub fn shared(&self, a: Dscp, b: Dscp) -> Option<u8> {
        (self.queue(a) == self.queue(b)).then(|| self.queue(a))
    }

    /// The queue that most marks are in (the lowest of them), and the marks that are elsewhere.
    pub fn exceptions(&self) -> (u8, Vec<(Dscp, u8)>) {
        let count = |queue: u8| self.queues.iter().filter(|q| **q == queue).count();
        let mut usual = 0;
        for queue in 1..=MAX_QUEUE {
            if count(queue) > count(usual) {
                usual = queue;
            }
        }
        let marks = (0..64).filter_map(Dscp::new);
        (usual, marks.map(|mark| (mark, self.queue(mark))).filter(|(_, queue)| *queue != usual).collect())
    }

    fn by(queue: fn(u8) -> u8) -> QueueMap {
        let mut map = QueueMap::uniform(0);
        for mark in (0..64).filter_map(Dscp::new) {
            map.set(mark, queue(mark.value()));
        }
        map
    }
}

impl Serialize for QueueMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(64))?;
        for mark in (0..64).filter_map(Dscp::new) {
            map.serialize_entry(&mark.value().to_string(), &self.queue(mark))?;
        }
        map.end()
    }
}

/// `[queues]`: `preset`, `other` (the queue of marks not named), and a queue per mark.
pub(super) fn from_section(section: &Section<'_>, reader: &mut Reader) -> Option<QueueMap> {
    let mut map = QueueMap::uniform(0);
    if let Some(preset) = section.string(reader, "preset") {
        match QueueMap::preset(&preset.value) {
            Some(known) => map = known,
            None => {
                let hint = super::problem::suggest(&preset.value, QueueMap::PRESETS);
                let text = format!("unknown queue map {:?}{hint}", preset.value);
                reader.complain(preset.line, &format!("{}.preset", section.path), text);
            }
        }
    }
    let queue_of = |field: &super::section::Field<'_>, reader: &mut Reader| {
        field.integer(reader, "a queue from 0 to 15", u32::from(MAX_QUEUE)).map(|queue| queue as u8)
    };
    if let Some(field) = section.field(reader, "other") {
        if section.field(reader, "preset").is_some() {
            reader.complain(field.line, &field.path, "either `preset` or `other`, not both");
        }
        map = QueueMap::uniform(queue_of(&field, reader)?);
    }
    let mut named = BTreeSet::new();
    for (name, field) in section.fields(reader) {
        match (name, dscp::parse(name)) {
            ("preset" | "other" | "source", _) => {}
            (_, Ok(mark)) if named.insert(mark) => {
                if let Some(queue) = queue_of(&field, reader) {
                    map.set(mark, queue);
                }
            }
            (_, Ok(mark)) => {
                let text = format!("{} is named twice", dscp::label(mark));
                reader.complain(field.line, &field.path, text);
            }
            (_, Err(error)) => reader.complain(field.line, &field.path, error.to_string()),
        }
    }
    Some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(text: &str) -> Dscp {
        dscp::parse(text).unwrap()
    }

    #[test]
    fn the_netgear_default_puts_voice_and_video_together() {
        let map = QueueMap::preset("netgear-gs110tp").unwrap();
        assert_eq!([24, 34, 46].map(|m| map.queue(Dscp::new(m).unwrap())), [1, 2, 2]);
        assert_eq!(map.shared(Dscp::EF, mark("AF41")), Some(2));
        assert_eq!(map.shared(Dscp::EF, mark("CS3")), None);
    }

    #[test]
    fn a_list_is_read_in_the_ways_people_write_it() {
        let map = QueueMap::from_list("46 3\nAF41=2 # video\n\nCS3: 1\n101000 -> 2\n").unwrap();
        assert_eq!(["EF", "AF41", "CS3", "CS5", "0"].map(|m| map.queue(mark(m))), [3, 2, 1, 2, 0]);
    }

    #[test]
    fn every_wrong_line_of_a_list_is_named() {
        let wrong = QueueMap::from_list("46 3\nAF44 1\n46\nEF 16\n").unwrap_err();
        assert_eq!(wrong.len(), 3);
        assert!(wrong[0].starts_with("line 2") && wrong[1].starts_with("line 3") && wrong[2].contains("16"));
    }
}
