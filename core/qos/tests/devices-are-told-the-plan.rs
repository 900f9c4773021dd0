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
            let kept = folder.join(&path);
            if std::env::var_os("CARILLON_WRITE_EXPORTS").is_some() {
                std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
                std::fs::write(&kept, &text).unwrap();
            }
            assert_eq!(text, std::fs::read_to_string(&kept).unwrap(), "{path}");
        }
    }
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
    let crossed = "base = \"technet\"\n[roles.client]\naudio = \"58020-58039\"\n";
    assert!(export(&Plan::from_toml(crossed).unwrap(), "cisco").is_ok());
    assert!(refusal(crossed, "aruba-switch").contains("58020-58039 on the side of the whole switch"));
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
        "{}[sites.\"{hostile}\"]\n",
        ESTATE.replace("\"estate\"", &format!("\"{hostile}\""))
    ));
    let (plan, tame) = (plan.unwrap(), Plan::from_toml(ESTATE).unwrap());
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
