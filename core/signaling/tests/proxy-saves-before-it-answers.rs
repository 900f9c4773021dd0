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
