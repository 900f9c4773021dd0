//! The A/V Edge with other people's clients: coturn's, aiortc's and a browser's media comes through whole, marked towards the
//! inside and unmarked towards the outside; and who may not relay does not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::network::Network;
use carillon_interop::process::{Process, wait_until};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;
use carillon_interop::scenarios::webrtc::{Peer, connect, hear_through_relays};
use carillon_interop::servers::edge::{Edge, USER, uclient};
use carillon_interop::tshark::{self, Marks};
use serde_json::json;

const PLAN: &str = "base = \"lync-kloud\"\n[edge]\nmark-internal = true\n";
const LIMIT: Duration = Duration::from_secs(20);
/// Where bob sends everything back.
const ECHOES: [&str; 5] = ["3490", "3492", "3494", "3496", "3498"];
const ECHO: &str = ECHOES[0];
/// coturn's client never gives back what it has allocated.
const MANY: &str = "relay.allocations-per-user = 200\nrelay.bandwidth-per-user = 600000";
/// Where browsers find the relay: scheme, port and transport; over TLS is over TCP.
const DOORS: [(&str, u16, &str); 3] = [("turn", 3479, "udp"), ("turn", 443, "tcp"), ("turns", 5349, "tcp")];
const EF: u8 = 46;
const AF41: u8 = 34;

/// An Edge between alice and bob, and bob's echo.
struct Stage {
    network: Network,
    edge: Edge,
    work: tempfile::TempDir,
    _echoes: Vec<Process>,
}

impl Stage {
    fn new(name: &str, more: &str) -> Result<Option<Stage>> {
        if !possible(name, &["turnutils_uclient", "turnutils_peer", "ss", "ethtool", "openssl"])? {
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
        let echo = |(address, port): (String, &str)| {
            let mut command = network.bob.command("turnutils_peer");
            Process::start(command.args(["-L", &address, "-p", port]), &work.path().join("peer.log"))
        };
        let (v4, v6) = (network.bob.v4().to_string(), network.bob.v6().to_string());
        let places = ECHOES.map(|port| (v4.clone(), port)).into_iter().chain([(v6, ECHO)]);
        let echoes = places.map(echo).collect::<Result<_>>()?;
        Ok(Some(Stage { network, edge, work, _echoes: echoes }))
    }

    fn capture(&self, host: &str) -> Result<Capture> {
        let folder = self.work.path().join(host);
        std::fs::create_dir_all(&folder)?;
        Capture::start(&self.network, &Point::link(host), &folder)
    }

    /// alice, who is only reached through this port of the Edge over UDP, talks with bob.
    fn call(&self, port: &str) -> Result<(Peer, Peer)> {
        self.call_by(&format!("turn:{}:{port}?transport=udp", self.edge.external))
    }

    /// alice, who is only reached by this server, talks with bob.
    fn call_by(&self, url: &str) -> Result<(Peer, Peer)> {
        let start = |host, log: &str| Peer::start("aiortc-peer.py", host, &self.work.path().join(log));
        let (mut alice, mut bob) =
            (start(&self.network.alice, "alice.log")?, start(&self.network.bob, "bob.log")?);
        let servers = json!({ "iceServers": [{ "urls": url, "username": USER.0, "credential": USER.1 }] });
        connect((&mut alice, servers), (&mut bob, json!({})))?;
        Ok((alice, bob))
    }

    /// Marks of all that the Edge has sent there, by what it was sent from: whether over TCP, and the port.
    fn doors_of_edge(&self, capture: &Path) -> Result<BTreeMap<(bool, u16), Marks>> {
        let own = [self.edge.external, self.edge.external6, self.edge.internal];
        let mut sums: BTreeMap<_, Marks> = BTreeMap::new();
        for (flow, marks) in tshark::marks(capture, &[])? {
            if own.contains(&flow.source.ip()) {
                let sum = sums.entry((flow.tcp, flow.source.port())).or_default();
                marks.iter().for_each(|(mark, count)| *sum.entry(*mark).or_default() += count);
            }
        }
        Ok(sums)
    }

    /// Marks of all that the Edge has sent there, by the port that it was sent to.
    fn marks_from_edge(&self, capture: &Path) -> Result<BTreeMap<u16, Marks>> {
        let own = [self.edge.external, self.edge.external6, self.edge.internal];
        let mut sums: BTreeMap<u16, Marks> = BTreeMap::new();
        for (flow, marks) in
            tshark::marks(capture, &[])?.iter().filter(|(flow, _)| own.contains(&flow.source.ip()))
        {
            let sum = sums.entry(flow.destination.port()).or_default();
            marks.iter().for_each(|(mark, count)| *sum.entry(*mark).or_default() += count);
        }
        Ok(sums)
    }
}

/// Does something with each of these, all at the same time; their number and they themselves are given.
fn at_once<T: Sync>(all: &[T], each: impl Fn(usize, &T) -> Result<()> + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let each = &each;
        let threads: Vec<_> =
            all.iter().enumerate().map(|(at, one)| scope.spawn(move || each(at, one))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
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
        ("TCP", edge.external, vec!["-t", "-p", "443", "-e", &v4]),
        ("TCP, indications, IPv6", edge.external6, vec!["-t", "-s", "-p", "443", "-e", &v4]),
    ];
    // Over TLS this client takes what it reads at once for one message: it is given time between two of them.
    let slowly = ["-t", "-S", "-p", "5349", "-m", "1", "-n", "200", "-z", "20", "-e"];
    let secure = [
        ("TLS", edge.external, [&slowly[..], &[&v4]].concat()),
        ("TLS, indications, IPv6", edge.external6, [&slowly[..], &[&v6, "-s", "-x"]].concat()),
    ];
    let talk = |_, (way, server, options): &(&str, IpAddr, Vec<&str>)| -> Result<()> {
        let common = ["-r", ECHO, "-m", "4", "-n", "50", "-z", "5", "-l", "172", "-c"];
        let outcome = uclient(alice, *server, USER, &[&common[..], options].concat());
        let outcome = outcome.map_err(|printed| format!("{way}: {printed}"))?;
        let whole = outcome.sent == outcome.received && outcome.sent >= 200;
        if whole { Ok(()) } else { Err(format!("{way}: {}", outcome.printed).into()) }
    };
    at_once(&ways, talk)?;
    at_once(&secure, talk)
}

#[test]
fn what_leaves_for_the_inside_is_marked_by_class_and_what_leaves_for_the_outside_is_not() -> Result<()> {
    let Some(stage) = Stage::new("edge-marks", MANY)? else { return Ok(()) };
    let (alice, edge) = (&stage.network.alice, &stage.edge);
    let echo = stage.network.bob.v4().to_string();
    let (name, password) = edge.credential("carol", &["--class", "video"])?;
    let cases = [
        // By the listener, through a rule and without one.
        (&["-p", "3479"][..], USER, EF),
        (&["-p", "3479", "-s"], USER, EF),
        (&["-p", "3480"], USER, AF41),
        // By the credential, wherever it is shown.
        (&["-p", "3478"], (name.as_str(), password.as_str()), AF41),
        // Nobody says what it is.
        (&["-p", "3478"], USER, 0),
    ];
    let captures = [stage.capture("alice")?, stage.capture("bob")?];
    at_once(&cases, |at, (options, user, _)| {
        let common = ["-e", &echo, "-r", ECHOES[at], "-m", "2", "-n", "50", "-z", "5", "-c"];
        let outcome = uclient(alice, edge.external, *user, &[&common[..], options].concat())?;
        let whole = (outcome.sent, outcome.received) == (100, 100);
        if whole { Ok(()) } else { Err(format!("{options:?}: {}", outcome.printed).into()) }
    })?;
    let [outside, inside] = captures.map(|capture| capture.stop());
    let (outside, inside) = (stage.marks_from_edge(&outside?)?, stage.marks_from_edge(&inside?)?);
    for ((options, _, expected), port) in cases.iter().zip(ECHOES) {
        assert_eq!(inside[&port.parse()?], Marks::from([(*expected, 100)]), "to bob: {options:?}");
    }
    assert!(outside.values().all(|marks| marks.keys().eq([&0])), "to alice: {outside:?}");
    assert!(outside.values().flat_map(|marks| marks.values()).sum::<u64>() >= 500, "to alice: {outside:?}");
    Ok(())
}

#[test]
fn browsers_that_may_only_use_the_relay_hear_each_other_from_both_sides_of_the_edge() -> Result<()> {
    if !possible("edge-relays-for-browsers", &["chromium"])? {
        return Ok(());
    }
    let Some(stage) = Stage::new("edge-relays-for-browsers", "")? else { return Ok(()) };
    let captures = [stage.capture("alice")?, stage.capture("bob")?];
    let start = |host, log: &str| Peer::start("chromium-peer.py", host, &stage.work.path().join(log));
    let (mut alice, mut bob) =
        (start(&stage.network.alice, "alice.log")?, start(&stage.network.bob, "bob.log")?);
    let users = ["alice", "bob"].map(|user| stage.edge.credential(user, &["--class", "audio"]));
    let [of_alice, of_bob] = users;
    let (of_alice, of_bob) = (of_alice?, of_bob?);
    for (scheme, port, transport) in DOORS {
        let at = |address: IpAddr| format!("{scheme}:{address}:{port}?transport={transport}");
        let (outer, inner) = (at(stage.edge.external), at(stage.edge.internal));
        let relays = [(&*outer, (&*of_alice.0, &*of_alice.1)), (&*inner, (&*of_bob.0, &*of_bob.1))];
        hear_through_relays([&mut alice, &mut bob], relays).map_err(|error| format!("{outer}: {error}"))?;
    }
    let [outside, inside] = captures.map(|capture| capture.stop());
    for (capture, mark) in [(outside?, 0), (inside?, EF)] {
        let doors = stage.doors_of_edge(&capture)?;
        let expected = DOORS.map(|(_, port, transport)| (transport == "tcp", port));
        assert!(doors.keys().eq(&BTreeSet::from(expected)), "nothing passes beside the doors: {doors:?}");
        for (door, marks) in doors {
            let marked = marks.get(&mark).copied().unwrap_or_default();
            let before = marks.values().sum::<u64>() - marked;
            // What a stream begins with leaves before anybody has said what it is for: as the plan says of the browser's port,
            // which by chance may be one of video.
            let is_stream = door.0 && mark != 0;
            let most = if is_stream { 20 } else { 0 };
            assert!(marked > 100 && before <= most, "{door:?}, not {mark}: {marks:?}");
            let may_be = |seen: &u8| [0, mark].contains(seen) || is_stream && *seen == AF41;
            assert!(marks.keys().all(may_be), "{door:?}, not {mark}: {marks:?}");
        }
    }
    Ok(())
}

#[test]
fn another_plan_marks_relays_that_live_and_without_being_told_an_edge_marks_nothing() -> Result<()> {
    let Some(stage) = Stage::new("edge-obeys-the-next-plan", "")? else { return Ok(()) };
    let edge = &stage.edge;
    let capture = stage.capture("bob")?;
    let (mut alice, mut bob) = stage.call("3479")?;
    let speak = || {
        let before = edge.relayed()?;
        wait_until("two seconds of speech", LIMIT, || Ok(edge.relayed()? > before + 100))
    };
    speak()?;
    edge.change_plan(&PLAN.replace("[edge]", "[classes.audio]\ndscp = 40\n[edge]"))?;
    speak()?;
    edge.change_plan("base = \"lync-kloud\"\n")?;
    speak()?;
    alice.ask(json!({ "do": "close" }))?;
    bob.ask(json!({ "do": "close" }))?;
    let mut marks = Marks::new();
    for (mark, count) in stage.marks_from_edge(&capture.stop()?)?.into_values().flatten() {
        *marks.entry(mark).or_default() += count;
    }
    assert!(marks.keys().eq([&0, &40, &EF]), "EF, then CS5, then none, never another: {marks:?}");
    assert!(marks.values().all(|count| *count > 40), "{marks:?}");
    Ok(())
}

#[test]
fn where_no_udp_passes_media_comes_over_tcp_and_over_tls() -> Result<()> {
    let Some(stage) = Stage::new("edge-relays-over-streams", "")? else { return Ok(()) };
    let alice = &stage.network.alice;
    alice.run("nft", &["add table inet firewall"])?;
    alice.run("nft", &["add chain inet firewall out { type filter hook output priority 0; }"])?;
    alice.run("nft", &["add rule inet firewall out meta l4proto udp drop"])?;
    let address = stage.edge.external;
    for url in [format!("turn:{address}:443?transport=tcp"), format!("turns:{address}:5349?transport=tcp")] {
        let before = stage.edge.relayed()?;
        let (mut alice, mut bob) = stage.call_by(&url)?;
        wait_until("a second of speech", LIMIT, || Ok(stage.edge.relayed()? > before + 50))
            .map_err(|error| format!("{url}: {error}"))?;
        alice.ask(json!({ "do": "close" }))?;
        bob.ask(json!({ "do": "close" }))?;
    }
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
    let denials = [
        ("wrong-password", (USER.0, "wrong")),
        ("unknown-user", ("mallory", USER.1)),
        ("expired-credential", (name.as_str(), password.as_str())),
        ("wrong-password", ("9999999999:carol", password.as_str())),
    ];
    at_once(&denials, |_, (reason, user)| {
        let refused = uclient(alice, edge.external, *user, &common).err().ok_or(*reason)?.to_string();
        let is_told = refused.contains("Cannot complete Allocation");
        if is_told { Ok(()) } else { Err(format!("{reason}: {refused}").into()) }
    })?;
    let denied = edge.status()?["denied"].clone();
    assert!(denials.iter().all(|(reason, _)| denied[reason].as_u64() > Some(0)), "{denied}");
    // Peers: the Edge itself, loopback, alice's own private network, which nobody has listed as inside.
    let own = alice.v4().to_string();
    let (outer, inner) = (edge.external.to_string(), edge.internal.to_string());
    let peers = [("127.0.0.1", ECHO), (&own, ECHO), (&inner, "3478"), (&outer, "3478")];
    at_once(&peers, |_, (peer, port)| {
        let options = ["-e", peer, "-r", port, "-m", "1", "-n", "5", "-c"];
        let refused = uclient(alice, edge.external, USER, &options).err().ok_or(*peer)?.to_string();
        if refused.contains("403") { Ok(()) } else { Err(format!("{peer}: {refused}").into()) }
    })?;
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
    assert_eq!((by_ss()?, idle.len()), (idle.clone(), 3 * 6), "three addresses with six ports each");
    let (mut alice, mut bob) = stage.call("3478")?;
    let (busy, listed) = (by_us()?, edge.ports()?);
    assert_eq!(by_ss()?, busy);
    let relayed: Vec<_> = listed.iter().filter(|row| !row["allocation"].is_null()).collect();
    assert_eq!(busy.len(), idle.len() + relayed.len());
    assert!(!relayed.is_empty());
    for row in relayed {
        assert_eq!((&row["allocation"]["user"], &row["transport"]), (&json!(USER.0), &json!("udp")));
        let address: SocketAddr = row["address"].as_str().ok_or("no address")?.parse()?;
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
    let (mut alice, mut bob) = stage.call("3478")?;
    stage.edge.begin_to_stop()?;
    wait_until("an Edge that drains", LIMIT, || Ok(stage.edge.status()?["stopping"] == true))?;
    let echo = stage.network.bob.v4().to_string();
    let options = ["-e", &echo, "-r", ECHO, "-m", "1", "-n", "5", "-c"];
    assert!(
        uclient(&stage.network.alice, stage.edge.external, USER, &options).is_err(),
        "no new allocations"
    );
    let before = stage.edge.relayed()?;
    wait_until("the call goes on", LIMIT, || Ok(stage.edge.relayed()? > before + 50))?;
    alice.ask(json!({ "do": "close" }))?;
    bob.ask(json!({ "do": "close" }))?;
    stage.edge.wait_for_end()
}
