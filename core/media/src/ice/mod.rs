//! Finding the way that media takes (RFC 8445): candidates from ports and relays, checks between all of them, one pair chosen;
//! then proof, every few seconds, that the peer still wants what is sent (RFC 7675).
//!
//! No sockets and no clock: an [`Agent`] is driven like every other core. Descriptions are written and read by
//! [`crate::negotiate`]; ports are leased, marked and closed by the host.

mod agent;
mod candidate;
mod check;
mod checklist;
mod choose;
mod consent;
mod description;
mod gather;
mod inbound;
mod nowhere;
mod seal;
pub mod turn;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub use agent::Agent;
pub use candidate::{Candidate, Kind, Relaying};
pub use description::{Credentials, Description, Session};
pub(crate) use description::{is_mismatched, tells_mismatch};
pub use nowhere::Missing;
pub use turn::Credential;

use crate::leg::Component;

/// Between two new checks (RFC 8445, 14.2).
pub const TA: Duration = Duration::from_millis(50);

/// What an agent is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the peer's checks must be sealed with.
    pub credentials: Credentials,
    /// The open ports with the address that a peer reaches them by: one for RTP, perhaps one for RTCP, and that for each
    /// of our addresses, the preferred one first. Eight are looked at.
    pub ports: Vec<(Component, SocketAddr)>,
    /// Relays, the preferred one first. They are spoken to from wherever the way to them begins.
    pub relays: Vec<Server>,
    /// Gives identifiers and the tie breaker; secret, and new for every agent.
    pub seed: [u8; 32],
}

/// A relay and its doors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Where it is spoken to, and how, in the order in which that is tried; the first four of our family.
    pub doors: Vec<(Relaying, SocketAddr)>,
    /// What proves that we may use it.
    pub credential: Credential,
}

/// A connection to a relay, by its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Stream(pub(crate) usize);

/// One of our ports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Port {
    /// What for.
    pub component: Component,
    /// At which of our addresses; `None` for the only one, or whichever the system chooses.
    pub ip: Option<IpAddr>,
}

/// By what something leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Via {
    /// One of the ports.
    Port(Port),
    /// A connection to a relay.
    Stream(Stream),
}

/// What an agent wants done, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this. What is for a connection that is not there yet waits for it.
    Transmit {
        /// By what.
        via: Via,
        /// Whereto.
        to: SocketAddr,
        /// The datagram, or a piece of the stream.
        bytes: Vec<u8>,
    },
    /// Connect to a relay from the port with this component's number.
    Connect {
        /// What it is called from now on.
        stream: Stream,
        /// Whose port.
        component: Component,
        /// Whereto.
        to: SocketAddr,
        /// Whether TLS is spoken there.
        tls: bool,
    },
    /// Close the connection, once what waits has left.
    Close(Stream),
    /// Something that the owner of the call may want to know.
    Event(Event),
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// This is where we may be reached: an offer or an answer can be written.
    Gathered(Vec<Candidate>),
    /// Media takes this way.
    Chosen(Path),
    /// No way was found.
    Failed(Component),
    /// The peer has not agreed for 30 s to being sent anything (RFC 7675, 5.1): nothing is sent any more.
    ConsentLost(Component),
}

/// A way between two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    /// What takes it.
    pub component: Component,
    /// Our end, as the peer sees it.
    pub local: End,
    /// The peer's end, as we see it.
    pub remote: End,
    /// How our relay is spoken to, if there is one.
    pub relaying: Option<Relaying>,
    /// Our port as we know it, behind whatever NAT; `None` if a relay is in between.
    pub port: Option<SocketAddr>,
}

/// One end of a way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// Of what kind.
    pub kind: Kind,
    /// Which.
    pub address: SocketAddr,
}

/// What came is no business of the agent: RTP or RTCP, whatever way it took, of somebody who has passed a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Media<'a> {
    /// By which port, or by that port's relay.
    pub component: Component,
    /// Who sent it.
    pub from: SocketAddr,
    /// The packet.
    pub bytes: &'a [u8],
}

impl From<Component> for Port {
    fn from(component: Component) -> Port {
        Port { component, ip: None }
    }
}

/// What was counted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Checks sent, repeated ones too.
    pub checks_sent: u64,
    /// Checks answered.
    pub checks_answered: u64,
    /// Checks of somebody who has not read our description.
    pub strangers: u64,
    /// Media of somebody whom no check has shown: it is not given on.
    pub foreign: u64,
    /// Messages that are none, or answer nothing that we asked.
    pub garbage: u64,
}

/// From where one end of a pair sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Base {
    /// At one of our addresses.
    Port(Component, IpAddr),
    /// An allocation, by its number.
    Relay(usize),
}
