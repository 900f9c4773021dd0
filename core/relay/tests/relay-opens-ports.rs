//! Ports: families, pairs, reservations, what the host cannot give, and what users may hold.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use carillon_relay::{
    Access, Config, Event, Limits, NotOpened, Output, PortId, Quota, Request, Wish, issue_at,
};
use carillon_wire::stun::{Builder, Family, Message, Method, kind};
use support::{Client, Edge, Host, START, answer, at, code, config};

const SECOND: Duration = Duration::from_secs(1);

fn limited(limits: Limits) -> Edge {
    Edge::with(Config { limits, ..config() })
}

fn number(number: u16) -> Client {
    Client::alice().from(&format!("7.7.7.7:{number}"))
}

/// XOR-RELAYED-ADDRESS may occur twice.
fn relayed(answered: &[u8]) -> Vec<SocketAddr> {
    let message = Message::parse(answered).unwrap();
    let all = message.counting().filter(|attribute| attribute.kind == kind::XOR_RELAYED_ADDRESS);
    all.map(|attribute| attribute.xor_address().unwrap()).collect()
}

fn allocate(client: &mut Client, edge: &mut Edge, build: impl FnOnce(Builder) -> Builder) -> Vec<u8> {
    client.fetch_nonce(edge);
    client.ask(edge, Method::Allocate, |b| build(b.requested_transport(17)))
}

#[test]
fn a_client_gets_the_family_that_it_asks_for_or_both() {
    let (requested, additional) = (kind::REQUESTED_ADDRESS_FAMILY, kind::ADDITIONAL_ADDRESS_FAMILY);
    for (kind, family, families) in [
        (requested, Family::V4, vec![true]),
        (requested, Family::V6, vec![false]),
        (additional, Family::V6, vec![true, false]),
    ] {
        let mut edge = Edge::new();
        let answered = allocate(&mut number(1), &mut edge, |b| b.family(kind, family));
        assert_eq!(relayed(&answered).iter().map(SocketAddr::is_ipv4).collect::<Vec<_>>(), families);
        assert_eq!(edge.ports.len(), families.len());
        edge.wait(SECOND * 600);
        edge.assert_empty();
    }
}

#[test]
fn a_family_that_the_relay_does_not_have_is_refused_and_one_of_two_is_told() {
    let mut edge = Edge::new();
    edge.host = Host::OpensOnly(Family::V4);
    let six = allocate(&mut number(1), &mut edge, |b| b.family(kind::REQUESTED_ADDRESS_FAMILY, Family::V6));
    assert_eq!(code(&six), 440);
    edge.assert_empty();
    let both = allocate(&mut number(2), &mut edge, |b| b.family(kind::ADDITIONAL_ADDRESS_FAMILY, Family::V6));
    assert_eq!((code(&both), relayed(&both).len()), (0, 1));
    let why = Message::parse(&both).unwrap().attribute(kind::ADDRESS_ERROR_CODE).unwrap().value;
    assert_eq!(why[..4], [2, 0, 4, 40]);
    assert_eq!(edge.relay.counts().ports, 1);
    edge.host = Host::Refuses(NotOpened::NoPort);
    let none = allocate(&mut number(3), &mut edge, |b| b.family(kind::ADDITIONAL_ADDRESS_FAMILY, Family::V6));
    assert_eq!(code(&none), 508);
    assert_eq!((edge.relay.counts().allocations, edge.relay.counts().ports), (1, 1));
}

#[test]
fn a_pair_is_reserved_for_its_user_and_given_for_its_token() {
    let mut edge = Edge::new();
    let first = allocate(&mut number(1), &mut edge, |b| b.attribute(kind::EVEN_PORT, &[0x80]));
    let rtp = relayed(&first)[0];
    let token = Message::parse(&first).unwrap().reservation_token().unwrap();
    assert_eq!((rtp.port() % 2, edge.ports.len(), edge.relay.counts().ports), (0, 2, 2));
    let mut bob = Client::new("bob", "builder").from("7.7.7.7:9");
    assert_eq!(code(&allocate(&mut bob, &mut edge, |b| b.u64(kind::RESERVATION_TOKEN, token))), 508);
    let second = allocate(&mut number(2), &mut edge, |b| b.u64(kind::RESERVATION_TOKEN, token));
    assert_eq!(relayed(&second), [SocketAddr::new(rtp.ip(), rtp.port() + 1)]);
    assert_eq!((edge.ports.len(), edge.relay.counts().ports), (2, 2));
    assert_eq!(code(&allocate(&mut number(3), &mut edge, |b| b.u64(kind::RESERVATION_TOKEN, token))), 508);
    edge.wait(SECOND * 600);
    edge.assert_empty();
}

/// It is opened only then, and may be somebody else's by then.
#[test]
fn a_reserved_port_that_cannot_be_opened_is_no_capacity_and_gone() {
    let mut edge = Edge::new();
    let first = allocate(&mut number(1), &mut edge, |b| b.attribute(kind::EVEN_PORT, &[0x80]));
    let token = Message::parse(&first).unwrap().reservation_token().unwrap();
    let reserved = edge.ports[1];
    edge.host = Host::Refuses(NotOpened::NoPort);
    assert_eq!(code(&allocate(&mut number(2), &mut edge, |b| b.u64(kind::RESERVATION_TOKEN, token))), 508);
    assert!(!edge.ports.contains(&reserved));
    assert_eq!((edge.relay.counts().ports, edge.relay.counts().allocations), (1, 1));
    edge.wait(SECOND * 600);
    edge.assert_empty();
}

#[test]
fn a_reservation_that_nobody_comes_for_ends_after_thirty_seconds() {
    let mut edge = Edge::new();
    allocate(&mut number(1), &mut edge, |b| b.attribute(kind::EVEN_PORT, &[0x80]));
    edge.wait(SECOND * 29);
    assert_eq!(edge.ports.len(), 2);
    edge.wait(SECOND);
    assert_eq!((edge.ports.len(), edge.relay.counts().ports), (1, 1));
}

#[test]
fn an_even_port_alone_reserves_nothing() {
    let mut edge = Edge::new();
    let answered = allocate(&mut number(1), &mut edge, |b| b.attribute(kind::EVEN_PORT, &[0]));
    assert_eq!(relayed(&answered)[0].port() % 2, 0);
    assert_eq!((Message::parse(&answered).unwrap().reservation_token(), edge.ports.len()), (None, 1));
}

#[test]
fn the_answer_waits_for_the_host_and_a_retransmission_asks_for_no_second_port() {
    let (mut edge, mut alice) = (Edge::new(), number(1));
    alice.fetch_nonce(&mut edge);
    edge.host = Host::Waits;
    let bytes = alice.proven(Method::Allocate, |b| b.requested_transport(17));
    assert_eq!(answer(&edge.hear(alice.flow, &bytes)), None);
    assert_eq!(edge.hear(alice.flow, &bytes), []);
    let [Wish { id, family: Family::V4, even: false, next: false, .. }] = edge.wishes[..] else { panic!() };
    edge.ports.push(PortId(9));
    let opened = Request::Opened { wish: id, port: PortId(9), relayed: at("8.0.0.1:50009"), next: None };
    let answered = answer(&edge.request(opened.clone())).unwrap();
    assert_eq!(relayed(&answered), [at("8.0.0.1:50009")]);
    assert!(Message::parse(&answered).unwrap().message_integrity().is_some());
    // An answer that comes twice, or too late, opens a port that nobody wants.
    let Request::Opened { wish, relayed, .. } = opened else { panic!() };
    edge.ports.push(PortId(10));
    let twice = edge.request(Request::Opened { wish, port: PortId(10), relayed, next: None });
    assert_eq!(twice, [Output::Close(PortId(10))]);
}

#[test]
fn a_host_that_does_not_answer_is_not_waited_for() {
    let (mut edge, mut alice) = (Edge::new(), number(1));
    alice.fetch_nonce(&mut edge);
    edge.host = Host::Waits;
    let bytes =
        alice.proven(Method::Allocate, |b| b.requested_transport(17).attribute(kind::EVEN_PORT, &[0x80]));
    edge.hear(alice.flow, &bytes);
    assert_eq!(edge.wait(SECOND * 4), []);
    assert_eq!(code(&answer(&edge.wait(SECOND)).unwrap()), 508);
    edge.assert_empty();
    // The client goes away meanwhile.
    let mut alice = number(2);
    alice.fetch_nonce(&mut edge);
    let bytes = alice.proven(Method::Allocate, |b| b.requested_transport(17));
    edge.hear(alice.flow, &bytes);
    edge.request(Request::Closed(alice.flow));
    edge.assert_empty();
    let wish = edge.wishes.last().unwrap().id;
    edge.ports.push(PortId(3));
    let late =
        edge.request(Request::Opened { wish, port: PortId(3), relayed: at("8.0.0.1:50003"), next: None });
    assert_eq!(late, [Output::Close(PortId(3))]);
}

#[test]
fn a_user_has_a_quota_and_so_has_the_relay() {
    let mut edge = limited(Limits { ports_per_user: 2, ports: 3, ..Limits::default() });
    assert_eq!(code(&allocate(&mut number(1), &mut edge, |b| b)), 0);
    let pair = allocate(&mut number(2), &mut edge, |b| b.attribute(kind::EVEN_PORT, &[0x80]));
    assert_eq!(code(&pair), 486);
    assert_eq!(code(&allocate(&mut number(2), &mut edge, |b| b)), 0);
    assert_eq!(code(&allocate(&mut number(3), &mut edge, |b| b)), 486);
    let bob = |port: u16| Client::new("bob", "builder").from(&format!("7.7.7.7:{port}"));
    assert_eq!(code(&allocate(&mut bob(4), &mut edge, |b| b)), 0);
    assert_eq!(code(&allocate(&mut bob(5), &mut edge, |b| b)), 508);
    edge.wait(SECOND * 600);
    assert_eq!(code(&allocate(&mut number(3), &mut edge, |b| b)), 0, "what has ended counts no longer");
}

/// The user `name` of a site, with a credential that says so.
fn of_site(name: &str, site: Option<&str>, port: u16) -> Client {
    let made = issue_at("north", name, site, None, START + SECOND * 3600);
    Client::new(&made.username, &made.password).from(&format!("7.7.7.7:{port}"))
}

#[test]
fn all_users_of_a_site_have_a_quota_together_and_who_is_refused_is_told_which() {
    let access = Access { secrets: vec!["north".to_owned()], ..Access::default() };
    let limits = Limits { ports_per_user: 2, ports_per_site: 3, ..Limits::default() };
    let mut edge = Edge::with(Config { access, limits, ..config() });
    let mut ask = |name: &str, site: Option<&str>, port: u16| {
        let answer = allocate(&mut of_site(name, site, port), &mut edge, |b| b);
        let message = Message::parse(&answer).unwrap();
        message.error_code().map_or((0, String::new()), |error| (error.code, error.reason.to_owned()))
    };
    let refused = |reason: &str| (486, reason.to_owned());
    assert_eq!([1, 2].map(|port| ask("alice", Some("Rome"), port).0), [0, 0]);
    assert_eq!(ask("alice", Some("Rome"), 3), refused("Allocation Quota Reached"));
    assert_eq!(ask("bob", Some("Rome"), 4).0, 0);
    assert_eq!(ask("bob", Some("Rome"), 5), refused("Allocation Quota of the Site Reached"));
    assert_eq!(ask("carol", Some("Rome"), 6), refused("Allocation Quota of the Site Reached"));
    assert_eq!([ask("dave", Some("Oslo"), 7).0, ask("erin", None, 8).0], [0, 0], "others have their own");
    let counts = edge.relay.counts();
    assert_eq!(counts.quotas, [("user", 1), ("site", 2)].into());
    assert_eq!(counts.sites, [("Oslo".to_owned(), 1), ("Rome".to_owned(), 3)].into());
    edge.wait(SECOND * 600);
    assert!(edge.relay.counts().sites.is_empty());
    assert_eq!(code(&allocate(&mut of_site("carol", Some("Rome"), 6), &mut edge, |b| b)), 0);
}

#[test]
fn a_refusal_for_the_quota_of_a_site_is_an_event_that_names_the_site() {
    let access = Access { secrets: vec!["north".to_owned()], ..Access::default() };
    let limits = Limits { ports_per_site: 1, ..Limits::default() };
    let mut edge = Edge::with(Config { access, limits, ..config() });
    assert_eq!(code(&allocate(&mut of_site("alice", Some("Rome"), 1), &mut edge, |b| b)), 0);
    let mut bob = of_site("bob", Some("Rome"), 2);
    bob.fetch_nonce(&mut edge);
    let bytes = bob.proven(Method::Allocate, |b| b.requested_transport(17));
    let expected = Event::QuotaReached { quota: Quota::Site, site: Some("Rome".into()) };
    assert!(edge.hear(bob.flow, &bytes).contains(&Output::Event(expected)));
}

/// What a user's ports carry is bounded together: the host is told which belong together.
#[test]
fn ports_of_a_user_have_one_account_and_those_of_another_have_another() {
    let mut edge = Edge::new();
    let account = |outputs: &[Output]| {
        let wishes = outputs.iter().filter_map(|output| match output {
            Output::Open(wish) => Some(wish.account),
            _ => None,
        });
        wishes.collect::<Vec<_>>()
    };
    let mut ask = |mut client: Client| {
        client.fetch_nonce(&mut edge);
        let bytes = client.proven(Method::Allocate, |b| b.requested_transport(17));
        account(&edge.hear(client.flow, &bytes))
    };
    let (one, two, bob) =
        (ask(number(1)), ask(number(2)), ask(Client::new("bob", "builder").from("7.7.7.7:9")));
    assert_eq!((one.len(), &one), (1, &two));
    assert_ne!(one, bob);
}

#[test]
fn permissions_and_channels_of_an_allocation_are_bounded() {
    let mut edge = limited(Limits { permissions: 2, channels: 1, ..Limits::default() });
    let mut alice = number(1);
    alice.allocate(&mut edge);
    assert_eq!(alice.bind(&mut edge, 0x4000, "9.9.9.1:1"), 0);
    assert_eq!(alice.bind(&mut edge, 0x4001, "9.9.9.1:2"), 508);
    assert_eq!(alice.permit(&mut edge, "9.9.9.2:1"), 0);
    assert_eq!(alice.permit(&mut edge, "9.9.9.3:1"), 508);
    assert_eq!(alice.permit(&mut edge, "9.9.9.1:1"), 0, "a refresh is no new one");
}

#[test]
fn a_relay_that_is_drained_takes_on_nobody_and_serves_whom_it_has() {
    let (mut edge, mut alice) = (Edge::new(), number(1));
    alice.allocate(&mut edge);
    edge.request(Request::Drain { alternates: vec![at("[2a00::2]:3478"), at("8.0.0.2:3478")] });
    assert_eq!((alice.refresh(&mut edge, 600), alice.bind(&mut edge, 0x4000, support::PEER)), (0, 0));
    let answered = allocate(&mut number(2), &mut edge, |b| b);
    let message = Message::parse(&answered).unwrap();
    assert_eq!(code(&answered), 300);
    assert_eq!(message.attribute(kind::ALTERNATE_SERVER).unwrap().address(), Some(at("8.0.0.2:3478")));
    assert!(message.message_integrity().is_some(), "nobody else may send clients elsewhere");
    edge.request(Request::Drain { alternates: Vec::new() });
    assert_eq!(code(&allocate(&mut number(3), &mut edge, |b| b)), 508);
}

#[test]
fn channels_of_rfc_5766_are_bound_where_that_is_configured() {
    let mut edge = Edge::with(Config { channels_of_rfc5766: true, ..config() });
    let mut alice = number(1);
    alice.allocate(&mut edge);
    assert_eq!(alice.bind(&mut edge, 0x7fff, support::PEER), 0);
    assert!(support::to_peer(&alice.send_on(&mut edge, 0x7fff, b"x")).is_some());
    assert_eq!(alice.bind(&mut edge, 0x8000, "9.9.9.9:1"), 400);
}
