//! The A/V Edge whose rules are carried by the kernel: coturn's client gets everything back, a browser's library talks through it, tshark
//! finds each packet marked and summed as if sockets had sent it, and whoever may no longer relay does not.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::network::{Host, Network};
use carillon_interop::process::{Process, run, wait_until};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;
use carillon_interop::scenarios::webrtc::{Peer, connect};
use carillon_interop::servers::edge::{Edge, USER, uclient};
use carillon_interop::tshark;
use serde_json::{Value, json};

const PLAN: &str = "base = \"lync-kloud\"\n[edge]\nmark-internal = true\n";
const LIMIT: Duration = Duration::from_secs(20);
const ECHO: &str = "3490";
const IN_KERNEL: &str =
    "relay.fast-path = \"kernel\"\nrelay.allocations-per-user = 200\nrelay.bandwidth-per-user = 600000";

/// An Edge between alice and bob, and bob's echo.
struct Stage {
    network: Network,
    edge: Edge,
    work: tempfile::TempDir,
    _echo: Process,
}

impl Stage {
    /// `None` where it can't be, also for want of the kernel's consent.
    fn new(name: &str) -> Result<Option<Stage>> {
        Stage::with(name, |bob| bob.v4().into(), "")
    }

    /// The echo is at this address of bob's, and the Edge has more settings.
    fn with(name: &str, at: fn(&Host) -> IpAddr, more: &str) -> Result<Option<Stage>> {
        if !possible(name, &["turnutils_uclient", "turnutils_peer", "ethtool", "tshark", "openssl"])? {
            return Ok(None);
        }
        let (work, network) = (tempfile::tempdir()?, Network::with_relay()?);
        let relay = network.relay.as_ref().ok_or("no relay")?;
        for (host, link) in [(&network.alice, "v0"), (&network.bob, "v0"), (relay, "v1"), (relay, "v2")] {
            // As on a wire: no trains, and checksums that are whole.
            let off = ["tx", "off", "tso", "off", "gso", "off", "gro", "off", "tx-udp-segmentation", "off"];
            host.run("ethtool", &[&["-K", link][..], &off].concat())?;
        }
        network.bob.run("ip", &["-6", "route", "add", "default", "via", "fd00:20:2::1"])?;
        let edge = Edge::start(&network, PLAN, &format!("{IN_KERNEL}\n{more}"), work.path())?;
        if let Some(why) = edge.status()?["fast_path"]["why_not"].as_str() {
            writeln!(std::io::stderr(), "skipped: {name}: {why}")?;
            return Ok(None);
        }
        let mut command = network.bob.command("turnutils_peer");
        let command = command.args(["-L", &at(&network.bob).to_string(), "-p", ECHO]);
        let echo = Process::start(command, &work.path().join("peer.log"))?;
        Ok(Some(Stage { network, edge, work, _echo: echo }))
    }

    /// What the kernel has carried, and all: packets to clients and to peers.
    fn carried(&self) -> Result<[[u64; 2]; 2]> {
        let status = self.edge.status()?;
        let both = |of: &Value| {
            ["packets_to_clients", "packets_to_peers"].map(|key| of[key].as_u64().unwrap_or_default())
        };
        Ok([both(&status["fast_path"]), both(&status["relayed"])])
    }

    fn capture(&self, host: &str) -> Result<Capture> {
        let folder = self.work.path().join(host);
        std::fs::create_dir_all(&folder)?;
        Capture::start(&self.network, &Point::link(host), &folder)
    }
}

#[test]
fn coturns_client_gets_everything_back_marked_and_summed_as_by_sockets() -> Result<()> {
    let Some(stage) = Stage::new("edge-in-kernel")? else { return Ok(()) };
    everything_comes_back(&stage, stage.edge.external, stage.network.bob.v4().into(), &[])
}

#[test]
fn coturns_client_gets_everything_back_by_ipv6() -> Result<()> {
    let Some(stage) = Stage::with("edge-in-kernel-ipv6", |bob| bob.v6().into(), "")? else { return Ok(()) };
    everything_comes_back(&stage, stage.edge.external6, stage.network.bob.v6().into(), &["-x"])
}

/// Twenty flows of 80 kbit/s each, of which their site may have two. How long the client takes to send is its own affair, so much
/// more is sent than may pass.
#[test]
fn a_site_has_its_bandwidth_and_no_more_by_coturns_client() -> Result<()> {
    let at = |bob: &Host| bob.v4().into();
    let more = "relay.bandwidth-per-site = 160";
    let Some(stage) = Stage::with("edge-in-kernel-site", at, more)? else { return Ok(()) };
    let (name, password) = stage.edge.credential("ada", &["--site", "Oslo"])?;
    let echo = stage.network.bob.v4().to_string();
    let options =
        ["-e", &echo, "-r", ECHO, "-p", "3479", "-m", "20", "-n", "250", "-z", "20", "-l", "172", "-c"];
    let outcome = uclient(&stage.network.alice, stage.edge.external, (&name, &password), &options)?;
    let share = outcome.received * 100 / outcome.sent.max(1);
    assert!((6..40).contains(&share), "{share} % of {}", outcome.sent);
    let carried = || Ok(stage.carried()?[1][0] >= outcome.received);
    wait_until("all packets counted", LIMIT, carried)?;
    let [kernel, all] = stage.carried()?;
    assert!(kernel[1] > all[1] * 9 / 10, "{kernel:?} of {all:?} in the kernel");
    Ok(())
}

/// Keys are negotiated by other programs, whenever they like: what they say is to be enciphered is left to the sockets from then on.
#[test]
fn policies_of_ipsec_stop_the_program_while_they_are_there() -> Result<()> {
    let Some(stage) = Stage::new("edge-in-kernel-ipsec")? else { return Ok(()) };
    let relay = stage.network.relay.as_ref().ok_or("no relay")?;
    let path = || -> Result<(Value, bool)> {
        let path = &stage.edge.status()?["fast_path"];
        let why = path["why_not"].as_str().unwrap_or_default();
        Ok((path["path"].clone(), why.contains("IPsec")))
    };
    let ends = ["src", "192.0.2.0/24", "dst", "198.51.100.9/32", "dir", "out"];
    relay.run("ip", &[&["xfrm", "policy", "add"][..], &ends, &["action", "block"]].concat())?;
    wait_until("sockets", LIMIT, || Ok(path()? == (json!("sockets"), true)))?;
    relay.run("ip", &["xfrm", "policy", "flush"])?;
    wait_until("the kernel", LIMIT, || Ok(path()? == (json!("kernel"), false)))
}

/// What hangs on the descriptors of a process ends with it, however it ends.
#[test]
fn an_edge_that_is_killed_leaves_no_program_that_goes_on() -> Result<()> {
    let Some(stage) = Stage::new("edge-in-kernel-killed")? else { return Ok(()) };
    let start = |host, log: &str| Peer::start("aiortc-peer.py", host, &stage.work.path().join(log));
    let (mut alice, mut bob) =
        (start(&stage.network.alice, "alice.log")?, start(&stage.network.bob, "bob.log")?);
    let url = format!("turn:{}:3479?transport=udp", stage.edge.external);
    let servers = json!({ "iceServers": [{ "urls": url, "username": USER.0, "credential": USER.1 }] });
    connect((&mut alice, servers), (&mut bob, json!({})))?;
    wait_until("speech in the kernel", LIMIT, || Ok(stage.carried()?[0][1] > 50))?;
    run(std::process::Command::new("kill").args(["-9", &stage.edge.id().to_string()]))?;
    let [from_alice, to_bob] = [stage.capture("alice")?, stage.capture("bob")?];
    std::thread::sleep(Duration::from_secs(2));
    let count = |capture: Capture, is: &dyn Fn(&tshark::Flow) -> bool| -> Result<u64> {
        let marks = tshark::marks(&capture.stop()?, &[])?;
        let counts = marks.iter().filter(|(flow, _)| is(flow)).flat_map(|(_, marks)| marks.values());
        Ok(counts.sum())
    };
    let external = stage.edge.external;
    let sent =
        count(from_alice, &|flow| flow.destination.ip() == external && flow.destination.port() == 3479)?;
    let relayed = count(to_bob, &|flow| flow.source.ip() == external)?;
    assert!(sent > 50 && relayed == 0, "{sent} sent, {relayed} relayed");
    Ok(())
}

fn everything_comes_back(stage: &Stage, edge: IpAddr, echo: IpAddr, family: &[&str]) -> Result<()> {
    let [alice, bob] = [stage.capture("alice")?, stage.capture("bob")?];
    let echo = echo.to_string();
    let options =
        ["-e", &echo, "-r", ECHO, "-p", "3479", "-m", "4", "-n", "250", "-z", "20", "-l", "172", "-c"];
    let outcome = uclient(&stage.network.alice, edge, USER, &[family, &options].concat())?;
    assert!(outcome.sent == outcome.received && outcome.sent >= 1000, "{}", outcome.printed);
    // Counts are read once a second.
    let all = || Ok(stage.carried()?[1].iter().all(|packets| *packets >= outcome.sent));
    wait_until("all packets counted", LIMIT, all)?;
    let [kernel, all] = stage.carried()?;
    for (kernel, all) in kernel.into_iter().zip(all) {
        assert!(kernel > all * 9 / 10, "{kernel} of {all} in the kernel");
    }
    for (capture, expected) in [(alice.stop()?, 0), (bob.stop()?, 46)] {
        let marks = tshark::marks(&capture, &[])?;
        let own = |flow: &tshark::Flow| flow.source.ip() == edge;
        let media = |flow: &tshark::Flow| {
            [flow.source, flow.destination].iter().any(|end| end.port() >= 50_000)
                || flow.source.port() == 3479
        };
        let marks = marks.iter().filter(|(flow, _)| own(flow) && media(flow)).flat_map(|(_, marks)| marks);
        let (mut sum, mut others) = (0, 0);
        marks.for_each(|(mark, count)| *(if *mark == expected { &mut sum } else { &mut others }) += count);
        assert!(sum >= 1000 && others == 0, "{sum} with {expected}, {others} with others");
        let mut words = std::process::Command::new("tshark");
        words.args(["-r", &capture.to_string_lossy(), "-o", "udp.check_checksum:TRUE", "-Y"]);
        let source = if edge.is_ipv4() { "ip.src" } else { "ipv6.src" };
        let filter = format!("udp.checksum.status == 0 && {source} == {edge}");
        assert_eq!(run(words.arg(filter))?.trim(), "", "wrong checksums");
    }
    Ok(())
}

#[test]
fn a_call_is_marked_anew_by_another_plan_and_its_end_leaves_nothing() -> Result<()> {
    let Some(stage) = Stage::new("edge-in-kernel-calls")? else { return Ok(()) };
    let start = |host, log: &str| Peer::start("aiortc-peer.py", host, &stage.work.path().join(log));
    let (mut alice, mut bob) =
        (start(&stage.network.alice, "alice.log")?, start(&stage.network.bob, "bob.log")?);
    let url = format!("turn:{}:3479?transport=udp", stage.edge.external);
    let servers = json!({ "iceServers": [{ "urls": url, "username": USER.0, "credential": USER.1 }] });
    connect((&mut alice, servers), (&mut bob, json!({})))?;
    let capture = stage.capture("bob")?;
    let speak = || {
        let before = stage.carried()?[0][1];
        wait_until("a second of speech in the kernel", LIMIT, || Ok(stage.carried()?[0][1] > before + 50))
    };
    speak()?;
    stage.edge.change_plan(&PLAN.replace("[edge]", "[classes.audio]\ndscp = 40\n[edge]"))?;
    speak()?;
    alice.ask(json!({ "do": "close" }))?;
    bob.ask(json!({ "do": "close" }))?;
    wait_until("no rule in the kernel", LIMIT, || Ok(stage.edge.status()?["fast_path"]["rules"] == 0))?;
    let captured = tshark::marks(&capture.stop()?, &[])?;
    let from_edge = captured
        .iter()
        .filter(|(flow, _)| flow.source.ip() == stage.edge.external && flow.source.port() >= 50_000);
    let mut found: Vec<u8> = from_edge.flat_map(|(_, marks)| marks.keys().copied()).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, [40, 46], "each by its plan, never another");
    Ok(())
}
