//! The only way to a media socket: leased from the range of its class, marked, and given back when dropped.
//!
//! Nothing is open before it is leased. Of TCP only the ports of relays are leased here.

mod ephemeral;
mod error;
mod pool;
mod relay;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use carillon_qos::plan::RolePolicy;
use carillon_qos::{PortRange, TrafficClass};
use carillon_wire::ip::Dscp;
use carillon_wire::sip::Transport;

use self::pool::{Pool, Taken};
use crate::bind_error::{Holder, bind_error, holders};
use crate::udp::UdpPort;

pub use self::error::{Exhausted, LeaseError};
pub use self::relay::{Relayed, RelayedStreams, Reserved};

/// Which ports are leased together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// One port; half of a free pair only if there is no other.
    Any,
    /// One port with an even number.
    Even,
    /// A port with an even number and the one above it.
    Pair,
}

/// Ports and mark of every class that has media.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Voice.
    pub audio: ClassPorts,
    /// Video.
    pub video: ClassPorts,
    /// Desktop and application sharing.
    pub sharing: ClassPorts,
    /// File transfer.
    pub file_transfer: ClassPorts,
}

/// Ports and mark of one class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClassPorts {
    /// The ports; `None` for any from 1024 on.
    pub range: Option<PortRange>,
    /// The mark of every packet.
    pub mark: Dscp,
}

/// The media ports of one local address. A clone leases from the same ports.
#[derive(Clone)]
pub struct Leases(Arc<Ledger>);

struct Ledger {
    address: IpAddr,
    pool: Mutex<Pool>,
    start: Instant,
}

/// One session's ports: they are open and marked, and rest for 30 s once this is dropped.
pub struct Lease {
    class: TrafficClass,
    rtp: UdpPort,
    rtcp: Option<UdpPort>,
    // Last, so that the sockets are closed when their ports come back.
    claim: Claim,
}

/// Ports that come back when this is dropped, whatever has become of the sockets.
struct Claim {
    ledger: Arc<Ledger>,
    class: TrafficClass,
    taken: Taken,
}

/// How the ports of a class are used. Where ranges overlap, the ports of several classes are counted together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Of which class.
    pub class: TrafficClass,
    /// From which ports it leases.
    pub range: PortRange,
    /// Whether somebody gave it that range; without one it has every port from 1024 on.
    pub planned: bool,
    /// Ports of the range that are leased.
    pub leased: u32,
    /// Ports of the range that rest after use.
    pub quarantined: u32,
    /// Ports of the range that were found taken by other programs, and are left alone for 30 s while there are others.
    pub blocked: u32,
    /// Sessions of the class that hold a lease, those of an earlier range too.
    pub sessions: u32,
    /// Leases refused so far because nothing was left: an alarm when it grows.
    pub exhausted: u64,
}

impl Leases {
    /// Leases ports of `address` (the unspecified IPv6 address serves both families). The seed decides in which
    /// order; nothing is opened.
    pub fn new(policy: impl Into<Policy>, address: IpAddr, seed: u64) -> Leases {
        let pool = Mutex::new(Pool::new(&policy.into(), seed));
        Leases(Arc::new(Ledger { address, pool, start: Instant::now() }))
    }

    /// Opens the ports of a session: one for RTP and RTCP with `mux`; otherwise RTP on an even port and RTCP on
    /// the next odd one, both inside the range (RFC 3550, 11).
    ///
    /// Ports that rest are taken when no others are left, the longest at rest first: a late packet of an earlier
    /// call is a smaller evil than a call that fails. Ports that other programs hold are passed over and counted; they too are tried
    /// again before a call fails, once a second.
    pub fn lease(&self, class: TrafficClass, mux: bool) -> Result<Lease, LeaseError> {
        if !class.is_media() {
            return Err(LeaseError::NotMedia(class));
        }
        let shape = if mux { Shape::Any } else { Shape::Pair };
        let (claim, (rtp, rtcp)) = self.claim_open(
            class,
            shape,
            |address| holders(address, Transport::Udp).into_iter().next(),
            Claim::open,
        )?;
        Ok(Lease { class, rtp, rtcp, claim })
    }

    /// Ranges and marks for what is leased from now on; what is leased keeps its own.
    pub fn set_policy(&self, policy: impl Into<Policy>) {
        self.0.pool().set_policy(&policy.into());
    }

    /// How the ports of every media class are used, in the order of [`TrafficClass::MEDIA`].
    pub fn counts(&self) -> [Counts; 4] {
        let pool = self.0.pool();
        TrafficClass::MEDIA.map(|class| pool.counts(self.0.now(), class))
    }

    /// Planned ports that this machine also gives to programs that ask for any port, by class: there they may be
    /// taken by strangers. Ports reserved in `net.ipv4.ip_local_reserved_ports` are safe.
    pub fn overlaps_ephemeral(&self) -> Vec<(TrafficClass, PortRange)> {
        let planned = self.counts().into_iter().filter(|counts| counts.planned);
        planned
            .flat_map(|of| ephemeral::inside(of.range).into_iter().map(move |part| (of.class, part)))
            .collect()
    }

    /// Takes ports until some can be opened; those that somebody else holds are passed over. `ask` is asked who that is, if none is
    /// left.
    fn claim_open<T>(
        &self,
        class: TrafficClass,
        shape: Shape,
        ask: impl Fn(SocketAddr) -> Option<Holder>,
        open: impl Fn(&Claim) -> Result<T, (u16, io::Error)>,
    ) -> Result<(Claim, T), LeaseError> {
        loop {
            let claim = self.claim(class, shape, &ask)?;
            match open(&claim) {
                Ok(opened) => return Ok((claim, opened)),
                Err((port, error)) if error.kind() == io::ErrorKind::AddrInUse => {
                    self.0.pool().block(self.0.now(), port);
                }
                Err((port, error)) => {
                    let address = SocketAddr::new(self.0.address, port);
                    return Err(LeaseError::Bind(bind_error(address, Transport::Udp, error)));
                }
            }
        }
    }

    fn claim(
        &self,
        class: TrafficClass,
        shape: Shape,
        ask: impl Fn(SocketAddr) -> Option<Holder>,
    ) -> Result<Claim, LeaseError> {
        let (ledger, now) = (&self.0, self.0.now());
        let mut pool = ledger.pool();
        if let Some(taken) = pool.take(now, class, shape) {
            return Ok(Claim { ledger: ledger.clone(), class, taken });
        }
        let holder = pool.holder(now, class, |port| ask(SocketAddr::new(ledger.address, port)));
        Err(LeaseError::Exhausted(Exhausted { counts: pool.counts(now, class), shape, holder }))
    }
}

impl Lease {
    /// What its packets are for.
    pub fn class(&self) -> TrafficClass {
        self.class
    }

    /// Where RTP goes; RTCP too if there is no port for it.
    pub fn rtp(&self) -> &UdpPort {
        &self.rtp
    }

    /// Where RTCP goes, if it has a port of its own.
    pub fn rtcp(&self) -> Option<&UdpPort> {
        self.rtcp.as_ref()
    }

    /// The peer agreed to send RTCP with RTP (RFC 5761): the other port is closed and comes back.
    pub fn agree_mux(&mut self) {
        self.rtcp = None;
        self.claim.return_rtcp();
    }
}

impl Claim {
    /// Opens the ports; an error comes with its port.
    fn open(&self) -> Result<(UdpPort, Option<UdpPort>), (u16, io::Error)> {
        let open = |port| {
            let address = SocketAddr::new(self.ledger.address, port);
            UdpPort::open(address, self.taken.mark).map_err(|error| (port, error))
        };
        Ok((open(self.taken.rtp)?, self.taken.rtcp.map(open).transpose()?))
    }

    fn return_rtcp(&mut self) {
        if let Some(port) = self.taken.rtcp.take() {
            self.ledger.pool().give_back(self.ledger.now(), port);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.return_rtcp();
        let mut pool = self.ledger.pool();
        pool.give_back(self.ledger.now(), self.taken.rtp);
        pool.end_session(self.class);
    }
}

impl Ledger {
    /// Whoever panicked while holding it has left it whole: every change is one step.
    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

impl Counts {
    /// Sessions that fit into the range.
    pub fn capacity(&self, mux: bool) -> u32 {
        self.range.sessions(mux)
    }
}

impl Policy {
    /// Of one class; classes without media have any port and no mark.
    pub fn class(&self, class: TrafficClass) -> ClassPorts {
        match class {
            TrafficClass::Audio => self.audio,
            TrafficClass::Video => self.video,
            TrafficClass::Sharing => self.sharing,
            TrafficClass::FileTransfer => self.file_transfer,
            TrafficClass::Signaling | TrafficClass::Management => {
                ClassPorts { range: None, mark: Dscp::DEFAULT }
            }
        }
    }
}

impl From<&RolePolicy> for Policy {
    fn from(policy: &RolePolicy) -> Policy {
        let of = |class| ClassPorts { range: policy.ports(class), mark: policy.mark(class) };
        Policy {
            audio: of(TrafficClass::Audio),
            video: of(TrafficClass::Video),
            sharing: of(TrafficClass::Sharing),
            file_transfer: of(TrafficClass::FileTransfer),
        }
    }
}
