//! The one table of flags: parser, help, man pages and completions are all made from it.

mod cert;
mod edge;
mod path;
mod plan;
mod records;
mod user;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use carillon_media::codec::Codec;
use carillon_media::dtmf::Key;
use carillon_media::negotiate::Encryption;
use carillon_qos::Role;
use carillon_qos::probe;
use carillon_qos::verify::RoleAssignment;
use carillon_server::config::ServerRole;
use carillon_wire::sip::{Transport, Uri};
use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

pub use self::cert::{Cert, CertCheck, CertList, CertPublish, CertRoots};
pub use self::edge::{Edge, EdgeCheck, EdgeCredential, EdgePorts, EdgeProbe, EdgeRestart};
pub use self::path::{
    FlowEnd, PROBE_CONTROL, PROBE_TCP, PROBE_UDP, Probe, ProbeListen, ProbePlan, ProbeSend, Trace,
};
use self::path::{flow_end, probe_transport};
pub use self::plan::{Between, Check, Export, Import, Plan, Show};
pub use self::records::{Records, RecordsExport, RecordsFilter, RecordsList, RecordsSummary};
pub use self::user::{AddUser, OfUser, User};
use crate::verb::call::Misbehaviour;
use crate::verb::demo::Part;

/// The one program of Carillon: one plan of ports and marks, and verdicts over what is really sent.
#[derive(Parser, Debug)]
#[command(name = "carillon", version, disable_help_subcommand = true, subcommand_required = true)]
#[command(after_help = "Exit status: 0 means yes, 1 means no, 2 means that it could not tell.")]
pub struct Cli {
    /// When to use colours.
    #[command(flatten)]
    pub color: Color,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Colours.
#[derive(Args, Debug)]
pub struct Color {
    /// Use colours: on terminals that want them, always, or never.
    #[arg(long = "color", value_name = "WHEN", default_value = "auto", global = true)]
    #[arg(value_parser = ["auto", "always", "never"], hide_possible_values = false)]
    when: String,
}

impl Color {
    /// Applies the choice to everything printed from here on.
    pub fn write_global(&self) {
        match self.when.as_str() {
            "always" => anstream::ColorChoice::Always.write_global(),
            "never" => anstream::ColorChoice::Never.write_global(),
            _ => {}
        }
    }
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Show everything in a minute: two sites, a congested WAN, calls, three faults found and mended.
    Demo(Demo),
    /// Judge captures against a plan: ports, marks, loss, jitter; with a cause and a fix for what is wrong.
    Verify(Verify),
    /// Show, check and compare plans; spell them for devices, read devices back.
    #[command(subcommand)]
    Plan(Plan),
    /// Run the server.
    Serve(Serve),
    /// The management shell: the documented cmdlets of Lync and NetQos, verbatim.
    Shell(ManagementShell),
    /// Add, import, list, change and remove users.
    #[command(subcommand)]
    User(User),
    /// Show what the server is doing: registrations, calls, ports, marks.
    Status(Status),
    /// Show what became of calls: who, when, which way, with which marks, how good, and why they ended.
    #[command(subcommand)]
    Records(Records),
    /// See whether an Edge works and what it has open, restart one of its services, and make credentials for its relay.
    #[command(subcommand)]
    Edge(Edge),
    /// Say which phones believe a certificate, and publish its root for the others.
    #[command(subcommand)]
    Cert(Cert),
    /// Say what is wrong with a configuration; exit status 1 if something is.
    CheckConfig(CheckConfig),
    /// Name the hop after which the mark of a class changes on the way to a host.
    Trace(Trace),
    /// Prove with two hosts that the plan's ports pass the firewalls between them, before anything is installed.
    #[command(subcommand)]
    Probe(Probe),
    /// Translate a mark between name, decimal, hexadecimal, binary and traffic byte.
    Dscp(Dscp),
    /// Explain a finding of `verify`, a lint of `plan lint`, a port, a flow, or a number of an event log.
    #[command(subcommand)]
    Explain(Explain),
    /// A phone without a face: signs in, calls or answers, and reports what was planned, sent and received.
    Call(Call),
    /// Print the completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page, or write one per verb into a directory.
    #[command(hide = true)]
    Man {
        /// Directory to write `carillon.1`, `carillon-verify.1` and so on into.
        #[arg(value_hint = ValueHint::DirPath)]
        directory: Option<PathBuf>,
    },
}

/// `carillon demo`.
#[derive(Args, Debug)]
#[command(after_help = "\
Needs no root: it makes its own user, network and mount namespaces. Where those are forbidden it says so and shows what
works without them, on loopback.
Exit status: 0 if green, red with the right causes, and green again were really seen; 1 if not; 2 if it could not run.")]
pub struct Demo {
    /// Leave the captures, the verdicts and a report here.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// A part of the demo, which it starts itself.
    #[arg(long, hide = true)]
    pub part: Option<Part>,
    /// What that part works on.
    #[arg(hide = true, requires = "part")]
    pub rest: Vec<String>,
}

/// `carillon verify`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit status: 0 if every judged packet obeys the plan, 1 if one does not, 2 if it could not be judged.

Examples:
  carillon verify calls.pcapng --plan lync-kloud
  carillon verify calls.pcapng --plan plan.toml --role conferencing=10.1.0.0/24 --html report.html
  carillon verify --between phone.pcap server.pcap --plan schertz-vvx
  tcpdump -w - | carillon verify - --plan teams")]
#[command(group = clap::ArgGroup::new("packets").required(true).args(["files", "between", "live"]))]
pub struct Verify {
    /// Captures (pcap or pcapng, also compressed with gzip); `-` is standard input.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Plan to judge against: the name of a preset or a file. Without it the presets are tried.
    #[arg(long, value_name = "PRESET|FILE", value_hint = ValueHint::FilePath)]
    pub plan: Option<String>,
    /// Who is what: `conferencing=10.1.0.0/24`. The longest prefix wins. Roles that nobody told are guessed from
    /// ports: a server's range is wide, so tell the servers.
    #[arg(long = "role", value_name = "ROLE=ADDR[/PREFIX]", value_parser = role_assignment)]
    pub roles: Vec<RoleAssignment>,
    /// Compare two captures of the same calls, taken at two points of the path.
    #[arg(long, num_args = 2, value_names = ["A", "B"], value_hint = ValueHint::FilePath)]
    pub between: Vec<PathBuf>,
    /// Where in the plan the packets were captured.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Judge the marks of STUN and DTLS too, not only those of media and signaling.
    #[arg(long, requires = "plan")]
    pub strict: bool,
    /// The switch's queues: a preset name, or a file with a mark and a queue per line.
    #[arg(long = "map", value_name = "QUEUEMAP", requires = "plan", value_hint = ValueHint::FilePath)]
    pub queue_map: Option<String>,
    /// Print the verdict as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Write a report as one HTML file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
    /// List every flow, not only the worst.
    #[arg(long)]
    pub all: bool,
    /// Capture from this interface instead of reading files (needs the right to do so).
    #[arg(long, value_name = "INTERFACE", conflicts_with = "files")]
    pub live: Option<String>,
    /// Stop the live capture after so many seconds; without it, Ctrl-C ends it and the verdict follows.
    #[arg(long, value_name = "SECONDS", requires = "live", conflicts_with_all = ["files", "between"])]
    pub duration: Option<u64>,
    /// Judge with so many processor cores [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub cores: Option<u16>,
    /// Keep so many flows in detail; further ones are only counted [default: 65536].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit_flows: Option<u32>,
}

/// `carillon serve`.
#[derive(Args, Debug)]
#[command(after_help = "\
SIGHUP reads configuration, certificates and plan again; SIGTERM and Ctrl-C stop, a second one at once.

Examples:
  carillon serve --dev
  carillon serve --dev --listen 192.0.2.10
  carillon serve --config /etc/carillon/carillon.toml")]
#[command(group = clap::ArgGroup::new("how").required(true).args(["config", "dev"]))]
pub struct Serve {
    /// Serve as this file says; `carillon check-config --sample` prints one.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Serve at once, to try it out: own certificate, two users, everything in one directory.
    #[arg(long)]
    pub dev: bool,
    /// Where to listen [default: this machine only]. Others are served over TLS alone.
    #[arg(long, value_name = "ADDRESS", requires = "dev")]
    pub listen: Option<IpAddr>,
    /// The port of UDP and TCP; TLS has the next one. 0 takes any.
    #[arg(long, value_name = "PORT", requires = "dev", default_value_t = 5060)]
    pub port: u16,
    /// Speak plain SIP over UDP and TCP to others too: whoever reads the network reads it.
    #[arg(long, requires = "listen")]
    pub plain: bool,
    /// The plan: the name of a preset or a file.
    #[arg(long, value_name = "PRESET|FILE", requires = "dev", value_hint = ValueHint::FilePath, default_value = "lync-kloud")]
    pub plan: String,
    /// Where certificate, passwords and users are kept [default: carillon-dev, here or in $XDG_STATE_HOME].
    #[arg(long, value_name = "DIR", requires = "dev", value_hint = ValueHint::DirPath)]
    pub state: Option<PathBuf>,
    /// Serve /health and /metrics here.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "dev")]
    pub metrics: Option<SocketAddr>,
    /// How much to tell while running.
    #[arg(long, value_name = "LEVEL", requires = "dev", default_value = "warn")]
    #[arg(value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub log: String,
}

/// Which server is meant.
#[derive(Args, Clone, Debug)]
pub struct Reach {
    /// The server of this configuration, whether it runs or not [default: the one of `serve --dev` here, otherwise of
    /// /etc/carillon: carillon.toml, edge.toml or director.toml].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// The running server with this admin socket.
    #[arg(long, value_name = "SOCKET", conflicts_with = "config", value_hint = ValueHint::FilePath)]
    pub socket: Option<PathBuf>,
}

/// `carillon shell`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit status: 0 if everything was done, 1 if something was not, 2 if the text could not be read or the server not reached.

Examples:
  carillon shell
  carillon shell -c 'Get-CsConferencingConfiguration | fl client*'
  carillon shell --plan plan.toml -c 'Set-CsUCPhoneConfiguration -Identity global -VoiceDiffServTag 46'
  carillon shell --plan plan.toml changes.ps1")]
pub struct ManagementShell {
    /// Do what this file says; `-` is standard input. Without it and without -c, lines are asked for.
    #[arg(value_name = "FILE.ps1", value_hint = ValueHint::FilePath)]
    pub script: Option<PathBuf>,
    /// Do this.
    #[arg(
        short = 'c',
        long = "command",
        value_name = "TEXT",
        conflicts_with = "script",
        allow_hyphen_values = true
    )]
    pub command: Option<String>,
    /// Act on this plan file instead of a server.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "socket"], value_hint = ValueHint::FilePath)]
    pub plan: Option<PathBuf>,
    /// Read only what PowerShell reads, and add no sites or services that the plan doesn't know.
    #[arg(long)]
    pub strict: bool,
    /// Print objects as JSON, one a line.
    #[arg(long)]
    pub json: bool,
    /// Which server.
    #[command(flatten)]
    pub server: Reach,
}

/// `carillon status`.
#[derive(Args, Debug)]
pub struct Status {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Which server.
    #[command(flatten)]
    pub server: Reach,
}

/// `carillon check-config`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["file", "sample"]))]
pub struct CheckConfig {
    /// The configuration.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Print a configuration to edit, with every key, its meaning and what holds without it: a Front End's, an Edge's or a Director's.
    #[arg(long, value_name = "ROLE", num_args = 0..=1, default_missing_value = "front-end", value_parser = server_role)]
    pub sample: Option<ServerRole>,
    /// Print JSON.
    #[arg(long, conflicts_with = "sample")]
    pub json: bool,
}

/// Whose values of a plan hold.
#[derive(Args, Clone, Debug)]
pub struct ScopeArgs {
    /// Take the values of this site of the plan.
    #[arg(long, value_name = "SITE")]
    pub site: Option<String>,
    /// Take the values of this service of the plan.
    #[arg(long, value_name = "SERVICE")]
    pub service: Option<String>,
}

/// `carillon dscp`.
#[derive(Args, Debug)]
pub struct Dscp {
    /// A mark in any spelling: `46`, `ef`, `101110`, `0x2e`, `AF41`. Without it, all 64.
    #[arg(value_name = "MARK")]
    pub mark: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `carillon explain`.
#[derive(Subcommand, Debug)]
pub enum Explain {
    /// Explain a finding of `verify`: how it is recognised, when it is wrong, how to fix it.
    Finding {
        /// Name of the finding; without it, all are listed.
        name: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Print the reference of all findings, as in docs/verdicts.md.
        #[arg(long, hide = true, conflicts_with_all = ["name", "json"])]
        markdown: bool,
    },
    /// Explain a lint of `plan lint`.
    Lint {
        /// Name of the lint; without it, all are listed.
        name: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Explain a port: who listens there, what breaks if it is closed, what the plan uses it for.
    Port {
        /// The port: `8057`.
        #[arg(value_name = "PORT")]
        port: String,
        /// The plan whose ranges are looked through: a preset or a file.
        #[arg(long, value_name = "PRESET|FILE", default_value = "lync-kloud", value_hint = ValueHint::FilePath)]
        plan: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Explain a flow: class, role and mark that the plan gives it, in each direction.
    Flow {
        /// Where it comes from: `10.1.0.7:20003`, or `:20003` for any address.
        #[arg(value_name = "SRC:PORT", value_parser = flow_end)]
        source: FlowEnd,
        /// Where it goes.
        #[arg(value_name = "DST:PORT", value_parser = flow_end)]
        destination: FlowEnd,
        /// udp or tcp.
        #[arg(value_name = "PROTO", value_parser = probe_transport)]
        transport: probe::Transport,
        /// The plan: a preset or a file.
        #[arg(long, value_name = "PRESET|FILE", default_value = "lync-kloud", value_hint = ValueHint::FilePath)]
        plan: String,
        /// Who is what: `conferencing=10.1.0.0/24`. Without it every role is looked at.
        #[arg(long = "role", value_name = "ROLE=ADDR[/PREFIX]", value_parser = role_assignment)]
        roles: Vec<RoleAssignment>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Explain a dialled number: which number a caller means by it, and by which rule of the configuration.
    Number {
        /// What is dialled: `0301234`.
        #[arg(value_name = "DIALLED", allow_hyphen_values = true)]
        dialled: String,
        /// The site of the caller.
        #[arg(long, value_name = "SITE")]
        site: Option<String>,
        /// The configuration with the rules.
        #[arg(long, value_name = "FILE", default_value = "/etc/carillon/carillon.toml", value_hint = ValueHint::FilePath)]
        config: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Explain a number of an event log: HRESULT, Windows, Winsock, QoS policies.
    Event {
        /// In any spelling: `-2147014848`, `0x80072740`, `10048`, `WSAEADDRINUSE`.
        #[arg(value_name = "CODE", allow_hyphen_values = true)]
        code: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// `carillon call`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit status: 0 if every call was as planned (ports, marks, sound), 1 if one was not, 2 if no call came about.
The password is read from --password-file or from the variable CARILLON_PASSWORD.

Examples:
  carillon call --server sip.example.com --ca ca.pem --user bob@example.com --password-file bob --answer
  carillon call --server sip.example.com --ca ca.pem --user alice@example.com --password-file alice \\
    --to bob@example.com --duration 10 --expect bob
  carillon call --server 127.0.0.1 --ca ca.pem --user alice@example.com --show-provisioning")]
#[command(group = clap::ArgGroup::new("action").required(true).args(["to", "answer", "show_provisioning"]))]
pub struct Call {
    /// Where to sign in; without a port 5061, without TLS 5060.
    #[arg(long, value_name = "HOST[:PORT]", value_hint = ValueHint::Hostname)]
    pub server: String,
    /// How to reach the server: tls, tcp or udp.
    #[arg(long, value_name = "TRANSPORT", default_value = "tls", value_parser = transport)]
    pub transport: Transport,
    /// Whom to trust: certificates of authorities in a PEM file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca: Option<PathBuf>,
    /// Who signs in.
    #[arg(long, value_name = "USER@DOMAIN", value_parser = address_of_record)]
    pub user: String,
    /// File with the password in its first line; `-` is standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub password_file: Option<PathBuf>,
    /// Call this user.
    #[arg(long, value_name = "USER@DOMAIN", value_parser = address_of_record)]
    pub to: Option<String>,
    /// Wait for calls and answer them, until Ctrl-C.
    #[arg(long)]
    pub answer: bool,
    /// Print the document that the server provisions, and what it means.
    #[arg(long)]
    pub show_provisioning: bool,
    /// Let it ring so long before answering.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub ring: f64,
    /// Hang up so long after the call was answered [default: when the other side does, or at Ctrl-C].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<f64>,
    /// Leave after the first call.
    #[arg(long, conflicts_with_all = ["to", "show_provisioning"])]
    pub once: bool,
    /// What to say: `alice`, `bob`, or a WAV file [default: alice calls, bob answers].
    #[arg(long, value_name = "SPEECH", value_hint = ValueHint::FilePath)]
    pub send: Option<String>,
    /// What should be heard, in the same way: the report says how like it is.
    #[arg(long, value_name = "SPEECH", value_hint = ValueHint::FilePath)]
    pub expect: Option<String>,
    /// Write what was heard into a WAV file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,
    /// Codecs, the preferred one first: opus, g722, pcmu, pcma [default: all].
    #[arg(long = "codec", value_name = "CODEC", value_delimiter = ',', value_parser = codec)]
    pub codecs: Vec<Codec>,
    /// Whether to encrypt media: required, optional or off.
    #[arg(long, value_name = "WHEN", default_value = "optional", value_parser = encryption)]
    pub srtp: Encryption,
    /// Look for no way (ICE): media goes to the addresses of the descriptions, and relays are not used.
    #[arg(long)]
    pub no_ice: bool,
    /// Press these keys once the call is up: 0 to 9, *, #, A to D.
    #[arg(long, value_name = "KEYS", value_parser = keys)]
    pub dtmf: Option<String>,
    /// Break the plan on purpose, to see it found: ports=A-B, no-marks, ignore-provisioning.
    #[arg(long, value_name = "FAULT", value_parser = Misbehaviour::parse)]
    pub misbehave: Vec<Misbehaviour>,
    /// Print the reports as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Print what happens while it happens, each as one line of JSON.
    #[arg(long, conflicts_with = "json")]
    pub events: bool,
}

fn transport(text: &str) -> Result<Transport, String> {
    Transport::from_name(text.to_ascii_lowercase().as_bytes())
        .filter(|transport| !transport.is_web())
        .ok_or_else(|| "it is none of tls, tcp, udp".to_owned())
}

fn address_of_record(text: &str) -> Result<String, String> {
    let text = text.strip_prefix("sip:").unwrap_or(text);
    let valid = Uri::parse(format!("sip:{text}").as_bytes())
        .is_ok_and(|uri| uri.user.is_some() && uri.host.is_some());
    valid.then(|| text.to_owned()).ok_or_else(|| "write USER@DOMAIN".to_owned())
}

fn server_role(text: &str) -> Result<ServerRole, String> {
    ServerRole::ALL
        .into_iter()
        .find(|role| role.name() == text)
        .ok_or_else(|| "is no role of a server: front-end or edge".to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds));
    seconds.ok_or_else(|| "write seconds, such as 10 or 0.5, up to a day".to_owned())
}

fn codec(text: &str) -> Result<Codec, String> {
    let known = Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(text));
    known.ok_or_else(|| "it is none of opus, g722, pcmu, pcma".to_owned())
}

fn encryption(text: &str) -> Result<Encryption, String> {
    match text {
        "required" => Ok(Encryption::Required),
        "optional" => Ok(Encryption::Optional),
        "off" => Ok(Encryption::Off),
        _ => Err("it is none of required, optional, off".to_owned()),
    }
}

fn keys(text: &str) -> Result<String, String> {
    match text.chars().find(|key| Key::new(*key).is_none()) {
        None => Ok(text.to_owned()),
        Some(other) => Err(format!("`{other}` is no key of a telephone")),
    }
}

/// Reads `ROLE=ADDRESS` or `ROLE=ADDRESS/PREFIX`.
fn role_assignment(text: &str) -> Result<RoleAssignment, String> {
    let (role, network) = text.split_once('=').ok_or("write ROLE=ADDRESS or ROLE=ADDRESS/PREFIX")?;
    let role = Role::from_name(role).ok_or_else(|| {
        let known: Vec<_> = Role::ALL.iter().map(|role| role.name()).collect();
        format!("`{role}` is no role; roles are {}", known.join(", "))
    })?;
    let (address, prefix) = match network.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (network, None),
    };
    let network: IpAddr = address.parse().map_err(|_| format!("`{address}` is no IP address"))?;
    let longest = if network.is_ipv4() { 32 } else { 128 };
    match prefix.map(str::parse) {
        None => Ok(RoleAssignment { role, network, prefix: longest }),
        Some(Ok(prefix)) if prefix <= longest => Ok(RoleAssignment { role, network, prefix }),
        Some(_) => Err(format!("`{text}` has no prefix length from 0 to {longest} after the slash")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_table_of_flags_has_no_contradiction() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_role_belongs_to_an_address_or_a_network() {
        let role = role_assignment("conferencing=10.1.0.0/24").unwrap();
        assert_eq!((role.role, role.prefix), (Role::Conferencing, 24));
        assert_eq!(role_assignment("phone=2001:db8::1").unwrap().prefix, 128);
        for (wrong, part) in [
            ("phone", "ROLE=ADDRESS"),
            ("director=10.0.0.1", "conferencing"),
            ("phone=10.0.0", "no IP address"),
            ("phone=10.0.0.1/33", "from 0 to 32"),
        ] {
            assert!(role_assignment(wrong).unwrap_err().contains(part), "{wrong}");
        }
    }

    #[test]
    fn a_phone_calls_or_answers_or_shows_and_its_values_are_checked() {
        let parse = |line: &str| {
            let line = format!("carillon call --server s --user alice@example.com {line}");
            Cli::try_parse_from(line.split(' ')).map(|cli| match cli.verb {
                Verb::Call(call) => call,
                other => panic!("{other:?}"),
            })
        };
        let call = parse(
            "--to sip:bob@example.com --codec pcmu,opus --srtp required --misbehave no-marks --dtmf 12#",
        )
        .unwrap();
        assert_eq!(call.to.as_deref(), Some("bob@example.com"));
        assert_eq!(call.codecs, [Codec::Pcmu, Codec::Opus]);
        assert_eq!((call.transport, call.srtp), (Transport::Tls, Encryption::Required));
        assert_eq!(call.misbehave, [Misbehaviour::NoMarks]);
        assert!(parse("--answer --once --transport udp --ring 0.2").is_ok());
        for wrong in [
            "",
            "--to bob@example.com --answer",
            "--to bob",
            "--to bob@example.com --once",
            "--answer --json --events",
            "--answer --codec speex",
            "--answer --srtp maybe",
            "--answer --dtmf 1x",
            "--answer --ring -1",
            "--answer --transport sctp",
            "--answer --misbehave politely",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn verify_wants_packets_from_exactly_one_place() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).is_ok();
        assert!(parse("carillon verify a.pcap b.pcap"));
        assert!(parse("carillon verify --between a.pcap b.pcap"));
        assert!(parse("carillon verify --live eth0 --duration 5"));
        assert!(!parse("carillon verify"));
        assert!(!parse("carillon verify a.pcap --live eth0"));
        assert!(!parse("carillon verify a.pcap --duration 5"));
        assert!(!parse("carillon verify a.pcap --cores 0"));
    }
}
