//! Devices publish, watchers are told: RFC 3903, RFC 3856 and RFC 6665 with literal messages.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use carillon_signaling::{Change, Contact, Handling, Request, Roster, Rule};
use carillon_wire::sip::{Flow, Message, Transport};
use support::{House, MS, SECOND, Sent, authorization, contact, stream, udp};

/// A request within or outside of a dialog, its challenge answered.
struct Ask<'a> {
    user: &'a str,
    flow: Flow,
    method: &'a str,
    to: &'a str,
    /// Call-ID and the tag of the other end.
    call: (&'a str, &'a str),
    cseq: u32,
    head: &'a str,
    body: &'a str,
}

impl Ask<'_> {
    fn text(&self, cseq: u32, proof: &str) -> String {
        let Ask { user, flow, method, to, call: (call, tag), head, body, .. } = self;
        let to_tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
        format!(
            "{method} sip:{to}@example.com SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK{call}{cseq}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@example.com>;tag={user}\r\nTo: <sip:{to}@example.com>{to_tag}\r\nCall-ID: {call}\r\n\
             CSeq: {cseq} {method}\r\nContact: <{}>\r\n{head}{proof}Content-Length: {}\r\n\r\n{body}",
            flow.transport,
            flow.remote,
            contact(user, *flow),
            body.len()
        )
    }

    /// What leaves when it is proven.
    fn send(&self, house: &mut House) -> Vec<Sent> {
        let challenge = house.hear(self.flow, &self.text(self.cseq, ""));
        assert!(challenge[0].text.starts_with("SIP/2.0 401 "), "{}", challenge[0].text);
        let request = self.text(self.cseq, "");
        let message = Message::parse(request.as_bytes()).unwrap();
        let uri = format!("sip:{}@example.com", self.to);
        let proof = authorization(self.user, &challenge[0].text, message.method().unwrap(), &uri);
        house.hear(self.flow, &self.text(self.cseq + 1, &proof))
    }
}

fn subscribe<'a>(user: &'a str, flow: Flow, to: &'a str, call: &'a str, head: &'a str) -> Ask<'a> {
    Ask { user, flow, method: "SUBSCRIBE", to, call: (call, ""), cseq: 1, head, body: "" }
}

fn publish<'a>(user: &'a str, flow: Flow, call: &'a str, head: &'a str, body: &'a str) -> Ask<'a> {
    Ask { user, flow, method: "PUBLISH", to: user, call: (call, ""), cseq: 1, head, body }
}

const EVENT: &str = "Event: presence\r\n";
const PIDF: &str = "Event: presence\r\nContent-Type: application/pidf+xml\r\n";

/// A document with this status and these elements in its person.
fn pidf(basic: &str, person: &str) -> String {
    format!(
        "<?xml version='1.0'?><presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' \
         xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:x'><tuple id='a'><status><basic>{basic}</basic></status>\
         </tuple><d:person id='p'>{person}</d:person></presence>"
    )
}

fn doing(activity: &str) -> String {
    format!("<r:activities><r:{activity}/></r:activities>")
}

/// Everything that was sent to a phone, acknowledged: what is behind the heads.
fn notified(house: &mut House, flow: Flow, sent: Vec<Sent>) -> Vec<Sent> {
    let notifies: Vec<Sent> = sent.into_iter().filter(|sent| sent.start().starts_with("NOTIFY")).collect();
    for notify in &notifies {
        assert_eq!(notify.to, flow.remote);
        assert!(house.hear(flow, &notify.answer("200 OK", "", "")).is_empty());
    }
    notifies
}

/// What a phone is told while time passes.
fn told(house: &mut House, flow: Flow, millis: u32) -> Vec<Sent> {
    let sent = house.wait(MS * millis).into_iter().map(|(_, sent)| sent).collect();
    notified(house, flow, sent)
}

fn body(sent: &Sent) -> &str {
    sent.text.split_once("\r\n\r\n").unwrap().1
}

/// What a watcher reads: the status, and the activities.
fn seen(sent: &Sent) -> (bool, String) {
    let body = body(sent);
    let first = body.split("<basic>").nth(1).unwrap();
    let activities = body
        .split_once("<rpid:activities>")
        .map(|(_, rest)| rest.split_once("</rpid:activities>").unwrap().0);
    (first.starts_with("open"), activities.unwrap_or_default().replace("rpid:", ""))
}

/// Alice is signed in, bob watches her.
fn watched() -> (House, Flow, Flow, Sent) {
    let (alice, bob) = (udp(7), stream(Transport::Tls, 3, 8));
    let mut house = House::new();
    house.register("alice", alice, "");
    house.register("bob", bob, "");
    let sent = subscribe("bob", bob, "alice", "watch", &format!("{EVENT}Expires: 600\r\n")).send(&mut house);
    assert_eq!(sent[0].start(), "SIP/2.0 200 OK");
    let first = notified(&mut house, bob, sent.clone()).remove(0);
    assert_eq!(sent.len(), 2);
    (house, alice, bob, first)
}

#[test]
fn who_is_signed_in_and_publishes_nothing_is_open_and_then_closed() {
    let (mut house, alice, bob, first) = watched();
    let head: Vec<&str> =
        first.text.split("\r\n").filter(|line| !line.starts_with("Via: ")).take(11).collect();
    let tag = first.get("From").rsplit('=').next().unwrap().to_owned();
    assert_eq!(
        head,
        [
            &format!("NOTIFY {} SIP/2.0", contact("bob", bob)),
            "Max-Forwards: 70",
            &format!("From: <sip:alice@example.com>;tag={tag}"),
            "To: <sip:bob@example.com>;tag=bob",
            "Call-ID: watch",
            "CSeq: 1 NOTIFY",
            "Contact: <sip:192.0.2.1:5061;transport=tls>",
            "Event: presence",
            "Subscription-State: active;expires=600",
            "Content-Type: application/pidf+xml",
            "Content-Length: 293",
        ]
    );
    assert_eq!(
        body(&first),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" \
         entity=\"sip:alice@example.com\">\n<tuple id=\"registered\"><status><basic>open</basic></status></tuple>\n</presence>\n"
    );
    house.register("alice", alice, ";expires=0");
    let closed = told(&mut house, bob, 500);
    assert_eq!(closed.iter().map(seen).collect::<Vec<_>>(), [(false, String::new())]);
    // A phone that signs in again is no news to whoever has heard it.
    house.register("alice", alice, "");
    assert!(seen(&told(&mut house, bob, 500)[0]).0);
    house.register("alice", alice, "");
    assert!(told(&mut house, bob, 5000).is_empty());
}

#[test]
fn a_publication_lives_by_its_entity_tag() {
    let (mut house, alice, bob, _) = watched();
    let away = pidf("open", &doing("away"));
    let sent = publish("alice", alice, "p1", &format!("{PIDF}Expires: 100\r\n"), &away).send(&mut house);
    assert_eq!((sent[0].start(), sent[0].get("Expires")), ("SIP/2.0 200 OK", "100"));
    let first = sent[0].get("SIP-ETag").to_owned();
    assert!(
        matches!(house.saved.last(), Some(Change::Publish(saved)) if saved.etag == first && saved.document == away)
    );
    assert_eq!(seen(&told(&mut house, bob, 500)[0]), (true, "<away/>".to_owned()));
    // Refreshed: another tag, nothing to tell.
    let head = format!("{EVENT}SIP-If-Match: {first}\r\nExpires: 100\r\n");
    let sent = publish("alice", alice, "p2", &head, "").send(&mut house);
    let second = sent[0].get("SIP-ETag").to_owned();
    assert!(sent[0].start() == "SIP/2.0 200 OK" && second != first);
    assert!(told(&mut house, bob, 1000).is_empty());
    // The old tag names nothing any more.
    let sent = publish("alice", alice, "p3", &head, "").send(&mut house);
    assert_eq!(sent[0].start(), "SIP/2.0 412 Conditional Request Failed");
    let head = format!("{PIDF}SIP-If-Match: {second}\r\nExpires: 100\r\n");
    let sent = publish("alice", alice, "p4", &head, &pidf("open", &doing("busy"))).send(&mut house);
    let third = sent[0].get("SIP-ETag").to_owned();
    assert_eq!(seen(&told(&mut house, bob, 500)[0]), (true, "<busy/>".to_owned()));
    let head = format!("{EVENT}SIP-If-Match: {third}\r\nExpires: 0\r\n");
    assert_eq!(publish("alice", alice, "p5", &head, "").send(&mut house)[0].get("Expires"), "0");
    assert_eq!(seen(&told(&mut house, bob, 500)[0]), (true, String::new()));
    assert!(matches!(house.saved.last(), Some(Change::Unpublish { .. })));
    assert_eq!(house.front.counts().publications, 0);
}

#[test]
fn a_publication_ends_by_itself() {
    let (mut house, alice, bob, _) = watched();
    publish("alice", alice, "p1", &format!("{PIDF}Expires: 60\r\n"), &pidf("open", &doing("away")))
        .send(&mut house);
    assert_eq!(told(&mut house, bob, 500).len(), 1);
    assert!(told(&mut house, bob, 59_499).is_empty());
    assert_eq!(seen(&told(&mut house, bob, 1)[0]), (true, String::new()));
    assert!(matches!(house.saved.last(), Some(Change::Unpublish { .. })));
}

#[test]
fn what_cannot_be_published_is_refused_and_changes_nothing() {
    let (mut house, alice, bob, _) = watched();
    let bomb = "<!DOCTYPE p [<!ENTITY a 'x'>]><presence xmlns='urn:ietf:params:xml:ns:pidf'/>";
    let large = pidf("open", &"<d:note>x</d:note>".repeat(2000));
    let fine = pidf("open", "");
    for (head, document, status) in [
        (format!("{PIDF}Expires: 59\r\n"), &*fine, "423 Interval Too Brief"),
        (PIDF.replace("pidf", "sdp"), &fine, "415 Unsupported Media Type"),
        (EVENT.to_owned(), "", "400 PUBLISH Without a Document"),
        (PIDF.to_owned(), bomb, "400 Unreadable Presence Document"),
        (PIDF.to_owned(), &large, "400 Unreadable Presence Document"),
        (PIDF.to_owned(), "<presence/>", "400 Unreadable Presence Document"),
        (format!("{PIDF}SIP-If-Match: unknown\r\n"), &fine, "412 Conditional Request Failed"),
    ] {
        let sent = publish("alice", alice, "p", &head, document).send(&mut house);
        assert_eq!(sent[0].start(), format!("SIP/2.0 {status}"), "{head}");
        house.wait(SECOND * 40);
    }
    let other = Ask { to: "bob", ..publish("alice", alice, "p", PIDF, &fine) };
    assert_eq!(other.send(&mut house)[0].start(), "SIP/2.0 403 Not Your Address");
    assert_eq!(house.front.counts().publications, 0);
    assert!(told(&mut house, bob, 1000).is_empty());
    let strange = "PUBLISH sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKs\r\n\
        From: <sip:alice@example.com>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: s\r\nCSeq: 1 PUBLISH\r\nEvent: weather\r\n\r\n";
    let refused = house.hear(alice, strange);
    assert_eq!(refused[0].start(), "SIP/2.0 489 Bad Event");
    assert!(refused[0].get("Allow-Events").contains("presence"));
}

/// The rules of docs/presence.md.
#[test]
fn devices_are_weighed_by_the_stated_rules() {
    let (mut house, alice, bob, _) = watched();
    let desk = |activity| pidf("open", &(doing(activity) + "<d:note>at my desk</d:note>"));
    publish("alice", alice, "desk", PIDF, &desk("away")).send(&mut house);
    assert_eq!(seen(&told(&mut house, bob, 500)[0]).1, "<away/>");
    // Present beats away, though it says nothing; engaged beats both.
    let phone = publish("alice", alice, "phone", PIDF, &pidf("unknown", "")).send(&mut house);
    let news = told(&mut house, bob, 500).remove(0);
    assert_eq!(seen(&news), (true, String::new()), "open while a phone is there");
    assert!(body(&news).contains("<dm:note>at my desk</dm:note>"), "the last note stays");
    publish("alice", alice, "pad", PIDF, &pidf("open", &doing("on-the-phone"))).send(&mut house);
    assert_eq!(seen(&told(&mut house, bob, 500)[0]).1, "<on-the-phone/>");
    // Of equals the one that spoke last.
    let head = format!("{PIDF}SIP-If-Match: {}\r\n", phone[0].get("SIP-ETag"));
    publish("alice", alice, "phone2", &head, &pidf("closed", &doing("meeting"))).send(&mut house);
    assert_eq!(seen(&told(&mut house, bob, 500)[0]).1, "<meeting/>");
    // Open needs a phone. The note stays, what one did does not.
    house.register("alice", alice, ";expires=0");
    let gone = told(&mut house, bob, 500).remove(0);
    assert_eq!(seen(&gone), (false, String::new()));
    assert!(body(&gone).contains("at my desk") && !body(&gone).contains("open"));
}

#[test]
fn what_is_not_known_comes_through_and_markup_does_not() {
    let (mut house, alice, bob, _) = watched();
    let document = "<p:presence xmlns:p='urn:ietf:params:xml:ns:pidf' xmlns:x='urn:x' xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model'>\
        <p:tuple id='1'><p:status><p:basic>open</p:basic><x:s y='1'/></p:status><x:more x:a='&lt;b&amp;'>t]]&gt;<inner/></x:more>\
        <p:contact priority='0.8'>sip:a@b?x=1&amp;y</p:contact><p:note xml:lang='de'>f&#252;r</p:note></p:tuple>\
        <dm:device id='d'><dm:deviceID>urn:d</dm:deviceID></dm:device></p:presence>";
    publish("alice", alice, "p", PIDF, document).send(&mut house);
    let news = told(&mut house, bob, 500).remove(0);
    for part in [
        "<basic>open</basic><s xmlns=\"urn:x\" y=\"1\"/></status>",
        "<more xmlns=\"urn:x\" xmlns:a0=\"urn:x\" a0:a=\"&lt;b&amp;\">t]]&gt;<inner xmlns=\"\"/></more>",
        "<contact priority=\"0.800\">sip:a@b?x=1&amp;y</contact><note xml:lang=\"de\">für</note>",
        "<device xmlns=\"urn:ietf:params:xml:ns:pidf:data-model\" id=\"d\"><deviceID>urn:d</deviceID></device>",
    ] {
        assert!(body(&news).contains(part), "{part}\n{}", body(&news));
    }
    roxmltree::Document::parse(body(&news)).unwrap();
}

#[test]
fn changes_are_told_at_once_and_then_together() {
    let (mut house, alice, bob, _) = watched();
    house.wait(SECOND);
    publish("alice", alice, "p1", PIDF, &pidf("open", &doing("away"))).send(&mut house);
    let first = house.wait(std::time::Duration::ZERO);
    assert_eq!(first.len(), 1, "at once");
    // While the answer is awaited nothing more is sent.
    publish("alice", alice, "p2", PIDF, &pidf("open", &doing("busy"))).send(&mut house);
    house.wait(MS);
    publish("alice", alice, "p3", PIDF, &pidf("open", &doing("meeting"))).send(&mut house);
    assert!(house.wait(MS * 700).is_empty());
    house.hear(bob, &first[0].1.answer("200 OK", "", ""));
    let news = told(&mut house, bob, 0);
    assert_eq!(news.iter().map(|sent| seen(sent).1).collect::<Vec<_>>(), ["<meeting/>"]);
    // And not before half a second.
    publish("alice", alice, "p4", PIDF, &pidf("open", &doing("worship"))).send(&mut house);
    assert!(house.wait(MS * 499).is_empty());
    assert_eq!(told(&mut house, bob, 1).len(), 1);
}

#[test]
fn a_subscription_is_refreshed_fetched_and_forgotten() {
    let (mut house, _, bob, first) = watched();
    let tag = first.get("From").rsplit('=').next().unwrap().to_owned();
    let again =
        |cseq, head| Ask { call: ("watch", &tag), cseq, ..subscribe("bob", bob, "alice", "watch", head) };
    house.wait(SECOND * 500);
    let sent = again(10, "Event: presence\r\nExpires: 600\r\n").send(&mut house);
    let refreshed = notified(&mut house, bob, sent);
    assert_eq!(refreshed[0].get("Subscription-State"), "active;expires=600");
    house.wait(SECOND * 500);
    assert_eq!(house.front.counts().watchers, 1);
    let sent = again(20, "Event: presence\r\nExpires: 0\r\n").send(&mut house);
    let last = notified(&mut house, bob, sent);
    assert_eq!(
        (last[0].get("Subscription-State"), house.front.counts().watchers),
        ("terminated;reason=timeout", 0)
    );
    assert_eq!(again(30, EVENT).send(&mut house)[0].start(), "SIP/2.0 481 Subscription Does Not Exist");
    // Asked once, told once.
    let sent = subscribe("bob", bob, "alice", "fetch", "Event: presence\r\nExpires: 0\r\n").send(&mut house);
    let once = notified(&mut house, bob, sent);
    assert_eq!((once[0].get("Subscription-State"), seen(&once[0]).0), ("terminated;reason=timeout", true));
    assert_eq!(house.front.counts().watchers, 0);
    for (head, status) in [
        ("Event: presence\r\nExpires: 59\r\n", "423 Interval Too Brief"),
        ("Event: presence\r\nAccept: text/plain\r\n", "406 Not Acceptable"),
    ] {
        let refused = subscribe(
            "bob",
            bob,
            "alice",
            head.split(": ").nth(2).unwrap().trim_matches(['/', '\r', '\n']),
            head,
        );
        assert_eq!(refused.send(&mut house)[0].start(), format!("SIP/2.0 {status}"));
    }
    assert_eq!(
        subscribe("bob", bob, "nobody", "n", EVENT).send(&mut house)[0].start(),
        "SIP/2.0 404 Not Found"
    );
    // It ends with its connection, and with an answer that says so.
    subscribe("bob", bob, "alice", "third", EVENT).send(&mut house);
    assert_eq!(house.front.counts().watchers, 1);
    house.close(bob);
    assert_eq!(house.front.counts().watchers, 0);
}

#[test]
fn a_watcher_who_does_not_know_the_dialog_any_more_is_forgotten() {
    let (mut house, alice, bob, _) = watched();
    publish("alice", alice, "p1", PIDF, &pidf("open", &doing("away"))).send(&mut house);
    let notify = house.wait(SECOND).remove(0).1;
    house.hear(bob, &notify.answer("481 Subscription Does Not Exist", "", ""));
    assert_eq!(house.front.counts().watchers, 0);
}

/// A roster of alice with one rule.
fn rule(watcher: &str, handling: Handling) -> Request {
    let rules = vec![Rule { watcher: watcher.to_owned(), handling }];
    Request::SetRoster { aor: "alice@example.com".to_owned(), roster: Roster { rules, ..Roster::default() } }
}

#[test]
fn a_user_decides_who_may_watch() {
    let (mut house, alice, bob, _) = watched();
    let (info, watchers) = ("Event: presence.winfo\r\nAccept: application/watcherinfo+xml\r\n", "info");
    let sent = subscribe("alice", alice, "alice", watchers, info).send(&mut house);
    let list = notified(&mut house, alice, sent).remove(0);
    assert_eq!(list.get("Content-Type"), "application/watcherinfo+xml");
    let entry = |sent: &Sent| {
        body(sent).lines().find(|line| line.starts_with("<watcher status")).unwrap_or_default().to_owned()
    };
    assert!(
        entry(&list).starts_with("<watcher status=\"active\"")
            && entry(&list).ends_with(">sip:bob@example.com</watcher>")
    );
    let refused = subscribe("bob", bob, "alice", "spy", info).send(&mut house);
    assert_eq!(refused[0].start(), "SIP/2.0 403 Not Your Address");
    let decide = |house: &mut House, handling| {
        house.front.handle_request(house.now, rule("bob@example.com", handling));
        let sent: Vec<Sent> = house.wait(SECOND).into_iter().map(|(_, sent)| sent).collect();
        let (to_bob, to_alice): (Vec<_>, Vec<_>) = sent.into_iter().partition(|sent| sent.to == bob.remote);
        (notified(house, bob, to_bob), entry(notified(house, alice, to_alice).last().unwrap()))
    };
    let (told, known) = decide(&mut house, Handling::PoliteBlock);
    assert_eq!(
        (seen(&told[0]), told[0].get("Subscription-State").starts_with("active")),
        ((false, String::new()), true)
    );
    assert!(known.contains("\"active\""));
    let (told, known) = decide(&mut house, Handling::Confirm);
    assert!(told[0].get("Subscription-State").starts_with("pending;expires=") && body(&told[0]).is_empty());
    assert!(known.contains("\"pending\""));
    let (told, known) = decide(&mut house, Handling::Allow);
    assert!(seen(&told[0]).0 && known.contains("\"active\""));
    let (told, known) = decide(&mut house, Handling::Block);
    assert_eq!((told[0].get("Subscription-State"), known.as_str()), ("terminated;reason=rejected", ""));
    let refused = subscribe("bob", bob, "alice", "again", EVENT).send(&mut house);
    assert_eq!(refused[0].start(), "SIP/2.0 403 Forbidden");
}

#[test]
fn a_contact_list_is_one_subscription() {
    let (alice, bob) = (udp(7), stream(Transport::Tls, 3, 8));
    let mut house = House::new();
    house.register("alice", alice, "");
    house.register("bob", bob, "");
    let contact = |address: &str, name: &str| Contact {
        address: address.into(),
        name: Some(name.to_owned()),
        groups: Vec::new(),
    };
    let contacts = vec![
        contact("alice@example.com", "A & B"),
        contact("carol@example.com", "C"),
        contact("gone@example.com", "G"),
    ];
    let roster = Roster { contacts, ..Roster::default() };
    let set = |roster| Request::SetRoster { aor: "bob@example.com".to_owned(), roster };
    house.front.handle_request(house.now, set(roster.clone()));
    let list = "Event: presence\r\nSupported: eventlist\r\n";
    assert_eq!(
        subscribe("bob", bob, "bob-contacts", "l", EVENT).send(&mut house)[0].start(),
        "SIP/2.0 421 Extension Required"
    );
    assert_eq!(
        subscribe("alice", alice, "bob-contacts", "m", list).send(&mut house)[0].start(),
        "SIP/2.0 403 Not Your List"
    );
    let sent = subscribe("bob", bob, "bob-contacts", "n", list).send(&mut house);
    let full = notified(&mut house, bob, sent).remove(0);
    assert_eq!(full.get("Require"), "eventlist");
    let boundary =
        full.get("Content-Type").split("boundary=\"").nth(1).unwrap().trim_end_matches('"').to_owned();
    assert!(
        full.get("Content-Type")
            .starts_with("multipart/related;type=\"application/rlmi+xml\";start=\"<list@")
    );
    let parts: Vec<&str> = body(&full).split(&format!("--{boundary}")).collect();
    assert_eq!((parts.len(), parts[0], parts[4]), (5, "", "--\r\n"));
    let rlmi = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<list xmlns=\"urn:ietf:params:xml:ns:rlmi\" uri=\"sip:bob-contacts@example.com\" \
         version=\"0\" fullState=\"true\">\n\
         <resource uri=\"sip:alice@example.com\"><name>A &amp; B</name><instance id=\"1\" state=\"active\" cid=\"0@{boundary}\"/></resource>\n\
         <resource uri=\"sip:carol@example.com\"><name>C</name><instance id=\"1\" state=\"active\" cid=\"1@{boundary}\"/></resource>\n\
         <resource uri=\"sip:gone@example.com\"><name>G</name><instance id=\"1\" state=\"terminated\" reason=\"noresource\"/></resource>\n\
         </list>\n\r\n"
    );
    assert_eq!(parts[1].split_once("\r\n\r\n").unwrap().1, rlmi);
    assert!(parts[2].contains(&format!("Content-ID: <0@{boundary}>")) && parts[2].contains("<basic>open"));
    assert!(parts[3].contains("entity=\"sip:carol@example.com\"") && parts[3].contains("<basic>closed"));
    // What changes is told alone.
    publish("alice", alice, "p1", PIDF, &pidf("open", &doing("away"))).send(&mut house);
    let partial = told(&mut house, bob, 500).remove(0);
    assert!(
        body(&partial).contains("version=\"1\" fullState=\"false\"")
            && body(&partial).contains("<rpid:away/>")
    );
    assert!(!body(&partial).contains("carol"));
    // Another list is told as a whole.
    house.front.handle_request(
        house.now,
        set(Roster { contacts: vec![contact("carol@example.com", "C")], ..roster }),
    );
    let other = told(&mut house, bob, 500).remove(0);
    assert!(body(&other).contains("version=\"2\" fullState=\"true\"") && !body(&other).contains("alice"));
    publish("alice", alice, "p2", PIDF, &pidf("open", &doing("busy"))).send(&mut house);
    assert!(told(&mut house, bob, 1000).is_empty(), "alice is watched no more");
}
