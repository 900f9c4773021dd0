//! NATs as simple as RFC 4787 reads, and which two ends may reach each other through them: lists of what was sent, and nothing
//! of ICE but that a way must carry packets there and back between the same two addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_sim::nat::{Behaviour, Dependence};

use super::{EDGE, LIFETIME};

/// How often both ends try whatever they have learned. What they have not found by then leads nowhere: two NATs with a new port
/// for everybody show each other new ports for ever.
const ROUNDS: usize = 6;

/// A packet that went out.
struct Sent {
    at: Duration,
    inner: SocketAddr,
    outer: SocketAddr,
    peer: SocketAddr,
}

/// A NAT that remembers every packet.
pub struct Naive {
    outside: IpAddr,
    behaviour: Behaviour,
    packets: Vec<Sent>,
}

/// What is between two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Between {
    /// Each may have a NAT of its own.
    Nats([Option<Behaviour>; 2]),
    /// One NAT before both, in whose network hosts see each other or not.
    Shared { nat: Behaviour, isolated: bool },
}

impl Naive {
    pub fn new(outside: IpAddr, behaviour: Behaviour) -> Naive {
        Naive { outside, behaviour, packets: Vec::new() }
    }

    /// The outer address that earlier packets demand for this one, if any does.
    pub fn demanded(&self, now: Duration, inner: SocketAddr, peer: SocketAddr) -> Option<SocketAddr> {
        let like = |sent: &&Sent| sent.inner == inner && is_like(self.behaviour.mapping, sent.peer, peer);
        self.recent(now).find(like).map(|sent| sent.outer)
    }

    /// Whether an outer address is somebody's.
    pub fn is_taken(&self, now: Duration, outer: SocketAddr) -> bool {
        self.recent(now).any(|sent| sent.outer == outer)
    }

    pub fn remember(&mut self, at: Duration, inner: SocketAddr, peer: SocketAddr, outer: SocketAddr) {
        self.packets.push(Sent { at, inner, outer, peer });
    }

    /// Who is inside of an outer address, for a packet of this peer.
    pub fn admits(&self, now: Duration, peer: SocketAddr, outer: SocketAddr) -> Option<SocketAddr> {
        let Behaviour { filtering, hairpinning, .. } = self.behaviour;
        if peer.ip() == self.outside && !hairpinning {
            return None;
        }
        let allows = |sent: &&Sent| sent.outer == outer && is_like(filtering, sent.peer, peer);
        self.recent(now).find(allows).map(|sent| sent.inner)
    }

    /// Sends as a NAT does that numbers its ports.
    fn send(&mut self, inner: SocketAddr, peer: SocketAddr) -> SocketAddr {
        let fresh = SocketAddr::new(self.outside, 1 + self.packets.len() as u16);
        let outer = self.demanded(Duration::ZERO, inner, peer).unwrap_or(fresh);
        self.remember(Duration::ZERO, inner, peer, outer);
        outer
    }

    fn recent(&self, now: Duration) -> impl Iterator<Item = &Sent> {
        self.packets.iter().filter(move |sent| now - sent.at < LIFETIME)
    }
}

fn is_like(dependence: Dependence, one: SocketAddr, other: SocketAddr) -> bool {
    match dependence {
        Dependence::Independent => true,
        Dependence::Address => one.ip() == other.ip(),
        Dependence::AddressAndPort => one == other,
    }
}

impl Between {
    /// Whether two ends reach each other without a relay, if each knows the other's own address and, if they were `told`, the one
    /// that a server sees: some address of each must be what the other one sends to and what the other one sees, at once.
    pub fn has_direct_way(self, told: bool) -> bool {
        let mut world = Ends::between(self);
        let mut known = [0, 1].map(|who| BTreeSet::from([world.inner[1 - who]]));
        for who in (0..2).filter(|_| told) {
            known[1 - who].insert(world.leaves(who, format!("{EDGE}:3478").parse().unwrap()));
        }
        let mut heard = [BTreeSet::new(), BTreeSet::new()];
        for _ in 0..ROUNDS {
            for who in 0..2 {
                for to in known[who].clone() {
                    if let Some(from) = world.arrives(who, to) {
                        known[1 - who].insert(from);
                        heard[who].insert((from, to));
                    }
                }
            }
        }
        heard[0].iter().any(|(from, to)| heard[1].contains(&(*to, *from)))
    }
}

/// Two ends and their NATs.
struct Ends {
    inner: [SocketAddr; 2],
    sites: [Option<usize>; 2],
    nats: Vec<Naive>,
    isolated: bool,
}

impl Ends {
    fn between(between: Between) -> Ends {
        let inner = [1, 2].map(|host| SocketAddr::new([192, 168, 0, host].into(), 5000));
        let outside = |number: u8| IpAddr::from([198, 51, 100, number]);
        match between {
            Between::Shared { nat, isolated } => {
                Ends { inner, sites: [Some(0); 2], nats: vec![Naive::new(outside(0), nat)], isolated }
            }
            Between::Nats(nats) => {
                let (mut all, mut sites) = (Vec::new(), [None; 2]);
                for (who, nat) in (0..).zip(nats) {
                    let Some(nat) = nat else { continue };
                    sites[usize::from(who)] = Some(all.len());
                    all.push(Naive::new(outside(who), nat));
                }
                Ends { inner, sites, nats: all, isolated: false }
            }
        }
    }

    /// What a packet looks like where no NAT of the sender is any more.
    fn leaves(&mut self, who: usize, to: SocketAddr) -> SocketAddr {
        match self.sites[who] {
            Some(site) => self.nats[site].send(self.inner[who], to),
            None => self.inner[who],
        }
    }

    /// What it looks like to the other end, if it gets there.
    fn arrives(&mut self, who: usize, to: SocketAddr) -> Option<SocketAddr> {
        let (other, target) = (1 - who, self.inner[1 - who]);
        if to == target && self.sites[who] == self.sites[other] {
            return (!self.isolated).then_some(self.inner[who]);
        }
        let from = self.leaves(who, to);
        let reached = match self.sites[other] {
            Some(site) => self.nats[site].admits(Duration::ZERO, from, to),
            None => Some(to),
        };
        (reached == Some(target)).then_some(from)
    }
}
