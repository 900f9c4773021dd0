//! `carillon serve` as an Edge on the relay of a [`Network`]: alice is outside, bob is inside.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::network::{Host, Network};
use crate::process::{Process, run, wait_until};
use crate::verdict::program;

/// How long it may take to start or to stop.
const LIMIT: Duration = Duration::from_secs(20);

/// The user whose password never ends.
pub const USER: (&str, &str) = ("alice", "correct horse");

/// A certificate of its own, that is no authority.
const CERTIFICATE: &str = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=edge.carillon.test \
     -addext basicConstraints=critical,CA:FALSE";

/// An Edge that runs.
pub struct Edge {
    process: Process,
    config: PathBuf,
    plan: PathBuf,
    socket: PathBuf,
    /// Its address towards alice.
    pub external: IpAddr,
    /// The same over IPv6.
    pub external6: IpAddr,
    /// Its address towards bob.
    pub internal: IpAddr,
}

/// Where an Edge is reached, and what is behind it.
pub struct Addresses {
    /// From outside.
    pub external: IpAddr,
    /// The same over IPv6.
    pub external6: IpAddr,
    /// From inside.
    pub internal: IpAddr,
    /// Networks, as a list of TOML.
    pub inside: &'static str,
}

impl Edge {
    /// Starts it by a plan, with more lines in its configuration. bob's programs listen where they like, so that all of his ports
    /// are opened to relays.
    pub fn start(network: &Network, plan: &str, more: &str, work: &Path) -> Result<Edge> {
        let host = network.relay.as_ref().ok_or("no host between alice and bob")?;
        let addresses = Addresses {
            external: host.v4().into(),
            external6: host.v6().into(),
            internal: [10, 20, 2, 1].into(),
            inside: r#"["10.20.2.0/24", "fd00:20:2::/64"]"#,
        };
        Edge::on(host, &addresses, plan, more, work)
    }

    /// Starts it on any host.
    pub fn on(host: &Host, addresses: &Addresses, plan: &str, more: &str, work: &Path) -> Result<Edge> {
        let Addresses { external, external6, internal, inside } = *addresses;
        let [config, plan_file, socket] = ["edge.toml", "plan.toml", "edge.sock"].map(|name| work.join(name));
        fs::write(&plan_file, plan)?;
        let own = format!("subjectAltName=IP:{external},DNS:edge.carillon.test");
        let words = CERTIFICATE.split(' ').chain(["-addext", &own]);
        run(Command::new("openssl").args(words).current_dir(work))?;
        fs::write(work.join("secret"), "a secret of the test\n")?;
        let configuration = format!(
            "role = \"edge\"\nplan = \"plan.toml\"\nname = \"edge.carillon.test\"\nrelay.peers = [\"10.20.2.0/24\", \"fd00:20:2::/64\"]\n{more}\n\
             [addresses]\nexternal = \"{external}\"\nexternal6 = \"{external6}\"\ninternal = \"{internal}\"\n\
             inside = {inside}\n\
             [tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n[credentials]\nsecrets = [\"secret\"]\n[[relay-users]]\nname = \"{}\"\npassword = \"{}\"\n\
             [admin]\nsocket = \"edge.sock\"\n",
            USER.0, USER.1
        );
        fs::write(&config, configuration)?;
        let process = serve(host, &config)?;
        let edge = Edge { process, config, plan: plan_file, socket, external, external6, internal };
        edge.wait_until_ready()?;
        Ok(edge)
    }

    /// Starts it again, after it has ended.
    pub fn restarted(self, network: &Network) -> Result<Edge> {
        let host = network.relay.as_ref().ok_or("no host between alice and bob")?;
        let edge = Edge { process: serve(host, &self.config)?, ..self };
        edge.wait_until_ready()?;
        Ok(edge)
    }

    fn wait_until_ready(&self) -> Result<()> {
        let ready = wait_until("an Edge that answers", LIMIT, || Ok(self.status().is_ok()));
        ready.map_err(|error| format!("{error}; it printed:\n{}", self.process.printed()).into())
    }

    /// Has one of its services restarted.
    pub fn restart(&self, unit: &str, more: &[&str]) -> Result<()> {
        let mut command = Command::new(program()?);
        run(command.args(["edge", "restart", unit]).args(more).arg("--socket").arg(&self.socket)).map(drop)
    }

    /// What `carillon status --json` prints.
    pub fn status(&self) -> Result<Value> {
        self.json(&["status", "--json"])
    }

    /// Packets to peers so far.
    pub fn relayed(&self) -> Result<u64> {
        self.status()?["relayed"]["packets_to_peers"].as_u64().ok_or_else(|| "no packets_to_peers".into())
    }

    /// What `carillon edge ports --json` prints.
    pub fn ports(&self) -> Result<Vec<Value>> {
        Ok(serde_json::from_value(self.json(&["edge", "ports", "--json"])?)?)
    }

    /// A user name and password that end.
    pub fn credential(&self, user: &str, more: &[&str]) -> Result<(String, String)> {
        let made = self.json(&[&["edge", "credential", user, "--json"], more].concat())?;
        let text = |key: &str| Ok(made[key].as_str().ok_or("no credential")?.to_owned());
        text("username").and_then(|name: String| Ok((name, text("password")?)))
    }

    /// Puts another plan and has it read: SIGHUP.
    pub fn change_plan(&self, plan: &str) -> Result<()> {
        fs::write(&self.plan, plan)?;
        self.signal("-HUP")
    }

    /// Tells it to stop; it drains.
    pub fn begin_to_stop(&self) -> Result<()> {
        self.signal("-TERM")
    }

    /// Waits until it has ended by itself.
    pub fn wait_for_end(&mut self) -> Result<()> {
        self.process.wait_for_success(LIMIT)
    }

    /// Its process id: `ip netns exec` has become the program.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where it is configured.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// What it has printed.
    pub fn printed(&self) -> String {
        self.process.printed()
    }

    fn signal(&self, signal: &str) -> Result<()> {
        run(Command::new("kill").args([signal, &self.id().to_string()])).map(drop)
    }

    fn json(&self, words: &[&str]) -> Result<Value> {
        let mut command = Command::new(program()?);
        let output = command.args(words).arg("--socket").arg(&self.socket).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{command:?}: {error}: {said}").into())
    }
}

fn serve(host: &Host, config: &Path) -> Result<Process> {
    let mut command = host.command(&program()?.to_string_lossy());
    Process::start(command.args(["serve", "--config"]).arg(config), &config.with_extension("log"))
}

/// `carillon edge probe` on a host: its exit status, and what it says.
pub fn probe(host: &Host, options: &[&str]) -> Result<(Option<i32>, Value)> {
    let mut command = host.command(&program()?.to_string_lossy());
    let output = command.args(["edge", "probe", "--json"]).args(options).output()?;
    let said = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))?;
    Ok((output.status.code(), said))
}

/// What coturn's client says after talking through a relay to a peer that sends everything back.
pub struct Outcome {
    /// Messages sent.
    pub sent: u64,
    /// Messages that came back.
    pub received: u64,
    /// Everything that it printed.
    pub printed: String,
}

/// Runs `turnutils_uclient` to its end, which is `Err` if it could not even begin.
pub fn uclient(host: &Host, server: IpAddr, user: (&str, &str), options: &[&str]) -> Result<Outcome> {
    let mut command = host.command("timeout");
    command
        .args(["60", "turnutils_uclient", "-u", user.0, "-w", user.1])
        .args(options)
        .arg(server.to_string());
    let output = command.output()?;
    let printed =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let last = |key: &str| {
        let rest = printed.lines().rev().find_map(|line| Some(line.split_once(key)?.1))?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    match (last("tot_send_msgs="), last("tot_recv_msgs=")) {
        (Some(sent), Some(received)) if output.status.success() => Ok(Outcome { sent, received, printed }),
        _ => Err(printed.into()),
    }
}
