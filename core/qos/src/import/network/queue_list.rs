//! A switch's table of queues, copied from its web page: a mark and a queue on each line.

use super::{Outcome, outcome, text};
use crate::dscp;
use crate::import::{Fact, Note, Read, What};
use crate::plan::QueueMap;

/// The first line that says anything is a mark and a queue, or their headline.
pub(super) fn recognise(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(4096)).unwrap_or(bytes);
    let head = String::from_utf8_lossy(head);
    let Some(line) = head.lines().find(|line| !words(line).is_empty()) else { return false };
    is_headline(line)
        || matches!(words(line).as_slice(), [mark, queue] if dscp::parse(mark).is_ok() && queue.parse::<u8>().is_ok())
}

pub(super) fn read(bytes: &[u8]) -> Outcome {
    let text = text(bytes)?;
    // A headline becomes a comment, so that lines keep their numbers.
    let list: String = text
        .lines()
        .map(|line| if is_headline(line) { "#\n".to_owned() } else { format!("{line}\n") })
        .collect();
    match QueueMap::from_list(&list) {
        Ok(map) => {
            let what = What::Queues(map);
            Ok(Read { facts: vec![Fact::new("whole file".to_owned(), what)], notes: Vec::new() })
        }
        Err(wrong) => outcome(Read::default(), wrong.iter().map(|text| split(text)).collect()),
    }
}

fn words(line: &str) -> Vec<&str> {
    let content = line.split('#').next().unwrap_or("");
    content
        .split(|c: char| c.is_whitespace() || "=:,;>".contains(c))
        .filter(|word| !word.is_empty() && *word != "-")
        .collect()
}

fn is_headline(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    matches!(words(&line).as_slice(), ["dscp" | "mark", .., "queue"] | ["ip", "dscp", "queue"])
}

fn split(text: &str) -> Note {
    let (place, text) = text.split_once(": ").unwrap_or(("file", text));
    Note { place: place.to_owned(), text: text.to_owned() }
}
