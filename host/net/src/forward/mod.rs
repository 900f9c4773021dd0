//! The data path of a relay: datagrams pass between listeners and relayed addresses by rules that somebody decided.
//!
//! A rule is a value that repeats a decision per packet; what no rule is for is handed to the caller, whose answers
//! leave in the same order. With a rule or without, the same packet gives the same bytes and the same mark.
//!
//! Headers of what is forwarded (RFC 8656, 14): the mark is the rule's, for this is a classifier and marker; ECN is
//! copied; time to live and fragmentation are those of a packet of our own, the alternate behaviour there, but for what its
//! client wants whole.

mod contract;
mod counts;
mod gate;
mod inbox;
mod kernel;
mod ledger;
mod links;
mod outbox;
mod pace;
mod rule;
mod sockets;
mod streams;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use carillon_wire::ip::{Dscp, Ecn};
use carillon_wire::sip::Transport;
use carillon_wire::stun::{ChannelData, Look, look};
use mio::{Events, Poll, Token, Waker};
use rustls::ServerConfig;

use self::gate::{Admission, Gate};
use self::inbox::{Head, Inbox, Piece};
use self::kernel::{Kernel, Wanted};
use self::ledger::Towards;
use self::outbox::{Content, Outbox, Way};
use self::pace::Pace;
use self::rule::{Table, Verdict};
use self::sockets::{Role, Sockets, token};
use self::streams::{Came, Streams};
use crate::bind_error::{BindError, bind_error};
use crate::lease::Relayed;
use crate::transports;
use crate::udp::{Complaint, UdpPort};

pub use self::contract::{Client, LinkId, ListenerId, PortId, Settings, Unknown};
pub use self::counts::{Count, Counts};
pub use self::gate::Strangers;
pub use self::kernel::{InKernel, NoKernel};
pub use self::ledger::{Account, Budgets, Passed, Payload, Traffic};
pub use self::pace::Coalescing;
pub use self::rule::{Refused, Rule, RuleId};

const WAKER: Token = Token(0);
const STREAMS: Token = Token(1);
/// Events taken from the kernel at once.
const EVENTS: usize = 1024;
/// Datagrams taken with one call from a listener, and from a relayed address.
const FROM_LISTENER: usize = 64;
const FROM_RELAY: usize = 8;
/// Calls in one turn of a listener: the more of a flow is there at once, the more of it leaves as one.
const LISTENER_CALLS: usize = 4;
/// Complaints of the network that are taken from a relayed address at once; the kernel keeps few more.
const COMPLAINTS: usize = 16;
/// What the kernel is asked to queue for a listener, in bytes.
const KERNEL_BUFFER: usize = 16 * 1024 * 1024;

/// Listeners, relayed addresses and rules of one thread.
pub struct Forwarder {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    settings: Settings,
    sockets: Sockets,
    streams: Option<Streams>,
    table: Table,
    kernel: Option<Kernel>,
    trusted: HashSet<Client>,
    gate: Gate,
    pace: Pace,
    inbox: Inbox,
    outbox: Outbox,
    complaints: VecDeque<(PortId, Complaint)>,
    /// Places of sockets that have something to read; as many of them have their turn.
    ready: VecDeque<u32>,
    turns: usize,
    packets: usize,
    now: Instant,
    counts: Counts,
}

impl Forwarder {
    /// Without a socket yet.
    pub fn new(settings: Settings) -> io::Result<Forwarder> {
        let (poll, now) = (Poll::new()?, Instant::now());
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let mut table = Table::default();
        table.ledger.set_budgets(settings.budgets);
        Ok(Forwarder {
            poll,
            events: Events::with_capacity(EVENTS),
            waker,
            settings,
            sockets: Sockets::default(),
            streams: None,
            table,
            kernel: None,
            trusted: HashSet::new(),
            gate: Gate::new(settings.strangers),
            pace: Pace::new(settings.coalescing, now),
            inbox: Inbox::new(),
            outbox: Outbox::new(settings.segmentation),
            complaints: VecDeque::new(),
            ready: VecDeque::new(),
            turns: 0,
            packets: 0,
            now,
            counts: Counts::default(),
        })
    }

    /// Ends a [`Forwarder::poll`] that waits, from any thread.
    pub fn waker(&self) -> Arc<Waker> {
        self.waker.clone()
    }

    /// From now on the kernel carries what it can of rules for these addresses of ours: one family, clients over UDP, by Ethernet. Without
    /// it, or after an error, sockets carry everything.
    pub fn use_kernel(&mut self, addresses: &[IpAddr]) -> Result<(), NoKernel> {
        let kernel = Kernel::start(addresses, self.settings.rules, self.settings.budgets)?;
        self.sockets.stand_behind_kernel().map_err(NoKernel::Refused)?;
        self.kernel = Some(kernel);
        Ok(())
    }

    /// What the kernel carries; `None` if it is not used.
    pub fn in_kernel(&self) -> Option<InKernel> {
        self.kernel.as_ref().map(Kernel::facts)
    }

    /// Opens a socket for clients; port 0 is a free one, `[::]` takes IPv4 too. What leaves it without a mark of its
    /// own carries `mark`.
    pub fn listen(&mut self, address: SocketAddr, mark: Dscp) -> Result<ListenerId, BindError> {
        let failed = |error| bind_error(address, Transport::Udp, error);
        let port = UdpPort::open_to_forward(address, mark, KERNEL_BUFFER, false).map_err(failed)?;
        let registry = self.poll.registry();
        let trains = self.settings.segmentation;
        let id = self.sockets.add(Role::Listener(port), mark, trains, registry);
        id.map(ListenerId).map_err(failed)
    }

    /// Opens a socket for clients that come over TCP, or with a configuration over TLS. Connections carry the mark of
    /// what was sent to them last; until then `mark` of the listener that was opened first.
    pub fn listen_for_streams(
        &mut self,
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        mark: Dscp,
    ) -> Result<ListenerId, BindError> {
        let failed = |error| bind_error(address, Transport::Tcp, error);
        if self.streams.is_none() {
            let arrivals = self.settings.strangers.connections;
            let streams = Streams::new(mark, arrivals, STREAMS, self.poll.registry());
            self.streams = Some(streams.map_err(failed)?);
        }
        let Some(streams) = &mut self.streams else { return Err(failed(io::ErrorKind::Other.into())) };
        let bound = streams.listen(address, tls)?;
        let id = self.sockets.add(Role::Streams(bound), mark, false, self.poll.registry()).map_err(failed)?;
        streams.name(bound, ListenerId(id));
        Ok(ListenerId(id))
    }

    /// From now on connections over TLS are greeted with this; those that are up stay as they are.
    pub fn reload_tls(&mut self, tls: &Arc<ServerConfig>) {
        self.streams.iter_mut().for_each(|streams| streams.reload_tls(tls));
    }

    /// Where a listener is bound; `None` if it is closed.
    pub fn listener(&self, listener: ListenerId) -> Option<SocketAddr> {
        listener.local(&self.sockets)
    }

    /// Takes in a relayed address.
    pub fn open(&mut self, relayed: Relayed) -> io::Result<PortId> {
        let registry = self.poll.registry();
        let (mark, trains) = (relayed.mark(), self.settings.segmentation);
        let is_v4 = relayed.port().local().is_ipv4();
        let port = self.sockets.add(Role::Relay(relayed), mark, trains, registry).map(PortId)?;
        self.table.ledger.open(port, is_v4);
        Ok(port)
    }

    /// From now on this account pays for a relayed address, together with others, and so does this group of accounts.
    pub fn charge_to(&mut self, port: PortId, account: Account, group: Option<Account>) {
        self.table.ledger.charge_to(port, account, group);
    }

    /// What may pass from now on.
    pub fn set_budgets(&mut self, budgets: Budgets) {
        self.settings.budgets = budgets;
        self.table.ledger.set_budgets(budgets);
        self.kernel.iter_mut().for_each(|kernel| kernel.set_budgets(budgets));
    }

    /// What has passed each relayed address since this was last asked; those that carried nothing are not there.
    pub fn news(&mut self) -> Vec<(PortId, Traffic)> {
        let news = self.kernel.as_mut().map(Kernel::news).unwrap_or_default();
        news.into_iter().for_each(|(port, traffic)| self.note(port, traffic));
        self.table.ledger.news()
    }

    /// The address of a relayed address; `None` if it is closed.
    pub fn port(&self, port: PortId) -> Option<SocketAddr> {
        port.local(&self.sockets)
    }

    /// Closes a relayed address and gives its port back; its rules are taken away. Says what has passed it since that was
    /// last told; `None` if it is closed already.
    pub fn close(&mut self, port: PortId) -> Option<Traffic> {
        // Answers to clients that wait leave together at the end of the turn; only what leaves by this port leaves now.
        if self.outbox.has_for(port.0.place) {
            self.flush();
        }
        if let Some(streams) = &mut self.streams {
            streams.flush(&mut self.table.ledger);
            streams.close_relayed(port, &mut self.table.ledger);
        }
        if let Some(kernel) = &mut self.kernel {
            self.table.rules_of(port).for_each(|id| kernel.remove(id));
            let last = kernel.close(port, &mut self.table.ledger);
            self.note(port, last);
        }
        let traffic = self.table.forget(port);
        self.sockets.remove(port.0).then_some(traffic)
    }

    /// Forwards by this rule from the next packet on. It takes the place of the rule of the same name, if there is one.
    pub fn install(&mut self, id: RuleId, rule: Rule) -> Result<(), Refused> {
        let (listener, port) = (self.sockets.get(rule.client.listener.0), self.sockets.get(rule.port.0));
        if listener.is_none() || port.is_none() {
            return Err(Refused::Closed);
        }
        self.table.install(id, rule, self.settings.rules)?;
        let wanted = self.wanted(rule);
        if let Some(kernel) = &mut self.kernel {
            match wanted {
                Some(wanted) => kernel.install(id, wanted, &mut self.table.ledger),
                None => kernel.remove(id),
            }
        }
        Ok(())
    }

    /// Forwards no longer by this rule; false if there is none.
    pub fn remove(&mut self, id: RuleId) -> bool {
        self.kernel.iter_mut().for_each(|kernel| kernel.remove(id));
        self.table.remove(id)
    }

    /// How many rules there are.
    pub fn rules(&self) -> usize {
        self.table.len()
    }

    /// Somebody has proven to be behind this address: what comes from there is no longer limited here.
    pub fn trust(&mut self, client: Client) {
        if let Some(streams) = self.streams.as_mut().filter(|_| client.connection != 0) {
            streams.trust(client.connection);
        }
        self.trusted.insert(client);
    }

    /// Ends the connection of a client as soon as what waits for it is sent.
    pub fn disconnect(&mut self, client: Client) {
        if let Some(streams) = &mut self.streams {
            streams.close(client.connection);
        }
    }

    /// The opposite of [`Forwarder::trust`]: a connection that is not trusted again soon ends.
    pub fn distrust(&mut self, client: Client) {
        if let Some(streams) = self.streams.as_mut().filter(|_| client.connection != 0) {
            streams.distrust(client.connection);
        }
        self.trusted.remove(&client);
    }

    /// What has become of a packet that was more than a stranger may send: its sender was here before, or it is dropped. On a
    /// stream nothing is dropped in silence: it ends.
    pub fn judge(&mut self, client: Client, excess: Count, is_recognised: bool) {
        if is_recognised {
            return self.counts.add(Count::Recognised);
        }
        self.counts.add(excess);
        if client.connection != 0 {
            self.disconnect(client);
        }
    }

    /// What happened to connections over TCP and TLS; `None` without such listeners.
    pub fn connections(&self) -> Option<transports::Counts> {
        self.streams.as_ref().map(Streams::counts)
    }

    /// What happened so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Waits until something comes, no longer than `timeout`. Then [`Forwarder::next_unknown`] has to be called until there
    /// is nothing more.
    pub fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.flush();
        let own = self.streams.as_ref().and_then(Streams::quiet);
        let timeout = [timeout, own].into_iter().flatten().min();
        if self.ready.is_empty() {
            let packets = std::mem::take(&mut self.packets);
            if let Some(pause) = self.pace.pause(packets, Instant::now()) {
                sleep(timeout.map_or(pause, |timeout| timeout.min(pause)));
            }
            self.wait(timeout)?;
        } else {
            self.wait(Some(Duration::ZERO))?;
        }
        self.now = Instant::now();
        self.turns = self.ready.len();
        self.streams.as_mut().map_or(Ok(()), Streams::receive)
    }

    /// Forwards until a packet comes that no rule is for. `None`: everything has had its turn and what was to be sent
    /// is sent.
    pub fn next_unknown(&mut self) -> Option<Unknown> {
        while let Some(came) = self.streams.as_mut().and_then(Streams::next) {
            if let Some(unknown) = self.of_stream(came) {
                return Some(unknown);
            }
        }
        loop {
            if let Some((port, complaint)) = self.complaints.pop_front() {
                self.kernel.iter_mut().for_each(|kernel| kernel.hear(&complaint));
                return Some(Unknown::Undelivered { port, complaint });
            }
            while let Some(piece) = self.inbox.next() {
                if let Some(unknown) = self.forward(piece) {
                    return Some(unknown);
                }
            }
            if self.turns == 0 {
                self.flush();
                self.inbox.clear();
                return None;
            }
            self.turns -= 1;
            if let Some(place) = self.ready.pop_front() {
                self.receive(place);
            }
        }
    }

    /// Sends a datagram to a client, behind everything that was sent to it before; over a stream one
    /// frame, padded. False if its listener or connection is closed, or it does not read.
    pub fn send_to_client(&mut self, client: Client, bytes: &[u8], mark: Dscp, ecn: Ecn) -> bool {
        if client.connection != 0 {
            return self.send_over_stream(client, bytes.to_vec(), mark);
        }
        let Some(way) = self.way_to_client(client, mark.traffic_byte(ecn)) else { return false };
        self.send(way, bytes);
        true
    }

    /// Sends a datagram to a peer, behind everything that was sent to it before. False if the port is closed, or its budget
    /// spent.
    pub fn send_to_peer(
        &mut self,
        port: PortId,
        peer: SocketAddr,
        bytes: &[u8],
        mark: Dscp,
        ecn: Ecn,
    ) -> bool {
        self.send_from(port, Way::from(port.0.place, peer, mark.traffic_byte(ecn)), bytes, mark)
    }

    /// The same for a datagram that nobody may cut (DF; RFC 8656, 14): where it does not fit, that comes back as a complaint.
    pub fn send_whole_to_peer(
        &mut self,
        port: PortId,
        peer: SocketAddr,
        bytes: &[u8],
        mark: Dscp,
        ecn: Ecn,
    ) -> bool {
        let way = Way { whole: true, ..Way::from(port.0.place, peer, mark.traffic_byte(ecn)) };
        self.send_from(port, way, bytes, mark)
    }

    /// Sends a client what a peer has sent to this port, whose payload is charged to it. False if it was dropped.
    pub fn relay_to_client(
        &mut self,
        (port, payload): (PortId, Payload),
        client: Client,
        bytes: &[u8],
        mark: Dscp,
        ecn: Ecn,
    ) -> bool {
        if self.table.ledger.charge(port, Towards::Client, mark, payload, self.now) {
            return self.send_to_client(client, bytes, mark, ecn);
        }
        self.counts.add(Count::OverBudget);
        false
    }

    /// Sends what waits; [`Forwarder::poll`] and the end of [`Forwarder::next_unknown`] do so too.
    pub fn flush(&mut self) {
        self.outbox.flush(self.inbox.bytes(), &self.sockets, &mut self.counts);
        if let Some(streams) = &mut self.streams {
            streams.flush(&mut self.table.ledger);
        }
    }

    /// The rule as the kernel may carry it.
    fn wanted(&self, rule: Rule) -> Option<Wanted> {
        let Rule { client, channel, port, peer, to_peer, to_client } = rule;
        let (relayed, listener, client_at) = (self.port(port)?, client.local, client.remote);
        // What is only of one link has no way by its address alone.
        let is_plain = |end: &SocketAddr| match end {
            SocketAddr::V4(_) => peer.is_ipv4(),
            SocketAddr::V6(v6) => peer.is_ipv6() && v6.scope_id() == 0,
        };
        let ends = [client_at, listener, relayed, peer];
        let wanted = Wanted { client: client_at, listener, channel, port, relayed, peer, to_peer, to_client };
        (client.connection == 0 && ends.iter().all(is_plain)).then_some(wanted)
    }

    /// What the kernel has carried for a port counts as if its sockets had.
    fn note(&mut self, port: PortId, traffic: Traffic) {
        self.table.ledger.note(port, traffic);
        for (passed, counts) in [
            (traffic.to_peer, [Count::ToPeer, Count::ToPeerInKernel]),
            (traffic.to_client, [Count::ToClient, Count::ToClientInKernel]),
        ] {
            counts.into_iter().for_each(|count| self.counts.add_many(count, passed.packets as usize));
            self.counts.add_many(Count::OverBudget, passed.dropped as usize);
        }
    }

    fn send_from(&mut self, port: PortId, way: Way, bytes: &[u8], mark: Dscp) -> bool {
        if self.sockets.get(port.0).is_none() {
            return false;
        }
        if !self.table.ledger.charge(port, Towards::Peer, mark, Payload::of(bytes), self.now) {
            self.counts.add(Count::OverBudget);
            return false;
        }
        self.send(way, bytes);
        true
    }

    fn send(&mut self, way: Way, bytes: &[u8]) {
        if self.outbox.is_full() {
            self.flush();
        }
        self.outbox.push_own(way, bytes);
    }

    fn way_to_client(&self, client: Client, traffic: u8) -> Option<Way> {
        let any = self.sockets.get(client.listener.0)?.role.local().ip().is_unspecified();
        let from = any.then_some(client.local.ip());
        Some(Way { from, ..Way::from(client.listener.0.place, client.remote, traffic) })
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in self.events.iter().filter(|event| ![WAKER, STREAMS].contains(&event.token())) {
            let place = (event.token().0 - token(0).0) as u32;
            let Some(socket) = self.sockets.at_mut(place) else { continue };
            socket.has_complaints |= event.is_error();
            if !std::mem::replace(&mut socket.is_ready, true) {
                self.ready.push_back(place);
            }
        }
        Ok(())
    }

    /// Takes what one socket has, for one turn.
    fn receive(&mut self, place: u32) {
        if !self.inbox.has_room(FROM_LISTENER) {
            self.flush();
            self.inbox.clear();
        }
        let Some(socket) = self.sockets.at_mut(place) else { return };
        let (inbox, id) = (&mut self.inbox, socket.id);
        // What came was less than asked for: the socket is empty, and the next datagram is an event (epoll(7)).
        socket.is_ready = match &socket.role {
            Role::Listener(port) => {
                if socket.has_complaints {
                    // Nobody else wants to know: whom a client has left behind, its allocation's end shows.
                    let told = std::iter::from_fn(|| port.complaint()).take(FROM_LISTENER * LISTENER_CALLS);
                    let told =
                        told.inspect(|told| self.kernel.iter_mut().for_each(|kernel| kernel.hear(told)));
                    socket.has_complaints = told.count() == FROM_LISTENER * LISTENER_CALLS;
                }
                let receive = |_| inbox.receive::<FROM_LISTENER>(id, port).unwrap_or(false);
                (0..LISTENER_CALLS).all(receive) || socket.has_complaints
            }
            Role::Relay(relayed) => {
                if std::mem::take(&mut socket.has_complaints) {
                    let told = std::iter::from_fn(|| relayed.port().complaint()).take(COMPLAINTS);
                    let mut told: Vec<Complaint> = told.collect();
                    // What does not fit is refused twice, since the first time might be about another.
                    told.dedup();
                    self.complaints.extend(told.into_iter().map(|complaint| (PortId(id), complaint)));
                }
                inbox.receive::<FROM_RELAY>(id, relayed.port()).unwrap_or(false)
            }
            Role::Streams(_) | Role::RelayStreams(_) => false,
        };
        if socket.is_ready {
            self.ready.push_back(place);
        }
    }

    fn forward(&mut self, piece: Piece) -> Option<Unknown> {
        self.packets += 1;
        if self.outbox.is_full() {
            self.flush();
        }
        let socket = self.sockets.get(piece.head.socket)?;
        match &socket.role {
            Role::Listener(port) => {
                let Head { remote, local, .. } = piece.head;
                let bound = port.local();
                let local = local.map_or(bound, |ip| SocketAddr::new(ip, bound.port()));
                let client = Client { listener: ListenerId(socket.id), connection: 0, local, remote };
                self.of_client(client, piece)
            }
            Role::Relay(_) => {
                let port = PortId(socket.id);
                self.of_peer(port, piece)
            }
            Role::Streams(_) | Role::RelayStreams(_) => None,
        }
    }

    fn of_client(&mut self, client: Client, piece: Piece) -> Option<Unknown> {
        let bytes = self.inbox.bytes().get(piece.range.clone())?;
        match look(bytes) {
            Look::Message => self.admit(client, piece),
            Look::Channel => self.channel_data(client, piece),
            Look::Other => self.settled(Count::NotTurn),
        }
    }

    fn channel_data(&mut self, client: Client, piece: Piece) -> Option<Unknown> {
        let bytes = self.inbox.bytes().get(piece.range.clone())?;
        let Some(ChannelData { channel, data, .. }) = ChannelData::parse_relayed(bytes) else {
            return self.settled(Count::BadChannelData);
        };
        match self.table.pass_to_peer(client, channel, data, self.now) {
            Verdict::Passes(rule) => {
                let traffic = rule.to_peer.traffic_byte(Ecn::from_traffic_byte(piece.head.traffic));
                let way = Way::from(rule.port.0.place, rule.peer, traffic);
                let start = piece.range.start + CHANNEL_HEADER;
                self.outbox.push(way, Content::Received(start..start + data.len()));
                self.settled(Count::ToPeer)
            }
            Verdict::OverBudget => self.settled(Count::OverBudget),
            Verdict::Unknown => self.admit(client, piece),
        }
    }

    /// What came over a stream: as a datagram, but for its mark, which nobody knows.
    fn of_stream(&mut self, came: Came) -> Option<Unknown> {
        let (client, bytes) = match came {
            Came::Frame(client, bytes) => (client, bytes),
            Came::Ended(client) => {
                self.trusted.remove(&client);
                return Some(Unknown::Ended { client });
            }
            Came::Carried(from, bytes) => {
                self.packets += 1;
                self.carry(from, bytes);
                return None;
            }
            Came::Dialled(link) => return Some(Unknown::Dialled { link }),
            Came::Arrived(port, peer, link) => return Some(Unknown::Arrived { port, peer, link }),
            Came::HungUp(link) => return self.ended(link),
        };
        self.packets += 1;
        let ecn = Ecn::NotCapable;
        if let Some(ChannelData { channel, data, .. }) = ChannelData::parse_relayed(&bytes) {
            match self.table.pass_to_peer(client, channel, data, self.now) {
                Verdict::Passes(rule) => {
                    let traffic = rule.to_peer.traffic_byte(ecn);
                    self.send(Way::from(rule.port.0.place, rule.peer, traffic), data);
                    return self.settled(Count::ToPeer);
                }
                Verdict::OverBudget => return self.settled(Count::OverBudget),
                Verdict::Unknown => {}
            }
        }
        let excess = self.lets_in(client)?;
        Some(Unknown::FromClient { client, bytes, mark: Dscp::DEFAULT, ecn, excess })
    }

    /// Whether a client may say what no rule is for, or may be looked at although it is too much. `None`: it is dropped.
    fn lets_in(&mut self, client: Client) -> Option<Option<Count>> {
        if self.trusted.contains(&client) {
            self.counts.add(Count::UnknownFromClient);
            return Some(None);
        }
        match self.gate.admits(client.remote, self.now) {
            Admission::In => {
                self.counts.add(Count::UnknownFromClient);
                Some(None)
            }
            Admission::Look(count) => Some(Some(count)),
            Admission::Out(count) => {
                self.judge(client, count, false);
                None
            }
        }
    }

    /// Hands over what no rule is for, if its sender may.
    fn admit(&mut self, client: Client, piece: Piece) -> Option<Unknown> {
        let excess = self.lets_in(client)?;
        let bytes = self.inbox.bytes().get(piece.range)?.to_vec();
        let (mark, ecn) = read(piece.head.traffic);
        Some(Unknown::FromClient { client, bytes, mark, ecn, excess })
    }

    fn send_over_stream(&mut self, client: Client, frame: Vec<u8>, mark: Dscp) -> bool {
        let streams = self.streams.as_mut();
        let sent = streams.is_some_and(|streams| streams.send(client.connection, frame, mark));
        if !sent {
            self.counts.add(Count::StreamFull);
        }
        sent
    }

    fn of_peer(&mut self, port: PortId, piece: Piece) -> Option<Unknown> {
        let Head { remote: peer, traffic, .. } = piece.head;
        let bytes = self.inbox.bytes().get(piece.range.clone())?;
        let (mark, ecn) = read(traffic);
        match self.table.pass_to_client(port, peer, bytes, self.now) {
            Verdict::Passes(rule) if rule.client.connection != 0 => {
                let mut frame = Vec::with_capacity(CHANNEL_HEADER + bytes.len() + 3);
                ChannelData::write_stream(rule.channel, bytes, &mut frame);
                let is_sent = self.send_over_stream(rule.client, frame, rule.to_client);
                is_sent.then(|| self.counts.add(Count::ToClient));
                None
            }
            Verdict::Passes(rule) => {
                let way = self.way_to_client(rule.client, rule.to_client.traffic_byte(ecn))?;
                let [c0, c1] = rule.channel.to_be_bytes();
                // A datagram is never longer than this field can say.
                let [l0, l1] = (bytes.len() as u16).to_be_bytes();
                self.outbox.push(way, Content::Wrapped([c0, c1, l0, l1], piece.range));
                self.settled(Count::ToClient)
            }
            Verdict::OverBudget => self.settled(Count::OverBudget),
            Verdict::Unknown => {
                let bytes = bytes.to_vec();
                self.counts.add(Count::UnknownFromPeer);
                Some(Unknown::FromPeer { port, peer, bytes, mark, ecn })
            }
        }
    }

    /// Nobody has to hear of the packet any more.
    fn settled(&mut self, count: Count) -> Option<Unknown> {
        self.counts.add(count);
        None
    }
}

/// The header of ChannelData (RFC 8656, 12.4).
const CHANNEL_HEADER: usize = 4;

fn read(traffic: u8) -> (Dscp, Ecn) {
    (Dscp::from_traffic_byte(traffic), Ecn::from_traffic_byte(traffic))
}
