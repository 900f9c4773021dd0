//! A process that saves bindings and says so is killed (SIGKILL) in the middle of it: whatever it said it had saved is there.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use carillon_store::Store;
use support::{NOW, bind};

/// Names the store for the child.
const CHILD: &str = "CARILLON_TEST_STORE";

#[test]
fn every_binding_that_was_acknowledged_survives_kill_9() {
    if let Some(path) = std::env::var_os(CHILD) {
        return save_for_ever(Path::new(&path));
    }
    for acknowledged in [1, 50, 400] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("carillon.db");
        let heard = acknowledged_until_killed(&path, acknowledged);
        let there: Vec<String> = Store::open(&path)
            .unwrap()
            .load_bindings(NOW)
            .unwrap()
            .readable
            .into_iter()
            .map(|b| b.call_id.into_string())
            .collect();
        assert!(heard.len() >= acknowledged);
        for call_id in &heard {
            assert!(there.contains(call_id), "{call_id} was acknowledged, and {} are there", there.len());
        }
    }
}

/// Three bindings to a transaction, each told only after it.
fn save_for_ever(path: &Path) {
    let mut store = Store::open(path).unwrap();
    let mut out = std::io::stdout();
    for turn in 0.. {
        let changes: Vec<_> = (0..3).map(|n| bind("alice", turn * 3 + n)).collect();
        store.apply(&changes).unwrap();
        for n in 0..3 {
            writeln!(out, "saved call-{}@phone", turn * 3 + n).unwrap();
        }
        out.flush().unwrap();
    }
}

/// What the child had said when it was killed; at least so many lines.
fn acknowledged_until_killed(path: &Path, lines: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "every_binding_that_was_acknowledged_survives_kill_9", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut heard = Vec::new();
    let mut killed = false;
    for line in out.lines() {
        // The last line may be cut short by the kill; the harness's own lines are no answers.
        let line = line.unwrap();
        heard.extend(line.strip_prefix("saved ").filter(|id| id.ends_with("@phone")).map(str::to_owned));
        if heard.len() >= lines && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    heard
}
