//! TCP allocations (RFC 6062): who may connect where, who gets the connection, with which class, and when it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test: helpers too")]

mod support;

use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_relay::{Flow, Limits, LinkId, Output, PortId, Request, Transport};
use carillon_wire::stun::{Builder, Class, Message, Method, kind};
use support::{Client, Edge, INSIDE_PEER, PEER, answer, at, code, config, networks, planned};

const RELAYED: PortId = PortId(1);

fn tcp(builder: Builder) -> Builder {
    builder.requested_transport(6)
}

/// alice, over a stream.
fn alice() -> Client {
    Client::alice().over(Transport::Tcp)
}

/// alice with an allocation for streams.
fn allocated(edge: &mut Edge) -> Client {
    let mut alice = alice();
    alice.fetch_nonce(edge);
    assert_eq!(code(&alice.ask(edge, Method::Allocate, tcp)), 0);
    alice
}

/// Her next connection.
fn another(client: &Client) -> Client {
    let flow = Flow { connection: client.flow.connection + 1, remote: at("7.7.7.7:1235"), ..client.flow };
    Client { flow, ..client.clone() }
}

fn connect(client: &mut Client, edge: &mut Edge, peer: &str) -> Vec<Output> {
    let bytes = client.proven(Method::Connect, |b| b.xor_address(kind::XOR_PEER_ADDRESS, at(peer)));
    edge.hear(client.flow, &bytes)
}

/// A Connect that is answered at once: the code.
fn refused(client: &mut Client, edge: &mut Edge, peer: &str) -> u16 {
    code(&answer(&connect(client, edge, peer)).expect("an answer"))
}

fn connection_id(outputs: &[Output]) -> u32 {
    Message::parse(&answer(outputs).unwrap()).unwrap().connection_id().unwrap()
}

/// A connection with this peer that waits for its client: its number.
fn connected(client: &mut Client, edge: &mut Edge, peer: &str, link: u64) -> u32 {
    let outputs = connect(client, edge, peer);
    assert!(matches!(outputs[..], [Output::Dial { port: RELAYED, .. }]), "{outputs:?}");
    connection_id(&edge.dialled(link))
}

fn bind(client: &mut Client, edge: &mut Edge, id: u32) -> (u16, Vec<Output>) {
    let bytes = client.proven(Method::ConnectionBind, |b| b.u32(kind::CONNECTION_ID, id));
    let outputs = edge.hear(client.flow, &bytes);
    (code(&answer(&outputs).expect("an answer")), outputs)
}

#[test]
fn a_port_for_streams_is_given_over_streams_and_takes_nothing_that_is_for_datagrams() {
    let mut edge = Edge::new();
    let mut over_udp = Client::alice();
    over_udp.fetch_nonce(&mut edge);
    assert_eq!(code(&over_udp.ask(&mut edge, Method::Allocate, tcp)), 400);
    let mut alice = alice();
    alice.fetch_nonce(&mut edge);
    let bytes = alice.proven(Method::Allocate, tcp);
    let outputs = edge.hear(alice.flow, &bytes);
    let opened =
        |output: &Output| matches!(output, Output::Open(wish) if wish.streams && !wish.even && !wish.next);
    assert!(outputs.iter().any(opened), "{outputs:?}");
    assert_eq!(alice.permit(&mut edge, PEER), 0);
    assert_eq!(alice.bind(&mut edge, 0x4000, PEER), 400, "a channel is for datagrams");
    assert_eq!(alice.send(&mut edge, PEER, b"hello"), [], "and so is a Send indication");
    // Who has a port for datagrams connects to nobody.
    let mut bob = Client::new("bob", "builder").over(Transport::Tls);
    bob.allocate(&mut edge);
    assert_eq!(refused(&mut bob, &mut edge, PEER), 437);
}

#[test]
fn a_peer_is_called_from_the_relayed_port_and_joined_with_a_second_connection_of_its_client() {
    let mut edge = Edge::new();
    let mut alice = allocated(&mut edge);
    let dialling = connect(&mut alice, &mut edge, PEER);
    let [Output::Dial { port: RELAYED, peer, class: None, .. }] = &dialling[..] else {
        panic!("{dialling:?}")
    };
    assert_eq!(*peer, at(PEER));
    assert_eq!(refused(&mut alice, &mut edge, PEER), 446, "while it is being called");
    let id = connection_id(&edge.dialled(9));
    assert_eq!(refused(&mut alice, &mut edge, PEER), 446, "and when it is up");
    let mut second = another(&alice);
    let (granted, outputs) = bind(&mut second, &mut edge, id);
    assert_eq!(granted, 0);
    let [Output::Transmit { flow, .. }, Output::Join(joint)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((*flow, joint.client, joint.link, joint.port), (second.flow, second.flow, LinkId(9), RELAYED));
    assert_eq!(refused(&mut alice, &mut edge, PEER), 446, "and when it is joined");
    // Once it has ended, the peer may be called again.
    assert_eq!(edge.ends(9), []);
    connected(&mut alice, &mut edge, PEER, 10);
    assert_eq!(alice.refresh(&mut edge, 0), 0);
    edge.assert_empty();
}

#[test]
fn what_goes_inside_has_the_class_of_the_allocation_and_what_goes_outside_has_none() {
    let mut edge = Edge::new();
    let mut alice = Client::alice().over(Transport::Tcp).on(3);
    alice.fetch_nonce(&mut edge);
    assert_eq!(code(&alice.ask(&mut edge, Method::Allocate, tcp)), 0);
    let dialling = connect(&mut alice, &mut edge, INSIDE_PEER);
    assert!(
        matches!(dialling[..], [Output::Dial { class: Some(TrafficClass::Sharing), .. }]),
        "marked from its first packet on: {dialling:?}"
    );
    let id = connection_id(&edge.dialled(9));
    bind(&mut another(&alice), &mut edge, id);
    let classes = |edge: &Edge| (edge.joints[0].to_client, edge.joints[0].to_peer);
    assert_eq!(classes(&edge), (None, Some(TrafficClass::Sharing)));
    // Another configuration marks what is joined anew; a peer that it forbids is cut off.
    let mut marked = config();
    marked.marking.outside = true;
    edge.request(Request::Configure(Box::new(marked.clone())));
    assert_eq!(classes(&edge), (Some(TrafficClass::Sharing), Some(TrafficClass::Sharing)));
    marked.peers.denied = networks(&["10.0.0.0/24"]);
    let outputs = edge.request(Request::Configure(Box::new(marked)));
    assert!(outputs.contains(&Output::HangUp(LinkId(9))), "{outputs:?}");
    assert!(edge.joints.is_empty());
}

#[test]
fn nobody_comes_for_the_connection_of_another_or_twice_or_with_a_guess() {
    let mut edge = Edge::new();
    let mut alice = allocated(&mut edge);
    let id = connected(&mut alice, &mut edge, PEER, 9);
    let mut bob = Client::new("bob", "builder").over(Transport::Tcp).from("7.7.7.8:1");
    bob.fetch_nonce(&mut edge);
    assert_eq!(bind(&mut bob, &mut edge, id).0, 441, "of alice's");
    assert_eq!(bind(&mut alice, &mut edge, id).0, 400, "on the connection that her allocation is on");
    let mut over_udp = Client { flow: Flow { connection: 0, ..another(&alice).flow }, ..another(&alice) };
    over_udp.flow.transport = Transport::Udp;
    assert_eq!(bind(&mut over_udp, &mut edge, id).0, 400, "over datagrams");
    let mut second = another(&alice);
    assert_eq!(bind(&mut second, &mut edge, id ^ 1).0, 400, "a guess");
    assert!(edge.joints.is_empty());
    assert_eq!(bind(&mut second, &mut edge, id).0, 0);
    let mut third = another(&second);
    assert_eq!(bind(&mut third, &mut edge, id).0, 400, "twice");
    assert_eq!(edge.joints.len(), 1);
}

#[test]
fn a_peer_that_may_come_is_told_of_and_others_are_turned_away() {
    let mut edge = Edge::new();
    let mut alice = allocated(&mut edge);
    assert_eq!(edge.arrives(RELAYED, PEER, 3), [Output::HangUp(LinkId(3))]);
    assert_eq!(edge.dropped("no-permission"), 1);
    assert_eq!(alice.permit(&mut edge, PEER), 0);
    let outputs = edge.arrives(RELAYED, "9.9.9.9:77", 4);
    let [Output::Transmit { flow, bytes, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    let told = Message::parse(bytes).unwrap();
    assert_eq!((told.class(), told.method()), (Class::Indication, Method::ConnectionAttempt));
    assert_eq!((*flow, told.xor_peer_address()), (alice.flow, Some(at("9.9.9.9:77"))));
    assert_eq!(bind(&mut another(&alice), &mut edge, told.connection_id().unwrap()).0, 0);
    assert_eq!(edge.joints[0].link, LinkId(4));
    // Whoever was let in stays, though the permission has ended; nobody else comes in.
    edge.wait(Duration::from_secs(301));
    assert_eq!(edge.joints.len(), 1);
    assert_eq!(edge.arrives(RELAYED, "9.9.9.9:78", 5), [Output::HangUp(LinkId(5))]);
}

/// Whoever connects does so from any port, and no plan names that one.
#[test]
fn a_configuration_that_forbids_nobody_ends_no_connection() {
    let inside = planned("20000-20039");
    let mut edge = Edge::with(inside.clone());
    let mut alice = allocated(&mut edge);
    assert_eq!(alice.permit(&mut edge, INSIDE_PEER), 0);
    let told = edge.arrives(RELAYED, INSIDE_PEER, 4);
    assert_eq!(bind(&mut another(&alice), &mut edge, connection_id(&told)).0, 0);
    // One that she has called, one that is being called, on ports that the next plan names no longer.
    connected(&mut alice, &mut edge, "10.0.0.9:20000", 5);
    connect(&mut alice, &mut edge, "10.0.0.9:20001");
    let hung_up = |outputs: &[Output]| outputs.iter().any(|output| matches!(output, Output::HangUp(_)));
    for config in [inside.clone(), planned("21000-21039")] {
        let outputs = edge.request(Request::Configure(Box::new(config)));
        assert!(!hung_up(&outputs), "{outputs:?}");
    }
    connection_id(&edge.dialled(6));
    assert_eq!((edge.joints.len(), edge.links.len()), (1, 3));
    assert_eq!(refused(&mut alice, &mut edge, "10.0.0.9:20002"), 403, "what begins goes by the plan of now");
    let mut denied = inside;
    denied.peers.denied = networks(&["10.0.0.0/24"]);
    let outputs = edge.request(Request::Configure(Box::new(denied)));
    assert!(hung_up(&outputs) && edge.links.is_empty(), "{outputs:?}");
}

#[test]
fn what_may_not_be_reached_is_not_called() {
    let mut edge = Edge::new();
    let mut alice = allocated(&mut edge);
    for forbidden in ["127.0.0.1:40000", "192.168.1.1:40000", "8.0.0.1:40000", "9.9.9.9:0"] {
        assert_eq!(refused(&mut alice, &mut edge, forbidden), 403, "{forbidden}");
    }
    assert_eq!(refused(&mut alice, &mut edge, "[2600::1]:40000"), 443);
    // Where somebody's relayed port is, two clients of one Edge meet.
    let mut bob = Client::new("bob", "builder").over(Transport::Tcp).from("7.7.7.8:1");
    bob.fetch_nonce(&mut edge);
    assert_eq!(code(&bob.ask(&mut edge, Method::Allocate, tcp)), 0);
    connected(&mut alice, &mut edge, "8.0.0.1:50001", 9);
    assert!(edge.dials.is_empty());
}

#[test]
fn a_peer_that_is_not_reached_and_a_client_that_does_not_come_are_given_up() {
    let mut edge = Edge::new();
    let mut alice = allocated(&mut edge);
    connect(&mut alice, &mut edge, PEER);
    let wish = edge.dials.pop().unwrap();
    assert_eq!(code(&answer(&edge.request(Request::NotDialled { wish })).unwrap()), 447);
    // The host says nothing: half a minute, and what comes after that is not wanted any more.
    connect(&mut alice, &mut edge, PEER);
    assert_eq!(edge.wait(Duration::from_secs(29)), []);
    assert_eq!(code(&answer(&edge.wait(Duration::from_secs(1))).unwrap()), 447);
    assert_eq!(edge.dialled(8), [Output::HangUp(LinkId(8))]);
    // Nobody comes for the connection: half a minute.
    let id = connected(&mut alice, &mut edge, PEER, 9);
    assert_eq!(edge.wait(Duration::from_secs(29)), []);
    assert_eq!(edge.wait(Duration::from_secs(1)), [Output::HangUp(LinkId(9))]);
    assert_eq!(bind(&mut another(&alice), &mut edge, id).0, 400);
    // The peer hangs up before anybody comes.
    let id = connected(&mut alice, &mut edge, PEER, 10);
    edge.ends(10);
    assert_eq!(bind(&mut another(&alice), &mut edge, id).0, 400);
}

#[test]
fn connections_are_counted_and_end_with_their_allocation() {
    let limits = Limits { links: 2, ..Limits::default() };
    let mut edge = Edge::with(carillon_relay::Config { limits, ..config() });
    let mut alice = allocated(&mut edge);
    let id = connected(&mut alice, &mut edge, PEER, 1);
    assert_eq!(bind(&mut another(&alice), &mut edge, id).0, 0);
    connect(&mut alice, &mut edge, "9.9.9.9:2");
    assert_eq!(refused(&mut alice, &mut edge, "9.9.9.9:3"), 486);
    assert_eq!(alice.permit(&mut edge, PEER), 0);
    assert_eq!(edge.arrives(RELAYED, "9.9.9.9:4", 2), [Output::HangUp(LinkId(2))]);
    assert_eq!((edge.dropped("too-many-connections"), edge.relay.counts().links), (1, 1));
    let view = edge.relay.allocations().next().unwrap();
    assert!(view.streams);
    assert_eq!(view.links, [at(PEER), at("9.9.9.9:2")]);
    // Whoever waits for an answer gets one, and ports close last.
    let outputs = edge.request(Request::Closed(alice.flow));
    let at_of = |wanted: &dyn Fn(&Output) -> bool| outputs.iter().position(wanted).unwrap();
    let hung_up = at_of(&|output| *output == Output::HangUp(LinkId(1)));
    assert!(hung_up < at_of(&|output| *output == Output::Close(RELAYED)), "{outputs:?}");
    edge.dials.clear();
    edge.assert_empty();
}

#[test]
fn a_quota_of_ports_holds_for_streams_too_and_so_does_draining() {
    let limits = Limits { ports_per_user: 1, ..Limits::default() };
    let mut edge = Edge::with(carillon_relay::Config { limits, ..config() });
    let mut alice = allocated(&mut edge);
    let mut more = another(&alice);
    assert_eq!(code(&more.ask(&mut edge, Method::Allocate, tcp)), 486);
    edge.request(Request::Drain { alternates: Vec::new() });
    let mut bob = Client::new("bob", "builder").over(Transport::Tcp).from("7.7.7.8:1");
    bob.fetch_nonce(&mut edge);
    assert_eq!(code(&bob.ask(&mut edge, Method::Allocate, tcp)), 508);
    // What there is goes on.
    let id = connected(&mut alice, &mut edge, PEER, 1);
    assert_eq!(bind(&mut another(&alice), &mut edge, id).0, 0);
}
