//! What Linux hosts, routers and firewalls get, byte by byte.
//!
//! `BLESS=1` writes the expected files anew; what changed is then read in the diff.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::path::Path;

use carillon_qos::Plan;
use carillon_qos::export::{File, Order, Target};
use carillon_qos::plan::Scope;

fn exported(target: &str, plan: &Plan) -> Vec<File> {
    let order = Order { plan, scope: Scope::default() };
    (Target::named(target).unwrap().make)(&order).unwrap()
}

fn compare(target: &str, preset: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exports").join(preset);
    let files = exported(target, &Plan::preset(preset).unwrap());
    for file in &files {
        let path = root.join(&file.path);
        if std::env::var_os("BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &file.bytes).unwrap();
        }
        let expected = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(String::from_utf8_lossy(&file.bytes), String::from_utf8_lossy(&expected), "{}", file.path);
    }
}

#[test]
fn marks_are_as_kept() {
    compare("nftables", "lync-kloud");
}

#[test]
fn queues_are_as_kept() {
    compare("tc", "lync-kloud");
}

#[test]
fn firewall_rules_are_as_kept() {
    compare("firewall", "lync-kloud");
}
