//! Clients that come over TCP or TLS: frames torn anywhere, the same rules, and nobody waits for a client that does not
//! read.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test: helpers too")]

mod forward;
mod transports;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use carillon_net::authority::Authority;
use carillon_net::forward::{Client, Count, Rule, RuleId, Unknown};
use carillon_wire::ip::Ecn;
use carillon_wire::stun::ChannelData;
use rustls::ServerConfig;
use socket2::Socket;

use forward::{CHANNEL, ID, Site, arrived, dscp, handled, send};
use transports::{at, client, connect, connect_tls, server};

fn binding() -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    bytes.resize(20, 7);
    bytes
}

fn frame(channel: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    ChannelData::write_stream(channel, data, &mut bytes).unwrap();
    bytes
}

fn site(tls: Option<Arc<ServerConfig>>) -> (Site, SocketAddr) {
    let mut site = Site::plain();
    let listener = site.forwarder.listen_for_streams(at("127.0.0.1:0"), tls, dscp(24)).unwrap();
    let address = site.forwarder.listener(listener).unwrap();
    (site, address)
}

/// A rule for whoever has sent a binding request over a stream.
fn install(site: &mut Site) -> Client {
    site.until("request", |site| !site.unknown.is_empty());
    let Unknown::FromClient { client, bytes, .. } = site.unknown.remove(0) else { panic!("no request") };
    assert_eq!(bytes, binding());
    assert_ne!(client.connection, 0);
    site.forwarder.trust(client);
    site.forwarder.install(ID, Rule { client, ..site.rule() }).unwrap();
    client
}

fn torn(mut stream: &Socket, bytes: &[u8]) {
    for piece in bytes.chunks(3) {
        stream.write_all(piece).unwrap();
    }
}

#[test]
fn frames_pass_by_rules_and_what_no_rule_is_for_is_handed_over() {
    let (mut site, address) = site(None);
    let mut stream = connect(address);
    torn(&stream, &binding());
    let client = install(&mut site);
    assert_eq!((client.local, client.remote), (address, stream.local_addr().unwrap().as_socket().unwrap()));
    let both = [frame(CHANNEL, b"12345"), frame(CHANNEL + 1, b"other"), frame(CHANNEL, b"")].concat();
    torn(&stream, &both);
    send(&site.peer, site.there(), &[b"54321".to_vec(), b"1234".to_vec()]);
    site.until("all", |site| handled(&site.forwarder) >= 6);
    let seen: Vec<_> =
        arrived(&site.peer, 2).into_iter().map(|(from, bytes, mark, _)| (from, bytes, mark)).collect();
    assert_eq!(seen, [(site.there(), b"12345".to_vec(), 46), (site.there(), vec![], 46)]);
    let Some(Unknown::FromClient { client: other, bytes, .. }) = site.unknown.pop() else { panic!("none") };
    assert_eq!((other, bytes), (client, frame(CHANNEL + 1, b"other")));
    // The caller's own comes behind what was forwarded before.
    assert!(site.forwarder.send_to_client(client, &binding(), dscp(24), Ecn::NotCapable));
    site.forwarder.flush();
    let expected = [frame(CHANNEL, b"54321"), frame(CHANNEL, b"1234"), binding()].concat();
    let mut read = vec![0; expected.len()];
    stream.read_exact(&mut read).unwrap();
    assert_eq!(read, expected);
}

#[test]
fn the_end_of_a_connection_is_told_once_and_its_number_means_nothing_any_more() {
    let (mut site, address) = site(None);
    let stream = connect(address);
    torn(&stream, &binding());
    let client = install(&mut site);
    // What is not TURN ends it.
    torn(&stream, &[0x80; 8]);
    site.until("end", |site| !site.unknown.is_empty());
    assert_eq!(site.unknown, [Unknown::Ended { client }]);
    assert!(!site.forwarder.send_to_client(client, b"x", dscp(0), Ecn::NotCapable));
    send(&site.peer, site.there(), &[b"nobody there".to_vec()]);
    site.until("drop", |site| site.count(Count::StreamFull) == 2);
    let other = connect(address);
    torn(&other, &binding());
    site.until("request", |site| site.unknown.len() == 2);
    assert!(!matches!(&site.unknown[1], Unknown::FromClient { client: next, .. } if *next == client));
}

#[test]
fn to_a_client_that_does_not_read_media_is_dropped_and_others_go_on() {
    let (mut site, address) = site(None);
    let lazy = connect(address);
    torn(&lazy, &binding());
    install(&mut site);
    let rule = site.rule();
    let other = carillon_net::udp::UdpPort::bind(at("127.0.0.1:0"), dscp(0)).unwrap();
    site.forwarder.install(RuleId(2), Rule { peer: other.local(), ..rule }).unwrap();
    for round in 0..3000 {
        send(&site.peer, site.there(), &vec![vec![round as u8; 1400]; 20]);
        site.turn();
        if site.count(Count::StreamFull) > 100 {
            break;
        }
    }
    assert!(site.count(Count::StreamFull) > 100);
    send(&other, site.there(), &[b"for another".to_vec()]);
    site.until("other", |_| true);
    let seen = arrived_at(&mut site);
    assert_eq!(seen, b"for another");
    // It is still connected: it only has not read.
    assert!(site.unknown.iter().all(|unknown| !matches!(unknown, Unknown::Ended { .. })));
    drop(lazy);
}

/// What has come to the client that sends datagrams.
fn arrived_at(site: &mut Site) -> Vec<u8> {
    let start = std::time::Instant::now();
    let mut batch = carillon_net::udp::Batch::new(2048);
    while site.client.receive(&mut batch).unwrap() == 0 {
        assert!(start.elapsed() < forward::LONG);
        site.turn();
    }
    let bytes = batch.iter().next().unwrap().bytes.to_vec();
    ChannelData::parse_relayed(&bytes).unwrap().data.to_vec()
}

#[test]
fn the_same_passes_inside_tls() {
    let authority = Authority::create("test").unwrap();
    let (mut site, address) = site(Some(server(&authority)));
    let config = client(&authority);
    let talk = thread::spawn(move || {
        let mut stream = connect_tls(address, &config);
        stream.write_all(&binding()).unwrap();
        let mut read = vec![0; 8];
        stream.read_exact(&mut read).unwrap();
        stream.write_all(&frame(CHANNEL, b"up")).unwrap();
        (read, stream)
    });
    install(&mut site);
    send(&site.peer, site.there(), &[b"down".to_vec()]);
    site.until("up", |site| site.count(Count::ToPeer) == 1);
    let (read, _stream) = talk.join().unwrap();
    assert_eq!(read, frame(CHANNEL, b"down"));
    assert_eq!(site.unknown, []);
}

#[test]
fn a_stranger_with_more_to_say_than_requests_is_cut_off_and_what_he_said_is_not_kept() {
    let many = binding().repeat(1000);
    let data = [binding(), frame(CHANNEL, b"of nobody").repeat(1000)].concat();
    for said in [many, data] {
        let (mut site, address) = site(None);
        let mut stranger = connect(address);
        // He may be cut off while he still speaks.
        let _ = stranger.write_all(&said);
        site.until("end", |site| matches!(site.unknown.last(), Some(Unknown::Ended { .. })));
        assert!(site.unknown.len() < 100, "{} were kept", site.unknown.len());
        let is_data = |unknown: &Unknown| match unknown {
            Unknown::FromClient { bytes, .. } => bytes.first() == Some(&0x40),
            _ => false,
        };
        assert!(!site.unknown.iter().any(is_data));
    }
}
