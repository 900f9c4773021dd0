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

/// A TCP connection between a relayed port and a peer (RFC 6062); the host chooses the number, and never uses it again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u64);

/// A user that holds ports, or a site whose users do: what its ports carry is bounded together. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AccountId(pub u64);

/// A port to be opened on the relay's address of this family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// What the answer names.
    pub id: WishId,
    /// IPv4 or IPv6.
    pub family: Family,
    /// TCP: peers connect to it, and it is where connections to peers come from (RFC 6062). Else UDP.
    pub streams: bool,
    /// It has to be even (RFC 8656, 18.7).
    pub even: bool,
    /// The next higher port has to be free and is to be kept, not open, for whoever comes for it.
    pub next: bool,
    /// It has to be this one, which was kept. If it can't be opened, it is kept no longer.
    pub reserved: Option<PortId>,
    /// Whose it will be.
    pub account: AccountId,
    /// The account of the user's site, which has it too.
    pub site: Option<AccountId>,
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
}

/// Two connections that are one from now on: what comes from the client's leaves by the peer's as it is, and the other way round,
/// until one of them ends. A connection with a peer is not read before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Joint {
    /// The peer's side.
    pub link: LinkId,
    /// The client's side, which speaks no STUN any more.
    pub client: Flow,
    /// The relayed port whose budgets it is charged to.
    pub port: PortId,
    /// The class of what goes to the client; `None`: it leaves unmarked.
    pub to_client: Option<TrafficClass>,
    /// The class of what goes to the peer; `None`: it leaves unmarked.
    pub to_peer: Option<TrafficClass>,
}

/// What the relay wants done, in this order. `ToPeer` and `ToClient` carry what came in: the host copies its ECN bits (RFC 8656,
/// 14), charges them to their port's budgets as it charges what rules carry, and tells what has passed: [`Request::Counted`].
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send this to a client: the relay's own words.
    Transmit {
        /// Over which flow.
        flow: Flow,
        /// Decides the mark; `None`: unmarked.
        class: Option<TrafficClass>,
        /// One datagram, or one frame of a stream.
        bytes: Vec<u8>,
    },
    /// Send a client what came from a peer.
    ToClient {
        /// Which port it came to.
        port: PortId,
        /// Over which flow.
        flow: Flow,
        /// Decides the mark; `None`: unmarked.
        class: Option<TrafficClass>,
        /// One datagram, or one frame of a stream.
        bytes: Vec<u8>,
        /// What of it is the peer's: one packet and its payload.
        payload: Tally,
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
    /// Close a port; its rules were removed before, and its connections that are up hung up. What it is dialling is given up with it.
    Close(PortId),
    /// Repeat this per packet from now on.
    Install(Rule),
    /// Not any more.
    Remove(RuleId),
    /// Connect from this port to a peer; [`Request::Dialled`] or [`Request::NotDialled`] answers.
    Dial {
        /// What the answer names.
        wish: WishId,
        /// A port that was opened for streams.
        port: PortId,
        /// To whom.
        peer: SocketAddr,
        /// Decides the mark, from the first packet on; `None`: unmarked.
        class: Option<TrafficClass>,
    },
    /// Join two connections, or mark joined ones anew.
    Join(Joint),
    /// End a connection with a peer, and the one that it is joined with.
    HangUp(LinkId),
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

/// A limit of relayed ports that was reached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Quota {
    /// [`crate::Limits::ports_per_user`], answered 486.
    User,
    /// [`crate::Limits::ports_per_site`], answered 486.
    Site,
    /// [`crate::Limits::ports`], answered 508.
    Relay,
}

impl Quota {
    /// The word in counters.
    pub const fn name(self) -> &'static str {
        match self {
            Quota::User => "user",
            Quota::Site => "site",
            Quota::Relay => "relay",
        }
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
        /// The next higher port, kept and not open, if it was wished for.
        next: Option<PortId>,
    },
    /// A wish did not.
    NotOpened {
        /// Which.
        wish: WishId,
        /// Why.
        reason: NotOpened,
    },
    /// A peer is reached.
    Dialled {
        /// For which wish.
        wish: WishId,
        /// The connection.
        link: LinkId,
    },
    /// A peer is not.
    NotDialled {
        /// For which wish.
        wish: WishId,
    },
    /// A peer has connected to a port.
    Arrived {
        /// Which.
        port: PortId,
        /// Who.
        peer: SocketAddr,
        /// The connection.
        link: LinkId,
    },
    /// A connection with a peer has ended, or the one that it was joined with.
    HungUp(LinkId),
    /// An ICMP error arrived for what a port sent.
    Unreachable {
        /// Which port.
        port: PortId,
        /// To whom it had sent.
        peer: SocketAddr,
        /// What the network said.
        icmp: Icmp,
    },
    /// What a port carried since the last time, by rules and without.
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
    /// What the clock on the wall shows now, since the Unix epoch. Credentials are judged by it; until it is told, by `now`.
    Clock(Duration),
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
    /// A client asked for a forbidden peer.
    Forbidden {
        /// Where the client is.
        flow: Flow,
        /// Whom it asked for.
        peer: SocketAddr,
    },
    /// A user came with a proof from where another user has an allocation: whatever translates addresses between them and the
    /// relay has given one away twice.
    SharedAddress {
        /// Where both are.
        flow: Flow,
    },
    /// An allocation was refused, as there are as many as there may be.
    QuotaReached {
        /// Which limit.
        quota: Quota,
        /// The site of whoever asked.
        site: Option<Arc<str>>,
    },
    /// A client asked for a private address that is not reached from here: a candidate of its peer, as clients must. Refused
    /// like any other, and no reason for alarm.
    CandidateCheck {
        /// Where the client is.
        flow: Flow,
        /// Whom it asked for.
        peer: SocketAddr,
    },
}
