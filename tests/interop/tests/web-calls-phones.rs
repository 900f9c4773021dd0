//! A page calls phones that know nothing of browsers, and they call it: JsSIP in Chromium, and baresip with plain RTP and with
//! mandatory SRTP. What each hears is compared with what was said; tshark sees whence the server's packets came and how they
//! were marked.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::network::Host;
use carillon_interop::phones::web::{ORIGIN, Proof, Web};
use carillon_interop::phones::{Account, assert_heard, assert_heard_by_page, baresip::Baresip};
use carillon_interop::process::{run, wait_until};
use carillon_interop::recording::{Point, captures_dir};
use carillon_interop::scenario::possible;
use carillon_interop::servers::carillon::{Carillon, Settings};
use carillon_interop::sipp::Sipp;
use carillon_interop::site::{SWITCH, Site};
use carillon_interop::speech::{has_key, write_wav};
use carillon_interop::tshark;

const PROGRAMS: &[&str] = &["chromium", "python3", "esbuild", "baresip", "sipp", "curl", "tshark"];
const USERS: &[(&str, &str)] = &[("alice", "wonderland-7"), ("bob", "builder-8")];
const LIMIT: Duration = Duration::from_secs(20);
/// Long enough to know a voice again.
const TALK: Duration = Duration::from_secs(7);
/// What was sent before the other end has agreed to something else has arrived by then.
const SETTLES: Duration = Duration::from_secs(2);
/// Where the plan of the test has the server's audio, and how it and signaling are marked.
const AUDIO_PORTS: std::ops::RangeInclusive<u16> = 49_152..=49_191;
const AUDIO: u8 = 46;
const SIGNALING: u8 = 24;

/// A server, a page of alice's and a phone of bob's; all that their switch carries is captured.
struct Stage {
    site: Site,
    server: Carillon,
    capture: Capture,
    alice: Account,
    bob: Account,
    work: tempfile::TempDir,
}

impl Stage {
    fn set(codec: &'static str, srtp: bool) -> Result<Stage> {
        let work = tempfile::tempdir()?;
        let site = Site::with_phones(&["a", "b"])?;
        let point = Point { interface: SWITCH.to_owned(), ..Point::link("switch") };
        let capture = Capture::on(&site.switch, &point, work.path())?;
        let more = format!(
            "[[listeners]]\ntransport = \"wss\"\naddress = \"::\"\n[https]\nlisten = \"[::]:8443\"\norigins = [{ORIGIN:?}]\n"
        );
        let server =
            Carillon::start(&site, &Settings { users: USERS, digest: "md5", more: &more }, work.path())?;
        server.put_plan(&plan()?, 1)?;
        let mut wss = server.address("tls");
        wss.set_port(443);
        let account = |user: usize, server: std::net::SocketAddr, transport, ca: &Path| Account {
            user: USERS[user].0.to_owned(),
            password: USERS[user].1.to_owned(),
            server,
            transport,
            ca: ca.to_owned(),
            codec,
            srtp,
            ports: 50_010,
            ice: false,
        };
        let alice = account(0, wss, "wss", &server.ca);
        let bob = account(1, server.address("tls"), "tls", &server.ca);
        Ok(Stage { site, server, capture, alice, bob, work })
    }

    fn sign_in(&self) -> Result<(Web, Baresip)> {
        let phone = Baresip::sign_in(&self.site.phones[1], &self.bob, self.work.path())?;
        let mut page = Web::open(&self.site.phones[0], &self.alice, self.work.path())?;
        assert_eq!(page.sign_in(&self.alice, Proof::Password)?, "registered");
        Ok((page, phone))
    }

    /// Ports of the server that are leased for audio.
    fn leased(&self) -> Result<u64> {
        let status = self.server.status()?;
        let classes = status["leases"].as_array().ok_or("no leases in the status")?;
        let audio = classes.iter().find(|lease| lease["class"] == "audio");
        audio.and_then(|lease| lease["leased"].as_u64()).ok_or_else(|| "no audio in the status".into())
    }

    /// From a moment after now on the page hears bob, or nobody.
    fn hears(&self, page: &mut Web, somebody: bool) -> Result<()> {
        std::thread::sleep(SETTLES);
        page.forget()?;
        std::thread::sleep(TALK - SETTLES);
        let heard = page.heard()?;
        match somebody {
            true => assert_heard_by_page("alice", &heard, &self.bob),
            false if std::fs::metadata(&heard)?.len() == 44 => Ok(()),
            false => Err("the call is on hold, and somebody is heard".into()),
        }
    }

    /// The call has ended: both have heard each other, everything was given back, and every packet of the server's was as planned.
    fn judge(self, mut page: Web, phone: &Baresip) -> Result<()> {
        assert_heard_by_page("alice", &page.heard()?, &self.bob)?;
        assert_heard("bob", &phone.heard()?, &self.alice)?;
        wait_until("the end of the legs", LIMIT, || Ok(self.leased()? == 0))?;
        assert_eq!(self.server.counted("bridges")?, 0);
        self.server.assert_unharmed()?;
        let (server, mut media) = (self.site.server.addresses(), [0; 2]);
        let phones: Vec<_> = self.site.phones.iter().map(Host::addresses).collect();
        for (flow, marks) in tshark::marks(&self.capture.stop()?, &[])? {
            let (from, to) = (flow.source, flow.destination);
            let between = |one: usize, other: usize| {
                phones[one].contains(&from.ip()) && phones[other].contains(&to.ip())
            };
            assert!(!between(0, 1) && !between(1, 0), "around the server: {flow:?}");
            if !server.contains(&from.ip()) || [from.port(), to.port()].contains(&53) || to.port() == 8443 {
                continue;
            }
            let expected = match from.port() {
                port if !flow.tcp && AUDIO_PORTS.contains(&port) => AUDIO,
                443 | 5061 if flow.tcp => SIGNALING,
                _ => return Err(format!("outside of every range of the plan: {flow:?}").into()),
            };
            assert!(marks.keys().eq([&expected]), "{flow:?}: {marks:?}, not {expected}");
            for (side, count) in media.iter_mut().enumerate() {
                let is_its = expected == AUDIO && phones[side].contains(&to.ip());
                *count += if is_its { marks.values().sum::<u64>() } else { 0 };
            }
        }
        assert!(media.iter().all(|packets| *packets > 250), "{media:?} packets of media");
        Ok(())
    }
}

/// That of the phones, with ports for the server.
fn plan() -> Result<String> {
    let phones = std::fs::read_to_string(captures_dir().join("plans/phones.toml"))?;
    let (first, last) = (AUDIO_PORTS.start(), AUDIO_PORTS.end());
    Ok(format!("{phones}\n[roles.conferencing]\naudio = \"{first}-{last}\"\n"))
}

/// The page calls, and the phone hangs up.
fn page_calls(codec: &'static str, srtp: bool) -> Result<()> {
    if !possible("web-calls-phones", PROGRAMS)? {
        return Ok(());
    }
    let stage = Stage::set(codec, srtp)?;
    let (mut page, mut phone) = stage.sign_in()?;
    page.call(&stage.bob.address())?;
    std::thread::sleep(TALK);
    assert_eq!((stage.server.counted("bridges")?, stage.leased()?), (1, 3));
    phone.hang_up()?;
    wait_until("the end of the call", LIMIT, || page.is_over())?;
    stage.judge(page, &phone)
}

#[test]
fn a_page_and_a_phone_with_plain_rtp_hear_each_other() -> Result<()> {
    page_calls("PCMU/8000/1", false)
}

#[test]
fn a_page_and_a_phone_that_wants_srtp_hear_each_other() -> Result<()> {
    page_calls("G722/16000/1", true)
}

/// Hold from either end, keys both ways, and a page that looks for its way anew: the two are the same call all the time.
#[test]
fn hold_keys_and_new_ways_cross_between_a_page_and_a_phone() -> Result<()> {
    if !possible("web-calls-phones", PROGRAMS)? {
        return Ok(());
    }
    let stage = Stage::set("PCMU/8000/1", false)?;
    let (mut page, mut phone) = stage.sign_in()?;
    phone.goes_on(&stage.bob, 8)?;
    page.call(&stage.bob.address())?;
    stage.hears(&mut page, true)?;
    page.hold()?;
    stage.hears(&mut page, false)?;
    page.resume()?;
    stage.hears(&mut page, true)?;
    phone.say("/hold")?;
    stage.hears(&mut page, false)?;
    phone.say("/resume")?;
    stage.hears(&mut page, true)?;

    page.press("5#")?;
    for key in ["'5'", "'#'"] {
        phone.process.wait_for(&format!("received event: {key}"), LIMIT)?;
    }
    page.forget()?;
    phone.press('7')?;
    wait_until("a key", LIMIT, || has_key('7', &page.heard()?))?;

    page.restart()?;
    stage.hears(&mut page, true)?;
    assert_eq!((stage.server.counted("bridges")?, stage.leased()?), (1, 3));
    page.hang_up()?;
    phone.process.wait_for("terminated", LIMIT)?;
    assert_heard("bob", &end_of(&phone.heard()?, TALK)?, &stage.alice)?;
    wait_until("the end of the legs", LIMIT, || Ok(stage.leased()? == 0))?;
    stage.server.assert_unharmed()
}

/// A phone that refuses RTP without keys (488) is asked once more, with SRTP and nothing else; the page hears of none of it.
#[test]
fn a_phone_that_refuses_media_without_keys_is_asked_once_more() -> Result<()> {
    if !possible("web-calls-phones", PROGRAMS)? {
        return Ok(());
    }
    let stage = Stage::set("PCMU/8000/1", false)?;
    let (host, server) = (&stage.site.phones[1], stage.server.address("udp"));
    let sipp = Sipp { host, server, transport: "udp", port: 5080, work: stage.work.path() };
    let _phone = sipp.callee("wants-keys", (USERS[1].0, USERS[1].1, ""), &[])?;
    let mut page = Web::open(&stage.site.phones[0], &stage.alice, stage.work.path())?;
    assert_eq!(page.sign_in(&stage.alice, Proof::Password)?, "registered");
    page.call(&stage.bob.address())?;
    assert_eq!(
        (stage.server.counted("bridges")?, stage.leased()?),
        (1, 3),
        "the first has given its own back"
    );
    page.hang_up()?;
    wait_until("the end of the legs", LIMIT, || Ok(stage.leased()? == 0))?;
    stage.server.assert_unharmed()?;
    let phone = host.v4();
    let file = stage.capture.stop()?;
    let offers = format!("sip.Method == \"INVITE\" && ip.dst == {phone} && sdp.media");
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(&file).args(["-Y", &offers, "-T", "fields", "-e", "sdp.media.proto"]);
    let read = run(&mut tshark)?;
    assert_eq!(read.lines().collect::<Vec<_>>(), ["RTP/AVP", "RTP/SAVP"]);
    Ok(())
}

/// The last of a recording of 8000 samples per second.
fn end_of(recording: &Path, length: Duration) -> Result<PathBuf> {
    let bytes = std::fs::read(recording)?;
    let at = bytes.len().saturating_sub(length.as_secs() as usize * 16_000).max(44) & !1;
    let samples: Vec<i16> =
        bytes[at..].chunks_exact(2).map(|sample| i16::from_le_bytes([sample[0], sample[1]])).collect();
    let end = recording.with_extension("end.wav");
    write_wav(&end, &samples, 8000, 1)?;
    Ok(end)
}

#[test]
fn a_phone_calls_a_page_and_both_hear_each_other() -> Result<()> {
    if !possible("web-calls-phones", PROGRAMS)? {
        return Ok(());
    }
    let stage = Stage::set("PCMU/8000/1", false)?;
    let (mut page, mut phone) = stage.sign_in()?;
    phone.call(&stage.alice.address())?;
    std::thread::sleep(TALK);
    assert_eq!((stage.server.counted("bridges")?, stage.leased()?), (1, 3));
    page.hang_up()?;
    phone.process.wait_for("terminated", LIMIT)?;
    stage.judge(page, &phone)
}
