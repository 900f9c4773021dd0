//! Makes the captures of `tests/captures/` anew: all of them, or those that are named.

use std::path::Path;

use carillon_interop::Result;
use carillon_interop::recording::{Description, captures_dir};
use carillon_interop::scenario::{ALL, Scenario};

fn main() -> Result<()> {
    let named: Vec<String> = std::env::args().skip(1).collect();
    if named.is_empty() {
        return ALL.iter().filter(|scenario| scenario.kept).try_for_each(record);
    }
    named.iter().try_for_each(|name| record(Scenario::named(name)?))
}

fn record(scenario: &Scenario) -> Result<()> {
    if let Some(obstacle) = scenario.obstacle() {
        return Err(format!("{}: {obstacle}", scenario.name).into());
    }
    let work = tempfile::tempdir()?;

    let recording = scenario.record(work.path())?;
    let directory = captures_dir();
    std::fs::copy(&recording.capture, directory.join(format!("{}.pcap", scenario.name)))?;
    enter(&directory.join("index.json"), recording.description)
}

/// Puts the description into the index in place of an older one.
fn enter(index: &Path, description: Description) -> Result<()> {
    let text = std::fs::read_to_string(index).unwrap_or_else(|_| "[]".to_owned());
    let mut entries: Vec<Description> = serde_json::from_str(&text)?;
    entries.retain(|entry| entry.name != description.name);
    entries.push(description);
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    std::fs::write(index, serde_json::to_string_pretty(&entries)? + "\n")?;
    Ok(())
}
