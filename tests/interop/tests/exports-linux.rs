//! What is exported for Linux does on Linux what it says: rules loaded by nft and tc in namespaces, packets of programs
//! that mark nothing, judged by tshark.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::exports::{
    PRESET, acquaint, exported, installed_file, knock, load, preset, routed, traffic,
};
use carillon_interop::network::{Host, INTERFACE, MarkRule, Network};
use carillon_interop::process::{Process, installed, run};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;
use carillon_interop::tshark;
use carillon_qos::Plan;
use carillon_qos::export::{File, Order, Target};
use carillon_qos::import;
use carillon_qos::plan::Scope;

const LIMIT: Duration = Duration::from_secs(30);

/// Marks of what one side sent, by protocol, IP version and the port that `port` chooses.
type Seen = BTreeMap<(&'static str, u8, u16), Vec<u8>>;

fn seen(capture: &Path, from: &Host, port: fn(&tshark::Flow) -> u16) -> Result<Seen> {
    let mut seen = Seen::new();
    for (flow, marks) in tshark::marks(capture, &[])? {
        if from.addresses().contains(&flow.source.ip()) {
            let protocol = if flow.tcp { "tcp" } else { "udp" };
            let version = if flow.source.is_ipv4() { 4 } else { 6 };
            seen.entry((protocol, version, port(&flow))).or_default().extend(marks.keys());
        }
    }
    Ok(seen)
}

/// The same ports over both IP versions.
fn over_both(expected: &[(&'static str, u16, u8)]) -> Seen {
    let versions = |(protocol, port, mark): &(&'static str, u16, u8)| {
        [4, 6].map(|version| ((*protocol, version, *port), vec![*mark]))
    };
    expected.iter().flat_map(versions).collect()
}

/// Borders of the ranges over UDP, and signaling over TCP.
const CLIENT: [(&str, u16, u8); 7] = [
    ("udp", 19999, 0),
    ("udp", 20000, 46),
    ("udp", 20039, 46),
    ("udp", 20040, 34),
    ("udp", 20079, 34),
    ("udp", 20080, 0),
    ("tcp", 30061, 24),
];

/// Knocks from those ports at bob's.
fn client_knocks(network: &Network) -> Vec<String> {
    let pairs = network.alice.addresses().into_iter().zip(network.bob.addresses());
    let lines = |(from, to): (std::net::IpAddr, std::net::IpAddr)| {
        CLIENT.map(|(protocol, port, _)| {
            let to_port = if protocol == "tcp" { 5061 } else { 9 };
            format!("{protocol} {from} {port} {to} {to_port}")
        })
    };
    pairs.flat_map(lines).collect()
}

fn without_marks(expected: &Seen) -> Seen {
    expected.keys().map(|key| (*key, vec![0])).collect()
}

#[test]
fn a_host_marks_what_programs_send_and_nothing_once_the_table_is_gone() -> Result<()> {
    if !possible("exports-linux", &["python3", "ping", "ffmpeg"])? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let network = Network::pair()?;
    let (alice, bob) = (&network.alice, &network.bob);
    acquaint(&network)?;
    let _listener = {
        let mut process =
            Process::start(&mut traffic(bob, &["listen", "5061"]), &work.path().join("listener.log"))?;
        process.wait_for("bound", LIMIT)?;
        process
    };
    let file =
        installed_file(work.path(), &exported("nftables", &preset()?)?, "linux/marks-client.nft", &[])?;
    alice.run("nft", &["add table inet theirs"])?;
    load(alice, &file)?;
    let once = alice.run("nft", &["list", "ruleset"])?;
    load(alice, &file)?;
    assert_eq!(
        alice.run("nft", &["list", "ruleset"])?,
        once,
        "loading again replaces our table and no other"
    );
    assert!(once.contains("table inet theirs"));

    let marked = over_both(&CLIENT);
    assert_eq!(sent_by_alice(&network, work.path(), &client_knocks(&network))?, marked);
    assert_eq!(rtp_of_ffmpeg(&network, work.path())?, BTreeSet::from([46]));
    what_is_loaded_is_what_was_exported(&once, &file)?;

    alice.run("nft", &["delete", "table", "inet", "carillon_marks"])?;
    assert_eq!(sent_by_alice(&network, work.path(), &client_knocks(&network))?, without_marks(&marked));
    Ok(())
}

fn sent_by_alice(network: &Network, work: &Path, lines: &[String]) -> Result<Seen> {
    let capture = Capture::on(&network.bob, &Point::link("bob"), work)?;
    knock(&network.alice, work, lines)?;
    seen(&capture.stop()?, &network.alice, |flow| flow.source.port())
}

/// Marks of a stream that ffmpeg sends from port 20010.
fn rtp_of_ffmpeg(network: &Network, work: &Path) -> Result<BTreeSet<u8>> {
    let capture = Capture::on(&network.bob, &Point::link("bob"), work)?;
    let to = format!("rtp://{}:40000?localrtpport=20010&localrtcpport=20011", network.bob.v4());
    let mut command = network.alice.command("ffmpeg");
    command.args([
        "-nostdin",
        "-v",
        "error",
        "-re",
        "-f",
        "lavfi",
        "-i",
        "sine=duration=1",
        "-c:a",
        "pcm_mulaw",
    ]);
    run(command.args(["-ar", "8000", "-f", "rtp", &to]))?;
    let flows = tshark::marks(&capture.stop()?, &[])?;
    let rtp = flows.into_iter().filter(|(flow, _)| flow.source.port() == 20010);
    Ok(rtp.flat_map(|(_, marks)| marks.into_keys()).collect())
}

/// The importer finds the same in our file and in what the kernel has made of it.
fn what_is_loaded_is_what_was_exported(ruleset: &str, file: &Path) -> Result<()> {
    let rules = |bytes: &[u8]| -> Result<Vec<import::What>> {
        let deployed = import::read("rules", bytes).map_err(|errors| format!("{errors:?}"))?;
        assert_eq!(deployed.notes, []);
        Ok(deployed.facts.into_iter().map(|fact| fact.what).collect())
    };
    let exported = rules(&std::fs::read(file)?)?;
    assert_eq!(exported.len(), 3);
    assert_eq!(rules(ruleset.as_bytes())?, exported);
    Ok(())
}

#[test]
fn a_router_marks_both_directions_and_bleaches_only_if_asked() -> Result<()> {
    if !possible("exports-linux", &["python3", "ping"])? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let (network, router) = routed()?;
    let files = exported("nftables", &preset()?)?;
    let servers = [
        ("define servers4 = { }", "define servers4 = { 10.20.2.0/24 }"),
        ("define servers6 = { }", "define servers6 = { fd00:20:2::/64 }"),
    ];
    network.alice.mark(&[MarkRule { protocol: "udp", ports: "1-65535", dscp: 10 }])?;
    for (name, rest) in [("linux/marks-router.nft", 10), ("linux/marks-router-strict.nft", 0)] {
        load(&router, &installed_file(work.path(), &files, name, &servers)?)?;
        let expected =
            CLIENT.map(|(protocol, port, mark)| (protocol, port, if mark == 0 { rest } else { mark }));
        assert_eq!(
            sent_by_alice(&network, work.path(), &client_knocks(&network))?,
            over_both(&expected),
            "{name}"
        );
        assert_eq!(sent_by_bob(&network, work.path())?, over_both(&TO_CLIENT), "{name}");
    }
    Ok(())
}

/// What a server's side sends: to a client's range from any port, from its own range to any port.
const TO_CLIENT: [(&str, u16, u8); 4] =
    [("udp", 20005, 46), ("udp", 20045, 34), ("udp", 20100, 0), ("udp", 9, 46)];

fn sent_by_bob(network: &Network, work: &Path) -> Result<Seen> {
    let capture = Capture::on(&network.alice, &Point::link("alice"), work)?;
    let mut lines = Vec::new();
    for (from, to) in network.bob.addresses().into_iter().zip(network.alice.addresses()) {
        for (_, port, _) in TO_CLIENT {
            let from_port = if port == 9 { 50000 } else { 30000 };
            lines.push(format!("udp {from} {from_port} {to} {port}"));
        }
    }
    knock(&network.bob, work, &lines)?;
    seen(&capture.stop()?, &network.bob, |flow| flow.destination.port())
}

#[test]
fn marks_survive_a_bridge() -> Result<()> {
    if !possible("exports-linux", &["python3", "ping"])? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let mut network = Network::with_relay()?;
    let switch = network.relay.take().ok_or("no relay")?;
    switch.run("ip", &["link", "add", "guests", "type", "bridge", "forward_delay", "0"])?;
    switch.run("ip", &["link", "set", "guests", "up"])?;
    for port in ["v1", "v2"] {
        switch.run("ip", &["link", "set", port, "master", "guests"])?;
    }
    // One link now: what was behind the router is on it.
    for (host, v4, v6) in
        [(&network.alice, "10.20.2.0/24", "fd00:20:2::/64"), (&network.bob, "10.20.1.0/24", "fd00:20:1::/64")]
    {
        host.run("ip", &["route", "add", v4, "dev", INTERFACE])?;
        host.run("ip", &["-6", "route", "add", v6, "dev", INTERFACE])?;
    }
    acquaint(&network)?;
    let file =
        installed_file(work.path(), &exported("nftables", &preset()?)?, "linux/marks-client.nft", &[])?;
    load(&network.alice, &file)?;
    assert_eq!(sent_by_alice(&network, work.path(), &client_knocks(&network))?, over_both(&CLIENT));
    Ok(())
}

/// Packets lost of those that were sent, in percent, by source port.
type Losses = BTreeMap<u16, f64>;

/// 2 Mbit/s carry 800 kbit/s each of audio, video and signaling, and 20 Mbit/s of anything.
const STREAMS: [&str; 4] = ["20000=800", "20040=800", "30024=800:96", "30000=20000"];

#[test]
fn a_full_link_loses_the_rest_first_and_audio_never() -> Result<()> {
    if !possible("exports-linux", &["python3", "ping", "tc", "sh"])? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let (network, router) = routed()?;
    let plan = preset()?;
    load(
        &network.alice,
        &installed_file(work.path(), &exported("nftables", &plan)?, "linux/marks-client.nft", &[])?,
    )?;
    let queues = installed_file(work.path(), &exported("tc", &plan)?, "linux/carillon-queues.sh", &[])?;
    let queues = queues.to_string_lossy().into_owned();
    for to in [network.bob.v4().to_string(), network.bob.v6().to_string()] {
        // Loading again replaces what is there.
        router.run("sh", &[&queues, "v2", "1000"])?;
        router.run("sh", &[&queues, "v2", "2000"])?;
        // Kernels with fq_codel would save small streams of the rest; this is about the order of classes.
        router.run("tc", &["qdisc", "replace", "dev", "v2", "parent", "1:90", "pfifo", "limit", "100"])?;
        // The program can mark IPv4 only; signaling is TCP in the plan, and TCP loses by slowing down.
        let streams = if to.contains(':') { &[STREAMS[0], STREAMS[1], STREAMS[3]][..] } else { &STREAMS[..] };
        let marked = losses(&network, work.path(), &to, streams)?;
        let order: Vec<f64> =
            [20000, 20040, 30024, 30000].iter().filter_map(|port| marked.get(port).copied()).collect();
        assert_eq!((order.len(), order[0]), (streams.len(), 0.0), "{marked:?}");
        assert!(order.is_sorted() && order[order.len() - 1] > 50.0, "{marked:?}");
    }
    network.alice.run("nft", &["delete", "table", "inet", "carillon_marks"])?;
    for to in [network.bob.v4().to_string(), network.bob.v6().to_string()] {
        let unmarked = losses(&network, work.path(), &to, &[STREAMS[0], STREAMS[3]])?;
        assert!(unmarked[&20000] > 50.0, "{unmarked:?}");
    }
    router.run("sh", &[&queues, "v2", "off"])?;
    let kinds = router.run("tc", &["qdisc", "show", "dev", "v2"])?;
    assert!(!kinds.contains("htb"), "{kinds}");
    Ok(())
}

fn losses(network: &Network, work: &Path, to: &str, streams: &[&str]) -> Result<Losses> {
    let log = work.join("count.log");
    let mut receiver = Process::start(&mut traffic(&network.bob, &["count", "9000", "6"]), &log)?;
    receiver.wait_for("bound", LIMIT)?;
    let sent = run(traffic(&network.alice, &["send", to, "9000", "3"]).args(streams))?;
    receiver.wait_for_success(LIMIT)?;
    let received = counts(&receiver.printed());
    let share = |(port, sent): (u16, u32)| {
        let lost = sent.saturating_sub(received.get(&port).copied().unwrap_or(0));
        (port, f64::from(lost) * 100.0 / f64::from(sent))
    };
    Ok(counts(&sent).into_iter().map(share).collect())
}

fn counts(printed: &str) -> BTreeMap<u16, u32> {
    let pair = |line: &str| line.split_once(' ').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    printed.lines().filter_map(pair).collect()
}

/// Names that would break out of a file if they were written as they are.
const HOSTILE: &str = "x\\\"; }\\n}\\nflush ruleset\\n$(touch /tmp/broken)`touch /tmp/broken`\\n[Service]\\nExecStart=/bin/false \\\\ # ' ";

#[test]
fn hostile_names_change_nothing_but_comments() -> Result<()> {
    if !possible("exports-linux", &["sh"])? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let network = Network::pair()?;
    // Networks that lie in each other: a set takes them only because it merges them.
    let servers =
        "networks = [\"10.0.0.0/8\", \"10.1.0.0/16\", \"10.1.0.7\", \"2001:db8::/32\", \"2001:db8:1::7\"]";
    let text = |name: &str| {
        let servers = format!("[servers]\n{servers}\n");
        format!("name = \"{name}\"\nbase = \"{PRESET}\"\n{servers}[sites.\"{name}\"]\nenabled = true\n")
    };
    let [hostile, harmless] = [HOSTILE, "x"].map(|name| Plan::from_toml(&text(name)));
    let (hostile, harmless) =
        (hostile.map_err(|e| format!("{e:?}"))?, harmless.map_err(|e| format!("{e:?}"))?);
    let site = hostile.sites().next().map(str::to_owned);
    for target in ["nftables", "tc", "firewall"] {
        let make = Target::named(target).ok_or("no such target")?.make;
        let files = make(&Order { plan: &hostile, scope: Scope { site: site.clone(), service: None } })?;
        let plain = make(&Order { plan: &harmless, scope: Scope::default() })?;
        assert_eq!(files.len(), plain.len());
        for (file, plain) in files.iter().zip(&plain) {
            assert_eq!(meaning(file)?, meaning(plain)?, "{}", file.path);
            foreign_reader_accepts(&network.alice, work.path(), file)?;
        }
    }
    assert!(!Path::new("/tmp/broken").exists());
    Ok(())
}

/// A file without its comments; Markdown and CSV as they are, for they hold no names but in the first lines.
fn meaning(file: &File) -> Result<Vec<String>> {
    let text = String::from_utf8(file.bytes.clone())?;
    let comment = |line: &&str| line.starts_with('#') || line.starts_with("Made by");
    Ok(text.lines().filter(|line| !comment(line)).map(str::to_owned).collect())
}

fn foreign_reader_accepts(host: &Host, work: &Path, file: &File) -> Result<()> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let path = work.join(name);
    std::fs::write(&path, &file.bytes)?;
    let path = path.to_string_lossy().into_owned();
    match name.rsplit('.').next() {
        Some("nft") => host.run("nft", &["-c", "-f", &path]).map(drop),
        Some("sh") => host.run("sh", &["-n", &path]).map(drop),
        Some("service") if installed("systemd-analyze") => unit_is_valid(work, &path),
        _ => Ok(()),
    }
}

/// The template as an instance; that the program is not installed here is no fault of the unit.
fn unit_is_valid(work: &Path, path: &str) -> Result<()> {
    let template = path.contains("template");
    let unit = work.join(if template { "carillon-queues@v0.service" } else { "carillon-marks.service" });
    let text = std::fs::read_to_string(path)?.replace("/usr/local/sbin/carillon-queues", "/bin/true");
    std::fs::write(&unit, text)?;
    let said = Command::new("systemd-analyze").arg("verify").arg(&unit).output()?;
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    Ok(())
}
