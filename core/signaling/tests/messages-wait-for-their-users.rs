//! A MESSAGE to somebody who is not there is kept, saved before it is acknowledged, and delivered when a phone registers.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use carillon_signaling::{Change, Letter, Request};
use carillon_wire::sip::{Flow, Transport};
use support::{House, MS, PATIENCE, SECOND, Sent, request, stream, udp};

const ANN: u8 = 9;

/// Ann's message number `number` to bob.
fn message(number: u32, more: &str, body: &str) -> String {
    let head = format!("Content-Type: text/plain\r\n{more}");
    let text = request("MESSAGE", "sip:bob@example.com", udp(ANN), &format!("m{number}"), number, "", &head);
    text.replace("Content-Length: 0\r\n\r\n", &format!("Content-Length: {}\r\n\r\n{body}", body.len()))
}

fn bob() -> Flow {
    stream(Transport::Tls, 3, 8)
}

/// Bob's phone registers; what it is sent at once besides its 200.
fn arrives(house: &mut House) -> Vec<Sent> {
    house.register_and_hear("bob", bob(), "")
}

fn body(sent: &Sent) -> &str {
    sent.text.split_once("\r\n\r\n").unwrap().1
}

fn kept(house: &House) -> Vec<Letter> {
    let of =
        |change: &Change| if let Change::Keep(letter) = change { Some(Letter::clone(letter)) } else { None };
    house.saved.iter().filter_map(of).collect()
}

#[test]
fn a_message_is_kept_and_delivered_once_in_order() {
    let mut house = House::new();
    for (number, text) in [(1, "first"), (2, "second")] {
        let sent =
            house.hear(udp(ANN), &message(number, "Subject: hi\r\nRoute: <sip:192.0.2.1;lr>\r\n", text));
        assert_eq!(sent[0].start(), "SIP/2.0 202 Accepted");
        // Again the same answer, and not a second letter.
        let sent =
            house.hear(udp(ANN), &message(number, "Subject: hi\r\nRoute: <sip:192.0.2.1;lr>\r\n", text));
        assert_eq!(sent[0].start(), "SIP/2.0 202 Accepted");
        house.wait(SECOND);
    }
    assert_eq!((kept(&house).len(), house.front.counts().letters), (2, 2));
    let sent = arrives(&mut house);
    assert_eq!(sent.len(), 1, "one at a time");
    let lines: Vec<&str> = sent[0].text.split("\r\n").filter(|line| !line.starts_with("Via: ")).collect();
    assert_eq!(
        lines,
        [
            "MESSAGE sip:bob@198.51.100.8:40003;transport=tls SIP/2.0",
            "Max-Forwards: 70",
            "From: <sip:ann@other.org>;tag=ann",
            "To: <sip:bob@example.com>",
            "Call-ID: call-1",
            "CSeq: 1 MESSAGE",
            "Content-Type: text/plain",
            "Subject: hi",
            "Date: Fri, 15 Jan 2027 08:00:00 GMT",
            "Content-Length: 5",
            "",
            "first"
        ]
    );
    let next = house.hear(bob(), &sent[0].answer("200 OK", "b", ""));
    assert_eq!((next.len(), body(&next[0])), (1, "second"));
    assert!(house.hear(bob(), &next[0].answer("200 OK", "b", "")).is_empty());
    assert_eq!(house.front.counts().letters, 0);
    assert!(matches!(house.saved.last(), Some(Change::Forget { .. })));
    assert!(arrives(&mut house).is_empty());
    house.wait(PATIENCE);
    house.assert_quiet();
}

#[test]
fn what_a_phone_may_have_had_is_delivered_again_and_says_so() {
    let mut house = House::new();
    house.hear(udp(ANN), &message(1, "", "hello"));
    let first = arrives(&mut house).remove(0);
    assert!(first.get("Carillon-Delivery").is_empty());
    // That it was tried is saved before it leaves.
    assert_eq!(kept(&house).iter().map(|letter| letter.tried).collect::<Vec<_>>(), [false, true]);
    house.close(bob());
    assert_eq!(house.front.counts().letters, 1);
    let again = arrives(&mut house).remove(0);
    assert_eq!((again.get("Carillon-Delivery"), body(&again)), ("again", "hello"));
    // Nobody answers: it waits for the next time.
    house.wait(PATIENCE);
    assert_eq!(house.front.counts().letters, 1);
    let third = arrives(&mut house).remove(0);
    // A phone that does not want it has had it.
    house.hear(bob(), &third.answer("415 Unsupported Media Type", "b", ""));
    assert_eq!(house.front.counts().letters, 0);
}

#[test]
fn what_is_of_no_use_later_is_not_kept() {
    let mut house = House::new();
    let typing = message(1, "", "<isComposing/>").replace("text/plain", "application/im-iscomposing+xml");
    for text in [typing, message(2, "Expires: 0\r\n", "now"), message(3, "", "")] {
        assert_eq!(house.hear(udp(ANN), &text)[0].start(), "SIP/2.0 480 Temporarily Unavailable", "{text}");
    }
    let brief = message(4, "Expires: 60\r\n", "soon");
    assert_eq!(house.hear(udp(ANN), &brief)[0].start(), "SIP/2.0 202 Accepted");
    house.wait(SECOND * 60 - MS);
    assert_eq!(house.front.counts().letters, 1);
    house.wait(MS);
    assert_eq!(house.front.counts().letters, 0);
    house.hear(udp(ANN), &message(5, "", "for long"));
    house.wait(SECOND * 7 * 86_400);
    assert!(arrives(&mut house).is_empty());
}

#[test]
fn a_box_fills_up_and_goes_with_its_user() {
    let mut house = House::new();
    for number in 0..100 {
        assert!(house.hear(udp(ANN), &message(number, "", "x"))[0].start().contains("202"));
    }
    assert!(house.hear(udp(ANN), &message(100, "", "x"))[0].start().contains("480"));
    house.front.handle_request(house.now, Request::RemoveUser("bob@example.com".to_owned()));
    house.drain();
    assert_eq!(house.front.counts().letters, 0);
    let forgotten = house.saved.iter().filter(|change| matches!(change, Change::Forget { .. })).count();
    assert_eq!(forgotten, 100);
}
