//! What is deployed, compared with the plan, rule by rule: match, missing, different, extra, and the fix.

use serde::Serialize;

/// How a rule of the plan and what is deployed stand to each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As planned.
    Match,
    /// Planned, not deployed.
    Missing,
    /// Deployed otherwise than planned.
    Different,
    /// Deployed, not planned.
    Extra,
}

/// One line of the comparison.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Line {
    /// How it stands.
    pub state: State,
    /// The file that says it; empty for what is missing everywhere.
    pub source: String,
    /// Where in the file.
    pub place: String,
    /// The rule or setting.
    pub what: String,
    /// What the plan wants.
    pub planned: Option<String>,
    /// What is deployed.
    pub deployed: Option<String>,
    /// What to do; `None` for a match.
    pub fix: Option<String>,
}
