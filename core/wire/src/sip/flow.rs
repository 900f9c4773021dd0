//! What messages travel over, and the path that one came on.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What carries a message, as a Via and a URI's `transport` parameter name it (RFC 3261, 18 and 20.42).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// One datagram, one message: what is behind the body is ignored.
    Udp,
    /// A stream: the next message follows.
    Tcp,
    /// A stream inside TLS.
    Tls,
    /// A WebSocket (RFC 7118): each of its messages is one message.
    Ws,
    /// A WebSocket inside TLS.
    Wss,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 5] =
        [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

    /// Whether messages follow each other, and connections have to be made.
    pub const fn is_stream(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// Whether nobody on the way can read it.
    pub const fn is_secured(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss)
    }

    /// Whether it is a WebSocket; only clients open those.
    pub const fn is_web(self) -> bool {
        matches!(self, Transport::Ws | Transport::Wss)
    }

    /// As in a Via: `UDP`, `TCP`, `TLS`, `WS`, `WSS`.
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// As the `transport` parameter of a URI says it; a WebSocket has one name, inside TLS or not (RFC 7118, 5.2).
    pub const fn parameter(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws | Transport::Wss => "ws",
        }
    }

    /// The transport of that name, in any case.
    pub fn from_name(name: &[u8]) -> Option<Transport> {
        Transport::ALL.into_iter().find(|transport| transport.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Where a server listens unless something else is said: 5060, for TLS 5061, for WebSockets 80 and 443.
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The path that a message came on, and that answers take back (the flow of RFC 5626): a connection, or a UDP
/// socket of ours and the address beyond it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Flow {
    /// What carries it.
    pub transport: Transport,
    /// The connection, or the UDP socket. Never given a second time.
    pub id: u64,
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

/// What counts as one source where sources are limited: an IPv4 address, or an IPv6 network of 64 bits, since whoever has
/// one address of it has 2^64.
pub fn source(remote: SocketAddr) -> IpAddr {
    crate::source::source(remote.ip())
}

/// Where a message goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination {
    /// Back on a flow that is there. If it is gone, the sender is told so.
    Flow(Flow),
    /// To an address: on a connection that is open to it, or else a new one.
    Address {
        /// Over what.
        transport: Transport,
        /// Whereto.
        remote: SocketAddr,
        /// For UDP, the socket of ours that sends; a stream leaves from any port.
        local: Option<SocketAddr>,
    },
}

impl Destination {
    /// What carries the message.
    pub const fn transport(&self) -> Transport {
        match self {
            Destination::Flow(flow) => flow.transport,
            Destination::Address { transport, .. } => *transport,
        }
    }

    /// Where the other end is.
    pub const fn remote(&self) -> SocketAddr {
        match self {
            Destination::Flow(flow) => flow.remote,
            Destination::Address { remote, .. } => *remote,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_address_or_a_network_of_64_bits() {
        for (remote, expected) in [
            ("192.0.2.1:1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:1", "192.0.2.1"),
            ("[2001:db8:1:2:3::4]:1", "2001:db8:1:2::"),
        ] {
            assert_eq!(source(remote.parse().unwrap()), expected.parse::<IpAddr>().unwrap(), "{remote}");
        }
    }
}
