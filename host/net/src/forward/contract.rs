//! What goes into a forwarder and what comes out of it: plain values.

use std::net::SocketAddr;

use carillon_wire::ip::{Dscp, Ecn};

use super::counts::Count;
use super::gate::Strangers;
use super::ledger::Budgets;
use super::pace::Coalescing;
use super::sockets::SocketId;
use crate::udp::Complaint;

/// How a forwarder works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Rules at a time.
    pub rules: usize,
    /// Whether datagrams of one flow may come and leave as one (UDP_GRO, UDP_SEGMENT).
    pub segmentation: bool,
    /// Whether and when turns are made fewer; `None` never.
    pub coalescing: Option<Coalescing>,
    /// What comes from clients that nobody has vouched for.
    pub strangers: Strangers,
    /// What relayed addresses may carry.
    pub budgets: Budgets,
}

impl Default for Settings {
    fn default() -> Settings {
        let (coalescing, strangers) = (Some(Coalescing::default()), Strangers::default());
        Settings { rules: 100_000, segmentation: true, coalescing, strangers, budgets: Budgets::default() }
    }
}

/// A listener of a forwarder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListenerId(pub(super) SocketId);

/// An open relayed address of a forwarder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PortId(pub(super) SocketId);

/// A connection between a relayed port and a peer; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u64);

/// A client: where it comes from and where it came to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Client {
    /// The listener that it came to.
    pub listener: ListenerId,
    /// The number of its connection, never used twice; 0 for one that sends datagrams.
    pub connection: u64,
    /// The address of ours that it sends to.
    pub local: SocketAddr,
    /// Its address.
    pub remote: SocketAddr,
}

/// A packet that no rule is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unknown {
    /// Of a client: by its first bytes a message of STUN or ChannelData, not looked into.
    FromClient {
        /// Who sent it.
        client: Client,
        /// The datagram, or one frame of a stream.
        bytes: Vec<u8>,
        /// The mark that it came with; 0 of a stream, where nobody can know.
        mark: Dscp,
        /// Its ECN bits.
        ecn: Ecn,
        /// It is more than a stranger may send, and counted as this unless something speaks for its sender: then
        /// [`super::Forwarder::judge`] has to be told.
        excess: Option<Count>,
    },
    /// The connection of a client has ended; of one that sends datagrams nobody knows.
    Ended {
        /// Whose it was.
        client: Client,
    },
    /// The peer that [`super::Forwarder::dial`] was for is reached.
    Dialled {
        /// By which connection.
        link: LinkId,
    },
    /// A peer has connected; it is not read yet.
    Arrived {
        /// To which relayed port.
        port: PortId,
        /// Who.
        peer: SocketAddr,
        /// By which connection.
        link: LinkId,
    },
    /// A connection with a peer has ended or did not come about, and with it the client's that was joined with it.
    HungUp {
        /// Which.
        link: LinkId,
    },
    /// The network could not deliver what a relayed address has sent.
    Undelivered {
        /// Which.
        port: PortId,
        /// What was said, and of whom.
        complaint: Complaint,
    },
    /// Of a peer.
    FromPeer {
        /// The relayed address that it was sent to.
        port: PortId,
        /// Who sent it.
        peer: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
        /// The mark that it came with.
        mark: Dscp,
        /// Its ECN bits.
        ecn: Ecn,
    },
}
