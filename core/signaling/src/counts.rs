//! What the Front End has counted: for status, metrics and tests.

use std::collections::BTreeMap;

use crate::contract::Failure;

/// Totals since the start, and sizes of now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Users, now.
    pub users: usize,
    /// Contacts that are registered, now.
    pub registrations: usize,
    /// Clients that are told of changes of the plan, now.
    pub subscriptions: usize,
    /// Subscriptions to presence, lists and watchers, now.
    pub watchers: usize,
    /// Documents of presence that devices have published, now.
    pub publications: usize,
    /// Messages that wait for their users, now.
    pub letters: usize,
    /// Calls that are up, now.
    pub calls: usize,
    /// Bridges between browsers and phones, of calls that are up or being set up, now.
    pub bridges: usize,
    /// Server transactions, now.
    pub server_transactions: usize,
    /// Client transactions, now.
    pub client_transactions: usize,
    /// Bytes of requests that wait for their final answer, now.
    pub unanswered: usize,
    /// Outputs that wait to be taken, now.
    pub queued: usize,
    /// Requests received by method, first arrivals and retransmissions; unknown methods together as `other`.
    pub requests: BTreeMap<&'static str, u64>,
    /// Responses received, by class: 1 for 1xx.
    pub responses: BTreeMap<u16, u64>,
    /// Responses of our own, by code.
    pub answers: BTreeMap<u16, u64>,
    /// Requests and responses sent on.
    pub forwarded: u64,
    /// Retransmissions that were absorbed.
    pub absorbed: u64,
    /// Retransmissions that were sent because nobody answered in time.
    pub resent: u64,
    /// Transactions that ended because nobody answered.
    pub timeouts: u64,
    /// Requests refused because a table was full or the Front End is being drained.
    pub overload: u64,
    /// Credentials refused, by reason.
    pub denied: BTreeMap<Failure, u64>,
    /// Requests over UDP that were larger than 1300 bytes (RFC 3261, 18.1.1) and sent all the same.
    pub large: u64,
    /// What was dropped, by the name of its counter.
    pub dropped: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub(crate) fn drop(&mut self, counter: &'static str) {
        *self.dropped.entry(counter).or_default() += 1;
    }

    pub(crate) fn answer(&mut self, code: u16) {
        *self.answers.entry(code).or_default() += 1;
    }

    pub(crate) fn response(&mut self, code: u16) {
        *self.responses.entry(code / 100).or_default() += 1;
    }

    pub(crate) fn request(&mut self, method: &'static str) {
        *self.requests.entry(method).or_default() += 1;
    }
}
