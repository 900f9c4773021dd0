//! The sockets of SIP: listeners and connections, marked, on one poll; no threads, nothing that blocks.
//!
//! Bytes become messages here and messages bytes; what they mean is the Front End's. Every flow that was shown ends
//! in one `Closed`, every connection that could not be made in one `Failed`.

mod channel;
mod connection;
mod counts;
mod cutter;
mod datagrams;
mod framer;
mod listener;
mod outbox;
mod raw;
pub(crate) mod socket;
mod streams;
mod timers;
mod websocket;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_wire::forwarded::Proxies;
use carillon_wire::ip::Dscp;
use carillon_wire::sip::{self, Answer, Destination, Flow, Transport};
use mio::{Events, Poll, Token, Waker};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ServerConfig};

use crate::bind_error::{BindError, bind_error};
use crate::mark::Marks;
use channel::Channel;
pub use counts::{Count, Counts};
use datagrams::Datagrams;
use listener::Listener;
use streams::{Notice, Streams};

/// Number of the waker; sockets count from 1.
const WAKER: Token = Token(0);
/// Events taken from the kernel at once.
const EVENTS: usize = 1024;

/// Where messages of a stream end.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Protocol {
    /// By the head of a message of SIP.
    #[default]
    Sip,
    /// By the header of a message of STUN or of ChannelData; the limit of a message is that of its head.
    Turn,
    /// Nowhere: what comes is carried as it comes.
    Raw,
}

/// What connections may use. A limit that is reached ends or refuses one connection and is counted.
#[derive(Clone, Debug)]
pub struct Limits {
    /// What streams speak.
    pub protocol: Protocol,
    /// Largest message on a stream.
    pub message: sip::Limits,
    /// The same of a peer that is not proven: what it takes to prove oneself is much smaller.
    pub unproven_message: sip::Limits,
    /// Connections at a time.
    pub connections: usize,
    /// Connections of one source (see [`sip::source`]) that are not trusted yet: a hundredth of all by default. It is room
    /// for the phones behind one address that all come back after the power did.
    pub unproven_per_source: usize,
    /// New connections of one source in a second, and as many at once; `None`: as many as come.
    pub arrivals_per_source: Option<u32>,
    /// Connections whose handshake of TLS goes on in one poll; others wait for the next. Each costs a signature, and whoever
    /// has other things to do than to sign needs his turn between them.
    pub handshakes: usize,
    /// Bytes that may wait for one peer to read them.
    pub queue: usize,
    /// Bytes that all connections may hold together: parts of messages, and what waits to be sent.
    pub buffered: usize,
    /// Of these, bytes that peers that are not proven may hold together: strangers take no room from phones.
    pub unproven_buffered: usize,
    /// For connecting and the handshake of TLS together; as long again for opening a WebSocket.
    pub handshake: Duration,
    /// For a message from its first byte to its last, and for the first message of a connection.
    pub message_time: Duration,
    /// Until a connection of a peer must have been trusted, see [`Transports::trust`].
    pub unproven: Duration,
    /// Without a byte received. Longer than phones take to register again.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            protocol: Protocol::Sip,
            message: sip::Limits::default(),
            unproven_message: sip::Limits { head: 16 << 10, body: 16 << 10 },
            connections: 100_000,
            unproven_per_source: 1_000,
            arrivals_per_source: None,
            handshakes: usize::MAX,
            queue: 2 << 20,
            buffered: 256 << 20,
            unproven_buffered: 32 << 20,
            handshake: Duration::from_secs(10),
            message_time: Duration::from_secs(30),
            unproven: Duration::from_secs(60),
            idle: Duration::from_secs(2 * 3600),
        }
    }
}

/// What has come in.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// A message: of a stream exactly one, of UDP the whole datagram, not looked into.
    Message {
        /// The way it came.
        flow: Flow,
        /// The message.
        bytes: &'a [u8],
    },
    /// A message of a stream whose end can't be known. A request deserves this answer; after it, or at the next
    /// [`Transports::flush`], the connection ends.
    Wrong {
        /// The way it came.
        flow: Flow,
        /// What there is of the message, and whatever is behind it.
        bytes: &'a [u8],
        /// What a request is to be answered.
        answer: Answer,
    },
    /// No SIP; the connection that it came on ends.
    Garbage {
        /// The counter to increase.
        counter: &'static str,
    },
    /// A connection is up that we made, or whose other end has proven something. Comes before its first message.
    Connected {
        /// Which.
        flow: Flow,
        /// What the other end has shown over TLS; it holds, and for a server that we connected to it is for its name. For whom
        /// else it is `tls::is_for` tells.
        certificate: Option<&'a CertificateDer<'static>>,
    },
    /// A connection has ended, whoever ended it.
    Closed {
        /// Which.
        flow: Flow,
    },
    /// A connection could not be made; what waited for it is lost.
    Failed {
        /// Over what.
        transport: Transport,
        /// Whereto.
        remote: SocketAddr,
    },
    /// The waker was used.
    Woken,
}

/// A listener as the kernel sees it.
#[derive(Debug)]
pub struct Listening {
    /// Its number: for UDP that of its flows.
    pub id: u64,
    /// What it speaks.
    pub transport: Transport,
    /// Where it is bound.
    pub address: SocketAddr,
    /// Its marks, read back.
    pub marks: io::Result<Marks>,
}

/// All sockets of SIP.
pub struct Transports {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    mark: Dscp,
    /// The last number given to a socket.
    last: u64,
    listeners: BTreeMap<u64, Listener>,
    datagrams: Datagrams,
    streams: Streams,
    client_tls: Option<(Arc<ClientConfig>, Option<ServerName<'static>>)>,
    servers: BTreeMap<SocketAddr, Server>,
}

/// How one server is connected to, where that differs from the others.
#[derive(Clone, Debug)]
pub struct Server {
    /// How TLS is spoken with it.
    pub tls: Arc<ClientConfig>,
    /// What its certificate must be for.
    pub name: ServerName<'static>,
    /// The mark of what is sent to it, if it is not that of all.
    pub mark: Option<Dscp>,
}

impl Transports {
    /// Without a socket yet; every one will carry `mark`.
    pub fn new(mark: Dscp, limits: Limits) -> io::Result<Transports> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let streams = Streams::new(poll.registry().try_clone()?, limits);
        Ok(Transports {
            poll,
            events: Events::with_capacity(EVENTS),
            waker,
            mark,
            last: 0,
            listeners: BTreeMap::new(),
            datagrams: Datagrams::new(),
            streams,
            client_tls: None,
            servers: BTreeMap::new(),
        })
    }

    /// Ends a [`Transports::poll`] that waits, from any thread.
    pub fn waker(&self) -> Arc<Waker> {
        self.waker.clone()
    }

    /// Listens at an address; port 0 is a free one, `[::]` takes IPv4 too. TLS needs its configuration. Returns the
    /// address with the real port.
    pub fn listen(
        &mut self,
        transport: Transport,
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<SocketAddr, BindError> {
        let id = self.last + 1;
        let bound = match transport {
            Transport::Udp => self.datagrams.bind(id, address, self.mark, self.poll.registry()),
            _ => self.listen_for_streams(id, transport, address, tls, None),
        };
        self.last = id;
        bound
    }

    /// The same for streams with a mark of their own, which stays when all others get another one.
    pub fn listen_marked(
        &mut self,
        transport: Transport,
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        mark: Dscp,
    ) -> Result<SocketAddr, BindError> {
        self.last += 1;
        self.listen_for_streams(self.last, transport, address, tls, Some(mark))
    }

    /// Stops to listen there; connections stay. False if nobody listened.
    pub fn stop_listening(&mut self, transport: Transport, address: SocketAddr) -> bool {
        if transport == Transport::Udp {
            return self.datagrams.unbind(address);
        }
        let before = self.listeners.len();
        self.listeners.retain(|_, listener| (listener.transport, listener.address) != (transport, address));
        self.listeners.len() < before
    }

    /// From now on new connections at `address` are greeted with this; those that are open stay. False if nobody
    /// listens there for TLS.
    pub fn reload_tls(&mut self, address: SocketAddr, tls: Arc<ServerConfig>) -> bool {
        let at = |listener: &&mut Listener| listener.transport.is_secured() && listener.address == address;
        let listener = self.listeners.values_mut().find(at);
        listener.map(|listener| listener.tls = Some(tls)).is_some()
    }

    /// How connections to TLS servers are made. A server must prove `name`, or without one its address.
    pub fn set_client_tls(&mut self, config: Arc<ClientConfig>, name: Option<ServerName<'static>>) {
        self.client_tls = Some((config, name));
    }

    /// How these servers are connected to from now on; all others as [`Transports::set_client_tls`] says.
    pub fn set_servers(&mut self, servers: BTreeMap<SocketAddr, Server>) {
        self.servers = servers;
    }

    /// Pages of these origins, as browsers write them, may open WebSockets from now on. A client that names none is no page.
    pub fn set_origins(&mut self, origins: &[String]) {
        self.streams.set_origins(origins);
    }

    /// Of WebSockets that these open, their word says whose they are from now on.
    pub fn set_proxies(&mut self, proxies: Proxies) {
        self.streams.set_proxies(proxies);
    }

    /// Marks every socket anew; an error is the first one.
    pub fn set_mark(&mut self, mark: Dscp) -> io::Result<()> {
        self.mark = mark;
        let ports = self.datagrams.sockets().map(|(_, port)| port.set_mark(mark));
        let listeners = self.listeners.values().map(|listener| listener.set_mark(mark));
        // None is left out because another failed.
        let bound = ports.chain(listeners).fold(Ok(()), Result::and);
        bound.and(self.streams.set_mark(mark))
    }

    /// Every listener with the marks that the kernel says it has.
    pub fn listening(&self) -> Vec<Listening> {
        let ports = self.datagrams.sockets().map(|(id, port)| Listening {
            id,
            transport: Transport::Udp,
            address: port.local(),
            marks: port.marks(),
        });
        let listeners = self.listeners.iter().map(|(id, listener)| Listening {
            id: *id,
            transport: listener.transport,
            address: listener.address,
            marks: listener.marks(),
        });
        ports.chain(listeners).collect()
    }

    /// What happened so far, and what there is now.
    pub fn counts(&self) -> Counts {
        self.streams.counts()
    }

    /// Waits until something comes, no longer than `timeout`, and hands it over. Own deadlines are kept while it
    /// is called again and again.
    pub fn poll(
        &mut self,
        timeout: Option<Duration>,
        handle: &mut impl FnMut(Incoming<'_>),
    ) -> io::Result<()> {
        self.flush();
        self.wait(timeout)?;
        let now = Instant::now();
        self.note_events(handle);
        for id in self.streams.take_ready() {
            match self.listeners.get_mut(&id) {
                Some(listener) => listener.accept(id, self.mark, now, &mut self.streams, &mut self.last),
                None if self.datagrams.contains(id) => self.datagrams.receive(id, &mut self.streams, handle),
                None => self.streams.receive(id, now, handle),
            }
        }
        self.streams.expire(now);
        for notice in self.streams.take_notices() {
            handle(match notice {
                Notice::Closed(flow) => Incoming::Closed { flow },
                Notice::Failed(transport, remote) => Incoming::Failed { transport, remote },
            });
        }
        Ok(())
    }

    /// Sends a message with the next [`Transports::flush`]. What can't be sent is told by the next poll: `Closed`
    /// for a flow, `Failed` for an address.
    pub fn send(&mut self, to: Destination, message: Vec<u8>) {
        let sent = match to {
            Destination::Flow(flow) if flow.transport == Transport::Udp => {
                self.datagrams.send(flow, message, &mut self.streams)
            }
            Destination::Flow(flow) => self.streams.send(flow.id, message, Instant::now()),
            Destination::Address { transport: Transport::Udp, remote, local } => {
                self.datagrams.send_to(remote, local, message, &mut self.streams)
            }
            Destination::Address { transport, remote, .. } => self.send_to(transport, remote, message),
        };
        if !sent {
            self.streams.count(Count::NoRoute);
            self.streams.notice(match to {
                Destination::Flow(flow) => Notice::Closed(flow),
                Destination::Address { transport, remote, .. } => {
                    Notice::Failed(transport, socket::canonical(remote))
                }
            });
        }
    }

    /// Whether so many bytes more may wait for the peer of a stream; what is sent beyond that ends the connection.
    pub(crate) fn has_room(&self, flow: u64, bytes: usize) -> bool {
        self.streams.has_room(flow, bytes)
    }

    /// Marks one stream from now on.
    pub(crate) fn mark_stream(&self, flow: u64, mark: Dscp) -> io::Result<()> {
        self.streams.mark_one(flow, mark)
    }

    /// How long nothing has to be done if nothing comes.
    pub(crate) fn quiet(&self) -> Option<Duration> {
        let now = Instant::now();
        self.streams.next(now).map(|at| at.saturating_duration_since(now))
    }

    /// What tells another poll that something has come.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.poll.as_raw_fd()
    }

    /// Sends what waits, as far as the peers take it: the end of a turn.
    pub fn flush(&mut self) {
        self.datagrams.flush(&mut self.streams);
        self.streams.flush(Instant::now());
    }

    /// What the other end of a connection that is up has shown over TLS, as [`Incoming::Connected`] told it.
    pub fn certificate(&self, flow: &Flow) -> Option<&CertificateDer<'static>> {
        self.streams.certificate(flow)
    }

    /// Whoever is behind this connection has proven who it is: it may stay as long as it likes. A message alone proves
    /// nothing, for anybody can write one.
    pub fn trust(&mut self, flow: Flow) {
        self.streams.trust(flow.id, Instant::now());
    }

    /// Takes that back: from now on the connection has as long as a new one to be trusted again.
    pub fn distrust(&mut self, flow: Flow) {
        self.streams.distrust(flow.id, Instant::now());
    }

    /// Ends a connection as soon as what waits for it is sent.
    pub fn close(&mut self, flow: Flow) {
        self.streams.close(flow.id, Instant::now());
    }

    fn listen_for_streams(
        &mut self,
        id: u64,
        transport: Transport,
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        mark: Option<Dscp>,
    ) -> Result<SocketAddr, BindError> {
        let listener = Listener::bind(transport, address, tls, self.mark, mark)
            .and_then(|listener| listener.register(self.poll.registry(), id).map(|()| listener))
            .map_err(|error| bind_error(address, transport, error))?;
        let bound = listener.address;
        self.listeners.insert(id, listener);
        Ok(bound)
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let now = Instant::now();
        let own = self.streams.next(now).map(|at| at.saturating_duration_since(now));
        let timeout = [timeout, own].into_iter().flatten().min();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn note_events(&mut self, handle: &mut impl FnMut(Incoming<'_>)) {
        for event in &self.events {
            let id = event.token().0 as u64;
            if event.token() == WAKER {
                handle(Incoming::Woken);
            } else if self.listeners.contains_key(&id) || self.datagrams.contains(id) {
                self.streams.wake(id);
            } else {
                self.streams.note(id, event.is_readable(), event.is_read_closed() || event.is_error());
            }
        }
    }

    /// On the connection that is open, or else a new one; false if none can be.
    fn send_to(&mut self, transport: Transport, remote: SocketAddr, message: Vec<u8>) -> bool {
        let (remote, now) = (socket::canonical(remote), Instant::now());
        let open = self.streams.connection_to(transport, remote);
        let id = open.or_else(|| self.connect(transport, remote, now).ok());
        id.is_some_and(|id| self.streams.send(id, message, now))
    }

    fn connect(&mut self, transport: Transport, remote: SocketAddr, now: Instant) -> io::Result<u64> {
        let channel = self.client_channel(transport, remote)?;
        let own_mark = self.servers.get(&remote).and_then(|server| server.mark);
        let socket = socket::connecting(remote, own_mark.unwrap_or(self.mark))?;
        let local = socket::local(&socket)?;
        self.last += 1;
        let flow = Flow { transport, id: self.last, local, remote };
        self.streams.open(flow, socket, channel, own_mark.is_some(), now)?;
        Ok(self.last)
    }

    fn client_channel(&self, transport: Transport, remote: SocketAddr) -> io::Result<Channel> {
        match transport {
            Transport::Tls => {}
            Transport::Ws | Transport::Wss => return Err(io::Error::other("only clients open WebSockets")),
            Transport::Udp | Transport::Tcp => return Ok(Channel::Plain),
        }
        if let Some(Server { tls, name, .. }) = self.servers.get(&remote) {
            let tls = ClientConnection::new(tls.clone(), name.clone());
            return tls.map(Channel::tls).map_err(io::Error::other);
        }
        let Some((config, name)) = &self.client_tls else {
            return Err(io::Error::other("no client configuration for TLS"));
        };
        let name = name.clone().unwrap_or_else(|| remote.ip().into());
        ClientConnection::new(config.clone(), name).map(Channel::tls).map_err(io::Error::other)
    }
}
