//! What phones, gateways, switches and routers get: byte for byte, for the plans of the sources.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeMap;
use std::path::Path;

use carillon_qos::Plan;
use carillon_qos::export::{File, Order, Target, Unfit};
use carillon_qos::plan::Scope;

const DEVICES: [&str; 13] = [
    "polycom",
    "yealink",
    "snom",
    "lync-phone-edition",
    "audiocodes-gateway",
    "cisco-gateway",
    "asterisk-gateway",
    "cisco",
    "junos",
    "aruba-switch",
    "aruba-controller",
    "queue-table",
    "netgear",
];

/// The article's plan with values for what it leaves open: a gateway, and a mark for sharing.
const ESTATE: &str = r#"
name = "estate"
base = "schertz-vvx"
[classes]
sharing = "AF21"
[roles.client]
video = "6050-6099"
audio = "6000-6047"
sharing = "6100-6124"
file-transfer = "6125-6149"
[roles.gateway]
audio = "16384-17383"
[phones.vvx]
audio-start = 6000
video-start = 6050
"#;

/// Those that are told who else's packets to mark.
const SWITCHES: [&str; 4] = ["cisco", "junos", "aruba-switch", "aruba-controller"];

const SERVERS: &str = "[servers]\nnetworks = [\"10.1.0.0/24\", \"10.2.0.7\", \"2001:db8:1::/64\"]\n";

fn export(plan: &Plan, target: &str) -> Result<BTreeMap<String, String>, Unfit> {
    let files = (Target::named(target).unwrap().make)(&Order { plan, scope: Scope::default() })?;
    assert!(files.first().is_some_and(|file| file.guide.is_some()), "{target} explains nothing");
    files.iter().for_each(check_guide);
    Ok(files.into_iter().map(|file| (file.path, String::from_utf8(file.bytes).unwrap())).collect())
}

/// Whoever gets a file knows what to do with it.
fn check_guide(file: &File) {
    let Some(guide) = &file.guide else { return };
    assert!(!guide.purpose.is_empty(), "{}", file.path);
    for part in [&guide.install, &guide.roll_back, &guide.check] {
        assert!(!part.is_empty() && part.iter().all(|text| !text.trim().is_empty()), "{}", file.path);
    }
}

fn refusal(plan: &str, target: &str) -> String {
    export(&Plan::from_toml(plan).unwrap(), target).unwrap_err().to_string()
}

/// Compares with the files in `tests/exports`; `CARILLON_WRITE_EXPORTS=1` writes them anew, to be read before they
/// are committed.
#[test]
fn every_device_gets_its_file_byte_for_byte() {
    let plan = Plan::from_toml(ESTATE).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exports");
    for device in DEVICES {
        for (path, text) in export(&plan, device).unwrap() {
            compare(&folder.join(&path), &text);
        }
    }
    let with_servers = Plan::from_toml(&format!("{ESTATE}{SERVERS}")).unwrap();
    for device in SWITCHES {
        for (path, text) in export(&with_servers, device).unwrap() {
            compare(&folder.join(path.replace("network/", "network/with-servers/")), &text);
        }
    }
}

fn compare(kept: &Path, text: &str) {
    if std::env::var_os("CARILLON_WRITE_EXPORTS").is_some() {
        std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
        std::fs::write(kept, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(kept).unwrap(), "{}", kept.display());
}

/// The lines that a device obeys.
fn obeyed(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !["!", ";", "/*", "#"].iter().any(|sign| line.starts_with(sign)))
}

/// Servers' ports are those that any program may get.
#[test]
fn servers_ranges_are_left_out_loudly_where_the_plan_does_not_say_where_servers_are() {
    for preset in ["lync-kloud", "technet", "schertz-vvx"] {
        let plan = Plan::preset(preset).unwrap();
        for device in SWITCHES {
            let make = Target::named(device).unwrap().make;
            let file = make(&Order { plan: &plan, scope: Scope::default() }).unwrap().remove(0);
            let text = String::from_utf8(file.bytes).unwrap();
            for ports in ["49152", "57500", "57501", "65535", "40803", "49151"] {
                assert!(!obeyed(&text).any(|line| line.contains(ports)), "{device} marks {ports}:\n{text}");
            }
            assert!(text.lines().nth(1).unwrap().contains("SERVERS' PORTS ARE LEFT OUT: "), "{text}");
            let said = &file.guide.unwrap().limits[0];
            assert!(said.starts_with("SERVERS' PORTS ARE LEFT OUT: "), "{said}");
            assert_eq!(said.contains("`servers.networks`"), device != "aruba-switch", "{said}");
        }
    }
    let only = "name = \"x\"\nclasses.audio = \"EF\"\n[roles.conferencing]\naudio = \"49152-57500\"\n";
    for device in SWITCHES {
        assert!(refusal(only, device).contains("ports of servers only"), "{}", refusal(only, device));
    }
}

#[test]
fn servers_ranges_are_marked_for_the_servers_addresses_only() {
    let plan = Plan::from_toml(&format!("base = \"lync-kloud\"\n{SERVERS}")).unwrap();
    for (device, marking, place) in [
        ("cisco", " range 49152 57500", &["10.1.0.0 0.0.0.255", "host 10.2.0.7", "2001:db8:1::/64"][..]),
        ("aruba-controller", " 49152 57500 permit", &["alias carillon-servers"]),
    ] {
        let text = export(&plan, device).unwrap().into_values().next().unwrap();
        assert!(!text.contains("LEFT OUT"), "{text}");
        let lines: Vec<&str> = obeyed(&text).filter(|line| line.contains(marking)).collect();
        assert!(lines.iter().all(|line| place.iter().any(|place| line.contains(place))), "{lines:?}");
        assert!(place.iter().all(|place| lines.iter().any(|line| line.contains(place))), "{lines:?}");
    }
    let junos = export(&plan, "junos").unwrap().into_values().next().unwrap();
    let terms: Vec<&str> = junos.split("term ").filter(|term| term.contains("-port 49152-57500;")).collect();
    assert_eq!(terms.len(), 4);
    for (at, term) in terms.iter().enumerate() {
        let list = if at < 2 { "CARILLON-SERVERS;" } else { "CARILLON-SERVERS-V6;" };
        assert!(term.contains("-prefix-list {") && term.contains(list), "{term}");
    }
    let switch = export(&plan, "aruba-switch").unwrap().into_values().next().unwrap();
    assert!(switch.contains("LEFT OUT") && !obeyed(&switch).any(|line| line.contains("49152")));
}

/// An empty list of IOS matches everything.
#[test]
fn without_servers_of_an_ip_version_there_is_no_list_for_them() {
    let plan = "base = \"lync-kloud\"\n[servers]\nnetworks = [\"10.1.0.0/24\"]\n";
    let plan = Plan::from_toml(plan).unwrap();
    let cisco = export(&plan, "cisco").unwrap().into_values().next().unwrap();
    assert!(cisco.contains("\nip access-list extended CARILLON-SERVERS-EF\n"));
    assert!(!cisco.contains("CARILLON-SERVERS-EF-V6"), "{cisco}");
    let junos = export(&plan, "junos").unwrap().into_values().next().unwrap();
    assert!(!junos.contains("CARILLON-SERVERS-V6"), "{junos}");
    let plan = "base = \"lync-kloud\"\n[servers]\nnetworks = [\"2001:db8::/64\"]\n";
    let aruba =
        export(&Plan::from_toml(plan).unwrap(), "aruba-controller").unwrap().into_values().next().unwrap();
    assert!(
        aruba.replace("\n! ", " ").contains("the plan names none of IPv4")
            && !aruba.contains("netdestination"),
        "{aruba}"
    );
}

/// A client's range may lie inside a server's range of another class; who the packet belongs to decides.
#[test]
fn servers_come_before_clients() {
    let crossed = "base = \"technet\"\n[roles.client]\naudio = \"58020-58039\"\n";
    let plan = Plan::from_toml(&format!("{crossed}{SERVERS}")).unwrap();
    for (device, servers, clients) in [
        ("cisco", " class CARILLON-SERVERS-AF41\n", " class CARILLON-CLIENTS-EF\n"),
        ("junos", "term SERVERS-AF41-1-source", "term CLIENTS-EF-1-source"),
        (
            "aruba-controller",
            "carillon-servers udp 57501 65535 permit tos 34",
            "any any udp 58020 58039 permit tos 46",
        ),
        ("nftables", "th sport 57501-65535 ip dscp set af41", "th sport 58020-58039 ip dscp set ef"),
    ] {
        let files = export(&plan, device).unwrap();
        let text = files
            .iter()
            .find(|(path, _)| device != "nftables" || path.ends_with("marks-router.nft"))
            .unwrap()
            .1;
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} in {text}"));
        assert!(at(servers) < at(clients), "{device}");
    }
    assert!(export(&Plan::from_toml(crossed).unwrap(), "aruba-switch").is_ok());
}

/// Who could write an address into the plan could write more than an address into a router.
#[test]
fn what_is_no_network_does_not_become_one() {
    for hostile in [
        "10.1.0.0/24 any\\n permit ip any any",
        "10.1.0.7; } then accept",
        "$(reboot)",
        "any",
        "0.0.0.0/0",
        "::/0",
        "10.1.0.7\\\"",
        "10.1.0.7!",
        "fe80::1%eth0",
    ] {
        let plan = format!("base = \"lync-kloud\"\n[servers]\nnetworks = [\"10.2.0.0/16\", \"{hostile}\"]\n");
        let problems = Plan::from_toml(&plan).unwrap_err();
        assert!(problems.len() == 1 && problems[0].path == "servers.networks", "{hostile}: {problems:?}");
    }
    let many: Vec<String> = (0..300).map(|n| format!("\"10.{}.{}.0/24\"", n / 256, n % 256)).collect();
    let plan = format!("base = \"lync-kloud\"\n[servers]\nnetworks = [{}]\n", many.join(", "));
    assert!(Plan::from_toml(&plan).unwrap_err()[0].text.contains("more than 256"));
}

/// SIP has one port for everybody: two marks on it are one too many for a switch.
#[test]
fn sip_of_servers_is_marked_as_that_of_clients_or_the_plan_is_refused() {
    let plan = |mark: &str| {
        format!("base = \"lync-kloud\"\n[roles.conferencing]\nsignaling = {{ dscp = \"{mark}\" }}\n")
    };
    let alike = Plan::from_toml(&plan("CS3")).unwrap();
    for device in SWITCHES {
        let base = export(&Plan::preset("lync-kloud").unwrap(), device).unwrap();
        assert_eq!(export(&alike, device).unwrap(), base, "{device}");
        let text = refusal(&plan("CS5"), device);
        assert!(
            text.contains("ports 5061") && text.contains("CS3 (24)") && text.contains("CS5 (40)"),
            "{text}"
        );
    }
}

#[test]
fn routers_of_linux_are_told_the_same_networks() {
    let plan = Plan::from_toml(&format!("base = \"lync-kloud\"\n{SERVERS}")).unwrap();
    let files = export(&plan, "nftables").unwrap();
    let text = &files["linux/marks-router.nft"];
    assert!(
        text.contains(
            "\ndefine servers4 = { 10.1.0.0/24, 10.2.0.7 }\ndefine servers6 = { 2001:db8:1::/64 }\n"
        ),
        "{text}"
    );
}

#[test]
fn the_article_s_plan_gives_the_article_s_phone_file() {
    let files = export(&Plan::preset("schertz-vvx").unwrap(), "polycom").unwrap();
    let text = &files["phone/polycom/qos.cfg"];
    for attribute in [
        "qos.ip.rtp.dscp=\"46\"",
        "qos.ip.rtp.video.dscp=\"34\"",
        "qos.ip.callControl.dscp=\"24\"",
        "tcpIpApp.port.rtp.mediaPortRangeStart=\"6000\"",
        "tcpIpApp.port.rtp.videoPortRange.enable=\"1\"",
        "tcpIpApp.port.rtp.videoPortRangeStart=\"6025\"",
    ] {
        assert!(text.contains(attribute), "{attribute} in {text}");
    }
}

#[test]
fn a_phone_starts_on_an_even_port_unless_the_plan_names_an_odd_one() {
    let plan = "base = \"lync\"\nenabled = true\n[classes]\naudio = \"EF\"\n[roles.client]\naudio = \"6001-6060\"\n\
                video = \"6101-6200\"\n";
    let files = export(&Plan::from_toml(plan).unwrap(), "polycom").unwrap();
    let text = &files["phone/polycom/qos.cfg"];
    assert!(
        text.contains("mediaPortRangeStart=\"6002\"") && text.contains("mediaPortRangeEnd=\"6049\""),
        "{text}"
    );
    let named = format!("{plan}[phones.vvx]\nvideo-start = 6101\naudio-start = 6031\n");
    let files = export(&Plan::from_toml(&named).unwrap(), "polycom").unwrap();
    let text = &files["phone/polycom/qos.cfg"];
    assert!(
        text.contains("videoPortRangeStart=\"6101\"") && text.contains("mediaPortRangeStart=\"6031\""),
        "{text}"
    );
}

#[test]
fn an_order_that_a_device_cannot_obey_is_refused_with_the_reason() {
    let twenty = "base = \"schertz-vvx\"\n[roles.client]\naudio = \"6000-6019\"\n";
    assert!(refusal(twenty, "polycom").starts_with("phone will use 6000-6023 for audio, plan 6000-6019"));
    assert!(refusal("base = \"schertz-vvx\"", "audiocodes-phone").contains("no reference"));
    let narrow = "base = \"schertz-vvx\"\n[roles.gateway]\naudio = \"5000-6008\"\n";
    assert!(refusal(narrow, "audiocodes-gateway").contains("multiple of 10 between 6000 and 64000"));
    let overlap = refusal("base = \"cisco\"", "cisco");
    assert!(
        overlap.contains("ports 16384-32767") && overlap.contains("EF (46)") && overlap.contains("AF41"),
        "{overlap}"
    );
    for device in DEVICES {
        let text = refusal("base = \"lync\"", device);
        assert!(text.contains("is not in force here"), "{device}: {text}");
    }
}

#[test]
fn what_a_family_does_differently_is_said() {
    let limits = |plan: &str, target: &str| -> String {
        let plan = Plan::from_toml(plan).unwrap();
        let order = Order { plan: &plan, scope: Scope::default() };
        let files = (Target::named(target).unwrap().make)(&order).unwrap();
        files[0].guide.clone().unwrap().limits.join("\n")
    };
    let article = limits("base = \"schertz-vvx\"", "polycom");
    assert!(article.contains("use 6000 to 6047 for audio; the plan ends at 6024"), "{article}");
    assert!(article.contains("lets video start at 6025, which is odd"), "{article}");
    assert!(
        !limits(ESTATE, "polycom").contains("odd,") && !limits(ESTATE, "polycom").contains("the plan ends")
    );
    assert!(limits(ESTATE, "lync-phone-edition").contains("CS3 (24) for signaling will not be seen"));
    assert!(limits(ESTATE, "yealink").contains("video leaves from the audio range"));
    assert!(limits(ESTATE, "audiocodes-gateway").contains("room for 99 channels from 16390 on"));
}

/// Names go into comments only, and into one string of PowerShell.
#[test]
fn hostile_names_change_nothing_but_the_comment() {
    let hostile = r#"evil\"'\n\r\u2028--><x/>]]>\n!\n*/ } # ; $(reboot) `id` <& é"#;
    let plan = Plan::from_toml(&format!(
        "{}{SERVERS}[sites.\"{hostile}\"]\n",
        ESTATE.replace("\"estate\"", &format!("\"{hostile}\""))
    ));
    let (plan, tame) = (plan.unwrap(), Plan::from_toml(&format!("{ESTATE}{SERVERS}")).unwrap());
    let site = plan.sites().next().map(str::to_owned);
    let tame_scope = Scope { site: Some("x".to_owned()), service: None };
    for device in DEVICES {
        let make = Target::named(device).unwrap().make;
        let files =
            make(&Order { plan: &plan, scope: Scope { site: site.clone(), service: site.clone() } }).unwrap();
        let tame = make(&Order { plan: &tame, scope: tame_scope.clone() }).unwrap();
        for (file, tame) in files.iter().zip(&tame) {
            let (text, tame) =
                [&file.bytes, &tame.bytes].map(|b| String::from_utf8(b.clone()).unwrap()).into();
            if device == "lync-phone-edition" {
                let quoted = format!("'site:{}'", site.clone().unwrap().replace('\'', "''"));
                assert!(text.contains(&quoted), "{text}");
                continue;
            }
            let differ = |(a, b): &(&str, &str)| a != b;
            let lines: Vec<_> = text.lines().zip(tame.lines()).filter(differ).collect();
            assert!(text.lines().count() == tame.lines().count() && lines.len() == 1, "{lines:?}");
            assert!(lines[0].0.contains("Carillon, plan evil???") && lines[0].0.is_ascii(), "{lines:?}");
        }
    }
}
