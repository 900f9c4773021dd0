//! The Access Edge as a state machine: SIP between the inside and those outside, and nothing of its own.
//!
//! It is the edge proxy of RFC 5626 for clients, and the door to other domains. It knows no users and keeps no transactions
//! (RFC 3261, 16.11): all that an answer or a later request needs to find its way stands, sealed, in the messages. What it
//! keeps are the connections that are up, and the servers that it connects to. Who may sign in the Front End decides; whom a
//! connection belongs to its certificate proves.
//!
//! Driven like the Front End: `handle_*`, then `poll_output` until it is empty, and back by `poll_timeout`.

mod config;
mod contract;
mod federation;
mod inward;
pub(crate) mod link;
mod modality;
mod outward;
pub(crate) mod pass;
mod peers;
mod servers;
pub(crate) mod view;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::sip::{Answer, Destination, Fault, Flow, Message, Method, Name, StartLine, Transport};
use carillon_wire::source::Sources;

pub use carillon_wire::source::Rate;
pub use config::{Config, Listener, NextHop, Partner, STRANGERS, Side};
pub use contract::{Event, LinkView, Output, PartnerView, Reach, View};

use crate::admission::unsupported;
use crate::incoming::{Incoming, answer, tag, whole};
use crate::proxy::{Ends, Route, route};
use crate::reply::Reply;
use crate::secret::{Secret, usage};
use federation::Traffic;
use link::{Link, Whose};
use peers::{Peer, Peers};
use view::Counts;

/// An edge proxy without sockets.
pub struct AccessEdge {
    config: Config,
    secret: Secret,
    /// Our own ends: all, and those of each side.
    ends: Ends,
    inside: Ends,
    outside: Ends,
    peers: Peers,
    /// What strangers have asked.
    strangers: Sources,
    links: Vec<Link>,
    /// In the order of the partners.
    traffic: Vec<Traffic>,
    counts: Counts,
    out: VecDeque<Output>,
    /// Nothing new is taken on.
    drained: bool,
    /// When it was last looked which ways there are to the partners.
    judged: Duration,
    sequence: u64,
}

impl AccessEdge {
    /// Begins without a connection. The seed must be hard to guess; what was sealed with another one is not known.
    pub fn new(config: Config, seed: [u8; 32], now: Duration) -> AccessEdge {
        let ends = |side: Option<Side>| {
            let listeners =
                config.listeners.iter().filter(|listener| side.is_none_or(|s| s == listener.side));
            // Phones that find the Edges of a pool by the domain write it into their Route.
            Ends::new(listeners.map(Listener::end).collect(), &config.domains)
        };
        let secret = Secret::new(&seed);
        AccessEdge {
            ends: ends(None),
            inside: ends(Some(Side::Inside)),
            outside: ends(Some(Side::Outside)),
            peers: Peers::new(&config),
            strangers: Sources::new(config.strangers, secret.hash(usage::STRANGERS, &[])),
            secret,
            links: servers::links(&config, now),
            traffic: vec![Traffic::new(now); config.partners.len()],
            counts: Counts::default(),
            out: VecDeque::new(),
            drained: false,
            judged: now,
            sequence: now.as_nanos() as u64,
            config,
        }
    }

    /// From now on other partners are talked to; those that stay keep what is known of them.
    pub fn set_partners(&mut self, now: Duration, partners: Vec<Partner>) {
        let before = std::mem::replace(&mut self.config.partners, partners);
        let old = std::mem::take(&mut self.traffic);
        let kept = |partner: &Partner| {
            let at = before.iter().position(|known| known.domain == partner.domain)?;
            old.get(at).cloned()
        };
        let new = |partner| kept(partner).unwrap_or(Traffic::new(now));
        self.traffic = self.config.partners.iter().map(new).collect();
        self.relink(now, &before);
        let unsure = self.peers.set_partners(&self.config.partners);
        self.out.extend(unsure.into_iter().map(Output::Introduce));
    }

    /// From now on nothing new is taken on: who signs in or calls is sent to another Edge. Calls that are up go on.
    pub fn drain(&mut self) {
        self.drained = true;
    }

    /// Whether nobody who has signed in is connected, and no partner: no call can run through here any more.
    pub fn is_idle(&self) -> bool {
        self.peers.is_idle()
    }

    /// One message came, whole.
    pub fn handle_input(&mut self, now: Duration, flow: Flow, bytes: &[u8]) {
        self.peers.saw(flow);
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
                self.heard(now, flow.remote);
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
    /// [`AccessEdge::names`] for which it does.
    pub fn handle_connected(&mut self, flow: Flow, names: &[&str]) {
        if self.peers.connected(flow, names) {
            self.out.push_back(Output::Trust(flow));
        }
    }

    /// A connection has ended.
    pub fn handle_closed(&mut self, now: Duration, flow: Flow) {
        self.peers.closed(&flow);
        self.lost(now, flow.remote);
    }

    /// A connection to an address could not be made.
    pub fn handle_failed(&mut self, now: Duration, _: Transport, remote: SocketAddr) {
        self.failed(now, remote);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.ask_servers(now);
        self.judge(now);
    }

    /// What is to be done next; call until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to call [`AccessEdge::handle_timeout`], at the latest.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let links = self.links.iter().map(|link| link.probe_at);
        let partners = self.traffic.iter().filter_map(|traffic| traffic.due(self.config.probe));
        links.chain(partners.filter(|due| *due > self.judged)).min()
    }

    /// The names that a certificate may prove something by: of the next hop, and of the partners.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.peers.names()
    }

    fn request(&mut self, now: Duration, incoming: &Incoming<'_>) {
        // For a refusal of ours: nobody else knows of it.
        if incoming.method() == Method::Ack
            && incoming.routing.to.tag == Some(tag(&self.secret, incoming.message).as_bytes())
        {
            return;
        }
        let Err(reply) = self.decide(now, incoming) else { return };
        self.refuse(incoming.flow, incoming.message, &reply);
    }

    fn decide(&mut self, now: Duration, incoming: &Incoming<'_>) -> Result<(), Reply> {
        let way = route(&self.ends, &self.secret, incoming).ok_or(Reply::new(400, "Malformed Route"))?;
        if !way.uri.is_sip() {
            return Err(Reply::new(416, "Unsupported URI Scheme"));
        }
        if incoming.routing.max_forwards == Some(0) {
            return Err(Reply::new(483, "Too Many Hops"));
        }
        unsupported(incoming, Name::ProxyRequire, &[])?;
        self.check_modality(incoming)?;
        let peer = self.peers.of(&incoming.flow);
        if let Peer::Partners(partners) = &peer {
            self.heard_of(now, partners, incoming);
        }
        match peer {
            Peer::Unknown => Err(self.denied("nobody but the servers of the inside speaks here")),
            peer if self.is_question(incoming, &way) => Err(self.whether_we_are_there(&peer)),
            Peer::Inside => self.outward(now, incoming, &way),
            _ if self.is_too_late(incoming, &way) => Err(self.elsewhere()),
            Peer::Partners(partners) => self.partner_says(now, incoming, &way, &partners),
            Peer::Client { signed_in } => self.client_says(now, incoming, &way, signed_in),
        }
    }

    /// The Edge alone is no use to those outside: they hear whether there is an inside too.
    fn whether_we_are_there(&self, asked_by: &Peer) -> Reply {
        if self.drained {
            return self.elsewhere();
        }
        let serves = |link: &Link| link.whose == Whose::Inside && link.answers();
        match *asked_by == Peer::Inside || self.links.iter().any(serves) {
            true => Reply::new(200, "OK").field("Allow", "OPTIONS"),
            false => self.refusal(503, "Service Unavailable", "no server of the inside answers"),
        }
    }

    /// Whether a request asks for something new of an Edge that is being stopped.
    fn is_too_late(&self, incoming: &Incoming<'_>, way: &Route<'_>) -> bool {
        let begins = way.token.is_none() && !matches!(incoming.method(), Method::Ack | Method::Cancel);
        self.drained && begins
    }

    fn elsewhere(&self) -> Reply {
        let reply = self.refusal(503, "Service Unavailable", "this Edge is being stopped; use another one");
        reply.field("Retry-After", "30")
    }

    /// Whether somebody asks whether we are there: of the Edge, not of a user.
    fn is_question(&self, incoming: &Incoming<'_>, way: &Route<'_>) -> bool {
        incoming.method() == Method::Options
            && way.uri.user.is_none()
            && (self.is_own_domain(&way.uri) || self.ends.are(&way.uri, incoming.flow.local.ip()))
    }

    fn is_own_domain(&self, uri: &carillon_wire::sip::Uri<'_>) -> bool {
        self.config.domains.iter().any(|domain| is_domain(uri, domain))
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
        let class = self.class(&to);
        self.out.push_back(Output::Transmit { to, class, bytes });
    }
}

/// Whether a URI is of a domain.
pub(crate) fn is_domain(uri: &carillon_wire::sip::Uri<'_>, domain: &str) -> bool {
    uri.host.is_some_and(|host| host.to_string().eq_ignore_ascii_case(domain))
}
