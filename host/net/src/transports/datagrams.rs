//! SIP over UDP: what comes is handed on, what leaves is collected and sent with few calls.
//!
//! Pings are swallowed and binding requests of STUN answered (RFC 5626, 3.5 and 8); nothing else is looked into.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

use carillon_wire::ip::Dscp;
use carillon_wire::sip::{Flow, Transport};
use carillon_wire::stun;
use mio::{Interest, Registry, Token};

use super::Incoming;
use super::counts::Count;
use super::streams::{Notice, Streams};
use crate::bind_error::{BindError, bind_error};
use crate::udp::{Batch, Datagram, UdpPort};

/// Calls to the kernel, of up to 64 datagrams each, before others have their turn.
const TURN: usize = 8;
/// Datagrams that wait for the end of the turn; with one more they leave at once.
const WAITING: usize = 1024;

/// All UDP sockets of SIP.
pub(super) struct Datagrams {
    ports: BTreeMap<u64, Port>,
    batch: Batch,
}

struct Port {
    socket: UdpPort,
    waiting: Vec<Waiting>,
}

struct Waiting {
    to: SocketAddr,
    from: Option<IpAddr>,
    bytes: Vec<u8>,
}

impl Datagrams {
    pub(super) fn new() -> Datagrams {
        Datagrams { ports: BTreeMap::new(), batch: Batch::new(Batch::LONGEST) }
    }

    /// Binds a socket under this number; returns the address with the real port.
    pub(super) fn bind(
        &mut self,
        id: u64,
        address: SocketAddr,
        mark: Dscp,
        registry: &Registry,
    ) -> Result<SocketAddr, BindError> {
        let mut socket = UdpPort::bind(address, mark)?;
        let registered = registry.register(&mut socket, Token(id as usize), Interest::READABLE);
        registered.map_err(|error| bind_error(address, Transport::Udp, error))?;
        let local = socket.local();
        self.ports.insert(id, Port { socket, waiting: Vec::new() });
        Ok(local)
    }

    /// Closes the socket that is bound there; false if there is none.
    pub(super) fn unbind(&mut self, address: SocketAddr) -> bool {
        let before = self.ports.len();
        self.ports.retain(|_, port| port.socket.local() != address);
        self.ports.len() < before
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.ports.contains_key(&id)
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = (u64, &UdpPort)> {
        self.ports.iter().map(|(id, port)| (*id, &port.socket))
    }

    /// Receives, for one turn.
    pub(super) fn receive(&mut self, id: u64, streams: &mut Streams, handle: &mut impl FnMut(Incoming<'_>)) {
        let Some(port) = self.ports.get_mut(&id) else { return };
        for _ in 0..TURN {
            match port.socket.receive(&mut self.batch) {
                Ok(0) => return,
                Ok(_) => {}
                // Of the socket itself; the next event shows whether it has passed.
                Err(_) => return,
            }
            for received in self.batch.iter() {
                match answer(received.bytes, received.remote) {
                    Kind::Message => {
                        let (local, remote) = (received.local, received.remote);
                        let flow = Flow { transport: Transport::Udp, id, local, remote };
                        handle(Incoming::Message { flow, bytes: received.bytes });
                    }
                    Kind::Stun(bytes) => {
                        streams.count(Count::Stun);
                        port.waiting.push(Waiting {
                            to: received.remote,
                            from: Some(received.local.ip()),
                            bytes,
                        });
                    }
                    Kind::Nothing => {}
                }
            }
        }
        streams.wake(id);
    }

    /// Collects a datagram for the socket of that number; false if there is none.
    pub(super) fn send(&mut self, flow: Flow, bytes: Vec<u8>, streams: &mut Streams) -> bool {
        let from = Some(flow.local.ip()).filter(|ip| !ip.is_unspecified());
        self.push(flow.id, Waiting { to: flow.remote, from, bytes }, streams)
    }

    /// Collects a datagram for the socket that is bound to `local`, or else one that reaches `to`.
    pub(super) fn send_to(
        &mut self,
        to: SocketAddr,
        local: Option<SocketAddr>,
        bytes: Vec<u8>,
        streams: &mut Streams,
    ) -> bool {
        let mut ports = self.ports.iter();
        let found =
            ports.find(|(_, port)| serves(port.socket.local(), local) && reaches(port.socket.local(), to));
        let Some((id, _)) = found else { return false };
        let from = local.map(|local| local.ip()).filter(|ip| !ip.is_unspecified());
        self.push(*id, Waiting { to, from, bytes }, streams)
    }

    /// Sends what was collected.
    pub(super) fn flush(&mut self, streams: &mut Streams) {
        self.ports.values_mut().for_each(|port| port.flush(streams));
    }

    fn push(&mut self, id: u64, waiting: Waiting, streams: &mut Streams) -> bool {
        let Some(port) = self.ports.get_mut(&id) else { return false };
        port.waiting.push(waiting);
        if port.waiting.len() > WAITING {
            port.flush(streams);
        }
        true
    }
}

impl Port {
    fn flush(&mut self, streams: &mut Streams) {
        if self.waiting.is_empty() {
            return;
        }
        // Bound to one address, it sends from no other.
        let any = self.socket.local().ip().is_unspecified();
        let waiting = std::mem::take(&mut self.waiting);
        let datagrams: Vec<_> = waiting.iter().map(|waiting| waiting.datagram(any)).collect();
        self.socket.send(&datagrams, |refused, error| {
            streams.count(Count::DatagramUnsent);
            // A full buffer is like loss on the way: whoever wants an answer sends again. And a message that fits into
            // no datagram says nothing about the phone: others may be on their way to it.
            let says_nothing =
                error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::EMSGSIZE);
            if !says_nothing {
                streams.notice(Notice::Failed(Transport::Udp, refused.to));
            }
        });
    }
}

impl Waiting {
    /// `any`: of several addresses, the one to send from has to be said.
    fn datagram(&self, any: bool) -> Datagram<'_> {
        Datagram { to: self.to, from: self.from.filter(|_| any), bytes: &self.bytes, mark: None }
    }
}

/// What to do with a datagram.
enum Kind {
    Message,
    Stun(Vec<u8>),
    Nothing,
}

fn answer(bytes: &[u8], remote: SocketAddr) -> Kind {
    if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
        return Kind::Nothing;
    }
    let Ok(message) = stun::Message::parse(bytes) else { return Kind::Message };
    if (message.class(), message.method()) != (stun::Class::Request, stun::Method::Binding) {
        return Kind::Nothing;
    }
    let answer = stun::Builder::new(stun::Class::Success, stun::Method::Binding, *message.transaction_id());
    let answer = answer.xor_address(stun::kind::XOR_MAPPED_ADDRESS, remote);
    answer.finish().map_or(Kind::Nothing, Kind::Stun)
}

/// Whether a socket that is bound to `bound` is the one at `local`.
fn serves(bound: SocketAddr, local: Option<SocketAddr>) -> bool {
    local.is_none_or(|local| {
        let here = bound.ip().is_unspecified() && (bound.is_ipv6() || local.is_ipv4());
        bound.port() == local.port() && (bound.ip() == local.ip() || here)
    })
}

/// Whether datagrams of a socket that is bound to `bound` can get there.
fn reaches(bound: SocketAddr, to: SocketAddr) -> bool {
    let same = bound.is_ipv4() == to.ip().to_canonical().is_ipv4();
    match bound.ip() {
        IpAddr::V6(ip) if ip.is_unspecified() => true,
        ip if ip.is_unspecified() => same,
        ip => same && ip.is_loopback() == to.ip().to_canonical().is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_socket_sends_only_where_it_reaches() {
        for (bound, to, expected) in [
            ("[::]:5060", "192.0.2.1:5060", true),
            ("[::]:5060", "[2001:db8::1]:5060", true),
            ("0.0.0.0:5060", "[::ffff:192.0.2.1]:5060", true),
            ("0.0.0.0:5060", "[2001:db8::1]:5060", false),
            ("127.0.0.1:5060", "192.0.2.1:5060", false),
            ("127.0.0.1:5060", "127.0.0.2:5060", true),
            ("192.0.2.2:5060", "127.0.0.2:5060", false),
            ("[::1]:5060", "127.0.0.1:5060", false),
        ] {
            assert_eq!(reaches(at(bound), at(to)), expected, "{bound} {to}");
        }
    }

    #[test]
    fn a_socket_is_the_one_at_its_address_and_at_those_that_it_includes() {
        for (bound, local, expected) in [
            ("192.0.2.1:5060", "192.0.2.1:5060", true),
            ("192.0.2.1:5060", "192.0.2.1:5062", false),
            ("192.0.2.1:5060", "192.0.2.2:5060", false),
            ("0.0.0.0:5060", "192.0.2.2:5060", true),
            ("0.0.0.0:5060", "[::1]:5060", false),
            ("[::]:5060", "192.0.2.2:5060", true),
            ("[::]:5060", "192.0.2.2:5062", false),
        ] {
            assert_eq!(serves(at(bound), Some(at(local))), expected, "{bound} {local}");
        }
        assert!(serves(at("192.0.2.1:5060"), None));
    }

    #[test]
    fn pings_are_swallowed_and_binding_requests_answered() {
        assert!(matches!(answer(b"\r\n\r\n", at("192.0.2.1:5060")), Kind::Nothing));
        assert!(matches!(answer(b"", at("192.0.2.1:5060")), Kind::Nothing));
        assert!(matches!(answer(b"\r\nOPTIONS", at("192.0.2.1:5060")), Kind::Message));
        let request = |class| stun::Builder::new(class, stun::Method::Binding, [7; 12]).finish().unwrap();
        let kind = answer(&request(stun::Class::Request), at("192.0.2.1:5060"));
        let Kind::Stun(bytes) = kind else { panic!("no answer") };
        // RFC 8489, 14.2: port 5060 and the address, each with the cookie over it.
        let expected = [
            &[0x01, 0x01, 0, 12, 0x21, 0x12, 0xa4, 0x42][..],
            &[7; 12],
            &[0, 0x20, 0, 8, 0, 1, 0x13 ^ 0x21, 0xc4 ^ 0x12, 192 ^ 0x21, 0x12, 2 ^ 0xa4, 1 ^ 0x42],
        ];
        assert_eq!(bytes, expected.concat());
        assert!(matches!(answer(&request(stun::Class::Indication), at("192.0.2.1:5060")), Kind::Nothing));
    }
}
