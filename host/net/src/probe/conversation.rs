//! Lines over one TCP connection, each side waiting only so long.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use carillon_wire::ip::Dscp;
use carillon_wire::sip::Transport;
use socket2::{Domain, Socket, Type};

use crate::bind_error::{BindError, bind_error};
use crate::mark;

/// A connection on which lines are exchanged.
#[derive(Debug)]
pub struct Conversation {
    socket: Socket,
    local: SocketAddr,
    peer: SocketAddr,
    heard: Vec<u8>,
}

/// Where conversations begin.
#[derive(Debug)]
pub struct Door {
    socket: Socket,
    local: SocketAddr,
}

/// No line is longer.
const LONGEST: usize = 16 * 1024;
/// How long a line may take to leave.
const PATIENCE: Duration = Duration::from_secs(10);

impl Conversation {
    /// Connects within that time.
    pub fn connect(to: SocketAddr, mark: Dscp, wait: Duration) -> io::Result<Conversation> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        mark::apply(&socket, mark)?;
        socket.connect_timeout(&to.into(), wait)?;
        Conversation::over(socket)
    }

    fn over(socket: Socket) -> io::Result<Conversation> {
        let address = |address: socket2::SockAddr| address.as_socket().ok_or(io::ErrorKind::AddrNotAvailable);
        let (local, peer) = (address(socket.local_addr()?)?, address(socket.peer_addr()?)?);
        socket.set_nonblocking(false)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Conversation { socket, local, peer, heard: Vec::new() })
    }

    /// Our end.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Says a line.
    pub fn tell(&mut self, line: &impl Display) -> io::Result<()> {
        self.socket.write_all(format!("{line}\n").as_bytes())
    }

    /// The next line without its end; or what has come without one, if the other side ends or the time is over.
    /// Nothing at all is an error: `UnexpectedEof` or `TimedOut`.
    pub fn hear(&mut self, wait: Duration) -> io::Result<Vec<u8>> {
        let until = Instant::now() + wait;
        loop {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let rest = self.heard.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.heard, rest);
                line.truncate(end);
                return Ok(line);
            }
            let error = match self.read(until) {
                Ok(0) => io::ErrorKind::UnexpectedEof,
                Ok(_) if self.heard.len() < LONGEST => continue,
                Ok(_) => return Ok(std::mem::take(&mut self.heard)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error.kind(),
            };
            return if self.heard.is_empty() {
                Err(error.into())
            } else {
                Ok(std::mem::take(&mut self.heard))
            };
        }
    }

    fn read(&mut self, until: Instant) -> io::Result<usize> {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(left))?;
        let mut bytes = [0; 4096];
        let len = self.socket.read(&mut bytes)?;
        self.heard.extend_from_slice(bytes.get(..len).unwrap_or_default());
        Ok(len)
    }
}

impl Door {
    /// Listens; everything that leaves is marked.
    pub fn open(address: SocketAddr, mark: Dscp) -> Result<Door, BindError> {
        Door::try_open(address, mark).map_err(|error| bind_error(address, Transport::Tcp, error))
    }

    fn try_open(address: SocketAddr, mark: Dscp) -> io::Result<Door> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        mark::apply(&socket, mark)?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&address.into())?;
        socket.listen(8)?;
        let local = socket.local_addr()?.as_socket().unwrap_or(address);
        Ok(Door { socket, local })
    }

    /// Where it listens.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Who comes next; `None` if nobody does within that time.
    pub fn accept(&self, wait: Duration) -> io::Result<Option<Conversation>> {
        self.socket.set_read_timeout(Some(wait))?;
        match self.socket.accept() {
            Ok((socket, _)) => Conversation::over(socket).map(Some),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(None)
            }
            // Who was at the door has left again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Ok(None),
            Err(error) => Err(error),
        }
    }
}
