//! `carillon serve --dev`: a server without preparation. No certificate, no database server, no root, no configuration.
//!
//! What it makes (authority, store, passwords) stays in one directory, so that a softphone keeps working the next time.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::Plan;
use carillon_signaling::{Algorithms, Handling, HistoryPolicy};
use carillon_store::{Author, Retention, Store};
use carillon_wire::forwarded::Proxies;
use carillon_wire::sip::Transport;

use crate::config::{
    CallRecordsConfig, Calls, Certificate, Config, ConfiguredPlan, Limits, ListenerConfig, Log, Names,
    Passwords, Registrations,
};
use crate::users::{NewUser, Rules};

/// Who may sign in.
const USERS: [&str; 2] = ["alice", "bob"];
/// The file of their passwords: they are for trying out, and written down nowhere else.
const PASSWORDS: &str = "passwords";
/// Without the letters and digits that look alike.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// What the command line said.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; `None` is loopback, IPv4 and IPv6.
    pub listen: Option<IpAddr>,
    /// The port of TCP and UDP; TLS has the next one. 0 takes any.
    pub port: u16,
    /// Plain SIP on an address that others reach.
    pub plain: bool,
    /// The plan.
    pub plan: Arc<Plan>,
    /// Where to keep everything.
    pub directory: PathBuf,
    /// Where health and metrics are served.
    pub metrics: Option<SocketAddr>,
    /// `error` to `trace`.
    pub log: String,
}

/// A configuration that nobody had to write, and who may sign in.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The configuration.
    pub config: Config,
    /// Names and passwords.
    pub users: Vec<(String, String)>,
    /// What phones must trust.
    pub authority: PathBuf,
    /// Whether plain SIP is spoken.
    pub plain: bool,
}

/// A file or the store could not be made.
#[derive(Debug)]
pub enum DevError {
    /// A file.
    File(PathBuf, io::Error),
    /// The store.
    Store(carillon_store::Error),
    /// No randomness for passwords.
    Random(getrandom::Error),
    /// A user was refused, which says why.
    User(String),
}

/// Makes what is missing.
pub fn prepare(options: &Options) -> Result<Prepared, DevError> {
    let directory = &options.directory;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| DevError::File(directory.clone(), error))?;
    let config = config(options);
    let users = passwords(&directory.join(PASSWORDS))?;
    add_users(&config, &users)?;
    let plain = config.listeners.iter().any(|listener| listener.transport != Transport::Tls);
    Ok(Prepared { config, users, authority: directory.join("ca.pem"), plain })
}

fn config(options: &Options) -> Config {
    let directory = &options.directory;
    let host = machine_name();
    // The name is what phones look for in the certificate.
    let name = match options.listen {
        Some(address) if !address.is_loopback() && !address.is_unspecified() => address.to_string(),
        Some(address) if address.is_unspecified() => host.clone(),
        _ => "localhost".to_owned(),
    };
    let mut domains = vec![name.clone(), "localhost".to_owned(), host];
    domains.retain(|domain| domain.parse::<IpAddr>().is_err());
    // The name comes first and stands there once.
    domains.dedup();
    domains.truncate(2);
    Config {
        realm: "carillon".to_owned(),
        domains,
        name,
        plan: ConfiguredPlan { toml: options.plan.to_toml(), plan: options.plan.clone() },
        store: directory.join("carillon.db"),
        listeners: listeners(options),
        certificate: Certificate::Authority(directory.clone()),
        trusted: Vec::new(),
        registrations: Registrations { min: 60, default: 3600, max: 86_400 },
        passwords: Passwords::default(),
        directory: None,
        openid: None,
        watchers: Handling::Allow,
        history: HistoryPolicy::default(),
        records: CallRecordsConfig {
            file: directory.join("records.db"),
            keep: Retention { age: Duration::from_secs(90 * 86_400), legs: 100_000 },
            names: Names::Whole,
        },
        calls: Calls::default(),
        limits: Limits {
            connections: 1000,
            unproven_per_source: 1000,
            calls: 1000,
            transactions: 10_000,
            waiting: 64 << 20,
            body: 1 << 20,
        },
        relays: None,
        https: None,
        administration: false,
        origins: Vec::new(),
        proxies: Proxies::default(),
        edges: Vec::new(),
        edge: None,
        admin_socket: directory.join("admin.sock"),
        metrics: options.metrics,
        log: Log { level: options.log.clone(), json: false },
        drain: Duration::ZERO,
    }
}

/// Whoever reads a network reads plain SIP too, so beyond this machine it must be asked for.
fn listeners(options: &Options) -> Vec<ListenerConfig> {
    let addresses = options.listen.map_or_else(loopback, |address| vec![address]);
    let plain = options.plain || addresses.iter().all(IpAddr::is_loopback);
    let transports: &[Transport] =
        if plain { &[Transport::Udp, Transport::Tcp, Transport::Tls] } else { &[Transport::Tls] };
    let mut listeners = Vec::new();
    for address in addresses {
        for transport in transports {
            let port = match (transport, options.port) {
                (Transport::Tls, port @ 1..) => port.saturating_add(1),
                (_, port) => port,
            };
            listeners.push(ListenerConfig {
                transport: *transport,
                address: SocketAddr::new(address, port),
                advertised: None,
                algorithms: Algorithms::Md5,
            });
        }
    }
    listeners
}

/// This machine's own addresses; some machines have IPv6 switched off.
fn loopback() -> Vec<IpAddr> {
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let known = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    if known.lines().any(|line| line.starts_with("00000000000000000000000000000001")) {
        addresses.push(IpAddr::V6(Ipv6Addr::LOCALHOST));
    }
    addresses
}

/// The passwords of last time, or new ones.
fn passwords(file: &Path) -> Result<Vec<(String, String)>, DevError> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => new_passwords(file)?,
        Err(error) => return Err(DevError::File(file.to_owned(), error)),
    };
    let user =
        |line: &str| line.split_once(' ').map(|(name, password)| (name.to_owned(), password.to_owned()));
    Ok(text.lines().filter_map(user).collect())
}

fn new_passwords(file: &Path) -> Result<String, DevError> {
    let mut text = String::new();
    for user in USERS {
        text.push_str(&format!("{user} {}\n", password().map_err(DevError::Random)?));
    }
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    opened
        .and_then(|mut opened| opened.write_all(text.as_bytes()))
        .map_err(|error| DevError::File(file.to_owned(), error))?;
    Ok(text)
}

/// A password of 12 letters and digits, 60 bits.
pub fn password() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes)?;
    Ok(bytes
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
        .map(|letter| char::from(*letter))
        .collect())
}

fn add_users(config: &Config, users: &[(String, String)]) -> Result<(), DevError> {
    let mut store = Store::open(&config.store).map_err(DevError::Store)?;
    let rules = Rules::new(config, &config.plan.plan);
    let new = users.iter().map(|(name, password)| {
        let (name, password) = (name.clone(), password.clone());
        rules
            .user(&NewUser { name, password, site: None, number: None, digest: None })
            .map_err(DevError::User)
    });
    let mut new = new.collect::<Result<Vec<_>, _>>()?;
    let known = store.load_users().map_err(DevError::Store)?;
    new.retain(|user| !known.contains(user));
    let author = Author { who: "serve --dev".to_owned(), time: crate::clock::Clock::start().now() };
    store.import_users(&new, &author).map(drop).map_err(DevError::Store)
}

/// What the machine calls itself, if a certificate can name it.
fn machine_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim().to_ascii_lowercase();
    if crate::config::is_host(&name) { name } else { "localhost".to_owned() }
}

impl fmt::Display for DevError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DevError::File(path, error) => write!(f, "cannot use `{}`: {error}", path.display()),
            DevError::Store(error) => f.write_str(&crate::chain(error)),
            DevError::Random(error) => write!(f, "cannot get randomness from the kernel: {error}"),
            DevError::User(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for DevError {}
