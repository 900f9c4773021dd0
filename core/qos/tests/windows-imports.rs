//! What is read from files of Windows: exactly what was written, or every error with its place.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

#[path = "support/plans.rs"]
mod plans;

use carillon_qos::export::{Order, rules};
use carillon_qos::import::{self, Deployed, Fact, Reach, What};
use carillon_qos::plan::Scope;
use carillon_qos::{MarkingRule, Plan, Protocol, Role};
use plans::{export, plans, read_back};
use proptest::prelude::*;

/// The rules that Windows applies.
fn rules_in(file: &Deployed) -> Vec<MarkingRule> {
    let rule = |fact: &Fact| match &fact.what {
        What::Rule(rule) => Some(rule.clone()),
        _ => None,
    };
    let works = |fact: &&Fact| fact.caveats.iter().all(|caveat| caveat.reach != Reach::Nothing);
    file.facts.iter().filter(works).filter_map(rule).collect()
}

/// What is the matter with rules, and what to do.
fn caveats(text: &str) -> Vec<String> {
    let read = import::read("x", text.as_bytes()).unwrap();
    let all = read.facts.iter().flat_map(|fact| &fact.caveats);
    all.map(|caveat| format!("{}: {}", caveat.text, caveat.fix)).collect()
}

fn of_role(plan: &Plan, role: Role) -> Vec<MarkingRule> {
    rules::of_role(&Order { plan, scope: Scope::default() }, role).unwrap()
}

/// The role that stands in a path: `windows/client.reg`, `windows/edge/Registry.pol`.
fn role_of(path: &str) -> Role {
    let words = path.split(['/', '.']);
    words.into_iter().find_map(Role::from_name).unwrap()
}

/// The rules, and what is not known; or what is wrong with the file.
fn lines(text: &str) -> Vec<String> {
    let unread = |fact: &Fact| match &fact.what {
        What::Unread { what, why, .. } => Some(format!("{what} is not known: {why}")),
        _ => None,
    };
    match import::read("x", text.as_bytes()) {
        Ok(read) => {
            let rules = rules_in(&read);
            let rules = rules.iter().map(|rule| format!("{}: {}", rule.name, rule.describe()));
            rules.chain(read.facts.iter().filter_map(unread)).collect()
        }
        Err(notes) => notes.iter().map(|note| format!("error {note}")).collect(),
    }
}

fn notes(text: &str) -> Vec<String> {
    import::read("x", text.as_bytes()).unwrap().notes.iter().map(ToString::to_string).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_exported_is_read_back(plan in plans()) {
        for target in ["windows-reg", "windows-pol", "windows-netqos"] {
            for file in read_back(&plan, target) {
                prop_assert_eq!(&rules_in(&file), &of_role(&plan, role_of(&file.source)), "{}", file.source);
                prop_assert_eq!(&file.notes, &vec![], "{}", file.source);
            }
        }
    }

    #[test]
    fn both_views_of_get_netqospolicy_are_read(plan in plans()) {
        for role in [Role::Client, Role::Edge] {
            let rules = of_role(&plan, role);
            for listing in [default_view(&rules), star_view(&rules)].iter().filter(|_| !rules.is_empty()) {
                let wide: Vec<u8> = format!("\u{feff}{listing}").encode_utf16().flat_map(u16::to_le_bytes).collect();
                for bytes in [listing.as_bytes(), &wide] {
                    let read = import::read("x", bytes).unwrap();
                    prop_assert_eq!(read.format, "Get-NetQosPolicy");
                    prop_assert_eq!(rules_in(&read), rules.clone(), "{}", listing);
                }
            }
        }
    }

    #[test]
    fn no_damage_is_read_in_part(at in 0usize..6000, byte in any::<u8>(), pol in any::<bool>()) {
        let plan = Plan::preset("lync-kloud").unwrap();
        let file = &export(&plan, if pol { "windows-pol" } else { "windows-reg" })[0];
        let mut bytes = file.bytes.clone();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Err(notes) = import::read("x", &bytes) {
            prop_assert!(!notes.is_empty() && notes.iter().all(|note| !note.place.is_empty()));
        }
        // Cut off, a file is an error unless a whole number of records or values is left.
        let cut = import::read("x", &file.bytes[..at]);
        if let Ok(cut) = cut {
            let whole = of_role(&plan, Role::Client);
            prop_assert!(rules_in(&cut).iter().all(|rule| whole.contains(rule)), "{:?}", cut);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..4usize) {
        let head: &[u8] = [&b"PReg\x01\0\0\0["[..], b"REGEDIT4\n", b"\xff\xfe", b"Name: x\nNetworkProfile: All\n"][kind];
        let _ = import::read("x", &[head, &bytes].concat());
    }
}

fn default_view(rules: &[MarkingRule]) -> String {
    let mut text = String::new();
    for rule in rules {
        text += &format!("\r\nName           : {}\r\nOwner          : Group Policy (Machine)\r\n", rule.name);
        text += "NetworkProfile : All\r\nPrecedence     : 127\r\n";
        text +=
            &rule.application.as_ref().map_or(String::new(), |name| format!("AppPathName    : {name}\r\n"));
        text += &format!("IPProtocol     : {}\r\n", protocol(rule));
        for (side, ports) in [("Src", rule.source_ports), ("Dst", rule.destination_ports)] {
            if let Some(ports) = ports {
                text += &format!(
                    "IP{side}PortStart : {}\r\nIP{side}PortEnd   : {}\r\n",
                    ports.start(),
                    ports.end()
                );
            }
        }
        text += &format!("DSCPValue      : {}\r\n\r\n", rule.mark.value());
    }
    text
}

fn star_view(rules: &[MarkingRule]) -> String {
    let mut text = String::new();
    for rule in rules {
        let ports = |ports: Option<carillon_qos::PortRange>| {
            ports.map_or((0, 0), |ports| (ports.start(), ports.end()))
        };
        let (source, destination) = (ports(rule.source_ports), ports(rule.destination_ports));
        let application = rule.application.clone().unwrap_or_default();
        for suffix in ["", "MatchCondition"] {
            text +=
                &format!("User{suffix} : \nAppPathName{suffix} : {application}\nTemplate{suffix} : None\n");
            text += &format!(
                "NetDirectPort{suffix} : 0\nIPProtocol{suffix} : {}\nIPPort{suffix} : 0\n",
                protocol(rule)
            );
            text += &format!("IPSrcPortStart{suffix} : {}\nIPSrcPortEnd{suffix} : {}\n", source.0, source.1);
            text += &format!(
                "IPDstPortStart{suffix} : {}\nIPDstPortEnd{suffix} : {}\n",
                destination.0, destination.1
            );
            text += &format!("URI{suffix} : \nURIRecursive{suffix} : False\n");
            if suffix.is_empty() {
                text += &format!(
                    "PriorityValue : \nDSCPValue : {}\nThrottleRate : \nNetworkProfile : All\n",
                    rule.mark.value()
                );
            }
        }
        text += &format!(
            "PriorityValue8021Action : -1\nDSCPAction : {}\nInstanceID : {{GUID}}\\x\n",
            rule.mark.value()
        );
        text += &format!("Name : {}\nOwner : Group Policy (Machine)\nVersion : 2.0\n\n", rule.name);
    }
    text
}

fn protocol(rule: &MarkingRule) -> &'static str {
    match rule.protocol {
        Protocol::Both => "Both",
        Protocol::Udp => "UDP",
        Protocol::Tcp => "TCP",
    }
}

const KEY: &str = r"[HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows\QoS\Voice]";

/// A `.reg` file with one policy of these values beside the usual ones.
fn reg(values: &str) -> String {
    let usual = "\"Version\"=\"1.0\"\n\"Application Name\"=\"*\"\n\"Protocol\"=\"*\"\n\"Local Port\"=\"1000:1999\"\n\
                 \"Remote Port\"=\"*\"\n\"DSCP Value\"=\"46\"\n";
    format!("Windows Registry Editor Version 5.00\n\n{KEY}\n{usual}{values}\n")
}

#[test]
fn every_wrong_value_is_named_with_its_line() {
    let text =
        reg("\"Local Port\"=\"9:5\"\n\"DSCP Value\"=\"64\"\n\"Protocol\"=\"SCTP\"\n\"Remote Port\"=\"0\"");
    assert_eq!(
        lines(&text),
        ["policy `Voice` is not known: line 12: `protocol` = `SCTP` is none of `*`, `TCP`, `UDP`; \
          line 10: `local port` = `9:5` is neither `*`, a port nor a range such as `20000:20039`; \
          line 13: `remote port` = `0` is neither `*`, a port nor a range such as `20000:20039`; \
          line 11: `dscp value` = `64` is no number from 0 to 63"]
    );
    assert!(
        lines(&reg("\"DSCP Value\"=dword:00000046"))[0].contains("the number 70 (REG_DWORD) is no number")
    );
}

#[test]
fn one_bad_policy_keeps_no_other_from_being_read() {
    let text = reg("\"Protocol\"=\"SCTP\"")
        + reg("").split_once("\n\n").unwrap().1.replace("Voice", "Other").as_str();
    assert_eq!(
        lines(&text),
        [
            "Other: every program, UDP and TCP, source 1000-1999: EF (46)",
            "policy `Voice` is not known: line 10: `protocol` = `SCTP` is none of `*`, `TCP`, `UDP`"
        ]
    );
}

#[test]
fn every_broken_line_is_named_and_nothing_of_the_file_counts() {
    let text = reg("nonsense\n\"unclosed\n") + "\n";
    assert_eq!(lines(&text)[0], "error line 10: neither a key in brackets nor a value");
    assert!(
        lines(&text)[1].starts_with("error line 11: the name's quotes are not closed"),
        "{:?}",
        lines(&text)
    );
    assert!(lines(&reg("\"a\" \"b\"")).contains(&"error line 10: `a` has no `=` and value".to_owned()));
    assert!(lines(&reg("\"a\"=\"b\" c"))[0].contains("is followed by `c`"));
    assert!(lines(&reg("\"a\"=word"))[0].contains("no text in quotes"));
    assert!(lines(&reg("[HKEY_LOCAL_MACHINE\\x"))[0].contains("not closed"));
}

#[test]
fn many_errors_end_the_reading() {
    assert_eq!(lines(&reg(&"x\n".repeat(100_000))).len(), 100);
}

#[test]
fn spellings_of_windows_and_of_people_are_read() {
    let read = lines(&reg(
        "\"Local Port\"=\"50000-50019\"\n\"Application Name\"=\"C:\\\\A \\\"B\\\"\\\\x.exe\" ; note",
    ));
    assert_eq!(read, ["Voice: C:\\A \"B\"\\x.exe, UDP and TCP, source 50000-50019: EF (46)"]);
    let hex = "\"Local Port\"=hex(1):31,00,30,00,\\\n  3a,00,32,00,30,00,00,00";
    assert_eq!(lines(&reg(hex)), ["Voice: every program, UDP and TCP, source 10-20: EF (46)"]);
    assert_eq!(lines(&reg("").replace('\n', "\r\n")).len(), 1);
    assert_eq!(lines(&reg("").replace("Voice", "A]B[").replace("SOFTWARE", "software")).len(), 1);
}

#[test]
fn what_windows_skips_has_no_effect_and_says_why() {
    let cases = [
        ("\"Version\"=\"2.0\"", "skipped by Windows: version `2.0` and not `1.0` (event 16602)"),
        ("\"Version\"=-", "has no `Version`"),
        ("\"DSCP Value\"=dword:0000002e", "of type REG_DWORD and must be text"),
        (
            "\"Local Port\"=\"1000 : 1999\"",
            "blanks in `local port` = `1000 : 1999` (event 16710): write `1000:1999`",
        ),
        ("\"Application Name\"=\"lync\"", "ends in `.exe` (event 16610): write `lync.exe`"),
        ("\"Application Name\"=\"\\\\\\\\host\\\\x\\\\lync.exe\"", "on another host (event 16610)"),
    ];
    for (value, reason) in cases {
        assert_eq!(lines(&reg(value)), Vec::<String>::new(), "{value}");
        let caveats = caveats(&reg(value));
        assert!(caveats[0].contains(reason), "{value}: {caveats:?}");
    }
    for (value, reason) in [("\"DSCP Value\"=\"-1\"", "sets no mark"), ("\"URL\"=\"http://x\"", "web server")]
    {
        assert_eq!(lines(&reg(value)), Vec::<String>::new(), "{value}");
        assert!(
            notes(&reg(value)).iter().any(|note| note.contains(reason)),
            "{value}: {:?}",
            notes(&reg(value))
        );
    }
}

#[test]
fn what_narrows_a_rule_stands_with_it() {
    let values = "\"Local IP\"=\"10.0.0.0\"\n\"Local IP Prefix Length\"=\"8\"\n\"Remote IP\"=\"10.1.2.3\"\n\
                  \"Throttle Rate\"=\"100\"\n";
    assert_eq!(
        caveats(&reg(values)),
        [
            "only for Local IP 10.0.0.0/8: set `Local IP` and its prefix length to `*`",
            "only for Remote IP 10.1.2.3: set `Remote IP` and its prefix length to `*`",
            "throttled to 100 KB/s: set `Throttle Rate` to `-1`: what is above the rate waits",
        ]
    );
    assert_eq!(lines(&reg(values)).len(), 1);
}

const TCPIP: &str = r"[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Tcpip\QoS]";

#[test]
fn settings_of_the_system_are_statements() {
    let settings = |text: &str| -> Vec<String> {
        let read = import::read("x", format!("REGEDIT4\n\n{text}\n").as_bytes()).unwrap();
        let setting = |fact: &Fact| match &fact.what {
            What::System { name, value, wanted, .. } => format!("{name} {value} {}", value == wanted),
            What::Browser { ports } => format!("browser {ports}"),
            other => panic!("{other:?}"),
        };
        read.facts.iter().map(setting).collect()
    };
    assert_eq!(settings(&format!("{TCPIP}\n\"Do not use NLA\"=\"1\"")), ["Do not use NLA the text `1` true"]);
    assert_eq!(
        settings(&format!("{TCPIP}\n\"Do not use NLA\"=dword:1")),
        ["Do not use NLA the number 1 (REG_DWORD) false"]
    );
    for key in [
        r"SYSTEM\CurrentControlSet\Services\Tcpip\QoS",
        r"SOFTWARE\Policies\Microsoft\Windows\QoS",
        r"SOFTWARE\Policies\Microsoft\Windows\Psched",
    ] {
        let ignored =
            format!("[HKEY_LOCAL_MACHINE\\{key}]\n\"Application DSCP Marking Request\"=\"Ignored\"");
        assert_eq!(settings(&ignored), ["Application DSCP Marking Request `Ignored` false"]);
    }
    let chrome =
        "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Google\\Chrome]\n\"WebRtcUdpPortRange\"=\"20000-20159\"";
    assert_eq!(settings(chrome), ["browser 20000-20159"]);
}

#[test]
fn what_a_rule_cannot_hold_is_noted() {
    let values = "\"Colour\"=\"red\"\n\n\
                  [HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Microsoft\\Windows\\QoS]\n\"Tcp Autotuning Level\"=\"Off\"\n\n\
                  [HKEY_LOCAL_MACHINE\\SOFTWARE\\Other]\n@=\"x\"\n\"y\"=hex:01,\\\n  02\n";
    let notes = notes(&reg(values)).join("\n");
    for part in [
        "`colour` that Windows does not know",
        "`Tcp Autotuning Level` is set for all policies: `Off`",
        "1 keys that are not about QoS were passed over",
    ] {
        assert!(notes.contains(part), "{part}\n{notes}");
    }
    assert_eq!(lines(&reg(values)).len(), 1);
}

#[test]
fn removed_keys_are_gone_and_a_removal_holds_no_rules() {
    assert_eq!(lines(&(reg("") + &KEY.replace('[', "[-"))), Vec::<String>::new());
    let plan = Plan::preset("lync-kloud").unwrap();
    let removal = &export(&plan, "windows-reg")[1];
    let read = import::read(&removal.path, &removal.bytes).unwrap();
    assert_eq!(rules_in(&read), vec![]);
    assert_eq!(read.notes.len(), 6);
    assert_eq!(read.notes[0].text, "removes policy `Carillon client audio (communicator.exe)`");
}

#[test]
fn policies_of_a_user_are_policies_of_their_own() {
    let user = reg("\"DSCP Value\"=\"40\"").replace("LOCAL_MACHINE", "CURRENT_USER");
    let both = reg("") + user.split_once("\n\n").unwrap().1;
    assert_eq!(lines(&both).len(), 2, "{:?}", lines(&both));
}

/// A record of a `.pol` file.
fn record(key: &str, name: &str, kind: u32, data: &[u8]) -> Vec<u8> {
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let size = (data.len() as u32).to_le_bytes();
    [
        &wide(&format!("[{key}\0;{name}\0;"))[..],
        &kind.to_le_bytes(),
        &wide(";"),
        &size,
        &wide(";"),
        data,
        &wide("]"),
    ]
    .concat()
}

fn pol(records: &[Vec<u8>]) -> Vec<u8> {
    [b"PReg\x01\0\0\0".to_vec(), records.concat()].concat()
}

fn wide(text: &str) -> Vec<u8> {
    format!("{text}\0").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn a_hostile_registry_pol_gives_the_offset() {
    let key = r"Software\Policies\Microsoft\Windows\QoS\V";
    let error = |bytes: &[u8]| import::read("x", bytes).unwrap_err()[0].to_string();
    let good = pol(&[record(key, "Version", 1, &wide("1.0"))]);
    let mut huge = good.clone();
    let size_at = good.len() - wide("1.0").len() - 2 - 2 - 4;
    huge[size_at..size_at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(
        error(&huge),
        "offset 0x7e: `Version` says that it has 4294967295 bytes; the file ends before"
    );
    assert_eq!(error(b"PReg\x02\0\0\0"), "offset 0x4: version 2 of Registry.pol is not known");
    assert_eq!(error(b"PReg\x01\0"), "offset 0x4: the file ends inside of the version");
    assert_eq!(error(&pol(&[b"x".to_vec()])), "offset 0x8: expected `[`");
    assert_eq!(error(&good[..40]), "offset 0xa: a key has no end");
    assert_eq!(error(&good[..good.len() - 1]), "offset 0x86: expected `]`");
    let surrogate = pol(&[[b"[\0".as_slice(), b"\x00\xd8", b"\0\0"].concat()]);
    assert_eq!(error(&surrogate), "offset 0xa: a key is no UTF-16");
}

#[test]
fn special_values_of_registry_pol_remove_what_stood_before() {
    let folder = r"Software\Policies\Microsoft\Windows\QoS";
    let values = [("Version", "1.0"), ("Protocol", "UDP"), ("Local Port", "5"), ("DSCP Value", "46")];
    let policy = |name: &str| -> Vec<Vec<u8>> {
        values
            .iter()
            .map(|(value, text)| record(&format!("{folder}\\{name}"), value, 1, &wide(text)))
            .collect()
    };
    let read = |more: Vec<u8>| {
        let records = [policy("A"), policy("B"), vec![more]].concat();
        rules_in(&import::read("x", &pol(&records)).unwrap())
            .iter()
            .map(|rule| rule.name.clone())
            .collect::<String>()
    };
    let a = format!("{folder}\\A");
    assert_eq!(read(record(&a, "**soft.DSCP Value", 1, &wide("40"))), "AB");
    assert_eq!(read(record(&a, "**del.DSCP Value", 1, &wide(" "))), "B");
    assert_eq!(read(record(&a, "**DeleteValues", 1, &wide("x;DSCP Value"))), "B");
    assert_eq!(read(record(&a, "**delvals.", 1, &wide(" "))), "B");
    assert_eq!(read(record(folder, "**DeleteKeys", 1, &wide("B"))), "A");
    assert_eq!(read(record(&a, "DSCP Value", 4, &[46, 0, 0, 0])), "B");
    assert_eq!(read(record(&a, "**SecureKey", 4, &[1, 0, 0, 0])), "AB");
}

#[test]
fn listings_say_what_is_wrong_with_them() {
    let listing = "PS C:\\> Get-NetQosPolicy\n\nName : A\nNetworkProfile : Domain\nIPSrcPortStart : 70000\n\
                   IPSrcPortEnd : 10\nDSCPValue : 99\nIPProtocol : SCTP\n\nNetworkProfile : All\n\nwords\n";
    assert_eq!(lines(listing), ["error line 12: is no `property : value` of Get-NetQosPolicy",]);
    assert_eq!(
        lines(listing.strip_suffix("words\n").unwrap()),
        [
            "policy `A` is not known: line 5: `ipsrcportstart` = `70000` is no port; \
             line 5: `ipsrcportstart` = `70000` is not the border of a range; \
             line 8: `ipprotocol` = `SCTP` is none of Both, TCP, UDP; \
             line 7: `dscpvalue` = `99` is no number from 0 to 63",
            "a policy is not known: line 10: a policy without a `Name`",
        ]
    );
}

#[test]
fn a_port_on_either_side_is_two_rules_and_templates_are_none() {
    let listing = "Name : A\nNetworkProfile : Domain\nIPPort : 5061\nDSCPValue : 24\n\n\
                   Name : S\nNetworkProfile : All\nTemplate : SMB\nDSCPValue : 10\n\n\
                   Name : T\nNetworkProfile : All\nThrottleRate : 1.049 MBits/sec\n";
    assert_eq!(
        lines(listing),
        [
            "A: every program, UDP and TCP, source 5061: CS3 (24)",
            "A: every program, UDP and TCP, destination 5061: CS3 (24)"
        ]
    );
    let notes = notes(listing).join("\n");
    for part in ["template SMB", "`T` sets no mark"] {
        assert!(notes.contains(part), "{notes}");
    }
    assert_eq!(
        caveats(listing),
        vec!["only on networks of the profile Domain: set `-NetworkProfile All`"; 2]
    );
}

#[test]
fn tables_of_get_netqospolicy_are_read_unless_they_are_cut() {
    let table = |name: &str| {
        format!(
            "\nName  AppPathName IPProtocol IPSrcPortStart IPSrcPortEnd IPDstPortStart IPDstPortEnd DSCPValue\n\
             ----  ----------- ---------- -------------- ------------ -------------- ------------ ---------\n\
             {name} lync.exe    UDP                 20000        20039              0            0        46\n\
             B                 TCP                     0            0           5061         5061        24\n"
        )
    };
    assert_eq!(
        lines(&table("A    ")),
        [
            "A: lync.exe, UDP, source 20000-20039: EF (46)",
            "B: every program, TCP, destination 5061: CS3 (24)"
        ]
    );
    assert_eq!(lines(&table("Ab...")), ["error line 4: `Ab...` is cut off; print it with `Format-List`"]);
    let narrow = "Name DSCPValue\n---- ---------\nA           46\n";
    assert!(notes(narrow)[0].contains("has no column apppathname, ipprotocol"), "{:?}", notes(narrow));
}

#[test]
fn scripts_are_read_line_by_line_and_what_is_not_understood_is_named() {
    let script = "# x\n$ErrorActionPreference = 'Stop'\n\
        New-NetQosPolicy -Name \"A b\" -AppPathNameMatchCondition 'l''x.exe' `\n  -IPProtocolMatchCondition UDP `\n  \
        -IPSrcPortStartMatchCondition 5 -IPSrcPortEndMatchCondition 9 -DSCPAction 46 -NetworkProfile All | Out-Null\n\
        New-NetQosPolicy Old -IPDstPortMatchCondition 5061 -IPProtocol TCP -DSCPAction 24 \u{2013}PolicyStore ActiveStore\n\
        Restart-Service foo\nif ($x) { New-NetQosPolicy -Name C -DSCPAction 10 -SMB }\n\
        Set-NetQosPolicy -Name 'a B' -DSCPAction 40\nGet-NetQosPolicy | Where-Object { $_.Name -like 'ol*' } | Remove-NetQosPolicy -Confirm:$false\n";
    assert_eq!(lines(script), ["A b: l'x.exe, UDP, source 5-9: CS5 (40)"]);
    let notes = notes(script);
    for part in [
        "line 7: `Restart-Service foo` is not understood: passed over",
        "line 8: `if ($x)` is not understood",
        "line 10: removes policies that are called `ol*`",
        "template smb",
    ] {
        assert!(notes.iter().any(|note| note.contains(part)), "{part}: {notes:#?}");
    }
    assert_eq!(
        lines("New-NetQosPolicy -Name $n -DSCPAction 46\nNew-NetQosPolicy -Name x -Colour red\n"),
        [
            "policy `$n` is not known: line 1: `$n` is worked out when the script runs: write the value",
            "policy `x` is not known: line 2: -Colour is no parameter of NetQosPolicy"
        ]
    );
    assert!(lines("New-NetQosPolicy -Name 'x\n")[0].contains("line 1: a quote is not closed"));
}

#[test]
fn what_a_script_may_not_do_is_not_known() {
    let make =
        |name: &str| format!("New-NetQosPolicy -Name {name} -IPSrcPortMatchCondition 5 -DSCPAction 46");
    let rule = "A: every program, UDP and TCP, source 5: EF (46)";
    let unknown = |name: &str, line: u32, condition: &str| {
        format!(
            "policy `{name}` is not known: line {line}: it depends on `{condition}`, which is not worked out here"
        )
    };
    for (script, expected) in [
        (format!("if ($false) {{ {} }}\n", make("B")), vec![unknown("B", 1, "if ($false)")]),
        (
            format!("{}\nforeach ($n in 1) {{\n  if ($x) {{ 1 }}\n  {}\n}}\n", make("A"), make("B")),
            vec![rule.to_owned(), unknown("B", 4, "foreach ($n in 1)")],
        ),
        (format!("try {{ {} }} catch {{ {} }}\n", make("A"), make("B")), vec![rule.to_owned(), unknown("B", 1, "catch")]),
        (format!("function F {{ {} }}\n{}\n", make("B"), make("A")), vec![rule.to_owned(), unknown("B", 1, "function F")]),
        (
            format!("{}\nif ($x) {{ Remove-NetQosPolicy A -Confirm:$false }}\n", make("A")),
            vec![unknown("A", 1, "if ($x)")],
        ),
        (
            format!("{}\nif ($x) {{ Set-NetQosPolicy A -DSCPAction 0 }}\n", make("A")),
            vec![unknown("A", 1, "if ($x)")],
        ),
        (
            format!("{}\nRemove-NetQosPolicy -Name $old\n", make("A")),
            vec!["policy `A` is not known: line 1: line 2 removes `$old`, which is worked out when the script runs".to_owned()],
        ),
        (
            "Set-NetQosPolicy -Name C -DSCPAction 46\nSet-NetQosPolicy -Name C -IPSrcPortMatchCondition 5\n".to_owned(),
            vec![
                "policy `C` is not known: line 1: the script changes it and does not make it: what else it has is not known"
                    .to_owned(),
            ],
        ),
        (format!("{}\nexit 0\n{}\n", make("A"), make("B")), vec![rule.to_owned()]),
        (format!("if ($x) {{ exit 1 }}\n{}\n", make("A")), vec![rule.to_owned()]),
    ] {
        assert_eq!(lines(&script), expected, "{script}");
    }
    assert_eq!(
        notes(&format!("{}\nexit\n{}\n", make("A"), make("B"))),
        ["line 3: the script ends before this line: what follows never runs"]
    );
}

#[test]
fn the_registry_of_a_user_and_a_numbered_control_set_are_read() {
    let user = reg("").replace("HKEY_LOCAL_MACHINE", "HKEY_USERS\\S-1-5-21-1");
    assert_eq!(
        caveats(&user),
        ["only for the user S-1-5-21-1: write it below HKEY_LOCAL_MACHINE, for every user of the computer"]
    );
    let numbered = TCPIP.replace("CurrentControlSet", "ControlSet001");
    let read = import::read("x", format!("REGEDIT4\n\n{numbered}\n\"Do not use NLA\"=dword:1\n").as_bytes())
        .unwrap();
    assert!(
        matches!(&read.facts[0].what, What::System { name: "Do not use NLA", value, wanted, .. } if value != wanted),
        "{:?}",
        read.facts
    );
}

#[test]
fn what_is_no_known_file_is_refused() {
    assert!(lines("hello")[0].contains("Windows .reg, Registry.pol, Intune profile (JSON)"));
    assert!(
        lines("Windows Registry Editor Version 6.00\n")[0].contains("no version of .reg files that is known")
    );
    let odd = [b"\xff\xfe".to_vec(), wide("REGEDIT4\n\n")[..19].to_vec(), vec![0]].concat();
    assert!(import::read("x", &odd[..odd.len()]).is_ok());
    assert!(import::read("x", &odd[..odd.len() - 1]).unwrap_err()[0].text.contains("ends inside"));
    assert!(import::read("x", b"REGEDIT4\n\n\xe9").unwrap_err()[0].place == "line 3");
}
