//! `carillon edge check` on an Edge and on a Front End: green when all is well, and for each of many faults its own root cause
//! first, with what only follows from it. ss, openssl and coturn's client agree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::network::{Host, Network};
use carillon_interop::process::Process;
use carillon_interop::scenario::possible;
use carillon_interop::servers::authority::Authority;
use carillon_interop::servers::edge::{Addresses, Edge, USER, probe, uclient};
use carillon_interop::verdict::program;
use serde_json::Value;

const PLAN: &str = "base = \"lync-kloud\"\n[edge]\nmark-internal = true\n";
const POOL: &str = "edge.carillon.test";
const LIMIT: Duration = Duration::from_secs(20);
const TOKEN: &str = "7f3k-9xq2-mm4d-0tzr";
/// bob, who is inside.
const INSIDE: &str = "10.20.2.20";

/// An Edge between alice, outside, and bob, inside, where a Front End has its configuration and a probe listens.
struct Stage {
    network: Network,
    edge: Edge,
    authority: Authority,
    _listener: Process,
    etc: Vec<Etc>,
    work: tempfile::TempDir,
}

impl Stage {
    fn new(name: &str) -> Result<Option<Stage>> {
        if !possible(name, &["turnutils_uclient", "turnutils_peer", "openssl", "ss", "nft"])? {
            return Ok(None);
        }
        let (work, network) = (tempfile::tempdir()?, Network::with_relay()?);
        let authority = Authority::new(&work.path().join("authority"))?;
        [POOL, "fe.carillon.test", "other.carillon.test"]
            .into_iter()
            .try_for_each(|name| authority.issue(name))?;
        let relay = network.relay.as_ref().ok_or("no relay")?;
        let etc = [relay, &network.bob].into_iter().map(Etc::new).collect::<Result<Vec<_>>>()?;
        relay.run("ip", &["route", "add", "default", "via", "10.20.1.10"])?;
        relay.run("ip", &["-6", "route", "add", "default", "via", "fd00:20:1::a"])?;
        let edge = Edge::start(&network, PLAN, &more(&authority, POOL), work.path())?;
        let mut listen = network.bob.command(&program()?.to_string_lossy());
        listen
            .args(["probe", "listen", "--bind", INSIDE, "--token", TOKEN, "--plan"])
            .arg(work.path().join("plan.toml"));
        let mut listener = Process::start(&mut listen, &work.path().join("listener.log"))?;
        listener.wait_for("ready", LIMIT)?;
        let stage = Stage { network, edge, authority, _listener: listener, etc, work };
        stage.front_end("a secret of the test")?;
        Ok(Some(stage))
    }

    fn relay(&self) -> Result<&Host> {
        self.network.relay.as_ref().ok_or_else(|| "no relay".into())
    }

    /// A Front End's configuration, with the secret that it believes to share.
    fn front_end(&self, secret: &str) -> Result<PathBuf> {
        let folder = self.work.path().join("front-end");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("plan.toml"), PLAN)?;
        fs::write(folder.join("secret"), secret)?;
        let file = |name: &str| self.authority.file(name);
        let lines = format!(
            "domains = [\"carillon.test\"]\nname = \"fe.carillon.test\"\nplan = \"plan.toml\"\nstore = \"carillon.db\"\n\
             [tls]\ncertificate = \"{}\"\nkey = \"{}\"\ntrusted = [\"{}\"]\n[relay]\nservers = [\"{}\"]\nsecret = \"secret\"\n\
             [[replicas]]\nname = \"{POOL}\"\naddress = \"{}:4443\"\n[admin]\nsocket = \"fe.sock\"\n",
            file("fe.carillon.test.pem"),
            file("fe.carillon.test.key"),
            file("ca.pem"),
            self.edge.external,
            self.edge.internal,
        );
        let config = folder.join("carillon.toml");
        fs::write(&config, lines)?;
        Ok(config)
    }

    /// As the Edge sees itself, with the listener inside.
    fn on_the_edge(&self, more: &[&str]) -> Result<Report> {
        let inside = ["--inside", INSIDE, "--token", TOKEN, "--machine", "edge1"];
        check(self.relay()?, self.edge.config(), &[&inside, more].concat())
    }

    /// As a Front End sees it.
    fn asked_inside(&self, more: &[&str]) -> Result<Report> {
        check(&self.network.bob, &self.work.path().join("front-end/carillon.toml"), more)
    }

    /// What a host does to packets, as long as the value lives.
    fn rule(&self, host: &'static str, hook: &str, rule: &str) -> Result<Rule<'_>> {
        let host = if host == "bob" { &self.network.bob } else { self.relay()? };
        host.run("nft", &["add table inet fault"])?;
        host.run("nft", &[&format!("add chain inet fault c {{ type filter hook {hook} priority -150; }}")])?;
        host.run("nft", &[&format!("add rule inet fault c {rule}")])?;
        Ok(Rule(host))
    }
}

/// What the configuration says beside the A/V Edge.
fn more(authority: &Authority, certificate: &str) -> String {
    let (pem, key) =
        (authority.file(&format!("{certificate}.pem")), authority.file(&format!("{certificate}.key")));
    let ca = authority.file("ca.pem");
    format!(
        "internal-tls.certificate = \"{pem}\"\ninternal-tls.key = \"{key}\"\ninternal-tls.trusted = [\"{ca}\"]\n\
         authentication.servers = [\"fe.carillon.test\"]\n\
         replica.from = [\"fe.carillon.test\"]\nreplica.store = \"settings.json\"\n"
    )
}

/// What `carillon edge check --json` prints, and its exit status.
struct Report {
    value: Value,
    status: Option<i32>,
}

fn check(host: &Host, config: &Path, more: &[&str]) -> Result<Report> {
    let mut command = host.command(&program()?.to_string_lossy());
    command.args(["edge", "check", "--json", "--config"]).arg(config).args(more);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{command:?}: {error}: {said}"))?;
    Ok(Report { value, status: output.status.code() })
}

impl Report {
    fn list(&self, key: &str) -> Vec<&Value> {
        self.value[key].as_array().into_iter().flatten().collect()
    }

    /// The causes of all that is wrong, the first one first.
    fn causes(&self) -> Vec<&str> {
        self.list("roots").iter().map(|root| root["cause"].as_str().unwrap_or("not-checked")).collect()
    }

    /// Subjects or kinds of the checks that a root cause is, or that follow from it.
    fn of_root(&self, root: usize, places: &str, key: &str) -> BTreeSet<String> {
        let checks = self.list("checks");
        let places =
            self.value["roots"][root][places].as_array().into_iter().flatten().filter_map(Value::as_u64);
        places.filter_map(|at| Some(checks.get(at as usize)?[key].as_str()?.to_owned())).collect()
    }

    /// Subjects of the checks of a kind.
    fn subjects(&self, kind: &str) -> BTreeSet<String> {
        let checks = self.list("checks").into_iter().filter(|check| check["kind"] == kind);
        checks.filter_map(|check| Some(check["subject"].as_str()?.to_owned())).collect()
    }

    /// The exit status and the causes must be these.
    fn assert(&self, status: i32, causes: &[&str]) {
        assert_eq!((self.status, self.causes()), (Some(status), causes.to_vec()), "{:#}", self.value);
    }

    /// One cause, which shows there, and kinds of checks that follow from it.
    fn assert_one(&self, cause: &str, subjects: &[&str], follows: &[&str]) {
        self.assert(1, &[cause]);
        let (shows, kinds) = (self.of_root(0, "checks", "subject"), self.of_root(0, "consequences", "kind"));
        assert_eq!(shows.iter().map(String::as_str).collect::<Vec<_>>(), subjects, "{:#}", self.value);
        assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), follows, "{:#}", self.value);
    }
}

/// A fault of nftables, taken away with the value.
struct Rule<'h>(&'h Host);

impl Drop for Rule<'_> {
    fn drop(&mut self) {
        let _ = self.0.run("nft", &["delete table inet fault"]);
    }
}

/// What a host has in place of /etc/hosts and /etc/resolv.conf: `ip netns exec` puts it there.
struct Etc(PathBuf);

impl Etc {
    fn new(host: &Host) -> Result<Etc> {
        let etc = Etc(Path::new("/etc/netns").join(host.namespace()));
        fs::create_dir_all(&etc.0)?;
        // Nobody answers there: what is not in the file has no address.
        fs::write(etc.0.join("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")?;
        etc.names(&[("10.20.2.1", POOL), ("10.20.1.1", "sip.carillon.test")])?;
        Ok(etc)
    }

    fn names(&self, names: &[(&str, &str)]) -> Result<()> {
        let lines: String = names.iter().map(|(address, name)| format!("{address} {name}\n")).collect();
        Ok(fs::write(self.0.join("hosts"), lines)?)
    }
}

impl Drop for Etc {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_edge_that_is_well_is_green_from_both_sides_and_others_agree() -> Result<()> {
    let Some(stage) = Stage::new("edge-check")? else { return Ok(()) };
    let own = stage.on_the_edge(&["--external", "sip.carillon.test"])?;
    own.assert(0, &[]);
    let inside = stage.asked_inside(&[])?;
    inside.assert(0, &[]);
    let blind = check(stage.relay()?, stage.edge.config(), &[])?;
    blind.assert(2, &["not-checked"]);
    assert_eq!(
        blind.of_root(0, "checks", "kind"),
        ["mark".to_owned()].into(),
        "nobody was inside to read it"
    );

    // ss sees the sockets that the check has counted.
    let listed = stage.relay()?.run("ss", &["-lnupt", "-H"])?;
    let ours = listed.lines().filter(|line| line.contains(&format!("pid={},", stage.edge.id())));
    let places = ours.filter_map(|line| line.split_whitespace().nth(4));
    // Ports of the relay that the check has just given back may still be there.
    let waits = |place: &&str| place.rsplit_once(':').is_some_and(|(_, port)| port.len() < 5);
    let kernel: BTreeSet<String> = places.filter(waits).map(str::to_owned).collect();
    let counted = own.subjects("listener");
    let counted: BTreeSet<String> =
        counted.iter().filter_map(|subject| Some(subject.split_once(' ')?.1.to_owned())).collect();
    assert_eq!(counted, kernel);
    // openssl is shown the certificate that the check has judged.
    let mut openssl = stage.network.bob.command("openssl");
    openssl.args(["s_client", "-connect", "10.20.2.1:5062", "-CAfile", &stage.authority.file("ca.pem")]);
    let printed = String::from_utf8_lossy(&openssl.stdin(Stdio::null()).output()?.stdout).into_owned();
    assert!(
        printed.contains("CN = edge.carillon.test") || printed.contains("CN=edge.carillon.test"),
        "{printed}"
    );
    assert!(inside.subjects("certificate").contains("TLS 10.20.2.1:5062"));
    // coturn's client gets everything back.
    let mut echo = stage.network.bob.command("turnutils_peer");
    let _echo = Process::start(echo.args(["-L", INSIDE, "-p", "3490"]), &stage.work.path().join("peer.log"))?;
    let (user, password) = stage.edge.credential("carol", &[])?;
    let options = ["-e", INSIDE, "-r", "3490", "-m", "1", "-n", "10", "-c"];
    let outcome = uclient(&stage.network.alice, stage.edge.external, (&user, &password), &options)?;
    assert_eq!((outcome.sent, outcome.received), (10, 10));
    Ok(())
}

#[test]
fn what_is_wrong_on_the_way_to_the_edge_is_its_root_cause() -> Result<()> {
    let Some(stage) = Stage::new("edge-check-faults")? else { return Ok(()) };
    {
        let _rule = stage.rule("relay", "input", "ip daddr 10.20.1.1 udp dport 3478 drop")?;
        stage.on_the_edge(&[])?.assert_one("firewall", &["UDP 10.20.1.1:3478"], &["allocation"]);
        let uclient =
            ["3", "turnutils_uclient", "-u", "alice", "-w", "correct horse", "-y", "-n", "1", "10.20.1.1"];
        assert!(
            stage.network.alice.run("timeout", &uclient).is_err(),
            "coturn's client does not get through either"
        );
    }
    {
        let _rule = stage.rule("relay", "input", "udp dport 3478-3481 drop")?;
        let blocked = stage.asked_inside(&[])?;
        blocked.assert(1, &["udp-blocked"]);
        assert_eq!(blocked.of_root(0, "consequences", "kind"), ["allocation".to_owned()].into());
        assert!(blocked.of_root(0, "checks", "subject").contains("UDP 10.20.2.1:3478"));
    }
    {
        let _rule = stage.rule("bob", "prerouting", "udp sport 50000-59999 ip dscp set 0")?;
        for report in [stage.asked_inside(&[])?, stage.on_the_edge(&[])?] {
            report.assert(1, &["mark-lost"]);
            assert_eq!(report.of_root(0, "checks", "kind"), ["mark".to_owned()].into());
        }
    }
    let relay = stage.relay()?;
    relay.run("ip", &["route", "add", "default", "via", INSIDE, "dev", "v2", "metric", "100"])?;
    let gateways = stage.on_the_edge(&[])?;
    gateways.assert_one("two-default-gateways", &["default gateway"], &[]);
    let fixes = gateways.of_root(0, "checks", "fix");
    let fix = fixes.first().ok_or("no fix")?;
    let command = fix.lines().next().ok_or("no command")?;
    assert_eq!(command, "ip route del default via 10.20.2.20 dev v2");
    relay.run("sh", &["-c", command])?;
    stage.on_the_edge(&[])?.assert(0, &[]);

    stage.etc[1].names(&[("10.20.2.77", POOL)])?;
    let elsewhere = stage.asked_inside(&["--wait", "2"])?;
    assert_eq!(
        (elsewhere.status, elsewhere.causes()[0]),
        (Some(1), "name-elsewhere"),
        "{:#}",
        elsewhere.value
    );
    stage.etc[1].names(&[])?;
    stage.asked_inside(&[])?.assert_one("name-not-resolved", &[POOL], &[]);
    stage.etc[0].names(&[("10.20.2.1", POOL), ("10.20.2.20", "sip.carillon.test")])?;
    let public = stage.on_the_edge(&["--external", "sip.carillon.test"])?;
    public.assert_one("name-elsewhere", &["sip.carillon.test"], &[]);
    Ok(())
}

#[test]
fn what_is_wrong_with_the_edge_itself_is_its_root_cause() -> Result<()> {
    let Some(stage) = Stage::new("edge-check-itself")? else { return Ok(()) };
    stage.front_end("another secret than that")?;
    let secret = stage.asked_inside(&[])?;
    secret.assert_one("credential-refused", &["the secret of [relay]"], &["allocation"]);
    stage.front_end("a secret of the test")?;

    // A second machine of the pool, with a certificate of its own.
    let relay = stage.relay()?;
    relay.run("ip", &["addr", "add", "10.20.2.3/24", "dev", "v2"])?;
    relay.run("ip", &["addr", "add", "10.20.1.3/24", "dev", "v1"])?;
    relay.run("ip", &["addr", "add", "fd00:20:1::3/64", "dev", "v1", "nodad"])?;
    let folder = stage.work.path().join("second");
    fs::create_dir_all(&folder)?;
    let addresses = Addresses {
        external: [10, 20, 1, 3].into(),
        external6: "fd00:20:1::3".parse()?,
        internal: [10, 20, 2, 3].into(),
        inside: r#"["10.20.2.0/24"]"#,
    };
    let other = Authority::new(&folder.join("authority"))?;
    other.issue(POOL)?;
    // It hears the Front Ends of the first one's authority.
    fs::copy(stage.authority.file("ca.pem"), folder.join("authority/ca.pem"))?;
    stage.etc[1].names(&[("10.20.2.1", POOL), ("10.20.2.3", POOL)])?;
    {
        let _second = Edge::on(relay, &addresses, PLAN, &more(&other, POOL), &folder)?;
        let pool = stage.asked_inside(&["--legacy-names"])?;
        assert_eq!(pool.status, Some(1));
        assert_eq!(pool.causes(), ["certificate-not-trusted", "keys-differ"], "{:#}", pool.value);
        let alarms = pool.list("checks").into_iter().filter(|check| check["state"] == "false-alarm").count();
        assert!(alarms >= 2, "each machine's: {:#}", pool.value);
    }
    {
        let _second =
            Edge::on(relay, &addresses, PLAN, &more(&stage.authority, "other.carillon.test"), &folder)?;
        let pool = stage.asked_inside(&[])?;
        assert_eq!(pool.causes()[0], "certificate-for-another", "{:#}", pool.value);
    }
    stage.etc[1].names(&[("10.20.2.1", POOL)])?;

    let Stage { network, mut edge, work, .. } = stage;
    edge.begin_to_stop()?;
    edge.wait_for_end()?;
    let relay = network.relay.as_ref().ok_or("no relay")?;
    let off = check(relay, edge.config(), &[])?;
    off.assert(1, &["not-running"]);
    let follows = off.of_root(0, "consequences", "kind");
    assert!(
        ["allocation", "certificate", "door", "listener"].iter().all(|kind| follows.contains(*kind)),
        "{follows:?}"
    );
    let inside = check(&network.bob, &work.path().join("front-end/carillon.toml"), &[])?;
    inside.assert(1, &["service-down"]);
    Ok(())
}

/// As the Edge of a partner finds it: calls pass between the two, sharing does not.
#[test]
fn tcp_that_is_kept_back_where_udp_passes_is_named_as_what_breaks_sharing() -> Result<()> {
    let Some(stage) = Stage::new("edge-check-sharing")? else { return Ok(()) };
    let place = stage.edge.external.to_string();
    let knock = || probe(&stage.network.alice, &[&place, "--only", "av", "--wait", "1"]);
    let heard = |said: &Value| -> BTreeSet<String> {
        let rows = said["listeners"].as_array().into_iter().flatten();
        let relayed = rows.filter(|row| row["port"].as_u64() >= Some(50_000));
        relayed.filter_map(|row| row["heard"].as_str()).map(str::to_owned).collect()
    };
    let (status, said) = knock()?;
    assert_eq!((status, heard(&said)), (Some(0), ["refused".to_owned()].into()), "{said:#}");
    {
        let _rule = stage.rule("relay", "input", "ip daddr 10.20.1.1 tcp dport 50000-59999 drop")?;
        let (status, said) = knock()?;
        assert_eq!((status, heard(&said)), (Some(1), ["only-udp".to_owned()].into()), "{said:#}");
        let rows = said["listeners"].as_array().ok_or("no listeners")?;
        let wrong: Vec<_> = rows.iter().filter(|row| row["well"] == false).collect();
        assert!(wrong.iter().all(|row| row["heard"] == "only-udp"), "{said:#}");
        for (key, words) in [
            ("text", "calls work, sharing and files"),
            ("fix", "open tcp 50000-59999"),
            ("breaks", "desktop sharing and files"),
        ] {
            assert!(wrong[0][key].as_str().is_some_and(|text| text.contains(words)), "{key}: {said:#}");
        }
        // coturn's client speaks through the relay all the while.
        let echo = ["-y", "-m", "1", "-n", "5", "-c"];
        let calls = uclient(&stage.network.alice, stage.edge.external, USER, &echo)?;
        assert_eq!(calls.sent, calls.received, "{}", calls.printed);
    }
    // With both kept back there is the detour, and that is no fault of its own.
    let _rule = stage.rule("relay", "input", "ip daddr 10.20.1.1 th dport 50000-59999 drop")?;
    let (status, said) = knock()?;
    assert_eq!((status, heard(&said)), (Some(0), ["nothing".to_owned()].into()), "{said:#}");
    Ok(())
}
