//! Calls between a browser, which speaks DTLS-SRTP only, and a phone that knows nothing of it: each is told what it understands, and
//! nothing is left when they have ended. Ends of one kind are left alone.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use carillon_signaling::{Bridging, Limits, NotBridged, Opening};
use carillon_wire::sdp::Profile;
use carillon_wire::sip::{Flow, Transport};
use support::*;

const PAGE: &str = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n";
const PHONE: &str = "v=0\r\nm=audio 6004 RTP/AVP 0\r\n";

/// With a body.
fn with(text: &str, sdp: &str) -> String {
    let length = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
    text.replace("Content-Length: 0\r\n\r\n", &length)
}

fn body(sent: &Sent) -> &str {
    sent.text.split_once("\r\n\r\n").unwrap().1
}

/// Ann's phone or page, which needs no proof; bob's.
fn ann(transport: Transport) -> Flow {
    stream(transport, 7, 7)
}

fn bob(transport: Transport) -> Flow {
    stream(transport, 8, 8)
}

/// Ann calls bob's devices; the INVITEs.
fn call(house: &mut House, from: Flow, devices: &[Flow], offer: &str) -> Vec<Sent> {
    devices.iter().for_each(|device| house.register("bob", *device, ""));
    let sent = house.hear(from, &with(&invite(from, "1"), offer));
    assert_eq!(sent[0].start(), "SIP/2.0 100 Trying");
    sent[1..].to_vec()
}

/// The call is up; the INVITE and the 200 as they arrived.
fn up(house: &mut House, from: Flow, to: Flow, offer: &str, answer: &str) -> (Sent, Sent) {
    let asked = call(house, from, &[to], offer).remove(0);
    let answered =
        house.hear(to, &with(&asked.answer("200 OK", "bob", "Contact: <sip:bob@x>\r\n"), answer)).remove(0);
    (asked, answered)
}

fn request_of_caller(method: &str, from: Flow, answered: &Sent, cseq: u32) -> String {
    let branch = format!("{method}{cseq}");
    request(method, "sip:bob@x", from, &branch, cseq, "bob", &caller_routes(&answered.text))
}

fn closed(house: &House) -> usize {
    house.wishes.iter().filter(|wish| wish.what == Bridging::Close).count()
}

#[test]
fn a_page_calls_a_phone_and_each_is_told_what_it_understands() {
    let (mut house, page, phone) = (House::new(), ann(Transport::Wss), bob(Transport::Tls));
    let (asked, answered) = up(&mut house, page, phone, PAGE, PHONE);
    assert_eq!(body(&asked), "v=0\r\ns=offer from Web\r\n");
    assert_eq!(body(&answered), "v=0\r\ns=answer from Phone\r\n");
    assert_eq!(answered.get("Content-Length"), body(&answered).len().to_string());
    let ours = "192.0.2.1".parse().unwrap();
    let Bridging::Offer { from, sdp, opening } = &house.wishes[0].what else { panic!() };
    assert_eq!((*from, sdp.as_slice()), (Profile::Web, PAGE.as_bytes()));
    assert_eq!(*opening, Some(Opening { web: ours, phone: ours, keys: false }));
    assert_eq!((house.front.counts().bridges, closed(&house)), (1, 0));
    house.hear(page, &request_of_caller("BYE", page, &answered, 2));
    assert_eq!((house.front.counts().bridges, closed(&house)), (0, 1));
}

#[test]
fn a_phone_calls_a_page() {
    for phone in [udp(7), ann(Transport::Tcp)] {
        let (mut house, page) = (House::new(), bob(Transport::Wss));
        let (asked, answered) = up(&mut house, phone, page, PHONE, PAGE);
        assert_eq!(body(&asked), "v=0\r\ns=offer from Phone\r\n");
        assert_eq!(body(&answered), "v=0\r\ns=answer from Web\r\n");
    }
}

#[test]
fn ends_of_one_kind_are_left_alone() {
    for (from, to, offer) in [
        (ann(Transport::Wss), bob(Transport::Wss), PAGE),
        (udp(7), bob(Transport::Tls), PHONE),
        (ann(Transport::Tls), bob(Transport::Tls), PAGE),
    ] {
        let mut house = House::new();
        let (asked, answered) = up(&mut house, from, to, offer, offer);
        assert_eq!((body(&asked), body(&answered)), (offer, offer));
        assert!(house.wishes.is_empty());
    }
}

#[test]
fn each_device_of_a_user_is_told_what_it_understands_and_who_loses_gives_its_bridge_back() {
    let (mut house, from) = (House::new(), ann(Transport::Wss));
    let (page, phone) = (stream(Transport::Wss, 8, 8), stream(Transport::Tls, 9, 9));
    let asked = call(&mut house, from, &[page, phone], PAGE);
    let told = |to: Flow| asked.iter().find(|sent| sent.to == to.remote).unwrap().clone();
    assert_eq!((body(&told(page)), body(&told(phone))), (PAGE, "v=0\r\ns=offer from Web\r\n"));
    house.hear(phone, &told(phone).answer("180 Ringing", "b", ""));
    let sent = house.hear(page, &with(&told(page).answer("200 OK", "bob", "Contact: <sip:bob@x>\r\n"), PAGE));
    assert_eq!(body(&sent[0]), PAGE);
    assert_eq!(sent[1].start().split(' ').next(), Some("CANCEL"));
    house.hear(phone, &told(phone).answer("487 Request Terminated", "b", ""));
    assert_eq!((house.front.counts().bridges, closed(&house)), (0, 1));
}

#[test]
fn early_media_is_turned_round_too() {
    let (mut house, page, phone) = (House::new(), ann(Transport::Wss), bob(Transport::Tls));
    let asked = call(&mut house, page, &[phone], PAGE).remove(0);
    let early = house.hear(phone, &with(&asked.answer("183 Session Progress", "bob", ""), PHONE)).remove(0);
    assert_eq!(body(&early), "v=0\r\ns=answer from Phone\r\n");
    let ringing = house.hear(phone, &asked.answer("180 Ringing", "bob", "")).remove(0);
    assert_eq!(body(&ringing), "");
}

#[test]
fn what_is_offered_later_crosses_from_either_side() {
    let (mut house, page, phone) = (House::new(), ann(Transport::Wss), bob(Transport::Tls));
    let (asked, answered) = up(&mut house, page, phone, PAGE, PHONE);
    let hold = house.hear(page, &with(&request_of_caller("INVITE", page, &answered, 2), PAGE));
    let hold = hold.iter().find(|sent| sent.start().starts_with("INVITE")).unwrap();
    assert_eq!(body(hold), "v=0\r\ns=offer from Web\r\n");
    let held = house.hear(phone, &with(&hold.answer("200 OK", "bob", "Contact: <sip:bob@x>\r\n"), PHONE));
    assert_eq!(body(&held[0]), "v=0\r\ns=answer from Phone\r\n");
    let head = format!("{}From: <sip:bob@example.com>;tag=bob\r\n", callee_routes(&asked.text));
    let update = request("UPDATE", "sip:ann@x", phone, "u", 1, "", &head).replace(
        "From: <sip:ann@other.org>;tag=ann\r\nTo: <sip:bob@example.com>\r\n",
        "To: <sip:ann@other.org>;tag=ann\r\n",
    );
    let updated = house.hear(phone, &with(&update, PHONE));
    assert_eq!(body(&updated[0]), "v=0\r\ns=offer from Phone\r\n", "{}", updated[0].text);
    // A refused one takes nothing away.
    let again = house.hear(page, &with(&request_of_caller("INVITE", page, &answered, 3), PAGE));
    let again = again.iter().find(|sent| sent.start().starts_with("INVITE")).unwrap().clone();
    house.hear(phone, &again.answer("488 Not Acceptable Here", "bob", ""));
    assert_eq!((house.front.counts().bridges, closed(&house)), (1, 0));
}

#[test]
fn who_is_asked_for_an_offer_later_is_answered_by_the_ack() {
    let (mut house, page, phone) = (House::new(), ann(Transport::Wss), bob(Transport::Tls));
    let (_, answered) = up(&mut house, page, phone, PAGE, PHONE);
    let sent = house.hear(page, &request_of_caller("INVITE", page, &answered, 2));
    let asked = sent.iter().find(|sent| sent.start().starts_with("INVITE")).unwrap();
    assert_eq!(body(asked), "");
    let offered = house.hear(phone, &with(&asked.answer("200 OK", "bob", "Contact: <sip:bob@x>\r\n"), PHONE));
    assert_eq!(body(&offered[0]), "v=0\r\ns=offer from Phone\r\n");
    let ack = house.hear(page, &with(&request_of_caller("ACK", page, &answered, 2), PAGE));
    assert_eq!(body(&ack[0]), "v=0\r\ns=answer from Web\r\n");
}

#[test]
fn a_phone_that_wants_keys_is_offered_them() {
    let (mut house, page, phone) = (House::new(), ann(Transport::Wss), bob(Transport::Tls));
    let asked = call(&mut house, page, &[phone], PAGE).remove(0);
    let sent = house.hear(phone, &asked.answer("488 Not Acceptable Here", "b", ""));
    assert_eq!(starts(&sent)[0].0.split(' ').next(), Some("ACK"));
    assert_eq!(body(&sent[1]), "v=0\r\ns=offer from Web\r\n");
    let keys = house.wishes.iter().filter_map(|wish| match &wish.what {
        Bridging::Offer { opening: Some(opening), .. } => Some(opening.keys),
        _ => None,
    });
    assert_eq!(keys.collect::<Vec<_>>(), [false, true]);
    let refused = house.hear(phone, &sent[1].answer("488 Not Acceptable Here", "b", ""));
    assert_eq!(refused[1].start(), "SIP/2.0 488 Not Acceptable Here", "it is asked twice, not for ever");
    assert_eq!((house.front.counts().bridges, closed(&house)), (0, 2));
}

#[test]
fn what_the_server_cannot_bridge_is_refused_and_leaves_nothing() {
    for (why, start) in [
        (NotBridged::Unacceptable, "SIP/2.0 488 Media Cannot Be Bridged"),
        (NotBridged::NoPorts, "SIP/2.0 503 Service Unavailable"),
    ] {
        let mut house = House::new();
        house.bridge = match why {
            NotBridged::Unacceptable => |_| Err(NotBridged::Unacceptable),
            NotBridged::NoPorts => |_| Err(NotBridged::NoPorts),
        };
        let sent = call(&mut house, ann(Transport::Wss), &[bob(Transport::Tls)], PAGE);
        assert_eq!((sent.len(), sent[0].start()), (1, start));
        assert_eq!((house.front.counts().bridges, closed(&house)), (0, 1));
    }
}

#[test]
fn an_answer_that_cannot_be_turned_round_goes_on_as_it_came() {
    let (mut house, page, phone) = (House::new(), ann(Transport::Wss), bob(Transport::Tls));
    house.bridge = |what| match what {
        Bridging::Offer { .. } => Ok("v=0\r\n".to_owned()),
        _ => Err(NotBridged::Unacceptable),
    };
    let (_, answered) = up(&mut house, page, phone, PAGE, "v=0\r\njunk\r\n");
    assert_eq!(body(&answered), "v=0\r\njunk\r\n", "whoever can't read it hangs up");
    house.hear(page, &request_of_caller("BYE", page, &answered, 2));
    assert_eq!(closed(&house), 1);
}

#[test]
fn calls_that_are_given_up_or_fall_silent_give_their_bridges_back() {
    let (mut house, page, phone) = (House::new(), ann(Transport::Wss), bob(Transport::Tls));
    let asked = call(&mut house, page, &[phone], PAGE).remove(0);
    house.hear(phone, &asked.answer("180 Ringing", "b", ""));
    house.hear(page, &request("CANCEL", "sip:bob@example.com", page, "1", 1, "", ""));
    house.hear(phone, &asked.answer("487 Request Terminated", "b", ""));
    assert_eq!(closed(&house), 1, "cancelled");
    let mut house = House::new();
    call(&mut house, page, &[phone], PAGE);
    house.close(phone);
    assert_eq!(closed(&house), 1, "a connection is lost");
    let mut house = House::new();
    call(&mut house, page, &[udp(8)], PAGE);
    house.wait(PATIENCE * 2);
    assert_eq!(closed(&house), 1, "nobody answers");
    let mut house = House::with(Limits { silence: PATIENCE * 4, ..Limits::default() });
    up(&mut house, page, phone, PAGE, PHONE);
    house.wait(PATIENCE * 5);
    assert_eq!((house.front.counts().bridges, closed(&house)), (0, 1), "silence");
}

#[test]
fn a_call_that_nobody_can_follow_keeps_no_bridge() {
    let mut house = House::with(Limits { calls: 1, ..Limits::default() });
    let (page, phone) = (ann(Transport::Wss), bob(Transport::Tls));
    let asked = call(&mut house, page, &[phone], PAGE).remove(0);
    house.register("carol", udp(9), "");
    let other = invite(udp(10), "2").replace("call-1", "call-2").replace("sip:bob@", "sip:carol@");
    let first = house.hear(udp(10), &other).remove(1);
    house.hear(udp(9), &first.answer("200 OK", "carol", "Contact: <sip:carol@x>\r\n"));
    assert_eq!(house.front.counts().calls, 1, "and no more fit");
    let answered =
        house.hear(phone, &with(&asked.answer("200 OK", "bob", "Contact: <sip:bob@x>\r\n"), PHONE)).remove(0);
    assert_eq!(body(&answered), PHONE, "the page can do nothing with it, and hangs up");
    assert_eq!((house.front.counts().bridges, closed(&house)), (0, 1));
}

#[test]
fn a_provisional_answer_is_not_the_last() {
    let (mut house, page, phone) = (House::new(), ann(Transport::Wss), bob(Transport::Tls));
    let asked = call(&mut house, page, &[phone], PAGE).remove(0);
    house.hear(phone, &with(&asked.answer("183 Session Progress", "bob", ""), PHONE));
    house.hear(phone, &with(&asked.answer("200 OK", "bob", "Contact: <sip:bob@x>\r\n"), PHONE));
    let lasts: Vec<bool> = house
        .wishes
        .iter()
        .filter_map(|wish| match wish.what {
            Bridging::Answer { last, .. } => Some(last),
            _ => None,
        })
        .collect();
    assert_eq!(lasts, [false, true]);
}

/// RFC 3311, 5.1 and RFC 3262, 5: both are for reliable provisional answers, which a bridge does not offer, and come all the same.
#[test]
fn what_is_described_before_the_answer_is_refused_and_the_call_goes_on() {
    let (mut house, page, phone) = (House::new(), ann(Transport::Wss), bob(Transport::Tls));
    house.register("bob", phone, "");
    let invited =
        invite(page, "1").replace("Contact:", "Supported: 100rel, replaces\r\nk: timer\r\nContact:");
    let asked = house.hear(page, &with(&invited, PAGE)).remove(1);
    assert_eq!(asked.all("Supported"), ["replaces", "timer"], "{}", asked.text);
    let early = house.hear(phone, &with(&asked.answer("183 Session Progress", "bob", ""), PHONE)).remove(0);
    for (method, cseq) in [("UPDATE", 2), ("PRACK", 3)] {
        let refused = house.hear(page, &with(&request_of_caller(method, page, &early, cseq), PAGE));
        assert_eq!(
            starts(&refused),
            [("SIP/2.0 488 Media Cannot Be Bridged Before The Answer", page.remote.to_string())]
        );
    }
    let bare = house.hear(page, &request_of_caller("PRACK", page, &early, 4)).remove(0);
    assert_eq!(bare.start().split(' ').next(), Some("PRACK"), "without a description it passes");
    house.hear(phone, &bare.answer("200 OK", "", ""));
    let ok = with(&asked.answer("200 OK", "bob", "Contact: <sip:bob@x>\r\n"), PHONE);
    let answered = house.hear(phone, &ok).remove(0);
    assert_eq!(body(&answered), "v=0\r\ns=answer from Phone\r\n");
    let later = house.hear(page, &with(&request_of_caller("UPDATE", page, &answered, 5), PAGE)).remove(0);
    assert_eq!(body(&later), "v=0\r\ns=offer from Web\r\n", "after the answer it crosses");
}
