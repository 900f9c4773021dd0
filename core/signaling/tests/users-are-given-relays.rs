//! Who has proven a password is given relays and what opens them: in the plan's document, by SERVICE, over HTTP. Nobody else.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_signaling::digest::{Challenge, Login};
use carillon_signaling::provisioning::parse;
use carillon_signaling::{
    Authentication, AuthenticationCounts, Bearer, Destination, DoorQuestion, DoorRefusal, Ha1, Issuer,
    RelayAnswer, RelayCredential, RelayServer, Relays, Request, User,
};
use carillon_wire::sip::{Flow, Method, Transport};
use support::*;

const HOUR: Duration = Duration::from_secs(3600);
const AUDIO: Option<TrafficClass> = Some(TrafficClass::Audio);

/// Relays whose credentials can be read.
fn relays(lifetime: Duration) -> Relays {
    let server = |uri: &str, class| RelayServer { uri: uri.parse().unwrap(), class };
    let issue =
        |Bearer { user, site }: Bearer<'_>, class: Option<TrafficClass>, end: Duration| RelayCredential {
            class,
            username: format!(
                "{}:{user}{}",
                end.as_secs(),
                site.map_or_else(String::new, |site| format!("@{site}"))
            ),
            password: class.map_or("any".to_owned(), |class| format!("for {class}")),
        };
    Relays {
        servers: vec![
            server("turn:edge.example.com:443?transport=tcp", None),
            server("turn:edge.example.com:3478?transport=udp", None),
            server("turn:edge.example.com:3479?transport=udp", AUDIO),
        ],
        lifetime,
        issuer: Issuer(Arc::new(issue)),
    }
}

fn house(lifetime: Duration) -> House {
    let mut house = House::new();
    house.front.handle_request(house.now, Request::SetRelays(Some(relays(lifetime))));
    house
}

/// When a credential ends that is given now.
fn end(house: &House, lifetime: Duration) -> u64 {
    (house.now + lifetime).as_secs()
}

/// A request of alice to the server, with her credentials; what leaves.
fn proven(house: &mut House, flow: Flow, method: Method<'_>, uri: &str, head: &str, body: &str) -> Vec<Sent> {
    let name = String::from_utf8_lossy(method.as_bytes()).into_owned();
    let ask = |cseq: u32, more: &str| {
        let text = request(&name, uri, flow, &format!("s{cseq}"), cseq, "", &format!("{head}{more}"))
            .replace("<sip:ann@other.org>", "<sip:alice@example.com>")
            .replace("To: <sip:bob@", "To: <sip:alice@");
        let length = format!("Content-Length: {}\r\n\r\n", body.len());
        text.replace("Content-Length: 0\r\n\r\n", &length) + body
    };
    let challenge = house.hear(flow, &ask(1, ""));
    assert_eq!(challenge[0].start(), "SIP/2.0 401 Unauthorized");
    let proof = authorization("alice", &challenge[0].text, method, uri);
    house.hear(flow, &ask(2, &proof))
}

fn subscribe(house: &mut House, expires: u32) -> Vec<Sent> {
    let alice = stream(Transport::Tls, 5, 1);
    let head = format!(
        "Event: vnd-microsoft-provisioning-v2\r\nExpires: {expires}\r\nContact: <{}>\r\n",
        contact("alice", alice)
    );
    proven(house, alice, Method::Subscribe, "sip:alice@example.com", &head, "")
}

fn body(text: &str) -> &str {
    text.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn the_document_of_the_plan_names_relays_and_what_opens_them() {
    let mut house = house(8 * HOUR);
    let given = subscribe(&mut house, 0);
    let document = body(&given[0].text);
    assert!(document.contains("<mrasUri>sip:example.com;gruu;opaque=srvr:MRAS</mrasUri>"), "{document}");
    let service = parse(document).unwrap().relays.unwrap();
    assert_eq!(service.expires.as_secs(), end(&house, 8 * HOUR));
    assert_eq!(service.servers, relays(HOUR).servers);
    assert_eq!(service.authentication, "sip:example.com;gruu;opaque=srvr:MRAS");
    let access = service.of(TrafficClass::Audio).unwrap();
    assert_eq!(access.servers.iter().map(|uri| uri.port).collect::<Vec<_>>(), [3479, 3478, 443]);
    let expected = format!("{}:alice@example.com", end(&house, 8 * HOUR));
    assert_eq!((&*access.credential.username, &*access.credential.password), (&*expected, "for audio"));
    let classes: Vec<_> = service.credentials.iter().map(|credential| credential.class).collect();
    assert_eq!(classes, [&[None][..], &TrafficClass::MEDIA.map(Some)].concat());
}

/// The quota of a site is counted at the relay, which knows of users only what their credentials say.
#[test]
fn a_credential_says_the_site_of_its_user_whichever_way_it_comes() {
    let mut house = house(HOUR);
    let alice = User {
        aor: "alice@example.com".to_owned(),
        ha1: Ha1::of("alice", "example.com", "secret"),
        algorithms: None,
        site: Some("Rome".to_owned()),
        number: None,
    };
    house.front.handle_request(house.now, Request::PutUser(alice));
    let expected = format!("{}:alice@example.com@Rome", end(&house, HOUR));
    let given = subscribe(&mut house, 0);
    let relays = parse(body(&given[0].text)).unwrap().relays.unwrap();
    assert!(relays.credentials.iter().all(|credential| credential.username == expected));
    let sent = service(&mut house, &asking("sip:alice@example.com", ""));
    assert!(
        sent[0].text.contains(&format!("<username>{}</username>", base64(&expected))),
        "{}",
        sent[0].text
    );
    let remote = udp(1).remote;
    let challenges = challenged(house.front.relay_question(house.now, &question(remote)));
    let proof = answered(&challenges, "secret", 1);
    let asked = DoorQuestion { authorization: Some(&proof), ..question(remote) };
    assert_eq!(house.front.relay_question(house.now, &asked).unwrap().credential.username, expected);
}

#[test]
fn without_relays_nobody_is_told_of_any() {
    let mut house = House::new();
    let given = subscribe(&mut house, 0);
    assert!(parse(body(&given[0].text)).unwrap().relays.is_none());
    assert!(!given[0].text.contains("mrasUri") && !given[0].text.contains("urn:carillon:relays"));
}

/// Whoever stays subscribed hears of other relays at once, and comes back while its credential is fresh.
#[test]
fn a_subscriber_is_given_the_next_credential_before_the_last_one_ends() {
    let mut house = house(HOUR);
    let granted = subscribe(&mut house, 28_800);
    assert_eq!((granted[0].get("Expires"), granted.len()), ("1800", 2));
    house.hear(stream(Transport::Tls, 5, 1), &granted[1].answer("200 OK", "", ""));
    house.front.handle_request(house.now, Request::SetRelays(Some(relays(2 * HOUR))));
    let told = house.wait(SECOND);
    let service = parse(body(&told[0].1.text)).unwrap().relays.unwrap();
    let since = house.now - SECOND;
    assert_eq!((told.len(), service.expires.as_secs()), (1, (since + 2 * HOUR).as_secs()));
}

const MRAS: &str = "sip:example.com;gruu;opaque=srvr:MRAS";
const TYPE: &str = "Content-Type: application/msrtc-media-relay-auth+xml\r\n";

fn asking(identity: &str, more: &str) -> String {
    format!(
        "<request requestID=\"7\" from=\"sip:alice@example.com\" version=\"1.0\" to=\"{MRAS}\" \
         xmlns=\"http://schemas.microsoft.com/2006/09/sip/mrasp\"><credentialsRequest credentialsRequestID=\"8\">\
         <identity>{identity}</identity>{more}</credentialsRequest></request>"
    )
}

fn service(house: &mut House, body: &str) -> Vec<Sent> {
    proven(house, udp(1), Method::Service, MRAS, TYPE, body)
}

#[test]
fn service_is_answered_with_a_credential_and_the_relays() {
    let mut house = house(8 * HOUR);
    let more = "<location>internet</location><duration>480</duration>";
    let sent = service(&mut house, &asking("sip:Alice@example.com", more));
    assert_eq!((sent[0].start(), sent[0].get("Content-Type")), ("SIP/2.0 200 OK", &TYPE[14..TYPE.len() - 2]));
    let name = base64(&format!("{}:alice@example.com", end(&house, 8 * HOUR)));
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <response xmlns=\"http://schemas.microsoft.com/2006/09/sip/mrasp\" requestID=\"7\" version=\"1.0\" to=\"{MRAS}\" \
         from=\"sip:alice@example.com\" serverVersion=\"1.0\" reasonPhrase=\"OK\">\n\
         <credentialsResponse credentialsRequestID=\"8\">\n\
         <credentials><username>{name}</username><password>{}</password><duration>480</duration></credentials>\n\
         <mediaRelayList>\n<mediaRelay><location>internet</location><hostName>edge.example.com</hostName>\
         <udpPort>3478</udpPort><tcpPort>443</tcpPort></mediaRelay>\n</mediaRelayList>\n</credentialsResponse>\n</response>\n",
        base64("any")
    );
    assert_eq!(body(&sent[0].text), expected);
}

#[test]
fn who_wants_a_credential_for_less_time_gets_it_and_nobody_gets_more() {
    for (minutes, granted) in [("1", 1), ("59", 59), ("61", 60), ("99999999999999999999", 60)] {
        let mut house = house(HOUR);
        let more = format!("<duration>{minutes}</duration>");
        let sent = service(&mut house, &asking("sip:alice@example.com", &more));
        assert!(
            sent[0].text.contains(&format!("<duration>{granted}</duration>")),
            "{minutes}: {}",
            sent[0].text
        );
    }
}

#[test]
fn service_for_somebody_else_or_without_sense_is_refused() {
    let mallory = asking("sip:bob@example.com", "");
    let good = asking("sip:alice@example.com", "");
    let twice = "<duration>0</duration>";
    for (body, status, reason) in [
        (mallory, "SIP/2.0 403 Not Your Identity", "Forbidden"),
        (good.replace("2006/09", "2007/09"), "SIP/2.0 400 Bad Request", "Request Malformed"),
        (good.replace("requestID", "id"), "SIP/2.0 400 Bad Request", "Request Malformed"),
        (
            good.replace("<identity>", "<!DOCTYPE a><identity>"),
            "SIP/2.0 400 Bad Request",
            "Request Malformed",
        ),
        (asking("sip:alice@example.com", twice), "SIP/2.0 400 Bad Request", "Request Malformed"),
        (asking("", ""), "SIP/2.0 400 Bad Request", "Request Malformed"),
        (String::new(), "SIP/2.0 400 Bad Request", "Request Malformed"),
    ] {
        let mut house = house(HOUR);
        let sent = service(&mut house, &body);
        assert_eq!((sent[0].start(), sent.len()), (status, 1), "{body}");
        assert!(sent[0].text.contains(&format!("reasonPhrase=\"{reason}\">")), "{}", sent[0].text);
        assert!(!sent[0].text.contains("<credentials"), "{}", sent[0].text);
    }
    let mut house = house(HOUR);
    let other = request("SERVICE", MRAS, udp(1), "s1", 1, "", "Content-Type: application/xml\r\n");
    let sent = house.hear(udp(1), &other);
    assert_eq!(
        (sent[0].start(), sent[0].get("Accept")),
        ("SIP/2.0 415 Unsupported Media Type", &TYPE[14..TYPE.len() - 2])
    );
}

const TARGET: &str = "/turn?service=turn";

fn question(remote: SocketAddr) -> DoorQuestion<'static> {
    DoorQuestion { remote, method: "GET", target: TARGET, authorization: None, user: None, class: None }
}

fn challenged(answer: Result<RelayAnswer, DoorRefusal>) -> Vec<String> {
    match answer {
        Err(DoorRefusal::Challenge(values)) => values,
        other => panic!("{other:?}"),
    }
}

/// What answers a challenge.
fn answered(challenges: &[String], password: &str, nc: u32) -> String {
    let challenge = Challenge::strongest(challenges.iter().map(|value| value.as_bytes())).unwrap();
    let login = Login { user: "alice", password, cnonce: "c" };
    challenge.answer(&login, Method::Other(b"GET"), TARGET.as_bytes(), nc)
}

#[test]
fn over_http_who_answers_the_challenge_is_given_relays() {
    let (mut house, remote) = (house(HOUR), udp(1).remote);
    let challenges = challenged(house.front.relay_question(house.now, &question(remote)));
    assert_eq!(challenges.len(), 2);
    assert!(challenges[0].contains("algorithm=SHA-256") && challenges[1].contains("algorithm=MD5"));
    let (end, proof) = (end(&house, HOUR), |nc| answered(&challenges, "secret", nc));
    let mut ask = |nc, class, user| {
        let proof = proof(nc);
        let asked = DoorQuestion { authorization: Some(&proof), class, user, ..question(remote) };
        match house.front.relay_question(house.now, &asked) {
            Ok(RelayAnswer { credential, lasts, servers }) => {
                let ports: Vec<u16> = servers.iter().map(|server| server.uri.port).collect();
                (credential.username, credential.class, lasts, ports)
            }
            other => panic!("{other:?}"),
        }
    };
    let ends = format!("{}:alice@example.com", end);
    assert_eq!(ask(1, None, None), (ends.clone(), None, HOUR, vec![3478, 443]));
    assert_eq!(ask(2, AUDIO, Some("alice")), (ends.clone(), AUDIO, HOUR, vec![3479, 3478, 443]));
    assert_eq!(ask(3, None, Some("Alice@example.com")).0, ends);
}

#[test]
fn over_http_nobody_else_is_given_anything() {
    let (mut house, remote) = (house(HOUR), udp(1).remote);
    let challenges = challenged(house.front.relay_question(house.now, &question(remote)));
    let (right, wrong) = (answered(&challenges, "secret", 1), answered(&challenges, "wrong", 2));
    let right = DoorQuestion { authorization: Some(&right), ..question(remote) };
    for (why, asked) in [
        ("another address", DoorQuestion { remote: udp(2).remote, ..right }),
        ("another request", DoorQuestion { target: "/turn", ..right }),
        ("another method", DoorQuestion { method: "POST", ..right }),
        ("another user", DoorQuestion { user: Some("bob"), ..right }),
        ("a user elsewhere", DoorQuestion { user: Some("alice@example.org"), ..right }),
        ("a wrong password", DoorQuestion { authorization: Some(&wrong), ..right }),
        ("another scheme", DoorQuestion { authorization: Some("Basic YWxpY2U6c2VjcmV0"), ..right }),
        ("nonsense", DoorQuestion { authorization: Some("Digest \u{fc}"), ..right }),
    ] {
        let answer = house.front.relay_question(house.now, &asked);
        assert!(matches!(answer, Err(DoorRefusal::Challenge(_))), "{why}: {answer:?}");
    }
    assert!(house.front.relay_question(house.now, &right).is_ok());
    // The same a second time is somebody who has listened.
    challenged(house.front.relay_question(house.now, &right));
    house.front.handle_request(house.now, Request::SetRelays(None));
    assert_eq!(house.front.relay_question(house.now, &right), Err(DoorRefusal::Nothing));
}

/// Guesses over HTTP and in SIP are the same guesses.
#[test]
fn who_guesses_over_http_waits_in_sip_too() {
    let (mut house, remote) = (house(HOUR), udp(1).remote);
    let challenges = challenged(house.front.relay_question(house.now, &question(remote)));
    let mut waits = Vec::new();
    for nc in 1..=6 {
        let guess = answered(&challenges, "guess", nc);
        let asked = DoorQuestion { authorization: Some(&guess), ..question(remote) };
        if let Err(DoorRefusal::TooSoon(left)) = house.front.relay_question(house.now, &asked) {
            waits.push(left);
        }
    }
    assert!(!waits.is_empty());
    let ask = |more: &str| {
        request("OPTIONS", "sip:bob@example.com", udp(1), &format!("o{}", more.len()), 1, "", more)
            .replace("<sip:ann@other.org>", "<sip:alice@example.com>")
    };
    let challenge = house.hear(udp(1), &ask(""));
    let proof = authorization("alice", &challenge[0].text, Method::Options, "sip:bob@example.com");
    assert_eq!(house.hear(udp(1), &ask(&proof))[0].start(), "SIP/2.0 503 Try Again Later");
}

/// What the service at an Edge answers to a server: the start line, and all of it.
fn served(text: &str) -> (String, String) {
    let inside = vec![RelayServer { uri: "turn:10.0.0.5:3478?transport=udp".parse().unwrap(), class: None }];
    let mut service = Authentication::new(relays(HOUR), inside, [1; 32]);
    let flow = stream(Transport::Tls, 9, 1);
    let answer = service.handle_input(Duration::from_secs(1_800_000_000), flow, text.as_bytes()).unwrap();
    assert_eq!((answer.to, answer.class), (Destination::Flow(flow), TrafficClass::Signaling));
    let text = String::from_utf8(answer.bytes).unwrap();
    (text.split("\r\n").next().unwrap().to_owned(), text)
}

/// A request of a Front End on behalf of a user, as it comes to the Edge.
fn on_behalf(body: &str) -> String {
    let text = request("SERVICE", MRAS, stream(Transport::Tls, 9, 1), "s1", 1, "", TYPE);
    text.replace("Content-Length: 0\r\n\r\n", &format!("Content-Length: {}\r\n\r\n{body}", body.len()))
}

#[test]
fn the_service_at_an_edge_gives_servers_credentials_for_whoever_their_users_are() {
    let (start, text) = served(&on_behalf(&asking("sip:Dora@example.net", "<location>internet</location>")));
    assert_eq!(start, "SIP/2.0 200 OK");
    let name = base64("1800003600:dora@example.net");
    assert!(text.contains(&format!("<username>{name}</username>")), "{text}");
    assert!(text.contains("<hostName>edge.example.com</hostName>") && !text.contains("10.0.0.5"), "{text}");
    // Who does not say where it is, is inside.
    let (_, text) = served(&on_behalf(&asking("sip:dora@example.net", "")));
    let relay =
        "<location>intranet</location><hostName>10.0.0.5</hostName><udpPort>3478</udpPort></mediaRelay>";
    assert!(text.contains(relay) && !text.contains("edge.example.com"), "{text}");
}

#[test]
fn the_service_at_an_edge_does_nothing_else() {
    let other = |method: &str| request(method, MRAS, stream(Transport::Tls, 9, 1), "s1", 1, "", "");
    assert_eq!(served(&other("OPTIONS")).0, "SIP/2.0 200 OK");
    for method in ["INVITE", "REGISTER", "SUBSCRIBE", "MESSAGE"] {
        let (start, text) = served(&other(method));
        assert_eq!(
            (&*start, fields(&text, "Allow")),
            ("SIP/2.0 405 Method Not Allowed", vec!["SERVICE, OPTIONS"])
        );
    }
    assert_eq!(served(&other("SERVICE")).0, "SIP/2.0 415 Unsupported Media Type");
    assert_eq!(served(&on_behalf(&asking("tel:+15551234", ""))).0, "SIP/2.0 403 Not Your Identity");
    assert_eq!(served(&on_behalf("<request/>")).0, "SIP/2.0 400 Bad Request");
    let mut service = Authentication::new(relays(HOUR), Vec::new(), [1; 32]);
    let flow = stream(Transport::Tls, 9, 1);
    for quiet in [other("ACK"), "\r\n\r\n".to_owned(), "nonsense".to_owned(), served(&other("OPTIONS")).1] {
        assert_eq!(service.handle_input(Duration::ZERO, flow, quiet.as_bytes()), None, "{quiet}");
    }
    assert_eq!(service.counts(), AuthenticationCounts { garbage: 1, ..AuthenticationCounts::default() });
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
