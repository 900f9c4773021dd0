//! What a Director is told when it begins.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::sip::{self, Transport};

use crate::contract;

/// Everything but the seed. None of it is a user: who is at home where the Front Ends say.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// What it calls itself where it says why it refuses.
    pub name: String,
    /// The domains that the Front Ends serve, in lower case.
    pub domains: Vec<String>,
    /// What it speaks with all of them: a stream.
    pub transport: Transport,
    /// Where it listens, with the real port.
    pub address: SocketAddr,
    /// What Via, Path and Record-Route say: an address, as Edges and Front Ends look no names up.
    pub advertised: String,
    /// The Edge, or a pool of them; without one nobody outside is reached.
    pub edge: Option<Group>,
    /// The Front Ends, each with users of its own.
    pub front_ends: Vec<Group>,
    /// How often all of them are asked whether they are there, and the Front Ends who is at home with them.
    pub probe: Duration,
    /// Size of a message.
    pub message: sip::Limits,
}

/// Servers of ours that do the same: one Front End, or the Edges of a pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// What their certificates say.
    pub name: String,
    /// Where they are. The first that is there serves.
    pub addresses: Vec<SocketAddr>,
}

impl Config {
    /// The one listener, as the proxy knows it.
    pub(super) fn end(&self) -> contract::Listener {
        contract::Listener {
            transport: self.transport,
            address: self.address,
            advertised: self.advertised.clone(),
            algorithms: Default::default(),
        }
    }

    /// All servers, by who they are.
    pub(super) fn groups(&self) -> impl Iterator<Item = (Owner, &Group)> {
        let front_ends = self.front_ends.iter().enumerate().map(|(at, group)| (Owner::FrontEnd(at), group));
        self.edge.iter().map(|group| (Owner::Edge, group)).chain(front_ends)
    }
}

/// Who a server is, or whoever is at the other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Owner {
    /// Our Edge, which speaks for users outside and for partners.
    Edge,
    /// A Front End, by its number.
    FrontEnd(usize),
}
