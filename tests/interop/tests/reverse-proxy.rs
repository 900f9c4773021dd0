//! Pages outside that sign in through a reverse proxy of others, nginx as packaging/ has it: SIP over WebSocket, tokens and relays by
//! HTTPS, media by the relay of the Edge and by nothing else. JsSIP in Chromium and curl judge.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::network::{Host, Network};
use carillon_interop::phones::web::{ORIGIN, Proof, Web};
use carillon_interop::phones::{Account, assert_heard_by_page};
use carillon_interop::process::{Process, run, wait_until};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;
use carillon_interop::servers::authority::Authority;
use carillon_interop::servers::edge::Edge;
use carillon_interop::site::DOMAIN;
use carillon_interop::tshark::{self, Flow};
use carillon_interop::verdict::program;
use serde_json::Value;

const PLAN: &str = "base = \"lync-kloud\"\n[edge]\nmark-internal = true\n";
const LIMIT: Duration = Duration::from_secs(20);
/// Long enough to know a voice again.
const TALK: Duration = Duration::from_secs(7);
const USERS: [(&str, &str); 2] = [("alice", "open-sesame"), ("bob", "water-melon")];
/// The proxy, from outside and from inside.
const OUTER: &str = "10.20.3.7";
const INNER: &str = "10.20.4.7";
/// The Front End.
const SERVER: &str = "10.20.2.20";
/// alice's host, and somebody else out there.
const ALICE: &str = "10.20.3.10";
const OTHER: &str = "10.20.3.11";
/// Where the Access Edge listens, as one address outside is shared.
const ACCESS: u16 = 5061;
/// Wrong passwords that lock a source out.
const ATTEMPTS: usize = 3;

/// alice outside; between her and the inside the Edge, and beside it the proxy; inside the Front End, and bob at the same host.
struct Stage {
    network: Network,
    edge: Edge,
    front_end: Process,
    proxy: Process,
    _outside: Host,
    work: tempfile::TempDir,
}

impl Stage {
    fn new(name: &str, programs: &[&str]) -> Result<Option<Stage>> {
        if !possible(name, &[&["nginx", "curl", "openssl"], programs].concat())? {
            return Ok(None);
        }
        let (work, network) = (tempfile::tempdir()?, Network::with_relay()?);
        let authority = Authority::new(&work.path().join("pki"))?;
        ["edge.carillon.test", "phone.carillon.test"]
            .into_iter()
            .try_for_each(|name| authority.issue(name))?;
        let outside = network.beside_relay("p")?;
        network.alice.run("ip", &["addr", "add", &format!("{OTHER}/24"), "dev", "v3"])?;
        let edge = Edge::start(&network, PLAN, &access(&authority), work.path())?;
        let front_end = front_end(&network.bob, edge.external, work.path())?;
        let proxy = proxy(&outside, &authority, work.path())?;
        let stage = Stage { network, edge, front_end, proxy, _outside: outside, work };
        let ready = wait_until("a proxy that answers", LIMIT, || {
            Ok(stage.get(&[], "alice", ALICE, "/token").is_ok_and(|(status, _)| status == 401))
        });
        ready
            .map_err(|error| format!("{error}; {}; {}", stage.proxy.printed(), stage.front_end.printed()))?;
        Ok(Some(stage))
    }

    /// What is answered through the proxy to a user name and password, or to nobody, from one of the addresses outside.
    fn get(&self, more: &[&str], login: &str, from: &str, path: &str) -> Result<(u16, Value)> {
        let place = format!("https://{OUTER}{path}");
        let ca = self.work.path().join("pki/ca.pem");
        let resolve = format!("phone.carillon.test:443:{OUTER}");
        let named = place.replace(OUTER, "phone.carillon.test");
        let more = [&["--interface", from, "--resolve", &resolve], more].concat();
        fetch(&self.network.alice, &ca, login, &more, &named)
    }

    fn account(&self, user: usize, server: SocketAddr) -> Account {
        let (name, password) = USERS[user];
        Account {
            user: name.to_owned(),
            password: password.to_owned(),
            server,
            transport: "wss",
            ca: self.work.path().join("pki/ca.pem"),
            codec: "OPUS/48000/2",
            srtp: false,
            ports: 50000,
            ice: true,
        }
    }

    /// Who is locked out of alice.
    fn locked(&self) -> Result<Vec<String>> {
        let mut command = Command::new("curl");
        command.args(["-sS", "--fail", "--unix-socket"]).arg(self.work.path().join("front-end.sock"));
        let rows: Value = serde_json::from_str(&run(command.arg("http://carillon/users/alice/lock"))?)?;
        let rows = rows.as_array().ok_or("no locks")?;
        Ok(rows.iter().filter_map(|row| row["source"].as_str()).map(str::to_owned).collect())
    }
}

fn fetch(host: &Host, ca: &Path, login: &str, more: &[&str], place: &str) -> Result<(u16, Value)> {
    let mut command = host.command("curl");
    command.args(["-sS", "-m", "10", "--digest", "-u", login, "-w", "\n%{http_code}", "--cacert"]).arg(ca);
    let printed = run(command.args(more).arg(place))?;
    let (body, status) = printed.trim_end().rsplit_once('\n').unwrap_or(("", printed.trim()));
    Ok((status.parse()?, serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// An Access Edge is there, and has nothing to do.
fn access(authority: &Authority) -> String {
    let [certificate, key, ca] =
        ["edge.carillon.test.pem", "edge.carillon.test.key", "ca.pem"].map(|name| authority.file(name));
    format!(
        "internal-tls.certificate = \"{certificate}\"\ninternal-tls.key = \"{key}\"\ninternal-tls.trusted = [\"{ca}\"]\n\
         access.domains = [{DOMAIN:?}]\naccess.next-hop = \"fe.carillon.test\"\naccess.servers = [\"{SERVER}:5061\"]\n"
    )
}

fn front_end(host: &Host, edge: IpAddr, work: &Path) -> Result<Process> {
    let config = work.join("front-end.toml");
    let text = format!(
        "domains = [{DOMAIN:?}]\nname = \"sip.carillon.test\"\nplan = \"plan.toml\"\nstore = \"front-end.db\"\n\
         [[listeners]]\ntransport = \"wss\"\naddress = \"::\"\n[tls]\nauthority = \"authority\"\n\
         [passwords]\nattempts = {ATTEMPTS}\n[relay]\nservers = [\"{edge}\"]\nsecret = \"secret\"\n\
         [https]\nlisten = \"[::]:8443\"\norigins = [{ORIGIN:?}]\ntrusted-proxies = [\"{INNER}\"]\n\
         [admin]\nsocket = \"front-end.sock\"\n"
    );
    fs::write(&config, text)?;
    let rows: String = USERS.iter().map(|(name, password)| format!("{name},{password}\n")).collect();
    fs::write(work.join("users.csv"), format!("name,password\n{rows}"))?;
    run(Command::new(program()?)
        .args(["user", "import", "--config"])
        .arg(&config)
        .arg(work.join("users.csv")))?;
    let mut command = host.command(&program()?.to_string_lossy());
    let process =
        Process::start(command.args(["serve", "--config"]).arg(&config), &work.join("front-end.log"))?;
    let ready = wait_until("a Front End", LIMIT, || Ok(work.join("front-end.sock").exists()));
    ready.map_err(|error| format!("{error}; it printed:\n{}", process.printed()))?;
    Ok(process)
}

/// nginx with what lies in packaging/, but for names and addresses.
fn proxy(host: &Host, authority: &Authority, work: &Path) -> Result<Process> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/nginx.conf");
    let ours = work.join("authority/ca.pem");
    let server = fs::read_to_string(sample)?
        .replace("/etc/nginx/carillon/phone.pem", &authority.file("phone.carillon.test.pem"))
        .replace("/etc/nginx/carillon/phone.key", &authority.file("phone.carillon.test.key"))
        .replace("/etc/nginx/carillon/front-end-ca.pem", &ours.to_string_lossy())
        .replace("example.com", DOMAIN)
        .replace("10.0.0.11", "10.20.4.20");
    let temporary: Vec<String> = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};\n", work.join(kind).display()))
        .into();
    let text = format!(
        "daemon off;\nuser root;\npid {};\nerror_log stderr;\nevents {{ }}\nhttp {{\naccess_log off;\n{}{server}}}\n",
        work.join("nginx.pid").display(),
        temporary.concat()
    );
    let config = work.join("nginx.conf");
    fs::write(&config, text)?;
    let mut command = host.command("nginx");
    Process::start(command.arg("-c").arg(&config), &work.join("nginx.log"))
}

#[test]
fn a_page_outside_signs_in_by_the_proxy_and_speaks_by_the_relay_alone() -> Result<()> {
    let programs = ["chromium", "python3", "esbuild", "tshark"];
    let Some(stage) = Stage::new("reverse-proxy", &programs)? else { return Ok(()) };
    let place = |ip: &str, port| Ok::<_, std::net::AddrParseError>(SocketAddr::new(ip.parse()?, port));
    let (of_alice, of_bob) = (stage.account(0, place(OUTER, 443)?), stage.account(1, place(SERVER, 443)?));
    // There is no other way in.
    let direct = format!("https://{SERVER}:8443/token");
    assert!(fetch(&stage.network.alice, &of_alice.ca, "alice:open-sesame", &[], &direct).is_err());
    let capture =
        Capture::on(&stage.network.alice, &Point::cooked("alice", "LINUX_SLL2"), stage.work.path())?;

    let (status, given) = stage.get(&[], "alice:open-sesame", ALICE, "/turn?service=turn&class=audio")?;
    assert_eq!(status, 200, "{given}");
    let (status, token) = stage.get(&[], "alice:open-sesame", ALICE, "/token")?;
    assert_eq!(status, 200, "{token}");
    let token = token["access_token"].as_str().ok_or("no token")?;
    let mut alice = Web::open(&stage.network.alice, &of_alice, stage.work.path())?;
    assert_eq!(alice.sign_in_at("/sip", &of_alice, Proof::Token(token))?, "registered");
    let mut bob = Web::open(&stage.network.bob, &of_bob, stage.work.path())?;
    assert_eq!(bob.sign_in(&of_bob, Proof::Password)?, "registered");
    alice.use_relays(&given)?;
    alice.call(&of_bob.address())?;
    std::thread::sleep(TALK);
    bob.hang_up()?;
    wait_until("the end of the call", LIMIT, || alice.is_over())?;
    assert_heard_by_page("alice", &alice.heard()?, &of_bob)?;
    assert_heard_by_page("bob", &bob.heard()?, &of_alice)?;
    assert!(stage.edge.relayed()? > 100);
    assert_eq!(stage.edge.status()?["access"]["signed_in"], 0);
    drop((alice, bob));
    stage.assert_separate(&capture.stop()?)
}

impl Stage {
    /// Outside nothing was heard but TLS of the proxy and TURN of the A/V Edge, and nobody spoke to the Access Edge.
    fn assert_separate(&self, capture: &Path) -> Result<()> {
        let (proxy, edge): (IpAddr, IpAddr) = (OUTER.parse()?, self.edge.external);
        let mut heard = BTreeSet::new();
        for Flow { tcp, source, destination } in tshark::marks(capture, &[])?.into_keys() {
            assert!(
                (destination.ip(), destination.port()) != (edge, ACCESS),
                "{source} spoke to the Access Edge"
            );
            if !self.is_alices(source.ip()) && self.is_alices(destination.ip()) {
                heard.insert((source.ip(), source.port(), tcp));
            }
        }
        let doors =
            BTreeSet::from([(proxy, 443, true), (edge, 3479, false), (edge, 3478, false), (edge, 443, true)]);
        assert!(heard.contains(&(proxy, 443, true)) && heard.contains(&(edge, 3479, false)), "{heard:?}");
        assert!(heard.is_subset(&doors), "{heard:?}");
        Ok(())
    }

    fn is_alices(&self, ip: IpAddr) -> bool {
        let beside = [ALICE, OTHER, "fd00:20:3::a"].iter().filter_map(|ip| ip.parse().ok());
        ip.is_loopback() || self.network.alice.addresses().into_iter().chain(beside).any(|own| own == ip)
    }

    /// So many wrong passwords as lock somebody out; and the answer to the right one afterwards.
    fn guess(&self, more: &[&str], from: &str) -> Result<u16> {
        for attempt in 1..=ATTEMPTS {
            let refused = if attempt < ATTEMPTS { 401 } else { 429 };
            assert_eq!(self.get(more, "alice:wrong", from, "/token")?.0, refused);
        }
        Ok(self.get(more, "alice:open-sesame", from, "/token")?.0)
    }
}

#[test]
fn who_guesses_behind_the_proxy_locks_itself_out_and_nobody_else() -> Result<()> {
    let Some(stage) = Stage::new("reverse-proxy-guesses", &[])? else { return Ok(()) };
    let right = "alice:open-sesame";
    let status =
        |from| Ok::<_, Box<dyn std::error::Error + Send + Sync>>(stage.get(&[], right, from, "/token")?.0);
    // What it says of itself, the proxy replaces.
    let header = format!("X-Forwarded-For: {OTHER}");
    assert_eq!(stage.guess(&["-H", &header, "-H", &format!("Forwarded: for={OTHER}")], ALICE)?, 429);
    assert_eq!(stage.locked()?, [ALICE]);
    assert_eq!(status(OTHER)?, 200);

    // Whoever reaches the Front End itself, and is no proxy of ours, locks out itself.
    let place = "https://sip.carillon.test:8443/token";
    let resolve = format!("sip.carillon.test:8443:{SERVER}");
    let relay = stage.network.relay.as_ref().ok_or("no relay")?;
    let ca: PathBuf = stage.work.path().join("authority/ca.pem");
    let forged = ["--resolve", &resolve, "-H", &header];
    for _ in 0..ATTEMPTS {
        assert_ne!(fetch(relay, &ca, "alice:wrong", &forged, place)?.0, 200);
    }
    assert_eq!(fetch(relay, &ca, right, &forged, place)?.0, 429);
    assert_eq!(
        stage.locked()?.into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from([ALICE, "10.20.2.1"].map(str::to_owned))
    );
    assert_eq!(status(OTHER)?, 200);
    Ok(())
}

#[test]
fn a_page_that_guesses_is_counted_at_its_own_address() -> Result<()> {
    let Some(stage) = Stage::new("reverse-proxy-page", &["chromium", "python3", "esbuild"])? else {
        return Ok(());
    };
    let mut account = stage.account(0, SocketAddr::new(OUTER.parse()?, 443));
    let mut page = Web::open(&stage.network.alice, &account, stage.work.path())?;
    account.password = "wrong".to_owned();
    for _ in 0..ATTEMPTS {
        assert_ne!(page.sign_in_at("/sip", &account, Proof::Password)?, "registered");
    }
    assert_eq!(stage.locked()?, [ALICE]);
    // Over HTTPS it is the same source, and another one may.
    assert_eq!(stage.get(&[], "alice:open-sesame", ALICE, "/token")?.0, 429);
    assert_eq!(stage.get(&[], "alice:open-sesame", OTHER, "/token")?.0, 200);
    Ok(())
}
