//! A Director between an Edge and two Front Ends, each home to others: baresip outside signs in and calls, speech is heard, and who is
//! at home on a Front End that is there goes on when the other one is not.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::network::{Host, Network};
use carillon_interop::phones::{Account, baresip::Baresip};
use carillon_interop::process::{run, wait_until};
use carillon_interop::scenario::possible;
use carillon_interop::servers::access::{CLIENTS, Certificates, Server, TLS};
use carillon_interop::speech::similarity;
use carillon_interop::verdict::program;

const LIMIT: Duration = Duration::from_secs(20);
/// With how much of the speech a call counts as heard.
const HEARD: f64 = 0.8;
const ACCESS: &str = "10.20.1.2";
const DIRECTOR: &str = "10.20.3.7";
const FRONTS: [&str; 2] = ["10.20.2.20", "10.20.2.21"];

/// alice and carol outside; a host with the Edge; two Front Ends on one host, home to alice and to bob; the Director on its own.
struct Stage {
    network: Network,
    director_host: Host,
    certificates: Certificates,
    fronts: [Server; 2],
    director: Server,
    edge: Server,
    work: tempfile::TempDir,
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or(IpAddr::from([0; 4]))
}

impl Stage {
    fn new() -> Result<Option<Stage>> {
        if !possible("director", &["nft", "ss", "baresip"])? {
            return Ok(None);
        }
        let (work, network) = (tempfile::tempdir()?, Network::with_relay()?);
        let host = network.relay.as_ref().ok_or("no host between")?;
        host.run("ip", &["addr", "add", "10.20.1.2/24", "dev", "v1"])?;
        // Media goes straight, SIP cannot.
        host.run("sysctl", &["-qw", "net.ipv4.ip_forward=1"])?;
        host.run("nft", &["add table inet wall"])?;
        host.run("nft", &["add chain inet wall way { type filter hook forward priority 0; }"])?;
        host.run("nft", &["add rule inet wall way meta l4proto tcp drop"])?;
        network.bob.run("ip", &["addr", "add", "10.20.2.21/24", "dev", "v0"])?;
        let director_host = network.behind_bob()?;
        let certificates = Certificates::new(&work.path().join("authority"))?;
        let front =
            |at: usize, user: (&str, &str)| front_end(&network.bob, &certificates, at, user, work.path());
        let fronts = [front(0, ("alice", "wonderland-7"))?, front(1, ("bob", "builder-8"))?];
        let director = director(&director_host, &certificates, work.path())?;
        let edge = edge(host, &certificates, work.path())?;
        let stage = Stage { network, director_host, certificates, fronts, director, edge, work };
        wait_until("all connections", LIMIT, || Ok(stage.established()? == [true; 3]))
            .map_err(|error| format!("{error}\n{}\n{}", stage.director.printed(), stage.edge.printed()))?;
        wait_until("the inside of the Edge", LIMIT, || {
            Ok(stage.edge.status()?["access"]["next_hops"][0]["answers"] == true)
        })?;
        Ok(Some(stage))
    }

    /// Which next hops the Director says to have: the Edge and the Front Ends.
    fn established(&self) -> Result<[bool; 3]> {
        let status = self.director.status()?;
        Ok([0, 1, 2].map(|at| status["director"]["groups"][at]["servers"][0]["established"] == true))
    }

    fn users(&self, front: usize) -> Result<u64> {
        let status = self.director.status()?;
        Ok(status["director"]["groups"][front + 1]["users"].as_u64().unwrap_or_default())
    }

    fn account(&self, user: &str, password: &str, server: &str, port: u16, ports: u16) -> Account {
        Account {
            user: user.to_owned(),
            password: password.to_owned(),
            server: (ip(server), port).into(),
            transport: "tls",
            ca: self.certificates.ca(),
            codec: "PCMU/8000/1",
            srtp: false,
            ice: false,
            ports,
        }
    }

    fn outside(&self, account: &Account) -> Result<Baresip> {
        Baresip::sign_in(&self.network.alice, account, self.work.path())
            .map_err(|error| format!("{error}\n{}\n{}", self.edge.printed(), self.director.printed()).into())
    }
}

fn write(work: &Path, file: &str, text: &str) -> Result<PathBuf> {
    let path = work.join(file);
    std::fs::write(&path, text)?;
    Ok(path)
}

fn front_end(
    host: &Host,
    certificates: &Certificates,
    at: usize,
    (user, password): (&str, &str),
    work: &Path,
) -> Result<Server> {
    let (name, address) = (format!("front{at}.carillon.test"), FRONTS[at]);
    let (certificate, key) = certificates.issue(&[&name], &[ip(address)])?;
    let config = write(
        work,
        &format!("front{at}.toml"),
        &format!(
            "domains = [\"carillon.test\"]\nname = \"{address}\"\nplan = \"lync-kloud\"\nstore = \"front{at}.db\"\n\
             [[listeners]]\ntransport = \"tls\"\naddress = \"{address}\"\nport = {TLS}\n\
             [tls]\ncertificate = {certificate:?}\nkey = {key:?}\ntrusted = [{:?}]\n\
             [director]\nname = \"director.carillon.test\"\naddresses = [\"{DIRECTOR}:{TLS}\"]\n\
             [admin]\nsocket = \"front{at}.sock\"\n",
            certificates.ca()
        ),
    )?;
    let users = write(work, &format!("front{at}.csv"), &format!("name,password\n{user},{password}\n"))?;
    run(Command::new(program()?).args(["user", "import", "--config"]).arg(&config).arg(&users))?;
    Server::start(host, config)
}

fn director(host: &Host, certificates: &Certificates, work: &Path) -> Result<Server> {
    let (certificate, key) = certificates.issue(&["director.carillon.test"], &[ip(DIRECTOR)])?;
    let front = |at: usize| {
        format!(
            "[[front-ends]]\nname = \"front{at}.carillon.test\"\naddresses = [\"{}:{TLS}\"]\n",
            FRONTS[at]
        )
    };
    let config = format!(
        "role = \"director\"\nplan = \"lync-kloud\"\nname = \"director.carillon.test\"\ndomains = [\"carillon.test\"]\n\
         address = \"{DIRECTOR}\"\n[edge]\nname = \"edge.carillon.test\"\naddresses = [\"10.20.2.1:{TLS}\"]\n{}{}\
         [internal-tls]\ncertificate = {certificate:?}\nkey = {key:?}\ntrusted = [{:?}]\n[admin]\nsocket = \"director.sock\"\n",
        front(0),
        front(1),
        certificates.ca()
    );
    Server::start(host, write(work, "director.toml", &config)?)
}

fn edge(host: &Host, certificates: &Certificates, work: &Path) -> Result<Server> {
    let addresses = [ACCESS, "10.20.2.1"].map(ip);
    let (certificate, key) = certificates.issue(&["edge.carillon.test", "carillon.test"], &addresses)?;
    let ca = certificates.ca();
    let config = format!(
        "role = \"edge\"\nplan = \"lync-kloud\"\nname = \"edge.carillon.test\"\nservice.drain = 1\n\
         [addresses]\nexternal = \"10.20.1.1\"\naccess = [\"{ACCESS}\"]\ninternal = \"10.20.2.1\"\n\
         [tls]\ncertificate = {certificate:?}\nkey = {key:?}\n\
         [internal-tls]\ncertificate = {certificate:?}\nkey = {key:?}\ntrusted = [{ca:?}]\n\
         [access]\ndomains = [\"carillon.test\"]\nname = \"{ACCESS}\"\nnext-hop = \"director.carillon.test\"\n\
         servers = [\"{DIRECTOR}:{TLS}\"]\nprobe = 2\n\
         [[relay-users]]\nname = \"trial\"\npassword = \"correct horse\"\n[admin]\nsocket = \"edge.sock\"\n"
    );
    Server::start(host, write(work, "edge.toml", &config)?)
}

/// Whether each has heard the other.
fn assert_heard(one: (&Baresip, &Account), other: (&Baresip, &Account)) -> Result<()> {
    for (phone, said) in [(one.0, other.1), (other.0, one.1)] {
        let likeness = similarity(&said.voice(), &phone.heard()?)?;
        assert!(likeness > HEARD, "{}: {likeness}", said.user);
    }
    Ok(())
}

#[test]
fn who_is_at_home_on_different_front_ends_calls_and_is_called_from_outside_through_the_director() -> Result<()>
{
    let Some(mut stage) = Stage::new()? else { return Ok(()) };
    let outer = stage.account("alice", "wonderland-7", ACCESS, CLIENTS, 50000);
    let inner = stage.account("bob", "builder-8", FRONTS[1], TLS, 50010);
    let work = stage.work.path().to_owned();
    for (caller_outside, folder) in [(true, "out-in"), (false, "in-out")] {
        let work = work.join(folder);
        std::fs::create_dir_all(&work)?;
        let mut alice = stage.outside(&outer)?;
        let mut bob = Baresip::sign_in(&stage.network.bob, &inner, &work)?;
        match caller_outside {
            true => alice.call(&inner.address()),
            false => bob.call(&outer.address()),
        }
        .map_err(|error| format!("{error}\n{}", stage.director.printed()))?;
        std::thread::sleep(Duration::from_secs(4));
        match caller_outside {
            true => {
                alice.hang_up()?;
                bob.process.wait_for("session closed", LIMIT)?;
            }
            false => {
                bob.hang_up()?;
                alice.process.wait_for("session closed", LIMIT)?;
            }
        }
        assert_heard((&alice, &outer), (&bob, &inner))?;
        drop((alice, bob));
        std::fs::remove_dir_all(stage.work.path().join("alice")).unwrap_or_default();
    }
    // Row 124: the next hop shows as established 5061, where it is looked at with the kernel's list, and in every status.
    let host = stage.network.relay.as_ref().ok_or("no Edge")?;
    let to_director = |host: &Host| host.run("ss", &["-Htn", "state", "established", "dport", "=", ":5061"]);
    assert!(to_director(host)?.contains("10.20.3.7:5061"), "{}", to_director(host)?);
    for front in FRONTS {
        let place = format!("{front}:5061");
        assert!(
            to_director(&stage.director_host)?.contains(&place),
            "{}",
            to_director(&stage.director_host)?
        );
    }
    for front in &stage.fronts {
        assert_eq!(front.status()?["next_hops"][0]["established"], true);
    }
    // Who comes to a Front End is found within seconds, and nobody has typed it a second time.
    let newcomers = write(&work, "carol.csv", "name,password\ncarol,caroller-9\n")?;
    stage.fronts[0].user(&["import", &newcomers.to_string_lossy()])?;
    wait_until("carol", Duration::from_secs(5), || Ok(stage.users(0)? == 2))?;
    let newcomer = stage.account("carol", "caroller-9", ACCESS, CLIENTS, 50020);
    drop(stage.outside(&newcomer)?);
    // One Front End dies: the status says so, and the users of the other go on.
    stage.fronts[1].kill()?;
    wait_until("a next hop that is not established", LIMIT, || {
        Ok(stage.established()? == [true, true, false])
    })?;
    let mut alice = stage.outside(&outer)?;
    let carol_work = work.join("later");
    std::fs::create_dir_all(&carol_work)?;
    let carol = Baresip::sign_in(
        &stage.network.bob,
        &stage.account("carol", "caroller-9", FRONTS[0], TLS, 50030),
        &carol_work,
    )?;
    alice.call("sip:carol@carillon.test")?;
    drop((alice, carol));
    Ok(())
}
