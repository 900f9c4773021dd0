//! The configuration: what the file says (`raw`) is one type, what it means ([`Config`]) another.
//!
//! A [`Config`] (of a Front End) and an [`EdgeConfig`] have passed every check; whatever is wrong with a file comes back at once,
//! with lines. Nothing is opened here but the files that it names.

mod access;
mod authentication;
mod calls;
mod director;
mod directory;
mod edge;
mod history;
mod limits;
mod listening;
mod openid;
mod passwords;
mod raw;
mod records;
mod relays;
mod resolve;
mod sample;
mod settings;
mod units;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::Plan;
use carillon_qos::plan::Problem;
use carillon_signaling::{Algorithms, Handling, HistoryPolicy};
use carillon_wire::forwarded::Proxies;
use carillon_wire::sip::Transport;

pub use access::{AccessConfig, AccessPorts};
pub use authentication::Authentication;
pub use calls::Calls;
pub use director::DirectorConfig;
pub use directory::{DirectoryAttributes, DirectoryConfig};
pub use edge::{Addresses, EdgeConfig, Relay, RelayUser};
pub use limits::Limits;
pub use listening::Listening;
pub use openid::OpenIdConfig;
pub use passwords::Passwords;
pub use records::{CallRecordsConfig, Names};
pub use relays::{Secret, UserRelays};
pub(crate) use resolve::is_host;
pub use sample::sample;
pub use settings::{Kind, Occurs, Section, ServerRole, Setting, Unset};
pub use units::{InternalTls, Replica, WebConferencing};

/// What a server is told to do, resolved: paths are whole, files are read, values agree.
#[derive(Clone, PartialEq, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them, read once")]
pub enum Configuration {
    /// To be a Front End.
    FrontEnd(Config),
    /// To be an Edge; or a Director, which is looked after in the same way.
    Edge(EdgeConfig),
}

/// What a Front End is told to do.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Domains of the users, in lower case; at least one.
    pub domains: Vec<String>,
    /// How phones reach the server: a name, or an address.
    pub name: String,
    /// What passwords are hashed with.
    pub realm: String,
    /// The plan that the file names.
    pub plan: ConfiguredPlan,
    /// The file of users and bindings.
    pub store: PathBuf,
    /// Where SIP is spoken; at least one.
    pub listeners: Vec<ListenerConfig>,
    /// What phones see when they connect over TLS.
    pub certificate: Certificate,
    /// Files with the authorities of servers that this one connects to, beside our own.
    pub trusted: Vec<PathBuf>,
    /// How long registrations last, in seconds.
    pub registrations: Registrations,
    /// What passwords must be.
    pub passwords: Passwords,
    /// The directory that names users beside those of the administrator.
    pub directory: Option<DirectoryConfig>,
    /// The OpenID provider that vouches for users.
    pub openid: Option<OpenIdConfig>,
    /// What becomes of watchers of whom a user has not said anything.
    pub watchers: Handling,
    /// Whose instant messages are kept.
    pub history: HistoryPolicy,
    /// How call records are kept.
    pub records: CallRecordsConfig,
    /// What dialled numbers mean, and where voicemail is.
    pub calls: Calls,
    /// What is refused beyond a number.
    pub limits: Limits,
    /// The relays that users are given.
    pub relays: Option<UserRelays>,
    /// The Edge that users outside and other domains come through.
    pub edge: Option<carillon_signaling::Edge>,
    /// Where they are given to other clients.
    pub https: Option<SocketAddr>,
    /// Whether the admin API is there too, for tokens.
    pub administration: bool,
    /// Origins of pages that may ask there (CORS), and open WebSockets.
    pub origins: Vec<String>,
    /// Who says there and at WebSockets for whom it asks.
    pub proxies: Proxies,
    /// Edges that are sent every version of the plan.
    pub edges: Vec<EdgeTarget>,
    /// The socket of the admin API.
    pub admin_socket: PathBuf,
    /// Where health and metrics are served.
    pub metrics: Option<SocketAddr>,
    /// How much is told while running.
    pub log: Log,
    /// How long a stop waits for running calls.
    pub drain: Duration,
}

/// An Edge that is sent every version of the plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EdgeTarget {
    /// Its name, as in its certificate.
    pub name: String,
    /// Where its Replica listens.
    pub address: SocketAddr,
}

/// The plan of the configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct ConfiguredPlan {
    /// Its whole file, as versions keep it.
    pub toml: String,
    /// What it means.
    pub plan: Arc<Plan>,
}

/// A place where SIP is spoken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenerConfig {
    /// What is spoken.
    pub transport: Transport,
    /// Where. Port 0 takes any.
    pub address: SocketAddr,
    /// How phones reach it, if not by the server's name and this port.
    pub advertised: Option<String>,
    /// What users are challenged with.
    pub algorithms: Algorithms,
}

/// Where the certificate comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Certificate {
    /// Somebody else made it.
    Files {
        /// The chain, as PEM.
        certificate: PathBuf,
        /// The private key, as PEM.
        key: PathBuf,
    },
    /// Our own authority in this directory makes it.
    Authority(PathBuf),
}

/// How long registrations last, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registrations {
    /// Who asks for less is refused.
    pub min: u32,
    /// For who does not ask.
    pub default: u32,
    /// Who asks for more gets this.
    pub max: u32,
}

/// How much is told while running, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// `error` to `trace`.
    pub level: String,
    /// One JSON object per line, or lines for people.
    pub json: bool,
}

/// How files that a configuration names are read.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> std::io::Result<Vec<u8>>;

/// Why a configuration is refused: everything that is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal(pub Vec<Mistake>);

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// In which file: the configuration, or the plan that it names.
    pub file: PathBuf,
    /// What and where.
    pub problem: Problem,
}

impl Configuration {
    /// Reads and checks a file with everything that it names.
    pub fn load(file: &Path) -> Result<Configuration, Refusal> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Refusal::of(file, "", format!("the file cannot be read: {error}")))?;
        Configuration::from_toml(&text, file, &|path| std::fs::read(path))
    }

    /// Checks a text as if it stood in that file, with the files that it names read in this way.
    pub fn from_toml(text: &str, file: &Path, read: ReadFile<'_>) -> Result<Configuration, Refusal> {
        let (role, raw, problems) = raw::read(text);
        match role {
            ServerRole::FrontEnd => {
                resolve::resolve(problems, file, read, |resolver| resolver.front_end(&raw))
                    .map(Configuration::FrontEnd)
            }
            ServerRole::Director => {
                resolve::resolve(problems, file, read, |resolver| resolver.director(&raw))
                    .map(Configuration::Edge)
            }
            ServerRole::Edge => resolve::resolve(problems, file, read, |resolver| resolver.edge(&raw))
                .map(Configuration::Edge),
        }
    }

    /// The socket of the admin API.
    pub fn admin_socket(&self) -> &Path {
        match self {
            Configuration::FrontEnd(config) => &config.admin_socket,
            Configuration::Edge(config) => &config.admin_socket,
        }
    }

    /// A Front End's; an Edge knows no users.
    pub fn front_end(self, file: &Path) -> Result<Config, Refusal> {
        match self {
            Configuration::FrontEnd(config) => Ok(config),
            Configuration::Edge(_) => {
                Err(Refusal::of(file, "role", "is that of an Edge or a Director; a Front End is wanted here"))
            }
        }
    }
}

impl Config {
    /// Reads and checks the file of a Front End with everything that it names.
    pub fn load(file: &Path) -> Result<Config, Refusal> {
        Configuration::load(file)?.front_end(file)
    }

    /// Checks a text as if it stood in that file.
    pub fn from_toml(text: &str, file: &Path) -> Result<Config, Refusal> {
        Config::from_toml_with(text, file, &|path| std::fs::read(path))
    }

    /// The same, with the files that it names read in this way.
    pub fn from_toml_with(text: &str, file: &Path, read: ReadFile<'_>) -> Result<Config, Refusal> {
        Configuration::from_toml(text, file, read)?.front_end(file)
    }

    /// Whether TLS is spoken anywhere.
    pub(crate) fn needs_certificate(&self) -> bool {
        !self.certificate_uses().is_empty()
    }

    /// What the certificate is used for, in the words of the field: SIP (`Default`), and HTTPS for those inside and outside.
    /// `OAuthTokenIssuer` has no counterpart: tokens are not signed by a certificate.
    pub(crate) fn certificate_uses(&self) -> Vec<&'static str> {
        let sip = self.listeners.iter().any(|listener| listener.transport.is_secured());
        let web = self.https.is_some();
        let uses = [(sip, "Default"), (web, "WebServicesInternal"), (web, "WebServicesExternal")];
        uses.into_iter().filter(|(is_used, _)| *is_used).map(|(_, word)| word).collect()
    }

    /// This one with what a reload changes; the rest waits for a restart.
    pub(crate) fn reloaded(self, new: Config) -> Config {
        let Config { name, plan, listeners, certificate, trusted, relays, .. } = new;
        let Config { calls, history, passwords, drain, .. } = new;
        Config {
            name,
            plan,
            listeners,
            certificate,
            trusted,
            relays,
            calls,
            history,
            passwords,
            drain,
            ..self
        }
    }

    /// What can't be changed while running: the names of the keys in which the other differs.
    pub fn differs_until_restart(&self, other: &Config) -> Vec<&'static str> {
        let differences = [
            ("domains", self.domains != other.domains),
            ("realm", self.realm != other.realm),
            ("store", self.store != other.store),
            ("registrations", self.registrations != other.registrations),
            ("records", self.records != other.records),
            ("limits", self.limits != other.limits),
            ("replicas", self.edges != other.edges),
            (
                "https",
                (self.https, &self.origins, &self.proxies, self.administration)
                    != (other.https, &other.origins, &other.proxies, other.administration),
            ),
            ("edge, director", self.edge != other.edge),
            ("presence", self.watchers != other.watchers),
            ("directory", self.directory != other.directory),
            ("openid", self.openid != other.openid),
            ("admin.socket", self.admin_socket != other.admin_socket),
            ("metrics.listen", self.metrics != other.metrics),
            ("log", self.log != other.log),
        ];
        differences.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

impl ListenerConfig {
    /// What Via and Record-Route say, once the port is known.
    pub fn advertised(&self, name: &str, bound: SocketAddr) -> String {
        self.advertised.clone().unwrap_or_else(|| match name.parse::<std::net::IpAddr>() {
            Ok(address) => SocketAddr::new(address, bound.port()).to_string(),
            Err(_) => format!("{name}:{}", bound.port()),
        })
    }
}

impl Refusal {
    /// The one thing that is wrong.
    fn of(file: &Path, path: &str, text: impl Into<String>) -> Refusal {
        let problem = Problem { line: 1, path: path.to_owned(), text: text.into() };
        Refusal(vec![Mistake { file: file.to_owned(), problem }])
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Mistake::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.problem)
    }
}
