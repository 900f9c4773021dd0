//! Clients that come over TCP or TLS: frames torn anywhere, the same rules, and nobody waits for a client that does not
//! read.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test: helpers too")]

mod forward;
#[path = "transports/mod.rs"]
mod peers;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use carillon_net::authority::Authority;
use carillon_net::forward::{
    Account, Budgets, Client, Count, LinkId, PortId, Rule, RuleId, Settings, Strangers, Unknown,
};
use carillon_net::transports;
use carillon_qos::TrafficClass;
use carillon_wire::ip::Ecn;
use carillon_wire::stun::ChannelData;
use rustls::ServerConfig;
use socket2::{Domain, Socket, Type};

use forward::{CHANNEL, ID, Site, arrived, dscp, handled, send};
use peers::{at, client, connect, connect_tls, server};

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
    // What waits in the kernel first: it has no room for more.
    while {
        let before = handled(&site.forwarder);
        site.turn();
        handled(&site.forwarder) > before
    } {}
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

/// Whoever gives its allocation back and stays is a stranger again, with a stranger's time; whoever has none at all has no more.
#[test]
fn trust_that_is_taken_back_ends_a_connection_unless_it_is_given_again() {
    let (mut site, address) = site(None);
    let mut stream = connect(address);
    torn(&stream, &binding());
    let client = install(&mut site);
    // As a client that is trusted it may say more at once than a stranger.
    stream.write_all(&binding().repeat(20)).unwrap();
    site.until("trusted", |site| site.unknown.len() == 20);
    site.forwarder.distrust(client);
    assert_eq!(site.forwarder.connections().unwrap().unproven, 1);
    stream.write_all(&binding().repeat(20)).unwrap();
    site.until("end", |site| site.unknown.last() == Some(&Unknown::Ended { client }));
}

#[test]
fn a_source_opens_so_many_connections_in_a_second_and_no_more() {
    let strangers = Strangers { connections: 5, ..Strangers::default() };
    let mut site = Site::new(forward::FAMILIES[0], Settings { strangers, ..Settings::default() });
    let listener = site.forwarder.listen_for_streams(at("127.0.0.1:0"), None, dscp(24)).unwrap();
    let address = site.forwarder.listener(listener).unwrap();
    let held: Vec<Socket> = (0..50).map(|_| connect(address)).collect();
    let counts = |site: &Site| site.forwarder.connections().unwrap();
    let settled = |site: &mut Site| {
        let counts = counts(site);
        counts.of(transports::Count::Accepted) + counts.of(transports::Count::RefusedRate) == 50
    };
    site.until("all", settled);
    // Five at once and five a second: this takes less than five seconds.
    assert!((5..30).contains(&counts(&site).of(transports::Count::Accepted)), "{:?}", counts(&site));
    drop(held);
}

/// A client that is limited on a stream learns it: it would wait for an answer for forty seconds.
#[test]
fn a_stream_that_says_too_much_is_ended_and_a_datagram_is_dropped() {
    let strangers = Strangers { per_source: 2, looks_per_source: 1, looks: 1, ..Strangers::default() };
    let mut site = Site::new(forward::FAMILIES[0], Settings { strangers, ..Settings::default() });
    let listener = site.forwarder.listen_for_streams(at("127.0.0.1:0"), None, dscp(24)).unwrap();
    let stream = connect(site.forwarder.listener(listener).unwrap());
    (&stream).write_all(&binding().repeat(6)).unwrap();
    site.until("end", |site| matches!(site.unknown.last(), Some(Unknown::Ended { .. })));
    assert!(site.count(Count::SourceLimited) > 0);
}

/// A connection of a client that is joined with one that a peer has accepted: both ends of it, and its name.
struct Joined {
    site: Site,
    client: Socket,
    peer: Socket,
    link: LinkId,
    port: PortId,
}

/// A relayed port for TCP; EF to the peer, AF41 to the client.
fn joined(settings: Settings) -> Joined {
    let mut site = Site::new(forward::FAMILIES[0], settings);
    let listener = site.forwarder.listen_for_streams(at("127.0.0.1:0"), None, dscp(24)).unwrap();
    let address = site.forwarder.listener(listener).unwrap();
    let (client, peer, link, port) = one_more(&mut site, address);
    Joined { site, client, peer, link, port }
}

fn one_more(site: &mut Site, address: SocketAddr) -> (Socket, Socket, LinkId, PortId) {
    let client = connect(address);
    torn(&client, &binding());
    let known = install(site);
    let (port, there) = opened(site);
    let listening = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listening.bind(&at("127.0.0.1:0").into()).unwrap();
    listening.listen(1).unwrap();
    let at_peer = listening.local_addr().unwrap().as_socket().unwrap();
    let link = site.forwarder.dial(port, at_peer, dscp(46)).unwrap();
    site.until("a peer", |site| site.unknown.contains(&Unknown::Dialled { link }));
    let (peer, from) = listening.accept().unwrap();
    assert_eq!(from.as_socket().unwrap(), there, "it leaves from the relayed port");
    site.unknown.clear();
    site.forwarder.join(link, known, dscp(34), dscp(46));
    for end in [&client, &peer] {
        end.set_read_timeout(Some(forward::LONG)).unwrap();
    }
    (client, peer, link, port)
}

fn opened(site: &mut Site) -> (PortId, SocketAddr) {
    let relayed = site.leases.relay_streams(TrafficClass::Sharing).unwrap();
    let port = site.forwarder.open_for_streams(relayed).unwrap();
    (port, site.forwarder.port(port).unwrap())
}

/// Bytes that say where they stand.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect()
}

/// Sends from one end while the other reads, and the forwarder turns.
fn carried(site: &mut Site, mut from: &Socket, mut to: &Socket, sent: &[u8]) -> Vec<u8> {
    let mut heard = vec![0; sent.len()];
    thread::scope(|scope| {
        let sender = scope.spawn(|| from.write_all(sent).unwrap());
        let reader = scope.spawn(|| to.read_exact(&mut heard).unwrap());
        site.until("bytes", |_| sender.is_finished() && reader.is_finished());
    });
    heard
}

#[test]
fn what_is_joined_passes_whole_both_ways_and_is_counted() {
    let Joined { mut site, client, peer, port, .. } = joined(Settings::default());
    let sent = bytes(4 << 20);
    assert!(carried(&mut site, &client, &peer, &sent) == sent, "to the peer");
    assert!(carried(&mut site, &peer, &client, &sent) == sent, "to the client");
    let news: Vec<_> = site.forwarder.news().into_iter().filter(|(of, _)| *of == port).collect();
    let [(_, traffic)] = news[..] else { panic!("{news:?}") };
    assert_eq!((traffic.to_peer.bytes, traffic.to_client.bytes), (4 << 20, 4 << 20));
}

#[test]
fn whoever_is_not_read_stops_the_other_end_and_nothing_is_lost_or_piled_up() {
    let Joined { mut site, client, peer, .. } = joined(Settings::default());
    let sent = bytes(32 << 20);
    let mut heard = vec![0; sent.len()];
    thread::scope(|scope| {
        let sender = scope.spawn(|| (&client).write_all(&sent).unwrap());
        let waiting = |site: &Site| site.forwarder.connections().unwrap().buffered;
        site.until("a queue", |site| waiting(site) > 0);
        // The kernels' buffers are full, and no more is taken than one turn brings on top of what may wait.
        for _ in 0..200 {
            site.turn();
            assert!(waiting(&site) <= 256 << 10, "{}", waiting(&site));
        }
        assert!(!sender.is_finished());
        let reader = scope.spawn(|| (&peer).read_exact(&mut heard).unwrap());
        site.until("bytes", |_| sender.is_finished() && reader.is_finished());
    });
    assert!(heard == sent);
}

#[test]
fn a_budget_stops_a_connection_and_drops_nothing_of_it_and_another_budget_lets_it_go_on() {
    // What one turn reads costs minutes of this.
    let port = std::num::NonZeroU64::new(1 << 8);
    let budgets = Budgets { port, ..Budgets::default() };
    let Joined { mut site, client, peer, .. } = joined(Settings { budgets, ..Settings::default() });
    let (sent, mut passed) = (bytes(8 << 20), 0);
    let mut heard = vec![0; sent.len()];
    thread::scope(|scope| {
        let sender = scope.spawn(|| (&client).write_all(&sent).unwrap());
        let reader = scope.spawn(|| (&peer).read_exact(&mut heard).unwrap());
        let mut news = |site: &mut Site| {
            passed += site.forwarder.news().iter().map(|(_, traffic)| traffic.to_peer.bytes).sum::<u64>();
            passed
        };
        site.until("the first bytes", |site| news(site) > 0);
        let at_once = news(&mut site);
        for _ in 0..20 {
            site.turn();
        }
        assert_eq!(news(&mut site), at_once, "goes on over its budget");
        assert!(at_once < sent.len() as u64 / 2 && !reader.is_finished(), "{at_once}");
        site.forwarder.set_budgets(Budgets::default());
        site.until("all bytes", |_| sender.is_finished() && reader.is_finished());
    });
    assert!(heard == sent);
}

/// Audio of one user to a client, beside transfers of another at the budget of their site.
#[test]
fn audio_beside_transfers_at_a_budget_that_all_share_loses_nothing() {
    for transfers in [1, 4] {
        let group = std::num::NonZeroU64::new(250_000);
        let budgets = Budgets { group, ..Budgets::default() };
        let mut site = Site::new(forward::FAMILIES[0], Settings { budgets, ..Settings::default() });
        let listener = site.forwarder.listen_for_streams(at("127.0.0.1:0"), None, dscp(24)).unwrap();
        let address = site.forwarder.listener(listener).unwrap();
        let links: Vec<_> = (0..transfers).map(|_| one_more(&mut site, address)).collect();
        let rule = site.rule();
        site.forwarder.install(ID, rule).unwrap();
        site.forwarder.charge_to(rule.port, Account(7), Some(Account(1)));
        for (_, _, _, port) in &links {
            site.forwarder.charge_to(*port, Account(8), Some(Account(1)));
        }
        let sent = bytes(600_000 / transfers);
        thread::scope(|scope| {
            let mut ends = Vec::new();
            for (client, peer, ..) in &links {
                ends.push(scope.spawn(|| (&*peer).write_all(&sent).unwrap()));
                ends.push(scope.spawn(|| {
                    let mut heard = vec![0; sent.len()];
                    (&*client).read_exact(&mut heard).unwrap();
                    assert!(heard == sent);
                }));
            }
            let mut last = std::time::Instant::now();
            site.until("transfers", |site| {
                if last.elapsed() >= std::time::Duration::from_millis(20) {
                    last = std::time::Instant::now();
                    send(&site.peer, site.there(), &[vec![1; 172]]);
                }
                ends.iter().all(thread::ScopedJoinHandle::is_finished)
            });
        });
        assert!(site.count(Count::ToClient) > 10, "audio came to be forwarded");
        assert_eq!(site.count(Count::OverBudget), 0, "beside {transfers}");
    }
}

#[test]
fn the_end_of_one_is_the_end_of_both_after_all_that_was_said() {
    let Joined { mut site, client, peer, link, .. } = joined(Settings::default());
    let last = bytes(100_000);
    (&peer).write_all(&last).unwrap();
    drop(peer);
    site.until("the end", |site| site.unknown.contains(&Unknown::HungUp { link }));
    let mut heard = Vec::new();
    thread::scope(|scope| {
        let reader = scope.spawn(|| (&client).read_to_end(&mut heard).unwrap());
        site.until("bytes", |_| reader.is_finished());
    });
    assert!(heard == last);
    assert!(site.unknown.iter().filter(|unknown| matches!(unknown, Unknown::HungUp { .. })).count() == 1);
}

#[test]
fn who_connects_to_a_relayed_port_is_told_and_waits_and_a_closed_port_takes_nobody() {
    let Joined { mut site, client, peer, port, .. } = joined(Settings::default());
    let (second, there) = opened(&mut site);
    let other = connect(there);
    let here = other.local_addr().unwrap().as_socket().unwrap();
    site.until("a peer", |site| !site.unknown.is_empty());
    let Some(Unknown::Arrived { port: at_port, peer: from, link }) = site.unknown.pop() else { panic!() };
    assert_eq!((at_port, from), (second, here));
    site.forwarder.hang_up(link);
    site.forwarder.close(second).unwrap();
    site.forwarder.close(port).unwrap();
    for mut end in [&other, &client, &peer] {
        end.set_read_timeout(Some(forward::LONG)).unwrap();
        let mut heard = [0; 1];
        thread::scope(|scope| {
            let reader = scope.spawn(move || end.read(&mut heard).unwrap());
            site.until("the end", |_| reader.is_finished());
            assert_eq!(reader.join().unwrap(), 0);
        });
    }
    let refused = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap().connect(&there.into());
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_peer_that_refuses_is_told_of() {
    let Joined { mut site, link, port, .. } = joined(Settings::default());
    let nobody = at("127.0.0.1:1");
    let dialled = site.forwarder.dial(port, nobody, dscp(46)).unwrap();
    site.until("a refusal", |site| site.unknown.contains(&Unknown::HungUp { link: dialled }));
    assert_ne!(dialled, link);
}
