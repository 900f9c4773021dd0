//! What is refused beyond a number, as administrators set it; and what follows from it for sockets and for the Front End.

use carillon_net::transports;
use carillon_wire::sip;

/// Sizes of what can fill up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections over TCP and TLS together.
    pub connections: usize,
    /// Of these, those of one source that have not proven who they are.
    pub unproven_per_source: usize,
    /// Calls that are up.
    pub calls: usize,
    /// Transactions, both sides counted.
    pub transactions: usize,
    /// Bytes of requests that wait for an answer; as many again may wait on connections.
    pub waiting: usize,
    /// Bytes of the body of a message.
    pub body: usize,
}

impl Limits {
    /// For the sockets.
    pub(crate) fn transports(&self) -> transports::Limits {
        let usual = transports::Limits::default();
        let smaller = |limits: sip::Limits| sip::Limits { body: limits.body.min(self.body), ..limits };
        transports::Limits {
            connections: self.connections,
            unproven_per_source: self.unproven_per_source,
            buffered: self.waiting,
            unproven_buffered: usual.unproven_buffered.min(self.waiting / 8),
            message: self.message(),
            unproven_message: smaller(usual.unproven_message),
            // Nobody could be sent a message that is larger.
            queue: usual.queue.max(2 * self.body),
            ..usual
        }
    }

    /// For the tables of the Front End.
    pub(crate) fn front_end(&self) -> carillon_signaling::Limits {
        carillon_signaling::Limits {
            calls: self.calls,
            transactions: self.transactions,
            waiting: self.waiting,
            message: self.message(),
            ..carillon_signaling::Limits::default()
        }
    }

    fn message(&self) -> sip::Limits {
        sip::Limits { body: self.body, ..sip::Limits::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_arrives_where_it_is_kept() {
        let limits = Limits {
            connections: 1,
            unproven_per_source: 2,
            calls: 3,
            transactions: 4,
            waiting: 8000,
            body: 6,
        };
        let (sockets, tables) = (limits.transports(), limits.front_end());
        assert_eq!((sockets.connections, sockets.unproven_per_source), (1, 2));
        assert_eq!((sockets.buffered, sockets.unproven_buffered), (8000, 1000));
        assert_eq!((sockets.message.body, sockets.unproven_message.body, tables.message.body), (6, 6, 6));
        assert_eq!((tables.calls, tables.transactions, tables.waiting), (3, 4, 8000));
        let large = Limits { body: 64 << 20, ..limits }.transports();
        assert_eq!(
            (large.unproven_message, large.queue),
            (transports::Limits::default().unproven_message, 128 << 20)
        );
    }
}
