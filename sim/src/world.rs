//! The virtual network: hosts, the paths and NATs between them, and the one clock.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_qos::Plan;
use carillon_qos::verify::report::Report;
use carillon_wire::ip::Dscp;

use crate::nat::Nat;
use crate::path::Path;
use crate::random::Random;
use crate::tap::Tap;

/// A UDP datagram with its mark.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Datagram {
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// Mark on the wire.
    pub mark: Dscp,
    /// Payload.
    pub bytes: Vec<u8>,
}

/// Something with an address: a core, with the little around it that `host/` does in the real world.
pub trait Host {
    /// Its own address, behind its NAT if it has one.
    fn address(&self) -> IpAddr;
    /// A datagram has come.
    fn receive(&mut self, now: Duration, datagram: Datagram);
    /// The time that it asked for has come.
    fn timeout(&mut self, now: Duration);
    /// When it wants to be called at the latest.
    fn poll_timeout(&self) -> Option<Duration>;
    /// What it sends.
    fn poll_datagram(&mut self) -> Option<Datagram>;
}

/// When a run begins: some moment in 2026, since nonces and expiries are wall-clock times.
pub const START: Duration = Duration::from_secs(1_790_000_000);

/// Hosts, paths, clock. Everything that happens follows from the seed.
pub struct World<H> {
    now: Duration,
    random: Random,
    hosts: Vec<H>,
    behind: Vec<Option<usize>>,
    nats: Vec<Nat>,
    path: Path,
    under_way: BTreeMap<(Duration, u64), Datagram>,
    sent: u64,
    tap: Tap,
}

impl<H: Host> World<H> {
    /// An empty world whose hosts are all joined by `path`.
    pub fn new(seed: u64, path: Path) -> World<H> {
        World {
            now: START,
            random: Random::new(seed),
            hosts: Vec::new(),
            behind: Vec::new(),
            nats: Vec::new(),
            path,
            under_way: BTreeMap::new(),
            sent: 0,
            tap: Tap::new(),
        }
    }

    /// Adds a NAT; hosts are put behind it by its index.
    pub fn add_nat(&mut self, nat: Nat) -> usize {
        self.nats.push(nat);
        self.nats.len() - 1
    }

    /// Adds a host, behind a NAT or not.
    pub fn add(&mut self, host: H, nat: Option<usize>) -> usize {
        self.hosts.push(host);
        self.behind.push(nat);
        self.hosts.len() - 1
    }

    /// A host.
    pub fn host(&mut self, index: usize) -> &mut H {
        &mut self.hosts[index]
    }

    /// A NAT.
    pub fn nat(&mut self, index: usize) -> &mut Nat {
        &mut self.nats[index]
    }

    /// The time.
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// From now on packets take this path.
    pub const fn set_path(&mut self, path: Path) {
        self.path = path;
    }

    /// Lets time pass, until `done` says so or `limit` is over; says whether it did.
    pub fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut World<H>) -> bool) -> bool {
        let end = self.now + limit;
        self.collect();
        while !done(self) {
            let Some(next) = self.next_event().filter(|next| *next <= end) else {
                self.now = end;
                return false;
            };
            self.now = self.now.max(next);
            self.deliver();
            self.wake();
            self.collect();
        }
        true
    }

    /// The verdict over everything that arrived anywhere.
    pub fn verdict(self, plan: Plan) -> Report {
        self.tap.report(plan)
    }

    fn next_event(&self) -> Option<Duration> {
        let arrival = self.under_way.keys().next().map(|(at, _)| *at);
        self.hosts.iter().filter_map(Host::poll_timeout).chain(arrival).min()
    }

    /// Datagrams whose time has come reach their hosts.
    fn deliver(&mut self) {
        while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let mut datagram = entry.remove();
            if let Some(nat) = self.nats.iter_mut().find(|nat| nat.outside() == datagram.to.ip()) {
                let Some(inner) = nat.inbound(self.now, datagram.from, datagram.to.port()) else { continue };
                datagram.to = inner;
            }
            self.tap.datagram(self.now, datagram.from, datagram.to, datagram.mark, &datagram.bytes);
            if let Some(host) = self.hosts.iter_mut().find(|host| host.address() == datagram.to.ip()) {
                host.receive(self.now, datagram);
            }
        }
    }

    fn wake(&mut self) {
        for host in &mut self.hosts {
            if host.poll_timeout().is_some_and(|at| at <= self.now) {
                host.timeout(self.now);
            }
        }
    }

    /// Takes what the hosts send and puts it on its way.
    fn collect(&mut self) {
        for index in 0..self.hosts.len() {
            while let Some(mut datagram) = self.hosts[index].poll_datagram() {
                if let Some(nat) = self.behind[index] {
                    datagram.from = self.nats[nat].outbound(self.now, datagram.from, datagram.to);
                }
                for delay in self.path.copies(&mut self.random) {
                    self.sent += 1;
                    self.under_way.insert((self.now + delay, self.sent), datagram.clone());
                }
            }
        }
    }
}
