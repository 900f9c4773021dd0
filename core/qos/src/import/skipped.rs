//! Lines that a reader does not understand: each is named with its place, in groups where there are many.

use super::Note;

/// Lines that are shown with their text.
const SHOWN: usize = 10;
/// Longest text that is shown, in characters.
const LONGEST: usize = 60;
/// Most groups of lines that are listed.
const GROUPS: usize = 100;

/// What was not understood, in the order of lines.
#[derive(Default)]
pub(super) struct Skipped(Vec<(u32, String)>);

impl Skipped {
    /// A line, or a part of one.
    pub(super) fn add(&mut self, line: u32, text: &str) {
        let shown =
            if self.0.len() < SHOWN { text.trim().chars().take(LONGEST).collect() } else { String::new() };
        self.0.push((line, shown));
    }

    /// A note for each of the first, one for all that follow.
    pub(super) fn notes(self) -> Vec<Note> {
        let shown = self.0.len().min(SHOWN);
        let note = |(line, text): &(u32, String)| Note {
            place: format!("line {line}"),
            text: format!("`{text}` is not understood: passed over"),
        };
        let mut notes: Vec<Note> = self.0.iter().take(shown).map(note).collect();
        let more: Vec<u32> = self.0.iter().skip(shown).map(|(line, _)| *line).collect();
        if !more.is_empty() {
            notes.push(Note {
                place: places(&more),
                text: "are not understood either: passed over".to_owned(),
            });
        }
        notes
    }
}

/// `lines 3-7, 9`.
fn places(lines: &[u32]) -> String {
    let mut groups: Vec<(u32, u32)> = Vec::new();
    for line in lines {
        match groups.last_mut() {
            Some((_, last)) if *line <= last.saturating_add(1) => *last = *line,
            _ => groups.push((*line, *line)),
        }
    }
    let text = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    let listed: Vec<String> = groups.iter().take(GROUPS).map(text).collect();
    let rest = if groups.len() > GROUPS { " and more" } else { "" };
    format!("lines {}{rest}", listed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_lines_are_grouped_and_none_is_left_out() {
        let mut skipped = Skipped::default();
        for line in (1..=10).chain([12, 13, 14, 20]) {
            skipped.add(line, &format!("  word {line} "));
        }
        let notes: Vec<String> = skipped.notes().iter().map(ToString::to_string).collect();
        assert_eq!(notes.len(), 11);
        assert_eq!(notes[0], "line 1: `word 1` is not understood: passed over");
        assert_eq!(notes[10], "lines 12-14, 20: are not understood either: passed over");
    }
}
