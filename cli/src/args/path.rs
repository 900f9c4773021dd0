//! The flags of what looks at the network: `trace`, `probe`, and the ends of flows that `explain` takes.

use std::net::IpAddr;

use carillon_qos::probe::{self, Token};
use carillon_qos::{Role, TrafficClass};
use clap::{Args, Subcommand, ValueHint};

use super::plan::role;
use super::{ScopeArgs, seconds};

/// `carillon trace`.
#[derive(Args, Debug)]
#[command(after_help = "\
Needs the right CAP_NET_RAW. Every router quotes the header of a packet as it received it; all probes are of one flow.
Exit status: 0 if the mark arrives at the host, 1 if it changes, 2 if the hops do not tell.

Examples:
  sudo carillon trace phone.example.com --class audio --plan plan.toml
  sudo carillon trace 2001:db8::20 --class video --port 50039 --json")]
#[command(group = clap::ArgGroup::new("family").args(["ipv4", "ipv6"]))]
pub struct Trace {
    /// Name or address of the other end.
    #[arg(value_name = "HOST", value_hint = ValueHint::Hostname)]
    pub host: String,
    /// Whose port and mark probes have: audio, video, sharing or file-transfer.
    #[arg(long, value_name = "CLASS", default_value = "audio", value_parser = media_class)]
    pub class: TrafficClass,
    /// The plan: the name of a preset or a file.
    #[arg(long, value_name = "PRESET|FILE", default_value = "lync-kloud", value_hint = ValueHint::FilePath)]
    pub plan: String,
    /// Who sends: client, conferencing, application, mediation, edge, gateway or phone.
    #[arg(long, value_name = "ROLE", default_value = "client", value_parser = role)]
    pub role: Role,
    /// Whose values of the plan hold.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Port of the other end; best is one on which nobody listens [default: the last of the class].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Ask no further than this hop.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u8).range(1..))]
    pub max_hops: u8,
    /// Probes per hop.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=10))]
    pub queries: u8,
    /// Wait so long for an answer.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub wait: f64,
    /// Use IPv4.
    #[arg(short = '4', long)]
    pub ipv4: bool,
    /// Use IPv6.
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The TCP port at which `carillon probe listen` is found.
pub const PROBE_CONTROL: u16 = 5099;
/// The transports that are tested.
pub const PROBE_UDP: probe::Transport = probe::Transport::Udp;
/// See [`PROBE_UDP`].
pub const PROBE_TCP: probe::Transport = probe::Transport::Tcp;

/// `carillon probe`.
#[derive(Subcommand, Debug)]
pub enum Probe {
    /// Wait for the other host: prints what to type there.
    Listen(ProbeListen),
    /// Test every port of the plan, over UDP and TCP, both ways, and the marks that arrive.
    Send(ProbeSend),
}

/// Which plan, and as what.
#[derive(Args, Debug)]
pub struct ProbePlan {
    /// The plan: the name of a preset or a file.
    #[arg(long, value_name = "PRESET|FILE", default_value = "lync-kloud", value_hint = ValueHint::FilePath)]
    pub plan: String,
    /// What this host is: client, conferencing, application, mediation, edge, gateway or phone.
    #[arg(long, value_name = "ROLE", default_value = "client", value_parser = role)]
    pub role: Role,
    /// Whose values of the plan hold.
    #[command(flatten)]
    pub scope: ScopeArgs,
}

/// `carillon probe listen`.
#[derive(Args, Debug)]
#[command(after_help = "\
Opens ports of the plan only while they are tested, and only for one who knows the token.
Exit status: 0 once it is told to stop, 2 if it cannot listen.")]
pub struct ProbeListen {
    /// What is tested.
    #[command(flatten)]
    pub plan: ProbePlan,
    /// Listen at this address only.
    #[arg(long, value_name = "ADDRESS", default_value = "::")]
    pub bind: IpAddr,
    /// The TCP port over which both sides talk.
    #[arg(long, value_name = "PORT", default_value_t = PROBE_CONTROL)]
    pub control: u16,
    /// Use this token instead of a new one.
    #[arg(long, value_name = "TOKEN", value_parser = token)]
    pub token: Option<Token>,
    /// Wait so long for the answer of a port.
    #[arg(long, value_name = "SECONDS", default_value = "1.5", value_parser = seconds)]
    pub wait: f64,
    /// Leave after one test.
    #[arg(long)]
    pub once: bool,
}

/// `carillon probe send`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit status: 0 if every port asked passes both ways, marked as it was sent; 1 if one does not; 2 if nothing could be tested.

Examples:
  carillon probe listen --plan plan.toml --role conferencing                    # there: prints a token
  carillon probe send meet.example.com --plan plan.toml --token 7f3k-9xq2-mm4d-0tzr
  carillon probe send meet.example.com --plan plan.toml --token … --class audio --every 100")]
#[command(group = clap::ArgGroup::new("family").args(["ipv4", "ipv6"]))]
pub struct ProbeSend {
    /// The host that listens.
    #[arg(value_name = "HOST", value_hint = ValueHint::Hostname)]
    pub host: String,
    /// The token that the listener has printed.
    #[arg(long, value_name = "TOKEN", value_parser = token)]
    pub token: Token,
    /// What is tested.
    #[command(flatten)]
    pub plan: ProbePlan,
    /// Test these classes only: audio, video, sharing, file-transfer.
    #[arg(long = "class", value_name = "CLASS", value_delimiter = ',', value_parser = media_class)]
    pub classes: Vec<TrafficClass>,
    /// Test over this transport only: udp or tcp.
    #[arg(long, value_name = "TRANSPORT", value_parser = probe_transport)]
    pub transport: Option<probe::Transport>,
    /// Ask one of so many ports, and the last.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub every: u16,
    /// Wait so long for the answer of a port.
    #[arg(long, value_name = "SECONDS", default_value = "1.5", value_parser = seconds)]
    pub wait: f64,
    /// The TCP port over which both sides talk.
    #[arg(long, value_name = "PORT", default_value_t = PROBE_CONTROL, value_parser = clap::value_parser!(u16).range(1..))]
    pub control: u16,
    /// Use IPv4.
    #[arg(short = '4', long)]
    pub ipv4: bool,
    /// Use IPv6.
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// One end of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowEnd {
    /// The address, if it was given.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

pub(super) fn flow_end(text: &str) -> Result<FlowEnd, String> {
    let wrong = || "write ADDRESS:PORT, [ADDRESS]:PORT or :PORT".to_owned();
    let (address, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
    let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
    match bare {
        "" | "*" => Ok(FlowEnd { address: None, port }),
        bare => bare.parse().map(|address| FlowEnd { address: Some(address), port }).map_err(|_| wrong()),
    }
}

pub(super) fn token(text: &str) -> Result<Token, String> {
    Token::parse(text).ok_or_else(|| "a token has four groups of four letters and digits".to_owned())
}

pub(super) fn probe_transport(text: &str) -> Result<probe::Transport, String> {
    probe::Transport::from_name(&text.to_ascii_lowercase()).ok_or_else(|| "it is none of udp, tcp".to_owned())
}

pub(super) fn media_class(text: &str) -> Result<TrafficClass, String> {
    let class = TrafficClass::from_name(text).filter(|class| class.is_media());
    class.ok_or_else(|| "it is none of audio, video, sharing, file-transfer".to_owned())
}
