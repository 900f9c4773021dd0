//! What a phone is told has been handed over to be saved before: the order of outputs is a promise.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use carillon_signaling::{Change, FrontEnd, Output};
use carillon_wire::sip::{Flow, Method, Transport};
use support::*;

/// What is to be done, in order: `+contact`, `-key`, and the codes of answers.
fn outputs(front: &mut FrontEnd) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(output) = front.poll_output() {
        match output {
            Output::Save(Change::Bind(binding)) => told.push(format!("+{}", binding.contact)),
            Output::Save(Change::Unbind { key, .. }) => told.push(format!("-{key}")),
            Output::Transmit(message) => told.push(String::from_utf8(message.bytes[8..11].to_vec()).unwrap()),
            _ => {}
        }
    }
    told
}

/// What follows from a REGISTER of bob with these fields, its challenge being answered.
fn registered(house: &mut House, flow: Flow, cseq: u32, fields: &str) -> Vec<String> {
    let register = |cseq: u32, more: &str| {
        request(
            "REGISTER",
            "sip:example.com",
            flow,
            &format!("r{cseq}"),
            cseq,
            "",
            &format!("{fields}{more}"),
        )
        .replace("sip:ann@other.org", "sip:bob@example.com")
    };
    let challenged = house.hear(flow, &register(cseq, "")).remove(0);
    let proof = authorization("bob", &challenged.text, Method::Register, "sip:example.com");
    house.front.handle_input(house.now, flow, register(cseq + 1, &proof).as_bytes());
    outputs(&mut house.front)
}

#[test]
fn no_200_leaves_before_the_change_that_it_acknowledges_is_saved() {
    for flow in [udp(2), stream(Transport::Tls, 6, 2)] {
        let mut house = House::closed();
        let contacts = "Contact: <sip:bob@192.0.2.7>\r\n";
        assert_eq!(registered(&mut house, flow, 1, contacts), ["+sip:bob@192.0.2.7", "200"]);
        let moved = "Contact: <sip:bob@192.0.2.7>;expires=0, <sip:bob@192.0.2.8>\r\n";
        assert_eq!(
            registered(&mut house, flow, 3, moved),
            ["-sip:bob@192.0.2.7", "+sip:bob@192.0.2.8", "200"]
        );
        let none = "Contact: *\r\nExpires: 0\r\n";
        assert_eq!(registered(&mut house, flow, 5, none), ["-sip:bob@192.0.2.8", "200"]);
    }
}

/// A REGISTER of bob's that is proven, and what was answered to it.
fn proven(house: &mut House, flow: Flow, cseq: u32) -> (String, Vec<Sent>) {
    let register = |cseq: u32, more: &str| {
        let fields = format!("Contact: <sip:bob@192.0.2.7>\r\n{more}");
        request("REGISTER", "sip:example.com", flow, &format!("k{cseq}"), cseq, "", &fields)
            .replace("sip:ann@other.org", "sip:bob@example.com")
    };
    let challenged = house.hear(flow, &register(cseq, "")).remove(0);
    let proof = authorization("bob", &challenged.text, Method::Register, "sip:example.com");
    let whole = register(cseq + 1, &proof);
    let sent = house.hear(flow, &whole);
    (whole, sent)
}

#[test]
fn while_nothing_can_be_kept_nothing_is_promised_and_calls_go_on() {
    let mut house = House::closed();
    let (flow, ann) = (udp(2), udp(1));
    let (first, answered) = proven(&mut house, flow, 1);
    assert_eq!(answered[0].start(), "SIP/2.0 200 OK");
    house.front.set_keeping(false);
    // The 200 may wait for the disk: it is not given again.
    assert!(house.hear(flow, &first).is_empty());
    let other = first.replace("branch=z9hG4bK", "branch=z9hG4bKother");
    for refused in
        [other.clone(), other.replace("REGISTER", "PUBLISH").replace("branch=z9", "branch=z9hG4bKz9")]
    {
        let answer = house.hear(flow, &refused).remove(0);
        assert_eq!((answer.start(), answer.get("Retry-After")), ("SIP/2.0 503 Cannot Be Stored Now", "30"));
    }
    house.front.set_keeping(true);
    assert_ne!(house.hear(flow, &other)[0].start(), "SIP/2.0 503 Cannot Be Stored Now");

    let mut house = House::new();
    house.register("bob", flow, "");
    house.front.set_keeping(false);
    let ringing = house.hear(ann, &invite(ann, "call"));
    assert!(ringing.iter().any(|sent| sent.start().starts_with("INVITE sip:bob@")), "{ringing:?}");
    let letter = invite(ann, "letter").replace("INVITE", "MESSAGE").replace("sip:bob@", "sip:carol@");
    let told = house.hear(ann, &letter);
    assert_eq!(told[0].start(), "SIP/2.0 503 Cannot Be Stored Now");
}
