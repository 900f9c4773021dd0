//! Real processes on this machine: `carillon serve --dev` and two `carillon call`, heard by what they say.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

const CARILLON: &str = env!("CARGO_BIN_EXE_carillon");

/// A server without preparation, and where it listens.
struct Server {
    process: Child,
    _out: BufReader<ChildStdout>,
    directory: tempfile::TempDir,
    /// `localhost:PORT` of TLS, TCP, UDP.
    addresses: [String; 3],
}

/// A phone that answers, and its lines.
struct Answering {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Server {
    fn start() -> Server {
        let directory = tempfile::tempdir().unwrap();
        let mut process = Command::new(CARILLON)
            .args(["serve", "--dev", "--port", "0", "--state"])
            .arg(directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let (mut passwords, mut addresses) = (Vec::new(), Vec::new());
        while addresses.len() < 3 {
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "the server ended");
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["TLS" | "TCP" | "UDP", address, ..] => addresses.push(address.to_owned()),
                [aor, name, password] if aor.starts_with("sip:") => {
                    fs::write(directory.path().join(name), password).unwrap();
                    passwords.push(name.to_owned());
                }
                _ => {}
            }
        }
        assert_eq!(passwords, ["alice", "bob"]);
        Server { process, _out: out, directory, addresses: addresses.try_into().unwrap() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A phone of this user, with further arguments.
    fn phone(&self, user: &str, arguments: &str) -> Command {
        let transport = arguments.split_whitespace().skip_while(|word| *word != "--transport").nth(1);
        let address = match transport {
            Some("tcp") => &self.addresses[1],
            Some("udp") => &self.addresses[2],
            _ => &self.addresses[0],
        };
        let mut command = Command::new(CARILLON);
        command.args(["call", "--server", address, "--user", &format!("{user}@localhost")]);
        command.arg("--ca").arg(self.file("ca.pem")).arg("--password-file").arg(self.file(user));
        command.args(arguments.split_whitespace());
        command
    }

    fn call(&self, arguments: &str) -> Output {
        self.phone("alice", &format!("--to bob@localhost --json {arguments}")).output().unwrap()
    }

    /// Bob, who answers at once.
    fn answering(&self, arguments: &str) -> Answering {
        let mut phone = self.phone("bob", &format!("--answer --events --ring 0 --expect alice {arguments}"));
        let mut process = phone.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        let mut answering = Answering { process, lines };
        answering.until("provisioned");
        answering
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Answering {
    /// The next event of that name.
    fn until(&mut self, name: &str) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the phone ended before `{name}`");
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Ports of UDP that the phone has open.
    fn ports(&self) -> BTreeSet<u16> {
        let directory = format!("/proc/{}/fd", self.process.id());
        let links =
            fs::read_dir(directory).unwrap().filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
        let sockets: BTreeSet<String> = links
            .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
            .collect();
        let table =
            ["udp", "udp6"].map(|file| fs::read_to_string(format!("/proc/net/{file}")).unwrap()).concat();
        let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
        let ours = rows.filter(|row| row.get(9).is_some_and(|inode| sockets.contains(*inode)));
        ours.filter_map(|row| u16::from_str_radix(row[1].rsplit(':').next()?, 16).ok()).collect()
    }

    fn leave(mut self) -> Option<i32> {
        interrupt(&self.process);
        self.process.wait().unwrap().code()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn interrupt(process: &Child) {
    let done = Command::new("kill").args(["-INT", &process.id().to_string()]).status().unwrap();
    assert!(done.success());
}

/// The only report of a phone, and how it left.
fn report(output: &Output) -> (Option<i32>, Value) {
    let printed: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(printed["calls"].as_array().unwrap().len(), 1);
    (output.status.code(), printed["calls"][0].clone())
}

fn assert_good(report: &Value, codec: &str) {
    assert_eq!(report["good"], true, "{report:#}");
    assert!(report["codec"].as_str().unwrap().eq_ignore_ascii_case(codec), "{report:#}");
    assert!(
        (20_000..=20_039).contains(
            &report["ports"]["local"].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap()
        )
    );
    assert_eq!(report["marks"]["arrived"].as_object().unwrap().keys().collect::<Vec<_>>(), ["46"]);
    assert_eq!(report["marks"]["sent"].as_object().unwrap().keys().collect::<Vec<_>>(), ["46"]);
    assert!(report["quality"]["similarity"].as_f64().unwrap() > 0.9);
}

#[test]
fn every_codec_is_heard_as_it_was_said_with_and_without_encryption() {
    let server = Server::start();
    let mut bob = server.answering("");
    for codec in ["opus", "g722", "pcmu", "pcma"] {
        let call = |srtp: &str| {
            let arguments =
                format!("--to bob@localhost --json --duration 5 --expect bob --codec {codec} --srtp {srtp}");
            (srtp == "off", server.phone("alice", &arguments).stdout(Stdio::piped()).spawn().unwrap())
        };
        for (plain, call) in ["required", "optional", "off"].map(call) {
            let (code, heard) = report(&call.wait_with_output().unwrap());
            assert_eq!(code, Some(0), "{heard:#}");
            assert_good(&heard, codec);
            assert_eq!(heard["srtp"].is_null(), plain, "{heard:#}");
            assert_good(&bob.until("report"), codec);
        }
    }
    assert_eq!(bob.leave(), Some(0));
}

#[test]
fn over_every_transport_the_ports_are_open_only_while_somebody_talks() {
    let server = Server::start();
    for (transport, own) in [("tls", 0), ("tcp", 0), ("udp", 1)] {
        let mut bob = server.answering(&format!("--transport {transport}"));
        assert_eq!(bob.ports().len(), own, "idle");
        // Keys take the place of speech for a second: of twelve that is too little to doubt who was heard.
        let arguments = format!(
            "--to bob@localhost --json --duration 12 --expect bob --dtmf 12#A --transport {transport}"
        );
        let alice = server.phone("alice", &arguments).stdout(Stdio::piped()).spawn().unwrap();
        bob.until("answered");
        let during = bob.ports().into_iter().filter(|port| (20_000..=20_039).contains(port)).count();
        assert!((1..=2).contains(&during), "{during}");
        let (code, heard) = report(&alice.wait_with_output().unwrap());
        assert_eq!(code, Some(0), "{heard:#}");
        let heard = bob.until("report");
        assert_eq!(
            (&heard["keys"], &heard["faults"]),
            (&"12#A".into(), &Value::Array(Vec::new())),
            "{heard:#}"
        );
        assert_eq!(bob.ports().len(), own, "idle again");
        assert_eq!(bob.leave(), Some(0));
    }
}

#[test]
fn a_phone_that_breaks_the_plan_is_named_by_both_ends() {
    let server = Server::start();
    let mut bob = server.answering("");
    let (code, moved) = report(&server.call("--duration 3 --misbehave ports=40000-40019"));
    assert_eq!(code, Some(1));
    let fault = moved["faults"][0].as_str().unwrap();
    assert!(fault.starts_with("port 400") && fault.ends_with(" is outside of 20000-20039"), "{fault}");
    assert_eq!(moved["marks"]["sent"].as_object().unwrap().keys().collect::<Vec<_>>(), ["46"]);
    bob.until("report");
    let (code, bare) = report(&server.call("--duration 3 --misbehave no-marks"));
    assert_eq!(code, Some(1));
    assert_eq!(bare["marks"]["sent"].as_object().unwrap().keys().collect::<Vec<_>>(), ["0"]);
    let heard = bob.until("report");
    assert_eq!(heard["marks"]["arrived"].as_object().unwrap().keys().collect::<Vec<_>>(), ["0"]);
    assert!(heard["faults"][0].as_str().unwrap().contains("arrived without the mark EF"), "{heard:#}");
    assert_eq!(bob.leave(), Some(1));
}

#[test]
fn where_no_port_is_left_the_caller_is_told_which_range_is_used_up() {
    let server = Server::start();
    let mut bob = server.answering("--misbehave ports=40100-40101");
    let first = server.phone("alice", "--to bob@localhost --json").stdout(Stdio::piped()).spawn().unwrap();
    bob.until("answered");
    let second = server.call("--duration 1");
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("486 Busy Here") && said.contains("audio in 40100-40101"), "{said}");
    // The refusal may have come before the first word of the call that goes on.
    std::thread::sleep(std::time::Duration::from_secs(1));
    interrupt(&first);
    assert!(first.wait_with_output().unwrap().status.code().is_some());
    let survived = bob.until("report");
    assert!(survived["received"]["packets"].as_u64().unwrap() > 0, "{survived:#}");
    let own = server.call("--duration 1 --misbehave ports=40200-40200");
    assert_eq!(own.status.code(), Some(2));
    assert!(String::from_utf8(own.stderr).unwrap().contains("audio in 40200"));
}

#[test]
fn what_is_provisioned_can_be_read_with_its_origins() {
    let server = Server::start();
    let shown = server.phone("alice", "--show-provisioning").output().unwrap();
    assert_eq!(shown.status.code(), Some(0));
    let text = String::from_utf8(shown.stdout).unwrap();
    for part in
        ["<ucMinAudioPort>20000</ucMinAudioPort>", "version 1, values of global", "20000-20039  global"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let shown = server.phone("alice", "--show-provisioning --json").output().unwrap();
    let facts: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&facts["plan"], &facts["version"]), (&"lync-kloud".into(), &1.into()));
    assert_eq!(facts["classes"][1]["mark"], 46);
}

#[test]
fn who_cannot_sign_in_or_reach_anybody_is_told_why() {
    let server = Server::start();
    fs::write(server.file("alice"), "wrong").unwrap();
    let refused = server.call("");
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("cannot sign in as alice@localhost") && said.contains("40"), "{said}");
    let nobody = server.phone("bob", "--to nobody@localhost").output().unwrap();
    assert_eq!(nobody.status.code(), Some(2));
    assert!(String::from_utf8(nobody.stderr).unwrap().contains("cannot call nobody@localhost: 404"));
}
