//! A UDP socket that cannot be unmarked: it is marked before it is bound, and tells the mark of all it receives.
//!
//! Never blocks. Media ports are not made here but leased: see `lease`.

mod errors;
mod incoming;
mod outgoing;
mod whole;

use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use carillon_wire::ip::Dscp;
use carillon_wire::sip::Transport;
use libc::c_int;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Socket, Type};

pub use self::errors::Complaint;
pub(crate) use self::errors::is_complaint;
pub use self::incoming::{Batch, Received};
pub(crate) use self::incoming::{NAME_LEN, number, socket_address, v4_destination, v6_destination};
pub use self::outgoing::Datagram;
pub(crate) use self::outgoing::push_source;
pub(crate) use self::whole::kept_whole;
use crate::bind_error::{BindError, bind_error};
use crate::mark::{self, Marks};
use crate::syscall;

/// A marked UDP socket. Bound to the unspecified IPv6 address it serves both families.
#[derive(Debug)]
pub struct UdpPort {
    socket: Socket,
    local: SocketAddr,
}

/// What the kernel is asked to queue in each direction: 8 000 packets of audio by its counting, the burst of some
/// thousand SIP messages after a power failure.
const KERNEL_BUFFER: usize = 8 * 1024 * 1024;
/// As many errors of earlier datagrams may come in the way of one call.
const PATIENCE: usize = 64;

impl UdpPort {
    /// Binds to an address, port 0 for any; everything that leaves is marked, and of everything that comes the
    /// mark is read.
    pub fn bind(address: SocketAddr, mark: Dscp) -> Result<UdpPort, BindError> {
        UdpPort::open(address, mark).map_err(|error| bind_error(address, Transport::Udp, error))
    }

    /// Like [`UdpPort::bind`] for those who ask themselves who holds a port that is taken: looking that up is slow.
    pub(crate) fn open(address: SocketAddr, mark: Dscp) -> io::Result<UdpPort> {
        UdpPort::open_with(address, mark, |socket| ask_for_details(socket, address), KERNEL_BUFFER)
    }

    /// Like [`UdpPort::open`], for a port that forwards: nobody asks when a datagram came, and where it was sent to
    /// only if that can't be known otherwise. `buffer` is what the kernel is asked to queue, in bytes. With `complaints`, errors of
    /// ICMP are kept, see [`UdpPort::complaint`].
    pub(crate) fn open_to_forward(
        address: SocketAddr,
        mark: Dscp,
        buffer: usize,
        complaints: bool,
    ) -> io::Result<UdpPort> {
        let ask = |socket: &Socket| {
            ask_for_marks(socket, address)?;
            if complaints {
                errors::ask_for_errors(socket, address)?;
            }
            if address.ip().is_unspecified() { ask_for_destination(socket, address) } else { Ok(()) }
        };
        UdpPort::open_with(address, mark, ask, buffer)
    }

    fn open_with(
        address: SocketAddr,
        mark: Dscp,
        ask: impl FnOnce(&Socket) -> io::Result<()>,
        buffer: usize,
    ) -> io::Result<UdpPort> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), None)?;
        mark::apply(&socket, mark)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        ask(&socket)?;
        enlarge_buffers(&socket, buffer)?;
        socket.bind(&address.into())?;
        // The kernel is asked only where it has chosen.
        let chosen = if address.port() == 0 { socket.local_addr()?.as_socket() } else { None };
        Ok(UdpPort { socket, local: chosen.unwrap_or(address) })
    }

    /// The address and port that it is bound to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Marks from now on with this; a datagram's own mark goes before.
    pub fn set_mark(&self, mark: Dscp) -> io::Result<()> {
        mark::apply(&self.socket, mark)
    }

    /// What the kernel says that it marks.
    pub fn marks(&self) -> io::Result<Marks> {
        mark::read_back(&self.socket)
    }

    /// Bytes that the kernel may queue for us, by its own counting; it may have given less than 8 MiB.
    pub fn receive_buffer(&self) -> io::Result<usize> {
        self.socket.recv_buffer_size()
    }

    /// Datagrams that the kernel has dropped since the socket was made, nearly always for want of room. Counted by
    /// the kernel in 32 bits.
    pub fn dropped(&self) -> io::Result<u32> {
        // `SK_MEMINFO_DROPS`: told at any time, where SO_RXQ_OVFL tells it with the next datagram that has room.
        const DROPS: usize = 8;
        let [.., dropped] = syscall::numbers::<{ DROPS + 1 }>(self, libc::SOL_SOCKET, libc::SO_MEMINFO)?;
        Ok(dropped)
    }

    /// Fills the batch with what is there and says how many datagrams came; 0 means that there are no more.
    /// An error of ICMP about what was sent is no error of this port.
    pub fn receive(&self, batch: &mut Batch) -> io::Result<usize> {
        let mut last = io::Error::from(io::ErrorKind::WouldBlock);
        for _ in 0..PATIENCE {
            match batch.receive(self) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted || is_about_another(&error) => {
                    last = error;
                }
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Sends in order and says how many the kernel took. Each that it refused is handed to `refused` with the
    /// reason, and those behind it are sent all the same; once its buffer is full, all the rest is refused with
    /// `WouldBlock`.
    pub fn send<'a>(
        &self,
        datagrams: &[Datagram<'a>],
        mut refused: impl FnMut(&Datagram<'a>, io::Error),
    ) -> usize {
        let (mut rest, mut taken, mut patience) = (datagrams, 0, PATIENCE);
        while let Some((first, others)) = rest.split_first() {
            match outgoing::send(self, rest) {
                Ok(count) => {
                    taken += count;
                    rest = rest.get(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    rest.iter().for_each(|datagram| refused(datagram, io::ErrorKind::WouldBlock.into()));
                    break;
                }
                Err(error) if patience > 0 && is_about_another(&error) => patience -= 1,
                Err(error) => {
                    refused(first, error);
                    rest = others;
                }
            }
        }
        taken
    }
}

impl AsFd for UdpPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for UdpPort {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl mio::event::Source for UdpPort {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.as_raw_fd()).register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.as_raw_fd()).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.as_raw_fd()).deregister(registry)
    }
}

/// With every datagram: its mark, when it came, and which address of ours it was sent to.
fn ask_for_details(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    const ON: c_int = 1;
    syscall::set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, ON)?;
    ask_for_marks(socket, address)?;
    ask_for_destination(socket, address)
}

fn ask_for_marks(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    // On an IPv6 socket too: this is the one that tells the mark of IPv4-mapped peers.
    socket.set_recv_tos_v4(true)?;
    if address.is_ipv4() { Ok(()) } else { socket.set_recv_tclass_v6(true) }
}

fn ask_for_destination(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    const ON: c_int = 1;
    match address {
        SocketAddr::V4(_) => syscall::set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, ON),
        SocketAddr::V6(_) => syscall::set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, ON),
    }
}

/// More than the system's usual limit needs the right CAP_NET_ADMIN; without it, what the limit allows.
fn enlarge_buffers(socket: &Socket, asked: usize) -> io::Result<()> {
    let wanted = asked as c_int;
    if syscall::set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, wanted).is_err() {
        socket.set_recv_buffer_size(asked)?;
    }
    if syscall::set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, wanted).is_err() {
        socket.set_send_buffer_size(asked)?;
    }
    Ok(())
}

/// Whether the kernel speaks of a datagram sent earlier, for which an error of ICMP came.
pub(crate) fn is_about_another(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ECONNREFUSED))
}

/// As people and tables write it: an IPv4-mapped address is an IPv4 address.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => {
            SocketAddr::new(v6.ip().to_canonical(), v6.port())
        }
        other => other,
    }
}

/// As an IPv6 socket has to write it.
pub(crate) fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
        v6 => v6,
    }
}
