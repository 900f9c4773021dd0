//! The other ends of relayed packets: a socket of ours inside, a `carillon probe listen` inside, or, where nobody is inside,
//! another address of the same relay.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use carillon_net::lease::{Lease, Leases};
use carillon_net::probe::Conversation;
use carillon_net::route::source_toward;
use carillon_net::udp::{Batch, Datagram};
use carillon_qos::check::{Knock, Lent};
use carillon_qos::plan::{RolePolicy, Scope};
use carillon_qos::probe::{Datagram as Message, Key, MOST_PORTS, Reply, Request, Token, Transport};
use carillon_qos::{Plan, Role, TrafficClass};
use carillon_wire::ip::Dscp;

use super::line::{Came, Line};
use crate::answer::Failure;
use crate::verb::probe;

/// What is relayed where nobody says a class: the plan's ports of its receiver are of this one.
const CLASS: TrafficClass = TrafficClass::Audio;
/// The longest packet that is read.
const LONGEST: usize = 2048;
/// What the answer begins with, before the question.
const ANSWER: &[u8] = b"answer ";

/// Where ends come from.
pub(super) enum Ends {
    /// Sockets of ours: this host is inside.
    Ours {
        /// Ports and marks of a client here.
        client: Box<RolePolicy>,
        /// What the Edge marks with.
        edge: Box<RolePolicy>,
    },
    /// Somebody who listens inside.
    Listener(Box<Listener>),
    /// Nobody is inside.
    Relay,
}

/// A `carillon probe listen`, with ports of which each is given to one door.
pub(super) struct Listener {
    line: Mutex<Conversation>,
    key: Key,
    address: IpAddr,
    free: Mutex<Vec<u16>>,
    edge: RolePolicy,
}

/// One end.
pub(super) enum End {
    Ours { lease: Box<Lease>, batch: Box<Batch>, address: SocketAddr, question: [u8; 16], about: About },
    Listener { address: SocketAddr, key: Box<Key>, about: About },
    Relay { line: Box<Line>, address: SocketAddr, question: [u8; 16] },
}

/// What the relay must take the packet for.
#[derive(Clone, Copy)]
pub(super) struct About {
    class: TrafficClass,
    planned: Dscp,
}

impl Ends {
    /// Sockets of this host, by the plan.
    pub(super) fn ours(plan: &Plan) -> Ends {
        let policy = |role| Box::new(plan.policy(role, &Scope::default()));
        Ends::Ours { client: policy(Role::Client), edge: policy(Role::Edge) }
    }

    /// Has somebody listen on so many ports.
    pub(super) fn listener(
        host: SocketAddr,
        token: &Token,
        plan: &Plan,
        doors: usize,
        wait: Duration,
    ) -> Result<Ends, Failure> {
        let policy = plan.policy(Role::Edge, &Scope::default());
        let failed = |why: String| Failure::new(format!("cannot use the listener at {host}"), why);
        let (mut line, key) =
            probe::converse(host, token, policy.mark(TrafficClass::Management), wait).map_err(failed)?;
        let Reply::Offer(offers) = probe::request(&mut line, &Request::Offer).map_err(failed)? else {
            return Err(failed("it offers nothing".to_owned()));
        };
        let ports = offers.iter().find(|offer| offer.class == CLASS).map(|offer| offer.ports);
        let ports = ports.ok_or_else(|| failed(format!("its plan has no ports for {CLASS}")))?;
        let wanted: Vec<u16> = (ports.start()..=ports.end()).take(doors.min(MOST_PORTS)).collect();
        let open = Request::Open(Transport::Udp, CLASS, wanted.clone());
        let Reply::Opened(taken) = probe::request(&mut line, &open).map_err(failed)? else {
            return Err(failed("it opens no ports".to_owned()));
        };
        let free = wanted.into_iter().filter(|port| !taken.contains(port)).collect();
        let (line, free) = (Mutex::new(line), Mutex::new(free));
        Ok(Ends::Listener(Box::new(Listener { line, key, address: host.ip(), free, edge: policy })))
    }

    /// The family of the addresses that a relay with this door must lend.
    pub(super) fn is_v4(&self, door: SocketAddr) -> bool {
        match self {
            Ends::Listener(listener) => listener.address.is_ipv4(),
            Ends::Ours { .. } | Ends::Relay => door.is_ipv4(),
        }
    }

    /// An end for what leaves by a relay of that class. `again` makes another line to the same door.
    pub(super) fn open(
        &self,
        class: Option<TrafficClass>,
        toward: SocketAddr,
        until: Instant,
        again: impl FnOnce() -> std::io::Result<Line>,
    ) -> Result<End, String> {
        let class = class.unwrap_or(CLASS);
        match self {
            Ends::Ours { client, edge } => {
                let own = source_toward(toward).map_err(|error| error.to_string())?;
                let leases = Leases::new(&**client, own, u64::from_be_bytes(random()?));
                let lease = leases.lease(CLASS, true).map_err(|error| error.to_string())?;
                let (address, about) = (lease.rtp().local(), About { class, planned: edge.mark(class) });
                let (lease, batch) = (Box::new(lease), Box::new(Batch::new(LONGEST)));
                Ok(End::Ours { lease, batch, address, question: random()?, about })
            }
            Ends::Listener(listener) => {
                let port = lock(&listener.free).pop().ok_or("the listener has no port left")?;
                let about = About { class, planned: listener.edge.mark(class) };
                let address = SocketAddr::new(listener.address, port);
                Ok(End::Listener { address, key: Box::new(listener.key.clone()), about })
            }
            Ends::Relay => {
                let mut line = again().map_err(|error| error.to_string())?;
                match line.allocate(until, false) {
                    (Knock::Answered, Some(Lent::Address(address))) => {
                        Ok(End::Relay { line: Box::new(line), address, question: random()? })
                    }
                    _ => Err("a second address was not lent".to_owned()),
                }
            }
        }
    }

    /// The marks that arrived at the listener's ports, whether or not an answer came back.
    pub(super) fn finish(self) -> BTreeMap<u16, Option<Dscp>> {
        let Ends::Listener(listener) = self else { return BTreeMap::new() };
        let mut line = lock(&listener.line);
        match probe::request(&mut line, &Request::Close) {
            Ok(Reply::Arrived(arrivals)) => arrivals,
            _ => BTreeMap::new(),
        }
    }
}

impl End {
    /// Where the relay must send.
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            End::Ours { address, .. } | End::Listener { address, .. } | End::Relay { address, .. } => {
                *address
            }
        }
    }

    /// The class of the packet, if it goes inside.
    pub(super) fn class(&self) -> Option<TrafficClass> {
        self.about().map(|about| about.class)
    }

    /// The mark that it must arrive with there.
    pub(super) fn planned(&self) -> Option<Dscp> {
        self.about().map(|about| about.planned)
    }

    /// The packet.
    pub(super) fn question(&self) -> Vec<u8> {
        match self {
            End::Ours { question, .. } | End::Relay { question, .. } => question.to_vec(),
            End::Listener { address, key, .. } => {
                Message::Question { port: address.port(), attempt: 0 }.bytes(key).to_vec()
            }
        }
    }

    /// Lets packets of this address come.
    pub(super) fn expect(&mut self, from: SocketAddr) {
        if let End::Relay { line, .. } = self {
            line.permit(from);
        }
    }

    /// Answers what has come from this address: the mark of the question, if it came.
    pub(super) fn turn(&mut self, from: SocketAddr) -> Option<Option<Dscp>> {
        match self {
            End::Listener { .. } => None,
            End::Relay { line, question, .. } => {
                let came: Vec<Came> = line.turn().unwrap_or_default();
                let asked = came.iter().any(|(peer, data)| *peer == from && data == question);
                asked.then(|| line.send(from, &answer(question))).map(|()| None)
            }
            End::Ours { lease, batch, question, .. } => {
                let mut mark = None;
                while lease.rtp().receive(batch).is_ok_and(|count| count > 0) {
                    let asked = batch.iter().filter(|came| came.remote == from && came.bytes == question);
                    mark = mark.or(asked.map(|came| came.mark).next());
                }
                let bytes = answer(question);
                let back = Datagram { to: from, from: None, bytes: &bytes, mark: None };
                mark.map(|mark| {
                    lease.rtp().send(&[back], |_, _| {});
                    Some(mark)
                })
            }
        }
    }

    /// Whether this is the answer, and with which mark the question arrived, where the answer says so.
    pub(super) fn read(&self, data: &[u8]) -> Option<Option<Dscp>> {
        match self {
            End::Ours { question, .. } | End::Relay { question, .. } => {
                (data == answer(question)).then_some(None)
            }
            End::Listener { address, key, .. } => match Message::read(data, key)? {
                Message::Answer { port, arrived, .. } if port == address.port() => Some(arrived),
                _ => None,
            },
        }
    }

    /// Gives back what it has lent.
    pub(super) fn close(self) {
        if let End::Relay { line, .. } = self {
            line.close();
        }
    }

    fn about(&self) -> Option<&About> {
        match self {
            End::Ours { about, .. } | End::Listener { about, .. } => Some(about),
            End::Relay { .. } => None,
        }
    }
}

fn answer(question: &[u8]) -> Vec<u8> {
    [ANSWER, question].concat()
}

fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| format!("cannot draw random numbers: {error}"))?;
    Ok(bytes)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
