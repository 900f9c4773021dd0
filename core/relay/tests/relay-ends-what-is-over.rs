//! Lifetimes: allocations, permissions, channels, connections; in the end nothing is left.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use carillon_relay::{Event, Output, Request, Transport};
use carillon_wire::stun::{Family, Method, kind};
use support::{Client, Edge, PEER, code, to_peer};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_allocation_that_nobody_refreshes_ends_after_ten_minutes() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    alice.allocate(&mut edge);
    alice.bind(&mut edge, 0x4000, PEER);
    let port = edge.ports[0];
    edge.wait(SECOND * 599);
    assert_eq!(edge.relay.counts().allocations, 1);
    let outputs = edge.wait(SECOND);
    assert!(outputs.contains(&Output::Close(port)) && outputs.contains(&Output::Distrust(alice.flow)));
    let is_end = |output: &Output| matches!(output, Output::Event(Event::Released { age, .. }) if *age == SECOND * 600);
    assert_eq!(outputs.iter().filter(|output| is_end(output)).count(), 1);
    edge.assert_empty();
    assert_eq!(alice.send_on(&mut edge, 0x4000, b"late"), []);
}

#[test]
fn lifetimes_are_granted_within_limits() {
    for (asked, granted) in
        [(None, 600), (Some(1), 600), (Some(600), 600), (Some(1800), 1800), (Some(u32::MAX), 3600)]
    {
        let (mut edge, mut alice) = (Edge::new(), Client::alice());
        alice.fetch_nonce(&mut edge);
        let build = |b: carillon_wire::stun::Builder| match asked {
            Some(asked) => b.requested_transport(17).u32(kind::LIFETIME, asked),
            None => b.requested_transport(17),
        };
        let answered = alice.ask(&mut edge, Method::Allocate, build);
        assert_eq!(carillon_wire::stun::Message::parse(&answered).unwrap().lifetime(), Some(granted));
        edge.wait(SECOND * (granted - 1));
        assert_eq!(edge.ports.len(), 1, "{asked:?}");
        edge.wait(SECOND);
        edge.assert_empty();
    }
}

#[test]
fn a_permission_ends_after_five_minutes_and_its_channels_rule_with_it() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    alice.allocate(&mut edge);
    alice.refresh(&mut edge, 3600);
    alice.bind(&mut edge, 0x4000, PEER);
    edge.wait(SECOND * 299);
    assert_eq!(edge.rules.len(), 1);
    assert!(!edge.hear_peer(edge.ports[0], PEER, b"x").is_empty());
    edge.wait(SECOND);
    assert_eq!(edge.rules.len(), 0);
    assert_eq!(edge.hear_peer(edge.ports[0], PEER, b"x"), []);
    // The channel is bound for ten minutes: what the client sends passes, without a rule.
    assert!(to_peer(&alice.send_on(&mut edge, 0x4000, b"x")).is_some());
    assert_eq!(alice.permit(&mut edge, PEER), 0);
    assert_eq!(edge.rules.len(), 1);
    edge.wait(SECOND * 299);
    assert_eq!(edge.rules.len(), 1, "599 s after the binding");
    edge.wait(SECOND);
    assert_eq!((edge.rules.len(), edge.relay.counts().channels, edge.relay.counts().permissions), (0, 0, 0));
    assert_eq!(to_peer(&alice.send_on(&mut edge, 0x4000, b"x")), None);
}

#[test]
fn binding_again_prolongs_channel_and_permission_and_keeps_the_rule() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    alice.allocate(&mut edge);
    alice.refresh(&mut edge, 3600);
    alice.bind(&mut edge, 0x4000, PEER);
    let id = edge.rules[0].id;
    for _ in 0..2 {
        edge.wait(SECOND * 290);
        assert_eq!(alice.bind(&mut edge, 0x4000, PEER), 0);
    }
    edge.wait(SECOND * 299);
    assert_eq!(support::rule_ids(&edge), [id]);
    edge.wait(SECOND);
    assert_eq!(edge.rules.len(), 0);
}

#[test]
fn a_channel_is_bound_to_one_peer_and_a_peer_to_one_channel() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    alice.allocate(&mut edge);
    assert_eq!(alice.bind(&mut edge, 0x4000, PEER), 0);
    for (channel, peer, expected) in [
        (0x4000, "9.9.9.9:40001", 400),
        (0x4001, PEER, 400),
        (0x4001, "9.9.9.9:40001", 0),
        (0x4000, PEER, 0),
        (0x3fff, "9.9.9.9:2", 400),
        (0x5000, "9.9.9.9:2", 400),
    ] {
        assert_eq!(alice.bind(&mut edge, channel, peer), expected, "{channel:x} {peer}");
    }
    assert_eq!(edge.rules.len(), 2);
}

#[test]
fn a_refresh_of_zero_ends_it_and_the_next_one_finds_nothing() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    alice.allocate(&mut edge);
    alice.bind(&mut edge, 0x4000, PEER);
    assert_eq!(alice.refresh(&mut edge, 0), 0);
    edge.assert_empty();
    assert_eq!(alice.refresh(&mut edge, 0), 437);
    assert_eq!((alice.permit(&mut edge, PEER), alice.bind(&mut edge, 0x4000, PEER)), (437, 437));
    assert_eq!(alice.try_allocate(&mut edge, |b| b), 0, "the flow is free again");
}

#[test]
fn a_leg_may_end_before_the_other() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    assert_eq!(alice.try_allocate(&mut edge, |b| b.family(kind::ADDITIONAL_ADDRESS_FAMILY, Family::V6)), 0);
    assert_eq!(alice.bind(&mut edge, 0x4000, "[2a01::1]:5"), 0);
    assert_eq!(alice.bind(&mut edge, 0x4001, PEER), 0);
    let end = |family| {
        move |b: carillon_wire::stun::Builder| {
            b.u32(kind::LIFETIME, 0).family(kind::REQUESTED_ADDRESS_FAMILY, family)
        }
    };
    assert_eq!(code(&alice.ask(&mut edge, Method::Refresh, end(Family::V6))), 0);
    assert_eq!((edge.ports.len(), edge.rules.len(), edge.rules[0].channel), (1, 1, 0x4001));
    assert_eq!(code(&alice.ask(&mut edge, Method::Refresh, end(Family::V6))), 443);
    assert_eq!(code(&alice.ask(&mut edge, Method::Refresh, end(Family::V4))), 0);
    edge.assert_empty();
}

#[test]
fn an_allocation_ends_with_its_connection() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice().over(Transport::Tcp));
    alice.allocate(&mut edge);
    alice.bind(&mut edge, 0x4000, PEER);
    let mut other = alice.flow;
    other.connection += 1;
    edge.request(Request::Closed(other));
    assert_eq!(edge.ports.len(), 1);
    edge.request(Request::Closed(alice.flow));
    edge.assert_empty();
}

#[test]
fn a_stream_that_is_no_turn_is_ended_and_a_datagram_dropped() {
    let mut edge = Edge::new();
    let tcp = Client::alice().over(Transport::Tcp).flow;
    assert_eq!(edge.hear(tcp, b"GET / HTTP/1.1\r\n\r\n"), []);
    assert_eq!(edge.hear(tcp, b"\x16\x03\x01\x00\x05hello"), [Output::Disconnect(tcp)]);
    assert_eq!(edge.hear(Client::alice().flow, b"\x16\x03\x01\x00\x05hello"), []);
    assert_eq!((edge.dropped("garbage"), edge.dropped("no-allocation")), (2, 1));
}
