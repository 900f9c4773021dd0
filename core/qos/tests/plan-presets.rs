//! The presets say what their sources print, and a plan in scopes gives each the right values.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use carillon_qos::plan::{PRESETS, Scope};
use carillon_qos::{Plan, PortRange, Role, TrafficClass};

fn preset(name: &str) -> Plan {
    Plan::preset(name).unwrap()
}

fn media(plan: &Plan, role: Role) -> [Option<String>; 4] {
    let policy = plan.planned(role, &Scope::default());
    TrafficClass::MEDIA.map(|class| policy.ports(class).map(|ports| ports.to_string()))
}

fn texts(ports: [&str; 4]) -> [Option<String>; 4] {
    ports.map(|text| (!text.is_empty()).then(|| text.to_owned()))
}

fn marks(plan: &Plan, role: Role) -> [u8; 6] {
    let policy = plan.planned(role, &Scope::default());
    TrafficClass::ALL.map(|class| policy.mark(class).value())
}

#[test]
fn client_ranges_are_those_of_the_sources() {
    let tables = [
        ("lync", ["5350-5389", "5350-5389", "5350-5389", "5350-5389"]),
        ("lync-kloud", ["20000-20039", "20040-20079", "20080-20119", "20120-20159"]),
        ("technet", ["50020-50039", "58000-58019", "42000-42019", "42020-42039"]),
        ("schertz-vvx", ["6000-6024", "6025-6049", "6050-6074", "6075-6099"]),
        ("teams", ["50000-50019", "50020-50039", "50040-50059", ""]),
        ("cisco", ["16384-32767", "16384-32767", "", ""]),
        ("rfc8837", ["", "", "", ""]),
    ];
    assert_eq!(tables.map(|(name, _)| name), PRESETS.map(|preset| preset.name));
    for (name, ports) in tables {
        assert_eq!(media(&preset(name), Role::Client), texts(ports), "{name}");
        assert_eq!(media(&preset(name), Role::Phone), texts(ports), "{name}");
    }
    let kloud = preset("lync-kloud").legacy_ports(Role::Client, &Scope::default()).unwrap();
    assert_eq!(kloud.value.to_string(), "20160-20199");
}

#[test]
fn marks_are_those_of_the_sources() {
    let tables = [
        ("lync", [0, 0, 0, 0, 0, 0]),
        ("lync-kloud", [24, 46, 34, 0, 0, 0]),
        ("technet", [0, 46, 34, 24, 0, 0]),
        ("schertz-vvx", [24, 46, 34, 0, 0, 0]),
        ("teams", [0, 46, 34, 18, 10, 0]),
        ("cisco", [24, 46, 34, 0, 0, 0]),
        ("rfc8837", [0, 46, 34, 26, 18, 0]),
    ];
    for (name, expected) in tables {
        assert_eq!(marks(&preset(name), Role::Client), expected, "{name}");
    }
}

#[test]
fn servers_end_where_the_product_ends_and_show_the_documents_end() {
    for name in ["lync", "lync-kloud", "technet", "schertz-vvx"] {
        let plan = preset(name);
        assert_eq!(
            media(&plan, Role::Conferencing),
            texts(["49152-57499", "57501-65534", "40803-49150", ""]),
            "{name}"
        );
        let policy = plan.planned(Role::Conferencing, &Scope::default());
        let ends = TrafficClass::MEDIA.map(|class| policy.class(class).documented_end);
        assert_eq!(ends, [Some(57500), Some(65535), Some(49151), None]);
        assert_eq!(media(&plan, Role::Mediation), texts(["49152-57499", "", "", ""]));
    }
}

#[test]
fn servers_have_a_hundred_times_the_audio_ports_of_a_client() {
    for name in ["lync", "lync-kloud", "technet", "schertz-vvx"] {
        let plan = preset(name);
        let count = |role| {
            let policy = plan.planned(role, &Scope::default());
            policy.ports(TrafficClass::Audio).unwrap().count()
        };
        let (client, server) = (count(Role::Client), count(Role::Conferencing));
        // Without a plan of their own clients take any port: a range that is all ports is no small one.
        assert!(server >= 100 * client || client == 64_512, "{name}: {client}, {server}");
    }
}

#[test]
fn values_are_labelled_default_or_set() {
    let plan = preset("lync-kloud");
    let label = |role, class| {
        let policy = plan.planned(role, &Scope::default());
        (
            policy.class(class).ports.origin.label(),
            policy.class(class).ports.origin.source().map(str::to_owned),
        )
    };
    assert_eq!(label(Role::Client, TrafficClass::Audio).0, "set");
    assert_eq!(label(Role::Conferencing, TrafficClass::Sharing).0, "set");
    let (label, source) = label(Role::Conferencing, TrafficClass::Audio);
    assert_eq!(label, "default");
    assert!(source.unwrap().contains("AudioPortStart"));
}

#[test]
fn every_value_of_every_preset_has_a_source() {
    for preset in PRESETS {
        let plan = Plan::preset(preset.name).unwrap();
        for role in Role::ALL {
            let policy = plan.planned(role, &Scope::default());
            for class in TrafficClass::ALL {
                let class = policy.class(class);
                assert!(class.mark.origin.source().is_some() && class.ports.origin.source().is_some());
            }
        }
    }
}

#[test]
fn while_disabled_clients_use_any_port_and_nobody_marks() {
    let plan = Plan::from_toml("name = \"x\"\nbase = \"lync-kloud\"\nenabled = false").unwrap();
    assert!(!plan.enabled());
    for role in Role::ALL {
        let policy = plan.policy(role, &Scope::default());
        assert!(TrafficClass::ALL.iter().all(|class| policy.mark(*class).value() == 0));
    }
    let client = plan.policy(Role::Client, &Scope::default());
    assert_eq!(client.ports(TrafficClass::Audio), Some(PortRange::UNRESTRICTED));
    assert_eq!(client.classes_of_port(1024).count(), 4);
    assert_eq!(client.classes_of_port(1023).count(), 0);
    let server = plan.policy(Role::Conferencing, &Scope::default());
    assert_eq!(server.ports(TrafficClass::Audio).unwrap().to_string(), "49152-57499", "servers keep theirs");
    assert_eq!(
        media(&plan, Role::Client)[0].as_deref(),
        Some("20000-20039"),
        "the plan still knows its ranges"
    );
}

#[test]
fn the_most_specific_scope_wins() {
    let text = r#"
name = "estate"
base = "lync-kloud"

[sites.Redmond.roles.client]
audio = "21000-21039"

[sites.Redmond.classes]
audio = 40

[services."conferencing:pool1"]
classes = { audio = "CS5", video = "AF42" }

[services."conferencing:pool1".roles.conferencing]
audio = { ports = "50000-50099", dscp = "VA" }
"#;
    let plan = Plan::from_toml(text).unwrap();
    let at = |site: Option<&str>, service: Option<&str>, role, class| {
        let scope = Scope { site: site.map(str::to_owned), service: service.map(str::to_owned) };
        let policy = plan.policy(role, &scope);
        (policy.ports(class).map(|ports| ports.to_string()), policy.mark(class).value())
    };
    let audio = |site, service, role| at(site, service, role, TrafficClass::Audio);
    assert_eq!(audio(None, None, Role::Client), (Some("20000-20039".into()), 46));
    assert_eq!(audio(Some("Redmond"), None, Role::Client), (Some("21000-21039".into()), 40));
    assert_eq!(audio(Some("Oslo"), None, Role::Client), (Some("20000-20039".into()), 46));
    let pool = Some("conferencing:pool1");
    assert_eq!(audio(Some("Redmond"), pool, Role::Conferencing), (Some("50000-50099".into()), 44));
    assert_eq!(audio(Some("Redmond"), pool, Role::Client), (Some("21000-21039".into()), 40));
    assert_eq!(at(None, pool, Role::Conferencing, TrafficClass::Video).1, 36);
}

#[test]
fn one_edit_changes_the_mark_everywhere() {
    let plan = Plan::from_toml("base = \"lync-kloud\"\n[classes]\naudio = 40\n[edge]\nmark-internal = true")
        .unwrap();
    for role in Role::ALL {
        assert_eq!(plan.policy(role, &Scope::default()).mark(TrafficClass::Audio).value(), 40, "{role}");
    }
}

#[test]
fn the_edge_marks_nothing_unless_told() {
    let plan = preset("lync-kloud");
    let edge = plan.policy(Role::Edge, &Scope::default());
    assert_eq!(edge.mark(TrafficClass::Audio).value(), 0);
    assert_eq!(edge.ports(TrafficClass::Video).unwrap().to_string(), "50000-59999");
    let told = Plan::from_toml("base = \"lync-kloud\"\n[edge]\nmark-internal = true").unwrap();
    assert_eq!(told.policy(Role::Edge, &Scope::default()).mark(TrafficClass::Audio).value(), 46);
}

#[test]
fn a_phone_follows_the_clients_unless_told_otherwise() {
    let text = "base = \"lync-kloud\"\n[roles.phone]\naudio = { ports = \"7000-7047\", dscp = 40 }\n";
    let phone = Plan::from_toml(text).unwrap().policy(Role::Phone, &Scope::default());
    assert_eq!(phone.ports(TrafficClass::Audio).unwrap().to_string(), "7000-7047");
    assert_eq!(phone.mark(TrafficClass::Audio).value(), 40);
    assert_eq!(phone.ports(TrafficClass::Video).unwrap().to_string(), "20040-20079");
}

#[test]
fn the_rules_of_a_guide_are_not_those_of_an_estate_that_builds_on_it() {
    assert_eq!(preset("lync-kloud").rules().len(), 9);
    assert!(Plan::from_toml("base = \"lync-kloud\"").unwrap().rules().is_empty());
}

#[test]
fn plans_that_differ_only_in_a_source_or_a_scope_differ() {
    let plan = |text: &str| Plan::from_toml(&format!("name = \"x\"\n{text}")).unwrap();
    let with = |source| plan(&format!("[classes]\naudio = {{ dscp = 46, source = \"{source}\" }}\n"));
    assert_ne!(with("a"), with("b"));
    assert_eq!(with("a"), with("a"));
    assert_eq!(
        plan("[classes]\naudio = 46\n"),
        plan("\n\n[classes]\n\naudio = \"EF\"\n"),
        "lines are no part"
    );
}
