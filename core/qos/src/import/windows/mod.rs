//! Windows: `.reg`, `Registry.pol`, what `Get-NetQosPolicy` prints, scripts with its cmdlets, and what MDM distributes.
//!
//! What Windows itself would skip is a rule that reaches nothing; what marks nothing is passed over and noted; what
//! cannot be understood in one policy is told where it stands, and the others count; a broken file is an error.

mod listed;
mod mdm;
mod netqos;
mod pol;
mod policies;
mod program;
mod registry;
mod script;
mod table;
pub(super) mod text;

use super::{Fact, Format, Note, What};

pub(super) const FORMATS: &[Format] = &[
    registry::FORMAT,
    pol::FORMAT,
    mdm::JSON,
    mdm::CSV,
    mdm::SYNCML,
    script::FORMAT,
    netqos::FORMAT,
    table::FORMAT,
];

/// After so many errors a file is given up: what follows a broken place seldom means anything.
const MOST_ERRORS: usize = 100;

/// A policy that cannot be read: which packets it takes and how it marks them is unknown.
fn unread(place: &str, name: &str, errors: &Errors) -> Fact {
    let what = if name.is_empty() { "a policy".to_owned() } else { format!("policy `{name}`") };
    // Each begins with the policy's name, which is said before all of them.
    let bare = |note: &Note| {
        note.text.strip_prefix(&what).and_then(|text| text.strip_prefix(": ")).map(str::to_owned)
    };
    let why =
        errors.0.iter().map(|note| format!("{}: {}", note.place, bare(note).unwrap_or(note.text.clone())));
    let why: Vec<String> = why.collect();
    let fix = "correct it, or remove it".to_owned();
    Fact::new(place, What::Unread { role: None, what, why: why.join("; "), fix })
}

/// Errors of one file, or of one policy.
#[derive(Default)]
struct Errors(Vec<Note>);

impl Errors {
    fn add(&mut self, place: impl Into<String>, text: impl Into<String>) {
        match self.0.len() {
            MOST_ERRORS => {}
            last if last + 1 == MOST_ERRORS => {
                self.0.push(Note { place: place.into(), text: "and more; correct these first".to_owned() });
            }
            _ => self.0.push(Note { place: place.into(), text: text.into() }),
        }
    }

    fn full(&self) -> bool {
        self.0.len() >= MOST_ERRORS
    }
}
