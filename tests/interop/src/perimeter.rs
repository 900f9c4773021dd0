//! An Edge, and beside it a Front End that shares its secret: alice is outside, bob is inside, and users are given relays.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::network::Network;
use crate::phones::Account;
use crate::process::{Process, run, wait_until};
use crate::servers::edge::Edge;
use crate::site::DOMAIN;
use crate::verdict::program;

/// How long a step may take.
const LIMIT: Duration = Duration::from_secs(20);
const PLAN: &str = "base = \"lync-kloud\"\n[edge]\nmark-internal = true\n";

/// Who may sign in: names and passwords.
pub const USERS: [(&str, &str); 6] = [
    ("alice", "open-sesame"),
    ("bob", "water-melon"),
    ("carol", "barley-corn"),
    ("dave", "millet-seed"),
    ("erin", "quinoa-salad"),
    ("frank", "sorghum-syrup"),
];

/// The hosts and servers.
pub struct Perimeter {
    /// alice, bob, and the only host between them.
    pub network: Network,
    /// The Edge on it.
    pub edge: Edge,
    /// The Front End on it.
    pub front_end: Process,
    work: tempfile::TempDir,
}

/// What a user was given.
pub struct Relays {
    /// Ends with the class, if one was asked for.
    pub name: String,
    /// Proves it until it ends.
    pub password: String,
    /// Where it opens relays, in the order in which they should be tried.
    pub uris: Vec<String>,
}

impl Perimeter {
    /// Starts both, with more lines in the configuration of the Edge.
    pub fn new(edge: &str) -> Result<Perimeter> {
        let (work, network) = (tempfile::tempdir()?, Network::with_relay()?);
        let edge = Edge::start(&network, PLAN, edge, work.path())?;
        let front_end = front_end(&network, edge.external, work.path())?;
        let perimeter = Perimeter { network, edge, front_end, work };
        let socket = perimeter.path("front-end.sock");
        let ready = wait_until("a Front End that answers", LIMIT, || Ok(socket.exists()));
        ready.map_err(|error| format!("{error}; it printed:\n{}", perimeter.front_end.printed()))?;
        Ok(perimeter)
    }

    /// Where its files are.
    pub fn work(&self) -> &Path {
        self.work.path()
    }

    /// One of them.
    pub fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    /// What curl gets on alice's side: status and body.
    pub fn fetch(&self, login: (&str, &str), query: &str, scheme: &str) -> Result<(u16, Value)> {
        let mut command = self.network.alice.command("curl");
        command.args(["-sS", scheme, "-w", "\n%{http_code}", "--cacert"]);
        command.arg(self.path("authority/ca.pem")).args(["-u", &format!("{}:{}", login.0, login.1)]);
        let printed = run(command.arg(format!("https://{}:8443/turn{query}", self.edge.external)))?;
        let (body, status) = printed.trim_end().rsplit_once('\n').ok_or("curl printed no status")?;
        Ok((status.parse()?, serde_json::from_str(body).unwrap_or(Value::Null)))
    }

    /// A credential for a user by name and password, and the places where it opens relays.
    pub fn relays(&self, user: (&str, &str), more: &str) -> Result<Relays> {
        let (status, given) = self.fetch(user, &format!("?service=turn{more}"), "--digest")?;
        let text =
            |key: &str| Ok::<_, String>(given[key].as_str().ok_or(format!("{status}: {given}"))?.to_owned());
        let uris = given["uris"]
            .as_array()
            .ok_or_else(|| format!("{status}: {given}"))?
            .iter()
            .filter_map(Value::as_str);
        let uris = uris.map(str::to_owned).collect();
        Ok(Relays { name: text("username")?, password: text("password")?, uris })
    }

    /// For a phone that signs in by UDP: outside at the external address of the Front End, inside at the internal one.
    pub fn account(&self, (user, password): (&str, &str), server: IpAddr) -> Account {
        Account {
            user: user.to_owned(),
            password: password.to_owned(),
            server: SocketAddr::new(server, 5060),
            transport: "udp",
            ca: self.path("authority/ca.pem"),
            codec: "PCMU/8000/1",
            srtp: false,
            ice: false,
            ports: 50000,
        }
    }

    /// Who holds allocations, one name for each, in the order of names.
    pub fn holders(&self) -> Result<Vec<String>> {
        let rows = self.edge.ports()?;
        let names = rows.iter().filter_map(|row| row["allocation"]["user"].as_str());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }
}

impl Relays {
    /// Name and password.
    pub fn login(&self) -> (&str, &str) {
        (&self.name, &self.password)
    }
}

fn front_end(network: &Network, edge: IpAddr, work: &Path) -> Result<Process> {
    let config = work.join("front-end.toml");
    let text = format!(
        "domains = [{DOMAIN:?}]\nname = \"{edge}\"\nplan = \"plan.toml\"\nstore = \"front-end.db\"\n\
         [[listeners]]\ntransport = \"udp\"\naddress = \"::\"\n\
         [tls]\nauthority = \"authority\"\n\
         [relay]\nservers = [\"{edge}\"]\nsecret = \"secret\"\nlifetime = 600\ntls = 5349\n\
         [https]\nlisten = \"[::]:8443\"\norigins = [\"https://pages.carillon.test\"]\n\
         [admin]\nsocket = \"front-end.sock\"\n[log]\nlevel = \"info\"\n"
    );
    fs::write(&config, text)?;
    let rows: String = USERS.iter().map(|(name, password)| format!("{name},{password}\n")).collect();
    fs::write(work.join("users.csv"), format!("name,password\n{rows}"))?;
    let import = ["user", "import", "--config"];
    run(Command::new(program()?).args(import).arg(&config).arg(work.join("users.csv")))?;
    let host = network.relay.as_ref().ok_or("no host for a Front End")?;
    let mut command = host.command(&program()?.to_string_lossy());
    Process::start(command.args(["serve", "--config"]).arg(&config), &work.join("front-end.log"))
}
