//! What was observed of a machine. An `Err` says why something could not be seen.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_wire::ip::Dscp;

use crate::TrafficClass;
use crate::plan::Network;

/// A machine of a pool. What belongs to another point of view than the observer's is empty or `None`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Machine {
    /// The name of its pool; of a single Edge, its own.
    pub pool: String,
    /// Which machine.
    pub name: String,
    /// Its own account of its services.
    pub running: Option<Running>,
    /// Names by which it is found.
    pub names: Vec<Name>,
    /// Its routes.
    pub routing: Option<Result<Routing, String>>,
    /// What it proves itself with.
    pub certificates: Vec<Certificate>,
    /// Sockets that wait for clients on this machine, by the kernel.
    pub sockets: Option<Vec<Socket>>,
    /// Where it should be reached, and what happened there.
    pub doors: Vec<Door>,
    /// Credentials for the relay, one of which it was asked with.
    pub grants: Vec<Grant>,
}

/// What a server says of its services.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Running {
    /// Nobody answers where administrators ask it.
    No(String),
    /// Each of them.
    Yes(Vec<Service>),
}

/// A service that the configuration asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Its name as administrators know it.
    pub name: String,
    /// Why it does not do what it should.
    pub trouble: Option<String>,
    /// It runs in spite of its trouble.
    pub runs: bool,
}

/// Which side of an Edge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// Towards the servers and clients of the organisation.
    Inside,
    /// Towards the Internet.
    Outside,
}

/// A name, looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    /// The name.
    pub name: String,
    /// Who looks it up.
    pub side: Side,
    /// Addresses of which it must have one.
    pub wanted: Vec<IpAddr>,
    /// Its addresses.
    pub found: Result<Vec<IpAddr>, String>,
}

/// The routes of a machine, and what they must lead to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routing {
    /// The interface that has the external address.
    pub external: String,
    /// The interface that has the internal address, where there is one.
    pub internal: Option<String>,
    /// The external addresses.
    pub addresses: Vec<IpAddr>,
    /// The networks that are inside.
    pub inside: Vec<Network>,
    /// The kernel's table.
    pub routes: Vec<Route>,
}

/// A row of the kernel's table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Whereto; `None`: everything else.
    pub to: Option<Network>,
    /// By whom; `None`: they are on the link.
    pub gateway: Option<IpAddr>,
    /// By which interface.
    pub interface: String,
    /// For IPv6.
    pub v6: bool,
}

/// A certificate that was shown at a door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// Where.
    pub door: SocketAddr,
    /// Who sees it.
    pub side: Side,
    /// The name that it must be for.
    pub wanted: String,
    /// What it says.
    pub facts: Result<Facts, String>,
    /// What becomes of it when it is asked for by the name of the machine.
    pub legacy: Option<Legacy>,
}

/// A certificate asked for by the name of a machine, as testers of 2013 did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Legacy {
    /// The name.
    pub name: String,
    /// Whether it is for that.
    pub accepted: bool,
}

/// What a certificate says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// The common name of its subject.
    pub common_name: String,
    /// Its alternative names.
    pub names: Vec<String>,
    /// Who made it.
    pub issuer: String,
    /// A digest of its public key.
    pub key: String,
    /// Until when it holds, since 1970.
    pub ends: Duration,
    /// Whether one of the configured authorities made it; `None` where none is configured.
    pub trusted: Option<bool>,
}

/// A socket of the kernel's list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Socket {
    /// TCP, not UDP.
    pub is_stream: bool,
    /// What it is bound to.
    pub address: SocketAddr,
}

/// How a door is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// A place where a service should be reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Door {
    /// Its service, as administrators know it.
    pub service: String,
    /// How it is spoken to.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// It is a relay's.
    pub is_relay: bool,
    /// Nobody outside may reach it.
    pub only_inside: bool,
    /// Servers may do without it: nobody there is no fault.
    pub optional: bool,
    /// Its address is known by a name only.
    pub by_name: bool,
    /// What came back.
    pub knock: Knock,
    /// What the relay lent there, if it was asked.
    pub lent: Option<Lent>,
    /// What became of a packet through it, or why none was sent.
    pub relayed: Option<Result<Relayed, String>>,
}

/// What came back from a door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Knock {
    /// What should be there answers.
    Answered,
    /// Somebody is there and refuses.
    Refused,
    /// Nothing.
    Silent,
    /// A filter says that it may not pass.
    Prohibited,
    /// There is no way, says this machine or a router.
    NoWay(String),
    /// It is reached, and does not speak as it should.
    Foreign(String),
    /// It was not tried.
    NotTried(String),
}

/// What a relay lent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lent {
    /// This address.
    Address(SocketAddr),
    /// Nothing, with the number of its error (RFC 8489, 14.8).
    Refused(u16),
    /// It has begun to answer, and then said no more.
    Nothing,
}

/// A packet through a relay and its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relayed {
    /// To the other end.
    pub there: Packet,
    /// And back.
    pub back: Packet,
    /// The class that the relay must take it for.
    pub class: Option<TrafficClass>,
    /// The mark that it must arrive with at an inside end. `None`: the other end was not inside.
    pub planned: Option<Dscp>,
}

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packet {
    /// It arrived, with this mark where that can be told.
    Arrived(Option<Dscp>),
    /// It did not.
    Lost,
}

/// A credential, and who made it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// In words: "the secret of edge.toml", "A/V Authentication".
    pub by: String,
    /// The door that it was asked for at; `None`: it was made here.
    pub door: Option<SocketAddr>,
    /// The relay was asked with it.
    pub shown: bool,
    /// Why there is none.
    pub refused: Option<String>,
}
