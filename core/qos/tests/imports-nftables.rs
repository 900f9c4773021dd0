//! What a rule set of nftables says about marks: ours, those of people, and what `nft list ruleset` prints.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use carillon_qos::import::{self, Deployed, What};
use carillon_qos::{MarkingRule, Protocol};

fn read(text: &str) -> Deployed {
    import::read("rules", text.as_bytes()).unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"))
}

/// Line, protocol, source ports, destination ports, mark.
fn rules(deployed: &Deployed) -> Vec<String> {
    let rule = |rule: &MarkingRule| {
        let ports = |range: Option<carillon_qos::PortRange>| {
            range.map_or("any".to_owned(), |range| range.to_string())
        };
        let (from, to) = (ports(rule.source_ports), ports(rule.destination_ports));
        format!("{} {} {from} {to} {}", rule.name, rule.protocol.name(), rule.mark.value())
    };
    let of = |fact: &import::Fact| match &fact.what {
        What::Rule(marking) => format!("{}: {}", fact.place, rule(marking)),
        other => format!("{other:?}"),
    };
    deployed.facts.iter().map(of).collect()
}

fn notes(deployed: &Deployed) -> Vec<String> {
    deployed.notes.iter().map(ToString::to_string).collect()
}

fn caveats(deployed: &Deployed) -> Vec<String> {
    let of = |fact: &import::Fact| -> Vec<String> {
        fact.caveats.iter().map(|caveat| format!("{}: {}", fact.place, caveat.text)).collect()
    };
    deployed.facts.iter().flat_map(of).collect()
}

fn errors(text: &str) -> Vec<String> {
    import::read("rules", text.as_bytes()).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn what_nft_prints_is_read() {
    let printed = "table inet carillon_marks {\n\tchain output {\n\
        \t\ttype route hook output priority mangle; policy accept;\n\
        \t\tmeta l4proto { tcp, udp } th sport 20000-20039 counter packets 7 bytes 9 ip dscp set ef accept comment \"audio\" # handle 5\n\
        \t\tmeta l4proto { tcp, udp } th sport 20000-20039 ip6 dscp set ef accept comment \"audio\" # handle 7\n\
        \t\ttcp dport 5061 ip dscp set 0x18 accept\n\
        \t\ttcp dport 5061 ip6 dscp set cs3 accept\n\
        \t\tudp sport 9000 ip dscp set lephb\n\
        \t\tudp sport 9000 ip6 dscp set lephb\n\t}\n}\n";
    let deployed = read(printed);
    assert_eq!(deployed.format, "nftables rule set");
    assert_eq!(
        rules(&deployed),
        [
            "line 4: audio both 20000-20039 any 46",
            "line 6: carillon_marks output, line 6 tcp any 5061 24",
            "line 8: carillon_marks output, line 8 udp 9000 any 1",
        ]
    );
    assert_eq!(notes(&deployed), [""; 0]);
}

#[test]
fn sets_definitions_and_single_commands_are_followed() {
    let text = "#!/usr/sbin/nft -f\ndefine video = 20040-20079\n\
        table inet t {\n set audio { type inet_service; flags interval; elements = { 20000-20019,\n 20020-20039 } }\n\
        chain c { type filter hook output priority 0;\n\
        udp sport @audio ip dscp set ef\n udp sport @audio ip6 dscp set ef\n\
        udp sport { $video, 5004 } ip dscp set af41; udp sport { $video, 5004 } ip6 dscp set af41 } }\n\
        add rule inet t c tcp dport 5061 ip dscp set cs3\n\
        add rule inet t c tcp dport 5061 ip6 dscp set cs3\n";
    assert_eq!(
        rules(&read(text)),
        [
            "line 7: t c, line 7 udp 20000-20019 any 46",
            "line 7: t c, line 7 udp 20020-20039 any 46",
            "line 9: t c, line 9 udp 5004 any 34",
            "line 9: t c, line 9 udp 20040-20079 any 34",
            "line 10: c, line 10 tcp any 5061 24",
        ]
    );
}

#[test]
fn rules_for_each_protocol_and_each_ip_version_are_one_rule_of_a_plan() {
    let text = "table ip a { chain c { type filter hook output priority 0;\n\
        udp sport 5000-5009 ip dscp set ef\n tcp sport 5000-5009 ip dscp set ef\n } }\n\
        table ip6 b { chain c { type filter hook output priority 0;\n\
        tcp sport 5000-5009 ip6 dscp set ef\n udp sport 5000-5009 ip6 dscp set ef\n } }\n";
    let deployed = read(text);
    assert_eq!(rules(&deployed), ["line 2: a c, line 2 both 5000-5009 any 46"]);
    let MarkingRule { protocol, .. } = match &deployed.facts[0].what {
        What::Rule(rule) => rule.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(protocol, Protocol::Both);
}

#[test]
fn a_rule_for_ipv4_only_does_not_count_and_says_why() {
    let text = "table inet t { chain c { type filter hook output priority 0;\n\
        udp sport 5000-5009 ip dscp set ef\n udp sport 6000 ip6 dscp set ef\n } }\n";
    let deployed = read(text);
    assert_eq!(rules(&deployed), [""; 0]);
    assert_eq!(
        notes(&deployed),
        [
            "line 2: marks one IP version only; without a rule with `ip6 dscp set` IPv6 stays as it is: not counted",
            "line 3: marks one IP version only; without a rule with `ip dscp set` IPv4 stays as it is: not counted",
        ]
    );
}

#[test]
fn what_a_plan_cannot_say_is_named() {
    let text = "table inet t {\n chain c { type filter hook forward priority 0;\n\
        oifname \"eth0\" udp sport 5000 ip dscp set ef\n oifname \"eth0\" udp sport 5000 ip6 dscp set ef\n\
        ct state new udp sport 6000 ip dscp set ef\n\
        ip dscp != cs0 ip dscp set cs0\n\
        udp sport sip ip dscp set ef\n udp dport 53 accept\n }\n\
        chain jumped {\n udp sport 7000 ip dscp set ef\n }\n}\n\
        table ip off { flags dormant\n chain c { type filter hook output priority 0; udp sport 1 ip dscp set ef; } }\n";
    let deployed = read(text);
    assert_eq!(rules(&deployed), ["line 3: t c, line 3 udp 5000 any 46"]);
    assert_eq!(
        notes(&deployed),
        [
            "line 5: sets EF (46) by more than ports (ct state new): no rule of a plan, passed over",
            "line 6: sets unmarked (0) by more than ports (ip dscp != cs0): no rule of a plan, passed over",
            "line 7: sets EF (46) by more than ports (the service `sip` (list the rules without -S)): no rule of a plan, passed over",
            "line 11: chain t jumped is reached by jumps only: its marks depend on them and are passed over",
            "line 14: table off is dormant: none of its rules is in force",
        ]
    );
    assert_eq!(
        caveats(&deployed),
        [
            "line 3: but line 6, behind it, sets unmarked (0) on what has `ip dscp != cs0`",
            "line 3: in a chain of hook forward, which sees nothing that the host itself sends",
            "line 3: only where `oifname \"eth0\"` holds",
        ]
    );
}

#[test]
fn marks_that_no_packet_gets_are_told() {
    let chain = |hook: &str, rules: &str| {
        format!(
            "table inet t {{ chain c {{ type filter hook {hook} priority 0;\n{rules}\nudp sport 5000-5009 ip dscp set ef\n\
             udp sport 5000-5009 ip6 dscp set ef\n}} }}\n"
        )
    };
    let of = |hook: &str, rules: &str| caveats(&read(&chain(hook, rules))).join("\n");
    assert_eq!(of("output", "# none"), "");
    assert_eq!(of("output", "oifname \"lo\" accept"), "", "nobody's call");
    assert_eq!(
        of("output", "udp dport 53 accept"),
        "line 3: but not destination 53, which line 2 takes first"
    );
    assert_eq!(of("output", "tcp dport 53 accept"), "");
    assert_eq!(of("output", "counter accept"), "line 3: never reached: line 2 takes its packets first");
    assert_eq!(of("output", "return"), "line 3: never reached: line 2 takes its packets first");
    assert_eq!(
        of("output", "ct state established accept"),
        "line 3: but not `ct state established`, which line 2 takes first"
    );
    assert!(
        of("output", "udp sport 5000 drop")
            .contains("which leaves every program, UDP, source 5001-5009: EF (46)")
    );
    assert!(
        of("input", "# none").contains("hook input, which sees what arrives and marks nothing that leaves")
    );
}

#[test]
fn what_iptables_has_made_is_named() {
    let text = "table ip mangle {\n chain OUTPUT { type route hook output priority mangle; policy accept;\n\
        meta l4proto udp udp sport 20000-20039 counter packets 0 bytes 0 xt target \"DSCP\"\n } }\n";
    assert_eq!(
        notes(&read(text)),
        ["line 3: marks by an extension of iptables, which nft does not show: `iptables-save` does"]
    );
}

#[test]
fn a_map_gives_each_of_its_ports_a_mark() {
    let text = "table inet t {\n map marks { type inet_service : dscp; flags interval; elements = { 30-39 : cs3 } }\n\
        chain c { type filter hook output priority 0;\n\
        ip dscp set udp sport map { 20000-20039 : ef, 20040-20079 : af41 }\n\
        ip6 dscp set udp sport map { 20000-20039 : ef, 20040-20079 : af41 }\n\
        ip dscp set tcp dport map @marks\n ip6 dscp set tcp dport map @marks\n\
        ip dscp set udp sport map @nothing\n } }\nfrobnicate x\n";
    let deployed = read(text);
    assert_eq!(
        rules(&deployed),
        [
            "line 4: t c, line 4 udp 20000-20039 any 46",
            "line 4: t c, line 4 udp 20040-20079 any 34",
            "line 6: t c, line 6 tcp any 30-39 24",
        ]
    );
    assert_eq!(
        notes(&deployed),
        [
            "line 8: sets unmarked (0) by more than ports (a mark that is worked out from a map): no rule of a plan, passed over",
            "line 10: `frobnicate x` is not understood: passed over",
        ]
    );
}

#[test]
fn everything_that_is_wrong_is_told_with_its_line() {
    let chain = |rules: &str| {
        format!("table inet t {{ chain c {{ type filter hook output priority 0;\n{rules}\n}} }}\n")
    };
    for (rules, error) in [
        ("udp sport 70000 ip dscp set ef", "line 2: `70000` is no port and no range"),
        ("udp sport 20-10 ip dscp set ef", "line 2: `20-10` is no port and no range"),
        ("udp sport 20 ip dscp set cs9", "line 2: `cs9` is no DSCP"),
        ("udp sport { 20 ip dscp set ef", "line 1: a brace is not closed"),
        ("comment \"x", "line 2: a quote is not closed"),
    ] {
        let errors = errors(&chain(rules));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with(error), "{errors:?}");
    }
    let both = errors(&chain("udp sport 0 ip dscp set ef\ntcp dport 1 ip dscp set 64"));
    assert_eq!(both.len(), 2, "all at once: {both:?}");
}

#[test]
fn definitions_that_use_themselves_end() {
    let text = "define a = { $b }\ndefine b = { $a, $a, $a, $a }\n\
        add rule inet t c udp sport $a ip dscp set ef\n";
    assert_eq!(rules(&read(text)), [""; 0]);
}
