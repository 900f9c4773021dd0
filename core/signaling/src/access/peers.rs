//! Who is at the other end of a connection: the inside, a partner, a client.
//!
//! A certificate proves it; where it says nothing, the listener that was connected to tells what is left.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use carillon_wire::sip::{Flow, Transport};

use super::config::{Config, Partner, Side};

/// Who is at the other end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Peer {
    /// A server of ours.
    Inside,
    /// An Edge of these partners: one may serve several domains.
    Partners(Vec<usize>),
    /// Anybody from outside.
    Client {
        /// Somebody has signed in by it.
        signed_in: bool,
    },
    /// Somebody on a listener of the inside who has not proven to be of it, or a server that we connected to for a
    /// partner that is none any more.
    Unknown,
}

/// All connections that are up, as far as something was said on them.
#[derive(Debug)]
pub(super) struct Peers {
    /// By the number of the connection.
    known: BTreeMap<u64, Known>,
    listeners: Vec<(Side, Transport, SocketAddr)>,
    next_hop: String,
    /// Where connections lead that we make to the inside.
    servers: Vec<SocketAddr>,
    /// Where a plain connection is believed to be of the inside.
    plain: Vec<IpAddr>,
    partners: Vec<String>,
}

#[derive(Debug)]
struct Known {
    flow: Flow,
    peer: Peer,
}

impl Peers {
    pub(super) fn new(config: &Config) -> Peers {
        let listeners = config.listeners.iter();
        let hop = &config.next_hop;
        let is_plain = hop.transport == Transport::Tcp;
        let mut peers = Peers {
            known: BTreeMap::new(),
            listeners: listeners.map(|one| (one.side, one.transport, one.address)).collect(),
            next_hop: hop.name.clone(),
            servers: hop.addresses.clone(),
            plain: hop.addresses.iter().filter(|_| is_plain).map(|address| address.ip()).collect(),
            partners: Vec::new(),
        };
        peers.set_partners(&config.partners);
        peers
    }

    /// Connections of partners are known anew: those of a domain that is left are of nobody. Those that may be of a domain that has
    /// come are returned: what their certificates say of it nobody has asked.
    pub(super) fn set_partners(&mut self, partners: &[Partner]) -> Vec<Flow> {
        let before = std::mem::take(&mut self.partners);
        self.partners = partners.iter().map(|partner| partner.domain.clone()).collect();
        for known in self.known.values_mut() {
            let Peer::Partners(numbers) = &known.peer else { continue };
            let names = numbers.iter().filter_map(|number| before.get(*number));
            let now = names.filter_map(|name| self.partners.iter().position(|domain| domain == name));
            let now: Vec<usize> = now.collect();
            known.peer = if now.is_empty() { Peer::Unknown } else { Peer::Partners(now) };
        }
        if self.partners.iter().all(|domain| before.contains(domain)) {
            return Vec::new();
        }
        let may_be = |known: &&Known| matches!(known.peer, Peer::Partners(_) | Peer::Unknown);
        self.known.values().filter(may_be).map(|known| known.flow).collect()
    }

    /// The names that mean something in a certificate.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.next_hop).chain(&self.partners).map(String::as_str)
    }

    /// A connection is up, and a certificate holds for these names. Whether it is proven by that who is there.
    pub(super) fn connected(&mut self, flow: Flow, names: &[&str]) -> bool {
        let says = |name: &String| names.iter().any(|said| said.eq_ignore_ascii_case(name));
        let partners = self.partners.iter().enumerate().filter(|(_, name)| says(name));
        let partners: Vec<usize> = partners.map(|(at, _)| at).collect();
        let from_inside = match self.side(&flow) {
            Some(side) => side == Side::Inside,
            // An authority of a partner may certify any name: that of the inside means nothing at a partner's address.
            None => self.servers.contains(&flow.remote),
        };
        let inside = from_inside && says(&self.next_hop);
        let peer = match self.side(&flow) {
            _ if inside => Peer::Inside,
            Some(Side::Inside) => return false,
            _ if !partners.is_empty() => Peer::Partners(partners),
            _ => return false,
        };
        self.known.insert(flow.id, Known { flow, peer });
        true
    }

    /// Something came over a connection.
    pub(super) fn saw(&mut self, flow: Flow) {
        let peer = || self.unproven(&flow);
        if self.known.get(&flow.id).is_none_or(|known| known.flow != flow) {
            let peer = peer();
            self.known.insert(flow.id, Known { flow, peer });
        }
    }

    pub(super) fn closed(&mut self, flow: &Flow) {
        self.known.remove(&flow.id);
    }

    /// Who is there.
    pub(super) fn of(&self, flow: &Flow) -> Peer {
        self.known.get(&flow.id).map_or_else(|| self.unproven(flow), |known| known.peer.clone())
    }

    /// Somebody has signed in; `false` if that was known.
    pub(super) fn signed_in(&mut self, flow: &Flow) -> bool {
        match self.known.get_mut(&flow.id).map(|known| &mut known.peer) {
            Some(Peer::Client { signed_in }) => !std::mem::replace(signed_in, true),
            _ => false,
        }
    }

    /// Whether the other end of a flow can still be reached by it. Numbers begin anew after a restart, so all of it counts.
    pub(super) fn is_up(&self, flow: &Flow) -> bool {
        self.known.get(&flow.id).is_some_and(|known| known.flow == *flow)
    }

    /// Whether neither a partner nor a client who has signed in is connected.
    pub(super) fn is_idle(&self) -> bool {
        let calls =
            |known: &Known| matches!(known.peer, Peer::Client { signed_in: true } | Peer::Partners(_));
        !self.known.values().any(calls)
    }

    /// Connections, and those of them by which somebody has signed in.
    pub(super) fn counts(&self) -> (usize, usize) {
        let signed = |known: &&Known| known.peer == Peer::Client { signed_in: true };
        (self.known.len(), self.known.values().filter(signed).count())
    }

    /// Of which side the listener is that a connection came to; `None` for one that we made.
    pub(super) fn side(&self, flow: &Flow) -> Option<Side> {
        let of = |(_, transport, address): &&(Side, Transport, SocketAddr)| {
            let ip = address.ip().is_unspecified() || address.ip() == flow.local.ip();
            *transport == flow.transport && address.port() == flow.local.port() && ip
        };
        self.listeners.iter().find(of).map(|(side, ..)| *side)
    }

    fn unproven(&self, flow: &Flow) -> Peer {
        let is_plain = flow.transport == Transport::Tcp && self.plain.contains(&flow.remote.ip());
        match self.side(flow) {
            Some(Side::Outside) => Peer::Client { signed_in: false },
            _ if is_plain => Peer::Inside,
            _ => Peer::Unknown,
        }
    }
}
