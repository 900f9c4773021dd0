//! More clients that others have made: aioice, pjsip and Janus (libnice) use the relays that a Front End gave their users, and no
//! other way. What they say comes whole, marked towards the inside, and the Edge knows whose it is.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::perimeter::{Perimeter, Relays, USERS};
use carillon_interop::phones::own::Own;
use carillon_interop::phones::pjsua2::{self, Pjsua2};
use carillon_interop::phones::{PATIENCE, assert_heard};
use carillon_interop::process::wait_until;
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible_with;
use carillon_interop::scenarios::webrtc::{Peer, connect};
use carillon_interop::site::DOMAIN;
use carillon_interop::tshark::{self, Marks};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);
/// Packets that aioice sends each way.
const PACKETS: u64 = 200;
/// Long enough to know a voice again.
const TALK: u32 = 5;
const EF: u8 = 46;

/// A door of the Edge: the port, and what is spoken there.
type Door = (u16, &'static str);
const DOORS: [Door; 4] = [(3479, "udp"), (3478, "udp"), (443, "tcp"), (5349, "tls")];

/// Hosts, servers, and a capture on bob's link.
struct Stage {
    perimeter: Perimeter,
    capture: Capture,
}

impl Stage {
    fn new(name: &str, programs: &[&str], modules: &[&str]) -> Result<Option<Stage>> {
        if !possible_with(name, &[&["curl", "openssl"], programs].concat(), modules)? {
            return Ok(None);
        }
        let perimeter = Perimeter::new("")?;
        let relay = perimeter.network.relay.as_ref().ok_or("no relay")?;
        // What is captured is what the wire would carry: no packet is longer than the link allows.
        relay.run("ethtool", &["-K", "v2", "tx-udp-segmentation", "off", "gso", "off"])?;
        let folder = perimeter.path("bob");
        std::fs::create_dir_all(&folder)?;
        let capture = Capture::start(&perimeter.network, &Point::link("bob"), &folder)?;
        Ok(Some(Stage { perimeter, capture }))
    }

    /// What a user of audio was given.
    fn given(&self, user: (&str, &str)) -> Result<Relays> {
        self.perimeter.relays(user, "&class=audio")
    }

    /// A directory of its own, where the certificate of the Edge is trusted.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.perimeter.path(name);
        std::fs::create_dir_all(&folder)?;
        std::fs::copy(self.perimeter.path("cert.pem"), folder.join("cert.pem"))?;
        Ok(folder)
    }

    /// Whose allocations there are, with how many of them.
    fn held(&self) -> Result<BTreeMap<String, usize>> {
        let mut held = BTreeMap::new();
        for name in self.perimeter.holders()? {
            *held.entry(name).or_default() += 1;
        }
        Ok(held)
    }

    /// Marks of all that was relayed to bob, and how much that was for the port with the most of it.
    fn relayed(self) -> Result<(Marks, u64)> {
        let bob = IpAddr::from(self.perimeter.network.bob.v4());
        let (edge, sip) = (self.perimeter.edge.external, 5060);
        let flows = tshark::marks(&self.capture.stop()?, &[])?;
        let relayed = flows.into_iter().filter(|(flow, _)| {
            flow.source.ip() == edge && flow.destination.ip() == bob && flow.source.port() != sip
        });
        let (mut sums, mut most) = (Marks::new(), 0);
        for (_, marks) in relayed {
            most = most.max(marks.values().sum());
            marks.into_iter().for_each(|(mark, count)| *sums.entry(mark).or_default() += count);
        }
        Ok((sums, most))
    }
}

/// Does something with each of these, all at the same time.
fn at_once<T: Sync>(all: &[T], each: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let each = &each;
        let threads: Vec<_> = all.iter().map(|one| scope.spawn(move || each(one))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
}

/// A user outside and one inside.
type Pair = ((&'static str, &'static str), (&'static str, &'static str));

fn pairs() -> [Pair; 3] {
    let [alice, bob, carol, dave, erin, frank] = USERS;
    [(alice, bob), (carol, dave), (erin, frank)]
}

#[test]
fn aioice_gets_everything_back_through_every_door() -> Result<()> {
    let Some(stage) = Stage::new("judges-aioice", &["python3", "ethtool"], &["aioice"])? else {
        return Ok(());
    };
    let given = stage.given(USERS[0])?;
    let edge = stage.perimeter.edge.external;
    let expected = DOORS.map(|(port, how)| match how {
        "tls" => format!("turns:{edge}:{port}?transport=tcp"),
        how => format!("turn:{edge}:{port}?transport={how}"),
    });
    assert_eq!(given.uris, expected);
    let opened = given.uris.iter().map(|uri| open(&stage, &given, uri)).collect::<Result<Vec<_>>>()?;
    assert_eq!(stage.held()?, [(format!("alice@{DOMAIN}"), DOORS.len())].into());
    let mut ends = opened;
    std::thread::scope(|scope| -> Result<()> {
        let threads: Vec<_> = ends.iter_mut().map(|(alice, _)| scope.spawn(|| talk(alice))).collect();
        for (thread, uri) in threads.into_iter().zip(&given.uris) {
            let back = thread.join().map_err(|_| "a thread panicked")?;
            assert_eq!(back.map_err(|error| format!("{uri}: {error}"))?, PACKETS, "{uri}");
        }
        Ok(())
    })?;
    for (mut alice, mut bob) in ends {
        alice.ask(json!({ "do": "close" }))?;
        bob.ask(json!({ "do": "close" }))?;
    }
    wait_until("allocations given back", LIMIT, || Ok(stage.held()?.is_empty()))?;
    let (marks, most) = stage.relayed()?;
    assert!(marks.keys().eq([&EF]) && most >= PACKETS, "{marks:?}");
    Ok(())
}

/// One end outside, that has nothing but a relay, and one inside, that says everything back.
fn open(stage: &Stage, given: &Relays, uri: &str) -> Result<(Peer, Peer)> {
    let folder = stage.folder(&uri.replace([':', '/'], "-"))?;
    let network = &stage.perimeter.network;
    let start = |host, log: &str| Peer::start("aioice-peer.py", host, &folder.join(log));
    let (mut alice, mut bob) = (start(&network.alice, "alice.log")?, start(&network.bob, "bob.log")?);
    let relay = json!({ "uri": uri, "username": given.name, "password": given.password });
    let of_alice = alice.ask(json!({ "do": "gather", "relay": relay }))?;
    assert_eq!(of_alice["kinds"], json!(["relay"]), "{uri}: {of_alice}");
    let of_bob = bob.ask(json!({ "do": "gather" }))?;
    alice.ask(json!({ "do": "connect", "remote": of_bob }))?;
    bob.ask(json!({ "do": "connect", "remote": of_alice }))?;
    Ok((alice, bob))
}

fn talk(alice: &mut Peer) -> Result<u64> {
    let back = alice.ask(json!({ "do": "talk", "packets": PACKETS }))?;
    back.as_u64().ok_or_else(|| format!("{back} came back").into())
}

#[test]
fn pjsip_and_our_phone_hear_each_other_through_udp_tcp_and_tls() -> Result<()> {
    let Some(stage) = Stage::new("judges-pjsip", &["python3", "ethtool"], &[pjsua2::MODULE])? else {
        return Ok(());
    };
    let calls: Vec<_> = pairs().into_iter().zip([DOORS[0], DOORS[2], DOORS[3]]).collect();
    at_once(&calls, |(pair, door)| {
        call_by_pjsip(&stage, *pair, *door).map_err(|error| format!("{door:?}: {error}").into())
    })?;
    let (marks, most) = stage.relayed()?;
    assert!(marks.keys().eq([&EF]) && most >= u64::from(TALK) * 50, "{marks:?}");
    Ok(())
}

/// Who is outside calls who is inside.
fn call_by_pjsip(stage: &Stage, (outer, inner): Pair, (port, transport): Door) -> Result<()> {
    let Perimeter { network, edge, .. } = &stage.perimeter;
    let work = stage.folder(outer.0)?;
    let outer_account = stage.perimeter.account(outer, edge.external);
    let inner_account = stage.perimeter.account(inner, edge.internal);
    let given = stage.given(outer)?;
    let server = format!("{}:{port}", edge.external);
    let relay = pjsua2::Relay { server: &server, transport, login: given.login() };
    let mut own = Own::start(&network.bob, &inner_account, &["--answer", "--once", "--json"], &work)?;
    let mut pjsip = Pjsua2::sign_in(&network.alice, &outer_account, &relay, &work)?;
    pjsip
        .call(&inner_account.address(), TALK)
        .map_err(|error| format!("{error}; {}", own.process.printed()))?;
    let held = stage.held()?;
    assert!(held.get(&format!("{}@{DOMAIN}", outer.0)) >= Some(&1), "{held:?}");
    pjsip.hang_up()?;
    own.process.wait_for_success(PATIENCE)?;
    assert_heard("ours", own.heard(), &outer_account)?;
    assert_heard("pjsip", pjsip.heard(), &inner_account)?;
    assert_relayed_there(&own)
}

/// Our phone knows that the other one was behind a relay.
fn assert_relayed_there(own: &Own) -> Result<()> {
    let report: Value = serde_json::from_str(&own.process.printed())?;
    let path = &report["calls"][0]["paths"][0];
    let ends = ["local", "remote"].map(|end| path[end]["kind"].as_str().unwrap_or_default());
    if ends == ["host", "relay"] { Ok(()) } else { Err(format!("{report:#}").into()) }
}

#[test]
fn janus_says_back_what_aiortc_said_through_udp_and_tcp() -> Result<()> {
    let Some(stage) = Stage::new("judges-janus", &["python3", "janus", "ethtool"], &["aiortc"])? else {
        return Ok(());
    };
    let calls: Vec<_> = pairs().into_iter().zip([DOORS[0], DOORS[2]]).collect();
    at_once(&calls, |((outer, _), (port, how))| {
        let url = format!("turn:{}:{port}?transport={how}", stage.perimeter.edge.external);
        echo_of_janus(&stage, *outer, &url).map_err(|error| format!("{url}: {error}").into())
    })?;
    let (marks, most) = stage.relayed()?;
    assert!(marks.keys().eq([&EF]) && most > 100, "{marks:?}");
    Ok(())
}

/// Two seconds of a tone come back.
fn echo_of_janus(stage: &Stage, outer: (&str, &str), url: &str) -> Result<()> {
    let (given, folder) = (stage.given(outer)?, stage.folder(outer.0)?);
    let network = &stage.perimeter.network;
    let mut janus = Peer::start("janus-peer.py", &network.alice, &folder.join("janus.log"))?;
    let mut bob = Peer::start("aiortc-peer.py", &network.bob, &folder.join("bob.log"))?;
    let relay = json!([{ "urls": url, "username": given.name, "credential": given.password }]);
    connect((&mut bob, json!({})), (&mut janus, json!({ "iceServers": relay })))?;
    let mut heard = json!(null);
    let outcome = wait_until("two seconds of the tone", LIMIT, || {
        heard = bob.ask(json!({ "do": "heard" }))?;
        Ok(heard["with_tone"].as_u64() > Some(100))
    });
    outcome.map_err(|error| format!("{error}: {heard}"))?;
    let held = stage.held()?;
    assert!(held.get(&format!("{}@{DOMAIN}", outer.0)) >= Some(&1), "{held:?}");
    bob.ask(json!({ "do": "close" }))?;
    janus.ask(json!({ "do": "close" })).map(drop)
}
