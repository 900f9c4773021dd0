//! What lies between a socket and its messages: nothing, or TLS.
//!
//! rustls does no I/O: received bytes go in, plain bytes come out, and the other way round.

use std::io::{self, Read};

use rustls::Connection as Tls;
use rustls::pki_types::CertificateDer;
use socket2::Socket;

use super::outbox::Outbox;

/// Plain bytes that rustls turns into records at once.
const RECORDS: usize = 64 << 10;

/// Plain, or inside TLS.
pub(super) enum Channel {
    /// TCP as it is.
    Plain,
    /// TLS; a box, because it is large.
    Tls(Box<Tls>),
}

/// What was received is over, or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Input {
    /// More may come.
    Open,
    /// The other end has said that it sends no more.
    Closed,
}

impl Channel {
    /// TLS on a new connection.
    pub(super) fn tls(tls: impl Into<Tls>) -> Channel {
        let mut tls = tls.into();
        tls.set_buffer_limit(Some(RECORDS));
        Channel::Tls(Box::new(tls))
    }

    /// Whether messages can't be sent yet.
    pub(super) fn is_handshaking(&self) -> bool {
        match self {
            Channel::Plain => false,
            Channel::Tls(tls) => tls.is_handshaking(),
        }
    }

    /// What the other end has shown to prove itself; it has been found to hold.
    pub(super) fn certificate(&self) -> Option<&CertificateDer<'static>> {
        match self {
            Channel::Plain => None,
            Channel::Tls(tls) => tls.peer_certificates()?.first(),
        }
    }

    /// Whether TLS has something to send by itself: its handshake, an alert.
    pub(super) fn wants_write(&self) -> bool {
        match self {
            Channel::Plain => false,
            Channel::Tls(tls) => tls.wants_write(),
        }
    }

    /// Turns what was received into plain bytes: those returned, which may be the received ones themselves.
    pub(super) fn open<'a>(
        &mut self,
        received: &'a [u8],
        plain: &'a mut Vec<u8>,
    ) -> (&'a [u8], Result<Input, rustls::Error>) {
        match self {
            Channel::Plain => (received, Ok(Input::Open)),
            Channel::Tls(tls) => {
                plain.clear();
                let input = decrypt(tls, received, plain);
                (plain, input)
            }
        }
    }

    /// Sends what waits, until the socket takes no more (`WouldBlock`) or nothing is left that may go now.
    pub(super) fn send(&mut self, mut socket: &Socket, outbox: &mut Outbox) -> io::Result<()> {
        let Channel::Tls(tls) = self else { return outbox.write_to(&mut socket) };
        loop {
            while tls.wants_write() {
                tls.write_tls(&mut socket)?;
            }
            if tls.is_handshaking() || outbox.is_empty() {
                return Ok(());
            }
            match outbox.write_to(&mut tls.writer()) {
                // As many records as are let in; they leave first.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => sent?,
            }
        }
    }

    /// Says that we send no more.
    pub(super) fn close(&mut self) {
        if let Channel::Tls(tls) = self {
            tls.send_close_notify();
        }
    }
}

fn decrypt(tls: &mut Tls, mut received: &[u8], plain: &mut Vec<u8>) -> Result<Input, rustls::Error> {
    while !received.is_empty() {
        // From a slice only a message too large for TLS is an error.
        let taken = tls.read_tls(&mut received).map_err(|error| rustls::Error::General(error.to_string()))?;
        let state = tls.process_new_packets()?;
        // Ends with `WouldBlock` when nothing is left; what was read before stays.
        let _ = tls.reader().read_to_end(plain);
        if state.peer_has_closed() {
            return Ok(Input::Closed);
        }
        if taken == 0 {
            return Err(rustls::Error::General("a message too large for TLS".to_owned()));
        }
    }
    shrink(tls);
    Ok(Input::Open)
}

/// Frees the room that a large record took: rustls does so before it reads, so it is offered nothing to read.
fn shrink(tls: &mut Tls) {
    struct Nothing;
    impl Read for Nothing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }
    let _ = tls.read_tls(&mut Nothing);
}
