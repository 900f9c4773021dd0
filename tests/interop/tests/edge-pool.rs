//! A pool of two Edges: phones have a flow through each or find one by its name, one that dies is stood in for by the other,
//! and one that is stopped lets calls end.

use std::net::IpAddr;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::names::Names;
use carillon_interop::network::{Host, Network};
use carillon_interop::phones::{Account, baresip::Baresip};
use carillon_interop::process::{Process, wait_until};
use carillon_interop::scenario::possible;
use carillon_interop::servers::access::{CLIENTS, Certificates, Domain, Server, TLS};
use carillon_interop::servers::edge::uclient;
use carillon_interop::site::DOMAIN;

const LIMIT: Duration = Duration::from_secs(30);
const USERS: &[(&str, &str)] =
    &[("alice", "wonderland-7"), ("bob", "builder-8"), ("carol", "christmas-9"), ("dave", "copper-10")];
/// Where bob says everything back to relays.
const ECHO: &str = "50011";
/// By their names as phones outside know them.
const PROXIES: [&str; 2] = ["sip:10.20.1.2:443;transport=tls", "sip:10.20.1.3:443;transport=tls"];

/// alice, carol and dave outside; both Edges on one host; bob inside, beside the Front End.
struct Stage {
    network: Network,
    certificates: Certificates,
    front: Server,
    edges: Vec<Server>,
    _names: Names,
    work: tempfile::TempDir,
}

fn pool() -> [Domain<'static>; 2] {
    let ip = |c: u8, d: u8| IpAddr::from([10, 20, c, d]);
    let first = Domain {
        name: DOMAIN,
        front: ip(2, 20),
        internal: ip(2, 1),
        external: ip(1, 1),
        access: ip(1, 2),
        inside: &[],
        users: USERS,
        partners: &[],
    };
    [first, Domain { internal: ip(2, 2), external: ip(1, 4), access: ip(1, 3), ..first }]
}

impl Stage {
    fn new(name: &str) -> Result<Option<Stage>> {
        if !possible(name, &["python3", "baresip", "turnutils_uclient", "turnutils_peer"])? {
            return Ok(None);
        }
        let (work, network) = (tempfile::tempdir()?, Network::with_relay()?);
        let host = network.relay.as_ref().ok_or("no host between")?;
        let own = [("10.20.1.2", "v1"), ("10.20.1.3", "v1"), ("10.20.1.4", "v1"), ("10.20.2.2", "v2")];
        for (address, interface) in own {
            host.run("ip", &["addr", "add", &format!("{address}/24"), "dev", interface])?;
        }
        // Media goes straight; SIP can't, since nothing that is forwarded here has a port that phones or servers listen on.
        host.run("sysctl", &["-qw", "net.ipv4.ip_forward=1"])?;
        let names =
            Names::start(host, "10.20.1.1", &["10.20.1.2", "10.20.1.3"], &[&network.alice], work.path())?;
        let certificates = Certificates::apart(&work.path().join("authority"))?;
        let secret = work.path().join("shared-secret");
        std::fs::write(&secret, "a secret of the test\n")?;
        let more = format!("relay.servers = [\"10.20.1.1\", \"10.20.1.4\"]\nrelay.secret = {secret:?}\n");
        let front = pool()[0].front_end_of(&pool(), &more, &network.bob, &certificates, work.path())?;
        let mut edges = Vec::new();
        for (number, edge) in pool().iter().enumerate() {
            let own = work.path().join(format!("edge-{number}"));
            std::fs::create_dir_all(&own)?;
            // The drain is as long as the test likes, which ends it by a second signal.
            let more = format!(
                "credentials.secrets = [{secret:?}]\nservice.drain = 120\n\
                 relay.peers = [\"10.20.2.0/24\"]\n"
            );
            edges.push(edge.edge_of(&pool(), &more, host, &certificates, &own)?);
        }
        Ok(Some(Stage { network, certificates, front, edges, _names: names, work }))
    }

    fn host(&self) -> Result<&Host> {
        self.network.relay.as_ref().ok_or_else(|| "no host between".into())
    }

    fn account(&self, user: usize, server: IpAddr, port: u16) -> Account {
        let (name, password) = USERS[user];
        let side = if server == pool()[0].front { self.certificates.inside() } else { &self.certificates };
        Account {
            user: name.to_owned(),
            password: password.to_owned(),
            server: (server, port).into(),
            transport: "tls",
            ca: side.ca(),
            codec: "PCMU/8000/1",
            srtp: false,
            ice: false,
            ports: [50000, 50020, 50040, 50060][user],
        }
    }

    /// Somebody outside signs in by the pool's name.
    fn by_name(&self, user: usize) -> Result<Baresip> {
        let account = self.account(user, IpAddr::from([10, 20, 1, 2]), CLIENTS);
        let proxy = format!("sip:{DOMAIN}:{CLIENTS};transport=tls");
        Baresip::sign_in_by(&self.network.alice, &account, &[&proxy], self.work.path())
    }

    fn counted(&self, what: &str, number: u64) -> Result<()> {
        let is = || Ok(self.front.status()?[what].as_u64() == Some(number));
        wait_until(&format!("{number} {what}"), LIMIT, is)
            .map_err(|error| format!("{error}: {:?}", self.front.status()).into())
    }

    /// Calls, and hangs up once somebody has answered.
    fn call_and_end(&self, caller: &mut Baresip, to: &str) -> Result<()> {
        caller.say(&format!("/dial sip:{to}@{DOMAIN}"))?;
        self.counted("calls", 1).map_err(|error| format!("{error}\n{}", caller.process.printed()))?;
        caller.hang_up()?;
        self.counted("calls", 0)
    }

    fn echo(&self) -> Result<Process> {
        let mut command = self.network.bob.command("turnutils_peer");
        Process::start(command.args(["-L", "10.20.2.20", "-p", ECHO]), &self.work.path().join("peer.log"))
    }
}

#[test]
fn one_edge_dies_and_calls_and_relays_go_by_the_other_which_is_stopped_later_without_a_loss() -> Result<()> {
    let Some(mut stage) = Stage::new("edge-pool")? else { return Ok(()) };
    let inner = stage.account(1, stage.network.bob.v4().into(), TLS);
    let mut bob = Baresip::sign_in(&stage.network.bob, &inner, stage.work.path())?;
    let outer = stage.account(0, IpAddr::from([10, 20, 1, 2]), CLIENTS);
    let mut alice = Baresip::sign_in_by(&stage.network.alice, &outer, &PROXIES, stage.work.path())?;
    // A flow through each Edge, and one phone.
    stage.counted("registrations", 3)?;
    let signed_in = |edge: &Server| edge.access("/signed_in");
    assert_eq!((signed_in(&stage.edges[0])?, signed_in(&stage.edges[1])?), (1, 1));
    stage.call_and_end(&mut bob, "alice")?;
    let (user, password) = stage.edges[0].credential("alice")?;
    let _echo = stage.echo()?;

    stage.edges[0].kill()?;
    stage.call_and_end(&mut bob, "alice")?;
    // Who comes new finds the one that is there by the name of both.
    let carol = stage.by_name(2)?;
    assert_eq!(signed_in(&stage.edges[1])?, 2);
    stage.call_and_end(&mut bob, "carol")?;
    drop(carol);
    let options = ["-e", "10.20.2.20", "-r", ECHO, "-m", "1", "-n", "20", "-c"];
    let second = pool()[1].external;
    let relayed = uclient(&stage.network.alice, second, (&user, &password), &options)
        .map_err(|error| format!("{error}"))?;
    assert_eq!((relayed.sent, relayed.received), (20, 20), "what one Edge gave opens the other");

    let first = stage.edges.remove(0);
    let first = first.restarted(stage.host()?)?;
    stage.edges.insert(0, first);
    drained(&mut stage, [&mut alice, &mut bob], (&user, &password))
}

/// The second Edge is stopped while a call runs through it, and a relay: both go on, and who comes meanwhile goes to the first.
fn drained(stage: &mut Stage, [alice, bob]: [&mut Baresip; 2], credential: (&str, &str)) -> Result<()> {
    let edge = &stage.edges[1];
    bob.say(&format!("/dial sip:alice@{DOMAIN}"))?;
    stage.counted("calls", 1)?;
    let options = ["-e", "10.20.2.20", "-r", ECHO, "-m", "1", "-n", "300", "-c", "-z", "10"];
    let relayed = std::thread::scope(|scope| -> Result<_> {
        let running = scope.spawn(|| {
            uclient(&stage.network.alice, pool()[1].external, credential, &options)
                .map_err(|error| error.to_string())
        });
        wait_until("a relayed call", LIMIT, || {
            Ok(edge.status()?["relayed"]["packets_to_peers"].as_u64() > Some(30))
        })?;
        edge.begin_to_stop()?;
        wait_until("an Edge that is being stopped", LIMIT, || Ok(edge.status()?["stopping"] == true))?;
        let _carol = stage.by_name(2)?;
        assert_eq!(stage.edges[0].access("/signed_in")?, 1, "who comes new is sent to the other");
        let late = uclient(&stage.network.alice, pool()[1].external, credential, &options);
        assert!(late.is_err() || late.is_ok_and(|late| late.received == 0), "nothing new is relayed");
        let before = edge.access("/forwarded/in")?;
        alice.say("/hold")?;
        wait_until("a re-INVITE that has been acknowledged", LIMIT, || {
            Ok(edge.access("/forwarded/in")? >= before + 2)
        })?;
        running.join().map_err(|_| "a thread panicked")?.map_err(Into::into)
    })?;
    assert_eq!((relayed.sent, relayed.received), (300, 300), "{}", relayed.printed);
    alice.hang_up()?;
    stage.counted("calls", 0)?;
    // Told again, it ends at once.
    let edge = &mut stage.edges[1];
    edge.begin_to_stop()?;
    edge.wait_for_end()
}
