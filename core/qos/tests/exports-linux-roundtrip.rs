//! Plan to nftables to facts: what comes back are the rules of the role, for any legal plan and any names in it.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use carillon_qos::export::{File, Order, Target, rules};
use carillon_qos::import::{self, What};
use carillon_qos::plan::Scope;
use carillon_qos::{MarkingRule, Plan, PortRange, Protocol, Role};
use proptest::prelude::*;

type Packets = (Protocol, Option<PortRange>, Option<PortRange>, u8);

fn packets(rule: &MarkingRule) -> Packets {
    (rule.protocol, rule.source_ports, rule.destination_ports, rule.mark.value())
}

/// What nftables can say: without programs, and of two rules for the same packets the first.
fn expected(order: &Order<'_>, role: Role) -> Vec<Packets> {
    let mut expected: Vec<Packets> = Vec::new();
    for rule in rules::of_role(order, role).unwrap().iter().map(packets) {
        if !expected.iter().any(|(a, b, c, _)| (*a, *b, *c) == (rule.0, rule.1, rule.2)) {
            expected.push(rule);
        }
    }
    expected
}

fn read(file: &File) -> Vec<Packets> {
    let deployed = import::read(&file.path, &file.bytes)
        .unwrap_or_else(|errors| panic!("{errors:?}\n{}", String::from_utf8_lossy(&file.bytes)));
    let rule = |fact: import::Fact| match fact.what {
        What::Rule(rule) => packets(&rule),
        other => panic!("{other:?}"),
    };
    deployed.facts.into_iter().map(rule).collect()
}

fn same_after_loading(plan: &Plan, scope: Scope) {
    let order = Order { plan, scope };
    let files = match (Target::named("nftables").unwrap().make)(&order) {
        Ok(files) => files,
        Err(_) => return assert!(Role::ALL.iter().all(|role| expected(&order, *role).is_empty())),
    };
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Phone) {
        let expected = expected(&order, role);
        let file = files.iter().find(|file| file.path == format!("linux/marks-{role}.nft"));
        assert_eq!(file.map(read).unwrap_or_default(), expected, "{role}");
    }
}

#[test]
fn presets_come_back() {
    for preset in ["lync-kloud", "technet", "schertz-vvx", "teams", "cisco"] {
        same_after_loading(&Plan::preset(preset).unwrap(), Scope::default());
    }
}

fn range() -> impl Strategy<Value = String> {
    (1u16..60_000, 1u16..5_000).prop_map(|(start, count)| format!("{{ start = {start}, count = {count} }}"))
}

fn class(role: &'static str) -> impl Strategy<Value = String> {
    let classes = ["audio", "video", "sharing", "file-transfer"];
    prop::collection::vec(prop::option::of((range(), 0u8..64)), 4).prop_map(move |values| {
        let with = |(class, value): (&str, Option<(String, u8)>)| {
            value.map_or(String::new(), |(range, mark)| {
                format!("[roles.{role}.{class}]\nports = {range}\ndscp = {mark}\n")
            })
        };
        classes.into_iter().zip(values).map(with).collect()
    })
}

/// What somebody might try to get out of a file with.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,150}", "[\"'`$(){};#\\\\\n\r ]{1,20}"]
}

fn toml(text: &str) -> String {
    let escaped: String = text.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
    format!("\"{escaped}\"")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_legal_plan_comes_back(
        roles in (class("client"), class("conferencing"), class("mediation"), class("gateway")),
        signaling in prop::collection::vec(1u16.., 0..3),
        names in (name(), name(), name()),
    ) {
        let (title, program, site) = names;
        let text = format!(
            "name = {}\nenabled = true\n[classes]\nsignaling = 24\n[signaling]\nports = {signaling:?}\n\
             [clients]\nexecutables = [{}, \"b.exe\"]\n[edge]\nports = \"50000-59999\"\nmark-internal = true\n{}{}{}{}\
             [sites.{}]\nenabled = true\n",
            toml(&title), toml(&program), roles.0, roles.1, roles.2, roles.3, toml(&site)
        );
        if let Ok(plan) = Plan::from_toml(&text) {
            same_after_loading(&plan, Scope::default());
            same_after_loading(&plan, Scope { site: Some(site), service: None });
        }
    }
}
