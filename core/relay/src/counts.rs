//! What the relay has counted: for status, metrics and tests.

use std::collections::BTreeMap;

use crate::contract::Tally;

/// Totals since the start, and sizes of now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Allocations, now.
    pub allocations: usize,
    /// Relayed ports that are open, reserved or wished for, now.
    pub ports: usize,
    /// Users that hold ports, now.
    pub users: usize,
    /// Permissions, now.
    pub permissions: usize,
    /// Channels, now.
    pub channels: usize,
    /// Connections with peers, now.
    pub links: usize,
    /// Rules that are installed, now.
    pub rules: usize,
    /// Allocations since the start.
    pub allocated: u64,
    /// Requests by method.
    pub requests: BTreeMap<&'static str, u64>,
    /// Answers of success by method.
    pub successes: BTreeMap<&'static str, u64>,
    /// Errors by code.
    pub errors: BTreeMap<u16, u64>,
    /// Relayed ports that users of a site hold, by site, now.
    pub sites: BTreeMap<String, u32>,
    /// Allocations that were refused, by the limit that was reached.
    pub quotas: BTreeMap<&'static str, u64>,
    /// Proven requests that came from where another user has an allocation.
    pub shared_addresses: u64,
    /// Requests that proved nothing, by reason.
    pub denied: BTreeMap<&'static str, u64>,
    /// What was carried to clients, by rules as far as it was told, and without.
    pub to_client: Tally,
    /// What was carried to peers.
    pub to_peer: Tally,
    /// What was dropped, by the name of its counter.
    pub dropped: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub(crate) fn drop(&mut self, counter: &'static str) {
        *self.dropped.entry(counter).or_default() += 1;
    }

    pub(crate) fn request(&mut self, method: &'static str) {
        *self.requests.entry(method).or_default() += 1;
    }

    pub(crate) fn success(&mut self, method: &'static str) {
        *self.successes.entry(method).or_default() += 1;
    }

    pub(crate) fn error(&mut self, code: u16) {
        *self.errors.entry(code).or_default() += 1;
    }

    pub(crate) fn deny(&mut self, reason: &'static str) {
        *self.denied.entry(reason).or_default() += 1;
    }
}

/// Names of what is dropped.
pub(crate) mod dropped {
    /// No STUN, no ChannelData.
    pub(crate) const GARBAGE: &str = "garbage";
    pub(crate) const WRONG_FINGERPRINT: &str = "wrong-fingerprint";
    /// Answers, and methods that have no meaning here.
    pub(crate) const UNEXPECTED: &str = "unexpected";
    /// From a source that has proven nothing and was answered often enough.
    pub(crate) const TOO_MANY: &str = "too-many-from-source";
    pub(crate) const NO_ALLOCATION: &str = "no-allocation";
    pub(crate) const NO_CHANNEL: &str = "no-channel";
    pub(crate) const NO_PERMISSION: &str = "no-permission";
    /// A peer that may not be reached.
    pub(crate) const FORBIDDEN: &str = "forbidden-peer";
    /// A client with an allocation that never stops asking.
    pub(crate) const TOO_MANY_OF_CLIENT: &str = "too-many-from-client";
    /// A Send indication that lacks something, or that asks for what is not understood.
    pub(crate) const MALFORMED: &str = "malformed-indication";
    /// A peer has connected, and there are as many as an allocation may have.
    pub(crate) const TOO_MANY_CONNECTIONS: &str = "too-many-connections";
    /// A packet of a peer that no message can hold.
    pub(crate) const TOO_LONG: &str = "too-long";
}
