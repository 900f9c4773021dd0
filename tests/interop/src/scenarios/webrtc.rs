//! A WebRTC endpoint behind a script that takes requests, one JSON line each, and answers in kind.
//!
//! The scripts are `chromium-peer.py` and `aiortc-peer.py`; the descriptions go from one to the other here.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout};
use std::time::Duration;

use serde_json::{Value, json};

use crate::Result;
use crate::network::Host;
use crate::process::{Process, wait_until};
use crate::recording::asset;

/// How long two seconds of sound may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A running endpoint.
pub struct Peer {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts the script on a host and waits until it is ready.
    pub fn start(script: &str, host: &Host, log: &Path) -> Result<Peer> {
        Peer::start_with(script, &[], host, log)
    }

    /// The same with arguments.
    pub fn start_with(script: &str, arguments: &[&str], host: &Host, log: &Path) -> Result<Peer> {
        let mut command = host.command("python3");
        // What a browser leaves behind goes away with the scenario.
        command.env("TMPDIR", log.parent().ok_or("no directory")?);
        // Whom it trusts, if the scenario has a certificate of its own.
        let certificate = log.with_file_name("cert.pem");
        if certificate.exists() {
            command.env("SSL_CERT_FILE", certificate);
        }
        let (process, input, output) = Process::converse(command.arg(asset(script)).args(arguments), log)?;
        let mut peer = Peer { process, input, output: BufReader::new(output) };
        peer.answer()?;
        Ok(peer)
    }

    /// Sends a request and returns the answer. The scripts end themselves when they hang, so this returns.
    pub fn ask(&mut self, request: Value) -> Result<Value> {
        writeln!(self.input, "{request}")?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let mut answer: Value = serde_json::from_str(&line)
            .map_err(|error| format!("{error}: {line:?}; it printed:\n{}", self.process.printed()))?;
        match answer.get("error") {
            Some(error) => Err(format!("peer: {error}").into()),
            None => Ok(answer["ok"].take()),
        }
    }
}

/// Two browsers that may only use the relay at one place each - its URL, and a name with a password - hear each other for two
/// seconds without a gap, and hang up.
pub fn hear_through_relays(peers: [&mut Peer; 2], relays: [(&str, (&str, &str)); 2]) -> Result<()> {
    let only_by = |(url, (name, password)): (&str, (&str, &str))| {
        let servers = json!([{ "urls": url, "username": name, "credential": password }]);
        json!({ "iceServers": servers, "iceTransportPolicy": "relay" })
    };
    let ([caller, callee], [of_caller, of_callee]) = (peers, relays.map(only_by));
    connect((caller, of_caller), (callee, of_callee))?;
    for peer in [&mut *caller, &mut *callee] {
        let mut heard = json!(null);
        let outcome = wait_until("two seconds of sound", LIMIT, || {
            heard = peer.ask(json!({ "do": "heard" }))?;
            Ok(heard["packets"].as_u64() > Some(100) && heard["energy"].as_f64() > Some(0.0))
        });
        outcome.map_err(|error| format!("{error}: {heard}"))?;
        if (&heard["lost"], &heard["candidates"]) != (&json!(0), &json!(["relay", "relay"])) {
            return Err(format!("packets were lost, or came another way: {heard}").into());
        }
    }
    caller.ask(json!({ "do": "close" }))?;
    callee.ask(json!({ "do": "close" })).map(drop)
}

/// Connects two endpoints; each uses its own configuration (`iceServers`, `iceTransportPolicy`).
pub fn connect(caller: (&mut Peer, Value), callee: (&mut Peer, Value)) -> Result<()> {
    let offer = caller.0.ask(json!({ "do": "offer", "configuration": caller.1 }))?;
    let answer = callee.0.ask(json!({ "do": "accept", "description": offer, "configuration": callee.1 }))?;
    caller.0.ask(json!({ "do": "accept", "description": answer }))?;
    caller.0.ask(json!({ "do": "connected" }))?;
    callee.0.ask(json!({ "do": "connected" }))?;
    Ok(())
}
