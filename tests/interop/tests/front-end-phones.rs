//! Other people's phones, and Carillon's own, call each other through `carillon serve`. What they hear is compared with what was said, and
//! tshark, not our own decoder, looks at every packet that Carillon sent.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::network::{AUDIO_MARKS, Host};
use carillon_interop::phones::{Account, assert_heard, baresip::Baresip, linphone::Linphone, own::Own};
use carillon_interop::process::{run, wait_until};
use carillon_interop::recording::{Point, captures_dir};
use carillon_interop::scenario::possible;
use carillon_interop::servers::carillon::{Carillon, Settings};
use carillon_interop::site::{SWITCH, Site};
use carillon_interop::tshark;

const PROGRAMS: &[&str] = &["baresip", "linphonec", "tshark", "xmllint", "python3"];
const USERS: &[(&str, &str)] = &[("alice", "wonderland-7"), ("bob", "builder-8"), ("carol", "singer-9")];
const TALK: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(10);

/// A site with a server that runs, and a capture of all that its switch carries.
struct Stage {
    site: Site,
    server: Carillon,
    capture: Capture,
    work: tempfile::TempDir,
}

impl Stage {
    /// Nothing if the programs are not there.
    fn set(digest: &str) -> Result<Option<Stage>> {
        if !possible("front-end-phones", PROGRAMS)? {
            return Ok(None);
        }
        let work = tempfile::tempdir()?;
        let site = Site::with_phones(&["a", "b", "c"])?;
        let point = Point { interface: SWITCH.to_owned(), ..Point::link("switch") };
        let capture = Capture::on(&site.switch, &point, work.path())?;
        let server = Carillon::start(&site, &Settings { users: USERS, digest, more: "" }, work.path())?;
        Ok(Some(Stage { site, server, capture, work }))
    }

    fn account(&self, user: usize, codec: &'static str, srtp: bool) -> Account {
        let (name, password) = USERS[user];
        Account {
            user: name.to_owned(),
            password: password.to_owned(),
            server: self.server.address("tls"),
            transport: "tls",
            ca: self.server.ca.clone(),
            codec,
            srtp,
            ports: [50000, 50010, 50000][user],
            ice: false,
        }
    }

    fn path(&self) -> &Path {
        self.work.path()
    }

    fn wait_for_registrations(&self, count: u64) -> Result<()> {
        wait_until("signing in", LIMIT, || Ok(self.server.counted("registrations")? == count))
    }

    /// Two of our own phones sign in and talk; what the switch carried meanwhile.
    fn call_of_our_own(&self, folder: &Path) -> Result<PathBuf> {
        let point = Point { interface: SWITCH.to_owned(), ..Point::link("switch") };
        let capture = Capture::on(&self.site.switch, &point, folder)?;
        let (alice, bob) = (self.account(0, "PCMU/8000/1", false), self.account(1, "PCMU/8000/1", false));
        let mut called =
            Own::start(&self.site.phones[1], &bob, &["--answer", "--once", "--ring", "0"], folder)?;
        self.wait_for_registrations(1)?;
        let to = ["--to", "bob@carillon.test", "--duration", "3"];
        let mut calling = Own::start(&self.site.phones[0], &alice, &to, folder)?;
        calling.process.wait_for_success(LIMIT)?;
        called.process.wait_for_success(LIMIT)?;
        assert_heard("bob", called.heard(), &alice)?;
        wait_until("signing out", LIMIT, || Ok(self.server.counted("registrations")? == 0))?;
        capture.stop()
    }

    /// Ends the capture, and has tshark look for a packet of these hosts with a wrong mark or from a wrong port.
    fn judge(self, ours: &[std::net::IpAddr]) -> Result<PathBuf> {
        self.server.assert_unharmed()?;
        let file = self.capture.stop()?;
        let (mut packets, server) = (0, self.site.server.addresses());
        let phones: Vec<_> = self.site.phones.iter().flat_map(Host::addresses).collect();
        for (flow, marks) in tshark::marks(&file, &[])? {
            // Between phones there is media, and nothing of signaling.
            if phones.contains(&flow.source.ip()) && !server.contains(&flow.destination.ip()) {
                let media =
                    [flow.source, flow.destination].iter().all(|end| (50000..=50019).contains(&end.port()));
                assert!(!flow.tcp && media || !phones.contains(&flow.destination.ip()), "{flow:?}");
            }
            // Questions to the site's name server and its answers are not ours.
            let names = [flow.source.port(), flow.destination.port()].contains(&53);
            if names || !ours.contains(&flow.source.ip()) {
                continue;
            }
            let expected = match (flow.tcp, flow.source.port(), flow.destination.port()) {
                (true, 5060..=5061, _) | (true, _, 5060..=5061) | (false, 5060, _) | (false, _, 5060) => 24,
                (false, 50000..=50019, _) => 46,
                _ => return Err(format!("outside of every range of the plan: {flow:?}").into()),
            };
            assert!(marks.keys().eq([&expected]), "{flow:?}: {marks:?}, not {expected}");
            packets += marks.values().sum::<u64>();
        }
        assert!(packets > 10, "only {packets} packets of ours in the capture");
        Ok(file)
    }
}

#[test]
fn baresip_calls_linphone_over_tls_with_srtp_and_both_are_heard() -> Result<()> {
    let Some(stage) = Stage::set("md5")? else { return Ok(()) };
    let (alice, bob) = (stage.account(0, "PCMU/8000/1", true), stage.account(1, "PCMU/8000/1", true));
    let mut linphone = Linphone::sign_in(&stage.site.phones[1], &bob, stage.path())?;
    let mut baresip = Baresip::sign_in(&stage.site.phones[0], &alice, stage.path())?;
    assert_eq!(stage.server.counted("registrations")?, 2);
    baresip.call(&bob.address())?;
    linphone.process.wait_for("Media streams established", LIMIT)?;
    std::thread::sleep(TALK);
    baresip.hang_up()?;
    linphone.process.wait_for("ended (No error)", LIMIT)?;
    assert_heard("bob", &linphone.heard()?, &alice)?;
    assert_heard("alice", &baresip.heard()?, &bob)?;
    let server = stage.site.server.addresses();
    stage.judge(&server).map(drop)
}

#[test]
fn linphone_calls_baresip_with_g722_in_clear() -> Result<()> {
    let Some(stage) = Stage::set("md5")? else { return Ok(()) };
    let (alice, bob) = (stage.account(0, "G722/16000/1", false), stage.account(1, "G722/16000/1", false));
    let mut linphone = Linphone::sign_in(&stage.site.phones[1], &bob, stage.path())?;
    let baresip = Baresip::sign_in(&stage.site.phones[0], &alice, stage.path())?;
    linphone.call(&alice.address())?;
    std::thread::sleep(TALK);
    linphone.hang_up()?;
    linphone.process.wait_for("ended (No error)", LIMIT)?;
    assert_heard("bob", &linphone.heard()?, &alice)?;
    assert_heard("alice", &baresip.heard()?, &bob)?;
    let server = stage.site.server.addresses();
    stage.judge(&server).map(drop)
}

#[test]
fn linphone_proves_its_password_by_sha_256() -> Result<()> {
    let Some(stage) = Stage::set("sha-256")? else { return Ok(()) };
    let bob = stage.account(1, "PCMU/8000/1", true);
    let _linphone = Linphone::sign_in(&stage.site.phones[1], &bob, stage.path())?;
    assert_eq!(stage.server.counted("registrations")?, 1);
    let unproven = stage.server.metric(&stage.site, "connections_unproven", "")?;
    assert_eq!(unproven, 0, "whoever has proven a password may stay connected");
    let wrong = Account { password: "not it".to_owned(), ..stage.account(2, "PCMU/8000/1", true) };
    let _carol = Linphone::start(&stage.site.phones[2], &wrong, stage.path())?;
    let denied = || stage.server.metric(&stage.site, "denied_total", "password");
    wait_until("a wrong password", LIMIT, || Ok(denied()? > 0))?;
    assert_eq!(stage.server.counted("registrations")?, 1);
    let server = stage.site.server.addresses();
    stage.judge(&server).map(drop)
}

#[test]
fn baresip_calls_carillon_over_tls_with_srtp() -> Result<()> {
    let Some(stage) = Stage::set("md5")? else { return Ok(()) };
    let (alice, bob) = (stage.account(0, "PCMU/8000/1", true), stage.account(1, "PCMU/8000/1", true));
    let [phone, own] = [&stage.site.phones[0], &stage.site.phones[1]];
    let mut carillon = Own::start(own, &bob, &["--answer", "--once", "--ring", "0"], stage.path())?;
    stage.wait_for_registrations(1)?;
    let mut baresip = Baresip::sign_in(phone, &alice, stage.path())?;
    baresip.call(&bob.address())?;
    std::thread::sleep(TALK);
    baresip.hang_up()?;
    carillon.process.wait_for_success(LIMIT)?;
    assert_heard("bob", carillon.heard(), &alice)?;
    assert_heard("alice", &baresip.heard()?, &bob)?;
    let ours = [stage.site.server.addresses(), own.addresses()].concat();
    stage.judge(&ours).map(drop)
}

#[test]
fn carillon_calls_linphone_with_opus() -> Result<()> {
    let Some(stage) = Stage::set("md5")? else { return Ok(()) };
    let (alice, bob) = (stage.account(0, "opus/48000/2", true), stage.account(1, "opus/48000/2", true));
    let [own, phone] = [&stage.site.phones[0], &stage.site.phones[1]];
    let mut linphone = Linphone::sign_in(phone, &bob, stage.path())?;
    let to = ["--to", "bob@carillon.test", "--duration", "5"];
    let mut carillon = Own::start(own, &alice, &to, stage.path())?;
    carillon.process.wait_for_success(LIMIT + TALK)?;
    linphone.process.wait_for("ended (No error)", LIMIT)?;
    assert_heard("bob", &linphone.heard()?, &alice)?;
    assert_heard("alice", carillon.heard(), &bob)?;
    let ours = [stage.site.server.addresses(), own.addresses()].concat();
    stage.judge(&ours).map(drop)
}

#[test]
fn carillon_calls_baresip_over_ipv6_and_plain_tcp() -> Result<()> {
    let Some(mut stage) = Stage::set("md5")? else { return Ok(()) };
    let v6 = stage.site.server.v6();
    stage.site.resolve(v6.into())?;
    let server = std::net::SocketAddr::new(v6.into(), 5060);
    let over = |account| Account { server, transport: "tcp", ..account };
    let (alice, bob) =
        (over(stage.account(0, "PCMU/8000/1", false)), over(stage.account(1, "PCMU/8000/1", false)));
    let [own, phone] = [&stage.site.phones[0], &stage.site.phones[1]];
    // It marks IPv4 alone.
    phone.mark(&AUDIO_MARKS)?;
    let baresip = Baresip::sign_in(phone, &bob, stage.path())?;
    let to = ["--to", "bob@carillon.test", "--duration", "5"];
    let mut carillon = Own::start(own, &alice, &to, stage.path())?;
    carillon.process.wait_for_success(LIMIT + TALK)?;
    assert_heard("bob", &baresip.heard()?, &alice)?;
    assert_heard("alice", carillon.heard(), &bob)?;
    let ours = [stage.site.server.addresses(), own.addresses()].concat();
    stage.judge(&ours).map(drop)
}

/// Nobody but the server is told: its sockets and phones that sign in later follow.
#[test]
fn one_edit_of_the_plan_takes_marks_and_ranges_away_and_another_gives_new_ones() -> Result<()> {
    let Some(stage) = Stage::set("md5")? else { return Ok(()) };
    let plan = std::fs::read_to_string(captures_dir().join("plans/phones.toml"))?;
    let off = format!("enabled = false\n{plan}");
    let other = plan.replace("\"CS3\"", "26").replace("\"EF\"", "40").replace("50000-50019", "6000-6019");
    for (version, plan, signaling, audio) in [(1, &off, 0, 0), (2, &other, 26, 40)] {
        let folder = stage.path().join(version.to_string());
        std::fs::create_dir(&folder)?;
        stage.server.put_plan(plan, version)?;
        let flows = tshark::marks(&stage.call_of_our_own(&folder)?, &[])?;
        let flows: Vec<_> = flows
            .iter()
            .filter(|(flow, _)| flow.source.port() != 53 && flow.destination.port() != 53)
            .collect();
        let server = stage.site.server.addresses();
        for (flow, marks) in &flows {
            let planned = if flow.tcp { signaling } else { audio };
            // Before a phone has signed in it does not know the plan.
            let is_first = |mark: &u8| flow.tcp && !server.contains(&flow.source.ip()) && *mark == 24;
            let others = marks.keys().filter(|mark| **mark != planned && !is_first(mark)).count();
            assert!(others == 0 && marks.contains_key(&planned), "{flow:?}: {marks:?}, not {planned}");
        }
        let planned = if audio == 40 { 6000..=6019 } else { 50000..=50019 };
        let media = flows.iter().filter(|(flow, _)| !flow.tcp);
        let inside = media.map(|(flow, _)| planned.contains(&flow.source.port())).collect::<Vec<_>>();
        assert!(inside.len() >= 2 && inside.iter().all(|inside| *inside) == (audio == 40), "{flows:?}");
    }
    Ok(())
}

#[test]
fn xmllint_reads_what_a_phone_is_provisioned_with() -> Result<()> {
    let Some(stage) = Stage::set("md5")? else { return Ok(()) };
    let own = &stage.site.phones[2];
    let given = Own::provisioning(own, &stage.account(2, "PCMU/8000/1", true), stage.path())?;
    let file = stage.path().join("provisioning.xml");
    std::fs::write(&file, given["document"].as_str().ok_or("no document")?)?;
    let count = |path: &str| run(Command::new("xmllint").args(["--xpath", path]).arg(&file));
    let groups = "count(//*[local-name()='provisionGroup'][@name='ServerConfiguration'])";
    assert_eq!(count(groups)?.trim(), "1");
    assert!(
        count("//*[local-name()='provisionGroup']")?.contains("50000"),
        "the first audio port of the plan"
    );
    let ours = [stage.site.server.addresses(), own.addresses()].concat();
    stage.judge(&ours).map(drop)
}
