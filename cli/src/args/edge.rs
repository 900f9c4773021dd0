//! Flags of `carillon edge`.

use std::path::PathBuf;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_qos::check::Side;
use carillon_qos::probe::Token;
use carillon_server::edge::Unit;
use clap::{Args, Subcommand, ValueHint};

use super::path::{media_class, token};
use super::{Reach, seconds};

/// `carillon edge`.
#[derive(Subcommand, Debug)]
pub enum Edge {
    /// Look at an Edge as its clients and servers do, and say what is wrong: root causes first, each with its fix.
    Check(EdgeCheck),
    /// Knock at every listener of an Edge as a stranger does, and explain what is heard.
    Probe(EdgeProbe),
    /// List every socket of a running Edge as the kernel has it, UDP and TCP apart, with its service and its allocation.
    Ports(EdgePorts),
    /// Make a user name and password for the relay that end by themselves.
    Credential(EdgeCredential),
    /// Stop one service of a running Edge and start it again; the others go on.
    Restart(EdgeRestart),
}

/// `carillon edge check`.
#[derive(Args, Debug)]
#[command(after_help = "\
On the Edge, with its configuration: names, routes, services, sockets, certificates, and a packet through every door of the
relay. Its mark is read where it arrives inside: at a `carillon probe listen` there (--inside, --token).
On a Front End, with that one's configuration: every machine of the pool as servers inside see it.

Exit status: 0 if all is well, 1 if something is not, 2 if something could not be checked.

Examples:
  carillon edge check
  carillon edge check --inside 10.0.0.20 --token 7f3k-9xq2-mm4d-0tzr --external sip.example.com
  carillon edge check --config /etc/carillon/carillon.toml --pool edge.example.com --legacy-names")]
pub struct EdgeCheck {
    /// The configuration of the Edge that runs here, or of a Front End [default: /etc/carillon/edge.toml, otherwise
    /// /etc/carillon/carillon.toml].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// From a Front End: look at the machines that this name leads to [default: the one that the configuration names].
    #[arg(long, value_name = "NAME")]
    pub pool: Option<String>,
    /// On the Edge: what this machine is called [default: its host name].
    #[arg(long, value_name = "NAME")]
    pub machine: Option<String>,
    /// On the Edge: this name must lead to it from outside.
    #[arg(long, value_name = "NAME")]
    pub external: Vec<String>,
    /// On the Edge: a host inside where `carillon probe listen` runs.
    #[arg(long, value_name = "HOST", requires = "token")]
    pub inside: Option<String>,
    /// The token that it has printed.
    #[arg(long, value_name = "TOKEN", requires = "inside", value_parser = token)]
    pub token: Option<Token>,
    /// The TCP port at which it is found.
    #[arg(long, value_name = "PORT", default_value_t = super::PROBE_CONTROL)]
    pub control: u16,
    /// Ask for certificates by the names of machines too, as testers of 2013 did, and label the false alarm.
    #[arg(long)]
    pub legacy_names: bool,
    /// Wait so long for each answer.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    wait: f64,
    /// List every check, not only what is not well.
    #[arg(long)]
    pub all: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

impl EdgeCheck {
    /// How long each answer is waited for.
    pub fn wait(&self) -> Duration {
        Duration::from_secs_f64(self.wait)
    }
}

/// `carillon edge probe`.
#[derive(Args, Debug)]
#[command(after_help = "\
What the test with telnet shows, and what it can't: a listener that takes the connection and is silent, one that answers characters
without a sense, UDP (by a STUN Binding), and relayed ports, which refuse. Needs no configuration and no credential.

Exit status: 0 if every listener is as it should be, 1 if one is not, 2 if nothing could be tried.

Examples:
  carillon edge probe sip.example.com
  carillon edge probe edge.example.com --side inside
  carillon edge probe 203.0.113.7 --only av --relayed 50137
  carillon edge probe conf.example.com --only web-conferencing --name conf.example.com --trusted authority.pem")]
pub struct EdgeProbe {
    /// The Edge.
    #[arg(value_name = "HOST", value_hint = ValueHint::Hostname)]
    pub host: String,
    /// On which of its sides this host is: outside or inside.
    #[arg(long, value_name = "SIDE", default_value = "outside", value_parser = side)]
    pub side: Side,
    /// The services that have this address, if not all have it: access, authentication, av, web-conferencing, replica.
    #[arg(long, value_name = "SERVICE", value_delimiter = ',', value_parser = unit)]
    pub only: Vec<Unit>,
    /// A port of the relay's range to try, as `carillon edge ports --dynamic` lists them [default: three of 50000-59999].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1024..))]
    pub relayed: Vec<u16>,
    /// The name that its certificates must be for [default: any].
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Hostname)]
    pub name: Option<String>,
    /// File with the authorities of its certificates, as PEM: another one is a proxy that opens TLS on the way.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub trusted: Option<PathBuf>,
    /// Wait so long for each answer.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    wait: f64,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

impl EdgeProbe {
    /// How long each answer is waited for.
    pub fn wait(&self) -> Duration {
        Duration::from_secs_f64(self.wait)
    }
}

/// `carillon edge ports`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit status: 0 if every socket belongs to a service, 1 if one does not, 2 if no Edge was reached.
With --from: 0 if each place is waited for once and by its own service, 1 if not, 2 if the file is no list, or has no Edge in it.

Examples:
  carillon edge ports --dynamic
  netstat -abn > ports.txt        (on Windows, as administrator)
  carillon edge ports --from ports.txt")]
pub struct EdgePorts {
    /// What `netstat -abn` printed on an Edge of Lync, or `ss -tulpn` on Linux, instead of a running Edge; `-` is standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["dynamic", "config", "socket"])]
    pub from: Option<PathBuf>,
    /// Only relayed ports, by allocation.
    #[arg(long)]
    pub dynamic: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Which Edge.
    #[command(flatten)]
    pub server: Reach,
}

/// `carillon edge credential`.
#[derive(Args, Debug)]
#[command(after_help = "\
The password is made as in the TURN REST draft: base64(HMAC-SHA1(secret, \"EXPIRY:USER\")).

Examples:
  carillon edge credential alice
  carillon edge credential alice --class audio --lifetime 3600 --json")]
pub struct EdgeCredential {
    /// Whose quota it counts on.
    #[arg(value_name = "USER")]
    pub user: String,
    /// The site whose quota it counts on too.
    #[arg(long, value_name = "SITE")]
    pub site: Option<String>,
    /// What it is for; its packets are marked so [default: the listener and the ports of the peers say].
    #[arg(long, value_name = "CLASS", value_parser = media_class)]
    pub class: Option<TrafficClass>,
    /// How long it lasts.
    #[arg(long, value_name = "SECONDS", default_value_t = 28_800, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub lifetime: u64,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Which Edge.
    #[command(flatten)]
    pub server: Reach,
}

/// `carillon edge restart`.
#[derive(Args, Debug)]
#[command(after_help = "\
The A/V Edge takes no new allocations and waits for those that run, as long as `service.drain` says.

Exit status: 0 if it runs again, 1 if it could not be started, 2 if no Edge was reached or it is off.")]
pub struct EdgeRestart {
    /// Which service: access, authentication, av, web-conferencing or replica.
    #[arg(value_name = "SERVICE", value_parser = unit)]
    pub unit: Unit,
    /// Cut off what runs.
    #[arg(long)]
    pub now: bool,
    /// Which Edge.
    #[command(flatten)]
    pub server: Reach,
}

fn side(word: &str) -> Result<Side, String> {
    match word {
        "inside" => Ok(Side::Inside),
        "outside" => Ok(Side::Outside),
        _ => Err("is no side of an Edge; they are outside and inside".to_owned()),
    }
}

fn unit(word: &str) -> Result<Unit, String> {
    let known = || Unit::ALL.map(Unit::word).join(", ");
    Unit::from_word(word).ok_or_else(|| format!("is no service of an Edge; they are {}", known()))
}
