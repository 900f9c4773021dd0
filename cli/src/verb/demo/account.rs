//! What the demo leaves behind: the acts as JSON, the last call as a capture and a page.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::act::Seen;
use crate::answer::Failure;

/// `verdict.json`.
#[derive(Serialize)]
struct Account<'a> {
    /// Green, red with the right causes, and green again were really seen.
    passed: bool,
    seconds: f64,
    acts: &'a [Seen],
    /// What could not be shown here, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_shown: Option<&'a str>,
}

/// Writes the acts.
pub(super) fn write(
    file: &Path,
    acts: &[Seen],
    elapsed: Duration,
    not_shown: Option<&str>,
) -> Result<(), Failure> {
    let passed = acts.iter().all(|seen| seen.right);
    let account = Account { passed, seconds: elapsed.as_secs_f64(), acts, not_shown };
    let text = serde_json::to_string_pretty(&account)?;
    fs::write(file, text + "\n")
        .map_err(|error| Failure::new(format!("cannot write `{}`", file.display()), error))
}
