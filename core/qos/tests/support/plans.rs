//! Random plans that give every role rules, with names that end strings somewhere.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file takes what it needs")]

use carillon_qos::export::{File, Order, Target};
use carillon_qos::import::{self, Deployed};
use carillon_qos::plan::Scope;
use carillon_qos::{Plan, Role, TrafficClass};
use proptest::prelude::*;

/// A plan in force.
pub fn plans() -> impl Strategy<Value = Plan> {
    let roles = prop::collection::btree_map((0..Role::ALL.len(), 0..4usize), class(), 4..16);
    (roles, signaling(), programs(), name()).prop_map(|(roles, signaling, programs, name)| {
        let mut text = format!("name = {name:?}\n");
        for ((role, class), body) in roles {
            text += &format!("[roles.{}.{}]\n{body}", Role::ALL[role], TrafficClass::MEDIA[class]);
        }
        text += &format!("[roles.client.signaling]\n{signaling}\n");
        let programs: Vec<String> = programs.iter().map(|name| format!("{name:?}")).collect();
        text += &format!("[clients]\nexecutables = [{}]\n", programs.join(", "));
        Plan::from_toml(&text).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
    })
}

fn class() -> impl Strategy<Value = String> {
    let end = prop_oneof![Just(0u16), Just(1), Just(7)];
    (1u16..60_000, 0u16..5_000, end, 0u8..64).prop_map(|(start, more, printed, mark)| {
        let end = start + more;
        let printed =
            if printed == 0 { String::new() } else { format!("documented-end = {}\n", end + printed) };
        format!("ports = \"{start}-{end}\"\n{printed}dscp = {mark}\n")
    })
}

fn signaling() -> impl Strategy<Value = String> {
    let ports = prop::collection::vec((5060u16..5070, 0u16..3), 1..4);
    (0u8..64, ports).prop_map(|(mark, ports)| {
        let ports: Vec<String> =
            ports.iter().map(|(port, more)| format!("\"{port}-{}\"", port + more)).collect();
        format!("dscp = {mark}\n[signaling]\nports = [{}]", ports.join(", "))
    })
}

fn programs() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set(prop_oneof!["[a-z]{1,8}", hostile()], 0..4)
        .prop_map(|names| names.into_iter().map(|name| format!("{name}.exe")).collect())
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}", hostile()]
}

/// What means something in PowerShell, XML, CSV, `.reg` or a shell, and what is not ASCII; no control characters.
fn hostile() -> impl Strategy<Value = String> {
    "[a-z'`$(){};&%#@!,\\[\\]\u{2019}\u{201c}\u{2013}üß漢😀][a-z '`$(){};&\\[\\]\u{2019}ü😀]{0,11}"
}

/// The files of a target, global values.
pub fn export(plan: &Plan, target: &str) -> Vec<File> {
    let order = Order { plan, scope: Scope::default() };
    (Target::named(target).unwrap().make)(&order).unwrap_or_default()
}

/// What the installing files of a target say when read back.
pub fn read_back(plan: &Plan, target: &str) -> Vec<Deployed> {
    let files = export(plan, target);
    let install = files.iter().filter(|file| !file.path.contains("remove") && !file.path.contains("nla"));
    install
        .map(|file| import::read(&file.path, &file.bytes).unwrap_or_else(|notes| panic!("{notes:?}")))
        .collect()
}

/// Whether a target refuses the plan.
pub fn unfit(plan: &Plan, target: &str) -> bool {
    let order = Order { plan, scope: Scope::default() };
    (Target::named(target).unwrap().make)(&order).is_err()
}
