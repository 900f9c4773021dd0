//! A MESSAGE that is delivered or kept becomes part of the histories of those whose policy says so: once, saved before its answer,
//! with whoever is at the other end, and with what receipts say of it.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_signaling::{
    Change, HistoryEntry, HistoryLimits, HistoryPolicy, HistoryReceipt, Receipt, Request,
};
use carillon_wire::sip::{Flow, Method, Transport};
use support::{
    House, PATIENCE, Sent, authorization, callee_routes, caller_routes, contact, invite, request, stream, udp,
};

const ANN: u8 = 9;

/// A house whose users have histories.
fn house(policy: HistoryPolicy) -> House {
    let mut house = House::new();
    house.front.handle_request(house.now, Request::SetHistory(policy));
    house
}

fn limits() -> Option<HistoryLimits> {
    Some(HistoryLimits { age: Duration::from_secs(86_400), messages: 50 })
}

fn everybody() -> HistoryPolicy {
    HistoryPolicy { everybody: limits(), ..HistoryPolicy::default() }
}

fn bob(phone: u64) -> Flow {
    stream(Transport::Tls, phone, 8)
}

fn alice() -> Flow {
    stream(Transport::Tls, 70, 7)
}

fn with_body(head: &str, body: &str) -> String {
    head.replace("Content-Length: 0\r\n\r\n", &format!("Content-Length: {}\r\n\r\n{body}", body.len()))
}

/// A message of a user of ours that proves who it is.
fn from(house: &mut House, who: &str, to: &str, number: u32, media_type: &str, body: &str) -> Vec<Sent> {
    let flow = if who == "alice" { alice() } else { bob(1) };
    let uri = format!("sip:{to}");
    let text = |cseq: u32, more: &str| {
        let head = format!("Content-Type: {media_type}\r\n{more}");
        let text = request("MESSAGE", &uri, flow, &format!("{who}{number}-{cseq}"), cseq, "", &head);
        let text = text.replace("ann@other.org", &format!("{who}@example.com"));
        with_body(
            &text
                .replace("bob@example.com>\r\nCall-ID: call-1", &format!("{to}>\r\nCall-ID: {who}-{number}")),
            body,
        )
    };
    let challenge = house.hear(flow, &text(1, ""));
    let proof = authorization(who, &challenge[0].text, Method::Message, &uri);
    house.hear(flow, &text(2, &proof))
}

/// The same from ann, who is elsewhere.
fn from_ann(house: &mut House, number: u32, media_type: &str, body: &str) -> Vec<Sent> {
    let head = format!("Content-Type: {media_type}\r\n");
    let text = request("MESSAGE", "sip:bob@example.com", udp(ANN), &format!("n{number}"), number, "", &head);
    house.hear(udp(ANN), &with_body(&text, body))
}

fn entries(house: &House) -> Vec<HistoryEntry> {
    let of = |change: &Change| match change {
        Change::Remember(entry) => Some(HistoryEntry::clone(entry)),
        _ => None,
    };
    house.saved.iter().filter_map(of).collect()
}

fn receipts(house: &House) -> Vec<HistoryReceipt> {
    let of = |change: &Change| match change {
        Change::Receipt(receipt) => Some(HistoryReceipt::clone(receipt)),
        _ => None,
    };
    house.saved.iter().filter_map(of).collect()
}

/// Whose, whether sent, with whom, what.
fn told(house: &House) -> Vec<(String, bool, String, String)> {
    let of = |entry: HistoryEntry| {
        let body = String::from_utf8(entry.body).unwrap();
        (entry.aor.to_string(), entry.sent, entry.peer.to_string(), body)
    };
    entries(house).into_iter().map(of).collect()
}

fn one(aor: &str, sent: bool, peer: &str, body: &str) -> (String, bool, String, String) {
    let whole = |name: &str| if name.contains('@') { name.to_owned() } else { format!("{name}@example.com") };
    (whole(aor), sent, whole(peer), body.to_owned())
}

#[test]
fn what_two_phones_have_got_is_remembered_once_at_each_end() {
    let mut house = house(everybody());
    house.register("bob", bob(1), "");
    house.register("bob", bob(2), "");
    let sent = from(&mut house, "alice", "bob@example.com", 1, "text/plain", "hello");
    let copies: Vec<&Sent> = sent.iter().filter(|sent| sent.start().starts_with("MESSAGE")).collect();
    assert_eq!(copies.len(), 2);
    assert_eq!(entries(&house), [], "nobody has it yet");
    let answers = house.hear(bob(2), &copies[1].answer("200 OK", "b", ""));
    assert!(answers[0].start().contains("200"));
    house.hear(bob(1), &copies[0].answer("200 OK", "a", ""));
    assert_eq!(told(&house), [one("alice", true, "bob", "hello"), one("bob", false, "alice", "hello")]);
    let entry = entries(&house).remove(1);
    assert_eq!((entry.at, entry.id.as_str(), entry.most), (house.now, "alice-1", 50));
    assert_eq!(entry.media_type, "text/plain");
    house.wait(PATIENCE);
    house.assert_quiet();
}

#[test]
fn what_waits_is_remembered_when_it_is_kept_and_not_again_when_it_is_delivered() {
    let mut house = house(everybody());
    for _ in 0..2 {
        assert!(from_ann(&mut house, 1, "text/plain", "later")[0].start().contains("202"));
    }
    let expected = [one("bob", false, "ann@other.org", "later")];
    assert_eq!(told(&house), expected);
    assert!(matches!(house.saved[..], [Change::Keep(_), Change::Remember(_)]), "before the 202");
    let letter = house.register_and_hear("bob", bob(1), "").remove(0);
    house.hear(bob(1), &letter.answer("200 OK", "b", ""));
    assert_eq!(told(&house), expected);
}

#[test]
fn what_nobody_has_got_is_not_remembered_nor_what_is_of_the_moment() {
    let mut house = house(everybody());
    house.register("bob", bob(1), "");
    let refused = from_ann(&mut house, 1, "text/plain", "no").remove(0);
    house.hear(bob(1), &refused.answer("486 Busy Here", "b", ""));
    let typing = from_ann(&mut house, 2, "application/im-iscomposing+xml", "<isComposing/>").remove(0);
    house.hear(bob(1), &typing.answer("200 OK", "b", ""));
    let lost = from_ann(&mut house, 3, "text/plain", "lost").remove(0);
    assert!(lost.start().starts_with("MESSAGE"));
    house.wait(PATIENCE * 2);
    assert_eq!(told(&house), []);
}

#[test]
fn the_policy_of_each_end_decides_for_itself() {
    let users = BTreeMap::from([("alice@example.com".to_owned(), None)]);
    let mut house = house(HistoryPolicy { users, ..everybody() });
    from(&mut house, "alice", "bob@example.com", 1, "text/plain", "hello");
    assert_eq!(told(&house), [one("bob", false, "alice", "hello")]);
    house.front.handle_request(house.now, Request::SetHistory(HistoryPolicy::default()));
    from(&mut house, "alice", "bob@example.com", 2, "text/plain", "again");
    assert_eq!(told(&house).len(), 1, "nobody's are kept any more");
}

#[test]
fn who_does_not_want_to_be_known_is_not_known_later() {
    let mut house = house(everybody());
    let text = |cseq: u32, more: &str| {
        let head = format!("Content-Type: text/plain\r\n{more}");
        let text = request("MESSAGE", "sip:bob@example.com", alice(), &format!("x{cseq}"), cseq, "", &head);
        with_body(&text.replace("ann@other.org", "anonymous@anonymous.invalid"), "boo")
    };
    let challenge = house.hear(alice(), &text(1, "Proxy-Authorization: Digest\r\n"));
    let proof = authorization("alice", &challenge[0].text, Method::Message, "sip:bob@example.com");
    assert!(house.hear(alice(), &text(2, &proof))[0].start().contains("202"));
    let bobs = one("bob", false, "anonymous@anonymous.invalid", "boo");
    assert_eq!(told(&house), [one("alice", true, "bob", "boo"), bobs]);
}

const RECEIPT: &str = "<imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>m-1</message-id>\
    <display-notification><status><displayed/></status></display-notification></imdn>";

#[test]
fn a_receipt_is_of_the_message_and_not_one_itself() {
    let mut house = house(everybody());
    let wrapped = "NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: m-1\r\n\r\nContent-Type: text/html\r\n\r\n<b>hi</b>";
    from(&mut house, "alice", "bob@example.com", 1, "message/cpim", wrapped);
    let entry = entries(&house).remove(0);
    assert_eq!(
        (entry.id.as_str(), entry.media_type.as_str(), &*entry.body),
        ("m-1", "text/html", &b"<b>hi</b>"[..])
    );
    from(&mut house, "bob", "alice@example.com", 1, "message/imdn+xml", RECEIPT);
    assert_eq!(entries(&house).len(), 2, "the receipt is none");
    let receipt = |aor: &str, peer: &str, sent| HistoryReceipt {
        aor: format!("{aor}@example.com").into(),
        peer: format!("{peer}@example.com").into(),
        sent,
        id: "m-1".to_owned(),
        receipt: Receipt::Displayed,
        at: house.now,
    };
    assert_eq!(receipts(&house), [receipt("bob", "alice", false), receipt("alice", "bob", true)]);
}

#[test]
fn while_nothing_can_be_saved_messages_are_delivered_all_the_same() {
    let mut house = house(everybody());
    house.register("bob", bob(1), "");
    let before = from_ann(&mut house, 1, "text/plain", "one").remove(0);
    house.front.set_keeping(false);
    house.saved.clear();
    let meanwhile = from_ann(&mut house, 2, "text/plain", "two").remove(0);
    for message in [before, meanwhile] {
        let answer = house.hear(bob(1), &message.answer("200 OK", "b", ""));
        assert!(answer[0].start().contains("200"));
    }
    assert_eq!(house.saved, []);
    assert!(
        house.hear(udp(ANN), &request("MESSAGE", "sip:carol@example.com", udp(ANN), "c", 9, "", ""))[0]
            .start()
            .contains("503")
    );
    house.front.set_keeping(true);
    let message = from_ann(&mut house, 3, "text/plain", "three").remove(0);
    house.hear(bob(1), &message.answer("200 OK", "b", ""));
    assert_eq!(told(&house), [one("bob", false, "ann@other.org", "three")]);
}

#[test]
fn what_is_said_within_a_call_is_remembered_with_those_who_are_in_it() {
    let mut house = house(everybody());
    house.register("bob", bob(1), "");
    let ann = stream(Transport::Tls, 9, ANN);
    let asked = house.hear(ann, &invite(ann, "i1"));
    let asked = asked.iter().find(|sent| sent.start().starts_with("INVITE")).unwrap().clone();
    let answered = asked.answer("200 OK", "bob", &format!("Contact: <{}>\r\n", contact("bob", bob(1))));
    let answer = house.hear(bob(1), &answered).remove(0);
    let head = format!("Content-Type: text/plain\r\n{}", caller_routes(&answer.text));
    let says = request("MESSAGE", &contact("bob", bob(1)), ann, "i2", 2, "bob", &head);
    let says = says.replace("sip:ann@other.org", "sip:carol@example.com");
    let passed = house.hear(ann, &with_body(&says, "in call")).remove(0);
    assert!(passed.start().starts_with("MESSAGE"), "{}", passed.text);
    house.hear(bob(1), &passed.answer("200 OK", "bob", ""));
    assert_eq!(
        told(&house),
        [one("bob", false, "ann@other.org", "in call")],
        "and not with who she says she is"
    );
    let head = format!("Content-Type: text/plain\r\n{}", callee_routes(&asked.text));
    let back = request("MESSAGE", &contact("ann", ann), bob(1), "i3", 3, "ann", &head)
        .replace("From: <sip:ann@other.org>;tag=ann", "From: <sip:bob@example.com>;tag=bob")
        .replace("To: <sip:bob@example.com>", "To: <sip:ann@other.org>");
    let passed = house.hear(bob(1), &with_body(&back, "and back")).remove(0);
    house.hear(ann, &passed.answer("200 OK", "", ""));
    assert_eq!(told(&house)[1], one("bob", true, "ann@other.org", "and back"));
}
