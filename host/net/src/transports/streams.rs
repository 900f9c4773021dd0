//! All connections: found by number and by peer, bounded, timed, and ended.
//!
//! What becomes of the bytes of one is `connection`'s; who may connect where is the caller's.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Instant;

use carillon_wire::forwarded::Proxies;
use carillon_wire::ip::Dscp;
use carillon_wire::sip::{Flow, Transport, source};
use carillon_wire::source::{Rate, Sources};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustls::pki_types::CertificateDer;
use socket2::Socket;

use super::channel::Channel;
use super::connection::{Buffers, Connection, Origin, Progress, Seen};
use super::counts::{Count, Counts};
use super::cutter::Cutter;
use super::framer::Framed;
use super::timers::Timers;
use super::websocket::{Entrance, WebSocket};
use super::{Incoming, Limits, Protocol};
use crate::mark;

/// Connections, and what is to be done for them.
pub(super) struct Streams {
    registry: Registry,
    limits: Limits,
    /// Who may open WebSockets.
    entrance: Arc<Entrance>,
    connections: BTreeMap<u64, Connection>,
    /// The latest connection with a peer.
    by_remote: BTreeMap<(Transport, SocketAddr), u64>,
    /// Connections of a source that nobody has vouched for.
    unproven: BTreeMap<IpAddr, usize>,
    /// How often sources have come, if that is limited.
    arrivals: Option<Sources>,
    start: Instant,
    /// Bytes that these hold together.
    unproven_buffered: usize,
    timers: Timers,
    /// Sockets that there may be something to read from; edges are told once.
    ready: BTreeSet<u64>,
    /// Whose handshake went on last.
    last_handshake: u64,
    /// Connections that there is something to send on.
    unsent: BTreeSet<u64>,
    notices: BTreeSet<Notice>,
    /// Peers that have come to a listener for them.
    arrived: Vec<(u64, Flow)>,
    buffers: Buffers,
    counts: Counts,
}

/// What the caller is told when it next asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Notice {
    Closed(Flow),
    Failed(Transport, SocketAddr),
}

impl Streams {
    pub(super) fn new(registry: Registry, limits: Limits) -> Streams {
        Streams {
            registry,
            arrivals: limits.arrivals_per_source.map(arrivals),
            start: Instant::now(),
            limits,
            entrance: Arc::default(),
            connections: BTreeMap::new(),
            by_remote: BTreeMap::new(),
            unproven: BTreeMap::new(),
            unproven_buffered: 0,
            timers: Timers::default(),
            ready: BTreeSet::new(),
            last_handshake: 0,
            unsent: BTreeSet::new(),
            notices: BTreeSet::new(),
            arrived: Vec::new(),
            buffers: Buffers::default(),
            counts: Counts::default(),
        }
    }

    pub(super) fn set_origins(&mut self, origins: &[String]) {
        Arc::make_mut(&mut self.entrance).origins = origins.to_vec();
    }

    pub(super) fn set_proxies(&mut self, proxies: Proxies) {
        Arc::make_mut(&mut self.entrance).proxies = proxies;
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = self.counts.clone();
        counts.connections = self.connections.len();
        counts.unproven = self.unproven.values().sum();
        counts
    }

    pub(super) fn count(&mut self, count: Count) {
        self.counts.add(count);
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.notices.insert(notice);
    }

    pub(super) fn take_notices(&mut self) -> BTreeSet<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Remembers that there may be something to read.
    pub(super) fn wake(&mut self, id: u64) {
        self.ready.insert(id);
    }

    /// Those that have their turn. Handshakes are few at a time and go around, so that nobody who has many keeps others out.
    pub(super) fn take_ready(&mut self) -> Vec<u64> {
        let ready = std::mem::take(&mut self.ready);
        let (shaking, mut turn): (Vec<u64>, Vec<u64>) =
            ready.into_iter().partition(|id| self.is_handshaking(*id));
        let (before, after) = shaking.split_at(shaking.partition_point(|id| *id <= self.last_handshake));
        for (number, id) in after.iter().chain(before).enumerate() {
            if number < self.limits.handshakes {
                self.last_handshake = *id;
                turn.push(*id);
            } else {
                self.ready.insert(*id);
            }
        }
        turn
    }

    /// Has `id` among the ready ones then.
    pub(super) fn wake_at(&mut self, id: u64, at: Instant) {
        self.timers.arm(id, &mut None, at);
    }

    /// Until when nothing has to be done here.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let due = !self.ready.is_empty() || !self.notices.is_empty();
        if due { Some(now) } else { self.timers.next() }
    }

    /// Whether a connection from there may be taken, or else under what its refusal is counted. Of those of a proxy it is known
    /// later whose they are.
    pub(super) fn admits(
        &mut self,
        transport: Transport,
        remote: SocketAddr,
        now: Instant,
    ) -> Result<(), Count> {
        let is_proxy = transport.is_web() && self.entrance.proxies.include(remote.ip());
        match () {
            () if self.connections.len() >= self.limits.connections => Err(Count::RefusedFull),
            () if is_proxy => Ok(()),
            () => self.admits_source(remote, now),
        }
    }

    fn admits_source(&mut self, remote: SocketAddr, now: Instant) -> Result<(), Count> {
        let now = now.saturating_duration_since(self.start);
        let of_source = self.unproven.get(&source(remote)).copied().unwrap_or_default();
        match () {
            () if of_source >= self.limits.unproven_per_source => Err(Count::RefusedSource),
            () if !self.arrivals.as_mut().is_none_or(|sources| sources.take(now, remote.ip())) => {
                Err(Count::RefusedRate)
            }
            () => Ok(()),
        }
    }

    /// Takes the connection of a peer.
    pub(super) fn accept(
        &mut self,
        flow: Flow,
        socket: Socket,
        channel: Channel,
        own_mark: bool,
        now: Instant,
    ) -> io::Result<()> {
        let source = source(flow.remote);
        self.register(&socket, flow.id)?;
        self.counts.add(Count::Accepted);
        *self.unproven.entry(source).or_default() += 1;
        let cutter = match flow.transport.is_web() {
            true => Cutter::Web(Box::new(WebSocket::new(self.entrance.clone(), flow.remote))),
            false => Cutter::stream(self.limits.protocol),
        };
        let mut connection = Connection::accepted(flow, socket, (channel, cutter), source, now);
        connection.own_mark = own_mark;
        self.insert(connection);
        Ok(())
    }

    /// Takes the connection of a peer with a relayed port; it waits to be read.
    pub(super) fn accept_raw(
        &mut self,
        listener: u64,
        flow: Flow,
        socket: Socket,
        now: Instant,
    ) -> io::Result<()> {
        self.register(&socket, flow.id)?;
        self.counts.add(Count::Accepted);
        let layers = (Channel::Plain, Cutter::stream(Protocol::Raw));
        let connection = Connection::accepted(flow, socket, layers, source(flow.remote), now);
        self.insert(connection.raw());
        self.arrived.push((listener, flow));
        Ok(())
    }

    pub(super) fn take_arrived(&mut self) -> Vec<(u64, Flow)> {
        std::mem::take(&mut self.arrived)
    }

    /// Begins to make a connection with a peer of a relayed port.
    pub(super) fn open_raw(
        &mut self,
        flow: Flow,
        socket: Socket,
        channel: Channel,
        now: Instant,
    ) -> io::Result<()> {
        self.admits_one_more()?;
        self.register(&socket, flow.id)?;
        let layers = (channel, Cutter::stream(Protocol::Raw));
        self.insert(Connection::opened(flow, socket, layers, now).raw());
        Ok(())
    }

    /// No messages any more; false if it is gone, or in the middle of one.
    pub(super) fn carry(&mut self, id: u64) -> bool {
        self.connections.get_mut(&id).is_some_and(Connection::carry)
    }

    /// Whether it is read.
    pub(super) fn hold(&mut self, id: u64, is_held: bool) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.is_held = is_held;
        if !is_held {
            self.ready.insert(id);
        }
    }

    pub(super) fn waiting(&self, id: u64) -> usize {
        self.connections.get(&id).map_or(0, Connection::waiting)
    }

    /// Begins to make a connection.
    pub(super) fn open(
        &mut self,
        flow: Flow,
        socket: Socket,
        channel: Channel,
        own_mark: bool,
        now: Instant,
    ) -> io::Result<()> {
        self.admits_one_more()?;
        self.register(&socket, flow.id)?;
        let cutter = Cutter::stream(self.limits.protocol);
        let mut connection = Connection::opened(flow, socket, (channel, cutter), now);
        connection.own_mark = own_mark;
        self.insert(connection);
        Ok(())
    }

    fn admits_one_more(&mut self) -> io::Result<()> {
        if self.connections.len() < self.limits.connections {
            return Ok(());
        }
        self.counts.add(Count::RefusedFull);
        Err(io::Error::other("as many connections are open as allowed"))
    }

    fn is_handshaking(&self, id: u64) -> bool {
        self.connections.get(&id).is_some_and(Connection::is_handshaking)
    }

    fn register(&self, socket: &Socket, id: u64) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut SourceFd(&socket.as_raw_fd()), Token(id as usize), both)
    }

    fn insert(&mut self, mut connection: Connection) {
        let Flow { transport, id, remote, .. } = connection.flow;
        let (deadline, _) = connection.deadline(&self.limits);
        self.timers.arm(id, &mut connection.armed, deadline);
        self.by_remote.insert((transport, remote), id);
        self.connections.insert(id, connection);
    }

    /// The connection that is open with a peer, or being made.
    pub(super) fn connection_to(&self, transport: Transport, remote: SocketAddr) -> Option<u64> {
        let id = self.by_remote.get(&(transport, remote))?;
        self.connections.get(id).filter(|connection| connection.takes_messages()).map(|_| *id)
    }

    /// Queues a message; false if there is no such connection any more.
    pub(super) fn send(&mut self, id: u64, message: Vec<u8>, now: Instant) -> bool {
        let there = self.connections.get(&id).is_some_and(Connection::takes_answers);
        if there {
            self.serve(id, now, |connection, _, limits| match connection.push(message, limits, now) {
                Ok(()) => Progress::Waits,
                Err(_) => Progress::Over(Count::QueueFull),
            });
        }
        there
    }

    /// Whether so many bytes more may wait for a peer.
    pub(super) fn has_room(&self, id: u64, bytes: usize) -> bool {
        let waiting = self.connections.get(&id).map(Connection::waiting);
        waiting.is_some_and(|waiting| waiting.saturating_add(bytes) <= self.limits.queue)
    }

    /// Marks one connection anew.
    pub(super) fn mark_one(&self, id: u64, mark: Dscp) -> io::Result<()> {
        self.connections.get(&id).map_or(Ok(()), |connection| mark::apply(connection.socket(), mark))
    }

    pub(super) fn certificate(&self, flow: &Flow) -> Option<&CertificateDer<'static>> {
        self.connections.get(&flow.id).filter(|connection| connection.flow == *flow)?.certificate()
    }

    /// From now on a connection may stay, and counts no more against its source.
    pub(super) fn trust(&mut self, id: u64, now: Instant) {
        self.serve(id, now, |connection, _, _| {
            connection.is_trusted = true;
            Progress::Waits
        });
    }

    /// From now on a connection counts against its source again, and has to be trusted again in time.
    pub(super) fn distrust(&mut self, id: u64, now: Instant) {
        let Some(connection) = self.connections.get(&id).filter(|connection| connection.is_trusted) else {
            return;
        };
        let source = source(connection.flow.remote);
        *self.unproven.entry(source).or_default() += 1;
        self.unproven_buffered += connection.buffered();
        self.connections.get_mut(&id).into_iter().for_each(|connection| connection.distrust(source, now));
        self.serve(id, now, |_, _, _| Progress::Waits);
    }

    /// Ends a connection as soon as what waits is sent.
    pub(super) fn close(&mut self, id: u64, now: Instant) {
        self.serve(id, now, |_, _, _| Progress::Ends(Count::EndedByUs));
    }

    /// What the poll has told of a connection.
    pub(super) fn note(&mut self, id: u64, readable: bool, hung_up: bool) {
        if let Some(connection) = self.connections.get_mut(&id) {
            if readable || hung_up || !connection.is_established() {
                self.ready.insert(id);
            }
            if hung_up {
                connection.hang_up();
            }
            if connection.wants_flush() {
                self.unsent.insert(id);
            }
        }
    }

    /// Receives from a connection, for one turn.
    pub(super) fn receive(&mut self, id: u64, now: Instant, handle: &mut impl FnMut(Incoming<'_>)) {
        let mut pings = 0;
        if self.is_handshaking(id) {
            self.counts.add(Count::Handshake);
        }
        self.serve(id, now, |connection, buffers, limits| {
            match connection.check_connected(now) {
                Ok(true) => {}
                Ok(false) => return Progress::Waits,
                Err(_) => return Progress::Over(Count::ConnectFailed),
            }
            let progress = connection.receive(buffers, limits, now, &mut |flow, seen| match seen {
                Seen::Up(certificate) => handle(Incoming::Connected { flow: *flow, certificate }),
                Seen::Framed(Framed::Message(bytes)) => handle(Incoming::Message { flow: *flow, bytes }),
                Seen::Framed(Framed::Wrong(bytes, answer)) => {
                    handle(Incoming::Wrong { flow: *flow, bytes, answer });
                }
                Seen::Framed(Framed::Garbage(counter)) => handle(Incoming::Garbage { counter }),
                Seen::Framed(Framed::Ping) => pings += 1,
                // The connection has taken it.
                Seen::Framed(Framed::Reply(_) | Framed::Client(_)) => {}
            });
            // Who made the connection pings, and the other end answers (RFC 5626, 3.5.1).
            let answered = connection.origin == Origin::Accepted && pings > 0;
            match answered.then(|| connection.push(b"\r\n".repeat(pings), limits, now)) {
                Some(Err(_)) => Progress::Over(Count::QueueFull),
                _ => progress,
            }
        });
        for _ in 0..pings {
            self.counts.add(Count::Ping);
        }
    }

    /// Sends what waits, as far as the peers take it.
    pub(super) fn flush(&mut self, now: Instant) {
        for id in std::mem::take(&mut self.unsent) {
            self.serve(id, now, |connection, _, _| connection.flush(now));
            // What is still there waits for the socket to take more, which the poll tells.
            self.unsent.remove(&id);
        }
    }

    /// Ends what has lasted too long.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(id) = self.timers.take_due(now) {
            let Some(connection) = self.connections.get_mut(&id) else {
                self.ready.insert(id);
                continue;
            };
            connection.armed = None;
            self.serve(id, now, |connection, _, limits| match connection.deadline(limits) {
                (at, count) if at <= now => Progress::Over(count),
                _ => Progress::Waits,
            });
        }
    }

    /// Marks every connection anew but those with a mark of their own; an error is that of the first one that could not be.
    pub(super) fn set_mark(&self, mark: Dscp) -> io::Result<()> {
        self.connections
            .values()
            .filter(|connection| !connection.own_mark)
            .map(|connection| mark::apply(connection.socket(), mark))
            .fold(Ok(()), Result::and)
    }

    /// Does something with a connection, and what follows from it.
    fn serve(
        &mut self,
        id: u64,
        now: Instant,
        act: impl FnOnce(&mut Connection, &mut Buffers, &Limits) -> Progress,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (held, established) = (connection.buffered(), connection.is_established());
        let remote = connection.flow.remote;
        if connection.unproven.is_some() {
            self.unproven_buffered -= held;
        }
        let mut progress = act(connection, &mut self.buffers, &self.limits);
        self.counts.buffered = self.counts.buffered.saturating_sub(held);
        let holds = connection.buffered();
        let of_strangers = self.unproven_buffered + holds > self.limits.unproven_buffered;
        let is_full = self.counts.buffered + holds > self.limits.buffered;
        if holds > held && (is_full || of_strangers && connection.unproven.is_some()) {
            progress = Progress::Over(Count::MemoryFull);
        }
        let client = connection.flow.remote;
        if client != remote
            && let Err(refusal) = self.belongs_to(id, remote, client, now)
        {
            progress = Progress::Over(refusal);
        }
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if !established && connection.is_established() && connection.origin == Origin::Opened {
            connection.known = true;
            self.counts.add(Count::Opened);
        }
        if connection.is_trusted {
            release(&mut self.unproven, connection.unproven.take());
        }
        match progress {
            Progress::Waits => {}
            Progress::More => drop(self.ready.insert(id)),
            Progress::Ends(count) => {
                if connection.takes_messages() {
                    self.counts.add(count);
                }
                connection.end(now);
            }
            Progress::Over(count) => return self.remove(id, count),
        }
        if connection.wants_flush() {
            self.unsent.insert(id);
        }
        self.counts.buffered += connection.buffered();
        if connection.unproven.is_some() {
            self.unproven_buffered += connection.buffered();
        }
        let (deadline, _) = connection.deadline(&self.limits);
        self.timers.arm(id, &mut connection.armed, deadline);
    }

    /// A proxy has said whose connection it is: from now on it counts against that source, if that may have one more.
    fn belongs_to(
        &mut self,
        id: u64,
        proxy: SocketAddr,
        client: SocketAddr,
        now: Instant,
    ) -> Result<(), Count> {
        let Some(transport) = self.connections.get(&id).map(|connection| connection.flow.transport) else {
            return Ok(());
        };
        if self.by_remote.get(&(transport, proxy)) == Some(&id) {
            self.by_remote.remove(&(transport, proxy));
        }
        self.by_remote.insert((transport, client), id);
        let admitted = self.admits_source(client, now);
        let Some(connection) = self.connections.get_mut(&id) else { return admitted };
        if connection.unproven.is_some() {
            release(&mut self.unproven, connection.unproven.replace(source(client)));
            *self.unproven.entry(source(client)).or_default() += 1;
        }
        admitted
    }

    fn remove(&mut self, id: u64, count: Count) {
        let Some(mut connection) = self.connections.remove(&id) else { return };
        let Flow { transport, remote, .. } = connection.flow;
        if connection.takes_messages() {
            self.counts.add(count);
        }
        release(&mut self.unproven, connection.unproven.take());
        self.timers.disarm(id, &mut connection.armed);
        self.ready.remove(&id);
        self.unsent.remove(&id);
        if self.by_remote.get(&(transport, remote)) == Some(&id) {
            self.by_remote.remove(&(transport, remote));
        }
        if connection.known {
            self.notices.insert(Notice::Closed(connection.flow));
        } else if connection.origin == Origin::Opened {
            self.notices.insert(Notice::Failed(transport, remote));
        }
        // The socket leaves the poll when it is closed (epoll(7)).
    }
}

fn release(unproven: &mut BTreeMap<IpAddr, usize>, source: Option<IpAddr>) {
    let Some(source) = source else { return };
    if let Some(number) = unproven.get_mut(&source) {
        *number -= 1;
        if *number == 0 {
            unproven.remove(&source);
        }
    }
}

fn arrivals(per_second: u32) -> Sources {
    Sources::new(Rate::each_second(per_second), RandomState::new().hash_one(per_second))
}
