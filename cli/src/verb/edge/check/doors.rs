//! Knocks at every door at once.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use carillon_net::presented::{Unseen, presented};
use carillon_net::tls::{CertificateDer, ServerName};
use carillon_qos::check::{Certificate, Door, Knock, Lent, Machine, Packet, Relayed};
use carillon_wire::ip::Dscp;

use super::certificates;
use super::ends::Ends;
use super::line::{Line, meaning};
use super::relay::there_and_back;
use super::target::{Target, View, Wanted};

/// What was found at a door.
struct Visited {
    door: Door,
    certificate: Option<Certificate>,
    /// The port of the listener that was used.
    port: Option<u16>,
}

/// Visits all doors of all machines; each step waits so long for an answer.
pub(super) fn visit(view: View, wait: Duration) -> Vec<Machine> {
    let View { targets, ends, mark, .. } = view;
    let visited: Vec<Vec<Visited>> = thread::scope(|scope| {
        let (ends, mut all) = (&ends, Vec::new());
        for target in &targets {
            let visits = target.doors.iter();
            let visits = visits.map(|wanted| scope.spawn(move || one(target, wanted, ends, mark, wait)));
            all.push(visits.collect::<Vec<_>>());
        }
        // A thread that has panicked has said so.
        all.into_iter()
            .map(|visits| visits.into_iter().filter_map(|visit| visit.join().ok()).collect())
            .collect()
    });
    let arrivals = ends.finish();
    let mut machines = Vec::new();
    for (target, visited) in targets.into_iter().zip(visited) {
        let mut machine = target.machine;
        for Visited { mut door, certificate, port } in visited {
            let arrived = port.and_then(|port| arrivals.get(&port));
            if let (Some(Ok(Relayed { there: there @ Packet::Lost, .. })), Some(mark)) =
                (&mut door.relayed, arrived)
            {
                *there = Packet::Arrived(*mark);
            }
            machine.doors.push(door);
            machine.certificates.extend(certificate);
        }
        machines.push(machine);
    }
    machines
}

fn one(target: &Target, wanted: &Wanted, ends: &Ends, mark: Dscp, wait: Duration) -> Visited {
    match wanted.door.is_relay {
        true => relay(target, wanted, ends, mark, wait),
        false => service(target, wanted, mark, wait),
    }
}

/// A door of TLS.
fn service(target: &Target, wanted: &Wanted, mark: Dscp, wait: Duration) -> Visited {
    let address = wanted.door.address;
    let name =
        wanted.certificate.as_ref().and_then(|expected| ServerName::try_from(expected.name.clone()).ok());
    let shown = presented(address, name.unwrap_or_else(|| ServerName::from(address.ip())), mark, wait);
    let knock = match &shown {
        Ok(_) => Knock::Answered,
        Err(Unseen::Connect(error)) => meaning(error),
        Err(Unseen::Tls(why) | Unseen::Ended(why)) => Knock::Foreign(why.clone()),
    };
    let chain = shown.map_err(|_| "none was shown".to_owned());
    // Nobody there is no fault, and shows nothing.
    let is_missed = knock == Knock::Answered || !wanted.door.optional;
    let certificate = certificate(target, wanted, chain).filter(|_| is_missed);
    Visited { door: Door { knock, ..wanted.door.clone() }, certificate, port: None }
}

/// A door of a relay: an address is asked for, and a packet sent through it.
fn relay(target: &Target, wanted: &Wanted, ends: &Ends, mark: Dscp, wait: Duration) -> Visited {
    let Door { address, transport, .. } = wanted.door;
    let credential = target.credential.clone();
    let (only_knock, given) = (credential.is_none(), credential.unwrap_or_else(nobody));
    let open = || Line::open(address, transport, mark, given.clone(), ends.is_v4(address));
    let until = Instant::now() + wait;
    let mut line = match open() {
        Ok(line) => line,
        Err(error) => {
            return Visited {
                door: Door { knock: meaning(&error), ..wanted.door.clone() },
                certificate: None,
                port: None,
            };
        }
    };
    let (knock, lent) = line.allocate(until, only_knock);
    let mut port = None;
    let relayed = match lent {
        Some(Lent::Address(relayed)) => Some(ends.open(wanted.class, address, until, open).map(|mut end| {
            port = Some(end.address().port());
            let outcome = there_and_back(&mut line, relayed, &mut end, Instant::now() + wait);
            end.close();
            outcome
        })),
        _ => None,
    };
    let chain = Some(line.chain()).filter(|chain| !chain.is_empty()).ok_or("none was shown".to_owned());
    line.close();
    let certificate = certificate(target, wanted, chain);
    Visited { door: Door { knock, lent, relayed, ..wanted.door.clone() }, certificate, port }
}

fn certificate(
    target: &Target,
    wanted: &Wanted,
    chain: Result<Vec<CertificateDer<'static>>, String>,
) -> Option<Certificate> {
    let (door, legacy): (SocketAddr, _) = (wanted.door.address, target.legacy.as_deref());
    wanted.certificate.as_ref().map(|expected| certificates::seen(door, expected, legacy, chain))
}

/// Who asks only whether somebody is there.
fn nobody() -> carillon_media::ice::turn::Credential {
    carillon_media::ice::turn::Credential { username: "nobody".to_owned(), password: String::new() }
}
