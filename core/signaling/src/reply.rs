//! What a part of the Front End answers; the transaction layer makes a response of it.

use carillon_wire::sip::Answer;

/// A final answer with the fields and the body that it carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) fields: Vec<(&'static str, String)>,
    /// Content type and body.
    pub(crate) body: Option<(&'static str, String)>,
}

impl Reply {
    pub(crate) const fn new(code: u16, reason: &'static str) -> Reply {
        Reply { answer: Answer { code, reason }, fields: Vec::new(), body: None }
    }

    pub(crate) fn field(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.fields.push((name, value.into()));
        self
    }
}
