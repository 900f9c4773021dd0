//! Bogus requests: each looks like an Allocate, none has credentials, and the sources are many or one.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use carillon_net::udp::{Datagram, UdpPort};
use carillon_wire::ip::Dscp;
use carillon_wire::stun::{Builder, Class, Method};

use super::Load;

/// Sent with one call.
const BATCH: usize = 64;

/// A source of bogus requests, or many.
pub(super) struct Flood {
    port: Option<UdpPort>,
    server: SocketAddr,
    rate: u32,
    sources: u32,
    first: Ipv4Addr,
    request: Vec<u8>,
    start: Instant,
    /// How many have been sent.
    pub(super) sent: u64,
}

impl Flood {
    pub(super) fn new(load: &Load) -> io::Result<Flood> {
        let request =
            Builder::new(Class::Request, Method::Allocate, [9; 12]).requested_transport(17).finish();
        let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let port = (load.flood > 0).then(|| UdpPort::bind(any, Dscp::DEFAULT)).transpose();
        Ok(Flood {
            port: port.map_err(io::Error::other)?,
            server: load.server,
            rate: load.flood,
            sources: load.flood_sources.max(1),
            first: load.flood_from.unwrap_or(Ipv4Addr::LOCALHOST),
            request: request.unwrap_or_default(),
            start: Instant::now(),
            sent: 0,
        })
    }

    /// Sends what is due, at most one batch.
    pub(super) fn send(&mut self) {
        let Some(port) = &self.port else { return };
        let due = (self.start.elapsed().as_secs_f64() * f64::from(self.rate)) as u64;
        let number = (due.saturating_sub(self.sent) as usize).min(BATCH);
        let source = |at: u64| Ipv4Addr::from(self.first.to_bits() + (at % u64::from(self.sources)) as u32);
        let datagram = |at| Datagram {
            to: self.server,
            from: Some(source(self.sent + at).into()),
            bytes: &self.request,
            mark: None,
        };
        let datagrams: Vec<_> = (0..number as u64).map(datagram).collect();
        port.send(&datagrams, |_, _| {});
        self.sent += number as u64;
    }
}
