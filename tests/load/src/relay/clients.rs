//! All clients and their peer, each with a port of its own, on one engine.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use carillon_net::forward::{Forwarder, PortId, Unknown};
use carillon_net::lease::{Leases, Shape};
use carillon_qos::TrafficClass;
use carillon_wire::ip::{Dscp, Ecn};

use super::caller::Caller;
use super::{Load, engine, range};

/// Requests on their way at a time, and how long an answer is waited for.
const OUTSTANDING: usize = 32;
const PATIENCE: Duration = Duration::from_millis(300);
const TRIES: u32 = 20;

/// Clients with their channels, and the peer of all of them.
pub(super) struct Clients {
    pub(super) engine: Forwarder,
    pub(super) ports: Vec<PortId>,
    /// The number of a client by its port, and by its relayed address.
    pub(super) by_port: HashMap<PortId, usize>,
    pub(super) by_relayed: HashMap<SocketAddr, usize>,
    pub(super) relayed: Vec<SocketAddr>,
    pub(super) peer: PortId,
    server: SocketAddr,
}

impl Clients {
    /// Makes all allocations and binds all channels.
    pub(super) fn allocate(load: &Load) -> io::Result<Clients> {
        let (mut engine, leases) = engine(load.from, range(20_000, 39_999)?, load.trains)?;
        let peer = open(&mut engine, &leases)?;
        let ports: Vec<PortId> =
            (0..load.flows).map(|_| open(&mut engine, &leases)).collect::<Result<_, _>>()?;
        let by_port = ports.iter().enumerate().map(|(number, port)| (*port, number)).collect();
        let (by_relayed, relayed) = (HashMap::new(), Vec::new());
        let mut clients = Clients { engine, ports, by_port, by_relayed, relayed, peer, server: load.server };
        let at = clients.engine.port(peer).ok_or_else(|| io::Error::other("no peer"))?;
        let caller = || Caller::new(&load.user, &load.password, at);
        let mut callers: Vec<Caller> = (0..load.flows).map(|_| caller()).collect();
        for from in (0..load.flows).step_by(OUTSTANDING) {
            clients.connect(from, &mut callers[from..load.flows.min(from + OUTSTANDING)])?;
        }
        clients.relayed = callers.iter().filter_map(|caller| caller.relayed).collect();
        clients.by_relayed =
            clients.relayed.iter().enumerate().map(|(number, relayed)| (*relayed, number)).collect();
        Ok(clients)
    }

    /// Sends from a client to the relay.
    pub(super) fn send_up(&mut self, number: usize, bytes: &[u8]) {
        self.engine.send_to_peer(self.ports[number], self.server, bytes, Dscp::EF, Ecn::NotCapable);
    }

    /// Sends from the peer to a client's relayed address.
    pub(super) fn send_down(&mut self, number: usize, bytes: &[u8]) {
        self.engine.send_to_peer(self.peer, self.relayed[number], bytes, Dscp::EF, Ecn::NotCapable);
    }

    /// Talks with the relay until these have their channels.
    fn connect(&mut self, first: usize, callers: &mut [Caller]) -> io::Result<()> {
        for attempt in 0..TRIES {
            for (at, caller) in callers.iter().enumerate().filter(|(_, caller)| !caller.is_ready) {
                self.ask(first + at, caller, attempt);
            }
            let until = Instant::now() + PATIENCE;
            while Instant::now() < until && callers.iter().any(|caller| !caller.is_ready) {
                self.listen(first, callers, attempt)?;
            }
        }
        match callers.iter().all(|caller| caller.is_ready) {
            true => Ok(()),
            false => Err(io::Error::other("the relay gave no channels")),
        }
    }

    fn ask(&mut self, number: usize, caller: &Caller, attempt: u32) {
        let mut id = [caller.relayed.is_some() as u8; 12];
        id[..4].copy_from_slice(&(number as u32).to_be_bytes());
        id[4..8].copy_from_slice(&attempt.to_be_bytes());
        if let Some(request) = caller.request(id) {
            self.send_up(number, &request);
        }
    }

    fn listen(&mut self, first: usize, callers: &mut [Caller], attempt: u32) -> io::Result<()> {
        self.engine.poll(Some(Duration::from_millis(10)))?;
        while let Some(unknown) = self.engine.next_unknown() {
            let Unknown::FromPeer { port, bytes, .. } = unknown else { continue };
            let number = self.by_port.get(&port).copied();
            let Some((number, caller)) =
                number.and_then(|number| Some((number, callers.get_mut(number.checked_sub(first)?)?)))
            else {
                continue;
            };
            let goes_on = !caller.is_ready && caller.hear(&bytes);
            if goes_on && !caller.is_ready {
                self.ask(number, caller, attempt);
            }
        }
        Ok(())
    }
}

fn open(engine: &mut Forwarder, leases: &Leases) -> io::Result<PortId> {
    let (relayed, _) = leases.relay(TrafficClass::Audio, Shape::Any).map_err(io::Error::other)?;
    engine.open(relayed)
}
