//! A caller who does not want to be known (RFC 3323) proves itself to us and to nobody else.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use carillon_wire::sip::{Flow, Method};
use support::*;

const ANONYMOUS: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

fn call(house: &mut House, from: &str, branch: &str, proof: &str) -> Vec<Sent> {
    let wish = "Privacy: id\r\nP-Preferred-Identity: <sip:alice@example.com>\r\n";
    let head = format!("Contact: <sip:{}>\r\n{wish}{proof}", udp(1).remote);
    let asked = request("INVITE", "sip:bob@example.com", udp(1), branch, 1, "", &head);
    house.hear(udp(1), &asked.replace("<sip:ann@other.org>", from))
}

fn proof(user: &str, challenged: &Sent) -> String {
    authorization(user, &challenged.text, Method::Invite, "sip:bob@example.com")
}

/// A house without strangers, where bob is.
fn house(bob: Flow) -> House {
    let mut house = House::closed();
    house.register("alice", udp(1), "");
    house.register("bob", bob, "");
    house
}

#[test]
fn credentials_tell_who_calls_and_nobody_else_is_told() {
    for from in [ANONYMOUS, "<sip:anonymous@example.com>", "<sip:x@anonymous.invalid>"] {
        let mut house = house(udp(2));
        let challenged = call(&mut house, from, "i1", "").remove(0);
        assert_eq!(challenged.start(), "SIP/2.0 407 Proxy Authentication Required", "{from}");
        let invited = call(&mut house, from, "i2", &proof("alice", &challenged)).remove(1);
        assert_eq!((invited.start().split(' ').next(), invited.to), (Some("INVITE"), udp(2).remote));
        assert_eq!(invited.get("From"), format!("{from};tag=ann"));
        assert!(!invited.text.contains("alice"), "{}", invited.text);
        // The way back to alice is in our Record-Route, which bob's phone does not understand but returns.
        let taken = house.hear(udp(2), &invited.answer("200 OK", "bob", "")).remove(0);
        assert_eq!((taken.start(), taken.to), ("SIP/2.0 200 OK", udp(1).remote));
        let hidden = from.trim_start_matches("\"Anonymous\" ");
        let bye = request(
            "BYE",
            &format!("sip:{}", udp(1).remote),
            udp(2),
            "b1",
            1,
            "ann",
            &callee_routes(&invited.text),
        )
        .replace("<sip:ann@other.org>;tag=ann", "<sip:bob@example.com>;tag=bob")
        .replace("To: <sip:bob@example.com>", &format!("To: {hidden}"));
        assert_eq!(house.hear(udp(2), &bye)[0].to, udp(1).remote);
    }
}

#[test]
fn a_caller_of_whom_nothing_is_proven_rings_nobody() {
    let mut house = house(udp(2));
    let challenged = call(&mut house, ANONYMOUS, "i1", "").remove(0);
    for (at, user) in ["nobody", "bo"].into_iter().enumerate() {
        let refused = call(&mut house, ANONYMOUS, &format!("n{at}"), &proof(user, &challenged));
        assert_eq!(
            starts(&refused),
            [("SIP/2.0 407 Proxy Authentication Required", udp(1).remote.to_string())]
        );
    }
    // Who says another name must be that one.
    let other = call(&mut house, "<sip:carol@example.com>", "n9", &proof("alice", &challenged));
    assert_eq!(other[0].start(), "SIP/2.0 407 Proxy Authentication Required");
}

/// As any other caller from elsewhere, where these are let in.
#[test]
fn an_anonymous_stranger_is_a_stranger() {
    let mut house = House::new();
    house.register("bob", udp(2), "");
    assert_eq!(call(&mut house, ANONYMOUS, "i1", "")[1].to, udp(2).remote);
}
