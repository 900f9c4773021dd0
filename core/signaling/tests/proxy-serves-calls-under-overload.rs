//! Full tables and draining: new requests are told to come later, calls that are up go on.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use carillon_signaling::{Limits, Request};
use support::*;

/// A call that is up; its routes.
fn up(house: &mut House) -> String {
    house.register("bob", udp(2), "");
    let invited = house.hear(udp(1), &invite(udp(1), "i1")).remove(1);
    let taken = house.hear(udp(2), &invited.answer("200 OK", "bob", "")).remove(0);
    house.wait(PATIENCE);
    caller_routes(&taken.text)
}

fn second_call(house: &mut House) -> Vec<Sent> {
    let text = invite(udp(3), "i2").replace("call-1", "call-2");
    house.hear(udp(3), &text)
}

fn assert_busy(sent: &[Sent], to: u8) {
    assert_eq!(starts(sent), [("SIP/2.0 503 Service Unavailable", udp(to).remote.to_string())]);
    let seconds: u32 = sent[0].get("Retry-After").parse().unwrap();
    assert!((5..=15).contains(&seconds));
}

#[test]
fn a_full_table_of_transactions_refuses_what_is_new() {
    let mut house = House::with(Limits { transactions: 8, ..Limits::default() });
    let routes = up(&mut house);
    let message = |n: u32| request("MESSAGE", "sip:bob@example.com", udp(3), &format!("m{n}"), n, "", "");
    for n in 1..=4 {
        assert_eq!(house.hear(udp(3), &message(n))[0].to, udp(2).remote);
    }
    assert_busy(&house.hear(udp(3), &message(5)), 3);
    assert_busy(&second_call(&mut house), 3);
    assert_eq!(house.front.counts().overload, 2);
    let ack = house.hear(udp(1), &request("ACK", &contact("bob", udp(2)), udp(1), "a1", 1, "bob", &routes));
    assert_eq!(ack[0].to, udp(2).remote);
    let bye = house.hear(udp(1), &request("BYE", &contact("bob", udp(2)), udp(1), "b1", 2, "bob", &routes));
    assert_eq!(bye[0].to, udp(2).remote);
    // Even that has an end.
    assert_busy(
        &house.hear(udp(1), &request("INFO", &contact("bob", udp(2)), udp(1), "n1", 3, "bob", &routes)),
        1,
    );
    house.wait(PATIENCE * 2);
    house.assert_quiet();
    assert_eq!(house.hear(udp(3), &message(6)).len(), 1);
}

#[test]
fn a_full_table_of_calls_refuses_new_ones_but_not_messages() {
    let mut house = House::with(Limits { calls: 1, ..Limits::default() });
    let routes = up(&mut house);
    assert_busy(&second_call(&mut house), 3);
    let message = request("MESSAGE", "sip:bob@example.com", udp(3), "m1", 1, "", "");
    assert_eq!(house.hear(udp(3), &message)[0].to, udp(2).remote);
    house.hear(udp(1), &request("BYE", &contact("bob", udp(2)), udp(1), "b1", 2, "bob", &routes));
    assert_eq!(second_call(&mut house).len(), 2);
}

#[test]
fn outputs_that_nobody_takes_are_bounded() {
    let mut house = House::with(Limits { queue: 3, ..Limits::default() });
    house.register("bob", udp(2), "");
    for n in 0..50 {
        let message = request("MESSAGE", "sip:bob@example.com", udp(3), &format!("m{n}"), n, "", "");
        house.front.handle_input(house.now, udp(3), message.as_bytes());
    }
    let sent = house.drain();
    assert_eq!(sent.iter().filter(|sent| sent.start().starts_with("MESSAGE")).count(), 3);
}

#[test]
fn draining_takes_on_nothing_new() {
    let mut house = House::new();
    let routes = up(&mut house);
    house.front.handle_request(house.now, Request::Drain);
    assert_busy(&second_call(&mut house), 3);
    let register = request("REGISTER", "sip:example.com", udp(3), "r1", 1, "", "");
    assert_busy(&house.hear(udp(3), &register), 3);
    let bye = house.hear(udp(1), &request("BYE", &contact("bob", udp(2)), udp(1), "b1", 2, "bob", &routes));
    assert_eq!(bye[0].to, udp(2).remote);
}

/// A phone answers one INVITE again and again, each time as if it were another phone.
#[test]
fn one_invite_takes_one_place_in_the_table_of_calls() {
    let mut house = House::new();
    house.register("bob", udp(2), "");
    let invited = house.hear(udp(1), &invite(udp(1), "i1")).remove(1);
    for n in 0..5 {
        let taken = house.hear(udp(2), &invited.answer("200 OK", &format!("bob{n}"), ""));
        assert_eq!(starts(&taken), [("SIP/2.0 200 OK", udp(1).remote.to_string())]);
    }
    assert_eq!(house.front.counts().calls, 1);
}

/// The kernel would refuse it, and then every call that is on its way to this phone would be given up.
#[test]
fn what_fits_into_no_datagram_is_refused_at_once() {
    let mut house = House::new();
    house.register("bob", udp(2), "");
    let ann = stream(carillon_wire::sip::Transport::Tcp, 9, 1);
    let message = |branch: &str, len: usize| {
        let text = request("MESSAGE", "sip:bob@example.com", ann, branch, 1, "", "");
        text.replace("Content-Length: 0", &format!("Content-Length: {len}")) + &"x".repeat(len)
    };
    assert_eq!(house.hear(ann, &message("m1", 60_000))[0].to, udp(2).remote);
    let refused = house.hear(ann, &message("m2", 66_000));
    assert_eq!(starts(&refused), [("SIP/2.0 513 Message Too Large", ann.remote.to_string())]);
    house.wait(PATIENCE);
    house.assert_quiet();
}

#[test]
fn requests_that_wait_for_an_answer_are_bounded_in_bytes() {
    let mut house = House::with(Limits { waiting: 1900, ..Limits::default() });
    house.register("bob", udp(2), "");
    let asked =
        house.hear(udp(1), &invite(udp(1), "i1").replace("Contact:", &format!("X: {:700}\r\nContact:", 'x')));
    assert_eq!(asked[1].to, udp(2).remote);
    assert_busy(&house.hear(udp(3), &invite(udp(3), "i2").replace("call-1", "call-2")), 3);
    house.hear(udp(2), &asked[1].answer("486 Busy Here", "bob", ""));
    let next = house.hear(udp(3), &invite(udp(3), "i3").replace("call-1", "call-3"));
    assert_eq!(next[0].start(), "SIP/2.0 100 Trying");
    house.wait(PATIENCE * 20);
    house.assert_quiet();
    // A request other than INVITE that nobody answers ends without an answer, and makes room all the same.
    for n in 0..3 {
        let long = format!("X: {:700}\r\n", 'x');
        let message = request("MESSAGE", "sip:bob@example.com", udp(3), &format!("m{n}"), 1, "", &long);
        assert_eq!(house.hear(udp(3), &message)[0].to, udp(2).remote);
        house.wait(PATIENCE * 2);
    }
    house.assert_quiet();
}
