//! A hub under test, what it has told, and peers of it.
#![allow(dead_code, reason = "every test uses a part")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_net::authority::Authority;
use carillon_net::tls;
use carillon_net::transports::{Count, Incoming, Limits, Transports};
use carillon_wire::ip::Dscp;
use carillon_wire::sip::{Destination, Flow, Transport};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, StreamOwned};
use socket2::{Domain, Socket, Type};

/// For what has to happen; when it does, nobody waits that long.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A message with a body of that text.
pub(crate) fn message(text: &str) -> Vec<u8> {
    format!("MESSAGE sip:a@b SIP/2.0\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes()
}

/// Transports with everything that they told.
pub(crate) struct Hub {
    pub(crate) transports: Transports,
    pub(crate) seen: Seen,
}

#[derive(Default, Debug)]
pub(crate) struct Seen {
    pub(crate) messages: Vec<(Flow, Vec<u8>)>,
    pub(crate) wrong: Vec<(Flow, u16)>,
    pub(crate) garbage: Vec<&'static str>,
    pub(crate) connected: Vec<(Flow, Option<rustls::pki_types::CertificateDer<'static>>)>,
    pub(crate) closed: Vec<Flow>,
    pub(crate) failed: Vec<(Transport, SocketAddr)>,
    pub(crate) woken: usize,
}

impl Hub {
    pub(crate) fn new(limits: Limits) -> Hub {
        Hub { transports: Transports::new(mark(), limits).unwrap(), seen: Seen::default() }
    }

    /// A hub with a TCP listener on a free port of the address.
    pub(crate) fn tcp(limits: Limits) -> (Hub, SocketAddr) {
        let mut hub = Hub::new(limits);
        let address = hub.transports.listen(Transport::Tcp, at("127.0.0.1:0"), None).unwrap();
        (hub, address)
    }

    pub(crate) fn tls(limits: Limits, authority: &Authority) -> (Hub, SocketAddr) {
        let mut hub = Hub::new(limits);
        let address =
            hub.transports.listen(Transport::Tls, at("127.0.0.1:0"), Some(server(authority))).unwrap();
        (hub, address)
    }

    /// One turn.
    pub(crate) fn turn(&mut self, timeout: Duration) {
        let seen = &mut self.seen;
        let handle = &mut |incoming: Incoming<'_>| match incoming {
            Incoming::Message { flow, bytes } => seen.messages.push((flow, bytes.to_vec())),
            Incoming::Wrong { flow, answer, .. } => seen.wrong.push((flow, answer.code)),
            Incoming::Garbage { counter } => seen.garbage.push(counter),
            Incoming::Connected { flow, certificate } => {
                seen.connected.push((flow, certificate.cloned()));
            }
            Incoming::Closed { flow } => seen.closed.push(flow),
            Incoming::Failed { transport, remote } => seen.failed.push((transport, remote)),
            Incoming::Woken => seen.woken += 1,
        };
        self.transports.poll(Some(timeout), handle).unwrap();
    }

    /// Turns until it is so.
    pub(crate) fn until(&mut self, what: &str, mut so: impl FnMut(&mut Hub) -> bool) {
        let start = Instant::now();
        while !so(self) {
            assert!(start.elapsed() < LONG, "{what}: {:?} {:?}", self.seen, self.transports.counts());
            self.turn(Duration::from_millis(10));
        }
    }

    pub(crate) fn until_messages(&mut self, number: usize) {
        self.until("messages", |hub| hub.seen.messages.len() >= number);
    }

    pub(crate) fn until_connections(&mut self, number: usize) {
        self.until("connections", |hub| hub.transports.counts().connections == number);
    }

    pub(crate) fn count(&self, count: Count) -> u64 {
        self.transports.counts().of(count)
    }

    pub(crate) fn answer(&mut self, flow: Flow, bytes: &[u8]) {
        self.transports.send(Destination::Flow(flow), bytes.to_vec());
        self.transports.flush();
    }

    pub(crate) fn send_to(&mut self, transport: Transport, remote: SocketAddr, bytes: &[u8]) {
        self.transports.send(Destination::Address { transport, remote, local: None }, bytes.to_vec());
        self.transports.flush();
    }

    /// The bodies of the messages, in the order they came.
    pub(crate) fn bodies(&self) -> Vec<String> {
        let body = |bytes: &[u8]| String::from_utf8_lossy(bytes).split_once("\r\n\r\n").unwrap().1.to_owned();
        self.seen.messages.iter().map(|(_, bytes)| body(bytes)).collect()
    }
}

/// With room for large messages of peers that have not proven themselves.
pub(crate) fn generous() -> Limits {
    Limits { unproven_message: Limits::default().message, ..Limits::default() }
}

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn server(authority: &Authority) -> Arc<ServerConfig> {
    let identity = authority.issue(&["sip.example.com"], &[at("127.0.0.1:0").ip()]).unwrap();
    tls::server_config(&identity).unwrap()
}

pub(crate) fn client(authority: &Authority) -> Arc<ClientConfig> {
    tls::client_config(&[authority.certificate().clone()]).unwrap()
}

pub(crate) fn name() -> ServerName<'static> {
    "sip.example.com".try_into().unwrap()
}

/// A connection of a peer; it blocks, but not for ever.
pub(crate) fn connect(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket.set_write_timeout(Some(LONG)).unwrap();
    socket.connect(&address.into()).unwrap();
    socket
}

/// The same with TLS; the handshake happens with the first byte.
pub(crate) fn connect_tls(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> StreamOwned<ClientConnection, Socket> {
    StreamOwned::new(ClientConnection::new(config.clone(), name()).unwrap(), connect(address))
}

/// Open files of this process.
pub(crate) fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The mark of signaling: CS3.
pub(crate) fn mark() -> Dscp {
    Dscp::new(24).unwrap()
}
