//! One knock: what is heard at a listener, first without saying anything, then by the words of its protocol.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use carillon_media::ice::turn::Frames;
use carillon_net::presented::{Unseen, presented};
use carillon_net::probe::Conversation;
use carillon_net::relay_stream::RelayStream;
use carillon_net::route::source_toward;
use carillon_net::tls::{CertificateDer, ServerName};
use carillon_net::udp::{Batch, Datagram, UdpPort};
use carillon_qos::check::Knock;
use carillon_qos::probe::{self, Listener, Manner, Service, Transport};
use carillon_wire::ip::Dscp;
use carillon_wire::stun::{Builder, Class, Message, Method};

use crate::verb::edge::check::line::{PAUSE, complained, meaning};

/// A request is sent so often within its time (RFC 8489, 6.2.1, with fewer).
const TIMES: u32 = 4;
/// The longest answer that is read.
const LONGEST: usize = 1500;

/// What a knock has brought: what was heard, and the certificates that were shown.
pub(super) type Heard = (probe::Heard, Vec<CertificateDer<'static>>);

/// Knocks there, by that name; each step waits so long.
pub(super) fn at(to: SocketAddr, listener: &Listener, name: &ServerName<'static>, wait: Duration) -> Heard {
    let heard = match listener.over {
        Transport::Udp => by_datagrams(to, wait).map(alone),
        Transport::Tcp => by_stream(to, listener.manner, name, wait),
    };
    let (heard, chain) = heard.unwrap_or_else(|error| alone(refused(meaning(&error))));
    match (listener.manner, &heard) {
        (Manner::Relayed, probe::Heard::Nothing | probe::Heard::Prohibited) => alone(beside(to, heard, wait)),
        _ => (heard, chain),
    }
}

/// Whether UDP reaches a relayed port that TCP does not: the host says then that nobody waits there.
fn beside(to: SocketAddr, of_tcp: probe::Heard, wait: Duration) -> probe::Heard {
    let of_udp = by_datagrams(to, wait).unwrap_or_else(|error| refused(meaning(&error)));
    if of_udp == probe::Heard::Refused { probe::Heard::OnlyUdp } else { of_tcp }
}

fn alone(heard: probe::Heard) -> Heard {
    (heard, Vec::new())
}

/// A listener over TCP: what telnet shows, and then what it would have said to its own protocol.
fn by_stream(
    to: SocketAddr,
    manner: Manner,
    name: &ServerName<'static>,
    wait: Duration,
) -> io::Result<Heard> {
    let mut line = Conversation::connect(to, Dscp::DEFAULT, wait)?;
    match line.hear(wait / 2) {
        Ok(said) => return Ok(alone(probe::Heard::Said(Service::of(&said)))),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
        Err(_) => return Ok(alone(probe::Heard::HungUp)),
    }
    if matches!(manner, Manner::Stun | Manner::Either)
        && let Some(seen) = binding_by_stream(to, wait)
    {
        return Ok(alone(probe::Heard::Stun(seen)));
    }
    Ok(match presented(to, name.clone(), Dscp::DEFAULT, wait) {
        Ok(chain) => (probe::Heard::Tls, chain),
        Err(Unseen::Connect(error)) => return Err(error),
        Err(Unseen::Ended(_)) => alone(probe::Heard::CutOff),
        Err(Unseen::Tls(_)) => alone(probe::Heard::Silent),
    })
}

/// STUN over a connection.
fn binding_by_stream(to: SocketAddr, wait: Duration) -> Option<SocketAddr> {
    let (id, request) = binding()?;
    let local = SocketAddr::new(source_toward(to).ok()?, 0);
    let mut stream = RelayStream::connect(local, to, Dscp::DEFAULT, None).ok()?;
    let (mut frames, until) = (Frames::default(), Instant::now() + wait);
    stream.send(&request);
    while Instant::now() < until {
        let mut bytes = Vec::new();
        stream.flush().ok()?;
        let open = stream.turn(&mut bytes).ok()?;
        frames.push(&bytes);
        match frames.take() {
            Some(frame) => return answer(&frame, id),
            None if frames.is_lost() || !open => return None,
            None => std::thread::sleep(PAUSE),
        }
    }
    None
}

/// STUN over UDP, asked again while nothing comes.
fn by_datagrams(to: SocketAddr, wait: Duration) -> io::Result<probe::Heard> {
    let local = SocketAddr::new(source_toward(to)?, 0);
    let port = UdpPort::bind(local, Dscp::DEFAULT).map_err(io::Error::other)?;
    port.keep_complaints()?;
    let (id, request) = binding().ok_or_else(|| io::Error::other("no random numbers"))?;
    let (mut batch, began, mut asked) = (Batch::new(LONGEST), Instant::now(), 0);
    while began.elapsed() < wait {
        if began.elapsed() >= wait / TIMES * asked {
            asked += 1;
            let mut failed = None;
            port.send(&[Datagram { to, from: None, bytes: &request, mark: None }], |_, error| {
                failed = Some(error)
            });
            failed.map_or(Ok(()), Err)?;
        }
        if let Some(why) = port.complaint().and_then(|complaint| complained(&complaint)) {
            return Ok(refused(why));
        }
        while port.receive(&mut batch).is_ok_and(|count| count > 0) {
            let mut ours = batch.iter().filter(|received| received.remote == to);
            if let Some(seen) = ours.find_map(|received| answer(received.bytes, id)) {
                return Ok(probe::Heard::Stun(seen));
            }
        }
        std::thread::sleep(PAUSE);
    }
    Ok(probe::Heard::Nothing)
}

/// A Binding request, and its number.
fn binding() -> Option<([u8; 12], Vec<u8>)> {
    let mut id = [0; 12];
    getrandom::fill(&mut id).ok()?;
    Some((id, Builder::new(Class::Request, Method::Binding, id).fingerprint().finish()?))
}

/// The address that an answer shows.
fn answer(bytes: &[u8], id: [u8; 12]) -> Option<SocketAddr> {
    let message = Message::parse(bytes).ok()?;
    let is_ours = message.class() == Class::Success && *message.transaction_id() == id;
    message.xor_mapped_address().filter(|_| is_ours)
}

fn refused(why: Knock) -> probe::Heard {
    match why {
        Knock::Refused => probe::Heard::Refused,
        Knock::Prohibited => probe::Heard::Prohibited,
        Knock::NoWay(why) => probe::Heard::NoWay(why),
        _ => probe::Heard::Nothing,
    }
}
