//! Windows: `.reg`, `Registry.pol`, and what `Get-NetQosPolicy` prints.
//!
//! What Windows itself would skip or cannot mark by is passed over and noted; what cannot be understood is an error.

mod netqos;
mod pol;
mod policies;
mod registry;
mod text;

use super::{Format, Note};

pub(super) const FORMATS: &[Format] = &[registry::FORMAT, pol::FORMAT, netqos::FORMAT];

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
