//! What the Front End is told when it begins.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::Plan;
use carillon_wire::sip;

use crate::contract::Listener;
use crate::presence::Handling;

/// Everything but the users, the bindings and the seed.
#[derive(Clone, Debug)]
pub struct Config {
    /// Domains whose users are ours, in lower case; the first one is meant where a listener's own address is written.
    pub domains: Vec<String>,
    /// Whether callers from other domains may reach our users without proof. They ring phones and learn who exists, and
    /// nothing but their word says where they come from: `false` until the Edge vouches for other domains (federation).
    pub strangers: bool,
    /// Realm of the challenges.
    pub realm: String,
    /// Where the Front End is reached.
    pub listeners: Vec<Listener>,
    /// The plan that holds.
    pub plan: Arc<Plan>,
    /// Its version.
    pub plan_version: u64,
    /// How long a contact may be registered.
    pub expires: Expires,
    /// What becomes of watchers of whom a user does not say anything.
    pub watchers: Handling,
    /// The Edge that users outside and other domains come through.
    pub edge: Option<Edge>,
    /// Sizes of the tables.
    pub limits: Limits,
}

/// An Edge of ours, or a pool of them. What comes from there is believed where it says who is behind it: its certificate
/// must be one for the name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    /// What its certificate says.
    pub name: String,
    /// Where it speaks TLS with us.
    pub addresses: Vec<SocketAddr>,
    /// Whether it is a Director: then our domains have users on other Front Ends too, who are reached through it, and whom it says
    /// that these have proven is believed. It is told who is at home here.
    pub is_director: bool,
}

/// Bounds for the duration of a registration (RFC 3261, 10.3), in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expires {
    /// Less is refused with 423.
    pub min: u32,
    /// More is cut down to this.
    pub max: u32,
    /// If the phone does not say.
    pub default: u32,
}

impl Default for Expires {
    fn default() -> Expires {
        Expires { min: 60, max: 3600, default: 3600 }
    }
}

/// Sizes of the tables. What does not fit is refused and counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Transactions, both sides counted; beyond it, new requests get 503. A quarter more serves calls that are up.
    pub transactions: usize,
    /// Calls that are up; beyond it, new ones get 503.
    pub calls: usize,
    /// Bytes of requests that wait for an answer, each copy counted; beyond it, new requests get 503. A quarter more serves
    /// calls that are up.
    pub waiting: usize,
    /// Outputs that wait to be taken; beyond it, new requests get 503.
    pub queue: usize,
    /// Contacts of one user.
    pub contacts: usize,
    /// Subscriptions to presence; beyond it, new ones get 503.
    pub watchers: usize,
    /// Messages that wait for users who can't be reached; beyond it, they are refused as if they were not kept.
    pub letters: usize,
    /// A call from which nothing was heard for so long counts as ended, unless it agreed on a session timer (RFC 4028).
    pub silence: Duration,
    /// Size of a message.
    pub message: sip::Limits,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            transactions: 500_000,
            calls: 50_000,
            waiting: 256 << 20,
            queue: 10_000,
            contacts: 10,
            watchers: 500_000,
            letters: 100_000,
            silence: Duration::from_secs(12 * 3600),
            message: sip::Limits::default(),
        }
    }
}
