//! Calls that the agent makes: what is sent when, and what the user is told.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod agent;

use std::time::Duration;

use agent::{ANSWER, OFFER, Phone, answer, answer_with, call_of, field, settings, starts};
use carillon_signaling::agent::{CallKey, Ending, Event, Refusal, Request};
use carillon_wire::sip::Transport;

const THERE: &str = "Contact: <sip:bob@198.51.100.3>\r\nContent-Type: application/sdp\r\n";

fn calling(phone: &mut Phone) -> (CallKey, String) {
    let mut sent = phone.ask(Request::Call { to: "bob@example.com".to_owned(), offer: OFFER.to_vec() });
    (call_of(phone.news().last()), sent.remove(0))
}

fn body(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A call that was answered through two proxies.
fn up(phone: &mut Phone) -> (CallKey, String) {
    let (call, invite) = calling(phone);
    let route = "Record-Route: <sip:second.example.com;lr>\r\nRecord-Route: <sip:first.example.com;lr>\r\n";
    let sent = phone.hear(&answer_with(&invite, "200 OK", &format!("{route}{THERE}"), body(ANSWER)));
    assert_eq!(phone.news(), [Event::Answered { call, sdp: Some(ANSWER.to_vec()) }]);
    (call, sent[0].clone())
}

#[test]
fn an_invitation_offers_and_asks_to_be_found_on_this_flow() {
    let mut phone = Phone::udp();
    let (_, invite) = calling(&mut phone);
    let expected = "INVITE sip:bob@example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK{1};rport\r\n\
        Max-Forwards: 70\r\n\
        From: <sip:alice@example.com>;tag={2}\r\n\
        To: <sip:bob@example.com>\r\n\
        Call-ID: {3}\r\n\
        CSeq: 1 INVITE\r\n\
        Contact: <sip:alice@192.0.2.7:5070;ob>\r\n\
        Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY\r\n\
        Accept: application/sdp\r\n\
        User-Agent: Carillon\r\n\
        Content-Type: application/sdp\r\n\
        Content-Length: 14\r\n\r\n\
        v=0\r\no=offer\r\n";
    assert_eq!(invite, expected);
}

#[test]
fn an_answered_call_follows_the_recorded_route_back_to_the_contact() {
    let mut phone = Phone::udp();
    let (call, ack) = up(&mut phone);
    let expected = "ACK sip:bob@198.51.100.3 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK{4};rport\r\n\
        Max-Forwards: 70\r\n\
        From: <sip:alice@example.com>;tag={2}\r\n\
        To: <sip:bob@example.com>;tag=there\r\n\
        Call-ID: {3}\r\n\
        CSeq: 1 ACK\r\n\
        Route: <sip:first.example.com;lr>\r\n\
        Route: <sip:second.example.com;lr>\r\n\
        User-Agent: Carillon\r\n\
        Content-Length: 0\r\n\r\n";
    assert_eq!(ack, expected);
    let bye = phone.ask(Request::HangUp(call));
    assert_eq!(starts(&bye), ["BYE sip:bob@198.51.100.3 SIP/2.0"]);
    assert_eq!(field(&bye[0], "CSeq"), "2 BYE");
    assert_eq!(field(&bye[0], "Route"), "<sip:first.example.com;lr>");
    assert_eq!(phone.news(), []);
    phone.hear(&answer(&bye[0], "200 OK", ""));
    assert_eq!(phone.news(), [Event::Ended { call, why: Ending::HungUp }]);
}

#[test]
fn a_strict_router_gets_its_own_uri_first_and_the_target_last() {
    let mut phone = Phone::udp();
    let (_, invite) = calling(&mut phone);
    let route = "Record-Route: <sip:second.example.com;lr>, <sip:strict.example.com>\r\n";
    let sent = phone.hear(&answer_with(&invite, "200 OK", &format!("{route}{THERE}"), body(ANSWER)));
    assert_eq!(starts(&sent), ["ACK sip:strict.example.com SIP/2.0"]);
    let routes: Vec<_> = sent[0].lines().filter(|line| line.starts_with("Route")).collect();
    assert_eq!(routes, ["Route: <sip:second.example.com;lr>", "Route: <sip:bob@198.51.100.3>"]);
}

#[test]
fn a_repeated_answer_is_confirmed_again_with_the_same_ack() {
    let mut phone = Phone::udp();
    let (call, invite) = calling(&mut phone);
    let ok = answer_with(&invite, "200 OK", THERE, body(ANSWER));
    let ack = phone.hear(&ok);
    assert_eq!(phone.hear(&ok), ack);
    phone.news();
    let bye = phone.ask(Request::HangUp(call));
    phone.hear(&answer(&bye[0], "200 OK", ""));
    assert_eq!(phone.hear(&ok), ack, "even when the call is over");
    phone.pass(Duration::from_secs(32));
    assert_eq!(phone.hear(&ok), [""; 0]);
}

#[test]
fn the_loser_of_a_fork_that_answered_too_is_confirmed_and_told_goodbye() {
    let mut phone = Phone::udp();
    let (_, invite) = calling(&mut phone);
    phone.hear(&answer_with(&invite, "200 OK", THERE, body(ANSWER)));
    phone.news();
    let other = answer_with(&invite, "200 OK", &THERE.replace(".3>", ".4>"), body(ANSWER))
        .replace("=there", "=other");
    let sent = phone.hear(&other);
    assert_eq!(starts(&sent), ["ACK sip:bob@198.51.100.4 SIP/2.0", "BYE sip:bob@198.51.100.4 SIP/2.0"]);
    assert!(sent.iter().all(|message| field(message, "To").ends_with(";tag=other")));
    assert_eq!(phone.hear(&other), [sent[0].clone()]);
    assert_eq!(phone.news(), []);
}

#[test]
fn progress_is_told_and_stops_the_repetitions() {
    let mut phone = Phone::udp();
    let (call, invite) = calling(&mut phone);
    assert_eq!(phone.wait(), (Duration::from_millis(500), vec![invite.clone()]));
    phone.hear(&answer(&invite, "100 Trying", ""));
    phone.hear(&answer(&invite, "180 Ringing", ""));
    phone.hear(&answer_with(&invite, "183 Session Progress", THERE, body(ANSWER)));
    assert_eq!(
        phone.news(),
        [
            Event::Progress { call, code: 180, sdp: None },
            Event::Progress { call, code: 183, sdp: Some(ANSWER.to_vec()) }
        ]
    );
    assert_eq!(phone.pass(Duration::from_secs(600)), [""; 0]);
}

#[test]
fn a_proxy_that_asks_gets_credentials_and_the_ack_has_them_too() {
    let mut phone = Phone::udp();
    let (call, invite) = calling(&mut phone);
    let challenge = "Proxy-Authenticate: Digest realm=\"example.com\", nonce=\"n\", qop=\"auth\"\r\n";
    let sent = phone.hear(&answer(&invite, "407 Proxy Authentication Required", challenge));
    assert_eq!(starts(&sent), ["ACK sip:bob@example.com SIP/2.0", "INVITE sip:bob@example.com SIP/2.0"]);
    assert_eq!(field(&sent[0], "Via"), field(&invite, "Via"));
    assert_eq!(field(&sent[0], "CSeq"), "1 ACK");
    assert_eq!(field(&sent[1], "CSeq"), "2 INVITE");
    assert_eq!(field(&sent[1], "Call-ID"), field(&invite, "Call-ID"));
    let ack = phone.hear(&answer_with(&sent[1], "200 OK", THERE, body(ANSWER)));
    assert_eq!(field(&ack[0], "Proxy-Authorization"), field(&sent[1], "Proxy-Authorization"));
    assert_eq!(phone.news(), [Event::Answered { call, sdp: Some(ANSWER.to_vec()) }]);
}

#[test]
fn a_refusal_is_confirmed_and_told_with_its_warning() {
    for status in ["302 Moved Temporarily", "486 Busy Here", "503 Service Unavailable", "603 Decline"] {
        let mut phone = Phone::udp();
        let (call, invite) = calling(&mut phone);
        let warning = "399 server \"audio range is used up\"";
        let refusal = answer(&invite, status, &format!("Warning: {warning}\r\n"));
        let sent = phone.hear(&refusal);
        assert_eq!(starts(&sent), ["ACK sip:bob@example.com SIP/2.0"]);
        assert_eq!(field(&sent[0], "To"), "<sip:bob@example.com>;tag=there");
        assert_eq!(phone.hear(&refusal), sent);
        let (code, reason) = status.split_once(' ').unwrap();
        let why = Refusal {
            code: code.parse().unwrap(),
            reason: reason.to_owned(),
            warning: Some(warning.to_owned()),
        };
        assert_eq!(phone.news(), [Event::Ended { call, why: Ending::Refused(why) }]);
    }
}

#[test]
fn giving_up_cancels_with_the_same_branch_but_not_before_something_was_heard() {
    let mut phone = Phone::udp();
    let (call, invite) = calling(&mut phone);
    assert_eq!(phone.ask(Request::HangUp(call)), [""; 0]);
    let cancel = phone.hear(&answer(&invite, "180 Ringing", ""));
    let expected = "CANCEL sip:bob@example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK{1};rport\r\n\
        Max-Forwards: 70\r\n\
        From: <sip:alice@example.com>;tag={2}\r\n\
        To: <sip:bob@example.com>\r\n\
        Call-ID: {3}\r\n\
        CSeq: 1 CANCEL\r\n\
        User-Agent: Carillon\r\n\
        Content-Length: 0\r\n\r\n";
    assert_eq!(cancel, [expected]);
    assert_eq!(phone.hear(&answer(&invite, "180 Ringing", "")), [""; 0], "once is enough");
    assert_eq!(phone.pass(Duration::from_millis(500)), cancel, "it may be lost");
    phone.hear(&answer(&cancel[0], "200 OK", ""));
    let sent = phone.hear(&answer(&invite, "487 Request Terminated", ""));
    assert_eq!(starts(&sent), ["ACK sip:bob@example.com SIP/2.0"]);
    assert_eq!(phone.news(), [Event::Ended { call, why: Ending::HungUp }]);
}

#[test]
fn an_answer_that_crosses_the_cancel_is_confirmed_and_ended() {
    let mut phone = Phone::udp();
    let (call, invite) = calling(&mut phone);
    phone.hear(&answer(&invite, "180 Ringing", ""));
    phone.news();
    assert_eq!(starts(&phone.ask(Request::HangUp(call))), ["CANCEL sip:bob@example.com SIP/2.0"]);
    let sent = phone.hear(&answer_with(&invite, "200 OK", THERE, body(ANSWER)));
    assert_eq!(starts(&sent), ["ACK sip:bob@198.51.100.3 SIP/2.0", "BYE sip:bob@198.51.100.3 SIP/2.0"]);
    phone.hear(&answer(&sent[1], "200 OK", ""));
    assert_eq!(phone.news(), [Event::Ended { call, why: Ending::HungUp }]);
}

#[test]
fn a_cancelled_call_that_is_never_answered_ends_all_the_same() {
    let mut phone = Phone::udp();
    let (call, invite) = calling(&mut phone);
    phone.hear(&answer(&invite, "180 Ringing", ""));
    phone.ask(Request::HangUp(call));
    phone.pass(Duration::from_secs(32));
    assert_eq!(phone.news().last(), Some(&Event::Ended { call, why: Ending::HungUp }));
}

#[test]
fn nobody_answering_is_a_408_and_a_lost_connection_a_503() {
    let mut phone = Phone::udp();
    let (call, _) = calling(&mut phone);
    phone.pass(Duration::from_secs(32));
    let why = Refusal { code: 408, reason: "No Answer".to_owned(), warning: None };
    assert_eq!(phone.news(), [Event::Ended { call, why: Ending::Refused(why) }]);

    let mut phone = Phone::new(settings("alice", Transport::Tls));
    let (call, _) = calling(&mut phone);
    phone.close();
    let why = Refusal { code: 503, reason: "Connection Failed".to_owned(), warning: None };
    assert_eq!(phone.news(), [Event::Ended { call, why: Ending::Refused(why) }]);
}

#[test]
fn a_call_that_is_up_outlives_its_connection() {
    let mut phone = Phone::new(settings("alice", Transport::Tls));
    let (call, _) = up(&mut phone);
    phone.close();
    assert_eq!(phone.news(), []);
    assert_eq!(starts(&phone.ask(Request::HangUp(call))), ["BYE sip:bob@198.51.100.3 SIP/2.0"]);
}

#[test]
fn a_goodbye_that_nobody_answers_ends_the_call() {
    let mut phone = Phone::udp();
    let (call, _) = up(&mut phone);
    let bye = phone.ask(Request::HangUp(call));
    assert_eq!(phone.pass(Duration::from_secs(32)).len(), 10);
    assert_eq!(phone.news(), [Event::Ended { call, why: Ending::HungUp }]);
    assert_eq!(phone.hear(&answer(&bye[0], "200 OK", "")), [""; 0]);
}

#[test]
fn what_does_not_come_from_the_server_is_not_heard() {
    let mut phone = Phone::udp();
    let (_, invite) = calling(&mut phone);
    let flow = carillon_wire::sip::Flow {
        transport: Transport::Udp,
        id: 1,
        local: agent::address("192.0.2.7:5070"),
        remote: agent::address("203.0.113.9:5060"),
    };
    phone.agent.handle_input(phone.now, flow, answer(&invite, "603 Decline", "").as_bytes());
    assert_eq!(phone.news(), []);
}
