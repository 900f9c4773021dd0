//! Registration: the request to the byte, challenges, refresh, failures and the way back, the document of the plan.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod agent;

use std::time::Duration;

use agent::{Phone, answer, answer_with, field, settings, starts};
use carillon_signaling::agent::{Event, Refusal, Request};
use carillon_wire::sip::Transport;

const CHALLENGE: &str =
    "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"\r\n";
const CONTACT: &str = "Contact: <sip:alice@192.0.2.7:5070>;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-000000000001>\";expires=600\r\n";

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn signed_in(phone: &mut Phone) {
    let register = phone.ask(Request::SignIn);
    phone.hear(&answer(&register[0], "200 OK", CONTACT));
    assert_eq!(phone.news(), [Event::SignedIn { expires: seconds(600), keep_alive: None }]);
}

#[test]
fn a_registration_names_the_device_and_the_flow() {
    let sent = Phone::udp().ask(Request::SignIn);
    let expected = "REGISTER sip:example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK{1};rport\r\n\
        Max-Forwards: 70\r\n\
        From: <sip:alice@example.com>;tag={2}\r\n\
        To: <sip:alice@example.com>\r\n\
        Call-ID: {3}\r\n\
        CSeq: 1 REGISTER\r\n\
        Contact: <sip:alice@192.0.2.7:5070>;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-000000000001>\";reg-id=1;expires=3600\r\n\
        Expires: 3600\r\n\
        Supported: path, outbound\r\n\
        Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY\r\n\
        User-Agent: Carillon\r\n\
        Content-Length: 0\r\n\r\n";
    assert_eq!(sent, [expected]);
}

#[test]
fn over_tls_the_contact_says_so_and_nothing_is_sent_twice() {
    let mut phone = Phone::new(settings("alice", Transport::Tls));
    let sent = phone.ask(Request::SignIn);
    assert!(field(&sent[0], "Contact").starts_with("<sip:alice@192.0.2.7:5070;transport=tls>;"));
    assert!(field(&sent[0], "Via").starts_with("SIP/2.0/TLS 192.0.2.7:5070;"));
    assert_eq!(phone.pass(seconds(31)), [""; 0]);
}

#[test]
fn a_challenge_is_answered_once_and_a_second_one_is_a_refusal() {
    let mut phone = Phone::udp();
    let first = phone.ask(Request::SignIn);
    let second = phone.hear(&answer(&first[0], "401 Unauthorized", CHALLENGE));
    assert_eq!(field(&second[0], "CSeq"), "2 REGISTER");
    assert_ne!(field(&second[0], "Via"), field(&first[0], "Via"));
    let credentials = field(&second[0], "Authorization");
    assert!(
        credentials.starts_with(
            "Digest username=\"alice\", realm=\"example.com\", nonce=\"n1\", uri=\"sip:example.com\", "
        ),
        "{credentials}"
    );
    assert_eq!(phone.hear(&answer(&second[0], "401 Unauthorized", CHALLENGE)), [""; 0]);
    let why = Refusal { code: 401, reason: "Unauthorized".to_owned(), warning: None };
    assert_eq!(phone.news(), [Event::NotSignedIn { why, retry: None }]);
}

#[test]
fn a_stale_nonce_is_answered_again() {
    let mut phone = Phone::udp();
    let first = phone.ask(Request::SignIn);
    let second = phone.hear(&answer(&first[0], "401 Unauthorized", CHALLENGE));
    let stale = CHALLENGE.replace("n1", "n2").replace("qop", "stale=true, qop");
    let third = phone.hear(&answer(&second[0], "401 Unauthorized", &stale));
    assert!(field(&third[0], "Authorization").contains("nonce=\"n2\""));
    assert!(field(&third[0], "Authorization").contains("nc=00000001"));
}

#[test]
fn of_several_challenges_the_strongest_that_we_know_is_answered() {
    let mut phone = Phone::udp();
    let first = phone.ask(Request::SignIn);
    let unknown = CHALLENGE.replace("MD5", "SHA-512-256");
    let sha256 = CHALLENGE.replace("MD5", "SHA-256");
    let second = phone.hear(&answer(&first[0], "401 Unauthorized", &format!("{unknown}{CHALLENGE}{sha256}")));
    assert!(field(&second[0], "Authorization").contains("algorithm=SHA-256"));
}

#[test]
fn the_registration_is_refreshed_before_it_ends_with_the_nonce_that_is_known() {
    let mut phone = Phone::udp();
    let first = phone.ask(Request::SignIn);
    let second = phone.hear(&answer(&first[0], "401 Unauthorized", CHALLENGE));
    phone.hear(&answer(&second[0], "200 OK", CONTACT));
    phone.pass(seconds(539));
    let refresh = phone.pass(seconds(1));
    assert_eq!(starts(&refresh), ["REGISTER sip:example.com SIP/2.0"]);
    assert_eq!(field(&refresh[0], "CSeq"), "3 REGISTER");
    assert_eq!(field(&refresh[0], "Call-ID"), field(&first[0], "Call-ID"));
    assert!(field(&refresh[0], "Authorization").contains("nc=00000002"));
    phone.news();
    phone.hear(&answer(&refresh[0], "200 OK", CONTACT));
    assert_eq!(phone.news(), []);
}

#[test]
fn the_server_may_ask_for_keep_alives_and_longer_times() {
    let mut phone = Phone::udp();
    let first = phone.ask(Request::SignIn);
    let second = phone.hear(&answer(&first[0], "423 Interval Too Brief", "Min-Expires: 7200\r\n"));
    assert_eq!(field(&second[0], "Expires"), "7200");
    phone.hear(&answer(&second[0], "200 OK", "Expires: 7200\r\nFlow-Timer: 120\r\n"));
    assert_eq!(phone.news(), [Event::SignedIn { expires: seconds(7200), keep_alive: Some(seconds(120)) }]);
}

#[test]
fn a_lost_request_is_repeated_and_given_up_after_32_seconds() {
    let mut phone = Phone::udp();
    let first = phone.ask(Request::SignIn);
    let mut times = Vec::new();
    for _ in 0..10 {
        let (waited, sent) = phone.wait();
        times.push(waited.as_millis());
        assert_eq!(sent, first);
    }
    assert_eq!(times, [500, 1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000, 4000]);
    assert_eq!(phone.wait(), (Duration::from_millis(500), Vec::new()));
    let Some(Event::NotSignedIn { why, retry: Some(retry) }) = phone.news().pop() else { panic!() };
    assert_eq!(why.code, 408);
    let wait = retry - phone.now;
    assert!((seconds(15)..=seconds(30)).contains(&wait), "{wait:?}");
}

#[test]
fn after_a_lost_connection_it_signs_in_again_and_waits_longer_each_time() {
    let mut phone = Phone::new(settings("alice", Transport::Tcp));
    signed_in(&mut phone);
    phone.close();
    for least in [15, 30, 60, 120, 240, 480, 900, 900] {
        let Some(Event::NotSignedIn { why, retry: Some(retry) }) = phone.news().pop() else { panic!() };
        assert_eq!(why.code, 503);
        let wait = retry - phone.now;
        assert!((seconds(least)..=seconds(2 * least)).contains(&wait), "{wait:?}");
        assert_eq!(starts(&phone.pass(wait)), ["REGISTER sip:example.com SIP/2.0"]);
        phone.close();
    }
}

#[test]
fn a_server_that_is_overloaded_says_how_long_to_stay_away() {
    let mut phone = Phone::udp();
    let first = phone.ask(Request::SignIn);
    phone.hear(&answer(&first[0], "503 Service Unavailable", "Retry-After: 300 (busy)\r\n"));
    assert_eq!(phone.pass(seconds(299)), [""; 0]);
    assert_eq!(starts(&phone.pass(seconds(1))), ["REGISTER sip:example.com SIP/2.0"]);
}

#[test]
fn signing_out_removes_the_contact() {
    let mut phone = Phone::udp();
    signed_in(&mut phone);
    let bye = phone.ask(Request::SignOut);
    assert!(field(&bye[0], "Contact").ends_with(";reg-id=1;expires=0"));
    phone.hear(&answer(&bye[0], "200 OK", ""));
    assert_eq!(phone.news(), [Event::SignedOut]);
    assert_eq!(phone.pass(seconds(10_000)), [""; 0]);
}

#[test]
fn signing_out_meanwhile_waits_for_the_answer() {
    let mut phone = Phone::udp();
    let first = phone.ask(Request::SignIn);
    assert_eq!(phone.ask(Request::SignOut), [""; 0]);
    let second = phone.hear(&answer(&first[0], "200 OK", CONTACT));
    assert_eq!(field(&second[0], "Expires"), "0");
    phone.hear(&answer(&second[0], "200 OK", ""));
    assert_eq!(phone.news(), [Event::SignedOut]);
}

const DOCUMENT: &str =
    "<provisionGroupList><provisionGroup name=\"ServerConfiguration\"/></provisionGroupList>";
const DOCUMENT_TYPE: &str = "Content-Type: application/vnd-microsoft-roaming-provisioning-v2+xml\r\n";

fn asking() -> (Phone, String) {
    let mut phone = Phone::new(agent_with_provisioning());
    let register = phone.ask(Request::SignIn);
    let mut sent = phone.hear(&answer(&register[0], "200 OK", CONTACT));
    assert_eq!(starts(&sent), ["SUBSCRIBE sip:alice@example.com SIP/2.0"]);
    phone.news();
    (phone, sent.remove(0))
}

fn agent_with_provisioning() -> carillon_signaling::agent::Settings {
    carillon_signaling::agent::Settings { provisioning: true, ..settings("alice", Transport::Udp) }
}

#[test]
fn the_document_of_the_plan_comes_with_the_answer() {
    let (mut phone, subscribe) = asking();
    assert_eq!(field(&subscribe, "Event"), "vnd-microsoft-provisioning-v2");
    assert_eq!(field(&subscribe, "Expires"), "0");
    phone.hear(&answer_with(&subscribe, "200 OK", DOCUMENT_TYPE, DOCUMENT));
    assert_eq!(phone.news(), [Event::Provisioned(DOCUMENT.into())]);
}

#[test]
fn or_in_a_notify_that_follows_even_before_it() {
    for answered_first in [true, false] {
        let (mut phone, subscribe) = asking();
        let ok = answer(&subscribe, "200 OK", "Expires: 0\r\n");
        if answered_first {
            phone.hear(&ok);
        }
        let notify = format!(
            "NOTIFY sip:alice@192.0.2.7:5070 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKn\r\n\
             From: <sip:alice@example.com>;tag=there\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 NOTIFY\r\n\
             Event: vnd-microsoft-provisioning-v2\r\nSubscription-State: terminated\r\n{DOCUMENT_TYPE}Content-Length: {}\r\n\r\n{DOCUMENT}",
            field(&subscribe, "From"),
            field(&subscribe, "Call-ID"),
            DOCUMENT.len()
        );
        assert_eq!(starts(&phone.hear(&notify)), ["SIP/2.0 200 OK"]);
        if !answered_first {
            phone.hear(&ok);
        }
        assert_eq!(phone.news(), [Event::Provisioned(DOCUMENT.into())]);
        phone.pass(seconds(40));
        assert_eq!(phone.news(), []);
    }
}

#[test]
fn a_server_without_documents_is_told_apart_from_a_silent_one() {
    let (mut phone, subscribe) = asking();
    phone.hear(&answer(&subscribe, "489 Bad Event", ""));
    let why = Refusal { code: 489, reason: "Bad Event".to_owned(), warning: None };
    assert_eq!(phone.news(), [Event::NotProvisioned(why)]);

    let (mut phone, subscribe) = asking();
    phone.hear(&answer(&subscribe, "200 OK", ""));
    phone.pass(seconds(32));
    let why = Refusal { code: 408, reason: "No NOTIFY".to_owned(), warning: None };
    assert_eq!(phone.news(), [Event::NotProvisioned(why)]);
}
