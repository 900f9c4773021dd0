//! Phones in browsers (RFC 7118) sign in with a token that their user's password was given for (RFC 8898); nobody else does, and
//! nobody who is called sees one.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use carillon_signaling::digest::{Challenge, Login};
use carillon_signaling::{DoorQuestion, DoorRefusal};
use carillon_wire::sip::{Flow, Method, Transport};
use support::*;

const HOUR: Duration = Duration::from_secs(3600);
const BYE_HOST: &str = "df7jal23ls0d.invalid";

fn ask(house: &mut House, authorization: Option<&str>) -> Result<(String, Duration), DoorRefusal> {
    let remote = udp(1).remote;
    let asked =
        DoorQuestion { remote, method: "GET", target: "/token", authorization, user: None, class: None };
    house.front.token_question(house.now, &asked)
}

/// What alice is given for this password.
fn given(house: &mut House, password: &str) -> Result<(String, Duration), DoorRefusal> {
    let Err(DoorRefusal::Challenge(values)) = ask(house, None) else { panic!("no challenge") };
    let challenge = Challenge::strongest(values.iter().map(|value| value.as_bytes())).unwrap();
    let login = Login { user: "alice", password, cnonce: "c" };
    let answer = challenge.answer(&login, Method::Other(b"GET"), b"/token", 1);
    ask(house, Some(&answer))
}

fn token(house: &mut House) -> String {
    let (token, lasts) = given(house, "secret").unwrap();
    assert_eq!(lasts, HOUR);
    token
}

fn page() -> Flow {
    stream(Transport::Wss, 7, 3)
}

/// A request as JsSIP makes it, with a Via and a Contact that lead nowhere.
fn request_of_page(method: &str, uri: &str, cseq: u32, field: &str, token: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/WSS {BYE_HOST};branch=z9hG4bKp{cseq}\r\nMax-Forwards: 69\r\n\
         From: <sip:alice@example.com>;tag=a\r\nTo: <{uri}>\r\nCall-ID: page\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:a1b2@{BYE_HOST};transport=ws>;expires=600\r\nSupported: path,gruu,outbound\r\n\
         {field}: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
    )
}

fn register(house: &mut House, flow: Flow, cseq: u32, token: &str) -> Sent {
    let text = request_of_page("REGISTER", "sip:example.com", cseq, "Authorization", token)
        .replace("To: <sip:example.com>", "To: <sip:alice@example.com>");
    house.hear(flow, &text).remove(0)
}

#[test]
fn a_page_signs_in_with_a_token_and_is_called_on_its_flow() {
    let mut house = House::closed();
    let token = token(&mut house);
    let registered = register(&mut house, page(), 1, &token);
    assert_eq!((registered.start(), registered.to), ("SIP/2.0 200 OK", page().remote));
    assert_eq!(house.trusted, [page()]);
    house.register("bob", udp(2), "");
    let call = |more: &str| {
        let text =
            request("INVITE", "sip:alice@example.com", udp(2), &format!("i{}", more.len()), 1, "", more);
        text.replace("sip:ann@other.org", "sip:bob@example.com").replace("To: <sip:bob@", "To: <sip:alice@")
    };
    let challenge = house.hear(udp(2), &call("")).remove(0);
    let proof = authorization("bob", &challenge.text, Method::Invite, "sip:alice@example.com");
    let invited = house.hear(udp(2), &call(&proof)).remove(1);
    assert_eq!(invited.start(), format!("INVITE sip:a1b2@{BYE_HOST};transport=ws SIP/2.0"));
    assert_eq!((invited.transport, invited.to), (Transport::Wss, page().remote));
    assert!(invited.get("Via").starts_with("SIP/2.0/WSS 192.0.2.1:443;"), "{}", invited.text);
    assert!(invited.get("Record-Route").ends_with("@192.0.2.1:443;transport=ws;lr>"), "{}", invited.text);
    // Without its connection there is no way to it.
    house.close(page());
    assert_eq!(house.front.counts().registrations, 1);
}

/// Else whoever has lost the right to a new token would be called for as long as a registration may last.
#[test]
fn a_registration_does_not_outlast_the_token_that_it_came_by() {
    let mut house = House::closed();
    let token = token(&mut house);
    let granted = |sent: &Sent| {
        let (_, expires) = sent.get("Contact").rsplit_once("expires=").unwrap();
        expires.split(';').next().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(granted(&register(&mut house, page(), 1, &token)), 600);
    house.wait(HOUR - Duration::from_secs(200));
    assert_eq!(granted(&register(&mut house, page(), 2, &token)), 200);
    house.wait(Duration::from_secs(195));
    assert_eq!(granted(&register(&mut house, page(), 3, &token)), 60, "the least that is granted");
    house.wait(Duration::from_secs(59));
    assert_eq!(house.front.counts().registrations, 1);
    assert_eq!(register(&mut house, page(), 4, &token).start(), "SIP/2.0 401 Unauthorized");
    house.wait(Duration::from_secs(2));
    assert_eq!(house.front.counts().registrations, 0);
}

#[test]
fn who_is_called_sees_no_token() {
    let mut house = House::closed();
    let token = token(&mut house);
    register(&mut house, page(), 1, &token);
    house.register("bob", udp(2), "");
    for (cseq, method, field) in [(2, "MESSAGE", "Authorization"), (3, "INVITE", "Proxy-Authorization")] {
        let text = request_of_page(method, "sip:bob@example.com", cseq, field, &token).replace(
            "Content-Length",
            "Authorization: Digest realm=\"bob's own\", nonce=\"n\"\r\nContent-Length",
        );
        let sent = house.hear(page(), &text);
        let to_bob = sent.iter().find(|sent| sent.to == udp(2).remote).unwrap();
        assert!(to_bob.start().starts_with(method));
        assert!(!to_bob.text.contains("Bearer") && !to_bob.text.contains(&token), "{}", to_bob.text);
        assert_eq!(to_bob.all("Authorization"), ["Digest realm=\"bob's own\", nonce=\"n\""]);
    }
}

#[test]
fn a_token_that_is_over_foreign_or_elsewhere_proves_nothing() {
    let mut house = House::closed();
    let token = token(&mut house);
    let refusal = "Bearer realm=\"example.com\", error=\"invalid_token\"";
    let forged = token.replace(&token[..4], "AAAA");
    let tcp = stream(Transport::Tcp, 8, 3);
    for (cseq, flow, token) in [(1, page(), &forged), (2, tcp, &token), (3, udp(3), &token)] {
        let refused = register(&mut house, flow, cseq, token);
        assert_eq!((refused.start(), refused.get("WWW-Authenticate")), ("SIP/2.0 401 Unauthorized", refusal));
    }
    // Of alice, in the name of bob.
    let text = request_of_page("MESSAGE", "sip:carol@example.com", 4, "Authorization", &token);
    let refused = house.hear(page(), &text.replace("From: <sip:alice", "From: <sip:bob")).remove(0);
    assert_eq!((refused.start(), refused.get("WWW-Authenticate")), ("SIP/2.0 401 Unauthorized", refusal));
    let text = request_of_page("MESSAGE", "sip:carol@example.com", 5, "Proxy-Authorization", &forged);
    let refused = house.hear(page(), &text).remove(0);
    let expected = ("SIP/2.0 407 Proxy Authentication Required", refusal);
    assert_eq!((refused.start(), refused.get("Proxy-Authenticate")), expected);
    assert_eq!((house.trusted.len(), house.front.counts().registrations), (0, 0));

    house.wait(HOUR - Duration::from_secs(1));
    assert_eq!(register(&mut house, page(), 6, &token).start(), "SIP/2.0 200 OK");
    house.wait(Duration::from_secs(1));
    assert_eq!(register(&mut house, page(), 7, &token).get("WWW-Authenticate"), refusal);
}

#[test]
fn a_password_is_asked_for_before_a_token_is_given_and_still_works_over_a_websocket() {
    let mut house = House::closed();
    assert!(matches!(given(&mut house, "wrong"), Err(DoorRefusal::Challenge(_))));
    house.register("alice", page(), "");
    assert_eq!(house.trusted, [page()]);
}
