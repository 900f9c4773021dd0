//! What Linux hosts, routers and firewalls get, byte by byte.
//!
//! `BLESS=1` writes the expected files anew; what changed is then read in the diff.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]
#![allow(clippy::disallowed_methods, reason = "what is expected lies in files")]

use std::path::Path;

use carillon_qos::Plan;
use carillon_qos::export::{File, Order, Target, Zone, firewall_between};
use carillon_qos::plan::Scope;

fn exported(target: &str, plan: &Plan) -> Vec<File> {
    let order = Order { plan, scope: Scope::default() };
    (Target::named(target).unwrap().make)(&order).unwrap()
}

fn compare(target: &str, preset: &str) {
    as_kept(&exported(target, &Plan::preset(preset).unwrap()), preset);
}

fn as_kept(files: &[File], folder: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exports").join(folder);
    for file in files {
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

fn between(preset: &str, zones: &str) -> Result<Vec<File>, String> {
    let (plan, zones) = (Plan::preset(preset).unwrap(), Zone::pair(zones)?);
    firewall_between(&Order { plan: &plan, scope: Scope::default() }, zones)
        .map_err(|unfit| unfit.to_string())
}

#[test]
fn rules_between_an_edge_and_the_front_end_are_as_kept() {
    as_kept(&between("lync-kloud", "edge-int,fe").unwrap(), "lync-kloud/between-edge-and-conferencing");
}

/// Every two of the plan's roles: the rows of the whole table that are between them, and no other.
#[test]
fn between_two_roles_are_the_rows_of_the_whole_table_that_name_both() {
    let rows = |files: &[File]| -> Vec<String> {
        let csv = files.iter().find(|file| file.path == "firewall/flows.csv").unwrap();
        String::from_utf8(csv.bytes.clone()).unwrap().lines().skip(1).map(str::to_owned).collect()
    };
    let all = rows(&exported("firewall", &Plan::preset("lync-kloud").unwrap()));
    let mut told = 0;
    for (at, one) in Zone::ALL.into_iter().enumerate() {
        for other in &Zone::ALL[at..] {
            let of = |row: &&String| {
                let begins = |from: Zone, to: Zone| row.starts_with(&format!("{from},{to},"));
                begins(one, *other) || begins(*other, one)
            };
            let expected: Vec<String> = all.iter().filter(of).cloned().collect();
            match between("lync-kloud", &format!("{one},{other}")) {
                Ok(files) => {
                    assert_eq!(rows(&files), expected, "{one},{other}");
                    told += expected.len();
                }
                Err(unfit) => assert!(
                    expected.is_empty()
                        && unfit.contains(&format!("nothing passes between {one} and {other}")),
                    "{unfit}"
                ),
            }
        }
    }
    assert_eq!(told, all.len());
}

#[test]
fn a_role_that_no_firewall_knows_is_told_with_those_that_it_does() {
    let roles = "client, conferencing, application, mediation, gateway, edge, edge-external, internet";
    assert_eq!(
        between("lync-kloud", "edge,fr").unwrap_err(),
        format!("there is no role `fr`; there are {roles}")
    );
    assert_eq!(
        between("lync-kloud", "edge").unwrap_err(),
        format!("write two roles with a comma: `edge,conferencing`; there are {roles}")
    );
    assert_eq!(between("lync-kloud", "Clients, Outside").unwrap_err().split(' ').next(), Some("by"));
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
