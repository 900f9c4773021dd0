//! From the first challenge to a forwarding rule, and what passes with and without one.
#![allow(clippy::unwrap_used)]

mod support;

use carillon_qos::TrafficClass;
use carillon_relay::{Icmp, Output, Request, Tally, Transport};
use carillon_wire::stun::{Builder, ChannelData, Class, Message, Method, kind};
use support::{Client, Edge, INSIDE_PEER, PEER, answer, at, to_peer};

#[test]
fn a_client_proves_itself_allocates_binds_and_a_rule_carries_its_media() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    let relayed = alice.allocate(&mut edge);
    assert_eq!(relayed, at("8.0.0.1:50000"));
    assert_eq!(alice.bind(&mut edge, 0x4000, PEER), 0);
    let [rule] = edge.rules[..] else { panic!("{:?}", edge.rules) };
    assert_eq!(
        (rule.client, rule.channel, rule.port, rule.peer),
        (alice.flow, 0x4000, edge.ports[0], at(PEER))
    );
    assert_eq!((rule.to_client, rule.to_peer), (None, None));
    assert_eq!(alice.refresh(&mut edge, 0), 0);
    edge.assert_empty();
}

#[test]
fn the_answer_to_allocate_says_both_addresses_and_the_lifetime_and_is_sealed() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    alice.fetch_nonce(&mut edge);
    let bytes = alice.proven(Method::Allocate, |b| b.requested_transport(17).u32(kind::LIFETIME, 1200));
    let answered = answer(&edge.hear(alice.flow, &bytes)).unwrap();
    let message = Message::parse(&answered).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Success, Method::Allocate));
    assert_eq!(message.transaction_id(), Message::parse(&bytes).unwrap().transaction_id());
    assert_eq!(message.xor_mapped_address(), Some(alice.flow.remote));
    assert_eq!(message.xor_relayed_address(), Some(at("8.0.0.1:50000")));
    assert_eq!(message.lifetime(), Some(1200));
    assert!(message.message_integrity().is_some());
    // The same request again: the same answer, and no second port.
    assert_eq!(answer(&edge.hear(alice.flow, &bytes)), Some(answered));
    assert_eq!(edge.ports.len(), 1);
}

#[test]
fn without_a_rule_media_passes_by_indications() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    alice.allocate(&mut edge);
    assert_eq!(to_peer(&alice.send(&mut edge, PEER, b"early")), None);
    assert_eq!(alice.permit(&mut edge, PEER), 0);
    assert_eq!(to_peer(&alice.send(&mut edge, PEER, b"hello")), Some((at(PEER), None, b"hello".to_vec())));
    let heard = answer(&edge.hear_peer(edge.ports[0], "9.9.9.9:41000", b"any port of the peer")).unwrap();
    let message = Message::parse(&heard).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::Data));
    assert_eq!(message.xor_peer_address(), Some(at("9.9.9.9:41000")));
    assert_eq!(message.data(), Some(&b"any port of the peer"[..]));
    assert_eq!(answer(&edge.hear_peer(edge.ports[0], "9.9.9.8:40000", b"a stranger")), None);
    assert_eq!(edge.dropped("no-permission"), 2);
}

/// What reaches the core although there is a rule passes as the rule would carry it.
#[test]
fn a_channel_carries_both_ways_without_its_rule_too() {
    for (transport, padded) in [(Transport::Udp, 0), (Transport::Tcp, 3), (Transport::Tls, 3)] {
        let (mut edge, mut alice) = (Edge::new(), Client::alice().over(transport));
        alice.allocate(&mut edge);
        assert_eq!(alice.bind(&mut edge, 0x4fff, PEER), 0);
        assert_eq!(
            to_peer(&alice.send_on(&mut edge, 0x4fff, b"12345")),
            Some((at(PEER), None, b"12345".to_vec()))
        );
        let heard = answer(&edge.hear_peer(edge.ports[0], PEER, b"54321")).unwrap();
        assert_eq!(heard.len(), 9 + padded);
        assert_eq!(ChannelData::parse_relayed(&heard).unwrap().data, b"54321");
        assert_eq!(alice.send_on(&mut edge, 0x4001, b"unbound"), []);
        assert_eq!(edge.dropped("no-channel"), 1);
    }
}

#[test]
fn what_goes_inside_has_its_class_and_what_goes_outside_has_none() {
    let audio = Some(TrafficClass::Audio);
    for (remote, peer, to_client, to_peer_class) in [
        ("7.7.7.7:1234", INSIDE_PEER, None, audio),
        ("10.0.0.5:1234", PEER, audio, None),
        ("10.0.0.5:1234", INSIDE_PEER, audio, audio),
        ("7.7.7.7:1234", PEER, None, None),
    ] {
        let (mut edge, mut alice) = (Edge::new(), Client::alice().from(remote).on(1));
        alice.allocate(&mut edge);
        assert_eq!(alice.bind(&mut edge, 0x4000, peer), 0);
        let rule = edge.rules[0];
        assert_eq!((rule.to_client, rule.to_peer), (to_client, to_peer_class), "{remote} {peer}");
        // The slow path marks as the rule does.
        let sent = to_peer(&alice.send_on(&mut edge, 0x4000, b"x")).unwrap();
        assert_eq!(sent.1, to_peer_class);
        let heard = edge.hear_peer(edge.ports[0], peer, b"x");
        assert!(matches!(heard[..], [Output::ToClient { class, .. }] if class == to_client), "{heard:?}");
    }
}

/// A socket for both families shows IPv4 addresses inside IPv6 ones.
#[test]
fn ipv4_seen_by_a_socket_for_both_families_is_ipv4() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice().from("[::ffff:10.0.0.5]:1234").on(1));
    alice.fetch_nonce(&mut edge);
    let answered = alice.ask(&mut edge, Method::Allocate, |b| b.requested_transport(17));
    assert_eq!(Message::parse(&answered).unwrap().xor_mapped_address(), Some(at("10.0.0.5:1234")));
    assert_eq!(alice.bind(&mut edge, 0x4000, PEER), 0);
    assert_eq!(edge.rules[0].to_client, Some(TrafficClass::Audio));
    assert!(!edge.hear_peer(edge.ports[0], "[::ffff:9.9.9.9]:40000", b"x").is_empty());
}

/// What passes is counted where it is charged, once: by the host.
#[test]
fn what_the_host_tells_is_what_was_carried() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    alice.allocate(&mut edge);
    alice.bind(&mut edge, 0x4000, PEER);
    let (port, check) =
        (edge.ports[0], Builder::new(Class::Request, Method::Binding, [3; 12]).finish().unwrap());
    let payload = |outputs: &[Output]| match outputs {
        [Output::ToClient { port: own, payload, .. }] if *own == port => *payload,
        other => panic!("{other:?}"),
    };
    let heard = edge.hear_peer(port, PEER, &check);
    assert_eq!(payload(&heard), Tally { packets: 1, bytes: 20, checks: 1 });
    assert_eq!(
        payload(&edge.hear_peer(port, PEER, &[0x80; 172])),
        Tally { packets: 1, bytes: 172, checks: 0 }
    );
    alice.send_on(&mut edge, 0x4000, &check);
    let carried = |packets| Tally { packets, bytes: 172 * packets, checks: 1 };
    for _ in 0..2 {
        edge.request(Request::Counted { port, to_client: carried(10), to_peer: carried(1) });
    }
    let view = edge.relay.allocations().next().unwrap();
    assert_eq!(
        (view.to_client, view.to_peer),
        (Tally { checks: 2, ..carried(20) }, Tally { checks: 2, ..carried(2) })
    );
    assert_eq!((edge.relay.counts().to_client, edge.relay.counts().to_peer), (view.to_client, view.to_peer));
}

#[test]
fn a_client_learns_that_its_peer_cannot_be_reached() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    alice.allocate(&mut edge);
    alice.permit(&mut edge, PEER);
    let icmp = Icmp { kind: 3, code: 4, data: 1400 };
    let port = edge.ports[0];
    let heard = answer(&edge.request(Request::Unreachable { port, peer: at(PEER), icmp })).unwrap();
    let message = Message::parse(&heard).unwrap();
    assert_eq!(
        (message.method(), message.xor_peer_address(), message.data()),
        (Method::Data, Some(at(PEER)), None)
    );
    assert_eq!(message.attribute(kind::ICMP).unwrap().value, [0, 0, 6, 4, 0, 0, 5, 120]);
    let redirect = Icmp { kind: 5, ..icmp };
    assert_eq!(answer(&edge.request(Request::Unreachable { port, peer: at(PEER), icmp: redirect })), None);
    let stranger = Request::Unreachable { port, peer: at("9.9.9.8:1"), icmp };
    assert_eq!(answer(&edge.request(stranger)), None);
}
