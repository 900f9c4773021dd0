//! Stream sockets as SIP needs them: marked before their first packet, prompt, and told of peers that are gone.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_wire::ip::Dscp;
use socket2::{Domain, Socket, TcpKeepalive, Type};

use crate::mark;

/// Connections that the kernel keeps until they are taken; it may allow fewer (`somaxconn`).
const BACKLOG: i32 = 4096;
/// The same at a relayed port, where few may come.
const PEERS: i32 = 32;
/// A peer that is gone is noticed after about two minutes, and after one if something waits for it.
const SILENCE: Duration = Duration::from_secs(60);
const PROBES: (Duration, u32) = (Duration::from_secs(15), 4);

/// A socket that listens; `[::]` takes IPv4 too.
pub(super) fn listening(address: SocketAddr, mark: Dscp) -> io::Result<Socket> {
    let socket = marked(address, mark)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// A socket whose SYN is on its way.
pub(super) fn connecting(remote: SocketAddr, mark: Dscp) -> io::Result<Socket> {
    begin(marked(remote, mark)?, remote)
}

/// A socket that listens at a relayed port, and leaves room there for connections that leave from it: that takes SO_REUSEPORT of
/// all, for an address where somebody listens is given to nobody else (socket(7)).
pub(crate) fn listening_for_peers(address: SocketAddr) -> io::Result<Socket> {
    let socket = marked(address, Dscp::DEFAULT)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(PEERS)?;
    Ok(socket)
}

/// A socket whose SYN is on its way from a relayed port.
pub(crate) fn connecting_from(local: SocketAddr, remote: SocketAddr, mark: Dscp) -> io::Result<Socket> {
    let socket = marked(local, mark)?;
    socket.set_reuse_port(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&local.into())?;
    begin(socket, remote)
}

/// The next connection of a peer, with its address. Linux hands on the options of the listening socket, but its mark
/// may have changed since the SYN.
pub(super) fn accept(listening: &Socket, mark: Dscp) -> io::Result<(Socket, SocketAddr)> {
    let (socket, remote) = listening.accept()?;
    socket.set_nonblocking(true)?;
    mark::apply(&socket, mark)?;
    Ok((socket, internet(&remote)?))
}

/// Our end.
pub(super) fn local(socket: &Socket) -> io::Result<SocketAddr> {
    internet(&socket.local_addr()?)
}

/// An address without the IPv6 form of IPv4 addresses.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

fn begin(socket: Socket, remote: SocketAddr) -> io::Result<Socket> {
    match socket.connect(&remote.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

fn marked(address: SocketAddr, mark: Dscp) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
    mark::apply(&socket, mark)?;
    let (interval, retries) = PROBES;
    let probes = TcpKeepalive::new().with_time(SILENCE).with_interval(interval).with_retries(retries);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(SILENCE))?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

fn internet(address: &socket2::SockAddr) -> io::Result<SocketAddr> {
    address.as_socket().map(canonical).ok_or_else(|| io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn mapped_addresses_are_shown_as_what_they_are() {
        assert_eq!(canonical(at("[::ffff:192.0.2.1]:5060")), at("192.0.2.1:5060"));
        assert_eq!(canonical(at("[2001:db8::1]:5060")), at("[2001:db8::1]:5060"));
    }
}
