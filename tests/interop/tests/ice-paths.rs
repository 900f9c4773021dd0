//! Calls of Carillon's phones through NATs and firewalls: which way each takes, that speech arrives, and what the capture says.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::border::{Border, Course, Outcome, Router, Secrecy};
use carillon_interop::phones::{Account, PATIENCE, assert_heard, baresip::Baresip, own::Own};
use carillon_interop::process::wait_until;
use carillon_interop::scenario::possible;
use carillon_interop::servers::carillon::{Carillon, Settings};
use carillon_interop::site::Site;
use carillon_interop::verdict::{FlowReport, verify_with};
use serde_json::{Value, json};

/// Where the Edge is.
const EDGE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 20, 0, 30));
/// SIP may leave, over TCP.
const SIP: &str = "tcp dport 5060 accept";
const ONLY_443: &[&str] = &["iifname in0 tcp dport 443 accept"];
const NO_UDP: &[&str] = &["iifname in0 meta l4proto tcp accept"];
/// Between the sites, and to the Edge, only SIP and the plan's range of audio.
const PLANNED: &[&str] = &[
    SIP,
    "ip saddr 10.20.1.0/24 ip daddr 10.20.2.0/24 udp sport 50000-50019 udp dport 50000-50019 accept",
    "ip saddr 10.20.2.0/24 ip daddr 10.20.1.0/24 udp sport 50000-50019 udp dport 50000-50019 accept",
];
/// Between the sites nothing at all; the Edge is reached.
const NO_NEIGHBOUR: &[&str] = &["iifname in0 ip daddr 10.20.0.0/24 accept"];
/// The other site may begin, and is answered.
const NEIGHBOUR_FIRST: &[&str] = &["iifname in0 ip daddr 10.20.0.0/24 accept", "iifname v0 accept"];
/// Of the Edge, nothing but the port that every class may use.
const ONLY_3478: &[&str] = &[SIP, "ip daddr 10.20.0.30 udp dport 3478 accept"];
/// The Edge is reached, and between the sites the VPN.
const ONLY_VPN: &[&str] = &["iifname in0 ip daddr 10.20.0.0/24 accept", "udp dport 1194 accept"];

/// Borders that are called across at the same time: a call mostly waits.
const LANES: usize = 3;

/// Local and remote kind, and how the own relay is spoken to.
type Way = (&'static str, &'static str, Option<&'static str>);

struct Topology {
    name: &'static str,
    routers: [Router; 2],
    /// Where SIP is spoken.
    port: u16,
    alice: Way,
    bob: Way,
    /// What the verdict advises; `None` where all that it could see is TLS.
    advice: Option<&'static [&'static str]>,
    /// Whether there is a VPN between the sites, which is captured.
    vpn: bool,
}

const TOPOLOGIES: [Topology; 12] = [
    Topology {
        name: "direct",
        routers: [Router::Open; 2],
        port: 5060,
        alice: ("host", "host", None),
        bob: ("host", "host", None),
        advice: Some(&[]),
        vpn: false,
    },
    Topology {
        name: "one NAT",
        routers: [Router::Cone, Router::Open],
        port: 5060,
        alice: ("srflx", "host", None),
        bob: ("host", "srflx", None),
        advice: Some(&[]),
        vpn: false,
    },
    Topology {
        name: "two cone NATs",
        routers: [Router::Cone; 2],
        port: 5060,
        alice: ("srflx", "srflx", None),
        bob: ("srflx", "srflx", None),
        advice: Some(&[]),
        vpn: false,
    },
    Topology {
        name: "two symmetric NATs",
        routers: [Router::Symmetric; 2],
        port: 5060,
        alice: ("prflx", "relay", None),
        bob: ("relay", "prflx", Some("UDP")),
        advice: Some(&[]),
        vpn: false,
    },
    Topology {
        name: "no UDP",
        routers: [Router::Firewall(NO_UDP); 2],
        port: 5060,
        alice: ("relay", "relay", Some("TCP")),
        bob: ("relay", "relay", Some("TCP")),
        advice: Some(&["avoidable-relaying", "tcp-fallback"]),
        vpn: false,
    },
    Topology {
        name: "only 443",
        routers: [Router::Firewall(ONLY_443); 2],
        port: 443,
        alice: ("relay", "relay", Some("TCP")),
        bob: ("relay", "relay", Some("TCP")),
        advice: Some(&["avoidable-relaying", "tcp-fallback"]),
        vpn: false,
    },
    Topology {
        name: "the plan's range is open",
        routers: [Router::Firewall(PLANNED); 2],
        port: 5060,
        alice: ("host", "host", None),
        bob: ("host", "host", None),
        advice: Some(&[]),
        vpn: false,
    },
    Topology {
        name: "the plan's range is closed",
        routers: [Router::Firewall(NO_NEIGHBOUR); 2],
        port: 5060,
        alice: ("host", "relay", None),
        bob: ("relay", "host", Some("UDP")),
        advice: Some(&["avoidable-relaying"]),
        vpn: false,
    },
    Topology {
        name: "only one side may begin",
        routers: [Router::Open, Router::Firewall(NEIGHBOUR_FIRST)],
        port: 5060,
        alice: ("host", "host", None),
        bob: ("host", "host", None),
        advice: Some(&[]),
        vpn: false,
    },
    Topology {
        name: "only one direction passes",
        routers: [Router::Open, Router::OneWay],
        port: 5060,
        alice: ("host", "relay", None),
        bob: ("relay", "host", Some("UDP")),
        advice: Some(&["avoidable-relaying"]),
        vpn: false,
    },
    Topology {
        name: "the public range is closed",
        routers: [Router::Firewall(ONLY_3478); 2],
        port: 5060,
        alice: ("relay", "relay", Some("UDP")),
        bob: ("relay", "relay", Some("UDP")),
        advice: Some(&["avoidable-relaying"]),
        vpn: false,
    },
    Topology {
        name: "a VPN",
        routers: [Router::Firewall(ONLY_VPN); 2],
        port: 5060,
        alice: ("host", "host", None),
        bob: ("host", "host", None),
        advice: Some(&[]),
        vpn: true,
    },
];

const ONLY_443_BY_TLS: Topology = Topology {
    name: "only 443 and TLS",
    routers: [Router::Firewall(ONLY_443); 2],
    port: 443,
    alice: ("relay", "relay", Some("TLS")),
    bob: ("relay", "relay", Some("TLS")),
    advice: None,
    vpn: false,
};

#[test]
fn each_topology_has_its_way_and_speech_arrives() -> Result<()> {
    if !possible("ice-paths", &["nft", "conntrack", "tcpdump", "openssl", "ethtool"])? {
        return Ok(());
    }
    std::thread::scope(|scope| {
        let lane = |lane| TOPOLOGIES.iter().skip(lane).step_by(LANES);
        let mut lanes: Vec<_> =
            (0..LANES).map(|at| scope.spawn(move || in_turn(Secrecy::Clear, lane(at)))).collect();
        lanes.push(scope.spawn(|| in_turn(Secrecy::Tls, [&ONLY_443_BY_TLS].into_iter())));
        lanes.push(scope.spawn(a_firewall_that_closes_is_named));
        lanes.into_iter().try_for_each(|lane| lane.join().map_err(|_| "a thread panicked")?)
    })
}

/// One after the other, across one border.
fn in_turn(secrecy: Secrecy, topologies: impl Iterator<Item = &'static Topology>) -> Result<()> {
    let border = Border::new(secrecy)?;
    for topology in topologies {
        border.routers(topology.routers[0], topology.routers[1])?;
        let vpn = topology.vpn.then(|| border.vpn()).transpose()?;
        let course = Course { name: topology.name, port: topology.port, seconds: 5, in_vpn: topology.vpn };
        let outcome = border.call(&course, || Ok(()))?;
        drop(vpn);
        topology.check(&outcome).map_err(|error| format!("{}: {error}", topology.name))?;
    }
    Ok(())
}

/// SIP goes on, media does not: consent ends the call, and the report says when the other side stopped, and why that may be.
fn a_firewall_that_closes_is_named() -> Result<()> {
    let border = Border::new(Secrecy::Clear)?;
    border.routers(Router::Open, Router::Open)?;
    let course = Course { name: "a firewall that closes", port: 5060, seconds: 60, in_vpn: false };
    let outcome = border.call(&course, || {
        let received = ["/sys/class/net/v0/statistics/rx_packets"];
        wait_until("three seconds of speech", PATIENCE, || {
            Ok(border.alice.run("cat", &received)?.trim().parse::<u64>()? > 250)
        })?;
        border.routers(Router::Firewall(NO_UDP), Router::Firewall(NO_UDP))
    })?;
    for (who, report) in [("alice", &outcome.alice), ("bob", &outcome.bob)] {
        let faults = report["faults"].to_string();
        let lasted = report["seconds"].as_f64().ok_or("no length")?;
        if !faults.contains("the other side stopped at ") || lasted > 50.0 {
            return Err(format!("{who}: {report:#}").into());
        }
    }
    Ok(())
}

/// The published failure of federated calls: signaling works, no route leads from the Edge to its clients, and neither is lent
/// anything.
#[test]
fn without_a_route_from_the_edge_a_call_says_that_both_ends_are_internal() -> Result<()> {
    if !possible("ice-both-internal", &["nft", "conntrack", "tshark"])? {
        return Ok(());
    }
    let border = Border::new(Secrecy::Clear)?;
    border.routers(Router::Firewall(NO_NEIGHBOUR), Router::Firewall(NO_NEIGHBOUR))?;
    let edge = &border.site.phones[2];
    for network in ["10.20.1.0/24", "10.20.2.0/24"] {
        edge.run("ip", &["route", "del", network])?;
    }
    let course = Course { name: "both internal", port: 5060, seconds: 60, in_vpn: false };
    let outcome = border.call(&course, || Ok(()))?;
    // Whoever notices first hangs up, and the other may not have come to an end with its own checks.
    let reports = [&outcome.alice, &outcome.bob];
    assert!(reports.iter().all(|report| report["good"] != true), "{reports:#?}");
    let says = |report: &&Value| {
        let said = report["faults"].to_string();
        said.contains("both endpoints are internal") && said.contains("carillon edge check")
    };
    assert!(reports.iter().any(says), "{reports:#?}");
    Ok(())
}

/// baresip's agent of ICE is one of others (libre), and uses a port of its own for RTCP.
#[test]
fn baresip_finds_the_way_to_us_and_we_to_it() -> Result<()> {
    if !possible("ice-with-baresip", &["baresip"])? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let site = Site::with_phones(&["a", "b"])?;
    let users = [("alice", "wonderland-7"), ("bob", "builder-8")];
    let server = Carillon::start(&site, &Settings { users: &users, digest: "md5", more: "" }, work.path())?;
    let account = |user: usize| Account {
        user: users[user].0.to_owned(),
        password: users[user].1.to_owned(),
        server: server.address("tcp"),
        transport: "tcp",
        ca: server.ca.clone(),
        codec: "PCMU/8000/1",
        srtp: false,
        ports: 50000,
        ice: true,
    };
    let (alice, bob) = (account(0), account(1));
    let mut baresip = Baresip::sign_in(&site.phones[0], &alice, work.path())?;
    let call = ["--to", &plain(&alice), "--duration", "5", "--json"];
    let mut caller = Own::start(&site.phones[1], &bob, &call, work.path())?;
    caller.process.wait_for_success(PATIENCE)?;
    assert_direct("as caller", &caller, &alice)?;
    let mut callee = Own::start(&site.phones[1], &bob, &["--answer", "--once", "--json"], work.path())?;
    wait_until("bob signed in", PATIENCE, || Ok(server.counted("registrations")? == 2))?;
    baresip.call(&bob.address())?;
    std::thread::sleep(Duration::from_secs(5));
    baresip.hang_up()?;
    callee.process.wait_for_success(PATIENCE)?;
    assert_direct("as callee", &callee, &alice)
}

/// Without the scheme, as our phone wants it.
fn plain(account: &Account) -> String {
    account.address().trim_start_matches("sip:").to_owned()
}

fn assert_direct(role: &str, own: &Own, speaker: &Account) -> Result<()> {
    let report: Value = serde_json::from_str(&own.process.printed())?;
    let call = &report["calls"][0];
    let paths: Vec<&str> = call["paths"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|path| path["component"].as_str())
        .collect();
    let host = way(call)
        .is_some_and(|(local, remote, relay)| local == "host" && remote == "host" && relay.is_none());
    if !host || paths != ["rtp", "rtcp"] {
        return Err(format!("{role}: {call:#}").into());
    }
    assert_heard(role, own.heard(), speaker)
}

impl Topology {
    fn check(&self, outcome: &Outcome) -> Result<()> {
        for (who, report, expected) in
            [("alice", &outcome.alice, self.alice), ("bob", &outcome.bob, self.bob)]
        {
            let found = way(report);
            if found.as_ref().map(|(local, remote, relay)| (&**local, &**remote, relay.as_deref()))
                != Some(expected)
            {
                return Err(format!("{who} takes {found:?}, not {expected:?}: {report:#}").into());
            }
            if report["good"] != true {
                return Err(format!("{who}: {}", report["faults"]).into());
            }
            let flags = if self.vpn { json!(["media-in-vpn"]) } else { json!([]) };
            if report["flags"] != flags {
                return Err(format!("{who} flags {}, not {flags}", report["flags"]).into());
            }
        }
        let Some(advice) = self.advice else { return Ok(()) };
        let verdict = verify_with(&outcome.capture, &outcome.plan, &["--role", &format!("edge={EDGE}")])?;
        if self.name == "direct" {
            // The Edge is asked and probed, and media never goes there.
            let edge =
                |flow: &FlowReport| flow.flow().source.ip() == EDGE || flow.flow().destination.ip() == EDGE;
            assert!(!verdict.flows.iter().any(|flow| flow.ssrc.is_some() && edge(flow)), "media at the Edge");
        }
        let causes: Vec<&str> = verdict.findings.iter().map(|finding| finding.cause.as_str()).collect();
        if verdict.verdict != "pass" || causes != advice {
            return Err(format!("judged {} {:?}", verdict.verdict, verdict.findings).into());
        }
        Ok(())
    }
}

fn way(report: &Value) -> Option<(String, String, Option<String>)> {
    let path = &report["paths"][0];
    let kind = |end: &str| path[end]["kind"].as_str().map(str::to_owned);
    Some((kind("local")?, kind("remote")?, path["relay"].as_str().map(str::to_owned)))
}
