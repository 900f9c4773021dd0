//! Questions to ports of another host, all at once, each from a port of this one that the plan gives to the class.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use carillon_qos::PortRange;
use carillon_qos::probe::{Datagram as Message, Key, Outcome, Service, Transport};
use carillon_wire::ip::Dscp;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use super::errors;
use crate::mark;
use crate::udp::{Batch, Datagram, UdpPort};

/// Who asks whom, and how.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Our address.
    pub own: IpAddr,
    /// Our ports to ask from: marks are often set by them.
    pub from: PortRange,
    /// The mark of questions.
    pub mark: Dscp,
    /// The other host.
    pub to: IpAddr,
    /// How long an answer is waited for.
    pub wait: Duration,
    /// What signs questions and answers.
    pub key: Key,
}

/// Attempts over UDP, in the first three quarters of the wait.
const ATTEMPTS: u8 = 3;
/// How often it is looked for answers at least.
const PAUSE: Duration = Duration::from_millis(20);
/// What makes a service of lines say something.
const NUDGE: &[u8] = b"\r\n\r\n";

impl Asker {
    /// Asks and waits; every port has an outcome.
    pub fn ask(&self, transport: Transport, ports: &[u16]) -> io::Result<BTreeMap<u16, Outcome>> {
        let mut used = BTreeSet::new();
        let mut asked: Vec<Asked> = ports.iter().map(|port| self.open(transport, *port, &mut used)).collect();
        let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(64));
        for fd in asked.iter().filter_map(Asked::fd) {
            poll.registry().register(
                &mut SourceFd(&fd),
                Token(0),
                Interest::READABLE | Interest::WRITABLE,
            )?;
        }
        let (start, mut batch) = (Instant::now(), Batch::new(2048));
        loop {
            let since = start.elapsed();
            asked.iter_mut().for_each(|one| one.step(self, since, &mut batch));
            if since >= self.wait || asked.iter().all(|one| one.outcome.is_some()) {
                break;
            }
            match poll.poll(&mut events, Some(PAUSE)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
        Ok(asked.into_iter().map(|one| (one.port, one.give_up())).collect())
    }

    /// A socket on the next port of ours that is free.
    fn open(&self, transport: Transport, port: u16, used: &mut BTreeSet<u16>) -> Asked {
        for own in self.from.start()..=self.from.end() {
            if !used.insert(own) {
                continue;
            }
            let local = SocketAddr::new(self.own, own);
            let opened = match transport {
                Transport::Udp => self.open_udp(local).map(Line::Udp),
                Transport::Tcp => self.connect(local, SocketAddr::new(self.to, port)),
            };
            if let Ok(line) = opened {
                return Asked { port, line, outcome: None, attempts: 0, heard: Vec::new(), nudged: false };
            }
        }
        let outcome = Some(Outcome::Untested);
        Asked { port, line: Line::None, outcome, attempts: 0, heard: Vec::new(), nudged: false }
    }

    fn open_udp(&self, local: SocketAddr) -> io::Result<UdpPort> {
        let port = UdpPort::open(local, self.mark)?;
        errors::keep(&port, local.is_ipv6())?;
        Ok(port)
    }

    fn connect(&self, local: SocketAddr, to: SocketAddr) -> io::Result<Line> {
        let socket = Socket::new(Domain::for_address(local), Type::STREAM.nonblocking(), None)?;
        mark::apply(&socket, self.mark)?;
        socket.set_reuse_address(true)?;
        // So that the same ports can be tested again at once.
        socket.set_linger(Some(Duration::ZERO))?;
        errors::keep(&socket, local.is_ipv6())?;
        socket.bind(&local.into())?;
        match socket.connect(&to.into()) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(Line::Connecting(socket)),
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => Err(error),
            Err(error) => Ok(Line::Failed(failed(&error))),
            Ok(()) => Ok(Line::Connecting(socket)),
        }
    }

    fn question(&self, port: u16, attempt: u8) -> [u8; Message::LEN] {
        Message::Question { port, attempt }.bytes(&self.key)
    }
}

/// A port that was asked.
struct Asked {
    port: u16,
    line: Line,
    outcome: Option<Outcome>,
    attempts: u8,
    heard: Vec<u8>,
    nudged: bool,
}

/// What it is asked through.
enum Line {
    Udp(UdpPort),
    Connecting(Socket),
    Talking(Socket),
    Failed(Outcome),
    None,
}

impl Asked {
    fn fd(&self) -> Option<RawFd> {
        match &self.line {
            Line::Udp(port) => Some(port.as_raw_fd()),
            Line::Connecting(socket) | Line::Talking(socket) => Some(socket.as_raw_fd()),
            Line::Failed(_) | Line::None => None,
        }
    }

    fn step(&mut self, asker: &Asker, since: Duration, batch: &mut Batch) {
        if self.outcome.is_some() {
            return;
        }
        match std::mem::replace(&mut self.line, Line::None) {
            Line::Udp(port) => {
                self.step_udp(&port, asker, since, batch);
                self.line = Line::Udp(port);
            }
            Line::Connecting(socket) => self.line = self.finish_connect(socket, asker),
            Line::Talking(socket) => {
                self.listen(&socket, asker, since);
                self.line = Line::Talking(socket);
            }
            Line::Failed(outcome) => self.outcome = Some(outcome),
            Line::None => {}
        }
    }

    fn step_udp(&mut self, socket: &UdpPort, asker: &Asker, since: Duration, batch: &mut Batch) {
        let to = SocketAddr::new(asker.to, self.port);
        if self.attempts < ATTEMPTS && since >= asker.wait / 4 * u32::from(self.attempts) {
            let bytes = asker.question(self.port, self.attempts);
            self.attempts += 1;
            let mut refused = None;
            socket.send(&[Datagram { to, from: None, bytes: &bytes, mark: None }], |_, error| {
                refused = Some(error)
            });
            // An error of ICMP about an earlier attempt comes in the way too; that one is told with its sender below.
            if refused.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
                self.outcome = Some(Outcome::Filtered { by: Some(asker.own) });
            }
        }
        while let Some((reason, by)) = errors::next(socket) {
            self.outcome = self.outcome.or(Outcome::of_error(reason, by));
        }
        while socket.receive(batch).is_ok_and(|count| count > 0) {
            for received in batch.iter().filter(|received| received.remote == to) {
                match Message::read(received.bytes, &asker.key) {
                    Some(Message::Answer { port, arrived, .. }) if port == self.port => {
                        self.outcome = Some(Outcome::Open { arrived, returned: Some(received.mark) });
                    }
                    _ => self.outcome = self.outcome.or(Some(Outcome::Foreign(Service::of(received.bytes)))),
                }
            }
        }
    }

    fn finish_connect(&mut self, mut socket: Socket, asker: &Asker) -> Line {
        match socket.take_error() {
            Ok(None) if socket.peer_addr().is_err() => Line::Connecting(socket),
            Ok(None) => match socket.write_all(&asker.question(self.port, 0)) {
                Ok(()) => Line::Talking(socket),
                Err(error) => Line::Failed(failed(&error)),
            },
            Ok(Some(error)) | Err(error) => Line::Failed(failed(&error)),
        }
    }

    fn listen(&mut self, mut socket: &Socket, asker: &Asker, since: Duration) {
        let mut bytes = [0; 1024];
        match socket.read(&mut bytes) {
            Ok(0) => self.outcome = Some(Outcome::Foreign(self.service())),
            Ok(len) => {
                self.heard.extend_from_slice(bytes.get(..len).unwrap_or_default());
                self.outcome = match Message::read(&self.heard, &asker.key) {
                    Some(Message::Answer { port, arrived, .. }) if port == self.port => {
                        Some(Outcome::Open { arrived, returned: None })
                    }
                    _ if self.heard.len() < Message::LEN => None,
                    _ => Some(Outcome::Foreign(Service::of(&self.heard))),
                };
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                if !self.nudged && since >= asker.wait / 2 {
                    self.nudged = true;
                    let _ = socket.write_all(NUDGE);
                }
            }
            Err(_) => self.outcome = Some(Outcome::Foreign(self.service())),
        }
    }

    /// What ended a conversation that was none of ours.
    fn service(&self) -> Service {
        if self.heard.is_empty() { Service::Other } else { Service::of(&self.heard) }
    }

    fn give_up(self) -> Outcome {
        let silence = match self.line {
            Line::Talking(_) => Outcome::Foreign(Service::of(&self.heard)),
            _ => Outcome::Filtered { by: None },
        };
        self.outcome.unwrap_or(silence)
    }
}

/// Why there is no connection. The host itself is there, for the two have spoken: whoever says that it cannot be
/// reached is a filter.
fn failed(error: &io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Outcome::Refused,
        _ => Outcome::Filtered { by: None },
    }
}
