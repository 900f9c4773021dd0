//! Which sockets wait on a machine, by what its own tools print, and which service of an Edge each belongs to: `netstat -abn` of
//! Windows, `ss -tulpn` of Linux.
//!
//! Nothing is asked of a machine here; whether what waits is right is `check`'s question.

mod netstat;
mod service;
mod ss;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Serialize;

use crate::import::plain_text;
pub use service::{By, EdgeService};

/// Lines that are read.
const MOST_LINES: usize = 100_000;

/// A socket that waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Socket {
    /// The line where it stands, from 1.
    pub line: usize,
    /// TCP, not UDP.
    pub is_stream: bool,
    /// What it is bound to.
    pub address: SocketAddr,
    /// The program that has it, if the list says so.
    pub program: Option<String>,
    /// The service of an Edge that it is, and how that is known.
    pub service: Option<(EdgeService, By)>,
    /// Connections that are up over it.
    pub established: usize,
}

/// What such a list says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct List {
    /// What printed it.
    pub format: &'static str,
    /// The sockets that wait, in its order.
    pub sockets: Vec<Socket>,
    /// What is not as it should be, each with its line.
    pub findings: Vec<String>,
}

/// A row of a list: a socket that waits, or a connection.
struct Row {
    line: usize,
    is_stream: bool,
    local: SocketAddr,
    waits: bool,
    program: Option<String>,
}

/// Reads a list; why it is none. Bytes may be of any encoding that Windows writes.
pub fn read(bytes: &[u8]) -> Result<List, String> {
    let text = plain_text(bytes);
    if let Some((number, _)) = text.lines().enumerate().nth(MOST_LINES) {
        return Err(format!("it has more than {number} lines"));
    }
    for (format, rows) in [("ss", ss::rows(&text)), ("netstat", netstat::rows(&text))] {
        if rows.iter().any(|row| row.waits) {
            return Ok(List::of(format, &rows));
        }
    }
    Err("no socket that waits is in it: give what `netstat -abn` printed on Windows (as administrator), or `ss -tulpn` on Linux"
        .to_owned())
}

impl List {
    fn of(format: &'static str, rows: &[Row]) -> List {
        let mut sockets: Vec<Socket> = rows.iter().filter(|row| row.waits).map(socket).collect();
        let streams = sockets.iter().filter(|socket| socket.is_stream);
        let mut connections: BTreeMap<SocketAddr, usize> =
            streams.map(|socket| (socket.address, 0)).collect();
        for row in rows.iter().filter(|row| row.is_stream && !row.waits) {
            let place = places(row.local).into_iter().find(|place| connections.contains_key(place));
            place.and_then(|place| connections.get_mut(&place)).into_iter().for_each(|count| *count += 1);
        }
        for socket in sockets.iter_mut().filter(|socket| socket.is_stream) {
            socket.established = connections.get(&socket.address).copied().unwrap_or(0);
        }
        let findings = findings(&sockets);
        List { format, sockets, findings }
    }

    /// The services of an Edge that have no socket here.
    pub fn missing(&self) -> impl Iterator<Item = EdgeService> {
        let has = |service: &EdgeService| {
            self.sockets.iter().any(|socket| socket.service.is_some_and(|(of, _)| of == *service))
        };
        EdgeService::ALL.into_iter().filter(move |service| !has(service))
    }

    /// Whether anything in it is an Edge's.
    pub fn is_of_an_edge(&self) -> bool {
        self.missing().count() < EdgeService::ALL.len()
    }
}

/// Where a socket waits that a connection at this address can be of, the likeliest first.
fn places(local: SocketAddr) -> [SocketAddr; 3] {
    let any = |ip: IpAddr| SocketAddr::new(ip, local.port());
    [local, any(Ipv4Addr::UNSPECIFIED.into()), any(Ipv6Addr::UNSPECIFIED.into())]
}

fn socket(row: &Row) -> Socket {
    let service = service::of(row.program.as_deref(), row.is_stream, row.local.port());
    let program = row.program.clone();
    Socket { line: row.line, is_stream: row.is_stream, address: row.local, program, service, established: 0 }
}

/// One entry waits for each place, the others there are connections; and each port is its service's.
fn findings(sockets: &[Socket]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut seen: BTreeMap<(bool, SocketAddr), &Socket> = BTreeMap::new();
    for socket in sockets {
        let Socket { line, is_stream, address, .. } = socket;
        let over = if *is_stream { "TCP" } else { "UDP" };
        match seen.get(&(*is_stream, *address)) {
            Some(first) if first.program != socket.program => findings.push(format!(
                "line {line}: {over} {address} waits twice, for {} and for {}",
                named(first),
                named(socket)
            )),
            Some(first) => findings
                .push(format!("line {line}: {over} {address} waits twice, here and in line {}", first.line)),
            None => drop(seen.insert((*is_stream, *address), socket)),
        }
        let place = service::of_place(*is_stream, address.port());
        if let (Some(wanted), None, Some(program)) = (place, socket.service, &socket.program) {
            findings.push(format!(
                "line {line}: {over} {address} is held by {program}, and is the {}'s ({})",
                wanted.name(),
                wanted.executable()
            ));
        }
    }
    findings
}

fn named(socket: &Socket) -> &str {
    socket.program.as_deref().unwrap_or("an unknown program")
}

#[cfg(test)]
mod tests;
