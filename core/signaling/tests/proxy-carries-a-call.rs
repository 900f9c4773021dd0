//! A call from INVITE to BYE, message by message.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use carillon_signaling::Event;
use carillon_wire::sip::{Method, Transport};
use support::*;

/// What is random or sealed, by words of the same meaning.
fn masked(text: &str) -> String {
    let mut out = Vec::new();
    for line in text.split("\r\n") {
        let line = match line.find("branch=z9hG4bK-") {
            Some(at) => format!("{}OURS", &line[..at + 7]),
            None => line.to_owned(),
        };
        out.push(match (line.find("<sip:"), line.find("@192.0.2.1")) {
            (Some(from), Some(to)) if line.starts_with("Record-Route") => {
                format!("{}TOKEN{}", &line[..from + 5], &line[to..])
            }
            _ => line,
        });
    }
    out.join("\n")
}

#[test]
fn an_invite_reaches_the_phone_with_our_marks_and_nothing_else_changed() {
    let mut house = House::new();
    let (ann, bob) = (udp(1), stream(Transport::Tls, 7, 2));
    house.register("bob", bob, "");
    let invite = "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP ann.other.org:5060;rport;branch=z9hG4bK1\r\n\
        X-Odd :  \t kept;;,,\r\n  folded\r\nMax-Forwards: 20\r\nFrom: \"Ann\" <sip:ann@other.org>;tag=ann\r\n\
        To: <sip:bob@example.com>\r\nCall-ID: call-1\r\nCSeq: 1 INVITE\r\nContact: <sip:ann@198.51.100.1>\r\nc: text/x\r\n\
        l: 4\r\n\r\nbody";
    let sent = house.hear(ann, invite);
    let trying = "SIP/2.0 100 Trying\n\
        Via: SIP/2.0/UDP ann.other.org:5060;received=198.51.100.1;rport=5060;branch=z9hG4bK1\n\
        From: \"Ann\" <sip:ann@other.org>;tag=ann\nTo: <sip:bob@example.com>\nCall-ID: call-1\nCSeq: 1 INVITE\n\
        Content-Length: 0\n\n";
    assert_eq!((masked(&sent[0].text).as_str(), sent[0].to), (trying, ann.remote));
    let forwarded = "INVITE sip:bob@198.51.100.2:40007;transport=tls SIP/2.0\n\
        Via: SIP/2.0/TLS 192.0.2.1:5061;rport;branch=OURS\n\
        Via: SIP/2.0/UDP ann.other.org:5060;received=198.51.100.1;rport=5060;branch=z9hG4bK1\n\
        X-Odd :  \t kept;;,,\n  folded\nMax-Forwards: 19\nFrom: \"Ann\" <sip:ann@other.org>;tag=ann\n\
        To: <sip:bob@example.com>\nCall-ID: call-1\nCSeq: 1 INVITE\nContact: <sip:ann@198.51.100.1>\nc: text/x\nl: 4\n\
        Record-Route: <sip:TOKEN@192.0.2.1:5061;transport=tls;lr>\n\
        Record-Route: <sip:TOKEN@192.0.2.1:5060;transport=udp;lr>\n\nbody";
    assert_eq!((masked(&sent[1].text).as_str(), sent[1].to, sent.len()), (forwarded, bob.remote, 2));
}

#[test]
fn a_call_is_set_up_held_and_ended_from_either_side() {
    for bye_from_bob in [false, true] {
        let mut house = House::new();
        let (ann, bob) = (stream(Transport::Tcp, 9, 1), udp(2));
        house.register("bob", bob, "");
        let invited = house.hear(ann, &invite(ann, "i1")).remove(1);
        let ringing = house.hear(bob, &invited.answer("180 Ringing", "bob", ""));
        assert_eq!(starts(&ringing), [("SIP/2.0 180 Ringing", ann.remote.to_string())]);
        assert_eq!(ringing[0].all("Via").len(), 1);
        let contact = format!("Contact: <{}>\r\n", contact("bob", bob));
        let taken = house.hear(bob, &invited.answer("200 OK", "bob", &contact)).remove(0);
        assert_eq!((taken.start(), taken.to), ("SIP/2.0 200 OK", ann.remote));
        let uri = "sip:bob@198.51.100.2:5060;transport=udp";
        let routes = caller_routes(&taken.text);
        let ack = house.hear(ann, &request("ACK", uri, ann, "a1", 1, "bob", &routes));
        assert_eq!(
            starts(&ack),
            [("ACK sip:bob@198.51.100.2:5060;transport=udp SIP/2.0", bob.remote.to_string())]
        );
        assert_eq!((ack[0].all("Route").len(), ack[0].all("Record-Route").len()), (0, 0));
        assert_eq!(house.front.counts().calls, 1);
        let bye = match bye_from_bob {
            false => house.hear(ann, &request("BYE", uri, ann, "b1", 2, "bob", &routes)),
            true => {
                let bye = format!(
                    "BYE sip:ann@198.51.100.1:40009;transport=tcp SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.2;branch=z9hG4bKb\r\n\
                     From: <sip:bob@example.com>;tag=bob\r\nTo: <sip:ann@other.org>;tag=ann\r\nCall-ID: call-1\r\n\
                     CSeq: 1 BYE\r\n{}\r\n",
                    callee_routes(&invited.text)
                );
                house.hear(bob, &bye)
            }
        };
        let (from, to) = if bye_from_bob { (bob, ann) } else { (ann, bob) };
        assert_eq!((bye[0].to, bye[0].all("Route").len(), bye.len()), (to.remote, 0, 1));
        let done = house.hear(to, &bye[0].answer("200 OK", "", ""));
        assert_eq!(starts(&done), [("SIP/2.0 200 OK", from.remote.to_string())]);
        let call_id = || "call-1".to_owned();
        let [started, ended] =
            [Event::CallStarted { call_id: call_id() }, Event::CallEnded { call_id: call_id() }];
        assert_eq!(house.events.split_off(1), [started, ended]);
        assert_eq!(house.front.counts().calls, 0);
        house.wait(PATIENCE);
        house.assert_quiet();
    }
}

#[test]
fn a_message_whose_end_only_the_datagram_told_gets_a_length() {
    let mut house = House::new();
    let (ann, bob) = (stream(Transport::Tcp, 9, 1), udp(2));
    house.register("bob", bob, "");
    house.register("carol", ann, "");
    let bare = |text: &str| text.replace("Content-Length: 0\r\n\r\n", "\r\nbody");
    let text = request("MESSAGE", "sip:carol@example.com", bob, "m1", 1, "", "");
    let sent = house.hear(bob, &bare(&text));
    assert_eq!((sent[0].get("Content-Length"), sent[0].text.ends_with("\r\n\r\nbody")), ("4", true));
    let sent = house.hear(ann, &request("MESSAGE", "sip:bob@example.com", ann, "m2", 1, "", ""));
    let ok = house.hear(bob, &bare(&sent[0].answer("200 OK", "b", "")));
    assert_eq!((ok[0].get("Content-Length"), ok[0].text.ends_with("\r\n\r\nbody")), ("4", true));
}

#[test]
fn our_own_users_prove_who_they_are_and_their_credentials_stay_here() {
    let mut house = House::new();
    let (alice, bob) = (udp(1), udp(2));
    house.register("bob", bob, "");
    house.wait(PATIENCE);
    let invite = |branch: &str, cseq: u32, more: &str| {
        format!(
            "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK{branch}\r\n\
             From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c\r\nCSeq: {cseq} INVITE\r\n{more}\r\n"
        )
    };
    let challenge = house.hear(alice, &invite("1", 1, ""));
    assert_eq!((challenge[0].start(), challenge.len()), ("SIP/2.0 407 Proxy Authentication Required", 1));
    assert_eq!(house.front.counts().server_transactions, 0);
    let ours = authorization("alice", &challenge[0].text, Method::Invite, "sip:bob@example.com");
    let foreign = "Proxy-Authorization: Digest username=\"a\", realm=\"other.org\", response=\"x\"\r\n";
    let sent = house.hear(alice, &invite("2", 2, &format!("{foreign}{ours}")));
    assert_eq!(sent[1].to, bob.remote);
    assert_eq!(
        sent[1].all("Proxy-Authorization"),
        ["Digest username=\"a\", realm=\"other.org\", response=\"x\""]
    );
}

#[test]
fn unknown_and_absent_users_are_told_apart() {
    let mut house = House::new();
    let ann = udp(1);
    for (user, status) in
        [("nobody", "SIP/2.0 404 Not Found"), ("bob", "SIP/2.0 480 Temporarily Unavailable")]
    {
        let uri = format!("sip:{user}@example.com");
        let sent = house.hear(ann, &request("INVITE", &uri, ann, user, 1, "", ""));
        assert_eq!(starts(&sent), [(status, ann.remote.to_string())]);
    }
    house.assert_quiet();
}
