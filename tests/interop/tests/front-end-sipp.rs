//! sipp registers, calls, cancels, forks, repeats and errs at `carillon serve`; the server is killed in the middle, and grows by nothing.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::process::run;
use carillon_interop::scenario::possible;
use carillon_interop::servers::carillon::{Carillon, Settings};
use carillon_interop::sipp::{Row, Sipp};
use carillon_interop::site::Site;

const LIMIT: Duration = Duration::from_secs(20);
const PASSWORD: &str = "as-everybody-here";
const CALL: Row<'_> = ("alice", PASSWORD, "bob");
const BOB: Row<'_> = ("bob", PASSWORD, "");

struct Stage {
    server: Carillon,
    site: Site,
    work: tempfile::TempDir,
}

impl Stage {
    fn set(users: &[(&str, &str)]) -> Result<Option<Stage>> {
        if !possible("front-end-sipp", &["sipp"])? {
            return Ok(None);
        }
        let work = tempfile::tempdir()?;
        let site = Site::with_phones(&["a", "b"])?;
        let server = Carillon::start(&site, &Settings { users, digest: "md5", more: "" }, work.path())?;
        Ok(Some(Stage { server, site, work }))
    }

    fn sipp<'a>(&'a self, phone: usize, transport: &'a str, port: u16) -> Sipp<'a> {
        let server = self.server.address(transport);
        Sipp { host: &self.site.phones[phone], server, transport, port, work: self.work.path() }
    }

    fn metric(&self, name: &str, labels: &str) -> Result<u64> {
        self.server.metric(&self.site, name, labels)
    }
}

fn two() -> [(&'static str, &'static str); 2] {
    [("alice", PASSWORD), ("bob", PASSWORD)]
}

#[test]
fn calls_messages_refusals_and_cancelled_calls_go_through() -> Result<()> {
    let users = [("alice", PASSWORD), ("bob", PASSWORD), ("carol", PASSWORD)];
    let Some(stage) = Stage::set(&users)? else { return Ok(()) };
    // A phone each, since that of a process that has ended stays signed in over UDP.
    for (transport, port, name) in [("udp", 5080, "bob"), ("tcp", 5090, "carol")] {
        let (caller, callee) = (stage.sipp(0, transport, port), stage.sipp(1, transport, port));
        for (takes, calls) in [
            ("answers", "call"),
            ("takes-messages", "message"),
            ("busy", "call-refused"),
            ("rings", "call-cancelled"),
        ] {
            let _phone = callee.callee(takes, (name, PASSWORD, ""), &[])?;
            caller.run(calls, &[("alice", PASSWORD, name)], 20, &["-r", "20"])?;
        }
    }
    assert_eq!(stage.server.counted("calls")?, 0);
    stage.server.assert_unharmed()
}

#[test]
fn three_phones_ring_one_answers_and_the_others_are_cancelled() -> Result<()> {
    let Some(stage) = Stage::set(&two())? else { return Ok(()) };
    let ports = [5081, 5082, 5083];
    let mut ringing = Vec::new();
    for (port, takes) in ports.into_iter().zip(["rings", "answers-later", "rings"]) {
        ringing.push(stage.sipp(1, "udp", port).callee(takes, BOB, &[])?);
    }
    assert_eq!(stage.server.counted("registrations")?, 3);
    stage.sipp(0, "udp", 5080).run("call-any-ringing", &[CALL], 10, &["-r", "10"])?;
    for process in &ringing {
        assert!(!process.printed().contains("Unexpected"), "{}", process.printed());
    }
    // Ten calls, of which each had two branches that somebody had to cancel; sipp would not forgive a missing one.
    assert_eq!(stage.server.counted("calls")?, 0);
    assert!(stage.metric("responses_total", "\"4\"")? >= 20, "487 from both losers of ten calls");
    stage.server.assert_unharmed()
}

#[test]
fn what_is_lost_is_sent_again() -> Result<()> {
    let Some(stage) = Stage::set(&two())? else { return Ok(()) };
    let _bob = stage.sipp(1, "udp", 5080).callee("answers-without-ack", BOB, &[])?;
    for phone in &stage.site.phones {
        // One of ten datagrams does not reach it.
        phone.run("nft", &["add table inet lossy"])?;
        phone.run("nft", &["add chain inet lossy in { type filter hook input priority 0; }"])?;
        phone.run("nft", &["add rule inet lossy in udp dport 5080 numgen random mod 10 0 drop"])?;
    }
    stage.sipp(0, "udp", 5080).run("call-any-ringing", &[CALL], 60, &["-r", "30"])?;
    assert!(stage.metric("absorbed_total", "")? > 0, "what was sent to us again");
    assert!(stage.metric("resent_total", "")? > 0, "what we sent again");
    stage.server.assert_unharmed()
}

#[test]
fn what_is_wrong_gets_its_answer() -> Result<()> {
    let Some(stage) = Stage::set(&two())? else { return Ok(()) };
    for (transport, port) in [("udp", 5080), ("tcp", 5090)] {
        stage.sipp(0, transport, port).run("errors", &[CALL], 10, &["-r", "20"])?;
    }
    stage.server.assert_unharmed()
}

#[test]
fn a_server_that_stops_finishes_its_calls_and_sends_new_ones_away() -> Result<()> {
    let Some(stage) = Stage::set(&two())? else { return Ok(()) };
    let _bob = stage.sipp(1, "udp", 5080).callee("answers", BOB, &[])?;
    // A call that lasts three seconds, as long as its pause is.
    let mut up = stage.sipp(0, "udp", 5080).start("call-long", &[CALL], &["-m", "1"])?;
    carillon_interop::process::wait_until("the call", LIMIT, || Ok(stage.server.counted("calls")? == 1))?;
    run(Command::new("kill").args(["-TERM", &stage.server.id().to_string()]))?;
    stage.sipp(0, "udp", 5090).run("call-not-taken", &[CALL], 3, &[])?;
    up.wait_for_success(LIMIT)
}

#[test]
fn no_binding_whose_200_was_heard_is_lost_by_a_crash() -> Result<()> {
    let names: Vec<String> = (0..2000).map(|number| format!("u{number:04}")).collect();
    let users: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), PASSWORD)).collect();
    let Some(mut stage) = Stage::set(&users)? else { return Ok(()) };
    let rows: Vec<Row<'_>> = names.iter().map(|name| (name.as_str(), PASSWORD, "")).collect();
    let sipp = stage.sipp(0, "udp", 5080);
    let log = sipp.messages("register");
    let mut storm = sipp.start("register", &rows, &["-m", "2000", "-r", "800"])?;
    carillon_interop::process::wait_until("half of the storm", LIMIT, || {
        Ok(stage.server.counted("registrations")? > 700)
    })?;
    stage.server.kill()?;
    storm.terminate(LIMIT)?;
    let acknowledged = heard(&std::fs::read_to_string(&log)?, &names)?;
    stage.server.restart(&stage.site)?;
    let kept = stage.server.registered()?;
    assert_eq!(stage.server.counted("registrations")?, kept.len() as u64);
    let lost: Vec<&String> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), acknowledged.len());
    assert!(acknowledged.len() > 500, "the storm was over before it began: {}", acknowledged.len());
    stage.server.assert_unharmed()
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

#[test]
fn a_thousand_calls_leave_nothing_behind() -> Result<()> {
    let Some(stage) = Stage::set(&two())? else { return Ok(()) };
    let _bob = stage.sipp(1, "tcp", 5080).callee("answers", BOB, &[])?;
    let caller = stage.sipp(0, "tcp", 5080);
    // The first calls fill tables that then stay as they are.
    caller.run("call", &[CALL], 500, &["-r", "150"])?;
    let (memory, descriptors) = stage.server.size()?;
    caller.run("call", &[CALL], 1000, &["-r", "150"])?;
    let (more, after) = stage.server.size()?;
    assert!(more < memory + (4 << 20), "{memory} bytes became {more}");
    assert!(after <= descriptors, "{descriptors} descriptors became {after}");
    assert_eq!(stage.server.counted("calls")?, 0);
    let leased = stage.server.status()?["leases"]
        .as_array()
        .map_or(0, |all| all.iter().filter(|l| l["leased"] != 0).count());
    assert_eq!(leased, 0);
    stage.server.assert_unharmed()
}
