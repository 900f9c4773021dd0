//! Where we may be reached: our ports, what relays lend us, and what they see of the NATs in between (RFC 8445, 5.1.1).
//!
//! A relay has several doors. The next one is tried only if the one before it has not answered soon: in most networks a
//! call costs one allocation per port.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::candidate::{Candidate, Kind, Relaying};
use super::turn::{Client, Frames, State};
use super::{Base, Config, Server};
use crate::leg::Component;
use crate::random::Random;

/// How long each door is waited for before the next one is tried too.
const NEXT_AFTER: Duration = Duration::from_millis(250);
/// How long a call waits for what may still come if it has a relay, and if it has none.
const ENOUGH: Duration = Duration::from_secs(1);
const AT_MOST: Duration = Duration::from_secs(3);
/// The most relays that are asked, and the most doors of each that are tried.
const MOST_RELAYS: usize = 4;
const MOST_DOORS: usize = 4;
/// The most ports: two at each of four addresses.
const MOST_PORTS: usize = 8;

/// One door of one relay, for one port of ours.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) component: Component,
    pub(super) relaying: Relaying,
    pub(super) server: SocketAddr,
    pub(super) client: Client,
    pub(super) frames: Frames,
    /// Which of the relays, and which of its doors.
    number: usize,
    door: u32,
    begun: bool,
    released: bool,
}

/// Everything that is asked, and what has come of it.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) ports: Vec<(Component, SocketAddr)>,
    pub(super) relays: Vec<Relay>,
    began: Duration,
    /// When this was looked at last.
    seen: Duration,
    pub(super) over: bool,
}

impl Gathering {
    pub(super) fn new(config: &Config, now: Duration) -> Gathering {
        let servers = || config.relays.iter().take(MOST_RELAYS).enumerate();
        let ports: Vec<_> = config.ports.iter().copied().take(MOST_PORTS).collect();
        let first = |component| ports.iter().find(move |(of, _)| *of == component);
        let asking = [Component::Rtp, Component::Rtcp].into_iter().filter_map(first);
        let relays = asking.flat_map(|(component, port)| {
            servers().flat_map(move |(number, server)| doors(*component, port, number, server))
        });
        Gathering { relays: relays.collect(), ports, began: now, seen: now, over: false }
    }

    /// The doors whose time has come, by their numbers.
    pub(super) fn begin(&mut self, now: Duration) -> Vec<usize> {
        self.seen = now;
        let is_due = |at: &usize| {
            self.relays.get(*at).is_some_and(|relay| !relay.begun && self.starts(relay) <= Some(now))
                && !self.over
        };
        let due: Vec<usize> =
            (0..self.relays.len()).filter(is_due).filter(|at| !self.is_spared(*at)).collect();
        for at in &due {
            if let Some(relay) = self.relays.get_mut(*at) {
                relay.begun = true;
            }
        }
        due
    }

    /// Whether everything has come that is worth waiting for.
    pub(super) fn is_enough(&self, now: Duration) -> bool {
        let is_settled = |at: usize| match self.relays.get(at) {
            Some(relay) if relay.begun => relay.client.state() != State::Asking,
            _ => self.is_spared(at),
        };
        let has_relay = |component| {
            let mut of = self.relays.iter().filter(|relay| relay.component == component);
            of.any(|relay| relay.allocated().is_some())
        };
        let since = now.saturating_sub(self.began);
        since >= AT_MOST
            || (0..self.relays.len()).all(is_settled)
            || since >= ENOUGH && self.ports.iter().all(|(component, _)| has_relay(*component))
    }

    /// When something is due.
    pub(super) fn timeout(&self) -> Option<Duration> {
        if self.over {
            return None;
        }
        let waiting = (0..self.relays.len()).filter(|at| !self.is_spared(*at));
        let waiting = waiting.filter_map(|at| self.relays.get(at)).filter(|relay| !relay.begun);
        let limits =
            [ENOUGH, AT_MOST].map(|limit| self.began + limit).into_iter().filter(|at| *at > self.seen);
        waiting.filter_map(|relay| self.starts(relay)).chain(limits).min()
    }

    /// All candidates, without those that say nothing new (RFC 8445, 5.1.3).
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let mut all: Vec<Candidate> = self.bases().into_iter().map(|(_, candidate)| candidate).collect();
        for relay in &self.relays {
            let Some((_, mapped)) = relay.allocated().filter(|_| relay.relaying == Relaying::Udp) else {
                continue;
            };
            let port = self.port(relay.component);
            if !all.iter().any(|known| known.component == relay.component && known.address == mapped) {
                all.push(Candidate::own(relay.component, Kind::ServerReflexive, mapped, port, None, 0));
            }
        }
        all.sort_by_key(|candidate| std::cmp::Reverse(candidate.priority));
        all
    }

    /// Candidates that something can be sent from. What is reflexive is sent from the port behind it.
    pub(super) fn bases(&self) -> Vec<(Base, Candidate)> {
        let hosts = self.ports.iter().map(|(component, address)| {
            let base = Base::Port(*component, address.ip());
            (base, Candidate::own(*component, Kind::Host, *address, None, None, self.rank(base)))
        });
        let relayed = self.relays.iter().enumerate().filter_map(|(at, relay)| {
            let (relayed, mapped) = relay.allocated()?;
            let (component, how) = (relay.component, Some(relay.relaying));
            let candidate = Candidate::own(component, Kind::Relayed, relayed, Some(mapped), how, 0);
            Some((Base::Relay(at), candidate))
        });
        hosts.chain(relayed).collect()
    }

    /// The place of its address among all that this component has; relays are spoken to from the first.
    pub(super) fn rank(&self, base: Base) -> u16 {
        let Base::Port(component, ip) = base else { return 0 };
        let of = self.ports.iter().filter(|(of, _)| *of == component);
        of.take_while(|(_, address)| address.ip() != ip).map(|_| 1).sum()
    }

    /// Where something came to; the first of the component's ports if that is not known.
    pub(super) fn base(&self, component: Component, ip: Option<IpAddr>) -> Option<Base> {
        let mut of = self.ports.iter().filter(|(of, _)| *of == component).map(|(_, address)| address.ip());
        let first = of.next()?;
        let known = ip.filter(|ip| of.any(|other| other == *ip));
        Some(Base::Port(component, known.unwrap_or(first)))
    }

    /// As we know it.
    pub(super) fn address(&self, base: Base) -> Option<SocketAddr> {
        let Base::Port(component, ip) = base else { return None };
        let is_it = |(of, address): &&(Component, SocketAddr)| *of == component && address.ip() == ip;
        self.ports.iter().find(is_it).map(|(_, address)| *address)
    }

    fn port(&self, component: Component) -> Option<SocketAddr> {
        self.ports.iter().find(|(of, _)| *of == component).map(|(_, address)| *address)
    }

    /// When a door is tried: at its time, or as soon as all better ones are known to be shut.
    fn starts(&self, relay: &Relay) -> Option<Duration> {
        let mut better = self.better(relay).peekable();
        let none = better.peek().is_none();
        if none || better.all(|better| better.client.state() == State::Over) {
            return Some(self.began);
        }
        Some(self.began + NEXT_AFTER * relay.door)
    }

    /// Whether a better door of the same relay has opened.
    fn is_spared(&self, at: usize) -> bool {
        let Some(relay) = self.relays.get(at) else { return true };
        !relay.begun && self.better(relay).any(|better| better.allocated().is_some())
    }

    fn better<'a>(&'a self, relay: &'a Relay) -> impl Iterator<Item = &'a Relay> {
        self.relays.iter().filter(|other| {
            other.number == relay.number && other.component == relay.component && other.door < relay.door
        })
    }
}

impl Relay {
    /// The address that it lends, and ours as it sees it.
    pub(super) fn allocated(&self) -> Option<(SocketAddr, SocketAddr)> {
        match self.client.state() {
            State::Allocated { relayed, mapped } => Some((relayed, mapped)),
            _ => None,
        }
    }

    /// It gets back what it lent.
    pub(super) fn release(&mut self, now: Duration, random: &mut Random) {
        self.released = true;
        self.client.release(now, random);
    }

    pub(super) fn is_released(&self) -> bool {
        self.released
    }

    /// Whether it was asked.
    pub(super) fn is_begun(&self) -> bool {
        self.begun
    }
}

fn doors(
    component: Component,
    port: &SocketAddr,
    number: usize,
    server: &Server,
) -> impl Iterator<Item = Relay> {
    let v4 = port.is_ipv4();
    let ours = server.doors.iter().filter(move |(_, address)| address.is_ipv4() == v4);
    (0..).zip(ours.take(MOST_DOORS)).map(move |(door, (relaying, address))| Relay {
        component,
        relaying: *relaying,
        server: *address,
        client: Client::new(server.credential.clone(), relaying.is_stream(), v4),
        frames: Frames::default(),
        number,
        door,
        begun: false,
        released: false,
    })
}
