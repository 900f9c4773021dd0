//! Dialled numbers, call rules, transfers and early media with phones of others: what they hear is compared with what was
//! said, and tshark reads what the server wrote.

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
use carillon_interop::sipp::Sipp;
use carillon_interop::site::{SWITCH, Site};

const PROGRAMS: &[&str] = &["baresip", "sipp", "tshark"];
const USERS: &[(&str, &str)] = &[("alice", "wonderland-7"), ("bob", "builder-8"), ("carol", "singer-9")];
/// What dialled numbers mean, and that carol is the voicemail.
const RULES: &str = "[calls]\nvoicemail = \"carol@carillon.test\"\n\
    [[dialling]]\ndialled = \"^0([1-9][0-9]+)$\"\nnumber = \"+49$1\"\n";
const TALK: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(20);

struct Stage {
    site: Site,
    server: Carillon,
    capture: Capture,
    work: tempfile::TempDir,
}

impl Stage {
    /// Nothing if the programs are not there.
    fn set() -> Result<Option<Stage>> {
        if !possible("call-rules", PROGRAMS)? {
            return Ok(None);
        }
        let work = tempfile::tempdir()?;
        let site = Site::with_phones(&["a", "b", "c"])?;
        let point = Point { interface: SWITCH.to_owned(), ..Point::link("switch") };
        let capture = Capture::on(&site.switch, &point, work.path())?;
        let server =
            Carillon::start(&site, &Settings { users: USERS, digest: "md5", more: RULES }, work.path())?;
        Ok(Some(Stage { site, server, capture, work }))
    }

    /// A user with a phone, which is answered at once; spoken in clear, so that tshark can read it.
    fn phone(&self, user: usize) -> Result<(Account, Baresip)> {
        let (name, password) = USERS[user];
        let account = Account {
            user: name.to_owned(),
            password: password.to_owned(),
            server: self.server.address("udp"),
            transport: "udp",
            ca: self.server.ca.clone(),
            codec: "PCMU/8000/1",
            srtp: false,
            ports: 50000,
            ice: false,
        };
        let phone = Baresip::sign_in(&self.site.phones[user], &account, self.path())?;
        Ok((account, phone))
    }

    fn sipp<'a>(&'a self, phone: usize, port: u16) -> Sipp<'a> {
        let server = self.server.address("udp");
        Sipp { host: &self.site.phones[phone], server, transport: "udp", port, work: self.path() }
    }

    fn wait_for_requests(&self, method: &str, count: u64) -> Result<()> {
        let label = format!("\"{method}\"");
        wait_until(&format!("{count} {method}"), LIMIT, || {
            Ok(self.server.metric(&self.site, "requests_total", &label)? >= count)
        })
    }

    fn path(&self) -> &Path {
        self.work.path()
    }

    /// These fields of the SIP messages for which this holds, as tshark reads them.
    fn judge(self, fields: &[&str], filter: &str) -> Result<Vec<String>> {
        self.server.assert_unharmed()?;
        let file = self.capture.stop()?;
        let mut tshark = Command::new("tshark");
        tshark.arg("-r").arg(file).args(["-Y", filter, "-T", "fields", "-E", "separator=|"]);
        let read = run(tshark.args(fields.iter().flat_map(|field| ["-e", field])))?;
        Ok(read.lines().map(str::to_owned).collect())
    }
}

#[test]
fn a_dialled_number_rings_its_user_and_who_does_not_answer_has_the_voicemail_speak() -> Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    let rules = stage.path().join("rules.json");
    std::fs::write(&rules, r#"{"no-answer":"voicemail","after":2}"#)?;
    stage.server.user(&["number", "bob", "+49301234"])?;
    stage.server.user(&["rules", "bob", "--set", &rules.to_string_lossy()])?;
    let _bob = stage.sipp(1, 5080).callee("rings", ("bob", USERS[1].1, ""), &[])?;
    let (carol, voicemail) = stage.phone(2)?;
    let (alice, mut phone) = stage.phone(0)?;
    phone.call("sip:0301234@carillon.test")?;
    std::thread::sleep(TALK);
    phone.hang_up()?;
    wait_until("the end of the call", LIMIT, || Ok(stage.server.counted("calls")? == 0))?;
    assert_heard("voicemail", &voicemail.heard()?, &alice)?;
    assert_heard("alice", &phone.heard()?, &carol)?;

    let (server, third) = (stage.site.server.v4(), stage.site.phones[2].v4());
    let filter = format!("sip.Method == \"INVITE\" && ip.src == {server} && ip.dst == {third}");
    let [line, history] = ["sip.Request-Line", "sip.History-Info"];
    let told = stage.judge(&[line, history], &filter)?;
    let first = told.first().ok_or("no INVITE for the voicemail in the capture")?;
    assert!(first.contains(";target=sip:bob%40carillon.test;cause=408 SIP/2.0|"), "{first}");
    for entry in [
        "<sip:0301234@carillon.test;transport=udp>;index=1,",
        "<sip:bob@carillon.test?Reason=SIP%3Bcause%3D408>;index=1.1;mp=1,",
        "<sip:carol@carillon.test;cause=408>;index=1.1.1;mp=1.1",
    ] {
        assert!(first.contains(entry), "{first}");
    }
    Ok(())
}

#[test]
fn a_call_is_transferred_without_asking_and_each_hears_the_other() -> Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    let (bob, mut second) = stage.phone(1)?;
    let (carol, third) = stage.phone(2)?;
    let (alice, mut first) = stage.phone(0)?;
    first.call(&bob.address())?;
    std::thread::sleep(TALK);
    second.say(&format!("/transfer {}", carol.address()))?;
    stage.wait_for_requests("REFER", 1)?;
    third_is_called(&third)?;
    std::thread::sleep(TALK);
    first.hang_up()?;
    wait_until("the end of the calls", LIMIT, || Ok(stage.server.counted("calls")? == 0))?;
    assert_heard_in_one("bob", &second, &alice)?;
    assert_heard_in_one("carol", &third, &alice)?;
    assert_heard_in_one("alice", &first, &carol)?;

    let referred = stage.judge(&["sip.Refer-To"], "sip.Method == \"REFER\"")?;
    assert!(referred.iter().all(|to| to.contains("sip:carol@carillon.test")), "{referred:?}");
    Ok(())
}

/// Who was transferred has a recording of each call.
fn assert_heard_in_one(listener: &str, phone: &Baresip, speaker: &Account) -> Result<()> {
    let heard = phone.heard_in_each();
    let fits = heard.iter().any(|file| assert_heard(listener, file, speaker).is_ok());
    let why = || format!("{listener} has not heard {} in any of {heard:?}", speaker.user).into();
    fits.then_some(()).ok_or_else(why)
}

fn third_is_called(phone: &Baresip) -> Result<()> {
    wait_until("a call to carol", LIMIT, || Ok(!phone.heard_in_each().is_empty()))
}

/// The scenarios fail by themselves if anything is missing.
#[test]
fn early_media_is_acknowledged_and_a_session_timer_is_agreed_and_refreshed() -> Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    let _bob = stage.sipp(1, 5080).callee("answers-early", ("bob", USERS[1].1, ""), &[])?;
    let row = ("alice", USERS[0].1, "bob");
    stage.sipp(0, 5081).run("call-early", &[row], 5, &["-r", "5"])?;
    wait_until("the end of the calls", LIMIT, || Ok(stage.server.counted("calls")? == 0))?;
    let prack = stage.judge(&["sip.RAck"], "sip.Method == \"PRACK\"")?;
    assert!(prack.len() >= 10 && prack.iter().all(|rack| rack == "1 2 INVITE"), "{prack:?}");
    Ok(())
}
