//! What comes twice is done once, in every state, over UDP.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use support::*;

fn ready() -> House {
    let mut house = House::new();
    house.register("bob", udp(2), "");
    house.wait(PATIENCE);
    house
}

#[test]
fn an_invite_again_gets_the_last_answer_again() {
    let mut house = ready();
    let invite = invite(udp(1), "i1");
    let sent = house.hear(udp(1), &invite);
    assert_eq!(sent.len(), 2);
    assert_eq!(house.hear(udp(1), &invite), [sent[0].clone()]);
    let ringing = house.hear(udp(2), &sent[1].answer("180 Ringing", "b", ""));
    assert_eq!(house.hear(udp(1), &invite), ringing);
    house.hear(udp(2), &sent[1].answer("486 Busy Here", "b", ""));
    let busy = house.hear(udp(1), &invite);
    assert_eq!(starts(&busy), [("SIP/2.0 486 Busy Here", udp(1).remote.to_string())]);
    house.hear(udp(1), &request("ACK", "sip:bob@example.com", udp(1), "i1", 1, "b", ""));
    assert!(house.hear(udp(1), &invite).is_empty());
    assert_eq!(house.front.counts().absorbed, 4);
    house.wait(PATIENCE);
    house.assert_quiet();
}

#[test]
fn an_invite_again_after_it_was_taken_is_absorbed_and_the_phone_repeats_its_200() {
    let mut house = ready();
    let invite = invite(udp(1), "i1");
    let sent = house.hear(udp(1), &invite);
    let ok = sent[1].answer("200 OK", "b", "");
    let first = house.hear(udp(2), &ok);
    assert!(house.hear(udp(1), &invite).is_empty());
    assert_eq!(house.hear(udp(2), &ok), first);
    house.wait(PATIENCE - MS);
    assert_eq!(house.hear(udp(2), &ok), first);
    house.wait(MS);
    assert!(house.hear(udp(2), &ok).is_empty());
    assert_eq!(house.front.counts().dropped["sip_stray_response"], 1);
    house.assert_quiet();
}

#[test]
fn a_message_again_waits_with_the_first_and_gets_its_answer() {
    let mut house = ready();
    let message = request("MESSAGE", "sip:bob@example.com", udp(1), "m1", 1, "", "");
    let sent = house.hear(udp(1), &message);
    assert_eq!(sent.len(), 1);
    assert!(house.hear(udp(1), &message).is_empty());
    let ok = house.hear(udp(2), &sent[0].answer("200 OK", "b", ""));
    assert_eq!(house.hear(udp(1), &message), ok);
    assert!(house.hear(udp(2), &sent[0].answer("200 OK", "b", "")).is_empty());
    house.wait(PATIENCE);
    house.assert_quiet();
}

#[test]
fn a_message_that_was_answered_is_soon_forgotten_on_our_way_out() {
    let mut house = ready();
    let sent = house.hear(udp(1), &request("MESSAGE", "sip:bob@example.com", udp(1), "m1", 1, "", ""));
    house.hear(udp(2), &sent[0].answer("200 OK", "b", ""));
    house.wait(SECOND * 5 - MS);
    assert_eq!(house.front.counts().client_transactions, 1);
    house.wait(MS);
    assert_eq!((house.front.counts().client_transactions, house.front.counts().server_transactions), (0, 1));
}

#[test]
fn a_refusal_again_is_acknowledged_again_and_not_passed_on() {
    let mut house = ready();
    let sent = house.hear(udp(1), &invite(udp(1), "i1"));
    let busy = sent[1].answer("486 Busy Here", "b", "");
    let first = house.hear(udp(2), &busy);
    assert_eq!(starts(&first)[0].1, udp(2).remote.to_string());
    assert_eq!((first[0].get("Via"), first[0].get("CSeq")), (sent[1].get("Via"), "1 ACK"));
    assert_eq!(house.hear(udp(2), &busy), [first[0].clone()]);
    assert!(house.hear(udp(2), &sent[1].answer("180 Ringing", "b", "")).is_empty());
}

#[test]
fn a_registration_again_is_not_made_again() {
    let mut house = ready();
    let register = |cseq: u32, more: &str| {
        format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.3;branch=z9hG4bKr{cseq}\r\n\
             From: <sip:alice@example.com>;tag=r\r\nTo: <sip:alice@example.com>\r\nCall-ID: r\r\nCSeq: {cseq} REGISTER\r\n\
             Contact: <sip:alice@198.51.100.3>\r\n{more}\r\n"
        )
    };
    let challenge = house.hear(udp(3), &register(1, ""));
    let method = carillon_wire::sip::Method::Register;
    let more = authorization("alice", &challenge[0].text, method, "sip:example.com");
    let done = house.hear(udp(3), &register(2, &more));
    assert_eq!(done[0].start(), "SIP/2.0 200 OK");
    assert_eq!(house.hear(udp(3), &register(2, &more)), done);
}

#[test]
fn clients_without_a_branch_are_told_apart_by_their_fields() {
    let mut house = ready();
    let old = |method: &str, cseq: u32, to: &str| {
        format!(
            "{method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1\r\nFrom: <sip:ann@other.org>;tag=1\r\n\
             To: <sip:bob@example.com>{to}\r\nCall-ID: c\r\nCSeq: {cseq} {method}\r\n\r\n"
        )
    };
    let sent = house.hear(udp(1), &old("INVITE", 1, ""));
    assert_eq!(house.hear(udp(1), &old("INVITE", 1, "")), [sent[0].clone()]);
    let busy = house.hear(udp(2), &sent[1].answer("486 Busy Here", "b", ""));
    assert_eq!(busy[1].start(), "SIP/2.0 486 Busy Here");
    assert!(house.hear(udp(1), &old("ACK", 1, ";tag=b")).is_empty());
    assert!(house.wait(SECOND * 3).is_empty());
    let again = house.hear(udp(1), &old("INVITE", 2, ""));
    assert_eq!(again.len(), 2);
    house.hear(udp(2), &again[1].answer("180 Ringing", "b", ""));
    let cancelled = house.hear(udp(1), &old("CANCEL", 2, ""));
    assert_eq!(starts(&cancelled)[0].0, "SIP/2.0 200 OK");
    assert_eq!(cancelled[1].get("CSeq"), "2 CANCEL");
}
