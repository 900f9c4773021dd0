//! Every lint is one step away from a clean plan; presets have no errors but those of their sources.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeSet;

use carillon_qos::Plan;
use carillon_qos::plan::{Level, Lint, PRESETS, lint::KINDS};

/// A plan without a single finding.
const CLEAN: &str = r#"
name = "clean"

[classes]
signaling = "CS5"
audio = "EF"
video = "AF41"
sharing = "AF21"

[roles.client]
audio = "21975-21999"
video = "22000-22024"
sharing = "22025-22049"
file-transfer = "22050-22074"

[roles.conferencing]
audio = "20000-21999"
video = "22000-23999"

[edge]
ports = "50000-59999"

[bandwidth]
video-kbps = 1000

[wifi]
mapping = "rfc8325"

[clients]
executables = ["lync.exe"]
"#;

const RULE: &str = "[[rules]]\nname = \"r\"\nrole = \"client\"\napplication = \"lync.exe\"\n";

fn lints(text: &str) -> Vec<Lint> {
    Plan::from_toml(text).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}")).lint()
}

/// The clean plan with one text replaced; an empty text appends.
fn step(from: &str, to: &str) -> String {
    assert!(from.is_empty() || CLEAN.contains(from), "{from}");
    if from.is_empty() { format!("{CLEAN}{to}") } else { CLEAN.replacen(from, to, 1) }
}

/// Code, a plan one step away from the clean one, words that the finding must contain.
type Step = (&'static str, String, &'static str);

fn steps() -> Vec<Step> {
    [port_steps(), mark_steps(), phone_steps(), rule_steps(), link_steps()].concat()
}

fn link_steps() -> Vec<Step> {
    let site = "[management.NetworkSite.Reno]\nBWPolicyProfileID = \"Thin\"\n";
    let profile = "[management.NetworkBandwidthPolicyProfile.Thin]\nBWPolicy = [\"BWLimit=100;BWPolicyModality=Audio\"]\n";
    let checked = "[management.NetworkConfiguration.Global]\nEnableBandwidthPolicyCheck = true\n";
    vec![
        (
            "bandwidth-profile-unknown",
            format!("{CLEAN}{site}{checked}"),
            "Reno has the profile Thin, which is not there",
        ),
        ("links-not-checked", format!("{CLEAN}{site}{profile}"), "EnableBandwidthPolicyCheck is not on"),
        (
            "link-unreachable",
            format!("{CLEAN}{site}{profile}{checked}"),
            "Reno: no subnet is at an end of it",
        ),
    ]
}

#[test]
fn a_link_with_a_subnet_at_one_end_and_a_budget_that_is_checked_has_no_finding() {
    let (_, unreachable, _) = link_steps().pop().unwrap();
    let subnet = "[management.NetworkSubnet.\"10.1.0.0\"]\nMaskBits = 16\nNetworkSiteID = \"reno\"\n";
    assert_eq!(lints(&format!("{unreachable}{subnet}")), vec![]);
}

fn port_steps() -> Vec<Step> {
    let client = |lines: &str| step("[roles.client]\n", &format!("[roles.client]\n{lines}\n"));
    vec![
        (
            "ranges-overlap",
            step("22000-22024", "21990-22024"),
            "audio 21975-21999 and video 21990-22024 share 21990-21999",
        ),
        (
            "default-ranges",
            step("22000-22024", "21975-21999")
                .replace("22025-22049", "21975-21999")
                .replace("22050-22074", "21975-21999"),
            "audio 21975-21999, video 21975-21999, sharing 21975-21999, file-transfer 21975-21999",
        ),
        (
            "contains-listener",
            step("21975-21999", "5050-5069"),
            "audio 5050-5069 contains 5061 (SIP over TLS, registrar and proxy)",
        ),
        (
            "overlaps-edge-range",
            step("21975-21999", "50000-50024"),
            "audio 50000-50024 and the Edge's 50000-59999 share 50000-50024",
        ),
        (
            "documented-end-differs",
            step("\"20000-21999\"", "{ ports = \"20000-21999\", documented-end = 22000 }"),
            "in documents 20000-22000: 1 port longer (22000)",
        ),
        ("too-few-ports", step("21975-21999", "21981-21999"), "audio 21981-21999 has 19 ports of 20"),
        (
            "legacy-range-too-small",
            client("legacy-ports = \"22100-22138\""),
            "legacy 22100-22138 has 39 ports of 40",
        ),
        ("modality-unset", step("file-transfer = \"22050-22074\"\n", ""), "no ports for file-transfer"),
        ("not-contiguous", step("22050-22074", "22060-22084"), "2 firewall ranges: 21975-22049, 22060-22084"),
        ("many-client-ports", step("22050-22074", "22050-22150"), "176 ports to open: 21975-22150"),
        (
            "client-outside-server",
            step("20000-21999", "20000-21998"),
            "client audio 21975-21999 is not inside conferencing audio 20000-21998",
        ),
        (
            "server-smaller-than-client",
            step("20000-21999", "21980-21999"),
            "conferencing audio 21980-21999 has 20 ports, client audio 21975-21999 has 25",
        ),
        (
            "sharing-range-mismatch",
            step("", "[roles.application]\nsharing = \"25000-25999\"\n")
                .replace("22000-23999\"", "22000-23999\"\nsharing = \"24000-24999\""),
            "24000-24999 for conferencing and 25000-25999 for application",
        ),
        ("ephemeral-overlap", step("20000-21999", "20000-33000"), "share 32768-33000"),
        ("voicemail-unrestricted", step("", "[voicemail]\nports = \"1024-65535\"\n"), "1024-65535"),
    ]
}

fn mark_steps() -> Vec<Step> {
    vec![
        (
            "one-mark-for-all",
            step("CS5", "EF").replace("AF41", "EF").replace("AF21", "EF"),
            "signaling, audio, video, sharing are all EF (46)",
        ),
        ("marks-shared", step("\"AF41\"", "\"EF\""), "audio and video are both EF (46)"),
        ("mark-without-range", step("\"21975-21999\"", "\"any\""), "audio is EF (46) on any port"),
        (
            "nothing-marked",
            step("CS5", "unmarked")
                .replace("\"EF\"", "0")
                .replace("AF41", "unmarked")
                .replace("AF21", "unmarked"),
            "every class is unmarked",
        ),
        ("two-audio-marks", step("", "[phones.lpe]\n"), "client EF (46), lpe CS5 (40)"),
        ("video-without-bandwidth-policy", step("video-kbps = 1000", ""), "video-kbps"),
        ("signaling-cs3", step("CS5", "CS3"), "CS3 (24)"),
        ("sharing-unmarked", step("sharing = \"AF21\"\n", ""), "sharing is unmarked"),
        ("unnamed-mark", step("\"EF\"", "11"), "audio is 11; as a TOS byte that is 44"),
        ("network-control-mark", step("\"EF\"", "\"CS6\""), "audio is CS6 (48)"),
        (
            "wifi-voice-as-video",
            step("mapping = \"rfc8325\"", "mapping = \"default\""),
            "user priority 5, which is video",
        ),
        ("edge-marks-internet", step("ports = \"50000-59999\"", "external = \"plan\""), "to the Internet"),
        (
            "queue-shared",
            step("", "[queues]\npreset = \"netgear-gs110tp\"\n"),
            "audio EF (46) and video AF41 (34) share queue 2",
        ),
        (
            "queue-order",
            step("", "[queues]\nEF = 2\nAF41 = 3\nCS5 = 1\n"),
            "audio EF (46) is in queue 2, video AF41 (34) above it in 3",
        ),
    ]
}

fn phone_steps() -> Vec<Step> {
    let vvx = "[phones.vvx]\naudio-start = 21975\nvideo-start = 22000\nvideo = \"AF41\"\n";
    vec![
        (
            "phone-outside-range",
            step("21975-21999", "21976-21995").to_owned()
                + "[phones.vvx]\naudio-start = 21976\nvideo-start = 22000\n",
            "phone will use 21976-21999 for audio, plan 21976-21995; outside are 21996-21999",
        ),
        (
            "phone-wide-range",
            step("", vvx),
            "phone will use 22000-22047 for video, plan 22000-22024; outside are 22025-22047",
        ),
        ("phone-odd-start", step("", vvx), "audio starts at 21975"),
        ("phone-not-configured", step("", "[phones.soundpoint]\n"), "sends from 2222 on"),
        ("phone-facts-unverified", step("", "[phones.audiocodes]\n"), "audiocodes"),
        (
            "phone-cannot-mark",
            step("", "[phones.lpe]\naudio = \"EF\"\nsignaling = \"CS5\"\n"),
            "signaling CS5 (40) cannot be sent",
        ),
        (
            "phone-video-as-audio",
            step("", "[phones.vvx]\naudio-start = 21975\naudio = \"EF\"\n"),
            "video will be EF (46), plan AF41 (34)",
        ),
    ]
}

fn rule_steps() -> Vec<Step> {
    let rule = |lines: &str| step("", &format!("{RULE}{lines}"));
    vec![
        (
            "rule-two-sided",
            rule("source-ports = \"21975-21999\"\ndestination-ports = \"21975-21999\"\ndscp = \"EF\"\n"),
            "packets from 21975 to port 2230 stay unmarked",
        ),
        (
            "edge-rule-source-3478",
            step("", "[[rules]]\nname = \"r\"\nrole = \"edge\"\nsource-ports = 3478\ndscp = \"EF\"\n"),
            "source 3478 puts all relayed media into EF (46)",
        ),
        (
            "rule-range-differs",
            rule("source-ports = \"21975-22000\"\ndscp = \"EF\"\n"),
            "21975-22000 is 1 port longer (22000) than client audio 21975-21999",
        ),
        (
            "rule-mark-differs",
            rule("source-ports = \"21975-21999\"\ndscp = 40\n").replace("CS5", "CS4"),
            "CS5 (40) on 21975-21999, plan client audio EF (46)",
        ),
        ("rule-without-ports", rule("dscp = \"EF\"\n"), "EF (46) on every port"),
        (
            "rule-any-program",
            rule("source-ports = \"21975-21999\"\ndscp = \"EF\"\n")
                .replace("application = \"lync.exe\"", "application = \"*\""),
            "every program",
        ),
        (
            "rule-one-protocol",
            rule("protocol = \"udp\"\nsource-ports = \"21975-21999\"\ndscp = \"EF\"\n"),
            "udp only",
        ),
        (
            "signaling-rule-by-source",
            rule("source-ports = 5061\ndscp = \"CS5\"\n"),
            "CS5 (40) matches source ports",
        ),
        (
            "class-without-rule",
            rule("source-ports = \"21975-21999\"\ndscp = \"EF\"\n"),
            "class signaling declared CS5 (40), no rule implements it",
        ),
        (
            "outdated-executable",
            step("\"lync.exe\"", "\"communicator.exe\""),
            "communicator.exe is listed without lync.exe",
        ),
        (
            "waits",
            format!(
                "{CLEAN}\n[management.ConferencingConfiguration.global]\nClientMediaPortRangeEnabled = true\n"
            ),
            "global: ClientMediaPortRangeEnabled true does not hold yet",
        ),
    ]
}

#[test]
fn the_clean_plan_has_no_finding() {
    assert_eq!(lints(CLEAN), vec![]);
}

#[test]
fn every_lint_is_one_step_away_from_the_clean_plan() {
    for (code, text, words) in steps() {
        let found = lints(&text);
        let lint = found.iter().find(|lint| lint.code == code && lint.text.contains(words));
        assert!(lint.is_some(), "{code}: {words}\n{found:#?}");
    }
}

#[test]
fn every_kind_of_lint_has_its_step_and_a_unique_code() {
    let tested: BTreeSet<&str> = steps().iter().map(|(code, _, _)| *code).collect();
    let known: BTreeSet<&str> = KINDS.iter().map(|kind| kind.code).collect();
    assert_eq!(tested, known);
    assert_eq!(known.len(), KINDS.len());
    assert!(KINDS.iter().all(|kind| !kind.rows.is_empty() && kind.about.ends_with('.')));
}

#[test]
fn presets_have_no_errors_but_those_of_their_sources() {
    for preset in PRESETS {
        let found = Plan::preset(preset.name).unwrap().lint();
        let errors: Vec<&Lint> = found.iter().filter(|lint| lint.level == Level::Error).collect();
        match preset.name {
            // The product itself puts audio and video into one range.
            "cisco" => {
                let shared =
                    "client, conferencing: audio 16384-32767 and video 16384-32767 share 16384-32767";
                assert_eq!(errors.iter().map(|lint| lint.text.as_str()).collect::<Vec<_>>(), [shared]);
            }
            name => assert!(errors.is_empty(), "{name}: {errors:#?}"),
        }
    }
}

#[test]
fn the_article_of_2013_is_a_port_off_and_forgets_signaling() {
    let found = Plan::preset("lync-kloud").unwrap().lint();
    let has = |code, words: &str| found.iter().any(|lint| lint.code == code && lint.text.contains(words));
    assert!(has(
        "documented-end-differs",
        "sharing 40803-49150, in documents 40803-49151: 1 port longer (49151)"
    ));
    assert!(has(
        "rule-range-differs",
        "49152-57500 is 1 port longer (57500) than conferencing audio 49152-57499"
    ));
    assert!(has("class-without-rule", "class signaling declared CS3 (24)"));
}

#[test]
fn enabling_the_product_defaults_is_refused_with_all_four_ranges() {
    let found = lints("base = \"lync\"\nenabled = true");
    let lint = found.iter().find(|lint| lint.code == "default-ranges").unwrap();
    assert_eq!(lint.level, Level::Error);
    assert!(
        lint.text.contains("audio 5350-5389, video 5350-5389, sharing 5350-5389, file-transfer 5350-5389")
    );
    let disabled = Plan::preset("lync").unwrap().lint();
    assert!(disabled.iter().all(|lint| lint.code != "default-ranges" || lint.level == Level::Advice));
}

#[test]
fn twenty_ports_suit_clients_and_twenty_four_suit_a_fixed_phone() {
    let has = |text: &str, code| lints(text).iter().any(|lint| lint.code == code);
    assert!(has(&step("22000-22024", "22000-22018"), "too-few-ports"));
    assert!(!has(&step("22000-22024", "22000-22019"), "too-few-ports"));
    let phone = "[phones.vvx]\naudio-start = 21976\nvideo-start = 22000\n";
    assert!(has(&(step("22000-22024", "22000-22022") + phone), "phone-outside-range"));
    assert!(!has(&(step("22000-22024", "22000-22023") + phone), "phone-outside-range"));
    assert!(!has(&(step("22000-22024", "22000-22100") + phone), "too-few-ports"));
}

#[test]
fn a_server_with_as_many_ports_as_a_client_is_enough() {
    let equal = lints(&step("20000-21999", "21975-21999"));
    assert!(equal.iter().all(|lint| lint.code != "server-smaller-than-client"));
}

#[test]
fn a_site_is_checked_and_the_global_findings_are_not_repeated() {
    let text = step("CS5", "CS3") + "[sites.Oslo.roles.client]\naudio = \"22010-22034\"\n";
    let found = lints(&text);
    assert_eq!(found.iter().filter(|lint| lint.code == "signaling-cs3").count(), 1);
    let lint = found.iter().find(|lint| lint.code == "ranges-overlap").unwrap();
    assert!(lint.text.ends_with("share 22010-22024 (in site:Oslo)"), "{}", lint.text);
}

#[test]
fn the_edge_may_use_the_servers_ranges() {
    let edge = step("ports = \"50000-59999\"", "ports = \"20000-23999\"");
    assert!(lints(&edge).iter().all(|lint| lint.level == Level::Advice));
    let own = step("", "[roles.edge]\naudio = \"50000-50099\"\n");
    let lint = lints(&own).into_iter().find(|lint| lint.code == "overlaps-edge-range").unwrap();
    assert_eq!(lint.level, Level::Error);
}
