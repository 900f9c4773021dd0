//! What leaves a port carries its mark and arrives with it, over every family: told by the kernel of the receiver.
//!
//! On loopback, so that it runs anywhere; tests/interop asks tshark.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test: helpers too")]

use std::net::{IpAddr, SocketAddr};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carillon_net::bind_error::Reason;
use carillon_net::mark;
use carillon_net::udp::{Batch, Datagram, UdpPort};
use carillon_wire::ip::{Dscp, Ecn};
use socket2::{Domain, SockRef, Socket, Type};

/// What a test compares of a datagram: from, to, content, mark.
type Seen = (SocketAddr, SocketAddr, Vec<u8>, u8);

/// Sending port, receiving port, and the address to send to: IPv4, IPv6, and IPv4-mapped in both directions.
const FAMILIES: [(&str, &str, &str); 5] = [
    ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"),
    ("[::1]:0", "[::1]:0", "::1"),
    ("[::]:0", "127.0.0.1:0", "127.0.0.1"),
    ("127.0.0.1:0", "[::]:0", "127.0.0.1"),
    ("[::]:0", "[::]:0", "::ffff:127.0.0.1"),
];

fn dscp(value: u8) -> Dscp {
    Dscp::new(value).unwrap()
}

fn bind(address: &str, value: u8) -> UdpPort {
    UdpPort::bind(address.parse().unwrap(), dscp(value)).unwrap()
}

fn to<'a>(to: SocketAddr, bytes: &'a [u8], mark: Option<Dscp>) -> Datagram<'a> {
    Datagram { to, from: None, bytes, mark }
}

fn send(port: &UdpPort, datagrams: &[Datagram<'_>]) {
    let taken = port.send(datagrams, |datagram, error| panic!("{datagram:?}: {error}"));
    assert_eq!(taken, datagrams.len());
}

/// Shows every batch until `enough`; the kernel may take its time even on loopback.
fn drain(port: &UdpPort, batch: &mut Batch, mut enough: impl FnMut(&Batch) -> bool) {
    for _ in 0..1000 {
        while port.receive(batch).unwrap() > 0 {
            if enough(batch) {
                return;
            }
        }
        sleep(Duration::from_millis(5));
    }
    panic!("{port:?} received too little");
}

/// The datagrams that come until there are `count`.
fn receive(port: &UdpPort, count: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    drain(port, &mut Batch::new(2048), |batch| {
        for received in batch.iter() {
            assert_eq!(received.ecn, Ecn::NotCapable);
            seen.push((received.remote, received.local, received.bytes.to_vec(), received.mark.value()));
        }
        seen.len() >= count
    });
    seen
}

#[test]
fn the_mark_of_the_port_arrives_over_every_family() {
    for (sender, receiver, address) in FAMILIES {
        for value in [46, 34, 24, 0] {
            let (sender, receiver) = (bind(sender, value), bind(receiver, 0));
            let there = SocketAddr::new(address.parse().unwrap(), receiver.local().port());
            send(&sender, &[to(there, b"socket", None)]);
            let ip: IpAddr = address.parse().unwrap();
            let here = SocketAddr::new(ip.to_canonical(), sender.local().port());
            let there = SocketAddr::new(ip.to_canonical(), there.port());
            assert_eq!(receive(&receiver, 1), [(here, there, b"socket".to_vec(), value)]);
        }
    }
}

#[test]
fn the_mark_of_a_datagram_goes_before_that_of_the_port_over_every_family() {
    for (sender, receiver, address) in FAMILIES {
        for of_port in [0, 46] {
            let (sender, receiver) = (bind(sender, of_port), bind(receiver, 0));
            let there = SocketAddr::new(address.parse().unwrap(), receiver.local().port());
            // More than fit into one call, in turn with and without a mark of their own.
            let own = |n: u8| n.is_multiple_of(2).then(|| dscp(n % 64));
            let bytes: Vec<[u8; 1]> = (0..200).map(|n| [n]).collect();
            let all: Vec<_> = bytes.iter().map(|bytes| to(there, bytes, own(bytes[0]))).collect();
            send(&sender, &all);
            let seen = receive(&receiver, 200);
            let expected = bytes.iter().map(|b| (b.to_vec(), own(b[0]).map_or(of_port, Dscp::value)));
            assert!(seen.into_iter().map(|(_, _, bytes, mark)| (bytes, mark)).eq(expected));
        }
    }
}

#[test]
fn a_changed_mark_holds_for_both_families_at_once() {
    let (port, v4, v6) = (bind("[::]:0", 24), bind("127.0.0.1:0", 0), bind("[::1]:0", 0));
    for value in [24, 46, 0] {
        port.set_mark(dscp(value)).unwrap();
        let marks = port.marks().unwrap();
        assert_eq!((marks.v4, marks.v6), (Some(dscp(value)), Some(dscp(value))));
        send(&port, &[to(v4.local(), b"", None), to(v6.local(), b"", None)]);
        assert_eq!((receive(&v4, 1)[0].3, receive(&v6, 1)[0].3), (value, value));
    }
}

#[test]
fn an_answer_comes_from_the_address_that_was_asked() {
    for server in ["0.0.0.0:0", "[::]:0"] {
        let (server, client) = (bind(server, 24), bind("127.0.0.1:0", 24));
        let asked = SocketAddr::new("127.0.0.7".parse().unwrap(), server.local().port());
        send(&client, &[to(asked, b"?", None)]);
        let (remote, local, ..) = receive(&server, 1).remove(0);
        assert_eq!((remote, local), (client.local(), asked));
        send(&server, &[Datagram { to: remote, from: Some(local.ip()), bytes: b"!", mark: Some(Dscp::EF) }]);
        assert_eq!(receive(&client, 1), [(asked, client.local(), b"!".to_vec(), 46)]);
    }
}

#[test]
fn datagrams_longer_than_the_room_are_counted_and_left_out() {
    let (sender, receiver) = (bind("127.0.0.1:0", 0), bind("127.0.0.1:0", 0));
    let long = [7; 2049];
    send(
        &sender,
        &[
            to(receiver.local(), &long[..2048], None),
            to(receiver.local(), &long, None),
            to(receiver.local(), b"x", None),
        ],
    );
    let (mut batch, mut lengths) = (Batch::new(2048), Vec::new());
    drain(&receiver, &mut batch, |batch| {
        lengths.extend(batch.iter().map(|received| received.bytes.len()));
        lengths.len() == 2
    });
    assert_eq!((lengths, batch.cut()), (vec![2048, 1], 1));
    assert_eq!(receiver.receive(&mut batch).unwrap(), 0);
    assert_eq!((batch.iter().count(), batch.cut()), (0, 1));
}

#[test]
fn the_longest_datagram_of_udp_fits() {
    let (sender, receiver) = (bind("[::1]:0", 0), bind("[::1]:0", 0));
    let longest = vec![9; 65_527];
    send(&sender, &[to(receiver.local(), &longest, None)]);
    let mut batch = Batch::new(Batch::LONGEST);
    drain(&receiver, &mut batch, |_| true);
    assert!(batch.iter().map(|received| received.bytes).eq([&longest[..]]));
}

#[test]
fn what_the_kernel_refuses_is_told_and_the_rest_is_sent() {
    let (sender, receiver) = (bind("127.0.0.1:0", 46), bind("127.0.0.1:0", 0));
    let other_family = "[2001:db8::1]:9".parse().unwrap();
    let too_long = vec![0; 65_536];
    let datagrams = [
        to(receiver.local(), b"1", None),
        to(other_family, b"2", None),
        to(receiver.local(), &too_long, None),
        to(receiver.local(), b"4", None),
    ];
    let mut refused = Vec::new();
    let taken = sender.send(&datagrams, |datagram, error| refused.push((datagram.to, error.raw_os_error())));
    assert_eq!(taken, 2);
    assert_eq!(refused, [(other_family, Some(libc::EAFNOSUPPORT)), (receiver.local(), Some(libc::EMSGSIZE))]);
    let contents: Vec<_> = receive(&receiver, 2).into_iter().map(|seen| seen.2).collect();
    assert_eq!(contents, [b"1", b"4"]);
}

#[test]
fn an_error_of_icmp_stops_neither_direction() {
    let (port, other) = (bind("127.0.0.1:0", 0), bind("127.0.0.1:0", 0));
    let closed = bind("127.0.0.1:0", 0).local();
    // Only connected sockets are told of errors; ours never are, except here.
    SockRef::from(&port).connect(&closed.into()).unwrap();
    for _ in 0..3 {
        send(&port, &[to(closed, b"", None)]);
        send(&port, &[to(other.local(), b"after", None)]);
        assert_eq!(receive(&other, 1)[0].2, b"after");
        send(&port, &[to(closed, b"", None)]);
        assert_eq!(port.receive(&mut Batch::new(2048)).unwrap(), 0);
    }
}

#[test]
fn datagrams_that_found_no_room_are_counted() {
    let (sender, receiver) = (bind("127.0.0.1:0", 0), bind("127.0.0.1:0", 0));
    assert!(receiver.receive_buffer().unwrap() >= 200 * 1024);
    assert_eq!(receiver.dropped().unwrap(), 0);
    SockRef::from(&receiver).set_recv_buffer_size(16 * 1024).unwrap();
    for _ in 0..100 {
        send(&sender, &[to(receiver.local(), &[0; 1000], None)]);
    }
    let mut came = 0;
    drain(&receiver, &mut Batch::new(2048), |batch| {
        came += batch.iter().count() as u32;
        came + receiver.dropped().unwrap() == 100
    });
    assert!(receiver.dropped().unwrap() > 50);
}

#[test]
fn the_time_of_arrival_is_that_of_the_clock() {
    let (sender, receiver) = (bind("127.0.0.1:0", 0), bind("127.0.0.1:0", 0));
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let before = now();
    send(&sender, &[to(receiver.local(), b"", None)]);
    let after = now();
    sleep(Duration::from_millis(30));
    let mut batch = Batch::new(2048);
    drain(&receiver, &mut batch, |_| true);
    let arrived = batch.iter().next().unwrap().arrived;
    // Clocks are read to the microsecond on the way.
    let slack = Duration::from_millis(1);
    assert!(before <= arrived + slack && arrived <= after + slack, "{before:?} {arrived:?} {after:?}");
}

#[test]
fn a_connection_has_the_mark_of_its_listener_for_the_family_of_its_peer() {
    for (listener, connect) in [("[::]:0", "127.0.0.1"), ("[::]:0", "::1"), ("127.0.0.1:0", "127.0.0.1")] {
        let stream = |address: SocketAddr| {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
            mark::apply(&socket, Dscp::EF).unwrap();
            socket
        };
        let address: SocketAddr = listener.parse().unwrap();
        let listener = stream(address);
        listener.bind(&address.into()).unwrap();
        listener.listen(1).unwrap();
        let port = listener.local_addr().unwrap().as_socket().unwrap().port();
        let peer = SocketAddr::new(connect.parse().unwrap(), port);
        let client = stream(peer);
        client.connect(&peer.into()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let marks = mark::read_back(&accepted).unwrap();
        assert_eq!(marks.v4, Some(Dscp::EF));
        assert_eq!(marks.v6, address.is_ipv6().then_some(Dscp::EF));
        mark::apply(&accepted, Dscp::DEFAULT).unwrap();
        assert_eq!(mark::read_back(&accepted).unwrap().v4, Some(Dscp::DEFAULT));
    }
}

#[test]
fn a_port_already_taken_says_who_holds_it() {
    let first = bind("127.0.0.1:0", 0);
    let error = UdpPort::bind(first.local(), Dscp::EF).unwrap_err();
    let Reason::Taken(holders) = &error.reason else { panic!("{error}") };
    let held: Vec<_> = holders.iter().map(|holder| (holder.pid, holder.address)).collect();
    assert_eq!(held, [(std::process::id(), first.local())]);
    assert!(error.to_string().contains(&format!("can't open {} (UDP): ", first.local())), "{error}");
}
