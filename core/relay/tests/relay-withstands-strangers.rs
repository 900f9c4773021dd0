//! What those cost who have proven nothing: little, and never more than a bounded number of small answers.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use carillon_relay::{Config, Limits, Output, Rate, Transport};
use carillon_wire::stun::{Builder, Class, Message, Method, kind};
use support::{Client, Edge, PEER, answer, at, code, config};

fn strict() -> Edge {
    let rate = |per_second, at_once| Rate { per_second, at_once };
    let limits = Limits {
        answers: rate(1, 5),
        bindings: rate(1, 5),
        proofs: rate(10, 50),
        requests: rate(1, 20),
        ..Limits::default()
    };
    Edge::with(Config { limits, ..config() })
}

#[test]
fn binding_needs_no_proof_and_its_answer_is_hardly_longer_than_the_question() {
    let mut edge = Edge::new();
    for (remote, longest) in [("7.7.7.7:1234", 12), ("[2a01::7]:1234", 24)] {
        let flow = Client::alice().from(remote).flow;
        for with_fingerprint in [false, true] {
            let builder = Builder::new(Class::Request, Method::Binding, [3; 12]);
            let builder = if with_fingerprint { builder.fingerprint() } else { builder };
            let bytes = builder.finish().unwrap();
            let answered = answer(&edge.hear(flow, &bytes)).unwrap();
            let message = Message::parse(&answered).unwrap();
            assert_eq!((message.class(), message.xor_mapped_address()), (Class::Success, Some(flow.remote)));
            assert_eq!(answered.len() - bytes.len(), longest);
        }
    }
}

#[test]
fn a_source_is_answered_so_often_and_then_dropped_before_it_is_read() {
    let (mut edge, mut alice) = (strict(), Client::alice());
    let bare = alice.bare(Method::Allocate, |b| b.requested_transport(17));
    let binding = alice.bare(Method::Binding, |b| b);
    let answers =
        |edge: &mut Edge, bytes: &[u8]| (0..20).filter(|_| !edge.hear(alice.flow, bytes).is_empty()).count();
    // Each has a bucket of its own: who asks for its address keeps nobody from allocating.
    assert_eq!((answers(&mut edge, &binding), answers(&mut edge, &bare)), (5, 5));
    assert_eq!(edge.dropped("too-many-from-source"), 30);
    // Garbage is not even looked at now.
    edge.hear(alice.flow, b"\x01garbage");
    assert_eq!((edge.dropped("garbage"), edge.dropped("too-many-from-source")), (0, 31));
    // Somebody else is answered, and the same source after a while.
    assert!(!edge.hear(alice.clone().from("7.7.7.8:1").flow, &binding).is_empty());
    edge.wait(Duration::from_secs(2));
    assert_eq!((answers(&mut edge, &binding), answers(&mut edge, &bare)), (2, 2));
}

/// Phones of an office, whose address somebody writes on packets: he has never heard a nonce that was given there.
#[test]
fn who_shows_a_nonce_of_ours_is_heard_while_the_address_is_flooded() {
    let (mut edge, mut alice) = (strict(), Client::alice());
    alice.fetch_nonce(&mut edge);
    let flood = Client::new("mallory", "guess").from("7.7.7.7:6666").flow;
    let stale = {
        let mut elsewhere = Client::alice().from("7.7.7.8:1");
        elsewhere.fetch_nonce(&mut edge);
        elsewhere.proven(Method::Allocate, |b| b.requested_transport(17))
    };
    let (binding, bare) =
        (alice.bare(Method::Binding, |b| b), alice.bare(Method::Allocate, |b| b.requested_transport(17)));
    for _ in 0..10 {
        for bytes in [&binding, &bare, &stale] {
            edge.hear(flood, bytes);
        }
    }
    let allocate = alice.proven(Method::Allocate, |b| b.requested_transport(17));
    assert!(edge.relay.recognises(edge.now, alice.flow.remote, &allocate));
    assert!(![&binding, &bare, &stale].iter().any(|bytes| edge.relay.recognises(
        edge.now,
        flood.remote,
        bytes
    )));
    assert_eq!(code(&answer(&edge.hear(alice.flow, &allocate)).unwrap()), 0);
    // An old nonce is enough to be told the new one, if the password is proven.
    let mut bob = Client { nonce: alice.nonce.clone(), ..Client::new("bob", "builder").from("7.7.7.7:9") };
    edge.wait(Duration::from_secs(601));
    (0..10).for_each(|_| drop(edge.hear(flood, &bare)));
    assert_eq!(bob.try_allocate(&mut edge, |b| b), 438);
}

/// It would wait for an answer for forty seconds (RFC 8489, 6.2.2).
#[test]
fn a_stream_that_is_not_listened_to_any_more_is_ended() {
    for (method, allocated) in [(Method::Binding, false), (Method::Allocate, false), (Method::Refresh, true)]
    {
        let (mut edge, mut alice) = (strict(), Client::alice().over(Transport::Tcp));
        if allocated {
            alice.allocate(&mut edge);
        }
        let is_end =
            |outputs: &[Output]| matches!(outputs, [Output::Disconnect(flow)] if *flow == alice.flow);
        let bytes = Client::clone(&alice).bare(method, |b| b.requested_transport(17));
        let ends = (0..10).filter(|_| is_end(&edge.hear(alice.flow, &bytes))).count();
        // Whoever has an allocation does not lose it by what others behind its address do.
        assert_eq!(ends > 0, !allocated, "{method:?}");
    }
}

#[test]
fn who_has_an_allocation_asks_so_often_and_no_more() {
    let (mut edge, mut alice) = (strict(), Client::alice());
    alice.allocate(&mut edge);
    let bytes = alice.proven(Method::CreatePermission, |b| b.xor_address(kind::XOR_PEER_ADDRESS, at(PEER)));
    let answers = (0..30).filter(|_| !edge.hear(alice.flow, &bytes).is_empty()).count();
    assert_eq!((answers, edge.dropped("too-many-from-client")), (20, 10));
    edge.wait(Duration::from_secs(1));
    assert_eq!(alice.refresh(&mut edge, 600), 0);
}

#[test]
fn who_has_an_allocation_is_heard_while_others_behind_the_same_address_flood() {
    let (mut edge, mut alice) = (strict(), Client::alice());
    alice.allocate(&mut edge);
    let mut flood = Client::new("mallory", "guess").from("7.7.7.7:6666");
    flood.nonce = alice.nonce.clone();
    for _ in 0..100 {
        let bytes = flood.proven(Method::Allocate, |b| b.requested_transport(17));
        edge.hear(flood.flow, &bytes);
        flood.transaction = 0;
    }
    assert!(edge.dropped("too-many-from-source") > 90);
    assert_eq!((alice.refresh(&mut edge, 600), alice.bind(&mut edge, 0x4000, PEER)), (0, 0));
}

/// Many phones may sign in from behind one address.
#[test]
fn proofs_that_hold_cost_a_source_no_answer() {
    let (mut edge, mut alice) = (strict(), Client::alice());
    alice.fetch_nonce(&mut edge);
    for port in 1..30 {
        let mut client = alice.clone().from(&format!("7.7.7.7:{port}"));
        assert_eq!(client.try_allocate(&mut edge, |b| b), 0, "{port}");
    }
}

#[test]
fn attributes_that_have_to_be_understood_and_are_not_are_named() {
    let mut edge = Edge::new();
    let mut alice = Client::alice();
    let binding = alice.bare(Method::Binding, |b| b.attribute(0x0003, &[0, 0, 0, 2]).attribute(0x7777, &[]));
    let answered = answer(&edge.hear(alice.flow, &binding)).unwrap();
    assert_eq!(code(&answered), 420);
    let listed = Message::parse(&answered).unwrap().attribute(kind::UNKNOWN_ATTRIBUTES).unwrap().value;
    assert_eq!(listed, [0, 3, 0x77, 0x77]);
    // Those that may be left alone are, and so is what only proven clients may ask.
    assert_eq!(
        alice.try_allocate(&mut edge, |b| b.attribute(0x8030, &[]).attribute(kind::SOFTWARE, b"x")),
        0
    );
    let mut bob = Client::new("bob", "builder").from("7.7.7.7:2");
    assert_eq!(bob.try_allocate(&mut edge, |b| b.attribute(0x7777, &[1])), 420);
    let unproven = bob.bare(Method::Allocate, |b| b.requested_transport(17).attribute(0x7777, &[1]));
    assert_eq!(code(&answer(&edge.hear(bob.flow, &unproven)).unwrap()), 401);
}

#[test]
fn where_packets_cannot_be_kept_whole_that_wish_is_unknown() {
    for (forbids_fragments, expected) in [(true, 0), (false, 420)] {
        let mut edge = Edge::with(Config { forbids_fragments, ..config() });
        assert_eq!(
            Client::alice().try_allocate(&mut edge, |b| b.attribute(kind::DONT_FRAGMENT, &[])),
            expected
        );
    }
}

#[test]
fn what_has_no_meaning_here_is_dropped_and_counted() {
    let mut edge = Edge::new();
    let flow = Client::alice().flow;
    for (class, method, counter) in [
        (Class::Success, Method::Binding, "unexpected"),
        (Class::Error, Method::Allocate, "unexpected"),
        (Class::Indication, Method::Data, "unexpected"),
        (Class::Request, Method::Send, "unexpected"),
        (Class::Request, Method::ConnectionAttempt, "unexpected"),
        (Class::Request, Method::Other(0x123), "unexpected"),
        (Class::Indication, Method::Send, "no-allocation"),
    ] {
        let before = edge.dropped(counter);
        let bytes = Builder::new(class, method, [0; 12]).finish().unwrap();
        assert_eq!(edge.hear(flow, &bytes), []);
        assert_eq!(edge.dropped(counter), before + 1, "{class:?} {method:?}");
    }
    let keep_alive = Builder::new(Class::Indication, Method::Binding, [0; 12]).finish().unwrap();
    assert_eq!(edge.hear(flow, &keep_alive), []);
    let mut wrong = Builder::new(Class::Request, Method::Binding, [0; 12]).fingerprint().finish().unwrap();
    wrong[10] ^= 1;
    assert_eq!(edge.hear(flow, &wrong), []);
    assert_eq!(edge.dropped("wrong-fingerprint"), 1);
    assert_eq!(edge.relay.counts().dropped.values().sum::<u64>(), 8);
}
