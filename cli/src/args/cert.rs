//! Flags of `carillon cert`.

use std::path::PathBuf;

use carillon_qos::trust::{Firmware, day};
use clap::{Args, Subcommand, ValueHint};

use super::Reach;

/// `carillon cert`.
#[derive(Subcommand, Debug)]
pub enum Cert {
    /// Say which phones believe a certificate, before it is assigned: by the roots in their firmware.
    Check(CertCheck),
    /// List the certificates that a running server shows, what each is used for, and until when it holds.
    List(CertList),
    /// Write what publishes a chain in Active Directory, where phones that are signed in over USB fetch roots.
    Publish(CertPublish),
    /// List the roots that came with Lync Phone Edition, and which of them have expired.
    Roots(CertRoots),
}

/// `carillon cert check`.
#[derive(Args, Debug)]
#[command(after_help = "\
Phones of Lync Phone Edition take in no other roots than those of their firmware, until they sign in by PIN or find them in the
directory. A firmware that is not told is taken for the oldest. A list of phones is CSV: name,firmware.

Exit status: 0 if every phone believes it, 1 if one does not, 2 if it could not be told.

Examples:
  carillon cert check new.pem
  carillon cert check new.pem root.pem --firmware 4.0.7577.4414
  carillon cert check new.pem --phones phones.csv --published root.pem")]
pub struct CertCheck {
    /// The server's certificate and those above it, in order; PEM, in one file or several.
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Firmware of a phone [default: of every release].
    #[arg(long, value_name = "VERSION")]
    pub firmware: Vec<Firmware>,
    /// Phones by name, with their firmware.
    #[arg(long, value_name = "FILE.csv", value_hint = ValueHint::FilePath, conflicts_with = "firmware")]
    pub phones: Option<PathBuf>,
    /// Certificates that are published in the directory.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub published: Vec<PathBuf>,
    /// Judge as on this day [default: today].
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = days)]
    pub at: Option<i64>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `carillon cert list`.
#[derive(Args, Debug)]
#[command(after_help = "\
Uses of a Front End are those of Get-CsCertificate: Default (SIP), WebServicesInternal and WebServicesExternal (HTTPS);
OAuthTokenIssuer has no counterpart here. Uses of an Edge are its services.

Exit status: 0 if each holds for another 30 days, 1 if not, 2 if the server can't be asked.")]
pub struct CertList {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Which server.
    #[command(flatten)]
    pub server: Reach,
}

/// `carillon cert publish`.
#[derive(Args, Debug)]
#[command(after_help = "\
Writes each certificate as Base-64 X.509, publish.cmd for a Windows machine of the domain, and publish.ldif for everybody else.
The server's own certificate is left out.

Exit status: 0 if it is written, 2 if not, or if the chain has a gap.")]
pub struct CertPublish {
    /// The server's certificate and those above it, in order; PEM, in one file or several.
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Domain of the forest's root: `example.com`.
    #[arg(long, value_name = "DOMAIN")]
    pub domain: String,
    /// The folder to write to; it is made.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
}

/// `carillon cert roots`.
#[derive(Args, Debug)]
pub struct CertRoots {
    /// Only those in this firmware.
    #[arg(long, value_name = "VERSION")]
    pub firmware: Option<Firmware>,
    /// What has expired on this day [default: today].
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = days)]
    pub at: Option<i64>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

fn days(text: &str) -> Result<i64, String> {
    day(text).ok_or_else(|| "is no day like 2026-11-27".to_owned())
}
