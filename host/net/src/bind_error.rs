//! Why an address could not be had: who holds it, and what to do.
//!
//! Who holds a port is looked up in `/proc`, and only when binding has failed.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use carillon_wire::sip::Transport;

use crate::open_sockets;

/// An address that could not be bound.
#[derive(Debug)]
pub struct BindError {
    /// The address and port that were asked for.
    pub address: SocketAddr,
    /// What should have run over it.
    pub transport: Transport,
    /// Why it could not be had.
    pub reason: Reason,
}

/// Why an address could not be had.
#[derive(Debug)]
pub enum Reason {
    /// Somebody has it: every process that can be seen holding it. Without root only one's own can be seen.
    Taken(Vec<Holder>),
    /// The port is one that needs a right.
    Privileged,
    /// No interface has the address.
    NotHere,
    /// The process may not open more files.
    TooManyFiles,
    /// What the kernel says.
    Other(io::Error),
}

/// A process that holds a port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Holder {
    /// What it is bound to.
    pub address: SocketAddr,
    /// Its process id.
    pub pid: u32,
    /// Its name as the kernel has it, 15 characters at most.
    pub program: String,
}

/// Explains why `address` could not be bound; looks for the holder of a port that is taken.
pub fn bind_error(address: SocketAddr, transport: Transport, error: io::Error) -> BindError {
    let reason = match error.raw_os_error() {
        Some(libc::EADDRINUSE) => Reason::Taken(holders(address, transport)),
        Some(libc::EACCES) if address.port() < 1024 => Reason::Privileged,
        Some(libc::EADDRNOTAVAIL) => Reason::NotHere,
        Some(libc::EMFILE | libc::ENFILE) => Reason::TooManyFiles,
        _ => Reason::Other(error),
    };
    BindError { address, transport, reason }
}

/// The processes that hold the port at this address or at one that includes it.
pub fn holders(address: SocketAddr, transport: Transport) -> Vec<Holder> {
    // The kernel writes its table in pieces, and rows slip through between them while other sockets come and go.
    (0..READINGS)
        .map(|_| read_holders(address, transport))
        .find(|holders| !holders.is_empty())
        .unwrap_or_default()
}

/// How often the kernel's tables are read before a port counts as held by nobody whom we may see.
const READINGS: usize = 3;

fn read_holders(address: SocketAddr, transport: Transport) -> Vec<Holder> {
    let sockets = sockets_at(address, transport);
    let mut holders = Vec::new();
    for (pid, inode) in open_sockets::holders() {
        if let Some((bound, _)) = sockets.iter().find(|(_, number)| *number == inode) {
            let program = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            holders.push(Holder { address: *bound, pid, program: program.trim_end().to_owned() });
        }
    }
    holders.sort();
    holders.dedup();
    holders
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't open {} ({}): ", self.address, self.transport)?;
        match &self.reason {
            Reason::Taken(holders) if holders.is_empty() => {
                f.write_str("the port is taken by a process that can't be seen from here; root sees it with `ss -anp`")
            }
            Reason::Taken(holders) => taken(f, holders),
            Reason::Privileged => f.write_str(
                "ports below 1024 need the right CAP_NET_BIND_SERVICE (AmbientCapabilities= of the service, or setcap)",
            ),
            Reason::NotHere => {
                f.write_str("no interface of this machine has that address; `ip address` lists those there are")
            }
            Reason::TooManyFiles => {
                f.write_str("too many files are open; raise LimitNOFILE= of the service, or `ulimit -n`")
            }
            Reason::Other(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.reason {
            Reason::Other(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {}, bound to {})", self.program, self.pid, self.address)
    }
}

fn taken(f: &mut fmt::Formatter<'_>, holders: &[Holder]) -> fmt::Result {
    let names: Vec<String> = holders.iter().map(Holder::to_string).collect();
    write!(f, "the port is held by {}; stop it, or choose another port", names.join(" and "))
}

/// Addresses and inodes of the sockets in the way. Of TCP, connections are in the way only where nobody listens.
fn sockets_at(address: SocketAddr, transport: Transport) -> Vec<(SocketAddr, u64)> {
    let mut found = open_sockets::of_all(transport.is_stream());
    found.retain(|socket| overlap(socket.local, address));
    let any = found.iter().any(|socket| socket.listens);
    found.retain(|socket| !any || socket.listens);
    found.into_iter().map(|socket| (socket.local, socket.inode)).collect()
}

/// Whether two sockets would be in each other's way. The unspecified IPv6 address may include IPv4.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    let includes = |a: IpAddr, b: IpAddr| a.is_unspecified() && (a.is_ipv6() || b.is_ipv4());
    one.port() == other.port() && (a == b || includes(a, b) || includes(b, a))
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    fn bound(address: &str, kind: Type) -> (Socket, SocketAddr) {
        let address: SocketAddr = address.parse().unwrap();
        let socket = Socket::new(Domain::for_address(address), kind, None).unwrap();
        socket.bind(&address.into()).unwrap();
        let local = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, local)
    }

    #[test]
    fn a_taken_port_names_the_address_the_port_and_who_holds_it() {
        for (first, second, kind, transport) in [
            ("127.0.0.1:0", "127.0.0.1", Type::DGRAM, Transport::Udp),
            ("[::1]:0", "::1", Type::DGRAM, Transport::Udp),
            ("[::]:0", "127.0.0.1", Type::DGRAM, Transport::Udp),
            ("0.0.0.0:0", "127.0.0.1", Type::STREAM, Transport::Tls),
        ] {
            let (holder, held) = bound(first, kind);
            if transport.is_stream() {
                holder.listen(1).unwrap();
            }
            let wanted = SocketAddr::new(second.parse().unwrap(), held.port());
            let other = Socket::new(Domain::for_address(wanted), kind, None).unwrap();
            let error = bind_error(wanted, transport, other.bind(&wanted.into()).unwrap_err());
            let program = std::fs::read_to_string("/proc/self/comm").unwrap();
            let (pid, program) = (std::process::id(), program.trim_end());
            let expected = format!(
                "can't open {wanted} ({transport}): the port is held by {program} (process {pid}, bound to {held}); \
                 stop it, or choose another port"
            );
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn other_causes_say_what_to_do() {
        let told = |address: &str, code| {
            let error = io::Error::from_raw_os_error(code);
            bind_error(address.parse().unwrap(), Transport::Udp, error).to_string()
        };
        assert!(told("0.0.0.0:53", libc::EACCES).contains("CAP_NET_BIND_SERVICE"));
        assert!(!told("0.0.0.0:5060", libc::EACCES).contains("CAP_NET_BIND_SERVICE"));
        assert!(told("192.0.2.1:5060", libc::EADDRNOTAVAIL).contains("no interface"));
        assert!(told("192.0.2.1:5060", libc::EMFILE).contains("ulimit -n"));
        // Nobody holds it (any more).
        assert!(told("192.0.2.1:1", libc::EADDRINUSE).contains("can't be seen from here"));
    }

    #[test]
    fn only_sockets_in_the_way_are_holders() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (one, other, expected) in [
            ("0.0.0.0:5060", "127.0.0.1:5060", true),
            ("[::]:5060", "127.0.0.1:5060", true),
            ("[::ffff:127.0.0.1]:5060", "127.0.0.1:5060", true),
            ("0.0.0.0:5060", "[::1]:5060", false),
            ("127.0.0.2:5060", "127.0.0.1:5060", false),
            ("127.0.0.1:5061", "127.0.0.1:5060", false),
        ] {
            assert_eq!(overlap(at(one), at(other)), expected, "{one} {other}");
            assert_eq!(overlap(at(other), at(one)), expected, "{other} {one}");
        }
    }
}
