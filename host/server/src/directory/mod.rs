//! Users of an LDAP directory (RFC 4511) or Active Directory, which is read and never written: who is there becomes a user here,
//! and the directory itself judges their passwords.
//!
//! It runs beside the turn, on a thread of its own; the turn is told what has changed. The codec is a library's, the connections
//! are `net`'s.

mod barred;
mod conversation;
mod dn;
mod entry;
mod follow;
mod guard;
mod reconcile;
mod sign_in;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carillon_net::tls::client_config;
use carillon_wire::ip::Dscp;
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

pub(crate) use barred::Barred;
pub use dn::DistinguishedName;
pub use entry::{Found, read_message};
pub(crate) use follow::start;
pub use guard::AccountLockout;
pub(crate) use sign_in::{Judgement, Shown};

use crate::certificate::{CertificateError, authorities};
use crate::config::DirectoryConfig;
use guard::Guard;

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
    /// Users whom the last reading did not name any more: too many at once to be signed out before somebody confirms it.
    #[serde(default)]
    pub vanished: u64,
    /// Users at whose passwords so many guess that the directory is not asked about them where they have not signed in before.
    #[serde(default)]
    pub withheld: u64,
}

/// The way to the directory, for all who ask it.
pub(crate) struct Directory {
    config: DirectoryConfig,
    tls: Arc<ClientConfig>,
    marks: watch::Receiver<Dscp>,
    /// Who may try a password for whom.
    guard: Mutex<Guard>,
    /// So many may vanish at the next reading, as somebody has confirmed.
    confirmed: AtomicU64,
    /// Has it read now.
    hurry: Notify,
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
        Ok(Directory {
            config: config.clone(),
            tls,
            marks,
            guard: Mutex::new(Guard::new(config.lockout)),
            confirmed: AtomicU64::new(0),
            hurry: Notify::new(),
        })
    }
}
