//! One knock: what is heard at a listener, first without saying anything, then by the words of its protocol.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use carillon_media::ice::turn::Frames;
use carillon_net::presented::{Unseen, presented};
use carillon_net::probe::Conversation;
use carillon_net::relay_stream::RelayStream;
use carillon_net::route::source_toward;
use carillon_net::tls::ServerName;
use carillon_net::udp::{Batch, Datagram, UdpPort};
use carillon_qos::check::Knock;
use carillon_qos::probe::{Heard, Listener, Manner, Service, Transport};
use carillon_wire::ip::Dscp;
use carillon_wire::stun::{Builder, Class, Message, Method};

use crate::verb::edge::check::line::{PAUSE, complained, meaning};

/// A request is sent so often within its time (RFC 8489, 6.2.1, with fewer).
const TIMES: u32 = 4;
/// The longest answer that is read.
const LONGEST: usize = 1500;

/// Knocks there; each step waits so long.
pub(super) fn at(to: SocketAddr, listener: &Listener, wait: Duration) -> Heard {
    let heard = match listener.over {
        Transport::Udp => by_datagrams(to, wait),
        Transport::Tcp => by_stream(to, listener.manner, wait),
    };
    heard.unwrap_or_else(|error| refused(meaning(&error)))
}

/// A listener over TCP: what telnet shows, and then what it would have said to its own protocol.
fn by_stream(to: SocketAddr, manner: Manner, wait: Duration) -> io::Result<Heard> {
    let mut line = Conversation::connect(to, Dscp::DEFAULT, wait)?;
    match line.hear(wait / 2) {
        Ok(said) => return Ok(Heard::Said(Service::of(&said))),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
        Err(_) => return Ok(Heard::HungUp),
    }
    if matches!(manner, Manner::Stun | Manner::Either)
        && let Some(seen) = binding_by_stream(to, wait)
    {
        return Ok(Heard::Stun(seen));
    }
    Ok(match presented(to, ServerName::from(to.ip()), Dscp::DEFAULT, wait) {
        Ok(_) => Heard::Tls,
        Err(Unseen::Connect(error)) => return Err(error),
        Err(Unseen::Tls(_)) => Heard::Silent,
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
fn by_datagrams(to: SocketAddr, wait: Duration) -> io::Result<Heard> {
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
                return Ok(Heard::Stun(seen));
            }
        }
        std::thread::sleep(PAUSE);
    }
    Ok(Heard::Nothing)
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

fn refused(why: Knock) -> Heard {
    match why {
        Knock::Refused => Heard::Refused,
        Knock::Prohibited => Heard::Prohibited,
        Knock::NoWay(why) => Heard::NoWay(why),
        _ => Heard::Nothing,
    }
}
