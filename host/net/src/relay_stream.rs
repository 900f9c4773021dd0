//! A connection to a relay, marked before its SYN leaves: media where a network lets no datagrams through.
//!
//! Never blocks and knows no frames. It leaves from the number of a leased port, so that it is inside the range of its class too.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use carillon_wire::ip::Dscp;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::{Domain, Socket, Type};

use crate::mark;

/// The most that waits to leave: what comes when the network takes nothing is late anyway.
const MOST_WAITING: usize = 64 << 10;
/// Read at a time.
const CHUNK: usize = 16 << 10;

/// A connection that is made, or being made.
#[derive(Debug)]
pub struct RelayStream {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
    connected: bool,
    waiting: Vec<u8>,
    refused: u64,
}

impl RelayStream {
    /// Begins to connect from an address and port. With `tls`, the certificate must be for that name.
    pub fn connect(
        local: SocketAddr,
        remote: SocketAddr,
        mark: Dscp,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    ) -> io::Result<RelayStream> {
        let socket = Socket::new(Domain::for_address(remote), Type::STREAM.nonblocking(), None)?;
        mark::apply(&socket, mark)?;
        socket.set_tcp_nodelay(true)?;
        // The port may rest from the connection of an earlier call.
        socket.set_reuse_address(true)?;
        socket.bind(&local.into())?;
        match socket.connect(&remote.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let tls = tls.map(|(config, name)| ClientConnection::new(config, name)).transpose();
        let tls = tls.map_err(io::Error::other)?.map(Box::new);
        Ok(RelayStream { socket, tls, connected: false, waiting: Vec::new(), refused: 0 })
    }

    /// Sends as soon as there is a connection. All of it or, where too much waits already, nothing of it: frames stay whole.
    pub fn send(&mut self, bytes: &[u8]) {
        if self.waiting.len() + bytes.len() > MOST_WAITING {
            self.refused += 1;
        } else {
            self.waiting.extend_from_slice(bytes);
        }
    }

    /// What was not taken because too much waited.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Lets leave what waits, and appends what has come. `false`: the other end has closed it. An error: it is over.
    pub fn turn(&mut self, received: &mut Vec<u8>) -> io::Result<bool> {
        if !self.connected && !self.check_connected()? {
            return Ok(true);
        }
        let open = match &mut self.tls {
            None => read_all(&self.socket, received)?,
            Some(tls) => read_tls(tls, &self.socket, received)?,
        };
        self.flush()?;
        Ok(open)
    }

    /// Lets leave what waits. What comes stays in the socket until [`RelayStream::turn`], which also tells of errors.
    pub fn flush(&mut self) -> io::Result<()> {
        if !self.connected && !self.check_connected()? {
            return Ok(());
        }
        let Some(tls) = &mut self.tls else { return write_all(&self.socket, &mut self.waiting) };
        if !tls.is_handshaking() {
            let taken = tls.writer().write(&self.waiting)?;
            self.waiting.drain(..taken);
        }
        write_tls(tls, &self.socket)
    }

    fn check_connected(&mut self) -> io::Result<bool> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        match self.socket.peer_addr() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
            Ok(_) => {
                self.connected = true;
                Ok(true)
            }
        }
    }
}

/// `true` if it is not over with this.
fn not_now<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(done) => Ok(Some(done)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn write_all(mut socket: &Socket, waiting: &mut Vec<u8>) -> io::Result<()> {
    while !waiting.is_empty() {
        let Some(taken) = not_now(socket.write(waiting))? else { return Ok(()) };
        waiting.drain(..taken);
    }
    Ok(())
}

fn read_all(mut socket: &Socket, received: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; CHUNK];
    loop {
        match not_now(socket.read(&mut chunk))? {
            None => return Ok(true),
            Some(0) => return Ok(false),
            Some(count) => received.extend_from_slice(chunk.get(..count).unwrap_or_default()),
        }
        // Others have their turn too: the rest comes with the next one.
        if received.len() >= MOST_WAITING {
            return Ok(true);
        }
    }
}

fn read_tls(tls: &mut ClientConnection, mut socket: &Socket, received: &mut Vec<u8>) -> io::Result<bool> {
    let mut open = true;
    while tls.wants_read() && received.len() < MOST_WAITING {
        match not_now(tls.read_tls(&mut socket))? {
            None => break,
            Some(0) => {
                open = false;
                break;
            }
            Some(_) => {}
        }
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        let mut plain = vec![0; state.plaintext_bytes_to_read()];
        tls.reader().read_exact(&mut plain)?;
        received.extend_from_slice(&plain);
        open &= !state.peer_has_closed();
    }
    Ok(open)
}

fn write_tls(tls: &mut ClientConnection, mut socket: &Socket) -> io::Result<()> {
    while tls.wants_write() {
        if not_now(tls.write_tls(&mut socket))?.is_none() {
            return Ok(());
        }
    }
    Ok(())
}
