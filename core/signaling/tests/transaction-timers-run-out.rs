//! When nobody answers: what is said again, when, and when it ends (RFC 3261, table 4).
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use carillon_wire::sip::Transport;
use support::*;

fn ready() -> House {
    let mut house = House::new();
    house.register("bob", udp(2), "");
    house.wait(PATIENCE);
    house
}

const INVITE: &str = "INVITE sip:bob@198.51.100.2:5060;transport=udp SIP/2.0";
const MESSAGE: &str = "MESSAGE sip:bob@198.51.100.2:5060;transport=udp SIP/2.0";

#[test]
fn a_phone_that_never_answers_an_invite_is_asked_seven_times() {
    let mut house = ready();
    house.hear(udp(1), &invite(udp(1), "i1"));
    let sent = house.wait(PATIENCE);
    let mut expected: Vec<_> = [500, 1500, 3500, 7500, 15_500, 31_500].map(|at| (at, INVITE)).to_vec();
    expected.push((32_000, "SIP/2.0 408 Request Timeout"));
    assert_eq!(moments(&sent), expected);
}

#[test]
fn a_refusal_is_repeated_until_its_ack_comes_or_timer_h_ends() {
    let mut house = ready();
    let sent = house.hear(udp(1), &invite(udp(1), "i1"));
    house.hear(udp(2), &sent[1].answer("486 Busy Here", "b", ""));
    let again: Vec<_> = house.wait(PATIENCE + SECOND).iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(again, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!(house.front.counts().timeouts, 1);
    house.assert_quiet();
}

#[test]
fn an_ack_ends_the_repetition() {
    let mut house = ready();
    let sent = house.hear(udp(1), &invite(udp(1), "i1"));
    house.hear(udp(2), &sent[1].answer("486 Busy Here", "b", ""));
    assert_eq!(house.wait(SECOND).len(), 1);
    house.hear(udp(1), &request("ACK", "sip:bob@example.com", udp(1), "i1", 1, "b", ""));
    assert!(house.wait(SECOND * 5).is_empty());
    assert_eq!(house.front.counts().server_transactions, 0);
}

#[test]
fn a_message_that_nobody_answers_is_repeated_and_its_end_not_told() {
    let mut house = ready();
    house.hear(udp(1), &request("MESSAGE", "sip:bob@example.com", udp(1), "m1", 1, "", ""));
    let sent = house.wait(PATIENCE);
    let expected: Vec<_> = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]
        .map(|at| (at, MESSAGE))
        .to_vec();
    assert_eq!(moments(&sent), expected);
    house.assert_quiet();
}

#[test]
fn a_provisional_answer_slows_a_message_down_and_silences_an_invite() {
    let mut house = ready();
    let sent = house.hear(udp(1), &request("MESSAGE", "sip:bob@example.com", udp(1), "m1", 1, "", ""));
    house.hear(udp(2), &sent[0].answer("100 Trying", "", ""));
    assert_eq!(moments(&house.wait(SECOND * 9)), [(500, MESSAGE), (4500, MESSAGE), (8500, MESSAGE)]);
    let sent = house.hear(udp(1), &invite(udp(1), "i1"));
    house.hear(udp(2), &sent[1].answer("100 Trying", "", ""));
    assert!(moments(&house.wait(SECOND * 20)).iter().all(|(_, start)| *start == MESSAGE));
}

#[test]
fn it_rings_for_three_minutes_after_the_last_news() {
    let mut house = ready();
    let sent = house.hear(udp(1), &invite(udp(1), "i1"));
    house.hear(udp(2), &sent[1].answer("180 Ringing", "b", ""));
    assert!(house.wait(SECOND * 180).is_empty());
    // 100 is no news; 183 is (RFC 3261, 16.7, step 2).
    house.hear(udp(2), &sent[1].answer("100 Trying", "", ""));
    house.hear(udp(2), &sent[1].answer("183 Session Progress", "b", ""));
    assert!(house.wait(SECOND * 180).is_empty());
    house.hear(udp(2), &sent[1].answer("100 Trying", "", ""));
    let over = house.wait(SECOND * 6);
    assert_eq!(over[0].0, SECOND * 5);
    assert!(over[0].1.start().starts_with("CANCEL "), "{}", over[0].1.start());
    let end = house.hear(udp(2), &sent[1].answer("487 Request Terminated", "b", ""));
    assert_eq!(end[1].start(), "SIP/2.0 487 Request Terminated");
}

#[test]
fn a_phone_that_rings_on_after_timer_c_is_given_up() {
    let mut house = ready();
    let sent = house.hear(udp(1), &invite(udp(1), "i1"));
    house.hear(udp(2), &sent[1].answer("180 Ringing", "b", ""));
    let all = house.wait(SECOND * 185 + PATIENCE);
    let (at, last) = all.last().unwrap();
    assert_eq!((*at, last.start()), (SECOND * 185 + PATIENCE, "SIP/2.0 408 Request Timeout"));
    house.wait(PATIENCE);
    house.assert_quiet();
}

#[test]
fn nothing_is_repeated_on_a_connection_and_nothing_is_kept() {
    let mut house = House::new();
    let (ann, bob) = (stream(Transport::Tcp, 5, 1), stream(Transport::Tls, 6, 2));
    house.register("bob", bob, "");
    let sent = house.hear(ann, &request("MESSAGE", "sip:bob@example.com", ann, "m1", 1, "", ""));
    assert!(house.wait(SECOND * 31).is_empty());
    house.hear(bob, &sent[0].answer("200 OK", "b", ""));
    house.assert_quiet();
    let sent = house.hear(ann, &invite(ann, "i1"));
    house.hear(bob, &sent[1].answer("486 Busy Here", "b", ""));
    assert!(house.wait(SECOND * 31).is_empty());
    assert_eq!(house.front.counts().client_transactions, 0);
    house.hear(ann, &request("ACK", "sip:bob@example.com", ann, "i1", 1, "b", ""));
    house.assert_quiet();
}
