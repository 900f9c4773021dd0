//! The hosts of the virtual network.

use std::net::IpAddr;
use std::time::Duration;

use crate::phone::Phone;
use crate::server::Server;
use crate::world::{Datagram, Host};

/// A server or a phone.
#[allow(clippy::large_enum_variant, reason = "a handful of hosts")]
pub enum Node {
    /// A Front End.
    Server(Server),
    /// A phone.
    Phone(Phone),
}

impl Node {
    /// The phone; tests know which of the hosts are phones.
    pub fn phone(&mut self) -> &mut Phone {
        match self {
            Node::Phone(phone) => phone,
            Node::Server(_) => panic!("this host is a server"),
        }
    }

    /// The server.
    pub fn server(&mut self) -> &mut Server {
        match self {
            Node::Server(server) => server,
            Node::Phone(_) => panic!("this host is a phone"),
        }
    }
}

impl Host for Node {
    fn address(&self) -> IpAddr {
        match self {
            Node::Server(server) => server.address(),
            Node::Phone(phone) => phone.address(),
        }
    }

    fn receive(&mut self, now: Duration, datagram: Datagram) {
        match self {
            Node::Server(server) => server.receive(now, &datagram),
            Node::Phone(phone) => phone.receive(now, datagram),
        }
    }

    fn timeout(&mut self, now: Duration) {
        match self {
            Node::Server(server) => server.timeout(now),
            Node::Phone(phone) => phone.timeout(now),
        }
    }

    fn poll_timeout(&self) -> Option<Duration> {
        match self {
            Node::Server(server) => server.poll_timeout(),
            Node::Phone(phone) => phone.poll_timeout(),
        }
    }

    fn poll_datagram(&mut self) -> Option<Datagram> {
        match self {
            Node::Server(server) => server.poll_datagram(),
            Node::Phone(phone) => phone.poll_datagram(),
        }
    }
}
