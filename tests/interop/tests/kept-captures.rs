//! The captures in the repository: tshark and carillon agree, and clean ones are clean.

use std::collections::BTreeSet;
use std::path::PathBuf;

use carillon_interop::Result;
use carillon_interop::agreement::compare;
use carillon_interop::process::installed;
use carillon_interop::recording::{Description, captures_dir};
use carillon_interop::scenario::{ALL, required};
use carillon_interop::verdict::verify;

fn index() -> Result<Vec<Description>> {
    let text = std::fs::read_to_string(captures_dir().join("index.json"))?;
    Ok(serde_json::from_str(&text)?)
}

fn capture(description: &Description) -> PathBuf {
    captures_dir().join(format!("{}.pcap", description.name))
}

#[test]
fn the_index_names_exactly_the_kept_scenarios_and_their_captures() -> Result<()> {
    let index = index()?;
    let mut entered: Vec<&str> = index.iter().map(|description| description.name.as_str()).collect();
    let mut kept: Vec<&str> =
        ALL.iter().filter(|scenario| scenario.kept).map(|scenario| scenario.name).collect();
    entered.sort_unstable();
    kept.sort_unstable();
    assert_eq!(entered, kept);
    for description in &index {
        let size = std::fs::metadata(capture(description))?.len();
        assert!(size > 10_000 && size < 150_000, "{}: {size} bytes", description.name);
        assert!(captures_dir().join("plans").join(&description.plan).is_file());
    }
    Ok(())
}

#[test]
fn the_clean_captures_come_from_at_least_five_different_programs() -> Result<()> {
    let index = index()?;
    let clean = index.iter().filter(|description| description.clean);
    let programs: BTreeSet<&str> = clean.map(|d| d.programs[0].name.as_str()).collect();
    assert!(programs.len() >= 5, "{programs:?}");
    Ok(())
}

#[test]
fn tshark_and_carillon_agree_on_every_kept_capture() -> Result<()> {
    if !installed("tshark") {
        assert!(!required(), "tshark is not installed");
        println!("skipped: tshark is not installed");
        return Ok(());
    }
    let mut found = Vec::new();
    for description in index()? {
        let (disagreements, _) = compare(&capture(&description), &description)?;
        found.extend(disagreements.into_iter().map(|text| format!("{}: {text}", description.name)));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

#[test]
fn every_clean_capture_passes_without_a_finding() -> Result<()> {
    let plans = captures_dir().join("plans");
    for description in index()?.iter().filter(|description| description.clean) {
        let report = verify(&capture(description), &plans.join(&description.plan))?;
        assert_eq!(report.verdict, "pass", "{}: {:#?}", description.name, report.findings);
        let blame: Vec<_> = report.findings.iter().filter(|finding| finding.severity != "advice").collect();
        assert!(blame.is_empty(), "{}: {blame:#?}", description.name);
    }
    Ok(())
}
