//! Phones against the registrar, message by message.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Flow, Message, Method, Transport};
use proptest::prelude::*;

use super::{Registrar, Settings, destination};
use crate::contract::{Binding, Change, Destination, Event, Failure, Listener, Output};
use crate::digest::{Challenge, Login};
use crate::reply::Reply;
use crate::user::{Algorithms, Ha1, User};

const START: Duration = Duration::from_secs(1_800_000_000);
const INSTANCE: &str = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"";

impl Registrar {
    /// For tests of others: a binding as if it had been registered.
    pub(crate) fn bind(&mut self, binding: Binding) {
        self.book.replace(&Arc::clone(&binding.aor), vec![Arc::new(binding)], &mut VecDeque::new());
    }
}

struct World {
    registrar: Registrar,
    listener: Listener,
    now: Duration,
    out: VecDeque<Output>,
}

fn settings() -> Settings {
    Settings {
        domains: vec!["example.com".into(), "example.net".into()],
        realm: "example.com".into(),
        expires: 60..=3600,
        default_expires: 600,
        contacts: 3,
        nonce: Duration::from_secs(300),
    }
}

fn user(aor: &str) -> User {
    let ha1 = Ha1::of(aor, "example.com", &format!("secret of {aor}"));
    User { aor: aor.into(), ha1, algorithms: None, site: None }
}

fn users() -> Vec<User> {
    ["alice@example.com", "bob@example.com", "alice@example.net"].map(user).to_vec()
}

fn flow(transport: Transport, id: u64) -> Flow {
    let remote = SocketAddr::from(([192, 0, 2, 7], 40_000 + (id % 1000) as u16));
    Flow { transport, id, local: "192.0.2.1:5061".parse().unwrap(), remote }
}

fn tls(id: u64) -> Flow {
    flow(Transport::Tls, id)
}

impl World {
    fn new() -> World {
        World::restarted(Vec::new(), START)
    }

    fn restarted(bindings: Vec<Binding>, now: Duration) -> World {
        let listener = Listener {
            transport: Transport::Tls,
            address: "0.0.0.0:5061".parse().unwrap(),
            advertised: "sip.example.com:5061".into(),
            algorithms: Algorithms::Md5,
        };
        let registrar = Registrar::new(settings(), users(), bindings, [9; 32], now);
        World { registrar, listener, now, out: VecDeque::new() }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.registrar.handle_timeout(self.now, &mut self.out);
    }

    fn send(&mut self, flow: Flow, text: &str) -> Reply {
        let message = Message::parse(text.as_bytes()).unwrap();
        self.registrar.register(self.now, &flow, &self.listener, &message, &mut self.out)
    }

    /// What was saved, as `+key` and `-key`, and the events between.
    fn told(&mut self) -> Vec<String> {
        let told = |output| match output {
            Output::Save(Change::Bind(binding)) => format!("+{}", binding.key),
            Output::Save(Change::Unbind { key, .. }) => format!("-{key}"),
            Output::Event(Event::Registered { .. }) => "registered".to_owned(),
            Output::Event(Event::Unregistered { .. }) => "unregistered".to_owned(),
            Output::Event(Event::Denied { why, .. }) => format!("{why:?}"),
            other => format!("{other:?}"),
        };
        let said = self.out.drain(..).filter(|output| !matches!(output, Output::Trust(_)));
        said.map(told).collect()
    }

    fn contacts(&self, aor: &str) -> Vec<String> {
        self.registrar.contacts(self.now, aor).iter().map(|binding| binding.contact.clone()).collect()
    }

    /// All bindings in the form in which the store gives them back.
    fn stored(&self, aor: &str) -> Vec<Binding> {
        self.registrar.book.bindings(aor).iter().map(|binding| (**binding).clone()).collect()
    }
}

/// A phone that keeps its challenge and counts.
#[derive(Clone)]
struct Phone {
    name: &'static str,
    aor: &'static str,
    password: String,
    call_id: &'static str,
    cseq: u32,
    challenge: Option<Challenge>,
    nc: u32,
}

impl Phone {
    fn new(aor: &'static str) -> Phone {
        let name = aor.split('@').next().unwrap();
        let password = format!("secret of {aor}");
        Phone { name, aor, password, call_id: "c1", cseq: 0, challenge: None, nc: 0 }
    }

    fn calling(self, call_id: &'static str) -> Phone {
        Phone { call_id, cseq: 0, ..self }
    }

    fn text(&mut self, fields: &str) -> String {
        self.cseq += 1;
        let uri = format!("sip:{}", self.aor.split('@').nth(1).unwrap());
        let mut authorization = String::new();
        if let Some(challenge) = &self.challenge {
            self.nc += 1;
            let login = Login { user: self.name, password: &self.password, cnonce: "0a4f113b" };
            let answer = challenge.answer(&login, Method::Register, uri.as_bytes(), self.nc);
            authorization = format!("Authorization: {answer}\r\n");
        }
        let (aor, call_id, cseq) = (self.aor, self.call_id, self.cseq);
        format!(
            "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK{cseq}\r\nFrom: <sip:{aor}>;tag=1\r\n\
             To: <sip:{aor}>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n{authorization}{fields}\
             Content-Length: 0\r\n\r\n"
        )
    }

    /// Registers, answering challenges as long as the server says that they are stale.
    fn register(&mut self, world: &mut World, flow: Flow, fields: &str) -> Reply {
        for _ in 0..3 {
            let fresh = self.challenge.is_none();
            let reply = world.send(flow, &self.text(fields));
            if reply.answer.code != 401 {
                return reply;
            }
            let challenge = challenge(&reply);
            let stale = challenge.is_stale();
            (self.challenge, self.nc) = (Some(challenge), 0);
            if !fresh && !stale {
                return reply;
            }
        }
        panic!("challenged without end");
    }
}

fn challenge(reply: &Reply) -> Challenge {
    Challenge::strongest(values(reply, "WWW-Authenticate").map(str::as_bytes)).unwrap()
}

fn values<'a>(reply: &'a Reply, name: &str) -> impl Iterator<Item = &'a str> {
    reply.fields.iter().filter(move |(field, _)| *field == name).map(|(_, value)| value.as_str())
}

fn code(reply: &Reply) -> (u16, &'static str) {
    (reply.answer.code, reply.answer.reason)
}

#[test]
fn a_phone_is_challenged_proves_itself_and_is_found() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    let first = world.send(tls(1), &alice.text("Contact: <sip:alice@192.0.2.7:5061>\r\n"));
    assert_eq!(code(&first), (401, "Unauthorized"));
    let [(name, value)] = first.fields.as_slice() else { panic!("{first:?}") };
    assert_eq!(*name, "WWW-Authenticate");
    assert!(value.starts_with("Digest realm=\"example.com\", nonce=\""), "{value}");
    assert!(value.ends_with("\", algorithm=MD5, qop=\"auth\""), "{value}");
    assert_eq!(world.told(), Vec::<String>::new());

    alice.challenge = Some(challenge(&first));
    let second =
        world.send(tls(1), &alice.text("Contact: <sip:alice@192.0.2.7:5061>;q=0.5\r\nExpires: 300\r\n"));
    assert_eq!(code(&second), (200, "OK"));
    assert_eq!(
        second.fields,
        [
            ("Contact", "<sip:alice@192.0.2.7:5061>;expires=300;q=0.500".into()),
            ("Supported", "outbound, path".into())
        ]
    );
    assert_eq!(world.told(), ["+sip:alice@192.0.2.7:5061", "registered"]);
    assert_eq!(world.contacts("alice@example.com"), ["sip:alice@192.0.2.7:5061"]);
    assert_eq!(world.registrar.poll_timeout(), Some(START + Duration::from_secs(300)));
    assert_eq!(world.contacts("alice@example.net"), Vec::<String>::new());
}

#[test]
fn the_order_of_challenges_is_the_listeners_unless_the_user_has_an_own() {
    let mut world = World::new();
    let algorithms = |world: &mut World| {
        let reply = world.send(tls(1), &Phone::new("alice@example.com").text(""));
        let of = |v: &str| v.split("algorithm=").nth(1).unwrap().split(',').next().unwrap().to_owned();
        values(&reply, "WWW-Authenticate").map(of).collect::<Vec<_>>()
    };
    assert_eq!(algorithms(&mut world), ["MD5"]);
    world.listener.algorithms = Algorithms::Both;
    assert_eq!(algorithms(&mut world), ["SHA-256", "MD5"]);
    world.registrar.put_user(User { algorithms: Some(Algorithms::Sha256), ..user("alice@example.com") });
    assert_eq!(algorithms(&mut world), ["SHA-256"]);
    assert_eq!(code(&Phone::new("alice@example.com").register(&mut world, tls(1), "")), (200, "OK"));
}

#[test]
fn an_algorithm_that_was_not_offered_proves_nothing() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    world.listener.algorithms = Algorithms::Sha256;
    let offered = challenge(&world.send(tls(1), &alice.text("")));
    world.listener.algorithms = Algorithms::Md5;
    alice.challenge = Some(offered);
    assert_eq!(world.send(tls(1), &alice.text("")).answer.code, 401);
    assert_eq!(world.told(), ["Unfit"]);
}

/// Credentials, spoiled in one way each.
#[test]
fn what_is_wrong_is_told_to_the_administrator_and_not_to_the_phone() {
    type Spoil = (&'static str, fn(&mut Phone), fn(String) -> String);
    let spoil: [Spoil; 9] = [
        ("WrongPassword", |phone| phone.password = "other".into(), |text| text),
        ("WrongUser", |phone| phone.name = "bob", |text| text),
        ("WrongUser", |phone| phone.name = "alice@example.com", |text| text),
        ("UnknownUser", |phone| (phone.name, phone.aor) = ("carol", "carol@example.com"), |text| text),
        ("Unfit", |_| (), |text| text.replace(", qop=auth", "")),
        ("Unfit", |_| (), |text| text.replace("qop=auth", "qop=auth-int")),
        ("Unfit", |_| (), |text| text.replace("uri=\"sip:example.com\"", "uri=\"sip:elsewhere.com\"")),
        ("Unfit", |_| (), |text| text.replace("nc=00000001", "nc=+0000001")),
        ("WrongPassword", |_| (), |text| text.replace("nc=00000001", "nc=00000002")),
    ];
    for (why, phone, text) in spoil {
        let mut world = World::new();
        let mut alice = Phone::new("alice@example.com");
        phone(&mut alice);
        let unproven = world.send(tls(1), &alice.text(""));
        alice.challenge = Some(challenge(&unproven));
        let sent = text(alice.text("Contact: <sip:alice@h>\r\n"));
        let reply = world.send(tls(1), &sent);
        assert_eq!((reply.answer, reply.fields.len()), (unproven.answer, unproven.fields.len()), "{why}");
        assert!(!challenge(&reply).is_stale(), "{why}");
        assert_eq!(world.told(), [why]);
        assert_eq!(world.registrar.denied().values().sum::<u64>(), 1);
    }
}

#[test]
fn a_method_of_another_request_is_not_proven() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.challenge = Some(challenge(&world.send(tls(1), &alice.text(""))));
    let invite =
        alice.text("").replace("REGISTER", "MESSAGE").replace("Authorization", "Proxy-Authorization");
    let message = Message::parse(invite.as_bytes()).unwrap();
    let World { registrar, listener, now, out } = &mut world;
    let reply = registrar.authenticate(*now, &tls(1), listener, &message, true, out).unwrap_err();
    assert_eq!(code(&reply), (407, "Proxy Authentication Required"));
    assert_eq!(reply.fields[0].0, "Proxy-Authenticate");
    assert_eq!(registrar.denied().get(&Failure::WrongPassword), Some(&1));
}

#[test]
fn a_listeners_own_address_stands_for_the_first_domain() {
    let mut world = World::new();
    for host in ["192.0.2.1", "sip.example.com:5061", "EXAMPLE.com"] {
        let mut alice = Phone::new("alice@example.com");
        let at_host = |text: String| {
            text.replace("alice@example.com", &format!("alice@{host}"))
                .replace("REGISTER sip:example.com", &format!("REGISTER sip:{host}"))
        };
        let text = at_host(alice.text(""));
        alice.challenge = Some(challenge(&world.send(tls(1), &text)));
        // The phone still writes the domain into its credentials, which names us as well.
        assert_eq!(code(&world.send(tls(1), &at_host(alice.text("")))), (200, "OK"), "{host}");
    }
    let text = Phone::new("alice@example.com")
        .text("")
        .replace("REGISTER sip:example.com", "REGISTER sip:example.org");
    assert_eq!(code(&world.send(tls(1), &text)), (404, "No Such Domain Here"));
}

#[test]
fn a_replay_is_refused_with_a_new_nonce_and_changes_nothing() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "Contact: <sip:alice@a>\r\n");
    let sent = alice.text("Contact: *\r\nExpires: 0\r\n");
    assert_eq!(code(&world.send(tls(1), &sent)), (200, "OK"));
    alice.register(&mut world, tls(1), "Contact: <sip:alice@a>\r\n");
    world.told();
    let replayed = world.send(tls(2), &sent);
    assert_eq!(replayed.answer.code, 401);
    assert!(challenge(&replayed).is_stale());
    assert_eq!(world.told(), ["Replay"]);
    assert_eq!(world.contacts("alice@example.com"), ["sip:alice@a"]);
}

#[test]
fn counts_may_overtake_each_other() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.challenge = Some(challenge(&world.send(tls(1), &alice.text(""))));
    let sent: Vec<String> = (0..3).map(|_| alice.text("")).collect();
    let codes: Vec<u16> = [2, 0, 1, 1].map(|at: usize| world.send(tls(1), &sent[at]).answer.code).to_vec();
    assert_eq!(codes, [200, 200, 200, 401]);
}

#[test]
fn an_expired_nonce_is_stale_and_no_failure() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "");
    world.pass(301);
    let reply = world.send(tls(1), &alice.text(""));
    assert!(challenge(&reply).is_stale());
    alice.challenge = Some(challenge(&reply));
    alice.nc = 0;
    assert_eq!(code(&world.send(tls(1), &alice.text(""))), (200, "OK"));
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_foreign_nonce_is_stale_only_to_who_knows_the_password() {
    let mut alice = Phone::new("alice@example.com");
    let mut other = World::new();
    other.registrar = Registrar::new(settings(), users(), Vec::new(), [8; 32], START);
    alice.challenge = Some(challenge(&other.send(tls(1), &alice.text(""))));
    let mut world = World::new();
    assert!(challenge(&world.send(tls(1), &alice.clone().text(""))).is_stale());
    alice.password = "guessed".into();
    assert!(!challenge(&world.send(tls(1), &alice.text(""))).is_stale());
    assert_eq!(world.told(), ["ForeignNonce", "WrongPassword"]);
}

#[test]
fn nobody_registers_for_somebody_else() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "");
    let text = alice.text("Contact: <sip:alice@h>\r\n").replace("To: <sip:alice@", "To: <sip:bob@");
    assert_eq!(code(&world.send(tls(1), &text)), (403, "Not Your Address"));
    assert_eq!(world.registrar.counts(), (3, 0));
}

#[test]
fn several_phones_of_a_user_are_found_by_preference_the_newest_first() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "Contact: <sip:a@desk>;q=0.5, <sip:a@old>\r\n");
    alice.calling("c2").register(&mut world, tls(2), "Contact: <sip:a@new>\r\n");
    assert_eq!(world.contacts("alice@example.com"), ["sip:a@new", "sip:a@old", "sip:a@desk"]);
}

#[test]
fn a_contact_more_than_allowed_changes_nothing() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "Contact: <sip:a@1>, <sip:a@2>\r\n");
    world.told();
    let reply = alice.register(&mut world, tls(1), "Contact: <sip:a@3>, <sip:a@4>\r\n");
    assert_eq!(code(&reply), (403, "Too Many Contacts"));
    let thousand: String = (0..1000).map(|n| format!("Contact: <sip:a@h{n}>\r\n")).collect();
    assert_eq!(code(&alice.register(&mut world, tls(1), &thousand)), (403, "Too Many Contacts"));
    assert_eq!(world.told(), Vec::<String>::new());
    assert_eq!(world.contacts("alice@example.com").len(), 2);
}

#[test]
fn durations_are_bounded_and_too_brief_ones_refused() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    for (fields, granted) in [
        ("Contact: <sip:a@h>;expires=60\r\nExpires: 900\r\n", "60"),
        ("Contact: <sip:a@h>\r\nExpires: 900\r\n", "900"),
        ("Contact: <sip:a@h>\r\n", "600"),
        ("Contact: <sip:a@h>;expires=4294967296000\r\n", "3600"),
        ("Contact: <sip:a@h>;expires=soon\r\n", "600"),
    ] {
        let reply = alice.register(&mut world, tls(1), fields);
        assert_eq!(values(&reply, "Contact").collect::<Vec<_>>(), [format!("<sip:a@h>;expires={granted}")]);
    }
    let reply = alice.register(&mut world, tls(1), "Contact: <sip:b@h>, <sip:a@h>;expires=59\r\n");
    assert_eq!(code(&reply), (423, "Interval Too Brief"));
    assert_eq!(values(&reply, "Min-Expires").collect::<Vec<_>>(), ["60"]);
    assert_eq!(world.contacts("alice@example.com"), ["sip:a@h"]);
}

#[test]
fn a_star_removes_all_and_stands_alone() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "Contact: <sip:a@1>, <sip:a@2>\r\n");
    world.told();
    for fields in [
        "Contact: *\r\n",
        "Contact: *\r\nExpires: 10\r\n",
        "Contact: *, <sip:a@1>\r\nExpires: 0\r\n",
        "Contact: *\r\nContact: *\r\nExpires: 0\r\n",
    ] {
        assert_eq!(alice.register(&mut world, tls(1), fields).answer.code, 400, "{fields}");
    }
    assert_eq!(world.told(), Vec::<String>::new());
    let reply = alice.register(&mut world, tls(1), "Contact: *\r\nExpires: 0\r\n");
    assert_eq!((code(&reply), values(&reply, "Contact").count()), ((200, "OK"), 0));
    assert_eq!(world.told(), ["-sip:a@1", "unregistered", "-sip:a@2", "unregistered"]);
    assert_eq!(world.registrar.poll_timeout(), None);
}

#[test]
fn what_was_sent_before_does_not_undo_what_was_sent_after() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "");
    let early = [alice.text("Contact: <sip:a@h>;expires=0\r\n"), alice.text("Contact: *\r\nExpires: 0\r\n")];
    alice.register(&mut world, tls(1), "Contact: <sip:a@h>\r\n");
    world.told();
    for text in early {
        assert_eq!(code(&world.send(tls(1), &text)), (500, "CSeq Out of Order"));
    }
    let twice = Phone { cseq: alice.cseq - 1, ..alice.clone() }.text("Contact: <sip:a@h>;expires=0\r\n");
    alice.nc += 1;
    assert_eq!(code(&world.send(tls(1), &twice)), (500, "CSeq Out of Order"), "the same number again");
    assert_eq!(world.told(), Vec::<String>::new());
    let other = alice.calling("c2").register(&mut world, tls(1), "Contact: <sip:a@h>;expires=0\r\n");
    assert_eq!(
        (code(&other), world.told()),
        ((200, "OK"), vec!["-sip:a@h".to_owned(), "unregistered".to_owned()])
    );
}

#[test]
fn a_refresh_is_saved_and_keeps_the_binding() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "Contact: <sip:a@h;transport=tls>\r\n");
    let aor = Arc::from("alice@example.com");
    world.registrar.provisioned(&aor, &tls(1), 7, &mut world.out);
    world.told();
    world.pass(100);
    alice.register(&mut world, tls(1), "Contact: <sip:a@H;Transport=TLS>;expires=700\r\n");
    assert_eq!(world.told(), ["+sip:a@h;transport=tls"]);
    let [binding] = &world.stored("alice@example.com")[..] else { panic!() };
    assert_eq!(binding.contact, "sip:a@H;Transport=TLS");
    assert_eq!((binding.expires, binding.plan_version), (START + Duration::from_secs(800), Some(7)));
}

/// RFC 3261, 19.1.4: `;p=1` and `;p=2` are not the same, and what says nothing of `p` is the same as either; a URI that
/// contradicts itself is not even the same as itself.
#[test]
fn no_two_bindings_have_the_same_key() {
    for (uris, keys, contacts) in [
        (&["a@h;p=1", "a@h", "a@h;p=2", "a@h;p=1"][..], &["a@h;p=1"][..], &["a@h;p=1"][..]),
        (&["a@h;p=1", "a@h;p=2"], &["a@h;p=1", "a@h;p=2"], &["a@h;p=1", "a@h;p=2"]),
        (&["a@h;p=1", "a@h;p=2", "a@h"], &["a@h;p=2"], &["a@h"]),
        (&["a@h;p=1;p=2", "a@h;p=1;p=2"], &["a@h;p=1;p=2"], &["a@h;p=1;p=2"]),
    ] {
        let mut world = World::new();
        let mut alice = Phone::new("alice@example.com");
        for uri in uris {
            alice.register(&mut world, tls(1), &format!("Contact: <sip:{uri}>\r\n"));
        }
        let stored = world.stored("alice@example.com");
        let read = |texts: &[&str]| texts.iter().map(|text| format!("sip:{text}")).collect::<Vec<_>>();
        assert_eq!(stored.iter().map(|b| b.key.clone()).collect::<Vec<_>>(), read(keys), "{uris:?}");
        assert_eq!(stored.iter().map(|b| b.contact.clone()).collect::<Vec<_>>(), read(contacts), "{uris:?}");
    }
}

#[test]
fn bindings_end_when_their_time_is_over_and_not_before() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "Contact: <sip:a@1>;expires=60, <sip:a@2>;expires=90\r\n");
    world.told();
    world.pass(59);
    assert_eq!((world.told().len(), world.contacts("alice@example.com").len()), (0, 2));
    world.pass(1);
    assert_eq!(world.told(), ["-sip:a@1", "unregistered"]);
    assert_eq!(world.registrar.poll_timeout(), Some(START + Duration::from_secs(90)));
    world.now += Duration::from_secs(30);
    assert_eq!(world.contacts("alice@example.com"), Vec::<String>::new());
}

const OUTBOUND: &str = "Supported: path, outbound\r\n";

fn outbound(contact: &str, reg_id: u32) -> String {
    format!("Contact: <{contact}>;{INSTANCE};reg-id={reg_id}\r\n{OUTBOUND}")
}

#[test]
fn a_phone_that_comes_back_replaces_its_flow_and_the_old_connection_takes_nothing_with_it() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    let reply = alice.register(&mut world, tls(1), &outbound("sip:a@h:1", 1));
    let key = format!("{INSTANCE};reg-id=1");
    assert_eq!(values(&reply, "Require").collect::<Vec<_>>(), ["outbound"]);
    assert_eq!(values(&reply, "Flow-Timer").collect::<Vec<_>>(), ["120"]);
    assert_eq!(values(&reply, "Contact").collect::<Vec<_>>(), [format!("<sip:a@h:1>;expires=600;{key}")]);
    world.told();
    alice.calling("c2").register(&mut world, tls(2), &outbound("sip:a@h:2", 1));
    assert_eq!(world.told(), [format!("+{key}")]);
    world.registrar.closed(&tls(1), &mut world.out);
    assert_eq!(world.told(), Vec::<String>::new());
    let contacts = world.registrar.contacts(world.now, "alice@example.com");
    assert_eq!(
        contacts.iter().map(|b| destination(b)).collect::<Vec<_>>(),
        [Some(Destination::Flow(tls(2)))]
    );
    world.registrar.closed(&tls(2), &mut world.out);
    assert_eq!(world.told(), [format!("-{key}"), "unregistered".into()]);
}

#[test]
fn flows_with_other_reg_ids_stand_side_by_side() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), &outbound("sip:a@h", 1));
    alice.register(&mut world, tls(2), &outbound("sip:a@h", 2));
    assert_eq!(world.stored("alice@example.com").len(), 2);
    alice.register(&mut world, tls(3), "Contact: <sip:a@h>\r\n");
    assert_eq!(world.stored("alice@example.com").len(), 3, "a contact without reg-id is another one");
    let reply = alice.register(&mut world, tls(3), &format!("Contact: <sip:b@h>;{INSTANCE};reg-id=1\r\n"));
    assert_eq!(code(&reply), (403, "Too Many Contacts"), "reg-id counts only with outbound supported");
}

#[test]
fn outbound_is_not_agreed_over_udp_but_instances_are_told_apart() {
    let mut world = World::new();
    let udp = flow(Transport::Udp, 1);
    let mut alice = Phone::new("alice@example.com");
    let reply = alice.register(&mut world, udp, &outbound("sip:a@1", 1));
    assert_eq!(values(&reply, "Require").count() + values(&reply, "Flow-Timer").count(), 0);
    alice.register(&mut world, udp, &outbound("sip:a@2", 1));
    assert_eq!(world.contacts("alice@example.com"), ["sip:a@2"]);
}

#[test]
fn after_a_restart_datagrams_still_reach_phones_and_connections_do_not() {
    let mut world = World::new();
    let (udp, mut alice) = (flow(Transport::Udp, 4), Phone::new("alice@example.com"));
    alice.register(&mut world, udp, "Contact: <sip:a@udp>\r\n");
    alice.register(&mut world, tls(5), &outbound("sip:a@tls", 1));
    let proxied = "Contact: <sip:a@far>\r\nPath: <sip:192.0.2.7:5070;transport=tcp;lr>, <sip:edge;lr>\r\n";
    let reply = alice.register(&mut world, tls(5), proxied);
    assert_eq!(
        values(&reply, "Path").collect::<Vec<_>>(),
        ["<sip:192.0.2.7:5070;transport=tcp;lr>, <sip:edge;lr>"]
    );
    let mut again = World::restarted(world.stored("alice@example.com"), world.now);
    let ways = |world: &World| {
        let contacts = world.registrar.contacts(world.now, "alice@example.com");
        contacts.iter().map(|b| (b.contact.clone(), destination(b).unwrap())).collect::<Vec<_>>()
    };
    let to = |transport, remote: &str, local| Destination::Address {
        transport,
        remote: remote.parse().unwrap(),
        local,
    };
    let udp_way = to(Transport::Udp, "192.0.2.7:40004", Some("192.0.2.1:5061".parse().unwrap()));
    let path_way = to(Transport::Tcp, "192.0.2.7:5070", None);
    assert_eq!(ways(&again), [("sip:a@far".into(), path_way), ("sip:a@udp".into(), udp_way)]);
    // What was acknowledged is still there and gives way to what leads somewhere.
    assert_eq!(again.registrar.counts(), (3, 3));
    again.registrar.closed(&tls(5), &mut again.out);
    assert_eq!(again.told(), Vec::<String>::new());
    let mut alice = Phone::new("alice@example.com").calling("c9");
    alice.register(&mut again, tls(1), "Contact: <sip:a@new>\r\n");
    assert_eq!(again.told()[0], format!("-{INSTANCE};reg-id=1"));
    assert_eq!(ways(&again).len(), 3);
    again.pass(3601);
    assert_eq!((again.registrar.counts(), again.registrar.poll_timeout()), ((3, 0), None));
}

#[test]
fn a_contact_behind_a_proxy_outlives_the_proxys_connection() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(
        &mut world,
        tls(1),
        "Contact: <sip:a@far>\r\nPath: <sip:192.0.2.7:5061;transport=tls;lr>\r\n",
    );
    alice.register(&mut world, tls(1), "Contact: <sip:a@near>\r\n");
    world.registrar.closed(&tls(1), &mut world.out);
    let ways: Vec<_> =
        world.registrar.contacts(world.now, "alice@example.com").iter().map(|b| destination(b)).collect();
    let remote = "192.0.2.7:5061".parse().unwrap();
    assert_eq!(ways, [Some(Destination::Address { transport: Transport::Tls, remote, local: None })]);
}

#[test]
fn nobody_sends_us_to_others_by_a_path() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    let path = "Contact: <sip:a@far>\r\nPath: <sip:203.0.113.9:25;transport=tcp;lr>\r\n";
    alice.register(&mut world, tls(1), path);
    assert_eq!(world.registrar.contacts(world.now, "alice@example.com").len(), 1);
    world.registrar.closed(&tls(1), &mut world.out);
    assert_eq!(world.registrar.contacts(world.now, "alice@example.com"), []);
}

#[test]
fn a_removed_user_is_gone_with_all_bindings_and_a_changed_one_keeps_them() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "Contact: <sip:a@h>\r\n");
    world.told();
    world.registrar.put_user(User { site: Some("Redmond".into()), ..user("alice@example.com") });
    assert_eq!(world.registrar.user("alice@example.com").unwrap().site.as_deref(), Some("Redmond"));
    assert_eq!(world.registrar.counts(), (3, 1));
    world.registrar.remove_user("alice@example.com", &mut world.out);
    assert_eq!(world.told(), ["-sip:a@h", "unregistered"]);
    assert!(!world.registrar.knows("alice@example.com"));
    assert_eq!(alice.register(&mut world, tls(1), "").answer.code, 401);
}

#[test]
fn an_extension_that_is_not_known_is_refused_by_its_name() {
    let mut world = World::new();
    let reply =
        world.send(tls(1), &Phone::new("alice@example.com").text("Require: path, gruu\r\nRequire: x\r\n"));
    assert_eq!(
        (code(&reply), reply.fields),
        ((420, "Bad Extension"), vec![("Unsupported", "gruu, x".to_owned())])
    );
}

#[test]
fn hostile_fields_are_refused_or_cut_and_nothing_grows() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    let long = "x".repeat(2000);
    for fields in [
        format!("Contact: <sip:a@{long}>\r\n"),
        "Contact: <sip:a\0@h>\r\n".to_owned(),
        "Contact: <tel:+49123>\r\n".to_owned(),
        "Contact: <sip:a@h>;expires=\"\r\n".to_owned(),
        format!("Contact: <sip:a@h>\r\nPath: <sip:{long};lr>\r\n"),
    ] {
        assert_eq!(alice.register(&mut world, tls(1), &fields).answer.code, 400, "{fields}");
    }
    let text = alice.text("Contact: <sip:a@h>\r\n").replace("Call-ID: c1", &format!("Call-ID: {long}"));
    assert_eq!(code(&world.send(tls(1), &text)), (400, "Call-ID Too Long"));
    let odd = format!(
        "Contact: <sip:a@h>;q=9;+sip.instance=\"a\\\"b\";reg-id=1\r\n{OUTBOUND}User-Agent: \0{long}\r\n"
    );
    assert_eq!(code(&alice.register(&mut world, tls(1), &odd)), (200, "OK"));
    let [binding] = &world.stored("alice@example.com")[..] else { panic!() };
    assert_eq!(
        (binding.user_agent.as_str(), binding.key.as_str(), binding.q),
        (&long[..128], "sip:a@h", 1000)
    );
    for cut in 0..odd.len().min(120) {
        alice.register(&mut world, tls(1), &format!("{}\r\n", odd[..cut].replace(['\r', '\n'], "")));
    }
}

/// What one binding costs, in bytes: the value, its counter, its texts, and its places in the indexes, with a third for
/// what trees and the allocator leave empty.
#[test]
fn a_binding_costs_less_than_a_kilobyte() {
    let mut world = World::new();
    let agent = "User-Agent: Linphone Desktop/4.2.5 (Debian) LinphoneSDK/5.0.37\r\n";
    let contact =
        "sip:alice@203.0.113.200:54321;transport=tls;gr=urn:uuid:4e0d5f3a-9df4-0026-b8f9-0f2f2b3c6c7e";
    let fields = format!("{agent}{}", outbound(contact, 1));
    Phone::new("alice@example.com").calling("Zq1~wO5uV-Bc7KkEAjw4fVvXAoHmZ2bQ").register(
        &mut world,
        tls(1),
        &fields,
    );
    let [binding] = &world.stored("alice@example.com")[..] else { panic!() };
    let texts = [&binding.key, &binding.contact, &binding.call_id, &binding.user_agent];
    let texts: usize = texts.iter().map(|text| text.len() + 16).sum();
    let indexes =
        size_of::<Arc<Binding>>() * 4 + size_of::<(Duration, Arc<str>)>() + size_of::<(u64, Arc<str>)>();
    let cost = (size_of::<Binding>() + 16 + texts + indexes) * 4 / 3;
    assert!(cost <= 1024, "{cost}");
}

/// Bindings as the simplest thing that could be right: a list that is searched.
#[derive(Default)]
struct Naive {
    bindings: Vec<(String, u64, Duration)>,
}

#[derive(Clone, Debug)]
enum Step {
    Register { contact: u8, expires: u8, connection: u8 },
    Star,
    Close { connection: u8 },
    Wait { seconds: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..6, 0u8..4, 0u8..3).prop_map(|(contact, expires, connection)| Step::Register { contact, expires, connection }),
        1 => Just(Step::Star),
        1 => (0u8..3).prop_map(|connection| Step::Close { connection }),
        2 => (0u16..200).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

impl Naive {
    fn step(&mut self, step: &Step, now: Duration) {
        match step {
            Step::Register { contact, expires, connection } => {
                let key = format!("sip:a@h{contact}");
                let known = self.bindings.iter().any(|(known, ..)| *known == key);
                let lasts = u64::from(*expires) * 100;
                if lasts > 0 && !known && self.bindings.len() == 3 {
                    return;
                }
                self.bindings.retain(|(known, ..)| *known != key);
                if lasts > 0 {
                    self.bindings.push((key, u64::from(*connection), now + Duration::from_secs(lasts)));
                }
            }
            Step::Star => self.bindings.clear(),
            Step::Close { connection } => self.bindings.retain(|(_, on, _)| *on != u64::from(*connection)),
            Step::Wait { .. } => self.bindings.retain(|(_, _, ends)| *ends > now),
        }
    }
}

proptest! {
    #[test]
    fn the_book_is_what_a_naive_list_is(steps in prop::collection::vec(step(), 0..60)) {
        let (mut world, mut naive, mut alice) = (World::new(), Naive::default(), Phone::new("alice@example.com"));
        let mut saved = std::collections::BTreeMap::new();
        for step in steps {
            match &step {
                Step::Register { contact, expires, connection } => {
                    let fields = format!("Contact: <sip:a@h{contact}>;expires={}\r\n", u64::from(*expires) * 100);
                    alice.register(&mut world, tls(u64::from(*connection)), &fields);
                }
                Step::Star => { alice.register(&mut world, tls(0), "Contact: *\r\nExpires: 0\r\n"); }
                Step::Close { connection } => world.registrar.closed(&tls(u64::from(*connection)), &mut world.out),
                Step::Wait { seconds } => world.pass(u64::from(*seconds)),
            }
            naive.step(&step, world.now);
            for output in world.out.drain(..) {
                match output {
                    Output::Save(Change::Bind(b)) => { saved.insert(b.key.clone(), b); }
                    Output::Save(Change::Unbind { key, .. }) => { prop_assert!(saved.remove(&key).is_some()); }
                    _ => {}
                }
            }
            let mut expected: Vec<String> = naive.bindings.iter().map(|(key, ..)| key.clone()).collect();
            expected.reverse();
            prop_assert_eq!(world.contacts("alice@example.com"), expected);
            prop_assert_eq!(world.registrar.poll_timeout(), naive.bindings.iter().map(|(_, _, ends)| *ends).min());
            prop_assert_eq!(world.registrar.counts(), (3, naive.bindings.len()));
            let mut stored: Vec<_> = world.stored("alice@example.com");
            stored.sort_by(|a, b| a.key.cmp(&b.key));
            prop_assert_eq!(stored, saved.values().map(|b| (**b).clone()).collect::<Vec<_>>());
        }
    }
}
