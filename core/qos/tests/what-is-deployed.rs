//! Deployed rules and settings against the plan; and a plan made of them.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

#[path = "support/plans.rs"]
mod plans;

use carillon_qos::drift::{self, Line, State};
use carillon_qos::export::{Order, rules};
use carillon_qos::import::{self, Deployed, Fact, Mark, Marker, What};
use carillon_qos::plan::{QueueMap, Scope};
use carillon_qos::{MarkingRule, Plan, PortRange, Protocol, Role, TrafficClass, dscp};
use plans::{plans, read_back};
use proptest::prelude::*;

fn kloud() -> Plan {
    Plan::preset("lync-kloud").unwrap()
}

/// The exported `.reg` of a role, changed before it is read.
fn deployed(role: &str, changes: &[(&str, &str)]) -> Deployed {
    let files = plans::export(&kloud(), "windows-reg");
    let file = files.iter().find(|file| file.path == format!("windows/{role}.reg")).unwrap();
    let units: Vec<u16> =
        file.bytes[2..].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let mut text = String::from_utf16(&units).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    import::read("there.reg", text.as_bytes()).unwrap()
}

fn facts(what: &[What]) -> Deployed {
    let facts = what.iter().map(|what| Fact::new("line 1", what.clone())).collect();
    Deployed {
        source: "there.txt".to_owned(),
        format: "test",
        marker: Marker::Host,
        facts,
        notes: Vec::new(),
    }
}

fn compared(files: &[Deployed]) -> Vec<Line> {
    drift::compare(&kloud(), &Scope::default(), None, files)
}

/// `match Name`, with role and fix or note.
fn told(lines: &[Line]) -> Vec<String> {
    let text = |line: &Line| {
        let state = format!("{:?}", line.state).to_lowercase();
        let role = line.role.map_or("no role", Role::name);
        let more = line.fix.as_ref().or(line.note.as_ref()).map_or(String::new(), |text| format!(": {text}"));
        format!("{state}, {role}, {}{more}", line.what)
    };
    lines.iter().map(text).collect()
}

#[test]
fn what_was_exported_matches_and_its_role_is_found() {
    for (role, count) in [("client", 6), ("conferencing", 2), ("mediation", 1), ("edge", 4)] {
        let lines = compared(&[deployed(role, &[])]);
        assert_eq!(lines.len(), count, "{:#?}", told(&lines));
        for line in &lines {
            assert_eq!((line.state, line.role), (State::Match, Role::from_name(role)), "{line:?}");
            assert!(line.fix.is_none() && line.place.starts_with("line "));
        }
    }
}

#[test]
fn a_range_a_port_longer_than_the_product_is_a_match_that_says_so() {
    let lines = compared(&[deployed("conferencing", &[])]);
    assert_eq!(
        told(&lines)[0],
        "match, conferencing, Carillon conferencing audio: 1 port longer than what the product uses, 49152-57499; its \
         documents print it so"
    );
    let lines = compared(&[deployed("conferencing", &[("49152:57500", "49152:57499")])]);
    assert_eq!(
        told(&lines)[0],
        "match, conferencing, Carillon conferencing audio: it ends where the product does; the product's documents \
         print 57500"
    );
    // What the comparison has settled is not warned of as well.
    assert_eq!(codes(&[deployed("conferencing", &[])]), [""; 0]);
}

#[test]
fn what_differs_says_what_to_set() {
    let change = |from: &str, to: &str| told(&compared(&[deployed("mediation", &[(from, to)])])).join("\n");
    let name = "different, mediation, Carillon mediation audio";
    assert_eq!(change("\"46\"", "\"34\""), format!("{name}: set the mark to EF (46), it is AF41 (34)"));
    assert_eq!(
        change("49152:57500", "49152:57000"),
        format!("{name}: set the source ports to 49152-57500, they are 49152-57000")
    );
    assert_eq!(
        change("\"Protocol\"=\"*\"", "\"Protocol\"=\"UDP\""),
        format!("{name}: set the protocol to both, it is udp")
    );
    assert_eq!(
        change("\"Application Name\"=\"*\"", "\"Application Name\"=\"x.exe\""),
        format!("{name}: set the program to every program, it is x.exe")
    );
}

#[test]
fn a_rule_under_another_name_is_found_by_its_ports() {
    let lines = compared(&[deployed(
        "conferencing",
        &[("Carillon conferencing audio", "Voice"), ("57501:65535", "57501:65000")],
    )]);
    assert_eq!(lines[0].what, "Voice");
    assert_eq!(lines[0].state, State::Match);
    assert_eq!(lines[1].fix.as_deref(), Some("set the source ports to 57501-65535, they are 57501-65000"));
}

#[test]
fn missing_counts_over_all_files_of_a_role_and_extra_says_where_it_belongs() {
    let video = ("\"Local Port\"=\"57501:65535\"", "\"Local Port\"=\"1:2\"");
    let one = deployed("conferencing", &[video, ("Carillon conferencing video", "Odd")]);
    let lines = compared(std::slice::from_ref(&one));
    assert_eq!(lines.len(), 3, "{:#?}", told(&lines));
    assert_eq!((lines[1].state, lines[2].state), (State::Extra, State::Missing));
    assert_eq!(lines[2].source, "");
    assert!(
        lines[2]
            .fix
            .as_ref()
            .unwrap()
            .contains("add it: every program, UDP and TCP, source 57501-65535: AF41 (34)")
    );
    let both = compared(&[one, deployed("conferencing", &[])]);
    assert!(both.iter().all(|line| line.state != State::Missing), "{:#?}", told(&both));
    let told_role =
        drift::compare(&kloud(), &Scope::default(), Some(Role::Client), &[deployed("mediation", &[])]);
    assert!(
        told(&told_role)[0].contains("it belongs to hosts of the role conferencing"),
        "{:#?}",
        told(&told_role)
    );
    assert_eq!(told_role.len(), 1 + 6);
}

#[test]
fn nothing_deployed_is_all_missing_where_the_role_is_told() {
    let lines = drift::compare(&kloud(), &Scope::default(), Some(Role::Edge), &[facts(&[])]);
    assert_eq!(lines.iter().filter(|line| line.state == State::Missing).count(), 4);
    assert_eq!(compared(&[facts(&[])]), vec![]);
}

#[test]
fn a_plan_that_is_not_in_force_wants_no_rules() {
    let lync = Plan::preset("lync").unwrap();
    let lines = drift::compare(&lync, &Scope::default(), None, &[deployed("mediation", &[])]);
    assert!(
        told(&lines)[0]
            .starts_with("extra, no role, Carillon mediation audio: remove it: plan `lync` is not in force")
    );
}

#[test]
fn settings_of_servers_and_phones_are_compared_by_value() {
    let ports = |start, count| PortRange::from_count(start, count).unwrap();
    let of = |scope: &str, role, class, ports| What::Ports { scope: scope.to_owned(), role, class, ports };
    let audio = Some(TrafficClass::Audio);
    let file = facts(&[
        of("global", Role::Client, audio, ports(20000, 40)),
        of("site:Redmond", Role::Client, audio, ports(20000, 20)),
        of("global", Role::Client, None, ports(20160, 40)),
        of("global", Role::Conferencing, audio, ports(49152, 8349)),
        of("global", Role::Gateway, audio, ports(6000, 100)),
        What::Enabled { scope: "global".to_owned(), enabled: false },
        What::Mark { role: Role::Client, class: TrafficClass::Audio, mark: dscp::parse("40").unwrap() },
        What::Phone {
            family: "lpe",
            class: TrafficClass::Audio,
            start: None,
            end: None,
            mark: Some(Mark(dscp::parse("40").unwrap())),
        },
    ]);
    assert_eq!(
        told(&compared(&[file])),
        [
            "match, client, audio ports of client (global)",
            "different, client, audio ports of client (site:Redmond): set it to 20000-20039 (start 20000, count 40), it is \
             20000-20019 (start 20000, count 20)",
            "match, client, legacy ports of client (global)",
            "match, conferencing, audio ports of conferencing (global): it ends as the product's documents print it, not \
             where the product does",
            "extra, gateway, audio ports of gateway (global): take it back, or write it into the plan",
            "different, no role, ranges of global: set it to in force, it is not in force",
            "different, client, mark of client audio: set it to EF (46), it is CS5 (40)",
            "different, phone, audio of lpe: set the mark to EF (46), it is CS5 (40)",
            "cannot, phone, signaling of lpe: lpe cannot mark signaling: let the switch do it",
        ]
    );
}

fn codes(files: &[Deployed]) -> Vec<String> {
    let lints = drift::lints(&kloud(), &Scope::default(), None, files);
    lints.iter().map(|lint| format!("{}: {}", lint.code, lint.text)).collect()
}

#[test]
fn two_audio_marks_in_one_estate_are_found() {
    let mark = dscp::parse("40").unwrap();
    let phone = What::Phone {
        family: "lpe",
        class: TrafficClass::Audio,
        start: None,
        end: None,
        mark: Some(Mark(mark)),
    };
    assert_eq!(codes(&[facts(&[phone])]), ["two-audio-marks: audio: client EF (46), lpe CS5 (40)"]);
    let told = What::Mark { role: Role::Phone, class: TrafficClass::Audio, mark };
    let found = codes(&[facts(std::slice::from_ref(&told)), facts(std::slice::from_ref(&told))]);
    assert_eq!(found, ["two-audio-marks: audio: client EF (46), phone CS5 (40)"]);
}

#[test]
fn a_queue_map_that_throws_classes_together_is_found() {
    let netgear = facts(&[What::Queues(QueueMap::preset("netgear-gs110tp").unwrap())]);
    let found = codes(&[netgear]);
    assert!(
        found.iter().any(|text| text.contains("audio EF (46) and video AF41 (34) share queue 2")),
        "{found:?}"
    );
}

#[test]
fn rules_that_lose_traffic_or_cover_too_much_are_found() {
    let rule = |application: &str, source: Option<&str>, destination: Option<&str>| {
        What::Rule(MarkingRule {
            name: "R".to_owned(),
            application: Some(application.to_owned()),
            protocol: Protocol::Both,
            source_ports: source.and_then(PortRange::parse),
            destination_ports: destination.and_then(PortRange::parse),
            mark: dscp::parse("EF").unwrap(),
        })
    };
    let found = codes(&[facts(&[rule("teams.exe", Some("20000-20039"), Some("20000-20039"))])]).join("\n");
    assert!(
        found.contains("rule-two-sided: R (line 1):") && found.contains("port 2230 stay unmarked"),
        "{found}"
    );
    assert!(found.contains("outdated-executable: teams.exe is listed without ms-teams.exe"), "{found}");
    let found = codes(&[facts(&[rule("lync.exe", None, None)])]).join("\n");
    assert!(found.contains("rule-without-ports"), "{found}");
}

/// The rules of every role that Windows hosts have.
fn all_rules(plan: &Plan) -> Vec<(Role, Vec<MarkingRule>)> {
    let order = Order { plan, scope: Scope::default() };
    let roles = [Role::Client, Role::Conferencing, Role::Mediation, Role::Edge];
    roles.into_iter().map(|role| (role, rules::of_role(&order, role).unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_made_of_exports_gives_the_same_rules(plan in plans()) {
        for target in ["windows-reg", "windows-pol", "windows-netqos", "windows-gpo"] {
            let (text, notes) = drift::plan_from(&estate(&plan, target));
            let again = Plan::from_toml(&text).unwrap();
            prop_assert_eq!(all_rules(&again), all_rules(&plan), "{}", text);
            prop_assert_eq!(notes, vec![], "{}", text);
        }
    }

    #[test]
    fn a_plan_made_of_what_mdm_distributes_gives_the_same_rules_of_clients(plan in plans()) {
        let of_clients = |plan: &Plan| {
            let order = Order { plan, scope: Scope::default() };
            rules::of_role(&order, Role::Client).unwrap()
        };
        let files = estate(&plan, "intune");
        prop_assert_eq!(files.len(), if of_clients(&plan).is_empty() { 0 } else { 3 });
        for file in files {
            let (text, _) = drift::plan_from(&[file]);
            let again = Plan::from_toml(&text).unwrap();
            prop_assert_eq!(of_clients(&again), of_clients(&plan), "{}", text);
        }
    }

    #[test]
    fn exports_match_the_plan_they_were_made_of(plan in plans()) {
        for file in read_back(&plan, "windows-pol") {
            let role = Role::ALL.into_iter().find(|role| file.source.contains(role.name()));
            let lines = drift::compare(&plan, &Scope::default(), role, &[file]);
            prop_assert!(lines.iter().all(|line| line.state == State::Match && line.fix.is_none()), "{:#?}", lines);
        }
    }
}

#[test]
fn a_plan_is_made_of_what_others_deployed() {
    let names = [
        ("Carillon conferencing audio", "Lync Server Voice"),
        ("Carillon conferencing video", "Lync Server Video"),
    ];
    let listing = What::Ports {
        scope: "global".to_owned(),
        role: Role::Conferencing,
        class: Some(TrafficClass::Audio),
        ports: PortRange::from_count(49152, 8348).unwrap(),
    };
    let client = [("Carillon client", "Lync"), ("audio", "Voice"), ("signaling", "SIP")];
    let files = [
        facts(&[listing]),
        deployed("conferencing", &names),
        deployed("client", &client),
        deployed("edge", &[]),
    ];
    let (text, notes) = drift::plan_from(&files);
    assert_eq!(notes, vec![], "{text}");
    let plan = Plan::from_toml(&text).unwrap();
    let policy = plan.policy(Role::Conferencing, &Scope::default());
    let audio = policy.class(TrafficClass::Audio);
    assert_eq!((audio.ports.value, audio.documented_end), (PortRange::from_ends(49152, 57499), Some(57500)));
    assert_eq!(plan.executables(), ["communicator.exe", "lync.exe"]);
    assert!(plan.edge_marks_internal());
    let lines = drift::compare(&plan, &Scope::default(), None, &files);
    assert!(lines.iter().all(|line| line.state == State::Match), "{:#?}", told(&lines));
}

#[test]
fn a_rule_that_does_not_say_what_it_is_for_is_guessed_and_noted() {
    let (text, notes) = drift::plan_from(&[deployed("mediation", &[("Carillon mediation audio", "QoS 1")])]);
    let plan = Plan::from_toml(&text).unwrap();
    assert_eq!(plan.policy(Role::Conferencing, &Scope::default()).mark(TrafficClass::Audio).value(), 46);
    assert_eq!(
        notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["there.reg: line 6: `QoS 1` does not say what it is for: taken for audio of conferencing"]
    );
}

#[test]
fn what_no_plan_gives_is_kept_as_a_rule_and_noted() {
    let odd = [("\"Local Port\"=\"20000:20039\"", "\"Local Port\"=\"*\""), ("\"46\"", "\"7\"")];
    let (text, notes) = drift::plan_from(&[deployed("client", &odd)]);
    let plan = Plan::from_toml(&text).unwrap();
    assert_eq!(plan.rules().len(), 2, "{text}");
    assert_eq!(notes.len(), 2);
    assert!(
        notes[0].to_string().starts_with("there.reg: line 6: `Carillon client audio (communicator.exe)`"),
        "{}",
        notes[0]
    );
    let disagreeing = [deployed("mediation", &[]), deployed("mediation", &[("49152:57500", "40000:40099")])];
    let (text, notes) = drift::plan_from(&disagreeing);
    assert_eq!((Plan::from_toml(&text).unwrap().rules().len(), notes.len()), (1, 1), "{text}");
}

#[test]
fn settings_become_a_plan_with_its_sites_phones_and_queues() {
    let of = |scope: &str, start| What::Ports {
        scope: scope.to_owned(),
        role: Role::Client,
        class: Some(TrafficClass::Audio),
        ports: PortRange::from_count(start, 40).unwrap(),
    };
    let mark = dscp::parse("40").unwrap();
    let (text, notes) = drift::plan_from(&[facts(&[
        of("global", 20000),
        of("site:a \"b\"\n", 30000),
        of("global", 21000),
        What::Enabled { scope: "global".to_owned(), enabled: true },
        What::Mark { role: Role::Client, class: TrafficClass::Audio, mark },
        What::Phone {
            family: "vvx",
            class: TrafficClass::Audio,
            start: Some(6000),
            end: None,
            mark: Some(Mark(mark)),
        },
        What::Queues(QueueMap::preset("netgear-gs110tp").unwrap()),
    ])]);
    let plan = Plan::from_toml(&text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
    assert_eq!(plan.sites().collect::<Vec<_>>(), ["a \"b\"\n"]);
    assert_eq!(plan.queue_map(), QueueMap::preset("netgear-gs110tp").as_ref());
    assert_eq!(plan.phones()[0].audio_start.as_ref().unwrap().value, 6000);
    assert_eq!(plan.policy(Role::Client, &Scope::default()).mark(TrafficClass::Audio), mark);
    assert_eq!(
        notes[0].to_string(),
        "there.txt: line 1: disagrees with what stands before it, which was kept"
    );
}

/// What a target's exports are, read as files of the estate; those that mark nothing and set nothing are left out.
fn estate(plan: &Plan, target: &str) -> Vec<Deployed> {
    let files = plans::export(plan, target);
    let read = |file: &carillon_qos::export::File| import::read(&file.path, &file.bytes).ok();
    files.iter().filter_map(read).filter(|file| !file.facts.is_empty()).collect()
}

#[test]
fn what_any_device_was_told_matches_the_plan_that_told_it() {
    let targets = [
        "windows-reg",
        "windows-pol",
        "windows-netqos",
        "windows-gpo",
        "intune",
        "browser",
        "nftables",
        "cisco",
        "junos",
        "aruba-switch",
        "aruba-controller",
        "queue-table",
        "netgear",
        "polycom",
        "yealink",
        "snom",
        "lync-phone-edition",
        "audiocodes-gateway",
        "asterisk-gateway",
        "cisco-gateway",
    ];
    for name in ["lync-kloud", "schertz-vvx", "technet"] {
        let plan = Plan::preset(name).unwrap();
        for target in targets {
            if plans::unfit(&plan, target) {
                continue;
            }
            let files = estate(&plan, target);
            assert!(!files.is_empty(), "{name} {target}");
            for file in files {
                let lines = drift::compare(&plan, &Scope::default(), None, std::slice::from_ref(&file));
                let good = |line: &&Line| matches!(line.state, State::Match | State::Cannot);
                let wrong: Vec<Line> = lines.iter().filter(|line| !good(line)).cloned().collect();
                assert!(!lines.is_empty() && wrong.is_empty(), "{name} {}: {:#?}", file.source, told(&wrong));
            }
        }
    }
}

/// Targets whose files say what no plan holds, or say it in a form that is not read, and what that is.
const ONE_WAY: [(&str, &str); 3] = [
    ("tc", "shares of a link, which no plan states"),
    ("firewall", "ports that are let through, and no marks"),
    ("audiocodes-phone", "nothing: nobody has published the parameters"),
];

#[test]
fn every_target_is_read_back_or_listed_with_what_it_cannot_carry() {
    let plan = Plan::preset("schertz-vvx").unwrap();
    for target in carillon_qos::export::targets() {
        let one_way = ONE_WAY.iter().any(|(name, _)| *name == target.name);
        if plans::unfit(&plan, target.name) {
            assert_eq!(target.name, "audiocodes-phone");
            continue;
        }
        let files = estate(&plan, target.name);
        let lines = drift::compare(&plan, &Scope::default(), None, &files);
        assert_eq!(lines.is_empty(), one_way, "{}: {:#?}", target.name, told(&lines));
    }
    // What a plan states of queues comes back.
    for target in ["queue-table", "netgear"] {
        let files = estate(&plan, target);
        let What::Queues(map) = &files[0].facts[0].what else { panic!("{target}") };
        let (text, _) = drift::plan_from(&files[..1]);
        assert_eq!(Plan::from_toml(&text).unwrap().queue_map(), Some(map), "{target}");
    }
    let nft = plans::export(&plan, "firewall").into_iter().find(|file| file.path.ends_with(".nft")).unwrap();
    let read = import::read(&nft.path, &nft.bytes).unwrap();
    assert!(read.notes.iter().any(|note| note.text == "no rule here sets a mark"), "{:?}", read.notes);
}

#[test]
fn a_switch_is_judged_by_what_its_rules_cover() {
    let plan = Plan::preset("schertz-vvx").unwrap();
    let [mut file] = <[Deployed; 1]>::try_from(estate(&plan, "cisco")).unwrap();
    // To which interface it is bound.
    for fact in &mut file.facts {
        fact.caveats.retain(|caveat| caveat.reach != import::Reach::Unknown);
    }
    let compare = |file: Deployed| {
        let lines = drift::compare(&plan, &Scope::default(), None, &[file]);
        told(&lines.into_iter().filter(|line| line.state != State::Match).collect::<Vec<_>>())
    };
    let changed = |change: &dyn Fn(&mut MarkingRule)| {
        let mut file = file.clone();
        for fact in &mut file.facts {
            if let What::Rule(rule) = &mut fact.what {
                change(rule);
            }
        }
        compare(file)
    };
    let audio = PortRange::parse("6000-6024");
    let remarked = changed(&|rule| {
        if rule.source_ports == audio {
            rule.mark = dscp::parse("40").unwrap();
        }
    });
    assert!(
        !remarked.is_empty() && remarked.iter().all(|line| line.starts_with("different")),
        "{remarked:#?}"
    );
    assert!(remarked[0].contains("mark 6000-6024 EF (46), not CS5 (40)"), "{remarked:#?}");
    let shortened = changed(&|rule| {
        if rule.source_ports == audio {
            rule.source_ports = PortRange::parse("6000-6020");
        }
    });
    assert!(
        shortened.iter().all(|line| line.contains("missing") && line.contains("add 6021-6024 to: ")),
        "{shortened:#?}"
    );
    let longer = changed(&|rule| {
        if rule.destination_ports == PortRange::parse("5061") {
            rule.destination_ports = PortRange::parse("5061-5070");
        }
    });
    assert!(
        longer.iter().all(|line| line.contains("leave out 5062-5070")) && !longer.is_empty(),
        "{longer:#?}"
    );
    let udp_only = changed(&|rule| rule.protocol = Protocol::Udp);
    assert!(udp_only.iter().any(|line| line.starts_with("missing")), "{udp_only:#?}");
}
