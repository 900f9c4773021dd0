//! What Linux hosts, routers and firewalls get, byte by byte.
//!
//! `BLESS=1` writes the expected files anew; what changed is then read in the diff.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]
#![allow(clippy::disallowed_methods, reason = "what is expected lies in files")]

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

/// Ports that are open between clients, and from the Internet to the Edge by each reading.
fn totals(preset: &str) -> Vec<u32> {
    let files = exported("firewall", &Plan::preset(preset).unwrap());
    let table = files.iter().find(|file| file.path == "firewall/flows.md").unwrap();
    let text = String::from_utf8(table.bytes.clone()).unwrap();
    let totals = text.split("## From").next().unwrap().lines().filter(|line| line.starts_with('|'));
    totals.filter_map(|line| line.trim_end_matches(" |").rsplit(' ').next()?.parse().ok()).collect()
}

#[test]
fn a_firewall_opens_no_more_between_clients_than_the_plan_has() {
    assert_eq!(totals("technet"), [80, 4, 20004]);
    assert_eq!(totals("schertz-vvx"), [100, 4, 20004]);
    assert_eq!(totals("teams"), [60]);
    assert_eq!(totals("lync-kloud"), [160, 4, 20004]);
}

#[test]
fn a_plan_by_which_clients_use_any_port_opens_nothing() {
    for preset in ["lync", "rfc8837"] {
        let plan = Plan::preset(preset).unwrap();
        let order = Order { plan: &plan, scope: Scope::default() };
        let unfit = (Target::named("firewall").unwrap().make)(&order).unwrap_err();
        assert!(unfit.to_string().contains("any port"), "{unfit}");
    }
}

#[test]
fn a_plan_that_is_not_in_force_is_not_exported() {
    let plan = Plan::preset("lync").unwrap();
    let order = Order { plan: &plan, scope: Scope::default() };
    for target in ["nftables", "tc", "firewall"] {
        assert!((Target::named(target).unwrap().make)(&order).is_err(), "{target}");
    }
}
