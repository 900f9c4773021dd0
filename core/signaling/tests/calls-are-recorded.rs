//! Every call leaves a record of each leg: who, when, which way, by which codec, and why it is over.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use carillon_signaling::records::{CallLeg, Record, Side};
use carillon_signaling::{Edge, Limits};
use carillon_wire::sip::{Flow, Method, Transport};
use support::*;

const OFFER: &str = "v=0\r\nc=IN IP4 198.51.100.1\r\nm=audio 50000 RTP/AVP 9 0\r\nm=video 58000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";
const ANSWER: &str = "v=0\r\nc=IN IP4 198.51.100.2\r\nm=audio 50010 RTP/AVP 9\r\nm=video 0 RTP/AVP 96\r\n";

/// With a body.
fn with(text: &str, sdp: &str) -> String {
    let length = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
    text.replace("Content-Length: 0\r\n\r\n", &length)
}

/// The legs that are over, as words: side, user, peer, how it ended, by whom.
fn ended(house: &mut House) -> Vec<String> {
    let over = |leg: &&CallLeg| {
        let end = leg.end?;
        let by = end.by.map_or("server", Side::name);
        let code = end.code.map(|code| format!(" {code}")).unwrap_or_default();
        Some(format!("{} {} {}: {}{code} by {by}", leg.side.name(), leg.user, leg.peer, end.ending.name()))
    };
    let legs: Vec<String> = legs(house).iter().filter_map(over).collect();
    house.records.clear();
    legs
}

fn legs(house: &House) -> Vec<&CallLeg> {
    let mut legs = Vec::new();
    for record in &house.records {
        if let Record::Leg(leg) = record {
            legs.push(leg);
        }
    }
    legs
}

struct Call {
    ann: Flow,
    bob: Flow,
    routes: String,
    back: String,
}

const BOB: &str = "sip:bob@198.51.100.2:5060;transport=udp";

/// Ann talks to bob.
fn up(house: &mut House, offer: &str, answer: &str) -> Call {
    let (ann, bob) = (udp(1), udp(2));
    house.register("bob", bob, "");
    let invited = house.hear(ann, &with(&invite(ann, "i1"), offer)).remove(1);
    house.now += SECOND;
    house.hear(bob, &invited.answer("180 Ringing", "bob", ""));
    house.now += SECOND;
    let contact = format!("Contact: <{}>\r\n", contact("bob", bob));
    let taken = house.hear(bob, &with(&invited.answer("200 OK", "bob", &contact), answer)).remove(0);
    let routes = caller_routes(&taken.text);
    house.hear(ann, &request("ACK", BOB, ann, "a1", 1, "bob", &routes));
    house.now += 3 * SECOND;
    Call { ann, bob, routes, back: callee_routes(&invited.text) }
}

fn bye_of_bob(call: &Call, more: &str) -> String {
    format!(
        "BYE sip:ann@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.2;branch=z9hG4bKb\r\nFrom: <sip:bob@example.com>;tag=bob\r\n\
         To: <sip:ann@other.org>;tag=ann\r\nCall-ID: call-1\r\nCSeq: 1 BYE\r\n{}{more}\r\n",
        call.back
    )
}

#[test]
fn a_call_has_two_legs_with_times_ports_and_the_codec_of_the_answer() {
    let mut house = House::new();
    let begun = house.now;
    let call = up(&mut house, OFFER, ANSWER);
    house.hear(call.bob, &bye_of_bob(&call, ""));
    let legs = legs(&house);
    // When it begins the caller's; then both, twice.
    assert_eq!(legs.len(), 5);
    assert!(legs.iter().all(|leg| (leg.call, leg.begun) == (begun.as_micros() as u64, begun)));
    let [caller, callee] = legs[3..] else { panic!() };
    assert_eq!((caller.rung, caller.answered), (Some(begun + SECOND), Some(begun + 2 * SECOND)));
    assert_eq!(caller.end.map(|end| end.at), Some(begun + 5 * SECOND));
    for (leg, port, host) in [(caller, 50_000, 1), (callee, 50_010, 2)] {
        let audio = leg.audio.as_ref().unwrap();
        assert_eq!(audio.address.unwrap().to_string(), format!("198.51.100.{host}:{port}"));
        assert_eq!((audio.codec.as_deref(), audio.rate), (Some("G722"), Some(16_000)), "wideband");
        assert_eq!(
            (leg.video.as_ref(), leg.address.unwrap().to_string()),
            (None, format!("198.51.100.{host}"))
        );
    }
    let expected = [
        "caller ann@other.org bob@example.com: hung-up by callee",
        "callee bob@example.com ann@other.org: hung-up by callee",
    ];
    assert_eq!(ended(&mut house), expected);
}

#[test]
fn every_ending_has_its_word() {
    let endings = [
        ("486 Busy Here", "busy 486 by callee"),
        ("603 Decline", "declined 603 by callee"),
        ("480 Temporarily Unavailable", "no-answer 480 by callee"),
        ("488 Not Acceptable Here", "no-common-media 488 by callee"),
        ("500 Oops", "server-error 500 by callee"),
        ("302 Moved", "redirected 302 by callee"),
    ];
    for (status, expected) in endings {
        let mut house = House::new();
        let (ann, bob) = (udp(1), udp(2));
        house.register("bob", bob, "");
        let invited = house.hear(ann, &invite(ann, "i1")).remove(1);
        house.hear(bob, &invited.answer("180 Ringing", "bob", ""));
        house.hear(bob, &invited.answer(status, "bob", ""));
        assert_eq!(ended(&mut house), [format!("caller ann@other.org bob@example.com: {expected}")]);
    }
}

#[test]
fn a_caller_who_gives_up_is_told_from_one_who_is_lost() {
    for lost in [false, true] {
        let mut house = House::new();
        let (ann, bob) = (stream(Transport::Tcp, 9, 1), udp(2));
        house.register("bob", bob, "");
        let invited = house.hear(ann, &invite(ann, "i1")).remove(1);
        house.hear(bob, &invited.answer("180 Ringing", "bob", ""));
        let cancel = request("CANCEL", "sip:bob@example.com", ann, "i1", 1, "", "");
        let sent = if lost { house.close(ann) } else { house.hear(ann, &cancel) };
        assert!(sent.iter().any(|sent| sent.text.starts_with("CANCEL")));
        house.hear(bob, &invited.answer("487 Request Terminated", "bob", ""));
        let word = if lost { "connection-lost" } else { "cancelled" };
        assert_eq!(
            ended(&mut house),
            [format!("caller ann@other.org bob@example.com: {word} 487 by caller")]
        );
    }
}

#[test]
fn nobody_there_is_told_from_nobody_answering_and_from_no_such_name() {
    let mut house = House::new();
    let (ann, bob) = (udp(1), udp(2));
    house.hear(ann, &invite(ann, "i1"));
    assert_eq!(ended(&mut house), ["caller ann@other.org bob@example.com: not-registered 480 by server"]);
    house.hear(ann, &invite(ann, "i2").replace("bob@", "nobody@").replace("call-1", "call-2"));
    assert_eq!(ended(&mut house), ["caller ann@other.org nobody@example.com: not-found 404 by server"]);
    house.register("bob", bob, "");
    house.hear(ann, &invite(ann, "i3").replace("call-1", "call-3"));
    house.wait(2 * PATIENCE);
    assert_eq!(ended(&mut house), ["caller ann@other.org bob@example.com: timeout 408 by server"]);
    let far = stream(Transport::Tcp, 7, 3);
    house.register("carol", far, "");
    house.hear(ann, &invite(ann, "i4").replace("bob@", "carol@").replace("call-1", "call-4"));
    house.close(far);
    assert_eq!(ended(&mut house), ["caller ann@other.org carol@example.com: connection-lost 480 by server"]);
}

#[test]
fn a_challenge_is_no_call_and_a_stranger_is_none_either() {
    let mut house = House::closed();
    let alice = udp(1);
    house.hear(alice, &invite(alice, "i0"));
    assert_eq!(ended(&mut house), [""; 0], "refused before anybody knows who it is");
    let call = invite(alice, "i1").replace("ann@other.org", "alice@example.com");
    let challenged = house.hear(alice, &call);
    assert_eq!(
        (ended(&mut house).len(), challenged[0].start()),
        (0, "SIP/2.0 407 Proxy Authentication Required")
    );
    let proof = authorization("alice", &challenged[0].text, Method::Invite, "sip:bob@example.com");
    let again =
        call.replace("i1", "i2").replace("CSeq: 1", "CSeq: 2").replace("Contact", &format!("{proof}Contact"));
    house.hear(alice, &again);
    assert_eq!(ended(&mut house), ["caller alice@example.com bob@example.com: not-registered 480 by server"]);
}

#[test]
fn a_call_that_falls_silent_or_says_why_it_ends_is_recorded_so() {
    let mut house = House::with(Limits { silence: Duration::from_secs(600), ..Limits::default() });
    up(&mut house, OFFER, ANSWER);
    house.wait(Duration::from_secs(700));
    assert_eq!(ended(&mut house)[0], "caller ann@other.org bob@example.com: went-silent by server");
    let mut house = House::new();
    let call = up(&mut house, OFFER, ANSWER);
    house.hear(call.bob, &bye_of_bob(&call, "Reason: SIP;text=\"RTP Timeout\"\r\n"));
    assert_eq!(ended(&mut house)[1], "callee bob@example.com ann@other.org: media-failed by callee");
}

#[test]
fn what_is_agreed_anew_and_what_is_offered_late_counts() {
    let mut house = House::new();
    let call = up(&mut house, OFFER, ANSWER);
    let again = with(
        &request("INVITE", BOB, call.ann, "i2", 2, "bob", &call.routes),
        &OFFER.replace("50000", "50020"),
    );
    let invited = house.hear(call.ann, &again).remove(1);
    house.hear(
        call.bob,
        &with(
            &invited.answer("200 OK", "", ""),
            &ANSWER.replace("AVP 9\r", "AVP 0\r").replace("0 RTP/AVP 96", "58010 RTP/AVP 96"),
        ),
    );
    let [.., caller, callee] = legs(&house)[..] else { panic!() };
    let port = |leg: &CallLeg| {
        (
            leg.audio.as_ref().unwrap().address.unwrap().port(),
            leg.video.as_ref().unwrap().address.unwrap().port(),
        )
    };
    assert_eq!((port(caller), port(callee)), ((50020, 58000), (50010, 58010)));
    assert_eq!(caller.audio.as_ref().unwrap().codec.as_deref(), Some("PCMU"));
    // Bob asks ann for an offer, and answers it in the ACK.
    let ask = format!(
        "INVITE sip:ann@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.2;branch=z9hG4bKx\r\nFrom: <sip:bob@example.com>;tag=bob\r\n\
         To: <sip:ann@other.org>;tag=ann\r\nCall-ID: call-1\r\nCSeq: 1 INVITE\r\n{}Content-Length: 0\r\n\r\n",
        call.back
    );
    let asked = house.hear(call.bob, &ask).remove(1);
    house.hear(call.ann, &with(&asked.answer("200 OK", "", ""), &OFFER.replace("50000", "50040")));
    house.hear(
        call.bob,
        &with(&ask.replace("INVITE", "ACK").replace("bKx", "bKy"), &ANSWER.replace("50010", "50050")),
    );
    let [.., caller, callee] = legs(&house)[..] else { panic!() };
    let port = |leg: &CallLeg| leg.audio.as_ref().unwrap().address.unwrap().port();
    assert_eq!((port(caller), port(callee), &caller.video), (50040, 50050, &None));
}

#[test]
fn a_caller_behind_our_edge_is_recorded_where_the_edge_saw_it() {
    let address = "192.0.2.200:5061".parse().unwrap();
    let mut house = House::behind(Edge {
        name: "edge.example.com".to_owned(),
        addresses: vec![address],
        is_director: false,
    });
    let edge = Flow { remote: "192.0.2.200:40000".parse().unwrap(), ..stream(Transport::Tls, 3, 1) };
    house.front.handle_connected(edge, &["edge.example.com"]);
    house.register("bob", udp(2), "");
    let from_outside = invite(edge, "i1").replace(
        "Max-Forwards",
        "Via: SIP/2.0/TLS 10.9.9.9;received=203.0.113.5;branch=z9hG4bKo\r\nMax-Forwards",
    );
    house.hear(edge, &from_outside);
    let caller = legs(&house)[0];
    assert_eq!((caller.address.unwrap().to_string().as_str(), caller.through_edge), ("203.0.113.5", true));
}

#[test]
fn a_report_is_of_whoever_has_proven_to_send_it() {
    let mut house = House::new();
    let alice = udp(1);
    house.register("alice", alice, "");
    let report = "VQSessionReport: CallTerm\r\nCallID: call-1\r\nLocalID: <sip:bob@example.com>\r\nOrigID: <sip:bob@example.com>\r\n\
        LocalMetrics:\r\nQualityEst: MOSCQ=4.1\r\n";
    let publish = |branch: &str, cseq: u32, more: &str| {
        let head = format!("Event: vq-rtcpxr\r\nContent-Type: application/vq-rtcpxr\r\n{more}");
        let text = request("PUBLISH", "sip:collector@example.com", alice, branch, cseq, "", &head)
            .replace("ann@other.org", "alice@example.com");
        text.replace(
            "Content-Length: 0\r\n\r\n",
            &format!("Content-Length: {}\r\n\r\n{report}", report.len()),
        )
    };
    let challenged = house.hear(alice, &publish("p1", 1, "")).remove(0);
    assert_eq!(challenged.start(), "SIP/2.0 401 Unauthorized");
    let proof = authorization("alice", &challenged.text, Method::Publish, "sip:collector@example.com");
    let told = house.hear(alice, &publish("p2", 2, &proof)).remove(0);
    assert_eq!((told.start(), told.get("Expires")), ("SIP/2.0 200 OK", "0"));
    let [Record::Report(report)] = &house.records[..] else { panic!("{:?}", house.records) };
    assert_eq!(
        (&*report.user, &*report.call_id, report.side),
        ("alice@example.com", "call-1", Some(Side::Caller))
    );
    assert_eq!(report.quality.mos_conversation, Some(4.1));
    let wrong = publish("p3", 3, &proof).replace("application/vq-rtcpxr", "text/plain");
    assert_eq!(house.hear(alice, &wrong)[0].start(), "SIP/2.0 401 Unauthorized", "a proof is good once");
}
