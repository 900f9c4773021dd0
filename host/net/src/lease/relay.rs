//! Ports of a relay: one for each allocation, and the port above it kept for the next one if the client wishes so
//! (RFC 8656, 7.2). Nothing is open that was not asked for: what is kept is only not given to others.

use std::net::SocketAddr;

use carillon_qos::TrafficClass;
use carillon_wire::ip::Dscp;
use carillon_wire::sip::Transport;
use socket2::Socket;

use super::pool::Taken;
use super::{Claim, LeaseError, Leases, Shape};
use crate::bind_error::bind_error;
use crate::transports::socket::{connecting_from, listening_for_peers};
use crate::udp::UdpPort;

/// Bytes that the kernel is asked to queue for one relayed address: a quarter of a second of 30 Mbit/s.
const KERNEL_BUFFER: usize = 1024 * 1024;

/// An open port of a relay. It rests for 30 s once this is dropped.
pub struct Relayed {
    port: UdpPort,
    // Last, so that the socket is closed when its port comes back.
    claim: Claim,
}

/// A port of a relay that peers connect to, and that connections to peers leave from. It rests for 30 s once this is dropped.
pub struct RelayedStreams {
    listening: Socket,
    // Last, so that the socket is closed when its port comes back.
    claim: Claim,
}

/// The port above an open one: nobody else gets it, and it is not open. It rests for 30 s once this is dropped.
pub struct Reserved(Claim);

impl Leases {
    /// Opens a port of a relay; with [`Shape::Pair`] the one above it is reserved, if nobody else has it. The class gives range and
    /// mark. Who holds ports when none is left is not looked up: that takes its time, and media waits.
    pub fn relay(
        &self,
        class: TrafficClass,
        shape: Shape,
    ) -> Result<(Relayed, Option<Reserved>), LeaseError> {
        if !class.is_media() {
            return Err(LeaseError::NotMedia(class));
        }
        let (mut claim, port) = self.claim_open(class, shape, |_| None, Claim::open_relay_of_shape)?;
        let reserved = claim.part().map(Reserved);
        Ok((Relayed { port, claim }, reserved))
    }
}

impl Leases {
    /// Opens a port of a relay for TCP. The class gives the range; marks are those of each connection.
    pub fn relay_streams(&self, class: TrafficClass) -> Result<RelayedStreams, LeaseError> {
        if !class.is_media() {
            return Err(LeaseError::NotMedia(class));
        }
        let open = |claim: &Claim| {
            let port = claim.taken.rtp;
            listening_for_peers(SocketAddr::new(claim.ledger.address, port)).map_err(|error| (port, error))
        };
        let (claim, listening) = self.claim_open(class, Shape::Any, |_| None, open)?;
        Ok(RelayedStreams { listening, claim })
    }
}

impl RelayedStreams {
    /// Where it listens.
    pub fn local(&self) -> SocketAddr {
        SocketAddr::new(self.claim.ledger.address, self.claim.taken.rtp)
    }

    /// The socket that listens, once more.
    pub(crate) fn listening(&self) -> std::io::Result<Socket> {
        self.listening.try_clone()
    }

    /// A connection from here whose SYN is on its way, marked.
    pub(crate) fn dial(&self, peer: SocketAddr, mark: Dscp) -> std::io::Result<Socket> {
        connecting_from(self.local(), peer, mark)
    }
}

impl Relayed {
    /// The socket.
    pub fn port(&self) -> &UdpPort {
        &self.port
    }

    /// What it marks by itself.
    pub fn mark(&self) -> Dscp {
        self.claim.taken.mark
    }
}

impl Reserved {
    /// The address that it will have.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.0.ledger.address, self.0.taken.rtp)
    }

    /// Opens it: its client has come back with the token.
    pub fn open(self) -> Result<Relayed, LeaseError> {
        let failed = |error| LeaseError::Bind(bind_error(self.address(), Transport::Udp, error));
        let port = self.0.open_relay().map_err(failed)?;
        Ok(Relayed { port, claim: self.0 })
    }
}

impl Claim {
    fn open_relay(&self) -> std::io::Result<UdpPort> {
        let address = SocketAddr::new(self.ledger.address, self.taken.rtp);
        UdpPort::open_to_forward(address, self.taken.mark, KERNEL_BUFFER, true)
    }

    /// The first port; the second is tried, for it has to be free when somebody comes for it.
    fn open_relay_of_shape(&self) -> Result<UdpPort, (u16, std::io::Error)> {
        let open = |port| {
            let address = SocketAddr::new(self.ledger.address, port);
            UdpPort::open_to_forward(address, self.taken.mark, KERNEL_BUFFER, true)
                .map_err(|error| (port, error))
        };
        let first = open(self.taken.rtp)?;
        self.taken.rtcp.map(open).transpose()?;
        Ok(first)
    }

    /// Makes a claim of its own of the second port.
    fn part(&mut self) -> Option<Claim> {
        let rtp = self.taken.rtcp.take()?;
        self.ledger.pool().part_session(self.class);
        let taken = Taken { rtp, rtcp: None, mark: self.taken.mark };
        Some(Claim { ledger: self.ledger.clone(), class: self.class, taken })
    }
}
