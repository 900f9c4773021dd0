//! All clients and their peer, each with a port of its own, on one engine.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use carillon_net::forward::{Forwarder, PortId, Unknown};
use carillon_net::lease::{Leases, Shape};
use carillon_qos::TrafficClass;
use carillon_wire::ip::{Dscp, Ecn};
use carillon_wire::stun::{Class, Message};

use super::caller::Caller;
use super::{Load, engine, range};

/// Requests on their way at a time, and how long an answer is waited for.
const OUTSTANDING: usize = 32;
const PATIENCE: Duration = Duration::from_millis(300);
const TRIES: u32 = 20;
/// An allocation is kept for so many seconds at a time (RFC 8656, 3.2); a permission ends after 300 (section 9).
const LIFETIME: u32 = 600;
/// How often each client renews what it has.
const RENEWAL: Duration = Duration::from_secs(200);

/// Clients with a way to their peer, and the peer of all of them.
pub(super) struct Clients {
    pub(super) engine: Forwarder,
    leases: Leases,
    pub(super) ports: Vec<PortId>,
    pub(super) callers: Vec<Caller>,
    /// The number of a client by its port, and by its relayed address.
    pub(super) by_port: HashMap<PortId, usize>,
    pub(super) by_relayed: HashMap<SocketAddr, usize>,
    pub(super) relayed: Vec<SocketAddr>,
    pub(super) peer: PortId,
    /// Where the peer is.
    pub(super) at: SocketAddr,
    server: SocketAddr,
    /// Requests so far, which numbers them.
    requests: u64,
    /// Who renews next, and when.
    renewal: (usize, Instant),
}

impl Clients {
    /// Opens a port for each; nothing is asked for yet.
    pub(super) fn open(load: &Load) -> io::Result<Clients> {
        let (mut engine, leases) = engine(load.from, range(20_000, 39_999)?, load.trains)?;
        let peer = open(&mut engine, &leases)?;
        let ports: Vec<PortId> =
            (0..load.flows).map(|_| open(&mut engine, &leases)).collect::<Result<_, _>>()?;
        let by_port = ports.iter().enumerate().map(|(number, port)| (*port, number)).collect();
        let at = engine.port(peer).ok_or_else(|| io::Error::other("no peer"))?;
        let caller = || Caller::new(&load.user, &load.password, at, load.indications);
        Ok(Clients {
            engine,
            leases,
            ports,
            callers: (0..load.flows).map(|_| caller()).collect(),
            by_port,
            by_relayed: HashMap::new(),
            relayed: Vec::new(),
            peer,
            at,
            server: load.server,
            requests: 0,
            renewal: (0, Instant::now() + RENEWAL / 2),
        })
    }

    /// Makes all allocations, and the ways to the peer.
    pub(super) fn connect(&mut self) -> io::Result<()> {
        for from in (0..self.callers.len()).step_by(OUTSTANDING) {
            let until = self.callers.len().min(from + OUTSTANDING);
            self.all(from..until, |caller| caller.is_ready, Clients::ask)?;
        }
        self.relayed = self.callers.iter().filter_map(|caller| caller.relayed).collect();
        self.by_relayed =
            self.relayed.iter().enumerate().map(|(number, relayed)| (*relayed, number)).collect();
        Ok(())
    }

    /// Gives all allocations back.
    pub(super) fn disconnect(&mut self) -> io::Result<()> {
        for from in (0..self.callers.len()).step_by(OUTSTANDING) {
            let until = self.callers.len().min(from + OUTSTANDING);
            self.all(
                from..until,
                |caller| caller.relayed.is_none(),
                |clients, number| clients.refresh(number, 0),
            )?;
        }
        Ok(())
    }

    /// Renews what a client has, if it is time.
    pub(super) fn renew(&mut self) {
        let (number, due) = self.renewal;
        if Instant::now() < due {
            return;
        }
        self.refresh(number, LIFETIME);
        let id = self.id();
        if let Some(request) = self.callers[number].permit(id) {
            self.send_up(number, &request);
        }
        let clients = self.callers.len();
        self.renewal = ((number + 1) % clients, due + RENEWAL / clients as u32);
    }

    /// Hears what a client was answered while media passes.
    pub(super) fn hear(&mut self, port: PortId, bytes: &[u8]) {
        let Some(number) = self.by_port.get(&port).copied() else { return };
        let is_refused = Message::parse(bytes).is_ok_and(|answer| answer.class() == Class::Error);
        if self.callers[number].hear(bytes) && is_refused {
            self.refresh(number, LIFETIME);
            let id = self.id();
            if let Some(request) = self.callers[number].permit(id) {
                self.send_up(number, &request);
            }
        }
    }

    /// A new client in the place of another: on a port of its own, and it knows no nonce.
    pub(super) fn replace(&mut self, number: usize) -> io::Result<()> {
        let port = open(&mut self.engine, &self.leases)?;
        let old = std::mem::replace(&mut self.ports[number], port);
        self.engine.close(old);
        self.by_port.remove(&old);
        self.by_port.insert(port, number);
        self.callers[number].begin_again();
        Ok(())
    }

    /// Sends from a client to the relay.
    pub(super) fn send_up(&mut self, number: usize, bytes: &[u8]) {
        self.engine.send_to_peer(self.ports[number], self.server, bytes, Dscp::EF, Ecn::NotCapable);
    }

    /// Sends from the peer to a client's relayed address.
    pub(super) fn send_down(&mut self, number: usize, bytes: &[u8]) {
        self.engine.send_to_peer(self.peer, self.relayed[number], bytes, Dscp::EF, Ecn::NotCapable);
    }

    /// Sends what a client has to say next on its way to the peer.
    pub(super) fn ask(&mut self, number: usize) {
        let id = self.id();
        if let Some(request) = self.callers[number].request(id) {
            self.send_up(number, &request);
        }
    }

    /// Keeps or gives back an allocation.
    pub(super) fn refresh(&mut self, number: usize, seconds: u32) {
        let id = self.id();
        if let Some(request) = self.callers[number].refresh(id, seconds) {
            self.send_up(number, &request);
        }
    }

    fn id(&mut self) -> [u8; 12] {
        self.requests += 1;
        let mut id = [0; 12];
        id[..8].copy_from_slice(&self.requests.to_be_bytes());
        id
    }

    /// Has some say what they have to, again and again, until they all are where they should be.
    fn all(
        &mut self,
        some: Range<usize>,
        is_done: impl Fn(&Caller) -> bool,
        say: impl Fn(&mut Clients, usize),
    ) -> io::Result<()> {
        for _ in 0..TRIES {
            for number in some.clone() {
                if !is_done(&self.callers[number]) {
                    say(self, number);
                }
            }
            let until = Instant::now() + PATIENCE;
            while Instant::now() < until && !self.callers[some.clone()].iter().all(&is_done) {
                self.listen(&is_done, &say)?;
            }
        }
        match self.callers[some].iter().all(is_done) {
            true => Ok(()),
            false => Err(io::Error::other("the relay did not answer as it should")),
        }
    }

    fn listen(
        &mut self,
        is_done: &impl Fn(&Caller) -> bool,
        say: &impl Fn(&mut Clients, usize),
    ) -> io::Result<()> {
        self.engine.poll(Some(Duration::from_millis(10)))?;
        while let Some(unknown) = self.engine.next_unknown() {
            let Unknown::FromPeer { port, bytes, .. } = unknown else { continue };
            let Some(number) = self.by_port.get(&port).copied() else { continue };
            let caller = &mut self.callers[number];
            if !is_done(caller) && caller.hear(&bytes) && !is_done(caller) {
                say(self, number);
            }
        }
        Ok(())
    }
}

fn open(engine: &mut Forwarder, leases: &Leases) -> io::Result<PortId> {
    let (relayed, _) = leases.relay(TrafficClass::Audio, Shape::Any).map_err(io::Error::other)?;
    engine.open(relayed)
}
