//! What comes out of a Director, and what it says of itself: plain values.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::sip::{Destination, Flow};

/// What a Director wants done, in this order. All that it sends is signaling.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send this.
    Transmit {
        /// Where to.
        to: Destination,
        /// The whole message.
        bytes: Vec<u8>,
    },
    /// A connection may stay: its certificate is one of ours.
    Trust(Flow),
    /// Something that an administrator may want to know.
    Event(Event),
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A server answers, or does no longer.
    Server {
        /// The name of its group.
        name: String,
        /// Which.
        address: SocketAddr,
        /// Whether it answers.
        answers: bool,
    },
    /// A Front End has said who is at home there.
    Homes {
        /// Which.
        name: String,
        /// How many users.
        users: usize,
    },
    /// A Front End has named more users than can be held; those beyond are not found.
    TooMany {
        /// Which.
        name: String,
    },
}

/// A picture of the moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// Connections by which somebody has spoken.
    pub connections: usize,
    /// The Edges, and the Front Ends in the order of the configuration.
    pub groups: Vec<GroupView>,
    /// Requests and answers passed on, by where they went: `edge` and `front-end`.
    pub forwarded: BTreeMap<&'static str, u64>,
    /// Requests refused by the Director itself, by the answer.
    pub refused: BTreeMap<u16, u64>,
    /// What was dropped, by the name of its counter.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// Servers that do the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupView {
    /// What their certificates say.
    pub name: String,
    /// Whether they are Front Ends; else Edges.
    pub is_front_end: bool,
    /// Users at home there; `None`: it has not said so yet, or has none because it is an Edge.
    pub users: Option<usize>,
    /// Each of them.
    pub servers: Vec<ServerView>,
}

/// A server that a Director connects to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerView {
    /// Where.
    pub address: SocketAddr,
    /// Whether the last thing that is known is that it answers.
    pub answers: bool,
    /// Since when that is so; `None`: nothing is known yet.
    pub since: Option<Duration>,
    /// When it last answered.
    pub answered: Option<Duration>,
    /// When it last could not be reached.
    pub failed: Option<Duration>,
}
