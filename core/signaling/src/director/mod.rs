//! A Director as a state machine: SIP between the Edge and several Front Ends, each of which is home to other users.
//!
//! It stands inside, has no users, and keeps no transactions (RFC 3261, 16.11). Who is at home where the Front Ends tell it; where a
//! dialog or a registration leads stands in the messages, in the open: nobody is heard here who has not proven to be one of our servers, and
//! nobody else is sent anything. So a restart ends nothing.
//!
//! Driven like the Front End: `handle_*`, then `poll_output` until it is empty, and back by `poll_timeout`.

mod config;
mod contract;
mod homes;
mod pass;
mod servers;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::sip::{Answer, Destination, Fault, Flow, Message, Method, Name, StartLine, Transport};

pub use config::{Config, Group};
pub use contract::{Event, GroupView, Output, ServerView, View};

use crate::access::link::Link;
use crate::access::view::Counts;
use crate::admission::unsupported;
use crate::incoming::{Incoming, answer, tag, whole};
use crate::proxy::{Ends, Route, route};
use crate::reply::Reply;
use crate::secret::Secret;
use config::Owner;
use homes::Homes;

/// How a Front End says who is at home there: one address of record a line (RFC 2483).
pub(crate) const LIST: &str = "text/uri-list";
/// The field that names the last user of a part of the list: in an answer when there are more, in a question for those behind.
pub(crate) const AFTER: &str = "Carillon-After";

/// A Director without sockets.
pub struct Director {
    config: Config,
    secret: Secret,
    ends: Ends,
    /// Connections that are up, by their number.
    known: BTreeMap<u64, Known>,
    links: Vec<Link<Owner>>,
    /// Since when a server answers or does not.
    since: BTreeMap<SocketAddr, Duration>,
    /// In the order of the Front Ends.
    homes: Vec<Homes>,
    counts: Counts,
    out: VecDeque<Output>,
    /// Nothing new is taken on.
    drained: bool,
    sequence: u64,
}

/// A connection, and who is at its other end, if that is proven.
#[derive(Debug)]
struct Known {
    flow: Flow,
    owner: Option<Owner>,
}

/// A server: its place in the list of those that we connect to, and who it is.
#[derive(Clone, Copy, Debug)]
struct Server {
    at: usize,
    owner: Owner,
}

impl Director {
    /// Begins without a connection, and not knowing who is at home where. The seed must be hard to guess.
    pub fn new(config: Config, seed: [u8; 32], now: Duration) -> Director {
        Director {
            ends: Ends::new(vec![config.end()], &config.domains),
            secret: Secret::new(&seed),
            known: BTreeMap::new(),
            links: servers::links(&config, now),
            since: BTreeMap::new(),
            homes: config.front_ends.iter().map(|_| Homes::default()).collect(),
            counts: Counts::default(),
            out: VecDeque::new(),
            drained: false,
            sequence: now.as_nanos() as u64,
            config,
        }
    }

    /// From now on nothing new is taken on: another Director is asked. What was begun goes on.
    pub fn drain(&mut self) {
        self.drained = true;
    }

    /// The names that a certificate may prove something by.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.config.groups().map(|(_, group)| group.name.as_str())
    }

    /// One message came, whole.
    pub fn handle_input(&mut self, now: Duration, flow: Flow, bytes: &[u8]) {
        if !self.is_up(&flow) {
            self.known.insert(flow.id, Known { flow, owner: None });
        }
        let (message, fault) = match whole(bytes, self.config.message) {
            Ok(read) => read,
            Err(garbage) => {
                return garbage.into_iter().for_each(|garbage| self.counts.drop(garbage.counter()));
            }
        };
        let checked = match fault {
            Some(answer) => Err(message.fault(answer)),
            None => message.check(),
        };
        match (checked, message.start()) {
            (Ok(routing), StartLine::Request { .. }) => {
                self.request(now, &Incoming { flow, message: &message, routing });
            }
            (Ok(routing), StartLine::Response { code, .. }) => {
                self.response(now, &Incoming { flow, message: &message, routing }, code);
            }
            (Err(fault), _) => self.wrong(flow, &message, fault),
        }
    }

    /// A message of a stream came whose end can't be known: a request gets this answer, the rest is dropped.
    pub fn handle_wrong(&mut self, flow: Flow, bytes: &[u8], answer: Answer) {
        match whole(bytes, self.config.message) {
            Ok((message, _)) => {
                let fault = message.fault(answer);
                self.wrong(flow, &message, fault);
            }
            Err(garbage) => garbage.into_iter().for_each(|garbage| self.counts.drop(garbage.counter())),
        }
    }

    /// A connection is up that we made, or whose other end has shown a certificate that holds; `names` are those among
    /// [`Director::names`] for which it does.
    pub fn handle_connected(&mut self, flow: Flow, names: &[&str]) {
        let owner = self.owner(&flow, names);
        self.known.insert(flow.id, Known { flow, owner });
        if owner.is_some() {
            self.out.push_back(Output::Trust(flow));
        }
    }

    /// Who is at the other end: of those that the certificate names, as one may name several, the one that is connected to, or that
    /// is at that address.
    fn owner(&self, flow: &Flow, names: &[&str]) -> Option<Owner> {
        let says = |name: &str| names.iter().any(|said| said.eq_ignore_ascii_case(name));
        let named = || self.config.groups().filter(|(_, group)| says(&group.name));
        let with = |is: &dyn Fn(&SocketAddr) -> bool| {
            named().find(|(_, group)| group.addresses.iter().any(is)).map(|(owner, _)| owner)
        };
        let only = || named().nth(1).is_none().then(|| named().next()).flatten().map(|(owner, _)| owner);
        with(&|address| *address == flow.remote)
            .or_else(|| with(&|address| address.ip() == flow.remote.ip()))
            .or_else(only)
    }

    /// A connection has ended.
    pub fn handle_closed(&mut self, now: Duration, flow: Flow) {
        self.known.remove(&flow.id);
        self.lost(now, flow.remote);
    }

    /// A connection to an address could not be made.
    pub fn handle_failed(&mut self, now: Duration, _: Transport, remote: SocketAddr) {
        self.failed(now, remote);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.ask_servers(now);
    }

    /// What is to be done next; call until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to call [`Director::handle_timeout`], at the latest.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.links.iter().map(|link| link.probe_at).min()
    }

    /// A picture of now.
    pub fn view(&self) -> View {
        let groups = self.config.groups().map(|(owner, group)| GroupView {
            name: group.name.clone(),
            is_front_end: owner != Owner::Edge,
            users: match owner {
                Owner::Edge => None,
                Owner::FrontEnd(number) => self.homes.get(number).and_then(Homes::len),
            },
            servers: self
                .links
                .iter()
                .filter(|link| link.whose == owner)
                .map(|link| self.seen(link))
                .collect(),
        });
        View {
            connections: self.known.len(),
            groups: groups.collect(),
            forwarded: self.counts.forwarded.clone(),
            refused: self.counts.refused.clone(),
            dropped: self.counts.dropped.clone(),
        }
    }

    fn seen(&self, link: &Link<Owner>) -> ServerView {
        ServerView {
            address: link.remote,
            answers: link.answers(),
            since: self.since.get(&link.remote).copied(),
            answered: link.answered,
            failed: link.failed,
        }
    }

    fn request(&mut self, now: Duration, incoming: &Incoming<'_>) {
        // For a refusal of ours: nobody else knows of it.
        let own = tag(&self.secret, incoming.message);
        if incoming.method() == Method::Ack && incoming.routing.to.tag == Some(own.as_bytes()) {
            return;
        }
        let Err(reply) = self.decide(now, incoming) else { return };
        self.refuse(incoming.flow, incoming.message, &reply);
    }

    fn decide(&mut self, now: Duration, incoming: &Incoming<'_>) -> Result<(), Reply> {
        let from = self.peer(&incoming.flow);
        let from = from.ok_or_else(|| self.denied("nobody but our own servers speaks here"))?;
        self.heard(now, incoming.flow.remote);
        let way = route(&self.ends, &self.secret, incoming).ok_or(Reply::new(400, "Malformed Route"))?;
        if !way.uri.is_sip() {
            return Err(Reply::new(416, "Unsupported URI Scheme"));
        }
        if incoming.routing.max_forwards == Some(0) {
            return Err(Reply::new(483, "Too Many Hops"));
        }
        unsupported(incoming, Name::ProxyRequire, &[])?;
        if self.is_question(incoming, &way) {
            return Err(self.whether_we_are_there());
        }
        let begins = !incoming.has_dialog() && !matches!(incoming.method(), Method::Ack | Method::Cancel);
        if self.drained && begins {
            return Err(self.elsewhere());
        }
        let target = self.target(now, from, incoming, &way)?;
        self.pass(now, from, incoming, &way, target)
    }

    /// Whether somebody asks whether we are there: of the Director, not of a user.
    fn is_question(&self, incoming: &Incoming<'_>, way: &Route<'_>) -> bool {
        incoming.method() == Method::Options
            && way.uri.user.is_none()
            && (self.is_own_domain(&way.uri) || self.ends.are(&way.uri, incoming.flow.local.ip()))
    }

    /// It alone is no use: whoever asks hears whether a Front End is there, too.
    fn whether_we_are_there(&self) -> Reply {
        let serves = |link: &Link<Owner>| link.whose != Owner::Edge && link.answers();
        match self.links.iter().any(serves) {
            _ if self.drained => self.elsewhere(),
            true => Reply::new(200, "OK").field("Allow", "OPTIONS"),
            false => self.refusal(503, "Service Unavailable", "no Front End answers"),
        }
    }

    fn elsewhere(&self) -> Reply {
        let reply =
            self.refusal(503, "Service Unavailable", "this Director is being stopped; use another one");
        reply.field("Retry-After", "3")
    }

    /// Who is at the other end, if that is proven.
    fn peer(&self, flow: &Flow) -> Option<Owner> {
        self.known.get(&flow.id).filter(|known| known.flow == *flow)?.owner
    }

    /// A refusal that says why (RFC 3261, 20.43).
    fn denied(&self, why: &str) -> Reply {
        self.refusal(403, "Forbidden", why)
    }

    fn refusal(&self, code: u16, reason: &'static str, why: &str) -> Reply {
        Reply::new(code, reason).field("Warning", format!("399 {} \"{why}\"", self.config.name))
    }

    fn wrong(&mut self, flow: Flow, message: &Message<&[u8]>, fault: Fault) {
        match fault {
            Fault::Answer(Answer { code, reason }) if message.vias().next().is_some() => {
                self.refuse(flow, message, &Reply::new(code, reason));
            }
            Fault::Answer(_) => self.counts.drop("sip_without_via"),
            Fault::Drop(garbage) => self.counts.drop(garbage.counter()),
        }
    }

    /// Answers without keeping anything; an ACK is never answered.
    fn refuse(&mut self, flow: Flow, message: &Message<&[u8]>, reply: &Reply) {
        if message.method() == Some(Method::Ack) {
            return self.counts.drop("sip_stray_ack");
        }
        if reply.answer.code != 200 {
            self.counts.refuse(reply.answer.code);
        }
        let bytes = answer(message, &flow, &tag(&self.secret, message), reply);
        self.transmit(Destination::Flow(flow), bytes);
    }

    fn transmit(&mut self, to: Destination, bytes: Vec<u8>) {
        self.out.push_back(Output::Transmit { to, bytes });
    }
}
