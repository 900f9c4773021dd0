//! Connections that carry whatever comes, as it comes: of peers with relayed ports, and those of clients that are joined with them.
//!
//! None is read before its bytes may go somewhere, so that the sender waits and nothing is kept here.

use std::io;
use std::time::Instant;

use carillon_wire::sip::{Flow, Transport};
use socket2::Socket;

use super::channel::Channel;
use super::listener::Listener;
use super::{Transports, socket};

impl Transports {
    /// Takes peers at a socket that listens; each is told by [`Transports::take_arrived`], and not read yet.
    pub(crate) fn take_listener(&mut self, listening: Socket) -> io::Result<u64> {
        self.last += 1;
        let listener = Listener::of_peers(listening)?;
        listener.register(self.poll.registry(), self.last)?;
        self.listeners.insert(self.last, listener);
        Ok(self.last)
    }

    /// Takes no more peers there.
    pub(crate) fn drop_listener(&mut self, listener: u64) {
        self.listeners.remove(&listener);
    }

    /// Peers that have come since this was last asked, with the listener that each came to.
    pub(crate) fn take_arrived(&mut self) -> Vec<(u64, Flow)> {
        self.streams.take_arrived()
    }

    /// Takes a socket whose SYN is on its way; it is not read yet. `Connected` or `Closed` follows.
    pub(crate) fn take_dialling(
        &mut self,
        dialling: Socket,
        remote: std::net::SocketAddr,
    ) -> io::Result<Flow> {
        let local = socket::local(&dialling)?;
        self.last += 1;
        let flow = Flow { transport: Transport::Tcp, id: self.last, local, remote };
        self.streams.open_raw(flow, dialling, Channel::Plain, Instant::now())?;
        Ok(flow)
    }

    /// From now on a connection carries bytes, no messages; false if it is gone, or a part of a message had come.
    pub(crate) fn carry(&mut self, flow: u64) -> bool {
        self.streams.carry(flow)
    }

    /// Whether it is read.
    pub(crate) fn hold(&mut self, flow: u64, is_held: bool) {
        self.streams.hold(flow, is_held);
    }

    /// Bytes that its other end has not taken yet.
    pub(crate) fn waiting(&self, flow: u64) -> usize {
        self.streams.waiting(flow)
    }
}
