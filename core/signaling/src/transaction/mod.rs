//! Transactions (RFC 3261, 17; RFC 6026): who has to say something again, and for how long.
//!
//! The machines are values without effects; what a request means is the proxy's business.

mod client;
mod key;
mod server;
mod table;

use std::time::Duration;

pub(crate) use client::{Cancel, Client, Heard, Lapse, Owner};
pub(crate) use key::{Key, Kind, Plain, key};
pub(crate) use server::{Due, Repeat, Server};
pub(crate) use table::{Id, Table};

/// Estimate of the round trip (RFC 3261, 17.1.1.1).
pub(crate) const T1: Duration = Duration::from_millis(500);
/// Longest time between two retransmissions.
pub(crate) const T2: Duration = Duration::from_secs(4);
/// How long a message stays in the network.
pub(crate) const T4: Duration = Duration::from_secs(5);
/// How long anybody waits: timers B, D, F, H, J, L and M.
pub(crate) const PATIENCE: Duration = T1.saturating_mul(64);
/// Timer C: how long a proxy lets it ring without news; more than three minutes (RFC 3261, 16.6, step 11).
pub(crate) const TIMER_C: Duration = Duration::from_secs(185);
