//! Which address of ours a peer sees: what session descriptions and Contact fields have to say.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// The address that packets to `remote` leave from, as the kernel would choose it now. Nothing is sent.
pub fn source_toward(remote: SocketAddr) -> io::Result<IpAddr> {
    let socket = Socket::new(Domain::for_address(remote), Type::DGRAM, None)?;
    // For a datagram socket connecting is no more than looking up the route.
    socket.connect(&remote.into())?;
    let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(local.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_near_is_reached_from_here() {
        for (remote, expected) in
            [("127.0.0.1:5060", "127.0.0.1"), ("127.9.9.9:1", "127.0.0.1"), ("[::1]:5061", "::1")]
        {
            assert_eq!(source_toward(remote.parse().unwrap()).unwrap().to_string(), expected);
        }
    }
}
