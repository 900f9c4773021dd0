//! Nobody uses the Front End to reach a stranger, and nobody speaks in the name of our users.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use carillon_signaling::Limits;
use carillon_wire::sip::{Method, Transport};
use support::*;

/// What a request from an outsider gets, with this Request-URI and these fields.
fn asked(method: &str, uri: &str, to_tag: &str, head: &str) -> Vec<String> {
    let mut house = House::new();
    house.register("bob", udp(2), "");
    let sent = house.hear(udp(1), &request(method, uri, udp(1), "x1", 1, to_tag, head));
    sent.iter().map(|sent| format!("{} {}", sent.start(), sent.to.ip())).collect()
}

#[test]
fn strangers_are_not_connected_with_strangers() {
    let relayed = ["SIP/2.0 403 Relaying Denied 198.51.100.1"];
    assert_eq!(asked("INVITE", "sip:x@victim.org", "", ""), relayed);
    assert_eq!(asked("INVITE", "sip:bob@198.51.100.2", "", ""), relayed);
    assert_eq!(asked("INVITE", "sip:x@victim.org", "", "Route: <sip:192.0.2.1;lr>\r\n"), relayed);
    assert_eq!(asked("BYE", "sip:x@victim.org", "t", "Route: <sip:192.0.2.1;lr>\r\n"), relayed);
    assert_eq!(asked("MESSAGE", "tel:+4912345", "", ""), relayed);
    let strange = ["SIP/2.0 416 Unsupported URI Scheme 198.51.100.1"];
    assert_eq!(asked("MESSAGE", "mailto:bob@example.com", "", ""), strange);
}

#[test]
fn a_route_to_a_stranger_is_not_followed() {
    let route = "Route: <sip:192.0.2.1;lr>, <sip:victim.org;lr>\r\n";
    assert_eq!(asked("INVITE", "sip:bob@example.com", "", route), ["SIP/2.0 403 Foreign Route 198.51.100.1"]);
}

#[test]
fn a_dialog_that_never_was_leads_nowhere() {
    let none = ["SIP/2.0 481 Call/Transaction Does Not Exist 198.51.100.1"];
    assert_eq!(asked("BYE", "sip:bob@example.com", "t", ""), none);
    assert_eq!(asked("BYE", "sip:192.0.2.1", "t", ""), none);
    assert_eq!(asked("ACK", "sip:bob@example.com", "t", ""), Vec::<String>::new());
    assert_eq!(asked("ACK", "sip:x@victim.org", "t", "Route: <sip:192.0.2.1;lr>\r\n"), Vec::<String>::new());
}

#[test]
fn a_route_that_is_only_us_is_no_obstacle() {
    for route in ["<sip:192.0.2.1;lr>", "<sip:example.com;lr>", "<sip:192.0.2.1:5061;transport=tls;lr>"] {
        let got = asked("MESSAGE", "sip:bob@example.com", "", &format!("Route: {route}\r\n"));
        assert_eq!(got, ["MESSAGE sip:bob@198.51.100.2:5060;transport=udp SIP/2.0 198.51.100.2"]);
    }
}

#[test]
fn an_ack_to_our_own_refusal_is_no_stray() {
    let mut house = House::new();
    let refused = house.hear(udp(1), &invite(udp(1), "i1"));
    let tag = refused[0].get("To").split(";tag=").nth(1).unwrap();
    assert!(house.hear(udp(1), &request("ACK", "sip:bob@example.com", udp(1), "i1", 1, tag, "")).is_empty());
    assert!(house.front.counts().dropped.is_empty());
}

#[test]
fn our_users_reach_only_those_whom_we_know() {
    let mut house = House::new();
    let message = |cseq: u32, more: &str| {
        request("MESSAGE", "sip:x@victim.org", udp(1), &format!("m{cseq}"), cseq, "", more)
            .replace("sip:ann@other.org", "sip:alice@example.com")
    };
    let challenge = house.hear(udp(1), &message(1, ""));
    assert_eq!(challenge[0].start(), "SIP/2.0 407 Proxy Authentication Required");
    let proof = authorization("alice", &challenge[0].text, Method::Message, "sip:x@victim.org");
    assert_eq!(house.hear(udp(1), &message(2, &proof))[0].start(), "SIP/2.0 404 Not Found");
    house.assert_quiet();
}

#[test]
fn without_strangers_a_caller_from_elsewhere_learns_nothing_and_rings_nobody() {
    let mut house = House::closed();
    house.register("bob", udp(2), "");
    house.wait(PATIENCE);
    let uris = ["sip:bob@example.com", "sip:carol@example.com", "sip:nobody@example.com", "sip:x@victim.org"];
    for (at, (method, uri)) in ["INVITE", "OPTIONS", "MESSAGE", "BYE"]
        .into_iter()
        .flat_map(|method| uris.map(|uri| (method, uri)))
        .enumerate()
    {
        let to_tag = if method == "BYE" { "t" } else { "" };
        let sent = house.hear(udp(1), &request(method, uri, udp(1), &format!("s{at}"), 1, to_tag, ""));
        assert_eq!(starts(&sent), [("SIP/2.0 403 Forbidden", "198.51.100.1:5060".into())], "{method} {uri}");
    }
    house.assert_quiet();
    // Whoever says to be one of ours has to prove it; the server itself answers whether it is there.
    let ours = invite(udp(1), "i1").replace("sip:ann@other.org", "sip:alice@example.com");
    assert_eq!(house.hear(udp(1), &ours)[0].start(), "SIP/2.0 407 Proxy Authentication Required");
    let alive = request("OPTIONS", "sip:example.com", udp(1), "o1", 1, "", "");
    assert_eq!(house.hear(udp(1), &alive)[0].start(), "SIP/2.0 200 OK");
}

#[test]
fn without_strangers_those_whom_our_users_call_still_answer_within_the_call() {
    let mut house = House::closed();
    for (user, host) in [("alice", 1), ("bob", 2)] {
        house.register(user, udp(host), "");
    }
    let ask = |branch: &str, proof: &str| {
        let head = format!("Contact: <{}>\r\n{proof}", contact("alice", udp(1)));
        request("INVITE", "sip:bob@example.com", udp(1), branch, 1, "", &head)
            .replace("sip:ann@other.org", "sip:alice@example.com")
    };
    let challenge = house.hear(udp(1), &ask("i1", "")).remove(0).text;
    let proof = authorization("alice", &challenge, Method::Invite, "sip:bob@example.com");
    let invited = house.hear(udp(1), &ask("i2", &proof)).remove(1);
    assert_eq!(house.hear(udp(2), &invited.answer("200 OK", "bob", ""))[0].start(), "SIP/2.0 200 OK");
    // Bob's phone writes another address of its own than the one that was called.
    let routes = callee_routes(&invited.text);
    let bye = request("BYE", &contact("alice", udp(1)), udp(2), "b1", 1, "ann", &routes)
        .replace("<sip:ann@other.org>;tag=ann", "<sip:bob@198.51.100.2>;tag=bob");
    assert_eq!(house.hear(udp(2), &bye)[0].to, udp(1).remote);
}

/// A token of a call is good for that call only.
#[test]
fn the_route_of_one_call_opens_no_other() {
    let mut house = House::new();
    let bob = stream(Transport::Tls, 6, 2);
    house.register("bob", bob, "");
    let invited = house.hear(udp(1), &invite(udp(1), "i1")).remove(1);
    let taken = house.hear(bob, &invited.answer("200 OK", "bob", "")).remove(0);
    let routes = caller_routes(&taken.text);
    let inside = request("INFO", "sip:x@victim.org", udp(1), "n1", 2, "bob", &routes);
    assert_eq!(house.hear(udp(1), &inside)[0].to, bob.remote);
    let other_call = inside.replace("call-1", "call-2").replace("z9hG4bKn1", "z9hG4bKn2");
    assert_eq!(house.hear(udp(1), &other_call)[0].start(), "SIP/2.0 403 Relaying Denied");
    let other_dialog = inside.replace(";tag=ann", ";tag=eve").replace("z9hG4bKn1", "z9hG4bKn4");
    assert_eq!(house.hear(udp(1), &other_dialog)[0].start(), "SIP/2.0 403 Relaying Denied");
    let no_dialog = inside.replace(";tag=bob", "").replace("z9hG4bKn1", "z9hG4bKn3");
    assert_eq!(house.hear(udp(1), &no_dialog)[0].start(), "SIP/2.0 403 Relaying Denied");
    let ack = request("ACK", "sip:x@victim.org", udp(1), "a1", 1, "bob", &routes).replace("call-1", "call-2");
    assert!(house.hear(udp(1), &ack).is_empty());
    assert_eq!(house.front.counts().dropped["sip_stray_ack"], 1);
}

#[test]
fn sips_stays_on_tls() {
    let mut house = House::new();
    house.register("bob", udp(2), "");
    let secure = |branch: &str| request("MESSAGE", "sips:bob@example.com", udp(1), branch, 1, "", "");
    assert_eq!(house.hear(udp(1), &secure("m1"))[0].start(), "SIP/2.0 480 Temporarily Unavailable");
    let tls = stream(Transport::Tls, 6, 3);
    house.register("bob", tls, "");
    let sent = house.hear(udp(1), &secure("m2"));
    assert_eq!((sent[0].to, sent.len()), (tls.remote, 1));
}

/// Where a transaction is kept can be counted; the rest of our branch cannot be guessed.
#[test]
fn a_stranger_answers_no_call() {
    let mut house = House::new();
    house.register("bob", udp(2), "");
    let invited = house.hear(udp(1), &invite(udp(1), "i1")).remove(1);
    let taken = invited.answer("200 OK", "stranger", "");
    let branch = invited.get("Via").split("branch=").nth(1).unwrap();
    let (place, rest) = branch.strip_prefix("z9hG4bK-").unwrap().split_once('-').unwrap();
    let (nonce, path) = rest.split_once('-').unwrap();
    for guess in [format!("{place}-{:016x}-{path}", 0), format!("{place}-{path}-{nonce}")] {
        let forged = taken.replace(branch, &format!("z9hG4bK-{guess}"));
        assert!(house.hear(udp(9), &forged).is_empty(), "{guess}");
    }
    assert_eq!(house.front.counts().dropped["sip_stray_response"], 2);
    assert_eq!(house.hear(udp(2), &taken)[0].start(), "SIP/2.0 200 OK");
}

/// RFC 3325, 5: phones believe what a proxy lets through.
#[test]
fn nobody_asserts_an_identity() {
    let mut house = House::new();
    house.register("bob", udp(2), "");
    let lie = "P-Asserted-Identity: \"The Boss\" <sip:alice@example.com>\r\nSubject: s\r\n";
    let asked = request("OPTIONS", "sip:bob@example.com", udp(1), "o1", 1, "", lie);
    let asked = house.hear(udp(1), &asked).remove(0);
    assert_eq!((asked.all("P-Asserted-Identity").len(), asked.get("Subject")), (0, "s"));
    let told = house.hear(udp(2), &asked.answer("200 OK", "bob", lie)).remove(0);
    assert_eq!((told.all("P-Asserted-Identity").len(), told.get("Subject")), (0, "s"));
}

/// The seed outlives a restart; what phones saw before it must tell them nothing about what comes after.
#[test]
fn branches_do_not_come_again_after_a_restart() {
    let branch = |after: Duration| {
        let mut house = House::begun(Duration::from_secs(1_800_000_000) + after, Limits::default());
        house.register("bob", udp(2), "");
        house.hear(udp(1), &invite(udp(1), "i1"))[1].get("Via").to_owned()
    };
    assert_eq!(branch(MS), branch(MS));
    assert_ne!(branch(MS), branch(SECOND));
}
