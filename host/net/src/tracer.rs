//! Probes of one flow with rising time to live, from a leased and marked media port, and what comes back about them.
//!
//! Addresses, ports and mark stay the same for all probes, so that routers that share out flows send them one way
//! (as Paris traceroute does); they differ in length alone. When to send, and what answers mean, is `carillon_qos`'s.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use carillon_qos::TrafficClass;
use carillon_qos::path::PROBE_LEN;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use crate::icmp::{IcmpSocket, Message};
use crate::lease::{Lease, Leases, Policy};
use crate::mark::Marks;
use crate::route::source_toward;
use crate::udp::{Batch, Datagram};

/// Sends probes and hears about them.
pub struct Tracer {
    lease: Lease,
    icmp: IcmpSocket,
    local: SocketAddr,
    to: SocketAddr,
    poll: Poll,
    batch: Batch,
    start: Instant,
}

/// What came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard<'a> {
    /// Somebody's error, perhaps about a packet of another program.
    Icmp(Message<'a>),
    /// A datagram came to the port that probes leave from.
    Datagram(IpAddr),
}

const ICMP: Token = Token(0);
const PORT: Token = Token(1);

impl Tracer {
    /// Leases a port of the class; an error says what to do.
    pub fn open(policy: impl Into<Policy>, class: TrafficClass, to: SocketAddr) -> io::Result<Tracer> {
        let icmp = IcmpSocket::open(to.is_ipv6())?;
        let own = source_toward(to).map_err(|error| {
            io::Error::new(error.kind(), format!("there is no route to {}: {error}", to.ip()))
        })?;
        let start = Instant::now();
        let leases = Leases::new(policy, own, 0);
        let lease = leases.lease(class, true).map_err(|error| io::Error::other(error.to_string()))?;
        let poll = Poll::new()?;
        let local = lease.rtp().local();
        let (icmp_fd, port_fd) = (icmp.as_raw_fd(), lease.rtp().as_raw_fd());
        poll.registry().register(&mut SourceFd(&icmp_fd), ICMP, Interest::READABLE)?;
        poll.registry().register(&mut SourceFd(&port_fd), PORT, Interest::READABLE)?;
        Ok(Tracer { lease, icmp, local, to, poll, batch: Batch::new(2048), start })
    }

    /// Where probes leave from.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// What the kernel says that probes are marked with.
    pub fn marks(&self) -> io::Result<Marks> {
        self.lease.rtp().marks()
    }

    /// The time since it was opened, for all that takes a `now`.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Sends the probe of this number with this time to live.
    pub fn send(&self, ttl: u8, number: u16) -> io::Result<()> {
        let socket = SockRef::from(self.lease.rtp());
        match self.to {
            SocketAddr::V4(_) => socket.set_ttl_v4(ttl.into())?,
            SocketAddr::V6(_) => socket.set_unicast_hops_v6(ttl.into())?,
        }
        let mut bytes = b"carillon trace ".repeat(1 + (PROBE_LEN + usize::from(number)) / 15);
        bytes.truncate(PROBE_LEN + usize::from(number));
        let probe = Datagram { to: self.to, from: None, bytes: &bytes, mark: None };
        let mut failed = None;
        self.lease.rtp().send(&[probe], |_, error| failed = Some(error));
        failed.map_or(Ok(()), Err)
    }

    /// Waits at most so long for something, and shows all that has come.
    pub fn receive(&mut self, wait: Duration, mut heard: impl FnMut(Heard<'_>)) -> io::Result<()> {
        let mut events = Events::with_capacity(2);
        match self.poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        while let Some(message) = self.icmp.receive()? {
            heard(Heard::Icmp(message));
        }
        while self.lease.rtp().receive(&mut self.batch)? > 0 {
            self.batch.iter().for_each(|datagram| heard(Heard::Datagram(datagram.remote.ip())));
        }
        Ok(())
    }
}
