//! Ports of a relay: one for each allocation, and the port above it kept for the next one if the client wishes so
//! (RFC 8656, 7.2). Nothing is open that was not asked for: what is kept is only not given to others.

use std::net::SocketAddr;

use carillon_qos::TrafficClass;
use carillon_wire::ip::Dscp;
use carillon_wire::sip::Transport;

use super::pool::Taken;
use super::{Claim, LeaseError, Leases, Shape};
use crate::bind_error::bind_error;
use crate::udp::UdpPort;

/// Bytes that the kernel is asked to queue for one relayed address: a quarter of a second of 30 Mbit/s.
const KERNEL_BUFFER: usize = 1024 * 1024;

/// An open port of a relay. It rests for 30 s once this is dropped.
pub struct Relayed {
    port: UdpPort,
    // Last, so that the socket is closed when its port comes back.
    claim: Claim,
}

/// The port above an open one: nobody else gets it, and it is not open. It rests for 30 s once this is dropped.
pub struct Reserved(Claim);

impl Leases {
    /// Opens a port of a relay; with [`Shape::Pair`] the one above it is reserved. The class gives range and mark.
    pub fn relay(
        &self,
        class: TrafficClass,
        shape: Shape,
    ) -> Result<(Relayed, Option<Reserved>), LeaseError> {
        if !class.is_media() {
            return Err(LeaseError::NotMedia(class));
        }
        let (mut claim, port) = self
            .claim_open(class, shape, |claim| claim.open_relay().map_err(|error| (claim.taken.rtp, error)))?;
        let reserved = claim.part().map(Reserved);
        Ok((Relayed { port, claim }, reserved))
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
        UdpPort::open_to_forward(address, self.taken.mark, KERNEL_BUFFER)
    }

    /// Makes a claim of its own of the second port.
    fn part(&mut self) -> Option<Claim> {
        let rtp = self.taken.rtcp.take()?;
        self.ledger.pool().part_session(self.class);
        let taken = Taken { rtp, rtcp: None, mark: self.taken.mark };
        Some(Claim { ledger: self.ledger.clone(), class: self.class, taken })
    }
}
