//! What the Access Edge is told when it begins.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::sip::{self, Transport};
use carillon_wire::source::Rate;

use crate::contract;

/// Everything but the seed. None of it is a user: who may sign in is the inside's business.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// What the Edge calls itself where it says why it refuses.
    pub name: String,
    /// The domains of the inside, in lower case.
    pub domains: Vec<String>,
    /// Where it is reached, the ones for other domains first.
    pub listeners: Vec<Listener>,
    /// The servers of the inside: Front Ends, or a Director.
    pub next_hop: NextHop,
    /// Other domains that the inside talks to, and nobody else.
    pub partners: Vec<Partner>,
    /// How often servers are asked whether they are there.
    pub probe: Duration,
    /// What one source may ask before anybody has signed in.
    pub strangers: Rate,
    /// Whether sessions may ask for media; else only messages and presence pass.
    pub media: bool,
    /// Size of a message.
    pub message: sip::Limits,
}

/// Where the Access Edge is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listener {
    /// Towards whom.
    pub side: Side,
    /// What it speaks: a stream.
    pub transport: Transport,
    /// Where it is bound, with the real port.
    pub address: SocketAddr,
    /// What Via, Path and Record-Route say. For the inside an address: Front Ends look no names up.
    pub advertised: String,
}

/// The two sides of an Edge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// Own servers.
    Inside,
    /// Clients, and the Edges of other domains.
    Outside,
}

/// The servers that everything from outside goes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NextHop {
    /// What their certificates say.
    pub name: String,
    /// TLS; TCP where the wire is trusted.
    pub transport: Transport,
    /// The first that is there serves.
    pub addresses: Vec<SocketAddr>,
}

/// Another domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partner {
    /// Its name, in lower case; its Edges' certificates must say it.
    pub domain: String,
    /// Its Edges.
    pub addresses: Vec<SocketAddr>,
}

/// What one source may ask before anybody has signed in: many phones behind one address come back together.
pub const STRANGERS: Rate = Rate { per_second: 50, at_once: 2000 };

impl Listener {
    /// The same as the proxy knows it.
    pub(super) fn end(&self) -> contract::Listener {
        contract::Listener {
            transport: self.transport,
            address: self.address,
            advertised: self.advertised.clone(),
            algorithms: Default::default(),
        }
    }
}
