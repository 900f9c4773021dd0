//! Connections between relayed ports and peers, and those of clients that are joined with them: what comes from one leaves by the
//! other.
//!
//! Nothing is dropped here. Whoever sends faster than the other end reads, or than a budget allows, is not read for a while.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use carillon_wire::ip::Dscp;
use carillon_wire::sip::{Destination, Flow};
use socket2::Socket;

use super::ledger::{Ledger, Towards};
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
    /// In the order of their turns.
    parcels: VecDeque<Parcel>,
    /// Links that end as soon as nothing of them waits.
    ending: BTreeSet<u64>,
}

/// What one end has said and may not leave by the other yet, for a budget is spent or there is no room.
struct Parcel {
    from: u64,
    bytes: Vec<u8>,
    /// When a budget is worth another look.
    until: Option<Instant>,
    /// Its end is not read.
    is_held: bool,
}

/// Where the bytes of one end go.
struct Passage {
    to: Flow,
    port: PortId,
    towards: Towards,
    mark: Dscp,
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
        self.parcels.iter().filter_map(|parcel| parcel.until).min()
    }

    /// Takes what one end has said.
    fn take(&mut self, from: u64, mut bytes: Vec<u8>) {
        match self.parcels.iter_mut().find(|parcel| parcel.from == from) {
            Some(parcel) => parcel.bytes.append(&mut bytes),
            None => self.parcels.push_back(Parcel { from, bytes, until: None, is_held: false }),
        }
    }

    fn has_waiting(&self, link: LinkId) -> bool {
        let of_link = |parcel: &&Parcel| self.of(parcel.from) == Some(link);
        self.parcels.iter().filter(of_link).any(|parcel| !parcel.bytes.is_empty())
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
    pub(super) fn close_relayed(&mut self, port: PortId, ledger: &mut Ledger) {
        let of_port = self.links.listeners.iter().filter(|(_, of)| **of == port);
        let listeners: Vec<u64> = of_port.map(|(listener, _)| *listener).collect();
        for listener in listeners {
            self.links.listeners.remove(&listener);
            self.transports.drop_listener(listener);
        }
        let links = self.links.links.iter().filter(|(_, link)| link.port == port);
        let links: Vec<LinkId> = links.map(|(id, _)| LinkId(*id)).collect();
        for link in links {
            self.finish(link, ledger, Instant::now());
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
    fn hang_up(&mut self, link: LinkId) -> bool {
        let Some(gone) = self.links.links.remove(&link.0) else { return false };
        self.links.ending.remove(&link.0);
        for end in [Some(gone.flow), gone.client].into_iter().flatten() {
            self.links.of_clients.remove(&end.id);
            self.links.parcels.retain(|parcel| parcel.from != end.id);
            self.transports.close(end);
        }
        true
    }

    /// Sends what one end has said as far as it may go; `None`: nothing of it waits any more.
    fn serve(&mut self, mut parcel: Parcel, ledger: &mut Ledger, now: Instant) -> Option<Parcel> {
        let link = self.links.of(parcel.from)?;
        let Passage { to, port, towards, mark } = self.links.passage(parcel.from)?;
        let is_ending = self.links.ending.contains(&link.0);
        let has_room = is_ending || self.transports.waiting(to.id) <= ROOM;
        parcel.until = None;
        if has_room && !parcel.bytes.is_empty() {
            match ledger.room_of_stream(port, towards, mark, now) {
                Err(until) => parcel.until = Some(until),
                Ok(room) => {
                    let rest = parcel.bytes.split_off(room.min(parcel.bytes.len()));
                    let part = std::mem::replace(&mut parcel.bytes, rest);
                    ledger.charge_stream(port, towards, mark, part.len(), now);
                    if !self.transports.has_room(to.id, part.len()) {
                        self.came.push_back(Came::HungUp(link));
                        return None;
                    }
                    self.transports.send(Destination::Flow(to), part);
                    parcel.until = (!parcel.bytes.is_empty()).then_some(now);
                }
            }
        }
        if parcel.bytes.is_empty() && (is_ending || self.transports.waiting(to.id) <= ROOM) {
            self.let_go(&parcel, link, is_ending);
            return None;
        }
        if !std::mem::replace(&mut parcel.is_held, true) {
            self.transports.hold(parcel.from, true);
        }
        Some(parcel)
    }

    /// Whether something that had no room has it now.
    pub(super) fn can_serve(&self) -> bool {
        let had_none = self.links.parcels.iter().filter(|parcel| parcel.until.is_none());
        let mut to = had_none.filter_map(|parcel| self.links.passage(parcel.from)).map(|passage| passage.to);
        to.any(|to| self.transports.waiting(to.id) <= ROOM)
    }

    /// Nothing of it waits: its end is read again, or both end.
    fn let_go(&mut self, parcel: &Parcel, link: LinkId, is_ending: bool) {
        if is_ending {
            self.came.push_back(Came::HungUp(link));
        } else if parcel.is_held {
            self.transports.hold(parcel.from, false);
        }
    }

    /// Each has its turn; who was served stands behind those who were not.
    pub(super) fn serve_all(&mut self, ledger: &mut Ledger, now: Instant) {
        let (mut waiting, mut served) = (VecDeque::new(), VecDeque::new());
        for parcel in std::mem::take(&mut self.links.parcels) {
            let before = parcel.bytes.len();
            if let Some(parcel) = self.serve(parcel, ledger, now) {
                let line = if parcel.bytes.len() < before { &mut served } else { &mut waiting };
                line.push_back(parcel);
            }
        }
        waiting.append(&mut served);
        self.links.parcels = waiting;
    }

    /// Sends and charges what waits, and ends both.
    fn finish(&mut self, link: LinkId, ledger: &mut Ledger, now: Instant) {
        for parcel in std::mem::take(&mut self.links.parcels) {
            if self.links.of(parcel.from) != Some(link) {
                self.links.parcels.push_back(parcel);
                continue;
            }
            let Some(Passage { to, port, towards, mark }) = self.links.passage(parcel.from) else { continue };
            if !parcel.bytes.is_empty() && self.transports.has_room(to.id, parcel.bytes.len()) {
                ledger.charge_stream(port, towards, mark, parcel.bytes.len(), now);
                self.transports.send(Destination::Flow(to), parcel.bytes);
            }
        }
        self.hang_up(link);
    }
}

impl Forwarder {
    /// Takes in a relayed port of TCP.
    pub fn open_for_streams(&mut self, relayed: RelayedStreams) -> io::Result<PortId> {
        let (is_v4, listening) = (relayed.local().is_ipv4(), relayed.listening()?);
        let streams = self.streams.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let registry = self.poll.registry();
        let port = PortId(self.sockets.add(Role::RelayStreams(relayed), Dscp::DEFAULT, false, registry)?);
        if let Err(error) = streams.open_relayed(port, listening) {
            self.sockets.remove(port.0);
            return Err(error);
        }
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
            streams.finish(link, &mut self.table.ledger, self.now);
        }
    }

    /// What one end has said goes to the other with the next flush, and is charged like a datagram.
    pub(super) fn carry(&mut self, from: u64, bytes: Vec<u8>) {
        if let Some(streams) = self.streams.as_mut().filter(|streams| streams.links.of(from).is_some()) {
            streams.links.take(from, bytes);
        }
    }

    /// One of two has ended, and so does the other after all that was said.
    pub(super) fn ended(&mut self, link: LinkId) -> Option<Unknown> {
        let streams = self.streams.as_mut()?;
        if streams.links.has_waiting(link) {
            streams.links.ending.insert(link.0);
            return None;
        }
        streams.hang_up(link).then_some(Unknown::HungUp { link })
    }
}

/// How long to wait until then.
pub(super) fn left(until: Option<Instant>) -> Option<Duration> {
    until.map(|until| until.saturating_duration_since(Instant::now()))
}
