//! Users of an LDAP directory (RFC 4511) or Active Directory, which is read and never written: who is there becomes a user here,
//! and the directory itself judges their passwords.
//!
//! It runs beside the turn, on a thread of its own; the turn is told what has changed. The codec is a library's, the connections
//! are `net`'s.

mod conversation;
mod entry;
mod follow;
mod reconcile;
mod sign_in;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carillon_net::tls::client_config;
use carillon_wire::ip::Dscp;
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use entry::{Found, read_message};
pub(crate) use follow::start;
pub(crate) use sign_in::Judgement;

use crate::certificate::{CertificateError, authorities};
use crate::config::DirectoryConfig;

/// What is known of the directory.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct DirectoryStatus {
    /// When it was last read to the end, in seconds since the Unix epoch.
    pub read: Option<f64>,
    /// Users that it named then.
    pub users: u64,
    /// Of these, those who may not sign in.
    pub disabled: u64,
    /// Entries that are no users here, by why.
    pub skipped: std::collections::BTreeMap<String, u64>,
    /// Why the last reading failed; `None` if it did not.
    pub error: Option<String>,
}

/// The way to the directory, for all who ask it.
pub(crate) struct Directory {
    config: DirectoryConfig,
    tls: Arc<ClientConfig>,
    marks: watch::Receiver<Dscp>,
    /// Who tries a password for whom right now: each waits for the answer to its last one.
    trying: Mutex<BTreeSet<(IpAddr, String)>>,
}

/// A server that has not answered by then does not.
const PATIENCE: Duration = Duration::from_secs(10);

impl Directory {
    /// Reads the authorities that it must be proven by.
    pub(crate) fn new(
        config: &DirectoryConfig,
        marks: watch::Receiver<Dscp>,
    ) -> Result<Directory, CertificateError> {
        let trusted = authorities(config.authorities.iter())?;
        let tls = client_config(&trusted).map_err(CertificateError::Refused)?;
        Ok(Directory { config: config.clone(), tls, marks, trying: Mutex::default() })
    }
}
