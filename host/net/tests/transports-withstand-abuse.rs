//! Peers that send garbage, too much, too slowly or nothing: each loses its connection and nobody else does.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test: helpers too")]

mod transports;

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use carillon_net::authority::Authority;
use carillon_net::transports::{Count, Limits};
use carillon_wire::sip::{Destination, Transport};
use socket2::Socket;
use transports::{Hub, at, client, connect, connect_tls, generous, message, open_files};

const SOON: Duration = Duration::from_millis(100);

/// Reads until the other end closes; a reset counts as an end.
fn read_to_the_end(mut peer: &Socket) -> Vec<u8> {
    let mut read = Vec::new();
    let _ = peer.read_to_end(&mut read);
    read
}

/// What becomes of a peer that sends this and reads to the end, beside one that behaves.
fn abuse(bytes: &[u8], limits: Limits) -> Hub {
    let (mut hub, address) = Hub::tcp(limits);
    let mut good = connect(address);
    good.write_all(&message("good")).unwrap();
    hub.until_messages(1);
    let (bad, sent) = (connect(address), bytes.to_vec());
    let thread = thread::spawn(move || {
        // It may be cut off while it sends.
        let _ = (&bad).write_all(&sent);
        read_to_the_end(&bad)
    });
    hub.until("end", |hub| hub.count(Count::Accepted) == 2 && hub.transports.counts().connections == 1);
    assert_eq!(thread.join().unwrap(), b"");
    good.write_all(&message("still here")).unwrap();
    hub.until("the good one", |hub| hub.bodies().last().is_some_and(|body| body == "still here"));
    hub
}

#[test]
fn garbage_ends_the_connection_and_is_named() {
    let head = b"MESSAGE sip:a SIP/2.0\r\n";
    let long = [head.to_vec(), b"A: ".to_vec(), vec![b'a'; 1 << 20]].concat();
    for (bytes, counter) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01"[..], "sip_not_sip"),
        (b"GET / HTTP/1.1\r\n\r\n", "sip_not_sip"),
        (&long, "sip_head_too_large"),
        (b"MESSAGE sip:a SIP/2.0\nl: 0\r\n\r\n", "sip_bare_line_end"),
    ] {
        let hub = abuse(bytes, Limits::default());
        assert_eq!(hub.seen.garbage, [counter]);
        assert_eq!((hub.count(Count::Unframed), hub.seen.closed.len()), (1, 0));
    }
}

#[test]
fn a_message_without_a_certain_end_is_answered_and_then_the_connection_ends() {
    for (lines, code) in [
        ("Content-Length: 1\r\nContent-Length: 2\r\n", 400),
        ("", 400),
        ("l: -1\r\n", 400),
        ("l: 2000000\r\n", 513),
    ] {
        let (mut hub, address) = Hub::tcp(Limits::default());
        let mut peer = connect(address);
        peer.write_all(format!("MESSAGE sip:a SIP/2.0\r\n{lines}\r\nxxOPTIONS").as_bytes()).unwrap();
        while hub.seen.wrong.is_empty() {
            hub.turn(Duration::from_millis(10));
        }
        let (flow, answered) = hub.seen.wrong[0];
        assert_eq!(answered, code);
        hub.answer(flow, b"SIP/2.0 400 No\r\n\r\n");
        assert_eq!(read_to_the_end(&peer), b"SIP/2.0 400 No\r\n\r\n");
        drop(peer);
        hub.until_connections(0);
        assert_eq!((&hub.seen.closed[..], hub.seen.messages.len()), (&[flow][..], 0));
    }
}

#[test]
fn a_message_without_a_certain_end_that_nobody_answers_ends_the_connection_too() {
    let hub = abuse(b"MESSAGE sip:a SIP/2.0\r\n\r\n", Limits::default());
    assert_eq!(hub.seen.wrong.len(), 1);
}

#[test]
fn who_sends_too_slowly_or_nothing_loses_the_connection() {
    let limits = Limits { message_time: SOON, ..Limits::default() };
    let hub = abuse(b"", limits.clone());
    assert_eq!((hub.count(Count::MessageTimeout), hub.seen.closed.len()), (1, 0));
    let hub = abuse(b"MESSAGE sip:a SIP/2.0\r\nl: 10\r\n\r\n123", limits.clone());
    assert_eq!(hub.count(Count::MessageTimeout), 1);
    // One that has sent a message is no better with the second.
    let hub = abuse(&[message("first"), b"MESSAGE".to_vec()].concat(), limits.clone());
    assert_eq!((hub.count(Count::MessageTimeout), hub.seen.closed.len()), (1, 1));
    // A byte now and then does not help: the time is for the whole message.
    let (mut hub, address) = Hub::tcp(limits);
    let mut slow = connect(address);
    hub.until("end", |hub| {
        let _ = slow.write_all(b"M");
        hub.count(Count::MessageTimeout) == 1
    });
}

#[test]
fn a_quiet_connection_stays_until_the_idle_time_is_over() {
    let limits = Limits { message_time: SOON, idle: 5 * SOON, ..Limits::default() };
    let (mut hub, address) = Hub::tcp(limits);
    let mut peer = connect(address);
    peer.write_all(&message("")).unwrap();
    hub.until_messages(1);
    hub.transports.trust(hub.seen.messages[0].0);
    hub.until_connections(0);
    assert_eq!((hub.count(Count::IdleTimeout), hub.count(Count::MessageTimeout)), (1, 0));
    assert_eq!(hub.seen.closed.len(), 1);
}

/// Anybody can write a message: it buys no time.
#[test]
fn a_connection_that_nobody_vouches_for_is_ended_however_much_it_says() {
    let limits = Limits { unproven: 3 * SOON, message_time: 2 * SOON, ..Limits::default() };
    let (mut hub, address) = Hub::tcp(limits);
    let (mut stranger, mut phone) = (connect(address), connect(address));
    phone.write_all(&message("trusted")).unwrap();
    hub.until_messages(1);
    hub.transports.trust(hub.seen.messages[0].0);
    hub.until("end", |hub| {
        let _ = stranger.write_all(&message("hello"));
        hub.count(Count::UnprovenTimeout) == 1
    });
    hub.turn(Duration::ZERO);
    assert_eq!((hub.transports.counts().connections, hub.seen.closed.len()), (1, 1));
    phone.write_all(&message("still here")).unwrap();
    hub.until("the trusted one", |hub| hub.bodies().last().is_some_and(|body| body == "still here"));
}

#[test]
fn a_connection_that_we_made_needs_nobody_to_vouch_for_it() {
    let limits = Limits { unproven: SOON, unproven_per_source: 0, ..Limits::default() };
    let (mut hub, mut other) = (Hub::new(limits), Hub::new(Limits::default()));
    let address = other.transports.listen(Transport::Tcp, at("127.0.0.1:0"), None).unwrap();
    hub.send_to(Transport::Tcp, address, &message("hello"));
    hub.until("made", |_| {
        other.turn(Duration::ZERO);
        other.seen.messages.len() == 1
    });
    let start = std::time::Instant::now();
    hub.until("twice the time", |_| start.elapsed() > 2 * SOON);
    assert_eq!((hub.transports.counts().connections, hub.count(Count::UnprovenTimeout)), (1, 0));
}

#[test]
fn half_open_tls_is_given_up() {
    let authority = Authority::create("Carillon test").unwrap();
    let limits = Limits { handshake: SOON, message_time: 3 * SOON, ..Limits::default() };
    let (mut hub, address) = Hub::tls(limits, &authority);
    let silent = connect(address);
    let mut half = connect(address);
    // The beginning of a ClientHello of 512 bytes.
    half.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).unwrap();
    hub.until("both", |hub| hub.count(Count::Accepted) == 2);
    hub.until_connections(0);
    assert_eq!(hub.count(Count::HandshakeTimeout), 2);
    assert_eq!((read_to_the_end(&silent), read_to_the_end(&half)), (vec![], vec![]));
    // A handshake that went well, and then nothing.
    let mut peer = connect_tls(address, &client(&authority));
    let thread = thread::spawn(move || {
        while peer.conn.is_handshaking() {
            peer.conn.complete_io(&mut peer.sock).unwrap();
        }
        peer.read(&mut [0; 1])
    });
    hub.until("third", |hub| hub.count(Count::Accepted) == 3);
    hub.until_connections(0);
    assert_eq!((hub.count(Count::HandshakeTimeout), hub.count(Count::MessageTimeout)), (2, 1));
    let _ = thread.join().unwrap();
}

/// A handshake costs a signature: whoever shares a thread with them is not kept waiting for more than so many.
#[test]
fn handshakes_of_a_turn_are_few_and_all_have_their_turn() {
    let authority = Authority::create("Carillon test").unwrap();
    let limits = Limits { handshakes: 3, ..Limits::default() };
    let (mut hub, address) = Hub::tls(limits, &authority);
    let mut peers: Vec<_> = (0..20).map(|_| connect_tls(address, &client(&authority))).collect();
    for peer in &mut peers {
        peer.conn.write_tls(&mut peer.sock).unwrap();
    }
    hub.until("all", |hub| hub.count(Count::Accepted) == 20);
    let mut steps = hub.count(Count::Handshake);
    while steps < 20 {
        hub.turn(Duration::from_millis(10));
        let now = hub.count(Count::Handshake);
        assert!(now - steps <= 3, "{steps} {now}");
        steps = now;
    }
    hub.turn(Duration::ZERO);
    let mut answered = [0; 1];
    peers.iter_mut().for_each(|peer| peer.sock.read_exact(&mut answered).unwrap());
}

#[test]
fn what_is_no_tls_gets_an_alert() {
    let authority = Authority::create("Carillon test").unwrap();
    let (mut hub, address) = Hub::tls(Limits::default(), &authority);
    let mut peer = connect(address);
    peer.write_all(&message("in the clear")).unwrap();
    hub.until("failure", |hub| hub.count(Count::TlsFailed) == 1);
    hub.turn(Duration::ZERO);
    let mut alert = [0; 7];
    peer.read_exact(&mut alert).unwrap();
    assert_eq!((alert[0], alert[5]), (21, 2), "a fatal alert");
    drop(peer);
    hub.until_connections(0);
    assert!(hub.seen.messages.is_empty() && hub.seen.closed.is_empty());
}

#[test]
fn a_peer_that_never_reads_is_cut_off_when_its_queue_is_full() {
    let authority = Authority::create("Carillon test").unwrap();
    let limits = Limits { queue: 1 << 20, ..Limits::default() };
    for secure in [false, true] {
        let (mut hub, address) =
            if secure { Hub::tls(limits.clone(), &authority) } else { Hub::tcp(limits.clone()) };
        let config = client(&authority);
        let thread = thread::spawn(move || {
            let mut plain = connect(address);
            if !secure {
                plain.write_all(&message("")).unwrap();
                return (Some(plain), None);
            }
            let mut tls = connect_tls(address, &config);
            tls.write_all(&message("")).unwrap();
            (None, Some(tls))
        });
        hub.until_messages(1);
        let kept = thread.join().unwrap();
        let flow = hub.seen.messages[0].0;
        hub.until("end", |hub| {
            hub.answer(flow, &vec![b'x'; 100_000]);
            hub.count(Count::QueueFull) == 1
        });
        hub.turn(Duration::ZERO);
        assert_eq!(hub.seen.closed, [flow]);
        assert_eq!(hub.transports.counts().buffered, 0);
        drop(kept);
    }
}

/// Those that have proven themselves keep their room, whatever the others send.
#[test]
fn strangers_hold_little_each_and_little_together() {
    let limits = Limits { unproven_buffered: 25_000, ..Limits::default() };
    let (mut hub, address) = Hub::tcp(limits);
    let part = |promised: usize, sent: usize| {
        [format!("MESSAGE sip:a SIP/2.0\r\nl: {promised}\r\n\r\n").into_bytes(), vec![b'x'; sent]].concat()
    };
    let mut large = connect(address);
    large.write_all(&part(16_385, 0)).unwrap();
    hub.until("answer", |hub| !hub.seen.wrong.is_empty());
    assert_eq!(hub.seen.wrong[0].1, 513);
    let mut phone = connect(address);
    phone.write_all(&message("known")).unwrap();
    hub.until_messages(1);
    let known = hub.seen.messages[0].0;
    hub.transports.trust(known);
    let strangers: Vec<Socket> = (0..3).map(|_| connect(address)).collect();
    for mut stranger in &strangers {
        stranger.write_all(&part(16_384, 12_000)).unwrap();
    }
    hub.until("limit", |hub| hub.count(Count::MemoryFull) == 1 && hub.transports.counts().buffered > 24_000);
    phone.write_all(&part(60_000, 60_000)).unwrap();
    hub.until_messages(2);
    // Room that a stranger has left is free again.
    drop(strangers);
    hub.until("room", |hub| hub.transports.counts().buffered == 0);
    let mut later = connect(address);
    later.write_all(&part(16_384, 12_000)).unwrap();
    hub.until("held", |hub| hub.transports.counts().buffered > 12_000);
}

#[test]
fn all_connections_together_hold_no_more_than_allowed() {
    let limits = Limits { buffered: 100_000, ..generous() };
    let (mut hub, address) = Hub::tcp(limits);
    let part = [b"MESSAGE sip:a SIP/2.0\r\nl: 60000\r\n\r\n".to_vec(), vec![b'x'; 59_000]].concat();
    let peers: Vec<Socket> = (0..4).map(|_| connect(address)).collect();
    for mut peer in &peers {
        peer.write_all(&part).unwrap();
    }
    hub.until("all", |hub| hub.count(Count::Accepted) == 4);
    hub.until("limit", |hub| hub.count(Count::MemoryFull) == 3);
    assert_eq!(hub.transports.counts().connections, 1);
    assert!(hub.transports.counts().buffered <= 100_000);
}

#[test]
fn connections_are_capped_in_all_and_by_source_until_they_are_trusted() {
    let limits = Limits { connections: 5, unproven_per_source: 2, ..Limits::default() };
    let (mut hub, address) = Hub::tcp(limits);
    let mut peers: Vec<Socket> = (0..3).map(|_| connect(address)).collect();
    hub.until("refusal", |hub| hub.count(Count::RefusedSource) == 1);
    assert_eq!((hub.count(Count::Accepted), hub.transports.counts().unproven), (2, 2));
    for (number, peer) in peers.iter_mut().take(2).enumerate() {
        peer.write_all(&message("")).unwrap();
        hub.until_messages(number + 1);
        assert_eq!(hub.transports.counts().unproven, 2 - number, "a message proves nothing");
        hub.transports.trust(hub.seen.messages[number].0);
    }
    assert_eq!(hub.transports.counts().unproven, 0);
    for number in 2..5 {
        let mut peer = connect(address);
        peer.write_all(&message("")).unwrap();
        peers.push(peer);
        hub.until_messages(number + 1);
        hub.transports.trust(hub.seen.messages[number].0);
    }
    peers.push(connect(address));
    hub.until("refusal", |hub| hub.count(Count::RefusedFull) == 1);
    drop(peers);
    hub.until_connections(0);
    assert_eq!(hub.transports.counts().unproven, 0);
}

#[test]
fn two_thousand_connections_leave_nothing_behind() {
    let authority = Authority::create("Carillon test").unwrap();
    let limits = Limits { unproven_per_source: 5000, ..Limits::default() };
    let mut hub = Hub::new(limits);
    let plain = hub.transports.listen(Transport::Tcp, at("127.0.0.1:0"), None).unwrap();
    let secure = hub
        .transports
        .listen(Transport::Tls, at("127.0.0.1:0"), Some(transports::server(&authority)))
        .unwrap();
    let before = open_files();
    for _ in 0..4 {
        let peers: Vec<Socket> =
            (0..500).map(|number| connect(if number % 2 == 0 { plain } else { secure })).collect();
        for (number, mut peer) in peers.iter().enumerate() {
            if number % 4 == 0 {
                peer.write_all(&message("")).unwrap();
            }
        }
        hub.until("all", |hub| hub.transports.counts().connections == 500);
        drop(peers);
        hub.until_connections(0);
    }
    let counts = hub.transports.counts();
    assert_eq!((counts.of(Count::Accepted), counts.unproven, counts.buffered), (2000, 0, 0));
    assert_eq!((hub.seen.messages.len(), hub.seen.closed.len()), (500, 500));
    assert_eq!(open_files(), before);
}

#[test]
fn a_connection_ended_in_the_middle_of_an_answer_is_no_harm() {
    let (mut hub, address) = Hub::tcp(Limits::default());
    for _ in 0..20 {
        let mut peer = connect(address);
        peer.write_all(&message("")).unwrap();
        let number = hub.seen.messages.len() + 1;
        hub.until_messages(number);
        let flow = hub.seen.messages[number - 1].0;
        // Closing with something unread resets the connection.
        hub.answer(flow, b"unread");
        drop(peer);
        hub.transports.send(Destination::Flow(flow), vec![0; 1_000_000]);
    }
    hub.until_connections(0);
    let told: std::collections::BTreeSet<_> = hub.seen.closed.iter().collect();
    assert_eq!(told.len(), 20);
}
