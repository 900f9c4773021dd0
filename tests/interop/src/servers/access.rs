//! A whole site with an Access Edge: a Front End inside, an Edge, and certificates of one authority for both, or of one for each.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use carillon_net::authority::Authority;
use serde_json::Value;

use crate::Result;
use crate::network::Host;
use crate::process::{Process, run, wait_until};
use crate::verdict::program;

const LIMIT: Duration = Duration::from_secs(20);
/// Where clients come in, and where partners do.
pub const CLIENTS: u16 = 443;
/// The port of TLS everywhere else.
pub const TLS: u16 = 5061;

/// Who makes certificates for everybody; or for the outside only, with another authority for the inside.
pub struct Certificates {
    authority: Authority,
    directory: PathBuf,
    inside: Option<Box<Certificates>>,
}

impl Certificates {
    /// A new authority with its files in a directory.
    pub fn new(directory: &Path) -> Result<Certificates> {
        let authority = Authority::open(directory, "Authority of the test")?;
        Ok(Certificates { authority, directory: directory.to_owned(), inside: None })
    }

    /// Two new authorities: nobody outside trusts that of the inside, and nobody inside trusts that of the outside.
    pub fn apart(directory: &Path) -> Result<Certificates> {
        let inside = Box::new(Certificates::new(&directory.join("inside"))?);
        Ok(Certificates { inside: Some(inside), ..Certificates::new(&directory.join("outside"))? })
    }

    /// Who makes those of the inside.
    pub fn inside(&self) -> &Certificates {
        self.inside.as_deref().unwrap_or(self)
    }

    /// Whom everybody (outside) trusts.
    pub fn ca(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Certificate and key for these names and addresses, as files.
    pub fn issue(&self, names: &[&str], addresses: &[IpAddr]) -> Result<(PathBuf, PathBuf)> {
        let own = self.directory.join(names.concat());
        fs::create_dir_all(&own)?;
        self.authority.identity(&own, names, addresses)?;
        Ok((own.join("server.pem"), own.join("server.key")))
    }
}

/// A domain: where its servers are, and who its users are.
#[derive(Clone, Copy)]
pub struct Domain<'a> {
    /// Its name; servers are called `front.` and `edge.` of it.
    pub name: &'a str,
    /// The Front End.
    pub front: IpAddr,
    /// The Edge's side towards it.
    pub internal: IpAddr,
    /// The Edge's side towards the Internet: of the A/V Edge.
    pub external: IpAddr,
    /// The same, of the Access Edge.
    pub access: IpAddr,
    /// Networks inside, where its relays are marked and reach ports of media.
    pub inside: &'a [&'a str],
    /// Names and passwords.
    pub users: &'a [(&'a str, &'a str)],
    /// Other domains, with where their Edge is; unspecified: the DNS knows.
    pub partners: &'a [(&'a str, IpAddr)],
}

/// A server that runs.
pub struct Server {
    process: Process,
    config: PathBuf,
}

impl Domain<'_> {
    /// Starts the Front End with its users.
    pub fn front_end(&self, host: &Host, certificates: &Certificates, work: &Path) -> Result<Server> {
        self.front_end_of(&[*self], "", host, certificates, work)
    }

    /// The same in front of a pool of Edges, with more lines at the beginning of its configuration.
    pub fn front_end_of(
        &self,
        pool: &[Domain<'_>],
        more: &str,
        host: &Host,
        certificates: &Certificates,
        work: &Path,
    ) -> Result<Server> {
        let Domain { name, front, .. } = self;
        let edges: Vec<_> = pool.iter().map(|edge| SocketAddr::new(edge.internal, TLS).to_string()).collect();
        let (certificate, key) = certificates.inside().issue(&[&format!("front.{name}"), name], &[*front])?;
        let (config, ca) = (work.join(format!("front-{name}.toml")), certificates.inside().ca());
        let listeners = [("tls", TLS), ("tcp", 5060), ("udp", 5060)].map(|(transport, port)| {
            format!("[[listeners]]\ntransport = \"{transport}\"\naddress = \"{front}\"\nport = {port}\n")
        });
        fs::write(
            &config,
            format!(
                "domains = [\"{name}\"]\nname = \"{front}\"\nplan = \"lync-kloud\"\nstore = \"{name}.db\"\n{more}{}\
                 [tls]\ncertificate = {certificate:?}\nkey = {key:?}\ntrusted = [{ca:?}]\n\
                 [edge]\nname = \"edge.{name}\"\naddresses = {edges:?}\n[admin]\nsocket = \"front-{name}.sock\"\n",
                listeners.concat(),
            ),
        )?;
        let rows: String = self.users.iter().map(|(user, password)| format!("{user},{password}\n")).collect();
        let users = work.join(format!("{name}.csv"));
        fs::write(&users, format!("name,password\n{rows}"))?;
        run(Command::new(program()?).args(["user", "import", "--config"]).arg(&config).arg(&users))?;
        Server::start(host, config)
    }

    /// Starts the Edge.
    pub fn edge(&self, host: &Host, certificates: &Certificates, work: &Path) -> Result<Server> {
        self.edge_of(&[*self], "service.drain = 1\n", host, certificates, work)
    }

    /// Starts this one of a pool of Edges, which have one certificate for all of them (row 179), with more lines at the beginning of
    /// its configuration.
    pub fn edge_of(
        &self,
        pool: &[Domain<'_>],
        more: &str,
        host: &Host,
        certificates: &Certificates,
        work: &Path,
    ) -> Result<Server> {
        let Domain { name, front, internal, external, access, inside, .. } = self;
        let edge = format!("edge.{name}");
        let addresses: Vec<_> = pool.iter().flat_map(|edge| [edge.access, edge.internal]).collect();
        let issue = |by: &Certificates| by.issue(&[&edge, name], &addresses);
        let ((certificate, key), (inner, inner_key)) = (issue(certificates)?, issue(certificates.inside())?);
        let (config, ca) = (work.join(format!("edge-{name}.toml")), certificates.ca());
        let trusted = certificates.inside().ca();
        let partner = |(domain, address): &(&str, IpAddr)| {
            let place = SocketAddr::new(*address, TLS);
            let addresses =
                if address.is_unspecified() { String::new() } else { format!("addresses = [\"{place}\"]\n") };
            format!("[[partners]]\ndomain = \"{domain}\"\n{addresses}")
        };
        let partners: String = self.partners.iter().map(partner).collect();
        let inside = if inside.is_empty() { String::new() } else { format!("inside = {inside:?}\n") };
        // An Edge for messages only has no use for them, and says so.
        let relay_users = match more.contains("im-only") {
            true => "",
            false => "[[relay-users]]\nname = \"trial\"\npassword = \"correct horse\"\n",
        };
        let plan = work.join("edge-plan.toml");
        fs::write(&plan, "base = \"lync-kloud\"\n[edge]\nmark-internal = true\n")?;
        fs::write(
            &config,
            format!(
                "role = \"edge\"\nplan = {plan:?}\nname = \"{edge}\"\n{more}[addresses]\nexternal = \"{external}\"\n\
                 access = [\"{access}\"]\ninternal = \"{internal}\"\n{inside}[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n\
                 [internal-tls]\ncertificate = {inner:?}\nkey = {inner_key:?}\ntrusted = [{trusted:?}]\n\
                 [access]\ndomains = [\"{name}\"]\nname = \"{access}\"\nnext-hop = \"front.{name}\"\nservers = [\"{}\"]\n\
                 partner-authorities = [{ca:?}]\nprobe = 2\n{partners}\
                 {relay_users}[admin]\nsocket = \"edge-{name}.sock\"\n",
                SocketAddr::new(*front, TLS),
            ),
        )?;
        let edge = Server::start(host, config)?;
        let inside = || Ok(edge.status()?["access"]["next_hops"][0]["answers"] == true);
        wait_until("the inside of an Edge", LIMIT, inside).map_err(|error| edge.told(error))?;
        Ok(edge)
    }
}

impl Server {
    /// Starts the server of a configuration.
    pub fn start(host: &Host, config: PathBuf) -> Result<Server> {
        let mut command = host.command(&program()?.to_string_lossy());
        let command = command.args(["serve", "--config"]).arg(&config);
        let server = Server { process: Process::start(command, &config.with_extension("log"))?, config };
        let ready = wait_until("a server that answers", LIMIT, || Ok(server.status().is_ok()));
        ready.map_err(|error| server.told(error))?;
        Ok(server)
    }

    /// What `carillon status --json` prints.
    pub fn status(&self) -> Result<Value> {
        let mut command = Command::new(program()?);
        let output = command.args(["status", "--json", "--config"]).arg(&self.config).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{command:?}: {error}: {said}").into())
    }

    /// Whether a user, as `name`, has a phone that is signed in at this Front End.
    pub fn knows(&self, user: &str) -> Result<bool> {
        let mut command = Command::new(program()?);
        let printed = run(command.args(["user", "list", "--json", "--config"]).arg(&self.config))?;
        let rows: Vec<Value> = serde_json::from_str(&printed)?;
        let is_it = |row: &&Value| row["name"].as_str().and_then(|name| name.split('@').next()) == Some(user);
        Ok(rows.iter().find(is_it).is_some_and(|row| row["contacts"].as_u64() > Some(0)))
    }

    /// What `carillon edge ports --json` prints.
    pub fn ports(&self) -> Result<Vec<Value>> {
        let mut command = Command::new(program()?);
        Ok(serde_json::from_str(&run(command
            .args(["edge", "ports", "--json", "--config"])
            .arg(&self.config))?)?)
    }

    /// Has its users changed: `carillon user` with these words.
    pub fn user(&self, words: &[&str]) -> Result<()> {
        let mut command = Command::new(program()?);
        run(command.arg("user").args(words).arg("--config").arg(&self.config)).map(drop)
    }

    /// How it is with a partner.
    pub fn partner(&self, domain: &str) -> Result<Value> {
        let status = self.status()?;
        let partners = status["access"]["partners"].as_array().cloned().unwrap_or_default();
        let found = partners.into_iter().find(|partner| partner["domain"] == domain);
        found.ok_or_else(|| format!("no partner {domain}: {status}").into())
    }

    /// A number under `access`.
    pub fn access(&self, path: &str) -> Result<u64> {
        Ok(self.status()?["access"].pointer(path).and_then(Value::as_u64).unwrap_or_default())
    }

    /// Starts it again, after it has ended.
    pub fn restarted(self, host: &Host) -> Result<Server> {
        Server::start(host, self.config)
    }

    /// Tells it to stop, in good order.
    pub fn begin_to_stop(&self) -> Result<()> {
        run(Command::new("kill").args(["-TERM", &self.process.id().to_string()])).map(drop)
    }

    /// Waits until it has ended by itself.
    pub fn wait_for_end(&mut self) -> Result<()> {
        self.process.wait_for_success(LIMIT)
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        run(Command::new("kill").args(["-KILL", &self.process.id().to_string()]))?;
        self.process.wait_for_end(LIMIT)
    }

    /// A user name and password of its relay, which end.
    pub fn credential(&self, user: &str) -> Result<(String, String)> {
        let mut command = Command::new(program()?);
        command.args(["edge", "credential", user, "--class", "audio", "--json", "--config"]);
        let made: Value = serde_json::from_str(&run(command.arg(&self.config))?)?;
        let text = |key: &str| Ok(made[key].as_str().ok_or("no credential")?.to_owned());
        text("username").and_then(|name: String| Ok((name, text("password")?)))
    }

    /// What it has printed.
    pub fn printed(&self) -> String {
        self.process.printed()
    }

    fn told(&self, error: impl std::fmt::Display) -> String {
        format!("{error}; it printed:\n{}", self.printed())
    }
}
