//! What is wrong gets the right answer, what is garbage a counter, and responses never an answer.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use support::*;

fn heard(text: &str) -> (Vec<Sent>, House) {
    let mut house = House::new();
    house.register("bob", udp(2), "");
    house.wait(PATIENCE);
    (house.hear(udp(1), text), house)
}

fn options(edit: impl FnOnce(String) -> String) -> Vec<Sent> {
    heard(&edit(request("OPTIONS", "sip:example.com", udp(1), "o1", 1, "", ""))).0
}

#[test]
fn a_keep_alive_by_options_is_answered() {
    for uri in ["sip:example.com", "sip:192.0.2.1:5060", "sip:192.0.2.1;transport=udp"] {
        let (sent, house) = heard(&request("OPTIONS", uri, udp(1), "o1", 1, "", ""));
        assert_eq!(starts(&sent), [("SIP/2.0 200 OK", udp(1).remote.to_string())]);
        assert!(sent[0].get("Allow").starts_with("INVITE, ACK") && !sent[0].get("Accept").is_empty());
        house.assert_quiet();
    }
}

#[test]
fn mistakes_are_named() {
    let cases: [(&str, &str, &str); 8] = [
        ("SIP/2.0\r\nVia", "SIP/3.0\r\nVia", "SIP/2.0 505 Version Not Supported"),
        ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE", "SIP/2.0 400 CSeq Method Mismatch"),
        ("Call-ID: call-1\r\n", "", "SIP/2.0 400 Missing Call-ID"),
        ("Max-Forwards: 70", "Max-Forwards: x", "SIP/2.0 400 Malformed Max-Forwards"),
        ("Content-Length: 0", "Content-Length: 9", "SIP/2.0 400 Content-Length Larger Than Message"),
        ("Max-Forwards: 70", "Route: <nonsense>", "SIP/2.0 400 Malformed Route"),
        ("Max-Forwards: 70", "Require: path, 100rel", "SIP/2.0 420 Bad Extension"),
        ("OPTIONS sip", "OPTIONS http", "SIP/2.0 416 Unsupported URI Scheme"),
    ];
    for (good, bad, status) in cases {
        let sent = options(|text| text.replace(good, bad));
        assert_eq!(starts(&sent), [(status, udp(1).remote.to_string())], "{bad}");
        assert!(sent[0].get("To").contains(";tag="), "{bad}");
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let sent = options(|text| text.replace("Max-Forwards: 70", "Require: path, 100rel,\r\n x"));
    assert_eq!(sent[0].get("Unsupported"), "100rel, x");
    let head = "Proxy-Require: foo\r\n";
    let (sent, _) = heard(&request("INVITE", "sip:bob@example.com", udp(1), "i1", 1, "", head));
    assert_eq!((sent[0].start(), sent[0].get("Unsupported")), ("SIP/2.0 420 Bad Extension", "foo"));
    let (sent, _) = heard(&request("REFER", "sip:example.com", udp(1), "p1", 1, "", ""));
    assert_eq!(sent[0].start(), "SIP/2.0 405 Method Not Allowed");
    assert!(sent[0].get("Allow").contains("REGISTER"));
}

#[test]
fn garbage_is_counted_by_name_and_gets_nothing() {
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", "sip_not_sip"),
        ("OPTIONS sip:x SIP/2.0\nVia: x\r\n\r\n", "sip_bare_line_end"),
        ("SIP/2.0 999 No\r\n\r\n", "sip_bad_status_line"),
        ("SIP/2.0 200 OK\r\nVia: nonsense\r\n\r\n", "sip_bad_response"),
        ("ACK sip:bob@example.com SIP/2.0\r\n\r\n", "sip_bad_ack"),
    ];
    for (text, counter) in cases {
        let (sent, house) = heard(text);
        assert!(sent.is_empty());
        assert_eq!(house.front.counts().dropped.into_iter().collect::<Vec<_>>(), [(counter, 1)]);
    }
    for text in ["\r\n\r\n", ""] {
        let (sent, house) = heard(text);
        assert!(sent.is_empty() && house.front.counts().dropped.is_empty());
    }
}

#[test]
fn a_response_is_only_believed_from_whom_it_was_asked() {
    let (sent, mut house) = heard(&invite(udp(1), "i1"));
    let ok = sent[1].answer("200 OK", "b", "");
    let branch = sent[1].get("Via").split("branch=").nth(1).unwrap().to_owned();
    let mut parts: Vec<&str> = branch.split('-').collect();
    let guessed = "0123456789abcdef";
    parts[2] = guessed;
    let guessed = parts.join("-");
    for forged in [
        ok.replace(&branch, "z9hG4bKnashds8"),
        ok.replace(&branch, &guessed),
        ok.replace("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        ok.replace("CSeq: 1 INVITE", "CSeq: 1 CANCEL"),
    ] {
        assert!(house.hear(udp(2), &forged).is_empty());
    }
    assert_eq!(house.front.counts().dropped["sip_stray_response"], 4);
    assert_eq!(house.hear(udp(2), &ok).len(), 1);
}
