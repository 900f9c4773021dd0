//! Relayed ports of calls: open while a way is looked for, and only those that a way needs stay open once it is chosen.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use carillon_interop::Result;
use carillon_interop::network::Host;
use carillon_interop::perimeter::{Perimeter, USERS};
use carillon_interop::phones::PATIENCE;
use carillon_interop::phones::own::Own;
use carillon_interop::process::wait_until;
use carillon_interop::scenario::{possible, possible_with};
use carillon_interop::scenarios::webrtc::{Peer, connect};
use carillon_interop::site::DOMAIN;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(20);
/// How soon after the choice what it does not need is given back (row 109 of the requirements).
const SOON: Duration = Duration::from_secs(5);
/// Longer than that, with room for a slow machine.
const SECONDS: &str = "10";

/// Relayed ports by the Edge's own list, which must be the kernel's: what is open inside the range.
fn open(stage: &Perimeter) -> Result<Vec<String>> {
    let relay = stage.network.relay.as_ref().ok_or("no relay")?;
    let of_kernel = || -> Result<BTreeSet<SocketAddr>> {
        let listed = relay.run("ss", &["-lnupt", "-H"])?;
        let own = format!("pid={},", stage.edge.id());
        let ours = listed.lines().filter(|line| line.contains(&own));
        let addresses = ours.filter_map(|line| line.split_whitespace().nth(4)?.parse::<SocketAddr>().ok());
        Ok(addresses.filter(|address| (50000..=59999).contains(&address.port())).collect())
    };
    let before = of_kernel()?;
    let rows = stage.edge.ports()?;
    let lent = rows.iter().filter(|row| !row["allocation"].is_null());
    let lent: Vec<(SocketAddr, String)> = lent
        .filter_map(|row| {
            Some((row["address"].as_str()?.parse().ok()?, row["allocation"]["user"].as_str()?.to_owned()))
        })
        .collect();
    // Some may come or go between the two looks: what was the same before and after must be in the list.
    let (listed, after) = (lent.iter().map(|(address, _)| *address).collect(), of_kernel()?);
    if before == after && before != listed {
        return Err(format!("the kernel has {before:?}, the Edge lists {listed:?}").into());
    }
    let mut users: Vec<String> = lent.into_iter().map(|(_, user)| user).collect();
    users.sort();
    Ok(users)
}

/// Packets that have come to a host.
fn received(host: &Host) -> Result<u64> {
    Ok(host.run("cat", &["/sys/class/net/v0/statistics/rx_packets"])?.trim().parse()?)
}

/// alice, outside, calls bob, inside: whose ports are open from when a way was chosen on.
fn call(stage: &Perimeter, expected: &[&str]) -> Result<()> {
    let (alice, bob) = (&stage.network.alice, &stage.network.bob);
    let accounts =
        [stage.account(USERS[0], stage.edge.external), stage.account(USERS[1], stage.edge.internal)];
    let take = ["--answer", "--once", "--ring", "0", "--events"];
    let mut callee = Own::start(bob, &accounts[1], &take, stage.work())?;
    callee.process.wait_for("signed-in", PATIENCE)?;
    assert_eq!(open(stage)?, [""; 0], "nobody calls");
    let to = format!("bob@{DOMAIN}");
    let before = received(bob)?;
    let mut caller =
        Own::start(alice, &accounts[0], &["--to", &to, "--duration", SECONDS, "--events"], stage.work())?;
    let both = ["alice", "bob"].map(|user| format!("{user}@{DOMAIN}"));
    wait_until("a port for each of them", LIMIT, || Ok(open(stage)? == both))?;
    // Media comes before the choice is made, which is therefore later than this.
    wait_until("speech", LIMIT, || Ok(received(bob)? > before + 50))?;
    let talking = Instant::now();
    let expected: Vec<String> = expected.iter().map(|user| format!("{user}@{DOMAIN}")).collect();
    wait_until("ports given back", SOON, || Ok(open(stage)? == expected))
        .map_err(|error| format!("{error}: {:?}", open(stage)))?;
    let took = talking.elapsed();
    // The call goes on, and needs no more.
    let at = received(bob)?;
    wait_until("more speech", LIMIT, || Ok(received(bob)? > at + 100))?;
    assert_eq!(open(stage)?, expected, "given back after {took:?}");
    caller.process.wait_for_success(PATIENCE)?;
    callee.process.wait_for_success(PATIENCE)?;
    wait_until("the last port closed", SOON, || Ok(open(stage)?.is_empty()))
}

#[test]
fn a_direct_call_leaves_no_port_open_and_a_relayed_one_the_one_it_uses() -> Result<()> {
    if !possible("edge-gives-back", &["openssl", "ss"])? {
        return Ok(());
    }
    let stage = Perimeter::new("")?;
    let relay = stage.network.relay.as_ref().ok_or("no relay")?;
    for host in [&stage.network.alice, &stage.network.bob] {
        host.disable_v6()?;
    }
    for (forwards, expected) in [("1", &[][..]), ("0", &["alice"])] {
        relay.run("sysctl", &["-qw", &format!("net.ipv4.ip_forward={forwards}")])?;
        call(&stage, expected).map_err(|error| format!("forwarding {forwards}: {error}"))?;
    }
    Ok(())
}

/// Nothing tells a relay which way was chosen: who does not give back keeps its ports for as long as it renews them, and no longer
/// than its call.
#[test]
fn aiortc_keeps_ports_that_it_does_not_use_until_its_call_ends() -> Result<()> {
    if !possible_with("edge-gives-back-aiortc", &["python3", "openssl", "ss", "curl"], &["aiortc"])? {
        return Ok(());
    }
    let stage = Perimeter::new("")?;
    stage.network.relay.as_ref().ok_or("no relay")?.run("sysctl", &["-qw", "net.ipv4.ip_forward=1"])?;
    let start = |host, log: &str| Peer::start("aiortc-peer.py", host, &stage.path(log));
    let (mut alice, mut bob) =
        (start(&stage.network.alice, "alice.log")?, start(&stage.network.bob, "bob.log")?);
    let servers = |user: (&str, &str)| -> Result<_> {
        let given = stage.relays(user, "&class=audio")?;
        let url = given.uris.first().ok_or("no relay was given")?;
        let server = json!({ "urls": url, "username": given.name, "credential": given.password });
        Ok(json!({ "iceServers": [server] }))
    };
    connect((&mut alice, servers(USERS[0])?), (&mut bob, servers(USERS[1])?))?;
    let before = stage.edge.relayed()?;
    std::thread::sleep(SOON);
    let kept: Vec<String> = ["alice", "bob"].map(|user| format!("{user}@{DOMAIN}")).into();
    assert_eq!(open(&stage)?, kept);
    assert_eq!(stage.edge.relayed()?, before, "media goes straight");
    alice.ask(json!({ "do": "close" }))?;
    bob.ask(json!({ "do": "close" }))?;
    wait_until("ports closed", SOON, || Ok(open(&stage)?.is_empty()))
}
