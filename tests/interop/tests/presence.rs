//! Phones of different makers publish and watch through `carillon serve`; tshark and xmllint look at what Carillon tells them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::phones::{Account, baresip::Baresip, linphone::Linphone};
use carillon_interop::process::{run, wait_until};
use carillon_interop::recording::{Point, asset};
use carillon_interop::scenario::possible;
use carillon_interop::servers::carillon::{Carillon, Settings};
use carillon_interop::site::{SWITCH, Site};

const PROGRAMS: &[&str] = &["baresip", "linphonec", "tshark", "xmllint"];
const USERS: &[(&str, &str)] = &[("alice", "wonderland-7"), ("bob", "builder-8"), ("carol", "singer-9")];
/// What bob writes to carol, who is away.
const TEXT: &str = "are you there";
const LIMIT: Duration = Duration::from_secs(20);

fn account(server: &Carillon, user: usize) -> Account {
    let (name, password) = USERS[user];
    Account {
        user: name.to_owned(),
        password: password.to_owned(),
        server: server.address("tcp"),
        transport: "tcp",
        ca: server.ca.clone(),
        codec: "PCMU/8000/1",
        srtp: false,
        ports: [50000, 50010, 50000][user],
        ice: false,
    }
}

/// How baresip writes that somebody came.
const ONLINE: &str = "to \u{1b}[32mOnline";
const OFFLINE: &str = "to \u{1b}[31mOffline";

#[test]
fn baresip_and_linphone_see_each_other_come_and_go() -> Result<()> {
    if !possible("presence", PROGRAMS)? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let site = Site::with_phones(&["a", "b", "c"])?;
    let point = Point { interface: SWITCH.to_owned(), ..Point::link("switch") };
    let capture = Capture::on(&site.switch, &point, work.path())?;
    let settings = Settings { users: USERS, digest: "md5", more: "" };
    let mut server = Carillon::start(&site, &settings, work.path())?;
    let [alice, bob, carol] = [0, 1, 2].map(|user| account(&server, user));
    let mut baresip = Baresip::sign_in_watching(&site.phones[0], &alice, &bob.address(), work.path())?;
    // It does not say what it hears first.
    wait_until("baresip watching", LIMIT, || Ok(server.metric(&site, "watchers", "")? == 1))?;
    let mut linphone = Linphone::sign_in_watching(&site.phones[1], &bob, &alice.address(), work.path())?;
    baresip.process.wait_for(ONLINE, LIMIT)?;
    linphone.process.wait_for("is Online", LIMIT)?;
    baresip.say("/presence_offline")?;
    linphone.process.wait_for("is Offline", LIMIT)?;

    // What was acknowledged is there after a crash.
    linphone.say(&format!("chat {} \"{TEXT}\"", carol.address()))?;
    let waiting = |server: &Carillon| server.metric(&site, "messages_waiting", "");
    wait_until("a message that waits", LIMIT, || Ok(waiting(&server)? == 1))?;
    linphone.say("quit")?;
    baresip.process.wait_for(OFFLINE, LIMIT)?;
    // It takes back what it has published; baresip's stays.
    let published = |server: &Carillon| server.metric(&site, "publications", "");
    wait_until("linphone taking back its document", LIMIT, || Ok(published(&server)? == 1))?;
    server.kill()?;
    server.restart(&site)?;
    assert_eq!((published(&server)?, waiting(&server)?), (1, 1));
    let mut other = Baresip::sign_in(&site.phones[2], &carol, work.path())?;
    other.process.wait_for(TEXT, LIMIT)?;
    wait_until("the message to be delivered", LIMIT, || Ok(waiting(&server)? == 0))?;

    server.assert_unharmed()?;
    judge(&capture.stop()?, work.path())
}

/// tshark finds the NOTIFYs, and xmllint finds their documents valid.
fn judge(capture: &Path, work: &Path) -> Result<()> {
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(capture).args([
        "-Y",
        "sip.Method == \"NOTIFY\"",
        "-T",
        "fields",
        "-e",
        "tcp.payload",
    ]);
    let packets = run(&mut tshark)?;
    let mut valid = 0;
    for packet in packets.lines() {
        let text = String::from_utf8_lossy(&unhex(packet)).into_owned();
        for part in text.split("<?xml").skip(1) {
            let end = part.find("</presence>").ok_or("a document without an end")? + "</presence>".len();
            let file = work.join(format!("notify-{valid}.xml"));
            std::fs::write(&file, format!("<?xml{}", &part[..end]))?;
            run(Command::new("xmllint").args(["--noout", "--schema"]).arg(asset("pidf.xsd")).arg(&file))?;
            valid += 1;
        }
    }
    assert!(valid >= 4, "only {valid} documents in the capture");
    Ok(())
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte =
        |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or_default(), 16).unwrap_or(0);
    digits.chunks(2).map(byte).collect()
}

/// linphone asks for a receipt with each message (RFC 5438); the one who gets it gives one.
#[test]
fn a_message_is_receipted_by_its_reader() -> Result<()> {
    if !possible("receipts", &["linphonec", "tshark"])? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let site = Site::with_phones(&["a", "b"])?;
    let point = Point { interface: SWITCH.to_owned(), ..Point::link("switch") };
    let capture = Capture::on(&site.switch, &point, work.path())?;
    let settings = Settings { users: USERS, digest: "both", more: "" };
    let server = Carillon::start(&site, &settings, work.path())?;
    let [alice, bob] = [0, 1].map(|user| Account {
        transport: "udp",
        server: server.address("udp"),
        ..account(&server, user)
    });
    let mut first = Linphone::sign_in_with_receipts(&site.phones[0], &alice, work.path())?;
    let mut second = Linphone::sign_in_with_receipts(&site.phones[1], &bob, work.path())?;
    first.say(&format!("chat {} \"{TEXT}\"", bob.address()))?;
    second.process.wait_for(TEXT, LIMIT)?;
    wait_until("a receipt", LIMIT, || Ok(server.metric(&site, "requests_total", "\"MESSAGE\"")? >= 4))?;
    std::thread::sleep(Duration::from_secs(2));
    server.assert_unharmed()?;
    let file = capture.stop()?;
    let to = site.phones[0].v4();
    let filter = format!("sip.Method == \"MESSAGE\" && ip.dst == {to}");
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(&file).args(["-Y", &filter, "-T", "fields", "-e", "udp.payload"]);
    let receipts: Vec<String> =
        run(&mut tshark)?.lines().map(|hex| String::from_utf8_lossy(&unhex(hex)).into_owned()).collect();
    // Compressed, as it came: what is inside is not for us to read.
    let receipt = |text: &String| {
        text.contains("From: <sip:bob@carillon.test>") && text.contains("Content-Type: message/imdn+xml")
    };
    assert!(receipts.iter().any(receipt), "{receipts:#?}");
    Ok(())
}
