//! What comes out of the Access Edge, and what it says of itself: plain values.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::sip::{Destination, Flow};

/// What the Access Edge wants done, in this order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send this.
    Transmit {
        /// Where to.
        to: Destination,
        /// Which decides the mark; what leaves for the outside has none.
        class: Option<TrafficClass>,
        /// The whole message.
        bytes: Vec<u8>,
    },
    /// A connection may stay: somebody behind it has signed in, or its certificate is one of ours or of a partner.
    Trust(Flow),
    /// A certificate may say more than when it was shown: [`AccessEdge::handle_connected`](super::AccessEdge::handle_connected) is to be
    /// called again with what that of this connection proves by now, if it has shown one.
    Introduce(Flow),
    /// Something that an administrator may want to know.
    Event(Event),
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Somebody has signed in through a connection.
    SignedIn,
    /// It is another way with a partner than before.
    Partner {
        /// Which.
        domain: String,
        /// How it is now.
        state: Reach,
    },
    /// A server of the inside answers, or does no longer.
    NextHop {
        /// Which.
        address: SocketAddr,
        /// Whether it answers.
        answers: bool,
    },
}

/// Which ways there are between us and a partner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub enum Reach {
    /// Nothing was heard yet, and nothing has failed.
    #[default]
    Untried,
    /// Nothing speaks against both.
    Works,
    /// Our requests are answered, and theirs, which should come, do not.
    OutgoingOnly,
    /// Their requests come, and ours do not reach them.
    IncomingOnly,
    /// Neither.
    Unreachable,
}

impl Reach {
    /// A word for status and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Reach::Untried => "untried",
            Reach::Works => "works",
            Reach::OutgoingOnly => "outgoing-only",
            Reach::IncomingOnly => "incoming-only",
            Reach::Unreachable => "unreachable",
        }
    }

    /// What is wrong then and what to do; nothing if nothing is.
    pub const fn advice(self) -> Option<(&'static str, &'static str)> {
        match self {
            Reach::Untried | Reach::Works => None,
            Reach::OutgoingOnly => Some((
                "our requests are answered, but the partner's own, which should come, do not: users see each other's \
                 presence as unknown and cannot be called",
                "have the partner check the address and port (5061) that it knows us by, its firewall towards us and ours from \
                 it, and whether it accepts our certificate",
            )),
            Reach::IncomingOnly => Some((
                "the partner's requests arrive, but ours get no answer",
                "check the addresses of the partner in [[partners]], the firewall for TCP 5061 towards them, that their \
                 certificate names the domain, and that the partner allows our domain and certificate",
            )),
            Reach::Unreachable => Some((
                "no request passes, in either direction",
                "check the route and the firewall for TCP 5061 to the partner's addresses, and ask whether its Edge runs",
            )),
        }
    }
}

/// A picture of the moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// Connections by which somebody has spoken.
    pub connections: usize,
    /// Of these, those by which somebody has signed in.
    pub signed_in: usize,
    /// The servers of the inside.
    pub next_hops: Vec<LinkView>,
    /// The partners.
    pub partners: Vec<PartnerView>,
    /// Requests and answers sent on, by where they went: `in` and `out`.
    pub forwarded: BTreeMap<&'static str, u64>,
    /// Requests refused by the Edge itself, by the answer.
    pub refused: BTreeMap<u16, u64>,
    /// What was dropped, by the name of its counter.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// A server that we connect to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkView {
    /// Where.
    pub address: SocketAddr,
    /// Whether the last thing that is known is that it answers.
    pub answers: bool,
    /// When it last answered.
    pub answered: Option<Duration>,
    /// When it last could not be reached.
    pub failed: Option<Duration>,
}

/// A partner and what was exchanged with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartnerView {
    /// Its domain.
    pub domain: String,
    /// How it is.
    pub state: Reach,
    /// Since when.
    pub since: Duration,
    /// Its Edges.
    pub links: Vec<LinkView>,
    /// Requests that came from it.
    pub incoming: u64,
    /// Of these, those that it was not allowed.
    pub refused: u64,
    /// Requests that were sent to it.
    pub outgoing: u64,
    /// Final answers to these.
    pub answered: u64,
    /// Those of them that could not be delivered.
    pub failed: u64,
}
