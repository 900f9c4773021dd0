//! A call between users of two organisations, each with a Front End and an Edge of its own, and no way between them but by the relays
//! of both.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::network::{Host, Network};
use carillon_interop::process::{Process, wait_until};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;
use carillon_interop::servers::access::{Certificates, Domain, Server};
use carillon_interop::servers::edge::uclient;
use carillon_interop::site::DOMAIN;
use carillon_interop::speech::{similarity, voice, write_wav};
use carillon_interop::tshark;
use carillon_interop::verdict::program;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);
const PARTNER: &str = "partner.test";
const EF: u8 = 46;
/// What each end sends in six seconds, less what goes before there is a way.
const PACKETS: u64 = 200;

/// How much of what is heard is the other one at least; another voice stays below a half.
const MOST_OF_IT: f64 = 0.75;

/// Who somebody is; the seed is that of the voice.
struct User {
    name: &'static str,
    password: &'static str,
    seed: u64,
}

const BOB: User = User { name: "bob@carillon.test", password: "builder-8", seed: 1 };
const ANN: User = User { name: "ann@partner.test", password: "partner-secret-9", seed: 2 };

impl User {
    fn file(&self, work: &Path, what: &str) -> PathBuf {
        work.join(format!("{}.{what}", self.name))
    }

    fn says(&self) -> Vec<i16> {
        voice(self.seed, 12)
    }

    fn assert_heard(&self, speaker: &User, work: &Path) -> Result<()> {
        let alike = similarity(&speaker.says(), &self.file(work, "heard.wav"))?;
        if alike > MOST_OF_IT {
            return Ok(());
        }
        Err(format!("{} heard {alike:.2} of what {} said", self.name, speaker.name).into())
    }
}

/// One of the two: a host inside, where the Front End and the user are, and the Edge.
struct Organisation<'a> {
    inside: &'a Host,
    front: Server,
    edge: Server,
}

impl<'a> Organisation<'a> {
    fn new(
        domain: &Domain<'_>,
        [edge, inside]: [&'a Host; 2],
        made_by: &Certificates,
        work: &Path,
    ) -> Result<Organisation<'a>> {
        let work = work.join(domain.name);
        std::fs::create_dir_all(&work)?;
        // Nobody else's secret.
        std::fs::write(work.join("relay-secret"), format!("a secret of {}\n", domain.name))?;
        let relay = format!("[relay]\nservers = [\"{}\"]\nsecret = \"relay-secret\"\n", domain.external);
        let front = domain.front_end_of(&[*domain], &relay, inside, made_by, &work)?;
        let more = "service.drain = 1\n[credentials]\nsecrets = [\"relay-secret\"]\n";
        let edge = domain.edge_of(&[*domain], more, edge, made_by, &work)?;
        Ok(Organisation { inside, front, edge })
    }

    /// `carillon call` of its user, at its Front End.
    fn phone(&self, user: &User, more: &[&str], work: &Path) -> Result<Process> {
        let [secret, voice, heard, log] =
            ["password", "voice.wav", "heard.wav", "log"].map(|what| user.file(work, what));
        std::fs::write(&secret, user.password)?;
        write_wav(&voice, &user.says(), 8000, 1)?;
        let mut command = self.inside.command(&program()?.to_string_lossy());
        let server = format!("{}:5060", self.inside.v4());
        command.args(["call", "--server", &server, "--transport", "udp", "--srtp", "off", "--codec", "pcmu"]);
        command.args(["--user", user.name, "--json"]).arg("--send").arg(&voice).arg("--record").arg(&heard);
        command.arg("--password-file").arg(&secret).args(more);
        Process::start(&mut command, &log)
    }

    /// Between its Edge and its user all media is marked, both ways, and there is nothing else.
    fn assert_marked(&self, capture: &Path, external: IpAddr) -> Result<()> {
        let own = IpAddr::from(self.inside.v4());
        let flows = tshark::marks(capture, &[])?;
        let media = |from: IpAddr, to: IpAddr| {
            let of =
                |flow: &tshark::Flow| !flow.tcp && flow.source.ip() == from && flow.destination.ip() == to;
            let marks = flows.iter().filter(move |(flow, _)| of(flow)).flat_map(|(_, marks)| marks);
            marks.map(|(mark, count)| (*mark, *count)).collect::<Vec<_>>()
        };
        for (from, to) in [(own, external), (external, own)] {
            let marks = media(from, to);
            let packets: u64 = marks.iter().map(|(_, count)| count).sum();
            if marks.iter().any(|(mark, _)| *mark != EF) || packets < PACKETS {
                return Err(format!("{from} to {to}: {marks:?}").into());
            }
        }
        Ok(())
    }
}

fn capture(host: &Host, work: &Path) -> Result<Capture> {
    let folder = work.join(host.namespace());
    std::fs::create_dir_all(&folder)?;
    Capture::on(host, &Point::link("inside"), &folder)
}

/// The one call of a report.
fn report(phone: &Process) -> Result<Value> {
    let printed = phone.printed();
    let mut read: Value = serde_json::from_str(&printed).map_err(|error| format!("{error}: {printed}"))?;
    Ok(read["calls"][0].take())
}

#[test]
fn federated_users_hear_each_other_by_the_relays_of_both_and_open_no_relay_of_the_partner() -> Result<()> {
    if !possible("edge-federation", &["python3", "tshark", "tcpdump", "ethtool", "turnutils_uclient"])? {
        return Ok(());
    }
    let ip = |text: &str| text.parse::<IpAddr>();
    let (work, network) = (tempfile::tempdir()?, Network::with_relay()?);
    let gate = network.relay.as_ref().ok_or("no host between")?;
    let ours = [gate, &network.bob];
    let there = network.behind(&network.alice, "f", 5, 50)?;
    let theirs = [&network.alice, &there];
    // Both Edges are on the Internet, at addresses that relays may reach, and neither is a router.
    for (edge, link, addresses, inner) in [
        (gate, "v1", ["11.0.0.1/24", "11.0.0.2/24"], "v2"),
        (&network.alice, "v0", ["11.0.0.10/24", "11.0.0.11/24"], "v5"),
    ] {
        addresses.iter().try_for_each(|own| edge.run("ip", &["addr", "add", own, "dev", link]).map(drop))?;
        edge.run("sysctl", &["-qw", "net.ipv4.ip_forward=0"])?;
        edge.run("ethtool", &["-K", inner, "tx-udp-segmentation", "off", "gso", "off"])?;
    }
    [&network.bob, &there].into_iter().try_for_each(Host::disable_v6)?;
    let certificates = Certificates::new(&work.path().join("authority"))?;
    let carillon = Domain {
        name: DOMAIN,
        front: network.bob.v4().into(),
        internal: ip("10.20.2.1")?,
        external: ip("11.0.0.1")?,
        access: ip("11.0.0.2")?,
        inside: &["10.20.2.0/24"],
        users: &[("bob", BOB.password)],
        partners: &[(PARTNER, ip("11.0.0.11")?)],
    };
    let partner = Domain {
        name: PARTNER,
        front: there.v4().into(),
        internal: ip("10.20.5.10")?,
        external: ip("11.0.0.10")?,
        access: ip("11.0.0.11")?,
        inside: &["10.20.5.0/24"],
        users: &[("ann", ANN.password)],
        partners: &[(DOMAIN, ip("11.0.0.2")?)],
    };
    let ours = Organisation::new(&carillon, ours, &certificates, work.path())?;
    let theirs = Organisation::new(&partner, theirs, &certificates, work.path())?;
    for (edge, domain) in [(&ours.edge, PARTNER), (&theirs.edge, DOMAIN)] {
        wait_until("federation", LIMIT, || Ok(edge.partner(domain)?["state"] == "works"))?;
    }
    let captures = [capture(ours.inside, work.path())?, capture(theirs.inside, work.path())?];
    let mut ann = theirs.phone(&ANN, &["--answer", "--once", "--ring", "0"], work.path())?;
    wait_until("ann signed in", LIMIT, || theirs.front.knows("ann"))?;
    let mut bob = ours.phone(&BOB, &["--to", ANN.name, "--duration", "6"], work.path())?;
    for phone in [&mut bob, &mut ann] {
        phone.wait_for_success(LIMIT).map_err(|error| format!("{error}\n{}", ours.edge.printed()))?;
    }
    BOB.assert_heard(&ANN, work.path())?;
    ANN.assert_heard(&BOB, work.path())?;
    for phone in [&bob, &ann] {
        let report = report(phone)?;
        let kinds = ["local", "remote"].map(|end| report["paths"][0][end]["kind"].as_str());
        assert_eq!((kinds, &report["received"]["lost"]), ([Some("relay"); 2], &0.into()), "{report:#}");
    }
    for ((organisation, domain), capture) in [(&ours, &carillon), (&theirs, &partner)].iter().zip(captures) {
        organisation.assert_marked(&capture.stop()?, domain.external)?;
    }
    // What opens the relay of one opens none of the other.
    let (name, password) = ours.edge.credential("bob")?;
    let options = ["-e", "11.0.0.10", "-r", "50000", "-m", "1", "-n", "1", "-c"];
    let refused = uclient(gate, partner.external, (&name, &password), &options);
    let refused = refused.err().ok_or("a stranger's credential was taken")?.to_string();
    assert!(refused.contains("Cannot complete Allocation"), "{refused}");
    Ok(())
}
