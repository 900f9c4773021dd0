//! Two phones, and several in a conference that somebody else mixes, with and without an Edge in between: it carries their signaling,
//! their media, or both, and what comes out is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::names::Names;
use carillon_interop::network::{Host, INTERFACE, Network};
use carillon_interop::phones::own::Own;
use carillon_interop::phones::pjsua2::{self, Pjsua2};
use carillon_interop::phones::{Account, PATIENCE, assert_heard};
use carillon_interop::process::wait_until;
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible_with;
use carillon_interop::servers::access::{CLIENTS, Certificates, Domain, Server, TLS};
use carillon_interop::site::DOMAIN;
use carillon_interop::speech::similarity;
use carillon_interop::tshark;
use carillon_interop::verdict::verify_with;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);
const USERS: &[(&str, &str)] = &[
    ("alice", "wonderland-7"),
    ("bob", "builder-8"),
    ("carol", "singer-9"),
    ("dave", "diver-10"),
    ("meeting", "roundtable-11"),
];
/// Where the Front End is, the phone or the conference inside, and both sides of the Edge.
const FRONT: [u8; 4] = [10, 20, 2, 20];
const INSIDE: [u8; 4] = [10, 20, 4, 40];
const INTERNAL: [u8; 4] = [10, 20, 2, 1];
const EXTERNAL: [u8; 4] = [10, 20, 1, 1];
const ACCESS: [u8; 4] = [10, 20, 1, 2];
/// The first port of audio of a conference in the plan.
const MIXER: u16 = 49152;
const EF: u8 = 46;
const CS3: u8 = 24;
/// How long a call is; that many packets of 20 ms, less those at its ends, come from everybody.
const SECONDS: &str = "6";
const PACKETS: u64 = 200;
/// The same in a conference, which is silent until everybody's way is found; and how much of it is the other one at least.
const LONGER: &str = "9";
const MOST_OF_IT: f64 = 0.75;
/// How tshark finds media without a session description that it could read.
const HEURISTICS: [&str; 4] = ["--enable-heuristic", "rtp_udp", "--enable-heuristic", "rtp_stun"];

/// What the Edge carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Carried {
    Nothing,
    Signaling,
    Payload,
    Both,
}

impl Carried {
    fn has_signaling(self) -> bool {
        matches!(self, Carried::Signaling | Carried::Both)
    }

    fn has_payload(self) -> bool {
        matches!(self, Carried::Payload | Carried::Both)
    }

    /// What passes the host that the Edge is on without the Edge: phones outside are on v1 and v3.
    fn walls(self) -> impl Iterator<Item = &'static str> {
        const SIP: &[&str] = &["iifname { v1, v3 } meta l4proto tcp drop"];
        const MEDIA: &[&str] =
            &["iifname { v1, v3 } meta l4proto udp drop", "oifname { v1, v3 } meta l4proto udp drop"];
        let sip = if self.has_signaling() { SIP } else { &[] };
        sip.iter().chain(if self.has_payload() { MEDIA } else { &[] }).copied()
    }
}

/// Who talks with whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Model {
    /// alice outside, bob inside.
    PeerToPeer,
    /// alice and carol, both outside.
    BothOutside,
    /// The same, in a conference inside.
    Conference,
}

const MODELS: [Model; 3] = [Model::PeerToPeer, Model::BothOutside, Model::Conference];

/// What users, and whoever looks at the network inside, get of a call.
#[derive(PartialEq, Eq, Debug)]
struct Outcome {
    codecs: BTreeSet<String>,
    /// Whether every end took a port that its plan gives it.
    in_range: bool,
    /// Streams that were captured inside, and the marks on their packets.
    streams: usize,
    marks: BTreeSet<u8>,
    /// Packets that somebody missed: those inside by tshark, those outside by the phones.
    lost: u64,
    /// What `carillon verify` says of the capture.
    verdict: String,
}

impl Outcome {
    fn expected(model: Model) -> Outcome {
        let streams = match model {
            Model::PeerToPeer => 2,
            Model::BothOutside => 0,
            Model::Conference => 4,
        };
        Outcome {
            codecs: ["PCMU".to_owned()].into(),
            in_range: true,
            streams,
            marks: if streams > 0 { [EF].into() } else { BTreeSet::new() },
            lost: 0,
            // Where nothing passes inside, there is nothing to judge.
            verdict: if streams > 0 { "pass" } else { "unjudged" }.to_owned(),
        }
    }
}

/// alice and carol outside, on networks of their own; a Front End inside, and a host for a phone or a conference.
struct Stage {
    network: Network,
    carol: Host,
    inside: Host,
    certificates: Certificates,
    front: Server,
    edge: Server,
    carried: Carried,
    _names: Names,
    work: tempfile::TempDir,
}

impl Stage {
    fn new(carried: Carried) -> Result<Stage> {
        let (work, network) = (tempfile::tempdir()?, Network::with_relay()?);
        let (carol, inside) = (network.attach("c", 3, 30)?, network.attach("i", INSIDE[2], INSIDE[3])?);
        let host = network.relay.as_ref().ok_or("no host between")?;
        host.run("ip", &["addr", "add", "10.20.1.2/24", "dev", "v1"])?;
        host.run("sysctl", &["-qw", "net.ipv4.ip_forward=1"])?;
        host.run("nft", &["add table inet wall"])?;
        host.run("nft", &["add chain inet wall way { type filter hook forward priority 0; }"])?;
        for rule in carried.walls() {
            host.run("nft", &[&format!("add rule inet wall way {rule}")])?;
        }
        // What is captured is what the wire would carry.
        host.run("ethtool", &["-K", "v4", "tx-udp-segmentation", "off", "gso", "off"])?;
        [&network.alice, &carol, &inside].into_iter().try_for_each(Host::disable_v6)?;
        let certificates = Certificates::new(&work.path().join("authority"))?;
        let domain = Domain {
            name: DOMAIN,
            front: FRONT.into(),
            internal: INTERNAL.into(),
            external: EXTERNAL.into(),
            access: ACCESS.into(),
            inside: &["10.20.2.0/24", "10.20.4.0/24"],
            users: USERS,
            partners: &[],
        };
        std::fs::write(work.path().join("relay-secret"), "a secret of the test\n")?;
        let relay = "[relay]\nservers = [\"10.20.1.1\"]\nsecret = \"relay-secret\"\n";
        let relay = if carried.has_payload() { relay } else { "" };
        let front = domain.front_end_of(&[domain], relay, &network.bob, &certificates, work.path())?;
        let more = "service.drain = 1\n[credentials]\nsecrets = [\"relay-secret\"]\n";
        let edge = domain.edge_of(&[domain], more, host, &certificates, work.path())?;
        let server = IpAddr::from(if carried.has_signaling() { ACCESS } else { FRONT });
        let name = format!("{DOMAIN}={server}");
        let mut names = Names::start(host, "10.20.1.1", &[&name], &[&network.alice], work.path())?;
        names.asked_by(&carol, "10.20.3.1")?;
        Ok(Stage { network, carol, inside, certificates, front, edge, carried, _names: names, work })
    }

    fn account(&self, user: &str, outside: bool) -> Result<Account> {
        let (name, password) = USERS.iter().find(|(name, _)| *name == user).ok_or("no such user")?;
        let tls = if self.carried.has_signaling() { CLIENTS } else { TLS };
        let port = if outside { tls } else { 5060 };
        Ok(Account {
            user: (*name).to_owned(),
            password: (*password).to_owned(),
            // Outside the name of the domain leads to the server.
            server: (IpAddr::from(FRONT), port).into(),
            transport: if outside { "tls" } else { "tcp" },
            ca: self.certificates.ca(),
            codec: "PCMU/8000/1",
            srtp: false,
            ice: true,
            ports: MIXER,
        })
    }

    /// Starts a phone, and waits until it has signed in.
    fn signed_in<T>(&self, user: &str, start: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = start()?;
        wait_until(&format!("{user} signing in"), LIMIT, || self.front.knows(user))?;
        Ok(started)
    }

    fn run(&self, model: Model) -> Result<Outcome> {
        let work = self.work.path().join(format!("{model:?}"));
        std::fs::create_dir_all(&work)?;
        let point = Point { interface: INTERFACE.to_owned(), ..Point::link("inside") };
        let capture = Capture::on(&self.inside, &point, &work)?;
        let relayed = self.relayed()?;
        let reports = match model {
            Model::PeerToPeer => self.pair((&self.inside, "bob", false), "dave", &work)?,
            Model::BothOutside => self.pair((&self.carol, "carol", true), "dave", &work)?,
            Model::Conference => self.conference(&work)?,
        };
        let relayed = self.relayed()? - relayed;
        if (relayed > PACKETS) != self.carried.has_payload() {
            return Err(format!("{relayed} packets took the relay").into());
        }
        self.outcome(model, &reports, &capture.stop()?)
    }

    fn relayed(&self) -> Result<u64> {
        self.edge.status()?["relayed"]["packets_to_peers"]
            .as_u64()
            .ok_or_else(|| "no packets_to_peers".into())
    }

    /// `user` of alice's host calls who waits at the other one.
    fn pair(
        &self,
        (host, callee, outside): (&Host, &str, bool),
        user: &str,
        work: &Path,
    ) -> Result<Vec<Value>> {
        let (theirs, ours) = (self.account(callee, outside)?, self.account(user, true)?);
        let take = ["--answer", "--once", "--ring", "0", "--json"];
        let mut waiting = self.signed_in(callee, || Own::start(host, &theirs, &take, work))?;
        let to = format!("{callee}@{DOMAIN}");
        let call = ["--to", &to, "--duration", SECONDS, "--json"];
        let mut calling = Own::start(&self.network.alice, &ours, &call, work)?;
        calling.process.wait_for_success(PATIENCE)?;
        waiting.process.wait_for_success(PATIENCE)?;
        assert_heard(user, calling.heard(), &theirs)?;
        assert_heard(callee, waiting.heard(), &ours)?;
        [&calling, &waiting].into_iter().map(report).collect()
    }

    /// alice and carol call pjsip, which mixes.
    fn conference(&self, work: &Path) -> Result<Vec<Value>> {
        let room = self.account("meeting", false)?;
        let mut mixer =
            self.signed_in("meeting", || Pjsua2::sign_in_mixing(&self.inside, &room, (EF, CS3), work))?;
        let (alice, carol) = (self.account("alice", true)?, self.account("carol", true)?);
        let to = format!("meeting@{DOMAIN}");
        let call = ["--to", &to, "--duration", LONGER, "--json"];
        let mut phones = [
            Own::start(&self.network.alice, &alice, &call, work)?,
            Own::start(&self.carol, &carol, &call, work)?,
        ];
        mixer.mix(2).map_err(|error| format!("{error}; {}", phones[0].process.printed()))?;
        phones.iter_mut().try_for_each(|phone| phone.process.wait_for_success(PATIENCE))?;
        for (listener, phone, speaker) in [("alice", &phones[0], &carol), ("carol", &phones[1], &alice)] {
            let alike = similarity(&speaker.voice(), phone.heard())?;
            if alike < MOST_OF_IT {
                return Err(format!("{listener} heard {alike:.2} of what {} said", speaker.user).into());
            }
        }
        phones.iter().map(report).collect()
    }

    fn outcome(&self, model: Model, reports: &[Value], capture: &Path) -> Result<Outcome> {
        for report in reports {
            // Where the Edge carries it there is no other way; where it does not, it is not used.
            let kinds = ["local", "remote"].map(|end| report["paths"][0][end]["kind"].as_str());
            if kinds.contains(&Some("relay")) != self.carried.has_payload() {
                return Err(format!("{kinds:?}: {report:#}").into());
            }
        }
        let options = HEURISTICS.map(str::to_owned);
        let streams = tshark::streams(capture, &options)?;
        let marks = tshark::marks(capture, &options)?;
        let marked = streams.keys().filter_map(|(flow, _)| marks.get(flow));
        let role = if model == Model::Conference { "conferencing" } else { "client" };
        let roles = ["--role", "edge=10.20.1.1", "--role", &format!("{role}=10.20.4.40")];
        let verdict = verify_with(capture, &self.plan(), &roles)?;
        // pjsip sends to the address of the description until it knows a way: what it says first goes elsewhere.
        let mut packets: BTreeMap<u32, u64> = BTreeMap::new();
        streams.iter().for_each(|((_, ssrc), stream)| *packets.entry(*ssrc).or_default() += stream.packets);
        let enough = packets.values().all(|packets| *packets > PACKETS);
        if !enough || verdict.findings.iter().any(|finding| finding.severity == "error") {
            return Err(format!("{streams:?} {:?}", verdict.findings).into());
        }
        let missed = |report: &Value| report["received"]["lost"].as_u64().unwrap_or(u64::MAX);
        Ok(Outcome {
            codecs: reports.iter().filter_map(|report| report["codec"].as_str().map(str::to_owned)).collect(),
            in_range: reports.iter().all(|report| report["ports"]["in_range"] == true)
                && streams.keys().all(|(flow, _)| is_planned(flow, model)),
            streams: packets.len(),
            marks: marked.flat_map(|marks| marks.keys().copied()).collect(),
            lost: streams.values().map(|stream| stream.lost.unsigned_abs()).sum::<u64>()
                + reports.iter().map(missed).sum::<u64>(),
            verdict: verdict.verdict,
        })
    }

    fn plan(&self) -> PathBuf {
        self.work.path().join("edge-plan.toml")
    }
}

/// The end inside has a port of the class; the other end is a phone's, or one that the Edge lends.
fn is_planned(flow: &tshark::Flow, model: Model) -> bool {
    let (own, other) = if flow.source.ip() == IpAddr::from(INSIDE) {
        (flow.source, flow.destination)
    } else {
        (flow.destination, flow.source)
    };
    let inside = if model == Model::Conference { 49152..=57500 } else { 20000..=20039 };
    let outside = if other.ip() == IpAddr::from(EXTERNAL) { 50000..=59999 } else { 20000..=20039 };
    inside.contains(&own.port()) && outside.contains(&other.port())
}

fn report(phone: &Own) -> Result<Value> {
    let printed = phone.process.printed();
    let mut read: Value = serde_json::from_str(&printed).map_err(|error| format!("{error}: {printed}"))?;
    Ok(read["calls"][0].take())
}

fn every_model(carried: Carried) -> Result<()> {
    let programs = ["nft", "python3", "tshark", "tcpdump", "ethtool"];
    if !possible_with("edge-models", &programs, &[pjsua2::MODULE])? {
        return Ok(());
    }
    let stage = Stage::new(carried)?;
    for model in MODELS {
        let outcome = stage.run(model).map_err(|error| format!("{carried:?}, {model:?}: {error}"))?;
        assert_eq!(outcome, Outcome::expected(model), "{carried:?}, {model:?}");
    }
    // Whose signaling the Edge carries has passed it; of the others it has heard nothing.
    let heard = stage.edge.access("/forwarded/in")? > 0;
    assert_eq!(heard, carried.has_signaling(), "{}", stage.edge.status()?);
    Ok(())
}

#[test]
fn without_the_edge_calls_and_conferences_are_so() -> Result<()> {
    every_model(Carried::Nothing)
}

#[test]
fn with_signaling_through_the_edge_they_are_the_same() -> Result<()> {
    every_model(Carried::Signaling)
}

#[test]
fn with_media_through_the_edge_they_are_the_same() -> Result<()> {
    every_model(Carried::Payload)
}

#[test]
fn with_both_through_the_edge_they_are_the_same() -> Result<()> {
    every_model(Carried::Both)
}
