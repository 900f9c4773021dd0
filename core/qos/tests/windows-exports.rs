//! What Windows, MDM and browsers are given, byte by byte, for a known plan; and what no plan can break.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test reads what was kept, and stops where it fails"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use carillon_qos::export::{File, Order, Target, rules};
use carillon_qos::plan::Scope;
use carillon_qos::{Plan, Role};

const TARGETS: [&str; 6] =
    ["windows-reg", "windows-pol", "windows-gpo", "windows-netqos", "intune", "browser"];

fn export(plan: &Plan, target: &str) -> Vec<File> {
    let order = Order { plan, scope: Scope::default() };
    (Target::named(target).unwrap().make)(&order).unwrap()
}

fn text(file: &File) -> String {
    match file.bytes.strip_prefix(b"\xff\xfe") {
        Some(utf16) => {
            let units: Vec<u16> =
                utf16.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).unwrap()
        }
        None => String::from_utf8(file.bytes.clone()).unwrap(),
    }
}

/// The files of `lync-kloud` are those in `tests/exports`: UTF-16 kept as UTF-8 there, so that changes can be read.
/// With CARILLON_KEEP=1 they are written instead.
#[test]
fn every_file_of_a_known_plan_is_as_it_was() {
    let plan = Plan::preset("lync-kloud").unwrap();
    let keep = std::env::var_os("CARILLON_KEEP").is_some();
    let mut seen = BTreeMap::new();
    for target in TARGETS {
        for file in export(&plan, target) {
            assert!(seen.insert(file.path.clone(), target).is_none(), "{} comes twice", file.path);
            let kept =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exports/lync-kloud").join(&file.path);
            let content = if file.path.ends_with(".pol") { file.bytes } else { text(&file).into_bytes() };
            if keep {
                std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
                std::fs::write(&kept, &content).unwrap();
            }
            assert!(std::fs::read(&kept).unwrap() == content, "{} differs", file.path);
        }
    }
}

#[test]
fn a_file_begins_as_its_reader_wants() {
    let plan = Plan::preset("lync-kloud").unwrap();
    let first = |target: &str, len: usize| export(&plan, target)[0].bytes[..len].to_vec();
    assert_eq!(first("windows-reg", 4), [0xff, 0xfe, b'W', 0]);
    assert_eq!(first("windows-pol", 8), *b"PReg\x01\0\0\0");
    assert_eq!(first("windows-netqos", 4), *b"\xef\xbb\xbf#");
}

/// Rules as a table: name, program, source, destination, mark.
fn rows(role: Role) -> Vec<String> {
    let plan = Plan::preset("lync-kloud").unwrap();
    let order = Order { plan: &plan, scope: Scope::default() };
    rules::of_role(&order, role)
        .unwrap()
        .iter()
        .map(|rule| format!("{}: {}", rule.name, rule.describe()))
        .collect()
}

#[test]
fn clients_are_marked_by_program_and_source_port_and_signaling_by_destination() {
    assert_eq!(
        rows(Role::Client)[..3],
        [
            "Carillon client audio (communicator.exe): communicator.exe, UDP and TCP, source 20000-20039: EF (46)",
            "Carillon client video (communicator.exe): communicator.exe, UDP and TCP, source 20040-20079: AF41 (34)",
            "Carillon client signaling (communicator.exe): communicator.exe, TCP, destination 5061: CS3 (24)",
        ]
    );
    assert!(rows(Role::Client)[3].starts_with("Carillon client audio (lync.exe): lync.exe,"));
}

#[test]
fn a_front_end_gets_exactly_audio_and_video_by_source_port() {
    assert_eq!(
        rows(Role::Conferencing),
        [
            "Carillon conferencing audio: every program, UDP and TCP, source 49152-57500: EF (46)",
            "Carillon conferencing video: every program, UDP and TCP, source 57501-65535: AF41 (34)",
        ]
    );
}

#[test]
fn a_mediation_server_gets_one_rule() {
    assert_eq!(
        rows(Role::Mediation),
        ["Carillon mediation audio: every program, UDP and TCP, source 49152-57500: EF (46)"]
    );
}

/// The published sets mark no SIP of servers; a plan that states a role's own signaling mark asks for it.
#[test]
fn servers_mark_sip_where_the_plan_states_it_for_their_role() {
    let plan = |more: &str| Plan::from_toml(&format!("base = \"lync-kloud\"\n{more}")).unwrap();
    let names = |plan: &Plan, role| -> Vec<String> {
        let rules = rules::of_role(&Order { plan, scope: Scope::default() }, role).unwrap();
        rules.iter().map(|rule| format!("{}: {}", rule.name, rule.describe())).collect()
    };
    let told = plan("[roles.conferencing]\nsignaling = { dscp = \"CS3\" }\n");
    assert_eq!(
        names(&told, Role::Conferencing)[2..],
        [
            "Carillon conferencing signaling: every program, TCP, source 5061: CS3 (24)",
            "Carillon conferencing signaling to servers: every program, TCP, destination 5061: CS3 (24)",
        ]
    );
    assert_eq!(names(&told, Role::Mediation).len(), 1);
    let unmarked = plan("[roles.conferencing]\nsignaling = { dscp = \"unmarked\" }\n");
    assert_eq!(names(&unmarked, Role::Conferencing).len(), 2);
    let several = plan("signaling.ports = [5061, 5067]\n[roles.gateway]\nsignaling = { dscp = 40 }\n");
    assert_eq!(names(&several, Role::Gateway).len(), 4);

    let said = |plan: &Plan, file: &str| {
        let files = export(plan, "windows-reg");
        let limits = files.iter().find(|of| of.path == file).unwrap().guide.clone().unwrap().limits;
        limits
            .iter()
            .any(|limit| limit.contains("write `signaling = { dscp = 24 }` under `[roles.conferencing]`"))
    };
    assert!(said(&plan(""), "windows/conferencing.reg") && !said(&told, "windows/conferencing.reg"));
    assert!(
        !said(&unmarked, "windows/conferencing.reg") && !said(&plan(""), "windows/conferencing-remove.reg")
    );
}

#[test]
fn only_clients_are_told_of_the_networks_of_their_domain() {
    let plan = Plan::preset("lync-kloud").unwrap();
    for target in ["windows-reg", "windows-pol"] {
        for file in export(&plan, target).iter().filter(|file| !file.path.contains("remove")) {
            let limits = file.guide.clone().unwrap().limits.join("\n");
            assert_eq!(
                limits.contains("Clients apply"),
                file.path.contains("client"),
                "{}: {limits}",
                file.path
            );
            let everybody = file.path.contains("conferencing") || file.path.contains("mediation");
            assert_eq!(limits.contains("Every program of these hosts"), everybody, "{}: {limits}", file.path);
            assert_eq!(
                limits.contains("An Edge is in no domain"),
                file.path.contains("/edge"),
                "{}: {limits}",
                file.path
            );
        }
    }
    for target in ["windows-reg", "windows-pol", "windows-netqos"] {
        let files = export(&plan, target);
        let edge = files.iter().find(|file| file.path.contains("/edge")).unwrap();
        let limits = edge.guide.clone().unwrap().limits.join("\n");
        for says in [
            "what goes to the Internet, to a port of these ranges, is marked too",
            "They see the last leg alone",
        ] {
            assert!(limits.contains(says), "{says}: {limits}");
        }
    }
    let gpo = export(&plan, "windows-gpo")[0].guide.clone().unwrap().limits.join("\n");
    for says in ["no `gpreport.xml`", "the registry extension only", "Not tried on Windows"] {
        assert!(gpo.contains(says), "{says}: {gpo}");
    }
}

#[test]
fn an_edge_gets_four_rules_by_destination_port() {
    assert_eq!(
        rows(Role::Edge),
        [
            "Carillon edge audio to client: MediaRelaySvc.exe, UDP and TCP, destination 20000-20039: EF (46)",
            "Carillon edge audio to conferencing: MediaRelaySvc.exe, UDP and TCP, destination 49152-57500: EF (46)",
            "Carillon edge video to client: MediaRelaySvc.exe, UDP and TCP, destination 20040-20079: AF41 (34)",
            "Carillon edge video to conferencing: MediaRelaySvc.exe, UDP and TCP, destination 57501-65535: AF41 (34)",
        ]
    );
}

#[test]
fn every_file_says_how_to_install_it_how_to_go_back_and_what_was_not_tried() {
    let plan = Plan::preset("lync-kloud").unwrap();
    for target in TARGETS {
        let files = export(&plan, target);
        let guide = files[0].guide.clone().unwrap();
        assert!(
            !guide.install.is_empty() && !guide.roll_back.is_empty() && !guide.check.is_empty(),
            "{target}"
        );
        assert!(guide.limits.iter().any(|limit| limit.contains("Not tried on Windows")), "{target}");
    }
    let client = export(&plan, "windows-reg")[0].guide.clone().unwrap();
    assert!(client.purpose.contains("Windows 7 to 11"), "{client:?}");
    // One article gives it this policy, another says that it takes none.
    assert!(client.purpose.contains("Windows Vista: published guides disagree"), "{client:?}");
    assert!(client.install.iter().any(|step| step.contains("one site")), "{client:?}");
    assert!(client.install.iter().any(|step| step.contains("gpupdate /force")), "{client:?}");
}

#[test]
fn what_cannot_be_exported_says_why() {
    let reason = |plan: &str, target: &str| {
        let plan = Plan::from_toml(plan).unwrap();
        let order = Order { plan: &plan, scope: Scope::default() };
        (Target::named(target).unwrap().make)(&order).unwrap_err().to_string()
    };
    for target in TARGETS {
        assert!(reason("base = \"lync\"", target).contains("in force"), "{target}");
    }
    let no_windows = "name = \"x\"\n[classes]\naudio = \"EF\"\n[roles.client]\naudio = \"6000-6024\"\n[clients]\n\
                      executables = [\"linphone\"]\n";
    assert!(reason(no_windows, "intune").contains("end in .exe"));
    assert!(reason("name = \"x\"", "browser").contains("no audio ports"));
}

#[test]
fn programs_that_windows_cannot_have_are_named_in_the_guide() {
    let plan = "base = \"lync-kloud\"\n[clients]\nexecutables = [\"lync.exe\", \"linphone\"]\n";
    let files = export(&Plan::from_toml(plan).unwrap(), "windows-reg");
    let limits = files[0].guide.clone().unwrap().limits;
    assert!(limits.iter().any(|limit| limit.contains("linphone")), "{limits:?}");
    assert!(!text(&files[0]).contains("linphone"));
}

/// Names with everything that ends a string somewhere.
const HOSTILE: &str = "name = 'a\"b\\c]]>&<x>$(calc)`;'\nbase = \"lync-kloud\"\n[clients]\nexecutables = [\n\
    \"it's $(calc) `a; ]]> & %x% \u{2019}; ü.exe\", 'C:\\Program Files\\a''b.exe', \"\\u0001.exe\", \"x\\\".exe\"]\n";

#[test]
fn no_name_breaks_out_of_an_export() {
    let hostile = HOSTILE.replace("a''b", "a[b]").replace(" ]]> &", " ]] &");
    let plan = Plan::from_toml(&hostile).unwrap();
    let files: Vec<File> = TARGETS.iter().flat_map(|target| export(&plan, target)).collect();
    let find = |path: &str| text(files.iter().find(|file| file.path == path).unwrap());
    let script = find("windows/client.ps1");
    let name = "it''s $(calc) `a; ]] & %x% \u{2019}\u{2019}; ü.exe";
    assert!(script.contains(&format!("-AppPathNameMatchCondition '{name}'")), "{script}");
    assert!(
        script.contains("-Name 'Carillon client audio (it_s __calc_ _a_ __ _ _x_ __ _.exe)'"),
        "{script}"
    );
    let reg = find("windows/client.reg");
    assert!(reg.contains("\"Application Name\"=\"C:\\\\Program Files\\\\a[b].exe\""), "{reg}");
    assert!(reg.contains("\\QoS\\Carillon client audio (a_b_.exe)]"), "{reg}");
    assert!(find("intune/client.syncml").contains("]] &amp; %x%"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./{}".contains(c);
    assert!(files.iter().all(|file| file.path.chars().all(plain)));
}

#[test]
fn names_that_differ_in_case_only_stay_apart() {
    let plan = "base = \"lync-kloud\"\n[clients]\nexecutables = [\"a?.exe\", \"A_.exe\", \"a!.exe\"]\n";
    let plan = Plan::from_toml(plan).unwrap();
    let order = Order { plan: &plan, scope: Scope::default() };
    let rules = rules::of_role(&order, Role::Client).unwrap();
    let audio: Vec<&str> =
        rules.iter().map(|rule| rule.name.as_str()).filter(|name| name.contains("audio")).collect();
    assert_eq!(
        audio,
        [
            "Carillon client audio (a_.exe)",
            "Carillon client audio (A_.exe) 2",
            "Carillon client audio (a_.exe) 3"
        ]
    );
}

#[test]
fn names_that_a_path_cannot_tell_apart_get_paths_of_their_own() {
    let plan = "base = \"lync-kloud\"\n[clients]\nexecutables = [\"a.b.exe\", \"a_b.exe\"]\n";
    let removal = text(&export(&Plan::from_toml(plan).unwrap(), "intune")[3]);
    for node in ["Carillon_client_audio__a_b_exe_<", "Carillon_client_audio__a_b_exe__2<"] {
        assert_eq!(removal.matches(node).count(), 1, "{removal}");
    }
}

#[test]
fn a_browser_gets_the_ports_around_audio_without_a_gap() {
    let of = |plan: &str| text(&export(&Plan::from_toml(plan).unwrap(), "browser")[3]);
    assert_eq!(of("base = \"lync-kloud\""), "{\n  \"WebRtcUdpPortRange\": \"20000-20159\"\n}\n");
    assert_eq!(of("base = \"technet\""), "{\n  \"WebRtcUdpPortRange\": \"50020-50039\"\n}\n");
}

#[test]
fn a_domain_policy_is_the_same_each_time_and_another_for_another_plan() {
    let paths = |name: &str| -> Vec<PathBuf> {
        let plan = Plan::from_toml(&format!("name = {name:?}\nbase = \"lync-kloud\"")).unwrap();
        export(&plan, "windows-gpo").iter().map(|file| PathBuf::from(&file.path)).collect()
    };
    assert_eq!(paths("a"), paths("a"));
    assert_eq!(paths("a").len(), 1 + 4 * 3);
    assert_ne!(paths("a")[1], paths("b")[1]);
}
