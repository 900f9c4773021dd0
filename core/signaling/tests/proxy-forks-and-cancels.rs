//! One user with several phones: who rings when, whose answer counts, and how the others learn that it is over.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use carillon_wire::sip::Transport;
use support::*;

/// Bob's phones, each with its `q`, and ann's INVITE: what left for the phones.
fn called(phones: &[(u8, &str)]) -> (House, Vec<Sent>) {
    let mut house = House::new();
    for (host, params) in phones {
        house.register("bob", udp(*host), params);
    }
    house.wait(PATIENCE);
    let mut sent = house.hear(udp(1), &invite(udp(1), "i1"));
    assert_eq!(sent.remove(0).start(), "SIP/2.0 100 Trying");
    (house, sent)
}

/// To whom these went.
fn hosts(sent: &[Sent]) -> Vec<(&str, u8)> {
    let host = |sent: &Sent| match sent.to.ip() {
        std::net::IpAddr::V4(ip) => ip.octets()[3],
        std::net::IpAddr::V6(_) => 0,
    };
    sent.iter().map(|sent| (sent.start().split(' ').next().unwrap(), host(sent))).collect()
}

#[test]
fn all_phones_ring_and_the_losers_learn_why_they_stop() {
    let (mut house, invited) = called(&[(2, ""), (3, "")]);
    assert_eq!(hosts(&invited), [("INVITE", 3), ("INVITE", 2)]);
    for (phone, invite) in [(3, &invited[0]), (2, &invited[1])] {
        let ringing = house.hear(udp(phone), &invite.answer("180 Ringing", &format!("t{phone}"), ""));
        assert_eq!(starts(&ringing), [("SIP/2.0 180 Ringing", udp(1).remote.to_string())]);
    }
    let taken = house.hear(udp(2), &invited[1].answer("200 OK", "t2", ""));
    assert_eq!(hosts(&taken), [("SIP/2.0", 1), ("CANCEL", 3)]);
    assert_eq!(taken[1].get("Reason"), "SIP;cause=200;text=\"Call completed elsewhere\"");
    assert_eq!(taken[1].all("Via"), [invited[0].get("Via")]);
    assert_eq!((taken[1].get("CSeq"), taken[1].get("To")), ("1 CANCEL", "<sip:bob@example.com>"));
    assert!(house.hear(udp(3), &taken[1].answer("200 OK", "t3", "")).is_empty());
    let ack = house.hear(udp(3), &invited[0].answer("487 Request Terminated", "t3", ""));
    assert_eq!(hosts(&ack), [("ACK", 3)]);
    assert_eq!(ack[0].get("To"), "<sip:bob@example.com>;tag=t3");
    house.wait(PATIENCE);
    house.assert_quiet();
}

#[test]
fn a_second_phone_that_answers_at_the_same_moment_is_heard_too() {
    let (mut house, invited) = called(&[(2, ""), (3, "")]);
    house.hear(udp(2), &invited[1].answer("200 OK", "t2", ""));
    let second = house.hear(udp(3), &invited[0].answer("200 OK", "t3", ""));
    assert_eq!(hosts(&second), [("SIP/2.0", 1)]);
    assert_eq!(second[0].get("To"), "<sip:bob@example.com>;tag=t3");
    house.wait(PATIENCE);
    house.assert_quiet();
}

#[test]
fn the_next_phones_ring_when_the_preferred_ones_have_refused() {
    let (mut house, first) = called(&[(2, ";q=0.5"), (3, ";q=0.9"), (4, ";q=0.5")]);
    assert_eq!(hosts(&first), [("INVITE", 3)]);
    let next = house.hear(udp(3), &first[0].answer("486 Busy Here", "t3", ""));
    assert_eq!(hosts(&next), [("ACK", 3), ("INVITE", 4), ("INVITE", 2)]);
    assert_eq!((next[1].get("Max-Breadth"), first[0].get("Max-Breadth")), ("30", ""));
    let one = house.hear(udp(4), &next[1].answer("404 Not Found", "t4", ""));
    assert_eq!(hosts(&one), [("ACK", 4)]);
    let last = house.hear(udp(2), &next[2].answer("480 Gone", "t2", ""));
    assert_eq!(starts(&last[1..]), [("SIP/2.0 486 Busy Here", udp(1).remote.to_string())]);
}

#[test]
fn a_refusal_for_all_ends_the_search() {
    let (mut house, invited) = called(&[(2, ""), (3, ""), (4, ";q=0.1")]);
    house.hear(udp(2), &invited[1].answer("180 Ringing", "t2", ""));
    let declined = house.hear(udp(3), &invited[0].answer("603 Decline", "t3", ""));
    assert_eq!(hosts(&declined), [("ACK", 3), ("CANCEL", 2)]);
    assert_eq!(declined[1].get("Reason"), "SIP;cause=603");
    let over = house.hear(udp(2), &invited[1].answer("487 Request Terminated", "t2", ""));
    assert_eq!(starts(&over[1..]), [("SIP/2.0 603 Decline", udp(1).remote.to_string())]);
}

#[test]
fn a_caller_who_gives_up_gets_487_and_nobody_rings_on() {
    let (mut house, invited) = called(&[(2, ""), (3, ""), (4, ";q=0.1")]);
    house.hear(udp(2), &invited[1].answer("180 Ringing", "t2", ""));
    let cancel = request("CANCEL", "sip:bob@example.com", udp(1), "i1", 1, "", "Reason: SIP;cause=487\r\n");
    let cancelled = house.hear(udp(1), &cancel);
    assert_eq!(hosts(&cancelled), [("SIP/2.0", 1), ("CANCEL", 2)]);
    assert_eq!((cancelled[0].get("CSeq"), cancelled[1].get("Reason")), ("1 CANCEL", "SIP;cause=487"));
    // Phone 3 has not said anything yet: it is cancelled as soon as it does (RFC 3261, 9.1).
    let late = house.hear(udp(3), &invited[0].answer("100 Trying", "", ""));
    assert_eq!((hosts(&late), late[0].get("Reason")), (vec![("CANCEL", 3)], "SIP;cause=487"));
    house.hear(udp(2), &invited[1].answer("487 Request Terminated", "t2", ""));
    let over = house.hear(udp(3), &invited[0].answer("487 Request Terminated", "t3", ""));
    assert_eq!(hosts(&over), [("ACK", 3), ("SIP/2.0", 1)]);
    assert_eq!(over[1].start(), "SIP/2.0 487 Request Terminated");
    let ack = house.hear(udp(1), &request("ACK", "sip:bob@example.com", udp(1), "i1", 1, "t3", ""));
    assert!(ack.is_empty());
    house.wait(PATIENCE);
    house.assert_quiet();
}

#[test]
fn a_phone_that_ignores_its_cancel_is_not_waited_for() {
    let (mut house, invited) = called(&[(2, "")]);
    house.hear(udp(2), &invited[0].answer("180 Ringing", "t2", ""));
    house.hear(udp(1), &request("CANCEL", "sip:bob@example.com", udp(1), "i1", 1, "", ""));
    let sent = house.wait(PATIENCE);
    let last = sent.iter().find(|(_, sent)| sent.start().starts_with("SIP/2.0")).unwrap();
    assert_eq!((last.0, last.1.start()), (PATIENCE, "SIP/2.0 487 Request Terminated"));
}

/// On a connection nothing waits for the answer to a CANCEL, and yet it was asked for.
#[test]
fn an_answer_to_our_cancel_is_no_stray() {
    for bob in [udp(2), stream(Transport::Tcp, 6, 2), stream(Transport::Tls, 6, 2)] {
        let mut house = House::new();
        house.register("bob", bob, "");
        let invited = house.hear(udp(1), &invite(udp(1), "i1")).remove(1);
        house.hear(bob, &invited.answer("180 Ringing", "t2", ""));
        let early = invited.answer("200 OK", "t2", "").replace("1 INVITE", "1 CANCEL");
        assert!(house.hear(bob, &early).is_empty());
        assert_eq!(house.front.counts().dropped["sip_stray_response"], 1);
        let cancel = request("CANCEL", "sip:bob@example.com", udp(1), "i1", 1, "", "");
        let cancelled = house.hear(udp(1), &cancel).remove(1);
        assert!(house.hear(bob, &cancelled.answer("200 OK", "t2", "")).is_empty());
        assert_eq!(house.front.counts().dropped["sip_stray_response"], 1, "{}", bob.transport);
        house.hear(bob, &invited.answer("487 Request Terminated", "t2", ""));
        house.wait(PATIENCE);
        house.assert_quiet();
    }
}

#[test]
fn a_cancel_for_nothing_is_told_so() {
    let mut house = House::new();
    let cancel = request("CANCEL", "sip:bob@example.com", udp(1), "i1", 1, "", "");
    assert_eq!(house.hear(udp(1), &cancel)[0].start(), "SIP/2.0 481 Call/Transaction Does Not Exist");
}

#[test]
fn challenges_of_all_phones_reach_the_caller() {
    let (mut house, invited) = called(&[(2, ""), (3, ""), (4, "")]);
    let one = "Proxy-Authenticate: Digest realm=\"a\"\r\n";
    let two = "WWW-Authenticate: Digest realm=\"b\"\r\n";
    house.hear(udp(4), &invited[0].answer("407 Proxy Authentication Required", "t4", one));
    house.hear(udp(3), &invited[1].answer("486 Busy Here", "t3", ""));
    let over = house.hear(udp(2), &invited[2].answer("401 Unauthorized", "t2", two));
    let answer = over.last().unwrap();
    assert_eq!(answer.start(), "SIP/2.0 407 Proxy Authentication Required");
    assert_eq!(answer.all("Proxy-Authenticate"), ["Digest realm=\"a\""]);
    assert_eq!(answer.all("WWW-Authenticate"), ["Digest realm=\"b\""]);
}

#[test]
fn a_phone_that_is_overloaded_does_not_keep_callers_from_the_server() {
    let (mut house, invited) = called(&[(2, "")]);
    let over = house.hear(udp(2), &invited[0].answer("503 Service Unavailable", "t2", "Retry-After: 60\r\n"));
    assert_eq!(over[1].start(), "SIP/2.0 500 Server Internal Error");
}

#[test]
fn a_connection_that_ends_is_a_phone_that_cannot_be_reached() {
    let mut house = House::new();
    let (tls, other) = (stream(Transport::Tls, 7, 2), stream(Transport::Tls, 8, 3));
    house.register("bob", tls, "");
    house.register("bob", other, "");
    let invited = house.hear(udp(1), &invite(udp(1), "i1"));
    assert_eq!(invited.len(), 3);
    assert!(house.close(other).is_empty());
    assert_eq!(
        starts(&house.close(tls)),
        [("SIP/2.0 480 Temporarily Unavailable", udp(1).remote.to_string())]
    );
    assert_eq!(house.front.counts().registrations, 0);
}

#[test]
fn nobody_rings_for_a_caller_who_has_gone() {
    let mut house = House::new();
    let ann = stream(Transport::Tcp, 5, 1);
    house.register("bob", udp(2), "");
    let invited = house.hear(ann, &invite(ann, "i1")).remove(1);
    house.hear(udp(2), &invited.answer("180 Ringing", "b", ""));
    let cancel = house.close(ann);
    assert_eq!(hosts(&cancel), [("CANCEL", 2)]);
    let ack = house.hear(udp(2), &invited.answer("487 Request Terminated", "b", ""));
    assert_eq!(hosts(&ack), [("ACK", 2)]);
    house.wait(PATIENCE);
    house.assert_quiet();
}

#[test]
fn a_caller_who_gave_up_hears_that_and_not_who_was_busy() {
    let (mut house, invited) = called(&[(2, ""), (3, "")]);
    house.hear(udp(2), &invited[1].answer("486 Busy Here", "t2", ""));
    house.hear(udp(3), &invited[0].answer("180 Ringing", "t3", ""));
    house.hear(udp(1), &request("CANCEL", "sip:bob@example.com", udp(1), "i1", 1, "", ""));
    let over = house.hear(udp(3), &invited[0].answer("487 Request Terminated", "t3", ""));
    assert_eq!(over[1].start(), "SIP/2.0 487 Request Terminated");
}

#[test]
fn a_message_is_answered_once_however_many_phones_took_it() {
    let mut house = House::new();
    house.register("bob", udp(2), "");
    house.register("bob", udp(3), "");
    let sent = house.hear(udp(1), &request("MESSAGE", "sip:bob@example.com", udp(1), "m1", 1, "", ""));
    assert_eq!(house.hear(udp(3), &sent[0].answer("200 OK", "t3", "")).len(), 1);
    assert!(house.hear(udp(2), &sent[1].answer("202 Accepted", "t2", "")).is_empty());
}

#[test]
fn a_cancel_from_elsewhere_cancels_nothing() {
    let (mut house, invited) = called(&[(2, "")]);
    house.hear(udp(2), &invited[0].answer("180 Ringing", "t2", ""));
    let cancel = request("CANCEL", "sip:bob@example.com", udp(1), "i1", 1, "", "");
    assert_eq!(house.hear(udp(9), &cancel)[0].start(), "SIP/2.0 481 Call/Transaction Does Not Exist");
    assert_eq!(house.hear(udp(1), &cancel).len(), 2);
}

#[test]
fn a_late_phone_learns_that_the_call_was_taken_elsewhere() {
    let (mut house, invited) = called(&[(2, ""), (3, "")]);
    house.hear(udp(2), &invited[1].answer("200 OK", "t2", ""));
    let late = house.hear(udp(3), &invited[0].answer("180 Ringing", "t3", ""));
    assert_eq!(late[0].get("Reason"), "SIP;cause=200;text=\"Call completed elsewhere\"");
    assert_eq!(hosts(&late), [("CANCEL", 3)]);
}

#[test]
fn breadth_is_shared_and_its_end_is_told() {
    let mut house = House::new();
    for host in [2, 3, 4] {
        house.register("bob", udp(host), "");
    }
    let narrow = |breadth: &str, branch: &str| {
        request(
            "MESSAGE",
            "sip:bob@example.com",
            udp(1),
            branch,
            1,
            "",
            &format!("Max-Breadth: {breadth}\r\n"),
        )
    };
    let refused = house.hear(udp(1), &narrow("2", "m1"));
    assert_eq!(starts(&refused), [("SIP/2.0 440 Max-Breadth Exceeded", udp(1).remote.to_string())]);
    let sent = house.hear(udp(1), &narrow("10", "m2"));
    assert_eq!(sent.iter().map(|sent| sent.get("Max-Breadth")).collect::<Vec<_>>(), ["3", "3", "3"]);
}
