//! How the relay is set up, and its limits.

use std::time::Duration;

use carillon_qos::TrafficClass;

use crate::access::Access;
use crate::marking::Marking;
use crate::peers::Peers;

/// Everything that is configured.
#[derive(Clone, Debug)]
pub struct Config {
    /// What users are challenged with. It stands in every challenge: a short one keeps them small.
    pub realm: String,
    /// The listeners; a [`crate::Flow`] names one by its place here.
    pub listeners: Vec<Listener>,
    /// Who may allocate.
    pub access: Access,
    /// Whom allocations may reach.
    pub peers: Peers,
    /// What is marked.
    pub marking: Marking,
    /// Whether the host can set the DF bit of single packets. If not, DONT-FRAGMENT is answered 420 (RFC 8656, 7.2).
    pub forbids_fragments: bool,
    /// Whether channels above 0x4fff may be bound, as clients of RFC 5766 choose them (coturn's `turnutils_uclient` does);
    /// RFC 8656, 12.2 refuses them.
    pub channels_of_rfc5766: bool,
    /// Limits.
    pub limits: Limits,
}

/// A place where clients reach the relay.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Listener {
    /// The class of all that is allocated here, unless the credential says another; `None` on the common port.
    pub class: Option<TrafficClass>,
}

/// Limits of tables, times and speeds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Relayed ports of all users together; more are answered 508.
    pub ports: usize,
    /// Relayed ports of one user; more are answered 486.
    pub ports_per_user: u32,
    /// Peers that one allocation may permit.
    pub permissions: usize,
    /// Channels of one allocation.
    pub channels: usize,
    /// Bytes of payload a second through one relayed port in each direction; `None`: as many as there are.
    pub port_rate: Option<u64>,
    /// What all ports of a user may be promised of that together; more are answered 486.
    pub user_rate: Option<u64>,
    /// The same for the whole relay; more are answered 508.
    pub total_rate: Option<u64>,
    /// Lifetime of an allocation that asks for none, or for less.
    pub lifetime: Duration,
    /// The longest that is granted.
    pub longest_lifetime: Duration,
    /// How long an allocation may outlive the credential that it was last refreshed with.
    pub after_expiry: Duration,
    /// How long a nonce is good.
    pub nonce_lifetime: Duration,
    /// How long the host may take to open a port.
    pub patience: Duration,
    /// How long the other port of a pair waits for its client (RFC 8656, 7.2: at least 30 s).
    pub reservation: Duration,
    /// Answers a second to one source that has proven nothing.
    pub answers_per_second: u32,
    /// Such answers at once.
    pub answers_at_once: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            ports: 10_000,
            ports_per_user: 32,
            permissions: 128,
            channels: 64,
            port_rate: None,
            user_rate: None,
            total_rate: None,
            lifetime: Duration::from_secs(600),
            longest_lifetime: Duration::from_secs(3600),
            after_expiry: Duration::from_secs(60),
            nonce_lifetime: Duration::from_secs(600),
            patience: Duration::from_secs(5),
            reservation: Duration::from_secs(30),
            answers_per_second: 50,
            answers_at_once: 200,
        }
    }
}
