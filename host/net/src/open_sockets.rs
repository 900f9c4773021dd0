//! Sockets as the kernel lists them in `/proc`, whoever opened them and whatever the program believes.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// A socket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct OpenSocket {
    /// What it is bound to.
    pub local: SocketAddr,
    /// TCP, not UDP.
    pub is_stream: bool,
    /// Waits for connections. UDP does not know that: who is bound receives.
    pub listens: bool,
    /// The kernel's number of it.
    pub inode: u64,
}

/// All sockets that are bound to addresses of a transport, of whatever process.
pub fn of_all(is_stream: bool) -> Vec<OpenSocket> {
    let tables = if is_stream { ["tcp", "tcp6"] } else { ["udp", "udp6"] };
    let mut found = Vec::new();
    for table in tables {
        let text =
            std::fs::read_to_string(Path::new("/proc/thread-self/net").join(table)).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| row(line, is_stream)));
    }
    found
}

/// Those of this process, UDP before TCP, by address. The kernel writes its tables in pieces, and rows slip through between
/// them while sockets come and go: one that is missing was opened or closed just now, or is seen the next time.
pub fn of_this_process() -> Vec<OpenSocket> {
    let mine: BTreeSet<u64> = inodes(std::process::id()).collect();
    let mut sockets = [of_all(false), of_all(true)].concat();
    sockets.retain(|socket| mine.contains(&socket.inode));
    sockets.sort_unstable_by_key(|socket| (socket.is_stream, socket.local));
    sockets
}

/// Every socket that a process can be seen to hold: process id and inode.
pub(crate) fn holders() -> impl Iterator<Item = (u32, u64)> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.flat_map(|pid: u32| inodes(pid).map(move |inode| (pid, inode)))
}

fn inodes(pid: u32) -> impl Iterator<Item = u64> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.filter_map(|file| inode(&std::fs::read_link(file.path()).ok()?))
}

/// From `socket:[12345]`.
fn inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// A row of `/proc/net/tcp` and its like (`proc_net_tcp` in the kernel's pages).
fn row(line: &str, is_stream: bool) -> Option<OpenSocket> {
    const LISTENING: u8 = 0x0a;
    let mut columns = line.split_ascii_whitespace().skip(1);
    let (address, port) = columns.next()?.split_once(':')?;
    let state = u8::from_str_radix(columns.nth(1)?, 16).ok()?;
    let inode = columns.nth(5)?.parse().ok()?;
    let local = SocketAddr::new(ip(address)?, u16::from_str_radix(port, 16).ok()?);
    Some(OpenSocket { local, is_stream, listens: is_stream && state == LISTENING, inode })
}

/// Words of 32 bits, each written as the number that this machine takes its four bytes for.
fn ip(digits: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(digits.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match digits.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (number, chunk) in bytes.chunks_mut(4).enumerate() {
                chunk.copy_from_slice(&word(number * 8)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn rows_of_the_kernel_are_read() {
        let row4 = "  5: 0100007F:13C4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1 0";
        let row6 = " 12: B80D0120000000000000000001000000:13C5 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 42 2 0";
        assert_eq!(row(row4, true), Some(socket("127.0.0.1:5060", true, 777)));
        assert_eq!(row(row6, false), Some(socket("[2001:db8::1]:5061", false, 42)));
        assert_eq!(row("  sl  local_address rem_address   st tx_queue rx_queue", true), None);
        assert_eq!(row("", true), None);
    }

    #[test]
    fn this_process_finds_what_it_has_opened() {
        let open = |kind| {
            let socket = Socket::new(Domain::IPV4, kind, None).unwrap();
            socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
            let local = socket.local_addr().unwrap().as_socket().unwrap();
            (socket, local)
        };
        let ((datagrams, udp), (streams, tcp)) = (open(Type::DGRAM), open(Type::STREAM));
        streams.listen(1).unwrap();
        let mine = of_this_process();
        let listens =
            |address| mine.iter().find(|socket| socket.local == address).map(|socket| socket.listens);
        assert_eq!((listens(udp), listens(tcp)), (Some(false), Some(true)));
        drop(datagrams);
        assert!(of_this_process().iter().all(|socket| socket.local != udp));
    }

    fn socket(local: &str, listens: bool, inode: u64) -> OpenSocket {
        OpenSocket { local: local.parse().unwrap(), is_stream: listens, listens, inode }
    }
}
