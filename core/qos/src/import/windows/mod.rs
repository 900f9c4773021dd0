//! Windows: `.reg`, `Registry.pol`, what `Get-NetQosPolicy` prints, scripts with its cmdlets, and what MDM distributes.
//!
//! What Windows itself would skip is a rule that reaches nothing; what marks nothing is passed over and noted; what
//! cannot be understood is an error.

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

use super::{Format, Note};

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

/// Errors of one file.
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
