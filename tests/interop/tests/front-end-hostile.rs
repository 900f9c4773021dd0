//! Peers that mean no good, over real sockets: each gets the right answer or is counted, and the service goes on for others.

use std::path::Path;

use carillon_interop::Result;
use carillon_interop::process::{Process, run, wait_until};
use carillon_interop::recording::asset;
use carillon_interop::scenario::possible;
use carillon_interop::servers::carillon::{Carillon, Settings};
use carillon_interop::sipp::Sipp;
use carillon_interop::site::Site;
use serde_json::{Value, json};

const PASSWORD: &str = "as-everybody-here";

struct Stage {
    server: Carillon,
    site: Site,
    work: tempfile::TempDir,
}

impl Stage {
    fn set() -> Result<Option<Stage>> {
        if !possible("front-end-hostile", &["python3", "sipp"])? {
            return Ok(None);
        }
        let work = tempfile::tempdir()?;
        let site = Site::with_phones(&["a", "b"])?;
        let users = [("alice", PASSWORD), ("bob", PASSWORD)];
        let server =
            Carillon::start(&site, &Settings { users: &users, digest: "md5", more: "" }, work.path())?;
        Ok(Some(Stage { server, site, work }))
    }

    /// What the peer got back.
    fn peer(&self, what: &str, more: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&run(&mut self.command(what, more))?)?)
    }

    fn command(&self, what: &str, more: &[&str]) -> std::process::Command {
        let host = &self.site.phones[0];
        let (server, own) = (self.site.server.v4().to_string(), host.v4().to_string());
        let mut command = host.command("python3");
        command.arg(asset("hostile-peer.py")).args([what, &server, &own]).args(more);
        command
    }

    fn metric(&self, name: &str, labels: &str) -> Result<u64> {
        self.server.metric(&self.site, name, labels)
    }

    /// Other phones are served as before: over UDP, TCP and TLS.
    fn assert_unharmed(&self) -> Result<()> {
        self.server.assert_unharmed()?;
        for (transport, port) in [("udp", 5080), ("tcp", 5090)] {
            let server = self.server.address(transport);
            let phone = Sipp { host: &self.site.phones[1], server, transport, port, work: self.work.path() };
            phone.run("options", &[("alice", PASSWORD, "")], 20, &["-r", "100"])?;
        }
        let ca = self.server.ca.to_string_lossy();
        assert_eq!(self.peer("over-tls", &[&ca])?, json!({ "answers": [200] }));
        Ok(())
    }
}

#[test]
fn garbage_is_counted_and_not_answered() -> Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    let (memory, descriptors) = stage.server.size()?;
    assert_eq!(stage.peer("garbage", &[])?, json!({ "answers": [] }));
    // All 2000, but for those that the kernel or a random keep-alive took.
    assert!(stage.metric("dropped_total", "")? > 1900);
    let (more, after) = stage.server.size()?;
    assert!(more < memory + (8 << 20) && after <= descriptors, "{memory} {more} {descriptors} {after}");
    stage.assert_unharmed()
}

#[test]
fn a_header_of_a_megabyte_and_two_lengths_end_the_connection() -> Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    let long = stage.peer("megabyte-headers", &[])?;
    assert!(
        long["answers"].as_array().is_some_and(|codes| codes.iter().all(|code| code.as_u64() >= Some(400))),
        "{long}"
    );
    // The second message of the stream is not read: nobody knows where it begins.
    let lengths = stage.peer("differing-lengths", &[])?;
    assert_eq!(lengths, json!({ "stream": [400], "datagram": [400] }));
    assert_eq!(stage.metric("transport_total", "unframed")?, 2);
    stage.assert_unharmed()
}

#[test]
fn slow_peers_and_half_open_handshakes_hinder_nobody() -> Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    let seen = stage.peer("slow", &["300"])?;
    assert_eq!(seen["served"], json!(vec![200; 12]));
    assert_eq!(seen["half_open_ended"], 300, "a handshake may take ten seconds");
    assert_eq!(stage.metric("transport_total", "handshake_timeout")?, 300);
    wait_until("all connections gone", std::time::Duration::from_secs(10), || {
        Ok(stage.server.counted("connections")? == 0)
    })?;
    stage.assert_unharmed()
}

#[test]
fn wrong_passwords_and_replayed_answers_are_refused_by_name() -> Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    let codes = stage.peer("passwords", &["alice", PASSWORD])?;
    let refused = [401, 403];
    assert!(refused.contains(&codes["wrong"].as_u64().unwrap_or(0)), "{codes}");
    assert_eq!((&codes["right"], &codes["counted"]), (&json!(200), &json!(200)), "{codes}");
    assert_eq!((&codes["replayed"], &codes["foreign"]), (&json!(401), &json!(401)), "{codes}");
    for why in ["password", "replay"] {
        assert_eq!(stage.metric("denied_total", why)?, 1, "{why}");
    }
    stage.assert_unharmed()
}

#[test]
fn an_invite_that_comes_back_is_recognised() -> Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    let log = stage.work.path().join("loop.log");
    let mut broken = Process::start(&mut stage.command("loop", &["bob", PASSWORD]), &log)?;
    broken.wait_for("ready", std::time::Duration::from_secs(10))?;
    let server = stage.server.address("udp");
    let caller =
        Sipp { host: &stage.site.phones[1], server, transport: "udp", port: 5080, work: stage.work.path() };
    let mut caller = caller.start("call", &[("alice", PASSWORD, "bob")], &["-m", "1"])?;
    caller.wait_for_end(std::time::Duration::from_secs(30))?;
    broken.wait_for_success(std::time::Duration::from_secs(30))?;
    let printed = broken.printed();
    let last = printed.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    let seen: Value = serde_json::from_str(last)?;
    assert_eq!(seen["turned"], 1, "{printed}");
    assert!(seen["refusals"].as_array().is_some_and(|codes| !codes.is_empty()), "{printed}");
    stage.assert_unharmed()
}

#[test]
fn every_message_of_the_torture_corpus_gets_its_answer() -> Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../core/wire/tests/data/sip");
    let answers = stage.peer("torture", &[&corpus.to_string_lossy()])?;
    let verdicts = std::fs::read_to_string(corpus.join("verdicts.tsv"))?;
    let mut wrong = Vec::new();
    for row in verdicts.lines().skip(1) {
        let [name, verdict, code, ..] = row.split('\t').collect::<Vec<_>>()[..] else {
            return Err(row.into());
        };
        let got = &answers[name]["datagram"];
        let right = match verdict {
            "reject" => *got == json!([code.parse::<u16>()?]),
            "drop" | "keep-alive" => *got == json!([]),
            // What is in order is refused for other reasons: nobody has signed in.
            _ => got.as_array().is_some_and(|codes| !codes.contains(&json!(500))),
        };
        if !right {
            wrong.push(format!("{name}: {verdict} {code}, got {}", answers[name]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    stage.assert_unharmed()
}
