//! Clients that come over TCP or TLS: frames instead of datagrams, the same rules.
//!
//! Accepting, TLS, limits and deadlines are those of `transports`. To a client that does not read, media is dropped
//! rather than queued without end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_wire::ip::Dscp;
use carillon_wire::sip::{self, Destination, Flow, Transport};
use carillon_wire::stun::{Look, look};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustls::ServerConfig;

use super::ledger::Ledger;
use super::links::{Links, left};
use super::{Client, LinkId, ListenerId, PortId};
use crate::bind_error::BindError;
use crate::transports::{Counts, Incoming, Limits, Protocol, Transports};

/// Frames that a stranger may send in one turn.
const OF_STRANGER: u32 = 8;
/// The longest frame: ChannelData with as much as its length can say.
const LONGEST: usize = 4 + 65_536;

/// What has come over a stream.
pub(super) enum Came {
    /// A message or ChannelData.
    Frame(Client, Vec<u8>),
    /// The stream has ended.
    Ended(Client),
    /// Bytes of one end of a link.
    Carried(u64, Vec<u8>),
    /// A peer is reached.
    Dialled(LinkId),
    /// A peer has connected to a relayed port.
    Arrived(PortId, SocketAddr, LinkId),
    /// One end of a link has ended.
    HungUp(LinkId),
}

/// Stream listeners and their connections.
pub(super) struct Streams {
    pub(super) transports: Transports,
    pub(super) links: Links,
    listeners: BTreeMap<SocketAddr, ListenerId>,
    /// Connections that somebody was told of, with the mark of their sockets.
    pub(super) flows: BTreeMap<u64, (Flow, Dscp)>,
    /// Those whose client somebody has vouched for.
    proven: BTreeSet<u64>,
    mark: Dscp,
    pub(super) came: VecDeque<Came>,
}

impl Streams {
    /// Without a listener yet; connections carry `mark` until another is asked for. `arrivals`: how many a source may open in a
    /// second.
    pub(super) fn new(mark: Dscp, arrivals: u32, token: Token, registry: &Registry) -> io::Result<Streams> {
        let transports = Transports::new(mark, limits(arrivals))?;
        registry.register(&mut SourceFd(&transports.descriptor()), token, Interest::READABLE)?;
        let (listeners, flows, came) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
        let links = Links::default();
        Ok(Streams { transports, links, listeners, flows, proven: BTreeSet::new(), mark, came })
    }

    /// Listens; with a configuration for TLS.
    pub(super) fn listen(
        &mut self,
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<SocketAddr, BindError> {
        let transport = if tls.is_some() { Transport::Tls } else { Transport::Tcp };
        self.transports.listen(transport, address, tls)
    }

    /// From now on connections over TLS are greeted with this.
    pub(super) fn reload_tls(&mut self, tls: &Arc<ServerConfig>) {
        for address in self.listeners.keys() {
            self.transports.reload_tls(*address, tls.clone());
        }
    }

    /// The number of a listener that was opened.
    pub(super) fn name(&mut self, address: SocketAddr, id: ListenerId) {
        self.listeners.insert(address, id);
    }

    /// Takes what has come. Strangers have nothing to say but requests, and few at once: who says more is cut off, for what
    /// waits here costs memory, and time that datagrams need.
    pub(super) fn receive(&mut self) -> io::Result<()> {
        let Streams { transports, links, listeners, flows, proven, mark, came } = self;
        let (mut said, mut cut_off) = (BTreeMap::new(), BTreeMap::new());
        transports.poll(Some(Duration::ZERO), &mut |incoming| match incoming {
            Incoming::Message { flow, bytes } if links.of(flow.id).is_some() => {
                came.push_back(Came::Carried(flow.id, bytes.to_vec()));
            }
            Incoming::Connected { flow, .. } => came.extend(links.of(flow.id).map(Came::Dialled)),
            Incoming::Message { flow, bytes } => {
                let Some(client) = client(listeners, flow) else { return };
                flows.entry(flow.id).or_insert((flow, *mark));
                if !proven.contains(&flow.id) {
                    let frames = said.entry(flow.id).or_insert(0);
                    *frames += 1;
                    if *frames > OF_STRANGER || look(bytes) != Look::Message {
                        cut_off.insert(flow.id, flow);
                        return;
                    }
                }
                came.push_back(Came::Frame(client, bytes.to_vec()));
            }
            Incoming::Closed { flow } => {
                came.extend(links.of(flow.id).map(Came::HungUp));
                flows.remove(&flow.id);
                proven.remove(&flow.id);
                came.extend(client(listeners, flow).map(Came::Ended));
            }
            _ => {}
        })?;
        cut_off.into_values().for_each(|flow| transports.close(flow));
        self.take_arrived();
        Ok(())
    }

    /// The next of what has come.
    pub(super) fn next(&mut self) -> Option<Came> {
        self.came.pop_front()
    }

    /// Sends a frame; false if it was dropped, because its client has gone or does not read.
    pub(super) fn send(&mut self, connection: u64, frame: Vec<u8>, mark: Dscp) -> bool {
        let Some((flow, marked)) = self.flows.get_mut(&connection) else { return false };
        if !self.transports.has_room(connection, frame.len()) {
            return false;
        }
        if *marked != mark && self.transports.mark_stream(connection, mark).is_ok() {
            *marked = mark;
        }
        self.transports.send(Destination::Flow(*flow), frame);
        true
    }

    pub(super) fn flush(&mut self, ledger: &mut Ledger) {
        self.serve_all(ledger, Instant::now());
        self.transports.flush();
    }

    /// How long nothing has to be done if nothing comes.
    pub(super) fn quiet(&self) -> Option<Duration> {
        let has_news = (!self.came.is_empty() || self.can_serve()).then_some(Duration::ZERO);
        [has_news, self.transports.quiet(), left(self.links.next())].into_iter().flatten().min()
    }

    /// A client may stay.
    pub(super) fn trust(&mut self, connection: u64) {
        if let Some((flow, _)) = self.flows.get(&connection) {
            self.transports.trust(*flow);
            self.proven.insert(connection);
        }
    }

    /// A client may stay only for as long as a new one.
    pub(super) fn distrust(&mut self, connection: u64) {
        if let Some((flow, _)) = self.flows.get(&connection).filter(|_| self.proven.remove(&connection)) {
            self.transports.distrust(*flow);
        }
    }

    /// What happened to connections.
    pub(super) fn counts(&self) -> Counts {
        self.transports.counts()
    }

    /// Ends a connection as soon as what waits is sent.
    pub(super) fn close(&mut self, connection: u64) {
        if let Some((flow, _)) = self.flows.get(&connection) {
            self.transports.close(*flow);
        }
    }
}

/// Handshakes of TLS in a turn: media waits for no more signatures than these.
const HANDSHAKES: usize = 4;

/// Connections of strangers have half a minute for an allocation; those that have one refresh it every ten minutes.
fn limits(arrivals: u32) -> Limits {
    Limits {
        protocol: Protocol::Turn,
        message: sip::Limits { head: LONGEST, body: 0 },
        unproven_message: sip::Limits { head: 4096, body: 0 },
        arrivals_per_source: Some(arrivals),
        handshakes: HANDSHAKES,
        queue: 256 << 10,
        unproven: Duration::from_secs(30),
        idle: Duration::from_secs(3600),
        ..Limits::default()
    }
}

/// As rules know it.
fn client(listeners: &BTreeMap<SocketAddr, ListenerId>, flow: Flow) -> Option<Client> {
    let any = listeners.iter().find(|(at, _)| at.ip().is_unspecified() && at.port() == flow.local.port());
    let listener = listeners.get(&flow.local).or(any.map(|(_, id)| id))?;
    Some(Client { listener: *listener, connection: flow.id, local: flow.local, remote: flow.remote })
}
