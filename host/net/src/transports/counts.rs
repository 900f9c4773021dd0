//! What happened to connections, counted under stable names.

crate::counted::counted! { pub(super) Happened:
    /// A connection of a peer was taken.
    Accepted => "accepted",
    /// A connection to a peer was made.
    Opened => "opened",
    /// A connection was refused: there are as many as allowed.
    RefusedFull => "refused_full",
    /// A connection was refused: its source has too many that are not trusted.
    RefusedSource => "refused_source",
    /// A connection was refused: its source has opened too many in the last second.
    RefusedRate => "refused_rate",
    /// A step of a handshake of TLS was taken.
    Handshake => "handshake",
    /// Taking connections paused: the process may not open more files.
    AcceptPaused => "accept_paused",
    /// The peer ended the connection.
    EndedByPeer => "ended_by_peer",
    /// We ended the connection because we were told to.
    EndedByUs => "ended_by_us",
    /// The network ended the connection: reset, or unreachable.
    EndedByNetwork => "ended_by_network",
    /// A connection to a peer could not be made.
    ConnectFailed => "connect_failed",
    /// TLS could not be agreed on, or was broken.
    TlsFailed => "tls_failed",
    /// The handshake, or making the connection, took too long.
    HandshakeTimeout => "handshake_timeout",
    /// A message, or the first one, took too long.
    MessageTimeout => "message_timeout",
    /// Nobody has vouched for the connection in time.
    UnprovenTimeout => "unproven_timeout",
    /// Nothing was received for the longest time allowed.
    IdleTimeout => "idle_timeout",
    /// A WebSocket was not opened: none for SIP was asked for, or by a page that may not.
    UpgradeRefused => "upgrade_refused",
    /// What came could not be cut into messages.
    Unframed => "unframed",
    /// The peer did not read: more waited for it than allowed.
    QueueFull => "queue_full",
    /// All connections together held more than allowed.
    MemoryFull => "memory_full",
    /// A ping on a stream was answered.
    Ping => "ping",
    /// A binding request (STUN) was answered.
    Stun => "stun",
    /// A datagram could not be sent.
    DatagramUnsent => "datagram_unsent",
    /// There was no flow, socket or certificate for what should be sent.
    NoRoute => "no_route",
}

/// How often each thing happened, and what there is now.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    happened: Happened,
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
        self.happened.of(count)
    }

    /// Everything that is counted, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (Count, u64)> + '_ {
        self.happened.iter()
    }

    pub(super) fn add(&mut self, count: Count) {
        self.happened.add(count);
    }
}
