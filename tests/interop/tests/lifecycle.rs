//! What a server lives through: crashes in the middle of things, a full disk, a clock that is set, a certificate that ends,
//! many thousand calls. What was acknowledged stays true, and nothing is left behind.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carillon_interop::Result;
use carillon_interop::process::{Process, run, wait_until};
use carillon_interop::scenario::possible;
use carillon_interop::servers::carillon::{Carillon, Settings, Surroundings};
use carillon_interop::sipp::{Row, Sipp};
use carillon_interop::site::Site;
use carillon_interop::verdict::program;

const LIMIT: Duration = Duration::from_secs(30);
const PASSWORD: &str = "as-everybody-here";
const USERS: [(&str, &str); 2] = [("alice", PASSWORD), ("bob", PASSWORD)];
const CALL: Row<'_> = ("alice", PASSWORD, "bob");
const BOB: Row<'_> = ("bob", PASSWORD, "");
/// What makes a program believe in another time.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

struct Stage {
    server: Carillon,
    site: Site,
    work: tempfile::TempDir,
}

impl Stage {
    fn set(more: &str) -> Result<Option<Stage>> {
        if !possible("lifecycle", &["sipp"])? {
            return Ok(None);
        }
        let work = tempfile::tempdir()?;
        let site = Site::with_phones(&["a", "b"])?;
        let settings = Settings { users: &USERS, digest: "md5", more };
        let server = Carillon::start(&site, &settings, work.path())?;
        Ok(Some(Stage { server, site, work }))
    }

    fn sipp<'a>(&'a self, phone: usize, transport: &'a str, port: u16) -> Sipp<'a> {
        let server = self.server.address(transport);
        Sipp { host: &self.site.phones[phone], server, transport, port, work: self.work.path() }
    }

    fn crash(&mut self) -> Result<()> {
        self.server.kill()?;
        self.server.restart(&self.site)
    }

    /// No call, and no port for media.
    fn assert_nothing_is_left(&self) -> Result<()> {
        assert_eq!(self.server.counted("calls")?, 0);
        let status = self.server.status()?;
        let leases = status["leases"].as_array().ok_or("no leases in the status")?;
        assert!(leases.iter().all(|lease| lease["leased"] == 0), "{leases:?}");
        self.server.assert_unharmed()
    }
}

/// How often a message was received, by the log of sipp.
fn received(log: &Path, first: &str) -> usize {
    let log = fs::read_to_string(log).unwrap_or_default();
    let line = |line: &&str| line.split('\t').nth(3) == Some("R") && line.contains(first);
    log.lines().filter(line).count()
}

/// After each step of a call the server dies. A call that was not answered may be lost; one that was is ended by its parties as
/// if nothing had been.
#[test]
fn a_call_that_was_answered_outlives_a_crash_at_any_step() -> Result<()> {
    let Some(mut stage) = Stage::set("")? else { return Ok(()) };
    // What the caller has sent or heard when the server dies, and whether the call was answered by then.
    let steps = [
        ("caller", "SIP/2.0 180", false),
        ("caller", "SIP/2.0 200", true),
        ("callee", "ACK ", true),
        ("callee", "BYE ", true),
    ];
    for (number, (who, heard, answered)) in steps.into_iter().enumerate() {
        let port = 5080 + 10 * number as u16;
        let bob = stage.sipp(1, "udp", port).callee("answers-slowly", BOB, &[])?;
        let caller = stage.sipp(0, "udp", port);
        let log = match who {
            "caller" => caller.messages("call-slowly"),
            _ => stage.sipp(1, "udp", port).messages("signed-in"),
        };
        let before = received(&log, heard);
        let mut call = caller.start("call-slowly", &[CALL], &["-m", "1"])?;
        wait_until(&format!("{who} hearing {heard}"), LIMIT, || Ok(received(&log, heard) > before))?;
        stage.crash()?;
        assert_eq!(stage.server.registered()?, BTreeSet::from(["bob".to_owned()]));
        if answered {
            call.wait_for_success(LIMIT).map_err(|error| format!("dead after {heard}: {error}"))?;
        } else {
            drop(call);
        }
        drop(bob);
        stage.assert_nothing_is_left()?;
    }
    // Each of the calls stands in the records, with an end.
    let records = stage.server.records_json(&["list"])?;
    let legs = records.as_array().ok_or("no list of records")?;
    let open: Vec<_> = legs.iter().filter(|leg| leg["ended"].is_null()).collect();
    assert!(legs.len() >= steps.len() && open.is_empty(), "{legs:#?}");
    Ok(())
}

/// After each answer to a PUBLISH the server dies; the next one refers to what was acknowledged.
#[test]
fn a_publication_that_was_acknowledged_outlives_a_crash_at_any_step() -> Result<()> {
    let Some(mut stage) = Stage::set("")? else { return Ok(()) };
    let sipp = stage.sipp(0, "udp", 5080);
    let log = sipp.messages("publish-slowly");
    let mut publishing = sipp.start("publish-slowly", &[("alice", PASSWORD, "")], &["-m", "1"])?;
    for step in 1..=3 {
        wait_until("an answer to a PUBLISH", LIMIT, || Ok(received(&log, "SIP/2.0 200") == step))?;
        stage.crash()?;
        assert_eq!(stage.server.metric(&stage.site, "publications", "")?, 1, "after step {step}");
    }
    publishing.wait_for_success(LIMIT)?;
    stage.crash()?;
    assert_eq!(stage.server.metric(&stage.site, "publications", "")?, 0);
    stage.server.assert_unharmed()
}

/// A file system of its own, which a test may fill.
struct Disk(PathBuf);

impl Disk {
    fn of(megabytes: u32, place: &Path) -> Result<Disk> {
        fs::create_dir(place)?;
        let size = format!("size={megabytes}m");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place))?;
        Ok(Disk(place.to_owned()))
    }

    /// Takes all the room that is left.
    fn fill(&self) -> Result<()> {
        // It ends because the disk is full.
        let filler = self.0.join("filler");
        let mut file = fs::File::create(filler)?;
        while file.write_all(&[0; 4096]).is_ok() {}
        Ok(())
    }

    fn make_room(&self) -> Result<()> {
        Ok(fs::remove_file(self.0.join("filler"))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_no_call_and_nothing_is_promised_that_it_could_not_keep() -> Result<()> {
    if !possible("lifecycle", &["sipp", "mount"])? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let disk = Disk::of(24, &work.path().join("disk"))?;
    let site = Site::with_phones(&["a", "b"])?;
    let names: Vec<String> = (0..400).map(|number| format!("u{number:03}")).collect();
    let mut users: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), PASSWORD)).collect();
    users.extend(USERS);
    let settings = Settings { users: &users, digest: "md5", more: "" };
    let mut server = Carillon::start(&site, &settings, &disk.0)?;
    let logs = tempfile::tempdir()?;
    let address = server.address("udp");
    let sipp = |phone: usize, port| Sipp {
        host: &site.phones[phone],
        server: address,
        transport: "udp",
        port,
        work: logs.path(),
    };

    let _bob = sipp(1, 5080).callee("answers", BOB, &[])?;
    let rows: Vec<Row<'_>> = names.iter().map(|name| (name.as_str(), PASSWORD, "")).collect();
    let (early, late) = rows.split_at(100);
    sipp(0, 5060).run("register", early, early.len(), &["-r", "100"])?;
    disk.fill()?;
    // Phones sign in until nothing can be saved any more.
    let storm = sipp(0, 5070);
    let log = storm.messages("register");
    let mut registering = storm.start("register", late, &["-m", "300", "-r", "200"])?;
    wait_until("the disk to be full", LIMIT, || Ok(!server.status()?["trouble"].is_null()))?;
    sipp(0, 5090).run("register-not-kept", &[("alice", PASSWORD, "")], 3, &[])?;
    sipp(0, 5080).run("call", &[CALL], 5, &[])?;
    let trouble = server.status()?["trouble"].as_str().unwrap_or_default().to_owned();
    assert!(trouble.contains("full"), "{trouble}");

    disk.make_room()?;
    wait_until("the disk to be written again", LIMIT, || Ok(server.status()?["trouble"].is_null()))?;
    sipp(0, 5090).run("register", &[("alice", PASSWORD, "")], 1, &[])?;
    registering.terminate(LIMIT)?;
    let mut acknowledged = heard(&fs::read_to_string(&log)?, &names[early.len()..])?;
    assert!(!acknowledged.is_empty(), "what waited for the disk is answered");
    acknowledged.extend(names[..early.len()].iter().cloned());
    for moment in ["before", "after"] {
        let kept = server.registered()?;
        let lost: Vec<&String> = acknowledged.difference(&kept).collect();
        assert!(
            lost.is_empty(),
            "{moment} a restart {} of {} lost: {lost:?}",
            lost.len(),
            acknowledged.len()
        );
        assert!(kept.contains("alice") && kept.contains("bob"), "{moment} a restart");
        server.kill()?;
        server.restart(&site)?;
    }
    server.assert_unharmed()
}

/// Who received the 200 of a registration; the first call of the log is that of the first name.
fn heard(log: &str, names: &[String]) -> Result<BTreeSet<String>> {
    let mut heard = BTreeSet::new();
    for words in log.lines().map(|line| line.split('\t').collect::<Vec<_>>()) {
        let [_, _, _, "R", call, _, first] = words[..] else { continue };
        if first.starts_with("SIP/2.0 200") {
            let number: usize = call.split('-').next().unwrap_or_default().parse()?;
            heard.extend(names.get(number - 1).cloned());
        }
    }
    Ok(heard)
}

/// The clock on the wall is set by a day, forth and back; what lasts an hour lasts an hour, and who is given relays can use them.
#[test]
fn a_clock_that_is_set_signs_nobody_out_and_ends_no_call() -> Result<()> {
    if !possible("lifecycle", &["sipp", "curl"])? {
        return Ok(());
    }
    if !Path::new(FAKETIME).exists() {
        return Err(format!("{FAKETIME} is missing (package libfaketime)").into());
    }
    let work = tempfile::tempdir()?;
    let site = Site::with_phones(&["a", "b"])?;
    let offset = work.path().join("clock");
    fs::write(&offset, "+0")?;
    let secret = work.path().join("relay-secret");
    fs::write(&secret, "a secret that is long enough\n")?;
    let more = format!(
        "relay.servers = [\"203.0.113.7\"]\nrelay.secret = {secret:?}\nrelay.lifetime = 3600\nhttps.listen = \"[::]:8443\""
    );
    let settings = Settings { users: &USERS, digest: "md5", more: &more };
    let environment = [
        ("LD_PRELOAD", FAKETIME),
        ("FAKETIME_TIMESTAMP_FILE", &offset.to_string_lossy()),
        ("FAKETIME_NO_CACHE", "1"),
        // As the kernel does it: what counts from the start goes on evenly.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let surroundings = Surroundings { environment, ..Surroundings::default() };
    let mut server = Carillon::start_in(&site, &settings, work.path(), surroundings)?;
    let address = server.address("udp");
    let sipp = |phone: usize, port| Sipp {
        host: &site.phones[phone],
        server: address,
        transport: "udp",
        port,
        work: work.path(),
    };
    let _bob = sipp(1, 5080).callee("answers", BOB, &[])?;
    let warnings = |server: &Carillon| -> Result<String> { Ok(server.status()?["warnings"].to_string()) };
    assert_eq!(warnings(&server)?, "[]");

    for (set, told, days) in [("+1d", "+86400 s", 1), ("-1d", "-86400 s", -1), ("+0", "", 0)] {
        let mut talk = sipp(0, 5070).start("call-long", &[CALL], &["-m", "1"])?;
        wait_until("the call", LIMIT, || Ok(server.counted("calls")? == 1))?;
        fs::write(&offset, set)?;
        wait_until("the clock to be set", LIMIT, || {
            let warnings = warnings(&server)?;
            Ok(if told.is_empty() { warnings == "[]" } else { warnings.contains(told) })
        })?;
        talk.wait_for_success(LIMIT)?;
        // A relay judges by the clock on the wall.
        let lasts = credential_ends(&site, &server)? - now()? - days * 86_400;
        assert!((3500..=3660).contains(&lasts), "the clock set by {set}: a credential lasts {lasts} s");
        sipp(0, 5080).run("call", &[CALL], 3, &[])?;
        assert_eq!(server.registered()?, BTreeSet::from(["bob".to_owned()]), "the clock set by {set}");
        server.assert_unharmed()?;
    }

    // Saved by a clock that is a year ahead, and loaded by one that is right again.
    server.kill()?;
    fs::write(&offset, "+365d")?;
    server.restart(&site)?;
    assert_eq!(server.registered()?, BTreeSet::new(), "an hour has passed by this clock");
    sipp(1, 5060).run("register", &[BOB], 1, &[])?;
    server.kill()?;
    fs::write(&offset, "+0")?;
    server.restart(&site)?;
    assert_eq!(server.registered()?, BTreeSet::from(["bob".to_owned()]));
    server.assert_unharmed()
}

fn now() -> Result<i64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().try_into()?)
}

/// When the credential ends that alice is given for relays: its user name says so.
fn credential_ends(site: &Site, server: &Carillon) -> Result<i64> {
    let url = format!("https://{}:8443/turn?service=turn", server.address("tls").ip());
    let given = site.phones[0]
        .run("curl", &["-sS", "-f", "-k", "--digest", "-u", &format!("alice:{PASSWORD}"), &url])?;
    let given: serde_json::Value = serde_json::from_str(&given)?;
    let name = given["username"].as_str().unwrap_or_default();
    Ok(name.split(':').next().unwrap_or_default().parse()?)
}

#[test]
fn a_certificate_that_ends_is_told_before_and_replaced_without_losing_a_connection() -> Result<()> {
    if !possible("lifecycle", &["sipp", "openssl"])? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let files = |name: &str| work.path().join(name).to_string_lossy().into_owned();
    let (pem, key) = (files("fe.pem"), files("fe.key"));
    let issue = |days: &str| -> Result<()> {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-subj", "/CN=carillon.test", "-addext", "subjectAltName=DNS:carillon.test"]);
        run(openssl.args(["-days", days, "-out", &pem, "-keyout", &key])).map(drop)
    };
    issue("12")?;
    let site = Site::with_phones(&["a", "b"])?;
    let settings = Settings { users: &USERS, digest: "md5", more: "" };
    let surroundings =
        Surroundings { certificate: Some((pem.clone(), key.clone())), ..Surroundings::default() };
    let server = Carillon::start_in(&site, &settings, work.path(), surroundings)?;
    let list = || -> Result<(Option<i32>, String)> {
        let mut command = Command::new(program()?);
        let output =
            command.args(["cert", "list", "--config"]).arg(work.path().join("carillon.toml")).output()?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    let (code, listed) = list()?;
    let thumbprint = || -> Result<String> {
        let printed =
            run(Command::new("openssl").args(["x509", "-noout", "-fingerprint", "-sha1", "-in", &pem]))?;
        Ok(printed.trim().rsplit('=').next().unwrap_or_default().replace(':', ""))
    };
    assert_eq!(code, Some(1), "{listed}");
    assert!(listed.contains("Default") && listed.contains(&thumbprint()?), "{listed}");
    // Twelve within the second in which it was made.
    let told = |said: &str| said.contains("ends in 11 days") || said.contains("ends in 12 days");
    assert!(told(&listed), "{listed}");
    assert!(server.status()?["warnings"][0].as_str().is_some_and(told));
    let ends = server.metric(&site, "certificate_end_time_seconds", "")?;
    assert!(ends > 0);

    // A connection that stays while the certificate is replaced.
    let phone = &site.phones[0];
    let address = server.address("tls").to_string();
    let mut client = phone.command("openssl");
    client.args(["s_client", "-quiet", "-connect", &address]);
    let (mut talking, mut input) = Process::start_with_input(&mut client, &work.path().join("s_client.log"))?;
    wait_until("the connection", LIMIT, || Ok(server.counted("connections")? == 1))?;
    issue("90")?;
    run(Command::new("kill").args(["-HUP", &server.id().to_string()]))?;
    wait_until("the new certificate", LIMIT, || Ok(server.status()?["warnings"][0].is_null()))?;
    assert_eq!(server.counted("connections")?, 1);
    input.write_all(options(&address).as_bytes())?;
    talking.wait_for("SIP/2.0 ", LIMIT)?;
    let (code, listed) = list()?;
    assert_eq!(code, Some(0), "{listed}");
    assert!(listed.contains(&thumbprint()?), "{listed}");
    let shown = phone.run(
        "bash",
        &[
            "-c",
            "echo | openssl s_client -connect $0 2>/dev/null | openssl x509 -noout -fingerprint -sha1",
            &address,
        ],
    )?;
    assert!(shown.replace(':', "").contains(&thumbprint()?), "{shown}");
    server.assert_unharmed()
}

fn options(from: &str) -> String {
    format!(
        "OPTIONS sip:carillon.test SIP/2.0\r\nVia: SIP/2.0/TLS {from};branch=z9hG4bKlife\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@carillon.test>;tag=1\r\nTo: <sip:carillon.test>\r\nCall-ID: life\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn eighteen_thousand_calls_leave_nothing_behind() -> Result<()> {
    let Some(stage) = Stage::set("")? else { return Ok(()) };
    let _bob = stage.sipp(1, "udp", 5080).callee("answers", BOB, &[])?;
    let caller = stage.sipp(0, "udp", 5080);
    let rate = ["-r", "300"];
    // Over UDP a call is remembered for 32 s (RFC 3261, 17): the first calls fill tables that then stay as they are.
    caller.run("call", &[CALL], 10_000, &rate)?;
    let (memory, descriptors) = stage.server.size()?;
    caller.run("call", &[CALL], 8000, &rate)?;
    let (more, after) = stage.server.size()?;
    assert!(more < memory + (4 << 20), "{memory} bytes became {more}");
    assert!(after <= descriptors, "{descriptors} descriptors became {after}");
    stage.assert_nothing_is_left()
}
