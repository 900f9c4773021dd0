//! Plan to file to plan is the identity, for presets and for generated plans.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use carillon_qos::plan::{FAMILIES, PRESETS, Scope};
use carillon_qos::{Plan, Role, TrafficClass};
use proptest::prelude::*;

/// Everything that a plan answers, as one text: independent of how the plan is stored or printed.
fn answers(plan: &Plan) -> String {
    let mut scopes = vec![Scope::default(), Scope { site: Some("nowhere".into()), service: None }];
    for site in plan.sites() {
        scopes.push(Scope { site: Some(site.to_owned()), service: None });
        for service in plan.services() {
            scopes.push(Scope { site: Some(site.to_owned()), service: Some(service.to_owned()) });
        }
    }
    let mut out = format!("{:?} {:?} {:?}\n", plan.name(), plan.title(), plan.base());
    for scope in scopes {
        out += &format!("{:?}\n", plan.enabled_in(&scope).value);
        for role in Role::ALL {
            let policy = plan.policy(role, &scope);
            for class in TrafficClass::ALL {
                let class = policy.class(class);
                let (mark, ports) = (&class.mark, &class.ports);
                out += &format!("{role} {:?} {:?} ", mark.value, ports.value);
                out += &format!("{:?} {:?} ", class.documented_end, class.ports_planned);
                out += &format!("{} {:?} ", mark.origin.label(), mark.origin.source());
                out += &format!("{} {:?}\n", ports.origin.label(), ports.origin.source());
            }
            out += &format!("{:?}\n", plan.legacy_ports(role, &scope).map(|ports| ports.value));
        }
    }
    out += &format!("{:?} {:?} {:?}\n", plan.signaling_ports(), plan.queue_map(), plan.executables());
    out += &format!("{:?} {:?} {:?}\n", plan.edge_ports(), plan.edge_marks_internal(), plan.edge_external());
    out += &format!("{:?} {:?} {:?}\n", plan.video_kbps(), plan.voicemail_ports(), plan.wifi_mapping());
    out += &format!("{:?}\n", plan.server_networks());
    for phone in plan.phones() {
        let starts = [&phone.audio_start, &phone.video_start].map(|s| s.as_ref().map(|s| s.value));
        let marks: Vec<_> = phone.marks.iter().map(|(class, mark)| (class, mark.value)).collect();
        out += &format!("{} {starts:?} {marks:?}\n", phone.family.name);
    }
    out + &format!("{:?}", plan.rules())
}

fn same_after_printing(plan: &Plan) {
    let printed = plan.to_toml();
    let again = Plan::from_toml(&printed).unwrap_or_else(|problems| panic!("{problems:#?}\n{printed}"));
    for (again, before) in answers(&again).lines().zip(answers(plan).lines()) {
        assert_eq!(again, before, "{printed}");
    }
    assert!(answers(&again) == answers(plan) && &again == plan, "{printed}");
    assert_eq!(again.to_toml(), printed);
}

#[test]
fn presets_survive_printing() {
    for preset in PRESETS {
        same_after_printing(&Plan::preset(preset.name).unwrap());
        same_after_printing(&Plan::from_toml(&format!("base = {:?}", preset.name)).unwrap());
    }
}

#[test]
fn a_printed_preset_is_edited_by_removing_a_hash() {
    let printed = Plan::preset("lync").unwrap().to_toml();
    assert!(printed.contains("\n# audio = \"5350-5389\"  # default: Lync Server 2013"), "{printed}");
    let edited = printed.replace("\n# enabled = false", "\nenabled = true");
    let plan = Plan::from_toml(&edited).unwrap();
    assert!(plan.enabled());
    assert_eq!(plan.enabled_in(&Scope::default()).origin.label(), "set");
}

fn mark() -> impl Strategy<Value = String> {
    prop_oneof![(0u8..64).prop_map(|m| m.to_string()), Just("\"EF\"".to_owned()), Just("\"unmarked\"".into())]
}

fn range() -> impl Strategy<Value = String> {
    prop_oneof![
        (1u16..60_000, 0u16..5_000).prop_map(|(s, n)| format!("\"{s}-{}\"", s + n)),
        (1u16..60_000, 1u16..5_000).prop_map(|(s, n)| format!("{{ start = {s}, count = {n} }}")),
        (1u16..).prop_map(|port| port.to_string()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9 :.,'-]{0,12}",
        Just("quote \\\" and \\\\ and \\n and \\u0001".to_owned()),
        Just("ünïcode · # = [".to_owned())
    ]
    .prop_map(|text| format!("\"{text}\""))
}

fn source() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), text().prop_map(|text| format!("source = {text}\n"))]
}

/// `roles.ROLE.CLASS` with some of its keys, each at most once.
fn role_class() -> impl Strategy<Value = (usize, usize, String)> {
    let ports = prop_oneof![
        Just(String::new()),
        Just("ports = \"any\"\n".to_owned()),
        (range(), 1u16..).prop_map(|(r, end)| format!("ports = {r}\ndocumented-end = {end}\n")),
        range().prop_map(|r| format!("ports = {r}\n")),
    ];
    let dscp = prop_oneof![Just(String::new()), mark().prop_map(|m| format!("dscp = {m}\n"))];
    (0..Role::ALL.len(), 0..4usize, ports, dscp, source())
        .prop_map(|(role, class, ports, dscp, source)| (role, class, format!("{ports}{dscp}{source}")))
}

/// The values of one scope, as tables under a prefix.
fn layer() -> impl Strategy<Value = String> {
    let classes = prop::collection::btree_map(0..6usize, (mark(), source()), 0..4);
    let roles = prop::collection::vec(role_class(), 0..5);
    let legacy = prop::option::of((0..Role::ALL.len(), range(), source()));
    (classes, roles, legacy).prop_map(|(classes, roles, legacy)| {
        let mut out = String::new();
        for (class, (mark, source)) in classes {
            out += &format!("[@classes.{}]\ndscp = {mark}\n{source}", TrafficClass::ALL[class].name());
        }
        let mut seen = std::collections::BTreeSet::new();
        for (role, class, body) in roles {
            if seen.insert((role, class)) {
                let (role, class) = (Role::ALL[role], TrafficClass::MEDIA[class]);
                out += &format!("[@roles.{role}.{class}]\n{body}");
            }
        }
        if let Some((role, range, source)) = legacy {
            out += &format!("[@roles.{}]\nlegacy-ports = {range}\n{source}", Role::ALL[role]);
        }
        out
    })
}

fn scopes(kind: &'static str) -> impl Strategy<Value = String> {
    let enabled = prop::option::of(any::<bool>());
    prop::collection::btree_map("[a-z][a-z:. ]{0,6}", (enabled, source(), layer()), 0..3).prop_map(
        move |map| {
            map.into_iter().fold(String::new(), |mut out, (name, (enabled, source, layer))| {
                out += &format!("[{kind}.{name:?}]\n{source}");
                out += &enabled.map_or(String::new(), |enabled| format!("enabled = {enabled}\n"));
                out + &layer.replace('@', &format!("{kind}.{name:?}."))
            })
        },
    )
}

fn phones() -> impl Strategy<Value = String> {
    let phone = (prop::option::of(1u16..), prop::option::of(mark()), prop::option::of(mark()), source());
    prop::collection::btree_map(0..FAMILIES.len(), phone, 0..3).prop_map(|map| {
        map.into_iter().fold(String::new(), |mut out, (family, (start, audio, signaling, source))| {
            out += &format!("[phones.{}]\n{source}", FAMILIES[family].name);
            out += &start.map_or(String::new(), |port| format!("video-start = {port}\n"));
            out += &audio.map_or(String::new(), |mark| format!("audio = {mark}\n"));
            out + &signaling.map_or(String::new(), |mark| format!("signaling = {mark}\n"))
        })
    })
}

fn tables() -> impl Strategy<Value = String> {
    let edge = (range(), any::<bool>(), source())
        .prop_map(|(r, mark, source)| format!("[edge]\nports = {r}\nmark-internal = {mark}\n{source}"));
    let queues = prop::collection::btree_map(0u8..64, 0u8..16, 0..6).prop_map(|map| {
        map.iter()
            .fold("[queues]\nother = 2\n".to_owned(), |out, (mark, queue)| format!("{out}{mark} = {queue}\n"))
    });
    let rules = prop::collection::vec((text(), mark(), range()), 1..3).prop_map(|rules| {
        rules.iter().fold(String::new(), |out, (name, mark, range)| {
            format!(
                "{out}[[rules]]\nname = {name}\nrole = \"edge\"\ndscp = {mark}\ndestination-ports = {range}\n"
            )
        })
    });
    let signaling = range().prop_map(|r| format!("[signaling]\nports = [5061, {r}]\n"));
    let others = (text(), source()).prop_map(|(name, source)| {
        let name = if name == "\"\"" { "\"x.exe\"".to_owned() } else { name.replace("\\n", "") };
        format!("[clients]\nexecutables = [{name}]\n{source}[wifi]\nmapping = \"rfc8325\"\n[servers]\nnetworks = [\"10.1.0.0/24\", \"2001:db8::7\"]\n{source}[bandwidth]\nvideo-kbps = 7\n")
    });
    let voicemail = range().prop_map(|r| format!("[voicemail]\nports = {r}\n"));
    let some = |strategy: BoxedStrategy<String>| prop_oneof![Just(String::new()), strategy];
    let groups =
        (edge.boxed(), queues.boxed(), rules.boxed(), signaling.boxed(), others.boxed(), voicemail.boxed());
    (some(groups.0), some(groups.1), some(groups.2), some(groups.3), some(groups.4), some(groups.5))
        .prop_map(|(a, b, c, d, e, f)| [d, a, b, e, f, c].concat())
}

fn plan_text() -> impl Strategy<Value = String> {
    let base = prop::option::of(0..PRESETS.len());
    let head = (text(), text(), base, prop::option::of(any::<bool>()), source());
    (head, layer(), tables(), phones(), scopes("sites"), scopes("services")).prop_map(
        |((name, title, base, enabled, source), layer, tables, phones, sites, services)| {
            let mut out = format!("name = {name}\ntitle = {title}\n{source}");
            out += &base.map_or(String::new(), |base| format!("base = {:?}\n", PRESETS[base].name));
            out += &enabled.map_or(String::new(), |enabled| format!("enabled = {enabled}\n"));
            [out, layer.replace('@', ""), phones, sites, services, tables].concat()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plan_to_file_to_plan_is_the_identity(text in plan_text()) {
        match Plan::from_toml(&text) {
            Ok(plan) => same_after_printing(&plan),
            Err(problems) => prop_assert!(false, "{problems:#?}\n{text}"),
        }
    }

    #[test]
    fn no_text_panics(text in "[a-z0-9\\[\\]{}=\"#., \n-]{0,80}") {
        let _ = Plan::from_toml(&text);
    }

    #[test]
    fn no_damage_to_a_plan_panics(at in 0usize..2000, with in "[\\[\\]{}=\"#.\n0-9a-z]{0,3}", preset in 0..PRESETS.len()) {
        let mut text = PRESETS[preset].text.to_owned();
        let at = at.min(text.len());
        if text.is_char_boundary(at) {
            text.insert_str(at, &with);
        }
        if let Ok(plan) = Plan::from_toml(&text) {
            plan.lint();
            same_after_printing(&plan);
        }
    }
}
