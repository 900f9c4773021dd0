//! Call admission control with phones of others at two sites: calls that fit, the one that does not, and video that falls away.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::phones::{Account, assert_heard, baresip::Baresip};
use carillon_interop::process::{run, wait_until};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;
use carillon_interop::servers::carillon::{Carillon, Settings};
use carillon_interop::sipp::{Row, Sipp};
use carillon_interop::site::{SWITCH, Site};
use serde_json::{Value, json};

const PROGRAMS: &[&str] = &["baresip", "sipp", "tshark", "curl"];
const PASSWORD: &str = "as-everybody-here";
const USERS: &[(&str, &str)] =
    &[("alice", PASSWORD), ("bob", PASSWORD), ("carol", PASSWORD), ("dave", PASSWORD)];
const CALL: Row<'_> = ("alice", PASSWORD, "bob");
const BOB: Row<'_> = ("bob", PASSWORD, "");
const LIMIT: Duration = Duration::from_secs(20);
const TALK: Duration = Duration::from_secs(5);

/// The first phone is in Oslo, the others are in Rome. Three calls with PCMU fit through the link, and one video.
const PLAN: &str = r#"
    base = "teams"
    [management.NetworkConfiguration.Global]
    EnableBandwidthPolicyCheck = true
    [management.NetworkBandwidthPolicyProfile.Thin]
    BWPolicy = ["BWLimit=480;BWSessionLimit=200;BWPolicyModality=Audio", "BWLimit=500;BWSessionLimit=350;BWPolicyModality=Video"]
    [management.NetworkRegion.World]
    [management.NetworkSite.Oslo]
    NetworkRegionID = "World"
    BWPolicyProfileID = "Thin"
    [management.NetworkSite.Rome]
    NetworkRegionID = "World"
    [management.NetworkSubnet."10.20.0.8"]
    MaskBits = 29
    NetworkSiteID = "Oslo"
    [management.NetworkSubnet."10.20.0.16"]
    MaskBits = 28
    NetworkSiteID = "Rome"
"#;

struct Stage {
    site: Site,
    server: Carillon,
    capture: Capture,
    work: tempfile::TempDir,
}

impl Stage {
    /// Nothing if the programs are not there.
    fn set() -> Result<Option<Stage>> {
        if !possible("call-admission", PROGRAMS)? {
            return Ok(None);
        }
        let work = tempfile::tempdir()?;
        let site = Site::with_phones(&["a", "b", "c"])?;
        let point = Point { interface: SWITCH.to_owned(), ..Point::link("switch") };
        let capture = Capture::on(&site.switch, &point, work.path())?;
        let server =
            Carillon::start(&site, &Settings { users: USERS, digest: "md5", more: "" }, work.path())?;
        let seen = server.status()?["plan"]["version"].as_u64().ok_or("no version of the plan")?;
        server.put_plan(PLAN, seen)?;
        Ok(Some(Stage { site, server, capture, work }))
    }

    fn sipp(&self, phone: usize, port: u16) -> Sipp<'_> {
        let server = self.server.address("udp");
        Sipp { host: &self.site.phones[phone], server, transport: "udp", port, work: self.work.path() }
    }

    fn seeing(&self, host: usize, user: &str) -> Result<(Account, Baresip)> {
        let account = Account {
            user: user.to_owned(),
            password: PASSWORD.to_owned(),
            server: self.server.address("udp"),
            transport: "udp",
            ca: self.server.ca.clone(),
            codec: "PCMU/8000/1",
            srtp: false,
            ports: 50000,
            ice: false,
        };
        let phone = Baresip::sign_in_seeing(&self.site.phones[host], &account, self.work.path())?;
        Ok((account, phone))
    }

    /// What a class of the link says.
    fn link(&self, class: &str, what: &str) -> Result<u64> {
        let status = self.server.status()?;
        status["links"][0][class][what].as_u64().ok_or_else(|| format!("no link: {status}").into())
    }

    fn wait_for(&self, class: &str, what: &str, count: u64) -> Result<()> {
        wait_until(&format!("{count} {what} of {class}"), LIMIT, || Ok(self.link(class, what)? == count))
    }

    /// What is recorded is written a moment later.
    fn wait_for_calls(&self, count: u64, ending: &str) -> Result<()> {
        wait_until("records", LIMIT, || {
            let summary = self.server.records_json(&["summary"])?;
            Ok(summary["endings"][ending].as_u64() == Some(count))
        })
    }
}

/// These fields of the messages for which this holds, as tshark reads them.
fn read(file: &Path, fields: &[&str], filter: &str) -> Result<Vec<String>> {
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(file).args(["-Y", filter, "-T", "fields", "-E", "separator=|"]);
    let read = run(tshark.args(fields.iter().flat_map(|field| ["-e", field])))?;
    Ok(read.lines().map(str::to_owned).collect())
}

#[test]
fn three_calls_fit_the_fourth_is_refused_and_one_fits_again_after_a_bye() -> Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    let _bob = stage.sipp(1, 5080).callee("answers", BOB, &[])?;
    let mut up = stage.sipp(0, 5080).start("call-long", &[CALL], &["-m", "3", "-r", "10"])?;
    stage.wait_for("audio", "calls", 3)?;
    assert_eq!(stage.link("audio", "reserved")?, 468);
    stage.sipp(0, 5081).run("call-over-budget", &[CALL], 2, &["-r", "10"])?;
    assert_eq!((stage.link("audio", "calls")?, stage.link("audio", "refused")?), (3, 2));
    assert_eq!(stage.server.metric(&stage.site, "link_reserved_kbps", "link=\"Oslo\",class=\"audio\"")?, 468);
    up.wait_for_success(LIMIT)?;
    stage.wait_for("audio", "calls", 0)?;
    stage.sipp(0, 5082).run("call", &[CALL], 9, &["-r", "3"])?;
    stage.wait_for("audio", "calls", 0)?;
    assert_eq!((stage.link("audio", "reserved")?, stage.link("audio", "refused")?), (0, 2));

    stage.wait_for_calls(2, "over-budget")?;
    let refused = stage.server.records_json(&["list", "--ending", "over-budget"])?;
    let links: Vec<&Value> =
        refused.as_array().into_iter().flatten().map(|leg| &leg["over_budget"]).collect();
    assert_eq!(links, [&json!("Oslo"), &json!("Oslo")]);
    stage.server.assert_unharmed()?;
    let Stage { site, capture, .. } = stage;
    let (file, server) = (capture.stop()?, site.server.v4());
    let warnings = read(&file, &["sip.Warning"], &format!("sip.Status-Code == 488 && ip.src == {server}"))?;
    assert!(
        warnings.len() >= 2 && warnings.iter().all(|warning| warning.starts_with("370 ")),
        "{warnings:?}"
    );
    let rung = read(&file, &["sip.Call-ID"], &format!("sip.Method == \"INVITE\" && ip.src == {server}"))?;
    let rung: std::collections::BTreeSet<String> = rung.into_iter().collect();
    assert_eq!(rung.len(), 12, "nobody has heard of those that did not fit");
    Ok(())
}

/// Row 44: the call after the last that may be seen falls to audio, is told why, and stands so in the records.
#[test]
fn a_second_video_falls_away_and_the_two_hear_each_other_all_the_same() -> Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    let (carol, callee) = stage.seeing(2, "carol")?;
    let (dave, mut caller) = stage.seeing(0, "dave")?;
    let _bob = stage.sipp(1, 5080).callee("answers-seen", BOB, &[])?;
    let mut up = stage.sipp(0, 5080).start("call-seen", &[CALL], &["-m", "1"])?;
    stage.wait_for("video", "calls", 1)?;
    caller.call(&carol.address())?;
    std::thread::sleep(TALK);
    assert_eq!((stage.link("audio", "calls")?, stage.link("video", "calls")?), (2, 1));
    assert_eq!((stage.link("video", "reserved")?, stage.link("video", "refused")?), (350, 1));
    caller.hang_up()?;
    stage.wait_for("audio", "calls", 1)?;
    assert_heard("carol", &callee.heard()?, &dave)?;
    assert_heard("dave", &caller.heard()?, &carol)?;
    up.wait_for_success(LIMIT)?;
    stage.wait_for("video", "calls", 0)?;

    // Alone on the link there is room.
    caller.call(&carol.address())?;
    stage.wait_for("video", "calls", 1)?;
    caller.hang_up()?;
    stage.wait_for("video", "calls", 0)?;
    stage.wait_for_calls(3, "hung-up")?;
    let legs = stage.server.records_json(&["list"])?;
    let of = |leg: &Value| {
        (leg["user"] == json!("dave@carillon.test"))
            .then(|| (leg["over_budget"].clone(), leg["video_codec"].clone()))
    };
    let seen: Vec<_> = legs.as_array().into_iter().flatten().filter_map(of).collect();
    assert_eq!(seen, [(Value::Null, json!("VP8")), (json!("Oslo"), Value::Null)], "the newest first");

    stage.server.assert_unharmed()?;
    let Stage { site, capture, .. } = stage;
    let (file, server, third) = (capture.stop()?, site.server.v4(), site.phones[2].v4());
    let offers = read(
        &file,
        &["sdp.media"],
        &format!("sip.Method == \"INVITE\" && ip.src == {server} && ip.dst == {third}"),
    )?;
    let video = |offer: &String| offer.split("video ").nth(1).is_some_and(|video| !video.starts_with("0 "));
    assert_eq!(offers.iter().map(video).collect::<Vec<_>>(), [false, true], "{offers:?}");
    let filter = format!(
        "sip.Status-Code == 200 && sip.CSeq.method == \"INVITE\" && ip.src == {server} && sip.Warning"
    );
    let warnings = read(&file, &["sip.Warning"], &filter)?;
    assert!(
        !warnings.is_empty() && warnings.iter().all(|warning| warning.starts_with("370 ")),
        "{warnings:?}"
    );
    Ok(())
}
