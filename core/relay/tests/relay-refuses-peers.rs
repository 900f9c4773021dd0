//! Whom nobody reaches through the relay, whatever words are used.
#![allow(clippy::unwrap_used)]

mod support;

use carillon_relay::{Config, Event, Output, Peers, Request};
use carillon_wire::stun::{Builder, Family, Method, kind};
use support::{Client, Edge, INSIDE_PEER, PEER, at, code, config, networks, to_peer};

/// An allocation with both families.
fn edge_with_both() -> (Edge, Client) {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    assert_eq!(alice.try_allocate(&mut edge, |b| b.family(kind::ADDITIONAL_ADDRESS_FAMILY, Family::V6)), 0);
    (edge, alice)
}

#[test]
fn forbidden_peers_get_neither_permission_nor_channel() {
    let (mut edge, mut alice) = edge_with_both();
    for peer in [
        "127.0.0.1:5000",
        "0.0.0.0:5000",
        "169.254.169.254:80",
        "192.168.0.1:5000",
        "172.16.0.1:5000",
        "100.64.0.1:5000",
        "224.0.0.1:5000",
        "255.255.255.255:5000",
        "[::1]:5000",
        "[::]:5000",
        "[fe80::1]:5000",
        "[fd00::1]:5000",
        "[ff02::1]:5000",
        "[::ffff:127.0.0.1]:5000",
        "[::ffff:8.8.8.8]:5000",
        "[64:ff9b::7f00:1]:5000",
        "[2002:7f00:1::]:5000",
        "[2001:0:7f00:1::]:5000",
    ] {
        assert_eq!(alice.permit(&mut edge, peer), 403, "{peer}");
        assert_eq!(alice.bind(&mut edge, 0x4000, peer), 403, "{peer}");
        assert_eq!(to_peer(&alice.send(&mut edge, peer, b"x")), None, "{peer}");
    }
    let view = edge.relay.allocations().next().unwrap();
    assert_eq!((view.permissions, view.channels.len(), edge.rules.len()), (0, 0, 0));
}

#[test]
fn internal_networks_are_reached_where_they_are_listed() {
    let (mut edge, mut alice) = edge_with_both();
    assert_eq!(alice.permit(&mut edge, INSIDE_PEER), 0);
    let mut edge = Edge::with(Config { peers: Peers::default(), ..config() });
    let mut alice = Client::alice();
    alice.allocate(&mut edge);
    assert_eq!(alice.permit(&mut edge, INSIDE_PEER), 403);
}

/// Two clients of one Edge meet at their relayed ports; whatever else is bound there stays out of reach, inside and outside.
#[test]
fn of_the_edge_itself_only_what_is_relayed_right_now_is_reached() {
    let (mut edge, mut alice) = edge_with_both();
    let mut bob = Client::new("bob", "builder").from("7.7.7.7:9");
    let relayed = bob.allocate(&mut edge).to_string();
    assert_eq!(alice.permit(&mut edge, "8.0.0.1:3478"), 0, "a permission is for an address");
    for (peer, expected) in [
        ("8.0.0.1:3478", 403),
        ("8.0.0.1:443", 403),
        ("10.0.0.1:5062", 403),
        // In the range of the plan, and nobody's.
        ("8.0.0.1:50077", 403),
        ("8.0.0.1:0", 403),
        (&relayed, 0),
    ] {
        assert_eq!(alice.bind(&mut edge, 0x4000, peer), expected, "{peer}");
    }
    assert_eq!(to_peer(&alice.send(&mut edge, "8.0.0.1:3478", b"x")), None);
    assert_eq!(edge.dropped("forbidden-peer"), 1);
    assert!(to_peer(&alice.send(&mut edge, &relayed, b"x")).is_some());
    assert_eq!(bob.refresh(&mut edge, 0), 0);
    assert_eq!(to_peer(&alice.send(&mut edge, &relayed, b"x")), None);
}

/// Ports of a plan that has moved them are reached for as long as they are relayed.
#[test]
fn another_plan_leaves_calls_between_two_clients_of_the_edge_alone() {
    let (mut edge, mut alice) = edge_with_both();
    let relayed = Client::new("bob", "builder").from("7.7.7.7:9").allocate(&mut edge).to_string();
    assert_eq!(alice.bind(&mut edge, 0x4000, &relayed), 0);
    edge.request(Request::Configure(Box::new(config())));
    assert_eq!((edge.rules.len(), alice.bind(&mut edge, 0x4000, &relayed)), (1, 0));
}

#[test]
fn one_forbidden_peer_of_many_spoils_the_request() {
    let (mut edge, mut alice) = edge_with_both();
    let ask = |peers: &[&str], alice: &mut Client, edge: &mut Edge| {
        let add = |b: Builder, peer: &&str| b.xor_address(kind::XOR_PEER_ADDRESS, at(peer));
        code(&alice.ask(edge, Method::CreatePermission, |b| peers.iter().fold(b, add)))
    };
    assert_eq!(ask(&[PEER, "127.0.0.1:1"], &mut alice, &mut edge), 403);
    assert_eq!(edge.relay.counts().permissions, 0);
    assert_eq!(ask(&[PEER, "9.9.9.8:1", "[2a01::1]:1", PEER], &mut alice, &mut edge), 0);
    assert_eq!(edge.relay.counts().permissions, 3);
    assert_eq!(ask(&[], &mut alice, &mut edge), 400);
}

#[test]
fn an_administrator_hears_who_asked_for_what() {
    let (mut edge, mut alice) = edge_with_both();
    let bytes =
        alice.proven(Method::CreatePermission, |b| b.xor_address(kind::XOR_PEER_ADDRESS, at("127.0.0.1:1")));
    let forbidden = Event::Forbidden { flow: alice.flow, peer: at("127.0.0.1:1") };
    assert!(edge.hear(alice.flow, &bytes).contains(&Output::Event(forbidden)));
}

/// Clients ask for every candidate of their peers: whoever sees that in a log must not take it for an attack. What the Edge
/// itself has, and what somebody has closed, is asked for by nobody in good faith.
#[test]
fn a_private_address_that_is_not_inside_is_a_candidate_and_nobody_alarms() {
    let peers = Peers {
        own: vec!["10.0.0.1".parse().unwrap()],
        denied: networks(&["10.9.0.0/16"]),
        ..Peers::default()
    };
    let (mut edge, mut alice) = (Edge::with(Config { peers, ..config() }), Client::alice());
    alice.allocate(&mut edge);
    for (peer, is_candidate) in [
        ("192.168.1.5:50000", true),
        ("10.8.0.1:50000", true),
        ("100.64.0.1:50000", true),
        // Where clouds keep their secrets.
        ("169.254.169.254:80", false),
        ("10.0.0.1:50000", false),
        ("10.9.0.1:50000", false),
        ("127.0.0.1:50000", false),
        ("224.0.0.1:50000", false),
        ("100.128.0.1:50000", false),
    ] {
        let (flow, asked) = (alice.flow, at(peer));
        let bytes = alice.proven(Method::CreatePermission, |b| b.xor_address(kind::XOR_PEER_ADDRESS, asked));
        let told = edge.hear(flow, &bytes);
        let noise = told.contains(&Output::Event(Event::CandidateCheck { flow, peer: asked }));
        let alarm = told.contains(&Output::Event(Event::Forbidden { flow, peer: asked }));
        let is_allowed = peer == "100.128.0.1:50000";
        assert_eq!((noise, alarm), (is_candidate, !is_candidate && !is_allowed), "{peer}");
    }
}

#[test]
fn a_peer_of_a_family_without_a_leg_is_a_mismatch() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    alice.allocate(&mut edge);
    assert_eq!(alice.permit(&mut edge, "[2a01::1]:1"), 443);
    assert_eq!(alice.bind(&mut edge, 0x4000, "[2a01::1]:1"), 443);
}

#[test]
fn peers_that_are_forbidden_later_are_cut_off_at_once() {
    let (mut edge, mut alice) = edge_with_both();
    alice.bind(&mut edge, 0x4000, INSIDE_PEER);
    alice.bind(&mut edge, 0x4001, PEER);
    let peers = Peers { denied: networks(&["10.0.0.0/8"]), ..config().peers };
    edge.request(Request::Configure(Box::new(Config { peers, ..config() })));
    assert_eq!(edge.rules.iter().map(|rule| rule.channel).collect::<Vec<_>>(), [0x4001]);
    assert_eq!(to_peer(&alice.send_on(&mut edge, 0x4000, b"x")), None);
    assert_eq!(to_peer(&alice.send(&mut edge, INSIDE_PEER, b"x")), None);
    assert!(to_peer(&alice.send_on(&mut edge, 0x4001, b"x")).is_some());
}
