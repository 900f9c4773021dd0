//! Our Edge, or a pool of them: what comes by their connections was sent by somebody outside, and what is for other domains
//! goes to one of them, or to the next if that one can't take it. A Director stands in the same place: behind it are other Front
//! Ends of our domains, too.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_wire::sip::{Flow, Name, Transport};

use crate::address;
use crate::contract::{Destination, Output};
use crate::director::{AFTER, LIST};
use crate::front_end::FrontEnd;
use crate::incoming::Incoming;
use crate::presence::list_owner;
use crate::proxy::Target;
use crate::reply::Reply;
use crate::secret::usage;
use crate::transaction::PATIENCE;

/// Bytes of names in one answer to a Director.
const PAGE: usize = 256 << 10;

/// Connections that have ended are known so many; subscriptions over older ones end with their next NOTIFY.
const MOST_GONE: usize = 64;

/// Connections whose other end has proven to be an Edge.
#[derive(Default, Debug)]
pub(crate) struct Edges {
    flows: BTreeMap<u64, Flow>,
    /// Those that have ended, the last one first.
    gone: VecDeque<Flow>,
    /// When one could not be connected to; forgotten when it is there again.
    failed: BTreeMap<SocketAddr, Duration>,
}

/// What speaks for asking one Edge before another: the least is the best.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Standing {
    Connected,
    Untried,
    Failed,
}

impl Edges {
    /// Whether something came from the Edge.
    pub(crate) fn are(&self, flow: &Flow) -> bool {
        self.flows.get(&flow.id) == Some(flow)
    }

    pub(crate) fn closed(&mut self, flow: &Flow) {
        if self.flows.remove(&flow.id).is_some() {
            self.gone.truncate(MOST_GONE - 1);
            self.gone.push_front(*flow);
        }
    }

    /// A connection with the Edge there. An Edge connects to us from the address that it is reached at.
    fn at(&self, ip: IpAddr) -> Option<Flow> {
        self.flows.values().find(|flow| flow.remote.ip().to_canonical() == ip).copied()
    }
}

impl FrontEnd {
    /// The names that a certificate may prove something by.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.config.edge.iter().map(|edge| edge.name.as_str())
    }

    /// A connection is up that we made, or whose other end has shown a certificate that holds; `names` are those among
    /// [`FrontEnd::names`] for which it does.
    pub fn handle_connected(&mut self, flow: Flow, names: &[&str]) {
        if self.names().any(|name| names.contains(&name)) {
            self.edges.flows.insert(flow.id, flow);
            self.edges.failed.retain(|address, _| address.ip() != flow.remote.ip());
            self.proxy.saw(flow);
            self.proxy.out.push_back(Output::Trust(flow));
        }
    }

    /// The Edges for something new to another domain, in the order in which they are asked; `None` if we have none. Calls are
    /// spread over those that are equally good.
    pub(crate) fn to_edges(&self, now: Duration, call_id: &[u8]) -> Option<Target> {
        let addresses = &self.config.edge.as_ref()?.addresses;
        let mut ways: Vec<_> =
            addresses.iter().map(|address| (self.standing(now, address), self.to_edge(*address))).collect();
        let turn = self.proxy.secret.hash(usage::EDGE, &[call_id]);
        let turn = turn.checked_rem(ways.len() as u64)? as usize;
        ways.rotate_left(turn);
        ways.sort_by_key(|(standing, _)| *standing);
        let mut ways = ways.into_iter().map(|(_, way)| way);
        Some(Target::Edge(ways.next()?, ways.collect()))
    }

    /// The way to the Edge that a flow was with, which may be no more: a dialog stays with its Edge.
    pub(crate) fn back_to_edge(&self, flow: &Flow) -> Option<Destination> {
        let is = |address: &&SocketAddr| address.ip() == flow.remote.ip();
        let address = self.config.edge.as_ref()?.addresses.iter().find(is)?;
        Some(self.to_edge(*address))
    }

    /// Where what was to go by a connection goes: by another one with the same Edge, if it has ended.
    pub(crate) fn still(&self, to: Destination) -> Destination {
        match to {
            Destination::Flow(flow) if self.edges.gone.contains(&flow) => {
                self.back_to_edge(&flow).unwrap_or(to)
            }
            to => to,
        }
    }

    /// A connection to an address could not be made.
    pub(crate) fn edge_failed(&mut self, now: Duration, remote: SocketAddr) {
        if self.config.edge.as_ref().is_some_and(|edge| edge.addresses.contains(&remote)) {
            self.edges.failed.insert(remote, now);
        }
    }

    /// A connection with an Edge that is up, or else a new one.
    fn to_edge(&self, address: SocketAddr) -> Destination {
        let new = Destination::Address { transport: Transport::Tls, remote: address, local: None };
        self.edges.at(address.ip()).map_or(new, Destination::Flow)
    }

    /// Every Edge or Director that is known, and whether a connection with it is established.
    pub fn next_hops(&self) -> impl Iterator<Item = (SocketAddr, bool)> {
        let addresses = self.config.edge.iter().flat_map(|edge| &edge.addresses);
        addresses.map(|address| (*address, self.edges.at(address.ip()).is_some()))
    }

    /// Whether our domains have users on other Front Ends.
    pub(crate) fn has_director(&self) -> bool {
        self.config.edge.as_ref().is_some_and(|edge| edge.is_director)
    }

    /// Whether something came from our Director.
    pub(crate) fn is_from_director(&self, incoming: &Incoming<'_>) -> bool {
        self.has_director() && self.edges.are(&incoming.flow)
    }

    /// Whether an address of ours is to be looked for on another Front End: not that of a contact list, which is where its owner is.
    /// What comes from the Director is not, as it has looked; but for what our own users outside send by it.
    pub(crate) fn is_away(&self, incoming: &Incoming<'_>, aor: &str) -> bool {
        self.has_director()
            && (!self.edges.are(&incoming.flow) || self.is_from_one_of_us(incoming))
            && !aor.is_empty()
            && !self.registrar.knows(aor)
            && !list_owner(aor).is_some_and(|owner| self.registrar.knows(&owner))
    }

    /// Whom another Front End has proven, as our Director says (RFC 3325).
    pub(crate) fn asserted(&self, incoming: &Incoming<'_>) -> Option<String> {
        if !self.is_from_director(incoming) {
            return None;
        }
        let named =
            carillon_wire::sip::Address::parse(incoming.message.get(Name::PAssertedIdentity)?).ok()?;
        address::aor(&named.uri().ok()?)
    }

    /// What our Director is told of who sends a request, once that is proven here or on another Front End.
    pub(crate) fn assertion(&self, incoming: &Incoming<'_>, caller: &str) -> Option<String> {
        let proven = Some(caller.to_owned()).filter(|caller| !caller.is_empty());
        let proven = proven.or_else(|| self.asserted(incoming)).filter(|_| self.has_director());
        proven.map(|aor| format!("<sip:{aor}>"))
    }

    /// Our Director asks who is at home here (OPTIONS, RFC 3261, 11): all whose names come after the one that it had last, as many
    /// as a message may carry; nothing if nobody has come or gone since it had them all.
    pub(crate) fn homes(&self, incoming: &Incoming<'_>) -> Option<Reply> {
        let takes_list = || incoming.message.values(Name::Accept).any(|kind| kind == LIST.as_bytes());
        if !self.is_from_director(incoming) || !is_own(incoming) || !takes_list() {
            return None;
        }
        let tag = format!("{:x}-{:x}", self.begun.as_nanos(), self.registrar.comings());
        let named =
            |name| incoming.message.named(name).next().and_then(|value| std::str::from_utf8(value).ok());
        let reply = Reply::new(200, "OK").field("SIP-ETag", tag.clone());
        if named("Suppress-If-Match") == Some(&tag) {
            return Some(reply);
        }
        let mut list = String::new();
        let mut last = None;
        let mut users = self.registrar.users_after(named(AFTER).unwrap_or_default());
        for aor in users.by_ref() {
            list.push_str(aor);
            list.push_str("\r\n");
            if list.len() >= PAGE {
                last = Some(aor);
                break;
            }
        }
        let last = last.filter(|_| users.next().is_some());
        let reply = last.into_iter().fold(reply, |reply, last| reply.field(AFTER, &**last));
        Some(Reply { body: Some((LIST, list)), ..reply })
    }

    fn standing(&self, now: Duration, address: &SocketAddr) -> Standing {
        match self.edges.failed.get(address) {
            _ if self.edges.at(address.ip()).is_some() => Standing::Connected,
            Some(failed) if now < *failed + PATIENCE => Standing::Failed,
            _ => Standing::Untried,
        }
    }

    /// The flow of whoever sent a request: of what comes through our Edge, with the address that the Edge saw, also with a Director
    /// between. What one of them does is not the fault of all the others.
    pub(crate) fn sender(&self, incoming: &Incoming<'_>) -> Flow {
        let flow = incoming.flow;
        let hops = 1 + usize::from(self.has_director());
        match self.edges.are(&flow).then(|| seen_from(incoming, hops)).flatten() {
            Some(ip) => Flow { remote: SocketAddr::new(ip, 0), ..flow },
            None => flow,
        }
    }
}

/// Whether whoever holds the connection asks for itself: what it passes on for others has their Via below its own, or goes on with
/// something.
fn is_own(incoming: &Incoming<'_>) -> bool {
    !incoming.has_dialog() && incoming.message.vias().count() == 1
}

/// Where the last of these proxies before us has the request from (RFC 3261, 18.2.1); they are ours, and what they say is so.
fn seen_from(incoming: &Incoming<'_>, hops: usize) -> Option<IpAddr> {
    let via = incoming.message.vias().nth(hops)?.ok()?;
    via.received_ip().or(via.host.ip())
}
