//! The A/V Edge with other people's clients: coturn's, aiortc's and a browser's media comes through whole, marked towards the
//! inside and unmarked towards the outside; and who may not relay does not.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::network::Network;
use carillon_interop::process::{Process, wait_until};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;
use carillon_interop::scenarios::webrtc::{Peer, connect};
use carillon_interop::servers::edge::{Edge, USER, uclient};
use carillon_interop::tshark::{self, Marks};
use serde_json::json;

const PLAN: &str = "base = \"lync-kloud\"\n[edge]\nmark-internal = true\n";
const LIMIT: Duration = Duration::from_secs(20);
/// Where bob sends everything back.
const ECHO: &str = "3490";
/// coturn's client never gives back what it has allocated.
const MANY: &str = "relay.allocations-per-user = 200\nrelay.bandwidth-per-user = 600000";
const EF: u8 = 46;
const AF41: u8 = 34;

/// An Edge between alice and bob, and bob's echo.
struct Stage {
    network: Network,
    edge: Edge,
    work: tempfile::TempDir,
    _echo: [Process; 2],
}

impl Stage {
    fn new(name: &str, more: &str) -> Result<Option<Stage>> {
        if !possible(name, &["turnutils_uclient", "turnutils_peer", "ss", "ethtool"])? {
            return Ok(None);
        }
        let (work, network) = (tempfile::tempdir()?, Network::with_relay()?);
        for host in [&network.alice, &network.bob] {
            // What is captured is what the wire would carry: no packet is longer than the link allows.
            host.run(
                "ethtool",
                &["-K", "v0", "tso", "off", "gso", "off", "gro", "off", "tx-udp-segmentation", "off"],
            )?;
        }
        network.bob.run("ip", &["route", "add", "default", "via", "fd00:20:2::1"])?;
        let relay = network.relay.as_ref().ok_or("no relay")?;
        for link in ["v1", "v2"] {
            relay.run(
                "ethtool",
                &["-K", link, "tso", "off", "gso", "off", "gro", "off", "tx-udp-segmentation", "off"],
            )?;
        }
        let edge = Edge::start(&network, PLAN, more, work.path())?;
        let echo = |address: String| {
            let mut command = network.bob.command("turnutils_peer");
            Process::start(command.args(["-L", &address, "-p", ECHO]), &work.path().join("peer.log"))
        };
        let echo = [echo(network.bob.v4().to_string())?, echo(network.bob.v6().to_string())?];
        Ok(Some(Stage { network, edge, work, _echo: echo }))
    }

    fn capture(&self, host: &str) -> Result<Capture> {
        let folder = self.work.path().join(host);
        std::fs::create_dir_all(&folder)?;
        Capture::start(&self.network, &Point::link(host), &folder)
    }

    /// Marks of all that the Edge has sent there.
    fn marks_from_edge(&self, capture: &Path) -> Result<Marks> {
        let own = [self.edge.external, self.edge.external6, self.edge.internal];
        let mut sum = Marks::new();
        for (_, marks) in
            tshark::marks(capture, &[])?.iter().filter(|(flow, _)| own.contains(&flow.source.ip()))
        {
            marks.iter().for_each(|(mark, count)| *sum.entry(*mark).or_default() += count);
        }
        Ok(sum)
    }
}

#[test]
fn coturns_client_gets_everything_back_by_channels_and_by_indications_over_both_families() -> Result<()> {
    let Some(stage) = Stage::new("edge-relays-for-coturn", MANY)? else { return Ok(()) };
    let (alice, edge) = (&stage.network.alice, &stage.edge);
    let [v4, v6] = stage.network.bob.addresses().map(|address| address.to_string());
    let ways = [
        ("channels", edge.external, vec!["-e", &v4]),
        ("indications", edge.external, vec!["-s", "-e", &v4]),
        ("IPv6 on both sides", edge.external6, vec!["-x", "-e", &v6]),
        ("IPv4 to IPv6", edge.external, vec!["-x", "-e", &v6]),
        ("IPv6 to IPv4", edge.external6, vec!["-e", &v4]),
        ("two clients of the Edge", edge.external, vec!["-y"]),
    ];
    for (way, server, options) in ways {
        let common = ["-r", ECHO, "-m", "4", "-n", "50", "-z", "5", "-l", "172", "-c"];
        let outcome = uclient(alice, server, USER, &[&common[..], &options].concat());
        let outcome = outcome.map_err(|printed| format!("{way}: {printed}"))?;
        assert_eq!(outcome.sent, outcome.received, "{way}: {}", outcome.printed);
        assert!(outcome.sent >= 200, "{way}: {}", outcome.printed);
    }
    Ok(())
}

#[test]
fn what_leaves_for_the_inside_is_marked_by_class_and_what_leaves_for_the_outside_is_not() -> Result<()> {
    let Some(stage) = Stage::new("edge-marks", MANY)? else { return Ok(()) };
    let (alice, edge) = (&stage.network.alice, &stage.edge);
    let echo = stage.network.bob.v4().to_string();
    let (name, password) = edge.credential("carol", &["--class", "video"])?;
    for (options, user, expected) in [
        // By the listener, through a rule and without one.
        (&["-p", "3479"][..], USER, EF),
        (&["-p", "3479", "-s"], USER, EF),
        (&["-p", "3480"], USER, AF41),
        // By the credential, wherever it is shown.
        (&["-p", "3478"], (name.as_str(), password.as_str()), AF41),
        // Nobody says what it is.
        (&["-p", "3478"], USER, 0),
    ] {
        let captures = [stage.capture("alice")?, stage.capture("bob")?];
        let common = ["-e", &echo, "-r", ECHO, "-m", "2", "-n", "50", "-z", "5", "-c"];
        let outcome = uclient(alice, edge.external, user, &[&common[..], options].concat())?;
        assert_eq!((outcome.sent, outcome.received), (100, 100), "{options:?}: {}", outcome.printed);
        let [outside, inside] = captures.map(|capture| capture.stop());
        let (outside, inside) = (stage.marks_from_edge(&outside?)?, stage.marks_from_edge(&inside?)?);
        assert_eq!(inside, Marks::from([(expected, 100)]), "to bob: {options:?}");
        assert!(outside.keys().eq([&0]) && outside[&0] >= 100, "to alice: {options:?}: {outside:?}");
    }
    Ok(())
}

#[test]
fn another_plan_marks_relays_that_live() -> Result<()> {
    let Some(stage) = Stage::new("edge-obeys-the-next-plan", "")? else { return Ok(()) };
    let edge = &stage.edge;
    let capture = stage.capture("bob")?;
    let mut alice =
        Peer::start("aiortc-peer.py", &stage.network.alice, &stage.work.path().join("alice.log"))?;
    let mut bob = Peer::start("aiortc-peer.py", &stage.network.bob, &stage.work.path().join("bob.log"))?;
    let url = format!("turn:{}:3479?transport=udp", edge.external);
    let servers = json!({ "iceServers": [{ "urls": url, "username": USER.0, "credential": USER.1 }] });
    connect((&mut alice, servers), (&mut bob, json!({})))?;
    let carried = || -> Result<u64> {
        Ok(edge.status()?["relayed"]["packets_to_peers"].as_u64().ok_or("no packets_to_peers")?)
    };
    wait_until("a second of speech", LIMIT, || Ok(carried()? > 50))?;
    edge.change_plan(&PLAN.replace("[edge]", "[classes.audio]\ndscp = 40\n[edge]"))?;
    let before = carried()?;
    wait_until("two seconds more", LIMIT, || Ok(carried()? > before + 100))?;
    alice.ask(json!({ "do": "close" }))?;
    bob.ask(json!({ "do": "close" }))?;
    let marks = stage.marks_from_edge(&capture.stop()?)?;
    assert!(marks.keys().eq([&40, &EF]), "first EF, then CS5, never another: {marks:?}");
    assert!(marks.values().all(|count| *count > 40), "{marks:?}");
    Ok(())
}

#[test]
fn who_may_not_relay_does_not() -> Result<()> {
    let Some(stage) = Stage::new("edge-refuses", "")? else { return Ok(()) };
    let (alice, edge) = (&stage.network.alice, &stage.edge);
    let echo = stage.network.bob.v4().to_string();
    let common = ["-e", &echo, "-r", ECHO, "-m", "1", "-n", "5", "-c"];
    let (name, password) = edge.credential("carol", &["--lifetime", "1"])?;
    std::thread::sleep(Duration::from_millis(2100));
    for (reason, user) in [
        ("wrong-password", (USER.0, "wrong")),
        ("unknown-user", ("mallory", USER.1)),
        ("expired-credential", (name.as_str(), password.as_str())),
        ("wrong-password", ("9999999999:carol", password.as_str())),
    ] {
        let denied = || -> Result<u64> { Ok(edge.status()?["denied"][reason].as_u64().unwrap_or_default()) };
        let before = denied()?;
        let refused = uclient(alice, edge.external, user, &common).err().ok_or(reason)?.to_string();
        assert!(refused.contains("Cannot complete Allocation"), "{reason}: {refused}");
        assert!(denied()? > before, "{reason}: {}", edge.status()?);
    }
    // Peers: the Edge itself, loopback, alice's own private network, which nobody has listed as inside.
    let own = alice.v4().to_string();
    let (outer, inner) = (edge.external.to_string(), edge.internal.to_string());
    for (peer, port) in
        [("127.0.0.1", ECHO), (own.as_str(), ECHO), (inner.as_str(), "3478"), (outer.as_str(), "3478")]
    {
        let options = ["-e", peer, "-r", port, "-m", "1", "-n", "5", "-c"];
        let refused = uclient(alice, edge.external, USER, &options).err().ok_or(peer)?.to_string();
        assert!(refused.contains("403"), "{peer}: {refused}");
    }
    assert_eq!(edge.status()?["relayed"]["packets_to_peers"], 0);
    Ok(())
}

#[test]
fn its_list_of_ports_is_the_kernels_and_nothing_is_open_that_nobody_needs() -> Result<()> {
    let Some(stage) = Stage::new("edge-ports", "")? else { return Ok(()) };
    let (edge, host) = (&stage.edge, stage.network.relay.as_ref().ok_or("no relay")?);
    let by_ss = || -> Result<BTreeSet<String>> {
        let listed = host.run("ss", &["-lnupt", "-H"])?;
        let own = format!("pid={},", edge.id());
        let ours = listed.lines().filter(|line| line.contains(&own));
        Ok(ours.filter_map(|line| line.split_whitespace().nth(4)).map(str::to_owned).collect())
    };
    let by_us = || -> Result<BTreeSet<String>> {
        let rows = edge.ports()?;
        assert!(rows.iter().all(|row| row["service"] == "A/V Edge"), "{rows:?}");
        Ok(rows.iter().filter_map(|row| row["address"].as_str()).map(str::to_owned).collect())
    };
    let idle = by_us()?;
    assert_eq!((by_ss()?, idle.len()), (idle.clone(), 3 * 4), "three addresses with four ports each");
    let mut alice =
        Peer::start("aiortc-peer.py", &stage.network.alice, &stage.work.path().join("alice.log"))?;
    let mut bob = Peer::start("aiortc-peer.py", &stage.network.bob, &stage.work.path().join("bob.log"))?;
    let url = format!("turn:{}:3478?transport=udp", edge.external);
    let servers = json!({ "iceServers": [{ "urls": url, "username": USER.0, "credential": USER.1 }] });
    connect((&mut alice, servers), (&mut bob, json!({})))?;
    let (busy, listed) = (by_us()?, edge.ports()?);
    assert_eq!(by_ss()?, busy);
    let relayed: Vec<_> = listed.iter().filter(|row| !row["allocation"].is_null()).collect();
    assert_eq!(busy.len(), idle.len() + relayed.len());
    assert!(!relayed.is_empty());
    for row in relayed {
        assert_eq!((&row["allocation"]["user"], &row["transport"]), (&json!(USER.0), &json!("udp")));
        let address: std::net::SocketAddr = row["address"].as_str().ok_or("no address")?.parse()?;
        assert!((50000..=59999).contains(&address.port()) && address.ip() == edge.external, "{address}");
    }
    alice.ask(json!({ "do": "close" }))?;
    bob.ask(json!({ "do": "close" }))?;
    wait_until("released ports are closed", Duration::from_secs(5), || Ok(by_us()? == idle))?;
    assert_eq!(by_ss()?, idle);
    Ok(())
}

#[test]
fn an_edge_that_is_told_to_stop_lets_calls_end() -> Result<()> {
    let Some(mut stage) = Stage::new("edge-drains", "service.drain = 30")? else { return Ok(()) };
    let mut alice =
        Peer::start("aiortc-peer.py", &stage.network.alice, &stage.work.path().join("alice.log"))?;
    let mut bob = Peer::start("aiortc-peer.py", &stage.network.bob, &stage.work.path().join("bob.log"))?;
    let url = format!("turn:{}:3479?transport=udp", stage.edge.external);
    let servers = json!({ "iceServers": [{ "urls": url, "username": USER.0, "credential": USER.1 }] });
    connect((&mut alice, servers), (&mut bob, json!({})))?;
    stage.edge.begin_to_stop()?;
    wait_until("an Edge that drains", LIMIT, || Ok(stage.edge.status()?["stopping"] == true))?;
    let echo = stage.network.bob.v4().to_string();
    let options = ["-e", &echo, "-r", ECHO, "-m", "1", "-n", "5", "-c"];
    assert!(
        uclient(&stage.network.alice, stage.edge.external, USER, &options).is_err(),
        "no new allocations"
    );
    let carried = |edge: &Edge| -> Result<u64> {
        Ok(edge.status()?["relayed"]["packets_to_peers"].as_u64().unwrap_or_default())
    };
    let before = carried(&stage.edge)?;
    wait_until("the call goes on", LIMIT, || Ok(carried(&stage.edge)? > before + 50))?;
    alice.ask(json!({ "do": "close" }))?;
    bob.ask(json!({ "do": "close" }))?;
    stage.edge.wait_for_end()
}
