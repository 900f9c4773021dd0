//! Replays every committed input, and keeps the three lists of targets equal: functions, corpora, programs.
#![allow(clippy::unwrap_used)]

use carillon_fuzz::TARGETS;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const MOST_FILES: usize = 60;
const MOST_BYTES: u64 = 4096;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("read {}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn every_target_has_a_function_a_corpus_and_a_program() {
    let functions: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names_in(&folder("corpora")), functions);
    assert_eq!(names_in(&folder("fuzzer/fuzz_targets")), functions);
    let manifest = fs::read_to_string(folder("fuzzer/Cargo.toml")).unwrap();
    for name in &functions {
        let program = folder("fuzzer/fuzz_targets").join(format!("{name}.rs"));
        let source = fs::read_to_string(program).unwrap();
        assert!(source.contains(&format!("carillon_fuzz::{name}(data)")), "{name} runs another target");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in fuzzer/Cargo.toml");
    }
}

#[test]
fn every_committed_input_holds() {
    for (name, target) in TARGETS {
        let files: Vec<PathBuf> =
            fs::read_dir(folder("corpora").join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!((1..=MOST_FILES).contains(&files.len()), "{name}: {} files", files.len());
        for file in files {
            assert!(fs::metadata(&file).unwrap().len() < MOST_BYTES, "{} is too long", file.display());
            let data = fs::read(&file).unwrap();
            let outcome = std::panic::catch_unwind(|| target(&data));
            assert!(outcome.is_ok(), "{} breaks {name}", file.display());
        }
    }
}

/// Every committed input, cut at up to 8 places.
#[test]
fn every_committed_input_holds_when_cut() {
    for (name, target) in TARGETS {
        for file in fs::read_dir(folder("corpora").join(name)).unwrap() {
            let data = fs::read(file.unwrap().path()).unwrap();
            (0..data.len()).step_by(1 + data.len() / 8).for_each(|len| target(&data[..len]));
        }
    }
}
