//! The services of an Edge beside each other: web conferences by openssl and stunnel, settings by curl and by a Front End, and
//! none of them disturbs a call that another one relays.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command};
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::network::{Host, Network};
use carillon_interop::process::{Process, run, wait_until};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;
use carillon_interop::servers::authority::Authority;
use carillon_interop::servers::edge::{Addresses, Edge, USER, probe, uclient};
use carillon_interop::tshark;
use carillon_interop::verdict::program;
use serde_json::{Value, json};

const PLAN: &str = "base = \"lync-kloud\"\n[edge]\nmark-internal = true\n";
const LIMIT: Duration = Duration::from_secs(20);
const ECHO: &str = "3490";
const EF: u8 = 46;
/// Outside, where every service has an address of its own.
const ACCESS: &str = "10.20.1.2";
const CONFERENCES: &str = "10.20.1.3";
/// Asks who is there.
const OPTIONS: &str = "OPTIONS sip:carillon.test SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK1;rport\r\n\
    Max-Forwards: 70\r\nFrom: <sip:carillon.test>;tag=1\r\nTo: <sip:carillon.test>\r\nCall-ID: 1\r\n\
    CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
/// bob's servers.
const INSIDE: &str = "10.20.2.20";

/// An Edge with all of it between alice, outside, and bob, inside.
struct Stage {
    network: Network,
    edge: Edge,
    authority: Authority,
    work: tempfile::TempDir,
}

impl Stage {
    fn new(name: &str) -> Result<Option<Stage>> {
        let tools = ["turnutils_uclient", "turnutils_peer", "openssl", "stunnel", "curl", "ss", "tshark"];
        if !possible(name, &tools)? {
            return Ok(None);
        }
        let (work, network) = (tempfile::tempdir()?, Network::with_relay()?);
        let authority = Authority::new(&work.path().join("authority"))?;
        for name in ["edge.carillon.test", "pool.carillon.test", "fe.carillon.test", "other.carillon.test"] {
            authority.issue(name)?;
        }
        let edge = Edge::start(&network, PLAN, &more(&authority), work.path())?;
        Ok(Some(Stage { network, edge, authority, work }))
    }

    /// The same with an address outside for each of three services.
    fn with_three_addresses(name: &str) -> Result<Option<Stage>> {
        let Some(Stage { network, edge, authority, work }) = Stage::new(name)? else { return Ok(None) };
        drop(edge);
        let host = network.relay.as_ref().ok_or("no relay")?;
        for address in [ACCESS, CONFERENCES] {
            host.run("ip", &["addr", "add", &format!("{address}/24"), "dev", "v1"])?;
        }
        let addresses = Addresses {
            external: host.v4().into(),
            external6: host.v6().into(),
            internal: [10, 20, 2, 1].into(),
            inside: "[\"10.20.2.0/24\"]\naccess = [\"10.20.1.2\"]\nweb-conferencing = [\"10.20.1.3\"]",
        };
        let edge = Edge::on(host, &addresses, PLAN, &more(&authority), work.path())?;
        Ok(Some(Stage { network, edge, authority, work }))
    }

    /// The row of a service.
    fn unit(&self, unit: &str) -> Result<Value> {
        let status = self.edge.status()?;
        let rows = status["units"].as_array().ok_or("no units")?;
        rows.iter().find(|row| row["unit"] == unit).cloned().ok_or_else(|| format!("no {unit}").into())
    }

    fn wait_for(&self, unit: &str, state: &str) -> Result<()> {
        wait_until(&format!("{unit} {state}"), LIMIT, || Ok(self.unit(unit)?["state"] == state))
    }

    /// A server inside that says everything back to who has a certificate.
    fn conference(&self) -> Result<Process> {
        let file = |name: &str| self.authority.file(name);
        let lines = format!(
            "foreground = yes\npid =\n[conference]\naccept = {INSIDE}:8057\ncert = {}\nkey = {}\nCAfile = {}\n\
             verifyChain = yes\nexec = /bin/cat\nexecArgs = cat\n",
            file("pool.carillon.test.pem"),
            file("pool.carillon.test.key"),
            file("ca.pem"),
        );
        let config = self.work.path().join("stunnel.conf");
        fs::write(&config, lines)?;
        let mut command = self.network.bob.command("stunnel");
        Process::start(command.arg(&config), &self.work.path().join("stunnel.log"))
    }

    /// alice's connection to it.
    fn guest(&self) -> Result<Guest> {
        self.guest_at(&format!("{}:444", self.edge.external))
    }

    fn guest_at(&self, place: &str) -> Result<Guest> {
        let mut command = self.network.alice.command("openssl");
        command.args(["s_client", "-quiet", "-CAfile"]).arg(self.work.path().join("cert.pem"));
        command.args(["-connect", place]);
        let (process, input, output) = Process::converse(&mut command, &self.work.path().join("guest.log"))?;
        Ok(Guest { _process: process, input, output: BufReader::new(output) })
    }

    /// A connection to each service that keeps some, with what is said there.
    fn sessions(&self) -> Result<Vec<(&'static str, Guest, &'static str)>> {
        let Edge { external, internal, .. } = &self.edge;
        let connect = |host: &Host, more: &[&str], place: String| {
            let mut command = host.command("openssl");
            command.args(["s_client", "-quiet"]).args(more).args(["-connect", &place]);
            let log = self.work.path().join("session.log");
            let (process, input, output) = Process::converse(&mut command, &log)?;
            Result::Ok(Guest { _process: process, input, output: BufReader::new(output) })
        };
        let [pem, key] = ["pem", "key"].map(|kind| self.authority.file(&format!("fe.carillon.test.{kind}")));
        let Network { alice, bob, .. } = &self.network;
        Ok(vec![
            ("web-conferencing", self.guest()?, "hello\r\n\r\n"),
            ("access", connect(alice, &[], format!("{external}:5061"))?, OPTIONS),
            (
                "authentication",
                connect(bob, &["-cert", &pem, "-key", &key], format!("{internal}:5062"))?,
                OPTIONS,
            ),
        ])
    }

    fn starts(&self) -> Result<BTreeMap<String, u64>> {
        let status = self.edge.status()?;
        let rows = status["units"].as_array().ok_or("no units")?;
        let row = |row: &Value| Some((row["unit"].as_str()?.to_owned(), row["starts"].as_u64()?));
        Ok(rows.iter().filter_map(row).collect())
    }

    /// `curl` from bob's host with one of the certificates; the status and what was said.
    fn curl(&self, certificate: &str, words: &[&str]) -> Result<String> {
        let mut command = self.network.bob.command("curl");
        command.args(["-sS", "-w", " %{http_code}", "--cacert", &self.authority.file("ca.pem")]);
        command.args(["--resolve", &format!("edge.carillon.test:4443:{}", self.edge.internal)]);
        if !certificate.is_empty() {
            let [pem, key] = ["pem", "key"].map(|kind| self.authority.file(&format!("{certificate}.{kind}")));
            command.args(["--cert", &pem, "--key", &key]);
        }
        let output = command.args(words).arg("https://edge.carillon.test:4443/settings").output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    /// Puts a document as a Front End does.
    fn put(&self, certificate: &str, document: &str, digest_of: &str) -> Result<String> {
        let folder = self.work.path();
        fs::write(folder.join("document"), document)?;
        fs::write(folder.join("digested"), digest_of)?;
        let digest = "openssl dgst -sha256 -binary digested | base64";
        let digest = run(Command::new("sh").args(["-c", digest]).current_dir(folder))?;
        let field = format!("Content-Digest: sha-256=:{}:", digest.trim());
        let file = format!("@{}", folder.join("document").display());
        self.curl(certificate, &["-X", "PUT", "-H", &field, "--data-binary", &file])
    }
}

/// What the configuration says beside the A/V Edge.
fn more(authority: &Authority) -> String {
    let file = |name: &str| authority.file(name);
    format!(
        "relay.allocations-per-user = 200\nrelay.bandwidth-per-user = 600000\nservice.drain = 1\n\
         internal-tls.certificate = \"{}\"\ninternal-tls.key = \"{}\"\ninternal-tls.trusted = [\"{}\"]\n\
         web-conferencing.inside = [\"{INSIDE}:8057\"]\nweb-conferencing.name = \"pool.carillon.test\"\n\
         web-conferencing.connections-per-source = 2\n\
         replica.from = [\"fe.carillon.test\"]\nreplica.store = \"settings.json\"\n\
         access.domains = [\"carillon.test\"]\naccess.next-hop = \"fe.carillon.test\"\n\
         access.servers = [\"{INSIDE}:5061\"]\nauthentication.servers = [\"fe.carillon.test\"]\n",
        file("edge.carillon.test.pem"),
        file("edge.carillon.test.key"),
        file("ca.pem"),
    )
}

struct Guest {
    _process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Guest {
    /// What comes back; nothing if the connection has ended.
    fn say(&mut self, words: &str) -> String {
        let _ = writeln!(self.input, "{words}").and_then(|()| self.input.flush());
        let mut heard = String::new();
        let _ = self.output.read_line(&mut heard);
        heard.trim().to_owned()
    }
}

impl Guest {
    /// Whether anything comes back, up to an empty line.
    fn answers(&mut self, words: &str) -> bool {
        let _ = self.input.write_all(words.as_bytes()).and_then(|()| self.input.flush());
        let mut line = String::new();
        while self.output.read_line(&mut line).is_ok_and(|read| read > 0) {
            if line.trim().is_empty() {
                return true;
            }
            line.clear();
        }
        false
    }
}

#[test]
fn each_service_is_restarted_alone_and_what_runs_through_the_others_goes_on() -> Result<()> {
    let Some(stage) = Stage::new("edge-restarts")? else { return Ok(()) };
    let (edge, Network { alice, bob, .. }) = (&stage.edge, &stage.network);
    let _conference = stage.conference()?;
    wait_until("a conference", LIMIT, || Ok(stage.guest()?.say("hello") == "hello"))?;
    let mut echo = bob.command("turnutils_peer");
    let _echo = Process::start(echo.args(["-L", INSIDE, "-p", ECHO]), &stage.work.path().join("peer.log"))?;
    let mut call = alice.command("turnutils_uclient");
    call.args([
        "-u", USER.0, "-w", USER.1, "-e", INSIDE, "-r", ECHO, "-m", "1", "-n", "100000", "-c", "-z", "10",
    ]);
    call.arg(edge.external.to_string());
    let _call = Process::start(&mut call, &stage.work.path().join("call.log"))?;
    wait_until("a call", LIMIT, || Ok(edge.relayed()? > 50))?;
    for unit in ["access", "authentication", "web-conferencing", "replica", "av"] {
        let mut sessions = stage.sessions()?;
        for (of, session, words) in &mut sessions {
            assert!(session.answers(words), "{of}, before {unit} is restarted");
        }
        let mut starts = stage.starts()?;
        edge.restart(unit, &["--now"])?;
        *starts.get_mut(unit).ok_or("no such unit")? += 1;
        wait_until(&format!("another {unit}"), LIMIT, || Ok(stage.starts()? == starts))?;
        for (of, session, words) in &mut sessions {
            assert_eq!(session.answers(words), *of != unit, "{of}, after {unit} was restarted");
        }
        assert!(stage.curl("fe.carillon.test", &[])?.ends_with(" 404"), "the Replica, after {unit}");
        if unit != "av" {
            let relayed = edge.relayed()?;
            wait_until("the call goes on", LIMIT, || Ok(edge.relayed()? > relayed + 50))?;
        }
    }
    Ok(())
}

#[test]
fn a_conference_passes_marked_and_its_service_restarts_without_a_loss_to_a_relayed_call() -> Result<()> {
    let Some(stage) = Stage::new("edge-units")? else { return Ok(()) };
    let (edge, bob) = (&stage.edge, &stage.network.bob);
    stage.wait_for("web-conferencing", "impaired")?;
    let mut conference = stage.conference()?;
    let capture = Capture::start(&stage.network, &Point::link("bob"), stage.work.path())?;
    wait_until("a conference", LIMIT, || Ok(stage.guest()?.say("hello") == "hello"))?;
    stage.wait_for("web-conferencing", "running")?;
    let (mut first, mut second) = (stage.guest()?, stage.guest()?);
    assert_eq!((first.say("one").as_str(), second.say("two").as_str()), ("one", "two"));
    assert_eq!(stage.guest()?.say("three"), "", "a third of one source is too many");
    let refused = &edge.status()?["conferencing"]["refused"];
    assert!(refused["source"].as_u64() >= Some(1), "{refused}");

    let mut echo = bob.command("turnutils_peer");
    let _echo = Process::start(echo.args(["-L", INSIDE, "-p", ECHO]), &stage.work.path().join("peer.log"))?;
    let relayed = std::thread::scope(|scope| -> Result<_> {
        let call = scope.spawn(|| {
            let options = ["-e", INSIDE, "-r", ECHO, "-m", "4", "-n", "400", "-c", "-z", "10"];
            uclient(&stage.network.alice, edge.external, USER, &options).map_err(|error| error.to_string())
        });
        wait_until("a call", LIMIT, || Ok(edge.relayed()? > 50))?;
        edge.restart("web-conferencing", &["--now"])?;
        let restarted = edge.relayed()?;
        assert_eq!(first.say("one"), "", "what it carried is gone");
        wait_until("the call goes on", LIMIT, || Ok(edge.relayed()? > restarted + 50))?;
        call.join().map_err(|_| "a thread panicked")?.map_err(Into::into)
    })?;
    assert_eq!((relayed.sent, relayed.received), (1600, 1600), "{}", relayed.printed);
    let [conferences, relay] = [stage.unit("web-conferencing")?, stage.unit("av")?];
    assert_eq!((&conferences["starts"], &relay["starts"]), (&json!(2), &json!(1)));
    assert_eq!(stage.guest()?.say("again"), "again");

    conference.terminate(LIMIT)?;
    let marks = tshark::marks(&capture.stop()?, &[])?;
    let sharing = edge.status()?["marks"][2][1].as_u64().ok_or("no mark")?;
    let to_servers = marks.iter().filter(|(flow, _)| flow.destination.port() == 8057);
    let marks: BTreeSet<u8> = to_servers.flat_map(|(_, marks)| marks.keys().copied()).collect();
    assert_eq!(marks, [u8::try_from(sharing)?].into(), "from the first SYN on");
    Ok(())
}

#[test]
fn ports_are_the_kernels_by_service_and_the_replica_is_not_reached_from_outside() -> Result<()> {
    let Some(stage) = Stage::new("edge-units-ports")? else { return Ok(()) };
    let (edge, relay) = (&stage.edge, stage.network.relay.as_ref().ok_or("no relay")?);
    let own = format!("pid={},", edge.id());
    let listed = relay.run("ss", &["-lnupt", "-H"])?;
    let ours = listed.lines().filter(|line| line.contains(&own));
    let kernel: BTreeSet<String> =
        ours.filter_map(|line| line.split_whitespace().nth(4)).map(str::to_owned).collect();
    let rows = edge.ports()?;
    let addresses = rows.iter().filter_map(|row| row["address"].as_str());
    assert_eq!(addresses.map(str::to_owned).collect::<BTreeSet<_>>(), kernel);
    assert_eq!(rows.len(), kernel.len(), "one entry for each");
    let of = |service: &str| -> Vec<&str> {
        let rows = rows.iter().filter(|row| row["service"] == service);
        rows.filter_map(|row| row["address"].as_str()).collect()
    };
    let (external, external6, internal) = (edge.external, edge.external6, edge.internal);
    assert_eq!(of("Web Conferencing Edge"), [format!("{external}:444"), format!("[{external6}]:444")]);
    assert_eq!(of("Replica"), [format!("{internal}:4443")]);
    assert_eq!(of("A/V Authentication"), [format!("{internal}:5062")]);
    let mut access = of("Access Edge");
    access.sort_unstable();
    let mut expected = [external, external6, internal].map(|ip| SocketAddr::new(ip, 5061).to_string());
    expected.sort_unstable();
    assert_eq!(access, expected);
    assert_eq!(of("A/V Edge").len(), 3 * 6);
    the_same_by_what_ss_prints(&stage, &listed, kernel.len())?;
    let outside = format!("https://{external}:4443/settings");
    let refused = stage.network.alice.run("curl", &["-sS", "-k", "--max-time", "5", &outside]);
    assert!(refused.is_err_and(|error| error.to_string().contains("curl: (7)")), "nobody listens");
    Ok(())
}

/// `edge ports --from` reads what the kernel's tool has printed, and attributes the same.
fn the_same_by_what_ss_prints(stage: &Stage, listed: &str, count: usize) -> Result<()> {
    let file = stage.work.path().join("ss.txt");
    fs::write(&file, listed)?;
    let mut command = Command::new(program()?);
    let output = command.args(["edge", "ports", "--json", "--from"]).arg(&file).output()?;
    let list: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!((output.status.code(), &list["missing"]), (Some(0), &json!([])), "{list}");
    let rows: Vec<&Value> = list["sockets"].as_array().ok_or("no sockets")?.iter().collect();
    let ours = rows.iter().filter(|row| row["program"] == "carillon");
    assert_eq!(ours.clone().count(), count, "{list}");
    // By their ports: all but 443, which is three services', and what is nobody's service.
    for row in ours.filter(|row| row["service"].is_string()) {
        let known = stage.edge.ports()?;
        let same = known
            .iter()
            .find(|other| other["address"] == row["address"] && other["transport"] == row["transport"]);
        assert_eq!(same.map(|other| &other["service"]), Some(&row["service"]), "{row}");
    }
    Ok(())
}

/// What is heard at each port, with whether that is as it should be.
type Heard = BTreeMap<(String, u64), (String, Option<bool>)>;

fn heard(said: &Value) -> Heard {
    let rows = said["listeners"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let row = |row: &Value| {
        let port = row["port"].as_u64().unwrap_or_default();
        ((text(row, "transport"), port), (text(row, "heard"), row["well"].as_bool()))
    };
    rows.iter().map(row).collect()
}

fn expected(rows: &[(&str, u64, &str, Option<bool>)]) -> Heard {
    let row = |(transport, port, heard, well): &(&str, u64, &str, Option<bool>)| {
        (((*transport).to_owned(), *port), ((*heard).to_owned(), *well))
    };
    rows.iter().map(row).collect()
}

/// What telnet prints within a second: nothing of its own protocol is said.
fn telnet(host: &Host, address: &str, port: u64) -> Result<String> {
    let output = host
        .command("sh")
        .args(["-c", &format!("sleep 1 | timeout 3 telnet {address} {port} 2>&1")])
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

const YES: Option<bool> = Some(true);

/// The published test of an Edge, and what telnet sees of it.
#[test]
fn who_knocks_hears_at_each_listener_what_telnet_shows_and_what_it_cannot() -> Result<()> {
    let Some(stage) = Stage::new("edge-probe")? else { return Ok(()) };
    if !possible("edge-probe", &["telnet", "nft", "python3"])? {
        return Ok(());
    }
    let Network { alice, bob, .. } = &stage.network;
    let (external, internal) = (stage.edge.external.to_string(), stage.edge.internal.to_string());
    let (status, said) = probe(alice, &[&external])?;
    let outside = [
        ("tcp", 5061, "tls", YES),
        ("tcp", 443, "stun", YES),
        ("tcp", 444, "tls", YES),
        ("udp", 3478, "stun", YES),
        ("tcp", 5062, "refused", YES),
        ("tcp", 8057, "refused", YES),
        ("tcp", 4443, "refused", YES),
        ("tcp", 50_000, "refused", YES),
        ("tcp", 54_999, "refused", YES),
        ("tcp", 59_999, "refused", YES),
    ];
    assert_eq!((status, heard(&said)), (Some(0), expected(&outside)), "{said}");
    let nobody_yet = [
        ("tcp", 5061, "tls", YES),
        ("tcp", 5062, "tls", YES),
        ("tcp", 443, "stun", YES),
        ("udp", 3478, "stun", YES),
        ("tcp", 8057, "refused", None),
        ("tcp", 4443, "tls", YES),
    ];
    let inside = ["--side", "inside", "--relayed", "50137"];
    let with = |rows: &[(&str, u64, &str, Option<bool>)]| {
        expected(&[rows, &[("tcp", 50_137, "refused", YES)]].concat())
    };
    let (status, said) = probe(bob, &[&[&internal[..]][..], &inside[..]].concat())?;
    assert_eq!((status, heard(&said)), (Some(0), with(&nobody_yet)), "{said}");
    // An Edge of Lync has somebody at 8057 who speaks first.
    let speaks = "import socket,sys\ns=socket.create_server((sys.argv[1],8057))\nwhile 1: c,_=s.accept(); c.send(bytes([0,7,1,254])); c.close()";
    let relay = stage.network.relay.as_ref().ok_or("no relay")?;
    let mut command = relay.command("python3");
    let _proxy =
        Process::start(command.args(["-c", speaks, &internal]), &stage.work.path().join("psom.log"))?;
    wait_until("somebody at 8057", LIMIT, || Ok(relay.run("ss", &["-Hltn"])?.contains(":8057")))?;
    let (status, said) = probe(bob, &[&[&internal[..]][..], &inside[..]].concat())?;
    let mut all = nobody_yet;
    all[4] = ("tcp", 8057, "said-something", YES);
    assert_eq!((status, heard(&said)), (Some(0), with(&all)), "{said}");
    // telnet agrees as far as it can: an empty window, characters, a refusal.
    for ((transport, port), (heard, _)) in
        heard(&said).iter().filter(|((transport, _), _)| transport == "tcp")
    {
        let seen = telnet(bob, &internal, *port)?;
        let behind =
            seen.split_once("Escape character is").map(|(_, rest)| rest.lines().skip(1).collect::<String>());
        let shows = match behind.map(|rest| rest.replace("Connection closed by foreign host.", "")) {
            None => "refused",
            Some(rest) if rest.trim().is_empty() => "silence",
            Some(_) => "characters",
        };
        let agrees = match heard.as_str() {
            "refused" => "refused",
            "said-something" => "characters",
            _ => "silence",
        };
        assert_eq!(shows, agrees, "{transport} {port}: {seen}");
    }
    a_fault_is_explained(&stage, alice, &external)
}

/// A filter, one that says so, and a service that is down: each with its own words, what breaks, and a fix.
fn a_fault_is_explained(stage: &Stage, alice: &Host, external: &str) -> Result<()> {
    let relay = stage.network.relay.as_ref().ok_or("no relay")?;
    relay.run("nft", &["add table inet fault"])?;
    relay.run("nft", &["add chain inet fault c { type filter hook input priority -150; }"])?;
    for rule in
        ["udp dport 3478 drop", "tcp dport 5061 reject with icmpx admin-prohibited", "tcp dport 444 drop"]
    {
        relay.run("nft", &[&format!("add rule inet fault c iifname v1 {rule}")])?;
    }
    let (status, said) = probe(alice, &[external])?;
    let rows = said["listeners"].as_array().ok_or("no rows")?;
    assert_eq!(status, Some(1), "{said}");
    for (transport, port, what, text, breaks, fix) in [
        ("udp", 3478, "nothing", "Binding request", "falls back to TCP 443", "open udp 3478"),
        ("tcp", 5061, "no-way", "no way", "no federation", "routes"),
        ("tcp", 444, "nothing", "a firewall drops it", "", "open tcp 444"),
    ] {
        let row = rows.iter().find(|row| row["transport"] == transport && row["port"] == port);
        let row = row.ok_or_else(|| format!("no {port}: {said}"))?;
        let has = |key: &str, words: &str| row[key].as_str().is_some_and(|text| text.contains(words));
        assert!(row["heard"] == what && row["well"] == false, "{row}");
        assert!(has("text", text) && has("breaks", breaks) && has("fix", fix), "{row}");
    }
    Ok(())
}

#[test]
fn certificates_are_read_again_by_a_reload_and_connections_stay() -> Result<()> {
    let Some(stage) = Stage::new("edge-certificates")? else { return Ok(()) };
    let (edge, work) = (&stage.edge, stage.work.path());
    let _conference = stage.conference()?;
    wait_until("a conference", LIMIT, || Ok(stage.guest()?.say("hello") == "hello"))?;
    let mut sessions = stage.sessions()?;
    for (of, session, words) in &mut sessions {
        assert!(session.answers(words), "{of}");
    }
    let shown = || -> Result<BTreeMap<String, String>> {
        let status = edge.status()?;
        let rows = status["listeners"].as_array().ok_or("no listeners")?;
        let row = |row: &Value| {
            let print = row["certificate"]["thumbprint"].as_str()?;
            Some((format!("{} {}", row["service"], row["address"]), print.to_owned()))
        };
        Ok(rows.iter().filter_map(row).collect())
    };
    let before = shown()?;
    assert_eq!(before.len(), 3 + 3 + 1 + 2 + 1, "the relay, access, credentials, conferences, settings");
    stage.authority.issue("edge.carillon.test")?;
    let again = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=edge.carillon.test";
    run(Command::new("openssl").args(again.split(' ')).current_dir(work))?;
    edge.change_plan(PLAN)?;
    wait_until("other certificates everywhere", LIMIT, || {
        let now = shown()?;
        Ok(before.iter().all(|(place, print)| now.get(place).is_some_and(|shown| shown != print)))
    })?;
    for (of, session, words) in &mut sessions {
        assert!(session.answers(words), "{of}, after the reload");
    }
    // What is told is what is seen.
    for (host, place) in [(&stage.network.alice, "10.20.1.1:5061"), (&stage.network.bob, "10.20.2.1:4443")] {
        let seen = format!(
            "openssl s_client -connect {place} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha1"
        );
        let seen = host.run("sh", &["-c", &seen])?.replace(':', "");
        let now = shown()?;
        let told = now.iter().find(|(listener, _)| listener.contains(place)).ok_or("no such listener")?;
        assert!(seen.trim().ends_with(told.1.as_str()), "{seen} {told:?}");
    }
    Ok(())
}

#[test]
fn on_three_addresses_the_same_port_is_three_services() -> Result<()> {
    let Some(stage) = Stage::with_three_addresses("edge-three")? else { return Ok(()) };
    let (edge, Network { alice, bob, .. }) = (&stage.edge, &stage.network);
    let rows = edge.ports()?;
    let outside = [edge.external.to_string(), ACCESS.to_owned(), CONFERENCES.to_owned()];
    let services = outside.map(|ip| {
        let at = format!("{ip}:443");
        let rows = rows.iter().filter(|row| row["transport"] == "tcp" && row["address"] == at.as_str());
        rows.map(|row| row["service"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(services, [["A/V Edge"], ["Access Edge"], ["Web Conferencing Edge"]]);
    // Each says what it is: TURN over TCP, SIP over TLS, and what the conference says.
    let _conference = stage.conference()?;
    let conferences = format!("{CONFERENCES}:443");
    wait_until("a conference", LIMIT, || Ok(stage.guest_at(&conferences)?.say("hello") == "hello"))?;
    assert!(stage.guest_at(&format!("{ACCESS}:443"))?.answers(OPTIONS));
    let mut echo = bob.command("turnutils_peer");
    let _echo = Process::start(echo.args(["-L", INSIDE, "-p", ECHO]), &stage.work.path().join("peer.log"))?;
    let options = ["-t", "-p", "443", "-e", INSIDE, "-r", ECHO, "-m", "1", "-n", "10", "-c"];
    let relayed = uclient(alice, edge.external, USER, &options).map_err(|error| error.to_string())?;
    assert_eq!((relayed.sent, relayed.received), (10, 10), "{}", relayed.printed);
    Ok(())
}

#[test]
fn settings_are_taken_from_a_front_end_that_proves_itself_and_whole_and_never_older() -> Result<()> {
    let Some(stage) = Stage::new("edge-replica")? else { return Ok(()) };
    let document =
        |version: u64, plan: &str| json!({ "version": version, "time": 1.5, "plan": plan }).to_string();
    let (good, front_end) = (document(7, PLAN), "fe.carillon.test");
    assert!(stage.curl(front_end, &[])?.ends_with(" 404"), "none has come");
    let nobody = stage.put("", &good, &good)?;
    assert!(nobody.ends_with(" 000") || nobody.contains("alert"), "without a certificate: {nobody}");
    assert!(stage.put("other.carillon.test", &good, &good)?.contains("replica.from"));
    assert!(stage.put(front_end, &good, "another")?.ends_with(" 400"), "a wrong hash");
    assert!(stage.put(front_end, &document(7, "base = \"nothing\""), "")?.ends_with(" 400"));
    let wrong = document(7, "base = \"nothing\"");
    assert!(stage.put(front_end, &wrong, &wrong)?.ends_with(" 422"), "no plan");
    let large = document(7, &"#".repeat(2 << 20));
    let refused = stage.put(front_end, &large, &large)?;
    assert!(refused.ends_with(" 413"), "too large: {refused}");
    assert_eq!(stage.edge.status()?["settings"]["version"], Value::Null, "none of these holds");

    let taken = stage.put(front_end, &good, &good)?;
    assert!(taken.contains("\"version\":7") && taken.ends_with(" 200"), "{taken}");
    assert!(stage.put(front_end, &good, &good)?.ends_with(" 200"), "again");
    let older = document(6, PLAN);
    assert!(stage.put(front_end, &older, &older)?.ends_with(" 409"), "an older one");
    let other = document(7, &format!("{PLAN}# other\n"));
    assert!(stage.put(front_end, &other, &other)?.ends_with(" 409"), "another of the same version");
    assert_eq!(fs::read_to_string(stage.work.path().join("settings.json"))?, good);
    assert_eq!(stage.edge.status()?["settings"]["version"], 7);
    Ok(())
}

#[test]
fn a_plan_that_changes_at_the_front_end_marks_a_relayed_call_anew_and_outlives_a_restart() -> Result<()> {
    let Some(stage) = Stage::new("edge-replicates")? else { return Ok(()) };
    let (edge, bob) = (&stage.edge, &stage.network.bob);
    let front_end = FrontEnd::start(&stage)?;
    wait_until("the first version", LIMIT, || Ok(edge.status()?["settings"]["version"] == 1))?;
    let mut echo = bob.command("turnutils_peer");
    let _echo = Process::start(echo.args(["-L", INSIDE, "-p", ECHO]), &stage.work.path().join("peer.log"))?;
    let capture = Capture::start(&stage.network, &Point::link("bob"), stage.work.path())?;
    let (user, password) = edge.credential("carol", &["--class", "audio"])?;
    let relayed = std::thread::scope(|scope| -> Result<_> {
        let call = scope.spawn(|| {
            let options = ["-e", INSIDE, "-r", ECHO, "-m", "1", "-n", "500", "-c", "-z", "20"];
            let outcome = uclient(&stage.network.alice, edge.external, (&user, &password), &options);
            outcome.map_err(|error| error.to_string())
        });
        wait_until("a call", LIMIT, || Ok(edge.relayed()? > 50))?;
        front_end.put_plan(&PLAN.replace("[edge]", "[classes.audio]\ndscp = 40\n[edge]"), 1)?;
        wait_until("version 2", LIMIT, || Ok(edge.status()?["settings"]["version"] == 2))?;
        call.join().map_err(|_| "a thread panicked")?.map_err(Into::into)
    })?;
    assert_eq!(relayed.sent, relayed.received);
    let marks = tshark::marks(&capture.stop()?, &[])?;
    let echoed = marks.iter().filter(|(flow, _)| !flow.tcp && flow.destination.port() == 3490);
    let counts: Vec<_> =
        echoed.flat_map(|(_, marks)| marks.clone()).filter(|(_, count)| *count > 40).collect();
    assert!(counts.iter().map(|(mark, _)| *mark).eq([40, EF]), "EF, then CS5: {counts:?}");
    let row = &front_end.status()?["edges"][0];
    assert_eq!((&row["version"], &row["error"]), (&json!(2), &Value::Null));
    assert!(row["lag"].as_f64().is_some_and(|lag| lag < 30.0), "{row}");

    drop(front_end);
    let Stage { network, mut edge, .. } = stage;
    edge.begin_to_stop()?;
    edge.wait_for_end()?;
    let edge = edge.restarted(&network)?;
    let status = edge.status()?;
    assert_eq!((&status["settings"]["version"], &status["marks"][0]), (&json!(2), &json!(["audio", 40])));
    Ok(())
}

/// bob's Front End, which knows the Edge.
struct FrontEnd {
    _process: Process,
    socket: std::path::PathBuf,
}

impl FrontEnd {
    fn start(stage: &Stage) -> Result<FrontEnd> {
        let folder = stage.work.path().join("front-end");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("plan.toml"), PLAN)?;
        let file = |name: &str| stage.authority.file(name);
        let lines = format!(
            "domains = [\"carillon.test\"]\nname = \"fe.carillon.test\"\nplan = \"plan.toml\"\nstore = \"carillon.db\"\n\
             [tls]\ncertificate = \"{}\"\nkey = \"{}\"\ntrusted = [\"{}\"]\n\
             [[replicas]]\nname = \"edge.carillon.test\"\naddress = \"{}:4443\"\n[admin]\nsocket = \"fe.sock\"\n",
            file("fe.carillon.test.pem"),
            file("fe.carillon.test.key"),
            file("ca.pem"),
            stage.edge.internal,
        );
        let config = folder.join("carillon.toml");
        fs::write(&config, lines)?;
        let mut command = stage.network.bob.command(&program()?.to_string_lossy());
        let process =
            Process::start(command.args(["serve", "--config"]).arg(&config), &folder.join("fe.log"))?;
        let front_end = FrontEnd { _process: process, socket: folder.join("fe.sock") };
        wait_until("a Front End that answers", LIMIT, || Ok(front_end.status().is_ok()))?;
        Ok(front_end)
    }

    fn status(&self) -> Result<Value> {
        let output =
            Command::new(program()?).args(["status", "--json", "--socket"]).arg(&self.socket).output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// In place of the version that was seen, by the admin API.
    fn put_plan(&self, plan: &str, seen: u64) -> Result<()> {
        let plan_file = self.socket.with_extension("plan");
        fs::write(&plan_file, plan)?;
        curl_plan(&self.socket, &plan_file, seen)
    }
}

fn curl_plan(socket: &Path, plan: &Path, seen: u64) -> Result<()> {
    let mut command = Command::new("curl");
    command.args(["-sS", "--fail", "--unix-socket"]).arg(socket);
    command.args(["-X", "PUT", "-H", &format!("If-Match: \"{seen}\""), "--data-binary"]);
    run(command.arg(format!("@{}", plan.display())).arg("http://carillon/plan")).map(drop)
}
