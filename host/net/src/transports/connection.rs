//! One connection: its socket, what has come of a message, what waits to leave, and how long it may last.
//!
//! Knows nothing of other connections; `streams` holds them all.

use std::io::{self, Read};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use carillon_wire::sip::Flow;
use rustls::pki_types::CertificateDer;
use socket2::Socket;

use super::channel::{Channel, Input};
use super::counts::Count;
use super::cutter::Cutter;
use super::framer::{Framed, Reading};
use super::outbox::{Full, Outbox};
use super::{Limits, Protocol};

/// Bytes received from one connection before others have their turn.
const TURN: usize = 128 << 10;
/// How long we wait for a peer to end a connection that we have ended, so that it can read our last words.
const LINGER: Duration = Duration::from_secs(2);
/// How long a peer of a relayed port may take to answer a SYN: a little longer than who asked for it waits (RFC 6062, 5.2).
const DIAL: Duration = Duration::from_secs(31);

/// A connection.
pub(super) struct Connection {
    /// Its flow; our end of one that is being made is known as soon as its SYN has left.
    pub(super) flow: Flow,
    /// Its moment in the timers.
    pub(super) armed: Option<Instant>,
    /// What it counts against until it is trusted; `None` for connections that we made, and from then on.
    pub(super) unproven: Option<IpAddr>,
    /// Whoever is behind it is known: we made it, or the caller has vouched for it.
    pub(super) is_trusted: bool,
    /// Its flow was shown to the caller, or asked for by it: its end matters.
    pub(super) known: bool,
    pub(super) origin: Origin,
    /// It keeps its mark when the others get another one.
    pub(super) own_mark: bool,
    /// It is not read for now: what comes waits at the other end.
    pub(super) is_held: bool,
    socket: Socket,
    channel: Channel,
    cutter: Cutter,
    outbox: Outbox,
    stage: Stage,
    /// When the stage began, or the message that is not whole.
    since: Instant,
    /// When something was last received.
    heard: Instant,
    /// Since when nobody has vouched for it.
    doubted: Instant,
    /// The other end sends no more: read until there is nothing left.
    hung_up: bool,
    /// That it is up was told.
    announced: bool,
}

/// What a connection has to show.
pub(super) enum Seen<'a> {
    /// It is up; with the certificate of the other end, if it has shown one.
    Up(Option<&'a CertificateDer<'static>>),
    /// What came.
    Framed(Framed<'a>),
}

/// Who made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    Accepted,
    Opened,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// The SYN is out.
    Connecting,
    /// TLS is not agreed on, or a WebSocket not opened.
    Handshaking,
    /// Messages may come and go.
    Open,
    /// What waits still leaves, then it is over; what comes is thrown away.
    Ending,
    /// Nothing leaves any more.
    Lingering,
}

/// The memory that all connections receive into, one after the other.
pub(super) struct Buffers {
    received: Vec<u8>,
    plain: Vec<u8>,
}

impl Default for Buffers {
    fn default() -> Buffers {
        Buffers { received: vec![0; 64 << 10], plain: Vec::new() }
    }
}

/// Where a connection stands after it was served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// There is nothing to do until the next event.
    Waits,
    /// There may be more to read, but it is the others' turn.
    More,
    /// It goes to its end in good order: what waits is sent first.
    Ends(Count),
    /// It is over.
    Over(Count),
}

impl Connection {
    /// A connection of a peer.
    pub(super) fn accepted(
        flow: Flow,
        socket: Socket,
        (channel, cutter): (Channel, Cutter),
        source: IpAddr,
        now: Instant,
    ) -> Connection {
        let opens = channel.is_handshaking() || cutter.is_opening();
        let mut connection = Connection::new(flow, socket, (channel, cutter), Origin::Accepted, now);
        connection.stage = if opens { Stage::Handshaking } else { Stage::Open };
        connection.unproven = Some(source);
        connection
    }

    /// A connection that we have begun to make.
    pub(super) fn opened(flow: Flow, socket: Socket, layers: (Channel, Cutter), now: Instant) -> Connection {
        Connection::new(flow, socket, layers, Origin::Opened, now)
    }

    fn new(
        flow: Flow,
        socket: Socket,
        (channel, cutter): (Channel, Cutter),
        origin: Origin,
        now: Instant,
    ) -> Connection {
        Connection {
            flow,
            armed: None,
            unproven: None,
            is_trusted: origin == Origin::Opened,
            known: false,
            origin,
            own_mark: false,
            is_held: false,
            socket,
            channel,
            cutter,
            outbox: Outbox::default(),
            stage: Stage::Connecting,
            since: now,
            heard: now,
            doubted: now,
            hung_up: false,
            announced: false,
        }
    }

    /// One that carries what comes, and is not read yet; whoever asked for it hears of its end.
    pub(super) fn raw(self) -> Connection {
        Connection { unproven: None, is_trusted: true, known: true, own_mark: true, is_held: true, ..self }
    }

    /// No messages any more; false if a part of one is there.
    pub(super) fn carry(&mut self) -> bool {
        let is_between = self.takes_messages() && self.cutter.held() == 0;
        if is_between {
            (self.cutter, self.own_mark) = (Cutter::stream(Protocol::Raw), true);
        }
        is_between
    }

    /// Bytes that wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.outbox.len()
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether messages have been, or could be, exchanged.
    pub(super) fn is_established(&self) -> bool {
        !matches!(self.stage, Stage::Connecting | Stage::Handshaking)
    }

    /// Whether TLS is not agreed on yet.
    pub(super) fn is_handshaking(&self) -> bool {
        self.stage == Stage::Handshaking && self.channel.is_handshaking()
    }

    /// Nobody vouches for it any more; it counts against that source.
    pub(super) fn distrust(&mut self, source: IpAddr, now: Instant) {
        (self.unproven, self.is_trusted, self.doubted) = (Some(source), false, now);
    }

    /// Whether messages may be sent, at once or as soon as it is established.
    pub(super) fn takes_messages(&self) -> bool {
        !matches!(self.stage, Stage::Ending | Stage::Lingering)
    }

    /// Whether answers to what has come may still be sent.
    pub(super) fn takes_answers(&self) -> bool {
        self.stage != Stage::Lingering
    }

    /// Whether there is something to send.
    pub(super) fn wants_flush(&self) -> bool {
        self.stage == Stage::Ending || !self.outbox.is_empty() || self.channel.wants_write()
    }

    /// Bytes it holds: of a message that is not whole, and of those that wait.
    pub(super) fn buffered(&self) -> usize {
        self.cutter.held() + self.outbox.len()
    }

    /// Takes a message to send with the next flush.
    pub(super) fn push(&mut self, message: Vec<u8>, limits: &Limits, now: Instant) -> Result<(), Full> {
        // What is only listened to is not idle.
        if self.cutter.protocol() == Protocol::Raw {
            self.heard = now;
        }
        self.outbox.push(self.cutter.wrap(message), limits.queue)
    }

    /// The other end sends no more: what it sent before is still to be read.
    pub(super) fn hang_up(&mut self) {
        self.hung_up = true;
    }

    /// Whether a connection that is being made has come about; an error if it never will.
    pub(super) fn check_connected(&mut self, now: Instant) -> io::Result<bool> {
        if self.stage != Stage::Connecting {
            return Ok(true);
        }
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        match self.socket.peer_addr() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(false),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        // The time allowed is for connection and handshake together.
        self.stage = Stage::Handshaking;
        self.finish_handshake(now);
        Ok(true)
    }

    /// Receives, for one turn.
    pub(super) fn receive(
        &mut self,
        buffers: &mut Buffers,
        limits: &Limits,
        now: Instant,
        see: &mut impl FnMut(&Flow, Seen<'_>),
    ) -> Progress {
        self.announce(see);
        if self.is_held {
            return Progress::Waits;
        }
        let mut turn = 0;
        loop {
            let count = match (&self.socket).read(&mut buffers.received) {
                Ok(0) => return self.closed_by_peer(),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Waits,
                Err(_) => return Progress::Over(Count::EndedByNetwork),
            };
            self.heard = now;
            let (received, plain) = (&mut buffers.received, &mut buffers.plain);
            let received = received.get(..count).unwrap_or_default();
            let progress = self.take(received, plain, limits, now, see);
            if progress != Progress::Waits {
                return progress;
            }
            // A short read has emptied the socket (epoll(7)), unless the end is behind it.
            if count < buffers.received.len() && !self.hung_up {
                return Progress::Waits;
            }
            turn += count;
            if turn >= TURN {
                return Progress::More;
            }
        }
    }

    fn closed_by_peer(&mut self) -> Progress {
        self.hung_up = true;
        match self.stage {
            Stage::Connecting => Progress::Over(Count::ConnectFailed),
            Stage::Handshaking if self.channel.is_handshaking() => Progress::Over(Count::TlsFailed),
            Stage::Handshaking => Progress::Over(Count::EndedByPeer),
            Stage::Open => Progress::Ends(Count::EndedByPeer),
            Stage::Ending => Progress::Waits,
            Stage::Lingering => Progress::Over(Count::EndedByPeer),
        }
    }

    /// Takes what one read has brought.
    fn take(
        &mut self,
        received: &[u8],
        plain: &mut Vec<u8>,
        limits: &Limits,
        now: Instant,
        see: &mut impl FnMut(&Flow, Seen<'_>),
    ) -> Progress {
        if !self.takes_messages() {
            return Progress::Waits;
        }
        let (bytes, input) = self.channel.open(received, plain);
        let Ok(input) = input else { return Progress::Ends(Count::TlsFailed) };
        self.announce(see);
        let (held, mut whole, mut room) = (self.cutter.held(), false, Ok(()));
        let largest = if self.unproven.is_some() { limits.unproven_message } else { limits.message };
        let (flow, known, outbox) = (&mut self.flow, &mut self.known, &mut self.outbox);
        let reading = self.cutter.feed(bytes, largest, &mut |framed| {
            whole = true;
            *known |= matches!(framed, Framed::Message(_) | Framed::Wrong(..));
            match framed {
                Framed::Client(client) => flow.remote = client,
                Framed::Reply(bytes) => room = room.and(outbox.push(bytes, limits.queue)),
                framed => see(flow, Seen::Framed(framed)),
            }
        });
        self.finish_handshake(now);
        if self.cutter.held() > 0 && (whole || held == 0) {
            self.since = now;
        }
        match (reading, input, room) {
            (_, _, Err(Full)) => Progress::Over(Count::QueueFull),
            (Reading::Ended, ..) => Progress::Ends(Count::Unframed),
            (Reading::Refused, ..) => Progress::Ends(Count::UpgradeRefused),
            (Reading::Closed, ..) | (Reading::Goes, Input::Closed, _) => Progress::Ends(Count::EndedByPeer),
            (Reading::Goes, Input::Open, _) => Progress::Waits,
        }
    }

    /// What the other end has shown, as it was told when it came up.
    pub(super) fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.channel.certificate().filter(|_| self.announced)
    }

    /// Tells once that it is up, if we made it or if the other end has proven something: before its first message.
    fn announce(&mut self, see: &mut impl FnMut(&Flow, Seen<'_>)) {
        if self.announced || self.stage == Stage::Connecting || self.channel.is_handshaking() {
            return;
        }
        self.announced = true;
        let certificate = self.channel.certificate();
        if certificate.is_some() || self.origin == Origin::Opened {
            self.known = true;
            see(&self.flow, Seen::Up(certificate));
        }
    }

    fn finish_handshake(&mut self, now: Instant) {
        let opens = self.channel.is_handshaking() || self.cutter.is_opening();
        if self.stage == Stage::Handshaking && !opens {
            (self.stage, self.since) = (Stage::Open, now);
        }
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self, now: Instant) -> Progress {
        let sent = match self.stage {
            Stage::Connecting => return Progress::Waits,
            Stage::Ending => self.send_last(),
            _ => self.channel.send(&self.socket, &mut self.outbox),
        };
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Waits,
            Err(_) => return Progress::Over(Count::EndedByNetwork),
            Ok(()) => self.finish_handshake(now),
        }
        if self.stage != Stage::Ending {
            return Progress::Waits;
        }
        (self.stage, self.since) = (Stage::Lingering, now);
        match self.socket.shutdown(std::net::Shutdown::Write) {
            Ok(()) if !self.hung_up => Progress::Waits,
            _ => Progress::Over(Count::EndedByUs),
        }
    }

    fn send_last(&mut self) -> io::Result<()> {
        self.channel.send(&self.socket, &mut self.outbox)?;
        self.channel.close();
        self.channel.send(&self.socket, &mut self.outbox)
    }

    /// From now on only what waits is sent.
    pub(super) fn end(&mut self, now: Instant) {
        if self.takes_messages() {
            (self.stage, self.since) = (Stage::Ending, now);
            // What does not fit is not said.
            let _ = self.cutter.end().map(|last| self.outbox.push(last, usize::MAX));
        }
    }

    /// When it has lasted too long without what must come next, and what that is counted as.
    pub(super) fn deadline(&self, limits: &Limits) -> (Instant, Count) {
        let unfinished = self.cutter.held() > 0 || self.origin == Origin::Accepted && !self.known;
        match self.stage {
            Stage::Connecting if self.cutter.protocol() == Protocol::Raw => {
                (self.since + DIAL, Count::ConnectFailed)
            }
            Stage::Connecting if self.origin == Origin::Opened => {
                (self.since + limits.handshake, Count::ConnectFailed)
            }
            Stage::Connecting | Stage::Handshaking => {
                (self.since + limits.handshake, Count::HandshakeTimeout)
            }
            Stage::Open => {
                let message = unfinished.then(|| (self.since + limits.message_time, Count::MessageTimeout));
                let proof =
                    (!self.is_trusted).then(|| (self.doubted + limits.unproven, Count::UnprovenTimeout));
                let idle = (self.heard + limits.idle, Count::IdleTimeout);
                message.into_iter().chain(proof).fold(idle, |first, other| first.min(other))
            }
            Stage::Ending => (self.since + limits.handshake, Count::EndedByUs),
            Stage::Lingering => (self.since + LINGER, Count::EndedByUs),
        }
    }
}
