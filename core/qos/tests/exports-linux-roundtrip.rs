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

/// A file that damage is done to: a rule set, or a paste with its typical faults.
const FILES: [&str; 2] = [
    "define v = 20040-20079\ntable inet t {\n set s { type inet_service; elements = { 1, 2-3 } }\n chain c {\n\
     type filter hook output priority 0; policy accept;\n meta l4proto { tcp, udp } th sport @s ip dscp set ef\n\
     udp dport { $v, 5004 } ip6 dscp set 0x22 comment \"x\"\n }\n}\nadd rule inet t c tcp dport 5061 ip dscp set cs3\n",
    "Identity : Site:X\nClientAudioPort : 5350\nClientAudioPortRange : 40\n\nPS C:\\> Set-CsConferenceServer \u{2013}Identity:\"a b\" `\n\
     - AudioPortStart 1 -AudioPortCount 2\n-VideoPortStart 3\nGet-CsService | % { Set-CsEdgeServer -Media 'x }\n",
];

proptest! {
    #[test]
    fn no_damage_to_a_file_panics(
        file in 0..FILES.len(),
        at in 0usize..600,
        without in 0usize..40,
        with in "[\\-{}\"'`#;:,@$|\u{2013}\u{201d} \n0-9a-z]{0,6}",
    ) {
        let text = FILES[file];
        let cut = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        let damaged = format!("{}{with}{}", &text[..cut(at)], &text[cut(at + without)..]);
        if let Err(errors) = import::read("x", damaged.as_bytes()) {
            prop_assert!(!errors.is_empty());
        }
    }
}

#[test]
fn names_for_names_for_names_end_soon() {
    let many = |name: &str| vec![name; 4000].join(", ");
    let text = format!(
        "define a = {{ 1, 2 }}\ndefine b = {{ {} }}\ndefine c = {{ {} }}\nadd rule inet t c udp sport {{ {} }} ip dscp set ef\n",
        many("$a"),
        many("$b"),
        many("$c")
    );
    let errors = import::read("x", text.as_bytes()).unwrap_err();
    assert_eq!(errors[0].to_string(), "line 4: the file lists more ports than any plan has");
}
