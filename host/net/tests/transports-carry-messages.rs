//! Messages come and go over TCP, TLS and UDP, whole and in order, and every end is told once.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test: helpers too")]

mod transports;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use carillon_net::authority::Authority;
use carillon_net::tls::{asking_server_config, is_for, mutual_client_config};
use carillon_net::transports::{Count, Limits, Server};
use carillon_wire::forwarded::{Field, Proxies};
use carillon_wire::ip::Dscp;
use carillon_wire::sip::{Destination, Flow, Transport};
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

#[test]
fn servers_prove_themselves_to_each_other_and_it_is_told_before_their_first_word() {
    let (authority, stranger) = (Authority::create("ours").unwrap(), Authority::create("theirs").unwrap());
    let identity = |by: &Authority, name: &str| by.issue(&[name], &[]).unwrap();
    let trusted = [authority.certificate().clone()];
    let asking = asking_server_config(&identity(&authority, "one.example.com"), &trusted).unwrap();
    for (shown, names) in [
        (Some(&authority), vec![("other.example.com", true), ("one.example.com", false)]),
        (Some(&stranger), vec![]),
        (None, vec![]),
    ] {
        let mut one = Hub::new(Limits::default());
        let address = at("127.0.0.1:0");
        let own = Dscp::new(8).unwrap();
        let address =
            one.transports.listen_marked(Transport::Tls, address, Some(asking.clone()), own).unwrap();
        assert_eq!(one.transports.listening()[0].marks.as_ref().unwrap().v4, Some(own));
        let mut other = Hub::new(Limits::default());
        let tls = match shown {
            Some(by) => mutual_client_config(&identity(by, "other.example.com"), &trusted).unwrap(),
            None => carillon_net::tls::client_config(&trusted).unwrap(),
        };
        let server = Server { tls, name: "one.example.com".try_into().unwrap(), mark: Some(own) };
        other.transports.set_servers([(address, server)].into());
        other.send_to(Transport::Tls, address, &message("hello"));
        other.until("outcome", |hub| {
            one.turn(Duration::ZERO);
            !one.seen.messages.is_empty() || !hub.seen.closed.is_empty()
        });
        assert_eq!(one.seen.messages.is_empty(), shown.is_some_and(|by| std::ptr::eq(by, &stranger)));
        assert_eq!(one.seen.connected.len(), usize::from(!names.is_empty()));
        for (name, expected) in names {
            let (flow, certificate) = &one.seen.connected[0];
            assert_eq!(one.transports.certificate(flow), certificate.as_ref(), "told again if asked");
            assert_eq!(one.transports.certificate(&Flow { id: flow.id + 1, ..*flow }), None);
            assert_eq!(is_for(certificate.as_ref().unwrap(), name), expected, "{name}");
        }
        let (flow, certificate) = &other.seen.connected[0];
        assert_eq!(flow.remote, address);
        assert!(is_for(certificate.as_ref().unwrap(), "one.example.com"));
    }
}

/// What opens a WebSocket.
fn upgrade(origin: &str) -> Vec<u8> {
    format!(
        "GET / HTTP/1.1\r\nHost: sip.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: {origin}\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
    )
    .into_bytes()
}

/// The head of an answer of HTTP.
fn head(peer: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        peer.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

/// A short frame as clients send it, with a mask.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [first, 0x80 | payload.len() as u8].into_iter().chain(mask).chain(masked).collect()
}

const PAGES: &str = "https://pages.example.com";

#[test]
fn a_websocket_carries_a_message_in_each_of_its_own_in_clear_and_over_tls() {
    let authority = Authority::create("test").unwrap();
    for transport in [Transport::Ws, Transport::Wss] {
        let mut hub = Hub::new(Limits::default());
        hub.transports.set_origins(&[PAGES.to_owned()]);
        let tls = transport.is_secured().then(|| server(&authority));
        let address = hub.transports.listen(transport, at("127.0.0.1:0"), tls).unwrap();
        let config = client(&authority);
        let peer = thread::spawn(move || {
            let mut peer: Box<dyn Duplex> = match transport {
                Transport::Wss => Box::new(connect_tls(address, &config)),
                _ => Box::new(connect(address)),
            };
            let opening = [upgrade(PAGES), frame(0x81, &message("one")), frame(0x89, b"hi")].concat();
            peer.write_all(&opening).unwrap();
            assert!(head(&mut peer).starts_with("HTTP/1.1 101 "));
            let mut read = [0; 4 + 8 + 4];
            peer.read_exact(&mut read).unwrap();
            assert_eq!(&read, b"\x8a\x02hi\x81\x06answer\x81\x02\r\n");
            peer.write_all(&frame(0x88, b"")).unwrap();
            let mut rest = Vec::new();
            let _ = peer.read_to_end(&mut rest);
            assert_eq!(rest, [0x88, 2, 3, 0xe8]);
        });
        hub.until_messages(1);
        let (flow, bytes) = hub.seen.messages[0].clone();
        assert_eq!((flow.transport, bytes), (transport, message("one")));
        hub.answer(flow, b"answer");
        // What is answered to a keep-alive is a message too.
        hub.answer(flow, b"\r\n");
        hub.until_connections(0);
        peer.join().unwrap();
        assert_eq!((&hub.seen.closed[..], hub.count(Count::EndedByPeer)), (&[flow][..], 1));
        // Only clients open them.
        hub.send_to(transport, address, b"nobody");
        hub.until("a failure", |hub| hub.seen.failed == [(transport, address)]);
    }
}

trait Duplex: Read + Write {}

impl<T: Read + Write> Duplex for T {}

#[test]
fn a_page_from_elsewhere_is_told_that_it_may_not_and_what_is_no_websocket_that_it_is_none() {
    let mut hub = Hub::new(Limits::default());
    hub.transports.set_origins(&[PAGES.to_owned()]);
    let address = hub.transports.listen(Transport::Ws, at("127.0.0.1:0"), None).unwrap();
    for (number, (sent, status)) in
        [(upgrade("https://evil.example.com"), "403"), (message("REGISTER"), "400")].into_iter().enumerate()
    {
        let mut peer = connect(address);
        peer.write_all(&sent).unwrap();
        hub.until("a refusal", |hub| hub.count(Count::UpgradeRefused) == number as u64 + 1);
        hub.transports.flush();
        assert!(head(&mut peer).starts_with(&format!("HTTP/1.1 {status} ")));
        drop(peer);
        hub.until_connections(0);
    }
    assert!(hub.seen.messages.is_empty() && hub.seen.closed.is_empty());
}

/// The same for somebody, by a proxy.
fn upgrade_for(client: &str) -> Vec<u8> {
    let fields = format!("Host: sip.example.com\r\nX-Forwarded-For: 203.0.113.9, {client}\r\n");
    let text = String::from_utf8(upgrade(PAGES)).unwrap();
    text.replace("Host: sip.example.com\r\n", &fields).into_bytes()
}

#[test]
fn what_a_proxy_of_ours_brings_is_of_whom_it_names_and_what_others_say_is_not_believed() {
    let limits = Limits { unproven_per_source: 2, ..Limits::default() };
    let mut hub = Hub::new(limits);
    hub.transports.set_origins(&[PAGES.to_owned()]);
    hub.transports.set_proxies(Proxies::new(Field::XForwardedFor, ["127.0.0.1".parse().unwrap()]));
    let address = hub.transports.listen(Transport::Ws, at("[::]:0"), None).unwrap();
    let [of_proxy, of_another] =
        [at("127.0.0.1:0"), at("[::1]:0")].map(|ip| SocketAddr::new(ip.ip(), address.port()));
    let mut open = Vec::new();
    let mut come = |hub: &mut Hub, to: SocketAddr, client: &str| {
        let mut peer = connect(to);
        peer.write_all(&[upgrade_for(client), frame(0x81, &message("one"))].concat()).unwrap();
        let port = peer.local_addr().unwrap().as_socket().unwrap().port();
        open.push(peer);
        let before = hub.seen.messages.len();
        hub.until_messages(before + 1);
        let flow = hub.seen.messages[before].0;
        hub.answer(flow, b"answer");
        (flow.remote, port)
    };
    // Ten clients, each with as much as one source may have: not one of them is in another one's way.
    for number in (1..=10).flat_map(|number| [number, number]) {
        let client = format!("192.0.2.{number}");
        let (remote, port) = come(&mut hub, of_proxy, &client);
        assert_eq!(remote, SocketAddr::new(client.parse().unwrap(), port));
    }
    // One more of the first is one too many.
    let mut more = connect(of_proxy);
    more.write_all(&upgrade_for("192.0.2.1")).unwrap();
    hub.until("a refusal", |hub| hub.count(Count::RefusedSource) == 1);
    // By another way anybody can say anything.
    let (remote, port) = come(&mut hub, of_another, "192.0.2.200");
    assert_eq!(remote, SocketAddr::new("::1".parse().unwrap(), port));
    drop((open, more));
    hub.until_connections(0);
    assert_eq!((hub.seen.closed.len(), hub.transports.counts().unproven), (21, 0));
}
