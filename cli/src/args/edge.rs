//! Flags of `carillon edge`.

use carillon_qos::TrafficClass;
use clap::{Args, Subcommand};

use super::Reach;
use super::path::media_class;

/// `carillon edge`.
#[derive(Subcommand, Debug)]
pub enum Edge {
    /// List every socket of a running Edge as the kernel has it, UDP and TCP apart, with its service and its allocation.
    Ports(EdgePorts),
    /// Make a user name and password for the relay that end by themselves.
    Credential(EdgeCredential),
}

/// `carillon edge ports`.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 if every socket belongs to a service, 1 if one does not, 2 if no Edge was reached."
)]
pub struct EdgePorts {
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
