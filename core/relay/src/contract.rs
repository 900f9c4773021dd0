//! What goes into the relay and what comes out: plain values.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::stun::Family;

use crate::config::Config;

/// What carries a client's messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream inside TLS.
    Tls,
}

impl Transport {
    /// Whether messages follow each other in a stream, where ChannelData is padded.
    pub const fn is_stream(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// The word in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        }
    }
}

/// Where a client's messages come from and its answers go to: the 5-tuple of RFC 8656, and which connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Flow {
    /// Which of the configured listeners.
    pub listener: u16,
    /// What carries it.
    pub transport: Transport,
    /// Tells streams apart whose addresses are the same one after the other; 0 for datagrams.
    pub connection: u64,
    /// The Edge's end.
    pub local: SocketAddr,
    /// The client's end.
    pub remote: SocketAddr,
}

/// A port that the host opened for relaying; the host chooses the number and does not use it again while it is open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PortId(pub u32);

/// A wish for a port, until it is answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WishId(pub u64);

/// A forwarding rule; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleId(pub u64);

/// A UDP port to be opened on the relay's address of this family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// What the answer names.
    pub id: WishId,
    /// IPv4 or IPv6.
    pub family: Family,
    /// It has to be even (RFC 8656, 18.7).
    pub even: bool,
    /// The next higher port has to be free and is to be opened with it.
    pub next: bool,
    /// The class of what will be relayed, if it is known already.
    pub class: Option<TrafficClass>,
}

/// One bound channel, both ways. From the client: ChannelData of this number loses its header and leaves from the port to the
/// peer. From the peer at the port: it gets the header and goes to the client, padded on streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Its name; a rule installed under a name that exists replaces the old one.
    pub id: RuleId,
    /// The client's side.
    pub client: Flow,
    /// 0x4000 to 0x4fff, to 0x7fff for clients of RFC 5766.
    pub channel: u16,
    /// The relayed port.
    pub port: PortId,
    /// The only peer.
    pub peer: SocketAddr,
    /// The class of packets to the client; `None`: they leave unmarked.
    pub to_client: Option<TrafficClass>,
    /// The class of packets to the peer; `None`: they leave unmarked.
    pub to_peer: Option<TrafficClass>,
    /// Bytes of payload a second that all rules of this port may carry together in each direction.
    pub budget: Option<u64>,
}

/// What the relay wants done, in this order. `ToPeer` that follows an input of a client, and `Transmit` that follows data of a
/// peer, carry what came in: the host copies its ECN bits (RFC 8656, 14).
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send this to a client.
    Transmit {
        /// Over which flow.
        flow: Flow,
        /// Decides the mark; `None`: unmarked.
        class: Option<TrafficClass>,
        /// One datagram, or one frame of a stream.
        bytes: Vec<u8>,
    },
    /// Send this to a peer.
    ToPeer {
        /// From this port.
        port: PortId,
        /// To whom.
        peer: SocketAddr,
        /// Decides the mark; `None`: unmarked.
        class: Option<TrafficClass>,
        /// With the DF bit set (RFC 8656, 14).
        dont_fragment: bool,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// Open a port; [`Request::Opened`] or [`Request::NotOpened`] answers.
    Open(Wish),
    /// Close a port; its rules were removed before.
    Close(PortId),
    /// Repeat this per packet from now on.
    Install(Rule),
    /// Not any more.
    Remove(RuleId),
    /// Whoever is behind this flow has proven a password and has an allocation: it is not to be dropped in a flood.
    Trust(Flow),
    /// It has none any more.
    Distrust(Flow),
    /// End a stream: it does not speak STUN.
    Disconnect(Flow),
    /// Something that an administrator may want to know.
    Event(Event),
}

/// Packets that were carried in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// How many.
    pub packets: u64,
    /// Their payload, in bytes.
    pub bytes: u64,
    /// Those among them that are STUN themselves: connectivity checks and consent of ICE (RFC 7675).
    pub checks: u64,
}

impl Tally {
    /// Adds.
    pub fn add(&mut self, more: Tally) {
        self.packets = self.packets.saturating_add(more.packets);
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.checks = self.checks.saturating_add(more.checks);
    }
}

/// Why a port was not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotOpened {
    /// The relay has no address of this family.
    NoFamily,
    /// All ports, or all even pairs, are in use.
    NoPort,
}

/// An ICMP error that came for a packet to a peer (RFC 8656, 11.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Icmp {
    /// Type, of ICMP or ICMPv6 as the peer's address says.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The next hop's MTU of "packet too big", else 0.
    pub data: u32,
}

/// What the host tells, and what an administrator asks for.
#[derive(Clone, Debug)]
pub enum Request {
    /// A wish came true.
    Opened {
        /// Which.
        wish: WishId,
        /// The port.
        port: PortId,
        /// Its address as peers reach it.
        relayed: SocketAddr,
        /// The next higher port, if it was wished for.
        next: Option<PortId>,
    },
    /// A wish did not.
    NotOpened {
        /// Which.
        wish: WishId,
        /// Why.
        reason: NotOpened,
    },
    /// An ICMP error arrived for what a port sent.
    Unreachable {
        /// Which port.
        port: PortId,
        /// To whom it had sent.
        peer: SocketAddr,
        /// What the network said.
        icmp: Icmp,
    },
    /// What rules of a port carried since the last time.
    Counted {
        /// Which port.
        port: PortId,
        /// From peers to the client.
        to_client: Tally,
        /// From the client to peers.
        to_peer: Tally,
    },
    /// A client's stream has ended.
    Closed(Flow),
    /// No new allocations; what there is goes on. Clients are sent to the alternate of their family, if there is one.
    Drain {
        /// Other Edges.
        alternates: Vec<SocketAddr>,
    },
    /// This configuration from now on: rules of live allocations are issued again, peers that are now forbidden are cut off.
    Configure(Box<Config>),
}

/// What happened. No secrets; addresses and names are for debug logs only.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An allocation exists.
    Allocated {
        /// For whom.
        user: Arc<str>,
        /// Where the client is.
        flow: Flow,
        /// The relayed address, the first of two.
        relayed: SocketAddr,
        /// What decides the mark.
        class: Option<TrafficClass>,
    },
    /// An allocation has ended.
    Released {
        /// Whose it was.
        user: Arc<str>,
        /// Where the client was.
        flow: Flow,
        /// How long it was there.
        age: Duration,
        /// What it carried to the client, as far as it was counted before.
        to_client: Tally,
        /// What it carried to peers.
        to_peer: Tally,
    },
    /// A relayed port got a packet from a peer without permission, or a client asked for a forbidden peer.
    Forbidden {
        /// Where the client is.
        flow: Flow,
        /// Whom it asked for.
        peer: SocketAddr,
    },
}
