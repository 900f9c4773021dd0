//! The mark of a socket: set before its first packet leaves, and read back from the kernel.
//!
//! Marks of single packets are `udp`'s. Which class carries which mark is said by `carillon_qos`.

use std::io;
use std::os::fd::AsFd;

use carillon_qos::dscp;
use carillon_wire::ip::{Dscp, Ecn};
use socket2::{Domain, SockRef};

/// The marks that the kernel says a socket has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marks {
    /// Of IPv4 packets; on an IPv6 socket, of those to IPv4-mapped addresses.
    pub v4: Option<Dscp>,
    /// Of IPv6 packets; `None` on an IPv4 socket.
    pub v6: Option<Dscp>,
}

/// Marks everything that this socket sends: handshakes, answers of the kernel and accepted connections too if it
/// is done before `bind`, `listen` and `connect`. An error says which mark did not come to be.
pub fn apply(socket: &impl AsFd, mark: Dscp) -> io::Result<()> {
    let socket = SockRef::from(socket);
    let is_v6 = is_v6(&socket)?;
    set(&socket, is_v6, mark).map_err(|error| explain(mark, &error))?;
    let marks = marks(&socket, is_v6)?;
    let wrong = [("IP_TOS", marks.v4), ("IPV6_TCLASS", marks.v6)]
        .into_iter()
        .find_map(|(option, found)| found.filter(|found| *found != mark).map(|found| (option, found)));
    match wrong {
        None => Ok(()),
        Some((option, found)) => {
            let found = format!("{option} reads back as {}", dscp::label(found));
            Err(explain(mark, &io::Error::other(found)))
        }
    }
}

/// What the kernel says that the socket marks.
pub fn read_back(socket: &impl AsFd) -> io::Result<Marks> {
    let socket = SockRef::from(socket);
    marks(&socket, is_v6(&socket)?)
}

fn marks(socket: &SockRef<'_>, is_v6: bool) -> io::Result<Marks> {
    // TCP keeps the ECN bits it has negotiated in the same byte.
    let mark = |byte: u32| Dscp::from_traffic_byte((byte & 0xff) as u8);
    let v6 = if is_v6 { Some(mark(socket.tclass_v6()?)) } else { None };
    Ok(Marks { v4: Some(mark(socket.tos_v4()?)), v6 })
}

fn set(socket: &SockRef<'_>, is_v6: bool, mark: Dscp) -> io::Result<()> {
    let byte = u32::from(mark.traffic_byte(Ecn::NotCapable));
    if is_v6 {
        socket.set_tclass_v6(byte)?;
    }
    // An IPv6 socket sends to IPv4-mapped addresses with this one, whatever its traffic class is.
    socket.set_tos_v4(byte)
}

fn is_v6(socket: &SockRef<'_>) -> io::Result<bool> {
    Ok(socket.domain()? == Domain::IPV6)
}

fn explain(mark: Dscp, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("can't mark a socket {}: {error}", dscp::label(mark)))
}

#[cfg(test)]
mod tests {
    use socket2::{Socket, Type};

    use super::*;

    #[test]
    fn every_mark_is_set_for_both_families_before_a_packet_can_leave() {
        for kind in [Type::DGRAM, Type::STREAM] {
            let v4 = Socket::new(Domain::IPV4, kind, None).unwrap();
            let v6 = Socket::new(Domain::IPV6, kind, None).unwrap();
            for mark in (0..64).filter_map(Dscp::new) {
                apply(&v4, mark).unwrap();
                apply(&v6, mark).unwrap();
                assert_eq!(read_back(&v4).unwrap(), Marks { v4: Some(mark), v6: None });
                assert_eq!(read_back(&v6).unwrap(), Marks { v4: Some(mark), v6: Some(mark) });
            }
        }
    }

    #[test]
    fn the_kernel_holds_the_byte_with_the_mark_in_its_upper_six_bits() {
        let v6 = Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
        apply(&v6, Dscp::EF).unwrap();
        assert_eq!((v6.tos_v4().unwrap(), v6.tclass_v6().unwrap()), (184, 184));
    }

    #[test]
    fn what_is_no_internet_socket_is_refused_with_the_mark() {
        let local = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
        let error = apply(&local, Dscp::EF).unwrap_err().to_string();
        assert!(error.starts_with("can't mark a socket EF (46): "), "{error}");
    }
}
