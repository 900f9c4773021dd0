//! A client asks for the plan's document, gets it, and is told when the plan changes: through the whole Front End.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;

use carillon_qos::Plan;
use carillon_signaling::{Event, Request};
use carillon_wire::sip::{Flow, Method, Transport};
use support::*;

fn subscribe(flow: Flow, cseq: u32, more: &str) -> String {
    request("SUBSCRIBE", "sip:alice@example.com", flow, &format!("s{cseq}"), cseq, "", more)
        .replace("<sip:ann@other.org>", "<sip:alice@example.com>")
        .replace("To: <sip:bob@", "To: <sip:alice@")
}

/// A subscription that lasts: what followed the SUBSCRIBE with credentials.
fn subscribed(house: &mut House, flow: Flow) -> Vec<Sent> {
    let head = format!(
        "Event: vnd-microsoft-provisioning-v2\r\nExpires: 600\r\nContact: <{}>\r\n",
        contact("alice", flow)
    );
    let challenge = house.hear(flow, &subscribe(flow, 1, &head));
    assert_eq!(challenge[0].start(), "SIP/2.0 401 Unauthorized");
    let proof = authorization("alice", &challenge[0].text, Method::Subscribe, "sip:alice@example.com");
    house.hear(flow, &subscribe(flow, 2, &format!("{head}{proof}")))
}

fn told(house: &House) -> Vec<u64> {
    let version = |event: &Event| match event {
        Event::Provisioned { version, .. } => Some(*version),
        _ => None,
    };
    house.events.iter().filter_map(version).collect()
}

#[test]
fn the_document_follows_the_subscription_and_each_change_of_the_plan() {
    let mut house = House::new();
    let alice = stream(Transport::Tls, 5, 1);
    let sent = subscribed(&mut house, alice);
    assert_eq!((sent[0].start(), sent.len()), ("SIP/2.0 200 OK", 2));
    assert_eq!(sent[1].start(), format!("NOTIFY {} SIP/2.0", contact("alice", alice)));
    assert!(sent[1].get("Via").starts_with("SIP/2.0/TLS 192.0.2.1:5061;rport;branch=z9hG4bK"));
    house.hear(alice, &sent[1].answer("200 OK", "", ""));
    let plan = Arc::new(Plan::preset("teams").unwrap());
    house.front.handle_request(house.now, Request::SetPlan { plan, version: 2 });
    let again = house.wait(SECOND);
    assert_eq!(again.len(), 1);
    house.hear(alice, &again[0].1.answer("200 OK", "", ""));
    assert_eq!(told(&house), [1, 2]);
    house.assert_quiet();
}

#[test]
fn a_client_that_does_not_answer_is_forgotten() {
    let mut house = House::new();
    subscribed(&mut house, udp(1));
    assert_eq!(house.front.counts().subscriptions, 1);
    house.wait(PATIENCE);
    assert_eq!((house.front.counts().subscriptions, told(&house)), (0, Vec::new()));
    house.assert_quiet();
}

#[test]
fn nobody_asks_for_another() {
    let mut house = House::new();
    house.register("bob", udp(2), "");
    let head = "Event: vnd-microsoft-provisioning-v2\r\nContact: <sip:alice@198.51.100.1>\r\n";
    let ask = |cseq, more: &str| {
        let text = subscribe(udp(1), cseq, &format!("{head}{more}"));
        text.replace("To: <sip:alice@", "To: <sip:bob@").replace("SUBSCRIBE sip:alice@", "SUBSCRIBE sip:bob@")
    };
    let challenge = house.hear(udp(1), &ask(1, ""));
    let proof = authorization("alice", &challenge[0].text, Method::Subscribe, "sip:bob@example.com");
    let refused = house.hear(udp(1), &ask(2, &proof));
    assert_eq!(starts(&refused), [("SIP/2.0 403 Not Your Address", udp(1).remote.to_string())]);
}

/// RFC 3261, 8.2.2.3: before anything else, so that the client can ask in another way.
#[test]
fn what_a_client_requires_and_we_do_not_know_is_named() {
    let mut house = House::new();
    let head = "Event: vnd-microsoft-provisioning-v2\r\nContact: <sip:alice@198.51.100.1>\r\n\
        Require: eventlist\r\nRequire: x-other\r\n";
    let refused = house.hear(udp(1), &subscribe(udp(1), 1, head));
    assert_eq!(starts(&refused), [("SIP/2.0 420 Bad Extension", udp(1).remote.to_string())]);
    assert_eq!(refused[0].get("Unsupported"), "eventlist, x-other");
    assert_eq!(house.front.counts().subscriptions, 0);
}
