//! What happened to connections, counted under stable names.

/// A thing that is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Count {
    /// A connection of a peer was taken.
    Accepted,
    /// A connection to a peer was made.
    Opened,
    /// A connection was refused: there are as many as allowed.
    RefusedFull,
    /// A connection was refused: its source has too many that are not trusted.
    RefusedSource,
    /// Taking connections paused: the process may not open more files.
    AcceptPaused,
    /// The peer ended the connection.
    EndedByPeer,
    /// We ended the connection because we were told to.
    EndedByUs,
    /// The network ended the connection: reset, or unreachable.
    EndedByNetwork,
    /// A connection to a peer could not be made.
    ConnectFailed,
    /// TLS could not be agreed on, or was broken.
    TlsFailed,
    /// The handshake, or making the connection, took too long.
    HandshakeTimeout,
    /// A message, or the first one, took too long.
    MessageTimeout,
    /// Nobody has vouched for the connection in time.
    UnprovenTimeout,
    /// Nothing was received for the longest time allowed.
    IdleTimeout,
    /// What came could not be cut into messages.
    Unframed,
    /// The peer did not read: more waited for it than allowed.
    QueueFull,
    /// All connections together held more than allowed.
    MemoryFull,
    /// A ping on a stream was answered.
    Ping,
    /// A binding request (STUN) was answered.
    Stun,
    /// A datagram could not be sent.
    DatagramUnsent,
    /// There was no flow, socket or certificate for what should be sent.
    NoRoute,
}

impl Count {
    /// All of them.
    pub const ALL: [Count; 21] = [
        Count::Accepted,
        Count::Opened,
        Count::RefusedFull,
        Count::RefusedSource,
        Count::AcceptPaused,
        Count::EndedByPeer,
        Count::EndedByUs,
        Count::EndedByNetwork,
        Count::ConnectFailed,
        Count::TlsFailed,
        Count::HandshakeTimeout,
        Count::MessageTimeout,
        Count::UnprovenTimeout,
        Count::IdleTimeout,
        Count::Unframed,
        Count::QueueFull,
        Count::MemoryFull,
        Count::Ping,
        Count::Stun,
        Count::DatagramUnsent,
        Count::NoRoute,
    ];

    /// For metrics: lower case, words joined by `_`.
    pub const fn name(self) -> &'static str {
        match self {
            Count::Accepted => "accepted",
            Count::Opened => "opened",
            Count::RefusedFull => "refused_full",
            Count::RefusedSource => "refused_source",
            Count::AcceptPaused => "accept_paused",
            Count::EndedByPeer => "ended_by_peer",
            Count::EndedByUs => "ended_by_us",
            Count::EndedByNetwork => "ended_by_network",
            Count::ConnectFailed => "connect_failed",
            Count::TlsFailed => "tls_failed",
            Count::HandshakeTimeout => "handshake_timeout",
            Count::MessageTimeout => "message_timeout",
            Count::UnprovenTimeout => "unproven_timeout",
            Count::IdleTimeout => "idle_timeout",
            Count::Unframed => "unframed",
            Count::QueueFull => "queue_full",
            Count::MemoryFull => "memory_full",
            Count::Ping => "ping",
            Count::Stun => "stun",
            Count::DatagramUnsent => "datagram_unsent",
            Count::NoRoute => "no_route",
        }
    }
}

/// How often each thing happened, and what there is now.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    happened: [u64; Count::ALL.len()],
    /// Connections that are open or being made.
    pub connections: usize,
    /// Of these, those accepted that are not trusted yet.
    pub unproven: usize,
    /// Bytes of messages that are not whole, or wait to be sent, of all connections.
    pub buffered: usize,
}

impl Counts {
    /// How often it happened.
    pub fn of(&self, count: Count) -> u64 {
        self.happened.get(count as usize).copied().unwrap_or_default()
    }

    /// Everything that is counted, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (Count, u64)> + '_ {
        Count::ALL.into_iter().map(|count| (count, self.of(count)))
    }

    pub(super) fn add(&mut self, count: Count) {
        if let Some(number) = self.happened.get_mut(count as usize) {
            *number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_has_its_own_place_and_name() {
        let mut counts = Counts::default();
        for (place, count) in Count::ALL.into_iter().enumerate() {
            assert_eq!(count as usize, place);
            counts.add(count);
        }
        assert!(counts.iter().all(|(_, number)| number == 1));
        let names: std::collections::BTreeSet<_> = Count::ALL.map(Count::name).into();
        assert_eq!(names.len(), Count::ALL.len());
    }
}
