//! What people need to know about an exported file. Where it is shown is not decided here.

use serde::Serialize;

/// How to handle one exported file. Texts are plain; what is typed stands in backticks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Guide {
    /// What it is for, and on which systems it works.
    pub purpose: String,
    /// How to install it, step by step.
    pub install: Vec<String>,
    /// How to take it back.
    pub roll_back: Vec<String>,
    /// How to see that it works.
    pub check: Vec<String>,
    /// What the device cannot do, and what was not tried.
    pub limits: Vec<String>,
}
