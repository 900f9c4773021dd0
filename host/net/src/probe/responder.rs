//! Ports of this host that answer questions as long as they are tested, and remember with which mark each came.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use carillon_qos::probe::{Datagram as Message, Key, Transport};
use carillon_wire::ip::{self, Dscp};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use crate::mark;
use crate::syscall::{check, set_option};
use crate::udp::{Batch, Datagram, UdpPort};

/// Marks that questions arrived with, by port; `None` where that cannot be told.
type Arrivals = BTreeMap<u16, Option<Dscp>>;

/// Ports that answer until [`Responder::finish`].
#[derive(Debug)]
pub struct Responder {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Arrivals>,
    taken: Vec<u16>,
}

/// How often it is looked whether to stop.
const PAUSE: Duration = Duration::from_millis(20);
/// Answers per port: a question is asked three times at most.
const MOST_ANSWERS: u32 = 8;
/// Connections at a time; more are closed at once.
const MOST_CONNECTIONS: usize = 256;

impl Responder {
    /// Opens the ports, marked. Those that other programs hold are left out, and named by `taken`.
    pub fn open(
        address: IpAddr,
        transport: Transport,
        ports: &[u16],
        mark: Dscp,
        key: Key,
    ) -> io::Result<Responder> {
        let (mut open, mut taken) = (Vec::new(), Vec::new());
        for port in ports {
            match Door::open(SocketAddr::new(address, *port), transport, mark) {
                Ok(door) => open.push(door),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => taken.push(*port),
                Err(error) => return Err(error),
            }
        }
        let poll = Poll::new()?;
        for door in &open {
            poll.registry().register(&mut SourceFd(&door.fd()), Token(0), Interest::READABLE)?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let answering = Answering {
            doors: open,
            visitors: Vec::new(),
            poll,
            key,
            arrivals: Arrivals::new(),
            given: BTreeMap::new(),
        };
        let thread = thread::spawn({
            let stop = stop.clone();
            move || answering.run(&stop)
        });
        Ok(Responder { stop, thread, taken })
    }

    /// Ports that other programs hold.
    pub fn taken(&self) -> &[u16] {
        &self.taken
    }

    /// Closes all ports.
    pub fn finish(self) -> Arrivals {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// A port under test.
enum Door {
    Udp(UdpPort),
    Tcp(Socket, u16),
}

/// A connection to such a port.
struct Visitor {
    socket: Socket,
    port: u16,
    mark: Option<Dscp>,
    heard: Vec<u8>,
}

struct Answering {
    doors: Vec<Door>,
    visitors: Vec<Visitor>,
    poll: Poll,
    key: Key,
    arrivals: Arrivals,
    /// Answers given so far, by port.
    given: BTreeMap<u16, u32>,
}

impl Answering {
    fn run(mut self, stop: &AtomicBool) -> Arrivals {
        let (mut events, mut batch) = (Events::with_capacity(64), Batch::new(Message::LEN + 1));
        while !stop.load(Ordering::Relaxed) {
            if let Err(error) = self.poll.poll(&mut events, Some(PAUSE))
                && error.kind() != io::ErrorKind::Interrupted
            {
                break;
            }
            let doors = std::mem::take(&mut self.doors);
            doors.iter().for_each(|door| self.look(door, &mut batch));
            self.doors = doors;
            let mut visitors = std::mem::take(&mut self.visitors);
            visitors.retain_mut(|visitor| self.serve(visitor));
            self.visitors = visitors;
        }
        self.arrivals
    }

    fn look(&mut self, door: &Door, batch: &mut Batch) {
        match door {
            Door::Udp(port) => {
                while port.receive(batch).is_ok_and(|count| count > 0) {
                    for received in batch.iter() {
                        let answer = self.answer(received.bytes, port.local().port(), Some(received.mark));
                        let Some(bytes) = answer else { continue };
                        let (to, from) = (received.remote, Some(received.local.ip()));
                        port.send(&[Datagram { to, from, bytes: &bytes, mark: None }], |_, _| {});
                    }
                }
            }
            Door::Tcp(socket, port) => {
                while let Ok((socket, _)) = socket.accept() {
                    if self.visitors.len() < MOST_CONNECTIONS && socket.set_nonblocking(true).is_ok() {
                        let _ = self.poll.registry().register(
                            &mut SourceFd(&socket.as_raw_fd()),
                            Token(1),
                            Interest::READABLE,
                        );
                        let mark = mark_of_syn(&socket);
                        self.visitors.push(Visitor { socket, port: *port, mark, heard: Vec::new() });
                    }
                }
            }
        }
    }

    /// Whether it is still wanted.
    fn serve(&mut self, visitor: &mut Visitor) -> bool {
        let mut bytes = [0; Message::LEN];
        match visitor.socket.read(&mut bytes) {
            Ok(0) => false,
            Ok(len) => {
                visitor.heard.extend_from_slice(bytes.get(..len).unwrap_or_default());
                let Some(question) = visitor.heard.get(..Message::LEN) else { return true };
                let answer = self.answer(question, visitor.port, visitor.mark);
                visitor.heard.clear();
                answer.is_some_and(|answer| visitor.socket.write_all(&answer).is_ok())
            }
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }

    /// The answer to a question of ours, of which only so many get one; nothing for all else.
    fn answer(&mut self, bytes: &[u8], port: u16, mark: Option<Dscp>) -> Option<[u8; Message::LEN]> {
        let Message::Question { port: asked, attempt } = Message::read(bytes, &self.key)? else {
            return None;
        };
        let given = self.given.entry(port).or_default();
        if asked != port || *given >= MOST_ANSWERS {
            return None;
        }
        *given += 1;
        self.arrivals.entry(port).or_insert(mark);
        Some(Message::Answer { port, attempt, arrived: mark }.bytes(&self.key))
    }
}

impl Door {
    fn open(address: SocketAddr, transport: Transport, mark: Dscp) -> io::Result<Door> {
        match transport {
            Transport::Udp => UdpPort::open(address, mark).map(Door::Udp),
            Transport::Tcp => listen(address, mark).map(|socket| Door::Tcp(socket, address.port())),
        }
    }

    fn fd(&self) -> RawFd {
        match self {
            Door::Udp(port) => port.as_raw_fd(),
            Door::Tcp(socket, _) => socket.as_raw_fd(),
        }
    }
}

fn listen(address: SocketAddr, mark: Dscp) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
    mark::apply(&socket, mark)?;
    set_option::<libc::c_int>(&socket, libc::IPPROTO_TCP, libc::TCP_SAVE_SYN, 1)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(64)?;
    Ok(socket)
}

/// TCP tells no marks of what it receives, but keeps the packet that opened the connection.
fn mark_of_syn(socket: &Socket) -> Option<Dscp> {
    let mut bytes = [0u8; 256];
    let mut len = bytes.len() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `bytes`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_SAVED_SYN,
            bytes.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    check(result).ok()?;
    ip::decode(bytes.get(..len as usize)?).map(|(header, _)| header.dscp())
}
