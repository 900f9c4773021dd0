//! `carillon serve --config` on the site's server, with users imported before it starts.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::process::{Process, run, wait_until};
use crate::recording::captures_dir;
use crate::site::{DOMAIN, Site};
use crate::verdict::program;

/// How long the server may take to start or to stop.
const LIMIT: Duration = Duration::from_secs(20);

/// Where SIP in clear is spoken.
const PLAIN: u16 = 5060;

/// Where TLS is spoken.
const TLS: u16 = 5061;

/// Where numbers are served, to the server itself.
const METRICS: u16 = 9061;

/// How the server is configured.
pub struct Settings<'a> {
    /// Names and passwords.
    pub users: &'a [(&'a str, &'a str)],
    /// `md5`, `sha-256` or `both`, for every listener.
    pub digest: &'a str,
    /// What else stands in the configuration.
    pub more: &'a str,
}

/// In what it is started, beside the usual.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
    /// Files with its certificate and key; one of its own authority if there are none.
    pub certificate: Option<(String, String)>,
}

/// A server that runs.
pub struct Carillon {
    process: Process,
    config: PathBuf,
    work: PathBuf,
    environment: Vec<(String, String)>,

    /// Whom phones must trust.
    pub ca: PathBuf,
    v4: IpAddr,
}

impl Carillon {
    /// Imports the users and starts it: UDP, TCP and TLS, on both families.
    pub fn start(site: &Site, settings: &Settings<'_>, work: &Path) -> Result<Carillon> {
        Carillon::start_in(site, settings, work, Surroundings::default())
    }

    /// The same in other surroundings.
    pub fn start_in(
        site: &Site,
        settings: &Settings<'_>,
        work: &Path,
        surroundings: Surroundings,
    ) -> Result<Carillon> {
        let Surroundings { environment, certificate } = surroundings;
        let config = work.join("carillon.toml");
        fs::write(&config, configuration(settings, certificate, work)?)?;
        import(&config, settings.users, work)?;

        let process = spawn(site, &config, work, &environment)?;
        let (ca, work) = (work.join("authority/ca.pem"), work.to_owned());
        let mut server = Carillon { process, config, work, environment, ca, v4: site.server.v4().into() };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Where a transport is spoken, over IPv4.
    pub fn address(&self, transport: &str) -> SocketAddr {
        SocketAddr::new(self.v4, if transport == "tls" { TLS } else { PLAIN })
    }

    /// What `carillon status --json` prints.
    pub fn status(&self) -> Result<Value> {
        let mut command = Command::new(program()?);
        command.args(["status", "--json", "--config"]).arg(&self.config);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{command:?}: {error}: {said}").into())
    }

    /// What `carillon records` prints.
    pub fn records(&self, arguments: &[&str]) -> Result<String> {
        run(Command::new(program()?).arg("records").args(arguments).arg("--config").arg(&self.config))
    }

    /// The same as JSON.
    pub fn records_json(&self, arguments: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.records(&[arguments, &["--json"]].concat())?)?)
    }

    /// Has `carillon user` do this to its users.
    pub fn user(&self, what: &[&str]) -> Result<()> {
        let mut command = Command::new(program()?);
        run(command.arg("user").args(what).arg("--config").arg(&self.config)).map(drop)
    }

    /// Names of the users with a phone that is signed in.
    pub fn registered(&self) -> Result<BTreeSet<String>> {
        let mut command = Command::new(program()?);
        let printed = run(command.args(["user", "list", "--json", "--config"]).arg(&self.config))?;
        let rows: Vec<Value> = serde_json::from_str(&printed)?;
        let signed_in =
            rows.iter().filter(|row| row["contacts"].as_u64().is_some_and(|contacts| contacts > 0));
        let name = |row: &Value| row["name"].as_str()?.split('@').next().map(str::to_owned);
        Ok(signed_in.filter_map(name).collect())
    }

    /// A number of the status, as `registrations`.
    pub fn counted(&self, what: &str) -> Result<u64> {
        self.status()?[what].as_u64().ok_or_else(|| format!("no number {what} in the status").into())
    }

    /// The sum of a metric over all its labels that contain the words; 0 if there is none.
    pub fn metric(&self, site: &Site, name: &str, labels: &str) -> Result<u64> {
        let page = site.server.run("bash", &["-c", FETCH, "bash", &METRICS.to_string()])?;
        let lines = page.lines().filter(|line| line.starts_with(&format!("carillon_{name}")));
        let values = lines.filter(|line| line.contains(labels)).filter_map(|line| line.rsplit(' ').next());
        Ok(values.filter_map(|value| value.parse::<u64>().ok()).sum())
    }

    /// Puts a plan in place of the version that was seen, by the admin API.
    pub fn put_plan(&self, plan: &str, seen: u64) -> Result<()> {
        let file = self.work.join("new-plan.toml");
        fs::write(&file, plan)?;
        let mut command = Command::new("curl");
        command
            .args(["-sS", "--fail-with-body", "-X", "PUT", "--unix-socket"])
            .arg(self.work.join("admin.sock"));
        command.args(["-H", &format!("If-Match: \"{seen}\""), "--data-binary"]);
        run(command.arg(format!("@{}", file.display())).arg("http://carillon/plan")).map(drop)
    }

    /// Its process id: `ip netns exec` has become the program.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        run(Command::new("kill").args(["-KILL", &self.id().to_string()]))?;
        self.process.wait_for_end(LIMIT)
    }

    /// Starts it anew on what was saved.
    pub fn restart(&mut self, site: &Site) -> Result<()> {
        self.process = spawn(site, &self.config, &self.work, &self.environment)?;
        self.wait_until_ready()
    }

    /// Bytes of memory that are resident, and open descriptors: the least of a moment, in which those of questions that were
    /// just answered close.
    pub fn size(&self) -> Result<(u64, usize)> {
        let process = PathBuf::from(format!("/proc/{}", self.id()));
        let status = fs::read_to_string(process.join("status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        let mut descriptors = usize::MAX;
        for _ in 0..10 {
            descriptors = descriptors.min(fs::read_dir(process.join("fd"))?.count());
            sleep(Duration::from_millis(50));
        }
        Ok((kilobytes.ok_or("no resident memory")? * 1024, descriptors))
    }

    /// Whether it still runs, and what it printed if not.
    pub fn assert_unharmed(&self) -> Result<()> {
        match self.status() {
            Ok(status) if status["trouble"].is_null() => Ok(()),
            Ok(status) => Err(format!("trouble: {}", status["trouble"]).into()),
            Err(error) => Err(format!("{error}; it printed:\n{}", self.process.printed()).into()),
        }
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let outcome = wait_until("carillon serving", LIMIT, || Ok(self.status().is_ok()));
        outcome.map_err(|error| format!("{error}; it printed:\n{}", self.process.printed()).into())
    }
}

/// Plain HTTP without a program for it.
const FETCH: &str = r#"exec 3<>/dev/tcp/127.0.0.1/$1; printf 'GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3; cat <&3"#;

fn spawn(site: &Site, config: &Path, work: &Path, environment: &[(String, String)]) -> Result<Process> {
    let mut command = site.server.command(&program()?.to_string_lossy());
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    Process::start(command.args(["serve", "--config"]).arg(config), &work.join("carillon.log"))
}

fn configuration(
    settings: &Settings<'_>,
    certificate: Option<(String, String)>,
    work: &Path,
) -> Result<String> {
    let plan = captures_dir().join("plans/phones.toml").canonicalize()?;
    let mut text = format!(
        "domains = [{DOMAIN:?}]\nname = {DOMAIN:?}\nplan = {plan:?}\nstore = {:?}\n{}\n",
        work.join("carillon.db"),
        settings.more
    );
    for (transport, port) in [("udp", PLAIN), ("tcp", PLAIN), ("tls", TLS)] {
        writeln!(text, "[[listeners]]\ntransport = {transport:?}\naddress = \"::\"\nport = {port}")?;
        writeln!(text, "digest = {:?}", settings.digest)?;
    }
    match certificate {
        Some((chain, key)) => writeln!(text, "[tls]\ncertificate = {chain:?}\nkey = {key:?}")?,
        None => writeln!(text, "[tls]\nauthority = {:?}", work.join("authority"))?,
    }
    writeln!(text, "[admin]\nsocket = {:?}", work.join("admin.sock"))?;
    writeln!(text, "[metrics]\nlisten = \"127.0.0.1:{METRICS}\"")?;
    Ok(text)
}

fn import(config: &Path, users: &[(&str, &str)], work: &Path) -> Result<()> {
    let file = work.join("users.csv");
    let rows: Vec<String> = users.iter().map(|(name, password)| format!("{name},{password}\n")).collect();
    fs::write(&file, format!("name,password\n{}", rows.concat()))?;
    run(Command::new(program()?).args(["user", "import", "--config"]).arg(config).arg(&file)).map(drop)
}
