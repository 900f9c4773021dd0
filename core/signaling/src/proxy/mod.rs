//! The stateful proxy (RFC 3261, 16): requests go to phones, answers come back, and what is not wanted any more is cancelled.
//!
//! Who may send what to whom is decided before, in the Front End. Whom a user's address leads to is the registrar's business.

mod answers;
mod branch;
mod bridges;
mod budget;
mod divert;
mod early;
mod ends;
mod fork;
mod forward;
mod lapse;
mod requests;
mod route;
mod token;

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::sip::{Flow, Message, Transport};
use hashbrown::HashMap;

use crate::bandwidth::Bandwidth;
use crate::calls::Calls;
use crate::config::{Config, Limits};
use crate::contract::{Binding, Destination, Output, Transmit};
use crate::counts::Counts;
use crate::incoming::{Incoming, answer, tag};
use crate::records::Records;
use crate::reply::Reply;
use crate::rules::Cause;
use crate::secret::{Secret, usage};
use crate::transaction::{Client, Id, Key, Plain, Server, Table};

pub(crate) use branch::{is_loop, path};
pub(crate) use bridges::Crossing;
pub(crate) use ends::{Ends, reach};
pub(crate) use fork::{Attempt, Fork, Target};
pub(crate) use forward::{Hop, request, response};
pub(crate) use route::{Route, route};
pub(crate) use token::Token;

pub(crate) struct Proxy {
    pub(crate) secret: Secret,
    pub(crate) ends: Ends,
    pub(crate) calls: Calls,
    pub(crate) records: Records,
    pub(crate) bridges: bridges::Bridges,
    pub(crate) counts: Counts,
    pub(crate) out: VecDeque<Output>,
    /// Whether what must be kept can be, see [`crate::FrontEnd::set_keeping`].
    pub(crate) keeping: bool,
    /// Answers to NOTIFYs of our own.
    pub(crate) notified: VecDeque<(Arc<str>, u16)>,
    /// Bindings whose flow is no more, as the proxy before the phone says (RFC 5626, 5.3.1).
    pub(crate) unbound: VecDeque<Arc<Binding>>,
    /// Calls that rules may send elsewhere now, and why.
    pub(crate) diverting: VecDeque<(Id, Cause)>,
    realm: String,
    limits: Limits,
    servers: Table<Server<Box<Fork>>>,
    /// Bytes of requests that wait for an answer: the sum of what the server transactions weigh.
    held: usize,
    /// Server transactions by what the requests of one have in common.
    keys: HashMap<Key, Id, Plain>,
    clients: Table<Client>,
    /// Calls that are being set up, by the flow of the caller.
    asking: BTreeSet<(u64, u32)>,
    /// Open client transactions by the connection that they need.
    waiting: BTreeSet<(Path, u32)>,
    early: early::Early,
    /// Connections that are up, as far as something came over them.
    flows: HashMap<u64, Flow, Plain>,
    sequence: u64,
}

/// What fails as a whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Path {
    Flow(u64),
    Address(Transport, SocketAddr),
}

impl Proxy {
    pub(crate) fn new(config: &Config, seed: &[u8; 32], now: Duration) -> Proxy {
        Proxy {
            secret: Secret::new(seed),
            ends: Ends::new(config.listeners.clone(), &config.domains),
            calls: Calls::new(now, config.limits.calls, config.limits.silence, Bandwidth::new(&config.plan)),
            records: Records::new(edges(config), &config.plan),
            bridges: bridges::Bridges::default(),
            counts: Counts::default(),
            out: VecDeque::new(),
            keeping: true,
            notified: VecDeque::new(),
            unbound: VecDeque::new(),
            diverting: VecDeque::new(),
            realm: config.realm.clone(),
            limits: config.limits,
            servers: Table::new(now),
            held: 0,
            keys: HashMap::default(),
            clients: Table::new(now),
            asking: BTreeSet::new(),
            waiting: BTreeSet::new(),
            early: early::Early::default(),
            flows: HashMap::default(),
            // A seed that outlives a restart must not bring the same numbers again: phones have seen those of before.
            sequence: now.as_nanos() as u64,
        }
    }

    /// Whether there is room for a request: a new one, or one of a call that is up.
    pub(crate) fn has_room(&self, in_dialog: bool) -> bool {
        let used = self.servers.len() + self.clients.len();
        let Limits { transactions: most, waiting, .. } = self.limits;
        match in_dialog {
            true => used < most + most / 4 && self.held < waiting + waiting / 4,
            false => used < most && self.held < waiting && self.out.len() < self.limits.queue,
        }
    }

    /// Something came over a flow.
    pub(crate) fn saw(&mut self, flow: Flow) {
        if flow.transport.is_stream() {
            self.flows.insert(flow.id, flow);
        }
    }

    /// Whether the other end of a flow can still be reached by it. Ids may begin anew after a restart, so all of it counts.
    pub(crate) fn is_up(&self, flow: &Flow) -> bool {
        !flow.transport.is_stream() || self.flows.get(&flow.id) == Some(flow)
    }

    fn way(&self, target: &Target) -> Option<Destination> {
        target.destination().filter(|to| self.can_reach(to))
    }

    fn can_reach(&self, to: &Destination) -> bool {
        match to {
            Destination::Flow(flow) => self.is_up(flow),
            Destination::Address { .. } => true,
        }
    }

    /// Answers without keeping anything: the same request again gets the same answer (RFC 3261, 8.2.7).
    pub(crate) fn refuse(&mut self, flow: Flow, message: &Message<&[u8]>, reply: &Reply) {
        let bytes = answer(message, &flow, &tag(&self.secret, message), reply);
        self.counts.answer(reply.answer.code);
        self.transmit(Destination::Flow(flow), bytes);
    }

    /// Answers, and remembers the answer for when the request comes again.
    pub(crate) fn answer(&mut self, now: Duration, incoming: &Incoming<'_>, key: Key, reply: &Reply) {
        if incoming.flow.transport.is_stream() {
            return self.refuse(incoming.flow, incoming.message, reply);
        }
        let tag = tag(&self.secret, incoming.message);
        let bytes = answer(incoming.message, &incoming.flow, &tag, reply);
        let id = self.servers.insert(Server::new(key, incoming.flow, incoming.is_invite()).brief());
        self.keys.insert(key, id);
        self.counts.answer(reply.answer.code);
        self.give(now, id, reply.answer.code, bytes);
    }

    /// Sends an answer of a server transaction.
    fn give(&mut self, now: Duration, id: Id, code: u16, bytes: Vec<u8>) {
        let Some(server) = self.servers.get_mut(id) else { return };
        server.answer(now, code, &bytes);
        let flow = server.flow;
        if code >= 200 {
            self.held -= std::mem::take(&mut server.weight);
            self.asking.remove(&(flow.id, id.place()));
        }
        if code >= 300 {
            self.calls.bandwidth.over(id);
        }
        self.settle_server(now, id);
        if self.is_up(&flow) {
            self.transmit(Destination::Flow(flow), bytes);
        }
    }

    fn settle_server(&mut self, now: Duration, id: Id) {
        match self.servers.get(id).and_then(Server::due) {
            Some(due) if due <= now => self.end_server(id),
            due => self.servers.schedule(id, due),
        }
    }

    fn end_server(&mut self, id: Id) {
        let Some(server) = self.servers.remove(id) else { return };
        self.held -= server.weight;
        self.calls.bandwidth.over(id);
        self.asking.remove(&(server.flow.id, id.place()));
        if self.keys.get(&server.key) == Some(&id) {
            self.keys.remove(&server.key);
        }
    }

    fn settle_client(&mut self, now: Duration, id: Id) {
        let Some(client) = self.clients.get(id) else { return };
        if client.is_open() {
            let due = client.due();
            return self.clients.schedule(id, Some(due));
        }
        self.waiting.remove(&(Path::of(&client.to), id.place()));
        match client.due() {
            due if due <= now => _ = self.end_client(id),
            due => self.clients.schedule(id, Some(due)),
        }
    }

    fn end_client(&mut self, id: Id) -> Option<Client> {
        let client = self.clients.remove(id)?;
        self.bridges.branch_ended(client.crossing);
        self.waiting.remove(&(Path::of(&client.to), id.place()));
        self.early.ended(id);
        Some(client)
    }

    /// A number that nobody outside can foretell.
    fn nonce(&mut self) -> u64 {
        self.sequence = self.sequence.wrapping_add(1);
        self.secret.hash(usage::BRANCH, &[&self.sequence.to_be_bytes()])
    }

    fn transmit(&mut self, to: Destination, bytes: Vec<u8>) {
        self.out.push_back(Output::Transmit(Transmit { to, class: TrafficClass::Signaling, bytes }));
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            calls: self.calls.len(),
            bridges: self.bridges.len(),
            server_transactions: self.servers.len(),
            unanswered: self.held,
            client_transactions: self.clients.len(),
            queued: self.out.len(),
            ..self.counts.clone()
        }
    }
}

/// Where our Edges speak with us.
fn edges(config: &Config) -> Vec<IpAddr> {
    let addresses = config.edge.iter().flat_map(|edge| &edge.addresses);
    addresses.map(|address| address.ip().to_canonical()).collect()
}

impl Path {
    fn of(to: &Destination) -> Path {
        match to {
            Destination::Flow(flow) => Path::Flow(flow.id),
            Destination::Address { transport, remote, .. } => Path::Address(*transport, *remote),
        }
    }
}
