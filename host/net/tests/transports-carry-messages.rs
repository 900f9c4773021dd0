//! Messages come and go over TCP, TLS and UDP, whole and in order, and every end is told once.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test: helpers too")]

mod transports;

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use carillon_net::authority::Authority;

use carillon_net::transports::{Count, Limits};
use carillon_wire::ip::Dscp;
use carillon_wire::sip::{Destination, Transport};
use carillon_wire::stun;
use socket2::{Domain, Socket, Type};
use transports::{Hub, LONG, at, client, connect, connect_tls, generous, mark, message, name, server};

#[test]
fn a_message_and_its_answer_take_the_same_connection() {
    let (mut hub, address) = Hub::tcp(Limits::default());
    let mut peer = connect(address);
    peer.write_all(&message("one")).unwrap();
    hub.until_messages(1);
    let (flow, bytes) = hub.seen.messages[0].clone();
    assert_eq!(bytes, message("one"));
    assert_eq!((flow.transport, flow.local), (Transport::Tcp, address));
    assert_eq!(flow.remote, peer.local_addr().unwrap().as_socket().unwrap());
    hub.answer(flow, b"answer");
    let mut read = [0; 6];
    peer.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"answer");
    drop(peer);
    hub.until_connections(0);
    assert_eq!((&hub.seen.closed[..], hub.count(Count::EndedByPeer)), (&[flow][..], 1));
}

#[test]
fn a_message_that_comes_byte_by_byte_and_ten_that_come_at_once_are_the_same() {
    let (mut hub, address) = Hub::tcp(Limits::default());
    let mut peer = connect(address);
    for byte in message("slow") {
        peer.write_all(&[byte]).unwrap();
        hub.turn(Duration::ZERO);
    }
    let many: Vec<u8> = (0..10).flat_map(|number| message(&number.to_string())).collect();
    peer.write_all(&many).unwrap();
    hub.until_messages(11);
    let expected: Vec<String> =
        ["slow".to_owned()].into_iter().chain((0..10).map(|n| n.to_string())).collect();
    assert_eq!(hub.bodies(), expected);
}

#[test]
fn a_busy_connection_does_not_keep_another_waiting() {
    let (mut hub, address) = Hub::tcp(Limits::default());
    let busy = connect(address);
    let mut other = connect(address);
    hub.until_connections(2);
    let flood = message(&"x".repeat(1000)).repeat(4000);
    let sender = thread::spawn(move || (&busy).write_all(&flood));
    hub.until_messages(1);
    other.write_all(&message("me too")).unwrap();
    hub.until("the other", |hub| hub.bodies().iter().any(|body| body == "me too"));
    assert!(hub.seen.messages.len() < 4001, "all of the busy one came first");
    hub.until_messages(4001);
    sender.join().unwrap().unwrap();
}

#[test]
fn a_ping_is_answered_with_a_pong_and_a_pong_is_not() {
    let (mut hub, address) = Hub::tcp(Limits::default());
    let mut peer = connect(address);
    peer.write_all(b"\r\n").unwrap();
    peer.write_all(b"\r\n").unwrap();
    peer.write_all(&message("")).unwrap();
    hub.until_messages(1);
    hub.answer(hub.seen.messages[0].0, b"!");
    let mut read = [0; 3];
    peer.read_exact(&mut read).unwrap();
    assert_eq!((&read, hub.count(Count::Ping)), (b"\r\n!", 1));
}

#[test]
fn an_open_connection_is_used_again_whoever_made_it() {
    let (mut one, one_address) = Hub::tcp(Limits::default());
    let (mut other, _) = Hub::tcp(Limits::default());
    other.send_to(Transport::Tcp, one_address, &message("first"));
    other.send_to(Transport::Tcp, one_address, &message("second"));
    other.until("opened", |hub| hub.count(Count::Opened) == 1);
    one.until("messages", |hub| {
        other.turn(Duration::ZERO);
        hub.seen.messages.len() == 2
    });
    let from = one.seen.messages[0].0.remote;
    one.send_to(Transport::Tcp, from, &message("back"));
    other.until("answer", |hub| {
        one.turn(Duration::ZERO);
        hub.seen.messages.len() == 1
    });
    assert_eq!((one.count(Count::Accepted), one.count(Count::Opened)), (1, 0));
    assert_eq!(other.count(Count::Opened), 1);
}

#[test]
fn a_connection_that_cannot_be_made_is_told_once() {
    let mut hub = Hub::new(Limits::default());
    let address = {
        let (closed, address) = Hub::tcp(Limits::default());
        drop(closed);
        address
    };
    hub.send_to(Transport::Tcp, address, &message("1"));
    hub.send_to(Transport::Tcp, address, &message("2"));
    hub.until("failure", |hub| !hub.seen.failed.is_empty());
    hub.turn(Duration::from_millis(50));
    assert_eq!(hub.seen.failed, [(Transport::Tcp, address)]);
    // Without the means for TLS none is tried.
    hub.send_to(Transport::Tls, address, &message("3"));
    hub.turn(LONG);
    assert_eq!(hub.seen.failed[1..], [(Transport::Tls, address)]);
}

#[test]
fn what_is_sent_to_a_flow_that_has_ended_is_told() {
    let (mut hub, address) = Hub::tcp(Limits::default());
    let peer = connect(address);
    (&peer).write_all(&message("")).unwrap();
    hub.until_messages(1);
    let flow = hub.seen.messages[0].0;
    drop(peer);
    hub.until_connections(0);
    hub.answer(flow, b"late");
    hub.turn(LONG);
    assert_eq!(hub.seen.closed, [flow, flow]);
}

#[test]
fn a_connection_that_we_end_sends_first_what_waits() {
    let (mut hub, address) = Hub::tcp(Limits::default());
    let mut peer = connect(address);
    peer.write_all(&message("")).unwrap();
    hub.until_messages(1);
    let flow = hub.seen.messages[0].0;
    hub.transports.send(Destination::Flow(flow), vec![b'x'; 1_000_000]);
    hub.transports.close(flow);
    let reader = thread::spawn(move || {
        let mut read = Vec::new();
        peer.read_to_end(&mut read).unwrap();
        read.len()
    });
    hub.until_connections(0);
    assert_eq!((reader.join().unwrap(), hub.count(Count::EndedByUs)), (1_000_000, 1));
    assert_eq!(hub.seen.closed, [flow]);
}

#[test]
fn an_answer_reaches_who_has_said_that_nothing_more_comes() {
    let (mut hub, address) = Hub::tcp(Limits::default());
    let mut peer = connect(address);
    peer.write_all(&message("last")).unwrap();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    while hub.seen.messages.is_empty() {
        hub.turn(LONG);
    }
    hub.answer(hub.seen.messages[0].0, b"answer");
    let mut read = String::new();
    peer.read_to_string(&mut read).unwrap();
    assert_eq!(read, "answer");
}

#[test]
fn tls_carries_messages_both_ways_with_both_versions() {
    let authority = Authority::create("Carillon test").unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (mut hub, address) = Hub::tls(generous(), &authority);
        let mut config = (*client(&authority)).clone();
        if version.version == rustls::ProtocolVersion::TLSv1_2 {
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.certificate().clone()).unwrap();
            config = rustls::ClientConfig::builder_with_provider(provider.into())
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        }
        let mut peer = connect_tls(address, &config.into());
        let client = thread::spawn(move || {
            peer.write_all(&message(&"x".repeat(100_000))).unwrap();
            let mut read = vec![0; 300_000];
            peer.read_exact(&mut read).unwrap();
            (read.iter().all(|byte| *byte == b'y'), peer.conn.protocol_version())
        });
        hub.until_messages(1);
        assert_eq!(hub.seen.messages[0].1.len(), message(&"x".repeat(100_000)).len());
        let flow = hub.seen.messages[0].0;
        assert_eq!(flow.transport, Transport::Tls);
        hub.answer(flow, &vec![b'y'; 300_000]);
        hub.until_connections(0);
        assert_eq!(client.join().unwrap(), (true, Some(version.version)));
        assert_eq!(hub.seen.closed, [flow]);
    }
}

#[test]
fn a_tls_connection_of_ours_proves_who_it_talks_to() {
    let authority = Authority::create("Carillon test").unwrap();
    let stranger = Authority::create("Carillon test").unwrap();
    for (trusted, expected, reached) in [
        (&authority, Some(name()), true),
        (&authority, None, true),
        (&authority, Some("other.example.com".try_into().unwrap()), false),
        (&stranger, Some(name()), false),
    ] {
        let (mut one, address) = Hub::tls(Limits::default(), &authority);
        let mut other = Hub::new(Limits::default());
        other.transports.set_client_tls(client(trusted), expected);
        other.send_to(Transport::Tls, address, &message("secret"));
        other.until("outcome", |hub| {
            one.turn(Duration::ZERO);
            !one.seen.messages.is_empty() || !hub.seen.failed.is_empty()
        });
        assert_eq!(!one.seen.messages.is_empty(), reached);
        assert_eq!(other.seen.failed, if reached { vec![] } else { vec![(Transport::Tls, address)] });
    }
}

#[test]
fn a_new_certificate_greets_new_connections_and_the_old_one_is_freed() {
    let (old, new) = (Authority::create("old").unwrap(), Authority::create("new").unwrap());
    let mut hub = Hub::new(Limits::default());
    let config = server(&old);
    let kept = std::sync::Arc::downgrade(&config);
    let address = hub.transports.listen(Transport::Tls, at("127.0.0.1:0"), Some(config)).unwrap();
    let say = |authority: &Authority, hub: &mut Hub| {
        let mut peer = connect_tls(address, &client(authority));
        let number = hub.seen.messages.len() + 1;
        let thread = thread::spawn(move || peer.write_all(&message("")).map(|()| peer));
        hub.until_messages(number);
        thread.join().unwrap().unwrap()
    };
    let first = say(&old, &mut hub);
    assert!(hub.transports.reload_tls(address, server(&new)));
    let second = say(&new, &mut hub);
    assert_eq!(hub.transports.counts().connections, 2);
    drop((first, second));
    hub.until_connections(0);
    assert!(kept.upgrade().is_none());
    assert!(!hub.transports.reload_tls(at("127.0.0.1:1"), server(&new)));
}

#[test]
fn datagrams_come_and_go_and_stun_is_answered() {
    let mut hub = Hub::new(Limits::default());
    let address = hub.transports.listen(Transport::Udp, at("[::]:0"), None).unwrap();
    let peer = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    peer.set_read_timeout(Some(LONG)).unwrap();
    peer.bind(&at("127.0.0.1:0").into()).unwrap();
    peer.connect(&at(&format!("127.0.0.1:{}", address.port())).into()).unwrap();
    let request = stun::Builder::new(stun::Class::Request, stun::Method::Binding, [1; 12]).finish().unwrap();
    for datagram in [&b"\r\n\r\n"[..], &request, &message("hello"), b"\0\0"] {
        peer.send(datagram).unwrap();
    }
    hub.until_messages(2);
    let (flow, bytes) = hub.seen.messages[0].clone();
    assert_eq!(bytes, message("hello"));
    assert_eq!(hub.seen.messages[1].1, b"\0\0", "what it is says the core");
    let own = peer.local_addr().unwrap().as_socket().unwrap();
    assert_eq!((flow.remote, flow.local.ip()), (own, at("127.0.0.1:0").ip()));
    hub.answer(flow, b"answer");
    hub.send_to(Transport::Udp, own, b"request");
    let receive = || {
        let mut buffer = [0; 1000];
        let count = (&peer).read(&mut buffer).unwrap();
        buffer[..count].to_vec()
    };
    let answer = receive();
    assert_eq!(stun::Message::parse(&answer).unwrap().xor_mapped_address(), Some(own));
    assert_eq!((receive(), receive()), (b"answer".to_vec(), b"request".to_vec()));
    assert_eq!(hub.count(Count::Stun), 1);
}

#[test]
fn both_families_and_mapped_addresses_are_served_by_one_listener() {
    let mut hub = Hub::new(Limits::default());
    let address = hub.transports.listen(Transport::Tcp, at("[::]:0"), None).unwrap();
    for host in ["127.0.0.1", "[::1]"] {
        let target = at(&format!("{host}:{}", address.port()));
        let mut peer = connect(target);
        peer.write_all(&message("")).unwrap();
        hub.until_messages(1);
        let (flow, _) = hub.seen.messages.remove(0);
        assert_eq!((flow.local, flow.remote.ip()), (target, target.ip()));
        hub.answer(flow, b"x");
        let mut read = [0; 1];
        peer.read_exact(&mut read).unwrap();
    }
}

#[test]
fn marks_are_read_back_and_follow_a_change() {
    let mut hub = Hub::new(Limits::default());
    let authority = Authority::create("Carillon test").unwrap();
    hub.transports.listen(Transport::Udp, at("127.0.0.1:0"), None).unwrap();
    let address = hub.transports.listen(Transport::Tcp, at("[::]:0"), None).unwrap();
    hub.transports.listen(Transport::Tls, at("127.0.0.1:0"), Some(server(&authority))).unwrap();
    for (mark, reset) in [(mark(), false), (Dscp::EF, true)] {
        if reset {
            hub.transports.set_mark(mark).unwrap();
        }
        for listening in hub.transports.listening() {
            let marks = listening.marks.unwrap();
            let v6 = listening.address.is_ipv6().then_some(mark);
            assert_eq!((marks.v4, marks.v6), (Some(mark), v6), "{}", listening.address);
        }
    }
    assert_eq!(hub.transports.listening().len(), 3);
    assert!(hub.transports.stop_listening(Transport::Tcp, address));
    assert!(!hub.transports.stop_listening(Transport::Tcp, address));
}

#[test]
fn a_port_that_is_taken_names_who_holds_it() {
    let (_hub, address) = Hub::tcp(Limits::default());
    let error = Hub::new(Limits::default()).transports.listen(Transport::Tcp, address, None).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains(&std::process::id().to_string()), "{text}");
}

#[test]
fn a_poll_that_waits_is_woken() {
    let mut hub = Hub::new(Limits::default());
    let waker = hub.transports.waker();
    let other = thread::spawn(move || waker.wake());
    hub.turn(LONG);
    assert_eq!(hub.seen.woken, 1);
    other.join().unwrap().unwrap();
}
