//! Why a plan was refused, and the nearest word to a misspelt one.

use serde::Serialize;

/// One thing that is wrong with a plan file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Problem {
    /// Line, from 1.
    pub line: u32,
    /// Where in the plan: `roles.client.audio.ports`; empty for the file as a whole.
    pub path: String,
    /// What is wrong, and what would be right.
    pub text: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "line {}: {}", self.line, self.text),
            path => write!(f, "line {}: {}: {}", self.line, path, self.text),
        }
    }
}

impl std::error::Error for Problem {}

/// `; did you mean …?` with the known word nearest to `word`, or the list of them if none is near.
pub(super) fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => {
            let words: Vec<&str> = known.into_iter().collect();
            format!("; known are {}", words.join(", "))
        }
    }
}

/// The known word within a third of the letters of `word`.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: String = word.chars().take(64).collect::<String>().to_lowercase().replace('_', "-");
    known
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + replace);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 4] = ["ports", "dscp", "source", "documented-end"];

    #[test]
    fn the_nearest_word_is_named() {
        assert_eq!(nearest("prots", KEYS), Some("ports"));
        assert_eq!(nearest("DSPC", KEYS), Some("dscp"));
        assert_eq!(nearest("documented_end", KEYS), Some("documented-end"));
    }

    #[test]
    fn a_far_word_gets_the_whole_list() {
        assert_eq!(suggest("colour", KEYS), "; known are ports, dscp, source, documented-end");
    }

    #[test]
    fn a_swap_of_neighbours_counts_once() {
        assert_eq!(distance("audoi", "audio"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
