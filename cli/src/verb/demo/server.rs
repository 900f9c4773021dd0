//! The demo's Front End: a real `carillon serve` with a configuration, three users and the plan.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use carillon_server::admin::Client;

use super::network::{Node, Process};
use crate::answer::Failure;

/// The domain of the demo's users.
pub(super) const DOMAIN: &str = "demo.example";
/// They all have the same, and it is nobody's real one.
const PASSWORD: &str = "a demo, not a secret";
/// The plan, as an administrator would write it.
pub(super) const PLAN: &str = include_str!("plan.toml");

/// A running Front End.
pub(super) struct FrontEnd {
    /// Ends the server when it goes.
    process: Process,
    directory: PathBuf,
    /// Where phones sign in.
    pub(super) address: SocketAddr,
}

impl FrontEnd {
    /// Makes its files, adds the users, starts it.
    pub(super) fn start(
        node: Node,
        port: u16,
        plan: &str,
        directory: &Path,
        users: &[&str],
    ) -> Result<FrontEnd, Failure> {
        let ip = node.address.parse().map_err(|error| Failure::new(node.address, error))?;
        let address = SocketAddr::new(ip, port);
        let directory = directory.join("server");
        write(&directory, "plan.toml", plan)?;
        write(&directory, "password", PASSWORD)?;
        write(&directory, "carillon.toml", &configuration(&directory, address))?;
        for user in users {
            add(&directory.join("carillon.toml"), user)?;
        }
        let log = fs::File::create(directory.join("log"))
            .map_err(|error| Failure::new("cannot make the server's log", error))?;
        let process = Process::start(node, |command| {
            command.arg("serve").arg("--config").arg(directory.join("carillon.toml"));
            command.stdout(Stdio::null()).stderr(log);
        })?;
        let running = FrontEnd { process, directory, address };
        super::wait_for("the Front End", || running.socket().exists())?;
        Ok(running)
    }

    /// What phones must trust.
    pub(super) fn authority(&self) -> PathBuf {
        self.directory.join("authority/ca.pem")
    }

    /// A file with the password of every user.
    pub(super) fn password_file(&self) -> PathBuf {
        self.directory.join("password")
    }

    /// Another plan, as an administrator puts it: the file is changed, the server told to read it again.
    pub(super) fn put_plan(&mut self, text: &str) -> Result<(), Failure> {
        let before = self.plan_version()?;
        write(&self.directory, "plan.toml", text)?;
        self.process.signal("HUP")?;
        super::wait_for("the new plan", || self.plan_version().is_ok_and(|version| version > before))
    }

    fn plan_version(&self) -> Result<u64, Failure> {
        let attempt = |error| Failure::new("cannot ask the Front End", error);
        let mut client = Client::connect(&self.socket()).map_err(attempt)?;
        Ok(client.status().map_err(attempt)?.plan.version)
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("admin.sock")
    }
}

fn configuration(directory: &Path, address: SocketAddr) -> String {
    let at = |name: &str| directory.join(name).display().to_string();
    format!(
        "domains = [\"{DOMAIN}\"]\nname = \"sip.{DOMAIN}\"\nplan = \"{}\"\nstore = \"{}\"\n\n\
         [[listeners]]\ntransport = \"tls\"\naddress = \"{}\"\nport = {}\nadvertised = \"{address}\"\n\n\
         [tls]\nauthority = \"{}\"\n\n[admin]\nsocket = \"{}\"\n",
        at("plan.toml"),
        at("carillon.db"),
        address.ip(),
        address.port(),
        at("authority"),
        at("admin.sock"),
    )
}

/// Adds a user as an administrator does.
fn add(configuration: &Path, user: &str) -> Result<(), Failure> {
    let own = std::env::current_exe().map_err(|error| Failure::new("cannot find this program", error))?;
    let attempt = |error: std::io::Error| Failure::new(format!("cannot add the user {user}"), error);
    let mut child = Command::new(own)
        .args(["user", "add", &format!("{user}@{DOMAIN}"), "--config"])
        .arg(configuration)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(attempt)?;
    if let Some(mut stdin) = child.stdin.take() {
        writeln!(stdin, "{PASSWORD}").map_err(attempt)?;
    }
    match child.wait().map_err(attempt)?.success() {
        true => Ok(()),
        false => Err(Failure::Message(format!("cannot add the user {user}: see above"))),
    }
}

fn write(directory: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let file = directory.join(name);
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&file, text))
        .map_err(|error| Failure::new(format!("cannot write `{}`", file.display()), error))
}
