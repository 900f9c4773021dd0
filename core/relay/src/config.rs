//! How the relay is set up, and its limits.

use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::source::Rate;

use crate::marking::Marking;
use crate::peers::Peers;
use crate::proofs::Access;

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
    /// Relayed ports of all users of one site; more are answered 486.
    pub ports_per_site: u32,
    /// Peers that one allocation may permit.
    pub permissions: usize,
    /// Channels of one allocation.
    pub channels: usize,
    /// Connections with peers of one allocation, each way; more are answered 486.
    pub links: usize,
    /// Lifetime of an allocation that asks for none, or for less.
    pub lifetime: Duration,
    /// The longest that is granted.
    pub longest_lifetime: Duration,
    /// How long an allocation may be refreshed with the credential that it was made with, after that has ended: calls are not cut.
    pub after_expiry: Duration,
    /// How long a nonce is good.
    pub nonce_lifetime: Duration,
    /// How long the host may take to open a port.
    pub patience: Duration,
    /// How long the other port of a pair waits for its client (RFC 8656, 7.2: at least 30 s).
    pub reservation: Duration,
    /// Answers to one source that has proven nothing, but for those to Binding.
    pub answers: Rate,
    /// Answers to Binding, to one source without an allocation.
    pub bindings: Rate,
    /// Requests of one source that show a nonce of ours and have no allocation yet: they are looked at even when no answer is
    /// left for those who show none.
    pub proofs: Rate,
    /// Proven requests of one allocation.
    pub requests: Rate,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            ports: 10_000,
            ports_per_user: 32,
            ports_per_site: u32::MAX,
            permissions: 128,
            channels: 64,
            links: 32,
            lifetime: Duration::from_secs(600),
            longest_lifetime: Duration::from_secs(3600),
            after_expiry: Duration::from_secs(12 * 3600),
            nonce_lifetime: Duration::from_secs(600),
            patience: Duration::from_secs(5),
            reservation: Duration::from_secs(30),
            answers: Rate { per_second: 50, at_once: 200 },
            bindings: Rate { per_second: 50, at_once: 200 },
            proofs: Rate { per_second: 500, at_once: 2000 },
            requests: Rate { per_second: 50, at_once: 200 },
        }
    }
}
