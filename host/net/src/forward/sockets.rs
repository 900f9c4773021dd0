//! The sockets of a forwarder by number: listeners for clients, relayed addresses for peers.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use carillon_wire::ip::{Dscp, Ecn};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::{ListenerId, PortId};
use crate::lease::{Relayed, RelayedStreams};
use crate::syscall;
use crate::udp::UdpPort;

/// A place in the list, and how often it was used before: a number that was given back means nothing any more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub(super) struct SocketId {
    pub(super) place: u32,
    pub(super) round: u32,
}

/// An open socket.
pub(super) struct Socket {
    pub(super) id: SocketId,
    pub(super) role: Role,
    /// What it marks by itself.
    pub(super) mark: Dscp,
    /// Stands among those that have something to read.
    pub(super) is_ready: bool,
    /// The kernel has complaints for it.
    pub(super) has_complaints: bool,
}

/// What a socket is for.
pub(super) enum Role {
    /// Clients send to it.
    Listener(UdpPort),
    /// Peers send to it.
    Relay(Relayed),
    /// Clients connect to it; the sockets are those of `transports`.
    Streams(SocketAddr),
    /// Peers connect to it.
    RelayStreams(RelayedStreams),
}

/// All sockets.
#[derive(Default)]
pub(super) struct Sockets {
    places: Vec<(u32, Option<Socket>)>,
    free: Vec<u32>,
    /// A program of the kernel carries what it can before any of them receives it.
    behind_kernel: bool,
}

impl Sockets {
    /// Takes a socket and shows it to the poll; `trains` of datagrams may come as one, but behind a program of the kernel.
    pub(super) fn add(
        &mut self,
        role: Role,
        mark: Dscp,
        trains: bool,
        registry: &Registry,
    ) -> io::Result<SocketId> {
        let place = self.free.last().copied().unwrap_or(self.places.len() as u32);
        if let Some(port) = role.port() {
            if self.behind_kernel {
                role.heed_kernel()?;
            } else if trains {
                // Kernels before 5.0 do not know it: then every datagram comes alone.
                let _ = join(port, true);
            }
            registry.register(&mut SourceFd(&port.as_raw_fd()), token(place), Interest::READABLE)?;
        }
        let round = self.places.get(place as usize).map_or(0, |(round, _)| *round);
        let id = SocketId { place, round };
        let socket = Some(Socket { id, role, mark, is_ready: false, has_complaints: false });
        match self.places.get_mut(place as usize) {
            Some((_, free)) => *free = socket,
            None => self.places.push((0, socket)),
        }
        self.free.pop();
        Ok(id)
    }

    /// From now on all are as they have to be where a program of the kernel carries what it can.
    pub(super) fn stand_behind_kernel(&mut self) -> io::Result<()> {
        self.behind_kernel = true;
        let mut open = self.places.iter().filter_map(|(_, socket)| socket.as_ref());
        open.try_for_each(|socket| socket.role.heed_kernel())
    }

    /// Closes a socket; false if it is closed already.
    pub(super) fn remove(&mut self, id: SocketId) -> bool {
        if self.get(id).is_none() {
            return false;
        }
        if let Some((round, socket)) = self.places.get_mut(id.place as usize) {
            *socket = None;
            *round = round.wrapping_add(1);
            self.free.push(id.place);
        }
        true
    }

    pub(super) fn get(&self, id: SocketId) -> Option<&Socket> {
        self.at(id.place).filter(|socket| socket.id == id)
    }

    /// The socket that stands there now.
    pub(super) fn at(&self, place: u32) -> Option<&Socket> {
        self.places.get(place as usize)?.1.as_ref()
    }

    pub(super) fn at_mut(&mut self, place: u32) -> Option<&mut Socket> {
        self.places.get_mut(place as usize)?.1.as_mut()
    }
}

impl Socket {
    /// The traffic byte of what leaves it without one of its own.
    pub(super) fn traffic(&self) -> u8 {
        self.mark.traffic_byte(Ecn::NotCapable)
    }
}

impl Role {
    /// What a program carries may not overtake trains, which only sockets take: none are made for them. Ways to clients may be too
    /// narrow for what it sends, which the network tells their listener.
    fn heed_kernel(&self) -> io::Result<()> {
        let Some(port) = self.port() else { return Ok(()) };
        join(port, false)?;
        if matches!(self, Role::Listener(_)) { port.keep_complaints() } else { Ok(()) }
    }

    pub(super) fn port(&self) -> Option<&UdpPort> {
        match self {
            Role::Listener(port) => Some(port),
            Role::Relay(relayed) => Some(relayed.port()),
            Role::Streams(_) | Role::RelayStreams(_) => None,
        }
    }

    /// Where it is bound.
    pub(super) fn local(&self) -> SocketAddr {
        match self {
            Role::Listener(port) => port.local(),
            Role::Relay(relayed) => relayed.port().local(),
            Role::Streams(address) => *address,
            Role::RelayStreams(relayed) => relayed.local(),
        }
    }
}

impl ListenerId {
    pub(super) fn local(self, sockets: &Sockets) -> Option<SocketAddr> {
        Some(sockets.get(self.0)?.role.local())
    }
}

impl PortId {
    pub(super) fn local(self, sockets: &Sockets) -> Option<SocketAddr> {
        Some(sockets.get(self.0)?.role.local())
    }
}

/// The waker is 0, streams are 1.
pub(super) fn token(place: u32) -> Token {
    Token(place as usize + 2)
}

/// Whether datagrams of a flow may come as one.
fn join(port: &UdpPort, joined: bool) -> io::Result<()> {
    syscall::set_option(port, libc::SOL_UDP, libc::UDP_GRO, libc::c_int::from(joined))
}
