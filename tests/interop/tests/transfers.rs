//! Phones of others hold a call, take it up again, and hand it over after asking: what each hears at the end is compared with what
//! was said, and tshark reads what passed the server.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::phones::{Account, assert_heard, linphone::Linphone};
use carillon_interop::process::{run, wait_until};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;
use carillon_interop::servers::carillon::{Carillon, Settings};
use carillon_interop::site::{SWITCH, Site};

const USERS: &[(&str, &str)] = &[("alice", "wonderland-7"), ("bob", "builder-8"), ("carol", "singer-9")];
const TALK: Duration = Duration::from_secs(4);
const LIMIT: Duration = Duration::from_secs(20);

fn account(server: &Carillon, user: usize) -> Account {
    let (name, password) = USERS[user];
    Account {
        user: name.to_owned(),
        password: password.to_owned(),
        server: server.address("udp"),
        transport: "udp",
        ca: server.ca.clone(),
        codec: "PCMU/8000/1",
        srtp: false,
        ports: 50000,
        ice: false,
    }
}

/// These fields of the SIP messages for which this holds, as tshark reads them.
fn read(capture: &Path, fields: &[&str], filter: &str) -> Result<Vec<String>> {
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(capture).args(["-Y", filter, "-T", "fields", "-E", "separator=|"]);
    let read = run(tshark.args(fields.iter().flat_map(|field| ["-e", field])))?;
    Ok(read.lines().map(str::to_owned).collect())
}

#[test]
fn a_call_is_held_taken_up_again_and_handed_over_after_asking() -> Result<()> {
    if !possible("transfers", &["linphonec", "tshark"])? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let site = Site::with_phones(&["a", "b", "c"])?;
    let point = Point { interface: SWITCH.to_owned(), ..Point::link("switch") };
    let capture = Capture::on(&site.switch, &point, work.path())?;
    let server = Carillon::start(&site, &Settings { users: USERS, digest: "both", more: "" }, work.path())?;
    let [alice, bob, carol] = [0, 1, 2].map(|user| account(&server, user));
    let sign_in =
        |user: usize, account: &Account| Linphone::sign_in(&site.phones[user], account, work.path());
    let (mut first, mut second, mut third) = (sign_in(0, &alice)?, sign_in(1, &bob)?, sign_in(2, &carol)?);
    let invites = || server.metric(&site, "requests_total", "\"INVITE\"");

    first.call(&bob.address())?;
    sleep(TALK);
    let hold = |phone: &mut Linphone| {
        let before = phone.process.printed().matches("is now paused").count();
        phone.say("pause")?;
        wait_until("a hold", LIMIT, || Ok(phone.process.printed().matches("is now paused").count() > before))
    };
    hold(&mut first)?;
    sleep(TALK);
    let (before, streams) = (invites()?, second.streams());
    first.say("resume")?;
    wait_until("a call taken up again", LIMIT, || Ok(invites()? > before && second.streams() > streams))?;
    sleep(TALK);

    // While bob is on hold carol is asked; then alice leaves them to each other.
    hold(&mut first)?;
    first.call(&carol.address())?;
    sleep(TALK);
    for phone in [&mut second, &mut third] {
        phone.record("each-other.wav")?;
    }
    let streams = (second.streams(), third.streams());
    first.say("transfer 1 --to-call 2")?;
    wait_until("a call handed over", LIMIT, || {
        Ok(second.streams() > streams.0 && third.streams() > streams.1)
    })?;
    sleep(2 * TALK);
    second.say("terminate all")?;
    wait_until("the end of the calls", LIMIT, || Ok(server.counted("calls")? == 0))?;
    server.assert_unharmed()?;
    assert_heard("bob", &second.heard()?, &carol)?;
    assert_heard("carol", &third.heard()?, &bob)?;

    let file = capture.stop()?;
    let (server, third) = (site.server.v4(), site.phones[2].v4());
    let holds = read(&file, &["sdp.media_attr"], "sip.Method == \"INVITE\" && sip.to.tag")?;
    assert!(holds.iter().any(|attributes| attributes.contains("sendonly")), "{holds:?}");
    assert!(holds.iter().any(|attributes| !attributes.contains("sendonly")), "{holds:?}");
    let refers = read(&file, &["sip.Refer-To"], "sip.Method == \"REFER\"")?;
    let replaced = |to: &String| to.contains("carol@carillon.test") && to.contains("Replaces=");
    assert!(!refers.is_empty() && refers.iter().all(replaced), "{refers:?}");
    let taken =
        format!("sip.Method == \"INVITE\" && sip.Replaces && ip.src == {server} && ip.dst == {third}");
    assert!(!read(&file, &["sip.Replaces"], &taken)?.is_empty());
    Ok(())
}
