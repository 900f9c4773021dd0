//! What is deployed and does not do what it says: never a match, always with the reason and the fix.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

#[path = "support/plans.rs"]
mod plans;

use carillon_qos::drift::{self, Line, State};
use carillon_qos::import::{self, Deployed};
use carillon_qos::plan::Scope;
use carillon_qos::{Plan, Role};

fn read(text: &str) -> Deployed {
    import::read("there", text.as_bytes()).unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"))
}

fn compared(preset: &str, files: &[Deployed]) -> Vec<Line> {
    drift::compare(&Plan::preset(preset).unwrap(), &Scope::default(), None, files)
}

/// What is no match: `different Carillon client audio: fix`.
fn wrong(preset: &str, text: &str) -> Vec<String> {
    told(&compared(preset, &[read(text)]))
}

fn told(lines: &[Line]) -> Vec<String> {
    let text = |line: &Line| {
        let state = format!("{:?}", line.state).to_lowercase();
        format!("{state} {}: {}", line.what, line.fix.as_ref().or(line.note.as_ref()).unwrap())
    };
    lines.iter().filter(|line| line.state != State::Match).map(text).collect()
}

/// The exported rules of mediation servers, changed.
fn mediation(from: &str, to: &str) -> String {
    reg("mediation", &[(from, to)])
}

fn reg(role: &str, changes: &[(&str, &str)]) -> String {
    let files = plans::export(&Plan::preset("lync-kloud").unwrap(), "windows-reg");
    let file = files.iter().find(|file| file.path == format!("windows/{role}.reg")).unwrap();
    let units: Vec<u16> =
        file.bytes[2..].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    changes.iter().fold(String::from_utf16(&units).unwrap(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

#[test]
fn a_policy_of_windows_that_holds_in_part_is_different() {
    let audio = "different Carillon mediation audio";
    assert_eq!(
        wrong("lync-kloud", &mediation("\"Remote IP\"=\"*\"", "\"Remote IP\"=\"10.1.2.3\"")),
        [format!("{audio}: set `Remote IP` and its prefix length to `*`")]
    );
    assert_eq!(
        wrong("lync-kloud", &mediation("\"Throttle Rate\"=\"-1\"", "\"Throttle Rate\"=\"100\"")),
        [format!("{audio}: set `Throttle Rate` to `-1`: what is above the rate waits")]
    );
    let lines =
        compared("lync-kloud", &[read(&mediation("\"Remote IP\"=\"*\"", "\"Remote IP\"=\"10.1.2.3\""))]);
    assert!(
        lines[0].deployed.as_ref().unwrap().ends_with("EF (46); only for Remote IP 10.1.2.3"),
        "{lines:?}"
    );
}

#[test]
fn a_policy_that_windows_skips_is_missing_where_it_stands() {
    let lines = compared("lync-kloud", &[read(&mediation("49152:57500", "49152 : 57500"))]);
    assert_eq!(told(&lines), ["missing Carillon mediation audio: write `49152:57500` without blanks"]);
    assert!(
        lines[0].place.starts_with("line ") && lines[0].deployed.as_ref().unwrap().contains("event 16710")
    );

    let lines = compared("lync-kloud", &[read(&reg("client", &[("\"lync.exe\"", "\"lync\"")]))]);
    let wrong: Vec<&Line> = lines.iter().filter(|line| line.state != State::Match).collect();
    assert_eq!(wrong.len(), 3, "{:#?}", told(&lines));
    for line in wrong {
        assert_eq!((line.state, line.role), (State::Missing, Some(Role::Client)));
        assert!(line.deployed.as_ref().unwrap().contains("event 16610"), "{line:?}");
        assert_eq!(line.fix.as_deref(), Some("set the program to lync.exe, it is lync; write `lync.exe`"));
    }
}

/// A policy of this hive and name; values are put behind the usual ones.
fn policy(hive: &str, name: &str, values: &[(&str, &str)]) -> String {
    let usual = [
        ("Version", "1.0"),
        ("Application Name", "lync.exe"),
        ("Protocol", "*"),
        ("Local Port", "*"),
        ("Remote Port", "*"),
    ];
    let value = |(name, value): &(&str, &str)| format!("\"{name}\"=\"{value}\"\r\n");
    let values: String = usual.iter().chain(values).map(value).collect();
    format!("\r\n[{hive}\\SOFTWARE\\Policies\\Microsoft\\Windows\\QoS\\{name}]\r\n{values}")
}

#[test]
fn of_several_policies_for_a_packet_windows_applies_one() {
    const COMPUTER: &str = "HKEY_LOCAL_MACHINE";
    let clients = reg("client", &[]);
    assert_eq!(wrong("lync-kloud", &clients), [""; 0]);
    // What beats which of lync.exe's rules: audio, video, sharing, and signaling's three.
    let beaten = |more: &str| -> Vec<(String, State)> {
        let lines = compared("lync-kloud", &[read(&format!("{clients}{more}"))]);
        let planned =
            lines.into_iter().filter(|line| line.what.starts_with("Carillon") && line.state != State::Match);
        planned.map(|line| (line.what.replace("Carillon client ", ""), line.state)).collect()
    };
    let audio = |state| vec![("audio (lync.exe)".to_owned(), state)];
    let none = Vec::<(String, State)>::new;
    for (values, expected) in [
        (
            vec![
                ("Local Port", "20000:20039"),
                ("Remote IP", "10.0.0.0"),
                ("Remote IP Prefix Length", "8"),
                ("DSCP Value", "0"),
            ],
            audio(State::Different),
        ),
        (vec![("Local Port", "20000:20010"), ("DSCP Value", "0")], audio(State::Cannot)),
        (
            vec![
                ("Local Port", "20000:20039"),
                ("Protocol", "UDP"),
                ("DSCP Value", "-1"),
                ("Throttle Rate", "128"),
            ],
            audio(State::Different),
        ),
        (vec![("Local Port", "20000:20039"), ("Protocol", "UDP"), ("DSCP Value", "46")], none()),
        (
            vec![
                ("Application Name", "*"),
                ("Protocol", "UDP"),
                ("Local Port", "20000:20039"),
                ("DSCP Value", "0"),
            ],
            none(),
        ),
        (
            vec![
                ("Application Name", "other.exe"),
                ("Protocol", "UDP"),
                ("Local Port", "20000:20039"),
                ("DSCP Value", "0"),
            ],
            none(),
        ),
        (vec![("DSCP Value", "0")], none()),
        (
            vec![
                ("Application Name", "%ProgramFiles%\\\\Lync\\\\lync.exe"),
                ("Local Port", "20000:20039"),
                ("DSCP Value", "0"),
            ],
            audio(State::Different),
        ),
        (vec![("Version", "2.0"), ("Local Port", "20000:20010"), ("DSCP Value", "0")], none()),
    ] {
        // What goes from a range of media to a port of signaling is left to the tests of contenders.
        let mut beaten = beaten(&policy(COMPUTER, "Other", &values));
        beaten.retain(|(name, _)| !name.starts_with("signaling"));
        assert_eq!(beaten, expected, "{values:?}");
    }
    let user = beaten(&policy("HKEY_CURRENT_USER", "User", &[("DSCP Value", "0")]));
    assert!(
        user.len() >= 3
            && user.iter().all(|(name, state)| name.contains("lync.exe") && *state == State::Missing),
        "{user:?}"
    );
    let lines = compared(
        "lync-kloud",
        &[read(&format!(
            "{clients}{}",
            policy(COMPUTER, "Sub", &[("Local Port", "20000:20010"), ("DSCP Value", "0")])
        ))],
    );
    let line = lines.iter().find(|line| line.what == "Carillon client audio (lync.exe)").unwrap();
    assert!(
        line.deployed.as_ref().unwrap().contains(
            "; no document says whether Windows prefers, for packets that both fit, policy `Sub` (line "
        ),
        "{line:?}"
    );
    assert_eq!(line.fix.as_deref(), Some("take policy `Sub` away, or give it the mark EF (46)"));
}

#[test]
fn one_class_as_a_policy_for_each_protocol_is_as_planned_and_no_finding() {
    let (plan, files) = (Plan::preset("lync-kloud").unwrap(), |text: &str| [read(text)]);
    let codes = |text: &str| -> Vec<&str> {
        let found = drift::lints(&plan, &Scope::default(), Some(Role::Mediation), &files(text));
        found.iter().map(|lint| lint.code).collect()
    };
    let udp = mediation("\"Protocol\"=\"*\"", "\"Protocol\"=\"UDP\"");
    let tcp = policy(
        "HKEY_LOCAL_MACHINE",
        "Also",
        &[
            ("Application Name", "*"),
            ("Protocol", "TCP"),
            ("Local Port", "49152:57500"),
            ("DSCP Value", "46"),
        ],
    );
    assert_eq!(codes(&udp), ["rule-one-protocol"]);
    assert_eq!(codes(&format!("{udp}{tcp}")), [""; 0]);
}

#[test]
fn a_higher_precedence_and_the_active_store_are_seen() {
    let make =
        |name: &str, more: &str| format!("New-NetQosPolicy -Name '{name}' -AppPathName lync.exe {more}\n");
    let script =
        make("A", "-IPSrcPortStart 20000 -IPSrcPortEnd 20039 -DSCPAction 46 -PolicyStore ActiveStore");
    let line = |text: &str| {
        let lines = compared("lync-kloud", &[read(text)]);
        lines.into_iter().find(|line| line.what == "A").unwrap()
    };
    let alone = line(&script);
    assert_eq!(
        (alone.state, alone.note.as_deref()),
        (State::Match, Some("in the active store: gone after a restart"))
    );
    let low = line(&format!("{script}{}", make("B", "-DSCPAction 0")));
    assert_eq!(low.state, State::Match);
    let high = line(&format!("{script}{}", make("B", "-DSCPAction 0 -Precedence 200")));
    assert_eq!(high.state, State::Missing);
    assert!(
        high.deployed.unwrap().contains(
            "never applied: Windows prefers policy `B` (line 2): lync.exe, UDP and TCP: unmarked (0)"
        )
    );
}

#[test]
fn a_policy_of_a_user_holds_in_part() {
    let lines = wrong("lync-kloud", &reg("mediation", &[("HKEY_LOCAL_MACHINE", "HKEY_CURRENT_USER")]));
    assert_eq!(
        lines,
        [
            "different Carillon mediation audio: write it below HKEY_LOCAL_MACHINE, for every user of the computer"
        ]
    );
}

#[test]
fn a_mark_that_is_a_number_is_said_to_be_one() {
    let narrow = policy(
        "HKEY_LOCAL_MACHINE",
        "Other",
        &[("Application Name", "*"), ("Local Port", "49152:57500"), ("DSCP Value", "0")],
    );
    let number = reg("mediation", &[("\"DSCP Value\"=\"46\"", "\"DSCP Value\"=dword:0000002e")]);
    let told = wrong("lync-kloud", &format!("{number}{narrow}"));
    assert_eq!(
        told[0],
        "extra Carillon mediation audio: it has no effect (skipped by Windows: `dscp value` is of type REG_DWORD and must be text): \
         write `dscp value` as REG_SZ, or remove it",
        "{told:#?}"
    );
}

#[test]
fn what_cannot_be_read_is_no_match_and_says_why() {
    let told = wrong("lync-kloud", &mediation("49152:57500", "57500:49152"));
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].starts_with("cannot policy `Carillon mediation audio`: line ")
            && told[0].ends_with("correct it, or remove it"),
        "{told:#?}"
    );
    let listing = "ClientMediaPortRangeEnabled : True\nClientAudioPort : 20000\n";
    assert_eq!(
        wrong("lync-kloud", listing)[0],
        "cannot the ports for audio of client (global): a first port and no number of ports: correct the line"
    );
}

#[test]
fn settings_of_windows_that_lose_marks_are_findings() {
    let head = "REGEDIT4\n\n[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\QoS]\n";
    assert_eq!(
        wrong("lync-kloud", &format!("{head}\"Do not use NLA\"=dword:00000001\n")),
        [
            "different Do not use NLA: make `Do not use NLA` the text `1`: without it policies hold on networks of the domain only"
        ]
    );
    assert_eq!(wrong("lync-kloud", &format!("{head}\"Do not use NLA\"=\"1\"\n")), [""; 0]);
    assert_eq!(
        wrong("lync-kloud", &format!("{head}\"Application DSCP Marking Request\"=\"Ignored\"\n")),
        [
            "different Application DSCP Marking Request: make `Application DSCP Marking Request` the text `Allowed`, or \
             nothing: Windows takes the marks away that programs ask for (event 16510)"
        ]
    );
}

#[test]
fn a_rule_for_every_program_with_the_wrong_mark_is_different_once() {
    let lines = "REGEDIT4\n\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Microsoft\\Windows\\QoS\\Voice]\n\"Version\"=\"1.0\"\n\
                 \"Application Name\"=\"*\"\n\"Protocol\"=\"*\"\n\"Local Port\"=\"20000:20039\"\n\"Remote Port\"=\"*\"\n\
                 \"DSCP Value\"=\"40\"\n";
    let lines = compared("lync-kloud", &[read(lines)]);
    let audio: Vec<String> =
        told(&lines).into_iter().filter(|line| line.contains("udio") || line.contains("Voice")).collect();
    assert_eq!(
        audio,
        [
            "different Voice: set the mark to EF (46), it is CS5 (40); the program to communicator.exe and lync.exe, with a rule \
             for each; it is every program"
        ]
    );
    let path = reg("client", &[("\"lync.exe\"", "\"C:\\\\Lync\\\\lync.exe\"")]);
    let told = wrong("lync-kloud", &path);
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(
        told.iter()
            .all(|line| line.starts_with("different")
                && line.contains("no link or mapped drive (event 16610)"))
    );
}

/// The plan's Cisco configuration, changed.
fn cisco(changes: &[(&str, &str)]) -> String {
    changed("cisco", changes)
}

fn changed(target: &str, changes: &[(&str, &str)]) -> String {
    let files = plans::export(&Plan::preset("schertz-vvx").unwrap(), target);
    let text = String::from_utf8(files[0].bytes.clone()).unwrap() + bound(target);
    changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}\n{text}");
        text.replacen(from, to, 1)
    })
}

/// An interface with the policy of an export.
fn bound(target: &str) -> &'static str {
    match target {
        "cisco" => "interface GigabitEthernet1/0/1\n service-policy input CARILLON-IN\n",
        "junos" => "interfaces { ge-0/0/1 { unit 0 { family inet { filter { input CARILLON-IN; } } } } }\n",
        "aruba-controller" => "user-role staff\n access-list session carillon-media\n",
        _ => "",
    }
}

#[test]
fn what_an_access_list_denies_first_is_not_marked() {
    let list = "ip access-list extended CARILLON-CLIENTS-EF\n";
    let v6 = "ipv6 access-list CARILLON-CLIENTS-EF-V6\n";
    let deny = |line: &str| {
        wrong("schertz-vvx", &cisco(&[(list, &format!("{list} {line}\n")), (v6, &format!("{v6} {line}\n"))]))
    };
    assert_eq!(deny("deny icmp any any"), [""; 0]);
    let all = deny("deny ip any any");
    assert!(
        !all.is_empty()
            && all.iter().all(|line| line.starts_with("missing CARILLON-CLIENTS-EF: put it before line")),
        "{all:#?}"
    );
    let some = deny("deny udp any range 6000 6009 any");
    assert_eq!(some.len(), 2, "what comes from there towards these ports, too: {some:#?}");
    assert!(some[1].contains("add 6000-6009 over UDP to: "), "{some:#?}");
    assert_eq!(deny("deny udp any any eq 53"), [""; 0], "no call goes there");
    let media = deny("deny udp any any range 6000 6009");
    assert!(
        media.iter().any(|line| line.starts_with("different CARILLON-CLIENTS-EF: put it before")),
        "{media:#?}"
    );
}

#[test]
fn a_policy_that_changes_marks_behind_the_rules_is_found() {
    let remark = "class-map match-all R\n match dscp ef\npolicy-map OUT\n class R\n  set dscp cs5\n class class-default\n  set dscp default\n";
    assert_eq!(
        wrong("lync-kloud", remark),
        [
            "different marks behind class R of policy OUT: leave EF (46) as it is in class R of policy OUT: it becomes CS5 (40) \
             there",
            "different marks behind class class-default of policy OUT: leave CS3 (24), AF41 (34) as it is in class class-default \
             of policy OUT: it becomes unmarked (0) there",
        ]
    );
    assert_eq!(
        wrong(
            "lync-kloud",
            &remark
                .replace("match dscp ef", "match dscp cs7")
                .replace(" class class-default\n  set dscp default\n", "")
        ),
        [""; 0]
    );
}

#[test]
fn classes_that_share_a_queue_of_a_router_are_found() {
    let shared = "class-map match-any Q\n match dscp ef\n match dscp af41\npolicy-map WAN\n class Q\n  priority percent 30\n";
    assert_eq!(
        wrong("lync-kloud", shared),
        ["different queue Q: give audio and video a queue each: who shares one waits for the other"]
    );
    assert_eq!(wrong("lync-kloud", &shared.replace(" match dscp af41\n", "")), [""; 0]);
    let mls = "mls qos srr-queue output dscp-map queue 1 threshold 3 34 46\n";
    assert_eq!(wrong("lync-kloud", mls).len(), 1);
    let mutation = "mls qos map dscp-mutation M 46 to 40\n";
    assert!(wrong("lync-kloud", mutation)[0].contains("leave EF (46) as it is in dscp-mutation M"));
    let junos = "class-of-service {\n classifiers { dscp C { forwarding-class best-effort { loss-priority low code-points 101110; } } }\n\
                 rewrite-rules { dscp R { forwarding-class best-effort { loss-priority low code-point 000000; } } }\n}\n";
    assert_eq!(
        wrong("lync-kloud", junos),
        [
            "different queue best-effort: give audio a queue of its own: here it waits behind everything else",
            "different marks behind the rewrite rule of best-effort: leave EF (46) as it is in the rewrite rule of best-effort: it \
             becomes unmarked (0) there",
        ]
    );
}

#[test]
fn terms_behind_one_that_accepts_everything_are_never_reached() {
    let term = "filter CARILLON-IN {\n";
    // In the filters of both versions of IP.
    let first = |then: &str| {
        let text = changed("junos", &[]);
        wrong("schertz-vvx", &text.replace(term, &format!("{term} term FIRST {{ {then} }}\n")))
    };
    let all = first("then accept;");
    assert!(!all.is_empty(), "nothing found");
    assert!(
        all.iter().all(|line| line.starts_with("missing") && line.contains("put it before line")),
        "{all:#?}"
    );
    assert_eq!(first("then { count C; next term; }"), [""; 0]);
    assert_eq!(first("from { protocol icmp; } then accept;"), [""; 0]);
}

#[test]
fn junos_is_read_from_set_lines_as_from_braces() {
    let braces = "firewall { family inet { filter F { term A { from { protocol [ udp tcp ]; source-port 6000-6024; } \
                  then { dscp ef; accept; } } term B { from { destination-prefix-list { SERVERS; } protocol udp; \
                  destination-port 49152-57500; } then { forwarding-class X; dscp ef; } } } } }\n\
                  class-of-service { classifiers { dscp C { forwarding-class X { loss-priority low code-points [ 101110 af41 ]; } } } }";
    let lines = "set firewall family inet filter F term A from protocol udp\nset firewall family inet filter F term A from protocol tcp\n\
                 set firewall family inet filter F term A from source-port 6000-6024\nset firewall family inet filter F term A then dscp ef\n\
                 set firewall family inet filter F term A then accept\n\
                 set firewall family inet filter F term B from destination-prefix-list SERVERS\n\
                 set firewall family inet filter F term B from protocol udp\n\
                 set firewall family inet filter F term B from destination-port 49152-57500\n\
                 set firewall family inet filter F term B then forwarding-class X\nset firewall family inet filter F term B then dscp ef\n\
                 set class-of-service classifiers dscp C forwarding-class X loss-priority low code-points 101110\n\
                 set class-of-service classifiers dscp C forwarding-class X loss-priority low code-points af41\ndeactivate system\n";
    let (braces, lines) = (read(braces), read(lines));
    let said = |file: &Deployed| {
        file.facts.iter().map(|fact| (fact.what.clone(), fact.caveats.clone())).collect::<Vec<_>>()
    };
    assert_eq!(said(&lines), said(&braces));
    assert_eq!(braces.facts.len(), 3);
    assert_eq!(braces.facts[1].caveats[0].text, "only to SERVERS");
    assert_eq!(lines.notes[0].to_string(), "line 13: `deactivate system` is not understood: passed over");
}

#[test]
fn rules_of_a_host_in_a_chain_that_marks_nothing_are_missing() {
    let files = plans::export(&Plan::preset("lync-kloud").unwrap(), "nftables");
    let file = files.iter().find(|file| file.path == "linux/marks-client.nft").unwrap();
    let text = String::from_utf8(file.bytes.clone()).unwrap();
    assert_eq!(wrong("lync-kloud", &text), [""; 0]);
    for hook in ["input", "forward"] {
        let moved = text.replace("type route hook output", &format!("type filter hook {hook}"));
        let lines = drift::compare(
            &Plan::preset("lync-kloud").unwrap(),
            &Scope::default(),
            Some(Role::Client),
            &[read(&moved)],
        );
        assert_eq!(lines.len(), 3, "{:#?}", told(&lines));
        for line in &lines {
            assert_eq!(line.state, State::Missing);
            assert!(line.fix.as_ref().unwrap().contains("a chain of hook output"), "{line:?}");
        }
    }
    let ended = text.replace("policy accept;\n", "policy accept;\n accept\n");
    let told = wrong("lync-kloud", &ended);
    assert_eq!(told.len(), 3);
    assert!(
        told.iter().all(|line| line.starts_with("missing") && line.contains("put it before line")),
        "{told:#?}"
    );
}

#[test]
fn servers_may_be_told_by_their_addresses_and_clients_not() {
    let list = |from: &str, ports: &str| {
        let lines: String = ["udp", "tcp"]
            .iter()
            .map(|protocol| format!(" permit {protocol} {from} range {ports} any\n"))
            .collect();
        let text = format!(
            "ip access-list extended L\n{lines}class-map match-any C\n match access-group name L\npolicy-map P\n class C\n  set dscp ef\n\
             interface Gi1\n service-policy input P\n"
        );
        let lines = compared("lync-kloud", &[read(&text)]);
        let line = lines.into_iter().find(|line| line.what == "C").unwrap();
        (line.state, line.fix.or(line.note).unwrap_or_default(), line.deployed.unwrap_or_default())
    };
    let rule = |ports: &str, whom: &str| {
        format!("every program, UDP and TCP, source {ports}: EF (46){whom}; at Gi1 (input)")
    };
    let (state, fix, _) = list("any", "49152 57500");
    assert_eq!(state, State::Different);
    assert!(fix.starts_with("hold it to the servers' addresses"), "{fix}");
    assert_eq!(
        list("object-group SERVERS", "49152 57500"),
        (State::Match, "only from SERVERS".to_owned(), rule("49152-57500", "; only from SERVERS"))
    );
    assert_eq!(
        list("host 10.0.0.1", "20000 20039"),
        (
            State::Different,
            "take the condition on 10.0.0.1 away, or add what is missing".to_owned(),
            rule("20000-20039", "; only from 10.0.0.1")
        )
    );
}

#[test]
fn a_rule_beyond_its_range_says_which_part_the_plan_marks_how() {
    let text = "ip access-list extended L\n permit udp any gt 19999 any\n permit tcp any gt 19999 any\nclass-map match-any C\n match \
                access-group name L\npolicy-map P\n class C\n  set dscp ef\ninterface Gi0/1\n service-policy input P\n";
    let lines = compared("lync-kloud", &[read(text)]);
    let fix = lines.iter().find(|line| line.what == "C").unwrap().fix.clone().unwrap();
    assert!(fix.starts_with("mark 20040-20079 AF41 (34) and ") && fix.contains(", not EF (46)"), "{fix}");
    assert!(!fix.contains("leave out 20040") && fix.contains("; leave out 20"), "{fix}");
}

#[test]
fn a_rule_for_one_protocol_says_what_the_other_lacks() {
    let text = changed("aruba-controller", &[]);
    let udp_only: String =
        text.lines().filter(|line| !line.contains(" tcp 6000 ")).map(|line| format!("{line}\n")).collect();
    let told = wrong("schertz-vvx", &udp_only);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("over TCP to: every program, UDP and TCP, destination 6000-6024"), "{told:#?}");
}

#[test]
fn what_a_phone_s_file_leaves_out_is_missing_and_what_it_cannot_do_is_said() {
    let polycom = |parameters: &str| read(&format!("<x {parameters}/>"));
    let audio = polycom("qos.ip.rtp.dscp=\"46\" tcpIpApp.port.rtp.mediaPortRangeStart=\"6000\"");
    let rest = polycom(
        "qos.ip.rtp.video.dscp=\"34\" qos.ip.callControl.dscp=\"24\" tcpIpApp.port.rtp.videoPortRange.enable=\"1\" \
         tcpIpApp.port.rtp.videoPortRangeStart=\"6025\"",
    );
    let lines = told(&compared("schertz-vvx", std::slice::from_ref(&audio)));
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[0].starts_with(
            "missing video of vvx: add first port 6025, mark AF41 (34): what the file leaves out"
        ),
        "{lines:#?}"
    );
    assert!(lines[1].starts_with("missing signaling of vvx: add mark CS3 (24)"), "{lines:#?}");
    assert_eq!(told(&compared("schertz-vvx", &[audio, rest])), [""; 0]);

    let other = polycom("qos.ip.rtp.dscp=\"40\" tcpIpApp.port.rtp.mediaPortRangeStart=\"6002\"");
    let lines = told(&compared("schertz-vvx", &[other]));
    assert_eq!(
        lines[0],
        "different audio of vvx: set the first port to 6000, it is 6002; set the mark to EF (46), it is CS5 (40)"
    );

    let yealink = "static.network.qos.audiotos = 46\nstatic.network.qos.videotos = 34\nstatic.network.qos.signaltos = 24\n\
                   static.network.port.min_rtpport = 6000\nstatic.network.port.max_rtpport = 6024\n";
    assert_eq!(
        wrong("schertz-vvx", yealink),
        [
            "cannot video of yealink: yealink has one range for all media: its video leaves from the ports of audio"
        ]
    );
}

#[test]
fn browsers_are_compared_with_the_range_that_the_plan_gives_them() {
    for (text, count) in
        [("{\"WebRtcUdpPortRange\": \"20000-20159\"}", 0), ("{\"WebRtcUdpPortRange\": \"1-2\"}", 1)]
    {
        let told = wrong("lync-kloud", text);
        assert_eq!(told.len(), count, "{told:?}");
        assert!(told.iter().all(|line| line.contains("set it to 20000-20159, it is 1-2")));
    }
}

#[test]
fn parts_of_a_host_s_rule_are_it_together_and_say_what_they_leave() {
    let whole = mediation("x", "x");
    let (head, policy) = whole.split_at(whole.rfind("[HKEY").unwrap());
    let parts = |changes: [(&str, &str); 2]| {
        let part = |(number, (from, to)): (usize, &(&str, &str))| {
            assert!(policy.contains(from), "{from}");
            policy.replace(from, to).replace("mediation audio", &format!("mediation voice {number}"))
        };
        let text: String = changes.iter().enumerate().map(part).collect();
        wrong("lync-kloud", &format!("{head}{text}"))
    };
    let both = "\"Protocol\"=\"*\"";
    assert_eq!(parts([(both, "\"Protocol\"=\"UDP\""), (both, "\"Protocol\"=\"TCP\"")]), [""; 0]);
    let ports = "49152:57500";
    assert_eq!(parts([(ports, "49152:50000"), (ports, "50001:57500")]), [""; 0]);
    assert_eq!(parts([(ports, "49152:50000"), (ports, "50001:57499")]), [""; 0], "the product ends there");
    let short = parts([(ports, "49152:50000"), (ports, "50002:57500")]);
    assert_eq!(short.len(), 2, "{short:#?}");
    assert!(
        short.iter().all(|line| line.starts_with("different Carillon mediation voice")
            && line.contains("add 50001 to it: Carillon mediation audio is in parts")),
        "{short:#?}"
    );
    let stray = parts([(ports, "49152:57500"), (ports, "49000:49100")]);
    assert_eq!(stray.len(), 1, "{stray:#?}");
    assert!(stray[0].starts_with("extra"), "{stray:#?}");
}

/// State and name of what is no match, each kind once.
fn kinds(preset: &str, text: &str) -> Vec<String> {
    let mut kinds: Vec<String> =
        wrong(preset, text).iter().map(|line| line.split(':').next().unwrap().to_owned()).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

#[test]
fn a_policy_that_is_bound_nowhere_marks_nothing() {
    let all = |state: &str, text: &str, fix: &str| {
        let told = wrong("schertz-vvx", text);
        assert_eq!(told.len(), 6, "{told:#?}");
        assert!(told.iter().all(|line| line.starts_with(state) && line.contains(fix)), "{told:#?}");
    };
    let bind = " service-policy input CARILLON-IN\n";
    assert_eq!(wrong("schertz-vvx", &cisco(&[])), [""; 0]);
    all("missing", &cisco(&[(bind, "")]), "attach it: `service-policy input CARILLON-IN`");
    all("missing", &cisco(&[(bind, &format!("{bind} no{bind}"))]), "attach it");
    all("missing", &cisco(&[(bind, &format!("{bind} shutdown\n"))]), "attach it");
    let plain = cisco(&[]);
    let (snippet, _) = plain.split_once("interface ").unwrap();
    all("cannot", snippet, "check the whole configuration");
    let shaped = "policy-map OUT\n class class-default\n  shape average 1000000\n  service-policy CARILLON-IN\n\
                  interface Gi2\n service-policy output OUT\n";
    assert_eq!(wrong("schertz-vvx", &format!("{snippet}{shaped}")), [""; 0]);

    let aruba = |from: &str, to: &str| wrong("schertz-vvx", &changed("aruba-controller", &[(from, to)]));
    assert_eq!(aruba("", ""), [""; 0]);
    let other = aruba("access-list session carillon-media\n", "access-list session other\n");
    assert!(!other.is_empty() && other.iter().all(|line| line.starts_with("missing")), "{other:#?}");

    let junos = |from: &str, to: &str| changed("junos", &[(from, to)]);
    assert_eq!(wrong("schertz-vvx", &junos("", "")), [""; 0]);
    all("missing", &junos("input CARILLON-IN;", "input OTHER;"), "attach it: `filter input CARILLON-IN`");
    all(
        "cannot",
        &junos("input CARILLON-IN;", "").replace("interfaces {", "apply-groups {"),
        "check the whole",
    );
}

#[test]
fn a_class_that_takes_packets_first_or_behind_counts() {
    let before = |class: &str, then: &str| {
        cisco(&[(
            "policy-map CARILLON-IN\n",
            &format!(
                "class-map match-any FIRST\n match {class}\npolicy-map CARILLON-IN\n class FIRST\n{then}"
            ),
        )])
    };
    let names = ["CARILLON-CLIENTS-AF41", "CARILLON-CLIENTS-CS3", "CARILLON-CLIENTS-EF"];
    let each =
        |state: &str, names: &[&str]| names.iter().map(|name| format!("{state} {name}")).collect::<Vec<_>>();
    let of = |text: &str| kinds("schertz-vvx", text);
    assert_eq!(of(&before("any", "  set dscp default\n")), each("missing", &names));
    assert_eq!(of(&before("any", "  set dscp ef\n")), each("missing", &names[..2]));
    assert_eq!(of(&before("protocol rtp", "")), each("cannot", &names));
    assert_eq!(of(&before("access-group name NONE", "  set dscp ef\n")), each("cannot", &names[..2]));
    assert_eq!(
        of(&before("dscp af41", "")),
        each("different", &["CARILLON-CLIENTS-CS3", "CARILLON-CLIENTS-EF"])
    );

    let behind = |direction: &str, classes: &str| {
        cisco(&[]) + &format!("policy-map WAN\n{classes}interface Gi2\n service-policy {direction} WAN\n")
    };
    let default =
        " class CARILLON-CLIENTS-EF\n  priority percent 30\n class class-default\n  set dscp default\n";
    for direction in ["output", "input"] {
        assert_eq!(of(&behind(direction, default)), each("different", &names[..2]), "{direction}");
    }
    assert_eq!(of(&behind("output", " class CARILLON-CLIENTS-EF\n  priority percent 30\n")), [""; 0]);
    let unread = " class OTHER\n  set dscp default\n";
    assert_eq!(of(&behind("output", unread)), each("cannot", &names));
}

#[test]
fn what_leaves_marks_alone_touches_only_what_it_touches() {
    let ef = |then: &str| kinds("schertz-vvx", &cisco(&[("  set dscp ef\n", then)]));
    assert_eq!(ef("  set dscp ef\n  police 128000 conform-action transmit exceed-action drop\n"), [""; 0]);
    assert_eq!(ef("  police 128000 conform-action set-dscp-transmit ef exceed-action drop\n"), [""; 0]);
    assert_eq!(
        ef(
            "  set dscp ef\n  police 128000\n   conform-action transmit\n   exceed-action set-dscp-transmit default\n"
        ),
        ["different CARILLON-CLIENTS-EF"]
    );
    let trusted = cisco(&[("  set dscp ef\n", "  trust dscp\n")]);
    assert_eq!(kinds("schertz-vvx", &trusted), ["missing CARILLON-CLIENTS-EF"], "and nobody else");
    let notes = read(&trusted).notes;
    assert!(notes.iter().any(|note| note.text.starts_with("believes the marks")), "{notes:?}");
}

#[test]
fn terms_that_hand_on_may_be_marked_otherwise() {
    let first = "term CLIENTS-EF-1-source {";
    let text = |behind: &str| {
        let text = changed("junos", &[]);
        let own = text.find(first).unwrap();
        let (head, rest) = text.split_at(own);
        let rest = rest.replacen("accept;", "next term;", 1);
        let at = rest.find("term ").and_then(|_| rest[5..].find("term CLIENTS")).unwrap() + 5;
        format!("{head}{}{behind}{}", &rest[..at], &rest[at..])
    };
    let of = |behind: &str| kinds("schertz-vvx", &text(behind));
    assert_eq!(of(""), [""; 0]);
    assert_eq!(
        of("term Z { from { protocol udp; source-port 1-65535; } then { dscp 0; next term; } }\n"),
        ["different CARILLON-IN CLIENTS-EF-1-source", "different CARILLON-IN Z"]
    );
    assert_eq!(
        of(
            "term Y { from { source-port 6000-6024; } then { dscp ef; accept; } } term Z { from { source-port 6000-6024; } then { dscp 0; next term; } }\n"
        ),
        ["extra CARILLON-IN Z"],
        "it is never met"
    );
    let read = |line: &str| {
        let set = "set firewall family inet filter F term A from source-port 6000\nset firewall family inet filter F term A then dscp ef\n";
        import::read("x", format!("{set}{line}\n").as_bytes()).unwrap().facts.len()
    };
    assert_eq!(read(""), 1);
    for line in [
        "deactivate firewall",
        "deactivate firewall family inet filter F term A",
        "delete firewall family inet filter F",
    ] {
        assert_eq!(read(line), 0, "{line}");
    }
    let inactive = changed("junos", &[(first, &format!("inactive: {first}"))]);
    assert!(import::read("x", inactive.as_bytes()).unwrap().notes[0].text.contains("is not in force"));
}

/// The rules of clients on Linux, whose packets go on behind each; more lines in the chain, and behind the table.
fn linux(lines: &str, behind: &str) -> String {
    let files = plans::export(&Plan::preset("lync-kloud").unwrap(), "nftables");
    let file = files.iter().find(|file| file.path == "linux/marks-client.nft").unwrap();
    let text = String::from_utf8(file.bytes.clone()).unwrap().replace(" accept comment", " comment");
    let body = text.strip_suffix("    }\n}\n").unwrap();
    format!("{body}{lines}\n    }}\n}}\n{behind}")
}

#[test]
fn a_later_rule_that_sets_another_mark_wins() {
    let count = |lines: &str, behind: &str| {
        let told = wrong("lync-kloud", &linux(lines, behind));
        assert!(told.iter().all(|line| line.starts_with("different Carillon client")), "{told:#?}");
        assert!(told.iter().all(|line| line.contains("leave these packets as they are")), "{told:#?}");
        told.len()
    };
    assert_eq!(count("", ""), 0);
    assert_eq!(count("udp sport 1024-65535 ip dscp set cs0", ""), 2);
    assert_eq!(count("ip6 dscp set cs0", ""), 3, "one version of IP is enough");
    assert_eq!(count("accept\nip dscp set cs0", ""), 0, "it is never met");
    assert_eq!(count("udp dport 53 drop\nudp dport 53 ip dscp set cs1", ""), 0, "no call goes there");
    let chain = |head: &str| {
        format!("table inet late {{ chain c {{ type filter hook {head};\nip dscp set cs0\n}} }}\n")
    };
    assert_eq!(count("", &chain("postrouting priority 0")), 3);
    assert_eq!(count("accept", &chain("postrouting priority 0")), 3, "accepted is not past the next chain");
    assert_eq!(count("", &chain("output priority filter")), 3);
    assert_eq!(count("", &chain("output priority raw")), 0, "it comes first");
    assert_eq!(count("", &chain("input priority 0")), 0);
    let untold = wrong("lync-kloud", &linux("meta mark 7 ip dscp set cs0", ""));
    assert!(untold.len() == 3 && untold.iter().all(|line| line.starts_with("cannot")), "{untold:#?}");
    assert_eq!(read(&linux("", "flush ruleset\n")).facts.len(), 0);

    let saved = |last: &str| {
        let rule =
            |protocol: &str| format!("-A OUTPUT -p {protocol} --sport 49152:57500 -j DSCP --set-dscp 46\n");
        let text = format!("*mangle\n{}{}{last}COMMIT\n", rule("udp"), rule("tcp"));
        let plan = Plan::preset("lync-kloud").unwrap();
        let lines = drift::compare(&plan, &Scope::default(), Some(Role::Mediation), &[read(&text)]);
        told(&lines).iter().filter(|line| !line.starts_with("extra")).count()
    };
    assert_eq!(saved(""), 0);
    assert_eq!(saved("-A OUTPUT -p udp -j DSCP --set-dscp 0\n"), 1);
    assert_eq!(saved("-A POSTROUTING -j DSCP --set-dscp 0\n"), 1);
    assert_eq!(saved("-A OUTPUT -p udp --sport 5000 -j DSCP --set-dscp 0\n"), 0);
}

#[test]
fn ports_that_are_compared_with_signs_are_ranges() {
    let rules = |ports: &str| {
        let text = format!(
            "table inet t {{ chain c {{ type filter hook output priority 0;\n{ports} ip dscp set ef\n{ports} ip6 dscp set ef\n}} }}\n"
        );
        let file = read(&text);
        file.facts
            .iter()
            .map(|fact| match &fact.what {
                import::What::Rule(rule) => rule.describe(),
                other => format!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        rules("th sport >= 20000 th sport <= 20039"),
        ["every program, UDP and TCP, source 20000-20039: EF (46)"]
    );
    assert_eq!(rules("udp dport > 65000"), ["every program, UDP, destination 65001-65535: EF (46)"]);
    assert_eq!(
        rules("udp sport < 1024 udp sport 1000-2000"),
        ["every program, UDP, source 1000-1023: EF (46)"]
    );
    assert_eq!(rules("udp sport > 2000 udp sport < 1000"), [""; 0]);
}

#[test]
fn a_switch_that_names_no_addresses_is_not_asked_for_servers() {
    let text = "base = \"schertz-vvx\"\nname = \"x\"\n[roles.mediation.audio]\nports = \"49152-57500\"\ndscp = \"EF\"\n\
                [servers]\nnetworks = [\"10.1.0.0/24\"]\n";
    let plan = Plan::from_toml(text).unwrap();
    let file = plans::export(&plan, "aruba-switch").remove(0);
    let file = import::read(&file.path, &file.bytes).unwrap();
    let lines = drift::compare(&plan, &Scope::default(), None, &[file]);
    let told: Vec<_> = lines.iter().filter(|line| line.state != State::Match).collect();
    assert!(!told.is_empty(), "{lines:#?}");
    assert!(told.iter().all(|line| line.state == State::Cannot && line.fix.is_none()), "{told:#?}");
}
