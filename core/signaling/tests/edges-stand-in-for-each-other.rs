//! A Front End with a pool of two Edges, and phones with a flow through each: what one can't take goes by the other, and what
//! was answered is not asked again.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use carillon_signaling::Edge;
use carillon_wire::sip::{Flow, Method, Transport};
use support::{House, SECOND, Sent, answer, authorization, callee_routes, fields, stream};

const EDGES: [&str; 2] = ["192.0.2.9:5061", "192.0.2.10:5061"];
const INSTANCE: &str = ";+sip.instance=\"<urn:uuid:00000000-0000-0000-0000-000000000001>\"";

fn pool() -> Edge {
    let addresses = EDGES.map(|address| address.parse().unwrap()).to_vec();
    Edge { name: "edge.example.com".into(), addresses, is_director: false }
}

/// The connection that an Edge has made to us.
fn edge(number: usize) -> Flow {
    let ip = EDGES[number].parse::<SocketAddr>().unwrap().ip();
    let local = "192.0.2.1:5061".parse().unwrap();
    Flow { transport: Transport::Tls, id: 500 + number as u64, local, remote: (ip, 49152).into() }
}

fn house() -> House {
    let mut house = House::behind(pool());
    house.register("bob", phone(), "");
    house
}

fn phone() -> Flow {
    stream(Transport::Tcp, 77, 200)
}

/// What leaves when bob calls, the answers to himself left out.
fn call(house: &mut House, uri: &str, call: &str) -> Vec<Sent> {
    let invite = |number: u32, more: &str| {
        format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/TCP 198.51.100.200;branch=z9hG4bK{call}{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:bob@example.com>;tag=b\r\nTo: <{uri}>\r\nCall-ID: {call}\r\nCSeq: {number} INVITE\r\n\
             Contact: <sip:bob@198.51.100.200>\r\n{more}Content-Length: 0\r\n\r\n"
        )
    };
    let challenged = house.hear(phone(), &invite(1, ""));
    let proof = authorization("bob", &challenged[0].text, Method::Invite, uri);
    let sent = house.hear(phone(), &invite(2, &proof));
    sent.into_iter().filter(|sent| sent.start().starts_with("INVITE ")).collect()
}

fn invites(sent: &[Sent]) -> Vec<SocketAddr> {
    sent.iter().filter(|sent| sent.start().starts_with("INVITE ")).map(|sent| sent.to).collect()
}

/// What bob was answered.
fn told(sent: &[Sent]) -> Vec<&str> {
    sent.iter().filter(|sent| sent.to == phone().remote).map(Sent::start).collect()
}

/// alice signs in through an Edge, as the same phone, by this flow.
fn register_by(house: &mut House, number: usize) {
    let ip = EDGES[number].parse::<SocketAddr>().unwrap().ip();
    let reg = number + 1;
    let register = |cseq: u32, more: &str| {
        format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TLS {ip}:5061;branch=z9hG4bK{reg}{cseq}\r\n\
             Via: SIP/2.0/TLS 10.1.1.3;received=198.51.100.7;branch=z9hG4bKa\r\nMax-Forwards: 69\r\n\
             From: <sip:alice@example.com>;tag=a\r\nTo: <sip:alice@example.com>\r\nCall-ID: reg{reg}\r\n\
             CSeq: {cseq} REGISTER\r\nSupported: outbound, path\r\n\
             Contact: <sip:alice@10.1.1.3>{INSTANCE};reg-id={reg}\r\nPath: <sip:t{reg}@{ip}:5061;transport=tls;lr;ob>\r\n\
             Expires: 600\r\n{more}Content-Length: 0\r\n\r\n"
        )
    };
    house.front.handle_connected(edge(number), &["edge.example.com"]);
    house.drain();
    let challenged = house.hear(edge(number), &register(1, ""));
    let proof = authorization("alice", &challenged[0].text, Method::Register, "sip:example.com");
    let done = house.hear(edge(number), &register(2, &proof));
    assert!(done[0].text.starts_with("SIP/2.0 200 OK\r\n"), "{}", done[0].text);
}

#[test]
fn calls_to_other_domains_are_spread_and_go_by_the_edge_that_is_there() {
    let mut house = house();
    let first = |house: &mut House, call_id: &str| invites(&call(house, "sip:ann@other.org", call_id))[0];
    let spread: BTreeSet<SocketAddr> = (0..16).map(|n| first(&mut house, &format!("s{n}"))).collect();
    assert_eq!(spread.len(), 2, "{spread:?}");
    // One of them has a connection: nothing is tried.
    house.front.handle_connected(edge(1), &["edge.example.com"]);
    house.drain();
    let connected: BTreeSet<SocketAddr> = (0..16).map(|n| first(&mut house, &format!("c{n}"))).collect();
    assert_eq!(connected, [edge(1).remote].into());
}

#[test]
fn an_edge_that_is_not_reached_is_stood_in_for_at_once_and_rests() {
    let mut house = house();
    let sent = call(&mut house, "sip:ann@other.org", "c1");
    let tried = invites(&sent)[0];
    house.front.handle_failed(house.now, Transport::Tls, tried);
    let sent = house.drain();
    let other = invites(&sent);
    assert!(other.len() == 1 && other[0] != tried && told(&sent).is_empty(), "{sent:?}");
    for number in 0..16 {
        assert_eq!(invites(&call(&mut house, "sip:ann@other.org", &format!("r{number}"))), other);
    }
    house.front.handle_failed(house.now, Transport::Tls, other[0]);
    let sent = house.drain();
    let refused: Vec<_> = sent.iter().filter(|sent| sent.start() == "SIP/2.0 504 Server Time-out").collect();
    assert_eq!(refused.len(), 1, "there is no third");
    assert_eq!(refused[0].get("Call-ID"), "c1");
    assert_eq!(invites(&sent), [tried; 16], "and the others have not had the first");
}

#[test]
fn another_edge_is_asked_if_one_takes_nothing_on_and_not_if_somebody_has_answered() {
    for (status, again) in [
        ("503 Service Unavailable", true),
        ("504 Server Time-out", true),
        ("430 Flow Failed", true),
        ("486 Busy Here", false),
        ("403 Forbidden", false),
    ] {
        let mut house = house();
        for number in [0, 1] {
            house.front.handle_connected(edge(number), &["edge.example.com"]);
        }
        house.drain();
        let sent = call(&mut house, "sip:ann@other.org", "c1");
        let (from, other) =
            if sent[0].to == edge(0).remote { (edge(0), edge(1)) } else { (edge(1), edge(0)) };
        let sent = house.hear(from, &sent[0].answer(status, "t", ""));
        let expected = if again { vec![other.remote] } else { Vec::new() };
        assert_eq!(invites(&sent), expected, "{status}");
        assert_eq!(told(&sent).is_empty(), again, "{status}: {sent:?}");
    }
}

#[test]
fn a_phone_with_two_flows_rings_by_one_and_by_the_other_when_that_has_failed() {
    let mut house = house();
    register_by(&mut house, 0);
    register_by(&mut house, 1);
    let uri = "sip:alice@example.com";
    let sent = call(&mut house, uri, "c1");
    assert_eq!(invites(&sent), [edge(1).remote], "the newer flow, and no other");
    assert_eq!(sent[0].get("Route"), "<sip:t2@192.0.2.10:5061;transport=tls;lr;ob>");
    let before = house.front.counts().registrations;
    let sent = house.hear(edge(1), &sent[0].answer("430 Flow Failed", "e", ""));
    assert_eq!(invites(&sent), [edge(0).remote]);
    let invite = sent.iter().find(|sent| sent.start().starts_with("INVITE ")).unwrap();
    assert_eq!(fields(&invite.text, "Route"), ["<sip:t1@192.0.2.9:5061;transport=tls;lr;ob>"]);
    assert!(told(&sent).is_empty(), "{sent:?}");
    assert_eq!(house.front.counts().registrations, before - 1, "that binding is no more");
    let sent = house.hear(edge(0), &invite.answer("486 Busy Here", "a", ""));
    assert_eq!(told(&sent), ["SIP/2.0 486 Busy Here"]);
    // The last flow fails too: an endpoint never hears 430.
    let sent = call(&mut house, uri, "c2");
    assert_eq!(invites(&sent), [edge(0).remote]);
    let sent = house.hear(edge(0), &sent[0].answer("430 Flow Failed", "e", ""));
    assert_eq!(told(&sent), ["SIP/2.0 480 Temporarily Unavailable"]);
    assert_eq!(house.front.counts().registrations, before - 2);
}

#[test]
fn the_flow_of_an_edge_that_has_gone_comes_after_the_one_that_is_up() {
    let mut house = house();
    register_by(&mut house, 0);
    register_by(&mut house, 1);
    house.close(edge(1));
    assert_eq!(invites(&call(&mut house, "sip:alice@example.com", "c1")), [edge(0).remote]);
    // It goes too, before anything was heard: a new connection to the other.
    let sent = house.close(edge(0));
    assert_eq!(invites(&sent), [EDGES[1].parse().unwrap()], "{sent:?}");
    // Once it has rung nobody else is asked.
    let mut house = self::house();
    register_by(&mut house, 0);
    register_by(&mut house, 1);
    let sent = call(&mut house, "sip:alice@example.com", "c2");
    house.hear(edge(1), &answer(&sent[0].text, "180 Ringing", "a", ""));
    let sent = house.close(edge(1));
    assert_eq!((invites(&sent), told(&sent)), (Vec::new(), vec!["SIP/2.0 480 Temporarily Unavailable"]));
}

#[test]
fn a_call_with_somebody_outside_outlives_the_connection_however_many_phones_she_has() {
    for is_back in [false, true] {
        let mut house = house();
        register_by(&mut house, 0);
        register_by(&mut house, 1);
        let invite = |number: u32, more: &str| {
            format!(
                "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.9:5061;branch=z9hG4bKi{number}\r\n\
                 Via: SIP/2.0/TLS 10.1.1.3;received=198.51.100.7;branch=z9hG4bKa\r\nMax-Forwards: 69\r\n\
                 Record-Route: <sip:way@192.0.2.9:5061;transport=tls;lr>\r\nFrom: <sip:alice@example.com>;tag=a\r\n\
                 To: <sip:bob@example.com>\r\nCall-ID: out\r\nCSeq: {number} INVITE\r\n\
                 Contact: <sip:alice@10.1.1.3;transport=tls>\r\n{more}Content-Length: 0\r\n\r\n"
            )
        };
        let challenged = house.hear(edge(0), &invite(1, ""));
        let proof = authorization("alice", &challenged[0].text, Method::Invite, "sip:bob@example.com");
        let sent = house.hear(edge(0), &invite(2, &proof));
        let ringing = sent.iter().find(|sent| sent.to == phone().remote).unwrap();
        house.hear(phone(), &ringing.answer("200 OK", "b", "Contact: <sip:bob@198.51.100.200>\r\n"));
        house.close(edge(0));
        let back = Flow { id: 600, remote: "192.0.2.9:50000".parse().unwrap(), ..edge(0) };
        if is_back {
            house.front.handle_connected(back, &["edge.example.com"]);
            house.drain();
        }
        let bye = format!(
            "BYE sip:alice@10.1.1.3;transport=tls SIP/2.0\r\nVia: SIP/2.0/TCP 198.51.100.200;branch=z9hG4bKbye\r\n\
             Max-Forwards: 70\r\nFrom: <sip:bob@example.com>;tag=b\r\nTo: <sip:alice@example.com>;tag=a\r\n\
             Call-ID: out\r\nCSeq: 1 BYE\r\n{}Content-Length: 0\r\n\r\n",
            callee_routes(&ringing.text)
        );
        let sent = house.hear(phone(), &bye);
        let to = if is_back { back.remote } else { EDGES[0].parse().unwrap() };
        assert_eq!(sent[0].to, to, "{sent:?}");
        assert_eq!(sent[0].all("Route"), ["<sip:way@192.0.2.9:5061;transport=tls;lr>"]);
    }
}

#[test]
fn a_binding_that_was_made_anew_outlives_the_answer_to_what_was_sent_before() {
    let mut house = house();
    register_by(&mut house, 0);
    let sent = call(&mut house, "sip:alice@example.com", "c1");
    house.now += SECOND;
    let register = format!(
        "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.9:5061;branch=z9hG4bKn1\r\n\
         Via: SIP/2.0/TLS 10.1.1.3;received=198.51.100.7;branch=z9hG4bKa\r\nMax-Forwards: 69\r\n\
         From: <sip:alice@example.com>;tag=a\r\nTo: <sip:alice@example.com>\r\nCall-ID: reg1\r\nCSeq: 3 REGISTER\r\n\
         Supported: outbound, path\r\nContact: <sip:alice@10.1.1.3>{INSTANCE};reg-id=1\r\n\
         Path: <sip:t9@192.0.2.9:5061;transport=tls;lr;ob>\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n"
    );
    let challenged = house.hear(edge(0), &register);
    let proof = authorization("alice", &challenged[0].text, Method::Register, "sip:example.com");
    let again = register.replace("bKn1", "bKn2").replace("CSeq: 3", "CSeq: 4");
    house.hear(edge(0), &again.replace("Expires: 600\r\n", &format!("Expires: 600\r\n{proof}")));
    let before = house.front.counts().registrations;
    house.hear(edge(0), &sent[0].answer("430 Flow Failed", "e", ""));
    assert_eq!(house.front.counts().registrations, before);
    let sent = call(&mut house, "sip:alice@example.com", "c2");
    assert_eq!(sent[0].get("Route"), "<sip:t9@192.0.2.9:5061;transport=tls;lr;ob>");
}
