//! One way to a relay with one allocation: `carillon_media`'s client over a marked socket.

use std::io;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use carillon_media::ice::turn::{Client, Credential, Frames, State};
use carillon_media::random::Random;
use carillon_net::presented::{Shown, looking};
use carillon_net::relay_stream::RelayStream;
use carillon_net::route::source_toward;
use carillon_net::tls::{CertificateDer, ServerName};
use carillon_net::udp::{Batch, Complaint, Datagram, UdpPort};
use carillon_qos::check::{Knock, Lent, Transport};
use carillon_wire::icmp::{self, Reason};
use carillon_wire::ip::{Dscp, protocol};

/// Between two looks.
pub(in crate::verb::edge) const PAUSE: Duration = Duration::from_millis(5);
/// The longest datagram that is read.
const LONGEST: usize = 2048;

/// A client of a relay with its socket.
pub(super) struct Line {
    client: Client,
    random: Random,
    way: Way,
    to: SocketAddr,
}

enum Way {
    Datagrams(UdpPort, Box<Batch>),
    Stream(Box<RelayStream>, Frames, Shown),
}

/// What a peer has sent through the relay.
pub(super) type Came = (SocketAddr, Vec<u8>);

impl Line {
    /// Opens a socket towards the relay. Nothing is sent yet. `v4`: the family of what is asked for.
    pub(super) fn open(
        to: SocketAddr,
        transport: Transport,
        mark: Dscp,
        credential: Credential,
        v4: bool,
    ) -> io::Result<Line> {
        let local = SocketAddr::new(source_toward(to)?, 0);
        let way = match transport {
            Transport::Udp => {
                let port = UdpPort::bind(local, mark).map_err(io::Error::other)?;
                port.keep_complaints()?;
                Way::Datagrams(port, Box::new(Batch::new(LONGEST)))
            }
            Transport::Tcp | Transport::Tls => {
                let (config, shown) = looking().map_err(io::Error::other)?;
                let tls = (transport == Transport::Tls).then(|| (config, ServerName::from(to.ip())));
                let stream = RelayStream::connect(local, to, mark, tls)?;
                Way::Stream(Box::new(stream), Frames::default(), shown)
            }
        };
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(io::Error::other)?;
        let client = Client::new(credential, transport != Transport::Udp, v4);
        Ok(Line { client, random: Random::new(&seed, *b"the line"), way, to })
    }

    /// Asks for an address, and waits so long for it. With `only_knock` any answer will do.
    pub(super) fn allocate(&mut self, until: Instant, only_knock: bool) -> (Knock, Option<Lent>) {
        self.client.allocate(super::now(), &mut self.random);
        loop {
            if let Err(why) = self.turn()
                && !self.client.was_heard()
            {
                return (why, None);
            }
            let over = Instant::now() >= until;
            match (self.client.state(), self.client.was_heard()) {
                (_, true) if only_knock => return (Knock::Answered, None),
                (State::Allocated { relayed, .. }, _) => {
                    return (Knock::Answered, Some(Lent::Address(relayed)));
                }
                (State::Over, true) => {
                    return (
                        Knock::Answered,
                        Some(self.client.refusal().map_or(Lent::Nothing, Lent::Refused)),
                    );
                }
                (State::Over, false) => return (Knock::Silent, None),
                (_, true) if over => return (Knock::Answered, Some(Lent::Nothing)),
                (_, false) if over => return (Knock::Silent, None),
                _ => sleep(PAUSE),
            }
        }
    }

    /// Lets a peer's packets through.
    pub(super) fn permit(&mut self, peer: SocketAddr) {
        self.client.permit(super::now(), &mut self.random, peer.ip());
    }

    /// Sends a packet to a peer.
    pub(super) fn send(&mut self, peer: SocketAddr, data: &[u8]) {
        if let Some(bytes) = self.client.wrap(&mut self.random, peer, data) {
            let _ = self.way.send(self.to, &bytes);
        }
    }

    /// Sends what waits, and takes what has come.
    pub(super) fn turn(&mut self) -> Result<Vec<Came>, Knock> {
        let now = super::now();
        self.client.handle_timeout(now, &mut self.random);
        while let Some(bytes) = self.client.poll_output() {
            self.way.send(self.to, &bytes)?;
        }
        let mut came = Vec::new();
        for frame in self.way.receive(self.to)? {
            let data = self.client.handle(now, &mut self.random, &frame);
            came.extend(data.map(|(peer, data)| (peer, data.to_vec())));
        }
        Ok(came)
    }

    /// What the relay has shown over TLS.
    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        match &self.way {
            Way::Stream(_, _, shown) => shown.chain(),
            Way::Datagrams(..) => Vec::new(),
        }
    }

    /// Gives the address back.
    pub(super) fn close(mut self) {
        self.client.release(super::now(), &mut self.random);
        while let Some(bytes) = self.client.poll_output() {
            let _ = self.way.send(self.to, &bytes);
        }
    }
}

impl Way {
    fn send(&mut self, to: SocketAddr, bytes: &[u8]) -> Result<(), Knock> {
        match self {
            Way::Datagrams(port, _) => {
                let mut refused = None;
                port.send(&[Datagram { to, from: None, bytes, mark: None }], |_, error| {
                    refused = Some(error)
                });
                refused.map_or(Ok(()), |error| Err(meaning(&error)))
            }
            Way::Stream(stream, ..) => {
                stream.send(bytes);
                stream.flush().map_err(|error| meaning(&error))
            }
        }
    }

    /// Whole messages of the relay.
    fn receive(&mut self, relay: SocketAddr) -> Result<Vec<Vec<u8>>, Knock> {
        match self {
            Way::Datagrams(port, batch) => {
                if let Some(why) = port.complaint().and_then(|complaint| complained(&complaint)) {
                    return Err(why);
                }
                let mut found = Vec::new();
                while port.receive(batch).is_ok_and(|count| count > 0) {
                    let ours = batch.iter().filter(|received| received.remote == relay);
                    found.extend(ours.map(|received| received.bytes.to_vec()));
                }
                Ok(found)
            }
            Way::Stream(stream, frames, _) => {
                let mut bytes = Vec::new();
                let open = stream.turn(&mut bytes).map_err(|error| meaning(&error))?;
                frames.push(&bytes);
                let found: Vec<_> = std::iter::from_fn(|| frames.take()).collect();
                match (frames.is_lost(), open || !found.is_empty()) {
                    (true, _) => Err(Knock::Foreign("it does not speak TURN".to_owned())),
                    (false, true) => Ok(found),
                    (false, false) => Err(Knock::Foreign("it hangs up".to_owned())),
                }
            }
        }
    }
}

/// What an error of the network says of the door.
pub(in crate::verb::edge) fn meaning(error: &io::Error) -> Knock {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Knock::Refused,
        io::ErrorKind::PermissionDenied => Knock::Prohibited,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Knock::Silent,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Knock::NoWay(error.to_string()),
        _ => Knock::Foreign(error.to_string()),
    }
}

pub(in crate::verb::edge) fn complained(complaint: &Complaint) -> Option<Knock> {
    let number = if complaint.peer.is_ipv4() { protocol::ICMP } else { protocol::ICMPV6 };
    match icmp::reason(number, complaint.kind, complaint.code)? {
        Reason::Port => Some(Knock::Refused),
        Reason::Prohibited => Some(Knock::Prohibited),
        Reason::Route => Some(Knock::NoWay("a router, or the link, says so".to_owned())),
        Reason::TimeExceeded | Reason::TooBig | Reason::Other(..) => None,
    }
}
