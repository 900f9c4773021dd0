//! Other people's parsers read the files for phones, gateways, routers: what they find there is the plan, also where
//! the plan's names are hostile.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use carillon_interop::Result;
use carillon_interop::process::{installed, run};
use carillon_interop::scenario::required;
use carillon_qos::Plan;
use carillon_qos::export::{Order, Target};
use carillon_qos::plan::Scope;
use serde::Deserialize;

/// What could end a comment or a string in one format or another.
const HOSTILE: &str = r#"evil\"'\n\r--><x/>]]>\n!\n*/ } # ; $(reboot) `id` <& é"#;

fn plan(name: &str) -> Result<Plan> {
    let text = format!(
        "name = \"{name}\"\nbase = \"schertz-vvx\"\n[classes]\nsharing = \"AF21\"\n[roles.client]\naudio = \"6000-6047\"\n\
         video = \"6050-6099\"\nsharing = \"6100-6124\"\nfile-transfer = \"6125-6149\"\n[roles.gateway]\naudio = \
         \"16384-17383\"\n[servers]\nnetworks = [\"10.1.0.0/24\", \"2001:db8:1::7\"]\n[phones.vvx]\naudio-start = 6000\nvideo-start = 6050\n[sites.\"{name}\"]\n"
    );
    Plan::from_toml(&text).map_err(|problems| format!("{problems:?}").into())
}

/// The files of a target in a folder: those of a tame plan, then those of a hostile one.
fn export(target: &str, folder: &Path) -> Result<Vec<BTreeMap<String, PathBuf>>> {
    let mut exports = Vec::new();
    for name in ["estate", HOSTILE] {
        let plan = plan(name)?;
        let scope = Scope { site: plan.sites().next().map(str::to_owned), service: None };
        let target = Target::named(target).ok_or("no such target")?;
        let mut paths = BTreeMap::new();
        for file in (target.make)(&Order { plan: &plan, scope })? {
            let path = folder.join(exports.len().to_string()).join(&file.path);
            std::fs::create_dir_all(path.parent().ok_or("no folder")?)?;
            std::fs::write(&path, &file.bytes)?;
            paths.insert(file.path, path);
        }
        exports.push(paths);
    }
    Ok(exports)
}

/// Whether a judge is here; where it must be and is not, that is an error.
fn judge(name: &str, is_here: bool) -> Result<bool> {
    if !is_here && required() {
        return Err(format!("{name} is not installed").into());
    }
    if !is_here {
        writeln!(std::io::stderr(), "skipped: {name} is not installed")?;
    }
    Ok(is_here)
}

#[test]
fn xmllint_finds_the_plan_in_the_files_of_phones() -> Result<()> {
    if !judge("xmllint", installed("xmllint"))? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let polycom = [
        ("//@*[name()='qos.ip.rtp.dscp']", "46"),
        ("//@*[name()='qos.ip.rtp.video.dscp']", "34"),
        ("//@*[name()='qos.ip.callControl.dscp']", "24"),
        ("//@*[name()='qos.ethernet.rtp.user_priority']", "5"),
        ("//@*[name()='tcpIpApp.port.rtp.mediaPortRangeStart']", "6000"),
        ("//@*[name()='tcpIpApp.port.rtp.mediaPortRangeEnd']", "6047"),
        ("//@*[name()='tcpIpApp.port.rtp.videoPortRange.enable']", "1"),
        ("//@*[name()='tcpIpApp.port.rtp.videoPortRangeStart']", "6050"),
        ("//@*[name()='tcpIpApp.port.rtp.videoPortRangeEnd']", "6097"),
        ("count(/*)", "1"),
        ("count(//@*)", "11"),
    ];
    let master = [("substring-after(//APPLICATION/@CONFIG_FILES, ', ')", "qos.cfg"), ("count(//@*)", "7")];
    let snom = [
        ("/settings/phone-settings/codec_tos", "184"),
        ("/settings/phone-settings/signaling_tos", "96"),
        ("/settings/phone-settings/rtp_port_start", "6000"),
        ("/settings/phone-settings/rtp_port_end", "6047"),
        ("count(//*)", "6"),
    ];
    for files in export("polycom", work.path())? {
        holds(&files["phone/polycom/qos.cfg"], &polycom)?;
        holds(&files["phone/polycom/000000000000.cfg"], &master)?;
    }
    for files in export("snom", work.path())? {
        holds(&files["phone/snom/carillon-qos.xml"], &snom)?;
    }
    Ok(())
}

/// What XPath expressions give in a file.
fn holds(file: &Path, expected: &[(&str, &str)]) -> Result<()> {
    for (path, value) in expected {
        let found = run(Command::new("xmllint").arg("--xpath").arg(format!("string({path})")).arg(file))?;
        assert_eq!(found.trim_end(), *value, "{path} in {}", std::fs::read_to_string(file)?);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Router {
    lists: BTreeMap<String, Vec<String>>,
    classes: BTreeMap<String, Vec<String>>,
    policies: BTreeMap<String, Vec<(String, Vec<String>)>>,
    lost: Vec<String>,
    idle: Vec<String>,
}

#[test]
fn ciscoconfparse_finds_the_planned_policies_and_no_name_that_leads_nowhere() -> Result<()> {
    let is_here = run(Command::new("python3").args(["-c", "import ciscoconfparse2"])).is_ok();
    if !judge("ciscoconfparse2", is_here)? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    for files in export("cisco", work.path())? {
        let router: Router =
            serde_json::from_str(&python("cisco-policies.py", &files["network/cisco-ios.txt"])?)?;
        assert!(router.lost.is_empty() && router.idle.is_empty(), "{:?} {:?}", router.lost, router.idle);
        let list = [
            "permit udp any range 6000 6047 any",
            "permit udp any any range 6000 6047",
            "permit tcp any range 6000 6047 any",
            "permit tcp any any range 6000 6047",
        ];
        assert_eq!(router.lists["CARILLON-CLIENTS-EF"], list);
        assert_eq!(router.lists["CARILLON-CLIENTS-EF-V6"], list);
        assert_eq!(
            router.lists["CARILLON-CLIENTS-CS3"],
            ["permit tcp any eq 5061 any", "permit tcp any any eq 5061"]
        );
        for (list, place) in [
            ("CARILLON-SERVERS-AF41", "10.1.0.0 0.0.0.255"),
            ("CARILLON-SERVERS-AF41-V6", "host 2001:db8:1::7"),
        ] {
            let of = |protocol: &str| {
                [
                    format!("permit {protocol} {place} range 57501 65535 any"),
                    format!("permit {protocol} any {place} range 57501 65535"),
                ]
            };
            assert_eq!(router.lists[list], [of("udp"), of("tcp")].concat());
        }
        assert_eq!(router.lists.len(), 14);
        assert_eq!(router.classes["CARILLON-QUEUE-VIDEO"], ["match dscp af41"]);
        let marks = |side: &str, marks: &[&str]| -> Vec<(String, Vec<String>)> {
            let class = |mark: &str| format!("CARILLON-{side}-{}", mark.to_uppercase());
            marks.iter().map(|mark| (class(mark), vec![format!("set dscp {mark}")])).collect()
        };
        let servers = marks("SERVERS", &["ef", "af41", "af21"]);
        let clients = marks("CLIENTS", &["ef", "af41", "af21", "cs3"]);
        assert_eq!(router.policies["CARILLON-IN"], [servers, clients].concat());
        assert_eq!(reserved(&router.policies["CARILLON-WAN-OUT"])?, [33, 25, 5, 7]);
        assert_eq!(router.policies.len(), 2);
    }
    Ok(())
}

/// The percentages of a queuing policy, at most what routers let be reserved.
fn reserved(policy: &[(String, Vec<String>)]) -> Result<Vec<u32>> {
    let shares = policy.iter().flat_map(|(_, lines)| lines).filter_map(|line| line.split_once(" percent "));
    let shares: Vec<u32> = shares.map(|(_, share)| share.parse()).collect::<std::result::Result<_, _>>()?;
    assert!(shares.iter().sum::<u32>() <= 75, "{shares:?}");
    assert_eq!(
        policy.first().map(|(_, lines)| lines.as_slice()),
        Some(["priority percent 33".to_owned()].as_slice())
    );
    Ok(shares)
}

#[test]
fn configparser_reads_the_files_of_gateways() -> Result<()> {
    if !judge("python3", installed("python3"))? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let read = |path: &Path| -> Result<BTreeMap<String, BTreeMap<String, String>>> {
        Ok(serde_json::from_str(&python("ini-sections.py", path)?)?)
    };
    let section = |name: &str, values: &[(&str, &str)]| {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        (name.to_owned(), values.collect::<BTreeMap<_, _>>())
    };
    for files in export("audiocodes-gateway", work.path())? {
        let expected = section(
            "VOICE Engine Params",
            &[
                ("PremiumServiceClassMediaDiffServ", "46"),
                ("PremiumServiceClassControlDiffServ", "24"),
                ("BaseUDPPort", "16390"),
                ("UdpPortSpacing", "10"),
            ],
        );
        assert_eq!(read(&files["gateway/audiocodes/qos.ini"])?, BTreeMap::from([expected]));
    }
    for files in export("asterisk-gateway", work.path())? {
        let transport = section("carillon-transport", &[("type", "transport"), ("tos", "cs3"), ("cos", "3")]);
        let endpoint = section(
            "carillon-endpoint",
            &[
                ("type", "endpoint"),
                ("tos_audio", "ef"),
                ("cos_audio", "5"),
                ("tos_video", "af41"),
                ("cos_video", "4"),
            ],
        );
        assert_eq!(
            read(&files["gateway/asterisk/pjsip-carillon.conf"])?,
            BTreeMap::from([transport, endpoint])
        );
        let range = section("general", &[("rtpstart", "16384"), ("rtpend", "17383")]);
        assert_eq!(read(&files["gateway/asterisk/rtp-carillon.conf"])?, BTreeMap::from([range]));
    }
    Ok(())
}

/// No judge for Junos was found; at least every brace is closed and every statement ended, and the hostile plan has
/// the same statements as the tame one.
#[test]
fn the_braces_of_junos_are_balanced() -> Result<()> {
    let work = tempfile::tempdir()?;
    let mut statements = Vec::new();
    for files in export("junos", work.path())? {
        let text = std::fs::read_to_string(&files["network/junos.conf"])?;
        let mut depth = 0i32;
        for line in text.lines() {
            let end = line.trim_end().chars().next_back();
            assert!(matches!(end, Some('{' | '}' | ';')) || line.starts_with("/* "), "{line}");
            depth += line.matches('{').count() as i32 - line.matches('}').count() as i32;
            assert!(depth >= 0, "{line}");
        }
        assert_eq!(depth, 0);
        statements.push(text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>());
    }
    assert_eq!(statements[0], statements[1]);
    Ok(())
}

fn python(script: &str, file: &Path) -> Result<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(script);
    run(Command::new("python3").arg(script).arg(file))
}
