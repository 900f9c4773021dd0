//! `carillon explain`: the words of findings and lints.

pub mod finding;

use std::io::Write;

use crate::answer::{Answer, Failure};
use crate::args::Explain;

/// Explains one name, or lists all.
pub fn run(what: &Explain, out: &mut dyn Write) -> Result<Answer, Failure> {
    match what {
        Explain::Finding { markdown: true, .. } => finding::markdown(out),
        Explain::Finding { name: None, json, .. } => finding::list(*json, out),
        Explain::Finding { name: Some(name), json, .. } => finding::one(name, *json, out),
        Explain::Lint { .. } => Ok(Answer::Unknown),
    }
}

/// The known name that looks most like the one given: few letters apart, or containing it.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (distance(name, known), known))
        .min()
        .filter(|(far, _)| *far <= 6)
        .map(|(_, known)| known)
}

/// How many letters must change (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut above: Vec<usize> = (0..=b.chars().count()).collect();
    for (row, left) in a.chars().enumerate() {
        let mut diagonal = row;
        let mut before = row + 1;
        for (over, right) in above.iter_mut().skip(1).zip(b.chars()) {
            let change = diagonal + usize::from(left != right);
            diagonal = *over;
            before = change.min(*over + 1).min(before + 1);
            *over = before;
        }
        if let Some(first) = above.first_mut() {
            *first = row + 1;
        }
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_changed_letters() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!((distance("", "abc"), distance("abc", ""), distance("abc", "abc")), (3, 3, 0));
    }

    #[test]
    fn a_slip_is_recognised_and_nonsense_is_not() {
        let known = ["rtcp-unmarked", "ipv6-unmarked", "wrong-mark"];
        assert_eq!(nearest("rctp-unmarked", known.into_iter()), Some("rtcp-unmarked"));
        assert_eq!(nearest("something else entirely", known.into_iter()), None);
    }
}
