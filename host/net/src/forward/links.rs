//! Connections between relayed ports and peers, and those of clients that are joined with them: what comes from one leaves by the
//! other.
//!
//! Nothing is dropped here. Whoever sends faster than the other end reads, or than a budget allows, is not read for a while.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use carillon_wire::ip::Dscp;
use carillon_wire::sip::{Destination, Flow};
use socket2::Socket;

use super::ledger::Towards;
use super::sockets::Role;
use super::streams::{Came, Streams};
use super::{Client, Forwarder, LinkId, PortId, Unknown};
use crate::lease::RelayedStreams;

/// Bytes that may wait for an end before the other is not read any more. What one turn of a connection brings comes on top.
const ROOM: usize = 64 << 10;

/// A connection with a peer.
struct Link {
    port: PortId,
    flow: Flow,
    /// What it is joined with.
    client: Option<Flow>,
    to_peer: Dscp,
    to_client: Dscp,
}

/// All of them.
#[derive(Default)]
pub(super) struct Links {
    links: BTreeMap<u64, Link>,
    /// Those that clients' connections are joined with.
    of_clients: BTreeMap<u64, u64>,
    listeners: BTreeMap<u64, PortId>,
    /// Ends that are not read: where what they say goes, and until when a budget is spent.
    held: BTreeMap<u64, (u64, Option<Instant>)>,
}

/// Where the bytes of one end go.
pub(super) struct Passage {
    to: Flow,
    pub(super) port: PortId,
    pub(super) towards: Towards,
    pub(super) mark: Dscp,
}

impl Links {
    /// The link that this connection is an end of.
    pub(super) fn of(&self, connection: u64) -> Option<LinkId> {
        let link = self.of_clients.get(&connection).copied();
        link.or_else(|| self.links.contains_key(&connection).then_some(connection)).map(LinkId)
    }

    fn passage(&self, from: u64) -> Option<Passage> {
        let link = self.links.get(&self.of(from)?.0)?;
        let (to, towards, mark) = match link.flow.id == from {
            true => (link.client?, Towards::Client, link.to_client),
            false => (link.flow, Towards::Peer, link.to_peer),
        };
        Some(Passage { to, port: link.port, towards, mark })
    }

    /// Until nothing but time has to pass before somebody is read again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.held.values().filter_map(|(_, until)| *until).min()
    }
}

impl Streams {
    /// Takes peers at a relayed port.
    pub(super) fn open_relayed(&mut self, port: PortId, listening: Socket) -> io::Result<()> {
        let listener = self.transports.take_listener(listening)?;
        self.links.listeners.insert(listener, port);
        Ok(())
    }

    /// Takes no more of them, and ends those that are there.
    pub(super) fn close_relayed(&mut self, port: PortId) {
        let of_port = self.links.listeners.iter().filter(|(_, of)| **of == port);
        let listeners: Vec<u64> = of_port.map(|(listener, _)| *listener).collect();
        for listener in listeners {
            self.links.listeners.remove(&listener);
            self.transports.drop_listener(listener);
        }
        let links = self.links.links.iter().filter(|(_, link)| link.port == port);
        let links: Vec<LinkId> = links.map(|(id, _)| LinkId(*id)).collect();
        for link in links {
            self.hang_up(link);
        }
    }

    /// Who has connected since this was last called.
    pub(super) fn take_arrived(&mut self) {
        for (listener, flow) in self.transports.take_arrived() {
            match self.links.listeners.get(&listener).copied() {
                Some(port) => {
                    self.add_link(port, flow);
                    self.came.push_back(Came::Arrived(port, flow.remote, LinkId(flow.id)));
                }
                None => self.transports.close(flow),
            }
        }
    }

    fn dial(&mut self, port: PortId, dialling: Socket, peer: SocketAddr) -> io::Result<LinkId> {
        let flow = self.transports.take_dialling(dialling, peer)?;
        self.add_link(port, flow);
        Ok(LinkId(flow.id))
    }

    fn add_link(&mut self, port: PortId, flow: Flow) {
        let unmarked = Dscp::DEFAULT;
        let link = Link { port, flow, client: None, to_peer: unmarked, to_client: unmarked };
        self.links.links.insert(flow.id, link);
    }

    /// False if one of both is gone, or the client has begun to say something else.
    fn join(&mut self, link: LinkId, client: u64, to_client: Dscp, to_peer: Dscp) -> bool {
        let Streams { transports, links, flows, .. } = self;
        let (Some(joined), Some((flow, _))) = (links.links.get_mut(&link.0), flows.get(&client)) else {
            return false;
        };
        let is_new = joined.client.is_none();
        if is_new && !transports.carry(client) {
            return false;
        }
        // A mark that does not come to be leaves the connection as it is: late is better than lost.
        let marks = [(link.0, to_peer), (client, to_client)];
        marks.into_iter().for_each(|(end, mark)| drop(transports.mark_stream(end, mark)));
        (joined.client, joined.to_peer, joined.to_client) = (Some(*flow), to_peer, to_client);
        links.of_clients.insert(client, link.0);
        if is_new {
            transports.trust(*flow);
            transports.hold(link.0, false);
        }
        true
    }

    /// Ends both connections as soon as what waits for them is sent; false if they are gone already.
    pub(super) fn hang_up(&mut self, link: LinkId) -> bool {
        let Some(gone) = self.links.links.remove(&link.0) else { return false };
        for end in [Some(gone.flow), gone.client].into_iter().flatten() {
            self.links.of_clients.remove(&end.id);
            self.links.held.remove(&end.id);
            self.transports.close(end);
        }
        true
    }

    /// Where what this end has said goes; `None`: it is an end no more.
    pub(super) fn passage(&self, from: u64) -> Option<Passage> {
        self.links.passage(from)
    }

    /// Sends it there. False if there is no room, which is the end of both.
    pub(super) fn pass(
        &mut self,
        from: u64,
        passage: &Passage,
        bytes: Vec<u8>,
        until: Option<Instant>,
    ) -> bool {
        let to = passage.to;
        if !self.transports.has_room(to.id, bytes.len()) {
            return false;
        }
        self.transports.send(Destination::Flow(to), bytes);
        if until.is_some() || self.transports.waiting(to.id) > ROOM {
            self.transports.hold(from, true);
            self.links.held.insert(from, (to.id, until));
        }
        true
    }

    /// Reads those again whose words have somewhere to go.
    pub(super) fn release(&mut self, now: Instant) {
        let Streams { transports, links, .. } = self;
        for (from, (to, until)) in &mut links.held {
            *until = until.filter(|until| *until > now);
            if until.is_none() && transports.waiting(*to) <= ROOM {
                transports.hold(*from, false);
            }
        }
        links.held.retain(|_, (to, until)| until.is_some() || transports.waiting(*to) > ROOM);
    }

    /// Nobody waits for what a budget would have paid that holds no more.
    pub(super) fn forgive(&mut self) {
        self.links.held.values_mut().for_each(|(_, until)| *until = None);
        self.release(Instant::now());
    }
}

impl Forwarder {
    /// Takes in a relayed port of TCP.
    pub fn open_for_streams(&mut self, relayed: RelayedStreams) -> io::Result<PortId> {
        let (is_v4, listening) = (relayed.local().is_ipv4(), relayed.listening()?);
        let streams = self.streams.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let registry = self.poll.registry();
        let port = PortId(self.sockets.add(Role::RelayStreams(relayed), Dscp::DEFAULT, false, registry)?);
        streams.open_relayed(port, listening)?;
        self.table.ledger.open(port, is_v4);
        Ok(port)
    }

    /// Begins to connect from a relayed port to a peer, marked from the first packet on; [`Unknown::Dialled`] or
    /// [`Unknown::HungUp`] follows.
    pub fn dial(&mut self, port: PortId, peer: SocketAddr, mark: Dscp) -> io::Result<LinkId> {
        let socket = self.sockets.get(port.0).ok_or(io::ErrorKind::NotConnected)?;
        let Role::RelayStreams(relayed) = &socket.role else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let dialling = relayed.dial(peer, mark)?;
        self.streams.as_mut().ok_or(io::ErrorKind::NotConnected)?.dial(port, dialling, peer)
    }

    /// From now on what comes from the peer leaves by this connection of a client, and the other way round; or with other marks
    /// than before. If that cannot be, both end, and [`Unknown::HungUp`] follows.
    pub fn join(&mut self, link: LinkId, client: Client, to_client: Dscp, to_peer: Dscp) {
        let Some(streams) = &mut self.streams else { return };
        if !streams.join(link, client.connection, to_client, to_peer) {
            streams.came.push_back(Came::HungUp(link));
        }
    }

    /// Ends a connection with a peer, and the one that it is joined with.
    pub fn hang_up(&mut self, link: LinkId) {
        if let Some(streams) = &mut self.streams {
            streams.hang_up(link);
        }
    }

    /// What one end has said goes to the other, and is charged like a datagram.
    pub(super) fn carry(&mut self, from: u64, bytes: Vec<u8>) -> Option<Unknown> {
        let streams = self.streams.as_mut()?;
        let passage = streams.passage(from)?;
        let ledger = &mut self.table.ledger;
        let until = ledger.charge_stream(passage.port, passage.towards, passage.mark, bytes.len(), self.now);
        let link = streams.links.of(from)?;
        if streams.pass(from, &passage, bytes, until) {
            return None;
        }
        streams.hang_up(link).then_some(Unknown::HungUp { link })
    }

    /// One of two has ended, and so does the other.
    pub(super) fn ended(&mut self, link: LinkId) -> Option<Unknown> {
        self.streams.as_mut()?.hang_up(link).then_some(Unknown::HungUp { link })
    }
}

/// How long to wait until then.
pub(super) fn left(until: Option<Instant>) -> Option<Duration> {
    until.map(|until| until.saturating_duration_since(Instant::now()))
}
