//! A place where peers connect over TCP or TLS, with a WebSocket or without.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_wire::ip::Dscp;
use carillon_wire::sip::{Flow, Transport};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustls::{ServerConfig, ServerConnection};
use socket2::Socket;

use super::channel::Channel;
use super::counts::Count;
use super::socket;
use super::streams::Streams;
use crate::mark;

/// Connections taken before others have their turn.
const TURN: usize = 64;
/// How long nobody is taken after the process could open no more files.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket.
pub(super) struct Listener {
    pub(super) transport: Transport,
    /// Where it is bound, with the real port.
    pub(super) address: SocketAddr,
    /// For TLS: what new connections are greeted with.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// Its mark, and that of its connections, if it is not the one of all.
    own_mark: Option<Dscp>,
    /// Peers of a relayed port: told, and not read yet.
    of_peers: bool,
    socket: Socket,
    paused_until: Option<Instant>,
}

impl Listener {
    pub(super) fn bind(
        transport: Transport,
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        mark: Dscp,
        own_mark: Option<Dscp>,
    ) -> io::Result<Listener> {
        if tls.is_some() != transport.is_secured() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "TLS needs a certificate, and only TLS does",
            ));
        }
        let socket = socket::listening(address, own_mark.unwrap_or(mark))?;
        let address = socket::local(&socket)?;
        Ok(Listener { transport, address, tls, own_mark, of_peers: false, socket, paused_until: None })
    }

    /// A relayed port. Who comes is unmarked until it is known who that is.
    pub(super) fn of_peers(socket: Socket) -> io::Result<Listener> {
        let (address, own_mark) = (socket::local(&socket)?, Some(Dscp::DEFAULT));
        let (transport, tls, paused_until) = (Transport::Tcp, None, None);
        Ok(Listener { transport, address, tls, own_mark, of_peers: true, socket, paused_until })
    }

    pub(super) fn register(&self, registry: &Registry, id: u64) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.socket.as_raw_fd()), Token(id as usize), Interest::READABLE)
    }

    pub(super) fn set_mark(&self, mark: Dscp) -> io::Result<()> {
        mark::apply(&self.socket, self.own_mark.unwrap_or(mark))
    }

    pub(super) fn marks(&self) -> io::Result<mark::Marks> {
        mark::read_back(&self.socket)
    }

    /// Takes who waits, for one turn; `id` is the listener's own, `next` numbers connections.
    pub(super) fn accept(
        &mut self,
        id: u64,
        mark: Dscp,
        now: Instant,
        streams: &mut Streams,
        next: &mut u64,
    ) {
        if self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        self.paused_until = None;
        for _ in 0..TURN {
            match socket::accept(&self.socket, self.own_mark.unwrap_or(mark)) {
                Ok((socket, remote)) => {
                    *next += 1;
                    self.admit(
                        id,
                        Flow { transport: self.transport, id: *next, local: self.address, remote },
                        socket,
                        now,
                        streams,
                    );
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_shortage(&error) => {
                    streams.count(Count::AcceptPaused);
                    self.paused_until = Some(now + PAUSE);
                    return streams.wake_at(id, now + PAUSE);
                }
                // Of the peer, which has gone already.
                Err(_) => {}
            }
        }
        streams.wake(id);
    }

    fn admit(&self, id: u64, flow: Flow, socket: Socket, now: Instant, streams: &mut Streams) {
        if let Err(refusal) = streams.admits(flow.transport, flow.remote, now) {
            return streams.count(refusal);
        }
        let taken = socket::local(&socket).and_then(|local| {
            let flow = Flow { local, ..flow };
            if self.of_peers {
                return streams.accept_raw(id, flow, socket, now);
            }
            streams.accept(flow, socket, self.channel()?, self.own_mark.is_some(), now)
        });
        if taken.is_err() {
            streams.count(Count::EndedByNetwork);
        }
    }

    fn channel(&self) -> io::Result<Channel> {
        match &self.tls {
            None => Ok(Channel::Plain),
            Some(tls) => ServerConnection::new(tls.clone()).map(Channel::tls).map_err(io::Error::other),
        }
    }
}

/// Whether the process or the system has run out of something.
fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}
