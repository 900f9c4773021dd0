//! Calls that the agent takes: what it answers to every kind of request, and when.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod agent;

use std::time::Duration;

use agent::{ANSWER, OFFER, Phone, call_of, field, starts};
use carillon_signaling::agent::{CallKey, Ending, Event, Request};

/// A request of bob's; `tag` is ours.
fn request(method: &str, cseq: u32, tag: Option<&str>, more: &str, body: &[u8]) -> String {
    let to = tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
    format!(
        "{method} sip:alice@192.0.2.7:5070 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{method}{cseq}\r\n\
         From: \"Bob\" <sip:bob@example.com>;tag=bob\r\nTo: <sip:alice@example.com>{to}\r\n\
         Call-ID: call\r\nCSeq: {cseq} {method}\r\n{more}Content-Length: {}\r\n\r\n{}",
        body.len(),
        std::str::from_utf8(body).unwrap()
    )
}

const WAY: &str = "Record-Route: <sip:192.0.2.1;lr>\r\nContact: <sip:bob@198.51.100.3>\r\n";

fn invite(cseq: u32, tag: Option<&str>, body: &[u8]) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    request("INVITE", cseq, tag, &format!("{WAY}{kind}"), body)
}

fn called(phone: &mut Phone) -> CallKey {
    assert_eq!(phone.hear(&invite(1, None, OFFER)), [""; 0]);
    call_of(phone.news().last())
}

/// A call that is up; the tag of ours.
fn up(phone: &mut Phone) -> (CallKey, String) {
    let call = called(phone);
    let ok = phone.ask(Request::Answer { call, sdp: ANSWER.to_vec() });
    let tag = field(&ok[0], "To").split_once("tag=").unwrap().1.to_owned();
    assert_eq!(phone.hear(&request("ACK", 1, Some(&tag), "", b"")), [""; 0]);
    assert_eq!(phone.news(), [Event::Answered { call, sdp: None }]);
    (call, tag)
}

#[test]
fn a_call_is_told_with_its_offer_and_rings_when_the_user_says_so() {
    let mut phone = Phone::udp();
    phone.hear(&invite(1, None, OFFER));
    let news = phone.news();
    let call = call_of(news.last());
    let expected = Event::Incoming {
        call,
        call_id: "call".to_owned(),
        from: "sip:bob@example.com".to_owned(),
        offer: Some(OFFER.to_vec()),
    };
    assert_eq!(news, [expected]);
    let ringing = phone.ask(Request::Ring(call));
    let expected = "SIP/2.0 180 Ringing\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKINVITE1\r\n\
        From: \"Bob\" <sip:bob@example.com>;tag=bob\r\n\
        To: <sip:alice@example.com>;tag={2}\r\n\
        Call-ID: call\r\n\
        CSeq: 1 INVITE\r\n\
        Record-Route: <sip:192.0.2.1;lr>\r\n\
        Contact: <sip:alice@192.0.2.7:5070;ob>\r\n\
        User-Agent: Carillon\r\n\
        Content-Length: 0\r\n\r\n";
    assert_eq!(ringing.len(), 1);
    assert_eq!(ringing[0].replace("{1}", "{2}"), expected);
    assert_eq!(
        phone.hear(&invite(1, None, OFFER)),
        ringing,
        "a repeated INVITE gets the newest answer again"
    );
}

#[test]
fn an_answer_is_repeated_until_it_is_confirmed() {
    let mut phone = Phone::udp();
    let call = called(&mut phone);
    let ok = phone.ask(Request::Answer { call, sdp: ANSWER.to_vec() });
    assert_eq!(starts(&ok), ["SIP/2.0 200 OK"]);
    assert!(
        ok[0].ends_with("Content-Type: application/sdp\r\nContent-Length: 15\r\n\r\nv=0\r\no=answer\r\n")
    );
    assert_eq!(phone.hear(&invite(1, None, OFFER)), [""; 0], "RFC 6026: it is not answered a second time");
    assert_eq!(phone.wait(), (Duration::from_millis(500), ok.clone()));
    assert_eq!(phone.wait(), (Duration::from_secs(1), ok.clone()));
    let tag = field(&ok[0], "To").split_once("tag=").unwrap().1.to_owned();
    phone.hear(&request("ACK", 1, Some(&tag), "", b""));
    assert_eq!(phone.news(), [Event::Answered { call, sdp: None }]);
    assert_eq!(phone.pass(Duration::from_secs(600)), [""; 0]);
}

#[test]
fn an_answer_that_nobody_confirms_ends_the_call_with_a_bye() {
    let mut phone = Phone::udp();
    let call = called(&mut phone);
    phone.ask(Request::Answer { call, sdp: ANSWER.to_vec() });
    let sent = phone.pass(Duration::from_secs(32));
    assert_eq!(starts(&sent).last(), Some(&"BYE sip:bob@198.51.100.3 SIP/2.0"));
    assert_eq!(starts(&sent).iter().filter(|line| **line == "SIP/2.0 200 OK").count(), 10);
    phone.pass(Duration::from_secs(32));
    assert_eq!(phone.news(), [Event::Ended { call, why: Ending::NoAck }]);
}

#[test]
fn hanging_up_waits_for_the_ack() {
    let mut phone = Phone::udp();
    let call = called(&mut phone);
    let ok = phone.ask(Request::Answer { call, sdp: ANSWER.to_vec() });
    assert_eq!(phone.ask(Request::HangUp(call)), [""; 0]);
    let tag = field(&ok[0], "To").split_once("tag=").unwrap().1.to_owned();
    let bye = phone.hear(&request("ACK", 1, Some(&tag), "", b""));
    assert_eq!(starts(&bye), ["BYE sip:bob@198.51.100.3 SIP/2.0"]);
    assert_eq!(field(&bye[0], "Route"), "<sip:192.0.2.1;lr>");
    assert_eq!(field(&bye[0], "To"), "\"Bob\" <sip:bob@example.com>;tag=bob");
}

#[test]
fn a_refusal_is_repeated_until_its_ack() {
    let mut phone = Phone::udp();
    let call = called(&mut phone);
    let busy =
        phone.ask(Request::Reject { call, code: 486, warning: Some("no \"audio\"\r\nport".to_owned()) });
    assert_eq!(starts(&busy), ["SIP/2.0 486 Busy Here"]);
    assert_eq!(field(&busy[0], "Warning"), "399 192.0.2.7 \"no  audio   port\"");
    assert_eq!(phone.news(), [Event::Ended { call, why: Ending::HungUp }]);
    assert_eq!(phone.pass(Duration::from_millis(500)), busy);
    phone.hear(&request("ACK", 1, Some("x"), "", b"").replace("ACK1", "INVITE1"));
    assert_eq!(phone.pass(Duration::from_secs(600)), [""; 0]);
}

#[test]
fn a_caller_who_gives_up_gets_two_answers() {
    let mut phone = Phone::udp();
    let call = called(&mut phone);
    let cancel =
        request("CANCEL", 1, None, "Reason: SIP ;cause=200\r\n", b"").replace("bKCANCEL1", "bKINVITE1");
    let sent = phone.hear(&cancel);
    assert_eq!(starts(&sent), ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]);
    assert_eq!(field(&sent[0], "CSeq"), "1 CANCEL");
    assert_eq!(field(&sent[1], "CSeq"), "1 INVITE");
    assert_eq!(field(&sent[0], "To"), field(&sent[1], "To"));
    let why = Ending::RemoteHungUp { reason: Some("SIP ;cause=200".to_owned()) };
    assert_eq!(phone.news(), [Event::Ended { call, why }]);
    let unknown = request("CANCEL", 7, None, "", b"");
    assert_eq!(starts(&phone.hear(&unknown)), ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
}

#[test]
fn a_cancel_that_comes_too_late_changes_nothing() {
    let mut phone = Phone::udp();
    let call = called(&mut phone);
    phone.ask(Request::Answer { call, sdp: ANSWER.to_vec() });
    let cancel = request("CANCEL", 1, None, "", b"").replace("bKCANCEL1", "bKINVITE1");
    assert_eq!(starts(&phone.hear(&cancel)), ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
    assert_eq!(phone.news(), []);
}

#[test]
fn the_other_side_hangs_up() {
    let mut phone = Phone::udp();
    let (call, tag) = up(&mut phone);
    let bye = request("BYE", 2, Some(&tag), "", b"");
    let sent = phone.hear(&bye);
    assert_eq!(starts(&sent), ["SIP/2.0 200 OK"]);
    assert_eq!(phone.news(), [Event::Ended { call, why: Ending::RemoteHungUp { reason: None } }]);
    assert_eq!(phone.hear(&bye), sent);
    let again = request("BYE", 3, Some(&tag), "", b"");
    assert_eq!(starts(&phone.hear(&again)), ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
}

#[test]
fn a_new_offer_is_put_before_the_user_and_the_same_one_is_only_a_refresh() {
    let mut phone = Phone::udp();
    let (call, tag) = up(&mut phone);
    let refresh = phone.hear(&invite(2, Some(&tag), OFFER));
    assert_eq!(starts(&refresh), ["SIP/2.0 200 OK"]);
    assert!(refresh[0].ends_with("\r\n\r\nv=0\r\no=answer\r\n"));
    assert_eq!(phone.news(), []);
    phone.hear(&request("ACK", 2, Some(&tag), "", b""));
    assert_eq!(phone.news(), []);

    let hold = b"v=0\r\na=sendonly\r\n";
    assert_eq!(phone.hear(&invite(3, Some(&tag), hold)), [""; 0]);
    assert_eq!(phone.news(), [Event::Offered { call, offer: Some(hold.to_vec()) }]);
    let sent = phone.ask(Request::Answer { call, sdp: b"v=0\r\na=recvonly\r\n".to_vec() });
    assert_eq!(starts(&sent), ["SIP/2.0 200 OK"]);
    phone.hear(&request("ACK", 3, Some(&tag), "", b""));
    assert_eq!(phone.news(), []);
}

#[test]
fn a_change_that_is_refused_leaves_the_call_as_it_was() {
    let mut phone = Phone::udp();
    let (call, tag) = up(&mut phone);
    phone.hear(&invite(2, Some(&tag), b"v=0\r\nm=video\r\n"));
    phone.news();
    assert_eq!(
        starts(&phone.ask(Request::Reject { call, code: 488, warning: None })),
        ["SIP/2.0 488 Not Acceptable Here"]
    );
    assert_eq!(phone.news(), []);
    let again = b"v=0\r\nm=video\r\n";
    assert_eq!(phone.hear(&invite(3, Some(&tag), again)), [""; 0]);
    assert_eq!(phone.news(), [Event::Offered { call, offer: Some(again.to_vec()) }]);
    phone.ask(Request::Reject { call, code: 488, warning: None });
    assert_eq!(starts(&phone.ask(Request::HangUp(call))), ["BYE sip:bob@198.51.100.3 SIP/2.0"]);
}

#[test]
fn an_invite_without_an_offer_gets_ours_and_its_answer_comes_in_the_ack() {
    let mut phone = Phone::udp();
    phone.hear(&invite(1, None, b""));
    let news = phone.news();
    assert!(matches!(news.last(), Some(Event::Incoming { offer: None, .. })));
    let call = call_of(news.last());
    let ok = phone.ask(Request::Answer { call, sdp: OFFER.to_vec() });
    let tag = field(&ok[0], "To").split_once("tag=").unwrap().1.to_owned();
    phone.hear(&request("ACK", 1, Some(&tag), "Content-Type: application/sdp\r\n", ANSWER));
    assert_eq!(phone.news(), [Event::Answered { call, sdp: Some(ANSWER.to_vec()) }]);
}

#[test]
fn old_numbers_and_a_second_change_at_a_time_are_refused() {
    let mut phone = Phone::udp();
    let (_, tag) = up(&mut phone);
    phone.hear(&invite(5, Some(&tag), b"v=0\r\na=sendonly\r\n"));
    let sent = phone.hear(&invite(6, Some(&tag), b"v=0\r\na=inactive\r\n"));
    assert_eq!(starts(&sent), ["SIP/2.0 500 Another INVITE Is Open"]);
    assert_eq!(field(&sent[0], "Retry-After"), "1");
    let old = request("OPTIONS", 4, Some(&tag), "", b"");
    assert_eq!(starts(&phone.hear(&old)), ["SIP/2.0 500 CSeq Out Of Order"]);
}

#[test]
fn a_goodbye_also_ends_a_change_that_is_open() {
    let mut phone = Phone::udp();
    let (_, tag) = up(&mut phone);
    phone.hear(&invite(2, Some(&tag), b"v=0\r\na=sendonly\r\n"));
    let sent = phone.hear(&request("BYE", 3, Some(&tag), "", b""));
    assert_eq!(starts(&sent), ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]);
}

#[test]
fn a_request_that_came_by_two_ways_is_taken_once() {
    let mut phone = Phone::udp();
    called(&mut phone);
    let other = invite(1, None, OFFER).replace("bKINVITE1", "bKother");
    assert_eq!(starts(&phone.hear(&other)), ["SIP/2.0 482 Loop Detected"]);
    assert_eq!(phone.news(), []);
}

#[test]
fn who_has_calls_enough_is_busy() {
    let mut phone = Phone::udp();
    for at in 0..2 {
        phone.hear(
            &invite(1, None, OFFER)
                .replace("bKINVITE1", &format!("bK{at}"))
                .replace("=bob", &format!("=bob{at}")),
        );
    }
    assert_eq!(phone.news().len(), 2);
    let third = invite(1, None, OFFER).replace("bKINVITE1", "bK3").replace("=bob", "=bob3");
    assert_eq!(starts(&phone.hear(&third)), ["SIP/2.0 486 Busy Here"]);
}

#[test]
fn what_is_not_served_is_said_so() {
    let mut phone = Phone::udp();
    let options = phone.hear(&request("OPTIONS", 1, None, "", b""));
    assert_eq!(starts(&options), ["SIP/2.0 200 OK"]);
    assert_eq!(field(&options[0], "Allow"), "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY");
    let update = phone.hear(&request("UPDATE", 2, None, "", b""));
    assert_eq!(starts(&update), ["SIP/2.0 405 Method Not Allowed"]);
    let required = invite(3, None, OFFER).replace("Contact:", "Require: timer, 100rel\r\nContact:");
    let sent = phone.hear(&required);
    assert_eq!(starts(&sent), ["SIP/2.0 420 Bad Extension"]);
    assert_eq!(field(&sent[0], "Unsupported"), "timer, 100rel");
    let foreign = invite(4, None, OFFER).replace("application/sdp", "text/plain");
    assert_eq!(starts(&phone.hear(&foreign)), ["SIP/2.0 415 Unsupported Media Type"]);
    let nowhere = invite(5, None, OFFER).replace("Contact: <sip:bob@198.51.100.3>\r\n", "");
    assert_eq!(starts(&phone.hear(&nowhere)), ["SIP/2.0 400 Missing Contact"]);
    let notify = request("NOTIFY", 6, None, "Event: x\r\n", b"");
    assert_eq!(starts(&phone.hear(&notify)), ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
    let wrong = request("BYE", 7, None, "", b"").replace("CSeq: 7 BYE", "CSeq: 7 OPTIONS");
    assert_eq!(starts(&phone.hear(&wrong)), ["SIP/2.0 400 CSeq Method Mismatch"]);
    assert_eq!(phone.news(), []);
}
