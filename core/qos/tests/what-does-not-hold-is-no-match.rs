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
    let text = String::from_utf8(files[0].bytes.clone()).unwrap();
    changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}\n{text}");
        text.replacen(from, to, 1)
    })
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
    let others = deny("deny udp any any eq 53");
    assert!(
        !others.is_empty()
            && others.iter().all(|line| line.starts_with("different CARILLON-CLIENTS-EF: put it before")),
        "{others:#?}"
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
                 set class-of-service classifiers dscp C forwarding-class X loss-priority low code-points af41\ndeactivate firewall\n";
    let (braces, lines) = (read(braces), read(lines));
    let said = |file: &Deployed| {
        file.facts.iter().map(|fact| (fact.what.clone(), fact.caveats.clone())).collect::<Vec<_>>()
    };
    assert_eq!(said(&lines), said(&braces));
    assert_eq!(braces.facts.len(), 3);
    assert_eq!(braces.facts[1].caveats[0].text, "only to SERVERS");
    assert_eq!(lines.notes[0].to_string(), "line 13: `deactivate firewall` is not understood: passed over");
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
            "ip access-list extended L\n{lines}class-map match-any C\n match access-group name L\npolicy-map P\n class C\n  set dscp ef\n"
        );
        let lines = compared("lync-kloud", &[read(&text)]);
        let line = lines.into_iter().find(|line| line.what == "C").unwrap();
        (line.state, line.fix.or(line.note).unwrap_or_default(), line.deployed.unwrap_or_default())
    };
    let rule = |ports: &str, whom: &str| format!("every program, UDP and TCP, source {ports}: EF (46){whom}");
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
